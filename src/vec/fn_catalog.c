/*
 * Functions over the catalog's own values, which clients call to describe what they see: psql's \d and \gdesc,
 * information that drivers gather. What they say about the instance comes from kp_catalog_facts (vec/facts.h).
 */
#include <ctype.h>

#include "vec/facts.h"
#include "vec/fn.h"

static const struct kp_catalog_facts *facts_of(const struct kp_call *call)
{
    return call->settings ? call->settings->facts : NULL;
}

/* A kernel of one fact's text by oid; sub from the second argument if it is an integer. */
static void fact_text(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, enum kp_fact fact,
                      bool has_sub)
{
    const struct kp_catalog_facts *facts = facts_of(call);
    struct kp_buf buf = {0};
    struct kp_text *to = out->data;
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        buf.len = 0;
        int32_t sub = has_sub ? FN_AT(int32_t, 1, i) : 0;
        bool known =
            !kp_vec_is_null(out, i) && facts && facts->text(facts->arg, fact, FN_AT(uint32_t, 0, i), sub, &buf);
        to[i] = fn_text(call, buf.data, buf.len);
        if (!known)
            fn_set_null(call, out, i, &owned);
    }
    kp_buf_finish(&buf);
}

#define FACT_KERNEL(name, fact, has_sub)                                                                               \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        fact_text(call, args, out, fact, has_sub);                                                                     \
    }
FACT_KERNEL(view_definition, KP_FACT_VIEW_DEFINITION, false)
FACT_KERNEL(index_definition, KP_FACT_INDEX_DEFINITION, false)
FACT_KERNEL(index_column, KP_FACT_INDEX_DEFINITION, true)
FACT_KERNEL(constraint_definition, KP_FACT_CONSTRAINT_DEFINITION, false)
FACT_KERNEL(function_result, KP_FACT_FUNCTION_RESULT, false)
FACT_KERNEL(function_arguments, KP_FACT_FUNCTION_ARGUMENTS, false)
FACT_KERNEL(function_identity, KP_FACT_FUNCTION_IDENTITY, false)
FACT_KERNEL(function_definition, KP_FACT_FUNCTION_DEFINITION, false)

FACT_KERNEL(column_description, KP_FACT_RELATION_DESCRIPTION, true)

static const struct {
    const char *catalog;
    enum kp_fact fact;
} described[] = {{"pg_class", KP_FACT_RELATION_DESCRIPTION},
                 {"pg_proc", KP_FACT_FUNCTION_DESCRIPTION},
                 {"pg_type", KP_FACT_TYPE_DESCRIPTION},
                 {"pg_namespace", KP_FACT_NAMESPACE_DESCRIPTION},
                 {"pg_constraint", KP_FACT_CONSTRAINT_DESCRIPTION},
                 {"pg_database", KP_FACT_DATABASE_DESCRIPTION},
                 {"pg_authid", KP_FACT_ROLE_DESCRIPTION},
                 {"pg_roles", KP_FACT_ROLE_DESCRIPTION}};

/* obj_description(oid [, catalog]), shobj_description(oid, catalog): without a catalog the first that has it. */
static void object_description(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_catalog_facts *facts = facts_of(call);
    struct kp_buf buf = {0};
    struct kp_text *to = out->data;
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        bool known = false;
        buf.len = 0;
        for (size_t d = 0; !known && facts && d < KP_COUNT(described) && !kp_vec_is_null(out, i); d++) {
            struct kp_text catalog = {0};
            if (call->arg_count > 1)
                catalog = FN_AT(struct kp_text, 1, i);
            if (call->arg_count == 1 || kp_str_equal(kp_text_str(&catalog), kp_str(described[d].catalog)))
                known = facts->text(facts->arg, described[d].fact, FN_AT(uint32_t, 0, i), 0, &buf);
        }
        to[i] = fn_text(call, buf.data, buf.len);
        if (!known)
            fn_set_null(call, out, i, &owned);
    }
    kp_buf_finish(&buf);
}

