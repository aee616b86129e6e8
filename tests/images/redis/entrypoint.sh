#!/bin/sh
set -e
# What Redis writes is nobody else's business.
umask 0077
exec "$@"
