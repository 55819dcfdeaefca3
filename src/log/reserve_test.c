/*
 * The disk reserve: held, given up, held again; and what a file would need that is only thought of while it is given up
 * is not wanted for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log/reserve.h"

static char dir[64], path[96];
static struct kp_os *os;

static int fresh_dir(void **state)
{
    os = kp_os_real();
    strcpy(dir, "/tmp/kappa-reserve-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/" KP_RESERVE_NAME, dir);
    return 0;
}

static int remove_dir(void **state)
{
    unlink(path);
    return rmdir(dir);
}

/* As kp_room_make leaves it. */
static void give_up(struct kp_reserve *reserve)
{
    unlink(path);
    reserve->held_bytes = 0;
    atomic_store(&reserve->given, true);
}

static void held_again(void **state)
{
    struct kp_reserve reserve;
    struct kp_error err;
    kp_reserve_init(&reserve, os, dir, false);
    assert_int_equal(kp_reserve_keep(&reserve, 1 << 20, &err), KP_OK);
    uint64_t held = reserve.held_bytes;
    assert_true(held >= 1 << 20);
    assert_int_equal(access(path, F_OK), 0);

    give_up(&reserve);
    assert_int_equal(kp_reserve_keep(&reserve, (uint64_t)1 << 50, &err), KP_OK); /* larger than any disk */
    assert_true(kp_reserve_given(&reserve));
    assert_int_not_equal(access(path, F_OK), 0);

    assert_true(kp_reserve_take(&reserve));
    assert_false(kp_reserve_given(&reserve));
    assert_int_equal(reserve.held_bytes, held);
    kp_reserve_finish(&reserve);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(held_again, fresh_dir, remove_dir)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
