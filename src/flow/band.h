/*
 * An ordered index of a join's side: rows by a number, with a second number each, for conditions that bound the first
 * from below and above, and the second from below:
 *
 *   low ≤ order ≤ top, high ≥ least          a.at BETWEEN b.at - x AND b.at + y;  b.lo <= a.x AND a.x <= b.hi
 *
 *   inner:  | first entry, greatest high below | …              leaf:  | entry | entry | …  up to 64, in order
 *
 * A B+tree over (group, order, id): the group is what rows of other join keys are told apart by. An inner node knows
 * the greatest `high` of each child, so a search for the intervals that hold a point goes only where one may be: it
 * costs the logarithm of the rows and what it finds. Nodes that become empty are freed; others are not merged.
 *
 * Numbers are images of values under a map that keeps their order but may make different ones equal (join_band.h): what
 * is found is a superset, and the join's condition decides. One thread at a time.
 */
#ifndef KP_FLOW_BAND_H
#define KP_FLOW_BAND_H

#include <stdbool.h>
#include <stdint.h>

struct kp_band_entry {
    uint64_t order, high;
    uint32_t group, id;
};

struct kp_band {
    void *root; /* a leaf if height is 0; NULL: no entries */
    uint32_t height;
    uint64_t count;
    int64_t bytes;
};

struct kp_band_range {
    uint32_t group;
    uint64_t low, top, least;
};

/* Where a search goes on; zero-initialized it begins. */
struct kp_band_place {
    bool begun;
    uint64_t order;
    uint32_t id;
};

void kp_band_finish(struct kp_band *band);
/* Of an empty tree: all entries at once; they are sorted in place. */
void kp_band_build(struct kp_band *band, struct kp_band_entry *entries, uint64_t count);
void kp_band_insert(struct kp_band *band, const struct kp_band_entry *entry); /* it is not there */
void kp_band_remove(struct kp_band *band, const struct kp_band_entry *entry); /* it is there, with this high */
/* Up to cap (at least 1) rows of the range, in order from the place on, which moves on; fewer than cap: that was all.
 */
uint32_t kp_band_find(const struct kp_band *band, const struct kp_band_range *range, struct kp_band_place *place,
                      uint32_t *ids, uint32_t cap);
/* The least and greatest order of a group; false if it has no entries. */
bool kp_band_ends(const struct kp_band *band, uint32_t group, uint64_t *ret_first, uint64_t *ret_last);

#endif
