/*
 * Protocol buffers by the text of their .proto file: each message is written as JSON, which then goes the way of all
 * JSON, with the names of the file's fields.
 *
 *   message = (tag, value)…      tag = number << 3 | wire type
 *   wire types   0 varint    1 eight bytes    2 length, then bytes    5 four bytes
 *
 * A repeated field is an array (packed or not), a map an object, an enum the name of its value. Of google.protobuf,
 * Timestamp is a time, Duration an interval, a wrapper (Int64Value …) its value, Struct, Value and ListValue are the
 * JSON that they say. A field that is absent is: repeated, []; with a default of its own (proto2), that; in proto3 and
 * neither optional, in a oneof nor a message, 0, "" or false; else missing, so NULL. Of a single field that comes
 * several times, and of the members of a oneof, the last counts; messages that come several times are one. Fields that
 * the file does not have are passed over, groups too.
 */
#include "decode/protobuf.h"

static const uint8_t wires[] = {1, 5, 0, 0, 0, 0, 0, 0, 5, 1, 5, 1, 0, 2, 2, 0, 2, 2};

/* ---- messages ---- */

static enum kp_code malformed(struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22P04", "the Protobuf message is malformed");
}

static enum kp_code wrong_wire(unsigned wire, unsigned wanted, struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22P04", "the Protobuf message has wire type %u where its schema has %u", wire,
                   wanted);
}

static bool take(struct kp_bytes *in, uint64_t len, struct kp_bytes *ret_bytes)
{
    if (len > (uint64_t)(in->end - in->at))
        return false;
    *ret_bytes = (struct kp_bytes){in->at, in->at + len};
    in->at += len;
    return true;
}

/* To behind the end of a group that began: fields, and groups inside it. */
static bool skip_group(struct kp_bytes *in, struct kp_bytes *ret_bytes)
{
    uint64_t tag, len;
    struct kp_bytes bytes;
    for (unsigned depth = 1; depth > 0;) {
        if (!kp_bytes_varint(in, &tag))
            return false;
        bool well = true;
        switch (tag & 7) {
        case 0:
            well = kp_bytes_varint(in, &len);
            break;
        case 1:
            well = take(in, 8, &bytes);
            break;
        case 2:
            well = kp_bytes_varint(in, &len) && take(in, len, &bytes);
            break;
        case 3:
            depth++;
            break;
        case 4:
            depth--;
            break;
        case 5:
            well = take(in, 4, &bytes);
            break;
        default:
            well = false;
        }
        if (!well)
            return false;
    }
    ret_bytes->end = in->at;
    return true;
}

/* One field: its number, wire type and bytes (of a varint the value). */
static bool next_field(struct kp_bytes *in, uint64_t *ret_number, unsigned *ret_wire, uint64_t *ret_value,
                       struct kp_bytes *ret_bytes)
{
    uint64_t tag, len = 0;
    if (!kp_bytes_varint(in, &tag))
        return false;
    *ret_number = tag >> 3;
    *ret_wire = tag & 7;
    *ret_bytes = (struct kp_bytes){in->at, in->at};
    switch (*ret_wire) {
    case 0:
        return kp_bytes_varint(in, ret_value);
    case 1:
        return take(in, 8, ret_bytes);
    case 2:
        return kp_bytes_varint(in, &len) && take(in, len, ret_bytes);
    case 3:
        return skip_group(in, ret_bytes);
    case 5:
        return take(in, 4, ret_bytes);
    default:
        return false;
    }
}

static enum kp_code put_message(const struct proto_type *type, struct kp_bytes in, unsigned depth, struct kp_buf *out,
                                struct kp_error *err);

/* The numbers of two fields, 1 and 2. */
static enum kp_code read_pair(struct kp_bytes in, uint64_t parts[2], struct kp_error *err)
{
    uint64_t number, value = 0;
    unsigned wire;
    struct kp_bytes bytes;
    parts[0] = parts[1] = 0;
    while (in.at < in.end) {
        if (!next_field(&in, &number, &wire, &value, &bytes))
            return malformed(err);
        if (wire == 0 && (number == 1 || number == 2))
            parts[number - 1] = value;
    }
    return KP_OK;
}

