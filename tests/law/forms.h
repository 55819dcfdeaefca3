/*
 * For law_test.c only: what expressions are made of, as tables: functions, predicates, aggregates, window functions,
 * frames. A line here is all that a new function or aggregate needs to be in the law.
 *
 *   type  arguments  flags  form ;; form …          types by their codes (values.h), "." for none
 *
 * In a form $1, $2 … are its arguments. Every form is total over the arguments that it may get: what can fail is made
 * elsewhere, where no predicate could guard it.
 */
#ifndef KP_TESTS_LAW_FORMS_H
#define KP_TESTS_LAW_FORMS_H

#include "tests/law/values.h"

enum {
    F_BIG = 1,       /* B: arguments may be extremes */
    F_LOOSE = 2,     /* L: equal results may print differently, or be inexact */
    F_TIGHT = 4,     /* T: arguments must not be loose: their last digits would show */
    F_ORDER = 8,     /* O: the aggregate has its order written; it takes no DISTINCT */
    F_PLAIN = 16,    /* P: no DISTINCT: for the aggregate it is not allowed or changes nothing that is defined */
    W_RANK = 32,     /* R: a window function without a frame; equals are told by the order as it is */
    W_ROW = 64,      /* W: one without a frame; the whole row decides among equals */
    W_VALUE = 128,   /* V: one with frames by rows, or such a frame; the whole row decides */
    S_RETURNS = 256, /* S: a statement that may have RETURNING */
};
static const char flag_codes[] = "BLTOPRWVS";

struct form {
    const char *text, *args;
    enum type type;
    unsigned flags;
    unsigned made, succeeded; /* by this run: how often it stood in a query; of a definition: how often it succeeded */
    unsigned refused;         /* the engine does not take it */
};

enum { FORMS_IN_TABLE_MAX = 400 };

struct form_table {
    const char *name, *text;
    const char *around; /* of a sample: %s is the form; @: the form's first argument; NULL: it is tried otherwise */
    struct form forms[FORMS_IN_TABLE_MAX];
    unsigned count;
};

