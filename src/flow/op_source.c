/*
 * A source: record batches of a topic to rows, and the source's watermark.
 *
 * Decoding is cut into morsels of neighbouring record batches, decoded in parallel. A row whose event time lies further
 * ahead of its block's log time than the source's max_ahead becomes a dead letter, or one bad clock would make all that
 * follows late.
 *
 * Watermark: W(P) = least over the partitions seen of (largest event time before P) minus the declared delay; it never
 * goes back. With idle_timeout, partitions do not count for which nothing has come that long by the log's time, while
 * something came in another; at a row that is the log time of its own block, so that ticks in between change nothing.
 * Of a source whose watermark is for the append time, W(P) is the log's time at P minus the delay, whatever comes and
 * wherever: no later record can have an earlier time. It moves by ticks, which op_emit asks for.
 * Only its value at the step's end is needed as long as nobody drops late rows; then each morsel notes the
 * largest time of each partition and the results are joined. If an EMIT ON WINDOW CLOSE reads the source, every row
 * needs W at its own position: morsels are then decoded first, walked in log order by one thread, and only then sent
 * on.
 *
 * A step brings either record batches or slices of history columns (log/columns.h): what an earlier decoding made of
 * the same records. Slices are cut into morsels too, and from there on nothing differs. What is decoded from batches
 * may be handed to a fill, which makes columns of it.
 *
 * Several sources may read one topic, each the objects at its own path. The first of them in a step notes for each
 * record whose object it holds; the others look only at records that may be theirs.
 *
 * Invariants: 1. columns of the node are only ever appended; 2. W depends on the records before P alone, not on
 * morsels; 3. the same chunks are cut into the same morsels, whoever reads them.
 */
#include "flow/op_source.h"
#include "flow/reader.h"

#include <stdio.h>

enum {
    MORSEL_BYTES = 4 << 20,
    MORSEL_RECORDS = 16384 /* a few columns of them stay in L2 */
};
static const int64_t POSTGRES_EPOCH_US = 946684800000000;

struct partition {
    uint32_t number;
    int64_t time_max; /* largest event time seen */
    int64_t seen_us;  /* log time of its last row */
};

struct part_list {
    struct partition *items;
    uint32_t count, cap;
};

struct decoded {
    struct kp_flow flow;
    const uint8_t *tombstones;
    struct decoded *next;
};

struct dead {
    struct kp_column_dead dead;
    struct dead *next;
};

struct morsel {
    const struct kp_decode_input *inputs;
    size_t count;
    struct decoded *first, **end; /* when rows wait for their watermarks */
    struct part_list times;
    uint64_t records;
    uint64_t **rivals; /* per rival: a bit a record (struct kp_decode_notes) */
    const uint64_t *wanted;
    const struct kp_column_view *view; /* of history: its rows first_row … */
    uint32_t first_row, rows;
    struct decoded *kept, **kept_end; /* for the fill */
    struct dead *dead, **dead_end;
};

struct op_source {
    struct kp_node node;
    struct kp_relation *relation;
    uint32_t *columns; /* relation's columns that are decoded, in the node's order */
    struct kp_reader *reader;
    struct kp_reader_state **states; /* per lane */
    int32_t time_column;             /* of the node, -1: no watermark */
    int64_t max_ahead_us;            /* INT64_MAX: any */
    int64_t idle_us;                 /* after which a partition no longer holds the watermark up; INT64_MAX: never */
    int64_t idle_seen_us;            /* log time up to which idle partitions were looked for */
    bool by_log_time;                /* the watermark follows the log's time itself */
    struct part_list partitions;
    int64_t watermark;
    _Atomic uint64_t records, rows, dead_letters, too_far_ahead;
    struct morsel *morsels; /* of the step */
    uint32_t morsel_count;
    struct kp_column_fill *fill;              /* of the step, or NULL */
    const struct kp_decode_input *chunks;     /* that were noted in this step */
    const char *rivals[KP_DECODE_RIVALS_MAX]; /* first names of the paths of other sources of the topic */
    uint32_t rival_count;
    struct decode_run **running; /* per lane: the morsel in work */
};

struct decode_run {
    struct op_source *op;
    struct kp_lane *lane;
    struct morsel *morsel;
    size_t chunk; /* where the last row was found */
};

/* ---- watermarks ---- */

static struct partition *find_partition(struct part_list *list, uint32_t number)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].number == number)
            return &list->items[i];
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 4;
        list->items = kp_realloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->count] = (struct partition){number, INT64_MIN, INT64_MIN};
    return &list->items[list->count++];
}

static void note_rows(struct part_list *list, uint32_t number, int64_t time_max, int64_t seen_us)
{
    struct partition *partition = find_partition(list, number);
    partition->time_max = KP_MAX(partition->time_max, time_max);
    partition->seen_us = KP_MAX(partition->seen_us, seen_us);
}

