#include "serve/pg/proto.h"

#include <stdio.h>

#include "base/utf8.h"

/* ---- framing ---- */

enum kp_pg_frame kp_pg_frame(struct kp_str input, struct kp_pg_message *ret_message, size_t *ret_bytes)
{
    if (input.len < 1)
        return KP_PG_FRAME_PARTIAL;
    char type = input.ptr[0];
    /* Every type a client may send is a letter: anything else is another protocol or a lost place in the stream. */
    if (!((type >= 'A' && type <= 'Z') || (type >= 'a' && type <= 'z')))
        return KP_PG_FRAME_GARBAGE;
    if (input.len < 5)
        return KP_PG_FRAME_PARTIAL;
    uint32_t len = kp_load_be32(input.ptr + 1);
    if (len < 4 || len > KP_PG_DISCARD_BYTES_MAX)
        return KP_PG_FRAME_GARBAGE;
    *ret_bytes = (size_t)len + 1;
    ret_message->type = type;
    if (len > KP_PG_MESSAGE_BYTES_MAX) {
        ret_message->body = (struct kp_str){NULL, 0};
        return KP_PG_FRAME_OVERSIZED;
    }
    if (input.len < (size_t)len + 1)
        return KP_PG_FRAME_PARTIAL;
    ret_message->body = (struct kp_str){input.ptr + 5, len - 4};
    return KP_PG_FRAME_WHOLE;
}

enum kp_pg_frame kp_pg_frame_first(struct kp_str input, struct kp_pg_message *ret_message, size_t *ret_bytes)
{
    if (input.len < 4)
        return KP_PG_FRAME_PARTIAL;
    uint32_t len = kp_load_be32(input.ptr);
    if (len < 8 || len > KP_PG_STARTUP_BYTES_MAX)
        return KP_PG_FRAME_GARBAGE;
    if (input.len < len)
        return KP_PG_FRAME_PARTIAL;
    *ret_bytes = len;
    ret_message->type = 0;
    ret_message->body = (struct kp_str){input.ptr + 4, len - 4};
    return KP_PG_FRAME_WHOLE;
}

/* ---- reading ---- */

struct kp_str kp_pg_read_bytes(struct kp_pg_reader *reader, size_t len)
{
    if ((size_t)(reader->end - reader->at) < len) {
        reader->bad = true;
        reader->at = reader->end;
        return KP_STR("");
    }
    struct kp_str bytes = {reader->at, len};
    reader->at += len;
    return bytes;
}

uint8_t kp_pg_read_u8(struct kp_pg_reader *reader)
{
    struct kp_str bytes = kp_pg_read_bytes(reader, 1);
    return bytes.len ? (uint8_t)bytes.ptr[0] : 0;
}

uint16_t kp_pg_read_u16(struct kp_pg_reader *reader)
{
    struct kp_str bytes = kp_pg_read_bytes(reader, 2);
    return bytes.len ? kp_load_be16(bytes.ptr) : 0;
}

uint32_t kp_pg_read_u32(struct kp_pg_reader *reader)
{
    struct kp_str bytes = kp_pg_read_bytes(reader, 4);
    return bytes.len ? kp_load_be32(bytes.ptr) : 0;
}

struct kp_str kp_pg_read_text(struct kp_pg_reader *reader)
{
    size_t left = (size_t)(reader->end - reader->at);
    const char *zero = left ? memchr(reader->at, 0, left) : NULL;
    if (!zero) {
        reader->bad = true;
        reader->at = reader->end;
        return KP_STR("");
    }
    struct kp_str text = {reader->at, (size_t)(zero - reader->at)};
    reader->at = zero + 1;
    return text;
}

enum kp_code kp_pg_read_end(const struct kp_pg_reader *reader, const char *what, struct kp_error *err)
{
    if (reader->bad)
        return kp_fail(err, KP_INVALID, "08P01", "insufficient data left in %s message", what);
    if (reader->at != reader->end)
        return kp_fail(err, KP_INVALID, "08P01", "invalid message format: %zu bytes too many in %s message",
                       (size_t)(reader->end - reader->at), what);
    return KP_OK;
}

