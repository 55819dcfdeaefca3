/*
 * What CREATE TYPE … AS ENUM, CREATE DOMAIN and CREATE FUNCTION make, and how it is used.
 *
 * They are entries of the catalog in schemas of their own, kept as their statement's text and read again wherever they
 * are used; what uses one notes it (use_list), so that DROP knows.
 *
 *   enum, row   a type id (vec/made.h)
 *   domain      its base type, which says by which domain it is called (struct kp_type); a value becomes one through
 *               kp_domain_not_null and kp_domain_check(value, condition, …), an array by that over its elements
 *   function    function.c, inline.c
 */
#include "sql/function.h"

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
    KP_TRY(kp_relation_check_failed(object, binder->err));
    if (name->n_typmods)
        return kp_bind_fail(binder, name->location, KP_INVALID, "42601", "type modifier is not allowed for type \"%s\"",
                            last);
    kp_bind_use(binder, object);
    *ret_type = object->made;
    if (object->kind == KP_RELATION_DOMAIN) {
        *ret_domain = object;
        ret_type->domain = object->id;
    }
    if (!name->n_array_bounds)
        return KP_OK;
    if (kp_type_is_array(ret_type->id))
        return kp_bind_fail(binder, name->location, KP_UNSUPPORTED, NULL,
                            "arrays of a domain over arrays are not supported");
    *ret_type = kp_type_to_array(*ret_type);
    return KP_OK;
}

enum kp_code kp_bind_cast_type(struct binder *binder, const PgQuery__TypeName *name, struct kp_type *ret_type,
                               struct kp_relation **ret_domain)
{
    const char *schema, *last = kp_tree_name(name->names, name->n_names, &schema);
    const struct kp_relation *rows = NULL;
    if (!find_object(binder, KP_RELATION_TYPE, last) && kp_type_by_name(kp_str(last)) == KP_TYPE_NONE &&
        !name->n_array_bounds)
        rows = kp_catalog_find(binder->context->catalog, kp_str(schema ? schema : ""), kp_str(last));
    if (!rows ||
        (rows->kind != KP_RELATION_TABLE && rows->kind != KP_RELATION_SOURCE && rows->kind != KP_RELATION_VIEW))
        return kp_bind_type(binder, name, ret_type, ret_domain);
    if (binder->for_view) { /* its text must mean the same when the table is another */
        kp_bind_fail(binder, name->location, KP_UNSUPPORTED, NULL, "the row type of \"%s\" cannot be used in a view",
                     last);
        return kp_error_hint(binder->err, "CREATE TYPE … AS (…) makes a row type.");
    }
    uint32_t count = rows->col_count - rows->hidden_count;
    const char **names = kp_arena_alloc(binder->arena, (count + 1) * sizeof *names);
    struct kp_type *types = kp_arena_alloc(binder->arena, (count + 1) * sizeof *types);
    for (uint32_t i = 0; i < count; i++) {
        if (rows->domains && rows->domains[i])
            return kp_bind_fail(binder, name->location, KP_UNSUPPORTED, NULL,
                                "the row type of \"%s\" is not supported: column \"%s\" is of a domain", last,
                                rows->cols[i].name);
        names[i] = rows->cols[i].name;
        types[i] = rows->cols[i].type;
    }
    *ret_type = KP_TYPE(kp_made_intern(NULL, names, types, count));
    *ret_domain = NULL;
    return KP_OK;
}

const char *kp_bind_type_text(struct binder *binder, struct kp_type type)
{
    uint32_t number = type.domain > KP_DOMAIN_ARRAYS ? type.domain - KP_DOMAIN_ARRAYS : type.domain;
    const struct kp_relation *domain = number ? kp_catalog_find_id(binder->context->catalog, number) : NULL;
    if (domain)
        return type.domain > KP_DOMAIN_ARRAYS ? kp_arena_printf(binder->arena, "%s[]", domain->name) : domain->name;
    return kp_type_info(type.id)->name;
}

