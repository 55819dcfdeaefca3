/*
 * A whole instance in the simulator: clients as tasks, faults, restarts, and what must hold after each.
 *
 * What runs (world.c, clients.c)             What must hold (oracle.c), read from the recovered log record by record
 *   producers   raw appends, pipelined         every acknowledged record is there once, where it was acknowledged;
 *                                              a group whole or not at all; of each producer a prefix of what it sent
 *   a writer    DML and transactions on item   the table is what its acknowledged transactions make of it, with the one
 *                                              in flight whole or not at all
 *   a reader    all views in one query         each answer is the plain recomputation over the records before its
 *                                              position, also of answers given before a crash
 *   an owner    CREATE, DROP, ALTER, PROMOTE   what was acknowledged is so after a restart
 *               or, in other worlds, DELETE    records before an offset are gone for ever, views keep or retract them
 * by their declaration, at the decision's position or COMPACT                     of the table's records each key's
 * last stays; no answer changes a consumer  fetches by offset              each record is where it was acknowledged
 *   sinks       a view's changes in a topic    its records add up to the view's rows, at each position that it gives
 *   rot         a bit of a file, at the end    answers are right or errors, right if it was of a cache; appends go on
 *
 * and the log seen before a restart is the beginning of the log after it; positions and log time never go back.
 */
#ifndef KP_SIM_DB_WORLD_H
#define KP_SIM_DB_WORLD_H

#include <stdio.h>

#include "base/buf.h"
#include "db/db.h"
#include "os/thread.h"
#include "sim/tasks.h"

enum {
    PRODUCERS = 2,
    KEYS = 8,        /* of ev and item */
    DEFINITIONS = 6, /* of agg: thresholds */
    SIDE_VIEWS = 4,
    EV_PARTITIONS = 2,
    SINKS = 3, /* of agg; of joined, in worlds that compact; of recent, in worlds that trim */
    NO_DEFINITION = 1 << DEFINITIONS
};
#define WORLD_DIR "data"

/* A record that a producer has sent. */
struct sent {
    enum { SENT_WAITS, SENT_ACKED, SENT_REFUSED, SENT_LOST } state;
    uint32_t group, episode;
    int k;
    int64_t x;
    int64_t position; /* where it was acknowledged, or was found */
    uint32_t partition;
    int64_t offset; /* -1: not known */
    bool found;     /* or trimmed, which proves that it was there */
    bool trimmed;
};

struct producer {
    struct world *world;
    int64_t id;
    struct sent *sent;
    uint32_t count, cap, groups;
    uint32_t in_flight;
    struct kp_mutex mutex;
    struct kp_cond moved;
};

/* A row of the table as a writer's transactions make it. */
struct item {
    bool there;
    char name[4];
    int64_t n;
};

/* The table behind a transaction: compaction takes the records that said so. */
struct item_version {
    int64_t end;
    struct item items[KEYS + 1];
};

struct answer {
    int64_t position;
    unsigned definitions; /* of agg, one of which it was given with */
    char *text;
};

enum side_state { SIDE_NONE, SIDE_THERE, SIDE_MAYBE };

/* What the oracle has read of the log. */
struct event {
    int64_t position, x, id, offset;
    uint32_t partition;
    int k;
};
/* Records of ev before these offsets are gone. */
struct expiry {
    int64_t position;
    long long before[EV_PARTITIONS];
};
/* A batch with its place, and a row of positions of which nothing is left. */
struct batch {
    uint64_t hash;
    int64_t position, position_end;
    bool of_item;
};
struct gap {
    int64_t from, to;
};
struct item_change {
    int64_t position, n;
    int id;
    bool gone;
    char name[4];
};
struct out_change {
    int64_t at, diff; /* at: the position that it gives */
    char *row;
};
struct history {
    struct event *events;
    struct item_change *items;
    struct outs {
        struct out_change *list;
        size_t count, cap;
    } outs[SINKS];
    struct expiry *expiries;
    struct batch *batches;
    struct gap *gaps;
    size_t event_count, event_cap, item_count, item_cap, batch_count, batch_cap;
    size_t expiry_count, expiry_cap, gap_count, gap_cap;
    int64_t start[EV_PARTITIONS]; /* of ev */
    int64_t retractions_gone[2];  /* records of __kappa_retractions: before the log was read, and after */
    int64_t compacted;            /* before it records of item may have gone */
    int64_t position, log_time_us;
};

