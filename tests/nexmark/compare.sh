#!/bin/bash
# Compares the Nexmark views of examples/nexmark/ with PostgreSQL 15's answers to hand-written queries over the same events.
#
#   tests/nexmark/compare.sh [BUILD [EVENTS [SEED [QUERY…]]]]     defaults: build, 100000, 1, all queries
#
# Starts a private PostgreSQL in a temporary folder (as user postgres when run by root, which PostgreSQL refuses). Rows are
# compared as sorted CSV. Exits 1 if any answer differs.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(realpath "${1:-$root/build}")
events=${2:-100000}
seed=${3:-1}
shift $(($# < 3 ? $# : 3))
queries=(${@:-q0 q1 q2 q3 q5 q7 q8})
bin=${PG_BIN:-/usr/lib/postgresql/15/bin}
[ -x "$bin/initdb" ] || { echo "compare.sh: no PostgreSQL 15 in $bin (set PG_BIN)" >&2; exit 2; }

work=$(mktemp -d)
as=()
if [ "$(id -u)" = 0 ]; then
    as=(runuser -u postgres --)
    chmod 711 "$work"
fi
mkdir "$work/pg"
[ ${#as[@]} -eq 0 ] || chown postgres "$work/pg"
stop() {
    (cd / && "${as[@]}" "$bin/pg_ctl" -D "$work/pg/data" -m immediate stop >/dev/null 2>&1) || true
    rm -rf "$work"
}
trap stop EXIT
cd /
"${as[@]}" "$bin/initdb" -D "$work/pg/data" -A trust -U postgres --locale=C --encoding=UTF8 >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$work/pg/data" -w -l "$work/pg/log" \
    -o "-c listen_addresses='' -c unix_socket_directories=$work/pg -c fsync=off -c work_mem=256MB" start >/dev/null
psql=("$bin/psql" -X -q -h "$work/pg" -U postgres -v ON_ERROR_STOP=1)

# A low rate, so that a few events already make many windows.
"$build/kappa-nexmark" --events "$events" --seed "$seed" --rate 2000 >"$work/events.ndjson"
chmod 644 "$work/events.ndjson"
"${psql[@]}" -v "events=$work/events.ndjson" -f "$root/tests/nexmark/schema_pg.sql"

differ=0
for query in "${queries[@]}"; do
    cat "$root/examples/nexmark/schema.sql" "$root/examples/nexmark/$query.sql" >"$work/app.sql"
    "${psql[@]}" -c "COPY ($(cat "$root/tests/nexmark/${query}_pg.sql")) TO STDOUT (FORMAT csv, HEADER)" >"$work/pg.csv"
    "$build/kappa" run "$work/app.sql" --input "nexmark=$work/events.ndjson" --format csv >"$work/kappa.csv"
    # The first line names the columns; the rest has no order.
    for side in pg kappa; do
        tail -n +2 "$work/$side.csv" | LC_ALL=C sort >"$work/$side.rows"
    done
    if ! cmp -s <(head -n 1 "$work/pg.csv") <(head -n 1 "$work/kappa.csv"); then
        echo "$query: columns differ: PostgreSQL $(head -n 1 "$work/pg.csv"), kappa $(head -n 1 "$work/kappa.csv")"
        differ=1
    fi
    if cmp -s "$work/pg.rows" "$work/kappa.rows"; then
        echo "$query: $(wc -l <"$work/pg.rows") rows, equal"
    else
        echo "$query: differs (< PostgreSQL, > kappa)"
        diff "$work/pg.rows" "$work/kappa.rows" | head -n 10 || true
        differ=1
    fi
done
exit $differ
