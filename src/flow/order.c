#include "flow/order.h"

static bool has_variants(enum kp_type_id type)
{
    return type == KP_NUMERIC || type == KP_FLOAT4 || type == KP_FLOAT8 || type == KP_INTERVAL || type == KP_BPCHAR;
}

static void append(const struct kp_vec *vec, uint32_t row, bool descending, bool nulls_first, struct kp_buf *out)
{
    kp_sort_key_append(out, vec->type.id, kp_vec_at(vec, row), kp_vec_is_null(vec, row), descending, nulls_first);
}

void kp_order_key_append(const struct kp_sort_key *keys, uint32_t key_count, const struct kp_vec *vecs,
                         uint32_t col_count, uint32_t row, struct kp_buf *out)
{
    for (uint32_t k = 0; k < key_count; k++)
        append(&vecs[keys[k].column], row, keys[k].descending, keys[k].nulls_first, out);
    for (uint32_t c = 0; c < col_count; c++)
        append(&vecs[c], row, false, false, out);
    for (uint32_t c = 0; c < col_count; c++)
        if (has_variants(vecs[c].type.id) && !kp_vec_is_null(&vecs[c], row)) {
            kp_value_print(vecs[c].type, kp_vec_at(&vecs[c], row), NULL, out);
            kp_buf_append_byte(out, 0);
        }
}
