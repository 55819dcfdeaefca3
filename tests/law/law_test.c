/*
 * The law, for the whole program: what a view holds at a position is what PostgreSQL 15 answers to its query over the
 * records before it; live, in any step cut, on any number of workers, after restarts and crashes.
 *
 * One seed is one world: random sources and tables, random queries (queries.h), some of them views made before the
 * data, some after; transactions and appended records, given to kappa and to PostgreSQL alike; in between the instance
 * is closed and opened with other workers, parts and step cuts, or a child process that writes is killed. At several
 * positions these are the same: the view's rows, the ad-hoc answer, PostgreSQL's answer, the sum of a subscription's
 * changes; and where PostgreSQL fails, kappa fails with its SQLSTATE.
 *
 *   KAPPA_SEED=n             that world alone
 *   KAPPA_TEST_SCALE=n       n times as many worlds
 *   KAPPA_SOAK_STATE=dir     begins behind the last world that is done, by the file `law` in that folder
 *   KAPPA_LAW_VERBOSE=1      tells what was refused
 *
 * A world that fails is run again with parts left out, for as long as it still fails; what is left is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "sim/campaign.h"
#include "tests/law/checks.h"

static void run_phases(struct world *world)
{
    struct dice *dice = &world->dice;
    world->bulk = chance(dice, 10);
    world->defines = !world->bulk && chance(dice, 25);
    world->closes = !world->bulk && chance(dice, 40);
    world->coarse = chance(dice, 50);
    world->ancient = chance(dice, 15);
    world->dense |= !world->bulk;
    for (unsigned i = 0; i < KP_COUNT(world->marks_of); i++)
        world->marks_of[i].watermark = -1;
    for (unsigned i = 0, n = 1 + roll(dice, 2); i < n; i++)
        make_relation(world, true, i);
    for (unsigned i = 0, n = 1 + roll(dice, 2); i < n; i++)
        make_relation(world, false, i);
    world->base_count = world->relation_count;
    unsigned bulk_phase = roll(dice, 2);
    for (unsigned phase = 0, phases = 3 + roll(dice, 2); phase < phases && !world->failure; phase++) {
        for (unsigned i = 0, n = phase == 0 ? QUERIES / 2 : QUERIES / 4; i < n && world->view_count < QUERIES; i++)
            add_view(world, !chance(dice, 15));
        if (world->defines && chance(dice, 80))
            define_all(world);
        if (!world->bulk && chance(dice, 50))
            subscribe(world);
        if (world->bulk && phase == bulk_phase)
            write_bulk(world);
        if (phase && chance(dice, 25))
            drop_view(world);
        if (phase && chance(dice, 40))
            alter_view(world);
        for (unsigned i = 1 + roll(dice, phase == 0 ? 60 : 30); i; i--) {
            if (chance(dice, 8))
                pass_time(world, 60);
            write_both(world);
            if (world->defines && chance(dice, 50))
                define(world);
            if (world->dense)
                check_all_recomputed(world);
            else if (chance(dice, 25))
                check_recomputed(world);
        }
        pass_time(world, 600);
        if (chance(dice, 50))
            promote_view(world);
        if (phase && chance(dice, 50) && !world->cuts->reopen)
            reopen(world);
        check(world);
        check_history(world);
    }
    if (world->tight && !world->failure) { /* with the memory that it needs, every view is right again */
        end_subscription(world);
        kappa_close(&world->kappa);
        choose_wide(world);
        kappa_open(&world->kappa);
        totals.recovered++;
        check(world);
    }
}

static int failed_query; /* of the world that ran last; -1: none */

/* Both sides empty, with the types and functions that every world has, and one clock. */
static void begin_world(struct world *world)
{
    struct answer answer;
    kp_buf_append_text(&world->oracle->script,
                       "SET client_min_messages = error; DROP SCHEMA IF EXISTS law CASCADE; CREATE SCHEMA law; "
                       "SET search_path = law, public; CREATE TABLE marks (id int PRIMARY KEY); CREATE SEQUENCE "
                       "law_order; CREATE TABLE law_mark "
                       "(source text, w timestamp); CREATE TABLE law_clock (t timestamptz); INSERT INTO law_clock "
                       "VALUES (NULL); CREATE FUNCTION now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT t FROM "
                       "law.law_clock'; SET search_path = law, pg_catalog, public;\n");
    kp_buf_append_text(&world->oracle->script, law_history);
    oracle_clock(world);
    choose_options(world);
    kappa_open(&world->kappa);
    for (unsigned i = 0; i < KP_COUNT(law_setup); i++) {
        kappa_ask(&world->kappa, law_setup[i], &answer, NULL);
        kp_buf_printf(&world->oracle->script, "%s;\n", law_setup[i]);
    }
    kp_buf_append_text(&world->oracle->script, law_lacked);
    kappa_ask(&world->kappa, "CREATE TOPIC law_time WITH (partitions = 1)", &answer, NULL);
    kappa_ask(&world->kappa, "CREATE TABLE marks (id int PRIMARY KEY)", &answer, NULL);
}

