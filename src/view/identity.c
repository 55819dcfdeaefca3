#include "view/identity.h"

#include "vec/numeric.h"

bool kp_identity_has_extra(enum kp_type_id type)
{
    return type == KP_NUMERIC || kp_type_info(type)->string;
}

size_t kp_identity_extra_bytes(enum kp_type_id type, const void *value)
{
    if (type == KP_NUMERIC)
        return (kp_numeric_extra_bytes(value) + 7) & ~(size_t)7;
    if (!kp_type_info(type)->string)
        return 0;
    const struct kp_text *text = value;
    return text->len <= KP_TEXT_INLINE_BYTES ? 0 : ((size_t)text->len + 7) & ~(size_t)7;
}

uint64_t kp_identity_batch_bytes(const struct kp_batch *batch)
{
    uint64_t bytes = 16 * (uint64_t)batch->rows * batch->cols;
    for (uint32_t c = 0; c < batch->cols; c++)
        for (uint32_t row = 0; row < batch->rows && kp_identity_has_extra(batch->vecs[c].type.id); row++)
            if (!kp_vec_is_null(&batch->vecs[c], row))
                bytes += kp_identity_extra_bytes(batch->vecs[c].type.id, kp_vec_at(&batch->vecs[c], row));
    return bytes;
}

void kp_identity_copy(enum kp_type_id type, const void *value, void *to, uint8_t **memory)
{
    size_t extra = kp_identity_extra_bytes(type, value);
    if (!extra) {
        memcpy(to, value, 16);
    } else if (type == KP_NUMERIC) {
        struct kp_numeric copy = kp_numeric_copy(value, *memory);
        memcpy(to, &copy, 16);
    } else {
        struct kp_text text = *(const struct kp_text *)value;
        memcpy(*memory, text.ptr, text.len);
        text.ptr = (const char *)*memory;
        memcpy(to, &text, 16);
    }
    *memory += extra;
}

/* One bit pattern for all NaNs. */
static uint64_t float_bits(enum kp_type_id type, const void *value)
{
    uint64_t bits = 0;
    memcpy(&bits, value, type == KP_FLOAT4 ? 4 : 8);
    if (type == KP_FLOAT4) {
        float f;
        memcpy(&f, value, 4);
        return f != f ? 0x7fc00000 : bits;
    }
    double f;
    memcpy(&f, value, 8);
    return f != f ? 0x7ff8000000000000 : bits;
}

bool kp_identity_equal(enum kp_type_id type, const void *a, const void *b)
{
    if (type == KP_FLOAT4 || type == KP_FLOAT8)
        return float_bits(type, a) == float_bits(type, b);
    if (type == KP_NUMERIC) {
        const struct kp_numeric *left = a, *right = b;
        if (left->kind != right->kind || left->scale != right->scale)
            return false;
        return left->kind == KP_NUMERIC_BIG ? kp_numeric_compare(left, right) == 0 : left->coef == right->coef;
    }
    const struct kp_type_info *info = kp_type_info(type);
    if (info->string)
        return kp_text_equal(a, b);
    return memcmp(a, b, info->bytes) == 0;
}

static const struct kp_hash128 null_identity = {0x6e756c6c6e756c6c, 0x4c4c554e4c4c554e};

/* The two halves mix differently, so that a collision in one says nothing about the other. */
static inline struct kp_hash128 of_word(uint64_t word)
{
    return (struct kp_hash128){word, kp_hash_u64(word ^ 0xa0761d6478bd642f)};
}

static inline void add(struct kp_hash128 *hash, struct kp_hash128 value)
{
    hash->lo = kp_hash_combine(hash->lo, value.lo);
    hash->hi = kp_hash_combine(hash->hi + 0xe7037ed1a0b428db, value.hi);
}

static struct kp_hash128 of_pair(uint64_t a, uint64_t b)
{
    struct kp_hash128 hash = of_word(a);
    add(&hash, of_word(b));
    return hash;
}

