/*
 * A log in a folder of its own, as tests of log/ use it: fresh_dir and remove_dir around each test. Failures fail the
 * test. Include it behind cmocka.h.
 */
#ifndef KP_LOG_DIR_TEST_H
#define KP_LOG_DIR_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/log.h"
#include "log/record_batch.h"

static char dir[64]; /* the test's */

static inline void remove_name(void *arg, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

static inline int fresh_dir(void **state)
{
    strcpy(dir, "/tmp/kappa-log-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static inline int remove_dir(void **state)
{
    struct kp_error err;
    struct kp_os *os = kp_os_real();
    (void)!os->list(os->ctx, dir, remove_name, NULL, &err);
    return rmdir(dir);
}

static bool sealed; /* every full journal file is sealed when a log is opened */

static inline int fresh_dir_sealed(void **state)
{
    sealed = true;
    return fresh_dir(state);
}

static inline int remove_dir_sealed(void **state)
{
    sealed = false;
    return remove_dir(state);
}

static inline struct kp_log *open_log(struct kp_log_options options)
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
static inline struct kp_buf batch_of(int tag, int records, size_t pad)
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

static inline int64_t append(struct kp_log *log, uint32_t topic, uint32_t partition, int tag, int records, size_t pad)
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
static inline int64_t read_all(struct kp_log *log, size_t bytes_max, const uint32_t *topics, size_t topic_count)
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

#endif
