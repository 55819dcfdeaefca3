/*
 * hashtext and hashtextextended: the numbers that PostgreSQL puts texts into buckets by. Applications share them out by
 * such a number, so each must be the same here. It is Bob Jenkins' lookup3 over the bytes, its words starting from the
 * length; kappa itself hashes otherwise (base/hash.h).
 */
#include "vec/fn.h"

enum { BLOCK_BYTES = 12 };

struct words {
    uint32_t a, b, c;
};

static uint32_t rotated(uint32_t x, unsigned bits)
{
    return x << bits | x >> (32 - bits);
}

/* One block into the words, reversibly: each of the six rounds goes on to the next word. */
static void mix(struct words *w)
{
    static const uint8_t bits[6] = {4, 6, 8, 16, 19, 4};
    uint32_t *const words[3] = {&w->a, &w->b, &w->c};
    for (unsigned i = 0; i < 6; i++) {
        uint32_t *x = words[i % 3], *y = words[(i + 1) % 3], *z = words[(i + 2) % 3];
        *x -= *z;
        *x ^= rotated(*z, bits[i]);
        *z += *y;
    }
}

static void finish(struct words *w)
{
    static const uint8_t bits[7] = {14, 11, 25, 16, 4, 14, 24};
    uint32_t *const words[3] = {&w->c, &w->a, &w->b};
    for (unsigned i = 0; i < 7; i++) {
        uint32_t *x = words[i % 3], *before = words[(i + 2) % 3];
        *x ^= *before;
        *x -= rotated(*before, bits[i]);
    }
}

static uint32_t little(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static struct words hash(struct kp_str text, uint64_t seed)
{
    uint32_t start = 0x9e3779b9u + (uint32_t)text.len + 3923095u;
    struct words w = {start + (uint32_t)(seed >> 32), start + (uint32_t)seed, start};
    const uint8_t *at = (const uint8_t *)text.ptr;
    size_t left = text.len;
    if (seed)
        mix(&w);
    for (; left >= BLOCK_BYTES; at += BLOCK_BYTES, left -= BLOCK_BYTES) {
        w.a += little(at);
        w.b += little(at + 4);
        w.c += little(at + 8);
        mix(&w);
    }
    uint8_t rest[BLOCK_BYTES] = {0};
    if (left)
        memcpy(rest, at, left);
    w.a += little(rest);
    w.b += little(rest + 4);
    w.c += little(rest + 8) << 8; /* its low byte is the length's */
    finish(&w);
    return w;
}

static void hash_text(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((int32_t *)out->data)[i] =
            kp_vec_is_null(out, i) ? 0 : (int32_t)hash(kp_text_str(&FN_AT(struct kp_text, 0, i)), 0).c;
}

static void hash_text_extended(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct words w = {0, 0, 0};
        if (!kp_vec_is_null(out, i))
            w = hash(kp_text_str(&FN_AT(struct kp_text, 0, i)), (uint64_t)FN_AT(int64_t, 1, i));
        ((int64_t *)out->data)[i] = (int64_t)((uint64_t)w.b << 32 | w.c);
    }
}

static const struct kp_func funcs[] = {
    FN_UNARY("hashtext", KP_FUNC_FUNCTION, KP_STRICT, KP_TEXT, KP_INT4, hash_text, "PostgreSQL's hash of a text"),
    FN_BINARY("hashtextextended", KP_FUNC_FUNCTION, KP_STRICT, KP_TEXT, KP_INT8, KP_INT8, hash_text_extended,
              "PostgreSQL's hash of a text, from a seed"),
};
KP_FUNCTIONS(hash, funcs);
