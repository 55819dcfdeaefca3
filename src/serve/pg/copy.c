/*
 * COPY over the connection: CopyOutResponse, one CopyData a row, CopyDone; and CopyInResponse, then whatever pieces of
 * CopyData the client sends, CopyDone or CopyFail.
 *
 * COPY IN does not hold a thread: each message is fed to the cursor when it has come. Flush and Sync in between are
 * ignored, as the protocol asks.
 */
#include "serve/pg/session.h"

#include <stdio.h>

#include "db/copy.h"
#include "serve/pg/rows.h"

/* ---- out ---- */

static uint32_t copy_columns(const struct kp_pg_portal *portal, const struct kp_column **ret_cols)
{
    uint32_t col_count = 0;
    if (!kp_prepared_columns(portal->statement->prepared, ret_cols, &col_count))
        return 0;
    return col_count;
}

/* Binary's signature stands in the first message, before a row or the end, as PostgreSQL sends it: clients count on it.
 */
static void put_signature(const struct kp_copy_options *options, bool *pending, struct kp_buf *out)
{
    if (*pending)
        kp_copy_write_begin(options, NULL, 0, out);
    *pending = false;
}

/* Appends rows of the portal's batch until the buffer holds enough to be sent; returns how many, or
 * KP_PG_ROW_TOO_LONG. */
static uint64_t put_copy_rows(struct kp_pg *pg, struct kp_pg_portal *portal, const struct kp_copy_options *options,
                              const struct kp_zone *zone, bool *signature_pending)
{
    struct kp_buf *out = &pg->conn->out;
    const struct kp_batch *batch = portal->batch;
    size_t bytes_max = out->len + KP_PG_FLUSH_BYTES;
    uint64_t rows = 0;
    for (; portal->row < batch->rows && out->len < bytes_max; portal->row++) {
        int64_t weight = batch->weights ? batch->weights[portal->row] : 1;
        KP_ASSERT(weight >= 0);
        for (int64_t i = 0; i < weight; i++) {
            size_t begun = kp_pg_begin(out, 'd');
            put_signature(options, signature_pending, out);
            kp_copy_write_row(options, batch, portal->row, zone, out);
            if (out->len - begun > KP_PG_DISCARD_BYTES_MAX) {
                kp_pg_forget(out, begun);
                return KP_PG_ROW_TOO_LONG;
            }
            kp_pg_end(out, begun);
            rows++;
        }
    }
    return rows;
}

enum kp_code kp_pg_copy_out(struct kp_pg *pg, struct kp_pg_portal *portal, struct kp_error *err)
{
    struct kp_buf *out = &pg->conn->out;
    const struct kp_copy_options *options = kp_prepared_copy_options(portal->statement->prepared);
    const struct kp_zone *zone = kp_session_zone(pg->session);
    const struct kp_column *cols;
    uint32_t col_count = copy_columns(portal, &cols);
    uint64_t rows = 0;
    char tag[32];
    KP_TRY(kp_copy_check(options, err));
    bool binary = options->format == KP_COPY_BINARY, signature_pending = binary;
    kp_pg_put_copy_response(out, 'H', col_count, binary);
    if (options->header) {
        size_t begun = kp_pg_begin(out, 'd');
        kp_copy_write_begin(options, cols, col_count, out);
        kp_pg_end(out, begun);
    }
    struct kp_pg_fetch fetch = {.wait = KP_PG_WAIT_ALL};
    for (;;) {
        KP_TRY(kp_pg_portal_fetch(pg, portal, UINT64_MAX, &fetch, err));
        if (!portal->batch)
            break;
        uint64_t count = put_copy_rows(pg, portal, options, zone, &signature_pending);
        if (count == KP_PG_ROW_TOO_LONG)
            return kp_pg_fail_long_row(err);
        rows += count;
        if (kp_conn_unsent(pg->conn) >= KP_PG_FLUSH_BYTES)
            KP_TRY(kp_pg_flush(pg, err));
    }
    if (binary) {
        size_t begun = kp_pg_begin(out, 'd');
        put_signature(options, &signature_pending, out);
        kp_copy_write_end(options, out);
        kp_pg_end(out, begun);
    }
    kp_pg_put_bare(out, 'c');
    portal->ended = true;
    snprintf(tag, sizeof tag, "COPY %llu", (unsigned long long)rows);
    return kp_pg_complete(pg, tag, err);
}

/* ---- in ---- */

void kp_pg_copy_in_begin(struct kp_pg *pg, struct kp_pg_portal *portal)
{
    const struct kp_column *cols;
    const struct kp_copy_options *options = kp_prepared_copy_options(portal->statement->prepared);
    kp_pg_put_copy_response(&pg->conn->out, 'G', copy_columns(portal, &cols), options->format == KP_COPY_BINARY);
    pg->copying = portal;
    pg->phase = KP_PG_COPY_IN;
}

static enum kp_code copy_done(struct kp_pg *pg, struct kp_error *err)
{
    struct kp_pg_portal *portal = pg->copying;
    KP_TRY(kp_cursor_copy_end(portal->cursor, err));
    while (!portal->done)
        KP_TRY(kp_cursor_next(portal->cursor, 0, -1, &portal->batch, &portal->done, err));
    portal->batch = NULL;
    portal->ended = true;
    pg->copying = NULL;
    pg->phase = KP_PG_READY;
    return kp_pg_complete(pg, kp_cursor_tag(portal->cursor), err);
}

static enum kp_code copy_message(struct kp_pg *pg, const struct kp_pg_message *message, struct kp_error *err)
{
    struct kp_pg_reader reader = kp_pg_reader(message->body);
    switch (message->type) {
    case 'd':
        return kp_cursor_copy_data(pg->copying->cursor, message->body, err);
    case 'c':
        return copy_done(pg, err);
    case 'f': {
        struct kp_str reason = kp_pg_read_text(&reader);
        return kp_fail(err, KP_CANCELLED, "57014", "COPY from stdin failed: %.*s", (int)KP_MIN(reason.len, 300),
                       reason.ptr);
    }
    default:
        return kp_fail(err, KP_INVALID, "08P01", "unexpected message type 0x%02X during COPY from stdin",
                       (uint8_t)message->type);
    }
}

void kp_pg_handle_copy(struct kp_pg *pg, const struct kp_pg_message *message)
{
    struct kp_error err;
    if (message->type == 'H' || message->type == 'S')
        return;
    if (copy_message(pg, message, &err) != KP_OK)
        kp_pg_fail(pg, &err);
    else if (pg->phase == KP_PG_READY && pg->in_query)
        kp_pg_query_go_on(pg);
}
