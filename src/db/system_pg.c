/*
 * pg_catalog: relations, their columns and keys, types, and what is around them, as PostgreSQL's clients ask for them.
 *
 * Sources and tables are tables (r), materialized views m, views and system tables v, sinks foreign tables (f). The
 * primary key of a table is an index and a constraint, table_pkey, numbered KP_OID_KEYS above the table.
 */
#include "db/system.h"
#include "vec/made.h"

#include <stdio.h>

enum { ACCESS_TABLE = 2, ACCESS_HASH = 405, SERVER = 1 };

uint32_t kp_system_namespace(const char *schema)
{
    if (strcmp(schema, "public") == 0)
        return KP_OID_PUBLIC;
    if (strcmp(schema, "kappa") == 0)
        return KP_OID_KAPPA;
    return strcmp(schema, "pg_catalog") == 0 ? KP_OID_PG_CATALOG : KP_OID_INFORMATION;
}

void kp_system_each_relation(struct kp_session *session, struct kp_system_rows *rows,
                             void (*fn)(struct kp_session *session, struct kp_system_rows *rows,
                                        const struct kp_relation *relation))
{
    struct kp_catalog *catalog = session->db->catalog;
    kp_catalog_read(catalog);
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *relation = kp_catalog_at(catalog, i);
        if (relation->kind < KP_RELATION_TYPE &&
            kp_catalog_find(catalog, kp_str(relation->schema), kp_str(relation->name)) == relation)
            fn(session, rows, relation);
    }
    kp_catalog_unlock(catalog);
}

void kp_system_key_print(const struct kp_relation *relation, bool names, const char *between, struct kp_buf *out)
{
    for (uint32_t k = 0; k < relation->key_count; k++) {
        if (k)
            kp_buf_append_text(out, between);
        if (names)
            kp_name_quote(kp_str(relation->cols[relation->keys[k]].name), out);
        else
            kp_buf_printf(out, "%u", relation->keys[k] + 1);
    }
}

static const char *key_name(struct kp_system_rows *rows, const struct kp_relation *relation)
{
    return kp_arena_printf(rows->arena, "%s_pkey", relation->name);
}

/* ---- schemas, the database, the user ---- */

static enum kp_code fill_namespace(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    static const char *const names[] = {"pg_catalog", "public", "information_schema", "kappa"};
    for (size_t i = 0; i < KP_COUNT(names); i++) {
        kp_system_row(rows);
        kp_system_set_int(rows, "oid", kp_system_namespace(names[i]));
        kp_system_set_text(rows, "nspname", names[i]);
        kp_system_set_int(rows, "nspowner", KP_OID_OWNER);
    }
    return KP_OK;
}

static enum kp_code fill_database(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", KP_OID_DATABASE);
    kp_system_set_text(rows, "datname", session->database);
    kp_system_set_int(rows, "datdba", KP_OID_OWNER);
    kp_system_set_int(rows, "encoding", 6); /* UTF8 */
    kp_system_set_text(rows, "datlocprovider", "c");
    kp_system_set_int(rows, "datallowconn", 1);
    kp_system_set_int(rows, "datconnlimit", -1);
    kp_system_set_int(rows, "dattablespace", 1663);
    kp_system_set_text(rows, "datcollate", "C");
    kp_system_set_text(rows, "datctype", "C.UTF-8");
    return KP_OK;
}

static enum kp_code fill_tablespace(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", 1663);
    kp_system_set_text(rows, "spcname", "pg_default");
    kp_system_set_int(rows, "spcowner", KP_OID_OWNER);
    return KP_OK;
}

static enum kp_code fill_roles(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    static const char *const may[] = {"rolsuper",    "rolinherit",     "rolcreaterole", "rolcreatedb",
                                      "rolcanlogin", "rolreplication", "rolbypassrls"};
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", KP_OID_OWNER);
    kp_system_set_text(rows, "rolname", session->user);
    kp_system_set_int(rows, "rolconnlimit", -1);
    for (size_t i = 0; i < KP_COUNT(may); i++)
        kp_system_set_int(rows, may[i], 1);
    return KP_OK;
}

static enum kp_code fill_user(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    static const char *const may[] = {"usecreatedb", "usesuper", "userepl", "usebypassrls"};
    kp_system_row(rows);
    kp_system_set_text(rows, "usename", session->user);
    kp_system_set_int(rows, "usesysid", KP_OID_OWNER);
    for (size_t i = 0; i < KP_COUNT(may); i++)
        kp_system_set_int(rows, may[i], 1);
    return KP_OK;
}

/* ---- relations ---- */

static const char *relkind(const struct kp_relation *relation)
{
    switch (relation->kind) {
    case KP_RELATION_VIEW:
        return "m";
    case KP_RELATION_PLAIN_VIEW:
    case KP_RELATION_SYSTEM:
        return "v";
    case KP_RELATION_SINK:
        return "f";
    case KP_RELATION_SEQUENCE:
        return "S";
    default:
        return "r";
    }
}

