#include "log/prefetch.h"

#include <string.h>

#include "base/mem.h"
#include "log/extent.h"

enum { SMALL_READ_BYTES = 256 << 10 }; /* up to here a slab has just the bytes that are read */

struct kp_slab *kp_read_slab(size_t want)
{
    size_t size = want;
    if (want > SMALL_READ_BYTES)
        size = want <= KP_SLAB_BYTES ? (size_t)KP_SLAB_BYTES : KP_MAX(want, (size_t)KP_SLAB_READ_BYTES);
    return kp_slab_create(size);
}

enum kp_code kp_journal_read(struct kp_journal *journal, uint64_t location, size_t want, struct kp_slab **ret_slab,
                             size_t *ret_got, struct kp_error *err)
{
    struct kp_os *os = journal->os;
    char *path = kp_journal_path(journal->dir, kp_location_file(location), KP_JOURNAL_SUFFIX);
    struct kp_file *file;
    unsigned direct = journal->unsafe_no_sync ? 0 : KP_OPEN_DIRECT;
    enum kp_code code = os->open(os->ctx, path, KP_OPEN_READ | direct, &file, err);
    kp_free(path);
    KP_TRY(code);
    struct kp_slab *slab = kp_read_slab(want);
    code = os->pread(os->ctx, file, slab->memory, want, kp_location_offset(location), ret_got, err);
    os->close(os->ctx, file);
    if (code != KP_OK) {
        kp_slab_release(slab);
        return code;
    }
    *ret_slab = slab;
    return KP_OK;
}

void kp_prefetch_init(struct kp_prefetch *prefetch, struct kp_journal *journal, bool enabled)
{
    memset(prefetch, 0, sizeof *prefetch);
    prefetch->journal = journal;
    prefetch->enabled = enabled;
    kp_mutex_init(&prefetch->mutex);
    kp_cond_init(&prefetch->changed);
}

void kp_prefetch_finish(struct kp_prefetch *prefetch)
{
    kp_mutex_lock(&prefetch->mutex);
    prefetch->stopping = true;
    kp_cond_broadcast(&prefetch->changed);
    kp_mutex_unlock(&prefetch->mutex);
    if (prefetch->running)
        kp_thread_join(&prefetch->thread);
    for (size_t i = 0; i < KP_PREFETCH_SLOTS; i++)
        kp_slab_release(prefetch->slots[i].slab);
    kp_cond_finish(&prefetch->changed);
    kp_mutex_finish(&prefetch->mutex);
}

static enum kp_code read_extent(const struct kp_journal *journal, uint64_t extent, uint64_t place, size_t want,
                                struct kp_slab **ret_slab)
{
    struct kp_extent_file file;
    struct kp_slab *slab = kp_read_slab(want);
    kp_extent_file_init(&file, journal->os, journal->dir, !journal->unsafe_no_sync);
    enum kp_code code = kp_extent_file_read(&file, extent, slab->memory, place, want, NULL);
    kp_extent_file_finish(&file);
    if (code == KP_OK)
        *ret_slab = slab;
    else
        kp_slab_release(slab);
    return code;
}

/* Locked; unlocks while it reads. A failure leaves the slot empty: the reader meets it itself. */
static void read_slot(struct kp_prefetch *prefetch, size_t i)
{
    uint64_t location = prefetch->slots[i].location, extent = prefetch->slots[i].extent;
    size_t want = prefetch->slots[i].want, got = want;
    struct kp_slab *slab = NULL;
    prefetch->slots[i].state = KP_PREFETCH_READING;
    kp_mutex_unlock(&prefetch->mutex);
    enum kp_code code = extent ? read_extent(prefetch->journal, extent, location, want, &slab)
                               : kp_journal_read(prefetch->journal, location, want, &slab, &got, NULL);
    kp_mutex_lock(&prefetch->mutex);
    prefetch->slots[i].state = code == KP_OK ? KP_PREFETCH_READY : KP_PREFETCH_EMPTY;
    prefetch->slots[i].slab = slab;
    prefetch->slots[i].got = got;
    kp_cond_broadcast(&prefetch->changed);
}

static void run_prefetch(void *arg)
{
    struct kp_prefetch *prefetch = arg;
    kp_mutex_lock(&prefetch->mutex);
    while (!prefetch->stopping) {
        size_t i = 0;
        while (i < KP_PREFETCH_SLOTS && prefetch->slots[i].state != KP_PREFETCH_WANTED)
            i++;
        if (i < KP_PREFETCH_SLOTS)
            read_slot(prefetch, i);
        else
            kp_cond_wait(&prefetch->changed, &prefetch->mutex);
    }
    kp_mutex_unlock(&prefetch->mutex);
}

