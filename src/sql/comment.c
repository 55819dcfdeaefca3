/*
 * COMMENT ON, and where comments are: an array in order of class, object and part.
 *
 * Invariants:
 *   1. Of each class, object and part there is at most one, and it has a text.
 *   2. What a comment is about is in the catalog: it goes with a DROP and gets the name of a RENAME.
 */
#include "sql/comment.h"

#include <stdlib.h>

#include "sql/object.h"

/* ---- the array ---- */

static int compare(const struct kp_comment *comment, enum kp_comment_class class, const char *object, const char *part)
{
    if (comment->class != class)
        return comment->class < class ? -1 : 1;
    int order = strcmp(comment->object, object);
    return order ? order : strcmp(comment->part, part);
}

/* Where it is or would be. */
static size_t place_of(const struct kp_comments *comments, enum kp_comment_class class, const char *object,
                       const char *part)
{
    size_t low = 0, high = comments->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&comments->items[middle], class, object, part) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_there(const struct kp_comments *comments, size_t at, const struct kp_comment *like)
{
    return at < comments->count && compare(&comments->items[at], like->class, like->object, like->part) == 0;
}

static void release(struct kp_comment *comment)
{
    kp_free((char *)(uintptr_t)comment->object);
    kp_free((char *)(uintptr_t)comment->part);
    kp_free((char *)(uintptr_t)comment->text);
}

static void take_out(struct kp_comments *comments, size_t at)
{
    release(&comments->items[at]);
    comments->count--;
    memmove(&comments->items[at], &comments->items[at + 1], (comments->count - at) * sizeof *comments->items);
}

static void put(struct kp_comments *comments, const struct kp_comment *comment)
{
    size_t at = place_of(comments, comment->class, comment->object, comment->part);
    if (is_there(comments, at, comment))
        take_out(comments, at);
    if (!comment->text)
        return;
    if (comments->count == comments->cap) {
        comments->cap = comments->cap ? 2 * comments->cap : 16;
        comments->items = kp_realloc(comments->items, comments->cap * sizeof *comments->items);
    }
    memmove(&comments->items[at + 1], &comments->items[at], (comments->count - at) * sizeof *comments->items);
    comments->items[at] = (struct kp_comment){comment->class, kp_strdup(comment->object), kp_strdup(comment->part),
                                              kp_strdup(comment->text)};
    comments->count++;
}

void kp_comment_put(struct kp_catalog *catalog, const struct kp_comment *comment)
{
    put(kp_catalog_comments(catalog), comment);
}

const char *kp_comment_find(const struct kp_catalog *catalog, enum kp_comment_class class, const char *object,
                            const char *part)
{
    const struct kp_comments *comments = kp_catalog_comments(catalog);
    const struct kp_comment like = {.class = class, .object = object, .part = part};
    size_t at = place_of(comments, class, object, part);
    return is_there(comments, at, &like) ? comments->items[at].text : NULL;
}

size_t kp_comment_count(const struct kp_catalog *catalog)
{
    return kp_catalog_comments(catalog)->count;
}

const struct kp_comment *kp_comment_at(const struct kp_catalog *catalog, size_t index)
{
    const struct kp_comments *comments = kp_catalog_comments(catalog);
    KP_ASSERT(index < comments->count);
    return &comments->items[index];
}

void kp_comments_finish(struct kp_comments *comments)
{
    for (size_t i = 0; i < comments->count; i++)
        release(&comments->items[i]);
    kp_free(comments->items);
}

/* ---- what goes with a relation ---- */

static bool is_of(const struct kp_comment *comment, const struct kp_relation *relation)
{
    enum kp_comment_class first = KP_COMMENT_RELATION, last = KP_COMMENT_CONSTRAINT;
    if (relation->kind == KP_RELATION_TYPE || relation->kind == KP_RELATION_DOMAIN) {
        first = KP_COMMENT_TYPE;
        last = KP_COMMENT_TYPE_CONSTRAINT;
    } else if (relation->kind == KP_RELATION_FUNCTION) {
        first = last = KP_COMMENT_FUNCTION;
    }
    return comment->class >= first && comment->class <= last && strcmp(comment->object, relation->name) == 0;
}

void kp_comments_forget(struct kp_catalog *catalog, const struct kp_relation *relation)
{
    struct kp_comments *comments = kp_catalog_comments(catalog);
    for (size_t i = comments->count; i-- > 0;)
        if (is_of(&comments->items[i], relation))
            take_out(comments, i);
}

void kp_comment_part(struct kp_catalog *catalog, enum kp_comment_class class, const char *object, const char *part,
                     const char *to)
{
    const char *text = kp_comment_find(catalog, class, object, part);
    if (text && to)
        kp_comment_put(catalog, &(struct kp_comment){class, object, to, text});
    kp_comment_put(catalog, &(struct kp_comment){class, object, part, NULL});
}

