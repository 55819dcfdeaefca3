/* The log on the real disk, damaged: what is read around it, told of it, and kept. */
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
#include "log/extent.h"
#include "log/files.h"
#include "log/format.h"
#include "log/inspect.h"
#include "log/internal.h"
#include "log/scan.h"

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

static void look_for(void *arg, const char *text)
{
    const char **looked_for = arg;
    if (*looked_for && strstr(text, *looked_for))
        *looked_for = NULL;
}

/* Does `kappa log verify` tell of a problem in these words? */
static bool verify_says(const char *words)
{
    struct kp_inspect_report report;
    struct kp_error err;
    assert_int_equal(kp_inspect_verify(kp_os_real(), dir, look_for, &words, &report, &err), KP_OK);
    return !words;
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
 * others can; when it is of a file's header, or of one of the two blocks that made the topic, nothing is lost. Nothing
 * is changed.
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
                fail_msg("file %llu, byte %ld: %s", (unsigned long long)file, offset, err.message);
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
        struct kp_log_damage *damages; /* it was met, though it held no records */
        size_t count;
        kp_log_damages(log, &damages, &count);
        assert_int_equal(count, 1);
        assert_int_equal(damages[0].topic, 0);
        assert_int_equal(damages[0].file_number, 1);
        assert_int_equal(damages[0].file_offset, 4096);
        kp_free(damages);
        assert_false(kp_log_damage_at(log, 0, &damages, &count)); /* nobody's read fails there */
        kp_free(damages);
        kp_log_close(log);
        struct kp_inspect_report report;
        unsigned problems = 0;
        assert_int_equal(kp_inspect_verify(kp_os_real(), dir, count_problem, &problems, &report, &err), KP_OK);
        assert_true(problems > 0);
        flip(1, 4096 + 128 + 3);
    }
}

/* Of the two blocks that make a topic one rots, and no snapshot knows it. */
static void damage_of_makings(void **state)
{
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir, .no_threads = true, .tail_bytes = 1};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    struct kp_topic_info info;
    uint32_t topic, other;
    assert_int_equal(kp_log_topic_create(log, "t", 3, &topic, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "other", 1, &other, &err), KP_OK);
    append(log, topic, 2, 0, 2, 2500);
    append(log, other, 0, 1, 2, 2500);
    kp_log_close(log);
    for (long block = 1; block <= 4; block++) {
        remove_snapshot();
        flip(1, block << 12 | (128 + 3));
        log = open_log(options);
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), 4);
        assert_int_equal(kp_log_topic_find(log, "t", &info, &err), KP_OK);
        assert_true(info.id == topic && info.partitions == 3 && info.records == 2);
        assert_int_equal(kp_log_topic_find(log, "other", &info, &err), KP_OK);
        assert_true(info.id == other && info.records == 2);
        kp_log_close(log);
        struct kp_inspect_report report;
        unsigned problems = 0;
        assert_int_equal(kp_inspect_verify(kp_os_real(), dir, count_problem, &problems, &report, &err), KP_OK);
        assert_int_equal(problems, 1);
        flip(1, block << 12 | (128 + 3));
    }
}

/* Of the two blocks that say where a partition goes on one rots. */
static void damage_of_skips(void **state)
{
    const int64_t begin = 5000000000;
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir, .no_threads = true, .tail_bytes = 1};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    uint32_t topic;
    assert_int_equal(kp_log_topic_create(log, "t", 2, &topic, &err), KP_OK);
    assert_int_equal(kp_log_skip(log, topic, 1, begin, &err), KP_OK);
    append(log, topic, 1, 0, 2, 2500);
    append(log, topic, 0, 1, 2, 2500);
    kp_log_close(log);
    for (long block = 3; block <= 4; block++) {
        struct kp_partition_info info;
        struct kp_inspect_report report;
        unsigned problems = 0;
        remove_snapshot();
        flip(1, block << 12 | (128 + 16));
        log = open_log(options);
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), 4);
        assert_int_equal(kp_log_partition(log, topic, 1, &info, &err), KP_OK);
        assert_true(info.start_offset == begin && info.end_offset == begin + 2);
        kp_log_close(log);
        assert_int_equal(kp_inspect_verify(kp_os_real(), dir, count_problem, &problems, &report, &err), KP_OK);
        assert_int_equal(problems, 1);
        flip(1, block << 12 | (128 + 16));
    }
}

