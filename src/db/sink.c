/*
 * Sinks: a view's changes written into a topic, exactly once.
 *
 * A sink follows its view's store by a subscription. After each publish the engine thread writes what came, of all
 * sinks, as one atomic group, together with one record for each sink in the internal topic __kappa_sinks:
 *
 *   key    the sink's number        value    "<position> <version>": how far its view has been written, of which
 * version
 *
 * so after a crash the replay stops at that position, takes up the subscription there, and nothing is written twice. If
 * the view's other version was promoted since, the difference between the two is written when the replay has ended.
 * What is much is written as several groups, each up to a position with its mark. One position's records (a snapshot
 * of the view, at first) are one group: a sink of which they are more than POSITION_BYTES stops, with an error.
 * Formats, all JSON:
 *
 *   changes   {"diff":1,"position":"42","row":{…}}; key null, or the JSON object of the columns
 *             of partition_by, which decides the partition
 *   upsert    key: the JSON object of the key columns; value: the row, or null when it went
 *   debezium  {"before":…,"after":…,"op":"c|u|d","ts_ms":…}; key as upsert
 */
#include "db/difference.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "db/compaction.h"
#include "db/ddl.h"
#include "log/plant.h"
#include "log/reserve.h"
#include "sql/sql.h"
#include "view/identity.h"

enum envelope { ENVELOPE_CHANGES, ENVELOPE_UPSERT, ENVELOPE_DEBEZIUM };
enum {
    BATCH_BYTES_MAX = 512 << 10,
    RESERVE_BYTES_MAX = KP_RESERVE_FILE_BYTES / 2,
    GROUP_BYTES = 64 << 20,  /* positions are written as one group up to so much */
    LITTLE_BYTES = 4 << 20,  /* a position with less rows does not pass the bound */
    POSITION_BYTES = 1 << 30 /* one position's, which are one group */
};
static_assert(POSITION_BYTES + ((size_t)GROUP_BYTES << 1) <= KP_LOG_GROUP_BYTES_LARGE, "the log takes them");

static enum envelope envelope_of(const struct kp_relation *relation)
{
    const char *text = kp_relation_option(relation, "format");
    if (text && strcmp(text, "upsert") == 0)
        return ENVELOPE_UPSERT;
    if (text && strcmp(text, "debezium") == 0)
        return ENVELOPE_DEBEZIUM;
    return ENVELOPE_CHANGES;
}

/* A source's records are a topic already. */
static bool has_changes(const struct kp_relation *relation)
{
    return relation->kind == KP_RELATION_TABLE || relation->kind == KP_RELATION_VIEW;
}

enum kp_code kp_sink_check(const struct kp_relation *relation, struct kp_error *err)
{
    if (!has_changes(relation->sink_from)) {
        (void)kp_fail(err, KP_INVALID, "42809", "a sink cannot read from the %s \"%s\"",
                      kp_relation_kind_name(relation->sink_from->kind), relation->sink_from->name);
        return kp_error_hint(err, "Create a materialized view and a sink FROM it.");
    }
    if (envelope_of(relation) == ENVELOPE_UPSERT && kp_relation_key_count(relation->sink_from) == 0) {
        (void)kp_fail(err, KP_INVALID, "42P10", "\"%s\" has no unique key, which format upsert needs",
                      relation->sink_from->name);
        return kp_error_hint(err,
                             "Use format = 'changes', or a view with GROUP BY whose grouping columns are selected.");
    }
    return KP_OK;
}

/* ---- writing ---- */

/* One append being put together: record batches by (topic, partition). */
struct writer {
    struct kp_db *db;
    struct slot {
        uint32_t topic, partition;
        struct kp_record_batch_builder builder;
    } * slots;
    size_t slot_count;
    struct kp_log_entry *entries;
    struct kp_buf *bytes; /* of the entries */
    size_t entry_count;
    uint64_t total_bytes; /* of records since the last cut */
    int64_t now_ms;
};

static enum kp_code flush(struct writer *writer, struct slot *slot, struct kp_error *err)
{
    if (slot->builder.count == 0)
        return KP_OK;
    size_t n = writer->entry_count;
    writer->entries = kp_realloc(writer->entries, (n + 1) * sizeof *writer->entries);
    writer->bytes = kp_realloc(writer->bytes, (n + 1) * sizeof *writer->bytes);
    writer->bytes[n] = (struct kp_buf){0};
    writer->entry_count++;
    KP_TRY(kp_record_batch_build(&slot->builder, KP_CODEC_NONE, &writer->bytes[n], err));
    writer->entries[n] = (struct kp_log_entry){.topic = slot->topic,
                                               .partition = slot->partition,
                                               .batch = writer->bytes[n].data,
                                               .bytes = writer->bytes[n].len,
                                               .trusted = true};
    return KP_OK;
}

