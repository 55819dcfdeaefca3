#!/usr/bin/env bash
# WITH (lateness = …): joins and patterns that forget against those that do not, over random rows. See README.md.
#
#   tests/lateness/run.sh [--rounds N] [--seed S]
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/python.sh"
exec /usr/bin/python3 "$here/lateness.py" --rounds $((6 * ${KAPPA_TEST_SCALE:-1})) "$@"
