/*
 * How much memory this process may use: the machine's, or less, if it runs in a control group with a limit (a
 * container, a service of systemd).
 *
 *   /proc/self/cgroup    0::/a/b            version 2: memory.max of /a/b, /a and / below /sys/fs/cgroup
 *                        9:memory:/a/b      version 1: memory.limit_in_bytes below /sys/fs/cgroup/memory
 *
 * A group's limit holds for all groups below it, so the least counts. In a container with a namespace of its own the
 * path is not below the mount; then its root is the container's group, and files that are not there say nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/calls.h"
#include "os/os.h"

enum { PATH_BYTES = 4096 };

/* The number that a file holds; UINT64_MAX if there is no file or it says "max". */
static uint64_t read_number(const char *path)
{
    FILE *file = fopen(path, "re");
    uint64_t number = UINT64_MAX;
    if (!file)
        return number;
    if (fscanf(file, "%" SCNu64, &number) != 1)
        number = UINT64_MAX;
    fclose(file);
    return number;
}

/* The least limit of a group and those above it. `group` is cut. */
static uint64_t least_limit(const char *mount, char *group, const char *name)
{
    uint64_t least = UINT64_MAX;
    for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
        *end = '\0';
        char path[2 * PATH_BYTES];
        snprintf(path, sizeof path, "%s%s/%s", mount, group, name);
        uint64_t limit = read_number(path);
        least = KP_MIN(least, limit);
    }
    return least;
}

uint64_t kp_os_group_memory_bytes(const char *groups_path, const char *mount)
{
    FILE *groups = fopen(groups_path, "re");
    uint64_t least = UINT64_MAX;
    char line[PATH_BYTES], older[PATH_BYTES];
    snprintf(older, sizeof older, "%s/memory", mount);
    while (groups && fgets(line, sizeof line, groups)) {
        line[strcspn(line, "\n")] = '\0';
        char *kinds = strchr(line, ':'), *group = kinds ? strchr(kinds + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        if (strcmp(group, "/") == 0)
            *group = '\0';
        uint64_t limit = UINT64_MAX;
        if (kinds[1] == '\0')
            limit = least_limit(mount, group, "memory.max");
        else if (strcmp(kinds + 1, "memory") == 0)
            limit = least_limit(older, group, "memory.limit_in_bytes");
        least = KP_MIN(least, limit);
    }
    if (groups)
        fclose(groups);
    return least;
}

uint64_t kp_os_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t machine = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
    uint64_t limit = kp_os_group_memory_bytes("/proc/self/cgroup", "/sys/fs/cgroup");
    return KP_MIN(machine, limit);
}
