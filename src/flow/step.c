/*
 * A step: one pass over the nodes in topological order.
 *
 * Entries (sources, inputs) bring the step's rows and push them through stateless operators into the inboxes of
 * stateful ones; then each stateful node in turn has its parts run, which pushes further. A node's parts run in
 * parallel when the step is large, and a barrier follows. So when a node's turn comes, all its rows of the step are
 * there.
 */
#include "flow/graph.h"

#include <stdlib.h>

#include "os/os.h"

/* PostgreSQL counts from 2000-01-01, the log from 1970-01-01. */
static const int64_t POSTGRES_EPOCH_US = 946684800000000;

struct run {
    struct kp_graph *graph;
    enum kp_code (*run)(void *arg, struct kp_lane *lane, uint32_t task, struct kp_error *err);
    void *arg;
    _Atomic int failed; /* 0 or the code of the first failure */
    struct kp_mutex lock;
    struct kp_error error;
};

static bool is_cancelled(const struct kp_step *step)
{
    return step && step->cancel && atomic_load_explicit(step->cancel, memory_order_relaxed);
}

static void run_task(void *arg, uint32_t slot, uint32_t task)
{
    struct run *run = arg;
    if (atomic_load_explicit(&run->failed, memory_order_relaxed))
        return;
    struct kp_error error;
    kp_error_clear(&error);
    const struct kp_step *step = run->graph->step;
    enum kp_code code = KP_OK;
    if (is_cancelled(step))
        code = kp_fail(&error, KP_CANCELLED, NULL, "the step was cancelled");
    else
        code = run->run(run->arg, &run->graph->lanes[slot], task, &error);
    if (code == KP_OK)
        return;
    kp_mutex_lock(&run->lock);
    if (!atomic_load(&run->failed)) {
        run->error = error;
        atomic_store(&run->failed, (int)code);
    }
    kp_mutex_unlock(&run->lock);
}

enum kp_code kp_graph_parallel(struct kp_graph *graph, uint32_t count,
                               enum kp_code (*run)(void *arg, struct kp_lane *lane, uint32_t task,
                                                   struct kp_error *err),
                               void *arg, struct kp_error *err)
{
    struct run all = {.graph = graph, .run = run, .arg = arg};
    kp_mutex_init(&all.lock);
    kp_workers_run(graph->parallel ? graph->workers : NULL, count, run_task, &all);
    kp_mutex_finish(&all.lock);
    enum kp_code code = (enum kp_code)atomic_load(&all.failed);
    if (code != KP_OK && err)
        *err = all.error;
    return code;
}

bool kp_graph_step_final(const struct kp_graph *graph)
{
    return !graph->step || !graph->step->partial;
}

/* ---- rows on their way ---- */

enum { KEEP_BYTES_MAX = 64 << 20 }; /* of a lane's arena between steps, if the last step used as much */

enum kp_code kp_lane_check(struct kp_lane *lane, struct kp_error *err)
{
    return kp_arena_check(&lane->arena, err);
}

static void fail_downstream(struct kp_node *node, const struct kp_error *why)
{
    if (atomic_load(&node->failed))
        return;
    node->failure = kp_arena_alloc(&node->arena, sizeof *node->failure);
    *node->failure = *why;
    atomic_store(&node->failed, true);
    node->graph->failing |= node->ops == &kp_output_ops;
    for (uint32_t i = 0; i < node->consumer_count; i++)
        fail_downstream(node->consumers[i].node, why);
}

void kp_node_fail(struct kp_node *node, const struct kp_error *why)
{
    struct kp_error error = *why;
    kp_error_context(&error, "operator %u (%s%s%s)", node->id, node->ops->kind, node->detail[0] ? ": " : "",
                     node->detail);
    kp_mutex_lock(&node->graph->fail_lock);
    fail_downstream(node, &error);
    kp_mutex_unlock(&node->graph->fail_lock);
}

void kp_graph_fail(struct kp_node *node, const struct kp_error *why)
{
    kp_mutex_lock(&node->graph->fail_lock);
    fail_downstream(node, why);
    kp_mutex_unlock(&node->graph->fail_lock);
}

