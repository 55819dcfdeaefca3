/*
 * Recovery snapshots: a log that is opened from one answers as one that is opened from its journal alone; a snapshot
 * that is damaged, of another log or of another time is passed over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "log/inspect.h"
#include "log/internal.h"
#include "log/log.h"
#include "log/record_batch.h"
#include "log/snapshot.h"

enum { PARTITIONS = 3, BATCHES = 300 };

static char dir[64], path[96];
static struct kp_os *os;

static void remove_name(void *arg, const char *name)
{
    char file[512];
    snprintf(file, sizeof file, "%s/%s", dir, name);
    unlink(file);
}

static int fresh_dir(void **state)
{
    os = kp_os_real();
    strcpy(dir, "/tmp/kappa-snapshot-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/" KP_SNAPSHOT_NAME, dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)!os->list(os->ctx, dir, remove_name, NULL, NULL);
    return rmdir(dir);
}

static struct kp_log *open_log(bool seals)
{
    struct kp_log_options options = {.os = os,
                                     .dir = dir,
                                     .no_threads = true,
                                     .tail_bytes = 1,
                                     .journal_file_bytes = 256 << 10,
                                     .seal_bytes = seals ? 1 : 1 << 30,
                                     .extent_own_bytes = 100 << 10,
                                     .snapshot_bytes = 600 << 10};
    struct kp_log *log;
    struct kp_error err = {0};
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

static void append(struct kp_log *log, uint32_t topic, uint32_t partition, int tag)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_error err;
    char value[4000];
    int64_t end;
    memset(value, 'a' + tag % 26, sizeof value);
    kp_record_batch_add(&builder, 1000 * (int64_t)tag, (struct kp_str){0}, (struct kp_str){value, sizeof value},
                        (struct kp_str){0});
    assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), KP_OK);
    kp_record_batch_builder_finish(&builder);
    struct kp_log_entry entry = {.topic = topic, .partition = partition, .batch = batch.data, .bytes = batch.len};
    assert_int_equal(kp_log_append(log, &entry, 1, &end, &err), KP_OK);
    kp_buf_finish(&batch);
}

/* Topics made, one dropped, a partition trimmed, more appended. */
static void fill(struct kp_log *log, int round)
{
    char name[32];
    uint32_t topic, other;
    struct kp_error err;
    snprintf(name, sizeof name, "t%d", round);
    assert_int_equal(kp_log_topic_create(log, name, PARTITIONS, &topic, &err), KP_OK);
    snprintf(name, sizeof name, "gone%d", round);
    assert_int_equal(kp_log_topic_create(log, name, 1, &other, &err), KP_OK);
    for (int i = 0; i < BATCHES; i++)
        append(log, i % 10 ? topic : other, i % 10 ? (uint32_t)(i % PARTITIONS) : 0, i);
    assert_int_equal(kp_log_trim(log, topic, 1, 20, &err), KP_OK);
    assert_int_equal(kp_log_topic_drop(log, other, &err), KP_OK);
}

/* Everything that the log knows, and what look-ups through its indexes answer. */
static uint32_t answers(struct kp_log *log)
{
    struct kp_buf out = {0};
    struct kp_error err;
    int64_t end = kp_log_position(log), value = 0;
    kp_buf_append(&out, &end, sizeof end);
    for (int64_t position = 0; position <= end; position += 37) {
        assert_int_equal(kp_log_time_at(log, position, &value, &err), KP_OK);
        kp_buf_append(&out, &value, sizeof value);
        assert_int_equal(kp_log_position_at(log, value, &value, &err), KP_OK);
        kp_buf_append(&out, &value, sizeof value);
    }
    for (uint32_t id = 1; id <= log->topics.id_count; id++) {
        struct kp_topic_info topic;
        if (kp_log_topic_get(log, id, &topic, NULL) != KP_OK)
            continue;
        kp_buf_append(&out, &topic.records, sizeof topic.records); /* bytes are about so many: log/topic.h */
        kp_buf_append_text(&out, topic.name);
        for (uint32_t p = 0; kp_topics_get(&log->topics, id) && p < PARTITIONS; p++) {
            struct kp_partition_info info;
            assert_int_equal(kp_log_partition(log, id, p, &info, &err), KP_OK);
            info.bytes = 0;
            kp_buf_append(&out, &info, sizeof info);
            for (int64_t offset = info.start_offset; offset < info.end_offset; offset += 11) {
                int64_t found, at_ms;
                assert_int_equal(kp_log_fetch(log, id, p, offset, 1, &out, &err), KP_OK);
                assert_int_equal(kp_log_offset_at(log, id, p, 1000 * offset, &found, &at_ms, &err), KP_OK);
                kp_buf_append(&out, &found, sizeof found);
                assert_int_equal(kp_log_offset_behind(log, id, p, offset * 2, &found, &err), KP_OK);
                kp_buf_append(&out, &found, sizeof found);
            }
        }
    }
    uint32_t crc = kp_crc32c(0, out.data, out.len);
    kp_buf_finish(&out);
    return crc;
}

