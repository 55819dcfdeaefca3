/*
 * For law_test.c only: what has to be the same: a view, its query asked ad hoc, PostgreSQL's answer, the sum of a
 * subscription's changes, the query computed again, the view computed again from the log, the past asked later.
 */
#ifndef KP_TESTS_LAW_CHECKS_H
#define KP_TESTS_LAW_CHECKS_H

#include "tests/law/views.h"

static void subscribe(struct world *world)
{
    struct kp_error err;
    for (unsigned i = 0; world->summed < 0 && i < world->view_count; i++)
        if (world->views[i].name[0] && !world->views[i].plain && chance(&world->dice, 50)) {
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
        if (getenv("KAPPA_LAW_VERBOSE"))
            printf("slow in PostgreSQL, world %llu: %s\n", (unsigned long long)world->seed, view->query.postgres);
        return;
    }
    totals.asked++;
    kappa_ask(&world->kappa, text, &got, &floats);
    if (is_spent(world, got.sqlstate)) { /* it fails alone, and says why */
        totals.spent++;
        return;
    }
    char *difference = answer_difference(expected, &got, floats);
    if (difference && view->query.over_risky && (got.sqlstate[0] || expected->sqlstate[0])) {
        totals.excused++; /* one of them did not ask the view below for what fails */
        kp_free(difference);
        difference = NULL;
    }
    totals.compared += difference == NULL;
    totals.errors += expected->sqlstate[0] != 0;
    if (difference && strcmp(got.sqlstate, "0A000") == 0 && !view->name[0]) {
        view->refused = true;
        count_refused(&got);
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

/* A view's rows are those of its query, computed again; to the last bit. */
static void check_recomputed_view(struct world *world, unsigned at)
{
    struct view *view = &world->views[at];
    if (!view->name[0] || view->refused || view->query.view_only || world->failure)
        return;
    if (view->query.over_risky) {
        totals.not_recomputed++;
        return;
    }
    if (view->large && world->writes % 16)
        return;
    struct answer kept, computed;
    kappa_ask(&world->kappa, kp_arena_printf(&world->arena, "SELECT * FROM %s", view->name), &kept, NULL);
    kappa_ask(&world->kappa, view->query.kappa, &computed, NULL);
    char *difference = answer_difference(&computed, &kept, 0);
    view->large = kept.count > 2000;
    totals.recomputed++;
    if (difference && strcmp(computed.sqlstate, "0A000") && !is_spent(world, computed.sqlstate) &&
        !is_spent(world, kept.sqlstate)) {
        fail_world(world, "a view differs from its query, computed again", view->query.kappa, "", difference);
        world->failed_query = (int)at;
    }
    kp_free(difference);
    answer_finish(&kept);
    answer_finish(&computed);
}

/* At a position of its own, one view. */
static void check_recomputed(struct world *world)
{
    unsigned at = roll(&world->dice, world->view_count + 1);
    if (at < world->view_count)
        check_recomputed_view(world, at);
}

static void check_all_recomputed(struct world *world)
{
    for (unsigned at = 0; at < world->view_count; at++)
        check_recomputed_view(world, at);
    totals.positions++;
}

/* VERIFY, which computes a view from the log aside. */
static void check_verify(struct world *world, const struct view *view)
{
    struct answer kept, verified;
    kappa_ask(&world->kappa, kp_arena_printf(&world->arena, "SELECT * FROM %s", view->name), &kept, NULL);
    kappa_ask(&world->kappa, kp_arena_printf(&world->arena, "VERIFY MATERIALIZED VIEW %s", view->name), &verified,
              NULL);
    totals.verified++;
    if (strcmp(kept.sqlstate, verified.sqlstate) && !view->query.risky && !view->query.over_risky &&
        !is_spent(world, verified.sqlstate)) {
        fail_world(world, "VERIFY", view->query.kappa, "", kp_arena_strdup(&world->arena, verified.message));
        world->failed_query = (int)(view - world->views);
    }
    answer_finish(&kept);
    answer_finish(&verified);
}

/* What a view was at an older position, asked later. */
static void check_past(struct world *world)
{
    struct past *past = &world->past;
    struct answer got;
    if (!past->view || !past->view->name[0] || past->view->refused || world->failure)
        return;
    kappa_ask(&world->kappa,
              kp_arena_printf(&world->arena, "SELECT * FROM %s AS OF POSITION %lld", past->view->name,
                              (long long)past->position),
              &got, NULL);
    char *difference = answer_difference(&past->answer, &got, 0);
    totals.past++;
    if (difference && !is_spent(world, got.sqlstate)) {
        fail_world(world, "a view differs from what it was, asked AS OF POSITION", past->view->query.kappa, "",
                   difference);
        world->failed_query = (int)(past->view - world->views);
    }
    kp_free(difference);
    answer_finish(&got);
}

static void keep_past(struct world *world, struct view *view)
{
    answer_finish(&world->past.answer);
    world->past.view = NULL;
    kappa_ask(&world->kappa, kp_arena_printf(&world->arena, "SELECT * FROM %s", view->name), &world->past.answer, NULL);
    if (world->past.answer.sqlstate[0])
        return;
    world->past.view = view;
    world->past.position = kp_view_clock_position(kp_db_clock(world->kappa.db));
}

/* Of views that nothing can change but the data. */
static void check_history(struct world *world)
{
    struct view *view = pick_view(world);
    unsigned what = roll(&world->dice, 3);
    if (world->bulk || world->altered)
        return;
    if (what == 0)
        check_past(world);
    if (!view || view->query.over_risky || world->failure)
        return;
    if (what == 1)
        check_verify(world, view);
    else if (what == 2)
        keep_past(world, view);
}

/* How many rows a view has set aside. */
static void check_errors(struct world *world, struct view *view)
{
    struct answer expected, got;
    oracle_answer(world->oracle, &expected);
    if (view->name[0] && !world->failure) {
        kappa_ask(&world->kappa, kp_arena_printf(&world->arena, "SELECT count(*) FROM %s_errors", view->name), &got,
                  NULL);
        char *difference = answer_difference(&expected, &got, 0);
        if (difference && !is_spent(world, got.sqlstate))
            fail_world(world, "error rows", view->query.kappa, view->query.errors, difference);
        kp_free(difference);
        answer_finish(&got);
    }
    answer_finish(&expected);
}

static void check_returned(struct world *world, unsigned at, struct answer *expected)
{
    char *difference = answer_difference(expected, world->returned[at], 0);
    totals.returned++;
    if (difference)
        fail_world(world, "RETURNING says something else", world->state_texts[at], "", difference);
    kp_free(difference);
}

/* A table's rows, as PostgreSQL is to write them into a file; NULL if there is no table. */
static char *ask_copied(struct world *world)
{
    const struct relation *table = &world->relations[roll(&world->dice, world->base_count)];
    const struct copy_form *form = &copy_forms[roll(&world->dice, KP_COUNT(copy_forms))];
    char *cols = NULL;
    if (table->source || table->keyless) /* equal ids have no order */
        return NULL;
    for (unsigned i = 0; i < table->col_count; i++) {
        enum type type = table->cols[i].type;
        bool array = strstr(type_names[type], "[]"); /* PostgreSQL's tells in binary that it once had NULLs */
        if (form->production != P_COPY_BINARY || !array)
            cols = kp_arena_printf(&world->arena, "%s%s%s", cols ? cols : "", cols ? ", " : "", table->cols[i].name);
    }
    made(P_COPY_OUT);
    char *query = kp_arena_printf(&world->arena, "COPY (SELECT %s FROM %s ORDER BY id) TO ", cols, table->name);
    oracle_run(world->oracle,
               kp_arena_printf(&world->arena, "%s'%s/copied'%s", query, world->oracle->dir, form->options), false);
    return kp_arena_printf(&world->arena, "%sSTDOUT%s", query, form->options);
}

static void check_copied(struct world *world, const char *text)
{
    struct kp_buf got = {0};
    struct answer expected, answer = {0};
    char *path = kp_arena_printf(&world->arena, "%s/copied", world->oracle->dir);
    oracle_answer(world->oracle, &expected);
    if (!world->failure)
        kappa_copy_out(&world->kappa, text, &got, &answer);
    FILE *file = fopen(path, "r");
    size_t size = 0;
    char *wanted = kp_alloc(got.len + 1);
    if (file) {
        size = fread(wanted, 1, got.len + 1, file);
        fclose(file);
    }
    size_t at = 0, least = KP_MIN(size, got.len);
    while (at < least && wanted[at] == (char)got.data[at])
        at++;
    bool same = !expected.sqlstate[0] && !answer.sqlstate[0] && file && size == got.len && at == size;
    if (!same && !world->failure && !is_spent(world, answer.sqlstate)) {
        struct kp_buf told = {0};
        kp_buf_printf(&told, "%s %s %s, byte %zu of %zu, expected and got:", answer.message, expected.sqlstate,
                      expected.message, at, size);
        for (size_t i = at - KP_MIN(at, 24); i < at + 16; i++)
            kp_buf_printf(&told, " %02x%02x", i < size ? (uint8_t)wanted[i] : 0, i < got.len ? got.data[i] : 0);
        kp_buf_append_byte(&told, 0);
        fail_world(world, "COPY TO writes something else", text, "", kp_arena_strdup(&world->arena, (char *)told.data));
        kp_buf_finish(&told);
    }
    kp_free(wanted);
    kp_buf_finish(&got);
    answer_finish(&expected);
}

static void check(struct world *world)
{
    struct oracle *oracle = world->oracle;
    for (unsigned i = 0; i < world->view_count; i++)
        if (!world->views[i].refused) {
            oracle_ask(oracle, world->views[i].query.postgres);
            if (world->views[i].query.errors)
                oracle_ask(oracle, world->views[i].query.errors);
        }
    char *copied = ask_copied(world);
    bool defines = world->defines;
    if (defines)
        ask_defined(world);
    oracle_flush(oracle);
    for (unsigned i = 0; i < world->state_count; i++) {
        struct answer answer;
        oracle_answer(oracle, &answer);
        if (strcmp(answer.sqlstate, world->states[i]))
            fail_world(world, "a write ended differently", world->states[i], world->state_texts[i],
                       kp_arena_printf(&world->arena, "%s %s", answer.sqlstate, answer.message));
        else if (world->returned[i])
            check_returned(world, i, &answer);
        returned_free(world->returned[i]);
        answer_finish(&answer);
    }
    world->state_count = 0;
    for (unsigned i = 0; i < world->view_count; i++) {
        struct view *view = &world->views[i];
        if (view->refused)
            continue;
        struct answer expected;
        bool errors = view->query.errors; /* was asked for */
        oracle_answer(oracle, &expected);
        if (!world->failure && view->name[0])
            check_one(world, view, "a view differs", kp_arena_printf(&world->arena, "SELECT * FROM %s", view->name),
                      &expected);
        if (!world->failure && !view->query.view_only)
            check_one(world, view, "an ad-hoc answer differs", view->query.kappa, &expected);
        answer_finish(&expected);
        if (errors)
            check_errors(world, view);
    }
    if (copied)
        check_copied(world, copied);
    if (defines)
        check_defined(world);
}

#endif
