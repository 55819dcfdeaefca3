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
 *   KAPPA_LAW_FIRST=n        begins with that seed
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

#include "tests/law/world.h"

/* ---- queries and views ---- */

/* Other queries may read it from now on. */
static void name_view(struct world *world, const struct view *view)
{
    if (world->relation_count == RELATIONS_MAX || view->query.rows >= 2000)
        return;
    struct relation *relation = &world->relations[world->relation_count++];
    *relation = (struct relation){.view = true,
                                  .risky = view->query.risky || view->query.over_risky,
                                  .rows = view->query.rows,
                                  .col_count = view->query.col_count};
    snprintf(relation->name, sizeof relation->name, "v%u", (unsigned)(view - world->views) + 1);
    memcpy(relation->cols, view->query.cols, sizeof relation->cols);
}

static void add_view(struct world *world, bool materialize)
{
    struct view *view = &world->views[world->view_count++];
    struct dice dice = {world->seed * 1000 + world->view_count, NULL};
    if (world->cuts->taped == (int)world->view_count - 1) {
        dice.tape = &world->cuts->tape;
        dice.tape->at = 0;
    }
    struct maker maker = {.dice = &dice,
                          .arena = &world->arena,
                          .relations = world->relations,
                          .relation_count = world->relation_count,
                          .rows_max = world->bulk ? 2000000 : 60000};
    maker.risk = chance(&dice, 12);
    view->closed = world->closes && chance(&dice, 40);
    view->query = view->closed ? make_closed(&maker) : make_query(&maker, 1 + chance(&dice, 30));
    bool cut = world->cuts->query[world->view_count - 1];
    totals.queries++;
    if (!materialize) {
        view->refused = view->closed || cut;
        return;
    }
    if (cut) { /* what reads it is refused by both; all other queries stay what they were */
        view->refused = true;
        name_view(world, view);
        return;
    }
    struct answer answer;
    char *create =
        kp_arena_printf(&world->arena, "CREATE MATERIALIZED VIEW v%u AS %s", world->view_count, view->query.kappa);
    kappa_ask(&world->kappa, create, &answer, NULL);
    if (world->print)
        printf("%s;\n", create);
    totals.views++;
    if (answer.sqlstate[0]) {
        view->refused = true;
        totals.refused++;
        if (getenv("KAPPA_LAW_VERBOSE"))
            printf("refused in %llu: %s %s\n  %s\n", (unsigned long long)world->seed, answer.sqlstate, answer.message,
                   view->query.kappa);
        return;
    }
    snprintf(view->name, sizeof view->name, "v%u", world->view_count);
    char *postgres = kp_arena_printf(&world->arena, "CREATE VIEW %s AS %s", view->name, view->query.postgres);
    if (world->state_count < 10000)
        write_postgres(world, &(struct write){.source = -1, .postgres = postgres}, "");
    name_view(world, view);
}

static void statement(struct world *world, const char *text, struct answer *ret_answer)
{
    kappa_ask(&world->kappa, text, ret_answer, NULL);
    if (world->print)
        printf("%s; -- %s\n", text, ret_answer->sqlstate);
}

/* A view that is there, may be changed and is not left out; NULL if there is none. */
static struct view *pick_view(struct world *world)
{
    unsigned at = world->view_count ? roll(&world->dice, world->view_count) : 0;
    struct view *view = &world->views[at];
    return at < world->view_count && view->name[0] && !view->refused && !view->closed ? view : NULL;
}

static void replace_in_postgres(struct world *world, const struct view *view)
{
    char *text = kp_arena_printf(&world->arena, "CREATE OR REPLACE VIEW %s AS %s", view->name, view->query.postgres);
    write_postgres(world, &(struct write){.source = -1, .postgres = text}, "");
}

