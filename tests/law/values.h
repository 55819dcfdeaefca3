/*
 * For law_test.c only: randomness, column types, and random values as SQL and as JSON.
 *
 * A column is `big` if it holds extremes (no arithmetic on it, or every answer is an overflow) and `loose` if equal
 * values may be printed differently or differ in their last bits (numeric of mixed scale, inexact floats): those are
 * neither keys nor order nor compared. `narrow` columns have few values, so that keys and times meet.
 */
#ifndef KP_TESTS_LAW_VALUES_H
#define KP_TESTS_LAW_VALUES_H

#include "base/buf.h"

/* Choices. With a tape they are those on the tape, and the least where it ends: so that shrinking can make a query
 * simpler by changing its tape. 0 is the simplest choice everywhere. */
struct dice {
    uint64_t state;
    struct tape *tape; /* NULL: none */
};
struct tape {
    uint32_t *choices;
    uint32_t count, cap, at;
    bool replay; /* else what is chosen is written down */
};
static inline uint32_t roll(struct dice *dice, uint32_t sides)
{
    struct tape *tape = dice->tape;
    if (tape && tape->replay)
        return tape->at < tape->count ? tape->choices[tape->at++] % sides : 0;
    uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    uint32_t choice = (uint32_t)((z ^ z >> 31) >> 33) % sides;
    if (tape) {
        if (tape->count == tape->cap) {
            tape->cap = tape->cap ? tape->cap * 2 : 256;
            tape->choices = kp_realloc(tape->choices, tape->cap * sizeof *tape->choices);
        }
        tape->choices[tape->count++] = choice;
    }
    return choice;
}
static inline bool chance(struct dice *dice, uint32_t percent)
{
    return roll(dice, 100) + percent >= 100;
}

enum type {
    T_BOOL,
    T_INT2,
    T_INT4,
    T_INT8,
    T_FLOAT8,
    T_NUMERIC,
    T_TEXT,
    T_DATE,
    T_TIMESTAMP,
    T_TIMESTAMPTZ,
    T_INTERVAL,
    T_FLOAT4,
    T_BPCHAR,
    T_BYTEA,
    T_TIME,
    T_UUID,
    T_JSONB,
    T_ENUM,
    T_TIMETZ,
    T_INTS,
    T_TEXTS,
    T_PAIR,
    T_MOODS,
    T_PAIRS,
    T_DATES,
    T_JSON, /* has no equality: always loose */
    TYPES
};
static const char *const type_names[TYPES] = {
    "boolean",   "smallint",    "integer",  "bigint",    "double precision", "numeric", "text",   "date",
    "timestamp", "timestamptz", "interval", "real",      "char(5)",          "bytea",   "time",   "uuid",
    "jsonb",     "mood",        "timetz",   "integer[]", "text[]",           "pair",    "mood[]", "pair[]",
    "date[]",    "json"};
static const char type_codes[TYPES] = {'b', 's', 'i', 'l', 'f', 'n', 't', 'd', 'm', 'z', 'v', 'r', 'c',
                                       'y', 'h', 'u', 'j', 'e', 'q', 'a', 'x', 'w', 'k', 'p', 'g', 'o'};

/* Types and domains that every world has; a domain is a column's declaration only: its values are of the type below. */
static const char law_types[] = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'a b')";
static const char law_composite[] = "CREATE TYPE pair AS (a integer, b text)";
static const char law_domain_int[] = "CREATE DOMAIN small AS integer CHECK (VALUE < 1000)";
static const char law_domain_ints[] = "CREATE DOMAIN few AS integer[] CHECK (cardinality(VALUE) < 9)";
static const char law_domain_text[] = "CREATE DOMAIN word AS text CHECK (length(VALUE) < 50)";
static const char *const law_setup[] = {
    law_types,
    law_composite,
    law_domain_int,
    law_domain_text,
    law_domain_ints,
    "CREATE FUNCTION law_twice(x integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 2 * x::bigint'",
    "CREATE FUNCTION law_twice(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT x || x'",
    "CREATE FUNCTION law_near(x integer, y integer DEFAULT 3) RETURNS boolean LANGUAGE sql IMMUTABLE"
    " AS 'SELECT abs(x % 100 - y) < 4'",
    "CREATE FUNCTION law_steps(n integer) RETURNS TABLE (a integer, b text) LANGUAGE sql IMMUTABLE"
    " AS 'SELECT g, repeat(''a'', g) FROM generate_series(1, n) AS g'",
};

