/*
 * CREATE FUNCTION … LANGUAGE sql: what its statement declares, and which of several of one name a call means.
 *
 * A function is an entry of the catalog under its signature, name(types), kept as its statement's text and read again
 * for each call. Of a call the candidates are those whose parameters can take the arguments by place and name, those
 * left over having defaults; a VARIADIC parameter stands for one or more arguments of its element's type, or, with
 * VARIADIC in the call, for one array. Among candidates PostgreSQL's rules choose (resolve.c).
 */
#include "sql/function.h"

#include "base/utf8.h"

enum { PARAMS_MAX = 100, DEPTH_MAX = 64 };

static enum kp_code refuse(struct binder *binder, const char *what)
{
    kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "%s: not supported", what);
    return kp_error_hint(binder->err, "A function is one query: … LANGUAGE sql AS 'SELECT …', or RETURN ….");
}

/* ---- the declaration ---- */

/* A type, polymorphic ones among them. */
static enum kp_code read_type(struct binder *binder, const PgQuery__TypeName *name, struct kp_type *ret_type,
                              struct kp_relation **ret_domain)
{
    static const struct {
        const char *name;
        enum kp_type_id id;
    } any[] = {{"anyelement", KP_ANYELEMENT},       {"anyarray", KP_ANYARRAY},
               {"anynonarray", KP_ANYNONARRAY},     {"anyenum", KP_ANYENUM},
               {"anycompatible", KP_ANYCOMPATIBLE}, {"anycompatiblearray", KP_ANYCOMPATIBLEARRAY}};
    const char *schema, *last = kp_tree_name(name->names, name->n_names, &schema);
    *ret_domain = NULL;
    for (size_t i = 0; i < KP_COUNT(any); i++)
        if (!name->n_array_bounds && strcmp(any[i].name, last) == 0) {
            *ret_type = KP_TYPE(any[i].id);
            return KP_OK;
        }
    KP_TRY(kp_bind_type(binder, name, ret_type, ret_domain));
    if (!*ret_domain) /* a domain's is its own; of a type PostgreSQL forgets it */
        ret_type->mod = -1;
    return KP_OK;
}

static bool is_polymorphic(enum kp_type_id id)
{
    return id >= KP_ANY && id < KP_ARRAY_BASE;
}

static void add_out(struct binder *binder, struct sql_function *function, const char *name, struct kp_type type)
{
    struct kp_column *outs = kp_arena_calloc(binder->arena, (function->out_count + 1) * sizeof *outs);
    if (function->out_count)
        memcpy(outs, function->outs, function->out_count * sizeof *outs);
    if (!name[0])
        name = kp_arena_printf(binder->arena, "column%u", function->out_count + 1);
    outs[function->out_count++] = (struct kp_column){name, type, false};
    function->outs = outs;
}

static enum kp_code read_param(struct binder *binder, const PgQuery__FunctionParameter *from,
                               struct sql_function *function)
{
    enum _PgQuery__FunctionParameterMode mode = from->mode;
    struct sql_param param = {.name = from->name ? from->name : "", .value = from->defexpr};
    KP_TRY(read_type(binder, from->arg_type, &param.type, &param.domain));
    bool table = mode == PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_TABLE;
    if (table || mode == PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_OUT ||
        mode == PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_INOUT)
        add_out(binder, function, param.name, param.type);
    if (table || mode == PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_OUT)
        return KP_OK;
    if (function->variadic)
        return kp_bind_fail(binder, -1, KP_INVALID, "42P13", "VARIADIC parameter must be the last input parameter");
    function->variadic = mode == PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_VARIADIC;
    bool array =
        kp_type_is_array(param.type.id) || param.type.id == KP_ANYARRAY || param.type.id == KP_ANYCOMPATIBLEARRAY;
    if (function->variadic && !array)
        return kp_bind_fail(binder, -1, KP_INVALID, "42P13", "VARIADIC parameter must be an array");
    if (function->param_count && function->params[function->param_count - 1].value && !param.value &&
        !function->variadic)
        return kp_bind_fail(binder, -1, KP_INVALID, "42P13",
                            "input parameters after one with a default value must also have defaults");
    for (uint32_t i = 0; i < function->param_count && param.name[0]; i++)
        if (strcmp(function->params[i].name, param.name) == 0)
            return kp_bind_fail(binder, -1, KP_INVALID, "42P13", "parameter name \"%s\" used more than once",
                                param.name);
    if (function->param_count == PARAMS_MAX)
        return kp_bind_fail(binder, -1, KP_LIMIT, "54023", "functions cannot have more than %d arguments", PARAMS_MAX);
    function->params[function->param_count++] = param;
    return KP_OK;
}

