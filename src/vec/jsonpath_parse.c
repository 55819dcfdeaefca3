/*
 * Reading of SQL/JSON paths: a recursive descent, from the operators that bind least to the steps of a chain:
 *
 *   or: and { || and }      and: not { && not }     not: [!] comparison
 *   comparison: sum [ (== | != | <> | < | <= | > | >=) sum | starts with … | like_regex … ]
 *   sum: product { (+|-) product }      product: sign { (*|/|%) sign }      sign: { + | - } chain
 *   chain: primary { .key | .* | .** | .method() | [ … ] | ?( … ) }
 */
#include "vec/jsonpath.h"
#include "vec/jsonpath_item.h"
#include "vec/regex.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/utf8.h"

struct parser {
    const char *at, *end;
    struct kp_str whole;
    struct kp_arena *arena;
    struct kp_error *err;
    uint32_t depth, filters, subscripts; /* nesting; of filters and subscripts around the place */
};

static enum kp_code parse_or(struct parser *p, struct kp_path_node **ret_node);

static enum kp_code wrong(struct parser *p)
{
    size_t len = 0;
    while (p->at + len < p->end && !isspace((unsigned char)p->at[len]) && len < 40)
        len++;
    if (p->at == p->end)
        return kp_fail(p->err, KP_INVALID, "42601", "syntax error at end of jsonpath input");
    return kp_fail(p->err, KP_INVALID, "42601", "syntax error at or near \"%.*s\" of jsonpath input",
                   (int)KP_MAX(len, (size_t)1), p->at);
}

static struct kp_path_node *make(struct parser *p, enum kp_path_kind kind)
{
    struct kp_path_node *node = kp_arena_calloc(p->arena, sizeof *node);
    node->kind = kind;
    return node;
}

static struct kp_path_node *make2(struct parser *p, enum kp_path_kind kind, struct kp_path_node *left,
                                  struct kp_path_node *right)
{
    struct kp_path_node *node = make(p, kind);
    node->left = left;
    node->right = right;
    return node;
}

/* ---- tokens ---- */

static void skip_blanks(struct parser *p)
{
    for (;;) {
        while (p->at < p->end && isspace((unsigned char)*p->at))
            p->at++;
        if (p->end - p->at < 2 || p->at[0] != '/' || p->at[1] != '*')
            return;
        const char *close = memmem(p->at + 2, (size_t)(p->end - p->at) - 2, "*/", 2);
        p->at = close ? close + 2 : p->end;
    }
}

static bool take(struct parser *p, const char *symbol)
{
    size_t len = strlen(symbol);
    skip_blanks(p);
    if ((size_t)(p->end - p->at) < len || memcmp(p->at, symbol, len) != 0)
        return false;
    p->at += len;
    return true;
}

static bool in_name(const char *at, const char *end)
{
    return at < end && !isspace((unsigned char)*at) && !strchr("?%$.[]{}()|&!=<>@#,*:-+/\\\"", *at);
}

static struct kp_str peek_word(struct parser *p)
{
    skip_blanks(p);
    const char *at = p->at;
    while (in_name(at, p->end))
        at++;
    return (struct kp_str){p->at, (size_t)(at - p->at)};
}

static bool take_word(struct parser *p, const char *word)
{
    struct kp_str next = peek_word(p);
    if (!kp_str_equal(next, kp_str(word)))
        return false;
    p->at += next.len;
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static bool take_hex(struct parser *p, int count, uint32_t *ret_value)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++) {
        int digit = p->at < p->end ? hex_digit(*p->at) : -1;
        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
        p->at++;
    }
    *ret_value = value;
    return true;
}

/* \uXXXX or \u{X…}, p->at behind the u. */
static bool take_code_point(struct parser *p, uint32_t *ret_value)
{
    if (p->at < p->end && *p->at == '{') {
        uint32_t value = 0;
        int digits = 0;
        for (p->at++; p->at < p->end && hex_digit(*p->at) >= 0 && digits < 6; digits++)
            value = value << 4 | (uint32_t)hex_digit(*p->at++);
        if (!digits || p->at == p->end || *p->at++ != '}')
            return false;
        *ret_value = value;
        return true;
    }
    return take_hex(p, 4, ret_value);
}

