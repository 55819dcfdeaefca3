/*
 * Rot in the unsealed journal of a log on a simulated disk: bits or whole sectors of acknowledged blocks change while
 * it is closed, or was killed. Then, restart after restart, from snapshots and without: the log opens; every record
 * whose block is intact is read by its position and by its offset; of the others each is an error and none is left out
 * in silence; `verify` finds something wrong; appends go on, and no offset is ever given twice. Two worlds of three
 * seal what is full, over what has rotted, merge it, and trim: then the journal does not grow, and what was given up is
 * no damage any more. Topics are dropped and made again under their names. What says that records go may rot, too: then
 * they may be there again, and the topic is, until its name is taken again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "log/inspect.h"
#include "log/log.h"
#include "log/plant.h"
#include "log/record_batch.h"
#include "sim/campaign.h"
#include "sim/sim.h"

enum { TOPICS = 3, PARTITIONS = 2, IDS_MAX = 100, SENT_MAX = 2000, SNAPSHOT_BYTES = 100 << 10, JOURNALS_MAX = 5 };
#define DIR "data/log"

struct sent {
    uint32_t topic, partition, records, crc;
    int64_t base_offset, position, group_position;
    bool lost; /* once it could not be read: then never again */
};

struct world {
    struct kp_sim *sim;
    struct kp_log *log;
    bool seals;
    uint64_t file_bytes;
    uint32_t topics[TOPICS]; /* ids; 0: dropped, and not made again yet */
    uint32_t id_last;
    bool dropped[IDS_MAX];
    bool making_rotted[IDS_MAX]; /* a topic's making is told twice, and rots once */
    int64_t trimmed[IDS_MAX][PARTITIONS];
    struct sent sent[SENT_MAX];
    size_t count;
    int64_t position;
    char failure[1200];
};

#define CHECK(world, condition, ...)                                                                                   \
    do {                                                                                                               \
        if (!(condition) && !(world)->failure[0])                                                                      \
            snprintf((world)->failure, sizeof(world)->failure, __VA_ARGS__);                                           \
    } while (0)

/* The last one is seldom written. */
static uint32_t written_topic(const struct world *world)
{
    uint32_t id = world->topics[kp_sim_below(world->sim, kp_sim_below(world->sim, 9) ? 2 : TOPICS)];
    for (size_t i = 0; !id; i++)
        id = world->topics[i];
    return id;
}

static void append_group(struct world *world)
{
    struct kp_log_entry entries[3] = {0};
    struct kp_buf batches[3] = {0};
    struct kp_error err;
    struct kp_sim *sim = world->sim;
    size_t count = 1 + (size_t)kp_sim_below(sim, 3);
    bool big = kp_sim_below(sim, 12) == 0; /* several blocks */
    if (world->count + count > SENT_MAX)
        return;
    for (size_t i = 0; i < count; i++) {
        struct kp_record_batch_builder builder = {0};
        char *value = kp_alloc(600000);
        size_t len = big ? 400000 + (size_t)kp_sim_below(sim, 200000) : (size_t)kp_sim_below(sim, 3000);
        memset(value, 'a' + (int)kp_sim_below(sim, 26), len);
        for (uint64_t r = kp_sim_below(sim, 3) + 1; r > 0; r--)
            kp_record_batch_add(&builder, (int64_t)r, (struct kp_str){0}, (struct kp_str){value, r == 1 ? len : 9},
                                (struct kp_str){0});
        kp_free(value);
        assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batches[i], &err), KP_OK);
        kp_record_batch_builder_finish(&builder);
        entries[i] = (struct kp_log_entry){.topic = written_topic(world),
                                           .partition = kp_sim_below(sim, 8) == 0, /* seldom the last one */
                                           .batch = batches[i].data,
                                           .bytes = batches[i].len};
    }
    enum kp_code code = kp_log_append(world->log, entries, count, NULL, &err);
    CHECK(world, code == KP_OK, "an append gives %s", err.message);
    for (size_t i = 0; i < count && code == KP_OK; i++) {
        struct kp_record_batch_info info = {0};
        assert_int_equal(kp_record_batch_check(batches[i].data, batches[i].len, false, &info, NULL), KP_OK);
        for (size_t k = 0; k < world->count; k++) {
            const struct sent *at = &world->sent[k];
            CHECK(world,
                  at->topic != entries[i].topic || at->partition != entries[i].partition ||
                      entries[i].base_offset >= at->base_offset + at->records,
                  "topic %u, partition %u: offset %lld is given twice", at->topic, at->partition,
                  (long long)entries[i].base_offset);
        }
        CHECK(world, entries[i].position >= world->position, "positions go back");
        world->position = entries[i].position + info.records;
        world->sent[world->count++] = (struct sent){.topic = entries[i].topic,
                                                    .partition = entries[i].partition,
                                                    .records = (uint32_t)info.records,
                                                    .crc = kp_crc32c(0, entries[i].batch + 12, entries[i].bytes - 12),
                                                    .base_offset = entries[i].base_offset,
                                                    .position = entries[i].position,
                                                    .group_position = entries[0].position};
    }
    for (size_t i = 0; i < count; i++)
        kp_buf_finish(&batches[i]);
}

