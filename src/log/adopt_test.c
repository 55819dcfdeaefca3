/*
 * Journal files adopted as extents (log/extent.h, ADOPTED): nothing is copied, all is read as before, by position,
 * offset and time, also after a restart and from outside; what goes is given back when all of a file has gone, or
 * copied away when most has; a bit that rots is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "log/inspect.h"
#include "log/log.h"
#include "log/record_batch.h"

enum { RECORDS = 4, RECORD_BYTES = 15000, BATCHES = 240, LARGE = 2 /* topics; one more is small */ };

static char dir[64];
static struct kp_os counting_os;
static uint64_t bytes_read;
static struct kp_log *kept;
static uint32_t topics[LARGE + 1];
static int64_t offsets[LARGE + 1]; /* the next ones */
static struct {
    uint32_t topic;
    int64_t offset, position;
} sent[2 * BATCHES];
static size_t sent_count;

static void remove_name(void *arg, const char *name)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

static enum kp_code seen_read(void *ctx, struct kp_file *file, void *bytes, size_t len, uint64_t offset,
                              size_t *ret_len, struct kp_error *err)
{
    bytes_read += len;
    return kp_os_real()->pread(ctx, file, bytes, len, offset, ret_len, err);
}

static int fresh_dir(void **state)
{
    counting_os = *kp_os_real();
    counting_os.pread = seen_read;
    strcpy(dir, "/tmp/kappa-adopt-test-XXXXXX");
    memset(offsets, 0, sizeof offsets);
    sent_count = 0;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    struct kp_os *os = kp_os_real();
    kp_log_close(kept);
    kept = NULL;
    (void)!os->list(os->ctx, dir, remove_name, NULL, NULL);
    return rmdir(dir);
}

static struct kp_log *open_log(void)
{
    struct kp_log_options options = {.os = &counting_os,
                                     .dir = dir,
                                     .no_threads = true,
                                     .tail_bytes = 1,
                                     .journal_file_bytes = 1 << 20,
                                     .seal_bytes = 3 << 20,
                                     .extent_own_bytes = 100 << 10,
                                     .adopt_block_bytes = 4 << 10};
    struct kp_error err;
    if (kp_log_open(&options, &kept, &err) != KP_OK)
        fail_msg("%s", err.message);
    return kept;
}

static void append_one(struct kp_log *log, int topic, int records, size_t record_bytes)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_error err;
    char value[RECORD_BYTES];
    int64_t end;
    memset(value, 'a' + (int)(sent_count % 26), sizeof value);
    for (int r = 0; r < records; r++) {
        value[snprintf(value, sizeof value, "%zu", sent_count)] = ' ';
        kp_record_batch_add(&builder, (int64_t)sent_count * 1000 + r, (struct kp_str){0},
                            (struct kp_str){value, record_bytes}, (struct kp_str){0});
    }
    assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), KP_OK);
    struct kp_log_entry entry = {.topic = topics[topic], .batch = batch.data, .bytes = batch.len};
    if (kp_log_append(log, &entry, 1, &end, &err) != KP_OK)
        fail_msg("%s", err.message);
    sent[sent_count].topic = topics[topic];
    sent[sent_count].offset = offsets[topic];
    sent[sent_count++].position = end - records;
    offsets[topic] += records;
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&batch);
}

static void maintain(struct kp_log *log)
{
    struct kp_error err;
    for (bool did = true; did;)
        if (kp_log_maintain(log, &did, &err) != KP_OK)
            fail_msg("%s", err.message);
}

/* Two of three batches are the first topic's, others the second's; of nine one more is the small topic's. */
static struct kp_log *fill(void)
{
    struct kp_log *log = open_log();
    struct kp_error err;
    for (int i = 0; i <= LARGE; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(kp_log_topic_create(log, name, 1, &topics[i], &err), KP_OK);
    }
    for (int i = 0; i < BATCHES; i++) {
        append_one(log, i % 3 == 2, RECORDS, RECORD_BYTES);
        if (i % 9 == 0)
            append_one(log, LARGE, 1, 50);
        if (i % 50 == 0)
            maintain(log);
    }
    maintain(log);
    return log;
}

