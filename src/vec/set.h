/*
 * Set-returning functions (unnest, generate_series, jsonb_each …): one input row makes any number of rows. sql/ finds
 * them by name and types, flow/'s operator runs them.
 *
 * A family is a file src/vec/set_<family>.c with one KP_SET_FUNCTIONS table. A function yields the rows of one input
 * row at a time, from a given item on, until it is done or the set is full; kp_set_expand drives it over a batch, in
 * rounds of at most KP_BATCH_ROWS_MAX rows, so that generate_series(1, 1000000000) needs no memory for all of them:
 *
 *     struct kp_set_cursor cursor = {0};
 *     while (kp_set_expand(func, &call, args, types, &cursor, &set))
 *         … set.rows rows: set.sources[i] is the row of the input, set.ordinals[i] its number there from 1, set.cols
 *
 * A NULL argument makes no rows (all of them are strict, but for those that take a NULL as a value: their flags lack
 * KP_STRICT). A row that fails is noted in call.errors once and makes no rows at all.
 */
#ifndef KP_VEC_SET_H
#define KP_VEC_SET_H

#include "vec/func.h"

enum { KP_SET_COLUMNS_MAX = 8 };

/* Rows made so far in this round; in the call's arena. */
struct kp_set {
    struct kp_arena *arena;
    uint32_t rows, cap;
    uint32_t *sources;
    int64_t *ordinals;
    uint32_t col_count;
    struct kp_vec *cols;
    const char *const *names; /* of a function whose columns the query declares */
};

struct kp_set_cursor {
    uint32_t row;
    uint64_t item; /* of that row: done already */
};

struct kp_set_func {
    const char *name;
    unsigned flags; /* KP_STRICT, KP_CAN_FAIL, KP_STABLE, KP_VOLATILE, KP_PATTERN */
    uint8_t arg_count;
    enum kp_type_id args[KP_FUNCTION_ARGS_MAX];
    /* Columns; one: the function is a scalar one, its column has the function's name (or alias) unless it has one here.
     * KP_ANYELEMENT: that of the arguments. None: a record whose columns the query declares (jsonb_to_recordset). */
    uint8_t col_count;
    struct {
        enum kp_type_id type;
        const char *name; /* NULL: the function's */
    } cols[KP_SET_COLUMNS_MAX];
    /* Adds the rows of input row `row` from item `from` on. True: that was all; false: the set is full. */
    bool (*expand)(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                   struct kp_set *set);
    const char *doc;
};

/* Adds a row whose columns are NULL yet; false: the set is full. */
bool kp_set_add(struct kp_set *set);
/* Gives a column of the last row its value; out of line parts live in the arena or an argument. NULL: stays NULL. */
void kp_set_put(struct kp_set *set, uint32_t col, const void *value);

/*
 * The next rows; false when there are none left (ret_set is not set then). call->rows is the input's; types are the
 * columns', polymorphic ones resolved, names those of a record that the query declares, else NULL.
 */
bool kp_set_expand(const struct kp_set_func *func, struct kp_call *call, const struct kp_vec *const *args,
                   const struct kp_type *types, const char *const *names, uint32_t col_count,
                   struct kp_set_cursor *cursor, struct kp_set *ret_set);

struct kp_set_family {
    const char *name;
    const struct kp_set_func *funcs;
    size_t count;
};

#define KP_SET_FUNCTIONS(family_name, table)                                                                           \
    static const struct kp_set_family kp_sets_##family_name = {#family_name, table, KP_COUNT(table)};                  \
    __attribute__((section("kp_set_entries"),                                                                          \
                   used)) static const struct kp_set_family *const kp_sets_##family_name##_entry =                     \
        &kp_sets_##family_name

/* All of a name; the array lives for ever. */
const struct kp_set_func *const *kp_set_find(struct kp_str name, size_t *ret_count);
const struct kp_set_func *const *kp_set_all(size_t *ret_count);

#endif
