/*
 * The worker pool: threads that help whoever has tasks.
 *
 * A job is a number of tasks and a function; tasks are handed out by an atomic counter, so a slow one delays nobody.
 * The caller always works on its own job (slot 0), helpers join as long as slots are free and tasks are left. Several
 * graphs may have jobs at once; helpers take the oldest that still wants help.
 */
#include "flow/graph.h"

struct job {
    void (*run)(void *arg, uint32_t slot, uint32_t task);
    void *arg;
    uint32_t count;
    _Atomic uint32_t next; /* task to hand out */
    uint32_t slots;        /* given to threads so far, the caller's included; under the lock */
    uint32_t helping;      /* threads inside, without the caller; under the lock */
    struct job *after;
};

struct kp_workers {
    uint32_t count;
    struct kp_mutex lock;
    struct kp_cond work, done;
    struct job *jobs; /* oldest first */
    bool stop;
    struct kp_thread *threads;
};

static void work_on(struct job *job, uint32_t slot)
{
    for (;;) {
        uint32_t task = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
        if (task >= job->count)
            return;
        job->run(job->arg, slot, task);
    }
}

/* @locks held: workers->lock */
static struct job *wanted_job(struct kp_workers *workers)
{
    for (struct job *job = workers->jobs; job; job = job->after)
        if (job->slots < workers->count && atomic_load_explicit(&job->next, memory_order_relaxed) < job->count)
            return job;
    return NULL;
}

static void helper_main(void *arg)
{
    struct kp_workers *workers = arg;
    kp_mutex_lock(&workers->lock);
    while (!workers->stop) {
        struct job *job = wanted_job(workers);
        if (!job) {
            kp_cond_wait(&workers->work, &workers->lock);
            continue;
        }
        uint32_t slot = job->slots++;
        job->helping++;
        kp_mutex_unlock(&workers->lock);
        work_on(job, slot);
        kp_mutex_lock(&workers->lock);
        if (--job->helping == 0)
            kp_cond_broadcast(&workers->done);
    }
    kp_mutex_unlock(&workers->lock);
}

struct kp_workers *kp_workers_create(uint32_t count)
{
    struct kp_workers *workers = kp_calloc(1, sizeof *workers);
    workers->count = KP_MIN(KP_MAX(count, 1u), (uint32_t)KP_LANES_MAX);
    kp_mutex_init(&workers->lock);
    kp_cond_init(&workers->work);
    kp_cond_init(&workers->done);
    workers->threads = kp_calloc(workers->count, sizeof *workers->threads);
    for (uint32_t i = 1; i < workers->count; i++)
        kp_thread_start(&workers->threads[i], "kappa-worker", 0, helper_main, workers);
    return workers;
}

void kp_workers_destroy(struct kp_workers *workers)
{
    if (!workers)
        return;
    kp_mutex_lock(&workers->lock);
    workers->stop = true;
    kp_cond_broadcast(&workers->work);
    kp_mutex_unlock(&workers->lock);
    for (uint32_t i = 1; i < workers->count; i++)
        kp_thread_join(&workers->threads[i]);
    kp_cond_finish(&workers->work);
    kp_cond_finish(&workers->done);
    kp_mutex_finish(&workers->lock);
    kp_free(workers->threads);
    kp_free(workers);
}

uint32_t kp_workers_count(const struct kp_workers *workers)
{
    return workers ? workers->count : 1;
}

void kp_workers_run(struct kp_workers *workers, uint32_t count, void (*run)(void *arg, uint32_t slot, uint32_t task),
                    void *arg)
{
    struct job job = {.run = run, .arg = arg, .count = count, .slots = 1};
    if (!workers || workers->count == 1 || count < 2) {
        work_on(&job, 0);
        return;
    }
    kp_mutex_lock(&workers->lock);
    struct job **end = &workers->jobs;
    while (*end)
        end = &(*end)->after;
    *end = &job;
    if (count == 2)
        kp_cond_signal(&workers->work);
    else
        kp_cond_broadcast(&workers->work);
    kp_mutex_unlock(&workers->lock);
    work_on(&job, 0);
    kp_mutex_lock(&workers->lock);
    for (end = &workers->jobs; *end != &job; end = &(*end)->after)
        ;
    *end = job.after;
    while (job.helping)
        kp_cond_wait(&workers->done, &workers->lock);
    kp_mutex_unlock(&workers->lock);
}
