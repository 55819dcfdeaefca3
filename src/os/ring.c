#include "os/ring.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "base/mem.h"

struct kp_ring {
    struct io_uring uring;
};

enum { ENTRIES = 4, TAG_WRITE = 1, TAG_SYNC = 2, TAG_PROBE = 3 };

/* A sandbox may allow the set-up and refuse the use: so it is used once. */
static int probe(struct io_uring *uring)
{
    struct io_uring_probe *ops = io_uring_get_probe_ring(uring);
    bool able =
        ops && io_uring_opcode_supported(ops, IORING_OP_WRITE) && io_uring_opcode_supported(ops, IORING_OP_FSYNC);
    io_uring_free_probe(ops);
    if (!able)
        return ENOSYS;
    struct io_uring_sqe *entry = io_uring_get_sqe(uring);
    io_uring_prep_nop(entry);
    io_uring_sqe_set_data64(entry, TAG_PROBE);
    int submitted = io_uring_submit_and_wait(uring, 1);
    struct io_uring_cqe *done;
    if (submitted < 0 || io_uring_peek_cqe(uring, &done) != 0)
        return submitted < 0 ? -submitted : EIO;
    io_uring_cqe_seen(uring, done);
    return 0;
}

struct kp_ring *kp_ring_create(int *ret_errno)
{
    struct kp_ring *ring = kp_calloc(1, sizeof *ring);
    int failed = -io_uring_queue_init(ENTRIES, &ring->uring, 0);
    if (failed) {
        kp_free(ring);
        *ret_errno = failed;
        return NULL;
    }
    failed = probe(&ring->uring);
    if (failed) {
        kp_ring_destroy(ring);
        *ret_errno = failed;
        return NULL;
    }
    return ring;
}

void kp_ring_destroy(struct kp_ring *ring)
{
    if (!ring)
        return;
    io_uring_queue_exit(&ring->uring);
    kp_free(ring);
}

bool kp_ring_write_sync(struct kp_ring *ring, int fd, const void *bytes, size_t len, uint64_t offset,
                        struct kp_ring_result *ret_result, int *ret_errno)
{
    KP_ASSERT(len <= INT32_MAX);
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->uring);
    io_uring_prep_write(entry, fd, bytes, (unsigned)len, offset);
    entry->flags |= IOSQE_IO_LINK; /* the sync begins when the write is done, and only if it was whole */
    io_uring_sqe_set_data64(entry, TAG_WRITE);
    entry = io_uring_get_sqe(&ring->uring);
    io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data64(entry, TAG_SYNC);
    int submitted = io_uring_submit_and_wait(&ring->uring, 2);
    if (submitted < 0 && submitted != -EINTR) {
        *ret_errno = -submitted;
        return false;
    }
    struct kp_ring_result result = {0, -EIO};
    for (int i = 0; i < 2; i++) {
        struct io_uring_cqe *done;
        int waited;
        while ((waited = io_uring_wait_cqe(&ring->uring, &done)) == -EINTR)
            ;
        if (waited < 0) {
            *ret_errno = -waited;
            return false;
        }
        if (io_uring_cqe_get_data64(done) == TAG_WRITE)
            result.written = done->res;
        else
            result.synced = done->res;
        io_uring_cqe_seen(&ring->uring, done);
    }
    *ret_result = result;
    return true;
}
