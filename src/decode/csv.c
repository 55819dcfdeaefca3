/*
 * CSV as PostgreSQL's COPY reads it (tests/formats compares): one record is one row. Fields are separated by the
 * delimiter. Between quotes, which may begin anywhere in a field, delimiters and line ends are text, and so is a quote
 * behind the escape, which is the quote itself unless declared. A field that is the null text without quotes is NULL.
 * One line end behind the row is allowed, a second row is not. Fields behind the last column are ignored, and missing
 * ones an error, since a row cut short is not one with NULLs, unless the options `extra` and `missing` say otherwise.
 */
#include "decode/internal.h"

/* A field with quotes somewhere, byte by byte. */
static enum kp_code read_quoted(struct kp_decode_state *state, const char **at, const char *end,
                                struct kp_str *ret_field, struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    char quote = decoder->csv_quote, escape = decoder->csv_escape;
    char *plain = kp_arena_alloc(state->arena, (size_t)(end - *at) + 1), *to = plain;
    bool inside = false;
    const char *p = *at;
    for (; p < end; p++) {
        if (!inside && (*p == decoder->csv_delimiter || *p == '\n' || *p == '\r'))
            break;
        if (inside && *p == escape && p + 1 < end && (p[1] == quote || p[1] == escape))
            *to++ = *++p;
        else if (*p == quote)
            inside = !inside;
        else
            *to++ = *p;
    }
    if (inside)
        return kp_fail(err, KP_INVALID, "22P04", "unterminated CSV quoted field");
    *ret_field = (struct kp_str){plain, (size_t)(to - plain)};
    *at = p;
    return KP_OK;
}

/* Reads the field at *at; leaves *at at the delimiter or the end of the row. */
static enum kp_code read_field(struct kp_decode_state *state, const char **at, const char *end, bool *ret_quoted,
                               struct kp_str *ret_field, struct kp_error *err)
{
    char delimiter = state->decoder->csv_delimiter, quote = state->decoder->csv_quote;
    const char *p = *at;
    while (p < end && *p != delimiter && *p != '\n' && *p != '\r' && *p != quote)
        p++;
    *ret_quoted = p < end && *p == quote;
    if (*ret_quoted) {
        const char *close = p == *at ? memchr(p + 1, quote, (size_t)(end - p - 1)) : NULL;
        bool whole = close && state->decoder->csv_escape == quote &&
                     (close + 1 == end || close[1] == delimiter || close[1] == '\n' || close[1] == '\r');
        if (!whole)
            return read_quoted(state, at, end, ret_field, err);
        *ret_field = (struct kp_str){p + 1, (size_t)(close - p - 1)}; /* quotes around it, and none in it */
        *at = close + 1;
        return KP_OK;
    }
    *ret_field = (struct kp_str){*at, (size_t)(p - *at)};
    *at = p;
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
    uint32_t next = 0, count = decoder->csv_count, fields = 0;
    if (count)
        fields = decoder->columns[decoder->csv_order[count - 1]].csv_index + 1;
    for (uint32_t index = 0;; index++) {
        if (index == fields && fields && decoder->extra_fails)
            return kp_fail(err, KP_INVALID, "22P04", "extra data after last expected column");
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
    if (next < count && decoder->missing_fails)
        return kp_fail(err, KP_INVALID, "22P04", "missing data for column \"%s\"",
                       decoder->columns[decoder->csv_order[next]].name);
    for (; next < count; next++)
        kp_decode_set_null(state, decoder->csv_order[next]);
    return KP_OK;
}
