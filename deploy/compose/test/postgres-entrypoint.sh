#!/bin/sh
# With a command: that. Without: PostgreSQL, made at the first start as POSTGRES_USER, _PASSWORD and _DB say.
set -eu
[ $# -eq 0 ] || exec "$@"
data=/var/lib/postgresql/data
if [ ! -s "$data/PG_VERSION" ]; then
  password=$(mktemp)
  printf '%s' "$POSTGRES_PASSWORD" >"$password"
  initdb --pgdata "$data" --username "$POSTGRES_USER" --pwfile "$password" --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8
  rm "$password"
  echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
  echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -D "$data" postgres
fi
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off
