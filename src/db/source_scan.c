/*
 * A source's rows for an ad-hoc query, range by range: a chunk of history columns that is known is read, one whose
 * least and largest values rule the query's filter out is passed over, the rest is decoded and made into columns.
 *
 * Whatever way a row comes, it is the same: dead letters are noted for chunks that are passed over too, and rows whose
 * event time is too far ahead are dead letters here as they are in views, so no chunk with such a row is passed over.
 */
#include "db/source_scan.h"

#include "db/lost.h"
#include "db/retention.h"
#include "flow/reader.h"

enum { SPAN_BYTES = 8 << 20, SLICE_ROWS = 16384, TESTS_MAX = 16 };
static const int64_t POSTGRES_EPOCH_US = 946684800000000;

struct scan {
    const struct kp_source_scan *options;
    struct kp_topic_info topic;
    int64_t max_ahead_us; /* INT64_MAX: any */
    uint32_t time_column; /* of what is decoded: the watermark's; one more than the plan wants, perhaps */
    uint32_t *columns;    /* of the relation, in the order of what is decoded */
    uint32_t count;
    struct kp_column_field *fields; /* the same */
    struct kp_column_set *set;      /* NULL: no columns are kept */
    struct kp_column_test tests[TESTS_MAX];
    uint32_t test_count;
    struct kp_reader *reader; /* made when first needed */
    struct kp_reader_state *state;
    struct kp_column_fill *fill;
    const struct kp_decode_input *chunks; /* that are being decoded or read */
    size_t chunk_count;
};

void kp_source_memory_release(struct kp_source_memory *memory)
{
    for (size_t i = 0; i < memory->span_count; i++)
        kp_log_span_release(&memory->spans[i]);
    for (size_t i = 0; i < memory->view_count; i++)
        kp_column_view_close(&memory->views[i]);
    kp_free(memory->spans);
    kp_free(memory->views);
    if (memory->budget)
        kp_budget_release(memory->budget, memory->charged_bytes);
    *memory = (struct kp_source_memory){0};
}

/* ---- rows ---- */

static bool is_too_far(const struct scan *scan, const struct kp_decoded *decoded, uint32_t row, size_t *at)
{
    int64_t position = decoded->positions[row];
    while (*at + 1 < scan->chunk_count && scan->chunks[*at + 1].position <= position)
        ++*at;
    const struct kp_decode_input *chunk = &scan->chunks[*at];
    int64_t limit = chunk->log_time_us - POSTGRES_EPOCH_US + scan->max_ahead_us;
    if (kp_source_event_time(&decoded->batch->vecs[scan->time_column], row) <= limit)
        return false;
    struct kp_dead_letter letter = {.partition = chunk->partition,
                                    .offset = chunk->base_offset + (position - chunk->position),
                                    .position = position,
                                    .sqlstate = "22008",
                                    .reason = "event time is further ahead of the log's time than max_ahead allows"};
    kp_dead_letter_note(scan->options->session->db, scan->options->relation, &letter);
    return true;
}

static enum kp_code emit_rows(struct scan *scan, const struct kp_decoded *decoded, struct kp_error *err)
{
    const struct kp_source_scan *options = scan->options;
    struct kp_batch wanted = *decoded->batch;
    wanted.cols = options->plan->col_count;
    uint32_t *index = kp_arena_alloc(options->arena, (decoded->batch->rows + (size_t)1) * sizeof *index), n = 0;
    size_t chunk = 0;
    for (uint32_t row = 0; row < decoded->batch->rows; row++)
        if (scan->max_ahead_us == INT64_MAX || !is_too_far(scan, decoded, row, &chunk))
            index[n++] = row;
    if (n == 0 || !options->emit)
        return KP_OK;
    struct kp_batch *batch = kp_arena_alloc(options->arena, sizeof *batch);
    *batch = wanted;
    return options->emit(options->arg, n == wanted.rows ? batch : kp_batch_gather(&wanted, index, n, options->arena),
                         err);
}

