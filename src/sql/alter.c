/*
 * ALTER TYPE of enums, ALTER DOMAIN … DEFAULT, and new names; the rest is in alter_domain.c and alter_composite.c.
 *
 * A view lives on with the rows that it has, while PostgreSQL would ask its query again. So what would change a view's
 * answer is refused and the view named:
 *
 *   ADD VALUE     a view that reads texts as values of the type (they failed), or asks for its first, last or all
 * values RENAME VALUE  also one that makes texts, JSON and the like of its values RENAME TO     anything that was made
 * with the type: its text names it
 *
 * Values are numbers that stay (vec/made.h), so everything else follows by itself. Records of tables keep the label
 * that was written; the decoder knows former ones.
 */
#include "sql/alter.h"

#include "sql/comment.h"
#include "sql/object.h"
#include "sql/sequence.h"
#include "vec/jsonb.h"

bool kp_type_involves(enum kp_type_id type, enum kp_type_id made)
{
    if (type == made)
        return true;
    if (kp_type_is_array(type))
        return kp_type_involves(kp_type_element(type), made);
    if (!kp_type_is_composite(type))
        return false;
    const struct kp_made *row = kp_made_of(type);
    for (uint32_t i = 0; i < row->count; i++)
        if (kp_type_involves(row->types[i].id, made))
            return true;
    return false;
}

/* ---- what stands in the way ---- */

struct asking {
    enum kp_type_id type;
    bool renames; /* what it makes of values matters too */
    bool found;
};

static bool is_text(enum kp_type_id type)
{
    return type == KP_UNKNOWN || kp_type_is_json(type) || kp_type_info(type)->category == 'S';
}

/* What a function makes of values shows their labels, unless it is a value, a comparison or a count. */
static bool shows_labels(enum kp_type_id result, enum kp_type_id type)
{
    return !kp_type_involves(result, type) && result != KP_BOOL && result != KP_INT4 && result != KP_INT8;
}

static bool look_at(const struct kp_expr *expr, void *arg)
{
    struct asking *asking = arg;
    if (expr->kind == KP_EXPR_ARRAY_CHECK)
        (void)kp_expr_walk(expr->each, look_at, asking);
    bool call = expr->kind == KP_EXPR_CALL || expr->kind == KP_EXPR_ARRAY_COERCE || expr->kind == KP_EXPR_SPREAD;
    for (uint32_t i = 0; call && i < expr->arg_count; i++) {
        enum kp_type_id given = expr->args[i]->type.id;
        asking->found |= is_text(given) && kp_type_involves(expr->type.id, asking->type);
        asking->found |=
            asking->renames && kp_type_involves(given, asking->type) && shows_labels(expr->type.id, asking->type);
    }
    return !asking->found;
}

static void look_into(struct kp_expr **slot, void *arg)
{
    (void)kp_expr_walk(*slot, look_at, arg);
}

static void look_through(struct kp_plan *plan, struct asking *asking)
{
    kp_plan_each_expr(plan, look_into, asking);
    for (uint32_t a = 0; plan->kind == KP_PLAN_AGGREGATE && asking->renames && a < plan->aggregate.agg_count; a++)
        for (uint32_t i = 0; i < plan->aggregate.aggs[a].arg_count; i++)
            asking->found |= kp_type_involves(plan->aggregate.aggs[a].args[i]->type.id, asking->type) &&
                             shows_labels(plan->aggregate.aggs[a].type.id, asking->type);
    for (uint32_t c = 0; plan->kind == KP_PLAN_EXPAND && c < plan->col_count; c++)
        asking->found |= c >= plan->inputs[0]->col_count && kp_type_involves(plan->cols[c].type.id, asking->type) &&
                         plan->expand.calls[0].arg_count && is_text(plan->expand.calls[0].args[0]->type.id);
    for (uint32_t i = 0; i < plan->input_count && !asking->found; i++)
        look_through(plan->inputs[i], asking);
}

static bool names_all_values(const struct kp_relation *relation)
{
    static const char *const functions[] = {"enum_first", "enum_last", "enum_range"};
    for (size_t i = 0; relation->text && i < KP_COUNT(functions); i++)
        if (strcasestr(relation->text, functions[i]))
            return true;
    for (uint32_t i = 0; i < relation->use_count; i++)
        if (names_all_values(relation->uses[i]))
            return true;
    return false;
}

