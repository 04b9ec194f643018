#!/bin/sh
# Makes the environment VENV (.venv) with PYTHON (python3) and installs the locked packages and this project into it.
# Does nothing where that is done for the lock, the project file and the Python as they are now.
set -eu

venv=${VENV:-.venv}
wanted=${PYTHON:-}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

# Run a command that says nothing, with a dot for each second it takes.
with_dots() {
    (while sleep 1; do printf .; done) &
    dots=$!
    trap 'kill "$dots" 2>/dev/null' EXIT
    "$@"
    kill "$dots"
    trap - EXIT
    echo " done"
}

# An environment that works is kept, whatever `python3` means today, until another Python is asked for.
version=$([ ! -x "$venv/bin/python" ] || version_of "$venv/bin/python")
if [ -z "$version" ] || { [ -n "$wanted" ] && [ "$(version_of "$wanted")" != "$version" ]; }; then
    python=${wanted:-python3}
    version=$(version_of "$python")
    case $version in
    3.11 | 3.12 | 3.13) ;;
    *)
        echo "Zanari needs Python 3.11, 3.12 or 3.13, but $python is ${version:-not there}." >&2
        echo "Name another one: make setup PYTHON=python3.12" >&2
        exit 1
        ;;
    esac
    echo "Making $venv with Python $version"
    "$python" -m venv --clear "$venv" || {
        echo "Python could not make a virtual environment. On Debian: apt-get install python$version-venv" >&2
        exit 1
    }
fi

pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check install -qq "$@"
}

lock=$(cksum <requirements-dev.txt)
if [ "$(cat "$venv/.lock-installed" 2>/dev/null)" != "$lock" ]; then
    rm -f "$venv/.project-installed"
    printf 'Installing %s locked packages into %s ' "$(grep -c '^[a-z].*==' requirements-dev.txt)" "$venv"
    with_dots pip --require-hashes --requirement requirements-dev.txt
    echo "$lock" >"$venv/.lock-installed"
fi

# The place is part of it: an environment that was moved or copied points at the old one.
project="$PWD $(cksum <pyproject.toml)"
if [ "$(cat "$venv/.project-installed" 2>/dev/null)" != "$project" ]; then
    printf 'Installing zanari into %s ' "$venv"
    with_dots pip --no-deps --no-build-isolation --editable .
    echo "$project" >"$venv/.project-installed"
fi
