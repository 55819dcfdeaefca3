/* The codec: framing cut anywhere, readers at their end, messages as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "serve/pg/proto.h"

static void test_frame(void **state)
{
    static const char bytes[] = "Q\0\0\0\x0dselect 1\0S\0\0\0\4";
    struct kp_str input = {bytes, sizeof bytes - 1};
    struct kp_pg_message message;
    size_t taken;
    for (size_t len = 0; len < 14; len++)
        assert_int_equal(kp_pg_frame((struct kp_str){bytes, len}, &message, &taken), KP_PG_FRAME_PARTIAL);
    assert_int_equal(kp_pg_frame(input, &message, &taken), KP_PG_FRAME_WHOLE);
    assert_int_equal(taken, 14);
    assert_int_equal(message.type, 'Q');
    assert_true(kp_str_equal(message.body, KP_STR("select 1\0")));
    input = (struct kp_str){bytes + taken, input.len - taken};
    assert_int_equal(kp_pg_frame(input, &message, &taken), KP_PG_FRAME_WHOLE);
    assert_int_equal(message.type, 'S');
    assert_int_equal(message.body.len, 0);
}

static void test_frame_bad(void **state)
{
    struct kp_pg_message message;
    size_t taken;
    assert_int_equal(kp_pg_frame(KP_STR("Q\0\0\0\3"), &message, &taken), KP_PG_FRAME_GARBAGE);
    assert_int_equal(kp_pg_frame(KP_STR("Q\xff\xff\xff\xff"), &message, &taken), KP_PG_FRAME_GARBAGE);
    assert_int_equal(kp_pg_frame(KP_STR("\x16\3\1"), &message, &taken), KP_PG_FRAME_GARBAGE); /* TLS */
    assert_int_equal(kp_pg_frame(KP_STR("Q\x06\0\0\0"), &message, &taken), KP_PG_FRAME_OVERSIZED);
    assert_int_equal(taken, 0x06000001);
    assert_int_equal(kp_pg_frame_first(KP_STR("GET / HTTP/1.1"), &message, &taken), KP_PG_FRAME_GARBAGE);
    assert_int_equal(kp_pg_frame_first(KP_STR("\0\0\0\7"), &message, &taken), KP_PG_FRAME_GARBAGE);
    assert_int_equal(kp_pg_frame_first(KP_STR("\0\0\0"), &message, &taken), KP_PG_FRAME_PARTIAL);
    assert_int_equal(kp_pg_frame_first(KP_STR("\0\0\0\x08\x04\xd2\x16\x2f"), &message, &taken), KP_PG_FRAME_WHOLE);
    struct kp_pg_reader reader = kp_pg_reader(message.body);
    assert_int_equal(kp_pg_read_u32(&reader), KP_PG_SSL);
}

static void test_reader(void **state)
{
    struct kp_error err;
    struct kp_pg_reader reader = kp_pg_reader(KP_STR("name\0\0\2\0\0\0\7x"));
    assert_true(kp_str_equal(kp_pg_read_text(&reader), KP_STR("name")));
    assert_int_equal(kp_pg_read_u16(&reader), 2);
    assert_int_equal(kp_pg_read_u32(&reader), 7);
    assert_int_equal(kp_pg_read_end(&reader, "Bind", &err), KP_INVALID);
    assert_int_equal(kp_pg_read_u8(&reader), 'x');
    assert_int_equal(kp_pg_read_end(&reader, "Bind", &err), KP_OK);
    assert_int_equal(kp_pg_read_u32(&reader), 0);
    assert_int_equal(kp_pg_read_end(&reader, "Bind", &err), KP_INVALID);
    assert_string_equal(err.sqlstate, "08P01");
    assert_string_equal(err.message, "insufficient data left in Bind message");

    reader = kp_pg_reader(KP_STR("no end"));
    struct kp_str text = kp_pg_read_text(&reader);
    assert_int_equal(text.len, 0);
    assert_int_equal(text.ptr[0], 0);
    assert_true(reader.bad);
}

static void test_check_text(void **state)
{
    struct kp_error err;
    assert_int_equal(kp_pg_check_text(KP_STR("gr\xc3\xbc\xc3\x9f"), &err), KP_OK);
    assert_int_equal(kp_pg_check_text((struct kp_str){NULL, 0}, &err), KP_OK);
    assert_int_equal(kp_pg_check_text(KP_STR("a\xff"), &err), KP_INVALID);
    assert_string_equal(err.sqlstate, "22021");
    assert_string_equal(err.message, "invalid byte sequence for encoding \"UTF8\": 0xff");
    assert_int_equal(kp_pg_check_text(KP_STR("a\0b"), &err), KP_INVALID);
    assert_string_equal(err.message, "invalid byte sequence for encoding \"UTF8\": 0x00");
}

static void expect_bytes(struct kp_buf *out, const char *bytes, size_t len)
{
    assert_int_equal(out->len, len);
    assert_memory_equal(out->data, bytes, len);
    kp_buf_finish(out);
}
#define EXPECT_BYTES(out, literal) expect_bytes(out, literal, sizeof(literal) - 1)

static void test_writers(void **state)
{
    struct kp_buf out = {0};
    kp_pg_put_authentication_ok(&out);
    kp_pg_put_parameter_status(&out, "a", "b");
    kp_pg_put_key_data(&out, 1, 2);
    kp_pg_put_ready(&out, 'I');
    kp_pg_put_bare(&out, '1');
    kp_pg_put_command_complete(&out, "SELECT 1");
    EXPECT_BYTES(&out, "R\0\0\0\x08\0\0\0\0"
                       "S\0\0\0\x08"
                       "a\0b\0"
                       "K\0\0\0\x0c\0\0\0\1\0\0\0\2"
                       "Z\0\0\0\5I"
                       "1\0\0\0\4"
                       "C\0\0\0\x0dSELECT 1\0");
}

static void test_error(void **state)
{
    struct kp_buf out = {0};
    struct kp_error err;
    (void)kp_fail(&err, KP_NOT_FOUND, "42703", "no column");
    (void)kp_error_hint(&err, "look");
    err.position = 8;
    err.log_position = 41;
    kp_pg_put_error(&out, "ERROR", &err);
    EXPECT_BYTES(&out, "E\0\0\0\x3f"
                       "SERROR\0VERROR\0C42703\0Mno column\0Hlook\0P8\0Wlog position 41\0\0");
}

static void test_row_description(void **state)
{
    static const uint8_t codes[] = {1};
    struct kp_buf out = {0};
    struct kp_column cols[] = {{"n", {KP_INT4, -1, 0}, false}};
    struct kp_base_column bases[] = {{0x102, 3}};
    kp_pg_put_row_description(&out, cols, NULL, 1, &(struct kp_pg_formats){codes, 1});
    EXPECT_BYTES(&out, "T\0\0\0\x1a\0\1n\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\1");
    kp_pg_put_row_description(&out, cols, bases, 1, &(struct kp_pg_formats){codes, 1});
    EXPECT_BYTES(&out, "T\0\0\0\x1a\0\1n\0\0\0\1\2\0\3\0\0\0\x17\0\4\xff\xff\xff\xff\0\1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame),           cmocka_unit_test(test_frame_bad), cmocka_unit_test(test_reader),
        cmocka_unit_test(test_check_text),      cmocka_unit_test(test_writers),   cmocka_unit_test(test_error),
        cmocka_unit_test(test_row_description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
