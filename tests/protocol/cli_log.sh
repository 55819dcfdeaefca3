# What `kappa log`, `restore` and the server's start say of arguments, output and limits that cannot be; of HTTP's status for what is used.
set -u
fail() {
    echo "FAILED: $*"
    exit 1
}
refused() { # words, status, command…
    local words=$1 wanted=$2 got status
    shift 2
    got=$("$@" 2>&1 </dev/null)
    status=$?
    [ "$status" = "$wanted" ] && grep -qF -- "$words" <<<"$got" || fail "$* (status $status): $got"
}
data=$SCRATCH/data
log() { "$KAPPA" log "$@" --data "$data"; }
"$KAPPA" sql --data "$data" -c "CREATE TABLE t (id int PRIMARY KEY)" -c "INSERT INTO t SELECT generate_series(1, 9)" >"$SCRATCH/out" ||
    fail "$(cat "$SCRATCH/out")"

for verb in topics blocks verify "records t"; do
    log $verb >"$SCRATCH/out" || fail "log $verb"
    log $verb >/dev/full 2>"$SCRATCH/err" && fail "log $verb into a full disk"
    grep -q 'could not be written: No space left' "$SCRATCH/err" || fail "log $verb: $(cat "$SCRATCH/err")"
done
"$KAPPA" sql --data "$data" -c "TABLE t" >/dev/full 2>"$SCRATCH/err" && fail "sql into a full disk"
grep -q 'could not be written: No space left' "$SCRATCH/err" || fail "sql: $(cat "$SCRATCH/err")"

[ "$(log records t --limit 0 2>&1)" = "" ] || fail "records --limit 0"
[ "$(log records t --limit 2 | wc -l)" = 2 ] || fail "records --limit 2"
for verb in topics blocks verify; do
    refused 'extra' 2 log $verb extra
done
refused '99999999999999999999' 2 log records t --limit 99999999999999999999
refused '-1' 2 log records t --from -1
refused '99999999999999999999' 2 "$KAPPA" restore "$SCRATCH/b" --data "$SCRATCH/r" --to-position 99999999999999999999

# relaxed durability is told when it begins, and by the blocks afterwards
log blocks | grep -q 'not synced' && fail "blocks say that they were not synced"
"$KAPPA" sql --data "$data" --unsafe-no-sync -c "INSERT INTO t VALUES (10)" >/dev/null || fail "--unsafe-no-sync"
log blocks | tail -n 3 | grep -q 'not synced' || fail "$(log blocks | tail -n 3)"

refused 'may open 20 files, and needs 64' 1 bash -c "ulimit -n 20; '$KAPPA' server --data '$data' --pg 127.0.0.1:0 --http off --kafka off"

# what others depend on is no matter of trying again
post() { curl -s -o "$SCRATCH/out" -w '%{http_code}' "http://$HTTP/sql" -d "$1"; }
[ "$(post 'CREATE SOURCE used (id int) WITH (topic = '"'used'"')')" = 200 ] || fail "$(cat "$SCRATCH/out")"
[ "$(post 'DROP TOPIC used')" = 409 ] || fail "$(cat "$SCRATCH/out")"
grep -q 2BP01 "$SCRATCH/out" || fail "$(cat "$SCRATCH/out")"
echo "log, restore and server: arguments, output and limits"
