/* pg_catalog and information_schema: as much as PostgreSQL's clients ask for when they look around. */
#include "db/system.h"

enum { NAMESPACE_PG_CATALOG = 11, NAMESPACE_PUBLIC = 2200, NAMESPACE_INFORMATION = 13000, NAMESPACE_KAPPA = 16000 };
enum { OWNER = 10, DATABASE = 5, ACCESS_METHOD = 2 };

static uint32_t namespace_of(const struct kp_relation *relation)
{
    if (strcmp(relation->schema, "public") == 0)
        return NAMESPACE_PUBLIC;
    if (strcmp(relation->schema, "kappa") == 0)
        return NAMESPACE_KAPPA;
    return strcmp(relation->schema, "pg_catalog") == 0 ? NAMESPACE_PG_CATALOG : NAMESPACE_INFORMATION;
}

/* Calls fn for every relation that a name leads to. */
static enum kp_code each_relation(struct kp_session *session, struct kp_system_rows *rows,
                                  void (*fn)(struct kp_system_rows *rows, const struct kp_relation *relation))
{
    struct kp_catalog *catalog = session->db->catalog;
    kp_catalog_read(catalog);
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *relation = kp_catalog_at(catalog, i);
        if (kp_catalog_find(catalog, kp_str(relation->schema), kp_str(relation->name)) == relation)
            fn(rows, relation);
    }
    kp_catalog_unlock(catalog);
    return KP_OK;
}

/* ---- pg_namespace, pg_database, pg_roles ---- */

static enum kp_code fill_namespace(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    static const struct {
        uint32_t oid;
        const char *name;
    } all[] = {{NAMESPACE_PG_CATALOG, "pg_catalog"}, {NAMESPACE_PUBLIC, "public"}, {NAMESPACE_INFORMATION, "information_schema"},
               {NAMESPACE_KAPPA, "kappa"}};
    for (size_t i = 0; i < KP_COUNT(all); i++) {
        kp_system_put_int(rows, all[i].oid);
        kp_system_put_text(rows, all[i].name);
        kp_system_put_int(rows, OWNER);
    }
    return KP_OK;
}

static enum kp_code fill_database(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_put_int(rows, DATABASE);
    kp_system_put_text(rows, session->database);
    kp_system_put_int(rows, OWNER);
    kp_system_put_int(rows, 6); /* UTF8 */
    kp_system_put_text(rows, "C");
    kp_system_put_text(rows, "C.UTF-8");
    kp_system_put_int(rows, 1);
    kp_system_put_int(rows, 0);
    return KP_OK;
}

static enum kp_code fill_roles(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_put_int(rows, OWNER);
    kp_system_put_text(rows, session->user);
    for (int i = 0; i < 5; i++)
        kp_system_put_int(rows, 1);
    return KP_OK;
}

/* How tables are kept: one way. */
static enum kp_code fill_am(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_put_int(rows, ACCESS_METHOD);
    kp_system_put_text(rows, "kappa");
    kp_system_put_text(rows, "t");
    return KP_OK;
}

/* ---- pg_class, pg_attribute ---- */

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
    default:
        return "r";
    }
}

static void put_class(struct kp_system_rows *rows, const struct kp_relation *relation)
{
    kp_system_put_int(rows, relation->id);
    kp_system_put_text(rows, relation->name);
    kp_system_put_int(rows, namespace_of(relation));
    kp_system_put_int(rows, 0);
    kp_system_put_int(rows, 0);
    kp_system_put_int(rows, OWNER);
    kp_system_put_text(rows, relkind(relation));
    kp_system_put_int(rows, relation->col_count);
    kp_system_put_float(rows, -1);
    kp_system_put_int(rows, relation->key_count > 0);
    for (int i = 0; i < 4; i++)
        kp_system_put_int(rows, 0);
    kp_system_put_text(rows, "p");
    kp_system_put_text(rows, "d");
    for (int i = 0; i < 3; i++)
        kp_system_put_int(rows, 0);
    kp_system_put_int(rows, relation->kind == KP_RELATION_TABLE ? ACCESS_METHOD : 0);
    kp_system_put_int(rows, 0);
    kp_system_put_int(rows, 0);
}

