/*
 * Whole instances in the simulator (sim/db/world.h): random histories with crashes, and that a seed repeats exactly.
 * KAPPA_PLANT=3 runs them with the third of the planted bugs (log/plant.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log/plant.h"
#include "sim/campaign.h"
#include "sim/db/world.h"

enum { EPISODES = 6, OPERATIONS = 1000, CRASHES = 5 };

static struct world_result history_of(uint64_t seed)
{
    struct world_options options = {
        .seed = seed, .episodes = EPISODES, .operations = OPERATIONS, .crashes_min = CRASHES};
    struct world_result result;
    world_run(&options, &result);
    if (result.failure[0])
        fail_msg("seed %llu: %s (KAPPA_SEED=%llu repeats it)", (unsigned long long)seed, result.failure,
                 (unsigned long long)seed);
    return result;
}

/* Seeds at which soaks found something. */
static void found(void **state)
{
    const uint64_t seeds[] = {810, 1870};
    for (size_t i = 0; i < KP_COUNT(seeds); i++)
        (void)history_of(seeds[i]);
}

static void histories(void **state)
{
    struct campaign campaign = {.name = "instances",
                                .what = "histories of at least 1000 operations and 5 crashes",
                                .totals = {"operations", "crashes", "answers checked"},
                                .cases = 5,
                                .limit = 10000};
    campaign_begin(&campaign);
    kp_log_planted = (enum kp_log_plant)campaign_setting("KAPPA_PLANT", KP_PLANT_NONE);
    for (uint64_t seed; campaign_next(&campaign, &seed);) {
        struct world_result result = history_of(seed);
        campaign.counts[0] += result.operations;
        campaign.counts[1] += result.crashes;
        campaign.counts[2] += result.checked;
    }
    campaign_end(&campaign);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(found), cmocka_unit_test(histories), cmocka_unit_test(repeats)};
    const char *filter = getenv("KAPPA_TEST_ONLY");
    if (filter)
        cmocka_set_test_filter(filter);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
