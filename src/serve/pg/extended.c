/*
 * The extended protocol: Parse, Bind, Describe, Execute, Close, Flush, Sync.
 *
 * What stands between two Syncs is one transaction. An Execute with a Sync right behind it commits by itself; only
 * where more follows is an implicit transaction begun.
 */
#include "serve/pg/session.h"

#include "vec/vec.h"

enum { KNOWN_BYTES = 4096 }; /* of a Parse that is remembered */

/* ---- Parse ---- */

static enum kp_code read_type(uint32_t oid, uint32_t number, enum kp_type_id *ret_type, struct kp_error *err)
{
    *ret_type = oid ? kp_type_by_oid(oid) : KP_TYPE_NONE;
    if (oid && *ret_type == KP_TYPE_NONE) {
        (void)kp_fail(err, KP_UNSUPPORTED, NULL, "parameter $%u has type OID %u, which kappa does not have", number,
                      oid);
        return kp_error_hint(err, "Send it as text, with OID 0, and cast it in the statement.");
    }
    return KP_OK;
}

bool kp_pg_parse_is_known(struct kp_pg *pg, struct kp_str body)
{
    const struct kp_pg_statement *statement = pg->unnamed_statement;
    return statement && statement->parsed.len && kp_session_status(pg->session) != 'E' &&
           kp_str_equal(body, (struct kp_str){(const char *)statement->parsed.data, statement->parsed.len}) &&
           kp_prepared_is_quick(statement->prepared);
}

static enum kp_code handle_parse(struct kp_pg *pg, struct kp_str body, struct kp_error *err)
{
    if (kp_pg_parse_is_known(pg, body)) { /* clients that do not keep statements send the same one again and again */
        kp_pg_put_bare(&pg->conn->out, '1');
        return KP_OK;
    }
    struct kp_pg_reader reader = kp_pg_reader(body);
    struct kp_str name = kp_pg_read_text(&reader), text = kp_pg_read_text(&reader);
    uint32_t type_count = kp_pg_read_u16(&reader);
    enum kp_type_id *types = kp_arena_alloc(&pg->scratch, type_count * sizeof *types);
    for (uint32_t i = 0; i < type_count && !reader.bad; i++)
        KP_TRY(read_type(kp_pg_read_u32(&reader), i + 1, &types[i], err));
    KP_TRY(kp_pg_read_end(&reader, "Parse", err));
    KP_TRY(kp_pg_check_text(name, err));
    KP_TRY(kp_pg_check_text(text, err));

    struct kp_str rest = text, statement_text, second;
    struct kp_pg_statement *statement;
    if (!name.len)
        (void)kp_pg_statement_drop(pg, "");
    if (!kp_statement_next(&rest, &statement_text)) {
        statement = kp_calloc(1, sizeof *statement);
        statement->references = 1;
        statement->empty = true;
    } else if (kp_statement_next(&rest, &second)) {
        return kp_fail(err, KP_INVALID, "42601", "cannot insert multiple commands into a prepared statement");
    } else {
        /* the whole text, so that positions count from its beginning */
        KP_TRY(kp_pg_statement_create(pg, text, types, type_count, &statement, err));
    }
    if (!name.len && body.len <= KNOWN_BYTES && statement->prepared && kp_prepared_is_quick(statement->prepared))
        kp_buf_append_str(&statement->parsed, body);
    KP_TRY(kp_pg_statement_add(pg, name.ptr, statement, err));
    kp_pg_put_bare(&pg->conn->out, '1');
    return KP_OK;
}

/* ---- Bind ---- */

/* Format codes, into arena. */
static enum kp_code read_formats(struct kp_pg_reader *reader, struct kp_arena *arena, struct kp_pg_formats *ret_formats,
                                 struct kp_error *err)
{
    uint32_t count = kp_pg_read_u16(reader);
    uint8_t *codes = kp_arena_alloc(arena, count);
    for (uint32_t i = 0; i < count && !reader->bad; i++) {
        uint16_t code = kp_pg_read_u16(reader);
        if (code > 1)
            return kp_fail(err, KP_INVALID, "22023", "unsupported format code: %u", code);
        codes[i] = (uint8_t)code;
    }
    *ret_formats = (struct kp_pg_formats){codes, reader->bad ? 0 : count};
    return KP_OK;
}

static enum kp_code read_param(struct kp_pg *pg, struct kp_arena *arena, struct kp_pg_reader *reader, uint8_t format,
                               struct kp_datum *datum, struct kp_error *err)
{
    uint32_t len = kp_pg_read_u32(reader);
    if (len == UINT32_MAX) {
        datum->null = true;
        return KP_OK;
    }
    struct kp_str bytes = kp_pg_read_bytes(reader, len);
    if (reader->bad)
        return KP_OK; /* told once, at the end */
    if (format)       /* which need not be text */
        return kp_value_receive(datum->type, bytes, arena, datum->raw, err);
    KP_TRY(kp_pg_check_text(bytes, err));
    return kp_value_parse(datum->type, bytes, kp_session_zone(pg->session), arena, datum->raw, err);
}