static struct form_table functions = {
    .name = "functions",
    .around = "EXPLAIN SELECT %s FROM p",
    .text =
        /* smallint */
    "s s   .   abs($1) ;; (-$1) ;; (~$1)\n"
    "s ss  .   ($1 & $2) ;; ($1 | $2) ;; ($1 # $2)\n"
    "s s   .   mod($1, 5::smallint)\n"
    "s i   .   $1::smallint\n"
    /* integer */
    "i i   .   abs($1) ;; (-$1) ;; (~$1)\n"
    "i ii  .   ($1 + $2)\n"
    "i is  .   ($1 - $2)\n"
    "i ii  .   ($1 & $2) ;; ($1 | $2) ;; ($1 # $2)\n"
    "i i   .   ($1 << 2)\n"
    "i i   B   ($1 >> 1) ;; ($1 % 5)\n"
    "i i   .   ($1 / 3)\n"
    "i i   B   mod($1, -7)\n"
    "i ii  .   gcd($1, $2)\n"
    "i t   .   length($1)\n"
    "i c   .   char_length($1)\n"
    "i t   .   octet_length($1)\n"
    "i y   .   length($1)\n"
    "i t   .   bit_length($1) ;; ascii($1)\n"
    "i tt  .   strpos($1, $2) ;; position($1 IN $2)\n"
    "i t   .   regexp_count($1, '[ab]')\n"
    "i b   .   $1::int\n"
    "i s   .   $1::int\n"
    "i f   T   $1::int\n"
    "i n   T   $1::int\n"
    "i i   B   $1::text::int\n"
    "i dd  .   ($1 - $2)\n"
    "i d   .   extract(year FROM $1)::int\n"
    "i m   .   extract(isodow FROM $1)::int ;; extract(week FROM $1)::int\n"
    "i h   .   extract(minute FROM $1)::int\n"
    "i it  B   num_nulls($1, $2) ;; num_nonnulls($1, $2)\n"
    "i t   .   cardinality(string_to_array($1, 'a'))\n"
    "i i   .   (string_to_array('3,1,2', ','))[1 + abs($1) % 4]::int\n"
    "i ii  B   array_length(ARRAY[$1, $2], 1)\n"
    "i i   B   array_position(ARRAY[1, 2, 3], $1)\n"
    "i f   T   width_bucket($1, -10, 10, 4)\n"
    /* bigint */
    "l i   B   $1::bigint ;; law_twice($1)\n"
    "l n   T   $1::bigint\n"
    "l li  .   ($1 + $2)\n"
    "l sl  .   ($1 - $2)\n"
    "l ls  .   ($1 * $2)\n"
    "l ll  B   ($1 # $2)\n"
    "l l   B   ($1 & 255) ;; ($1 % 9)\n"
    "l l   .   (-$1) ;; abs($1)\n"
    "l z   .   extract(epoch FROM $1)::bigint\n"
    /* real */
    "r f   T   $1::real\n"
    "r i   .   $1::real\n"
    "r r   B   abs($1)\n"
    "r rr  .   ($1 + $2)\n"
    "r r   .   ($1 / 4::real)\n"
    /* double precision */
    "f r   .   $1::float8\n"
    "f n   T   $1::float8\n"
    "f i   B   $1::float8\n"
    "f f   TB  $1::text::float8\n"
    "f ri  .   ($1 * $2) ;; ($2 - $1)\n"
    "f rf  .   ($1 + $2)\n"
    "f rn  T   ($1 - $2)\n"
    "f ff  .   ($1 + $2)\n"
    "f fr  .   ($1 - $2)\n"
    "f fi  L   ($1 * $2)\n"
    "f f   .   ($1 / 8)\n"
    "f f   B   abs($1)\n"
    "f f   BT  floor($1)\n"
    "f f   BLT ceil($1) ;; trunc($1) ;; round($1)\n"
    "f f   T   sign($1)\n"
    "f f   BL  sqrt(abs($1)) ;; (|/ abs($1))\n"
    "f f   L   cbrt($1) ;; exp(greatest(least($1, 20), -20)) ;; ln(abs($1) + 1) ;; log(abs($1) + 1) ;; sin($1) ;; "
    "cos($1)\n"
    "f ff  L   atan2($1, $2)\n"
    "f f   L   atan($1) ;; power(abs($1) + 1, 0.5::float8) ;; degrees($1) ;; radians($1)\n"
    "f m   .   date_part('hour', $1)\n"
    "f v   L   date_part('epoch', $1)\n"
    /* numeric */
    "n n   B   abs($1) ;; (-$1)\n"
    "n nn  L   ($1 + $2) ;; ($1 * $2)\n"
    "n ni  L   ($1 - $2)\n"
    "n n   B   ceil($1) ;; floor($1) ;; round($1) ;; trunc($1) ;; sign($1)\n"
    "n n   .   round($1, 3)\n"
    "n n   L   mod($1, 7)\n"
    "n n   B   div($1, 3)\n"
    "n n   L   ($1 % 2.5) ;; sqrt(abs($1)) ;; ln(abs($1) + 1) ;; log(abs($1) + 1) ;; exp(greatest(least($1 / 20, 9), "
    "-9))\n"
    "n n   L   power(abs($1) + 1, 2)\n"
    "n i   B   $1::numeric\n"
    "n l   B   $1::numeric\n"
    "n f   T   $1::numeric(9,3)\n"
    "n m   .   extract(epoch FROM $1)\n"
    "n v   .   extract(epoch FROM $1)\n"
    "n m   .   extract(second FROM $1)\n"
    "n d   B   extract(year FROM $1)\n"
    "n z   B   extract(hour FROM $1)\n"
    "n d   .   extract(julian FROM $1)\n"
    "n n   T   scale($1) + 0.5 ;; trim_scale($1)\n"
    /* text */
    "t t   .   upper($1) ;; lower($1) ;; initcap($1)\n"
    "t tt  .   ($1 || $2)\n"
    "t ti  B   ($1 || $2)\n"
    "t tib B   concat($1, '-', $2, $3)\n"
    "t ttd B   concat_ws(', ', $1, $2, $3)\n"
    "t t   .   substr($1, 2) ;; substr($1, 1, 2) ;; substring($1 FROM 2 FOR 3) ;; substring($1 FROM '[a-c]+')\n"
    "t t   .   substring($1 FROM 'a(.)') ;; left($1, 2) ;; left($1, -1)\n"
    "t ti  .   right($1, $2)\n"
    "t t   .   trim($1) ;; trim(LEADING 'ab' FROM $1) ;; rtrim($1, ' c') ;; ltrim($1) ;; btrim($1, 'a')\n"
    "t t   .   lpad($1, 5, '*') ;; rpad($1, 4) ;; repeat($1, 2) ;; replace($1, 'a', 'zz') ;; reverse($1)\n"
    "t t   .   translate($1, 'ab', 'X') ;; split_part($1, ',', 1) ;; split_part($1, 'a', -1)\n"
    "t t   .   overlay($1 PLACING 'zz' FROM 2 FOR 1) ;; regexp_replace($1, '[ab]', '<\\&>')\n"
    "t t   .   regexp_replace($1, 'B', '', 'gi') ;; regexp_substr($1, 'b.*')\n"
    "t t   .   (regexp_match($1, '(a)(.)'))[2] ;; md5($1)\n"
    "t y   .   encode(sha256($1), 'hex') ;; encode($1, 'base64')\n"
    "t t   .   quote_literal($1) ;; quote_ident($1) ;; quote_nullable($1)\n"
    "t tti B   format('%s:%L|%5s', $1, $2, $3)\n"
    "t i   B   to_hex($1)\n"
    "t i   .   chr(97 + abs($1) % 26)\n"
    "t m   .   to_char($1, 'YYYY-MM-DD HH24:MI:SS.MS') ;; to_char($1, 'Day DD FMMonth YY, HH12 AM')\n"
    "t z   .   to_char($1, 'IYYY-IW Q DDD TZ')\n"
    "t n   T   to_char($1, 'FM99,990.00')\n"
    "t i   .   to_char($1, '000S')\n"
    "t b   .   $1::text\n"
    "t i   B   $1::text\n"
    "t l   B   $1::text\n"
    "t f   BT  $1::text\n"
    "t r   BT  $1::text\n"
    "t n   BT  $1::text\n"
    "t c   .   $1::text\n"
    "t y   .   $1::text\n"
    "t d   B   $1::text\n"
    "t h   .   $1::text\n"
    "t m   B   $1::text\n"
    "t z   B   $1::text\n"
    "t v   T   $1::text\n"
    "t u   .   $1::text\n"
    "t j   .   $1::text\n"
    "t t   .   $1::varchar(3)\n"
    "t j   .   ($1 ->> 'a') ;; ($1 #>> '{b,0}') ;; jsonb_typeof($1)\n"
    "t t   .   array_to_string(string_to_array($1, 'a'), '/', 'nil')\n"
    "t t   .   array_to_string((string_to_array($1, NULL))[2:3], '') ;; to_json($1)::text\n"
    "t ti  B   json_build_object('k', $1, 'v', $2)::text\n"
    /* character(5) */
    "c t   .   $1::char(5)\n"
    "c i   .   $1::char(5)\n"
    /* bytea */
    "y y   .   sha256($1)\n"
    "y yy  .   ($1 || $2)\n"
    "y y   .   substr($1, 2)\n"
    "y t   .   convert_to($1, 'UTF8') ;; decode(md5($1), 'hex')\n"
    /* date */
    "d m   .   $1::date\n"
    "d z   .   $1::date\n"
    "d di  .   ($1 + $2)\n"
    "d d   .   ($1 - 31)\n"
    "d m   .   date_trunc('month', $1)::date\n"
    "d i   .   make_date(2024, 1 + abs($1) % 12, 28)\n"
    "d d   .   to_date($1::text, 'YYYY-MM-DD')\n"
    "d d   B   $1::text::date\n"
    /* time */
    "h m   .   $1::time\n"
    "h v   .   $1::time\n"
    "h hv  .   ($1 + $2) ;; ($1 - $2)\n"
    "h i   .   make_time(abs($1) % 24, 5, 1.5)\n"
    /* timestamp */
    "m m   B   date_trunc('minute', $1) ;; date_trunc('hour', $1) ;; date_trunc('week', $1)\n"
    "m m   B   date_trunc('quarter', $1) ;; date_trunc('century', $1)\n"
    "m m   .   date_bin(INTERVAL '7 minutes', $1, TIMESTAMP '2000-01-01')\n"
    "m mv  .   ($1 + $2) ;; ($1 - $2)\n"
    "m dh  .   ($1 + $2)\n"
    "m m   .   ($1 + INTERVAL '1 month')\n"
    "m dv  .   ($1 + $2)\n"
    "m d   B   $1::timestamp\n"
    "m z   .   ($1 AT TIME ZONE 'America/New_York')\n"
    "m i   .   make_timestamp(2024, 2, 29, abs($1) % 24, 59, 59.5)\n"
    "m m   .   $1::timestamp(0)\n"
    /* timestamptz */
    "z zv  .   ($1 - $2) ;; ($1 + $2)\n"
    "z m   .   ($1 AT TIME ZONE 'Europe/Berlin')\n"
    "z z   .   date_trunc('day', $1, 'Asia/Tokyo')\n"
    "z d   .   $1::timestamptz\n"
    "z f   T   to_timestamp($1)\n"
    /* interval; days and hours print apart, though a day equals 24 hours */
    "v mm  L   ($1 - $2)\n"
    "v zz  L   ($1 - $2)\n"
    "v hh  .   ($1 - $2)\n"
    "v vv  .   ($1 + $2)\n"
    "v v   .   ($1 * 2) ;; ($1 / 2) ;; (-$1)\n"
    "v mm  L   age($1, $2)\n"
    "v v   L   justify_hours($1)\n"
    "v v   .   date_trunc('hour', $1)\n"
    "v h   .   $1::interval\n"
    "v i   .   make_interval(hours => $1)\n"
    "v v   .   ($1)::interval(0) ;; ($1)::interval hour to minute ;; ($1)::interval day to second(1)\n"
    "v i   .   (abs($1) % 50)::text::interval minute ;; INTERVAL '1:02:03.456' HOUR TO SECOND(2) * ($1 % 5)\n"
    "t t   .   law_twice($1)\n"
    "i i   .   ($1 % 100)::small\n"
    "t t   .   left($1, 9)::word\n"
    "j j   .   jsonb_path_query_array($1, '$.b[last]') ;; jsonb_path_query_first($1, '$.a ? (@ like_regex \"^x\")')\n"
    "j ji  .   jsonb_path_query_array($1, '$[*] ? (@ > $n)', jsonb_build_object('n', $2))\n"
    /* uuid, jsonb */
    "u t   .   md5($1)::uuid\n"
    "j j   .   ($1 -> 'a') ;; ($1 -> 0)\n"
    "j t   .   to_jsonb($1)\n"
    "j i   B   to_jsonb($1)\n"
    "j ti  B   jsonb_build_object('k', $1, 'v', $2)\n"
    "j ib  B   jsonb_build_array($1, $2)\n"
    "j j   .   jsonb_strip_nulls($1)\n"
    "j jj  .   ($1 || $2)\n"
    "j j   .   ($1 #> '{a,a}')\n"
    "j a   .   to_jsonb($1)\n"
    "j x   .   to_jsonb($1)\n"
    "j b   .   to_jsonb($1)\n"
    "j m   B   to_jsonb($1)\n"
    "j j   .   jsonb_path_query_first($1, '$.a') ;; jsonb_path_query_array($1, '$.b[*]')\n"
    /* enum */
    "e e   .   $1::text::mood\n"
    "e i   .   (ARRAY['ok', 'sad']::mood[])[1 + abs($1) % 3]\n"
    "e e   .   enum_first($1)\n"
    "t e   .   $1::text\n"
    /* arrays */
    "i a   .   ($1)[1]\n"
    "i ai  .   ($1)[$2]\n"
    "i a   .   array_length($1, 1)\n"
    "i x   .   cardinality($1)\n"
    "i a   .   array_position($1, 2)\n"
    "i x   .   array_upper($1, 1)\n"
    "i a   .   coalesce(array_ndims($1), 0)\n"
    "t x   .   ($1)[2]\n"
    "t a   .   $1::text\n"
    "t x   .   $1::text ;; array_to_string($1, ',', '*')\n"
    "t a   .   array_to_string($1, '')\n"
    "a aa  .   ($1 || $2)\n"
    "a ai  B   ($1 || $2)\n"
    "a ia  B   array_prepend($1, $2)\n"
    "a a   .   array_remove($1, 2)\n"
    "a ai  B   array_replace($1, $2, 9)\n"
    "a ii  B   ARRAY[$1::int, $2]\n"
    "a a   .   ($1)[2:3] ;; $1::text::integer[]\n"
    "x t   .   string_to_array($1, 'a') ;; regexp_split_to_array($1, '[ab]')\n"
    "x xt  .   array_append($1, $2::text)\n"
    "x tt  .   ARRAY[$1::text, $2]\n"
    "x xx  .   ($1 || $2)\n"
    "x x   .   ($1)[:1]\n"
    "x t   .   regexp_match($1, '(a)(.)')\n"
    /* composite */
    "i w   .   ($1).a\n"
    "t w   .   ($1).b ;; $1::text\n"
    "j w   .   to_jsonb($1)\n"
    "w it  B   ROW($1, $2)::pair\n"
    "n n   T   to_number(to_char($1 % 1000, 'FM99990.00'), '99990.00')\n"
    "n i   .   to_number(to_char($1, 'S00000000000'), 'S99999999999')\n"
    "n i   BL  ($1::numeric / 3)\n"
    "l l   B   ($1 / 7)\n"
    "i ii  .   lcm($1 % 7, $2 % 5)\n"
    "i n   T   width_bucket($1, -10, 10, 5)\n"
    "i v   .   extract(hour FROM $1)::int\n"
    "i x   .   jsonb_array_length(to_jsonb($1))\n"
    "i ai  B   coalesce(array_position($1, $2), -1)\n"
    "z m   .   to_timestamp(to_char($1, 'YYYY-MM-DD HH24:MI:SS'), 'YYYY-MM-DD HH24:MI:SS')\n"
    "d d   .   to_date(to_char($1, 'DD Mon YYYY'), 'DD Mon YYYY')\n"
    "t j   .   jsonb_pretty($1)\n"
    "t t   .   regexp_replace($1, '(.)(.)', '\\2\\1', 'g')\n"
    "t i   B   format('%1$s-%1$s', $1)\n"
    "t d   .   to_char($1, 'FMDay, FMDDth Month YYYY')\n"
    "t v   T   to_char($1, 'HH24:MI:SS')\n"
    "t w   .   ROW(($1).b, 1)::text\n"
    "j j   .   jsonb_path_query_array($1, '$.** ? (@ > 0)') ;; jsonb_path_query_first($1, '$.b.size()')\n"
    "j j   .   jsonb_path_query_array($1, '$.*.type()') ;; ($1)['a'] ;; ($1)['b'][0]\n"
    "j ai  B   jsonb_build_object('l', $1, 'n', $2)\n"
    "j x   .   (to_jsonb($1) - 'a')\n"
    "e e   .   (enum_range(NULL::mood))[2]\n"
    "a aa  .   array_cat($1, $2)\n"
    "a ai  B   array_positions($1, $2)\n"
    /* arrays of enums and of rows */
    "e k   .   ($1)[1] ;; ($1)[cardinality($1)]\n"
    "i ke  .   array_position($1, $2)\n"
    "k kk  .   ($1 || $2)\n"
    "k ke  .   array_remove($1, $2) ;; array_append($1, $2::mood)\n"
    "k ee  .   ARRAY[$1::mood, $2]\n"
    "k k   .   ($1)[2:] ;; $1::text::mood[]\n"
    "t k   .   array_to_string($1, ',', '?') ;; $1::text\n"
    "i k   .   cardinality($1)\n"
    "w p   .   ($1)[1]\n"
    "i p   .   array_length($1, 1) ;; (($1)[1]).a\n"
    "t p   .   (($1)[2]).b ;; $1::text\n"
    "p pw  .   array_append($1, $2::pair)\n"
    "p pp  .   ($1 || $2)\n"
    "p it  .   ARRAY[ROW($1, $2)::pair, NULL]\n"
    "j p   .   to_jsonb($1)\n"
    "j k   .   to_jsonb($1)\n",
};

