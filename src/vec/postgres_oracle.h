/*
 * For postgres_test.c: random values of every type as PostgreSQL's literals, and arguments that make sense for a
 * function. All from one seed.
 */
#ifndef KP_VEC_POSTGRES_ORACLE_H
#define KP_VEC_POSTGRES_ORACLE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "vec/func.h"

static uint64_t random_state = 20240607;

static uint64_t next_random(void)
{
    random_state += 0x9e3779b97f4a7c15u;
    return kp_hash_u64(random_state);
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(next_random() % n);
}

#define PICK(list) (list)[below(KP_COUNT(list))]

/* ---- literals ---- */

static void make_numeric(char *text, size_t size)
{
    static const char *const edges[] = {"0",
                                        "1",
                                        "-1",
                                        "0.00",
                                        "1.0",
                                        "1.00",
                                        "-0.5",
                                        "0.5",
                                        "1.5",
                                        "2.5",
                                        "10",
                                        "100",
                                        "NaN",
                                        "Infinity",
                                        "-Infinity",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "9223372036854775808",
                                        "99999999999999999999",
                                        "0.000000000000000000001",
                                        "1e18",
                                        "1e-18",
                                        "32767.5",
                                        "-32768.5",
                                        "2147483647.49",
                                        "1234567890.123456789"};
    if (below(3) == 0) {
        snprintf(text, size, "%s", PICK(edges));
        return;
    }
    unsigned whole = below(4) == 0 ? below(25) : below(7), fraction = below(4) == 0 ? below(25) : below(5);
    size_t at = 0;
    if (below(2))
        text[at++] = '-';
    for (unsigned i = 0; i < whole + 1; i++)
        text[at++] = (char)('0' + below(10));
    if (fraction)
        text[at++] = '.';
    for (unsigned i = 0; i < fraction; i++)
        text[at++] = (char)('0' + (below(3) ? below(10) : 0));
    text[at] = 0;
}

static void make_int(char *text, size_t size, int64_t min, int64_t max)
{
    switch (below(6)) {
    case 0:
        snprintf(text, size, "%lld", (long long)(below(2) ? min : max));
        break;
    case 1:
        snprintf(text, size, "%lld", (long long)(below(2) ? min + below(3) : max - below(3)));
        break;
    case 2: {
        int64_t value = (int64_t)next_random() >> below(64);
        snprintf(text, size, "%lld", (long long)(value < min || value > max ? value % max : value));
        break;
    }
    default:
        snprintf(text, size, "%d", (int)below(25) - 10);
    }
}

static void make_float(char *text, size_t size, bool single)
{
    static const char *const edges[] = {"0",
                                        "-0",
                                        "1",
                                        "-1",
                                        "0.5",
                                        "1.5",
                                        "2.5",
                                        "-2.5",
                                        "NaN",
                                        "Infinity",
                                        "-Infinity",
                                        "1e15",
                                        "123456789012345678",
                                        "1e-5",
                                        "0.1",
                                        "3.7e-30",
                                        "2147483647.5",
                                        "32767.4"};
    static const char *const doubles[] = {"1e308", "-1e308", "5e-324", "1e200", "1e-200", "9223372036854775807"};
    static const char *const singles[] = {"1e38", "3e-40", "16777216", "1e-30"};
    uint32_t kind = below(4);
    if (kind == 0)
        snprintf(text, size, "%s", PICK(edges));
    else if (kind == 1)
        snprintf(text, size, "%s", single ? PICK(singles) : PICK(doubles));
    else
        snprintf(text, size, "%.*g", single ? 7 : 16,
                 ((double)next_random() / 1e19 - 0.5) * pow(10, (int)below(12) - 3));
}

