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

#include "tests/law/kappa.h"
#include "tests/law/queries.h"

enum { WORLDS = 40, QUERIES = 10, WRITES_MAX = 400, STATEMENTS_MAX = 4 };

/* What of a world is left out: found by shrinking. */
struct cuts {
    bool query[QUERIES], write[WRITES_MAX];
    bool reopen;
};

/* One write: records for a source, or a transaction. */
struct write {
    int source; /* -1: statements */
    unsigned partition;
    char *json, *statements[STATEMENTS_MAX];
    unsigned count;
    char *postgres;
    char *rows[8]; /* of records */
    int64_t seconds[8];
    unsigned row_count;
};

struct view {
    struct query query;
    char name[16];        /* "" if it was never made */
    bool refused, closed; /* closed: EMIT ON WINDOW CLOSE, which only views have */
};

/* A source's watermark, in seconds of event time. */
struct mark {
    bool seen[4];
    int64_t time_max[4], watermark;
};

struct world {
    uint64_t seed;
    struct dice dice;
    struct kp_arena arena;
    struct relation relations[RELATIONS_MAX];
    unsigned relation_count, base_count;
    struct view views[QUERIES];
    unsigned view_count;
    struct kappa kappa;
    struct oracle *oracle;
    struct sums sums;
    int summed; /* which view; -1: none */
    char dir[64];
    struct cuts *cuts;
    bool print;
    unsigned writes, next_id, marks;
    int64_t event_seconds;
    bool closes; /* windows that close: sources are written by records only, each with its watermark */
    struct mark marks_of[4];
    char (*states)[6]; /* kappa's SQLSTATEs of the writes whose answers PostgreSQL owes */
    char **state_texts;
    unsigned state_count, state_cap;
    char *failure; /* the first; in the arena */
};

static struct totals {
    unsigned worlds, asked, compared, errors, refused, views, crashes, reopens, writes;
} totals;

static void fail_world(struct world *world, const char *what, const char *kappa, const char *postgres,
                       const char *difference)
{
    if (!world->failure)
        world->failure =
            kp_arena_printf(&world->arena, "%s\n  kappa:    %s\n  postgres: %s\n%s", what, kappa, postgres, difference);
}

/* ---- schema ---- */

static void make_relation(struct world *world, bool source, unsigned at)
{
    struct kp_arena *arena = &world->arena;
    struct relation *relation = &world->relations[world->relation_count++];
    *relation = (struct relation){.source = source, .rows = source ? 80 : 20, .partitions = 1 + roll(&world->dice, 3)};
    relation->watermark = source && (world->closes || chance(&world->dice, 70));
    snprintf(relation->name, sizeof relation->name, "%c%u", source ? 's' : 't', at);
    relation->cols[relation->col_count++] =
        source ? (struct column){"ts", T_TIMESTAMP, 0} : (struct column){"id", T_INT4, 0};
    relation->cols[relation->col_count++] = (struct column){"k", T_INT4, 0};
    for (unsigned i = 2 + roll(&world->dice, 5); i; i--) {
        struct column *column = &relation->cols[relation->col_count];
        column->type = (enum type)roll(&world->dice, TYPES);
        column->flags = chance(&world->dice, 20) ? BIG : 0;
        if ((column->type == T_NUMERIC || column->type == T_FLOAT8) && chance(&world->dice, 30))
            column->flags |= LOOSE;
        snprintf(column->name, sizeof column->name, "x%u", relation->col_count++);
    }
    char *cols = NULL;
    for (unsigned i = 0; i < relation->col_count; i++) {
        const struct column *column = &relation->cols[i];
        const char *type =
            column->type == T_NUMERIC && !(column->flags & LOOSE) ? "numeric(42,2)" : type_names[column->type];
        cols = kp_arena_printf(arena, "%s%s%s %s", cols ? cols : "", cols ? ", " : "", column->name, type);
    }
    struct answer answer;
    char *create, *postgres;
    if (source) {
        kappa_ask(
            &world->kappa,
            kp_arena_printf(arena, "CREATE TOPIC %s WITH (partitions = %u)", relation->name, relation->partitions),
            &answer, NULL);
        assert_string_equal(answer.message, "");
        create = kp_arena_printf(arena, "CREATE SOURCE %s (%s%s) WITH (topic = '%s', format = 'json')", relation->name,
                                 cols, relation->watermark ? ", WATERMARK FOR ts AS ts - INTERVAL '4 seconds'" : "",
                                 relation->name);
        postgres =
            kp_arena_printf(arena, "CREATE TABLE %s (%s, law_w timestamp); INSERT INTO law_mark VALUES ('%s', NULL)",
                            relation->name, cols, relation->name);
    } else {
        create = postgres = kp_arena_printf(arena, "CREATE TABLE %s (%s, PRIMARY KEY (id))", relation->name, cols);
    }
    kappa_ask(&world->kappa, create, &answer, NULL);
    if (answer.sqlstate[0])
        fail_world(world, "a relation is refused", create, postgres, answer.message);
    kp_buf_printf(&world->oracle->script, "%s;\n", postgres);
    if (world->print)
        printf("%s;\n", create);
}