static bool take_escape(struct parser *p, struct kp_buf *out)
{
    static const char escapes[] = "bfnrtv", meanings[] = "\b\f\n\r\t\v";
    char utf8[4], c = p->at < p->end ? *p->at++ : 0;
    uint32_t value, low;
    const char *found = c ? strchr(escapes, c) : NULL;
    if (!c)
        return false;
    if (found) {
        kp_buf_append_byte(out, (uint8_t)meanings[found - escapes]);
        return true;
    }
    if (c != 'u' && c != 'x') {
        kp_buf_append_byte(out, (uint8_t)c);
        return true;
    }
    if (c == 'x' ? !take_hex(p, 2, &value) : !take_code_point(p, &value))
        return false;
    if (value >= 0xd800 && value < 0xdc00) {
        if (p->end - p->at < 2 || p->at[0] != '\\' || p->at[1] != 'u')
            return false;
        p->at += 2;
        if (!take_code_point(p, &low) || low < 0xdc00 || low >= 0xe000)
            return false;
        value = 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
    }
    if (value == 0 || value > 0x10ffff || (value >= 0xdc00 && value < 0xe000))
        return false;
    kp_buf_append(out, utf8, kp_utf8_encode(value, utf8));
    return true;
}

/* A text in quotes, without them and its escapes. */
static enum kp_code take_quoted(struct parser *p, struct kp_str *ret_text)
{
    struct kp_buf text = {0};
    skip_blanks(p);
    if (p->at == p->end || *p->at != '"')
        return wrong(p);
    const char *start = p->at++;
    while (p->at < p->end && *p->at != '"') {
        char c = *p->at++;
        if (c != '\\') {
            kp_buf_append_byte(&text, (uint8_t)c);
        } else if (!take_escape(p, &text)) {
            kp_buf_finish(&text);
            p->at = start;
            return wrong(p);
        }
    }
    if (p->at == p->end) {
        kp_buf_finish(&text);
        return kp_fail(p->err, KP_INVALID, "42601", "unterminated quoted string at end of jsonpath input");
    }
    p->at++;
    *ret_text = (struct kp_str){kp_arena_strndup(p->arena, (const char *)text.data, text.len), text.len};
    kp_buf_finish(&text);
    return KP_OK;
}

/* A name without quotes, which may have escapes; no digit begins it. */
static enum kp_code take_name(struct parser *p, struct kp_str *ret_name)
{
    struct kp_buf name = {0};
    const char *start = p->at;
    bool good = p->at < p->end && !isdigit((unsigned char)*p->at);
    while (good && p->at < p->end && (in_name(p->at, p->end) || *p->at == '\\')) {
        char c = *p->at++;
        if (c != '\\')
            kp_buf_append_byte(&name, (uint8_t)c);
        else
            good = take_escape(p, &name);
    }
    if (good && name.len)
        *ret_name = (struct kp_str){kp_arena_strndup(p->arena, (const char *)name.data, name.len), name.len};
    good &= name.len > 0;
    kp_buf_finish(&name);
    if (good)
        return KP_OK;
    p->at = start;
    return wrong(p);
}

static struct kp_str as_json(struct parser *p, struct kp_str text)
{
    struct kp_buf json = {0};
    kp_buf_append_json_string(&json, text);
    struct kp_str copy = {kp_arena_strndup(p->arena, (const char *)json.data, json.len), json.len};
    kp_buf_finish(&json);
    return copy;
}

