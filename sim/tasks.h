/*
 * Threads as tasks: with this, everything of kappa that starts threads runs on one, in an order drawn from the
 * simulator's seed.
 *
 * A task runs until it waits, or until the scheduler takes its turn away, which it may do at every lock, wake-up and
 * disk call. What a program that is free of data races can see of other threads' orders, it can see here; races proper
 * are ThreadSanitizer's. Time passes by disk calls and, when every task waits, up to the first timeout. When every task
 * waits without one, that is a deadlock: it is printed with what each waits for, and fatal.
 *
 * What a seed chooses once: how often turns are taken away, whether by priorities (which change seldom: long delays of
 * one task) or evenly, whether conditions wake without reason.
 */
#ifndef KP_SIM_TASKS_H
#define KP_SIM_TASKS_H

#include "sim/sim.h"

/* Runs fn as the first task and returns when it has: all others must have ended by then. False: abandoned. One at a
 * time in a process. */
bool kp_sim_tasks_run(struct kp_sim *sim, void (*fn)(void *arg), void *arg);
/* Inside: lets the others run until all of them wait. Timeouts do not pass meanwhile. */
void kp_sim_tasks_settle(void);
/* Inside: lets others run for that long. */
void kp_sim_tasks_sleep(int64_t us);
/* Inside: leaves all tasks where they are, for ever: kp_sim_tasks_run returns. What they hold is lost but for their
 * locks, which are given up. For a process that is about to end (a failed allocation). */
_Noreturn void kp_sim_tasks_abandon(void);
/* A hash over all turns so far: equal for equal seeds. */
uint64_t kp_sim_tasks_trace(void);

#endif
