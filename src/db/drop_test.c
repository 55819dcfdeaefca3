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

#include "db/statements_test.h"

static bool has_topic(struct fixture *fixture, const char *name, struct kp_topic_info *ret_info)
{
    struct kp_error err;
    return kp_log_topic_find(kp_db_log(fixture->db), name, ret_info, &err) == KP_OK;
}

static void drop_is_finished(void **state)
{
    struct fixture fixture = {.dir = "/tmp/kappa-drop-test-XXXXXX", .options = {.unsafe_no_sync = true}};
    struct kp_topic_info info;
    char command[128];
    assert_non_null(mkdtemp(fixture.dir));
    open_db(&fixture);
    must(&fixture, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    assert_true(has_topic(&fixture, "t", &info));
    put_record(&fixture, "DROP TABLE t");
    close_db(&fixture);

    open_db(&fixture);
    assert_false(has_topic(&fixture, "t", &info));
    must(&fixture, "CREATE TOPIC t; CREATE TABLE t (id int PRIMARY KEY)"); /* over what is there */
    must(&fixture, "INSERT INTO t VALUES (2); DROP TABLE t");
    close_db(&fixture);

    open_db(&fixture);
    assert_true(has_topic(&fixture, "t", &info));
    assert_int_equal(info.records, 1);
    close_db(&fixture);
    snprintf(command, sizeof command, "rm -rf %s", fixture.dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(drop_is_finished)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
