/* The declaration's options and columns, as the decoder wants them. */
#include "flow/source.h"

#include "flow/check.h"
#include "sql/sql.h"

/* Records with a null value delete. */
static bool is_keyed(const struct kp_relation *relation)
{
    return relation->kind == KP_RELATION_TABLE || relation->versions_of;
}

static enum kp_format format_of(const struct kp_relation *relation)
{
    const char *format = kp_relation_option(relation, "format");
    if (!format || strcmp(format, "json") == 0)
        return KP_FORMAT_JSON;
    if (strcmp(format, "debezium") == 0)
        return KP_FORMAT_DEBEZIUM;
    if (strcmp(format, "avro") == 0)
        return KP_FORMAT_AVRO;
    if (strcmp(format, "protobuf") == 0)
        return KP_FORMAT_PROTOBUF;
    if (strcmp(format, "csv") == 0)
        return KP_FORMAT_CSV;
    return strcmp(format, "text") == 0 ? KP_FORMAT_TEXT : KP_FORMAT_RAW;
}

static enum kp_epoch_unit epoch_of(const struct kp_relation *relation)
{
    static const char *const units[] = {NULL, "seconds", "milliseconds", "microseconds", "nanoseconds"};
    const char *unit = kp_relation_option(relation, "epoch");
    for (size_t i = 1; unit && i < KP_COUNT(units); i++)
        if (strcmp(unit, units[i]) == 0)
            return (enum kp_epoch_unit)i;
    return KP_EPOCH_NONE;
}

/* A column's place among those that come from the value. */
static uint32_t csv_index(const struct kp_relation *relation, uint32_t column)
{
    uint32_t index = 0;
    for (uint32_t c = 0; c < column; c++)
        index += !relation->origins || relation->origins[c] == KP_FIELD_VALUE;
    return index;
}

static struct kp_field field_of(const struct kp_relation *relation, uint32_t column)
{
    struct kp_field field = {.name = relation->cols[column].name,
                             .type = relation->cols[column].type,
                             .csv_index = csv_index(relation, column)};
    if (relation->origins)
        field.origin = (enum kp_field_origin)relation->origins[column];
    if (relation->paths && relation->paths[column])
        field.path = relation->paths[column];
    for (uint32_t k = 0; field.origin == KP_FIELD_VALUE && k < relation->key_count; k++)
        if (relation->keys[k] == column)
            field.key_part = k + 1;
    return field;
}

/* ---- what rows must be ---- */

struct row_check {
    struct kp_checks *checks;
    uint32_t col_count, *places; /* where in the batch a column is that is checked; indexed by the relation's columns */
};

static void row_check_destroy(void *arg)
{
    struct row_check *check = arg;
    kp_checks_destroy(check->checks);
    kp_free(check->places);
    kp_free(check);
}

static void row_check_run(const void *arg, const struct kp_batch *batch, struct kp_arena *arena,
                          struct kp_row_error **ret_errors, uint32_t *ret_count)
{
    const struct row_check *check = arg;
    struct kp_batch row = {.rows = batch->rows, .cols = check->col_count};
    const uint32_t *columns;
    uint32_t count = kp_checks_columns(check->checks, &columns);
    row.vecs = kp_arena_calloc(arena, (check->col_count + 1) * sizeof *row.vecs);
    for (uint32_t i = 0; i < count; i++)
        row.vecs[columns[i]] = batch->vecs[check->places[columns[i]]];
    kp_checks_run(check->checks, KP_CHECKS_DOMAINS | KP_CHECKS_ROW, &row, arena, ret_errors, ret_count);
}

/* Adds the columns that only the check reads behind those that are wanted. */
static struct row_check *add_check(const struct kp_relation *relation, struct kp_field *fields, const uint32_t *wanted,
                                   uint32_t count, struct kp_decoder_options *options)
{
    struct kp_checks *checks = kp_checks_create(relation);
    const uint32_t *columns;
    if (!checks)
        return NULL;
    struct row_check *check = kp_calloc(1, sizeof *check);
    *check = (struct row_check){checks, relation->col_count, kp_calloc(relation->col_count, sizeof *check->places)};
    uint32_t read = kp_checks_columns(checks, &columns);
    for (uint32_t i = 0; i < read; i++) {
        uint32_t at = 0;
        while (at < count && wanted[at] != columns[i])
            at++;
        if (at == count) {
            at = options->field_count++;
            options->extra_count++;
            fields[at] = field_of(relation, columns[i]);
        }
        check->places[columns[i]] = at;
    }
    options->check = row_check_run;
    options->check_arg = check;
    options->check_destroy = row_check_destroy;
    return check;
}

