/*
 * Scanning JSON text in place: the end of a string, of a number, of a run of digits, many bytes at a time.
 *
 * 1. Every function may read up to KP_JSON_PADDING bytes behind the text it is given: callers guarantee that these are
 *    readable. What they hold never changes an answer that stays within the text; a scan that would leave the text
 *    fails or returns an end behind it, which the caller checks.
 * 2. Nothing here decides that a text is wrong: a NULL means "not the plain case", and the general path judges.
 */
#ifndef KP_DECODE_JSON_SCAN_H
#define KP_DECODE_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

/* For the inner loops, where a call costs as much as the work. */
#define KP_ALWAYS_INLINE inline __attribute__((always_inline))

enum { KP_JSON_PADDING = 128 };

enum kp_json_string_flags {
    KP_JSON_ESCAPED = 1, /* has a backslash: the escapes are not checked yet */
    KP_JSON_WIDE = 2     /* has a byte of 0x80 or more: UTF-8 is not checked yet */
};

static inline uint64_t kp_load_le64(const void *at)
{
    uint64_t v;
    memcpy(&v, at, 8);
    return v;
}

/* Bit i of *ret_stop: byte i of 32 ends a plain run (quote, backslash or control); of *ret_wide: it is not ASCII. */
static KP_ALWAYS_INLINE void kp_json_string_masks(const uint8_t *at, uint32_t *ret_stop, uint32_t *ret_wide)
{
#if defined(__AVX2__)
    __m256i v = _mm256_loadu_si256((const __m256i *)at);
    __m256i stop =
        _mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('"')), _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\')));
    stop = _mm256_or_si256(stop, _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v));
    *ret_stop = (uint32_t)_mm256_movemask_epi8(stop);
    *ret_wide = (uint32_t)_mm256_movemask_epi8(v);
#elif defined(__SSE2__)
    uint32_t stops[2], wides[2];
    for (int i = 0; i < 2; i++) {
        __m128i v = _mm_loadu_si128((const __m128i *)(at + 16 * i));
        __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v));
        stops[i] = (uint32_t)_mm_movemask_epi8(stop);
        wides[i] = (uint32_t)_mm_movemask_epi8(v);
    }
    *ret_stop = stops[0] | stops[1] << 16;
    *ret_wide = wides[0] | wides[1] << 16;
#else
    uint32_t stop = 0, wide = 0;
    for (unsigned i = 0; i < 32; i++) {
        stop |= (uint32_t)(at[i] == '"' || at[i] == '\\' || at[i] < 0x20) << i;
        wide |= (uint32_t)(at[i] >> 7) << i;
    }
    *ret_stop = stop;
    *ret_wide = wide;
#endif
}

/* The closing quote of the string whose first byte is at p; NULL if a control byte or `end` comes before. */
static KP_ALWAYS_INLINE const uint8_t *kp_json_string_end(const uint8_t *p, const uint8_t *end, unsigned *ret_flags)
{
    unsigned flags = 0;
    while (p < end) {
        uint32_t stop, wide;
        kp_json_string_masks(p, &stop, &wide);
        if (stop) {
            unsigned n = (unsigned)__builtin_ctz(stop);
            if (wide & ((1u << n) - 1))
                flags |= KP_JSON_WIDE;
            p += n;
            if (*p == '"') {
                *ret_flags = flags;
                return p;
            }
            if (*p != '\\')
                return NULL;
            flags |= KP_JSON_ESCAPED;
            p += 2;
        } else {
            if (wide)
                flags |= KP_JSON_WIDE;
            p += 32;
        }
    }
    return NULL;
}

/* Bit i: byte i of 32 is a quote, a backslash, a control or not ASCII. Half the work of kp_json_string_masks. */
static KP_ALWAYS_INLINE uint32_t kp_json_plain_mask(const uint8_t *at)
{
#if defined(__AVX2__)
    __m256i v = _mm256_loadu_si256((const __m256i *)at);
    __m256i stop =
        _mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('"')), _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\')));
    /* As signed bytes, what is not ASCII is negative: below a space, too. */
    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(stop, _mm256_cmpgt_epi8(_mm256_set1_epi8(' '), v)));
#else
    uint32_t stop, wide;
    kp_json_string_masks(at, &stop, &wide);
    return stop | wide;
#endif
}

static inline const uint8_t *kp_json_space_end(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* How many of the next 8 bytes are decimal digits, and the bytes minus '0'. */
static KP_ALWAYS_INLINE unsigned kp_digits_8(const uint8_t *p, uint64_t *ret_digits)
{
    uint64_t t = kp_load_le64(p) ^ 0x3030303030303030u;
    uint64_t other =
        ((t + 0x7676767676767676u) | t) & 0x8080808080808080u; /* carries spoil only what is behind the first */
    *ret_digits = t;
    return other ? (unsigned)__builtin_ctzll(other) >> 3 : 8;
}
/* The number that 8 bytes of digits (first in the lowest byte, each 0 to 9) spell. */
static KP_ALWAYS_INLINE uint32_t kp_digits_8_value(uint64_t t)
{
    t = t * 10 + (t >> 8);
    t = (t & 0x00ff00ff00ff00ffu) * 0x00640001u >> 16;
    t = (t & 0x0000ffff0000ffffu) * 0x271000000001u >> 32;
    return (uint32_t)t;
}

/*
 * Reads digits at p: up to 18 of them, else *ret_count is 19. Returns behind them. Leading zeros are the caller's
 * affair.
 */
static KP_ALWAYS_INLINE const uint8_t *kp_digits_read(const uint8_t *p, uint64_t *ret_value, unsigned *ret_count)
{
    static const uint32_t pow10[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    uint64_t digits;
    unsigned n = kp_digits_8(p, &digits);
    if (n < 8) {
        *ret_count = n;
        *ret_value = n ? kp_digits_8_value(digits << (64 - 8 * n)) : 0;
        return p + n;
    }
    uint64_t value = kp_digits_8_value(digits);
    unsigned more = kp_digits_8(p + 8, &digits);
    if (more)
        value = value * pow10[more] + kp_digits_8_value(digits << (64 - 8 * more));
    n = 8 + more;
    p += n;
    if (n == 16)
        for (; n < 19 && (unsigned)*p - '0' <= 9; n++)
            value = value * 10 + (unsigned)(*p++ - '0');
    *ret_value = value;
    *ret_count = n;
    return p;
}

/* Behind the JSON number at p, NULL if there is none. May look behind `end`; the caller compares. */
static inline const uint8_t *kp_json_number_end(const uint8_t *p, const uint8_t *end)
{
    p += *p == '-';
    if (*p == '0') {
        p++;
    } else {
        if ((unsigned)*p - '1' > 8)
            return NULL;
        while (p < end && (unsigned)*p - '0' <= 9)
            p++;
    }
    if (p < end && *p == '.') {
        const uint8_t *digits = ++p;
        while (p < end && (unsigned)*p - '0' <= 9)
            p++;
        if (p == digits)
            return NULL;
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        p += *p == '+' || *p == '-';
        const uint8_t *digits = p;
        while (p < end && (unsigned)*p - '0' <= 9)
            p++;
        if (p == digits)
            return NULL;
    }
    return p;
}

#endif
