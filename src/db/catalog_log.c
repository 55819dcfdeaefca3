/*
 * Catalog records: the statements that made the catalog what it is, in the internal topic __kappa_catalog, so that a
 * restart makes the same catalog again. A record:
 *
 *   key      "statement"
 *   value    the statement's text, as it was sent
 *   headers  TimeZone, user: the settings that are frozen into it; topic: the number of the topic that it is about;
 *            next, reads, of what makes relations (logs of before have none): the next relation's number behind it, and
 *            the numbers of what the first one that it makes reads: for a kappa that refuses the text (failed.c)
 *
 * or, written between them by sequence.c:
 *
 *   key      "sequence"
 *   value    the last number that the sequence may draw, in decimal
 *   headers  TimeZone, user; sequence: its name, or of a serial or identity column's own table, column: their names;
 *            called: "f" if it may not draw that number yet, which is next then
 */
#include "db/instance.h"

#include <stdio.h>
#include <strings.h>

#include "log/record_headers.h"

/* Does it take something away, or change what is kept? Then a full disk does not stop it. */
static bool frees_room(struct kp_str text)
{
    while (text.len && (*text.ptr == ' ' || *text.ptr == '\n'))
        text = (struct kp_str){text.ptr + 1, text.len - 1};
    return (text.len > 5 && strncasecmp(text.ptr, "DROP ", 5) == 0) ||
           (text.len > 6 && strncasecmp(text.ptr, "ALTER ", 6) == 0);
}

enum kp_code kp_catalog_log_build(struct kp_db *db, const struct kp_catalog_record *record, struct kp_buf *ret_batch,
                                  struct kp_error *err)
{
    struct kp_buf headers = {0};
    char topic[16], next[16];
    int topic_len = snprintf(topic, sizeof topic, "%u", record->topic);
    int next_len = snprintf(next, sizeof next, "%u", record->next_relation);
    const struct {
        const char *name;
        struct kp_str value;
        bool is_there;
    } known[] = {{"TimeZone", record->time_zone, true},
                 {"user", record->user, true},
                 {"topic", {topic, (size_t)topic_len}, record->topic != 0},
                 {"sequence", record->name, record->sequence && record->name.ptr},
                 {"table", record->table, record->sequence && record->table.ptr},
                 {"column", record->column, record->sequence && record->table.ptr},
                 {"called", KP_STR("f"), record->sequence && record->uncalled},
                 {"next", {next, (size_t)next_len}, record->next_relation != 0},
                 {"reads", record->reads, record->next_relation != 0}};
    uint32_t count = 0;
    for (size_t i = 0; i < KP_COUNT(known); i++)
        count += known[i].is_there;
    kp_record_headers_put_count(&headers, count);
    for (size_t i = 0; i < KP_COUNT(known); i++)
        if (known[i].is_there)
            kp_record_headers_put(&headers, kp_str(known[i].name), known[i].value);
    struct kp_record_batch_builder builder = {0};
    struct kp_str key = record->sequence ? KP_STR("sequence") : KP_STR("statement");
    kp_record_batch_add(&builder, db->os->wall_us(db->os->ctx) / 1000, key, record->text,
                        (struct kp_str){(const char *)headers.data, headers.len});
    enum kp_code code = kp_record_batch_build(&builder, KP_CODEC_NONE, ret_batch, err);
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&headers);
    return code;
}

struct kp_log_entry kp_catalog_log_entry(const struct kp_db *db, const struct kp_catalog_record *record,
                                         const struct kp_buf *batch)
{
    return (struct kp_log_entry){.topic = db->catalog_topic,
                                 .batch = batch->data,
                                 .bytes = batch->len,
                                 .trusted = true,
                                 .frees_room = frees_room(record->text)};
}