/* RETURNS type, SETOF type, TABLE (…); of a row type or relation its columns. */
static enum kp_code read_result(struct binder *binder, const PgQuery__CreateFunctionStmt *create,
                                struct sql_function *function)
{
    const PgQuery__TypeName *name = create->return_type;
    if (!name && !function->out_count)
        return kp_bind_fail(binder, -1, KP_INVALID, "42P13", "function result type must be specified");
    function->set = name && name->setof;
    if (function->out_count) {
        function->ret = function->outs[0].type;
        if (function->out_count == 1 && !function->set)
            function->out_count = 0;
        return KP_OK;
    }
    const char *schema, *last = kp_tree_name(name->names, name->n_names, &schema);
    if (strcmp(last, "record") == 0)
        return refuse(binder, "RETURNS record without OUT parameters");
    if (strcmp(last, "void") == 0)
        return refuse(binder, "a function without a result");
    const struct kp_relation *rows = NULL;
    if (function->set && (!schema || strcmp(schema, "public") == 0))
        rows = kp_catalog_find(binder->context->catalog, KP_STR("public"), kp_str(last));
    if (rows && rows->kind <= KP_RELATION_PLAIN_VIEW) {
        for (uint32_t i = 0; i + rows->hidden_count < rows->col_count; i++)
            add_out(binder, function, rows->cols[i].name, rows->cols[i].type);
        function->ret = function->outs[0].type;
        return KP_OK;
    }
    KP_TRY(read_type(binder, name, &function->ret, &function->ret_domain));
    if (!kp_type_is_composite(function->ret.id) || !function->set)
        return KP_OK;
    const struct kp_made *made = kp_made_of(function->ret.id);
    const struct kp_relation *row = kp_bind_row_domains(binder, function->ret.id);
    for (uint32_t i = 0; i < made->count; i++)
        add_out(binder, function, made->names[i],
                kp_relation_domain_type(row ? row->domains[i] : NULL, made->types[i]));
    return KP_OK;
}

/* ---- the body ---- */

/* Whether a subquery stands somewhere in it. */
static bool has_subquery(const ProtobufCMessage *message)
{
    if (message->descriptor == &pg_query__sub_link__descriptor)
        return true;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const char *at = (const char *)message + field->offset,
                   *many = (const char *)message + field->quantifier_offset;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            const ProtobufCMessage *const *items = *(const ProtobufCMessage *const *const *)at;
            for (size_t n = 0; n < *(const size_t *)many; n++)
                if (has_subquery(items[n]))
                    return true;
            continue;
        }
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && *(const uint32_t *)many != field->id)
            continue;
        const ProtobufCMessage *inner = *(const ProtobufCMessage *const *)at;
        if (inner && has_subquery(inner))
            return true;
    }
    return false;
}

/* SELECT and one expression, which can stand in the place of a call. */
static bool is_value(const PgQuery__SelectStmt *select)
{
    if (select->op != PG_QUERY__SET_OPERATION__SETOP_NONE || select->n_target_list != 1 || select->n_from_clause ||
        select->where_clause || select->n_group_clause || select->having_clause || select->n_distinct_clause ||
        select->limit_count || select->limit_offset || select->with_clause || select->n_values_lists)
        return false;
    const PgQuery__Node *value = select->target_list[0]->res_target->val;
    return !kp_bind_is_star(value) && !has_subquery(&value->base);
}

/*
 * A function of one value or record means its query's first row, where ORDER BY says which that is: LIMIT 1. Else it is
 * the least (inline.c).
 */
