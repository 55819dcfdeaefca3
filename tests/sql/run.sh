#!/bin/bash
# SQL tests: runs each .slt file of this folder against a kappa server of its own. See README.md.
#
#   tests/sql/run.sh [NAME…]            only files whose name begins with one of NAME
#   tests/sql/run.sh --record NAME…     writes PostgreSQL 15's answers into the files (PGHOST, PGPORT name a scratch server)
#   tests/sql/run.sh --fill NAME…       writes kappa's own answers where a file has none: read them before you keep them
#
# Environment: KAPPA names the program (else the newest of build/dev/kappa, build/kappa).
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ -z "${KAPPA:-}" ]; then
    KAPPA=$(ls -t "$root"/build/dev/kappa "$root"/build/kappa 2>/dev/null | head -1)
fi
export KAPPA
/usr/bin/python3 -c 'import psycopg2' 2>/dev/null || { echo "python3-psycopg2 is not installed"; exit 77; }
exec /usr/bin/python3 "$here/run.py" "$@"
