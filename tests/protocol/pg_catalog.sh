# The catalog as psql's commands see it: lists, descriptions, and what drivers ask for.
set -u
fail() {
    echo "FAILED: $*"
    exit 1
}
sql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }
expect() { # expect WANTED COMMAND: psql's words for one command or statement
    local got
    got=$(sql -At -c "$2" 2>&1)
    [ "$got" = "$1" ] || fail "$(printf '%s\n--- got\n%s\n--- wanted\n%s' "$2" "$got" "$1")"
}
describes() { # describes WANTED COMMAND: with title, heading and footer
    local got
    got=$(sql -A -c "$2" 2>&1)
    [ "$got" = "$1" ] || fail "$(printf '%s\n--- got\n%s\n--- wanted\n%s' "$2" "$got" "$1")"
}
works() { # works COMMAND…: no error
    local command
    for command; do
        sql -c "$command" >/dev/null 2>"$SCRATCH/error" || fail "$command: $(cat "$SCRATCH/error")"
    done
}

sql <<'EOT' || fail create
CREATE TABLE account (id int, region varchar(8), balance numeric(12,2) DEFAULT 0, note text NOT NULL, PRIMARY KEY (id, region));
CREATE SOURCE bid (auction bigint, price bigint, at timestamp, WATERMARK FOR at AS at - INTERVAL '4 seconds')
  WITH (topic = 'bids', format = 'json');
CREATE MATERIALIZED VIEW best AS SELECT auction, max(price) AS top FROM bid GROUP BY auction;
CREATE VIEW "Plain one" AS SELECT id, 'as' AS "as" FROM account;
CREATE SINK out FROM best WITH (topic = 'out');
EOT

# lists
expect 'public|Plain one|view|kappa
public|account|table|kappa
public|best|materialized view|kappa
public|bid|table|kappa
public|out|foreign table|kappa' '\d'
expect 'public|account|table|kappa
public|bid|table|kappa' '\dt'
expect 'public|Plain one|view|kappa' '\dv'
expect 'public|best|materialized view|kappa' '\dm'
expect 'public|account_pkey|index|kappa|account' '\di'
expect 'kappa|kappa
public|kappa' '\dn'
expect 'kappa|Superuser, Create role, Create DB, Replication, Bypass RLS|{}' '\du'
expect 'kappa|kappa|UTF8|C|C.UTF-8||libc|' '\l'
expect 'kappa|topics|view|kappa' '\dv kappa.topics'
expect 'pg_catalog|lower|text|text|func' '\df lower'
expect 'pg_catalog|count|bigint|"any"|agg
pg_catalog|count|bigint|*|agg' '\df count'
expect 'pg_catalog|numeric|' '\dT numeric'

# one relation
describes 'Table "public.account"
Column|Type|Collation|Nullable|Default
id|integer||not null|
region|character varying(8)||not null|
balance|numeric(12,2)|||0.00
note|text||not null|
Indexes:
    "account_pkey" PRIMARY KEY, hash (id, region)' '\d account'
describes 'Materialized view "public.best"
Column|Type|Collation|Nullable|Default
auction|bigint|||
top|bigint|||' '\d best'
describes 'Table "public.bid"
Column|Type|Collation|Nullable|Default
auction|bigint|||
price|bigint|||
at|timestamp without time zone|||' '\d bid'
describes 'View "public.Plain one"
Column|Type|Collation|Nullable|Default|Storage|Description
id|integer||||plain|
as|text||||extended|
View definition:
 SELECT id, '"'as'"' AS "as" FROM account;' '\d+ "Plain one"'
describes 'Foreign table "public.out"
Column|Type|Collation|Nullable|Default|FDW options
auction|bigint||||
top|bigint||||
Server: log' '\d out'

works '\d+ account' '\d+ best' '\d+ bid' '\d kappa.*' '\dt+' '\dm+' '\dn+' '\df+ lower' '\dT+' '\dC' '\do' '\da' '\db' '\dx' '\dL' \
    '\dg+' '\l+' '\det' '\dew' '\des' '\dRp' '\dRs' '\ddp' '\dd' '\dFd' '\dy' '\drds' '\dX' '\dP' '\sv "Plain one"' '\conninfo' '\dconfig'

