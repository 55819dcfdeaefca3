/*
 * The real operating system behind os/os.h: POSIX calls on Linux, and io_uring for the group commit where there is one.
 *
 * A failed write or sync is reported once and never tried again here: the kernel may have dropped what it could not
 * write. Interrupted and short calls go on.
 */
#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/calls.h"
#include "os/ring.h"

struct kp_file {
    int fd;
    char *path;           /* for messages */
    struct kp_ring *ring; /* made by the first kp_os pwrite_sync; NULL: none */
};

struct kp_os_calls kp_os_calls = {pread, pwrite, fdatasync, fsync};

/* ---- whether io_uring is used ---- */

enum ring_use { RING_UNKNOWN, RING_ON, RING_OFF };
static _Atomic int ring_use;

bool kp_os_ring_use(bool wanted, struct kp_error *why)
{
    int failed = 0;
    struct kp_ring *ring = wanted ? kp_ring_create(&failed) : NULL;
    if (failed)
        kp_fail_errno(why, failed, "io_uring is not available, pwrite and fdatasync take its place");
    kp_ring_destroy(ring);
    atomic_store(&ring_use, ring ? RING_ON : RING_OFF);
    return !failed;
}

static struct kp_ring *ring_of(struct kp_file *file)
{
    if (atomic_load_explicit(&ring_use, memory_order_relaxed) == RING_OFF)
        return NULL;
    int failed;
    if (!file->ring)
        file->ring = kp_ring_create(&failed);
    if (!file->ring)
        atomic_store(&ring_use, RING_OFF);
    return file->ring;
}

/* ---- files ---- */

/* Records are their owner's alone: who else may read them is said where doors ask who somebody is. */
enum { FILE_MODE = 0600, FOLDER_MODE = 0700 };

static enum kp_code real_open(void *ctx, const char *path, unsigned flags, struct kp_file **ret_file,
                              struct kp_error *err)
{
    int mode = (flags & KP_OPEN_WRITE) ? (flags & KP_OPEN_READ) ? O_RDWR : O_WRONLY : O_RDONLY;
    mode |= O_CLOEXEC | ((flags & KP_OPEN_CREATE) ? O_CREAT : 0) | ((flags & KP_OPEN_EXCLUSIVE) ? O_EXCL : 0) |
            ((flags & KP_OPEN_TRUNCATE) ? O_TRUNC : 0);
    int fd = -1;
    if (flags & KP_OPEN_DIRECT)
        fd = open(path, mode | O_DIRECT, FILE_MODE);
    if (fd < 0 && (!(flags & KP_OPEN_DIRECT) || errno == EINVAL))
        fd = open(path, mode, FILE_MODE);
    if (fd < 0 && errno == ENOENT)
        return kp_fail(err, KP_NOT_FOUND, "58P01", "file \"%s\" does not exist", path);
    if (fd < 0 && errno == EEXIST)
        return kp_fail(err, KP_EXISTS, "58P02", "file \"%s\" exists already", path);
    if (fd < 0)
        return kp_fail_errno(err, errno, "cannot open \"%s\"", path);
    struct kp_file *file = kp_alloc(sizeof *file);
    *file = (struct kp_file){fd, kp_strdup(path), NULL};
    *ret_file = file;
    return KP_OK;
}

static void real_close(void *ctx, struct kp_file *file)
{
    if (!file)
        return;
    kp_ring_destroy(file->ring);
    close(file->fd);
    kp_free(file->path);
    kp_free(file);
}

static enum kp_code real_pread(void *ctx, struct kp_file *file, void *bytes, size_t len, uint64_t offset,
                               size_t *ret_len, struct kp_error *err)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = kp_os_calls.pread(file->fd, (char *)bytes + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kp_fail_errno(err, errno, "cannot read \"%s\" at byte %llu", file->path, (unsigned long long)offset);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret_len = done;
    return KP_OK;
}

static enum kp_code real_pwrite(void *ctx, struct kp_file *file, const void *bytes, size_t len, uint64_t offset,
                                struct kp_error *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = kp_os_calls.pwrite(file->fd, (const char *)bytes + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return kp_fail_errno(err, n < 0 ? errno : EIO, "cannot write \"%s\" at byte %llu", file->path,
                                 (unsigned long long)offset);
        done += (size_t)n;
    }
    return KP_OK;
}

