/*
 * LIKE and ILIKE (~~, ~~*, and their negations), of bytes too, where _ is a byte. A constant pattern is read once: an
 * exact text, a prefix, a suffix and a part to be contained have loops of their own; all others are matched by a
 * backtracking scan that resumes at the last %. ILIKE compares both sides in lower case.
 */
#include "base/utf8.h"
#include "vec/fn.h"
#include "vec/unicode.h"

enum shape { SHAPE_GENERAL, SHAPE_EXACT, SHAPE_PREFIX, SHAPE_SUFFIX, SHAPE_CONTAINS };

struct pattern {
    enum shape shape;
    struct kp_str literal; /* but for GENERAL */
};

/* A pattern without _ and escapes whose % are only at its ends. */
static struct pattern classify(struct kp_str text)
{
    bool front = text.len && text.ptr[0] == '%', back = text.len > 1 && text.ptr[text.len - 1] == '%';
    struct kp_str inner = {text.ptr + front, text.len - front - back};
    for (size_t i = 0; i < inner.len; i++)
        if (inner.ptr[i] == '%' || inner.ptr[i] == '_' || inner.ptr[i] == '\\')
            return (struct pattern){SHAPE_GENERAL, text};
    enum shape shape = front && back ? SHAPE_CONTAINS : front ? SHAPE_SUFFIX : back ? SHAPE_PREFIX : SHAPE_EXACT;
    return (struct pattern){shape, inner};
}

static const char *next_character(const char *at, const char *end, bool bytes)
{
    at++;
    while (!bytes && at < end && ((unsigned char)*at & 0xc0) == 0x80)
        at++;
    return at;
}

/* 1 match, 0 none, -1 the pattern ends with its escape character. */
static int match_general(struct kp_str text, struct kp_str pattern, bool bytes)
{
    const char *t = text.ptr, *t_end = t + text.len, *p = pattern.ptr, *p_end = p + pattern.len;
    const char *retry_t = NULL, *retry_p = NULL;
    for (;;) {
        bool fits = false;
        if (p < p_end && *p == '%') {
            retry_p = ++p;
            retry_t = t;
            continue;
        }
        if (p == p_end) {
            if (t == t_end)
                return 1;
        } else if (*p == '_') {
            if (t < t_end) {
                t = next_character(t, t_end, bytes);
                p++;
                fits = true;
            }
        } else {
            const char *literal = p;
            if (*p == '\\') {
                if (++literal == p_end && t < t_end)
                    return -1;
            }
            if (t < t_end && literal < p_end && *t == *literal) {
                t++;
                p = literal + 1;
                fits = true;
            }
        }
        if (fits)
            continue;
        if (!retry_p || retry_t == t_end)
            return 0;
        retry_t = next_character(retry_t, t_end, bytes);
        t = retry_t;
        p = retry_p;
    }
}

static int match(const struct pattern *pattern, struct kp_str text, bool bytes)
{
    struct kp_str want = pattern->literal;
    switch (pattern->shape) {
    case SHAPE_EXACT:
        return kp_str_equal(text, want);
    case SHAPE_PREFIX:
        return text.len >= want.len && (want.len == 0 || memcmp(text.ptr, want.ptr, want.len) == 0);
    case SHAPE_SUFFIX:
        return text.len >= want.len &&
               (want.len == 0 || memcmp(text.ptr + text.len - want.len, want.ptr, want.len) == 0);
    case SHAPE_CONTAINS:
        return want.len == 0 || (text.len && memmem(text.ptr, text.len, want.ptr, want.len));
    default:
        return match_general(text, want, bytes);
    }
}

