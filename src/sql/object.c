/*
 * What CREATE TYPE … AS ENUM, CREATE DOMAIN and CREATE FUNCTION make, and how it is used.
 *
 * They are entries of the catalog in schemas of their own, kept as their statement's text and read again wherever they
 * are used; what uses one notes it (use_list), so that DROP knows.
 *
 *   enum, row   a type id (vec/made.h)
 *   domain      its base type; a value becomes one through kp_domain_not_null and kp_domain_check(value, condition, …)
 *   function    its body, one SELECT without FROM or RETURN, put in the place of the call: parameters are columns of a
 *               scope while the body is bound, then the arguments take their place
 */
#include "sql/bind.h"
#include "sql/object.h"

enum { INLINE_NODES_MAX = 100000 };

void kp_bind_use(struct binder *binder, struct kp_relation *object)
{
    struct use_list *uses = binder->uses;
    if (!uses)
        return;
    for (uint32_t i = 0; i < uses->count; i++)
        if (uses->objects[i] == object)
            return;
    if (uses->count == uses->cap) {
        uint32_t cap = uses->cap ? uses->cap * 2 : 8;
        uses->objects = kp_realloc(uses->objects, cap * sizeof(struct kp_relation *));
        uses->cap = cap;
    }
    uses->objects[uses->count++] = object;
}

static struct kp_relation *find_object(const struct binder *binder, enum kp_relation_kind kind, const char *name)
{
    return kp_catalog_find(binder->context->catalog, kp_str(kp_relation_schema(kind)), kp_str(name));
}

/* The object's statement again; the tree lives in the binder's arena. */
static enum kp_code reread(struct binder *binder, const struct kp_relation *object, const PgQuery__Node **ret_tree)
{
    struct kp_statement *statement;
    KP_TRY(kp_sql_parse(kp_str(object->text), binder->arena, &statement, binder->err));
    *ret_tree = statement->tree;
    return KP_OK;
}

/* ---- types ---- */

enum kp_code kp_bind_type(struct binder *binder, const PgQuery__TypeName *name, struct kp_type *ret_type,
                          struct kp_relation **ret_domain)
{
    const char *schema, *last = kp_tree_name(name->names, name->n_names, &schema);
    struct kp_relation *object = NULL;
    *ret_domain = NULL;
    if (!schema || strcmp(schema, "public") == 0)
        object = find_object(binder, KP_RELATION_TYPE, last);
    if (!object || (!schema && kp_type_by_name(kp_str(last)) != KP_TYPE_NONE))
        return kp_bind_type_name(name, binder->text, ret_type, binder->err);
    if (name->n_typmods)
        return kp_bind_fail(binder, name->location, KP_INVALID, "42601", "type modifier is not allowed for type \"%s\"",
                            last);
    kp_bind_use(binder, object);
    *ret_type = object->made;
    if (object->kind == KP_RELATION_DOMAIN)
        *ret_domain = object;
    if (!name->n_array_bounds)
        return KP_OK;
    if (object->kind == KP_RELATION_DOMAIN)
        return kp_bind_fail(binder, name->location, KP_UNSUPPORTED, NULL, "arrays of domains are not supported");
    ret_type->id = kp_type_array_of(ret_type->id);
    return KP_OK;
}

/* ---- a bound body, its columns replaced ---- */

struct replacement {
    struct kp_expr *const *args;
    uint32_t arg_count;
    uint32_t nodes;
};

static struct kp_expr *replace_column(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    struct replacement *replacement = arg;
    (void)arena;
    replacement->nodes++;
    if (expr->kind != KP_EXPR_COLUMN || expr->column >= replacement->arg_count)
        return NULL;
    return replacement->args[expr->column];
}

static bool count_node(const struct kp_expr *expr, void *arg)
{
    (void)expr;
    return ++*(uint32_t *)arg <= INLINE_NODES_MAX;
}

static enum kp_code substitute(struct binder *binder, const struct kp_expr *body, struct kp_expr *const *args,
                               uint32_t arg_count, int32_t location, struct kp_expr **ret_expr)
{
    struct replacement replacement = {args, arg_count, 0};
    struct kp_expr *expr = kp_expr_copy(body, binder->arena, replace_column, &replacement);
    uint32_t nodes = 0;
    if (!kp_expr_walk(expr, count_node, &nodes))
        return kp_bind_fail(binder, location, KP_LIMIT, "54001", "an expression of more than %d parts",
                            INLINE_NODES_MAX);
    kp_expr_settle(expr);
    *ret_expr = expr;
    return KP_OK;
}

