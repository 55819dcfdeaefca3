/*
 * POST /topics/{t}: records into the log; GET /topics.
 *
 *   Content-Type                              records
 *   application/x-ndjson, application/jsonl,  each line that is not blank, as it is
 *   text/plain, text/csv
 *   application/octet-stream                  the body is one
 *   application/json, or anything else        the elements of an array; else JSON values one after the other
 *
 * A record's key: the member ?key= names, or the header X-Kappa-Key; a JSON null with a key is a null value, which
 * deletes from a table. Its partition: ?partition=, else by the key as Kafka's own producers choose, else the next one
 * in turn. All records of a request are one atomic group; the reply comes when they are durable, and no thread waits
 * for that:
 *
 *   pool thread: cut, build batches, kp_log_append_async ─► log's writer: kp_conn_resume ─► network thread: reply
 */
#include "serve/http/http_impl.h"

#include <string.h>

enum { BATCH_BYTES = 900 << 10 }; /* about a commit block */

enum cutting { CUT_LINES, CUT_WHOLE, CUT_ARRAY, CUT_VALUES };

/* One request's append; lives until its reply. */
struct append {
    struct kp_conn_ref ref;
    struct kp_http *door;
    struct kp_buf batches;        /* all of them; entries point into it */
    struct kp_log_entry *entries; /* in order of partition, then offset */
    size_t entry_count, entry_cap;
    int64_t *counts; /* records of each entry */
    uint64_t records;
    int64_t body_bytes;
    int64_t position; /* behind the last record */
    struct kp_error err;
};

/* What cutting fills: a batch being built for each partition. */
struct cutter {
    struct append *append;
    struct http_conn *http;
    struct kp_topic_info topic;
    struct kp_record_batch_builder *builders; /* topic.partitions */
    int64_t now_ms, partition;                /* -1: by key */
    uint32_t next_partition;
    struct kp_str key_member, key; /* ptr NULL: none */
    struct kp_arena arena;         /* of a record's key */
};

static void append_destroy(struct append *append)
{
    atomic_fetch_sub(&append->door->inflight_bytes, append->body_bytes);
    kp_buf_finish(&append->batches);
    kp_free(append->entries);
    kp_free(append->counts);
    kp_free(append);
}

/* ---- building ---- */

/* MurmurHash2 as Kafka's Java client seeds it: its default choice of a partition by key. */
static uint32_t partition_hash(struct kp_str key)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28c ^ (uint32_t)key.len;
    const uint8_t *at = (const uint8_t *)key.ptr;
    size_t left = key.len;
    for (; left >= 4; at += 4, left -= 4) {
        uint32_t k;
        memcpy(&k, at, 4);
        k *= m;
        k ^= k >> 24;
        k *= m;
        h = h * m ^ k;
    }
    if (left == 3)
        h ^= (uint32_t)at[2] << 16;
    if (left >= 2)
        h ^= (uint32_t)at[1] << 8;
    if (left >= 1)
        h = (h ^ at[0]) * m;
    h ^= h >> 13;
    h *= m;
    return (h ^ h >> 15) & 0x7fffffff;
}

static enum kp_code build(struct cutter *cutter, uint32_t partition, struct kp_error *err)
{
    struct append *append = cutter->append;
    struct kp_record_batch_builder *builder = &cutter->builders[partition];
    if (!builder->count)
        return KP_OK;
    if (append->entry_count == append->entry_cap) {
        append->entry_cap = append->entry_cap ? 2 * append->entry_cap : 4;
        append->entries = kp_realloc(append->entries, append->entry_cap * sizeof *append->entries);
        append->counts = kp_realloc(append->counts, append->entry_cap * sizeof *append->counts);
    }
    size_t at = append->batches.len;
    int64_t count = builder->count;
    KP_TRY(kp_record_batch_build(builder, KP_CODEC_NONE, &append->batches, err));
    append->counts[append->entry_count] = count;
    append->entries[append->entry_count++] = (struct kp_log_entry){
        .topic = cutter->topic.id, .partition = partition, .bytes = append->batches.len - at, .trusted = true};
    return KP_OK;
}

