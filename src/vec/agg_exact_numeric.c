/*
 * Exact sums of numerics. Per scale: how many values, and the sum of their coefficients, SMALL ones in 128 bits, BIG
 * ones in a GMP integer. A scale whose count is zero holds nothing, so the scale of the sum is the largest scale with
 * a count, whatever came and went before.
 *
 * The state itself holds the SMALL ones of one scale, `more` the others. Invariant: a scale is in one of both places
 * only, so that what goes is taken from where it was added: else 21 would stay there when 7 comes and 21 goes here, a
 * count of zero with a sum of -14. So the state, once empty, takes another scale only if `more` has not that one, and
 * gives its own up when `more` needs it.
 */
#include <stdlib.h>

#include "vec/agg_exact.h"
#include "vec/numeric_big.h"

struct scale_sum {
    uint32_t scale;
    bool has_big;
    int64_t count;
    struct agg_i128 coef;
    mpz_t big;
};

struct agg_numeric_more {
    int64_t nans, infinities, neg_infinities;
    uint32_t scale_count, scale_cap;
    struct scale_sum *scales; /* in order of scale */
};

static struct agg_numeric_more *need_more(struct kp_agg_call *call, struct agg_numeric_sum *sum)
{
    if (!sum->more) {
        sum->more = kp_calloc(1, sizeof *sum->more);
        agg_account(call, sizeof *sum->more);
    }
    return sum->more;
}

static struct scale_sum *find_scale(struct kp_agg_call *call, struct agg_numeric_sum *sum, uint32_t scale)
{
    struct agg_numeric_more *more = need_more(call, sum);
    uint32_t at = 0;
    while (at < more->scale_count && more->scales[at].scale < scale)
        at++;
    if (at < more->scale_count && more->scales[at].scale == scale)
        return &more->scales[at];
    if (more->scale_count == more->scale_cap) {
        uint32_t cap = more->scale_cap ? more->scale_cap * 2 : 4;
        more->scales = kp_realloc(more->scales, cap * sizeof *more->scales);
        agg_account(call, (int64_t)((cap - more->scale_cap) * sizeof *more->scales));
        more->scale_cap = cap;
    }
    memmove(more->scales + at + 1, more->scales + at, (more->scale_count - at) * sizeof *more->scales);
    more->scale_count++;
    memset(&more->scales[at], 0, sizeof more->scales[at]);
    more->scales[at].scale = scale;
    if (sum->scale == scale) { /* it moves here */
        more->scales[at].count = sum->count;
        more->scales[at].coef = sum->coef;
        sum->count = 0;
        agg_i128_set(&sum->coef, 0);
    }
    return &more->scales[at];
}

static void add_big(struct kp_agg_call *call, struct agg_numeric_sum *sum, const struct kp_numeric *value,
                    int64_t weight)
{
    struct scale_sum *scale = find_scale(call, sum, value->scale);
    if (!scale->has_big) {
        mpz_init(scale->big);
        scale->has_big = true;
    }
    mpz_t coef;
    mpz_init(coef);
    kp_numeric_to_mpz(value, coef);
    mpz_mul_si(coef, coef, weight);
    mpz_add(scale->big, scale->big, coef);
    mpz_clear(coef);
    scale->count += weight;
}

static bool more_has(const struct agg_numeric_sum *sum, uint32_t scale)
{
    for (uint32_t i = 0; sum->more && i < sum->more->scale_count; i++)
        if (sum->more->scales[i].scale == scale)
            return true;
    return false;
}

static bool is_empty(const struct agg_numeric_sum *sum)
{
    return sum->count == 0 && agg_i128_get(&sum->coef) == 0;
}

static void add_small(struct kp_agg_call *call, struct agg_numeric_sum *sum, __int128 coef, uint32_t scale,
                      int64_t count)
{
    if (sum->scale != scale && is_empty(sum) && !more_has(sum, scale)) /* it may take another scale */
        sum->scale = scale;
    if (sum->scale == scale && !more_has(sum, scale)) {
        agg_i128_add(&sum->coef, coef);
        sum->count += count;
        return;
    }
    struct scale_sum *other = find_scale(call, sum, scale);
    agg_i128_add(&other->coef, coef);
    other->count += count;
}

void kp_agg_numeric_add(struct kp_agg_call *call, struct agg_numeric_sum *sum, const struct kp_numeric *value,
                        int64_t weight)
{
    switch ((enum kp_numeric_kind)value->kind) {
    case KP_NUMERIC_SMALL:
        add_small(call, sum, (__int128)value->coef * weight, value->scale, weight);
        break;
    case KP_NUMERIC_BIG:
        add_big(call, sum, value, weight);
        break;
    case KP_NUMERIC_NAN:
        need_more(call, sum)->nans += weight;
        break;
    case KP_NUMERIC_POS_INF:
        need_more(call, sum)->infinities += weight;
        break;
    case KP_NUMERIC_NEG_INF:
        need_more(call, sum)->neg_infinities += weight;
        break;
    }
}

