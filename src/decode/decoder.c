/*
 * Making a decoder: columns, and for JSON the tree of the objects in which something is wanted.
 *
 * The tree's first nodes are the path from the record to the object that makes the row; below that one lie the nodes of
 * dotted names. A dotted name is also wanted as it stands, as one member's name: then it beats the nested one.
 *
 * Invariants: node ids are dense, parents before children; want ids are dense; in a want's list the columns that are
 * named so as a whole come before those of dotted names.
 */
#include "decode/internal.h"
#include "vec/jsonb.h"
#include "decode/re2_shim.h"

enum { SEGMENT_BYTES_MAX = 255 };

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Of the first 8 bytes, case folded roughly (by the bit that tells letters' cases), and the length. */
static uint32_t folded_hash(struct kp_str name)
{
    uint64_t head = 0;
    memcpy(&head, name.ptr, name.len < 8 ? name.len : 8);
    return (uint32_t)(((head | 0x2020202020202020u) + name.len) * 0x9e3779b97f4a7c15u >> 40);
}

bool kp_json_name_folded_equal(struct kp_str a, struct kp_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (fold(a.ptr[i]) != fold(b.ptr[i]))
            return false;
    return true;
}

struct kp_json_want *kp_json_node_find(const struct kp_json_node *node, struct kp_str name, bool *ret_exact)
{
    if (name.len > SEGMENT_BYTES_MAX || node->want_count == 0)
        return NULL;
    struct kp_json_want *folded = NULL;
    for (uint32_t at = folded_hash(name);; at++) {
        uint16_t entry = node->table[at & node->table_mask];
        if (entry == 0)
            break;
        struct kp_json_want *want = &node->wants[entry - 1];
        if (kp_str_equal(want->name, name)) {
            *ret_exact = true;
            return want;
        }
        if (!want->exact_only && kp_json_name_folded_equal(want->name, name))
            folded = want;
    }
    *ret_exact = false;
    return folded;
}

static struct kp_json_node *add_node(struct kp_decoder *decoder)
{
    struct kp_json_node *node = kp_arena_calloc(&decoder->arena, sizeof *node);
    struct kp_json_node **nodes =
        kp_arena_alloc(&decoder->arena, (decoder->node_count + 1) * sizeof(struct kp_json_node *));
    if (decoder->node_count)
        memcpy(nodes, decoder->nodes, decoder->node_count * sizeof(struct kp_json_node *));
    node->id = decoder->node_count;
    nodes[decoder->node_count++] = node;
    decoder->nodes = nodes;
    return node;
}

/* The want of exactly this name, added if it is new. The pointer is good until the next want is added to the node. */
static struct kp_json_want *add_want(struct kp_decoder *decoder, struct kp_json_node *node, struct kp_str name)
{
    for (uint32_t i = 0; i < node->want_count; i++)
        if (kp_str_equal(node->wants[i].name, name))
            return &node->wants[i];
    struct kp_json_want *wants = kp_arena_calloc(&decoder->arena, (node->want_count + 1) * sizeof *wants);
    if (node->want_count)
        memcpy(wants, node->wants, node->want_count * sizeof *wants);
    node->wants = wants;
    struct kp_json_want *want = &wants[node->want_count++];
    want->name = name;
    want->id = decoder->want_count++;
    return want;
}

static void add_column(struct kp_decoder *decoder, struct kp_json_want *want, uint32_t column, bool literal)
{
    uint32_t *columns = kp_arena_alloc(&decoder->arena, (want->column_count + 1) * sizeof *columns);
    if (want->column_count)
        memcpy(columns, want->columns, want->column_count * sizeof *columns);
    columns[want->column_count++] = column;
    want->columns = columns;
    want->literal_count += literal;
}

/* Goes down a dotted name from node, making nodes; the want of its last part. KP_INVALID for empty or overlong parts.
 */
static enum kp_code descend(struct kp_decoder *decoder, struct kp_json_node *node, struct kp_str name,
                            struct kp_json_want **ret_want, struct kp_error *err)
{
    for (;;) {
        const char *dot = name.len ? memchr(name.ptr, '.', name.len) : NULL;
        struct kp_str part = {name.ptr, dot ? (size_t)(dot - name.ptr) : name.len};
        if (part.len == 0 || part.len > SEGMENT_BYTES_MAX)
            return kp_fail(err, KP_INVALID, "42602", "a part of the dotted name \"%s\" is %s", name.ptr,
                           part.len ? "longer than 255 bytes" : "empty");
        struct kp_json_want *want = add_want(decoder, node, part);
        if (!dot) {
            *ret_want = want;
            return KP_OK;
        }
        if (!want->child) {
            struct kp_json_node *child = add_node(decoder);
            want->child = child;
        }
        node = want->child;
        name = (struct kp_str){dot + 1, name.len - part.len - 1};
    }
}

static void finish_node(struct kp_decoder *decoder, struct kp_json_node *node)
{
    if (node->want_count == 0)
        return;
    uint32_t size = 16;
    while (size < node->want_count * 2)
        size *= 2;
    node->table = kp_arena_calloc(&decoder->arena, size * sizeof *node->table);
    node->table_mask = size - 1;
    for (uint32_t i = 0; i < node->want_count; i++) {
        for (uint32_t k = 0; k < i; k++)
            if (kp_json_name_folded_equal(node->wants[i].name, node->wants[k].name))
                node->wants[i].exact_only = node->wants[k].exact_only = true;
        uint32_t at = folded_hash(node->wants[i].name);
        while (node->table[at & node->table_mask])
            at++;
        node->table[at & node->table_mask] = (uint16_t)(i + 1);
    }
}

static enum kp_code build_tree(struct kp_decoder *decoder, const char *path, struct kp_error *err)
{
    struct kp_json_node *row = add_node(decoder);
    if (path && *path) {
        struct kp_json_want *want;
        KP_TRY(descend(decoder, row, kp_str(kp_arena_strdup(&decoder->arena, path)), &want, err));
        row = want->child = add_node(decoder);
    }
    row->row = true;
    decoder->path_nodes = decoder->node_count;
    for (uint32_t i = 0; i < decoder->rival_count; i++)
        if (row == decoder->nodes[0] || kp_json_name_folded_equal(decoder->rivals[i], decoder->nodes[0]->wants[0].name))
            decoder->rivals_always |= 1u << i;
    for (uint32_t i = 0; i < decoder->column_count; i++) {
        struct kp_str name = kp_str(decoder->columns[i].name);
        if (decoder->columns[i].origin != KP_FIELD_VALUE)
            continue;
        if (name.len > SEGMENT_BYTES_MAX)
            return kp_fail(err, KP_LIMIT, NULL, "the field name \"%.60s…\" is longer than 255 bytes", name.ptr);
        add_column(decoder, add_want(decoder, row, name), i, true);
    }
    for (uint32_t i = 0; i < decoder->column_count; i++) {
        struct kp_str name = kp_str(decoder->columns[i].name);
        struct kp_json_want *want;
        if (decoder->columns[i].origin != KP_FIELD_VALUE || !memchr(name.ptr, '.', name.len))
            continue;
        /* "a..b" can only be meant as one name. */
        if (name.ptr[0] == '.' || name.ptr[name.len - 1] == '.' || strstr(name.ptr, ".."))
            continue;
        KP_TRY(descend(decoder, row, name, &want, err));
        add_column(decoder, want, i, false);
    }
    for (uint32_t i = 0; i < decoder->node_count; i++)
        finish_node(decoder, decoder->nodes[i]);
    /* A chain of nodes is at most some 256 long, two names of 255 bytes, however many nodes there are; and one object
     * below it is unwanted, but its names are learned. */
    decoder->skip_depth_max = KP_JSON_DEPTH_MAX - KP_MIN(decoder->node_count + 1, (uint32_t)500);
    return KP_OK;
}

enum kp_decode_conv kp_decode_conv_of(struct kp_type type)
{
    switch (type.id) {
    case KP_BOOL:
        return KP_CONV_BOOL;
    case KP_INT2:
        return KP_CONV_INT2;
    case KP_INT4:
        return KP_CONV_INT4;
    case KP_INT8:
        return KP_CONV_INT8;
    case KP_FLOAT4:
        return KP_CONV_FLOAT4;
    case KP_FLOAT8:
        return KP_CONV_FLOAT8;
    case KP_NUMERIC:
        return type.mod < 0 ? KP_CONV_NUMERIC : KP_CONV_PARSE;
    case KP_TEXT:
    case KP_VARCHAR:
        return type.mod < 0 ? KP_CONV_TEXT : KP_CONV_PARSE;
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
        return KP_CONV_TIMESTAMP;
    case KP_JSON:
        return KP_CONV_JSON;
    default:
        return KP_CONV_PARSE;
    }
}

/* The type that a column of this origin must have; NONE: any. */
static enum kp_type_id origin_type(enum kp_field_origin origin)
{
    switch (origin) {
    case KP_FIELD_OFFSET:
    case KP_FIELD_POSITION:
        return KP_INT8;
    case KP_FIELD_PARTITION:
        return KP_INT4;
    case KP_FIELD_TIMESTAMP:
    case KP_FIELD_LOG_TIME:
        return KP_TIMESTAMPTZ;
    case KP_FIELD_DELETED:
        return KP_BOOL;
    default:
        return KP_TYPE_NONE;
    }
}

static enum kp_code add_columns(struct kp_decoder *decoder, const struct kp_decoder_options *options,
                                struct kp_error *err)
{
    decoder->columns = kp_arena_calloc(&decoder->arena, (options->field_count + 1) * sizeof *decoder->columns);
    decoder->mask_words = (options->field_count + 63) / 64;
    decoder->value_mask = kp_arena_calloc(&decoder->arena, (decoder->mask_words + 1) * 8);
    decoder->declared_mask = kp_arena_calloc(&decoder->arena, (decoder->mask_words + 1) * 8);
    for (uint32_t i = 0; i < options->field_count; i++) {
        const struct kp_field *field = &options->fields[i];
        struct kp_decode_column *column = &decoder->columns[i];
        enum kp_type_id needed = origin_type(field->origin);
        if (field->checked ? field->origin != KP_FIELD_VALUE : decoder->batch_columns < i)
            return kp_fail(err, KP_INVALID, NULL, "field \"%s\" is %s", field->name,
                           field->checked ? "only checked, but not of the value" : "behind one that is only checked");
        if (needed != KP_TYPE_NONE && field->type.id != needed)
            return kp_fail(err, KP_INVALID, "42804", "column \"%s\" must be %s, not %s", field->name,
                           kp_type_info(needed)->name, kp_type_info(field->type.id)->name);
        bool in_value = field->origin == KP_FIELD_VALUE;
        const char *name = in_value && field->path ? field->path : field->name;
        *column = (struct kp_decode_column){
            .name = kp_arena_strdup(&decoder->arena, name),
            .group = -1,
            .header = in_value || !field->path ? NULL : kp_arena_strdup(&decoder->arena, field->path),
            .type = field->type,
            .origin = field->origin,
            .conv = kp_decode_conv_of(field->type),
            .csv_index = field->csv_index,
            .key_part = field->key_part,
            .width = field->checked ? 0 : kp_type_info(field->type.id)->bytes,
            .json_null = in_value && options->format == KP_FORMAT_JSON && kp_type_is_json(field->type.id)};
        decoder->batch_columns += !field->checked;
        if (in_value)
            kp_decode_mask_set(decoder->declared_mask, i);
        if (field->checked)
            continue;
        if (field->origin == KP_FIELD_VALUE)
            kp_decode_mask_set(decoder->value_mask, i);
        else
            decoder->any_other = true;
        decoder->key_parts = KP_MAX(decoder->key_parts, field->key_part);
    }
    decoder->given_columns = decoder->batch_columns - KP_MIN(options->extra_count, decoder->batch_columns);
    decoder->column_count = options->field_count;
    decoder->csv_order = kp_arena_alloc(&decoder->arena, (options->field_count + 1) * sizeof *decoder->csv_order);
    for (uint32_t i = 0; i < options->field_count; i++) {
        if (decoder->columns[i].origin != KP_FIELD_VALUE)
            continue;
        uint32_t at = decoder->csv_count++;
        for (; at && decoder->columns[decoder->csv_order[at - 1]].csv_index > decoder->columns[i].csv_index; at--)
            decoder->csv_order[at] = decoder->csv_order[at - 1];
        decoder->csv_order[at] = i;
    }
    return KP_OK;
}

enum kp_code kp_decoder_create(const struct kp_decoder_options *options, struct kp_decoder **ret_decoder,
                               struct kp_error *err)
{
    if (options->field_count > KP_DECODE_FIELDS_MAX)
        return kp_fail(err, KP_LIMIT, "54011", "%u columns are more than %d", options->field_count,
                       KP_DECODE_FIELDS_MAX);
    if (options->pattern && options->format != KP_FORMAT_TEXT)
        return kp_fail(err, KP_INVALID, NULL, "option \"pattern\" is for format text");
    if (options->path && *options->path && options->format != KP_FORMAT_JSON && options->format != KP_FORMAT_AVRO &&
        options->format != KP_FORMAT_PROTOBUF)
        return kp_fail(err, KP_INVALID, NULL, "option \"path\" is for format json");
    char delimiter = options->csv_delimiter ? options->csv_delimiter : ',';
    char quote = options->csv_quote ? options->csv_quote : '"',
         escape = options->csv_escape ? options->csv_escape : quote;
    if (options->format == KP_FORMAT_CSV) {
        bool line_end = delimiter == '\n' || delimiter == '\r' || quote == '\n' || quote == '\r';
        if (line_end || delimiter == quote || delimiter == escape)
            return kp_fail(err, KP_INVALID, NULL,
                           "the delimiter of CSV must be neither its quote nor its escape, and none "
                           "of them a line end");
        const char *null = options->csv_null ? options->csv_null : "";
        if (strchr(null, delimiter) || strchr(null, quote))
            return kp_fail(err, KP_INVALID, NULL, "the null text of CSV can hold neither its delimiter nor its quote");
    } else if (options->csv_quote || options->csv_escape) {
        return kp_fail(err, KP_INVALID, NULL, "options \"quote\" and \"escape\" are for format csv");
    }
    struct kp_decoder *decoder = kp_calloc(1, sizeof *decoder);
    decoder->format = options->format;
    decoder->keyed = options->keyed;
    decoder->truncates = options->truncates && options->format == KP_FORMAT_DEBEZIUM;
    decoder->missing_fails = options->missing_fails;
    decoder->extra_fails = options->extra_fails;
    decoder->confluent = options->confluent;
    decoder->time_precision = options->time_precision;
    decoder->decimals_precise = options->decimals_precise;
    decoder->epoch = options->epoch;
    decoder->bytes_hex = options->bytes_hex;
    decoder->zone = options->zone;
    decoder->csv_delimiter = delimiter;
    decoder->csv_quote = quote;
    decoder->csv_escape = escape;
    decoder->csv_header = options->csv_header && options->format == KP_FORMAT_CSV;
    decoder->csv_null = options->csv_null ? kp_arena_strdup(&decoder->arena, options->csv_null) : NULL;
    decoder->rivals = kp_arena_alloc(&decoder->arena, (options->rival_count + 1) * sizeof *decoder->rivals);
    decoder->rival_count = KP_MIN(options->rival_count, (uint32_t)KP_DECODE_RIVALS_MAX);
    for (uint32_t i = 0; i < decoder->rival_count; i++)
        decoder->rivals[i] = kp_str(kp_arena_strdup(&decoder->arena, options->rivals[i]));
    enum kp_code code = add_columns(decoder, options, err);
    if (code == KP_OK && options->epoch && options->format == KP_FORMAT_DEBEZIUM) {
        code = kp_fail(err, KP_INVALID, "22023", "option \"epoch\" is not for format debezium");
        kp_error_hint(err, "Its times are read as time_precision_mode says.");
    }
    bool avro = options->format == KP_FORMAT_AVRO, protobuf = options->format == KP_FORMAT_PROTOBUF;
    if (code == KP_OK && options->format == KP_FORMAT_DEBEZIUM &&
        (options->schema || options->writer_schema || options->writer_schemas)) {
        decoder->transcodes = avro = true;
        if (options->schema || options->writer_schema)
            code = kp_debezium_avro(options->schema ? options->schema : options->writer_schema, &decoder->arena,
                                    &decoder->row_schema, err);
    }
    if (code == KP_OK && !avro && (options->writer_schema || options->writer_schemas))
        code = kp_fail(err, KP_INVALID, NULL, "option \"writer_schema%s\" is for format avro",
                       options->writer_schema ? "" : "s");
    if (code == KP_OK && protobuf && !options->schema)
        code = kp_fail(err, KP_INVALID, "22023", "format protobuf needs the option schema");
    if (code == KP_OK && avro)
        code = kp_avro_prepare(decoder, options, err);
    if (code == KP_OK && protobuf)
        code = kp_protobuf_create(options->schema, options->message, &decoder->arena, &decoder->protobuf, err);
    if (code == KP_OK &&
        (options->format == KP_FORMAT_JSON || options->format == KP_FORMAT_DEBEZIUM || avro || protobuf))
        code = build_tree(decoder, options->path, err);
    for (uint32_t i = 0; code == KP_OK && options->format == KP_FORMAT_DEBEZIUM && i < decoder->column_count; i++)
        decoder->rewrites |= kp_debezium_needs(decoder->columns[i].type);
    if (code == KP_OK && options->pattern)
        code = kp_pattern_prepare(decoder, options->pattern, err);
    if (code != KP_OK) {
        kp_decoder_destroy(decoder);
        return code;
    }
    decoder->check = options->check;
    decoder->check_arg = options->check_arg;
    decoder->check_destroy = options->check_destroy;
    *ret_decoder = decoder;
    return KP_OK;
}

void kp_decoder_destroy(struct kp_decoder *decoder)
{
    if (!decoder)
        return;
    if (decoder->check_destroy)
        decoder->check_destroy(decoder->check_arg);
    kp_regex_destroy(decoder->pattern);
    kp_arena_finish(&decoder->arena);
    kp_free(decoder);
}
