/*
 * For law_test.c only: a world: what it is, and its schema.
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
    int source; /* whose records they are; of a table, `postgres` has statements for them; -1: statements alone */
    unsigned partition;
    char *json, *statements[STATEMENTS_MAX];
    struct kp_str copied[STATEMENTS_MAX]; /* what COPY is fed; ptr NULL: it is none */
    unsigned count;
    char *postgres;
    bool returns;  /* its one statement has RETURNING */
    char *rows[8]; /* of records */
    int64_t seconds[8];
    unsigned row_count;
};

struct view {
    struct query query;
    char name[16];       /* "" if it was never made */
    bool refused, plain; /* plain: not materialized */
    bool large;          /* of thousands of rows: computed again now and then only */
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
    bool ancient; /* event times on both sides of 1970 */
    bool coarse;  /* event times meet one another and the ends of windows and gaps */
    bool bulk;    /* a source of thousands of records: steps that many workers share */
    bool closes;  /* windows that close: sources are written by records only, each with its watermark */
    struct mark marks_of[4];
    char (*states)[6]; /* kappa's SQLSTATEs of the writes whose answers PostgreSQL owes */
    char **state_texts;
    struct answer **returned; /* what a statement with RETURNING said; NULL: it has none */
    unsigned state_count, state_cap;
    bool defines;     /* types, tables and views come and go */
    bool dense;       /* every view is computed again at every position */
    bool tight, lean; /* tight: memory for some of the views only, at present; lean: now and then */
    struct past past;
    struct kp_os os;
    char *failure;    /* the first; in the arena */
    int failed_query; /* -1: it was no query's */
};

static struct totals {
    unsigned worlds, queries, asked, recomputed, verified, past, altered, compared, errors, refused, views, crashes,
        reopens, writes, defined, defined_well, slow, tight, spent, recovered, returned, positions, excused,
        not_recomputed;
} totals;

/* What queries were refused for: a message's digits are left out, so that it counts once for all names. */
static struct reason {
    char text[128];
    unsigned count;
} reasons[64];

static void count_refused(const struct answer *answer)
{
    char text[sizeof reasons[0].text];
    size_t len = (size_t)snprintf(text, sizeof text, "%s ", answer->sqlstate);
    for (const char *c = answer->message; *c && len + 1 < sizeof text; c++)
        if (*c < '0' || *c > '9')
            text[len++] = *c;
    text[len] = 0;
    totals.refused++;
    for (unsigned i = 0; i < KP_COUNT(reasons); i++)
        if (!reasons[i].count || strcmp(reasons[i].text, text) == 0) {
            memcpy(reasons[i].text, text, sizeof text);
            reasons[i].count++;
            return;
        }
}

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
    if (column->type == T_INTS && plain)
        return "few";
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
    relation->keyless = !source && at > 0 && chance(&world->dice, 40);
    relation->cols[relation->col_count++] =
        source ? (struct column){"ts", T_TIMESTAMP, 0} : (struct column){"id", T_INT4, relation->keyless ? KEYLESS : 0};
    relation->cols[relation->col_count++] = (struct column){"k", T_INT4, chance(&world->dice, 40) ? NARROW : 0};
    relation->timed = source || chance(&world->dice, 60);
    relation->versioned = !source && relation->timed && !relation->keyless && chance(&world->dice, 60);
    if (!source && relation->timed)
        relation->cols[relation->col_count++] = (struct column){"ts", T_TIMESTAMP, 0};
    for (unsigned i = 3 + roll(&world->dice, 8); i; i--) {
        struct column *column = &relation->cols[relation->col_count];
        column->type = (enum type)roll(&world->dice, TYPES);
        column->flags = chance(&world->dice, 20) ? BIG : chance(&world->dice, 25) ? NARROW : 0;
        bool may_loose = column->type == T_NUMERIC || column->type == T_FLOAT8 || column->type == T_INTERVAL;
        if (column->type == T_JSON || (may_loose && chance(&world->dice, 30)))
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
        postgres =
            kp_arena_printf(arena,
                            "CREATE TABLE %s (%s, law_w timestamp, _log_time timestamptz DEFAULT now(), law_o bigint "
                            "DEFAULT nextval('law_order')); INSERT INTO law_mark VALUES ('%s', NULL)",
                            relation->name, cols, relation->name);
    } else if (relation->keyless) {
        create = postgres = kp_arena_printf(arena, "CREATE TABLE %s (%s)", relation->name, cols);
    } else {
        const char *name = relation->name;
        create = kp_arena_printf(arena, "CREATE TABLE %s (%s, PRIMARY KEY (id)%s)", name, cols,
                                 relation->versioned ? ", WATERMARK FOR ts AS ts - INTERVAL '4 seconds'" : "");
        postgres = kp_arena_printf(arena,
                                   "CREATE TABLE %s (%s, PRIMARY KEY (id)); CREATE TABLE law_h_%s (%s, law_o bigint, "
                                   "law_t timestamptz, law_gone boolean, law_x bigint); "
                                   "CREATE TRIGGER law_n AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE "
                                   "FUNCTION law_note(); CREATE TRIGGER law_e BEFORE TRUNCATE ON %s EXECUTE FUNCTION "
                                   "law_note()",
                                   name, cols, name, cols, name, name);
    }
    kappa_ask(&world->kappa, create, &answer, NULL);
    if (answer.sqlstate[0])
        fail_world(world, "a relation is refused", create, postgres, answer.message);
    kp_buf_printf(&world->oracle->script, "%s;\n", postgres);
    if (world->print)
        printf("%s;\n", create);
}

#endif
