/*
 * Memory: the heap, arenas, budgets.
 *
 * kp_alloc and its like never return NULL: running out of memory is fatal (kp_fatal), because budgets are what
 * keeps us away from it. Arenas hold what lives as long as a step, a query or a session: allocate many, free once.
 * A budget counts bytes under a name and a limit; big or unbounded consumers charge it and get KP_BUDGET past it. An
 * arena may be given a budget: it charges what it takes, and who makes very much of very little asks it before.
 */
#ifndef KP_BASE_MEM_H
#define KP_BASE_MEM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

void *kp_alloc(size_t bytes) __attribute__((malloc, alloc_size(1)));                   /* not cleared */
void *kp_calloc(size_t count, size_t bytes) __attribute__((malloc, alloc_size(1, 2))); /* cleared; overflow is fatal */
void *kp_realloc(void *memory, size_t bytes) __attribute__((alloc_size(2)));
void *kp_alloc_aligned(size_t alignment, size_t bytes) __attribute__((malloc, alloc_size(2)));
void kp_free(void *memory); /* NULL is fine */
/* Gives memory that was freed back to the system: after work that needed much for a while. Takes some milliseconds. */
void kp_mem_trim(void);
char *kp_strdup(const char *text);
char *kp_strndup(const char *text, size_t length);

/* For tests: asked before each allocation; what it refuses is fatal as if there were no memory. NULL: nothing is. */
void kp_mem_set_hook(bool (*hook)(size_t bytes));
void kp_mem_ask(size_t bytes); /* for other allocators (os/pages.c) */

/* A bump allocator over chunks. Zero-initialized is valid. Not thread safe. */
struct kp_arena {
    struct kp_arena_chunk *chunk; /* newest; older ones behind it */
    uint8_t *next, *end;
    size_t bytes;                 /* of all chunks */
    struct kp_arena_chunk *spare; /* kept by kp_arena_recycle for later use; not counted in bytes */
    struct kp_budget *budget;     /* charged for the bytes, some MiB at a time; NULL: nobody counts */
    size_t charged_bytes;
    const _Atomic bool *stop; /* true: whoever works for this arena's owner is to stop; NULL: never */
    const _Atomic bool *also; /* likewise: of who works with it at present */
    bool overspent;           /* the budget did not give what was taken, or kp_arena_may refused: kp_arena_check */
};

void kp_arena_finish(struct kp_arena *arena); /* frees everything; the arena is empty and usable again, unlimited */
void kp_arena_reset(struct kp_arena *arena);  /* like finish, but keeps one chunk for reuse */
/* Empties it, but keeps chunks of at most keep_bytes in all for reuse: for arenas that live in rounds of like size. */
void kp_arena_recycle(struct kp_arena *arena, size_t keep_bytes);
void *kp_arena_alloc_slow(struct kp_arena *arena, size_t bytes, size_t alignment);
void *kp_arena_calloc(struct kp_arena *arena, size_t bytes); /* cleared, aligned to 16 */
/*
 * From now on the budget, which outlives the arena's bytes, is charged for them, and `stop` says when nobody waits for
 * them any more; a recycled or reset arena keeps both. Either may be NULL. Allocating never fails: who uses the arena
 * looks at kp_arena_check between pieces of work.
 */
void kp_arena_limit(struct kp_arena *arena, struct kp_budget *budget, const _Atomic bool *stop);
/* Whether one of its flags is set. */
static inline bool kp_arena_stopped(const struct kp_arena *arena)
{
    return (arena->stop && atomic_load_explicit(arena->stop, memory_order_relaxed)) ||
           (arena->also && atomic_load_explicit(arena->also, memory_order_relaxed));
}
/* KP_BUDGET if what was asked for since the last call is more than the budget has, KP_CANCELLED if it is stopped. */
KP_MUST enum kp_code kp_arena_check(struct kp_arena *arena, struct kp_error *err);
/*
 * Whether what is being made is made in vain: the next kp_arena_check fails. Asked now and then by loops that may take
 * long without allocating anything; they leave with whatever is valid.
 */
static inline bool kp_arena_vain(const struct kp_arena *arena)
{
    return arena->overspent || kp_arena_stopped(arena);
}
bool kp_arena_may_slow(struct kp_arena *arena, size_t bytes);
/* All that was allocated after a mark is freed and given back to the budget. */
struct kp_arena_mark {
    struct kp_arena_chunk *chunk;
    uint8_t *next;
};
static inline struct kp_arena_mark kp_arena_mark(const struct kp_arena *arena)
{
    return (struct kp_arena_mark){arena->chunk, arena->next};
}
void kp_arena_rewind(struct kp_arena *arena, const struct kp_arena_mark *mark);
char *kp_arena_strdup(struct kp_arena *arena, const char *text);
char *kp_arena_strndup(struct kp_arena *arena, const char *text, size_t length);
char *kp_arena_printf(struct kp_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Not cleared, aligned to 16 bytes. bytes 0 gives a valid pointer. */
static inline void *kp_arena_alloc(struct kp_arena *arena, size_t bytes)
{
    uintptr_t at = ((uintptr_t)arena->next + 15) & ~(uintptr_t)15;
    if (arena->next && at + bytes <= (uintptr_t)arena->end) {
        arena->next = (uint8_t *)(at + bytes);
        return (void *)at;
    }
    return kp_arena_alloc_slow(arena, bytes, 16);
}

/*
 * Whether so many bytes more are within the budget. Asked, before it allocates, by what can make very much of very
 * little: one batch of long texts is more than any machine has. If not, it makes something short instead, whatever is
 * valid: nobody will see it, because the next kp_arena_check fails.
 */
static inline bool kp_arena_may(struct kp_arena *arena, size_t bytes)
{
    if (!arena->overspent && bytes <= (size_t)(arena->end - arena->next))
        return true;
    return kp_arena_may_slow(arena, bytes);
}

/* A named limit on bytes. Thread safe. limit_bytes 0: unlimited, only counted. */
struct kp_budget {
    const char *name;
    int64_t limit_bytes;
    _Atomic int64_t used_bytes;
    struct kp_budget *parent; /* charged too; NULL at the top */
};

void kp_budget_init(struct kp_budget *budget, const char *name, int64_t limit_bytes, struct kp_budget *parent);
/* Charges bytes (may be negative, then it cannot fail). KP_BUDGET names the budget, what is used and the limit. */
KP_MUST enum kp_code kp_budget_charge(struct kp_budget *budget, int64_t bytes, struct kp_error *err);
void kp_budget_release(struct kp_budget *budget, int64_t bytes);
/* Bytes that can be charged now; INT64_MAX: any number. NULL has no limit. */
int64_t kp_budget_left(const struct kp_budget *budget);

#define KP_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KP_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define KP_MAX(a, b)    ((a) > (b) ? (a) : (b))

#endif
