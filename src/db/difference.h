/* What differs between the rows of two stores (db/difference.c). */
#ifndef KP_DB_DIFFERENCE_H
#define KP_DB_DIFFERENCE_H

#include "db/instance.h"
#include "vec/multiset.h"

struct kp_reading {
    struct kp_store *store;
    const struct kp_snapshot *snapshot;
};

/* All rows of a store in one batch with weights times `sign`, in arena; NULL if there are none. */
KP_MUST enum kp_code kp_reading_rows(const struct kp_reading *reading, uint32_t col_count, int64_t sign,
                                     struct kp_arena *arena, struct kp_batch **ret_batch, struct kp_error *err);
/*
 * The rows of `to` minus those of `from`, whose columns have the same types, consolidated: weight > 0: so many more in
 * `to`. One batch with weights in arena; NULL if nothing differs. workers as in kp_query_options.
 */
KP_MUST enum kp_code kp_difference(struct kp_db *db, struct kp_workers *workers, const struct kp_column *cols,
                                   uint32_t col_count, const struct kp_reading *from, const struct kp_reading *to,
                                   struct kp_arena *arena, struct kp_batch **ret_batch, struct kp_error *err);

#endif
