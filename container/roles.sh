#!/bin/sh
# Makes a fresh Postgres what a Supabase project is, for compose.yaml: the roles and schemas of the bootstrap, a
# password for who migrates, and the service's own login. Runs once, as the superuser, when the data folder is made.
set -eu

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
    --set=bootstrap="${BOOTSTRAP_SQL:-/bootstrap.sql}" \
    --set=migrator="$MIGRATOR_PASSWORD" --set=service="$SERVICE_PASSWORD" <<'SQL'
\i :bootstrap
ALTER ROLE postgres PASSWORD :'migrator';
-- Made by who migrates, who may then administer it: the migrations comment on it and grant to it.
SET ROLE postgres;
CREATE ROLE zanari_service LOGIN NOINHERIT PASSWORD :'service';
SQL