/* Opens, answers, closes; *ret_recovered: how it was opened. The snapshot stays what it was. */
static uint32_t reopened(struct kp_log_recovered *ret_recovered)
{
    struct kp_log *log = open_log(false);
    kp_log_recovered(log, ret_recovered);
    uint32_t crc = answers(log);
    kp_log_close(log);
    return crc;
}

static struct kp_buf slurp(void)
{
    struct kp_buf bytes = {0};
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    bytes.len = fread(kp_buf_reserve(&bytes, 1 << 20), 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void spill(const struct kp_buf *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes->data, 1, len, file), len);
    fclose(file);
}

/* The same answers with the snapshot, without, and with what is wrong with it. */
static void check_equal(uint32_t crc)
{
    struct kp_log_recovered recovered;
    struct kp_buf bytes = slurp();
    assert_int_equal(reopened(&recovered), crc);
    assert_true(recovered.snapshot);
    assert_true(recovered.journal_bytes < 700 << 10);
    unlink(path);
    assert_int_equal(reopened(&recovered), crc);
    assert_false(recovered.snapshot);
    for (size_t at = 0; at < bytes.len; at += at < 128 ? 7 : bytes.len / 9 + 1) {
        bytes.data[at] ^= 16;
        spill(&bytes, bytes.len);
        assert_int_equal(reopened(&recovered), crc);
        assert_false(recovered.snapshot);
        bytes.data[at] ^= 16;
    }
    for (size_t len = 0; len < bytes.len; len += bytes.len / 5 + 1) {
        spill(&bytes, len);
        assert_int_equal(reopened(&recovered), crc);
        assert_false(recovered.snapshot);
    }
    spill(&bytes, bytes.len);
    kp_buf_finish(&bytes);
}

static void equal(void **state)
{
    struct kp_log *log = open_log(false);
    fill(log, 0);
    maintain(log);
    for (int i = 0; i < 20; i++) /* behind it */
        append(log, 1, 0, i);
    uint32_t crc = answers(log);
    kp_log_close(log);
    check_equal(crc);
}

/* Snapshots before and behind sealing, with journal files gone since. */
static void sealed(void **state)
{
    struct kp_log *log = open_log(false);
    fill(log, 0);
    maintain(log);
    kp_log_close(log);
    struct kp_buf old = slurp();
    log = open_log(true);
    maintain(log);
    fill(log, 1);
    maintain(log);
    fill(log, 2);
    uint32_t crc = answers(log);
    kp_log_close(log);
    check_equal(crc);
    struct kp_log_recovered recovered;
    spill(&old, old.len); /* its place was sealed */
    assert_int_equal(reopened(&recovered), crc);
    assert_false(recovered.snapshot);
    kp_buf_finish(&old);
}

/* The snapshot of another log, and one of a time that this log never came to: a folder that was set back. */
static void foreign(void **state)
{
    struct kp_log_recovered recovered;
    struct kp_log *log = open_log(false);
    fill(log, 0);
    maintain(log);
    uint32_t crc = answers(log);
    kp_log_close(log);
    struct kp_buf bytes = slurp();
    remove_dir(NULL);
    assert_int_equal(fresh_dir(NULL), 0);
    log = open_log(false);
    fill(log, 0);
    uint32_t other = answers(log);
    kp_log_close(log);
    spill(&bytes, bytes.len);
    assert_int_equal(reopened(&recovered), other);
    assert_false(recovered.snapshot);
    assert_int_not_equal(crc, 0);
    kp_buf_finish(&bytes);
}

