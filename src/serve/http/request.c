/*
 * Bytes to a request, by libhttp-parser. Head and body are copied out of the input as they come, so that input is
 * consumed at once and the body may be larger than what a connection buffers. What is wrong or too large is a refusal,
 * decided as early as it shows: the reply goes out and the connection ends, since what follows cannot be told apart any
 * more.
 */
#include "serve/http/http_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include <strings.h>

#include "log/codec.h"

static struct kp_conn *conn_of(const http_parser *parser)
{
    return parser->data;
}

static int refuse(http_parser *parser, int status, const char *text, const char *hint)
{
    struct http_conn *http = http_of(conn_of(parser));
    if (!http->refusal) {
        http->refusal = status;
        http->refusal_text = text;
        http->refusal_hint = hint;
    }
    return 1; /* stops the parser */
}

/* ---- the parser's callbacks ---- */

static int add_head(http_parser *parser, struct http_piece *piece, const char *bytes, size_t len, bool begin)
{
    struct http_conn *http = http_of(conn_of(parser));
    if (http->head.len + len > KP_HTTP_HEADER_BYTES_MAX)
        return refuse(parser, 431, "the request's head is larger than 64 KiB",
                      "Send fewer or shorter headers and parameters; put data into the body.");
    if (begin)
        *piece = (struct http_piece){(uint32_t)http->head.len, 0};
    kp_buf_append(&http->head, bytes, len);
    piece->len += (uint32_t)len;
    return 0;
}

static int on_url(http_parser *parser, const char *bytes, size_t len)
{
    struct http_conn *http = http_of(conn_of(parser));
    return add_head(parser, &http->target, bytes, len, http->target.len == 0);
}

static int on_name(http_parser *parser, const char *bytes, size_t len)
{
    struct http_conn *http = http_of(conn_of(parser));
    bool begin = http->header_count == 0 || http->in_value;
    if (begin) {
        if (http->header_count == HEADERS_MAX)
            return refuse(parser, 431, "the request has more than 100 headers", "Send fewer headers.");
        http->values[http->header_count] = (struct http_piece){0};
        http->header_count++;
        http->in_value = false;
    }
    return add_head(parser, &http->names[http->header_count - 1], bytes, len, begin);
}

static int on_value(http_parser *parser, const char *bytes, size_t len)
{
    struct http_conn *http = http_of(conn_of(parser));
    bool begin = !http->in_value;
    http->in_value = true;
    return add_head(parser, &http->values[http->header_count - 1], bytes, len, begin);
}

/* host[:port] of a Host header or behind an Origin's scheme names this machine's loopback. */
static bool names_loopback(struct kp_str host)
{
    struct kp_address address;
    char text[300];
    if (host.len == 0 || host.len >= sizeof text - 4)
        return false;
    bool bracket = host.ptr[0] == '[', port = false;
    for (size_t i = 0; i < host.len; i++)
        port =
            host.ptr[i] == ']' ? false : port || (host.ptr[i] == ':' && (!bracket || port || memchr(host.ptr, ']', i)));
    memcpy(text, host.ptr, host.len);
    memcpy(text + host.len, port ? "" : ":80", port ? 1 : 4);
    if (kp_address_parse(text, &address, NULL) != KP_OK)
        return false;
    /* a name that only begins like an address ("127.0.0.1.example.org") is somebody else's */
    bool numeric = strspn(address.host, "0123456789.") == strlen(address.host) || strchr(address.host, ':');
    return strcasecmp(address.host, "localhost") == 0 || (numeric && kp_address_is_loopback(&address));
}

/* HTTP/1.1: has a Host, may be told to continue. */
static bool is_modern(const http_parser *parser)
{
    return parser->http_major > 1 || (parser->http_major == 1 && parser->http_minor >= 1);
}

/* Foreign pages must not reach us through a visitor's browser: by a name that was made to point here (Host), or by a
 * request from their page (Origin). */
