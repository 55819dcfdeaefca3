/*
 * What frees room on a full disk while others append: a commit that found no room takes all down that waits behind it,
 * also what had the reserve given up for itself meanwhile. That is no answer for what frees room: it goes on.
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

#include "log/dir_test.h"
#include "log/internal.h"
#include "os/thread.h"

enum { FILE_BYTES = 256 << 10, PATIENCE_MS = 20000 };

static struct kp_os os;
static struct kp_log *the_log;
static uint32_t topic;
static _Atomic bool full; /* no journal file can be made */
static _Atomic int tries;

static void run_appender(void *arg)
{
    struct kp_buf batch = batch_of(1, 1, FILE_BYTES / 2);
    struct kp_log_entry entry = {.topic = topic, .batch = batch.data, .bytes = batch.len};
    struct kp_error err;
    enum kp_code *ret_code = arg;
    int64_t end;
    *ret_code = kp_log_append(the_log, &entry, 1, &end, &err);
    kp_buf_finish(&batch);
}

/* Until somebody has come to wait behind the commit that is under way. */
static void await_queued(void)
{
    for (int i = 0; i < PATIENCE_MS; i++) {
        kp_mutex_lock(&the_log->mutex);
        bool queued = the_log->first;
        kp_mutex_unlock(&the_log->mutex);
        if (queued)
            return;
        usleep(1000);
    }
}

static enum kp_code open_full(void *ctx, const char *path, unsigned flags, struct kp_file **ret_file,
                              struct kp_error *err)
{
    if (!full || !strstr(path, KP_JOURNAL_NEW_SUFFIX) || kp_reserve_given(&the_log->journal.reserve))
        return kp_os_real()->open(ctx, path, flags, ret_file, err);
    atomic_fetch_add(&tries, 1);
    await_queued();
    return kp_fail(err, KP_FULL, NULL, "no room");
}

static enum kp_code trim(int64_t before_offset, struct kp_error *err)
{
    struct kp_log_piece piece = {.header = {.kind = KP_ENTRY_TRIM, .topic = topic, .base_offset = before_offset},
                                 .payload = ""};
    kp_mutex_lock(&the_log->mutex);
    enum kp_code code = kp_log_enqueue_and_wait(the_log, &piece, 1, NULL, err);
    kp_mutex_unlock(&the_log->mutex);
    return code;
}

static void given_up_behind_a_refusal(void **state)
{
    struct kp_error err = {0};
    os = *kp_os_real();
    os.open = open_full;
    struct kp_log_options options = {.os = &os, .dir = dir, .no_threads = true, .journal_file_bytes = FILE_BYTES};
    assert_int_equal(kp_log_open(&options, &the_log, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(the_log, "t", 1, &topic, &err), KP_OK);
    append(the_log, topic, 0, 0, 3, FILE_BYTES * 5 / 16); /* what is left of the file is too little for any block */

    full = true;
    struct kp_thread appender;
    enum kp_code appended;
    kp_thread_start(&appender, "appender", 0, run_appender, &appended);
    for (int i = 0; i < PATIENCE_MS && !tries; i++)
        usleep(1000);
    assert_int_equal(tries, 1); /* its commit is under way, with the reserve still held */
    struct kp_room room = {.log = the_log};
    enum kp_code code = KP_FULL; /* so the first attempt had ended */
    int attempts = 0;
    for (; kp_room_make(&room, code); attempts++)
        code = trim(3, &err);
    kp_thread_join(&appender);
    assert_int_equal(appended, KP_FULL);
    if (code != KP_OK)
        fail_msg("what frees room is refused: %s", err.message);
    assert_int_equal(attempts, 2);

    assert_true(kp_reserve_take(&the_log->journal.reserve)); /* nobody uses it any more */
    room = (struct kp_room){.log = the_log};
    for (attempts = 0, code = KP_FULL; kp_room_make(&room, code);) /* really full: it comes to an end */
        attempts++;
    assert_int_equal(attempts, 2);
    assert_true(kp_reserve_take(&the_log->journal.reserve));
    full = false;
    kp_log_close(the_log);
}

static bool gives_up; /* while the next journal file is made */

static enum kp_code allocate_and_give_up(void *ctx, struct kp_file *file, uint64_t offset, uint64_t bytes,
                                         struct kp_error *err)
{
    enum kp_code code = kp_os_real()->allocate(ctx, file, offset, bytes, err);
    if (gives_up && bytes == 2 * KP_RESERVE_FILE_BYTES) {
        struct kp_room room = {.log = the_log};
        gives_up = false;
        assert_true(kp_room_make(&room, KP_FULL)); /* it stays in use */
    }
    return code;
}

/* A large file that was being made when the reserve was given up does not keep the room that it may have taken. */
static void given_up_beside_a_large_file(void **state)
{
    struct kp_error err = {0};
    os = *kp_os_real();
    os.allocate = allocate_and_give_up;
    struct kp_log_options options = {
        .os = &os, .dir = dir, .no_threads = true, .journal_file_bytes = 2 * KP_RESERVE_FILE_BYTES};
    assert_int_equal(kp_log_open(&options, &the_log, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(the_log, "t", 1, &topic, &err), KP_OK);
    gives_up = true;
    for (int tag = 0; gives_up; tag++) {
        assert_true(tag < 100);
        append(the_log, topic, 0, tag, 1, FILE_BYTES);
    }
    assert_int_equal(the_log->journal.current, 2);
    assert_int_equal(kp_journal_file_get(&the_log->journal, 2).bytes, KP_RESERVE_FILE_BYTES);
    kp_log_close(the_log);
    assert_int_equal(kp_log_open(&options, &the_log, &err), KP_OK);
    assert_int_equal(kp_journal_file_get(&the_log->journal, 2).bytes, KP_RESERVE_FILE_BYTES);
    assert_true(read_all(the_log, 1 << 20, NULL, 0) > 3);
    kp_log_close(the_log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(given_up_behind_a_refusal, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(given_up_beside_a_large_file, fresh_dir, remove_dir)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
