/* dense_rank(direct…) WITHIN GROUP (ORDER BY keys…): the rank that a row would have, without gaps. */
#include "vec/agg_hypothetical.h"

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    (void)call;
    int64_t *values = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        struct agg_standing standing = kp_agg_hypothetical_find(states[i]);
        values[i] = standing.different + 1;
    }
}

AGG_HYPOTHETICAL(dense_rank, KP_INT8, finalize, "rank that a row would have, without gaps");