static int check_origin(http_parser *parser)
{
    struct http_conn *http = http_of(conn_of(parser));
    struct kp_str host = kp_http_header(http, "Host"), origin = kp_http_header(http, "Origin");
    if (is_modern(parser) && !host.ptr)
        return refuse(parser, 400, "the request has no Host header", "HTTP/1.1 demands one.");
    if (http_door_of(conn_of(parser))->loopback && host.ptr && !names_loopback(host))
        return refuse(parser, 403, "the Host header names a foreign host",
                      "This server listens on a loopback address: call it localhost or 127.0.0.1, or bind it to an "
                      "outside address (--http).");
    if (!origin.ptr)
        return 0;
    const char *slashes = memmem(origin.ptr, origin.len, "://", 3);
    struct kp_str from = {NULL, 0};
    if (slashes)
        from = (struct kp_str){slashes + 3, origin.len - (size_t)(slashes + 3 - origin.ptr)};
    if (!slashes || !host.ptr || from.len != host.len || strncasecmp(from.ptr, host.ptr, host.len) != 0)
        return refuse(parser, 403, "the request comes from a foreign page (Origin)",
                      "Only pages of this server itself may call it from a browser.");
    return 0;
}

static int on_head_end(http_parser *parser)
{
    struct kp_conn *conn = conn_of(parser);
    struct http_conn *http = http_of(conn);
    http->stage = STAGE_BODY;
    http->keep_alive = http_should_keep_alive(parser);
    http->head_only = parser->method == HTTP_HEAD;
    if (parser->method != HTTP_CONNECT)
        parser->upgrade = 0; /* an offer to speak something else, which we do not take up */
    if (parser->http_major != 1)
        return refuse(parser, 505, "the request is of another version of HTTP", "This port speaks HTTP/1.1.");
    if (check_origin(parser))
        return -1;
    if (!(parser->flags & F_CHUNKED) && parser->content_length != UINT64_MAX &&
        parser->content_length > KP_HTTP_BODY_BYTES_MAX)
        return refuse(parser, 413, "the request's body is larger than 64 MiB", "Send the records in several requests.")
                   ? -1
                   : 0;
    struct kp_str wish = kp_http_header(http, "Expect");
    if (wish.len == 12 && strncasecmp(wish.ptr, "100-continue", 12) == 0 && is_modern(parser))
        kp_buf_append_text(&conn->out, "HTTP/1.1 100 Continue\r\n\r\n");
    return 0;
}

static int on_body(http_parser *parser, const char *bytes, size_t len)
{
    struct http_conn *http = http_of(conn_of(parser));
    if (http->body.len + len > KP_HTTP_BODY_BYTES_MAX)
        return refuse(parser, 413, "the request's body is larger than 64 MiB", "Send the records in several requests.");
    kp_buf_append(&http->body, bytes, len);
    return 0;
}

static int on_end(http_parser *parser)
{
    http_of(conn_of(parser))->stage = STAGE_WHOLE;
    http_parser_pause(parser, 1); /* one request at a time */
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_head_end,
    .on_body = on_body,
    .on_message_complete = on_end,
};

/* ---- reading ---- */

void kp_http_request_init(struct http_conn *http)
{
    http_parser_init(&http->parser, HTTP_REQUEST);
}

void kp_http_request_finish(struct http_conn *http)
{
    kp_buf_finish(&http->head);
    kp_buf_finish(&http->body);
    kp_arena_finish(&http->arena);
}

