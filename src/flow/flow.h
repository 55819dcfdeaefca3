/*
 * The engine: a graph of operators that takes changes of its inputs, step by step, to changes of its outputs.
 *
 * Inputs are sources (record batches of a topic, decoded here), keyed tables (decoded, then -old +new per key) and
 * plain rows. kp_graph_add_plan turns a plan into operators; equal sub-plans are shared. One step takes everything from
 * one committed position to the next and runs operators in topological order over worker threads: stateless chains push
 * batches morsel by morsel; a stateful operator first exchanges rows by key hash to virtual shards, then each shard's
 * state is updated by one worker, and its changes go on. Steps of few rows run on the calling thread.
 *
 * The law: what the outputs have added up to at a position depends only on the records before it, never on the cut into
 * steps, the number of workers or shards.
 *
 * State is kp_tables (flow/table.h) and ordered maps (flow/ordered.h); nothing else survives a step. Batches given out
 * live until the next step (or kp_graph_step_release).
 *
 * Threads: a graph is used by one thread at a time; its workers are its own business.
 */
#ifndef KP_FLOW_FLOW_H
#define KP_FLOW_FLOW_H

#include "decode/decode.h"
#include "log/columns.h"
#include "sql/catalog.h"
#include "sql/plan.h"

/* A pool of worker threads, shared by graphs; count 1 has no threads: the caller works. */
struct kp_workers;
struct kp_workers *kp_workers_create(uint32_t count);
void kp_workers_destroy(struct kp_workers *workers);
uint32_t kp_workers_count(const struct kp_workers *workers); /* NULL: 1 */
/* Runs tasks 0 … count - 1; slot is below kp_workers_count and names the thread, the caller being 0. */
void kp_workers_run(struct kp_workers *workers, uint32_t count, void (*run)(void *arg, uint32_t slot, uint32_t task),
                    void *arg);

struct kp_graph;
struct kp_node; /* an operator; owned by its graph */

struct kp_graph_options {
    struct kp_workers *workers;
    uint32_t parts;           /* virtual shards in memory: a power of two up to KP_PARTS_MAX; 0: chosen from workers */
    struct kp_budget *budget; /* state is charged here */
    uint32_t parallel_rows_min; /* steps with fewer input rows stay on the caller's thread; 0: 4096 */
    int64_t max_ahead_us;       /* for sources without the option max_ahead; 0: event times may be any time ahead */
    const struct kp_zone *zone; /* for timestamptz texts without offset in records; NULL: UTC */
};
KP_MUST enum kp_code kp_graph_create(const struct kp_graph_options *options, struct kp_graph **ret_graph,
                                     struct kp_error *err);
void kp_graph_destroy(struct kp_graph *graph);

/* ---- building: between steps ---- */

/*
 * The node that stands for a source's or table's rows; made on first use, its decoded columns grow as plans ask for
 * more. A table's node yields changes of its latest rows (all columns).
 */
KP_MUST enum kp_code kp_graph_relation(struct kp_graph *graph, struct kp_relation *relation, struct kp_node **ret_node,
                                       struct kp_error *err);
/* An input of ready batches with these columns. */
struct kp_node *kp_graph_input(struct kp_graph *graph, const struct kp_column *cols, uint32_t col_count, bool growing);
/* A bigint column of an input says from which record each row is: for the error rows made of it. */
void kp_node_input_positions(struct kp_node *node, uint32_t column);

/* Finds the node for a SCAN of a relation; NULL: kp_graph_relation is used (sources and tables), else an error. */
typedef struct kp_node *(*kp_scan_resolve)(void *arg, struct kp_relation *relation);
/* Adds operators for a plan. New operators are empty: they see what is pushed from now on. */
KP_MUST enum kp_code kp_graph_add_plan(struct kp_graph *graph, const struct kp_plan *plan,
                                       const struct kp_session_settings *settings, kp_scan_resolve resolve, void *arg,
                                       struct kp_node **ret_node, struct kp_error *err);
/* The same, and by_plan has room for each plan node's node, by the plan node's id. */
KP_MUST enum kp_code kp_graph_add_plan_noted(struct kp_graph *graph, const struct kp_plan *plan,
                                             const struct kp_session_settings *settings, kp_scan_resolve resolve,
                                             void *arg, struct kp_node **by_plan, struct kp_node **ret_node,
                                             struct kp_error *err);
