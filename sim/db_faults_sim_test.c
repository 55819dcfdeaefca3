/*
 * One fault at every place of a reference history of a whole instance (sim/db/world.h): the power goes at each disk
 * call, each disk call fails, each allocation finds no memory. A run takes some of the places, spread over all of them;
 * soaks take them all. And bugs planted on purpose (log/plant.h), which the histories must catch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "log/plant.h"
#include "sim/campaign.h"
#include "sim/db/world.h"

enum { PLANTS_CAUGHT_MIN = 15, SEARCHED_SEEDS = 2, SEARCHED_SEEDS_MAX = 60 };
enum { REFERENCE_SEED = 4, OPERATIONS = 60, EPISODES = 2 };

static struct world_options reference(void)
{
    return (struct world_options){
        .seed = REFERENCE_SEED, .reference = true, .episodes = EPISODES, .operations = OPERATIONS};
}

/* Case i of `total` places, each once, neighbours far apart. */
static uint64_t spread(uint64_t i, uint64_t total)
{
    static const uint64_t strides[] = {104729, 99991, 1299709};
    uint64_t stride = strides[0];
    for (size_t s = 0; s < KP_COUNT(strides) && total % stride == 0; s++)
        stride = strides[s];
    return (i * stride) % total;
}

static struct world_result without_fault(void)
{
    struct world_options options = reference();
    struct world_result result;
    world_run(&options, &result);
    if (result.failure[0])
        fail_msg("without a fault: %s", result.failure);
    return result;
}

static void every_call(void **state)
{
    struct world_result whole = without_fault();
    static const enum kp_code failures[] = {KP_IO, KP_FULL};
    uint64_t kinds = KP_SIM_CUT_MODES + KP_COUNT(failures), total = whole.calls * kinds;
    struct campaign campaign = {
        .name = "instance-calls", .what = "faults at disk calls", .totals = {"places"}, .cases = 40, .limit = total};
    campaign_begin(&campaign);
    campaign.counts[0] = total;
    for (uint64_t number; campaign_next(&campaign, &number);) {
        uint64_t place = spread(number, total), kind = place % kinds;
        struct world_options options = reference();
        options.fault_at = 1 + place / kinds;
        options.cut = (enum kp_sim_cut)(kind % KP_SIM_CUT_MODES);
        options.fail = kind < KP_SIM_CUT_MODES ? KP_OK : failures[kind - KP_SIM_CUT_MODES];
        struct world_result result;
        world_run(&options, &result);
        if (result.failure[0])
            fail_msg("disk call %llu, kind %llu: %s (KAPPA_SEED=%llu repeats it)", (unsigned long long)options.fault_at,
                     (unsigned long long)kind, result.failure, (unsigned long long)number);
    }
    campaign_end(&campaign);
}

/* In a process of its own, which then goes on as the next one would. */
static int run_in_child(const struct world_options *options, struct world_result *shared)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (options->quiet) /* a planted bug may end in a broken invariant */
            (void)!freopen("/dev/null", "w", stderr);
        world_run(options, shared);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void every_allocation(void **state)
{
    struct world_result whole = without_fault(); /* what is made once in a process is made now */
    struct campaign campaign = {.name = "instance-allocations",
                                .what = "allocations failed",
                                .totals = {"places"},
                                .cases = 25,
                                .limit = whole.allocations};
    struct world_result *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    campaign_begin(&campaign);
    campaign.counts[0] = whole.allocations;
    for (uint64_t number; campaign_next(&campaign, &number);) {
        struct world_options options = reference();
        options.no_memory_at = 1 + spread(number, whole.allocations);
        memset(shared, 0, sizeof *shared);
        int status = run_in_child(&options, shared);
        if (status != 0 || shared->failure[0])
            fail_msg("allocation %llu: status %d, %s (KAPPA_SEED=%llu repeats it)",
                     (unsigned long long)options.no_memory_at, status, shared->failure, (unsigned long long)number);
        assert_int_equal(shared->allocations, options.no_memory_at);
    }
    campaign_end(&campaign);
    munmap(shared, sizeof *shared);
}

