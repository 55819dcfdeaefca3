/*
 * The record walk: record batches in, column batches out.
 *
 * Each record fills the next row of the batch in the making; the row counts only when all of it is good, so a record
 * that fails half way leaves nothing behind. A batch is as large as the records still to come allow, at most
 * KP_BATCH_ROWS_MAX.
 *
 * A decoder with a check has a full batch checked before anyone gets it: the rows that may not be are taken out and
 * become dead letters, in order of the log among those that could not be decoded.
 *
 * Invariants:
 *   1. Values in batches point into the inputs or the arena, never into the state.
 *   2. A value decoded in place has KP_JSON_PADDING readable bytes behind it; one at the end of its batch is copied.
 *   3. records = rows + empty + dead.
 */
#include "decode/internal.h"

#include "base/utf8.h"
#include "log/record_headers.h"

enum outcome { ROW, EMPTY, DEAD };

/* 1970-01-01 to 2000-01-01. */
static const int64_t epoch_us = 946684800000000;

struct run {
    struct kp_decode_state *state;
    kp_decode_emit emit;
    void (*dead)(void *arg, const struct kp_dead_letter *letter);
    void *arg;
    uint64_t records_left; /* of all inputs: bounds the rows to come */
    bool any_tombstone;
    uint64_t number; /* of the next record, over all inputs */
};

struct kp_decode_state *kp_decode_state_create(const struct kp_decoder *decoder)
{
    struct kp_decode_state *state = kp_calloc(1, sizeof *state);
    uint32_t columns = decoder->column_count + 1;
    state->decoder = decoder;
    state->data = kp_calloc(columns, sizeof(void *));
    state->minutes = kp_calloc(columns, sizeof *state->minutes);
    if (decoder->node_count) { /* JSON, or what is made to be JSON */
        state->fast = kp_json_fast_create(decoder);
        state->general = kp_json_general_create(decoder);
    }
    return state;
}

void kp_decode_state_destroy(struct kp_decode_state *state)
{
    if (!state)
        return;
    kp_json_fast_destroy(state->fast);
    kp_json_general_destroy(state->general);
    kp_free(state->data);
    kp_free(state->minutes);
    kp_debezium_schema_destroy(state->row_schema);
    kp_debezium_schema_destroy(state->key_schema);
    kp_buf_finish(&state->scratch);
    kp_free(state);
}

struct kp_decode_counts kp_decode_state_counts(const struct kp_decode_state *state)
{
    return state->counts;
}

void kp_decode_state_set_general_only(struct kp_decode_state *state, bool general_only)
{
    state->general_only = general_only;
}

void kp_decode_state_set_notes(struct kp_decode_state *state, const struct kp_decode_notes *notes)
{
    state->notes = notes;
}

/* ---- batches ---- */

static void start_batch(struct run *run)
{
    struct kp_decode_state *state = run->state;
    const struct kp_decoder *decoder = state->decoder;
    uint32_t rows = run->records_left < KP_BATCH_ROWS_MAX ? (uint32_t)run->records_left : KP_BATCH_ROWS_MAX;
    state->batch = kp_batch_create(state->arena, decoder->batch_columns, rows);
    for (uint32_t i = decoder->batch_columns; i < decoder->column_count; i++)
        state->data[i] = state->checked_slot;
    for (uint32_t i = 0; i < decoder->batch_columns; i++) {
        /* Not kp_vec_init: every row is written, so clearing first would be for nothing. */
        struct kp_vec *vec = &state->batch->vecs[i];
        *vec = (struct kp_vec){.type = decoder->columns[i].type};
        vec->data = state->data[i] = kp_arena_alloc(state->arena, (size_t)decoder->columns[i].width * rows);
    }
    state->positions = kp_arena_alloc(state->arena, rows * sizeof *state->positions);
    state->tombstones = decoder->keyed ? kp_arena_alloc(state->arena, rows) : NULL;
    state->origins = decoder->check ? kp_arena_alloc(state->arena, rows * sizeof *state->origins) : NULL;
    state->waiting = NULL;
    state->waiting_end = &state->waiting;
    state->row = 0;
    state->row_limit = rows;
    run->any_tombstone = false;
}

