/*
 * The graph: nodes and who reads whom. Building happens between steps; stepping is step.c's.
 *
 * Sharing: a node that would do the same as an existing one is dropped for it, unless that one is stateful (or reads a
 * stateful one) and has had rows already: its new user would miss them.
 */
#include "flow/op_source.h"

enum { PARTS_PER_WORKER = 4, PARTS_DEFAULT_MAX = 64, PARALLEL_ROWS_MIN = 4096 };

enum kp_code kp_graph_create(const struct kp_graph_options *options, struct kp_graph **ret_graph, struct kp_error *err)
{
    uint32_t workers = kp_workers_count(options->workers), parts = options->parts;
    if (parts > KP_PARTS_MAX || (parts & (parts - 1)))
        return kp_fail(err, KP_INVALID, NULL, "%u shards: a power of two up to %d is needed", parts, KP_PARTS_MAX);
    if (parts == 0)
        for (parts = 1; workers > 1 && parts < workers * PARTS_PER_WORKER && parts < PARTS_DEFAULT_MAX;)
            parts *= 2;
    struct kp_graph *graph = kp_calloc(1, sizeof *graph);
    graph->options = *options;
    if (graph->options.parallel_rows_min == 0)
        graph->options.parallel_rows_min = PARALLEL_ROWS_MIN;
    graph->workers = options->workers;
    graph->lanes_count = workers;
    graph->end_in = graph->end_out = UINT32_MAX;
    graph->parts = parts;
    graph->part_shift = 64;
    for (uint32_t p = parts; p > 1; p /= 2)
        graph->part_shift--;
    graph->lanes = kp_calloc(workers, sizeof *graph->lanes);
    for (uint32_t i = 0; i < workers; i++)
        graph->lanes[i] = (struct kp_lane){.index = i, .graph = graph};
    kp_mutex_init(&graph->dead_lock);
    kp_mutex_init(&graph->fail_lock);
    *ret_graph = graph;
    return KP_OK;
}

static void inboxes_start(struct kp_node *node)
{
    if (!node->ops->part)
        return;
    node->inboxes = kp_calloc(node->input_count + 1, sizeof *node->inboxes);
    for (uint32_t i = 0; i < node->input_count; i++)
        kp_inbox_init(&node->inboxes[i], node->graph->lanes_count, node->graph->parts, node->graph->part_shift);
}

static void inboxes_finish(struct kp_node *node)
{
    for (uint32_t i = 0; node->inboxes && i < node->input_count; i++)
        kp_inbox_finish(&node->inboxes[i]);
    kp_free(node->inboxes);
    node->inboxes = NULL;
}

static void node_free(struct kp_node *node)
{
    if (node->ops->lanes)
        node->ops->lanes(node, false);
    if (node->ops->finish)
        node->ops->finish(node);
    inboxes_finish(node);
    kp_free(node->consumers);
    kp_free(node->inputs);
    struct kp_arena arena = node->arena; /* types and expressions are in it, the node itself is not */
    kp_free(node);
    kp_arena_finish(&arena);
}

void kp_graph_destroy(struct kp_graph *graph)
{
    if (!graph)
        return;
    kp_graph_step_release(graph);
    for (uint32_t i = graph->node_count; i-- > 0;)
        node_free(graph->nodes[i]);
    for (uint32_t i = 0; i < graph->output_count; i++)
        kp_free(graph->outputs[i]);
    for (uint32_t i = 0; i < graph->lanes_count; i++)
        kp_arena_finish(&graph->lanes[i].arena);
    kp_mutex_finish(&graph->dead_lock);
    kp_mutex_finish(&graph->fail_lock);
    kp_free(graph->lanes);
    kp_free(graph->nodes);
    kp_free((void *)graph->awake);
    kp_free(graph->ran);
    kp_free(graph->timers);
    kp_free(graph->shared);
    kp_free(graph->outputs);
    kp_free(graph->changed);
    kp_free(graph);
}

/* ---- nodes ---- */

static void add_consumer(struct kp_node *input, struct kp_node *node, uint32_t port)
{
    input->consumers = kp_realloc(input->consumers, (input->consumer_count + 1) * sizeof *input->consumers);
    input->consumers[input->consumer_count++] = (struct kp_consumer){node, port};
}

static void remove_consumer(struct kp_node *input, const struct kp_node *node)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < input->consumer_count; i++)
        if (input->consumers[i].node != node)
            input->consumers[kept++] = input->consumers[i];
    input->consumer_count = kept;
}

