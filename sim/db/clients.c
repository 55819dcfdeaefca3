/* The clients of a simulated instance: each a task with a share of the operations. */
#include <stdlib.h>
#include <string.h>

#include "log/record_batch.h"
#include "sim/db/world.h"
#include "vec/io.h"

enum { IN_FLIGHT_MAX = 4, GROUP_ENTRIES_MAX = 2, BATCH_RECORDS_MAX = 3 };

static uint64_t below(struct world *world, uint64_t limit)
{
    return kp_sim_below(world->sim, limit);
}

/* Takes one operation of those left. */
static bool go_on(struct world *world)
{
    struct kp_error ignored;
    if (world->stop || world->failure[0] || !world->operations_left || kp_db_health(world->db, &ignored) != KP_OK)
        return false;
    world->operations_left--;
    return true;
}

/* ---- statements ---- */

static enum kp_code take_rows(struct kp_session *session, struct kp_cursor *cursor, struct kp_buf *text,
                              struct kp_error *err)
{
    bool done = false;
    while (!done) {
        struct kp_batch *batch;
        KP_TRY(kp_cursor_next(cursor, 0, -1, &batch, &done, err));
        for (uint32_t row = 0; text && batch && row < batch->rows; row++) {
            for (uint32_t c = 0; c < batch->cols; c++) {
                if (c)
                    kp_buf_append_byte(text, '|');
                if (!kp_vec_is_null(&batch->vecs[c], row))
                    kp_value_print(batch->vecs[c].type, kp_vec_at(&batch->vecs[c], row), kp_session_zone(session),
                                   text);
            }
            kp_buf_append_byte(text, '\n');
        }
    }
    return KP_OK;
}

static enum kp_code run(struct kp_session *session, const char *sql, struct kp_buf *text, int64_t *ret_position,
                        struct kp_error *err)
{
    struct kp_prepared *prepared;
    struct kp_cursor *cursor;
    KP_TRY(kp_prepare(session, kp_str(sql), NULL, 0, &prepared, err));
    enum kp_code code = kp_execute(session, prepared, NULL, 0, &cursor, err);
    if (code == KP_OK) {
        code = take_rows(session, cursor, text, err);
        if (ret_position)
            *ret_position = kp_cursor_position(cursor);
        kp_cursor_close(cursor);
    }
    kp_prepared_destroy(prepared);
    return code;
}

enum kp_code world_query(struct world *world, const char *sql, struct kp_buf *ret_text, int64_t *ret_position,
                         struct kp_error *err)
{
    struct kp_session *session;
    KP_TRY(kp_session_open(world->db, NULL, &session, err));
    if (*sql != 'S')
        world_tell(world, "begins: %s", sql);
    enum kp_code code = run(session, sql, ret_text, ret_position, err);
    if (*sql != 'S')
        world_tell(world, "%s: %s", code == KP_OK ? "done" : "failed", sql);
    kp_session_close(session);
    return code;
}

/* ---- producers ---- */

struct flight {
    struct producer *producer;
    uint32_t first, count; /* of producer->sent */
};

static void on_done(void *arg, int64_t position_end, const struct kp_error *err)
{
    struct flight *flight = arg;
    struct producer *producer = flight->producer;
    struct world *world = producer->world;
    kp_mutex_lock(&producer->mutex);
    bool refused = err && err->code == KP_FULL && err->retriable;
    for (uint32_t i = 0; i < flight->count; i++) {
        struct sent *sent = &producer->sent[flight->first + i];
        if (!err || refused)
            sent->state = err ? SENT_REFUSED : SENT_ACKED;
        CHECK(world, err || sent->position < position_end, "a group is acknowledged at %lld, its record at %lld",
              (long long)position_end, (long long)sent->position);
    }
    if (err)
        world_surprise(world, "append", err);
    world->did.acked += !err;
    world->did.refused += refused;
    producer->in_flight--;
    kp_cond_broadcast(&producer->moved);
    kp_mutex_unlock(&producer->mutex);
    kp_free(flight);
}

