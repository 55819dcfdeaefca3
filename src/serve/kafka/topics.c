/*
 * CreateTopics and DeleteTopics.
 *
 * Request   create: [name, partitions, replication, [partition, [broker]], [setting, value]] timeout, v1 only validate
 *           delete: [name] timeout
 * Answer    create: v2 throttle | [name, error, v1 message]
 *           delete: v1 throttle | [name, error]
 *
 * On an instance both go through its SQL, so that one place decides what may be made and dropped.
 */
#include "serve/kafka/api.h"

struct wanted {
    struct kp_str name;
    int32_t partitions;
    int16_t replication;
    int32_t setting_count;
    struct kp_str *settings; /* names and values in turn */
};

static void read_wanted(struct kp_kafka_reader *in, struct kp_arena *arena, struct wanted *wanted)
{
    *wanted = (struct wanted){.name = kp_kafka_get_string(in)};
    wanted->partitions = kp_kafka_get_i32(in);
    wanted->replication = kp_kafka_get_i16(in);
    int32_t assigned = kp_kafka_get_array(in, 8);
    for (int32_t i = 0; i < assigned && !in->bad; i++) {
        kp_kafka_get_i32(in);
        int32_t brokers = kp_kafka_get_array(in, 4);
        for (int32_t b = 0; b < brokers; b++)
            kp_kafka_get_i32(in);
        wanted->replication = (int16_t)KP_MIN(brokers, 2);
    }
    if (assigned > 0)
        wanted->partitions = assigned;
    wanted->setting_count = kp_kafka_get_array(in, 4);
    wanted->setting_count = KP_MAX(wanted->setting_count, 0);
    if (in->bad || wanted->setting_count > KP_KAFKA_NAMES_MAX) {
        in->bad = true;
        return;
    }
    wanted->settings = kp_arena_calloc(arena, 2 * ((size_t)wanted->setting_count + 1) * sizeof *wanted->settings);
    for (int32_t i = 0; i < 2 * wanted->setting_count; i++)
        wanted->settings[i] = kp_kafka_get_string(in);
}

enum kp_code kp_kafka_run_sql(const struct kp_kafka_request *request, struct kp_str text, struct kp_error *err)
{
    struct kp_session *session;
    struct kp_session_options options = {.application = "kafka"};
    if (!request->db)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "this log has no instance");
    KP_TRY(kp_session_open(request->db, &options, &session, err));
    struct kp_prepared *prepared = NULL;
    struct kp_cursor *cursor = NULL;
    struct kp_batch *batch;
    bool done = false;
    enum kp_code code = kp_prepare(session, text, NULL, 0, &prepared, err);
    if (code == KP_OK)
        code = kp_execute(session, prepared, NULL, 0, &cursor, err);
    while (code == KP_OK && !done)
        code = kp_cursor_next(cursor, 0, -1, &batch, &done, err);
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
    kp_session_close(session);
    return code;
}

static void append_identifier(struct kp_buf *out, struct kp_str name)
{
    kp_buf_append_byte(out, '"');
    kp_buf_append_str(out, name); /* is_plain: it has no quotes */
    kp_buf_append_byte(out, '"');
}

static bool is_plain(struct kp_str name)
{
    if (!name.ptr || name.len == 0 || name.len > KP_TOPIC_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
              c == '-'))
            return false;
    }
    return !kp_str_equal(name, KP_STR(".")) && !kp_str_equal(name, KP_STR(".."));
}

static bool is_internal(struct kp_str name)
{
    return name.len >= 2 && name.ptr[0] == '_' && name.ptr[1] == '_';
}

static enum kp_code make_topic(struct kp_kafka_request *request, struct kp_str name, uint32_t partitions,
                               const struct kp_buf *with, struct kp_error *err)
{
    struct kp_buf text = {0};
    enum kp_code code;
    if (request->db) {
        kp_buf_append_text(&text, "CREATE TOPIC ");
        append_identifier(&text, name);
        kp_buf_printf(&text, " WITH (partitions = %u%s%.*s)", partitions, with->len ? ", " : "", (int)with->len,
                      with->len ? (const char *)with->data : "");
        code = kp_kafka_run_sql(request, (struct kp_str){(char *)text.data, text.len}, err);
    } else {
        uint32_t id;
        kp_buf_append_str(&text, name);
        kp_buf_append_byte(&text, 0);
        code = kp_log_topic_create(request->log, (char *)text.data, partitions, &id, err);
    }
    kp_buf_finish(&text);
    return code;
}

static enum kp_code take_settings(const struct wanted *wanted, uint32_t partitions, struct kp_buf *with,
                                  struct kp_error *err)
{
    for (int32_t i = 0; i < wanted->setting_count; i++) {
        struct kp_str name = wanted->settings[2 * i], value = wanted->settings[2 * i + 1];
        if (!kp_kafka_setting_take(name, value, partitions, with))
            return kp_fail(err, KP_INVALID, NULL, "kappa does not follow the setting %.*s=%.*s",
                           (int)KP_MIN(name.len, (size_t)100), name.ptr ? name.ptr : "",
                           (int)KP_MIN(value.len, (size_t)100), value.ptr ? value.ptr : "");
    }
    return KP_OK;
}