/* Runs the world of a seed; what went wrong is the caller's to kp_free, NULL if nothing did. */
static char *run_world(struct oracle *oracle, uint64_t seed, struct cuts *cuts, bool print)
{
    struct world world = {.seed = seed,
                          .dice = {seed, NULL},
                          .oracle = oracle,
                          .summed = -1,
                          .cuts = cuts,
                          .print = print,
                          .failed_query = -1,
                          .os = *kp_os_real()};
    world.os.wall_us = law_clock;
    world.lean = seed % 7 == 3;
    world.dense = seed % 14 == 6 || getenv("KAPPA_SEED") || getenv("KAPPA_SOAK_STATE"); /* thousands of rows, too */
    atomic_store(&law_clock_us, 1705708800000000 + (int64_t)(seed % 40) * 86400000000); /* 2024-01-20 and later */
    folder_make(world.dir, sizeof world.dir, "law");
    begin_world(&world);
    struct answer answer;
    run_phases(&world);
    oracle_flush(oracle);
    for (; world.state_count; world.state_count--) { /* what a world that failed early did not wait for */
        oracle_answer(oracle, &answer);
        answer_finish(&answer);
        returned_free(world.returned[world.state_count - 1]);
    }
    sums_close(&world.kappa, &world.sums);
    kappa_close(&world.kappa);
    answer_finish(&world.past.answer);
    char *failure = world.failure ? kp_strdup(world.failure) : NULL;
    failed_query = world.failed_query;
    kp_arena_finish(&world.arena);
    kp_free(world.states);
    kp_free(world.state_texts);
    kp_free(world.returned);
    char remove[96];
    snprintf(remove, sizeof remove, "rm -rf '%s'", world.dir);
    assert_int_equal(system(remove), 0);
    return failure;
}

static bool still_fails(struct oracle *oracle, uint64_t seed, struct cuts *cuts)
{
    char *failure = run_world(oracle, seed, cuts, false);
    kp_free(failure);
    return failure != NULL;
}

/* Leaves out what can be left out: restarts, queries, then writes in ever smaller groups. */
static void shrink(struct oracle *oracle, uint64_t seed, struct cuts *cuts)
{
    time_t deadline = time(NULL) + 60;
    cuts->reopen = true;
    if (!still_fails(oracle, seed, cuts))
        cuts->reopen = false;
    for (unsigned i = QUERIES; i-- > 0 && time(NULL) < deadline;) {
        cuts->query[i] = true;
        if (!still_fails(oracle, seed, cuts))
            cuts->query[i] = false;
    }
    for (unsigned size = 64; size && time(NULL) < deadline; size /= 2)
        for (unsigned at = 0; at < 160 && time(NULL) < deadline; at += size) {
            struct cuts tried = *cuts;
            for (unsigned i = at; i < at + size && i < WRITES_MAX; i++)
                tried.write[i] = true;
            if (memcmp(tried.write, cuts->write, sizeof tried.write) && still_fails(oracle, seed, &tried))
                *cuts = tried;
        }
}

/* Tries a tape; keeps it if the world still fails. */
static bool try_tape(struct oracle *oracle, uint64_t seed, struct cuts *cuts, const uint32_t *choices, uint32_t count)
{
    struct tape before = cuts->tape;
    cuts->tape = (struct tape){.choices = kp_alloc((count + 1) * sizeof *choices), .count = count, .replay = true};
    if (count)
        memcpy(cuts->tape.choices, choices, count * sizeof *choices);
    bool fails = still_fails(oracle, seed, cuts);
    kp_free(fails ? before.choices : cuts->tape.choices);
    if (!fails)
        cuts->tape = before;
    return fails;
}

/* Makes the query that fails simpler: leaves choices out, or takes the least one, in ever smaller groups. */
static void shrink_query(struct oracle *oracle, uint64_t seed, struct cuts *cuts, int query)
{
    time_t deadline = time(NULL) + 60;
    cuts->taped = query;
    cuts->tape = (struct tape){0};
    if (!still_fails(oracle, seed, cuts)) { /* it was luck */
        cuts->taped = -1;
        return;
    }
    cuts->tape.replay = true;
    for (uint32_t size = 64; size; size /= 2)
        for (uint32_t at = 0; at < cuts->tape.count && time(NULL) < deadline;) {
            uint32_t count = cuts->tape.count, end = KP_MIN(at + size, count), *choices;
            choices = kp_alloc((count + 1) * sizeof *choices);
            memcpy(choices, cuts->tape.choices, at * sizeof *choices);
            memcpy(choices + at, cuts->tape.choices + end, (count - end) * sizeof *choices);
            bool shorter = try_tape(oracle, seed, cuts, choices, count - (end - at)), zero = true;
            for (uint32_t i = at; i < end && !shorter; i++)
                zero &= cuts->tape.choices[i] == 0;
            if (!shorter && !zero) {
                memcpy(choices, cuts->tape.choices, count * sizeof *choices);
                memset(choices + at, 0, (end - at) * sizeof *choices);
                (void)try_tape(oracle, seed, cuts, choices, count);
            }
            kp_free(choices);
            at = shorter ? at : end;
        }
}

