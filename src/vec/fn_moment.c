/*
 * log_position(): where in the log a moment is. Of what is logged together (a transaction) all or nothing counts, so a
 * position within such a group means its start. FOR SYSTEM_TIME AS OF is made of it (sql/system_time.c); called by name
 * it is volatile, since a moment that has not come yet has no place.
 */
#include "vec/facts.h"
#include "vec/fn.h"

static void log_position(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool is_time)
{
    const struct kp_log_facts *log = call->settings ? call->settings->log : NULL;
    bool constant = args[0]->constant && (call->arg_count < 2 || args[1]->constant);
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_moment moment = {FN_AT(int64_t, 0, i), is_time};
        struct kp_error err;
        to[i] = i ? to[0] : moment.at;
        if ((constant && i) || kp_vec_is_null(out, i) || !log)
            continue;
        const char *topic = NULL;
        if (call->arg_count == 2) {
            const struct kp_text *name = &FN_AT(struct kp_text, 1, i);
            topic = kp_arena_strndup(call->arena, kp_text_bytes(name), name->len);
        }
        kp_error_clear(&err);
        if (log->position(log->arg, moment, topic, &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}

static void of_position(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    log_position(call, args, out, false);
}

static void of_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    log_position(call, args, out, true);
}

#define LOG_POSITION(kernel_, doc_, count_, ...)                                                                       \
    {                                                                                                                  \
        .name = "log_position", .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT | KP_VOLATILE | KP_CAN_FAIL,              \
        .arg_count = count_, .args = {__VA_ARGS__}, .ret = KP_INT8, .kernel = kernel_, .doc = doc_                     \
    }

static const struct kp_func funcs[] = {
    LOG_POSITION(of_position, "where the records end that count as of a position", 1, KP_INT8),
    LOG_POSITION(of_position, "the same; fails if records of the topic have gone since", 2, KP_INT8, KP_TEXT),
    LOG_POSITION(of_time, "where the records end that were logged up to a time", 1, KP_TIMESTAMPTZ),
    LOG_POSITION(of_time, "the same; fails if records of the topic have gone since", 2, KP_TIMESTAMPTZ, KP_TEXT),
};
KP_FUNCTIONS(moment, funcs);