static enum kp_code add_record(struct cutter *cutter, struct kp_str value, bool json, struct kp_error *err)
{
    struct append *append = cutter->append;
    uint64_t number = append->records + 1;
    struct kp_str key = cutter->key;
    if (cutter->key_member.ptr) {
        struct kp_str member;
        kp_arena_reset(&cutter->arena);
        if (!kp_http_json_member(value, cutter->key_member, &member) ||
            !kp_http_json_text(member, &cutter->arena, &key))
            return kp_fail(err, KP_INVALID, "23502", "record %llu has no member \"%.*s\" to be its key",
                           (unsigned long long)number, (int)KP_MIN(cutter->key_member.len, (size_t)60),
                           cutter->key_member.ptr);
    }
    if (value.len + key.len > KP_RECORD_BYTES_MAX) {
        kp_fail(err, KP_LIMIT, NULL, "record %llu has %zu bytes; the limit is %d", (unsigned long long)number,
                value.len + key.len, KP_RECORD_BYTES_MAX);
        return kp_error_hint(
            err,
            "Split it, or keep large objects elsewhere and send a reference. Nothing of this request was written.");
    }
    if (json && key.ptr && kp_str_equal(value, KP_STR("null")))
        value = (struct kp_str){NULL, 0};
    uint32_t partition = cutter->partition >= 0 ? (uint32_t)cutter->partition
                         : key.ptr              ? partition_hash(key) % cutter->topic.partitions
                                                : cutter->next_partition;
    struct kp_record_batch_builder *builder = &cutter->builders[partition];
    if (builder->count && kp_record_batch_builder_bytes(builder) + key.len + value.len > BATCH_BYTES)
        KP_TRY(build(cutter, partition, err));
    kp_record_batch_add(builder, cutter->now_ms, key, value, (struct kp_str){NULL, 0});
    append->records++;
    return KP_OK;
}

static enum kp_code cut_lines(struct cutter *cutter, struct kp_str body, struct kp_error *err)
{
    while (body.len) {
        const char *end = memchr(body.ptr, '\n', body.len);
        struct kp_str line = {body.ptr, end ? (size_t)(end - body.ptr) : body.len};
        size_t taken = line.len + (end ? 1 : 0);
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        size_t blank = 0;
        while (blank < line.len && (line.ptr[blank] == ' ' || line.ptr[blank] == '\t'))
            blank++;
        if (blank < line.len)
            KP_TRY(add_record(cutter, line, true, err));
        body.ptr += taken;
        body.len -= taken;
    }
    return KP_OK;
}

static enum kp_code cut_json(struct cutter *cutter, struct kp_str body, bool array, struct kp_error *err)
{
    size_t at = 0;
    if (array)
        at = (size_t)((const char *)memchr(body.ptr, '[', body.len) - body.ptr) + 1;
    for (;;) {
        struct kp_str value;
        bool end;
        enum kp_code code = kp_http_json_next(body, &at, array, &value, &end, err);
        if (code == KP_OK && end)
            break;
        if (code == KP_OK)
            code = add_record(cutter, value, true, err);
        if (code != KP_OK) {
            if (!err->hint[0])
                kp_error_hint(err, "Nothing of this request was written. With Content-Type: application/x-ndjson each "
                                   "line is taken as it is.");
            return code;
        }
    }
    for (at += array; array && at < body.len; at++)
        if (!memchr(" \t\r\n", body.ptr[at], 4))
            return kp_fail(err, KP_INVALID, "22P02", "JSON is malformed at byte %zu: something follows the array", at);
    return KP_OK;
}

static enum cutting choose(const struct http_conn *http, struct kp_str body)
{
    static const char *const lines[] = {"application/x-ndjson", "application/ndjson", "application/jsonl", "text/plain",
                                        "text/csv"};
    for (size_t i = 0; i < KP_COUNT(lines); i++)
        if (kp_http_content_type_is(http, lines[i]))
            return CUT_LINES;
    if (kp_http_content_type_is(http, "application/octet-stream"))
        return CUT_WHOLE;
    size_t blank = 0;
    while (blank < body.len && memchr(" \t\r\n", body.ptr[blank], 4))
        blank++;
    return blank < body.len && body.ptr[blank] == '[' ? CUT_ARRAY : CUT_VALUES;
}

