/*
 * An instance in a folder of its own and a session, as tests of db/ use them. Failures fail the test. Include it behind
 * cmocka.h.
 */
#ifndef KP_DB_STATEMENTS_TEST_H
#define KP_DB_STATEMENTS_TEST_H

#include <string.h>
#include <unistd.h>

#include "db/instance.h"

struct fixture {
    char dir[64];
    struct kp_db *db;
    struct kp_session *session;
    struct kp_db_options options;
};

static inline void open_db(struct fixture *fixture)
{
    struct kp_error err;
    fixture->options.dir = fixture->dir;
    fixture->options.workers = 2;
    if (kp_db_open(&fixture->options, &fixture->db, &err) || !kp_db_wait_ready(fixture->db, 60000000) ||
        kp_session_open(fixture->db, &(struct kp_session_options){0}, &fixture->session, &err))
        fail_msg("%s", err.message);
}

static inline void close_db(struct fixture *fixture)
{
    kp_session_close(fixture->session);
    kp_db_close(fixture->db);
}

static inline void print_rows(const struct kp_batch *batch, struct kp_buf *out)
{
    for (uint32_t r = 0; batch && r < batch->rows; r++)
        for (uint32_t c = 0; c < batch->cols; c++) {
            if (kp_vec_is_null(&batch->vecs[c], r))
                kp_buf_append_text(out, "null");
            else
                kp_value_print(batch->vecs[c].type, kp_vec_at(&batch->vecs[c], r), NULL, out);
            kp_buf_append_byte(out, c + 1 < batch->cols ? ',' : '\n');
        }
}

/* Runs statements; the last one's rows as text, or the error's. */
static inline void run(struct fixture *fixture, const char *sql, struct kp_buf *out)
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
            if (code == KP_OK)
                print_rows(batch, out);
        }
        if (code != KP_OK)
            kp_buf_append_text(out, err.message);
        kp_cursor_close(cursor);
        kp_prepared_destroy(prepared);
    }
    kp_buf_append_byte(out, '\0');
}

static inline void must(struct fixture *fixture, const char *sql)
{
    struct kp_buf out = {0};
    run(fixture, sql, &out);
    if (out.data[0])
        fail_msg("%s: %s", sql, (char *)out.data);
    kp_buf_finish(&out);
}

/* A statement's catalog record alone, as it is in the log of another kappa, or of one that ended behind it. */
static inline void put_record_that_says(struct fixture *fixture, const char *sql, uint32_t next, const char *reads)
{
    struct kp_catalog_record record = {
        .text = kp_str(sql), .time_zone = KP_STR("UTC"), .user = KP_STR("kappa"), .next_relation = next};
    struct kp_error err;
    int64_t position, end;
    record.reads = kp_str(reads);
    if (kp_catalog_log_append(fixture->db, &record, NULL, 0, &position, &end, &err) != KP_OK)
        fail_msg("%s", err.message);
}

static inline void put_record(struct fixture *fixture, const char *sql)
{
    put_record_that_says(fixture, sql, 0, "");
}

/* Waits until the query's answer contains that. */
static inline void await(struct fixture *fixture, const char *sql, const char *wanted)
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

#endif
