/*
 * Inside the engine: what operators, the builder and the stepper share.
 *
 * A node is an operator. Stateless ones only have `push`: they transform a batch on the worker that brings it and send
 * the result on. Stateful ones push rows into their inbox (exchange.h), split by key hash into parts; when all that lie
 * before them in topological order are done, the stepper calls `part` for each part with work, on any worker, and what
 * a part sends flows on at once. So a step is one pass over graph->nodes with a barrier per stateful node.
 *
 * Of a graph of thousands of views most has nothing to do in a step. A node is *awake* when it has: rows came to it, it
 * holds back what a partial step brought, its time has come (a timer), it is new. Only those are visited, and released
 * behind the step; a bit for each node, by place, says so.
 *
 * Invariants: 1. a node's inputs precede it in graph->nodes; 2. a part's state is touched by one worker at a time;
 * 3. what is sent lives in the sending lane's arena (or in state) until the next step; 4. order of batches means
 * nothing, where order matters (keyed tables) it is taken from the rows' positions.
 */
#ifndef KP_FLOW_GRAPH_H
#define KP_FLOW_GRAPH_H

#include "base/hash.h"
#include "flow/eval.h"
#include "flow/exchange.h"
#include "flow/flow.h"
#include "os/thread.h"

enum { KP_LANES_MAX = 64 };

/* One worker inside a step: its scratch, its errors. */
struct kp_lane_error {
    const struct kp_node *node;
    struct kp_flow_error error;
    int64_t window_end; /* of the failed row below an EMIT ON WINDOW CLOSE; INT64_MIN: of no window */
    struct kp_lane_error *next;
};
struct kp_lane {
    uint32_t index;
    struct kp_graph *graph;
    struct kp_arena arena; /* charged to the graph's budget */
    struct kp_lane_error *errors;
};

/* Rows on their way. */
struct kp_flow {
    struct kp_batch *batch;
    const int64_t *positions;  /* of each row's source record; NULL: not known */
    const int64_t *watermarks; /* the source's watermark at each row's own position; NULL unless someone asked */
};

struct kp_consumer {
    struct kp_node *node;
    uint32_t port;
};

struct kp_node_ops {
    const char *kind;
    size_t bytes; /* of the operator's struct, which begins with struct kp_node */
    KP_MUST enum kp_code (*push)(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                 struct kp_error *err);
    /* Stateful: one part's turn. */
    KP_MUST enum kp_code (*part)(struct kp_node *node, struct kp_lane *lane, uint32_t part, struct kp_error *err);
    /* Before the parts' turns of a step in which it is awake, one thread. NULL: nothing to do. */
    void (*begin)(struct kp_node *node);
    /* When it has something to do although nothing comes in: log time in PostgreSQL's epoch, INT64_MAX: never. It may
     * change in steps only in which the node is awake. */
    int64_t (*due)(const struct kp_node *node);
    /* Wants a turn of this part although nothing came in, while it is awake. NULL: never. */
    bool (*wants)(const struct kp_node *node, uint32_t part);
    /* Sources and inputs: brings the step's rows; NULL: the step has none for it. */
    KP_MUST enum kp_code (*bring)(struct kp_node *node, const struct kp_step_input *input, struct kp_error *err);
    /* Of a recursion, between its turns: what the last one found, which ret_entry is to send round; false: nothing. */
    bool (*round)(struct kp_node *node, struct kp_node **ret_entry, struct kp_batch *const **ret_batches,
                  uint32_t *ret_count);
    /* Stateful: state exists from now on. */
    void (*start)(struct kp_node *node);
    /* What it keeps per lane is to be made (start) or freed: the graph that it belongs to is new, or is left. */
    void (*lanes)(struct kp_node *node, bool start);
    void (*release)(struct kp_node *node); /* the step's batches are no longer read */
    void (*finish)(struct kp_node *node);
    /* Equal parameters; kind and inputs are the same already. NULL: never shared. */
    bool (*same)(const struct kp_node *a, const struct kp_node *b);
    void (*stats)(const struct kp_node *node, struct kp_node_stats *stats);
};

