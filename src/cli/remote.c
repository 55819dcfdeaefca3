/*
 * A small client of PostgreSQL's protocol, version 3, simple queries: startup, Query, RowDescription, DataRow,
 * CommandComplete, ErrorResponse, NoticeResponse, ReadyForQuery. Messages: a byte for the kind, a big-endian length that
 * counts itself, the body.
 */
#include "cli/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/os.h"
#include "os/socket.h"

enum { MESSAGE_BYTES_MAX = 256 << 20, CONNECT_US = 5000000 };

struct kp_remote {
    int socket;
    struct kp_buf in;   /* received, not yet taken */
    size_t at;          /* taken of it */
};

struct message {
    char kind;
    const uint8_t *body;
    size_t len;
};

/* ---- the folder's file ---- */

static char *server_path(const char *dir, struct kp_buf *path)
{
    kp_buf_printf(path, "%s/server%c", dir, 0);
    return (char *)path->data;
}

enum kp_code kp_remote_announce(const char *dir, const char *pg, struct kp_error *err)
{
    struct kp_buf path = {0};
    FILE *file = fopen(server_path(dir, &path), "w");
    enum kp_code code = file ? KP_OK : kp_fail_errno(err, errno, "cannot write \"%s\"", (char *)path.data);
    if (file) {
        fprintf(file, "pg=%s\n", pg ? pg : "off");
        fclose(file);
    }
    kp_buf_finish(&path);
    return code;
}

void kp_remote_withdraw(const char *dir)
{
    struct kp_buf path = {0};
    unlink(server_path(dir, &path));
    kp_buf_finish(&path);
}

static enum kp_code read_address(const char *dir, struct kp_address *ret_address, struct kp_error *err)
{
    struct kp_buf path = {0};
    char line[256] = "";
    FILE *file = fopen(server_path(dir, &path), "r");
    if (file) {
        if (!fgets(line, sizeof line, file))
            line[0] = '\0';
        fclose(file);
    }
    kp_buf_finish(&path);
    line[strcspn(line, "\r\n")] = '\0';
    if (strncmp(line, "pg=", 3) != 0 || strcmp(line + 3, "off") == 0) {
        (void)kp_fail(err, KP_BUSY, NULL, "\"%s\" is open in another process, which serves no PostgreSQL clients", dir);
        return kp_error_hint(err, "Stop that process, or start it as `kappa server` with --pg.");
    }
    return kp_address_parse(line + 3, ret_address, err);
}

/* ---- messages ---- */

