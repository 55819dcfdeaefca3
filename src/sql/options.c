/*
 * The options of WITH (…): one table says which exist, for what, and how their values are written.
 */
#include "sql/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "sql/elsewhere.h"
#include "sql/parse.h"
#include "sql/sql.h"

enum value_kind { VALUE_TEXT, VALUE_BOOL, VALUE_INT, VALUE_DURATION, VALUE_BYTES, VALUE_CHAR, VALUE_CHOICE };

static const struct option_rule {
    const char *name;
    unsigned owners;
    enum value_kind kind;
    int64_t min, max;    /* of VALUE_INT */
    const char *choices; /* of VALUE_CHOICE, and words that a duration may be: separated by blanks */
    const char *doc;
} rules[] = {
    {"topic", KP_OPTION_SOURCE | KP_OPTION_TABLE | KP_OPTION_SINK, VALUE_TEXT, 0, 0, NULL,
     "the topic; else the object's name; made with one partition if it is missing"},
    {"format", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_CHOICE, 0, 0, "json csv text raw debezium avro protobuf",
     "how a record is written; else json; text and raw: the whole record is each column's value; debezium, of a table: "
     "change events; avro, protobuf: by the option schema"},
    {"path", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_TEXT, 0, 0, NULL,
     "a member of each JSON record whose object makes the row; absent or null: no row"},
    {"delimiter", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_CHAR, 0, 0, NULL, "of CSV; else a comma"},
    {"quote", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_CHAR, 0, 0, NULL, "of CSV; else the double quote"},
    {"escape", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_CHAR, 0, 0, NULL,
     "of CSV: what stands before a quote in a quoted field; else the quote itself"},
    {"null", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_TEXT, 0, 0, NULL,
     "of CSV: the text that means NULL; else the empty field without quotes"},
    {"header", KP_OPTION_SOURCE, VALUE_BOOL, 0, 0, NULL, "of CSV: the first record of each partition is no row"},
    {"pattern", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_TEXT, 0, 0, NULL,
     "of text: a regular expression (RE2) that the whole record must match; columns take the groups (?P<name>…) of "
     "their name, NULL where a group took no part; what does not match is a dead letter"},
    {"schema", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_TEXT, 0, 0, NULL,
     "of avro: the schema, as JSON; of debezium: the same, of envelopes in Avro; of protobuf: the text of a .proto "
     "file; or 'file:path'"},
    {"writer_schema", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_TEXT, 0, 0, NULL,
     "of avro: how records were written, if not as schema says"},
    {"writer_schemas", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_TEXT, 0, 0, NULL,
     "of avro: the same, as a JSON object of schemas by the id in the registry's header"},
    {"message", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_TEXT, 0, 0, NULL,
     "of protobuf: the message's name, with its package or without; else the first of the file"},
    {"framing", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_CHOICE, 0, 0, "none confluent",
     "of avro and protobuf: whether a schema registry's header (a zero byte and the schema's id) stands before each "
     "record; else none"},
    {"time_precision_mode", KP_OPTION_TABLE, VALUE_CHOICE, 0, 0, "adaptive adaptive_time_microseconds connect",
     "of debezium, for records without their schema: as the connector's time.precision.mode; else adaptive"},
    {"decimal_handling_mode", KP_OPTION_TABLE, VALUE_CHOICE, 0, 0, "string double precise",
     "of debezium, for records without their schema: as the connector's decimal.handling.mode; precise: numeric "
     "columns "
     "need their scale; else numbers are JSON's, or texts"},
    {"binary_handling_mode", KP_OPTION_TABLE, VALUE_CHOICE, 0, 0, "bytes base64 base64-url-safe hex",
     "of debezium: as the connector's binary.handling.mode; else bytes, which is base64 in JSON"},
    {"epoch", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_CHOICE, 0, 0, "seconds milliseconds microseconds nanoseconds",
     "what a number in the place of a timestamp counts since 1970-01-01 00:00 UTC; else it makes the record a dead "
     "letter"},
    {"missing", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_CHOICE, 0, 0, "null error",
     "a declared field that a record lacks is NULL (else this, of JSON), or makes the record a dead letter (of CSV)"},
    {"extra", KP_OPTION_SOURCE | KP_OPTION_TABLE, VALUE_CHOICE, 0, 0, "ignore error",
     "a member or field that no column takes is ignored (else this), or makes the record a dead letter"},
    {"max_ahead", KP_OPTION_SOURCE, VALUE_DURATION, 0, 0, "none",
     "with a watermark: how far an event time may be ahead of the log's time, else a day (kappa run: none); beyond it "
     "the record is a dead letter, so that one wrong clock does not make all others late"},
    {"idle_timeout", KP_OPTION_SOURCE, VALUE_DURATION, 0, 0, NULL,
     "with a watermark: a partition in which nothing has come for so long, while something came in another, no longer "
     "holds the watermark up; else it always does"},
    {"partitions", KP_OPTION_SOURCE | KP_OPTION_TABLE | KP_OPTION_SINK | KP_OPTION_TOPIC, VALUE_INT, 1,
     KP_PARTITIONS_MAX, NULL, "of a topic that is made; else 1"},
    {"retention", KP_OPTION_TOPIC, VALUE_DURATION, 0, 0, "forever",
     "how long after it was logged a record is kept; else for ever"},
    {"retention_bytes", KP_OPTION_TOPIC, VALUE_BYTES, 0, 0, NULL, "how much is kept at least; else all"},
    {"compact", KP_OPTION_TOPIC, VALUE_BOOL, 0, 0, NULL,
     "of each key only the latest record is kept: cleanup = 'compact'"},
    {"cleanup", KP_OPTION_TOPIC, VALUE_CHOICE, 0, 0, "delete compact compact,delete delete,compact",
     "whether old records go (else this), of each key only the latest record is kept, or both"},
    {"delete_retention", KP_OPTION_TOPIC, VALUE_DURATION, 0, 0, "forever",
     "compacted: how old a deletion must be to go, too; else a day"},
    {"compaction_lag", KP_OPTION_TOPIC, VALUE_DURATION, 0, 0, NULL, "compacted: younger records stay; else none do"},
    {"format", KP_OPTION_SINK, VALUE_CHOICE, 0, 0, "changes upsert debezium", "how changes are written; else changes"},
    {"partition_by", KP_OPTION_SINK, VALUE_TEXT, 0, 0, NULL,
     "of changes: the columns that decide a record's partition"},
    {"lateness", KP_OPTION_VIEW, VALUE_DURATION, 0, 0, NULL,
     "rows of its sources that come later than this after the watermark are left out; else none are"},
    {"progress", KP_OPTION_SUBSCRIBE, VALUE_BOOL, 0, 0, NULL, "whether positions without changes are told, too"},
    {"snapshot", KP_OPTION_SUBSCRIBE, VALUE_BOOL, 0, 0, NULL, "whether the rows that are there come first"},
};

