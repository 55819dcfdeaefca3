/*
 * string_agg(value, delimiter): the values that are not NULL, each but the first behind its own delimiter, in the order
 * of ORDER BY, else in their own (collation C), so that the answer does not depend on how rows came.
 */
#include "vec/agg_rows.h"

static void update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                   const int64_t *weights, uint32_t rows)
{
    uint32_t values = call->arg_count - call->order_count;
    for (uint32_t i = 0; i < rows; i++)
        if (!kp_vec_is_null(args[0], i))
            kp_agg_rows_add(call, states[i], args, i, values, values, weights ? weights[i] : 1);
}

/* Joins into buf until it is too long. */
static void join(struct kp_agg_call *call, const struct agg_rows *rows, struct kp_buf *buf)
{
    struct agg_rows_cursor cursor = {0};
    bool first = true;
    while (buf->len <= KP_RECORD_BYTES_MAX && kp_agg_rows_next(rows, &cursor)) {
        struct kp_text value, delimiter;
        kp_agg_rows_value(&cursor, KP_TEXT, call->call.arena, &value);
        bool parted = kp_agg_rows_value(&cursor, KP_TEXT, call->call.arena, &delimiter);
        for (int64_t n = 0; n < cursor.weight && buf->len <= KP_RECORD_BYTES_MAX; n++) {
            if (!first && parted)
                kp_buf_append_str(buf, kp_text_str(&delimiter));
            first = false;
            kp_buf_append_str(buf, kp_text_str(&value));
        }
    }
}

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        const struct agg_rows *all = states[i];
        buf.len = 0;
        to[i] = kp_text_make(NULL, 0);
        if (!all->rows) {
            agg_set_null(call, rows, out, i);
            continue;
        }
        join(call, all, &buf);
        if (buf.len > KP_RECORD_BYTES_MAX)
            kp_call_fail(&call->call, i, "54000", "string_agg result exceeds %d bytes", KP_RECORD_BYTES_MAX);
        else if (kp_arena_may(call->call.arena, buf.len))
            to[i] = kp_text_make(kp_arena_strndup(call->call.arena, (const char *)buf.data, buf.len), buf.len);
    }
    kp_buf_finish(&buf);
}

static const struct kp_agg_impl impl = {sizeof(struct agg_rows), update, kp_agg_rows_merge_all, finalize,
                                        kp_agg_rows_destroy};

static const struct kp_agg aggs[] = {
    {"string_agg", 2, {KP_TEXT, KP_TEXT}, KP_TEXT, KP_AGG_ORDERED, &impl, &impl, "values joined"},
    {"string_agg", 2, {KP_BYTEA, KP_BYTEA}, KP_BYTEA, KP_AGG_ORDERED, &impl, &impl, "values joined"},
};
KP_AGGREGATES(string, aggs);