static void give_dead(struct run *run, const struct kp_dead_letter *letter)
{
    if (run->dead)
        run->dead(run->arg, letter);
}

static void give_waiting(struct run *run, int64_t position_end)
{
    struct kp_decode_state *state = run->state;
    for (; state->waiting && state->waiting->letter.position < position_end; state->waiting = state->waiting->next)
        give_dead(run, &state->waiting->letter);
}

/* Takes the rows out of the batch that may not be. */
static void check_batch(struct run *run)
{
    struct kp_decode_state *state = run->state;
    struct kp_row_error *errors;
    uint32_t count, kept = 0, at = 0, rows = state->row;
    state->decoder->check(state->decoder->check_arg, state->batch, state->arena, &errors, &count);
    if (count == 0)
        return;
    uint32_t *index = kp_arena_alloc(state->arena, rows * sizeof *index);
    for (uint32_t row = 0; row < rows; row++) {
        bool failed = at < count && errors[at].row == row;
        const struct kp_row_error *error = &errors[at];
        at += failed;
        if (!failed || (state->tombstones && state->tombstones[row])) {
            state->positions[kept] = state->positions[row];
            if (state->tombstones)
                state->tombstones[kept] = state->tombstones[row];
            index[kept++] = row;
            continue;
        }
        const struct kp_decode_origin *origin = &state->origins[row];
        struct kp_dead_letter letter = {.partition = origin->partition,
                                        .offset = origin->offset,
                                        .position = state->positions[row],
                                        .reason = error->message,
                                        .key = origin->key,
                                        .value = origin->value};
        memcpy(letter.sqlstate, error->sqlstate, sizeof letter.sqlstate);
        give_waiting(run, letter.position);
        give_dead(run, &letter);
    }
    state->counts.rows -= rows - kept;
    state->counts.dead += rows - kept;
    state->row = kept;
    if (kept < rows)
        state->batch = kp_batch_gather(state->batch, index, kept, state->arena);
}

static enum kp_code end_batch(struct run *run, struct kp_error *err)
{
    struct kp_decode_state *state = run->state;
    if (!state->batch)
        return KP_OK;
    state->batch->rows = state->row;
    if (state->decoder->check && state->row)
        check_batch(run);
    give_waiting(run, INT64_MAX);
    struct kp_batch *batch = state->batch;
    state->batch = NULL;
    if (state->row == 0)
        return KP_OK;
    batch->cols = state->decoder->given_columns;
    batch->rows = state->row;
    const struct kp_decoded decoded = {batch, state->positions, run->any_tombstone ? state->tombstones : NULL};
    return run->emit(run->arg, &decoded, err);
}

static void set_null(struct kp_decode_state *state, uint32_t column)
{
    struct kp_vec *vec = &state->batch->vecs[column];
    kp_vec_need_valid(vec, state->arena, state->row_limit);
    kp_vec_set_null(vec, state->row);
    memset(kp_decode_slot(state, column), 0, state->decoder->columns[column].width);
}

/* ---- keys ---- */

/* The element of a key that is a JSON array, by part from 1; false if it is no array of that many elements. */
static bool key_element(struct kp_str key, uint32_t parts, uint32_t part, struct kp_json_value *ret_value)
{
    const uint8_t *p = (const uint8_t *)key.ptr, *end = p + key.len, *bad;
    if (kp_json_skip(p, end, KP_JSON_DEPTH_MAX, &bad) != end)
        return false;
    p = kp_json_space_end(p + 1, end);
    uint32_t count = 0;
    while (*p != ']') {
        const uint8_t *behind = kp_json_skip(p, end, KP_JSON_DEPTH_MAX, &bad);
        if (++count == part) {
            enum kp_json_kind kind = *p == '"'   ? KP_JSON_STRING
                                     : *p == '{' ? KP_JSON_OBJECT
                                     : *p == '[' ? KP_JSON_ARRAY
                                     : *p == 't' ? KP_JSON_TRUE
                                     : *p == 'f' ? KP_JSON_FALSE
                                     : *p == 'n' ? KP_JSON_NULL
                                                 : KP_JSON_NUMBER;
            struct kp_str text = {(const char *)p, (size_t)(behind - p)};
            unsigned flags = kind == KP_JSON_STRING && memchr(text.ptr, '\\', text.len) ? KP_JSON_ESCAPED : 0;
            *ret_value = (struct kp_json_value){kind, flags, text};
        }
        p = kp_json_space_end(behind, end);
        if (*p == ',')
            p = kp_json_space_end(p + 1, end);
    }
    return count == parts;
}

