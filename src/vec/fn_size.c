/*
 * Sizes in bytes as people read and write them: pg_size_pretty, pg_size_bytes. A unit is used from ten of the next
 * smaller one on; the number is rounded half away from zero.
 */
#include <ctype.h>
#include <strings.h>

#include "vec/fn.h"
#include "vec/unicode.h"

static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};

static void pretty_int(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t size = FN_AT(int64_t, 0, i);
        uint64_t magnitude = size < 0 ? -(uint64_t)size : (uint64_t)size;
        size_t unit = 0;
        for (uint64_t limit = 10 << 10; unit + 1 < KP_COUNT(units) && magnitude >= limit; unit++) {
            magnitude >>= unit == 0 ? 9 : 10; /* the last bit below the unit is kept, to round by */
            limit = (20 << 10) - 1;
        }
        if (unit)
            magnitude = (magnitude + 1) / 2;
        buf.len = 0;
        kp_buf_printf(&buf, "%s%llu %s", size < 0 ? "-" : "", (unsigned long long)magnitude, units[unit]);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* n / 2^bits without what is behind the point. */
static struct kp_numeric shifted(struct kp_call *call, const struct kp_numeric *n, unsigned bits)
{
    struct kp_numeric by = kp_numeric_small((int64_t)1 << bits, 0), result = *n, whole;
    if (kp_numeric_div_trunc(n, &by, call->arena, &result, NULL) != KP_OK ||
        kp_numeric_round(&result, 0, KP_ROUND_TRUNC, call->arena, &whole, NULL) != KP_OK)
        kp_fatal("a size is divided by a power of two", __FILE__, __LINE__);
    return whole;
}

static struct kp_numeric pretty_number(struct kp_call *call, const struct kp_numeric *given, size_t *ret_unit)
{
    struct kp_numeric n = *given, magnitude, one = kp_numeric_small(1, 0), sum;
    int64_t limit = 10 << 10;
    size_t unit = 0;
    for (; unit + 1 < KP_COUNT(units); unit++, limit = (20 << 10) - 1) {
        struct kp_numeric bound = kp_numeric_small(limit, 0);
        magnitude = kp_numeric_abs(&n, call->arena);
        if (kp_numeric_compare(&magnitude, &bound) < 0)
            break;
        n = shifted(call, &n, unit == 0 ? 9 : 10);
    }
    *ret_unit = unit;
    if (!unit)
        return n;
    if (kp_numeric_sign(&n) < 0)
        one = kp_numeric_negate(&one, call->arena);
    if (kp_numeric_add(&n, &one, call->arena, &sum, NULL) != KP_OK)
        kp_fatal("a size is rounded", __FILE__, __LINE__);
    return shifted(call, &sum, 1);
}

static void pretty_numeric(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        const struct kp_numeric *given = &FN_AT(struct kp_numeric, 0, i);
        size_t unit = 0;
        buf.len = 0;
        if (!kp_vec_is_null(out, i)) {
            struct kp_numeric n = kp_numeric_is_finite(given) ? pretty_number(call, given, &unit) : *given;
            if (!kp_numeric_is_finite(given)) /* beyond every unit */
                unit = KP_COUNT(units) - 1;
            kp_numeric_print(&n, &buf);
            kp_buf_printf(&buf, " %s", units[unit]);
        }
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* ---- pg_size_bytes ---- */

static size_t digits_from(struct kp_str text, size_t at)
{
    while (at < text.len && isdigit((unsigned char)text.ptr[at]))
        at++;
    return at;
}

/* The number that the text begins with, "1.5e3"; 0: there is none. */
static size_t number_end(struct kp_str text)
{
    size_t at = text.len && (text.ptr[0] == '-' || text.ptr[0] == '+');
    size_t behind = digits_from(text, at), digits = behind - at;
    at = behind;
    if (at < text.len && text.ptr[at] == '.') {
        behind = digits_from(text, at + 1);
        digits += behind - at - 1;
        at = behind;
    }
    if (!digits)
        return 0;
    if (at < text.len && (text.ptr[at] | 32) == 'e') {
        size_t exponent = at + 1;
        exponent += exponent < text.len && (text.ptr[exponent] == '-' || text.ptr[exponent] == '+');
        behind = digits_from(text, exponent);
        at = behind > exponent ? behind : at; /* or it begins the unit */
    }
    return at;
}

static enum kp_code parse_size(struct kp_call *call, struct kp_str given, int64_t *ret_bytes, struct kp_error *err)
{
    struct kp_str text = kp_text_trim(given);
    size_t end = number_end(text), unit = 0;
    struct kp_numeric n, factor, product;
    struct kp_str name = kp_text_trim((struct kp_str){text.ptr + end, text.len - end});
    bool known = name.len == 0;
    for (size_t i = 0; !known && i < KP_COUNT(units); i++)
        if (strlen(units[i]) == name.len && strncasecmp(units[i], name.ptr, name.len) == 0) {
            known = true;
            unit = i;
        }
    if (!end || !known)
        return kp_fail(err, KP_INVALID, "22023", "invalid size: \"%.*s\"", (int)KP_MIN(given.len, (size_t)256),
                       given.ptr);
    KP_TRY(kp_numeric_parse((struct kp_str){text.ptr, end}, call->arena, &n, err));
    factor = kp_numeric_small((int64_t)1 << 10 * unit, 0);
    KP_TRY(kp_numeric_mul(&n, &factor, call->arena, &product, err));
    return kp_numeric_to_int(&product, KP_INT8, ret_bytes, err);
}

static void size_bytes(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t *to = (int64_t *)out->data + i;
        struct kp_error err;
        *to = 0;
        if (!kp_vec_is_null(out, i) && parse_size(call, kp_text_str(&FN_AT(struct kp_text, 0, i)), to, &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}

static const struct kp_func funcs[] = {
    FN_UNARY("pg_size_pretty", KP_FUNC_FUNCTION, KP_STRICT, KP_INT8, KP_TEXT, pretty_int,
             "bytes as a person reads them"),
    FN_UNARY("pg_size_pretty", KP_FUNC_FUNCTION, KP_STRICT, KP_NUMERIC, KP_TEXT, pretty_numeric,
             "bytes as a person reads them"),
    FN_UNARY("pg_size_bytes", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_INT8, size_bytes,
             "the bytes that a size says"),
};
KP_FUNCTIONS(size, funcs);