static void put_class_of(struct kp_system_rows *rows, uint32_t oid, const char *name, const char *schema,
                         const char *kind)
{
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", oid);
    kp_system_set_text(rows, "relname", name);
    kp_system_set_int(rows, "relnamespace", kp_system_namespace(schema));
    kp_system_set_int(rows, "relowner", KP_OID_OWNER);
    kp_system_set_int(rows, "relfilenode", oid);
    kp_system_set_int(rows, "reltuples", -1);
    kp_system_set_text(rows, "relpersistence", "p");
    kp_system_set_text(rows, "relkind", kind);
    kp_system_set_int(rows, "relispopulated", 1);
}

static int check_count(const struct kp_relation *relation)
{
    int count = 0;
    for (uint32_t i = 0; i < relation->check_count; i++)
        count += !relation->checks[i].domain;
    return count;
}

static void put_class(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    bool stored = relation->kind == KP_RELATION_VIEW || relation->kind == KP_RELATION_TABLE ||
                  relation->kind == KP_RELATION_SOURCE;
    put_class_of(rows, relation->id, relation->name, relation->schema, relkind(relation));
    kp_system_set_int(rows, "reltype", relation->sequence ? 0 : KP_OID_ROWS + relation->id);
    kp_system_set_int(rows, "relchecks", check_count(relation));
    kp_system_set_int(rows, "relam", stored ? ACCESS_TABLE : 0);
    kp_system_set_int(rows, "relnatts", kp_system_columns(relation));
    kp_system_set_int(rows, "relhasindex", kp_system_has_key(relation));
    kp_system_set_text(rows, "relreplident", stored ? "d" : "n");
    if (!kp_system_has_key(relation))
        return;
    put_class_of(rows, KP_OID_KEYS + relation->id, key_name(rows, relation), relation->schema, "i");
    kp_system_set_int(rows, "relam", ACCESS_HASH);
    kp_system_set_int(rows, "relnatts", relation->key_count);
    kp_system_set_text(rows, "relreplident", "n");
}

/* Composite types and their fields are among relations and columns; such a relation has the number that the type has in
 * the catalog, which is not pg_type's. */
static void put_composite_class(struct kp_system_rows *rows, const struct kp_relation *type)
{
    put_class_of(rows, type->id, type->name, "public", "c");
    kp_system_set_int(rows, "reltype", kp_type_info(type->made.id)->oid);
    kp_system_set_int(rows, "relnatts", kp_made_of(type->made.id)->count);
    kp_system_set_text(rows, "relreplident", "n");
}

static void each_composite(struct kp_session *session, struct kp_system_rows *rows,
                           void (*fn)(struct kp_system_rows *rows, const struct kp_relation *type))
{
    struct kp_catalog *catalog = session->db->catalog;
    kp_catalog_read(catalog);
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *type = kp_catalog_at(catalog, i);
        if (type->kind == KP_RELATION_TYPE && kp_type_is_composite(type->made.id))
            fn(rows, type);
    }
    kp_catalog_unlock(catalog);
}

static enum kp_code fill_class(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_class);
    each_composite(session, rows, put_composite_class);
    return KP_OK;
}

static const char *storage(const struct kp_type_info *info)
{
    return info->pg_len > 0 ? "p" : info->id == KP_NUMERIC ? "m" : "x";
}

static void put_attribute(struct kp_system_rows *rows, uint32_t oid, int position, const struct kp_column *column)
{
    const struct kp_type_info *info = kp_type_info(column->type.id);
    kp_system_row(rows);
    kp_system_set_int(rows, "attrelid", oid);
    kp_system_set_text(rows, "attname", column->name);
    kp_system_set_int(rows, "atttypid", info->oid);
    kp_system_set_int(rows, "attstattarget", -1);
    kp_system_set_int(rows, "attlen", info->pg_len);
    kp_system_set_int(rows, "attnum", position);
    kp_system_set_int(rows, "attcacheoff", -1);
    kp_system_set_int(rows, "atttypmod", column->type.mod);
    kp_system_set_int(rows, "attbyval", info->pg_len > 0 && info->pg_len <= 8);
    kp_system_set_text(rows, "attalign", info->pg_len == 8 ? "d" : "i");
    kp_system_set_text(rows, "attstorage", storage(info));
    kp_system_set_int(rows, "attislocal", 1);
    kp_system_set_int(rows, "attcollation", info->category == 'S' ? KP_OID_COLLATION : 0);
}

static bool in_key(const struct kp_relation *relation, uint32_t column)
{
    for (uint32_t k = 0; kp_system_has_key(relation) && k < relation->key_count; k++)
        if (relation->keys[k] == column)
            return true;
    return false;
}

