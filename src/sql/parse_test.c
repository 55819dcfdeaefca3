/* Splitting scripts, statements' parts, and text that means harm: deep, long, broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <threads.h>

#include <cmocka.h>

#include "sql/sql.h"

/* ---- splitting ---- */

static void check_split(const char *script, const char *const *expected, size_t count)
{
    struct kp_str rest = kp_str(script);
    for (size_t i = 0; i < count; i++) {
        size_t start, len, next;
        kp_sql_split(rest, &start, &len, &next);
        assert_int_equal(len, strlen(expected[i]));
        assert_memory_equal(rest.ptr + start, expected[i], len);
        rest = (struct kp_str){rest.ptr + next, rest.len - next};
    }
    assert_int_equal(rest.len, 0);
}

#define CHECK_SPLIT(script, ...)                                                                                       \
    check_split(script, (const char *const[]){__VA_ARGS__}, KP_COUNT(((const char *const[]){__VA_ARGS__})))

static void splits_at_semicolons(void **state)
{
    CHECK_SPLIT("SELECT 1", "SELECT 1");
    CHECK_SPLIT("SELECT 1;", "SELECT 1");
    CHECK_SPLIT("SELECT 1; SELECT 2 ;\n", "SELECT 1", "SELECT 2", "");
    CHECK_SPLIT(";;a", "", "", "a");
    CHECK_SPLIT("  -- only a comment\n", "");
    CHECK_SPLIT("-- before; it\nSELECT 1 -- behind; it\n; b", "SELECT 1", "b");
    CHECK_SPLIT("SELECT 'a;b', \"c;d\", 'it''s;'; x", "SELECT 'a;b', \"c;d\", 'it''s;'", "x");
    CHECK_SPLIT("SELECT E'a\\';b'; x", "SELECT E'a\\';b'", "x");
    CHECK_SPLIT("SELECT 'a\\'; x", "SELECT 'a\\'", "x");
    CHECK_SPLIT("SELECT $$a;b$$, $t$ $$;$t$; x", "SELECT $$a;b$$, $t$ $$;$t$", "x");
    CHECK_SPLIT("SELECT $1; x", "SELECT $1", "x");
    CHECK_SPLIT("SELECT a$b$;c$b$; x", "SELECT a$b$", "c$b$", "x");
    CHECK_SPLIT("/* a; /* nested; */ b; */ SELECT 1 /* c; */; x", "SELECT 1", "x");
    CHECK_SPLIT("CREATE RULE r AS DO (a; b); x", "CREATE RULE r AS DO (a; b)", "x");
}

static void split_takes_broken_ends(void **state)
{
    CHECK_SPLIT("SELECT 'open; x", "SELECT 'open; x");
    CHECK_SPLIT("SELECT \"open; x", "SELECT \"open; x");
    CHECK_SPLIT("SELECT $$open; x", "SELECT $$open; x");
    CHECK_SPLIT("/* open; x", "/* open; x");
    CHECK_SPLIT("SELECT 1 /* a; /* b; */ c; x", "SELECT 1 /* a; /* b; */ c; x");
    CHECK_SPLIT("SELECT 1 - ", "SELECT 1 -");
    CHECK_SPLIT("", "");
}

/* ---- parts of statements ---- */

struct parsed {
    struct kp_arena arena;
    struct kp_statement *statement;
    struct kp_error err;
    enum kp_code code;
};

static struct parsed parse(const char *text)
{
    struct parsed parsed = {0};
    parsed.code = kp_sql_parse(kp_str(text), &parsed.arena, &parsed.statement, &parsed.err);
    if (parsed.code != KP_OK)
        parsed.statement = NULL;
    return parsed;
}

static void reads_as_of(void **state)
{
    struct parsed p = parse("SELECT * FROM v AS OF POSITION 9007199254740993 WHERE x = 1");
    assert_int_equal(p.code, KP_OK);
    assert_int_equal(p.statement->as_of, KP_AS_OF_POSITION);
    assert_int_equal(p.statement->as_of_position, 9007199254740993);
    kp_arena_finish(&p.arena);
    p = parse("SELECT a AS of_course FROM v AS OF TIMESTAMP '2020-01-01 o''clock'");
    assert_int_equal(p.code, KP_OK);
    assert_string_equal(p.statement->as_of_timestamp, "2020-01-01 o'clock");
    kp_arena_finish(&p.arena);
    p = parse("SELECT 1 AS OF POSITION 1 AS OF POSITION 2");
    assert_string_equal(p.err.sqlstate, "42601");
    assert_int_equal(p.err.position, 27);
    kp_arena_finish(&p.arena);
}