static bool is_among(uint32_t column, const uint32_t *columns, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (columns[i] == column)
            return true;
    return false;
}

enum kp_code kp_source_decoder(const struct kp_relation *relation, const uint32_t *columns, uint32_t count,
                               const struct kp_zone *zone, const char *const *rivals, uint32_t rival_count,
                               struct kp_decoder **ret_decoder, struct kp_error *err)
{
    const char *header = kp_relation_option(relation, "header");
    bool csv_header = false;
    if (header)
        KP_TRY(kp_sql_option_bool("header", header, &csv_header, err));
    struct kp_field *fields = kp_calloc(count + relation->col_count + 1, sizeof *fields);
    struct kp_decoder_options options = {.fields = fields, .field_count = count};
    for (uint32_t c = 0; c < count; c++)
        fields[c] = field_of(relation, columns[c]);
    struct row_check *check = add_check(relation, fields, columns, count, &options);
    const uint32_t *checked = NULL;
    uint32_t checked_count = check ? kp_checks_columns(check->checks, &checked) : 0;
    /* The other declared columns are checked too: which records are dead letters is the source's affair, not the
     * reader's. */
    for (uint32_t c = 0; c < relation->col_count; c++) {
        bool other = relation->origins && relation->origins[c] != KP_FIELD_VALUE;
        if (other || is_among(c, columns, count) || is_among(c, checked, checked_count))
            continue;
        fields[options.field_count] = field_of(relation, c);
        fields[options.field_count++].checked = true;
    }
    const char *delimiter = kp_relation_option(relation, "delimiter");
    const char *quote = kp_relation_option(relation, "quote"), *escape = kp_relation_option(relation, "escape");
    const char *framing = kp_relation_option(relation, "framing");
    const char *missing = kp_relation_option(relation, "missing"), *extra = kp_relation_option(relation, "extra");
    options.format = format_of(relation);
    options.path = kp_relation_option(relation, "path");
    options.schema = kp_relation_option(relation, "schema");
    options.writer_schema = kp_relation_option(relation, "writer_schema");
    options.writer_schemas = kp_relation_option(relation, "writer_schemas");
    options.message = kp_relation_option(relation, "message");
    options.confluent = framing && strcmp(framing, "confluent") == 0;
    const char *precision = kp_relation_option(relation, "time_precision_mode");
    const char *decimals = kp_relation_option(relation, "decimal_handling_mode");
    options.time_precision = !precision || strcmp(precision, "adaptive") == 0 ? KP_TIME_PRECISION_ADAPTIVE
                             : strcmp(precision, "connect") == 0              ? KP_TIME_PRECISION_CONNECT
                                                                              : KP_TIME_PRECISION_MICROS;
    options.decimals_precise = decimals && strcmp(decimals, "precise") == 0;
    const char *binaries = kp_relation_option(relation, "binary_handling_mode");
    options.bytes_hex = binaries && strcmp(binaries, "hex") == 0;
    options.epoch = epoch_of(relation);
    options.pattern = kp_relation_option(relation, "pattern");
    options.missing_fails = missing ? strcmp(missing, "error") == 0 : options.format == KP_FORMAT_CSV;
    options.extra_fails = extra && strcmp(extra, "error") == 0;
    options.rivals = rivals;
    options.rival_count = rival_count;
    options.keyed = is_keyed(relation);
    options.truncates = relation->kind == KP_RELATION_TABLE;
    options.csv_delimiter = delimiter ? delimiter[0] : '\0';
    options.csv_quote = quote ? quote[0] : '\0';
    options.csv_escape = escape ? escape[0] : '\0';
    options.csv_header = csv_header;
    options.csv_null = kp_relation_option(relation, "null");
    options.zone = zone;
    enum kp_code code = kp_decoder_create(&options, ret_decoder, err);
    if (code != KP_OK && check)
        row_check_destroy(check);
    kp_free(fields);
    return code;
}

static void put_text(struct kp_buf *out, const char *text)
{
    kp_buf_append(out, text ? text : "", text ? strlen(text) + 1 : 1);
}

