/* The index of a join's side against a list: random insertions, removals, bulk builds and searches in small pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "flow/band.h"

enum { IDS = 3000, ROUNDS = 12, SEARCHES = 300 };

static uint64_t seed = 1;

static uint64_t dice(uint64_t sides)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % sides;
}

struct list {
    struct kp_band_entry entries[IDS];
    bool there[IDS];
};

static struct kp_band_entry random_entry(uint32_t id, uint64_t spread)
{
    uint64_t order = dice(20) ? dice(spread) : UINT64_MAX;
    return (struct kp_band_entry){order, dice(20) ? order + dice(spread / 4 + 1) : UINT64_MAX, (uint32_t)dice(3), id};
}

static void search(const struct kp_band *band, const struct list *list, uint64_t spread)
{
    struct kp_band_range range = {(uint32_t)dice(3), dice(spread), 0, dice(3) ? 0 : dice(spread)};
    range.top = dice(10) ? range.low + dice(spread) / 2 : UINT64_MAX;
    range.low = dice(3) ? range.low : 0;
    bool found[IDS] = {false};
    uint32_t ids[7], cap = 1 + (uint32_t)dice(KP_COUNT(ids)), n = cap;
    for (struct kp_band_place place = {0}; n == cap;) {
        n = kp_band_find(band, &range, &place, ids, cap);
        for (uint32_t i = 0; i < n; i++) {
            assert_false(found[ids[i]]);
            found[ids[i]] = true;
        }
    }
    for (uint32_t id = 0; id < IDS; id++) {
        const struct kp_band_entry *entry = &list->entries[id];
        bool is = list->there[id] && entry->group == range.group && entry->order >= range.low &&
                  entry->order <= range.top && entry->high >= range.least;
        assert_int_equal(found[id], is);
    }
}

static void check_ends(const struct kp_band *band, const struct list *list)
{
    for (uint32_t group = 0; group < 4; group++) {
        uint64_t first = UINT64_MAX, last = 0, is_first, is_last;
        bool any = false;
        for (uint32_t id = 0; id < IDS; id++) {
            if (!list->there[id] || list->entries[id].group != group)
                continue;
            any = true;
            first = KP_MIN(first, list->entries[id].order);
            last = KP_MAX(last, list->entries[id].order);
        }
        assert_int_equal(kp_band_ends(band, group, &is_first, &is_last), any);
        if (any) {
            assert_true(first == is_first);
            assert_true(last == is_last);
        }
    }
}

static void change(struct kp_band *band, struct list *list, uint32_t id, uint64_t spread)
{
    if (list->there[id]) {
        kp_band_remove(band, &list->entries[id]);
    } else {
        list->entries[id] = random_entry(id, spread);
        kp_band_insert(band, &list->entries[id]);
    }
    list->there[id] = !list->there[id];
}

static void against_list(void **state)
{
    (void)state;
    static struct list list;
    static struct kp_band_entry all[IDS];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t spread = round % 3 == 0 ? 10 : round % 3 == 1 ? 4000 : (uint64_t)1 << 40;
        struct kp_band band = {0};
        uint64_t count = 0;
        memset(&list, 0, sizeof list);
        for (uint32_t id = 0; round % 2 && id < IDS; id += 1 + (uint32_t)dice(2)) {
            all[count++] = list.entries[id] = random_entry(id, spread);
            list.there[id] = true;
        }
        kp_band_build(&band, all, count);
        for (int i = 0; i < SEARCHES; i++) {
            for (uint64_t changes = dice(40); changes > 0; changes--)
                change(&band, &list, (uint32_t)dice(IDS), spread);
            search(&band, &list, spread);
        }
        check_ends(&band, &list);
        for (uint32_t id = 0; id < IDS; id++) /* from the front, as rows leave by their time */
            if (list.there[id])
                change(&band, &list, id, spread);
        assert_true(band.root == NULL && band.count == 0 && band.bytes == 0);
        kp_band_finish(&band);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