/* What PostgreSQL lacks: kappa's arg_min, arg_max (among equal keys the least value counts), first and last; the
 * approximate ones are exact here, and compared within their error. */
static const char law_lacked[] =
    "CREATE FUNCTION law_arg_min(s pair, v text, k integer) RETURNS pair LANGUAGE sql AS 'SELECT CASE WHEN k IS NOT "
    "NULL "
    "AND ((s).a IS NULL OR k < (s).a OR (k = (s).a AND (v < (s).b OR (s).b IS NULL))) THEN ROW(k, v)::law.pair ELSE s "
    "END';"
    "CREATE FUNCTION law_arg_max(s pair, v text, k integer) RETURNS pair LANGUAGE sql AS 'SELECT CASE WHEN k IS NOT "
    "NULL "
    "AND ((s).a IS NULL OR k > (s).a OR (k = (s).a AND (v < (s).b OR (s).b IS NULL))) THEN ROW(k, v)::law.pair ELSE s "
    "END';"
    "CREATE FUNCTION law_value(s pair) RETURNS text LANGUAGE sql AS 'SELECT (s).b';"
    "CREATE FUNCTION law_first(s text[]) RETURNS text LANGUAGE sql AS 'SELECT s[1]';"
    "CREATE FUNCTION law_last(s text[]) RETURNS text LANGUAGE sql AS 'SELECT s[cardinality(s)]';"
    "CREATE FUNCTION law_different(s text[]) RETURNS bigint LANGUAGE sql AS 'SELECT count(DISTINCT u) FROM unnest(s) "
    "AS "
    "u';"
    "CREATE FUNCTION law_noted(s float8[], v float8, p float8) RETURNS float8[] LANGUAGE sql AS 'SELECT "
    "array_append(s, "
    "v)';"
    "CREATE FUNCTION law_quantile(s float8[]) RETURNS float8 LANGUAGE sql AS 'SELECT percentile_disc(0.5) WITHIN GROUP "
    "(ORDER BY u) FROM unnest(s) AS u';"
    "CREATE FUNCTION law_noted_int(s text[], v integer) RETURNS text[] LANGUAGE sql AS 'SELECT array_append(s, "
    "v::text)';"
    "CREATE AGGREGATE approx_count_distinct(text) (sfunc = array_append, stype = text[], finalfunc = law_different, "
    "initcond = '{}');"
    "CREATE AGGREGATE approx_count_distinct(integer) (sfunc = law_noted_int, stype = text[], finalfunc = "
    "law_different, "
    "initcond = '{}');"
    "CREATE AGGREGATE approx_quantile(float8, float8) (sfunc = law_noted, stype = float8[], finalfunc = law_quantile);"
    "CREATE AGGREGATE any_value(text) (sfunc = text_smaller, stype = text);"
    "CREATE AGGREGATE min_by(text, integer) (sfunc = law_arg_min, stype = pair, finalfunc = law_value);"
    "CREATE AGGREGATE max_by(text, integer) (sfunc = law_arg_max, stype = pair, finalfunc = law_value);"
    "CREATE AGGREGATE arg_min(text, integer) (sfunc = law_arg_min, stype = pair, finalfunc = law_value);"
    "CREATE AGGREGATE arg_max(text, integer) (sfunc = law_arg_max, stype = pair, finalfunc = law_value);"
    "CREATE AGGREGATE first(text) (sfunc = array_append, stype = text[], finalfunc = law_first);"
    "CREATE AGGREGATE last(text) (sfunc = array_append, stype = text[], finalfunc = law_last);\n";

/*
 * What a table had, for FOR SYSTEM_TIME: each version and each row that went, in the order of the writes. What a
 * transaction made of a row before its last write of it is none: only that one is in the log.
 */
static const char law_history[] =
    "CREATE FUNCTION law_note() RETURNS trigger LANGUAGE plpgsql AS $law$ DECLARE last text := 'DELETE FROM "
    "law_h_' || TG_TABLE_NAME || ' WHERE law_x = txid_current() AND id = ($1).id'; note text := 'INSERT INTO "
    "law_h_' || TG_TABLE_NAME || ' SELECT %s, nextval(''law_order''), now(), %s, txid_current()'; BEGIN IF TG_OP "
    "= 'TRUNCATE' THEN EXECUTE format('DELETE FROM law_h_%1$I WHERE law_x = txid_current() AND id IN (SELECT id "
    "FROM %1$I)', TG_TABLE_NAME); EXECUTE format(note || ' FROM %I', '*', 'true', TG_TABLE_NAME); RETURN NULL; "
    "END IF; IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND OLD.id <> NEW.id) THEN EXECUTE last USING OLD; EXECUTE "
    "format(note, '($1).*', 'true') USING OLD; END IF; IF TG_OP <> 'DELETE' THEN EXECUTE last USING NEW; EXECUTE "
    "format(note, '($1).*', 'false') USING NEW; END IF; RETURN NULL; END $law$;\n";