/* A key that is a JSON object, as Debezium and our own sinks write it: its member of the column's name. */
static enum kp_code key_member(struct kp_decode_state *state, struct kp_str key, uint32_t column, bool *ret_found,
                               struct kp_json_value *ret_value, struct kp_error *err)
{
    struct kp_str inner, member, schema = {NULL, 0};
    const uint8_t *bad, *end = (const uint8_t *)key.ptr + key.len;
    *ret_found = false;
    if (kp_json_skip((const uint8_t *)key.ptr, end, KP_JSON_DEPTH_MAX, &bad) != end)
        return KP_OK;
    if (kp_json_member(key, KP_STR("payload"), &inner) && inner.ptr[0] == '{' &&
        kp_json_member(key, KP_STR("schema"), &schema))
        key = inner;
    if (!kp_json_member(key, kp_str(state->decoder->columns[column].name), &member))
        return KP_OK;
    if (state->decoder->rewrites)
        KP_TRY(kp_debezium_key_value(state, schema.ptr && schema.ptr[0] == '{' ? schema : (struct kp_str){NULL, 0},
                                     column, &member, err));
    *ret_value = kp_json_value_of(member);
    *ret_found = true;
    return KP_OK;
}

/* A key column from the record's key; leaves it unfilled if the key is null or says null. */
static enum kp_code fill_from_key(struct kp_decode_state *state, uint32_t column, struct kp_str key,
                                  struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    enum kp_code code;
    if (!key.ptr)
        return KP_OK;
    char *padded = kp_arena_calloc(state->arena, key.len + KP_JSON_PADDING);
    memcpy(padded, key.ptr, key.len);
    key.ptr = padded;
    const uint8_t *bad, *end = (const uint8_t *)padded + key.len;
    struct kp_json_value value = {KP_JSON_STRING, KP_JSON_ESCAPED, key};
    bool array = *padded == '[' && key_element(key, decoder->key_parts, decoder->columns[column].key_part, &value);
    bool object = false;
    if (*padded == '{') {
        code = key_member(state, key, column, &object, &value, err);
        if (code) {
            kp_error_context(err, "key column \"%s\"", decoder->columns[column].name);
            return code;
        }
    }
    if ((array || object) && value.kind == KP_JSON_NULL)
        return KP_OK;
    if (array || object || (*padded == '"' && kp_json_skip((const uint8_t *)padded, end, 1, &bad) == end))
        code = kp_decode_convert(state, column, &value, err);
    else if (decoder->key_parts == 1)
        code = kp_decode_convert_text(state, column, key, err);
    else
        code =
            kp_fail(err, KP_INVALID, "22P02", "a key of %u columns must be a JSON array of them: %.*s",
                    decoder->key_parts, (int)kp_decode_shown(key).len, kp_utf8_valid(key.ptr, key.len) ? key.ptr : "");
    if (code) {
        kp_error_context(err, "key column \"%s\"", decoder->columns[column].name);
        return code;
    }
    kp_decode_mask_set(state->present, column);
    return KP_OK;
}

/* ---- columns that do not come from the value ---- */

/* Headers as [{"key":"k","value":"v"},…]; a value that is not UTF-8 is written as bytea is: "\x0aff". */
static struct kp_str headers_json(struct kp_decode_state *state, struct kp_str headers)
{
    struct kp_buf *out = &state->scratch;
    struct kp_str name, value;
    int64_t count;
    out->len = 0;
    kp_buf_append_byte(out, '[');
    bool well = kp_record_headers_begin(&headers, &count);
    for (int64_t i = 0; well && i < count && kp_record_headers_next(&headers, &name, &value); i++) {
        name.len = kp_utf8_valid_prefix(name.ptr, name.len);
        kp_buf_append_text(out, i ? ",{\"key\":" : "{\"key\":");
        kp_buf_append_json_string(out, name);
        kp_buf_append_text(out, ",\"value\":");
        if (!value.ptr) {
            kp_buf_append_text(out, "null");
        } else if (kp_utf8_valid(value.ptr, value.len)) {
            kp_buf_append_json_string(out, value);
        } else {
            kp_buf_append_text(out, "\"\\\\x");
            for (size_t k = 0; k < value.len; k++)
                kp_buf_printf(out, "%02x", (uint8_t)value.ptr[k]);
            kp_buf_append_byte(out, '"');
        }
        kp_buf_append_byte(out, '}');
    }
    kp_buf_append_byte(out, ']');
    return (struct kp_str){kp_arena_strndup(state->arena, (const char *)out->data, out->len), out->len};
}