static void grow_nodes(struct kp_graph *graph)
{
    uint32_t words = graph->node_cap / 64, more = words ? words : 1;
    graph->node_cap = (words + more) * 64;
    graph->nodes = kp_realloc(graph->nodes, graph->node_cap * sizeof *graph->nodes);
    graph->awake = kp_realloc((void *)graph->awake, (words + more) * sizeof *graph->awake);
    graph->ran = kp_realloc(graph->ran, (words + more) * sizeof *graph->ran);
    memset((void *)(graph->awake + words), 0, more * sizeof *graph->awake);
    memset(graph->ran + words, 0, more * sizeof *graph->ran);
}

/* A new node is awake: it may have rows without input, and its first step tells when it is due. */
static void append_node(struct kp_graph *graph, struct kp_node *node)
{
    if (graph->node_count == graph->node_cap)
        grow_nodes(graph);
    node->place = graph->node_count;
    graph->nodes[graph->node_count++] = node;
    kp_node_wake(node);
}

/* With state: when it is due. */
static void timer_start(struct kp_node *node)
{
    struct kp_graph *graph = node->graph;
    node->timer = UINT32_MAX;
    if (!node->ops->due)
        return;
    if (graph->timer_count == graph->timer_cap) {
        graph->timer_cap = graph->timer_cap ? graph->timer_cap * 2 : 16;
        graph->timers = kp_realloc(graph->timers, graph->timer_cap * sizeof *graph->timers);
    }
    node->timer = graph->timer_count;
    graph->timers[graph->timer_count++] = (struct kp_timer){node, node->ops->due(node)};
}

static void timer_stop(struct kp_node *node)
{
    struct kp_graph *graph = node->graph;
    if (node->timer == UINT32_MAX)
        return;
    struct kp_timer *last = &graph->timers[--graph->timer_count];
    last->node->timer = node->timer;
    graph->timers[node->timer] = *last;
    node->timer = UINT32_MAX;
}

struct kp_node *kp_node_create(struct kp_graph *graph, const struct kp_node_ops *ops, const struct kp_column *cols,
                               uint32_t col_count, struct kp_node *const *inputs, uint32_t input_count)
{
    static _Atomic uint64_t origins;
    struct kp_node *node = kp_calloc(1, ops->bytes);
    node->ops = ops;
    node->origin = atomic_fetch_add(&origins, 1);
    node->graph = graph;
    node->id = graph->next_id++;
    node->timer = UINT32_MAX;
    node->col_count = col_count;
    node->types = kp_arena_alloc(&node->arena, (col_count + 1) * sizeof *node->types);
    for (uint32_t c = 0; c < col_count; c++)
        node->types[c] = cols[c].type;
    node->input_count = input_count;
    node->inputs = kp_calloc(input_count + 1, sizeof *node->inputs);
    node->bounded = graph->bounded && !graph->looping;
    node->end_in = graph->end_in;
    node->end_out = graph->end_out;
    node->growing = true;
    for (uint32_t i = 0; i < input_count; i++) {
        node->inputs[i] = inputs[i];
        node->growing = node->growing && inputs[i]->growing;
        add_consumer(inputs[i], node, i);
    }
    append_node(graph, node);
    return node;
}

static bool may_share(const struct kp_node *node)
{
    if (atomic_load(&node->failed) || (node->ops->part && node->touched))
        return false;
    if (node->pinned)
        return true;
    for (uint32_t i = 0; i < node->input_count; i++)
        if (!may_share(node->inputs[i]))
            return false;
    return true;
}

static bool does_the_same(const struct kp_node *a, const struct kp_node *b)
{
    if (a->ops != b->ops || !a->ops->same || a->input_count != b->input_count || a->col_count != b->col_count ||
        a->settings.zone != b->settings.zone || a->end_in != b->end_in || a->end_out != b->end_out)
        return false;
    for (uint32_t i = 0; i < a->input_count; i++)
        if (a->inputs[i] != b->inputs[i])
            return false;
    for (uint32_t c = 0; c < a->col_count; c++)
        if (!kp_type_equal(a->types[c], b->types[c]))
            return false;
    return a->ops->same(a, b);
}

static void ask_for_positions(struct kp_node *node)
{
    if (node->uses_positions)
        return;
    node->uses_positions = true;
    if (!node->ops->part)
        for (uint32_t i = 0; i < node->input_count; i++)
            ask_for_positions(node->inputs[i]);
}