static enum kp_code emit_decoded(void *arg, const struct kp_decoded *decoded, struct kp_error *err)
{
    struct scan *scan = arg;
    if (scan->fill) {
        kp_column_fill_rows(scan->fill, decoded->positions, decoded->tombstones, decoded->batch->rows);
        for (uint32_t c = 0; c < scan->count; c++)
            kp_column_fill_column(scan->fill, c, &decoded->batch->vecs[c], decoded->batch->rows);
    }
    return emit_rows(scan, decoded, err);
}

/* A source that no view reads is decoded here only. */
static void note_dead(void *arg, const struct kp_dead_letter *letter)
{
    struct scan *scan = arg;
    kp_dead_letter_note(scan->options->session->db, scan->options->relation, letter);
    if (!scan->fill)
        return;
    struct kp_column_dead dead = {.position = letter->position,
                                  .offset = letter->offset,
                                  .partition = letter->partition,
                                  .reason = kp_str(letter->reason),
                                  .key = letter->key,
                                  .value = letter->value};
    memcpy(dead.sqlstate, letter->sqlstate, sizeof dead.sqlstate);
    kp_column_fill_dead(scan->fill, &dead);
}

/* ---- from columns ---- */

static void take_batches(struct scan *scan, const struct kp_rows_chunk *rows)
{
    struct kp_decode_input *inputs =
        kp_arena_alloc(scan->options->arena, (rows->header->entries + (size_t)1) * sizeof *inputs);
    for (uint32_t i = 0; i < rows->header->entries; i++)
        inputs[i] = (struct kp_decode_input){.partition = rows->batches[i].partition,
                                             .base_offset = rows->batches[i].base_offset,
                                             .position = rows->batches[i].position,
                                             .log_time_us = rows->batches[i].log_time_us};
    scan->chunks = inputs;
    scan->chunk_count = rows->header->entries;
}

static void note_view_dead(const struct scan *scan, const struct kp_rows_chunk *rows)
{
    for (uint32_t i = 0; i < rows->header->dead; i++) {
        const struct kp_column_dead *dead = &rows->dead[i];
        struct kp_dead_letter letter = {.partition = dead->partition,
                                        .offset = dead->offset,
                                        .position = dead->position,
                                        .reason =
                                            kp_arena_strndup(scan->options->arena, dead->reason.ptr, dead->reason.len),
                                        .key = dead->key,
                                        .value = dead->value};
        memcpy(letter.sqlstate, dead->sqlstate, sizeof letter.sqlstate);
        kp_dead_letter_note(scan->options->session->db, scan->options->relation, &letter);
    }
}

/* No event time of the range is too far ahead of any log time in it. */
static bool is_near(const struct scan *scan, const struct kp_column_view *view)
{
    if (scan->max_ahead_us == INT64_MAX || view->rows->header->entries == 0)
        return true;
    int64_t limit_us = view->rows->batches[0].log_time_us - POSTGRES_EPOCH_US + scan->max_ahead_us; /* it never falls */
    const struct kp_column_test far = {.number = scan->columns[scan->time_column],
                                       .compare = KP_COLUMN_GREATER,
                                       .physical = KP_PHYSICAL_I64,
                                       .integer = limit_us};
    return scan->options->relation->cols[scan->columns[scan->time_column]].type.id != KP_DATE &&
           kp_column_set_excludes(scan->set, view->range.begin, &far, 1);
}

/* The range at `position` needs no look at its values. */
static bool pass_over(struct scan *scan, int64_t position, int64_t *ret_end)
{
    struct kp_column_view view;
    if (scan->test_count == 0 || !kp_column_set_excludes(scan->set, position, scan->tests, scan->test_count) ||
        !kp_column_view_open(scan->set, position, NULL, 0, &view))
        return false;
    bool right = view.range.begin == position && view.range.end <= scan->options->position && is_near(scan, &view) &&
                 !kp_history_trimmed(scan->options->session->db->log, scan->topic.id, &view);
    if (right) {
        note_view_dead(scan, view.rows);
        *ret_end = view.range.end;
    }
    kp_column_view_close(&view);
    return right;
}

