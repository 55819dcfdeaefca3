/* Looking into a log's files: what is listed, what is verified, what damage is named. */
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

#include "log/extent.h"
#include "log/inspect.h"

static char dir[64];

static void remove_name(void *arg, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

enum { TAGS = 30, RECORDS = 3 };

static void append_tag(struct kp_log *log, uint32_t topic, int tag)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_error err;
    char value[5000];
    memset(value, 'x', sizeof value);
    for (int i = 0; i < RECORDS; i++) {
        int len = snprintf(value, 32, "%d-%d", tag, i);
        value[len] = ' ';
        kp_record_batch_add(&builder, tag, (struct kp_str){0}, (struct kp_str){value, sizeof value / 3},
                            (struct kp_str){0});
    }
    assert_int_equal(kp_record_batch_build(&builder, tag % 2 ? KP_CODEC_NONE : KP_CODEC_LZ4, &batch, &err), KP_OK);
    kp_record_batch_builder_finish(&builder);
    struct kp_log_entry entry = {
        .topic = topic, .partition = (uint32_t)tag % 2, .batch = batch.data, .bytes = batch.len};
    int64_t end;
    assert_int_equal(kp_log_append(log, &entry, 1, &end, &err), KP_OK);
    kp_buf_finish(&batch);
}

/* A log of one topic of two partitions, in several files. */
static int make_log(void **state)
{
    strcpy(dir, "/tmp/kappa-inspect-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir, .journal_file_bytes = 64 << 10};
    struct kp_log *log;
    struct kp_error err;
    uint32_t topic;
    assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "bid", 2, &topic, &err), KP_OK);
    for (int tag = 0; tag < TAGS; tag++)
        append_tag(log, topic, tag);
    kp_log_close(log);
    return 0;
}

/* Appends, and seals all but the last file. */
static void append_and_seal(int tags)
{
    struct kp_log_options options = {
        .os = kp_os_real(), .dir = dir, .no_threads = true, .journal_file_bytes = 64 << 10, .seal_bytes = 1};
    options.extent_own_bytes = 30 << 10;
    struct kp_log *log;
    struct kp_error err;
    assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
    for (int tag = 0; tag < tags; tag++)
        append_tag(log, 1, tag);
    for (bool more = true; more;)
        assert_int_equal(kp_log_maintain(log, &more, &err), KP_OK);
    kp_log_close(log);
}

/* The same, with all but its last file sealed. */
static int make_sealed_log(void **state)
{
    int made = make_log(state);
    append_and_seal(0);
    return made;
}

static int remove_log(void **state)
{
    struct kp_error err;
    (void)!kp_os_real()->list(NULL, dir, remove_name, NULL, &err);
    return rmdir(dir);
}

struct places {
    uint64_t files[64], offsets[64], bytes[64];
    size_t count;
};

static bool note_block(void *arg, const struct kp_inspect_block *block)
{
    struct places *places = arg;
    assert_int_equal(block->state, KP_INSPECT_OK);
    assert_null(block->wrong);
    assert_int_equal(block->header->sequence, places->count + 1);
    places->files[places->count] = block->file_number;
    places->offsets[places->count] = block->offset;
    places->bytes[places->count++] = block->bytes;
    return true;
}

static bool check_record(void *arg, const struct kp_inspect_record *record)
{
    int64_t *expected = arg;
    char value[32];
    assert_int_equal(record->offset, *expected);
    assert_int_equal(record->partition, 1);
    assert_string_equal(record->topic, "bid");
    int64_t tag = record->offset / RECORDS * 2 + 1;
    snprintf(value, sizeof value, "%d-%d ", (int)tag, (int)(record->offset % RECORDS));
    assert_memory_equal(record->record.value.ptr, value, strlen(value));
    assert_int_equal(record->position, tag * RECORDS + record->offset % RECORDS);
    ++*expected;
    return true;
}

