/*
 * Reading what is sealed, with what comes next read in advance: the same records for every size of read, with topics
 * left out and limits set, from extents of one partition and mixed ones; two readers at once; and it is read in
 * advance. Of a small log no more is read than there is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log/log.h"
#include "log/record_batch.h"
#include "os/thread.h"

enum { TOPICS = 3, BATCHES = 900, RECORDS = 4, RECORD_BYTES = 9000, READERS = 2 };

static char dir[64];
static struct kp_os os;
static pthread_t reader;
static _Atomic int reads_beside;
static _Atomic uint64_t bytes_read;
static uint32_t topics[TOPICS];

static enum kp_code seen_read(void *ctx, struct kp_file *file, void *bytes, size_t len, uint64_t offset,
                              size_t *ret_len, struct kp_error *err)
{
    if (!pthread_equal(pthread_self(), reader))
        atomic_fetch_add(&reads_beside, 1);
    atomic_fetch_add(&bytes_read, len);
    return kp_os_real()->pread(ctx, file, bytes, len, offset, ret_len, err);
}

static void remove_name(void *arg, const char *name)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

static int fresh_dir(void **state)
{
    os = *kp_os_real();
    os.pread = seen_read;
    strcpy(dir, "/tmp/kappa-read-ahead-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)!os.list(os.ctx, dir, remove_name, NULL, NULL);
    return rmdir(dir);
}

/* Most of the batches are the first topic's, which gets extents of its own; the others are in mixed ones. */
static uint32_t topic_of(int i)
{
    return topics[i % 10 ? 0 : 1 + i / 10 % (TOPICS - 1)];
}

static void append_some(struct kp_log *log, int batches)
{
    struct kp_error err;
    char value[RECORD_BYTES];
    int64_t end;
    for (int i = 0; i < batches; i++) {
        struct kp_record_batch_builder builder = {0};
        struct kp_buf batch = {0};
        memset(value, 'a' + i % 26, sizeof value);
        for (int r = 0; r < RECORDS; r++) {
            int number = snprintf(value, sizeof value, "%d", i * RECORDS + r);
            value[number] = ' ';
            kp_record_batch_add(&builder, r, (struct kp_str){0}, (struct kp_str){value, sizeof value},
                                (struct kp_str){0});
        }
        assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), KP_OK);
        struct kp_log_entry entry = {.topic = topic_of(i), .batch = batch.data, .bytes = batch.len};
        assert_int_equal(kp_log_append(log, &entry, 1, &end, &err), KP_OK);
        kp_record_batch_builder_finish(&builder);
        kp_buf_finish(&batch);
    }
}

static void append_all(struct kp_log *log)
{
    append_some(log, BATCHES);
    struct kp_log_sealed sealed;
    for (int tries = 0; kp_log_sealed(log, &sealed), sealed.position < (int64_t)BATCHES * RECORDS / 4 * 3; tries++) {
        assert_in_range(tries, 0, 6000);
        usleep(10000);
    }
}

/* The chunk's records say their positions. */
static void check_chunk(const struct kp_log_chunk *chunk)
{
    struct kp_arena arena = {0};
    struct kp_record_reader records;
    struct kp_record record;
    struct kp_error err;
    int64_t position = chunk->position;
    assert_int_equal(chunk->topic, topic_of((int)(position / RECORDS)));
    assert_int_equal(kp_record_reader_init(&records, chunk->batch, chunk->bytes, &arena, &err), KP_OK);
    for (; kp_record_reader_next(&records, &record, &err); position++) {
        assert_int_equal(record.value.len, RECORD_BYTES);
        assert_int_equal(strtoll(record.value.ptr, NULL, 10), position);
        assert_int_equal(record.value.ptr[RECORD_BYTES - 1], 'a' + position / RECORDS % 26);
    }
    assert_int_equal(position, chunk->position + RECORDS);
    kp_arena_finish(&arena);
}

/* Reads everything in steps of so many bytes and, if not 0, positions. */
static int64_t read_all(struct kp_log *log, size_t bytes_max, int64_t stride, const uint32_t *wanted, size_t count)
{
    int64_t position = 0, records = 0;
    for (;;) {
        struct kp_log_span span;
        struct kp_error err;
        int64_t limit = stride ? position + stride : INT64_MAX;
        if (kp_log_read(log, position, limit, bytes_max, wanted, count, &span, &err) != KP_OK)
            fail_msg("%s", err.message);
        for (size_t i = 0; i < span.count; i++) {
            assert_true(span.chunks[i].position >= position && span.chunks[i].position < limit);
            check_chunk(&span.chunks[i]);
            records += span.chunks[i].records;
        }
        bool end = span.position_end == position;
        position = span.position_end;
        kp_log_span_release(&span);
        if (end)
            break;
    }
    assert_int_equal(position, kp_log_position(log));
    return records;
}

static void run_reader(void *arg)
{
    assert_int_equal(read_all(arg, 1 << 20, 0, NULL, 0), BATCHES * RECORDS);
}

static void read_in_steps(bool adopts)
{
    struct kp_log_options options = {.os = &os,
                                     .adopt_block_bytes = adopts ? 1 : 0,
                                     .dir = dir,
                                     .tail_bytes = 1,
                                     .journal_file_bytes = 2 << 20,
                                     .seal_bytes = 8 << 20,
                                     .extent_own_bytes = 1 << 20};
    struct kp_log *log;
    struct kp_error err;
    assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
    for (int i = 0; i < TOPICS; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(kp_log_topic_create(log, name, 1, &topics[i], &err), KP_OK);
    }
    append_all(log);
    reader = pthread_self();
    atomic_store(&reads_beside, 0);
    static const size_t sizes[] = {1, 300 << 10, 1 << 20, 3 << 20, 9 << 20, 64 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(read_all(log, sizes[i], 0, NULL, 0), BATCHES * RECORDS);
        assert_int_equal(read_all(log, sizes[i], 333, &topics[0], 1), BATCHES * RECORDS / 10 * 9);
        assert_int_equal(read_all(log, sizes[i], 0, &topics[1], TOPICS - 1), BATCHES * RECORDS / 10);
    }
    assert_true(atomic_load(&reads_beside) > 20);
    struct kp_thread threads[READERS];
    for (int i = 0; i < READERS; i++)
        kp_thread_start(&threads[i], "reader", 0, run_reader, log);
    for (int i = 0; i < READERS; i++)
        kp_thread_join(&threads[i]);
    kp_log_close(log);
}

/* A small log that was opened again: what is pre-written behind its blocks is not read. */
static void small_log(void **state)
{
    struct kp_log_options options = {.os = &os, .dir = dir};
    struct kp_log *log;
    struct kp_error err;
    assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topics[0], &err), KP_OK);
    topics[1] = topics[2] = topics[0];
    enum { FEW = 5 };
    append_some(log, FEW);
    kp_log_close(log);
    assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
    reader = pthread_self();
    for (int i = 0; i < 3; i++) {
        atomic_store(&bytes_read, 0);
        assert_int_equal(read_all(log, 8 << 20, 0, topics, 1), FEW * RECORDS);
        assert_in_range(atomic_load(&bytes_read), FEW * RECORDS * RECORD_BYTES, 2 * FEW * RECORDS * RECORD_BYTES);
    }
    kp_log_close(log);
}

static void same_records(void **state)
{
    read_in_steps(false);
}

/* From journal files that are extents. */
static void same_records_adopted(void **state)
{
    read_in_steps(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(same_records, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(small_log, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(same_records_adopted, fresh_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
