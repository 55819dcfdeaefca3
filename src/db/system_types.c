/*
 * information_schema of what statements make besides relations: domains and their constraints, fields of composite
 * types, functions. The engine's own functions are left to pg_proc.
 */
#include "db/system.h"
#include "sql/describe.h"
#include "vec/made.h"

static void each_object(struct kp_session *session, struct kp_system_rows *rows, enum kp_relation_kind kind,
                        void (*fn)(struct kp_session *session, struct kp_system_rows *rows,
                                   const struct kp_relation *object))
{
    struct kp_catalog *catalog = session->db->catalog;
    kp_catalog_read(catalog);
    for (size_t i = 0; i < kp_catalog_count(catalog); i++)
        if (kp_catalog_at(catalog, i)->kind == kind)
            fn(session, rows, kp_catalog_at(catalog, i));
    kp_catalog_unlock(catalog);
}

/* <what>_catalog, <what>_schema, <what>_name */
static void set_name(struct kp_session *session, struct kp_system_rows *rows, const char *what, const char *name)
{
    kp_system_set_text(rows, kp_arena_printf(rows->arena, "%s_catalog", what), session->database);
    kp_system_set_text(rows, kp_arena_printf(rows->arena, "%s_schema", what), "public");
    kp_system_set_text(rows, kp_arena_printf(rows->arena, "%s_name", what), name);
}

/* ---- domains ---- */

static void put_domain(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *domain)
{
    kp_system_row(rows);
    set_name(session, rows, "domain", domain->name);
    kp_system_set_type(session, rows, domain->made, "udt", true);
    if (domain->defaults && domain->defaults[0]) {
        struct kp_buf text = {0};
        kp_expr_print(domain->defaults[0], NULL, &text);
        kp_system_set_buf(rows, "domain_default", &text);
        kp_buf_finish(&text);
    }
    kp_system_set_text(rows, "dtd_identifier", "1");
}

static enum kp_code fill_domains(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    each_object(session, rows, KP_RELATION_DOMAIN, put_domain);
    return KP_OK;
}

static void put_constraints(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *domain)
{
    struct kp_buf name = {0}, text = {0};
    bool not_null;
    for (uint32_t n = 0; kp_system_domain_check(domain, n, &not_null, &name, &text); n++) {
        kp_system_row(rows);
        set_name(session, rows, "constraint", kp_arena_strndup(rows->arena, (const char *)name.data, name.len));
        set_name(session, rows, "domain", domain->name);
        kp_system_set_text(rows, "is_deferrable", "NO");
        kp_system_set_text(rows, "initially_deferred", "NO");
        name.len = text.len = 0;
    }
    kp_buf_finish(&name);
    kp_buf_finish(&text);
}

static enum kp_code fill_domain_constraints(struct kp_session *session, struct kp_system_rows *rows,
                                            struct kp_error *err)
{
    each_object(session, rows, KP_RELATION_DOMAIN, put_constraints);
    return KP_OK;
}

static void put_base(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *domain)
{
    enum kp_type_id type = domain->made.id, element = kp_type_is_array(type) ? kp_type_element(type) : type;
    kp_system_row(rows);
    kp_system_set_text(rows, "udt_catalog", session->database);
    kp_system_set_text(rows, "udt_schema", element >= KP_MADE_BASE ? "public" : "pg_catalog");
    kp_system_set_text(rows, "udt_name", kp_type_info(type)->short_name);
    set_name(session, rows, "domain", domain->name);
}

static enum kp_code fill_domain_udt_usage(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    each_object(session, rows, KP_RELATION_DOMAIN, put_base);
    return KP_OK;
}

static void put_uses(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    for (uint32_t c = 0; c < kp_system_columns(relation); c++) {
        struct kp_type type = relation->cols[c].type;
        const struct kp_relation *domain = type.domain < KP_DOMAIN_ARRAYS ? kp_system_domain(session, type) : NULL;
        if (!domain)
            continue;
        kp_system_row(rows);
        set_name(session, rows, "domain", domain->name);
        set_name(session, rows, "table", relation->name);
        kp_system_set_text(rows, "column_name", relation->cols[c].name);
    }
}

static enum kp_code fill_column_domain_usage(struct kp_session *session, struct kp_system_rows *rows,
                                             struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_uses);
    return KP_OK;
}

/* ---- composite types ---- */

