/*
 * A census of the files in a log's folder: of each kind a bit that rots is told by kp_inspect_verify, with the file's
 * name, or nothing depends on what it holds. A file of another kind fails this test: it is to be put into one of the
 * two, and into docs/log.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log/dir_test.h"
#include "log/inspect.h"

enum { ROUNDS = 40, PLACES = 25 };

static const struct kp_log_options options = {.no_threads = true,
                                              .tail_bytes = 1,
                                              .journal_file_bytes = 256 << 10,
                                              .seal_bytes = 1,
                                              .extent_own_bytes = 64 << 10,
                                              .adopt_block_bytes = 4 << 10};

static void maintain(struct kp_log *log)
{
    struct kp_error err;
    for (bool did = true; did;)
        assert_int_equal(kp_log_maintain(log, &did, &err), KP_OK);
}

/* Large batches first, which are adopted; then small ones of many partitions, which are sorted into extents. */
static void fill(void)
{
    struct kp_log *log = open_log(options);
    struct kp_error err;
    uint32_t large, small;
    assert_int_equal(kp_log_topic_create(log, "large", 1, &large, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "small", 8, &small, &err), KP_OK);
    for (int tag = 0; tag < ROUNDS; tag++)
        append(log, large, 0, tag, 2, 10000);
    for (int tag = 0; tag < 4 * ROUNDS; tag++)
        append(log, small, (uint32_t)tag % 8, tag, 3, 500);
    append(log, large, 0, 0, 2, 50000);
    maintain(log);
    kp_log_close(log);
}

/* ---- kinds ---- */

static const struct kind {
    const char *end; /* of its name */
    bool told;       /* else nothing depends on what it holds */
} kinds[] = {{".journal", true}, {".extent", true}, {".adopted", true},
             {"snapshot", true}, {"lock", false},   {"reserve", false}};

static struct file {
    char name[64];
    const struct kind *kind;
} files[64];
static size_t file_count;

static void add_file(void *arg, const char *name)
{
    assert_true(file_count < KP_COUNT(files));
    struct file *file = &files[file_count++];
    snprintf(file->name, sizeof file->name, "%s", name);
    file->kind = NULL;
    for (size_t i = 0; i < KP_COUNT(kinds); i++) {
        size_t len = strlen(kinds[i].end);
        if (strlen(name) >= len && strcmp(name + strlen(name) - len, kinds[i].end) == 0)
            file->kind = &kinds[i];
    }
    if (!file->kind)
        fail_msg("\"%s\" is a file of a new kind: does kp_inspect_verify tell when it rots?", name);
}

/* ---- rot ---- */

struct told {
    uint64_t number; /* of the file; 0: the snapshot */
    const char *what;
    unsigned problems, named;
};

static void note_problem(void *arg, const char *text)
{
    struct told *told = arg;
    char begin[64];
    if (told->number)
        snprintf(begin, sizeof begin, "%s %llu", told->what, (unsigned long long)told->number);
    else
        snprintf(begin, sizeof begin, "%s", told->what);
    told->problems++;
    told->named += strstr(text, begin) || strstr(text, dir);
}

static void verify(struct told *told)
{
    struct kp_inspect_report report;
    struct kp_error err;
    if (kp_inspect_verify(kp_os_real(), dir, note_problem, told, &report, &err) != KP_OK) {
        told->problems++;
        told->named += strstr(err.message, dir) != NULL;
    }
}

/* Up to where a file's bytes count: behind the last block of a journal file others are, of an earlier time. */
struct used {
    uint64_t number, end;
};

static bool note_end(void *arg, const struct kp_inspect_block *block)
{
    struct used *used = arg;
    if (block->file_number == used->number && block->state == KP_INSPECT_OK)
        used->end = block->offset + block->bytes;
    return true;
}