static void count_adopted(void *arg, const char *name)
{
    size_t len = strlen(name);
    *(size_t *)arg += len > 8 && strcmp(name + len - 8, ".adopted") == 0;
}

static size_t adopted_files(void)
{
    struct kp_os *os = kp_os_real();
    size_t count = 0;
    assert_int_equal(os->list(os->ctx, dir, count_adopted, &count, NULL), KP_OK);
    return count;
}

static bool alive(const bool *gone, uint32_t topic)
{
    for (int i = 0; i <= LARGE; i++)
        if (topics[i] == topic)
            return !gone[i];
    return false;
}

static void read_positions(struct kp_log *log, size_t bytes_max, const bool *gone)
{
    size_t next = 0;
    struct kp_error err;
    for (int64_t position = 0; position < kp_log_position(log);) {
        struct kp_log_span span;
        if (kp_log_read(log, position, INT64_MAX, bytes_max, NULL, 0, &span, &err) != KP_OK)
            fail_msg("position %lld: %s", (long long)position, err.message);
        for (size_t i = 0; i < span.count; i++) {
            while (!alive(gone, sent[next].topic))
                next++;
            assert_int_equal(span.chunks[i].topic, sent[next].topic);
            assert_int_equal(span.chunks[i].base_offset, sent[next].offset);
            assert_int_equal(span.chunks[i].position, sent[next++].position);
        }
        assert_true(span.position_end > position);
        position = span.position_end;
        kp_log_span_release(&span);
    }
    while (next < sent_count && !alive(gone, sent[next].topic))
        next++;
    assert_int_equal(next, sent_count);
}

/* Every batch is found by an offset in it, by its time, and by its position. */
static void read_offsets(struct kp_log *log, const bool *gone)
{
    struct kp_error err;
    for (size_t i = 0; i < sent_count; i++) {
        struct kp_buf out = {0};
        struct kp_record_batch_info info;
        int64_t offset, time_ms;
        if (!alive(gone, sent[i].topic))
            continue;
        if (kp_log_fetch(log, sent[i].topic, 0, sent[i].offset, 1, &out, &err) != KP_OK)
            fail_msg("offset %lld: %s", (long long)sent[i].offset, err.message);
        assert_int_equal(kp_record_batch_validate(out.data, out.len, &info, &err), KP_OK);
        assert_int_equal(info.base_offset, sent[i].offset);
        assert_int_equal(info.base_timestamp_ms, (int64_t)i * 1000);
        kp_buf_finish(&out);
        assert_int_equal(kp_log_offset_at(log, sent[i].topic, 0, (int64_t)i * 1000, &offset, &time_ms, &err), KP_OK);
        assert_int_equal(offset, sent[i].offset);
        bytes_read = 0;
        assert_int_equal(kp_log_offset_behind(log, sent[i].topic, 0, sent[i].position, &offset, &err), KP_OK);
        assert_true(bytes_read < 2 << 20); /* an index entry's worth, not all from the partition's start on */
        assert_int_equal(offset, sent[i].offset);
    }
}

static void note_problem(void *arg, const char *text)
{
    snprintf(arg, 300, "%s", text);
}

static uint64_t problems(char *first)
{
    struct kp_inspect_report report;
    struct kp_error err;
    first[0] = 0;
    assert_int_equal(kp_inspect_verify(kp_os_real(), dir, note_problem, first, &report, &err), KP_OK);
    return report.problems;
}

static void check_all(struct kp_log *log, const bool *gone)
{
    char first[300];
    read_positions(log, 1, gone);
    read_positions(log, 700 << 10, gone);
    read_positions(log, 64 << 20, gone);
    read_offsets(log, gone);
    if (problems(first))
        fail_msg("%s", first);
}

