/* The log on the real disk: appends, reads, restarts, damage, threads. */
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
#include "log/files.h"
#include "log/format.h"
#include "log/inspect.h"
#include "log/log.h"
#include "log/record_batch.h"
#include "log/scan.h"
#include "os/thread.h"

static char dir[64];

static void remove_name(void *arg, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

static int fresh_dir(void **state)
{
    strcpy(dir, "/tmp/kappa-log-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    struct kp_error err;
    struct kp_os *os = kp_os_real();
    (void)!os->list(os->ctx, dir, remove_name, NULL, &err);
    return rmdir(dir);
}

static bool sealed; /* every full journal file is sealed when a log is opened */

static int fresh_dir_sealed(void **state)
{
    sealed = true;
    return fresh_dir(state);
}

static int remove_dir_sealed(void **state)
{
    sealed = false;
    return remove_dir(state);
}

static struct kp_log *open_log(struct kp_log_options options)
{
    struct kp_log *log;
    struct kp_error err = {0};
    options.os = kp_os_real();
    options.dir = dir;
    if (sealed) {
        options.no_threads = true;
        options.seal_bytes = 1;
        options.tail_bytes = 1;
        options.journal_file_bytes = KP_MIN(options.journal_file_bytes, (uint64_t)256 << 10);
        options.extent_own_bytes = 200 << 10;
    }
    if (kp_log_open(&options, &log, &err) != KP_OK)
        fail_msg("cannot open: %s", err.message);
    for (bool more = sealed; more;)
        if (kp_log_maintain(log, &more, &err) != KP_OK)
            fail_msg("cannot seal: %s", err.message);
    return log;
}

/* A batch of `records` records; record i has the value "<tag>-<i>" and the time 1000 * tag + i. */
static struct kp_buf batch_of(int tag, int records, size_t pad)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf out = {0};
    struct kp_error err;
    char *value = kp_alloc(pad + 64);
    for (int i = 0; i < records; i++) {
        int len = snprintf(value, 64, "%d-%d ", tag, i);
        memset(value + len, 'x', pad);
        kp_record_batch_add(&builder, 1000 * (int64_t)tag + i, (struct kp_str){NULL, 0},
                            (struct kp_str){value, (size_t)len + pad}, (struct kp_str){NULL, 0});
    }
    kp_free(value);
    assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &out, &err), KP_OK);
    kp_record_batch_builder_finish(&builder);
    return out;
}

static int64_t append(struct kp_log *log, uint32_t topic, uint32_t partition, int tag, int records, size_t pad)
{
    struct kp_buf batch = batch_of(tag, records, pad);
    struct kp_log_entry entry = {.topic = topic, .partition = partition, .batch = batch.data, .bytes = batch.len};
    struct kp_error err;
    int64_t end;
    assert_int_equal(kp_log_append(log, &entry, 1, &end, &err), KP_OK);
    assert_int_equal(end, entry.position + records);
    kp_buf_finish(&batch);
    return end;
}

/* Reads everything in pieces of bytes_max; checks positions; returns the count of records. */
static int64_t read_all(struct kp_log *log, size_t bytes_max, const uint32_t *topics, size_t topic_count)
{
    int64_t position = 0, records = 0;
    for (;;) {
        struct kp_log_span span;
        struct kp_error err;
        if (kp_log_read(log, position, INT64_MAX, bytes_max, topics, topic_count, &span, &err) != KP_OK)
            fail_msg("cannot read: %s", err.message);
        assert_int_equal(span.position, position);
        if (span.position_end == position) {
            assert_int_equal(span.count, 0);
            kp_log_span_release(&span);
            break;
        }
        int64_t at = position;
        for (size_t i = 0; i < span.count; i++) {
            struct kp_record_batch_info info;
            assert_true(span.chunks[i].position >= at);
            at = span.chunks[i].position + span.chunks[i].records;
            assert_int_equal(kp_record_batch_check(span.chunks[i].batch, span.chunks[i].bytes, true, &info, &err),
                             KP_OK);
            assert_int_equal(info.base_offset, span.chunks[i].base_offset);
            assert_int_equal(info.records, span.chunks[i].records);
            records += info.records;
        }
        if (span.count)
            assert_true(span.chunks[span.count - 1].group_end);
        assert_true(at <= span.position_end);
        position = span.position_end;
        kp_log_span_release(&span);
    }
    assert_int_equal(position, kp_log_position(log));
    return records;
}

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
    for (int tag = 0; tag < 600; tag++) {
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
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), 1200 - 30);
        for (int64_t offset = 0; offset < 60; offset += batch.records) {
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
    kp_buf_finish(&batch);
    kp_log_close(log);
}