static void reads_view_words(void **state)
{
    struct parsed p =
        parse("create materialized view if not exists \"V\" with (lateness = '1 day', x.y = -5, z = on) as "
              "select 1 on error skip emit on window close;");
    assert_int_equal(p.code, KP_OK);
    const struct kp_statement *s = p.statement;
    assert_int_equal(s->kind, KP_STATEMENT_CREATE);
    assert_string_equal(s->name.name, "V");
    assert_string_equal(s->tag, "CREATE MATERIALIZED VIEW");
    assert_true(s->if_not_exists && s->emit_on_close && s->skip_errors);
    assert_int_equal(s->option_count, 3);
    assert_string_equal(s->options[1].name, "x.y");
    assert_string_equal(s->options[1].value, "-5");
    assert_string_equal(s->options[2].value, "on");
    kp_arena_finish(&p.arena);
}

static void reads_copy(void **state)
{
    struct parsed p = parse("COPY t (a, b) FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER ';', NULL 'nil')");
    assert_int_equal(p.code, KP_OK);
    assert_int_equal(p.statement->kind, KP_STATEMENT_COPY_IN);
    assert_int_equal(p.statement->copy.format, KP_COPY_CSV);
    assert_true(p.statement->copy.header);
    assert_int_equal(p.statement->copy.delimiter, ';');
    assert_string_equal(p.statement->copy.null, "nil");
    assert_int_equal(p.statement->column_name_count, 2);
    kp_arena_finish(&p.arena);
    p = parse("COPY (SUBSCRIBE TO v WITH (snapshot = false)) TO STDOUT");
    assert_int_equal(p.code, KP_OK);
    assert_int_equal(p.statement->kind, KP_STATEMENT_COPY_OUT);
    assert_int_equal(p.statement->inner->kind, KP_STATEMENT_SUBSCRIBE);
    assert_string_equal(p.statement->inner->name.name, "v");
    assert_int_equal(p.statement->inner->option_count, 1);
    kp_arena_finish(&p.arena);
}