static void topic_name(size_t i, char name[16])
{
    snprintf(name, 16, "t%zu", i + 1);
}

static void make_topic(struct world *world, size_t i)
{
    char name[16];
    struct kp_error err;
    topic_name(i, name);
    enum kp_code code = kp_log_topic_create(world->log, name, PARTITIONS, &world->topics[i], &err);
    CHECK(world, code == KP_OK, "topic \"%s\" is not made: %s", name, err.message);
    CHECK(world, world->topics[i] > world->id_last, "topic %u is made twice", world->topics[i]);
    world->id_last = world->topics[i];
    assert_true(world->id_last < IDS_MAX);
}

static void drop_topic(struct world *world, uint32_t id)
{
    struct kp_error err;
    CHECK(world, kp_log_topic_drop(world->log, id, &err) == KP_OK, "topic %u is not dropped: %s", id, err.message);
    world->dropped[id] = true;
}

/* Those that there should be are there. One that was dropped may be there again: it is dropped again, or goes with its
 * name. */
static void check_topics(struct world *world)
{
    for (size_t i = 0; i < TOPICS && !world->failure[0]; i++) {
        char name[16];
        struct kp_topic_info info;
        topic_name(i, name);
        bool found = kp_log_topic_find(world->log, name, &info, NULL) == KP_OK;
        if (world->topics[i])
            CHECK(world, found && info.id == world->topics[i] && info.partitions == PARTITIONS,
                  "topic \"%s\" is not topic %u", name, world->topics[i]);
        else if (found)
            CHECK(world, info.id < IDS_MAX && world->dropped[info.id], "topic \"%s\" is there again as topic %u", name,
                  info.id);
        if (!world->topics[i] && found && !world->failure[0])
            drop_topic(world, info.id);
    }
}

static void open_log(struct world *world)
{
    struct kp_log_options options = {.os = kp_sim_os(world->sim),
                                     .dir = DIR,
                                     .no_threads = true,
                                     .tail_bytes = 1,
                                     .journal_file_bytes = world->file_bytes,
                                     .seal_bytes = world->seals ? 1 : 1 << 30,
                                     .extent_own_bytes = 200 << 10,
                                     .snapshot_bytes = SNAPSHOT_BYTES};
    struct kp_error err = {0};
    enum kp_code code = kp_log_open(&options, &world->log, &err);
    CHECK(world, code == KP_OK, "open: %s (%s)", err.message, err.detail);
    if (code != KP_OK)
        world->log = NULL;
    bool fresh = world->log && !world->id_last;
    for (size_t i = 0; fresh && i < TOPICS; i++)
        make_topic(world, i);
    if (world->log)
        check_topics(world);
}

/* Drops a topic, or makes one again; or both. */
static void change_topics(struct world *world)
{
    size_t i = (size_t)kp_sim_below(world->sim, TOPICS), there = 0;
    for (size_t k = 0; k < TOPICS; k++)
        there += world->topics[k] != 0;
    if (world->topics[i] && there > 1) {
        drop_topic(world, world->topics[i]);
        world->topics[i] = 0;
        if (kp_sim_below(world->sim, 2))
            return;
    }
    if (!world->topics[i] && !world->failure[0])
        make_topic(world, i);
}

