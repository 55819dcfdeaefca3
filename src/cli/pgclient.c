/*
 * The client's side of PostgreSQL's protocol 3.0 (messages: serve/pg/proto.h).
 *
 *   query ─► Query ─► { RowDescription, DataRow… | CopyOut… | CopyIn, our CopyData… }, CommandComplete … ReadyForQuery
 *
 * Every query is read to its ReadyForQuery whatever happens, so that the next one begins at a known place. Waiting is
 * in slices, so that the interrupt flag is seen; a cancel goes over a connection of its own, as the protocol wants it.
 */
#include "cli/pgclient.h"

#include <stdlib.h>

#include "os/os.h"
#include "serve/pg/proto.h"

enum { SLICE_US = 100000, READ_BYTES = 64 << 10, SEND_BYTES = 64 << 10 };

struct setting {
    char *name, *value;
};

struct kp_pgclient {
    struct kp_pgclient_options options;
    int socket;
    struct kp_buf in, out;
    size_t in_at;
    uint32_t pid, secret;
    char status;
    bool lost; /* nothing more can be read */
    struct setting *settings;
    size_t setting_count;
    struct kp_buf names; /* of the columns of the result */
    struct kp_column *cols;
    struct kp_str *values;
    uint32_t col_count;
};

struct answer {
    char type;
    struct kp_str body;
};

/* ---- moving bytes ---- */

static enum kp_code lost(struct kp_pgclient *client, struct kp_error *err)
{
    client->lost = true;
    return kp_fail(err, KP_CLOSED, "08006", "the server has closed the connection");
}

static void cancel(struct kp_pgclient *client)
{
    int socket;
    if (kp_socket_connect(&client->options.address, 1000000, &socket, NULL) != KP_OK)
        return;
    uint8_t packet[16];
    uint32_t words[4] = {16, KP_PG_CANCEL, client->pid, client->secret};
    for (size_t i = 0; i < 4; i++) {
        uint32_t be = __builtin_bswap32(words[i]);
        memcpy(packet + i * 4, &be, 4);
    }
    if (kp_socket_write(socket, packet, sizeof packet) == (ssize_t)sizeof packet)
        (void)kp_socket_wait(socket, KP_POLL_READ, 1000000); /* it closes when it is done */
    kp_socket_close(socket);
}

static void check_interrupt(struct kp_pgclient *client)
{
    if (client->options.interrupt && atomic_exchange(client->options.interrupt, false) && client->pid)
        cancel(client);
}

static enum kp_code send_all(struct kp_pgclient *client, struct kp_error *err)
{
    size_t at = 0;
    while (at < client->out.len) {
        ssize_t n = kp_socket_write(client->socket, client->out.data + at, client->out.len - at);
        if (n == KP_SOCKET_AGAIN) {
            (void)kp_socket_wait(client->socket, KP_POLL_WRITE, SLICE_US);
            check_interrupt(client);
        } else if (n < 0) {
            break; /* what the server said last may still be read */
        } else {
            at += (size_t)n;
        }
    }
    bool all = at == client->out.len;
    client->out.len = 0;
    return all ? KP_OK : lost(client, err);
}

/* Reads more; waits until something has come, or until_us (of the monotonic clock; negative: for ever). */
static enum kp_code receive(struct kp_pgclient *client, int64_t until_us, const struct kp_pgclient_handler *handler,
                            struct kp_error *err)
{
    struct kp_os *os = kp_os_real();
    kp_buf_consume(&client->in, client->in_at);
    client->in_at = 0;
    for (bool told = false;;) {
        uint8_t *to = kp_buf_reserve(&client->in, READ_BYTES);
        ssize_t n = kp_socket_read(client->socket, to, READ_BYTES);
        if (n > 0) {
            client->in.len += (size_t)n;
            return KP_OK;
        }
        if (n != KP_SOCKET_AGAIN)
            return lost(client, err);
        if (!told && handler && handler->idle) {
            told = true;
            KP_TRY(handler->idle(handler->arg, err));
        }
        if (until_us >= 0 && os->mono_ns(os->ctx) / 1000 >= until_us) {
            client->lost = true;
            return kp_fail(err, KP_BUSY, "08001", "the server did not answer in time");
        }
        (void)kp_socket_wait(client->socket, KP_POLL_READ, SLICE_US);
        check_interrupt(client);
    }
}

