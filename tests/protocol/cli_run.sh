#!/bin/bash
# kappa run: the filter. Windows closed at the end, changes, CSV with and without a header, what is told on stderr, errors.
set -u
cd "$SCRATCH" || exit 1
same() { # what, expected, found
    [ "$2" = "$3" ] || { printf '%s: expected\n%s\nfound\n%s\n' "$1" "$2" "$3" >&2; exit 1; }
}
said() { # what, pattern
    grep -q "$2" err || { printf '%s: no "%s" in\n%s\n' "$1" "$2" "$(cat err)" >&2; exit 1; }
}
cat >closed.sql <<'SQL'
CREATE SOURCE bid (auction bigint, price bigint, at timestamp, WATERMARK FOR at AS at - INTERVAL '4 seconds') WITH (topic = 'bids');
CREATE MATERIALIZED VIEW best AS SELECT window_start, auction, count(*) AS bids, max(price) AS top
  FROM tumble(bid, at, INTERVAL '10 seconds') GROUP BY window_start, auction EMIT ON WINDOW CLOSE;
SQL
cat >bids.ndjson <<'NDJSON'
{"auction":1,"price":20,"at":"2024-01-01 00:00:01"}
{"auction":1,"price":25,"at":"2024-01-01 00:00:02"}
{"auction":2,"price":25,"at":"2024-01-01 00:00:12"}
{"auction":1,"price":99,"at":"2024-01-01 00:00:22"}
{"auction":1,"price":7,"at":"2024-01-01 00:00:03"}

{bad
NDJSON
rows='window_start,auction,bids,top
2024-01-01 00:00:00,1,2,25
2024-01-01 00:00:10,2,1,25
2024-01-01 00:00:20,1,1,99'
same "rows" "$rows" "$("$KAPPA" run closed.sql --input bids=bids.ndjson 2>err)"
said "a record that is no JSON" '1 record of topic "bids" could not be decoded; the first is record 6'
said "a late row" 'behind the watermark'
same "standard input, --format=csv" "$rows" "$("$KAPPA" run closed.sql --format=csv <bids.ndjson 2>err)"
changes=$("$KAPPA" run closed.sql --changes --format ndjson <bids.ndjson 2>err)
same "changes" 3 "$(grep -c '"diff":1' <<<"$changes")"
for _ in 1 2 3; do
    same "a run repeats" "$changes" "$("$KAPPA" run closed.sql --changes --format ndjson <bids.ndjson 2>err)"
done

cat >csv.sql <<'SQL'
CREATE SOURCE p (id int, name text, price numeric) WITH (topic = 'p', format = 'csv', header = true);
CREATE MATERIALIZED VIEW by_name AS SELECT name, sum(price) AS s, count(*) AS n FROM p GROUP BY name;
SQL
printf 'id,name,price\n1,"a, b",2.50\n2,x,3\r\n3,x,4.5\n4,"two\nlines",1\n' >p.csv
same "CSV" 'name,s,n
"a, b",2.50,1
"two
lines",1,1
x,7.5,2' "$("$KAPPA" run csv.sql --input p=p.csv 2>err)"
same "nothing to tell" "" "$(cat err)"

# More changes than a subscription may be behind.
cat >many.sql <<'SQL'
CREATE SOURCE e (id int, pad text) WITH (topic = 'e');
CREATE MATERIALIZED VIEW v AS SELECT id, pad FROM e;
SQL
seq 30000 | sed "s/.*/{\"id\":&,\"pad\":\"$(printf '%05000d' 0)\"}/" >many.ndjson
same "150 MB of changes" 30000 "$("$KAPPA" run many.sql --changes --format ndjson --input e=many.ndjson 2>err | wc -l)"

fails() { # status, pattern, arguments…
    local expected=$1 pattern=$2 status
    shift 2
    "$KAPPA" run "$@" </dev/null >out 2>err
    status=$?
    [ $status -eq "$expected" ] || { echo "kappa run $*: status $status, not $expected: $(cat err)" >&2; exit 1; }
    said "kappa run $*" "$pattern"
}
fails 1 'nothing in the script reads topic "bidz"' closed.sql --input bidz=bids.ndjson
fails 1 'cannot read "nofile": No such file' closed.sql --input bids=nofile
fails 1 'relation "nope" does not exist' closed.sql --view nope
fails 2 'no output format "xml"' closed.sql --format xml
fails 2 'write TOPIC=FILE' closed.sql --input bids
echo "SELECT 1; CREATE SOURCE x (a int" >bad.sql
fails 1 'bad.sql, line 1: syntax error at end of input' bad.sql
