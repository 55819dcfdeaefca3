/* What the functions about the catalog ask: names of numbers, definitions, sizes. */
#include "db/sequence.h"
#include "db/system.h"
#include "sql/describe.h"

#include <stdlib.h>
#include <strings.h>

enum { TRIGGER = 2279 };

/* ---- definitions ---- */

/* Past a string, a quoted name or a comment that begins at `at`; at itself if there is none. */
static const char *skip_quoted(const char *at)
{
    if (*at == '\'' || *at == '"') {
        char quote = *at++;
        while (*at && *at != quote)
            at++;
        return *at ? at + 1 : at;
    }
    if (at[0] == '-' && at[1] == '-')
        return at + strcspn(at, "\n");
    if (at[0] == '/' && at[1] == '*') {
        const char *end = strstr(at + 2, "*/");
        return end ? end + 2 : at + strlen(at);
    }
    return at;
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* CREATE … VIEW name (columns) AS query: behind the first AS outside of quotes and parentheses. */
struct kp_str kp_system_query_of(const struct kp_relation *relation)
{
    const char *at = relation->text ? relation->text : "";
    int depth = 0;
    bool word = false;
    while (*at) {
        const char *next = skip_quoted(at);
        if (next != at) {
            at = next;
            word = false;
            continue;
        }
        if (!word && depth == 0 && (at[0] == 'a' || at[0] == 'A') && (at[1] == 's' || at[1] == 'S') &&
            !is_word_byte(at[2])) {
            at += 2;
            break;
        }
        depth += (*at == '(') - (*at == ')');
        word = is_word_byte(*at);
        at++;
    }
    size_t len = strlen(at);
    while (len && strchr("; \t\r\n", at[len - 1]))
        len--;
    return (struct kp_str){at, len};
}

/* The word, quoted name, or other byte at `at`; behind it. */
static const char *next_token(const char *at, struct kp_str *ret_token)
{
    const char *end = skip_quoted(at);
    if (end == at)
        while (is_word_byte(*end))
            end++;
    end += end == at && *at;
    *ret_token = (struct kp_str){at, (size_t)(end - at)};
    return end;
}

static bool is_word(struct kp_str token, const char *word)
{
    return token.len == strlen(word) && strncasecmp(token.ptr, word, token.len) == 0;
}

/* Behind the parenthesis that closes the one at `at`. */
static const char *skip_parentheses(const char *at)
{
    struct kp_str token;
    int depth = 0;
    do {
        at = next_token(at, &token);
        depth += token.len == 1 ? (token.ptr[0] == '(') - (token.ptr[0] == ')') : 0;
    } while (*at && depth > 0);
    return at;
}

static void name_check(const struct kp_relation *domain, struct kp_str given, uint32_t unnamed, struct kp_buf *out)
{
    if (!given.len && unnamed)
        kp_buf_printf(out, "%s_check%u", domain->name, unnamed);
    else if (!given.len)
        kp_buf_printf(out, "%s_check", domain->name);
    else if (given.ptr[0] == '"')
        kp_buf_append(out, given.ptr + 1, given.len - 2);
    else
        for (size_t i = 0; i < given.len; i++)
            kp_buf_append_byte(
                out, (uint8_t)(given.ptr[i] >= 'A' && given.ptr[i] <= 'Z' ? given.ptr[i] | 0x20 : given.ptr[i]));
}

bool kp_system_domain_check(const struct kp_relation *domain, uint32_t n, bool *ret_not_null, struct kp_buf *ret_name,
                            struct kp_buf *ret_text)
{
    const char *at = domain->text ? domain->text : "";
    struct kp_str token, before = {0}, name = {0};
    bool naming = false, found = false;
    uint32_t unnamed = 0;
    *ret_not_null = false;
    while (*at) {
        const char *begin = at;
        at = next_token(at, &token);
        if (strchr(" \t\r\n", token.ptr[0]) || (token.len > 1 && (token.ptr[0] == '-' || token.ptr[0] == '/')))
            continue;
        *ret_not_null |= is_word(token, "null") && is_word(before, "not");
        if (naming)
            name = token;
        naming = is_word(token, "constraint");
        if (token.ptr[0] == '(')
            at = skip_parentheses(begin);
        if (is_word(before, "check") && token.ptr[0] == '(') {
            if (n-- == 0) {
                name_check(domain, name, unnamed, ret_name);
                kp_buf_append_text(ret_text, "CHECK ");
                kp_buf_append(ret_text, begin, (size_t)(at - begin));
                found = true;
            }
            unnamed += name.len == 0;
            name.len = 0;
        }
        before = token;
    }
    return found;
}

static void print_relation(const struct kp_relation *relation, bool qualified, const char *suffix, struct kp_buf *out)
{
    if (qualified) {
        kp_name_quote(kp_str(relation->schema), out);
        kp_buf_append_byte(out, '.');
    }
    struct kp_buf name = {0};
    kp_buf_printf(&name, "%s%s", relation->name, suffix);
    kp_name_quote((struct kp_str){(const char *)name.data, name.len}, out);
    kp_buf_finish(&name);
}

void kp_system_index_print(const struct kp_relation *relation, struct kp_buf *out)
{
    kp_buf_append_text(out, "CREATE UNIQUE INDEX ");
    print_relation(relation, false, "_pkey", out);
    kp_buf_append_text(out, " ON ");
    print_relation(relation, true, "", out);
    kp_buf_append_text(out, " USING hash (");
    kp_system_key_print(relation, true, ", ", out);
    kp_buf_append_byte(out, ')');
}

/* ---- relations; under the catalog's lock ---- */

/* Tables of kappa are found by their name alone, but lists of what a user has (psql's \d) are better without them. */
static bool is_visible(const struct kp_catalog *catalog, const struct kp_relation *relation)
{
    if (relation->kind == KP_RELATION_TYPE)
        return true;
    return strcmp(relation->schema, "kappa") != 0 &&
           kp_catalog_find(catalog, (struct kp_str){0}, kp_str(relation->name)) == relation;
}

/* The relation of a number, or the table whose key it numbers. */
static const struct kp_relation *relation_of(const struct kp_catalog *catalog, uint32_t oid, bool *ret_key)
{
    const struct kp_relation *relation = kp_catalog_find_id(catalog, oid);
    *ret_key = !relation && oid > KP_OID_KEYS;
    if (*ret_key)
        relation = kp_catalog_find_id(catalog, oid - KP_OID_KEYS);
    return relation && *ret_key && !kp_system_has_key(relation) ? NULL : relation;
}

static bool relation_text(const struct kp_catalog *catalog, enum kp_fact fact, uint32_t oid, int32_t sub,
                          struct kp_buf *out)
{
    bool key;
    const struct kp_relation *relation = relation_of(catalog, oid, &key);
    if (!relation)
        return false;
    switch (fact) {
    case KP_FACT_RELATION:
        print_relation(relation, !is_visible(catalog, relation), key ? "_pkey" : "", out);
        return true;
    case KP_FACT_VIEW_DEFINITION: {
        struct kp_str query = kp_system_query_of(relation);
        if (key || (relation->kind != KP_RELATION_VIEW && relation->kind != KP_RELATION_PLAIN_VIEW))
            return false;
        kp_buf_append(out, query.ptr, query.len);
        kp_buf_append_byte(out, ';');
        return true;
    }
    case KP_FACT_INDEX_DEFINITION:
        if (key && sub == 0)
            kp_system_index_print(relation, out);
        else if (key && sub > 0 && (uint32_t)sub <= relation->key_count)
            kp_name_quote(kp_str(relation->cols[relation->keys[sub - 1]].name), out);
        return key;
    case KP_FACT_CONSTRAINT_DEFINITION:
        if (key) {
            kp_buf_append_text(out, "PRIMARY KEY (");
            kp_system_key_print(relation, true, ", ", out);
            kp_buf_append_byte(out, ')');
        }
        return key;
    case KP_FACT_RELATION_DESCRIPTION: {
        const char *doc = key ? NULL : kp_system_doc(relation, sub);
        kp_buf_append_text(out, doc ? doc : "");
        return doc != NULL;
    }
    default:
        return false;
    }
}

/* A CHECK by its number. */
static bool check_text(const struct kp_catalog *catalog, uint32_t oid, struct kp_buf *out)
{
    if (oid < KP_OID_CHECKS || oid >= KP_OID_FUNCTIONS)
        return false;
    const struct kp_relation *relation = kp_catalog_find_id(catalog, (oid - KP_OID_CHECKS) / KP_OID_CHECKS_EACH);
    uint32_t n = (oid - KP_OID_CHECKS) % KP_OID_CHECKS_EACH;
    struct kp_buf name = {0}; /* or the condition */
    bool not_null, known = false;
    if (relation && relation->kind == KP_RELATION_DOMAIN) {
        known = kp_system_domain_check(relation, n, &not_null, &name, out);
    } else if (relation && n < relation->check_count && !relation->checks[n].domain) {
        kp_expr_print(relation->checks[n].expr, relation->cols, &name);
        kp_buf_append_byte(&name, 0);
        const char *condition = (const char *)name.data;
        bool around = condition[0] == '(' && !*skip_parentheses(condition); /* it has its own */
        kp_buf_append_text(out, around ? "CHECK " : "CHECK (");
        kp_buf_append_text(out, condition);
        kp_buf_append_text(out, around ? "" : ")");
        known = true;
    }
    kp_buf_finish(&name);
    return known;
}

static bool domain_name(const struct kp_catalog *catalog, uint32_t oid, struct kp_buf *out)
{
    bool array = oid > KP_DOMAIN_ARRAYS;
    const struct kp_relation *domain = kp_catalog_find_id(catalog, array ? oid - KP_DOMAIN_ARRAYS : oid);
    if (!domain || domain->kind != KP_RELATION_DOMAIN)
        return false;
    kp_name_quote(kp_str(domain->name), out);
    kp_buf_append_text(out, array ? "[]" : "");
    return true;
}

/* ---- functions ---- */

static const char *type_text(enum kp_type_id id)
{
    return kp_type_info(id)->name;
}

static bool function_text(enum kp_fact fact, uint32_t oid, struct kp_buf *out)
{
    struct kp_system_function function;
    if (oid == KP_OID_ARRAY_IN && fact == KP_FACT_FUNCTION) {
        kp_buf_append_text(out, "array_in");
        return true;
    }
    if (oid < KP_OID_FUNCTIONS || !kp_system_function(oid - KP_OID_FUNCTIONS, &function))
        return false;
    switch (fact) {
    case KP_FACT_FUNCTION:
        kp_buf_append_text(out, function.name);
        return true;
    case KP_FACT_FUNCTION_SIGNATURE:
        kp_buf_append_text(out, function.name);
        for (uint32_t i = 0; i < function.arg_count; i++)
            kp_buf_printf(out, "%c%s", i ? ',' : '(', type_text(function.args[i]));
        kp_buf_append_text(out, function.arg_count ? ")" : "()");
        return true;
    case KP_FACT_FUNCTION_RESULT:
        kp_buf_append_text(out, type_text(function.ret));
        return true;
    case KP_FACT_FUNCTION_ARGUMENTS:
    case KP_FACT_FUNCTION_IDENTITY:
        for (uint32_t i = 0; i < function.arg_count; i++)
            kp_buf_printf(out, "%s%s%s", i ? ", " : "",
                          function.flags & KP_VARIADIC && i + 1 == function.arg_count ? "VARIADIC " : "",
                          type_text(function.args[i]));
        if (function.aggregate && function.arg_count == 0)
            kp_buf_append_byte(out, '*');
        return true;
    case KP_FACT_FUNCTION_DEFINITION: /* built in */
        return false;
    default:
        if (function.doc)
            kp_buf_append_text(out, function.doc);
        return function.doc;
    }
}

/* name(type,type) of numbers parted by blanks. */
static void print_signature(const struct kp_function_facts *facts, struct kp_buf *out)
{
    const char *at = facts->arg_oids;
    kp_buf_append_text(out, facts->name);
    kp_buf_append_byte(out, '(');
    for (uint32_t i = 0; i < facts->arg_count; i++) {
        char *end;
        kp_buf_printf(out, "%s%s", i ? "," : "", type_text(kp_type_by_oid((uint32_t)strtoul(at, &end, 10))));
        at = end;
    }
    kp_buf_append_byte(out, ')');
}

/* Of one that a statement made. */
static bool own_function_text(struct kp_session *session, enum kp_fact fact, uint32_t oid, struct kp_buf *out)
{
    struct kp_sql_context context;
    struct kp_function_facts facts;
    struct kp_error ignored;
    struct kp_arena arena = {0};
    kp_session_context(session, &context);
    kp_catalog_read(session->db->catalog);
    const struct kp_relation *object = kp_catalog_find_id(session->db->catalog, oid);
    bool known = object && object->kind == KP_RELATION_FUNCTION &&
                 kp_sql_describe_function(&context, object, &arena, &facts, &ignored) == KP_OK;
    if (known && fact == KP_FACT_FUNCTION_SIGNATURE)
        print_signature(&facts, out);
    else if (known)
        kp_buf_append_text(out, fact == KP_FACT_FUNCTION              ? facts.name
                                : fact == KP_FACT_FUNCTION_RESULT     ? facts.result
                                : fact == KP_FACT_FUNCTION_ARGUMENTS  ? facts.arguments
                                : fact == KP_FACT_FUNCTION_IDENTITY   ? facts.identity
                                : fact == KP_FACT_FUNCTION_DEFINITION ? facts.definition
                                                                      : "");
    if (fact == KP_FACT_FUNCTION_DESCRIPTION)
        known = kp_system_comment(session, fact, oid, 0, out);
    kp_catalog_unlock(session->db->catalog);
    kp_arena_finish(&arena);
    return known;
}

/* Its number by its name, or name and types; false: there is none, or there are several. */
static bool find_own_function(struct kp_session *session, struct kp_str name, uint32_t *ret_oid)
{
    struct kp_catalog *catalog = session->db->catalog;
    uint32_t found = 0;
    kp_catalog_read(catalog);
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *object = kp_catalog_at(catalog, i);
        if (object->kind != KP_RELATION_FUNCTION || !kp_str_equal(name, kp_str(object->function)))
            continue;
        *ret_oid = object->id;
        found++;
    }
    kp_catalog_unlock(catalog);
    return found == 1;
}