/* Both blocks that make a topic rot, and no snapshot knows it: its records are there, under a name of their own; other
 * topics are as they were, and sealing, snapshots and restarts go on with that. */
static void damage_of_names(void **state)
{
    struct kp_log_options options = {.os = kp_os_real(),
                                     .dir = dir,
                                     .journal_file_bytes = 64 << 10,
                                     .no_threads = true,
                                     .tail_bytes = 1,
                                     .seal_bytes = 1};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    struct kp_topic_info info;
    uint32_t topic, other, dropped, id;
    assert_int_equal(kp_log_topic_create(log, "__lost_1", 1, &topic, &err), KP_INVALID);
    assert_int_equal(kp_log_topic_create(log, "t", 3, &topic, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "dropped", 1, &dropped, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "other", 1, &other, &err), KP_OK);
    append(log, topic, 1, 0, 2, 2500);
    append(log, dropped, 0, 0, 2, 2500);
    append(log, other, 0, 1, 2, 2500);
    append(log, topic, 0, 2, 2, 2500);
    append(log, topic, 1, 3, 2, 2500);
    assert_int_equal(kp_log_topic_drop(log, dropped, &err), KP_OK);
    kp_log_close(log);
    remove_snapshot();
    for (uint64_t block = 1; block <= 4; block++)
        flip(1, (long)(block << 12 | (128 + 3)));
    for (int lives = 0; lives < 6; lives++) {
        log = open_log(options);
        assert_int_equal(kp_log_topic_find(log, "t", &info, &err), KP_NOT_FOUND);
        assert_int_equal(kp_log_topic_find(log, "__lost_1", &info, &err), KP_OK);
        assert_true(info.id == topic && info.nameless && !info.internal && info.partitions == 2);
        assert_int_equal(info.records, 6 + 2 * lives);
        assert_int_equal(kp_log_topic_find(log, "other", &info, &err), KP_OK);
        assert_true(info.id == other && info.records == 2 && !info.nameless);
        assert_int_equal(kp_log_topic_get(log, dropped, &info, &err), KP_NOT_FOUND);
        struct kp_buf out = {0};
        for (int64_t offset = 0; offset < 4; offset += 2)
            assert_int_equal(kp_log_fetch(log, topic, 1, offset, 1, &out, &err), KP_OK);
        assert_int_equal(kp_log_fetch(log, topic, 0, 0, 1, &out, &err), KP_OK);
        kp_buf_finish(&out);
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), 10 + 2 * lives - 2);
        append(log, topic, 0, lives, 2, 20000);
        for (bool did = lives > 1; did;)
            assert_int_equal(kp_log_maintain(log, &did, &err), KP_OK);
        assert_int_equal(kp_log_topic_create(log, "t", 1, &id, &err), KP_OK); /* it is another one */
        assert_true(id > other);
        assert_int_equal(kp_log_topic_drop(log, id, &err), KP_OK);
        kp_log_close(log);
        struct kp_inspect_report report;
        unsigned problems = 0;
        assert_int_equal(kp_inspect_verify(kp_os_real(), dir, count_problem, &problems, &report, &err), KP_OK);
        assert_true(problems > 0);
        if (lives % 2)
            remove_snapshot();
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
    assert_true(damages->extent > 0 && !damages->file_number); /* where it is told to lie */
    char place[80];
    snprintf(place, sizeof place, "It lies in extent %llu of", (unsigned long long)damages->extent);
    assert_int_equal(kp_log_damage_error(log, damages, &err), KP_CORRUPT);
    assert_non_null(strstr(err.detail, place));
    snprintf(place, sizeof place, ": extent %llu: its blocks had rotted before they were sealed",
             (unsigned long long)damages->extent);
    assert_true(verify_says(place));
    kp_free(damages);
    assert_int_equal(kp_log_trim(log, topic, 0, 20, &err), KP_OK);
    read_all(log, 20000, NULL, 0);         /* who wants nothing of it passes */
    kp_log_damages(log, &damages, &count); /* it was given up */
    assert_int_equal(count, 0);
    kp_free(damages);
    kp_log_close(log);
}

