/*
 * Matches a pattern over the rows of one partition, in order, one attempt at a time. op_match.c keeps the partitions.
 *
 *   rows      [ … before … | start … pos … ]  more      asked for as the matcher looks further
 *   attempt    start … end: the variable that each row matched; reach: the last row looked at; open: it would have
 *              looked further than the last row there is
 *
 * Conditions that look only at rows around the one at hand are evaluated for many rows at once; those that look at what
 * has matched, for each row when it is tried.
 */
#ifndef KP_FLOW_MATCH_H
#define KP_FLOW_MATCH_H

#include "flow/eval.h"
#include "flow/table.h"
#include "sql/match_plan.h"

/* An expression and what it reads. */
struct kp_match_expr {
    struct kp_expr *expr; /* NULL: true */
    uint32_t nav_count, *navs;
    bool local;     /* reads the row at hand and rows around it only */
    uint32_t ahead; /* of a local one: how many rows further it looks */
};

struct kp_match {
    const struct kp_plan_match *plan;
    const struct kp_session_settings *settings;
    uint32_t col_count;
    bool *reads; /* of the input's columns: navigations */
    struct kp_match_expr *defines, *measures;
    uint32_t before; /* how many rows before its first a match may look at */
    bool numbered;   /* MATCH_NUMBER() is asked for */
};

struct kp_match_rows {
    const struct kp_match *match;
    const struct kp_table *table;
    uint32_t *ids, count, cap;
    /* Appends rows with kp_match_rows_add; false if there are no more. */
    bool (*more)(struct kp_match_rows *rows, void *arg);
    void *arg;
    struct kp_arena arena, scratch, attempt;
    struct kp_match_block *blocks;
    uint32_t block_cap;
    struct kp_match_known *known; /* per variable: local conditions */
};

struct kp_match_attempt {
    uint32_t start, end; /* rows [start, end) match */
    bool matched, open;
    uint32_t reach;
    uint8_t *variables; /* of the rows from start; lives until the next attempt */
    int64_t number;
    const struct kp_row_error *error; /* of a condition; the row counted as not matching */
};

/* bounded: for one step, in which nothing is let go. */
void kp_match_define(struct kp_match *match, const struct kp_plan *plan, bool bounded, struct kp_arena *arena);
void kp_match_rows_init(struct kp_match_rows *rows, const struct kp_match *match, const struct kp_table *table,
                        bool (*more)(struct kp_match_rows *rows, void *arg), void *arg);
void kp_match_rows_finish(struct kp_match_rows *rows);
/* Forgets all rows. */
void kp_match_rows_clear(struct kp_match_rows *rows);
void kp_match_rows_add(struct kp_match_rows *rows, uint32_t id);
/* Asks for more rows as needed. */
static inline bool kp_match_rows_has(struct kp_match_rows *rows, uint32_t row)
{
    while (row >= rows->count)
        if (!rows->more(rows, rows->arg))
            return false;
    return true;
}

/* Fails only when matching takes too long. */
KP_MUST enum kp_code kp_match_try(struct kp_match_rows *rows, uint32_t start, int64_t number,
                                  struct kp_match_attempt *ret_attempt, struct kp_error *err);
/* The measures as seen from a row of the match: a value each, in vectors of one row. They live until the next
 * attempt. */
void kp_match_measure(struct kp_match_rows *rows, struct kp_match_attempt *attempt, uint32_t row,
                      struct kp_vec *ret_vecs, const struct kp_row_error **ret_error);

#endif