/* One of the engine's own by name(types). */
static bool find_built_in(struct kp_str text, uint32_t *ret_oid)
{
    enum kp_type_id types[KP_FUNCTION_ARGS_MAX];
    struct kp_system_function function;
    uint32_t count = 0;
    const char *at = memchr(text.ptr, '(', text.len), *end = text.ptr + text.len;
    struct kp_str name = {text.ptr, (size_t)(at - text.ptr)}, schema = KP_STR("pg_catalog.");
    if (name.len > schema.len && memcmp(name.ptr, schema.ptr, schema.len) == 0)
        name.ptr += schema.len, name.len -= schema.len;
    while (at < end && *at != ')') {
        const char *start = ++at;
        while (at < end && *at != ',' && *at != ')')
            at++;
        struct kp_str type = {start, (size_t)(at - start)};
        while (type.len && type.ptr[0] == ' ')
            type.ptr++, type.len--;
        while (type.len && type.ptr[type.len - 1] == ' ')
            type.len--;
        if (type.len == 0 && count == 0)
            break;
        if (count == KP_FUNCTION_ARGS_MAX || (types[count++] = kp_type_by_name(type)) == KP_TYPE_NONE)
            return false;
    }
    for (uint32_t n = 0; at + 1 == end && kp_system_function(n, &function); n++)
        if (function.arg_count == count && kp_str_equal(name, kp_str(function.name)) &&
            memcmp(types, function.args, count * sizeof *types) == 0) {
            *ret_oid = KP_OID_FUNCTIONS + n;
            return true;
        }
    return false;
}