static struct kp_log *sealing_log; /* its journal rots while it is sealed, behind the first pass, and a read finds it */
static bool rots_meanwhile;

static enum kp_code open_and_rot(void *ctx, const char *path, unsigned flags, struct kp_file **ret_file,
                                 struct kp_error *err)
{
    if (rots_meanwhile && strstr(path, KP_EXTENT_NEW_SUFFIX)) {
        struct kp_log_span span;
        struct kp_error rotten;
        rots_meanwhile = false;
        blank(1, 5 << 12, 4096);
        assert_int_equal(kp_log_read(sealing_log, 2, INT64_MAX, 1, NULL, 0, &span, &rotten), KP_CORRUPT);
    }
    return kp_os_real()->open(ctx, path, flags, ret_file, err);
}

/* A hole that is found between the two passes of sealing is passed by another try: nothing is sealed as zeros. */
static void damage_meanwhile(void **state)
{
    struct kp_os os = *kp_os_real();
    os.open = open_and_rot;
    struct kp_log_options options = {
        .os = &os, .dir = dir, .journal_file_bytes = 64 << 10, .no_threads = true, .tail_bytes = 1, .seal_bytes = 1};
    struct kp_error err;
    uint32_t topic;
    assert_int_equal(kp_log_open(&options, &sealing_log, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(sealing_log, "t", 1, &topic, &err), KP_OK);
    for (int tag = 0; tag < 40; tag++)
        append(sealing_log, topic, 0, tag, 2, 2500);
    kp_log_close(sealing_log); /* nothing is read from memory */
    assert_int_equal(kp_log_open(&options, &sealing_log, &err), KP_OK);
    rots_meanwhile = true;
    for (bool did = true; did;)
        assert_int_equal(kp_log_maintain(sealing_log, &did, &err), KP_OK);
    assert_false(rots_meanwhile);
    int64_t lost = read_beside(sealing_log);
    assert_true(lost > 0 && lost <= 6);
    struct kp_log_damage *damages;
    size_t count;
    kp_log_damages(sealing_log, &damages, &count);
    assert_int_equal(count, 1);
    assert_true(damages[0].topic == topic);
    kp_free(damages);
    kp_log_close(sealing_log);
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
        struct kp_log_sealed before, after;
        kp_log_sealed(log, &before);
        kp_log_close(log);
        int lists = 0;
        remove_snapshot();
        assert_int_equal(kp_inspect_blocks(kp_os_real(), dir, blank_lists, &lists, &err), KP_OK);
        assert_true(lists > 0);
        log = open_log(options);
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), total);
        kp_log_sealed(log, &after); /* what was written is counted again, as far as it is there */
        assert_true(after.batch_bytes > before.batch_bytes / 5 * 4 && after.batch_bytes <= before.batch_bytes / 4 * 5);
        assert_true(after.journal_bytes > after.batch_bytes && after.extent_bytes > before.extent_bytes / 2);
        assert_true(kp_log_write_amplification(&after) > 1 && kp_log_write_amplification(&after) < 3);
    }
    kp_log_close(log);
}

static void note_extents(void *arg, const char *name)
{
    char(*names)[40] = arg;
    while (names[0][0])
        names++;
    if (strstr(name, ".extent"))
        snprintf(names[0], sizeof names[0], "%s", name);
}

/* Zeroes it, and keeps what it was in ret_bytes; or puts that back. */
static void swap_extent(const char *name, struct kp_buf *bytes)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    size_t len = (size_t)ftell(file);
    rewind(file);
    if (!bytes->len) {
        assert_int_equal(fread(kp_buf_reserve(bytes, len), 1, len, file), len);
        bytes->len = len;
        rewind(file);
        for (size_t i = 0; i < len; i++)
            fputc(0, file);
    } else {
        assert_int_equal(fwrite(bytes->data, 1, bytes->len, file), bytes->len);
    }
    fclose(file);
}