/* A started one is removed; one is written in time by the thread, and at the end. */
static void written(void **state)
{
    char leftover[128];
    snprintf(leftover, sizeof leftover, "%s.new", path);
    struct kp_log *log = open_log(false);
    fill(log, 0);
    kp_log_close(log);
    assert_int_equal(access(path, F_OK), 0); /* at the end */
    FILE *file = fopen(leftover, "wb");
    assert_non_null(file);
    fclose(file);
    struct kp_log_options options = {.os = os, .dir = dir, .snapshot_bytes = 100 << 10};
    struct kp_error err;
    assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
    assert_int_equal(access(leftover, F_OK), -1);
    struct kp_log_recovered recovered = {0};
    for (int i = 0; recovered.snapshots < 3 && i < 100000; i++) {
        append(log, 1, 0, i);
        kp_log_recovered(log, &recovered);
    }
    assert_true(recovered.snapshots >= 3);
    kp_log_close(log);
}

/* The log's last blocks rot, and nothing behind tells: the snapshot does. */
static void vouches(void **state)
{
    for (int how = 0; how < 3; how++) { /* entries; header; all of it, zeros */
        struct kp_error err;
        struct kp_log_span span;
        struct kp_log_damage *damages;
        struct kp_partition_info before[PARTITIONS], after;
        size_t count;
        struct kp_log *log = open_log(false);
        fill(log, how);
        uint32_t topic = 0;
        struct kp_topic_info info;
        char name[32], file[128];
        snprintf(name, sizeof name, "t%d", how);
        assert_int_equal(kp_log_topic_find(log, name, &info, &err), KP_OK);
        topic = info.id;
        append(log, topic, 2, 7);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            assert_int_equal(kp_log_partition(log, topic, p, &before[p], &err), KP_OK);
        int64_t end = kp_log_position(log);
        uint64_t number = log->durable_end.file_number, at = log->durable_last, behind = log->durable_end.offset;
        assert_int_equal(kp_snapshot_write(log, &err), KP_OK);
        kp_log_close(log);
        snprintf(file, sizeof file, "%s/%08llu.journal", dir, (unsigned long long)number);
        FILE *journal = fopen(file, "r+b");
        static const char rot[3][8192 + 4096] = {{0}};
        assert_non_null(journal);
        uint64_t from = how == 0 ? at + 600 : at;
        assert_int_equal(fseek(journal, (long)from, SEEK_SET), 0);
        assert_int_equal(fwrite(rot[how], how == 2 ? behind - from : 20, 1, journal), 1);
        assert_int_equal(fseek(journal, (long)behind, SEEK_SET), 0); /* the closing block */
        assert_int_equal(fwrite(rot[how], 4096, 1, journal), 1);
        fclose(journal);

        log = open_log(false);
        assert_int_equal(kp_log_position(log), end);
        kp_log_damages(log, &damages, &count);
        const struct kp_log_damage *told = NULL; /* others may be told of, too: nothing says whose records it held */
        for (size_t i = 0; i < count; i++)
            if (damages[i].topic == topic && damages[i].partition == 2 && damages[i].offset < before[2].end_offset &&
                damages[i].offset_end >= before[2].end_offset)
                told = &damages[i];
        assert_non_null(told);
        assert_int_equal(kp_log_read(log, told->position, INT64_MAX, 1, &topic, 1, &span, &err), KP_CORRUPT);
        assert_non_null(strstr(err.message, name));
        kp_free(damages);
        assert_int_equal(kp_log_partition(log, topic, 2, &after, &err), KP_OK);
        int64_t next = after.end_offset;
        assert_true(next >= before[2].end_offset);
        append(log, topic, 2, 8);
        kp_log_close(log);
        unlink(path); /* what was written behind tells, too */
        log = open_log(false);
        assert_int_equal(kp_log_partition(log, topic, 2, &after, &err), KP_OK);
        assert_true(after.end_offset > next);
        struct kp_buf out = {0};
        assert_int_equal(kp_log_fetch(log, topic, 2, next, 1, &out, &err), KP_OK);
        assert_true(out.len > 0);
        kp_buf_finish(&out);
        assert_int_equal(kp_log_fetch(log, topic, 2, before[2].end_offset - 1, 1, &out, &err), KP_CORRUPT);
        kp_buf_finish(&out);
        kp_log_close(log);
    }
}