bool kp_sql_uses(const struct kp_relation *relation, const struct kp_relation *object)
{
    for (uint32_t i = 0; i < relation->use_count; i++)
        if (relation->uses[i] == object || kp_sql_uses(relation->uses[i], object))
            return true;
    return false;
}

static enum kp_code refuse_view(struct binder *binder, const struct kp_relation *type, const struct kp_relation *view,
                                const char *why)
{
    kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "cannot alter type \"%s\" because %s \"%s\" %s", type->name,
                 kp_relation_kind_name(view->kind), view->name, why);
    return kp_error_hint(binder->err, "Its answer would change. Drop it, alter the type, and create it again.");
}

static enum kp_code check_views(struct binder *binder, const struct kp_relation *type, bool renames)
{
    const struct kp_catalog *catalog = binder->context->catalog;
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        struct kp_relation *view = kp_catalog_at(catalog, i);
        if ((view->kind != KP_RELATION_VIEW && view->kind != KP_RELATION_PLAIN_VIEW) || !view->plan)
            continue;
        struct asking asking = {.type = type->made.id, .renames = renames};
        look_through(view->plan->plan, &asking);
        if (asking.found)
            return refuse_view(binder, type, view,
                               renames ? "makes texts of its values, or values of texts" : "makes values of texts");
        if (!renames && kp_sql_uses(view, type) && names_all_values(view))
            return refuse_view(binder, type, view, "asks which values it has");
    }
    return KP_OK;
}

/* A label inside a row of a record is read without its former names. */
static enum kp_code check_columns(struct binder *binder, const struct kp_relation *type)
{
    const struct kp_catalog *catalog = binder->context->catalog;
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *relation = kp_catalog_at(catalog, i);
        for (uint32_t c = 0;
             (relation->kind == KP_RELATION_SOURCE || relation->kind == KP_RELATION_TABLE) && c < relation->col_count;
             c++)
            if (relation->cols[c].type.id != type->made.id &&
                kp_type_involves(relation->cols[c].type.id, type->made.id)) {
                kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL,
                             "cannot rename a value of type \"%s\" because column \"%s.%s\" holds it inside %s",
                             type->name, relation->name, relation->cols[c].name,
                             kp_type_info(relation->cols[c].type.id)->name);
                return kp_error_hint(binder->err, "Records keep the label that was written.");
            }
    }
    return KP_OK;
}

/* ---- enums ---- */

static enum kp_code bind_add_value(struct binder *binder, const PgQuery__AlterEnumStmt *alter, bool replaying,
                                   struct kp_alteration *to)
{
    enum kp_type_id type = to->object->made.id;
    int32_t number;
    *to = (struct kp_alteration){.what = KP_ALTER_ADD_VALUE,
                                 .object = to->object,
                                 .to = alter->new_val,
                                 .neighbor = alter->new_val_neighbor[0] ? alter->new_val_neighbor : NULL,
                                 .after = alter->new_val_is_after};
    if (strlen(to->to) > KP_NAME_BYTES_MAX) {
        kp_bind_fail(binder, -1, KP_INVALID, "42602", "invalid enum label \"%s\"", to->to);
        return kp_error_detail(binder->err, "Labels must be %d bytes or less.", KP_NAME_BYTES_MAX);
    }
    if (kp_enum_find(type, kp_str(to->to), &number)) {
        if (!alter->skip_if_new_val_exists)
            return kp_bind_fail(binder, -1, KP_EXISTS, "42710", "enum label \"%s\" already exists", to->to);
        to->what = KP_ALTER_NOTHING;
        to->notice = kp_arena_printf(binder->arena, "enum label \"%s\" already exists, skipping", to->to);
        return KP_OK;
    }
    if (to->neighbor && !kp_enum_find(type, kp_str(to->neighbor), &number))
        return kp_bind_fail(binder, -1, KP_INVALID, "22023", "\"%s\" is not an existing enum label", to->neighbor);
    if (kp_enum_labels(type)->count >= KP_ENUM_LABELS_MAX || !kp_enum_has_room(type, to->neighbor, to->after))
        return kp_bind_fail(binder, -1, KP_LIMIT, "54000", "type \"%s\" has no room for another label there",
                            to->object->name);
    return replaying ? KP_OK : check_views(binder, to->object, false);
}