/* The value of the last header of that name; text.ptr NULL if there is none, or it is null. */
static struct kp_str find_header(struct kp_str headers, const char *wanted)
{
    struct kp_str found = {NULL, 0}, name, value;
    int64_t count;
    bool well = kp_record_headers_begin(&headers, &count);
    for (int64_t i = 0; well && i < count && kp_record_headers_next(&headers, &name, &value); i++)
        if (kp_str_equal(name, kp_str(wanted)))
            found = value;
    return found;
}

static enum kp_code fill_other(struct kp_decode_state *state, uint32_t column, const struct kp_decode_input *input,
                               const struct kp_record *record, int64_t position, struct kp_error *err)
{
    void *slot = kp_decode_slot(state, column);
    struct kp_str text;
    switch (state->decoder->columns[column].origin) {
    case KP_FIELD_OFFSET:
        *(int64_t *)slot = input->base_offset + record->offset_delta;
        return KP_OK;
    case KP_FIELD_PARTITION:
        *(int32_t *)slot = (int32_t)input->partition;
        return KP_OK;
    case KP_FIELD_TIMESTAMP:
        *(int64_t *)slot = record->timestamp_ms * 1000 - epoch_us;
        return KP_OK;
    case KP_FIELD_LOG_TIME:
        *(int64_t *)slot = input->log_time_us - epoch_us;
        return KP_OK;
    case KP_FIELD_POSITION:
        *(int64_t *)slot = position;
        return KP_OK;
    case KP_FIELD_DELETED:
        *(uint8_t *)slot = state->deleted;
        return KP_OK;
    case KP_FIELD_HEADERS:
        text = headers_json(state, record->headers);
        return kp_value_parse(state->decoder->columns[column].type, text, state->decoder->zone, state->arena, slot,
                              err);
    case KP_FIELD_HEADER:
        text = find_header(record->headers, state->decoder->columns[column].header);
        if (!text.ptr) {
            set_null(state, column);
            return KP_OK;
        }
        return kp_decode_convert_text(state, column, text, err);
    default: /* the key */
        if (!record->key.ptr) {
            set_null(state, column);
            return KP_OK;
        }
        return kp_decode_convert_text(state, column, record->key, err);
    }
}

static enum kp_code fill_others(struct kp_decode_state *state, const struct kp_decode_input *input,
                                const struct kp_record *record, int64_t position, struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    for (uint32_t column = 0; column < decoder->batch_columns; column++) {
        if (decoder->columns[column].origin == KP_FIELD_VALUE)
            continue;
        enum kp_code code = fill_other(state, column, input, record, position, err);
        if (code) {
            kp_error_context(err, "column \"%s\"", decoder->columns[column].name);
            return code;
        }
    }
    return KP_OK;
}

/* ---- records ---- */

static enum kp_code decode_json(struct kp_decode_state *state, struct kp_str text, const uint8_t *readable_end,
                                enum kp_decode_outcome *ret_outcome, struct kp_error *err)
{
    if (readable_end - (const uint8_t *)text.ptr < (ptrdiff_t)(text.len + KP_JSON_PADDING)) {
        char *copy = kp_arena_alloc(state->arena, text.len + KP_JSON_PADDING);
        memcpy(copy, text.ptr, text.len);
        memset(copy + text.len, 0, KP_JSON_PADDING);
        text.ptr = copy;
    }
    if (!state->general_only) {
        state->rivals_seen = state->decoder->rivals_always;
        *ret_outcome = kp_json_fast_decode(state, text);
        if (*ret_outcome != KP_DECODED_UNSURE) {
            state->counts.fast++;
            return KP_OK;
        }
        kp_decode_clear(state);
    }
    state->rivals_seen = UINT32_MAX;
    state->counts.general++;
    return kp_json_general_decode(state, text, ret_outcome, err);
}