static void intact(void **state)
{
    struct places places = {0};
    struct kp_error err;
    struct kp_inspect_report report;
    assert_int_equal(kp_inspect_blocks(kp_os_real(), dir, note_block, &places, &err), KP_OK);
    assert_int_equal(places.count, TAGS + 3); /* the topic twice, the appends, the closing block */
    assert_true(places.files[places.count - 1] > 1);
    assert_int_equal(kp_inspect_verify(kp_os_real(), dir, NULL, NULL, &report, &err), KP_OK);
    assert_int_equal(report.problems, 0);
    assert_int_equal(report.records, TAGS * RECORDS);
    assert_int_equal(report.position_end, TAGS * RECORDS);
    assert_int_equal(report.batches, TAGS);
    assert_true(report.closed && !report.cut_tail);
    struct kp_inspect_filter filter = {.topic = "bid", .partition = 1, .offset_from = 4, .offset_end = 17};
    int64_t expected = 4;
    assert_int_equal(kp_inspect_records(kp_os_real(), dir, &filter, check_record, &expected, &err), KP_OK);
    assert_int_equal(expected, 17);
}

static void flip_at(const char *path, uint64_t offset)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, (long)offset, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, (long)offset, SEEK_SET);
    fputc(byte ^ 1, file);
    fclose(file);
}

static void flip(uint64_t file_number, uint64_t offset)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%08d.journal", dir, (int)file_number);
    flip_at(path, offset);
}

static void keep_text(void *arg, const char *text)
{
    char *kept = arg;
    if (!*kept)
        snprintf(kept, 600, "%s", text);
}

/* One flip, in a header or in entries of any block: exactly one place is named, everything else is still read. */
static void damaged(void **state)
{
    struct places places = {0};
    struct kp_error err;
    assert_int_equal(kp_inspect_blocks(kp_os_real(), dir, note_block, &places, &err), KP_OK);
    for (size_t i = 0; i + 1 < places.count; i++)
        for (uint64_t at = 20; at < 300; at += 150) {
            flip(places.files[i], places.offsets[i] + at);
            struct kp_inspect_report report;
            char text[600] = "", expected[100];
            assert_int_equal(kp_inspect_verify(kp_os_real(), dir, keep_text, text, &report, &err), KP_OK);
            flip(places.files[i], places.offsets[i] + at);
            if (i < 2 && at > 128)
                continue; /* padding of a block that makes the topic */
            assert_true(report.problems > 0);
            snprintf(expected, sizeof expected, "file %d, byte %d", (int)places.files[i], (int)places.offsets[i]);
            bool last_of_file = places.files[i + 1] != places.files[i];
            if (!last_of_file || at > 128)
                assert_non_null(strstr(text, expected));
            assert_int_equal(report.records, (i < 2 ? TAGS : TAGS - 1) * RECORDS);
        }
}

static int64_t count_records(struct kp_log *log)
{
    int64_t count = 0;
    for (int64_t position = 0; position < kp_log_position(log);) {
        struct kp_log_span span;
        struct kp_error err;
        assert_int_equal(kp_log_read(log, position, INT64_MAX, 1 << 20, NULL, 0, &span, &err), KP_OK);
        for (size_t i = 0; i < span.count; i++)
            count += span.chunks[i].records;
        position = span.position_end;
        kp_log_span_release(&span);
    }
    return count;
}

/* A file that was made shorter, between two of its blocks: what is left is whole, and verify says that there was more.
 */
static void shortened(void **state)
{
    struct places blocks = {0};
    struct kp_error err;
    assert_int_equal(kp_inspect_blocks(kp_os_real(), dir, note_block, &blocks, &err), KP_OK);
    for (size_t i = blocks.count - 1; i > 0; i--) {
        char text[600] = "", path[128];
        struct kp_inspect_report report;
        if (blocks.files[i] != blocks.files[i - 1])
            break;
        snprintf(path, sizeof path, "%s/%08llu.journal", dir, (unsigned long long)blocks.files[i]);
        assert_int_equal(truncate(path, (off_t)blocks.offsets[i]), 0);
        assert_int_equal(kp_inspect_verify(kp_os_real(), dir, keep_text, text, &report, &err), KP_OK);
        assert_int_equal(report.problems, 1);
        assert_non_null(strstr(text, "the file ends here"));
    }
}

/* One before the last has lost its end: the log is refused, and with the size given back it opens and tells the damage.
 */
