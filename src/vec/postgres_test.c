/*
 * Differential test: every registered function, operator and cast against PostgreSQL 15.
 *
 * For each entry of the registry whose argument types have generators, random argument values are made as literals.
 * Our answers come from one kernel call over all rows; PostgreSQL's from one psql run over all expressions, where a
 * function catches errors and gives SQLSTATE and message. Both are compared as text, floating-point results with a
 * tolerance (libm and rounding at every step differ). Skipped, with a note, where PostgreSQL's programs are absent.
 *
 * KAPPA_TEST_SEED sets the seed, KAPPA_TEST_ROWS the rows per function, KAPPA_TEST_ONLY a function's name.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "vec/agg.h"
#include "vec/postgres_oracle.h"
#include "vec/zone.h"

static const char *const bin_folders[] = {"/usr/lib/postgresql/15/bin", "/usr/local/pgsql/bin", "/usr/bin"};

/* ---- SQL ---- */

static void append_literal(struct kp_buf *sql, const char *text, enum kp_type_id type)
{
    kp_buf_append_text(sql, "CAST('");
    for (const char *c = text; *c; c++) {
        if (*c == '\'')
            kp_buf_append_byte(sql, '\'');
        kp_buf_append_byte(sql, (uint8_t)*c);
    }
    kp_buf_printf(sql, "' AS %s)", type == KP_BPCHAR ? "bpchar" : kp_type_info(type)->name);
}

static void append_expression(struct kp_buf *sql, const struct kp_func *func, char (*literals)[160])
{
    if (func->kind == KP_FUNC_CAST) {
        kp_buf_append_text(sql, "CAST(");
        append_literal(sql, literals[0], func->args[0]);
        kp_buf_printf(sql, " AS %s)", func->ret == KP_BPCHAR ? "bpchar" : kp_type_info(func->ret)->name);
        return;
    }
    if (func->kind == KP_FUNC_OPERATOR) {
        if (func->arg_count == 2) {
            append_literal(sql, literals[0], func->args[0]);
            kp_buf_append_byte(sql, ' ');
        }
        kp_buf_printf(sql, "%s ", func->name);
        append_literal(sql, literals[func->arg_count - 1u], func->args[func->arg_count - 1u]);
        return;
    }
    kp_buf_printf(sql, "pg_catalog.\"%s\"(", func->name);
    for (unsigned n = 0; n < func->arg_count; n++) {
        if (n)
            kp_buf_append_text(sql, ", ");
        append_literal(sql, literals[n], func->args[n]);
    }
    kp_buf_append_byte(sql, ')');
}

/* ---- our answers ---- */

static const struct kp_zone *zone;

/* A value's text with newlines as \\n. */
static void append_line(struct kp_buf *answers, struct kp_type type, const void *value)
{
    struct kp_buf text = {0};
    kp_value_print(type, value, zone, &text);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '\n')
            kp_buf_append_text(answers, "\\n");
        else
            kp_buf_append_byte(answers, text.data[i]);
    kp_buf_finish(&text);
}

