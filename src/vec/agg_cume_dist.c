/* cume_dist(direct…) WITHIN GROUP (ORDER BY keys…): the share of rows before and beside a row, itself among them. */
#include "vec/agg_hypothetical.h"

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    (void)call;
    double *values = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        struct agg_standing standing = kp_agg_hypothetical_find(states[i]);
        values[i] = (double)(standing.before + standing.peers + 1) / (double)(standing.count + 1);
    }
}

AGG_HYPOTHETICAL(cume_dist, KP_FLOAT8, finalize, "share of the rows before and beside a row, itself among them");
