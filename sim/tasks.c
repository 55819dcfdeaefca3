/*
 * The scheduler: tasks are ucontext coroutines with stacks of their own; os/thread.h's seam leads here.
 *
 * Invariants:
 *   1. One task runs; all others are in `swap`. Only lock, unlock, wait, wake, start, join and disk calls may swap.
 *   2. The choice of the next task depends on the seed and on the order of tasks' creation, never on addresses.
 *   3. Who waits for a lock is made ready when it is given up, and looks again: no lock is handed over.
 */
#include "sim/tasks.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "os/thread.h"
#include "sim/internal.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

enum { TASKS_MAX = 256, STACK_BYTES_MIN = 1 << 20, SPARE_STACKS = 32, HELD_MAX = 1024 };
static const int64_t NEVER = INT64_MAX;

enum task_state { TASK_READY, TASK_LOCK, TASK_CONDITION, TASK_JOIN, TASK_SETTLE, TASK_ENDED };

struct task {
    char name[16];
    void (*run)(void *arg);
    void *arg;
    ucontext_t context;
    uint8_t *stack;
    size_t stack_bytes;
    void *fake_stack; /* AddressSanitizer's */
    enum task_state state;
    const void *on; /* what it waits for */
    bool exclusive; /* it waits to lock alone: readers let it go first */
    bool timed_out;
    int64_t until_ns;
    uint64_t priority;
};

static struct scheduler {
    struct kp_sim *sim;
    struct task *tasks[TASKS_MAX]; /* in order of creation; NULL: joined */
    size_t count;
    struct task *current;
    ucontext_t outside;
    const void *outside_stack;
    size_t outside_bytes;
    uint64_t pause_of; /* the turn is taken away once in so many chances */
    uint64_t change_of, wake_of;
    bool priorities;
    uint64_t trace;
    bool abandoned;
    int32_t *held[HELD_MAX]; /* locks that somebody holds */
    size_t held_count;
} * running;

static struct {
    uint8_t *stack;
    size_t bytes;
} spares[SPARE_STACKS];

/* ---- stacks ---- */

static void take_stack(struct task *task, size_t bytes)
{
    bytes = KP_MAX(bytes, (size_t)STACK_BYTES_MIN);
    task->stack = NULL;
    for (int i = 0; i < SPARE_STACKS && !task->stack; i++)
        if (spares[i].stack && spares[i].bytes == bytes) {
            task->stack = spares[i].stack;
            spares[i].stack = NULL;
        }
    if (!task->stack)
        task->stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    KP_ASSERT(task->stack != MAP_FAILED);
    task->stack_bytes = bytes;
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(task->stack, bytes);
#endif
}

static void give_stack(struct task *task)
{
    for (int i = 0; i < SPARE_STACKS; i++)
        if (!spares[i].stack) {
            spares[i].stack = task->stack;
            spares[i].bytes = task->stack_bytes;
            return;
        }
    munmap(task->stack, task->stack_bytes);
}

/* ---- turns ---- */

static void swap(ucontext_t *from, void **fake_stack, struct task *to)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(fake_stack, to ? to->stack : running->outside_stack,
                                   to ? to->stack_bytes : running->outside_bytes);
#endif
    running->current = to;
    KP_ASSERT(swapcontext(from, to ? &to->context : &running->outside) == 0);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake_stack ? *fake_stack : NULL, NULL, NULL);
#endif
}

static void deadlock(void)
{
    static const char *const waits[] = {"", "lock", "condition", "join", "settle", ""};
    for (size_t i = 0; i < running->count; i++)
        if (running->tasks[i] && running->tasks[i]->state != TASK_ENDED)
            fprintf(stderr, "task %zu %s waits: %s %p\n", i, running->tasks[i]->name, waits[running->tasks[i]->state],
                    running->tasks[i]->on);
    kp_fatal("every task waits", __FILE__, __LINE__);
}

/* Makes those ready whose timeout has passed. */
static void pass_timeouts(void)
{
    for (size_t i = 0; i < running->count; i++) {
        struct task *task = running->tasks[i];
        if (task && task->state == TASK_CONDITION && task->until_ns <= running->sim->mono_ns) {
            task->timed_out = true;
            task->state = TASK_READY;
        }
    }
}

static bool pass_time(void)
{
    int64_t first_ns = NEVER;
    for (size_t i = 0; i < running->count; i++)
        if (running->tasks[i] && running->tasks[i]->state == TASK_CONDITION)
            first_ns = KP_MIN(first_ns, running->tasks[i]->until_ns);
    if (first_ns == NEVER)
        return false;
    if (first_ns > running->sim->mono_ns) {
        running->sim->wall_us += (first_ns - running->sim->mono_ns) / 1000;
        running->sim->mono_ns = first_ns;
    }
    pass_timeouts();
    return true;
}