/* Takes a user of the node away; operators that nobody needs any more are freed with their state. */
void kp_graph_drop(struct kp_graph *graph, struct kp_node *node);
/* Whether a node that was there is so still: a source's goes with its last reader. */
bool kp_graph_has(const struct kp_graph *graph, const struct kp_node *node);
/*
 * Moves all of `from` (a backfilled private graph, at the same position, same parts) into `into` and destroys it. For
 * each input or relation node of `from`, map gives the node of `into` that takes its place, or NULL to move the node
 * itself.
 */
KP_MUST enum kp_code kp_graph_merge(struct kp_graph *into, struct kp_graph *from,
                                    struct kp_node *(*map)(void *arg, struct kp_node *input,
                                                           struct kp_relation *relation),
                                    void *arg, struct kp_error *err);

/*
 * Those who read `old`, a table's node, read `by` from now on, which has the same rows: columns[c] is its column for
 * column c of `old`, of which there are `count`. Returns the node that they read: `by` behind a choice of columns.
 * Between steps.
 */
struct kp_node *kp_graph_take_readers(struct kp_graph *graph, struct kp_node *old, struct kp_node *by,
                                      const struct kp_column *cols, const uint32_t *columns, uint32_t count);

/* ---- expired records (op_expired.c) ---- */

/*
 * Rows of a source whose records are gone. Batches brought to the node have these columns of the relation, then
 * _position (of the record) and _watermark (at it, or NULL), as kp_graph_stamped gives them. growing: none is ever
 * taken away.
 */
struct kp_node *kp_graph_expired(struct kp_graph *graph, const struct kp_relation *relation, const uint32_t *columns,
                                 uint32_t count, bool growing);
/* The source's rows with those two columns; watermarks: the second is wanted, if the source has one. */
KP_MUST enum kp_code kp_graph_stamped(struct kp_graph *graph, struct kp_relation *relation, const uint32_t *columns,
                                      uint32_t count, bool watermarks, struct kp_node **ret_node, struct kp_error *err);
/* Columns of the source that the plan reads, ascending; ret_columns has room for all. Returns how many. */
uint32_t kp_plan_source_columns(const struct kp_plan *plan, const struct kp_relation *source, uint32_t *ret_columns);
/* For a plan's scan of a source: an expired node of the graph whose rows stand beside the source's, with all columns
 * that the scan reads; or NULL. */
typedef struct kp_node *(*kp_expired_of)(void *arg, struct kp_graph *graph, struct kp_relation *source);
/* kp_graph_add_plan with them. */
KP_MUST enum kp_code kp_graph_add_plan_beside(struct kp_graph *graph, const struct kp_plan *plan,
                                              const struct kp_session_settings *settings, kp_scan_resolve resolve,
                                              void *arg, kp_expired_of expired, void *expired_arg,
                                              struct kp_node **ret_node, struct kp_error *err);
#define KP_NEVER_SEEN (INT64_MIN / 2)
/* A source's largest event time of each partition that it has seen, and its watermark, between steps. get: the array is
 * the caller's to kp_free. */
struct kp_source_time {
    uint32_t partition;
    int64_t time_max;
    int64_t seen_us; /* log time of its last row, since 2000; KP_NEVER_SEEN: not known */
};
void kp_node_times_get(const struct kp_node *node, int64_t *ret_watermark, struct kp_source_time **ret_times,
                       uint32_t *ret_count);
void kp_node_times_set(struct kp_node *node, int64_t watermark, const struct kp_source_time *times, uint32_t count);

/* ---- outputs ---- */

struct kp_flow_error { /* an error row: a source row whose expression failed */
    int64_t weight;
    int64_t log_position; /* of the source record, -1 if not known */
    uint64_t origin;      /* the node where it failed: the same number for all views behind it, as long as it lives */
    char sqlstate[6];
    const char *message;
    const char *detail, *hint; /* what an ad-hoc query says beside it; NULL: nothing */
};

/*
 * The consolidated changes of a node in the last step, by shard: no weight 0, and no row twice unless the node is
 * growing: the insertions of a growing node are given as they came, so a row that was inserted twice is there twice.
 */