static void add_record(struct producer *producer, struct kp_record_batch_builder *builder, bool huge)
{
    struct world *world = producer->world;
    if (producer->count == producer->cap) {
        uint32_t cap = producer->cap ? producer->cap * 2 : 64;
        producer->sent = kp_realloc(producer->sent, cap * sizeof *producer->sent);
        producer->cap = cap;
    }
    struct sent *sent = &producer->sent[producer->count];
    *sent = (struct sent){.group = producer->groups, .episode = world->episode, .offset = -1};
    sent->k = 1 + (int)below(world, KEYS + 2);
    sent->x = (int64_t)below(world, 100);
    char value[128];
    int len = snprintf(value, sizeof value, "{\"k\":%d,\"x\":%lld,\"id\":%lld}", sent->k, (long long)sent->x,
                       (long long)producer->id * 1000000 + (long long)producer->count);
    if (huge || below(world, 20) == 0) { /* now and then blocks of their own, and files */
        struct kp_buf big = {0};
        kp_buf_append(&big, value, (size_t)len - 1);
        kp_buf_printf(&big, ",\"pad\":\"%*s\"}", 1 + (int)below(world, huge ? 600000 : 20000), "");
        kp_record_batch_add(builder, 1700000000000, (struct kp_str){0}, (struct kp_str){(char *)big.data, big.len},
                            (struct kp_str){0});
        kp_buf_finish(&big);
    } else {
        kp_record_batch_add(builder, 1700000000000, (struct kp_str){0}, (struct kp_str){value, (size_t)len},
                            (struct kp_str){0});
    }
    producer->count++;
}

static void send_group(struct producer *producer, uint32_t topic, uint32_t partitions)
{
    struct world *world = producer->world;
    struct kp_log_entry entries[GROUP_ENTRIES_MAX] = {0};
    struct kp_buf batches[GROUP_ENTRIES_MAX] = {0};
    uint32_t counts[GROUP_ENTRIES_MAX];
    bool huge = world->huge && below(world, 60) == 0;
    size_t count = huge ? GROUP_ENTRIES_MAX : 1 + (size_t)below(world, GROUP_ENTRIES_MAX);
    struct flight *flight = kp_alloc(sizeof *flight);
    *flight = (struct flight){.producer = producer, .first = producer->count};
    kp_mutex_lock(&producer->mutex); /* on_done looks at `sent`, which moves */
    for (size_t i = 0; i < count; i++) {
        struct kp_record_batch_builder builder = {0};
        counts[i] = 1 + (uint32_t)below(world, BATCH_RECORDS_MAX);
        for (uint32_t r = 0; r < counts[i]; r++)
            add_record(producer, &builder, huge);
        struct kp_error err;
        enum kp_code code =
            kp_record_batch_build(&builder, huge || below(world, 4) ? KP_CODEC_NONE : KP_CODEC_ZSTD, &batches[i], &err);
        KP_ASSERT(code == KP_OK);
        kp_record_batch_builder_finish(&builder);
        entries[i] = (struct kp_log_entry){.topic = topic,
                                           .partition = (uint32_t)below(world, partitions),
                                           .batch = batches[i].data,
                                           .bytes = batches[i].len,
                                           .trusted = below(world, 2)};
    }
    flight->count = producer->count - flight->first;
    uint32_t first = flight->first;
    producer->groups++;
    producer->in_flight++;
    kp_mutex_unlock(&producer->mutex);

    struct kp_error err;
    enum kp_code code = kp_log_append_async(kp_db_log(world->db), entries, count, on_done, flight, &err);
    kp_mutex_lock(&producer->mutex);
    for (size_t i = 0; i < count; i++)
        for (uint32_t r = 0; r < counts[i]; r++, first++) {
            struct sent *sent = &producer->sent[first];
            sent->position = entries[i].position + r;
            sent->partition = entries[i].partition;
            sent->offset = code == KP_OK ? entries[i].base_offset + r : -1;
            if (code != KP_OK)
                sent->state = SENT_REFUSED; /* not taken: on_done does not come */
        }
    if (code != KP_OK) {
        producer->in_flight--;
        world_surprise(world, "append", &err);
        kp_free(flight);
    }
    kp_mutex_unlock(&producer->mutex);
    for (size_t i = 0; i < count; i++)
        kp_buf_finish(&batches[i]);
    world->did.appends++;
}