static int64_t last_seen(const struct op_source *op)
{
    int64_t last_us = INT64_MIN;
    for (uint32_t i = 0; i < op->partitions.count; i++)
        last_us = KP_MAX(last_us, op->partitions.items[i].seen_us);
    return last_us;
}

/* Nothing has come for longer than idle_timeout, but something in another partition. */
static bool is_idle(const struct op_source *op, const struct partition *partition, int64_t last_us, int64_t now_us)
{
    return op->idle_us != INT64_MAX && partition->seen_us < last_us && now_us - partition->seen_us >= op->idle_us;
}

/* At a log time: for the same records it never falls when the time rises. */
static int64_t watermark_of(const struct op_source *op, int64_t so_far, int64_t now_us)
{
    int64_t least = INT64_MAX, last_us = last_seen(op);
    if (op->by_log_time)
        return now_us <= INT64_MIN / 2 ? so_far : KP_MAX(so_far, now_us - op->relation->watermark_delay_us);
    for (uint32_t i = 0; i < op->partitions.count; i++)
        if (!is_idle(op, &op->partitions.items[i], last_us, now_us))
            least = KP_MIN(least, op->partitions.items[i].time_max);
    if (op->partitions.count == 0 || least == INT64_MIN)
        return so_far;
    if (least < INT64_MIN + op->relation->watermark_delay_us)
        return so_far;
    return KP_MAX(so_far, least - op->relation->watermark_delay_us);
}

/* The record batch that holds a position; positions come in ascending order. */
static const struct kp_decode_input *chunk_of(struct decode_run *run, int64_t position)
{
    while (run->chunk + 1 < run->morsel->count && run->morsel->inputs[run->chunk + 1].position <= position)
        run->chunk++;
    return &run->morsel->inputs[run->chunk];
}

/* ---- dead letters ---- */

static void report_dead(struct op_source *op, const struct kp_dead_letter *letter)
{
    struct kp_graph *graph = op->node.graph;
    atomic_fetch_add_explicit(&op->dead_letters, 1, memory_order_relaxed);
    if (!graph->step->dead)
        return;
    kp_mutex_lock(&graph->dead_lock);
    graph->step->dead(graph->step->arg, op->relation, letter);
    kp_mutex_unlock(&graph->dead_lock);
}

static void decode_dead(void *arg, const struct kp_dead_letter *letter)
{
    struct decode_run *run = arg;
    report_dead(run->op, letter);
    if (!run->op->fill)
        return;
    struct dead *dead = kp_arena_calloc(&run->lane->arena, sizeof *dead);
    dead->dead = (struct kp_column_dead){.position = letter->position,
                                         .offset = letter->offset,
                                         .partition = letter->partition,
                                         .reason = kp_str(letter->reason),
                                         .key = letter->key,
                                         .value = letter->value};
    memcpy(dead->dead.sqlstate, letter->sqlstate, sizeof dead->dead.sqlstate);
    *run->morsel->dead_end = dead;
    run->morsel->dead_end = &dead->next;
}

static void bury_row(struct decode_run *run, int64_t position, const char *sqlstate, const char *reason)
{
    size_t before = run->chunk;
    run->chunk = 0;
    const struct kp_decode_input *chunk = chunk_of(run, position);
    run->chunk = before;
    struct kp_dead_letter letter = {.partition = chunk->partition,
                                    .offset = chunk->base_offset + (position - chunk->position),
                                    .position = position,
                                    .reason = reason};
    memcpy(letter.sqlstate, sqlstate, 5);
    report_dead(run->op, &letter);
}

void kp_op_source_bury(struct kp_node *node, struct kp_lane *lane, int64_t position, const char *sqlstate,
                       const char *reason)
{
    bury_row(((struct op_source *)node)->running[lane->index], position, sqlstate, reason);
}

/* ---- decoding ---- */

/* Notes the event times; rows from too far ahead are left out of ret_flow. */
static void take_times(struct decode_run *run, struct kp_flow *flow)
{
    struct op_source *op = run->op;
    const struct kp_vec *times = &flow->batch->vecs[op->time_column];
    uint32_t rows = flow->batch->rows, *index = NULL, n = 0, row = 0;
    run->chunk = 0;
    while (row < rows) {
        const struct kp_decode_input *chunk = chunk_of(run, flow->positions[row]);
        bool last = chunk == &run->morsel->inputs[run->morsel->count - 1];
        int64_t end = last ? INT64_MAX : chunk[1].position, max = INT64_MIN;
        int64_t limit =
            op->max_ahead_us == INT64_MAX ? INT64_MAX : chunk->log_time_us - POSTGRES_EPOCH_US + op->max_ahead_us;
        for (; row < rows && flow->positions[row] < end; row++) {
            int64_t time_us = kp_source_event_time(times, row);
            if (time_us > limit) {
                if (!index) {
                    index = kp_arena_alloc(&run->lane->arena, rows * sizeof *index);
                    for (n = 0; n < row; n++)
                        index[n] = n;
                }
                atomic_fetch_add_explicit(&op->too_far_ahead, 1, memory_order_relaxed);
                bury_row(run, flow->positions[row], "22008",
                         "event time is further ahead of the log's time than max_ahead allows");
                continue;
            }
            max = KP_MAX(max, time_us);
            if (index)
                index[n++] = row;
        }
        note_rows(&run->morsel->times, chunk->partition, max, chunk->log_time_us - POSTGRES_EPOCH_US);
    }
    if (index)
        *flow = kp_flow_gather(flow, index, n, &run->lane->arena);
}