enum kp_code kp_catalog_log_append(struct kp_db *db, const struct kp_catalog_record *record,
                                   const struct kp_log_entry *with, size_t count, int64_t *ret_position,
                                   int64_t *ret_end, struct kp_error *err)
{
    struct kp_buf batch = {0};
    enum kp_code code = kp_catalog_log_build(db, record, &batch, err);
    struct kp_log_entry *entries = kp_calloc(1 + count, sizeof *entries);
    entries[0] = kp_catalog_log_entry(db, record, &batch);
    if (count)
        memcpy(entries + 1, with, count * sizeof *entries);
    if (code == KP_OK)
        code = kp_log_append(db->log, entries, 1 + count, ret_end, err);
    if (code == KP_OK)
        *ret_position = entries[0].position;
    kp_free(entries);
    kp_buf_finish(&batch);
    return code;
}

static uint32_t number_of(struct kp_str text)
{
    uint32_t number = 0;
    for (size_t i = 0; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
        number = 10 * number + (uint32_t)(text.ptr[i] - '0');
    return number;
}

static enum kp_code decode(const struct kp_record *record, struct kp_catalog_record *ret, struct kp_error *err)
{
    *ret = (struct kp_catalog_record){.text = record->value, .time_zone = KP_STR("UTC"), .user = KP_STR("kappa")};
    struct kp_str in = record->headers, name, value;
    int64_t count = 0;
    bool well = kp_record_headers_begin(&in, &count);
    for (int64_t i = 0; well && i < count; i++) {
        well = kp_record_headers_next(&in, &name, &value) && value.ptr;
        if (well && kp_str_equal(name, KP_STR("TimeZone")))
            ret->time_zone = value;
        if (well && kp_str_equal(name, KP_STR("user")))
            ret->user = value;
        if (well && kp_str_equal(name, KP_STR("topic")))
            ret->topic = number_of(value);
        if (well && kp_str_equal(name, KP_STR("sequence")))
            ret->name = value;
        if (well && kp_str_equal(name, KP_STR("called")))
            ret->uncalled = kp_str_equal(value, KP_STR("f"));
        if (well && kp_str_equal(name, KP_STR("table")))
            ret->table = value;
        if (well && kp_str_equal(name, KP_STR("column")))
            ret->column = value;
        if (well && kp_str_equal(name, KP_STR("next")))
            ret->next_relation = number_of(value);
        if (well && kp_str_equal(name, KP_STR("reads")))
            ret->reads = value;
    }
    ret->sequence = kp_str_equal(record->key, KP_STR("sequence"));
    if (!well || !(ret->sequence || kp_str_equal(record->key, KP_STR("statement"))))
        return kp_fail(err, KP_CORRUPT, NULL, "a record of the catalog is not one that this version of kappa writes");
    return KP_OK;
}

struct reading {
    struct kp_db *db;
    enum kp_code (*each)(struct kp_db *db, const struct kp_catalog_record *record, int64_t position,
                         struct kp_error *err);
};

static enum kp_code read_chunk(void *context, const struct kp_log_chunk *chunk, struct kp_error *err)
{
    const struct reading *reading = context;
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    enum kp_code code = kp_record_reader_init(&reader, chunk->batch, chunk->bytes, &arena, err);
    struct kp_record record;
    int64_t position = chunk->position;
    if (err)
        err->code = KP_OK;
    while (code == KP_OK && kp_record_reader_next(&reader, &record, err)) {
        struct kp_catalog_record decoded;
        code = decode(&record, &decoded, err);
        if (code == KP_OK)
            code = reading->each(reading->db, &decoded, position++, err);
    }
    kp_arena_finish(&arena);
    return code == KP_OK && err ? err->code : code;
}

enum kp_code kp_catalog_log_read(struct kp_db *db,
                                 enum kp_code (*each)(struct kp_db *db, const struct kp_catalog_record *record,
                                                      int64_t position, struct kp_error *err),
                                 struct kp_error *err)
{
    struct reading reading = {.db = db, .each = each};
    return kp_log_each(db->log, db->catalog_topic, read_chunk, &reading, err);
}
