/*
 * Casts between number types and through text. Contexts are PostgreSQL's: implicit, assignment, or explicit only.
 *
 * Length coercions (varchar(n), numeric(p,s) …) are casts of a type to itself and use the result's modifier. A cast to
 * varchar(n) or char(n) is an explicit one: it cuts. What an assignment may not cut, kp_assign_length refuses.
 */
#include <math.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "vec/datetime.h"
#include "vec/fn.h"
#include "vec/io.h"

/* ---- numbers ---- */

#define PLAIN_CAST(name, from, to)                                                                                     \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        FN_UNARY_LOOP(from, to, x);                                                                                    \
    }
PLAIN_CAST(int2_int4, int16_t, int32_t)
PLAIN_CAST(int2_int8, int16_t, int64_t)
PLAIN_CAST(int2_float4, int16_t, float)
PLAIN_CAST(int2_float8, int16_t, double)
PLAIN_CAST(int4_int8, int32_t, int64_t)
PLAIN_CAST(int4_float4, int32_t, float)
PLAIN_CAST(int4_float8, int32_t, double)
PLAIN_CAST(int8_float4, int64_t, float)
PLAIN_CAST(int8_float8, int64_t, double)
PLAIN_CAST(float4_float8, float, double)
PLAIN_CAST(oid_int8, uint32_t, int64_t)
PLAIN_CAST(int4_same, int32_t, int32_t)

#define NARROWING_CAST(name, from, to, type_text)                                                                      \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        int bad = 0;                                                                                                   \
        FN_UNARY_LOOP(from, to, (bad |= x != (to)x, x));                                                               \
        for (uint32_t i = 0; bad && i < call->rows; i++) {                                                             \
            from x = FN_AT(from, 0, i);                                                                                \
            if (x != (to)x)                                                                                            \
                fn_fail_text(call, out, i, "22003", type_text " out of range");                                        \
        }                                                                                                              \
    }
NARROWING_CAST(int4_int2, int32_t, int16_t, "smallint")
NARROWING_CAST(int8_int2, int64_t, int16_t, "smallint")
NARROWING_CAST(int8_int4, int64_t, int32_t, "integer")
NARROWING_CAST(int8_oid, int64_t, uint32_t, "OID")

/* Rounds half to even; the bounds are exact in double. */
#define FLOAT_CAST(name, from, to, low, end, type_text)                                                                \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        to *restrict to_ = out->data;                                                                                  \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            double x = rint((double)FN_AT(from, 0, i));                                                                \
            bool good = x >= (low) && x < (end);                                                                       \
            to_[i] = good ? (to)x : 0;                                                                                 \
            if (!good)                                                                                                 \
                fn_fail_text(call, out, i, "22003", type_text " out of range");                                        \
        }                                                                                                              \
    }
FLOAT_CAST(float4_int2, float, int16_t, -32768.0, 32768.0, "smallint")
FLOAT_CAST(float4_int4, float, int32_t, -2147483648.0, 2147483648.0, "integer")
FLOAT_CAST(float4_int8, float, int64_t, -9223372036854775808.0, 9223372036854775808.0, "bigint")
FLOAT_CAST(float8_int2, double, int16_t, -32768.0, 32768.0, "smallint")
FLOAT_CAST(float8_int4, double, int32_t, -2147483648.0, 2147483648.0, "integer")
FLOAT_CAST(float8_int8, double, int64_t, -9223372036854775808.0, 9223372036854775808.0, "bigint")

static void float8_float4(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    float *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        double x = FN_AT(double, 0, i);
        float y = fabs(x) >= 3.4028235677973366e38 ? (x > 0 ? HUGE_VALF : -HUGE_VALF) : (float)x;
        to[i] = x != x ? (float)x : y;
        if (isinf(to[i]) && !isinf(x))
            fn_fail_text(call, out, i, "22003", "value out of range: overflow");
        else if (to[i] == 0 && x != 0)
            fn_fail_text(call, out, i, "22003", "value out of range: underflow");
    }
}

static void set_numeric(struct kp_call *call, struct kp_vec *out, uint32_t row, struct kp_numeric n)
{
    struct kp_numeric *to = out->data;
    struct kp_error err;
    if (call->type.mod < 4)
        to[row] = n;
    else if (kp_numeric_apply_mod(&n, call->type.mod, call->arena, &to[row], &err) != KP_OK)
        fn_fail(call, out, row, &err);
}

#define TO_NUMERIC_CAST(name, from, make)                                                                              \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        for (uint32_t i = 0; i < call->rows; i++)                                                                      \
            set_numeric(call, out, i, make(FN_AT(from, 0, i), call->arena));                                           \
    }