static enum kp_code decode_emit(void *arg, const struct kp_decoded *decoded, struct kp_error *err)
{
    struct decode_run *run = arg;
    struct op_source *op = run->op;
    struct kp_flow flow = {.batch = decoded->batch, .positions = decoded->positions};
    atomic_fetch_add_explicit(&op->rows, decoded->batch->rows, memory_order_relaxed);
    if (op->fill) {
        struct decoded *kept = kp_arena_calloc(&run->lane->arena, sizeof *kept);
        kept->flow = flow;
        kept->tombstones = decoded->tombstones;
        *run->morsel->kept_end = kept;
        run->morsel->kept_end = &kept->next;
    }
    if (op->relation->kind == KP_RELATION_TABLE)
        return kp_op_upsert_take(op->node.consumers[0].node, run->lane, decoded, err);
    if (op->time_column >= 0)
        take_times(run, &flow);
    if (op->node.uses_watermarks) {
        struct decoded *wait = kp_arena_calloc(&run->lane->arena, sizeof *wait);
        wait->flow = flow;
        *run->morsel->end = wait;
        run->morsel->end = &wait->next;
        return KP_OK;
    }
    return kp_node_send(&op->node, run->lane, &flow, err);
}

static enum kp_code decode_morsel(void *arg, struct kp_lane *lane, uint32_t task, struct kp_error *err)
{
    struct op_source *op = arg;
    struct kp_reader_state **state = &op->states[lane->index];
    if (!*state)
        *state = kp_reader_state_create(op->reader);
    struct decode_run run = {.op = op, .lane = lane, .morsel = &op->morsels[task]};
    op->running[lane->index] = &run;
    struct kp_decode_notes notes = {run.morsel->rivals, run.morsel->wanted};
    kp_reader_state_set_notes(*state, &notes);
    enum kp_code code = kp_reader_read(*state, run.morsel->inputs, run.morsel->count, &lane->arena, decode_emit,
                                       decode_dead, &run, err);
    kp_reader_state_set_notes(*state, NULL);
    return code;
}

static uint32_t records_of(const struct kp_decode_input *input)
{
    return input->bytes >= KP_RECORD_BATCH_HEADER_BYTES ? kp_load_be32(input->batch + 57) : 0;
}

/* Positions that it takes: more than its records when compaction took some out. */
static uint32_t span_of(const struct kp_decode_input *input)
{
    return input->bytes >= KP_RECORD_BATCH_HEADER_BYTES ? kp_load_be32(input->batch + 23) + 1 : 0;
}

/* ---- history columns: rows that were decoded before ---- */

static enum kp_code read_morsel(void *arg, struct kp_lane *lane, uint32_t task, struct kp_error *err)
{
    struct op_source *op = arg;
    struct morsel *morsel = &op->morsels[task];
    struct decode_run run = {.op = op, .lane = lane, .morsel = morsel};
    op->running[lane->index] = &run;
    const struct kp_rows_chunk *rows = morsel->view->rows;
    struct kp_decoded decoded = {
        .batch = kp_batch_create(&lane->arena, op->node.col_count, morsel->rows),
        .positions = kp_rows_chunk_positions(rows, morsel->first_row, morsel->rows, &lane->arena),
        .tombstones = kp_rows_chunk_tombstones(rows, morsel->first_row, morsel->rows, &lane->arena)};
    for (uint32_t c = 0; c < op->node.col_count; c++)
        kp_column_chunk_slice(morsel->view->columns[c], op->node.types[c], morsel->first_row, morsel->rows,
                              &lane->arena, &decoded.batch->vecs[c]);
    return decode_emit(&run, &decoded, err);
}

/* The record batches of a slice, as if they had been read; their bytes are not there. */
static struct kp_decode_input *slice_inputs(struct op_source *op, const struct kp_column_slice *slice,
                                            size_t *ret_count)
{
    const struct kp_rows_chunk *rows = slice->view->rows;
    size_t count = 0;
    struct kp_decode_input *inputs =
        kp_arena_alloc(&op->node.graph->lanes[0].arena, ((size_t)rows->header->entries + 1) * sizeof *inputs);
    for (uint32_t i = 0; i < rows->header->entries; i++) {
        const struct kp_column_batch *batch = &rows->batches[i];
        int64_t from = KP_MAX(batch->position, slice->begin);
        int64_t to = KP_MIN(batch->position + batch->records, slice->end);
        if (from >= to)
            continue;
        atomic_fetch_add_explicit(&op->records, (uint64_t)(to - from), memory_order_relaxed);
        inputs[count++] = (struct kp_decode_input){.partition = batch->partition,
                                                   .base_offset = batch->base_offset,
                                                   .position = batch->position,
                                                   .log_time_us = batch->log_time_us};
    }
    *ret_count = count;
    return inputs;
}

