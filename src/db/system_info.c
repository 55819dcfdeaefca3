/* information_schema: the SQL standard's view of the catalog. */
#include "db/system.h"

static const char *database(struct kp_session *session)
{
    return session->database;
}

static void put_table(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    bool base = relation->kind == KP_RELATION_TABLE || relation->kind == KP_RELATION_SOURCE;
    if (relation->kind == KP_RELATION_VIEW || relation->kind == KP_RELATION_SYSTEM ||
        relation->kind == KP_RELATION_PLAIN_VIEW || base || relation->kind == KP_RELATION_SINK) {
        kp_system_row(rows);
        kp_system_set_text(rows, "table_catalog", database(session));
        kp_system_set_text(rows, "table_schema", relation->schema);
        kp_system_set_text(rows, "table_name", relation->name);
        kp_system_set_text(rows, "table_type",
                           base                                 ? "BASE TABLE"
                           : relation->kind == KP_RELATION_SINK ? "FOREIGN"
                                                                : "VIEW");
        kp_system_set_text(rows, "is_insertable_into", base ? "YES" : "NO");
        kp_system_set_text(rows, "is_typed", "NO");
    }
}

static enum kp_code fill_tables(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_table);
    return KP_OK;
}

void kp_system_set_numbers(struct kp_system_rows *rows, struct kp_type type)
{
    static const struct {
        enum kp_type_id id;
        int precision, radix, scale;
    } numbers[] = {
        {KP_INT2, 16, 2, 0}, {KP_INT4, 32, 2, 0}, {KP_INT8, 64, 2, 0}, {KP_FLOAT4, 24, 2, -1}, {KP_FLOAT8, 53, 2, -1}};
    for (size_t i = 0; i < KP_COUNT(numbers); i++) {
        if (numbers[i].id != type.id)
            continue;
        kp_system_set_int(rows, "numeric_precision", numbers[i].precision);
        kp_system_set_int(rows, "numeric_precision_radix", numbers[i].radix);
        if (numbers[i].scale >= 0)
            kp_system_set_int(rows, "numeric_scale", numbers[i].scale);
    }
    if (type.id == KP_NUMERIC) {
        kp_system_set_int(rows, "numeric_precision_radix", 10);
        if (type.mod >= 0) {
            kp_system_set_int(rows, "numeric_precision", (type.mod - 4) >> 16 & 0xffff);
            kp_system_set_int(rows, "numeric_scale", (((type.mod - 4) & 0x7ff) ^ 1024) - 1024);
        }
    }
    bool limited = (type.id == KP_VARCHAR || type.id == KP_BPCHAR) && type.mod >= 0;
    if (limited)
        kp_system_set_int(rows, "character_maximum_length", type.mod - 4);
    if (limited || type.id == KP_TEXT || type.id == KP_VARCHAR) /* a character has four bytes at most */
        kp_system_set_int(rows, "character_octet_length", limited ? 4 * (int64_t)(type.mod - 4) : 1 << 30);
    if (type.id == KP_TIME || type.id == KP_TIMETZ || type.id == KP_TIMESTAMP || type.id == KP_TIMESTAMPTZ)
        kp_system_set_int(rows, "datetime_precision", type.mod >= 0 ? type.mod : 6);
    if (type.id == KP_DATE)
        kp_system_set_int(rows, "datetime_precision", 0);
}

/* What the standard calls a type: those that it does not know have two names for all of them. */
static const char *standard_name(enum kp_type_id type)
{
    if (kp_type_is_array(type))
        return "ARRAY";
    return kp_type_is_enum(type) || kp_type_is_composite(type) ? "USER-DEFINED" : kp_type_info(type)->name;
}

const struct kp_relation *kp_system_domain(const struct kp_session *session, struct kp_type type)
{
    uint32_t number = type.domain > KP_DOMAIN_ARRAYS ? type.domain - KP_DOMAIN_ARRAYS : type.domain;
    return number ? kp_catalog_find_id(session->db->catalog, number) : NULL;
}

void kp_system_set_type(struct kp_session *session, struct kp_system_rows *rows, struct kp_type of, const char *udt,
                        bool numbers)
{
    enum kp_type_id type = of.id;
    enum kp_type_id element = kp_type_is_array(type) ? kp_type_element(type) : type;
    const struct kp_relation *domain = kp_system_domain(session, of);
    bool array = of.domain > KP_DOMAIN_ARRAYS, made = kp_type_is_enum(element) || kp_type_is_composite(element);
    const char *name = !domain ? kp_type_info(type)->short_name
                       : array ? kp_arena_printf(rows->arena, "_%s", domain->name)
                               : domain->name;
    kp_system_set_text(rows, "data_type", domain && !array ? "USER-DEFINED" : standard_name(type));
    kp_system_set_text(rows, kp_arena_printf(rows->arena, "%s_catalog", udt), database(session));
    kp_system_set_text(rows, kp_arena_printf(rows->arena, "%s_schema", udt), made || domain ? "public" : "pg_catalog");
    kp_system_set_text(rows, kp_arena_printf(rows->arena, "%s_name", udt), name);
    if (numbers && !domain)
        kp_system_set_numbers(rows, of);
}

