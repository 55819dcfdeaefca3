#include "sim/campaign.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

enum { SAVE_EVERY = 10, SOAK_SCALE = 100 /* the Makefile's */ };

uint64_t campaign_setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void state_path(const struct campaign *campaign, struct kp_buf *path)
{
    kp_buf_printf(path, "%s/%s", campaign->state, campaign->name);
    kp_buf_append_byte(path, 0);
}

static void load(struct campaign *campaign)
{
    struct kp_buf path = {0};
    state_path(campaign, &path);
    FILE *file = fopen((const char *)path.data, "r");
    unsigned long long number;
    if (file && fscanf(file, "next %llu", &number) == 1) {
        campaign->next = number;
        for (int i = 0; i < CAMPAIGN_TOTALS && fscanf(file, " %llu", &number) == 1; i++)
            campaign->counts[i] = number;
    }
    if (file)
        fclose(file);
    kp_buf_finish(&path);
}

void campaign_save(const struct campaign *campaign)
{
    if (!campaign->state)
        return;
    struct kp_buf path = {0};
    state_path(campaign, &path);
    FILE *file = fopen((const char *)path.data, "w");
    if (file) {
        fprintf(file, "next %llu", (unsigned long long)campaign->next);
        for (int i = 0; i < CAMPAIGN_TOTALS; i++)
            fprintf(file, " %llu", (unsigned long long)campaign->counts[i]);
        fprintf(file, "\n");
        fclose(file);
    }
    kp_buf_finish(&path);
}

void campaign_begin(struct campaign *campaign)
{
    uint64_t only = campaign_setting("KAPPA_SEED", 0);
    campaign->state = only ? NULL : getenv("KAPPA_SOAK_STATE");
    campaign->next = only ? only : 1;
    if (campaign->state)
        load(campaign);
    uint64_t scale = campaign_setting("KAPPA_TEST_SCALE", 1), cases = campaign->cases * scale;
    if (campaign->state)
        cases = KP_MAX(cases, campaign->limit * scale / SOAK_SCALE);
    campaign->end = campaign->next + (only ? 1 : cases);
    if (campaign->limit && campaign->end > campaign->limit + 1)
        campaign->end = campaign->limit + 1;
    campaign->first = campaign->next;
}

bool campaign_next(struct campaign *campaign, uint64_t *ret_case)
{
    if (campaign->next > campaign->first && (campaign->next - campaign->first) % SAVE_EVERY == 0)
        campaign_save(campaign);
    if (campaign->next >= campaign->end)
        return false;
    *ret_case = campaign->next++;
    return true;
}

void campaign_end(struct campaign *campaign)
{
    campaign_save(campaign);
    uint64_t done = campaign->state ? campaign->next - 1 : campaign->next - campaign->first;
    printf("%s: %llu %s", campaign->name, (unsigned long long)done, campaign->what);
    for (int i = 0; i < CAMPAIGN_TOTALS && campaign->totals[i]; i++)
        printf(", %llu %s", (unsigned long long)campaign->counts[i], campaign->totals[i]);
    printf(campaign->state ? " in all soaks\n" : "\n");
    fflush(stdout);
}
