/* COPY's forms against what PostgreSQL 15 does with the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "db/copy.h"

static const struct kp_copy_options text_options = {KP_COPY_TEXT, '\t', 0, 0, false, "\\N"};
static const struct kp_copy_options csv_options = {KP_COPY_CSV, ',', '"', '"', false, ""};
static const struct kp_column three_cols[] = {
    {"a", {KP_TEXT, -1, 0}, false}, {"b", {KP_TEXT, -1, 0}, false}, {"c", {KP_TEXT, -1, 0}, false}};

/* Prints rows as (a|b|NULL), so that expectations are one string. */
static enum kp_code print_row(void *arg, const struct kp_str *fields, uint32_t count, uint64_t line,
                              struct kp_error *err)
{
    struct kp_buf *out = arg;
    kp_buf_append_byte(out, '(');
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            kp_buf_append_byte(out, '|');
        if (fields[i].ptr)
            kp_buf_append_str(out, fields[i]);
        else
            kp_buf_append_text(out, "NULL");
    }
    kp_buf_append_byte(out, ')');
    return KP_OK;
}

/* Feeds input in pieces of piece_bytes; returns the printed rows, or the error as "SQLSTATE message / detail". */
static char *read_all(const struct kp_copy_options *options, uint32_t cols, struct kp_str input, size_t piece_bytes)
{
    struct kp_buf out = {0};
    struct kp_error err;
    struct kp_copy_reader *reader = kp_copy_reader_create(options, "t", three_cols, cols, print_row, &out);
    enum kp_code code = KP_OK;
    for (size_t at = 0; code == KP_OK && at < input.len; at += piece_bytes) {
        /* a copy of exactly the piece, so that the address sanitizer sees reads beyond it */
        size_t len = KP_MIN(piece_bytes, input.len - at);
        char *piece = kp_alloc(len);
        memcpy(piece, input.ptr + at, len);
        code = kp_copy_reader_feed(reader, (struct kp_str){piece, len}, &err);
        kp_free(piece);
    }
    if (code == KP_OK)
        code = kp_copy_reader_end(reader, &err);
    if (code != KP_OK)
        kp_buf_printf(&out, "%s %s / %s", err.sqlstate, err.message, err.detail);
    kp_copy_reader_destroy(reader);
    char *text = kp_strndup(out.data ? (const char *)out.data : "", out.len);
    kp_buf_finish(&out);
    return text;
}

static void check(const struct kp_copy_options *options, uint32_t cols, struct kp_str input, const char *expected)
{
    for (size_t piece_bytes = 1; piece_bytes <= input.len + 1; piece_bytes++) {
        char *text = read_all(options, cols, input, piece_bytes);
        assert_string_equal(text, expected);
        kp_free(text);
    }
}
#define CHECK(options, cols, input, expected) check(options, cols, KP_STR(input), expected)

static void test_text(void **state)
{
    CHECK(&text_options, 3, "1\tx\t\\N\n2\t\ty\n", "(1|x|NULL)(2||y)");
    CHECK(&text_options, 2, "a\\tb\tc\\nd\n", "(a\tb|c\nd)");
    CHECK(&text_options, 2, "\\\\N\t\\101\\x41\\q\n", "(\\N|AAq)");
    CHECK(&text_options, 1, "one\ntwo", "(one)(two)");
    CHECK(&text_options, 1, "one\r\ntwo\r\n", "(one)(two)");
    CHECK(&text_options, 1, "one\rtwo\r", "(one)(two)");
    CHECK(&text_options, 1, "one\n\\.\nignored\tit is\n", "(one)");
    CHECK(&text_options, 1, "a\\\nb\n", "(a\nb)");
    CHECK(&text_options, 1, "\n\n", "()()");
    CHECK(&text_options, 1, "", "");
}

static void test_text_errors(void **state)
{
    CHECK(&text_options, 2, "1\t2\n3\n", "(1|2)22P04 missing data for column \"b\" / COPY t, line 2");
    CHECK(&text_options, 2, "1\t2\t3\n", "22P04 extra data after last expected column / COPY t, line 1");
    CHECK(&text_options, 1, "a\nb\r\n", "(a)22P04 literal carriage return found in data / COPY t, line 2");
    CHECK(&text_options, 1, "a\r\nb\n", "(a)22P04 literal newline found in data / COPY t, line 2");
    CHECK(&text_options, 1, "\xff\n", "22021 invalid byte sequence for encoding \"UTF8\": 0xff / COPY t, line 1");
    CHECK(&text_options, 1, "\\xff\n", "22021 invalid byte sequence for encoding \"UTF8\": 0xff / COPY t, line 1");
    CHECK(&text_options, 1, "a\0b\n", "22021 invalid byte sequence for encoding \"UTF8\": 0x00 / COPY t, line 1");
}

