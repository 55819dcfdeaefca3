/*
 * The engine thread: takes the log, step by step, through the live graph into the stores, and publishes.
 *
 *   loop   calls from other threads (DDL, joins of backfilled graphs)
 *          a span of the log from `position`  ─►  step  ─►  stores  ─►  publish  ─►  sinks
 *          nothing new: wait for a commit, a call, or the moment at which a tick is due (tick.c)
 *
 * After opening, the log is replayed the same way, in large steps that hold back emission (partial) but for the last
 * and for the positions at which sinks left off; nothing is published until the end is met, and readers wait for it.
 */
#include "db/base.h"

enum { SINK_RETRY_US = 200000 };

struct kp_call_request {
    enum kp_code (*fn)(struct kp_db *db, void *arg, struct kp_error *err);
    void *arg;
    struct kp_error *err;
    enum kp_code code;
    bool done;
    struct kp_call_request *next;
};

/* ---- calls ---- */

enum kp_code kp_engine_call(struct kp_db *db, enum kp_code (*fn)(struct kp_db *db, void *arg, struct kp_error *err),
                            void *arg, struct kp_error *err)
{
    struct kp_call_request request = {.fn = fn, .arg = arg, .err = err};
    kp_mutex_lock(&db->mutex);
    if (db->stop || atomic_load(&db->poisoned)) {
        kp_mutex_unlock(&db->mutex);
        KP_TRY(kp_db_health(db, err));
        return kp_fail(err, KP_CLOSED, NULL, "the instance is closing");
    }
    *db->calls_end = &request;
    db->calls_end = &request.next;
    kp_cond_signal(&db->engine_wake);
    while (!request.done)
        kp_cond_wait(&db->idle, &db->mutex);
    kp_mutex_unlock(&db->mutex);
    return request.code;
}

/* Runs what has been asked for; refuses it when the instance is broken. */
static void run_calls(struct kp_db *db)
{
    for (;;) {
        kp_mutex_lock(&db->mutex);
        struct kp_call_request *request = db->calls;
        if (request) {
            db->calls = request->next;
            if (!db->calls)
                db->calls_end = &db->calls;
        }
        kp_mutex_unlock(&db->mutex);
        if (!request)
            return;
        request->code = kp_db_health(db, request->err);
        if (request->code == KP_OK)
            request->code = request->fn(db, request->arg, request->err);
        kp_mutex_lock(&db->mutex);
        request->done = true;
        kp_cond_broadcast(&db->idle);
        kp_mutex_unlock(&db->mutex);
    }
}

void kp_db_poison(struct kp_db *db, const struct kp_error *cause)
{
    kp_mutex_lock(&db->mutex);
    bool first = !atomic_load(&db->poisoned);
    if (first) {
        db->poison = *cause;
        atomic_store(&db->poisoned, true);
    }
    kp_cond_broadcast(&db->idle);
    kp_cond_signal(&db->engine_wake);
    kp_mutex_unlock(&db->mutex);
    kp_view_clock_wake(db->clock);
    if (first && db->options.notice)
        db->options.notice(db->options.arg, 'E', cause->message);
}

enum kp_code kp_db_health(struct kp_db *db, struct kp_error *err)
{
    if (!atomic_load(&db->poisoned))
        return KP_OK;
    kp_mutex_lock(&db->mutex);
    enum kp_code code = kp_fail(err, KP_CLOSED, NULL, "the instance has stopped: %s", db->poison.message);
    kp_mutex_unlock(&db->mutex);
    return code;
}

/* ---- what the graph reads ---- */

struct kp_node *kp_engine_node(void *arg, struct kp_relation *relation)
{
    struct kp_db *db = arg;
    for (size_t i = 0; i < db->feed_count; i++)
        if (db->feeds[i].relation == relation)
            return db->feeds[i].node;
    struct kp_live *live = kp_live_of(relation);
    return live && atomic_load(&live->state) == KP_LIVE_READY ? live->node : NULL;
}

enum kp_code kp_engine_feed_relation(struct kp_db *db, struct kp_relation *relation, struct kp_error *err)
{
    struct kp_node *node;
    KP_TRY(kp_graph_relation(db->graph, relation, &node, err));
    for (size_t i = 0; i < db->feed_count; i++)
        if (db->feeds[i].relation == relation) {
            db->feeds[i].node = node;
            return KP_OK;
        }
    struct kp_topic_info info;
    KP_TRY(kp_log_topic_find(db->log, relation->topic, &info, err));
    if (db->feed_count == db->feed_cap) {
        db->feed_cap = db->feed_cap ? 2 * db->feed_cap : 8;
        db->feeds = kp_realloc(db->feeds, db->feed_cap * sizeof *db->feeds);
    }
    db->feeds[db->feed_count++] =
        (struct kp_topic_feed){.topic = info.id, .node = node, .relation = kp_relation_ref(relation)};
    return KP_OK;
}

