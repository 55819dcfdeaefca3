/*
 * ALTER TABLE: another declaration of the table, made of the one that there is.
 *
 *   old    a b c | _key … _headers                                    what lies behind the bar is hidden
 *   fresh  a b c d | _key … _headers     former_columns  0 1 2 -1 3 …    absent  of d: its DEFAULT, or NULL
 *
 * Records from before the statement are read by the old declaration (flow/reader.h), so nothing is written again. A
 * statement of several parts does them in PostgreSQL's order: what is taken away, columns, constraints.
 *
 * Views keep their plans, whose scans are put on the fresh declaration. Their texts are bound again when what they read
 * is replaced (db/versions.c, plain_view.c): what would make a text mean something else is refused while there is a
 * view.
 */
#include "sql/alter_table.h"

#include "sql/comment.h"
#include "sql/object.h"
#include "sql/write.h"

enum part { PART_TAKES, PART_COLUMNS, PART_CONSTRAINTS, PARTS };

struct altering {
    struct binder *binder;
    const struct kp_relation *old;
    struct kp_relation *fresh; /* without its hidden columns until it is done */
    uint32_t width;            /* of the old one, without hidden columns */
    bool replaying, changed;
    struct kp_table_change *change;
    const struct kp_expr **held; /* conditions that rows are held against */
    uint32_t held_count;
};

/* ---- the declaration that there is ---- */

static void *copy(struct kp_arena *arena, const void *from, size_t count, size_t room, size_t bytes)
{
    void *to = kp_arena_calloc(arena, room * bytes);
    if (count && from)
        memcpy(to, from, count * bytes);
    return to;
}

/* Texts and expressions are the old one's, which it keeps. room: columns and checks that may be added. */
static struct kp_relation *begin_fresh(struct kp_relation *old, size_t room)
{
    struct kp_relation *fresh = kp_relation_create();
    struct kp_arena *arena = &fresh->arena;
    uint32_t width = old->col_count - old->hidden_count;
    size_t most = old->col_count + room + 1;
    fresh->id = old->id;
    fresh->kind = old->kind;
    fresh->schema = old->schema;
    fresh->name = old->name;
    fresh->version = old->version;
    fresh->position = old->position;
    fresh->col_count = width;
    fresh->cols = copy(arena, old->cols, width, most, sizeof *fresh->cols);
    fresh->origins = copy(arena, old->origins, width, most, sizeof *fresh->origins);
    fresh->paths = copy(arena, old->paths, width, most, sizeof *fresh->paths);
    fresh->defaults = copy(arena, old->defaults, width, most, sizeof *fresh->defaults);
    fresh->keys = copy(arena, old->keys, old->key_count, most, sizeof *fresh->keys);
    if (old->domains)
        fresh->domains = copy(arena, old->domains, width, KP_COLUMNS_MAX + most, sizeof *fresh->domains);
    if (old->sequences)
        fresh->sequences = copy(arena, old->sequences, width, KP_COLUMNS_MAX + most, sizeof *fresh->sequences);
    for (uint32_t c = 0; fresh->sequences && c < width; c++)
        if (fresh->sequences[c])
            kp_relation_ref(fresh->sequences[c]);
    fresh->checks = copy(arena, old->checks, old->check_count, old->check_count + 2 * room + 1, sizeof *fresh->checks);
    fresh->check_count = old->check_count;
    fresh->key_count = old->key_count;
    fresh->topic = old->topic;
    fresh->made_topic = old->made_topic;
    fresh->option_count = old->option_count;
    fresh->options = old->options;
    fresh->watermark_column = old->watermark_column;
    fresh->watermark_delay_us = old->watermark_delay_us;
    fresh->text = old->text;
    fresh->time_zone = old->time_zone;
    fresh->user = old->user;
    fresh->former = kp_relation_ref(old);
    atomic_store(&fresh->since, INT64_MAX);
    fresh->former_columns = kp_arena_calloc(arena, most * sizeof *fresh->former_columns);
    fresh->absent = kp_arena_calloc(arena, most * sizeof *fresh->absent);
    for (uint32_t c = 0; c < width; c++)
        fresh->former_columns[c] = (int32_t)c;
    return fresh;
}

static uint32_t place_of(const struct kp_relation *fresh, uint32_t former)
{
    uint32_t at = 0;
    while (at < fresh->col_count && fresh->former_columns[at] != (int32_t)former)
        at++;
    KP_ASSERT(at < fresh->col_count);
    return at;
}

