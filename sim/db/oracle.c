/*
 * What must hold after a restart: the log is read from its beginning, record by record, and everything else is computed
 * again from that in the plainest way.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "db/instance.h"
#include "log/record_batch.h"
#include "sim/db/world.h"

enum { TOP_ROWS = 3, LINE_BYTES = 160, NAMES = 3 /* of items: a to c */, SINK_RETRY_US = 200000, PATIENCE = 50 };

#define PUSH(array, count, cap)                                                                                        \
    ((count) == (cap) ? (void)((cap) = (cap) ? 2 * (cap) : 64, (array) = kp_realloc((array), (cap) * sizeof *(array))) \
                      : (void)0,                                                                                       \
     &(array)[(count)++])

void world_history_finish(struct history *history)
{
    for (int sink = 0; sink < SINKS; sink++) {
        for (size_t i = 0; i < history->outs[sink].count; i++)
            kp_free(history->outs[sink].list[i].row);
        kp_free(history->outs[sink].list);
    }
    kp_free(history->events);
    kp_free(history->items);
    kp_free(history->batches);
    kp_free(history->expiries);
    kp_free(history->gaps);
    *history = (struct history){0};
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *world_sorted_lines(struct kp_buf *text)
{
    kp_buf_append_byte(text, 0);
    size_t count = 0;
    char **lines = kp_alloc((text->len + 1) * sizeof(char *));
    for (char *line = strtok((char *)text->data, "\n"); line; line = strtok(NULL, "\n"))
        lines[count++] = line;
    qsort(lines, count, sizeof(char *), compare_lines);
    struct kp_buf sorted = {0};
    for (size_t i = 0; i < count; i++)
        kp_buf_printf(&sorted, "%s\n", lines[i]);
    kp_buf_append_byte(&sorted, 0);
    kp_free(lines);
    kp_buf_finish(text);
    return (char *)sorted.data;
}

/* ---- reading the log ---- */

static void read_event(struct world *world, struct history *history, const char *value, int64_t position,
                       uint32_t partition, int64_t offset)
{
    struct event event = {.position = position, .partition = partition, .offset = offset};
    long long x, id;
    if (sscanf(value, "{\"k\":%d,\"x\":%lld,\"id\":%lld", &event.k, &x, &id) != 3) {
        CHECK(world, false, "the record at %lld is none that was sent: %.80s", (long long)position, value);
        return;
    }
    event.x = x;
    event.id = id;
    *PUSH(history->events, history->event_count, history->event_cap) = event;
    size_t producer_index = (size_t)(id / 1000000) - 1, index = (size_t)(id % 1000000);
    CHECK(world, producer_index < PRODUCERS && index < world->producers[producer_index].count,
          "record %lld at %lld was never sent", id, (long long)position);
    if (world->failure[0])
        return;
    struct sent *sent = &world->producers[producer_index].sent[index];
    CHECK(world, !sent->found, "record %lld is there twice: at %lld and %lld", id, (long long)sent->position,
          (long long)position);
    CHECK(world, sent->state != SENT_REFUSED, "record %lld at %lld was refused", id, (long long)position);
    CHECK(world, sent->state != SENT_LOST, "record %lld at %lld was not there after an earlier restart", id,
          (long long)position);
    CHECK(world, !sent->position || sent->position == position, "record %lld is at %lld instead of %lld", id,
          (long long)position, (long long)sent->position);
    CHECK(world, sent->offset < 0 || (sent->offset == offset && sent->partition == partition),
          "record %lld is at offset %lld of partition %u instead of %lld of %u", id, (long long)offset, partition,
          (long long)sent->offset, sent->partition);
    sent->position = position; /* it was not known yet when memory ran out between the append and its note */
    sent->partition = partition;
    sent->offset = offset;
    CHECK(world, sent->k == event.k && sent->x == x, "record %lld at %lld is another one", id, (long long)position);
    sent->found = true;
}

static void read_item(struct world *world, struct history *history, const struct kp_record *record, const char *value,
                      int64_t position)
{
    struct item_change change = {.position = position, .gone = !record->value.ptr};
    char key[16] = "";
    long long n = 0;
    memcpy(key, record->key.ptr, KP_MIN(record->key.len, sizeof key - 1));
    bool good = sscanf(key, "[%d]", &change.id) == 1 && change.id >= 1 && change.id <= KEYS;
    if (good && !change.gone) {
        int id;
        good =
            sscanf(value, "{\"id\":%d,\"name\":\"%1[a-c]\",\"n\":%lld}", &id, change.name, &n) == 3 && id == change.id;
    }
    CHECK(world, good, "the table's record at %lld: %s %s", (long long)position, key, value);
    change.n = n;
    if (good)
        *PUSH(history->items, history->item_count, history->item_cap) = change;
}

static void read_out(struct world *world, struct outs *outs, const char *value, int64_t position)
{
    long long diff, at;
    const char *row = strstr(value, "\"row\":");
    if (sscanf(value, "{\"diff\":%lld,\"position\":\"%lld\"", &diff, &at) != 2 || !row) {
        CHECK(world, false, "the sink's record at %lld: %s", (long long)position, value);
        return;
    }
    *PUSH(outs->list, outs->count, outs->cap) =
        (struct out_change){.at = at, .diff = diff, .row = kp_strndup(row + 6, strlen(row + 6) - 1)};
}

static const struct {
    const char *topic;
    enum { OF_AGG, OF_JOINED, OF_RECENT } view;
} sinks[SINKS] = {{"out", OF_AGG}, {"joined_out", OF_JOINED}, {"recent_out", OF_RECENT}};

static bool has_sink(const struct world *world, int sink)
{
    return sinks[sink].view == OF_AGG || (sinks[sink].view == OF_JOINED ? world->compacts : world->trims);
}

struct topics {
    uint32_t ev, item, out[SINKS], expiry; /* 0: not there */
};

/* -1: the topic is none of a sink. */
static int sink_of(const struct topics *topics, uint32_t topic)
{
    for (int sink = 0; sink < SINKS; sink++)
        if (topics->out[sink] == topic)
            return sink;
    return -1;
}

/* A decision: `1 HORIZON WHY PARTITIONS OFFSET OFFSET`, its key the topic. */
static void read_expiry(struct world *world, struct history *history, const struct topics *topics, const char *key,
                        const char *value, int64_t position)
{
    struct expiry expiry = {.position = position};
    if ((uint32_t)strtoul(key, NULL, 10) != topics->ev)
        return;
    static_assert(EV_PARTITIONS == 2, "read here");
    bool good = sscanf(value, "1 %*d %*s 2 %lld %lld", &expiry.before[0], &expiry.before[1]) == EV_PARTITIONS;
    CHECK(world, good, "the decision at %lld: %s", (long long)position, value);
    *PUSH(history->expiries, history->expiry_count, history->expiry_cap) = expiry;
}

static void read_record(struct world *world, struct history *history, const struct topics *topics,
                        const struct kp_log_chunk *chunk, const struct kp_record *record, struct kp_arena *arena)
{
    const char *value = kp_arena_strndup(arena, record->value.ptr, record->value.len);
    int64_t position = chunk->position + record->offset_delta;
    if (chunk->topic == topics->ev)
        read_event(world, history, value, position, chunk->partition, chunk->base_offset + record->offset_delta);
    else if (chunk->topic == topics->item)
        read_item(world, history, record, value, position);
    else if (sink_of(topics, chunk->topic) >= 0)
        read_out(world, &history->outs[sink_of(topics, chunk->topic)], value, position);
    else
        read_expiry(world, history, topics, kp_arena_strndup(arena, record->key.ptr, record->key.len), value, position);
}

static void read_chunk(struct world *world, struct history *history, const struct topics *topics,
                       const struct kp_log_chunk *chunk)
{
    CHECK(world, chunk->position >= history->position, "positions go on at %lld instead of %lld",
          (long long)chunk->position, (long long)history->position);
    if (chunk->position + chunk->skip > history->position)
        *PUSH(history->gaps, history->gap_count, history->gap_cap) =
            (struct gap){history->position, chunk->position + chunk->skip};
    CHECK(world, chunk->log_time_us >= history->log_time_us, "log time goes back at %lld", (long long)chunk->position);
    history->position = chunk->position + chunk->records;
    history->log_time_us = chunk->log_time_us;
    uint64_t hash = kp_hash_bytes(chunk->batch, chunk->bytes);
    hash = hash * 31 + chunk->topic * 7 + chunk->partition;
    hash = hash * 31 + (uint64_t)chunk->base_offset * 3;
    *PUSH(history->batches, history->batch_count, history->batch_cap) =
        (struct batch){hash, chunk->position, history->position, chunk->topic == topics->item};
    if (chunk->topic != topics->ev && chunk->topic != topics->item && chunk->topic != topics->expiry &&
        sink_of(topics, chunk->topic) < 0)
        return;
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    struct kp_record record;
    struct kp_error err;
    enum kp_code code = kp_record_reader_init(&reader, chunk->batch, chunk->bytes, &arena, &err);
    while (code == KP_OK && kp_record_reader_next(&reader, &record, &err))
        if ((uint32_t)record.offset_delta >= chunk->skip)
            read_record(world, history, topics, chunk, &record, &arena);
    CHECK(world, code == KP_OK, "the batch at %lld: %s", (long long)chunk->position, err.message);
    kp_arena_finish(&arena);
}

static uint32_t topic_id(struct world *world, const char *name)
{
    struct kp_topic_info info = {0};
    struct kp_error err;
    CHECK(world, kp_log_topic_find(kp_db_log(world->db), name, &info, &err) == KP_OK, "%s", err.message);
    return info.id;
}

/* How far the table's topic is compacted: `2 HORIZON compact`. Only its records' decisions have that format. */
static enum kp_code read_horizons(void *arg, const struct kp_log_chunk *chunk, struct kp_error *err)
{
    struct history *history = arg;
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    struct kp_record record;
    enum kp_code code = kp_record_reader_init(&reader, chunk->batch, chunk->bytes, &arena, err);
    while (code == KP_OK && kp_record_reader_next(&reader, &record, err)) {
        long long horizon;
        if (sscanf(kp_arena_strndup(&arena, record.value.ptr, record.value.len), "2 %lld", &horizon) == 1)
            history->compacted = KP_MAX(history->compacted, (int64_t)horizon);
    }
    kp_arena_finish(&arena);
    return code;
}

/* How many records of what views gave up have been trimmed: by the background, too. */
static int64_t retractions_gone(struct world *world)
{
    struct kp_log *log = kp_db_log(world->db);
    struct kp_topic_info topic;
    struct kp_partition_info partition;
    return kp_log_topic_find(log, "__kappa_retractions", &topic, NULL) == KP_OK &&
                   kp_log_partition(log, topic.id, 0, &partition, NULL) == KP_OK
               ? partition.start_offset
               : 0;
}

static void read_log(struct world *world, struct history *history)
{
    history->retractions_gone[0] = retractions_gone(world);
    struct topics topics = {topic_id(world, "ev"), topic_id(world, "item"), {0}, 0};
    for (int sink = 0; sink < SINKS; sink++)
        topics.out[sink] = has_sink(world, sink) ? topic_id(world, sinks[sink].topic) : UINT32_MAX;
    struct kp_topic_info expiry;
    if (kp_log_topic_find(kp_db_log(world->db), "__kappa_expiry", &expiry, NULL) == KP_OK)
        topics.expiry = expiry.id;
    int64_t end = kp_log_position(kp_db_log(world->db)); /* what comes meanwhile is seen the next time */
    for (int64_t position = 0; position < end && !world->failure[0];) {
        struct kp_log_span span;
        struct kp_error err;
        enum kp_code code = kp_log_read(kp_db_log(world->db), position, end,
                                        1 + (size_t)kp_sim_below(world->sim, 300000), NULL, 0, &span, &err);
        CHECK(world, code == KP_OK, "read at %lld: %s", (long long)position, err.message);
        if (code != KP_OK)
            break;
        for (size_t i = 0; i < span.count && !world->failure[0]; i++)
            read_chunk(world, history, &topics, &span.chunks[i]);
        bool stuck = span.position_end == position;
        position = span.position_end;
        kp_log_span_release(&span);
        if (stuck)
            break;
    }
    history->retractions_gone[1] = retractions_gone(world);
    CHECK(world, history->position <= end, "the log ends at %lld, its records at %lld", (long long)end,
          (long long)history->position);
    if (topics.expiry && !world->failure[0]) {
        struct kp_error err;
        enum kp_code code = kp_log_each(kp_db_log(world->db), topics.expiry, read_horizons, history, &err);
        CHECK(world, code == KP_OK, "reading decisions: %s", err.message);
    }
    if (history->position < end)
        *PUSH(history->gaps, history->gap_count, history->gap_cap) = (struct gap){history->position, end};
    history->position = end;
    for (uint32_t p = 0; p < EV_PARTITIONS && !world->failure[0]; p++) {
        struct kp_partition_info info = {0};
        struct kp_error err;
        CHECK(world, kp_log_partition(kp_db_log(world->db), topics.ev, p, &info, &err) == KP_OK, "%s", err.message);
        history->start[p] = info.start_offset;
    }
}

/* ---- what was deleted ---- */

static int by_position(const void *a, const void *b)
{
    const struct event *left = a, *right = b;
    return (left->position > right->position) - (left->position < right->position);
}

/* Records of offsets that are gone were there, if the decision that took them is: nobody deletes what is not durable.
 */
static void add_trimmed(struct world *world, struct history *history)
{
    for (int i = 0; i < PRODUCERS; i++)
        for (uint32_t s = 0; s < world->producers[i].count; s++) {
            struct sent *sent = &world->producers[i].sent[s];
            if (sent->found || sent->offset < 0 || sent->offset >= history->start[sent->partition] ||
                (sent->state != SENT_WAITS && sent->state != SENT_ACKED))
                continue;
            sent->found = sent->trimmed = true;
            *PUSH(history->events, history->event_count, history->event_cap) =
                (struct event){.position = sent->position,
                               .x = sent->x,
                               .id = (int64_t)world->producers[i].id * 1000000 + s,
                               .offset = sent->offset,
                               .partition = sent->partition,
                               .k = sent->k};
        }
    if (history->event_count)
        qsort(history->events, history->event_count, sizeof *history->events, by_position);
}

/* Positions of which nothing is left are those of records that were deleted or replaced, and of what sinks needed to
 * follow that; and of nothing else. */
static void check_gaps(struct world *world, const struct history *history)
{
    size_t event = 0;
    int64_t others = 0;
    for (size_t i = 0; i < history->gap_count; i++)
        for (int64_t at = history->gaps[i].from; at < history->gaps[i].to && !world->failure[0]; at++) {
            while (event < history->event_count && history->events[event].position < at)
                event++;
            bool is_event = event < history->event_count && history->events[event].position == at;
            others += !is_event && at >= history->compacted;
            CHECK(world,
                  is_event ? history->events[event].offset < history->start[history->events[event].partition]
                           : others <= history->retractions_gone[1],
                  "nothing is left at %lld, and nothing was deleted there", (long long)at);
        }
    CHECK(world, world->compacts || others >= history->retractions_gone[0],
          "%lld records of what views gave up left %lld positions empty", (long long)history->retractions_gone[0],
          (long long)others);
}

/* Decisions are in force, those that were acknowledged are there, and no others than were asked for. */
static void check_trims(struct world *world, const struct history *history)
{
    for (uint32_t p = 0; p < EV_PARTITIONS; p++) {
        int64_t decided = 0;
        for (size_t i = 0; i < history->expiry_count; i++)
            decided = KP_MAX(decided, (int64_t)history->expiries[i].before[p]);
        CHECK(world, history->start[p] == decided, "partition %u begins at %lld, it was decided %lld", p,
              (long long)history->start[p], (long long)decided);
        CHECK(world, decided == world->trim_acked[p] || decided == world->trim_tried[p],
              "partition %u begins at %lld: acknowledged were %lld, asked for %lld", p, (long long)decided,
              (long long)world->trim_acked[p], (long long)world->trim_tried[p]);
        world->trim_acked[p] = world->trim_tried[p] = decided;
    }
    world->trim_unsure = false;
}

/* What was there before this restart, and was not deleted, is there. */
static void check_batches(struct world *world, const struct history *now)
{
    const struct history *then = &world->history;
    for (size_t old = 0, new = 0; old < then->batch_count && !world->failure[0]; old++) {
        while (new < now->batch_count && now->batches[new].position < then->batches[old].position)
            new ++;
        bool there = new < now->batch_count && now->batches[new].position == then->batches[old].position;
        bool gone = then->batches[old].of_item && then->batches[old].position_end <= now->compacted;
        if (gone)
            continue;
        for (size_t i = 0; i < now->gap_count && !there && !gone; i++)
            gone =
                then->batches[old].position >= now->gaps[i].from && then->batches[old].position_end <= now->gaps[i].to;
        CHECK(world, there || gone, "the batch at %lld is lost", (long long)then->batches[old].position);
        CHECK(world, !there || now->batches[new].hash == then->batches[old].hash, "the batch at %lld has changed",
              (long long)then->batches[old].position);
    }
}

/* ---- what was sent ---- */

static void check_producer(struct world *world, struct producer *producer)
{
    uint32_t lost_episode = UINT32_MAX;
    for (uint32_t i = 0; i < producer->count && !world->failure[0]; i++) {
        struct sent *sent = &producer->sent[i];
        long long id = (long long)producer->id * 1000000 + i;
        CHECK(world, sent->found || sent->state != SENT_ACKED, "record %lld was acknowledged at %lld and is lost", id,
              (long long)sent->position);
        CHECK(world, !sent->found || sent->episode != lost_episode, "record %lld is there, one sent before it is not",
              id);
        if (i > 0 && producer->sent[i - 1].group == sent->group)
            CHECK(world, producer->sent[i - 1].found == sent->found, "the group of record %lld is there in part", id);
        if (sent->found && i > 0 && producer->sent[i - 1].found)
            CHECK(world, sent->position > producer->sent[i - 1].position,
                  "record %lld is before the one sent before it", id);
        if (sent->found) {
            sent->state = SENT_ACKED;
        } else if (sent->state == SENT_WAITS) {
            sent->state = SENT_LOST;
            lost_episode = sent->episode;
        }
    }
}

/* ---- recomputing ---- */

static void items_read(const struct history *history, struct item *ret_items)
{
    memset(ret_items, 0, (KEYS + 1) * sizeof *ret_items);
    for (size_t i = 0; i < history->item_count; i++) {
        const struct item_change *change = &history->items[i];
        ret_items[change->id] = (struct item){.there = !change->gone, .n = change->n};
        memcpy(ret_items[change->id].name, change->name, sizeof change->name);
        if (change->gone)
            ret_items[change->id] = (struct item){0};
    }
}

/* What was there once is in the log, unless that is compacted. */
static void items_at(const struct world *world, int64_t position, struct item *ret_items)
{
    struct history until = world->history;
    if (world->compacts) {
        size_t i = world->version_count;
        while (i > 0 && world->versions[i - 1].end > position)
            i--;
        memset(ret_items, 0, (KEYS + 1) * sizeof *ret_items);
        if (i > 0)
            memcpy(ret_items, world->versions[i - 1].items, sizeof world->versions[i - 1].items);
        return;
    }
    until.item_count = 0;
    while (until.item_count < world->history.item_count && until.items[until.item_count].position < position)
        until.item_count++;
    items_read(&until, ret_items);
}

struct group {
    int64_t n, s, m;
};

static void group_add(struct group *group, const struct event *event, int definition)
{
    if (event->x < world_threshold(definition))
        return;
    group->n++;
    group->s += event->x;
    group->m = KP_MAX(group->m, event->x);
}

static void agg_at(const struct history *history, int64_t position, int definition, struct group *ret_groups)
{
    memset(ret_groups, 0, (KEYS + 3) * sizeof *ret_groups);
    for (size_t i = 0; i < history->event_count && history->events[i].position < position; i++)
        group_add(&ret_groups[history->events[i].k], &history->events[i], definition);
}

/* The events of ev without those that had been deleted by then. */
static void recent_at(const struct history *history, int64_t position, struct group *ret_groups)
{
    long long before[EV_PARTITIONS] = {0};
    memset(ret_groups, 0, (KEYS + 3) * sizeof *ret_groups);
    for (size_t i = 0; i < history->expiry_count && history->expiries[i].position < position; i++)
        memcpy(before, history->expiries[i].before, sizeof before);
    for (size_t i = 0; i < history->event_count && history->events[i].position < position; i++) {
        const struct event *event = &history->events[i];
        if (event->offset < before[event->partition])
            continue;
        ret_groups[event->k].n++;
        ret_groups[event->k].s += event->x;
    }
}

static void put_recent(const struct history *history, int64_t position, struct kp_buf *text)
{
    struct group groups[KEYS + 3];
    recent_at(history, position, groups);
    for (int k = 1; k < KEYS + 3; k++)
        if (groups[k].n)
            kp_buf_printf(text, "recent|%d|%lld|%lld|\n", k, (long long)groups[k].n, (long long)groups[k].s);
}

static void put_top(const struct history *history, int64_t position, struct kp_buf *text)
{
    const struct event *top[TOP_ROWS + 1];
    size_t count = 0;
    for (size_t i = 0; i < history->event_count && history->events[i].position < position; i++) {
        const struct event *event = &history->events[i];
        size_t at = count;
        while (at > 0 && (top[at - 1]->x < event->x || (top[at - 1]->x == event->x && top[at - 1]->id > event->id))) {
            top[at] = top[at - 1];
            at--;
        }
        if (at < TOP_ROWS)
            top[at] = event;
        count = KP_MIN(count + 1, (size_t)TOP_ROWS);
    }
    for (size_t i = 0; i < count; i++)
        kp_buf_printf(text, "top|%d|%lld|%lld|\n", top[i]->k, (long long)top[i]->x, (long long)top[i]->id);
}

/* By name: what joined is, of all events by key and the table. */
static void joined_of(const struct group *all, const struct item *items, struct group *ret_groups)
{
    memset(ret_groups, 0, NAMES * sizeof *ret_groups);
    for (int k = 1; k <= KEYS; k++) {
        if (!items[k].there)
            continue;
        struct group *group = &ret_groups[items[k].name[0] - 'a'];
        group->n += all[k].n;
        group->s += all[k].s;
    }
}

static void put_joined(const struct history *history, int64_t position, const struct item *items, struct kp_buf *text)
{
    struct group all[KEYS + 3], groups[NAMES];
    agg_at(history, position, 0, all);
    joined_of(all, items, groups);
    for (int i = 0; i < NAMES; i++)
        if (groups[i].n)
            kp_buf_printf(text, "joined|%c|%lld|%lld|\n", 'a' + i, (long long)groups[i].n, (long long)groups[i].s);
}

char *world_expected(const struct world *world, int64_t position, int definition)
{
    const struct history *history = &world->history;
    struct kp_buf text = {0};
    struct group groups[KEYS + 3];
    struct item items[KEYS + 1];
    agg_at(history, position, definition, groups);
    items_at(world, position, items);
    for (int k = 1; k < KEYS + 3; k++) {
        if (!groups[k].n)
            continue;
        kp_buf_printf(&text, "agg|%d|%lld|%lld|%lld\n", k, (long long)groups[k].n, (long long)groups[k].s,
                      (long long)groups[k].m);
        int same = 0;
        bool first = true;
        for (int other = 1; other < KEYS + 3; other++) {
            same += groups[other].n == groups[k].n;
            first &= other >= k || groups[other].n != groups[k].n;
        }
        if (first)
            kp_buf_printf(&text, "dist|%lld|%d||\n", (long long)groups[k].n, same);
    }
    put_joined(history, position, items, &text);
    put_top(history, position, &text);
    if (world->trims)
        put_recent(history, position, &text);
    for (int id = 1; id <= KEYS; id++)
        if (items[id].there)
            kp_buf_printf(&text, "item|%d|%s|%lld|\n", id, items[id].name, (long long)items[id].n);
    return world_sorted_lines(&text);
}

/* ---- checking answers ---- */

/* The definitions, of those allowed, that give this answer. */
static unsigned fitting(struct world *world, const struct answer *answer)
{
    unsigned fit = 0;
    for (int definition = 0; definition < DEFINITIONS; definition++) {
        if (!(answer->definitions & 1u << definition))
            continue;
        char *text = world_expected(world, answer->position, definition);
        if (strcmp(text, answer->text) == 0)
            fit |= 1u << definition;
        else if (!fit && !(answer->definitions >> (definition + 1)))
            CHECK(world, false, "at %lld the views are\n%sinstead of\n%s", (long long)answer->position, answer->text,
                  text);
        kp_free(text);
    }
    return fit;
}

static void check_answers(struct world *world)
{
    for (size_t i = 0; i < world->answer_count; i++) {
        struct answer *answer = &world->answers[i];
        CHECK(world, answer->position <= world->history.position, "an answer at %lld was given, the log ends at %lld",
              (long long)answer->position, (long long)world->history.position);
        if (!world->failure[0])
            (void)fitting(world, answer);
        kp_free(answer->text);
        world->did.checked++;
    }
    world->answer_count = 0;
}

/* Reads the views. What a round added while the log was read, the engine may not have come to yet: they are read again.
 */
static void read_in_time(struct world *world)
{
    bool faults = world->faults;
    world->faults = false;
    world_read(world);
    for (int i = 0; i < PATIENCE && !world->failure[0] && world->answer_count &&
                    world->answers[0].position < world->history.position;
         i++) {
        kp_free(world->answers[--world->answer_count].text);
        kp_sim_tasks_settle();
        world_read(world);
    }
    world->faults = faults;
}

/* What the views show now, and which definition was promoted if that was not known. */
static void check_now(struct world *world)
{
    read_in_time(world);
    if (world->failure[0] || !world->answer_count)
        return;
    unsigned fit = fitting(world, &world->answers[0]);
    bool on = (world->compacts || world->trims) && world->answers[0].position > world->history.position; /* a round */
    CHECK(world, on || world->answers[0].position == world->history.position,
          "the views are at %lld, the log ends at %lld", (long long)world->answers[0].position,
          (long long)world->history.position);
    if (fit)
        world->active = fit;
    kp_free(world->answers[0].text);
    world->answer_count = 0;
}

static void check_sides(struct world *world)
{
    for (int i = 0; i < SIDE_VIEWS && !world->failure[0]; i++) {
        char sql[64], want[64] = "";
        int64_t n = 0, s = 0;
        for (size_t e = 0; e < world->history.event_count; e++)
            if (world->history.events[e].k == i + 1 &&
                world->history.events[e].offset >= world->floors[i][world->history.events[e].partition]) {
                n++;
                s += world->history.events[e].x;
            }
        snprintf(want, sizeof want, n ? "%lld|%lld\n" : "0|\n", (long long)n, (long long)s);
        snprintf(sql, sizeof sql, "SELECT n, s FROM side%d", i);
        struct kp_buf text = {0};
        struct kp_error err;
        enum kp_code code = world_query(world, sql, &text, NULL, &err);
        kp_buf_append_byte(&text, 0);
        CHECK(world, code == KP_OK || strcmp(err.sqlstate, "42P01") == 0, "%s: %s", sql, err.message);
        CHECK(world, code != KP_OK || strcmp((char *)text.data, want) == 0, "%s: %s instead of %s", sql, text.data,
              want);
        CHECK(world, world->side[i] == SIDE_MAYBE || (code == KP_OK) == (world->side[i] == SIDE_THERE), "side%d %s", i,
              code == KP_OK ? "is there again" : "is lost");
        world->side[i] = code == KP_OK ? SIDE_THERE : SIDE_NONE;
        kp_buf_finish(&text);
    }
}

bool world_items_equal(const struct item *left, const struct item *right)
{
    for (size_t i = 0; i <= KEYS; i++)
        if (left[i].there != right[i].there || memcmp(left[i].name, right[i].name, sizeof left[i].name) != 0 ||
            left[i].n != right[i].n)
            return false;
    return true;
}

static void check_items(struct world *world)
{
    struct item items[KEYS + 1];
    const struct history *history = &world->history;
    items_read(history, items);
    bool first = world_items_equal(items, world->items[0]);
    bool second = world->item_states == 2 && world_items_equal(items, world->items[1]);
    CHECK(world, first || second, "the table is not what its transactions make of it");
    memcpy(world->items[0], items, sizeof items);
    world->item_states = 1;
    if (!first && history->item_count) /* the transaction in flight was the last one */
        world_note_items(world, history->items[history->item_count - 1].position + 1);
}

/* ---- the sink ---- */

struct bag {
    char **rows;
    int64_t *counts;
    size_t count, cap;
};

static void bag_add(struct bag *bag, const char *row, int64_t diff)
{
    size_t i = 0;
    while (i < bag->count && strcmp(bag->rows[i], row) != 0)
        i++;
    if (i == bag->count) {
        if (bag->count == bag->cap) {
            bag->cap = bag->cap ? 2 * bag->cap : 32;
            bag->rows = kp_realloc(bag->rows, bag->cap * sizeof(char *));
            bag->counts = kp_realloc(bag->counts, bag->cap * sizeof *bag->counts);
        }
        bag->rows[bag->count] = kp_strdup(row);
        bag->counts[bag->count++] = 0;
    }
    bag->counts[i] += diff;
    if (bag->counts[i] == 0) {
        kp_free(bag->rows[i]);
        bag->rows[i] = bag->rows[--bag->count];
        bag->counts[i] = bag->counts[bag->count];
    }
}

static bool bag_has(const struct bag *bag, const char *row)
{
    size_t i = 0;
    while (i < bag->count && (strcmp(bag->rows[i], row) != 0 || bag->counts[i] != 1))
        i++;
    return i < bag->count;
}

/* The rows of agg, which has a maximum, too, or of recent. */
static bool bag_is_groups(const struct bag *bag, const struct group *groups, bool has_max)
{
    size_t rows = 0;
    for (int k = 1; k < KEYS + 3; k++) {
        char row[LINE_BYTES], max[32] = "";
        if (!groups[k].n)
            continue;
        if (has_max)
            snprintf(max, sizeof max, ",\"m\":%lld", (long long)groups[k].m);
        snprintf(row, sizeof row, "{\"k\":%d,\"n\":%lld,\"s\":\"%lld\"%s}", k, (long long)groups[k].n,
                 (long long)groups[k].s, max);
        rows++;
        if (!bag_has(bag, row))
            return false;
    }
    return rows == bag->count;
}

static bool bag_is_joined(const struct bag *bag, const struct group *groups)
{
    size_t rows = 0;
    for (int i = 0; i < NAMES; i++) {
        char row[LINE_BYTES];
        if (!groups[i].n)
            continue;
        snprintf(row, sizeof row, "{\"name\":\"%c\",\"n\":%lld,\"s\":\"%lld\"}", 'a' + i, (long long)groups[i].n,
                 (long long)groups[i].s);
        rows++;
        if (!bag_has(bag, row))
            return false;
    }
    return rows == bag->count;
}

/* What agg is under each definition, at a position that goes on. */
struct tally {
    size_t next; /* event */
    struct group groups[DEFINITIONS][KEYS + 3];
};

static void tally_to(struct tally *tally, const struct history *history, int64_t position)
{
    for (; tally->next < history->event_count && history->events[tally->next].position < position; tally->next++)
        for (int definition = 0; definition < DEFINITIONS; definition++)
            group_add(&tally->groups[definition][history->events[tally->next].k], &history->events[tally->next],
                      definition);
}

static void check_out_at(struct world *world, int sink, const struct bag *bag, struct tally *tally, int64_t at,
                         unsigned definitions)
{
    bool fits = false;
    tally_to(tally, &world->history, at);
    if (sinks[sink].view == OF_RECENT) {
        struct group groups[KEYS + 3];
        recent_at(&world->history, at, groups);
        fits = bag_is_groups(bag, groups, false);
    } else if (sinks[sink].view == OF_AGG) {
        for (int definition = 0; definition < DEFINITIONS && !fits; definition++)
            fits = definitions & 1u << definition && bag_is_groups(bag, tally->groups[definition], true);
    } else {
        struct item items[KEYS + 1];
        struct group groups[NAMES];
        items_at(world, at, items);
        joined_of(tally->groups[0], items, groups);
        fits = bag_is_joined(bag, groups);
    }
    CHECK(world, fits, "%s: the changes up to %lld do not add up to its view: %zu rows, the first %s",
          sinks[sink].topic, (long long)at, bag->count, bag->count ? bag->rows[0] : "");
}

static void check_out(struct world *world, int sink)
{
    struct bag bag = {0};
    struct tally tally = {0};
    const struct outs *outs = &world->history.outs[sink];
    for (size_t i = 0; i < outs->count && !world->failure[0]; i++) {
        const struct out_change *change = &outs->list[i];
        bool last = i + 1 == outs->count;
        CHECK(world, i == 0 || change->at >= outs->list[i - 1].at, "%s goes back to %lld", sinks[sink].topic,
              (long long)change->at);
        bag_add(&bag, change->row, change->diff);
        if (last || outs->list[i + 1].at != change->at)
            check_out_at(world, sink, &bag, &tally, change->at, (1u << DEFINITIONS) - 1);
    }
    if (!world->failure[0])
        check_out_at(world, sink, &bag, &tally, world->history.position, world->active);
    for (size_t i = 0; i < bag.count; i++)
        kp_free(bag.rows[i]);
    kp_free(bag.rows);
    kp_free(bag.counts);
}

/* ---- all of it ---- */

/* What sinks have to add is in the log: what a full disk refused is tried again in time. */
static void settle_sinks(struct world *world)
{
    kp_sim_tasks_settle();
    for (int i = 0; i < PATIENCE && kp_sinks_pending(world->db); i++) {
        kp_sim_tasks_sleep(SINK_RETRY_US);
        kp_sim_tasks_settle();
    }
}

void world_check(struct world *world)
{
    struct history history = {0};
    settle_sinks(world);
    for (int i = 0; i < PRODUCERS; i++)
        for (uint32_t s = 0; s < world->producers[i].count; s++)
            world->producers[i].sent[s].found = world->producers[i].sent[s].trimmed = false;
    read_log(world, &history);
    if (!world->failure[0])
        add_trimmed(world, &history);
    check_gaps(world, &history);
    check_trims(world, &history);
    check_batches(world, &history);
    world_history_finish(&world->history);
    world->history = history;
    for (int i = 0; i < PRODUCERS; i++)
        check_producer(world, &world->producers[i]);
    check_items(world);
    check_answers(world);
    if (!world->failure[0])
        check_now(world);
    check_sides(world);
    for (int sink = 0; sink < SINKS; sink++)
        if (has_sink(world, sink))
            check_out(world, sink);
}