static enum kp_code decode_debezium(struct kp_decode_state *state, struct kp_str text, const uint8_t *readable_end,
                                    enum kp_decode_outcome *ret_outcome, struct kp_error *err)
{
    struct kp_str row, schema;
    enum kp_debezium_change change;
    KP_TRY(kp_debezium_row(text, &row, &schema, &change, err));
    state->deleted = change == KP_DEBEZIUM_DELETE || change == KP_DEBEZIUM_TRUNCATE;
    state->truncated = change == KP_DEBEZIUM_TRUNCATE;
    if (change == KP_DEBEZIUM_NOTICE) {
        *ret_outcome = KP_DECODED_NONE;
        return KP_OK;
    }
    if (state->truncated && !state->decoder->truncates)
        return kp_fail(err, KP_UNSUPPORTED, "0A000", "a truncation has no versions of its rows");
    if (row.ptr && state->decoder->rewrites) {
        KP_TRY(kp_debezium_values(state, schema, &row, err));
        readable_end = (const uint8_t *)row.ptr + row.len + KP_JSON_PADDING;
    }
    return row.ptr ? decode_json(state, row, readable_end, ret_outcome, err) : KP_OK;
}

/* The value of TEXT and RAW is every column's text. */
static enum kp_code decode_text(struct kp_decode_state *state, struct kp_str text, struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    for (uint32_t column = 0; column < decoder->column_count; column++) {
        if (decoder->columns[column].origin != KP_FIELD_VALUE)
            continue;
        enum kp_code code = kp_decode_convert_text(state, column, text, err);
        if (code) {
            kp_error_context(err, "column \"%s\"", decoder->columns[column].name);
            return code;
        }
        kp_decode_mask_set(state->present, column);
    }
    return KP_OK;
}

static enum kp_code decode_value(struct kp_decode_state *state, struct kp_str text, const uint8_t *readable_end,
                                 enum kp_decode_outcome *ret_outcome, struct kp_error *err)
{
    *ret_outcome = KP_DECODED_ROW;
    if (text.len > KP_RECORD_BYTES_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "a record of %zu bytes is longer than %d", text.len, KP_RECORD_BYTES_MAX);
    switch (state->decoder->format) {
    case KP_FORMAT_JSON:
        return decode_json(state, text, readable_end, ret_outcome, err);
    case KP_FORMAT_DEBEZIUM:
        if (state->decoder->transcodes) {
            KP_TRY(kp_transcode(state, text, &text, err));
            readable_end = (const uint8_t *)text.ptr + text.len + KP_JSON_PADDING;
        }
        return decode_debezium(state, text, readable_end, ret_outcome, err);
    case KP_FORMAT_AVRO:
    case KP_FORMAT_PROTOBUF:
        KP_TRY(kp_transcode(state, text, &text, err));
        return decode_json(state, text, (const uint8_t *)text.ptr + text.len + KP_JSON_PADDING, ret_outcome, err);
    case KP_FORMAT_CSV:
        return kp_csv_decode(state, text, err);
    default:
        if (state->decoder->pattern)
            return kp_pattern_decode(state, text, err);
        return decode_text(state, text, err);
    }
}

/* Gives the columns that the value did not fill their value from the key, or NULL. */
static enum kp_code complete_row(struct kp_decode_state *state, struct kp_str key, struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    for (uint32_t word = 0; word < decoder->mask_words; word++) {
        uint64_t missing = decoder->value_mask[word] & ~kp_decode_filled(state, word);
        for (; missing; missing &= missing - 1) {
            uint32_t column = word * 64 + (uint32_t)__builtin_ctzll(missing);
            if (decoder->columns[column].key_part && !kp_decode_mask_get(state->present, column))
                KP_TRY(fill_from_key(state, column, key, err));
        }
    }
    for (uint32_t word = 0; word < decoder->mask_words; word++)
        for (uint64_t missing = decoder->value_mask[word] & ~kp_decode_filled(state, word); missing;
             missing &= missing - 1)
            set_null(state, word * 64 + (uint32_t)__builtin_ctzll(missing));
    return KP_OK;
}

