/* The list of dead letters is bounded, however many there are, and a record that is met again soon is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "db/dead.h"

static void note(struct kp_db *db, const struct kp_relation *source, int64_t position)
{
    struct kp_dead_letter letter = {
        .position = position, .reason = "no JSON", .key = KP_STR("k"), .value = KP_STR("v"), .sqlstate = "22P02"};
    kp_dead_letter_note(db, source, &letter);
}

static void count_entry(void *arg, const struct kp_dead_letter_entry *entry)
{
    uint64_t *count = arg;
    *count += entry->position >= 0;
}

static void many_take_bounded_memory(void **state)
{
    enum { MILLION = 1 << 20, MANY = 5 * MILLION / 2, AGAIN = MILLION };
    struct kp_relation source = {.name = "s", .topic = "t", .id = 7};
    struct kp_db db = {.dead = kp_dead_letters_create()};
    for (int64_t position = 0; position < MANY; position++)
        note(&db, &source, position);
    assert_int_equal(kp_dead_letters_count(db.dead), MANY);
    assert_true(kp_dead_letters_seen_bytes(db.dead) <= (size_t)2 * 2 * MILLION * sizeof(uint64_t));
    for (int64_t position = MANY - AGAIN; position < MANY; position++) /* a backfill meets them, too */
        note(&db, &source, position);
    assert_int_equal(kp_dead_letters_count(db.dead), MANY);
    uint64_t kept = 0;
    kp_dead_letters_each(db.dead, count_entry, &kept);
    assert_int_equal(kept, 10000);
    kp_dead_letters_destroy(db.dead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_take_bounded_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
