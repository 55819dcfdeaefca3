/* Bases back from the log: into the live graph after a start, into private ones that compute the past again. */
#include <stdlib.h>

#include "db/base.h"
#include "db/copy.h"
#include "log/record_batch.h"
#include "sql/sql.h"

enum { FETCH_BYTES = 4 << 20 };
static const struct kp_copy_options copy = {KP_COPY_TEXT, '\t', '"', '"', KP_COPY_NO_HEADER, "\\N"};

/* One record's rows on their way into batches of an expired node: its columns, _position, _watermark. */
struct rows {
    const struct kp_base_reader *reader;
    const struct kp_expired *expired;
    uint32_t *places; /* field of the record behind _count and _watermark to column of the node; UINT32_MAX: none */
    uint32_t field_count;
    bool headed;
    struct kp_arena arena; /* of the batch */
    struct kp_batch *batch;
};

static enum kp_code flush(struct rows *rows, struct kp_error *err)
{
    enum kp_code code = KP_OK;
    if (rows->batch && rows->batch->rows)
        code = rows->reader->step(rows->reader->arg, rows->expired->node, rows->batch, err);
    rows->batch = NULL;
    kp_arena_reset(&rows->arena);
    return code;
}

static void begin_batch(struct rows *rows)
{
    uint32_t count = rows->expired->count;
    rows->batch = kp_batch_create(&rows->arena, count + 2, KP_BATCH_ROWS_MAX);
    rows->batch->rows = 0;
    for (uint32_t c = 0; c < count + 2; c++) {
        struct kp_type type =
            c < count ? rows->expired->source->cols[rows->expired->columns[c]].type : KP_TYPE(KP_INT8);
        kp_vec_init(&rows->batch->vecs[c], &rows->arena, type, KP_BATCH_ROWS_MAX);
        memset(rows->batch->vecs[c].data, 0, KP_BATCH_ROWS_MAX * kp_vec_width(&rows->batch->vecs[c]));
        kp_vec_need_valid(&rows->batch->vecs[c], &rows->arena, KP_BATCH_ROWS_MAX);
    }
}

static enum kp_code read_header(struct rows *rows, const struct kp_str *fields, uint32_t count, struct kp_error *err)
{
    const struct kp_expired *expired = rows->expired;
    uint32_t found = 0;
    for (uint32_t i = 2; i < count; i++) {
        rows->places[i - 2] = UINT32_MAX;
        for (uint32_t c = 0; c < expired->count; c++)
            if (kp_str_equal(fields[i], kp_str(expired->source->cols[expired->columns[c]].name))) {
                rows->places[i - 2] = c;
                found++;
            }
    }
    rows->headed = true;
    return found == expired->count
               ? KP_OK
               : kp_fail(err, KP_UNSUPPORTED, NULL, "the base of the view lacks a column of source \"%s\"",
                         expired->source->name);
}

static enum kp_code put(struct rows *rows, uint32_t column, struct kp_str field, struct kp_error *err)
{
    struct kp_vec *vec = &rows->batch->vecs[column];
    uint32_t row = rows->batch->rows;
    if (!field.ptr) {
        kp_vec_set_null(vec, row);
        return KP_OK;
    }
    uint8_t value[16];
    struct kp_str own = {kp_arena_strndup(&rows->arena, field.ptr, field.len), field.len};
    KP_TRY(kp_value_parse(vec->type, own, NULL, &rows->arena, value, err));
    memcpy((uint8_t *)vec->data + row * kp_vec_width(vec), value, kp_vec_width(vec));
    return KP_OK;
}

static enum kp_code take_row(void *arg, const struct kp_str *fields, uint32_t count, uint64_t line,
                             struct kp_error *err)
{
    struct rows *rows = arg;
    if (!rows->headed)
        return read_header(rows, fields, count, err);
    int64_t times = 0;
    KP_TRY(kp_value_parse(KP_TYPE(KP_INT8), fields[0], NULL, &rows->arena, &times, err));
    uint32_t node_count = rows->expired->count;
    for (; times > 0; times--) { /* operators that only see insertions know no multiplicities */
        if (!rows->batch)
            begin_batch(rows);
        for (uint32_t i = 2; i < count; i++)
            if (rows->places[i - 2] != UINT32_MAX)
                KP_TRY(put(rows, rows->places[i - 2], fields[i], err));
        ((int64_t *)rows->batch->vecs[node_count].data)[rows->batch->rows] = -1;
        KP_TRY(put(rows, node_count + 1, fields[1], err));
        if (++rows->batch->rows == KP_BATCH_ROWS_MAX)
            KP_TRY(flush(rows, err));
    }
    return KP_OK;
}