/* A partition goes on at a later offset: what it has is given up. */
static void skip_offsets(struct world *world, uint32_t topic, uint32_t p, int64_t end_offset)
{
    struct kp_error err;
    int64_t offset = end_offset + 1 + (int64_t)kp_sim_below(world->sim, kp_sim_below(world->sim, 2) ? 5 : 5000);
    CHECK(world, kp_log_skip(world->log, topic, p, offset, &err) == KP_OK, "skip: %s", err.message);
    world->trimmed[topic][p] = KP_MAX(world->trimmed[topic][p], offset);
}

/* Gives up the first records of some partition. */
static void trim(struct world *world)
{
    struct kp_error err;
    struct kp_partition_info info;
    uint32_t topic = written_topic(world), p = (uint32_t)kp_sim_below(world->sim, PARTITIONS);
    assert_int_equal(kp_log_partition(world->log, topic, p, &info, &err), KP_OK);
    if (kp_sim_below(world->sim, 4) == 0) {
        skip_offsets(world, topic, p, info.end_offset);
        return;
    }
    bool all = kp_sim_below(world->sim, 3) == 0;
    int64_t offset = all ? info.end_offset : (int64_t)kp_sim_below(world->sim, (uint64_t)info.end_offset + 1);
    CHECK(world, kp_log_trim(world->log, topic, p, offset, &err) == KP_OK, "trim: %s", err.message);
    world->trimmed[topic][p] = KP_MAX(world->trimmed[topic][p], offset);
}

static bool given_up(const struct world *world, const struct sent *sent)
{
    return world->dropped[sent->topic] || sent->base_offset < world->trimmed[sent->topic][sent->partition];
}

static void count_journal(void *arg, const char *name)
{
    size_t len = strlen(name);
    *(unsigned *)arg += len > 8 && strcmp(name + len - 8, ".journal") == 0;
}

/* Seals and merges all that can be; the journal is short then, whatever has rotted. */
static void maintain(struct world *world)
{
    struct kp_os *os = kp_sim_os(world->sim);
    struct kp_error err;
    unsigned files = 0;
    for (bool did = true; did && !world->failure[0];)
        CHECK(world, kp_log_maintain(world->log, &did, &err) == KP_OK, "maintain: %s", err.message);
    assert_int_equal(os->list(os->ctx, DIR, count_journal, &files, &err), KP_OK);
    CHECK(world, !world->seals || files <= JOURNALS_MAX, "%u journal files are left", files);
}

static void remove_snapshot(struct world *world)
{
    struct kp_os *os = kp_sim_os(world->sim);
    (void)!os->unlink(os->ctx, DIR "/snapshot", NULL);
}

/* ---- checking ---- */