/* The same, and an extent, too: the log is only read, and all but what that one held is. */
static void damage_lists_and_extents(void **state)
{
    struct kp_log_options options = {.os = kp_os_real(),
                                     .dir = dir,
                                     .journal_file_bytes = 64 << 10,
                                     .no_threads = true,
                                     .tail_bytes = 1,
                                     .seal_bytes = 1};
    struct kp_log *log = open_log(options);
    struct kp_error err;
    uint32_t topic;
    char names[40][40] = {{0}};
    int lists = 0;
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topic, &err), KP_OK);
    for (int rounds = 0; rounds < 7; rounds++) {
        for (int tag = 0; tag < 60; tag++)
            append(log, topic, 0, tag, 2, 2500);
        for (bool did = true; did;)
            assert_int_equal(kp_log_maintain(log, &did, &err), KP_OK);
    }
    int64_t total = kp_log_position(log), lost_all = 0;
    kp_log_close(log);
    remove_snapshot();
    assert_int_equal(kp_inspect_blocks(kp_os_real(), dir, blank_lists, &lists, &err), KP_OK);
    assert_true(lists > 0);
    assert_int_equal(kp_os_real()->list(NULL, dir, note_extents, names, &err), KP_OK);
    assert_true(names[2][0]);
    for (size_t i = 0; names[i][0]; i++) {
        struct kp_buf bytes = {0};
        swap_extent(names[i], &bytes);
        options.read_only = false;
        assert_int_equal(kp_log_open(&options, &log, &err), KP_CORRUPT);
        assert_non_null(strstr(err.message, "which extents count has rotted, and so has an extent"));
        assert_non_null(strstr(err.hint, "kappa log export"));
        options.read_only = true;
        assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
        int64_t lost = read_beside(log);
        assert_true(lost > 0 && lost < total);
        assert_int_equal(kp_log_position(log), total);
        lost_all += lost;
        kp_log_close(log);
        swap_extent(names[i], &bytes);
        kp_buf_finish(&bytes);
    }
    options.read_only = false;
    log = open_log(options);
    assert_int_equal(read_all(log, 1 << 20, NULL, 0), total);
    struct kp_log_sealed in_extents;
    kp_log_sealed(log, &in_extents);
    assert_int_equal(lost_all, in_extents.position); /* each of them its own records, and no others */
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
    blank(1, (5 << 12) + 5 * (2 << 12), 4 << 12);                                  /* t's last, and cold's */
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

/* The header of the next file, which holds no block yet, rots: nothing is lost, and the log goes on. */
static void unused_file(void **state)
{
    struct kp_log_options options = {.no_threads = true, .journal_file_bytes = 256 << 10};
    struct kp_error err;
    uint32_t topic;
    struct kp_log *log = open_log(options);
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topic, &err), KP_OK);
    append(log, topic, 0, 1, 3, 100000);
    uint64_t next = log->journal.end.file_number + 1;
    char *path = kp_journal_path(dir, next, KP_JOURNAL_SUFFIX);
    kp_log_close(log);
    if (access(path, F_OK) != 0) { /* as the thread prepares it */
        char *last = kp_journal_path(dir, next - 1, KP_JOURNAL_SUFFIX);
        FILE *from = fopen(last, "rb"), *to = fopen(path, "wb");
        static char bytes[512 << 10];
        size_t got = fread(bytes, 1, sizeof bytes, from);
        memset(bytes + KP_SECTOR_BYTES, 0, got - KP_SECTOR_BYTES);
        assert_int_equal(fwrite(bytes, 1, got, to), got);
        fclose(from);
        fclose(to);
        kp_free(last);
    }
    FILE *file = fopen(path, "r+b");
    assert_int_equal(fseek(file, 21, SEEK_SET), 0);
    assert_int_equal(fputc(0x55, file), 0x55);
    fclose(file);
    struct kp_inspect_report report;
    unsigned problems = 0;
    assert_int_equal(kp_inspect_verify(kp_os_real(), dir, count_problem, &problems, &report, &err), KP_OK);
    assert_true(problems > 0);
    for (int round = 0; round < 3; round++) {
        log = open_log(options);
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), 3 + 6 * round);
        append(log, topic, 0, 2, 3, 100000);
        append(log, topic, 0, 3, 3, 100000);
        kp_log_close(log);
    }
    kp_free(path);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(damage, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_of_topics, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_of_makings, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_of_skips, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_of_names, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_beside, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_meanwhile, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_unknown, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_lists, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_lists_and_extents, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(unused_file, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(unknown_format, fresh_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
