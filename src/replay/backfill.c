/*
 * Backfill, as replay/backfill.h says it. One advance takes the job from its position to another:
 *
 *   first advance     snapshot items of all feeds, then the log from 0, all as partial steps; a last step, not partial,
 *                     at the position
 *   later advances    changes published since and the log since, again partial but for the last
 *
 * so aggregates and top-N emit once an advance, however much history goes through.
 */
#include "replay/backfill.h"

#include <stdlib.h>

#include "os/os.h"

/* A live relation that the new plans read. */
struct feed {
    struct kp_relation *relation;
    struct kp_store *store;
    struct kp_node *input;
    struct kp_subscription *subscription;
    struct kp_arena arena;             /* holds `ahead` */
    struct kp_subscription_item ahead; /* taken from the subscription, not yet stepped */
    bool has_ahead;
};

struct kp_backfill {
    struct kp_backfill_options options;
    struct kp_graph *graph;
    struct feed *feeds;
    size_t feed_count;
    struct kp_topic_feed *topics;
    size_t topic_count;
    struct kp_history *history;
    int64_t position;
    int64_t begun_ns;
    _Atomic bool cancelled, paused;
    _Atomic int64_t seen_position, seen_target;
    _Atomic uint64_t bytes_read, records_read;
};

/* ---- building the graph ---- */

static struct kp_node *feed_node(struct kp_backfill *backfill, struct kp_relation *relation, struct kp_store *store)
{
    for (size_t i = 0; i < backfill->feed_count; i++)
        if (backfill->feeds[i].relation == relation)
            return backfill->feeds[i].input;
    backfill->feeds = kp_realloc(backfill->feeds, (backfill->feed_count + 1) * sizeof *backfill->feeds);
    struct feed *feed = &backfill->feeds[backfill->feed_count++];
    bool growing = relation->kind == KP_RELATION_VIEW && relation->plan->plan->growing;
    *feed = (struct feed){.relation = kp_relation_ref(relation), .store = store};
    feed->input = kp_graph_input(backfill->graph, relation->cols, relation->col_count, growing);
    for (uint32_t c = 0; relation->origins && c < relation->col_count; c++)
        if (relation->origins[c] == KP_FIELD_POSITION)
            kp_node_input_positions(feed->input, c);
    return feed->input;
}

static struct kp_node *resolve(void *arg, struct kp_relation *relation)
{
    struct kp_backfill *backfill = arg;
    for (size_t i = 0; i < backfill->options.target_count; i++)
        if (backfill->options.targets[i].relation == relation)
            return backfill->options.targets[i].node;
    if (relation->kind == KP_RELATION_SOURCE)
        return NULL; /* read from the log */
    struct kp_store *store = backfill->options.live_store(backfill->options.arg, relation);
    return store ? feed_node(backfill, relation, store) : NULL;
}

static enum kp_code add_topic(struct kp_backfill *backfill, struct kp_relation *relation, struct kp_error *err)
{
    for (size_t i = 0; i < backfill->topic_count; i++)
        if (backfill->topics[i].relation == relation)
            return KP_OK;
    struct kp_topic_info info;
    KP_TRY(kp_log_topic_find(backfill->options.log, relation->topic, &info, err));
    struct kp_node *node;
    KP_TRY(kp_graph_relation(backfill->graph, relation, &node, err));
    if (backfill->options.source_made)
        backfill->options.source_made(backfill->options.arg, relation, node);
    size_t n = backfill->topic_count++;
    backfill->topics = kp_realloc(backfill->topics, (n + 1) * sizeof *backfill->topics);
    backfill->topics[n] = (struct kp_topic_feed){.topic = info.id, .node = node, .relation = relation};
    return KP_OK;
}

