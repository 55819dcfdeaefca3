/* percent_rank(direct…) WITHIN GROUP (ORDER BY keys…): the share of rows before a row, of the others. */
#include "vec/agg_hypothetical.h"

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    (void)call;
    double *values = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        struct agg_standing standing = kp_agg_hypothetical_find(states[i]);
        values[i] = standing.count ? (double)standing.before / (double)standing.count : 0;
    }
}

AGG_HYPOTHETICAL(percent_rank, KP_FLOAT8, finalize, "share of the rows before a row that is not there");