static enum kp_code bind_rename_value(struct binder *binder, const PgQuery__AlterEnumStmt *alter, bool replaying,
                                      struct kp_alteration *to)
{
    enum kp_type_id type = to->object->made.id;
    int32_t number;
    *to = (struct kp_alteration){
        .what = KP_ALTER_RENAME_VALUE, .object = to->object, .from = alter->old_val, .to = alter->new_val};
    if (strlen(to->to) > KP_NAME_BYTES_MAX) {
        kp_bind_fail(binder, -1, KP_INVALID, "42602", "invalid enum label \"%s\"", to->to);
        return kp_error_detail(binder->err, "Labels must be %d bytes or less.", KP_NAME_BYTES_MAX);
    }
    if (!kp_enum_find(type, kp_str(to->from), &number))
        return kp_bind_fail(binder, -1, KP_INVALID, "22023", "\"%s\" is not an existing enum label", to->from);
    if (kp_enum_find(type, kp_str(to->to), &number))
        return kp_bind_fail(binder, -1, KP_EXISTS, "42710", "enum label \"%s\" already exists", to->to);
    if (replaying)
        return KP_OK;
    KP_TRY(check_columns(binder, to->object));
    return check_views(binder, to->object, true);
}

/* ---- names ---- */

static enum kp_code bind_rename(struct binder *binder, const char *name, bool replaying, struct kp_alteration *to)
{
    const struct kp_catalog *catalog = binder->context->catalog;
    struct kp_relation *object = to->object;
    *to = (struct kp_alteration){.what = KP_ALTER_RENAME, .object = object, .from = object->name, .to = name};
    if (object->kind == KP_RELATION_DOMAIN) /* constraints are called by what its name was */
        KP_TRY(kp_bind_domain_text(binder, object, &to->text));
    if (kp_catalog_find(catalog, kp_str(object->schema), kp_str(name)))
        return kp_bind_fail(binder, -1, KP_EXISTS, "42710", "type \"%s\" already exists", name);
    for (size_t i = 0; !replaying && i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *user = kp_catalog_at(catalog, i);
        if (!kp_sql_uses(user, object))
            continue;
        kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "cannot rename type \"%s\" because %s \"%s\" was made with it",
                     object->name, kp_relation_kind_name(user->kind), user->name);
        return kp_error_hint(binder->err, "What is made keeps its statement's text, which names the type.");
    }
    return KP_OK;
}

/* ---- domains ---- */

enum kp_code kp_bind_domain_default(struct binder *binder, const struct kp_relation *domain, const PgQuery__Node *value,
                                    struct kp_expr **ret_value)
{
    static const struct scope nothing;
    struct expr_place place = {.scope = &nothing, .clause = "DEFAULT expressions"};
    struct kp_expr *expr;
    KP_TRY(kp_bind_expr(binder, &place, value, &expr));
    kp_bind_use_sequences(binder, expr);
    if (!kp_can_coerce(expr->type.id, domain->made.id, COERCE_ASSIGNMENT))
        return kp_bind_fail(binder, -1, KP_INVALID, "42804",
                            "column \"%s\" is of type %s but default expression is of type %s", domain->name,
                            kp_type_info(domain->made.id)->name, kp_type_info(expr->type.id)->name);
    return kp_bind_coerce(binder, expr, domain->made, COERCE_ASSIGNMENT, ret_value);
}

static enum kp_code bind_alter_domain(struct binder *binder, const PgQuery__AlterDomainStmt *alter, bool replaying,
                                      struct kp_alteration *to)
{
    *to = (struct kp_alteration){.what = KP_ALTER_DEFAULT, .object = to->object};
    if (alter->subtype[0] != 'T')
        return kp_bind_alter_constraints(binder, alter, replaying, to);
    return alter->def ? kp_bind_domain_default(binder, to->object, alter->def, &to->value) : KP_OK;
}

/* ---- all of them ---- */

static enum kp_code find_object(struct binder *binder, bool domain, struct kp_relation **ret_object)
{
    const struct kp_name *name = &binder->statement->name;
    const struct kp_catalog *catalog = binder->context->catalog;
    struct kp_relation *object = NULL;
    if (!name->schema || strcmp(name->schema, "public") == 0)
        object = kp_catalog_find(catalog, kp_str(kp_relation_schema(KP_RELATION_TYPE)), kp_str(name->name));
    const PgQuery__Node *tree = binder->statement->tree;
    bool attribute = tree->node_case == PG_QUERY__NODE__NODE_ALTER_TABLE_STMT ||
                     (tree->node_case == PG_QUERY__NODE__NODE_RENAME_STMT &&
                      tree->rename_stmt->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_ATTRIBUTE);
    if (!object)
        return kp_bind_fail(binder, -1, KP_NOT_FOUND, attribute ? "42P01" : "42704", "%s \"%s\" does not exist",
                            attribute ? "relation" : "type", name->name);
    if (domain && object->kind != KP_RELATION_DOMAIN)
        return kp_bind_fail(binder, -1, KP_INVALID, "42809", "%s is not a domain", object->name);
    *ret_object = object;
    return KP_OK;
}

