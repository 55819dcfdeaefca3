#!/bin/bash
# Every \d form of psql, with and without a name, asks the catalog without an error; functions are shown as PostgreSQL does.
set -u
fail() {
    echo "FAILED: $*"
    exit 1
}
psql -X -q -v ON_ERROR_STOP=1 <<'SQL' || fail "making objects"
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE t (id int PRIMARY KEY, m mood, p positive, n numeric(8,2) DEFAULT 1, CHECK (id > 0));
CREATE MATERIALIZED VIEW v AS SELECT m, count(*) AS n FROM t GROUP BY m;
CREATE VIEW pv AS SELECT id FROM t;
CREATE SOURCE s (a int) WITH (topic = 's', format = 'json');
CREATE SINK sk FROM v WITH (topic = 'out');
CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql AS 'SELECT x * 2';
CREATE FUNCTION label(m mood, prefix text DEFAULT 'x') RETURNS text IMMUTABLE STRICT LANGUAGE sql AS $$ SELECT prefix || m::text $$;
CREATE FUNCTION many() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t';
CREATE FUNCTION pairs(n int) RETURNS TABLE(a int, b text) STABLE LANGUAGE sql AS 'SELECT id, m::text FROM t WHERE id < n';
CREATE FUNCTION total(VARIADIC xs int[]) RETURNS bigint LANGUAGE sql AS 'SELECT sum(x) FROM unnest(xs) AS x';
CREATE FUNCTION total(a text) RETURNS text LANGUAGE sql AS 'SELECT a';
SQL

forms=()
for form in d da dA dAc dAf dAo dAp db dc dC dconfig dd dD ddp dE des det deu dew df dfa dfn dfp dft dfw dF dFd dFp dFt dg di \
    dl dL dm dn do dO dp dP drds dRp dRs ds dt dT du dv dx dX dy l z dtvmsE dtS dS dfS dTS doS; do
    forms+=(-c "\\$form")
    case $form in dp | dP | z | drds | dfS | dft | dtvmsE) ;; *) forms+=(-c "\\$form+") ;; esac
done
for what in 'd t' 'd+ t' 'd v' 'd+ v' 'd pv' 'd+ pv' 'd s' 'd+ s' 'd sk' 'd+ sk' 'd t_pkey' 'd+ t_pkey' 'df twice' 'df+ twice' \
    'dT mood' 'dT+ mood' 'dT+ pair' 'sf twice' 'sf+ twice' 'sf total(text)' 'sv pv' 'sv+ pv' 'sv v' 'z t' 'dt public.*' \
    'df public.*' 'dfS lower' 'doS ='; do
    forms+=(-c "\\$what")
done
psql -X "${forms[@]}" >"$SCRATCH/forms" 2>&1
grep -q 'ERROR\|FATAL' "$SCRATCH/forms" && fail "$(grep -A3 'ERROR\|FATAL' "$SCRATCH/forms")"

wanted='public|label|text|m mood, prefix text DEFAULT '"'x'::text"'|func
public|many|SETOF t||func
public|pairs|TABLE(a integer, b text)|n integer|func
public|total|bigint|VARIADIC xs integer[]|func
public|total|text|a text|func
public|twice|integer|x integer|func
CREATE OR REPLACE FUNCTION public.twice(x integer)
 RETURNS integer
 LANGUAGE sql
AS $function$SELECT x * 2$function$
CREATE OR REPLACE FUNCTION public.label(m mood, prefix text DEFAULT '"'x'::text"')
 RETURNS text
 LANGUAGE sql
 IMMUTABLE STRICT
AS $function$ SELECT prefix || m::text $function$
CREATE OR REPLACE FUNCTION public.total(a text)
 RETURNS text
 LANGUAGE sql
AS $function$SELECT a$function$
m mood, prefix text DEFAULT '"'x'::text"'|m mood, prefix text'
got=$(psql -X -At -c '\df' -c '\sf twice' -c '\sf label' -c '\sf total(text)' \
    -c "SELECT pg_get_function_arguments('label'::regproc), pg_get_function_identity_arguments('label'::regproc)" 2>&1)
[ "$got" = "$wanted" ] || fail "$(diff <(echo "$wanted") <(echo "$got"))"
echo "psql's forms: ${#forms[@]} arguments, ok"