/* A number as jsonb writes it. */
static enum kp_code take_number(struct parser *p, struct kp_path_node **ret_node)
{
    const char *start = p->at;
    struct kp_numeric n;
    while (p->at < p->end && isdigit((unsigned char)*p->at))
        p->at++;
    if (p->at < p->end && *p->at == '.' && (p->at > start || (p->at + 1 < p->end && isdigit((unsigned char)p->at[1]))))
        for (p->at++; p->at < p->end && isdigit((unsigned char)*p->at);)
            p->at++;
    if (p->at < p->end && (*p->at | 32) == 'e') {
        const char *exponent = p->at + 1;
        exponent += exponent < p->end && (*exponent == '+' || *exponent == '-');
        if (exponent < p->end && isdigit((unsigned char)*exponent))
            for (p->at = exponent; p->at < p->end && isdigit((unsigned char)*p->at);)
                p->at++;
    }
    bool zeros = p->at - start > 1 && start[0] == '0' && isdigit((unsigned char)start[1]);
    if (in_name(p->at, p->end) || zeros)
        return kp_fail(p->err, KP_INVALID, "42601",
                       "trailing junk after numeric literal at or near \"%.*s\" of jsonpath input",
                       (int)(p->at - start) + 1, start);
    KP_TRY(kp_numeric_parse((struct kp_str){start, (size_t)(p->at - start)}, p->arena, &n, p->err));
    struct kp_buf text = {0};
    kp_numeric_print(&n, &text);
    *ret_node = make(p, KP_PATH_NUMBER);
    (*ret_node)->text = (struct kp_str){kp_arena_strndup(p->arena, (const char *)text.data, text.len), text.len};
    kp_buf_finish(&text);
    return KP_OK;
}

/* ---- steps ---- */

static struct kp_path_node *last_of(struct kp_path_node *node)
{
    while (node->next)
        node = node->next;
    return node;
}

static enum kp_code must_be(struct parser *p, const struct kp_path_node *node, bool predicate)
{
    return (kp_path_is_predicate(node->kind) && !node->next) == predicate ? KP_OK : wrong(p);
}

static enum kp_code parse_level(struct parser *p, uint32_t *ret_level)
{
    if (take_word(p, "last")) {
        *ret_level = UINT32_MAX;
        return KP_OK;
    }
    skip_blanks(p);
    if (p->at == p->end || !isdigit((unsigned char)*p->at))
        return wrong(p);
    uint64_t level = 0;
    for (; p->at < p->end && isdigit((unsigned char)*p->at); p->at++)
        level = KP_MIN(level * 10 + (uint64_t)(*p->at - '0'), (uint64_t)UINT32_MAX - 1);
    *ret_level = (uint32_t)level;
    return KP_OK;
}

/* Behind **: {2}, {2 to 3}, {last}. */
static enum kp_code parse_levels(struct parser *p, struct kp_path_node *node)
{
    node->first = 0;
    node->last = UINT32_MAX;
    if (!take(p, "{"))
        return KP_OK;
    KP_TRY(parse_level(p, &node->first));
    node->last = node->first;
    if (take_word(p, "to"))
        KP_TRY(parse_level(p, &node->last));
    return take(p, "}") ? KP_OK : wrong(p);
}

static enum kp_code parse_subscripts(struct parser *p, struct kp_path_node **ret_node)
{
    if (take(p, "*")) {
        *ret_node = make(p, KP_PATH_ANY_ITEM);
        return take(p, "]") ? KP_OK : wrong(p);
    }
    struct kp_path_node *node = make(p, KP_PATH_SUBSCRIPTS);
    uint32_t cap = 0;
    p->subscripts++;
    do {
        struct kp_path_subscript one = {0};
        KP_TRY(parse_or(p, &one.from));
        KP_TRY(must_be(p, one.from, false));
        if (take_word(p, "to")) {
            KP_TRY(parse_or(p, &one.to));
            KP_TRY(must_be(p, one.to, false));
        }
        if (node->subscript_count == cap) {
            cap = cap ? cap * 2 : 4;
            struct kp_path_subscript *more = kp_arena_alloc(p->arena, cap * sizeof *more);
            if (node->subscript_count)
                memcpy(more, node->subscripts, node->subscript_count * sizeof *more);
            node->subscripts = more;
        }
        node->subscripts[node->subscript_count++] = one;
    } while (take(p, ","));
    p->subscripts--;
    *ret_node = node;
    return take(p, "]") ? KP_OK : wrong(p);
}

