#!/usr/bin/env bash
# The Nexmark views on 20,000 events against PostgreSQL's answers; skipped without PostgreSQL.
here=$(cd "$(dirname "$0")" && pwd)
[ -x "${PG_BIN:-/usr/lib/postgresql/15/bin}/initdb" ] || { echo "no PostgreSQL 15"; exit 77; }
exec "$here/compare.sh" "${KAPPA_BUILD:-$here/../../build}" $((20000 * ${KAPPA_TEST_SCALE:-1})) 1