static enum kp_code add_sources(struct kp_backfill *backfill, const struct kp_plan *plan, struct kp_error *err)
{
    if (plan->kind == KP_PLAN_SCAN && plan->scan.relation->kind == KP_RELATION_SOURCE)
        KP_TRY(add_topic(backfill, plan->scan.relation, err));
    for (uint32_t i = 0; plan->kind == KP_PLAN_EMIT && i < plan->emit.source_count; i++)
        if (plan->emit.sources[i]->kind == KP_RELATION_SOURCE)
            KP_TRY(add_topic(backfill, plan->emit.sources[i], err));
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(add_sources(backfill, plan->inputs[i], err));
    return KP_OK;
}

struct beside {
    struct kp_backfill *backfill;
    struct kp_backfill_target *target;
};

static struct kp_node *expired_node(void *arg, struct kp_graph *graph, struct kp_relation *source)
{
    struct beside *beside = arg;
    const struct kp_backfill_options *options = &beside->backfill->options;
    return options->expired(options->expired_arg, beside->target, graph, source);
}

static enum kp_code add_target(struct kp_backfill *backfill, struct kp_backfill_target *target, struct kp_error *err)
{
    if (target->relation->kind == KP_RELATION_TABLE) {
        KP_TRY(add_topic(backfill, target->relation, err));
        KP_TRY(kp_graph_relation(backfill->graph, target->relation, &target->node, err));
    } else {
        const struct kp_plan *plan = target->relation->plan->plan;
        struct beside beside = {backfill, target};
        KP_TRY(kp_graph_add_plan_beside(backfill->graph, plan, &target->settings, resolve, backfill,
                                        backfill->options.expired ? expired_node : NULL, &beside, &target->node, err));
        KP_TRY(add_sources(backfill, plan, err));
    }
    target->output = kp_graph_add_output(backfill->graph, target->node);
    return KP_OK;
}

enum kp_code kp_backfill_create(const struct kp_backfill_options *options, struct kp_backfill **ret_backfill,
                                struct kp_error *err)
{
    struct kp_backfill *backfill = kp_calloc(1, sizeof *backfill);
    backfill->options = *options;
    if (backfill->options.step_bytes_max == 0)
        backfill->options.step_bytes_max = 32 << 20;
    struct kp_history_options history = {
        .log = options->log, .columns = options->columns, .step_bytes_max = backfill->options.step_bytes_max};
    backfill->history = kp_history_create(&history);
    struct kp_graph_options graph = {.workers = options->workers,
                                     .parts = options->parts,
                                     .budget = options->budget,
                                     .max_ahead_us = options->max_ahead_us};
    enum kp_code code = kp_graph_create(&graph, &backfill->graph, err);
    for (size_t i = 0; code == KP_OK && i < options->target_count; i++) {
        code = add_target(backfill, &options->targets[i], err);
        if (code != KP_OK)
            kp_error_context(err, "building \"%s\"", options->targets[i].relation->name);
    }
    if (code != KP_OK) {
        kp_backfill_destroy(backfill);
        return code;
    }
    *ret_backfill = backfill;
    return KP_OK;
}

void kp_backfill_destroy(struct kp_backfill *backfill)
{
    if (!backfill)
        return;
    for (size_t i = 0; i < backfill->feed_count; i++) {
        kp_unsubscribe(backfill->feeds[i].subscription);
        kp_arena_finish(&backfill->feeds[i].arena);
        kp_relation_unref(backfill->feeds[i].relation);
    }
    kp_history_destroy(backfill->history);
    kp_graph_destroy(backfill->graph);
    kp_free(backfill->feeds);
    kp_free(backfill->topics);
    kp_free(backfill);
}

enum kp_code kp_backfill_begin(struct kp_backfill *backfill, struct kp_error *err)
{
    backfill->begun_ns = kp_os_real()->mono_ns(NULL);
    for (size_t i = 0; i < backfill->feed_count; i++) {
        struct kp_subscription_options options = {.snapshot = true,
                                                  .past_errors = true,
                                                  .any_version = true,
                                                  .resume = -1,
                                                  .queue_bytes_max = (uint64_t)1 << 30};
        enum kp_code code = kp_subscribe(backfill->feeds[i].store, &options, &backfill->feeds[i].subscription, err);
        if (code != KP_OK)
            kp_error_context(err, "reading \"%s\"", backfill->feeds[i].relation->name);
        KP_TRY(code);
    }
    return KP_OK;
}

