/*
 * Debezium's change events, as JSON:
 *
 *   {"before": {…} | null, "after": {…} | null, "op": "c" | "u" | "r" | "d", …}      also as {"schema": …, "payload":
 * …}
 *
 * The row is "after"; of a delete ("op" is "d", or "after" is null) it is "before", which names the row that goes; if
 * that is null too, the record's key does. A truncation ("t") takes all rows away: it is a deletion that names no key.
 * What a connector writes besides changes makes no row, where it comes into
 * the table's topic: logical messages ("op" is "m"), heartbeats ({"ts_ms": …}), the transactions' ({"status": "BEGIN",
 * "id": …}) and the schema's ({"ddl": …, "tableChanges": …}). What values look like: debezium_values.c.
 */
#include "decode/internal.h"
#include "vec/jsonb.h"

static const uint8_t *skip_space(const uint8_t *p, const uint8_t *end)
{
    return p < end ? kp_json_space_end(p, end) : end;
}

bool kp_json_member(struct kp_str object, struct kp_str name, struct kp_str *ret_value)
{
    const uint8_t *p = (const uint8_t *)object.ptr, *end = p + object.len, *bad;
    bool found = false;
    if (object.len < 2 || *p != '{')
        return false;
    for (p = skip_space(p + 1, end); p < end && *p == '"';) {
        const uint8_t *key = p, *key_end = kp_json_skip(p, end, KP_JSON_DEPTH_MAX, &bad);
        if (!key_end)
            return false;
        p = skip_space(key_end, end);
        if (p >= end || *p != ':')
            return false;
        p = skip_space(p + 1, end);
        const uint8_t *value = p, *value_end = kp_json_skip(p, end, KP_JSON_DEPTH_MAX, &bad);
        if (!value_end || value_end > end)
            return false;
        if ((size_t)(key_end - key) == name.len + 2 && memcmp(key + 1, name.ptr, name.len) == 0) {
            *ret_value = (struct kp_str){(const char *)value, (size_t)(value_end - value)};
            found = true;
        }
        p = skip_space(value_end, end);
        if (p < end && *p == ',')
            p = skip_space(p + 1, end);
    }
    return found;
}

static bool is_object(const struct kp_str *value)
{
    return value->ptr && value->ptr[0] == '{';
}

/* What a connector writes that is no change. */
static bool is_notice(struct kp_str envelope, struct kp_str op)
{
    struct kp_str value;
    if (op.ptr)
        return kp_str_equal(op, KP_STR("\"m\""));
    if (kp_json_member(envelope, KP_STR("after"), &value) || kp_json_member(envelope, KP_STR("before"), &value))
        return false;
    if (kp_json_member(envelope, KP_STR("tableChanges"), &value) || kp_json_member(envelope, KP_STR("ddl"), &value))
        return true;
    if (kp_json_member(envelope, KP_STR("status"), &value))
        return kp_str_equal(value, KP_STR("\"BEGIN\"")) || kp_str_equal(value, KP_STR("\"END\""));
    return kp_json_member(envelope, KP_STR("ts_ms"), &value) && kp_jsonb_item_count(envelope) <= 3; /* ts_us, ts_ns */
}

enum kp_code kp_debezium_row(struct kp_str text, struct kp_str *ret_row, struct kp_str *ret_schema,
                             enum kp_debezium_change *ret_change, struct kp_error *err)
{
    const uint8_t *begin = (const uint8_t *)text.ptr, *end = begin + text.len, *bad = begin;
    const uint8_t *start = skip_space(begin, end);
    const uint8_t *behind = start < end ? kp_json_skip(start, end, KP_JSON_DEPTH_MAX, &bad) : NULL;
    if (!behind || behind > end || skip_space(behind, end) != end)
        return kp_fail(err, KP_INVALID, "22P02", "invalid JSON");
    struct kp_str envelope = {(const char *)start, (size_t)(behind - start)}, inner = {NULL, 0};
    struct kp_str before = {NULL, 0}, after = {NULL, 0}, op = {NULL, 0};
    *ret_schema = (struct kp_str){NULL, 0};
    if (kp_json_member(envelope, KP_STR("payload"), &inner) && is_object(&inner)) {
        if (!kp_json_member(envelope, KP_STR("schema"), ret_schema) || !is_object(ret_schema))
            ret_schema->ptr = NULL;
        envelope = inner;
    }
    bool has_op = kp_json_member(envelope, KP_STR("op"), &op);
    bool has_after = kp_json_member(envelope, KP_STR("after"), &after);
    kp_json_member(envelope, KP_STR("before"), &before);
    *ret_row = (struct kp_str){NULL, 0};
    *ret_change = KP_DEBEZIUM_NOTICE;
    if (is_object(&envelope) && is_notice(envelope, op))
        return KP_OK;
    *ret_change = KP_DEBEZIUM_TRUNCATE;
    if (is_object(&envelope) && kp_str_equal(op, KP_STR("\"t\"")))
        return KP_OK;
    if (!has_op || (!has_after && !is_object(&before)))
        return kp_fail(err, KP_INVALID, "22023", "the record is no change event: it has no \"op\" and \"after\"");
    bool deleted = kp_str_equal(op, KP_STR("\"d\"")) || !is_object(&after);
    *ret_row = deleted ? before : after;
    if (!is_object(ret_row))
        ret_row->ptr = NULL;
    *ret_change = deleted ? KP_DEBEZIUM_DELETE : KP_DEBEZIUM_PUT;
    return KP_OK;
}
