/* What chunks' least and largest values say of conditions. */
#include "log/columns_internal.h"

/* The least value compared with the test's: below 0, 0, above. Of a string only its first bytes are known, so it may be
 * larger than it seems. */
static int compare_least(const struct kp_column_entry *entry, const struct kp_column_test *test)
{
    int64_t least;
    memcpy(&least, entry->least, sizeof least);
    if (kp_physical_is_integer(test->physical))
        return (least > test->integer) - (least < test->integer);
    return kp_str_compare((struct kp_str){(const char *)entry->least, entry->least_bytes}, test->text);
}

static int compare_largest(const struct kp_column_entry *entry, const struct kp_column_test *test)
{
    int64_t largest;
    memcpy(&largest, entry->largest, sizeof largest);
    if (kp_physical_is_integer(test->physical))
        return (largest > test->integer) - (largest < test->integer);
    return kp_str_compare((struct kp_str){(const char *)entry->largest, entry->largest_bytes}, test->text);
}

static bool excludes(const struct kp_column_entry *entry, const struct kp_column_test *test)
{
    bool least = entry->flags & KP_COLUMN_HAS_LEAST, largest = entry->flags & KP_COLUMN_HAS_LARGEST;
    switch (test->compare) {
    case KP_COLUMN_EQUAL:
        return (least && compare_least(entry, test) > 0) || (largest && compare_largest(entry, test) < 0);
    case KP_COLUMN_LESS:
        return least && compare_least(entry, test) >= 0;
    case KP_COLUMN_LESS_EQUAL:
        return least && compare_least(entry, test) > 0;
    case KP_COLUMN_GREATER:
        return largest && compare_largest(entry, test) <= 0;
    case KP_COLUMN_GREATER_EQUAL:
        return largest && compare_largest(entry, test) < 0;
    }
    return false;
}

bool kp_column_set_excludes(struct kp_column_set *set, int64_t position, const struct kp_column_test *tests,
                            uint32_t count)
{
    struct kp_columns *columns = set->columns;
    bool any = false;
    kp_mutex_lock(&columns->mutex);
    struct kp_column *rows = kp_column_find(set, KP_COLUMN_ROWS, true);
    const struct kp_column_entry *range = kp_column_entry_at(rows, position);
    for (uint32_t i = 0; range && !any && i < count; i++) {
        struct kp_column *column = kp_column_find(set, tests[i].number, false);
        const struct kp_column_entry *entry = column ? kp_column_entry_at(column, position) : NULL;
        any = entry && entry->begin == range->begin && entry->end == range->end && entry->rows == range->rows &&
              column->physical == tests[i].physical && excludes(entry, &tests[i]);
    }
    kp_mutex_unlock(&columns->mutex);
    return any;
}