/* datetime() or datetime("template") */
static enum kp_code parse_datetime(struct parser *p, struct kp_path_node **ret_node)
{
    struct kp_path_node *node = make(p, KP_PATH_DATETIME);
    if (!take(p, "("))
        return wrong(p);
    skip_blanks(p);
    if (p->at < p->end && *p->at == '"') {
        KP_TRY(take_quoted(p, &node->text));
        node->left = make(p, KP_PATH_STRING);
        node->left->text = as_json(p, node->text);
    }
    *ret_node = node;
    return take(p, ")") ? KP_OK : wrong(p);
}

static enum kp_code parse_method(struct parser *p, struct kp_str name, struct kp_path_node **ret_node)
{
    static const struct {
        const char *name;
        enum kp_path_kind kind;
    } methods[] = {{"type", KP_PATH_TYPE},        {"size", KP_PATH_SIZE},   {"double", KP_PATH_DOUBLE},
                   {"ceiling", KP_PATH_CEILING},  {"floor", KP_PATH_FLOOR}, {"abs", KP_PATH_ABS},
                   {"keyvalue", KP_PATH_KEYVALUE}};
    for (size_t i = 0; i < KP_COUNT(methods); i++)
        if (kp_str_equal(name, kp_str(methods[i].name))) {
            *ret_node = make(p, methods[i].kind);
            return take(p, "(") && take(p, ")") ? KP_OK : wrong(p);
        }
    if (kp_str_equal(name, KP_STR("datetime")))
        return parse_datetime(p, ret_node);
    return wrong(p);
}

static enum kp_code parse_member(struct parser *p, struct kp_path_node **ret_node)
{
    skip_blanks(p);
    if (take(p, "**")) {
        *ret_node = make(p, KP_PATH_ANY);
        return parse_levels(p, *ret_node);
    }
    if (take(p, "*")) {
        *ret_node = make(p, KP_PATH_ANY_KEY);
        return KP_OK;
    }
    struct kp_str name;
    if (p->at < p->end && *p->at == '"') {
        KP_TRY(take_quoted(p, &name));
    } else {
        KP_TRY(take_name(p, &name));
        const char *behind = p->at;
        if (take(p, "(")) {
            p->at = behind;
            return parse_method(p, name, ret_node);
        }
        p->at = behind;
    }
    *ret_node = make(p, KP_PATH_KEY);
    (*ret_node)->text = name;
    return KP_OK;
}

static enum kp_code parse_filter(struct parser *p, struct kp_path_node **ret_node)
{
    struct kp_path_node *node = make(p, KP_PATH_FILTER);
    if (!take(p, "("))
        return wrong(p);
    p->filters++;
    KP_TRY(parse_or(p, &node->left));
    p->filters--;
    KP_TRY(must_be(p, node->left, true));
    *ret_node = node;
    return take(p, ")") ? KP_OK : wrong(p);
}

static enum kp_code parse_steps(struct parser *p, struct kp_path_node *head)
{
    for (;;) {
        struct kp_path_node *step = NULL;
        if (take(p, "."))
            KP_TRY(parse_member(p, &step));
        else if (take(p, "["))
            KP_TRY(parse_subscripts(p, &step));
        else if (take(p, "?"))
            KP_TRY(parse_filter(p, &step));
        else
            return KP_OK;
        last_of(head)->next = step;
    }
}

/* ---- what begins a chain ---- */

static enum kp_code parse_variable(struct parser *p, struct kp_path_node **ret_node)
{
    struct kp_str name = {p->at, 0};
    if (p->at < p->end && *p->at == '"') {
        KP_TRY(take_quoted(p, &name));
    } else {
        while (in_name(p->at, p->end))
            p->at++;
        name.len = (size_t)(p->at - name.ptr);
    }
    *ret_node = make(p, name.len ? KP_PATH_VARIABLE : KP_PATH_ROOT);
    (*ret_node)->text = name;
    return KP_OK;
}

