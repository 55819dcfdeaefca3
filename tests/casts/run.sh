#!/usr/bin/env bash
# Every type cast to every type, by every context, on kappa and on PostgreSQL 15. See README.md.
#
#   tests/casts/run.sh [TYPE]      only casts from or to this type
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/python.sh"
exec /usr/bin/python3 "$here/casts.py" "$@"