/* ---- producers ---- */

static void note_problem(void *arg, const char *text)
{
    if (!*(char *)arg)
        snprintf(arg, 600, "%s", text);
}

/* The first thing that kp_inspect_verify finds wrong; "": nothing. */
static const char *problem_found(void)
{
    static char text[600];
    struct kp_inspect_report report;
    struct kp_error err;
    text[0] = 0;
    assert_int_equal(kp_inspect_verify(os, dir, note_problem, text, &report, &err), KP_OK);
    return text;
}

static void write_at(const char *file, uint64_t place, const void *bytes, size_t len)
{
    FILE *journal = fopen(file, "r+b");
    assert_non_null(journal);
    assert_int_equal(fseek(journal, (long)place, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, len, 1, journal), 1);
    fclose(journal);
}

/* A log that was closed, with a single record behind what makes a snapshot due; where its block lies. */
static void one_more(int round, char *ret_file, size_t file_bytes, uint64_t *ret_at, struct kp_partition_info *ret_end)
{
    struct kp_error err;
    struct kp_log *log = open_log(false);
    fill(log, round);
    kp_log_close(log);
    log = open_log(false);
    append(log, 1, 2, 7);
    *ret_at = log->durable_last;
    snprintf(ret_file, file_bytes, "%s/%08llu.journal", dir, (unsigned long long)log->durable_end.file_number);
    assert_int_equal(kp_log_partition(log, 1, 2, ret_end, &err), KP_OK);
    kp_log_close(log);
    assert_string_equal(problem_found(), "");
}

/* The last record of a log that was closed rots, and all behind it: verify tells, a start tells, it is not given away.
 */
static void last_record(void **state)
{
    static const char rot[64];
    char file[128];
    uint64_t at;
    struct kp_partition_info before, after;
    struct kp_error err;
    one_more(0, file, sizeof file, &at, &before);
    write_at(file, at + 600, rot, sizeof rot); /* its entries */
    assert_non_null(strstr(problem_found(), "byte"));
    struct kp_log *log = open_log(false);
    struct kp_buf out = {0};
    assert_int_equal(kp_log_partition(log, 1, 2, &after, &err), KP_OK);
    assert_int_equal(after.end_offset, before.end_offset);
    assert_int_equal(kp_log_fetch(log, 1, 2, before.end_offset - 1, 1, &out, &err), KP_CORRUPT);
    assert_int_equal(kp_log_fetch(log, 1, 0, 0, 1, &out, &err), KP_OK); /* and beside it reads go on */
    kp_buf_finish(&out);
    kp_log_close(log);
    remove_dir(NULL);
    assert_int_equal(fresh_dir(NULL), 0);
    one_more(0, file, sizeof file, &at, &before);
    write_at(file, at, rot, sizeof rot); /* its header, and the closing block's */
    write_at(file, at + 8192, rot, sizeof rot);
    assert_non_null(strstr(problem_found(), "the snapshot knows it up to"));
    log = open_log(false);
    assert_int_equal(kp_log_partition(log, 1, 2, &after, &err), KP_OK);
    assert_true(after.end_offset >= before.end_offset);
    kp_log_close(log);
}

