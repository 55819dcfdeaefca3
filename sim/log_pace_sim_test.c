/*
 * What the log does by time and amount, by the simulator's clock: nobody sleeps.
 *
 *   recovery snapshots   a start reads at most 60 s or 1 GiB of journal behind the newest one (and what is not worth
 *                        one: KP_SNAPSHOT_BYTES_MIN), however often the process is killed and at which moment
 *   sealing              gives way while much is appended, until three quarters of what may be unsealed are; then it
 *                        keeps up; when appends are few it seals what is full
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log/internal.h"
#include "log/log.h"
#include "log/record_batch.h"
#include "log/snapshot.h"
#include "sim/campaign.h"
#include "sim/tasks.h"

#define DIR "data/log"
enum { SECOND_US = 1000000, FRAME_BYTES = 512, STARTS = 24, APPENDS_MAX = 20000 };

struct world {
    struct kp_sim *sim;
    struct kp_log_options options;
    struct kp_log *log;
    uint32_t topic;
    size_t value_bytes;
    uint64_t block_bytes; /* of the journal, that an append takes */
    struct {
        int64_t at_us;
        uint64_t journal_bytes; /* with it, since the log was made */
    } appends[APPENDS_MAX];
    size_t append_count;
    uint64_t starts, resumed, snapshots, most_bytes;
    char failure[1200]; /* the first thing that is not as it should be; nothing may jump out of a task */
};

#define CHECK(world, condition, ...)                                                                                   \
    do {                                                                                                               \
        if (!(condition) && !(world)->failure[0])                                                                      \
            snprintf((world)->failure, sizeof(world)->failure, __VA_ARGS__);                                           \
    } while (0)

static int64_t now_us(const struct world *world)
{
    struct kp_os *os = kp_sim_os(world->sim);
    return os->mono_ns(os->ctx) / 1000;
}

static void open_log(struct world *world)
{
    struct kp_error err;
    world->options.os = kp_sim_os(world->sim);
    world->options.dir = DIR;
    enum kp_code code = kp_log_open(&world->options, &world->log, &err);
    CHECK(world, code == KP_OK, "open: %s", err.message);
    if (code != KP_OK)
        world->log = NULL;
    else if (!world->topic && kp_log_topic_create(world->log, "t", 1, &world->topic, &err) != KP_OK)
        CHECK(world, false, "topic: %s", err.message);
}

/* One record, one block. */
static void append(struct world *world)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_error err;
    char *value = kp_alloc(world->value_bytes);
    memset(value, 'v', world->value_bytes);
    kp_record_batch_add(&builder, 1, (struct kp_str){0}, (struct kp_str){value, world->value_bytes},
                        (struct kp_str){0});
    enum kp_code code = kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err);
    KP_ASSERT(code == KP_OK);
    kp_record_batch_builder_finish(&builder);
    struct kp_log_entry entry = {.topic = world->topic, .batch = batch.data, .bytes = batch.len, .trusted = true};
    code = kp_log_append(world->log, &entry, 1, NULL, &err);
    CHECK(world, code == KP_OK, "append: %s", err.message);
    KP_ASSERT(world->append_count < APPENDS_MAX);
    world->block_bytes = kp_sector_ceil(world->value_bytes + FRAME_BYTES);
    uint64_t before = world->append_count ? world->appends[world->append_count - 1].journal_bytes : 0;
    world->appends[world->append_count].at_us = now_us(world);
    world->appends[world->append_count++].journal_bytes = before + world->block_bytes;
    kp_buf_finish(&batch);
    kp_free(value);
}

/* Of the journal, what was appended in the last so many microseconds. */
static uint64_t bytes_since(const struct world *world, int64_t us)
{
    int64_t from_us = now_us(world) - us;
    uint64_t bytes = 0;
    for (size_t i = world->append_count; i > 0 && world->appends[i - 1].at_us >= from_us; i--)
        bytes += world->block_bytes;
    return bytes;
}