static void report_slice_dead(struct op_source *op, const struct kp_column_slice *slice)
{
    const struct kp_rows_chunk *rows = slice->view->rows;
    for (uint32_t i = 0; i < rows->header->dead; i++) {
        const struct kp_column_dead *dead = &rows->dead[i];
        if (dead->position < slice->begin || dead->position >= slice->end)
            continue;
        struct kp_dead_letter letter = {
            .partition = dead->partition,
            .offset = dead->offset,
            .position = dead->position,
            .reason = kp_arena_strndup(&op->node.graph->lanes[0].arena, dead->reason.ptr, dead->reason.len),
            .key = dead->key,
            .value = dead->value};
        memcpy(letter.sqlstate, dead->sqlstate, sizeof letter.sqlstate);
        report_dead(op, &letter);
    }
}

static void cut_slices(struct op_source *op, const struct kp_step_input *input)
{
    struct kp_arena *arena = &op->node.graph->lanes[0].arena;
    size_t most = 0;
    for (size_t i = 0; i < input->slice_count; i++)
        most += input->slices[i].view->rows->header->rows / MORSEL_RECORDS + 1;
    op->morsels = kp_arena_calloc(arena, (most + 1) * sizeof *op->morsels);
    op->morsel_count = 0;
    for (size_t i = 0; i < input->slice_count; i++) {
        const struct kp_column_slice *slice = &input->slices[i];
        KP_ASSERT(slice->view->count == op->node.col_count);
        uint32_t row = kp_rows_chunk_find(slice->view->rows, slice->begin);
        uint32_t end = kp_rows_chunk_find(slice->view->rows, slice->end);
        size_t count;
        const struct kp_decode_input *inputs = slice_inputs(op, slice, &count);
        report_slice_dead(op, slice);
        for (; row < end; row += MORSEL_RECORDS) {
            struct morsel *morsel = &op->morsels[op->morsel_count++];
            *morsel = (struct morsel){.inputs = inputs,
                                      .count = count,
                                      .view = slice->view,
                                      .first_row = row,
                                      .rows = KP_MIN(end - row, (uint32_t)MORSEL_RECORDS)};
            morsel->end = &morsel->first;
        }
    }
}

/* ---- new columns ---- */

static enum kp_code fill_column(void *arg, struct kp_lane *lane, uint32_t column, struct kp_error *err)
{
    struct op_source *op = arg;
    for (uint32_t m = 0; m < op->morsel_count; m++)
        for (struct decoded *at = op->morsels[m].kept; at; at = at->next)
            kp_column_fill_column(op->fill, column, &at->flow.batch->vecs[column], at->flow.batch->rows);
    return KP_OK;
}

/* Everything was decoded: hands it over. */
static enum kp_code fill_up(struct op_source *op, const struct kp_step_input *input, struct kp_error *err)
{
    for (size_t i = 0; i < input->chunk_count; i++) {
        const struct kp_decode_input *chunk = &input->chunks[i];
        const struct kp_column_batch batch = {.partition = chunk->partition,
                                              .records = span_of(chunk),
                                              .base_offset = chunk->base_offset,
                                              .position = chunk->position,
                                              .log_time_us = chunk->log_time_us};
        kp_column_fill_batch(op->fill, &batch);
    }
    for (uint32_t m = 0; m < op->morsel_count; m++) {
        for (struct decoded *at = op->morsels[m].kept; at; at = at->next)
            kp_column_fill_rows(op->fill, at->flow.positions, at->tombstones, at->flow.batch->rows);
        for (struct dead *at = op->morsels[m].dead; at; at = at->next)
            kp_column_fill_dead(op->fill, &at->dead);
    }
    KP_TRY(kp_graph_parallel(op->node.graph, op->node.col_count, fill_column, op, err));
    kp_column_fill_done(op->fill);
    return KP_OK;
}

/* ---- record batches ---- */

static void cut_morsels(struct op_source *op, const struct kp_step_input *input)
{
    struct kp_arena *arena = &op->node.graph->lanes[0].arena;
    op->morsels = kp_arena_calloc(arena, input->chunk_count * sizeof *op->morsels);
    op->morsel_count = 0;
    uint64_t records = 0, all = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < input->chunk_count; i++) {
        uint32_t more = records_of(&input->chunks[i]);
        all += more;
        if (i == 0 || records + more > MORSEL_RECORDS || bytes + input->chunks[i].bytes > MORSEL_BYTES) {
            op->morsels[op->morsel_count++].inputs = &input->chunks[i];
            records = bytes = 0;
        }
        op->morsels[op->morsel_count - 1].count++;
        op->morsels[op->morsel_count - 1].records += more;
        records += more;
        bytes += input->chunks[i].bytes;
    }
    for (uint32_t i = 0; i < op->morsel_count; i++) {
        struct morsel *morsel = &op->morsels[i];
        morsel->end = &morsel->first;
        morsel->kept_end = &morsel->kept;
        morsel->dead_end = &morsel->dead;
    }
    atomic_fetch_add_explicit(&op->records, all, memory_order_relaxed);
}

