/*
 * Functions of the session that clients ask at connection: their answer is known when the query is bound, so they
 * become constants. They are no part of a view's meaning and are refused there, but for version().
 */
#include "sql/bind.h"

static struct kp_expr *int4(struct binder *binder, int32_t value)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_INT4), -1, 0);
    expr->datum.type = expr->type;
    expr->datum.i32 = value;
    return expr;
}

/* Functions whose answer here is always the same, whatever the arguments. */
static const struct fixed {
    const char *name;
    uint32_t min_args, max_args;
    enum { FIXED_TEXT, FIXED_EMPTY, FIXED_NULL, FIXED_NULL_INT, FIXED_TRUE, FIXED_FALSE } kind;
    const char *text;
} fixed[] = {
    {"version", 0, 0, FIXED_TEXT, "PostgreSQL 15.0 (kappa " KAPPA_VERSION ")"},
    {"current_schema", 0, 0, FIXED_TEXT, "public"},
    {"pg_is_in_recovery", 0, 0, FIXED_FALSE, NULL},
    {"pg_is_wal_replay_paused", 0, 0, FIXED_FALSE, NULL},
    {"pg_client_encoding", 0, 0, FIXED_TEXT, "UTF8"},
    {"getdatabaseencoding", 0, 0, FIXED_TEXT, "UTF8"},
    {"inet_server_addr", 0, 0, FIXED_NULL, NULL},
    {"inet_client_addr", 0, 0, FIXED_NULL, NULL},
    {"inet_server_port", 0, 0, FIXED_NULL_INT, NULL},
    {"inet_client_port", 0, 0, FIXED_NULL_INT, NULL},
    {"pg_type_is_visible", 1, 1, FIXED_TRUE, NULL},
    {"pg_function_is_visible", 1, 1, FIXED_TRUE, NULL},
    {"pg_operator_is_visible", 1, 1, FIXED_TRUE, NULL},
    {"pg_collation_is_visible", 1, 1, FIXED_TRUE, NULL},
    {"pg_opclass_is_visible", 1, 1, FIXED_TRUE, NULL},
    {"pg_opfamily_is_visible", 1, 1, FIXED_TRUE, NULL},
    {"pg_conversion_is_visible", 1, 1, FIXED_TRUE, NULL},
    {"pg_statistics_obj_is_visible", 1, 1, FIXED_TRUE, NULL},
    {"pg_ts_config_is_visible", 1, 1, FIXED_TRUE, NULL},
    {"pg_ts_dict_is_visible", 1, 1, FIXED_TRUE, NULL},
    {"pg_ts_parser_is_visible", 1, 1, FIXED_TRUE, NULL},
    {"pg_ts_template_is_visible", 1, 1, FIXED_TRUE, NULL},
    {"pg_relation_is_publishable", 1, 1, FIXED_FALSE, NULL},
    {"pg_is_other_temp_schema", 1, 1, FIXED_FALSE, NULL},
    {"pg_tablespace_location", 1, 1, FIXED_EMPTY, NULL},
    {"pg_has_role", 2, 3, FIXED_TRUE, NULL},
    {"has_column_privilege", 3, 4, FIXED_TRUE, NULL},
    {"has_any_column_privilege", 2, 3, FIXED_TRUE, NULL},
    {"has_function_privilege", 2, 3, FIXED_TRUE, NULL},
    {"has_sequence_privilege", 2, 3, FIXED_TRUE, NULL},
    {"has_tablespace_privilege", 2, 3, FIXED_TRUE, NULL},
    {"has_type_privilege", 2, 3, FIXED_TRUE, NULL},
    {"has_language_privilege", 2, 3, FIXED_TRUE, NULL},
    {"has_schema_privilege", 2, 3, FIXED_TRUE, NULL},
    {"has_table_privilege", 2, 3, FIXED_TRUE, NULL},
    {"has_database_privilege", 2, 3, FIXED_TRUE, NULL},
};

static struct kp_expr *fixed_value(struct binder *binder, const struct fixed *rule)
{
    switch (rule->kind) {
    case FIXED_TEXT:
        return kp_bind_text(binder, rule->text);
    case FIXED_EMPTY:
        return kp_bind_text(binder, "");
    case FIXED_NULL:
        return kp_bind_null(binder, KP_TYPE(KP_TEXT));
    case FIXED_NULL_INT:
        return kp_bind_null(binder, KP_TYPE(KP_INT4));
    case FIXED_TRUE:
        return kp_bind_bool(binder, true);
    case FIXED_FALSE:
        return kp_bind_bool(binder, false);
    }
    return NULL;
}

/* current_schemas(with those that are searched without being said). */
static enum kp_code current_schemas(struct binder *binder, struct kp_expr **args, int32_t location,
                                    struct kp_expr **ret_expr)
{
    struct kp_type names = KP_TYPE(kp_type_array_of(KP_NAME));
    if (args[0]->kind != KP_EXPR_CONST || args[0]->type.id != KP_BOOL)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "current_schemas() needs a constant");
    if (args[0]->datum.null) {
        *ret_expr = kp_bind_null(binder, names);
        return KP_OK;
    }
    return kp_bind_coerce(binder, kp_bind_text(binder, args[0]->datum.b ? "{pg_catalog,public}" : "{public}"), names,
                          COERCE_EXPLICIT, ret_expr);
}

static enum kp_code find(struct binder *binder, const char *name, struct kp_expr **args, uint32_t count,
                         int32_t location, struct kp_expr **ret_expr)
{
    const struct kp_sql_context *context = binder->context;
    for (size_t i = 0; i < KP_COUNT(fixed); i++) {
        if (strcmp(fixed[i].name, name) == 0 && count >= fixed[i].min_args && count <= fixed[i].max_args) {
            *ret_expr = fixed_value(binder, &fixed[i]);
            return KP_OK;
        }
    }
    if (strcmp(name, "current_database") == 0 && count == 0)
        *ret_expr = kp_bind_text(binder, context->database ? context->database : "kappa");
    else if (strcmp(name, "pg_backend_pid") == 0 && count == 0)
        *ret_expr = int4(binder, (int32_t)context->pid);
    else if (strcmp(name, "pg_get_userbyid") == 0 && count == 1)
        *ret_expr = kp_bind_text(binder, context->user ? context->user : "kappa");
    else if (strcmp(name, "current_schemas") == 0 && count == 1)
        return current_schemas(binder, args, location, ret_expr);
    else
        return KP_NOT_FOUND;
    return KP_OK;
}

bool kp_sql_session_function(uint32_t n, const char **ret_name)
{
    static const char *const others[] = {
        "current_database",      "pg_backend_pid",     "pg_get_userbyid", "current_schemas", "now",
        "transaction_timestamp", "statement_timestamp"};
    if (n >= KP_COUNT(fixed) + KP_COUNT(others))
        return false;
    *ret_name = n < KP_COUNT(fixed) ? fixed[n].name : others[n - KP_COUNT(fixed)];
    return true;
}

enum kp_code kp_bind_session_function(struct binder *binder, const char *name, struct kp_expr **args, uint32_t count,
                                      int32_t location, struct kp_expr **ret_expr)
{
    KP_TRY(find(binder, name, args, count, location, ret_expr));
    if (binder->for_view && strcmp(name, "version") != 0) {
        kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "%s() depends on the session and cannot be used in a view",
                     name);
        return KP_UNSUPPORTED;
    }
    (*ret_expr)->location = location;
    return KP_OK;
}