static enum kp_code read_view(struct scan *scan, struct kp_error *err)
{
    const struct kp_source_scan *options = scan->options;
    const struct kp_column_view *view = &options->memory->views[options->memory->view_count - 1];
    uint32_t rows = view->rows->header->rows;
    take_batches(scan, view->rows);
    note_view_dead(scan, view->rows);
    for (uint32_t row = 0; row < rows; row += SLICE_ROWS) {
        uint32_t n = KP_MIN(rows - row, (uint32_t)SLICE_ROWS);
        struct kp_decoded decoded = {.batch = kp_batch_create(options->arena, scan->count, n)};
        decoded.positions = kp_rows_chunk_positions(view->rows, row, n, options->arena);
        for (uint32_t c = 0; c < scan->count; c++)
            kp_column_chunk_slice(view->columns[c], scan->fields[c].type, row, n, options->arena,
                                  &decoded.batch->vecs[c]);
        KP_TRY(emit_rows(scan, &decoded, err));
    }
    return KP_OK;
}

/* Reads the range at `position` if all of it is known; else false. */
static bool open_view(struct scan *scan, int64_t position, int64_t *ret_end)
{
    struct kp_db *db = scan->options->session->db;
    struct kp_source_memory *memory = scan->options->memory;
    struct kp_column_view view;
    if (!kp_column_view_open(scan->set, position, scan->fields, scan->count, &view))
        return false;
    bool trimmed = kp_history_trimmed(db->log, scan->topic.id, &view);
    if (trimmed)
        kp_columns_forget(db->columns, scan->topic.id, view.range.end);
    if (trimmed || view.range.begin != position || view.range.end > scan->options->position) {
        kp_column_view_close(&view);
        return false;
    }
    memory->views = kp_realloc(memory->views, (memory->view_count + 1) * sizeof *memory->views);
    memory->views[memory->view_count++] = view;
    *ret_end = view.range.end;
    return true;
}

/* ---- decoding ---- */

/* Texts of times are read in the zone of views, not the reader's. */
static enum kp_code need_reader(struct scan *scan, struct kp_error *err)
{
    if (scan->reader)
        return KP_OK;
    KP_TRY(kp_reader_create(scan->options->relation, scan->columns, scan->count, NULL, NULL, 0, &scan->reader, err));
    scan->state = kp_reader_state_create(scan->reader);
    return KP_OK;
}

/* How far to decode, and whether columns are made of it. */
static int64_t aim(struct scan *scan, int64_t position)
{
    int64_t end = scan->options->position;
    struct kp_column_range range;
    if (!scan->set)
        return end;
    if (scan->fill && kp_column_fill_position(scan->fill) != position) {
        kp_column_fill_destroy(scan->fill);
        scan->fill = NULL;
    }
    bool known = kp_column_set_at(scan->set, position, &range);
    if (!scan->fill && !(known && range.end > end))
        scan->fill = kp_column_fill_begin(scan->set, position, scan->fields, scan->count);
    end = KP_MIN(end, range.end);
    if (scan->fill) {
        int64_t room = kp_column_fill_room(scan->fill);
        end = end - position > room ? position + room : end;
    }
    return end;
}

static enum kp_code decode_span(struct scan *scan, const struct kp_log_span *span, struct kp_error *err)
{
    const struct kp_topic_feed feed = {.topic = scan->topic.id};
    struct kp_step_input *inputs;
    if (!kp_span_inputs(span, &feed, 1, scan->options->arena, &inputs))
        return KP_OK;
    scan->chunks = inputs[0].chunks;
    scan->chunk_count = inputs[0].chunk_count;
    for (size_t i = 0; scan->fill && i < span->count; i++) {
        const struct kp_log_chunk *chunk = &span->chunks[i];
        const struct kp_column_batch batch = {.partition = chunk->partition,
                                              .records = chunk->records,
                                              .base_offset = chunk->base_offset,
                                              .position = chunk->position,
                                              .log_time_us = chunk->log_time_us};
        kp_column_fill_batch(scan->fill, &batch);
    }
    return kp_reader_read(scan->state, scan->chunks, scan->chunk_count, scan->options->arena, emit_decoded, note_dead,
                          scan, err);
}

