/*
 * ALTER TYPE of composite types: ADD, DROP, ALTER, RENAME ATTRIBUTE. The fields are another declaration, which is
 * another type (vec/made.h) under the same name. As in PostgreSQL that is refused while a column is of the type; and
 * here while anything else was made with it, which is bound to the fields that there were.
 */
#include "sql/alter.h"
#include "sql/object.h"

struct fields {
    const char *type_name;
    const char **names;
    struct kp_type *types;
    uint32_t count;
};

static enum kp_code check_unused(struct binder *binder, const struct kp_relation *type)
{
    const struct kp_catalog *catalog = binder->context->catalog;
    for (size_t i = 0; i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *user = kp_catalog_at(catalog, i);
        if (user == type || !kp_sql_uses(user, type))
            continue;
        for (uint32_t c = 0; user->kind <= KP_RELATION_VIEW && c < user->col_count; c++)
            if (kp_type_involves(user->cols[c].type.id, type->made.id))
                return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL,
                                    "cannot alter type \"%s\" because column \"%s.%s\" uses it", type->name, user->name,
                                    user->cols[c].name);
        kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "cannot alter type \"%s\" because %s \"%s\" was made with it",
                     type->name, kp_relation_kind_name(user->kind), user->name);
        return kp_error_hint(binder->err, "Drop it, alter the type, and create it again.");
    }
    return KP_OK;
}

/* Its number, or their count. */
static uint32_t find(const struct fields *fields, const char *name)
{
    uint32_t i = 0;
    while (i < fields->count && strcmp(fields->names[i], name) != 0)
        i++;
    return i;
}

static void open_fields(struct binder *binder, const struct kp_relation *type, size_t more, struct fields *ret_fields)
{
    const struct kp_made *made = kp_made_of(type->made.id);
    *ret_fields =
        (struct fields){.type_name = type->name,
                        .names = kp_arena_calloc(binder->arena, (made->count + more + 1) * sizeof(char *)),
                        .types = kp_arena_calloc(binder->arena, (made->count + more + 1) * sizeof(struct kp_type)),
                        .count = made->count};
    for (uint32_t i = 0; i < made->count; i++) {
        ret_fields->names[i] = made->names[i];
        ret_fields->types[i] = made->types[i];
    }
}

static enum kp_code field_type(struct binder *binder, const PgQuery__ColumnDef *def, struct kp_type *ret_type)
{
    struct kp_relation *domain;
    KP_TRY(kp_bind_type(binder, def->type_name, ret_type, &domain));
    return domain || kp_bind_row_domains(binder, ret_type->id)
               ? kp_bind_fail(binder, def->location, KP_UNSUPPORTED, NULL,
                              "adding a field of a domain to a composite type is not supported")
               : KP_OK;
}

static enum kp_code already(struct binder *binder, const struct fields *fields, const char *name)
{
    return kp_bind_fail(binder, -1, KP_EXISTS, "42701", "column \"%s\" of relation \"%s\" already exists", name,
                        fields->type_name);
}

static enum kp_code add(struct binder *binder, const PgQuery__ColumnDef *def, struct fields *fields)
{
    if (find(fields, def->colname) < fields->count)
        return already(binder, fields, def->colname);
    if (fields->count >= KP_COMPOSITE_FIELDS_MAX)
        return kp_bind_fail(binder, -1, KP_LIMIT, "54011", "a composite type can have at most %d fields",
                            KP_COMPOSITE_FIELDS_MAX);
    fields->names[fields->count] = def->colname;
    KP_TRY(field_type(binder, def, &fields->types[fields->count]));
    fields->count++;
    return KP_OK;
}

static enum kp_code change(struct binder *binder, const PgQuery__AlterTableCmd *command, struct fields *fields,
                           struct kp_alteration *to)
{
    uint32_t at = find(fields, command->name);
    bool drops = command->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_DropColumn;
    if (command->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn)
        return add(binder, command->def->column_def, fields);
    if (!drops && command->subtype != PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType)
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "this form of ALTER TYPE is not supported");
    if (at == fields->count && drops && command->missing_ok) {
        to->notice = kp_arena_printf(binder->arena, "column \"%s\" of relation \"%s\" does not exist, skipping",
                                     command->name, fields->type_name);
        return KP_OK;
    }
    if (at == fields->count)
        return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42703", "column \"%s\" of relation \"%s\" does not exist",
                            command->name, fields->type_name);
    if (!drops)
        return field_type(binder, command->def->column_def, &fields->types[at]);
    to->from = command->name;
    fields->count--;
    for (uint32_t i = at; i < fields->count; i++) {
        fields->names[i] = fields->names[i + 1];
        fields->types[i] = fields->types[i + 1];
    }
    return KP_OK;
}

static enum kp_code finish(struct binder *binder, const struct fields *fields, bool replaying, struct kp_alteration *to)
{
    const struct kp_made *made = kp_made_of(to->object->made.id);
    bool same = fields->count == made->count;
    for (uint32_t i = 0; same && i < made->count; i++)
        same = strcmp(fields->names[i], made->names[i]) == 0 && kp_type_equal(fields->types[i], made->types[i]);
    if (same) {
        to->what = KP_ALTER_NOTHING;
        return KP_OK;
    }
    if (!replaying)
        KP_TRY(check_unused(binder, to->object));
    to->what = KP_ALTER_FIELDS;
    to->made = KP_TYPE(kp_made_intern(fields->type_name, fields->names, fields->types, fields->count));
    return KP_OK;
}

static enum kp_code check_composite(struct binder *binder, const struct kp_relation *object)
{
    if (object->kind == KP_RELATION_TYPE && kp_type_is_composite(object->made.id))
        return object->domains ? kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL,
                                              "altering a composite type with fields of domains is not supported")
                               : KP_OK;
    return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42P01", "relation \"%s\" does not exist", object->name);
}

enum kp_code kp_bind_alter_composite(struct binder *binder, const PgQuery__AlterTableStmt *alter, bool replaying,
                                     struct kp_alteration *to)
{
    struct fields fields;
    KP_TRY(check_composite(binder, to->object));
    open_fields(binder, to->object, alter->n_cmds, &fields);
    for (size_t i = 0; i < alter->n_cmds; i++)
        KP_TRY(change(binder, alter->cmds[i]->alter_table_cmd, &fields, to));
    return finish(binder, &fields, replaying, to);
}

enum kp_code kp_bind_rename_attribute(struct binder *binder, const PgQuery__RenameStmt *rename, bool replaying,
                                      struct kp_alteration *to)
{
    struct fields fields;
    KP_TRY(check_composite(binder, to->object));
    open_fields(binder, to->object, 0, &fields);
    uint32_t at = find(&fields, rename->subname);
    if (at == fields.count)
        return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42703", "column \"%s\" does not exist", rename->subname);
    if (find(&fields, rename->newname) < fields.count)
        return already(binder, &fields, rename->newname);
    fields.names[at] = rename->newname;
    to->from = rename->subname;
    to->to = rename->newname;
    return finish(binder, &fields, replaying, to);
}