static void produce(void *arg)
{
    struct producer *producer = arg;
    struct world *world = producer->world;
    struct kp_topic_info info;
    struct kp_error err;
    enum kp_code code = kp_log_topic_find(kp_db_log(world->db), "ev", &info, &err);
    CHECK(world, code == KP_OK, "topic ev: %s", err.message);
    while (code == KP_OK && go_on(world)) {
        send_group(producer, info.id, info.partitions);
        kp_mutex_lock(&producer->mutex);
        uint32_t allowed = (uint32_t)below(world, IN_FLIGHT_MAX);
        while (producer->in_flight > allowed)
            kp_cond_wait(&producer->moved, &producer->mutex);
        kp_mutex_unlock(&producer->mutex);
    }
    kp_mutex_lock(&producer->mutex);
    while (producer->in_flight)
        kp_cond_wait(&producer->moved, &producer->mutex);
    kp_mutex_unlock(&producer->mutex);
}

/* ---- the writer ---- */

/* One statement of a transaction, and what it does to the model. False: it must fail with 23505. */
static bool draw_dml(struct world *world, struct item *items, char *ret_sql, size_t sql_bytes)
{
    int id = 1 + (int)below(world, KEYS);
    char name = (char)('a' + below(world, 3));
    int n = (int)below(world, 50);
    switch (below(world, 6)) {
    case 0:
    case 1:
    case 2:
        snprintf(ret_sql, sql_bytes, "INSERT INTO item VALUES (%d, '%c', %d)", id, name, n);
        if (items[id].there)
            return false;
        items[id] = (struct item){.there = true, .name = {name}, .n = n};
        return true;
    case 3:
        snprintf(ret_sql, sql_bytes, "UPDATE item SET n = n + %d, name = '%c' WHERE id = %d", n, name, id);
        if (items[id].there) {
            items[id].n += n;
            items[id].name[0] = name;
        }
        return true;
    case 4:
        snprintf(ret_sql, sql_bytes, "UPDATE item SET n = n + 1 WHERE name = '%c'", name);
        for (int i = 1; i <= KEYS; i++)
            items[i].n += items[i].there && items[i].name[0] == name;
        return true;
    default:
        snprintf(ret_sql, sql_bytes, "DELETE FROM item WHERE id = %d", id);
        items[id] = (struct item){0};
        return true;
    }
}

/* The table was altered since the block began. */
static bool is_altered(const struct kp_error *err)
{
    return strcmp(err->sqlstate, "40001") == 0 || strcmp(err->sqlstate, "55000") == 0 ||
           strcmp(err->sqlstate, "42P01") == 0;
}

/* A statement or a block of some. *ret_certain false: it may have happened or not. Returns whether it has, and behind
 * which position. */
