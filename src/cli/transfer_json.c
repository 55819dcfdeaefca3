/*
 * Records as lines of JSON:
 *
 *   {"topic":"t","partition":0,"offset":7,"position":42,"timestamp_ms":1700000000000,"log_time_us":1700000000123456,
 *    "key":"a","value":"…","headers":[{"name":"h","value":"x"}]}
 *
 * A key, value or header that is not UTF-8 has its bytes in base64 under key_base64, value_base64 instead. Headers are
 * left out when there are none.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "cli/transfer.h"
#include "log/record_headers.h"
#include "serve/http/http_impl.h"

enum { LINE_BYTES_MAX = 64 << 20 };

/* ---- base64 ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put_base64(struct kp_buf *out, struct kp_str bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = KP_MIN(bytes.len - i, (size_t)3);
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < n ? (uint8_t)bytes.ptr[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            kp_buf_append_byte(out, (uint8_t)(k <= n ? digits[bits >> (18 - 6 * k) & 63] : '='));
    }
}

static bool take_base64(struct kp_str text, struct kp_arena *arena, struct kp_str *ret_bytes)
{
    char *bytes = kp_arena_alloc(arena, text.len / 4 * 3 + 1);
    size_t len = 0;
    if (text.len % 4)
        return false;
    for (size_t i = 0; i < text.len; i += 4) {
        uint32_t bits = 0;
        size_t pad = 0;
        for (size_t k = 0; k < 4; k++) {
            const char *digit = text.ptr[i + k] ? strchr(digits, text.ptr[i + k]) : NULL;
            pad += text.ptr[i + k] == '=' && i + 4 == text.len && k >= 2;
            if (!digit && text.ptr[i + k] != '=')
                return false;
            if ((digit && pad) || (!digit && !pad))
                return false;
            bits = bits << 6 | (digit ? (uint32_t)(digit - digits) : 0);
        }
        for (size_t k = 0; k + pad < 3; k++)
            bytes[len++] = (char)(bits >> (16 - 8 * k));
    }
    *ret_bytes = (struct kp_str){bytes, len};
    return true;
}

/* ---- out ---- */

static void put_bytes(struct kp_buf *out, const char *name, struct kp_str bytes)
{
    bool text = !bytes.ptr || kp_utf8_valid(bytes.ptr, bytes.len);
    kp_buf_printf(out, "\"%s%s\":", name, text ? "" : "_base64");
    if (!bytes.ptr) {
        kp_buf_append_text(out, "null");
    } else if (text) {
        kp_buf_append_json_string(out, bytes);
    } else {
        kp_buf_append_byte(out, '"');
        put_base64(out, bytes);
        kp_buf_append_byte(out, '"');
    }
}

static void put_headers(struct kp_buf *out, struct kp_str headers)
{
    int64_t count;
    struct kp_str name, value;
    if (!kp_record_headers_begin(&headers, &count) || count == 0)
        return;
    kp_buf_append_text(out, ",\"headers\":[");
    for (int64_t i = 0; i < count && kp_record_headers_next(&headers, &name, &value); i++) {
        kp_buf_append_text(out, i ? ",{" : "{");
        put_bytes(out, "name", name);
        kp_buf_append_byte(out, ',');
        put_bytes(out, "value", value);
        kp_buf_append_byte(out, '}');
    }
    kp_buf_append_byte(out, ']');
}

void kp_json_record_print(const struct kp_transfer_record *record, const char *topic, struct kp_buf *out)
{
    kp_buf_printf(out,
                  "{\"topic\":\"%s\",\"partition\":%u,\"offset\":%lld,\"position\":%lld,\"timestamp_ms\":%lld,"
                  "\"log_time_us\":%lld,",
                  topic, record->partition, (long long)record->offset, (long long)record->position,
                  (long long)record->timestamp_ms, (long long)record->log_time_us);
    put_bytes(out, "key", record->key);
    kp_buf_append_byte(out, ',');
    put_bytes(out, "value", record->value);
    put_headers(out, record->headers);
    kp_buf_append_text(out, "}\n");
}

/* ---- in ---- */

static bool take_number(struct kp_str object, const char *name, int64_t *ret_number)
{
    struct kp_str value;
    char text[24], *end;
    if (!kp_http_json_member(object, kp_str(name), &value) || value.len == 0 || value.len >= sizeof text)
        return false;
    memcpy(text, value.ptr, value.len);
    text[value.len] = 0;
    errno = 0;
    *ret_number = strtoll(text, &end, 10);
    return *end == 0 && end[-1] >= '0' && end[-1] <= '9' && !errno;
}

static bool is_string(struct kp_str value)
{
    return value.len && value.ptr[0] == '"';
}

/* name or name_base64, not both; absent is null. */
static bool take_member(struct kp_str object, const char *name, struct kp_arena *arena, struct kp_str *ret_bytes)
{
    struct kp_str value, coded, text;
    bool there = kp_http_json_member(object, kp_str(name), &value);
    *ret_bytes = (struct kp_str){NULL, 0};
    if (kp_http_json_member(object, kp_str(kp_arena_printf(arena, "%s_base64", name)), &coded))
        return !there && is_string(coded) && kp_http_json_text(coded, arena, &text) &&
               take_base64(text, arena, ret_bytes);
    if (!there || kp_str_equal(value, KP_STR("null")))
        return true;
    if (!is_string(value) || !kp_http_json_text(value, arena, ret_bytes))
        return false;
    if (!ret_bytes->ptr)
        ret_bytes->ptr = "";
    return true;
}