/* Reads all of it by position; what lies in damaged stretches is `gone`. */
static void check_positions(struct world *world, bool *gone)
{
    int64_t position = 0;
    size_t next = 0;
    while (!world->failure[0] && position < kp_log_position(world->log)) {
        struct kp_log_span span;
        struct kp_error err;
        enum kp_code code = kp_log_read(world->log, position, INT64_MAX, 1 + (size_t)kp_sim_below(world->sim, 100000),
                                        NULL, 0, &span, &err);
        if (code == KP_OK) {
            CHECK(world, span.position_end > position, "a read at %lld gives nothing", (long long)position);
            for (size_t i = 0; i < span.count && !world->failure[0]; i++, next++) {
                const struct kp_log_chunk *chunk = &span.chunks[i];
                while (next < world->count && given_up(world, &world->sent[next]) &&
                       world->sent[next].position < chunk->position)
                    next++;
                const struct sent *sent = &world->sent[next];
                CHECK(world, chunk->position == sent->position, "position %lld is left out", (long long)sent->position);
                CHECK(world,
                      chunk->topic == sent->topic && chunk->partition == sent->partition &&
                          chunk->base_offset == sent->base_offset && chunk->records == sent->records &&
                          kp_crc32c(0, chunk->batch + 12, chunk->bytes - 12) == sent->crc,
                      "the batch at %lld is another", (long long)sent->position);
            }
            position = span.position_end;
            kp_log_span_release(&span);
            continue;
        }
        struct kp_log_damage *damages;
        size_t count;
        CHECK(world, code == KP_CORRUPT, "a read gives %s", err.message);
        CHECK(world, kp_log_damage_at(world->log, position, &damages, &count), "no damage is known at %lld: %s",
              (long long)position, err.message);
        int64_t end = count ? damages->position_end : position;
        CHECK(world, end > position, "damage without end");
        for (; next < world->count && world->sent[next].position < end; next++) {
            const struct sent *sent = &world->sent[next];
            bool told = false;
            for (size_t i = 0; i < count; i++)
                told |= damages[i].topic == sent->topic && damages[i].partition == sent->partition &&
                        damages[i].offset <= sent->base_offset &&
                        damages[i].offset_end >= sent->base_offset + sent->records;
            CHECK(world, told || given_up(world, sent),
                  "the damage at %lld does not tell of topic %u, partition %u, offset %lld", (long long)position,
                  sent->topic, sent->partition, (long long)sent->base_offset);
            gone[next] = true;
        }
        if (getenv("DBG"))
            for (size_t i = 0; i < count; i++)
                fprintf(stderr, "damage %lld-%lld t%u p%u %lld-%lld %s %s at %llu/%llu\n",
                        (long long)damages[i].position, (long long)damages[i].position_end, damages[i].topic,
                        damages[i].partition, (long long)damages[i].offset, (long long)damages[i].offset_end,
                        damages[i].maybe ? "maybe" : "", damages[i].wrong, (unsigned long long)damages[i].file_number,
                        (unsigned long long)damages[i].file_offset);
        if (getenv("DBG"))
            for (size_t i = 0; i < world->count; i++)
                fprintf(stderr, "sent %lld t%u p%u %lld-%lld\n", (long long)world->sent[i].position,
                        world->sent[i].topic, world->sent[i].partition, (long long)world->sent[i].base_offset,
                        (long long)world->sent[i].base_offset + world->sent[i].records);
        position = end;
        kp_free(damages);
    }
    while (next < world->count && given_up(world, &world->sent[next]))
        next++;
    CHECK(world, next == world->count, "%zu batches of %zu", next, world->count);
}

/* Every batch by its offset: right, or an error if its stretch of the log is damaged. */
static size_t check_offsets(struct world *world, const bool *gone)
{
    size_t lost = 0;
    for (size_t i = 0; i < world->count && !world->failure[0]; i++) {
        struct sent *sent = &world->sent[i];
        struct kp_buf out = {0};
        struct kp_record_batch_info info = {0};
        struct kp_error err = {0};
        if (given_up(world, sent))
            continue;
        enum kp_code code = kp_log_fetch(world->log, sent->topic, sent->partition, sent->base_offset, 1, &out, &err);
        CHECK(world, code == KP_OK || (code == KP_CORRUPT && gone[i]), "topic %u, partition %u, offset %lld: %s",
              sent->topic, sent->partition, (long long)sent->base_offset, err.message);
        if (code == KP_OK) {
            assert_int_equal(kp_record_batch_check(out.data, out.len, true, &info, &err), KP_OK);
            CHECK(world,
                  info.base_offset == sent->base_offset && kp_crc32c(0, out.data + 12, out.len - 12) == sent->crc,
                  "topic %u, partition %u, offset %lld gives another batch", sent->topic, sent->partition,
                  (long long)sent->base_offset);
        }
        CHECK(world, code != KP_OK || !sent->lost, "what was lost is there again");
        sent->lost |= code != KP_OK;
        lost += sent->lost;
        kp_buf_finish(&out);
    }
    return lost;
}

static void count_problem(void *arg, const char *text)
{
    ++*(unsigned *)arg;
}