/* ---- planted bugs ---- */

/* Seeds that met them; of those that they do not meet a few others are tried, more in soaks. */
static const uint8_t met_by[KP_PLANT_COUNT] = {
    [KP_PLANT_ACK_BEFORE_SYNC] = 1, [KP_PLANT_NO_DIR_SYNC] = 2,      [KP_PLANT_CUT_EARLY] = 2,
    [KP_PLANT_STALE_TAKEN] = 1,     [KP_PLANT_RECYCLE_EARLY] = 25,   [KP_PLANT_RECYCLE_FIRST] = 1,
    [KP_PLANT_EXTENT_UNSYNCED] = 1, [KP_PLANT_OFFSETS_REUSED] = 1,   [KP_PLANT_GOES_ON] = 1,
    [KP_PLANT_CLOCK_BACK] = 3,      [KP_PLANT_VOUCHES_EARLY] = 4,    [KP_PLANT_NAMES_UNSYNCED] = 3,
    [KP_PLANT_REMOVED_FIRST] = 3,   [KP_PLANT_REMOVED_EARLY] = 1,    [KP_PLANT_MERGED_STATE] = 1,
    [KP_PLANT_SNAPSHOT_GAPS] = 1,   [KP_PLANT_ADOPTED_UNNAMED] = 30, [KP_PLANT_COMPACT_ALL] = 5,
    [KP_PLANT_ROTTEN_CUT] = 23,
};

struct hunt {
    struct world_result *shared;
    bool caught[KP_PLANT_COUNT];
    int count;
};

static void try_seed(struct hunt *hunt, int plant, uint64_t seed)
{
    if (!seed || hunt->caught[plant])
        return;
    struct world_options options = {.seed = seed, .episodes = 4, .operations = 250, .quiet = true};
    memset(hunt->shared, 0, sizeof *hunt->shared);
    kp_log_planted = (enum kp_log_plant)plant;
    int status = run_in_child(&options, hunt->shared);
    kp_log_planted = KP_PLANT_NONE;
    hunt->caught[plant] = status != 0 || hunt->shared->failure[0];
    hunt->count += hunt->caught[plant];
    if (hunt->caught[plant])
        print_message("planted bug %d: caught by seed %llu: %.100s\n", plant, (unsigned long long)seed,
                      status ? "a broken invariant" : hunt->shared->failure);
}

/*
 * Each is caught by whole instances too, most of them: a wrong answer, a complaint, or an end in a broken invariant.
 * What none of the seeds meets is caught by the log's own simulation (log_sim_test.c), which must catch every one.
 * What a seed meets changes with almost any change of kappa: while too few are caught, more seeds are searched.
 */
static void planted(void **state)
{
    uint64_t seeds = SEARCHED_SEEDS * campaign_setting("KAPPA_TEST_SCALE", 1);
    int only = (int)campaign_setting("KAPPA_PLANT", KP_PLANT_NONE), least = only ? 1 : PLANTS_CAUGHT_MIN;
    int first = only ? only : KP_PLANT_NONE + 1, last = only ? only : KP_PLANT_COUNT - 1;
    struct hunt hunt = {0};
    hunt.shared = mmap(NULL, sizeof *hunt.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(hunt.shared != MAP_FAILED);
    for (int plant = first; plant <= last; plant++)
        try_seed(&hunt, plant, met_by[plant]);
    for (uint64_t seed = 1; seed <= seeds || (hunt.count < least && seed <= SEARCHED_SEEDS_MAX); seed++)
        for (int plant = first; plant <= last && (seed <= seeds || hunt.count < least); plant++)
            try_seed(&hunt, plant, seed);
    for (int plant = first; plant <= last; plant++)
        if (!hunt.caught[plant])
            print_message("planted bug %d: not met\n", plant);
    munmap(hunt.shared, sizeof *hunt.shared);
    assert_true(hunt.count >= least);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_call), cmocka_unit_test(every_allocation),
                                       cmocka_unit_test(planted)};
    const char *filter = getenv("KAPPA_TEST_ONLY");
    if (filter)
        cmocka_set_test_filter(filter);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
