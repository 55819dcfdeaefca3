/* The log on the real disk: appends, reads, restarts, trims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "log/dir_test.h"
#include "log/format.h"

static void topics(void **state)
{
    struct kp_log *log = open_log((struct kp_log_options){0});
    struct kp_error err;
    uint32_t a, b, c;
    assert_int_equal(kp_log_topic_create(log, "bid", 3, &a, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "bid", 3, &b, &err), KP_EXISTS);
    assert_int_equal(kp_log_topic_create(log, "../x", 3, &b, &err), KP_INVALID);
    assert_int_equal(kp_log_topic_create(log, "..", 3, &b, &err), KP_INVALID);
    assert_int_equal(kp_log_topic_create(log, "", 3, &b, &err), KP_INVALID);
    assert_int_equal(kp_log_topic_create(log, "x", 0, &b, &err), KP_INVALID);
    assert_int_equal(kp_log_topic_create(log, "__kappa_catalog", 1, &b, &err), KP_OK);
    append(log, a, 2, 1, 10, 0);
    append(log, b, 0, 2, 5, 0);
    assert_int_equal(kp_log_topic_drop(log, a, &err), KP_OK);
    assert_int_equal(kp_log_topic_drop(log, a, &err), KP_NOT_FOUND);
    assert_int_equal(kp_log_topic_create(log, "bid", 1, &c, &err), KP_OK);
    assert_true(c > b);
    for (int restarts = 0; restarts < 3; restarts++) {
        struct kp_topic_info *infos, info;
        size_t count;
        kp_log_topics(log, &infos, &count);
        assert_int_equal(count, 2);
        assert_string_equal(infos[0].name, "__kappa_catalog");
        assert_true(infos[0].internal);
        assert_int_equal(infos[0].records, 5);
        assert_string_equal(infos[1].name, "bid");
        assert_int_equal(infos[1].id, c);
        assert_int_equal(infos[1].partitions, 1);
        kp_free(infos);
        assert_int_equal(kp_log_topic_find(log, "bid", &info, &err), KP_OK);
        assert_int_equal(info.id, c);
        assert_int_equal(kp_log_topic_get(log, a, &info, &err), KP_NOT_FOUND);
        assert_int_equal(kp_log_position(log), 15);
        assert_int_equal(read_all(log, 1, NULL, 0), 5); /* a dropped topic's records are gone */
        assert_int_equal(read_all(log, 1 << 20, &b, 1), 5);
        kp_log_close(log);
        log = open_log((struct kp_log_options){.no_threads = restarts == 1});
    }
    kp_log_close(log);
}

/* Groups of all sizes, small files: everything is there again after restarts, by position and by offset. */
static void sizes(void **state)
{
    struct kp_log_options options = {.journal_file_bytes = 256 << 10};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    uint32_t topic;
    int64_t sent = 0, offsets[3] = {0};
    assert_int_equal(kp_log_topic_create(log, "t", 3, &topic, &err), KP_OK);
    int tag = 0;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 40; i++, tag++) {
            int records = 1 + tag % 7;
            append(log, topic, (uint32_t)tag % 3, tag, records, (size_t)(tag % 11 * (tag % 11) * 200));
            sent += records;
            offsets[tag % 3] += records;
        }
        struct kp_buf big[5]; /* one group of many blocks */
        struct kp_log_entry entries[5];
        for (int i = 0; i < 5; i++, tag++) {
            big[i] = batch_of(tag, 3, 200000 + 100000 * (size_t)i);
            entries[i] =
                (struct kp_log_entry){.topic = topic, .partition = 1, .batch = big[i].data, .bytes = big[i].len};
        }
        int64_t end;
        assert_int_equal(kp_log_append(log, entries, 5, &end, &err), KP_OK);
        sent += 15;
        assert_int_equal(end, sent);
        assert_int_equal(entries[0].base_offset, offsets[1]);
        offsets[1] += 15;
        for (int i = 0; i < 5; i++)
            kp_buf_finish(&big[i]);
        assert_int_equal(read_all(log, 100000, NULL, 0), sent);
        kp_log_close(log);
        options.no_threads = round % 2;
        log = open_log(options);
        assert_int_equal(kp_log_position(log), sent);
        assert_int_equal(read_all(log, 1, NULL, 0), sent);
        assert_int_equal(read_all(log, 300000, NULL, 0), sent);
        assert_int_equal(read_all(log, 64 << 20, NULL, 0), sent);
        for (uint32_t p = 0; p < 3; p++) {
            struct kp_partition_info info;
            assert_int_equal(kp_log_partition(log, topic, p, &info, &err), KP_OK);
            assert_int_equal(info.end_offset, offsets[p]);
            for (int64_t offset = 0; offset < info.end_offset;) {
                struct kp_buf out = {0};
                assert_int_equal(kp_log_fetch(log, topic, p, offset, 50000, &out, &err), KP_OK);
                assert_true(out.len > 0);
                for (size_t at = 0; at < out.len;) {
                    struct kp_record_batch_info batch;
                    assert_int_equal(kp_record_batch_check(out.data + at, out.len - at, true, &batch, &err), KP_OK);
                    assert_true(batch.base_offset <= offset);
                    offset = batch.base_offset + batch.records;
                    at += batch.bytes;
                }
                kp_buf_finish(&out);
            }
        }
    }
    kp_log_close(log);
}

