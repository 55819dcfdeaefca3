/*
 * Checking JSON text, and writing jsonb's canonical form: a recursive descent, at most KP_SQL_DEPTH_MAX deep, that
 * copies what it has understood. Objects gather their members first, to sort them.
 */
#include "vec/json.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "vec/jsonb.h"
#include "vec/numeric.h"

struct parser {
    const char *at, *end;
    struct kp_arena *arena;
    struct kp_buf *out; /* jsonb: the canonical text; NULL: only check */
    int depth;
    bool jsonb;
    bool nul; /* met \\u0000, which jsonb cannot hold */
    bool deep;
};

static bool parse_value(struct parser *p);

static void skip_spaces(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

static bool take(struct parser *p, char c)
{
    skip_spaces(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

static void emit(struct parser *p, const char *bytes, size_t len)
{
    if (p->out)
        kp_buf_append(p->out, bytes, len);
}

static int hex4(const char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* \uXXXX, surrogates in pairs; p->at is behind the u. json keeps any four digits: who asks for the text finds out. */
static bool take_unicode(struct parser *p, struct kp_buf *text)
{
    if (p->end - p->at < 4)
        return false;
    int unit = hex4(p->at);
    if (unit < 0 || (p->jsonb && unit >= 0xdc00 && unit < 0xe000))
        return false;
    p->at += 4;
    if (!p->jsonb)
        return true;
    uint32_t code_point = (uint32_t)unit;
    if (unit >= 0xd800 && unit < 0xdc00) {
        int low = p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u' ? hex4(p->at + 2) : -1;
        if (low < 0xdc00 || low >= 0xe000)
            return false;
        p->at += 6;
        code_point = 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    }
    if (code_point == 0) {
        p->nul = true;
        return false;
    }
    char utf8[4];
    kp_buf_append(text, utf8, kp_utf8_encode(code_point, utf8));
    return true;
}

/* The string at p, unescaped, appended to text. */
static bool take_string(struct parser *p, struct kp_buf *text)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (!take(p, '"'))
        return false;
    while (p->at < p->end && *p->at != '"') {
        if ((unsigned char)*p->at < 0x20)
            return false;
        if (*p->at != '\\') {
            kp_buf_append_byte(text, (uint8_t)*p->at++);
            continue;
        }
        if (++p->at == p->end)
            return false;
        char c = *p->at++;
        const char *found = strchr(escapes, c);
        if (c == 'u') {
            if (!take_unicode(p, text))
                return false;
        } else if (c && found) {
            kp_buf_append_byte(text, (uint8_t)meanings[found - escapes]);
        } else {
            return false;
        }
    }
    return p->at++ < p->end;
}

static bool parse_string(struct parser *p)
{
    struct kp_buf text = {0};
    bool good = take_string(p, &text);
    if (good && p->out)
        kp_buf_append_json_string(p->out, (struct kp_str){(const char *)text.data, text.len});
    kp_buf_finish(&text);
    return good;
}

static bool digits(struct parser *p)
{
    const char *start = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
        p->at++;
    return p->at > start;
}

static bool parse_number(struct parser *p)
{
    const char *start = p->at;
    if (*p->at == '-')
        p->at++;
    bool zero = p->at < p->end && *p->at == '0';
    if (!digits(p) || (zero && p->at[-1] != '0') || (zero && p->at - start - (*start == '-') > 1))
        return false;
    if (p->at < p->end && *p->at == '.' && (p->at++, !digits(p)))
        return false;
    if (p->at < p->end && (*p->at | 32) == 'e') {
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-'))
            p->at++;
        if (!digits(p))
            return false;
    }
    if (!p->out)
        return true;
    struct kp_numeric n;
    if (kp_numeric_parse((struct kp_str){start, (size_t)(p->at - start)}, p->arena, &n, NULL) != KP_OK)
        return false;
    kp_numeric_print(&n, p->out);
    return true;
}

static bool parse_array(struct parser *p)
{
    p->at++;
    emit(p, "[", 1);
    if (!take(p, ']')) {
        bool first = true;
        do {
            if (!first)
                emit(p, ", ", 2);
            first = false;
            if (!parse_value(p))
                return false;
        } while (take(p, ','));
        if (!take(p, ']'))
            return false;
    }
    emit(p, "]", 1);
    return true;
}

static bool take_member(struct parser *p, struct kp_jsonb_object *object)
{
    struct kp_buf key = {0}, value = {0}, *out = p->out;
    bool good = (skip_spaces(p), take_string(p, &key)) && take(p, ':');
    if (good) {
        p->out = out ? &value : NULL;
        good = parse_value(p);
        p->out = out;
    }
    if (good && out && kp_arena_may(p->arena, key.len + value.len)) { /* else in vain */
        kp_jsonb_put(object, (struct kp_str){kp_arena_strndup(p->arena, (const char *)key.data, key.len), key.len},
                     (struct kp_str){kp_arena_strndup(p->arena, (const char *)value.data, value.len), value.len});
    }
    kp_buf_finish(&key);
    kp_buf_finish(&value);
    return good;
}

static bool parse_object(struct parser *p)
{
    p->at++;
    if (take(p, '}')) {
        emit(p, "{}", 2);
        return true;
    }
    struct kp_jsonb_object object = {{0}};
    bool good;
    do
        good = take_member(p, &object);
    while (good && take(p, ','));
    good = good && take(p, '}');
    if (good && p->out)
        kp_jsonb_object_print(&object, p->out);
    kp_jsonb_object_finish(&object);
    return good;
}

static bool parse_word(struct parser *p, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0)
        return false;
    p->at += len;
    emit(p, word, len);
    return true;
}

static bool parse_value(struct parser *p)
{
    skip_spaces(p);
    if (p->depth >= KP_SQL_DEPTH_MAX)
        p->deep = true;
    if (p->at == p->end || p->deep)
        return false;
    p->depth++;
    bool good;
    switch (*p->at) {
    case '{':
        good = parse_object(p);
        break;
    case '[':
        good = parse_array(p);
        break;
    case '"':
        good = parse_string(p);
        break;
    case 't':
        good = parse_word(p, "true");
        break;
    case 'f':
        good = parse_word(p, "false");
        break;
    case 'n':
        good = parse_word(p, "null");
        break;
    default:
        good = (*p->at == '-' || (*p->at >= '0' && *p->at <= '9')) && parse_number(p);
    }
    p->depth--;
    return good;
}

enum kp_code kp_json_parse(enum kp_type_id type, struct kp_str text, struct kp_arena *arena, struct kp_text *ret_text,
                           struct kp_error *err)
{
    struct kp_buf out = {0};
    struct parser p = {.at = text.ptr,
                       .end = text.ptr + text.len,
                       .arena = arena,
                       .jsonb = type == KP_JSONB,
                       .out = type == KP_JSONB ? &out : NULL};
    bool good = parse_value(&p);
    skip_spaces(&p);
    if (!good || p.at != p.end) {
        kp_buf_finish(&out);
        if (p.nul) {
            kp_fail(err, KP_INVALID, "22P05", "unsupported Unicode escape sequence");
            kp_json_explain(type, text, err);
            return KP_INVALID;
        }
        if (p.deep)
            return kp_fail(err, KP_LIMIT, "54001", "JSON is nested too deeply: at most %d levels", KP_SQL_DEPTH_MAX);
        kp_fail(err, KP_INVALID, "22P02", "invalid input syntax for type json");
        kp_json_explain(type, text, err);
        return KP_INVALID;
    }
    struct kp_str result = type == KP_JSONB ? (struct kp_str){(const char *)out.data, out.len} : text;
    if (kp_arena_may(arena, result.len))
        *ret_text = kp_text_make(kp_arena_strndup(arena, result.ptr, result.len), result.len);
    else
        *ret_text = kp_text_make("null", 4); /* in vain */
    kp_buf_finish(&out);
    return KP_OK;
}