static void kill_log(struct world *world)
{
    kp_sim_cut(world->sim, kp_sim_below(world->sim, 2) ? KP_SIM_CUT_KEEP : KP_SIM_CUT_RANDOM);
    kp_log_close(world->log);
    world->log = NULL;
    kp_sim_power_on(world->sim, KP_SIM_CUT_RANDOM);
}

/* Killed and opened: reads at most so much journal, and with it what is not worth a snapshot, and a block or two. */
static void check_start(struct world *world, uint64_t bytes_max)
{
    struct kp_log_recovered recovered;
    kill_log(world);
    open_log(world);
    if (world->failure[0])
        return;
    kp_log_recovered(world->log, &recovered);
    uint64_t most = bytes_max + KP_SNAPSHOT_BYTES_MIN + 2 * world->block_bytes;
    CHECK(world, recovered.journal_bytes <= most, "start %llu reads %llu bytes of journal, %llu are allowed",
          (unsigned long long)world->starts, (unsigned long long)recovered.journal_bytes, (unsigned long long)most);
    world->starts++;
    world->resumed += recovered.snapshot;
    world->most_bytes = KP_MAX(world->most_bytes, recovered.journal_bytes);
}

static void run(struct world *world, uint64_t seed, void (*live)(void *arg))
{
    world->sim = kp_sim_create(seed);
    (void)kp_sim_tasks_run(world->sim, live, world);
    kp_sim_destroy(world->sim);
    if (world->failure[0]) /* what is left in memory does not matter any more */
        fail_msg("seed %llu: %s (KAPPA_SEED=%llu repeats it)", (unsigned long long)seed, world->failure,
                 (unsigned long long)seed);
}

/* Every seed of a small campaign in a world of its own; the totals of all in *ret_all. */
static void run_all(const char *name, struct world model, uint64_t cases, void (*live)(void *arg),
                    struct world *ret_all)
{
    struct campaign campaign = {.name = name, .what = "histories by the clock", .totals = {"starts"}, .cases = cases};
    struct world *world = kp_alloc(sizeof *world);
    campaign_begin(&campaign);
    *ret_all = (struct world){0};
    for (uint64_t seed; campaign_next(&campaign, &seed);) {
        *world = model;
        run(world, seed, live);
        campaign.counts[0] += world->starts;
        ret_all->starts += world->starts;
        ret_all->resumed += world->resumed;
        ret_all->most_bytes = KP_MAX(ret_all->most_bytes, world->most_bytes);
    }
    campaign_end(&campaign);
    kp_free(world);
}

/* ---- recovery snapshots ---- */

/* Two appends a second, some 40 KiB of journal each; killed after a few seconds or a few minutes. */
static void live_by_time(void *arg)
{
    struct world *world = arg;
    bool often = kp_sim_below(world->sim, 2); /* never up for a minute */
    open_log(world);
    if (!world->failure[0])
        CHECK(world,
              world->log->snapshots.every_us == 60 * (int64_t)SECOND_US &&
                  world->log->snapshots.every_bytes == (uint64_t)1 << 30,
              "by default a snapshot is due every %lld us or %llu bytes", (long long)world->log->snapshots.every_us,
              (unsigned long long)world->log->snapshots.every_bytes);
    while (world->starts < STARTS / (often ? 1 : 3) && !world->failure[0]) {
        for (uint64_t appends = 2 * (1 + kp_sim_below(world->sim, often ? 50 : 150)); appends > 0; appends--) {
            append(world);
            kp_sim_tasks_sleep(SECOND_US / 2);
        }
        if (!world->failure[0])
            check_start(world, bytes_since(world, 60 * SECOND_US));
    }
    kp_log_close(world->log);
}

static void snapshots_by_time(void **state)
{
    struct world model = {.value_bytes = 40000, .options = {.journal_file_bytes = 4 << 20}}, all;
    run_all("snapshots-by-time", model, 4, live_by_time, &all);
    assert_true(all.starts == 0 || all.resumed > 0);
    assert_true(all.starts == 0 || all.most_bytes > KP_SNAPSHOT_BYTES_MIN); /* else nothing was shown */
}

