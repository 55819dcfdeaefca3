#!/usr/bin/env bash
# FOR SYSTEM_TIME AS OF over tables that change at random, against PostgreSQL over all their versions. See README.md.
#
#   tests/system_time/run.sh [--rounds N] [--seed S]
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/python.sh"
exec /usr/bin/python3 "$here/system_time.py" --rounds $((3 * ${KAPPA_TEST_SCALE:-1})) "$@"