static struct task *ready_task(void)
{
    struct task *best = NULL;
    uint64_t count = 0;
    for (size_t i = 0; i < running->count; i++) {
        struct task *task = running->tasks[i];
        if (!task || task->state != TASK_READY)
            continue;
        count++;
        if (running->priorities ? !best || task->priority > best->priority : kp_sim_below(running->sim, count) == 0)
            best = task;
    }
    return best;
}

/* All wait but for those that wait for that. */
static bool end_settling(void)
{
    bool any = false;
    for (size_t i = 0; i < running->count; i++)
        if (running->tasks[i] && running->tasks[i]->state == TASK_SETTLE) {
            running->tasks[i]->state = TASK_READY;
            any = true;
        }
    return any;
}

static struct task *next_task(void)
{
    pass_timeouts();
    if (running->wake_of && kp_sim_below(running->sim, running->wake_of) == 0) { /* pthread may wake without reason */
        struct task *task = running->tasks[kp_sim_below(running->sim, running->count)];
        if (task && task->state == TASK_CONDITION)
            task->state = TASK_READY;
    }
    for (;;) {
        struct task *task = ready_task();
        if (task)
            return task;
        if (!end_settling() && !pass_time())
            deadlock();
    }
}

static void turn(void)
{
    struct task *self = running->current, *next = next_task();
    for (size_t i = 0; i < running->count; i++)
        if (running->tasks[i] == next)
            running->trace = (running->trace ^ i) * 0x100000001b3u;
    if (next != self)
        swap(&self->context, &self->fake_stack, next);
}

static void wait_as(enum task_state state, const void *on)
{
    running->current->state = state;
    running->current->on = on;
    turn();
}

/* A chance to take the turn away. */
static void pause_some(void)
{
    if (!running || !running->current)
        return;
    if (running->priorities && kp_sim_below(running->sim, running->change_of) == 0) {
        running->current->priority = kp_sim_random(running->sim) >> 1;
        turn();
    } else if (kp_sim_below(running->sim, running->pause_of) == 0) {
        turn();
    }
}

/* ---- the table ---- */

static bool readers_wait(const int32_t *held)
{
    for (size_t i = 0; i < running->count; i++) {
        const struct task *task = running->tasks[i];
        if (task && task->state == TASK_LOCK && task->on == held && task->exclusive)
            return true;
    }
    return false;
}

static void take(int32_t *held, bool shared)
{
    if (*held == 0) {
        KP_ASSERT(running->held_count < HELD_MAX);
        running->held[running->held_count++] = held;
    }
    *held = shared ? *held + 1 : -1;
}

static void lock(int32_t *held, bool shared)
{
    pause_some();
    while (shared ? *held < 0 || (*held > 0 && readers_wait(held)) : *held != 0) {
        running->current->exclusive = !shared;
        wait_as(TASK_LOCK, held);
    }
    take(held, shared);
}

static void give_up(int32_t *held)
{
    KP_ASSERT(*held != 0);
    *held = *held < 0 ? 0 : *held - 1;
    for (size_t i = 0; *held == 0 && i < running->held_count; i++)
        if (running->held[i] == held) {
            running->held[i] = running->held[--running->held_count];
            break;
        }
    for (size_t i = 0; i < running->count; i++) {
        struct task *task = running->tasks[i];
        if (task && task->state == TASK_LOCK && task->on == held)
            task->state = TASK_READY;
    }
}

static void unlock(int32_t *held)
{
    give_up(held);
    pause_some();
}

static bool wait(const void *cond, int32_t *held, int64_t timeout_us)
{
    struct task *self = running->current;
    self->timed_out = false;
    self->until_ns = timeout_us < 0 ? NEVER : running->sim->mono_ns + timeout_us * 1000;
    if (held)
        give_up(held);
    wait_as(TASK_CONDITION, cond);
    bool woken = !self->timed_out;
    while (held && *held != 0) {
        self->exclusive = true;
        wait_as(TASK_LOCK, held);
    }
    if (held)
        take(held, false);
    return woken;
}

static void wake(const void *cond, bool all)
{
    uint64_t count = 0;
    struct task *one = NULL;
    for (size_t i = 0; i < running->count; i++) {
        struct task *task = running->tasks[i];
        if (!task || task->state != TASK_CONDITION || task->on != cond)
            continue;
        if (all)
            task->state = TASK_READY;
        else if (kp_sim_below(running->sim, ++count) == 0)
            one = task;
    }
    if (one)
        one->state = TASK_READY;
    pause_some();
}

static void begin(void)
{
    struct task *self = running->current;
#ifdef __SANITIZE_ADDRESS__
    const void *from;
    size_t bytes;
    __sanitizer_finish_switch_fiber(NULL, &from, &bytes);
    if (self == running->tasks[0]) {
        running->outside_stack = from;
        running->outside_bytes = bytes;
    }
#endif
    self->run(self->arg);
    self->state = TASK_ENDED;
    for (size_t i = 0; i < running->count; i++) {
        struct task *task = running->tasks[i];
        if (task && task->state == TASK_JOIN && task->on == self)
            task->state = TASK_READY;
    }
    swap(&self->context, NULL, self == running->tasks[0] ? NULL : next_task());
}

