/*
 * Running a portal.
 *
 * Rows go from the cursor's batch to the output buffer and are sent whenever KP_PG_FLUSH_BYTES of them are there, so
 * that a result of any size needs little memory and a slow client slows its own query only. A subscription has no end:
 * what has come is sent before each wait.
 */
#include "serve/pg/session.h"

#include <stdio.h>

#include "serve/pg/rows.h"

enum { WAIT_SLICE_US = 1000000 }; /* how long a lost wake-up could last */

/* ---- rows of a portal ---- */

/* Waits for rows of a subscription, until until_us (negative: for ever). */
static enum kp_code await_rows(struct kp_pg *pg, struct kp_pg_portal *portal, uint32_t rows_max, int64_t until_us,
                               struct kp_error *err)
{
    enum kp_code code = KP_OK;
    atomic_store(&pg->streaming, true);
    while (code == KP_OK && !portal->done && !portal->batch) {
        int64_t left_us = WAIT_SLICE_US;
        if (until_us >= 0)
            left_us = KP_MIN(left_us, until_us - kp_net_now_us(pg->door->net));
        if (left_us <= 0)
            break;
        if (kp_conn_is_hung_up(pg->conn))
            code = kp_fail(err, KP_CANCELLED, "57014", "canceling statement because the client has gone");
        else
            code = kp_cursor_next(portal->cursor, rows_max, left_us, &portal->batch, &portal->done, err);
    }
    atomic_store(&pg->streaming, false);
    return code;
}

enum kp_code kp_pg_portal_fetch(struct kp_pg *pg, struct kp_pg_portal *portal, uint64_t rows_max,
                                struct kp_pg_fetch *fetch, struct kp_error *err)
{
    uint32_t rows_cap = rows_max > UINT32_MAX ? 0 : (uint32_t)rows_max;
    bool subscribe = kp_prepared_is_subscribe(portal->statement->prepared);
    while (!portal->done) {
        if (portal->batch && portal->row < portal->batch->rows) {
            fetch->got_some = true;
            return KP_OK;
        }
        portal->batch = NULL;
        portal->row = 0;
        portal->repeats = 0;
        if (fetch->wait == KP_PG_WAIT_TIME && fetch->got_some && kp_net_now_us(pg->door->net) >= fetch->until_us)
            return KP_OK; /* a stream that never rests must not keep it */
        KP_TRY(kp_cursor_next(portal->cursor, rows_cap, subscribe ? 0 : -1, &portal->batch, &portal->done, err));
        if (portal->batch || portal->done || !subscribe)
            continue;
        if (fetch->wait == KP_PG_WAIT_SOME && fetch->got_some)
            return KP_OK;
        KP_TRY(kp_pg_flush(pg, err));
        KP_TRY(await_rows(pg, portal, rows_cap, fetch->wait == KP_PG_WAIT_TIME ? fetch->until_us : -1, err));
        if (!portal->batch)
            return KP_OK;
    }
    if (portal->batch && portal->row >= portal->batch->rows)
        portal->batch = NULL;
    return KP_OK;
}

/* Passes over rows as kp_pg_put_rows would write them. */
static uint64_t skip_rows(struct kp_pg_portal *portal, uint64_t rows_max)
{
    uint64_t skipped = 0;
    const struct kp_batch *batch = portal->batch;
    while (portal->row < batch->rows && skipped < rows_max) {
        int64_t weight = batch->weights ? batch->weights[portal->row] : 1;
        if (portal->repeats < weight) {
            portal->repeats++;
            skipped++;
        }
        if (portal->repeats >= weight) {
            portal->row++;
            portal->repeats = 0;
        }
    }
    return skipped;
}

/* Sends at most rows_max rows of source (formats NULL: passes over them). */
static enum kp_code send_rows(struct kp_pg *pg, struct kp_pg_portal *source, const struct kp_pg_formats *formats,
                              uint64_t rows_max, struct kp_pg_fetch fetch, uint64_t *ret_sent, struct kp_error *err)
{
    struct kp_buf *out = &pg->conn->out;
    const struct kp_zone *zone = kp_session_zone(pg->session);
    uint64_t sent = 0;
    while (sent < rows_max) {
        KP_TRY(kp_pg_portal_fetch(pg, source, rows_max - sent, &fetch, err));
        if (!source->batch)
            break;
        uint64_t count = formats ? kp_pg_put_rows(out, source->batch, formats, zone, &source->row, &source->repeats,
                                                  rows_max - sent, out->len + KP_PG_FLUSH_BYTES)
                                 : skip_rows(source, rows_max - sent);
        if (count == KP_PG_ROW_TOO_LONG)
            return kp_pg_fail_long_row(err);
        sent += count;
        if (kp_conn_unsent(pg->conn) >= KP_PG_FLUSH_BYTES)
            KP_TRY(kp_pg_flush(pg, err));
    }
    *ret_sent = sent;
    return KP_OK;
}