/* ---- several sources of one topic ---- */

/* The first name of the path, if the source may take notes and use them; else NULL. */
static const char *path_head(const struct kp_relation *relation, struct kp_arena *arena)
{
    const char *format = kp_relation_option(relation, "format"), *path = kp_relation_option(relation, "path");
    if (relation->kind != KP_RELATION_SOURCE || relation->versions_of || (format && strcmp(format, "json") != 0) ||
        !path || !*path)
        return NULL;
    return kp_arena_strndup(arena, path, strcspn(path, "."));
}

static bool is_rival(const struct op_source *op, const char *head, uint32_t *ret_at)
{
    for (*ret_at = 0; *ret_at < op->rival_count; (*ret_at)++)
        if (strcmp(op->rivals[*ret_at], head) == 0)
            return true;
    return false;
}

static enum kp_code make_reader(struct op_source *op, struct kp_error *err);

/* A source's node, or that which a table decodes with. */
static const struct op_source *source_of(const struct kp_node *node)
{
    if (node->ops == &kp_upsert_ops)
        node = node->inputs[0];
    return node->ops == &kp_source_ops ? (const struct op_source *)node : NULL;
}

/* Later sources that read the same records in this step become rivals; the decoder is made anew for new ones. */
static enum kp_code find_rivals(struct op_source *op, const struct kp_step_input *input, struct kp_error *err)
{
    struct kp_graph *graph = op->node.graph;
    uint32_t before = op->rival_count, at;
    for (size_t i = 0; i < graph->step->input_count; i++) {
        const struct kp_step_input *other = &graph->step->inputs[i];
        const struct kp_node *node = other->node->ops == &kp_upsert_ops ? other->node->inputs[0] : other->node;
        if (other->chunks != input->chunks || node == &op->node || node->ops != &kp_source_ops)
            continue;
        const char *head = path_head(((const struct op_source *)node)->relation, &graph->lanes[0].arena);
        if (head && op->rival_count < KP_DECODE_RIVALS_MAX && !is_rival(op, head, &at))
            op->rivals[op->rival_count++] = kp_arena_strdup(&op->node.arena, head);
    }
    return op->rival_count > before ? make_reader(op, err) : KP_OK;
}

/* Takes the notes of a source that has read these records in this step; false: there is none. */
static bool use_notes(struct op_source *op, const struct kp_step_input *input, const char *head)
{
    struct kp_graph *graph = op->node.graph;
    for (size_t i = 0; i < graph->step->input_count; i++) {
        const struct op_source *from = source_of(graph->step->inputs[i].node);
        uint32_t at;
        if (!from || from->node.place >= op->node.place || from->chunks != input->chunks || !is_rival(from, head, &at))
            continue;
        for (uint32_t m = 0; m < op->morsel_count; m++)
            op->morsels[m].wanted = from->morsels[m].rivals[at];
        return true;
    }
    return false;
}

/* Room for notes about the rivals. */
static void begin_notes(struct op_source *op, const struct kp_step_input *input)
{
    struct kp_arena *arena = &op->node.graph->lanes[0].arena;
    for (uint32_t m = 0; m < op->morsel_count; m++) {
        struct morsel *morsel = &op->morsels[m];
        morsel->rivals = kp_arena_alloc(arena, op->rival_count * sizeof *morsel->rivals);
        for (uint32_t r = 0; r < op->rival_count; r++)
            morsel->rivals[r] = kp_arena_calloc(arena, (morsel->records / 64 + 1) * sizeof(uint64_t));
    }
}

/* ---- late rows: W at each row, in log order ---- */

static void give_watermarks(struct op_source *op)
{
    struct kp_lane *lane = &op->node.graph->lanes[0];
    int64_t watermark = op->watermark, looked_us = INT64_MIN;
    for (uint32_t m = 0; m < op->morsel_count; m++) {
        struct decode_run run = {.op = op, .lane = lane, .morsel = &op->morsels[m]};
        for (struct decoded *at = op->morsels[m].first; at; at = at->next) {
            uint32_t rows = at->flow.batch->rows;
            const struct kp_vec *times = &at->flow.batch->vecs[op->time_column];
            int64_t *watermarks = kp_arena_alloc(&lane->arena, rows * sizeof *watermarks);
            for (uint32_t row = 0; row < rows; row++) {
                const struct kp_decode_input *chunk = chunk_of(&run, at->flow.positions[row]);
                int64_t time_us = kp_source_event_time(times, row), now_us = chunk->log_time_us - POSTGRES_EPOCH_US;
                bool passes = op->by_log_time || op->idle_us != INT64_MAX; /* others may have become idle until now */
                if (now_us > looked_us && passes)
                    watermark = watermark_of(op, watermark, now_us);
                looked_us = now_us;
                watermarks[row] = watermark;
                bool moves = time_us > find_partition(&op->partitions, chunk->partition)->time_max;
                note_rows(&op->partitions, chunk->partition, time_us, now_us);
                if (moves || op->idle_us != INT64_MAX)
                    watermark = watermark_of(op, watermark, now_us);
            }
            at->flow.watermarks = watermarks;
        }
    }
    op->watermark = watermark;
}

