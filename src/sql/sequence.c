/*
 * Sequences: what CREATE and ALTER SEQUENCE say, and serial and identity columns, which bring one each; INSERT's place
 * for a number. The numbers themselves are db/sequence.c's.
 */
#include "sql/sequence.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "sql/alter.h"
#include "sql/object.h"

/* ---- sequences ---- */

static bool is_number_type(enum kp_type_id type)
{
    return type == KP_INT2 || type == KP_INT4 || type == KP_INT8;
}

static void limits_of(enum kp_type_id type, int64_t *ret_least, int64_t *ret_most)
{
    *ret_least = type == KP_INT2 ? INT16_MIN : type == KP_INT4 ? INT32_MIN : INT64_MIN;
    *ret_most = type == KP_INT2 ? INT16_MAX : type == KP_INT4 ? INT32_MAX : INT64_MAX;
}

/* What SELECT shows of one, and its numbers, of which nothing is said yet. */
static void make_sequence(struct kp_relation *relation, enum kp_type_id type)
{
    static const struct kp_column cols[] = {{"last_value", {KP_INT8, -1, 0}, true},
                                            {"log_cnt", {KP_INT8, -1, 0}, true},
                                            {"is_called", {KP_BOOL, -1, 0}, true}};
    relation->kind = KP_RELATION_SEQUENCE;
    relation->schema = kp_relation_schema(KP_RELATION_SEQUENCE);
    relation->col_count = KP_COUNT(cols);
    relation->cols = kp_arena_alloc(&relation->arena, sizeof cols);
    memcpy(relation->cols, cols, sizeof cols);
    relation->sequence = kp_arena_calloc(&relation->arena, sizeof *relation->sequence);
    relation->sequence->type = type;
}

/* ---- options: of CREATE and ALTER SEQUENCE, and of an identity ---- */

/* Those that were given, by their names in the tree. */
struct options {
    const PgQuery__DefElem *type, *increment, *start, *restart, *min, *max, *cycle, *cache, *owner;
};

static enum kp_code take_option(struct binder *binder, struct options *options, const PgQuery__DefElem *option)
{
    const struct {
        const char *name;
        const PgQuery__DefElem **place;
    } known[] = {{"as", &options->type},         {"increment", &options->increment}, {"start", &options->start},
                 {"restart", &options->restart}, {"minvalue", &options->min},        {"maxvalue", &options->max},
                 {"cycle", &options->cycle},     {"cache", &options->cache},         {"owned_by", &options->owner}};
    for (size_t i = 0; i < KP_COUNT(known); i++) {
        if (strcmp(known[i].name, option->defname) != 0)
            continue;
        if (*known[i].place)
            return kp_bind_fail(binder, option->location, KP_INVALID, "42601", "conflicting or redundant options");
        *known[i].place = option;
        return KP_OK;
    }
    return kp_bind_fail(binder, option->location, KP_UNSUPPORTED, NULL, "option \"%s\" of a sequence is not supported",
                        option->defname);
}

static enum kp_code take_options(struct binder *binder, PgQuery__Node *const *nodes, size_t count,
                                 struct options *ret_options)
{
    *ret_options = (struct options){0};
    for (size_t i = 0; i < count; i++)
        KP_TRY(take_option(binder, ret_options, nodes[i]->def_elem));
    return KP_OK;
}

static enum kp_code read_number(struct binder *binder, const PgQuery__DefElem *option, int64_t *ret_number)
{
    const PgQuery__Node *arg = option->arg;
    if (arg && arg->node_case == PG_QUERY__NODE__NODE_INTEGER) {
        *ret_number = arg->integer->ival;
        return KP_OK;
    }
    const char *text = arg && arg->node_case == PG_QUERY__NODE__NODE_FLOAT ? arg->float_->fval : "";
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end)
        return kp_bind_fail(binder, -1, KP_INVALID, "22P02", "invalid input syntax for type bigint: \"%s\"", text);
    if (errno)
        return kp_bind_fail(binder, -1, KP_INVALID, "22003", "value \"%s\" is out of range for type bigint", text);
    *ret_number = number;
    return KP_OK;
}

static enum kp_code read_type(struct binder *binder, const PgQuery__DefElem *option, enum kp_type_id *ret_type)
{
    struct kp_type type;
    struct kp_relation *domain;
    KP_TRY(kp_bind_type(binder, option->arg->type_name, &type, &domain));
    if (!is_number_type(type.id) || domain)
        return kp_bind_fail(binder, -1, KP_INVALID, "22023", "sequence type must be smallint, integer, or bigint");
    *ret_type = type.id;
    return KP_OK;
}

