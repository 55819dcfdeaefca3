/*
 * What TABLESAMPLE keeps: a row by the hash of its key and of a seed, so that the same sample of the same rows comes
 * live, replayed and ad hoc.
 */
#include "base/hash.h"
#include "vec/fn.h"

/* kp_sampled(key, percent, seed) */
static void sampled(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf text = {0};
    size_t stride = KP_STRIDE(args[0]);
    for (uint32_t i = 0; i < call->rows; i++) {
        float percent = FN_AT(float, 1, i);
        double seed = FN_AT(double, 2, i) + 0.0; /* -0 is 0 */
        uint64_t bits;
        if (!(percent >= 0 && percent <= 100)) {
            fn_fail_text(call, out, i, "2202H", "sample percentage must be between 0 and 100");
            continue;
        }
        memcpy(&bits, &seed, sizeof bits);
        text.len = 0;
        kp_value_print(args[0]->type, (const struct kp_text *)args[0]->data + i * stride, NULL, &text);
        uint64_t hash = kp_hash_combine(kp_hash_bytes(text.data, text.len), kp_hash_u64(bits));
        ((uint8_t *)out->data)[i] = (double)(hash >> 11) / 9007199254740992.0 < (double)percent / 100; /* 2^53 */
    }
    kp_buf_finish(&text);
}

static const struct kp_func funcs[] = {{.name = "kp_sampled",
                                        .kind = KP_FUNC_FUNCTION,
                                        .flags = KP_STRICT | KP_CAN_FAIL,
                                        .arg_count = 3,
                                        .args = {KP_ANYRECORD, KP_FLOAT4, KP_FLOAT8},
                                        .ret = KP_BOOL,
                                        .kernel = sampled,
                                        .doc = "whether a row of this key is in a sample of so many percent"}};
KP_FUNCTIONS(sample, funcs);