/* A domain, or one that it is over, is declared NOT NULL. */
static bool domain_not_null(const struct kp_relation *domain)
{
    struct kp_buf name = {0}, text = {0};
    bool not_null;
    (void)kp_system_domain_check(domain, 0, &not_null, &name, &text);
    kp_buf_finish(&name);
    kp_buf_finish(&text);
    for (uint32_t i = 0; i < domain->use_count; i++)
        not_null |= domain->uses[i]->kind == KP_RELATION_DOMAIN && domain_not_null(domain->uses[i]);
    return not_null;
}

static void put_identity(struct kp_system_rows *rows, const struct kp_sequence *sequence)
{
    bool identity = sequence && sequence->identity;
    kp_system_set_text(rows, "is_identity", identity ? "YES" : "NO");
    kp_system_set_text(rows, "identity_cycle", identity && sequence->cycle ? "YES" : "NO");
    if (!identity)
        return;
    const struct {
        const char *column;
        int64_t number;
    } numbers[] = {{"identity_start", sequence->start},
                   {"identity_increment", sequence->increment},
                   {"identity_maximum", sequence->max},
                   {"identity_minimum", sequence->min}};
    kp_system_set_text(rows, "identity_generation", sequence->always ? "ALWAYS" : "BY DEFAULT");
    for (size_t i = 0; i < KP_COUNT(numbers); i++)
        kp_system_set_text(rows, numbers[i].column, kp_arena_printf(rows->arena, "%lld", (long long)numbers[i].number));
}

static void put_columns(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    struct kp_buf text = {0};
    bool base = relation->kind == KP_RELATION_TABLE || relation->kind == KP_RELATION_SOURCE;
    for (uint32_t i = 0; i < kp_system_columns(relation) && !relation->sequence; i++) {
        const struct kp_column *column = &relation->cols[i];
        bool key = false;
        for (uint32_t k = 0; kp_system_has_key(relation) && k < relation->key_count; k++)
            key |= relation->keys[k] == i;
        kp_system_row(rows);
        kp_system_set_text(rows, "table_catalog", database(session));
        kp_system_set_text(rows, "table_schema", relation->schema);
        kp_system_set_text(rows, "table_name", relation->name);
        kp_system_set_text(rows, "column_name", column->name);
        kp_system_set_int(rows, "ordinal_position", i + 1);
        text.len = 0;
        if (kp_system_default(session->db->catalog, relation, i, &text))
            kp_system_set_buf(rows, "column_default", &text);
        const struct kp_relation *domain =
            column->type.domain < KP_DOMAIN_ARRAYS ? kp_system_domain(session, column->type) : NULL;
        key |= domain && domain_not_null(domain);
        kp_system_set_text(rows, "is_nullable", key || (base && column->not_null) ? "NO" : "YES");
        kp_system_set_type(session, rows, domain ? domain->made : column->type, "udt", true);
        if (domain) {
            kp_system_set_text(rows, "domain_catalog", database(session));
            kp_system_set_text(rows, "domain_schema", domain->schema);
            kp_system_set_text(rows, "domain_name", domain->name);
        }
        kp_system_set_text(rows, "dtd_identifier", kp_arena_printf(rows->arena, "%u", i + 1));
        kp_system_set_text(rows, "is_self_referencing", "NO");
        put_identity(rows, kp_relation_sequence(relation, i));
        kp_system_set_text(rows, "is_generated", "NEVER");
        kp_system_set_text(rows, "is_updatable", base ? "YES" : "NO");
    }
    kp_buf_finish(&text);
}

static enum kp_code fill_columns(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_columns);
    return KP_OK;
}

static void put_view(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    static const char *const no[] = {"is_updatable", "is_insertable_into", "is_trigger_updatable",
                                     "is_trigger_deletable", "is_trigger_insertable_into"};
    if (relation->kind != KP_RELATION_PLAIN_VIEW && relation->kind != KP_RELATION_VIEW)
        return;
    struct kp_str query = kp_system_query_of(relation);
    kp_system_row(rows);
    kp_system_set_text(rows, "table_catalog", database(session));
    kp_system_set_text(rows, "table_schema", relation->schema);
    kp_system_set_text(rows, "table_name", relation->name);
    kp_system_set_text(rows, "view_definition", kp_arena_strndup(rows->arena, query.ptr, query.len));
    kp_system_set_text(rows, "check_option", "NONE");
    for (size_t i = 0; i < KP_COUNT(no); i++)
        kp_system_set_text(rows, no[i], "NO");
}

