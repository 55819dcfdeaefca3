/* Ordered multisets: binary search in the directory, then in the chunk. */
#include "vec/multiset.h"

#include "vec/numeric.h"
#include "vec/vec.h"

enum { CHUNK_ENTRIES_MAX = 256, CHUNK_ENTRIES_MIN = 4 };

struct chunk {
    uint32_t count, cap;
    struct kp_multiset_entry entries[];
};

struct kp_multiset {
    uint32_t chunk_count, chunk_cap;
    struct chunk **chunks;
};

/* ---- values ---- */

static int compare_texts(enum kp_type_id type, const void *a, const void *b)
{
    struct kp_buf left = {0}, right = {0};
    kp_value_print(KP_TYPE(type), a, NULL, &left);
    kp_value_print(KP_TYPE(type), b, NULL, &right);
    int order = kp_str_compare((struct kp_str){(const char *)left.data, left.len},
                               (struct kp_str){(const char *)right.data, right.len});
    kp_buf_finish(&left);
    kp_buf_finish(&right);
    return order;
}

int kp_value_compare_total(enum kp_type_id type, const void *a, const void *b)
{
    int order = kp_value_compare(type, a, b);
    if (order)
        return order;
    /* NaNs of all signs and payloads print the same and are one value */
    if (!kp_type_has_faces(type) || memcmp(a, b, kp_type_info(type)->bytes) == 0)
        return 0;
    order = compare_texts(type, a, b);
    return (order > 0) - (order < 0);
}

size_t kp_value_copy_heap(enum kp_type_id type, const void *value, uint8_t ret_value[16])
{
    const struct kp_type_info *info = kp_type_info(type);
    memset(ret_value, 0, 16);
    memcpy(ret_value, value, info->bytes);
    if (info->string) {
        struct kp_str text = kp_text_str(value);
        if (text.len <= KP_TEXT_INLINE_BYTES)
            return 0;
        char *bytes = kp_alloc(text.len);
        memcpy(bytes, text.ptr, text.len);
        struct kp_text copy = kp_text_make(bytes, text.len);
        memcpy(ret_value, &copy, sizeof copy);
        return text.len;
    }
    if (type != KP_NUMERIC)
        return 0;
    size_t extra = kp_numeric_extra_bytes(value);
    if (extra) {
        struct kp_numeric copy = kp_numeric_copy(value, kp_alloc(extra));
        memcpy(ret_value, &copy, sizeof copy);
    }
    return extra;
}

size_t kp_value_heap_bytes(enum kp_type_id type, const uint8_t value[16])
{
    if (kp_type_info(type)->string) {
        struct kp_text text;
        memcpy(&text, value, sizeof text);
        return text.len <= KP_TEXT_INLINE_BYTES ? 0 : text.len;
    }
    if (type != KP_NUMERIC)
        return 0;
    struct kp_numeric numeric;
    memcpy(&numeric, value, sizeof numeric);
    return kp_numeric_extra_bytes(&numeric);
}

void kp_value_free_heap(enum kp_type_id type, const uint8_t value[16])
{
    if (kp_value_heap_bytes(type, value) == 0)
        return;
    if (type == KP_NUMERIC) {
        struct kp_numeric numeric;
        memcpy(&numeric, value, sizeof numeric);
        kp_free((void *)(uintptr_t)numeric.big);
    } else {
        struct kp_text text;
        memcpy(&text, value, sizeof text);
        kp_free((void *)(uintptr_t)text.ptr);
    }
}

void kp_value_copy_arena(enum kp_type_id type, const void *value, struct kp_arena *arena, void *ret_value)
{
    const struct kp_type_info *info = kp_type_info(type);
    memcpy(ret_value, value, info->bytes);
    if (info->string) {
        struct kp_str text = kp_text_str(value);
        if (text.len > KP_TEXT_INLINE_BYTES) {
            struct kp_text copy = kp_text_make(kp_arena_strndup(arena, text.ptr, text.len), text.len);
            memcpy(ret_value, &copy, sizeof copy);
        }
    } else if (type == KP_NUMERIC && kp_numeric_extra_bytes(value)) {
        struct kp_numeric copy = kp_numeric_copy(value, kp_arena_alloc(arena, kp_numeric_extra_bytes(value)));
        memcpy(ret_value, &copy, sizeof copy);
    }
}

