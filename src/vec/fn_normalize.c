/*
 * Unicode's normal forms: normalize(text, form) and IS NORMALIZED, which the grammar turns into is_normalized(text,
 * form). libunistring's tables are those of Unicode 14, as PostgreSQL 15's are: a view's answer depends on them.
 * ASCII is normal in every form.
 */
#include <strings.h>
#include <uninorm.h>

#include "vec/fn.h"

static bool form_find(struct kp_str name, uninorm_t *ret_form)
{
    static const char *const names[] = {"nfc", "nfd", "nfkc", "nfkd"};
    const uninorm_t forms[] = {UNINORM_NFC, UNINORM_NFD, UNINORM_NFKC, UNINORM_NFKD};
    for (size_t i = 0; i < KP_COUNT(names); i++)
        if (name.len == strlen(names[i]) && strncasecmp(name.ptr, names[i], name.len) == 0) {
            *ret_form = forms[i];
            return true;
        }
    return false;
}

/* The form of row i, if the row is not NULL and has a good one. */
static bool row_form(struct kp_call *call, const struct kp_vec *const *args, const struct kp_vec *out, uint32_t row,
                     uninorm_t *ret_form)
{
    *ret_form = UNINORM_NFC;
    if (kp_vec_is_null(out, row))
        return false;
    if (call->arg_count == 1)
        return true;
    struct kp_str name = kp_text_str(&FN_AT(struct kp_text, 1, row));
    if (form_find(name, ret_form))
        return true;
    kp_call_fail(call, row, "22023", "invalid normalization form: %.*s", (int)KP_MIN(name.len, (size_t)64), name.ptr);
    return false;
}

static bool is_ascii(struct kp_str text)
{
    uint8_t all = 0;
    for (size_t i = 0; i < text.len; i++)
        all |= (uint8_t)text.ptr[i];
    return all < 0x80;
}

/* In libunistring's memory (kp_free); NULL: there is none. */
static uint8_t *normal_form(struct kp_str text, uninorm_t form, size_t *ret_len)
{
    return u8_normalize(form, (const uint8_t *)text.ptr, text.len, NULL, ret_len);
}

static void normalize(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        const struct kp_text *text = &FN_AT(struct kp_text, 0, i);
        struct kp_text *to = (struct kp_text *)out->data + i;
        uninorm_t form;
        size_t len;
        *to = *text;
        if (!row_form(call, args, out, i, &form) || is_ascii(kp_text_str(text)))
            continue;
        uint8_t *normal = normal_form(kp_text_str(text), form, &len);
        if (normal)
            *to = fn_text(call, normal, len);
        else
            kp_call_fail(call, i, "53200", "out of memory");
        kp_free(normal);
    }
}

static void is_normalized(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = kp_text_str(&FN_AT(struct kp_text, 0, i));
        uint8_t *to = (uint8_t *)out->data + i;
        uninorm_t form;
        size_t len;
        *to = true;
        if (!row_form(call, args, out, i, &form) || is_ascii(text))
            continue;
        uint8_t *normal = normal_form(text, form, &len);
        if (normal)
            *to = len == text.len && memcmp(normal, text.ptr, len) == 0;
        else
            kp_call_fail(call, i, "53200", "out of memory");
        kp_free(normal);
    }
}

static const struct kp_func funcs[] = {
    FN_UNARY("normalize", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, normalize,
             "Unicode's normal form C"),
    FN_BINARY("normalize", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_TEXT, normalize,
              "Unicode's normal form NFC, NFD, NFKC or NFKD"),
    FN_UNARY("is_normalized", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_BOOL, is_normalized,
             "IS NORMALIZED"),
    FN_BINARY("is_normalized", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_BOOL, is_normalized,
              "IS NFC, NFD, NFKC or NFKD NORMALIZED"),
};
KP_FUNCTIONS(normalize, funcs);