void kp_engine_prune_feeds(struct kp_db *db)
{
    size_t kept = 0;
    for (size_t i = 0; i < db->feed_count; i++) {
        if (kp_graph_has(db->graph, db->feeds[i].node))
            db->feeds[kept++] = db->feeds[i];
        else
            kp_relation_unref(db->feeds[i].relation);
    }
    db->feed_count = kept;
}

enum kp_code kp_engine_feed_plan(struct kp_db *db, const struct kp_plan *plan, struct kp_error *err)
{
    if (plan->kind == KP_PLAN_SCAN && plan->scan.relation->kind == KP_RELATION_SOURCE)
        KP_TRY(kp_engine_feed_relation(db, plan->scan.relation, err));
    for (uint32_t i = 0; plan->kind == KP_PLAN_EMIT && i < plan->emit.source_count; i++)
        if (plan->emit.sources[i]->kind == KP_RELATION_SOURCE)
            KP_TRY(kp_engine_feed_relation(db, plan->emit.sources[i], err));
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(kp_engine_feed_plan(db, plan->inputs[i], err));
    return KP_OK;
}

/* ---- one step ---- */

/*
 * Puts the last step's changes into the stores. A view that cannot go on (its operators or its store are over budget)
 * fails alone: it leaves the graph, and its memory with it (drop_failed). True: some did.
 */
static bool store_changes(struct kp_db *db, int64_t position)
{
    uint32_t count;
    struct kp_output *const *changed = kp_graph_changed(db->graph, &count);
    bool failed = false;
    for (uint32_t i = 0; i < count; i++) {
        struct kp_live *live = kp_output_owner(changed[i]);
        struct kp_error err;
        enum kp_code code = kp_output_check(changed[i], &err);
        if (code == KP_OK)
            code = kp_store_apply(live->store, kp_output_changes(changed[i]), position, &err);
        if (code != KP_OK)
            kp_live_fail(db, live, &err);
        failed |= code != KP_OK;
    }
    return failed;
}

static void drop_failed(struct kp_db *db)
{
    for (struct kp_live *live = db->fed, *next; live; live = next) {
        next = live->next_fed;
        if (atomic_load(&live->state) == KP_LIVE_FAILED)
            kp_live_unfeed(db, live);
    }
}

/* The step that begins, or is under way, is not for the view. Locked: mutex. */
static void leave_out(struct kp_live *live)
{
    struct kp_error why;
    (void)kp_fail(&why, KP_NOT_FOUND, "42P01", "relation \"%s\" was dropped", live->relation->name);
    kp_graph_forsake(live->output, live->node, &why);
}

void kp_engine_forsake(struct kp_db *db, struct kp_live *live)
{
    kp_mutex_lock(&db->mutex);
    db->forsaken += !live->forsaken;
    live->forsaken = true;
    if (db->stepping && live->output)
        leave_out(live);
    kp_mutex_unlock(&db->mutex);
}

static enum kp_code run_step(struct kp_db *db, const struct kp_step *step, struct kp_error *err)
{
    kp_mutex_lock(&db->mutex);
    db->stepping = true;
    for (struct kp_live *live = db->forsaken ? db->fed : NULL; live; live = live->next_fed)
        if (live->forsaken)
            leave_out(live);
    kp_mutex_unlock(&db->mutex);
    enum kp_code code = kp_graph_step(db->graph, step, err);
    kp_mutex_lock(&db->mutex);
    db->stepping = false;
    kp_mutex_unlock(&db->mutex);
    return code;
}

static enum kp_code step_graph(struct kp_db *db, const struct kp_step_input *inputs, size_t count, int64_t position,
                               int64_t log_time_us, bool partial, bool close_windows, struct kp_error *err)
{
    int64_t started_ns = db->os->mono_ns(db->os->ctx);
    struct kp_step step = {.inputs = inputs,
                           .input_count = count,
                           .position_end = position,
                           .log_time_us = log_time_us,
                           .partial = partial,
                           .close_windows = close_windows,
                           .cancel = &db->stop,
                           .dead = kp_dead_letter_note,
                           .arg = db};
    KP_TRY(run_step(db, &step, err));
    bool failed = store_changes(db, position);
    kp_graph_step_release(db->graph);
    if (failed)
        drop_failed(db);
    if (!partial)
        kp_watermarks_note(db);
    int64_t ns = db->os->mono_ns(db->os->ctx) - started_ns;
    atomic_fetch_add(&db->counters.steps, 1);
    atomic_fetch_add(&db->counters.step_ns, (uint64_t)ns);
    atomic_store(&db->counters.last_step_ns, ns);
    return KP_OK;
}

