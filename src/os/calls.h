/* The calls of the system that real.c makes for files' contents, so that a test can put others in their place. */
#ifndef KP_OS_CALLS_H
#define KP_OS_CALLS_H

#include <stdint.h>
#include <sys/types.h>

extern struct kp_os_calls {
    ssize_t (*pread)(int fd, void *bytes, size_t len, off_t offset);
    ssize_t (*pwrite)(int fd, const void *bytes, size_t len, off_t offset);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
} kp_os_calls;

/* memory.c: the least limit of the control groups that a file like /proc/self/cgroup names; UINT64_MAX: none. */
uint64_t kp_os_group_memory_bytes(const char *groups_path, const char *mount);

#endif