TO_NUMERIC_CAST(int2_numeric, int16_t, kp_numeric_from_i64)
TO_NUMERIC_CAST(int4_numeric, int32_t, kp_numeric_from_i64)
TO_NUMERIC_CAST(int8_numeric, int64_t, kp_numeric_from_i64)
TO_NUMERIC_CAST(float4_numeric, float, kp_numeric_from_f32)
TO_NUMERIC_CAST(float8_numeric, double, kp_numeric_from_f64)

static void numeric_numeric(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        set_numeric(call, out, i, FN_AT(struct kp_numeric, 0, i));
}

#define NUMERIC_TO_INT_CAST(name, to, id)                                                                              \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            int64_t value = 0;                                                                                         \
            struct kp_error err;                                                                                       \
            if (kp_numeric_to_int(&FN_AT(struct kp_numeric, 0, i), id, &value, &err) != KP_OK)                         \
                fn_fail(call, out, i, &err);                                                                           \
            ((to *)out->data)[i] = (to)value;                                                                          \
        }                                                                                                              \
    }
NUMERIC_TO_INT_CAST(numeric_int2, int16_t, KP_INT2)
NUMERIC_TO_INT_CAST(numeric_int4, int32_t, KP_INT4)
NUMERIC_TO_INT_CAST(numeric_int8, int64_t, KP_INT8)

#define NUMERIC_TO_FLOAT_CAST(name, to, convert)                                                                       \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            to value = 0;                                                                                              \
            struct kp_error err;                                                                                       \
            if (convert(&FN_AT(struct kp_numeric, 0, i), &value, &err) != KP_OK)                                       \
                fn_fail(call, out, i, &err);                                                                           \
            ((to *)out->data)[i] = value;                                                                              \
        }                                                                                                              \
    }
NUMERIC_TO_FLOAT_CAST(numeric_float4, float, kp_numeric_to_f32)
NUMERIC_TO_FLOAT_CAST(numeric_float8, double, kp_numeric_to_f64)

/* ---- strings ---- */

static void copy_text(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(struct kp_text, struct kp_text, x);
}

/* Cuts and pads to the result's length; from char(n) the padding goes first. */
static void string_string(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        const struct kp_text *from = &FN_AT(struct kp_text, 0, i);
        struct kp_str text = kp_text_str(from);
        if (args[0]->type.id == KP_BPCHAR && call->type.id != KP_BPCHAR)
            while (text.len && text.ptr[text.len - 1] == ' ')
                text.len--;
        if (call->type.mod < 4 && text.len == from->len) {
            to[i] = *from;
            continue;
        }
        struct kp_error err;
        struct kp_text made;
        if (kp_string_apply_mod(call->type, text, true, call->arena, &made, &err) == KP_OK)
            to[i] = made;
    }
}