static enum kp_code put_duration(struct kp_bytes in, struct kp_buf *out, struct kp_error *err)
{
    uint64_t parts[2];
    struct kp_interval interval = {0};
    KP_TRY(read_pair(in, parts, err));
    if (__builtin_mul_overflow((int64_t)parts[0], (int64_t)1000000, &interval.us) ||
        __builtin_add_overflow(interval.us, (int64_t)parts[1] / 1000, &interval.us))
        return kp_fail(err, KP_INVALID, "22008", "a Protobuf duration is out of range");
    kp_buf_append_byte(out, '"');
    kp_value_print(KP_TYPE(KP_INTERVAL), &interval, NULL, out);
    kp_buf_append_byte(out, '"');
    return KP_OK;
}

static enum kp_code put_timestamp(struct kp_bytes in, struct kp_buf *out, struct kp_error *err)
{
    uint64_t parts[2];
    int64_t us;
    KP_TRY(read_pair(in, parts, err));
    if (__builtin_mul_overflow((int64_t)parts[0] - 946684800, (int64_t)1000000, &us) ||
        __builtin_add_overflow(us, (int64_t)parts[1] / 1000, &us))
        return kp_fail(err, KP_INVALID, "22008", "a Protobuf timestamp is out of range");
    kp_buf_append_byte(out, '"');
    kp_value_print(KP_TYPE(KP_TIMESTAMPTZ), &us, NULL, out);
    kp_buf_append_byte(out, '"');
    return KP_OK;
}

static void put_enum(const struct proto_type *type, int64_t value, struct kp_buf *out)
{
    for (uint32_t i = 0; i < type->count; i++)
        if (type->fields[i].number == value) {
            kp_buf_append_json_string(out, type->fields[i].name);
            return;
        }
    kp_buf_printf(out, "%lld", (long long)value);
}

/* A value of wire type 0, or of 1 and 5 that is no float. */
static void put_integer(const struct proto_field *field, uint64_t value, struct kp_buf *out)
{
    switch (field->kind) {
    case PROTO_BOOL:
        kp_buf_append_text(out, value ? "true" : "false");
        return;
    case PROTO_ENUM:
        put_enum(field->type, (int32_t)value, out);
        return;
    case PROTO_SINT32:
    case PROTO_SINT64:
        kp_buf_printf(out, "%lld", (long long)((int64_t)(value >> 1) ^ -(int64_t)(value & 1)));
        return;
    case PROTO_UINT64:
    case PROTO_FIXED64:
        kp_buf_printf(out, "%llu", (unsigned long long)value);
        return;
    case PROTO_UINT32:
    case PROTO_FIXED32:
        kp_buf_printf(out, "%u", (uint32_t)value);
        return;
    case PROTO_INT32:
    case PROTO_SFIXED32:
        kp_buf_printf(out, "%d", (int32_t)value);
        return;
    default:
        kp_buf_printf(out, "%lld", (long long)value);
    }
}

static enum kp_code put_one(const struct proto_field *field, unsigned wire, uint64_t value, struct kp_bytes bytes,
                            unsigned depth, struct kp_buf *out, struct kp_error *err)
{
    struct kp_str text = {(const char *)bytes.at, (size_t)(bytes.end - bytes.at)};
    if (wire != wires[field->kind])
        return wrong_wire(wire, wires[field->kind], err);
    if (field->kind == PROTO_DOUBLE || field->kind == PROTO_FLOAT) {
        kp_transcode_float(bytes.at, field->kind == PROTO_DOUBLE, out);
        return KP_OK;
    }
    if (field->kind == PROTO_MESSAGE)
        return put_message(field->type, bytes, depth, out, err);
    if (field->kind == PROTO_TIMESTAMP)
        return put_timestamp(bytes, out, err);
    if (field->kind == PROTO_STRING)
        return kp_transcode_text(text, out, err);
    if (field->kind == PROTO_BYTES) {
        kp_transcode_bytes(text, out);
        return KP_OK;
    }
    for (size_t i = wire == 0 ? 0 : text.len; wire != 0 && i-- > 0;)
        value = (wire != 0 && i + 1 == text.len ? 0 : value << 8) | bytes.at[i];
    put_integer(field, value, out);
    return KP_OK;
}

static void put_default(const struct proto_field *field, struct kp_buf *out)
{
    if (field->kind == PROTO_STRING)
        kp_buf_append_text(out, "\"\"");
    else if (field->kind == PROTO_BYTES)
        kp_buf_append_text(out, "\"\\\\x\"");
    else if (field->kind == PROTO_MESSAGE || field->kind == PROTO_TIMESTAMP)
        kp_buf_append_text(out, "null");
    else
        put_integer(field, 0, out);
}