static void ask_for_watermarks(struct kp_node *node)
{
    if (node->uses_watermarks)
        return;
    node->uses_watermarks = true;
    if (!node->ops->part)
        for (uint32_t i = 0; i < node->input_count; i++)
            ask_for_watermarks(node->inputs[i]);
}

static void shared_link(struct kp_graph *graph, struct kp_node *node)
{
    struct kp_node **chain = &graph->shared[node->share_key & (graph->shared_cap - 1)];
    node->next_shared = *chain;
    *chain = node;
}

static void shared_grow(struct kp_graph *graph)
{
    uint32_t old_cap = graph->shared_cap;
    struct kp_node **old = graph->shared;
    graph->shared_cap = old_cap ? old_cap * 2 : 64;
    graph->shared = kp_calloc(graph->shared_cap, sizeof *graph->shared);
    for (uint32_t i = 0; i < old_cap; i++)
        for (struct kp_node *node = old[i], *next; node; node = next) {
            next = node->next_shared;
            shared_link(graph, node);
        }
    kp_free(old);
}

/* Others find it from now on, by what it is and reads now. */
static void shared_add(struct kp_node *node)
{
    struct kp_graph *graph = node->graph;
    if (!node->ops->same)
        return;
    if (graph->shared_count == graph->shared_cap)
        shared_grow(graph);
    node->share_key = kp_hash_combine(node->form, (uint64_t)(uintptr_t)node->ops);
    for (uint32_t i = 0; i < node->input_count; i++)
        node->share_key = kp_hash_combine(node->share_key, (uint64_t)(uintptr_t)node->inputs[i]);
    shared_link(graph, node);
    graph->shared_count++;
}

static void shared_remove(struct kp_node *node)
{
    struct kp_graph *graph = node->graph;
    struct kp_node **at = graph->shared ? &graph->shared[node->share_key & (graph->shared_cap - 1)] : NULL;
    while (at && *at && *at != node)
        at = &(*at)->next_shared;
    if (!at || !*at)
        return; /* it was given up before others could find it, or never to be shared */
    *at = node->next_shared;
    graph->shared_count--;
}

/* Of several the first. */
static struct kp_node *find_same(const struct kp_node *node)
{
    const struct kp_graph *graph = node->graph;
    struct kp_node *found = NULL, *at = graph->shared[node->share_key & (graph->shared_cap - 1)];
    for (; at; at = at->next_shared)
        if (at != node && at->share_key == node->share_key && (!found || at->place < found->place) &&
            does_the_same(at, node) && may_share(at))
            found = at;
    return found;
}

struct kp_node *kp_node_share(struct kp_node *node)
{
    struct kp_graph *graph = node->graph;
    shared_add(node);
    struct kp_node *other = node->ops->same ? find_same(node) : NULL;
    if (other) {
        shared_remove(node);
        for (uint32_t k = 0; k < node->input_count; k++)
            remove_consumer(node->inputs[k], node);
        KP_ASSERT(node->place == graph->node_count - 1);
        graph->node_count--;
        node_free(node);
        return other;
    }
    inboxes_start(node);
    if (node->ops->start)
        node->ops->start(node);
    timer_start(node);
    for (uint32_t i = 0; i < node->input_count; i++)
        if (node->uses_positions)
            ask_for_positions(node->inputs[i]);
    for (uint32_t i = 0; i < node->input_count; i++)
        if (node->uses_watermarks)
            ask_for_watermarks(node->inputs[i]);
    return node;
}

static void remove_node(struct kp_graph *graph, struct kp_node *node)
{
    for (uint32_t i = 0; i < node->input_count; i++)
        remove_consumer(node->inputs[i], node);
    timer_stop(node);
    shared_remove(node);
    graph->nodes[node->place] = NULL;
    node_free(node);
}

/* Moves the nodes from a place on to where there are none, and their bits with them. Nothing waits for its release. */
static void close_gaps(struct kp_graph *graph, uint32_t place)
{
    uint32_t kept = place;
    for (; place < graph->node_count; place++) {
        struct kp_node *node = graph->nodes[place];
        uint64_t awake = atomic_load_explicit(&graph->awake[place / 64], memory_order_relaxed);
        atomic_store_explicit(&graph->awake[place / 64], awake & ~(UINT64_C(1) << place % 64), memory_order_relaxed);
        if (!node)
            continue;
        node->place = kept;
        graph->nodes[kept++] = node;
        if (awake >> place % 64 & 1)
            kp_node_wake(node);
    }
    graph->node_count = kept;
}