static enum kp_code cut(struct cutter *cutter, struct kp_error *err)
{
    struct kp_str body = {(const char *)cutter->http->body.data, cutter->http->body.len};
    switch (choose(cutter->http, body)) {
    case CUT_LINES:
        KP_TRY(cut_lines(cutter, body, err));
        break;
    case CUT_WHOLE:
        KP_TRY(add_record(cutter, body.len ? body : KP_STR(""), false, err));
        break;
    case CUT_ARRAY:
        KP_TRY(cut_json(cutter, body, true, err));
        break;
    case CUT_VALUES:
        KP_TRY(cut_json(cutter, body, false, err));
        break;
    }
    for (uint32_t p = 0; p < cutter->topic.partitions; p++)
        KP_TRY(build(cutter, p, err));
    const uint8_t *batch = cutter->append->batches.data; /* it moves no more */
    for (size_t i = 0; i < cutter->append->entry_count; i++) {
        cutter->append->entries[i].batch = batch;
        batch += cutter->append->entries[i].bytes;
    }
    return KP_OK;
}

/* ---- answering ---- */

/* Network thread, or the pool's where nothing had to be written. */
static void reply(struct kp_conn *conn, struct append *append)
{
    struct kp_buf body = {0};
    kp_buf_append_text(&body, "{\"position\":");
    kp_http_print_int(append->position, &body);
    if (append->entry_count) {
        kp_buf_printf(&body, ",\"partition\":%u,\"offset\":", append->entries[0].partition);
        kp_http_print_int(append->entries[0].base_offset, &body);
    }
    kp_buf_printf(&body, ",\"count\":%llu", (unsigned long long)append->records);
    bool several =
        append->entry_count && append->entries[0].partition != append->entries[append->entry_count - 1].partition;
    for (size_t i = 0; several && i < append->entry_count; i++) {
        kp_buf_printf(&body, "%s{\"partition\":%u,\"offset\":", i ? "," : ",\"batches\":[",
                      append->entries[i].partition);
        kp_http_print_int(append->entries[i].base_offset, &body);
        kp_buf_printf(&body, ",\"count\":%lld}", (long long)append->counts[i]);
    }
    kp_buf_append_text(&body, several ? "]}\n" : "}\n");
    kp_http_add_header(conn, "X-Kappa-Position", "%lld", (long long)append->position);
    kp_http_reply(conn, 200, "application/json", (struct kp_str){(const char *)body.data, body.len});
    kp_buf_finish(&body);
}

static void finished(struct kp_conn *conn, void *arg)
{
    struct append *append = arg;
    if (conn && append->err.code != KP_OK)
        kp_http_reply_error(conn, 0, &append->err);
    else if (conn)
        reply(conn, append);
    append_destroy(append);
}

/* The log's writer thread. */
static void durable(void *arg, int64_t position_end, const struct kp_error *err)
{
    struct append *append = arg;
    append->position = position_end;
    if (err)
        append->err = *err;
    else
        atomic_fetch_add(&append->door->records, append->records);
    kp_conn_resume(append->ref, finished, append);
}

/* ---- the request ---- */