enum kp_code kp_bind_domain_of(struct binder *binder, const PgQuery__Node *node, struct kp_relation **ret_domain)
{
    struct kp_type type;
    *ret_domain = NULL;
    return node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST
               ? kp_bind_cast_type(binder, node->type_cast->type_name, &type, ret_domain)
               : KP_OK;
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

enum kp_code kp_bind_substitute(struct binder *binder, const struct kp_expr *body, struct kp_expr *const *args,
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

/* Binds a domain's condition, which is part of another text, over a scope of its own. */
static enum kp_code bind_condition(struct binder *binder, const struct scope *scope, const char *text,
                                   const PgQuery__Node *node, struct kp_expr **ret_expr)
{
    struct binder inner = *binder;
    struct expr_place place = {.scope = scope, .clause = "check constraints"};
    inner.text = text;
    inner.inline_params = NULL;
    inner.around = NULL;
    inner.from = NULL;
    inner.ctes = NULL;
    return kp_bind_expr(&inner, &place, node, ret_expr);
}

/* ---- domains ---- */

static enum kp_code check_one(struct binder *binder, const struct kp_relation *domain, const char *domain_name,
                              const PgQuery__Constraint *constraint, const char *name, struct kp_expr *value,
                              int32_t location, struct kp_expr **ret_value)
{
    struct scope scope = {0};
    struct kp_expr *body, *condition;
    kp_scope_add(binder, &scope, (struct scope_column){.name = "value", .type = domain->made, .index = 0});
    KP_TRY(bind_condition(binder, &scope, domain->text, constraint->raw_expr, &body));
    KP_TRY(kp_bind_to_bool(binder, body, "CHECK", &body));
    KP_TRY(kp_bind_substitute(binder, body, &value, 1, location, &condition));
    struct kp_expr *args[] = {value, condition, kp_bind_text(binder, domain_name), kp_bind_text(binder, name)};
    *ret_value = kp_bind_fold(binder, kp_bind_call(binder, "kp_domain_check", value->type, args, 4, location));
    return KP_OK;
}

const char *kp_bind_check_name(struct binder *binder, const struct kp_relation *domain,
                               const PgQuery__Constraint *constraint, uint32_t *unnamed)
{
    if (constraint->conname[0])
        return constraint->conname;
    uint32_t n = (*unnamed)++;
    return n ? kp_arena_printf(binder->arena, "%s_check%u", domain->name, n)
             : kp_arena_printf(binder->arena, "%s_check", domain->name);
}

enum kp_code kp_bind_domain_has(struct binder *binder, const struct kp_relation *domain, const char *name,
                                bool *ret_has)
{
    const PgQuery__Node *tree;
    uint32_t unnamed = 0;
    KP_TRY(reread(binder, domain, &tree));
    *ret_has = false;
    for (size_t i = 0; i < tree->create_domain_stmt->n_constraints; i++) {
        const PgQuery__Constraint *constraint = tree->create_domain_stmt->constraints[i]->constraint;
        *ret_has |= constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_CHECK &&
                    strcmp(kp_bind_check_name(binder, domain, constraint, &unnamed), name) == 0;
    }
    return KP_OK;
}

static enum kp_code check_value(struct binder *binder, struct kp_relation *domain, const char *asked_name,
                                struct kp_expr *value, int32_t location, struct kp_expr **ret_value);

/* The domain's own constraints behind those of the domain that it is over; errors name the domain that was asked for.
 */
static enum kp_code check_all(struct binder *binder, struct kp_relation *domain, const char *asked_name,
                              struct kp_expr *value, int32_t location, struct kp_expr **ret_value)
{
    const PgQuery__Node *tree;
    struct kp_type base;
    struct kp_relation *below;
    KP_TRY(reread(binder, domain, &tree));
    const PgQuery__CreateDomainStmt *create = tree->create_domain_stmt;
    uint32_t unnamed = 0;
    kp_bind_use(binder, domain);
    KP_TRY(kp_bind_type(binder, create->type_name, &base, &below));
    if (below)
        KP_TRY(
            check_value(binder, below, base.id == below->made.id ? asked_name : below->name, value, location, &value));
    for (size_t i = 0; i < create->n_constraints; i++) {
        const PgQuery__Constraint *constraint = create->constraints[i]->constraint;
        if (constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL) {
            struct kp_expr *args[] = {value, kp_bind_text(binder, asked_name)};
            value = kp_bind_fold(binder, kp_bind_call(binder, "kp_domain_not_null", value->type, args, 2, location));
        } else if (constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_CHECK) {
            const char *name = kp_bind_check_name(binder, domain, constraint, &unnamed);
            KP_TRY(check_one(binder, domain, asked_name, constraint, name, value, location, &value));
        }
    }
    *ret_value = value;
    return KP_OK;
}

enum kp_code kp_bind_check_elements(struct binder *binder, struct kp_expr *array, const struct kp_expr *element,
                                    struct kp_expr *each, int32_t location, struct kp_expr **ret_array)
{
    *ret_array = array;
    if (each == element)
        return KP_OK;
    if (each->stable)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL,
                            "a check of an array's elements that depends on the time or on settings is not supported");
    struct kp_expr *check = kp_bind_new(binder, KP_EXPR_ARRAY_CHECK, array->type, location, 1);
    check->args[0] = array;
    check->each = each;
    kp_expr_settle(check);
    *ret_array = check;
    return KP_OK;
}

/* A value of the domain's base type, or an array of such. */
static enum kp_code check_value(struct binder *binder, struct kp_relation *domain, const char *asked_name,
                                struct kp_expr *value, int32_t location, struct kp_expr **ret_value)
{
    if (value->type.id == domain->made.id)
        return check_all(binder, domain, asked_name, value, location, ret_value);
    struct kp_expr *element = kp_bind_column(binder, 0, kp_type_to_element(value->type), location), *each;
    KP_TRY(check_all(binder, domain, asked_name, element, location, &each));
    return kp_bind_check_elements(binder, value, element, each, location, ret_value);
}

enum kp_code kp_bind_domain_check(struct binder *binder, struct kp_relation *domain, struct kp_expr *value,
                                  int32_t location, struct kp_expr **ret_value)
{
    struct kp_type type = kp_relation_domain_type(domain, value->type);
    KP_TRY(check_value(binder, domain, domain->name, value, location, &value));
    *ret_value = kp_bind_called(binder, value, type.domain);
    return KP_OK;
}

enum kp_code kp_bind_type_check(struct binder *binder, struct kp_expr *value, struct kp_expr **ret_value)
{
    uint32_t number = value->type.domain % KP_DOMAIN_ARRAYS;
    KP_TRY(kp_bind_row_check(binder, value, value->location, ret_value));
    struct kp_relation *domain = number ? kp_catalog_find_id(binder->context->catalog, number) : NULL;
    return domain ? kp_bind_domain_check(binder, domain, *ret_value, value->location, ret_value) : KP_OK;
}

enum kp_code kp_bind_check_columns(struct binder *binder, struct kp_plan **plan)
{
    struct kp_plan *below = *plan;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (below->col_count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (below->col_count + 1) * sizeof *names);
    bool any = false;
    for (uint32_t i = 0; i < below->col_count; i++) {
        struct kp_expr *column = kp_bind_column(binder, i, below->cols[i].type, -1);
        KP_TRY(kp_bind_type_check(binder, column, &exprs[i]));
        any |= exprs[i] != column;
        names[i] = below->cols[i].name;
    }
    if (any)
        *plan = kp_bind_project(binder, below, exprs, names, below->col_count);
    return KP_OK;
}

struct kp_relation *kp_bind_find_function(struct binder *binder, const char *name)
{
    const struct kp_catalog *catalog = binder->context->catalog;
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        struct kp_relation *object = kp_catalog_at(catalog, i);
        if (kp_relation_declared(object) == KP_RELATION_FUNCTION && strcmp(object->function, name) == 0)
            return object;
    }
    return NULL;
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
    relation->made =
        KP_TYPE(kp_enum_intern(binder->context->catalog, relation->name, labels, (uint32_t)create->n_vals));
    return KP_OK;
}