static void by_time(void **state)
{
    struct kp_log *log = open_log((struct kp_log_options){0});
    struct kp_error err;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topic, &err), KP_OK);
    int64_t before_us[50];
    for (int tag = 0; tag < 50; tag++) {
        before_us[tag] = kp_log_time_us(log) + 1;
        while (kp_os_real()->wall_us(NULL) <= before_us[tag])
            ;
        append(log, topic, 0, tag, 4, 100000);
    }
    for (int restarts = 0; restarts < 2; restarts++) {
        for (int tag = 0; tag < 50; tag++) {
            int64_t offset, ms, position;
            assert_int_equal(kp_log_offset_at(log, topic, 0, 1000 * (int64_t)tag + 2, &offset, &ms, &err), KP_OK);
            assert_int_equal(offset, tag * 4 + 2);
            assert_int_equal(ms, 1000 * tag + 2);
            assert_int_equal(kp_log_offset_at(log, topic, 0, 1000 * (int64_t)tag + 4, &offset, &ms, &err), KP_OK);
            assert_int_equal(offset, tag == 49 ? -1 : tag * 4 + 4);
            assert_int_equal(kp_log_position_at(log, before_us[tag], &position, &err), KP_OK);
            assert_int_equal(position, tag * 4);
            int64_t time_us;
            assert_int_equal(kp_log_time_at(log, tag * 4 + 4, &time_us, &err), KP_OK);
            assert_true(time_us >= before_us[tag] && (tag == 49 || time_us < before_us[tag + 1]));
            assert_int_equal(kp_log_time_at(log, tag * 4 + 3, &position, &err), KP_OK);
            assert_int_equal(position, time_us);
        }
        struct kp_buf out = {0};
        assert_int_equal(kp_log_fetch(log, topic, 0, 201, 1, &out, &err), KP_LIMIT);
        assert_int_equal(kp_log_fetch(log, topic, 0, 200, 1, &out, &err), KP_OK);
        assert_int_equal(out.len, 0);
        assert_int_equal(kp_log_fetch(log, topic, 1, 0, 1, &out, &err), KP_NOT_FOUND);
        kp_log_close(log);
        log = open_log((struct kp_log_options){0});
    }
    kp_log_close(log);
}

/* One group of up to four batches; begins[position]: where its group begins. */
static void append_group(struct kp_log *log, uint32_t topic, int tag, int64_t *begins)
{
    struct kp_log_entry entries[4];
    struct kp_buf batches[4];
    struct kp_error err;
    int64_t begin = kp_log_position(log), end;
    size_t count = 1 + (size_t)tag % 4, pad = tag % 7 == 3 ? 400000 : tag % 3 == 0 ? 30000 : 10;
    for (size_t i = 0; i < count; i++) {
        batches[i] = batch_of(tag, 1 + (tag + (int)i) % 3, pad);
        entries[i] = (struct kp_log_entry){
            .topic = topic, .partition = (uint32_t)i % 2, .batch = batches[i].data, .bytes = batches[i].len};
    }
    assert_int_equal(kp_log_append(log, entries, count, &end, &err), KP_OK);
    for (int64_t position = begin; position < end; position++)
        begins[position] = begin;
    for (size_t i = 0; i < count; i++)
        kp_buf_finish(&batches[i]);
}

