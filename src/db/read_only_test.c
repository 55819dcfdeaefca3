/*
 * An instance whose log is only read. The power went between a decision that records go and their trimming: what a base
 * has of them does not count twice there either, and nothing is written.
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
#include "db/db.h"
#include "log/files.h"
#include "log/inspect.h"
#include "log/scan.h"

static char dir[64];
static struct kp_db *db;
static struct kp_session *session;

static void open_db(bool read_only)
{
    struct kp_error err;
    const struct kp_db_options options = {.dir = dir, .workers = 1, .read_only = read_only};
    if (kp_db_open(&options, &db, &err) != KP_OK)
        fail_msg("cannot open: %s", err.message);
    assert_true(kp_db_wait_ready(db, 60000000));
    const struct kp_session_options session_options = {0};
    assert_int_equal(kp_session_open(db, &session_options, &session, &err), KP_OK);
}

static void close_db(void)
{
    kp_session_close(session);
    kp_db_close(db);
}

/* All rows as text; the caller frees. */
static char *ask(const char *sql)
{
    struct kp_prepared *prepared;
    struct kp_cursor *cursor;
    struct kp_error err;
    struct kp_buf out = {0};
    if (kp_prepare(session, kp_str(sql), NULL, 0, &prepared, &err) != KP_OK ||
        kp_execute(session, prepared, NULL, 0, &cursor, &err) != KP_OK)
        fail_msg("%s: %s", sql, err.message);
    for (bool done = false; !done;) {
        struct kp_batch *batch;
        if (kp_cursor_next(cursor, 0, -1, &batch, &done, &err) != KP_OK)
            fail_msg("%s: %s", sql, err.message);
        for (uint32_t i = 0; batch && i < batch->rows; i++)
            for (uint32_t c = 0; c < batch->cols; c++) {
                kp_value_print(batch->vecs[c].type, kp_vec_at(&batch->vecs[c], i), NULL, &out);
                kp_buf_append_byte(&out, c + 1 < batch->cols ? '|' : '\n');
            }
    }
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
    kp_buf_append_byte(&out, 0);
    return (char *)out.data;
}

static void assert_answer(const char *sql, const char *expected)
{
    char *got = ask(sql);
    assert_string_equal(got, expected);
    kp_free(got);
}

static void run(const char *sql)
{
    kp_free(ask(sql));
}

/* ---- the crash ---- */

struct cut {
    uint64_t file_number, offset; /* of the block that trims; 0: none yet */
    uint64_t end;                 /* behind the file's last block */
};

static bool find_trim(void *arg, const struct kp_inspect_block *block)
{
    struct cut *cut = arg;
    const struct kp_entry_header *entry;
    const char *wrong;
    assert_int_equal(block->state, KP_INSPECT_OK);
    assert_true(!cut->offset || block->file_number == cut->file_number);
    cut->end = block->offset + block->bytes;
    struct kp_entry_walk walk = kp_entry_walk_start(block->header);
    if (!cut->offset && kp_entry_walk_next(&walk, &entry, &wrong) && entry->kind == KP_ENTRY_TRIM) {
        cut->file_number = block->file_number;
        cut->offset = block->offset;
    }
    return true;
}

/* The power went before the records were trimmed. */
static void cut_trim(void)
{
    struct cut cut = {0};
    struct kp_error err;
    assert_int_equal(kp_inspect_blocks(kp_os_real(), dir, find_trim, &cut, &err), KP_OK);
    assert_true(cut.offset > 0);
    char *path = kp_journal_path(dir, cut.file_number, KP_JOURNAL_SUFFIX);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, (long)cut.offset, SEEK_SET);
    for (uint64_t at = cut.offset; at < cut.end; at++)
        fputc(0, file);
    fclose(file);
    kp_free(path);
    path = kp_files_path(dir, "snapshot", "");
    assert_int_equal(unlink(path), 0);
    kp_free(path);
}

/* Of all that the log has in files. */
static void add_checksum(void *arg, const char *name)
{
    char path[512];
    static uint8_t bytes[1 << 16];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return; /* a folder */
    uint32_t crc = kp_crc32c(0, name, strlen(name));
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, file)) > 0;)
        crc = kp_crc32c(crc, bytes, got);
    fclose(file);
    *(uint64_t *)arg += crc;
}

static uint64_t checksum(void)
{
    struct kp_os *os = kp_os_real();
    uint64_t sum = 0;
    struct kp_error err;
    assert_int_equal(os->list(os->ctx, dir, add_checksum, &sum, &err), KP_OK);
    return sum;
}

static void decided_and_not_trimmed(void **state)
{
    static const char sums[] = "SELECT k, total FROM sums ORDER BY k", both[] = "1|5\n2|7\n";
    strcpy(dir, "/tmp/kappa-read-only-XXXXXX");
    assert_non_null(mkdtemp(dir));
    open_db(false);
    run("CREATE SOURCE s (k int, v int) WITH (topic = 's')");
    run("CREATE MATERIALIZED VIEW sums AS SELECT k, sum(v) AS total FROM s GROUP BY k");
    run("INSERT INTO s VALUES (1, 2), (1, 3), (2, 7)");
    run("ALTER TOPIC s DELETE BEFORE END");
    assert_answer(sums, both);
    close_db();
    cut_trim();
    uint64_t before = checksum();
    for (int i = 0; i < 2; i++) {
        open_db(true);
        assert_answer(sums, both);
        assert_answer("SELECT count(*) FROM s", "0\n");
        assert_answer("SELECT start_offset, records FROM kappa.topics WHERE name = 's'", "3|0\n");
        close_db();
        assert_true(checksum() == before);
    }
    open_db(false);
    assert_answer(sums, both);
    run("INSERT INTO s VALUES (2, 1)");
    assert_answer(sums, "1|5\n2|8\n");
    close_db();
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(decided_and_not_trimmed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