/* ---- chunks ---- */

static size_t chunk_bytes(uint32_t cap)
{
    return sizeof(struct chunk) + cap * sizeof(struct kp_multiset_entry);
}

/* The first entry of a chunk that is not below value. */
static uint32_t lower_bound(const struct chunk *chunk, enum kp_type_id type, const void *value, bool *ret_equal)
{
    uint32_t low = 0, high = chunk->count;
    *ret_equal = false;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        int order = kp_value_compare_total(type, chunk->entries[mid].value, value);
        if (order < 0) {
            low = mid + 1;
        } else {
            *ret_equal |= order == 0;
            high = mid;
        }
    }
    return low;
}

/* The last chunk whose first entry is not above value; the first chunk if there is none. */
static uint32_t find_chunk(const struct kp_multiset *set, enum kp_type_id type, const void *value)
{
    uint32_t low = 1,
             high = set->chunk_count; /* the first chunk takes what is less than all; it may be new and empty */
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (kp_value_compare_total(type, set->chunks[mid]->entries[0].value, value) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low - 1;
}

static void insert_chunk(struct kp_multiset *set, uint32_t at, struct chunk *chunk)
{
    if (set->chunk_count == set->chunk_cap) {
        set->chunk_cap = set->chunk_cap ? set->chunk_cap * 2 : 2;
        set->chunks = kp_realloc(set->chunks, set->chunk_cap * sizeof(struct chunk *));
    }
    memmove(set->chunks + at + 1, set->chunks + at, (set->chunk_count - at) * sizeof(struct chunk *));
    set->chunks[at] = chunk;
    set->chunk_count++;
}

static struct chunk *make_chunk(uint32_t cap)
{
    struct chunk *chunk = kp_alloc(chunk_bytes(cap));
    chunk->count = 0;
    chunk->cap = cap;
    return chunk;
}

/* Room for one more in chunk `at`, by growth or by moving its upper half to a new chunk behind it. Returns bytes
 * gained. */
static int64_t make_room(struct kp_multiset *set, uint32_t at)
{
    struct chunk *chunk = set->chunks[at];
    if (chunk->count < chunk->cap)
        return 0;
    if (chunk->cap < CHUNK_ENTRIES_MAX) {
        uint32_t cap = chunk->cap * 2;
        int64_t gained = (int64_t)(chunk_bytes(cap) - chunk_bytes(chunk->cap));
        chunk = kp_realloc(chunk, chunk_bytes(cap));
        chunk->cap = cap;
        set->chunks[at] = chunk;
        return gained;
    }
    struct chunk *upper = make_chunk(CHUNK_ENTRIES_MAX);
    uint32_t keep = chunk->count / 2;
    upper->count = chunk->count - keep;
    memcpy(upper->entries, chunk->entries + keep, upper->count * sizeof upper->entries[0]);
    chunk->count = keep;
    insert_chunk(set, at + 1, upper);
    return (int64_t)chunk_bytes(CHUNK_ENTRIES_MAX);
}

static int64_t insert(struct kp_multiset *set, enum kp_type_id type, const void *value, int64_t weight)
{
    uint32_t at = find_chunk(set, type, value);
    int64_t gained = make_room(set, at);
    if (at + 1 < set->chunk_count && kp_value_compare_total(type, set->chunks[at + 1]->entries[0].value, value) <= 0)
        at++; /* it was split */
    struct chunk *chunk = set->chunks[at];
    bool equal;
    uint32_t place = lower_bound(chunk, type, value, &equal);
    memmove(chunk->entries + place + 1, chunk->entries + place, (chunk->count - place) * sizeof chunk->entries[0]);
    gained += (int64_t)kp_value_copy_heap(type, value, chunk->entries[place].value);
    chunk->entries[place].weight = weight;
    chunk->count++;
    return gained;
}

static int64_t remove_entry(struct kp_multiset **set, enum kp_type_id type, uint32_t at, uint32_t place)
{
    struct kp_multiset *s = *set;
    struct chunk *chunk = s->chunks[at];
    int64_t lost = (int64_t)kp_value_heap_bytes(type, chunk->entries[place].value);
    kp_value_free_heap(type, chunk->entries[place].value);
    chunk->count--;
    memmove(chunk->entries + place, chunk->entries + place + 1, (chunk->count - place) * sizeof chunk->entries[0]);
    if (chunk->count)
        return -lost;
    lost += (int64_t)chunk_bytes(chunk->cap);
    kp_free(chunk);
    s->chunk_count--;
    memmove(s->chunks + at, s->chunks + at + 1, (s->chunk_count - at) * sizeof(struct chunk *));
    if (s->chunk_count == 0) {
        kp_free(s->chunks);
        kp_free(s);
        *set = NULL;
        lost += (int64_t)sizeof *s;
    }
    return -lost;
}

int64_t kp_multiset_add(struct kp_multiset **set, enum kp_type_id type, const void *value, int64_t weight)
{
    int64_t gained = 0;
    if (weight == 0)
        return 0;
    if (!*set) {
        *set = kp_calloc(1, sizeof **set);
        insert_chunk(*set, 0, make_chunk(CHUNK_ENTRIES_MIN));
        gained = (int64_t)(sizeof **set + chunk_bytes(CHUNK_ENTRIES_MIN));
        return gained + insert(*set, type, value, weight);
    }
    uint32_t at = find_chunk(*set, type, value);
    bool equal;
    uint32_t place = lower_bound((*set)->chunks[at], type, value, &equal);
    if (!equal)
        return insert(*set, type, value, weight);
    struct kp_multiset_entry *entry = &(*set)->chunks[at]->entries[place];
    entry->weight += weight;
    return entry->weight ? 0 : remove_entry(set, type, at, place);
}

/* ---- reading ---- */

const struct kp_multiset_entry *kp_multiset_first(const struct kp_multiset *set)
{
    return set ? &set->chunks[0]->entries[0] : NULL;
}

const struct kp_multiset_entry *kp_multiset_last(const struct kp_multiset *set, enum kp_type_id type)
{
    if (!set)
        return NULL;
    uint32_t at = set->chunk_count - 1, place = set->chunks[at]->count - 1;
    const struct kp_multiset_entry *last = &set->chunks[at]->entries[place];
    for (;;) { /* back to the first of its equals */
        if (place == 0) {
            if (at == 0)
                return last;
            at--;
            place = set->chunks[at]->count;
        }
        place--;
        const struct kp_multiset_entry *before = &set->chunks[at]->entries[place];
        if (kp_value_compare(type, before->value, last->value) != 0)
            return last;
        last = before;
    }
}

const struct kp_multiset_entry *kp_multiset_next(const struct kp_multiset *set, uint64_t *at)
{
    uint32_t chunk = (uint32_t)(*at >> 32), place = (uint32_t)*at;
    if (!set || chunk == set->chunk_count)
        return NULL;
    const struct kp_multiset_entry *entry = &set->chunks[chunk]->entries[place];
    if (++place == set->chunks[chunk]->count) {
        place = 0;
        chunk++;
    }
    *at = (uint64_t)chunk << 32 | place;
    return entry;
}

size_t kp_multiset_bytes(const struct kp_multiset *set, enum kp_type_id type)
{
    if (!set)
        return 0;
    size_t bytes = sizeof *set;
    for (uint32_t i = 0; i < set->chunk_count; i++) {
        bytes += chunk_bytes(set->chunks[i]->cap);
        for (uint32_t j = 0; j < set->chunks[i]->count; j++)
            bytes += kp_value_heap_bytes(type, set->chunks[i]->entries[j].value);
    }
    return bytes;
}

void kp_multiset_destroy(struct kp_multiset *set, enum kp_type_id type)
{
    if (!set)
        return;
    for (uint32_t i = 0; i < set->chunk_count; i++) {
        for (uint32_t j = 0; j < set->chunks[i]->count; j++)
            kp_value_free_heap(type, set->chunks[i]->entries[j].value);
        kp_free(set->chunks[i]);
    }
    kp_free(set->chunks);
    kp_free(set);
}