/* Also their order and what they are called: reasons of dead letters are kept with the columns. */
static void put_checks(const struct kp_relation *relation, struct kp_buf *out)
{
    bool any = relation->check_count > 0;
    for (uint32_t c = 0; c < relation->col_count; c++) {
        if (!relation->cols[c].not_null)
            continue;
        any = true;
        kp_buf_append_be32(out, c);
        kp_buf_append_text(out, "not null");
    }
    for (uint32_t i = 0; i < relation->check_count; i++) {
        kp_expr_print(relation->checks[i].expr, relation->cols, out);
        put_text(out, relation->checks[i].name);
    }
    if (any)
        put_text(out, relation->name);
}

/* How records of before an ALTER TABLE are read. */
static void put_former(const struct kp_relation *relation, struct kp_buf *out)
{
    const struct kp_relation *table = relation->versions_of ? relation->versions_of : relation;
    if (!table->former)
        return;
    struct kp_hash128 former = kp_source_declaration(table->former);
    int64_t since = atomic_load(&table->since);
    kp_buf_append(out, &former, sizeof former);
    kp_buf_append_be32(out, (uint32_t)((uint64_t)since >> 32));
    kp_buf_append_be32(out, (uint32_t)since);
    for (uint32_t c = 0; c < table->col_count; c++) {
        kp_buf_append_be32(out, (uint32_t)table->former_columns[c]);
        if (table->former_columns[c] < 0 && !table->absent[c].null)
            kp_value_print(table->absent[c].type, table->absent[c].raw, NULL, out);
        kp_buf_append_byte(out, table->former_columns[c] < 0 && table->absent[c].null);
    }
}

/* Types by their names, not numbers: those may change from release to release. */
struct kp_hash128 kp_source_declaration(const struct kp_relation *relation)
{
    struct kp_buf all = {0};
    kp_buf_append_be32(&all, KP_DECODER_VERSION);
    kp_buf_append_byte(&all, is_keyed(relation));
    for (uint32_t c = 0; c < relation->col_count; c++) {
        put_text(&all, relation->cols[c].name);
        kp_type_print(relation->cols[c].type, &all);
        kp_buf_append_byte(&all, 0);
        kp_buf_append_byte(&all, relation->origins ? relation->origins[c] : 0);
        put_text(&all, relation->paths ? relation->paths[c] : NULL);
    }
    for (uint32_t k = 0; k < relation->key_count; k++)
        kp_buf_append_be32(&all, relation->keys[k]);
    put_checks(relation, &all);
    for (uint32_t i = 0; i < relation->option_count; i++)
        if (strcmp(relation->options[i].name, "topic") != 0 && strcmp(relation->options[i].name, "max_ahead") != 0 &&
            strcmp(relation->options[i].name, "idle_timeout") != 0) {
            put_text(&all, relation->options[i].name);
            put_text(&all, relation->options[i].value);
        }
    put_former(relation, &all);
    struct kp_hash128 hash = kp_hash128_bytes(all.data, all.len);
    kp_buf_finish(&all);
    return hash;
}

static enum kp_code parse_duration(const char *text, int64_t *ret_us, struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_interval interval;
    enum kp_code code = kp_value_parse(KP_TYPE(KP_INTERVAL), kp_str(text), NULL, &arena, &interval, err);
    kp_arena_finish(&arena);
    KP_TRY(code);
    *ret_us = interval.us + (interval.days + 30 * (int64_t)interval.months) * 86400000000;
    return KP_OK;
}

enum kp_code kp_source_max_ahead(const struct kp_relation *relation, int64_t usual_us, int64_t *ret_max_ahead_us,
                                 struct kp_error *err)
{
    const char *text = kp_relation_option(relation, "max_ahead");
    *ret_max_ahead_us = !text && usual_us > 0 ? usual_us : INT64_MAX;
    return text && strcmp(text, "none") != 0 ? parse_duration(text, ret_max_ahead_us, err) : KP_OK;
}

enum kp_code kp_source_idle_timeout(const struct kp_relation *relation, int64_t *ret_idle_us, struct kp_error *err)
{
    const char *text = kp_relation_option(relation, "idle_timeout");
    *ret_idle_us = INT64_MAX;
    return text ? parse_duration(text, ret_idle_us, err) : KP_OK;
}

int64_t kp_source_event_time(const struct kp_vec *vec, uint32_t row)
{
    if (kp_vec_is_null(vec, row))
        return INT64_MIN;
    if (vec->type.id == KP_DATE) {
        int32_t days = *(const int32_t *)kp_vec_at(vec, row);
        return days == INT32_MIN || days == INT32_MAX ? INT64_MIN : (int64_t)days * 86400000000;
    }
    int64_t time_us = *(const int64_t *)kp_vec_at(vec, row);
    return time_us == INT64_MAX ? INT64_MIN : time_us;
}
