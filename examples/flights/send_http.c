/*
 * Events through HTTP: POST /topics/{t} with NDJSON, one connection. Lines gather for each topic; when they are sent,
 * all are, in the order of kinds, so that no topic falls behind another.
 */
#include "flights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "os/socket.h"

enum { GATHER_BYTES = 256 << 10, WAIT_US = 60000000 };

struct http {
    struct kp_address address;
    int socket;
    struct kp_buf lines[KIND_COUNT];
    struct kp_buf text; /* request, then reply */
};

static enum kp_code write_all(struct http *http, const void *bytes, size_t len, struct kp_error *err)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = kp_socket_write(http->socket, (const char *)bytes + at, len - at);
        if (n == KP_SOCKET_AGAIN ? !kp_socket_wait(http->socket, KP_POLL_WRITE, WAIT_US) : n < 0)
            return kp_fail(err, KP_IO, NULL, "the server takes no more");
        at += n > 0 ? (size_t)n : 0;
    }
    return KP_OK;
}

static enum kp_code read_more(struct http *http, struct kp_error *err)
{
    for (;;) {
        ssize_t n = kp_socket_read(http->socket, kp_buf_reserve(&http->text, 4096), 4095);
        if (n > 0) {
            http->text.len += (size_t)n;
            http->text.data[http->text.len] = 0;
            return KP_OK;
        }
        if (n != KP_SOCKET_AGAIN || !kp_socket_wait(http->socket, KP_POLL_READ, WAIT_US))
            return kp_fail(err, KP_IO, NULL, "the server does not answer");
    }
}

/* One reply: its status, and http->text holds it whole. */
static enum kp_code read_reply(struct http *http, int *ret_status, struct kp_error *err)
{
    http->text.len = 0;
    const char *end = NULL;
    while (!end) {
        KP_TRY(read_more(http, err));
        end = strstr((const char *)http->text.data, "\r\n\r\n");
    }
    size_t head = (size_t)(end - (const char *)http->text.data) + 4;
    const char *length = strcasestr((const char *)http->text.data, "\r\ncontent-length:");
    size_t body = length ? (size_t)strtoul(length + 17, NULL, 10) : 0;
    while (http->text.len < head + body)
        KP_TRY(read_more(http, err));
    if (sscanf((const char *)http->text.data, "HTTP/1.%*d %d", ret_status) != 1)
        return kp_fail(err, KP_IO, NULL, "what answers is not HTTP");
    return KP_OK;
}

static enum kp_code post(struct http *http, enum kind kind, const char *key, struct kp_str body, struct kp_error *err)
{
    char address[KP_ADDRESS_TEXT_BYTES];
    for (int attempt = 0;; attempt++) {
        http->text.len = 0;
        kp_buf_printf(
            &http->text,
            "POST /topics/%s%s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %zu\r\n",
            topic_names[kind], topic_keys[kind] && !key ? "?key=" : "",
            topic_keys[kind] && !key ? topic_keys[kind] : "", kp_address_print(&http->address, address), body.len);
        if (key)
            kp_buf_printf(&http->text, "X-Kappa-Key: %s\r\n", key);
        kp_buf_append_text(&http->text, "\r\n");
        KP_TRY(write_all(http, http->text.data, http->text.len, err));
        KP_TRY(write_all(http, body.ptr, body.len, err));
        int status;
        KP_TRY(read_reply(http, &status, err));
        if (status == 200)
            return KP_OK;
        if ((status != 429 && status != 503) || attempt >= 60)
            return kp_fail(err, KP_IO, NULL, "the server refuses events for topic %s: %.300s", topic_names[kind],
                           (const char *)http->text.data);
        kp_socket_wait(http->socket, KP_POLL_PEER_ENDED, 1000000); /* as its Retry-After says */
    }
}

static enum kp_code send_gathered(struct http *http, enum kind kind, struct kp_error *err)
{
    struct kp_buf *lines = &http->lines[kind];
    if (!lines->len)
        return KP_OK;
    KP_TRY(post(http, kind, NULL, (struct kp_str){(const char *)lines->data, lines->len}, err));
    lines->len = 0;
    return KP_OK;
}

static enum kp_code flush(void *state, bool wait, struct kp_error *err)
{
    for (int kind = 0; kind < KIND_COUNT; kind++)
        KP_TRY(send_gathered(state, (enum kind)kind, err));
    return KP_OK;
}

static enum kp_code send_event(void *state, enum kind kind, struct kp_str key, struct kp_str value,
                               struct kp_error *err)
{
    struct http *http = state;
    if (!value.len) { /* a deletion: a null with its key */
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)key.len, key.ptr);
        KP_TRY(send_gathered(http, kind, err));
        return post(http, kind, text, KP_STR("null\n"), err);
    }
    kp_buf_append_str(&http->lines[kind], value);
    kp_buf_append_byte(&http->lines[kind], '\n');
    return http->lines[kind].len >= GATHER_BYTES ? flush(http, true, err) : KP_OK;
}

static void close_http(void *state)
{
    struct http *http = state;
    kp_socket_close(http->socket);
    for (int kind = 0; kind < KIND_COUNT; kind++)
        kp_buf_finish(&http->lines[kind]);
    kp_buf_finish(&http->text);
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
    http->socket = socket;
    *ret_sender = (struct sender){.state = http, .send = send_event, .flush = flush, .close = close_http};
    return KP_OK;
}
