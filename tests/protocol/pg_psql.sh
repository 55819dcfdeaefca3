# psql, as a person would use it: answers, errors with their place, COPY from files, Ctrl-C in a stream.
set -u
fail() {
    echo "FAILED: $*"
    exit 1
}
sql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }
expect() { # expect WANTED command…
    local wanted=$1 got
    shift
    got=$("$@" 2>&1)
    [ "$got" = "$wanted" ] || fail "$(printf '%s\n--- got\n%s\n--- wanted\n%s' "$*" "$got" "$wanted")"
}

sql -c "CREATE TABLE t (k int PRIMARY KEY, v text, n numeric(8,2), at timestamptz)" || fail create
sql -c "INSERT INTO t VALUES (1, 'one', 1.5, '2024-02-29 12:00:00+00'), (2, NULL, NULL, NULL), (3, 'drei; \"x\"', -7, NULL)" || fail insert

expect '1|one|1.50|2024-02-29 12:00:00+00
2|||
3|drei; "x"|-7.00|' sql -At -c "SELECT * FROM t ORDER BY k"

expect 'ERROR:  column "vv" does not exist
LINE 1: SELECT k, vv FROM t
                  ^' bash -c "psql -X -q -c 'SELECT k, vv FROM t' 2>&1 | grep -v HINT"
expect 'ERROR:  23505' bash -c "psql -X -q -v VERBOSITY=sqlstate -c \"INSERT INTO t VALUES (1, 'x', 0, NULL)\" 2>&1 | head -1 | cut -c1-13"

# several statements, a transaction, a rollback
expect '4' sql -At <<'EOF'
BEGIN;
INSERT INTO t VALUES (4, 'four', 4, NULL);
COMMIT;
BEGIN;
INSERT INTO t VALUES (5, 'five', 5, NULL);
ROLLBACK;
SELECT count(*) FROM t;
EOF

# files
printf '10\tten\t10\t\\N\n11\televen\t11\t2024-01-01 00:00:00+00\n' >"$SCRATCH/in.tsv"
expect 'COPY 2' psql -X -c "\\copy t from '$SCRATCH/in.tsv'"
expect 'COPY 6' psql -X -c "\\copy (SELECT k, v FROM t ORDER BY k) to '$SCRATCH/out.csv' with (format csv, header)"
expect 'k,v
1,one
2,
3,"drei; ""x"""
4,four
10,ten
11,eleven' cat "$SCRATCH/out.csv"

# a parameter from psql, and \gdesc, which uses the extended protocol
expect 'eleven' sql -At -v id=11 <<'EOF'
SELECT v FROM t WHERE k = :id;
EOF
expect 'k|integer
n|numeric(8,2)' sql -At <<'EOF'
SELECT k, n FROM t \gdesc
EOF

# a stream, ended by Ctrl-C
psql -X -At -c "COPY (SUBSCRIBE TO t) TO STDOUT" >"$SCRATCH/stream" 2>"$SCRATCH/stream.err" &
stream=$!
for _ in $(seq 100); do
    [ "$(grep -c one "$SCRATCH/stream")" -ge 1 ] && break
    sleep 0.05
done
sql -c "INSERT INTO t VALUES (12, 'twelve', 12, NULL)"
for _ in $(seq 100); do
    grep -q twelve "$SCRATCH/stream" && break
    sleep 0.05
done
kill -INT $stream
wait $stream
grep -q twelve "$SCRATCH/stream" || fail "the change did not arrive: $(cat "$SCRATCH/stream")"
grep -q 'canceling statement' "$SCRATCH/stream.err" || fail "not cancelled: $(cat "$SCRATCH/stream.err")"
expect '1' sql -At -c "SELECT 1"

# Looking around with psql's own commands.
psql -Xq -v ON_ERROR_STOP=1 -c "CREATE TABLE around (k int PRIMARY KEY)" -c "CREATE MATERIALIZED VIEW around_view AS SELECT count(*) FROM around"
for command in '\d' '\dt' '\dm' '\dv' '\dn'; do
    out=$(psql -Xq -v ON_ERROR_STOP=1 -c "$command") || { echo "$command failed"; exit 1; }
    case $command in
    '\d') grep -q 'around_view *| materialized view' <<<"$out" && grep -q 'around *| table' <<<"$out" ;;
    '\dt') grep -q 'around *| table' <<<"$out" ;;
    '\dm') grep -q 'around_view *| materialized view' <<<"$out" ;;
    esac || { echo "$command: $out"; exit 1; }
done
