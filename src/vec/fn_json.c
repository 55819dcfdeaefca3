/* Functions that build JSON. */
#include "vec/fn.h"

/* PostgreSQL's json of a value: numbers as they are printed, all that is not JSON or boolean as a string. */
static void append_json(struct kp_call *call, const struct kp_vec *vec, uint32_t row, struct kp_buf *buf)
{
    if (kp_vec_is_null(vec, row)) {
        kp_buf_append_text(buf, "null");
        return;
    }
    const void *value = kp_vec_at(vec, row);
    const struct kp_numeric *numeric = value;
    bool plain = vec->type.id == KP_INT8 ||
                 (vec->type.id == KP_NUMERIC && (numeric->kind == KP_NUMERIC_SMALL || numeric->kind == KP_NUMERIC_BIG));
    if (plain)
        kp_value_print(vec->type, value, fn_zone(call), buf);
    else
        kp_value_print_json(vec->type, value, fn_zone(call), buf);
}

static void build_object(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0}, key = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        buf.len = 0;
        kp_buf_append_byte(&buf, '{');
        for (uint32_t a = 0; a < call->arg_count; a += 2) {
            if (call->arg_count % 2) {
                kp_call_fail(call, i, "22023", "argument list must have even number of elements");
                break;
            }
            if (kp_vec_is_null(args[a], i)) {
                kp_call_fail(call, i, "22023", "argument %u cannot be null", a + 1);
                break;
            }
            key.len = 0;
            kp_value_print(args[a]->type, kp_vec_at(args[a], i), fn_zone(call), &key);
            kp_buf_append_text(&buf, a ? ", " : "");
            kp_buf_append_json_string(&buf, (struct kp_str){(const char *)key.data, key.len});
            kp_buf_append_text(&buf, " : ");
            append_json(call, args[a + 1], i, &buf);
        }
        kp_buf_append_byte(&buf, '}');
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
    kp_buf_finish(&key);
}

static const struct kp_func funcs[] = {
    {.name = "json_build_object",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_VARIADIC | KP_STABLE | KP_CAN_FAIL,
     .arg_count = 2,
     .args = {KP_ANY, KP_ANY},
     .ret = KP_JSON,
     .kernel = build_object,
     .doc = "an object of keys and values in turn"},
};
KP_FUNCTIONS(json, funcs);