static enum kp_code publish(struct kp_db *db, int64_t log_time_us, struct kp_error *err)
{
    kp_view_clock_publish(db->clock, db->position, log_time_us);
    return kp_sinks_emit(db, err);
}

static enum kp_code step_span(struct kp_db *db, const struct kp_log_span *span, struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_step_input *inputs;
    size_t count = kp_span_inputs(span, db->feeds, db->feed_count, &arena, &inputs);
    uint64_t records = 0, bytes = 0;
    for (size_t i = 0; i < span->count; i++) {
        records += span->chunks[i].records;
        bytes += span->chunks[i].bytes;
    }
    atomic_fetch_add(&db->counters.records, records);
    atomic_fetch_add(&db->counters.bytes, bytes);
    int64_t log_time_us = span->count ? span->chunks[span->count - 1].log_time_us : kp_log_time_us(db->log);
    enum kp_code code = step_graph(db, inputs, count, span->position_end, log_time_us, false, false, err);
    kp_arena_finish(&arena);
    KP_TRY(code);
    db->position = span->position_end;
    return publish(db, log_time_us, err);
}

/*
 * Records at the position cannot be read (err says so): what reads their topics fails with that reason, and the others
 * go on behind them. Returns err's code when nothing is known to be damaged there.
 */
static enum kp_code pass_damage(struct kp_db *db, struct kp_error *err)
{
    struct kp_log_damage *damages;
    size_t count;
    bool known = kp_log_damage_at(db->log, db->position, &damages, &count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < db->feed_count; k++) {
            struct kp_error why;
            if (db->feeds[k].topic == damages[i].topic && kp_log_damage_error(db->log, &damages[i], &why) != KP_OK)
                kp_graph_fail(db->feeds[k].node, &why);
        }
    int64_t position = known ? damages->position_end : db->position;
    kp_free(damages);
    if (!known)
        return err->code;
    int64_t log_time_us = kp_log_time_us(db->log);
    KP_TRY(step_graph(db, NULL, 0, position, log_time_us, true, false, err));
    db->position = position;
    return publish(db, log_time_us, err);
}

/* Steps from `position` towards limit; *ret_moved false at the end of the log. */
static enum kp_code advance(struct kp_db *db, int64_t limit, bool *ret_moved, struct kp_error *err)
{
    uint64_t bytes_max = db->options.step_bytes_max;
    if (db->options.step_records_max && limit - db->position > (int64_t)db->options.step_records_max)
        limit = db->position + (int64_t)db->options.step_records_max;
    struct kp_log_span span;
    enum kp_code code = kp_log_read(db->log, db->position, limit, bytes_max, NULL, 0, &span, err);
    *ret_moved = code == KP_CORRUPT;
    if (code == KP_CORRUPT)
        return pass_damage(db, err);
    KP_TRY(code);
    *ret_moved = span.position_end > db->position;
    code = *ret_moved ? step_span(db, &span, err) : KP_OK;
    kp_log_span_release(&span);
    return code;
}

enum kp_code kp_engine_bring(struct kp_db *db, struct kp_node *node, struct kp_batch *batch, struct kp_error *err)
{
    struct kp_step_input input = {.node = node, .batches = &batch, .batch_count = 1};
    int64_t log_time_us = 0;
    if (db->position)
        KP_TRY(kp_log_time_at(db->log, db->position, &log_time_us, err));
    return step_graph(db, &input, 1, db->position, log_time_us, true, false, err);
}

static enum kp_code step_beside(struct kp_db *db, const struct kp_log_span *span, const struct kp_step_input *more,
                                size_t more_count, struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_step_input *inputs;
    size_t count = kp_span_inputs(span, db->feeds, db->feed_count, &arena, &inputs);
    struct kp_step_input *all = kp_arena_alloc(&arena, (count + more_count + 1) * sizeof *all);
    memcpy(all, inputs, count * sizeof *all);
    memcpy(all + count, more, more_count * sizeof *all);
    int64_t log_time_us = kp_log_time_us(db->log);
    enum kp_code code = step_graph(db, all, count + more_count, span->position_end, log_time_us, false, false, err);
    kp_arena_finish(&arena);
    KP_TRY(code);
    db->position = span->position_end;
    return publish(db, log_time_us, err);
}