/* The next message; its body is valid until the next call. */
static enum kp_code next_answer(struct kp_pgclient *client, int64_t until_us, const struct kp_pgclient_handler *handler,
                                struct answer *ret_answer, struct kp_error *err)
{
    for (;;) {
        const char *at = (const char *)client->in.data + client->in_at;
        size_t have = client->in.len - client->in_at;
        uint32_t len = have >= 5 ? kp_load_be32(at + 1) : 0;
        if (have >= 5 && (len < 4 || len > INT32_MAX)) {
            client->lost = true;
            return kp_fail(err, KP_INVALID, "08P01", "what answers there does not speak PostgreSQL's protocol");
        }
        if (have >= 5 && have > len) {
            client->in_at += (size_t)len + 1;
            *ret_answer = (struct answer){at[0], {at + 5, len - 4}};
            return KP_OK;
        }
        KP_TRY(receive(client, until_us, handler, err));
    }
}

/* ---- what comes at any time ---- */

static void copy_field(char *to, size_t size, struct kp_str text)
{
    size_t len = KP_MIN(text.len, size - 1);
    memcpy(to, text.ptr, len);
    to[len] = '\0';
}

static enum kp_code code_of(const char *sqlstate)
{
    static const struct {
        const char *prefix;
        enum kp_code code;
    } codes[] = {{"57014", KP_CANCELLED}, {"57P", KP_CLOSED},      {"08", KP_CLOSED},    {"0A", KP_UNSUPPORTED},
                 {"42P07", KP_EXISTS},    {"23505", KP_EXISTS},    {"54", KP_LIMIT},     {"532", KP_BUDGET},
                 {"42P01", KP_NOT_FOUND}, {"42703", KP_NOT_FOUND}, {"28", KP_FORBIDDEN}, {"42501", KP_FORBIDDEN},
                 {"58", KP_IO},           {"53100", KP_FULL}};
    for (size_t i = 0; i < KP_COUNT(codes); i++)
        if (strncmp(sqlstate, codes[i].prefix, strlen(codes[i].prefix)) == 0)
            return codes[i].code;
    return KP_INVALID;
}

/* An ErrorResponse or NoticeResponse. severity: 16 bytes. */
static void read_report(struct kp_str body, char *severity, struct kp_error *ret_err)
{
    struct kp_pg_reader reader = kp_pg_reader(body);
    kp_error_clear(ret_err);
    for (uint8_t field; (field = kp_pg_read_u8(&reader)) != 0;) {
        struct kp_str text = kp_pg_read_text(&reader);
        switch (field) {
        case 'V':
            copy_field(severity, 16, text);
            break;
        case 'C':
            copy_field(ret_err->sqlstate, sizeof ret_err->sqlstate, text);
            break;
        case 'M':
            copy_field(ret_err->message, sizeof ret_err->message, text);
            break;
        case 'D':
            copy_field(ret_err->detail, sizeof ret_err->detail, text);
            break;
        case 'H':
            copy_field(ret_err->hint, sizeof ret_err->hint, text);
            break;
        case 'P':
            ret_err->position = (int32_t)strtol(text.ptr, NULL, 10);
            break;
        default:
            break;
        }
    }
    ret_err->code = code_of(ret_err->sqlstate);
}

