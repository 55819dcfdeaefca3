/*
 * Statements that ask for what is so already: DROP … IF EXISTS of kinds of objects of which there are none here, and
 * CREATE SCHEMA IF NOT EXISTS of a schema that is there. Migrations begin with them. PostgreSQL does nothing and says
 * so in a notice, and without IF EXISTS an error; the same words here. What could be meant in earnest is refused by
 * tree.c.
 */
#include "sql/parse.h"

/* Of DROP; named by [schema.]name, by a name alone, or by a table's and its own name. */
enum naming { BY_NAME, BY_WORD, OF_TABLE };
static const struct kind {
    PgQuery__ObjectType type;
    enum naming naming;
    const char *tag, *word, *sqlstate;
} kinds[] = {
    {PG_QUERY__OBJECT_TYPE__OBJECT_INDEX, BY_NAME, "DROP INDEX", "index", "42704"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_TABLE, BY_NAME, "DROP FOREIGN TABLE", "foreign table", "42P01"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_COLLATION, BY_NAME, "DROP COLLATION", "collation", "42704"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_STATISTIC_EXT, BY_NAME, "DROP STATISTICS", "statistics object", "42704"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA, BY_WORD, "DROP SCHEMA", "schema", "3F000"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_EXTENSION, BY_WORD, "DROP EXTENSION", "extension", "42704"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_SERVER, BY_WORD, "DROP SERVER", "server", "42704"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_PUBLICATION, BY_WORD, "DROP PUBLICATION", "publication", "42704"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER, OF_TABLE, "DROP TRIGGER", "trigger", "42704"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_RULE, OF_TABLE, "DROP RULE", "rule", "42704"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_POLICY, OF_TABLE, "DROP POLICY", "policy", "42704"},
};

static bool is_schema(const char *name)
{
    return strcmp(name, "public") == 0 || kp_schema_is_system(name);
}

/* The index of a primary key is there as long as its table, and plpgsql as far as anybody asks. */
static bool may_be_there(const struct kind *kind, const char *name)
{
    static const char key[] = "_pkey";
    size_t len = strlen(name);
    switch (kind->type) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA:
        return is_schema(name);
    case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX:
        return len >= sizeof key && strcmp(name + len - (sizeof key - 1), key) == 0;
    case PG_QUERY__OBJECT_TYPE__OBJECT_EXTENSION:
        return strcmp(name, "plpgsql") == 0;
    default:
        return false;
    }
}

static void note(struct parser *parser, struct kp_statement *statement, const char *sqlstate, const char *text)
{
    size_t count = statement->notice_count;
    struct kp_sql_notice *notices = kp_arena_alloc(parser->arena, (count + 1) * sizeof *notices);
    for (size_t i = 0; i < count; i++)
        notices[i] = statement->notices[i];
    notices[count] = (struct kp_sql_notice){sqlstate, text};
    statement->notices = notices;
    statement->notice_count++;
}

/* The object does not exist: `what` says which. */
static enum kp_code missing(struct parser *parser, struct kp_statement *statement, bool may, const char *sqlstate,
                            const char *what)
{
    if (!may)
        return kp_fail(parser->err, KP_NOT_FOUND, sqlstate, "%s does not exist", what);
    note(parser, statement, "00000", kp_arena_printf(parser->arena, "%s does not exist, skipping", what));
    return KP_OK;
}

static void names_of(const PgQuery__Node *object, const char **ret_name, const char **ret_of)
{
    *ret_of = NULL;
    if (object->node_case == PG_QUERY__NODE__NODE_LIST)
        *ret_name = kp_tree_name(object->list->items, object->list->n_items, ret_of);
    else
        *ret_name = object->node_case == PG_QUERY__NODE__NODE_STRING ? object->string->sval : "";
}

/* *ret_kind NULL: it may be meant in earnest. */
static void kind_of(const PgQuery__DropStmt *drop, const struct kind **ret_kind)
{
    const char *name, *of;
    *ret_kind = NULL;
    for (size_t i = 0; i < KP_COUNT(kinds); i++)
        if (kinds[i].type == drop->remove_type)
            *ret_kind = &kinds[i];
    for (size_t i = 0; *ret_kind && i < drop->n_objects; i++) {
        names_of(drop->objects[i], &name, &of);
        if (may_be_there(*ret_kind, name))
            *ret_kind = NULL;
    }
}

static enum kp_code from_drop(struct parser *parser, struct kp_statement *statement, const PgQuery__DropStmt *drop,
                              const struct kind *kind)
{
    statement->kind = KP_STATEMENT_EMPTY;
    statement->tag = kind->tag;
    for (size_t i = 0; i < drop->n_objects; i++) {
        const char *name, *of, *table = drop->missing_ok ? "relation" : "table";
        names_of(drop->objects[i], &name, &of);
        const char *what = kind->naming == OF_TABLE ? kp_arena_printf(parser->arena, "%s \"%s\" for %s \"%s\"",
                                                                      kind->word, name, table, of ? of : "")
                                                    : kp_arena_printf(parser->arena, "%s \"%s\"", kind->word, name);
        KP_TRY(missing(parser, statement, drop->missing_ok, kind->sqlstate, what));
    }
    return KP_OK;
}

static enum kp_code from_create_schema(struct parser *parser, struct kp_statement *statement,
                                       const PgQuery__CreateSchemaStmt *create)
{
    statement->kind = KP_STATEMENT_EMPTY;
    statement->tag = "CREATE SCHEMA";
    if (!create->if_not_exists)
        return kp_fail(parser->err, KP_EXISTS, "42P06", "schema \"%s\" already exists", create->schemaname);
    note(parser, statement, "42P06",
         kp_arena_printf(parser->arena, "schema \"%s\" already exists, skipping", create->schemaname));
    return KP_OK;
}

bool kp_statement_absent(struct parser *parser, struct kp_statement *statement, const PgQuery__Node *tree,
                         enum kp_code *ret_code)
{
    const struct kind *kind = NULL;
    if (tree->node_case == PG_QUERY__NODE__NODE_DROP_STMT)
        kind_of(tree->drop_stmt, &kind);
    if (kind)
        *ret_code = from_drop(parser, statement, tree->drop_stmt, kind);
    bool schema =
        tree->node_case == PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT && is_schema(tree->create_schema_stmt->schemaname);
    if (schema)
        *ret_code = from_create_schema(parser, statement, tree->create_schema_stmt);
    return kind || schema;
}