/* ---- stepping ---- */

static enum kp_code step(struct kp_backfill *backfill, const struct kp_step_input *inputs, size_t count,
                         int64_t position, int64_t log_time_us, bool partial, struct kp_error *err)
{
    struct kp_step step = {.inputs = inputs,
                           .input_count = count,
                           .position_end = position,
                           .log_time_us = log_time_us,
                           .partial = partial,
                           .cancel = backfill->options.cancel ? backfill->options.cancel : &backfill->cancelled,
                           .dead = backfill->options.dead,
                           .arg = backfill->options.arg};
    KP_TRY(kp_graph_step(backfill->graph, &step, err));
    for (size_t i = 0; i < backfill->options.target_count; i++) {
        struct kp_backfill_target *target = &backfill->options.targets[i];
        KP_TRY(kp_output_check(target->output, err));
        KP_TRY(kp_store_apply(target->store, kp_output_changes(target->output), position, err));
    }
    kp_graph_step_release(backfill->graph);
    return KP_OK;
}

enum kp_code kp_backfill_bring(struct kp_backfill *backfill, struct kp_node *node, struct kp_batch *batch,
                               struct kp_error *err)
{
    struct kp_step_input input = {.node = node, .batches = &batch, .batch_count = 1};
    return step(backfill, &input, 1, 0, 0, true, err);
}

/* Takes what a live store has published up to `position`. */
static enum kp_code take_feed(struct kp_backfill *backfill, struct feed *feed, int64_t position, struct kp_error *err)
{
    for (;;) {
        if (!feed->has_ahead) {
            kp_arena_reset(&feed->arena);
            bool ready;
            KP_TRY(kp_subscription_next(feed->subscription, 0, &feed->arena, &feed->ahead, &ready, err));
            if (!ready)
                return KP_OK;
            feed->has_ahead = true;
        }
        if (feed->ahead.position > position)
            return KP_OK;
        feed->has_ahead = false;
        if (!feed->ahead.batch)
            continue;
        struct kp_step_input input = {.node = feed->input, .batches = &feed->ahead.batch, .batch_count = 1};
        KP_TRY(step(backfill, &input, 1, feed->ahead.position, feed->ahead.log_time_us, true, err));
    }
}

static enum kp_code wait_while_paused(struct kp_backfill *backfill, struct kp_error *err)
{
    struct kp_os *os = kp_os_real();
    while (atomic_load(&backfill->paused) && !atomic_load(&backfill->cancelled))
        os->sleep_us(os->ctx, 20000);
    if (atomic_load(&backfill->cancelled) || (backfill->options.cancel && atomic_load(backfill->options.cancel)))
        return kp_fail(err, KP_CANCELLED, NULL, "the replay was cancelled");
    return KP_OK;
}

static enum kp_code take_log(struct kp_backfill *backfill, int64_t position, bool loose, struct kp_error *err)
{
    while (backfill->position < position && backfill->topic_count > 0) {
        KP_TRY(wait_while_paused(backfill, err));
        struct kp_history_step piece;
        KP_TRY(kp_history_next(backfill->history, backfill->topics, backfill->topic_count, backfill->position, position,
                               loose, &piece, err));
        bool end = piece.position_end <= backfill->position;
        enum kp_code code = KP_OK;
        if (piece.count)
            code = step(backfill, piece.inputs, piece.count, piece.position_end, piece.log_time_us, true, err);
        kp_history_release(backfill->history, &piece, code == KP_OK);
        KP_TRY(code);
        if (end)
            break;
        backfill->position = piece.position_end;
        atomic_store(&backfill->seen_position, backfill->position);
        atomic_fetch_add(&backfill->bytes_read, piece.bytes);
        atomic_fetch_add(&backfill->records_read, piece.records);
    }
    return KP_OK;
}