static bool transact(struct world *world, struct kp_session *session, struct item *items, bool *ret_certain,
                     int64_t *ret_end)
{
    bool block = below(world, 3) == 0, commit = below(world, 6) != 0;
    int statements = block ? 1 + (int)below(world, 3) : 1;
    struct kp_error err;
    enum kp_code code = block ? run(session, "BEGIN", NULL, NULL, &err) : KP_OK;
    bool clash = false, altered = false;
    for (int i = 0; code == KP_OK && i < statements; i++) {
        char sql[128];
        clash = !draw_dml(world, items, sql, sizeof sql);
        code = run(session, sql, NULL, ret_end, &err);
        if (clash && code != KP_OK && strcmp(err.sqlstate, "23505") == 0)
            break;
        CHECK(world, !(clash && code == KP_OK), "\"%s\" succeeds", sql);
        altered = code != KP_OK && block && is_altered(&err);
        if (code != KP_OK && !altered)
            world_surprise(world, sql, &err);
    }
    *ret_certain = true;
    if (block && (code != KP_OK || !commit)) {
        struct kp_error ignored;
        (void)!run(session, "ROLLBACK", NULL, NULL, &ignored);
        return false;
    }
    if (block) {
        code = run(session, "COMMIT", NULL, ret_end, &err);
        altered = code != KP_OK && is_altered(&err);
        if (code != KP_OK && !altered)
            world_surprise(world, "COMMIT", &err);
    }
    if (code == KP_OK)
        return true;
    *ret_certain = clash || altered || (code == KP_FULL && err.retriable);
    return false;
}

void world_note_items(struct world *world, int64_t end)
{
    if (!world->compacts)
        return;
    if (world->version_count == world->version_cap) {
        world->version_cap = world->version_cap ? 2 * world->version_cap : 64;
        world->versions = kp_realloc(world->versions, world->version_cap * sizeof *world->versions);
    }
    struct item_version *version = &world->versions[world->version_count++];
    version->end = end;
    memcpy(version->items, world->items[0], sizeof version->items);
}

static void write_items(void *arg)
{
    struct world *world = arg;
    struct kp_session *session;
    struct kp_error err;
    if (kp_session_open(world->db, NULL, &session, &err) != KP_OK) {
        world_surprise(world, "session", &err);
        return;
    }
    while (world->item_states == 1 && go_on(world)) {
        bool certain;
        int64_t end = -1;
        memcpy(world->items[1], world->items[0], sizeof world->items[0]);
        bool happened = transact(world, session, world->items[1], &certain, &end);
        bool changed = !world_items_equal(world->items[0], world->items[1]);
        if (happened)
            memcpy(world->items[0], world->items[1], sizeof world->items[0]);
        CHECK(world, !happened || !changed || end > 0, "a transaction does not say where it is");
        if (happened && changed)
            world_note_items(world, end);
        else if (!happened && !certain)
            world->item_states = 2; /* no more until the log says which */
        world->did.transactions++;
    }
    kp_session_close(session);
}

/* ---- the reader ---- */

void world_read(struct world *world)
{
    static const char sql[] = "SELECT 'agg' AS v, k::text AS a, n::text AS b, s::text AS c, m::text AS d FROM agg "
                              "UNION ALL SELECT 'dist', n::text, c::text, '', '' FROM dist "
                              "UNION ALL SELECT 'joined', name, n::text, s::text, '' FROM joined "
                              "UNION ALL SELECT 'top', k::text, x::text, id::text, '' FROM top "
                              "UNION ALL SELECT 'item', id::text, name, n::text, '' FROM item";
    static const char and_recent[] = " UNION ALL SELECT 'recent', k::text, n::text, s::text, '' FROM recent";
    char whole[sizeof sql + sizeof and_recent];
    snprintf(whole, sizeof whole, "%s%s", sql, world->trims ? and_recent : "");
    struct answer answer = {.definitions = world->active};
    struct kp_buf text = {0};
    struct kp_error err;
    if (world_query(world, whole, &text, &answer.position, &err) != KP_OK) {
        world_surprise(world, "read", &err);
        kp_buf_finish(&text);
        return;
    }
    answer.definitions |= world->active; /* a promotion may have begun meanwhile */
    answer.text = world_sorted_lines(&text);
    if (world->answer_count == world->answer_cap) {
        size_t cap = world->answer_cap ? world->answer_cap * 2 : 16;
        world->answers = kp_realloc(world->answers, cap * sizeof *world->answers); /* it may be the one that fails */
        world->answer_cap = cap;
    }
    world->answers[world->answer_count++] = answer;
    world_tell(world, "read at %lld", (long long)answer.position);
    world->did.reads++;
}