static enum kp_code send_morsel(void *arg, struct kp_lane *lane, uint32_t task, struct kp_error *err)
{
    struct op_source *op = arg;
    for (struct decoded *at = op->morsels[task].first; at; at = at->next)
        KP_TRY(kp_node_send(&op->node, lane, &at->flow, err));
    return KP_OK;
}

static enum kp_code decode_chunks(struct op_source *op, const struct kp_step_input *input, struct kp_error *err)
{
    struct kp_graph *graph = op->node.graph;
    cut_morsels(op, input);
    const char *head = path_head(op->relation, &graph->lanes[0].arena);
    if (head && graph->step->input_count > 1 && !use_notes(op, input, head)) {
        KP_TRY(find_rivals(op, input, err));
        if (op->rival_count)
            begin_notes(op, input);
    }
    op->fill = input->fill;
    enum kp_code code = kp_graph_parallel(graph, op->morsel_count, decode_morsel, op, err);
    if (code == KP_OK && op->fill)
        code = fill_up(op, input, err);
    op->fill = NULL;
    return code;
}

static enum kp_code bring(struct op_source *op, const struct kp_step_input *input, struct kp_error *err)
{
    struct kp_graph *graph = op->node.graph;
    enum kp_code code;
    if (input->slice_count) {
        cut_slices(op, input);
        code = kp_graph_parallel(graph, op->morsel_count, read_morsel, op, err);
    } else {
        code = decode_chunks(op, input, err);
    }
    if (code == KP_OK && op->node.uses_watermarks) {
        give_watermarks(op);
        code = kp_graph_parallel(graph, op->morsel_count, send_morsel, op, err);
    }
    for (uint32_t m = 0; m < op->morsel_count; m++) {
        struct part_list *times = &op->morsels[m].times;
        for (uint32_t i = 0; i < times->count; i++)
            note_rows(&op->partitions, times->items[i].number, times->items[i].time_max, times->items[i].seen_us);
        kp_free(times->items);
    }
    if (code == KP_OK && op->rival_count && input->chunk_count)
        op->chunks = input->chunks;
    return code; /* morsels stay until the next step: others may read their notes */
}

static bool has_readers(const struct op_source *op)
{
    return (op->node.consumer_count > 0 || op->time_column >= 0) && op->reader;
}

bool kp_node_is_read(const struct kp_node *node)
{
    const struct op_source *op = (const struct op_source *)(node->ops == &kp_upsert_ops ? node->inputs[0] : node);
    return op->node.ops == &kp_source_ops && has_readers(op);
}

bool kp_node_fields(const struct kp_node *node, struct kp_column_field *ret_fields, uint32_t *ret_count)
{
    const struct op_source *op = (const struct op_source *)(node->ops == &kp_upsert_ops ? node->inputs[0] : node);
    if (!kp_node_is_read(node))
        return false;
    for (uint32_t c = 0; c < op->node.col_count; c++)
        ret_fields[c] = (struct kp_column_field){
            .number = op->columns[c], .name = op->relation->cols[op->columns[c]].name, .type = op->node.types[c]};
    *ret_count = op->node.col_count;
    return true;
}

/* Whose windows close by its watermark. */
static void wake_followers(const struct kp_node *source)
{
    for (uint32_t i = 0; i < source->consumer_count; i++) {
        struct kp_node *reader = source->consumers[i].node;
        if (reader->ops == &kp_emit_ops)
            kp_node_wake(reader);
        else if (reader->ops == &kp_upsert_ops)
            wake_followers(reader);
    }
}

static enum kp_code source_bring(struct kp_node *node, const struct kp_step_input *input, struct kp_error *err)
{
    struct op_source *op = (struct op_source *)node;
    if (input && (input->chunk_count || input->slice_count) && has_readers(op)) {
        enum kp_code code = bring(op, input, err);
        if (code != KP_OK) {
            kp_error_context(err, "reading \"%s\"", op->relation->name);
            return code;
        }
    }
    /* In a partial step not all records up to the log's time need be here: only their own times count. */
    bool whole = kp_graph_step_final(node->graph);
    int64_t now_us = whole ? node->graph->step->log_time_us - POSTGRES_EPOCH_US : last_seen(op);
    now_us = KP_MAX(now_us, INT64_MIN / 2);
    op->idle_seen_us = KP_MAX(op->idle_seen_us, now_us);
    int64_t before = op->watermark;
    op->watermark = node->graph->step->close_windows ? INT64_MAX : watermark_of(op, op->watermark, now_us);
    if (op->watermark != before && !op->by_log_time) /* else they have timers (kp_node_watermark_log_time) */
        wake_followers(node);
    return KP_OK;
}