/* The answer's strings point into the records: all of them are held until it is made. */
static enum kp_code charge_span(struct scan *scan, const struct kp_log_span *span, struct kp_error *err)
{
    struct kp_source_memory *memory = scan->options->memory;
    int64_t bytes = 0;
    for (size_t i = 0; i < span->count; i++)
        bytes += (int64_t)span->chunks[i].bytes;
    memory->budget = &scan->options->session->db->query_memory;
    KP_TRY(kp_budget_charge(memory->budget, bytes, err));
    memory->charged_bytes += bytes;
    return KP_OK;
}

static enum kp_code decode_some(struct scan *scan, int64_t position, int64_t *ret_end, struct kp_error *err)
{
    struct kp_source_memory *memory = scan->options->memory;
    struct kp_log_span span;
    KP_TRY(need_reader(scan, err));
    KP_TRY(kp_log_read(scan->options->session->db->log, position, aim(scan, position), SPAN_BYTES, &scan->topic.id, 1,
                       &span, err));
    memory->spans = kp_realloc(memory->spans, (memory->span_count + 1) * sizeof *memory->spans);
    memory->spans[memory->span_count++] = span;
    *ret_end = span.position_end;
    KP_TRY(charge_span(scan, &span, err));
    KP_TRY(decode_span(scan, &span, err));
    if (!scan->fill)
        return KP_OK;
    kp_column_fill_reach(scan->fill, span.position_end);
    if (kp_column_fill_limit(scan->fill) <= span.position_end) {
        kp_column_fill_destroy(scan->fill);
        scan->fill = NULL;
    }
    return KP_OK;
}

/* ---- what the filter says of single columns ---- */

static bool compare_of(const char *name, bool swapped, enum kp_column_compare *ret_compare)
{
    static const struct {
        const char *name;
        enum kp_column_compare straight, swapped;
    } all[] = {{"=", KP_COLUMN_EQUAL, KP_COLUMN_EQUAL},
               {"<", KP_COLUMN_LESS, KP_COLUMN_GREATER},
               {"<=", KP_COLUMN_LESS_EQUAL, KP_COLUMN_GREATER_EQUAL},
               {">", KP_COLUMN_GREATER, KP_COLUMN_LESS},
               {">=", KP_COLUMN_GREATER_EQUAL, KP_COLUMN_LESS_EQUAL}};
    for (size_t i = 0; i < KP_COUNT(all); i++)
        if (strcmp(all[i].name, name) == 0) {
            *ret_compare = swapped ? all[i].swapped : all[i].straight;
            return true;
        }
    return false;
}

static int64_t integer_of(const struct kp_datum *datum)
{
    switch (kp_column_physical(datum->type.id)) {
    case KP_PHYSICAL_I8:
        return datum->b;
    case KP_PHYSICAL_I16:
        return datum->i16;
    case KP_PHYSICAL_I32:
        return datum->i32;
    default:
        return datum->i64;
    }
}

/* column op constant, of one type whose order is that of its bounds. */
static void add_test(struct scan *scan, const struct kp_expr *expr)
{
    if (expr->kind == KP_EXPR_AND) {
        for (uint32_t i = 0; i < expr->arg_count; i++)
            add_test(scan, expr->args[i]);
        return;
    }
    if (expr->kind != KP_EXPR_CALL || expr->func->kind != KP_FUNC_OPERATOR || expr->arg_count != 2 ||
        scan->test_count == TESTS_MAX)
        return;
    bool swapped = expr->args[1]->kind == KP_EXPR_COLUMN;
    const struct kp_expr *column = expr->args[swapped], *constant = expr->args[!swapped];
    struct kp_column_test test;
    if (column->kind != KP_EXPR_COLUMN || constant->kind != KP_EXPR_CONST || constant->datum.null ||
        constant->type.id != column->type.id || !compare_of(expr->func->name, swapped, &test.compare))
        return;
    test.number = scan->columns[column->column];
    test.physical = kp_column_physical(column->type.id);
    if (kp_physical_is_integer(test.physical))
        test.integer = integer_of(&constant->datum);
    else if (column->type.id == KP_TEXT || column->type.id == KP_VARCHAR)
        test.text = kp_text_str(&constant->datum.text);
    else
        return;
    scan->tests[scan->test_count++] = test;
}

/* ---- the scan ---- */