static void read_views(void *arg)
{
    struct world *world = arg;
    while (go_on(world)) {
        world_read(world);
        kp_sim_tasks_sleep((int64_t)below(world, 2000)); /* it is dear */
    }
}

/* ---- the consumer ---- */

/* Every record of a batch that was fetched is where it was sent to. */
static void check_fetched(struct world *world, uint32_t partition, const uint8_t *batch, size_t bytes,
                          int64_t base_offset)
{
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    struct kp_record record;
    struct kp_error err;
    enum kp_code code = kp_record_reader_init(&reader, batch, bytes, &arena, &err);
    for (int64_t offset = base_offset; code == KP_OK && kp_record_reader_next(&reader, &record, &err); offset++) {
        int k;
        long long x, id = 0;
        const char *value = kp_arena_strndup(&arena, record.value.ptr, record.value.len);
        bool good = sscanf(value, "{\"k\":%d,\"x\":%lld,\"id\":%lld", &k, &x, &id) == 3;
        size_t i = (size_t)(id / 1000000) - 1, index = (size_t)(id % 1000000);
        CHECK(world, good && i < PRODUCERS && index < world->producers[i].count, "fetched what was never sent: %.80s",
              value);
        if (world->failure[0])
            break;
        const struct sent *sent = &world->producers[i].sent[index];
        CHECK(world, sent->offset < 0 || (sent->offset == offset && sent->partition == partition),
              "record %lld is fetched at offset %lld of partition %u instead of %lld of %u", id, (long long)offset,
              partition, (long long)sent->offset, sent->partition);
    }
    CHECK(world, code == KP_OK, "a batch that was fetched: %s", err.message);
    kp_arena_finish(&arena);
}

static void fetch(struct world *world, uint32_t topic)
{
    uint32_t partition = (uint32_t)below(world, EV_PARTITIONS);
    struct kp_partition_info info;
    struct kp_buf out = {0};
    struct kp_error err;
    enum kp_code code = kp_log_partition(kp_db_log(world->db), topic, partition, &info, &err);
    if (code == KP_OK && info.end_offset > info.start_offset) {
        int64_t offset = info.start_offset + (int64_t)below(world, (uint64_t)(info.end_offset - info.start_offset));
        code =
            kp_log_fetch(kp_db_log(world->db), topic, partition, offset, 1 + (size_t)below(world, 30000), &out, &err);
    }
    if (code != KP_OK && !(code == KP_LIMIT && world->trims)) /* it may have been trimmed meanwhile */
        world_surprise(world, "fetch", &err);
    for (size_t at = 0; at < out.len && !world->failure[0];) {
        struct kp_record_batch_info batch = {0};
        code = kp_record_batch_check(out.data + at, out.len - at, false, &batch, &err);
        CHECK(world, code == KP_OK, "fetched: %s", err.message);
        if (code == KP_OK)
            check_fetched(world, partition, out.data + at, batch.bytes, batch.base_offset);
        at += batch.bytes;
    }
    kp_buf_finish(&out);
    world->did.reads++;
}

static void consume(void *arg)
{
    struct world *world = arg;
    struct kp_topic_info info;
    struct kp_error err;
    enum kp_code code = kp_log_topic_find(kp_db_log(world->db), "ev", &info, &err);
    CHECK(world, code == KP_OK, "topic ev: %s", err.message);
    while (code == KP_OK && go_on(world)) {
        fetch(world, info.id);
        kp_sim_tasks_sleep((int64_t)below(world, 500));
    }
}

/* ---- the owner ---- */

int64_t world_threshold(int definition)
{
    return definition * 15;
}