static int compare_items(const void *a, const void *b)
{
    const struct kp_comment *other = b;
    return compare(a, other->class, other->object, other->part);
}

void kp_comments_rename(struct kp_comments *comments, const struct kp_relation *relation, const char *name)
{
    for (size_t i = 0; i < comments->count; i++) {
        if (!is_of(&comments->items[i], relation))
            continue;
        kp_free((char *)(uintptr_t)comments->items[i].object);
        comments->items[i].object = kp_strdup(name);
    }
    if (comments->count)
        qsort(comments->items, comments->count, sizeof *comments->items, compare_items);
}

/* ---- COMMENT ON: whose names ---- */

static enum kp_code no_relation(struct binder *binder, const char *schema, const char *name)
{
    return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42P01", "relation \"%s%s%s\" does not exist", schema ? schema : "",
                        schema ? "." : "", name);
}

/* The relation of the first `count` names. */
static enum kp_code find_relation(struct binder *binder, PgQuery__Node *const *names, size_t count,
                                  struct kp_relation **ret_relation)
{
    const char *schema, *name = kp_tree_name(names, count, &schema);
    struct kp_str in = {schema, schema ? strlen(schema) : 0};
    struct kp_relation *relation = kp_catalog_find(binder->context->catalog, in, kp_str(name));
    if (!relation)
        return no_relation(binder, schema, name);
    if (relation->kind == KP_RELATION_SYSTEM)
        return kp_bind_fail(binder, -1, KP_FORBIDDEN, "42501", "permission denied: \"%s\" is a system table", name);
    *ret_relation = relation;
    return KP_OK;
}

static bool is_kind(const struct kp_relation *relation, const struct kp_statement *statement,
                    enum _PgQuery__ObjectType type, const char **ret_word)
{
    switch (type) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW:
        *ret_word = statement->relation_kind == KP_RELATION_SINK ? "sink" : "view";
        if (statement->relation_kind == KP_RELATION_SINK)
            return relation->kind == KP_RELATION_SINK;
        return relation->kind == KP_RELATION_PLAIN_VIEW;
    case PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW:
        *ret_word = "materialized view";
        return relation->kind == KP_RELATION_VIEW;
    case PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_TABLE:
        *ret_word = "foreign table";
        return relation->kind == KP_RELATION_SINK;
    case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
        *ret_word = "sequence";
        return relation->kind == KP_RELATION_SEQUENCE;
    default:
        *ret_word = statement->relation_kind == KP_RELATION_SOURCE ? "source" : "table";
        return relation->kind == KP_RELATION_SOURCE ||
               (relation->kind == KP_RELATION_TABLE && statement->relation_kind != KP_RELATION_SOURCE);
    }
}

static enum kp_code bind_relation(struct binder *binder, const PgQuery__CommentStmt *tree, struct kp_comment *comment)
{
    const PgQuery__List *names = tree->object->list;
    struct kp_relation *relation;
    const char *word;
    KP_TRY(find_relation(binder, names->items, names->n_items, &relation));
    if (!is_kind(relation, binder->statement, tree->objtype, &word))
        return kp_bind_fail(binder, -1, KP_INVALID, "42809", "\"%s\" is not a %s", relation->name, word);
    comment->class = KP_COMMENT_RELATION;
    comment->object = relation->name;
    return KP_OK;
}

/* The table whose key's index is called so; NULL: none. */
static const struct kp_relation *table_of_key(const struct kp_catalog *catalog, const char *name)
{
    static const char suffix[] = "_pkey";
    size_t len = strlen(name), end = sizeof suffix - 1;
    if (len <= end || strcmp(name + len - end, suffix) != 0)
        return NULL;
    const struct kp_relation *table = kp_catalog_find(catalog, KP_STR("public"), (struct kp_str){name, len - end});
    return table && table->kind == KP_RELATION_TABLE && kp_relation_key_count(table) ? table : NULL;
}

static enum kp_code bind_index(struct binder *binder, const PgQuery__CommentStmt *tree, struct kp_comment *comment)
{
    const char *schema, *name = kp_tree_name(tree->object->list->items, tree->object->list->n_items, &schema);
    const struct kp_catalog *catalog = binder->context->catalog;
    const struct kp_relation *table = table_of_key(catalog, name);
    if (!table && kp_catalog_find(catalog, (struct kp_str){schema, schema ? strlen(schema) : 0}, kp_str(name)))
        return kp_bind_fail(binder, -1, KP_INVALID, "42809", "\"%s\" is not an index", name);
    if (!table)
        return no_relation(binder, schema, name);
    comment->class = KP_COMMENT_KEY;
    comment->object = table->name;
    return KP_OK;
}

