/*
 * lock_timeout: a COMMIT whose turn to write does not come ends with 55P03 and has written nothing; its turn is held
 * here as another session's commit holds it. A wait that ends in time is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db/session.h"

static char dir[] = "/tmp/kappa-lock-timeout-test-XXXXXX";

static int make_dir(void **state)
{
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* The statement's code; its rows are not looked at but for their count. */
static enum kp_code run(struct kp_session *session, const char *sql, uint32_t *ret_rows, struct kp_error *err)
{
    struct kp_prepared *prepared;
    struct kp_cursor *cursor;
    KP_TRY(kp_prepare(session, kp_str(sql), NULL, 0, &prepared, err));
    enum kp_code code = kp_execute(session, prepared, NULL, 0, &cursor, err);
    *ret_rows = 0;
    for (bool done = false; code == KP_OK && !done;) {
        struct kp_batch *batch;
        code = kp_cursor_next(cursor, 0, -1, &batch, &done, err);
        *ret_rows += code == KP_OK && batch ? batch->rows : 0;
    }
    if (code == KP_OK)
        kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
    return code;
}

static uint32_t works(struct kp_session *session, const char *sql)
{
    struct kp_error err;
    uint32_t rows;
    if (run(session, sql, &rows, &err) != KP_OK)
        fail_msg("%s: %s", sql, err.message);
    return rows;
}

static void fails(struct kp_session *session, const char *sql, const char *sqlstate)
{
    struct kp_error err;
    uint32_t rows;
    assert_int_not_equal(run(session, sql, &rows, &err), KP_OK);
    assert_string_equal(err.sqlstate, sqlstate);
}

static void set_turn(struct kp_db *db, bool taken)
{
    kp_mutex_lock(&db->mutex);
    db->committing = taken;
    kp_cond_signal(&db->committed);
    kp_mutex_unlock(&db->mutex);
}

struct giver {
    struct kp_db *db;
    struct kp_thread thread;
};

static void give_back(void *arg)
{
    struct giver *giver = arg;
    struct kp_os *os = kp_os_real();
    os->sleep_us(os->ctx, 100000);
    set_turn(giver->db, false);
}

static void test_lock_timeout(void **state)
{
    struct kp_db_options options = {.os = kp_os_real(), .dir = dir, .workers = 1, .parts = 1, .unsafe_no_sync = true};
    struct kp_db *db;
    struct kp_session *session;
    struct kp_error err;
    assert_int_equal(kp_db_open(&options, &db, &err), KP_OK);
    assert_int_equal(kp_session_open(db, NULL, &session, &err), KP_OK);
    works(session, "CREATE TABLE t (k int PRIMARY KEY)");
    works(session, "SET lock_timeout = '50ms'");
    set_turn(db, true);
    fails(session, "INSERT INTO t VALUES (1)", "55P03");
    works(session, "BEGIN");
    works(session, "INSERT INTO t VALUES (2)"); /* it writes at COMMIT */
    fails(session, "COMMIT", "55P03");
    assert_int_equal(kp_session_status(session), 'I');
    set_turn(db, false);
    assert_int_equal(works(session, "SELECT * FROM t"), 0);
    works(session, "SET lock_timeout = '1min'");
    set_turn(db, true);
    struct giver giver = {.db = db};
    kp_thread_start(&giver.thread, "kp-giver", 0, give_back, &giver);
    works(session, "INSERT INTO t VALUES (3)");
    kp_thread_join(&giver.thread);
    assert_int_equal(works(session, "SELECT * FROM t"), 1);
    kp_session_close(session);
    kp_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lock_timeout)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