/* Whether all that read it have failed, beside so many users. */
static bool is_forsaken(const struct kp_node *node, uint32_t users)
{
    for (uint32_t i = 0; i < node->consumer_count; i++)
        if (!atomic_load(&node->consumers[i].node->failed))
            return false;
    return !node->pinned && node->users <= users;
}

/* With fail_lock. */
static void forsake(struct kp_node *node, const struct kp_node *top, const struct kp_error *why)
{
    bool held = node == top || node->ops == &kp_output_ops;
    if (atomic_load(&node->failed) || !is_forsaken(node, held))
        return;
    fail_downstream(node, why);
    for (uint32_t i = 0; i < node->input_count; i++)
        forsake(node->inputs[i], top, why);
}

void kp_graph_forsake(struct kp_output *output, const struct kp_node *node, const struct kp_error *why)
{
    struct kp_graph *graph = output->node->graph;
    kp_mutex_lock(&graph->fail_lock);
    forsake(output->node, node, why);
    kp_mutex_unlock(&graph->fail_lock);
}

/* A spent budget is one operator's affair, and so is that nobody wants its answer any more (kp_graph_forsake);
 * everything else is the whole graph's. */
static enum kp_code contain(struct kp_node *node, enum kp_code code, const struct kp_error *err)
{
    if (code == KP_CANCELLED && atomic_load(&node->failed) && !is_cancelled(node->graph->step))
        return KP_OK;
    if (code != KP_BUDGET || !err)
        return code;
    kp_node_fail(node, err);
    return KP_OK;
}

/*
 * An operator's work in this lane is done. What it made in vain of texts that the budget refused fails it; if it has
 * failed, so has all that it sent to, and what they took in this lane since `before` goes back to the budget at once:
 * others go on.
 */
static enum kp_code settle(struct kp_node *node, struct kp_lane *lane, const struct kp_arena_mark *before,
                           struct kp_lane_error *errors_before, enum kp_code code, struct kp_error *err)
{
    if (code == KP_OK && lane->arena.overspent)
        code = kp_arena_check(&lane->arena, err);
    code = contain(node, code, err);
    if (code == KP_OK && atomic_load_explicit(&node->failed, memory_order_relaxed)) {
        kp_arena_rewind(&lane->arena, before);
        lane->errors = errors_before;
    }
    return code;
}

static enum kp_code push(const struct kp_consumer *consumer, struct kp_lane *lane, const struct kp_flow *in,
                         struct kp_error *err)
{
    struct kp_arena_mark before = kp_arena_mark(&lane->arena);
    struct kp_lane_error *errors = lane->errors;
    const _Atomic bool *also = lane->arena.also;
    lane->arena.also = &consumer->node->failed;
    enum kp_code code = consumer->node->ops->push(consumer->node, lane, consumer->port, in, err);
    lane->arena.also = also;
    return settle(consumer->node, lane, &before, errors, code, err);
}

enum kp_code kp_node_send(struct kp_node *node, struct kp_lane *lane, const struct kp_flow *out, struct kp_error *err)
{
    uint32_t rows = out->batch->rows;
    if (rows == 0)
        return KP_OK;
    KP_TRY(kp_lane_check(lane, err));
    atomic_fetch_add_explicit(&node->rows_out, rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&node->batches, 1, memory_order_relaxed);
    for (uint32_t i = 0; i < node->consumer_count; i++) {
        struct kp_node *consumer = node->consumers[i].node;
        if (atomic_load_explicit(&consumer->failed, memory_order_relaxed))
            continue;
        atomic_fetch_add_explicit(&consumer->rows_in, rows, memory_order_relaxed);
        if (consumer->ops->part) /* others have no turn: they pass on at once what they are given */
            kp_node_wake(consumer);
        KP_TRY(push(&node->consumers[i], lane, out, err));
    }
    return KP_OK;
}

void kp_node_error(struct kp_node *node, struct kp_lane *lane, int64_t weight, int64_t log_position,
                   const char *sqlstate, const char *message)
{
    kp_node_error_in(node, lane, weight, log_position, INT64_MIN, sqlstate, message);
}

/* Who is told of error rows of a node, as mark_before has it. With fail_lock. */
static void wake_behind(struct kp_node *node)
{
    for (uint32_t i = 0; i < node->consumer_count; i++) {
        struct kp_node *consumer = node->consumers[i].node;
        if (consumer->told)
            continue;
        consumer->told = true;
        kp_node_wake(consumer);
        if (!consumer->skips_errors && consumer->ops != &kp_emit_ops)
            wake_behind(consumer);
    }
}