/* There is no such thing here to be described. */
static void nothing(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    (void)args;
    bool owned = false;
    memset(out->data, 0, call->rows * kp_vec_width(out));
    for (uint32_t i = 0; i < call->rows; i++)
        fn_set_null(call, out, i, &owned);
}

static void no_bytes(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    (void)args;
    memset(out->data, 0, call->rows * kp_vec_width(out));
}

static void fact_number(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, enum kp_fact fact,
                        bool is_bool)
{
    const struct kp_catalog_facts *facts = facts_of(call);
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t number = 0;
        bool known = facts && facts->number(facts->arg, fact, FN_AT(uint32_t, 0, i), &number);
        if (is_bool)
            ((uint8_t *)out->data)[i] = number != 0;
        else
            ((int64_t *)out->data)[i] = number;
        if (!known)
            fn_set_null(call, out, i, &owned);
    }
}

static void table_is_visible(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    fact_number(call, args, out, KP_FACT_RELATION_VISIBLE, true);
}
static void relation_bytes(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    fact_number(call, args, out, KP_FACT_RELATION_BYTES, false);
}
static void sequence_last(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    fact_number(call, args, out, KP_FACT_SEQUENCE_LAST, false);
}
static void database_bytes(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    (void)args;
    const struct kp_catalog_facts *facts = facts_of(call);
    int64_t number = 0;
    if (facts)
        facts->number(facts->arg, KP_FACT_DATABASE_BYTES, 0, &number);
    for (uint32_t i = 0; i < call->rows; i++)
        ((int64_t *)out->data)[i] = number;
}

/* ---- regclass and its like: names as text, text as names ---- */

static const struct {
    enum kp_fact fact;
    const char *sqlstate, *message;
} regs[] = {{KP_FACT_RELATION, "42P01", "relation \"%.*s\" does not exist"},
            {KP_FACT_TYPE, "42704", "type \"%.*s\" does not exist"},
            {KP_FACT_NAMESPACE, "3F000", "schema \"%.*s\" does not exist"},
            {KP_FACT_FUNCTION, "42883", "function \"%.*s\" does not exist"},
            {KP_FACT_ROLE, "42704", "role \"%.*s\" does not exist"}};