static void keep_setting(struct kp_pgclient *client, struct kp_str body)
{
    struct kp_pg_reader reader = kp_pg_reader(body);
    struct kp_str name = kp_pg_read_text(&reader), value = kp_pg_read_text(&reader);
    if (reader.bad)
        return;
    for (size_t i = 0; i < client->setting_count; i++) {
        if (strcmp(client->settings[i].name, name.ptr) == 0) {
            kp_free(client->settings[i].value);
            client->settings[i].value = kp_strdup(value.ptr);
            return;
        }
    }
    if (client->setting_count == 64) /* no server reports so many */
        return;
    client->settings = kp_realloc(client->settings, (client->setting_count + 1) * sizeof *client->settings);
    client->settings[client->setting_count++] = (struct setting){kp_strdup(name.ptr), kp_strdup(value.ptr)};
}

/* True if the answer was one that may come at any time. */
static bool take_aside(struct kp_pgclient *client, const struct answer *answer)
{
    char severity[16] = "NOTICE";
    struct kp_error notice;
    if (answer->type == 'S') {
        keep_setting(client, answer->body);
        return true;
    }
    if (answer->type == 'N') {
        read_report(answer->body, severity, &notice);
        if (client->options.notice)
            client->options.notice(client->options.arg, severity, &notice);
        return true;
    }
    return answer->type == 'A';
}

/* ---- opening ---- */

static void put_startup(struct kp_pgclient *client)
{
    const struct kp_pgclient_options *options = &client->options;
    struct kp_buf *out = &client->out;
    kp_buf_append_be32(out, 0);
    kp_buf_append_be32(out, KP_PG_PROTOCOL_3);
    const char *pairs[][2] = {{"user", options->user ? options->user : "kappa"},
                              {"database", options->database ? options->database : "kappa"},
                              {"application_name", options->application ? options->application : ""},
                              {"client_encoding", "UTF8"}};
    for (size_t i = 0; i < KP_COUNT(pairs); i++) {
        kp_pg_put_text(out, pairs[i][0]);
        kp_pg_put_text(out, pairs[i][1]);
    }
    kp_buf_append_byte(out, 0);
    kp_pg_end(out, 0);
}

static enum kp_code welcome(struct kp_pgclient *client, struct kp_error *err)
{
    struct kp_os *os = kp_os_real();
    int64_t until_us = os->mono_ns(os->ctx) / 1000 + client->options.timeout_us;
    char severity[16];
    put_startup(client);
    KP_TRY(send_all(client, err));
    for (;;) {
        struct answer answer;
        KP_TRY(next_answer(client, until_us, NULL, &answer, err));
        struct kp_pg_reader reader = kp_pg_reader(answer.body);
        if (take_aside(client, &answer) || answer.type == 'v')
            continue;
        switch (answer.type) {
        case 'R':
            if (kp_pg_read_u32(&reader) != 0)
                return kp_fail(err, KP_FORBIDDEN, "28000", "the server asks for a password");
            break;
        case 'K':
            client->pid = kp_pg_read_u32(&reader);
            client->secret = kp_pg_read_u32(&reader);
            break;
        case 'Z':
            client->status = (char)kp_pg_read_u8(&reader);
            return KP_OK;
        case 'E': {
            struct kp_error error;
            read_report(answer.body, severity, &error);
            if (err)
                *err = error;
            return error.code;
        }
        default:
            return kp_fail(err, KP_INVALID, "08P01", "unexpected message '%c' while connecting", answer.type);
        }
    }
}

enum kp_code kp_pgclient_open(const struct kp_pgclient_options *options, struct kp_pgclient **ret_client,
                              struct kp_error *err)
{
    struct kp_pgclient *client = kp_calloc(1, sizeof *client);
    char address[KP_ADDRESS_TEXT_BYTES];
    client->options = *options;
    client->socket = -1;
    client->status = 'I';
    if (!client->options.timeout_us)
        client->options.timeout_us = 10000000;
    enum kp_code code = kp_socket_connect(&options->address, client->options.timeout_us, &client->socket, err);
    if (code == KP_OK)
        code = welcome(client, err);
    if (code != KP_OK) {
        kp_error_context(err, "connecting to %s", kp_address_print(&options->address, address));
        kp_pgclient_close(client);
        return code;
    }
    *ret_client = client;
    return KP_OK;
}