static bool any_missing(const struct kp_decode_state *state)
{
    for (uint32_t word = 0; word < state->decoder->mask_words; word++)
        if (state->decoder->value_mask[word] & ~kp_decode_filled(state, word))
            return true;
    return false;
}

static void note_rivals(struct kp_decode_state *state, uint64_t number)
{
    for (uint32_t seen = state->rivals_seen; seen; seen &= seen - 1) {
        uint32_t rival = (uint32_t)__builtin_ctz(seen);
        if (rival >= state->decoder->rival_count)
            return;
        state->notes->rivals[rival][number >> 6] |= (uint64_t)1 << (number & 63);
    }
}

/* WITH (missing = 'error'): fields that are there and null are not missing. */
static enum kp_code check_missing(const struct kp_decode_state *state, struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    for (uint32_t word = 0; word < decoder->mask_words; word++) {
        uint64_t missing = decoder->declared_mask[word] & ~state->present[word];
        for (; missing; missing &= missing - 1) {
            uint32_t column = word * 64 + (uint32_t)__builtin_ctzll(missing);
            if (!decoder->columns[column].key_part)
                return kp_fail(err, KP_INVALID, "22030", "field \"%s\" is missing", decoder->columns[column].name);
        }
    }
    return KP_OK;
}

/* Where a deletion of no key takes all rows away, one whose key is not known must not look like it. */
static enum kp_code check_key(const struct kp_decode_state *state, struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    for (uint32_t column = 0; column < decoder->batch_columns; column++)
        if (decoder->columns[column].key_part && kp_vec_is_null(&state->batch->vecs[column], state->row))
            return kp_fail(err, KP_INVALID, "23502", "a column of the primary key is null");
    return KP_OK;
}

/* Decodes one record into the current row; the row counts if *ret_outcome says so. */
static enum kp_code decode_record(struct kp_decode_state *state, const struct kp_decode_input *input,
                                  const struct kp_record *record, int64_t position, const uint8_t *readable_end,
                                  enum kp_decode_outcome *ret_outcome, struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    kp_decode_clear(state);
    state->deleted = record->value.ptr == NULL;
    state->truncated = false;
    state->rivals_seen = UINT32_MAX; /* until it is known better */
    *ret_outcome = KP_DECODED_ROW;
    if (decoder->csv_header && input->base_offset + record->offset_delta == 0) {
        *ret_outcome = KP_DECODED_NONE;
    } else if (record->value.ptr) {
        KP_TRY(decode_value(state, record->value, readable_end, ret_outcome, err));
    } else if (!decoder->keyed || decoder->transcodes) { /* behind a Debezium delete, with a key in Avro */
        *ret_outcome = KP_DECODED_NONE;
    } else if (!record->key.ptr) {
        return kp_fail(err, KP_INVALID, "22004", "a record with neither key nor value deletes nothing");
    }
    if (*ret_outcome != KP_DECODED_ROW)
        return KP_OK;
    if (decoder->missing_fails && !state->deleted)
        KP_TRY(check_missing(state, err));
    if (any_missing(state))
        KP_TRY(
            complete_row(state, state->truncated || decoder->transcodes ? (struct kp_str){NULL, 0} : record->key, err));
    if (decoder->truncates && state->deleted && !state->truncated)
        KP_TRY(check_key(state, err));
    if (decoder->any_other)
        KP_TRY(fill_others(state, input, record, position, err));
    return KP_OK;
}

static void report_dead(struct run *run, const struct kp_decode_input *input, const struct kp_record *record,
                        int64_t position, const struct kp_error *err)
{
    struct kp_decode_state *state = run->state;
    state->counts.dead++;
    if (!run->dead)
        return;
    struct kp_dead_letter letter = {.partition = input->partition,
                                    .offset = input->base_offset + record->offset_delta,
                                    .position = position,
                                    .key = record->key,
                                    .value = record->value};
    memcpy(letter.sqlstate, err->sqlstate, sizeof letter.sqlstate);
    letter.reason = err->detail[0] ? kp_arena_printf(state->arena, "%s (%s)", err->message, err->detail)
                                   : kp_arena_strdup(state->arena, err->message);
    if (!state->origins) {
        give_dead(run, &letter);
        return;
    }
    struct kp_decode_waiting *waiting = kp_arena_alloc(state->arena, sizeof *waiting);
    *waiting = (struct kp_decode_waiting){letter, NULL};
    *state->waiting_end = waiting;
    state->waiting_end = &waiting->next;
}