/* name(types): the types by any of their names. */
static bool find_signature(struct kp_session *session, struct kp_str text, uint32_t *ret_oid)
{
    struct kp_sql_context context;
    struct kp_relation *function;
    struct kp_error ignored;
    struct kp_arena arena = {0};
    struct kp_str schema, last;
    const char *open = memchr(text.ptr, '(', text.len);
    kp_session_context(session, &context);
    kp_catalog_read(session->db->catalog);
    bool known = kp_name_parse((struct kp_str){text.ptr, (size_t)(open - text.ptr)}, &arena, &schema, &last) &&
                 kp_sql_find_function(&context, kp_arena_strndup(&arena, last.ptr, last.len),
                                      kp_arena_strndup(&arena, open, text.len - (size_t)(open - text.ptr)), &function,
                                      &ignored) == KP_OK;
    if (known)
        *ret_oid = function->id;
    kp_catalog_unlock(session->db->catalog);
    kp_arena_finish(&arena);
    return known;
}

/* ---- the callbacks ---- */

static bool namespace_text(uint32_t oid, struct kp_buf *out)
{
    static const char *const names[] = {"pg_catalog", "public", "information_schema", "kappa"};
    for (size_t i = 0; i < KP_COUNT(names); i++)
        if (kp_system_namespace(names[i]) == oid) {
            kp_buf_append_text(out, names[i]);
            return true;
        }
    return false;
}