static const PgQuery__SelectStmt *first_row(struct binder *binder, const PgQuery__SelectStmt *select)
{
    if (!select->n_sort_clause || select->limit_count)
        return select;
    PgQuery__SelectStmt *limited = kp_arena_alloc(binder->arena, sizeof *limited);
    *limited = *select;
    PgQuery__Node *node = kp_arena_alloc(binder->arena, sizeof *node);
    pg_query__node__init(node);
    node->node_case = PG_QUERY__NODE__NODE_A_CONST;
    node->a_const = kp_arena_alloc(binder->arena, sizeof *node->a_const);
    pg_query__a__const__init(node->a_const);
    node->a_const->val_case = PG_QUERY__A__CONST__VAL_IVAL;
    node->a_const->ival = kp_arena_alloc(binder->arena, sizeof *node->a_const->ival);
    pg_query__integer__init(node->a_const->ival);
    node->a_const->ival->ival = 1;
    limited->limit_count = node;
    limited->limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_COUNT;
    return limited;
}

static enum kp_code take_query(struct binder *binder, const PgQuery__Node *tree, struct sql_function *function)
{
    if (!tree || tree->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return refuse(binder, "a body that is no SELECT");
    const PgQuery__SelectStmt *select = tree->select_stmt;
    if (!function->set && !function->out_count && is_value(select))
        function->value = select->target_list[0]->res_target->val;
    else
        function->query = function->set ? select : first_row(binder, select);
    return KP_OK;
}

static const char *trimmed(struct binder *binder, const char *text)
{
    size_t len = strlen(text);
    while (len && strchr(" \t\r\n;", text[len - 1]))
        len--;
    return kp_arena_strndup(binder->arena, text, len);
}

/* RETURN expression, or BEGIN ATOMIC query; END. */
static enum kp_code read_inner_body(struct binder *binder, const PgQuery__Node *body, struct sql_function *function)
{
    function->body_text = function->text;
    if (body->node_case == PG_QUERY__NODE__NODE_RETURN_STMT) {
        function->value = body->return_stmt->returnval;
        if (function->set || has_subquery(&function->value->base))
            return refuse(binder, "RETURN of rows or of a subquery");
        return KP_OK;
    }
    while (body->node_case == PG_QUERY__NODE__NODE_LIST) {
        if (body->list->n_items != 1)
            return refuse(binder, "a body of several statements");
        body = body->list->items[0];
    }
    return take_query(binder, body, function);
}

void kp_function_place_error(struct binder *binder, const struct sql_function *function)
{
    const char *body = function->body_text, *at = strstr(function->text, body);
    if (!binder->err || !binder->err->position || body == function->text)
        return;
    bool once = at && !strstr(at + 1, body); /* else who knows which, or it is written with escapes */
    int32_t before = once ? (int32_t)kp_utf8_length(function->text, (size_t)(at - function->text)) : 0;
    binder->err->position = once ? binder->err->position + before : 0;
}

static enum kp_code read_body(struct binder *binder, const PgQuery__CreateFunctionStmt *create,
                              struct sql_function *function)
{
    bool sql = false;
    const char *source = NULL;
    for (size_t i = 0; i < create->n_options; i++) {
        const PgQuery__DefElem *option = create->options[i]->def_elem;
        if (strcmp(option->defname, "language") == 0)
            sql = strcasecmp(option->arg->string->sval, "sql") == 0;
        else if (strcmp(option->defname, "as") == 0 && option->arg->list->n_items == 1)
            source = option->arg->list->items[0]->string->sval;
        else if (strcmp(option->defname, "strict") == 0)
            function->strict = option->arg->boolean->boolval;
    }
    if (!sql && !create->sql_body)
        return refuse(binder, "a language other than sql");
    if (create->sql_body)
        return read_inner_body(binder, create->sql_body, function);
    if (!source)
        return kp_bind_fail(binder, -1, KP_INVALID, "42P13", "no function body specified");
    struct kp_statement *statement;
    function->body_text = trimmed(binder, source);
    enum kp_code code = kp_sql_parse(kp_str(function->body_text), binder->arena, &statement, binder->err);
    if (code != KP_OK)
        kp_function_place_error(binder, function);
    KP_TRY(code);
    function->written = statement;
    return take_query(binder, statement->tree, function);
}

enum kp_code kp_function_read(struct binder *binder, const PgQuery__CreateFunctionStmt *create, const char *text,
                              struct sql_function *ret_function)
{
    struct sql_function function = {.text = text};
    const char *schema;
    function.name = kp_tree_name(create->funcname, create->n_funcname, &schema);
    if (create->is_procedure)
        return refuse(binder, "CREATE PROCEDURE");
    function.params = kp_arena_calloc(binder->arena, (create->n_parameters + 1) * sizeof *function.params);
    for (size_t i = 0; i < create->n_parameters; i++)
        KP_TRY(read_param(binder, create->parameters[i]->function_parameter, &function));
    KP_TRY(read_result(binder, create, &function));
    KP_TRY(read_body(binder, create, &function));
    *ret_function = function;
    return KP_OK;
}

const char *kp_function_signature(struct binder *binder, const struct sql_function *function)
{
    struct kp_buf out = {0};
    kp_buf_printf(&out, "%s(", function->name);
    for (uint32_t i = 0; i < function->param_count; i++)
        kp_buf_printf(&out, "%s%s", i ? ", " : "", kp_type_info(function->params[i].type.id)->name);
    kp_buf_append_byte(&out, ')');
    const char *text = kp_arena_strndup(binder->arena, (const char *)out.data, out.len);
    kp_buf_finish(&out);
    return text;
}

/* ---- calls ---- */

/* The arguments as they were given: by place, then by name. */
struct given {
    struct kp_expr **exprs;
    const char **names; /* NULL: by place */
    uint32_t count;
    bool variadic; /* the last one is the array of a VARIADIC parameter */
};

static enum kp_code bind_given(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                               struct given *ret_given)
{
    struct given given = {.count = (uint32_t)call->n_args, .variadic = call->func_variadic};
    given.exprs = kp_arena_calloc(binder->arena, (given.count + 1) * sizeof *given.exprs);
    given.names = kp_arena_calloc(binder->arena, (given.count + 1) * sizeof *given.names);
    for (uint32_t i = 0; i < given.count; i++) {
        const PgQuery__Node *node = call->args[i];
        if (node->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR) {
            given.names[i] = node->named_arg_expr->name;
            node = node->named_arg_expr->arg;
        } else if (i && given.names[i - 1]) {
            return kp_bind_fail(binder, kp_tree_location(node), KP_INVALID, "42601",
                                "positional argument cannot follow named argument");
        }
        for (uint32_t k = 0; k < i && given.names[i]; k++)
            if (given.names[k] && strcmp(given.names[k], given.names[i]) == 0)
                return kp_bind_fail(binder, call->args[i]->named_arg_expr->location, KP_INVALID, "42601",
                                    "argument name \"%s\" used more than once", given.names[i]);
        KP_TRY(kp_bind_expr(binder, place, node, &given.exprs[i]));
    }
    *ret_given = given;
    return KP_OK;
}

static enum kp_type_id element_of(enum kp_type_id array)
{
    return array == KP_ANYARRAY             ? KP_ANYELEMENT
           : array == KP_ANYCOMPATIBLEARRAY ? KP_ANYCOMPATIBLE
                                            : kp_type_element(array);
}

/* The parameter that each given argument is for, and the type it must become; false: they do not fit in number or name.
 */
static bool map_given(const struct sql_function *function, const struct given *given, uint32_t *params,
                      enum kp_type_id *types)
{
    uint32_t last = function->param_count - 1;
    bool taken[PARAMS_MAX] = {false}, spread = function->variadic && !given->variadic;
    if (given->variadic && (!function->variadic || given->count != function->param_count))
        return false;
    for (uint32_t i = 0; i < given->count; i++) {
        uint32_t at = i;
        if (given->names[i])
            for (at = 0; at < function->param_count && strcmp(function->params[at].name, given->names[i]) != 0;)
                at++;
        else if (spread && at > last)
            at = last;
        bool again = spread && at == last && !given->names[i];
        if (at >= function->param_count || (taken[at] && !again))
            return false;
        taken[at] = true;
        params[i] = at;
        types[i] = function->params[at].type.id;
        if (again)
            types[i] = element_of(types[i]);
    }
    for (uint32_t p = 0; p < function->param_count; p++)
        if (!taken[p] && !function->params[p].value)
            return false;
    return true;
}

/* What stands where no argument was given. */
static enum kp_code bind_default(struct binder *binder, const struct sql_function *function, uint32_t param,
                                 struct kp_expr **ret_expr)
{
    struct binder inner = *binder;
    struct scope nothing = {0};
    struct expr_place place = {.scope = &nothing, .clause = "a parameter's default"};
    struct kp_type type = function->params[param].type;
    inner.text = function->text;
    inner.inline_params = NULL;
    KP_TRY(kp_bind_expr(&inner, &place, function->params[param].value, ret_expr));
    if (is_polymorphic(type.id))
        return kp_bind_settle_unknown(binder, *ret_expr, ret_expr);
    return kp_bind_coerce(binder, *ret_expr, type, COERCE_ASSIGNMENT, ret_expr);
}

/* The types that a call gives polymorphic parameters and results. */
static enum kp_code settle_types(struct binder *binder, struct sql_function *function, const struct kp_poly *poly)
{
    KP_TRY(kp_poly_check(binder, function->ret.id, poly));
    for (uint32_t i = 0; i < function->out_count; i++)
        KP_TRY(kp_poly_check(binder, function->outs[i].type.id, poly));
    for (uint32_t p = 0; p < function->param_count; p++)
        function->params[p].type.id = kp_poly_meant(function->params[p].type.id, poly);
    function->ret.id = kp_poly_meant(function->ret.id, poly);
    for (uint32_t i = 0; i < function->out_count; i++)
        function->outs[i].type.id = kp_poly_meant(function->outs[i].type.id, poly);
    return KP_OK;
}

static enum kp_code fill_params(struct binder *binder, const struct sql_function *function, const struct given *given,
                                const uint32_t *params, int32_t location, struct kp_expr **args)
{
    uint32_t last = function->param_count - 1, rest = 0;
    struct kp_expr **collected = kp_arena_calloc(binder->arena, (given->count + 1) * sizeof *collected);
    bool spread = function->variadic && !given->variadic;
    for (uint32_t i = 0; i < given->count; i++) {
        if (spread && params[i] == last && !given->names[i])
            collected[rest++] = given->exprs[i];
        else
            args[params[i]] = given->exprs[i];
    }
    if (rest)
        args[last] = kp_bind_fold(
            binder, kp_bind_call(binder, "kp_array", function->params[last].type, collected, rest, location));
    for (uint32_t p = 0; p < function->param_count; p++) {
        if (!args[p])
            KP_TRY(bind_default(binder, function, p, &args[p]));
        if (!function->params[p].domain)
            continue;
        KP_TRY(kp_bind_coerce(binder, args[p], function->params[p].type, COERCE_IMPLICIT, &args[p])); /* its length */
        KP_TRY(kp_bind_domain_check(binder, function->params[p].domain, args[p], location, &args[p]));
    }
    return KP_OK;
}

static bool same_type(struct kp_type a, struct kp_type b)
{
    return a.id == b.id && a.domain == b.domain;
}

static bool same_outs(const struct sql_function *a, const struct sql_function *b)
{
    bool same = a->out_count == b->out_count;
    for (uint32_t i = 0; same && i < a->out_count; i++)
        same = same_type(a->outs[i].type, b->outs[i].type) && strcmp(a->outs[i].name, b->outs[i].name) == 0;
    return same;
}

static enum kp_code cannot_replace(struct binder *binder, const struct kp_relation *old, const char *what,
                                   const char *detail)
{
    kp_bind_fail(binder, -1, KP_INVALID, "42P13", "cannot %s", what);
    if (detail)
        kp_error_detail(binder->err, "%s", detail);
    char *name = kp_arena_strdup(binder->arena, old->name), *to = name; /* PostgreSQL writes no spaces here */
    for (const char *from = old->name; *from; from++)
        if (*from != ' ' || from[-1] != ',')
            *to++ = *from;
    *to = '\0';
    return kp_error_hint(binder->err, "Use DROP FUNCTION %s first.", name);
}

enum kp_code kp_function_check_replaced(struct binder *binder, const struct kp_relation *old,
                                        const struct sql_function *function)
{
    struct kp_statement *statement;
    struct sql_function was;
    KP_TRY(kp_sql_parse(kp_str(old->text), binder->arena, &statement, binder->err));
    KP_TRY(kp_function_read(binder, statement->tree->create_function_stmt, old->text, &was));
    bool rows = was.out_count > 0 && function->out_count > 0;
    if (was.set != function->set || (!rows && !same_type(was.ret, function->ret)))
        return cannot_replace(binder, old, "change return type of existing function", NULL);
    if (!same_outs(&was, function))
        return cannot_replace(binder, old, "change return type of existing function",
                              "Row type defined by OUT parameters is different.");
    for (uint32_t p = 0; p < was.param_count; p++) {
        const struct sql_param *from = &was.params[p], *to = &function->params[p];
        if (from->name[0] && strcmp(from->name, to->name) != 0)
            return cannot_replace(
                binder, old, kp_arena_printf(binder->arena, "change name of input parameter \"%s\"", from->name), NULL);
        if (from->value && !to->value)
            return cannot_replace(binder, old, "remove parameter defaults from existing function", NULL);
    }
    return KP_OK;
}

/* All functions of a name. */
static enum kp_code read_overloads(struct binder *binder, const char *name, struct sql_function **ret_functions,
                                   uint32_t *ret_count)
{
    const struct kp_catalog *catalog = binder->context->catalog;
    struct sql_function *functions = NULL;
    uint32_t count = 0, cap = 0;
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        struct kp_relation *object = kp_catalog_at(catalog, i);
        if (kp_relation_declared(object) != KP_RELATION_FUNCTION || strcmp(object->function, name) != 0)
            continue;
        KP_TRY(kp_relation_check_failed(object, binder->err)); /* of what types it is is not known */
        if (count == cap) {
            cap = cap ? cap * 2 : 4;
            struct sql_function *more = kp_arena_alloc(binder->arena, cap * sizeof *more);
            if (count)
                memcpy(more, functions, count * sizeof *more);
            functions = more;
        }
        struct kp_statement *statement;
        KP_TRY(kp_sql_parse(kp_str(object->text), binder->arena, &statement, binder->err));
        KP_TRY(kp_function_read(binder, statement->tree->create_function_stmt, object->text, &functions[count]));
        functions[count++].object = object;
    }
    *ret_functions = functions;
    *ret_count = count;
    return KP_OK;
}

