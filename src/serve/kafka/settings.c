/*
 * Topics' settings: DescribeConfigs, AlterConfigs, IncrementalAlterConfigs; CreateTopics asks here, too.
 *
 * Request   describe: [kind, name, [setting]] v1 synonyms v3 documentation
 *           alter: [kind, name, [setting, value]] only validate;  incremental: [kind, name, [setting, what, value]] …
 * Answer    describe: throttle | [error, message, kind, name, [setting, value, read only, v0 default / v1 source,
 *           sensitive, v1 [synonyms], v3 type, documentation]]
 *           alter: throttle | [error, message, kind, name]
 *
 * The first five are the topic's policy and go through ALTER TOPIC … SET. As in Kafka retention.bytes counts a
 * partition, kappa's retention_bytes the whole topic. Others may be set to what is the case anyway.
 */
#include <stdio.h>
#include <stdlib.h>

#include "serve/kafka/api.h"

enum { KIND_TOPIC = 2, SOURCE_TOPIC = 1, SOURCE_DEFAULT = 5 };
enum { OPERATION_SET, OPERATION_DELETE };
enum value_type { TYPE_BOOLEAN = 1, TYPE_STRING = 2, TYPE_INT = 3, TYPE_LONG = 5, TYPE_DOUBLE = 6, TYPE_LIST = 7 };
static const int64_t RETENTION_MS_MAX = 1000000000000000; /* 30,000 years: for ever */

static const struct setting {
    const char *name, *value; /* the default; what kappa follows without being told */
    enum value_type type;
    bool any; /* changes nothing here, whatever it is */
} settings[] = {
    {"cleanup.policy", "delete", TYPE_LIST, false},
    {"retention.ms", "-1", TYPE_LONG, false},
    {"retention.bytes", "-1", TYPE_LONG, false},
    {"delete.retention.ms", "86400000", TYPE_LONG, false},
    {"min.compaction.lag.ms", "0", TYPE_LONG, false},
    {"compression.type", "producer", TYPE_STRING, false},
    {"message.timestamp.type", "CreateTime", TYPE_STRING, false},
    {"min.insync.replicas", "1", TYPE_INT, false},
    {"segment.bytes", "1073741824", TYPE_INT, true},
    {"segment.ms", "604800000", TYPE_LONG, true},
    {"min.cleanable.dirty.ratio", "0.5", TYPE_DOUBLE, true},
    {"flush.messages", "1", TYPE_LONG, true},
    {"flush.ms", "0", TYPE_LONG, true},
    {"max.message.bytes", "16777216", TYPE_INT, true},
    {"unclean.leader.election.enable", "false", TYPE_BOOLEAN, true},
};
enum { CLEANUP_POLICY, RETENTION_MS, RETENTION_BYTES, DELETE_RETENTION_MS, COMPACTION_LAG_MS, POLICY_SETTINGS };

static const struct setting *find(struct kp_str name)
{
    for (size_t i = 0; i < KP_COUNT(settings); i++)
        if (kp_str_equal(name, kp_str(settings[i].name)))
            return &settings[i];
    return NULL;
}

static void put_option(struct kp_buf *with, const char *name)
{
    kp_buf_printf(with, "%s%s = ", with->len ? ", " : "", name);
}

/* A whole number of -1 or more. */
static bool read_number(struct kp_str text, int64_t *ret_number)
{
    char copy[24], *end;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    *ret_number = strtoll(copy, &end, 10);
    return *end == 0 && *ret_number >= -1;
}

static bool take_policy(struct kp_str value, struct kp_buf *with)
{
    bool compact = kp_str_equal(value, KP_STR("compact")) || kp_str_equal(value, KP_STR("compact,delete")) ||
                   kp_str_equal(value, KP_STR("delete,compact"));
    if (!compact && !kp_str_equal(value, KP_STR("delete")))
        return false;
    put_option(with, "compact");
    kp_buf_append_text(with, compact ? "true" : "false");
    return true;
}