static void note_erred(struct kp_node *node)
{
    if (atomic_load_explicit(&node->erred, memory_order_relaxed))
        return;
    kp_mutex_lock(&node->graph->fail_lock);
    atomic_store_explicit(&node->erred, true, memory_order_relaxed);
    kp_node_wake(node);
    wake_behind(node);
    kp_mutex_unlock(&node->graph->fail_lock);
}

void kp_node_error_in(struct kp_node *node, struct kp_lane *lane, int64_t weight, int64_t log_position,
                      int64_t window_end, const char *sqlstate, const char *message)
{
    note_erred(node);
    struct kp_lane_error *error = kp_arena_calloc(&lane->arena, sizeof *error);
    error->node = node;
    error->error.weight = weight;
    error->error.log_position = log_position;
    error->window_end = window_end;
    error->error.origin = node->origin;
    memcpy(error->error.sqlstate, sqlstate, sizeof error->error.sqlstate - 1);
    error->error.message = kp_arena_strdup(&lane->arena, message);
    error->next = lane->errors;
    lane->errors = error;
}

void kp_node_divert(struct kp_node *node, struct kp_lane *lane, struct kp_eval *eval, const struct kp_flow *in)
{
    kp_eval_first_errors(eval);
    for (uint32_t i = 0; i < eval->error_count; i++) {
        const struct kp_row_error *error = &eval->errors[i];
        int64_t window_end = INT64_MIN;
        if (node->end_in < in->batch->cols)
            window_end = kp_window_end_us(&in->batch->vecs[node->end_in], error->row);
        kp_node_error_in(node, lane, in->batch->weights ? in->batch->weights[error->row] : 1,
                         in->positions ? in->positions[error->row] : -1, window_end, error->sqlstate, error->message);
        lane->errors->error.detail = error->detail ? kp_arena_strdup(&lane->arena, error->detail) : NULL;
        lane->errors->error.hint = error->hint ? kp_arena_strdup(&lane->arena, error->hint) : NULL;
    }
}

static const int64_t *gather_i64(const int64_t *from, const uint32_t *index, uint32_t n, struct kp_arena *arena)
{
    if (!from)
        return NULL;
    int64_t *to = kp_arena_alloc(arena, n * sizeof *to);
    for (uint32_t i = 0; i < n; i++)
        to[i] = from[index[i]];
    return to;
}

struct kp_flow kp_flow_gather_any(const struct kp_flow *in, const uint32_t *index, uint32_t n, struct kp_arena *arena)
{
    return (struct kp_flow){.batch = kp_batch_gather(in->batch, index, n, arena),
                            .positions = gather_i64(in->positions, index, n, arena),
                            .watermarks = gather_i64(in->watermarks, index, n, arena)};
}

struct kp_flow kp_flow_gather(const struct kp_flow *in, const uint32_t *index, uint32_t n, struct kp_arena *arena)
{
    return n == in->batch->rows ? *in : kp_flow_gather_any(in, index, n, arena); /* ascending: then it is all of them */
}

/* ---- errors to outputs ---- */

static void mark_before(const struct kp_node *node, uint8_t *marks)
{
    if (marks[node->place])
        return;
    marks[node->place] = 1;
    if (node->skips_errors || node->ops == &kp_emit_ops) /* an emit tells those from before it itself */
        return;
    for (uint32_t i = 0; i < node->input_count; i++)
        mark_before(node->inputs[i], marks);
}

/* As mark_before: whom the walk comes by has its number. One thread. */
static void look_before(struct kp_node *node, uint64_t look)
{
    if (node->look == look)
        return;
    node->look = look;
    if (node->skips_errors || node->ops == &kp_emit_ops)
        return;
    for (uint32_t i = 0; i < node->input_count; i++)
        look_before(node->inputs[i], look);
}