/* A record that failed may have set validity bits of its row; the next record starts clean. */
static void clean_row(struct kp_decode_state *state)
{
    for (uint32_t i = 0; i < state->decoder->batch_columns; i++)
        if (state->batch->vecs[i].valid)
            state->batch->vecs[i].valid[state->row >> 6] |= (uint64_t)1 << (state->row & 63);
}

static enum kp_code decode_input(struct run *run, const struct kp_decode_input *input, struct kp_error *err)
{
    struct kp_decode_state *state = run->state;
    struct kp_record_reader reader;
    struct kp_record record;
    struct kp_error why; /* set only by a failure: clearing it per record would cost more than the record */
    KP_TRY(kp_record_reader_init(&reader, input->batch, input->bytes, state->arena, err));
    if (reader.info.control) {
        run->records_left -= KP_MIN(run->records_left, (uint64_t)reader.info.records);
        run->number += (uint64_t)reader.info.records;
        return KP_OK;
    }
    int64_t from = input->position + input->skip;
    int64_t end = input->take ? input->position + input->take : INT64_MAX;
    const uint64_t *wanted = state->notes ? state->notes->wanted : NULL;
    bool noting = state->notes && state->notes->rivals;
    while (kp_record_reader_step(&reader, &record, &why)) {
        int64_t position = input->position + record.offset_delta;
        uint64_t number = run->number++;
        if ((wanted && !(wanted[number >> 6] >> (number & 63) & 1)) || position < from || position >= end) {
            state->counts.records++;
            state->counts.empty++;
            if (run->records_left > 1)
                run->records_left--;
            continue;
        }
        if (!state->batch)
            start_batch(run);
        enum kp_decode_outcome outcome;
        state->counts.records++;
        enum kp_code code = decode_record(state, input, &record, position, reader.end, &outcome, &why);
        if (noting)
            note_rivals(state, number);
        if (run->records_left > 1)
            run->records_left--;
        if (code != KP_OK) {
            clean_row(state);
            report_dead(run, input, &record, position, &why);
            continue;
        }
        if (outcome != KP_DECODED_ROW) {
            state->counts.empty++;
            continue;
        }
        state->counts.rows++;
        state->positions[state->row] = position;
        if (state->origins)
            state->origins[state->row] = (struct kp_decode_origin){
                record.key, record.value, input->base_offset + record.offset_delta, input->partition};
        if (state->tombstones) {
            state->tombstones[state->row] = state->deleted;
            run->any_tombstone |= state->deleted;
        }
        if (++state->row == state->row_limit)
            KP_TRY(end_batch(run, err));
    }
    if (reader.left > 0) {
        if (err)
            *err = why;
        return kp_fail(err, KP_CORRUPT, NULL, "the record batch at position %lld is malformed",
                       (long long)input->position);
    }
    return KP_OK;
}

enum kp_code kp_decode(struct kp_decode_state *state, const struct kp_decode_input *inputs, size_t input_count,
                       struct kp_arena *arena, kp_decode_emit emit,
                       void (*dead)(void *arg, const struct kp_dead_letter *letter), void *arg, struct kp_error *err)
{
    struct run run = {.state = state, .emit = emit, .dead = dead, .arg = arg};
    state->arena = arena;
    state->batch = NULL;
    for (size_t i = 0; i < input_count; i++)
        if (inputs[i].bytes >= KP_RECORD_BATCH_HEADER_BYTES)
            run.records_left += kp_load_be32(inputs[i].batch + KP_RECORD_BATCH_HEADER_BYTES - 4);
    for (size_t i = 0; i < input_count; i++)
        KP_TRY(decode_input(&run, &inputs[i], err));
    return end_batch(&run, err);
}
