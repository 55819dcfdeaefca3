#include "base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool (*allocation_hook)(size_t bytes);

void kp_mem_set_hook(bool (*hook)(size_t bytes))
{
    allocation_hook = hook;
}

void kp_mem_ask(size_t bytes)
{
    if (allocation_hook && !allocation_hook(bytes))
        kp_fatal("out of memory", __FILE__, __LINE__);
}

static void *checked(void *memory)
{
    if (!memory)
        kp_fatal("out of memory", __FILE__, __LINE__);
    return memory;
}

void *kp_alloc(size_t bytes)
{
    kp_mem_ask(bytes);
    return checked(malloc(bytes ? bytes : 1));
}

void *kp_calloc(size_t count, size_t bytes)
{
    kp_mem_ask(count * bytes);
    return checked(calloc(count ? count : 1, bytes ? bytes : 1));
}

void *kp_realloc(void *memory, size_t bytes)
{
    kp_mem_ask(bytes);
    return checked(realloc(memory, bytes ? bytes : 1));
}

void *kp_alloc_aligned(size_t alignment, size_t bytes)
{
    kp_mem_ask(bytes);
    return checked(aligned_alloc(alignment, (bytes + alignment - 1) & ~(alignment - 1)));
}

void kp_free(void *memory)
{
    free(memory);
}

void kp_mem_trim(void)
{
    (void)malloc_trim(0);
}

char *kp_strdup(const char *text)
{
    return kp_strndup(text, strlen(text));
}

