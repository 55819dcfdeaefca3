# Sourced by the run.sh of Python tests: names the program, and leaves with 77 if something that the test needs is missing.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export KAPPA=${KAPPA:-$(ls -t "$root"/build/dev/kappa "$root"/build/kappa 2>/dev/null | head -1)}
[ -x "$KAPPA" ] || { echo "no kappa program: build it, or name it with KAPPA="; exit 2; }
[ -x "${PG_BIN:-/usr/lib/postgresql/15/bin}/initdb" ] || { echo "no PostgreSQL 15"; exit 77; }
/usr/bin/python3 -c 'import psycopg2' 2>/dev/null || { echo "python3-psycopg2 is not installed"; exit 77; }
export PYTHONDONTWRITEBYTECODE=1
