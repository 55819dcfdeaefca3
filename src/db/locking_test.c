/*
 * What must not be done over rows as they were before what was acknowledged. A block that begins with FOR UPDATE reads
 * behind all that was acknowledged before: the engine is held here while another session's commit waits to be seen,
 * which the block would otherwise lock as it was, to fail at its COMMIT.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "db/statements_test.h"

struct hold {
    struct kp_db *db;
    struct kp_thread holder, releaser;
    _Atomic bool held, released;
};

static enum kp_code wait_released(struct kp_db *db, void *arg, struct kp_error *err)
{
    struct hold *hold = arg;
    atomic_store(&hold->held, true);
    while (!atomic_load(&hold->released))
        usleep(1000);
    return KP_OK;
}

static void hold_engine(void *arg)
{
    struct hold *hold = arg;
    struct kp_error err;
    assert_int_equal(kp_engine_call(hold->db, wait_released, hold, &err), KP_OK);
}

static void release_engine(void *arg)
{
    struct hold *hold = arg;
    usleep(200000); /* whenever: before it nothing new can be seen */
    atomic_store(&hold->released, true);
}

static void locks_what_was_acknowledged(void **state)
{
    struct fixture one = {.dir = "/tmp/kappa-locking-test-XXXXXX", .options = {.unsafe_no_sync = true}};
    struct kp_error err;
    char command[128];
    assert_non_null(mkdtemp(one.dir));
    open_db(&one);
    must(&one, "CREATE TABLE s (id int PRIMARY KEY, v int); CREATE TABLE other (id int PRIMARY KEY);"
               "INSERT INTO s VALUES (1, 100), (2, 100)");
    await(&one, "SELECT count(*) FROM s", "2");
    struct fixture two = one;
    assert_int_equal(kp_session_open(one.db, &(struct kp_session_options){0}, &two.session, &err), KP_OK);
    await(&two, "SELECT count(*) FROM s", "2");
    struct hold hold = {.db = one.db};
    kp_thread_start(&hold.holder, "holder", 1 << 20, hold_engine, &hold);
    while (!atomic_load(&hold.held))
        usleep(1000);
    must(&two, "UPDATE s SET v = 7 WHERE id = 2");
    kp_thread_start(&hold.releaser, "releaser", 1 << 20, release_engine, &hold);
    struct kp_buf out = {0};
    must(&one, "BEGIN");
    run(&one, "SELECT id FROM s WHERE v > 50 ORDER BY id FOR UPDATE", &out);
    assert_string_equal((const char *)out.data, "1\n");
    must(&one, "INSERT INTO other VALUES (1); COMMIT");
    kp_thread_join(&hold.holder);
    kp_thread_join(&hold.releaser);
    kp_buf_finish(&out);
    kp_session_close(two.session);
    close_db(&one);
    snprintf(command, sizeof command, "rm -rf %s", one.dir);
    assert_int_equal(system(command), 0);
}

/* A view over a row that was deleted before, and would take more memory than there is. */
static void views_begin_behind_what_was_acknowledged(void **state)
{
    struct fixture one = {.dir = "/tmp/kappa-locking-test-XXXXXX",
                          .options = {.unsafe_no_sync = true, .memory_bytes = 48 << 20}};
    struct kp_error err;
    char command[128];
    assert_non_null(mkdtemp(one.dir));
    open_db(&one);
    must(&one, "CREATE TABLE s (id int PRIMARY KEY, n int); INSERT INTO s VALUES (1, 1000000), (2, 3)");
    await(&one, "SELECT count(*) FROM s", "2");
    struct fixture two = one;
    assert_int_equal(kp_session_open(one.db, &(struct kp_session_options){0}, &two.session, &err), KP_OK);
    await(&two, "SELECT count(*) FROM s", "2");
    struct hold hold = {.db = one.db};
    kp_thread_start(&hold.holder, "holder", 1 << 20, hold_engine, &hold);
    while (!atomic_load(&hold.held))
        usleep(1000);
    must(&two, "DELETE FROM s WHERE id = 1");
    kp_thread_start(&hold.releaser, "releaser", 1 << 20, release_engine, &hold);
    must(&one, "CREATE MATERIALIZED VIEW v AS SELECT id, g, repeat('x', 100) AS x FROM s, generate_series(1, n) AS g");
    await(&one, "SELECT count(*) FROM v", "3\n");
    kp_thread_join(&hold.holder);
    kp_thread_join(&hold.releaser);
    kp_session_close(two.session);
    close_db(&one);
    snprintf(command, sizeof command, "rm -rf %s", one.dir);
    assert_int_equal(system(command), 0);
}

/* A record without the label is in the log already when the type would get it. */
static void types_change_behind_what_was_acknowledged(void **state)
{
    struct fixture one = {.dir = "/tmp/kappa-locking-test-XXXXXX", .options = {.unsafe_no_sync = true}};
    struct kp_error err;
    struct kp_buf out = {0};
    char command[128];
    assert_non_null(mkdtemp(one.dir));
    open_db(&one);
    must(&one, "CREATE TYPE level AS ENUM ('low'); CREATE SOURCE graded (l level) WITH (topic = 'g');"
               "CREATE SOURCE raw (l text) WITH (topic = 'g')");
    struct fixture two = one;
    assert_int_equal(kp_session_open(one.db, &(struct kp_session_options){0}, &two.session, &err), KP_OK);
    struct hold hold = {.db = one.db};
    kp_thread_start(&hold.holder, "holder", 1 << 20, hold_engine, &hold);
    while (!atomic_load(&hold.held))
        usleep(1000);
    must(&two, "INSERT INTO raw VALUES ('mid')");
    kp_thread_start(&hold.releaser, "releaser", 1 << 20, release_engine, &hold);
    run(&one, "ALTER TYPE level ADD VALUE 'mid'", &out);
    assert_non_null(strstr((const char *)out.data, "were set aside"));
    kp_thread_join(&hold.holder);
    kp_thread_join(&hold.releaser);
    kp_buf_finish(&out);
    kp_session_close(two.session);
    close_db(&one);
    snprintf(command, sizeof command, "rm -rf %s", one.dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(types_change_behind_what_was_acknowledged),
                                       cmocka_unit_test(views_begin_behind_what_was_acknowledged),
                                       cmocka_unit_test(locks_what_was_acknowledged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