static enum kp_code parse_exists(struct parser *p, struct kp_path_node **ret_node)
{
    struct kp_path_node *node = make(p, KP_PATH_EXISTS);
    if (!take(p, "("))
        return wrong(p);
    KP_TRY(parse_or(p, &node->left));
    KP_TRY(must_be(p, node->left, false));
    *ret_node = node;
    return take(p, ")") ? KP_OK : wrong(p);
}

static enum kp_code parse_parens(struct parser *p, struct kp_path_node **ret_node)
{
    KP_TRY(parse_or(p, ret_node));
    if (!take(p, ")"))
        return wrong(p);
    const char *here = p->at;
    if (take_word(p, "is")) {
        if (!kp_path_is_predicate((*ret_node)->kind) || !take_word(p, "unknown")) {
            p->at = here;
            return wrong(p);
        }
        *ret_node = make2(p, KP_PATH_IS_UNKNOWN, *ret_node, NULL);
    }
    return KP_OK;
}

static enum kp_code parse_word(struct parser *p, struct kp_path_node **ret_node)
{
    struct kp_str word = peek_word(p);
    bool is_true = kp_str_equal(word, KP_STR("true"));
    if (kp_str_equal(word, KP_STR("null"))) {
        *ret_node = make(p, KP_PATH_NULL);
    } else if (is_true || kp_str_equal(word, KP_STR("false"))) {
        *ret_node = make(p, KP_PATH_BOOL);
        (*ret_node)->flag = is_true;
    } else if (kp_str_equal(word, KP_STR("last"))) {
        if (!p->subscripts)
            return kp_fail(p->err, KP_INVALID, "42601", "LAST is allowed only in array subscripts");
        *ret_node = make(p, KP_PATH_LAST);
    } else if (kp_str_equal(word, KP_STR("exists"))) {
        p->at += word.len;
        return parse_exists(p, ret_node);
    } else {
        return wrong(p);
    }
    p->at += word.len;
    return KP_OK;
}

static enum kp_code parse_primary(struct parser *p, struct kp_path_node **ret_node)
{
    skip_blanks(p);
    if (p->at == p->end)
        return wrong(p);
    char c = *p->at;
    if (isdigit((unsigned char)c) || (c == '.' && p->at + 1 < p->end && isdigit((unsigned char)p->at[1])))
        return take_number(p, ret_node);
    if (take(p, "("))
        return parse_parens(p, ret_node);
    if (take(p, "$"))
        return parse_variable(p, ret_node);
    if (take(p, "@")) {
        *ret_node = make(p, KP_PATH_CURRENT);
        return p->filters ? KP_OK : kp_fail(p->err, KP_INVALID, "42601", "@ is not allowed in root expressions");
    }
    if (c == '"') {
        struct kp_str text;
        KP_TRY(take_quoted(p, &text));
        *ret_node = make(p, KP_PATH_STRING);
        (*ret_node)->text = as_json(p, text);
        return KP_OK;
    }
    return parse_word(p, ret_node);
}

/* ---- operators ---- */

/* A sign before a number alone is the number's. */
static enum kp_code signed_number(struct parser *p, bool minus, struct kp_path_node *number,
                                  struct kp_path_node **ret_node)
{
    struct kp_numeric n;
    KP_TRY(kp_numeric_parse(number->text, p->arena, &n, p->err));
    if (minus) {
        struct kp_buf text = {0};
        n = kp_numeric_negate(&n, p->arena);
        kp_numeric_print(&n, &text);
        number->text = (struct kp_str){kp_arena_strndup(p->arena, (const char *)text.data, text.len), text.len};
        kp_buf_finish(&text);
    }
    *ret_node = number;
    return KP_OK;
}

