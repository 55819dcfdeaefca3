/*
 * PostgreSQL's binary forms, big-endian. numeric on the wire is digits of base 10000:
 *
 *   int16 count | int16 weight of the first (exponent of 10000) | uint16 sign | int16 display scale | int16 digits…
 *   sign: 0000 positive, 4000 negative, c000 NaN, d000 infinity, f000 -infinity (whose scale PostgreSQL sends as 32)
 */
#include <stdlib.h>

#include "vec/array.h"
#include "vec/datetime.h"
#include "vec/composite.h"
#include "vec/io.h"
#include "vec/json.h"
#include "vec/numeric_big.h"
#include "vec/vec.h"

enum {
    SIGN_POSITIVE = 0,
    SIGN_NEGATIVE = 0x4000,
    SIGN_NAN = 0xc000,
    SIGN_INFINITY = 0xd000,
    SIGN_NEG_INFINITY = 0xf000,
    INFINITE_SCALE = 32
};

static void send_numeric(const struct kp_numeric *n, struct kp_buf *out)
{
    static const uint16_t signs[] = {
        [KP_NUMERIC_NAN] = SIGN_NAN, [KP_NUMERIC_POS_INF] = SIGN_INFINITY, [KP_NUMERIC_NEG_INF] = SIGN_NEG_INFINITY};
    if (!kp_numeric_is_finite(n)) {
        kp_buf_append_be32(out, 0);
        kp_buf_append_be32(out, (uint32_t)signs[n->kind] << 16 | (n->kind == KP_NUMERIC_NAN ? 0 : INFINITE_SCALE));
        return;
    }
    mpz_t coef;
    mpz_init(coef);
    kp_numeric_to_mpz(n, coef);
    bool negative = mpz_sgn(coef) < 0;
    mpz_abs(coef, coef);
    int behind = (n->scale + 3) / 4; /* groups behind the point */
    kp_numeric_mul_pow10(coef, (unsigned long)(behind * 4 - n->scale));
    char *text = kp_alloc(mpz_sizeinbase(coef, 10) + 2);
    mpz_get_str(text, 10, coef);
    size_t len = mpz_sgn(coef) ? strlen(text) : 0, groups = (len + 3) / 4;
    uint16_t *digits = kp_calloc(groups + 1, sizeof *digits);
    for (size_t i = 0; i < len; i++) {
        size_t group = groups - 1 - (len - 1 - i) / 4;
        digits[group] = (uint16_t)(digits[group] * 10 + (text[i] - '0'));
    }
    size_t count = groups;
    while (count && digits[count - 1] == 0)
        count--;
    kp_buf_append_be16(out, (uint16_t)count);
    kp_buf_append_be16(out, (uint16_t)(count ? (int)groups - 1 - behind : 0));
    kp_buf_append_be16(out, negative ? SIGN_NEGATIVE : SIGN_POSITIVE);
    kp_buf_append_be16(out, n->scale);
    for (size_t i = 0; i < count; i++)
        kp_buf_append_be16(out, digits[i]);
    kp_free(digits);
    kp_free(text);
    mpz_clear(coef);
}

#define LOAD(ctype) (*(const ctype *)value)

void kp_value_send(struct kp_type type, const void *value, struct kp_buf *out)
{
    uint32_t word;
    switch (type.id) {
    case KP_BOOL:
    case KP_CHAR:
        kp_buf_append_byte(out, LOAD(uint8_t));
        break;
    case KP_INT2:
        kp_buf_append_be16(out, LOAD(uint16_t));
        break;
    case KP_INT4:
    case KP_DATE:
    KP_CASE_OIDS:
        kp_buf_append_be32(out, LOAD(uint32_t));
        break;
    case KP_FLOAT4:
        memcpy(&word, value, 4);
        kp_buf_append_be32(out, word);
        break;
    case KP_INT8:
    case KP_FLOAT8:
    case KP_TIME:
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ: {
        uint64_t bits;
        memcpy(&bits, value, 8);
        kp_buf_append_be64(out, bits);
        break;
    }
    case KP_NUMERIC:
        send_numeric(value, out);
        break;
    case KP_INTERVAL:
        kp_buf_append_be64(out, (uint64_t)LOAD(struct kp_interval).us);
        kp_buf_append_be32(out, (uint32_t)LOAD(struct kp_interval).days);
        kp_buf_append_be32(out, (uint32_t)LOAD(struct kp_interval).months);
        break;
    case KP_TIMETZ:
        kp_buf_append_be64(out, (uint64_t)LOAD(struct kp_timetz).us);
        kp_buf_append_be32(out, (uint32_t)LOAD(struct kp_timetz).west_s);
        break;
    case KP_UUID:
        kp_buf_append(out, value, 16);
        break;
    case KP_JSONB:
    case KP_JSONPATH:
        kp_buf_append_byte(out, 1);
        kp_buf_append_str(out, kp_text_str(value));
        break;
    default:
        if (kp_type_is_enum(type.id)) {
            kp_buf_append_text(out, kp_enum_label(type.id, LOAD(int32_t)));
            break;
        }
        KP_ASSERT(kp_type_info(type.id)->string);
        if (kp_type_is_array(type.id)) {
            kp_array_send(type, value, out);
            break;
        }
        if (kp_type_is_composite(type.id)) {
            kp_composite_send(type.id, value, out);
            break;
        }
        kp_buf_append_str(out, kp_text_str(value));
    }
}