char *kp_strndup(const char *text, size_t length)
{
    char *copy = kp_alloc(length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

struct kp_arena_chunk {
    struct kp_arena_chunk *older;
    size_t bytes; /* of the data behind this header */
};

enum { CHUNK_BYTES_MIN = 4096, CHUNK_BYTES_MAX = 1 << 20 };

enum {
    SPARE_TRIES = 4,
    CHARGE_BYTES = 4 << 20,    /* to a budget at a time: small steps never touch it */
    VALUE_BYTES_MAX = 1 << 30, /* a value's length fits 32 bits; PostgreSQL's limit */
};

static void charge(struct kp_arena *arena)
{
    size_t more = arena->bytes - arena->charged_bytes;
    if (more < CHARGE_BYTES)
        return;
    if (kp_budget_charge(arena->budget, (int64_t)more, NULL) == KP_OK)
        arena->charged_bytes = arena->bytes;
    else
        arena->overspent = true;
}

/* What is charged for more than the arena has: all of it, if it has nothing. */
static void uncharge(struct kp_arena *arena)
{
    if (arena->charged_bytes <= arena->bytes)
        return;
    kp_budget_release(arena->budget, (int64_t)(arena->charged_bytes - arena->bytes));
    arena->charged_bytes = arena->bytes;
}

void kp_arena_limit(struct kp_arena *arena, struct kp_budget *budget, const _Atomic bool *stop)
{
    KP_ASSERT(!arena->budget || arena->budget == budget);
    arena->budget = budget;
    arena->stop = stop;
    if (budget)
        charge(arena);
}

bool kp_arena_may_slow(struct kp_arena *arena, size_t bytes)
{
    if (!arena->overspent && bytes < VALUE_BYTES_MAX) {
        if (!arena->budget)
            return true;
        int64_t uncharged = (int64_t)(arena->bytes - arena->charged_bytes);
        if ((int64_t)bytes <= kp_budget_left(arena->budget) - uncharged)
            return true;
    }
    arena->overspent = true;
    return false;
}

enum kp_code kp_arena_check(struct kp_arena *arena, struct kp_error *err)
{
    if (kp_arena_stopped(arena))
        return kp_fail(err, KP_CANCELLED, NULL, "what was being computed is not wanted any more");
    if (!arena->overspent)
        return KP_OK;
    arena->overspent = false;
    const struct kp_budget *at = arena->budget;
    while (at && at->limit_bytes == 0)
        at = at->parent;
    if (!at)
        return kp_fail(err, KP_BUDGET, NULL, "a value is longer than a gibibyte");
    return kp_fail(err, KP_BUDGET, NULL,
                   "memory budget \"%s\" is spent: its rows need more than is left, %lld bytes used, limit %lld",
                   at->name, (long long)atomic_load_explicit(&at->used_bytes, memory_order_relaxed),
                   (long long)at->limit_bytes);
}

/* A spare chunk of at least this size (header included), looked for among the first few. */
static struct kp_arena_chunk *take_spare(struct kp_arena *arena, size_t size)
{
    struct kp_arena_chunk **at = &arena->spare;
    for (int i = 0; i < SPARE_TRIES && *at; i++, at = &(*at)->older)
        if ((*at)->bytes + sizeof **at >= size) {
            struct kp_arena_chunk *chunk = *at;
            *at = chunk->older;
            return chunk;
        }
    return NULL;
}

void *kp_arena_alloc_slow(struct kp_arena *arena, size_t bytes, size_t alignment)
{
    size_t need = bytes + alignment + sizeof(struct kp_arena_chunk);
    KP_ASSERT(need > bytes);
    size_t size = arena->bytes < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : arena->bytes;
    size = KP_MIN(size, (size_t)CHUNK_BYTES_MAX);
    size = KP_MAX(size, need);
    struct kp_arena_chunk *chunk = arena->spare ? take_spare(arena, need) : NULL;
    if (!chunk) {
        chunk = kp_alloc(size);
        chunk->bytes = size - sizeof *chunk;
    }
    chunk->older = arena->chunk;
    arena->chunk = chunk;
    arena->bytes += chunk->bytes + sizeof *chunk;
    if (arena->budget)
        charge(arena);
    uintptr_t at = ((uintptr_t)(chunk + 1) + alignment - 1) & ~(alignment - 1);
    arena->next = (uint8_t *)(at + bytes);
    arena->end = (uint8_t *)(chunk + 1) + chunk->bytes;
    return (void *)at;
}

static void free_chunks(struct kp_arena_chunk *chunk)
{
    for (struct kp_arena_chunk *older; chunk; chunk = older) {
        older = chunk->older;
        free(chunk);
    }
}

void kp_arena_finish(struct kp_arena *arena)
{
    free_chunks(arena->chunk);
    free_chunks(arena->spare);
    arena->bytes = 0;
    uncharge(arena);
    memset(arena, 0, sizeof *arena);
}

void kp_arena_rewind(struct kp_arena *arena, const struct kp_arena_mark *mark)
{
    while (arena->chunk != mark->chunk) {
        struct kp_arena_chunk *chunk = arena->chunk;
        arena->chunk = chunk->older;
        arena->bytes -= chunk->bytes + sizeof *chunk;
        free(chunk);
    }
    arena->next = mark->next;
    arena->end = mark->chunk ? (uint8_t *)(mark->chunk + 1) + mark->chunk->bytes : NULL;
    arena->overspent = false;
    uncharge(arena);
}

void kp_arena_recycle(struct kp_arena *arena, size_t keep_bytes)
{
    struct kp_arena_chunk *kept = NULL, **end = &kept, *lists[2] = {arena->chunk, arena->spare};
    size_t bytes = 0;
    for (int l = 0; l < 2; l++)
        for (struct kp_arena_chunk *chunk = lists[l], *older; chunk; chunk = older) {
            older = chunk->older;
            if (bytes + chunk->bytes > keep_bytes) {
                free(chunk);
                continue;
            }
            bytes += chunk->bytes;
            *end = chunk; /* newest and so largest first */
            end = &chunk->older;
        }
    *end = NULL;
    arena->bytes = 0;
    uncharge(arena);
    *arena = (struct kp_arena){.spare = kept, .budget = arena->budget, .stop = arena->stop, .also = arena->also};
}

void kp_arena_reset(struct kp_arena *arena)
{
    struct kp_arena_chunk *kept = arena->chunk;
    if (!kept)
        return;
    struct kp_budget *budget = arena->budget;
    const _Atomic bool *stop = arena->stop, *also = arena->also;
    arena->chunk = kept->older;
    kp_arena_finish(arena);
    kept->older = NULL;
    arena->budget = budget;
    arena->stop = stop;
    arena->also = also;
    arena->chunk = kept;
    arena->bytes = kept->bytes + sizeof *kept;
    arena->next = (uint8_t *)(kept + 1);
    arena->end = arena->next + kept->bytes;
}

void *kp_arena_calloc(struct kp_arena *arena, size_t bytes)
{
    return memset(kp_arena_alloc(arena, bytes), 0, bytes);
}

char *kp_arena_strdup(struct kp_arena *arena, const char *text)
{
    return kp_arena_strndup(arena, text, strlen(text));
}

char *kp_arena_strndup(struct kp_arena *arena, const char *text, size_t length)
{
    char *copy = kp_arena_alloc(arena, length + 1);
    if (length)
        memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *kp_arena_printf(struct kp_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    KP_ASSERT(length >= 0);
    char *text = kp_arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void kp_budget_init(struct kp_budget *budget, const char *name, int64_t limit_bytes, struct kp_budget *parent)
{
    budget->name = name;
    budget->limit_bytes = limit_bytes;
    atomic_init(&budget->used_bytes, 0);
    budget->parent = parent;
}

enum kp_code kp_budget_charge(struct kp_budget *budget, int64_t bytes, struct kp_error *err)
{
    for (struct kp_budget *at = budget; at; at = at->parent) {
        int64_t used = atomic_fetch_add_explicit(&at->used_bytes, bytes, memory_order_relaxed) + bytes;
        if (bytes > 0 && at->limit_bytes > 0 && used > at->limit_bytes) {
            for (struct kp_budget *undo = budget;; undo = undo->parent) {
                atomic_fetch_sub_explicit(&undo->used_bytes, bytes, memory_order_relaxed);
                if (undo == at)
                    break;
            }
            return kp_fail(err, KP_BUDGET, NULL,
                           "memory budget \"%s\" is spent: %lld bytes used, %lld more asked, limit %lld", at->name,
                           (long long)(used - bytes), (long long)bytes, (long long)at->limit_bytes);
        }
    }
    return KP_OK;
}

int64_t kp_budget_left(const struct kp_budget *budget)
{
    int64_t left = INT64_MAX;
    for (const struct kp_budget *at = budget; at; at = at->parent)
        if (at->limit_bytes > 0) {
            int64_t here = at->limit_bytes - atomic_load_explicit(&at->used_bytes, memory_order_relaxed);
            left = KP_MIN(left, here);
        }
    return left;
}

void kp_budget_release(struct kp_budget *budget, int64_t bytes)
{
    for (struct kp_budget *at = budget; at; at = at->parent)
        atomic_fetch_sub_explicit(&at->used_bytes, bytes, memory_order_relaxed);
}