static enum kp_code read_params(struct kp_pg *pg, struct kp_pg_portal *portal, struct kp_pg_reader *reader,
                                const struct kp_pg_formats *formats, struct kp_error *err)
{
    const struct kp_pg_statement *statement = portal->statement;
    const struct kp_type *types;
    uint32_t needed = kp_pg_statement_params(statement, &types), count = kp_pg_read_u16(reader);
    if (formats->count > 1 && formats->count != count)
        return kp_fail(err, KP_INVALID, "08P01", "bind message has %u parameter formats but %u parameters",
                       formats->count, count);
    if (count != needed)
        return kp_fail(err, KP_INVALID, "08P01",
                       "bind message supplies %u parameters, but prepared statement \"%s\" requires %u", count,
                       statement->name ? statement->name : "", needed);
    portal->params = kp_arena_calloc(&portal->arena, count * sizeof *portal->params);
    portal->param_count = count;
    for (uint32_t i = 0; i < count; i++) {
        portal->params[i].type = types[i];
        KP_TRY(read_param(pg, &portal->arena, reader, kp_pg_format(formats, i), &portal->params[i], err));
    }
    return KP_OK;
}

static enum kp_code read_bind(struct kp_pg *pg, struct kp_pg_portal *portal, struct kp_pg_reader *reader,
                              struct kp_error *err)
{
    struct kp_pg_formats param_formats;
    const struct kp_column *cols;
    uint32_t col_count;
    KP_TRY(read_formats(reader, &pg->scratch, &param_formats, err));
    KP_TRY(read_params(pg, portal, reader, &param_formats, err));
    KP_TRY(read_formats(reader, &portal->arena, &portal->formats, err));
    KP_TRY(kp_pg_read_end(reader, "Bind", err));
    if (!kp_pg_statement_columns(pg, portal->statement, &cols, &col_count))
        col_count = 0;
    if (portal->formats.count > 1 && portal->formats.count != col_count)
        return kp_fail(err, KP_INVALID, "08P01", "bind message has %u result formats but query has %u columns",
                       portal->formats.count, col_count);
    return KP_OK;
}

static enum kp_code find_statement(struct kp_pg *pg, const char *name, struct kp_pg_statement **ret_statement,
                                   struct kp_error *err)
{
    struct kp_pg_statement *statement = kp_pg_statement_find(pg, name);
    if (!statement && name[0])
        return kp_fail(err, KP_NOT_FOUND, "26000", "prepared statement \"%s\" does not exist", name);
    if (!statement)
        return kp_fail(err, KP_NOT_FOUND, "26000", "unnamed prepared statement does not exist");
    *ret_statement = statement;
    return KP_OK;
}

static enum kp_code handle_bind(struct kp_pg *pg, struct kp_str body, struct kp_error *err)
{
    struct kp_pg_reader reader = kp_pg_reader(body);
    struct kp_str portal_name = kp_pg_read_text(&reader), name = kp_pg_read_text(&reader);
    struct kp_pg_statement *statement;
    struct kp_pg_portal *portal;
    if (reader.bad)
        return kp_pg_read_end(&reader, "Bind", err);
    KP_TRY(kp_pg_check_text(portal_name, err));
    KP_TRY(kp_pg_check_text(name, err));
    KP_TRY(find_statement(pg, name.ptr, &statement, err));
    KP_TRY(kp_pg_portal_create(pg, portal_name.ptr, statement, &portal, err));
    enum kp_code code = read_bind(pg, portal, &reader, err);
    if (code != KP_OK) {
        (void)kp_pg_portal_drop(pg, portal_name.ptr);
        return code;
    }
    kp_pg_put_bare(&pg->conn->out, '2');
    return KP_OK;
}

/* ---- Describe, Execute, Close ---- */

static enum kp_code find_portal(struct kp_pg *pg, const char *name, struct kp_pg_portal **ret_portal,
                                struct kp_error *err)
{
    struct kp_pg_portal *portal = kp_pg_portal_find(pg, name);
    if (!portal)
        return kp_fail(err, KP_NOT_FOUND, "34000", "portal \"%s\" does not exist", name);
    *ret_portal = portal;
    return KP_OK;
}

static void put_columns(struct kp_pg *pg, const struct kp_pg_statement *statement, const struct kp_pg_formats *formats)
{
    if (!kp_pg_statement_describe(pg, statement, formats))
        kp_pg_put_bare(&pg->conn->out, 'n');
}

