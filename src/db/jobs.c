/*
 * Backfill jobs: a thread that brings new relations from the log's beginning to the live position and hands them over.
 *
 * The job waits until what it reads is live, follows the published position until it is close (each round leaves less
 * to do), and then lets the engine thread do the last, short piece between two of its steps.
 */
#include "db/base.h"

enum { WAIT_SLICE_US = 50000, MEET_RECORDS_MAX = 20000, ROUNDS_MAX = 50 };

static struct kp_store *live_store(void *arg, struct kp_relation *relation)
{
    struct kp_live *live = kp_live_of(relation);
    return live && atomic_load(&live->state) == KP_LIVE_READY ? live->store : NULL;
}

static bool is_target(const struct kp_job *job, const struct kp_relation *relation)
{
    for (size_t i = 0; i < job->target_count; i++)
        if (job->targets[i].relation == relation)
            return true;
    return false;
}

/* Waits until every table and view under the plan is live or one of our own. */
static enum kp_code wait_for_inputs(struct kp_job *job, const struct kp_plan *plan, struct kp_error *err)
{
    struct kp_relation *relation = plan->kind == KP_PLAN_SCAN ? plan->scan.relation : NULL;
    if (relation && (relation->kind == KP_RELATION_TABLE || relation->kind == KP_RELATION_VIEW) &&
        !is_target(job, relation)) {
        struct kp_live *live;
        KP_TRY(kp_live_pin(job->db, relation, &job->cancelled, &live, err));
        kp_live_unpin(job->db, live);
    }
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(wait_for_inputs(job, plan->inputs[i], err));
    return KP_OK;
}

/* What was acknowledged before the statement: rows that are gone by then might take more than there is. */
static enum kp_code wait_for_writes(struct kp_job *job, struct kp_error *err)
{
    struct kp_db *db = job->db;
    int64_t written = atomic_load(&db->written);
    while (!kp_view_clock_wait(db->clock, written, WAIT_SLICE_US)) {
        KP_TRY(kp_db_health(db, err));
        if (atomic_load(&job->cancelled))
            return kp_fail(err, KP_CANCELLED, NULL, "canceling statement due to user request");
    }
    return KP_OK;
}

static enum kp_code begin(struct kp_db *db, void *arg, struct kp_error *err)
{
    struct kp_job *job = arg;
    return kp_backfill_begin(job->backfill, err);
}

static enum kp_code meet(struct kp_db *db, void *arg, struct kp_error *err)
{
    struct kp_job *job = arg;
    KP_TRY(kp_backfill_meet(job->backfill, db->position, db->graph, kp_engine_node, db, err));
    for (size_t i = 0; i < job->target_count; i++) {
        struct kp_backfill_target *target = &job->targets[i];
        if (target->relation->kind == KP_RELATION_TABLE)
            KP_TRY(kp_engine_feed_relation(db, target->relation, err));
        else
            KP_TRY(kp_engine_feed_plan(db, target->relation->plan->plan, err));
        kp_live_feed(db, job->lives[i], target->node, target->output);
    }
    return KP_OK;
}

static struct kp_expired_list *expired_of(void *arg, const struct kp_backfill_target *target)
{
    struct kp_job *job = arg;
    for (size_t i = 0; i < job->target_count; i++)
        if (&job->targets[i] == target)
            return job->lives[i]->expired;
    return NULL;
}

static struct kp_node *expired_node(void *arg, const struct kp_backfill_target *target, struct kp_graph *graph,
                                    struct kp_relation *source)
{
    struct kp_expired_list *expired = expired_of(arg, target);
    return expired ? kp_expired_hook(expired, graph, source) : NULL;
}

static void source_made(void *arg, struct kp_relation *source, struct kp_node *node)
{
    kp_retention_restore_times(arg, source, node);
}