static void reg_text(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, enum kp_fact fact)
{
    const struct kp_catalog_facts *facts = facts_of(call);
    struct kp_text *to = out->data;
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        uint32_t oid = FN_AT(uint32_t, 0, i);
        buf.len = 0;
        if (oid == 0)
            kp_buf_append_byte(&buf, '-');
        else if (!facts || !facts->text(facts->arg, fact, oid, 0, &buf))
            kp_buf_printf(&buf, "%u", oid);
        to[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

static bool all_digits(struct kp_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    return text.len > 0 && text.len < 10;
}

static void find_reg(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, unsigned reg,
                     bool strict)
{
    const struct kp_catalog_facts *facts = facts_of(call);
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_text argument = FN_AT(struct kp_text, 0, i);
        struct kp_str text = kp_text_str(&argument);
        uint32_t oid = 0;
        bool known = kp_str_equal(text, KP_STR("-"));
        if (!known && all_digits(text)) {
            known = true;
            for (size_t d = 0; d < text.len; d++)
                oid = oid * 10 + (uint32_t)(text.ptr[d] - '0');
        }
        if (!known)
            known = !kp_vec_is_null(out, i) && facts && facts->find(facts->arg, regs[reg].fact, text, &oid);
        ((uint32_t *)out->data)[i] = oid;
        if (!known && strict && !kp_vec_is_null(out, i))
            kp_call_fail(call, i, regs[reg].sqlstate, regs[reg].message, (int)text.len, text.ptr);
        else if (!known)
            fn_set_null(call, out, i, &owned);
    }
}
#define REG_KERNELS(name, index)                                                                                       \
    static void name##_text(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                \
    {                                                                                                                  \
        reg_text(call, args, out, regs[index].fact);                                                                   \
    }                                                                                                                  \
    static void text_##name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                \
    {                                                                                                                  \
        find_reg(call, args, out, index, true);                                                                        \
    }                                                                                                                  \
    static void to_##name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                  \
    {                                                                                                                  \
        find_reg(call, args, out, index, false);                                                                       \
    }
REG_KERNELS(regclass, 0)
REG_KERNELS(regtype, 1)
REG_KERNELS(regnamespace, 2)
REG_KERNELS(regproc, 3)
REG_KERNELS(regrole, 4)

static void regprocedure_text(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    reg_text(call, args, out, KP_FACT_FUNCTION_SIGNATURE);
}
static void find_regprocedure(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool strict)
{
    for (uint32_t i = 0; strict && i < call->rows; i++) {
        struct kp_text argument = FN_AT(struct kp_text, 0, i);
        struct kp_str name = kp_text_str(&argument);
        if (!kp_vec_is_null(out, i) && !all_digits(name) && !kp_str_equal(name, KP_STR("-")) &&
            (name.len == 0 || !memchr(name.ptr, '(', name.len)))
            kp_call_fail(call, i, "22P02", "expected a left parenthesis");
    }
    if (!call->error_count)
        find_reg(call, args, out, 3, strict);
}
static void text_regprocedure(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    find_regprocedure(call, args, out, true);
}
static void to_regprocedure(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    find_regprocedure(call, args, out, false);
}

/* ---- types ---- */

/* format_type(oid, typmod): a type as SQL writes it. A NULL typmod: without one. */
static void format_type(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        if (kp_vec_is_null(args[0], i)) {
            kp_vec_need_valid(out, call->arena, call->rows);
            kp_vec_set_null(out, i);
            to[i] = kp_text_make("", 0);
            continue;
        }
        uint32_t oid = FN_AT(uint32_t, 0, i);
        enum kp_type_id id = kp_type_by_oid(oid);
        int32_t mod = kp_vec_is_null(args[1], i) ? -1 : FN_AT(int32_t, 1, i);
        buf.len = 0;
        const struct kp_catalog_facts *facts = facts_of(call);
        const char *pseudo = kp_type_pseudo_name(oid);
        if (id != KP_TYPE_NONE)
            kp_type_print((struct kp_type){.id = id, .mod = mod}, &buf);
        else if (pseudo)
            kp_buf_append_text(&buf, pseudo);
        else if (!oid || !facts || !facts->text(facts->arg, KP_FACT_TYPE, oid, 0, &buf)) /* a domain? */
            kp_buf_append_text(&buf, oid ? "???" : "-");
        to[i] = kp_text_make(kp_arena_strndup(call->arena, (const char *)buf.data, buf.len), buf.len);
    }
    kp_buf_finish(&buf);
}

/* ---- text ---- */

static void quote_ident(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_text argument = FN_AT(struct kp_text, 0, i);
        buf.len = 0;
        kp_name_quote(kp_text_str(&argument), &buf);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* The catalog keeps expressions as their text: pg_get_expr(expression, relation) is the first argument. */
static void expression_text(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((struct kp_text *)out->data)[i] = FN_AT(struct kp_text, 0, i);
}

/*
 * Arrays are no type; the catalog shows them as their text, {a,"b c",NULL}, and these functions read that. Takes the
 * next element from *at on; false behind the last.
 */
static bool next_element(struct kp_str array, size_t *at, struct kp_buf *element, bool *ret_null)
{
    size_t i = *at;
    if (i + 1 >= array.len || (array.ptr[i] != '{' && array.ptr[i] != ','))
        return false;
    bool quoted = array.ptr[++i] == '"';
    element->len = 0;
    for (i += quoted; i < array.len; i++) {
        char c = array.ptr[i];
        if (quoted ? c == '"' : c == ',' || c == '}')
            break;
        if (c == '\\' && i + 1 < array.len)
            c = array.ptr[++i];
        kp_buf_append_byte(element, (uint8_t)c);
    }
    *ret_null = !quoted && element->len == 4 && memcmp(element->data, "NULL", 4) == 0;
    *at = i + quoted;
    return quoted || element->len > 0;
}

static void array_to_string(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0}, element = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_text array = FN_AT(struct kp_text, 0, i), between = FN_AT(struct kp_text, 1, i), null_text = {0};
        struct kp_str delimiter = kp_text_str(&between), as_null = {0};
        if (call->arg_count > 2) {
            null_text = FN_AT(struct kp_text, 2, i);
            as_null = kp_text_str(&null_text);
        }
        size_t at = 0;
        bool null, first = true;
        buf.len = 0;
        while (next_element(kp_text_str(&array), &at, &element, &null)) {
            if (null && call->arg_count == 2)
                continue;
            if (!first)
                kp_buf_append(&buf, delimiter.ptr, delimiter.len);
            first = false;
            if (null)
                kp_buf_append(&buf, as_null.ptr, as_null.len);
            else
                kp_buf_append(&buf, element.data, element.len);
        }
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
    kp_buf_finish(&element);
}

