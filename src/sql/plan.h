/*
 * Plans: what a query means, as a tree of relational operators over typed columns. sql/ makes them; flow/ turns one
 * into operators, for a view that lives on or for one bounded step (an ad-hoc SELECT). There is one executor.
 *
 * Every node yields rows with weights (a Z-set). `growing` says that its changes are insertions only, so operators may
 * take their lean path. Expressions of a node refer to the columns of its input (of a join: left's then right's).
 */
#ifndef KP_SQL_PLAN_H
#define KP_SQL_PLAN_H

#include "sql/expr.h"
#include "vec/agg.h"
#include "vec/set.h"

struct kp_relation;
struct kp_plan_match;

struct kp_column {
    const char *name;
    struct kp_type type;
    bool not_null; /* known never NULL */
};

/* A column of a relation: which one a column of a result is, as PostgreSQL tells its clients. */
struct kp_base_column {
    uint32_t relation; /* its number (pg_class.oid); 0: it is none, but computed */
    uint16_t number;   /* from 1 (pg_attribute.attnum) */
};

enum kp_plan_kind {
    KP_PLAN_SCAN,      /* rows of a source, table, view or system table, some of its columns. With an input: of a view
                          that is run here again, from its own plan, so that its rows bring their watermarks */
    KP_PLAN_VALUES,    /* constant rows; SELECT without FROM is one row of no columns */
    KP_PLAN_FILTER,    /* rows for which `predicate` is true */
    KP_PLAN_PROJECT,   /* `exprs` */
    KP_PLAN_WINDOW,    /* each row once per window that holds its time; adds window_start, window_end */
    KP_PLAN_AGGREGATE, /* group columns, then aggregates; no group columns: exactly one row. No aggregates: DISTINCT */
    KP_PLAN_JOIN,
    KP_PLAN_ASOF,    /* each row of the left input with the one of equal keys on the right whose time is nearest */
    KP_PLAN_UNION,   /* UNION ALL of inputs with equal column types */
    KP_PLAN_REPEAT,  /* each row as often as a bigint column of it says */
    KP_PLAN_EXPAND,  /* set-returning functions: each row once for each row that they make of it, side by side */
    KP_PLAN_OVER,    /* window functions: the input's columns, then a value per function. Ties by the whole row */
    KP_PLAN_RECURSE, /* WITH RECURSIVE: the first input's rows, and the second's as often as it finds any; behind the
                        columns the second yields the iteration that its rows were made of */
    KP_PLAN_WORK,    /* in there: the rows of the iterations so far, and which, from 0 */
    KP_PLAN_MATCH,   /* MATCH_RECOGNIZE: rows in order that match a pattern (match_plan.h) */
    KP_PLAN_TOPN,    /* ORDER BY … LIMIT/OFFSET, ties by the whole row */
    KP_PLAN_EMIT,    /* EMIT ON WINDOW CLOSE: rows whose column window_end is at or before the watermark, once */
    KP_PLAN_SORT     /* only at the root of an ad-hoc query: the order of its result, no limit */
};

enum kp_window_kind {
    KP_WINDOW_TUMBLE,
    KP_WINDOW_HOP,
    KP_WINDOW_CUMULATE,
    KP_WINDOW_SESSION,
    KP_WINDOW_LATENESS /* [time, time + size) of the row alone: it only leaves out rows that are late; adds no columns
                        */
};
enum kp_join_kind { KP_JOIN_INNER, KP_JOIN_LEFT, KP_JOIN_RIGHT, KP_JOIN_FULL, KP_JOIN_SEMI, KP_JOIN_ANTI };

struct kp_sort_key {
    uint32_t column; /* of the input */
    bool descending, nulls_first;
};

struct kp_plan_agg {
    const struct kp_agg *agg;
    struct kp_expr **args; /* over the input */
    uint32_t arg_count;
    struct kp_expr *filter; /* FILTER (WHERE …), or NULL */
    bool distinct;
    struct kp_type type;
    uint32_t order_count; /* the last arguments are keys of its ORDER BY */
    bool row_last;        /* the last of these is the row itself: of equals it decides */
    struct kp_agg_order orders[KP_AGG_ARGS_MAX];
};
/* A set-returning function of an EXPAND; func NULL: one row, with the value of the only argument. */
struct kp_plan_set {
    const struct kp_set_func *func;
    struct kp_expr **args; /* over the input */
    uint32_t arg_count, col_count;
    const char *const *names; /* of a record whose columns the query declares; NULL: func's */
};
bool kp_plan_set_equal(const struct kp_plan_set *a, const struct kp_plan_set *b);