static struct form_table predicates = {
    .name = "predicates",
    .around = "EXPLAIN SELECT i FROM p WHERE %s",
    .text = "b t   .   $1 LIKE 'a%' ;; $1 NOT LIKE '%b%' ;; $1 LIKE '_' ;; $1 LIKE '!%_' ESCAPE '!' ;; $1 ILIKE 'B%'\n"
            "b ct  .   $1 LIKE $2\n"
            "b t   .   $1 ~ '^[ab]' ;; $1 !~ 'b$' ;; $1 ~* 'B' ;; $1 SIMILAR TO '(a|b)%'\n"
            "b tt  .   starts_with($1, $2)\n"
            "b t   .   $1 ^@ 'a'\n"
            "b b   .   $1 IS TRUE ;; $1 IS NOT FALSE ;; $1 IS UNKNOWN ;; $1 ;; (NOT $1)\n"
            "b il  B   $1 < $2\n"
            "b sn  B   $1 >= $2\n"
            "b if  B   $1 <> $2\n"
            "b rf  .   $1 > $2\n"
            "b ln  B   $1 = $2\n"
            "b dm  .   $1 <= $2\n"
            "b zd  .   $1 < $2\n"
            "b ct  .   $1 = $2\n"
            "b iti B   ($1, $2) < ($3, 'b')\n"
            "b itit B   ($1, $2) = ($3, $4)\n"
            "b it  B   ($1, $2) IS NOT NULL\n"
            "b iii B   $1 BETWEEN SYMMETRIC $2 AND $3\n"
            "b d   B   isfinite($1)\n"
            "b mvm .   ($1, $2) OVERLAPS ($3, INTERVAL '1 hour')\n"
            "b i   B   $1 = ANY (ARRAY[1, 2, NULL, 5])\n"
            "b ii  B   $1 > ALL (ARRAY[-3, $2])\n"
            "b t   .   $1 = ANY (string_to_array('a,b,ab', ','))\n"
            "b ii  B   ARRAY[$1::int, $2] @> ARRAY[1] ;; ARRAY[$1::int] && ARRAY[2, $2::int]\n"
            "b j   .   $1 @> '{\"a\": 1}' ;; $1 ? 'a'\n"
            "b iii B   $1 IN ($2, $3, 4)\n"
            "b t   .   $1 NOT IN ('a', 'b')\n"
            "b ee  .   $1 < $2\n"
            "b e   .   $1 >= 'ok' ;; $1 IN ('sad', 'happy')\n"
            "b aa  .   $1 < $2\n"
            "b xx  .   $1 = $2\n"
            "b aa  .   $1 @> $2\n"
            "b xx  .   $1 <@ $2\n"
            "b aa  .   $1 && $2\n"
            "b ai  B   $2 = ANY ($1) ;; $2 < ALL ($1)\n"
            "b xt  .   $2 LIKE ANY ($1)\n"
            "b j   .   $1 <@ '{\"a\": 1, \"b\": 2}' ;; $1 ?| ARRAY['b', 'x'] ;; $1 @? '$.a'\n"
            "b j   .   jsonb_path_exists($1, '$.a ? (@ > 0)')\n"
            "b ww  .   $1 < $2\n"
            "b w   .   $1 IS NOT NULL\n"
            "b itw B   ROW($1::int, $2::text) = $3\n"
            "b j   .   jsonb_path_match($1, 'exists($.a)') ;; $1 @@ '$.a == 1'\n"
            "b i   B   '[1, 2]' @> to_jsonb($1)\n"
            "b ww  .   $1 IS DISTINCT FROM $2\n"
            "b w   .   $1 IS NULL\n"
            "b t   .   $1 NOT SIMILAR TO '%a%' ;; $1 NOT ILIKE '%B_' ;; $1 !~* 'A'\n"
            "b iti B   ($1, $2) IN ((1, 'a'), (2, 'b'), ($3, NULL))\n"
            "b ia  B   $1 = ALL ($2) ;; $1 <> ANY ($2)\n"
            "b ttt .   $1 BETWEEN $2 AND $3\n"
            "b b   .   $1 IS NOT UNKNOWN\n"
            "b i   .   law_near($1) ;; law_near(y => $1, x => 7)\n"
            "b ii  .   law_near($1, $2)\n"
            "b ji  .   jsonb_path_exists($1, '$.** ? (@ == $n)', jsonb_build_object('n', $2))\n"
            "b kk  .   $1 @> $2 ;; $1 && $2 ;; $1 < $2\n"
            "b ek  .   $1 = ANY ($2) ;; $1 > ALL ($2)\n"
            "b pp  .   $1 = $2 ;; $1 < $2 ;; $1 IS DISTINCT FROM $2\n"
            "b wp  .   $1 = ANY ($2)\n",
};