static void check(struct world *world, size_t *ret_lost)
{
    bool *gone = kp_calloc(world->count + 1, 1);
    struct kp_inspect_report report;
    unsigned problems = 0;
    check_positions(world, gone);
    *ret_lost = world->failure[0] ? 0 : check_offsets(world, gone);
    kp_free(gone);
    assert_int_equal(kp_inspect_verify(kp_sim_os(world->sim), DIR, count_problem, &problems, &report, NULL), KP_OK);
    CHECK(world, !*ret_lost || problems, "verify finds nothing");
}

/* ---- rot ---- */

struct place {
    uint64_t file_number, offset, bytes;
    uint64_t sequence, durable_sequence;
    uint32_t makes; /* the id of the topic that it makes; 0: none */
    bool decides;   /* that something goes */
};
struct places {
    struct place list[400];
    size_t count;
    struct place last; /* it vouches for the others but those of its commit, when no snapshot does */
};

static bool note_block(void *arg, const struct kp_inspect_block *block)
{
    struct places *places = arg;
    struct place place = {.file_number = block->file_number, .offset = block->offset, .bytes = block->bytes};
    if (!block->header)
        return true;
    place.sequence = block->header->sequence;
    place.durable_sequence = block->header->durable_sequence;
    struct kp_entry_walk walk = kp_entry_walk_start(block->header);
    const struct kp_entry_header *entry;
    const char *wrong;
    bool intact = block->state == KP_INSPECT_OK || block->state == KP_INSPECT_JUMP;
    while (intact && kp_entry_walk_next(&walk, &entry, &wrong)) {
        place.makes = entry->kind == KP_ENTRY_TOPIC_CREATE ? entry->topic : place.makes;
        place.decides |= entry->kind == KP_ENTRY_TOPIC_DROP || entry->kind == KP_ENTRY_TRIM;
    }
    places->last = place;
    if (places->count < KP_COUNT(places->list))
        places->list[places->count++] = place;
    return true;
}

/* The blocks that make topics rot by themselves. */
static bool makes_topic(const struct places *places, uint64_t file_number, uint64_t offset)
{
    for (size_t i = 0; i < places->count; i++) {
        const struct place *place = &places->list[i];
        if (place->makes && place->file_number == file_number && offset >= place->offset &&
            offset < place->offset + place->bytes)
            return true;
    }
    return false;
}

static void flip_byte(struct world *world, uint64_t file_number, uint64_t at)
{
    char path[64];
    snprintf(path, sizeof path, DIR "/%08llu.journal", (unsigned long long)file_number);
    kp_sim_flip(world->sim, path, 8 * at + kp_sim_below(world->sim, 8));
}

static void rot_making(struct world *world, const struct place *place)
{
    if (world->making_rotted[place->makes])
        return;
    uint64_t bytes = sizeof(struct kp_block_header) + sizeof(struct kp_entry_header); /* what lies behind is little */
    for (uint64_t at = kp_sim_below(world->sim, bytes); at < bytes; at += 64)
        flip_byte(world, place->file_number, place->offset + at);
    world->making_rotted[place->makes] = true;
}

/* The place, and maybe some of what lies behind it, before `end`. */
static void rot_place(struct world *world, const struct places *places, const struct place *place, uint64_t end)
{
    struct kp_sim *sim = world->sim;
    uint64_t choice = kp_sim_below(sim, 3);
    uint64_t from = choice == 0 ? kp_sim_below(sim, place->bytes) : 0; /* a bit anywhere; of the header; more */
    uint64_t until = choice == 0 ? from + 1 : choice == 1 ? 128 : 1 + kp_sim_below(sim, 3 * place->bytes);
    for (uint64_t at = place->offset + from; at < KP_MIN(place->offset + until, end); at += choice == 2 ? 64 : 31)
        if (!makes_topic(places, place->file_number, at))
            flip_byte(world, place->file_number, at);
}