const struct kp_lane_error **kp_node_errors_before(const struct kp_node *node, size_t *ret_count)
{
    struct kp_graph *graph = node->graph;
    size_t count = 0;
    for (uint32_t l = 0; l < graph->lanes_count; l++)
        for (const struct kp_lane_error *at = graph->lanes[l].errors; at; at = at->next)
            count++;
    *ret_count = 0;
    if (count == 0)
        return NULL;
    struct kp_arena *arena = &graph->lanes[0].arena;
    const struct kp_lane_error **errors = kp_arena_alloc(arena, count * sizeof *errors);
    uint64_t look = ++graph->looks;
    for (uint32_t i = 0; i < node->input_count; i++)
        look_before(node->inputs[i], look);
    for (uint32_t l = 0; l < graph->lanes_count; l++)
        for (const struct kp_lane_error *at = graph->lanes[l].errors; at; at = at->next)
            if (at->node->look == look)
                errors[(*ret_count)++] = at;
    return errors;
}

static int compare_flow_errors(const void *a, const void *b)
{
    const struct kp_flow_error *x = a, *y = b;
    if (x->log_position != y->log_position)
        return x->log_position < y->log_position ? -1 : 1;
    int order = strcmp(x->sqlstate, y->sqlstate);
    order = order ? order : strcmp(x->message, y->message);
    return order ? order : (x->origin > y->origin) - (x->origin < y->origin);
}

/* How often an emit tells each error row of `node`. */
static int64_t times_told(const struct kp_node *emit, const struct kp_node *node, struct kp_arena *arena)
{
    const struct kp_graph *graph = node->graph;
    uint8_t *marks = kp_arena_calloc(arena, graph->node_count);
    for (uint32_t i = 0; i < emit->input_count; i++)
        mark_before(emit->inputs[i], marks);
    int64_t times = marks[node->place];
    for (uint32_t i = 0; i < graph->node_count; i++)
        if (marks[i] && graph->nodes[i]->ops == &kp_emit_ops)
            times += times_told(graph->nodes[i], node, arena);
    return times;
}

uint32_t kp_output_error_ways(const struct kp_output *output, const struct kp_node *node, struct kp_arena *arena,
                              struct kp_error_way **ret_ways)
{
    const struct kp_graph *graph = node->graph;
    uint8_t *marks = kp_arena_calloc(arena, graph->node_count);
    mark_before(output->node, marks);
    struct kp_error_way *ways = *ret_ways = kp_arena_alloc(arena, (graph->node_count + (size_t)1) * sizeof *ways);
    uint32_t count = 0;
    if (marks[node->place])
        ways[count++] = (struct kp_error_way){.times = 1};
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const struct kp_node *emit = graph->nodes[i];
        int64_t times = marks[i] && emit->ops == &kp_emit_ops ? times_told(emit, node, arena) : 0;
        if (times)
            ways[count++] = (struct kp_error_way){true, emit->origin, times};
    }
    return count;
}

/* Of equal ones the least detail is told, so that it does not depend on their order. */
static void add_flow_error(struct kp_flow_error *sum, const struct kp_flow_error *more)
{
    sum->weight += more->weight;
    if (sum->detail && (!more->detail || strcmp(more->detail, sum->detail) < 0))
        sum->detail = more->detail;
}

static void collect_errors(struct kp_graph *graph, struct kp_output *output)
{
    size_t count = 0;
    for (uint32_t l = 0; l < graph->lanes_count; l++)
        for (const struct kp_lane_error *at = graph->lanes[l].errors; at; at = at->next)
            count++;
    struct kp_arena *arena = &graph->lanes[0].arena;
    uint64_t look = ++graph->looks;
    look_before(output->node, look);
    struct kp_flow_error *errors = kp_arena_alloc(arena, count * sizeof *errors);
    size_t n = 0, kept = 0;
    for (uint32_t l = 0; l < graph->lanes_count; l++)
        for (const struct kp_lane_error *at = graph->lanes[l].errors; at; at = at->next)
            if (at->node->look == look)
                errors[n++] = at->error;
    qsort(errors, n, sizeof *errors, compare_flow_errors);
    for (size_t i = 0; i < n; i++) {
        if (kept && compare_flow_errors(&errors[kept - 1], &errors[i]) == 0)
            add_flow_error(&errors[kept - 1], &errors[i]);
        else
            errors[kept++] = errors[i];
        if (errors[kept - 1].weight == 0 && (i + 1 == n || compare_flow_errors(&errors[kept - 1], &errors[i + 1]) != 0))
            kept--;
    }
    output->changes.errors = errors;
    output->changes.error_count = kept;
}

