/*
 * First packets: SSLRequest and GSSENCRequest (answered 'N': go on in the clear), CancelRequest, StartupMessage.
 *
 * Who may come in: until roles are there, whoever reaches the server from this machine. An address that others can
 * reach is refused, so that binding the port to it by mistake opens nothing.
 */
#include "serve/pg/session.h"

/* Settings that clients are told of at the start and whenever they change. The values are those of a session that does
 * not know the name. */
static const struct {
    const char *name, *value;
} reported[] = {
    {"application_name", ""},
    {"client_encoding", "UTF8"},
    {"DateStyle", "ISO, MDY"},
    {"default_transaction_read_only", "off"},
    {"in_hot_standby", "off"},
    {"integer_datetimes", "on"},
    {"IntervalStyle", "postgres"},
    {"is_superuser", "on"},
    {"server_encoding", "UTF8"},
    {"server_version", "15.0"},
    {"session_authorization", "kappa"},
    {"standard_conforming_strings", "on"},
    {"TimeZone", "UTC"},
};

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if ((*a | 0x20) != (*b | 0x20))
            return false;
    return *a == *b;
}

void kp_pg_setting_changed(void *arg, const char *name, const char *value)
{
    struct kp_pg *pg = arg;
    if (pg->phase == KP_PG_STARTUP) /* all are told at its end */
        return;
    if (pg->unnamed_statement) /* what was bound under the old value must be parsed again */
        pg->unnamed_statement->parsed.len = 0;
    for (size_t i = 0; i < KP_COUNT(reported); i++)
        if (same_name(reported[i].name, name))
            kp_pg_put_parameter_status(&pg->conn->out, reported[i].name, value);
}

void kp_pg_notice(void *arg, const char *severity, const struct kp_error *notice)
{
    struct kp_pg *pg = arg;
    if (pg->session && !kp_session_wants_notice(pg->session, severity))
        return;
    kp_pg_put_notice(&pg->conn->out, severity, notice);
}

/* ---- StartupMessage ---- */

struct startup {
    const char *user, *database, *application, *options;
    uint32_t unknown_count; /* _pq_. options */
    struct kp_buf unknown;
    struct {
        const char *name, *value;
    } settings[64];
    size_t setting_count;
};

static enum kp_code read_pair(struct startup *startup, struct kp_str name, struct kp_str value, struct kp_error *err)
{
    if (kp_str_equal(name, KP_STR("user"))) {
        startup->user = value.ptr;
    } else if (kp_str_equal(name, KP_STR("database"))) {
        startup->database = value.ptr;
    } else if (kp_str_equal(name, KP_STR("application_name"))) {
        startup->application = value.ptr;
    } else if (kp_str_equal(name, KP_STR("options"))) {
        startup->options = value.ptr;
    } else if (kp_str_equal(name, KP_STR("replication"))) {
        if (!kp_str_equal(value, KP_STR("false")) && !kp_str_equal(value, KP_STR("off")) &&
            !kp_str_equal(value, KP_STR("0")))
            return kp_fail(err, KP_UNSUPPORTED, NULL, "the replication protocol is not supported");
    } else if (name.len > 5 && memcmp(name.ptr, "_pq_.", 5) == 0) {
        startup->unknown_count++;
        kp_buf_append(&startup->unknown, name.ptr, name.len + 1);
    } else if (startup->setting_count < KP_COUNT(startup->settings)) {
        startup->settings[startup->setting_count].name = name.ptr;
        startup->settings[startup->setting_count++].value = value.ptr;
    } else {
        return kp_fail(err, KP_LIMIT, NULL, "too many settings in the startup packet");
    }
    return KP_OK;
}

static enum kp_code read_startup(struct kp_pg_reader *reader, struct startup *startup, struct kp_error *err)
{
    for (;;) {
        struct kp_str name = kp_pg_read_text(reader);
        if (reader->bad || !name.len)
            break;
        struct kp_str value = kp_pg_read_text(reader);
        if (reader->bad)
            break;
        KP_TRY(kp_pg_check_text(name, err));
        KP_TRY(kp_pg_check_text(value, err));
        KP_TRY(read_pair(startup, name, value, err));
    }
    KP_TRY(kp_pg_read_end(reader, "startup", err));
    if (!startup->user || !startup->user[0])
        return kp_fail(err, KP_INVALID, "28000", "no PostgreSQL user name specified in startup packet");
    return KP_OK;
}

/* "-c name=value --name=value …" as PGOPTIONS has it: blanks part, a backslash guards. Cuts `text`, which is changed.
 */
