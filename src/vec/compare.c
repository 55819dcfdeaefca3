/*
 * Comparison, hashing and sort keys of single values and vectors, by type.
 *
 * Hashes are part of the state format: never change what equal values hash to. Integers and the date types hash by
 * their value as 64 bits, so integer types agree with each other. Equal but not identical values (-0 and 0, 1.0 and
 * 1.00, '24h' and '1 day', char(n)'s trailing spaces) hash alike and have equal sort keys.
 */
#include "base/hash.h"
#include "vec/array.h"
#include "vec/composite.h"
#include "vec/jsonb.h"
#include "vec/numeric.h"
#include "vec/vec.h"

enum { NULL_HASH_SEED = 0x4e554c4c };

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_float(double a, double b)
{
    bool nan_a = a != a, nan_b = b != b;
    if (nan_a || nan_b)
        return nan_a - nan_b;
    return ORDER(a, b);
}

/* An interval as microseconds, a month being 30 days: PostgreSQL's order. */
static __int128 interval_span(const struct kp_interval *value)
{
    __int128 days = (__int128)value->months * 30 + value->days;
    return days * 86400000000 + value->us;
}

/* bpchar without its padding. */
static struct kp_str unpadded(const struct kp_text *text)
{
    struct kp_str str = kp_text_str(text);
    while (str.len && str.ptr[str.len - 1] == ' ')
        str.len--;
    return str;
}

static int compare_interval(const struct kp_interval *a, const struct kp_interval *b)
{
    __int128 left = interval_span(a), right = interval_span(b);
    return ORDER(left, right);
}

static int sign_of(int order)
{
    return (order > 0) - (order < 0);
}

#define LOAD(ctype, ptr) (*(const ctype *)(ptr))

int kp_value_compare(enum kp_type_id type, const void *a, const void *b)
{
    switch (type) {
    case KP_BOOL:
    case KP_CHAR:
        return ORDER(LOAD(uint8_t, a), LOAD(uint8_t, b));
    case KP_INT2:
        return ORDER(LOAD(int16_t, a), LOAD(int16_t, b));
    case KP_INT4:
    case KP_DATE:
        return ORDER(LOAD(int32_t, a), LOAD(int32_t, b));
    KP_CASE_OIDS:
        return ORDER(LOAD(uint32_t, a), LOAD(uint32_t, b));
    case KP_INT8:
    case KP_TIME:
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
        return ORDER(LOAD(int64_t, a), LOAD(int64_t, b));
    case KP_FLOAT4:
        return compare_float((double)LOAD(float, a), (double)LOAD(float, b));
    case KP_FLOAT8:
        return compare_float(LOAD(double, a), LOAD(double, b));
    case KP_NUMERIC:
        return kp_numeric_compare(a, b);
    case KP_TIMETZ:
        return ORDER(kp_timetz_key(a), kp_timetz_key(b));
    case KP_INTERVAL:
        return compare_interval(a, b);
    case KP_UUID:
        return sign_of(memcmp(a, b, 16));
    case KP_BPCHAR:
        return sign_of(kp_str_compare(unpadded(a), unpadded(b)));
    case KP_TEXT:
    case KP_VARCHAR:
    case KP_BYTEA:
    case KP_JSON:
    case KP_NAME:
    case KP_JSONPATH:
    case KP_UNKNOWN:
        return sign_of(kp_text_compare(a, b));
    case KP_JSONB:
        return kp_jsonb_compare(kp_text_str(a), kp_text_str(b));
    default:
        if (kp_type_is_array(type))
            return kp_array_compare(type, a, b);
        if (kp_type_is_composite(type))
            return kp_composite_compare(type, a, b);
        if (kp_type_is_enum(type))
            return ORDER(LOAD(int32_t, a), LOAD(int32_t, b));
        kp_fatal("comparison of values without a type", __FILE__, __LINE__);
    }
}

bool kp_value_equal(enum kp_type_id type, const void *a, const void *b)
{
    switch (type) {
    case KP_TEXT:
    case KP_VARCHAR:
    case KP_BYTEA:
    case KP_JSON:
    case KP_NAME:
    case KP_JSONPATH:
    case KP_UNKNOWN:
        return kp_text_equal(a, b);
    case KP_NUMERIC:
        if (memcmp(a, b, 16) == 0)
            return true;
        return kp_numeric_compare(a, b) == 0;
    default:
        if (kp_type_info(type)->string && kp_text_equal(a, b))
            return true;
        return kp_value_compare(type, a, b) == 0;
    }
}