static enum kp_code bad_format(struct kp_type type, struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22P03", "incorrect binary data format for type %s", kp_type_info(type.id)->name);
}

/* Of a value that has to have `len` bytes. */
static enum kp_code bad_length(struct kp_type type, struct kp_str bytes, size_t len, struct kp_error *err)
{
    return bytes.len < len ? kp_fail(err, KP_INVALID, "08P01", "insufficient data left in message")
                           : bad_format(type, err);
}

static enum kp_code receive_digits(struct kp_str bytes, uint16_t count, int16_t weight, bool negative, uint16_t scale,
                                   struct kp_arena *arena, struct kp_numeric *ret_n, struct kp_error *err)
{
    struct kp_type type = KP_TYPE(KP_NUMERIC);
    mpz_t coef;
    mpz_init(coef);
    for (uint16_t i = 0; i < count; i++) {
        uint16_t digit = kp_load_be16(bytes.ptr + 8 + 2 * i);
        if (digit > 9999) {
            mpz_clear(coef);
            return bad_format(type, err);
        }
        mpz_mul_ui(coef, coef, 10000);
        mpz_add_ui(coef, coef, digit);
    }
    if (negative)
        mpz_neg(coef, coef);
    int64_t shift = ((int64_t)weight - count + 1) * 4 + scale;
    if (shift >= 0)
        kp_numeric_mul_pow10(coef, (unsigned long)shift);
    else
        kp_numeric_mpz_drop(coef, (unsigned long)-shift, KP_ROUND_TRUNC);
    enum kp_code code = kp_numeric_checked(coef, scale, arena, ret_n, err);
    mpz_clear(coef);
    return code;
}

static enum kp_code receive_numeric(struct kp_type type, struct kp_str bytes, struct kp_arena *arena,
                                    struct kp_numeric *ret_n, struct kp_error *err)
{
    if (bytes.len < 8)
        return bad_length(type, bytes, 8, err);
    uint16_t count = kp_load_be16(bytes.ptr), sign = kp_load_be16(bytes.ptr + 4), scale = kp_load_be16(bytes.ptr + 6);
    int16_t weight = (int16_t)kp_load_be16(bytes.ptr + 2);
    if (bytes.len != 8 + (size_t)count * 2)
        return bad_length(type, bytes, 8 + (size_t)count * 2, err);
    if (scale > KP_NUMERIC_SCALE_MAX)
        return bad_format(type, err);
    struct kp_numeric n;
    switch (sign) {
    case SIGN_NAN:
        n = kp_numeric_special(KP_NUMERIC_NAN);
        break;
    case SIGN_INFINITY:
        n = kp_numeric_special(KP_NUMERIC_POS_INF);
        break;
    case SIGN_NEG_INFINITY:
        n = kp_numeric_special(KP_NUMERIC_NEG_INF);
        break;
    case SIGN_POSITIVE:
    case SIGN_NEGATIVE:
        KP_TRY(receive_digits(bytes, count, weight, sign == SIGN_NEGATIVE, scale, arena, &n, err));
        break;
    default:
        return bad_format(type, err);
    }
    return kp_numeric_apply_mod(&n, type.mod, arena, ret_n, err);
}

static enum kp_code receive_string(struct kp_type type, struct kp_str bytes, struct kp_arena *arena,
                                   struct kp_text *ret_text, struct kp_error *err)
{
    if (type.id == KP_BYTEA) {
        *ret_text = kp_text_make(kp_arena_strndup(arena, bytes.ptr, bytes.len), bytes.len);
        return KP_OK;
    }
    if (type.id == KP_JSONB || type.id == KP_JSONPATH) { /* a version, and the text */
        if (bytes.len == 0 || bytes.ptr[0] != 1)
            return bad_format(type, err);
        bytes.ptr++, bytes.len--;
    }
    return kp_value_parse(type, bytes, NULL, arena, ret_text, err);
}