/* The hidden columns behind the others, and what names columns by their numbers. */
static void end_fresh(struct altering *altering, const struct use_list *uses)
{
    const struct kp_relation *old = altering->old;
    struct kp_relation *fresh = altering->fresh;
    for (uint32_t c = altering->width; c < old->col_count; c++) {
        uint32_t at = fresh->col_count++;
        fresh->cols[at] = old->cols[c];
        fresh->origins[at] = old->origins[c];
        fresh->paths[at] = old->paths[c];
        fresh->former_columns[at] = (int32_t)c;
        fresh->hidden_count++;
    }
    for (uint32_t k = 0; k < old->key_count; k++)
        fresh->keys[k] = place_of(fresh, old->keys[k]);
    if (old->watermark_column >= 0)
        fresh->watermark_column = (int32_t)place_of(fresh, (uint32_t)old->watermark_column);
    fresh->uses = kp_arena_calloc(&fresh->arena, (old->use_count + uses->count + 1) * sizeof(struct kp_relation *));
    for (uint32_t i = 0; i < old->use_count; i++)
        fresh->uses[fresh->use_count++] = kp_relation_ref(old->uses[i]);
    for (uint32_t i = 0; i < uses->count; i++)
        fresh->uses[fresh->use_count++] = kp_relation_ref(uses->objects[i]);
    kp_bind_versions(fresh);
}

/* ---- who reads it ---- */

static bool scans(const struct kp_plan *plan, const struct kp_relation *relation)
{
    bool found = plan->kind == KP_PLAN_SCAN && plan->scan.relation == relation;
    for (uint32_t i = 0; !found && i < plan->input_count; i++)
        found = scans(plan->inputs[i], relation);
    return found;
}

static enum kp_code refuse(struct altering *altering, const struct kp_relation *reader, const char *why)
{
    kp_bind_fail(altering->binder, -1, KP_UNSUPPORTED, NULL, "cannot alter table \"%s\" because %s \"%s\" %s",
                 altering->old->name, kp_relation_kind_name(kp_relation_declared(reader)), reader->name, why);
    return kp_error_hint(altering->binder->err, "Drop it, alter the table, and create it again.");
}

/* The first view that reads the table; NULL: none. */
static const struct kp_relation *reader_of(const struct altering *altering)
{
    const struct kp_catalog *catalog = altering->binder->context->catalog;
    for (size_t i = 0; !altering->replaying && i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *reader = kp_catalog_at(catalog, i);
        if (reader->plan &&
            (scans(reader->plan->plan, altering->old) || scans(reader->plan->plan, altering->old->versions)))
            return reader;
    }
    return NULL;
}

/* What no table that is altered can have. */
static enum kp_code check_readers(struct altering *altering)
{
    const struct kp_catalog *catalog = altering->binder->context->catalog;
    const struct kp_relation *old = altering->old;
    for (size_t i = 0; !altering->replaying && i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *reader = kp_catalog_at(catalog, i);
        if (reader->kind == KP_RELATION_SINK && reader->sink_from == old)
            return refuse(altering, reader, "writes its rows");
        if (reader->kind != KP_RELATION_VIEW || !reader->plan)
            continue;
        if (scans(reader->plan->plan, old->versions))
            return refuse(altering, reader, "reads its former rows");
        if (old->watermark_column >= 0 && scans(reader->plan->plan, old))
            return refuse(altering, reader, "reads it, and it has a watermark");
    }
    return KP_OK;
}

/* ---- notices, columns ---- */

static void notice(struct altering *altering, const char *sqlstate, const char *text)
{
    altering->change->notices[altering->change->notice_count++] = (struct kp_table_notice){sqlstate, text};
}

/* Its number, or that of its columns. */
static uint32_t find(const struct altering *altering, const char *name)
{
    uint32_t at = 0;
    while (at < altering->fresh->col_count && strcmp(altering->fresh->cols[at].name, name) != 0)
        at++;
    return at;
}

static enum kp_code must_find(struct altering *altering, const char *name, uint32_t *ret_column)
{
    *ret_column = find(altering, name);
    return *ret_column < altering->fresh->col_count
               ? KP_OK
               : kp_bind_fail(altering->binder, -1, KP_NOT_FOUND, "42703",
                              "column \"%s\" of relation \"%s\" does not exist", name, altering->old->name);
}