/* Of a topic without records, too, a read ends behind a group, also with its limit within one. */
static void check_limits(struct kp_log *log, const int64_t *begins, int64_t end)
{
    const uint32_t none = 77;
    struct kp_error err;
    struct kp_log_span span;
    for (int64_t position = 0; position < end; position++) {
        if (begins[position] != position)
            continue;
        for (int64_t limit = position + 1; limit < KP_MIN(position + 10, end); limit++) {
            assert_int_equal(kp_log_read(log, position, limit, SIZE_MAX, &none, 1, &span, &err), KP_OK);
            assert_true(span.position_end > position && span.count == 0);
            assert_true(span.position_end == end || begins[span.position_end] == span.position_end);
            kp_log_span_release(&span);
        }
    }
}

/* Where each position's group begins: in the tail, the journal, extents; the groups of many blocks, too. */
static void groups(void **state)
{
    static int64_t begins[1000];
    struct kp_log_options options = {.journal_file_bytes = 4 << 20, .no_threads = true};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    uint32_t topic;
    int64_t position, found;
    assert_int_equal(kp_log_topic_create(log, "t", 2, &topic, &err), KP_OK);
    for (int tag = 0; tag < 80; tag++)
        append_group(log, topic, tag, begins);
    int64_t end = kp_log_position(log);
    for (int round = 0; round < 3; round++) {
        for (position = 0; position < end; position++) {
            assert_int_equal(kp_log_group_at(log, position, &found, &err), KP_OK);
            assert_int_equal(found, begins[position]);
        }
        for (position = end; position < end + 2; position++) {
            assert_int_equal(kp_log_group_at(log, position, &found, &err), KP_OK);
            assert_int_equal(found, position);
        }
        check_limits(log, begins, end);
        kp_log_close(log);
        options.tail_bytes = 1;
        options.seal_bytes = 1;
        log = open_log(options);
        for (bool more = round > 0; more;)
            assert_int_equal(kp_log_maintain(log, &more, &err), KP_OK);
    }
    struct kp_log_sealed in_extents;
    kp_log_sealed(log, &in_extents);
    assert_true(in_extents.position > 0 && in_extents.position < end);
    kp_log_close(log);
}

/* Every position's offset in each partition; sizes are told to a megabyte; what is trimmed counts no more. */
static void horizons(void **state)
{
    struct kp_log_options options = {.journal_file_bytes = 1 << 20};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    uint32_t topic, other;
    assert_int_equal(kp_log_topic_create(log, "t", 3, &topic, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "other", 1, &other, &err), KP_OK);
    enum { APPENDS = 200, RECORDS = 5 };
    for (int tag = 0; tag < APPENDS; tag++)
        append(log, tag % 4 == 3 ? other : topic, tag % 4 == 3 ? 0 : (uint32_t)tag % 4, tag, RECORDS, 10000);
    for (int restarts = 0; restarts < 2; restarts++) {
        int64_t offset, position;
        for (int64_t at = 0; at <= APPENDS * RECORDS; at += 7)
            for (uint32_t p = 0; p < 3; p++) {
                int64_t round = at / (4 * RECORDS), within = at % (4 * RECORDS) - (int64_t)p * RECORDS;
                int64_t expected = round * RECORDS + KP_MIN(KP_MAX(within, 0), RECORDS);
                assert_int_equal(kp_log_offset_behind(log, topic, p, at, &offset, &err), KP_OK);
                assert_int_equal(offset, restarts ? KP_MAX(expected, p ? 0 : 100) : expected);
            }
        struct kp_topic_info info;
        assert_int_equal(kp_log_topic_get(log, topic, &info, &err), KP_OK);
        assert_int_equal(info.records, APPENDS / 4 * 3 * RECORDS - (restarts ? 100 : 0));
        assert_true(info.bytes >= info.records * 10000 && info.bytes < info.records * 10000 + (1 << 20));
        assert_int_equal(kp_log_position_keeping(log, topic, info.bytes + 1, &position, &err), KP_OK);
        assert_int_equal(position, 0);
        assert_int_equal(kp_log_position_keeping(log, topic, 3000000, &position, &err), KP_OK);
        int64_t behind = (APPENDS * RECORDS - position) * 3 / 4 * 10000;
        assert_true(behind >= 2900000 && behind < 3000000 + (3 << 20));
        if (!restarts)
            assert_int_equal(kp_log_trim(log, topic, 0, 100, &err), KP_OK);
        kp_log_close(log);
        log = open_log(options);
    }
    kp_log_close(log);
}

