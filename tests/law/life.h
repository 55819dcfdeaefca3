/*
 * For law_test.c only: a world's life: how it is opened, restarts, a killed process.
 */
#ifndef KP_TESTS_LAW_LIFE_H
#define KP_TESTS_LAW_LIFE_H

#include "tests/law/writes.h"

static void choose_options(struct world *world)
{
    static const int64_t memory[] = {300000, 600000, 1000000, 2000000, 5000000};
    struct dice *dice = &world->dice, columns = *dice;
    world->tight = world->lean && chance(&columns, 60);
    totals.tight += world->tight;
    static const uint64_t records[] = {0, 0, 1, 2, 7, 50}, bytes[] = {0, 0, 500, 5000};
    static const uint64_t journal_bytes[] = {256 << 10, 512 << 10, 1 << 20};
    static const uint32_t chunk_rows[] = {1, 4, 20, 100}; /* of history columns: as many as fit into a small world */
    world->kappa.options = (struct kp_db_options){
        .os = &world->os,
        .dir = world->dir,
        .workers = 1 + roll(dice, 16),
        .parts = 1u << roll(dice, 7),
        .step_records_max = world->bulk ? 0 : records[roll(dice, KP_COUNT(records))],
        .step_bytes_max = bytes[roll(dice, KP_COUNT(bytes))] * (world->bulk ? 100 : 1),
        .columns_chunk_rows = chunk_rows[roll(&columns, KP_COUNT(chunk_rows))],
        .columns_pool_bytes = chance(&columns, 30) ? 1 : 0,
        .no_columns = chance(&columns, 15),
        .journal_file_bytes = world->bulk ? 0 : journal_bytes[roll(&columns, KP_COUNT(journal_bytes))],
        .unsafe_no_sync = chance(dice, 50)};
    if (world->tight)
        world->kappa.options.memory_bytes = memory[roll(&columns, KP_COUNT(memory))];
}

static void choose_wide(struct world *world)
{
    choose_options(world);
    world->tight = false;
    world->kappa.options.memory_bytes = 0;
}

/* A child opens the folder and writes; it is killed while it does. What it acknowledged has happened, what it was at
 * may have: a row in `marks` tells. */
static void crash(struct world *world)
{
    enum { CRASH_WRITES = 12 };
    struct write writes[CRASH_WRITES];
    char states[CRASH_WRITES][6] = {{0}};
    for (unsigned i = 0; i < CRASH_WRITES; i++)
        writes[i] = make_write(world, true);
    unsigned first_mark = world->marks - CRASH_WRITES + 1, last = roll(&world->dice, CRASH_WRITES),
             pause_us = roll(&world->dice, 3000);
    int go[2], acks[2];
    kappa_close(&world->kappa);
    choose_options(world);
    assert_int_equal(pipe(go) | pipe(acks), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(world->oracle->alive);
        kappa_open(&world->kappa);
        for (unsigned i = 0; i < CRASH_WRITES; i++) {
            char byte, state[6];
            if (read(go[0], &byte, 1) != 1)
                _exit(0);
            struct answer *returned;
            write_kappa(&world->kappa, world, &writes[i], state, &returned);
            if (write(acks[1], state, 6) != 6)
                _exit(0);
        }
        for (;;)
            pause();
    }
    close(acks[1]);
    for (unsigned i = 0; i <= last; i++) {
        assert_int_equal(write(go[1], "g", 1), 1);
        if (i < last && read(acks[0], states[i], 6) != 6)
            fail_world(world, "the child that was to be killed died by itself", "", "", "");
    }
    usleep(pause_us);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(go[0]), close(go[1]), close(acks[0]);
    totals.crashes++;
    bool tight = world->tight; /* the child was */
    choose_wide(world);
    kappa_open(&world->kappa);
    struct answer answer;
    kappa_ask(&world->kappa, kp_arena_printf(&world->arena, "SELECT 1 FROM marks WHERE id = %u", first_mark + last),
              &answer, NULL);
    for (unsigned i = 0; i < last + answer.count; i++)
        if (!tight || strcmp(states[i], "53200"))
            write_postgres(world, &writes[i], states[i], NULL);
    answer_finish(&answer);
}

static void reopen(struct world *world)
{
    end_subscription(world);
    if (chance(&world->dice, 40)) {
        crash(world);
    } else {
        kappa_close(&world->kappa);
        choose_options(world);
        kappa_open(&world->kappa);
        totals.reopens++;
    }
}

#endif