struct kp_node {
    const struct kp_node_ops *ops;
    struct kp_graph *graph;
    struct kp_arena arena; /* definition: expressions, types */
    uint32_t id;
    uint32_t place;  /* in graph->nodes */
    uint64_t origin; /* of its error rows: no other node's, in whatever graph, and kept when graphs are merged */
    uint32_t col_count;
    struct kp_type *types;
    bool bounded;             /* has one turn: of an ad-hoc query, and in no loop */
    bool growing;             /* yields insertions only */
    bool consolidated;        /* yields no row twice in a step */
    bool touched;             /* has had rows: a new user would miss them */
    bool restless;            /* awake in every step: follows a watermark that is not its own, or the log's time */
    bool told;                /* it is behind a node with error rows in this step; fail_lock */
    _Atomic bool erred;       /* it has error rows in this step */
    bool skips_errors;        /* error rows from before it are not told behind it */
    bool pinned;              /* a relation or input: kept without users */
    uint32_t end_in, end_out; /* below an emit: the column of the input, the output that is its window_end */
    _Atomic bool failed;      /* over its budget, or downstream of one that is: takes no rows any more */
    struct kp_error *failure; /* why; in the arena; fail_lock, read between steps */
    bool uses_positions, uses_watermarks; /* someone downstream reads them before the next stateful node */
    uint32_t users;                       /* plans and outputs that hold it, beside consumers */
    uint32_t timer;                       /* its place in graph->timers, UINT32_MAX: none */
    uint64_t form;                        /* hash of its parameters; 0: the operator tells none */
    uint64_t share_key;                   /* the form with kind and inputs */
    struct kp_node *next_shared;          /* in the same chain of graph->shared */
    uint64_t look;                        /* the last walk that came by (graph->looks) */
    const struct kp_step_input *input;    /* of an entry, in this step */
    uint32_t input_count;
    struct kp_node **inputs;
    struct kp_consumer *consumers;
    uint32_t consumer_count;
    struct kp_inbox *inboxes; /* one a port, of stateful nodes */
    struct kp_session_settings settings;
    _Atomic uint64_t rows_in, rows_out, batches, ns;
    char detail[128];
};

struct kp_output {
    struct kp_node *node; /* of kind "output" */
    void *owner;
    struct kp_changes changes;
};

struct kp_timer {
    struct kp_node *node; /* whose kind has a due */
    int64_t due_us;       /* PostgreSQL's epoch */
};

struct kp_graph {
    struct kp_graph_options options;
    struct kp_workers *workers;
    uint32_t lanes_count, parts, part_shift; /* a row's part is hash >> part_shift */
    struct kp_lane *lanes;
    struct kp_node **nodes; /* in topological order */
    uint32_t node_count, node_cap, next_id;
    _Atomic uint64_t *awake; /* a bit a node, by place: is visited by this step, or the next one */
    uint64_t *ran;           /* likewise: was visited, and is not released yet */
    struct kp_node **shared; /* nodes that others may share, chained by share_key; a power of two of chains */
    uint32_t shared_count, shared_cap;
    struct kp_timer *timers; /* in no order */
    uint32_t timer_count, timer_cap;
    struct kp_output **outputs, **changed; /* changed: by the last step, until it is released */
    uint32_t output_count, changed_count;
    bool failing;             /* outputs have failed since the last step's end; fail_lock */
    uint64_t visits;          /* of nodes, by all steps */
    uint64_t looks;           /* walks so far, which mark nodes */
    bool bounded;             /* one step only: an ad-hoc query */
    bool looping;             /* nodes made now are inside a recursion: they have many turns in a step */
    uint32_t end_in, end_out; /* of nodes made now */
    bool poisoned, parallel;
    const struct kp_step *step; /* while stepping */
    struct kp_mutex dead_lock, fail_lock;
};

/* ---- for operators ---- */

/* It has something to do in this step, or the next one if there is none: rows come, its time has come. Any lane. */
static inline void kp_node_wake(struct kp_node *node)
{
    _Atomic uint64_t *word = &node->graph->awake[node->place / 64];
    uint64_t bit = UINT64_C(1) << node->place % 64;
    if (!(atomic_load_explicit(word, memory_order_relaxed) & bit))
        atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
}

/* A new node of this kind at the end of the graph, settings taken over; its inputs' consumers know it. */
struct kp_node *kp_node_create(struct kp_graph *graph, const struct kp_node_ops *ops, const struct kp_column *cols,
                               uint32_t col_count, struct kp_node *const *inputs, uint32_t input_count);
/* Looks for a node that does the same (of equal form, if the operator has set one); if there is one, frees `node` and
 * returns that. Else starts node's state. */
struct kp_node *kp_node_share(struct kp_node *node);
/*
 * What a step makes is charged too, or a join of everything with everything would take all memory; and it can be
 * stopped. Sending looks; so does an operator between pieces of its input, and where it works long without sending
 * anything. KP_CANCELLED, KP_BUDGET.
 */
KP_MUST enum kp_code kp_lane_check(struct kp_lane *lane, struct kp_error *err);
/* Sends rows to all consumers. Empty batches are not sent. */
KP_MUST enum kp_code kp_node_send(struct kp_node *node, struct kp_lane *lane, const struct kp_flow *out,
                                  struct kp_error *err);
