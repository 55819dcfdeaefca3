/* The log on the real disk with many threads: appenders, followers, sealing, and another process that looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log/dir_test.h"
#include "os/thread.h"

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

/* Of a new topic; one for each partition. */
static uint32_t start_appenders(struct kp_log *log, struct kp_thread *running, struct load *loads, _Atomic int *done)
{
    struct kp_error err;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", APPENDERS, &topic, &err), KP_OK);
    for (uint32_t i = 0; i < APPENDERS; i++) {
        loads[i] = (struct load){log, topic, i, done};
        kp_thread_start(&running[i], "appender", 0, run_appender, &loads[i]);
    }
    return topic;
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
    (void)start_appenders(log, running, loads, &done);
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
    struct kp_thread running[APPENDERS], following[2];
    struct load loads[APPENDERS];
    struct follower followers[2];
    _Atomic int done = 0;
    uint32_t topic = start_appenders(log, running, loads, &done);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(threads, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(threads, fresh_dir_from_disk, remove_dir),
        cmocka_unit_test_setup_teardown(threads_sealed, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(read_only, fresh_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