static enum kp_code fill_class(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    return each_relation(session, rows, put_class);
}

static void put_attributes(struct kp_system_rows *rows, const struct kp_relation *relation)
{
    for (uint32_t i = 0; i < relation->col_count; i++) {
        const struct kp_type_info *info = kp_type_info(relation->cols[i].type.id);
        kp_system_put_int(rows, relation->id);
        kp_system_put_text(rows, relation->cols[i].name);
        kp_system_put_int(rows, info->oid);
        kp_system_put_int(rows, info->pg_len);
        kp_system_put_int(rows, i + 1);
        kp_system_put_int(rows, relation->cols[i].type.mod);
        kp_system_put_int(rows, relation->cols[i].not_null);
        kp_system_put_int(rows, relation->defaults && relation->defaults[i]);
        kp_system_put_int(rows, 0);
        kp_system_put_int(rows, 0);
        kp_system_put_text(rows, "");
        kp_system_put_text(rows, "");
    }
}

static enum kp_code fill_attribute(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    return each_relation(session, rows, put_attributes);
}

/* ---- pg_type ---- */

static enum kp_code fill_type(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    for (int id = KP_BOOL; id < KP_TYPE_COUNT; id++) {
        const struct kp_type_info *info = kp_type_info((enum kp_type_id)id);
        char category[2] = {info->category, '\0'};
        kp_system_put_int(rows, info->oid);
        kp_system_put_text(rows, info->short_name);
        kp_system_put_int(rows, NAMESPACE_PG_CATALOG);
        kp_system_put_int(rows, OWNER);
        kp_system_put_int(rows, info->pg_len);
        kp_system_put_text(rows, "b");
        kp_system_put_text(rows, category);
        kp_system_put_int(rows, info->preferred);
        kp_system_put_int(rows, 1);
        kp_system_put_text(rows, ",");
        kp_system_put_int(rows, 0);
        kp_system_put_int(rows, 0);
        kp_system_put_int(rows, 0);
        kp_system_put_int(rows, 0);
        kp_system_put_int(rows, -1);
    }
    return KP_OK;
}

/* ---- empty ones, that clients join with ---- */

static enum kp_code fill_nothing(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    return KP_OK;
}

/* ---- information_schema ---- */

static void put_table(struct kp_system_rows *rows, const struct kp_relation *relation)
{
    kp_system_put_text(rows, "kappa");
    kp_system_put_text(rows, relation->schema);
    kp_system_put_text(rows, relation->name);
    kp_system_put_text(rows, relation->kind == KP_RELATION_TABLE || relation->kind == KP_RELATION_SOURCE ? "BASE TABLE" : "VIEW");
}

static enum kp_code fill_tables(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    return each_relation(session, rows, put_table);
}

static void put_columns(struct kp_system_rows *rows, const struct kp_relation *relation)
{
    for (uint32_t i = 0; i < relation->col_count; i++) {
        kp_system_put_text(rows, "kappa");
        kp_system_put_text(rows, relation->schema);
        kp_system_put_text(rows, relation->name);
        kp_system_put_text(rows, relation->cols[i].name);
        kp_system_put_int(rows, i + 1);
        kp_system_put_text(rows, relation->cols[i].not_null ? "NO" : "YES");
        kp_system_put_text(rows, kp_type_info(relation->cols[i].type.id)->name);
        kp_system_put_text(rows, kp_type_info(relation->cols[i].type.id)->short_name);
    }
}

static enum kp_code fill_columns(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    return each_relation(session, rows, put_columns);
}