static struct form_table aggregates = {
    .name = "aggregates",
    .around = "EXPLAIN SELECT %s FROM p GROUP BY i",
    .text = "l .   P   count(*)\n"
            "l i   BT  count($1)\n"
            "l t   T   count($1)\n"
            "l f   BT  count($1)\n"
            "l n   BT  count($1)\n"
            "l j   T   count($1)\n"
            "l u   T   count($1)\n"
            "l s   BT  sum($1)\n"
            "l i   BT  sum($1)\n"
            "n l   BT  sum($1)\n"
            "n n   B   sum($1)\n"
            "f f   L   sum($1)\n"
            "r r   L   sum($1)\n"
            "v v   L   sum($1)\n"
            "v h   L   sum($1)\n"
            "n s   BL  avg($1)\n"
            "n i   BL  avg($1)\n"
            "n l   BL  avg($1)\n"
            "n n   BL  avg($1)\n"
            "f f   L   avg($1)\n"
            "v v   L   avg($1)\n"
            "s s   BP  min($1)\n"
            "i i   BP  max($1)\n"
            "l l   BP  min($1)\n"
            "f f   BPT max($1) ;; min($1)\n"
            "r r   BP  max($1)\n"
            "n n   BPT min($1) ;; max($1)\n"
            "t t   P   min($1) ;; max($1)\n"
            "c c   P   max($1)\n"
            "d d   BP  min($1)\n"
            "h h   P   max($1)\n"
            "m m   BP  max($1)\n"
            "z z   BP  min($1)\n"
            "v v   PT  max($1)\n"
            "b b   .   bool_and($1) ;; bool_or($1) ;; every($1)\n"
            "i i   B   bit_and($1)\n"
            "l l   B   bit_or($1)\n"
            "s s   B   bit_xor($1)\n"
            "n i   L   stddev($1)\n"
            "n n   L   stddev_pop($1)\n"
            "f f   LT  stddev_samp($1)\n"
            "n l   L   var_pop($1)\n"
            "n s   L   var_samp($1)\n"
            "f f   LT  variance($1)\n"
            "f ff  LTP corr($1, $2) ;; covar_pop($1, $2) ;; covar_samp($1, $2)\n"
            "l ff  P   regr_count($1, $2)\n"
            "f ff  LTP regr_slope($1, $2)\n"
            "t t   O   string_agg($1, ',' ORDER BY $1)\n"
            "t ti  OB  string_agg($1, '-' ORDER BY $2 DESC, $1)\n"
            "t i   OB  array_agg($1 ORDER BY $1)::text\n"
            "t td  OB  array_agg($1 ORDER BY $2, $1 DESC)::text\n"
            "t i   OB  json_agg($1 ORDER BY $1)::text\n"
            "j t   O   jsonb_agg($1 ORDER BY $1)\n"
            "i i   OB  mode() WITHIN GROUP (ORDER BY $1)\n"
            "f f   OLT percentile_cont(0.5) WITHIN GROUP (ORDER BY $1)\n"
            "t t   O   percentile_disc(0.25) WITHIN GROUP (ORDER BY $1)\n"
            "i i   OB  percentile_disc(0.75) WITHIN GROUP (ORDER BY $1 DESC)\n"
            "t t   O   mode() WITHIN GROUP (ORDER BY $1)\n"
            "a i   OB  percentile_disc(ARRAY[0, 0.5, 1]) WITHIN GROUP (ORDER BY $1::int)\n"
            "f i   OL  percentile_cont(0.5) WITHIN GROUP (ORDER BY $1 DESC)\n"
            "m m   OB  percentile_disc(0.5) WITHIN GROUP (ORDER BY $1)\n"
            "e e   O   percentile_disc(0.5) WITHIN GROUP (ORDER BY $1)\n"
            "l i   OB  rank(3) WITHIN GROUP (ORDER BY $1) ;; dense_rank(3) WITHIN GROUP (ORDER BY $1)\n"
            "f i   OB  percent_rank(3) WITHIN GROUP (ORDER BY $1 DESC) ;; cume_dist(3) WITHIN GROUP (ORDER BY $1)\n"
            "a i   OB  array_agg($1::int ORDER BY $1)\n"
            "x t   O   array_agg($1::text ORDER BY $1 DESC NULLS LAST)\n"
            "a ie  OB  array_agg($1::int ORDER BY $2, $1)\n"
            "j ti  OB  jsonb_object_agg(coalesce($1, ''), $2 ORDER BY $1, $2)\n"
            "y y   O   string_agg($1, '\\x00' ORDER BY $1)\n"
            "l a   T   count($1)\n"
            "l e   T   count($1)\n"
            "e e   P   min($1) ;; max($1)\n"
            "a a   P   max($1)\n"
            "f r   L   avg($1)\n"
            "v h   L   avg($1)\n"
            "n n   L   variance($1)\n"
            "f ff  LTP regr_avgx($1, $2) ;; regr_avgy($1, $2) ;; regr_sxx($1, $2) ;; regr_sxy($1, $2)\n"
            "f ff  LTP regr_syy($1, $2) ;; regr_intercept($1, $2) ;; regr_r2($1, $2)\n"
            "l w   T   count($1)\n"
            "t w   O   array_agg($1 ORDER BY $1)::text\n"
            "t t   O   string_agg(DISTINCT $1, ',' ORDER BY $1)\n"
            "t i   OB  array_agg(DISTINCT $1 ORDER BY $1 DESC)::text\n"
            "l it  PB  count(DISTINCT ($1, $2))\n"
            "l t   O   rank('b') WITHIN GROUP (ORDER BY $1)\n"
            "l it  OB  rank(2, 'ab') WITHIN GROUP (ORDER BY $1 DESC, $2)\n"
            "f t   O   cume_dist('a') WITHIN GROUP (ORDER BY $1)\n"
            "l d   OB  dense_rank('2024-02-01') WITHIN GROUP (ORDER BY $1)\n"
            "t ti  OB  json_object_agg(coalesce($1, ''), $2 ORDER BY $1, $2)::text\n"
            "j j   O   jsonb_agg($1 ORDER BY $1)\n"
            "x x   P   min($1)\n"
            "m m   BP  min($1)\n"
            "h h   P   min($1)\n"
            "d d   BP  max($1)\n"
            "l i   BT  sum($1) + count(*)\n"
            "i i   .   max($1) - min($1)\n"
            "b ii  B   bool_or($1 > $2)\n"
            "v v   OL  percentile_cont(0.5) WITHIN GROUP (ORDER BY $1)\n"
            "l w   PB  count(DISTINCT $1)\n"
            "l it  PB  count(DISTINCT ROW($1, $2)::pair)\n"
            "t iw  OB  array_agg(($2).b ORDER BY $1, $2)::text\n"
            "f ii  OB  cume_dist(1, 2) WITHIN GROUP (ORDER BY $1, $2 DESC)\n"
            "k e   O   array_agg($1::mood ORDER BY $1)\n"
            "p w   O   array_agg($1::pair ORDER BY $1 DESC)\n"
            "l k   T   count($1)\n"
            "t ti  BP  arg_min($1, $2::int) ;; arg_max($1, $2::int)\n"
            "t tm  OB  first($1::text ORDER BY $2, $1) ;; last($1::text ORDER BY $2, $1)\n",
};