enum kp_code kp_pg_check_text(struct kp_str text, struct kp_error *err)
{
    if (!text.len)
        return KP_OK;
    size_t good = kp_utf8_valid_prefix(text.ptr, text.len);
    const char *nul = good ? memchr(text.ptr, 0, good) : NULL;
    if (nul)
        good = (size_t)(nul - text.ptr);
    if (good == text.len)
        return KP_OK;
    (void)kp_fail(err, KP_INVALID, "22021", "invalid byte sequence for encoding \"UTF8\": 0x%02x",
                  (uint8_t)text.ptr[good]);
    return kp_error_detail(err, "At byte %zu.", good);
}

/* ---- writing ---- */

void kp_pg_put_bare(struct kp_buf *out, char type)
{
    kp_pg_end(out, kp_pg_begin(out, type));
}

void kp_pg_put_authentication_ok(struct kp_buf *out)
{
    size_t begun = kp_pg_begin(out, 'R');
    kp_buf_append_be32(out, 0);
    kp_pg_end(out, begun);
}

void kp_pg_put_parameter_status(struct kp_buf *out, const char *name, const char *value)
{
    size_t begun = kp_pg_begin(out, 'S');
    kp_pg_put_text(out, name);
    kp_pg_put_text(out, value);
    kp_pg_end(out, begun);
}

void kp_pg_put_key_data(struct kp_buf *out, uint32_t pid, uint32_t secret)
{
    size_t begun = kp_pg_begin(out, 'K');
    kp_buf_append_be32(out, pid);
    kp_buf_append_be32(out, secret);
    kp_pg_end(out, begun);
}

void kp_pg_put_negotiate(struct kp_buf *out, uint32_t minor, uint32_t option_count, struct kp_str options)
{
    size_t begun = kp_pg_begin(out, 'v');
    kp_buf_append_be32(out, minor);
    kp_buf_append_be32(out, option_count);
    kp_buf_append_str(out, options);
    kp_pg_end(out, begun);
}

void kp_pg_put_ready(struct kp_buf *out, char status)
{
    size_t begun = kp_pg_begin(out, 'Z');
    kp_buf_append_byte(out, (uint8_t)status);
    kp_pg_end(out, begun);
}

void kp_pg_put_command_complete(struct kp_buf *out, const char *tag)
{
    size_t begun = kp_pg_begin(out, 'C');
    kp_pg_put_text(out, tag);
    kp_pg_end(out, begun);
}

static void put_field(struct kp_buf *out, char field, const char *text)
{
    if (!text[0])
        return;
    kp_buf_append_byte(out, (uint8_t)field);
    kp_pg_put_text(out, text);
}

/*
 * What the error of a constraint is about, by names of its own, as drivers and mappers look for them: schema, table,
 * column, data type, constraint. The message says them in quotes, and always in the same words.
 */
static void put_names(struct kp_buf *out, const struct kp_error *err)
{
    static const struct {
        const char *sqlstate, *before, *between, *behind; /* "%s" of the two names */
        char first, second;
    } forms[] = {
        {"23502", "null value in column \"", "\" of relation \"", "\" violates not-null constraint", 'c', 't'},
        {"23502", "domain ", " does not allow null values", "", 'd', 0},
        {"23505", "duplicate key value violates unique constraint \"", "_pkey\"", "", 't', 0},
        {"23514", "new row for relation \"", "\" violates check constraint \"", "\"", 't', 'n'},
        {"23514", "value for domain ", " violates check constraint \"", "\"", 'd', 'n'},
    };
    for (size_t i = 0; i < KP_COUNT(forms); i++) {
        size_t len = strlen(forms[i].before);
        const char *from = err->message + len, *to = strstr(err->message, forms[i].between);
        if (strcmp(err->sqlstate, forms[i].sqlstate) != 0 || strncmp(err->message, forms[i].before, len) != 0 || !to ||
            to < from)
            continue;
        char name[sizeof err->message];
        put_field(out, 's', "public");
        snprintf(name, sizeof name, "%.*s", (int)(to - from), from);
        put_field(out, forms[i].first, name);
        if (!forms[i].second) {
            snprintf(name, sizeof name, "%.*s_pkey", (int)(to - from), from);
            if (forms[i].first == 't')
                put_field(out, 'n', name);
            return;
        }
        from = to + strlen(forms[i].between);
        len = strlen(from) - KP_MIN(strlen(from), strlen(forms[i].behind));
        snprintf(name, sizeof name, "%.*s", (int)len, from);
        put_field(out, forms[i].second, name);
        return;
    }
}