/* Every position's offset in many partitions, frequent and rare ones: indexes tell most of them, also of what is
 * sealed.
 */
static void horizons_of_many(void **state)
{
    enum { MANY = 60, BATCHES = 1200 };
    struct kp_log_options options = {.journal_file_bytes = 1 << 20, .no_threads = true};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    uint32_t topic, seed = 7, partitions[BATCHES];
    int64_t positions[BATCHES + 1] = {0}, ends[MANY] = {0}, offset;
    assert_int_equal(kp_log_topic_create(log, "t", MANY, &topic, &err), KP_OK);
    for (int i = 0; i < BATCHES; i++) {
        seed = seed * 1664525 + 1013904223;
        partitions[i] = (seed >> 20) % 4 ? (seed >> 8) % 3 : (seed >> 8) % MANY; /* the first three are frequent */
        positions[i + 1] = append(log, topic, partitions[i], i, 1 + (int)(seed >> 28) % 3, 3000);
    }
    for (int restarts = 0; restarts < 2; restarts++) {
        memset(ends, 0, sizeof ends);
        for (int i = 0; i <= BATCHES; i++) { /* ends: before batch i */
            for (uint32_t p = 0; p < MANY; p += i % 10 ? 7 : 1) {
                assert_int_equal(kp_log_offset_behind(log, topic, p, positions[i], &offset, &err), KP_OK);
                assert_int_equal(offset, ends[p]);
            }
            if (i == BATCHES)
                break;
            assert_int_equal(kp_log_offset_behind(log, topic, partitions[i], positions[i] + 1, &offset, &err), KP_OK);
            assert_int_equal(offset, ends[partitions[i]] + 1);
            ends[partitions[i]] += positions[i + 1] - positions[i];
        }
        kp_log_close(log);
        log = open_log(options); /* sealed, if that is wanted */
    }
    for (uint32_t p = 0; p < MANY; p += 3) /* what was trimmed is not gone back to */
        assert_int_equal(kp_log_trim(log, topic, p, ends[p] / 2, &err), KP_OK);
    for (uint32_t p = 0; p < MANY; p++) {
        assert_int_equal(kp_log_offset_behind(log, topic, p, 0, &offset, &err), KP_OK);
        assert_int_equal(offset, p % 3 ? 0 : ends[p] / 2);
    }
    kp_log_close(log);
}

/* What is trimmed is out of range by offset, skipped by position, and stays so; the offsets go on. */
static void trim(void **state)
{
    struct kp_log_options options = {.journal_file_bytes = 64 << 10};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", 2, &topic, &err), KP_OK);
    for (int tag = 0; tag < 40; tag++)
        append(log, topic, (uint32_t)tag % 2, tag, 4, 1000);
    assert_int_equal(kp_log_trim(log, topic, 0, 81, &err), KP_LIMIT);
    assert_int_equal(kp_log_trim(log, topic, 2, 1, &err), KP_NOT_FOUND);
    assert_int_equal(kp_log_trim(log, topic + 1, 0, 1, &err), KP_NOT_FOUND);
    assert_int_equal(kp_log_trim(log, topic, 0, 42, &err), KP_OK); /* within the batch of 40 to 43 */
    assert_int_equal(kp_log_trim(log, topic, 0, 7, &err), KP_OK);  /* already */
    assert_int_equal(kp_log_trim(log, topic, 1, 80, &err), KP_OK); /* all of it */
    for (int restarts = 0; restarts < 2; restarts++) {
        struct kp_partition_info info;
        struct kp_record_batch_info batch;
        struct kp_buf out = {0};
        int64_t offset, ms;
        assert_int_equal(kp_log_partition(log, topic, 0, &info, &err), KP_OK);
        assert_int_equal(info.start_offset, 42);
        assert_int_equal(info.end_offset, 80);
        assert_int_equal(kp_log_fetch(log, topic, 0, 41, 1, &out, &err), KP_LIMIT);
        assert_int_equal(kp_log_fetch(log, topic, 0, 42, 1, &out, &err), KP_OK);
        assert_int_equal(kp_record_batch_check(out.data, out.len, true, &batch, &err), KP_OK);
        assert_int_equal(batch.base_offset, 40);
        assert_int_equal(kp_log_offset_at(log, topic, 0, 0, &offset, &ms, &err), KP_OK);
        assert_int_equal(offset, 42);
        assert_int_equal(ms, 20002);
        assert_int_equal(kp_log_offset_at(log, topic, 1, 0, &offset, &ms, &err), KP_OK);
        assert_int_equal(offset, -1);
        out.len = 0;
        assert_int_equal(kp_log_fetch(log, topic, 1, 79, 1, &out, &err), KP_LIMIT);
        assert_int_equal(kp_log_fetch(log, topic, 1, 80, 1, &out, &err), KP_OK);
        assert_int_equal(out.len, 0);
        kp_buf_finish(&out);
        assert_int_equal(read_all(log, 1, NULL, 0), 40);
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), 40);
        kp_log_close(log);
        log = open_log(options);
    }
    assert_int_equal(append(log, topic, 1, 40, 3, 10), 163);
    assert_int_equal(read_all(log, 1 << 20, NULL, 0), 43);
    kp_log_close(log);
}