/* Gives a view another query beside the one it has: fewer of its rows. */
static void alter_view(struct world *world)
{
    struct kp_arena *arena = &world->arena;
    struct view *view = pick_view(world);
    struct maker maker = {.dice = &world->dice, .arena = arena};
    struct scope scope = {0};
    if (view)
        scope_add(&scope, "z", view->query.cols, view->query.col_count);
    char *where = make_predicate(&maker, &scope, 1), *list = NULL;
    if (!view || world->altered)
        return;
    for (unsigned i = 0; i < view->query.col_count; i++)
        list = list_add(&maker, list, kp_arena_printf(arena, "z.c%u", i));
    world->next = view->query;
    world->next.kappa = kp_arena_printf(arena, "SELECT %s FROM (%s) AS z WHERE %s", list, view->query.kappa, where);
    world->next.postgres =
        kp_arena_printf(arena, "SELECT %s FROM (%s) AS z WHERE %s", list, view->query.postgres, where);
    world->next.over_risky |= view->query.risky; /* the new predicate may be asked first */
    end_subscription(world);
    struct answer answer;
    statement(world, kp_arena_printf(arena, "ALTER MATERIALIZED VIEW %s AS %s", view->name, world->next.kappa),
              &answer);
    totals.altered++;
    if (!answer.sqlstate[0])
        world->altered = view;
    else if (!view->query.risky && !view->query.over_risky && strcmp(answer.sqlstate, "0A000"))
        fail_world(world, "ALTER fails", world->next.kappa, "", kp_arena_strdup(arena, answer.message));
}

/* The other query takes the first one's place; sometimes it is taken back. */
static void promote_view(struct world *world)
{
    struct kp_arena *arena = &world->arena;
    struct view *view = world->altered;
    bool back = chance(&world->dice, 30);
    world->altered = NULL;
    if (!view)
        return;
    end_subscription(world);
    struct answer answer;
    statement(world, kp_arena_printf(arena, "ALTER MATERIALIZED VIEW %s PROMOTE", view->name), &answer);
    if (answer.sqlstate[0]) { /* views that were made meanwhile read the first version */
        if (strcmp(answer.sqlstate, "2BP01") && !world->next.over_risky)
            fail_world(world, "PROMOTE fails", world->next.kappa, "", kp_arena_strdup(arena, answer.message));
        return;
    }
    struct query first = view->query;
    view->query = world->next;
    if (back) {
        statement(world, kp_arena_printf(arena, "ALTER MATERIALIZED VIEW %s ROLLBACK", view->name), &answer);
        if (answer.sqlstate[0])
            fail_world(world, "ROLLBACK fails", view->query.kappa, "", kp_arena_strdup(arena, answer.message));
        view->query = first;
    } else {
        replace_in_postgres(world, view);
    }
}

static bool reads(const struct query *query, const char *name)
{
    char token[32];
    snprintf(token, sizeof token, " %s AS a", name);
    return strstr(query->kappa, token) != NULL;
}

/* Takes a dropped view, and what reads it, out of the world. */
static void forget_view(struct world *world, struct view *view)
{
    char name[16];
    memcpy(name, view->name, sizeof name);
    view->refused = true;
    view->name[0] = 0;
    if (!name[0])
        return;
    for (unsigned i = 0; i < world->relation_count; i++)
        if (strcmp(world->relations[i].name, name) == 0) {
            world->relation_count--;
            memmove(&world->relations[i], &world->relations[i + 1],
                    (world->relation_count - i) * sizeof world->relations[0]);
        }
    for (unsigned i = 0; i < world->view_count; i++)
        if (!world->views[i].refused && reads(&world->views[i].query, name))
            forget_view(world, &world->views[i]);
}

static void drop_view(struct world *world)
{
    struct view *view = pick_view(world);
    if (!view || world->altered)
        return;
    end_subscription(world);
    struct answer answer;
    char *text = kp_arena_printf(&world->arena, "DROP MATERIALIZED VIEW %s CASCADE", view->name);
    statement(world, text, &answer);
    if (answer.sqlstate[0])
        fail_world(world, "DROP fails", text, "", kp_arena_strdup(&world->arena, answer.message));
    text = kp_arena_printf(&world->arena, "DROP VIEW %s CASCADE", view->name);
    write_postgres(world, &(struct write){.source = -1, .postgres = text}, "");
    forget_view(world, view);
}

static void subscribe(struct world *world)
{
    struct kp_error err;
    for (unsigned i = 0; world->summed < 0 && i < world->view_count; i++)
        if (world->views[i].name[0] && chance(&world->dice, 50)) {
            world->summed = (int)i;
            if (kp_db_relation(world->kappa.db, world->views[i].name, &world->sums.relation, &err) ||
                kp_db_subscribe(world->kappa.db, world->sums.relation,
                                &(struct kp_subscription_options){.snapshot = true, .resume = -1},
                                &world->sums.subscription, &err)) {
                world->sums.failed = true;
            }
            kp_relation_unref(world->sums.relation);
            world->sums.at = -1;
        }
}