enum kp_code kp_sql_option_bool(const char *name, const char *value, bool *ret_value, struct kp_error *err)
{
    static const char *const yes[] = {"true", "on", "yes", "1", "t", "y"}, *const no[] = {"false", "off", "no",
                                                                                          "0",     "f",   "n"};
    for (size_t i = 0; i < KP_COUNT(yes); i++) {
        if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
            *ret_value = strcasecmp(value, yes[i]) == 0;
            return KP_OK;
        }
    }
    return kp_fail(err, KP_INVALID, "22023", "parameter \"%s\" requires a Boolean value", name);
}

enum kp_code kp_sql_option_int(const char *name, const char *value, int64_t min, int64_t max, int64_t *ret_value,
                               struct kp_error *err)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (end == value || *end || errno)
        return kp_fail(err, KP_INVALID, "22023", "parameter \"%s\" requires an integer value, not \"%s\"", name, value);
    if (number < min || number > max)
        return kp_fail(err, KP_INVALID, "22023", "%s is outside the valid range for parameter \"%s\" (%lld .. %lld)",
                       value, name, (long long)min, (long long)max);
    *ret_value = number;
    return KP_OK;
}

enum kp_code kp_sql_option_bytes(const char *name, const char *value, int64_t *ret_bytes, struct kp_error *err)
{
    static const struct {
        const char *unit;
        int shift;
    } units[] = {{"", 0},     {"B", 0},   {"kB", 10},  {"KB", 10}, {"KiB", 10}, {"MB", 20},
                 {"MiB", 20}, {"GB", 30}, {"GiB", 30}, {"TB", 40}, {"TiB", 40}};
    if (strcmp(value, "unlimited") == 0 || strcmp(value, "-1") == 0) {
        *ret_bytes = -1;
        return KP_OK;
    }
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    bool well = end != value && errno == 0 && number >= 0;
    while (well && *end == ' ')
        end++;
    for (size_t i = 0; well && i < KP_COUNT(units); i++)
        if (strcmp(end, units[i].unit) == 0 && number <= INT64_MAX >> units[i].shift) {
            *ret_bytes = (int64_t)number << units[i].shift;
            return KP_OK;
        }
    kp_fail(err, KP_INVALID, "22023", "parameter \"%s\" requires a size, not \"%s\"", name, value);
    return kp_error_hint(err,
                         "Valid units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB, of 1024 both; or 'unlimited'.");
}