static enum kp_code build(struct kp_job *job, struct kp_error *err)
{
    struct kp_db *db = job->db;
    for (size_t i = 0; i < job->target_count; i++)
        if (job->targets[i].relation->plan)
            KP_TRY(wait_for_inputs(job, job->targets[i].relation->plan->plan, err));
    KP_TRY(wait_for_writes(job, err));
    struct kp_backfill_options options = {.log = db->log,
                                          .columns = db->columns,
                                          .clock = db->clock,
                                          .workers = db->replay_workers,
                                          .parts = db->parts,
                                          .budget = &db->state_memory,
                                          .step_bytes_max = db->options.step_bytes_max,
                                          .max_ahead_us = db->max_ahead_us,
                                          .targets = job->targets,
                                          .target_count = job->target_count,
                                          .live_store = live_store,
                                          .dead = kp_dead_letter_note,
                                          .arg = db,
                                          .expired = expired_node,
                                          .expired_arg = job,
                                          .source_made = source_made};
    for (size_t i = 0; i < job->target_count; i++)
        if (job->targets[i].relation->on_expiry == KP_ON_EXPIRY_RETRACT)
            kp_live_expires(job->lives[i]);
    struct kp_backfill *backfill;
    KP_TRY(kp_backfill_create(&options, &backfill, err));
    kp_mutex_lock(&db->mutex);
    job->backfill = backfill;
    if (atomic_load(&job->cancelled))
        kp_backfill_cancel(backfill);
    kp_mutex_unlock(&db->mutex);
    KP_TRY(kp_engine_call(db, begin, job, err));
    int64_t done = -1;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        int64_t target = kp_view_clock_position(db->clock);
        if (round > 0 && target - done <= MEET_RECORDS_MAX)
            break;
        KP_TRY(kp_backfill_advance(backfill, target, err));
        done = target;
    }
    return kp_engine_call(db, meet, job, err);
}

static void job_run(void *arg)
{
    struct kp_job *job = arg;
    struct kp_db *db = job->db;
    struct kp_error err;
    job->failed = build(job, &err) != KP_OK;
    if (job->failed) {
        job->error = err;
        for (size_t i = 0; i < job->target_count; i++)
            kp_live_fail(db, job->lives[i], &err);
    }
    kp_mutex_lock(&db->mutex);
    struct kp_backfill *backfill = job->backfill;
    job->backfill = NULL;
    for (size_t i = 0; i < job->target_count; i++)
        job->lives[i]->job = NULL;
    atomic_store(&job->done, true);
    kp_cond_broadcast(&db->idle);
    kp_mutex_unlock(&db->mutex);
    kp_backfill_destroy(backfill);
    kp_mem_trim(); /* large steps needed memory that nobody needs now */
}

enum kp_code kp_job_start(struct kp_db *db, const char *what, struct kp_live **lives, size_t count,
                          struct kp_job **ret_job, struct kp_error *err)
{
    struct kp_job *job = kp_calloc(1, sizeof *job);
    job->db = db;
    job->what = what;
    job->started_us = db->os->wall_us(db->os->ctx);
    job->target_count = count;
    job->targets = kp_calloc(count, sizeof *job->targets);
    job->lives = kp_calloc(count, sizeof *job->lives);
    for (size_t i = 0; i < count; i++) {
        job->lives[i] = lives[i];
        job->targets[i] = (struct kp_backfill_target){
            .relation = lives[i]->relation, .store = lives[i]->store, .settings = lives[i]->settings};
    }
    kp_mutex_lock(&db->mutex);
    for (size_t i = 0; i < count; i++)
        lives[i]->job = job;
    job->next_job = db->jobs;
    db->jobs = job;
    kp_mutex_unlock(&db->mutex);
    kp_thread_start(&job->thread, "kappa-replay", KP_SQL_STACK_BYTES, job_run, job);
    *ret_job = job;
    return KP_OK;
}

static void cancel_locked(struct kp_job *job)
{
    atomic_store(&job->cancelled, true);
    if (job->backfill)
        kp_backfill_cancel(job->backfill);
}

static void finish(struct kp_db *db, struct kp_job *job)
{
    kp_thread_join(&job->thread);
    kp_mutex_lock(&db->mutex);
    for (struct kp_job **at = &db->jobs; *at; at = &(*at)->next_job)
        if (*at == job) {
            *at = job->next_job;
            break;
        }
    kp_mutex_unlock(&db->mutex);
    kp_free(job->targets);
    kp_free(job->lives);
    kp_free(job);
}

enum kp_code kp_job_wait(struct kp_db *db, struct kp_job *job, const _Atomic bool *cancel, struct kp_error *err)
{
    kp_mutex_lock(&db->mutex);
    while (!atomic_load(&job->done)) {
        if (cancel && atomic_load(cancel))
            cancel_locked(job);
        kp_cond_wait_us(&db->idle, &db->mutex, 50000);
    }
    kp_mutex_unlock(&db->mutex);
    enum kp_code code = KP_OK;
    if (job->failed) {
        code = job->error.code;
        if (err)
            *err = job->error;
    }
    finish(db, job);
    return code;
}

void kp_jobs_cancel_all(struct kp_db *db)
{
    for (;;) {
        kp_mutex_lock(&db->mutex);
        struct kp_job *job = db->jobs;
        if (job)
            cancel_locked(job);
        kp_mutex_unlock(&db->mutex);
        if (!job)
            return;
        finish(db, job);
    }
}
