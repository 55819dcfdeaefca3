/* What chunks' least and largest values and Bloom filters say of conditions. */
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

/* The filter says that the value is not there. Locked: mutex, which is released while a file is read. */
static bool filter_excludes(struct kp_column *column, const struct kp_column_entry *entry,
                            const struct kp_column_test *test)
{
    struct kp_columns *columns = column->set->columns;
    const struct kp_column_entry was = *entry;
    uint64_t hash = kp_physical_is_integer(test->physical) ? kp_column_bloom_hash_integer(test->integer)
                                                           : kp_column_bloom_hash_text(test->text);
    if (test->compare != KP_COLUMN_EQUAL || was.bloom_bytes == 0)
        return false;
    if (was.loaded)
        return !kp_column_bloom_may_hold((const uint8_t *)was.loaded->memory + sizeof(struct kp_column_chunk_header),
                                         was.bloom_bytes, hash);
    struct kp_buf path = {0}, bytes = {0};
    size_t len = sizeof(struct kp_column_chunk_header) + was.bloom_bytes, got = 0;
    struct kp_file *file;
    kp_column_path(column, was.file, &path);
    kp_mutex_unlock(&columns->mutex);
    struct kp_os *os = columns->os;
    struct kp_column_chunk_header *header = (void *)kp_buf_reserve(&bytes, len);
    bool absent = false;
    if (os->open(os->ctx, (const char *)path.data, KP_OPEN_READ, &file, NULL) == KP_OK) {
        const uint8_t *bloom = (const uint8_t *)(header + 1);
        absent = os->pread(os->ctx, file, header, len, was.offset, &got, NULL) == KP_OK && got == len &&
                 !kp_column_header_wrong(header) && header->begin == was.begin && header->end == was.end &&
                 header->bloom_bytes == was.bloom_bytes && kp_crc32c(0, bloom, was.bloom_bytes) == header->bloom_crc &&
                 !kp_column_bloom_may_hold(bloom, was.bloom_bytes, hash);
        os->close(os->ctx, file);
    }
    kp_buf_finish(&path);
    kp_buf_finish(&bytes);
    kp_mutex_lock(&columns->mutex);
    return absent;
}

/* The column's entry of exactly this range; NULL: there is none. */
static const struct kp_column_entry *same_range(struct kp_column *column, const struct kp_column_entry *range)
{
    const struct kp_column_entry *entry = column ? kp_column_entry_at(column, range->begin) : NULL;
    return entry && entry->begin == range->begin && entry->end == range->end && entry->rows == range->rows ? entry
                                                                                                           : NULL;
}

bool kp_column_set_excludes(struct kp_column_set *set, int64_t position, const struct kp_column_test *tests,
                            uint32_t count)
{
    struct kp_columns *columns = set->columns;
    bool any = false;
    kp_mutex_lock(&columns->mutex);
    struct kp_column *rows = kp_column_find(set, KP_COLUMN_ROWS, true);
    const struct kp_column_entry *known = kp_column_entry_at(rows, position);
    const struct kp_column_entry range = known ? *known : (struct kp_column_entry){0};
    for (uint32_t i = 0; known && !any && i < 2 * count; i++) { /* bounds of all first: they cost nothing */
        const struct kp_column_test *test = &tests[i % count];
        struct kp_column *column = kp_column_find(set, test->number, false);
        const struct kp_column_entry *entry = same_range(column, &range);
        if (entry && column->physical == test->physical)
            any = i < count ? excludes(entry, test) : filter_excludes(column, entry, test);
    }
    kp_mutex_unlock(&columns->mutex);
    return any;
}
