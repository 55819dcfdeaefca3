/* The table of topics: names are found, whichever of many were made, dropped and made again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "log/topic.h"

enum { NAMES = 300, ROUNDS = 20000 };

static void check(const struct kp_topics *topics, const uint32_t *ids)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < NAMES; i++) {
        char name[16];
        snprintf(name, sizeof name, "topic-%u", i);
        const struct kp_topic *found = kp_topics_find(topics, name, strlen(name));
        assert_int_equal(found ? found->id : 0, ids[i]);
        assert_ptr_equal(found, kp_topics_get(topics, ids[i]));
        live += ids[i] != 0;
    }
    assert_int_equal(topics->live, live);
}

static void names(void **state)
{
    struct kp_topics topics = {0};
    uint32_t ids[NAMES] = {0}, id = 0;
    uint64_t random = 1;
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t i = (uint32_t)(random >> 33) % NAMES;
        char name[16];
        snprintf(name, sizeof name, "topic-%u", i);
        if (ids[i])
            kp_topics_remove(&topics, ids[i]);
        else
            kp_topics_add(&topics, ++id, name, strlen(name), 1 + i % 3, 0);
        ids[i] = ids[i] ? 0 : id;
        if (round % 100 == 0 || round < 200)
            check(&topics, ids);
    }
    for (uint32_t i = 0; i < NAMES; i++)
        if (ids[i]) {
            kp_topics_remove(&topics, ids[i]);
            ids[i] = 0;
            check(&topics, ids);
        }
    kp_topics_finish(&topics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
