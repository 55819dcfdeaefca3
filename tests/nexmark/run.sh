#!/usr/bin/env bash
# The Nexmark views on 200,000 events against PostgreSQL's answers, the release program; skipped without PostgreSQL.
#
#   tests/nexmark/run.sh [--events N] [--seed S] [--modes before,after,run] [QUERY…]
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/python.sh"
release=${KAPPA_BUILD:-$root/build}/kappa
[ -x "$release" ] && export KAPPA_RELEASE=$release
exec /usr/bin/python3 "$here/compare.py" --events $((${NEXMARK_EVENTS:-200000} * ${KAPPA_TEST_SCALE:-1})) "$@"