static bool in_words(const char *words, const char *value)
{
    size_t len = strlen(value);
    while (words && *words) {
        size_t word = strcspn(words, " ");
        if (word == len && memcmp(words, value, len) == 0)
            return true;
        words += word + (words[word] == ' ');
    }
    return false;
}

static enum kp_code check_duration(const char *name, const char *value, struct kp_arena *arena, struct kp_error *err)
{
    uint8_t interval[16];
    struct kp_error inner;
    if (kp_value_parse(KP_TYPE(KP_INTERVAL), kp_str(value), NULL, arena, interval, &inner) == KP_OK)
        return KP_OK;
    return kp_fail(err, KP_INVALID, "22023", "parameter \"%s\" requires a duration like '10 seconds', not \"%s\"", name,
                   value);
}

static enum kp_code check_value(const struct option_rule *rule, const char *value, struct kp_arena *arena,
                                struct kp_error *err)
{
    bool flag;
    int64_t number;
    switch (rule->kind) {
    case VALUE_TEXT:
        return KP_OK;
    case VALUE_BOOL:
        return kp_sql_option_bool(rule->name, value, &flag, err);
    case VALUE_INT:
        return kp_sql_option_int(rule->name, value, rule->min, rule->max, &number, err);
    case VALUE_DURATION:
        return in_words(rule->choices, value) ? KP_OK : check_duration(rule->name, value, arena, err);
    case VALUE_BYTES:
        return kp_sql_option_bytes(rule->name, value, &number, err);
    case VALUE_CHAR:
        if (strlen(value) == 1)
            return KP_OK;
        return kp_fail(err, KP_INVALID, "22023", "parameter \"%s\" must be a single one-byte character", rule->name);
    case VALUE_CHOICE:
        if (in_words(rule->choices, value))
            return KP_OK;
        kp_fail(err, KP_INVALID, "22023", "invalid value for parameter \"%s\": \"%s\"", rule->name, value);
        return kp_error_hint(err, "Available values: %s.", rule->choices);
    }
    return KP_OK;
}

/* A parameter that something else has: what, and else which ones this has. */
static void hint_owner(const char *name, enum kp_option_owner owner, struct kp_error *err)
{
    static const struct {
        enum kp_option_owner owner;
        const char *words;
    } owners[] = {{KP_OPTION_TOPIC, "a topic: CREATE TOPIC … WITH (…), ALTER TOPIC … SET (…)"},
                  {KP_OPTION_TABLE, "a table: CREATE TABLE … WITH (…)"},
                  {KP_OPTION_SOURCE, "a source: CREATE SOURCE … WITH (…)"},
                  {KP_OPTION_VIEW, "a view: CREATE MATERIALIZED VIEW … WITH (…)"},
                  {KP_OPTION_SINK, "a sink: CREATE SINK … WITH (…)"},
                  {KP_OPTION_SUBSCRIBE, "a subscription: SUBSCRIBE … WITH (…)"}};
    char all[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < KP_COUNT(rules); i++) {
        for (size_t o = 0; strcmp(rules[i].name, name) == 0 && o < KP_COUNT(owners); o++)
            if (rules[i].owners & (unsigned)owners[o].owner) {
                kp_error_hint(err, "It is a parameter of %s.", owners[o].words);
                return;
            }
        if (rules[i].owners & (unsigned)owner && used < sizeof all)
            used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "", rules[i].name);
    }
    kp_error_hint(err, "Available parameters: %s.", all);
}

static enum kp_code check_option(const struct kp_statement *statement, uint32_t index, enum kp_option_owner owner,
                                 struct kp_error *err)
{
    const struct kp_option *option = &statement->options[index];
    const char *like = NULL;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < KP_COUNT(rules); i++) {
        if (!(rules[i].owners & (unsigned)owner))
            continue;
        if (strcmp(rules[i].name, option->name) == 0)
            return check_value(&rules[i], option->value, statement->arena, err);
        size_t distance = kp_sql_distance(kp_str(option->name), kp_str(rules[i].name));
        if (distance < best) {
            best = distance;
            like = rules[i].name;
        }
    }
    kp_fail(err, KP_INVALID, "22023", "unrecognized parameter \"%s\"", option->name);
    if (kp_elsewhere_option(option->name, err))
        return KP_INVALID;
    if (like && best <= strlen(option->name) / 3 + 1)
        kp_error_hint(err, "Perhaps you meant \"%s\".", like);
    else
        hint_owner(option->name, owner, err);
    return KP_INVALID;
}