enum kp_code kp_function_choose(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                                const char *name, struct sql_function *ret_function, struct kp_expr ***ret_args)
{
    struct given given = {0};
    struct sql_function *functions;
    uint32_t count, fitting = 0, chosen;
    if (binder->inline_depth >= DEPTH_MAX)
        return kp_bind_fail(binder, call->location, KP_LIMIT, "54001",
                            "functions that call each other more than %d deep", DEPTH_MAX);
    KP_TRY(bind_given(binder, place, call, &given));
    KP_TRY(read_overloads(binder, name, &functions, &count));
    struct kp_signature *signatures = kp_arena_calloc(binder->arena, (count + 1) * sizeof *signatures);
    uint32_t **params = kp_arena_calloc(binder->arena, (count + 1) * sizeof *params);
    for (uint32_t i = 0; i < count; i++) {
        enum kp_type_id *types = kp_arena_calloc(binder->arena, (given.count + 1) * sizeof *types);
        params[fitting] = kp_arena_calloc(binder->arena, (given.count + 1) * sizeof **params);
        if (map_given(&functions[i], &given, params[fitting], types))
            signatures[fitting++] = (struct kp_signature){&functions[i], types};
    }
    struct kp_poly poly;
    KP_TRY(kp_bind_choose(binder, name, signatures, fitting, given.exprs, given.count, call->location, &chosen, &poly));
    struct sql_function *function = (struct sql_function *)(uintptr_t)signatures[chosen].what;
    KP_TRY(settle_types(binder, function, &poly));
    struct kp_expr **args = kp_arena_calloc(binder->arena, (function->param_count + 1) * sizeof *args);
    KP_TRY(fill_params(binder, function, &given, params[chosen], call->location, args));
    kp_bind_use(binder, function->object);
    *ret_function = *function;
    *ret_args = args;
    return KP_OK;
}

