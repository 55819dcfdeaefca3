#!/usr/bin/env bash
# Random regular expressions, and every character, on kappa and on PostgreSQL 15. See README.md.
#
#   tests/regex/run.sh [PAIRS]     so many pairs of a pattern and a text
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/python.sh"
exec /usr/bin/python3 "$here/regex.py" "$@"
