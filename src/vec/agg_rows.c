/* Rows of a group in order; the format of an entry is in agg_rows.h. */
#include "vec/agg_rows.h"

#include <stddef.h>

static bool is_bytes(enum kp_type_id type)
{
    return kp_type_info(type)->string || type == KP_NUMERIC;
}

static void append_value(struct kp_buf *entry, const struct kp_vec *vec, uint32_t i)
{
    bool null = kp_vec_is_null(vec, i);
    kp_buf_append_byte(entry, null);
    if (null)
        return;
    const void *value = kp_vec_at(vec, i);
    if (kp_type_info(vec->type.id)->string) {
        struct kp_str text = kp_text_str(value);
        uint32_t len = (uint32_t)text.len;
        kp_buf_append(entry, &len, sizeof len);
        kp_buf_append_str(entry, text);
    } else if (vec->type.id == KP_NUMERIC) {
        struct kp_numeric numeric;
        memcpy(&numeric, value, sizeof numeric);
        uint32_t extra = (uint32_t)kp_numeric_extra_bytes(&numeric), len = (uint32_t)sizeof numeric + extra;
        const void *big = extra ? numeric.big : NULL;
        if (extra)
            numeric.coef = 0;
        kp_buf_append(entry, &len, sizeof len);
        kp_buf_append(entry, &numeric, sizeof numeric);
        kp_buf_append(entry, big, extra);
    } else {
        kp_buf_append(entry, value, kp_vec_width(vec));
    }
}

static void append_own_key(struct kp_buf *entry, const struct kp_vec *vec, uint32_t i)
{
    bool null = kp_vec_is_null(vec, i);
    const void *value = kp_vec_at(vec, i);
    kp_sort_key_append(entry, vec->type.id, value, null, false, false);
    if (!null && kp_type_has_faces(vec->type.id)) {
        kp_value_print(vec->type, value, NULL, entry);
        kp_buf_append_byte(entry, 0);
    }
}

void kp_agg_rows_add(struct kp_agg_call *call, struct agg_rows *rows, const struct kp_vec *const *args, uint32_t i,
                     uint32_t value_count, uint32_t key_from, int64_t weight)
{
    struct kp_buf entry = {0};
    for (uint32_t k = key_from; k < call->arg_count; k++) {
        const struct kp_agg_order *order = &call->orders[k - key_from];
        kp_sort_key_append(&entry, args[k]->type.id, kp_vec_at(args[k], i), kp_vec_is_null(args[k], i),
                           order->descending, order->nulls_first);
    }
    for (uint32_t v = 0; v < value_count; v++)
        append_own_key(&entry, args[v], i);
    uint32_t values_at = (uint32_t)entry.len;
    for (uint32_t v = 0; v < value_count; v++)
        append_value(&entry, args[v], i);
    kp_buf_append(&entry, &values_at, sizeof values_at);
    struct kp_text text = kp_text_make((const char *)entry.data, entry.len);
    agg_account(call, kp_multiset_add(&rows->rows, KP_BYTEA, &text, weight));
    kp_buf_finish(&entry);
}

void kp_agg_rows_merge(struct kp_agg_call *call, struct agg_rows *into, struct agg_rows *from)
{
    kp_agg_multiset_merge(call, KP_BYTEA, &into->rows, &from->rows);
}

void kp_agg_rows_finish(struct kp_agg_call *call, struct agg_rows *rows)
{
    kp_agg_multiset_finish(call, KP_BYTEA, &rows->rows);
}

static bool stand_at(const struct kp_multiset_entry *entry, struct agg_rows_cursor *cursor)
{
    if (!entry)
        return false;
    struct kp_text text;
    memcpy(&text, entry->value, sizeof text);
    /* an inline text's bytes are those of the entry */
    const uint8_t *bytes =
        text.len <= KP_TEXT_INLINE_BYTES ? entry->value + offsetof(struct kp_text, prefix) : (const uint8_t *)text.ptr;
    uint32_t values_at;
    memcpy(&values_at, bytes + text.len - sizeof values_at, sizeof values_at);
    cursor->values = bytes + values_at;
    cursor->weight = entry->weight;
    return true;
}

bool kp_agg_rows_next(const struct agg_rows *rows, struct agg_rows_cursor *cursor)
{
    return stand_at(kp_multiset_next(rows->rows, &cursor->at), cursor);
}

bool kp_agg_rows_last(const struct agg_rows *rows, struct agg_rows_cursor *ret_cursor)
{
    return stand_at(kp_multiset_last(rows->rows, KP_BYTEA), ret_cursor);
}

bool kp_agg_rows_value(struct agg_rows_cursor *cursor, enum kp_type_id type, struct kp_arena *arena, void *ret_value)
{
    if (*cursor->values++)
        return false;
    if (!is_bytes(type)) {
        memcpy(ret_value, cursor->values, kp_type_info(type)->bytes);
        cursor->values += kp_type_info(type)->bytes;
        return true;
    }
    uint32_t len;
    memcpy(&len, cursor->values, sizeof len);
    const uint8_t *bytes = cursor->values + sizeof len;
    cursor->values = bytes + len;
    if (type != KP_NUMERIC) {
        struct kp_text text = kp_text_make((const char *)bytes, len);
        memcpy(ret_value, &text, sizeof text);
        return true;
    }
    struct kp_numeric numeric;
    memcpy(&numeric, bytes, sizeof numeric);
    if (numeric.kind == KP_NUMERIC_BIG) {
        void *big = kp_arena_alloc(arena, len - sizeof numeric);
        memcpy(big, bytes + sizeof numeric, len - sizeof numeric);
        numeric.big = big;
    }
    memcpy(ret_value, &numeric, sizeof numeric);
    return true;
}

/* ---- the common forms ---- */

void kp_agg_rows_update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                        const int64_t *weights, uint32_t rows)
{
    uint32_t values = call->arg_count - call->order_count;
    for (uint32_t i = 0; i < rows; i++)
        kp_agg_rows_add(call, states[i], args, i, values, values, weights ? weights[i] : 1);
}

void kp_agg_rows_merge_all(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++)
        kp_agg_rows_merge(call, into[i], from[i]);
}

void kp_agg_rows_destroy(struct kp_agg_call *call, void *state)
{
    kp_agg_rows_finish(call, state);
}