/* Frees the node if nobody needs it, and then what only it needed; the first place that is empty now. */
static uint32_t drop_useless(struct kp_graph *graph, struct kp_node *node, uint32_t first)
{
    if (node->users || node->consumer_count || node->pinned)
        return first;
    uint32_t count = node->input_count;
    struct kp_node **inputs = kp_calloc(count + 1, sizeof *inputs);
    for (uint32_t i = 0; i < count; i++) {
        inputs[i] = node->inputs[i];
        inputs[i]->users++; /* one may read another, or be there twice */
    }
    first = KP_MIN(first, node->place);
    remove_node(graph, node);
    for (uint32_t i = 0; i < count; i++) {
        inputs[i]->users--;
        first = drop_useless(graph, inputs[i], first);
    }
    kp_free(inputs);
    return first;
}

/* Readers stand behind what they read: one walk from the end frees all that became useless. */
void kp_graph_sweep(struct kp_graph *graph)
{
    uint32_t first = graph->node_count;
    for (uint32_t i = graph->node_count; i-- > 0;) {
        struct kp_node *node = graph->nodes[i];
        if (node->users || node->consumer_count || node->pinned)
            continue;
        remove_node(graph, node);
        first = i;
    }
    close_gaps(graph, first);
}

void kp_graph_drop(struct kp_graph *graph, struct kp_node *node)
{
    if (!node)
        return;
    kp_graph_step_release(graph);
    if (node->users)
        node->users--;
    else
        node->pinned = false;
    close_gaps(graph, drop_useless(graph, node, graph->node_count));
}

bool kp_graph_has(const struct kp_graph *graph, const struct kp_node *node)
{
    for (uint32_t i = 0; i < graph->node_count; i++)
        if (graph->nodes[i] == node)
            return true;
    return false;
}

/* ---- relations, inputs, outputs ---- */

enum kp_code kp_graph_relation(struct kp_graph *graph, struct kp_relation *relation, struct kp_node **ret_node,
                               struct kp_error *err)
{
    bool keyed = relation->kind == KP_RELATION_TABLE;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        struct kp_node *node = graph->nodes[i];
        if (node->ops == &kp_source_ops && kp_op_source_relation(node) == relation && !keyed) {
            *ret_node = node;
            return KP_OK;
        }
        if (keyed && node->ops == &kp_upsert_ops && kp_op_source_relation(node->inputs[0]) == relation) {
            *ret_node = node;
            return KP_OK;
        }
    }
    if (relation->kind != KP_RELATION_SOURCE && !keyed)
        return kp_fail(err, KP_INVALID, "42809", "\"%s\" has no records of its own", relation->name);
    struct kp_node *node;
    KP_TRY(kp_op_source(graph, relation, &node, err));
    timer_start(node);
    if (keyed)
        KP_TRY(kp_op_upsert(graph, node, relation, &node, err));
    node->pinned = true;
    *ret_node = node;
    return KP_OK;
}

struct kp_node *kp_graph_input(struct kp_graph *graph, const struct kp_column *cols, uint32_t col_count, bool growing)
{
    struct kp_node *node = kp_op_input(graph, cols, col_count, growing);
    node->pinned = true;
    return node;
}

/* All outputs may change in one step. */
static void need_outputs(struct kp_graph *graph, uint32_t more)
{
    size_t count = graph->output_count + more;
    graph->outputs = kp_realloc(graph->outputs, count * sizeof(struct kp_output *));
    graph->changed = kp_realloc(graph->changed, count * sizeof(struct kp_output *));
}

struct kp_output *kp_graph_add_output(struct kp_graph *graph, struct kp_node *node)
{
    struct kp_output *output = kp_calloc(1, sizeof *output);
    output->node = kp_op_output(graph, node, output);
    output->node->users = 1;
    need_outputs(graph, 1);
    graph->outputs[graph->output_count++] = output;
    return output;
}

void kp_output_set_owner(struct kp_output *output, void *owner)
{
    output->owner = owner;
}

void *kp_output_owner(const struct kp_output *output)
{
    return output->owner;
}

struct kp_output *const *kp_graph_changed(const struct kp_graph *graph, uint32_t *ret_count)
{
    *ret_count = graph->changed_count;
    return graph->changed;
}

void kp_graph_drop_output(struct kp_graph *graph, struct kp_output *output)
{
    if (!output)
        return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < graph->output_count; i++)
        if (graph->outputs[i] != output)
            graph->outputs[kept++] = graph->outputs[i];
    graph->output_count = kept;
    kp_graph_drop(graph, output->node);
    kp_free(output);
}

