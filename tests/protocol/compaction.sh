#!/bin/bash
# A compacted topic through Kafka clients, SQL and the command line: what is left, where it lies, and over a restart's view.
. "${0%/*}/_kcat.sh"

# A round, behind one that goes on in the background.
compact() {
    for _ in $(seq 200); do
        sql -c "ALTER TOPIC users COMPACT" 2>"$SCRATCH/compact.err" && return
        grep -q "is being compacted" "$SCRATCH/compact.err" || break
        sleep 0.1
    done
    cat "$SCRATCH/compact.err" >&2
    return 1
}

sql -c "CREATE TOPIC users WITH (partitions = 2, cleanup = 'compact', delete_retention = '0 seconds')" \
    -c "CREATE TABLE users (id int PRIMARY KEY, city text) WITH (topic = 'users')" \
    -c "CREATE MATERIALIZED VIEW cities AS SELECT city, count(*) AS n FROM users GROUP BY city"

# 50 keys over and over, with every codec; a fifth of them deleted at last.
for codec in none gzip snappy lz4 zstd; do
    for round in 1 2 3; do
        seq 50 | sed "s/.*/&|{\"city\": \"$codec$round\"}/" | kc -P -t users -K '|' -z $codec
    done
done
seq 5 5 50 | sed 's/$/|/' | kc -P -t users -K '|' -Z
sent=$(kc -C -t users -e -o beginning -f '%p %o %k %s\n' | sort -n -k1 -k2)
same "records sent" 760 "$(wc -l <<<"$sent")"
for _ in $(seq 100); do
    [ "$(sql -c 'SELECT count(*) FROM users')" = 40 ] && break
    sleep 0.1
done
table=$(sql -c 'SELECT * FROM users ORDER BY id')
same "the view" "zstd3|40" "$(sql -c 'SELECT * FROM cities')"

# What is left: of each partition and key the last record, where it was.
last() { awk '{ at[$1 " " $3] = $0 } END { for (key in at) print at[key] }' <<<"$1" | sort -n -k1 -k2; }
compact
left=$(kc -C -t users -e -o beginning -f '%p %o %k %s\n' | sort -n -k1 -k2)
same "the latest of each key" "$(last "$sent")" "$left"
same "the table" "$table" "$(sql -c 'SELECT * FROM users ORDER BY id')"

# Then the tombstones go, too, but for a partition's last record.
compact
rows=$(awk '{ end[$1] = NR; line[NR] = $0; full[NR] = NF > 3 }
            END { for (i = 1; i <= NR; i++) { split(line[i], f, " "); if (full[i] || end[f[1]] == i) print line[i] } }' <<<"$left")
same "without tombstones" "$rows" "$(kc -C -t users -e -o beginning -f '%p %o %k %s\n' | sort -n -k1 -k2)"

same "the records that are left" "$(wc -l <<<"$rows")" "$(sql -c "SELECT records FROM kappa.topics WHERE name = 'users'")"

# From an offset that is no more, and from one that is.
from=$(awk '$1 == 0 { print $2 - 1; exit }' <<<"$rows")
same "from within a gap" "$(awk '$1 == 0' <<<"$rows")" "$(kc -C -t users -p 0 -o "$from" -e -f '%p %o %k %s\n')"
same "from an offset" "$(awk '$1 == 0 { print; exit }' <<<"$rows")" \
    "$(kc -C -t users -p 0 -o $((from + 1)) -c 1 -f '%p %o %k %s\n')"

# A view made now, and the files.
sql -c "CREATE MATERIALIZED VIEW later AS SELECT city, count(*) AS n FROM users GROUP BY city"
same "a view made later" "zstd3|40" "$(sql -c 'SELECT * FROM later')"
sql -c "VERIFY MATERIALIZED VIEW cities" >/dev/null
same "complete" "0" "$(sql -c "SELECT complete_from FROM kappa.views WHERE name = 'later'")"
same "export" "$(awk '{ print $1, $2, $3 }' <<<"$rows")" \
    "$("$KAPPA" log export users --data "$KAPPA_DATA" |
        sed 's/.*"partition":\([0-9]*\),"offset":\([0-9]*\),.*"key":"\([0-9]*\)".*/\1 \2 \3/' | sort -n -k1 -k2)"
"$KAPPA" log verify --data "$KAPPA_DATA" | grep -qx sound
same "the setting" "compact" "$(sql -c "SELECT CASE WHEN compact THEN 'compact' END FROM kappa.topics WHERE name = 'users'")"

# Exports while files are sealed, compacted and recycled: nothing that stays is missing.
(
    for i in $(seq 12); do
        seq 50 | sed "s/.*/&|{\"city\": \"again$i\"}/" | kc -P -t users -K '|'
        compact
    done
) &
writer=$!
exports=0
while kill -0 $writer 2>/dev/null || [ $exports -lt 3 ]; do
    "$KAPPA" log export users --data "$KAPPA_DATA" >"$SCRATCH/export"
    keys=$(sed 's/.*"key":"\([0-9]*\)".*/\1/' "$SCRATCH/export" | sort -u | wc -l)
    [ "$keys" -ge 40 ] || { echo "an export has $keys keys" >&2; exit 1; }
    exports=$((exports + 1))
done
wait $writer

# What reads every record does not go with it.
sql -c "CREATE SOURCE every (id int) WITH (topic = 'users')"
if said=$(sql -c "CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM every" 2>&1); then
    echo "a view of every record of a compacted topic was made" >&2
    exit 1
fi
grep -q 'which is compacted' <<<"$said" || { echo "$said" >&2; exit 1; }