static enum kp_code parse_sign(struct parser *p, struct kp_path_node **ret_node)
{
    bool plus = take(p, "+"), minus = !plus && take(p, "-");
    if (++p->depth > KP_SQL_DEPTH_MAX)
        return kp_fail(p->err, KP_LIMIT, "54001", "a jsonpath is nested too deeply");
    if (plus || minus) {
        struct kp_path_node *operand;
        KP_TRY(parse_sign(p, &operand));
        KP_TRY(must_be(p, operand, false));
        if (operand->kind != KP_PATH_NUMBER || operand->next)
            *ret_node = make2(p, plus ? KP_PATH_PLUS : KP_PATH_MINUS, operand, NULL);
        else
            KP_TRY(signed_number(p, minus, operand, ret_node));
    } else {
        KP_TRY(parse_primary(p, ret_node));
        KP_TRY(parse_steps(p, *ret_node));
    }
    p->depth--;
    return KP_OK;
}

static enum kp_code parse_product(struct parser *p, struct kp_path_node **ret_node)
{
    KP_TRY(parse_sign(p, ret_node));
    for (;;) {
        enum kp_path_kind kind;
        struct kp_path_node *right;
        if (take(p, "*"))
            kind = KP_PATH_MUL;
        else if (take(p, "/"))
            kind = KP_PATH_DIV;
        else if (take(p, "%"))
            kind = KP_PATH_MOD;
        else
            return KP_OK;
        KP_TRY(must_be(p, *ret_node, false));
        KP_TRY(parse_sign(p, &right));
        KP_TRY(must_be(p, right, false));
        *ret_node = make2(p, kind, *ret_node, right);
    }
}

static enum kp_code parse_sum(struct parser *p, struct kp_path_node **ret_node)
{
    KP_TRY(parse_product(p, ret_node));
    for (;;) {
        bool plus = take(p, "+");
        struct kp_path_node *right;
        if (!plus && !take(p, "-"))
            return KP_OK;
        KP_TRY(must_be(p, *ret_node, false));
        KP_TRY(parse_product(p, &right));
        KP_TRY(must_be(p, right, false));
        *ret_node = make2(p, plus ? KP_PATH_ADD : KP_PATH_SUB, *ret_node, right);
    }
}

/* What is no pattern is refused before it is used. */
static enum kp_code check_pattern(struct parser *p, const struct kp_path_node *like)
{
    struct kp_pattern pattern = {0};
    struct kp_call call = {.arena = p->arena, .rows = 1};
    enum kp_code code = KP_OK;
    if (!kp_path_pattern_compile(&call, like, &pattern))
        code = kp_fail(p->err, KP_INVALID, call.errors[0].sqlstate, "%s", call.errors[0].message);
    kp_pattern_finish(&pattern);
    return code;
}

static enum kp_code parse_like(struct parser *p, struct kp_path_node **node)
{
    struct kp_str flags = {0};
    struct kp_path_node *like = make2(p, KP_PATH_LIKE_REGEX, *node, NULL);
    KP_TRY(take_quoted(p, &like->text));
    if (take_word(p, "flag"))
        KP_TRY(take_quoted(p, &flags));
    for (size_t i = 0; i < flags.len; i++) {
        static const char letters[] = "ismxq"; /* in the order of their bits */
        const char *known = memchr(letters, flags.ptr[i], sizeof letters - 1);
        if (!known)
            return kp_fail(p->err, KP_INVALID, "42601", "invalid input syntax for type jsonpath");
        like->first |= 1u << (known - letters);
    }
    if ((like->first & (KP_PATH_REGEX_EXPANDED | KP_PATH_REGEX_QUOTE)) == KP_PATH_REGEX_EXPANDED)
        return kp_fail(p->err, KP_UNSUPPORTED, NULL,
                       "XQuery \"x\" flag (expanded regular expressions) is not implemented");
    KP_TRY(check_pattern(p, like));
    *node = like;
    return KP_OK;
}

