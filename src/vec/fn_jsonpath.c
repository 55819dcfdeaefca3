/*
 * jsonb_path_exists, jsonb_path_match, jsonb_path_query_array, jsonb_path_query_first, @?, @@
 * (vec/jsonpath.h).
 */
#include "vec/jsonb.h"
#include "vec/jsonpath_call.h"

bool kp_path_call_row(struct kp_path_call *state, struct kp_call *call, const struct kp_vec *const *args, uint32_t row,
                      bool silent, bool exists_only, struct kp_path_items *ret_items)
{
    struct kp_error err;
    struct kp_str vars = {0};
    *ret_items = (struct kp_path_items){0};
    if (!args[1]->constant || !state->read) {
        state->read =
            kp_path_parse(kp_text_str(&FN_AT(struct kp_text, 1, row)), call->arena, &state->path, &err) == KP_OK;
        if (!state->read) {
            kp_call_fail(call, row, err.sqlstate, "%s", err.message);
            return false;
        }
    }
    if (call->arg_count > 2) {
        vars = kp_text_str(&FN_AT(struct kp_text, 2, row));
        if (kp_jsonb_kind(vars) != KP_JSONB_OBJECT) {
            kp_call_fail(call, row, "22023", "\"vars\" argument is not an object");
            return false;
        }
    }
    silent |= call->arg_count > 3 && FN_AT(uint8_t, 3, row);
    struct kp_path_input input = {.document = kp_text_str(&FN_AT(struct kp_text, 0, row)),
                                  .vars = vars,
                                  .exists_only = exists_only,
                                  .zoned = state->zoned,
                                  .zone = fn_zone(call)};
    enum kp_code code = kp_path_run(&state->path, &input, call->arena, ret_items, &err);
    if (code != KP_OK && (!silent || code == KP_UNSUPPORTED))
        kp_call_fail(call, row, err.sqlstate, "%s", err.message);
    return code == KP_OK;
}

enum answer { NO, YES, NEITHER /* NULL, unless an error was noted */ };

/* In lax mode what was found before an error is enough. */
static enum answer path_exists(struct kp_path_call *state, struct kp_call *call, const struct kp_vec *const *args,
                               uint32_t row, bool silent)
{
    struct kp_path_items items;
    uint32_t errors = call->error_count;
    bool good = kp_path_call_row(state, call, args, row, silent, true, &items);
    if (!good && items.count && !state->path.strict)
        call->error_count = errors;
    else if (!good)
        return NEITHER;
    return items.count > 0 ? YES : NO;
}

static enum answer path_match(struct kp_path_call *state, struct kp_call *call, const struct kp_vec *const *args,
                              uint32_t row, bool silent)
{
    struct kp_path_items items;
    bool good = kp_path_call_row(state, call, args, row, silent, false, &items);
    enum kp_jsonb_kind kind = good && items.count == 1 ? kp_jsonb_kind(items.items[0]) : KP_JSONB_OBJECT;
    if (kind == KP_JSONB_BOOL)
        return items.items[0].ptr[0] == 't' ? YES : NO;
    if (good && kind != KP_JSONB_NULL && !silent && !(call->arg_count > 3 && FN_AT(uint8_t, 3, row)))
        kp_call_fail(call, row, "22038", "single boolean result is expected");
    return NEITHER;
}

/* NULL where it fails in silence. */
static void
ask_rows(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool silent, bool zoned,
         enum answer (*ask)(struct kp_path_call *, struct kp_call *, const struct kp_vec *const *, uint32_t, bool))
{
    struct kp_path_call state = {.zoned = zoned};
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        uint32_t errors = call->error_count;
        uint8_t *to = (uint8_t *)out->data + i;
        *to = 0;
        if (kp_vec_is_null(out, i))
            continue;
        enum answer answer = ask(&state, call, args, i, silent);
        *to = answer == YES;
        if (answer == NEITHER && call->error_count == errors)
            fn_set_null(call, out, i, &owned);
    }
}