/* The newest journal files are gone: the snapshot knows that they were there. */
static void missing_files(void **state)
{
    char file[128];
    uint64_t at;
    struct kp_partition_info before;
    struct kp_log *log;
    struct kp_error err = {0};
    one_more(0, file, sizeof file, &at, &before);
    for (unsigned long long number = strtoull(strrchr(file, '/') + 1, NULL, 10); access(file, F_OK) == 0; number++) {
        assert_int_equal(unlink(file), 0);
        snprintf(file, sizeof file, "%s/%08llu.journal", dir, number + 1);
    }
    assert_non_null(strstr(problem_found(), "files are missing"));
    struct kp_log_options options = {.os = os, .dir = dir, .no_threads = true};
    assert_int_equal(kp_log_open(&options, &log, &err), KP_CORRUPT);
    assert_non_null(strstr(err.message, "behind file"));
    assert_int_equal(unlink(path), 0); /* as the hint says, of a folder that was set back */
    assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
    kp_log_close(log);
}

static int by_producer(const void *a, const void *b)
{
    const struct kp_log_producer *left = a, *right = b;
    if (left->producer_id != right->producer_id)
        return left->producer_id < right->producer_id ? -1 : 1;
    return (left->partition > right->partition) - (left->partition < right->partition);
}

static struct kp_buf producers_of(struct kp_log *log)
{
    struct kp_buf out = {0};
    kp_log_producers(log, &out);
    qsort(out.data, out.len / sizeof(struct kp_log_producer), sizeof(struct kp_log_producer), by_producer);
    return out;
}

static void append_numbered(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t producer, int16_t epoch,
                            int32_t sequence)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_error err;
    char value[4000] = {'x'};
    kp_record_batch_add(&builder, 1, (struct kp_str){0}, (struct kp_str){value, sizeof value}, (struct kp_str){0});
    assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), KP_OK);
    kp_record_batch_builder_finish(&builder);
    uint64_t id = __builtin_bswap64((uint64_t)producer);
    uint16_t life = __builtin_bswap16((uint16_t)epoch);
    uint32_t number = __builtin_bswap32((uint32_t)sequence);
    memcpy(batch.data + 43, &id, sizeof id);
    memcpy(batch.data + 51, &life, sizeof life);
    memcpy(batch.data + 53, &number, sizeof number);
    uint32_t crc = __builtin_bswap32(kp_crc32c(0, batch.data + 21, batch.len - 21));
    memcpy(batch.data + 17, &crc, sizeof crc);
    struct kp_log_entry entry = {.topic = topic, .partition = partition, .batch = batch.data, .bytes = batch.len};
    assert_int_equal(kp_log_append(log, &entry, 1, NULL, &err), KP_OK);
    kp_buf_finish(&batch);
}

/* What idempotent producers sent last is known again when it is sealed and there is no snapshot. */
static void producers(void **state)
{
    struct kp_error err;
    uint32_t topic;
    struct kp_log *log = open_log(true);
    assert_int_equal(kp_log_topic_create(log, "p", 2, &topic, &err), KP_OK);
    for (int32_t i = 0; i < 700; i++) {
        if (i < 10) /* never heard of again */
            append_numbered(log, topic, 1, 55, 0, i);
        /* some begin a new life: their sequences begin again */
        append_numbered(log, topic, (uint32_t)i % 2, 100 + i % 7, i % 7 == 3 && i >= 400, i % 400);
        if (i % 50 == 0)
            maintain(log);
        if (i == 400) /* sets that are merged */
            assert_true(log->sealing.head.merge_bytes > 0);
    }
    struct kp_log_sealed sealing;
    kp_log_sealed(log, &sealing);
    assert_true(sealing.position > 500 && sealing.position < kp_log_position(log));
    struct kp_buf before = producers_of(log);
    assert_int_equal(before.len / sizeof(struct kp_log_producer), 15);
    for (int round = 0; round < 2; round++) {
        struct kp_log_recovered recovered;
        kp_log_close(log);
        unlink(path);
        log = open_log(true);
        kp_log_recovered(log, &recovered);
        assert_false(recovered.snapshot);
        struct kp_buf after = producers_of(log);
        assert_int_equal(after.len, before.len);
        assert_memory_equal(after.data, before.data, before.len);
        kp_buf_finish(&after);
    }
    kp_buf_finish(&before);
    kp_log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(producers, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(equal, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(sealed, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(foreign, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(written, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(vouches, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(last_record, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(missing_files, fresh_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
