#!/bin/sh
# Makes the environment VENV (.venv) with PYTHON (python3) and installs the locked packages and this project into it.
# Does nothing where that is done for the lock, the project file and the Python as they are now.
set -eu

venv=${VENV:-.venv}
wanted=${PYTHON:-}
stamp=$venv/.installed

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

# An environment that works is kept, whatever `python3` means today, until another Python is asked for.
found=$([ ! -x "$venv/bin/python" ] || version_of "$venv/bin/python")
if [ -n "$found" ] && { [ -z "$wanted" ] || [ "$(version_of "$wanted")" = "$found" ]; }; then
    version=$found
else
    python=${wanted:-python3}
    version=$(version_of "$python")
    case $version in
    3.11 | 3.12 | 3.13) ;;
    *)
        echo "Zanari needs Python 3.11, 3.12 or 3.13; $python is ${version:-not there}." >&2
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

state="$version $(cat requirements-dev.txt pyproject.toml | cksum)"
if [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then
    exit 0
fi
rm -f "$stamp"
export PIP_DISABLE_PIP_VERSION_CHECK=1
echo "Installing the locked packages into $venv (about a minute the first time)"
"$venv/bin/python" -m pip install --require-hashes --requirement requirements-dev.txt
"$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
echo "$state" >"$stamp"