static void check_sums(struct world *world, struct answer *view, uint64_t floats)
{
    if (!sums_take(&world->kappa, &world->sums, kp_view_clock_position(kp_db_clock(world->kappa.db))))
        return;
    struct answer sum = {0};
    for (size_t i = 0; i < world->sums.count; i++) {
        if (world->sums.counts[i] < 0)
            fail_world(world, "a subscription took away what was not there", world->views[world->summed].query.kappa,
                       "", world->sums.rows[i]);
        for (int64_t n = 0; n < world->sums.counts[i]; n++)
            answer_add(&sum, kp_strdup(world->sums.rows[i]));
    }
    char *difference = answer_difference(view, &sum, floats);
    if (difference)
        fail_world(world, "the sum of a subscription's changes is not the view",
                   world->views[world->summed].query.kappa, "", difference);
    kp_free(difference);
    answer_finish(&sum);
}

static void check_one(struct world *world, struct view *view, const char *what, const char *text,
                      struct answer *expected)
{
    struct answer got;
    uint64_t floats;
    if (strcmp(expected->sqlstate, "57014") == 0) { /* PostgreSQL did not come to an end in time */
        totals.slow++;
        return;
    }
    totals.asked++;
    kappa_ask(&world->kappa, text, &got, &floats);
    bool pruned = view->query.over_risky && (got.sqlstate[0] || expected->sqlstate[0]);
    char *difference = pruned ? NULL : answer_difference(expected, &got, floats);
    totals.compared += difference == NULL;
    totals.errors += expected->sqlstate[0] != 0;
    if (difference && strcmp(got.sqlstate, "0A000") == 0 && !view->name[0]) {
        view->refused = true;
        totals.refused++;
        if (getenv("KAPPA_LAW_VERBOSE"))
            printf("refused: %s %s\n  %s\n", got.sqlstate, got.message, text);
    } else if (difference) {
        fail_world(world, what, view->query.kappa, view->query.postgres, difference);
        world->failed_query = (int)(view - world->views);
    }
    kp_free(difference);
    if (view->name[0] && strncmp(text, "SELECT * FROM v", 15) == 0 && world->summed == view - world->views &&
        !got.sqlstate[0])
        check_sums(world, &got, floats);
    answer_finish(&got);
}

/* At a position of its own: a view's rows are those of its query, computed again; to the last bit. */
static void check_recomputed(struct world *world)
{
    unsigned at = roll(&world->dice, world->view_count + 1);
    struct view *view = &world->views[at];
    if (at == world->view_count || !view->name[0] || view->refused || view->closed || view->query.over_risky ||
        world->failure)
        return;
    struct answer kept, computed;
    kappa_ask(&world->kappa, kp_arena_printf(&world->arena, "SELECT * FROM %s", view->name), &kept, NULL);
    kappa_ask(&world->kappa, view->query.kappa, &computed, NULL);
    char *difference = answer_difference(&computed, &kept, 0);
    totals.recomputed++;
    if (difference && strcmp(computed.sqlstate, "0A000")) {
        fail_world(world, "a view differs from its query, computed again", view->query.kappa, "", difference);
        world->failed_query = (int)at;
    }
    kp_free(difference);
    answer_finish(&kept);
    answer_finish(&computed);
}

static void check(struct world *world)
{
    struct oracle *oracle = world->oracle;
    for (unsigned i = 0; i < world->view_count; i++)
        if (!world->views[i].refused)
            oracle_ask(oracle, world->views[i].query.postgres);
    oracle_flush(oracle);
    for (unsigned i = 0; i < world->state_count; i++) {
        struct answer answer;
        oracle_answer(oracle, &answer);
        if (strcmp(answer.sqlstate, world->states[i]))
            fail_world(world, "a write ended differently", world->states[i], world->state_texts[i],
                       kp_arena_printf(&world->arena, "%s %s", answer.sqlstate, answer.message));
        answer_finish(&answer);
    }
    world->state_count = 0;
    for (unsigned i = 0; i < world->view_count; i++) {
        struct view *view = &world->views[i];
        if (view->refused)
            continue;
        struct answer expected;
        oracle_answer(oracle, &expected);
        if (!world->failure && view->name[0])
            check_one(world, view, "a view differs", kp_arena_printf(&world->arena, "SELECT * FROM %s", view->name),
                      &expected);
        if (!world->failure && !view->closed)
            check_one(world, view, "an ad-hoc answer differs", view->query.kappa, &expected);
        answer_finish(&expected);
    }
}

/* ---- worlds ---- */