static void reads_settings(void **state)
{
    static const struct {
        const char *text, *setting, *value;
    } cases[] = {{"SET extra_float_digits = 3", "extra_float_digits", "3"},
                 {"SET TIME ZONE 'Europe/Berlin'", "timezone", "Europe/Berlin"},
                 {"SET search_path TO a, \"B\"", "search_path", "a, \"B\""},
                 {"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
                  "default_transaction_isolation", "read committed"},
                 {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY", "transaction_read_only", "1"},
                 {"SET x TO DEFAULT", "x", NULL},
                 {"RESET ALL", "all", NULL},
                 {"SHOW TRANSACTION ISOLATION LEVEL", "transaction_isolation", NULL}};
    for (size_t i = 0; i < KP_COUNT(cases); i++) {
        struct parsed p = parse(cases[i].text);
        assert_int_equal(p.code, KP_OK);
        assert_string_equal(p.statement->setting, cases[i].setting);
        if (cases[i].value)
            assert_string_equal(p.statement->value, cases[i].value);
        else
            assert_null(p.statement->value);
        kp_arena_finish(&p.arena);
    }
}

/* ---- hostile text ---- */

static char *repeat(struct kp_buf *out, const char *before, const char *piece, size_t count, const char *behind)
{
    out->len = 0;
    kp_buf_append_text(out, before);
    for (size_t i = 0; i < count; i++)
        kp_buf_append_text(out, piece);
    kp_buf_append_text(out, behind);
    kp_buf_append_byte(out, 0);
    return (char *)out->data;
}

static void refuses_deep_text(void **state)
{
    static const struct {
        const char *before, *piece;
        size_t count;
        const char *behind;
    } cases[] = {{"SELECT ", "(", 10000, "1"},
                 {"SELECT ", "NOT ", 10000, "true"},
                 {"SELECT ", "- ", 10000, "1"},
                 {"SELECT 1", " + 1", 20000, ""},
                 {"SELECT 1", "::int", 20000, ""},
                 {"SELECT 1", " IS NULL", 20000, ""},
                 {"SELECT ", "CASE WHEN true THEN ", 10000, "1"},
                 {"SELECT 1", " UNION ALL (SELECT 1", 10000, ""},
                 {"SELECT 1", " UNION ALL SELECT 1", 30000, ""},
                 {"SELECT * FROM a", " JOIN b ON true", 10000, ""},
                 {"SELECT * FROM ", "(SELECT * FROM ", 10000, "a"},

                 {"SELECT ", "abs(", 10000, "1"},

                 {"SELECT a", ".b", 10000, ""}};
    struct kp_buf text = {0};
    for (size_t i = 0; i < KP_COUNT(cases); i++) {
        struct parsed p = parse(repeat(&text, cases[i].before, cases[i].piece, cases[i].count, cases[i].behind));
        assert_int_not_equal(p.code, KP_OK);
        bool refused = strcmp(p.err.sqlstate, "54001") == 0 || strcmp(p.err.sqlstate, "54000") == 0;
        assert_true(refused);
        kp_arena_finish(&p.arena);
    }
    kp_buf_finish(&text);
}

static void refuses_explain_of_explain(void **state)
{
    struct parsed p = parse("EXPLAIN EXPLAIN SELECT 1");
    assert_string_equal(p.err.message, "syntax error at or near \"EXPLAIN\"");
    assert_int_equal(p.err.position, 9);
    kp_arena_finish(&p.arena);
}

/* Long statements are parsed on threads of their own: more of them than a process has thread-specific keys. */
static void leaves_keys_to_others(void **state)
{
    struct kp_buf text = {0};
    repeat(&text, "SELECT 1 IN (0", ", 1", 100, ")");
    for (int i = 0; i < 1100; i++) {
        struct parsed p = parse((char *)text.data);
        assert_int_equal(p.code, KP_OK);
        kp_arena_finish(&p.arena);
    }
    kp_buf_finish(&text);
    tss_t key;
    assert_int_equal(tss_create(&key, NULL), thrd_success);
    tss_delete(key);
}

static void takes_long_text(void **state)
{
    static const struct {
        const char *before, *piece;
        size_t count;
        const char *behind;
    } cases[] = {{"SELECT 1 IN (0", ", 1", 50000, ")"},
                 {"SELECT true", " AND true", 40000, ""},
                 {"SELECT 1", ", 1", 1600 - 1, ""},
                 {"SELECT ", "(", 400, "1"},
                 {"VALUES (1)", ", (1)", 30000, ""}};
    struct kp_buf text = {0};
    for (size_t i = 0; i < KP_COUNT(cases); i++) {
        char close[512] = "";
        if (*cases[i].piece == '(') /* close what was opened */
            memset(close, ')', cases[i].count);
        repeat(&text, cases[i].before, cases[i].piece, cases[i].count, cases[i].behind);
        text.len--;
        kp_buf_append_text(&text, close);
        kp_buf_append_byte(&text, 0);
        struct parsed p = parse((char *)text.data);
        assert_int_equal(p.code, KP_OK);
        struct kp_catalog *catalog = kp_catalog_create();
        struct kp_sql_context context = {.catalog = catalog};
        struct kp_plan_root *root;
        assert_int_equal(kp_sql_bind_query(&context, p.statement, &root, &p.err), KP_OK);
        kp_plan_release(root);
        kp_catalog_destroy(catalog);
        kp_arena_finish(&p.arena);
    }
    kp_buf_finish(&text);
}

static void refuses_bad_bytes(void **state)
{
    struct kp_arena arena = {0};
    struct kp_statement *statement;
    struct kp_error err;
    assert_int_not_equal(kp_sql_parse((struct kp_str){"SELECT \0 1", 10}, &arena, &statement, &err), KP_OK);
    assert_string_equal(err.sqlstate, "22021");
    assert_int_not_equal(kp_sql_parse(KP_STR("SELECT '\xff'"), &arena, &statement, &err), KP_OK);
    assert_string_equal(err.sqlstate, "22021");
    struct kp_buf text = {0};
    repeat(&text, "SELECT '", "xxxxxxxxxxxxxxxx", 4 << 20, "'"); /* of 64 MiB and a little more */
    assert_int_not_equal(kp_sql_parse((struct kp_str){(char *)text.data, text.len - 1}, &arena, &statement, &err),
                         KP_OK);
    assert_string_equal(err.sqlstate, "54000");
    kp_buf_finish(&text);
    kp_arena_finish(&arena);
}

static void positions_count_characters(void **state)
{
    struct parsed p = parse("SELECT 'äöü€' x y z");
    assert_string_equal(p.err.message, "syntax error at or near \"y\"");
    assert_int_equal(p.err.position, 17);
    kp_arena_finish(&p.arena);
    p = parse("SELECT 'äöü€");
    assert_string_equal(p.err.sqlstate, "42601");
    assert_int_equal(p.err.position, 8);
    kp_arena_finish(&p.arena);
    p = parse("CREATE SOURCE ä (b int) WITH (c d)");
    assert_string_equal(p.err.message, "syntax error at or near \"d\"");
    assert_int_equal(p.err.position, 33);
    kp_arena_finish(&p.arena);
}

static void names_have_distances(void **state)
{
    assert_int_equal(kp_sql_distance(KP_STR("price"), KP_STR("prise")), 1);
    assert_int_equal(kp_sql_distance(KP_STR("Price"), KP_STR("price")), 0);
    assert_int_equal(kp_sql_distance(KP_STR(""), KP_STR("abc")), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(splits_at_semicolons),
                                       cmocka_unit_test(split_takes_broken_ends),
                                       cmocka_unit_test(reads_as_of),
                                       cmocka_unit_test(reads_view_words),
                                       cmocka_unit_test(reads_copy),
                                       cmocka_unit_test(reads_settings),
                                       cmocka_unit_test(refuses_deep_text),
                                       cmocka_unit_test(refuses_explain_of_explain),
                                       cmocka_unit_test(leaves_keys_to_others),
                                       cmocka_unit_test(takes_long_text),
                                       cmocka_unit_test(refuses_bad_bytes),
                                       cmocka_unit_test(positions_count_characters),
                                       cmocka_unit_test(names_have_distances)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
