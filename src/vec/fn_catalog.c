/* Functions over the catalog's own values, which clients call to describe what they see: psql's \d and \gdesc. */
#include "vec/fn.h"

/* format_type(oid, typmod): a type as SQL writes it. A NULL typmod: without one. */
static void format_type(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        if (kp_vec_is_null(args[0], i)) {
            kp_vec_need_valid(out, call->arena, call->rows);
            kp_vec_set_null(out, i);
            to[i] = kp_text_make("", 0);
            continue;
        }
        enum kp_type_id id = kp_type_by_oid((uint32_t)FN_AT(int32_t, 0, i));
        int32_t mod = kp_vec_is_null(args[1], i) ? -1 : FN_AT(int32_t, 1, i);
        buf.len = 0;
        if (id == KP_TYPE_NONE)
            kp_buf_append_text(&buf, "???");
        else
            kp_type_print((struct kp_type){id, mod}, &buf);
        to[i] = kp_text_make(kp_arena_strndup(call->arena, (const char *)buf.data, buf.len), buf.len);
    }
    kp_buf_finish(&buf);
}

static const struct kp_func funcs[] = {
    {.name = "format_type",
     .kind = KP_FUNC_FUNCTION,
     .arg_count = 2,
     .args = {KP_OID, KP_INT4},
     .ret = KP_TEXT,
     .kernel = format_type,
     .doc = "a type's name as SQL writes it"},
};
KP_FUNCTIONS(catalog, funcs);
