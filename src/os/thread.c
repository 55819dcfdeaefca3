#include "os/thread.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define MUST(call) KP_ASSERT((call) == 0)

static const struct kp_thread_table *simulated;

void kp_thread_simulate(const struct kp_thread_table *table)
{
    simulated = table;
}

void kp_once_run(struct kp_once *once, void (*run)(void))
{
    MUST(pthread_once(&once->impl, run));
}

void kp_mutex_init(struct kp_mutex *mutex)
{
    MUST(pthread_mutex_init(&mutex->impl, NULL));
    mutex->held = 0;
}
void kp_mutex_finish(struct kp_mutex *mutex)
{
    KP_ASSERT(mutex->held == 0);
    MUST(pthread_mutex_destroy(&mutex->impl));
}
void kp_mutex_lock(struct kp_mutex *mutex)
{
    if (simulated)
        simulated->lock(&mutex->held, false);
    else
        MUST(pthread_mutex_lock(&mutex->impl));
}
void kp_mutex_unlock(struct kp_mutex *mutex)
{
    if (simulated)
        simulated->unlock(&mutex->held);
    else
        MUST(pthread_mutex_unlock(&mutex->impl));
}

void kp_rwlock_init(struct kp_rwlock *lock)
{
    pthread_rwlockattr_t attr; /* the engine writes, many read: a stream of readers must not starve it */
    MUST(pthread_rwlockattr_init(&attr));
    MUST(pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
    MUST(pthread_rwlock_init(&lock->impl, &attr));
    lock->held = 0;
    MUST(pthread_rwlockattr_destroy(&attr));
}
void kp_rwlock_finish(struct kp_rwlock *lock)
{
    KP_ASSERT(lock->held == 0);
    MUST(pthread_rwlock_destroy(&lock->impl));
}
void kp_rwlock_read(struct kp_rwlock *lock)
{
    if (simulated)
        simulated->lock(&lock->held, true);
    else
        MUST(pthread_rwlock_rdlock(&lock->impl));
}
void kp_rwlock_write(struct kp_rwlock *lock)
{
    if (simulated)
        simulated->lock(&lock->held, false);
    else
        MUST(pthread_rwlock_wrlock(&lock->impl));
}
void kp_rwlock_unlock(struct kp_rwlock *lock)
{
    if (simulated)
        simulated->unlock(&lock->held);
    else
        MUST(pthread_rwlock_unlock(&lock->impl));
}

void kp_cond_init(struct kp_cond *cond)
{
    pthread_condattr_t attr;
    MUST(pthread_condattr_init(&attr));
    MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    MUST(pthread_cond_init(&cond->impl, &attr));
    MUST(pthread_condattr_destroy(&attr));
}
void kp_cond_finish(struct kp_cond *cond)
{
    MUST(pthread_cond_destroy(&cond->impl));
}
void kp_cond_wait(struct kp_cond *cond, struct kp_mutex *mutex)
{
    if (simulated)
        (void)simulated->wait(cond, &mutex->held, -1);
    else
        MUST(pthread_cond_wait(&cond->impl, &mutex->impl));
}
bool kp_cond_wait_us(struct kp_cond *cond, struct kp_mutex *mutex, int64_t timeout_us)
{
    if (simulated)
        return simulated->wait(cond, &mutex->held, timeout_us);
    if (timeout_us < 0) {
        kp_cond_wait(cond, mutex);
        return true;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (timeout_us % 1000000) * 1000;
    until.tv_sec += timeout_us / 1000000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    int result = pthread_cond_timedwait(&cond->impl, &mutex->impl, &until);
    KP_ASSERT(result == 0 || result == ETIMEDOUT);
    return result == 0;
}
void kp_cond_signal(struct kp_cond *cond)
{
    if (simulated)
        simulated->wake(cond, false);
    else
        MUST(pthread_cond_signal(&cond->impl));
}
void kp_cond_broadcast(struct kp_cond *cond)
{
    if (simulated)
        simulated->wake(cond, true);
    else
        MUST(pthread_cond_broadcast(&cond->impl));
}

void kp_latch_wait(struct kp_latch *latch)
{
    while (!atomic_load_explicit(&latch->open, memory_order_acquire)) {
        if (simulated)
            (void)simulated->wait(latch, NULL, -1);
        else
            (void)syscall(SYS_futex, &latch->open, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0); /* or it is open by now */
    }
}
void kp_latch_open(struct kp_latch *latch)
{
    atomic_store_explicit(&latch->open, 1, memory_order_release);
    if (simulated)
        simulated->wake(latch, true);
    else
        (void)syscall(SYS_futex, &latch->open, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

struct start {
    void (*run)(void *arg);
    void *arg;
    char name[16];
};

static void *trampoline(void *arg)
{
    struct start start = *(struct start *)arg;
    kp_free(arg);
    pthread_setname_np(pthread_self(), start.name);
    start.run(start.arg);
    return NULL;
}

void kp_thread_start(struct kp_thread *thread, const char *name, size_t stack_bytes, void (*run)(void *arg), void *arg)
{
    if (simulated) {
        thread->task = simulated->start(name, stack_bytes, run, arg);
        return;
    }
    struct start *start = kp_calloc(1, sizeof *start);
    start->run = run;
    start->arg = arg;
    snprintf(start->name, sizeof start->name, "%s", name);
    pthread_attr_t attr;
    MUST(pthread_attr_init(&attr));
    MUST(pthread_attr_setstacksize(&attr, stack_bytes ? stack_bytes : 1 << 20));
    sigset_t all, before;
    sigfillset(&all);
    MUST(pthread_sigmask(SIG_BLOCK, &all, &before));
    MUST(pthread_create(&thread->impl, &attr, trampoline, start));
    MUST(pthread_sigmask(SIG_SETMASK, &before, NULL));
    MUST(pthread_attr_destroy(&attr));
}

void kp_thread_join(struct kp_thread *thread)
{
    if (simulated)
        simulated->join(thread->task);
    else
        MUST(pthread_join(thread->impl, NULL));
}

size_t kp_thread_stack_left(void)
{
    if (simulated)
        return simulated->stack_left();
    static _Thread_local uintptr_t lowest; /* asking is slow for the first thread: it reads a file */
    if (!lowest) {
        pthread_attr_t attr;
        void *base;
        size_t bytes;
        MUST(pthread_getattr_np(pthread_self(), &attr));
        MUST(pthread_attr_getstack(&attr, &base, &bytes));
        MUST(pthread_attr_destroy(&attr));
        lowest = (uintptr_t)base;
    }
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return here > lowest ? here - lowest : 0;
}

int kp_thread_parser_key(pthread_key_t *ret_key, void (*destroy)(void *value))
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static pthread_key_t key;
    static bool made;
    int result = 0;
    MUST(pthread_mutex_lock(&mutex));
    if (!made && (result = pthread_key_create(&key, destroy)) == 0)
        made = true;
    if (made)
        *ret_key = key;
    MUST(pthread_mutex_unlock(&mutex));
    return result;
}

int64_t kp_thread_now_ns(void)
{
    if (simulated)
        return simulated->now_ns();
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int kp_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}