static enum kp_code send_all(struct kp_remote *remote, const struct kp_buf *out, struct kp_error *err)
{
    for (size_t done = 0; done < out->len;) {
        ssize_t n = write(remote->socket, out->data + done, out->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return kp_fail_errno(err, errno, "cannot write to the server");
        done += (size_t)n;
    }
    return KP_OK;
}

static enum kp_code receive(struct kp_remote *remote, size_t need, struct kp_error *err)
{
    while (remote->in.len - remote->at < need) {
        ssize_t n = read(remote->socket, kp_buf_reserve(&remote->in, 1 << 16), 1 << 16);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kp_fail_errno(err, errno, "cannot read from the server");
        if (n == 0)
            return kp_fail(err, KP_CLOSED, "08006", "the server closed the connection");
        remote->in.len += (size_t)n;
    }
    return KP_OK;
}

/* The body is borrowed until the next call. */
static enum kp_code next_message(struct kp_remote *remote, struct message *ret_message, struct kp_error *err)
{
    kp_buf_consume(&remote->in, remote->at);
    remote->at = 0;
    KP_TRY(receive(remote, 5, err));
    uint32_t len = kp_load_be32(remote->in.data + 1);
    if (len < 4 || len > MESSAGE_BYTES_MAX)
        return kp_fail(err, KP_INVALID, "08P01", "the server sent a message of %u bytes", len);
    KP_TRY(receive(remote, len + 1, err));
    *ret_message = (struct message){(char)remote->in.data[0], remote->in.data + 5, len - 4};
    remote->at = len + 1;
    return KP_OK;
}

static const char *take_string(struct message *message)
{
    const uint8_t *end = message->len ? memchr(message->body, 0, message->len) : NULL;
    if (!end)
        return "";
    const char *text = (const char *)message->body;
    size_t len = (size_t)(end - message->body) + 1;
    message->body += len;
    message->len -= len;
    return text;
}

static bool take(struct message *message, void *out, size_t len)
{
    if (message->len < len)
        return false;
    memcpy(out, message->body, len);
    message->body += len;
    message->len -= len;
    return true;
}

static void read_error(struct message message, struct kp_error *err)
{
    (void)kp_fail(err, KP_INVALID, NULL, "the server reported an error");
    char field;
    while (take(&message, &field, 1) && field) {
        const char *text = take_string(&message);
        if (field == 'C')
            snprintf(err->sqlstate, sizeof err->sqlstate, "%s", text);
        if (field == 'M')
            snprintf(err->message, sizeof err->message, "%s", text);
        if (field == 'D')
            snprintf(err->detail, sizeof err->detail, "%s", text);
        if (field == 'H')
            snprintf(err->hint, sizeof err->hint, "%s", text);
        if (field == 'P')
            err->position = (int32_t)strtol(text, NULL, 10);
    }
}

/* ---- open ---- */

static enum kp_code start_up(struct kp_remote *remote, struct kp_error *err)
{
    static const char parameters[] = "user\0kappa\0database\0kappa\0application_name\0kappa sql\0";
    struct kp_buf out = {0};
    kp_buf_append_be32(&out, (uint32_t)(8 + sizeof parameters));
    kp_buf_append_be32(&out, 196608); /* protocol 3.0 */
    kp_buf_append(&out, parameters, sizeof parameters);
    enum kp_code code = send_all(remote, &out, err);
    kp_buf_finish(&out);
    while (code == KP_OK) {
        struct message message;
        code = next_message(remote, &message, err);
        if (code == KP_OK && message.kind == 'E') {
            read_error(message, err);
            return err->code;
        }
        if (code == KP_OK && message.kind == 'Z')
            return KP_OK;
    }
    return code;
}

enum kp_code kp_remote_open(const char *dir, struct kp_remote **ret_remote, struct kp_error *err)
{
    struct kp_address address;
    KP_TRY(read_address(dir, &address, err));
    struct kp_remote *remote = kp_calloc(1, sizeof *remote);
    enum kp_code code = kp_socket_connect(&address, CONNECT_US, &remote->socket, err);
    if (code != KP_OK)
        remote->socket = -1;
    else
        code = start_up(remote, err);
    if (code != KP_OK) {
        kp_error_context(err, "the server of \"%s\"", dir);
        kp_remote_close(remote);
        return code;
    }
    *ret_remote = remote;
    return KP_OK;
}

void kp_remote_close(struct kp_remote *remote)
{
    if (!remote)
        return;
    if (remote->socket >= 0)
        close(remote->socket);
    kp_buf_finish(&remote->in);
    kp_free(remote);
}

/* ---- run ---- */

struct result {
    struct kp_output output;
    bool open;
    struct kp_str *cells;
};

static void begin_rows(struct result *result, struct message message, enum kp_output_format format)
{
    uint16_t count = 0;
    struct kp_column *cols = NULL;
    if (take(&message, &count, 2))
        count = __builtin_bswap16(count);
    cols = kp_calloc(count + 1u, sizeof *cols);
    for (uint16_t i = 0; i < count; i++) {
        uint8_t rest[18];
        cols[i].name = take_string(&message);
        if (!take(&message, rest, sizeof rest))
            break;
        enum kp_type_id id = kp_type_by_oid(kp_load_be32(rest + 6));
        cols[i].type = KP_TYPE(id ? id : KP_TEXT);
    }
    kp_output_begin(&result->output, format, stdout, cols, count, NULL);
    result->cells = kp_calloc(count + 1u, sizeof *result->cells);
    result->open = true;
    kp_free(cols);
}

static void row(struct result *result, struct message message)
{
    uint16_t count;
    if (!result->open || !take(&message, &count, 2))
        return;
    for (uint32_t i = 0; i < result->output.col_count; i++) {
        uint32_t len;
        if (!take(&message, &len, 4))
            return;
        len = __builtin_bswap32(len);
        bool null = len == UINT32_MAX;
        if (!null && len > message.len)
            return;
        result->cells[i] = (struct kp_str){null ? NULL : (const char *)message.body, null ? 0 : len};
        message.body += null ? 0 : len;
        message.len -= null ? 0 : len;
    }
    kp_output_row(&result->output, result->cells);
}

static void end_rows(struct result *result)
{
    if (result->open)
        kp_output_end(&result->output);
    kp_free(result->cells);
    *result = (struct result){0};
}

static void give_notice(struct message message, void (*notice)(void *arg, const char *severity, const struct kp_error *notice), void *arg)
{
    struct kp_error text;
    read_error(message, &text);
    if (notice)
        notice(arg, "NOTICE", &text);
}

enum kp_code kp_remote_run(struct kp_remote *remote, struct kp_str statement, enum kp_output_format format,
                           void (*notice)(void *arg, const char *severity, const struct kp_error *notice), void *arg, struct kp_error *err)
{
    struct kp_buf out = {0};
    kp_buf_append_byte(&out, 'Q');
    kp_buf_append_be32(&out, (uint32_t)(statement.len + 5));
    kp_buf_append_str(&out, statement);
    kp_buf_append_byte(&out, 0);
    enum kp_code code = send_all(remote, &out, err), failed = KP_OK;
    kp_buf_finish(&out);
    struct result result = {0};
    struct message message = {0};
    while (code == KP_OK && message.kind != 'Z') {
        code = next_message(remote, &message, err);
        if (code != KP_OK)
            break;
        if (message.kind == 'T')
            begin_rows(&result, message, format);
        else if (message.kind == 'D')
            row(&result, message);
        else if (message.kind == 'N')
            give_notice(message, notice, arg);
        else if (message.kind == 'C' && !result.open)
            fprintf(stderr, "%s\n", take_string(&message));
        else if (message.kind == 'C')
            end_rows(&result);
        else if (message.kind == 'E') {
            read_error(message, err);
            failed = err->code;
        } else if (message.kind == 'G') {
            (void)kp_fail(err, KP_UNSUPPORTED, NULL, "COPY FROM STDIN needs psql");
            failed = code = err->code;
        }
    }
    end_rows(&result);
    return code == KP_OK ? failed : code;
}