struct kp_changes {
    struct kp_batch **batches; /* weights may be NULL: all +1 */
    size_t batch_count;
    struct kp_flow_error *errors;
    size_t error_count;
    uint64_t rows;
    struct kp_workers *workers; /* may help with what is done with the changes; NULL: the caller's thread only */
};
struct kp_output;
/* Collects a node's changes from now on. Owned by the graph; kp_graph_drop_output removes it. */
struct kp_output *kp_graph_add_output(struct kp_graph *graph, struct kp_node *node);
void kp_graph_drop_output(struct kp_graph *graph, struct kp_output *output);
/* Whatever the caller wants to find again by an output; NULL at first. */
void kp_output_set_owner(struct kp_output *output, void *owner);
void *kp_output_owner(const struct kp_output *output);
/* The output and its plan's node are about to be dropped: operators that only they need fail with that reason, in the
 * midst of a step too, so that one which would not end does. Any thread, while nothing is added to the graph or dropped
 * from it. */
void kp_graph_forsake(struct kp_output *output, const struct kp_node *node, const struct kp_error *why);
/* Between steps: the node takes no rows any more, and it and all downstream of it fail with this reason at the next
 * step (kp_output_check). For input that cannot be read. */
void kp_graph_fail(struct kp_node *node, const struct kp_error *why);
/* A way on which error rows of a node reach an output. */
struct kp_error_way {
    bool told_on;    /* by an EMIT ON WINDOW CLOSE, as its own error rows: */
    uint64_t origin; /* theirs */
    int64_t times;   /* how often */
};
/* All ways from `node`, in the arena; a node that tells none at the output has none. */
uint32_t kp_output_error_ways(const struct kp_output *output, const struct kp_node *node, struct kp_arena *arena,
                              struct kp_error_way **ret_ways);
const struct kp_changes *kp_output_changes(const struct kp_output *output);
/* The outputs that may have changes of the last step, and those that failed since the one before; others have none.
 * Valid until the step is released. */
struct kp_output *const *kp_graph_changed(const struct kp_graph *graph, uint32_t *ret_count);
/* Why the output has no changes any more: an operator before it spent its budget. KP_OK if all is well. */
KP_MUST enum kp_code kp_output_check(const struct kp_output *output, struct kp_error *err);

/* ---- stepping ---- */

/* The rows of a view (log/columns.h) between two positions. */
struct kp_column_slice {
    const struct kp_column_view *view;
    int64_t begin, end;
};

struct kp_step_input {
    struct kp_node *node;
    /* sources and tables: record batches in log order, which must live until the step is released */
    const struct kp_decode_input *chunks;
    size_t chunk_count;
    struct kp_column_fill
        *fill; /* takes what is made of the chunks, columns as kp_node_fields has them; NULL: nobody */
    /* or rows that were decoded before, with columns as kp_node_fields has them, likewise */
    const struct kp_column_slice *slices;
    size_t slice_count;
    /* plain inputs */
    struct kp_batch *const *batches;
    size_t batch_count;
};

struct kp_step {
    const struct kp_step_input *inputs; /* a node once at most */
    size_t input_count;
    int64_t position_end;
    int64_t log_time_us; /* unix microseconds */
    /* More of the same step follows (memory is cut): aggregates and top-N keep their emission back until a step that is
     * not partial. Outputs of a partial step are valid parts of the changes. */
    bool partial;
    bool close_windows; /* end of all input (kappa run): watermarks go to infinity */
    /* Cancelled when set true by another thread: the step fails with KP_CANCELLED and the graph must be destroyed.
     * NULL: never. */
    const _Atomic bool *cancel;
    /* Records that could not be decoded. Called from workers, one at a time. NULL: ignored. */
    void (*dead)(void *arg, const struct kp_relation *relation, const struct kp_dead_letter *letter);
    void *arg;
};
/* An operator that spends its budget fails alone, with what is downstream of it (kp_output_check). On another failure
 * the graph is poisoned and must be rebuilt; row errors are not failures. */
KP_MUST enum kp_code kp_graph_step(struct kp_graph *graph, const struct kp_step *step, struct kp_error *err);
/*
 * The earliest log time (unix microseconds) at which a step would change something although no record has come: rows
 * that leave or come by now(), partitions that become idle. INT64_MAX: never. Between steps.
 */
