/*
 * Ten thousand partitions: what they cost is bounded by work, not by the clock. Where they stand still beside a hot
 * one, the hot one's appends write as many bytes with as many calls as alone; all of it takes few files and little
 * memory; a start reads a bounded piece of journal behind a snapshot, or behind what is sealed.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log/log.h"
#include "log/record_batch.h"
#if defined(__SANITIZE_ADDRESS__)
size_t __sanitizer_get_current_allocated_bytes(void); /* its header is not everywhere */
#endif

enum {
    PARTITIONS = 10000,
    BATCH_RECORDS = 100,
    RECORD_BYTES = 2000,
    HOT_BATCHES = 600, /* 120 MB */
    TAIL_BYTES = 8 << 20,
    SNAPSHOT_BYTES = 48 << 20,
    FILES_MAX = 200,
    MEMORY_BYTES_MAX = 64 << 20,
    RESTART_BYTES_MAX = SNAPSHOT_BYTES + (24 << 20)
};

static char dir[64];
static struct kp_os os;
static struct {
    uint64_t written, writes, read, reads;
} work;

/* ---- a disk that counts ---- */

static enum kp_code counted_write(void *ctx, struct kp_file *file, const void *bytes, size_t len, uint64_t offset,
                                  struct kp_error *err)
{
    work.written += len;
    work.writes++;
    return kp_os_real()->pwrite(ctx, file, bytes, len, offset, err);
}

static enum kp_code counted_write_sync(void *ctx, struct kp_file *file, const void *bytes, size_t len, uint64_t offset,
                                       struct kp_error *err)
{
    work.written += len;
    work.writes++;
    return kp_os_real()->pwrite_sync(ctx, file, bytes, len, offset, err);
}

static enum kp_code counted_read(void *ctx, struct kp_file *file, void *bytes, size_t len, uint64_t offset,
                                 size_t *ret_len, struct kp_error *err)
{
    work.read += len;
    work.reads++;
    return kp_os_real()->pread(ctx, file, bytes, len, offset, ret_len, err);
}

static uint64_t allocated_bytes(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return __sanitizer_get_current_allocated_bytes();
#else
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#endif
}

/* ---- the log ---- */

static void remove_name(void *arg, const char *name)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

static void count_name(void *arg, const char *name)
{
    ++*(int *)arg;
}

static int fresh_dir(void **state)
{
    os = *kp_os_real();
    os.pwrite = counted_write;
    os.pwrite_sync = counted_write_sync;
    os.pread = counted_read;
    strcpy(dir, "/tmp/kappa-partitions-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)!os.list(os.ctx, dir, remove_name, NULL, NULL);
    return rmdir(dir);
}

static struct kp_log *open_log(bool read_only)
{
    struct kp_log_options options = {.os = &os,
                                     .dir = dir,
                                     .read_only = read_only,
                                     .no_threads = true,
                                     .tail_bytes = TAIL_BYTES,
                                     .journal_file_bytes = 4 << 20,
                                     .seal_bytes = 48 << 20,
                                     .extent_own_bytes = 1 << 20,
                                     .snapshot_bytes = SNAPSHOT_BYTES};
    struct kp_log *log;
    struct kp_error err;
    if (kp_log_open(&options, &log, &err) != KP_OK)
        fail_msg("cannot open: %s", err.message);
    return log;
}

static void maintain(struct kp_log *log)
{
    struct kp_error err;
    for (bool did = true; did;)
        if (kp_log_maintain(log, &did, &err) != KP_OK)
            fail_msg("cannot maintain: %s", err.message);
}

static struct kp_buf make_batch(int records, size_t bytes)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_error err;
    char *value = kp_alloc(bytes);
    memset(value, 'v', bytes);
    for (int i = 0; i < records; i++)
        kp_record_batch_add(&builder, i, (struct kp_str){0}, (struct kp_str){value, bytes}, (struct kp_str){0});
    assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), KP_OK);
    kp_record_batch_builder_finish(&builder);
    kp_free(value);
    return batch;
}

static void append_hot(struct kp_log *log, uint32_t topic)
{
    struct kp_buf batch = make_batch(BATCH_RECORDS, RECORD_BYTES);
    struct kp_error err;
    int64_t end;
    for (int i = 0; i < HOT_BATCHES; i++) {
        struct kp_log_entry entry = {.topic = topic, .batch = batch.data, .bytes = batch.len};
        assert_int_equal(kp_log_append(log, &entry, 1, &end, &err), KP_OK);
        maintain(log);
    }
    kp_buf_finish(&batch);
}

/* A record in each of the partitions, many at once. */
static void touch_all(struct kp_log *log, uint32_t topic)
{
    enum { AT_ONCE = 500 };
    static struct kp_log_entry entries[AT_ONCE];
    struct kp_buf batch = make_batch(1, 100);
    struct kp_error err;
    int64_t end;
    for (uint32_t p = 0; p < PARTITIONS; p += AT_ONCE) {
        for (uint32_t i = 0; i < AT_ONCE; i++)
            entries[i] =
                (struct kp_log_entry){.topic = topic, .partition = p + i, .batch = batch.data, .bytes = batch.len};
        assert_int_equal(kp_log_append(log, entries, AT_ONCE, &end, &err), KP_OK);
    }
    kp_buf_finish(&batch);
}