/* Every table has the hidden ones. */
static enum kp_code check_free(struct altering *altering, const char *name)
{
    const struct kp_relation *old = altering->old;
    for (uint32_t c = altering->width; c < old->col_count; c++)
        if (strcmp(old->cols[c].name, name) == 0)
            return kp_bind_fail(altering->binder, -1, KP_EXISTS, "42701",
                                "column name \"%s\" conflicts with a system column name", name);
    if (find(altering, name) == altering->fresh->col_count)
        return KP_OK;
    return kp_bind_fail(altering->binder, -1, KP_EXISTS, "42701", "column \"%s\" of relation \"%s\" already exists",
                        name, old->name);
}

/* ---- ADD COLUMN ---- */

/* What rows that are there get: the value of the DEFAULT, once for all. */
static enum kp_code bind_absent(struct altering *altering, uint32_t column)
{
    struct kp_relation *fresh = altering->fresh;
    const struct kp_expr *value = kp_write_default(altering->binder, fresh, column);
    if (value->kind != KP_EXPR_CONST) {
        kp_bind_fail(altering->binder, -1, KP_UNSUPPORTED, NULL,
                     "a DEFAULT that is not a constant cannot be given to the rows of \"%s\"", fresh->name);
        return kp_error_hint(altering->binder->err,
                             "ADD COLUMN without it, then ALTER COLUMN … SET DEFAULT, and UPDATE the rows.");
    }
    fresh->absent[column] = value->datum;
    fresh->absent[column].type = fresh->cols[column].type;
    return KP_OK;
}

static enum kp_code refuse_constraint(struct altering *altering, const PgQuery__Constraint *constraint)
{
    static const struct {
        PgQuery__ConstrType type;
        const char *what;
    } refused[] = {{PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY, "a PRIMARY KEY"},
                   {PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE, "a UNIQUE constraint"},
                   {PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN, "a FOREIGN KEY"},
                   {PG_QUERY__CONSTR_TYPE__CONSTR_EXCLUSION, "an exclusion constraint"},
                   {PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY, "an identity column"}};
    if (constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY && !kp_relation_keyless(altering->old))
        return kp_bind_fail(altering->binder, constraint->location, KP_INVALID, "42P16",
                            "multiple primary keys for table \"%s\" are not allowed", altering->old->name);
    for (size_t i = 0; i < KP_COUNT(refused); i++)
        if (constraint->contype == refused[i].type)
            return kp_bind_fail(altering->binder, constraint->location, KP_UNSUPPORTED, NULL,
                                "adding %s to a table is not supported", refused[i].what);
    return KP_OK;
}

static enum kp_code add_column(struct altering *altering, const PgQuery__AlterTableCmd *command)
{
    struct binder *binder = altering->binder;
    struct kp_relation *fresh = altering->fresh;
    const PgQuery__ColumnDef *def = command->def->column_def;
    uint32_t column = fresh->col_count;
    if (command->missing_ok && find(altering, def->colname) < column) {
        notice(altering, "42701",
               kp_arena_printf(binder->arena, "column \"%s\" of relation \"%s\" already exists, skipping", def->colname,
                               fresh->name));
        return KP_OK;
    }
    KP_TRY(check_free(altering, def->colname));
    if (column >= KP_COLUMNS_MAX)
        return kp_bind_fail(binder, -1, KP_LIMIT, "54011", "tables can have at most %d columns", KP_COLUMNS_MAX);
    for (size_t i = 0; i < def->n_constraints; i++)
        KP_TRY(refuse_constraint(altering, def->constraints[i]->constraint));
    KP_TRY(kp_bind_declare_column(binder, fresh, def));
    if (kp_relation_sequence(fresh, column))
        return kp_bind_fail(binder, def->location, KP_UNSUPPORTED, NULL,
                            "adding a serial column to a table is not supported");
    KP_TRY(kp_bind_column_checks(binder, fresh, column, def));
    fresh->former_columns[column] = -1;
    altering->changed = true;
    return bind_absent(altering, column);
}

/* ---- DROP COLUMN ---- */

struct mention {
    uint32_t column;
    bool found;
};

static bool mentions(const struct kp_expr *expr, void *arg)
{
    struct mention *mention = arg;
    mention->found |= expr->kind == KP_EXPR_COLUMN && expr->column == mention->column;
    return true;
}