/* One end of the range: as it is given; else, when it is made or by NO …, or a type's end that follows the type, the
 * usual one. */
static enum kp_code take_bound(struct binder *binder, const struct kp_sequence *sequence, const char *word,
                               const PgQuery__DefElem *option, bool usual, int64_t otherwise, int64_t *bound)
{
    int64_t least, most;
    if (option && option->arg)
        KP_TRY(read_number(binder, option, bound));
    else if (usual || option)
        *bound = otherwise;
    limits_of(sequence->type, &least, &most);
    if (*bound >= least && *bound <= most)
        return KP_OK;
    return kp_bind_fail(binder, -1, KP_INVALID, "22023", "%s (%lld) is out of range for sequence data type %s", word,
                        (long long)*bound, kp_type_info(sequence->type)->name);
}

static enum kp_code check_within(struct binder *binder, const struct kp_sequence *sequence, const char *word,
                                 int64_t value)
{
    if (value < sequence->min)
        return kp_bind_fail(binder, -1, KP_INVALID, "22023", "%s value (%lld) cannot be less than MINVALUE (%lld)",
                            word, (long long)value, (long long)sequence->min);
    if (value > sequence->max)
        return kp_bind_fail(binder, -1, KP_INVALID, "22023", "%s value (%lld) cannot be greater than MAXVALUE (%lld)",
                            word, (long long)value, (long long)sequence->max);
    return KP_OK;
}

static enum kp_code take_range(struct binder *binder, struct kp_sequence *sequence, const struct options *options,
                               enum kp_type_id before, bool made)
{
    int64_t least, most, old_least, old_most;
    limits_of(sequence->type, &least, &most);
    limits_of(before, &old_least, &old_most);
    bool retyped = !made && options->type, up = sequence->increment > 0;
    bool follow_max = retyped && sequence->max == old_most, follow_min = retyped && sequence->min == old_least;
    KP_TRY(take_bound(binder, sequence, "MAXVALUE", options->max, made || follow_max, up || follow_max ? most : -1,
                      &sequence->max));
    KP_TRY(take_bound(binder, sequence, "MINVALUE", options->min, made || follow_min, !up || follow_min ? least : 1,
                      &sequence->min));
    if (sequence->min >= sequence->max)
        return kp_bind_fail(binder, -1, KP_INVALID, "22023", "MINVALUE (%lld) must be less than MAXVALUE (%lld)",
                            (long long)sequence->min, (long long)sequence->max);
    return KP_OK;
}

/* made: by CREATE, with its type; else what is not said stays. */
static enum kp_code apply_options(struct binder *binder, struct kp_sequence *sequence, const struct options *options,
                                  bool made)
{
    enum kp_type_id before = sequence->type;
    if (options->type)
        KP_TRY(read_type(binder, options->type, &sequence->type));
    if (made)
        sequence->increment = sequence->cache = 1;
    if (options->increment)
        KP_TRY(read_number(binder, options->increment, &sequence->increment));
    if (!sequence->increment)
        return kp_bind_fail(binder, -1, KP_INVALID, "22023", "INCREMENT must not be zero");
    if (options->cycle)
        sequence->cycle = options->cycle->arg && options->cycle->arg->boolean->boolval;
    KP_TRY(take_range(binder, sequence, options, before, made));
    if (options->start)
        KP_TRY(read_number(binder, options->start, &sequence->start));
    else if (made)
        sequence->start = sequence->increment > 0 ? sequence->min : sequence->max;
    KP_TRY(check_within(binder, sequence, "START", sequence->start));
    if (made || options->restart) {
        sequence->last = sequence->start;
        sequence->called = false;
    }
    if (options->restart && options->restart->arg)
        KP_TRY(read_number(binder, options->restart, &sequence->last));
    KP_TRY(check_within(binder, sequence, "RESTART", sequence->last));
    if (options->cache)
        KP_TRY(read_number(binder, options->cache, &sequence->cache));
    if (sequence->cache <= 0)
        return kp_bind_fail(binder, -1, KP_INVALID, "22023", "CACHE (%lld) must be greater than zero",
                            (long long)sequence->cache);
    return KP_OK;
}

