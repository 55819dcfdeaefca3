#include "serve/pg/rows.h"

#include "base/limits.h"

/* Writes one value that is not NULL, without its length. */
typedef void (*field_writer)(const struct kp_vec *vec, uint32_t row, const struct kp_zone *zone, struct kp_buf *out);

static const char digit_pairs[201] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                     "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                     "8081828384858687888990919293949596979899";

static void put_int(int64_t value, struct kp_buf *out)
{
    char text[20];
    size_t at = sizeof text;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    while (left >= 100) {
        at -= 2;
        memcpy(text + at, digit_pairs + left % 100 * 2, 2);
        left /= 100;
    }
    if (left >= 10) {
        at -= 2;
        memcpy(text + at, digit_pairs + left * 2, 2);
    } else {
        text[--at] = (char)('0' + left);
    }
    if (value < 0)
        text[--at] = '-';
    kp_buf_append(out, text + at, sizeof text - at);
}

static inline uint32_t at_row(const struct kp_vec *vec, uint32_t row)
{
    return vec->constant ? 0 : row;
}

static void text_int2(const struct kp_vec *vec, uint32_t row, const struct kp_zone *zone, struct kp_buf *out)
{
    put_int(((const int16_t *)vec->data)[at_row(vec, row)], out);
}

static void text_int4(const struct kp_vec *vec, uint32_t row, const struct kp_zone *zone, struct kp_buf *out)
{
    put_int(((const int32_t *)vec->data)[at_row(vec, row)], out);
}

static void text_int8(const struct kp_vec *vec, uint32_t row, const struct kp_zone *zone, struct kp_buf *out)
{
    put_int(((const int64_t *)vec->data)[at_row(vec, row)], out);
}

static void text_bool(const struct kp_vec *vec, uint32_t row, const struct kp_zone *zone, struct kp_buf *out)
{
    kp_buf_append_byte(out, ((const uint8_t *)vec->data)[at_row(vec, row)] ? 't' : 'f');
}

/* Types of text look the same in both formats. */
static void any_string(const struct kp_vec *vec, uint32_t row, const struct kp_zone *zone, struct kp_buf *out)
{
    kp_buf_append_str(out, kp_text_str(&((const struct kp_text *)vec->data)[at_row(vec, row)]));
}

static void text_other(const struct kp_vec *vec, uint32_t row, const struct kp_zone *zone, struct kp_buf *out)
{
    kp_value_print(vec->type, kp_vec_at(vec, row), zone, out);
}

static void binary_other(const struct kp_vec *vec, uint32_t row, const struct kp_zone *zone, struct kp_buf *out)
{
    kp_value_send(vec->type, kp_vec_at(vec, row), out);
}

static field_writer choose_writer(enum kp_type_id type, uint8_t format)
{
    switch (type) {
    case KP_TEXT:
    case KP_VARCHAR:
    case KP_NAME:
    case KP_UNKNOWN:
        return any_string;
    case KP_INT2:
        return format ? binary_other : text_int2;
    case KP_INT4:
        return format ? binary_other : text_int4;
    case KP_INT8:
        return format ? binary_other : text_int8;
    case KP_BOOL:
        return format ? binary_other : text_bool;
    default:
        return format ? binary_other : text_other;
    }
}

/* False: it has no room in a message, and nothing was appended. */
static bool put_row(struct kp_buf *out, const struct kp_batch *batch, const field_writer *writers,
                    const struct kp_zone *zone, uint32_t row)
{
    size_t begun = kp_pg_begin(out, 'D');
    kp_buf_append_be16(out, (uint16_t)batch->cols);
    for (uint32_t i = 0; i < batch->cols; i++) {
        const struct kp_vec *vec = &batch->vecs[i];
        if (kp_vec_is_null(vec, row)) {
            kp_buf_append_be32(out, UINT32_MAX);
            continue;
        }
        kp_buf_reserve(out, 4);
        out->len += 4;
        size_t start = out->len;
        writers[i](vec, row, zone, out);
        uint32_t be = __builtin_bswap32((uint32_t)(out->len - start));
        memcpy(out->data + start - 4, &be, 4);
    }
    if (out->len - begun > KP_PG_DISCARD_BYTES_MAX) {
        kp_pg_forget(out, begun);
        return false;
    }
    kp_pg_end(out, begun);
    return true;
}

enum kp_code kp_pg_fail_long_row(struct kp_error *err)
{
    (void)kp_fail(err, KP_LIMIT, NULL, "a row is longer than the %d bytes that a message may have",
                  KP_PG_DISCARD_BYTES_MAX);
    return kp_error_hint(err, "Ask for fewer columns at once.");
}

uint64_t kp_pg_put_rows(struct kp_buf *out, const struct kp_batch *batch, const struct kp_pg_formats *formats,
                        const struct kp_zone *zone, uint32_t *row, int64_t *done, uint64_t rows_max, size_t bytes_max)
{
    field_writer writers[KP_COLUMNS_MAX];
    KP_ASSERT(batch->cols <= KP_COLUMNS_MAX);
    for (uint32_t i = 0; i < batch->cols; i++)
        writers[i] = choose_writer(batch->vecs[i].type.id, kp_pg_format(formats, i));
    uint64_t written = 0;
    while (*row < batch->rows && written < rows_max && out->len < bytes_max) {
        int64_t weight = batch->weights ? batch->weights[*row] : 1;
        KP_ASSERT(weight >= 0);
        if (*done >= weight) {
            ++*row;
            *done = 0;
            continue;
        }
        if (!put_row(out, batch, writers, zone, *row))
            return KP_PG_ROW_TOO_LONG;
        ++*done;
        ++written;
    }
    /* Do not leave a finished row behind: the batch is at its end when *row is. */
    while (*row < batch->rows && *done >= (batch->weights ? batch->weights[*row] : 1)) {
        ++*row;
        *done = 0;
    }
    return written;
}
