/* The fast path and simdjson's give the same rows and dead letters, on random records and mutations of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "decode/differential.h"

static uint64_t random_state;
static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 20) % n;
}
#define PICK(table) (table)[random_below(KP_COUNT(table))]

static void put_space(struct kp_buf *out)
{
    static const char *const spaces[] = {" ", "\n", "\t", "\r", "  "};
    if (random_below(12) == 0)
        kp_buf_append_text(out, PICK(spaces));
}

static void put_value(struct kp_buf *out, unsigned depth)
{
    static const char *const scalars[] = {"0",
                                          "-0",
                                          "1",
                                          "-1",
                                          "17",
                                          "12345678",
                                          "123456789012345678",
                                          "1234567890123456789",
                                          "9223372036854775807",
                                          "-9223372036854775808",
                                          "9223372036854775808",
                                          "32767",
                                          "32768",
                                          "2147483647",
                                          "2147483648",
                                          "1.5",
                                          "0.1",
                                          "1.0",
                                          "100e-2",
                                          "1e5",
                                          "1E400",
                                          "3.141592653589793",
                                          "123456789.123456789",
                                          "0.000000000000000001",
                                          "-0.0",
                                          "1e-400",
                                          "16777217",
                                          "0.1e1",
                                          "99999999.994",
                                          "true",
                                          "false",
                                          "null",
                                          "\"\"",
                                          "\"x\"",
                                          "\"exactly 12 b\"",
                                          "\"thirteen byte\"",
                                          "\"a text that is longer than thirty-two bytes, by some\"",
                                          "\"12\"",
                                          "\"-7\"",
                                          "\"1.25\"",
                                          "\"true\"",
                                          "\"2015-07-15 00:00:00.000\"",
                                          "\"2015-07-15T12:34:56Z\"",
                                          "\"2015-07-15 12:34:56.123456\"",
                                          "\"2015-07-15 12:34:56.123456+02\"",
                                          "\"2015-02-29 00:00:00\"",
                                          "\"2015-07-15\"",
                                          "\"infinity\"",
                                          "\"\\u00e9\\n\\\"\"",
                                          "\"\\u0000\"",
                                          "\"\\ud83d\\ude00\"",
                                          "\"\\ud83d\"",
                                          "\"é€😀\"",
                                          "\"\\/\\b\\f\\r\\t\\\\\"",
                                          "\"2015-07-15 24:00:00\"",
                                          "\"2015-07-15 00:00:60\"",
                                          "\"2015-07-15 00:00:00.1234567\"",
                                          "\"0001-01-01 00:00:00\"",
                                          "\"NaN\"",
                                          "\"1e3\"",
                                          "\" 5 \""};
    uint64_t kind = random_below(depth > 3 ? 8 : 10);
    if (kind < 8) {
        kp_buf_append_text(out, PICK(scalars));
        return;
    }
    static const char *const names[] = {"b", "c", "d", "x", "B", "", "\\u0062"};
    kp_buf_append_byte(out, kind == 8 ? '{' : '[');
    put_space(out);
    uint64_t count = random_below(4);
    for (uint64_t i = 0; i < count; i++) {
        if (i)
            kp_buf_append_byte(out, ',');
        put_space(out);
        if (kind == 8)
            kp_buf_printf(out, "\"%s\":", PICK(names));
        put_value(out, depth + 1);
        put_space(out);
    }
    kp_buf_append_byte(out, kind == 8 ? '}' : ']');
}

/* A value that the field of this number likes; the order is that of put_object's names. */
static void put_liked_value(struct kp_buf *out, size_t field)
{
    static const char *const liked[][4] = {
        {"1007", "-5", "\"12\"", "99999999999"},
        {"1", "2e3", "-77", "2147483647"},
        {"7", "-32768", "\"8\"", "1.0"},
        {"12.50", "-0.001", "123456789012345678901234567890.5", "1e3"},
        {"\"Apple\"", "\"channel-1234\"", "\"a \\\"quoted\\\" text, quite long, and more of it\"", "12"},
        {"\"2015-07-15 00:00:00.000\"", "\"2015-07-15T23:59:59.999Z\"", "\"2015-07-15 00:00:01\"",
         "\"15 July 2015 1:00 pm\""},
        {"\"2015-07-15 00:00:00Z\"", "\"2015-07-15 00:00:00+02\"", "\"2015-07-15T00:00:00.5Z\"", "null"},
        {"true", "false", "\"t\"", "null"},
        {"0.5", "-1e10", "3.141592653589793", "12345678901234567"},
        {"0.1", "16777217", "1e-20", "5"},
        {"\"2015-07-15\"", "\"1999-12-31\"", "\"infinity\"", "null"},
        {"{\"x\":[1,2]}", "[]", "\"s\"", "1"},
        {"{\"b\":1,\"c\":{\"d\":\"x\"}}", "{\"c\":{}}", "{}", "7"},
        {"\"abc\"", "\"\"", "\"nine char\"", "1"},
        {"1.5", "-3", "999999.99", "\"0.005\""},
        {"{\"b\":1,\"a\":[]}", "1.50", "null", "\"x\""}};
    kp_buf_append_text(out, PICK(liked[field]));
}

