/*
 * The operating system as one table of functions: real (kp_os_real) or simulated (sim/).
 *
 * Everything that touches disk, clock or randomness takes a `struct kp_os *`. A simulator gives a table that drops,
 * tears and reorders unsynced writes, fails any call, cuts power and moves the clock, from a seed. Threads and locks
 * are in os/thread.h, sockets in os/socket.h.
 *
 * Durability, as the log relies on it:
 *   - what was written and then synced survives power loss; what was not may survive in any part, in 512-byte pieces;
 *   - a created, renamed or removed name survives only after sync_dir on its directory;
 *   - after a failed write or sync of a file nothing more may be assumed about what it holds.
 * Short reads and writes, EINTR and EAGAIN are handled inside: a call does all of it or fails.
 */
#ifndef KP_OS_OS_H
#define KP_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct kp_file; /* opaque: each table has its own */

enum kp_open_flags {
    KP_OPEN_READ = 1,
    KP_OPEN_WRITE = 2,
    KP_OPEN_CREATE = 4,    /* make it if missing */
    KP_OPEN_EXCLUSIVE = 8, /* with CREATE: KP_EXISTS if it is there */
    KP_OPEN_TRUNCATE = 16,
    KP_OPEN_DIRECT = 32 /* bypass the page cache: memory, offset and length are multiples of KP_SECTOR_BYTES.
                           Falls back to the cache where the file system cannot. */
};

enum { KP_SECTOR_BYTES = 4096 };

struct kp_os {
    void *ctx;

    /* Files. Paths are relative to the process or absolute. Any thread. */
    enum kp_code (*open)(void *ctx, const char *path, unsigned flags, struct kp_file **ret_file, struct kp_error *err);
    void (*close)(void *ctx, struct kp_file *file); /* NULL is fine */
    enum kp_code (*pread)(void *ctx, struct kp_file *file, void *bytes, size_t len, uint64_t offset, size_t *ret_len,
                          struct kp_error *err); /* ret_len < len only at the end of the file */
    enum kp_code (*pwrite)(void *ctx, struct kp_file *file, const void *bytes, size_t len, uint64_t offset,
                           struct kp_error *err);
    enum kp_code (*sync)(void *ctx, struct kp_file *file, struct kp_error *err); /* fdatasync */
    /* One write and one sync, as one submission where the system can (io_uring): the group commit's call. */
    enum kp_code (*pwrite_sync)(void *ctx, struct kp_file *file, const void *bytes, size_t len, uint64_t offset,
                                struct kp_error *err);
    enum kp_code (*size)(void *ctx, struct kp_file *file, uint64_t *ret_bytes, struct kp_error *err);
    enum kp_code (*truncate)(void *ctx, struct kp_file *file, uint64_t bytes, struct kp_error *err);
    enum kp_code (*allocate)(void *ctx, struct kp_file *file, uint64_t offset, uint64_t len, struct kp_error *err);

    /* Names. */
    enum kp_code (*rename)(void *ctx, const char *from, const char *to, struct kp_error *err);
    enum kp_code (*unlink)(void *ctx, const char *path, struct kp_error *err); /* a file, or an empty folder */
    enum kp_code (*mkdir)(void *ctx, const char *path, struct kp_error *err);  /* KP_OK if it is there */
    enum kp_code (*sync_dir)(void *ctx, const char *path, struct kp_error *err);
    /* Calls each(arg, name) for every entry but . and .., in byte order of names. */
    enum kp_code (*list)(void *ctx, const char *path, void (*each)(void *arg, const char *name), void *arg,
                         struct kp_error *err);
    /* Takes an exclusive lock on a file for this process (made if missing); KP_BUSY names the holder's pid if known.
     * KP_FORBIDDEN: nobody known holds it, and it cannot be written. */
    enum kp_code (*lock)(void *ctx, const char *path, struct kp_file **ret_file, struct kp_error *err);
    /* The same on a folder, which cannot be removed and made again while it is in use, as a file in it can. *ret_file
     * may be NULL: there is no such lock on this file system. */
    enum kp_code (*lock_folder)(void *ctx, const char *path, struct kp_file **ret_file, struct kp_error *err);
    enum kp_code (*free_bytes)(void *ctx, const char *path, uint64_t *ret_bytes, struct kp_error *err);

    /* Clock and randomness. */
    int64_t (*wall_us)(void *ctx); /* microseconds since 1970-01-01 UTC; may jump */
    int64_t (*mono_ns)(void *ctx); /* nanoseconds; never goes back */
    void (*random)(void *ctx, void *bytes, size_t len);
    void (*sleep_us)(void *ctx, int64_t us);
};

/* The real system. One table for the process, never freed. */
struct kp_os *kp_os_real(void);
/* Whether its pwrite_sync goes through io_uring: by default where there is one. Before files are open. False and why
 * when it is wanted and the system does not give it: then pwrite and fdatasync take its place. */
bool kp_os_ring_use(bool wanted, struct kp_error *why);
/* Memory that this process may use: the machine's, or its container's limit. 0: not known. Any thread. */
uint64_t kp_os_memory_bytes(void);

#endif