static enum kp_code no_column(struct binder *binder, const char *column, const char *of)
{
    return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42703", "column \"%s\" of relation \"%s\" does not exist", column,
                        of);
}

static enum kp_code bind_attribute(struct binder *binder, const struct kp_relation *type, const char *column,
                                   struct kp_comment *comment)
{
    const struct kp_made *made = kp_made_of(type->made.id);
    for (uint32_t i = 0; i < made->count; i++)
        if (strcmp(made->names[i], column) == 0) {
            *comment = (struct kp_comment){KP_COMMENT_TYPE_COLUMN, type->name, column, comment->text};
            return KP_OK;
        }
    return no_column(binder, column, type->name);
}

static enum kp_code bind_column(struct binder *binder, const PgQuery__CommentStmt *tree, struct kp_comment *comment)
{
    const PgQuery__List *names = tree->object->list;
    const char *schema, *column = kp_tree_name(names->items, names->n_items, &schema);
    if (names->n_items < 2)
        return kp_bind_fail(binder, -1, KP_INVALID, "42601", "column name must be qualified");
    const struct kp_relation *type =
        kp_catalog_find(binder->context->catalog, kp_str(kp_relation_schema(KP_RELATION_TYPE)), kp_str(schema));
    if (type && type->kind == KP_RELATION_TYPE && kp_type_is_composite(type->made.id))
        return bind_attribute(binder, type, column, comment);
    struct kp_relation *relation;
    KP_TRY(find_relation(binder, names->items, names->n_items - 1, &relation));
    for (uint32_t c = 0; c < relation->col_count - relation->hidden_count; c++)
        if (strcmp(relation->cols[c].name, column) == 0) {
            *comment = (struct kp_comment){KP_COMMENT_COLUMN, relation->name, column, comment->text};
            return KP_OK;
        }
    return no_column(binder, column, relation->name);
}

static enum kp_code bind_table_constraint(struct binder *binder, const PgQuery__CommentStmt *tree,
                                          struct kp_comment *comment)
{
    const PgQuery__List *names = tree->object->list;
    const char *schema, *name = kp_tree_name(names->items, names->n_items, &schema);
    struct kp_relation *relation;
    KP_TRY(find_relation(binder, names->items, names->n_items - 1, &relation));
    bool known = relation->kind == KP_RELATION_TABLE && kp_relation_key_count(relation) &&
                 strcmp(kp_arena_printf(binder->arena, "%s_pkey", relation->name), name) == 0;
    for (uint32_t i = 0; i < relation->check_count; i++)
        known |= !relation->checks[i].domain && strcmp(relation->checks[i].name, name) == 0;
    if (!known)
        return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42704", "constraint \"%s\" for table \"%s\" does not exist",
                            name, relation->name);
    *comment = (struct kp_comment){KP_COMMENT_CONSTRAINT, relation->name, name, comment->text};
    return KP_OK;
}

static enum kp_code find_type(struct binder *binder, const PgQuery__TypeName *type, bool domain,
                              struct kp_relation **ret_type)
{
    const char *schema, *name = kp_tree_name(type->names, type->n_names, &schema);
    struct kp_relation *object = NULL;
    if (!schema || strcmp(schema, "public") == 0)
        object = kp_catalog_find(binder->context->catalog, kp_str(kp_relation_schema(KP_RELATION_TYPE)), kp_str(name));
    if (!object && kp_type_by_name(kp_str(name)) != KP_TYPE_NONE && !domain)
        return kp_bind_fail(binder, -1, KP_FORBIDDEN, "42501", "must be owner of type %s", name);
    if (!object)
        return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42704", "type \"%s%s%s\" does not exist", schema ? schema : "",
                            schema ? "." : "", name);
    if (domain && object->kind != KP_RELATION_DOMAIN)
        return kp_bind_fail(binder, -1, KP_INVALID, "42809", "\"%s\" is not a domain", name);
    *ret_type = object;
    return KP_OK;
}

static enum kp_code bind_type(struct binder *binder, const PgQuery__CommentStmt *tree, struct kp_comment *comment)
{
    struct kp_relation *type;
    KP_TRY(find_type(binder, tree->object->type_name, tree->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN, &type));
    comment->class = KP_COMMENT_TYPE;
    comment->object = type->name;
    return KP_OK;
}

static enum kp_code bind_domain_constraint(struct binder *binder, const PgQuery__CommentStmt *tree,
                                           struct kp_comment *comment)
{
    const PgQuery__List *names = tree->object->list;
    const char *name = names->items[1]->string->sval;
    struct kp_relation *domain;
    KP_TRY(find_type(binder, names->items[0]->type_name, true, &domain));
    bool known;
    KP_TRY(kp_bind_domain_has(binder, domain, name, &known));
    if (!known)
        return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42704", "constraint \"%s\" for domain %s does not exist", name,
                            domain->name);
    *comment = (struct kp_comment){KP_COMMENT_TYPE_CONSTRAINT, domain->name, name, comment->text};
    return KP_OK;
}