/* Of these there is no min. */
static inline bool type_has_min(enum type type)
{
    return type != T_BOOL && type != T_BYTEA && type != T_UUID && type != T_JSONB && type < T_INTS;
}

static inline enum type type_of_code(char code)
{
    for (unsigned i = 0; i < TYPES; i++)
        if (type_codes[i] == code)
            return (enum type)i;
    return TYPES;
}

enum {
    BIG = 1,
    LOOSE = 2,
    DERIVED = 4, /* by a query: PostgreSQL may know its value */
    NARROW = 8,
    KEYLESS = 16 /* an id that is no key */
};

struct column {
    char name[24];
    enum type type;
    unsigned flags;
};

static const char *const texts[] = {"",
                                    "a",
                                    "b",
                                    "B",
                                    "ab",
                                    "ab c",
                                    "\xc3\xa9t\xc3\xa9",
                                    "10",
                                    "-3",
                                    "x,y",
                                    "(q)",
                                    "o'clock",
                                    "\"w\"",
                                    "a\\b",
                                    " pad ",
                                    "NULL",
                                    "longer than twelve bytes",
                                    "longer than twelve bytes, but other",
                                    "%_"};

/* One value: *json is NULL for NULL. Texts live in the arena. */
static inline void value_make(struct dice *dice, struct kp_arena *arena, const struct column *column, char **ret_sql,
                              char **ret_json)
{
    bool big = column->flags & BIG;
    bool narrow = column->flags & NARROW;
    int n = narrow ? (int)roll(dice, 5) - 2 : (int)roll(dice, 25) - 12;
    char *text = NULL;
    bool bare = false; /* in JSON: a number or word */
    if (chance(dice, 12)) {
        *ret_sql = kp_arena_printf(arena, "NULL");
        *ret_json = NULL;
        return;
    }
    switch (column->type) {
    case T_BOOL:
        text = n < 0 ? "false" : "true";
        bare = true;
        break;
    case T_INT2:
    case T_INT4:
    case T_INT8: {
        static const char *const extremes[3][2] = {
            {"-32768", "32767"}, {"-2147483648", "2147483647"}, {"-9223372036854775808", "9223372036854775807"}};
        text = big && chance(dice, 30) ? kp_arena_strdup(arena, extremes[column->type - T_INT2][roll(dice, 2)])
                                       : kp_arena_printf(arena, "%d", n);
        bare = true;
        break;
    }
    case T_FLOAT4:
    case T_FLOAT8: {
        static const char *const extremes[] = {"NaN",      "Infinity", "-Infinity", "1e+30",
                                               "-1.5e-30", "1e+150",   "-1.5e-150"};
        if (big && chance(dice, 30))
            text = kp_arena_strdup(arena, extremes[roll(dice, column->type == T_FLOAT4 ? 5 : 7)]);
        else if (column->flags & LOOSE)
            text = kp_arena_printf(arena, "%d.%u", n, roll(dice, 1000));
        else
            text = kp_arena_printf(arena, "%.3f", n / 8.0);
        bare = true;
        break;
    }
    case T_NUMERIC:
        if (big && chance(dice, 20)) {
            /* numeric(42,2) has no infinities */
            static const char *const extremes[] = {"123456789012345678901234567890123456.75",
                                                   "-99999999999999999999.25", "NaN", "Infinity", "-Infinity"};
            text = kp_arena_strdup(arena, extremes[roll(dice, column->flags & LOOSE ? 5 : 3)]);
        } else if (column->flags & LOOSE)
            text = chance(dice, 50) ? kp_arena_printf(arena, "%d.%0*u", n, 1 + (int)roll(dice, 6), roll(dice, 10))
                                    : kp_arena_printf(arena, "%d", n);
        else
            text = kp_arena_printf(arena, "%d.%02u", n, roll(dice, 4) * 25);
        bare = true;
        break;
    case T_TEXT:
        text = (char *)(uintptr_t)texts[roll(dice, KP_COUNT(texts))];
        break;
    case T_DATE:
        if (narrow)
            text = kp_arena_printf(arena, "2024-02-%02u", 1 + roll(dice, 4));
        else
            text = big && chance(dice, 30)
                       ? kp_arena_strdup(arena, ((const char *[]){"0001-01-01", "9999-12-31", "infinity",
                                                                  "-infinity"})[roll(dice, 4)])
                       : kp_arena_printf(arena, "2024-0%u-%02u", 1 + roll(dice, 3), 1 + roll(dice, 28));
        break;
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ:
        if (big && chance(dice, 15)) {
            text = kp_arena_strdup(arena, chance(dice, 50) ? "infinity" : "-infinity");
            break;
        }
        if (narrow) {
            text = kp_arena_printf(arena, "2024-01-27 0%u:00:%u0", roll(dice, 2), roll(dice, 3));
            break;
        }
        if (chance(dice, 15)) { /* when the clock stands there, and with it now() */
            text = kp_arena_printf(arena, "2024-0%u-%02u %02u:00:00%s", 1 + roll(dice, 3), 1 + roll(dice, 28),
                                   chance(dice, 60) ? 0 : roll(dice, 24), column->type == T_TIMESTAMPTZ ? "+00" : "");
            break;
        }
        text = kp_arena_printf(arena, "2024-0%u-%02u %02u:%02u:%02u%s%s", 1 + roll(dice, 3), 27 + roll(dice, 2),
                               roll(dice, 24), roll(dice, 60), roll(dice, 60), chance(dice, 30) ? ".125" : "",
                               column->type == T_TIMESTAMPTZ ? chance(dice, 50) ? "+00" : "+05:30" : "");
        break;
    case T_INTERVAL:
        if (column->flags & LOOSE) { /* a day equals 24 hours, a month 30 days */
            static const char *const mixed[] = {"1 day",
                                                "24:00:00",
                                                "1 mon",
                                                "30 days",
                                                "-1 mon +2 days 03:00:00",
                                                "1 year 2 mons",
                                                "720:00:00",
                                                "2 days -01:30:00",
                                                "00:00:00.000001"};
            text = kp_arena_strdup(arena, mixed[roll(dice, KP_COUNT(mixed))]);
            break;
        }
        text = kp_arena_printf(arena, "%s%u:%02u:%02u", chance(dice, 20) ? "-" : "", roll(dice, 20), roll(dice, 60),
                               roll(dice, 60));
        break;
    case T_BPCHAR:
        text = (char *)(uintptr_t)((const char *[]){"", "a", "b", "ab", "B", "a b", "10"})[roll(dice, 7)];
        break;
    case T_BYTEA:
        text =
            (char *)(uintptr_t)((const char *[]){"\\x", "\\x00", "\\x61", "\\xff00", "\\x6162636465"})[roll(dice, 5)];
        break;
    case T_TIME:
        text = kp_arena_printf(arena, "%02u:%02u:%02u%s", roll(dice, 24), roll(dice, 60), roll(dice, 60),
                               chance(dice, 30) ? ".5" : "");
        break;
    case T_TIMETZ:
        text = kp_arena_printf(arena, "%02u:%02u:00%s", roll(dice, 24), roll(dice, 4) * 15,
                               ((const char *[]){"+00", "+01", "-03:30", "+05:45"})[roll(dice, 4)]);
        break;
    case T_UUID:
        text = kp_arena_printf(arena, "0000000%u-0000-4000-8000-00000000000a", roll(dice, 8));
        break;
    case T_JSON:
    case T_JSONB: {
        static const char *const documents[] = {"1",      "{\"a\": 1}", "{\"a\": \"x\", \"b\": [true, null]}",
                                                "[1, 2]", "-2.5",       "true",
                                                "{}",     "[]",         "{\"a\": {\"a\": 1}}",
                                                "null"};
        text = (char *)(uintptr_t)documents[roll(dice, KP_COUNT(documents))];
        *ret_sql = kp_arena_printf(arena, "'%s'", text);
        *ret_json = text;
        return;
    }
    case T_ENUM:
        text = (char *)(uintptr_t)((const char *[]){"sad", "ok", "happy", "a b"})[roll(dice, 4)];
        break;
    case T_INTS:
    case T_TEXTS: {
        static const char *const arrays[2][7][2] = {{{"{}", "[]"},
                                                     {"{1}", "[1]"},
                                                     {"{1,2}", "[1,2]"},
                                                     {"{2,1}", "[2,1]"},
                                                     {"{NULL,3}", "[null,3]"},
                                                     {"{-5,2,2}", "[-5,2,2]"},
                                                     {"{7,NULL}", "\"{7,NULL}\""}},
                                                    {{"{}", "[]"},
                                                     {"{a}", "[\"a\"]"},
                                                     {"{a,b}", "[\"a\",\"b\"]"},
                                                     {"{b,NULL}", "[\"b\",null]"},
                                                     {"{\"a b\",\"\"}", "[\"a b\",\"\"]"},
                                                     {"{\"x,y\",B}", "[\"x,y\",\"B\"]"},
                                                     {"{\"NULL\",a}", "[\"NULL\",\"a\"]"}}};
        const char *const *pair = arrays[column->type - T_INTS][roll(dice, 7)];
        *ret_sql = kp_arena_printf(arena, "'%s'", pair[0]);
        *ret_json = kp_arena_strdup(arena, pair[1]);
        return;
    }
    case T_PAIR: {
        static const char *const pairs[][2] = {{"(1,a)", "{\"a\":1,\"b\":\"a\"}"},
                                               {"(1,b)", "{\"a\":1,\"b\":\"b\"}"},
                                               {"(2,)", "{\"a\":2}"},
                                               {"(,)", "{\"a\":null,\"b\":null}"},
                                               {"(-3,\"a b\")", "{\"b\":\"a b\",\"a\":-3}"}};
        const char *const *pair = pairs[roll(dice, KP_COUNT(pairs))];
        *ret_sql = kp_arena_printf(arena, "'%s'", pair[0]);
        *ret_json = kp_arena_strdup(arena, pair[1]);
        return;
    }
    case T_DATES: {
        static const char *const arrays[][2] = {{"{}", "[]"},
                                                {"{2024-02-01}", "[\"2024-02-01\"]"},
                                                {"{2024-02-03,NULL}", "[\"2024-02-03\",null]"},
                                                {"{9999-12-31,2024-01-31}", "[\"9999-12-31\",\"2024-01-31\"]"},
                                                {"{0001-01-01,2024-02-01}", "[\"0001-01-01\",\"2024-02-01\"]"}};
        const char *const *pair = arrays[roll(dice, KP_COUNT(arrays))];
        *ret_sql = kp_arena_printf(arena, "'%s'", pair[0]);
        *ret_json = kp_arena_strdup(arena, pair[1]);
        return;
    }
    case T_MOODS:
    case T_PAIRS: {
        static const char *const arrays[2][5][2] = {
            {{"{}", "[]"},
             {"{sad}", "[\"sad\"]"},
             {"{ok,\"a b\"}", "[\"ok\",\"a b\"]"},
             {"{happy,NULL}", "[\"happy\",null]"},
             {"{a b,sad,sad}", "[\"a b\",\"sad\",\"sad\"]"}},
            {{"{}", "[]"},
             {"{\"(1,a)\"}", "[{\"a\":1,\"b\":\"a\"}]"},
             {"{\"(2,)\",NULL}", "[{\"a\":2},null]"},
             {"{\"(1,b)\",\"(1,a)\"}", "[{\"a\":1,\"b\":\"b\"},{\"b\":\"a\",\"a\":1}]"},
             {"{\"(,)\"}", "[{}]"}}};
        const char *const *pair = arrays[column->type - T_MOODS][roll(dice, 5)];
        *ret_sql = kp_arena_printf(arena, "'%s'", pair[0]);
        *ret_json = kp_arena_strdup(arena, pair[1]);
        return;
    }
    case TYPES:
        break;
    }
    struct kp_buf out = {0};
    bool word = bare && column->type != T_BOOL && (strstr(text, "N") || strstr(text, "I")); /* in JSON a string */
    if (bare && text[0] != '-' && !word) {
        *ret_sql = text;
    } else if (bare) {
        *ret_sql = kp_arena_printf(arena, "'%s'", text);
    } else {
        kp_buf_append_byte(&out, '\'');
        for (const char *c = text; *c; c++)
            kp_buf_append(&out, *c == '\'' ? "''" : c, *c == '\'' ? 2 : 1);
        kp_buf_append(&out, "'", 2);
        *ret_sql = kp_arena_strdup(arena, (char *)out.data);
    }
    out.len = 0;
    if (bare && !word) {
        kp_buf_append_text(&out, text);
    } else {
        kp_buf_append_json_string(&out, kp_str(text));
    }
    kp_buf_append_byte(&out, 0);
    *ret_json = kp_arena_strdup(arena, (char *)out.data);
    kp_buf_finish(&out);
}

#endif
