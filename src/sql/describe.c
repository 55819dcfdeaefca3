/*
 * A function that a statement made, written as PostgreSQL's catalog functions write it: its parameters, its result, and
 * the statement that would make it again.
 */
#include "sql/describe.h"

#include "sql/function.h"
#include "vec/facts.h"

static const char *string_of(struct binder *binder, struct kp_buf *buf)
{
    const char *text = kp_arena_strndup(binder->arena, buf->len ? (const char *)buf->data : "", buf->len);
    kp_buf_finish(buf);
    return text;
}

static void put_name(const char *name, bool array, struct kp_buf *out)
{
    kp_name_quote(kp_str(name), out);
    kp_buf_append_text(out, array ? "[]" : "");
}

static void put_type(const PgQuery__TypeName *name, struct kp_type type, const struct kp_relation *domain,
                     struct kp_buf *out)
{
    const char *schema, *last = kp_tree_name(name->names, name->n_names, &schema);
    if (name->setof)
        kp_buf_append_text(out, "SETOF ");
    if (domain)
        put_name(domain->name, type.domain > KP_DOMAIN_ARRAYS, out);
    else if (kp_type_by_name(kp_str(last)) != KP_TYPE_NONE)
        kp_buf_append_text(out, kp_type_info(type.id)->name);
    else
        put_name(last, name->n_array_bounds > 0, out);
}

static enum kp_code put_default(struct binder *binder, const struct kp_relation *object, const PgQuery__Node *value,
                                struct kp_type type, struct kp_buf *out)
{
    static const struct scope nothing;
    struct expr_place place = {.scope = &nothing, .clause = "DEFAULT expressions"};
    struct binder inner = *binder;
    struct kp_expr *expr;
    inner.text = object->text;
    KP_TRY(kp_bind_expr(&inner, &place, value, &expr));
    if (type.id < KP_ANY || type.id > KP_ANYCOMPATIBLEARRAY)
        KP_TRY(kp_bind_coerce(&inner, expr, type, COERCE_ASSIGNMENT, &expr));
    kp_buf_append_text(out, " DEFAULT ");
    kp_expr_print(expr, NULL, out);
    bool literal = expr->kind == KP_EXPR_CONST && !expr->datum.null;
    if (literal && (kp_type_info(expr->type.id)->string || kp_type_is_enum(expr->type.id)))
        kp_buf_printf(out, "::%s", kp_type_info(expr->type.id)->name);
    return KP_OK;
}

/* x integer, OUT y text, VARIADIC z integer[] DEFAULT … */
static enum kp_code put_arguments(struct binder *binder, const struct kp_relation *object,
                                  const PgQuery__CreateFunctionStmt *create, bool table, bool defaults,
                                  struct kp_buf *out)
{
    for (size_t i = 0; i < create->n_parameters; i++) {
        const PgQuery__FunctionParameter *param = create->parameters[i]->function_parameter;
        struct kp_type type;
        struct kp_relation *domain;
        if ((param->mode == PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_TABLE) != table)
            continue;
        KP_TRY(kp_bind_type(binder, param->arg_type, &type, &domain));
        kp_buf_append_text(out, out->len ? ", " : "");
        if (param->mode == PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_OUT)
            kp_buf_append_text(out, "OUT ");
        else if (param->mode == PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_INOUT)
            kp_buf_append_text(out, "INOUT ");
        else if (param->mode == PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_VARIADIC)
            kp_buf_append_text(out, "VARIADIC ");
        if (param->name && param->name[0]) {
            kp_name_quote(kp_str(param->name), out);
            kp_buf_append_byte(out, ' ');
        }
        put_type(param->arg_type, type, domain, out);
        if (param->defexpr && defaults)
            KP_TRY(put_default(binder, object, param->defexpr, type, out));
    }
    return KP_OK;
}

static enum kp_code put_result(struct binder *binder, const struct kp_relation *object,
                               const PgQuery__CreateFunctionStmt *create, const struct sql_function *function,
                               struct kp_buf *out)
{
    struct kp_buf columns = {0};
    enum kp_code code = put_arguments(binder, object, create, true, false, &columns);
    if (code == KP_OK && columns.len)
        kp_buf_printf(out, "TABLE(%.*s)", (int)columns.len, (const char *)columns.data);
    else if (code == KP_OK && create->return_type)
        put_type(create->return_type, function->ret, function->ret_domain, out);
    else if (code == KP_OK)
        kp_buf_append_text(out, function->out_count ? "record" : kp_type_info(function->ret.id)->name);
    kp_buf_finish(&columns);
    return code;
}