/* Takes the node and everything downstream of it out of action; the rest of the graph goes on. Any lane. */
void kp_node_fail(struct kp_node *node, const struct kp_error *why);
/* Diverts a row's failure to every output downstream. The message is copied. */
void kp_node_error(struct kp_node *node, struct kp_lane *lane, int64_t weight, int64_t log_position,
                   const char *sqlstate, const char *message);
/* The same below an emit: it is told when the row's window is closed. */
void kp_node_error_in(struct kp_node *node, struct kp_lane *lane, int64_t weight, int64_t log_position,
                      int64_t window_end, const char *sqlstate, const char *message);
/* Diverts all failed rows of an evaluation over `in`; afterwards eval->errors are first errors in order of rows. */
void kp_node_divert(struct kp_node *node, struct kp_lane *lane, struct kp_eval *eval, const struct kp_flow *in);
/* The step's errors so far that are told behind this node, in the first lane's arena. Before the node's turn. */
const struct kp_lane_error **kp_node_errors_before(const struct kp_node *node, size_t *ret_count);
/* A window_end as microseconds; a NULL closes never, before the end of all input: INT64_MAX. */
int64_t kp_window_end_us(const struct kp_vec *vec, uint32_t row);
extern const struct kp_node_ops kp_emit_ops;
/* Some rows of a flow. */
struct kp_flow kp_flow_gather(const struct kp_flow *in, const uint32_t *index, uint32_t n,
                              struct kp_arena *arena); /* a subset */
struct kp_flow kp_flow_gather_any(const struct kp_flow *in, const uint32_t *index, uint32_t n, struct kp_arena *arena);
/* True in a step after which nothing may be held back. */
bool kp_graph_step_final(const struct kp_graph *graph);
/* Calls run for 0 … count - 1, spread over the workers if the step is parallel; stops at the first failure or cancel.
 */
KP_MUST enum kp_code kp_graph_parallel(struct kp_graph *graph, uint32_t count,
                                       enum kp_code (*run)(void *arg, struct kp_lane *lane, uint32_t task,
                                                           struct kp_error *err),
                                       void *arg, struct kp_error *err);
static inline struct kp_eval kp_lane_eval(struct kp_lane *lane, const struct kp_node *node)
{
    return (struct kp_eval){.arena = &lane->arena, .settings = &node->settings};
}

/* Frees nodes that nobody needs: what a failed kp_graph_add_plan has made. */
void kp_graph_sweep(struct kp_graph *graph);
/* As kp_graph_add_plan, but resolve is called for each scan in order and gives a node of just the scan's columns.
 * by_plan: takes the node of each plan node, by its id; NULL: nobody asks. */
KP_MUST enum kp_code kp_graph_add_scans_plan(struct kp_graph *graph, const struct kp_plan *plan,
                                             const struct kp_session_settings *settings, kp_scan_resolve resolve,
                                             void *arg, struct kp_node **by_plan, struct kp_node **ret_node,
                                             struct kp_error *err);

/* ---- operators: each makes a node (op_<name>.c) ---- */
KP_MUST enum kp_code kp_op_source(struct kp_graph *graph, struct kp_relation *relation, struct kp_node **ret_node,
                                  struct kp_error *err);
/* Columns of the relation that the source must decode, as columns of the source's node. */
KP_MUST enum kp_code kp_op_source_need(struct kp_node *node, const uint32_t *columns, uint32_t count,
                                       uint32_t *ret_columns, struct kp_error *err);
struct kp_relation *kp_op_source_relation(const struct kp_node *node);
/* `node` will be read by the readers of `old`, another graph's node of the same relation at the same position. */
KP_MUST enum kp_code kp_op_source_take_over(struct kp_node *node, struct kp_node *old, struct kp_error *err);
KP_MUST enum kp_code kp_op_upsert(struct kp_graph *graph, struct kp_node *source, struct kp_relation *relation,
                                  struct kp_node **ret_node, struct kp_error *err);
struct kp_node *kp_op_input(struct kp_graph *graph, const struct kp_column *cols, uint32_t col_count, bool growing);
struct kp_node *kp_op_values(struct kp_graph *graph, const struct kp_plan *plan,
                             const struct kp_session_settings *settings);
struct kp_node *kp_op_columns(struct kp_graph *graph, const struct kp_column *cols, uint32_t col_count,
                              struct kp_node *input, const uint32_t *columns);
/* The same for a view that is read without its error rows. */
struct kp_node *kp_op_columns_skipping(struct kp_graph *graph, const struct kp_column *cols, uint32_t col_count,
                                       struct kp_node *input, const uint32_t *columns);
/* Its column numbers become map's: the input was replaced by one that has the same columns elsewhere. */
void kp_op_columns_remap(struct kp_node *node, const uint32_t *map);
struct kp_node *kp_op_filter(struct kp_graph *graph, const struct kp_plan *plan,
                             const struct kp_session_settings *settings, struct kp_node *input);