static void make_text(char *text, size_t size)
{
    static const char *const words[] = {"",
                                        "a",
                                        "ab",
                                        "abc",
                                        "Hello World",
                                        "  padded  ",
                                        "x",
                                        "äöü",
                                        "ÄÖÜ straße",
                                        "日本語テキスト",
                                        "a,b,c",
                                        ",",
                                        "b",
                                        "l",
                                        "lo",
                                        "one two three four",
                                        "%",
                                        "_",
                                        "a%",
                                        "%b%",
                                        "h_llo%",
                                        "O'Reilly",
                                        "back\\\\slash",
                                        "1234567890123",
                                        "MiXeD cAsE",
                                        "xyxyxy",
                                        "xy",
                                        "éÉ",
                                        "ΑΒΓ αβγ",
                                        "Привет"};
    if (below(4))
        snprintf(text, size, "%s", PICK(words));
    else
        snprintf(text, size, "%s%s", PICK(words), PICK(words));
}

static void make_date(char *text, size_t size)
{
    static const char *const edges[] = {"2000-01-01", "1970-01-01", "2012-02-29",    "infinity",
                                        "-infinity",  "0001-01-01", "4713-11-24 BC", "0044-03-15 BC",
                                        "9999-12-31", "2013-03-10", "2013-11-03"};
    if (below(5) == 0)
        snprintf(text, size, "%s", PICK(edges));
    else
        snprintf(text, size, "%04u-%02u-%02u", 1900 + below(200), 1 + below(12), 1 + below(28));
}

static void make_time(char *text, size_t size)
{
    if (below(6) == 0)
        snprintf(text, size, "%s", below(2) ? "00:00:00" : "24:00:00");
    else if (below(2))
        snprintf(text, size, "%02u:%02u:%02u", below(24), below(60), below(60));
    else
        snprintf(text, size, "%02u:%02u:%02u.%0*u", below(24), below(60), below(60), 6, below(1000000));
}

static void make_timetz(char *text, size_t size)
{
    static const char *const offsets[] = {"+00", "+02", "-08", "+05:30", "-03:30:15", "+15:59:59", " EST", " UTC"};
    char time[64];
    make_time(time, sizeof time);
    snprintf(text, size, "%s%s", time, offsets[below(8)]);
}

static void make_timestamp(char *text, size_t size)
{
    char day[32], clock[32];
    make_date(day, sizeof day);
    if (strchr(day, 'i') || strchr(day, 'B')) {
        snprintf(text, size, "%s", day);
        return;
    }
    do
        make_time(clock, sizeof clock);
    while (clock[0] == '2' && clock[1] == '4');
    snprintf(text, size, "%s %s", day, clock);
}

static void make_interval(char *text, size_t size)
{
    static const char *const edges[] = {
        "0",          "1 day",      "1 month",          "-1 month",          "1 year",          "30 days",
        "24 hours",   "-24 hours",  "1 mon -1 day",     "-1 days +02:03:04", "178000000 years", "1 second",
        "15 minutes", "10 seconds", "35 days 25:00:00", "0.000001",          "1 hour"};
    if (below(3) == 0)
        snprintf(text, size, "%s", PICK(edges));
    else if (below(2))
        snprintf(text, size, "%d hours %u.%u seconds", (int)below(100) - 50, below(100), below(1000));
    else
        snprintf(text, size, "%d years %d mons %d days %d:%02u:%02u", (int)below(20) - 10, (int)below(30) - 15,
                 (int)below(80) - 40, (int)below(50), below(60), below(60));
}

static void make_json(char *text, size_t size)
{
    static const char *const values[] = {"null",
                                         "true",
                                         "1",
                                         "1.0",
                                         "-2.50",
                                         "1e2",
                                         "\"a\"",
                                         "\"b c\"",
                                         "[]",
                                         "{}",
                                         "[1, 2, 3]",
                                         "[\"a\", \"b\", null]",
                                         "[[1, 2], {\"x\": 5}]",
                                         "{\"a\": 1}",
                                         "{\"a\": 1, \"b\": [1, {\"c\": \"x\"}]}",
                                         "{\"b\": null, \"a\": {\"b\": {\"c\": 7}}}",
                                         "{\"a\": \"1\", \"aa\": \"x\", \"a\": 2}",
                                         " { \"x\" : [ 1 , 2 ] } ",
                                         "\"\\u00e4 \\n\\t\\\"q\\\"\"",
                                         "[1",
                                         "{\"a\":[{\"b\":1},{\"b\":2}],\"n\":12345678901234567890.5}"};
    snprintf(text, size, "%s", PICK(values));
}

