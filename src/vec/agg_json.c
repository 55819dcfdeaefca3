/*
 * json_agg, jsonb_agg: an array of all values, NULLs too. json_object_agg, jsonb_object_agg: an object of keys and
 * values; of equal keys jsonb keeps the last. The order is that of ORDER BY, then of the rows.
 */
#include "vec/agg_rows.h"
#include "vec/json_make.h"

static void finalize_one(struct kp_agg_call *call, const struct agg_rows *rows, bool object, uint32_t row,
                         struct kp_buf *buf)
{
    struct agg_rows_cursor cursor = {0};
    const struct kp_zone *zone = call->call.settings ? call->call.settings->zone : NULL;
    struct kp_arena *arena = call->call.arena;
    enum kp_type_id type = call->arg_types[object].id;
    bool first = true, structured = kp_type_is_array(type) || kp_type_is_composite(type);
    kp_buf_append_text(buf, object ? "{ " : "[");
    while (buf->len <= KP_RECORD_BYTES_MAX && kp_agg_rows_next(rows, &cursor)) {
        uint64_t key[2], value[2];
        bool has_key = object && kp_agg_rows_value(&cursor, call->arg_types[0].id, arena, key);
        bool is = kp_agg_rows_value(&cursor, call->arg_types[object].id, arena, value);
        if (object && !has_key) {
            kp_call_fail(&call->call, row, "22023", "field name must not be null");
            return;
        }
        for (int64_t n = 0; n < cursor.weight && buf->len <= KP_RECORD_BYTES_MAX; n++) {
            kp_buf_append_text(buf, first ? "" : ", ");
            if (!object && is && !first && structured)
                kp_buf_append_text(buf, "\n ");
            first = false;
            if (object && !kp_json_append_key(call->arg_types[0], key, zone, buf)) {
                kp_call_fail(&call->call, row, "22023", "key value must be scalar, not array, composite, or json");
                return;
            }
            if (object)
                kp_buf_append_text(buf, " : ");
            if (is)
                kp_json_append(call->arg_types[object], value, zone, buf);
            else
                kp_buf_append_text(buf, "null");
        }
    }
    kp_buf_append_text(buf, object ? " }" : "]");
}

static void finalize_all(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out, bool object)
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
        uint32_t errors = call->call.error_count;
        finalize_one(call, all, object, i, &buf);
        struct kp_error err;
        if (call->call.error_count > errors)
            continue;
        if (buf.len > KP_RECORD_BYTES_MAX)
            kp_call_fail(&call->call, i, "54000", "aggregate result exceeds %d bytes", KP_RECORD_BYTES_MAX);
        else if (kp_json_take(call->call.type.id, &buf, call->call.arena, &to[i], &err) != KP_OK)
            kp_call_fail(&call->call, i, err.sqlstate, "%s", err.message);
    }
    kp_buf_finish(&buf);
}

static void finalize_array(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize_all(call, states, rows, out, false);
}
static void finalize_object(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize_all(call, states, rows, out, true);
}

static const struct kp_agg_impl impl_array = {sizeof(struct agg_rows), kp_agg_rows_update, kp_agg_rows_merge_all,
                                              finalize_array, kp_agg_rows_destroy};
static const struct kp_agg_impl impl_object = {sizeof(struct agg_rows), kp_agg_rows_update, kp_agg_rows_merge_all,
                                               finalize_object, kp_agg_rows_destroy};

#define AGG(name, count, ret, impl, doc)                                                                               \
    {                                                                                                                  \
        name, count, {KP_ANY, KP_ANY}, ret, KP_AGG_ORDERED, &impl, &impl, doc                                          \
    }
static const struct kp_agg aggs[] = {
    AGG("json_agg", 1, KP_JSON, impl_array, "an array of all values"),
    AGG("jsonb_agg", 1, KP_JSONB, impl_array, "an array of all values"),
    AGG("json_object_agg", 2, KP_JSON, impl_object, "an object of keys and values"),
    AGG("jsonb_object_agg", 2, KP_JSONB, impl_object, "an object of keys and values"),
};
KP_AGGREGATES(json, aggs);