/* A condition on now(), of a graph that lives on. */
struct kp_node *kp_op_temporal(struct kp_graph *graph, const struct kp_plan *plan, const struct kp_expr *predicate,
                               const struct kp_session_settings *settings, struct kp_node *input);
struct kp_node *kp_op_project(struct kp_graph *graph, const struct kp_plan *plan,
                              const struct kp_session_settings *settings, struct kp_node *input);
KP_MUST enum kp_code kp_op_aggregate(struct kp_graph *graph, const struct kp_plan *plan,
                                     const struct kp_session_settings *settings, struct kp_node *input,
                                     struct kp_node **ret_node, struct kp_error *err);
KP_MUST enum kp_code kp_op_join(struct kp_graph *graph, const struct kp_plan *plan,
                                const struct kp_session_settings *settings, struct kp_node *const *inputs,
                                struct kp_node **ret_node, struct kp_error *err);
struct kp_node *kp_op_asof(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *const *inputs);
/* Of an expired node, just the scan's columns. */
struct kp_node *kp_op_expired_columns(struct kp_node *expired, const struct kp_plan *scan);
struct kp_node *kp_op_union(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *const *inputs,
                            uint32_t count); /* the plan's columns */
struct kp_node *kp_op_repeat(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *input);
struct kp_node *kp_op_expand(struct kp_graph *graph, const struct kp_plan *plan,
                             const struct kp_session_settings *settings, struct kp_node *input);
/* The entry of a recursion, and its end, which knows the entry. */
struct kp_node *kp_op_work(struct kp_graph *graph, const struct kp_plan *plan);
struct kp_node *kp_op_recurse(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *const *inputs,
                              struct kp_node *work);
/* drop_late: late (row, window) pairs are left out and counted. */
KP_MUST enum kp_code kp_op_window(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *input,
                                  bool drop_late, struct kp_node **ret_node, struct kp_error *err);
uint64_t kp_op_window_late(const struct kp_node *node);
/* Above a window of kind SESSION, which gives each row the window that it would have alone. */
struct kp_node *kp_op_session(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *input);
KP_MUST enum kp_code kp_op_topn(struct kp_graph *graph, const struct kp_plan *plan,
                                const struct kp_session_settings *settings, struct kp_node *input,
                                struct kp_node **ret_node, struct kp_error *err);
/* How many rows are enough for it, whichever they are; UINT64_MAX: all are wanted, or it is no top-N. */
uint64_t kp_op_topn_wanted(const struct kp_node *node);
KP_MUST enum kp_code kp_op_over(struct kp_graph *graph, const struct kp_plan *plan,
                                const struct kp_session_settings *settings, struct kp_node *input,
                                struct kp_node **ret_node, struct kp_error *err);
struct kp_node *kp_op_match(struct kp_graph *graph, const struct kp_plan *plan,
                            const struct kp_session_settings *settings, struct kp_node *input);
/* The input with its rows' positions as a last column; what takes that column out again; and the plan of what stands
 * between, with the column (op_stamp.c). */
struct kp_node *kp_op_stamp(struct kp_graph *graph, const struct kp_plan *input_plan, struct kp_node *input);
struct kp_node *kp_op_unstamp(struct kp_graph *graph, const struct kp_plan *plan, uint32_t column,
                              struct kp_node *input);
/* Two such columns: the greater position counts. */
struct kp_node *kp_op_unstamp_both(struct kp_graph *graph, const struct kp_plan *plan, const uint32_t *columns,
                                   uint32_t count, struct kp_node *input);
/* The input's rows without positions: those of a view are known while it runs, but not to who reads its store, and a
 * row that goes must have the position that it came with. */
struct kp_node *kp_op_forget_positions(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *input);
/* The node that gives an unstamp its rows; any other node itself. */
struct kp_node *kp_op_unstamped(struct kp_node *node);
struct kp_plan kp_op_stamped_plan(const struct kp_plan *plan, uint32_t column, struct kp_arena *arena);
/* inputs[0] has the rows; the others are the sources whose watermarks close. */
struct kp_node *kp_op_emit(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *const *inputs,
                           uint32_t input_count);
struct kp_node *kp_op_output(struct kp_graph *graph, struct kp_node *input, struct kp_output *output);
struct kp_output *kp_op_output_of(const struct kp_node *node);
/* The batches of the last step. */
void kp_op_output_collect(struct kp_node *node, struct kp_changes *changes);

extern const struct kp_node_ops kp_source_ops, kp_columns_ops, kp_upsert_ops, kp_input_ops, kp_output_ops,
    kp_window_ops;

#endif