static bool make_literal(enum kp_type_id type, char *text, size_t size);

/* Some elements, quoted where an array's text needs it; rarely two dimensions or other bounds. */
static bool make_array(enum kp_type_id element, char *text, size_t size)
{
    char value[160];
    unsigned count = below(5), shape = below(12);
    size_t at = (size_t)snprintf(text, size, "%s{", shape == 0 && count ? "[0:" : "");
    if (shape == 0 && count)
        at = (size_t)snprintf(text, size, "[0:%u]={", count - 1);
    if (shape == 1 && count)
        at += (size_t)snprintf(text + at, size - at, "{");
    for (unsigned i = 0; i < count; i++) {
        do
            if (!make_literal(element, value, sizeof value))
                return false;
        while (strlen(value) > 20 || strpbrk(value, "\"\\"));
        if (below(6) == 0)
            at += (size_t)snprintf(text + at, size - at, "%sNULL", i ? "," : "");
        else
            at += (size_t)snprintf(text + at, size - at, "%s\"%s\"", i ? "," : "", value);
    }
    snprintf(text + at, size - at, "%s", shape == 1 && count ? "}}" : "}");
    return true;
}

/* A literal of a type; false if the type has no generator. */
static bool make_literal(enum kp_type_id type, char *text, size_t size)
{
    if (kp_type_is_array(type))
        return make_array(kp_type_element(type), text, size);
    switch (type) {
    case KP_BOOL:
        snprintf(text, size, "%s", below(2) ? "t" : "f");
        return true;
    case KP_INT2:
        make_int(text, size, INT16_MIN, INT16_MAX);
        return true;
    case KP_INT4:
        make_int(text, size, INT32_MIN, INT32_MAX);
        return true;
    case KP_INT8:
        make_int(text, size, INT64_MIN, INT64_MAX);
        return true;
    case KP_OID:
        snprintf(text, size, "%u", below(2) ? below(100) : (uint32_t)next_random());
        return true;
    case KP_FLOAT4:
    case KP_FLOAT8:
        make_float(text, size, type == KP_FLOAT4);
        return true;
    case KP_NUMERIC:
        make_numeric(text, size);
        return true;
    case KP_TEXT:
    case KP_VARCHAR:
    case KP_BPCHAR:
    case KP_NAME:
        make_text(text, size);
        return true;
    case KP_CHAR:
        if (below(4) == 0)
            snprintf(text, size, "\\%o%o%o", below(8), below(8), below(8));
        else
            make_text(text, size);
        return true;
    case KP_BYTEA:
        snprintf(text, size, "\\x%0*x", 2 + 2 * (int)below(4), below(256));
        return true;
    case KP_DATE:
        make_date(text, size);
        return true;
    case KP_TIME:
        make_time(text, size);
        return true;
    case KP_TIMETZ:
        make_timetz(text, size);
        return true;
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
        make_timestamp(text, size);
        return true;
    case KP_INTERVAL:
        make_interval(text, size);
        return true;
    case KP_JSON:
    case KP_JSONB:
        make_json(text, size);
        return true;
    case KP_UUID:
        snprintf(text, size, "%016llx%016llx", (unsigned long long)next_random(), (unsigned long long)next_random());
        return true;
    default:
        return false;
    }
}