void kp_http_request_reset(struct http_conn *http)
{
    enum { KEEP_BYTES = 4096 };
    http->stage = STAGE_HEAD;
    http->head.len = http->body.len = 0;
    if (http->head.cap > KEEP_BYTES)
        kp_buf_finish(&http->head);
    if (http->body.cap > KEEP_BYTES)
        kp_buf_finish(&http->body);
    http->target = (struct http_piece){0};
    http->header_count = 0;
    http->in_value = false;
    http->route = NULL;
    kp_arena_finish(&http->arena);
    if (HTTP_PARSER_ERRNO(&http->parser) == HPE_PAUSED)
        http_parser_pause(&http->parser, 0);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct kp_str decode(struct http_conn *http, struct kp_str text, bool plus)
{
    char *out = kp_arena_alloc(&http->arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%' && i + 2 < text.len && hex_digit(text.ptr[i + 1]) >= 0 && hex_digit(text.ptr[i + 2]) >= 0) {
            c = (char)(hex_digit(text.ptr[i + 1]) * 16 + hex_digit(text.ptr[i + 2]));
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        out[len++] = c;
    }
    out[len] = '\0';
    return (struct kp_str){out, len};
}

static bool is_text(struct kp_str text)
{
    return !text.len || (kp_utf8_valid(text.ptr, text.len) && !memchr(text.ptr, '\0', text.len));
}

static void split_target(struct http_conn *http)
{
    struct kp_str target = {(const char *)http->head.data + http->target.at, http->target.len};
    const char *scheme = target.len && target.ptr[0] != '/' ? memmem(target.ptr, target.len, "://", 3) : NULL;
    if (scheme) { /* the absolute form, of proxies */
        const char *path = memchr(scheme + 3, '/', target.len - (size_t)(scheme + 3 - target.ptr));
        target = path ? (struct kp_str){path, target.len - (size_t)(path - target.ptr)} : KP_STR("/");
    }
    const char *question = target.len ? memchr(target.ptr, '?', target.len) : NULL;
    size_t path_len = question ? (size_t)(question - target.ptr) : target.len;
    http->path = decode(http, (struct kp_str){target.ptr, path_len}, false);
    http->query = question ? (struct kp_str){question + 1, target.len - path_len - 1} : KP_STR("");
    const char *hash = http->query.len ? memchr(http->query.ptr, '#', http->query.len) : NULL;
    if (hash)
        http->query.len = (size_t)(hash - http->query.ptr);
}

bool kp_http_request_read(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    http->parser.data = conn;
    struct kp_str input = kp_conn_input(conn);
    if (http->stage == STAGE_HEAD && http->head.len == 0) /* a blank line before a request is forgiven */
        while (input.len && (*input.ptr == '\r' || *input.ptr == '\n')) {
            kp_conn_consume(conn, 1);
            input = kp_conn_input(conn);
        }
    if (!input.len)
        return false;
    size_t used = http_parser_execute(&http->parser, &settings, input.ptr, input.len);
    kp_conn_consume(conn, used);
    enum http_errno problem = HTTP_PARSER_ERRNO(&http->parser);
    if (http->refusal || (problem != HPE_OK && problem != HPE_PAUSED)) {
        if (problem == HPE_HEADER_OVERFLOW)
            refuse(&http->parser, 431, "the request's head is too large",
                   "Send fewer or shorter headers; put data into the body.");
        refuse(&http->parser, 400, http_errno_description(problem), "This port speaks HTTP/1.1.");
        return true;
    }
    if (http->stage != STAGE_WHOLE)
        return false;
    split_target(http);
    if (!is_text(http->path) || !is_text(decode(http, http->query, true)))
        refuse(&http->parser, 400, "the request's address is not UTF-8 text", "Names are percent-encoded UTF-8.");
    return true;
}

/* ---- its body ---- */

static enum kp_code find_codec(struct kp_str encoding, enum kp_codec *ret_codec, struct kp_error *err)
{
    static const struct {
        const char *name;
        enum kp_codec codec;
    } known[] = {{"identity", KP_CODEC_NONE},
                 {"gzip", KP_CODEC_GZIP},
                 {"x-gzip", KP_CODEC_GZIP},
                 {"deflate", KP_CODEC_GZIP},
                 {"zstd", KP_CODEC_ZSTD}}; /* zlib tells deflate from gzip by the first bytes */
    for (size_t i = 0; i < KP_COUNT(known); i++)
        if (encoding.len == strlen(known[i].name) && strncasecmp(encoding.ptr, known[i].name, encoding.len) == 0) {
            *ret_codec = known[i].codec;
            return KP_OK;
        }
    kp_fail(err, KP_UNSUPPORTED, "0A000", "the body's Content-Encoding is \"%.*s\"",
            (int)KP_MIN(encoding.len, (size_t)40), encoding.ptr);
    return kp_error_hint(err, "Send it with gzip, deflate, zstd or as it is.");
}

enum kp_code kp_http_decode_body(struct http_conn *http, struct kp_error *err)
{
    static_assert(KP_HTTP_BODY_BYTES_MAX == KP_RECORD_BATCH_BYTES_MAX, "a body decompresses to as much as it may be");
    struct kp_str encoding = kp_http_header(http, "Content-Encoding");
    enum kp_codec codec = KP_CODEC_NONE;
    if (encoding.len)
        KP_TRY(find_codec(encoding, &codec, err));
    if (codec == KP_CODEC_NONE || !http->body.len)
        return KP_OK;
    struct kp_arena arena = {0};
    const uint8_t *bytes;
    size_t len;
    enum kp_code code = kp_codec_decompress(codec, http->body.data, http->body.len, &arena, &bytes, &len, err);
    if (code == KP_OK) {
        http->body.len = 0;
        kp_buf_append(&http->body, bytes, len);
    }
    kp_arena_finish(&arena);
    return code;
}

/* ---- looking at it ---- */

struct kp_str kp_http_header(const struct http_conn *http, const char *name)
{
    size_t len = strlen(name);
    for (uint32_t i = 0; i < http->header_count; i++) {
        const char *at = (const char *)http->head.data + http->names[i].at;
        if (http->names[i].len == len && strncasecmp(at, name, len) == 0)
            return (struct kp_str){(const char *)http->head.data + http->values[i].at, http->values[i].len};
    }
    return (struct kp_str){NULL, 0};
}

bool kp_http_param_at(struct http_conn *http, size_t index, struct kp_str *ret_name, struct kp_str *ret_value)
{
    struct kp_str left = http->query;
    while (left.len) {
        const char *end = memchr(left.ptr, '&', left.len);
        struct kp_str pair = {left.ptr, end ? (size_t)(end - left.ptr) : left.len};
        left.ptr += pair.len + (end ? 1 : 0);
        left.len -= pair.len + (end ? 1 : 0);
        if (!pair.len || index-- > 0)
            continue;
        const char *equals = memchr(pair.ptr, '=', pair.len);
        size_t name_len = equals ? (size_t)(equals - pair.ptr) : pair.len;
        *ret_name = decode(http, (struct kp_str){pair.ptr, name_len}, true);
        *ret_value = equals ? decode(http, (struct kp_str){equals + 1, pair.len - name_len - 1}, true) : KP_STR("");
        return true;
    }
    return false;
}

bool kp_http_param(struct http_conn *http, const char *name, struct kp_str *ret_value)
{
    struct kp_str at, value;
    for (size_t i = 0; kp_http_param_at(http, i, &at, &value); i++)
        if (kp_str_equal(at, kp_str(name))) {
            *ret_value = value;
            return true;
        }
    return false;
}

enum kp_code kp_http_param_int(struct http_conn *http, const char *name, int64_t min, int64_t max, int64_t *ret_value,
                               struct kp_error *err)
{
    struct kp_str text;
    if (!kp_http_param(http, name, &text))
        return KP_OK;
    char *end;
    errno = 0;
    long long value = strtoll(text.ptr, &end, 10); /* decoded text is terminated */
    if (!text.len || *end || errno || value < min || value > max)
        return kp_fail(err, KP_INVALID, "22023", "?%s=%.*s: not an integer from %lld to %lld", name,
                       (int)KP_MIN(text.len, (size_t)40), text.ptr, (long long)min, (long long)max);
    *ret_value = value;
    return KP_OK;
}

bool kp_http_content_type_is(const struct http_conn *http, const char *type)
{
    struct kp_str value = kp_http_header(http, "Content-Type");
    size_t len = strlen(type);
    return value.len >= len && strncasecmp(value.ptr, type, len) == 0 &&
           (value.len == len || strchr("; \t", value.ptr[len]));
}

bool kp_http_accepts(const struct http_conn *http, const char *type)
{
    struct kp_str value = kp_http_header(http, "Accept");
    return value.len && memmem(value.ptr, value.len, type, strlen(type));
}