/* An entry's key as the name of a member, then its value. */
static enum kp_code put_entry(const struct proto_type *entry, struct kp_bytes in, unsigned depth, struct kp_buf *out,
                              struct kp_error *err)
{
    for (uint32_t part = 0; part < 2; part++) {
        struct kp_bytes at = in, bytes;
        struct kp_buf text = {0};
        uint64_t number, value = 0;
        unsigned wire;
        enum kp_code code = KP_OK;
        while (code == KP_OK && at.at < at.end) {
            if (!next_field(&at, &number, &wire, &value, &bytes))
                code = malformed(err);
            else if (number == part + 1) {
                text.len = 0;
                code = put_one(&entry->fields[part], wire, value, bytes, depth, &text, err);
            }
        }
        if (code == KP_OK && !text.len)
            put_default(&entry->fields[part], &text);
        bool quote = part == 0 && text.len && text.data[0] != '"';
        if (quote)
            kp_buf_append_byte(out, '"');
        kp_buf_append(out, text.data, text.len);
        kp_buf_append_text(out, quote ? "\":" : part == 0 ? ":" : "");
        kp_buf_finish(&text);
        KP_TRY(code);
    }
    return KP_OK;
}

static enum kp_code put_item(const struct proto_field *field, unsigned wire, uint64_t value, struct kp_bytes bytes,
                             unsigned depth, uint32_t *count, struct kp_buf *out, struct kp_error *err)
{
    if (field->map) {
        kp_buf_append_text(out, (*count)++ ? "," : "");
        return put_entry(field->type, bytes, depth, out, err);
    }
    if (wire != 2 || wires[field->kind] == 2 || !field->repeated) { /* only what repeats may be packed */
        kp_buf_append_text(out, (*count)++ ? "," : "");
        return put_one(field, wire, value, bytes, depth, out, err);
    }
    while (bytes.at < bytes.end) { /* packed */
        struct kp_bytes item = {bytes.at, bytes.at};
        unsigned one = wires[field->kind];
        if (one == 0 ? !kp_bytes_varint(&bytes, &value) : !take(&bytes, one == 1 ? 8 : 4, &item))
            return malformed(err);
        kp_buf_append_text(out, (*count)++ ? "," : "");
        KP_TRY(put_one(field, one, value, item, depth, out, err));
    }
    return KP_OK;
}

/* The number of the member of a oneof that comes last; 0: none does. */
static uint64_t last_of(const struct proto_type *type, uint32_t oneof, struct kp_bytes in)
{
    uint64_t number, value, last = 0;
    unsigned wire;
    struct kp_bytes bytes;
    while (in.at < in.end && next_field(&in, &number, &wire, &value, &bytes))
        for (uint32_t i = 0; i < type->count; i++)
            if (type->fields[i].oneof == oneof && (uint64_t)type->fields[i].number == number)
                last = number;
    return last;
}

/* A message that comes in pieces is what they are one behind the other. */
static enum kp_code put_merged(const struct proto_field *field, struct kp_bytes in, unsigned depth, struct kp_buf *out,
                               bool *ret_there, struct kp_error *err)
{
    uint64_t number, value = 0;
    unsigned wire;
    struct kp_bytes bytes, only = {NULL, NULL};
    struct kp_buf merged = {0};
    uint32_t count = 0;
    while (in.at < in.end) {
        bool well = next_field(&in, &number, &wire, &value, &bytes);
        if (!well || (number == (uint64_t)field->number && wire != 2)) {
            kp_buf_finish(&merged);
            return well ? wrong_wire(wire, 2, err) : malformed(err);
        }
        if (number != (uint64_t)field->number)
            continue;
        if (count == 1)
            kp_buf_append(&merged, only.at, (size_t)(only.end - only.at));
        if (count++)
            kp_buf_append(&merged, bytes.at, (size_t)(bytes.end - bytes.at));
        only = bytes;
    }
    if (count > 1 && merged.len) /* of empty ones the last is as good */
        only = (struct kp_bytes){merged.data, merged.data + merged.len};
    enum kp_code code = count ? put_one(field, 2, 0, only, depth, out, err) : KP_OK;
    kp_buf_finish(&merged);
    *ret_there = count > 0;
    return code;
}

