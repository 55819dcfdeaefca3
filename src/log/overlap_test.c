/*
 * Commits that are synced while the next one is written (log/commit.c), on the real disk with syncs that take their
 * time and, at some point, fail. What was acknowledged before is durable and in order, nothing is after it.
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

enum { APPENDERS = 3, APPENDS = 60, APPENDS_MAX = 6000, RECORDS = 20, RECORD_BYTES = 20000, PATIENCE = 200 };

static struct kp_os os;
static _Atomic int syncing, overlapped, syncs, fail_at, fail_write_at, writes, failures;
static _Atomic int64_t durable_position; /* the largest that was acknowledged */
static struct kp_file *_Atomic snapshot; /* while it is written: what fails there is no commit's */

static enum kp_code noted_open(void *ctx, const char *path, unsigned flags, struct kp_file **ret_file,
                               struct kp_error *err)
{
    KP_TRY(kp_os_real()->open(ctx, path, flags, ret_file, err));
    if (strstr(path, "snapshot"))
        atomic_store(&snapshot, *ret_file);
    return KP_OK;
}

static void noted_close(void *ctx, struct kp_file *file)
{
    struct kp_file *closed = file;
    if (file)
        atomic_compare_exchange_strong(&snapshot, &closed, NULL);
    kp_os_real()->close(ctx, file);
}

static enum kp_code slow_sync(void *ctx, struct kp_file *file, struct kp_error *err)
{
    if (file == atomic_load(&snapshot))
        return kp_os_real()->sync(ctx, file, err);
    int number = atomic_fetch_add(&syncs, 1) + 1, before = atomic_load(&overlapped);
    atomic_fetch_add(&syncing, 1);
    usleep(3000);
    for (int i = 0; i < PATIENCE && atomic_load(&overlapped) == before; i++)
        usleep(1000); /* on a slow machine the next write takes longer to come */
    enum kp_code code = kp_os_real()->sync(ctx, file, err);
    atomic_fetch_sub(&syncing, 1);
    if (number == atomic_load(&fail_at)) {
        atomic_store(&failures, 1);
        return kp_fail(err, KP_IO, NULL, "no sync");
    }
    return code;
}

static enum kp_code seen_write(void *ctx, struct kp_file *file, const void *bytes, size_t len, uint64_t offset,
                               struct kp_error *err)
{
    if (file == atomic_load(&snapshot))
        return kp_os_real()->pwrite(ctx, file, bytes, len, offset, err);
    if (atomic_load(&syncing))
        atomic_fetch_add(&overlapped, 1);
    if (atomic_fetch_add(&writes, 1) + 1 == atomic_load(&fail_write_at)) {
        atomic_store(&failures, 1);
        return kp_fail(err, KP_IO, NULL, "no write");
    }
    return kp_os_real()->pwrite(ctx, file, bytes, len, offset, err);
}

static enum kp_code write_then_sync(void *ctx, struct kp_file *file, const void *bytes, size_t len, uint64_t offset,
                                    struct kp_error *err)
{
    KP_TRY(seen_write(ctx, file, bytes, len, offset, err));
    return slow_sync(ctx, file, err);
}

static void note_done(void *arg, int64_t position_end, const struct kp_error *err)
{
    _Atomic int *acknowledged = arg;
    if (err) {
        assert_true(atomic_load(&failures));
        return;
    }
    assert_true(position_end > atomic_load(&durable_position)); /* in the order of the log */
    atomic_store(&durable_position, position_end);
    atomic_fetch_add(acknowledged, 1);
}

struct appender {
    struct kp_log *log;
    uint32_t topic;
    int appends; /* by each thread, unless it is refused first */
    _Atomic int appended, acknowledged;
};