/* ---- damage ---- */

/* What the journal alone tells. */
static void remove_snapshot(void)
{
    char *path = kp_files_path(dir, "snapshot", "");
    unlink(path);
    kp_free(path);
}

static void flip(uint64_t file_number, long offset)
{
    char *path = kp_journal_path(dir, file_number, KP_JOURNAL_SUFFIX);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, offset, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, offset, SEEK_SET);
    fputc(byte ^ 16, file);
    fclose(file);
    kp_free(path);
}

/* Reads everything that can be read by position; returns how many records cannot. */
static int64_t read_beside(struct kp_log *log)
{
    int64_t lost = 0, position = 0;
    for (bool more = true; more;) {
        struct kp_log_span span;
        struct kp_error err;
        if (kp_log_read(log, position, INT64_MAX, 20000, NULL, 0, &span, &err) == KP_OK) {
            for (size_t i = 0; i < span.count; i++)
                assert_int_equal(span.chunks[i].position, span.chunks[i].base_offset); /* one partition */
            more = span.position_end > position;
            position = span.position_end;
            kp_log_span_release(&span);
            continue;
        }
        struct kp_log_damage *damages;
        size_t count;
        assert_int_equal(err.code, KP_CORRUPT);
        assert_non_null(strstr(err.message, "topic \"t\", partition 0 is damaged at offsets "));
        assert_true(kp_log_damage_at(log, position, &damages, &count));
        assert_int_equal(count, 1);
        assert_int_equal(damages->position, position);
        assert_int_equal(damages->offset, position);
        assert_int_equal(damages->offset_end, damages->position_end);
        lost += damages->position_end - position;
        position = damages->position_end;
        kp_free(damages);
    }
    assert_int_equal(position, kp_log_position(log));
    return lost;
}

/* How many batches of two records cannot be fetched. */
static int64_t fetch_beside(struct kp_log *log)
{
    int64_t lost = 0;
    for (int64_t offset = 0; offset < kp_log_position(log); offset += 2) {
        struct kp_buf out = {0};
        struct kp_record_batch_info info;
        struct kp_error err;
        if (kp_log_fetch(log, 1, 0, offset, 1, &out, &err) == KP_OK) {
            assert_int_equal(kp_record_batch_check(out.data, out.len, true, &info, &err), KP_OK);
            assert_int_equal(info.base_offset, offset);
        } else {
            assert_int_equal(err.code, KP_CORRUPT);
            assert_non_null(strstr(err.message, "topic \"t\", partition 0 is damaged"));
            lost += 2;
        }
        kp_buf_finish(&out);
    }
    return lost;
}

/*
 * A flip anywhere in what was acknowledged is found. When it is of a block with records, these cannot be read, but all
 * others can; when it is of a file's header, nothing is lost; when it is of the topic's making, and there is no
 * recovery snapshot that knows the topic, the log does not open, and says why. Nothing is changed.
 */
