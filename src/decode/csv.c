/*
 * CSV, RFC 4180: one record is one row. Fields are separated by the delimiter; a field in quotes may hold delimiters,
 * line ends and doubled quotes. One line end behind the row is allowed, a second row is not. More fields than columns
 * are ignored; fewer are an error, since a row cut short is not one with NULLs.
 */
#include "decode/internal.h"

/* Reads the field at *at; leaves *at at the delimiter or the end of the row. */
static enum kp_code read_field(struct kp_decode_state *state, const char **at, const char *end, bool *ret_quoted,
                               struct kp_str *ret_field, struct kp_error *err)
{
    char delimiter = state->decoder->csv_delimiter;
    const char *p = *at;
    if (p == end || *p != '"') {
        while (p < end && *p != delimiter && *p != '\n' && *p != '\r' && *p != '"')
            p++;
        if (p < end && *p == '"')
            return kp_fail(err, KP_INVALID, "22P04", "a quote inside an unquoted CSV field, at byte %zu of the row",
                           (size_t)(p - *at) + 1);
        *ret_quoted = false;
        *ret_field = (struct kp_str){*at, (size_t)(p - *at)};
        *at = p;
        return KP_OK;
    }
    const char *start = ++p;
    size_t doubled = 0;
    for (;; p += 2, doubled++) {
        p = memchr(p, '"', (size_t)(end - p));
        if (!p)
            return kp_fail(err, KP_INVALID, "22P04", "unterminated CSV quoted field");
        if (p + 1 == end || p[1] != '"')
            break;
    }
    *ret_quoted = true;
    *ret_field = (struct kp_str){start, (size_t)(p - start)};
    *at = p + 1;
    if (*at < end && **at != delimiter && **at != '\n' && **at != '\r')
        return kp_fail(err, KP_INVALID, "22P04", "text behind a quoted CSV field");
    if (doubled) {
        char *plain = kp_arena_alloc(state->arena, ret_field->len), *to = plain;
        for (const char *from = start; from < p; from++) {
            *to++ = *from;
            from += *from == '"';
        }
        *ret_field = (struct kp_str){plain, (size_t)(to - plain)};
    }
    return KP_OK;
}

static enum kp_code take_field(struct kp_decode_state *state, uint32_t column, struct kp_str field, bool quoted,
                               struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    const char *null = decoder->csv_null ? decoder->csv_null : "";
    if (!quoted && kp_str_equal(field, kp_str(null))) {
        kp_decode_set_null(state, column);
        return KP_OK;
    }
    enum kp_code code = kp_decode_convert_text(state, column, field, err);
    if (code) {
        kp_error_context(err, "field \"%s\"", decoder->columns[column].name);
        return code;
    }
    kp_decode_mask_set(state->present, column);
    return KP_OK;
}

enum kp_code kp_csv_decode(struct kp_decode_state *state, struct kp_str text, struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    const char *p = text.ptr, *end = p + text.len;
    uint32_t next = 0;
    for (uint32_t index = 0;; index++) {
        struct kp_str field = {NULL, 0};
        bool quoted = false;
        KP_TRY(read_field(state, &p, end, &quoted, &field, err));
        for (; next < decoder->csv_count && decoder->columns[decoder->csv_order[next]].csv_index == index; next++) {
            KP_TRY(take_field(state, decoder->csv_order[next], field, quoted, err));
        }
        if (p == end || *p != decoder->csv_delimiter)
            break;
        p++;
    }
    p += p < end && *p == '\r';
    p += p < end && *p == '\n';
    if (p != end)
        return kp_fail(err, KP_INVALID, "22P04", "a second CSV row in one record, at byte %zu",
                       (size_t)(p - text.ptr) + 1);
    if (next < decoder->csv_count)
        return kp_fail(err, KP_INVALID, "22P04", "missing data for column \"%s\"",
                       decoder->columns[decoder->csv_order[next]].name);
    return KP_OK;
}