static bool text(void *arg, enum kp_fact fact, uint32_t oid, int32_t sub, struct kp_buf *out)
{
    struct kp_session *session = arg;
    switch (fact) {
    case KP_FACT_TYPE:
        if (kp_type_by_oid(oid) == KP_TYPE_NONE)
            break;
        kp_buf_append_text(out, kp_type_info(kp_type_by_oid(oid))->name);
        return true;
    case KP_FACT_NAMESPACE:
        return namespace_text(oid, out);
    case KP_FACT_ROLE:
        if (oid == KP_OID_OWNER)
            kp_name_quote(kp_str(session->user), out);
        return oid == KP_OID_OWNER;
    case KP_FACT_FUNCTION:
    case KP_FACT_FUNCTION_RESULT:
    case KP_FACT_FUNCTION_ARGUMENTS:
    case KP_FACT_FUNCTION_DESCRIPTION:
    case KP_FACT_FUNCTION_DEFINITION:
    case KP_FACT_FUNCTION_SIGNATURE:
    case KP_FACT_FUNCTION_IDENTITY:
        return oid < KP_OID_FUNCTIONS && oid != KP_OID_ARRAY_IN ? own_function_text(session, fact, oid, out)
                                                                : function_text(fact, oid, out);
    default:
        break;
    }
    kp_catalog_read(session->db->catalog);
    bool known = fact == KP_FACT_TYPE ? domain_name(session->db->catalog, oid, out)
                                      : relation_text(session->db->catalog, fact, oid, sub, out) ||
                                            kp_system_comment(session, fact, oid, sub, out);
    if (!known && fact == KP_FACT_CONSTRAINT_DEFINITION)
        known = check_text(session->db->catalog, oid, out);
    kp_catalog_unlock(session->db->catalog);
    return known;
}