enum kp_code kp_engine_step_beside(struct kp_db *db, int64_t position, const struct kp_step_input *inputs, size_t count,
                                   struct kp_error *err)
{
    bool moved = true;
    while (moved && db->position < position)
        KP_TRY(advance(db, position, &moved, err));
    if (db->position != position)
        return kp_fail(err, KP_INVALID, "XX000", "position %lld was not met", (long long)position);
    struct kp_log_span span;
    KP_TRY(kp_log_read(db->log, position, position + 1, 1, NULL, 0, &span, err));
    enum kp_code code = step_beside(db, &span, inputs, count, err);
    kp_log_span_release(&span);
    return code;
}

/* ---- replay after open ---- */

/* A large step from history, which holds emission back. */
static enum kp_code replay_some(struct kp_db *db, struct kp_history *history, int64_t limit, bool *ret_moved,
                                struct kp_error *err)
{
    struct kp_history_step step;
    if (db->options.step_records_max && limit - db->position > (int64_t)db->options.step_records_max)
        limit = db->position + (int64_t)db->options.step_records_max;
    enum kp_code code = kp_history_next(history, db->feeds, db->feed_count, db->position, limit, false, &step, err);
    *ret_moved = code == KP_CORRUPT;
    if (code == KP_CORRUPT)
        return pass_damage(db, err);
    KP_TRY(code);
    *ret_moved = step.position_end > db->position;
    atomic_fetch_add(&db->counters.records, step.records);
    atomic_fetch_add(&db->counters.bytes, step.bytes);
    if (step.count)
        code = step_graph(db, step.inputs, step.count, step.position_end, step.log_time_us, true, false, err);
    db->position = step.position_end;
    kp_history_release(history, &step, code == KP_OK);
    return code;
}

static enum kp_code replay_to(struct kp_db *db, int64_t limit, struct kp_error *err)
{
    const struct kp_history_options options = {
        .log = db->log, .columns = db->columns, .step_bytes_max = db->options.step_bytes_max};
    struct kp_history *history = kp_history_create(&options);
    enum kp_code code = KP_OK;
    for (bool moved = true; code == KP_OK && moved && db->position < limit && !db->stop;)
        code = replay_some(db, history, limit, &moved, err);
    kp_history_destroy(history);
    KP_TRY(code);
    int64_t log_time_us;
    KP_TRY(kp_log_time_at(db->log, db->position, &log_time_us, err));
    KP_TRY(step_graph(db, NULL, 0, db->position, log_time_us, false, false, err));
    return publish(db, log_time_us, err);
}

/* Sinks that never wrote begin with all rows. */
static enum kp_code attach_sinks(struct kp_db *db, struct kp_error *err)
{
    for (struct kp_sink *sink = db->sinks; sink; sink = sink->next_sink)
        if (!sink->subscription)
            KP_TRY(kp_sink_attach(db, sink->relation, err));
    return KP_OK;
}

static enum kp_code replay_all(struct kp_db *db, struct kp_error *err)
{
    int64_t decided = kp_retention_retractions(db).position; /* what went there, sinks may not have written */
    bool owed = kp_sinks_owe(db, decided);
    KP_TRY(kp_base_restore(db, err));
    if (owed)
        KP_TRY(kp_base_restore_retractions(db, false, err));
    for (size_t i = 0; i < db->cut_count; i++) {
        if (owed && db->cuts[i] > decided) {
            KP_TRY(kp_base_restore_retractions(db, true, err));
            owed = false;
        }
        if (db->cuts[i] < 0 || (i > 0 && db->cuts[i] == db->cuts[i - 1]))
            continue; /* never wrote: it begins with all rows, at the end; or several sinks left off here */
        KP_TRY(replay_to(db, db->cuts[i], err));
        for (struct kp_sink *sink = db->sinks; sink; sink = sink->next_sink)
            if (sink->resume == db->cuts[i] && !sink->subscription) /* cuts may be equal */
                KP_TRY(kp_sink_attach(db, sink->relation, err));
    }
    if (owed)
        KP_TRY(kp_base_restore_retractions(db, true, err));
    do
        KP_TRY(replay_to(db, kp_log_position(db->log), err));
    while (db->position < kp_log_position(db->log) && !db->stop);
    KP_TRY(attach_sinks(db, err));
    return kp_sinks_switch(db, err);
}

/* ---- the thread ---- */

static bool stopping(struct kp_db *db)
{
    return atomic_load(&db->stop);
}

/* A step that was stopped with the instance is no fault: its graph goes, and the log has everything. */
static void poison(struct kp_db *db, const struct kp_error *err)
{
    if (!stopping(db))
        kp_db_poison(db, err);
}