struct world {
    struct kp_sim *sim;
    struct kp_db *db; /* NULL: down */
    struct kp_db_options options;
    struct producer producers[PRODUCERS];
    struct item items[2][KEYS + 1]; /* what the table may be: the second after a transaction whose end is unknown */
    int item_states;
    struct item_version *versions; /* in worlds that compact */
    size_t version_count, version_cap;
    unsigned active, other; /* sets of definitions: the promoted one is in `active`, the one beside it in `other` */
    enum side_state side[SIDE_VIEWS];
    int64_t floors[SIDE_VIEWS][EV_PARTITIONS]; /* what was gone when it was made */
    bool trims;                                /* records of ev are deleted; definitions stay as they are */
    bool compacts;                             /* the table's topic */
    bool rots;                                 /* at the end */
    char rotten[160];                          /* what did; "": nothing yet */
    bool huge;                                 /* groups of many blocks, now and then */
    bool trim_unsure;                          /* until the next restart */
    int64_t trim_acked[EV_PARTITIONS], trim_tried[EV_PARTITIONS];
    struct answer *answers;
    size_t answer_count, answer_cap;
    struct history history;
    uint32_t episode, crashes, operations_left;
    bool faults; /* a call may fail in this episode: errors are no surprise */
    bool stop, tells;
    uint64_t reference_calls;
    struct kp_buf complaint; /* the last that the instance told its operator */
    char failure[1600];      /* the first thing that is not as it should be */
    struct {
        uint64_t appends, acked, transactions, reads, ddl, refused, checked;
    } did;
};

#define CHECK(world, condition, ...)                                                                                   \
    do {                                                                                                               \
        if (!(condition) && !(world)->failure[0])                                                                      \
            snprintf((world)->failure, sizeof(world)->failure, __VA_ARGS__);                                           \
    } while (0)

struct world_options {
    uint64_t seed;
    uint32_t operations, crashes_min; /* at least so many of each */
    uint32_t episodes;                /* with a share of the operations each; more if faults cut them short */
    bool quiet;                       /* what is broken is not printed */
    bool reference;                   /* a short history without faults but for the one below */
    uint64_t fault_at;                /* 0, or the disk call that fails */
    enum kp_sim_cut cut;
    enum kp_code fail;     /* of fault_at: KP_OK is a power cut */
    uint64_t no_memory_at; /* 0, or the allocation that fails, which ends the process: only in a process of its own */
};
struct world_result {
    char failure[1600]; /* "": all held */
    uint32_t crashes;
    uint64_t calls, allocations, trace, operations, checked;
};

/* Runs one history. The calls and allocations of a reference are those of its short history, without what comes after.
 */
void world_run(const struct world_options *options, struct world_result *ret_result);

/* clients.c */
void world_clients_run(struct world *world); /* all of them, to their end */
enum kp_code world_query(struct world *world, const char *sql, struct kp_buf *ret_text, int64_t *ret_position,
                         struct kp_error *err);
struct kp_buf world_record(struct kp_str value); /* a batch of one record; the caller finishes it */
void world_read(struct world *world);            /* asks all views in one query and keeps the answer */
int64_t world_threshold(int definition);
void world_note_items(struct world *world, int64_t end); /* the table as it is from this position on */

/* oracle.c */
char *world_sorted_lines(struct kp_buf *text); /* in order of their bytes; takes the buffer */
void world_check(struct world *world);         /* after a restart, with nothing running */
/* What world_read must give at a position, as sorted lines. The caller's to free. */
char *world_expected(const struct world *world, int64_t position, int definition);
bool world_items_equal(const struct item *left, const struct item *right); /* KEYS + 1 of them */
void world_history_finish(struct history *history);

/* rot.c: closed, all of it synced: a bit turns over */
void world_rot(struct world *world);

/* With KAPPA_SIM_TRACE set, what happens is printed as it happens. */
void world_tell(const struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An error that no fault explains. */
static inline void world_surprise(struct world *world, const char *what, const struct kp_error *err)
{
    world_tell(world, "%s: %s", what, err->message);
    CHECK(world, world->faults, "%s: %s (%s)", what, err->message, err->sqlstate);
}

#endif
