/* Case and kind of characters by ranges, each found by halving. */
#include "vec/unicode.h"

#include <ctype.h>

#include "base/utf8.h"
#include "vec/unicode_table.h"

static uint32_t other_case(const struct case_range *ranges, size_t count, uint32_t code_point)
{
    size_t low = 0, high = count; /* the first range that ends at or behind it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].last < code_point)
            low = middle + 1;
        else
            high = middle;
    }
    const struct case_range *range = &ranges[low];
    if (low == count || code_point < range->first || (code_point - range->first) % range->step)
        return code_point;
    return (uint32_t)((int32_t)code_point + range->distance);
}

uint32_t kp_unicode_lower(uint32_t code_point)
{
    if (code_point < 0x80)
        return code_point >= 'A' && code_point <= 'Z' ? code_point + 32 : code_point;
    return other_case(lower_ranges, KP_COUNT(lower_ranges), code_point);
}

uint32_t kp_unicode_upper(uint32_t code_point)
{
    if (code_point < 0x80)
        return code_point >= 'a' && code_point <= 'z' ? code_point - 32 : code_point;
    return other_case(upper_ranges, KP_COUNT(upper_ranges), code_point);
}

const struct kp_char_range *kp_unicode_members(enum kp_char_kind kind, size_t *ret_count)
{
#define MEMBERS(of)                                                                                                    \
    {                                                                                                                  \
        of##_members, KP_COUNT(of##_members)                                                                           \
    }
    static const struct {
        const struct kp_char_range *ranges;
        size_t count;
    } kinds[] = {
        [KP_CHAR_ALNUM] = MEMBERS(alnum), [KP_CHAR_UPPER] = MEMBERS(upper), [KP_CHAR_LOWER] = MEMBERS(lower),
        [KP_CHAR_SPACE] = MEMBERS(space), [KP_CHAR_PUNCT] = MEMBERS(punct), [KP_CHAR_PRINT] = MEMBERS(print),
    };
    *ret_count = kinds[kind].count;
    return kinds[kind].ranges;
}

bool kp_unicode_is_alnum(uint32_t code_point)
{
    if (code_point < 0x80)
        return (code_point >= '0' && code_point <= '9') || ((code_point | 32) >= 'a' && (code_point | 32) <= 'z');
    size_t low = 0, high = KP_COUNT(alnum_members);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (alnum_members[middle].last < code_point)
            low = middle + 1;
        else
            high = middle;
    }
    return low < KP_COUNT(alnum_members) && code_point >= alnum_members[low].first;
}

static void map(struct kp_str text, struct kp_buf *out, uint32_t (*function)(uint32_t), char first, char last)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    while (at < end) {
        if ((unsigned char)*at < 0x80) {
            char c = *at++;
            kp_buf_append_byte(out, (uint8_t)(c >= first && c <= last ? c ^ 32 : c));
            continue;
        }
        char utf8[4];
        kp_buf_append(out, utf8, kp_utf8_encode(function(kp_utf8_next(&at)), utf8));
    }
}

void kp_text_upper(struct kp_str text, struct kp_buf *out)
{
    map(text, out, kp_unicode_upper, 'a', 'z');
}

void kp_text_lower(struct kp_str text, struct kp_buf *out)
{
    map(text, out, kp_unicode_lower, 'A', 'Z');
}

struct kp_str kp_text_trim(struct kp_str text)
{
    while (text.len && isspace((unsigned char)text.ptr[0]))
        text.ptr++, text.len--;
    while (text.len && isspace((unsigned char)text.ptr[text.len - 1]))
        text.len--;
    return text;
}
