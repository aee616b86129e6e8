#!/bin/bash
# Runs the parts in /etc/entrypoint.d as root, then starts itself anew as the user that serves.
set -euo pipefail

if [ "$(id -u)" = 0 ]; then
    for part in /etc/entrypoint.d/*; do
        case $part in
            *.sh) . "$part" ;;
            *) echo "entrypoint: $part is no script" >&2 ;;
        esac
    done
    find . ! -user web -exec chown web:web '{}' +
    exec gosu web "${BASH_SOURCE[0]}" "$@"
fi
exec "$@"