static void add_size(void *arg, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = strstr(name, ".extent") ? fopen(path, "rb") : NULL;
    if (!file)
        return;
    fseek(file, 0, SEEK_END);
    *(long *)arg += ftell(file);
    fclose(file);
}

static long extents_size(void)
{
    long bytes = 0;
    struct kp_error err;
    assert_int_equal(kp_os_real()->list(NULL, dir, add_size, &bytes, &err), KP_OK);
    return bytes;
}

/* Steps until there is nothing to do; at most so many. */
static int maintained(struct kp_log *log, int most)
{
    struct kp_error err;
    bool more = true;
    int steps = 0;
    for (; more && steps < most; steps++)
        assert_int_equal(kp_log_maintain(log, &more, &err), KP_OK);
    return steps;
}

/* The list of extents becomes longer than what is sealed at once, and is logged whenever something is: sealing comes
 * to an end all the same. */
static void long_list(void **state)
{
    enum { PARTITIONS = 24, ROUNDS = 150, STEPS = 4000 };
    struct kp_log *log = open_log((struct kp_log_options){.no_threads = true,
                                                          .unsafe_no_sync = true,
                                                          .journal_file_bytes = 64 << 10,
                                                          .seal_bytes = 64 << 10,
                                                          .unsealed_bytes_max = 512 << 10,
                                                          .extent_own_bytes = 4 << 10,
                                                          .adopt_per_cent = 101});
    struct kp_error err;
    struct kp_log_sealed so_far;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", PARTITIONS, &topic, &err), KP_OK);
    for (int tag = 0; tag < ROUNDS * PARTITIONS; tag++)
        append(log, topic, (uint32_t)tag % PARTITIONS, tag, 1, 5000);
    int steps = maintained(log, STEPS);
    kp_log_sealed(log, &so_far);
    print_message("%llu extents, %d steps\n", (unsigned long long)so_far.extents, steps);
    assert_true(steps < STEPS);
    assert_true(so_far.extents > (64 << 10) / sizeof(struct kp_sealed_extent));
    assert_int_equal(read_all(log, 1 << 20, NULL, 0), ROUNDS * PARTITIONS);
    kp_log_close(log);
}

/* Sets that are small beside what is sealed at once are merged also when merges wrote more than their share. */
static void small_sets(void **state)
{
    enum { BATCHES = 1500, FEW = 20 };
    struct kp_log_options options = {.no_threads = true,
                                     .unsafe_no_sync = true,
                                     .journal_file_bytes = 32 << 10,
                                     .seal_bytes = 1,
                                     .adopt_per_cent = 101};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    struct kp_log_sealed so_far;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topic, &err), KP_OK);
    for (int tag = 0; tag < BATCHES; tag++) {
        append(log, topic, 0, tag, 1, 20000);
        (void)maintained(log, 100);
    }
    kp_log_sealed(log, &so_far);
    print_message("%llu extents\n", (unsigned long long)so_far.extents);
    assert_true(so_far.extents > 2 * FEW);
    kp_log_close(log);
    options.seal_bytes = 256 << 20;
    log = open_log(options);
    assert_true(maintained(log, BATCHES) < BATCHES);
    kp_log_sealed(log, &so_far);
    print_message("%llu extents\n", (unsigned long long)so_far.extents);
    assert_true(so_far.extents <= FEW);
    assert_int_equal(read_all(log, 1 << 20, NULL, 0), BATCHES);
    kp_log_close(log);
}

