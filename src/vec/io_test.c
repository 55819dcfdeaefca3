/* Text, binary and JSON forms of every type: fixed cases of what PostgreSQL prints and refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vec/datetime.h"
#include "vec/numeric.h"
#include "vec/vec.h"

static struct kp_arena arena;

static int setup(void **state)
{
    (void)state;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kp_arena_finish(&arena);
    return 0;
}

/* Reads text as type, prints it, sends and receives it, and expects `wanted`; "!22P02" expects that error. */
static void check_mod(struct kp_type type, const char *text, const char *wanted, const struct kp_zone *zone)
{
    uint64_t value[2] = {0}, back[2] = {0};
    struct kp_error err;
    kp_error_clear(&err);
    enum kp_code code = kp_value_parse(type, kp_str(text), zone, &arena, value, &err);
    if (wanted[0] == '!') {
        if (code == KP_OK)
            fail_msg("%s '%s' was read", kp_type_info(type.id)->name, text);
        assert_string_equal(err.sqlstate, wanted + 1);
        return;
    }
    if (code != KP_OK)
        fail_msg("%s '%s': %s", kp_type_info(type.id)->name, text, err.message);
    struct kp_buf out = {0}, wire = {0};
    kp_value_send(type, value, &wire);
    assert_int_equal(kp_value_receive(type, (struct kp_str){(char *)wire.data, wire.len}, &arena, back, &err), KP_OK);
    kp_value_print(type, back, zone, &out);
    kp_buf_append_byte(&out, 0);
    if (strcmp((char *)out.data, wanted) != 0)
        fail_msg("%s '%s' gave '%s', not '%s'", kp_type_info(type.id)->name, text, (char *)out.data, wanted);
    kp_buf_finish(&out);
    kp_buf_finish(&wire);
}

static void check(enum kp_type_id type, const char *text, const char *wanted)
{
    check_mod(KP_TYPE(type), text, wanted, NULL);
}

static void test_numbers(void **state)
{
    (void)state;
    check(KP_BOOL, " TRUE ", "t");
    check(KP_BOOL, "of", "f");
    check(KP_BOOL, "o", "!22P02");
    check(KP_INT4, " -2147483648 ", "-2147483648");
    check(KP_INT4, "2147483648", "!22003");
    check(KP_INT4, "1x", "!22P02");
    check(KP_INT4, "", "!22P02");
    check(KP_INT8, "9223372036854775807", "9223372036854775807");
    check(KP_INT8, "-9223372036854775808", "-9223372036854775808");
    check(KP_INT8, "9223372036854775808", "!22003");
    check(KP_INT2, "32768", "!22003");
    check(KP_FLOAT8, "0.1", "0.1");
    check(KP_FLOAT8, "1e15", "1e+15");
    check(KP_FLOAT8, "123456789012345", "123456789012345");
    check(KP_FLOAT8, "1e-5", "1e-05");
    check(KP_FLOAT8, "0.0001", "0.0001");
    check(KP_FLOAT8, "5e-324", "5e-324");
    check(KP_FLOAT8, "1e400", "!22003");
    check(KP_FLOAT8, "-inf", "-Infinity");
    check(KP_FLOAT8, "nan", "NaN");
    check(KP_FLOAT8, "0x10", "16");
    check(KP_FLOAT8, "-0X1.8p+3", "-12");
    check(KP_FLOAT8, "0x.8", "0.5");
    check(KP_FLOAT8, "0x", "!22P02");
    check(KP_FLOAT8, "0x1p", "!22P02");
    check(KP_FLOAT8, "0x1p-1080", "!22003");
    check(KP_FLOAT8, "-nan", "NaN");
    check(KP_FLOAT8, "-0", "-0");
    check(KP_FLOAT4, "1000000", "1e+06");
    check(KP_FLOAT4, "3.4028235e38", "3.4028235e+38");
    check(KP_FLOAT4, "0.1", "0.1");
    check(KP_FLOAT4, "1e40", "!22003");
}

static void test_numeric(void **state)
{
    (void)state;
    check(KP_NUMERIC, "0", "0");
    check(KP_NUMERIC, "-0.00", "0.00");
    check(KP_NUMERIC, "00123.4500", "123.4500");
    check(KP_NUMERIC, "1e3", "1000");
    check(KP_NUMERIC, "1.5e-3", "0.0015");
    check(KP_NUMERIC, ".5", "0.5");
    check(KP_NUMERIC, "5.", "5");
    check(KP_NUMERIC, "123456789012345678901234567890.123", "123456789012345678901234567890.123");
    check(KP_NUMERIC, "-0.0000000000000000000001", "-0.0000000000000000000001");
    check(KP_NUMERIC, "9223372036854775808", "9223372036854775808");
    check(KP_NUMERIC, "NaN", "NaN");
    check(KP_NUMERIC, "-inf", "-Infinity");
    check(KP_NUMERIC, "1e", "!22P02");
    check(KP_NUMERIC, "1.2.3", "!22P02");
    check(KP_NUMERIC, "1e200000", "!22003");
    struct kp_type money = {.id = KP_NUMERIC, .mod = ((5 << 16) | 2) + 4};
    check_mod(money, "123.455", "123.46", NULL);
    check_mod(money, "-123.455", "-123.46", NULL);
    check_mod(money, "999.995", "!22003", NULL);
    check_mod(money, "1", "1.00", NULL);
    check_mod(money, "inf", "!22003", NULL);
}

