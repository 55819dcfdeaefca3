/* Events into DIR/<topic>.ndjson, in order of sending. A deletion has no line of values: it is left out and counted. */
#include "flights.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

struct files {
    FILE *files[KIND_COUNT];
    uint64_t deletions;
};

static enum kp_code send_event(void *state, enum kind kind, struct kp_str key, struct kp_str value,
                               struct kp_error *err)
{
    struct files *files = state;
    if (!value.len) {
        files->deletions++;
        return KP_OK;
    }
    if (fwrite(value.ptr, 1, value.len, files->files[kind]) != value.len || fputc('\n', files->files[kind]) == EOF)
        return kp_fail_errno(err, errno, "cannot write %s.ndjson", topic_names[kind]);
    return KP_OK;
}

static enum kp_code flush(void *state, bool wait, struct kp_error *err)
{
    struct files *files = state;
    for (int kind = 0; wait && kind < KIND_COUNT; kind++)
        if (fflush(files->files[kind]) != 0)
            return kp_fail_errno(err, errno, "cannot write %s.ndjson", topic_names[kind]);
    return KP_OK;
}

static void close_files(void *state)
{
    struct files *files = state;
    for (int kind = 0; kind < KIND_COUNT; kind++)
        if (files->files[kind])
            fclose(files->files[kind]);
    if (files->deletions)
        fprintf(stderr, "kappa-flights: %llu deletions of planes are not in planes.ndjson: a line cannot say them\n",
                (unsigned long long)files->deletions);
    kp_free(files);
}

enum kp_code send_files_open(const char *dir, struct sender *ret_sender, struct kp_error *err)
{
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return kp_fail_errno(err, errno, "cannot make \"%s\"", dir);
    struct files *files = kp_calloc(1, sizeof *files);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s.ndjson", dir, topic_names[kind]);
        files->files[kind] = fopen(path, "wb");
        if (!files->files[kind]) {
            int failed = errno;
            close_files(files);
            return kp_fail_errno(err, failed, "cannot write \"%s\"", path);
        }
    }
    *ret_sender = (struct sender){.state = files, .send = send_event, .flush = flush, .close = close_files};
    return KP_OK;
}