/* Takes in what lies before the position; the log, if loose, perhaps a little less. */
static enum kp_code take_all(struct kp_backfill *backfill, int64_t position, bool loose, struct kp_error *err)
{
    atomic_store(&backfill->seen_target, position);
    for (size_t i = 0; i < backfill->feed_count; i++) {
        enum kp_code code = take_feed(backfill, &backfill->feeds[i], position, err);
        if (code != KP_OK) {
            kp_error_context(err, "reading \"%s\"", backfill->feeds[i].relation->name);
            return code;
        }
    }
    return take_log(backfill, position, loose, err);
}

enum kp_code kp_backfill_read(struct kp_backfill *backfill, int64_t position, struct kp_error *err)
{
    return take_all(backfill, position, true, err);
}

enum kp_code kp_backfill_advance(struct kp_backfill *backfill, int64_t position, struct kp_error *err)
{
    int64_t log_time_us;
    KP_TRY(take_all(backfill, position, false, err));
    backfill->position = KP_MAX(backfill->position, position);
    atomic_store(&backfill->seen_position, position);
    KP_TRY(kp_log_time_at(backfill->options.log, position, &log_time_us, err));
    return step(backfill, NULL, 0, position, log_time_us, false, err);
}

/* ---- meeting the live graph ---- */

struct meeting {
    struct kp_backfill *backfill;
    struct kp_node *(*live_node)(void *arg, struct kp_relation *relation);
    void *arg;
};

/* An input that stood for a live relation is replaced by that relation's node; a relation read from the log by the live
 * graph's own node, if there is one. */
static struct kp_node *map_node(void *arg, struct kp_node *input, struct kp_relation *relation)
{
    struct meeting *meeting = arg;
    if (relation)
        return meeting->live_node(meeting->arg, relation);
    for (size_t i = 0; i < meeting->backfill->feed_count; i++)
        if (meeting->backfill->feeds[i].input == input)
            return meeting->live_node(meeting->arg, meeting->backfill->feeds[i].relation);
    return NULL;
}

/* An error row of a feed, and whose it is at the target: its own node's, or an emit's that tells it on. */
struct taken {
    struct kp_flow_error error;
    uint64_t origin;
    int64_t times;
    const struct feed *feed;
};

static int compare_errors(const struct taken *x, const struct taken *y)
{
    if (x->error.log_position != y->error.log_position)
        return x->error.log_position < y->error.log_position ? -1 : 1;
    if (x->error.origin != y->error.origin)
        return x->error.origin < y->error.origin ? -1 : 1;
    if (x->origin != y->origin)
        return x->origin < y->origin ? -1 : 1;
    int order = strcmp(x->error.sqlstate, y->error.sqlstate);
    return order ? order : strcmp(x->error.message, y->error.message);
}

static int compare_taken(const void *a, const void *b)
{
    const struct taken *x = a, *y = b;
    int order = compare_errors(x, y);
    return order ? order : (x->feed > y->feed) - (x->feed < y->feed);
}

/* Appends the error rows that a feed's view has, once for each way on which the target is told of them. */
static void take_feed_errors(const struct feed *feed, const struct kp_output *output, struct kp_arena *arena,
                             struct taken **all, size_t *count)
{
    struct kp_flow_error *errors;
    struct kp_error_way *ways;
    size_t more;
    uint32_t way_count = kp_output_error_ways(output, feed->input, arena, &ways);
    if (way_count == 0)
        return;
    kp_store_errors(feed->store, arena, &errors, &more);
    if (more == 0)
        return;
    struct taken *grown = kp_arena_alloc(arena, (*count + more * way_count) * sizeof *grown);
    if (*count)
        memcpy(grown, *all, *count * sizeof *grown);
    for (size_t i = 0; i < more; i++)
        for (uint32_t w = 0; w < way_count; w++)
            grown[(*count)++] =
                (struct taken){errors[i], ways[w].told_on ? ways[w].origin : errors[i].origin, ways[w].times, feed};
    *all = grown;
}