/* (types) as the statement writes them; NULL: it does not say. */
static const char *arguments_of(struct binder *binder, const PgQuery__ObjectWithArgs *object)
{
    const char *open = object->args_unspecified ? NULL : strchr(binder->text, '(');
    const char *close = open ? open : "";
    for (int depth = 0; *close; close++) {
        depth += (*close == '(') - (*close == ')');
        if (depth == 0)
            break;
    }
    return open ? kp_arena_strndup(binder->arena, open, (size_t)(close + 1 - open)) : NULL;
}

static enum kp_code bind_function(struct binder *binder, const PgQuery__CommentStmt *tree, struct kp_comment *comment)
{
    const PgQuery__ObjectWithArgs *object = tree->object->object_with_args;
    const char *schema, *name = kp_tree_name(object->objname, object->n_objname, &schema);
    struct kp_relation *function;
    KP_TRY(kp_sql_find_function(binder->context, name, arguments_of(binder, object), &function, binder->err));
    comment->class = KP_COMMENT_FUNCTION;
    comment->object = function->name;
    return KP_OK;
}

static enum kp_code bind_schema(struct binder *binder, const PgQuery__CommentStmt *tree, struct kp_comment *comment)
{
    static const char *const own[] = {"pg_catalog", "information_schema", "kappa"};
    const char *name = tree->object->string->sval;
    for (size_t i = 0; i < KP_COUNT(own); i++)
        if (strcmp(own[i], name) == 0)
            return kp_bind_fail(binder, -1, KP_FORBIDDEN, "42501", "must be owner of schema %s", name);
    if (strcmp(name, "public") != 0)
        return kp_bind_fail(binder, -1, KP_NOT_FOUND, "3F000", "schema \"%s\" does not exist", name);
    comment->class = KP_COMMENT_SCHEMA;
    comment->object = name;
    return KP_OK;
}

static enum kp_code bind_role(struct binder *binder, const PgQuery__CommentStmt *tree, bool replaying,
                              struct kp_comment *comment)
{
    const char *name = tree->object->string->sval, *user = binder->context->user;
    if (!replaying && strcmp(name, user ? user : "kappa") != 0)
        return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42704", "role \"%s\" does not exist", name);
    comment->class = KP_COMMENT_ROLE;
    comment->object = name;
    return KP_OK;
}

static enum kp_code bind_object(struct binder *binder, const PgQuery__CommentStmt *tree, bool replaying,
                                struct kp_comment *comment, const char **ret_warning)
{
    const char *database = binder->context->database;
    switch (tree->objtype) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW:
    case PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW:
    case PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_TABLE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
        return bind_relation(binder, tree, comment);
    case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX:
        return bind_index(binder, tree, comment);
    case PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN:
        return bind_column(binder, tree, comment);
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT:
        return bind_table_constraint(binder, tree, comment);
    case PG_QUERY__OBJECT_TYPE__OBJECT_DOMCONSTRAINT:
        return bind_domain_constraint(binder, tree, comment);
    case PG_QUERY__OBJECT_TYPE__OBJECT_TYPE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN:
        return bind_type(binder, tree, comment);
    case PG_QUERY__OBJECT_TYPE__OBJECT_FUNCTION:
    case PG_QUERY__OBJECT_TYPE__OBJECT_ROUTINE:
        return bind_function(binder, tree, comment);
    case PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA:
        return bind_schema(binder, tree, comment);
    case PG_QUERY__OBJECT_TYPE__OBJECT_ROLE:
        return bind_role(binder, tree, replaying, comment);
    case PG_QUERY__OBJECT_TYPE__OBJECT_DATABASE:
        comment->class = KP_COMMENT_DATABASE;
        comment->object = "";
        if (!replaying && strcmp(tree->object->string->sval, database ? database : "kappa") != 0)
            *ret_warning = kp_arena_printf(binder->arena, "database \"%s\" does not exist", tree->object->string->sval);
        return KP_OK;
    default:
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "COMMENT ON objects of this kind is not supported");
    }
}

enum kp_code kp_sql_bind_comment(const struct kp_sql_context *context, const struct kp_statement *statement,
                                 bool replaying, struct kp_comment *ret_comment, const char **ret_warning,
                                 struct kp_error *err)
{
    struct binder binder;
    const PgQuery__CommentStmt *tree = statement->tree->comment_stmt;
    struct kp_comment comment = {.part = "", .text = tree->comment[0] ? tree->comment : NULL};
    kp_binder_init(&binder, context, statement, statement->arena, err);
    *ret_warning = NULL;
    KP_TRY(bind_object(&binder, tree, replaying, &comment, ret_warning));
    *ret_comment = comment;
    return KP_OK;
}
