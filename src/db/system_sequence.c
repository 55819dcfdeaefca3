/* Sequences, as pg_catalog and information_schema show them, and which column each goes with. */
#include "db/sequence.h"
#include "db/system.h"

static void put_sequence(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    const struct kp_sequence *sequence = relation->sequence;
    if (!sequence)
        return;
    kp_system_row(rows);
    kp_system_set_int(rows, "seqrelid", relation->id);
    kp_system_set_int(rows, "seqtypid", kp_type_info(sequence->type)->oid);
    kp_system_set_int(rows, "seqstart", sequence->start);
    kp_system_set_int(rows, "seqincrement", sequence->increment);
    kp_system_set_int(rows, "seqmax", sequence->max);
    kp_system_set_int(rows, "seqmin", sequence->min);
    kp_system_set_int(rows, "seqcache", sequence->cache);
    kp_system_set_int(rows, "seqcycle", sequence->cycle);
}

static enum kp_code fill_sequence(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_sequence);
    return KP_OK;
}

static void put_listed(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    struct kp_sequence state;
    if (!relation->sequence)
        return;
    kp_sequence_state(session, relation, &state);
    kp_system_row(rows);
    kp_system_set_text(rows, "schemaname", relation->schema);
    kp_system_set_text(rows, "sequencename", relation->name);
    kp_system_set_text(rows, "sequenceowner", session->user);
    kp_system_set_int(rows, "data_type", kp_type_info(state.type)->oid);
    kp_system_set_int(rows, "start_value", state.start);
    kp_system_set_int(rows, "min_value", state.min);
    kp_system_set_int(rows, "max_value", state.max);
    kp_system_set_int(rows, "increment_by", state.increment);
    kp_system_set_int(rows, "cycle", state.cycle);
    kp_system_set_int(rows, "cache_size", state.cache);
    if (state.called)
        kp_system_set_int(rows, "last_value", state.last);
}

static enum kp_code fill_sequences(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_mutex_lock(&session->db->sequence_mutex); /* before the catalog's lock */
    kp_system_each_relation(session, rows, put_listed);
    kp_mutex_unlock(&session->db->sequence_mutex);
    return KP_OK;
}

/* An identity's is a part of its table, and in the standard's view none by itself. */
static void put_standard(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    const struct kp_sequence *sequence = relation->sequence;
    if (!sequence || sequence->identity)
        return;
    const struct {
        const char *column;
        int64_t number;
    } numbers[] = {{"start_value", sequence->start},
                   {"minimum_value", sequence->min},
                   {"maximum_value", sequence->max},
                   {"increment", sequence->increment}};
    kp_system_row(rows);
    kp_system_set_text(rows, "sequence_catalog", session->database);
    kp_system_set_text(rows, "sequence_schema", relation->schema);
    kp_system_set_text(rows, "sequence_name", relation->name);
    kp_system_set_text(rows, "data_type", kp_type_info(sequence->type)->name);
    kp_system_set_numbers(rows, KP_TYPE(sequence->type));
    for (size_t i = 0; i < KP_COUNT(numbers); i++)
        kp_system_set_text(rows, numbers[i].column, kp_arena_printf(rows->arena, "%lld", (long long)numbers[i].number));
    kp_system_set_text(rows, "cycle_option", sequence->cycle ? "YES" : "NO");
}

static enum kp_code fill_standard(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_standard);
    return KP_OK;
}

/* Of all that depends on other things only this is shown: a sequence goes with its column, a (i: an identity's). */
static void put_dependence(struct kp_session *session, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    const struct kp_catalog *catalog = session->db->catalog;
    const struct kp_relation *class = kp_catalog_find(catalog, KP_STR("pg_catalog"), KP_STR("pg_class"));
    if (!relation->sequence || !relation->sequence->owner)
        return;
    kp_system_row(rows);
    kp_system_set_int(rows, "classid", class->id);
    kp_system_set_int(rows, "objid", relation->id);
    kp_system_set_int(rows, "refclassid", class->id);
    kp_system_set_int(rows, "refobjid", relation->sequence->owner);
    kp_system_set_int(rows, "refobjsubid", relation->sequence->owner_column + 1);
    kp_system_set_text(rows, "deptype", relation->sequence->identity ? "i" : "a");
}

static enum kp_code fill_depend(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_system_each_relation(session, rows, put_dependence);
    return KP_OK;
}

const struct kp_system_table kp_system_sequences[] = {
    {.schema = "pg_catalog",
     .name = "pg_sequence",
     .spec = "seqrelid oid, seqtypid oid, seqstart int8, seqincrement int8, seqmax int8, seqmin int8, seqcache int8, "
             "seqcycle bool",
     .key = "seqrelid",
     .fill = fill_sequence},
    {.schema = "pg_catalog",
     .name = "pg_sequences",
     .spec = "schemaname name, sequencename name, sequenceowner name, data_type regtype, start_value int8, min_value "
             "int8, max_value int8, increment_by int8, cycle bool, cache_size int8, last_value int8",
     .fill = fill_sequences},
    {.schema = "pg_catalog",
     .name = "pg_depend",
     .spec = "classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, refobjsubid int4, deptype char",
     .key = "classid objid objsubid refclassid refobjid refobjsubid",
     .fill = fill_depend},
    {.schema = "information_schema",
     .name = "sequences",
     .spec = "sequence_catalog name, sequence_schema name, sequence_name name, data_type text, numeric_precision int4, "
             "numeric_precision_radix int4, numeric_scale int4, start_value text, minimum_value text, maximum_value "
             "text, increment text, cycle_option text",
     .fill = fill_standard},
};
const size_t kp_system_sequences_count = KP_COUNT(kp_system_sequences);