/* The error, and its words in err. */
static enum kp_kafka_error create_one(struct kp_kafka_request *request, const struct wanted *wanted, bool validate_only,
                                      struct kp_error *err)
{
    struct kp_topic_info info;
    if (!is_plain(wanted->name) || is_internal(wanted->name)) {
        kp_fail(err, KP_INVALID, NULL,
                is_plain(wanted->name) ? "names that begin with two underscores are kappa's own"
                                       : "a topic's name is 1 to 249 of [a-zA-Z0-9._-]");
        return KP_KAFKA_INVALID_TOPIC;
    }
    if (kp_kafka_topic(request, wanted->name, false, &info, err) == KP_OK) {
        kp_fail(err, KP_EXISTS, NULL, "topic \"%s\" exists already", info.name);
        return KP_KAFKA_TOPIC_ALREADY_EXISTS;
    }
    if (wanted->partitions != -1 && (wanted->partitions < 1 || wanted->partitions > KP_PARTITIONS_MAX)) {
        kp_fail(err, KP_INVALID, NULL, "a topic has 1 to %d partitions", (int)KP_PARTITIONS_MAX);
        return KP_KAFKA_INVALID_PARTITIONS;
    }
    if (wanted->replication != 1 && wanted->replication != -1) {
        kp_fail(err, KP_INVALID, NULL, "there is one broker: the replication factor is 1");
        return KP_KAFKA_INVALID_REPLICATION_FACTOR;
    }
    struct kp_buf with = {0};
    uint32_t partitions = wanted->partitions < 0 ? 1 : (uint32_t)wanted->partitions;
    enum kp_code code = take_settings(wanted, partitions, &with, err);
    enum kp_kafka_error error = code == KP_OK ? KP_KAFKA_NONE : KP_KAFKA_INVALID_CONFIG;
    if (!error && !validate_only) {
        code = make_topic(request, wanted->name, partitions, &with, err);
        error = code == KP_INVALID       ? KP_KAFKA_INVALID_TOPIC
                : code == KP_UNSUPPORTED ? KP_KAFKA_INVALID_CONFIG
                                         : kp_kafka_error_of(code);
    }
    kp_buf_finish(&with);
    return error;
}

enum kp_kafka_outcome kp_kafka_create_topics(struct kp_kafka_request *request)
{
    struct kp_kafka_reader *in = &request->in;
    struct kp_kafka_writer *out = &request->out;
    int32_t count = kp_kafka_get_array(in, 16);
    if (count > KP_KAFKA_NAMES_MAX)
        return KP_KAFKA_MALFORMED;
    struct wanted *wanted = kp_arena_alloc(request->arena, (size_t)KP_MAX(count, 0) * sizeof *wanted);
    for (int32_t i = 0; i < count; i++)
        read_wanted(in, request->arena, &wanted[i]);
    kp_kafka_get_i32(in); /* timeout: it takes one sync */
    bool validate_only = request->version >= 1 && kp_kafka_get_bool(in);
    if (in->bad)
        return KP_KAFKA_MALFORMED;
    if (request->version >= 2)
        kp_kafka_put_i32(out, 0); /* throttle */
    kp_kafka_put_array(out, KP_MAX(count, 0));
    for (int32_t i = 0; i < count; i++) {
        struct kp_error err;
        kp_error_clear(&err);
        enum kp_kafka_error error = create_one(request, &wanted[i], validate_only, &err);
        kp_kafka_put_string(out, wanted[i].name.ptr ? wanted[i].name : KP_STR(""));
        kp_kafka_put_i16(out, (int16_t)error);
        if (request->version >= 1)
            kp_kafka_put_text(out, error ? err.message : NULL);
    }
    return KP_KAFKA_ANSWERED;
}

static enum kp_kafka_error delete_one(struct kp_kafka_request *request, struct kp_str name)
{
    struct kp_topic_info info;
    struct kp_error err;
    enum kp_code code = kp_kafka_topic(request, name, false, &info, &err);
    if (code != KP_OK)
        return KP_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (info.internal)
        return KP_KAFKA_INVALID_TOPIC;
    if (!request->db)
        return kp_kafka_error_of(kp_log_topic_drop(request->log, info.id, &err));
    struct kp_buf text = {0};
    kp_buf_append_text(&text, "DROP TOPIC ");
    append_identifier(&text, kp_str(info.name));
    code = kp_kafka_run_sql(request, (struct kp_str){(char *)text.data, text.len}, &err);
    kp_buf_finish(&text);
    if (code == KP_OK || code == KP_NOT_FOUND || code == KP_CLOSED || code == KP_IO || code == KP_FULL)
        return kp_kafka_error_of(code);
    return KP_KAFKA_POLICY_VIOLATION; /* something reads or writes it */
}

enum kp_kafka_outcome kp_kafka_delete_topics(struct kp_kafka_request *request)
{
    struct kp_kafka_reader *in = &request->in;
    struct kp_kafka_writer *out = &request->out;
    int32_t count = kp_kafka_get_array(in, 2);
    if (count > KP_KAFKA_NAMES_MAX)
        return KP_KAFKA_MALFORMED;
    struct kp_str *names = kp_arena_alloc(request->arena, (size_t)KP_MAX(count, 0) * sizeof *names);
    for (int32_t i = 0; i < count; i++)
        names[i] = kp_kafka_get_string(in);
    kp_kafka_get_i32(in);
    if (in->bad)
        return KP_KAFKA_MALFORMED;
    if (request->version >= 1)
        kp_kafka_put_i32(out, 0);
    kp_kafka_put_array(out, KP_MAX(count, 0));
    for (int32_t i = 0; i < count; i++) {
        kp_kafka_put_string(out, names[i].ptr ? names[i] : KP_STR(""));
        kp_kafka_put_i16(out, (int16_t)delete_one(request, names[i]));
    }
    return KP_KAFKA_ANSWERED;
}
