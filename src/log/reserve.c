/* Holding, giving up and taking back the disk reserve; the rules are in log/reserve.h. */
#include "log/reserve.h"

#include "base/mem.h"
#include "log/files.h"
#include "log/internal.h"

enum { ATTEMPTS_MAX = 2 };

void kp_reserve_init(struct kp_reserve *reserve, struct kp_os *os, const char *dir, bool off)
{
    *reserve = (struct kp_reserve){.os = os, .dir = dir, .off = off};
    kp_mutex_init(&reserve->mutex);
}

void kp_reserve_finish(struct kp_reserve *reserve)
{
    kp_mutex_finish(&reserve->mutex);
}

/* An extent of many tiny batches is larger than their journal: each has 72 bytes beside it instead of 32. And what says
 * so, and what was dropped, goes into small journal files. */
static uint64_t bytes_for(uint64_t file_bytes)
{
    return file_bytes + file_bytes / 2 + 2 * KP_MIN(file_bytes, (uint64_t)KP_RESERVE_FILE_BYTES);
}

/* Allocates the file; on failure it is as it was. Locked: mutex. */
static enum kp_code hold(struct kp_reserve *reserve, uint64_t bytes, struct kp_error *err)
{
    char *path = kp_files_path(reserve->dir, KP_RESERVE_NAME, "");
    enum kp_code code = kp_files_hold(reserve->os, path, reserve->held_bytes, bytes, err);
    kp_free(path);
    if (code == KP_OK)
        reserve->held_bytes = bytes;
    return code;
}

/* Locked: mutex. */
static void discard(struct kp_reserve *reserve)
{
    char *path = kp_files_path(reserve->dir, KP_RESERVE_NAME, "");
    kp_files_discard(reserve->os, path);
    kp_free(path);
    reserve->held_bytes = 0;
}

enum kp_code kp_reserve_keep(struct kp_reserve *reserve, uint64_t file_bytes, uint64_t *ret_before,
                             struct kp_error *err)
{
    enum kp_code code = KP_OK;
    kp_mutex_lock(&reserve->mutex);
    *ret_before = reserve->wanted_bytes;
    uint64_t bytes = bytes_for(file_bytes);
    if (!reserve->off && !reserve->given && bytes > reserve->held_bytes)
        code = hold(reserve, bytes, err);
    if (code == KP_OK && !reserve->given) /* else it was not held: more than the disk has would be wanted for ever */
        reserve->wanted_bytes = KP_MAX(reserve->wanted_bytes, bytes);
    kp_mutex_unlock(&reserve->mutex);
    return code == KP_FULL ? code : KP_OK; /* another failure is the reserve's alone */
}

void kp_reserve_lower(struct kp_reserve *reserve, uint64_t before)
{
    kp_mutex_lock(&reserve->mutex);
    reserve->wanted_bytes = KP_MIN(reserve->wanted_bytes, before);
    if (reserve->held_bytes > before) {
        if (before) {
            (void)!hold(reserve, before, NULL);
        } else {
            discard(reserve);
        }
    }
    kp_mutex_unlock(&reserve->mutex);
}

/* Locked: mutex. */
static bool hold_most(struct kp_reserve *reserve)
{
    return hold(reserve, reserve->wanted_bytes, NULL) == KP_OK ||
           hold(reserve, reserve->wanted_bytes / 4 * 3, NULL) == KP_OK;
}

void kp_reserve_open(struct kp_reserve *reserve, uint64_t file_bytes)
{
    if (reserve->off)
        return;
    kp_mutex_lock(&reserve->mutex);
    reserve->wanted_bytes = KP_MAX(reserve->wanted_bytes, bytes_for(file_bytes));
    if (reserve->held_bytes < reserve->wanted_bytes)
        atomic_store(&reserve->given, !hold_most(reserve));
    kp_mutex_unlock(&reserve->mutex);
}

bool kp_reserve_take(struct kp_reserve *reserve)
{
    if (!kp_reserve_given(reserve))
        return true;
    kp_mutex_lock(&reserve->mutex);
    if (reserve->given && !reserve->users && hold_most(reserve))
        atomic_store(&reserve->given, false);
    bool held = !reserve->given;
    kp_mutex_unlock(&reserve->mutex);
    return held;
}

static void give_up(struct kp_reserve *reserve)
{
    kp_mutex_lock(&reserve->mutex);
    reserve->users++;
    if (reserve->held_bytes)
        discard(reserve);
    atomic_store(&reserve->given, true);
    kp_mutex_unlock(&reserve->mutex);
}

bool kp_room_make(struct kp_room *room, enum kp_code code)
{
    struct kp_log *log = room->log;
    struct kp_reserve *reserve = &log->journal.reserve;
    if (room->attempts && room->attempts < ATTEMPTS_MAX && code == KP_FULL) {
        room->attempts++;
        return true;
    }
    if (room->attempts) {
        kp_mutex_lock(&reserve->mutex);
        reserve->users--;
        kp_mutex_unlock(&reserve->mutex);
        kp_mutex_lock(&log->mutex);
        kp_cond_signal(&log->sealing.work); /* it may be taken back */
        kp_mutex_unlock(&log->mutex);
        return false;
    }
    if (code != KP_FULL || reserve->off)
        return false;
    room->attempts = 1;
    give_up(reserve);
    return true;
}