static enum kp_code put(struct writer *writer, uint32_t topic, uint32_t partition, struct kp_str key,
                        struct kp_str value, struct kp_error *err)
{
    struct slot *slot = NULL;
    for (size_t i = 0; i < writer->slot_count && !slot; i++)
        if (writer->slots[i].topic == topic && writer->slots[i].partition == partition)
            slot = &writer->slots[i];
    if (!slot) {
        writer->slots = kp_realloc(writer->slots, (writer->slot_count + 1) * sizeof *writer->slots);
        slot = &writer->slots[writer->slot_count++];
        *slot = (struct slot){.topic = topic, .partition = partition};
    }
    kp_record_batch_add(&slot->builder, writer->now_ms, key, value, (struct kp_str){NULL, 0});
    writer->total_bytes += key.len + value.len;
    return kp_record_batch_builder_bytes(&slot->builder) > BATCH_BYTES_MAX ? flush(writer, slot, err) : KP_OK;
}

/*
 * A group on its way into the log. A full disk refuses it, and then it is tried again: so only the first of the queue
 * is ever under way, or one behind it could get in before it, and nothing is taken from the subscriptions meanwhile.
 */
struct kp_sink_write {
    struct kp_db *db;
    struct kp_log_entry *entries;
    struct kp_buf *bytes;
    size_t count;
    bool under_way, written; /* db->mutex */
    struct kp_sink_write *next;
};

static void write_free(struct kp_sink_write *write)
{
    for (size_t i = 0; i < write->count; i++)
        kp_buf_finish(&write->bytes[i]);
    kp_free(write->entries);
    kp_free(write->bytes);
    kp_free(write);
}

static void on_written(void *arg, int64_t position_end, const struct kp_error *err)
{
    struct kp_sink_write *write = arg;
    struct kp_db *db = write->db;
    if (err && !(err->code == KP_FULL && err->retriable))
        kp_db_poison(db, err);
    kp_mutex_lock(&db->mutex);
    write->under_way = false;
    write->written = !err;
    kp_cond_broadcast(&db->idle);
    db->commit_seen |= write->written;
    kp_cond_signal(&db->engine_wake);
    kp_mutex_unlock(&db->mutex);
}

/* Nothing is under way: what was taken from the subscriptions is in the log. Engine thread. */
static void settle(struct kp_db *db)
{
    for (struct kp_sink *sink = db->sinks; sink; sink = sink->next_sink)
        atomic_store(&sink->through, sink->taken);
}

/* Takes what is written from the queue, and sends its first. Engine thread. */
static enum kp_code pump(struct kp_db *db, struct kp_error *err)
{
    for (;;) {
        kp_mutex_lock(&db->mutex);
        struct kp_sink_write *write = db->sink_writes;
        bool written = write && write->written, send = write && !write->under_way && !written;
        if (written)
            db->sink_writes = write->next;
        if (send)
            write->under_way = true;
        kp_mutex_unlock(&db->mutex);
        if (written) {
            write_free(write);
            continue;
        }
        if (!write)
            settle(db);
        if (!send)
            return KP_OK;
        enum kp_code code = kp_log_append_async(db->log, write->entries, write->count, on_written, write, err);
        if (code != KP_OK) { /* on_written is not called */
            kp_mutex_lock(&db->mutex);
            write->under_way = false;
            kp_mutex_unlock(&db->mutex);
        }
        return code == KP_FULL ? KP_OK : code; /* refused at once: as if later */
    }
}

enum kp_code kp_sinks_wait(struct kp_db *db, struct kp_error *err)
{
    enum kp_code code = pump(db, err);
    kp_mutex_lock(&db->mutex);
    while (code == KP_OK && db->sink_writes && db->sink_writes->under_way)
        kp_cond_wait(&db->idle, &db->mutex);
    kp_mutex_unlock(&db->mutex);
    KP_TRY(code);
    return kp_db_health(db, err);
}

/* The same until nothing is left. KP_FULL: a full disk refuses it. */
static enum kp_code wait_all(struct kp_db *db, struct kp_error *err)
{
    for (;;) {
        KP_TRY(kp_sinks_wait(db, err));
        kp_mutex_lock(&db->mutex);
        bool left = db->sink_writes, refused = left && !db->sink_writes->written;
        kp_mutex_unlock(&db->mutex);
        if (!left)
            return KP_OK;
        if (refused)
            return kp_fail(err, KP_FULL, NULL, "the disk is full, and sinks have not written all");
    }
}

