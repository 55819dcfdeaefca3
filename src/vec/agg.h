/*
 * Aggregate functions: what sql/ looks up and flow/'s aggregate operator drives. One aggregate a file,
 * src/vec/agg_<name>.c, registered by being linked.
 *
 * A group's state is state_bytes of zeroed memory in the operator's table; all zero is the empty state. It may own heap
 * memory (freed by destroy) and charge the call's budget for it. update takes rows with their groups' states and
 * weights; a negative weight takes a value away, exactly. NULL arguments are filtered out before (KP_AGG_SKIP_NULLS),
 * rows that FILTER rejects too. Results must not depend on order of updates, cuts into steps, or merges.
 */
#ifndef KP_VEC_AGG_H
#define KP_VEC_AGG_H

#include "vec/func.h"

enum { KP_AGG_ARGS_MAX = KP_FUNCTION_ARGS_MAX + 1 }; /* what can be written, and what decides among equals */

/* How one ORDER BY key inside an aggregate sorts. */
struct kp_agg_order {
    bool descending, nulls_first;
};

/*
 * What ORDER BY means to an aggregate. Keys are arguments: of an ORDERED one the last order_count of the call's, behind
 * its own; of a WITHIN one, agg(direct…) WITHIN GROUP (ORDER BY keys…), its own last ones. Ties follow the values; the
 * last key of an ORDERED one is the row, where that is more than the values (sql/group.c), or its place.
 */
enum kp_agg_flags {
    KP_AGG_SKIP_NULLS = 1,  /* rows where one of its own arguments (not a key) is NULL do not count */
    KP_AGG_ORDERED = 2,     /* sees its values in the order of the keys; without keys in the values' own order */
    KP_AGG_WITHIN = 4,      /* WITHIN GROUP */
    KP_AGG_HYPOTHETICAL = 8 /* with WITHIN: as many direct arguments as keys, each of its key's type */
};                          /* neither ORDERED nor WITHIN: the order does not matter, keys are dropped */

struct kp_agg_call {
    struct kp_call call;      /* arena (step), settings, errors by row */
    struct kp_budget *budget; /* for memory that states own */
    struct kp_type arg_types[KP_AGG_ARGS_MAX];
    uint32_t arg_count; /* with the keys */
    uint32_t order_count;
    const struct kp_agg_order *orders;
};

struct kp_agg_impl {
    uint16_t state_bytes; /* multiple of 8 */
    /* weights NULL: all +1. args are dense (flattened) vectors of `rows` rows. */
    void (*update)(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                   const int64_t *weights, uint32_t rows);
    /* into[i] absorbs from[i], which becomes empty; for local pre-aggregation. NULL: cannot be merged. */
    void (*merge)(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows);
    /* out[i] = the value of states[i]; sets NULLs (kp_vec_need_valid) and errors (kp_call_fail). Strings must be copied
     * to the arena. */
    void (*finalize)(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out);
    void (*destroy)(struct kp_agg_call *call, void *state); /* NULL: owns nothing */
};

struct kp_agg {
    const char *name;
    uint8_t arg_count; /* count(*) has 0 */
    enum kp_type_id args[KP_FUNCTION_ARGS_MAX];
    enum kp_type_id ret; /* KP_ANYELEMENT: that of the argument */
    unsigned flags;
    const struct kp_agg_impl *growing;     /* weights are always positive: may forget */
    const struct kp_agg_impl *retractable; /* any weights; may be the same as growing */
    const char *doc;
};

struct kp_agg_family {
    const struct kp_agg *aggs;
    size_t count;
};

#define KP_AGGREGATES(family_name, table)                                                                              \
    static const struct kp_agg_family kp_aggs_##family_name = {table, KP_COUNT(table)};                                \
    __attribute__((section("kp_agg_entries"),                                                                          \
                   used)) static const struct kp_agg_family *const kp_aggs_##family_name##_entry =                     \
        &kp_aggs_##family_name

/* All aggregates of a name. The array lives for ever. */
const struct kp_agg *const *kp_agg_find(struct kp_str name, size_t *ret_count);
const struct kp_agg *const *kp_agg_all(size_t *ret_count);

#endif