static void make_side(struct world *world, int i)
{
    char sql[160];
    bool drop = world->side[i] == SIDE_THERE;
    enum side_state before = world->side[i];
    struct kp_error err;
    snprintf(sql, sizeof sql,
             drop ? "DROP MATERIALIZED VIEW side%d"
                  : "CREATE MATERIALIZED VIEW side%d AS SELECT count(*) AS n, sum(x) AS s FROM ev WHERE k = %d",
             i, i + 1);
    if (before == SIDE_MAYBE)
        return;
    world->side[i] = SIDE_MAYBE;
    if (!drop)
        memcpy(world->floors[i], world->trim_acked, sizeof world->floors[i]);
    enum kp_code code = world_query(world, sql, NULL, NULL, &err);
    if (code == KP_OK)
        world->side[i] = drop ? SIDE_NONE : SIDE_THERE;
    else
        world_surprise(world, sql, &err);
    if (code == KP_FULL && err.retriable)
        world->side[i] = before;
}

static void alter(struct world *world)
{
    int definition = (int)below(world, DEFINITIONS);
    char sql[200];
    snprintf(sql, sizeof sql,
             "ALTER MATERIALIZED VIEW agg AS SELECT k, count(*) AS n, sum(x) AS s, max(x) AS m FROM ev "
             "WHERE x >= %lld GROUP BY k",
             (long long)world_threshold(definition));
    struct kp_error err;
    world->other |= 1u << definition | NO_DEFINITION; /* until it is known */
    enum kp_code code = world_query(world, sql, NULL, NULL, &err);
    if (code == KP_OK)
        world->other = 1u << definition;
    else
        world_surprise(world, "ALTER", &err);
}

/* A column of the table comes or goes; nobody writes it, so all rows have what it came with. */
static void alter_item(struct world *world)
{
    int column = (int)below(world, 3);
    char sql[120];
    struct kp_error err;
    struct kp_buf text = {0};
    if (below(world, 3) == 0)
        snprintf(sql, sizeof sql, "ALTER TABLE item DROP COLUMN IF EXISTS c%d", column);
    else
        snprintf(sql, sizeof sql, "ALTER TABLE item ADD COLUMN IF NOT EXISTS c%d int NOT NULL DEFAULT %d", column,
                 column * 7);
    enum kp_code code = world_query(world, sql, NULL, NULL, &err);
    if (code != KP_OK)
        world_surprise(world, sql, &err);
    if (code != KP_OK || strstr(sql, "DROP"))
        return;
    snprintf(sql, sizeof sql, "SELECT id, c%d FROM item WHERE c%d IS DISTINCT FROM %d", column, column, column * 7);
    code = world_query(world, sql, &text, NULL, &err);
    if (code != KP_OK)
        world_surprise(world, sql, &err);
    CHECK(world, code != KP_OK || text.len == 0, "a column of a table came with other values: %.*s", (int)text.len,
          (char *)text.data);
    kp_buf_finish(&text);
}

static void promote(struct world *world)
{
    unsigned active = world->active, other = world->other;
    bool back = below(world, 3) == 0;
    struct kp_error err;
    world->active |= other & ~(unsigned)NO_DEFINITION; /* for who reads meanwhile */
    world->other |= active | NO_DEFINITION;
    enum kp_code code = world_query(
        world, back ? "ALTER MATERIALIZED VIEW agg ROLLBACK" : "ALTER MATERIALIZED VIEW agg PROMOTE", NULL, NULL, &err);
    if (code == KP_OK) {
        CHECK(world, other & ~(unsigned)NO_DEFINITION, "promoted, but there was nothing to promote");
        world->active = other & ~(unsigned)NO_DEFINITION;
        world->other = active;
    } else if (strcmp(err.sqlstate, "55000") == 0) { /* there is no newer, or no older one */
        world->active = active;
        world->other = other;
    } else {
        world_surprise(world, "PROMOTE", &err);
    }
}

/* Where faults are expected the power goes during what follows, now and then. */
static void cut_soon(struct world *world)
{
    if (world->faults && below(world, 4) == 0)
        kp_sim_plan_cut(world->sim, 1 + below(world, 40), KP_SIM_CUT_RANDOM);
}

/* Deletes records of a partition before an offset. When it is not known whether they are gone, it is after a restart.
 */