#define SILENT_KERNELS(name)                                                                                           \
    static void name##_said(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                \
    {                                                                                                                  \
        ask_rows(call, args, out, false, false, name);                                                                 \
    }                                                                                                                  \
    static void name##_silent(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)              \
    {                                                                                                                  \
        ask_rows(call, args, out, true, false, name);                                                                  \
    }
#define ZONED_KERNEL(name)                                                                                             \
    static void name##_tz(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                  \
    {                                                                                                                  \
        ask_rows(call, args, out, false, true, name);                                                                  \
    }
ZONED_KERNEL(path_exists)
ZONED_KERNEL(path_match)
SILENT_KERNELS(path_exists)
SILENT_KERNELS(path_match)

static void path_array_in(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool zoned)
{
    struct kp_path_call state = {.zoned = zoned};
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_path_items items = {0};
        buf.len = 0;
        if (!kp_vec_is_null(out, i))
            (void)kp_path_call_row(&state, call, args, i, false, false, &items);
        kp_buf_append_byte(&buf, '[');
        for (uint32_t k = 0; k < items.count; k++) {
            kp_buf_append_text(&buf, k ? ", " : "");
            kp_buf_append_str(&buf, items.items[k]);
        }
        kp_buf_append_byte(&buf, ']');
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

static void path_first_in(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool zoned)
{
    struct kp_path_call state = {.zoned = zoned};
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_path_items items = {0};
        struct kp_text *to = (struct kp_text *)out->data + i;
        *to = kp_text_make("", 0);
        if (kp_vec_is_null(out, i))
            continue;
        uint32_t errors = call->error_count;
        (void)kp_path_call_row(&state, call, args, i, false, false, &items);
        if (items.count)
            *to = fn_text(call, items.items[0].ptr, items.items[0].len);
        else if (call->error_count == errors)
            fn_set_null(call, out, i, &owned);
    }
}

#define QUERY_KERNELS(name)                                                                                            \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        name##_in(call, args, out, false);                                                                             \
    }                                                                                                                  \
    static void name##_tz(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                  \
    {                                                                                                                  \
        name##_in(call, args, out, true);                                                                              \
    }
QUERY_KERNELS(path_array)
QUERY_KERNELS(path_first)

#define FORM(name_, count_, flags_, ret_, kernel_, doc_)                                                               \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT | KP_CAN_FAIL | (flags_), .arg_count = count_,     \
        .args = {KP_JSONB, KP_JSONPATH, count_ > 2 ? KP_JSONB : KP_TYPE_NONE, count_ > 3 ? KP_BOOL : KP_TYPE_NONE},    \
        .ret = ret_, .kernel = kernel_, .doc = doc_                                                                    \
    }
#define FORMS_OF(name, flags, ret, kernel, doc)                                                                        \
    FORM(name, 2, flags, ret, kernel, doc), FORM(name, 3, flags, ret, kernel, doc ", variables given"),                \
        FORM(name, 4, flags, ret, kernel, doc ", variables given, perhaps silent about errors")
#define FORMS(name, ret, kernel, kernel_tz, doc)                                                                       \
    FORMS_OF(name, 0, ret, kernel, doc), FORMS_OF(name "_tz", KP_STABLE, ret, kernel_tz, doc ", in the session's zone")

static const struct kp_func funcs[] = {
    FN_BINARY("@?", KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, KP_JSONB, KP_JSONPATH, KP_BOOL, path_exists_silent,
              "a JSON path finds something; NULL on an error"),
    FN_BINARY("@@", KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, KP_JSONB, KP_JSONPATH, KP_BOOL, path_match_silent,
              "what a JSON path's predicate says; NULL on an error"),
    FORMS("jsonb_path_exists", KP_BOOL, path_exists_said, path_exists_tz, "whether a JSON path finds something"),
    FORMS("jsonb_path_match", KP_BOOL, path_match_said, path_match_tz, "what a JSON path's predicate says"),
    FORMS("jsonb_path_query_array", KP_JSONB, path_array, path_array_tz, "all that a JSON path finds, as an array"),
    FORMS("jsonb_path_query_first", KP_JSONB, path_first, path_first_tz, "the first that a JSON path finds"),
};
KP_FUNCTIONS(jsonpath, funcs);
