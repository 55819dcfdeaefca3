/*
 * Campaigns: numbered cases, of which a test runs some and a soak goes on with where the last one stopped.
 *
 *   KAPPA_TEST_SCALE=20   twenty times as many cases as `make test` runs
 *   KAPPA_SEED=7          only case 7
 *   KAPPA_SOAK_STATE=dir  begins behind the last case that is done, by a small file of the campaign's name in that
 * folder, which also keeps the totals: soaks add up
 */
#ifndef KP_SIM_CAMPAIGN_H
#define KP_SIM_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

enum { CAMPAIGN_TOTALS = 4 };

struct campaign {
    const char *name;
    const char *what;                    /* one case: "histories" */
    const char *totals[CAMPAIGN_TOTALS]; /* names of what is counted beside; NULL: none */
    uint64_t cases;                      /* at scale 1 */
    uint64_t limit;                      /* of all cases, which one soak at scale 100 does; 0: none */
    /* the campaign's own */
    uint64_t first, next, end;
    uint64_t counts[CAMPAIGN_TOTALS];
    const char *state;
};

void campaign_begin(struct campaign *campaign);
/* The next case's number, from 1; false when this run has done its share. */
bool campaign_next(struct campaign *campaign, uint64_t *ret_case);
/* Writes what is done to the soak's file. Called now and then by campaign_next. */
void campaign_save(const struct campaign *campaign);
/* Prints and keeps the totals. */
void campaign_end(struct campaign *campaign);

uint64_t campaign_setting(const char *name, uint64_t otherwise);

#endif