static void append_element(struct kp_buf *buf, const struct kp_buf *element, bool null)
{
    if (buf->len > 1)
        kp_buf_append_byte(buf, ',');
    if (null) {
        kp_buf_append_text(buf, "NULL");
        return;
    }
    kp_buf_append_byte(buf, '"');
    for (size_t i = 0; i < element->len; i++) {
        if (element->data[i] == '"' || element->data[i] == '\\')
            kp_buf_append_byte(buf, '\\');
        kp_buf_append_byte(buf, element->data[i]);
    }
    kp_buf_append_byte(buf, '"');
}

static void array_remove(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0}, element = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_text array = FN_AT(struct kp_text, 0, i), gone = FN_AT(struct kp_text, 1, i);
        size_t at = 0;
        bool null;
        buf.len = 0;
        kp_buf_append_byte(&buf, '{');
        while (next_element(kp_text_str(&array), &at, &element, &null))
            if (null || !kp_str_equal((struct kp_str){(const char *)element.data, element.len}, kp_text_str(&gone)))
                append_element(&buf, &element, null);
        kp_buf_append_byte(&buf, '}');
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
    kp_buf_finish(&element);
}

static const char *text_at(struct kp_call *call, const struct kp_vec *arg, uint32_t row)
{
    const struct kp_text *text = kp_vec_at(arg, row);
    return kp_arena_strndup(call->arena, kp_text_bytes(text), text->len);
}

/* current_setting(name [, missing is NULL]) */
static void current_setting(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_catalog_facts *facts = facts_of(call);
    struct kp_buf value = {0};
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        value.len = 0;
        ((struct kp_text *)out->data)[i] = kp_text_make("", 0);
        if (kp_vec_is_null(out, i))
            continue;
        const char *name = text_at(call, args[0], i);
        if (facts && facts->setting(facts->arg, name, &value))
            ((struct kp_text *)out->data)[i] = fn_text(call, value.data, value.len);
        else if (call->arg_count > 1 && FN_AT(uint8_t, 1, i))
            fn_set_null(call, out, i, &owned);
        else
            kp_call_fail(call, i, "42704", "unrecognized configuration parameter \"%s\"", name);
    }
    kp_buf_finish(&value);
}

/* set_config(name, value, for the transaction only); a value of NULL is the default. */
static void set_config(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_catalog_facts *facts = facts_of(call);
    struct kp_buf value = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_error err;
        value.len = 0;
        ((struct kp_text *)out->data)[i] = kp_text_make("", 0);
        if (kp_vec_is_null(args[0], i) || !facts) {
            kp_call_fail(call, i, "22004", "SET requires parameter name");
            continue;
        }
        bool local = !kp_vec_is_null(args[2], i) && FN_AT(uint8_t, 2, i);
        const char *to = kp_vec_is_null(args[1], i) ? NULL : text_at(call, args[1], i);
        kp_error_clear(&err);
        if (facts->set(facts->arg, text_at(call, args[0], i), to, local, &value, &err) == KP_OK)
            ((struct kp_text *)out->data)[i] = fn_text(call, value.data, value.len);
        else
            kp_call_fail(call, i, err.sqlstate, "%s", err.message);
    }
    kp_buf_finish(&value);
}