/* Arguments that make sense for some functions: small counts, names of units and zones. */
static void make_argument(const struct kp_func *func, unsigned n, char *text, size_t size)
{
    static const char *const units[] = {
        "microseconds",    "milliseconds", "second",   "minute", "hour",    "day",        "week",
        "month",           "quarter",      "year",     "decade", "century", "millennium", "dow",
        "isodow",          "doy",          "isoyear",  "julian", "epoch",   "timezone",   "timezone_hour",
        "timezone_minute", "YEAR",         "fortnight"};
    static const char *const zones[] = {"UTC", "America/New_York", "europe/berlin", "Asia/Kolkata",
                                        "EST", "Australia/Sydney", "Nowhere"};
    static const char *const patterns[] = {"a",
                                           "^a",
                                           "b$",
                                           "[a-c]+",
                                           "l+",
                                           "(x)(y)",
                                           "(a|ab)(c|bcd)?",
                                           "o",
                                           "",
                                           ".",
                                           "[[:digit:]]+",
                                           "[^ ]+",
                                           "\\d{2,4}",
                                           "\\w+ \\w+",
                                           "(",
                                           "x*",
                                           "W(or)ld",
                                           "ä"};
    static const char *const replacements[] = {"", "-", "[\\&]", "\\1", "x\\2y", "\\\\"};
    enum kp_type_id type = func->args[n];
    bool has_text = false;
    for (unsigned i = 0; i < func->arg_count; i++)
        has_text |= func->args[i] == KP_TEXT;
    bool of_unit =
        !strcmp(func->name, "extract") || !strcmp(func->name, "date_part") || !strcmp(func->name, "date_trunc");
    if (func->kind == KP_FUNC_CAST && kp_type_info(type)->category == 'S' && func->ret != KP_JSON &&
        func->ret != KP_JSONB && kp_type_info(func->ret)->category != 'S' && below(8)) {
        make_literal(func->ret, text, size);
        if (below(10) == 0)
            snprintf(text + strlen(text), size - strlen(text), "%s", below(2) ? "x" : " ");
    } else if (of_unit && n == 0 && type == KP_TEXT) {
        snprintf(text, size, "%s", PICK(units));
    } else if (type == KP_TEXT &&
               (!strcmp(func->name, "timezone") || !strcmp(func->name, "make_timestamptz") || (of_unit && n == 2))) {
        snprintf(text, size, "%s", PICK(zones));
    } else if (!strncmp(func->name, "regexp_", 7) && type == KP_TEXT && n >= 2 &&
               (strcmp(func->name, "regexp_replace") || n == 5)) {
        static const char *const flags[] = {"", "i", "c", "s", "ci", "z"};
        snprintf(text, size, "%s", PICK(flags));
    } else if ((!strcmp(func->name, "encode") || !strcmp(func->name, "decode")) && n == 1) {
        static const char *const encodings[] = {"hex", "base64", "escape", "HEX", "rot13"};
        snprintf(text, size, "%s", PICK(encodings));
    } else if (!strncmp(func->name, "convert_", 8) && n == 1) {
        snprintf(text, size, "UTF8");
    } else if (!strcmp(func->name, "factorial")) {
        snprintf(text, size, "%d", (int)below(40) - 5);
    } else if (n == 1 && type == KP_TEXT &&
               (func->name[0] == '~' || !strcmp(func->name, "!~") || !strcmp(func->name, "!~*") ||
                !strncmp(func->name, "regexp_", 7) || !strcmp(func->name, "substring")) &&
               strcmp(func->name, "~~") && strcmp(func->name, "~~*")) {
        snprintf(text, size, "%s", PICK(patterns));
    } else if (!strcmp(func->name, "regexp_replace") && n >= 2) {
        snprintf(text, size, "%s", n == 2 ? PICK(replacements) : below(2) ? "g" : "gi");
    } else if (!strcmp(func->name, "regexp_like") && n == 2) {
        snprintf(text, size, "%s", below(2) ? "i" : "");
    } else if (!strcmp(func->name, "to_char") && kp_type_info(func->args[0])->category == 'N') {
        static const char *const formats[] = {"999",
                                              "FM999",
                                              "9.99",
                                              "0.99",
                                              "FM990.00",
                                              "9,999,999.99",
                                              "0000",
                                              "S999",
                                              "999S",
                                              "999MI",
                                              "PL999",
                                              "999PR",
                                              "FM9TH",
                                              "99V9",
                                              "999D99",
                                              "9G999",
                                              "\"n:\"999 \"x\"",
                                              "FM999999990.09",
                                              "SG999",
                                              "L99.99",
                                              "90",
                                              "FM9,999.9",
                                              "RN",
                                              "FMrn",
                                              "9.99EEEE",
                                              "99.9S",
                                              "S99.9",
                                              "FMS99.90",
                                              "9S9",
                                              "9.9.9",
                                              "9999V99",
                                              "99th",
                                              "FM9PR",
                                              "SFM99.99",
                                              "PL9MI",
                                              "FM0999.9"};
        static const char *const numbers[] = {"0",   "1",    "-1",     "12",      "-12.5",   "0.5",      "-0.5",
                                              "485", "1485", "-485.8", "9999.99", "123.456", "-1234567", "100"};
        static const char *const wholes[] = {"0", "1", "-1", "12", "-12", "485", "1485", "-9999", "100", "32767"};
        bool whole = func->args[0] == KP_INT4 || func->args[0] == KP_INT8;
        bool single = func->args[0] == KP_FLOAT4; /* of which PostgreSQL drops the point with the decimals */
        do
            snprintf(text, size, "%s", n ? PICK(formats) : whole ? PICK(wholes) : PICK(numbers));
        while (n == 0 && single && strlen(text) > 5);
    } else if (type == KP_JSONPATH) {
        static const char *const paths[] = {"$",
                                            "$.a",
                                            "strict $.a",
                                            "$[*]",
                                            "strict $[*]",
                                            "$.*",
                                            "$.**",
                                            "$.**{1 to 2}.c",
                                            "$[0, 1 to last]",
                                            "$[last - 1]",
                                            "strict $[5]",
                                            "$.b[*] ? (@ > 0)",
                                            "$ ? (@.a == 1 || exists(@.b))",
                                            "$.a + 1",
                                            "$[*] * 2.5",
                                            "-$.a",
                                            "$.size()",
                                            "$.type()",
                                            "$[*].double()",
                                            "$.n.floor()",
                                            "$.a > 0 && $.a < 5",
                                            "($ > 0) is unknown",
                                            "!($.a == 1)",
                                            "$[*] ? (@ starts with \"a\")",
                                            "$[*] ? (@ like_regex \"^[ab]\")",
                                            "$.a == $x",
                                            "$[*] > null",
                                            "$.a[*] ? (@.b > 1).b",
                                            "1 / $.a",
                                            "$ %",
                                            "@"};
        /* the last two are wrong, and so may be the variables: which is told first differs */
        snprintf(text, size, "%s", paths[below((uint32_t)KP_COUNT(paths) - (func->arg_count > 2 ? 2 : 0))]);
    } else if (!strcmp(func->name, "to_number")) {
        static const char *const formats[] = {"999",    "S999.99", "99G999D99", "999MI", "999PR",  "FM9.999S",
                                              "L9,999", "999th",   "9 9 . 9 9", "99V99", "99.99S", "000.000"};
        static const char *const numbers[] = {"123",   "-12.5",     "12.5-", "1,234.56", "<12>", " 42 ", "$1,234",
                                              "42nd",  "1 2 . 5 6", "+7",    "x12",      "",     ".5",   "5.01-",
                                              "12,34", "999999",    "-",     "1.2.3",    "00012"};
        snprintf(text, size, "%s", n ? PICK(formats) : PICK(numbers));
    } else if (type == KP_TEXT && (!strcmp(func->name, "to_timestamp") || !strcmp(func->name, "to_date"))) {
        static const char *const formats[] = {"YYYY-MM-DD HH24:MI:SS",
                                              "YYYY-MM-DD",
                                              "YYYYMMDD",
                                              "DD Mon YYYY",
                                              "FMMonth DD, YYYY",
                                              "YY/MM/DD HH12:MI AM",
                                              "IYYY-IW-ID",
                                              "YYYY DDD",
                                              "J",
                                              "HH24:MI:SS.US TZH:TZM",
                                              "FXYYYY-MM-DD",
                                              "YYYY-MM-DD BC",
                                              "\"on\" YYYY MM",
                                              "DDth of Mon YYYY",
                                              "CC YY MM",
                                              "SSSS",
                                              "YYYY MM W",
                                              "HH:MI:SS.FF3",
                                              "Day DD Mon YYYY",
                                              "Y,YYY-MM-DD"};
        static const char *const times[] = {"2020-02-29 13:14:15",
                                            "2020-02-30",
                                            "20200229",
                                            "29 Feb 2020",
                                            "February 9, 2020",
                                            "20/2/9 1:05 PM",
                                            "2020-05-3",
                                            "2020 060",
                                            "2459000",
                                            "12:30:15.5 +05:30",
                                            "on 2021 7",
                                            "3rd of May 1999",
                                            "20 21 3",
                                            "45296",
                                            "2020 3 2",
                                            "1:02:03.4567",
                                            "Friday 1 Jan 1999",
                                            "2,019-03-04",
                                            "0044-03-15 BC",
                                            "  2020 - 1 - 2",
                                            "2020/13/01",
                                            "99-1-1",
                                            "",
                                            "x"};
        snprintf(text, size, "%s", n ? PICK(formats) : PICK(times));
    } else if (!strcmp(func->name, "to_char") && n == 1 && func->args[0] == KP_INTERVAL) {
        static const char *const formats[] = {
            "YYYY-MM-DD HH24:MI:SS.US", "FMDDD FMHH24:FMMI", "HH12 AM RM", "SSSS Q CC",
            "Y,YYY YYY YY Y",           "MS FF2 WW W",       "Month",      "D AD"};
        snprintf(text, size, "%s", PICK(formats));
    } else if (!strcmp(func->name, "to_char") && n == 1) {
        static const char *const formats[] = {"YYYY-MM-DD HH24:MI:SS",
                                              "FMMonth DD, YYYY",
                                              "Dy DD Mon YY",
                                              "HH12:MI AM",
                                              "MS US SSSS",
                                              "IYYY-IW-ID",
                                              "DDD D Q WW W CC J",
                                              "Day|MONTH|mon|DAY",
                                              "\"at\" HH24h",
                                              "FMDDth FMMM",
                                              "TZ OF TZH:TZM tz",
                                              "Y,YYY YYY Y BC",
                                              "IYY IY I IDDD RM rm",
                                              "FF3 FF6 a.m.",
                                              "FMHH24:FMMI",
                                              "YYYYTH"};
        snprintf(text, size, "%s", PICK(formats));
    } else if (type == KP_NUMERIC && n == 1 && below(8) &&
               (!strncmp(func->name, "pow", 3) || !strcmp(func->name, "^"))) {
        snprintf(text, size, "%d%s", (int)below(40) - 20,
                 below(2) ? "" : ".25"); /* PostgreSQL takes its time over more */
    } else if (!strcmp(func->name, "chr")) {
        snprintf(text, size, "%d", (int)below(400) - 2);
    } else if (!strcmp(func->name, "make_interval")) {
        snprintf(text, size, "%d", (int)below(100) - 50);
    } else if (!strncmp(func->name, "make_", 5) && type == KP_INT4) {
        static const int32_t starts[] = {1990, 0, 1, 0, 0};
        static const uint32_t spans[] = {40, 14, 31, 25, 61};
        static const uint32_t time_at[] = {3, 4};
        unsigned at = !strcmp(func->name, "make_time") ? time_at[n] : n;
        snprintf(text, size, "%d", starts[at] + (int32_t)below(spans[at]));
    } else if (!strncmp(func->name, "make_", 5)) {
        snprintf(text, size, "%u.%u", below(60), below(1000));
    } else if (type == KP_INT4 && (has_text || (n == 1 && func->args[0] == KP_NUMERIC))) {
        snprintf(text, size, "%d", (int)below(18) - 5);
    } else {
        make_literal(type, text, size);
    }
}

#endif