# names and numbers
expect 'account|account_pkey|integer|public|t' \
    "SELECT 'public.account'::regclass, 'account_pkey'::regclass, 'int4'::regtype, 'public'::regnamespace,
            'account'::regclass = c.oid FROM pg_class c WHERE relname = 'account'"
expect '"Plain one"|kappa.topics|-|' \
    "SELECT c.oid::regclass, 'kappa.topics'::regclass::text, 0::regclass, to_regclass('nothing')
     FROM pg_class c WHERE c.oid = '\"Plain one\"'::regclass"
expect 'ERROR:  relation "nothing" does not exist
LINE 1: SELECT '"'nothing'"'::regclass
               ^' "SELECT 'nothing'::regclass"
expect 'PRIMARY KEY (id, region)|CREATE UNIQUE INDEX account_pkey ON public.account USING hash (id, region)' \
    "SELECT pg_get_constraintdef(oid), pg_get_indexdef(conindid) FROM pg_constraint WHERE conrelid = 'account'::regclass"
expect '10 bytes|10 kB|1024 kB|10 GB' \
    "SELECT pg_size_pretty(10::bigint), pg_size_pretty(10240::bigint), pg_size_pretty(1048576::bigint), pg_size_pretty(10737418240)"
expect '"a b"|"select"|plain' "SELECT quote_ident('a b'), quote_ident('select'), quote_ident('plain')"

# a scalar subquery that finds one row by its key; nothing where there is none
expect '1|one
2|' "SELECT x.id, (SELECT a.note FROM account a WHERE a.id = x.id AND a.region = 'eu') FROM
     (SELECT 1 AS id UNION ALL SELECT 2) x, (SELECT 1) nothing WHERE 1 = 0 UNION ALL SELECT 1, 'one' UNION ALL SELECT 2, NULL ORDER BY 1"
sql -c "INSERT INTO account VALUES (1, 'eu', 5, 'one'), (1, 'us', 6, 'other'), (3, 'eu', 7, 'three')"
expect '1|one
1|one
3|three' "SELECT x.id, (SELECT a.note FROM account a WHERE a.id = x.id AND a.region = 'eu') FROM account x ORDER BY 1"
expect '|2
one|1' "SELECT (SELECT a.note FROM account a WHERE a.id = x.id - 2 AND a.region = 'eu') AS found, count(*) FROM account x
        GROUP BY 1 ORDER BY 1 NULLS FIRST"

# information_schema
expect 'account|BASE TABLE
best|VIEW
bid|BASE TABLE
out|FOREIGN
Plain one|VIEW' "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY lower(table_name)"
expect 'id|NO|integer|32|
region|NO|character varying||8
balance|YES|numeric|12|
note|NO|text||' "SELECT column_name, is_nullable, data_type, numeric_precision, character_maximum_length
                 FROM information_schema.columns WHERE table_name = 'account' ORDER BY ordinal_position"
expect 'id|1
region|2' "SELECT column_name, ordinal_position FROM information_schema.key_column_usage
           JOIN information_schema.table_constraints USING (constraint_schema, constraint_name)
           WHERE constraint_type = 'PRIMARY KEY' AND table_constraints.table_name = 'account' ORDER BY 2"
expect 'best|SELECT auction, max(price) AS top FROM bid GROUP BY auction' \
    "SELECT table_name, trim(view_definition) FROM information_schema.views WHERE table_name = 'best'"

sql <<'EOT' || fail made types
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN small AS int CHECK (VALUE < 10);
CREATE TABLE made (k int PRIMARY KEY, m mood, d small, a int[], ma mood[], s varchar(7), CHECK (k > 0));
EOT
expect 'k|integer|pg_catalog|int4||
m|USER-DEFINED|public|mood||
d|integer|pg_catalog|int4|small|
a|ARRAY|pg_catalog|_int4||
ma|ARRAY|public|_mood||
s|character varying|pg_catalog|varchar||28' "SELECT column_name, data_type, udt_schema, udt_name, domain_name, character_octet_length
        FROM information_schema.columns WHERE table_name = 'made' ORDER BY ordinal_position"