/* Of views no column is known as NOT NULL to PostgreSQL either. */
static bool is_base(const struct kp_relation *relation)
{
    return relation->kind == KP_RELATION_TABLE || relation->kind == KP_RELATION_SOURCE;
}

static void put_attributes(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    for (uint32_t i = 0; i < kp_system_columns(relation); i++) {
        put_attribute(rows, relation->id, (int)i + 1, &relation->cols[i]);
        if (relation->cols[i].type.domain) {
            kp_system_set_int(rows, "atttypid", relation->cols[i].type.domain);
            kp_system_set_int(rows, "atttypmod", -1);
        }
        kp_system_set_int(rows, "attnotnull",
                          in_key(relation, i) || relation->sequence ||
                              (is_base(relation) && relation->cols[i].not_null));
        const struct kp_sequence *sequence = kp_relation_sequence(relation, i);
        kp_system_set_int(rows, "atthasdef",
                          (relation->defaults && relation->defaults[i]) || (sequence && !sequence->identity));
        if (sequence && sequence->identity)
            kp_system_set_text(rows, "attidentity", sequence->always ? "a" : "d");
    }
    for (uint32_t k = 0; kp_system_has_key(relation) && k < relation->key_count; k++)
        put_attribute(rows, KP_OID_KEYS + relation->id, (int)k + 1, &relation->cols[relation->keys[k]]);
}

static void put_fields(struct kp_system_rows *rows, const struct kp_relation *type)
{
    const struct kp_made *made = kp_made_of(type->made.id);
    for (uint32_t i = 0; i < made->count; i++) {
        struct kp_column column = {.name = made->names[i], .type = made->types[i]};
        put_attribute(rows, type->id, (int)i + 1, &column);
        if (type->domains && type->domains[i])
            kp_system_set_int(rows, "atttypid", kp_relation_domain_type(type->domains[i], column.type).domain);
    }
}

static enum kp_code fill_attribute(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_attributes);
    each_composite(session, rows, put_fields);
    return KP_OK;
}

static void put_defaults(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    struct kp_buf text = {0};
    for (uint32_t i = 0; i < kp_system_columns(relation); i++) {
        text.len = 0;
        if (!kp_system_default(session->db->catalog, relation, i, &text))
            continue;
        kp_system_row(rows);
        kp_system_set_int(rows, "oid", relation->id * 1600 + i);
        kp_system_set_int(rows, "adrelid", relation->id);
        kp_system_set_int(rows, "adnum", i + 1);
        kp_system_set_buf(rows, "adbin", &text);
    }
    kp_buf_finish(&text);
}

static enum kp_code fill_attrdef(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_defaults);
    return KP_OK;
}

/* ---- keys ---- */

static void put_index(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    static const char *const is[] = {"indisunique", "indisprimary", "indimmediate",
                                     "indisvalid",  "indisready",   "indislive"};
    struct kp_buf keys = {0}, zeros = {0};
    if (!kp_system_has_key(relation))
        return;
    kp_system_key_print(relation, false, " ", &keys);
    for (uint32_t k = 0; k < relation->key_count; k++)
        kp_buf_append_text(&zeros, k ? " 0" : "0");
    kp_system_row(rows);
    kp_system_set_int(rows, "indexrelid", KP_OID_KEYS + relation->id);
    kp_system_set_int(rows, "indrelid", relation->id);
    kp_system_set_int(rows, "indnatts", relation->key_count);
    kp_system_set_int(rows, "indnkeyatts", relation->key_count);
    for (size_t i = 0; i < KP_COUNT(is); i++)
        kp_system_set_int(rows, is[i], 1);
    kp_system_set_buf(rows, "indkey", &keys);
    kp_system_set_buf(rows, "indcollation", &zeros);
    kp_system_set_buf(rows, "indclass", &zeros);
    kp_system_set_buf(rows, "indoption", &zeros);
    kp_buf_finish(&keys);
    kp_buf_finish(&zeros);
}

static enum kp_code fill_index(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_index);
    return KP_OK;
}

static void put_constraint(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    struct kp_buf keys = {0};
    if (!kp_system_has_key(relation))
        return;
    kp_buf_append_byte(&keys, '{');
    kp_system_key_print(relation, false, ",", &keys);
    kp_buf_append_byte(&keys, '}');
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", KP_OID_KEYS + relation->id);
    kp_system_set_text(rows, "conname", key_name(rows, relation));
    kp_system_set_int(rows, "connamespace", kp_system_namespace(relation->schema));
    kp_system_set_text(rows, "contype", "p");
    kp_system_set_int(rows, "convalidated", 1);
    kp_system_set_int(rows, "conrelid", relation->id);
    kp_system_set_int(rows, "conindid", KP_OID_KEYS + relation->id);
    kp_system_set_int(rows, "conislocal", 1);
    kp_system_set_int(rows, "connoinherit", 1);
    kp_system_set_buf(rows, "conkey", &keys);
    kp_buf_finish(&keys);
}