static void flip(const struct file *file, long at)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, file->name);
    FILE *stream = fopen(path, "r+b");
    assert_non_null(stream);
    fseek(stream, at, SEEK_SET);
    int byte = fgetc(stream);
    assert_true(byte != EOF);
    fseek(stream, at, SEEK_SET);
    fputc(byte ^ 0x10, stream);
    fclose(stream);
}

static char *read_file(const struct file *file, size_t *ret_bytes)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, file->name);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    fseek(stream, 0, SEEK_END);
    *ret_bytes = (size_t)ftell(stream);
    char *bytes = kp_alloc(*ret_bytes + 1);
    fseek(stream, 0, SEEK_SET);
    assert_int_equal(fread(bytes, 1, *ret_bytes, stream), *ret_bytes);
    fclose(stream);
    return bytes;
}

static void rot(const struct file *file)
{
    size_t len;
    char *bytes = read_file(file, &len);
    struct used used = {strtoull(file->name, NULL, 10), len};
    struct kp_error err;
    if (strcmp(file->kind->end, ".journal") == 0) {
        used.end = sizeof(struct kp_file_header);
        assert_int_equal(kp_inspect_blocks(kp_os_real(), dir, note_end, &used, &err), KP_OK);
    }
    size_t step = KP_MAX((size_t)used.end / PLACES, (size_t)1), flips = 0;
    for (size_t at = 0; at < used.end; at += step) {
        while (at < used.end && bytes[at] == 0 && file->kind->told) /* zeros fill up, and are no data */
            at++;
        if (at == used.end)
            break;
        struct told told = {.number = used.number, .what = used.number ? "" : file->name};
        flip(file, (long)at);
        verify(&told);
        flip(file, (long)at);
        flips++;
        if (file->kind->told ? !told.named : told.problems)
            fail_msg("%s, byte %zu: %u problems were told, %u of them with its name", file->name, at, told.problems,
                     told.named);
    }
    assert_true(flips > 0 || len == 0);
    kp_free(bytes);
}

static void census(void **state)
{
    struct kp_error err;
    struct told told = {.what = ""};
    fill();
    verify(&told);
    assert_int_equal(told.problems, 0);
    file_count = 0;
    assert_int_equal(kp_os_real()->list(NULL, dir, add_file, NULL, &err), KP_OK);
    for (size_t i = 0; i < KP_COUNT(kinds); i++) {
        bool seen = false;
        for (size_t f = 0; f < file_count; f++)
            seen = seen || files[f].kind == &kinds[i];
        if (!seen)
            fail_msg("there is no %s", kinds[i].end);
    }
    for (size_t f = 0; f < file_count; f++)
        rot(&files[f]);
}

/* A snapshot that has rotted or is cut off is passed over, told by verify, and written anew by the next start. */
static void snapshot(void **state)
{
    const struct file file = {.name = "snapshot"};
    size_t len;
    fill();
    char *bytes = read_file(&file, &len);
    kp_free(bytes);
    char path[160];
    snprintf(path, sizeof path, "%s/snapshot", dir);
    const long places[] = {0, 9, 40, 130, (long)len - 1};
    for (size_t i = 0; i <= KP_COUNT(places); i++) {
        struct told told = {.what = "snapshot"};
        if (i < KP_COUNT(places))
            flip(&file, places[i]);
        else
            assert_int_equal(truncate(path, 100), 0);
        verify(&told);
        assert_int_equal(told.named, 1);
        struct kp_log *log = open_log(options);
        assert_int_equal(read_all(log, 1 << 20, NULL, 0), 2 * (ROUNDS + 1) + 3 * 4 * ROUNDS);
        struct kp_log_recovered recovered;
        kp_log_recovered(log, &recovered);
        assert_false(recovered.snapshot);
        kp_log_close(log);
        told = (struct told){.what = "snapshot"};
        verify(&told);
        assert_int_equal(told.problems, 0);
    }
    assert_int_equal(unlink(path), 0); /* none is none */
    struct told told = {.what = "snapshot"};
    verify(&told);
    assert_int_equal(told.problems, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(census, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(snapshot, fresh_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