static void put_attributes(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *type)
{
    const struct kp_made *made = kp_made_of(type->made.id);
    for (uint32_t i = 0; made->types && i < made->count; i++) {
        const struct kp_relation *domain = type->domains ? type->domains[i] : NULL;
        kp_system_row(rows);
        set_name(session, rows, "udt", type->name);
        kp_system_set_text(rows, "attribute_name", made->names[i]);
        kp_system_set_int(rows, "ordinal_position", i + 1);
        kp_system_set_text(rows, "is_nullable", "YES");
        kp_system_set_type(session, rows, kp_relation_domain_type(domain, made->types[i]), "attribute_udt", true);
        if (domain && domain->made.id == made->types[i].id && !domain->made.domain)
            kp_system_set_numbers(rows, domain->made);
        kp_system_set_text(rows, "dtd_identifier", kp_arena_printf(rows->arena, "%u", i + 1));
        kp_system_set_text(rows, "is_derived_reference_attribute", "NO");
    }
}

static enum kp_code fill_attributes(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    each_object(session, rows, KP_RELATION_TYPE, put_attributes);
    return KP_OK;
}

static void put_made(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *type)
{
    if (!kp_made_of(type->made.id)->types)
        return;
    kp_system_row(rows);
    set_name(session, rows, "user_defined_type", type->name);
    kp_system_set_text(rows, "user_defined_type_category", "STRUCTURED");
    kp_system_set_text(rows, "is_instantiable", "YES");
}

static enum kp_code fill_user_defined_types(struct kp_session *session, struct kp_system_rows *rows,
                                            struct kp_error *err)
{
    each_object(session, rows, KP_RELATION_TYPE, put_made);
    return KP_OK;
}

/* ---- functions ---- */

static void put_routine(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *function)
{
    struct kp_sql_context context;
    struct kp_function_facts facts;
    struct kp_error ignored;
    kp_session_context(session, &context);
    if (kp_sql_describe_function(&context, function, rows->arena, &facts, &ignored) != KP_OK)
        return;
    kp_system_row(rows);
    set_name(session, rows, "specific", kp_arena_printf(rows->arena, "%s_%u", facts.name, function->id));
    set_name(session, rows, "routine", facts.name);
    kp_system_set_text(rows, "routine_type", "FUNCTION");
    kp_system_set_type(session, rows, function->made, "type_udt", false);
    kp_system_set_text(rows, "dtd_identifier", "0");
    kp_system_set_text(rows, "routine_body", "SQL");
    kp_system_set_text(rows, "routine_definition", facts.body);
    kp_system_set_text(rows, "external_language", "SQL");
    kp_system_set_text(rows, "parameter_style", "GENERAL");
    kp_system_set_text(rows, "is_deterministic", facts.volatility == 'i' ? "YES" : "NO");
    kp_system_set_text(rows, "sql_data_access", "MODIFIES");
    kp_system_set_text(rows, "is_null_call", facts.strict ? "YES" : "NO");
    kp_system_set_text(rows, "schema_level_routine", "YES");
    kp_system_set_int(rows, "max_dynamic_result_sets", 0);
    kp_system_set_text(rows, "security_type", "INVOKER");
    kp_system_set_text(rows, "as_locator", "NO");
    kp_system_set_text(rows, "is_udt_dependent", "NO");
}

static enum kp_code fill_routines(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    each_object(session, rows, KP_RELATION_FUNCTION, put_routine);
    return KP_OK;
}