/* What it takes: the memory of rows, of a source the bytes of its topic. */
static int64_t relation_bytes(struct kp_db *db, const struct kp_relation *relation)
{
    struct kp_topic_info topic;
    struct kp_error ignored;
    struct kp_store_stats stats;
    if (relation->kind == KP_RELATION_SOURCE)
        return kp_log_topic_find(db->log, relation->topic, &topic, &ignored) == KP_OK ? (int64_t)topic.bytes : 0;
    if (relation->kind != KP_RELATION_TABLE && relation->kind != KP_RELATION_VIEW)
        return 0;
    struct kp_live *live = kp_live_of(relation);
    if (!live)
        return 0;
    kp_store_stats(live->store, &stats);
    return (int64_t)stats.bytes;
}

static bool last_of_sequence(struct kp_session *session, uint32_t oid, int64_t *ret_number)
{
    struct kp_db *db = session->db;
    struct kp_sequence state = {0};
    kp_mutex_lock(&db->sequence_mutex);
    kp_catalog_read(db->catalog);
    const struct kp_relation *relation = kp_catalog_find_id(db->catalog, oid);
    if (relation && relation->sequence)
        kp_sequence_state(session, relation, &state);
    kp_catalog_unlock(db->catalog);
    kp_mutex_unlock(&db->sequence_mutex);
    *ret_number = state.last;
    return state.called;
}