static enum kp_code create_domain(struct binder *binder, struct kp_relation *relation,
                                  const PgQuery__CreateDomainStmt *create)
{
    struct kp_relation *base;
    KP_TRY(kp_bind_type(binder, create->type_name, &relation->made, &base));
    for (size_t i = 0; i < create->n_constraints; i++) {
        enum _PgQuery__ConstrType type = create->constraints[i]->constraint->contype;
        if (type == PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT) {
            if (relation->defaults)
                return kp_bind_fail(binder, -1, KP_INVALID, "42601", "multiple default expressions");
            relation->defaults = kp_arena_calloc(binder->arena, sizeof(struct kp_expr *));
            KP_TRY(kp_bind_domain_default(binder, relation, create->constraints[i]->constraint->raw_expr,
                                          &relation->defaults[0]));
        } else if (type != PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL && type != PG_QUERY__CONSTR_TYPE__CONSTR_NULL &&
                   type != PG_QUERY__CONSTR_TYPE__CONSTR_CHECK) {
            return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL,
                                "of a domain's constraints only NOT NULL, CHECK and DEFAULT are supported");
        }
    }
    if (!relation->defaults && base && base->defaults &&
        relation->made.id == base->made.id) { /* what it is now: a later one of the other is not this one's */
        relation->defaults = kp_arena_calloc(binder->arena, sizeof(struct kp_expr *));
        relation->defaults[0] = kp_expr_copy(base->defaults[0], binder->arena, NULL, NULL);
    }
    /* the constraints are sound if they can be bound */
    struct kp_expr *value = kp_bind_column(binder, 0, relation->made, -1), *checked;
    return kp_bind_domain_check(binder, relation, value, -1, &checked);
}

static enum kp_code create_function(struct binder *binder, struct kp_relation *relation,
                                    const PgQuery__CreateFunctionStmt *create)
{
    struct sql_function function;
    size_t builtin, aggregate;
    kp_func_find(KP_FUNC_FUNCTION, kp_str(relation->name), &builtin);
    kp_agg_find(kp_str(relation->name), &aggregate);
    if (builtin || aggregate || kp_bind_is_set_function(relation->name))
        return kp_bind_fail(binder, -1, KP_EXISTS, "42723", "function \"%s\" is built in: choose another name",
                            relation->name);
    KP_TRY(kp_function_read(binder, create, binder->text, &function));
    relation->function = relation->name;
    relation->name = kp_arena_strdup(&relation->arena, kp_function_signature(binder, &function));
    relation->made = function.ret;
    const struct kp_relation *there =
        kp_catalog_find(binder->context->catalog, kp_str(relation->schema), kp_str(relation->name));
    if (there && !create->replace && !binder->context->again)
        return kp_bind_fail(binder, binder->statement->name.location, KP_EXISTS, "42723",
                            "function \"%s\" already exists with same argument types", relation->function);
    if (there && there->kind != KP_RELATION_FAILED && !binder->context->again && !binder->context->replaying)
        KP_TRY(kp_function_check_replaced(binder, there, &function));
    enum kp_code code = kp_function_check(binder, &function);
    if (code != KP_OK)
        kp_function_place_error(binder, &function);
    return code;
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