static void put_object(struct kp_buf *out, bool in_order)
{
    static const char *const names[] = {"auction", "bidder", "small", "price", "channel", "dateTime", "at",    "ok",
                                        "ratio",   "real",   "day",   "raw",   "a",       "short",    "money", "canon"};
    static const char *const odd[] = {
        "Auction",       "BIDDER",  "datetime", "a.b", "raw.x",
        "Channel",       "CHANNEL", "unknown",  "A",   "a name of more than thirty-two bytes, all in all",
        "\\u0061uction", "é",       "bid"};
    bool any = false;
    kp_buf_append_byte(out, '{');
    for (size_t i = 0; i < KP_COUNT(names); i++) {
        if (random_below(5) == 0)
            continue;
        if (any)
            kp_buf_append_byte(out, ',');
        put_space(out);
        const char *name = in_order ? names[i] : random_below(4) ? PICK(names) : PICK(odd);
        bool at_home = name == names[i] && random_below(25) > 0;
        kp_buf_printf(out, "\"%s\"", name);
        put_space(out);
        kp_buf_append_byte(out, ':');
        put_space(out);
        if (at_home)
            put_liked_value(out, i);
        else
            put_value(out, 0);
        put_space(out);
        any = true;
    }
    kp_buf_append_byte(out, '}');
}

/* Damages a record as producers, networks and attackers do. */
static void mutate(struct kp_buf *text)
{
    static const char pieces[] = "{}[]\",:\\ntfu0123456789.eE+- \t\n\x01\x1f\x7f\x80\xc3\xe2\xf0\xff";
    uint64_t changes = random_below(4);
    for (uint64_t i = 0; i < changes && text->len; i++) {
        size_t at = random_below(text->len), rest = text->len - at;
        switch (random_below(5)) {
        case 0:
            text->data[at] = (uint8_t)pieces[random_below(sizeof pieces - 1)];
            break;
        case 1:
            text->len = at;
            break;
        case 2: {
            size_t cut = 1 + random_below(rest < 5 ? rest : 5);
            memmove(text->data + at, text->data + at + cut, rest - cut);
            text->len -= cut;
            break;
        }
        case 3:
            kp_buf_reserve(text, 1);
            memmove(text->data + at + 1, text->data + at, rest);
            text->data[at] = (uint8_t)pieces[random_below(sizeof pieces - 1)];
            text->len++;
            break;
        default: {
            size_t more = 1 + random_below(rest < 40 ? rest : 40);
            kp_buf_reserve(text, more);
            memmove(text->data + at + more, text->data + at, rest);
            text->len += more;
        }
        }
    }
}

/* Shows the first line in which the answers differ. */
static void fail_at_difference(const struct differential *both, uint64_t seed, unsigned round)
{
    const char *fast = (char *)both->answers[0].data, *general = (char *)both->answers[1].data;
    size_t line = 0;
    for (size_t i = 0; fast[i] && fast[i] == general[i]; i++)
        if (fast[i] == '\n')
            line = i + 1;
    print_message("fast:    %.*s\ngeneral: %.*s\n", (int)strcspn(fast + line, "\n"), fast + line,
                  (int)strcspn(general + line, "\n"), general + line);
    fail_msg("seed %llu, round %u", (unsigned long long)seed, round);
}

static void compare(const char *path, uint64_t seed, unsigned rounds)
{
    struct differential both;
    struct kp_buf text = {0};
    differential_init(&both, path);
    random_state = seed;
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t count = 1 + random_below(20);
        for (uint64_t i = 0; i < count; i++) {
            text.len = 0;
            if (path && random_below(4) > 0) {
                kp_buf_append_text(&text, random_below(4) ? "{\"t\":1,\"other\":null,\"bid\":" : "{\"other\":");
                put_object(&text, random_below(3) > 0);
                kp_buf_append_text(&text, random_below(5) ? "}" : ",\"bid\":null}");
            } else {
                put_object(&text, random_below(3) > 0);
            }
            if (random_below(2))
                mutate(&text);
            differential_add(&both, (struct kp_str){(char *)text.data, text.len});
        }
        if (!differential_run(&both))
            fail_at_difference(&both, seed, round);
    }
    /* The comparison would be worth little if the fast path decided nothing, or everything. */
    struct kp_decode_counts counts = kp_decode_state_counts(both.states[0]);
    assert_true(counts.fast > counts.records / 20);
    assert_true(counts.dead > counts.records / 20);
    assert_true(counts.rows > counts.records / 20);
    kp_buf_finish(&text);
    differential_finish(&both);
}

static void test_record(void **unused)
{
    for (uint64_t seed = 1; seed <= 5; seed++)
        compare(NULL, seed, 400);
}

static void test_path(void **unused)
{
    for (uint64_t seed = 11; seed <= 15; seed++)
        compare("bid", seed, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_record), cmocka_unit_test(test_path)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