/* ---- writes ---- */

static char *time_text(struct world *world, int64_t at)
{
    return kp_arena_printf(&world->arena, "2024-01-%02d %02d:%02d:%02d", 1 + (int)(at / 86400), (int)(at / 3600 % 24),
                           (int)(at / 60 % 60), (int)(at % 60));
}

static char *event_time(struct world *world, int64_t *ret_seconds)
{
    world->event_seconds += roll(&world->dice, 20);
    int64_t at = world->event_seconds - (chance(&world->dice, 15) ? roll(&world->dice, 400) : 0); /* late */
    *ret_seconds = KP_MAX(at, 0);
    return time_text(world, *ret_seconds);
}

/* One row's values as a SQL list and as a JSON object. */
static void make_row(struct world *world, const struct relation *relation, char **ret_sql, char **ret_json,
                     int64_t *ret_seconds)
{
    *ret_seconds = -1;
    struct kp_arena *arena = &world->arena;
    char *sql = NULL, *json = NULL;
    for (unsigned i = 0; i < relation->col_count; i++) {
        const struct column *column = &relation->cols[i];
        char *value, *field;
        value_make(&world->dice, arena, column, &value, &field);
        if (strcmp(column->name, "ts") == 0 && field) {
            field = event_time(world, ret_seconds);
            value = kp_arena_printf(arena, "'%s'", field);
            field = kp_arena_printf(arena, "\"%s\"", field);
        } else if (strcmp(column->name, "id") == 0) {
            value = field = kp_arena_printf(
                arena, "%u", chance(&world->dice, 3) ? roll(&world->dice, world->next_id + 1) : ++world->next_id);
        }
        sql = kp_arena_printf(arena, "%s%s%s", sql ? sql : "", sql ? ", " : "", value);
        if (field || chance(&world->dice, 50))
            json = kp_arena_printf(arena, "%s%s\"%s\":%s", json ? json : "", json ? "," : "", column->name,
                                   field ? field : "null");
    }
    *ret_sql = sql;
    *ret_json = kp_arena_printf(arena, "{%s}", json ? json : "");
}