int64_t kp_graph_due_us(const struct kp_graph *graph);
/* How often steps have visited a node so far: what their cost is proportional to, beside the rows. */
uint64_t kp_graph_visits(const struct kp_graph *graph);
/* Frees the last step's batches; done by the next step too. */
void kp_graph_step_release(struct kp_graph *graph);

/* ---- looking inside ---- */

struct kp_node_stats {
    uint32_t id;
    const char *kind; /* "aggregate" */
    char detail[128]; /* keys, predicate: for people */
    uint64_t rows_in, rows_out, batches, ns;
    uint64_t state_rows, state_bytes;
    uint64_t late; /* (row, window) pairs left out because they came too late */
    uint32_t inputs[4];
    uint32_t input_count;
    bool growing;
};
uint32_t kp_node_id(const struct kp_node *node); /* as in its stats */
/* Statistics of every node in topological order, the caller's to kp_free. Only between steps. */
void kp_graph_stats(const struct kp_graph *graph, struct kp_node_stats **ret_stats, size_t *ret_count);
/* A source's watermark at the last step's end: PostgreSQL-epoch microseconds, INT64_MIN if none yet. */
int64_t kp_node_watermark(const struct kp_node *node);
/* What a source's watermark comes from, between steps. Times in microseconds since 2000, INT64_MIN: none yet. */
struct kp_source_clock {
    int64_t watermark, time_max;          /* the largest event time that was seen */
    uint32_t partitions, idle_partitions; /* that had rows; that hold nothing up by idle_timeout */
    int64_t slowest;                      /* the partition whose times are least, which holds it up; -1: none */
    uint64_t too_far_ahead;               /* records refused by max_ahead */
};
/* false: the node is no source with a watermark. */
bool kp_node_clock(const struct kp_node *node, struct kp_source_clock *ret_clock);
/* A source's or table's node decodes what it is given; one whose views are gone, and that has no watermark, does not.
 */
bool kp_node_is_read(const struct kp_node *node);
/* What a source's or table's node decodes, in the order of its columns, in an array of col_count of its relation;
 * false: it has no readers. Strings are the relation's. */
bool kp_node_fields(const struct kp_node *node, struct kp_column_field *ret_fields, uint32_t *ret_count);
/* Records decoded, rows made, dead letters and late (row, window) pairs dropped so far, for a source's or window's
 * node. */
struct kp_input_stats {
    uint64_t records, rows, dead_letters, late;
};
void kp_node_input_stats(const struct kp_node *node, struct kp_input_stats *ret_stats);

/* ---- one bounded step: ad-hoc queries, INSERT … SELECT, constant expressions ---- */

/* Gives the rows of a scanned relation (only `columns`): calls emit for each batch; batches and strings live in arena
 * or longer. */
typedef enum kp_code (*kp_scan_rows)(void *arg, const struct kp_plan *scan, struct kp_arena *arena,
                                     enum kp_code (*emit)(void *emit_arg, struct kp_batch *batch, struct kp_error *err),
                                     void *emit_arg, struct kp_error *err);
struct kp_query_options {
    struct kp_workers *workers; /* NULL: the caller's thread only */
    struct kp_budget *budget;
    const struct kp_session_settings *settings;
    const _Atomic bool *cancel; /* NULL: never */
    /* Takes what each operator did, by the id of its plan node; id 0 of nodes that were no operators. NULL: nobody. */
    struct kp_node_stats *stats;
    uint32_t stats_count;
};
/*
 * Runs a plan over the rows that `rows` gives and returns its answer, sorted if the root is SORT or TOPN, as dense
 * batches without weights (multiplicities expanded) in arena. A failed row is the query's error (its SQLSTATE,
 * log_position).
 */
KP_MUST enum kp_code kp_flow_query(const struct kp_plan *plan, const struct kp_query_options *options,
                                   kp_scan_rows rows, void *arg, struct kp_arena *arena, struct kp_batch ***ret_batches,
                                   size_t *ret_count, struct kp_error *err);
/* Evaluates expressions without columns (constants, parameters replaced). Results in arena. */
KP_MUST enum kp_code kp_flow_constants(struct kp_expr *const *exprs, uint32_t count,
                                       const struct kp_session_settings *settings, struct kp_arena *arena,
                                       struct kp_datum *ret_values, struct kp_error *err);

#endif