/* PostgreSQL's encodings, by number. */
static const char *const encodings[] = {
    "SQL_ASCII",     "EUC_JP",  "EUC_CN",  "EUC_KR",  "EUC_TW",     "EUC_JIS_2004", "UTF8",
    "MULE_INTERNAL", "LATIN1",  "LATIN2",  "LATIN3",  "LATIN4",     "LATIN5",       "LATIN6",
    "LATIN7",        "LATIN8",  "LATIN9",  "LATIN10", "WIN1256",    "WIN1258",      "WIN866",
    "WIN874",        "KOI8R",   "WIN1251", "WIN1252", "ISO_8859_5", "ISO_8859_6",   "ISO_8859_7",
    "ISO_8859_8",    "WIN1250", "WIN1253", "WIN1254", "WIN1255",    "WIN1257",      "KOI8U",
    "SJIS",          "BIG5",    "GBK",     "UHC",     "GB18030",    "JOHAB",        "SHIFT_JIS_2004"};

/* Whether letters and digits are the same, case aside. */
static bool is_encoding(struct kp_str text, const char *name)
{
    size_t at = 0;
    for (; *name; name++) {
        if (!isalnum((unsigned char)*name))
            continue;
        while (at < text.len && !isalnum((unsigned char)text.ptr[at]))
            at++;
        if (at == text.len || tolower((unsigned char)text.ptr[at]) != tolower((unsigned char)*name))
            return false;
        at++;
    }
    while (at < text.len && !isalnum((unsigned char)text.ptr[at]))
        at++;
    return at == text.len;
}

/* pg_char_to_encoding(name) */
static void encoding_number(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    static const struct {
        const char *name;
        int32_t number;
    } others[] = {
        {"unicode", 6},      {"iso88591", 8},     {"iso88592", 9},     {"iso88593", 10},    {"iso88594", 11},
        {"iso88599", 12},    {"iso885910", 13},   {"iso885913", 14},   {"iso885914", 15},   {"iso885915", 16},
        {"iso885916", 17},   {"windows1256", 18}, {"abc", 19},         {"tcvn", 19},        {"tcvn5712", 19},
        {"vscii", 19},       {"windows1258", 19}, {"alt", 20},         {"windows866", 20},  {"windows874", 21},
        {"koi8", 22},        {"win", 23},         {"windows1251", 23}, {"windows1252", 24}, {"windows1250", 29},
        {"windows1253", 30}, {"windows1254", 31}, {"windows1255", 32}, {"windows1257", 33}, {"mskanji", 35},
        {"shiftjis", 35},    {"win932", 35},      {"windows932", 35},  {"win950", 36},      {"windows950", 36},
        {"win936", 37},      {"windows936", 37},  {"win949", 38},      {"windows949", 38}};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = kp_text_str(&FN_AT(struct kp_text, 0, i));
        int32_t number = -1;
        for (size_t n = 0; n < KP_COUNT(encodings); n++)
            if (is_encoding(text, encodings[n]))
                number = (int32_t)n;
        for (size_t n = 0; n < KP_COUNT(others); n++)
            if (is_encoding(text, others[n].name))
                number = others[n].number;
        ((int32_t *)out->data)[i] = number;
    }
}

static void encoding_name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        uint32_t encoding = FN_AT(uint32_t, 0, i);
        const char *name = encoding < KP_COUNT(encodings) ? encodings[encoding] : "";
        ((struct kp_text *)out->data)[i] = fn_text(call, name, strlen(name));
    }
}

#define FACT(name_, flags_, ret_, kernel_, doc_, count_, ...)                                                          \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT | (flags_), .arg_count = count_,                   \
        .args = {__VA_ARGS__}, .ret = ret_, .kernel = kernel_, .doc = doc_                                             \
    }