static enum kp_code read_rows(const struct kp_base_reader *reader, const struct kp_expired *expired,
                              struct kp_str value, struct kp_error *err)
{
    struct rows rows = {.reader = reader, .expired = expired, .field_count = 1};
    const char *end = memchr(value.ptr, '\n', value.len);
    for (const char *at = value.ptr; end && at < end; at++)
        rows.field_count += *at == '\t';
    struct kp_column *cols = kp_calloc(rows.field_count, sizeof *cols);
    for (uint32_t i = 0; i < rows.field_count; i++)
        cols[i] = (struct kp_column){.name = "base", .type = KP_TYPE(KP_TEXT)};
    rows.places = kp_calloc(rows.field_count, sizeof *rows.places);
    struct kp_copy_reader *fields =
        kp_copy_reader_create(&copy, KP_BASES_TOPIC, cols, rows.field_count, take_row, &rows);
    enum kp_code code = kp_copy_reader_feed(fields, value, err);
    if (code == KP_OK)
        code = kp_copy_reader_end(fields, err);
    if (code == KP_OK)
        code = flush(&rows, err);
    kp_copy_reader_destroy(fields);
    kp_arena_finish(&rows.arena);
    kp_free(rows.places);
    kp_free(cols);
    return code;
}

/* ---- the topic's records ---- */

/* One record's key: which decision, view and source it is of. */
struct base_key {
    int64_t number;
    uint32_t view, source;
};

/* Looks at a record; *ret_stop: that is enough. */
typedef enum kp_code (*base_each)(void *arg, const struct base_key *key, struct kp_str value, int64_t offset,
                                  bool *ret_stop, struct kp_error *err);

static struct base_key read_key(struct kp_str text, struct kp_arena *arena)
{
    struct base_key key;
    char *at = kp_arena_strndup(arena, text.ptr, text.len);
    key.number = strtoll(at, &at, 10);
    key.view = (uint32_t)strtoul(at, &at, 10);
    key.source = (uint32_t)strtoul(at, &at, 10);
    return key;
}

static enum kp_code each_of_bytes(const struct kp_buf *bytes, int64_t *offset, base_each each, void *arg, bool *stop,
                                  struct kp_error *err)
{
    for (size_t at = 0; at < bytes->len && !*stop;) {
        struct kp_arena arena = {0};
        struct kp_record_reader records;
        struct kp_record record;
        enum kp_code code = kp_record_reader_init(&records, bytes->data + at, bytes->len - at, &arena, err);
        struct kp_error why;
        kp_error_clear(&why);
        while (code == KP_OK && !*stop && kp_record_reader_next(&records, &record, &why)) {
            struct base_key key = read_key(record.key, &arena);
            int64_t record_offset = records.info.base_offset + record.offset_delta;
            if (record_offset >= *offset) /* the first ones of a batch may be trimmed */
                code = each(arg, &key, record.value, record_offset, stop, err);
        }
        if (code == KP_OK) {
            at += records.info.bytes;
            *offset = records.info.base_offset + records.info.last_offset_delta + 1;
        }
        kp_arena_finish(&arena);
        KP_TRY(code);
    }
    return KP_OK;
}

/* All records that there are, in order. */
static enum kp_code each_record(struct kp_db *db, const struct kp_topic_info *info, base_each each, void *arg,
                                struct kp_error *err)
{
    struct kp_partition_info partition;
    KP_TRY(kp_log_partition(db->log, info->id, 0, &partition, err));
    struct kp_buf bytes = {0};
    enum kp_code code = KP_OK;
    bool stop = false;
    for (int64_t offset = partition.start_offset; code == KP_OK && !stop && offset < partition.end_offset;) {
        bytes.len = 0;
        code = kp_log_fetch(db->log, info->id, 0, offset, FETCH_BYTES, &bytes, err);
        if (code == KP_OK)
            code = each_of_bytes(&bytes, &offset, each, arg, &stop, err);
    }
    kp_buf_finish(&bytes);
    return code;
}

struct reading {
    struct kp_db *db;
    const struct kp_base_reader *reader;
    int64_t number; /* of the retractions that are meant; 0: bases that decisions have named */
};

static enum kp_code read_record(void *arg, const struct base_key *key, struct kp_str value, int64_t offset,
                                bool *ret_stop, struct kp_error *err)
{
    const struct reading *reading = arg;
    if (reading->number ? key->number != reading->number : !kp_retention_knows_base(reading->db, key->number))
        return KP_OK; /* the power went before its decision */
    const struct kp_expired *expired = reading->reader->node_of(reading->reader->arg, key->view, key->source);
    return expired ? read_rows(reading->reader, expired, value, err) : KP_OK;
}

static enum kp_code read_topic(struct kp_db *db, const char *topic, int64_t number, const struct kp_base_reader *reader,
                               struct kp_error *err)
{
    struct reading reading = {db, reader, number};
    struct kp_topic_info info;
    struct kp_error none;
    if (kp_log_topic_find(db->log, topic, &info, &none) != KP_OK)
        return KP_OK;
    return each_record(db, &info, read_record, &reading, err);
}

