# `kappa sql` on a folder that a server has open: it goes through that server.
set -u
fail() {
    echo "FAILED: $*"
    exit 1
}
sql() { "$KAPPA" sql --data "$KAPPA_DATA" "$@"; }
expect() {
    local wanted=$1 got
    shift
    got=$("$@" 2>&1)
    [ "$got" = "$wanted" ] || fail "$(printf '%s\n--- got\n%s\n--- wanted\n%s' "$*" "$got" "$wanted")"
}
expect 'CREATE TABLE
INSERT 0 2' sql -c "CREATE TABLE a (k int PRIMARY KEY, v text)" -c "INSERT INTO a VALUES (1, 'x'), (2, NULL)"
expect 'k,v
1,x
2,' sql --format csv -c "SELECT * FROM a ORDER BY k"
expect '{"k":1,"v":"x"}
{"k":2,"v":null}' sql --format ndjson -c "SELECT * FROM a ORDER BY k"
expect ' k | v 
---+---
 1 | x
 2 | 
(2 rows)' sql -c "SELECT * FROM a ORDER BY k"
expect '1	x
2	\N' bash -c "'$KAPPA' sql --data '$KAPPA_DATA' -c 'COPY (SELECT * FROM a ORDER BY k) TO STDOUT' 2>/dev/null"
expect 'NOTICE: table "nosuch" does not exist, skipping
DROP TABLE' sql -c "DROP TABLE IF EXISTS nosuch"
sql -c "SELECT nope FROM a" -c "DROP TABLE a" 2>"$SCRATCH/err" && fail "an error is a failure"
grep -q '42703.*column "nope" does not exist' "$SCRATCH/err" || fail "$(cat "$SCRATCH/err")"
expect '1' bash -c "echo 'SELECT count(*) AS n FROM a WHERE k = 1;' | '$KAPPA' sql --data '$KAPPA_DATA' --format csv | tail -1"

# a stream comes as it happens
sql --format ndjson -c "SUBSCRIBE TO a" >"$SCRATCH/stream" &
stream=$!
for _ in $(seq 100); do
    grep -q '"k":2' "$SCRATCH/stream" && break
    sleep 0.05
done
expect 'INSERT 0 1' sql -c "INSERT INTO a VALUES (3, 'three')"
for _ in $(seq 100); do
    grep -q three "$SCRATCH/stream" && break
    sleep 0.05
done
kill $stream
wait $stream 2>/dev/null
grep -q three "$SCRATCH/stream" || fail "the change did not arrive: $(cat "$SCRATCH/stream")"