static void given_back(void **state)
{
    struct places blocks = {0};
    struct kp_error err;
    assert_int_equal(kp_inspect_blocks(kp_os_real(), dir, note_block, &blocks, &err), KP_OK);
    for (size_t i = 2; i < blocks.count; i++) {
        struct kp_log_options options = {.os = kp_os_real(), .dir = dir, .journal_file_bytes = 64 << 10};
        struct kp_log *log;
        struct stat was;
        char path[128];
        if (blocks.files[i] == blocks.files[i - 1] || blocks.files[i] == blocks.files[blocks.count - 1])
            continue;
        snprintf(path, sizeof path, "%s/%08llu.journal", dir, (unsigned long long)blocks.files[i - 1]);
        assert_int_equal(stat(path, &was), 0);
        assert_int_equal(truncate(path, (off_t)blocks.offsets[i - 1]), 0);
        assert_int_equal(kp_log_open(&options, &log, &err), KP_CORRUPT);
        assert_non_null(strstr(err.hint, "give it its size back"));
        assert_int_equal(truncate(path, was.st_size), 0);
        assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
        assert_int_equal(kp_log_position(log), TAGS * RECORDS);
        kp_log_close(log);
        return;
    }
    fail_msg("no file that is not the last has two blocks");
}

/* Bytes that somebody put behind a file's end are no data: all is read, with a part of a sector, too. */
static void lengthened(void **state)
{
    static const size_t more[] = {1, 5000, 8192};
    struct places blocks = {0};
    struct kp_error err;
    assert_int_equal(kp_inspect_blocks(kp_os_real(), dir, note_block, &blocks, &err), KP_OK);
    for (uint64_t number = 1; number <= blocks.files[blocks.count - 1]; number++) {
        char path[128];
        struct stat was;
        snprintf(path, sizeof path, "%s/%08llu.journal", dir, (unsigned long long)number);
        assert_int_equal(stat(path, &was), 0);
        for (size_t i = 0; i < KP_COUNT(more); i++) {
            struct kp_log_options options = {
                .os = kp_os_real(), .dir = dir, .journal_file_bytes = 64 << 10, .read_only = i < 2};
            struct kp_log *log;
            struct kp_inspect_report report;
            FILE *file = fopen(path, "ab");
            assert_non_null(file);
            for (size_t at = 0; at < more[i]; at++)
                fputc('x', file);
            fclose(file);
            assert_int_equal(kp_inspect_verify(kp_os_real(), dir, NULL, NULL, &report, &err), KP_OK);
            assert_int_equal(report.problems, 0);
            if (kp_log_open(&options, &log, &err) != KP_OK)
                fail_msg("%s: %s", path, err.message);
            assert_int_equal(count_records(log), TAGS * RECORDS);
            kp_log_close(log);
            assert_int_equal(truncate(path, was.st_size), 0);
        }
    }
}

static void note_extent(void *arg, const char *name)
{
    char(*names)[400] = arg;
    while (strstr(name, ".extent") && names[0][0])
        names++;
    if (strstr(name, ".extent"))
        snprintf(names[0], sizeof names[0], "%s/%s", dir, name);
}

static int gone_left; /* so many extents go, one each time they are looked at */

static enum kp_code open_and_go(void *ctx, const char *path, unsigned flags, struct kp_file **ret_file,
                                struct kp_error *err)
{
    static char before[400];
    if (gone_left > 0 && strstr(path, ".extent") && strcmp(path, before) != 0) {
        snprintf(before, sizeof before, "%s", path);
        gone_left--;
        return kp_fail(err, KP_NOT_FOUND, "58P01", "file \"%s\" does not exist", path);
    }
    return kp_os_real()->open(ctx, path, flags, ret_file, err);
}

/* Of a log in use extents go while they are looked at, another one each time: that is no damage. */
static void merged_meanwhile(void **state)
{
    struct kp_os os = *kp_os_real();
    struct kp_inspect_report report;
    struct kp_error err;
    os.open = open_and_go;
    gone_left = 5;
    assert_int_equal(kp_inspect_verify(&os, dir, NULL, NULL, &report, &err), KP_OK);
    assert_int_equal(gone_left, 0);
    assert_int_equal(report.problems, 0);
    assert_int_equal(report.records, TAGS * RECORDS);
}

static int rounds_left, opens;