/* ---- the pass ---- */

struct part_run {
    struct kp_node *node;
    uint32_t parts[KP_PARTS_MAX];
};

static enum kp_code run_part(void *arg, struct kp_lane *lane, uint32_t task, struct kp_error *err)
{
    struct part_run *run = arg;
    struct kp_arena_mark before = kp_arena_mark(&lane->arena);
    struct kp_lane_error *errors = lane->errors;
    lane->arena.also = &run->node->failed;
    enum kp_code code = run->node->ops->part(run->node, lane, run->parts[task], err);
    lane->arena.also = NULL;
    return settle(run->node, lane, &before, errors, code, err);
}

static enum kp_code run_node(struct kp_graph *graph, struct kp_node *node, struct kp_error *err)
{
    struct part_run run = {.node = node};
    if (atomic_load(&node->failed)) {
        for (uint32_t i = 0; i < node->input_count; i++)
            kp_inbox_clear(&node->inboxes[i]);
        return KP_OK;
    }
    uint32_t count = 0;
    uint64_t rows = 0;
    for (uint32_t i = 0; i < node->input_count; i++)
        rows += kp_inbox_rows(&node->inboxes[i]);
    for (uint32_t part = 0; part < graph->parts; part++) {
        bool any = node->ops->wants && node->ops->wants(node, part);
        for (uint32_t i = 0; !any && rows && i < node->input_count; i++)
            any = kp_inbox_any(&node->inboxes[i], part);
        if (any)
            run.parts[count++] = part;
    }
    if (count == 0)
        return KP_OK;
    int64_t start_ns = kp_os_real()->mono_ns(kp_os_real()->ctx);
    bool parallel = graph->parallel;
    graph->parallel = parallel && rows >= graph->options.parallel_rows_min;
    enum kp_code code = kp_graph_parallel(graph, count, run_part, &run, err);
    graph->parallel = parallel;
    for (uint32_t i = 0; i < node->input_count; i++)
        kp_inbox_clear(&node->inboxes[i]);
    node->touched = true;
    node->ns += (uint64_t)(kp_os_real()->mono_ns(kp_os_real()->ctx) - start_ns);
    return contain(node, code, err);
}

/* ---- who is awake ---- */

/* The first place from this one on whose node is awake, node_count if there is none. */
static uint32_t next_awake(const struct kp_graph *graph, uint32_t place)
{
    uint32_t words = (graph->node_count + 63) / 64;
    for (uint32_t w = place / 64, from = place % 64; w < words; w++, from = 0) {
        uint64_t bits = atomic_load_explicit(&graph->awake[w], memory_order_relaxed) & UINT64_MAX << from;
        if (bits)
            return KP_MIN(w * 64 + (uint32_t)__builtin_ctzll(bits), graph->node_count);
    }
    return graph->node_count;
}

/* Likewise of those that were visited and are not released. */
static uint32_t next_ran(const struct kp_graph *graph, uint32_t place)
{
    uint32_t words = (graph->node_count + 63) / 64;
    for (uint32_t w = place / 64, from = place % 64; w < words; w++, from = 0)
        if (graph->ran[w] & UINT64_MAX << from)
            return w * 64 + (uint32_t)__builtin_ctzll(graph->ran[w] & UINT64_MAX << from);
    return graph->node_count;
}

/* It is visited now. */
static void note_visit(struct kp_graph *graph, uint32_t place)
{
    uint64_t bit = UINT64_C(1) << place % 64;
    atomic_fetch_and_explicit(&graph->awake[place / 64], ~bit, memory_order_relaxed);
    graph->ran[place / 64] |= bit;
    graph->visits++;
}

/* Entries that rows are brought to, and those whose time has come; when all input has ended, everybody. */
static void wake_first(struct kp_graph *graph, const struct kp_step *step)
{
    for (size_t i = 0; i < step->input_count; i++) {
        struct kp_node *given = step->inputs[i].node, *entry = given->ops == &kp_upsert_ops ? given->inputs[0] : given;
        entry->input = &step->inputs[i];
        kp_node_wake(entry);
    }
    int64_t now_us = step->log_time_us - POSTGRES_EPOCH_US;
    for (uint32_t i = 0; i < graph->timer_count; i++)
        if (graph->timers[i].due_us <= now_us)
            kp_node_wake(graph->timers[i].node);
    for (uint32_t i = 0; step->close_windows && i < graph->node_count; i++)
        kp_node_wake(graph->nodes[i]);
}

