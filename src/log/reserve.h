/*
 * The disk reserve: room that is kept free for what frees room.
 *
 *     reserve        a file beside the journal, allocated and never written
 *
 * Sealing writes extents before it can take journal files away, and a drop or a trim is a record of the journal: on a
 * disk that is full to the last byte nothing could ever be freed. So as much as it takes to seal one journal file is
 * held by this file. What frees room and finds the disk full has it *given up* (removed), and goes on in the room that
 * it leaves: sealing a stretch, an entry that drops, trims or says what is sealed, a recovery snapshot. From then on
 * until it is held again
 *   - producers are refused (KP_FULL, retriable), topics are not made: the room is not theirs;
 *   - the journal's next file is a small one;
 *   - sealed journal files are removed, not recycled; full ones are sealed one at a time, however few there are.
 * It is taken back as soon as the disk has room for it, by the sealer's thread or whoever appends next.
 *
 * A journal file is begun only when the reserve is held that sealing it takes; when there is no room for both, a
 * smaller one is tried. It is not synced and means nothing: without it, at the next start it is allocated again, and
 * when that fails the log is as if it had been given up. Removing it by hand is no harm.
 *
 * Threads: any. `mutex` is the last of all locks; nothing that waits for a commit is done under it.
 */
#ifndef KP_LOG_RESERVE_H
#define KP_LOG_RESERVE_H

#include <stdatomic.h>

#include "os/os.h"
#include "os/thread.h"

struct kp_log;

enum { KP_RESERVE_FILE_BYTES = 1 << 20 }; /* of a journal file that is made when the reserve is given up */
#define KP_RESERVE_NAME "reserve"

struct kp_reserve {
    struct kp_os *os;
    const char *dir; /* borrowed */
    bool off;        /* relaxed durability, or reading only: none is held */
    struct kp_mutex mutex;
    uint64_t wanted_bytes, held_bytes; /* (mutex) */
    uint32_t users;                    /* (mutex) are using the room that it left */
    _Atomic bool given;                /* it is given up */
};

void kp_reserve_init(struct kp_reserve *reserve, struct kp_os *os, const char *dir, bool off);
void kp_reserve_finish(struct kp_reserve *reserve);

static inline bool kp_reserve_given(const struct kp_reserve *reserve)
{
    return atomic_load_explicit(&reserve->given, memory_order_relaxed);
}
/* A journal file of so many bytes is about to be made: holds what sealing it takes. KP_FULL: there is no room.
 * *ret_before: what was wanted before, for kp_reserve_lower. */
KP_MUST enum kp_code kp_reserve_keep(struct kp_reserve *reserve, uint64_t file_bytes, uint64_t *ret_before,
                                     struct kp_error *err);
/* The file was not made: what was held for it is room again. */
void kp_reserve_lower(struct kp_reserve *reserve, uint64_t before);
/* At opening: the largest journal file has so many bytes. On a full disk it is given up from the beginning. */
void kp_reserve_open(struct kp_reserve *reserve, uint64_t file_bytes);
/* Holds it again, if it was given up, nobody uses it and there is room. True: it is not given up (any more). */
bool kp_reserve_take(struct kp_reserve *reserve);

/*
 * Doing what frees room:
 *
 *     struct kp_room room = {log};
 *     do
 *         code = …;
 *     while (kp_room_make(&room, code));
 *
 * True twice at most: code is KP_FULL, and now the reserve is given up. Twice, because of a commit that found no room
 * before that: it takes all down that waits behind it (log/commit.c: refuse_all), the first attempt in the room that
 * the reserve left, too. Before the second one nobody waits any more who was let in earlier. No lock held.
 */
struct kp_room {
    struct kp_log *log;
    unsigned attempts; /* since it was given up */
};
bool kp_room_make(struct kp_room *room, enum kp_code code);

#endif