static enum kp_code apply_options(struct kp_pg *pg, char *text, struct kp_error *err)
{
    bool named = false; /* "-c" stood before */
    for (char *at = text; *at;) {
        while (*at == ' ' || (*at >= '\t' && *at <= '\r'))
            at++;
        char *word = at, *to = at;
        while (*at && *at != ' ' && !(*at >= '\t' && *at <= '\r')) {
            if (*at == '\\' && at[1])
                at++;
            *to++ = *at++;
        }
        if (word == at)
            break;
        at += *at != '\0';
        *to = '\0';
        if (!named && strcmp(word, "-c") == 0) {
            named = true;
            continue;
        }
        if (!named && strncmp(word, "-c", 2) != 0 && strncmp(word, "--", 2) != 0)
            return kp_fail(err, KP_INVALID, "42601", "invalid command-line argument for server process: %s", word);
        char *name = named ? word : word + 2, *equals = strchr(name, '=');
        if (!equals)
            return kp_fail(err, KP_INVALID, "42601", "%s requires a value", name);
        *equals = '\0';
        for (char *c = name; *c; c++)
            if (*c == '-')
                *c = '_';
        KP_TRY(kp_session_set(pg->session, name, equals + 1, err));
        named = false;
    }
    return KP_OK;
}

static enum kp_code open_session(struct kp_pg *pg, const struct startup *startup, struct kp_error *err)
{
    struct kp_session_options options = {
        .user = startup->user,
        .database = startup->database && startup->database[0] ? startup->database : startup->user,
        .application = startup->application,
        .setting_changed = kp_pg_setting_changed,
        .notice = kp_pg_notice,
        .arg = pg,
    };
    struct kp_address peer;
    kp_conn_peer(pg->conn, &peer);
    if (!kp_address_is_loopback(&peer)) {
        (void)kp_fail(err, KP_FORBIDDEN, "28000", "connections from %s are refused: there is no sign-in yet",
                      peer.host);
        return kp_error_hint(err, "Connect from the server's own machine, through an SSH tunnel for example.");
    }
    KP_TRY(kp_session_open(pg->door->db, &options, &pg->session, err));
    if (startup->options) {
        char *text = kp_arena_strdup(&pg->scratch, startup->options);
        KP_TRY(apply_options(pg, text, err));
    }
    for (size_t i = 0; i < startup->setting_count; i++)
        KP_TRY(kp_session_set(pg->session, startup->settings[i].name, startup->settings[i].value, err));
    return KP_OK;
}

static enum kp_code start_up(struct kp_pg *pg, struct kp_pg_reader *reader, struct startup *startup,
                             struct kp_error *err)
{
    KP_TRY(read_startup(reader, startup, err));
    return open_session(pg, startup, err);
}

static void welcome(struct kp_pg *pg)
{
    struct kp_buf *out = &pg->conn->out;
    kp_pg_put_authentication_ok(out);
    for (size_t i = 0; i < KP_COUNT(reported); i++) {
        const char *value = kp_session_get(pg->session, reported[i].name);
        kp_pg_put_parameter_status(out, reported[i].name, value ? value : reported[i].value);
    }
    kp_pg_register(pg);
    kp_session_set_pid(pg->session, pg->pid);
    kp_pg_put_key_data(out, pg->pid, pg->secret);
    pg->phase = KP_PG_READY;
    kp_conn_set_timer(pg->conn, -1, NULL);
    kp_pg_ready(pg);
}

static void handle_startup(struct kp_pg *pg, uint32_t version, struct kp_pg_reader *reader)
{
    struct kp_error err;
    struct startup startup = {0};
    if (version >> 16 != KP_PG_PROTOCOL_3 >> 16) {
        (void)kp_fail(&err, KP_UNSUPPORTED, NULL, "unsupported frontend protocol %u.%u: server supports 3.0",
                      version >> 16, version & 0xffff);
        kp_pg_fatal(pg, &err);
        return;
    }
    enum kp_code code = start_up(pg, reader, &startup, &err);
    if (code == KP_OK && (version != KP_PG_PROTOCOL_3 || startup.unknown_count))
        kp_pg_put_negotiate(&pg->conn->out, 0, startup.unknown_count,
                            (struct kp_str){(const char *)startup.unknown.data, startup.unknown.len});
    kp_buf_finish(&startup.unknown);
    if (code == KP_OK)
        welcome(pg);
    else
        kp_pg_fatal(pg, &err);
}

void kp_pg_handle_first(struct kp_pg *pg, struct kp_str body)
{
    struct kp_pg_reader reader = kp_pg_reader(body);
    uint32_t code = kp_pg_read_u32(&reader);
    switch (code) {
    case KP_PG_SSL:
    case KP_PG_GSSENC:
        kp_buf_append_byte(&pg->conn->out, 'N');
        break;
    case KP_PG_CANCEL: {
        uint32_t pid = kp_pg_read_u32(&reader), secret = kp_pg_read_u32(&reader);
        if (!reader.bad)
            kp_pg_cancel(pg->door, pid, secret);
        pg->ending = true;
        kp_conn_close(pg->conn);
        break;
    }
    default:
        handle_startup(pg, code, &reader);
    }
}