static void run_appender(void *arg)
{
    struct appender *appender = arg;
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_error err;
    char *value = kp_alloc(RECORD_BYTES);
    memset(value, 'v', RECORD_BYTES);
    for (int i = 0; i < RECORDS; i++)
        kp_record_batch_add(&builder, i, (struct kp_str){0}, (struct kp_str){value, RECORD_BYTES}, (struct kp_str){0});
    assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), KP_OK);
    for (int i = 0; i < appender->appends; i++) {
        struct kp_log_entry entry = {.topic = appender->topic, .batch = batch.data, .bytes = batch.len};
        if (kp_log_append_async(appender->log, &entry, 1, note_done, &appender->acknowledged, &err) != KP_OK) {
            assert_int_equal(err.code, KP_CLOSED);
            break;
        }
        atomic_fetch_add(&appender->appended, 1);
    }
    kp_free(value);
    kp_buf_finish(&batch);
    kp_record_batch_builder_finish(&builder);
}

static int64_t count_records(const char *dir)
{
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir};
    struct kp_log *log;
    struct kp_error err;
    if (kp_log_open(&options, &log, &err) != KP_OK)
        fail_msg("%s", err.message);
    int64_t position = 0;
    for (;;) {
        struct kp_log_span span;
        assert_int_equal(kp_log_read(log, position, INT64_MAX, 8 << 20, NULL, 0, &span, &err), KP_OK);
        bool end = span.position_end == position;
        position = span.position_end;
        kp_log_span_release(&span);
        if (end)
            break;
    }
    assert_int_equal(position, kp_log_position(log));
    kp_log_close(log);
    return position;
}

static void play(int sync_number, int write_number)
{
    char dir[] = "/tmp/kappa-overlap-XXXXXX", command[64];
    bool failing = sync_number || write_number;
    /* how many appends a commit takes is the machine's: a call that is to fail is reached by appending until refused */
    struct appender appender = {.appends = failing ? APPENDS_MAX : APPENDS};
    struct kp_thread threads[APPENDERS];
    struct kp_error err;
    assert_non_null(mkdtemp(dir));
    os = *kp_os_real();
    os.open = noted_open;
    os.close = noted_close;
    os.sync = slow_sync;
    os.pwrite = seen_write;
    os.pwrite_sync = write_then_sync;
    atomic_store(&syncs, 0);
    atomic_store(&writes, 0);
    atomic_store(&overlapped, 0);
    atomic_store(&failures, 0);
    atomic_store(&durable_position, 0);
    atomic_store(&fail_at, 0);
    atomic_store(&fail_write_at, 0);
    /* several files; but one where a call is to fail, or it might be one that prepares the next */
    struct kp_log_options options = {.os = &os, .dir = dir, .journal_file_bytes = failing ? 400 << 20 : 40 << 20};
    assert_int_equal(kp_log_open(&options, &appender.log, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(appender.log, "t", 1, &appender.topic, &err), KP_OK);
    if (sync_number)
        atomic_store(&fail_at, atomic_load(&syncs) + sync_number);
    if (write_number)
        atomic_store(&fail_write_at, atomic_load(&writes) + write_number);
    for (int i = 0; i < APPENDERS; i++)
        kp_thread_start(&threads[i], "appender", 0, run_appender, &appender);
    for (int i = 0; i < APPENDERS; i++)
        kp_thread_join(&threads[i]);
    if (!failing)
        while (kp_log_position(appender.log) < APPENDERS * APPENDS * RECORDS)
            kp_log_wait(appender.log, kp_log_position(appender.log), 10000000);
    kp_log_close(appender.log);
    int64_t there = count_records(dir), acknowledged = atomic_load(&durable_position);
    assert_int_equal(acknowledged, RECORDS * atomic_load(&appender.acknowledged));
    assert_true(there >= acknowledged);
    if (!failing) {
        assert_int_equal(acknowledged, APPENDERS * APPENDS * RECORDS);
        assert_true(atomic_load(&overlapped) > 3);
    } else {
        assert_true(atomic_load(&failures));
        assert_true(atomic_load(&appender.appended) < APPENDERS * APPENDS_MAX); /* refused after the failure */
        assert_true(acknowledged < RECORDS * atomic_load(&appender.appended));
    }
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static void test_overlap(void **state)
{
    play(0, 0);
}

static void test_failures(void **state)
{
    for (int number = 1; number <= 7; number += 3) {
        play(number, 0);
        play(0, 3 * number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_overlap), cmocka_unit_test(test_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
