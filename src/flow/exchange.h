/*
 * Exchange: rows on their way into a stateful node, split by key hash into parts.
 *
 * Each lane (worker) has its own list of pieces for each part, so sending takes no lock; the part's turn comes after a
 * barrier and reads the lists of all lanes. Pieces live in the sending lanes' arenas until the step ends.
 */
#ifndef KP_FLOW_EXCHANGE_H
#define KP_FLOW_EXCHANGE_H

#include "vec/vec.h"

struct kp_lane;

struct kp_piece {
    struct kp_piece *next;
    struct kp_batch *batch;   /* dense columns */
    const uint64_t *hashes;   /* of the keys; never NULL */
    const int64_t *positions; /* NULL if not known */
};

struct kp_inbox {
    uint32_t lanes, parts, part_shift;
    struct kp_piece **heads; /* lanes × parts, newest first */
    uint64_t *rows;          /* per lane */
};

void kp_inbox_init(struct kp_inbox *inbox, uint32_t lanes, uint32_t parts, uint32_t part_shift);
void kp_inbox_finish(struct kp_inbox *inbox);
void kp_inbox_clear(struct kp_inbox *inbox);
uint64_t kp_inbox_rows(const struct kp_inbox *inbox);
bool kp_inbox_any(const struct kp_inbox *inbox, uint32_t part);

/* Splits rows by hash; columns (all of the batch), weights, hashes and positions go along. positions may be NULL. */
void kp_inbox_send(struct kp_inbox *inbox, struct kp_lane *lane, const struct kp_batch *batch, const uint64_t *hashes,
                   const int64_t *positions);
/* Sends a whole batch to one part. */
void kp_inbox_send_part(struct kp_inbox *inbox, struct kp_lane *lane, uint32_t part, const struct kp_batch *batch,
                        const uint64_t *hashes, const int64_t *positions);
/* The pieces of a part, of all lanes, in one list; taken out. */
struct kp_piece *kp_inbox_take(struct kp_inbox *inbox, uint32_t part);

#endif
