#!/bin/sh
# Installs what only the checks need and only Debian has: Postgres 15 with its linter and pgTAP, and Redis.
# The service and `make run` need none of it. Installs nothing that is there; says what it could not do.
set -eu

packages="postgresql-15 postgresql-15-plpgsql-check postgresql-15-pgtap libtap-parser-sourcehandler-pgtap-perl redis-server"

missing=""
for package in $packages; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "NOT INSTALLED:$missing: this system has no apt-get"
elif [ "$(id -u)" -ne 0 ]; then
    echo "NOT INSTALLED:$missing: only root can (apt-get install$missing)"
else
    echo "Installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || echo "The package lists could not be refreshed; using those at hand"
    for package in $missing; do
        apt-get install --yes --quiet=2 --no-install-recommends "$package" >/dev/null ||
            echo "NOT INSTALLED: $package: apt-get install failed"
    done
fi
