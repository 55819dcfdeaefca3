# pgbench with its own schema, in all three query modes: reads, writes and transactions, none of which may fail.
set -u
psql -X -q -v ON_ERROR_STOP=1 <<'EOF' || exit 1
CREATE TABLE accounts (aid int PRIMARY KEY, balance bigint);
EOF
seq 1 1000 | sed 's/$/\t0/' | psql -X -q -v ON_ERROR_STOP=1 -c "COPY accounts FROM STDIN" || exit 1

cat >"$SCRATCH/read.sql" <<'EOF'
\set aid random(1, 1000)
SELECT balance FROM accounts WHERE aid = :aid;
EOF
cat >"$SCRATCH/write.sql" <<'EOF'
\set aid random(1, 1000)
UPDATE accounts SET balance = balance + 1 WHERE aid = :aid;
EOF
cat >"$SCRATCH/block.sql" <<'EOF'
\set aid random(1, 1000)
\set new random(100000, 2000000000)
BEGIN;
SELECT balance FROM accounts WHERE aid = :aid;
INSERT INTO accounts VALUES (:new, 1);
SELECT balance FROM accounts WHERE aid = :new;
DELETE FROM accounts WHERE aid = :new;
COMMIT;
EOF
for mode in simple extended prepared; do
    for script in read write block; do
        out=$(pgbench -n -f "$SCRATCH/$script.sql" -M $mode -c 1 -t 200 2>&1)
        status=$?
        printf '%-9s %-6s %s\n' "$mode" "$script" "$(grep '^tps' <<<"$out")"
        if [ $status -ne 0 ] || ! grep -q 'number of transactions actually processed: 200/200' <<<"$out"; then
            echo "$out"
            exit 1
        fi
    done
done
out=$(pgbench -n -f "$SCRATCH/read.sql" -M prepared -c 8 -j 2 -t 500 2>&1) || { echo "$out"; exit 1; }
grep -q 'actually processed: 4000/4000' <<<"$out" || { echo "$out"; exit 1; }
sum=$(psql -X -At -c "SELECT sum(balance) FROM accounts")
[ "$sum" = 600 ] || { echo "the balances' sum is $sum, not 600"; exit 1; }