static void run_phases(struct world *world)
{
    struct dice *dice = &world->dice;
    world->bulk = chance(dice, 10);
    world->closes = !world->bulk && chance(dice, 40);
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
        if (!world->bulk && chance(dice, 50))
            subscribe(world);
        if (world->bulk && phase == bulk_phase)
            write_bulk(world);
        if (phase && chance(dice, 25))
            drop_view(world);
        if (phase && chance(dice, 40))
            alter_view(world);
        for (unsigned i = 1 + roll(dice, phase == 0 ? 60 : 30); i; i--)
            write_both(world), chance(dice, 25) ? check_recomputed(world) : (void)0;
        if (chance(dice, 50))
            promote_view(world);
        if (phase && chance(dice, 50) && !world->cuts->reopen)
            reopen(world);
        check(world);
    }
}

static int failed_query; /* of the world that ran last; -1: none */

/* Runs the world of a seed; what went wrong is the caller's to kp_free, NULL if nothing did. */
static char *run_world(struct oracle *oracle, uint64_t seed, struct cuts *cuts, bool print)
{
    struct world world = {.seed = seed,
                          .dice = {seed, NULL},
                          .oracle = oracle,
                          .summed = -1,
                          .cuts = cuts,
                          .print = print,
                          .failed_query = -1};
    snprintf(world.dir, sizeof world.dir, "/tmp/kappa-law.XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    kp_buf_append_text(&oracle->script,
                       "SET client_min_messages = error; DROP SCHEMA IF EXISTS law CASCADE; CREATE SCHEMA law; "
                       "SET search_path = law, public; CREATE TABLE marks (id int PRIMARY KEY); CREATE TABLE law_mark "
                       "(source text, w timestamp);\n");
    choose_options(&world);
    kappa_open(&world.kappa);
    struct answer answer;
    kappa_ask(&world.kappa, "CREATE TABLE marks (id int PRIMARY KEY)", &answer, NULL);
    run_phases(&world);
    oracle_flush(oracle);
    for (; world.state_count; world.state_count--) { /* what a world that failed early did not wait for */
        oracle_answer(oracle, &answer);
        answer_finish(&answer);
    }
    sums_close(&world.kappa, &world.sums);
    kappa_close(&world.kappa);
    char *failure = world.failure ? kp_strdup(world.failure) : NULL;
    failed_query = world.failed_query;
    kp_arena_finish(&world.arena);
    kp_free(world.states);
    kp_free(world.state_texts);
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
            if (memcmp(&tried, cuts, sizeof tried) && still_fails(oracle, seed, &tried))
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

static void test_law(void **state)
{
    const char *seed_text = getenv("KAPPA_SEED"), *scale = getenv("KAPPA_TEST_SCALE");
    const char *first_text = seed_text ? seed_text : getenv("KAPPA_LAW_FIRST");
    uint64_t first = first_text ? strtoull(first_text, NULL, 10) : 1;
    uint64_t worlds = seed_text ? 1 : WORLDS * (uint64_t)(scale ? KP_MAX(atoi(scale), 1) : 1);
    unsigned failures = 0;
    for (uint64_t seed = first; seed < first + worlds && failures < 3; seed++) {
        struct cuts cuts = {.taped = -1};
        char *failure = run_world(&oracle, seed, &cuts, getenv("KAPPA_LAW_PRINT") != NULL);
        totals.worlds++;
        if (!failure)
            continue;
        failures++;
        printf("KAPPA_SEED=%llu: %s\n", (unsigned long long)seed, failure);
        fflush(stdout);
        kp_free(failure);
        if (getenv("KAPPA_LAW_NO_SHRINK"))
            continue;
        int query = failed_query;
        shrink(&oracle, seed, &cuts);
        if (query >= 0)
            shrink_query(&oracle, seed, &cuts, query);
        printf("the least that still fails:\n");
        failure = run_world(&oracle, seed, &cuts, true);
        printf("%s\n", failure ? failure : "(not this time)");
        kp_free(failure);
        kp_free(cuts.tape.choices);
    }
    printf("law: %u worlds, %u writes, %u queries, %u of them views (%u refused), %u answers compared with "
           "PostgreSQL's (%u "
           "errors), %u with the query computed again, %u altered, %u crashes, %u restarts\n",
           totals.worlds, totals.writes, totals.queries, totals.views, totals.refused, totals.asked, totals.errors,
           totals.recomputed, totals.altered, totals.crashes, totals.reopens);
    printf("law: %u answers that PostgreSQL did not give within 5 seconds\n", totals.slow);
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