/* pg_get_serial_sequence(). */
static enum kp_code sequence_of(void *arg, struct kp_str table, struct kp_str column, struct kp_buf *out,
                                bool *ret_known, struct kp_error *err)
{
    const struct kp_session *session = arg;
    struct kp_catalog *catalog = session->db->catalog;
    struct kp_arena arena = {0};
    struct kp_str schema, name;
    const struct kp_relation *relation = NULL;
    enum kp_code code = KP_OK;
    uint32_t c = 0;
    kp_catalog_read(catalog);
    if (kp_name_parse(table, &arena, &schema, &name))
        relation = kp_catalog_find(catalog, schema, name);
    while (relation && c < kp_system_columns(relation) && !kp_str_equal(kp_str(relation->cols[c].name), column))
        c++;
    if (!relation)
        code = kp_fail(err, KP_NOT_FOUND, "42P01", "relation \"%.*s\" does not exist", (int)table.len, table.ptr);
    else if (c == kp_system_columns(relation))
        code = kp_fail(err, KP_NOT_FOUND, "42703", "column \"%.*s\" of relation \"%s\" does not exist", (int)column.len,
                       column.ptr, relation->name);
    for (size_t i = 0; code == KP_OK && i < kp_catalog_count(catalog) && !*ret_known; i++) {
        const struct kp_relation *owned = kp_catalog_at(catalog, i);
        *ret_known = kp_relation_is_owned(owned, relation) && owned->sequence->owner_column == c;
        if (*ret_known)
            print_relation(owned, true, "", out);
    }
    kp_catalog_unlock(catalog);
    kp_arena_finish(&arena);
    return code;
}

static bool number(void *arg, enum kp_fact fact, uint32_t oid, int64_t *ret_number)
{
    struct kp_session *session = arg;
    struct kp_db *db = session->db;
    if (fact == KP_FACT_DATABASE_BYTES) {
        struct kp_topic_info *topics;
        size_t count;
        kp_log_topics(db->log, &topics, &count);
        *ret_number = 0;
        for (size_t i = 0; i < count; i++)
            *ret_number += (int64_t)topics[i].bytes;
        kp_free(topics);
        return true;
    }
    if (fact == KP_FACT_SEQUENCE_LAST)
        return last_of_sequence(session, oid, ret_number);
    bool key;
    kp_catalog_read(db->catalog);
    const struct kp_relation *relation = relation_of(db->catalog, oid, &key);
    if (relation && fact == KP_FACT_RELATION_VISIBLE)
        *ret_number = is_visible(db->catalog, relation);
    else if (relation && fact == KP_FACT_RELATION_BYTES)
        *ret_number = key ? 0 : relation_bytes(db, relation);
    kp_catalog_unlock(db->catalog);
    return relation;
}

static bool find_relation(struct kp_catalog *catalog, struct kp_str schema, struct kp_str name, uint32_t *ret_oid)
{
    static const char suffix[] = "_pkey";
    size_t len = sizeof suffix - 1;
    kp_catalog_read(catalog);
    const struct kp_relation *relation = kp_catalog_find(catalog, schema, name);
    uint32_t base = 0;
    if (!relation && (!schema.len || kp_str_equal(schema, KP_STR("public")))) {
        relation = kp_catalog_find(catalog, kp_str(kp_relation_schema(KP_RELATION_TYPE)), name);
        relation = relation && kp_type_is_composite(relation->made.id) ? relation : NULL;
    }
    if (!relation && name.len > len && memcmp(name.ptr + name.len - len, suffix, len) == 0) {
        relation = kp_catalog_find(catalog, schema, (struct kp_str){name.ptr, name.len - len});
        base = KP_OID_KEYS;
        relation = relation && kp_system_has_key(relation) ? relation : NULL;
    }
    if (relation)
        *ret_oid = relation->id + base;
    kp_catalog_unlock(catalog);
    return relation;
}