static void damage(void **state)
{
    struct kp_log_options options = {
        .os = kp_os_real(), .dir = dir, .journal_file_bytes = 64 << 10, .no_threads = true, .tail_bytes = 1};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topic, &err), KP_OK);
    for (int tag = 0; tag < 40; tag++)
        append(log, topic, 0, tag, 2, 2500);
    kp_log_close(log);
    int holes = 0;
    for (long offset = 0; offset < 64 << 10; offset += 331)
        for (uint64_t file = 1; file <= 2; file++) {
            bool unused = offset >= 64 && offset < 4096; /* the rest of the file header's sector */
            remove_snapshot();
            flip(file, offset);
            enum kp_code code = kp_log_open(&options, &log, &err);
            if (code == KP_OK) {
                assert_int_equal(kp_log_position(log), 80);
                int64_t lost = read_beside(log);
                assert_int_equal(fetch_beside(log), lost);
                assert_true(lost == 0 || (lost == 2 && !unused));
                holes += lost > 0;
                kp_log_close(log);
            } else {
                assert_int_equal(code, KP_CORRUPT);
                assert_true(file == 1 && offset >= 4096 && offset < 8192);
                assert_non_null(strstr(err.message, "which was never made"));
                assert_non_null(strstr(err.detail, "have rotted, in file 1 from byte 4096 on"));
            }
            flip(file, offset);
        }
    assert_true(holes > 100);
    log = open_log(options);
    assert_int_equal(read_all(log, 1 << 20, NULL, 0), 80);
    kp_log_close(log);
}

static void count_problem(void *arg, const char *text)
{
    ++*(unsigned *)arg;
}

/*
 * The block that made a topic rots in a log that is too small for a snapshot by its size: there is one since a topic
 * was made, written when the log was closed or, as here, a second later. The log opens, tells, and goes on.
 */
static void damage_of_topics(void **state)
{
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir, .tail_bytes = 1};
    struct kp_error err;
    struct kp_log *log = NULL;
    uint32_t topic;
    for (int lives = 0; lives < 2; lives++) {
        char name[16];
        struct kp_log_recovered recovered = {0};
        log = open_log(options);
        snprintf(name, sizeof name, "t%d", lives);
        assert_int_equal(kp_log_topic_create(log, name, 1, &topic, &err), KP_OK);
        append(log, topic, 0, lives, 2, 2500);
        for (int i = 0; recovered.snapshots == 0; i++) {
            assert_true(i < 60000);
            usleep(1000);
            kp_log_recovered(log, &recovered);
        }
        append(log, topic, 0, lives, 2, 2500);
        kp_log_close(log);
        flip(1, 4096 + 128 + 3); /* what made t0 */
        log = open_log(options);
        kp_log_recovered(log, &recovered);
        assert_true(recovered.snapshot);
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), 4 * (lives + 1));
        struct kp_topic_info info;
        assert_int_equal(kp_log_topic_find(log, "t0", &info, &err), KP_OK);
        assert_int_equal(info.records, 4);
        kp_log_close(log);
        struct kp_inspect_report report;
        unsigned problems = 0;
        assert_int_equal(kp_inspect_verify(kp_os_real(), dir, count_problem, &problems, &report, &err), KP_OK);
        assert_true(problems > 0);
        flip(1, 4096 + 128 + 3);
    }
}

/* Zeros over [offset, offset + bytes) of a file. */
static void blank(uint64_t file_number, long offset, size_t bytes)
{
    char *path = kp_journal_path(dir, file_number, KP_JOURNAL_SUFFIX);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, offset, SEEK_SET);
    for (size_t i = 0; i < bytes; i++)
        fputc(0, file);
    fclose(file);
    kp_free(path);
}

