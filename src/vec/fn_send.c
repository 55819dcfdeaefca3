/* PostgreSQL's binary forms by the names of its functions (int8send and their like): what a client gets of a value. */
#include "vec/fn.h"

static void send(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf bytes = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        bytes.len = 0;
        if (!kp_vec_is_null(out, i))
            kp_value_send(args[0]->type, kp_vec_at(args[0], i), &bytes);
        ((struct kp_text *)out->data)[i] = fn_text(call, bytes.data, bytes.len);
    }
    kp_buf_finish(&bytes);
}

#define SEND(name_, type) FN_UNARY(name_, KP_FUNC_FUNCTION, KP_STRICT, type, KP_BYTEA, send, "its binary form")

static const struct kp_func funcs[] = {
    SEND("boolsend", KP_BOOL),
    SEND("int2send", KP_INT2),
    SEND("int4send", KP_INT4),
    SEND("int8send", KP_INT8),
    SEND("float4send", KP_FLOAT4),
    SEND("float8send", KP_FLOAT8),
    SEND("numeric_send", KP_NUMERIC),
    SEND("textsend", KP_TEXT),
    SEND("varcharsend", KP_VARCHAR),
    SEND("bpcharsend", KP_BPCHAR),
    SEND("byteasend", KP_BYTEA),
    SEND("date_send", KP_DATE),
    SEND("time_send", KP_TIME),
    SEND("timetz_send", KP_TIMETZ),
    SEND("timestamp_send", KP_TIMESTAMP),
    SEND("timestamptz_send", KP_TIMESTAMPTZ),
    SEND("interval_send", KP_INTERVAL),
    SEND("uuid_send", KP_UUID),
    SEND("json_send", KP_JSON),
    SEND("jsonb_send", KP_JSONB),
    SEND("array_send", KP_ANYARRAY),
    SEND("record_send", KP_ANYRECORD),
};
KP_FUNCTIONS(send, funcs);