static bool find_in(struct kp_session *session, enum kp_fact fact, struct kp_str schema, struct kp_str name,
                    uint32_t *ret_oid)
{
    static const char *const namespaces[] = {"pg_catalog", "public", "information_schema", "kappa"};
    struct kp_system_function function;
    switch (fact) {
    case KP_FACT_RELATION:
        return find_relation(session->db->catalog, schema, name, ret_oid);
    case KP_FACT_NAMESPACE:
        for (size_t i = 0; i < KP_COUNT(namespaces); i++)
            if (kp_str_equal(name, kp_str(namespaces[i]))) {
                *ret_oid = kp_system_namespace(namespaces[i]);
                return true;
            }
        return false;
    case KP_FACT_ROLE:
        *ret_oid = KP_OID_OWNER;
        return kp_str_equal(name, kp_str(session->user));
    case KP_FACT_FUNCTION:
        *ret_oid = KP_OID_ARRAY_IN; /* JDBC knows types of arrays by it */
        if (kp_str_equal(name, KP_STR("array_in")))
            return true;
        for (uint32_t n = 0; kp_system_function(n, &function); n++)
            if (kp_str_equal(name, kp_str(function.name))) {
                *ret_oid = KP_OID_FUNCTIONS + n;
                return true;
            }
        return find_own_function(session, name, ret_oid);
    default:
        return false;
    }
}

/* One that a statement made, or an array of it. */
static bool find_made_type(struct kp_session *session, struct kp_str schema, struct kp_str name, bool array,
                           uint32_t *ret_oid)
{
    struct kp_catalog *catalog = session->db->catalog;
    if (schema.len && !kp_str_equal(schema, KP_STR("public")))
        return false;
    kp_catalog_read(catalog);
    const struct kp_relation *type = kp_catalog_find(catalog, kp_str(kp_relation_schema(KP_RELATION_TYPE)), name);
    bool domain = type && type->kind == KP_RELATION_DOMAIN;
    if (type)
        *ret_oid = domain  ? type->id + (array ? KP_DOMAIN_ARRAYS : 0)
                   : array ? kp_type_info(kp_type_array_of(type->made.id))->oid
                           : kp_type_info(type->made.id)->oid;
    kp_catalog_unlock(catalog);
    return type;
}

static bool find(void *arg, enum kp_fact fact, struct kp_str name, uint32_t *ret_oid)
{
    struct kp_arena arena = {0};
    struct kp_str schema, last;
    bool known = false, array = name.len > 2 && memcmp(name.ptr + name.len - 2, "[]", 2) == 0;
    if (fact == KP_FACT_TYPE && kp_type_by_name(name) != KP_TYPE_NONE) { /* "double precision" is one name */
        *ret_oid = kp_type_info(kp_type_by_name(name))->oid;
        return true;
    }
    if (fact == KP_FACT_TYPE && array)
        name.len -= 2;
    if (fact == KP_FACT_FUNCTION && name.len && memchr(name.ptr, '(', name.len)) {
        known = find_built_in(name, ret_oid) || find_signature(arg, name, ret_oid);
    } else if (kp_name_parse(name, &arena, &schema, &last)) {
        known = find_in(arg, fact, schema, last, ret_oid);
        enum kp_type_id type = fact == KP_FACT_TYPE ? kp_type_by_name(last) : KP_TYPE_NONE;
        if (type != KP_TYPE_NONE) {
            *ret_oid = kp_type_info(array ? kp_type_array_of(type) : type)->oid;
            known = true;
        } else if (fact == KP_FACT_TYPE && find_made_type(arg, schema, last, array, ret_oid)) {
            known = true;
        } else if (!known && fact == KP_FACT_TYPE && kp_str_equal(last, KP_STR("trigger"))) {
            *ret_oid = TRIGGER; /* psql leaves functions out that return it */
            known = true;
        }
    }
    kp_arena_finish(&arena);
    return known;
}

void kp_system_facts(struct kp_session *session, struct kp_catalog_facts *ret_facts)
{
    *ret_facts = (struct kp_catalog_facts){.arg = session,
                                           .os = session->db->os,
                                           .cancelled = &session->cancelled,
                                           .text = text,
                                           .number = number,
                                           .setting = kp_settings_ask,
                                           .set = kp_settings_config,
                                           .find = find,
                                           .advisory = kp_advisory_act,
                                           .draw = kp_sequence_draw,
                                           .drawn = kp_sequence_drawn,
                                           .set_number = kp_sequence_set,
                                           .sequence_of = sequence_of};
}