/* Appends go on over damage, no offset is given twice, restarts tell the same, and what was lost can be given up. */
static void damage_beside(void **state)
{
    struct kp_log_options options = {.os = kp_os_real(),
                                     .dir = dir,
                                     .journal_file_bytes = 64 << 10,
                                     .no_threads = true,
                                     .tail_bytes = 1,
                                     .seal_bytes = 1};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    struct kp_partition_info info;
    uint32_t topic, cold;
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topic, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "cold", 2, &cold, &err), KP_OK);
    for (int tag = 0; tag < 12; tag++)
        append(log, topic, 0, tag, 2, 2500);
    kp_log_close(log);
    remove_snapshot();
    blank(1, 4 << 12, 9 << 12); /* three blocks, which cannot tell what they held; others behind tell of t */
    log = open_log(options);
    assert_int_equal(kp_log_position(log), 24);
    int64_t lost = read_beside(log);
    assert_true(lost >= 4 && lost <= 10);
    assert_int_equal(fetch_beside(log), lost);
    assert_int_equal(kp_log_partition(log, cold, 0, &info, &err), KP_OK);
    assert_int_equal(info.end_offset, 0); /* all that was lost was of t */
    append(log, topic, 0, 12, 2, 2500);
    append(log, topic, 0, 13, 2, 2500);
    kp_log_close(log);
    for (int restarts = 0; restarts < 3; restarts++) {
        log = open_log(options);
        for (int i = 0; i < 20; i++)
            append(log, topic, 0, 20 + i, 2, 2500);
        assert_int_equal(read_beside(log), lost);
        assert_int_equal(fetch_beside(log), lost);
        for (bool did = true; did;) /* it is sealed, as a hole */
            assert_int_equal(kp_log_maintain(log, &did, &err), KP_OK);
        struct kp_log_sealed known;
        kp_log_sealed(log, &known);
        assert_true(known.position >= 24);
        assert_int_equal(read_beside(log), lost);
        assert_int_equal(fetch_beside(log), lost);
        int64_t offset;
        for (int64_t position = 0; position < kp_log_position(log); position += 2) {
            enum kp_code code = kp_log_offset_behind(log, topic, 0, position, &offset, &err);
            assert_true(code == KP_OK);
            assert_true(offset == position || (position > 0 && position < 2 + lost));
        }
        kp_log_close(log);
        if (restarts == 1) { /* the extents alone know */
            remove_snapshot();
        }
    }
    log = open_log(options);
    struct kp_log_damage *damages;
    size_t count;
    kp_log_damages(log, &damages, &count);
    assert_true(count > 0);
    kp_free(damages);
    assert_int_equal(kp_log_trim(log, topic, 0, 20, &err), KP_OK);
    read_all(log, 20000, NULL, 0);         /* who wants nothing of it passes */
    kp_log_damages(log, &damages, &count); /* it was given up */
    assert_int_equal(count, 0);
    kp_free(damages);
    kp_log_close(log);
}

static bool blank_lists(void *arg, const struct kp_inspect_block *block)
{
    const struct kp_entry_header *entry;
    const char *wrong;
    if (block->state != KP_INSPECT_OK)
        return true;
    struct kp_entry_walk walk = kp_entry_walk_start(block->header);
    if (kp_entry_walk_next(&walk, &entry, &wrong) && entry->kind == KP_ENTRY_SEALED) {
        blank(block->file_number, (long)block->offset, (size_t)block->bytes);
        ++*(int *)arg;
    }
    return true;
}

/* All that says which extents count rots: they say it themselves. */
static void damage_lists(void **state)
{
    struct kp_log_options options = {.os = kp_os_real(),
                                     .dir = dir,
                                     .journal_file_bytes = 64 << 10,
                                     .no_threads = true,
                                     .tail_bytes = 1,
                                     .seal_bytes = 1,
                                     .extent_own_bytes = 40 << 10};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    uint32_t topics[2];
    int64_t total = 0;
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topics[0], &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "u", 1, &topics[1], &err), KP_OK);
    for (int rounds = 0; rounds < 4; rounds++) {
        for (int tag = 0; tag < 60; tag++)
            append(log, topics[tag % 8 == 0], 0, tag, 2, 2500);
        total += 120;
        for (bool did = true; did;)
            assert_int_equal(kp_log_maintain(log, &did, &err), KP_OK);
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), total);
        kp_log_close(log);
        int lists = 0;
        remove_snapshot();
        assert_int_equal(kp_inspect_blocks(kp_os_real(), dir, blank_lists, &lists, &err), KP_OK);
        assert_true(lists > 0);
        log = open_log(options);
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), total);
    }
    kp_log_close(log);
}

