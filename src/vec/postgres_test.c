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
#include "vec/zone.h"

static const char *const bin_folders[] = {"/usr/lib/postgresql/15/bin", "/usr/local/pgsql/bin", "/usr/bin"};

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
    case KP_BYTEA:
        snprintf(text, size, "\\x%0*x", 2 + 2 * (int)below(4), below(256));
        return true;
    case KP_DATE:
        make_date(text, size);
        return true;
    case KP_TIME:
        make_time(text, size);
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
    } else if (type == KP_TEXT && n == 1 &&
               (!strncmp(func->name, "jsonb_path_", 11) || !strcmp(func->name, "@?") || !strcmp(func->name, "@@"))) {
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

/* Paths are texts here, of a type of their own there. */
static bool is_path(const struct kp_func *func, unsigned n)
{
    return n == 1 &&
           (!strncmp(func->name, "jsonb_path_", 11) || !strcmp(func->name, "@?") || !strcmp(func->name, "@@"));
}

static void append_argument(struct kp_buf *sql, const struct kp_func *func, unsigned n, char (*literals)[160])
{
    append_literal(sql, literals[n], func->args[n]);
    if (is_path(func, n)) {
        sql->len -= strlen("text)");
        kp_buf_append_text(sql, "jsonpath)");
    }
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
        append_argument(sql, func, func->arg_count - 1u, literals);
        return;
    }
    kp_buf_printf(sql, "pg_catalog.\"%s\"(", func->name);
    for (unsigned n = 0; n < func->arg_count; n++) {
        if (n)
            kp_buf_append_text(sql, ", ");
        append_argument(sql, func, n, literals);
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
    assert_int_equal(run("cd %s && chmod a+r in.sql 2>/dev/null; %s/psql -h %s -d postgres -q -At -v ON_ERROR_STOP=1 "
                         "-f in.sql -o out.txt",
                         cluster, bin, cluster),
                     0);
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