static void trim(struct world *world)
{
    uint32_t partition = (uint32_t)below(world, EV_PARTITIONS);
    struct kp_log *log = kp_db_log(world->db);
    struct kp_topic_info topic;
    struct kp_partition_info info;
    struct kp_error err;
    char sql[100];
    if (kp_log_topic_find(log, "ev", &topic, &err) != KP_OK ||
        kp_log_partition(log, topic.id, partition, &info, &err) != KP_OK || info.end_offset == info.start_offset)
        return;
    int64_t before = info.start_offset + 1 + (int64_t)below(world, (uint64_t)(info.end_offset - info.start_offset));
    before = below(world, 3) ? before : info.end_offset;
    cut_soon(world);
    snprintf(sql, sizeof sql, "ALTER TOPIC ev DELETE BEFORE OFFSET %lld PARTITION %u", (long long)before, partition);
    world->trim_tried[partition] = before;
    enum kp_code code = world_query(world, sql, NULL, NULL, &err);
    if (code == KP_OK) {
        world->trim_acked[partition] = before;
    } else if (strcmp(err.sqlstate, "55006") == 0) { /* a view is being built that needs them */
        world->trim_tried[partition] = world->trim_acked[partition];
    } else {
        world->trim_unsure = true;
        world_surprise(world, sql, &err);
    }
}

static void compact(void *arg)
{
    static const char sql[] = "ALTER TOPIC item COMPACT";
    struct world *world = arg;
    struct kp_error err;
    enum kp_code code = world_query(world, sql, NULL, NULL, &err);
    CHECK(world, code != KP_BUSY || world->faults || strstr(err.message, "cannot be compacted"), "%s: %s", sql,
          err.message);
    if (code != KP_OK && code != KP_BUSY) /* something that is being built holds it back */
        world_surprise(world, sql, &err);
}

/* Now and then somebody else wants the same. */
static void compact_twice(struct world *world)
{
    struct kp_thread other;
    bool twice = below(world, 3) == 0;
    cut_soon(world);
    if (twice)
        kp_thread_start(&other, "owner", 2 << 20, compact, world);
    compact(world);
    if (twice)
        kp_thread_join(&other);
}

static void own(void *arg)
{
    struct world *world = arg;
    while (world->trims && !world->trim_unsure && go_on(world)) {
        if (world->compacts && below(world, 4) == 0)
            compact_twice(world);
        else if (below(world, 5) < 2)
            make_side(world, (int)below(world, SIDE_VIEWS));
        else
            trim(world);
        world->did.ddl++;
        kp_sim_tasks_sleep((int64_t)below(world, 3000));
    }
    while (!world->trims && go_on(world)) {
        switch (world->compacts && below(world, 2) ? 5 : below(world, 4) == 0 ? 6 : below(world, 5)) {
        case 5:
            compact_twice(world);
            break;
        case 0:
        case 1:
            make_side(world, (int)below(world, SIDE_VIEWS));
            break;
        case 2:
            alter(world);
            break;
        case 6:
            alter_item(world);
            break;
        default:
            promote(world);
        }
        world->did.ddl++;
        kp_sim_tasks_sleep((int64_t)below(world, 8000)); /* it is dear */
    }
}

/* ---- all ---- */

void world_clients_run(struct world *world)
{
    struct kp_thread threads[PRODUCERS + 4];
    size_t count = 0;
    for (int i = 0; i < PRODUCERS; i++)
        kp_thread_start(&threads[count++], "producer", 2 << 20, produce, &world->producers[i]);
    kp_thread_start(&threads[count++], "writer", 2 << 20, write_items, world);
    kp_thread_start(&threads[count++], "reader", 2 << 20, read_views, world);
    if (below(world, 2))
        kp_thread_start(&threads[count++], "consumer", 2 << 20, consume, world);
    if (below(world, 3) == 0 || world->trims || world->compacts)
        kp_thread_start(&threads[count++], "owner", 2 << 20, own, world);
    for (size_t i = 0; i < count; i++)
        kp_thread_join(&threads[i]);
}