expect 'made_k_check|CHECK|(k > 0)
made_pkey|PRIMARY KEY|' "SELECT constraint_name, constraint_type, check_clause FROM information_schema.table_constraints
        LEFT JOIN information_schema.check_constraints USING (constraint_schema, constraint_name)
        WHERE table_name = 'made' ORDER BY 1"
# Metabase's list of tables
expect 'made|' "SELECT c.relname, NULLIF(stat.n_live_tup, 0) FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid LEFT JOIN pg_stat_user_tables AS stat
        ON n.nspname = stat.schemaname AND c.relname = stat.relname WHERE c.relkind = 'r' AND c.relname = 'made'"
works 'DROP TABLE made' 'DROP DOMAIN small' 'DROP TYPE mood'

# pgAdmin's question about its role: a recursive query that joins what never has rows
expect 'kappa|f' "SELECT roles.rolname, 'pg_signal_backend' = ANY (ARRAY(WITH RECURSIVE cte AS (
        SELECT pg_roles.oid, pg_roles.rolname FROM pg_roles WHERE pg_roles.oid = roles.oid UNION ALL
        SELECT m.roleid, pgr.rolname FROM cte cte_1 JOIN pg_auth_members m ON m.member = cte_1.oid
        JOIN pg_roles pgr ON pgr.oid = m.roleid) SELECT rolname FROM cte)) FROM pg_catalog.pg_roles AS roles
        WHERE rolname = current_user"
expect '7' "WITH RECURSIVE r (n) AS (SELECT 7::oid UNION SELECT m.roleid FROM r JOIN pg_auth_members m ON m.member = r.n) TABLE r"
got=$(sql -At -c "WITH RECURSIVE r (n) AS (SELECT 7::oid UNION (SELECT m.roleid FROM r JOIN pg_auth_members m ON m.member = r.n
        UNION ALL SELECT 8::oid)) TABLE r" 2>&1)
case $got in *'it joins what never has rows'*) ;; *) fail "a recursive term without its query: $got" ;; esac
expect 1 'SELECT 1'

# what psql asks for while a name is typed
expect 'account
best
bid' "SELECT pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p')
      AND substring(pg_catalog.quote_ident(c.relname),1,1) IN ('a', 'b') AND pg_catalog.pg_table_is_visible(c.oid)
      AND c.relnamespace <> (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'pg_catalog')
      UNION SELECT pg_catalog.quote_ident(n.nspname) || '.' FROM pg_catalog.pg_namespace n WHERE false ORDER BY 1"

# a view depends on its records only
sql -v VERBOSITY=sqlstate -c "CREATE MATERIALIZED VIEW of_catalog AS SELECT count(*) AS n FROM pg_class" 2>"$SCRATCH/error" && fail "a view of pg_class"
grep -q 0A000 "$SCRATCH/error" || fail "$(cat "$SCRATCH/error")"

# what rows must be
sql <<'EOT' || fail "create checked"
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN code AS varchar(4) NOT NULL CONSTRAINT "Upper" CHECK (VALUE = upper(VALUE));
CREATE TABLE checked (id int PRIMARY KEY, price numeric CHECK (price > 0), share percent, c code, low int, high int,
  CONSTRAINT span CHECK (low < high));
EOT
describes 'Table "public.checked"
Column|Type|Collation|Nullable|Default
id|integer||not null|
price|numeric|||
share|percent|||
c|code|||
low|integer|||
high|integer|||
Indexes:
    "checked_pkey" PRIMARY KEY, hash (id)
Check constraints:
    "checked_price_check" CHECK (price > 0)
    "span" CHECK (low < high)' '\d checked'
expect "public|code|character varying(4)||not null||CHECK (VALUE = upper(VALUE))
public|percent|integer||||CHECK (VALUE BETWEEN 0 AND 100)" '\dD'
expect 'checked_pkey|p|checked|{1}
checked_price_check|c|checked|{2}
span|c|checked|{5,6}' "SELECT conname, contype, conrelid::regclass, conkey FROM pg_constraint WHERE conrelid = 'checked'::regclass ORDER BY 1"
expect 'Upper|c|code
percent_check|c|percent' "SELECT conname, contype, format_type(contypid, NULL) FROM pg_constraint WHERE contypid <> 0 ORDER BY 1"
works '\d+ checked' '\dD+' '\dO' '\db+' '\dfn' '\dfa' '\dT+ code' '\z checked'
