/*
 * COPY OUT: rows to text or CSV, or, by db/copy_binary.h, to binary.
 *
 * A value is printed where it will stand and then looked at: only if it holds a byte that must be escaped is it written
 * once more. Most values are not.
 */
#include "db/copy.h"

#include "db/copy_binary.h"

/* The letter that stands for a control byte behind a backslash, 0 if it has none. */
static char control_letter(uint8_t byte)
{
    static const char letters[] = "btnvfr"; /* 8 to 13 */
    return byte >= 8 && byte <= 13 ? letters[byte - 8] : 0;
}

/* Escapes out's bytes from `start` on, in the text form. */
static void escape_text(struct kp_buf *out, size_t start, char delimiter)
{
    size_t special = 0;
    for (size_t i = start; i < out->len; i++) {
        uint8_t byte = out->data[i];
        special += byte == '\\' || byte == (uint8_t)delimiter || control_letter(byte) != 0;
    }
    if (!special)
        return;
    kp_buf_reserve(out, special);
    size_t from = out->len, to = out->len + special;
    out->len = to;
    while (from > start) { /* from the end, in place */
        uint8_t byte = out->data[--from];
        char letter = control_letter(byte);
        if (letter) {
            out->data[--to] = (uint8_t)letter;
            out->data[--to] = '\\';
        } else if (byte == '\\' || byte == (uint8_t)delimiter) {
            out->data[--to] = byte;
            out->data[--to] = '\\';
        } else {
            out->data[--to] = byte;
        }
    }
}

static bool csv_needs_quotes(const struct kp_copy_options *options, struct kp_str value, bool alone)
{
    if (kp_str_equal(value, kp_str(options->null)) || (alone && kp_str_equal(value, KP_STR("\\."))))
        return true;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == options->delimiter || c == options->quote || c == '\n' || c == '\r')
            return true;
    }
    return false;
}

/* Puts out's bytes from `start` on between quotes, if they need them. */
static void quote_csv(const struct kp_copy_options *options, struct kp_buf *out, size_t start, bool alone)
{
    struct kp_str value = {(const char *)out->data + start, out->len - start};
    if (!csv_needs_quotes(options, value, alone))
        return;
    size_t more = 2;
    for (size_t i = 0; i < value.len; i++)
        more += value.ptr[i] == options->quote || value.ptr[i] == options->escape;
    kp_buf_reserve(out, more);
    size_t from = out->len, to = out->len + more;
    out->len = to;
    out->data[--to] = (uint8_t)options->quote;
    while (from > start) {
        uint8_t byte = out->data[--from];
        out->data[--to] = byte;
        if (byte == (uint8_t)options->quote || byte == (uint8_t)options->escape)
            out->data[--to] = (uint8_t)options->escape;
    }
    out->data[--to] = (uint8_t)options->quote;
}

static void protect(const struct kp_copy_options *options, struct kp_buf *out, size_t start, bool alone)
{
    if (options->format == KP_COPY_CSV)
        quote_csv(options, out, start, alone);
    else
        escape_text(out, start, options->delimiter);
}

void kp_copy_write_header(const struct kp_copy_options *options, const struct kp_column *cols, uint32_t col_count,
                          struct kp_buf *out)
{
    for (uint32_t i = 0; i < col_count; i++) {
        if (i)
            kp_buf_append_byte(out, (uint8_t)options->delimiter);
        size_t start = out->len;
        kp_buf_append_text(out, cols[i].name);
        protect(options, out, start, col_count == 1);
    }
    kp_buf_append_byte(out, '\n');
}

void kp_copy_write_begin(const struct kp_copy_options *options, const struct kp_column *cols, uint32_t col_count,
                         struct kp_buf *out)
{
    if (options->format == KP_COPY_BINARY)
        kp_copy_binary_write_header(out);
    else if (options->header)
        kp_copy_write_header(options, cols, col_count, out);
}

void kp_copy_write_end(const struct kp_copy_options *options, struct kp_buf *out)
{
    if (options->format == KP_COPY_BINARY)
        kp_copy_binary_write_end(out);
}

void kp_copy_write_row(const struct kp_copy_options *options, const struct kp_batch *batch, uint32_t row,
                       const struct kp_zone *zone, struct kp_buf *out)
{
    if (options->format == KP_COPY_BINARY) {
        kp_copy_binary_write_row(batch, row, out);
        return;
    }
    for (uint32_t i = 0; i < batch->cols; i++) {
        const struct kp_vec *vec = &batch->vecs[i];
        if (i)
            kp_buf_append_byte(out, (uint8_t)options->delimiter);
        if (kp_vec_is_null(vec, row)) {
            kp_buf_append_text(out, options->null);
            continue;
        }
        size_t start = out->len;
        kp_value_print(vec->type, kp_vec_at(vec, row), zone, out);
        protect(options, out, start, batch->cols == 1);
    }
    kp_buf_append_byte(out, '\n');
}
