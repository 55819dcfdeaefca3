/* COPY IN: any bytes, cut anywhere, give the same rows or the same error as when they come at once. */
#include <stddef.h>
#include <stdint.h>

#include "db/copy.h"

static const struct kp_column columns[2] = {{"a", {KP_TEXT, -1, 0}, false}, {"b", {KP_TEXT, -1, 0}, false}};

static enum kp_code collect(void *arg, const struct kp_str *fields, uint32_t count, uint64_t line, struct kp_error *err)
{
    struct kp_buf *out = arg;
    kp_buf_printf(out, "%llu:", (unsigned long long)line);
    for (uint32_t i = 0; i < count; i++) {
        kp_buf_append_byte(out, fields[i].ptr ? '=' : '-');
        kp_buf_append_str(out, fields[i]);
    }
    kp_buf_append_byte(out, '\n');
    return KP_OK;
}

static void read_in_pieces(const struct kp_copy_options *options, struct kp_str input, size_t piece_bytes,
                           struct kp_buf *out)
{
    struct kp_error err;
    struct kp_copy_reader *reader = kp_copy_reader_create(options, "t", columns, 2, collect, out);
    enum kp_code code = KP_OK;
    for (size_t at = 0; code == KP_OK && at < input.len; at += piece_bytes) {
        size_t len = KP_MIN(piece_bytes, input.len - at);
        char *piece = kp_alloc(len);
        memcpy(piece, input.ptr + at, len);
        code = kp_copy_reader_feed(reader, (struct kp_str){piece, len}, &err);
        kp_free(piece);
    }
    if (code == KP_OK)
        code = kp_copy_reader_end(reader, &err);
    if (code != KP_OK)
        kp_buf_printf(out, "%s %s %s", err.sqlstate, err.message, err.detail);
    kp_copy_reader_destroy(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct kp_copy_options kinds[] = {{KP_COPY_TEXT, '\t', 0, 0, false, "\\N"},
                                                   {KP_COPY_CSV, ',', '"', '"', false, ""},
                                                   {KP_COPY_CSV, ';', '\'', '\\', true, "nil"}};
    if (size < 2)
        return 0;
    const struct kp_copy_options *options = &kinds[data[0] % KP_COUNT(kinds)];
    struct kp_str input = {(const char *)data + 2, size - 2};
    struct kp_buf whole = {0}, pieces = {0};
    read_in_pieces(options, input, input.len + 1, &whole);
    read_in_pieces(options, input, (size_t)data[1] + 1, &pieces);
    KP_ASSERT(whole.len == pieces.len && (whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0));
    kp_buf_finish(&whole);
    kp_buf_finish(&pieces);
    return 0;
}