static struct kp_hash128 of_wide(enum kp_type_id type, const void *value)
{
    uint64_t words[2];
    memcpy(words, value, 16);
    if (type == KP_NUMERIC) {
        const struct kp_numeric *numeric = value;
        if (numeric->kind == KP_NUMERIC_BIG) /* one representation a value and scale: its limbs are its identity */
            return of_pair(kp_hash_bytes(numeric->big->limbs, numeric->big->limb_count * sizeof(uint64_t)),
                           (uint64_t)numeric->scale << 8 | 4 | numeric->big->negative);
        words[1] = (uint64_t)numeric->scale << 8 | (uint64_t)numeric->kind << 4;
    } else if (kp_type_info(type)->string) {
        const struct kp_text *text = value;
        return kp_hash128_bytes(kp_text_bytes(text), text->len);
    }
    return of_pair(words[0], words[1]);
}

static struct kp_hash128 of_value(enum kp_type_id type, uint8_t width, const void *value)
{
    if (width == 16)
        return of_wide(type, value);
    if (type == KP_FLOAT4 || type == KP_FLOAT8)
        return of_word(float_bits(type, value));
    uint64_t word = 0;
    memcpy(&word, value, width);
    return of_word(word);
}

void kp_identity_hash(const struct kp_vec *vec, uint32_t rows, struct kp_hash128 *hashes)
{
    enum kp_type_id type = vec->type.id;
    uint8_t width = kp_type_info(type)->bytes;
    if (vec->constant) {
        struct kp_hash128 value = kp_vec_is_null(vec, 0) ? null_identity : of_value(type, width, vec->data);
        for (uint32_t i = 0; i < rows; i++)
            add(&hashes[i], value);
        return;
    }
    const uint8_t *data = vec->data;
    if (!vec->valid && width == 8 && type != KP_FLOAT8) {
        for (uint32_t i = 0; i < rows; i++)
            add(&hashes[i], of_word(((const uint64_t *)vec->data)[i]));
        return;
    }
    for (uint32_t i = 0; i < rows; i++)
        add(&hashes[i], kp_vec_is_null(vec, i) ? null_identity : of_value(type, width, data + (size_t)i * width));
}

/* Appends n values of `from`, row `row` on, at to[at]; outside parts into the arena. */
static void append(struct kp_vec *to, uint32_t at, uint32_t to_rows, const struct kp_vec *from, uint32_t row,
                   uint32_t n, struct kp_arena *arena)
{
    size_t width = kp_vec_width(to);
    enum kp_type_id type = to->type.id;
    uint8_t *out = (uint8_t *)to->data + at * width;
    if (from->valid) {
        kp_vec_need_valid(to, arena, to_rows);
        for (uint32_t i = 0; i < n; i++)
            if (kp_vec_is_null(from, row + i))
                kp_vec_set_null(to, at + i);
    }
    if (!kp_identity_has_extra(type)) {
        if (!from->constant)
            memcpy(out, kp_vec_at(from, row), n * width);
        else
            for (uint32_t i = 0; i < n; i++)
                memcpy(out + i * width, from->data, width);
        return;
    }
    size_t extra = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!kp_vec_is_null(from, row + i))
            extra += kp_identity_extra_bytes(type, kp_vec_at(from, row + i));
    uint8_t *memory = extra ? kp_arena_alloc(arena, extra) : NULL;
    for (uint32_t i = 0; i < n; i++)
        if (kp_vec_is_null(from, row + i))
            memset(out + i * width, 0, width);
        else
            kp_identity_copy(type, kp_vec_at(from, row + i), out + i * width, &memory);
}

struct kp_batch *kp_batch_concat(struct kp_batch *const *batches, size_t *at_batch, uint32_t *at_row, uint32_t rows,
                                 struct kp_arena *arena)
{
    const struct kp_batch *first = batches[*at_batch];
    struct kp_batch *to = kp_batch_create(arena, first->cols, rows);
    int64_t *weights = kp_arena_alloc(arena, rows * sizeof *weights);
    for (uint32_t c = 0; c < to->cols; c++)
        kp_vec_init(&to->vecs[c], arena, first->vecs[c].type, rows);
    for (uint32_t at = 0; at < rows;) {
        const struct kp_batch *from = batches[*at_batch];
        uint32_t n = KP_MIN(rows - at, from->rows - *at_row);
        for (uint32_t c = 0; c < to->cols; c++)
            append(&to->vecs[c], at, rows, &from->vecs[c], *at_row, n, arena);
        for (uint32_t i = 0; i < n; i++)
            weights[at + i] = from->weights ? from->weights[*at_row + i] : 1;
        at += n;
        *at_row += n;
        if (*at_row == from->rows) {
            *at_row = 0;
            (*at_batch)++;
        }
    }
    to->weights = weights;
    return to;
}