static struct kp_expr *move_left(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    if (expr->kind != KP_EXPR_COLUMN || expr->column < *(const uint32_t *)arg)
        return NULL;
    struct kp_expr moved = *expr;
    moved.column--;
    return kp_expr_copy(&moved, arena, NULL, NULL);
}

/* Conditions that ask for the column go with it, as in PostgreSQL. */
static void drop_checks_of(struct kp_relation *fresh, uint32_t column)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fresh->check_count; i++) {
        struct kp_check check = fresh->checks[i];
        struct mention mention = {.column = column};
        (void)kp_expr_walk(check.expr, mentions, &mention);
        if (mention.found)
            continue;
        check.expr = kp_expr_copy(check.expr, &fresh->arena, move_left, &column);
        fresh->checks[kept++] = check;
    }
    fresh->check_count = kept;
}

static void close_gap(void *items, uint32_t at, uint32_t count, size_t bytes)
{
    if (items)
        memmove((char *)items + at * bytes, (char *)items + (at + 1) * bytes, (count - at - 1) * bytes);
}

static bool reads_column(const struct kp_plan *plan, const struct kp_relation *old, uint32_t column)
{
    bool found = false;
    for (uint32_t c = 0; plan->kind == KP_PLAN_SCAN && c < plan->col_count; c++)
        found |=
            (plan->scan.relation == old || plan->scan.relation == old->versions) && plan->scan.columns[c] == column;
    for (uint32_t i = 0; !found && i < plan->input_count; i++)
        found = reads_column(plan->inputs[i], old, column);
    return found;
}

static enum kp_code check_column_unread(struct altering *altering, const char *name, uint32_t former)
{
    const struct kp_catalog *catalog = altering->binder->context->catalog;
    const struct kp_relation *old = altering->old;
    struct kp_buf detail = {0};
    for (size_t i = 0; !altering->replaying && i < kp_catalog_count(catalog); i++) {
        const struct kp_relation *reader = kp_catalog_at(catalog, i);
        if (reader->plan && reads_column(reader->plan->plan, old, former))
            kp_buf_printf(&detail, "%s%s %s depends on column %s of table %s", detail.len ? "\n" : "",
                          kp_relation_kind_name(reader->kind), reader->name, name, old->name);
    }
    if (!detail.len)
        return KP_OK;
    kp_bind_fail(altering->binder, -1, KP_BUSY, "2BP01",
                 "cannot drop column %s of table %s because other objects depend on it", name, old->name);
    (void)kp_error_detail(altering->binder->err, "%.*s", (int)detail.len, (const char *)detail.data);
    kp_buf_finish(&detail);
    return kp_error_hint(altering->binder->err, "Drop them first, or ALTER them AS queries without it.");
}

static enum kp_code refuse_drop(struct altering *altering, const char *name, const char *why)
{
    return kp_bind_fail(altering->binder, -1, KP_UNSUPPORTED, NULL, "cannot drop column \"%s\" of table \"%s\": %s",
                        name, altering->old->name, why);
}

/* A sequence of CREATE SEQUENCE that goes with the column; its own goes. */
static enum kp_code check_owns_none(struct altering *altering, const char *name, uint32_t former)
{
    const struct kp_catalog *catalog = altering->binder->context->catalog;
    for (size_t i = 0; i < kp_catalog_count(catalog) && !altering->replaying; i++) {
        const struct kp_relation *other = kp_catalog_at(catalog, i);
        if (!kp_relation_is_owned(other, altering->old) || other->sequence->implicit ||
            other->sequence->owner_column != former)
            continue;
        (void)refuse_drop(altering, name, "a sequence goes with it");
        return kp_error_hint(altering->binder->err, "ALTER SEQUENCE %s OWNED BY NONE keeps the sequence.", other->name);
    }
    return KP_OK;
}