static inline uint64_t hash_int(int64_t value)
{
    return kp_hash_u64((uint64_t)value);
}

static inline uint64_t hash_float(double value)
{
    uint64_t bits;
    if (value == 0)
        value = 0; /* -0 too */
    if (value != value)
        return hash_int(0x7ff8000000000000);
    memcpy(&bits, &value, 8);
    return kp_hash_u64(bits);
}

static inline uint64_t hash_text(const struct kp_text *text)
{
    return kp_hash_bytes(kp_text_bytes(text), text->len);
}

static uint64_t hash_interval(const struct kp_interval *value)
{
    unsigned __int128 span = (unsigned __int128)interval_span(value);
    return kp_hash_combine((uint64_t)(span >> 64), (uint64_t)span);
}

uint64_t kp_value_hash(enum kp_type_id type, const void *value)
{
    switch (type) {
    case KP_BOOL:
    case KP_CHAR:
        return hash_int(LOAD(uint8_t, value));
    case KP_INT2:
        return hash_int(LOAD(int16_t, value));
    case KP_INT4:
    case KP_DATE:
        return hash_int(LOAD(int32_t, value));
    KP_CASE_OIDS:
        return hash_int(LOAD(uint32_t, value));
    case KP_INT8:
    case KP_TIME:
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
        return hash_int(LOAD(int64_t, value));
    case KP_FLOAT4:
        return hash_float((double)LOAD(float, value));
    case KP_FLOAT8:
        return hash_float(LOAD(double, value));
    case KP_NUMERIC:
        return kp_numeric_hash(value);
    case KP_TIMETZ:
        return hash_int(kp_timetz_key(value));
    case KP_INTERVAL:
        return hash_interval(value);
    case KP_UUID:
        return kp_hash_bytes(value, 16);
    case KP_BPCHAR: {
        struct kp_str str = unpadded(value);
        return kp_hash_bytes(str.ptr, str.len);
    }
    case KP_TEXT:
    case KP_VARCHAR:
    case KP_BYTEA:
    case KP_JSON:
    case KP_NAME:
    case KP_JSONPATH:
    case KP_UNKNOWN:
        return hash_text(value);
    case KP_JSONB:
        return kp_jsonb_hash(kp_text_str(value));
    default:
        if (kp_type_is_array(type))
            return kp_array_hash(type, value);
        if (kp_type_is_composite(type))
            return kp_composite_hash(type, value);
        if (kp_type_is_enum(type))
            return hash_int(LOAD(int32_t, value));
        kp_fatal("hash of a value without a type", __FILE__, __LINE__);
    }
}

/* The hash of every row without regard to NULLs, into to. */
static void hash_rows(const struct kp_vec *vec, uint32_t rows, uint64_t *restrict to)
{
    const void *data = vec->data;
    switch (vec->type.id) {
    case KP_INT4:
    case KP_DATE:
        for (uint32_t i = 0; i < rows; i++)
            to[i] = hash_int(((const int32_t *)data)[i]);
        return;
    case KP_INT8:
    case KP_TIME:
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
        for (uint32_t i = 0; i < rows; i++)
            to[i] = hash_int(((const int64_t *)data)[i]);
        return;
    case KP_TEXT:
    case KP_VARCHAR:
        for (uint32_t i = 0; i < rows; i++)
            to[i] = hash_text((const struct kp_text *)data + i);
        return;
    default: {
        size_t width = kp_vec_width(vec);
        for (uint32_t i = 0; i < rows; i++)
            to[i] = kp_value_hash(vec->type.id, (const char *)data + i * width);
    }
    }
}

