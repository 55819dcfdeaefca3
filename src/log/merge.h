/*
 * Sets of extents written anew as one: merges (log/merge.c) and compaction (log/compact.c). The sealer's, or whoever
 * holds kp_sealing.step.
 */
#ifndef KP_LOG_MERGE_H
#define KP_LOG_MERGE_H

#include "log/extent_write.h"
#include "log/internal.h"

/* What compaction makes of one topic's batches. */
enum kp_thinned { KP_THIN_KEPT, KP_THIN_REWRITTEN, KP_THIN_GONE };
struct kp_merge_thin {
    uint32_t topic;
    /* The batch at a position; rewritten: its bytes in *ret_bytes, until the next call. Asked several times for each,
     * and must say the same. */
    enum kp_code (*thin)(void *arg, const struct kp_extent_run *run, const struct kp_order_entry *entry,
                         const uint8_t *batch, enum kp_thinned *ret_thinned, const struct kp_buf **ret_bytes,
                         struct kp_error *err);
    void *arg;
};

/* A batch of the thinned topic, or of an adopted file that is copied: where it lay. */
struct kp_merge_pick {
    uint64_t extent;
    const struct kp_extent_run *run;
    struct kp_order_entry entry;
};

struct kp_merge {
    struct kp_log *log;
    struct kp_extent_set *const *sets;
    size_t count;
    struct kp_topics current; /* what is gone now; borrowed */
    struct kp_extents_writer writer;
    struct kp_extent_file file;
    const struct kp_merge_thin *thin; /* NULL: nothing is */
    const struct kp_buf *rewritten;   /* borrowed, u64: adopted extents whose batches are copied; NULL: none */
    struct kp_extent_file thin_file;
    struct kp_buf thin_buffer, picks; /* picks: of struct kp_merge_pick, by position */
    struct kp_buf without;            /* numbers of extents that do not count any more */
};

void kp_merge_init(struct kp_merge *merge, struct kp_log *log, struct kp_extent_set *const *sets, size_t count,
                   const struct kp_topics *current, uint64_t own_bytes);
void kp_merge_finish(struct kp_merge *merge);
/* What goes where; in memory. */
KP_MUST enum kp_code kp_merge_gather(struct kp_merge *merge, struct kp_error *err);
/* Writes it and makes it count instead of the old sets. */
KP_MUST enum kp_code kp_merge_write(struct kp_merge *merge, struct kp_error *err);
/* Was all of the run trimmed, or its topic dropped? */
bool kp_merge_run_gone(const struct kp_topics *topics, const struct kp_extent_run *run);

#endif