static enum kp_code parse_comparison(struct parser *p, struct kp_path_node **ret_node)
{
    static const struct {
        const char *symbol;
        enum kp_path_kind kind;
    } operators[] = {{"==", KP_PATH_EQ}, {"!=", KP_PATH_NE}, {"<>", KP_PATH_NE}, {"<=", KP_PATH_LE},
                     {">=", KP_PATH_GE}, {"<", KP_PATH_LT},  {">", KP_PATH_GT},  {"=", KP_PATH_EQ}};
    KP_TRY(parse_sum(p, ret_node));
    for (size_t i = 0; i < KP_COUNT(operators); i++) {
        struct kp_path_node *right;
        if (!take(p, operators[i].symbol))
            continue;
        KP_TRY(must_be(p, *ret_node, false));
        KP_TRY(parse_sum(p, &right));
        KP_TRY(must_be(p, right, false));
        *ret_node = make2(p, operators[i].kind, *ret_node, right);
        return KP_OK;
    }
    if (take_word(p, "starts")) {
        struct kp_path_node *initial;
        if (!take_word(p, "with"))
            return wrong(p);
        KP_TRY(must_be(p, *ret_node, false));
        KP_TRY(parse_primary(p, &initial));
        if (initial->kind != KP_PATH_STRING && initial->kind != KP_PATH_VARIABLE)
            return wrong(p);
        *ret_node = make2(p, KP_PATH_STARTS_WITH, *ret_node, initial);
    } else if (take_word(p, "like_regex")) {
        KP_TRY(must_be(p, *ret_node, false));
        return parse_like(p, ret_node);
    }
    return KP_OK;
}

static enum kp_code parse_not(struct parser *p, struct kp_path_node **ret_node)
{
    skip_blanks(p);
    if (p->end - p->at > 1 && p->at[1] == '=')
        return parse_comparison(p, ret_node);
    if (!take(p, "!"))
        return parse_comparison(p, ret_node);
    struct kp_path_node *operand;
    skip_blanks(p);
    bool delimited = p->at < p->end && (*p->at == '(' || kp_str_equal(peek_word(p), KP_STR("exists")));
    if (!delimited)
        return wrong(p);
    KP_TRY(parse_primary(p, &operand));
    KP_TRY(must_be(p, operand, true));
    *ret_node = make2(p, KP_PATH_NOT, operand, NULL);
    return KP_OK;
}

static enum kp_code parse_and(struct parser *p, struct kp_path_node **ret_node)
{
    KP_TRY(parse_not(p, ret_node));
    while (take(p, "&&")) {
        struct kp_path_node *right;
        KP_TRY(must_be(p, *ret_node, true));
        KP_TRY(parse_not(p, &right));
        KP_TRY(must_be(p, right, true));
        *ret_node = make2(p, KP_PATH_AND, *ret_node, right);
    }
    return KP_OK;
}

static enum kp_code parse_or(struct parser *p, struct kp_path_node **ret_node)
{
    KP_TRY(parse_and(p, ret_node));
    while (take(p, "||")) {
        struct kp_path_node *right;
        KP_TRY(must_be(p, *ret_node, true));
        KP_TRY(parse_and(p, &right));
        KP_TRY(must_be(p, right, true));
        *ret_node = make2(p, KP_PATH_OR, *ret_node, right);
    }
    return KP_OK;
}

enum kp_code kp_path_parse(struct kp_str text, struct kp_arena *arena, struct kp_path *ret_path, struct kp_error *err)
{
    struct parser p = {.at = text.ptr, .end = text.ptr + text.len, .whole = text, .arena = arena, .err = err};
    struct kp_path path = {0};
    skip_blanks(&p);
    if (p.at == p.end)
        return kp_fail(err, KP_INVALID, "22P02", "invalid input syntax for type jsonpath: \"%.*s\"", (int)text.len,
                       text.ptr);
    path.strict = take_word(&p, "strict");
    if (!path.strict)
        (void)take_word(&p, "lax");
    KP_TRY(parse_or(&p, &path.root));
    skip_blanks(&p);
    if (p.at != p.end)
        return wrong(&p);
    *ret_path = path;
    return KP_OK;
}
