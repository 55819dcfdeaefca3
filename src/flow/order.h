/* The total order of rows: sort keys first, then the whole row, then what tells equal values apart. */
#ifndef KP_FLOW_ORDER_H
#define KP_FLOW_ORDER_H

#include "sql/plan.h"

/*
 * Appends bytes whose memcmp order is the order of rows under ORDER BY keys with ties broken by the whole row,
 * ascending, NULLs last. Rows have equal bytes exactly when they are identical: of values that are equal but not
 * identical the one whose text is less comes first.
 */
void kp_order_key_append(const struct kp_sort_key *keys, uint32_t key_count, const struct kp_vec *vecs,
                         uint32_t col_count, uint32_t row, struct kp_buf *out);

#endif
