/*
 * string_agg(text, delimiter): all values, in their order (collation C), joined by the delimiter. PostgreSQL without an
 * ORDER BY inside joins in any order; this one does not depend on how rows came, and values can be taken back.
 *
 * The delimiter is meant to be one for the group: the first that the state sees.
 */
#include "vec/agg_exact.h"
#include "vec/multiset.h"

struct joined {
    uint64_t has_delimiter;
    struct kp_text delimiter; /* on the heap when long */
    struct kp_multiset *values;
};

static void update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                   const int64_t *weights, uint32_t rows)
{
    int64_t gained = 0;
    for (uint32_t i = 0; i < rows; i++) {
        struct joined *joined = states[i];
        if (!joined->has_delimiter) {
            gained += (int64_t)kp_value_copy_heap(KP_TEXT, kp_vec_at(args[1], i), (uint8_t *)&joined->delimiter);
            joined->has_delimiter = 1;
        }
        gained += kp_multiset_add(&joined->values, KP_TEXT, kp_vec_at(args[0], i), weights ? weights[i] : 1);
    }
    agg_account(call, gained);
}

static void destroy(struct kp_agg_call *call, void *state)
{
    struct joined *joined = state;
    int64_t bytes = (int64_t)kp_multiset_bytes(joined->values, KP_TEXT);
    if (joined->has_delimiter) {
        bytes += (int64_t)kp_value_heap_bytes(KP_TEXT, (const uint8_t *)&joined->delimiter);
        kp_value_free_heap(KP_TEXT, (const uint8_t *)&joined->delimiter);
    }
    kp_multiset_destroy(joined->values, KP_TEXT);
    memset(joined, 0, sizeof *joined);
    agg_account(call, -bytes);
}

static void merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    int64_t gained = 0;
    for (uint32_t i = 0; i < rows; i++) {
        struct joined *to = into[i], *source = from[i];
        if (!to->has_delimiter && source->has_delimiter) {
            gained += (int64_t)kp_value_copy_heap(KP_TEXT, &source->delimiter, (uint8_t *)&to->delimiter);
            to->has_delimiter = 1;
        }
        uint64_t at = 0;
        const struct kp_multiset_entry *entry;
        while ((entry = kp_multiset_next(source->values, &at)))
            gained += kp_multiset_add(&to->values, KP_TEXT, entry->value, entry->weight);
        destroy(call, source);
    }
    agg_account(call, gained);
}

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        const struct joined *joined = states[i];
        uint64_t at = 0;
        const struct kp_multiset_entry *entry;
        bool any = false;
        buf.len = 0;
        to[i] = kp_text_make(NULL, 0);
        while ((entry = kp_multiset_next(joined->values, &at)) && buf.len <= KP_RECORD_BYTES_MAX)
            for (int64_t n = 0; n < entry->weight && buf.len <= KP_RECORD_BYTES_MAX; n++) {
                struct kp_text value;
                memcpy(&value, entry->value, sizeof value);
                if (any)
                    kp_buf_append_str(&buf, kp_text_str(&joined->delimiter));
                kp_buf_append_str(&buf, kp_text_str(&value));
                any = true;
            }
        if (!any) {
            kp_vec_need_valid(out, call->call.arena, rows);
            kp_vec_set_null(out, i);
        } else if (buf.len > KP_RECORD_BYTES_MAX) {
            kp_call_fail(&call->call, i, "54000", "string_agg result exceeds %d bytes", KP_RECORD_BYTES_MAX);
        } else {
            to[i] = kp_text_make(kp_arena_strndup(call->call.arena, (const char *)buf.data, buf.len), buf.len);
        }
    }
    kp_buf_finish(&buf);
}

static const struct kp_agg_impl impl = {sizeof(struct joined), update, merge, finalize, destroy};

static const struct kp_agg aggs[] = {
    {"string_agg", 2, {KP_TEXT, KP_TEXT}, KP_TEXT, true, &impl, &impl, "values in order, joined"},
};
KP_AGGREGATES(string, aggs);