static void put_check(struct kp_system_rows *rows, uint32_t oid, const char *name, uint32_t relation, uint32_t type,
                      const char *columns)
{
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", oid);
    kp_system_set_text(rows, "conname", name);
    kp_system_set_int(rows, "connamespace", KP_OID_PUBLIC);
    kp_system_set_text(rows, "contype", "c");
    kp_system_set_int(rows, "convalidated", 1);
    kp_system_set_int(rows, "conrelid", relation);
    kp_system_set_int(rows, "contypid", type);
    kp_system_set_int(rows, "conislocal", 1);
    kp_system_set_text(rows, "conkey", columns);
}

static bool mark_column(const struct kp_expr *expr, void *arg)
{
    if (expr->kind == KP_EXPR_COLUMN)
        ((bool *)arg)[expr->column] = true;
    return true;
}

static void put_checks(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    for (uint32_t i = 0; i < relation->check_count; i++) {
        if (relation->checks[i].domain)
            continue;
        bool *read = kp_arena_calloc(rows->arena, relation->col_count);
        struct kp_buf columns = {0};
        (void)kp_expr_walk(relation->checks[i].expr, mark_column, read);
        for (uint32_t c = 0; c < relation->col_count; c++)
            if (read[c])
                kp_buf_printf(&columns, "%c%u", columns.len ? ',' : '{', c + 1);
        kp_buf_append_text(&columns, columns.len ? "}" : "{}");
        kp_buf_append_byte(&columns, 0);
        put_check(rows, KP_OID_CHECKS + relation->id * KP_OID_CHECKS_EACH + i, relation->checks[i].name, relation->id,
                  0, (const char *)columns.data);
        kp_buf_finish(&columns);
    }
}

static void put_domain_checks(struct kp_system_rows *rows, const struct kp_relation *domain)
{
    struct kp_buf name = {0}, text = {0};
    bool not_null;
    for (uint32_t n = 0; kp_system_domain_check(domain, n, &not_null, &name, &text); n++) {
        kp_buf_append_byte(&name, 0);
        put_check(rows, KP_OID_CHECKS + domain->id * KP_OID_CHECKS_EACH + n, (const char *)name.data, 0, domain->id,
                  NULL);
        name.len = text.len = 0;
    }
    kp_buf_finish(&name);
    kp_buf_finish(&text);
}

static enum kp_code fill_constraint(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_constraint);
    kp_system_each_relation(session, rows, put_checks);
    kp_catalog_read(session->db->catalog);
    for (size_t i = 0; i < kp_catalog_count(session->db->catalog); i++)
        if (kp_catalog_at(session->db->catalog, i)->kind == KP_RELATION_DOMAIN)
            put_domain_checks(rows, kp_catalog_at(session->db->catalog, i));
    kp_catalog_unlock(session->db->catalog);
    return KP_OK;
}

static enum kp_code fill_am(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", ACCESS_TABLE);
    kp_system_set_text(rows, "amname", "kappa");
    kp_system_set_text(rows, "amtype", "t");
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", ACCESS_HASH);
    kp_system_set_text(rows, "amname", "hash");
    kp_system_set_text(rows, "amtype", "i");
    return KP_OK;
}

/* ---- sinks are foreign tables of the server "log" ---- */

static void put_sink(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    if (relation->kind != KP_RELATION_SINK)
        return;
    kp_system_row(rows);
    kp_system_set_int(rows, "ftrelid", relation->id);
    kp_system_set_int(rows, "ftserver", SERVER);
}

static enum kp_code fill_foreign_table(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_sink);
    return KP_OK;
}

static enum kp_code fill_foreign_server(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", SERVER);
    kp_system_set_text(rows, "srvname", "log");
    kp_system_set_int(rows, "srvowner", KP_OID_OWNER);
    kp_system_set_int(rows, "srvfdw", SERVER);
    return KP_OK;
}

static enum kp_code fill_foreign_data_wrapper(struct kp_session *session, struct kp_system_rows *rows,
                                              struct kp_error *err)
{
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", SERVER);
    kp_system_set_text(rows, "fdwname", "sink");
    kp_system_set_int(rows, "fdwowner", KP_OID_OWNER);
    return KP_OK;
}

/* ---- types, collations ---- */

