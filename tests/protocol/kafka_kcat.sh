#!/bin/bash
# kcat against a server: every codec, a view over what was produced, offsets and times, what must be refused.
. "${0%/*}/_kcat.sh"

sql -c "CREATE SOURCE orders (id bigint, city text) WITH (topic = 'orders', format = 'json')" \
    -c "CREATE MATERIALIZED VIEW cities AS SELECT city, count(*) AS n, sum(id) AS total FROM orders GROUP BY city"

# 5 codecs, 200 records each; the view has all of them.
for codec in none gzip snappy lz4 zstd; do
    seq 200 | sed 's/.*/{"id": &, "city": "'$codec'"}/' | kc -P -t orders -z $codec
done
for _ in $(seq 100); do
    [ "$(sql -c 'SELECT sum(n) FROM cities')" = 1000 ] && break
    sleep 0.1
done
same "the view" "gzip|200|20100
lz4|200|20100
none|200|20100
snappy|200|20100
zstd|200|20100" "$(sql -c 'SELECT * FROM cities ORDER BY city')"
same "records" 1000 "$(kc -C -t orders -e -o beginning | wc -l)"
same "the last" '{"id": 200, "city": "zstd"}' "$(kc -C -t orders -e -o -1)"
same "one offset" '{"id": 4, "city": "none"}' "$(kc -C -t orders -o 3 -c 1)"

# By time: records between two moments.
sleep 0.05
before=$(date +%s%3N)
echo '{"id": 1, "city": "late"}' | kc -P -t orders
sleep 0.05
after=$(date +%s%3N)
echo '{"id": 2, "city": "later"}' | kc -P -t orders
same "from a time" '{"id": 1, "city": "late"}
{"id": 2, "city": "later"}' "$(kc -C -t orders -o s@"$before" -e)"
same "between times" '{"id": 1, "city": "late"}' "$(kc -C -t orders -o s@"$before" -o e@"$after")"

# Many partitions, made by SQL; keys and headers stay.
sql -c "CREATE TOPIC parts WITH (partitions = 8)"
seq 100 | sed 's/.*/key&:value&/' | kc -P -t parts -K: -H kind=test
same "partitions" 100 "$(kc -C -t parts -e -f '%k=%s %h\n' | grep -c '^key\([0-9]*\)=value\1 kind=test$')"

# A megabyte, and more than may be.
head -c 1000000 /dev/zero | tr '\0' 'x' >"$SCRATCH/big"
kc -P -t big -X message.max.bytes=2000000 "$SCRATCH/big"
same "a megabyte" 1000000 "$(kc -C -t big -e -o -1 -f '%S' -X fetch.message.max.bytes=2000000)"
head -c 20000000 /dev/zero | tr '\0' 'x' >"$SCRATCH/bigger"
if said=$(timeout 30 kcat -b "$KAFKA" -P -t big -X message.max.bytes=30000000 "$SCRATCH/bigger" 2>&1); then
    echo "a record of 20 MB was taken" >&2
    exit 1
fi
grep -qi 'too large' <<<"$said" || { echo "20 MB: $said" >&2; exit 1; }

# kappa's own topics can be read and not written.
kc -C -t __kappa_catalog -e -o beginning | grep -q cities
if echo x | kc -P -t __kappa_catalog 2>/dev/null; then
    echo "a record was written into __kappa_catalog" >&2
    exit 1
fi
same "still there" 1002 "$(kc -C -t orders -e -o beginning | wc -l)"
