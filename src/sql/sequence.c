/*
 * Serial and identity columns: what CREATE TABLE says about their numbers, and INSERT's place for one. The numbers
 * themselves are db/sequence.c's.
 */
#include "sql/sequence.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"

/* ---- declarations ---- */

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

static void limits_of(enum kp_type_id type, int64_t *ret_least, int64_t *ret_most)
{
    *ret_least = type == KP_INT2 ? INT16_MIN : type == KP_INT4 ? INT32_MIN : INT64_MIN;
    *ret_most = type == KP_INT2 ? INT16_MAX : type == KP_INT4 ? INT32_MAX : INT64_MAX;
}

static struct kp_sequence *add_sequence(struct binder *binder, struct kp_relation *relation, uint32_t column)
{
    if (!relation->sequences)
        relation->sequences = kp_arena_calloc(binder->arena, KP_COLUMNS_MAX * sizeof *relation->sequences);
    struct kp_sequence *sequence = kp_arena_calloc(binder->arena, sizeof *sequence);
    sequence->name = kp_arena_printf(binder->arena, "%s_%s_seq", relation->name, relation->cols[column].name);
    sequence->increment = 1;
    relation->cols[column].not_null = true;
    relation->sequences[column] = sequence;
    return sequence;
}

enum kp_code kp_bind_serial(struct binder *binder, struct kp_relation *relation, uint32_t column,
                            const PgQuery__TypeName *type)
{
    int64_t least;
    if (type->n_array_bounds)
        return kp_bind_fail(binder, type->location, KP_UNSUPPORTED, "0A000", "array of serial is not implemented");
    struct kp_sequence *sequence = add_sequence(binder, relation, column);
    sequence->start = sequence->min = 1;
    limits_of(relation->cols[column].type.id, &least, &sequence->max);
    return KP_OK;
}

enum kp_code kp_bind_sequence_twice(struct binder *binder, const struct kp_relation *relation, uint32_t column,
                                    int32_t location)
{
    const struct kp_sequence *sequence = kp_relation_sequence(relation, column);
    return kp_bind_fail(binder, location, KP_INVALID, "42601", "%s specified for column \"%s\" of table \"%s\"",
                        sequence && !sequence->identity ? "multiple default values" : "both default and identity",
                        relation->cols[column].name, relation->name);
}

/* ---- the options of an identity ---- */

/* Given ones; a NO MINVALUE is as if not said. */
struct options {
    bool has_start, has_min, has_max;
    const PgQuery__DefElem *said[8];
    size_t said_count;
};

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

static enum kp_code take_option(struct binder *binder, struct kp_sequence *sequence, struct options *options,
                                const PgQuery__DefElem *option)
{
    int64_t cache;
    for (size_t i = 0; i < options->said_count; i++)
        if (strcmp(options->said[i]->defname, option->defname) == 0)
            return kp_bind_fail(binder, option->location, KP_INVALID, "42601", "conflicting or redundant options");
    if (options->said_count < KP_COUNT(options->said))
        options->said[options->said_count++] = option;
    if (strcmp(option->defname, "increment") == 0) {
        KP_TRY(read_number(binder, option, &sequence->increment));
        if (!sequence->increment)
            return kp_bind_fail(binder, -1, KP_INVALID, "22023", "INCREMENT must not be zero");
    } else if (strcmp(option->defname, "start") == 0) {
        options->has_start = true;
        return read_number(binder, option, &sequence->start);
    } else if (strcmp(option->defname, "minvalue") == 0) {
        options->has_min = option->arg != NULL;
        return option->arg ? read_number(binder, option, &sequence->min) : KP_OK;
    } else if (strcmp(option->defname, "maxvalue") == 0) {
        options->has_max = option->arg != NULL;
        return option->arg ? read_number(binder, option, &sequence->max) : KP_OK;
    } else if (strcmp(option->defname, "cycle") == 0) {
        sequence->cycle = option->arg && option->arg->boolean->boolval;
    } else if (strcmp(option->defname, "cache") == 0) {
        KP_TRY(read_number(binder, option, &cache));
        if (cache <= 0)
            return kp_bind_fail(binder, -1, KP_INVALID, "22023", "CACHE (%lld) must be greater than zero",
                                (long long)cache);
    } else {
        return kp_bind_fail(binder, option->location, KP_UNSUPPORTED, NULL,
                            "option \"%s\" of an identity column is not supported", option->defname);
    }
    return KP_OK;
}

static enum kp_code check_range(struct binder *binder, const char *word, enum kp_type_id type, int64_t number)
{
    int64_t least, most;
    limits_of(type, &least, &most);
    if (number >= least && number <= most)
        return KP_OK;
    return kp_bind_fail(binder, -1, KP_INVALID, "22023", "%s (%lld) is out of range for sequence data type %s", word,
                        (long long)number, kp_type_info(type)->name);
}

static enum kp_code finish_options(struct binder *binder, struct kp_sequence *sequence, const struct options *options,
                                   enum kp_type_id type)
{
    int64_t least, most;
    bool up = sequence->increment > 0;
    limits_of(type, &least, &most);
    if (!options->has_max)
        sequence->max = up ? most : -1;
    if (!options->has_min)
        sequence->min = up ? 1 : least;
    KP_TRY(check_range(binder, "MAXVALUE", type, sequence->max));
    KP_TRY(check_range(binder, "MINVALUE", type, sequence->min));
    if (sequence->min >= sequence->max)
        return kp_bind_fail(binder, -1, KP_INVALID, "22023", "MINVALUE (%lld) must be less than MAXVALUE (%lld)",
                            (long long)sequence->min, (long long)sequence->max);
    if (!options->has_start)
        sequence->start = up ? sequence->min : sequence->max;
    if (sequence->start < sequence->min)
        return kp_bind_fail(binder, -1, KP_INVALID, "22023", "START value (%lld) cannot be less than MINVALUE (%lld)",
                            (long long)sequence->start, (long long)sequence->min);
    if (sequence->start > sequence->max)
        return kp_bind_fail(binder, -1, KP_INVALID, "22023",
                            "START value (%lld) cannot be greater than MAXVALUE (%lld)", (long long)sequence->start,
                            (long long)sequence->max);
    return KP_OK;
}

enum kp_code kp_bind_identity(struct binder *binder, struct kp_relation *relation, uint32_t column,
                              const PgQuery__Constraint *constraint)
{
    enum kp_type_id type = relation->cols[column].type.id;
    const struct kp_sequence *before = kp_relation_sequence(relation, column);
    struct options options = {0};
    if (type != KP_INT2 && type != KP_INT4 && type != KP_INT8)
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
    struct kp_sequence *sequence = add_sequence(binder, relation, column);
    sequence->identity = true;
    sequence->always = constraint->generated_when[0] == 'a';
    for (size_t i = 0; i < constraint->n_options; i++)
        KP_TRY(take_option(binder, sequence, &options, constraint->options[i]->def_elem));
    return finish_options(binder, sequence, &options, type);
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
    const int64_t numbers[] = {relation->id, column};
    struct kp_expr *args[2];
    for (size_t i = 0; i < KP_COUNT(args); i++) {
        args[i] = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_INT8), -1, 0);
        args[i]->datum = (struct kp_datum){.type = KP_TYPE(KP_INT8), .i64 = numbers[i]};
    }
    return kp_bind_call(binder, "kp_draw", KP_TYPE(KP_INT8), args, KP_COUNT(args), -1);
}