/* vouched: a snapshot knows all of the log; else what rots to its very end leaves no witness. */
static void rot(struct world *world, bool vouched)
{
    struct kp_sim *sim = world->sim;
    struct places places = {.last = {0}};
    assert_int_equal(kp_inspect_blocks(kp_sim_os(sim), DIR, note_block, &places, NULL), KP_OK);
    for (uint64_t n = 1 + kp_sim_below(sim, 3); n > 0 && places.count; n--) {
        size_t first = (size_t)kp_sim_below(sim, places.count), i = first;
        bool decides = kp_sim_below(sim, 2); /* there are few that do: the next one of them */
        while (decides && !places.list[i].decides && !places.list[i].makes && (i + 1) % places.count != first)
            i = (i + 1) % places.count;
        const struct place *place = &places.list[i];
        bool bounded = !vouched && place->file_number == places.last.file_number;
        if (!vouched && place->sequence > places.last.durable_sequence)
            continue;
        if (place->makes)
            rot_making(world, place);
        else
            rot_place(world, &places, place, bounded ? places.last.offset : world->file_bytes);
    }
}

/* Does a snapshot know all that was in the log? */
static bool stop(struct world *world)
{
    bool vouched = kp_sim_below(world->sim, 2);
    if (vouched) {
        struct kp_log_recovered recovered;
        kp_log_recovered(world->log, &recovered);
        vouched = recovered.ahead_bytes >= SNAPSHOT_BYTES; /* else none is written */
        kp_log_close(world->log);
    } else {
        kp_sim_kill(world->sim);
        kp_log_close(world->log);
        kp_sim_power_on(world->sim, KP_SIM_CUT_RANDOM);
    }
    world->log = NULL;
    bool remove = kp_sim_below(world->sim, 2);
    if (remove)
        remove_snapshot(world);
    return vouched && !remove;
}

static bool run(uint64_t seed, char *ret_failure, size_t failure_bytes, size_t *ret_lost)
{
    struct world *world = kp_calloc(1, sizeof *world);
    world->sim = kp_sim_create(seed);
    world->seals = kp_sim_below(world->sim, 3) > 0;
    world->file_bytes = world->seals && kp_sim_below(world->sim, 2) ? 256 << 10 : 2 << 20;
    open_log(world);
    for (int round = 0; round < 6 && !world->failure[0]; round++) {
        size_t lost = 0;
        for (uint64_t n = 5 + kp_sim_below(world->sim, 30); n > 0 && !world->failure[0]; n--)
            if (kp_sim_below(world->sim, 16) == 0)
                change_topics(world);
            else
                append_group(world);
        if (world->seals && !world->failure[0] && kp_sim_below(world->sim, 3) == 0)
            trim(world);
        maintain(world);
        bool vouched = stop(world);
        if (round < 3 && kp_sim_below(world->sim, 2))
            rot(world, vouched);
        open_log(world);
        if (!world->failure[0])
            check(world, &lost);
        *ret_lost += lost;
    }
    snprintf(ret_failure, failure_bytes, "%s", world->failure);
    bool good = !world->failure[0];
    kp_log_close(world->log);
    kp_sim_destroy(world->sim);
    kp_free(world);
    return good;
}

static void rotten(void **state)
{
    struct campaign campaign = {
        .name = "rot", .what = "logs that rot", .totals = {"batches found rotten"}, .cases = 20};
    uint64_t seeds = 0;
    size_t lost = 0;
    campaign_begin(&campaign);
    for (uint64_t seed; campaign_next(&campaign, &seed); seeds++) {
        char failure[1200];
        if (!run(seed, failure, sizeof failure, &lost))
            fail_msg("seed %llu: %s (KAPPA_SEED=%llu repeats it)", (unsigned long long)seed, failure,
                     (unsigned long long)seed);
    }
    campaign.counts[0] += lost;
    campaign_end(&campaign);
    assert_true(seeds < 20 || lost > seeds);
}

/* What has rotted taken for torn, and cut. */
static void planted(void **state)
{
    char failure[1200] = "";
    size_t lost = 0;
    uint64_t seed = 1;
    kp_log_planted = KP_PLANT_ROTTEN_CUT;
    while (seed <= 30 && run(seed, failure, sizeof failure, &lost))
        seed++;
    kp_log_planted = KP_PLANT_NONE;
    assert_true(seed <= 30);
    print_message("cut: caught by seed %llu: %s\n", (unsigned long long)seed, failure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rotten), cmocka_unit_test(planted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