static struct kp_log *reopen(struct kp_log *log)
{
    kp_log_close(log);
    return open_log();
}

static void nothing_is_copied(void **state)
{
    static const bool none[LARGE + 1];
    struct kp_log *log = fill();
    struct kp_log_sealed sealed;
    kp_log_sealed(log, &sealed);
    assert_true(sealed.batch_bytes > 9 << 20);
    assert_in_range(sealed.extent_bytes + sealed.merge_bytes, 1, sealed.batch_bytes / 30);
    assert_in_range(adopted_files(), 9, 14);
    check_all(log, none);
    log = reopen(log);
    check_all(log, none);
    kp_log_close(log);
    kept = NULL;
    struct kp_os *os = kp_os_real(); /* also without what a clean end leaves */
    char path[400];
    snprintf(path, sizeof path, "%s/snapshot", dir);
    assert_int_equal(os->unlink(os->ctx, path, NULL), KP_OK);
    check_all(open_log(), none);
}

/* A crash before the names were changed: they are when the log is opened, and it can be read without that. */
static void old_names(void **state)
{
    static const bool none[LARGE + 1];
    kp_log_close(fill());
    kept = NULL;
    size_t count = adopted_files();
    for (int number = 1; number < 20; number++) {
        char from[400], to[400];
        snprintf(from, sizeof from, "%s/%08d.adopted", dir, number);
        snprintf(to, sizeof to, "%s/%08d.journal", dir, number);
        if (number != 3)
            (void)!rename(from, to);
    }
    assert_int_equal(adopted_files(), 1);
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir, .read_only = true};
    struct kp_error err;
    assert_int_equal(kp_log_open(&options, &kept, &err), KP_OK);
    check_all(kept, none);
    assert_int_equal(adopted_files(), 1);
    kp_log_close(kept);
    check_all(open_log(), none);
    assert_int_equal(adopted_files(), count);
}

/* What is left of a file most of which went is copied; a file of which all went is journal again. */
static void what_goes(void **state)
{
    struct kp_log *log = fill();
    struct kp_log_sealed before, after;
    struct kp_error err;
    bool gone[LARGE + 1] = {false};
    kp_log_sealed(log, &before);
    gone[1] = true; /* a third */
    assert_int_equal(kp_log_topic_drop(log, topics[1], &err), KP_OK);
    maintain(log);
    assert_in_range(adopted_files(), 9, 14);
    check_all(log, gone);
    gone[0] = true; /* and the rest */
    assert_int_equal(kp_log_trim(log, topics[0], 0, offsets[0], &err), KP_OK);
    maintain(log);
    assert_int_equal(adopted_files(), 0);
    kp_log_sealed(log, &after);
    assert_in_range(after.merge_bytes - before.merge_bytes, 0, 200 << 10);
    log = reopen(log);
    size_t old_count = sent_count;
    for (int i = 0; i < 40; i++)
        append_one(log, 0, RECORDS, RECORD_BYTES);
    for (size_t i = 0; i < old_count; i++)
        if (sent[i].topic == topics[0])
            sent[i].topic = topics[1]; /* gone, too */
    gone[0] = false;
    maintain(log);
    check_all(log, gone);
}

static void most_goes(void **state)
{
    struct kp_log *log = fill();
    struct kp_log_sealed before, after;
    struct kp_error err;
    bool gone[LARGE + 1] = {true};
    kp_log_sealed(log, &before);
    assert_int_equal(kp_log_topic_drop(log, topics[0], &err), KP_OK);
    maintain(log);
    assert_int_equal(adopted_files(), 0);
    kp_log_sealed(log, &after);
    assert_true(after.merge_bytes > before.merge_bytes + (2 << 20));
    check_all(log, gone);
    check_all(reopen(log), gone);
}