bool kp_plan_agg_equal(const struct kp_plan_agg *a, const struct kp_plan_agg *b);

enum kp_over_kind {
    KP_OVER_ROW_NUMBER,
    KP_OVER_RANK,
    KP_OVER_DENSE_RANK,
    KP_OVER_PERCENT_RANK,
    KP_OVER_CUME_DIST,
    KP_OVER_NTILE,
    KP_OVER_LAG,
    KP_OVER_LEAD,
    KP_OVER_FIRST_VALUE,
    KP_OVER_LAST_VALUE,
    KP_OVER_NTH_VALUE,
    KP_OVER_AGGREGATE
};
enum kp_frame_mode { KP_FRAME_ROWS, KP_FRAME_RANGE, KP_FRAME_GROUPS };
enum kp_frame_bound { KP_BOUND_FIRST, KP_BOUND_PRECEDING, KP_BOUND_CURRENT, KP_BOUND_FOLLOWING, KP_BOUND_LAST };

enum kp_frame_exclude { KP_EXCLUDE_NONE, KP_EXCLUDE_CURRENT, KP_EXCLUDE_GROUP, KP_EXCLUDE_TIES };

struct kp_plan_frame {
    enum kp_frame_mode mode; /* offsets count rows or runs of peers */
    enum kp_frame_bound start, end;
    int64_t start_offset, end_offset;
    struct kp_expr *ranges[2]; /* RANGE: the start's and the end's offset from the only key, a constant; NULL: none */
    enum kp_frame_exclude exclude;
};

/* One function of an OVER; arguments and filter are columns of its input. */
struct kp_plan_over_call {
    enum kp_over_kind kind;
    const struct kp_agg *agg; /* of an aggregate */
    uint32_t arg_count, args[KP_FUNCTION_ARGS_MAX];
    bool filtered;
    uint32_t filter;
    struct kp_plan_frame frame;
    struct kp_type type;
};

struct kp_plan {
    enum kp_plan_kind kind;
    uint32_t id;      /* number within its tree, root 0, for EXPLAIN and errors */
    int32_t location; /* byte in the text, -1 if none */
    bool growing;
    uint32_t col_count;
    struct kp_column *cols; /* what it yields */
    const struct kp_base_column
        *bases; /* of what has a name in a FROM list, while it is bound: col_count; NULL: none */
    uint32_t input_count;
    struct kp_plan **inputs;
    union {
        struct {
            struct kp_relation *relation; /* referenced: kp_relation_unref by kp_plan_release */
            uint32_t *columns;            /* col_count indexes into the relation's columns */
        } scan;
        struct {
            uint32_t rows;
            struct kp_expr **exprs; /* rows × col_count, constant or parameters only */
        } values;
        struct {
            struct kp_expr *predicate;
        } filter;
        struct {
            struct kp_expr **exprs; /* col_count */
        } project;
        struct {
            enum kp_window_kind kind;
            uint32_t time_column; /* timestamp, timestamptz or date of the input; rows with NULL there are dropped */
            struct kp_interval size, slide, offset; /* slide = size for tumble; session: size is the gap */
            uint32_t key_count;                     /* session's keys */
            uint32_t *keys;
            uint32_t source_count; /* whose watermarks govern late rows; none: no watermark reaches this node */
            struct kp_relation **sources;
            bool late_only; /* the late pairs, each with the window that the row would have alone, and no others */
        } window;
        struct {
            uint32_t group_count; /* the first columns it yields */
            struct kp_expr **groups;
            uint32_t agg_count;
            struct kp_plan_agg *aggs;
        } aggregate;
        struct {
            enum kp_join_kind kind;
            uint32_t key_count; /* equal keys; 0: cross join with the residual */
            struct kp_expr **left_keys,
                **right_keys; /* over the one side's columns each; NULL matches only where key_nulls says so */
            const struct kp_func **key_equals;
            bool *key_nulls;          /* keys of which NULL matches NULL; NULL: none */
            struct kp_expr *residual; /* over left's then right's columns, or NULL */
            /* A side's rows whose times[s] + reach_us[s] is before the other side's watermark match no later row
             */
            bool frees[2];
            uint32_t times[2]; /* columns of that side */
            int64_t reach_us[2];
        } join;
        struct {
            bool outer;           /* rows that find none are kept, with NULLs */
            bool strict, forward; /* >=; strict: >; forward: <=, <: of the left time to the right one */
            uint32_t key_count, *keys[2], times[2]; /* columns of the left and the right input */
            bool latest;            /* of right rows at one time the one that was logged last; else the least row */
            uint32_t version;       /* latest: the right input's column with the position of its record */
            bool frees;             /* backward, over sources without late rows: what no later row concerns can go */
            int64_t lateness_us[2]; /* no row of a side comes before its watermark less this */
        } asof;
        struct {
            uint32_t key_count;
            struct kp_sort_key *keys;
            struct kp_expr *limit, *offset; /* bigint constants or parameters; NULL: none */
        } topn;                             /* and sort (limit, offset NULL) */
        struct {
            uint32_t partition_count, *partitions; /* columns of the input */
            uint32_t order_count;                  /* the first keys: rows equal in them are peers */
            uint32_t key_count;                    /* with those that only break ties */
            struct kp_sort_key *keys;
            uint32_t call_count;
            struct kp_plan_over_call *calls;
            int64_t
                top; /* only rows whose call top_call, a number or rank as all are, is at most this are read; 0: all */
            uint32_t top_call;
            bool
                frees; /* no row comes to a partition whose column `time` is lateness_us or more behind the watermark */
            uint32_t time;
            int64_t lateness_us;
        } over;
        struct kp_plan_match *match;
        struct {
            uint32_t column; /* never negative */
        } repeat;
        struct {
            uint32_t id;      /* of the RECURSE around */
            bool distinct;    /* UNION: only rows that no earlier iteration has */
            const char *name; /* of the query, for errors */
        } recurse;            /* and work */
        struct {
            uint32_t call_count; /* the input's columns, then each call's in turn; of the shorter ones NULLs */
            struct kp_plan_set *calls;
            bool ordinality; /* a last column: the row's number, from 1 */
            bool outer;      /* a row of which the functions make none is kept, with NULLs */
        } expand;
        struct {
            uint32_t window_end_column;
            uint32_t source_count; /* whose watermarks close, the least of them */
            struct kp_relation **sources;
        } emit;
    };
};