static enum kp_code drop_column(struct altering *altering, const PgQuery__AlterTableCmd *command)
{
    struct kp_relation *fresh = altering->fresh;
    const struct kp_relation *old = altering->old;
    uint32_t column = find(altering, command->name), count = fresh->col_count;
    if (column == count && command->missing_ok) {
        notice(altering, "00000",
               kp_arena_printf(altering->binder->arena, "column \"%s\" of relation \"%s\" does not exist, skipping",
                               command->name, fresh->name));
        return KP_OK;
    }
    KP_TRY(must_find(altering, command->name, &column));
    uint32_t former = (uint32_t)fresh->former_columns[column];
    for (uint32_t k = 0; k < old->key_count; k++)
        if (old->keys[k] == former)
            return refuse_drop(altering, command->name, "it is of the primary key");
    if (old->watermark_column == (int32_t)former)
        return refuse_drop(altering, command->name, "it is the watermark's");
    if (count == 1)
        return refuse_drop(altering, command->name, "it is the only one");
    KP_TRY(check_column_unread(altering, command->name, former));
    KP_TRY(check_owns_none(altering, command->name, former));
    drop_checks_of(fresh, column);
    close_gap(fresh->cols, column, count, sizeof *fresh->cols);
    close_gap(fresh->origins, column, count, sizeof *fresh->origins);
    close_gap(fresh->paths, column, count, sizeof *fresh->paths);
    close_gap(fresh->defaults, column, count, sizeof *fresh->defaults);
    close_gap(fresh->domains, column, count, sizeof *fresh->domains);
    if (fresh->sequences)
        kp_relation_unref(fresh->sequences[column]);
    close_gap(fresh->sequences, column, count, sizeof *fresh->sequences);
    close_gap(fresh->former_columns, column, count, sizeof *fresh->former_columns);
    fresh->col_count--;
    if (fresh->domains) /* a column that is added takes the place */
        fresh->domains[fresh->col_count] = NULL;
    if (fresh->sequences)
        fresh->sequences[fresh->col_count] = NULL;
    fresh->defaults[fresh->col_count] = NULL;
    fresh->paths[fresh->col_count] = NULL;
    fresh->origins[fresh->col_count] = 0;
    altering->changed = true;
    return KP_OK;
}

/* ---- ALTER COLUMN ---- */

static enum kp_code set_default(struct altering *altering, const PgQuery__AlterTableCmd *command)
{
    struct kp_relation *fresh = altering->fresh;
    uint32_t column;
    KP_TRY(must_find(altering, command->name, &column));
    const struct kp_sequence *sequence = kp_relation_sequence(fresh, column);
    if (sequence && sequence->identity)
        return kp_bind_fail(altering->binder, -1, KP_INVALID, "42601",
                            "column \"%s\" of relation \"%s\" is an identity column", command->name, fresh->name);
    if (sequence)
        return kp_bind_fail(altering->binder, -1, KP_UNSUPPORTED, NULL,
                            "changing the DEFAULT of a serial column is not supported");
    fresh->defaults[column] = NULL;
    altering->changed = true;
    return command->def ? kp_bind_default(altering->binder, fresh, column, command->def, -1) : KP_OK;
}

static enum kp_code set_not_null(struct altering *altering, const PgQuery__AlterTableCmd *command)
{
    uint32_t column;
    KP_TRY(must_find(altering, command->name, &column));
    altering->changed |= !altering->fresh->cols[column].not_null;
    altering->fresh->cols[column].not_null = true;
    return KP_OK;
}

/* Plans of views count on what cannot be NULL. */
static enum kp_code drop_not_null(struct altering *altering, const PgQuery__AlterTableCmd *command)
{
    struct kp_relation *fresh = altering->fresh;
    uint32_t column;
    KP_TRY(must_find(altering, command->name, &column));
    const struct kp_sequence *sequence = kp_relation_sequence(fresh, column);
    if (sequence && sequence->identity)
        return kp_bind_fail(altering->binder, -1, KP_INVALID, "42601",
                            "column \"%s\" of relation \"%s\" is an identity column", command->name, fresh->name);
    for (uint32_t k = 0; k < altering->old->key_count; k++)
        if ((int32_t)altering->old->keys[k] == fresh->former_columns[column])
            return kp_bind_fail(altering->binder, -1, KP_INVALID, "42P16", "column \"%s\" is in a primary key",
                                command->name);
    if (!fresh->cols[column].not_null)
        return KP_OK;
    const struct kp_relation *reader = reader_of(altering);
    if (reader)
        return refuse(altering, reader, "counts on its column never being NULL");
    fresh->cols[column].not_null = false;
    altering->changed = true;
    return KP_OK;
}

/* ---- constraints ---- */

static enum kp_code add_constraint(struct altering *altering, const PgQuery__AlterTableCmd *command)
{
    const PgQuery__Constraint *constraint = command->def->constraint;
    KP_TRY(refuse_constraint(altering, constraint));
    if (constraint->contype != PG_QUERY__CONSTR_TYPE__CONSTR_CHECK || constraint->skip_validation)
        return kp_bind_fail(altering->binder, constraint->location, KP_UNSUPPORTED, NULL,
                            "adding a constraint that is %s is not supported",
                            constraint->skip_validation ? "NOT VALID" : "no CHECK");
    altering->changed = true;
    return kp_bind_table_check(altering->binder, altering->fresh, constraint);
}

