/* What it does: flow/reader.h. A chain of readers, one for each declaration, the newest first. */
#include "flow/reader.h"

struct kp_reader {
    struct kp_relation *relation; /* referenced */
    struct kp_decoder *decoder;
    uint32_t count;
    struct kp_reader *former; /* NULL: there is none */
    int32_t *places;          /* of each column: where the former's rows have it; -1: they have the relation's absent */
    const struct kp_datum **absent; /* of those */
};

struct kp_reader_state {
    const struct kp_reader *reader;
    struct kp_decode_state *decode;
    struct kp_reader_state *former;
};

/* The declaration's own; of versions the table's. */
static const struct kp_relation *declared(const struct kp_relation *relation)
{
    return relation->versions_of ? relation->versions_of : relation;
}

/* The former declaration's column; -1: it had none. Behind a table's columns versions have their own. */
static int32_t former_column(const struct kp_relation *relation, uint32_t column)
{
    const struct kp_relation *table = declared(relation);
    if (column < table->col_count)
        return table->former_columns[column];
    return (int32_t)(table->former->col_count + (column - table->col_count));
}

static enum kp_code add_former(struct kp_reader *reader, const uint32_t *columns, const struct kp_zone *zone,
                               struct kp_error *err)
{
    const struct kp_relation *relation = reader->relation, *table = declared(relation);
    struct kp_relation *former = relation->versions_of ? table->former->versions : table->former;
    uint32_t *wanted = kp_calloc(reader->count + 1, sizeof *wanted), count = 0;
    reader->places = kp_calloc(reader->count + 1, sizeof *reader->places);
    reader->absent = kp_calloc(reader->count + 1, sizeof(struct kp_datum *));
    for (uint32_t c = 0; c < reader->count; c++) {
        int32_t column = former_column(relation, columns[c]);
        reader->places[c] = column < 0 ? -1 : (int32_t)count;
        if (column < 0)
            reader->absent[c] = &table->absent[columns[c]];
        else
            wanted[count++] = (uint32_t)column;
    }
    enum kp_code code = kp_reader_create(former, wanted, count, zone, NULL, 0, &reader->former, err);
    kp_free(wanted);
    return code;
}

enum kp_code kp_reader_create(struct kp_relation *relation, const uint32_t *columns, uint32_t count,
                              const struct kp_zone *zone, const char *const *rivals, uint32_t rival_count,
                              struct kp_reader **ret_reader, struct kp_error *err)
{
    struct kp_reader *reader = kp_calloc(1, sizeof *reader);
    *reader = (struct kp_reader){.relation = kp_relation_ref(relation), .count = count};
    enum kp_code code = kp_source_decoder(relation, columns, count, zone, rivals, rival_count, &reader->decoder, err);
    if (code == KP_OK && declared(relation)->former)
        code = add_former(reader, columns, zone, err);
    if (code != KP_OK) {
        kp_reader_destroy(reader);
        return code;
    }
    *ret_reader = reader;
    return KP_OK;
}

void kp_reader_destroy(struct kp_reader *reader)
{
    if (!reader)
        return;
    kp_reader_destroy(reader->former);
    kp_decoder_destroy(reader->decoder);
    kp_relation_unref(reader->relation);
    kp_free(reader->places);
    kp_free(reader->absent);
    kp_free(reader);
}

struct kp_reader_state *kp_reader_state_create(const struct kp_reader *reader)
{
    struct kp_reader_state *state = kp_calloc(1, sizeof *state);
    *state = (struct kp_reader_state){.reader = reader, .decode = kp_decode_state_create(reader->decoder)};
    if (reader->former)
        state->former = kp_reader_state_create(reader->former);
    return state;
}

void kp_reader_state_destroy(struct kp_reader_state *state)
{
    if (!state)
        return;
    kp_reader_state_destroy(state->former);
    kp_decode_state_destroy(state->decode);
    kp_free(state);
}

void kp_reader_state_set_notes(struct kp_reader_state *state, const struct kp_decode_notes *notes)
{
    kp_decode_state_set_notes(state->decode, notes);
}

/* ---- rows of the former declaration ---- */

struct mapping {
    const struct kp_reader *reader;
    struct kp_arena *arena;
    kp_decode_emit emit;
    void (*dead)(void *arg, const struct kp_dead_letter *letter);
    void *arg;
};

static enum kp_code map_rows(void *arg, const struct kp_decoded *decoded, struct kp_error *err)
{
    const struct mapping *mapping = arg;
    const struct kp_reader *reader = mapping->reader;
    uint32_t rows = decoded->batch->rows;
    struct kp_decoded mapped = *decoded;
    mapped.batch = kp_batch_create(mapping->arena, reader->count, rows);
    for (uint32_t c = 0; c < reader->count; c++) {
        struct kp_vec *vec = &mapped.batch->vecs[c];
        if (reader->places[c] >= 0) {
            *vec = decoded->batch->vecs[reader->places[c]];
            continue;
        }
        struct kp_vec constant;
        kp_vec_init_constant(&constant, mapping->arena, reader->absent[c]);
        *vec = kp_vec_flatten(&constant, mapping->arena, rows);
    }
    return mapping->emit(mapping->arg, &mapped, err);
}

static void map_dead(void *arg, const struct kp_dead_letter *letter)
{
    const struct mapping *mapping = arg;
    mapping->dead(mapping->arg, letter);
}

enum kp_code kp_reader_read(struct kp_reader_state *state, const struct kp_decode_input *inputs, size_t count,
                            struct kp_arena *arena, kp_decode_emit emit,
                            void (*dead)(void *arg, const struct kp_dead_letter *letter), void *arg,
                            struct kp_error *err)
{
    const struct kp_reader *reader = state->reader;
    size_t before = 0;
    int64_t since = reader->former ? atomic_load(&declared(reader->relation)->since) : 0;
    while (before < count && inputs[before].position < since)
        before++;
    if (before) {
        struct mapping mapping = {reader, arena, emit, dead, arg};
        KP_TRY(kp_reader_read(state->former, inputs, before, arena, map_rows, dead ? map_dead : NULL, &mapping, err));
    }
    return before < count ? kp_decode(state->decode, inputs + before, count - before, arena, emit, dead, arg, err)
                          : KP_OK;
}
