/*
 * Text with a pattern, such as lines of logs: a regular expression (RE2) that the whole record must match, but for a
 * line end behind it. Columns take the groups of their name; a group that took no part is NULL.
 *
 *   pattern = '(?P<ip>\S+) - - \[(?P<at>[^]]+)\] "(?P<verb>\w+) (?P<url>\S+).*'
 */
#include "decode/internal.h"
#include "decode/re2_shim.h"

enum kp_code kp_pattern_prepare(struct kp_decoder *decoder, const char *pattern, struct kp_error *err)
{
    char why[200];
    decoder->pattern = kp_regex_create(pattern, strlen(pattern), false, why, sizeof why);
    if (!decoder->pattern)
        return kp_fail(err, KP_INVALID, "2201B", "invalid regular expression: %s", why);
    if (kp_regex_groups(decoder->pattern) >= KP_REGEX_GROUPS_MAX)
        return kp_fail(err, KP_LIMIT, "54000", "the pattern has more than %d groups", KP_REGEX_GROUPS_MAX - 1);
    for (uint32_t c = 0; c < decoder->column_count; c++) {
        struct kp_decode_column *column = &decoder->columns[c];
        if (column->origin != KP_FIELD_VALUE)
            continue;
        column->group = kp_regex_group_named(decoder->pattern, column->name, strlen(column->name));
        if (column->group < 0)
            return kp_fail(err, KP_INVALID, "22023", "the pattern has no group (?P<%s>...) for that column",
                           column->name);
    }
    return KP_OK;
}

enum kp_code kp_pattern_decode(struct kp_decode_state *state, struct kp_str text, struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    size_t groups[2 * KP_REGEX_GROUPS_MAX];
    text.len -= text.len && text.ptr[text.len - 1] == '\n';
    text.len -= text.len && text.ptr[text.len - 1] == '\r';
    unsigned count = kp_regex_groups(decoder->pattern) + 1;
    if (!kp_regex_search(decoder->pattern, text.ptr, text.len, 0, groups, count) || groups[0] != 0 ||
        groups[1] != text.len)
        return kp_fail(err, KP_INVALID, "22P02", "the record does not match the pattern");
    for (uint32_t column = 0; column < decoder->column_count; column++) {
        if (decoder->columns[column].origin != KP_FIELD_VALUE)
            continue;
        size_t from = groups[2 * decoder->columns[column].group], to = groups[2 * decoder->columns[column].group + 1];
        if (from == (size_t)-1) {
            kp_decode_set_null(state, column);
            continue;
        }
        enum kp_code code = kp_decode_convert_text(state, column, (struct kp_str){text.ptr + from, to - from}, err);
        if (code) {
            kp_error_context(err, "field \"%s\"", decoder->columns[column].name);
            return code;
        }
        kp_decode_mask_set(state->present, column);
    }
    return KP_OK;
}
