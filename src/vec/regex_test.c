/* Compiled patterns go from one kernel call to the next, and no further than there is room for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "vec/regex.h"

static bool matches(const char *pattern, unsigned flags, const char *text)
{
    struct kp_arena arena = {0};
    struct kp_call call = {.arena = &arena, .rows = 1};
    struct kp_pattern held = {0};
    assert_true(kp_pattern_compile(&call, NULL, 0, kp_str(pattern), flags, &held));
    bool found = kp_pattern_matches(&held, kp_str(text));
    kp_pattern_finish(&held);
    kp_arena_finish(&arena);
    return found;
}

static void kept(void **state)
{
    uint64_t before = kp_patterns_compiled();
    for (int i = 0; i < 100; i++) {
        assert_true(matches("^a+b$", KP_ARE_ADVANCED, "aab"));
        assert_false(matches("^a+b$", KP_ARE_ADVANCED, "AAB"));
        assert_true(matches("^a+b$", KP_ARE_ADVANCED | KP_ARE_FOLD, "AAB"));
        assert_false(matches("^a+b", KP_ARE_ADVANCED, "b"));
    }
    assert_int_equal(kp_patterns_compiled() - before, 3);
}

static void two_at_once(void **state)
{
    struct kp_arena arena = {0};
    struct kp_call call = {.arena = &arena, .rows = 1};
    struct kp_pattern one = {0}, other = {0};
    uint64_t before = kp_patterns_compiled();
    for (int i = 0; i < 10; i++) {
        assert_true(kp_pattern_compile(&call, NULL, 0, KP_STR("x(y)"), KP_ARE_ADVANCED, &one));
        assert_true(kp_pattern_compile(&call, NULL, 0, KP_STR("x(y)"), KP_ARE_ADVANCED, &other));
        assert_true(kp_pattern_search(&one, KP_STR("xy"), 0, 1) && kp_pattern_search(&other, KP_STR("__xy"), 0, 1));
        assert_int_equal(one.groups[2], 1);
        assert_int_equal(other.groups[2], 3);
        kp_pattern_finish(&one);
        kp_pattern_finish(&other);
    }
    assert_int_equal(kp_patterns_compiled() - before, 2);
    kp_arena_finish(&arena);
}

static void only_so_many(void **state)
{
    char pattern[32], text[32];
    for (int round = 0; round < 2; round++) {
        uint64_t before = kp_patterns_compiled();
        for (int i = 0; i < 2 * KP_PATTERNS_KEPT; i++) {
            snprintf(pattern, sizeof pattern, "^n%d(0)?$", i);
            snprintf(text, sizeof text, "n%d", i);
            assert_true(matches(pattern, KP_ARE_ADVANCED, text));
        }
        assert_int_equal(kp_patterns_compiled() - before, 2 * KP_PATTERNS_KEPT);
    }
}

/* Each of these takes a megabyte and more once it has met a text. */
static void only_so_large(void **state)
{
    char pattern[64];
    for (int i = 0; i < KP_PATTERNS_KEPT; i++) {
        snprintf(pattern, sizeof pattern, "%d((x?y?z?){255}){20}[abc]{200}$", i);
        (void)matches(pattern, KP_ARE_ADVANCED, "7xyzxyzabcabcabc");
        assert_true(kp_patterns_kept_bytes() <= KP_PATTERNS_KEPT_BYTES_MAX);
    }
    assert_true(kp_patterns_kept_bytes() > KP_PATTERNS_KEPT_BYTES_MAX / 2);
    uint64_t before = kp_patterns_compiled();
    (void)matches("0((x?y?z?){255}){20}[abc]{200}$", KP_ARE_ADVANCED, ""); /* not too many, but too large */
    assert_int_equal(kp_patterns_compiled() - before, 1);
}

static void refused(void **state)
{
    struct kp_arena arena = {0};
    struct kp_call call = {.arena = &arena, .rows = 1};
    struct kp_pattern held = {0};
    for (int i = 0; i < 3; i++) {
        assert_false(kp_pattern_compile(&call, NULL, 0, KP_STR("a("), KP_ARE_ADVANCED, &held));
        kp_pattern_finish(&held);
    }
    kp_arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kept), cmocka_unit_test(two_at_once),
                                       cmocka_unit_test(only_so_many), cmocka_unit_test(only_so_large),
                                       cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
