/*
 * Holes: stretches of the journal that were acknowledged and cannot be read any more, because their bytes have rotted.
 *
 * A hole covers whole groups: from the beginning of the group with the first rotten block up to the next intact block
 * that begins one. It is known by its place (where readers come to it, and where they go on), by its positions, and by
 * its *ranges*: of which partitions it held which offsets. It is never cut or overwritten: readers that want
 * none of its ranges pass over it, others get an error that names topic and offsets; appends go on behind the log's
 * end. When the files that it lies in are sealed, its ranges go on in the extents (log/seal_lost.h), with that error.
 *
 *     journal   | block | block | ROTTEN | group goes on | block | block |
 *                       ^ location                       ^ location_end      the second block began the group
 *
 * How its ranges are known:
 *   - blocks of it that are intact tell themselves, and a rotten one whose header and entries all fit together is
 *     believed as to where its batches belong (recovery only): what has rotted then is within a batch;
 *   - offsets have no gaps: where a partition's next batch begins later than its last one ended, the records between
 *     were in the hole;
 *   - what recovery cannot tell by that, it bounds: no partition can have lost more records than the holes held. So
 *     that no offset is ever given twice, partitions that nothing was appended to since go on behind as many and some
 *     more (`maybe`): at an offset that is known for that, modulo LANDINGS, so that a later recovery, which may meet
 *     more and larger holes, does not take such a gap for a loss.
 *
 * A hole may have held what made, dropped or trimmed topics. What follows tells of it (kp_topics_meet, log/state.h), or
 * what was removed since (log/sets.c); else it is as if it had not been.
 *
 * Holes are found by recovery, or by the first who reads there. A snapshot has them; else the journal tells again.
 *
 * Threads: the list is guarded by kp_log.lock; a hole in it never changes and lives as long as the log.
 */
#ifndef KP_LOG_HOLE_H
#define KP_LOG_HOLE_H

#include <stdatomic.h>

#include "base/buf.h"
#include "log/format.h"
#include "log/log.h"
#include "os/thread.h"

struct kp_hole_range {
    uint32_t topic, partition;
    int64_t offset, offset_end;
    bool maybe; /* it may have been other partitions' records */
};

struct kp_hole {
    uint64_t location, location_end; /* log/scan.h */
    int64_t position, position_end;
    int64_t lost;      /* of its records: in no range yet (recovery) */
    const char *wrong; /* static */
    struct kp_hole_range *ranges;
    size_t range_count, range_cap;
};

struct kp_holes_seen {
    uint32_t *holes; /* by partition; those that are not there were never told of */
    uint32_t count;
};

struct kp_holes {
    struct kp_hole **list; /* by location */
    size_t count, cap;
    _Atomic bool any;
    struct kp_mutex probing; /* one thread looks what a hole held; before any other lock */
    /* Recovery's: the hole being made of blocks; how many there were when a partition was last told of. */
    struct kp_hole *pending;
    int64_t records;            /* of all holes */
    bool unanchored;            /* the first one is of an extent, behind which it is not known where partitions go on */
    struct kp_holes_seen *seen; /* by topic id */
    uint32_t seen_count;
    /* Batches in extents that reads by position found rotten: nothing but a read tells of them. */
    struct kp_mutex met_mutex;
    struct kp_buf met;    /* of struct kp_log_damage */
    struct kp_buf untold; /* of struct kp_hole_range: what was missing and nothing tells of */
};

void kp_holes_init(struct kp_holes *holes);
void kp_holes_finish(struct kp_holes *holes);

/* ---- recovery: no other thread ---- */

/* A block of the hole that begins at location, in order. intact: its checksum is right. */
void kp_holes_lost(struct kp_log *log, const struct kp_block_header *block, bool intact, uint64_t location);
/* The hole's end is known: its location, location_end, positions, wrong. */
void kp_holes_found(struct kp_log *log, const struct kp_hole *found);
/* What an extent knew where the journal begins has rotted: the positions that no other knows of are a hole. */
void kp_holes_begin(struct kp_log *log, uint64_t file_last, int64_t position, int64_t position_end);
/* Before an entry is applied: what its offset says of the holes before it. What is missing and was in none of them may
 * have been in one that is sealed, if the topic is dropped further on: then extents need not tell of it. */
void kp_holes_explain(struct kp_log *log, const struct kp_entry_header *entry);
/* At the end, when the extents are known: partitions that may have been in a hole go on behind what it may have held.
 * KP_CORRUPT when records are missing of which nothing tells, and nothing has rotted. */
KP_MUST enum kp_code kp_holes_settle(struct kp_log *log, struct kp_error *err);

/* ---- reading ---- */

/* The hole that the place lies in, where a block was found wrong; looks for its bounds when it is not known yet. The
 * reader has entered (log/seal.h); no lock held. */
KP_MUST enum kp_code kp_hole_find(struct kp_log *log, uint64_t location, const char *wrong,
                                  const struct kp_hole **ret_hole, struct kp_error *err);
/* The first range that a reader of these topics (NULL: all) wants and that is not trimmed or dropped; NULL: none. */
const struct kp_hole_range *kp_hole_wanted(struct kp_log *log, const struct kp_hole *hole, const uint32_t *topics,
                                           size_t topic_count);
/* KP_CORRUPT, in words: topic, offsets, positions, place. */
KP_MUST enum kp_code kp_hole_error(struct kp_log *log, const struct kp_hole *hole, const struct kp_hole_range *range,
                                   struct kp_error *err);
/* What can be done about damage, of kappa's own topics or of others'; returns err->code. */
enum kp_code kp_log_damage_hint(bool internal, struct kp_error *err);
/* A batch in an extent was found rotten: kp_log_damages tells of it from now on, until its records go. No lock held. */
void kp_damage_note(struct kp_log *log, const struct kp_log_damage *damage);
struct kp_extent_file;
/* kp_extent_file_init for one of the log's readers: what it mends is noted likewise, until the extent goes, and the
 * log's owner is told once. It is used without a lock held. */
void kp_log_extent_file_init(struct kp_log *log, struct kp_extent_file *file, bool direct);
/* The hole that is known at the location; NULL: none. Any thread. */
const struct kp_hole *kp_hole_known(struct kp_log *log, uint64_t location);

/* ---- sealing ---- */

struct kp_extent_run;
struct kp_extent_set;
/* What a set's run of lost records (log/extent.h) tells. */
struct kp_log_damage kp_hole_sealed(const struct kp_extent_set *set, const struct kp_extent_run *run);
/* Of the files from first to before *end, those that can be sealed as to their holes, each of which must be sealed
 * whole and have a block behind it: *end may move, up to `most`. False: files are left because of that. Any thread. */
bool kp_holes_fit(struct kp_log *log, uint64_t first, uint64_t most, uint64_t *end);
/* Where the block behind the hole lies, if there is one: a hole may end with its file. Any thread. */
uint64_t kp_hole_end(struct kp_log *log, const struct kp_hole *hole);
/* Are there holes that are not sealed? Locked: lock, or no other thread yet. */
bool kp_holes_unsealed(const struct kp_log *log);
/* Does a hole touch the file? Any thread. */
bool kp_holes_touch(struct kp_log *log, uint64_t file_number);

#endif
