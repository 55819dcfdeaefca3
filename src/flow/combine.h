/* Adding up rows before they are exchanged: where few keys have many rows, most rows never leave their morsel. */
#ifndef KP_FLOW_COMBINE_H
#define KP_FLOW_COMBINE_H

#include "flow/row.h"

/* True if rows of these key columns may be combined: values that are equal must be identical too. */
bool kp_combine_possible(const struct kp_row_layout *layout, uint32_t key_count);
/*
 * Rows that agree in all columns (the layout's first key_count ones; the batch has no others) become one, their weights
 * added; rows whose weights cancel go. Not all that could meet do: it is a shortcut, not a consolidation. Returns the
 * batch itself if it would not pay, else a new one in arena with its hashes.
 */
struct kp_batch *kp_combine(struct kp_batch *batch, const uint64_t **hashes, const struct kp_row_layout *layout,
                            uint32_t key_count, struct kp_arena *arena);

#endif
