/*
 * For law_test.c only: a world's views: made, changed beside what they were, promoted, rolled back, dropped.
 */
#ifndef KP_TESTS_LAW_VIEWS_H
#define KP_TESTS_LAW_VIEWS_H

#include "tests/law/define.h"

/* Other queries may read it from now on. */
static void name_view(struct world *world, const struct view *view)
{
    if (world->relation_count == RELATIONS_MAX || view->query.rows >= 2000)
        return;
    struct relation *relation = &world->relations[world->relation_count++];
    *relation = (struct relation){.view = true,
                                  .risky = view->query.risky || view->query.over_risky,
                                  .rows = view->query.rows,
                                  .col_count = view->query.col_count,
                                  .late = view->query.late};
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
                          .clock_us = atomic_load(&law_clock_us),
                          .arena = &world->arena,
                          .relations = world->relations,
                          .relation_count = world->relation_count,
                          .rows_max = world->bulk ? 2000000 : 60000};
    maker.risk = chance(&dice, 12);
    if (world->closes && chance(&dice, 40))
        view->query = make_closed(&maker);
    else if (!chance(&dice, 2) || !make_skip(&maker, &view->query))
        view->query = make_query(&maker, 1 + chance(&dice, 30));
    bool cut = world->cuts->query[world->view_count - 1];
    totals.queries++;
    if (!materialize) {
        view->refused = view->query.view_only || cut;
        return;
    }
    if (cut) { /* what reads it is refused by both; all other queries stay what they were */
        view->refused = true;
        name_view(world, view);
        return;
    }
    struct answer answer;
    view->plain = !view->query.view_only && chance(&dice, 6);
    if (view->plain)
        made(P_PLAIN_VIEW);
    char *create = kp_arena_printf(&world->arena, "CREATE %sVIEW v%u AS %s", view->plain ? "" : "MATERIALIZED ",
                                   world->view_count, view->query.kappa);
    kappa_ask(&world->kappa, create, &answer, NULL);
    if (world->print)
        printf("%s;\n", create);
    totals.views++;
    if (answer.sqlstate[0]) {
        view->refused = true;
        if (!is_spent(world, answer.sqlstate))
            count_refused(&answer);
        if (getenv("KAPPA_LAW_VERBOSE"))
            printf("refused in %llu: %s %s\n  %s\n", (unsigned long long)world->seed, answer.sqlstate, answer.message,
                   view->query.kappa);
        return;
    }
    snprintf(view->name, sizeof view->name, "v%u", world->view_count);
    char *postgres = kp_arena_printf(&world->arena, "CREATE VIEW %s AS %s", view->name, view->query.postgres);
    write_postgres(world, &(struct write){.source = -1, .postgres = postgres}, "", NULL);
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
    bool usable = at < world->view_count && view->name[0] && !view->refused && !view->plain;
    return usable && !view->query.view_only ? view : NULL;
}

static void replace_in_postgres(struct world *world, const struct view *view)
{
    char *text = kp_arena_printf(&world->arena, "CREATE OR REPLACE VIEW %s AS %s", view->name, view->query.postgres);
    write_postgres(world, &(struct write){.source = -1, .postgres = text}, "", NULL);
}

static bool reads(const struct query *query, const char *name)
{
    char token[32], late[32];
    snprintf(token, sizeof token, " %s AS a", name);
    snprintf(late, sizeof late, "late(%s)", name);
    return strstr(query->kappa, token) || strstr(query->kappa, late);
}

/* Whether the view, or one that reads it and would change with it, may fail. */
static bool closure_risky(const struct world *world, const struct view *view)
{
    if (view->query.risky || view->query.over_risky)
        return true;
    for (unsigned i = 0; i < world->view_count; i++)
        if (world->views[i].name[0] && reads(&world->views[i].query, view->name) &&
            closure_risky(world, &world->views[i]))
            return true;
    return false;
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
        list = list_add(&maker, list, kp_arena_printf(arena, "z.%s", view->query.cols[i].name));
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
    else if (!closure_risky(world, view) && strcmp(answer.sqlstate, "0A000") && !is_spent(world, answer.sqlstate) &&
             strcmp(answer.sqlstate, "2BP01")) /* a version waits for one whose promotion was refused */
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
        if (strcmp(answer.sqlstate, "2BP01") && !closure_risky(world, view) && !is_spent(world, answer.sqlstate))
            fail_world(world, "PROMOTE fails", world->next.kappa, "", kp_arena_strdup(arena, answer.message));
        return;
    }
    struct query first = view->query;
    world->past.view = NULL; /* another query's */
    view->query = world->next;
    if (back) {
        statement(world, kp_arena_printf(arena, "ALTER MATERIALIZED VIEW %s ROLLBACK", view->name), &answer);
        bool spent = is_spent(world, answer.sqlstate); /* then the second version stays */
        if (answer.sqlstate[0] && !spent)
            fail_world(world, "ROLLBACK fails", view->query.kappa, "", kp_arena_strdup(arena, answer.message));
        totals.spent += spent;
        back = !spent;
    }
    if (back)
        view->query = first;
    else
        replace_in_postgres(world, view);
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
    write_postgres(world, &(struct write){.source = -1, .postgres = text}, "", NULL);
    forget_view(world, view);
}

#endif