static enum kp_code handle_describe(struct kp_pg *pg, struct kp_str body, struct kp_error *err)
{
    static const struct kp_pg_formats text_formats = {0};
    struct kp_pg_reader reader = kp_pg_reader(body);
    uint8_t kind = kp_pg_read_u8(&reader);
    struct kp_str name = kp_pg_read_text(&reader);
    KP_TRY(kp_pg_read_end(&reader, "Describe", err));
    if (kind == 'S') {
        struct kp_pg_statement *statement;
        const struct kp_type *types;
        KP_TRY(find_statement(pg, name.ptr, &statement, err));
        uint32_t param_count = kp_pg_statement_params(statement, &types);
        kp_pg_put_parameter_description(&pg->conn->out, types, param_count);
        put_columns(pg, statement, &text_formats);
        return KP_OK;
    }
    if (kind == 'P') {
        struct kp_pg_portal *portal = NULL;
        KP_TRY(find_portal(pg, name.ptr, &portal, err));
        put_columns(pg, portal->statement, &portal->formats);
        return KP_OK;
    }
    return kp_fail(err, KP_INVALID, "08P01", "invalid DESCRIBE message subtype %u", kind);
}

/* True if the message behind `skip` bytes of the input is a Sync that is here already. */
static bool sync_follows(const struct kp_pg *pg, size_t skip)
{
    struct kp_str input = kp_conn_input(pg->conn);
    input.ptr += skip;
    input.len -= skip;
    struct kp_pg_message next;
    size_t bytes;
    return kp_pg_frame(input, &next, &bytes) == KP_PG_FRAME_WHOLE && next.type == 'S';
}

bool kp_pg_execute_is_quick(struct kp_pg *pg, struct kp_str body, size_t bytes)
{
    struct kp_pg_reader reader = kp_pg_reader(body);
    struct kp_str name = kp_pg_read_text(&reader);
    const struct kp_pg_portal *portal = kp_pg_portal_find(pg, name.ptr);
    return portal && portal->statement->prepared && kp_prepared_is_quick(portal->statement->prepared) &&
           sync_follows(pg, bytes);
}

static enum kp_code handle_execute(struct kp_pg *pg, struct kp_str body, struct kp_error *err)
{
    struct kp_pg_reader reader = kp_pg_reader(body);
    struct kp_str name = kp_pg_read_text(&reader);
    uint32_t rows_max = kp_pg_read_u32(&reader);
    struct kp_pg_portal *portal = NULL;
    enum kp_pg_outcome outcome;
    KP_TRY(kp_pg_read_end(&reader, "Execute", err));
    KP_TRY(find_portal(pg, name.ptr, &portal, err));
    if (!pg->implicit && !sync_follows(pg, 0)) {
        kp_session_implicit_begin(pg->session);
        pg->implicit = true;
    }
    if (rows_max > INT32_MAX) /* negative: no limit */
        rows_max = 0;
    return kp_pg_portal_run(pg, portal, rows_max, false, &outcome, err);
}

static enum kp_code handle_close(struct kp_pg *pg, struct kp_str body, struct kp_error *err)
{
    struct kp_pg_reader reader = kp_pg_reader(body);
    uint8_t kind = kp_pg_read_u8(&reader);
    struct kp_str name = kp_pg_read_text(&reader);
    KP_TRY(kp_pg_read_end(&reader, "Close", err));
    if (kind == 'S')
        (void)kp_pg_statement_drop(pg, name.ptr);
    else if (kind == 'P')
        (void)kp_pg_portal_drop(pg, name.ptr);
    else
        return kp_fail(err, KP_INVALID, "08P01", "invalid CLOSE message subtype %u", kind);
    kp_pg_put_bare(&pg->conn->out, '3');
    return KP_OK;
}

/* ---- dispatch ---- */

void kp_pg_handle_sync(struct kp_pg *pg)
{
    struct kp_error err;
    bool failed = pg->skipping;
    pg->skipping = false;
    kp_pg_portal_drop_undone(pg);
    if (kp_session_status(pg->session) == 'I')
        kp_pg_portal_drop_all(pg, false, NULL);
    if (pg->implicit) {
        pg->implicit = false;
        if (kp_session_implicit_end(pg->session, !failed, &err) != KP_OK) {
            kp_pg_fail(pg, &err);
            pg->skipping = false;
        }
    }
    kp_pg_ready(pg);
}

void kp_pg_handle_extended(struct kp_pg *pg, const struct kp_pg_message *message)
{
    struct kp_error err;
    enum kp_code code = KP_OK;
    switch (message->type) {
    case 'P':
        code = handle_parse(pg, message->body, &err);
        break;
    case 'B':
        code = handle_bind(pg, message->body, &err);
        break;
    case 'D':
        code = handle_describe(pg, message->body, &err);
        break;
    case 'E':
        code = handle_execute(pg, message->body, &err);
        break;
    case 'C':
        code = handle_close(pg, message->body, &err);
        break;
    default: /* Flush: what is there is sent before the next wait; more input must not hold it back */
        code = kp_pg_flush(pg, &err);
        break;
    }
    if (code != KP_OK)
        kp_pg_fail(pg, &err);
}