/* The next partition that becomes idle may let windows close. */
static int64_t source_due(const struct kp_node *node)
{
    const struct op_source *op = (const struct op_source *)node;
    int64_t due_us = INT64_MAX, last_us = last_seen(op);
    if (op->idle_us == INT64_MAX || !node->uses_watermarks || op->by_log_time)
        return INT64_MAX;
    for (uint32_t i = 0; i < op->partitions.count; i++) {
        const struct partition *partition = &op->partitions.items[i];
        if (partition->seen_us < last_us && partition->seen_us > op->idle_seen_us - op->idle_us)
            due_us = KP_MIN(due_us, partition->seen_us + op->idle_us);
    }
    return due_us;
}

/* ---- building ---- */

static enum kp_code make_reader(struct op_source *op, struct kp_error *err)
{
    struct kp_reader *reader;
    KP_TRY(kp_reader_create(op->relation, op->columns, op->node.col_count, op->node.graph->options.zone, op->rivals,
                            op->rival_count, &reader, err));
    for (uint32_t lane = 0; lane < op->node.graph->lanes_count; lane++) {
        kp_reader_state_destroy(op->states[lane]);
        op->states[lane] = NULL;
    }
    kp_reader_destroy(op->reader);
    op->reader = reader;
    return KP_OK;
}

/* Appends columns that are not decoded yet; ret_columns[i]: where columns[i] of the relation is in the node. */
enum kp_code kp_op_source_need(struct kp_node *node, const uint32_t *columns, uint32_t count, uint32_t *ret_columns,
                               struct kp_error *err)
{
    struct op_source *op = (struct op_source *)node;
    uint32_t before = node->col_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0;
        while (at < node->col_count && op->columns[at] != columns[i])
            at++;
        if (at == node->col_count) {
            node->types[at] = op->relation->cols[columns[i]].type;
            op->columns[at] = columns[i];
            node->col_count++;
        }
        ret_columns[i] = at;
    }
    if (node->col_count == before && op->reader)
        return KP_OK;
    return make_reader(op, err);
}

struct kp_relation *kp_op_source_relation(const struct kp_node *node)
{
    return ((const struct op_source *)node)->relation;
}

static void source_lanes(struct kp_node *node, bool start);

enum kp_code kp_op_source(struct kp_graph *graph, struct kp_relation *relation, struct kp_node **ret_node,
                          struct kp_error *err)
{
    struct op_source *op =
        (struct op_source *)kp_node_create(graph, &kp_source_ops, relation->cols, relation->col_count, NULL, 0);
    op->node.col_count = 0; /* types has room for all columns: they come when asked for */
    op->relation = kp_relation_ref(relation);
    op->columns = kp_arena_calloc(&op->node.arena, (relation->col_count + 1) * sizeof *op->columns);
    source_lanes(&op->node, true);
    op->watermark = INT64_MIN;
    op->time_column = -1;
    enum kp_code code = kp_source_max_ahead(relation, graph->options.max_ahead_us, &op->max_ahead_us, err);
    if (code == KP_OK)
        code = kp_source_idle_timeout(relation, &op->idle_us, err);
    op->idle_seen_us = INT64_MIN / 2;
    if (code == KP_OK && relation->watermark_column >= 0) {
        uint32_t column = (uint32_t)relation->watermark_column, at;
        code = kp_op_source_need(&op->node, &column, 1, &at, err);
        op->time_column = 0;
        op->by_log_time = relation->origins && relation->origins[column] == KP_FIELD_LOG_TIME;
    }
    op->node.restless = op->by_log_time || op->idle_us != INT64_MAX;
    if (code != KP_OK) {
        kp_graph_drop(graph, &op->node);
        return code;
    }
    snprintf(op->node.detail, sizeof op->node.detail, "%s", relation->name);
    *ret_node = &op->node;
    return KP_OK;
}

enum kp_code kp_op_source_take_over(struct kp_node *node, struct kp_node *old, struct kp_error *err)
{
    struct op_source *from = (struct op_source *)old;
    uint32_t *map = kp_calloc(old->col_count + 1, sizeof *map);
    enum kp_code code = kp_op_source_need(node, from->columns, old->col_count, map, err);
    for (uint32_t i = 0; code == KP_OK && i < old->consumer_count; i++)
        if (old->consumers[i].node->ops == &kp_columns_ops)
            kp_op_columns_remap(old->consumers[i].node, map);
    if (old->uses_watermarks) { /* it was followed row by row */
        node->uses_watermarks = true;
        ((struct op_source *)node)->watermark = from->watermark;
        wake_followers(node);
    }
    kp_free(map);
    return code;
}