static enum kp_code fill_views(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_view);
    return KP_OK;
}

static enum kp_code fill_schemata(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    static const char *const names[] = {"pg_catalog", "public", "information_schema", "kappa"};
    for (size_t i = 0; i < KP_COUNT(names); i++) {
        kp_system_row(rows);
        kp_system_set_text(rows, "catalog_name", database(session));
        kp_system_set_text(rows, "schema_name", names[i]);
        kp_system_set_text(rows, "schema_owner", session->user);
    }
    return KP_OK;
}

/* ---- keys ---- */

static void set_key(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    kp_system_row(rows);
    kp_system_set_text(rows, "constraint_catalog", database(session));
    kp_system_set_text(rows, "constraint_schema", relation->schema);
    kp_system_set_text(rows, "constraint_name", kp_arena_printf(rows->arena, "%s_pkey", relation->name));
    kp_system_set_text(rows, "table_catalog", database(session));
    kp_system_set_text(rows, "table_schema", relation->schema);
    kp_system_set_text(rows, "table_name", relation->name);
}

static void set_constraint(struct kp_system_rows *rows, const char *type)
{
    kp_system_set_text(rows, "constraint_type", type);
    kp_system_set_text(rows, "is_deferrable", "NO");
    kp_system_set_text(rows, "initially_deferred", "NO");
    kp_system_set_text(rows, "enforced", "YES");
}

static void put_constraint(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    if (kp_system_has_key(relation)) {
        set_key(session, rows, relation);
        set_constraint(rows, "PRIMARY KEY");
    }
    for (uint32_t i = 0; i < relation->check_count; i++) {
        if (relation->checks[i].domain)
            continue;
        set_key(session, rows, relation);
        kp_system_set_text(rows, "constraint_name", relation->checks[i].name);
        set_constraint(rows, "CHECK");
    }
}

static void put_checks(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    for (uint32_t i = 0; i < relation->check_count; i++) {
        if (relation->checks[i].domain)
            continue;
        struct kp_buf text = {0};
        kp_expr_print(relation->checks[i].expr, relation->cols, &text);
        kp_system_row(rows);
        kp_system_set_text(rows, "constraint_catalog", database(session));
        kp_system_set_text(rows, "constraint_schema", relation->schema);
        kp_system_set_text(rows, "constraint_name", relation->checks[i].name);
        kp_system_set_buf(rows, "check_clause", &text);
        kp_buf_finish(&text);
    }
}

static enum kp_code fill_check_constraints(struct kp_session *session, struct kp_system_rows *rows,
                                           struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_checks);
    return KP_OK;
}

static enum kp_code fill_table_constraints(struct kp_session *session, struct kp_system_rows *rows,
                                           struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_constraint);
    return KP_OK;
}

static void put_key_columns(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    for (uint32_t k = 0; kp_system_has_key(relation) && k < relation->key_count; k++) {
        set_key(session, rows, relation);
        kp_system_set_text(rows, "column_name", relation->cols[relation->keys[k]].name);
        kp_system_set_int(rows, "ordinal_position", k + 1);
    }
}

static enum kp_code fill_key_column_usage(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_key_columns);
    return KP_OK;
}

static void put_used_columns(struct kp_session *session, struct kp_system_rows *rows,
                             const struct kp_relation *relation)
{
    for (uint32_t k = 0; kp_system_has_key(relation) && k < relation->key_count; k++) {
        set_key(session, rows, relation);
        kp_system_set_text(rows, "column_name", relation->cols[relation->keys[k]].name);
    }
}

static enum kp_code fill_constraint_column_usage(struct kp_session *session, struct kp_system_rows *rows,
                                                 struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_used_columns);
    return KP_OK;
}

static enum kp_code fill_information_schema_catalog_name(struct kp_session *session, struct kp_system_rows *rows,
                                                         struct kp_error *err)
{
    kp_system_row(rows);
    kp_system_set_text(rows, "catalog_name", database(session));
    return KP_OK;
}

static enum kp_code fill_enabled_roles(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_row(rows);
    kp_system_set_text(rows, "role_name", session->user);
    return KP_OK;
}

/* ---- privileges: there is one user, and he has them all ---- */

