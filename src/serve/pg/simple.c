/*
 * Query: one text, any number of statements, one ReadyForQuery.
 *
 * Several statements are one transaction: all texts are parsed before the first one runs, an error takes all of them
 * back, and the commit comes before the last CommandComplete. A COPY IN among them suspends the Query (state in struct
 * kp_pg) until its data has come.
 */
#include "serve/pg/session.h"

#include "base/utf8.h"
#include "sql/sql.h"

/* An error of a statement points into the whole text. */
static void shift_position(const struct kp_pg *pg, struct kp_str text, struct kp_error *err)
{
    const char *start = (const char *)pg->query.data;
    if (err->position > 0)
        err->position += (int32_t)kp_utf8_length(start, (size_t)(text.ptr - start));
}

static struct kp_str query_rest(const struct kp_pg *pg)
{
    return (struct kp_str){(const char *)pg->query.data + pg->query_at, pg->query.len - pg->query_at};
}

/* PostgreSQL parses all before it runs anything: a mistake in the last statement must find nothing done. */
static enum kp_code check_syntax(struct kp_pg *pg, struct kp_error *err)
{
    struct kp_str rest = query_rest(pg), text;
    while (kp_statement_next(&rest, &text)) {
        struct kp_pg_command command;
        struct kp_statement *statement;
        kp_arena_reset(&pg->scratch);
        enum kp_code code = kp_pg_command_parse(text, &command, err);
        if (code == KP_OK && command.kind == KP_PG_COMMAND_NONE)
            code = kp_sql_parse(text, &pg->scratch, &statement, err);
        if (code != KP_OK) {
            shift_position(pg, text, err);
            return code;
        }
    }
    kp_arena_reset(&pg->scratch);
    return KP_OK;
}

static enum kp_code run_statement(struct kp_pg *pg, struct kp_str text, bool last, enum kp_pg_outcome *ret_outcome,
                                  struct kp_error *err)
{
    struct kp_pg_statement *statement;
    if (pg->query_several) {
        kp_session_implicit_begin(pg->session);
        pg->implicit = true;
        pg->commit_first = last;
    }
    enum kp_code code = kp_pg_statement_create(pg, text, NULL, 0, &statement, err);
    if (code == KP_OK) {
        kp_pg_portal_start(&pg->query_portal, statement);
        kp_pg_statement_unref(statement);
        code = kp_pg_portal_run(pg, &pg->query_portal, 0, true, ret_outcome, err);
    }
    if (code != KP_OK)
        shift_position(pg, text, err);
    return code;
}

void kp_pg_query_go_on(struct kp_pg *pg)
{
    struct kp_error err;
    struct kp_str rest, text, after;
    while (rest = query_rest(pg), kp_statement_next(&rest, &text)) {
        enum kp_pg_outcome outcome;
        size_t next_at = (size_t)(rest.ptr - (const char *)pg->query.data);
        bool last = !kp_statement_next(&rest, &after), in_block = kp_session_status(pg->session) != 'I';
        if (run_statement(pg, text, last, &outcome, &err) != KP_OK) {
            kp_pg_fail(pg, &err);
            return;
        }
        pg->query_at = next_at;
        if (outcome == KP_PG_COPYING)
            return;
        kp_pg_portal_clear(&pg->query_portal);
        kp_pg_portal_drop_undone(pg);
        if (in_block && kp_session_status(pg->session) == 'I')
            kp_pg_portal_drop_all(pg, false, NULL);
    }
    kp_pg_query_end(pg);
}

void kp_pg_query_end(struct kp_pg *pg)
{
    kp_pg_portal_clear(&pg->query_portal);
    if (kp_session_status(pg->session) == 'I')
        kp_pg_portal_drop_all(pg, false, NULL);
    pg->query_at = 0;
    pg->query.len = 0;
    if (pg->query.cap > KP_PG_FLUSH_BYTES)
        kp_buf_finish(&pg->query);
    pg->in_query = false;
    pg->commit_first = false;
    kp_pg_ready(pg);
}

void kp_pg_handle_query(struct kp_pg *pg, struct kp_str body)
{
    struct kp_error err;
    struct kp_pg_reader reader = kp_pg_reader(body);
    struct kp_str text = kp_pg_read_text(&reader), statement;
    pg->in_query = true;
    if (kp_pg_read_end(&reader, "Query", &err) != KP_OK || kp_pg_check_text(text, &err) != KP_OK) {
        kp_pg_fail(pg, &err);
        return;
    }
    kp_pg_portal_clear(&pg->unnamed_portal);
    (void)kp_pg_statement_drop(pg, "");
    pg->query.len = 0;
    pg->query_at = 0;
    kp_buf_append_str(&pg->query, text);
    kp_buf_append_byte(&pg->query, '\0');
    pg->query.len--;

    struct kp_str rest = query_rest(pg);
    bool any = kp_statement_next(&rest, &statement);
    pg->query_several = any && kp_statement_next(&rest, &statement);
    if (!any)
        kp_pg_put_bare(&pg->conn->out, 'I');
    if (pg->query_several && check_syntax(pg, &err) != KP_OK) {
        kp_pg_fail(pg, &err);
        return;
    }
    kp_pg_query_go_on(pg);
}