/* Journal, extents and merges together are written little more than twice what was appended: hot and cold partitions,
 * sealed in small steps and merged. */
static void amplification(void **state)
{
    struct kp_log *log = open_log((struct kp_log_options){
        .no_threads = true, .journal_file_bytes = 1 << 20, .seal_bytes = 3 << 20, .extent_own_bytes = 1 << 20});
    struct kp_error err;
    struct kp_log_sealed so_far;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", 40, &topic, &err), KP_OK);
    for (int tag = 0; tag < 640; tag++) {
        append(log, topic, tag % 4 ? 0 : (uint32_t)tag % 40, tag, 4, 30000);
        for (bool more = tag % 4 == 0; more;)
            assert_int_equal(kp_log_maintain(log, &more, &err), KP_OK);
    }
    kp_log_sealed(log, &so_far);
    double amplification = kp_log_write_amplification(&so_far);
    assert_true(so_far.batch_bytes > 60 << 20);
    print_message("%.2f times\n", amplification);
    assert_true(amplification > 2 && amplification <= 2.2);
    kp_log_close(log);
}

/* Many small sets become few; what is dropped or trimmed gives its extents back; what is left reads as before. */
static void merged(void **state)
{
    struct kp_log *log = open_log((struct kp_log_options){.journal_file_bytes = 32 << 10, .adopt_per_cent = 101});
    struct kp_error err;
    struct kp_log_sealed so_far;
    uint32_t kept, dropped;
    bool more;
    assert_int_equal(kp_log_topic_create(log, "kept", 20, &kept, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "dropped", 1, &dropped, &err), KP_OK);
    for (int tag = 0; tag < 500; tag++) {
        append(log, kept, (uint32_t)tag % 20, tag, 2, 300);
        if (tag == 300)
            append(log, dropped, 0, tag, 1, 300000); /* an extent of its own */
        do
            assert_int_equal(kp_log_maintain(log, &more, &err), KP_OK);
        while (more);
    }
    kp_log_sealed(log, &so_far);
    assert_true(so_far.extents < 15 && so_far.merge_bytes > 0);
    assert_int_equal(kp_log_topic_drop(log, dropped, &err), KP_OK);
    assert_int_equal(kp_log_trim(log, kept, 3, 30, &err), KP_OK);
    long before = extents_size();
    do
        assert_int_equal(kp_log_maintain(log, &more, &err), KP_OK);
    while (more);
    assert_true(extents_size() < before - 200000);
    for (int restarts = 0; restarts < 2; restarts++) {
        struct kp_buf out = {0};
        struct kp_record_batch_info batch;
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), 1000 - 30);
        for (int64_t offset = 0; offset < 50; offset += batch.records) {
            out.len = 0;
            assert_int_equal(kp_log_fetch(log, kept, 7, offset, 1, &out, &err), KP_OK);
            assert_int_equal(kp_record_batch_check(out.data, out.len, true, &batch, &err), KP_OK);
            assert_int_equal(batch.base_offset, offset);
        }
        kp_buf_finish(&out);
        kp_log_close(log);
        log = open_log((struct kp_log_options){.journal_file_bytes = 32 << 10, .adopt_per_cent = 101});
    }
    kp_log_close(log);
}

static bool folder_full;

static enum kp_code failing_sync_dir(void *ctx, const char *path, struct kp_error *err)
{
    if (!folder_full)
        return kp_os_real()->sync_dir(ctx, path, err);
    folder_full = false;
    return kp_fail(err, KP_FULL, NULL, "cannot sync folder \"%s\": No space left on device", path);
}

/* A sync of the folder that fails is the end, whatever the reason: the new file's name may be undone by a power cut,
 * and nothing may be acknowledged in it. (A full disk, before that, is no more than a refusal.) */