static void fill_one_type(struct kp_system_rows *rows, enum kp_type_id id, uint32_t schema)
{
    const struct kp_type_info *info = kp_type_info(id);
    char category[2] = {info->category, '\0'};
    bool array = kp_type_is_array(id);
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", info->oid);
    kp_system_set_text(rows, "typname", info->short_name);
    kp_system_set_int(rows, "typnamespace", schema);
    kp_system_set_int(rows, "typowner", KP_OID_OWNER);
    kp_system_set_int(rows, "typlen", info->pg_len);
    kp_system_set_int(rows, "typbyval", info->pg_len > 0 && info->pg_len <= 8);
    kp_system_set_text(rows, "typtype",
                       info->category == 'P' || id == KP_UNKNOWN ? "p"
                       : kp_type_is_enum(id)                     ? "e"
                       : kp_type_is_composite(id)                ? "c"
                                                                 : "b");
    kp_system_set_text(rows, "typcategory", category);
    kp_system_set_int(rows, "typispreferred", info->preferred);
    kp_system_set_int(rows, "typisdefined", 1);
    kp_system_set_text(rows, "typdelim", ",");
    kp_system_set_int(rows, "typelem", array ? kp_type_info(kp_type_element(id))->oid : 0);
    kp_system_set_int(rows, "typinput", array && !kp_type_is_vector(id) ? KP_OID_ARRAY_IN : 0);
    bool has_array = !array && (id >= KP_MADE_BASE || id < KP_TYPE_COUNT) &&
                     kp_type_is_array(kp_type_info(kp_type_array_of(id))->id);
    kp_system_set_int(rows, "typarray", has_array ? kp_type_info(kp_type_array_of(id))->oid : 0);
    kp_system_set_text(rows, "typalign", info->pg_len == 8 ? "d" : "i");
    kp_system_set_text(rows, "typstorage", storage(info));
    kp_system_set_int(rows, "typtypmod", -1);
    kp_system_set_int(rows, "typcollation", info->category == 'S' ? KP_OID_COLLATION : 0);
}

/* Of a domain its own row; its oid is the relation's, for it has no type of its own. */
static void fill_domain(struct kp_system_rows *rows, const struct kp_relation *domain)
{
    const struct kp_type_info *base = kp_type_info(domain->made.id);
    char category[2] = {base->category, '\0'};
    kp_system_row(rows);
    kp_system_set_int(rows, "oid", domain->id);
    kp_system_set_text(rows, "typname", domain->name);
    kp_system_set_int(rows, "typnamespace", KP_OID_PUBLIC);
    kp_system_set_int(rows, "typowner", KP_OID_OWNER);
    kp_system_set_int(rows, "typlen", base->pg_len);
    kp_system_set_text(rows, "typtype", "d");
    kp_system_set_text(rows, "typcategory", category);
    kp_system_set_int(rows, "typisdefined", 1);
    kp_system_set_text(rows, "typdelim", ",");
    kp_system_set_int(rows, "typbasetype", domain->made.domain ? domain->made.domain : base->oid);
    kp_system_set_int(rows, "typarray", kp_type_is_array(base->id) ? 0 : domain->id + KP_DOMAIN_ARRAYS);
    kp_system_set_int(rows, "typtypmod", domain->made.mod);
    kp_system_set_int(rows, "typcollation", base->category == 'S' ? KP_OID_COLLATION : 0);
    bool not_null;
    struct kp_buf name = {0}, text = {0};
    (void)kp_system_domain_check(domain, 0, &not_null, &name, &text);
    kp_system_set_int(rows, "typnotnull", not_null);
    kp_buf_finish(&name);
    kp_buf_finish(&text);
}

/* The arrays of a domain, which lie like those of its base type. */
static void fill_domain_array(struct kp_system_rows *rows, const struct kp_relation *domain)
{
    if (kp_type_is_array(domain->made.id))
        return;
    fill_one_type(rows, kp_type_array_of(domain->made.id), KP_OID_PUBLIC);
    kp_system_set_int(rows, "oid", domain->id + KP_DOMAIN_ARRAYS);
    kp_system_set_text(rows, "typname", kp_arena_printf(rows->arena, "_%s", domain->name));
    kp_system_set_int(rows, "typelem", domain->id);
}

static enum kp_code fill_type(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    for (int id = KP_BOOL; id < KP_TYPE_COUNT; id++) {
        fill_one_type(rows, (enum kp_type_id)id, KP_OID_PG_CATALOG);
        if (kp_type_is_array(kp_type_info(kp_type_array_of((enum kp_type_id)id))->id))
            fill_one_type(rows, kp_type_array_of((enum kp_type_id)id), KP_OID_PG_CATALOG);
    }
    fill_one_type(rows, KP_INT2VECTOR, KP_OID_PG_CATALOG);
    fill_one_type(rows, KP_OIDVECTOR, KP_OID_PG_CATALOG);
    for (int id = KP_ANY; id <= KP_ANYCOMPATIBLEARRAY; id++)
        fill_one_type(rows, (enum kp_type_id)id, KP_OID_PG_CATALOG);
    struct kp_catalog *catalog = session->db->catalog;
    kp_catalog_read(catalog);
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *object = kp_catalog_at(catalog, i);
        if (object->kind == KP_RELATION_TYPE) {
            fill_one_type(rows, object->made.id, KP_OID_PUBLIC);
            kp_system_set_int(rows, "typrelid", kp_type_is_composite(object->made.id) ? object->id : 0);
            fill_one_type(rows, kp_type_array_of(object->made.id), KP_OID_PUBLIC);
        } else if (object->kind == KP_RELATION_DOMAIN) {
            fill_domain(rows, object);
            fill_domain_array(rows, object);
        }
    }
    kp_catalog_unlock(catalog);
    return KP_OK;
}

