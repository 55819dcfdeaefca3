/*
 * Whole instances in the simulator (sim/db/world.h): random histories with crashes, and that a seed repeats exactly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/db/world.h"

enum { EPISODES = 6, OPERATIONS = 600 };

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void histories(void **state)
{
    uint64_t only = setting("KAPPA_SEED", 0), seeds = 12 * setting("KAPPA_TEST_SCALE", 1);
    uint64_t crashes = 0, operations = 0, checked = 0;
    for (uint64_t seed = only ? only : 1; seed <= (only ? only : seeds); seed++) {
        struct world_options options = {.seed = seed, .episodes = EPISODES, .operations = OPERATIONS};
        struct world_result result;
        world_run(&options, &result);
        if (result.failure[0])
            fail_msg("seed %llu: %s (KAPPA_SEED=%llu repeats it)", (unsigned long long)seed, result.failure,
                     (unsigned long long)seed);
        crashes += result.crashes;
        operations += result.operations;
        checked += result.checked;
    }
    print_message("%llu histories, %llu operations, %llu crashes, %llu answers checked\n",
                  (unsigned long long)(only ? 1 : seeds), (unsigned long long)operations, (unsigned long long)crashes,
                  (unsigned long long)checked);
}

static void repeats(void **state)
{
    struct world_options options = {.seed = 5, .episodes = 3, .operations = 150};
    struct world_result first, second;
    world_run(&options, &first);
    world_run(&options, &second);
    assert_int_equal(first.calls, second.calls);
    assert_int_equal(first.trace, second.trace);
    assert_string_equal(first.failure, second.failure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(histories), cmocka_unit_test(repeats)};
    const char *filter = getenv("KAPPA_TEST_ONLY");
    if (filter)
        cmocka_set_test_filter(filter);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