static char *make_dml(struct world *world, const struct relation *relation)
{
    struct kp_arena *arena = &world->arena;
    struct dice *dice = &world->dice;
    struct maker maker = {.dice = dice, .arena = arena};
    struct scope scope = {0};
    for (unsigned i = 0; i < relation->col_count; i++)
        scope.cols[scope.count++] = relation->cols[i];
    unsigned kind = relation->source ? 0 : roll(dice, 100);
    if (kind < 60) {
        char *rows = NULL, *sql, *json;
        int64_t seconds;
        for (unsigned i = 1 + roll(dice, 4); i; i--) {
            make_row(world, relation, &sql, &json, &seconds);
            rows = kp_arena_printf(arena, "%s%s(%s)", rows ? rows : "", rows ? ", " : "", sql);
        }
        return kp_arena_printf(arena, "INSERT INTO %s VALUES %s", relation->name, rows);
    }
    char *where = chance(dice, 60) ? kp_arena_printf(arena, "id = %u", 1 + roll(dice, world->next_id + 1))
                                   : make_predicate(&maker, &scope, 1);
    if (kind < 75)
        return kp_arena_printf(arena, "DELETE FROM %s WHERE %s AND id %% 3 = %u", relation->name, where, roll(dice, 3));
    if (kind < 82)
        return kp_arena_printf(arena, "UPDATE %s SET id = %u WHERE id = %u", relation->name,
                               1 + roll(dice, world->next_id + 5), 1 + roll(dice, world->next_id + 1));
    const struct column *column = &relation->cols[1 + roll(dice, relation->col_count - 1)];
    unsigned flags = 0;
    char *value = make_expr(&maker, &scope, column->type, 1, BIG | LOOSE, &flags);
    return kp_arena_printf(arena, "UPDATE %s SET %s = %s WHERE %s", relation->name, column->name, value, where);
}

static struct write make_write(struct world *world, bool marked)
{
    struct kp_arena *arena = &world->arena;
    struct dice *dice = &world->dice;
    struct write write = {.source = -1};
    const struct relation *relation = &world->relations[roll(dice, world->base_count)];
    if (relation->source && (world->closes ? !marked : !marked && chance(dice, 80))) {
        write.source = (int)(relation - world->relations);
        write.partition = roll(dice, relation->partitions);
        write.json = "";
        char *json;
        for (unsigned i = 1 + roll(dice, 8); i; i--) {
            make_row(world, relation, &write.rows[write.row_count], &json, &write.seconds[write.row_count]);
            write.json = kp_arena_printf(arena, "%s%s\n", write.json, json);
            write.row_count++;
        }
        if (chance(dice, 5)) /* dead letters: nothing in any view */
            write.json =
                kp_arena_printf(arena, "%s%s\n", write.json, chance(dice, 50) ? "{\"k\":1" : "{\"k\":\"one\"}");
        return write;
    }
    unsigned count = marked || chance(dice, 40) ? 1 + roll(dice, STATEMENTS_MAX - 1) : 1;
    write.postgres = "";
    for (unsigned i = 0; i < count; i++) {
        const struct relation *target;
        do
            target = &world->relations[roll(dice, world->base_count)];
        while (world->closes && target->source);
        write.statements[write.count++] = make_dml(world, target);
    }
    if (marked)
        write.statements[write.count++] = kp_arena_printf(arena, "INSERT INTO marks VALUES (%u)", ++world->marks);
    for (unsigned i = 0; i < write.count; i++)
        write.postgres = kp_arena_printf(arena, "%s%s; ", write.postgres, write.statements[i]);
    return write;
}

/* Runs it on kappa; the SQLSTATE, "" if it succeeded. */
static void write_kappa(struct kappa *kappa, const struct world *world, const struct write *write, char *ret_state)
{
    struct answer answer = {0};
    ret_state[0] = 0;
    if (write->source >= 0) {
        kappa_append(kappa, world->relations[write->source].name, write->partition, write->json);
        return;
    }
    if (write->count > 1)
        kappa_ask(kappa, "BEGIN", &answer, NULL);
    for (unsigned i = 0; i < write->count && !ret_state[0]; i++) {
        kappa_ask(kappa, write->statements[i], &answer, NULL);
        snprintf(ret_state, 6, "%s", answer.sqlstate);
        answer_finish(&answer);
    }
    if (write->count > 1) {
        kappa_ask(kappa, ret_state[0] ? "ROLLBACK" : "COMMIT", &answer, NULL);
        if (!ret_state[0])
            snprintf(ret_state, 6, "%s", answer.sqlstate);
        answer_finish(&answer);
    }
}