/* Aggregates that see the order of FROM's rows, of all or of those that ORDER BY leaves equal. It is written in for
 * PostgreSQL, at the end of the call. */
static struct form_table row_lists = {
    .name = "lists",
    .around = "EXPLAIN SELECT %s FROM p GROUP BY i",
    .text = "t i   B   array_agg($1)::text ;; array_agg(abs($1 % 3))::text ;; json_agg($1)::text\n"
            "t t   .   array_agg($1)::text ;; string_agg($1, ',') ;; string_agg($1, ',' ORDER BY length($1))\n"
            "t d   .   array_agg($1)::text\n"
            "j b   .   jsonb_agg($1)\n"
            "j ti  B   jsonb_object_agg(coalesce(left($1, 1), ''), $2)\n"
            "t ti  B   array_agg($1 ORDER BY $2 % 3 DESC)::text ;; array_agg($2 ORDER BY left($1, 1))::text\n"
            "t ii  B   array_agg($1 ORDER BY $2 % 3 NULLS FIRST)::text\n",
};

/* Those without W or R that are aggregates go with all frames. */
static struct form_table window_functions = {
    .name = "window functions",
    .around = "EXPLAIN SELECT %s OVER (PARTITION BY s ORDER BY i) FROM p",
    .text = "l .   W   row_number()\n"
            "l .   R   rank() ;; dense_rank()\n"
            "f .   R   percent_rank() ;; cume_dist()\n"
            "i .   W   ntile(3)\n"
            "i i   W   lag($1) ;; lag($1, 2, -7) ;; lead($1, 1, 0)\n"
            "t t   W   lead($1)\n"
            "i i   V   first_value($1)\n"
            "t t   V   last_value($1)\n"
            "i i   V   nth_value($1, 2)\n"
            "t t   V   string_agg($1, '')\n"
            "l .   .   count(*)\n"
            "l i   .   count(*) FILTER (WHERE $1 > 2) ;; sum($1)\n"
            "n l   .   sum($1)\n"
            "n i   .   avg($1)\n"
            "t t   .   max($1)\n"
            "d d   .   min($1)\n"
            "b b   .   bool_or($1)\n"
            "m m   W   lag($1)\n"
            "t t   W   lead($1, 2, $1)\n"
            "i ii  W   lag($1, $2)\n"
            "i .   W   ntile(7)\n"
            "z z   V   first_value($1)\n"
            "e e   V   nth_value($1, 3)\n"
            "a i   V   array_agg($1::int)\n"
            "n n   .   sum($1)\n"
            "l s   .   sum($1)\n"
            "l t   .   count($1)\n"
            "e e   .   min($1)\n"
            "z z   .   max($1)\n"
            "b bi  .   bool_and($1) FILTER (WHERE $2 > 0)\n"
            "j i   V   jsonb_agg($1)\n"
            "t ti  V   string_agg($1, ',') FILTER (WHERE $2 > 0) ;; nth_value($1, 1 + abs($2) % 3)\n"
            "t tt  W   lag($1, 1, $2)\n"
            "e e   W   lead($1)\n"
            "d d   V   last_value($1)\n"
            "i i   .   bit_xor($1) ;; min($1) ;; max($1)\n",
};