enum kp_code kp_pg_complete(struct kp_pg *pg, const char *tag, struct kp_error *err)
{
    if (pg->commit_first && pg->implicit) {
        pg->implicit = false;
        KP_TRY(kp_session_implicit_end(pg->session, true, err));
    }
    kp_pg_put_command_complete(&pg->conn->out, tag);
    return KP_OK;
}

/* ---- commands ---- */

static enum kp_code no_cursor(const char *name, struct kp_error *err)
{
    return kp_fail(err, KP_NOT_FOUND, "34000", "cursor \"%s\" does not exist", name);
}

/* Makes the cursor's portal, which takes over the parameters, and runs it: its snapshot is now. */
static enum kp_code declare_cursor(struct kp_pg *pg, struct kp_pg_portal *portal, struct kp_error *err)
{
    const struct kp_pg_command *command = &portal->statement->command;
    struct kp_pg_portal *cursor;
    if (!command->hold && !pg->implicit && kp_session_status(pg->session) == 'I') {
        (void)kp_fail(err, KP_INVALID, "25P01", "DECLARE CURSOR can only be used in transaction blocks");
        return kp_error_hint(err, "BEGIN first, or declare it WITH HOLD.");
    }
    KP_TRY(kp_pg_portal_create(pg, command->name, portal->statement->query, &cursor, err));
    kp_arena_finish(&cursor->arena);
    cursor->arena = portal->arena;
    portal->arena = (struct kp_arena){0};
    portal->formats = (struct kp_pg_formats){0};
    cursor->params = portal->params;
    cursor->param_count = portal->param_count;
    cursor->hold = command->hold;
    enum kp_code code =
        kp_execute(pg->session, cursor->statement->prepared, cursor->params, cursor->param_count, &cursor->cursor, err);
    if (code != KP_OK) {
        (void)kp_pg_portal_drop(pg, command->name);
        return code;
    }
    return kp_pg_complete(pg, "DECLARE CURSOR", err);
}

static enum kp_code fetch_or_move(struct kp_pg *pg, struct kp_pg_portal *portal, bool describe, struct kp_error *err)
{
    static const uint8_t binary_code = 1;
    const struct kp_pg_statement *statement = portal->statement;
    const struct kp_pg_command *command = &statement->command;
    bool move = command->kind == KP_PG_COMMAND_MOVE;
    struct kp_pg_portal *source = kp_pg_portal_find(pg, command->name);
    if (!source || source == portal || !source->cursor || source->statement->command.kind != KP_PG_COMMAND_NONE)
        return no_cursor(command->name, err);
    kp_session_resume(pg->session);
    struct kp_pg_formats formats = portal->formats;
    if (!formats.count && source->statement->command.binary)
        formats = (struct kp_pg_formats){&binary_code, 1};
    if (describe && !move)
        (void)kp_pg_statement_describe(pg, statement, &formats);
    struct kp_pg_fetch fetch = {.wait = KP_PG_WAIT_ALL,
                                .until_us = kp_net_now_us(pg->door->net) + statement->timeout_us};
    if (kp_prepared_is_subscribe(source->statement->prepared))
        fetch.wait = statement->timeout_us >= 0 ? KP_PG_WAIT_TIME : KP_PG_WAIT_SOME;
    uint64_t sent;
    KP_TRY(send_rows(pg, source, move ? NULL : &formats, command->rows, fetch, &sent, err));
    char tag[32];
    snprintf(tag, sizeof tag, "%s %llu", move ? "MOVE" : "FETCH", (unsigned long long)sent);
    return kp_pg_complete(pg, tag, err);
}

/* Runs a statement of the instance's for its effect. */
static enum kp_code pass_on(struct kp_pg *pg, const char *text, struct kp_error *err)
{
    struct kp_prepared *prepared;
    struct kp_cursor *cursor = NULL;
    KP_TRY(kp_prepare(pg->session, kp_str(text), NULL, 0, &prepared, err));
    enum kp_code code = kp_execute(pg->session, prepared, NULL, 0, &cursor, err);
    for (bool done = false; code == KP_OK && !done;) {
        struct kp_batch *batch;
        code = kp_cursor_next(cursor, 0, -1, &batch, &done, err);
    }
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
    return code;
}