void kp_vec_hash(const struct kp_vec *vec, uint32_t rows, uint64_t *hashes, bool first)
{
    enum { CHUNK_ROWS = 512 };
    uint64_t null_hash = kp_hash_u64(NULL_HASH_SEED);
    uint64_t chunk[CHUNK_ROWS];
    for (uint32_t start = 0; start < rows; start += CHUNK_ROWS) {
        uint32_t n = KP_MIN(rows - start, (uint32_t)CHUNK_ROWS);
        if (vec->constant) {
            uint64_t hash = kp_vec_is_null(vec, 0) ? null_hash : kp_value_hash(vec->type.id, vec->data);
            for (uint32_t i = 0; i < n; i++)
                chunk[i] = hash;
        } else {
            struct kp_vec part = *vec;
            part.data = (char *)vec->data + start * kp_vec_width(vec);
            hash_rows(&part, n, chunk);
            for (uint32_t i = 0; vec->valid && i < n; i++)
                if (kp_vec_is_null(vec, start + i))
                    chunk[i] = null_hash;
        }
        if (first)
            memcpy(hashes + start, chunk, n * sizeof *chunk);
        else
            for (uint32_t i = 0; i < n; i++)
                hashes[start + i] = kp_hash_combine(hashes[start + i], chunk[i]);
    }
}

/* 00 becomes 00 ff and the end is 00 00, so that no key is a prefix of another. */
static void append_escaped(struct kp_buf *key, struct kp_str str)
{
    for (size_t at = 0; at < str.len;) {
        const char *zero = memchr(str.ptr + at, 0, str.len - at);
        size_t run = zero ? (size_t)(zero - (str.ptr + at)) : str.len - at;
        kp_buf_append(key, str.ptr + at, run);
        at += run;
        if (zero) {
            kp_buf_append_be16(key, 0x00ff);
            at++;
        }
    }
    kp_buf_append_be16(key, 0);
}

static void append_int(struct kp_buf *key, int64_t value)
{
    kp_buf_append_be64(key, (uint64_t)value ^ (uint64_t)1 << 63);
}

static void append_float(struct kp_buf *key, double value)
{
    uint64_t bits;
    if (value == 0)
        value = 0;
    memcpy(&bits, &value, 8);
    if (value != value)
        bits = UINT64_MAX;
    else
        bits = bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
    kp_buf_append_be64(key, bits);
}

static void append_key(struct kp_buf *key, enum kp_type_id type, const void *value)
{
    switch (type) {
    case KP_BOOL:
    case KP_CHAR:
        kp_buf_append_byte(key, LOAD(uint8_t, value));
        break;
    case KP_INT2:
        append_int(key, LOAD(int16_t, value));
        break;
    case KP_INT4:
    case KP_DATE:
        append_int(key, LOAD(int32_t, value));
        break;
    KP_CASE_OIDS:
        append_int(key, LOAD(uint32_t, value));
        break;
    case KP_INT8:
    case KP_TIME:
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
        append_int(key, LOAD(int64_t, value));
        break;
    case KP_FLOAT4:
        append_float(key, (double)LOAD(float, value));
        break;
    case KP_FLOAT8:
        append_float(key, LOAD(double, value));
        break;
    case KP_NUMERIC:
        kp_numeric_sort_key(value, key);
        break;
    case KP_TIMETZ:
        append_int(key, kp_timetz_key(value));
        break;
    case KP_INTERVAL: {
        unsigned __int128 span = (unsigned __int128)interval_span(value) ^ (unsigned __int128)1 << 127;
        kp_buf_append_be64(key, (uint64_t)(span >> 64));
        kp_buf_append_be64(key, (uint64_t)span);
        break;
    }
    case KP_UUID:
        kp_buf_append(key, value, 16);
        break;
    case KP_BPCHAR:
        append_escaped(key, unpadded(value));
        break;
    case KP_JSONB:
        kp_jsonb_sort_key(key, kp_text_str(value));
        break;
    default:
        if (kp_type_is_enum(type)) {
            append_int(key, LOAD(int32_t, value));
            break;
        }
        KP_ASSERT(kp_type_info(type)->string);
        if (kp_type_is_array(type)) {
            kp_array_sort_key(key, type, value);
            break;
        }
        if (kp_type_is_composite(type)) {
            kp_composite_sort_key(key, type, value);
            break;
        }
        append_escaped(key, kp_text_str(value));
    }
}

void kp_sort_key_append(struct kp_buf *key, enum kp_type_id type, const void *value, bool null, bool descending,
                        bool nulls_first)
{
    if (null) {
        kp_buf_append_byte(key, nulls_first ? 0 : 2);
        return;
    }
    kp_buf_append_byte(key, 1);
    size_t start = key->len;
    append_key(key, type, value);
    if (descending)
        for (size_t i = start; i < key->len; i++)
            key->data[i] = (uint8_t)~key->data[i];
}