static enum kp_code open_and_seal(void *ctx, const char *path, unsigned flags, struct kp_file **ret_file,
                                  struct kp_error *err)
{
    bool walked = strstr(path, ".journal") && (flags & KP_OPEN_DIRECT);
    if (rounds_left > 0 && walked && ++opens % 2 == 0) {
        rounds_left--;
        append_and_seal(TAGS);
    }
    return kp_os_real()->open(ctx, path, flags, ret_file, err);
}

/* Every other time that a file of the journal is about to be read it has been sealed, and journal goes on behind it:
 * what is left is verified, however often that happens. */
static void sealed_meanwhile(void **state)
{
    enum { ROUNDS = 120 };
    struct kp_os os = *kp_os_real();
    struct kp_inspect_report report;
    struct kp_error err;
    os.open = open_and_seal;
    rounds_left = ROUNDS;
    enum kp_code code = kp_inspect_verify(&os, dir, NULL, NULL, &report, &err);
    if (code != KP_OK)
        fail_msg("%s, %d rounds left", err.message, rounds_left);
    assert_int_equal(report.problems, 0);
    rounds_left = 0;
    assert_int_equal(kp_inspect_verify(&os, dir, NULL, NULL, &report, &err), KP_OK);
    assert_int_equal(report.problems, 0);
    assert_true(report.records > TAGS * RECORDS);
}

/* A rotten bit of an extent's header, which readers mend, is told as that. */
static void mended(void **state)
{
    struct kp_error err;
    struct kp_inspect_report report;
    char names[32][400] = {{0}};
    assert_int_equal(kp_os_real()->list(NULL, dir, note_extent, names, &err), KP_OK);
    for (int i = 0; names[i][0]; i++) {
        flip_at(names[i], 65);
        assert_int_equal(kp_inspect_verify(kp_os_real(), dir, NULL, NULL, &report, &err), KP_OK);
        assert_true(report.problems > 0 && report.mended == report.problems);
        flip_at(names[i], 65);
    }
}

static void count_notice(void *arg, const char *text)
{
    assert_non_null(strstr(text, "the disk rots"));
    ++*(int *)arg;
}

static void read_all(struct kp_log *log)
{
    struct kp_log_span span;
    struct kp_error err;
    for (int64_t position = 0; position < TAGS * RECORDS;) {
        assert_int_equal(kp_log_read(log, position, INT64_MAX, 10000, NULL, 0, &span, &err), KP_OK);
        assert_true(span.position_end > position);
        position = span.position_end;
        kp_log_span_release(&span);
    }
    for (uint32_t p = 0; p < 2; p++)
        for (int64_t offset = 0; offset < TAGS / 2 * RECORDS; offset += RECORDS) {
            struct kp_buf out = {0};
            assert_int_equal(kp_log_fetch(log, 1, p, offset, 1, &out, &err), KP_OK);
            kp_buf_finish(&out);
        }
}

/* A rotten byte of the extent that readers mend is told once, however often it is read, and listed with its place. */
static void check_told(const struct kp_extent_header *header, uint64_t place, uint64_t section)
{
    int notices = 0;
    struct kp_log_options options = {
        .os = kp_os_real(), .dir = dir, .read_only = true, .notice = count_notice, .notice_arg = &notices};
    struct kp_log *log;
    struct kp_log_damage *damages;
    size_t count;
    struct kp_error err;
    char path[400];
    snprintf(path, sizeof path, "%s/%08llu.extent", dir, (unsigned long long)header->number);
    flip_at(path, place);
    assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
    for (int i = 0; i < 3; i++)
        read_all(log);
    kp_log_damages(log, &damages, &count);
    assert_int_equal(notices, 1);
    assert_int_equal(count, 1);
    assert_true(damages->mended && !damages->topic && damages->wrong);
    assert_int_equal(damages->extent, header->number);
    assert_int_equal(damages->file_offset, section);
    assert_int_equal(damages->position, header->position);
    assert_int_equal(damages->position_end, header->position_end);
    kp_free(damages);
    kp_log_close(log);
    flip_at(path, place);
}