static uint32_t make_topic(struct kp_log *log, const char *name, uint32_t partitions)
{
    struct kp_error err;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, name, partitions, &topic, &err), KP_OK);
    return topic;
}

/* Every cold partition has its record, the hot one all of them. */
static void check_records(struct kp_log *log, uint32_t hot, uint32_t cold)
{
    struct kp_partition_info info;
    struct kp_error err;
    assert_int_equal(kp_log_partition(log, hot, 0, &info, &err), KP_OK);
    assert_int_equal(info.end_offset, (int64_t)HOT_BATCHES * BATCH_RECORDS);
    for (uint32_t p = 0; p < PARTITIONS; p += 999) {
        assert_int_equal(kp_log_partition(log, cold, p, &info, &err), KP_OK);
        assert_int_equal(info.end_offset, 1);
    }
}

/* ---- tests ---- */

static void cold_partitions_cost_little(void **state)
{
    struct kp_log *log = open_log(false);
    append_hot(log, make_topic(log, "hot", 1));
    uint64_t alone_bytes = work.written, alone_writes = work.writes;
    kp_log_close(log);
    (void)!os.list(os.ctx, dir, remove_name, NULL, NULL);

    log = open_log(false);
    uint32_t cold = make_topic(log, "cold", PARTITIONS);
    touch_all(log, cold);
    uint32_t hot = make_topic(log, "hot", 1);
    uint64_t before = allocated_bytes();
    memset(&work, 0, sizeof work);
    append_hot(log, hot);
    uint64_t after = allocated_bytes();
    assert_in_range(work.written, alone_bytes / 10 * 9, alone_bytes / 10 * 11);
    assert_in_range(work.writes, alone_writes / 10 * 9, alone_writes / 10 * 11);
    assert_in_range(before, 1, MEMORY_BYTES_MAX);
    assert_in_range(after, 1, MEMORY_BYTES_MAX);
    int files = 0;
    assert_int_equal(os.list(os.ctx, dir, count_name, &files, NULL), KP_OK);
    assert_in_range(files, 3, FILES_MAX);
    struct kp_log_sealed sealed;
    kp_log_sealed(log, &sealed);
    assert_true(sealed.extents > 0 && sealed.position > 0);
    check_records(log, hot, cold);

    memset(&work, 0, sizeof work); /* while it is open: what a start after a crash would do */
    struct kp_log *again = open_log(true);
    struct kp_log_recovered recovered;
    kp_log_recovered(again, &recovered);
    assert_in_range(recovered.journal_bytes, 0, SNAPSHOT_BYTES + (8 << 20));
    assert_in_range(work.read, 1, RESTART_BYTES_MAX);
    check_records(again, hot, cold);
    kp_log_close(again);
    kp_log_close(log);

    memset(&work, 0, sizeof work); /* after an orderly end */
    log = open_log(false);
    assert_in_range(work.read, 1, RESTART_BYTES_MAX);
    check_records(log, hot, cold);
    kp_log_close(log);
}

/* All partitions of a topic are trimmed by a few commits, not by one each; so they stay. */
static void partitions_are_trimmed_together(void **state)
{
    struct kp_log *log = open_log(false);
    uint32_t topic = make_topic(log, "cold", PARTITIONS);
    touch_all(log, topic);
    touch_all(log, topic);
    static int64_t before[PARTITIONS];
    for (int p = 0; p < PARTITIONS; p++)
        before[p] = p % 3;
    memset(&work, 0, sizeof work);
    struct kp_error err;
    assert_int_equal(kp_log_trim_partitions(log, topic, before, PARTITIONS, &err), KP_OK);
    assert_in_range(work.writes, 1, PARTITIONS / 100);
    for (int restarted = 0; restarted < 2; restarted++) {
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            struct kp_partition_info info;
            assert_int_equal(kp_log_partition(log, topic, p, &info, &err), KP_OK);
            assert_int_equal(info.start_offset, before[p]);
        }
        kp_log_close(log);
        log = open_log(false);
    }
    memset(before, 0, sizeof before); /* nothing to do */
    assert_int_equal(kp_log_trim_partitions(log, topic, before, PARTITIONS, &err), KP_OK);
    before[PARTITIONS - 1] = 3;
    assert_int_equal(kp_log_trim_partitions(log, topic, before, PARTITIONS, &err), KP_LIMIT);
    assert_int_equal(kp_log_trim_partitions(log, topic + 1, before, PARTITIONS, &err), KP_NOT_FOUND);
    kp_log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cold_partitions_cost_little, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(partitions_are_trimmed_together, fresh_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