/* Rows with the watermark each of them met, and the watermark behind them: that of the partition furthest behind. */
static char *records_for_postgres(struct world *world, const struct write *write)
{
    const struct relation *relation = &world->relations[write->source];
    struct kp_arena *arena = &world->arena;
    struct mark *mark = &world->marks_of[write->source];
    char *rows = NULL;
    for (unsigned i = 0; i < write->row_count; i++) {
        char *met = mark->watermark < 0 ? "NULL" : kp_arena_printf(arena, "'%s'", time_text(world, mark->watermark));
        rows = kp_arena_printf(arena, "%s%s(%s, %s)", rows ? rows : "", rows ? ", " : "", write->rows[i], met);
        if (!mark->seen[write->partition]) {
            mark->seen[write->partition] = true;
            mark->time_max[write->partition] = -1;
        }
        mark->time_max[write->partition] = KP_MAX(mark->time_max[write->partition], write->seconds[i]);
        int64_t least = INT64_MAX;
        for (unsigned p = 0; p < relation->partitions; p++)
            if (mark->seen[p])
                least = KP_MIN(least, mark->time_max[p]);
        if (least >= 4) /* the first seconds of the year have no earlier watermark that would matter */
            mark->watermark = KP_MAX(mark->watermark, least - 4);
    }
    char *now = mark->watermark < 0 ? "NULL" : kp_arena_printf(arena, "'%s'", time_text(world, mark->watermark));
    return kp_arena_printf(arena, "INSERT INTO %s VALUES %s; UPDATE law_mark SET w = %s WHERE source = '%s'",
                           relation->name, rows, now, relation->name);
}

static void write_postgres(struct world *world, const struct write *write, const char *state)
{
    char *text = write->source >= 0 ? records_for_postgres(world, write) : write->postgres;
    if (world->state_count == world->state_cap) {
        world->state_cap = world->state_cap ? world->state_cap * 2 : 64;
        world->states = kp_realloc(world->states, world->state_cap * sizeof *world->states);
        world->state_texts = kp_realloc(world->state_texts, world->state_cap * sizeof *world->state_texts);
    }
    snprintf(world->states[world->state_count], 6, "%s", state);
    world->state_texts[world->state_count++] = text;
    oracle_run(world->oracle, text);
    totals.writes++;
    if (world->print)
        printf("%s%s-- %s\n", write->source >= 0 ? write->json : text, write->source >= 0 ? "" : " ", state);
}

static void write_both(struct world *world)
{
    struct write write = make_write(world, false);
    unsigned at = world->writes++;
    char state[6];
    if (at < WRITES_MAX && world->cuts->write[at])
        return;
    write_kappa(&world->kappa, world, &write, state);
    write_postgres(world, &write, state);
}

/* ---- life ---- */

static void choose_options(struct world *world)
{
    struct dice *dice = &world->dice;
    static const uint64_t records[] = {0, 0, 1, 2, 7, 50}, bytes[] = {0, 0, 500, 5000};
    world->kappa.options = (struct kp_db_options){.dir = world->dir,
                                                  .workers = 1 + roll(dice, 4),
                                                  .parts = 1u << roll(dice, 7),
                                                  .step_records_max = records[roll(dice, KP_COUNT(records))],
                                                  .step_bytes_max = bytes[roll(dice, KP_COUNT(bytes))],
                                                  .unsafe_no_sync = chance(dice, 50)};
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
            write_kappa(&world->kappa, world, &writes[i], state);
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
    choose_options(world);
    kappa_open(&world->kappa);
    struct answer answer;
    kappa_ask(&world->kappa, kp_arena_printf(&world->arena, "SELECT 1 FROM marks WHERE id = %u", first_mark + last),
              &answer, NULL);
    for (unsigned i = 0; i < last + answer.count; i++)
        write_postgres(world, &writes[i], states[i]);
    answer_finish(&answer);
}

static void reopen(struct world *world)
{
    sums_close(&world->kappa, &world->sums);
    world->summed = -1;
    if (chance(&world->dice, 40)) {
        crash(world);
    } else {
        kappa_close(&world->kappa);
        choose_options(world);
        kappa_open(&world->kappa);
        totals.reopens++;
    }
}

/* ---- queries and views ---- */

