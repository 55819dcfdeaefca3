/*
 * For law_test.c only: a world: its schema, its writes, its life (restarts, a killed process).
 */
#ifndef KP_TESTS_LAW_WORLD_H
#define KP_TESTS_LAW_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/law/kappa.h"
#include "tests/law/queries.h"

enum { WORLDS = 56, QUERIES = 36, WRITES_MAX = 400, STATEMENTS_MAX = 4 };

/* What of a world is left out: found by shrinking. */
struct cuts {
    bool query[QUERIES], write[WRITES_MAX];
    bool reopen;
    int taped; /* the query whose choices are on `tape`; -1: none */
    struct tape tape;
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
    char name[16]; /* "" if it was never made */
    bool refused;
};

/* A source's watermark, in seconds of event time. */
struct mark {
    bool seen[4];
    int64_t time_max[4], watermark;
};

/* What a view was at a position. */
struct past {
    struct view *view; /* NULL: nothing is kept */
    int64_t position;
    uint64_t floats;
    struct answer answer;
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
    int summed;           /* which view; -1: none */
    struct view *altered; /* has a second version, of the query `next` */
    struct query next;
    char dir[64];
    struct cuts *cuts;
    bool print;
    unsigned writes, next_id, marks;
    int64_t event_seconds;
    bool bulk;   /* a source of thousands of records: steps that many workers share */
    bool closes; /* windows that close: sources are written by records only, each with its watermark */
    struct mark marks_of[4];
    char (*states)[6]; /* kappa's SQLSTATEs of the writes whose answers PostgreSQL owes */
    char **state_texts;
    unsigned state_count, state_cap;
    bool tight, lean; /* tight: memory for some of the views only, at present; lean: now and then */
    struct past past;
    struct kp_os os;
    char *failure;    /* the first; in the arena */
    int failed_query; /* -1: it was no query's */
};

static struct totals {
    unsigned worlds, queries, asked, recomputed, verified, past, altered, compared, errors, refused, views, crashes,
        reopens, writes, slow, tight, spent, recovered;
} totals;

/* The log's clock: it stands still between writes, so that what now() brings about is known. */
static _Atomic int64_t law_clock_us;

static int64_t law_clock(void *ctx)
{
    return atomic_load(&law_clock_us);
}

static void fail_world(struct world *world, const char *what, const char *kappa, const char *postgres,
                       const char *difference)
{
    if (!world->failure)
        world->failure =
            kp_arena_printf(&world->arena, "%s\n  kappa:    %s\n  postgres: %s\n%s", what, kappa, postgres, difference);
}

/* ---- schema ---- */

/* Some columns are of a domain, or varchar: their values are none that those would refuse. */
static const char *declared_type(struct world *world, const struct column *column, bool source)
{
    bool plain = !(column->flags & BIG) && strcmp(column->name, "id") && chance(&world->dice, 15);
    plain &= !source || domains_in_sources;
    if (column->type == T_NUMERIC && !(column->flags & LOOSE))
        return "numeric(42,2)";
    if (column->type == T_INT4 && plain)
        return "small";
    if (column->type == T_TEXT && plain)
        return chance(&world->dice, 50) ? "word" : "varchar(60)";
    return type_names[column->type];
}

