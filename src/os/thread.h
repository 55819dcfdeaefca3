/* Threads, locks and conditions: the only place that names pthread. Nothing here fails but by exhaustion, which is
 * fatal. */
#ifndef KP_OS_THREAD_H
#define KP_OS_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `held` is the simulator's: 0 free, -1 one holder, n > 0 as many readers. */
struct kp_mutex {
    pthread_mutex_t impl;
    int32_t held;
};
struct kp_rwlock {
    pthread_rwlock_t impl;
    int32_t held;
};
struct kp_cond {
    pthread_cond_t impl;
};
struct kp_thread {
    pthread_t impl;
    void *task; /* the simulator's */
};

/* A function run once in the process, by whoever comes first; the others wait for it. */
struct kp_once {
    pthread_once_t impl;
};
#define KP_ONCE_INIT                                                                                                   \
    {                                                                                                                  \
        PTHREAD_ONCE_INIT                                                                                              \
    }
void kp_once_run(struct kp_once *once, void (*run)(void));

void kp_mutex_init(struct kp_mutex *mutex);
void kp_mutex_finish(struct kp_mutex *mutex);
void kp_mutex_lock(struct kp_mutex *mutex);
void kp_mutex_unlock(struct kp_mutex *mutex);

void kp_rwlock_init(struct kp_rwlock *lock);
void kp_rwlock_finish(struct kp_rwlock *lock);
void kp_rwlock_read(struct kp_rwlock *lock);
void kp_rwlock_write(struct kp_rwlock *lock);
void kp_rwlock_unlock(struct kp_rwlock *lock);

void kp_cond_init(struct kp_cond *cond);
void kp_cond_finish(struct kp_cond *cond);
void kp_cond_wait(struct kp_cond *cond, struct kp_mutex *mutex);
/* False when timeout_us passed without a signal; a negative timeout waits for ever. */
bool kp_cond_wait_us(struct kp_cond *cond, struct kp_mutex *mutex, int64_t timeout_us);
void kp_cond_signal(struct kp_cond *cond);
void kp_cond_broadcast(struct kp_cond *cond);

/* Opened once, for ever (zero: closed). Who waits goes on at once: unlike behind a condition, none queues for a lock.
 */
struct kp_latch {
    _Atomic uint32_t open;
};
void kp_latch_wait(struct kp_latch *latch);
/* What was written before is seen by who waited. The latch must stay until this has returned. */
void kp_latch_open(struct kp_latch *latch);

/* Starts a thread with signals blocked and a stack of stack_bytes (0: 1 MiB). name: at most 15 bytes. */
void kp_thread_start(struct kp_thread *thread, const char *name, size_t stack_bytes, void (*run)(void *arg), void *arg);
void kp_thread_join(struct kp_thread *thread);
/* Bytes of the calling thread's stack below the current frame: what a recursion may still use. */
size_t kp_thread_stack_left(void);
/* What libpg_query calls instead of pthread_key_create (CMakeLists.txt): the same key in every thread. A process has
 * 1,024 of them; where none is left, OpenSSL cannot begin. */
int kp_thread_parser_key(pthread_key_t *ret_key, void (*destroy)(void *value));
/* Processors this process may use, at least 1. */
int kp_cpu_count(void);
/* The clock by which timeouts pass: nanoseconds, never goes back. */
int64_t kp_thread_now_ns(void);

/*
 * The seam for a simulator (sim/tasks.h): threads become tasks that one thread runs in an order from a seed. NULL:
 * pthread. To be changed only while no thread of kappa runs and no lock is held.
 */
struct kp_thread_table {
    void (*lock)(int32_t *held, bool shared);
    void (*unlock)(int32_t *held);
    bool (*wait)(const void *cond, int32_t *held, int64_t timeout_us); /* as kp_cond_wait_us; held NULL: no lock */
    void (*wake)(const void *cond, bool all);
    void *(*start)(const char *name, size_t stack_bytes, void (*run)(void *arg), void *arg);
    void (*join)(void *task);
    size_t (*stack_left)(void);
    int64_t (*now_ns)(void);
};
void kp_thread_simulate(const struct kp_thread_table *table);

#endif