bool kp_kafka_setting_take(struct kp_str name, struct kp_str value, uint32_t partitions, struct kp_buf *with)
{
    const struct setting *setting = find(name);
    if (!setting)
        return false;
    if (!value.ptr)
        value = kp_str(setting->value);
    int64_t number;
    if (setting == &settings[CLEANUP_POLICY])
        return take_policy(value, with);
    if (setting >= &settings[POLICY_SETTINGS])
        return setting->any || kp_str_equal(value, kp_str(setting->value));
    if (!read_number(value, &number))
        return false;
    if (setting == &settings[COMPACTION_LAG_MS]) {
        put_option(with, "compaction_lag");
        kp_buf_printf(with, "'%lld milliseconds'", (long long)KP_MIN(KP_MAX(number, (int64_t)0), RETENTION_MS_MAX));
        return true;
    }
    if (setting == &settings[RETENTION_MS] || setting == &settings[DELETE_RETENTION_MS]) {
        put_option(with, setting == &settings[RETENTION_MS] ? "retention" : "delete_retention");
        if (number < 0 || number > RETENTION_MS_MAX)
            kp_buf_append_text(with, "'forever'");
        else
            kp_buf_printf(with, "'%lld milliseconds'", (long long)number);
        return true;
    }
    put_option(with, "retention_bytes");
    kp_buf_printf(with, "'%lld'", number < 0 || number > INT64_MAX / partitions ? -1 : (long long)number * partitions);
    return true;
}

/* ---- DescribeConfigs ---- */

static const char *value_of(const struct setting *setting, const struct kp_topic_policy *policy, uint32_t partitions,
                            char *text, size_t size)
{
    if (setting == &settings[CLEANUP_POLICY])
        return !policy->compact                                            ? "delete"
               : policy->retention_us >= 0 || policy->retention_bytes >= 0 ? "compact,delete"
                                                                           : "compact";
    if (setting >= &settings[POLICY_SETTINGS])
        return setting->value;
    int64_t us = setting == &settings[RETENTION_MS]          ? policy->retention_us
                 : setting == &settings[DELETE_RETENTION_MS] ? policy->delete_retention_us
                                                             : policy->compaction_lag_us;
    int64_t number = us < 0 ? -1 : us / 1000;
    if (setting == &settings[RETENTION_BYTES])
        number = policy->retention_bytes >= 0 ? policy->retention_bytes / partitions : -1;
    snprintf(text, size, "%lld", (long long)number);
    return text;
}

static void put_setting(struct kp_kafka_request *request, const struct setting *setting, const char *value)
{
    struct kp_kafka_writer *out = &request->out;
    bool is_default = strcmp(value, setting->value) == 0;
    kp_kafka_put_text(out, setting->name);
    kp_kafka_put_text(out, value);
    kp_kafka_put_bool(out, setting >= &settings[POLICY_SETTINGS]); /* read only */
    if (request->version == 0)
        kp_kafka_put_bool(out, is_default);
    else
        kp_kafka_put_i8(out, is_default ? SOURCE_DEFAULT : SOURCE_TOPIC);
    kp_kafka_put_bool(out, false); /* sensitive */
    if (request->version >= 1)
        kp_kafka_put_array(out, 0); /* synonyms */
    if (request->version >= 3) {
        kp_kafka_put_i8(out, (int8_t)setting->type);
        kp_kafka_put_text(out, NULL);
    }
    kp_kafka_put_tags(out);
}

struct resource {
    int8_t kind;
    struct kp_str name;
    int32_t count; /* of names, or of pairs; -1: all */
    struct kp_str *names, *values;
    int8_t *operations;
};

static bool is_wanted(const struct resource *resource, const struct setting *setting)
{
    for (int32_t i = 0; i < resource->count; i++)
        if (kp_str_equal(resource->names[i], kp_str(setting->name)))
            return true;
    return resource->count < 0;
}