static void put_privileges(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    static const char *const all[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"};
    size_t count = relation->kind == KP_RELATION_TABLE ? KP_COUNT(all) : relation->kind == KP_RELATION_SOURCE ? 2 : 1;
    for (size_t i = 0; i < count && relation->kind != KP_RELATION_SINK && !relation->sequence; i++) {
        kp_system_row(rows);
        kp_system_set_text(rows, "grantor", session->user);
        kp_system_set_text(rows, "grantee", session->user);
        kp_system_set_text(rows, "table_catalog", database(session));
        kp_system_set_text(rows, "table_schema", relation->schema);
        kp_system_set_text(rows, "table_name", relation->name);
        kp_system_set_text(rows, "privilege_type", all[i]);
        kp_system_set_text(rows, "is_grantable", "NO");
        kp_system_set_text(rows, "with_hierarchy", i ? "NO" : "YES");
    }
}

static enum kp_code fill_privileges(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_privileges);
    return KP_OK;
}

#define PRIVILEGE_COLUMNS                                                                                              \
    "grantor name, grantee name, table_catalog name, table_schema name, table_name name, privilege_type text, "        \
    "is_grantable text, with_hierarchy text"

const struct kp_system_table kp_system_info[] = {
    {.schema = "information_schema",
     .name = "check_constraints",
     .spec = "constraint_catalog name, constraint_schema name, constraint_name name, check_clause text",
     .fill = fill_check_constraints},
    {.schema = "information_schema",
     .name = "columns",
     .spec = "table_catalog name, table_schema name, table_name name, column_name name, ordinal_position int4, "
             "column_default text, is_nullable text, data_type text, character_maximum_length int4, "
             "character_octet_length int4, numeric_precision int4, numeric_precision_radix int4, numeric_scale int4, "
             "datetime_precision int4, interval_type text, interval_precision int4, character_set_catalog name, "
             "character_set_schema name, character_set_name name, collation_catalog name, collation_schema name, "
             "collation_name name, domain_catalog name, domain_schema name, domain_name name, udt_catalog name, "
             "udt_schema name, udt_name name, scope_catalog name, scope_schema name, scope_name name, "
             "maximum_cardinality int4, dtd_identifier name, is_self_referencing text, is_identity text, "
             "identity_generation text, identity_start text, identity_increment text, identity_maximum text, "
             "identity_minimum text, identity_cycle text, is_generated text, generation_expression text, is_updatable "
             "text",
     .fill = fill_columns},
    {.schema = "information_schema",
     .name = "constraint_column_usage",
     .spec = "table_catalog name, table_schema name, table_name name, column_name name, constraint_catalog name, "
             "constraint_schema name, constraint_name name",
     .fill = fill_constraint_column_usage},
    {.schema = "information_schema", .name = "enabled_roles", .spec = "role_name name", .fill = fill_enabled_roles},
    {.schema = "information_schema",
     .name = "information_schema_catalog_name",
     .spec = "catalog_name name",
     .fill = fill_information_schema_catalog_name},
    {.schema = "information_schema",
     .name = "key_column_usage",
     .spec = "constraint_catalog name, constraint_schema name, constraint_name name, table_catalog name, table_schema "
             "name, table_name name, column_name name, ordinal_position int4, position_in_unique_constraint int4",
     .fill = fill_key_column_usage},
    {.schema = "information_schema", .name = "role_table_grants", .spec = PRIVILEGE_COLUMNS, .fill = fill_privileges},
    {.schema = "information_schema",
     .name = "schemata",
     .spec = "catalog_name name, schema_name name, schema_owner name, default_character_set_catalog name, "
             "default_character_set_schema name, default_character_set_name name, sql_path text",
     .fill = fill_schemata},
    {.schema = "information_schema",
     .name = "table_constraints",
     .spec = "constraint_catalog name, constraint_schema name, constraint_name name, table_catalog name, table_schema "
             "name, table_name name, constraint_type text, is_deferrable text, initially_deferred text, enforced text, "
             "nulls_distinct text",
     .fill = fill_table_constraints},
    {.schema = "information_schema", .name = "table_privileges", .spec = PRIVILEGE_COLUMNS, .fill = fill_privileges},
    {.schema = "information_schema",
     .name = "tables",
     .spec = "table_catalog name, table_schema name, table_name name, table_type text, self_referencing_column_name "
             "name, reference_generation text, user_defined_type_catalog name, user_defined_type_schema name, "
             "user_defined_type_name name, is_insertable_into text, is_typed text, commit_action text",
     .fill = fill_tables},
    {.schema = "information_schema",
     .name = "views",
     .spec = "table_catalog name, table_schema name, table_name name, view_definition text, check_option text, "
             "is_updatable text, is_insertable_into text, is_trigger_updatable text, is_trigger_deletable text, "
             "is_trigger_insertable_into text",
     .fill = fill_views},
};
const size_t kp_system_info_count = KP_COUNT(kp_system_info);