static void test_strings(void **state)
{
    (void)state;
    check(KP_TEXT, "hello, a long text", "hello, a long text");
    check(KP_TEXT, "\xff", "!22021");
    check_mod((struct kp_type){.id = KP_VARCHAR, .mod = 7}, "abc  ", "abc", NULL);
    check_mod((struct kp_type){.id = KP_VARCHAR, .mod = 7}, "abcd", "!22001", NULL);
    check_mod((struct kp_type){.id = KP_BPCHAR, .mod = 9}, "a\xc3\xa4", "a\xc3\xa4   ", NULL);
    check(KP_BYTEA, "\\xDEAD beef", "\\xdeadbeef");
    check(KP_BYTEA, "a\\\\b\\001", "\\x615c6201");
    check(KP_BYTEA, "\\xabc", "!22023");
    check(KP_UUID, "{A0EEBC99-9C0B4EF8-BB6D6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    check(KP_UUID, "a0eebc99", "!22P02");
    check(KP_JSONB, " {\"bb\":1.50, \"a\" : [1,null,true,\"x\\u00e4\"],\"a\":{}}", "{\"a\": {}, \"bb\": 1.50}");
    check(KP_JSONB, "[1, 2", "!22P02");
    check(KP_JSON, "{\"a\":  1}", "{\"a\":  1}");
    check(KP_JSON, "{a:1}", "!22P02");
    check(KP_JSON, "01", "!22P02");
}

static void test_dates(void **state)
{
    (void)state;
    check(KP_DATE, "2013-01-31", "2013-01-31");
    check(KP_DATE, "January 8, 1999", "1999-01-08");
    check(KP_DATE, "8 Jan 1999", "1999-01-08");
    check(KP_DATE, "1/8/1999", "1999-01-08");
    check(KP_DATE, "1999-Jan-08", "1999-01-08");
    check(KP_DATE, "08-Jan-99", "1999-01-08");
    check(KP_DATE, "19990108", "1999-01-08");
    check(KP_DATE, "990108", "1999-01-08");
    check(KP_DATE, "1999.008", "1999-01-08");
    check(KP_DATE, "J2451187", "1999-01-08");
    check(KP_DATE, "January 8, 99 BC", "0099-01-08 BC");
    check(KP_DATE, "infinity", "infinity");
    check(KP_DATE, "epoch", "1970-01-01");
    check(KP_DATE, "2013-02-29", "!22008");
    check(KP_DATE, "2013-13-01", "!22008");
    check(KP_DATE, "hello", "!22007");
    check(KP_DATE, "", "!22007");
    check(KP_DATE, "2013-01-02 10:00", "2013-01-02");
    check(KP_TIME, "04:05:06.789", "04:05:06.789");
    check(KP_TIME, "040506", "04:05:06");
    check(KP_TIME, "04:05 PM", "16:05:00");
    check(KP_TIME, "24:00:00", "24:00:00");
    check(KP_TIME, "25:00", "!22008");
    check(KP_TIMESTAMP, "2013-01-02T03:04:05Z", "2013-01-02 03:04:05");
    check(KP_TIMESTAMP, "2013-01-02 24:00:00", "2013-01-03 00:00:00");
    check(KP_TIMESTAMP, "2013-01-02 03:04:60", "2013-01-02 03:05:00");
    check(KP_TIMESTAMP, "Wed Jan 2 03:04:05 2013", "2013-01-02 03:04:05");
    check(KP_TIMESTAMP, "20130102T030405", "2013-01-02 03:04:05");
    check(KP_TIMESTAMP, "2013-01-02 03:04:05.1234567", "2013-01-02 03:04:05.123457");
    check(KP_TIMESTAMP, "-infinity", "-infinity");
    check(KP_TIMESTAMP, "294277-01-01", "!22008");
    check_mod((struct kp_type){.id = KP_TIMESTAMP, .mod = 3}, "2013-01-02 03:04:05.1235", "2013-01-02 03:04:05.124",
              NULL);
}

static void test_zones(void **state)
{
    (void)state;
    const struct kp_zone *new_york;
    struct kp_error err;
    if (kp_zone_find(KP_STR("america/new_york"), &new_york, &err) != KP_OK)
        skip(); /* no time zone data here */
    struct kp_type type = KP_TYPE(KP_TIMESTAMPTZ);
    check_mod(type, "2013-01-02 03:04:05", "2013-01-02 03:04:05-05", new_york);
    check_mod(type, "2013-07-02 03:04:05+02", "2013-07-01 21:04:05-04", new_york);
    check_mod(type, "2013-03-10 02:30:00", "2013-03-10 03:30:00-04", new_york);
    check_mod(type, "2013-11-03 01:30:00", "2013-11-03 01:30:00-05", new_york);
    check_mod(type, "2050-07-01 00:00:00", "2050-07-01 00:00:00-04", new_york);
    check_mod(type, "1850-07-01 00:00:00", "1850-07-01 00:00:00-04:56:02", new_york);
    check_mod(type, "2013-01-02 03:04:05 America/Los_Angeles", "2013-01-02 11:04:05+00", NULL);
    check_mod(type, "2013-01-02 03:04:05 EST", "2013-01-02 08:04:05+00", NULL);
    check_mod(type, "2013-01-02 03:04:05 +0530", "2013-01-01 21:34:05+00", NULL);
    check_mod(type, "2013-01-02 03:04:05 Nowhere/Town", "!22023", NULL);
    check_mod(type, "2013-01-02 03:04:05+16", "!22009", NULL);
    check_mod(type, "2013-01-02 03:04:05 +5:", "2013-01-01 22:04:05+00", NULL);
    check_mod(type, "2013-01-02 03:04:05-05:3:1", "2013-01-02 08:07:06+00", NULL);
    check_mod(type, "2013-01-02 03:04:05+05:60", "!22009", NULL);
    check_mod(type, "2013-01-02 03:04:05+05:100", "!22009", NULL);
    check_mod(type, "2013-01-02-03", "!22007", NULL);
    check_mod(type, "2013-Jan-02-03:30", "!22007", NULL);
    check_mod(type, "2013-01-02-", "2013-01-02 00:00:00+00", NULL);
    check_mod(type, "2013/01/02-03", "2013-01-02 03:00:00+00", NULL);
}

static void test_intervals(void **state)
{
    (void)state;
    check(KP_INTERVAL, "1 year 2 months 3 days 4:05:06.7", "1 year 2 mons 3 days 04:05:06.7");
    check(KP_INTERVAL, "10 seconds", "00:00:10");
    check(KP_INTERVAL, "1.5 days", "1 day 12:00:00");
    check(KP_INTERVAL, "1.5 months", "1 mon 15 days");
    check(KP_INTERVAL, "1.5 weeks", "10 days 12:00:00");
    check(KP_INTERVAL, "-1 day +02:03:00", "-1 days +02:03:00");
    check(KP_INTERVAL, "1 day ago", "-1 days");
    check(KP_INTERVAL, "@ 1 minute", "00:01:00");
    check(KP_INTERVAL, "P1Y2M3DT4H5M6.5S", "1 year 2 mons 3 days 04:05:06.5");
    check(KP_INTERVAL, "P0001-02-03T04:05:06", "1 year 2 mons 3 days 04:05:06");
    check(KP_INTERVAL, "PT1H", "01:00:00");
    check(KP_INTERVAL, "1-2", "1 year 2 mons");
    check(KP_INTERVAL, "3 4:05:06", "3 days 04:05:06");
    check(KP_INTERVAL, "30", "00:00:30");
    check(KP_INTERVAL, "1h30m", "01:30:00");
    check(KP_INTERVAL, "0", "00:00:00");
    check(KP_INTERVAL, "-00:00:01.5", "-00:00:01.5");
    check(KP_INTERVAL, "hello", "!22007");
    check(KP_INTERVAL, "3000000000 days", "!22015");
    check_mod((struct kp_type){.id = KP_INTERVAL, .mod = (1 << 3) << 16 | 0xffff}, "5", "5 days", NULL);
    check_mod((struct kp_type){.id = KP_INTERVAL, .mod = 0x7fff << 16 | 0}, "1.6 seconds", "00:00:02", NULL);
}

static void check_json(enum kp_type_id type, const char *text, const char *wanted)
{
    uint64_t value[2] = {0};
    struct kp_error err;
    struct kp_buf out = {0};
    assert_int_equal(kp_value_parse(KP_TYPE(type), kp_str(text), NULL, &arena, value, &err), KP_OK);
    kp_value_print_json(KP_TYPE(type), value, NULL, &out);
    kp_buf_append_byte(&out, 0);
    assert_string_equal((char *)out.data, wanted);
    kp_buf_finish(&out);
}

static void test_json(void **state)
{
    (void)state;
    check_json(KP_INT8, "9007199254740992", "9007199254740992");
    check_json(KP_INT8, "9007199254740993", "\"9007199254740993\"");
    check_json(KP_NUMERIC, "1.50", "\"1.50\"");
    check_json(KP_FLOAT8, "NaN", "\"NaN\"");
    check_json(KP_BOOL, "t", "true");
    check_json(KP_TEXT, "a\"b", "\"a\\\"b\"");
    check_json(KP_TIMESTAMP, "2013-01-02 03:04:05", "\"2013-01-02T03:04:05\"");
    check_json(KP_TIMESTAMPTZ, "2013-01-02 03:04:05+01", "\"2013-01-02T02:04:05Z\"");
    check_json(KP_BYTEA, "\\x00", "\"\\\\x00\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_numeric), cmocka_unit_test(test_strings),
        cmocka_unit_test(test_dates),   cmocka_unit_test(test_zones),   cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