/* ---- by name, for DROP ---- */

static enum kp_code signature_of(struct binder *binder, const char *name, const char *args, const char **ret_signature)
{
    struct sql_function function;
    struct kp_statement *statement;
    const char *text =
        kp_arena_printf(binder->arena, "CREATE FUNCTION x %s RETURNS integer LANGUAGE sql AS 'SELECT 1'", args);
    binder->text = text;
    KP_TRY(kp_sql_parse(kp_str(text), binder->arena, &statement, binder->err));
    KP_TRY(kp_function_read(binder, statement->tree->create_function_stmt, text, &function));
    function.name = name;
    *ret_signature = kp_function_signature(binder, &function);
    return KP_OK;
}

enum kp_code kp_sql_find_function(const struct kp_sql_context *context, const char *name, const char *args,
                                  struct kp_relation **ret_function, struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_statement none = {0};
    struct binder binder;
    struct kp_relation *found = NULL, *failed = NULL; /* whose types are not known */
    uint32_t count = 0;
    const char *signature = NULL;
    enum kp_code code = KP_OK;
    kp_binder_init(&binder, context, &none, &arena, err);
    if (args)
        code = signature_of(&binder, name, args, &signature);
    for (size_t i = 0; code == KP_OK && i < kp_catalog_count(context->catalog); i++) {
        struct kp_relation *object = kp_catalog_at(context->catalog, i);
        if (object->kind == KP_RELATION_FAILED && object->declared == KP_RELATION_FUNCTION &&
            strcmp(object->function, name) == 0)
            failed = object;
        if (object->kind != KP_RELATION_FUNCTION ||
            strcmp(signature ? object->name : object->function, signature ? signature : name) != 0)
            continue;
        found = object;
        count++;
    }
    if (failed && (code == KP_NOT_FOUND || (code == KP_OK && count == 0))) {
        found = failed;
        code = KP_OK;
    } else if (code == KP_OK && count == 0)
        code = signature ? kp_fail(err, KP_NOT_FOUND, "42883", "function %s does not exist", signature)
                         : kp_fail(err, KP_NOT_FOUND, "42883", "could not find a function named \"%s\"", name);
    if (code == KP_OK && count > 1) {
        (void)kp_fail(err, KP_INVALID, "42725", "function name \"%s\" is not unique", name);
        code = kp_error_hint(err, "Specify the argument list to select the function unambiguously.");
    }
    err->position = 0;
    kp_arena_finish(&arena);
    if (code == KP_OK)
        *ret_function = found;
    return code;
}

enum kp_code kp_sql_function_name(const struct kp_sql_context *context, struct kp_str text, struct kp_arena *arena,
                                  const char **ret_name)
{
    struct kp_error unseen;
    struct kp_statement *statement;
    struct binder binder;
    struct sql_function function;
    if (kp_sql_parse(text, arena, &statement, &unseen) != KP_OK || statement->kind != KP_STATEMENT_CREATE ||
        statement->relation_kind != KP_RELATION_FUNCTION)
        return KP_NOT_FOUND;
    kp_binder_init(&binder, context, statement, arena, &unseen);
    if (kp_function_read(&binder, statement->tree->create_function_stmt, statement->text, &function) != KP_OK)
        return KP_NOT_FOUND;
    *ret_name = kp_function_signature(&binder, &function);
    return KP_OK;
}