static enum kp_code real_sync(void *ctx, struct kp_file *file, struct kp_error *err)
{
    int failed;
    do
        failed = kp_os_calls.fdatasync(file->fd) != 0 ? errno : 0;
    while (failed == EINTR); /* it did not end: nothing was reported and nothing dropped */
    return failed ? kp_fail_errno(err, failed, "cannot sync \"%s\"", file->path) : KP_OK;
}

static enum kp_code real_pwrite_sync(void *ctx, struct kp_file *file, const void *bytes, size_t len, uint64_t offset,
                                     struct kp_error *err)
{
    struct kp_ring *ring = ring_of(file);
    struct kp_ring_result result = {0, -ECANCELED};
    int failed;
    if (ring && !kp_ring_write_sync(ring, file->fd, bytes, len, offset, &result, &failed))
        return kp_fail_errno(err, failed, "cannot write \"%s\" at byte %llu through io_uring", file->path,
                             (unsigned long long)offset);
    if (ring && result.written < 0 && result.written != -EINTR && result.written != -EAGAIN)
        return kp_fail_errno(err, -result.written, "cannot write \"%s\" at byte %llu", file->path,
                             (unsigned long long)offset);
    size_t done = result.written > 0 ? (size_t)result.written : 0;
    if (done == len && result.synced == 0)
        return KP_OK;
    if (done == len && result.synced != -ECANCELED && result.synced != -EINTR)
        return kp_fail_errno(err, -result.synced, "cannot sync \"%s\"", file->path);
    KP_TRY(real_pwrite(ctx, file, (const char *)bytes + done, len - done, offset + done, err)); /* the rest of it */
    return real_sync(ctx, file, err);
}

static enum kp_code real_size(void *ctx, struct kp_file *file, uint64_t *ret_bytes, struct kp_error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0)
        return kp_fail_errno(err, errno, "cannot stat \"%s\"", file->path);
    *ret_bytes = (uint64_t)st.st_size;
    return KP_OK;
}

static enum kp_code real_truncate(void *ctx, struct kp_file *file, uint64_t bytes, struct kp_error *err)
{
    if (ftruncate(file->fd, (off_t)bytes) != 0)
        return kp_fail_errno(err, errno, "cannot set the size of \"%s\" to %llu", file->path,
                             (unsigned long long)bytes);
    return KP_OK;
}

static enum kp_code real_allocate(void *ctx, struct kp_file *file, uint64_t offset, uint64_t len, struct kp_error *err)
{
    int error = posix_fallocate(file->fd, (off_t)offset, (off_t)len);
    if (error)
        return kp_fail_errno(err, error, "cannot allocate %llu bytes in \"%s\"", (unsigned long long)len, file->path);
    return KP_OK;
}

static enum kp_code real_rename(void *ctx, const char *from, const char *to, struct kp_error *err)
{
    if (rename(from, to) != 0)
        return kp_fail_errno(err, errno, "cannot rename \"%s\" to \"%s\"", from, to);
    return KP_OK;
}

static enum kp_code real_unlink(void *ctx, const char *path, struct kp_error *err)
{
    if (remove(path) != 0)
        return errno == ENOENT ? kp_fail(err, KP_NOT_FOUND, "58P01", "file \"%s\" does not exist", path)
                               : kp_fail_errno(err, errno, "cannot remove \"%s\"", path);
    return KP_OK;
}

static enum kp_code real_mkdir(void *ctx, const char *path, struct kp_error *err)
{
    if (mkdir(path, FOLDER_MODE) != 0 && errno != EEXIST)
        return kp_fail_errno(err, errno, "cannot make the folder \"%s\"", path);
    return KP_OK;
}

static enum kp_code real_sync_dir(void *ctx, const char *path, struct kp_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return kp_fail_errno(err, errno, "cannot open the folder \"%s\"", path);
    int failed;
    do
        failed = kp_os_calls.fsync(fd) != 0 ? errno : 0;
    while (failed == EINTR);
    close(fd);
    return failed ? kp_fail_errno(err, failed, "cannot sync the folder \"%s\"", path) : KP_OK;
}