/* Binds an expression of another text over a scope of its own. */
static enum kp_code bind_body(struct binder *binder, const struct scope *scope, const char *text,
                              const PgQuery__Node *node, const char *clause, const struct scope *params,
                              struct kp_expr **ret_expr)
{
    struct binder inner = *binder;
    struct expr_place place = {.scope = scope, .clause = clause};
    inner.text = text;
    inner.inline_params = params;
    inner.around = NULL;
    inner.ctes = NULL;
    return kp_bind_expr(&inner, &place, node, ret_expr);
}

/* ---- domains ---- */

static enum kp_code check_one(struct binder *binder, const struct kp_relation *domain,
                              const PgQuery__Constraint *constraint, const char *name, struct kp_expr *value,
                              int32_t location, struct kp_expr **ret_value)
{
    struct scope scope = {0};
    struct kp_expr *body, *condition;
    kp_scope_add(binder, &scope, (struct scope_column){.name = "value", .type = domain->made, .index = 0});
    KP_TRY(bind_body(binder, &scope, domain->text, constraint->raw_expr, "check constraints", NULL, &body));
    KP_TRY(kp_bind_to_bool(binder, body, "CHECK", &body));
    KP_TRY(substitute(binder, body, &value, 1, location, &condition));
    struct kp_expr *args[] = {value, condition, kp_bind_text(binder, domain->name), kp_bind_text(binder, name)};
    *ret_value = kp_bind_fold(binder, kp_bind_call(binder, "kp_domain_check", value->type, args, 4, location));
    return KP_OK;
}

enum kp_code kp_bind_domain_check(struct binder *binder, struct kp_relation *domain, struct kp_expr *value,
                                  int32_t location, struct kp_expr **ret_value)
{
    const PgQuery__Node *tree;
    KP_TRY(reread(binder, domain, &tree));
    const PgQuery__CreateDomainStmt *create = tree->create_domain_stmt;
    uint32_t unnamed = 0;
    kp_bind_use(binder, domain);
    for (size_t i = 0; i < create->n_constraints; i++) {
        const PgQuery__Constraint *constraint = create->constraints[i]->constraint;
        if (constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL) {
            struct kp_expr *args[] = {value, kp_bind_text(binder, domain->name)};
            value = kp_bind_fold(binder, kp_bind_call(binder, "kp_domain_not_null", value->type, args, 2, location));
        } else if (constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_CHECK) {
            const char *name = constraint->conname;
            if (!name[0]) {
                name = unnamed ? kp_arena_printf(binder->arena, "%s_check%u", domain->name, unnamed)
                               : kp_arena_printf(binder->arena, "%s_check", domain->name);
                unnamed++;
            }
            KP_TRY(check_one(binder, domain, constraint, name, value, location, &value));
        }
    }
    *ret_value = value;
    return KP_OK;
}

/* ---- functions ---- */

struct function {
    const PgQuery__CreateFunctionStmt *create;
    uint32_t arg_count;
    struct kp_type args[KP_FUNCTION_ARGS_MAX * 4], ret;
    struct scope params;
    const PgQuery__Node *body; /* an expression */
    const char *body_text;
    bool strict;
};

static enum kp_code refuse(struct binder *binder, const char *what)
{
    kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "%s: not supported", what);
    return kp_error_hint(binder->err, "A function is one expression: … LANGUAGE sql AS 'SELECT …', or RETURN ….");
}

static enum kp_code read_params(struct binder *binder, struct function *function)
{
    const PgQuery__CreateFunctionStmt *create = function->create;
    struct kp_relation *domain;
    for (size_t i = 0; i < create->n_parameters; i++) {
        const PgQuery__FunctionParameter *param = create->parameters[i]->function_parameter;
        if (param->mode != PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_IN &&
            param->mode != PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_DEFAULT)
            return refuse(binder, "OUT, INOUT, VARIADIC and TABLE parameters");
        if (param->defexpr)
            return refuse(binder, "DEFAULT of a parameter");
        if (function->arg_count == KP_COUNT(function->args))
            return kp_bind_fail(binder, -1, KP_LIMIT, "54023", "functions cannot have more than %zu arguments",
                                KP_COUNT(function->args));
        struct kp_type *type = &function->args[function->arg_count];
        KP_TRY(kp_bind_type(binder, param->arg_type, type, &domain));
        type->mod = -1;
        const char *name = param->name && param->name[0] ? param->name : "";
        kp_scope_add(binder, &function->params,
                     (struct scope_column){.name = name, .type = *type, .index = function->arg_count});
        function->arg_count++;
    }
    if (!create->return_type || create->return_type->setof)
        return refuse(binder, "a function without a scalar result");
    KP_TRY(kp_bind_type(binder, create->return_type, &function->ret, &domain));
    return domain ? refuse(binder, "a domain as a result") : KP_OK;
}