static enum kp_code fill_enum(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct kp_catalog *catalog = session->db->catalog;
    kp_catalog_read(catalog);
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *object = kp_catalog_at(catalog, i);
        if (object->kind != KP_RELATION_TYPE)
            continue;
        const struct kp_made *type = kp_made_of(object->made.id);
        const struct kp_enum_labels *labels = type->types ? NULL : kp_enum_labels(object->made.id);
        for (uint32_t label = 0; labels && label < labels->count; label++) {
            kp_system_row(rows);
            kp_system_set_int(rows, "oid", type->info.oid + 2 + label);
            kp_system_set_int(rows, "enumtypid", type->info.oid);
            kp_system_set_float(rows, "enumsortorder", 1 + (float)labels->numbers[label] / KP_ENUM_STEP);
            kp_system_set_text(rows, "enumlabel", labels->names[label]);
        }
    }
    kp_catalog_unlock(catalog);
    return KP_OK;
}

static enum kp_code fill_collation(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    static const struct {
        uint32_t oid;
        const char *name, *provider;
    } all[] = {{KP_OID_COLLATION, "default", "d"}, {950, "C", "c"}, {951, "POSIX", "c"}};
    for (size_t i = 0; i < KP_COUNT(all); i++) {
        kp_system_row(rows);
        kp_system_set_int(rows, "oid", all[i].oid);
        kp_system_set_text(rows, "collname", all[i].name);
        kp_system_set_int(rows, "collnamespace", KP_OID_PG_CATALOG);
        kp_system_set_int(rows, "collowner", KP_OID_OWNER);
        kp_system_set_text(rows, "collprovider", all[i].provider);
        kp_system_set_int(rows, "collisdeterministic", 1);
        kp_system_set_int(rows, "collencoding", -1);
        kp_system_set_text(rows, "collcollate", i ? "C" : NULL);
        kp_system_set_text(rows, "collctype", i ? "C" : NULL);
    }
    return KP_OK;
}

/* ---- the session ---- */

static void put_setting(void *arg, const char *name, const char *value, const char *doc)
{
    struct kp_system_rows *rows = arg;
    kp_system_row(rows);
    kp_system_set_text(rows, "name", name);
    kp_system_set_text(rows, "setting", value);
    kp_system_set_text(rows, "category", "kappa");
    kp_system_set_text(rows, "short_desc", doc);
    kp_system_set_text(rows, "context", "user");
    kp_system_set_text(rows, "vartype", "string");
    kp_system_set_text(rows, "source", "session");
    kp_system_set_text(rows, "boot_val", value);
    kp_system_set_text(rows, "reset_val", value);
    kp_system_set_int(rows, "pending_restart", 0);
}

static enum kp_code fill_settings(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_settings_each(session, put_setting, rows);
    return KP_OK;
}

/* ---- PostgreSQL's views of relations ---- */

static void put_table(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    if (relation->kind != KP_RELATION_TABLE && relation->kind != KP_RELATION_SOURCE)
        return;
    kp_system_row(rows);
    kp_system_set_text(rows, "schemaname", relation->schema);
    kp_system_set_text(rows, "tablename", relation->name);
    kp_system_set_text(rows, "tableowner", session->user);
    kp_system_set_int(rows, "hasindexes", kp_system_has_key(relation));
    kp_system_set_int(rows, "hasrules", 0);
    kp_system_set_int(rows, "hastriggers", 0);
    kp_system_set_int(rows, "rowsecurity", 0);
}

static enum kp_code fill_tables(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_table);
    return KP_OK;
}

static void set_definition(struct kp_system_rows *rows, const struct kp_relation *relation)
{
    struct kp_buf text = {0};
    struct kp_str query = kp_system_query_of(relation);
    kp_buf_append(&text, query.ptr, query.len);
    kp_buf_append_byte(&text, ';');
    kp_system_set_buf(rows, "definition", &text);
    kp_buf_finish(&text);
}

static void put_view(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    if (relation->kind != KP_RELATION_PLAIN_VIEW)
        return;
    kp_system_row(rows);
    kp_system_set_text(rows, "schemaname", relation->schema);
    kp_system_set_text(rows, "viewname", relation->name);
    kp_system_set_text(rows, "viewowner", session->user);
    set_definition(rows, relation);
}