static void add_view(struct world *world, bool materialize)
{
    struct view *view = &world->views[world->view_count++];
    struct dice dice = {world->seed * 1000 + world->view_count};
    struct maker maker = {
        .dice = &dice, .arena = &world->arena, .relations = world->relations, .relation_count = world->relation_count};
    maker.risk = chance(&dice, 12);
    view->closed = world->closes && chance(&dice, 40);
    view->query = view->closed ? make_closed(&maker) : make_query(&maker, 1 + chance(&dice, 30));
    if (!materialize || world->cuts->query[world->view_count - 1]) {
        view->refused = view->closed || world->cuts->query[world->view_count - 1];
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
    if (world->relation_count < RELATIONS_MAX && view->query.rows < 2000) {
        struct relation *relation = &world->relations[world->relation_count++];
        *relation = (struct relation){.view = true,
                                      .risky = view->query.risky || view->query.over_risky,
                                      .rows = view->query.rows,
                                      .col_count = view->query.col_count};
        memcpy(relation->name, view->name, sizeof relation->name);
        memcpy(relation->cols, view->query.cols, sizeof relation->cols);
    }
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
    }
    kp_free(difference);
    if (view->name[0] && strncmp(text, "SELECT * FROM v", 15) == 0 && world->summed == view - world->views &&
        !got.sqlstate[0])
        check_sums(world, &got, floats);
    answer_finish(&got);
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
    world->closes = chance(dice, 40);
    for (unsigned i = 0; i < KP_COUNT(world->marks_of); i++)
        world->marks_of[i].watermark = -1;
    for (unsigned i = 0, n = 1 + roll(dice, 2); i < n; i++)
        make_relation(world, true, i);
    for (unsigned i = 0, n = 1 + roll(dice, 2); i < n; i++)
        make_relation(world, false, i);
    world->base_count = world->relation_count;
    for (unsigned phase = 0, phases = 3 + roll(dice, 2); phase < phases && !world->failure; phase++) {
        for (unsigned i = 0, n = phase == 0 ? QUERIES / 2 : 2; i < n && world->view_count < QUERIES; i++)
            add_view(world, !chance(dice, 15));
        if (chance(dice, 50))
            subscribe(world);
        for (unsigned i = 1 + roll(dice, phase == 0 ? 60 : 30); i; i--)
            write_both(world);
        if (phase && chance(dice, 50) && !world->cuts->reopen)
            reopen(world);
        check(world);
    }
}

/* Runs the world of a seed; what went wrong is the caller's to kp_free, NULL if nothing did. */
static char *run_world(struct oracle *oracle, uint64_t seed, struct cuts *cuts, bool print)
{
    struct world world = {.seed = seed, .dice = {seed}, .oracle = oracle, .summed = -1, .cuts = cuts, .print = print};
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

static struct oracle oracle;

static void test_law(void **state)
{
    const char *seed_text = getenv("KAPPA_SEED"), *scale = getenv("KAPPA_TEST_SCALE");
    uint64_t first = seed_text ? strtoull(seed_text, NULL, 10) : 1;
    uint64_t worlds = seed_text ? 1 : WORLDS * (uint64_t)(scale ? KP_MAX(atoi(scale), 1) : 1);
    unsigned failures = 0;
    for (uint64_t seed = first; seed < first + worlds && failures < 3; seed++) {
        struct cuts cuts = {0};
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
        shrink(&oracle, seed, &cuts);
        printf("the least that still fails:\n");
        failure = run_world(&oracle, seed, &cuts, true);
        printf("%s\n", failure ? failure : "(not this time)");
        kp_free(failure);
    }
    printf(
        "law: %u worlds, %u writes, %u views (%u refused), %u answers compared (%u errors), %u crashes, %u restarts\n",
        totals.worlds, totals.writes, totals.views, totals.refused, totals.asked, totals.errors, totals.crashes,
        totals.reopens);
    assert_int_equal(failures, 0);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_law)};
    int failed = cmocka_run_group_tests_name("law", tests, NULL, NULL);
    oracle_close(&oracle);
    return failed;
}