const struct kp_system_table kp_system_pg[] = {
    {"pg_catalog", "pg_namespace", {{"oid", KP_OID}, {"nspname", KP_NAME}, {"nspowner", KP_OID}}, fill_namespace},
    {"pg_catalog", "pg_database",
     {{"oid", KP_OID}, {"datname", KP_NAME}, {"datdba", KP_OID}, {"encoding", KP_INT4}, {"datcollate", KP_TEXT}, {"datctype", KP_TEXT},
      {"datallowconn", KP_BOOL}, {"datistemplate", KP_BOOL}},
     fill_database},
    {"pg_catalog", "pg_roles",
     {{"oid", KP_OID}, {"rolname", KP_NAME}, {"rolsuper", KP_BOOL}, {"rolinherit", KP_BOOL}, {"rolcreaterole", KP_BOOL},
      {"rolcreatedb", KP_BOOL}, {"rolcanlogin", KP_BOOL}},
     fill_roles},
    {"pg_catalog", "pg_am", {{"oid", KP_OID}, {"amname", KP_NAME}, {"amtype", KP_TEXT}}, fill_am},
    {"pg_catalog", "pg_class",
     {{"oid", KP_OID}, {"relname", KP_NAME}, {"relnamespace", KP_OID}, {"reltype", KP_OID}, {"reloftype", KP_OID}, {"relowner", KP_OID},
      {"relkind", KP_TEXT}, {"relnatts", KP_INT2}, {"reltuples", KP_FLOAT8}, {"relhasindex", KP_BOOL}, {"relchecks", KP_INT2},
      {"relhasrules", KP_BOOL}, {"relhastriggers", KP_BOOL}, {"relrowsecurity", KP_BOOL}, {"relpersistence", KP_TEXT},
      {"relreplident", KP_TEXT}, {"reltablespace", KP_OID}, {"relpages", KP_INT4}, {"reltoastrelid", KP_OID}, {"relam", KP_OID},
      {"relforcerowsecurity", KP_BOOL}, {"relispartition", KP_BOOL}},
     fill_class},
    {"pg_catalog", "pg_attribute",
     {{"attrelid", KP_OID}, {"attname", KP_NAME}, {"atttypid", KP_OID}, {"attlen", KP_INT2}, {"attnum", KP_INT2}, {"atttypmod", KP_INT4},
      {"attnotnull", KP_BOOL}, {"atthasdef", KP_BOOL}, {"attisdropped", KP_BOOL}, {"attcollation", KP_OID}, {"attidentity", KP_TEXT},
      {"attgenerated", KP_TEXT}},
     fill_attribute},
    {"pg_catalog", "pg_type",
     {{"oid", KP_OID}, {"typname", KP_NAME}, {"typnamespace", KP_OID}, {"typowner", KP_OID}, {"typlen", KP_INT2}, {"typtype", KP_TEXT},
      {"typcategory", KP_TEXT}, {"typispreferred", KP_BOOL}, {"typisdefined", KP_BOOL}, {"typdelim", KP_TEXT}, {"typrelid", KP_OID},
      {"typelem", KP_OID}, {"typarray", KP_OID}, {"typbasetype", KP_OID}, {"typtypmod", KP_INT4}},
     fill_type},
    {"pg_catalog", "pg_index", {{"indexrelid", KP_OID}, {"indrelid", KP_OID}, {"indisprimary", KP_BOOL}, {"indisunique", KP_BOOL}}, fill_nothing},
    {"pg_catalog", "pg_constraint", {{"oid", KP_OID}, {"conname", KP_NAME}, {"conrelid", KP_OID}, {"contype", KP_TEXT}}, fill_nothing},
    {"pg_catalog", "pg_description", {{"objoid", KP_OID}, {"classoid", KP_OID}, {"objsubid", KP_INT4}, {"description", KP_TEXT}}, fill_nothing},
    {"pg_catalog", "pg_attrdef", {{"oid", KP_OID}, {"adrelid", KP_OID}, {"adnum", KP_INT2}, {"adbin", KP_TEXT}}, fill_nothing},
    {"information_schema", "tables",
     {{"table_catalog", KP_TEXT}, {"table_schema", KP_TEXT}, {"table_name", KP_TEXT}, {"table_type", KP_TEXT}},
     fill_tables},
    {"information_schema", "columns",
     {{"table_catalog", KP_TEXT}, {"table_schema", KP_TEXT}, {"table_name", KP_TEXT}, {"column_name", KP_TEXT}, {"ordinal_position", KP_INT4},
      {"is_nullable", KP_TEXT}, {"data_type", KP_TEXT}, {"udt_name", KP_TEXT}},
     fill_columns},
};
const size_t kp_system_pg_count = KP_COUNT(kp_system_pg);