void kp_pgclient_close(struct kp_pgclient *client)
{
    if (!client)
        return;
    if (client->socket >= 0 && !client->lost && client->pid) {
        client->out.len = 0;
        kp_pg_put_bare(&client->out, 'X');
        (void)kp_socket_write(client->socket, client->out.data, client->out.len);
    }
    kp_socket_close(client->socket);
    for (size_t i = 0; i < client->setting_count; i++) {
        kp_free(client->settings[i].name);
        kp_free(client->settings[i].value);
    }
    kp_free(client->settings);
    kp_buf_finish(&client->in);
    kp_buf_finish(&client->out);
    kp_buf_finish(&client->names);
    kp_free(client->cols);
    kp_free(client->values);
    kp_free(client);
}

const char *kp_pgclient_setting(const struct kp_pgclient *client, const char *name)
{
    for (size_t i = 0; i < client->setting_count; i++)
        if (strcmp(client->settings[i].name, name) == 0)
            return client->settings[i].value;
    return NULL;
}

char kp_pgclient_status(const struct kp_pgclient *client)
{
    return client->status;
}

/* ---- a query's answers ---- */

static enum kp_code bad_answer(struct kp_pgclient *client, const struct answer *answer, struct kp_error *err)
{
    client->lost = true;
    return kp_fail(err, KP_INVALID, "08P01", "malformed message '%c' from the server", answer->type);
}

static enum kp_code take_columns(struct kp_pgclient *client, const struct answer *answer,
                                 const struct kp_pgclient_handler *handler, struct kp_error *err)
{
    struct kp_pg_reader reader = kp_pg_reader(answer->body);
    uint32_t count = kp_pg_read_u16(&reader);
    client->names.len = 0;
    kp_buf_append_str(&client->names, answer->body); /* the names outlive the message */
    client->cols = kp_realloc(client->cols, (count + 1) * sizeof *client->cols);
    client->values = kp_realloc(client->values, (count + 1) * sizeof *client->values);
    client->col_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct kp_str name = kp_pg_read_text(&reader);
        size_t name_at = (size_t)(name.ptr - answer->body.ptr);
        (void)kp_pg_read_bytes(&reader, 6);
        enum kp_type_id type = kp_type_by_oid(kp_pg_read_u32(&reader));
        (void)kp_pg_read_u16(&reader);
        int32_t mod = (int32_t)kp_pg_read_u32(&reader);
        (void)kp_pg_read_u16(&reader);
        if (reader.bad)
            return bad_answer(client, answer, err);
        client->cols[i] = (struct kp_column){.name = (const char *)client->names.data + name_at,
                                             .type = type == KP_TYPE_NONE ? KP_TYPE(KP_TEXT)
                                                                          : (struct kp_type){.id = type, .mod = mod}};
    }
    return handler->columns ? handler->columns(handler->arg, client->cols, count, err) : KP_OK;
}

static enum kp_code take_row(struct kp_pgclient *client, const struct answer *answer,
                             const struct kp_pgclient_handler *handler, struct kp_error *err)
{
    struct kp_pg_reader reader = kp_pg_reader(answer->body);
    uint32_t count = kp_pg_read_u16(&reader);
    if (count != client->col_count)
        return bad_answer(client, answer, err);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len = kp_pg_read_u32(&reader);
        client->values[i] = len == UINT32_MAX ? (struct kp_str){NULL, 0} : kp_pg_read_bytes(&reader, len);
    }
    if (reader.bad)
        return bad_answer(client, answer, err);
    return handler->row ? handler->row(handler->arg, client->values, count, err) : KP_OK;
}