static enum kp_code drop_constraint(struct altering *altering, const PgQuery__AlterTableCmd *command)
{
    struct kp_relation *fresh = altering->fresh;
    uint32_t at = 0;
    while (at < fresh->check_count && (fresh->checks[at].domain || strcmp(fresh->checks[at].name, command->name) != 0))
        at++;
    if (at < fresh->check_count) {
        close_gap(fresh->checks, at, fresh->check_count--, sizeof *fresh->checks);
        altering->changed = true;
        return KP_OK;
    }
    const char *key = kp_arena_printf(altering->binder->arena, "%s_pkey", fresh->name);
    if (!kp_relation_keyless(altering->old) && strcmp(key, command->name) == 0)
        return kp_bind_fail(altering->binder, -1, KP_UNSUPPORTED, NULL, "dropping a primary key is not supported");
    if (!command->missing_ok)
        return kp_bind_fail(altering->binder, -1, KP_NOT_FOUND, "42704",
                            "constraint \"%s\" of relation \"%s\" does not exist", command->name, fresh->name);
    notice(altering, "00000",
           kp_arena_printf(altering->binder->arena, "constraint \"%s\" of relation \"%s\" does not exist, skipping",
                           command->name, fresh->name));
    return KP_OK;
}

/* ---- RENAME COLUMN ---- */

static enum kp_code rename_column(struct altering *altering, const PgQuery__RenameStmt *rename)
{
    struct kp_relation *fresh = altering->fresh;
    uint32_t column = find(altering, rename->subname);
    if (column == fresh->col_count)
        return kp_bind_fail(altering->binder, -1, KP_NOT_FOUND, "42703", "column \"%s\" does not exist",
                            rename->subname);
    KP_TRY(check_free(altering, rename->newname));
    const struct kp_relation *reader = reader_of(altering);
    if (reader)
        return refuse(altering, reader, "names its columns");
    fresh->cols[column].name = kp_arena_strdup(&fresh->arena, rename->newname);
    altering->changed = true;
    return KP_OK;
}

/* ---- one statement ---- */

/* Columns and checks that it may add. */
static size_t room_for(const PgQuery__Node *tree)
{
    if (tree->node_case != PG_QUERY__NODE__NODE_ALTER_TABLE_STMT)
        return 1;
    const PgQuery__AlterTableStmt *alter = tree->alter_table_stmt;
    size_t room = alter->n_cmds;
    for (size_t i = 0; i < alter->n_cmds; i++) {
        const PgQuery__Node *def = alter->cmds[i]->alter_table_cmd->def;
        room += def && def->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF ? def->column_def->n_constraints : 0;
    }
    return room;
}

static enum part part_of(const PgQuery__AlterTableCmd *command)
{
    switch (command->subtype) {
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn:
        return PART_COLUMNS;
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddConstraint:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_SetNotNull:
        return PART_CONSTRAINTS;
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ColumnDefault:
        return command->def ? PART_CONSTRAINTS : PART_TAKES;
    default:
        return PART_TAKES;
    }
}

static enum kp_code run(struct altering *altering, const PgQuery__AlterTableCmd *command)
{
    switch (command->subtype) {
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn:
        return add_column(altering, command);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropColumn:
        return drop_column(altering, command);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ColumnDefault:
        return set_default(altering, command);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_SetNotNull:
        return set_not_null(altering, command);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropNotNull:
        return drop_not_null(altering, command);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddConstraint:
        return add_constraint(altering, command);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropConstraint:
        return drop_constraint(altering, command);
    default:
        kp_bind_fail(altering->binder, -1, KP_UNSUPPORTED, NULL, "this form of ALTER TABLE is not supported");
        return kp_error_hint(altering->binder->err, "Make another table, and INSERT INTO it SELECT … FROM this one.");
    }
}

/* What rows are held against already: what takes away has been done. */
static void note_held(struct altering *altering)
{
    const struct kp_relation *fresh = altering->fresh;
    altering->held = kp_arena_calloc(altering->binder->arena, (fresh->check_count + 1) * sizeof(struct kp_expr *));
    for (uint32_t i = 0; i < fresh->check_count; i++)
        altering->held[altering->held_count++] = fresh->checks[i].expr;
}