void kp_agg_numeric_merge(struct kp_agg_call *call, struct agg_numeric_sum *into, struct agg_numeric_sum *from)
{
    if (!is_empty(from))
        add_small(call, into, agg_i128_get(&from->coef), (uint32_t)from->scale, from->count);
    struct agg_numeric_more *more = from->more;
    if (more) {
        struct agg_numeric_more *to = need_more(call, into);
        to->nans += more->nans;
        to->infinities += more->infinities;
        to->neg_infinities += more->neg_infinities;
        for (uint32_t i = 0; i < more->scale_count; i++) {
            struct scale_sum *source = &more->scales[i], *scale = find_scale(call, into, source->scale);
            agg_i128_add(&scale->coef, agg_i128_get(&source->coef));
            scale->count += source->count;
            if (!source->has_big)
                continue;
            if (!scale->has_big) {
                mpz_init(scale->big);
                scale->has_big = true;
            }
            mpz_add(scale->big, scale->big, source->big);
        }
    }
    kp_agg_numeric_finish(call, from);
}

int64_t kp_agg_numeric_count(const struct agg_numeric_sum *sum)
{
    int64_t count = sum->count;
    if (sum->more) {
        count += sum->more->nans + sum->more->infinities + sum->more->neg_infinities;
        for (uint32_t i = 0; i < sum->more->scale_count; i++)
            count += sum->more->scales[i].count;
    }
    return count;
}

static void mpz_add_i128(mpz_t to, __int128 value, unsigned long shift10)
{
    mpz_t part;
    mpz_init_set_si(part, (int64_t)(value >> 64));
    mpz_mul_2exp(part, part, 64);
    mpz_add_ui(part, part, (uint64_t)value);
    kp_numeric_mul_pow10(part, shift10);
    mpz_add(to, to, part);
    mpz_clear(part);
}

static enum kp_code total_of_scales(const struct agg_numeric_sum *sum, struct kp_arena *arena,
                                    struct kp_numeric *ret_total, struct kp_error *err)
{
    const struct agg_numeric_more *more = sum->more;
    uint32_t scale = sum->count ? (uint32_t)sum->scale : 0;
    for (uint32_t i = 0; i < more->scale_count; i++)
        if (more->scales[i].count && more->scales[i].scale > scale)
            scale = more->scales[i].scale;
    mpz_t total, part;
    mpz_init(total);
    mpz_init(part);
    if (sum->count)
        mpz_add_i128(total, agg_i128_get(&sum->coef), scale - (uint32_t)sum->scale);
    for (uint32_t i = 0; i < more->scale_count; i++) {
        const struct scale_sum *source = &more->scales[i];
        if (!source->count)
            continue;
        mpz_add_i128(total, agg_i128_get(&source->coef), scale - source->scale);
        if (source->has_big) {
            mpz_set(part, source->big);
            kp_numeric_mul_pow10(part, scale - source->scale);
            mpz_add(total, total, part);
        }
    }
    enum kp_code code = kp_numeric_checked(total, scale, arena, ret_total, err);
    mpz_clear(total);
    mpz_clear(part);
    return code;
}

enum kp_code kp_agg_numeric_total(const struct agg_numeric_sum *sum, struct kp_arena *arena,
                                  struct kp_numeric *ret_total, struct kp_error *err)
{
    const struct agg_numeric_more *more = sum->more;
    if (!more) {
        *ret_total = sum->count ? kp_numeric_from_i128(agg_i128_get(&sum->coef), (uint16_t)sum->scale, arena)
                                : kp_numeric_small(0, 0);
        return KP_OK;
    }
    if (more->nans || (more->infinities && more->neg_infinities)) {
        *ret_total = kp_numeric_special(KP_NUMERIC_NAN);
        return KP_OK;
    }
    if (more->infinities || more->neg_infinities) {
        *ret_total = kp_numeric_special(more->infinities ? KP_NUMERIC_POS_INF : KP_NUMERIC_NEG_INF);
        return KP_OK;
    }
    return total_of_scales(sum, arena, ret_total, err);
}

void kp_agg_numeric_finish(struct kp_agg_call *call, struct agg_numeric_sum *sum)
{
    struct agg_numeric_more *more = sum->more;
    if (more) {
        for (uint32_t i = 0; i < more->scale_count; i++)
            if (more->scales[i].has_big)
                mpz_clear(more->scales[i].big);
        agg_account(call, -(int64_t)(sizeof *more + more->scale_cap * sizeof *more->scales));
        kp_free(more->scales);
        kp_free(more);
    }
    memset(sum, 0, sizeof *sum);
}
