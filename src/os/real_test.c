/*
 * The real table on real files: contents, errors and modes, short and interrupted calls, the group commit with and
 * without io_uring.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/calls.h"
#include "os/os.h"

enum { BYTES = 64 << 10 };
static char dir[64], path[80];
static struct kp_os_calls real;
static unsigned calls, fail_call;
static int fail_errno;

static int make_dir(void **state)
{
    strcpy(dir, "/tmp/kappa-os-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/file", dir);
    real = kp_os_calls;
    return 0;
}

static int remove_dir(void **state)
{
    (void)unlink(path);
    return rmdir(dir);
}

/* Every third call is interrupted, the others do a part: whole sectors, as direct I/O does. */
static bool interrupted(size_t *len)
{
    calls++;
    if (*len > 512)
        *len = 512 * (1 + calls % (*len / 512));
    errno = EINTR;
    return calls % 3 == 0;
}

static ssize_t short_pread(int fd, void *bytes, size_t len, off_t offset)
{
    return interrupted(&len) ? -1 : real.pread(fd, bytes, len, offset);
}

static ssize_t short_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    return interrupted(&len) ? -1 : real.pwrite(fd, bytes, len, offset);
}

static int interrupted_fdatasync(int fd)
{
    size_t len = 0;
    return interrupted(&len) ? -1 : real.fdatasync(fd);
}

static ssize_t failing_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    errno = fail_errno;
    return ++calls == fail_call ? -1 : real.pwrite(fd, bytes, len, offset);
}

static int failing_fdatasync(int fd)
{
    errno = fail_errno;
    return ++calls == fail_call ? -1 : real.fdatasync(fd);
}

static void fill(uint8_t *bytes, unsigned seed)
{
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)((i * 31 + seed) >> 3);
}

static void write_and_read(unsigned flags, unsigned seed)
{
    struct kp_os *os = kp_os_real();
    struct kp_file *file;
    struct kp_error err;
    uint8_t *bytes = kp_alloc_aligned(KP_SECTOR_BYTES, BYTES), *back = kp_alloc_aligned(KP_SECTOR_BYTES, BYTES);
    size_t got;
    fill(bytes, seed);
    assert_int_equal(os->open(os->ctx, path, KP_OPEN_READ | KP_OPEN_WRITE | KP_OPEN_CREATE | flags, &file, &err),
                     KP_OK);
    for (uint64_t at = 0; at < 4; at++)
        assert_int_equal(os->pwrite_sync(os->ctx, file, bytes, BYTES, at * BYTES, &err), KP_OK);
    assert_int_equal(os->pread(os->ctx, file, back, BYTES, 2 * BYTES, &got, &err), KP_OK);
    assert_int_equal(got, BYTES);
    assert_memory_equal(bytes, back, BYTES);
    os->close(os->ctx, file);
    kp_free(bytes);
    kp_free(back);
}

static void test_group_commit(void **state)
{
    struct kp_error why;
    bool ring = kp_os_ring_use(true, &why);
    if (!ring)
        print_message("without io_uring: %s\n", why.message);
    write_and_read(KP_OPEN_DIRECT, 1);
    write_and_read(0, 2);
    assert_true(kp_os_ring_use(false, &why));
    write_and_read(KP_OPEN_DIRECT, 3);
    (void)kp_os_ring_use(true, &why);
}

static void test_short_calls(void **state)
{
    struct kp_error why;
    (void)kp_os_ring_use(false, &why);
    kp_os_calls.pread = short_pread;
    kp_os_calls.pwrite = short_pwrite;
    kp_os_calls.fdatasync = interrupted_fdatasync;
    for (unsigned seed = 0; seed < 20; seed++)
        write_and_read(0, seed);
    kp_os_calls = real;
    (void)kp_os_ring_use(true, &why);
}

/* A file for reading fails every write: the ring's error is the call's. */
static void refused(const char *words)
{
    struct kp_os *os = kp_os_real();
    struct kp_file *file;
    struct kp_error err;
    void *bytes = kp_alloc_aligned(KP_SECTOR_BYTES, KP_SECTOR_BYTES);
    memset(bytes, 0, KP_SECTOR_BYTES);
    assert_int_equal(os->open(os->ctx, path, KP_OPEN_READ, &file, &err), KP_OK);
    assert_int_equal(os->pwrite_sync(os->ctx, file, bytes, KP_SECTOR_BYTES, 0, &err), KP_IO);
    assert_non_null(strstr(err.message, words));
    assert_non_null(strstr(err.message, path));
    os->close(os->ctx, file);
    kp_free(bytes);
}

static void test_errors(void **state)
{
    struct kp_os *os = kp_os_real();
    struct kp_error err;
    refused("Bad file descriptor");
    (void)kp_os_ring_use(false, &err);
    refused("Bad file descriptor");
    static const struct {
        int error;
        enum kp_code code;
    } cases[] = {{EIO, KP_IO}, {ENOSPC, KP_FULL}, {EDQUOT, KP_FULL}};
    for (size_t i = 0; i < KP_COUNT(cases); i++)
        for (int sync = 0; sync < 2; sync++) {
            struct kp_file *file;
            calls = 0;
            fail_call = 2;
            fail_errno = cases[i].error;
            kp_os_calls = real;
            if (sync)
                kp_os_calls.fdatasync = failing_fdatasync;
            else
                kp_os_calls.pwrite = failing_pwrite;
            assert_int_equal(os->open(os->ctx, path, KP_OPEN_READ | KP_OPEN_WRITE, &file, &err), KP_OK);
            assert_int_equal(os->pwrite_sync(os->ctx, file, "one", 3, 0, &err), KP_OK);
            assert_int_equal(os->pwrite_sync(os->ctx, file, "two", 3, 0, &err), cases[i].code);
            assert_non_null(strstr(err.message, sync ? "cannot sync" : "cannot write"));
            assert_int_equal(calls, 2); /* never tried again */
            os->close(os->ctx, file);
        }
    kp_os_calls = real;
    (void)kp_os_ring_use(true, &err);
}

/* What is made is its owner's alone, whatever the umask lets others do. */
static void test_modes(void **state)
{
    struct kp_os *os = kp_os_real();
    struct kp_error err;
    struct kp_file *file;
    struct stat made;
    char private[96];
    mode_t before = umask(0);
    snprintf(private, sizeof private, "%s/file", dir);
    (void)unlink(private);
    assert_int_equal(os->open(os->ctx, private, KP_OPEN_WRITE | KP_OPEN_CREATE, &file, &err), KP_OK);
    os->close(os->ctx, file);
    assert_int_equal(stat(private, &made), 0);
    assert_int_equal(made.st_mode & 0777, 0600);
    snprintf(private, sizeof private, "%s/folder", dir);
    assert_int_equal(os->mkdir(os->ctx, private, &err), KP_OK);
    assert_int_equal(stat(private, &made), 0);
    assert_int_equal(made.st_mode & 0777, 0700);
    assert_int_equal(os->unlink(os->ctx, private, &err), KP_OK);
    assert_int_equal(os->unlink(os->ctx, private, &err), KP_NOT_FOUND);
    umask(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_group_commit), cmocka_unit_test(test_short_calls),
                                       cmocka_unit_test(test_errors), cmocka_unit_test(test_modes)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