static enum kp_code real_list(void *ctx, const char *path, void (*each)(void *arg, const char *name), void *arg,
                              struct kp_error *err)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, NULL);
    if (count < 0)
        return errno == ENOENT ? kp_fail(err, KP_NOT_FOUND, "58P01", "folder \"%s\" does not exist", path)
                               : kp_fail_errno(err, errno, "cannot list the folder \"%s\"", path);
    for (int i = 1; i < count; i++) /* by bytes, not by locale; folders here are small */
        for (int k = i; k > 0 && strcmp(names[k - 1]->d_name, names[k]->d_name) > 0; k--) {
            struct dirent *swap = names[k];
            names[k] = names[k - 1];
            names[k - 1] = swap;
        }
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0)
            each(arg, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return KP_OK;
}

static enum kp_code held(const char *path, int fd, struct kp_error *err)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    if (pid)
        return kp_fail(err, KP_BUSY, NULL, "\"%s\" is locked by process %ld", path, pid);
    return kp_fail(err, KP_BUSY, NULL, "\"%s\" is locked by another process", path);
}

/* What cannot be written cannot be locked, but is perhaps by a process that could write it. */
static enum kp_code unwritable(const char *path, int why, struct kp_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum kp_code code = KP_FORBIDDEN;
    if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        code = held(path, fd, err);
    if (fd >= 0)
        close(fd);
    if (code == KP_BUSY)
        return code;
    char reason[128];
    return kp_fail(err, code, NULL, "cannot write \"%s\": %s", path, strerror_r(why, reason, sizeof reason));
}

static enum kp_code real_lock(void *ctx, const char *path, struct kp_file **ret_file, struct kp_error *err)
{
    struct kp_file *file;
    enum kp_code code = real_open(ctx, path, KP_OPEN_READ | KP_OPEN_WRITE | KP_OPEN_CREATE, &file, err);
    if (code == KP_IO && (errno == EROFS || errno == EACCES || errno == EPERM))
        return unwritable(path, errno, err);
    KP_TRY(code);
    char text[32];
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0) {
        code = held(path, file->fd, err);
        real_close(ctx, file);
        return code;
    }
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(file->fd, 0) != 0 || pwrite(file->fd, text, (size_t)length, 0) != length) {
        int failed = errno;
        real_close(ctx, file);
        return kp_fail_errno(err, failed, "cannot write \"%s\"", path);
    }
    *ret_file = file;
    return KP_OK;
}

static enum kp_code real_lock_folder(void *ctx, const char *path, struct kp_file **ret_file, struct kp_error *err)
{
    *ret_file = NULL;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return kp_fail_errno(err, errno, "cannot open the folder \"%s\"", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        bool taken = errno == EWOULDBLOCK; /* else a file system without it: some of networks */
        close(fd);
        return taken ? kp_fail(err, KP_BUSY, NULL, "the folder \"%s\" is locked by another process", path) : KP_OK;
    }
    struct kp_file *file = kp_calloc(1, sizeof *file);
    file->fd = fd;
    file->path = kp_strdup(path);
    *ret_file = file;
    return KP_OK;
}

static enum kp_code real_free_bytes(void *ctx, const char *path, uint64_t *ret_bytes, struct kp_error *err)
{
    struct statvfs st;
    if (statvfs(path, &st) != 0)
        return kp_fail_errno(err, errno, "cannot ask for the free space at \"%s\"", path);
    *ret_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return KP_OK;
}

static int64_t real_wall_us(void *ctx)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t real_mono_ns(void *ctx)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void real_random(void *ctx, void *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = getrandom((char *)bytes + done, len - done, 0);
        if (n > 0)
            done += (size_t)n;
        else
            KP_ASSERT(errno == EINTR);
    }
}

static void real_sleep_us(void *ctx, int64_t us)
{
    struct timespec time = {us / 1000000, (us % 1000000) * 1000};
    while (nanosleep(&time, &time) != 0)
        KP_ASSERT(errno == EINTR);
}

struct kp_os *kp_os_real(void)
{
    static struct kp_os os = {
        .open = real_open,
        .close = real_close,
        .pread = real_pread,
        .pwrite = real_pwrite,
        .sync = real_sync,
        .pwrite_sync = real_pwrite_sync,
        .size = real_size,
        .truncate = real_truncate,
        .allocate = real_allocate,
        .rename = real_rename,
        .unlink = real_unlink,
        .mkdir = real_mkdir,
        .sync_dir = real_sync_dir,
        .list = real_list,
        .lock = real_lock,
        .lock_folder = real_lock_folder,
        .free_bytes = real_free_bytes,
        .wall_us = real_wall_us,
        .mono_ns = real_mono_ns,
        .random = real_random,
        .sleep_us = real_sleep_us,
    };
    return &os;
}