static void put_report(struct kp_buf *out, char type, const char *severity, const struct kp_error *err)
{
    char number[40];
    size_t begun = kp_pg_begin(out, type);
    put_field(out, 'S', severity);
    put_field(out, 'V', severity);
    put_field(out, 'C', err->sqlstate[0] ? err->sqlstate : "XX000");
    put_field(out, 'M', err->message[0] ? err->message : kp_code_name(err->code));
    put_field(out, 'D', err->detail);
    put_field(out, 'H', err->hint);
    if (err->position > 0) {
        snprintf(number, sizeof number, "%d", err->position);
        put_field(out, 'P', number);
    }
    if (err->log_position >= 0) {
        snprintf(number, sizeof number, "log position %lld", (long long)err->log_position);
        put_field(out, 'W', number);
    }
    if (strncmp(err->sqlstate, "235", 3) == 0)
        put_names(out, err);
    kp_buf_append_byte(out, 0);
    kp_pg_end(out, begun);
}

void kp_pg_put_error(struct kp_buf *out, const char *severity, const struct kp_error *err)
{
    put_report(out, 'E', severity, err);
}

void kp_pg_put_notice(struct kp_buf *out, const char *severity, const struct kp_error *notice)
{
    put_report(out, 'N', severity, notice);
}

void kp_pg_put_parameter_description(struct kp_buf *out, const struct kp_type *types, uint32_t count)
{
    size_t begun = kp_pg_begin(out, 't');
    kp_buf_append_be16(out, (uint16_t)count);
    for (uint32_t i = 0; i < count; i++)
        kp_buf_append_be32(out, kp_type_info(types[i].id)->oid);
    kp_pg_end(out, begun);
}

void kp_pg_put_row_description(struct kp_buf *out, const struct kp_column *cols, const struct kp_base_column *bases,
                               uint32_t count, const struct kp_pg_formats *formats)
{
    size_t begun = kp_pg_begin(out, 'T');
    kp_buf_append_be16(out, (uint16_t)count);
    for (uint32_t i = 0; i < count; i++) {
        const struct kp_type_info *info = kp_type_info(cols[i].type.id);
        bool array_of_domain = cols[i].type.domain > KP_DOMAIN_ARRAYS; /* a domain itself is told as its base type */
        kp_pg_put_text(out, cols[i].name);
        kp_buf_append_be32(out, bases ? bases[i].relation : 0);
        kp_buf_append_be16(out, bases ? bases[i].number : 0);
        kp_buf_append_be32(out, array_of_domain ? cols[i].type.domain : info->oid);
        kp_buf_append_be16(out, (uint16_t)info->pg_len);
        kp_buf_append_be32(out, (uint32_t)cols[i].type.mod);
        kp_buf_append_be16(out, kp_pg_format(formats, i));
    }
    kp_pg_end(out, begun);
}

void kp_pg_put_copy_response(struct kp_buf *out, char type, uint32_t col_count, bool binary)
{
    size_t begun = kp_pg_begin(out, type);
    kp_buf_append_byte(out, binary);
    kp_buf_append_be16(out, (uint16_t)col_count);
    for (uint32_t i = 0; i < col_count; i++)
        kp_buf_append_be16(out, binary);
    kp_pg_end(out, begun);
}
