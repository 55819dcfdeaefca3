/* Rows by their sort keys, and the place of one that is not among them; agg_hypothetical.h tells the state. */
#include "vec/agg_hypothetical.h"

/* The sort key of row i's `count` values from args on. */
static void append_key(const struct kp_agg_call *call, struct kp_buf *key, const struct kp_vec *const *args, uint32_t i,
                       uint32_t count)
{
    for (uint32_t k = 0; k < count; k++)
        kp_sort_key_append(key, args[k]->type.id, kp_vec_at(args[k], i), kp_vec_is_null(args[k], i),
                           call->orders[k].descending, call->orders[k].nulls_first);
}

void kp_agg_hypothetical_update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                                const int64_t *weights, uint32_t rows)
{
    uint32_t count = call->arg_count / 2;
    struct kp_buf key = {0};
    int64_t gained = 0;
    for (uint32_t i = 0; i < rows; i++) {
        struct agg_hypothetical *state = states[i];
        if (!state->asked_known) {
            key.len = 0;
            append_key(call, &key, args, i, count);
            struct kp_text asked = kp_text_make((const char *)key.data, key.len);
            gained += (int64_t)kp_value_copy_heap(KP_BYTEA, &asked, state->asked);
            state->asked_known = 1;
        }
        key.len = 0;
        append_key(call, &key, args + count, i, count);
        struct kp_text row = kp_text_make((const char *)key.data, key.len);
        gained += kp_multiset_add(&state->rows, KP_BYTEA, &row, weights ? weights[i] : 1);
    }
    kp_buf_finish(&key);
    agg_account(call, gained);
}

void kp_agg_hypothetical_destroy(struct kp_agg_call *call, void *of)
{
    struct agg_hypothetical *state = of;
    kp_agg_multiset_finish(call, KP_BYTEA, &state->rows);
    if (state->asked_known) {
        agg_account(call, -(int64_t)kp_value_heap_bytes(KP_BYTEA, state->asked));
        kp_value_free_heap(KP_BYTEA, state->asked);
    }
    memset(state, 0, sizeof *state);
}

void kp_agg_hypothetical_merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        struct agg_hypothetical *to = into[i], *source = from[i];
        kp_agg_multiset_merge(call, KP_BYTEA, &to->rows, &source->rows);
        if (!to->asked_known && source->asked_known) {
            memcpy(to->asked, source->asked, sizeof to->asked);
            to->asked_known = 1;
            source->asked_known = 0;
        }
        kp_agg_hypothetical_destroy(call, source);
    }
}

struct agg_standing kp_agg_hypothetical_find(const struct agg_hypothetical *state)
{
    struct agg_standing standing = {0};
    uint64_t at = 0;
    const struct kp_multiset_entry *entry;
    while ((entry = kp_multiset_next(state->rows, &at))) {
        int order = kp_value_compare(KP_BYTEA, entry->value, state->asked);
        standing.count += entry->weight;
        standing.before += order < 0 ? entry->weight : 0;
        standing.different += order < 0;
        standing.peers += order == 0 ? entry->weight : 0;
    }
    return standing;
}
