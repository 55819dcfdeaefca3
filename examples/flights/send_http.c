/*
 * Events through HTTP: POST /topics/{t} with NDJSON. Lines gather for each topic; when one has many, all are sent at
 * the same time, each topic over its own connection, so that no topic falls behind another and one sync of the server's
 * log serves them all.
 */
#include "flights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "os/socket.h"

enum { GATHER_BYTES = 512 << 10, WAIT_US = 60000000, ATTEMPTS_MAX = 60 };

/* One topic's connection. */
struct line {
    int socket; /* -1: not yet */
    struct kp_buf lines;
    struct kp_buf text; /* request, then reply */
};

struct http {
    struct kp_address address;
    struct line topics[KIND_COUNT];
};

static enum kp_code write_all(struct line *line, const void *bytes, size_t len, struct kp_error *err)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = kp_socket_write(line->socket, (const char *)bytes + at, len - at);
        if (n == KP_SOCKET_AGAIN ? !kp_socket_wait(line->socket, KP_POLL_WRITE, WAIT_US) : n < 0)
            return kp_fail(err, KP_IO, NULL, "the server takes no more");
        at += n > 0 ? (size_t)n : 0;
    }
    return KP_OK;
}

static enum kp_code read_more(struct line *line, struct kp_error *err)
{
    for (;;) {
        ssize_t n = kp_socket_read(line->socket, kp_buf_reserve(&line->text, 4096), 4095);
        if (n > 0) {
            line->text.len += (size_t)n;
            line->text.data[line->text.len] = 0;
            return KP_OK;
        }
        if (n != KP_SOCKET_AGAIN || !kp_socket_wait(line->socket, KP_POLL_READ, WAIT_US))
            return kp_fail(err, KP_IO, NULL, "the server does not answer");
    }
}

/* One reply: its status, and line->text holds it whole. */
static enum kp_code read_reply(struct line *line, int *ret_status, struct kp_error *err)
{
    line->text.len = 0;
    const char *end = NULL;
    while (!end) {
        KP_TRY(read_more(line, err));
        end = strstr((const char *)line->text.data, "\r\n\r\n");
    }
    size_t head = (size_t)(end - (const char *)line->text.data) + 4;
    const char *length = strcasestr((const char *)line->text.data, "\r\ncontent-length:");
    size_t body = length ? (size_t)strtoul(length + 17, NULL, 10) : 0;
    while (line->text.len < head + body)
        KP_TRY(read_more(line, err));
    if (sscanf((const char *)line->text.data, "HTTP/1.%*d %d", ret_status) != 1)
        return kp_fail(err, KP_IO, NULL, "what answers is not HTTP");
    return KP_OK;
}

static enum kp_code write_request(struct http *http, enum kind kind, const char *key, struct kp_str body,
                                  struct kp_error *err)
{
    struct line *line = &http->topics[kind];
    char address[KP_ADDRESS_TEXT_BYTES];
    if (line->socket < 0)
        KP_TRY(kp_socket_connect(&http->address, 10000000, &line->socket, err));
    line->text.len = 0;
    kp_buf_printf(
        &line->text,
        "POST /topics/%s%s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %zu\r\n",
        topic_names[kind], topic_keys[kind] && !key ? "?key=" : "", topic_keys[kind] && !key ? topic_keys[kind] : "",
        kp_address_print(&http->address, address), body.len);
    if (key)
        kp_buf_printf(&line->text, "X-Kappa-Key: %s\r\n", key);
    kp_buf_append_text(&line->text, "\r\n");
    KP_TRY(write_all(line, line->text.data, line->text.len, err));
    return write_all(line, body.ptr, body.len, err);
}

/* Reads the reply, and sends again as long as the server is too busy. */
static enum kp_code finish_request(struct http *http, enum kind kind, const char *key, struct kp_str body,
                                   struct kp_error *err)
{
    struct line *line = &http->topics[kind];
    for (int attempt = 0;; attempt++) {
        int status;
        KP_TRY(read_reply(line, &status, err));
        if (status == 200)
            return KP_OK;
        if ((status != 429 && status != 503) || attempt >= ATTEMPTS_MAX)
            return kp_fail(err, KP_IO, NULL, "the server refuses events for topic %s: %.300s", topic_names[kind],
                           (const char *)line->text.data);
        kp_socket_wait(line->socket, KP_POLL_PEER_ENDED, 1000000); /* as its Retry-After says */
        KP_TRY(write_request(http, kind, key, body, err));
    }
}

static struct kp_str lines_of(const struct http *http, int kind)
{
    return (struct kp_str){(const char *)http->topics[kind].lines.data, http->topics[kind].lines.len};
}

static enum kp_code flush(void *state, bool wait, struct kp_error *err)
{
    struct http *http = state;
    for (int kind = 0; kind < KIND_COUNT; kind++)
        if (http->topics[kind].lines.len)
            KP_TRY(write_request(http, (enum kind)kind, NULL, lines_of(http, kind), err));
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        if (http->topics[kind].lines.len)
            KP_TRY(finish_request(http, (enum kind)kind, NULL, lines_of(http, kind), err));
        http->topics[kind].lines.len = 0;
    }
    return KP_OK;
}

static enum kp_code send_event(void *state, enum kind kind, struct kp_str key, struct kp_str value,
                               struct kp_error *err)
{
    struct http *http = state;
    struct kp_buf *lines = &http->topics[kind].lines;
    if (!value.len) { /* a deletion: a null with its key */
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)key.len, key.ptr);
        KP_TRY(flush(http, true, err));
        KP_TRY(write_request(http, kind, text, KP_STR("null\n"), err));
        return finish_request(http, kind, text, KP_STR("null\n"), err);
    }
    kp_buf_append_str(lines, value);
    kp_buf_append_byte(lines, '\n');
    return lines->len >= GATHER_BYTES ? flush(http, true, err) : KP_OK;
}

static void close_http(void *state)
{
    struct http *http = state;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        kp_socket_close(http->topics[kind].socket);
        kp_buf_finish(&http->topics[kind].lines);
        kp_buf_finish(&http->topics[kind].text);
    }
    kp_free(http);
}

enum kp_code send_http_open(const char *address, struct sender *ret_sender, struct kp_error *err)
{
    struct kp_address parsed;
    int socket;
    KP_TRY(kp_address_parse(address, &parsed, err));
    KP_TRY(kp_socket_connect(&parsed, 10000000, &socket, err));
    struct http *http = kp_calloc(1, sizeof *http);
    http->address = parsed;
    for (int kind = 0; kind < KIND_COUNT; kind++)
        http->topics[kind].socket = kind == 0 ? socket : -1;
    *ret_sender = (struct sender){.state = http, .send = send_event, .flush = flush, .close = close_http};
    return KP_OK;
}