/* The one expression of SELECT expression. */
static enum kp_code body_of_select(struct binder *binder, const PgQuery__Node *tree, const PgQuery__Node **ret_body)
{
    const PgQuery__SelectStmt *select =
        tree && tree->node_case == PG_QUERY__NODE__NODE_SELECT_STMT ? tree->select_stmt : NULL;
    if (!select || select->op != PG_QUERY__SET_OPERATION__SETOP_NONE || select->n_target_list != 1 ||
        select->n_from_clause || select->where_clause || select->n_group_clause || select->having_clause ||
        select->n_distinct_clause || select->limit_count || select->limit_offset || select->with_clause)
        return refuse(binder, "a body that is more than SELECT and one expression");
    *ret_body = select->target_list[0]->res_target->val;
    return KP_OK;
}

static const char *trimmed(struct binder *binder, const char *text)
{
    size_t len = strlen(text);
    while (len && strchr(" \t\r\n;", text[len - 1]))
        len--;
    return kp_arena_strndup(binder->arena, text, len);
}

static enum kp_code read_body(struct binder *binder, struct function *function, const char *text)
{
    const PgQuery__CreateFunctionStmt *create = function->create;
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
    if (create->sql_body && create->sql_body->node_case == PG_QUERY__NODE__NODE_RETURN_STMT) {
        function->body = create->sql_body->return_stmt->returnval;
        function->body_text = text;
        return KP_OK;
    }
    if (!source)
        return refuse(binder, "BEGIN ATOMIC");
    struct kp_statement *statement;
    function->body_text = trimmed(binder, source);
    KP_TRY(kp_sql_parse(kp_str(function->body_text), binder->arena, &statement, binder->err));
    return body_of_select(binder, statement->tree, &function->body);
}

static enum kp_code read_function(struct binder *binder, const PgQuery__CreateFunctionStmt *create, const char *text,
                                  struct function *ret_function)
{
    *ret_function = (struct function){.create = create};
    if (create->is_procedure)
        return refuse(binder, "CREATE PROCEDURE");
    KP_TRY(read_params(binder, ret_function));
    return read_body(binder, ret_function, text);
}

/* The body over the parameters, of the declared type. */
static enum kp_code bind_function_body(struct binder *binder, const struct function *function, const char *name,
                                       struct kp_expr **ret_expr)
{
    struct kp_expr *body;
    KP_TRY(bind_body(binder, &function->params, function->body_text, function->body, "a function's body",
                     &function->params, &body));
    if (!kp_can_coerce(body->type.id, function->ret.id, COERCE_ASSIGNMENT)) {
        kp_bind_fail(binder, -1, KP_INVALID, "42P13", "return type mismatch in function declared to return %s",
                     kp_type_info(function->ret.id)->name);
        return kp_error_detail(binder->err, "The body of %s yields %s.", name, kp_type_info(body->type.id)->name);
    }
    return kp_bind_coerce(binder, body, function->ret, COERCE_ASSIGNMENT, ret_expr);
}

struct kp_relation *kp_bind_find_function(struct binder *binder, const char *name)
{
    return find_object(binder, KP_RELATION_FUNCTION, name);
}

enum kp_code kp_bind_param_place(struct binder *binder, const struct kp_relation *function, const char *name,
                                 uint32_t *ret_at)
{
    const PgQuery__Node *tree;
    KP_TRY(reread(binder, function, &tree));
    const PgQuery__CreateFunctionStmt *create = tree->create_function_stmt;
    for (size_t i = 0; i < create->n_parameters; i++) {
        const char *own = create->parameters[i]->function_parameter->name;
        if (own && strcmp(own, name) == 0)
            *ret_at = (uint32_t)i;
    }
    return KP_OK;
}