/* OWNED BY table.column, or NONE. */
static enum kp_code bind_owner(struct binder *binder, struct kp_sequence *sequence, const PgQuery__DefElem *option)
{
    const PgQuery__List *names = option->arg->list;
    const char *column = names->items[names->n_items - 1]->string->sval, *schema, *name;
    if (names->n_items == 1 && strcmp(column, "none") != 0) {
        (void)kp_bind_fail(binder, -1, KP_INVALID, "42601", "invalid OWNED BY option");
        return kp_error_hint(binder->err, "Specify OWNED BY table.column or OWNED BY NONE.");
    }
    sequence->owner = sequence->owner_column = 0;
    if (names->n_items == 1)
        return KP_OK;
    name = kp_tree_name(names->items, names->n_items - 1, &schema);
    struct kp_relation *table;
    KP_TRY(kp_bind_relation(binder, (struct kp_name){schema, name, -1}, &table));
    if (table->kind == KP_RELATION_SYSTEM)
        return kp_bind_fail(binder, -1, KP_INVALID, "55000",
                            "sequence must be in same schema as table it is linked to");
    if (table->kind != KP_RELATION_TABLE)
        return kp_bind_fail(binder, -1, KP_INVALID, "42809", "sequence cannot be owned by relation \"%s\"",
                            table->name);
    for (uint32_t c = 0; c < table->col_count - table->hidden_count; c++)
        if (strcmp(table->cols[c].name, column) == 0) {
            sequence->owner = table->id;
            sequence->owner_column = c;
            return KP_OK;
        }
    return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42703", "column \"%s\" of relation \"%s\" does not exist", column,
                        table->name);
}

enum kp_code kp_bind_create_sequence(struct binder *binder, struct kp_relation *relation)
{
    const PgQuery__CreateSeqStmt *create = binder->statement->tree->create_seq_stmt;
    struct options options;
    KP_TRY(take_options(binder, create->options, create->n_options, &options));
    make_sequence(relation, KP_INT8);
    KP_TRY(apply_options(binder, relation->sequence, &options, true));
    return options.owner ? bind_owner(binder, relation->sequence, options.owner) : KP_OK;
}

/* ---- ALTER SEQUENCE ---- */

static enum kp_code bind_rename(struct binder *binder, const PgQuery__RenameStmt *rename,
                                struct kp_sequence_change *change)
{
    if (kp_catalog_find(binder->context->catalog, KP_STR("public"), kp_str(rename->newname)))
        return kp_bind_fail(binder, -1, KP_EXISTS, "42P07", "relation \"%s\" already exists", rename->newname);
    change->name = rename->newname;
    return KP_OK;
}

static enum kp_code bind_options(struct binder *binder, const PgQuery__AlterSeqStmt *alter,
                                 struct kp_sequence_change *change)
{
    struct options options;
    KP_TRY(take_options(binder, alter->options, alter->n_options, &options));
    KP_TRY(apply_options(binder, &change->to, &options, false));
    if (!options.owner)
        return KP_OK;
    if (change->to.implicit) {
        (void)kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "cannot change ownership of %s sequence",
                           change->to.identity ? "identity" : "serial");
        return kp_error_hint(binder->err,
                             "A sequence of CREATE SEQUENCE, and DEFAULT nextval of it, can be owned by any "
                             "column.");
    }
    return bind_owner(binder, &change->to, options.owner);
}

enum kp_code kp_sql_bind_alter_sequence(const struct kp_sql_context *context, const struct kp_statement *statement,
                                        struct kp_arena *arena, struct kp_sequence_change *ret_change,
                                        struct kp_error *err)
{
    struct binder binder;
    struct kp_sequence_change change = {0};
    const PgQuery__Node *tree = statement->tree;
    kp_binder_init(&binder, context, statement, arena, err);
    KP_TRY(kp_bind_relation(&binder, statement->name, &change.relation));
    if (change.relation->kind != KP_RELATION_SEQUENCE)
        return kp_bind_fail(&binder, -1, KP_INVALID, "42809", "\"%s\" is not a sequence", change.relation->name);
    change.to = *change.relation->sequence;
    if (tree->node_case == PG_QUERY__NODE__NODE_RENAME_STMT)
        KP_TRY(bind_rename(&binder, tree->rename_stmt, &change));
    else
        KP_TRY(bind_options(&binder, tree->alter_seq_stmt, &change));
    *ret_change = change;
    return KP_OK;
}

/* ---- columns that bring their own ---- */