enum { EVERY_BYTES = 3 << 20 };

/* As fast as it goes: the amount decides. */
static void live_by_size(void *arg)
{
    struct world *world = arg;
    open_log(world);
    while (world->starts < STARTS / 4 && !world->failure[0]) {
        for (uint64_t appends = 1 + kp_sim_below(world->sim, 200); appends > 0 && !world->failure[0]; appends--) {
            append(world);
            kp_sim_tasks_settle(); /* what is due is done */
        }
        if (!world->failure[0])
            check_start(world, EVERY_BYTES);
    }
    kp_log_close(world->log);
}

static void snapshots_by_size(void **state)
{
    struct world model = {.value_bytes = 60000,
                          .options = {.journal_file_bytes = 4 << 20, .snapshot_bytes = EVERY_BYTES}};
    struct world all;
    run_all("snapshots-by-size", model, 4, live_by_size, &all);
    assert_true(all.starts == 0 || all.resumed > 0);
    assert_true(all.starts == 0 || all.most_bytes > EVERY_BYTES / 2);
}

/* ---- sealing ---- */

enum { SEAL_FILE_BYTES = 5 << 20, LIMIT_BYTES = 28 << 20, URGENT_BYTES = LIMIT_BYTES / 4 * 3, PIECE_BYTES = 100 << 10 };

static struct kp_log_sealed appended(struct world *world, int64_t pause_us)
{
    struct kp_log_sealed sealed;
    append(world);
    kp_sim_tasks_sleep(pause_us);
    kp_sim_tasks_settle();
    kp_log_sealed(world->log, &sealed);
    CHECK(world, sealed.unsealed_bytes < LIMIT_BYTES, "%llu bytes wait to be sealed",
          (unsigned long long)sealed.unsealed_bytes);
    return sealed;
}

static void live_sealing(void *arg)
{
    struct world *world = arg;
    struct kp_log_sealed sealed = {0};
    open_log(world);
    while (!world->failure[0] && sealed.extents == 0) { /* 100 MB/s: it gives way until much waits */
        sealed = appended(world, 1000);
        CHECK(world, sealed.extents == 0 || sealed.unsealed_bytes + SEAL_FILE_BYTES >= URGENT_BYTES,
              "sealed while much is appended and %llu bytes wait", (unsigned long long)sealed.unsealed_bytes);
    }
    /* as many as must, and no fewer: at the same rate appends never come to the limit */
    for (int i = 0; i < 300 && !world->failure[0]; i++)
        sealed = appended(world, 1000);
    CHECK(world, sealed.unsealed_bytes > URGENT_BYTES / 2, "more is sealed than must be while much is appended");
    /* 1 MB/s: what is full is sealed */
    for (int i = 0; i < 20 && !world->failure[0]; i++)
        sealed = appended(world, 100000);
    CHECK(world, sealed.unsealed_bytes < SEAL_FILE_BYTES, "%llu bytes wait while little is appended",
          (unsigned long long)sealed.unsealed_bytes);
    world->starts++;
    kp_log_close(world->log);
}

static void sealing_gives_way(void **state)
{
    struct world model = {.value_bytes = PIECE_BYTES,
                          .options = {.journal_file_bytes = SEAL_FILE_BYTES,
                                      .seal_bytes = SEAL_FILE_BYTES * 3 / 4,
                                      .unsealed_bytes_max = LIMIT_BYTES}};
    struct world all;
    run_all("sealing-gives-way", model, 3, live_sealing, &all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(snapshots_by_time), cmocka_unit_test(snapshots_by_size),
                                       cmocka_unit_test(sealing_gives_way)};
    const char *filter = getenv("KAPPA_TEST_ONLY");
    if (filter)
        cmocka_set_test_filter(filter);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