/* With those by rows the whole row decides among equals, so that PostgreSQL's have no ties to exclude. An argument is
 * the type that the order has. */
static struct form_table frames = {
    .name = "frames",
    .around = "EXPLAIN SELECT sum(i) OVER (PARTITION BY s ORDER BY @ %s) FROM p",
    .text = "b .   .   \n"
            "b .   .   RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING\n"
            "b .   .   RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING\n"
            "b .   .   GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW ;; GROUPS BETWEEN CURRENT ROW AND 1 FOLLOWING\n"
            "b .   .   GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE GROUP\n"
            "b .   V   ROWS BETWEEN 2 PRECEDING AND CURRENT ROW ;; ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING\n"
            "b .   V   ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING\n"
            "b .   V   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW\n"
            "b .   V   ROWS UNBOUNDED PRECEDING ;; ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING\n"
            "b .   .   GROUPS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE TIES\n"
            "b .   .   RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE TIES\n"
            "b .   .   RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE GROUP\n"
            "b .   .   GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING\n"
            "b .   .   GROUPS BETWEEN 2 FOLLOWING AND UNBOUNDED FOLLOWING\n"
            "b i   .   RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING\n"
            "b l   .   RANGE BETWEEN 3 PRECEDING AND 1 PRECEDING\n"
            "b f   .   RANGE BETWEEN CURRENT ROW AND 2.5 FOLLOWING EXCLUDE CURRENT ROW\n"
            "b n   .   RANGE BETWEEN 1.25 PRECEDING AND UNBOUNDED FOLLOWING\n"
            "b m   .   RANGE BETWEEN INTERVAL '1 minute' PRECEDING AND CURRENT ROW\n"
            "b z   .   RANGE BETWEEN INTERVAL '1 day' PRECEDING AND INTERVAL '10 hours' FOLLOWING\n"
            "b d   .   RANGE BETWEEN '3 days' PRECEDING AND '1 month' FOLLOWING\n"
            "b h   .   RANGE BETWEEN '5 minutes' PRECEDING AND '10 minutes' FOLLOWING\n"
            "b v   .   RANGE BETWEEN '1 hour' PRECEDING AND CURRENT ROW\n"
            "b s   .   RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES\n"
            "b r   .   RANGE BETWEEN 0.5 PRECEDING AND 0.5 FOLLOWING\n"
            "b .   .   GROUPS BETWEEN 2 PRECEDING AND 1 PRECEDING ;; GROUPS 1 PRECEDING ;; RANGE CURRENT ROW\n"
            "b .   V   ROWS BETWEEN CURRENT ROW AND CURRENT ROW ;; ROWS BETWEEN 2 FOLLOWING AND UNBOUNDED FOLLOWING\n",
};

static inline void forms_read(struct form_table *table)
{
    char *at = kp_strdup(table->text); /* as long as the process */
    for (char *line; (line = strsep(&at, "\n")) && *line;) {
        char *words[3];
        for (unsigned i = 0; i < KP_COUNT(words); i++) {
            words[i] = strsep(&line, " ");
            line += strspn(line, " ");
        }
        struct form form = {.args = words[1][0] == '.' ? "" : words[1], .type = type_of_code(words[0][0])};
        for (const char *flag = words[2]; *flag && *flag != '.'; flag++)
            form.flags |= 1u << (strchr(flag_codes, *flag) - flag_codes);
        for (char *next; line; line = next) {
            next = strstr(line, " ;; ");
            if (next) {
                *next = 0;
                next += 4;
            }
            form.text = line;
            if (table->count == FORMS_IN_TABLE_MAX)
                abort();
            table->forms[table->count++] = form;
        }
    }
}

#endif
