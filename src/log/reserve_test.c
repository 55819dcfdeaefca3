/*
 * The disk reserve: held, given up, held again; and what a file would need that is only thought of while it is given up
 * is not wanted for ever.
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

#include "log/log.h"
#include "log/record_batch.h"
#include "log/reserve.h"

static char dir[64], path[96];
static struct kp_os *os;

static int fresh_dir(void **state)
{
    os = kp_os_real();
    strcpy(dir, "/tmp/kappa-reserve-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/" KP_RESERVE_NAME, dir);
    return 0;
}

static int remove_dir(void **state)
{
    unlink(path);
    return rmdir(dir);
}

/* As kp_room_make leaves it. */
static void give_up(struct kp_reserve *reserve)
{
    unlink(path);
    reserve->held_bytes = 0;
    atomic_store(&reserve->given, true);
}

static void held_again(void **state)
{
    struct kp_reserve reserve;
    struct kp_error err;
    uint64_t before;
    kp_reserve_init(&reserve, os, dir, false);
    assert_int_equal(kp_reserve_keep(&reserve, 1 << 20, &before, &err), KP_OK);
    assert_int_equal(before, 0);
    uint64_t held = reserve.held_bytes;
    assert_true(held >= 1 << 20);
    assert_int_equal(access(path, F_OK), 0);

    give_up(&reserve);
    assert_int_equal(kp_reserve_keep(&reserve, (uint64_t)1 << 50, &before, &err), KP_OK); /* larger than any disk */
    assert_true(kp_reserve_given(&reserve));
    assert_int_not_equal(access(path, F_OK), 0);

    assert_true(kp_reserve_take(&reserve));
    assert_false(kp_reserve_given(&reserve));
    assert_int_equal(reserve.held_bytes, held);
    kp_reserve_finish(&reserve);
}

/* ---- a small disk ---- */

enum { DISK_BYTES = 107 << 20, BATCHES = 60 };

static void add_size(void *arg, const char *name)
{
    char of[160];
    struct stat stat_of;
    snprintf(of, sizeof of, "%s/%.40s", dir, name);
    if (stat(of, &stat_of) == 0)
        *(uint64_t *)arg += (uint64_t)stat_of.st_blocks * 512;
}

static enum kp_code small_allocate(void *ctx, struct kp_file *file, uint64_t offset, uint64_t len, struct kp_error *err)
{
    uint64_t used = 0, size = 0;
    assert_int_equal(kp_os_real()->list(NULL, dir, add_size, &used, err), KP_OK);
    assert_int_equal(kp_os_real()->size(NULL, file, &size, err), KP_OK);
    if (offset + len > size && used + offset + len - size > DISK_BYTES)
        return kp_fail(err, KP_FULL, NULL, "the disk is full, as the test wants it");
    return kp_os_real()->allocate(NULL, file, offset, len, err);
}

static int remove_log(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* The largest files and what sealing them takes do not fit: smaller ones are made, and most of the disk is used. */
static void small_disk(void **state)
{
    struct kp_os small = *os;
    small.allocate = small_allocate;
    struct kp_log_options options = {.os = &small, .dir = dir};
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_log *log;
    struct kp_error err;
    uint32_t topic;
    char *value = calloc(1, 1 << 20);
    assert_int_equal(kp_log_open(&options, &log, &err), KP_OK);
    assert_int_equal(kp_log_topic_create(log, "t", 1, &topic, &err), KP_OK);
    kp_record_batch_add(&builder, 0, (struct kp_str){0}, (struct kp_str){value, 1 << 20}, (struct kp_str){0});
    assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), KP_OK);
    for (int i = 0; i < BATCHES; i++) {
        struct kp_log_entry entry = {.topic = topic, .batch = batch.data, .bytes = batch.len};
        int64_t position;
        if (kp_log_append(log, &entry, 1, &position, &err) != KP_OK)
            fail_msg("after %d MiB: %s", i, err.message);
    }
    kp_log_close(log);
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&batch);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(held_again, fresh_dir, remove_dir),
                                       cmocka_unit_test_setup_teardown(small_disk, fresh_dir, remove_log)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