/* Behind the step: when they are due, and who has something to do in the next one already. */
static void settle_ran(struct kp_graph *graph, const struct kp_step *step)
{
    for (uint32_t i = next_ran(graph, 0); i < graph->node_count; i = next_ran(graph, i + 1)) {
        struct kp_node *node = graph->nodes[i];
        if (node->timer != UINT32_MAX)
            graph->timers[node->timer].due_us = node->ops->due(node);
        if (node->restless || (step->partial && node->ops->part))
            kp_node_wake(node);
    }
}

static bool is_large(const struct kp_graph *graph, const struct kp_step *step)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < step->input_count; i++) {
        for (size_t k = 0; k < step->inputs[i].chunk_count; k++)
            rows += 1 + step->inputs[i].chunks[k].bytes / 256; /* about a record */
        for (size_t k = 0; k < step->inputs[i].batch_count; k++)
            rows += step->inputs[i].batches[k]->rows;
        for (size_t k = 0; k < step->inputs[i].slice_count; k++)
            rows += step->inputs[i].slices[k].view->rows->header->rows;
    }
    return graph->lanes_count > 1 && rows >= graph->options.parallel_rows_min;
}

static enum kp_code run_turn(struct kp_graph *graph, struct kp_node *node, struct kp_error *err);

/* What a recursion has found goes round through the nodes between its entry and itself until it finds nothing more. */
static enum kp_code run_rounds(struct kp_graph *graph, struct kp_node *node, struct kp_error *err)
{
    struct kp_node *entry;
    struct kp_batch *const *batches;
    uint32_t count;
    uint8_t *marks = NULL;
    while (!atomic_load(&node->failed) && node->ops->round(node, &entry, &batches, &count)) {
        uint32_t first = entry->place;
        if (!marks) {
            marks = kp_arena_calloc(&graph->lanes[0].arena, node->place - first + 1);
            marks[0] = 1;
            for (uint32_t i = first + 1; i < node->place; i++)
                for (uint32_t k = 0; k < graph->nodes[i]->input_count; k++)
                    if (graph->nodes[i]->inputs[k]->place >= first)
                        marks[i - first] |= marks[graph->nodes[i]->inputs[k]->place - first];
        }
        for (uint32_t i = 0; i < count; i++) {
            struct kp_flow flow = {.batch = batches[i]};
            KP_TRY(contain(entry, kp_node_send(entry, &graph->lanes[0], &flow, err), err));
        }
        for (uint32_t i = next_awake(graph, first + 1); i < node->place; i = next_awake(graph, i + 1)) {
            if (!marks[i - first])
                continue;
            note_visit(graph, i);
            if (graph->nodes[i]->ops->part)
                KP_TRY(run_turn(graph, graph->nodes[i], err));
        }
        KP_TRY(run_node(graph, node, err));
    }
    return KP_OK;
}

static enum kp_code run_turn(struct kp_graph *graph, struct kp_node *node, struct kp_error *err)
{
    KP_TRY(run_node(graph, node, err));
    return node->ops->round ? run_rounds(graph, node, err) : KP_OK;
}

static enum kp_code bring(struct kp_graph *graph, struct kp_node *node, struct kp_error *err)
{
    int64_t start_ns = kp_os_real()->mono_ns(kp_os_real()->ctx);
    enum kp_code code = node->ops->bring(node, node->input, err);
    node->input = NULL;
    for (uint32_t l = 0; code == KP_OK && l < graph->lanes_count; l++)
        code = kp_arena_check(&graph->lanes[l].arena, err);
    KP_TRY(contain(node, code, err));
    node->ns += (uint64_t)(kp_os_real()->mono_ns(kp_os_real()->ctx) - start_ns);
    return KP_OK;
}

