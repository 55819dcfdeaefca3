/*
 * For law_test.c only: types, domains, tables and views that come, change and go between the writes. The same
 * statements for PostgreSQL, where every view is a plain one: they have to end alike, and what is there afterwards has
 * to be the same.
 */
#ifndef KP_TESTS_LAW_DEFINE_H
#define KP_TESTS_LAW_DEFINE_H

#include "tests/law/life.h"

static const char *const defined[] = {"dt1", "dt2", "dt3", "dv1", "dv2", "dv3",
                                      "dv4", "dv5", "dv6", "dv7", "dv8", "dv9"};

static void drop_topic(struct world *world, const char *table)
{
    struct answer answer;
    kappa_ask(&world->kappa, kp_arena_printf(&world->arena, "DROP TOPIC IF EXISTS %.3s", table), &answer, NULL);
    if (answer.sqlstate[0] && !is_spent(world, answer.sqlstate))
        fail_world(world, "a dropped table's topic cannot be dropped", table, "",
                   kp_arena_strdup(&world->arena, answer.message));
    answer_finish(&answer);
}

static void define_form(struct world *world, struct form *form)
{
    const struct relation *table = &world->relations[world->base_count - 1];
    char *text = fill_statement(world, form, table, NULL), state[6], *word;
    struct answer answer;
    end_subscription(world);
    kappa_ask(&world->kappa, text, &answer, NULL);
    snprintf(state, sizeof state, "%s", answer.sqlstate);
    if (world->print)
        printf("%s; -- %s %s\n", text, state, answer.message);
    answer_finish(&answer);
    totals.defined++;
    if (!state[0]) {
        totals.defined_well++;
        form->succeeded++;
    }
    if (is_spent(world, state) || strcmp(state, "0A000") == 0)
        return;
    if (!state[0] &&
        strncmp(text, "DROP TABLE", 10) == 0) /* its records would be those of the next table of its name */
        drop_topic(world, strstr(text, "dt"));
    text = kp_arena_strdup(&world->arena, text);
    if ((word = strstr(text, "MATERIALIZED ")))
        memmove(word, word + 13, strlen(word + 13) + 1);
    write_postgres(world, &(struct write){.source = -1, .postgres = text}, state, NULL);
}

/* One of them; what takes something away less often, or nothing would be there to be changed. */
static void define(struct world *world)
{
    struct form *form = pick_form(&(struct maker){.dice = &world->dice}, &definitions, TYPES, 0);
    if (strncmp(form->text, "DROP", 4) || chance(&world->dice, 20))
        define_form(world, form);
}

/* All that can be there, in the order in which one needs the other; what is there already is refused. */
static void define_all(struct world *world)
{
    for (unsigned i = 0; i < definitions.count; i++)
        if (strncmp(definitions.forms[i].text, "CREATE", 6) == 0)
            define_form(world, &definitions.forms[i]);
}

static void ask_defined(struct world *world)
{
    for (unsigned i = 0; i < KP_COUNT(defined); i++)
        oracle_ask(world->oracle, kp_arena_printf(&world->arena, "SELECT * FROM %s", defined[i]));
}

static void check_defined(struct world *world)
{
    for (unsigned i = 0; i < KP_COUNT(defined); i++) {
        struct answer expected, got;
        char *text = kp_arena_printf(&world->arena, "SELECT * FROM %s", defined[i]);
        oracle_answer(world->oracle, &expected);
        if (!world->failure) {
            kappa_ask(&world->kappa, text, &got, NULL);
            char *difference = answer_difference(&expected, &got, 0);
            if (difference && !is_spent(world, got.sqlstate))
                fail_world(world, "what was defined between the writes differs", text, "", difference);
            kp_free(difference);
            answer_finish(&got);
        }
        answer_finish(&expected);
    }
}

#endif
