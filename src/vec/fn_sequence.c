/*
 * nextval, currval, lastval, setval: numbers of sequences, which the instance gives (db/sequence.c). Another one for
 * each row; INSERT's plan has nextval() where a serial or identity column is given no value.
 */
#include "vec/facts.h"
#include "vec/fn.h"

/* NULL, with row 0 failed: only statements that a session runs by itself draw. */
static const struct kp_catalog_facts *facts_of(struct kp_call *call, struct kp_vec *out)
{
    const struct kp_catalog_facts *facts = call->settings ? call->settings->facts : NULL;
    memset(out->data, 0, call->rows * sizeof(int64_t));
    if (facts && facts->draw)
        return facts;
    if (call->rows)
        fn_fail_text(call, out, 0, "0A000", "numbers of sequences are drawn by statements only");
    return NULL;
}

/* Rows of one sequence, one behind the other, at once. */
static void nextval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_catalog_facts *facts = facts_of(call, out);
    int64_t *numbers = out->data;
    struct kp_error err;
    for (uint32_t from = 0, to; facts && from < call->rows; from = to) {
        to = from + 1;
        if (kp_vec_is_null(out, from))
            continue;
        uint32_t sequence = FN_AT(uint32_t, 0, from);
        while (to < call->rows && !kp_vec_is_null(out, to) && FN_AT(uint32_t, 0, to) == sequence)
            to++;
        if (facts->draw(facts->arg, sequence, to - from, numbers + from, &err) != KP_OK) {
            fn_fail(call, out, from, &err);
            return;
        }
    }
}

static void currval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_catalog_facts *facts = facts_of(call, out);
    struct kp_error err;
    for (uint32_t i = 0; facts && i < call->rows; i++)
        if (!kp_vec_is_null(out, i) &&
            facts->drawn(facts->arg, FN_AT(uint32_t, 0, i), (int64_t *)out->data + i, &err) != KP_OK)
            fn_fail(call, out, i, &err);
}

static void lastval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_catalog_facts *facts = facts_of(call, out);
    struct kp_error err;
    (void)args;
    for (uint32_t i = 0; facts && i < call->rows; i++)
        if (facts->drawn(facts->arg, 0, (int64_t *)out->data + i, &err) != KP_OK)
            fn_fail(call, out, i, &err);
}

static void setval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_catalog_facts *facts = facts_of(call, out);
    struct kp_error err;
    for (uint32_t i = 0; facts && i < call->rows; i++) {
        if (kp_vec_is_null(out, i))
            continue;
        int64_t number = ((int64_t *)out->data)[i] = FN_AT(int64_t, 1, i);
        bool called = call->arg_count < 3 || FN_AT(uint8_t, 2, i);
        if (facts->set_number(facts->arg, FN_AT(uint32_t, 0, i), number, called, &err) != KP_OK) {
            fn_fail(call, out, i, &err);
            return;
        }
    }
}

/* pg_get_serial_sequence(table, column): the table as SQL writes it, the column as it is. */
static void serial_sequence(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_catalog_facts *facts = call->settings ? call->settings->facts : NULL;
    struct kp_buf name = {0};
    struct kp_error err;
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_text table = FN_AT(struct kp_text, 0, i), column = FN_AT(struct kp_text, 1, i);
        bool known = false, asked = facts && !kp_vec_is_null(out, i);
        name.len = 0;
        enum kp_code code =
            asked ? facts->sequence_of(facts->arg, kp_text_str(&table), kp_text_str(&column), &name, &known, &err)
                  : KP_OK;
        ((struct kp_text *)out->data)[i] = fn_text(call, name.data, name.len);
        if (code != KP_OK)
            fn_fail(call, out, i, &err);
        else if (!known)
            fn_set_null(call, out, i, &owned);
    }
    kp_buf_finish(&name);
}

#define FUNCTION(name_, ret_, kernel_, doc_, count_, ...)                                                              \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT | KP_VOLATILE | KP_CAN_FAIL, .arg_count = count_,  \
        .args = {__VA_ARGS__}, .ret = ret_, .kernel = kernel_, .doc = doc_                                             \
    }

static const struct kp_func funcs[] = {
    FUNCTION("nextval", KP_INT8, nextval, "the sequence's next number", 1, KP_REGCLASS),
    FUNCTION("currval", KP_INT8, currval, "what the session drew last from the sequence", 1, KP_REGCLASS),
    FUNCTION("lastval", KP_INT8, lastval, "what the session drew last", 0, KP_TYPE_NONE),
    FUNCTION("setval", KP_INT8, setval, "the sequence goes on behind the number", 2, KP_REGCLASS, KP_INT8),
    FUNCTION("setval", KP_INT8, setval, "the sequence goes on behind the number, or with it if not true", 3,
             KP_REGCLASS, KP_INT8, KP_BOOL),
    FUNCTION("pg_get_serial_sequence", KP_TEXT, serial_sequence, "the sequence of a table's column", 2, KP_TEXT,
             KP_TEXT),
};
KP_FUNCTIONS(sequence, funcs);