static void mended_told(void **state)
{
    struct kp_error err;
    char names[32][400] = {{0}};
    int mixed = 0;
    assert_int_equal(kp_os_real()->list(NULL, dir, note_extent, names, &err), KP_OK);
    for (int i = 0; names[i][0]; i++) {
        struct kp_extent_header header;
        uint64_t number = strtoull(strrchr(names[i], '/') + 1, NULL, 10);
        assert_int_equal(kp_extent_header_read(kp_os_real(), dir, number, true, &header, &err), KP_OK);
        if (header.kind != KP_EXTENT_MIXED)
            continue;
        mixed++;
        check_told(&header, 65, 0);
        check_told(&header, header.runs_at + 9, header.runs_at);
        check_told(&header, header.order_at + 70, header.order_at);
        check_told(&header, header.index_at + 3, header.index_at);
    }
    assert_true(mixed > 0);
}

/* What is missing is named, with what can be done. */
static void missing(void **state)
{
    struct kp_error err;
    char names[32][400] = {{0}}, aside[420];
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir, .read_only = true};
    assert_int_equal(kp_os_real()->list(NULL, dir, note_extent, names, &err), KP_OK);
    int named = 0;
    for (int i = 0; names[i][0]; i++) {
        struct kp_log *log;
        snprintf(aside, sizeof aside, "%s.aside", names[i]);
        assert_int_equal(rename(names[i], aside), 0);
        if (kp_log_open(&options, &log, &err) == KP_OK) { /* reading there fails, and beside it goes on */
            struct kp_inspect_report report;
            kp_log_close(log);
            named += kp_inspect_verify(kp_os_real(), dir, NULL, NULL, &report, &err) == KP_OK && report.problems > 0;
        } else {
            assert_non_null(strstr(err.message, "and so is the extent that they became"));
            assert_non_null(strstr(err.hint, "restore a backup"));
        }
        assert_int_equal(rename(aside, names[i]), 0);
    }
    assert_true(named > 0);
}

/* Files' own headers rot: their blocks say what they are, and all is read; told of. Not without a block. */
static void file_headers(void **state)
{
    static const uint64_t places[] = {0, 20, 30, 60}; /* magic, generation, number, checksum */
    struct places blocks = {0};
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir, .journal_file_bytes = 64 << 10};
    struct kp_log *log;
    struct kp_error err;
    assert_int_equal(kp_inspect_blocks(kp_os_real(), dir, note_block, &blocks, &err), KP_OK);
    uint64_t last = blocks.files[blocks.count - 1];
    for (size_t i = 0; i < KP_COUNT(places); i++) {
        char text[600] = "";
        struct kp_inspect_report report;
        options.read_only = i == 0;
        flip(1, places[i]);
        flip(last, places[i]);
        assert_int_equal(kp_inspect_verify(kp_os_real(), dir, keep_text, text, &report, &err), KP_OK);
        assert_non_null(strstr(text, "the file's header is damaged"));
        assert_int_equal(report.problems, 2);
        assert_int_equal(report.records, TAGS * RECORDS);
        assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
        assert_int_equal(count_records(log), TAGS * RECORDS);
        kp_log_close(log);
        flip(1, places[i]);
        flip(last, places[i]);
    }
    flip(last, 60);
    flip(last, 4096);
    assert_int_equal(kp_log_open(&options, &log, &err), KP_CORRUPT);
    assert_non_null(strstr(err.message, "its header fails its checksum"));
}