static enum kp_code still_full(struct kp_error *err)
{
    (void)kp_fail(err, KP_BUSY, NULL, "the disk is full, and sinks have not written all");
    return kp_error_hint(err,
                         "Make room on the disk, or drop what they write into, or the sinks: kappa.sinks has them.");
}

enum kp_code kp_sinks_written(struct kp_db *db, struct kp_error *err)
{
    enum kp_code code = wait_all(db, err);
    return code == KP_FULL ? still_full(err) : code;
}

/* What is little may have the reserve. */
static void allow_reserve(struct kp_db *db)
{
    kp_mutex_lock(&db->mutex);
    for (struct kp_sink_write *write = db->sink_writes; write; write = write->next) {
        size_t bytes = 0;
        for (size_t i = 0; i < write->count; i++)
            bytes += write->entries[i].bytes;
        if (!write->under_way)
            write->entries[0].frees_room = bytes <= RESERVE_BYTES_MAX;
    }
    kp_mutex_unlock(&db->mutex);
}

/* Records wait for it that are to go: on a full disk it is what frees room. */
static enum kp_code wait_written(struct kp_db *db, struct kp_error *err)
{
    struct kp_room room = {.log = db->log};
    enum kp_code code;
    do {
        allow_reserve(db);
        code = wait_all(db, err);
    } while (kp_room_make(&room, code));
    return code == KP_FULL ? still_full(err) : code;
}

bool kp_sinks_pending(struct kp_db *db)
{
    kp_mutex_lock(&db->mutex);
    bool pending = db->sink_writes;
    kp_mutex_unlock(&db->mutex);
    return pending;
}

void kp_sinks_finish(struct kp_db *db)
{
    while (db->sink_writes) {
        struct kp_sink_write *write = db->sink_writes;
        db->sink_writes = write->next;
        write_free(write);
    }
}

static void enqueue(struct writer *writer)
{
    struct kp_sink_write *write = kp_calloc(1, sizeof *write), **end = &writer->db->sink_writes;
    writer->entries[0].large = true;
    *write = (struct kp_sink_write){
        .db = writer->db, .entries = writer->entries, .bytes = writer->bytes, .count = writer->entry_count};
    writer->entries = NULL;
    writer->bytes = NULL;
    writer->entry_count = 0;
    kp_mutex_lock(&writer->db->mutex);
    while (*end)
        end = &(*end)->next;
    *end = write;
    kp_mutex_unlock(&writer->db->mutex);
}

/* What was put so far is a group. */
static enum kp_code cut(struct writer *writer, struct kp_error *err)
{
    for (size_t i = 0; i < writer->slot_count; i++)
        KP_TRY(flush(writer, &writer->slots[i], err));
    if (writer->entry_count)
        enqueue(writer);
    writer->total_bytes = 0;
    return KP_OK;
}

static uint64_t bytes_max(const struct kp_db *db)
{
    return db->options.sink_bytes_max ? db->options.sink_bytes_max : (uint64_t)POSITION_BYTES;
}

/* What was put since the last cut is not written. */
static void discard(struct writer *writer)
{
    for (size_t i = 0; i < writer->slot_count; i++)
        kp_record_batch_builder_finish(&writer->slots[i].builder);
    for (size_t i = 0; i < writer->entry_count; i++)
        kp_buf_finish(&writer->bytes[i]);
    writer->slot_count = writer->entry_count = 0;
    writer->total_bytes = 0;
}

/* Sends everything and frees the writer. */
static enum kp_code finish(struct writer *writer, bool write, struct kp_error *err)
{
    enum kp_code code = KP_OK;
    for (size_t i = 0; write && code == KP_OK && i < writer->slot_count; i++)
        code = flush(writer, &writer->slots[i], err);
    if (write && code == KP_OK) {
        if (writer->entry_count)
            enqueue(writer);
        code = pump(writer->db, err);
    }
    discard(writer);
    kp_free(writer->slots);
    kp_free(writer->entries);
    kp_free(writer->bytes);
    return code;
}

static enum kp_code put_mark(struct writer *writer, struct kp_sink *sink, int64_t position, struct kp_error *err)
{
    char key[16], value[48];
    int key_len = snprintf(key, sizeof key, "%u", sink->relation->id);
    int value_len = snprintf(value, sizeof value, "%lld %u", (long long)position, sink->from->relation->version);
    atomic_store(&sink->marked, position); /* what is decided from it is appended behind the mark */
    return put(writer, writer->db->sinks_topic, 0, (struct kp_str){key, (size_t)key_len},
               (struct kp_str){value, (size_t)value_len}, err);
}

/* ---- rows to records ---- */

struct encoder {
    struct writer *writer;
    struct kp_sink *sink;
    const char **names;
    uint32_t partitions;
    struct kp_buf key, value;
};