static enum kp_code fill_views(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_view);
    return KP_OK;
}

static void put_matview(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    if (relation->kind != KP_RELATION_VIEW)
        return;
    kp_system_row(rows);
    kp_system_set_text(rows, "schemaname", relation->schema);
    kp_system_set_text(rows, "matviewname", relation->name);
    kp_system_set_text(rows, "matviewowner", session->user);
    kp_system_set_int(rows, "hasindexes", 0);
    kp_system_set_int(rows, "ispopulated", 1);
    set_definition(rows, relation);
}

static enum kp_code fill_matviews(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_matview);
    return KP_OK;
}

static void put_index_view(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    struct kp_buf text = {0};
    if (!kp_system_has_key(relation))
        return;
    kp_system_row(rows);
    kp_system_set_text(rows, "schemaname", relation->schema);
    kp_system_set_text(rows, "tablename", relation->name);
    kp_system_set_text(rows, "indexname", key_name(rows, relation));
    kp_system_index_print(relation, &text);
    kp_system_set_buf(rows, "indexdef", &text);
    kp_buf_finish(&text);
}

static enum kp_code fill_indexes(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_index_view);
    return KP_OK;
}

const struct kp_system_table kp_system_pg[] = {
    {.schema = "pg_catalog",
     .name = "pg_am",
     .spec = "oid oid, amname name, amhandler oid, amtype char",
     .key = "oid",
     .name_key = "amname",
     .fill = fill_am},
    {.schema = "pg_catalog",
     .name = "pg_attrdef",
     .spec = "oid oid, adrelid oid, adnum int2, adbin text",
     .key = "adrelid adnum",
     .fill = fill_attrdef},
    {.schema = "pg_catalog",
     .name = "pg_attribute",
     .spec = "attrelid oid, attname name, atttypid oid, attstattarget int4, attlen int2, attnum int2, attndims int4, "
             "attcacheoff int4, atttypmod int4, attbyval bool, attalign char, attstorage char, attcompression char, "
             "attnotnull bool, atthasdef bool, atthasmissing bool, attidentity char, attgenerated char, attisdropped "
             "bool, attislocal bool, attinhcount int4, attcollation oid, attacl _text never, attoptions _text never, "
             "attfdwoptions _text never, attmissingval text never",
     .key = "attrelid attnum",
     .fill = fill_attribute},
    {.schema = "pg_catalog",
     .name = "pg_class",
     .spec = "oid oid, relname name, relnamespace oid, reltype oid, reloftype oid, relowner oid, relam oid, "
             "relfilenode oid, reltablespace oid, relpages int4, reltuples float4, relallvisible int4, reltoastrelid "
             "oid, relhasindex bool, relisshared bool, relpersistence char, relkind char, relnatts int2, relchecks "
             "int2, relhasrules bool, relhastriggers bool, relhassubclass bool, relrowsecurity bool, "
             "relforcerowsecurity bool, relispopulated bool, relreplident char, relispartition bool, relrewrite oid, "
             "relfrozenxid oid, relminmxid oid, relacl _text never, reloptions text[] never, relpartbound text never",
     .key = "oid",
     .fill = fill_class},
    {.schema = "pg_catalog",
     .name = "pg_collation",
     .spec = "oid oid, collname name, collnamespace oid, collowner oid, collprovider char, collisdeterministic bool, "
             "collencoding int4, collcollate text, collctype text, colliculocale text never, collversion text never",
     .key = "oid",
     .fill = fill_collation},
    {.schema = "pg_catalog",
     .name = "pg_constraint",
     .spec = "oid oid, conname name, connamespace oid, contype char, condeferrable bool, condeferred bool, "
             "convalidated bool, conrelid oid, contypid oid, conindid oid, conparentid oid, confrelid oid, confupdtype "
             "char, confdeltype char, confmatchtype char, conislocal bool, coninhcount int4, connoinherit bool, conkey "
             "_int2, confkey _int2 never, conpfeqop _oid never, conppeqop _oid never, conffeqop _oid never, "
             "confdelsetcols _int2 never, conexclop _oid never, conbin text never",
     .key = "oid",
     .fill = fill_constraint},
    {.schema = "pg_catalog",
     .name = "pg_database",
     .spec = "oid oid, datname name, datdba oid, encoding int4, datlocprovider char, datistemplate bool, datallowconn "
             "bool, datconnlimit int4, datfrozenxid oid, datminmxid oid, dattablespace oid, datcollate text, datctype "
             "text, daticulocale text never, datcollversion text never, datacl _text never",
     .key = "oid",
     .name_key = "datname",
     .fill = fill_database},
    {.schema = "pg_catalog",
     .name = "pg_foreign_data_wrapper",
     .spec = "oid oid, fdwname name, fdwowner oid, fdwhandler oid, fdwvalidator oid, fdwacl _text never, fdwoptions "
             "_text never",
     .key = "oid",
     .fill = fill_foreign_data_wrapper},
    {.schema = "pg_catalog",
     .name = "pg_foreign_server",
     .spec = "oid oid, srvname name, srvowner oid, srvfdw oid, srvtype text never, srvversion text never, srvacl _text "
             "never, srvoptions _text never",
     .key = "oid",
     .fill = fill_foreign_server},
    {.schema = "pg_catalog",
     .name = "pg_foreign_table",
     .spec = "ftrelid oid, ftserver oid, ftoptions _text never",
     .key = "ftrelid",
     .fill = fill_foreign_table},
    {.schema = "pg_catalog",
     .name = "pg_index",
     .spec = "indexrelid oid, indrelid oid, indnatts int2, indnkeyatts int2, indisunique bool, indnullsnotdistinct "
             "bool, indisprimary bool, indisexclusion bool, indimmediate bool, indisclustered bool, indisvalid bool, "
             "indcheckxmin bool, indisready bool, indislive bool, indisreplident bool, indkey int2vector, indcollation "
             "oidvector, indclass oidvector, indoption int2vector, indexprs text never, indpred text never",
     .key = "indexrelid",
     .fill = fill_index},
    {.schema = "pg_catalog",
     .name = "pg_indexes",
     .spec = "schemaname name, tablename name, indexname name, tablespace name, indexdef text",
     .fill = fill_indexes},
    {.schema = "pg_catalog",
     .name = "pg_matviews",
     .spec = "schemaname name, matviewname name, matviewowner name, tablespace name, hasindexes bool, ispopulated "
             "bool, definition text",
     .fill = fill_matviews},
    {.schema = "pg_catalog",
     .name = "pg_namespace",
     .spec = "oid oid, nspname name, nspowner oid, nspacl _text never",
     .key = "oid",
     .name_key = "nspname",
     .fill = fill_namespace},
    {.schema = "pg_catalog",
     .name = "pg_roles",
     .spec = "rolname name, rolsuper bool, rolinherit bool, rolcreaterole bool, rolcreatedb bool, rolcanlogin bool, "
             "rolreplication bool, rolconnlimit int4, rolpassword text never, rolvaliduntil timestamptz never, "
             "rolbypassrls bool, rolconfig _text never, oid oid",
     .key = "oid",
     .name_key = "rolname",
     .fill = fill_roles},
    {.schema = "pg_catalog",
     .name = "pg_settings",
     .spec = "name text, setting text, unit text never, category text, short_desc text, extra_desc text never, context "
             "text, vartype text, source text, min_val text never, max_val text never, enumvals _text never, boot_val "
             "text, reset_val text, sourcefile text never, sourceline int4 never, pending_restart bool",
     .fill = fill_settings},
    {.schema = "pg_catalog",
     .name = "pg_tables",
     .spec = "schemaname name, tablename name, tableowner name, tablespace name, hasindexes bool, hasrules bool, "
             "hastriggers bool, rowsecurity bool",
     .fill = fill_tables},
    {.schema = "pg_catalog",
     .name = "pg_tablespace",
     .spec = "oid oid, spcname name, spcowner oid, spcacl _text never, spcoptions _text never",
     .key = "oid",
     .fill = fill_tablespace},
    {.schema = "pg_catalog",
     .name = "pg_enum",
     .spec = "oid oid, enumtypid oid, enumsortorder float4, enumlabel name",
     .key = "oid",
     .fill = fill_enum},
    {.schema = "pg_catalog",
     .name = "pg_type",
     .spec =
         "oid oid, typname name, typnamespace oid, typowner oid, typlen int2, typbyval bool, typtype char, typcategory "
         "char, typispreferred bool, typisdefined bool, typdelim char, typrelid oid, typsubscript oid, typelem oid, "
         "typarray oid, typinput oid, typoutput oid, typreceive oid, typsend oid, typmodin oid, typmodout oid, "
         "typanalyze oid, typalign char, typstorage char, typnotnull bool, typbasetype oid, typtypmod int4, typndims "
         "int4, typcollation oid, typdefaultbin text never, typdefault text never, typacl _text never",
     .key = "oid",
     .name_key = "typname",
     .fill = fill_type},
    {.schema = "pg_catalog",
     .name = "pg_user",
     .spec = "usename name, usesysid oid, usecreatedb bool, usesuper bool, userepl bool, usebypassrls bool, passwd "
             "text never, valuntil timestamptz never, useconfig _text never",
     .fill = fill_user},
    {.schema = "pg_catalog",
     .name = "pg_views",
     .spec = "schemaname name, viewname name, viewowner name, definition text",
     .fill = fill_views},
};
const size_t kp_system_pg_count = KP_COUNT(kp_system_pg);
