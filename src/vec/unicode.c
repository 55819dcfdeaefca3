/*
 * Case by ranges. A range maps upper to lower by a distance, or is a run of pairs: upper, lower, upper, lower …,
 * upper on even or odd code points.
 */
#include "vec/unicode.h"

#include <ctype.h>

#include "base/utf8.h"

enum form { SHIFT, PAIRS };

static const struct {
    uint32_t first, last; /* of the upper case (SHIFT), of both (PAIRS: first is an upper) */
    enum form form;
    int32_t distance; /* SHIFT: lower - upper */
} ranges[] = {
    {0x41, 0x5a, SHIFT, 32},    {0xc0, 0xd6, SHIFT, 32},   {0xd8, 0xde, SHIFT, 32},   {0x100, 0x12f, PAIRS, 0},
    {0x132, 0x137, PAIRS, 0},   {0x139, 0x148, PAIRS, 0},  {0x14a, 0x177, PAIRS, 0},  {0x178, 0x178, SHIFT, -121},
    {0x179, 0x17e, PAIRS, 0},   {0x1cd, 0x1dc, PAIRS, 0},  {0x1de, 0x1ef, PAIRS, 0},  {0x1f8, 0x21f, PAIRS, 0},
    {0x222, 0x233, PAIRS, 0},   {0x386, 0x386, SHIFT, 38}, {0x388, 0x38a, SHIFT, 37}, {0x38c, 0x38c, SHIFT, 64},
    {0x38e, 0x38f, SHIFT, 63},  {0x391, 0x3a1, SHIFT, 32}, {0x3a3, 0x3ab, SHIFT, 32}, {0x3d8, 0x3ef, PAIRS, 0},
    {0x400, 0x40f, SHIFT, 80},  {0x410, 0x42f, SHIFT, 32}, {0x460, 0x481, PAIRS, 0},  {0x48a, 0x4bf, PAIRS, 0},
    {0x4c1, 0x4ce, PAIRS, 0},   {0x4d0, 0x52f, PAIRS, 0},  {0x531, 0x556, SHIFT, 48}, {0x1e00, 0x1e95, PAIRS, 0},
    {0x1ea0, 0x1eff, PAIRS, 0},
};

uint32_t kp_unicode_lower(uint32_t code_point)
{
    for (size_t i = 0; i < KP_COUNT(ranges); i++) {
        if (code_point < ranges[i].first || code_point > ranges[i].last)
            continue;
        if (ranges[i].form == SHIFT)
            return (uint32_t)((int32_t)code_point + ranges[i].distance);
        return (code_point - ranges[i].first) % 2 == 0 ? code_point + 1 : code_point;
    }
    return code_point;
}

uint32_t kp_unicode_upper(uint32_t code_point)
{
    if (code_point == 0x3c2) /* final sigma */
        return 0x3a3;
    for (size_t i = 0; i < KP_COUNT(ranges); i++) {
        if (ranges[i].form == SHIFT) {
            uint32_t upper = (uint32_t)((int32_t)code_point - ranges[i].distance);
            if (upper >= ranges[i].first && upper <= ranges[i].last)
                return upper;
        } else if (code_point > ranges[i].first && code_point <= ranges[i].last) {
            return (code_point - ranges[i].first) % 2 == 1 ? code_point - 1 : code_point;
        }
    }
    return code_point;
}

bool kp_unicode_is_alnum(uint32_t code_point)
{
    if (code_point < 0x80)
        return (code_point >= '0' && code_point <= '9') || ((code_point | 32) >= 'a' && (code_point | 32) <= 'z');
    return code_point == 0xaa || code_point == 0xb5 || code_point == 0xba ||
           (code_point >= 0xc0 && code_point != 0xd7 && code_point != 0xf7 &&
            !(code_point >= 0x2000 && code_point < 0x2070) && !(code_point >= 0x3000 && code_point < 0x3005));
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