/* All that the message has of one field; *ret_there false: it is absent and has no default, and nothing was written. */
static enum kp_code put_content(const struct proto_field *field, struct kp_bytes in, unsigned depth, struct kp_buf *out,
                                bool *ret_there, struct kp_error *err)
{
    uint64_t number, value = 0;
    unsigned wire;
    struct kp_bytes bytes;
    uint32_t count = 0;
    size_t start = out->len;
    if (!field->repeated && (field->kind == PROTO_MESSAGE || field->kind == PROTO_TIMESTAMP))
        return put_merged(field, in, depth, out, ret_there, err);
    if (field->repeated)
        kp_buf_append_byte(out, field->map ? '{' : '[');
    while (in.at < in.end) {
        if (!next_field(&in, &number, &wire, &value, &bytes))
            return malformed(err);
        if (number != (uint64_t)field->number)
            continue;
        if (!field->repeated) {
            out->len = start;
            count = 0;
        }
        KP_TRY(put_item(field, wire, value, bytes, depth, &count, out, err));
    }
    *ret_there = true;
    if (field->repeated)
        kp_buf_append_byte(out, field->map ? '}' : ']');
    else if (!count && field->default_json.ptr)
        kp_buf_append_str(out, field->default_json);
    else if (!count && field->has_default)
        put_default(field, out);
    else
        *ret_there = count > 0;
    return KP_OK;
}

static enum kp_code put_field(const struct proto_field *field, struct kp_bytes in, unsigned depth, bool *first,
                              struct kp_buf *out, struct kp_error *err)
{
    size_t start = out->len;
    bool there;
    kp_buf_append_text(out, *first ? "" : ",");
    kp_buf_append_json_string(out, field->name);
    kp_buf_append_byte(out, ':');
    KP_TRY(put_content(field, in, depth, out, &there, err));
    if (there)
        *first = false;
    else
        out->len = start;
    return KP_OK;
}

/* A message that is shown as a value. */
static enum kp_code put_bare(const struct proto_type *type, struct kp_bytes in, unsigned depth, struct kp_buf *out,
                             struct kp_error *err)
{
    const struct proto_field *field = &type->fields[0];
    bool there = true;
    if (type->shown == SHOWN_DURATION)
        return put_duration(in, out, err);
    if (type->shown == SHOWN_CHOICE) {
        uint64_t number = last_of(type, field->oneof, in);
        if (number < 2) { /* none, or null_value */
            kp_buf_append_text(out, "null");
            return KP_OK;
        }
        field = &type->fields[number - 1];
    }
    KP_TRY(put_content(field, in, depth, out, &there, err));
    if (!there)
        kp_buf_append_text(out, "null");
    return KP_OK;
}

static enum kp_code put_message(const struct proto_type *type, struct kp_bytes in, unsigned depth, struct kp_buf *out,
                                struct kp_error *err)
{
    bool first = true;
    if (depth == 0)
        return kp_fail(err, KP_LIMIT, "54001", "the Protobuf message is nested deeper than %d", KP_TRANSCODE_DEPTH_MAX);
    if (type->shown != SHOWN_OBJECT)
        return put_bare(type, in, depth - 1, out, err);
    kp_buf_append_byte(out, '{');
    for (uint32_t i = 0; i < type->count; i++) {
        uint32_t oneof = type->fields[i].oneof;
        if (oneof && last_of(type, oneof, in) != (uint64_t)type->fields[i].number)
            continue;
        enum kp_code code = put_field(&type->fields[i], in, depth - 1, &first, out, err);
        if (code != KP_OK) {
            kp_error_context(err, "field \"%.*s\"", (int)type->fields[i].name.len, type->fields[i].name.ptr);
            return code;
        }
    }
    kp_buf_append_byte(out, '}');
    return KP_OK;
}

enum kp_code kp_protobuf_to_json(const struct kp_protobuf *protobuf, struct kp_str bytes, struct kp_buf *out,
                                 struct kp_error *err)
{
    struct kp_bytes in = {(const uint8_t *)bytes.ptr, (const uint8_t *)bytes.ptr + bytes.len};
    struct kp_bytes look = in, value_bytes;
    uint64_t number, value;
    unsigned wire;
    while (look.at < look.end) { /* all of it is well formed, whatever is read of it */
        size_t begin = (size_t)(look.at - in.at);
        if (!next_field(&look, &number, &wire, &value, &value_bytes))
            return kp_fail(err, KP_INVALID, "22P04", "the Protobuf message is malformed: no whole field at byte %zu",
                           begin);
    }
    return put_message(protobuf->message, in, KP_TRANSCODE_DEPTH_MAX, out, err);
}