static void read_options(const PgQuery__CreateFunctionStmt *create, struct kp_function_facts *facts)
{
    facts->volatility = 'v';
    for (size_t i = 0; i < create->n_options; i++) {
        const PgQuery__DefElem *option = create->options[i]->def_elem;
        if (strcmp(option->defname, "volatility") == 0)
            facts->volatility = option->arg->string->sval[0];
        else if (strcmp(option->defname, "as") == 0 && option->arg->list->n_items)
            facts->body = option->arg->list->items[0]->string->sval;
    }
}

/* Of a body that is no string the statement as it was sent, which is one that makes it. */
static const char *definition_of(struct binder *binder, const struct kp_relation *object,
                                 const struct kp_function_facts *facts)
{
    struct kp_buf out = {0};
    if (!facts->body) {
        const char *create = strcasestr(object->text, "create"), *rest = create ? create + 6 : object->text;
        const char *function = strcasestr(rest, "function");
        kp_buf_printf(&out, "CREATE OR REPLACE %s\n", function ? function : rest);
        return string_of(binder, &out);
    }
    kp_buf_append_text(&out, "CREATE OR REPLACE FUNCTION public.");
    kp_name_quote(kp_str(facts->name), &out);
    kp_buf_printf(&out, "(%s)\n RETURNS %s\n LANGUAGE sql\n", facts->arguments, facts->result);
    if (facts->volatility != 'v' || facts->strict)
        kp_buf_printf(&out, "%s%s\n",
                      facts->volatility == 'i'   ? " IMMUTABLE"
                      : facts->volatility == 's' ? " STABLE"
                                                 : "",
                      facts->strict ? " STRICT" : "");
    kp_buf_printf(&out, "AS $function$%s$function$\n", facts->body);
    return string_of(binder, &out);
}

enum kp_code kp_sql_describe_function(const struct kp_sql_context *context, const struct kp_relation *object,
                                      struct kp_arena *arena, struct kp_function_facts *ret_facts, struct kp_error *err)
{
    struct kp_statement *statement;
    struct binder binder;
    struct sql_function function;
    KP_TRY(kp_sql_parse(kp_str(object->text), arena, &statement, err));
    kp_binder_init(&binder, context, statement, arena, err);
    const PgQuery__CreateFunctionStmt *create = statement->tree->create_function_stmt;
    KP_TRY(kp_function_read(&binder, create, object->text, &function));
    struct kp_function_facts facts = {.name = object->function, .strict = function.strict, .set = function.set};
    struct kp_buf oids = {0}, arguments = {0}, identity = {0}, result = {0};
    for (uint32_t i = 0; i < function.param_count; i++) {
        const struct sql_param *param = &function.params[i];
        uint32_t oid = param->domain ? param->type.domain : kp_type_info(param->type.id)->oid;
        kp_buf_printf(&oids, "%s%u", i ? " " : "", oid);
        facts.default_count += param->value != NULL;
        if (function.variadic && i + 1 == function.param_count && kp_type_is_array(param->type.id))
            facts.variadic_oid = kp_type_info(kp_type_element(param->type.id))->oid;
    }
    facts.arg_count = function.param_count;
    facts.arg_oids = string_of(&binder, &oids);
    facts.result_oid = function.out_count > 1 ? 2249 /* record */ : kp_type_info(function.ret.id)->oid;
    read_options(create, &facts);
    enum kp_code code = put_arguments(&binder, object, create, false, true, &arguments);
    if (code == KP_OK)
        code = put_arguments(&binder, object, create, false, false, &identity);
    if (code == KP_OK)
        code = put_result(&binder, object, create, &function, &result);
    facts.arguments = string_of(&binder, &arguments);
    facts.identity = string_of(&binder, &identity);
    facts.result = string_of(&binder, &result);
    KP_TRY(code);
    facts.definition = definition_of(&binder, object, &facts);
    *ret_facts = facts;
    return KP_OK;
}