static void name_not_synced(void **state)
{
    struct kp_os os = *kp_os_real();
    os.sync_dir = failing_sync_dir;
    struct kp_log_options options = {.os = &os, .dir = dir, .journal_file_bytes = 64 << 10, .no_threads = true};
    struct kp_log *log;
    struct kp_error err;
    uint32_t topic;
    assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topic, &err), KP_OK);
    append(log, topic, 0, 1, 1, 100);
    struct kp_buf batch = batch_of(2, 1, 300000);
    struct kp_log_entry entry = {.topic = topic, .batch = batch.data, .bytes = batch.len};
    int64_t end;
    folder_full = true;
    assert_int_equal(kp_log_append(log, &entry, 1, &end, &err), KP_IO);
    assert_false(folder_full || err.retriable);
    assert_int_equal(kp_log_append(log, &entry, 1, &end, &err), KP_CLOSED);
    kp_log_close(log);
    assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
    assert_int_equal(read_all(log, 1 << 20, NULL, 0), 1);
    kp_log_close(log);
    kp_buf_finish(&batch);
}

static void bad_input(void **state)
{
    struct kp_log *log = open_log((struct kp_log_options){0});
    struct kp_error err;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topic, &err), KP_OK);
    struct kp_buf batch = batch_of(1, 3, 10);
    struct kp_log_entry entry = {.topic = topic, .partition = 1, .batch = batch.data, .bytes = batch.len};
    int64_t end;
    assert_int_equal(kp_log_append(log, &entry, 1, &end, &err), KP_NOT_FOUND);
    entry.partition = 0;
    entry.topic = 77;
    assert_int_equal(kp_log_append(log, &entry, 1, &end, &err), KP_NOT_FOUND);
    entry.topic = topic;
    entry.bytes--;
    assert_int_equal(kp_log_append(log, &entry, 1, &end, &err), KP_INVALID);
    entry.bytes++;
    batch.data[batch.len - 1] ^= 1;
    assert_int_equal(kp_log_append(log, &entry, 1, &end, &err), KP_CORRUPT);
    assert_int_equal(kp_log_position(log), 0);
    struct kp_log *other;
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir};
    assert_int_equal(kp_log_open(&options, &other, &err), KP_BUSY);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_non_null(strstr(err.message, pid));
    char lock[80];
    snprintf(lock, sizeof lock, "%s/lock", dir); /* as who takes it for a leftover */
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(kp_log_open(&options, &other, &err), KP_BUSY);
    kp_buf_finish(&batch);
    kp_log_close(log);
}

/* Ten thousand partitions, one record each now and then: small, and quick to open. */
static void many_partitions(void **state)
{
    struct kp_log_options options = {.no_threads = true, .unsafe_no_sync = true};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", KP_PARTITIONS_MAX, &topic, &err), KP_OK);
    struct kp_buf batch = batch_of(1, 1, 20);
    struct kp_log_entry *entries = kp_calloc(KP_PARTITIONS_MAX, sizeof *entries);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < KP_PARTITIONS_MAX; i++)
            entries[i] = (struct kp_log_entry){.topic = topic, .partition = i, .batch = batch.data, .bytes = batch.len};
        int64_t end;
        assert_int_equal(kp_log_append(log, entries, KP_PARTITIONS_MAX, &end, &err), KP_OK);
    }
    kp_log_close(log);
    log = open_log(options);
    struct kp_partition_info info;
    assert_int_equal(kp_log_partition(log, topic, 9999, &info, &err), KP_OK);
    assert_int_equal(info.end_offset, 3);
    struct kp_buf out = {0};
    assert_int_equal(kp_log_fetch(log, topic, 9999, 0, 1 << 20, &out, &err), KP_OK);
    assert_int_equal(out.len, 3 * batch.len);
    kp_buf_finish(&out);
    kp_log_close(log);
    kp_free(entries);
    kp_buf_finish(&batch);
}

