/*
 * What a sink writes at once is bounded: what is more is written as several groups, each up to a position; a sink of
 * which one position's changes are too many stops with an error, and the instance and its other sinks go on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/instance.h"

struct fixture {
    char dir[64];
    struct kp_db *db;
    struct kp_session *session;
    struct kp_db_options options;
};

static void open_db(struct fixture *fixture)
{
    struct kp_error err;
    fixture->options.dir = fixture->dir;
    fixture->options.workers = 2;
    if (kp_db_open(&fixture->options, &fixture->db, &err) || !kp_db_wait_ready(fixture->db, 60000000) ||
        kp_session_open(fixture->db, &(struct kp_session_options){0}, &fixture->session, &err))
        fail_msg("%s", err.message);
}

static void close_db(struct fixture *fixture)
{
    kp_session_close(fixture->session);
    kp_db_close(fixture->db);
}

/* Runs statements; the last one's rows as text, or the error's. */
static void run(struct fixture *fixture, const char *sql, struct kp_buf *out)
{
    struct kp_str text = kp_str(sql), one;
    out->len = 0;
    while (kp_statement_next(&text, &one)) {
        struct kp_prepared *prepared = NULL;
        struct kp_cursor *cursor = NULL;
        struct kp_error err;
        bool done = false;
        enum kp_code code = kp_prepare(fixture->session, one, NULL, 0, &prepared, &err);
        if (code == KP_OK)
            code = kp_execute(fixture->session, prepared, NULL, 0, &cursor, &err);
        while (code == KP_OK && !done) {
            struct kp_batch *batch = NULL;
            code = kp_cursor_next(cursor, 0, -1, &batch, &done, &err);
            for (uint32_t r = 0; code == KP_OK && batch && r < batch->rows; r++)
                for (uint32_t c = 0; c < batch->cols; c++) {
                    if (kp_vec_is_null(&batch->vecs[c], r))
                        kp_buf_append_text(out, "null");
                    else
                        kp_value_print(batch->vecs[c].type, kp_vec_at(&batch->vecs[c], r), NULL, out);
                    kp_buf_append_byte(out, c + 1 < batch->cols ? ',' : '\n');
                }
        }
        if (code != KP_OK)
            kp_buf_append_text(out, err.message);
        kp_cursor_close(cursor);
        kp_prepared_destroy(prepared);
    }
    kp_buf_append_byte(out, '\0');
}

static void must(struct fixture *fixture, const char *sql)
{
    struct kp_buf out = {0};
    run(fixture, sql, &out);
    if (out.data[0])
        fail_msg("%s: %s", sql, (char *)out.data);
    kp_buf_finish(&out);
}

/* Waits until the query's answer is that. */
static void await(struct fixture *fixture, const char *sql, const char *wanted)
{
    struct kp_buf out = {0};
    for (int tries = 0; tries < 3000; tries++) {
        run(fixture, sql, &out);
        if (strstr((const char *)out.data, wanted)) {
            kp_buf_finish(&out);
            return;
        }
        usleep(10000);
    }
    fail_msg("%s: %s", sql, (char *)out.data);
}

static void bounded(void **state)
{
    struct fixture fixture = {.dir = "/tmp/kappa-sink-test.XXXXXX", .options = {.sink_bytes_max = 20000}};
    struct kp_error err;
    char sql[200], command[100];
    assert_non_null(mkdtemp(fixture.dir));
    open_db(&fixture);
    must(&fixture, "CREATE TABLE t (k bigint PRIMARY KEY, v text);"
                   "CREATE MATERIALIZED VIEW few AS SELECT k, v FROM t WHERE k < 1000;"
                   "CREATE MATERIALIZED VIEW many AS SELECT k, v FROM t;"
                   "CREATE SINK few_out FROM few WITH (topic = 'few_out', format = 'changes');"
                   "CREATE SOURCE few_back (k bigint, v text) WITH (topic = 'few_out', format = 'json', path = 'row')");
    for (int k = 0; k < 300; k += 3) {
        snprintf(sql, sizeof sql, "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(%d, %d) g", k, k + 2);
        must(&fixture, sql);
    }
    await(&fixture, "SELECT count(*), count(DISTINCT k) FROM few_back", "300,300\n");
    must(&fixture, "INSERT INTO t SELECT g, 'y' FROM generate_series(1000, 5000) g");
    must(&fixture, "CREATE SINK many_out FROM many WITH (topic = 'many_out', format = 'changes')");
    for (int restarts = 0; restarts < 2; restarts++) {
        await(&fixture, "SELECT error FROM kappa.sinks WHERE error IS NOT NULL", "at most 20000 are written at once");
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, 'z')", 300 + restarts);
        must(&fixture, sql);
        await(&fixture, "SELECT count(*), count(DISTINCT k) FROM few_back", restarts ? "302,302\n" : "301,301\n");
        assert_int_equal(kp_db_health(fixture.db, &err), KP_OK);
        close_db(&fixture);
        open_db(&fixture);
    }
    must(&fixture, "DROP SINK many_out");
    close_db(&fixture);
    snprintf(command, sizeof command, "rm -rf %s", fixture.dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