static void rot_is_told(void **state)
{
    struct kp_log *log = fill();
    struct kp_error err;
    struct kp_log_span span;
    struct kp_log_damage lost = {0};
    struct kp_buf out = {0};
    char path[400], first[300];
    snprintf(path, sizeof path, "%s/00000002.adopted", dir);
    kp_log_close(log);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 300000, SEEK_SET), 0);
    assert_int_equal(fwrite("rot", 1, 3, file), 3);
    fclose(file);
    assert_true(problems(first) >= 2); /* the block, and the batch */
    log = open_log();
    int64_t position = 0, damaged = 0;
    while (position < kp_log_position(log)) {
        enum kp_code code = kp_log_read(log, position, INT64_MAX, 1, NULL, 0, &span, &err);
        if (code != KP_OK) {
            struct kp_log_damage *damages;
            size_t count;
            assert_int_equal(code, KP_CORRUPT);
            assert_non_null(strstr(err.detail, "extent 2 (adopted)"));
            assert_true(kp_log_damage_at(log, position, &damages, &count));
            assert_int_equal(count, 1);
            damaged++;
            lost = damages[0];
            position = lost.position_end;
            assert_int_equal(kp_log_fetch(log, damages[0].topic, 0, damages[0].offset, 1, &out, &err), KP_CORRUPT);
            kp_free(damages);
            continue;
        }
        position = span.position_end;
        kp_log_span_release(&span);
    }
    assert_int_equal(damaged, 1);
    /* When it is given up nobody is told of it any more, and what follows in the file is read. */
    assert_int_equal(kp_log_trim(log, lost.topic, lost.partition, lost.offset_end, &err), KP_OK);
    assert_int_equal(kp_log_fetch(log, lost.topic, lost.partition, lost.offset_end, 1, &out, &err), KP_OK);
    assert_true(out.len > 0);
    kp_log_close(log);
    assert_int_equal(problems(first), 0);
    log = open_log();
    kp_buf_finish(&out);
}

/* Reads all by position; returns how many records cannot be, each of which lies in extent 2. */
static int64_t read_around(struct kp_log *log)
{
    int64_t lost = 0;
    struct kp_error err;
    struct kp_log_span span;
    for (int64_t position = 0; position < kp_log_position(log);) {
        struct kp_log_damage *damages;
        size_t count;
        if (kp_log_read(log, position, INT64_MAX, 1 << 20, NULL, 0, &span, &err) == KP_OK) {
            position = span.position_end;
            kp_log_span_release(&span);
            continue;
        }
        assert_int_equal(err.code, KP_CORRUPT);
        assert_non_null(strstr(err.message, "is damaged at offsets"));
        assert_non_null(strstr(err.detail, "extent 2 (adopted)"));
        assert_true(kp_log_damage_at(log, position, &damages, &count));
        lost += damages[0].position_end - position;
        position = damages[0].position_end;
        kp_free(damages);
        kp_log_damages(log, &damages, &count); /* from now on it is among what was met */
        assert_true(count > 0);
        assert_true(damages[count - 1].offset_end > damages[count - 1].offset);
        kp_free(damages);
    }
    return lost;
}

/* A file of the log becomes shorter, and goes: what it held is damaged, all else is read. */
static void files_go(void **state)
{
    struct kp_log *log = fill();
    struct stat was;
    char path[400], first[300];
    int64_t some, all;
    snprintf(path, sizeof path, "%s/00000002.adopted", dir);
    kp_log_close(log);
    assert_int_equal(stat(path, &was), 0);
    assert_int_equal(truncate(path, was.st_size / 2), 0);
    assert_true(problems(first) >= 1);
    log = open_log();
    some = read_around(log);
    assert_true(some > 0);
    kp_log_close(log);
    assert_int_equal(unlink(path), 0);
    assert_true(problems(first) >= 1);
    log = open_log();
    all = read_around(log);
    assert_true(all > some && all < kp_log_position(log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_copied, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(old_names, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(what_goes, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(most_goes, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(rot_is_told, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(files_go, fresh_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