static void note_added(struct altering *altering)
{
    const struct kp_relation *fresh = altering->fresh;
    struct kp_table_change *change = altering->change;
    change->added = kp_arena_calloc(altering->binder->arena, (fresh->check_count + 1) * sizeof(struct kp_check *));
    for (uint32_t i = 0; i < fresh->check_count; i++) {
        bool held = false;
        for (uint32_t k = 0; k < altering->held_count; k++)
            held |= altering->held[k] == fresh->checks[i].expr;
        if (!held)
            change->added[change->added_count++] = &fresh->checks[i];
    }
}

static enum kp_code run_all(struct altering *altering, const PgQuery__Node *tree)
{
    if (tree->node_case == PG_QUERY__NODE__NODE_RENAME_STMT)
        return rename_column(altering, tree->rename_stmt);
    const PgQuery__AlterTableStmt *alter = tree->alter_table_stmt;
    for (enum part part = 0; part < PARTS; part++) {
        if (part == PART_COLUMNS)
            note_held(altering);
        for (size_t i = 0; i < alter->n_cmds; i++)
            if (part_of(alter->cmds[i]->alter_table_cmd) == part)
                KP_TRY(run(altering, alter->cmds[i]->alter_table_cmd));
    }
    note_added(altering);
    return KP_OK;
}

static enum kp_code find_table(struct binder *binder, struct kp_table_change *change)
{
    const struct kp_name *name = &binder->statement->name;
    struct kp_str schema = kp_str(name->schema ? name->schema : "");
    struct kp_relation *table = kp_catalog_find(binder->context->catalog, schema, kp_str(name->name));
    if (!table && binder->statement->if_exists) {
        change->notices[change->notice_count++] = (struct kp_table_notice){
            "00000", kp_arena_printf(binder->arena, "relation \"%s\" does not exist, skipping", name->name)};
        return KP_OK;
    }
    if (!table)
        return kp_bind_fail(binder, name->location, KP_NOT_FOUND, "42P01", "relation \"%s\" does not exist",
                            name->name);
    KP_TRY(kp_relation_check_failed(table, binder->err));
    if (kp_schema_is_system(table->schema))
        return kp_bind_fail(binder, name->location, KP_FORBIDDEN, "42501",
                            "permission denied: \"%s\" is a system catalog", table->name);
    if (table->kind != KP_RELATION_TABLE) {
        kp_bind_fail(binder, name->location, KP_INVALID, "42809", "\"%s\" is not a table", table->name);
        return table->kind == KP_RELATION_SOURCE
                   ? kp_error_hint(binder->err, "ALTER SOURCE %s (…) declares it anew.", table->name)
                   : kp_error_detail(binder->err, "It is a %s.", kp_relation_kind_name(table->kind));
    }
    change->old = table;
    return KP_OK;
}

enum kp_code kp_sql_bind_alter_table(const struct kp_sql_context *context, const struct kp_statement *statement,
                                     bool replaying, struct kp_arena *arena, struct kp_table_change *ret_change,
                                     struct kp_error *err)
{
    struct binder binder;
    struct use_list uses = {0};
    struct kp_table_change change = {0};
    size_t room = room_for(statement->tree);
    kp_binder_init(&binder, context, statement, arena, err);
    change.notices = kp_arena_calloc(arena, (room + 1) * sizeof *change.notices);
    KP_TRY(find_table(&binder, &change));
    if (!change.old) {
        *ret_change = change;
        return KP_OK;
    }
    struct kp_relation *fresh = begin_fresh(change.old, room);
    struct altering altering = {.binder = &binder,
                                .old = change.old,
                                .fresh = fresh,
                                .width = change.old->col_count - change.old->hidden_count,
                                .replaying = replaying,
                                .change = &change};
    binder.arena = &fresh->arena;
    binder.uses = &uses;
    enum kp_code code = check_readers(&altering);
    if (code == KP_OK)
        code = run_all(&altering, statement->tree);
    if (code == KP_OK && altering.changed)
        end_fresh(&altering, &uses);
    kp_free(uses.objects);
    for (uint32_t i = 0; i < change.notice_count; i++) /* the declaration's memory may be gone before them */
        change.notices[i].text = kp_arena_strdup(arena, change.notices[i].text);
    if (code != KP_OK || !altering.changed)
        kp_relation_unref(fresh);
    else
        change.fresh = fresh;
    KP_TRY(code);
    *ret_change = change;
    return KP_OK;
}