/* Where a partition goes on that may have lost all records before `offset`, as log/hole.h has it. */
static int64_t landing_from(uint32_t topic, uint32_t partition, int64_t offset)
{
    while (offset % 1024 != (int64_t)(kp_hash_combine(topic, partition) % 1024))
        offset++;
    return offset;
}

/* The last blocks before the end of the log rot, and nothing behind tells whose records they held. */
static void damage_unknown(void **state)
{
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir, .no_threads = true, .tail_bytes = 1};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    struct kp_partition_info info;
    uint32_t topic, cold;
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topic, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "cold", 1, &cold, &err), KP_OK);
    for (int tag = 0; tag < 6; tag++)
        append(log, topic, 0, tag, 2, 2500);
    append(log, cold, 0, 6, 2, 2500);
    kp_log_close(log);
    remove_snapshot();
    blank(1, (3 << 12) + 5 * (2 << 12), 4 << 12);                                  /* t's last, and cold's */
    int64_t end = landing_from(topic, 0, 15), cold_end = landing_from(cold, 0, 5); /* four may have been of either */
    for (int restarts = 0; restarts < 3; restarts++) {
        log = open_log(options);
        assert_int_equal(kp_log_position(log), 14 + 2 * restarts);
        assert_int_equal(kp_log_partition(log, topic, 0, &info, &err), KP_OK);
        assert_int_equal(info.end_offset, end);
        struct kp_buf out = {0};
        assert_int_equal(kp_log_fetch(log, topic, 0, 8, 1, &out, &err), KP_OK);
        assert_int_equal(kp_log_fetch(log, topic, 0, 10, 1, &out, &err), KP_CORRUPT);
        assert_int_equal(kp_log_partition(log, cold, 0, &info, &err), KP_OK);
        assert_int_equal(info.end_offset, cold_end);
        append(log, topic, 0, 7, 2, 10);
        assert_int_equal(kp_log_fetch(log, topic, 0, end, 1, &out, &err), KP_OK);
        end += 2;
        kp_buf_finish(&out);
        kp_log_close(log);
    }
}

static void unknown_format(void **state)
{
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir};
    struct kp_log *log = open_log(options);
    kp_log_close(log);
    struct kp_file_header header;
    char *path = kp_journal_path(dir, 1, KP_JOURNAL_SUFFIX);
    FILE *file = fopen(path, "r+b");
    assert_int_equal(fread(&header, sizeof header, 1, file), 1);
    header.format = 7;
    header.crc = kp_file_header_crc(&header);
    fseek(file, 0, SEEK_SET);
    fwrite(&header, sizeof header, 1, file);
    fclose(file);
    kp_free(path);
    struct kp_error err;
    assert_int_equal(kp_log_open(&options, &log, &err), KP_UNSUPPORTED);
    assert_non_null(strstr(err.message, "format 7"));
}

/* ---- threads ---- */

enum { APPENDERS = 8, APPENDS = 200 };

struct load {
    struct kp_log *log;
    uint32_t topic, partition;
    _Atomic int *done;
};

static void count_done(void *arg, int64_t position_end, const struct kp_error *err)
{
    assert_null(err);
    (*(_Atomic int *)arg)++;
}

static void run_appender(void *arg)
{
    struct load *load = arg;
    struct kp_error err;
    for (int i = 0; i < APPENDS; i++) {
        struct kp_buf batch = batch_of(i, 1 + i % 3, (size_t)(i % 5) * 1000);
        struct kp_log_entry entry = {
            .topic = load->topic, .partition = load->partition, .batch = batch.data, .bytes = batch.len};
        int64_t end;
        if (i % 2) {
            assert_int_equal(kp_log_append(load->log, &entry, 1, &end, &err), KP_OK);
            count_done(load->done, end, NULL);
        } else {
            assert_int_equal(kp_log_append_async(load->log, &entry, 1, count_done, load->done, &err), KP_OK);
        }
        kp_buf_finish(&batch);
    }
}

