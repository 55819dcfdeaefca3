#!/usr/bin/env bash
# Runs ssb.py, with PostgreSQL 15 as the oracle; skipped without it.
#
#   tests/ssb/run.sh [QUERY]      only queries whose name begins so
#
# KAPPA names the program, KAPPA_SEED the data, KAPPA_TEST_SCALE multiplies the positions.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/python.sh"
exec /usr/bin/python3 "$here/ssb.py" "$@"