/* A plan with what it owns: one arena, references to relations. */
struct kp_plan_root {
    struct kp_arena arena;
    struct kp_plan *plan;
    uint32_t result_count; /* columns that the client sees: the first ones; any others only order an ad-hoc result */
    const struct kp_base_column *bases; /* result_count; NULL: all are computed */
    uint32_t param_count;
    struct kp_type *param_types;
};
/* A deep copy in another arena; its SCANs are not referenced (kp_plan_reference does that). */
struct kp_plan *kp_plan_copy(const struct kp_plan *plan, struct kp_arena *arena);
/* Numbers the nodes from the root, and takes a reference for every SCAN; the last act of making a plan. */
void kp_plan_reference(struct kp_plan *plan);
void kp_plan_release(struct kp_plan_root *root); /* NULL is fine; frees root too */
/* A copy with parameters replaced by values, in its own arena; the SCANs are referenced again. */
KP_MUST enum kp_code kp_plan_instantiate(const struct kp_plan_root *root, const struct kp_datum *params,
                                         uint32_t param_count, struct kp_plan_root **ret_root, struct kp_error *err);
/* EXPLAIN's text: one line a node, indented, with keys, predicates, growing, where state grows without bound. */
void kp_plan_print(const struct kp_plan *plan, struct kp_buf *out);
bool kp_plan_over_call_equal(const struct kp_plan_over_call *a, const struct kp_plan_over_call *b);
/* The only WINDOW below an EMIT, with the filters right above it; NULL if there is none, or several. */
const struct kp_plan *kp_plan_late_window(const struct kp_plan *plan);
/* column = constant or parameter, of the column's type; else NULL. *ret_column: the scan's. */
const struct kp_expr *kp_expr_equates(const struct kp_expr *expr, uint32_t *ret_column);
/* Does the filter fix every column of the key of the relation that is scanned right below it? ret_values: the
 * constants, in the key's order. Then a query that runs once looks the row up. */
enum { KP_PLAN_KEYS_MAX = 32 };
bool kp_plan_key(const struct kp_plan *filter, const struct kp_plan *scan, const struct kp_expr **ret_values);
/* Structural equality and hash of whole sub-plans: sharing. */
bool kp_plan_equal(const struct kp_plan *a, const struct kp_plan *b);
uint64_t kp_plan_hash(const struct kp_plan *plan);

#endif