const struct kp_changes *kp_output_changes(const struct kp_output *output)
{
    return &output->changes;
}

enum kp_code kp_output_check(const struct kp_output *output, struct kp_error *err)
{
    if (!atomic_load(&output->node->failed))
        return KP_OK;
    if (err)
        *err = *output->node->failure;
    return output->node->failure->code;
}

/* ---- merging ---- */

static void replace_input(struct kp_node *node, const struct kp_node *old, struct kp_node *by)
{
    for (uint32_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] == old)
            node->inputs[i] = by;
}

static bool is_entry(const struct kp_node *node)
{
    if (node->ops == &kp_source_ops) /* a table's decoder goes with its table */
        return kp_op_source_relation(node)->kind == KP_RELATION_SOURCE;
    return node->pinned;
}

/* The node of the other graph that takes an entry's place; NULL: it moves itself. */
static struct kp_node *
place_taker(struct kp_node *node,
            struct kp_node *(*map)(void *arg, struct kp_node *input, struct kp_relation *relation), void *arg)
{
    struct kp_relation *relation = node->ops == &kp_source_ops   ? kp_op_source_relation(node)
                                   : node->ops == &kp_upsert_ops ? kp_op_source_relation(node->inputs[0])
                                                                 : NULL;
    struct kp_node *by = map ? map(arg, node, relation) : NULL;
    return by == node ? NULL : by;
}

static enum kp_code check_readers(const struct kp_node *old, const struct kp_node *by, struct kp_error *err)
{
    if ((old->ops != &kp_source_ops || by->ops != &kp_source_ops) && old->col_count != by->col_count)
        return kp_fail(err, KP_INVALID, "XX000", "an input of %u columns cannot take the place of one of %u",
                       by->col_count, old->col_count);
    if (old->growing && !by->growing)
        return kp_fail(err, KP_UNSUPPORTED, "XX000", "rows of an input that was to grow only may be taken away");
    return KP_OK;
}

/* Moves the readers of `old` to `by`; column numbers may differ when a source decodes other columns. */
static enum kp_code move_readers(struct kp_node *old, struct kp_node *by, struct kp_error *err)
{
    if (old->ops == &kp_source_ops && by->ops == &kp_source_ops)
        KP_TRY(kp_op_source_take_over(by, old, err));
    for (uint32_t i = 0; i < old->consumer_count; i++) {
        replace_input(old->consumers[i].node, old, by);
        add_consumer(by, old->consumers[i].node, old->consumers[i].port);
    }
    old->consumer_count = 0;
    by->users += old->users; /* a plan that only reads a relation is the relation's node */
    old->users = 0;
    if (old->uses_positions)
        ask_for_positions(by);
    if (old->uses_watermarks)
        ask_for_watermarks(by);
    return KP_OK;
}

/* ---- another node for a table ---- */

static void mark_inputs(const struct kp_node *node, bool *marks)
{
    marks[node->place] = true;
    for (uint32_t i = 0; i < node->input_count; i++)
        mark_inputs(node->inputs[i], marks);
}

/* The node and what it is made of come before all others, which keep their order. */
static void bring_forward(struct kp_graph *graph, const struct kp_node *node)
{
    uint32_t count = graph->node_count, placed = 0;
    bool *first = kp_calloc(count, sizeof *first), *awake = kp_calloc(count, sizeof *awake);
    struct kp_node **before = kp_calloc(count, sizeof *before);
    memcpy(before, graph->nodes, count * sizeof *before);
    mark_inputs(node, first);
    for (uint32_t i = 0; i < count; i++)
        awake[i] = atomic_load_explicit(&graph->awake[i / 64], memory_order_relaxed) >> i % 64 & 1;
    memset((void *)graph->awake, 0, (count + 63) / 64 * sizeof *graph->awake);
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < count; i++) {
            if (first[i] != (pass == 0))
                continue;
            before[i]->place = placed;
            graph->nodes[placed++] = before[i];
            if (awake[i])
                kp_node_wake(before[i]);
        }
    kp_free(first);
    kp_free(awake);
    kp_free(before);
}