/* A partition goes on at a later offset: nothing lies between, no position is taken, what it had is gone. */
static void goes_on_far(void **state)
{
    const int64_t begin = 5000000000;
    struct kp_log_options options = {.journal_file_bytes = 64 << 10};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", 3, &topic, &err), KP_OK);
    append(log, topic, 1, 0, 5, 1000);
    append(log, topic, 2, 0, 5, 1000);
    assert_int_equal(kp_log_skip(log, topic, 0, begin, &err), KP_OK);
    assert_int_equal(kp_log_skip(log, topic, 1, begin, &err), KP_OK);
    assert_int_equal(kp_log_skip(log, topic, 1, begin, &err), KP_OK); /* already */
    assert_int_equal(kp_log_skip(log, topic, 1, begin - 1, &err), KP_LIMIT);
    assert_int_equal(kp_log_skip(log, topic, 1, INT64_MAX, &err), KP_LIMIT);
    assert_int_equal(kp_log_skip(log, topic, 3, begin, &err), KP_NOT_FOUND);
    assert_int_equal(kp_log_skip(log, topic + 1, 0, begin, &err), KP_NOT_FOUND);
    assert_int_equal(kp_log_position(log), 10);
    for (int tag = 1; tag <= 30; tag++) {
        append(log, topic, 0, 2 * tag, 4, 1000);
        append(log, topic, 1, 2 * tag + 1, 4, 1000);
    }
    for (int restarts = 0; restarts < 3; restarts++) {
        for (uint32_t partition = 0; partition < 2; partition++) {
            struct kp_partition_info info;
            struct kp_record_batch_info batch;
            struct kp_buf out = {0};
            int64_t offset, ms;
            assert_int_equal(kp_log_partition(log, topic, partition, &info, &err), KP_OK);
            assert_int_equal(info.start_offset, begin);
            assert_int_equal(info.end_offset, begin + 120 + 4 * restarts);
            assert_int_equal(kp_log_fetch(log, topic, partition, begin - 1, 1, &out, &err), KP_LIMIT);
            for (offset = begin; offset < begin + 120; offset += 4) {
                out.len = 0;
                assert_int_equal(kp_log_fetch(log, topic, partition, offset, 1, &out, &err), KP_OK);
                assert_int_equal(kp_record_batch_check(out.data, out.len, true, &batch, &err), KP_OK);
                assert_int_equal(batch.base_offset, offset);
            }
            assert_int_equal(kp_log_offset_at(log, topic, partition, 0, &offset, &ms, &err), KP_OK);
            assert_int_equal(offset, begin);
            assert_int_equal(ms, 2000 + 1000 * (int64_t)partition);
            kp_buf_finish(&out);
        }
        struct kp_topic_info info;
        assert_int_equal(kp_log_topic_get(log, topic, &info, &err), KP_OK);
        assert_int_equal(info.records, (uint64_t)(5 + 240 + 8 * restarts));
        assert_int_equal(read_all(log, 1, NULL, 0), 245 + 8 * restarts);
        append(log, topic, 0, 80 + restarts, 4, 1000);
        append(log, topic, 1, 80 + restarts, 4, 1000);
        kp_log_close(log);
        if (restarts == 1) { /* the journal alone tells it, too */
            char path[100];
            snprintf(path, sizeof path, "%s/snapshot", dir);
            unlink(path);
        }
        log = open_log(options);
    }
    kp_log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(topics, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(sizes, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(by_time, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(groups, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(horizons, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(horizons_of_many, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(horizons_of_many, fresh_dir_sealed, remove_dir_sealed),
        cmocka_unit_test_setup_teardown(trim, fresh_dir, remove_dir),
        {"sizes, sealed", sizes, fresh_dir_sealed, remove_dir_sealed, NULL},
        {"by_time, sealed", by_time, fresh_dir_sealed, remove_dir_sealed, NULL},
        {"horizons, sealed", horizons, fresh_dir_sealed, remove_dir_sealed, NULL},
        {"merged", merged, fresh_dir_sealed, remove_dir_sealed, NULL},
        {"trim, sealed", trim, fresh_dir_sealed, remove_dir_sealed, NULL},
        cmocka_unit_test_setup_teardown(goes_on_far, fresh_dir, remove_dir),
        {"goes_on_far, sealed", goes_on_far, fresh_dir_sealed, remove_dir_sealed, NULL},
        cmocka_unit_test_setup_teardown(name_not_synced, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(bad_input, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(long_list, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(small_sets, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(amplification, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(many_partitions, fresh_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