/* Sends all of COPY IN's data. An error of the source, or that there is none, is told to the server. */
static enum kp_code send_copy(struct kp_pgclient *client, const struct kp_pgclient_handler *handler,
                              struct kp_error *err)
{
    enum kp_code code = KP_OK;
    if (!handler->copy_in)
        code = kp_fail(err, KP_UNSUPPORTED, NULL, "there is no input for COPY FROM STDIN");
    while (code == KP_OK) {
        size_t begun = kp_pg_begin(&client->out, 'd');
        code = handler->copy_in(handler->arg, &client->out, err);
        bool none = client->out.len == begun + 4;
        if (code != KP_OK || none) {
            client->out.len = begun - 1;
            break;
        }
        kp_pg_end(&client->out, begun);
        if (client->out.len >= SEND_BYTES)
            KP_TRY(send_all(client, err));
    }
    size_t begun = kp_pg_begin(&client->out, code == KP_OK ? 'c' : 'f');
    if (code != KP_OK)
        kp_pg_put_text(&client->out, err ? err->message : "failed");
    kp_pg_end(&client->out, begun);
    struct kp_error ignored;
    enum kp_code sent = send_all(client, code == KP_OK ? err : &ignored);
    return code == KP_OK ? sent : code;
}

static enum kp_code take_answer(struct kp_pgclient *client, const struct answer *answer,
                                const struct kp_pgclient_handler *handler, struct kp_error *err)
{
    struct kp_pg_reader reader = kp_pg_reader(answer->body);
    switch (answer->type) {
    case 'T':
        return take_columns(client, answer, handler, err);
    case 'D':
        return take_row(client, answer, handler, err);
    case 'C': {
        struct kp_str tag = kp_pg_read_text(&reader);
        return handler->complete ? handler->complete(handler->arg, tag.ptr, err) : KP_OK;
    }
    case 'I':
        return handler->complete ? handler->complete(handler->arg, "", err) : KP_OK;
    case 'd':
        return handler->copy_out ? handler->copy_out(handler->arg, answer->body, err) : KP_OK;
    case 'G':
        return send_copy(client, handler, err);
    case 'H':
    case 'c':
        return KP_OK;
    default:
        return bad_answer(client, answer, err);
    }
}

enum kp_code kp_pgclient_query(struct kp_pgclient *client, struct kp_str sql, const struct kp_pgclient_handler *handler,
                               struct kp_error *err)
{
    static const struct kp_pgclient_handler drop = {0};
    enum kp_code result = KP_OK; /* of the first that failed */
    struct kp_error first;
    char severity[16];
    if (client->lost)
        return lost(client, err);
    size_t begun = kp_pg_begin(&client->out, 'Q');
    kp_buf_append_str(&client->out, sql);
    kp_buf_append_byte(&client->out, 0);
    kp_pg_end(&client->out, begun);
    KP_TRY(send_all(client, err));
    for (;;) {
        struct answer answer;
        struct kp_error error;
        const struct kp_pgclient_handler *active = result == KP_OK ? handler : &drop;
        enum kp_code code = next_answer(client, -1, active, &answer, &error);
        if (code == KP_OK && take_aside(client, &answer))
            continue;
        if (code == KP_OK && answer.type == 'Z') {
            struct kp_pg_reader reader = kp_pg_reader(answer.body);
            client->status = (char)kp_pg_read_u8(&reader);
            break;
        }
        bool from_server = code == KP_OK && answer.type == 'E';
        if (from_server) {
            read_report(answer.body, severity, &error);
            code = error.code;
        } else if (code == KP_OK) {
            code = take_answer(client, &answer, active, &error);
        }
        if (code != KP_OK && result == KP_OK) {
            result = code;
            first = error;
            if (!from_server && !client->lost)
                cancel(client); /* nobody wants the rest */
        }
        if (client->lost)
            break;
    }
    if (result != KP_OK && err)
        *err = first;
    return result;
}