/* What the outputs that had a turn have to say, and which have failed. Which those are does not change meanwhile. */
static void collect_outputs(struct kp_graph *graph)
{
    bool errors = false;
    kp_mutex_lock(&graph->fail_lock);
    for (uint32_t l = 0; l < graph->lanes_count; l++)
        errors |= graph->lanes[l].errors != NULL;
    for (uint32_t i = next_ran(graph, 0); i < graph->node_count; i = next_ran(graph, i + 1)) {
        struct kp_node *node = graph->nodes[i];
        if (node->ops != &kp_output_ops || atomic_load(&node->failed))
            continue;
        struct kp_output *output = kp_op_output_of(node);
        kp_op_output_collect(node, &output->changes);
        if (errors)
            collect_errors(graph, output);
        graph->changed[graph->changed_count++] = output;
    }
    for (uint32_t i = 0; graph->failing && i < graph->output_count; i++)
        if (atomic_load(&graph->outputs[i]->node->failed))
            graph->changed[graph->changed_count++] = graph->outputs[i];
    graph->failing = false;
    kp_mutex_unlock(&graph->fail_lock);
}

static enum kp_code run_step(struct kp_graph *graph, const struct kp_step *step, struct kp_error *err)
{
    wake_first(graph, step);
    for (uint32_t i = next_awake(graph, 0); i < graph->node_count; i = next_awake(graph, i + 1)) {
        struct kp_node *node = graph->nodes[i];
        note_visit(graph, i);
        node->settings.now_us = step->log_time_us - POSTGRES_EPOCH_US;
        if (node->ops->begin)
            node->ops->begin(node);
        if (node->ops->bring)
            KP_TRY(bring(graph, node, err));
        else if (node->ops->part)
            KP_TRY(run_turn(graph, node, err));
    }
    collect_outputs(graph);
    settle_ran(graph, step);
    return KP_OK;
}

uint64_t kp_graph_visits(const struct kp_graph *graph)
{
    return graph->visits;
}

int64_t kp_graph_due_us(const struct kp_graph *graph)
{
    int64_t due_us = INT64_MAX;
    for (uint32_t i = 0; i < graph->timer_count; i++)
        if (!atomic_load(&graph->timers[i].node->failed))
            due_us = KP_MIN(due_us, graph->timers[i].due_us);
    return due_us == INT64_MAX ? INT64_MAX : due_us + POSTGRES_EPOCH_US;
}

enum kp_code kp_graph_step(struct kp_graph *graph, const struct kp_step *step, struct kp_error *err)
{
    if (graph->poisoned)
        return kp_fail(err, KP_CLOSED, NULL, "an earlier step of this graph failed; it must be rebuilt");
    kp_graph_step_release(graph);
    for (uint32_t i = 0; i < graph->lanes_count; i++)
        kp_arena_limit(&graph->lanes[i].arena, graph->options.budget, step->cancel);
    graph->step = step;
    graph->parallel = is_large(graph, step);
    enum kp_code code = run_step(graph, step, err);
    graph->step = NULL;
    graph->poisoned = code != KP_OK;
    return code;
}

static void release_node(struct kp_node *node)
{
    if (node->ops->release)
        node->ops->release(node);
    node->told = false;
    atomic_store_explicit(&node->erred, false, memory_order_relaxed);
}

/* Of a step that broke off: whoever has rows. */
static void release_all(struct kp_graph *graph)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        struct kp_node *node = graph->nodes[i];
        for (uint32_t k = 0; node->inboxes && k < node->input_count; k++)
            kp_inbox_clear(&node->inboxes[k]);
        release_node(node);
    }
}

void kp_graph_step_release(struct kp_graph *graph)
{
    for (uint32_t i = 0; i < graph->changed_count; i++)
        graph->changed[i]->changes = (struct kp_changes){0};
    graph->changed_count = 0;
    if (graph->poisoned)
        release_all(graph);
    for (uint32_t i = next_ran(graph, 0); i < graph->node_count; i = next_ran(graph, i + 1))
        release_node(graph->nodes[i]);
    if (graph->ran)
        memset(graph->ran, 0, graph->node_cap / 64 * sizeof *graph->ran);
    for (uint32_t i = 0; i < graph->lanes_count; i++) {
        /* What the step has used is likely what the next one needs; fresh pages from the system cost more than all
         * else. */
        if (graph->lanes[i].arena.chunk)
            kp_arena_recycle(&graph->lanes[i].arena, KP_MIN(graph->lanes[i].arena.bytes, (size_t)KEEP_BYTES_MAX));
        graph->lanes[i].errors = NULL;
    }
}