static void answer(const struct kp_func *func, uint32_t rows, char (*literals)[KP_FUNCTION_ARGS_MAX][160],
                   struct kp_arena *arena, struct kp_buf *answers)
{
    struct kp_session_settings settings = {.zone = zone};
    struct kp_call call = {
        .arena = arena, .settings = &settings, .rows = rows, .arg_count = func->arg_count, .type = KP_TYPE(func->ret)};
    struct kp_vec vecs[KP_FUNCTION_ARGS_MAX], out;
    const struct kp_vec *args[KP_FUNCTION_ARGS_MAX];
    char(*literal_errors)[300] = kp_arena_calloc(arena, rows * sizeof *literal_errors);
    for (unsigned n = 0; n < func->arg_count; n++) {
        kp_vec_init(&vecs[n], arena, KP_TYPE(func->args[n]), rows);
        memset(vecs[n].data, 0, kp_vec_width(&vecs[n]) * rows);
        args[n] = &vecs[n];
        for (uint32_t i = 0; i < rows; i++) {
            uint64_t value[2] = {0};
            struct kp_error err;
            if (kp_value_parse(vecs[n].type, kp_str(literals[i][n]), zone, arena, value, &err) == KP_OK)
                memcpy((char *)vecs[n].data + i * kp_vec_width(&vecs[n]), value, kp_vec_width(&vecs[n]));
            else if (!literal_errors[i][0])
                snprintf(literal_errors[i], sizeof *literal_errors, "!%s %.250s", err.sqlstate, err.message);
        }
    }
    kp_vec_init(&out, arena, KP_TYPE(func->ret), rows);
    memset(out.data, 0, kp_vec_width(&out) * rows);
    func->kernel(&call, args, &out);
    for (uint32_t i = 0; i < rows; i++) {
        const char *error = literal_errors[i][0] ? literal_errors[i] : NULL;
        for (uint32_t e = 0; !error && e < call.error_count; e++)
            if (call.errors[e].row == i)
                error = kp_arena_printf(arena, "!%s %s", call.errors[e].sqlstate, call.errors[e].message);
        if (error)
            kp_buf_append_text(answers, error);
        else if (kp_vec_is_null(&out, i))
            kp_buf_append_text(answers, "<NULL>");
        else
            append_line(answers, out.type, kp_vec_at(&out, i));
        kp_buf_append_byte(answers, '\n');
    }
}

/* ---- PostgreSQL ---- */

static char cluster[64];
static const char *bin;