static enum kp_code run_command(struct kp_pg *pg, struct kp_pg_portal *portal, bool describe, struct kp_error *err)
{
    const struct kp_pg_command *command = &portal->statement->command;
    if (kp_session_status(pg->session) == 'E')
        return kp_fail(err, KP_INVALID, "25P02",
                       "current transaction is aborted, commands ignored until end of transaction block");
    switch (command->kind) {
    case KP_PG_COMMAND_DECLARE:
        return declare_cursor(pg, portal, err);
    case KP_PG_COMMAND_FETCH:
    case KP_PG_COMMAND_MOVE:
        return fetch_or_move(pg, portal, describe, err);
    case KP_PG_COMMAND_CLOSE:
        if (!command->name[0])
            kp_pg_portal_drop_all(pg, true, portal);
        else if (kp_pg_portal_find(pg, command->name) == portal || !kp_pg_portal_drop(pg, command->name))
            return no_cursor(command->name, err);
        return kp_pg_complete(pg, command->name[0] ? "CLOSE CURSOR" : "CLOSE CURSOR ALL", err);
    case KP_PG_COMMAND_DEALLOCATE:
        if (!command->name[0])
            kp_pg_statement_drop_all(pg);
        if (!command->name[0] || !kp_pg_statement_drop(pg, command->name))
            KP_TRY(pass_on(pg, portal->statement->text, err));
        return kp_pg_complete(pg, command->name[0] ? "DEALLOCATE" : "DEALLOCATE ALL", err);
    case KP_PG_COMMAND_DISCARD_ALL:
        KP_TRY(pass_on(pg, portal->statement->text, err));
        kp_pg_portal_drop_all(pg, true, portal);
        kp_pg_statement_drop_all(pg);
        return kp_pg_complete(pg, "DISCARD ALL", err);
    case KP_PG_COMMAND_NONE:
        break;
    }
    return KP_OK;
}

/* ---- portals ---- */

/* A portal that has sent its CommandComplete is asked again. */
static enum kp_code run_again(struct kp_pg *pg, const struct kp_pg_portal *portal, struct kp_error *err)
{
    const struct kp_column *cols;
    uint32_t col_count;
    if (!kp_pg_statement_columns(pg, portal->statement, &cols, &col_count))
        return kp_fail(err, KP_INVALID, "55000", "portal \"%s\" cannot be run", portal->name ? portal->name : "");
    return kp_pg_complete(pg, "SELECT 0", err);
}

/* Sends rows and what ends them. */
static enum kp_code run_rows(struct kp_pg *pg, struct kp_pg_portal *portal, uint64_t rows_max,
                             enum kp_pg_outcome *ret_outcome, struct kp_error *err)
{
    struct kp_pg_fetch fetch = {.wait = rows_max ? KP_PG_WAIT_SOME : KP_PG_WAIT_ALL};
    uint64_t sent;
    KP_TRY(send_rows(pg, portal, &portal->formats, rows_max ? rows_max : UINT64_MAX, fetch, &sent, err));
    if (rows_max && (sent == rows_max || !portal->done)) {
        portal->suspended = true;
        kp_pg_put_bare(&pg->conn->out, 's');
        *ret_outcome = KP_PG_SUSPENDED;
        return KP_OK;
    }
    char tag[96]; /* the cursor's own goes with it */
    if (portal->suspended && strncmp(kp_cursor_tag(portal->cursor), "SELECT", 6) == 0)
        snprintf(tag, sizeof tag, "SELECT %llu", (unsigned long long)sent);
    else
        snprintf(tag, sizeof tag, "%s", kp_cursor_tag(portal->cursor));
    portal->ended = true;
    portal->batch = NULL;
    kp_cursor_close(portal->cursor);
    portal->cursor = NULL;
    *ret_outcome = KP_PG_COMPLETE;
    return kp_pg_complete(pg, tag, err);
}

enum kp_code kp_pg_portal_run(struct kp_pg *pg, struct kp_pg_portal *portal, uint64_t rows_max, bool describe,
                              enum kp_pg_outcome *ret_outcome, struct kp_error *err)
{
    struct kp_pg_statement *statement = portal->statement;
    *ret_outcome = KP_PG_COMPLETE;
    if (statement->empty) {
        kp_pg_put_bare(&pg->conn->out, 'I');
        return KP_OK;
    }
    if (statement->command.kind != KP_PG_COMMAND_NONE)
        return run_command(pg, portal, describe, err);
    if (portal->ended)
        return run_again(pg, portal, err);
    if (portal->cursor)
        kp_session_resume(pg->session);
    else
        KP_TRY(kp_execute(pg->session, statement->prepared, portal->params, portal->param_count, &portal->cursor, err));
    switch (kp_prepared_copy(statement->prepared)) {
    case KP_COPY_IN:
        kp_pg_copy_in_begin(pg, portal);
        *ret_outcome = KP_PG_COPYING;
        return KP_OK;
    case KP_COPY_OUT:
        return kp_pg_copy_out(pg, portal, err);
    case KP_COPY_NONE:
        break;
    }
    if (describe)
        (void)kp_pg_statement_describe(pg, statement, &portal->formats);
    return run_rows(pg, portal, rows_max, ret_outcome, err);
}
