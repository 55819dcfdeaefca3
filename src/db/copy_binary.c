/* COPY's binary form (copy_binary.h), both ways. Reading is a push parser: bytes come in pieces cut anywhere. */
#include "db/copy_binary.h"

#include "base/limits.h"

static const char signature[11] = "PGCOPY\n\377\r\n";
enum { HEADER_BYTES = sizeof signature + 8, CRITICAL_FLAGS = (int)0xffff0000 };

static enum kp_code bad(struct kp_error *err, const char *message)
{
    return kp_fail(err, KP_INVALID, "22P04", "%s", message);
}

void kp_copy_binary_finish(struct kp_copy_binary *binary)
{
    kp_buf_finish(&binary->pending);
}

/* ---- in ---- */

/* *ret_used 0: it has not come whole yet. */
static enum kp_code take_header(struct kp_copy_binary *binary, struct kp_str bytes, size_t *ret_used,
                                struct kp_error *err)
{
    *ret_used = 0;
    if (memcmp(bytes.ptr, signature, KP_MIN(bytes.len, sizeof signature)) != 0)
        return bad(err, "COPY file signature not recognized");
    if (bytes.len < HEADER_BYTES)
        return KP_OK;
    uint32_t flags = kp_load_be32(bytes.ptr + sizeof signature);
    int32_t extension_bytes = (int32_t)kp_load_be32(bytes.ptr + sizeof signature + 4);
    if (flags & 1 << 16)
        return bad(err, "invalid COPY file header (WITH OIDS)");
    if (flags & (uint32_t)CRITICAL_FLAGS)
        return bad(err, "unrecognized critical flags in COPY file header");
    if (extension_bytes < 0)
        return bad(err, "invalid COPY file header (missing length)");
    binary->skip_bytes = (size_t)extension_bytes;
    binary->header_passed = true;
    *ret_used = HEADER_BYTES;
    return KP_OK;
}

/* One row, or the end's marker. *ret_used 0: it has not come whole yet. */
static enum kp_code take_row(struct kp_copy_binary *binary, struct kp_str bytes, uint32_t col_count,
                             struct kp_str *fields, size_t *ret_used, struct kp_error *err)
{
    *ret_used = 0;
    if (bytes.len < 2)
        return KP_OK;
    int16_t count = (int16_t)kp_load_be16(bytes.ptr);
    size_t at = 2;
    if (count == -1) {
        binary->ended = true;
        *ret_used = at;
        return KP_OK;
    }
    if (count < 0 || (uint32_t)count != col_count)
        return kp_fail(err, KP_INVALID, "22P04", "row field count is %d, expected %u", count, col_count);
    for (uint32_t i = 0; i < col_count; i++) {
        if (bytes.len - at < 4)
            return KP_OK;
        int32_t len = (int32_t)kp_load_be32(bytes.ptr + at);
        at += 4;
        if (len < -1)
            return bad(err, "invalid field size");
        if (len > KP_RECORD_BATCH_BYTES_MAX)
            return kp_copy_row_too_long(err);
        fields[i] = (struct kp_str){NULL, 0};
        if (len < 0)
            continue;
        if (bytes.len - at < (size_t)len)
            return KP_OK;
        fields[i] = (struct kp_str){bytes.ptr + at, (size_t)len};
        at += (size_t)len;
    }
    *ret_used = at;
    return KP_OK;
}

enum kp_code kp_copy_row_too_long(struct kp_error *err)
{
    (void)kp_fail(err, KP_LIMIT, NULL, "a row of COPY is longer than %d bytes", KP_RECORD_BATCH_BYTES_MAX);
    return kp_error_hint(err, "A row becomes a record of at most %d bytes.", KP_RECORD_BYTES_MAX);
}

/* All that has come whole. */
static enum kp_code take(struct kp_copy_binary *binary, struct kp_str bytes, uint32_t col_count, struct kp_str *fields,
                         kp_copy_row each, void *arg, size_t *ret_used, struct kp_error *err)
{
    size_t used = 0, step;
    for (;;) {
        struct kp_str rest = {bytes.ptr + used, bytes.len - used};
        if (rest.len == 0)
            break;
        if (binary->ended)
            return bad(err, "received copy data after EOF marker");
        if (binary->skip_bytes) {
            step = KP_MIN(binary->skip_bytes, rest.len);
            binary->skip_bytes -= step;
            used += step;
            continue;
        }
        bool header = !binary->header_passed;
        if (header)
            KP_TRY(take_header(binary, rest, &step, err));
        else
            KP_TRY(take_row(binary, rest, col_count, fields, &step, err));
        if (!step)
            break;
        used += step;
        if (!header && !binary->ended)
            KP_TRY(each(arg, fields, col_count, ++binary->rows, err));
    }
    *ret_used = used;
    return KP_OK;
}

enum kp_code kp_copy_binary_feed(struct kp_copy_binary *binary, struct kp_str bytes, uint32_t col_count,
                                 struct kp_str *fields, kp_copy_row each, void *arg, struct kp_error *err)
{
    size_t used;
    if (!binary->pending.len) {
        KP_TRY(take(binary, bytes, col_count, fields, each, arg, &used, err));
        kp_buf_append(&binary->pending, bytes.ptr + used, bytes.len - used);
    } else {
        kp_buf_append_str(&binary->pending, bytes);
        struct kp_str all = {(const char *)binary->pending.data, binary->pending.len};
        KP_TRY(take(binary, all, col_count, fields, each, arg, &used, err));
        kp_buf_consume(&binary->pending, used);
    }
    if (binary->pending.len > KP_RECORD_BATCH_BYTES_MAX)
        return kp_copy_row_too_long(err);
    return KP_OK;
}

enum kp_code kp_copy_binary_end(const struct kp_copy_binary *binary, struct kp_error *err)
{
    if (!binary->header_passed && binary->pending.len < sizeof signature)
        return bad(err, "COPY file signature not recognized");
    if (!binary->header_passed)
        return bad(err, binary->pending.len < sizeof signature + 4 ? "invalid COPY file header (missing flags)"
                                                                   : "invalid COPY file header (missing length)");
    if (binary->skip_bytes)
        return bad(err, "invalid COPY file header (wrong length)");
    return binary->pending.len > 1 ? bad(err, "unexpected EOF in COPY data") : KP_OK; /* half a count is passed over */
}

/* ---- out ---- */

void kp_copy_binary_write_header(struct kp_buf *out)
{
    kp_buf_append(out, signature, sizeof signature);
    kp_buf_append_be32(out, 0);
    kp_buf_append_be32(out, 0);
}

void kp_copy_binary_write_row(const struct kp_batch *batch, uint32_t row, struct kp_buf *out)
{
    kp_buf_append_be16(out, (uint16_t)batch->cols);
    for (uint32_t i = 0; i < batch->cols; i++) {
        const struct kp_vec *vec = &batch->vecs[i];
        size_t start = out->len;
        kp_buf_append_be32(out, UINT32_MAX);
        if (kp_vec_is_null(vec, row))
            continue;
        kp_value_send(vec->type, kp_vec_at(vec, row), out);
        uint32_t len = (uint32_t)(out->len - start - 4);
        for (unsigned b = 0; b < 4; b++)
            out->data[start + b] = (uint8_t)(len >> (24 - 8 * b));
    }
}

void kp_copy_binary_write_end(struct kp_buf *out)
{
    kp_buf_append_be16(out, UINT16_MAX);
}