struct kp_node *kp_graph_take_readers(struct kp_graph *graph, struct kp_node *old, struct kp_node *by,
                                      const struct kp_column *cols, const uint32_t *columns, uint32_t count)
{
    KP_ASSERT(count == old->col_count && old->ops == &kp_upsert_ops && by->ops == &kp_upsert_ops);
    kp_graph_step_release(graph);
    struct kp_node *way = kp_op_columns(graph, cols, count, by, columns);
    bring_forward(graph, way);
    uint32_t first = way->consumer_count;
    for (uint32_t i = 0; i < old->consumer_count; i++)
        shared_remove(old->consumers[i].node);
    KP_ASSERT(move_readers(old, way, NULL) == KP_OK); /* only sources' may fail */
    for (uint32_t i = first; i < way->consumer_count; i++) {
        const struct kp_consumer *reader = &way->consumers[i];
        if (reader->port == 0 || reader->node->inputs[0] != way) /* once */
            shared_add(reader->node);
    }
    return way;
}

/* ---- merging two graphs ---- */

enum kp_code kp_graph_merge(struct kp_graph *into, struct kp_graph *from,
                            struct kp_node *(*map)(void *arg, struct kp_node *input, struct kp_relation *relation),
                            void *arg, struct kp_error *err)
{
    if (into->parts != from->parts)
        return kp_fail(err, KP_INVALID, "XX000", "graphs of %u and %u shards cannot be merged", into->parts,
                       from->parts);
    kp_graph_step_release(into);
    kp_graph_step_release(from);
    for (uint32_t i = 0; i < from->node_count; i++) { /* nothing is moved if one cannot be */
        struct kp_node *by = is_entry(from->nodes[i]) ? place_taker(from->nodes[i], map, arg) : NULL;
        if (by)
            KP_TRY(check_readers(from->nodes[i], by, err));
    }
    for (uint32_t i = 0; i < from->node_count; i++) {
        struct kp_node *node = from->nodes[i];
        struct kp_node *by = is_entry(node) ? place_taker(node, map, arg) : NULL;
        if (!by)
            continue;
        KP_TRY(move_readers(node, by, err));
        node->pinned = false;
    }
    kp_graph_sweep(from); /* replaced entries, and a replaced table's decoder */
    for (uint32_t i = 0; i < from->node_count; i++) {
        struct kp_node *node = from->nodes[i];
        if (node->ops->lanes)
            node->ops->lanes(node, false);
        inboxes_finish(node);
        node->graph = into;
        node->look = 0; /* by a walk of `from`, whose number one of `into` may have, too */
        if (node->ops->lanes)
            node->ops->lanes(node, true);
        inboxes_start(node);
        node->id = into->next_id++;
        append_node(into, node);
        timer_start(node);
        shared_add(node);
    }
    need_outputs(into, from->output_count + 1);
    for (uint32_t i = 0; i < from->output_count; i++)
        into->outputs[into->output_count++] = from->outputs[i];
    from->node_count = from->output_count = 0;
    kp_graph_destroy(from);
    return KP_OK;
}

/* ---- looking inside ---- */

uint32_t kp_node_id(const struct kp_node *node)
{
    return node->id;
}

void kp_graph_stats(const struct kp_graph *graph, struct kp_node_stats **ret_stats, size_t *ret_count)
{
    struct kp_node_stats *all = kp_calloc(graph->node_count, sizeof *all);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const struct kp_node *node = graph->nodes[i];
        struct kp_node_stats *stats = &all[i];
        stats->id = node->id;
        stats->kind = node->ops->kind;
        memcpy(stats->detail, node->detail, sizeof stats->detail);
        stats->rows_in = atomic_load(&node->rows_in);
        stats->rows_out = atomic_load(&node->rows_out);
        stats->batches = atomic_load(&node->batches);
        stats->ns = atomic_load(&node->ns);
        stats->growing = node->growing;
        stats->input_count = KP_MIN(node->input_count, (uint32_t)KP_COUNT(stats->inputs));
        for (uint32_t k = 0; k < stats->input_count; k++)
            stats->inputs[k] = node->inputs[k]->id;
        if (node->ops->stats)
            node->ops->stats(node, stats);
        if (node->ops == &kp_window_ops)
            stats->late = kp_op_window_late(node);
    }
    *ret_stats = all;
    *ret_count = graph->node_count;
}

void kp_node_input_stats(const struct kp_node *node, struct kp_input_stats *ret_stats)
{
    *ret_stats = (struct kp_input_stats){0};
    if (node->ops == &kp_upsert_ops)
        node = node->inputs[0];
    if (node->ops == &kp_source_ops)
        kp_op_source_stats(node, ret_stats);
    else
        ret_stats->rows = atomic_load(&node->rows_in);
    if (node->ops == &kp_window_ops)
        ret_stats->late = kp_op_window_late(node);
}