static bool take_headers(struct kp_str object, struct kp_arena *arena, struct kp_buf *out, struct kp_str *ret_headers)
{
    struct kp_str list, each;
    *ret_headers = (struct kp_str){NULL, 0};
    if (!kp_http_json_member(object, KP_STR("headers"), &list) || kp_str_equal(list, KP_STR("null")))
        return true;
    if (list.len < 2 || list.ptr[0] != '[')
        return false;
    list = (struct kp_str){list.ptr + 1, list.len - 1};
    struct kp_buf body = {0};
    int64_t count = 0;
    bool well = true, end = false;
    struct kp_error err;
    for (size_t at = 0; well;) {
        well = kp_http_json_next(list, &at, true, &each, &end, &err) == KP_OK;
        if (end || !well)
            break;
        struct kp_str name = {NULL, 0}, value = {NULL, 0};
        well = well && take_member(each, "name", arena, &name) && name.ptr && take_member(each, "value", arena, &value);
        if (well)
            kp_record_headers_put(&body, name, value);
        count++;
    }
    out->len = 0;
    kp_record_headers_put_count(out, count);
    kp_buf_append(out, body.data, body.len);
    kp_buf_finish(&body);
    *ret_headers = (struct kp_str){(char *)out->data, out->len};
    return well;
}

/* One object and nothing behind it. */
static bool is_object(struct kp_str line)
{
    struct kp_str first, second;
    struct kp_error err;
    size_t at = 0;
    bool end = false;
    return line.ptr[0] == '{' && kp_http_json_next(line, &at, false, &first, &end, &err) == KP_OK && !end &&
           kp_http_json_next(line, &at, false, &second, &end, &err) == KP_OK && end;
}

static bool has_value(struct kp_str line)
{
    struct kp_str value;
    return kp_http_json_member(line, KP_STR("value"), &value) ||
           kp_http_json_member(line, KP_STR("value_base64"), &value);
}

static enum kp_code read_line(struct kp_str line, uint64_t number, kp_transfer_each each, void *arg,
                              struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_buf headers = {0};
    struct kp_transfer_record record = {.position = -1, .log_time_us = -1};
    int64_t partition = 0;
    const char *wrong = NULL;
    if (!is_object(line))
        wrong = "it is not one JSON object, and nothing else";
    else if (!take_number(line, "offset", &record.offset) || record.offset < 0)
        wrong = "\"offset\" is missing or no number";
    else if (!take_number(line, "timestamp_ms", &record.timestamp_ms))
        wrong = "\"timestamp_ms\" is missing or no number";
    else if (!take_number(line, "partition", &partition) || partition < 0 || partition >= KP_PARTITIONS_MAX)
        wrong = "\"partition\" is missing or no partition";
    else if (!take_member(line, "key", &arena, &record.key))
        wrong = "\"key\" is neither a string nor null, or there is a \"key_base64\", too";
    else if (!has_value(line))
        wrong = "\"value\" is missing (a record without one has null)";
    else if (!take_member(line, "value", &arena, &record.value))
        wrong = "\"value\" is neither a string nor null, or there is a \"value_base64\", too";
    else if (!take_headers(line, &arena, &headers, &record.headers))
        wrong = "\"headers\" is no list of names and values";
    record.partition = (uint32_t)partition;
    enum kp_code code = wrong ? kp_fail(err, KP_INVALID, NULL, "line %llu: %s", (unsigned long long)number, wrong)
                              : each(arg, &record, err);
    kp_buf_finish(&headers);
    kp_arena_finish(&arena);
    return code;
}

enum kp_code kp_json_records_read(FILE *in, kp_transfer_each each, void *arg, struct kp_error *err)
{
    struct kp_buf buffer = {0};
    enum kp_code code = KP_OK;
    uint64_t number = 0;
    for (bool more = true; code == KP_OK && more;) {
        size_t got = fread(kp_buf_reserve(&buffer, 1 << 20), 1, 1 << 20, in);
        buffer.len += got;
        more = got > 0;
        if (!more && buffer.len) /* the last line may lack its end */
            kp_buf_append_byte(&buffer, '\n');
        size_t at = 0;
        const uint8_t *end;
        while (code == KP_OK && (end = memchr(buffer.data + at, '\n', buffer.len - at))) {
            struct kp_str line = {(const char *)buffer.data + at, (size_t)(end - buffer.data) - at};
            at += line.len + 1;
            number++;
            if (line.len)
                code = read_line(line, number, each, arg, err);
        }
        kp_buf_consume(&buffer, at);
        if (code == KP_OK && buffer.len > LINE_BYTES_MAX)
            code = kp_fail(err, KP_LIMIT, NULL, "line %llu is longer than %d bytes", (unsigned long long)number + 1,
                           LINE_BYTES_MAX);
    }
    kp_buf_finish(&buffer);
    return code;
}