static enum kp_code encoder_init(struct encoder *encoder, struct writer *writer, struct kp_sink *sink,
                                 struct kp_error *err)
{
    struct kp_topic_info info;
    KP_TRY(kp_log_topic_get(writer->db->log, sink->topic, &info, err));
    const struct kp_relation *from = sink->from->relation;
    *encoder = (struct encoder){.writer = writer, .sink = sink, .partitions = info.partitions};
    encoder->names = kp_calloc(from->col_count + 1, sizeof(char *));
    for (uint32_t i = 0; i < from->col_count; i++)
        encoder->names[i] = from->cols[i].name;
    return KP_OK;
}

static void encoder_finish(struct encoder *encoder)
{
    kp_free(encoder->names);
    kp_buf_finish(&encoder->key);
    kp_buf_finish(&encoder->value);
}

/* Whose `keys` are the records': those of partition_by, or the key of the version that is followed. */
static const struct kp_relation *keyed_by(const struct kp_sink *sink)
{
    return envelope_of(sink->relation) == ENVELOPE_CHANGES ? sink->relation : sink->from->relation;
}

static struct kp_str encode_key(struct encoder *encoder, const struct kp_batch *batch, uint32_t row)
{
    const struct kp_relation *from = encoder->sink->from->relation, *by = keyed_by(encoder->sink);
    uint32_t count = kp_relation_key_count(by);
    if (count == 0)
        return (struct kp_str){NULL, 0};
    struct kp_vec vecs[KP_COLUMNS_MAX];
    const char *names[KP_COLUMNS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        vecs[i] = batch->vecs[by->keys[i]];
        names[i] = from->cols[by->keys[i]].name;
    }
    struct kp_batch keys = {.rows = batch->rows, .cols = count, .vecs = vecs};
    encoder->key.len = 0;
    kp_encode_json(&keys, names, row, encoder->sink->from->settings.zone, &encoder->key);
    return (struct kp_str){(const char *)encoder->key.data, encoder->key.len};
}

static enum kp_code put_row(struct encoder *encoder, struct kp_str key, bool null_value, struct kp_error *err)
{
    uint32_t partition =
        key.ptr && encoder->partitions > 1 ? (uint32_t)(kp_hash_bytes(key.ptr, key.len) % encoder->partitions) : 0;
    struct kp_str value = {null_value ? NULL : (const char *)encoder->value.data, null_value ? 0 : encoder->value.len};
    atomic_fetch_add(&encoder->sink->rows, 1);
    return put(encoder->writer, encoder->sink->topic, partition, key, value, err);
}

/* The columns that SELECT * shows: a table's record offset, time … are its own affair. */
static void encode_row(struct encoder *encoder, const struct kp_batch *batch, uint32_t row)
{
    const struct kp_relation *from = encoder->sink->from->relation;
    struct kp_batch shown = *batch;
    shown.cols = KP_MIN(batch->cols, from->col_count - from->hidden_count);
    kp_encode_json(&shown, encoder->names, row, encoder->sink->from->settings.zone, &encoder->value);
}

static enum kp_code put_changes(struct encoder *encoder, const struct kp_batch *batch, int64_t position,
                                struct kp_error *err)
{
    for (uint32_t row = 0; row < batch->rows; row++) {
        encoder->value.len = 0;
        kp_buf_printf(&encoder->value, "{\"diff\":%lld,\"position\":\"%lld\",\"row\":",
                      batch->weights ? (long long)batch->weights[row] : 1, (long long)position);
        encode_row(encoder, batch, row);
        kp_buf_append_byte(&encoder->value, '}');
        KP_TRY(put_row(encoder, encode_key(encoder, batch, row), false, err));
    }
    return KP_OK;
}