static enum kp_code receive_moment(struct kp_type type, int64_t us, int64_t *ret_us, struct kp_error *err)
{
    if (type.id == KP_TIME) {
        if (us < 0 || us > KP_DAY_US)
            return kp_fail(err, KP_INVALID, "22008", "time out of range");
        *ret_us = type.mod >= 0 ? kp_us_round(us, type.mod) : us;
        return KP_OK;
    }
    if (kp_timestamp_is_finite(us) && !kp_timestamp_in_range(us))
        return kp_fail(err, KP_INVALID, "22008", "timestamp out of range");
    return kp_timestamp_apply_mod(us, type.mod, ret_us, err);
}

static enum kp_code receive_timetz(struct kp_type type, struct kp_str bytes, struct kp_timetz *ret_value,
                                   struct kp_error *err)
{
    if (bytes.len != 12)
        return bad_length(type, bytes, 12, err);
    struct kp_timetz value = {(int64_t)kp_load_be64(bytes.ptr), (int32_t)kp_load_be32(bytes.ptr + 8), 0};
    if (value.us < 0 || value.us > KP_DAY_US)
        return kp_fail(err, KP_INVALID, "22008", "time out of range");
    if (!kp_zone_seconds_fit(value.west_s))
        return kp_fail(err, KP_INVALID, "22009", "time zone displacement out of range");
    value.us = type.mod >= 0 ? kp_us_round(value.us, type.mod) : value.us;
    *ret_value = value;
    return KP_OK;
}

enum kp_code kp_value_receive(struct kp_type type, struct kp_str bytes, struct kp_arena *arena, void *ret_value,
                              struct kp_error *err)
{
    const struct kp_type_info *info = kp_type_info(type.id);
    if (kp_type_is_array(type.id))
        return kp_array_receive(type, bytes, arena, ret_value, err);
    if (kp_type_is_composite(type.id))
        return kp_composite_receive(type.id, bytes, arena, ret_value, err);
    if (info->string)
        return receive_string(type, bytes, arena, ret_value, err);
    if (kp_type_is_enum(type.id))
        return kp_value_parse(type, bytes, NULL, arena, ret_value, err);
    if (type.id == KP_NUMERIC)
        return receive_numeric(type, bytes, arena, ret_value, err);
    if (type.id == KP_TIMETZ)
        return receive_timetz(type, bytes, ret_value, err);
    if (bytes.len != info->bytes)
        return bad_length(type, bytes, info->bytes, err);
    uint16_t half;
    uint32_t word;
    uint64_t bits;
    switch (type.id) {
    case KP_BOOL:
        *(uint8_t *)ret_value = bytes.ptr[0] != 0;
        return KP_OK;
    case KP_CHAR:
        *(uint8_t *)ret_value = (uint8_t)bytes.ptr[0];
        return KP_OK;
    case KP_INT2:
        half = kp_load_be16(bytes.ptr);
        memcpy(ret_value, &half, 2);
        return KP_OK;
    case KP_DATE:
        word = kp_load_be32(bytes.ptr);
        if (kp_date_is_finite((int32_t)word) && ((int32_t)word < KP_DATE_MIN || (int32_t)word >= KP_DATE_END))
            return kp_fail(err, KP_INVALID, "22008", "date out of range");
        memcpy(ret_value, &word, 4);
        return KP_OK;
    case KP_INT4:
    KP_CASE_OIDS:
    case KP_FLOAT4:
        word = kp_load_be32(bytes.ptr);
        memcpy(ret_value, &word, 4);
        return KP_OK;
    case KP_INT8:
    case KP_FLOAT8:
        bits = kp_load_be64(bytes.ptr);
        memcpy(ret_value, &bits, 8);
        return KP_OK;
    case KP_TIME:
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
        return receive_moment(type, (int64_t)kp_load_be64(bytes.ptr), ret_value, err);
    case KP_INTERVAL: {
        struct kp_interval interval = {(int64_t)kp_load_be64(bytes.ptr), (int32_t)kp_load_be32(bytes.ptr + 8),
                                       (int32_t)kp_load_be32(bytes.ptr + 12)};
        KP_TRY(kp_interval_apply_mod(&interval, type.mod, err));
        *(struct kp_interval *)ret_value = interval;
        return KP_OK;
    }
    case KP_UUID:
        memcpy(ret_value, bytes.ptr, 16);
        return KP_OK;
    default:
        return bad_format(type, err);
    }
}