static void on_commit(void *arg, int64_t position)
{
    struct kp_db *db = arg;
    kp_mutex_lock(&db->mutex);
    db->commit_seen = true;
    kp_cond_signal(&db->engine_wake);
    kp_mutex_unlock(&db->mutex);
}

/* Writes a tick if one is due; returns how long to wait before the next look, negative: there is no timer. */
static int64_t write_tick(struct kp_db *db)
{
    static const int64_t LOOK_US_MAX = 250000; /* clocks may be set forward */
    struct kp_error err;
    int64_t due_us = kp_tick_due_us(db);
    if (due_us == INT64_MAX)
        return -1;
    int64_t wait_us = due_us - db->os->wall_us(db->os->ctx);
    if (wait_us > 0)
        return KP_MIN(wait_us, LOOK_US_MAX);
    if (kp_tick_write(db, &err) == KP_OK)
        return 0;
    if (kp_log_health(db->log, NULL) != KP_OK)
        kp_db_poison(db, &err);
    return LOOK_US_MAX; /* a full disk may have refused it */
}

/* wait_us negative: no timer runs. */
static void wait_for_work(struct kp_db *db, int64_t wait_us)
{
    bool in_time = true;
    kp_mutex_lock(&db->mutex);
    while (in_time && !db->commit_seen && !db->calls && !db->stop)
        in_time = kp_cond_wait_us(&db->engine_wake, &db->mutex, wait_us);
    kp_mutex_unlock(&db->mutex);
}

static void engine_run(void *arg)
{
    struct kp_db *db = arg;
    struct kp_error err;
    if (replay_all(db, &err) != KP_OK)
        poison(db, &err);
    kp_mutex_lock(&db->mutex);
    db->ready = true;
    kp_cond_broadcast(&db->idle);
    kp_mutex_unlock(&db->mutex);
    kp_mem_trim(); /* the replay's large steps needed memory that nobody needs now */
    for (;;) {
        run_calls(db);
        if (stopping(db))
            break;
        kp_mutex_lock(&db->mutex);
        db->commit_seen = false;
        kp_mutex_unlock(&db->mutex);
        bool moved = false;
        if (!atomic_load(&db->poisoned) && advance(db, INT64_MAX, &moved, &err) != KP_OK)
            poison(db, &err);
        if (moved)
            continue;
        if (!atomic_load(&db->poisoned) && kp_sinks_pending(db) && kp_sinks_emit(db, &err) != KP_OK)
            kp_db_poison(db, &err);
        int64_t wait_us = db->sink_writes ? SINK_RETRY_US : -1; /* a full disk may have refused what they write */
        int64_t tick_us = write_tick(db);
        if (tick_us >= 0)
            wait_us = wait_us < 0 ? tick_us : KP_MIN(wait_us, tick_us);
        wait_for_work(db, wait_us);
    }
    run_calls(db);
}

void kp_engine_start(struct kp_db *db)
{
    kp_log_listen(db->log, on_commit, db);
    kp_thread_start(&db->engine, "kappa-engine", KP_SQL_STACK_BYTES, engine_run, db);
}

void kp_db_halt(struct kp_db *db)
{
    if (!db)
        return;
    kp_mutex_lock(&db->mutex);
    atomic_store(&db->stop, true);
    kp_cond_signal(&db->engine_wake);
    kp_mutex_unlock(&db->mutex);
}

void kp_engine_stop(struct kp_db *db)
{
    kp_db_halt(db);
    kp_thread_join(&db->engine);
    for (size_t i = 0; i < db->feed_count; i++)
        kp_relation_unref(db->feeds[i].relation);
    kp_free(db->feeds);
    kp_graph_destroy(db->graph);
    db->graph = NULL;
}

static enum kp_code close_windows(struct kp_db *db, void *arg, struct kp_error *err)
{
    bool moved = true;
    while (moved)
        KP_TRY(advance(db, INT64_MAX, &moved, err));
    /* The end of all input is a moment of its own behind the last record, so subscribers see it as a change. */
    KP_TRY(step_graph(db, NULL, 0, db->position + 1, kp_log_time_us(db->log), false, true, err));
    kp_view_clock_publish(db->clock, db->position + 1, kp_log_time_us(db->log));
    KP_TRY(kp_sinks_wait(db, err)); /* what is under way; then the rest, of which nobody else would ask */
    KP_TRY(kp_sinks_emit(db, err));
    return kp_sinks_wait(db, err);
}

enum kp_code kp_db_close_windows(struct kp_db *db, struct kp_error *err)
{
    return kp_engine_call(db, close_windows, NULL, err);
}