void kp_sql_point_at_option(const struct kp_statement *statement, uint32_t option, struct kp_error *err)
{
    kp_error_at(err, statement->text, statement->option_locations[option]);
}

enum kp_code kp_sql_check_options(const struct kp_statement *statement, enum kp_option_owner owner,
                                  struct kp_error *err)
{
    for (uint32_t i = 0; i < statement->option_count; i++) {
        enum kp_code code = check_option(statement, i, owner, err);
        if (code != KP_OK) {
            kp_sql_point_at_option(statement, i, err);
            return code;
        }
    }
    return KP_OK;
}

enum kp_code kp_sql_check_topic(const struct kp_statement *statement, struct kp_error *err)
{
    return kp_sql_check_options(statement, KP_OPTION_TOPIC, err);
}

static void print_owners(unsigned owners, struct kp_buf *out)
{
    static const char *const names[] = {"source", "table", "view", "sink", "topic", "subscribe"};
    const char *comma = "";
    for (size_t i = 0; i < KP_COUNT(names); i++)
        if (owners & 1u << i) {
            kp_buf_printf(out, "%s%s", comma, names[i]);
            comma = ", ";
        }
}

static void print_value(const struct option_rule *rule, struct kp_buf *out)
{
    static const char *const kinds[] = {"text", "boolean", "integer", "duration", "size", "one character", ""};
    kp_buf_append_text(out, kinds[rule->kind]);
    if (rule->kind == VALUE_INT)
        kp_buf_printf(out, ", %lld to %lld", (long long)rule->min, (long long)rule->max);
    if (rule->kind == VALUE_DURATION && rule->choices)
        kp_buf_append_text(out, " or ");
    for (const char *at = rule->choices ? rule->choices : ""; *at; at++)
        *at == ' ' ? kp_buf_append_text(out, " | ") : kp_buf_append_byte(out, (uint8_t)*at);
}

bool kp_sql_option_describe(size_t index, const char **ret_name, struct kp_buf *owners, struct kp_buf *value,
                            const char **ret_doc)
{
    if (index >= KP_COUNT(rules))
        return false;
    *ret_name = rules[index].name;
    *ret_doc = rules[index].doc;
    print_owners(rules[index].owners, owners);
    print_value(&rules[index], value);
    return true;
}

/* ---- what fits together ---- */

enum kp_code kp_sql_check_fitting(const struct kp_relation *relation, struct kp_error *err)
{
    static const struct {
        const char *option, *formats; /* between blanks; others are the decoder's to refuse */
    } fitting[] = {{"delimiter", " csv "},
                   {"null", " csv "},
                   {"header", " csv "},
                   {"schema", " avro debezium protobuf "},
                   {"message", " protobuf "},
                   {"framing", " avro debezium protobuf "},
                   {"time_precision_mode", " debezium "},
                   {"decimal_handling_mode", " debezium "},
                   {"binary_handling_mode", " debezium "}};
    static const char *const timing[] = {"max_ahead", "idle_timeout"};
    const char *format = kp_relation_option(relation, "format");
    char word[32];
    if (relation->kind != KP_RELATION_SOURCE && relation->kind != KP_RELATION_TABLE)
        return KP_OK;
    snprintf(word, sizeof word, " %s ", format ? format : "json");
    for (size_t i = 0; i < KP_COUNT(fitting); i++)
        if (kp_relation_option(relation, fitting[i].option) && !strstr(fitting[i].formats, word))
            return kp_fail(err, KP_INVALID, "22023", "option \"%s\" is for format%s%.*s", fitting[i].option,
                           strchr(fitting[i].formats + 1, ' ')[1] ? "s" : "", (int)strlen(fitting[i].formats) - 1,
                           fitting[i].formats);
    for (size_t i = 0; i < KP_COUNT(timing); i++)
        if (kp_relation_option(relation, timing[i]) && relation->watermark_column < 0) {
            (void)kp_fail(err, KP_INVALID, "22023", "option \"%s\" is for sources with a watermark", timing[i]);
            return kp_error_hint(err, "WATERMARK FOR column AS column - INTERVAL '…' declares one.");
        }
    return KP_OK;
}