static enum kp_kafka_error find_topic(struct kp_kafka_request *request, const struct resource *resource,
                                      struct kp_topic_info *ret_info, struct kp_error *err)
{
    if (resource->kind != KIND_TOPIC) {
        kp_fail(err, KP_UNSUPPORTED, NULL,
                "only topics have settings here; the server's are its own (kappa help config)");
        return KP_KAFKA_INVALID_REQUEST;
    }
    return kp_kafka_topic(request, resource->name, false, ret_info, err) == KP_OK ? KP_KAFKA_NONE
                                                                                  : KP_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

static void describe(struct kp_kafka_request *request, const struct resource *resource)
{
    struct kp_kafka_writer *out = &request->out;
    struct kp_topic_info info;
    struct kp_error err;
    enum kp_kafka_error error = find_topic(request, resource, &info, &err);
    kp_kafka_put_i16(out, (int16_t)error);
    kp_kafka_put_text(out, error ? err.message : NULL);
    kp_kafka_put_i8(out, resource->kind);
    kp_kafka_put_string(out, resource->name.ptr ? resource->name : KP_STR(""));
    struct kp_topic_policy policy = {
        .retention_us = -1, .retention_bytes = -1, .delete_retention_us = KP_DELETE_RETENTION_US};
    if (!error && request->db)
        kp_db_topic_policy(request->db, info.id, &policy);
    int32_t count = 0;
    for (size_t i = 0; !error && i < KP_COUNT(settings); i++)
        count += is_wanted(resource, &settings[i]);
    kp_kafka_put_array(out, count);
    for (size_t i = 0; !error && i < KP_COUNT(settings); i++) {
        char text[32];
        if (is_wanted(resource, &settings[i]))
            put_setting(request, &settings[i], value_of(&settings[i], &policy, info.partitions, text, sizeof text));
    }
    kp_kafka_put_tags(out);
}

enum request_form { FORM_DESCRIBE, FORM_ALTER, FORM_INCREMENTAL };

static void read_resource(struct kp_kafka_request *request, enum request_form form, struct resource *resource)
{
    struct kp_kafka_reader *in = &request->in;
    *resource = (struct resource){.kind = kp_kafka_get_i8(in), .name = kp_kafka_get_string(in)};
    resource->count = kp_kafka_get_array(in, 1);
    if (resource->count > KP_KAFKA_NAMES_MAX)
        in->bad = true;
    size_t count = in->bad ? 0 : (size_t)KP_MAX(resource->count, 0);
    resource->names = kp_arena_calloc(request->arena, (count + 1) * sizeof *resource->names);
    resource->values = kp_arena_calloc(request->arena, (count + 1) * sizeof *resource->values);
    resource->operations = kp_arena_calloc(request->arena, count + 1);
    for (size_t i = 0; i < count; i++) {
        resource->names[i] = kp_kafka_get_string(in);
        if (form == FORM_INCREMENTAL)
            resource->operations[i] = kp_kafka_get_i8(in);
        if (form != FORM_DESCRIBE) {
            resource->values[i] = kp_kafka_get_string(in);
            kp_kafka_get_tags(in);
        }
    }
    kp_kafka_get_tags(in);
}

static bool read_resources(struct kp_kafka_request *request, enum request_form form, struct resource **ret_resources,
                           int32_t *ret_count)
{
    struct kp_kafka_reader *in = &request->in;
    *ret_count = kp_kafka_get_array(in, 4);
    *ret_count = KP_MAX(*ret_count, 0);
    if (*ret_count > KP_KAFKA_NAMES_MAX || in->bad)
        return false;
    *ret_resources = kp_arena_calloc(request->arena, ((size_t)*ret_count + 1) * sizeof **ret_resources);
    for (int32_t i = 0; i < *ret_count && !in->bad; i++)
        read_resource(request, form, &(*ret_resources)[i]);
    return !in->bad;
}

enum kp_kafka_outcome kp_kafka_describe_configs(struct kp_kafka_request *request)
{
    struct kp_kafka_reader *in = &request->in;
    struct resource *resources;
    int32_t count;
    if (!read_resources(request, FORM_DESCRIBE, &resources, &count))
        return KP_KAFKA_MALFORMED;
    if (request->version >= 1)
        kp_kafka_get_bool(in);
    if (request->version >= 3)
        kp_kafka_get_bool(in);
    kp_kafka_get_tags(in);
    if (in->bad)
        return KP_KAFKA_MALFORMED;
    kp_kafka_put_i32(&request->out, 0); /* throttle */
    kp_kafka_put_array(&request->out, count);
    for (int32_t i = 0; i < count; i++)
        describe(request, &resources[i]);
    kp_kafka_put_tags(&request->out);
    return KP_KAFKA_ANSWERED;
}

/* ---- AlterConfigs, IncrementalAlterConfigs ---- */

/* What the request says as options of ALTER TOPIC … SET. */
static enum kp_kafka_error options_of(const struct resource *resource, bool incremental, uint32_t partitions,
                                      struct kp_buf *with, struct kp_error *err)
{
    bool said[POLICY_SETTINGS] = {0};
    for (int32_t i = 0; i < resource->count; i++) {
        struct kp_str name = resource->names[i], value = resource->values[i];
        const struct setting *setting = find(name);
        size_t at = setting ? (size_t)(setting - settings) : KP_COUNT(settings);
        if (resource->operations[i] == OPERATION_DELETE)
            value.ptr = NULL;
        if (resource->operations[i] > OPERATION_DELETE || (at < POLICY_SETTINGS && said[at]) ||
            !kp_kafka_setting_take(name, value, partitions, with)) {
            kp_fail(err, KP_INVALID, NULL, "kappa does not follow the setting %.*s=%.*s",
                    (int)KP_MIN(name.len, (size_t)100), name.ptr ? name.ptr : "", (int)KP_MIN(value.len, (size_t)100),
                    value.ptr ? value.ptr : "");
            return KP_KAFKA_INVALID_CONFIG;
        }
        if (at < POLICY_SETTINGS)
            said[at] = true;
    }
    for (size_t i = 0; !incremental && i < POLICY_SETTINGS; i++) /* what is not said goes back to its default */
        if (!said[i])
            kp_kafka_setting_take(kp_str(settings[i].name), (struct kp_str){NULL, 0}, partitions, with);
    return KP_KAFKA_NONE;
}

static enum kp_kafka_error alter(struct kp_kafka_request *request, const struct resource *resource, bool incremental,
                                 bool validate_only, struct kp_error *err)
{
    struct kp_topic_info info;
    enum kp_kafka_error error = find_topic(request, resource, &info, err);
    if (error)
        return error;
    struct kp_buf with = {0}, text = {0};
    error = options_of(resource, incremental, info.partitions, &with, err);
    if (!error && with.len && !validate_only) {
        kp_buf_printf(&text, "ALTER TOPIC \"%s\" SET (%.*s)", info.name, (int)with.len, (const char *)with.data);
        enum kp_code code = kp_kafka_run_sql(request, (struct kp_str){(char *)text.data, text.len}, err);
        error = code == KP_INVALID || code == KP_UNSUPPORTED ? KP_KAFKA_INVALID_CONFIG : kp_kafka_error_of(code);
    }
    kp_buf_finish(&with);
    kp_buf_finish(&text);
    return error;
}

static enum kp_kafka_outcome alter_all(struct kp_kafka_request *request, bool incremental)
{
    struct kp_kafka_writer *out = &request->out;
    struct resource *resources;
    int32_t count;
    if (!read_resources(request, incremental ? FORM_INCREMENTAL : FORM_ALTER, &resources, &count))
        return KP_KAFKA_MALFORMED;
    bool validate_only = kp_kafka_get_bool(&request->in);
    kp_kafka_get_tags(&request->in);
    if (request->in.bad)
        return KP_KAFKA_MALFORMED;
    kp_kafka_put_i32(out, 0); /* throttle */
    kp_kafka_put_array(out, count);
    for (int32_t i = 0; i < count; i++) {
        struct kp_error err;
        kp_error_clear(&err);
        enum kp_kafka_error error = alter(request, &resources[i], incremental, validate_only, &err);
        kp_kafka_put_i16(out, (int16_t)error);
        kp_kafka_put_text(out, error ? err.message : NULL);
        kp_kafka_put_i8(out, resources[i].kind);
        kp_kafka_put_string(out, resources[i].name.ptr ? resources[i].name : KP_STR(""));
        kp_kafka_put_tags(out);
    }
    kp_kafka_put_tags(out);
    return KP_KAFKA_ANSWERED;
}

enum kp_kafka_outcome kp_kafka_alter_configs(struct kp_kafka_request *request)
{
    return alter_all(request, false);
}

enum kp_kafka_outcome kp_kafka_incremental_alter_configs(struct kp_kafka_request *request)
{
    return alter_all(request, true);
}