static void test_csv(void **state)
{
    CHECK(&csv_options, 3, "1,\"x, y\",\n2,\"\",\"a \"\"b\"\"\"\n", "(1|x, y|NULL)(2||a \"b\")");
    CHECK(&csv_options, 2, "a\"b,c\"d,e\n", "(ab,cd|e)");
    CHECK(&csv_options, 1, "\"two\nlines\"\r\n\"x\"\r\n", "(two\nlines)(x)");
    struct kp_copy_options header = csv_options;
    header.header = KP_COPY_HEADER;
    CHECK(&header, 2, "a,b\n1,2\n", "(1|2)");
    struct kp_copy_options odd = {KP_COPY_CSV, ';', '\'', '\\', false, "nil"};
    CHECK(&odd, 2, "'it\\'s';nil\n'nil';\n", "(it's|NULL)(nil|)");
}

static void test_csv_errors(void **state)
{
    CHECK(&csv_options, 1, "\"open\n", "22P04 unterminated CSV quoted field / COPY t, line 1");
    CHECK(&csv_options, 2, "\"a\nb\",1\nx\n", "(a\nb|1)22P04 missing data for column \"b\" / COPY t, line 3");
    CHECK(&csv_options, 1, "a\nb\r\nc", "(a)22P04 unquoted carriage return found in data / COPY t, line 2");
}

static void write_row(struct kp_buf *out, const struct kp_copy_options *options, const char *const *values,
                      uint32_t cols)
{
    struct kp_arena arena = {0};
    struct kp_batch *batch = kp_batch_create(&arena, cols, 1);
    for (uint32_t i = 0; i < cols; i++) {
        kp_vec_init(&batch->vecs[i], &arena, KP_TYPE(KP_TEXT), 1);
        kp_vec_need_valid(&batch->vecs[i], &arena, 1);
        if (values[i])
            ((struct kp_text *)batch->vecs[i].data)[0] = kp_text_make(values[i], strlen(values[i]));
        else
            kp_vec_set_null(&batch->vecs[i], 0);
    }
    kp_copy_write_row(options, batch, 0, NULL, out);
    kp_arena_finish(&arena);
}

static void expect_row(const struct kp_copy_options *options, const char *const *values, uint32_t cols,
                       const char *expected)
{
    struct kp_buf out = {0};
    write_row(&out, options, values, cols);
    kp_buf_append_byte(&out, '\0');
    assert_string_equal((const char *)out.data, expected);
    kp_buf_finish(&out);
}

static void test_write(void **state)
{
    expect_row(&text_options, (const char *[]){"a\tb", NULL, "c\\d\ne"}, 3, "a\\tb\t\\N\tc\\\\d\\ne\n");
    expect_row(&csv_options, (const char *[]){"a,b", NULL, ""}, 3, "\"a,b\",,\"\"\n");
    expect_row(&csv_options, (const char *[]){"say \"x\"", "two\nlines", "plain"}, 3,
               "\"say \"\"x\"\"\",\"two\nlines\",plain\n");
    expect_row(&csv_options, (const char *[]){"\\."}, 1, "\"\\.\"\n");
    struct kp_buf out = {0};
    kp_copy_write_header(&csv_options, three_cols, 3, &out);
    assert_int_equal(out.len, 6);
    assert_memory_equal(out.data, "a,b,c\n", 6);
    kp_buf_finish(&out);
}

/* What is written is read back, whatever is in it. */
static void test_round_trip(void **state)
{
    static const char *const values[] = {"\\N", "a\\.b\r\n\t\v\f\b", "\"q\",'\\"};
    const struct kp_copy_options *const all[] = {&text_options, &csv_options};
    for (size_t i = 0; i < KP_COUNT(all); i++) {
        struct kp_buf out = {0};
        write_row(&out, all[i], values, 3);
        char *text = read_all(all[i], 3, (struct kp_str){(const char *)out.data, out.len}, 5);
        char expected[64];
        snprintf(expected, sizeof expected, "(%s|%s|%s)", values[0], values[1], values[2]);
        assert_string_equal(text, expected);
        kp_free(text);
        kp_buf_finish(&out);
    }
}

static void test_options(void **state)
{
    struct kp_error err;
    assert_int_equal(kp_copy_check(&text_options, NULL), KP_OK);
    assert_int_equal(kp_copy_check(&csv_options, NULL), KP_OK);
    struct kp_copy_options bad = csv_options;
    bad.delimiter = '"';
    assert_int_equal(kp_copy_check(&bad, &err), KP_INVALID);
    assert_string_equal(err.message, "COPY delimiter and quote must be different");
    bad = text_options;
    bad.delimiter = 'n';
    assert_int_equal(kp_copy_check(&bad, &err), KP_INVALID);
    bad.format = KP_COPY_BINARY; /* has no delimiter */
    assert_int_equal(kp_copy_check(&bad, &err), KP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text),   cmocka_unit_test(test_text_errors),
                                       cmocka_unit_test(test_csv),    cmocka_unit_test(test_csv_errors),
                                       cmocka_unit_test(test_write),  cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_options)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
