/* COPY … FROM STDIN: lines become rows, which are inserted one by one; columns not listed have their defaults. */
#include "db/copy.h"
#include "db/dml.h"
#include "db/sequence.h"
#include "db/system.h"

static enum kp_code parse_field(struct kp_cursor *cursor, const struct kp_column *col, struct kp_str field,
                                struct kp_arena *arena, struct kp_vec *vec, struct kp_error *err)
{
    struct kp_datum datum = {.type = col->type, .null = field.ptr == NULL};
    bool binary = cursor->prepared->statement->copy.format == KP_COPY_BINARY;
    if (!datum.null && binary)
        KP_TRY(kp_value_receive(col->type, field, arena, datum.raw, err));
    else if (!datum.null)
        KP_TRY(kp_value_parse(col->type, field, cursor->session->zone, arena, datum.raw, err));
    kp_vec_init_constant(vec, arena, &datum);
    return KP_OK;
}

static bool is_listed(const struct kp_prepared *prepared, uint32_t column)
{
    for (uint32_t i = 0; i < prepared->col_count; i++)
        if (prepared->copy_columns[i] == column)
            return true;
    return false;
}

/* The next number of a serial or identity column, unless the input has one: *value stays NULL. */
static enum kp_code draw(struct kp_cursor *cursor, uint32_t column, struct kp_datum *value, struct kp_error *err)
{
    int64_t number;
    if (is_listed(cursor->prepared, column))
        return KP_OK;
    KP_TRY(kp_sequence_draw(cursor->session, cursor->prepared->copy_relation->sequences[column]->id, 1, &number, err));
    value->null = false;
    if (value->type.id == KP_INT8)
        value->i64 = number;
    else if (value->type.id == KP_INT4)
        value->i32 = (int32_t)number;
    else
        value->i16 = (int16_t)number;
    return KP_OK;
}

static enum kp_code copy_row(void *arg, const struct kp_str *fields, uint32_t count, uint64_t line,
                             struct kp_error *err)
{
    struct kp_cursor *cursor = arg;
    struct kp_session *session = cursor->session;
    struct kp_relation *relation = cursor->prepared->copy_relation;
    struct kp_arena arena = {0};
    uint32_t visible = relation->col_count - relation->hidden_count;
    struct kp_batch *rows = kp_batch_create(&arena, visible, 1);
    enum kp_code code = KP_OK;
    struct kp_session_settings settings = session->values;
    struct kp_catalog_facts facts;
    kp_system_facts(session, &facts);
    settings.facts = &facts;
    for (uint32_t c = 0; code == KP_OK && c < visible; c++) {
        struct kp_datum null = {.type = relation->cols[c].type, .null = true};
        if (kp_relation_sequence(relation, c))
            code = draw(cursor, c, &null, err);
        else if (relation->defaults && relation->defaults[c] && !is_listed(cursor->prepared, c))
            code = kp_flow_constants(&relation->defaults[c], 1, &settings, &arena, &null, err);
        if (code == KP_OK)
            kp_vec_init_constant(&rows->vecs[c], &arena, &null);
    }
    for (uint32_t i = 0; code == KP_OK && i < count; i++) {
        uint32_t c = cursor->prepared->copy_columns[i];
        code = parse_field(cursor, &relation->cols[c], fields[i], &arena, &rows->vecs[c], err);
        if (code != KP_OK)
            (void)kp_error_detail(err, "COPY %s, line %llu, column %s", relation->name, (unsigned long long)line,
                                  relation->cols[c].name);
    }
    struct kp_write_target target = {0};
    if (code == KP_OK)
        code = kp_target_init(&target, session, relation, err);
    if (code == KP_OK)
        code = kp_target_insert(&target, rows, 0, err);
    if (target.session)
        kp_target_finish(&target);
    kp_arena_finish(&arena);
    cursor->rows++;
    return code;
}

enum kp_code kp_copy_in_begin(struct kp_cursor *cursor, struct kp_error *err)
{
    const struct kp_prepared *prepared = cursor->prepared;
    KP_TRY(kp_copy_check(&prepared->statement->copy, err));
    cursor->copy = kp_copy_reader_create(&prepared->statement->copy, prepared->copy_relation->name, prepared->cols,
                                         prepared->col_count, copy_row, cursor);
    return KP_OK;
}