static int fresh_dir_from_disk(void **state)
{
    static int yes;
    *state = &yes;
    return fresh_dir(state);
}

static void threads(void **state)
{
    bool from_disk = *state; /* hardly any tail: the reader follows on disk */
    struct kp_log *log = open_log((struct kp_log_options){.journal_file_bytes = 1 << 20, .tail_bytes = from_disk});
    struct kp_error err;
    struct kp_thread running[APPENDERS];
    struct load loads[APPENDERS];
    _Atomic int done = 0;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", APPENDERS, &topic, &err), KP_OK);
    for (uint32_t i = 0; i < APPENDERS; i++) {
        loads[i] = (struct load){log, topic, i, &done};
        kp_thread_start(&running[i], "appender", 0, run_appender, &loads[i]);
    }
    int64_t position = 0, total = 0; /* a reader follows */
    for (int i = 0; i < APPENDS; i++)
        total += APPENDERS * (1 + i % 3);
    while (position < total) {
        kp_log_wait(log, position, -1);
        struct kp_log_span span;
        assert_int_equal(kp_log_read(log, position, INT64_MAX, 1 << 20, NULL, 0, &span, &err), KP_OK);
        assert_true(span.position_end > position);
        position = span.position_end;
        kp_log_span_release(&span);
    }
    for (int i = 0; i < APPENDERS; i++)
        kp_thread_join(&running[i]);
    kp_log_close(log);
    assert_int_equal(done, APPENDERS * APPENDS);
    log = open_log((struct kp_log_options){0});
    assert_int_equal(read_all(log, 1 << 20, NULL, 0), total);
    kp_log_close(log);
}

struct follower {
    struct kp_log *log;
    uint32_t topic;
    _Atomic bool stop;
    int rounds;
};

/* Reads everything again and again, and every partition by offset, while files are sealed and recycled. */
static void run_follower(void *arg)
{
    struct follower *follower = arg;
    struct kp_error err;
    for (; !follower->stop || follower->rounds < 2; follower->rounds++) {
        int64_t end = kp_log_position(follower->log);
        for (int64_t position = 0; position < end;) {
            struct kp_log_span span;
            if (kp_log_read(follower->log, position, end, 200000, NULL, 0, &span, &err) != KP_OK)
                fail_msg("cannot read at %lld: %s", (long long)position, err.message);
            int64_t at = position;
            for (size_t i = 0; i < span.count; i++) {
                assert_int_equal(span.chunks[i].position, at);
                at += span.chunks[i].records;
            }
            assert_int_equal(at, span.position_end);
            position = at;
            kp_log_span_release(&span);
        }
        for (uint32_t p = 0; p < APPENDERS; p++) {
            struct kp_partition_info info;
            struct kp_buf out = {0};
            assert_int_equal(kp_log_partition(follower->log, follower->topic, p, &info, &err), KP_OK);
            for (int64_t offset = 0; offset < info.end_offset;) {
                struct kp_record_batch_info batch;
                out.len = 0;
                if (kp_log_fetch(follower->log, follower->topic, p, offset, 30000, &out, &err) != KP_OK)
                    fail_msg("cannot fetch at %lld: %s", (long long)offset, err.message);
                for (size_t at = 0; at < out.len; at += batch.bytes) {
                    assert_int_equal(kp_record_batch_check(out.data + at, out.len - at, true, &batch, &err), KP_OK);
                    assert_int_equal(batch.base_offset, offset);
                    offset += batch.records;
                }
            }
            kp_buf_finish(&out);
        }
    }
}