enum kp_type_id kp_serial_type(const char *name)
{
    static const struct {
        const char *name;
        enum kp_type_id type;
    } types[] = {{"smallserial", KP_INT2}, {"serial2", KP_INT2},   {"serial", KP_INT4},
                 {"serial4", KP_INT4},     {"bigserial", KP_INT8}, {"serial8", KP_INT8}};
    for (size_t i = 0; i < KP_COUNT(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    return KP_TYPE_NONE;
}

static enum kp_code add_sequence(struct binder *binder, struct kp_relation *table, uint32_t column,
                                 const struct options *options, struct kp_sequence **ret_sequence)
{
    if (!table->sequences)
        table->sequences = kp_arena_calloc(binder->arena, KP_COLUMNS_MAX * sizeof *table->sequences);
    struct kp_relation *relation = kp_relation_create();
    table->sequences[column] = relation;
    table->cols[column].not_null = true;
    make_sequence(relation, table->cols[column].type.id);
    relation->sequence->implicit = true;
    *ret_sequence = relation->sequence;
    return apply_options(binder, relation->sequence, options, true);
}

enum kp_code kp_bind_serial(struct binder *binder, struct kp_relation *relation, uint32_t column,
                            const PgQuery__TypeName *type)
{
    struct kp_sequence *sequence;
    if (type->n_array_bounds)
        return kp_bind_fail(binder, type->location, KP_UNSUPPORTED, "0A000", "array of serial is not implemented");
    return add_sequence(binder, relation, column, &(struct options){0}, &sequence);
}

enum kp_code kp_bind_sequence_twice(struct binder *binder, const struct kp_relation *relation, uint32_t column,
                                    int32_t location)
{
    const struct kp_sequence *sequence = kp_relation_sequence(relation, column);
    return kp_bind_fail(binder, location, KP_INVALID, "42601", "%s specified for column \"%s\" of table \"%s\"",
                        sequence && !sequence->identity ? "multiple default values" : "both default and identity",
                        relation->cols[column].name, relation->name);
}

enum kp_code kp_bind_identity(struct binder *binder, struct kp_relation *relation, uint32_t column,
                              const PgQuery__Constraint *constraint)
{
    const struct kp_sequence *before = kp_relation_sequence(relation, column);
    struct options options;
    if (!is_number_type(relation->cols[column].type.id))
        return kp_bind_fail(binder, -1, KP_INVALID, "22023",
                            "identity column type must be smallint, integer, or bigint");
    if (before && before->identity)
        return kp_bind_fail(binder, constraint->location, KP_INVALID, "42601",
                            "multiple identity specifications for column \"%s\" of table \"%s\"",
                            relation->cols[column].name, relation->name);
    if (before || relation->defaults[column])
        return kp_bind_fail(binder, constraint->location, KP_INVALID, "42601",
                            "both default and identity specified for column \"%s\" of table \"%s\"",
                            relation->cols[column].name, relation->name);
    KP_TRY(take_options(binder, constraint->options, constraint->n_options, &options));
    if (options.type || options.owner)
        return kp_bind_fail(binder, (options.type ? options.type : options.owner)->location, KP_UNSUPPORTED, NULL,
                            "option \"%s\" of an identity column is not supported",
                            (options.type ? options.type : options.owner)->defname);
    struct kp_sequence *sequence;
    KP_TRY(add_sequence(binder, relation, column, &options, &sequence));
    sequence->identity = true;
    sequence->always = constraint->generated_when[0] == 'a';
    return KP_OK;
}

/* ---- writes ---- */

enum kp_code kp_bind_always(struct binder *binder, const struct kp_relation *relation, uint32_t column, bool update)
{
    const char *name = relation->cols[column].name;
    if (update)
        (void)kp_bind_fail(binder, -1, KP_INVALID, "428C9", "column \"%s\" can only be updated to DEFAULT", name);
    else
        (void)kp_bind_fail(binder, -1, KP_INVALID, "428C9", "cannot insert a non-DEFAULT value into column \"%s\"",
                           name);
    (void)kp_error_detail(binder->err, "Column \"%s\" is an identity column defined as GENERATED ALWAYS.", name);
    return update ? KP_INVALID : kp_error_hint(binder->err, "Use OVERRIDING SYSTEM VALUE to override.");
}

struct kp_expr *kp_bind_draw(struct binder *binder, const struct kp_relation *relation, uint32_t column)
{
    struct kp_type type = KP_TYPE(KP_REGCLASS);
    struct kp_expr *name = kp_bind_new(binder, KP_EXPR_CONST, type, -1, 0);
    name->datum = (struct kp_datum){.type = type, .i32 = (int32_t)relation->sequences[column]->id};
    return kp_bind_call(binder, "nextval", KP_TYPE(KP_INT8), &name, 1, -1);
}

/* ---- defaults ---- */

static bool note(const struct kp_expr *expr, void *arg)
{
    struct binder *binder = arg;
    if (expr->kind == KP_EXPR_CONST && expr->type.id == KP_REGCLASS && !expr->datum.null) {
        struct kp_relation *named = kp_catalog_find_id(binder->context->catalog, (uint32_t)expr->datum.i32);
        if (named && named->kind == KP_RELATION_SEQUENCE)
            kp_bind_use(binder, named);
    }
    return true;
}

void kp_bind_use_sequences(struct binder *binder, const struct kp_expr *expr)
{
    (void)kp_expr_walk(expr, note, binder);
}
