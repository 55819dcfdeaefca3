/*
 * Rows of groups, in order: the state of operators whose answer for a row hangs on the rows before and behind it.
 *
 *   keys:   | key columns | → group: ordered map of row numbers, what the operator adds      touched ─► group ─► group
 *   rows:   | columns | the operator's payload |
 *
 * A step brings rows in (`kp_keyed_groups`, `kp_keyed_take`) and touches their groups; the last step of a position
 * walks the touched ones (`kp_keyed_next_touched`), sends what has changed, and lets go of rows that are no longer
 * there.
 *
 * Invariants: 1. a group is in its part's `touched` at most once; 2. a row is in the map of its group from the step in
 * which it comes until the operator removes it; 3. a group without rows goes at its emission. A part belongs to one
 * worker at a time.
 */
#ifndef KP_FLOW_KEYED_H
#define KP_FLOW_KEYED_H

#include "flow/graph.h"
#include "flow/ordered.h"
#include "flow/table.h"

/* Begins the operator's own struct of a group. */
struct kp_keyed_group {
    struct kp_ordered rows;
    struct kp_keyed_group *next_touched;
    uint64_t hash;
    uint32_t id; /* in the table of keys */
    bool touched;
};

struct kp_keyed_part {
    struct kp_table keys, rows;
    struct kp_keyed_group *touched;
    int64_t more_bytes; /* groups and their maps; the operator may add what it keeps beside them */
};

struct kp_keyed {
    uint32_t key_count, *key_columns, row_cols; /* the input's first row_cols columns are kept */
    struct kp_row_layout key_layout, row_layout;
    size_t group_bytes;
    uint32_t payload_bytes;
    void (*group_finish)(struct kp_keyed_group *group); /* frees what the operator's struct owns; NULL: nothing */
    struct kp_keyed_part *parts;
};

/* The columns of the input that are keys are copied into arena. */
void kp_keyed_define(struct kp_keyed *keyed, struct kp_arena *arena, const struct kp_type *types, uint32_t row_cols,
                     const uint32_t *key_columns, uint32_t key_count);
void kp_keyed_start(struct kp_keyed *keyed, const struct kp_node *node);
void kp_keyed_finish(struct kp_keyed *keyed, const struct kp_node *node);
/* As an operator's release, same and stats. */
void kp_keyed_release(struct kp_keyed *keyed, const struct kp_node *node);
bool kp_keyed_same(const struct kp_keyed *a, const struct kp_keyed *b);
void kp_keyed_stats(const struct kp_keyed *keyed, const struct kp_node *node, struct kp_node_stats *stats);

/* Sends rows to the part of their key. */
void kp_keyed_push(const struct kp_keyed *keyed, struct kp_node *node, struct kp_lane *lane, struct kp_batch *batch);
/* The group of each row, made where there is none. */
struct kp_keyed_group **kp_keyed_groups(const struct kp_keyed *keyed, struct kp_lane *lane, struct kp_keyed_part *part,
                                        const struct kp_piece *piece);
/* The number of the row with this place in the group's order, made from row i if there is none. */
uint32_t kp_keyed_take(const struct kp_keyed *keyed, struct kp_keyed_part *part, struct kp_keyed_group *group,
                       const struct kp_buf *key, const struct kp_batch *batch, uint32_t i);
void kp_keyed_remove(struct kp_keyed_part *part, struct kp_keyed_group *group, const struct kp_buf *key, uint32_t id);
/* All columns of a row. */
void kp_keyed_load(const struct kp_keyed *keyed, const struct kp_keyed_part *part, uint32_t id, struct kp_arena *arena,
                   struct kp_vec *ret_vecs);
/* False if it is touched already. */
bool kp_keyed_touch(struct kp_keyed_part *part, struct kp_keyed_group *group);
/* Takes one off the list; NULL if there is none. */
struct kp_keyed_group *kp_keyed_next_touched(struct kp_keyed_part *part);
/* Forgets a group without rows. */
void kp_keyed_settle_group(const struct kp_keyed *keyed, struct kp_keyed_part *part, struct kp_keyed_group *group);
/* Charges what the part has come to take, and `beside` with it. */
KP_MUST enum kp_code kp_keyed_charge(struct kp_keyed_part *part, int64_t beside, struct kp_error *err);

static inline void *kp_keyed_payload(const struct kp_keyed_part *part, uint32_t id)
{
    return kp_table_payload(&part->rows, kp_table_row(&part->rows, id));
}

#endif