static void register_task(struct task *task)
{
    size_t slot = 0;
    while (slot < running->count && running->tasks[slot])
        slot++;
    KP_ASSERT(slot < TASKS_MAX);
    running->count = KP_MAX(running->count, slot + 1);
    running->tasks[slot] = task;
}

static struct task *create(const char *name, size_t stack_bytes, void (*run)(void *arg), void *arg)
{
    struct task *task = sim_realloc(NULL, sizeof *task);
    memset(task, 0, sizeof *task);
    snprintf(task->name, sizeof task->name, "%s", name);
    task->run = run;
    task->arg = arg;
    task->until_ns = NEVER;
    task->priority = kp_sim_random(running->sim);
    take_stack(task, stack_bytes);
    KP_ASSERT(getcontext(&task->context) == 0);
    task->context.uc_stack.ss_sp = task->stack;
    task->context.uc_stack.ss_size = task->stack_bytes;
    makecontext(&task->context, begin, 0);
    register_task(task);
    return task;
}

static void *start(const char *name, size_t stack_bytes, void (*run)(void *arg), void *arg)
{
    struct task *task = create(name, stack_bytes, run, arg);
    pause_some();
    return task;
}

static void join(void *arg)
{
    struct task *task = arg;
    while (task->state != TASK_ENDED)
        wait_as(TASK_JOIN, task);
    for (size_t i = 0; i < running->count; i++)
        if (running->tasks[i] == task)
            running->tasks[i] = NULL;
    give_stack(task);
    kp_free(task);
}

static size_t stack_left(void)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), lowest = (uintptr_t)running->current->stack;
    return here > lowest ? here - lowest : 0;
}

static int64_t now_ns(void)
{
    return running->sim->mono_ns += 100;
}

/* ---- what ends a task ---- */

/* A test's own handlers would leave a broken task by a jump to another stack, and lose what there is to say. So tasks
 * run with those that the process began with: the sanitizer's, or none. */
static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction first_handlers[KP_COUNT(deadly)];

__attribute__((constructor)) static void note_handlers(void)
{
    for (size_t i = 0; i < KP_COUNT(deadly); i++)
        (void)sigaction(deadly[i], NULL, &first_handlers[i]);
}

static void exchange_handlers(const struct sigaction *handlers, struct sigaction *ret_before)
{
    for (size_t i = 0; i < KP_COUNT(deadly); i++)
        (void)sigaction(deadly[i], &handlers[i], ret_before ? &ret_before[i] : NULL);
}

/* ---- outside ---- */

bool kp_sim_tasks_run(struct kp_sim *sim, void (*fn)(void *arg), void *arg)
{
    static const struct kp_thread_table table = {lock, unlock, wait, wake, start, join, stack_left, now_ns};
    static const uint64_t pauses[] = {1, 2, 5, 30, 300};
    KP_ASSERT(!running);
    struct scheduler scheduler = {.sim = sim};
    scheduler.pause_of = pauses[kp_sim_below(sim, KP_COUNT(pauses))];
    scheduler.priorities = kp_sim_below(sim, 3) == 0;
    scheduler.change_of = 20 + kp_sim_below(sim, 400);
    scheduler.wake_of = kp_sim_below(sim, 2) ? 0 : 50;
    running = &scheduler;
    sim->pause = pause_some;
    kp_thread_simulate(&table);
    struct task *first = create("main", 8 << 20, fn, arg);
    void *fake_stack = NULL;
    struct sigaction handlers[KP_COUNT(deadly)];
    exchange_handlers(first_handlers, handlers);
    swap(&scheduler.outside, &fake_stack, first);
    exchange_handlers(handlers, NULL);
    for (size_t i = 1; i < scheduler.count; i++)
        KP_ASSERT(!scheduler.tasks[i] || scheduler.abandoned);
    if (!scheduler.abandoned) {
        give_stack(first);
        kp_free(first);
    }
    kp_thread_simulate(NULL);
    sim->pause = NULL;
    running = NULL;
    return !scheduler.abandoned;
}

void kp_sim_tasks_settle(void)
{
    wait_as(TASK_SETTLE, NULL);
}

void kp_sim_tasks_sleep(int64_t us)
{
    running->current->until_ns = running->sim->mono_ns + us * 1000;
    wait_as(TASK_CONDITION, NULL);
}

void kp_sim_tasks_abandon(void)
{
    running->abandoned = true;
    for (size_t i = 0; i < running->held_count; i++)
        *running->held[i] = 0;
    swap(&running->current->context, NULL, NULL);
    abort(); /* not reached */
}

uint64_t kp_sim_tasks_trace(void)
{
    return running->trace;
}