static void assign_length(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = kp_text_str(&FN_AT(struct kp_text, 0, i));
        struct kp_error err;
        if (kp_string_apply_mod(call->type, text, false, call->arena, &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}

static void text_name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = kp_text_str(&FN_AT(struct kp_text, 0, i));
        struct kp_error err;
        while (args[0]->type.id == KP_BPCHAR && text.len && text.ptr[text.len - 1] == ' ')
            text.len--;
        if (kp_value_parse(KP_TYPE(KP_NAME), text, NULL, call->arena, &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}

/* ---- through text ---- */

static void print_any(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_buf text = {0};
    struct kp_type type = args[0]->type;
    const struct kp_zone *zone = call->settings ? call->settings->zone : NULL;
    for (uint32_t i = 0; i < call->rows; i++) {
        text.len = 0;
        if (kp_vec_is_null(out, i))
            continue;
        if (type.id == KP_BOOL && call->type.id != KP_NAME)
            kp_buf_append_text(&text, FN_AT(uint8_t, 0, i) ? "true" : "false");
        else
            kp_value_print(type, kp_vec_at(args[0], i), zone, &text);
        struct kp_text made;
        struct kp_error err;
        if (call->type.id == KP_NAME)
            text.len = kp_utf8_valid_prefix((const char *)text.data, KP_MIN(text.len, (size_t)KP_NAME_BYTES_MAX));
        if (kp_string_apply_mod(call->type, (struct kp_str){(const char *)text.data, text.len}, true, call->arena,
                                &made, &err) != KP_OK) {
            fn_fail(call, out, i, &err);
            continue;
        }
        struct kp_str str = kp_text_str(&made);
        to[i] = fn_text(call, str.ptr, str.len);
    }
    kp_buf_finish(&text);
}

static void parse_any(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    size_t width = kp_type_info(call->type.id)->bytes;
    const struct kp_zone *zone = call->settings ? call->settings->zone : NULL;
    for (uint32_t i = 0; i < call->rows; i++) {
        uint64_t value[2] = {0};
        struct kp_error err;
        struct kp_str text = kp_text_str(&FN_AT(struct kp_text, 0, i));
        if (!kp_vec_is_null(out, i) && kp_value_parse(call->type, text, zone, call->arena, value, &err) != KP_OK)
            fn_fail(call, out, i, &err);
        memcpy((char *)out->data + i * width, value, width);
    }
}

static void char_int4(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(uint8_t, int32_t, (int8_t)x);
}

static void int4_char(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    uint8_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t x = FN_AT(int32_t, 0, i);
        to[i] = (uint8_t)x;
        if (x < INT8_MIN || x > INT8_MAX)
            kp_call_fail(call, i, "22003", "\"char\" out of range");
    }
}

#define IMPLICIT                                   (KP_STRICT | KP_CAST_IMPLICIT | KP_CAST_ASSIGNMENT)
#define ASSIGNMENT                                 (KP_STRICT | KP_CAST_ASSIGNMENT)
#define EXPLICIT                                   KP_STRICT
#define CAST(target, flags, from, to, kernel, doc) FN_UNARY(target, KP_FUNC_CAST, flags, from, to, kernel, doc)
#define PRINTED(from, flags)                                                                                           \
    CAST("text", ASSIGNMENT | (flags), from, KP_TEXT, print_any, "its text"),                                          \
        CAST("varchar", ASSIGNMENT | (flags), from, KP_VARCHAR, print_any, "its text"),                                \
        CAST("bpchar", ASSIGNMENT | (flags), from, KP_BPCHAR, print_any, "its text"),                                  \
        CAST("name", ASSIGNMENT | (flags), from, KP_NAME, print_any, "its text, cut to 63 bytes")
#define PARSED(target, to, flags)                                                                                      \
    CAST(target, EXPLICIT | KP_CAN_FAIL | (flags), KP_TEXT, to, parse_any, "read from text"),                          \
        CAST(target, EXPLICIT | KP_CAN_FAIL | (flags), KP_VARCHAR, to, parse_any, "read from text"),                   \
        CAST(target, EXPLICIT | KP_CAN_FAIL | (flags), KP_BPCHAR, to, parse_any, "read from text"),                    \
        CAST(target, EXPLICIT | KP_CAN_FAIL | (flags), KP_NAME, to, parse_any, "read from text"),                      \
        CAST(target, IMPLICIT | KP_CAN_FAIL | (flags), KP_UNKNOWN, to, parse_any, "read from a literal")

static const struct kp_func funcs[] = {
    PRINTED(KP_ANYARRAY, KP_STABLE),
    PARSED("anyarray", KP_ANYARRAY, KP_STABLE),
    PRINTED(KP_ANYENUM, 0),
    PARSED("anyenum", KP_ANYENUM, 0),
    PRINTED(KP_ANYRECORD, KP_STABLE),
    PARSED("record", KP_ANYRECORD, KP_STABLE),
    CAST("int4", IMPLICIT | KP_MONOTONE, KP_INT2, KP_INT4, int2_int4, "widened"),
    CAST("int8", IMPLICIT | KP_MONOTONE, KP_INT2, KP_INT8, int2_int8, "widened"),
    CAST("float4", IMPLICIT | KP_MONOTONE, KP_INT2, KP_FLOAT4, int2_float4, "as a float"),
    CAST("float8", IMPLICIT | KP_MONOTONE, KP_INT2, KP_FLOAT8, int2_float8, "as a float"),
    CAST("numeric", IMPLICIT | KP_CAN_FAIL | KP_MONOTONE, KP_INT2, KP_NUMERIC, int2_numeric, "as a decimal"),
    CAST("int2", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_INT4, KP_INT2, int4_int2, "if in range"),
    CAST("int8", IMPLICIT | KP_MONOTONE, KP_INT4, KP_INT8, int4_int8, "widened"),
    CAST("float4", IMPLICIT | KP_MONOTONE, KP_INT4, KP_FLOAT4, int4_float4, "nearest"),
    CAST("float8", IMPLICIT | KP_MONOTONE, KP_INT4, KP_FLOAT8, int4_float8, "as a float"),
    CAST("numeric", IMPLICIT | KP_CAN_FAIL | KP_MONOTONE, KP_INT4, KP_NUMERIC, int4_numeric, "as a decimal"),
    CAST("int2", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_INT8, KP_INT2, int8_int2, "if in range"),
    CAST("int4", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_INT8, KP_INT4, int8_int4, "if in range"),
    CAST("float4", IMPLICIT | KP_MONOTONE, KP_INT8, KP_FLOAT4, int8_float4, "nearest"),
    CAST("float8", IMPLICIT | KP_MONOTONE, KP_INT8, KP_FLOAT8, int8_float8, "nearest"),
    CAST("numeric", IMPLICIT | KP_CAN_FAIL | KP_MONOTONE, KP_INT8, KP_NUMERIC, int8_numeric, "as a decimal"),
    CAST("int2", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_FLOAT4, KP_INT2, float4_int2, "rounded"),
    CAST("int4", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_FLOAT4, KP_INT4, float4_int4, "rounded"),
    CAST("int8", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_FLOAT4, KP_INT8, float4_int8, "rounded"),
    CAST("float8", IMPLICIT | KP_MONOTONE, KP_FLOAT4, KP_FLOAT8, float4_float8, "widened"),
    CAST("numeric", ASSIGNMENT | KP_CAN_FAIL, KP_FLOAT4, KP_NUMERIC, float4_numeric, "of 6 significant digits"),
    CAST("int2", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_FLOAT8, KP_INT2, float8_int2, "rounded"),
    CAST("int4", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_FLOAT8, KP_INT4, float8_int4, "rounded"),
    CAST("int8", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_FLOAT8, KP_INT8, float8_int8, "rounded"),
    CAST("float4", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_FLOAT8, KP_FLOAT4, float8_float4, "nearest"),
    CAST("numeric", ASSIGNMENT | KP_CAN_FAIL, KP_FLOAT8, KP_NUMERIC, float8_numeric, "of 15 significant digits"),
    CAST("int2", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_NUMERIC, KP_INT2, numeric_int2, "rounded"),
    CAST("int4", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_NUMERIC, KP_INT4, numeric_int4, "rounded"),
    CAST("int8", ASSIGNMENT | KP_CAN_FAIL | KP_MONOTONE, KP_NUMERIC, KP_INT8, numeric_int8, "rounded"),
    CAST("float4", IMPLICIT | KP_CAN_FAIL, KP_NUMERIC, KP_FLOAT4, numeric_float4, "nearest"),
    CAST("float8", IMPLICIT | KP_CAN_FAIL, KP_NUMERIC, KP_FLOAT8, numeric_float8, "nearest"),
    CAST("numeric", IMPLICIT | KP_CAN_FAIL, KP_NUMERIC, KP_NUMERIC, numeric_numeric, "rounded to its modifier"),
    CAST("oid", IMPLICIT, KP_INT4, KP_OID, int4_same, "the same bits"),
    CAST("oid", IMPLICIT, KP_INT2, KP_OID, int2_int4, "the same bits, widened"),
    CAST("oid", IMPLICIT | KP_CAN_FAIL, KP_INT8, KP_OID, int8_oid, "if in range"),
    CAST("int4", ASSIGNMENT, KP_OID, KP_INT4, int4_same, "the same bits"),
    CAST("int8", ASSIGNMENT, KP_OID, KP_INT8, oid_int8, "widened"),

    CAST("text", IMPLICIT, KP_VARCHAR, KP_TEXT, copy_text, "the same"),
    CAST("text", IMPLICIT, KP_BPCHAR, KP_TEXT, string_string, "without padding"),
    CAST("text", IMPLICIT, KP_NAME, KP_TEXT, copy_text, "the same"),
    CAST("text", IMPLICIT, KP_UNKNOWN, KP_TEXT, copy_text, "the same"),
    CAST("varchar", IMPLICIT, KP_TEXT, KP_VARCHAR, string_string, "cut to length"),
    CAST("varchar", IMPLICIT, KP_VARCHAR, KP_VARCHAR, string_string, "cut to length"),
    CAST("varchar", IMPLICIT, KP_BPCHAR, KP_VARCHAR, string_string, "without padding, cut to length"),
    CAST("varchar", ASSIGNMENT, KP_NAME, KP_VARCHAR, string_string, "cut to length"),
    CAST("varchar", IMPLICIT, KP_UNKNOWN, KP_VARCHAR, string_string, "cut to length"),
    CAST("bpchar", IMPLICIT, KP_TEXT, KP_BPCHAR, string_string, "cut or padded to length"),
    CAST("bpchar", IMPLICIT, KP_VARCHAR, KP_BPCHAR, string_string, "cut or padded to length"),
    CAST("bpchar", IMPLICIT, KP_BPCHAR, KP_BPCHAR, string_string, "cut or padded to length"),
    CAST("bpchar", ASSIGNMENT, KP_NAME, KP_BPCHAR, string_string, "cut or padded to length"),
    CAST("bpchar", IMPLICIT, KP_UNKNOWN, KP_BPCHAR, string_string, "cut or padded to length"),
    CAST("name", IMPLICIT, KP_TEXT, KP_NAME, text_name, "cut to 63 bytes"),
    CAST("name", IMPLICIT, KP_VARCHAR, KP_NAME, text_name, "cut to 63 bytes"),
    CAST("name", IMPLICIT, KP_BPCHAR, KP_NAME, text_name, "without padding, cut to 63 bytes"),
    CAST("name", IMPLICIT, KP_UNKNOWN, KP_NAME, text_name, "cut to 63 bytes"),
    FN_UNARY("kp_assign_length", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_VARCHAR, KP_VARCHAR, assign_length,
             "as assigned to varchar(n): 22001 if too long"),
    FN_UNARY("kp_assign_length", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_BPCHAR, KP_BPCHAR, assign_length,
             "as assigned to char(n): 22001 if too long"),

    CAST("jsonb", ASSIGNMENT | KP_CAN_FAIL, KP_JSON, KP_JSONB, parse_any, "canonical"),
    CAST("json", ASSIGNMENT, KP_JSONB, KP_JSON, copy_text, "the same text"),

    PRINTED(KP_BOOL, 0),
    PRINTED(KP_INT2, 0),
    PRINTED(KP_INT4, 0),
    PRINTED(KP_INT8, 0),
    PRINTED(KP_OID, 0),
    PRINTED(KP_FLOAT4, 0),
    PRINTED(KP_FLOAT8, 0),
    PRINTED(KP_NUMERIC, 0),
    PRINTED(KP_BYTEA, 0),
    PRINTED(KP_DATE, 0),
    PRINTED(KP_TIME, 0),
    PRINTED(KP_TIMETZ, 0),
    PRINTED(KP_TIMESTAMP, 0),
    PRINTED(KP_TIMESTAMPTZ, KP_STABLE),
    PRINTED(KP_INTERVAL, 0),
    PRINTED(KP_UUID, 0),
    PRINTED(KP_JSON, 0),
    PRINTED(KP_JSONB, 0),
    PRINTED(KP_JSONPATH, 0),
    CAST("text", IMPLICIT, KP_CHAR, KP_TEXT, print_any, "its text"),
    CAST("varchar", ASSIGNMENT, KP_CHAR, KP_VARCHAR, print_any, "its text"),
    CAST("bpchar", ASSIGNMENT, KP_CHAR, KP_BPCHAR, print_any, "its text"),
    CAST("name", EXPLICIT, KP_CHAR, KP_NAME, print_any, "its text"),
    CAST("int4", EXPLICIT, KP_CHAR, KP_INT4, char_int4, "the byte"),
    CAST("char", ASSIGNMENT, KP_TEXT, KP_CHAR, parse_any, "the first byte"),
    CAST("char", ASSIGNMENT, KP_VARCHAR, KP_CHAR, parse_any, "the first byte"),
    CAST("char", ASSIGNMENT, KP_BPCHAR, KP_CHAR, parse_any, "the first byte"),
    CAST("char", IMPLICIT, KP_UNKNOWN, KP_CHAR, parse_any, "the first byte"),
    CAST("char", EXPLICIT | KP_CAN_FAIL, KP_INT4, KP_CHAR, int4_char, "the byte of this number, if in range"),
    PARSED("bool", KP_BOOL, 0),
    PARSED("int2", KP_INT2, 0),
    PARSED("int4", KP_INT4, 0),
    PARSED("int8", KP_INT8, 0),
    PARSED("oid", KP_OID, 0),
    PARSED("float4", KP_FLOAT4, 0),
    PARSED("float8", KP_FLOAT8, 0),
    PARSED("numeric", KP_NUMERIC, 0),
    PARSED("bytea", KP_BYTEA, 0),
    PARSED("date", KP_DATE, 0),
    PARSED("time", KP_TIME, 0),
    PARSED("timetz", KP_TIMETZ, KP_STABLE),
    PARSED("timestamp", KP_TIMESTAMP, 0),
    PARSED("timestamptz", KP_TIMESTAMPTZ, KP_STABLE),
    PARSED("interval", KP_INTERVAL, 0),
    PARSED("uuid", KP_UUID, 0),
    PARSED("json", KP_JSON, 0),
    PARSED("jsonb", KP_JSONB, 0),
    PARSED("jsonpath", KP_JSONPATH, 0),
};
KP_FUNCTIONS(cast, funcs);