/* A row of a batch with its key, for pairing what went with what came. */
struct keyed_row {
    struct kp_str key;
    uint32_t row;
    bool inserted;
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed_row *x = a, *y = b;
    int order = kp_str_compare(x->key, y->key);
    if (order == 0)
        order = (int)x->inserted - (int)y->inserted; /* what went, then what came */
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

/* One key's change: `before` and `after` are rows of the batch, or its count if there is none. */
static enum kp_code put_pair(struct encoder *encoder, const struct kp_batch *batch, struct kp_str key, uint32_t before,
                             uint32_t after, struct kp_error *err)
{
    bool went = before < batch->rows, came = after < batch->rows;
    encoder->value.len = 0;
    if (envelope_of(encoder->sink->relation) == ENVELOPE_UPSERT) {
        if (came)
            encode_row(encoder, batch, after);
        return put_row(encoder, key, !came, err);
    }
    kp_buf_append_text(&encoder->value, "{\"before\":");
    if (went)
        encode_row(encoder, batch, before);
    else
        kp_buf_append_text(&encoder->value, "null");
    kp_buf_append_text(&encoder->value, ",\"after\":");
    if (came)
        encode_row(encoder, batch, after);
    else
        kp_buf_append_text(&encoder->value, "null");
    kp_buf_printf(&encoder->value, ",\"op\":\"%s\",\"ts_ms\":%lld}",
                  !came  ? "d"
                  : went ? "u"
                         : "c",
                  (long long)encoder->writer->now_ms);
    return put_row(encoder, key, false, err);
}

static enum kp_code put_sorted(struct encoder *encoder, const struct kp_batch *batch, const struct keyed_row *rows,
                               struct kp_error *err)
{
    bool keyed = kp_relation_key_count(keyed_by(encoder->sink)) > 0;
    for (uint32_t i = 0; i < batch->rows;) {
        bool paired = keyed && i + 1 < batch->rows && !rows[i].inserted && rows[i + 1].inserted &&
                      kp_str_equal(rows[i].key, rows[i + 1].key);
        uint32_t before = rows[i].inserted ? batch->rows : rows[i].row;
        uint32_t after = paired ? rows[i + 1].row : rows[i].inserted ? rows[i].row : batch->rows;
        int64_t times =
            paired || !batch->weights ? 1 : batch->weights[rows[i].row]; /* without a key rows may be equal */
        for (int64_t n = times < 0 ? -times : times; n > 0; n--)
            KP_TRY(put_pair(encoder, batch, rows[i].key, before, after, err));
        i += paired ? 2 : 1;
    }
    return KP_OK;
}

static enum kp_code put_keyed(struct encoder *encoder, const struct kp_batch *batch, struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct keyed_row *rows = kp_arena_alloc(&arena, (batch->rows + 1) * sizeof *rows);
    for (uint32_t row = 0; row < batch->rows; row++) {
        struct kp_str key = encode_key(encoder, batch, row);
        if (key.ptr)
            key.ptr = kp_arena_strndup(&arena, key.ptr, key.len);
        rows[row] = (struct keyed_row){key, row, !batch->weights || batch->weights[row] > 0};
    }
    qsort(rows, batch->rows, sizeof *rows, compare_keyed);
    enum kp_code code = put_sorted(encoder, batch, rows, err);
    kp_arena_finish(&arena);
    return code;
}

static enum kp_code put_batch(struct encoder *encoder, const struct kp_batch *batch, int64_t position,
                              struct kp_error *err)
{
    if (envelope_of(encoder->sink->relation) == ENVELOPE_CHANGES)
        return put_changes(encoder, batch, position, err);
    return put_keyed(encoder, batch, err);
}

/* The items of one position, gathered: a key's old and new row must meet. */
struct gathered {
    struct kp_arena arena;
    struct kp_batch **batches;
    size_t count, cap;
};

static void gather(struct gathered *gathered, struct kp_batch *batch)
{
    if (gathered->count == gathered->cap) {
        gathered->cap = gathered->cap ? 2 * gathered->cap : 8;
        gathered->batches = kp_realloc(gathered->batches, gathered->cap * sizeof(struct kp_batch *));
    }
    gathered->batches[gathered->count++] = batch;
}

/* Was what came behind the last cut too much? Then nothing of it is written. */
static enum kp_code check_bytes(struct writer *writer, int64_t position, struct kp_error *err)
{
    uint64_t bytes = writer->total_bytes, most = bytes_max(writer->db);
    if (bytes <= most)
        return KP_OK;
    discard(writer);
    kp_fail(err, KP_LIMIT, "54000", "the changes at position %lld have %llu bytes: at most %llu are written at once",
            (long long)position, (unsigned long long)bytes, (unsigned long long)most);
    return kp_error_hint(err, "Make the sink FROM a view with fewer rows or columns, or several for parts of it.");
}

/* One position's rows; written: up to which one the sink's are put, -1: none. */
static enum kp_code put_gathered(struct encoder *encoder, struct gathered *gathered, int64_t position, int64_t written,
                                 struct kp_error *err)
{
    struct kp_batch *all = kp_batch_concat_all(gathered->batches, gathered->count, &gathered->arena);
    struct writer *writer = encoder->writer;
    uint64_t most = bytes_max(writer->db), bytes = writer->total_bytes;
    bool cuts = all && bytes &&
                (bytes > KP_MIN((uint64_t)GROUP_BYTES, most / 2) ||
                 kp_identity_batch_bytes(all) > KP_MIN((uint64_t)LITTLE_BYTES, most / 16));
    enum kp_code code = cuts && written >= 0 ? put_mark(writer, encoder->sink, written, err) : KP_OK;
    if (code == KP_OK && cuts)
        code = cut(writer, err);
    if (code == KP_OK && all)
        code = put_batch(encoder, all, position, err);
    gathered->count = 0;
    kp_arena_reset(&gathered->arena);
    return code == KP_OK ? check_bytes(writer, position, err) : code;
}

/* Takes everything that the sink's subscription has, position by position. *ret_position: the last complete one, -1 if
 * none, on failure too. */
static enum kp_code drain_items(struct encoder *encoder, struct gathered *gathered, int64_t *ret_position,
                                struct kp_error *err)
{
    for (;;) {
        struct kp_subscription_item item;
        bool ready;
        KP_TRY(kp_subscription_next(encoder->sink->subscription, 0, &gathered->arena, &item, &ready, err));
        if (!ready)
            return KP_OK;
        if (item.batch && item.batch->rows)
            gather(gathered, item.batch);
        if (!item.last_of_position)
            continue;
        bool any = gathered->count || item.is_snapshot;
        KP_TRY(put_gathered(encoder, gathered, item.position, *ret_position, err));
        if (any)
            *ret_position = item.position;
    }
}

/* What was complete before an error is written, and the mark says so; with `mark`, also that nothing came. */
static enum kp_code drain(struct writer *writer, struct kp_sink *sink, bool mark, struct kp_error *err)
{
    struct encoder encoder;
    KP_TRY(encoder_init(&encoder, writer, sink, err));
    struct gathered gathered = {0};
    int64_t position = -1;
    enum kp_code code = drain_items(&encoder, &gathered, &position, err);
    if (mark && code == KP_OK && atomic_load(&sink->marked) < kp_view_clock_position(writer->db->clock))
        position = kp_view_clock_position(writer->db->clock);
    kp_arena_finish(&gathered.arena);
    kp_free(gathered.batches);
    encoder_finish(&encoder);
    struct kp_error unlikely;
    if (position >= 0 && put_mark(writer, sink, position, &unlikely) != KP_OK && code == KP_OK) {
        *err = unlikely;
        code = unlikely.code;
    }
    return code;
}

static void set_error(struct kp_db *db, struct kp_sink *sink, const struct kp_error *why)
{
    kp_mutex_lock(&db->mutex);
    snprintf(sink->error, sizeof sink->error, "%s", why ? why->message : "");
    kp_mutex_unlock(&db->mutex);
    if (why && db->options.notice)
        db->options.notice(db->options.arg, 'E', why->message);
}

/* A sink whose view was dropped or that cannot go on; the instance does. */
static void stop_sink(struct kp_db *db, struct kp_sink *sink, struct kp_error *why)
{
    kp_unsubscribe(sink->subscription); /* NULL: it never had one */
    sink->subscription = NULL;
    kp_error_context(why, "sink \"%s\" stopped", sink->relation->name);
    set_error(db, sink, why);
}

/* While an error row stands in its view, a sink waits before that position; when it is gone, it goes on. */
static void emit(struct kp_db *db, struct writer *writer, struct kp_sink *sink, bool mark)
{
    struct kp_error why;
    enum kp_code code = drain(writer, sink, mark, &why);
    if (code == KP_INVALID && !*sink->error) {
        kp_error_context(&why, "sink \"%s\" waits", sink->relation->name);
        set_error(db, sink, &why);
    } else if (code == KP_OK && *sink->error) {
        set_error(db, sink, NULL);
    } else if (code != KP_OK && code != KP_INVALID) {
        stop_sink(db, sink, &why);
    }
    if (code == KP_OK)
        sink->taken = kp_view_clock_position(db->clock);
}

static enum kp_code emit_all(struct kp_db *db, bool mark, struct kp_error *err)
{
    if (!db->sinks)
        return KP_OK;
    KP_TRY(pump(db, err));
    if (db->sink_writes) /* what comes meanwhile waits in the subscriptions */
        return KP_OK;
    struct writer writer = {.db = db, .now_ms = kp_view_clock_time_us(db->clock) / 1000};
    for (struct kp_sink *sink = db->sinks; sink; sink = sink->next_sink)
        if (sink->subscription)
            emit(db, &writer, sink, mark);
    return finish(&writer, true, err);
}

enum kp_code kp_sinks_emit(struct kp_db *db, struct kp_error *err)
{
    return emit_all(db, false, err);
}

enum kp_code kp_sink_is_behind(const struct kp_relation *sink, struct kp_error *err)
{
    (void)kp_fail(err, KP_BUSY, NULL, "sink \"%s\" has not written all", sink->name);
    return kp_error_hint(err, "kappa.sinks says why it waits; a sink that nobody needs can be dropped.");
}

enum kp_code kp_sinks_settle(struct kp_db *db, const char *topic, struct kp_error *err)
{
    if (kp_log_planted == KP_PLANT_SINKS_UNSETTLED)
        return KP_OK;
    KP_TRY(wait_written(db, err));
    KP_TRY(emit_all(db, true, err));
    KP_TRY(wait_written(db, err));
    for (const struct kp_sink *sink = db->sinks; sink; sink = sink->next_sink)
        if (topic && kp_relation_reads(sink->relation->sink_from, topic) &&
            (!sink->subscription || *sink->error || atomic_load(&sink->marked) < kp_view_clock_position(db->clock)))
            return kp_sink_is_behind(sink->relation, err);
    return KP_OK;
}

enum kp_code kp_sinks_pass(struct kp_db *db, int64_t position, struct kp_error *err)
{
    KP_TRY(kp_sinks_settle(db, NULL, err));
    for (const struct kp_sink *sink = db->sinks; sink; sink = sink->next_sink) {
        int64_t marked = atomic_load(&sink->marked);
        if (marked >= 0 && marked <= position)
            return kp_sink_is_behind(sink->relation, err);
    }
    return KP_OK;
}

bool kp_sinks_owe(const struct kp_db *db, int64_t position)
{
    for (const struct kp_sink *sink = db->sinks; sink; sink = sink->next_sink)
        if (sink->resume >= 0 && sink->resume <= position)
            return true;
    return false;
}

/* ---- following ---- */

struct kp_sink *kp_sink_add(struct kp_db *db, struct kp_relation *relation, int64_t resume)
{
    struct kp_sink *sink = kp_calloc(1, sizeof *sink);
    sink->relation = kp_relation_ref(relation);
    sink->resume = resume;
    atomic_store(&sink->marked, resume);
    sink->next_sink = db->sinks;
    db->sinks = sink;
    relation->attached = sink;
    return sink;
}

/* The version that the name leads to. Statements change the catalog meanwhile. */
static struct kp_relation *promoted(struct kp_db *db, const struct kp_relation *relation)
{
    kp_catalog_read(db->catalog);
    struct kp_relation *found = kp_catalog_find(db->catalog, kp_str(relation->schema), kp_str(relation->name));
    kp_catalog_unlock(db->catalog);
    return found;
}

static enum kp_code follow(struct kp_db *db, struct kp_sink *sink, struct kp_live *live, bool snapshot,
                           struct kp_error *err)
{
    struct kp_subscription_options options = {
        .snapshot = snapshot, .any_version = true, .resume = -1, .queue_bytes_max = (uint64_t)1 << 30};
    KP_TRY(kp_subscribe(live->store, &options, &sink->subscription, err));
    if (sink->from != live) {
        atomic_fetch_add(&live->pins, 1);
        struct kp_live *before = sink->from;
        sink->from = live;
        if (before)
            kp_live_unpin(db, before);
    }
    return KP_OK;
}

enum kp_code kp_sink_attach(struct kp_db *db, struct kp_relation *relation, struct kp_error *err)
{
    struct kp_sink *sink = relation->attached ? relation->attached : kp_sink_add(db, relation, -1);
    struct kp_topic_info info;
    KP_TRY(kp_log_topic_find(db->log, relation->topic, &info, err));
    sink->topic = info.id;
    if (!has_changes(relation->sink_from)) { /* a log from when that was let through: it writes nothing */
        struct kp_error why;
        (void)!kp_sink_check(relation, &why);
        stop_sink(db, sink, &why);
        return KP_OK;
    }
    struct kp_error why;
    struct kp_relation *from = promoted(db, relation->sink_from);
    (void)kp_fail(&why, KP_NOT_FOUND, "42P01", "relation \"%s\" was dropped", relation->sink_from->name);
    if (from && sink->resume >= 0 && from->version != sink->resume_version) {
        /* The promotion is in the log, the difference that it makes is not: kp_sinks_switch writes it. */
        kp_catalog_read(db->catalog);
        from = kp_ddl_other_version(db->catalog, from);
        kp_catalog_unlock(db->catalog);
        from = from && from->version == sink->resume_version ? from : NULL; /* NULL: it had stopped before */
        (void)kp_fail(&why, KP_NOT_FOUND, "42P01", "version %u of \"%s\", whose rows it has written, is gone",
                      sink->resume_version, relation->sink_from->name);
    }
    struct kp_live *live = from ? kp_live_of(from) : NULL;
    if (!live ||
        atomic_load(&live->state) == KP_LIVE_FAILED) { /* a log from when a DROP left it, or open.c failed it */
        stop_sink(db, sink, live ? &live->error : &why);
        return KP_OK;
    }
    KP_TRY(follow(db, sink, live, sink->resume < 0, err));
    return kp_sinks_emit(db, err);
}

void kp_sink_detach(struct kp_db *db, struct kp_relation *relation)
{
    struct kp_sink *sink = relation->attached;
    if (!sink)
        return;
    for (struct kp_sink **at = &db->sinks; *at; at = &(*at)->next_sink)
        if (*at == sink) {
            *at = sink->next_sink;
            break;
        }
    kp_unsubscribe(sink->subscription);
    if (sink->from)
        kp_live_unpin(db, sink->from);
    relation->attached = NULL;
    kp_relation_unref(relation);
    kp_free(sink);
}

/* ---- going over to another version ---- */

static bool same_columns(const struct kp_relation *a, const struct kp_relation *b)
{
    bool same = a->col_count == b->col_count;
    for (uint32_t i = 0; same && i < a->col_count; i++)
        same = kp_type_equal(a->cols[i].type, b->cols[i].type) && strcmp(a->cols[i].name, b->cols[i].name) == 0;
    return same;
}

static enum kp_code put_all(struct writer *writer, struct kp_sink *sink, const struct kp_batch *batch, int64_t position,
                            struct kp_error *err)
{
    if (!batch)
        return KP_OK;
    struct encoder encoder;
    KP_TRY(encoder_init(&encoder, writer, sink, err));
    enum kp_code code = put_batch(&encoder, batch, position, err);
    encoder_finish(&encoder);
    return code;
}

/* Versions with other columns share no row: all of the old goes and all of the new comes, with its own names and keys.
 */
static enum kp_code put_both(struct writer *writer, struct kp_sink *sink, struct kp_live *to,
                             const struct kp_reading *before, const struct kp_reading *after, int64_t position,
                             struct kp_arena *arena, struct kp_error *err)
{
    struct kp_live *old = sink->from;
    struct kp_batch *batch;
    KP_TRY(kp_reading_rows(before, old->relation->col_count, -1, arena, &batch, err));
    KP_TRY(put_all(writer, sink, batch, position, err));
    KP_TRY(kp_reading_rows(after, to->relation->col_count, 1, arena, &batch, err));
    sink->from = to;
    enum kp_code code = put_all(writer, sink, batch, position, err);
    sink->from = old;
    return code;
}

/* Writes new minus old. */
static enum kp_code put_difference(struct writer *writer, struct kp_sink *sink, struct kp_live *to,
                                   struct kp_error *err)
{
    struct kp_db *db = writer->db;
    const struct kp_relation *relation = to->relation;
    struct kp_arena arena = {0};
    struct kp_snapshot snapshot;
    kp_snapshot_acquire(db->clock, &snapshot);
    struct kp_reading before = {sink->from->store, &snapshot}, after = {to->store, &snapshot};
    enum kp_code code;
    if (!same_columns(sink->from->relation, relation)) {
        code = put_both(writer, sink, to, &before, &after, snapshot.position, &arena, err);
    } else {
        struct kp_batch *batch;
        code =
            kp_difference(db, db->workers, relation->cols, relation->col_count, &before, &after, &arena, &batch, err);
        if (code == KP_OK)
            code = put_all(writer, sink, batch, snapshot.position, err);
    }
    kp_snapshot_release(db->clock, &snapshot);
    kp_arena_finish(&arena);
    return code;
}

static enum kp_code switch_sink(struct kp_db *db, struct kp_sink *sink, struct kp_live *to, struct kp_error *err)
{
    struct writer writer = {.db = db, .now_ms = kp_view_clock_time_us(db->clock) / 1000};
    enum kp_code code = drain(&writer, sink, false, err);
    if (code == KP_OK)
        code = put_difference(&writer, sink, to, err);
    if (code == KP_OK)
        code = check_bytes(&writer, kp_view_clock_position(db->clock), err);
    kp_unsubscribe(sink->subscription);
    sink->subscription = NULL;
    if (code == KP_OK)
        code = follow(db, sink, to, false, err);
    if (code == KP_OK)
        code = put_mark(&writer, sink, kp_view_clock_position(db->clock), err);
    enum kp_code finished = finish(&writer, code == KP_OK, err);
    return code == KP_OK ? finished : code;
}

enum kp_code kp_sinks_switch(struct kp_db *db, struct kp_error *err)
{
    for (struct kp_sink *sink = db->sinks; sink; sink = sink->next_sink) {
        if (!sink->subscription || !sink->from)
            continue;
        struct kp_relation *now = promoted(db, sink->from->relation);
        if (!now || kp_live_of(now) == sink->from)
            continue;
        struct kp_error why;
        if (switch_sink(db, sink, kp_live_of(now), &why) != KP_OK)
            stop_sink(db, sink, &why);
    }
    return KP_OK;
}