static void make_relation(struct world *world, bool source, unsigned at)
{
    struct kp_arena *arena = &world->arena;
    struct relation *relation = &world->relations[world->relation_count++];
    *relation = (struct relation){.source = source,
                                  .rows = source ? (world->bulk && at == 0 ? 12000 : 80) : 20,
                                  .partitions = 1 + roll(&world->dice, 3)};
    relation->watermark = source && (world->closes || chance(&world->dice, 70));
    snprintf(relation->name, sizeof relation->name, "%c%u", source ? 's' : 't', at);
    relation->cols[relation->col_count++] =
        source ? (struct column){"ts", T_TIMESTAMP, 0} : (struct column){"id", T_INT4, 0};
    relation->cols[relation->col_count++] = (struct column){"k", T_INT4, 0};
    relation->timed = source || chance(&world->dice, 60);
    if (!source && relation->timed)
        relation->cols[relation->col_count++] = (struct column){"ts", T_TIMESTAMP, 0};
    for (unsigned i = 3 + roll(&world->dice, 8); i; i--) {
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
        const char *type = declared_type(world, column, source);
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
        postgres = kp_arena_printf(arena,
                                   "CREATE TABLE %s (%s, law_w timestamp, _log_time timestamptz DEFAULT now()); INSERT "
                                   "INTO law_mark VALUES ('%s', NULL)",
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

/* What inserts, updates and deletes a table's rows by another table's, or by what is there. */
static char *make_merge(struct world *world, const struct relation *relation)
{
    struct kp_arena *arena = &world->arena;
    struct dice *dice = &world->dice;
    const struct relation *other = &world->relations[world->base_count - 1]; /* a table */
    const char *name = relation->name;
    char *sql, *json;
    int64_t seconds;
    switch (roll(dice, 6)) {
    case 0:
        make_row(world, relation, &sql, &json, &seconds);
        return kp_arena_printf(arena, "INSERT INTO %s VALUES (%s) ON CONFLICT DO NOTHING", name, sql);
    case 1:
        make_row(world, relation, &sql, &json, &seconds);
        return kp_arena_printf(arena,
                               "INSERT INTO %s VALUES (%s) ON CONFLICT (id) DO UPDATE SET k = EXCLUDED.k WHERE %s.k IS "
                               "DISTINCT FROM 3",
                               name, sql, name);
    case 2:
        return kp_arena_printf(arena,
                               "INSERT INTO %s (id, k) SELECT id + %u, k FROM %s WHERE id %% 4 = 1 ON CONFLICT (id) DO "
                               "UPDATE SET k = coalesce(EXCLUDED.k, %s.k, 0)",
                               name, roll(dice, 5), other->name, name);
    case 3:
        return kp_arena_printf(arena, "UPDATE %s SET k = o.k FROM %s AS o WHERE o.id = %s.id AND o.k > %d", name,
                               other->name, name, (int)roll(dice, 20) - 10);
    case 4:
        return kp_arena_printf(arena, "DELETE FROM %s USING %s AS o WHERE o.id = %s.id AND o.k = %d", name, other->name,
                               name, (int)roll(dice, 20) - 10);
    default:
        return kp_arena_printf(arena,
                               "MERGE INTO %s AS t USING (SELECT id + %u AS id, k FROM %s WHERE id %% 3 = %u) AS o ON "
                               "t.id = o.id WHEN MATCHED AND o.k < 0 THEN DELETE WHEN MATCHED THEN UPDATE SET k = o.k "
                               "WHEN NOT MATCHED AND o.k > 5 THEN INSERT (id, k) VALUES (o.id, o.k)",
                               name, roll(dice, 3), other->name, roll(dice, 3));
    }
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
    if (kind >= 90)
        return make_merge(world, relation);
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
    if (kind < 72)
        return kp_arena_printf(arena, "DELETE FROM %s WHERE %s AND id %% 3 = %u", relation->name, where, roll(dice, 3));
    if (kind < 78)
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
        if (world->print && ret_state[0])
            printf("-- %s: %s\n", write->statements[i], answer.message);
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

/* Thousands of records at once. */
static void write_bulk(struct world *world)
{
    const struct relation *relation = &world->relations[0];
    struct kp_buf json = {0}, sql = {0};
    unsigned records = 6000 + roll(&world->dice, 12000), batch = 500 + roll(&world->dice, 4000);
    for (unsigned i = 1; i <= records; i++) {
        char *row, *object;
        int64_t seconds;
        make_row(world, relation, &row, &object, &seconds);
        kp_buf_printf(&json, "%s\n", object);
        kp_buf_printf(&sql, "%s(%s)", sql.len ? ", " : "", row);
        if (i % batch == 0 || i == records) {
            kp_buf_append_byte(&json, 0);
            kp_buf_append_byte(&sql, 0);
            kappa_append(&world->kappa, relation->name, roll(&world->dice, relation->partitions), (char *)json.data);
            kp_buf_printf(&world->oracle->script, "INSERT INTO %s VALUES %s;\n", relation->name, (char *)sql.data);
            json.len = sql.len = 0;
        }
    }
    kp_buf_finish(&json);
    kp_buf_finish(&sql);
}

static bool is_spent(const struct world *world, const char *sqlstate)
{
    return world->tight && strcmp(sqlstate, "53200") == 0;
}

static void write_both(struct world *world)
{
    struct write write = make_write(world, false);
    unsigned at = world->writes++;
    char state[6];
    if (at < WRITES_MAX && world->cuts->write[at])
        return;
    write_kappa(&world->kappa, world, &write, state);
    if (is_spent(world, state))
        totals.spent++;
    else
        write_postgres(world, &write, state);
}

static void oracle_clock(struct world *world)
{
    kp_buf_printf(&world->oracle->script,
                  "UPDATE law_clock SET t = TIMESTAMPTZ 'epoch' + INTERVAL '%lld microseconds';\n",
                  (long long)atomic_load(&law_clock_us));
}

/* Moves the clock, and with a record the log's time. */
static void pass_time(struct world *world, unsigned hours_max)
{
    atomic_fetch_add(&law_clock_us, (int64_t)(1 + roll(&world->dice, hours_max)) * 3600000000);
    kappa_append(&world->kappa, "law_time", 0, "{}");
    oracle_clock(world);
    if (world->print)
        printf("-- the clock is at %lld\n", (long long)atomic_load(&law_clock_us));
}

/* ---- life ---- */

static void choose_options(struct world *world)
{
    static const int64_t memory[] = {300000, 600000, 1000000, 2000000, 5000000};
    struct dice *dice = &world->dice, columns = *dice;
    world->tight = world->lean && chance(&columns, 60);
    totals.tight += world->tight;
    static const uint64_t records[] = {0, 0, 1, 2, 7, 50}, bytes[] = {0, 0, 500, 5000};
    static const uint32_t chunk_rows[] = {1, 4, 20, 100}; /* of history columns: as many as fit into a small world */
    world->kappa.options =
        (struct kp_db_options){.os = &world->os,
                               .dir = world->dir,
                               .workers = 1 + roll(dice, 16),
                               .parts = 1u << roll(dice, 7),
                               .step_records_max = world->bulk ? 0 : records[roll(dice, KP_COUNT(records))],
                               .step_bytes_max = bytes[roll(dice, KP_COUNT(bytes))] * (world->bulk ? 100 : 1),
                               .columns_chunk_rows = chunk_rows[roll(&columns, KP_COUNT(chunk_rows))],
                               .columns_pool_bytes = chance(&columns, 30) ? 1 : 0,
                               .no_columns = chance(&columns, 15),
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

static void end_subscription(struct world *world)
{
    sums_close(&world->kappa, &world->sums);
    world->summed = -1;
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
    bool tight = world->tight; /* the child was */
    choose_wide(world);
    kappa_open(&world->kappa);
    struct answer answer;
    kappa_ask(&world->kappa, kp_arena_printf(&world->arena, "SELECT 1 FROM marks WHERE id = %u", first_mark + last),
              &answer, NULL);
    for (unsigned i = 0; i < last + answer.count; i++)
        if (!tight || strcmp(states[i], "53200"))
            write_postgres(world, &writes[i], states[i]);
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