const struct kp_system_table kp_system_types[] = {
    {.schema = "information_schema",
     .name = "attributes",
     .spec = "udt_catalog name, udt_schema name, udt_name name, attribute_name name, ordinal_position int4, "
             "attribute_default text, is_nullable text, data_type text, character_maximum_length int4, "
             "character_octet_length int4, character_set_catalog name, character_set_schema name, "
             "character_set_name name, collation_catalog name, collation_schema name, collation_name name, "
             "numeric_precision int4, numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, "
             "interval_type text, interval_precision int4, attribute_udt_catalog name, attribute_udt_schema name, "
             "attribute_udt_name name, scope_catalog name, scope_schema name, scope_name name, maximum_cardinality "
             "int4, dtd_identifier name, is_derived_reference_attribute text",
     .fill = fill_attributes},
    {.schema = "information_schema",
     .name = "column_domain_usage",
     .spec = "domain_catalog name, domain_schema name, domain_name name, table_catalog name, table_schema name, "
             "table_name name, column_name name",
     .fill = fill_column_domain_usage},
    {.schema = "information_schema",
     .name = "domain_constraints",
     .spec = "constraint_catalog name, constraint_schema name, constraint_name name, domain_catalog name, "
             "domain_schema name, domain_name name, is_deferrable text, initially_deferred text",
     .fill = fill_domain_constraints},
    {.schema = "information_schema",
     .name = "domain_udt_usage",
     .spec = "udt_catalog name, udt_schema name, udt_name name, domain_catalog name, domain_schema name, "
             "domain_name name",
     .fill = fill_domain_udt_usage},
    {.schema = "information_schema",
     .name = "domains",
     .spec = "domain_catalog name, domain_schema name, domain_name name, data_type text, character_maximum_length "
             "int4, character_octet_length int4, character_set_catalog name, character_set_schema name, "
             "character_set_name name, collation_catalog name, collation_schema name, collation_name name, "
             "numeric_precision int4, numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, "
             "interval_type text, interval_precision int4, domain_default text, udt_catalog name, udt_schema name, "
             "udt_name name, scope_catalog name, scope_schema name, scope_name name, maximum_cardinality int4, "
             "dtd_identifier name",
     .fill = fill_domains},
    {.schema = "information_schema",
     .name = "user_defined_types",
     .spec = "user_defined_type_catalog name, user_defined_type_schema name, user_defined_type_name name, "
             "user_defined_type_category text, is_instantiable text, is_final text, ordering_form text, "
             "ordering_category text, ordering_routine_catalog name, ordering_routine_schema name, "
             "ordering_routine_name name, reference_type text, data_type text, character_maximum_length int4, "
             "character_octet_length int4, character_set_catalog name, character_set_schema name, "
             "character_set_name name, collation_catalog name, collation_schema name, collation_name name, "
             "numeric_precision int4, numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, "
             "interval_type text, interval_precision int4, source_dtd_identifier name, ref_dtd_identifier name",
     .fill = fill_user_defined_types},
    {.schema = "information_schema",
     .name = "routines",
     .spec = "specific_catalog name, specific_schema name, specific_name name, routine_catalog name, routine_schema "
             "name, routine_name name, routine_type text, module_catalog name, module_schema name, module_name name, "
             "udt_catalog name, udt_schema name, udt_name name, data_type text, character_maximum_length int4, "
             "character_octet_length int4, character_set_catalog name, character_set_schema name, character_set_name "
             "name, collation_catalog name, collation_schema name, collation_name name, numeric_precision int4, "
             "numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, interval_type text, "
             "interval_precision int4, type_udt_catalog name, type_udt_schema name, type_udt_name name, scope_catalog "
             "name, scope_schema name, scope_name name, maximum_cardinality int4, dtd_identifier name, routine_body "
             "text, routine_definition text, external_name text, external_language text, parameter_style text, "
             "is_deterministic text, sql_data_access text, is_null_call text, sql_path text, schema_level_routine "
             "text, max_dynamic_result_sets int4, is_user_defined_cast text, is_implicitly_invocable text, "
             "security_type text, to_sql_specific_catalog name, to_sql_specific_schema name, to_sql_specific_name "
             "name, as_locator text, created text, last_altered text, new_savepoint_level text, is_udt_dependent text, "
             "result_cast_from_data_type text, result_cast_as_locator text, result_cast_char_max_length int4, "
             "result_cast_char_octet_length int4, result_cast_char_set_catalog name, result_cast_char_set_schema name, "
             "result_cast_char_set_name name, result_cast_collation_catalog name, result_cast_collation_schema name, "
             "result_cast_collation_name name, result_cast_numeric_precision int4, result_cast_numeric_precision_radix "
             "int4, result_cast_numeric_scale int4, result_cast_datetime_precision int4, result_cast_interval_type "
             "text, result_cast_interval_precision int4, result_cast_type_udt_catalog name, "
             "result_cast_type_udt_schema name, result_cast_type_udt_name name, result_cast_scope_catalog name, "
             "result_cast_scope_schema name, result_cast_scope_name name, result_cast_maximum_cardinality int4, "
             "result_cast_dtd_identifier name",
     .fill = fill_routines},
};
const size_t kp_system_types_count = KP_COUNT(kp_system_types);
