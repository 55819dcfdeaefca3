/*
 * What a join's condition says about how its sides' values lie to each other, so that a row need not meet them all:
 *
 *   a.x < b.y     a.at BETWEEN b.at - x AND b.at + y     b.lo <= a.x AND a.x < b.hi
 *   a.x - b.y < 5     abs(a.x - b.y) <= 5     a.at - b.at < INTERVAL '1 hour'
 *
 * Of each side one expression is the order of its rows in an index (band.h), and perhaps a second one the high end of
 * each; rows of the other side say in which range they look. Values become numbers that keep their order (images), so
 * what is found is a superset of what matches, and the join evaluates its whole condition on it.
 *
 * Which errors a join shows must not depend on the index. So of an AND only conditions are used before which none can
 * fail; a row whose own expression fails, or is so far out that a difference could, is odd: it meets all rows.
 */
#ifndef KP_FLOW_JOIN_BAND_H
#define KP_FLOW_JOIN_BAND_H

#include "flow/band.h"
#include "flow/eval.h"

enum { KP_BOUNDS_MAX = 8 };

enum kp_band_map {
    KP_BAND_INT,   /* integers, dates, times: shifted by integers */
    KP_BAND_FLOAT, /* floats and numerics: as doubles */
    KP_BAND_BYTES  /* the first eight bytes of a sort key; no shift */
};

/* A value that says where to look: of an expression over the searching row, shifted. */
struct kp_band_bound {
    struct kp_expr *expr;
    enum kp_band_map map;
    bool difference;      /* of x - y < c: infinite values are odd */
    int64_t shift, width; /* width: a difference beyond it overflows; 0: none does */
    double shift_float;
};

struct kp_band_side {
    /* Of its rows in the index; order NULL: there is none. */
    struct kp_expr *order, *high;
    enum kp_band_map order_map, high_map;
    bool difference; /* infinite orders are odd */
    /* Of its rows that look into the other side's index: low <= order, order <= top, least <= high. */
    struct kp_band_bound lows[KP_BOUNDS_MAX], tops[KP_BOUNDS_MAX], leasts[KP_BOUNDS_MAX];
    uint32_t low_count, top_count, least_count;
    struct kp_expr *checks[2 * KP_BOUNDS_MAX]; /* of its rows: where one fails the row is odd */
    uint32_t check_count;
};

struct kp_join_bands {
    struct kp_band_side sides[2];
};

/* False if the condition (over left's then right's columns) bounds nothing. Expressions are made in arena. */
bool kp_join_bands_define(struct kp_join_bands *bands, const struct kp_expr *condition, uint32_t left_cols,
                          struct kp_arena *arena);

/* Of each row of a batch, in the evaluation's arena. */
enum kp_band_state { KP_BAND_RANGE, KP_BAND_NONE, KP_BAND_ODD }; /* NONE: it matches nothing */
struct kp_band_images {
    uint64_t *orders, *highs;
    uint8_t *states;
};
struct kp_band_images kp_band_images(const struct kp_band_side *side, struct kp_eval *eval,
                                     const struct kp_batch *batch);
/* Ranges without their groups; states as above: an odd row meets all. `ints`: what to compare with the index's ends. */
struct kp_band_probes {
    struct kp_band_range *ranges;
    uint8_t *states;
    int64_t *ints[2 * KP_BOUNDS_MAX]; /* of bounds with a width; NULL: of others */
};
struct kp_band_probes kp_band_probes(const struct kp_band_side *side, struct kp_eval *eval,
                                     const struct kp_batch *batch);
/* Whether row i could make a difference overflow with a row between these ends. */
bool kp_band_probe_overflows(const struct kp_band_side *side, const struct kp_band_probes *probes, uint32_t i,
                             uint64_t first, uint64_t last);
/* Whether any row could. */
bool kp_band_side_overflows(const struct kp_band_side *side);

#endif