enum kp_code kp_base_read(struct kp_db *db, const struct kp_base_reader *reader, struct kp_error *err)
{
    enum kp_code code = read_topic(db, KP_BASES_TOPIC, 0, reader, err);
    if (code != KP_OK)
        kp_error_context(err, "reading the bases of views");
    return code;
}

/* ---- bases that nobody needs any more ---- */

struct needed {
    struct kp_db *db;
    int64_t before; /* no record before this offset is needed */
};

/* Stops at the first record of a view that is there. */
static enum kp_code find_needed(void *arg, const struct base_key *key, struct kp_str value, int64_t offset,
                                bool *ret_stop, struct kp_error *err)
{
    struct needed *needed = arg;
    kp_catalog_read(needed->db->catalog);
    for (size_t i = 0; !*ret_stop && i < kp_catalog_count(needed->db->catalog); i++)
        *ret_stop = kp_catalog_at(needed->db->catalog, i)->id == key->view;
    kp_catalog_unlock(needed->db->catalog);
    needed->before = *ret_stop ? offset : offset + 1;
    return KP_OK;
}

enum kp_code kp_base_free(struct kp_db *db, struct kp_error *err)
{
    struct kp_expiry expiry = {.horizon = -1, .why = "dropped"};
    struct needed needed = {.db = db};
    struct kp_partition_info partition;
    struct kp_error none;
    if (kp_log_topic_find(db->log, KP_BASES_TOPIC, &expiry.topic, &none) != KP_OK)
        return KP_OK;
    KP_TRY(each_record(db, &expiry.topic, find_needed, &needed, err));
    KP_TRY(kp_log_partition(db->log, expiry.topic.id, 0, &partition, err));
    expiry.before = &needed.before;
    return needed.before > partition.start_offset ? kp_expiry_run(db, &expiry, err) : KP_OK;
}

/* ---- the live graph ---- */

static const struct kp_expired *live_node(void *arg, uint32_t view, uint32_t source)
{
    struct kp_db *db = arg;
    for (struct kp_live *live = db->lives; live; live = live->next_live)
        for (size_t i = 0; live->relation->id == view && live->expired && i < live->expired->count; i++)
            if (live->expired->items[i].source->id == source)
                return &live->expired->items[i];
    return NULL;
}

static enum kp_code live_step(void *arg, struct kp_node *node, struct kp_batch *batch, struct kp_error *err)
{
    return kp_engine_bring(arg, node, batch, err);
}

enum kp_code kp_base_restore(struct kp_db *db, struct kp_error *err)
{
    for (size_t i = 0; i < db->feed_count; i++)
        kp_retention_restore_times(db, db->feeds[i].relation, db->feeds[i].node);
    struct kp_base_reader reader = {live_node, live_step, db};
    return kp_base_read(db, &reader, err);
}

/* ---- retractions that a sink may not have written ---- */

static enum kp_code take_back(void *arg, struct kp_node *node, struct kp_batch *batch, struct kp_error *err)
{
    int64_t *weights = kp_alloc((batch->rows + (size_t)1) * sizeof *weights);
    for (uint32_t i = 0; i < batch->rows; i++)
        weights[i] = -1;
    batch->weights = weights;
    enum kp_code code = kp_engine_bring(arg, node, batch, err);
    batch->weights = NULL;
    kp_free(weights);
    return code;
}

enum kp_code kp_base_restore_retractions(struct kp_db *db, bool back, struct kp_error *err)
{
    struct kp_base_reader reader = {live_node, back ? take_back : live_step, db};
    enum kp_code code = read_topic(db, KP_RETRACTIONS_TOPIC, kp_retention_retractions(db).number, &reader, err);
    if (code != KP_OK)
        kp_error_context(err, "reading what views have given up");
    return code;
}

static enum kp_code pass(struct kp_db *db, void *arg, struct kp_error *err)
{
    return kp_sinks_pass(db, *(const int64_t *)arg, err);
}

enum kp_code kp_base_forget_retractions(struct kp_db *db, struct kp_error *err)
{
    struct kp_topic_info info;
    struct kp_partition_info partition;
    struct kp_error none;
    int64_t position = kp_retention_retractions(db).position;
    if (position < 0 || kp_log_topic_find(db->log, KP_RETRACTIONS_TOPIC, &info, &none) != KP_OK)
        return KP_OK;
    KP_TRY(kp_log_partition(db->log, info.id, 0, &partition, err));
    if (partition.start_offset == partition.end_offset)
        return KP_OK;
    KP_TRY(kp_engine_call(db, pass, &position, err));
    return kp_log_trim(db->log, info.id, 0, partition.end_offset, err);
}