static int run(const char *format, ...)
{
    char command[1024], whole[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (geteuid() == 0)
        snprintf(whole, sizeof whole, "runuser -u postgres -- sh -c \"%s\"", command);
    else
        snprintf(whole, sizeof whole, "%s", command);
    return system(whole);
}

static int start_postgres(void **state)
{
    (void)state;
    for (size_t i = 0; !bin && i < KP_COUNT(bin_folders); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/initdb", bin_folders[i]);
        if (access(path, X_OK) == 0)
            bin = bin_folders[i];
    }
    if (!bin)
        return 0;
    snprintf(cluster, sizeof cluster, "/tmp/kappa-vec-pg-XXXXXX");
    if (!mkdtemp(cluster))
        return -1;
    char command[256];
    snprintf(command, sizeof command, "chown postgres %s 2>/dev/null; chmod 755 %s", cluster, cluster);
    if (geteuid() == 0 && system(command) != 0)
        return -1;
    if (run("cd %s && %s/initdb -D data -A trust -E UTF8 --locale=C.UTF-8 -N >/dev/null", cluster, bin) != 0)
        return -1;
    return run("cd %s && %s/pg_ctl -D data -w -o '-F -c listen_addresses= -k %s' -l log start >/dev/null", cluster, bin,
               cluster);
}

static int stop_postgres(void **state)
{
    (void)state;
    if (!bin)
        return 0;
    run("cd %s && %s/pg_ctl -D data -m immediate stop >/dev/null", cluster, bin);
    return run("rm -rf %s/*", cluster) | rmdir(cluster);
}

static const char prologue[] =
    "SET timezone = 'America/New_York'; SET intervalstyle = postgres; SET datestyle = 'ISO, MDY';\n"
    "SET escape_string_warning = off; SET client_min_messages = error;\n"
    "CREATE FUNCTION pg_temp.ev(q text) RETURNS text LANGUAGE plpgsql AS $f$ DECLARE r text; m text; BEGIN\n"
    "  EXECUTE 'SELECT CASE WHEN v IS NULL THEN ''<NULL>'' ELSE format(''%s'', v) END FROM (SELECT ' || q || ' AS v) "
    "s' INTO r;\n"
    "  RETURN replace(r, E'\\n', E'\\\\n');\n"
    "EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS m = MESSAGE_TEXT; RETURN '!' || SQLSTATE || ' ' || replace(m, "
    "E'\\n', E'\\\\n');\n"
    "END $f$;\n";

/* ---- comparison ---- */

static bool close_enough(const char *a, const char *b, double tolerance)
{
    char *end_a, *end_b;
    double x = strtod(a, &end_a), y = strtod(b, &end_b);
    if (*end_a || *end_b || end_a == a || end_b == b)
        return false;
    return x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= tolerance * fmax(fabs(x), fabs(y));
}

/* What we refuse by plan: values that depend on when they are read. */
static bool skipped(const struct kp_func *func)
{
    static const char *const ours[] = {"now", "transaction_timestamp", "statement_timestamp", "not",
                                       "format_type" /* of our catalog */};
    for (size_t i = 0; i < KP_COUNT(ours); i++)
        if (!strcmp(func->name, ours[i]))
            return true;
    if (func->flags & (KP_VARIADIC | KP_VOLATILE))
        return true;
    if (func->kind == KP_FUNC_CAST && func->args[0] == KP_TIME && func->ret == KP_TIMETZ) /* the offset of today */
        return true;
    if (func->kind == KP_FUNC_CAST && func->args[0] == KP_CHAR && func->ret == KP_BPCHAR) /* half a character there */
        return true;
    if (!strcmp(func->name, "timezone") && func->ret == KP_TIMETZ) /* offsets that no time can be written with */
        return true;
    if (!strncmp(func->name, "kp_", 3) || func->ret == KP_ANYENUM || func->ret == KP_ANYRECORD)
        return true;
    char text[160];
    for (unsigned n = 0; n < func->arg_count; n++)
        if (!make_literal(func->args[n], text, sizeof text))
            return true;
    const char *only = getenv("KAPPA_TEST_ONLY");
    return only && strcmp(only, func->name) != 0;
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct kp_buf buf = {0};
    size_t got;
    do {
        got = fread(kp_buf_reserve(&buf, 65536), 1, 65536, file);
        buf.len += got;
    } while (got);
    fclose(file);
    kp_buf_append_byte(&buf, 0);
    return (char *)buf.data;
}

/* psql ended early: a lost connection is explained by nobody but the server. */
static void fail_with_log(int status)
{
    enum { TAIL_BYTES = 3000 };
    char path[128];
    snprintf(path, sizeof path, "%s/log", cluster);
    char *log = read_file(path);
    size_t len = strlen(log);
    fail_msg("psql ended with status %d; PostgreSQL's log ends:\n%s", status,
             len > TAIL_BYTES ? log + len - TAIL_BYTES : log);
}

/* Runs the SQL through psql and compares its lines with our answers; returns how many differ. */
static size_t compare(struct kp_buf *sql, struct kp_buf *answers, struct kp_buf *expressions, size_t *ret_compared)
{
    kp_buf_append_byte(answers, 0);
    kp_buf_append_byte(expressions, 0);
    char path[128];
    snprintf(path, sizeof path, "%s/in.sql", cluster);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(sql->data, 1, sql->len, file);
    fclose(file);
    int status = run("cd %s && chmod a+r in.sql 2>/dev/null; %s/psql -h %s -d postgres -q -At -v ON_ERROR_STOP=1 "
                     "-f in.sql -o out.txt",
                     cluster, bin, cluster);
    if (status != 0)
        fail_with_log(status);
    snprintf(path, sizeof path, "%s/out.txt", cluster);
    char *theirs = read_file(path), *their_at = theirs, *our_at = (char *)answers->data,
         *expression_at = (char *)expressions->data;
    size_t compared = 0, different = 0;
    while (*our_at) {
        char *their_end = strchr(their_at, '\n'), *our_end = strchr(our_at, '\n'),
             *expression_end = strchr(expression_at, '\n');
        if (!their_end)
            fail_msg("psql gave %zu answers", compared);
        *their_end = *our_end = *expression_end = 0;
        compared++;
        /* PostgreSQL 15 computes an age from the bits of infinity; we refuse it */
        bool odd = strstr(expression_at, "\"age\"") && strstr(expression_at, "infinity");
        odd |= strstr(expression_at, "width_bucket") && strstr(expression_at, "e308"); /* it overflows there */
        bool of_path = strstr(expression_at, "jsonpath)");
        odd |=
            of_path && !strncmp(their_at, "!42601", 6) && !strncmp(our_at, "!42601", 6); /* the grammar's own words */
        odd |= !strncmp(their_at, "!2201B", 6) && !strncmp(our_at, "!2201B", 6); /* RE2's message is in other words */
        /* wrong, and of a kind that is not supported: which is told first is each one's own */
        odd |= !strncmp(their_at, "!2201B", 6) && !strncmp(our_at, "!0A000 regular expression", 25);
        bool same = odd || strcmp(their_at, our_at) == 0 ||
                    (*expression_at == 'f' && close_enough(their_at, our_at, 1e-12)) ||
                    (*expression_at == 's' && close_enough(their_at, our_at, 1e-5));
        if (!same && ++different <= 100)
            print_message("%s\n    PostgreSQL %s\n    kappa      %s\n", expression_at + 1, their_at, our_at);
        their_at = their_end + 1, our_at = our_end + 1, expression_at = expression_end + 1;
    }
    free(theirs);
    *ret_compared = compared;
    return different;
}

/* The function with its polymorphic types made some real ones. */
static struct kp_func concrete(const struct kp_func *func)
{
    static const enum kp_type_id elements[] = {KP_INT4, KP_TEXT, KP_NUMERIC, KP_FLOAT8, KP_BOOL, KP_DATE, KP_INT8};
    struct kp_func copy = *func;
    enum kp_type_id element = PICK(elements);
    enum kp_type_id *types[KP_FUNCTION_ARGS_MAX + 1] = {&copy.ret};
    for (unsigned n = 0; n < func->arg_count; n++)
        types[n + 1] = &copy.args[n];
    for (unsigned n = 0; n <= func->arg_count; n++) {
        if (*types[n] == KP_ANYARRAY || *types[n] == KP_ANYCOMPATIBLEARRAY)
            *types[n] = kp_type_array_of(element);
        else if (*types[n] >= KP_ANY && *types[n] <= KP_ANYCOMPATIBLEARRAY && *types[n] != KP_ANYENUM &&
                 *types[n] != KP_ANYRECORD)
            *types[n] = element;
    }
    return copy;
}

static void test_all(void **state)
{
    (void)state;
    if (!bin) {
        print_message("PostgreSQL 15's programs are not here: 0 expressions compared\n");
        skip();
    }
    const char *seed = getenv("KAPPA_TEST_SEED"), *rows_text = getenv("KAPPA_TEST_ROWS");
    random_state = seed ? strtoull(seed, NULL, 10) : random_state;
    uint32_t rows = rows_text ? (uint32_t)atoi(rows_text) : 24;
    struct kp_error err;
    assert_int_equal(kp_zone_find(KP_STR("America/New_York"), &zone, &err), KP_OK);

    struct kp_buf sql = {0}, answers = {0}, expressions = {0};
    struct kp_arena arena = {0};
    char(*literals)[KP_FUNCTION_ARGS_MAX][160] = calloc(rows, sizeof *literals);
    kp_buf_append_text(&sql, prologue);
    size_t family_count, tested = 0;
    const struct kp_func_family *const *families = kp_func_families(&family_count);
    for (size_t f = 0; f < family_count; f++)
        for (size_t k = 0; k < families[f]->count; k++) {
            const struct kp_func real = concrete(&families[f]->funcs[k]), *func = &real;
            if (skipped(func))
                continue;
            tested++;
            for (uint32_t i = 0; i < rows; i++) {
                for (unsigned n = 0; n < func->arg_count; n++)
                    make_argument(func, n, literals[i][n], sizeof literals[i][n]);
                size_t start = sql.len;
                kp_buf_append_text(&sql, "SELECT pg_temp.ev($kp$");
                size_t expression = sql.len;
                append_expression(&sql, func, literals[i]);
                kp_buf_printf(&expressions, "%c%.*s\n", func->ret == KP_FLOAT8 || func->ret == KP_FLOAT4 ? 'f' : 'e',
                              (int)(sql.len - expression), (char *)sql.data + expression);
                kp_buf_append_text(&sql, "$kp$);\n");
                (void)start;
            }
            answer(func, rows, literals, &arena, &answers);
            kp_arena_reset(&arena);
        }
    size_t compared, different = compare(&sql, &answers, &expressions, &compared);
    print_message("%zu functions, %zu expressions compared, %zu differ\n", tested, compared, different);
    free(literals);
    kp_buf_finish(&sql);
    kp_buf_finish(&answers);
    kp_buf_finish(&expressions);
    kp_arena_finish(&arena);
    assert_int_equal(different, 0);
}

/* One group of random values; NaN and infinities are left out of what PostgreSQL rounds step by step. */
static void answer_aggregate(const struct kp_agg *agg, struct kp_arena *arena, struct kp_buf *expressions,
                             struct kp_buf *sql, struct kp_buf *answers)
{
    enum { VALUES_MAX = 12 };
    enum kp_type_id type = agg->args[0];
    uint32_t rows = 1 + below(VALUES_MAX);
    struct kp_agg_call call = {.call = {.arena = arena}, .arg_types = {KP_TYPE(type)}, .arg_count = 1};
    void *state = kp_arena_calloc(arena, agg->retractable->state_bytes), *states[VALUES_MAX];
    struct kp_vec vec, out;
    kp_vec_init(&vec, arena, KP_TYPE(type), rows);
    kp_vec_init(&out, arena, KP_TYPE(agg->ret == KP_ANYELEMENT ? type : agg->ret), 1);
    size_t start = sql->len + strlen("SELECT pg_temp.ev($kp$");
    kp_buf_printf(sql, "SELECT pg_temp.ev($kp$(SELECT %s(v) FROM (VALUES ", agg->name);
    for (uint32_t i = 0; i < rows; i++) {
        char literal[160];
        uint64_t value[2] = {0};
        struct kp_error err;
        do
            make_literal(type, literal, sizeof literal);
        while (strstr(literal, "years") || strstr(literal, "e200") || strstr(literal, "e-") ||
               strstr(literal, "e308") || strstr(literal, "e38") || strstr(literal, "30 days") ||
               strstr(literal, "24 hours")); /* equal to others that look different: PostgreSQL shows any */
        assert_int_equal(kp_value_parse(vec.type, kp_str(literal), zone, arena, value, &err), KP_OK);
        memcpy((char *)vec.data + i * kp_vec_width(&vec), value, kp_vec_width(&vec));
        states[i] = state;
        kp_buf_append_text(sql, i ? ", (" : "(");
        append_literal(sql, literal, type);
        kp_buf_append_byte(sql, ')');
    }
    kp_buf_append_text(sql, ") t(v))");
    kp_buf_printf(expressions, "%c%.*s\n",
                  agg->ret == KP_FLOAT8   ? 'f'
                  : agg->ret == KP_FLOAT4 ? 's'
                                          : 'e',
                  (int)(sql->len - start), (char *)sql->data + start);
    kp_buf_append_text(sql, "$kp$);\n");
    const struct kp_vec *args[] = {&vec};
    agg->retractable->update(&call, states, args, NULL, rows);
    agg->retractable->finalize(&call, &state, 1, &out);
    if (call.call.error_count)
        kp_buf_printf(answers, "!%s %s", call.call.errors[0].sqlstate, call.call.errors[0].message);
    else if (kp_vec_is_null(&out, 0))
        kp_buf_append_text(answers, "<NULL>");
    else
        append_line(answers, out.type, out.data);
    kp_buf_append_byte(answers, '\n');
    if (agg->retractable->destroy)
        agg->retractable->destroy(&call, state);
}

static void test_aggregates(void **state)
{
    (void)state;
    if (!bin)
        skip();
    struct kp_buf sql = {0}, answers = {0}, expressions = {0};
    struct kp_arena arena = {0};
    size_t agg_count;
    const struct kp_agg *const *aggs = kp_agg_all(&agg_count);
    kp_buf_append_text(&sql, prologue);
    char text[160];
    for (size_t a = 0; a < agg_count; a++)
        for (int round = 0; round < 30 && aggs[a]->arg_count == 1 && strncmp(aggs[a]->name, "kp_", 3) != 0 &&
                            make_literal(aggs[a]->args[0], text, sizeof text);
             round++)
            answer_aggregate(aggs[a], &arena, &expressions, &sql, &answers);
    size_t compared, different = compare(&sql, &answers, &expressions, &compared);
    print_message("%zu aggregates compared, %zu differ\n", compared, different);
    kp_buf_finish(&sql);
    kp_buf_finish(&answers);
    kp_buf_finish(&expressions);
    kp_arena_finish(&arena);
    assert_int_equal(different, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_aggregates)};
    return cmocka_run_group_tests(tests, start_postgres, stop_postgres);
}
