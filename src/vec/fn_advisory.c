/*
 * Advisory locks: pg_advisory_lock and its like, for whoever agrees on what a number stands for. Once for each row, in
 * ad-hoc queries only (they are volatile). Who holds what is the instance's to know (db/advisory.c).
 *
 * The key is a bigint, or two integers, which are keys of their own.
 */
#include "vec/facts.h"
#include "vec/fn.h"

static void act(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, struct kp_advisory asked)
{
    const struct kp_catalog_facts *facts = call->settings ? call->settings->facts : NULL;
    for (uint32_t i = 0; i < call->rows; i++) {
        bool done = false;
        struct kp_error err;
        asked.key.pair = call->arg_count == 2;
        if (call->arg_count == 2) {
            asked.key.high = (uint32_t)FN_AT(int32_t, 0, i);
            asked.key.low = (uint32_t)FN_AT(int32_t, 1, i);
        } else if (call->arg_count == 1) {
            asked.key.high = (uint32_t)((uint64_t)FN_AT(int64_t, 0, i) >> 32);
            asked.key.low = (uint32_t)FN_AT(int64_t, 0, i);
        }
        if (kp_vec_is_null(out, i) || call->error_count) /* the statement has failed */
            ;
        else if (!facts || !facts->advisory)
            fn_fail_text(call, out, i, "0A000", "there are no advisory locks here");
        else if (facts->advisory(facts->arg, &asked, &done, &err) != KP_OK)
            fn_fail(call, out, i, &err);
        if (out->type.id == KP_BOOL)
            ((uint8_t *)out->data)[i] = done;
        else
            ((struct kp_text *)out->data)[i] = kp_text_make("", 0); /* as psql shows PostgreSQL's void */
    }
}

#define KERNEL(name_, act_, shared_, transaction_)                                                                     \
    static void name_(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                      \
    {                                                                                                                  \
        act(call, args, out, (struct kp_advisory){.act = act_, .shared = shared_, .transaction = transaction_});       \
    }
KERNEL(lock, KP_ADVISORY_LOCK, false, false)
KERNEL(lock_shared, KP_ADVISORY_LOCK, true, false)
KERNEL(lock_xact, KP_ADVISORY_LOCK, false, true)
KERNEL(lock_xact_shared, KP_ADVISORY_LOCK, true, true)
KERNEL(try_lock, KP_ADVISORY_TRY, false, false)
KERNEL(try_lock_shared, KP_ADVISORY_TRY, true, false)
KERNEL(try_lock_xact, KP_ADVISORY_TRY, false, true)
KERNEL(try_lock_xact_shared, KP_ADVISORY_TRY, true, true)
KERNEL(unlock, KP_ADVISORY_UNLOCK, false, false)
KERNEL(unlock_shared, KP_ADVISORY_UNLOCK, true, false)
KERNEL(unlock_all, KP_ADVISORY_UNLOCK_ALL, false, false)

#define ADVISORY(name_, ret_, kernel_, doc_)                                                                           \
    FN_UNARY(name_, KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL | KP_VOLATILE, KP_INT8, ret_, kernel_, doc_),            \
        FN_BINARY(name_, KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL | KP_VOLATILE, KP_INT4, KP_INT4, ret_, kernel_,     \
                  doc_)

static const struct kp_func funcs[] = {
    ADVISORY("pg_advisory_lock", KP_TEXT, lock, "waits for the lock; the session keeps it"),
    ADVISORY("pg_advisory_lock_shared", KP_TEXT, lock_shared, "waits until nobody holds the lock alone"),
    ADVISORY("pg_advisory_xact_lock", KP_TEXT, lock_xact, "waits for the lock; kept until the transaction ends"),
    ADVISORY("pg_advisory_xact_lock_shared", KP_TEXT, lock_xact_shared, "the same, shared with others"),
    ADVISORY("pg_try_advisory_lock", KP_BOOL, try_lock, "takes the lock if nobody has it"),
    ADVISORY("pg_try_advisory_lock_shared", KP_BOOL, try_lock_shared, "takes the lock if nobody has it alone"),
    ADVISORY("pg_try_advisory_xact_lock", KP_BOOL, try_lock_xact, "the same, until the transaction ends"),
    ADVISORY("pg_try_advisory_xact_lock_shared", KP_BOOL, try_lock_xact_shared, "the same, shared with others"),
    ADVISORY("pg_advisory_unlock", KP_BOOL, unlock, "gives the session's lock back; whether it had it"),
    ADVISORY("pg_advisory_unlock_shared", KP_BOOL, unlock_shared, "gives the session's shared lock back"),
    {.name = "pg_advisory_unlock_all",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_CAN_FAIL | KP_VOLATILE,
     .ret = KP_TEXT,
     .kernel = unlock_all,
     .doc = "gives all locks of the session back"},
};
KP_FUNCTIONS(advisory, funcs);
