/*
 * A table's own topic goes with the table, also when the server ends between the statement's record, which is when it
 * has happened, and the topic's end; a topic of that name that was made afterwards is another one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "db/instance.h"
#include "os/os.h"

static char dir[] = "/tmp/kappa-drop-test-XXXXXX";

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

static struct kp_db *open_db(void)
{
    struct kp_db_options options = {.os = kp_os_real(), .dir = dir, .workers = 1, .parts = 4, .unsafe_no_sync = true};
    struct kp_db *db;
    struct kp_error err;
    if (kp_db_open(&options, &db, &err) != KP_OK)
        fail_msg("%s", err.message);
    assert_true(kp_db_wait_ready(db, -1));
    return db;
}

static void run(struct kp_db *db, const char *sql)
{
    struct kp_session *session;
    struct kp_prepared *prepared;
    struct kp_cursor *cursor;
    struct kp_error err;
    assert_int_equal(kp_session_open(db, NULL, &session, &err), KP_OK);
    if (kp_prepare(session, kp_str(sql), NULL, 0, &prepared, &err) != KP_OK ||
        kp_execute(session, prepared, NULL, 0, &cursor, &err) != KP_OK)
        fail_msg("%s: %s", sql, err.message);
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
    kp_session_close(session);
}

static bool has_topic(struct kp_db *db, const char *name, struct kp_topic_info *ret_info)
{
    struct kp_error err;
    return kp_log_topic_find(kp_db_log(db), name, ret_info, &err) == KP_OK;
}

static void drop_is_finished(void **state)
{
    struct kp_topic_info info;
    struct kp_error err;
    struct kp_db *db = open_db();
    run(db, "CREATE TABLE t (id int PRIMARY KEY)");
    run(db, "INSERT INTO t VALUES (1)");
    assert_true(has_topic(db, "t", &info));
    struct kp_catalog_record record = {
        .text = KP_STR("DROP TABLE t"), .time_zone = KP_STR("UTC"), .user = KP_STR("kappa")};
    int64_t position, end;
    assert_int_equal(kp_catalog_log_append(db, &record, NULL, 0, &position, &end, &err), KP_OK);
    kp_db_close(db);

    db = open_db();
    assert_false(has_topic(db, "t", &info));
    run(db, "CREATE TOPIC t");
    run(db, "CREATE TABLE t (id int PRIMARY KEY)"); /* over what is there */
    run(db, "INSERT INTO t VALUES (2)");
    run(db, "DROP TABLE t");
    kp_db_close(db);

    db = open_db();
    assert_true(has_topic(db, "t", &info));
    assert_int_equal(info.records, 1);
    kp_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(drop_is_finished)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
