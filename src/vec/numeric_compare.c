/*
 * numeric's order, hash and sort key, and the way between numerics and GMP's integers.
 *
 * Sort key: one byte of class (0 -infinity, 1 negative, 2 zero, 3 positive, 4 infinity, 5 NaN); for classes 1 and 3
 * the exponent of the first digit, biased by 2^31, big-endian, then two significant decimal digits a byte (value + 1),
 * closed by a zero byte. The negative class stores all of that inverted.
 */
#include "base/hash.h"
#include "vec/numeric_big.h"

static const int64_t powers[19] = {1,
                                   10,
                                   100,
                                   1000,
                                   10000,
                                   100000,
                                   1000000,
                                   10000000,
                                   100000000,
                                   1000000000,
                                   10000000000,
                                   100000000000,
                                   1000000000000,
                                   10000000000000,
                                   100000000000000,
                                   1000000000000000,
                                   10000000000000000,
                                   100000000000000000,
                                   1000000000000000000};

int64_t kp_pow10_i64(unsigned exponent)
{
    KP_ASSERT(exponent <= 18);
    return powers[exponent];
}

void kp_numeric_to_mpz(const struct kp_numeric *n, mpz_t ret_coef)
{
    if (kp_numeric_is_small(n)) {
        mpz_set_si(ret_coef, n->coef);
        return;
    }
    KP_ASSERT(n->kind == KP_NUMERIC_BIG);
    mpz_import(ret_coef, n->big->limb_count, -1, sizeof(uint64_t), 0, 0, n->big->limbs);
    if (n->big->negative)
        mpz_neg(ret_coef, ret_coef);
}

struct kp_numeric kp_numeric_from_mpz(const mpz_t coef, uint16_t scale, struct kp_arena *arena)
{
    if (scale <= KP_NUMERIC_SMALL_SCALE_MAX && mpz_fits_slong_p(coef) && mpz_get_si(coef) != INT64_MIN)
        return kp_numeric_small(mpz_get_si(coef), scale);
    size_t limbs = mpz_size(coef);
    if (!kp_arena_may(arena, limbs * sizeof(uint64_t)))
        return kp_numeric_small(0, 0); /* in vain */
    struct kp_numeric_big *big = kp_arena_calloc(arena, sizeof *big + limbs * sizeof big->limbs[0]);
    big->limb_count = (uint32_t)limbs;
    big->negative = mpz_sgn(coef) < 0;
    if (limbs)
        memcpy(big->limbs, mpz_limbs_read(coef), limbs * sizeof big->limbs[0]);
    struct kp_numeric n = {{.big = big}, scale, KP_NUMERIC_BIG, {0}};
    return n;
}

void kp_numeric_mul_pow10(mpz_t n, unsigned long exponent)
{
    if (exponent == 0)
        return;
    mpz_t power;
    mpz_init(power);
    mpz_ui_pow_ui(power, 10, exponent);
    mpz_mul(n, n, power);
    mpz_clear(power);
}

size_t kp_numeric_mpz_digits(const mpz_t n)
{
    size_t digits = mpz_sizeinbase(n, 10); /* exact or one too many */
    if (digits <= 1)
        return 1;
    mpz_t power;
    mpz_init(power);
    mpz_ui_pow_ui(power, 10, digits - 1);
    if (mpz_cmpabs(n, power) < 0)
        digits--;
    mpz_clear(power);
    return digits;
}

int kp_numeric_sign(const struct kp_numeric *n)
{
    switch ((enum kp_numeric_kind)n->kind) {
    case KP_NUMERIC_SMALL:
        return (n->coef > 0) - (n->coef < 0);
    case KP_NUMERIC_BIG:
        return n->big->limb_count == 0 ? 0 : n->big->negative ? -1 : 1;
    case KP_NUMERIC_NEG_INF:
        return -1;
    default:
        return 1;
    }
}

/* Where a kind stands in the order: 0 -infinity, 1 finite, 2 infinity, 3 NaN. */
static int rank(const struct kp_numeric *n)
{
    switch ((enum kp_numeric_kind)n->kind) {
    case KP_NUMERIC_NEG_INF:
        return 0;
    case KP_NUMERIC_POS_INF:
        return 2;
    case KP_NUMERIC_NAN:
        return 3;
    default:
        return 1;
    }
}

static int compare_big(const struct kp_numeric *a, const struct kp_numeric *b)
{
    int sign_a = kp_numeric_sign(a), sign_b = kp_numeric_sign(b);
    if (sign_a != sign_b)
        return sign_a < sign_b ? -1 : 1;
    mpz_t left, right;
    mpz_inits(left, right, NULL);
    kp_numeric_to_mpz(a, left);
    kp_numeric_to_mpz(b, right);
    if (a->scale < b->scale)
        kp_numeric_mul_pow10(left, (unsigned long)(b->scale - a->scale));
    else
        kp_numeric_mul_pow10(right, (unsigned long)(a->scale - b->scale));
    int order = mpz_cmp(left, right);
    mpz_clears(left, right, NULL);
    return (order > 0) - (order < 0);
}