static enum kp_code prepare(struct cutter *cutter, struct kp_http *door, struct kp_error *err)
{
    struct http_conn *http = cutter->http;
    char name[KP_TOPIC_NAME_BYTES_MAX + 1];
    if (http->name.len > KP_TOPIC_NAME_BYTES_MAX || memchr(http->name.ptr, '\0', http->name.len))
        return kp_fail(err, KP_INVALID, "42602", "a topic's name has 1 to %d of the characters a-z A-Z 0-9 . _ -",
                       KP_TOPIC_NAME_BYTES_MAX);
    memcpy(name, http->name.ptr, http->name.len + 1);
    KP_TRY(kp_db_topic(door->db, name, true, &cutter->topic, err));
    if (cutter->topic.internal)
        return kp_fail(err, KP_FORBIDDEN, NULL, "topic \"%s\" is kappa's own: it cannot be written to", name);
    cutter->partition = -1;
    KP_TRY(kp_http_param_int(http, "partition", 0, (int64_t)cutter->topic.partitions - 1, &cutter->partition, err));
    cutter->key = kp_http_header(http, "X-Kappa-Key");
    if (kp_http_param(http, "key", &cutter->key_member) && cutter->key.ptr)
        return kp_fail(err, KP_INVALID, NULL, "both ?key= and X-Kappa-Key say what the key is");
    struct kp_os *os = kp_net_os(door->net);
    cutter->now_ms = os->wall_us(os->ctx) / 1000;
    cutter->next_partition = (uint32_t)(atomic_load(&door->requests) % cutter->topic.partitions);
    cutter->builders = kp_calloc(cutter->topic.partitions, sizeof *cutter->builders);
    return KP_OK;
}

void kp_http_post_topic(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    struct kp_http *door = http_door_of(conn);
    int64_t bytes = (int64_t)http->body.len + 1;
    int64_t before = atomic_fetch_add(&door->inflight_bytes, bytes);
    if (before > 0 && before + bytes > INFLIGHT_BYTES_MAX) {
        atomic_fetch_sub(&door->inflight_bytes, bytes);
        kp_http_reply_fail(conn, 429, "53000", "Send it again after a second.",
                           "more than %d MiB of records are on their way to the disk", INFLIGHT_BYTES_MAX >> 20);
        return;
    }
    struct append *append = kp_calloc(1, sizeof *append);
    append->door = door;
    append->body_bytes = bytes;
    struct cutter cutter = {.append = append, .http = http};
    struct kp_error err;
    enum kp_code code = prepare(&cutter, door, &err);
    if (code == KP_OK)
        code = cut(&cutter, &err);
    for (uint32_t p = 0; cutter.builders && p < cutter.topic.partitions; p++)
        kp_record_batch_builder_finish(&cutter.builders[p]);
    kp_free(cutter.builders);
    kp_arena_finish(&cutter.arena);
    if (code == KP_OK && !append->records) {
        append->position = kp_log_position(kp_db_log(door->db));
        reply(conn, append);
        append_destroy(append);
        return;
    }
    if (code == KP_OK) {
        append->ref = kp_conn_suspend(conn);
        code = kp_log_append_async(kp_db_log(door->db), append->entries, append->entry_count, durable, append, &err);
        if (code == KP_OK)
            return; /* `append` may be gone already */
        append->err = err;
        kp_conn_resume(append->ref, finished, append);
        return;
    }
    kp_http_reply_error(conn, 0, &err);
    append_destroy(append);
}

void kp_http_get_topics(struct kp_conn *conn)
{
    struct kp_log *log = kp_db_log(http_door_of(conn)->db);
    struct kp_topic_info *topics;
    size_t count;
    kp_log_topics(log, &topics, &count);
    struct kp_buf body = {0};
    kp_buf_append_byte(&body, '[');
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        if (topics[i].internal)
            continue;
        kp_buf_append_text(&body, first ? "{\"name\":" : ",\n {\"name\":");
        first = false;
        kp_buf_append_json_string(&body, kp_str(topics[i].name));
        kp_buf_printf(&body, ",\"partitions\":%u,\"records\":", topics[i].partitions);
        kp_http_print_int((int64_t)topics[i].records, &body);
        kp_buf_append_text(&body, ",\"bytes\":");
        kp_http_print_int((int64_t)topics[i].bytes, &body);
        kp_buf_append_byte(&body, '}');
    }
    kp_buf_append_text(&body, "]\n");
    kp_http_add_header(conn, "X-Kappa-Position", "%lld", (long long)kp_log_position(log));
    kp_http_reply(conn, 200, "application/json", (struct kp_str){(const char *)body.data, body.len});
    kp_buf_finish(&body);
    kp_free(topics);
}
