/*
 * The memory that there is: limits of control groups, of both versions, in files as Linux shows them. And how it is
 * shared out (base/mem.h, whose room has no tests of its own): arenas that charge a budget, what is refused, what is
 * told, and that every byte goes back whichever way an arena ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/calls.h"
#include "os/os.h"

static char dir[64];

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *at = path + strlen(dir) + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = '\0';
        (void)mkdir(path, 0700);
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static uint64_t limit_of(const char *groups)
{
    char path[128];
    write_file("groups", groups);
    snprintf(path, sizeof path, "%s/groups", dir);
    return kp_os_group_memory_bytes(path, dir);
}

static void test_groups(void **state)
{
    assert_true(kp_os_group_memory_bytes("/nowhere/groups", dir) == UINT64_MAX);
    assert_true(limit_of("") == UINT64_MAX);
    assert_true(limit_of("0::/\n") == UINT64_MAX); /* no files: nothing is known */
    write_file("a/memory.max", "max\n");
    write_file("a/b/memory.max", "3000000000\n");
    assert_true(limit_of("0::/a\n") == UINT64_MAX);
    assert_true(limit_of("0::/a/b\n") == 3000000000);
    assert_true(limit_of("0::/a/b/c\n") == 3000000000); /* a group below, without a limit of its own */
    write_file("memory.max", "1000000000\n");           /* and one above with less */
    assert_true(limit_of("0::/a/b\n") == 1000000000);
    assert_true(limit_of("0::/somewhere/else\n") == 1000000000); /* as in a container: the mount's root is its group */
    write_file("memory/x/memory.limit_in_bytes", "500000000\n");
    write_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_true(limit_of("12:cpu:/x\n9:memory:/x\n0::/\n") == 500000000);
    assert_true(limit_of("9:memory:/\n") == 9223372036854771712u);
}

static void test_machine(void **state)
{
    uint64_t bytes = kp_os_memory_bytes();
    assert_true(bytes > 16 << 20);
    assert_true(bytes <= (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
}

static int make_dir(void **state)
{
    strcpy(dir, "/tmp/kappa-memory-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

enum { MIB = 1 << 20 };

static void test_limit(void **state)
{
    struct kp_budget all, part;
    struct kp_error err;
    kp_budget_init(&all, "all", 32 * MIB, NULL);
    kp_budget_init(&part, "part", 0, &all);
    assert_true(kp_budget_left(&part) == 32 * MIB);
    struct kp_arena arena = {0};
    memset(kp_arena_alloc(&arena, 5 * MIB), 1, 5 * MIB);
    kp_arena_limit(&arena, &part, NULL); /* what it has already counts */
    assert_true(atomic_load(&part.used_bytes) >= 5 * MIB);
    assert_true(kp_arena_may(&arena, 20 * MIB));
    assert_int_equal(kp_arena_check(&arena, &err), KP_OK);
    assert_false(kp_arena_may(&arena, 28 * MIB));
    assert_false(kp_arena_may(&arena, 1)); /* until somebody has looked, all is in vain */
    assert_int_equal(kp_arena_check(&arena, &err), KP_BUDGET);
    assert_non_null(strstr(err.message, "\"all\""));
    assert_int_equal(kp_arena_check(&arena, &err), KP_OK);
    assert_true(kp_arena_may(&arena, MIB));
    memset(kp_arena_alloc(&arena, 40 * MIB), 1, 40 * MIB); /* allocating never fails, but it is noted */
    assert_int_equal(kp_arena_check(&arena, &err), KP_BUDGET);
    kp_arena_finish(&arena);
    assert_int_equal(atomic_load(&all.used_bytes), 0);
    assert_true(kp_arena_may(&arena, (size_t)1 << 29));
    assert_false(kp_arena_may(&arena, (size_t)1 << 30)); /* no value is so long, budget or none */
    assert_int_equal(kp_arena_check(&arena, &err), KP_BUDGET);
    kp_arena_finish(&arena);
}

static void test_stop(void **state)
{
    _Atomic bool stop = false;
    struct kp_error err;
    struct kp_arena arena = {0};
    kp_arena_limit(&arena, NULL, &stop);
    assert_false(kp_arena_vain(&arena));
    atomic_store(&stop, true);
    assert_true(kp_arena_vain(&arena));
    assert_int_equal(kp_arena_check(&arena, &err), KP_CANCELLED);
    assert_int_equal(kp_arena_check(&arena, &err), KP_CANCELLED); /* for as long as it is said */
    kp_arena_recycle(&arena, MIB);
    assert_true(kp_arena_vain(&arena));
    atomic_store(&stop, false);
    assert_int_equal(kp_arena_check(&arena, &err), KP_OK);
    kp_arena_finish(&arena);
}

static void test_giving_back(void **state)
{
    struct kp_budget budget;
    struct kp_error err;
    kp_budget_init(&budget, "narrow", 64 * MIB, NULL);
    struct kp_arena arena = {0};
    kp_arena_limit(&arena, &budget, NULL);
    for (int round = 0; round < 3; round++) {
        char *kept = kp_arena_strdup(&arena, "kept");
        struct kp_arena_mark mark = kp_arena_mark(&arena);
        for (int i = 0; i < 40; i++)
            memset(kp_arena_alloc(&arena, MIB + 1), i, MIB + 1);
        assert_true(atomic_load(&budget.used_bytes) > 32 * MIB);
        kp_arena_rewind(&arena, &mark);
        assert_true(arena.bytes < 16 * MIB);
        assert_true(atomic_load(&budget.used_bytes) <= (int64_t)arena.bytes);
        assert_string_equal(kept, "kept");
        memset(kp_arena_alloc(&arena, 10 * MIB), 7, 10 * MIB);
        assert_string_equal(kept, "kept");
        if (round == 1)
            kp_arena_reset(&arena);
        else
            kp_arena_recycle(&arena, 4 * MIB);
        assert_true(atomic_load(&budget.used_bytes) <= (round == 1 ? 12 * MIB : 0));
    }
    struct kp_arena_mark start = kp_arena_mark(&arena);
    (void)kp_arena_alloc(&arena, 3 * MIB);
    kp_arena_rewind(&arena, &start); /* to nothing */
    assert_int_equal(kp_arena_check(&arena, &err), KP_OK);
    kp_arena_finish(&arena);
    assert_int_equal(atomic_load(&budget.used_bytes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_groups), cmocka_unit_test(test_machine),
                                       cmocka_unit_test(test_limit), cmocka_unit_test(test_stop),
                                       cmocka_unit_test(test_giving_back)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