void kp_node_times_get(const struct kp_node *node, int64_t *ret_watermark, struct kp_source_time **ret_times,
                       uint32_t *ret_count)
{
    const struct op_source *op = source_of(node);
    *ret_count = op ? op->partitions.count : 0;
    *ret_watermark = op ? op->watermark : INT64_MIN;
    *ret_times = kp_calloc(*ret_count + 1, sizeof **ret_times);
    const struct partition *seen = op ? op->partitions.items : NULL;
    for (uint32_t i = 0; i < *ret_count; i++)
        (*ret_times)[i] = (struct kp_source_time){seen[i].number, seen[i].time_max, seen[i].seen_us};
}

void kp_node_times_set(struct kp_node *node, int64_t watermark, const struct kp_source_time *times, uint32_t count)
{
    struct op_source *op = (struct op_source *)(uintptr_t)source_of(node);
    if (!op)
        return;
    op->watermark = KP_MAX(op->watermark, watermark);
    for (uint32_t i = 0; i < count; i++)
        note_rows(&op->partitions, times[i].partition, times[i].time_max, times[i].seen_us);
    wake_followers(&op->node);
}

bool kp_node_clock(const struct kp_node *node, struct kp_source_clock *ret_clock)
{
    const struct op_source *op = source_of(node);
    if (!op || op->time_column < 0 || op->relation->kind != KP_RELATION_SOURCE)
        return false;
    struct kp_source_clock clock = {.watermark = op->watermark,
                                    .time_max = INT64_MIN,
                                    .partitions = op->partitions.count,
                                    .slowest = -1,
                                    .too_far_ahead = atomic_load(&op->too_far_ahead)};
    int64_t last_us = last_seen(op), least = INT64_MAX;
    for (uint32_t i = 0; i < op->partitions.count; i++) {
        const struct partition *partition = &op->partitions.items[i];
        bool idle = is_idle(op, partition, last_us, op->idle_seen_us);
        clock.time_max = KP_MAX(clock.time_max, partition->time_max);
        clock.idle_partitions += idle;
        if (idle || op->by_log_time || partition->time_max >= least)
            continue;
        least = partition->time_max;
        clock.slowest = partition->number;
    }
    *ret_clock = clock;
    return true;
}

int64_t kp_node_watermark_log_time(const struct kp_node *node, int64_t watermark)
{
    const struct op_source *op = source_of(node);
    if (!op || op->watermark >= watermark)
        return INT64_MIN;
    int64_t most_us = INT64_MAX - POSTGRES_EPOCH_US - op->relation->watermark_delay_us;
    return op->by_log_time && watermark < most_us ? watermark + op->relation->watermark_delay_us : INT64_MAX;
}

int64_t kp_node_watermark(const struct kp_node *node)
{
    if (node->ops == &kp_upsert_ops)
        node = node->inputs[0];
    return node->ops == &kp_source_ops ? ((const struct op_source *)node)->watermark : INT64_MIN;
}

int64_t kp_node_watermark_above(const struct kp_node *node)
{
    int64_t least = node->input_count ? INT64_MAX : kp_node_watermark(node);
    for (uint32_t i = 0; i < node->input_count; i++)
        least = KP_MIN(least, kp_node_watermark_above(node->inputs[i]));
    return least;
}

void kp_op_source_stats(const struct kp_node *node, struct kp_input_stats *stats)
{
    const struct op_source *op = (const struct op_source *)node;
    stats->records = atomic_load(&op->records);
    stats->rows = atomic_load(&op->rows);
    stats->dead_letters = atomic_load(&op->dead_letters);
}

static void source_lanes(struct kp_node *node, bool start)
{
    struct op_source *op = (struct op_source *)node;
    uint32_t lanes = node->graph->lanes_count;
    if (start) {
        op->states = kp_calloc(lanes, sizeof(struct kp_reader_state *));
        op->running = kp_calloc(lanes, sizeof(struct decode_run *));
        return;
    }
    for (uint32_t lane = 0; lane < lanes; lane++)
        kp_reader_state_destroy(op->states[lane]);
    kp_free(op->states);
    kp_free(op->running);
}

static void source_release(struct kp_node *node)
{
    struct op_source *op = (struct op_source *)node;
    op->morsels = NULL;
    op->chunks = NULL;
}

static void source_finish(struct kp_node *node)
{
    struct op_source *op = (struct op_source *)node;
    kp_free(op->partitions.items);
    kp_reader_destroy(op->reader);
    kp_relation_unref(op->relation);
}

const struct kp_node_ops kp_source_ops = {.kind = "source",
                                          .bytes = sizeof(struct op_source),
                                          .bring = source_bring,
                                          .due = source_due,
                                          .lanes = source_lanes,
                                          .release = source_release,
                                          .finish = source_finish};