/*
 * A view has the error rows of what it reads. Those of live views came with none of their rows: they are taken from
 * their stores at the meeting position. Two feeds that lie behind the same operator both have its error rows, equally
 * often, and the view has them once; of one feed's equal ones, each is one.
 */
static enum kp_code take_errors(struct kp_backfill *backfill, const struct kp_backfill_target *target, int64_t position,
                                struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct taken *all = NULL;
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < backfill->feed_count; i++)
        take_feed_errors(&backfill->feeds[i], target->output, &arena, &all, &count);
    if (count > 1)
        qsort(all, count, sizeof *all, compare_taken);
    struct kp_flow_error *errors = kp_arena_alloc(&arena, (count + 1) * sizeof *errors);
    const struct taken *first = NULL;
    for (size_t i = 0; i < count; i++) {
        bool again = first && compare_errors(first, &all[i]) == 0;
        if (again && all[i].feed != first->feed)
            continue;
        if (!again) {
            first = &all[i];
            errors[kept] = all[i].error;
            errors[kept].origin = all[i].origin;
            errors[kept++].weight = 0;
        }
        errors[kept - 1].weight += all[i].error.weight * all[i].times;
    }
    const struct kp_changes changes = {.errors = errors, .error_count = kept};
    enum kp_code code = kept ? kp_store_apply(target->store, &changes, position, err) : KP_OK;
    kp_arena_finish(&arena);
    return code;
}

enum kp_code kp_backfill_meet(struct kp_backfill *backfill, int64_t position, struct kp_graph *live,
                              struct kp_node *(*live_node)(void *arg, struct kp_relation *relation), void *arg,
                              struct kp_error *err)
{
    KP_TRY(kp_backfill_advance(backfill, position, err));
    for (size_t i = 0; i < backfill->options.target_count; i++)
        KP_TRY(take_errors(backfill, &backfill->options.targets[i], position, err));
    for (size_t i = 0; i < backfill->options.target_count; i++)
        kp_store_set_start(backfill->options.targets[i].store, position);
    struct meeting meeting = {.backfill = backfill, .live_node = live_node, .arg = arg};
    struct kp_backfill_target *targets = backfill->options.targets;
    struct kp_node **taken = kp_calloc(backfill->options.target_count, sizeof(struct kp_node *));
    for (size_t i = 0; i < backfill->options.target_count; i++) /* SELECT * FROM v: the node of what stood for v */
        if (targets[i].relation->kind == KP_RELATION_VIEW)
            taken[i] = map_node(&meeting, targets[i].node, NULL);
    enum kp_code code = kp_graph_merge(live, backfill->graph, map_node, &meeting, err);
    for (size_t i = 0; code == KP_OK && i < backfill->options.target_count; i++)
        if (taken[i])
            targets[i].node = taken[i];
    kp_free(taken);
    KP_TRY(code);
    backfill->graph = NULL; /* it went with the merge */
    return KP_OK;
}

/* ---- control ---- */

void kp_backfill_cancel(struct kp_backfill *backfill)
{
    atomic_store(&backfill->cancelled, true);
}

void kp_backfill_pause(struct kp_backfill *backfill, bool paused)
{
    atomic_store(&backfill->paused, paused);
}

void kp_backfill_progress(struct kp_backfill *backfill, struct kp_backfill_progress *ret_progress)
{
    *ret_progress = (struct kp_backfill_progress){
        .position = atomic_load(&backfill->seen_position),
        .target = atomic_load(&backfill->seen_target),
        .bytes_read = atomic_load(&backfill->bytes_read),
        .records_read = atomic_load(&backfill->records_read),
        .seconds = (double)(kp_os_real()->mono_ns(NULL) - backfill->begun_ns) / 1e9,
        .paused = atomic_load(&backfill->paused),
    };
}
