#!/usr/bin/env bash
# MATCH_RECOGNIZE: random patterns over random changes, against a matcher of a few lines. See README.md.
#
#   tests/match/run.sh [--rounds N] [--seed S]
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/python.sh"
diff -u "$root/examples/fraud/alerts.csv" <("$KAPPA" run "$root/examples/fraud/fraud.sql" \
    --input "payments=$root/examples/fraud/payments.ndjson" --view alerts --format csv) || { echo "examples/fraud is wrong"; exit 1; }
exec /usr/bin/python3 "$here/match.py" --rounds $((12 * ${KAPPA_TEST_SCALE:-1})) "$@"