/* Appenders, the sealer and readers side by side; appends wait when they are ahead of the sealer. */
static void threads_sealed(void **state)
{
    struct kp_log_options options = {.journal_file_bytes = 128 << 10,
                                     .tail_bytes = 1,
                                     .seal_bytes = 300 << 10,
                                     .unsealed_bytes_max = 1 << 20,
                                     .extent_own_bytes = 60 << 10};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    struct kp_thread running[APPENDERS], following[2];
    struct load loads[APPENDERS];
    struct follower followers[2];
    _Atomic int done = 0;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", APPENDERS, &topic, &err), KP_OK);
    for (uint32_t i = 0; i < APPENDERS; i++) {
        loads[i] = (struct load){log, topic, i, &done};
        kp_thread_start(&running[i], "appender", 0, run_appender, &loads[i]);
    }
    for (int i = 0; i < 2; i++) {
        followers[i] = (struct follower){.log = log, .topic = topic};
        kp_thread_start(&following[i], "follower", 0, run_follower, &followers[i]);
    }
    int64_t total = 0;
    for (int i = 0; i < APPENDS; i++)
        total += APPENDERS * (1 + i % 3);
    for (int i = 0; i < APPENDERS; i++)
        kp_thread_join(&running[i]);
    for (int i = 0; i < 2; i++) {
        followers[i].stop = true;
        kp_thread_join(&following[i]);
    }
    kp_log_close(log);
    assert_int_equal(done, APPENDERS * APPENDS);
    for (int restarts = 0; restarts < 2; restarts++) {
        log = open_log(options);
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), total);
        struct kp_log_sealed sealed_so_far;
        kp_log_sealed(log, &sealed_so_far);
        assert_true(sealed_so_far.position > total / 2);
        assert_true(sealed_so_far.extents > 3);
        kp_log_close(log);
    }
}

/* Another process may look while this one writes: it sees a beginning of the log, and changes nothing. */
static void read_only(void **state)
{
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir, .read_only = true};
    struct kp_log *log, *reader;
    struct kp_error err;
    assert_int_equal(kp_log_open(&options, &reader, &err), KP_NOT_FOUND);
    log = open_log((struct kp_log_options){.journal_file_bytes = 256 << 10});
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topic, &err), KP_OK);
    _Atomic int done = 0;
    for (int tag = 0; tag < 300; tag++) {
        struct kp_buf batch = batch_of(tag, 2, 3000);
        struct kp_log_entry entry = {.topic = topic, .batch = batch.data, .bytes = batch.len};
        assert_int_equal(kp_log_append_async(log, &entry, 1, count_done, &done, &err), KP_OK);
        kp_buf_finish(&batch);
        if (tag % 10)
            continue;
        int64_t before = kp_log_position(log);
        if (kp_log_open(&options, &reader, &err) != KP_OK)
            fail_msg("%s %s", err.message, err.detail);
        assert_true(kp_log_position(reader) >= before);
        assert_int_equal(read_all(reader, 1 << 20, NULL, 0), kp_log_position(reader));
        int64_t end;
        entry.batch = (const uint8_t *)"";
        entry.bytes = 0;
        assert_int_not_equal(kp_log_append(reader, &entry, 1, &end, &err), KP_OK);
        kp_log_close(reader);
    }
    kp_log_close(log);
    assert_int_equal(done, 300);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(topics, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(sizes, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(by_time, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(horizons, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(horizons_of_many, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(horizons_of_many, fresh_dir_sealed, remove_dir_sealed),
        cmocka_unit_test_setup_teardown(trim, fresh_dir, remove_dir),
        {"sizes, sealed", sizes, fresh_dir_sealed, remove_dir_sealed, NULL},
        {"by_time, sealed", by_time, fresh_dir_sealed, remove_dir_sealed, NULL},
        {"horizons, sealed", horizons, fresh_dir_sealed, remove_dir_sealed, NULL},
        {"merged", merged, fresh_dir_sealed, remove_dir_sealed, NULL},
        {"trim, sealed", trim, fresh_dir_sealed, remove_dir_sealed, NULL},
        cmocka_unit_test_setup_teardown(bad_input, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(amplification, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_of_topics, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_beside, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_unknown, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_lists, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(unknown_format, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(threads, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(threads, fresh_dir_from_disk, remove_dir),
        cmocka_unit_test_setup_teardown(threads_sealed, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(read_only, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(many_partitions, fresh_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
