#!/usr/bin/env bash
# Windows, watermarks and late rows against a model, over partitions of which some are idle. See README.md.
#
#   tests/windows/run.sh [--rounds N] [--seed S]
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/python.sh"
exec /usr/bin/python3 "$here/windows.py" --rounds $((6 * ${KAPPA_TEST_SCALE:-1})) "$@"
