/* A span being built by kp_log_read: from the tail and the journal (log/read.c) and from extents (log/read_set.c). */
#ifndef KP_LOG_READ_H
#define KP_LOG_READ_H

#include "log/internal.h"

struct kp_build {
    struct kp_log *log;
    int64_t start;
    int64_t position;       /* of the next group wanted: the start, then behind what was taken */
    int64_t limit, durable; /* groups from here on are not wanted; are not there */
    const uint32_t *topics;
    size_t topic_count, bytes, bytes_max;
    bool gaps; /* something was trimmed or dropped */

    struct kp_log_chunk *chunks;
    size_t chunk_count, chunk_cap, whole_count; /* chunks of finished groups */
    size_t group_first;                         /* the first chunk of the group being read */
    bool in_group, stop;
    bool early;  /* the bytes were read in advance: what is wrong in them may be right by now */
    bool pieced; /* a piece was read from disk: enough, though a few bytes short of bytes_max */
    int64_t at;  /* position of the next entry */

    struct kp_slab **slabs;
    size_t slab_count, slab_cap;
    uint64_t last_location, last_bytes; /* of the last block taken whole */
};

/* Does the reader want this topic? */
bool kp_build_wants(const struct kp_build *build, uint32_t topic);
/* How many of the batch's first records were given up: trimmed, or all since their topic was dropped. */
uint32_t kp_build_gone(const struct kp_build *build, uint32_t topic, uint32_t partition, int64_t base_offset,
                       uint32_t records);
struct kp_log_chunk *kp_build_chunk(struct kp_build *build); /* a new one */
/* Takes over one reference; drops it if it is the one noted last. */
void kp_build_keep(struct kp_build *build, struct kp_slab *slab);
/* Takes a piece of the set that holds the position; *ret_sealed is false when none does. The reader is entered. */
KP_MUST enum kp_code kp_build_take_set(struct kp_build *build, bool *ret_sealed, struct kp_error *err);

#endif
