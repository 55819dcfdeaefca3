/* A queue of pieces between the reading thread and the scan: log/scan_ahead.h. */
#include "log/scan_ahead.h"

#include <string.h>

#include "base/mem.h"
#include "os/thread.h"

enum { PIECES = 2 };

struct piece {
    uint8_t *memory; /* headroom, then its bytes; NULL: none yet */
    uint64_t offset;
    size_t got;
};

struct kp_scan_ahead {
    struct kp_os *os;
    size_t read_bytes;
    struct kp_mutex mutex;
    struct kp_cond changed;
    struct kp_thread thread;
    bool stop, reading;
    struct kp_file *file; /* borrowed; NULL: nothing is to be read */
    uint64_t next, end;
    struct piece pieces[PIECES]; /* a ring: `count` from `first` on are ready */
    size_t first, count;
};

/* Locked; unlocks while it reads. */
static void read_piece(struct kp_scan_ahead *ahead)
{
    struct piece *piece = &ahead->pieces[(ahead->first + ahead->count) % PIECES];
    size_t want = (size_t)KP_MIN((uint64_t)ahead->read_bytes, ahead->end - ahead->next);
    if (!piece->memory)
        piece->memory = kp_alloc_aligned(KP_SECTOR_BYTES, KP_SCAN_HEADROOM + ahead->read_bytes);
    struct kp_file *file = ahead->file; /* who changes it waits for this read */
    piece->offset = ahead->next;
    ahead->reading = true;
    kp_mutex_unlock(&ahead->mutex);
    enum kp_code code = ahead->os->pread(ahead->os->ctx, file, piece->memory + KP_SCAN_HEADROOM, want, piece->offset,
                                         &piece->got, NULL);
    kp_mutex_lock(&ahead->mutex);
    ahead->reading = false;
    ahead->next += want;
    if (code == KP_OK && piece->got == want)
        ahead->count++;
    else
        ahead->next = ahead->end;
    kp_cond_broadcast(&ahead->changed);
}

static void run(void *arg)
{
    struct kp_scan_ahead *ahead = arg;
    kp_mutex_lock(&ahead->mutex);
    while (!ahead->stop)
        if (ahead->file && ahead->next < ahead->end && ahead->count < PIECES)
            read_piece(ahead);
        else
            kp_cond_wait(&ahead->changed, &ahead->mutex);
    kp_mutex_unlock(&ahead->mutex);
}

struct kp_scan_ahead *kp_scan_ahead_create(struct kp_os *os, size_t read_bytes)
{
    struct kp_scan_ahead *ahead = kp_calloc(1, sizeof *ahead);
    ahead->os = os;
    ahead->read_bytes = read_bytes;
    kp_mutex_init(&ahead->mutex);
    kp_cond_init(&ahead->changed);
    kp_thread_start(&ahead->thread, "kappa-scan", 0, run, ahead);
    return ahead;
}

void kp_scan_ahead_destroy(struct kp_scan_ahead *ahead)
{
    if (!ahead)
        return;
    kp_mutex_lock(&ahead->mutex);
    ahead->stop = true;
    kp_cond_broadcast(&ahead->changed);
    kp_mutex_unlock(&ahead->mutex);
    kp_thread_join(&ahead->thread);
    for (size_t i = 0; i < PIECES; i++)
        kp_free(ahead->pieces[i].memory);
    kp_cond_finish(&ahead->changed);
    kp_mutex_finish(&ahead->mutex);
    kp_free(ahead);
}

void kp_scan_ahead_start(struct kp_scan_ahead *ahead, struct kp_file *file, uint64_t offset, uint64_t end)
{
    kp_mutex_lock(&ahead->mutex);
    ahead->file = NULL;
    while (ahead->reading)
        kp_cond_wait(&ahead->changed, &ahead->mutex);
    ahead->count = 0;
    ahead->file = file;
    ahead->next = offset;
    ahead->end = end;
    kp_cond_broadcast(&ahead->changed);
    kp_mutex_unlock(&ahead->mutex);
}

bool kp_scan_ahead_take(struct kp_scan_ahead *ahead, uint64_t offset, const uint8_t *kept, size_t kept_bytes,
                        uint8_t **memory, size_t *ret_got)
{
    kp_mutex_lock(&ahead->mutex);
    while (!ahead->count && ahead->file && ahead->next < ahead->end)
        kp_cond_wait(&ahead->changed, &ahead->mutex);
    struct piece *piece = &ahead->pieces[ahead->first];
    bool there = ahead->count && piece->offset == offset;
    if (there) {
        uint8_t *given = *memory;
        if (kept_bytes)
            memcpy(piece->memory + KP_SCAN_HEADROOM - kept_bytes, kept, kept_bytes);
        *memory = piece->memory;
        *ret_got = piece->got;
        piece->memory = given;
        ahead->first = (ahead->first + 1) % PIECES;
        ahead->count--;
        kp_cond_broadcast(&ahead->changed);
    }
    kp_mutex_unlock(&ahead->mutex);
    return there;
}