/* ---- in its place ---- */

struct moving {
    struct kp_relation *old, *fresh;
    uint32_t *columns; /* of the old one: where they are now; what is gone is nobody's */
};

static void move_scan(const struct moving *moving, struct kp_plan *scan, bool versions)
{
    struct kp_relation *from = scan->scan.relation, *to = versions ? moving->fresh->versions : moving->fresh;
    for (uint32_t c = 0; c < scan->col_count; c++) {
        uint32_t *column = &scan->scan.columns[c];
        *column = *column < moving->old->col_count ? moving->columns[*column]
                                                   : moving->fresh->col_count + (*column - moving->old->col_count);
    }
    scan->scan.relation = kp_relation_ref(to);
    kp_relation_unref(from);
}

static void move_sources(const struct moving *moving, struct kp_relation **sources, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (sources[i] == moving->old)
            sources[i] = moving->fresh;
}

static void move_plan(const struct moving *moving, struct kp_plan *plan)
{
    if (plan->kind == KP_PLAN_SCAN && plan->scan.relation == moving->old)
        move_scan(moving, plan, false);
    else if (plan->kind == KP_PLAN_SCAN && plan->scan.relation == moving->old->versions)
        move_scan(moving, plan, true);
    else if (plan->kind == KP_PLAN_WINDOW)
        move_sources(moving, plan->window.sources, plan->window.source_count);
    else if (plan->kind == KP_PLAN_EMIT)
        move_sources(moving, plan->emit.sources, plan->emit.source_count);
    for (uint32_t i = 0; i < plan->input_count; i++)
        move_plan(moving, plan->inputs[i]);
}

/* A copy is moved: somebody may be reading the plan. */
static void move_reader(const struct moving *moving, struct kp_relation *reader)
{
    struct kp_plan_root *root = reader->plan;
    if (root && (scans(root->plan, moving->old) || scans(root->plan, moving->old->versions))) {
        struct kp_plan *plan = kp_plan_copy(root->plan, &root->arena);
        move_plan(moving, plan);
        root->plan = plan;
    }
    if (reader->sink_from == moving->old) {
        reader->sink_from = kp_relation_ref(moving->fresh);
        kp_relation_unref(moving->old);
    }
    for (uint32_t i = 0; i < reader->use_count; i++)
        if (reader->uses[i] == moving->old) {
            reader->uses[i] = kp_relation_ref(moving->fresh);
            kp_relation_unref(moving->old);
        }
}

static void move_comments(struct kp_catalog *catalog, const struct kp_relation *old, const struct kp_relation *fresh)
{
    for (uint32_t c = 0; c < old->col_count - old->hidden_count; c++) {
        const char *to = NULL;
        for (uint32_t at = 0; at < fresh->col_count; at++)
            if (fresh->former_columns[at] == (int32_t)c)
                to = fresh->cols[at].name;
        if (!to || strcmp(to, old->cols[c].name) != 0)
            kp_comment_part(catalog, KP_COMMENT_COLUMN, old->name, old->cols[c].name, to);
    }
    for (uint32_t i = 0; i < old->check_count; i++) {
        bool stays = old->checks[i].domain;
        for (uint32_t k = 0; k < fresh->check_count; k++)
            stays |= !fresh->checks[k].domain && strcmp(fresh->checks[k].name, old->checks[i].name) == 0;
        if (!stays)
            kp_comment_part(catalog, KP_COMMENT_CONSTRAINT, old->name, old->checks[i].name, NULL);
    }
}

void kp_sql_alter_table(struct kp_catalog *catalog, struct kp_relation *old, struct kp_relation *fresh)
{
    struct moving moving = {old, fresh, kp_calloc(old->col_count + 1, sizeof *moving.columns)};
    for (uint32_t c = 0; c < fresh->col_count; c++)
        if (fresh->former_columns[c] >= 0)
            moving.columns[fresh->former_columns[c]] = c;
    fresh->locked_at = old->locked_at;
    fresh->rows_locked_at = old->rows_locked_at;
    move_comments(catalog, old, fresh);
    kp_catalog_replace(catalog, old, fresh); /* the old one stays: it is the former declaration */
    for (size_t i = 0; i < kp_catalog_count(catalog); i++)
        move_reader(&moving, kp_catalog_at(catalog, i));
    kp_free(moving.columns);
}