enum kp_code kp_sql_bind_alter(const struct kp_sql_context *context, const struct kp_statement *statement,
                               bool replaying, struct kp_arena *arena, struct kp_alteration *ret_alteration,
                               struct kp_error *err)
{
    struct binder binder;
    kp_binder_init(&binder, context, statement, arena, err);
    const PgQuery__Node *tree = statement->tree;
    struct kp_alteration alteration = {0};
    KP_TRY(find_object(&binder, statement->relation_kind == KP_RELATION_DOMAIN, &alteration.object));
    if (tree->node_case == PG_QUERY__NODE__NODE_ALTER_DOMAIN_STMT) {
        KP_TRY(bind_alter_domain(&binder, tree->alter_domain_stmt, replaying, &alteration));
    } else if (tree->node_case == PG_QUERY__NODE__NODE_ALTER_TABLE_STMT) {
        KP_TRY(kp_bind_alter_composite(&binder, tree->alter_table_stmt, replaying, &alteration));
    } else if (tree->node_case == PG_QUERY__NODE__NODE_RENAME_STMT) {
        const PgQuery__RenameStmt *rename = tree->rename_stmt;
        if (rename->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_ATTRIBUTE)
            KP_TRY(kp_bind_rename_attribute(&binder, rename, replaying, &alteration));
        else if (rename->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_DOMCONSTRAINT)
            KP_TRY(kp_bind_rename_constraint(&binder, rename, replaying, &alteration));
        else
            KP_TRY(bind_rename(&binder, rename->newname, replaying, &alteration));
    } else {
        if (!kp_type_is_enum(alteration.object->made.id) || alteration.object->kind == KP_RELATION_DOMAIN)
            return kp_bind_fail(&binder, -1, KP_INVALID, "42809", "%s is not an enum", alteration.object->name);
        if (tree->alter_enum_stmt->old_val[0])
            KP_TRY(bind_rename_value(&binder, tree->alter_enum_stmt, replaying, &alteration));
        else
            KP_TRY(bind_add_value(&binder, tree->alter_enum_stmt, replaying, &alteration));
    }
    *ret_alteration = alteration;
    return KP_OK;
}

void kp_sql_alter(struct kp_catalog *catalog, const struct kp_alteration *alteration, int64_t position)
{
    struct kp_relation *object = alteration->object;
    switch (alteration->what) {
    case KP_ALTER_NOTHING:
        break;
    case KP_ALTER_ADD_VALUE:
        kp_enum_add(object->made.id, alteration->to, alteration->neighbor, alteration->after);
        break;
    case KP_ALTER_RENAME_VALUE:
        kp_enum_rename(object->made.id, alteration->from, alteration->to, position);
        break;
    case KP_ALTER_RENAME:
        kp_catalog_rename(catalog, object, alteration->to);
        if (alteration->text)
            object->text = kp_arena_strdup(&object->arena, alteration->text);
        if (object->kind == KP_RELATION_TYPE)
            kp_made_rename(object->made.id, object->name);
        break;
    case KP_ALTER_DEFAULT:
        object->defaults = kp_arena_calloc(&object->arena, sizeof(struct kp_expr *));
        object->defaults[0] = alteration->value ? kp_expr_copy(alteration->value, &object->arena, NULL, NULL) : NULL;
        break;
    case KP_ALTER_TEXT:
        object->text = kp_arena_strdup(&object->arena, alteration->text);
        if (alteration->from)
            kp_comment_part(catalog, KP_COMMENT_TYPE_CONSTRAINT, object->name, alteration->from, alteration->to);
        break;
    case KP_ALTER_FIELDS:
        object->made = alteration->made;
        if (alteration->from)
            kp_comment_part(catalog, KP_COMMENT_TYPE_COLUMN, object->name, alteration->from, alteration->to);
        break;
    }
}