static struct oracle oracle;

/* A world that failed is run again with parts left out, for as long as it still fails; what is left is printed. */
static void tell_failure(uint64_t seed, char *failure, struct cuts *cuts)
{
    printf("KAPPA_SEED=%llu: %s\n", (unsigned long long)seed, failure);
    fflush(stdout);
    kp_free(failure);
    if (getenv("KAPPA_LAW_NO_SHRINK"))
        return;
    int query = failed_query;
    shrink(&oracle, seed, cuts);
    if (query >= 0)
        shrink_query(&oracle, seed, cuts, query);
    printf("the least that still fails:\n");
    failure = run_world(&oracle, seed, cuts, true);
    printf("%s\n", failure ? failure : "(not this time)");
    kp_free(failure);
    kp_free(cuts->tape.choices);
}

static int by_count(const void *a, const void *b)
{
    unsigned counts[2] = {((const struct reason *)a)->count, ((const struct reason *)b)->count};
    return (counts[0] < counts[1]) - (counts[0] > counts[1]);
}

/* What was refused, and why: the five most frequent reasons. */
static void print_reasons(void)
{
    qsort(reasons, KP_COUNT(reasons), sizeof reasons[0], by_count);
    printf("law: %u of %u queries refused (%.1f %%)\n", totals.refused, totals.queries,
           100.0 * totals.refused / KP_MAX(totals.queries, 1));
    for (unsigned i = 0; i < 5 && reasons[i].count; i++)
        printf("law: refused %u times: %s\n", reasons[i].count, reasons[i].text);
}

static void print_totals(void)
{
    printf("law: %u worlds, %u writes, %u queries, %u of them views (%u refused), %u answers compared with "
           "PostgreSQL's (%u errors), %u with the query computed again (all views at %u positions), %u altered, %u "
           "crashes, %u restarts\n",
           totals.worlds, totals.writes, totals.queries, totals.views, totals.refused, totals.asked, totals.errors,
           totals.recomputed, totals.positions, totals.altered, totals.crashes, totals.reopens);
    printf("law: %u views verified, %u asked at an older position; %u openings with little memory, in which %u answers "
           "were refused for it, and %u with enough afterwards\n",
           totals.verified, totals.past, totals.tight, totals.spent, totals.recovered);
    printf("law: %u answers of RETURNING, %u answers that PostgreSQL did not give within 5 seconds\n", totals.returned,
           totals.slow);
    printf("law: where a view below may fail: %u answers differ because one side did not ask it for what fails, %u "
           "recomputations left out\n",
           totals.excused, totals.not_recomputed);
    printf("law: %u definitions and writes between them, %u succeeded; never:", totals.defined, totals.defined_well);
    for (unsigned i = 0; i < definitions.count; i++)
        if (definitions.forms[i].made && !definitions.forms[i].succeeded)
            printf(" [%s]", definitions.forms[i].text);
    printf("\n");
    print_reasons();
}

static void test_law(void **state)
{
    struct campaign campaign = {
        .name = "law",
        .what = "worlds",
        .totals = {"queries", "answers compared with PostgreSQL's", "crashes", "failures"},
        .cases = WORLDS,
    };
    unsigned failures = 0;
    uint64_t seed;
    campaign_begin(&campaign);
    unsigned most = getenv("KAPPA_LAW_NO_SHRINK") ? 1 : 3;
    while (failures < most && campaign_next(&campaign, &seed)) {
        struct cuts cuts = {.taped = -1};
        struct totals before = totals;
        char *failure = run_world(&oracle, seed, &cuts, getenv("KAPPA_LAW_PRINT") != NULL);
        totals.worlds++;
        failures += failure != NULL;
        campaign.counts[0] += totals.queries - before.queries;
        campaign.counts[1] += totals.asked - before.asked;
        campaign.counts[2] += totals.crashes - before.crashes;
        campaign.counts[3] += failure != NULL;
        if (failure)
            tell_failure(seed, failure, &cuts);
    }
    print_totals();
    campaign_end(&campaign);
    assert_true(totals.slow * 100 <= totals.asked);
    unsigned productions_taken, forms_taken;
    coverage_print(&productions_taken, &forms_taken);
    assert_int_equal(failures, 0);
    assert_true(productions_taken >= PRODUCTIONS_MIN && forms_taken >= FORMS_MIN);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    if (!oracle_open(&oracle)) {
        oracle_close(&oracle);
        printf("PostgreSQL 15 is not installed or does not start\n");
        return 77;
    }
    coverage_probe();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_law)};
    int failed = cmocka_run_group_tests_name("law", tests, NULL, NULL);
    oracle_close(&oracle);
    return failed;
}