static void like(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool fold, bool wanted)
{
    struct pattern pattern = {SHAPE_GENERAL, {NULL, 0}};
    struct kp_buf folded_text = {0}, folded_pattern = {0};
    uint8_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = kp_text_str(&FN_AT(struct kp_text, 0, i));
        if (i == 0 || !args[1]->constant) {
            struct kp_str source = kp_text_str(&FN_AT(struct kp_text, 1, i));
            if (fold) {
                folded_pattern.len = 0;
                kp_text_lower(source, &folded_pattern);
                source = (struct kp_str){(const char *)folded_pattern.data, folded_pattern.len};
            }
            pattern = classify(source);
        }
        if (fold) {
            folded_text.len = 0;
            kp_text_lower(text, &folded_text);
            text = (struct kp_str){(const char *)folded_text.data, folded_text.len};
        }
        int matched = match(&pattern, text, args[0]->type.id == KP_BYTEA);
        if (matched < 0)
            fn_fail_text(call, out, i, "22025", "LIKE pattern must not end with escape character");
        to[i] = (matched > 0) == wanted;
    }
    kp_buf_finish(&folded_text);
    kp_buf_finish(&folded_pattern);
}

#define LIKE_KERNEL(name, fold, wanted)                                                                                \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        like(call, args, out, fold, wanted);                                                                           \
    }
LIKE_KERNEL(text_like, false, true)
LIKE_KERNEL(text_not_like, false, false)
LIKE_KERNEL(text_ilike, true, true)
LIKE_KERNEL(text_not_ilike, true, false)

/* Rewrites a pattern with another escape character (or none) to one with backslash: LIKE … ESCAPE. */
static void like_escape(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str pattern = kp_text_str(&FN_AT(struct kp_text, 0, i)),
                      escape = kp_text_str(&FN_AT(struct kp_text, 1, i));
        to[i] = kp_text_make(NULL, 0);
        if (kp_vec_is_null(out, i))
            continue;
        bool bytes = args[0]->type.id == KP_BYTEA;
        if ((bytes ? escape.len : kp_utf8_length(escape.ptr, escape.len)) > 1) {
            kp_call_fail(call, i, "22025", "invalid escape string");
            kp_call_explain(call, NULL, "Escape string must be empty or one character.");
            continue;
        }
        buf.len = 0;
        bool escaped = false;
        for (size_t at = 0; at < pattern.len;) {
            bool is_escape = !escaped && escape.len && pattern.len - at >= escape.len &&
                             memcmp(pattern.ptr + at, escape.ptr, escape.len) == 0;
            if (is_escape) {
                kp_buf_append_byte(&buf, '\\');
                at += escape.len;
                escaped = true;
                continue;
            }
            if (pattern.ptr[at] == '\\' && !escaped)
                kp_buf_append_byte(&buf, '\\');
            kp_buf_append_byte(&buf, (uint8_t)pattern.ptr[at++]);
            escaped = false;
        }
        to[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* Of character(n) the padding takes part. */
#define OPERATOR(symbol, kernel, doc)                                                                                  \
    FN_BINARY(symbol, KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_BOOL, kernel, doc),              \
        FN_BINARY(symbol, KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, KP_BPCHAR, KP_TEXT, KP_BOOL, kernel, doc)
#define FUNCTIONS(name, kernel, doc)                                                                                   \
    FN_BINARY(name, KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_BOOL, kernel, doc),                \
        FN_BINARY(name, KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_BYTEA, KP_BYTEA, KP_BOOL, kernel, doc)

static const struct kp_func funcs[] = {
    OPERATOR("~~", text_like, "LIKE"),
    OPERATOR("!~~", text_not_like, "NOT LIKE"),
    OPERATOR("~~*", text_ilike, "ILIKE"),
    OPERATOR("!~~*", text_not_ilike, "NOT ILIKE"),
    FN_BINARY("~~", KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, KP_BYTEA, KP_BYTEA, KP_BOOL, text_like, "LIKE"),
    FN_BINARY("!~~", KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, KP_BYTEA, KP_BYTEA, KP_BOOL, text_not_like, "NOT LIKE"),
    FUNCTIONS("like", text_like, "LIKE"),
    FUNCTIONS("notlike", text_not_like, "NOT LIKE"),
    FN_BINARY("like_escape", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_TEXT, like_escape,
              "a pattern with backslash for its escape character"),
    FN_BINARY("like_escape", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_BYTEA, KP_BYTEA, KP_BYTEA, like_escape,
              "a pattern with backslash for its escape character"),
};
KP_FUNCTIONS(like, funcs);
