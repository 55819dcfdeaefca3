/* A latch: everyone who waits goes on when it is opened, and sees what was written before; who comes later does not
 * wait. Also as tasks of the simulator (sim/tasks.h), by the log's own tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/thread.h"

enum { ROUNDS = 200, WAITERS = 16 };

struct round {
    struct kp_latch latch;
    int written;
    _Atomic int seen, waiting;
};

static void wait_and_look(void *arg)
{
    struct round *round = arg;
    round->waiting++;
    kp_latch_wait(&round->latch);
    round->seen += round->written;
}

static void latch_lets_all_go_on(void **state)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct round round = {0};
        struct kp_thread threads[WAITERS];
        for (int t = 0; t < WAITERS; t++)
            kp_thread_start(&threads[t], "waiter", 0, wait_and_look, &round);
        while (round.waiting < i % (WAITERS + 1)) /* so many have begun, at least */
            ;
        assert_int_equal(round.seen, 0);
        round.written = 7;
        kp_latch_open(&round.latch);
        for (int t = 0; t < WAITERS; t++)
            kp_thread_join(&threads[t]);
        assert_int_equal(round.seen, 7 * WAITERS);
        kp_latch_wait(&round.latch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(latch_lets_all_go_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
