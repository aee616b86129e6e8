#!/bin/bash
# Makes the cluster and loads the schema before the first start, then becomes the server.
set -euo pipefail

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username=shop --auth=trust --no-sync >/dev/null
    echo "host all all all trust" >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    pg_ctl --wait --options "-c listen_addresses='' -c unix_socket_directories=/tmp" start >/dev/null
    psql --host=/tmp --username=shop --dbname=postgres --quiet --no-psqlrc --file=/usr/local/share/shop/schema.sql
    pg_ctl --wait --mode=fast stop >/dev/null
fi
exec "$@"
