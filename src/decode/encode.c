/* Rows to JSON: what INSERT and sinks append to the log, so that decoding gives the same values back. */
#include "decode/decode.h"

void kp_encode_json(const struct kp_batch *batch, const char *const *names, uint32_t row, const struct kp_zone *zone,
                    struct kp_buf *out)
{
    kp_buf_append_byte(out, '{');
    for (uint32_t i = 0; i < batch->cols; i++) {
        const struct kp_vec *vec = &batch->vecs[i];
        if (i)
            kp_buf_append_byte(out, ',');
        kp_buf_append_json_string(out, kp_str(names[i]));
        kp_buf_append_byte(out, ':');
        if (kp_vec_is_null(vec, row))
            kp_buf_append_text(out, "null");
        else
            kp_value_print_json(vec->type, kp_vec_at(vec, row), zone, out);
    }
    kp_buf_append_byte(out, '}');
}
