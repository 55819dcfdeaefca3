#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "serve/pg/command.h"

static struct kp_pg_command parse(const char *text)
{
    struct kp_pg_command command;
    struct kp_error err;
    /* exactly its bytes, so that the address sanitizer sees reads beyond them */
    size_t len = strlen(text);
    char *copy = kp_alloc(len + (len == 0));
    memcpy(copy, text, len);
    assert_int_equal(kp_pg_command_parse((struct kp_str){copy, len}, &command, &err), KP_OK);
    kp_free(copy);
    return command;
}

static void expect_error(const char *text, const char *sqlstate, int32_t position)
{
    struct kp_pg_command command;
    struct kp_error err;
    assert_int_not_equal(kp_pg_command_parse(kp_str(text), &command, &err), KP_OK);
    assert_string_equal(err.sqlstate, sqlstate);
    assert_int_equal(err.position, position);
}

static void test_others(void **state)
{
    assert_int_equal(parse("").kind, KP_PG_COMMAND_NONE);
    assert_int_equal(parse("select 1").kind, KP_PG_COMMAND_NONE);
    assert_int_equal(parse("\"declare\" x").kind, KP_PG_COMMAND_NONE);
    assert_int_equal(parse("discard plans").kind, KP_PG_COMMAND_NONE);
    assert_int_equal(parse("/* open").kind, KP_PG_COMMAND_NONE);
}

static void test_declare(void **state)
{
    struct kp_pg_command c =
        parse("-- x\nDeclare \"My c\" no scroll Cursor with hold /* a /* b */ */ For  SUBSCRIBE v");
    assert_int_equal(c.kind, KP_PG_COMMAND_DECLARE);
    assert_string_equal(c.name, "My c");
    assert_true(c.hold);
    assert_int_equal(c.query_at, 68);
    c = parse("DECLARE C binary cursor without hold for select 1");
    assert_string_equal(c.name, "c");
    assert_true(c.binary && !c.hold);
    expect_error("declare c scroll cursor for select 1", "55000", 0);
    expect_error("declare c cursor", "42601", 17);
    expect_error("declare c cursor for ;", "42601", 22);
    expect_error("declare 1 cursor for select 1", "42601", 9);
}

static void test_fetch(void **state)
{
    assert_int_equal(parse("fetch c").rows, 1);
    assert_string_equal(parse("fetch next").name, "next"); /* as PostgreSQL reads it */
    assert_string_equal(parse("fetch next from c;").name, "c");
    assert_int_equal(parse("fetch forward 2000 from \"a\"\"b\"").rows, 2000);
    assert_string_equal(parse("fetch forward 2000 from \"a\"\"b\"").name, "a\"b");
    assert_true(parse("FETCH ALL IN c").rows == UINT64_MAX);
    assert_true(parse("FETCH forward all c").rows == UINT64_MAX);
    assert_int_equal(parse("FETCH 0 c").rows, 0);
    assert_int_equal(parse("MOVE +7 c").kind, KP_PG_COMMAND_MOVE);
    struct kp_pg_command c;
    struct kp_error err;
    assert_int_equal(kp_pg_command_parse(KP_STR("fetch 10 c with (timeout = '1s')"), &c, &err), KP_OK);
    assert_true(kp_str_equal(c.timeout, KP_STR("1s")));
    expect_error("fetch backward 1 from c", "55000", 0);
    expect_error("fetch -1 from c", "55000", 0);
    expect_error("fetch 99999999999999999999 from c", "42601", 7);
    expect_error("fetch 1 from c d", "42601", 16);
    expect_error("fetch", "42601", 6);
    expect_error("fetch 1 c with (timeout '1s'", "42601", 29);
}

static void test_rest(void **state)
{
    assert_string_equal(parse("close c").name, "c");
    assert_string_equal(parse("CLOSE ALL").name, "");
    assert_int_equal(parse("deallocate prepare p").kind, KP_PG_COMMAND_DEALLOCATE);
    assert_string_equal(parse("deallocate prepare p").name, "p");
    assert_string_equal(parse("deallocate all").name, "");
    assert_int_equal(parse("discard all ;").kind, KP_PG_COMMAND_DISCARD_ALL);
    expect_error("close", "42601", 6);
    expect_error("close \"\"", "42601", 7);
    expect_error("close 'c'", "42601", 7);
    char name[80];
    memset(name, 'a', 70);
    strcpy(name + 70, "");
    memcpy(name, "close ", 6);
    assert_int_equal(strlen(parse(name).name), 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_others), cmocka_unit_test(test_declare),
                                       cmocka_unit_test(test_fetch), cmocka_unit_test(test_rest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