enum kp_code kp_bind_inline(struct binder *binder, struct kp_relation *object, struct kp_expr **args, uint32_t count,
                            int32_t location, struct kp_expr **ret_expr)
{
    const PgQuery__Node *tree;
    struct function function;
    struct kp_expr *body;
    KP_TRY(reread(binder, object, &tree));
    kp_bind_use(binder, object);
    KP_TRY(read_function(binder, tree->create_function_stmt, object->text, &function));
    bool fits = count == function.arg_count;
    for (uint32_t i = 0; fits && i < count; i++)
        fits = kp_can_coerce(args[i]->type.id, function.args[i].id, COERCE_IMPLICIT);
    if (!fits) {
        kp_bind_fail(binder, location, KP_NOT_FOUND, "42883", "function %s does not take these arguments",
                     object->name);
        return kp_error_hint(binder->err, "You might need to add explicit type casts.");
    }
    for (uint32_t i = 0; i < count; i++)
        KP_TRY(kp_bind_coerce(binder, args[i], function.args[i], COERCE_IMPLICIT, &args[i]));
    KP_TRY(bind_function_body(binder, &function, object->name, &body));
    KP_TRY(substitute(binder, body, args, count, location, &body));
    if (function.strict && count) { /* CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE body END */
        struct kp_expr *any = kp_bind_new(binder, KP_EXPR_OR, KP_TYPE(KP_BOOL), location, count);
        for (uint32_t i = 0; i < count; i++) {
            any->args[i] = kp_bind_new(binder, KP_EXPR_IS_NULL, KP_TYPE(KP_BOOL), location, 1);
            any->args[i]->args[0] = args[i];
            kp_expr_settle(any->args[i]);
        }
        kp_expr_settle(any);
        struct kp_expr *guard = kp_bind_new(binder, KP_EXPR_CASE, body->type, location, 3);
        guard->args[0] = count == 1 ? any->args[0] : any;
        guard->args[1] = kp_bind_null(binder, body->type);
        guard->args[2] = body;
        kp_expr_settle(guard);
        body = guard;
    }
    *ret_expr = body;
    return KP_OK;
}

/* ---- CREATE ---- */

static enum kp_code create_enum(struct binder *binder, struct kp_relation *relation,
                                const PgQuery__CreateEnumStmt *create)
{
    const char **labels = kp_arena_calloc(binder->arena, (create->n_vals + 1) * sizeof *labels);
    if (create->n_vals > KP_ENUM_LABELS_MAX)
        return kp_bind_fail(binder, -1, KP_LIMIT, "54000", "an enum can have at most %d labels", KP_ENUM_LABELS_MAX);
    for (size_t i = 0; i < create->n_vals; i++) {
        labels[i] = create->vals[i]->string->sval;
        if (strlen(labels[i]) > KP_NAME_BYTES_MAX)
            return kp_bind_fail(binder, -1, KP_INVALID, "42602", "invalid enum label \"%s\"", labels[i]);
        for (size_t k = 0; k < i; k++)
            if (strcmp(labels[k], labels[i]) == 0)
                return kp_bind_fail(binder, -1, KP_INVALID, "23505", "enum label \"%s\" used more than once",
                                    labels[i]);
    }
    relation->made = KP_TYPE(kp_made_intern(relation->name, labels, NULL, (uint32_t)create->n_vals));
    return KP_OK;
}

static enum kp_code create_domain(struct binder *binder, struct kp_relation *relation,
                                  const PgQuery__CreateDomainStmt *create)
{
    struct kp_relation *base;
    KP_TRY(kp_bind_type(binder, create->type_name, &relation->made, &base));
    if (base)
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "a domain over a domain is not supported");
    for (size_t i = 0; i < create->n_constraints; i++) {
        enum _PgQuery__ConstrType type = create->constraints[i]->constraint->contype;
        if (type != PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL && type != PG_QUERY__CONSTR_TYPE__CONSTR_NULL &&
            type != PG_QUERY__CONSTR_TYPE__CONSTR_CHECK)
            return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL,
                                "of a domain's constraints only NOT NULL and CHECK are supported");
    }
    /* the constraints are sound if they can be bound */
    struct kp_expr *value = kp_bind_column(binder, 0, relation->made, -1), *checked;
    return kp_bind_domain_check(binder, relation, value, -1, &checked);
}

static enum kp_code create_function(struct binder *binder, struct kp_relation *relation,
                                    const PgQuery__CreateFunctionStmt *create)
{
    struct function function;
    struct kp_expr *body;
    size_t builtin, aggregate;
    kp_func_find(KP_FUNC_FUNCTION, kp_str(relation->name), &builtin);
    kp_agg_find(kp_str(relation->name), &aggregate);
    if (builtin || aggregate || kp_bind_is_set_function(relation->name))
        return kp_bind_fail(binder, -1, KP_EXISTS, "42723", "function \"%s\" is built in: choose another name",
                            relation->name);
    KP_TRY(read_function(binder, create, binder->text, &function));
    relation->made = function.ret;
    return bind_function_body(binder, &function, relation->name, &body);
}

enum kp_code kp_bind_create_object(struct binder *binder, struct kp_relation *relation)
{
    const PgQuery__Node *tree = binder->statement->tree;
    switch (relation->kind) {
    case KP_RELATION_TYPE:
        if (tree->node_case == PG_QUERY__NODE__NODE_COMPOSITE_TYPE_STMT)
            return kp_bind_create_composite(binder, relation, tree->composite_type_stmt);
        return create_enum(binder, relation, tree->create_enum_stmt);
    case KP_RELATION_DOMAIN:
        return create_domain(binder, relation, tree->create_domain_stmt);
    default:
        return create_function(binder, relation, tree->create_function_stmt);
    }
}