static bool is_slot(const struct kp_prefetch *prefetch, size_t i, uint64_t extent, uint64_t location)
{
    return prefetch->slots[i].state != KP_PREFETCH_EMPTY && prefetch->slots[i].extent == extent &&
           prefetch->slots[i].location == location;
}

static void ask(struct kp_prefetch *prefetch, uint64_t extent, uint64_t location, size_t bytes)
{
    if (!prefetch->enabled || !bytes)
        return;
    kp_mutex_lock(&prefetch->mutex);
    size_t at = KP_PREFETCH_SLOTS; /* an empty slot, else the one whose turn it is */
    bool there = false;
    for (size_t i = 0; i < KP_PREFETCH_SLOTS; i++) {
        there |= is_slot(prefetch, i, extent, location);
        if (prefetch->slots[i].state == KP_PREFETCH_EMPTY)
            at = i;
    }
    if (at == KP_PREFETCH_SLOTS) {
        at = prefetch->next;
        prefetch->next = (at + 1) % KP_PREFETCH_SLOTS;
    }
    if (!there && prefetch->slots[at].state != KP_PREFETCH_READING && !prefetch->stopping) {
        kp_slab_release(prefetch->slots[at].slab);
        prefetch->slots[at].slab = NULL;
        prefetch->slots[at].extent = extent;
        prefetch->slots[at].location = location;
        prefetch->slots[at].want = bytes;
        prefetch->slots[at].state = KP_PREFETCH_WANTED;
        if (!prefetch->running)
            kp_thread_start(&prefetch->thread, "kappa-readahead", 0, run_prefetch, prefetch);
        prefetch->running = true;
        kp_cond_broadcast(&prefetch->changed);
    }
    kp_mutex_unlock(&prefetch->mutex);
}

static struct kp_slab *take(struct kp_prefetch *prefetch, uint64_t extent, uint64_t location, size_t *ret_got)
{
    struct kp_slab *slab = NULL;
    kp_mutex_lock(&prefetch->mutex);
    for (size_t i = 0; i < KP_PREFETCH_SLOTS && !slab; i++) {
        while (prefetch->slots[i].state == KP_PREFETCH_READING && is_slot(prefetch, i, extent, location))
            kp_cond_wait(&prefetch->changed, &prefetch->mutex);
        if (!is_slot(prefetch, i, extent, location))
            continue;
        slab = prefetch->slots[i].slab; /* NULL if only wanted: reading it here is as quick */
        *ret_got = prefetch->slots[i].got;
        prefetch->slots[i].slab = NULL;
        prefetch->slots[i].state = KP_PREFETCH_EMPTY;
    }
    kp_mutex_unlock(&prefetch->mutex);
    return slab;
}

void kp_prefetch_want(struct kp_prefetch *prefetch, uint64_t location, size_t bytes)
{
    ask(prefetch, 0, location, bytes);
}

struct kp_slab *kp_prefetch_take(struct kp_prefetch *prefetch, uint64_t location, size_t *ret_got)
{
    return take(prefetch, 0, location, ret_got);
}

void kp_prefetch_want_extent(struct kp_prefetch *prefetch, uint64_t extent, uint64_t place, size_t bytes)
{
    ask(prefetch, extent, place, bytes);
}

struct kp_slab *kp_prefetch_take_extent(struct kp_prefetch *prefetch, uint64_t extent, uint64_t place, size_t *ret_got)
{
    return take(prefetch, extent, place, ret_got);
}

size_t kp_prefetch_asked(struct kp_prefetch *prefetch, uint64_t extent, uint64_t place)
{
    size_t bytes = 0;
    kp_mutex_lock(&prefetch->mutex);
    for (size_t i = 0; i < KP_PREFETCH_SLOTS; i++)
        if (is_slot(prefetch, i, extent, place))
            bytes = prefetch->slots[i].want;
    kp_mutex_unlock(&prefetch->mutex);
    return bytes;
}

void kp_prefetch_drop(struct kp_prefetch *prefetch)
{
    kp_mutex_lock(&prefetch->mutex);
    for (size_t i = 0; i < KP_PREFETCH_SLOTS; i++)
        if (prefetch->slots[i].state == KP_PREFETCH_READY) {
            kp_slab_release(prefetch->slots[i].slab);
            prefetch->slots[i].slab = NULL;
            prefetch->slots[i].state = KP_PREFETCH_EMPTY;
        }
    kp_mutex_unlock(&prefetch->mutex);
}