int kp_numeric_compare(const struct kp_numeric *a, const struct kp_numeric *b)
{
    if (kp_numeric_is_small(a) && kp_numeric_is_small(b)) {
        if (a->scale == b->scale)
            return (a->coef > b->coef) - (a->coef < b->coef);
        __int128 left = a->coef, right = b->coef;
        if (a->scale < b->scale)
            left *= powers[b->scale - a->scale];
        else
            right *= powers[a->scale - b->scale];
        return (left > right) - (left < right);
    }
    int rank_a = rank(a), rank_b = rank(b);
    if (rank_a != rank_b)
        return rank_a < rank_b ? -1 : 1;
    return rank_a == 1 ? compare_big(a, b) : 0;
}

static uint64_t hash_parts(uint64_t magnitude_hash, unsigned scale, bool negative)
{
    return kp_hash_combine(magnitude_hash, (uint64_t)scale << 1 | negative);
}

uint64_t kp_numeric_hash(const struct kp_numeric *n)
{
    if (!kp_numeric_is_finite(n))
        return kp_hash_u64(0x6e756d65726963u + n->kind);
    if (kp_numeric_is_small(n)) {
        int64_t coef = n->coef;
        unsigned scale = n->scale;
        while (scale >= 4 && coef % 10000 == 0) {
            coef /= 10000;
            scale -= 4;
            if (coef == 0)
                scale = 0;
        }
        while (scale && coef % 10 == 0) {
            coef /= 10;
            scale--;
        }
        return hash_parts(kp_hash_u64((uint64_t)(coef < 0 ? -coef : coef)), scale, coef < 0);
    }
    /* Without trailing zeros behind the point the magnitude is the same for all equal values. */
    mpz_t coef;
    mpz_init(coef);
    kp_numeric_to_mpz(n, coef);
    unsigned scale = n->scale;
    if (mpz_sgn(coef) == 0)
        scale = 0;
    while (scale && mpz_divisible_ui_p(coef, 10)) {
        mpz_divexact_ui(coef, coef, 10);
        scale--;
    }
    bool negative = mpz_sgn(coef) < 0;
    mpz_abs(coef, coef);
    bool small = mpz_size(coef) <= 1 && mpz_fits_slong_p(coef);
    uint64_t magnitude = small ? kp_hash_u64((uint64_t)mpz_get_si(coef))
                               : kp_hash_bytes(mpz_limbs_read(coef), mpz_size(coef) * sizeof(uint64_t));
    mpz_clear(coef);
    return hash_parts(magnitude, scale, negative);
}

static void sort_key_digits(const char *digits, size_t len, unsigned scale, bool negative, struct kp_buf *key)
{
    uint8_t invert = negative ? 0xff : 0;
    int64_t exponent = (int64_t)len - 1 - scale;
    uint32_t biased = (uint32_t)(exponent + ((int64_t)1 << 31));
    kp_buf_append_be32(key, negative ? ~biased : biased);
    while (len && digits[len - 1] == '0')
        len--;
    for (size_t i = 0; i < len; i += 2) {
        int pair = (digits[i] - '0') * 10 + (i + 1 < len ? digits[i + 1] - '0' : 0);
        kp_buf_append_byte(key, (uint8_t)(pair + 1) ^ invert);
    }
    kp_buf_append_byte(key, invert);
}

void kp_numeric_sort_key(const struct kp_numeric *n, struct kp_buf *key)
{
    static const uint8_t special[] = {[KP_NUMERIC_NAN] = 5, [KP_NUMERIC_POS_INF] = 4, [KP_NUMERIC_NEG_INF] = 0};
    if (!kp_numeric_is_finite(n)) {
        kp_buf_append_byte(key, special[n->kind]);
        return;
    }
    int sign = kp_numeric_sign(n);
    kp_buf_append_byte(key, (uint8_t)(2 + sign));
    if (sign == 0)
        return;
    if (kp_numeric_is_small(n)) {
        char digits[20];
        size_t at = sizeof digits;
        for (uint64_t rest = (uint64_t)(sign < 0 ? -n->coef : n->coef); rest; rest /= 10)
            digits[--at] = (char)('0' + rest % 10);
        sort_key_digits(digits + at, sizeof digits - at, n->scale, sign < 0, key);
        return;
    }
    mpz_t coef;
    mpz_init(coef);
    kp_numeric_to_mpz(n, coef);
    mpz_abs(coef, coef);
    char *digits = kp_alloc(mpz_sizeinbase(coef, 10) + 2);
    mpz_get_str(digits, 10, coef);
    sort_key_digits(digits, strlen(digits), n->scale, sign < 0, key);
    kp_free(digits);
    mpz_clear(coef);
}

size_t kp_numeric_extra_bytes(const struct kp_numeric *n)
{
    if (n->kind != KP_NUMERIC_BIG)
        return 0;
    return sizeof *n->big + n->big->limb_count * sizeof n->big->limbs[0];
}

struct kp_numeric kp_numeric_copy(const struct kp_numeric *n, void *memory)
{
    struct kp_numeric copy = *n;
    size_t bytes = kp_numeric_extra_bytes(n);
    if (bytes) {
        memcpy(memory, n->big, bytes);
        copy.big = memory;
    }
    return copy;
}