#define ASKS(name_, ret_, kernel_, doc_, count_, ...) FACT(name_, KP_VOLATILE, ret_, kernel_, doc_, count_, __VA_ARGS__)
#define REG(type_, name_, how_)                                                                                        \
    {.name = "text",                                                                                                   \
     .kind = KP_FUNC_CAST,                                                                                             \
     .flags = KP_STRICT | KP_VOLATILE | KP_CAST_ASSIGNMENT,                                                            \
     .arg_count = 1,                                                                                                   \
     .args = {type_},                                                                                                  \
     .ret = KP_TEXT,                                                                                                   \
     .kernel = name_##_text,                                                                                           \
     .doc = "the name"},                                                                                               \
        {.name = #name_,                                                                                               \
         .kind = KP_FUNC_CAST,                                                                                         \
         .flags = KP_STRICT | KP_VOLATILE | KP_CAN_FAIL | (how_),                                                      \
         .arg_count = 1,                                                                                               \
         .args = {KP_TEXT},                                                                                            \
         .ret = type_,                                                                                                 \
         .kernel = text_##name_,                                                                                       \
         .doc = "what has this name"},                                                                                 \
        ASKS("to_" #name_, type_, to_##name_, "what has this name, NULL if nothing", 1, KP_TEXT)

static const struct kp_func funcs[] = {
    {.name = "format_type",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_STABLE, /* domains come and go */
     .arg_count = 2,
     .args = {KP_OID, KP_INT4},
     .ret = KP_TEXT,
     .kernel = format_type,
     .doc = "a type's name as SQL writes it"},
    REG(KP_REGCLASS, regclass, KP_CAST_IMPLICIT),
    REG(KP_REGTYPE, regtype, 0),
    REG(KP_REGNAMESPACE, regnamespace, 0),
    REG(KP_REGPROC, regproc, 0),
    REG(KP_REGROLE, regrole, 0),
    REG(KP_REGPROCEDURE, regprocedure, 0),
    ASKS("pg_sequence_last_value", KP_INT8, sequence_last, "the last number that was drawn", 1, KP_REGCLASS),
    ASKS("pg_get_viewdef", KP_TEXT, view_definition, "a view's query", 1, KP_REGCLASS),
    ASKS("pg_get_viewdef", KP_TEXT, view_definition, "a view's query", 2, KP_REGCLASS, KP_BOOL),
    ASKS("pg_get_indexdef", KP_TEXT, index_definition, "an index as SQL", 1, KP_OID),
    ASKS("pg_get_indexdef", KP_TEXT, index_column, "an index, or one of its columns", 3, KP_OID, KP_INT4, KP_BOOL),
    ASKS("pg_get_constraintdef", KP_TEXT, constraint_definition, "a constraint as SQL", 1, KP_OID),
    ASKS("pg_get_constraintdef", KP_TEXT, constraint_definition, "a constraint as SQL", 2, KP_OID, KP_BOOL),
    ASKS("pg_get_function_result", KP_TEXT, function_result, "what a function yields", 1, KP_OID),
    ASKS("pg_get_function_arguments", KP_TEXT, function_arguments, "what a function takes", 1, KP_OID),
    ASKS("pg_get_function_identity_arguments", KP_TEXT, function_identity, "what a function takes", 1, KP_OID),
    ASKS("pg_get_function_sqlbody", KP_TEXT, nothing, "NULL: no function is written in SQL", 1, KP_OID),
    ASKS("pg_get_functiondef", KP_TEXT, function_definition, "the statement that makes a function", 1, KP_OID),
    ASKS("pg_get_ruledef", KP_TEXT, nothing, "NULL: there are no rules", 1, KP_OID),
    ASKS("pg_get_ruledef", KP_TEXT, nothing, "NULL: there are no rules", 2, KP_OID, KP_BOOL),
    ASKS("pg_get_triggerdef", KP_TEXT, nothing, "NULL: there are no triggers", 1, KP_OID),
    ASKS("pg_get_triggerdef", KP_TEXT, nothing, "NULL: there are no triggers", 2, KP_OID, KP_BOOL),
    ASKS("pg_get_partkeydef", KP_TEXT, nothing, "NULL: nothing is partitioned", 1, KP_OID),
    ASKS("pg_get_statisticsobjdef", KP_TEXT, nothing, "NULL: there are no statistics objects", 1, KP_OID),
    ASKS("pg_get_statisticsobjdef_columns", KP_TEXT, nothing, "NULL: there are no statistics objects", 1, KP_OID),
    ASKS("obj_description", KP_TEXT, object_description, "what is said about an object", 2, KP_OID, KP_NAME),
    ASKS("obj_description", KP_TEXT, object_description, "what is said about an object", 1, KP_OID),
    ASKS("col_description", KP_TEXT, column_description, "what is said about a column", 2, KP_OID, KP_INT4),
    ASKS("shobj_description", KP_TEXT, object_description, "what is said about a database or role", 2, KP_OID, KP_NAME),
    ASKS("pg_table_is_visible", KP_BOOL, table_is_visible, "whether the name alone leads to it", 1, KP_OID),
    ASKS("pg_relation_size", KP_INT8, relation_bytes, "memory of its rows, or bytes of its topic", 1, KP_REGCLASS),
    ASKS("pg_table_size", KP_INT8, relation_bytes, "memory of its rows, or bytes of its topic", 1, KP_REGCLASS),
    ASKS("pg_total_relation_size", KP_INT8, relation_bytes, "memory of its rows, or bytes of its topic", 1,
         KP_REGCLASS),
    ASKS("pg_indexes_size", KP_INT8, no_bytes, "0: keys lie with the rows", 1, KP_REGCLASS),
    ASKS("pg_stat_get_numscans", KP_INT8, nothing, "NULL: scans are not counted", 1, KP_OID),
    ASKS("pg_database_size", KP_INT8, database_bytes, "bytes of the log", 1, KP_NAME),
    ASKS("pg_database_size", KP_INT8, database_bytes, "bytes of the log", 1, KP_OID),
    ASKS("pg_get_expr", KP_TEXT, expression_text, "an expression of the catalog as text", 2, KP_TEXT, KP_OID),
    ASKS("pg_get_expr", KP_TEXT, expression_text, "an expression of the catalog as text", 3, KP_TEXT, KP_OID, KP_BOOL),
    FACT("pg_encoding_to_char", 0, KP_TEXT, encoding_name, "an encoding's name", 1, KP_INT4),
    FACT("pg_char_to_encoding", 0, KP_INT4, encoding_number, "an encoding's number, -1 if there is none", 1, KP_NAME),
    ASKS("pg_tablespace_size", KP_INT8, database_bytes, "bytes of the log", 1, KP_OID),
    FACT("current_setting", KP_VOLATILE | KP_CAN_FAIL, KP_TEXT, current_setting, "a setting's value", 1, KP_TEXT),
    FACT("current_setting", KP_VOLATILE | KP_CAN_FAIL, KP_TEXT, current_setting, "a setting's value, NULL if unknown",
         2, KP_TEXT, KP_BOOL),
    {.name = "set_config",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_VOLATILE | KP_CAN_FAIL,
     .arg_count = 3,
     .args = {KP_TEXT, KP_TEXT, KP_BOOL},
     .ret = KP_TEXT,
     .kernel = set_config,
     .doc = "sets it, for the session or the transaction"},
    ASKS("array_to_string", KP_TEXT, array_to_string, "elements joined, NULLs left out", 2, KP_TEXT, KP_TEXT),
    ASKS("array_to_string", KP_TEXT, array_to_string, "elements joined, NULLs as given", 3, KP_TEXT, KP_TEXT, KP_TEXT),
    ASKS("array_remove", KP_TEXT, array_remove, "without equal elements", 2, KP_TEXT, KP_TEXT),
    FACT("quote_ident", 0, KP_TEXT, quote_ident, "as an SQL name", 1, KP_TEXT),
};
KP_FUNCTIONS(catalog, funcs);