/* Sealed records are listed and verified like others; every flip in what is used of an extent is found. */
static void sealed(void **state)
{
    struct kp_error err;
    struct kp_inspect_report report;
    char names[32][400] = {{0}};
    assert_int_equal(kp_inspect_verify(kp_os_real(), dir, NULL, NULL, &report, &err), KP_OK);
    assert_int_equal(report.problems, 0);
    assert_int_equal(report.records, TAGS * RECORDS);
    assert_int_equal(report.position_end, TAGS * RECORDS);
    assert_true(report.extents > 1 && report.sealed_written_bytes > report.sealed_batch_bytes);
    struct kp_inspect_filter filter = {.topic = "bid", .partition = 1, .offset_from = 4, .offset_end = 17};
    int64_t expected = 4;
    assert_int_equal(kp_inspect_records(kp_os_real(), dir, &filter, check_record, &expected, &err), KP_OK);
    assert_int_equal(expected, 17);
    assert_int_equal(kp_os_real()->list(NULL, dir, note_extent, names, &err), KP_OK);
    int found = 0, padding = 0;
    for (int i = 0; names[i][0]; i++) {
        FILE *file = fopen(names[i], "r+b");
        assert_non_null(file);
        assert_int_equal(fseek(file, 0, SEEK_END), 0);
        long size = ftell(file);
        for (long at = 40; at < size; at += 1237) {
            fseek(file, at, SEEK_SET);
            int byte = fgetc(file);
            fseek(file, at, SEEK_SET);
            fputc(byte ^ 4, file);
            fflush(file);
            enum kp_code code = kp_inspect_verify(kp_os_real(), dir, NULL, NULL, &report, &err);
            bool seen = code == KP_CORRUPT || (code == KP_OK && report.problems > 0);
            assert_true(seen || byte == 0);
            found += seen;
            padding += !seen;
            fseek(file, at, SEEK_SET);
            fputc(byte, file);
            fflush(file);
        }
        fclose(file);
    }
    assert_true(found > padding);
}

/* ---- in use ---- */

static int looks;   /* how often the folder was listed */
static int changed; /* the last time that something was read otherwise: once each time, in the first file */

static enum kp_code list_again(void *ctx, const char *path, void (*each)(void *arg, const char *name), void *arg,
                               struct kp_error *err)
{
    looks++;
    return kp_os_real()->list(ctx, path, each, arg, err);
}

/* Each time another block is not as it was. */
static enum kp_code read_changing(void *ctx, struct kp_file *file, void *bytes, size_t len, uint64_t offset,
                                  size_t *ret_len, struct kp_error *err)
{
    enum { SECTORS = 13 };
    uint64_t at = (uint64_t)(2 + looks % SECTORS) * 4096 + 200;
    KP_TRY(kp_os_real()->pread(ctx, file, bytes, len, offset, ret_len, err));
    if (at >= offset && at < offset + *ret_len && changed != looks) {
        ((uint8_t *)bytes)[at - offset] ^= 1;
        changed = looks;
    }
    return KP_OK;
}

static void count_text(void *arg, const char *text)
{
    ++*(uint64_t *)arg;
}

/* What a writer changes meanwhile is no damage; what rotted is told beside it. */
static void in_use(void **state)
{
    struct kp_os changing = *kp_os_real();
    struct kp_inspect_report report;
    struct kp_error err;
    uint64_t rotten = 0, told = 0;
    changing.list = list_again;
    changing.pread = read_changing;
    assert_int_equal(kp_inspect_verify(&changing, dir, count_text, &told, &report, &err), KP_OK);
    assert_int_equal(told, 0);
    assert_int_equal(report.problems, 0);
    assert_true(report.changed > 0);
    flip(3, 4096 + 300);
    assert_int_equal(kp_inspect_verify(kp_os_real(), dir, count_text, &rotten, &report, &err), KP_OK);
    assert_int_equal(report.changed, 0);
    assert_int_equal(kp_inspect_verify(&changing, dir, count_text, &told, &report, &err), KP_OK);
    assert_true(rotten > 0 && told == rotten);
    assert_int_equal(report.problems, told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(intact, make_log, remove_log),
        cmocka_unit_test_setup_teardown(damaged, make_log, remove_log),
        cmocka_unit_test_setup_teardown(shortened, make_log, remove_log),
        cmocka_unit_test_setup_teardown(given_back, make_log, remove_log),
        cmocka_unit_test_setup_teardown(lengthened, make_log, remove_log),
        cmocka_unit_test_setup_teardown(file_headers, make_log, remove_log),
        cmocka_unit_test_setup_teardown(mended, make_sealed_log, remove_log),
        cmocka_unit_test_setup_teardown(mended_told, make_sealed_log, remove_log),
        cmocka_unit_test_setup_teardown(missing, make_sealed_log, remove_log),
        cmocka_unit_test_setup_teardown(merged_meanwhile, make_sealed_log, remove_log),
        cmocka_unit_test_setup_teardown(sealed_meanwhile, make_sealed_log, remove_log),
        cmocka_unit_test_setup_teardown(sealed, make_sealed_log, remove_log),
        cmocka_unit_test_setup_teardown(in_use, make_log, remove_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