static enum kp_code prepare(struct scan *scan, struct kp_error *err)
{
    const struct kp_source_scan *options = scan->options;
    struct kp_db *db = options->session->db;
    const struct kp_relation *relation = options->relation;
    scan->max_ahead_us = INT64_MAX;
    KP_TRY(kp_lost_check_name(db, relation->topic, err));
    KP_TRY(kp_log_topic_find(db->log, relation->topic, &scan->topic, err));
    if (relation->watermark_column >= 0)
        KP_TRY(kp_source_max_ahead(relation, db->max_ahead_us, &scan->max_ahead_us, err));
    scan->count = options->plan->col_count;
    scan->columns = kp_arena_alloc(options->arena, (scan->count + (size_t)1) * sizeof *scan->columns);
    memcpy(scan->columns, options->plan->scan.columns, scan->count * sizeof *scan->columns);
    while (scan->time_column < scan->count && (int32_t)scan->columns[scan->time_column] != relation->watermark_column)
        scan->time_column++;
    if (scan->max_ahead_us != INT64_MAX && scan->time_column == scan->count)
        scan->columns[scan->count++] = (uint32_t)relation->watermark_column;
    scan->fields = kp_arena_alloc(options->arena, (scan->count + (size_t)1) * sizeof *scan->fields);
    for (uint32_t c = 0; c < scan->count; c++)
        scan->fields[c] = (struct kp_column_field){.number = scan->columns[c],
                                                   .name = relation->cols[scan->columns[c]].name,
                                                   .type = relation->cols[scan->columns[c]].type};
    scan->set = kp_columns_set(db->columns, scan->topic.id, kp_source_declaration(relation));
    if (options->predicate && !options->predicate->can_fail) /* a row that is not looked at does not fail */
        add_test(scan, options->predicate);
    return KP_OK;
}

/* What lies at `position`, up to *ret_end. */
static enum kp_code read_some(struct scan *scan, int64_t position, int64_t *ret_end, struct kp_error *err)
{
    if (scan->set && open_view(scan, position, ret_end))
        return read_view(scan, err);
    return decode_some(scan, position, ret_end, err);
}

static enum kp_code run(struct scan *scan, int64_t begin, struct kp_error *err)
{
    const struct kp_source_scan *options = scan->options;
    for (int64_t position = begin, end = begin; position < options->position; position = end) {
        if (scan->set && pass_over(scan, position, &end))
            continue;
        struct kp_arena_mark mark = kp_arena_mark(options->arena);
        KP_TRY(read_some(scan, position, &end, err));
        if (!options->emit) { /* nobody keeps rows */
            kp_source_memory_release(options->memory);
            kp_arena_rewind(options->arena, &mark);
        }
        if (atomic_load(&options->session->cancelled))
            return kp_fail(err, KP_CANCELLED, NULL, "canceling statement due to user request");
        if (end <= position)
            break;
    }
    return KP_OK;
}

static enum kp_code scan_from(const struct kp_source_scan *options, int64_t begin, struct kp_error *err)
{
    struct scan scan = {.options = options};
    KP_TRY(prepare(&scan, err));
    if (begin > 0) /* columns begin where others end: they are made by who reads all */
        scan.set = NULL;
    kp_retention_read_past(options->session->db);
    enum kp_code code = run(&scan, begin, err);
    kp_retention_unlock_past(options->session->db);
    kp_column_fill_destroy(scan.fill);
    kp_reader_state_destroy(scan.state);
    kp_reader_destroy(scan.reader);
    return code;
}

enum kp_code kp_source_scan(const struct kp_source_scan *options, struct kp_error *err)
{
    return scan_from(options, 0, err);
}

enum kp_code kp_source_find_dead(struct kp_session *session, struct kp_relation *relation, int64_t begin,
                                 int64_t position, struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_source_memory memory = {0};
    uint32_t none = 0;
    const struct kp_plan plan = {.kind = KP_PLAN_SCAN, .scan = {.relation = relation, .columns = &none}};
    const struct kp_source_scan options = {.session = session,
                                           .relation = relation,
                                           .plan = &plan,
                                           .position = position,
                                           .memory = &memory,
                                           .arena = &arena};
    enum kp_code code = scan_from(&options, begin, err);
    kp_source_memory_release(&memory);
    kp_arena_finish(&arena);
    return code;
}
