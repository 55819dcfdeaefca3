/*
 * The sets of extents that count: what the newest KP_ENTRY_SEALED says, in memory and in the folder.
 */
#include <stdlib.h>

#include "log/extent_write.h"
#include "log/files.h"
#include "log/internal.h"
#include "log/plant.h"
#include "log/quarantine.h"
#include "log/seal.h"

enum {
    SEAL_BYTES = 1 << 30,
    OWN_BYTES = 8 << 20,
    ADOPT_BLOCK_BYTES = 256 << 10, /* files of smaller blocks are pre-written (log/journal.c): they are best recycled */
    ADOPT_PER_CENT = 75
};
#define LIMIT_BYTES ((uint64_t)4 << 30)

void kp_sealing_init(struct kp_log *log)
{
    struct kp_sealing *sealing = &log->sealing;
    sealing->next_number = 1;
    kp_mutex_init(&sealing->step);
    kp_mutex_init(&sealing->readers.mutex);
    kp_cond_init(&sealing->readers.drained);
    kp_cond_init(&sealing->work);
}

void kp_sealing_settings(struct kp_sealing *sealing, const struct kp_log_options *options)
{
    sealing->limit_bytes = options->unsealed_bytes_max ? options->unsealed_bytes_max : LIMIT_BYTES;
    sealing->seal_bytes =
        options->seal_bytes ? options->seal_bytes : KP_MIN((uint64_t)SEAL_BYTES, sealing->limit_bytes / 4);
    sealing->own_bytes = options->extent_own_bytes ? options->extent_own_bytes : (uint64_t)OWN_BYTES;
    sealing->adopt_block_bytes = options->adopt_block_bytes ? options->adopt_block_bytes : (uint64_t)ADOPT_BLOCK_BYTES;
    sealing->adopt_per_cent = options->adopt_per_cent ? options->adopt_per_cent : (uint32_t)ADOPT_PER_CENT;
}

void kp_sealing_finish(struct kp_log *log)
{
    struct kp_sealing *sealing = &log->sealing;
    for (size_t i = 0; i < sealing->set_count; i++)
        kp_extent_set_free(sealing->sets[i]);
    for (size_t i = 0; i < sealing->retired_sets.len / sizeof(struct kp_extent_set *); i++)
        kp_extent_set_free(((struct kp_extent_set **)(void *)sealing->retired_sets.data)[i]);
    kp_seal_notes_finish(&sealing->notes);
    kp_free(sealing->sets);
    kp_free(sealing->extents);
    kp_buf_finish(&sealing->retired_sets);
    kp_buf_finish(&sealing->retired_extents);
    kp_buf_finish(&sealing->retired_adopted);
    kp_buf_finish(&sealing->superfluous);
    kp_cond_finish(&sealing->work);
    kp_cond_finish(&sealing->readers.drained);
    kp_mutex_finish(&sealing->readers.mutex);
    kp_mutex_finish(&sealing->step);
}

struct kp_extent_set *kp_sealing_set_at(const struct kp_sealing *sealing, int64_t position)
{
    size_t low = 0, high = sealing->set_count; /* the first set that ends behind position */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sealing->sets[middle]->header.position_end <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sealing->set_count ? sealing->sets[low] : NULL;
}

/* ---- what counts now ---- */

bool kp_sealing_adopted(struct kp_log *log, uint64_t file_number)
{
    const struct kp_sealing *sealing = &log->sealing;
    bool adopted = false;
    kp_rwlock_read(&log->lock);
    for (size_t i = 0; i < sealing->head.extents && !adopted; i++)
        adopted = sealing->extents[i].number == (file_number | KP_ADOPTED);
    kp_rwlock_unlock(&log->lock);
    return adopted;
}

/* Numbers in order: a log that is kept for ever has very many extents. */
struct numbers {
    uint64_t *list;
    size_t count;
};

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* The extents' numbers; to kp_free. */
static struct numbers numbers_of(const struct kp_sealed_extent *extents, size_t count)
{
    struct numbers numbers = {kp_alloc((count + 1) * sizeof(uint64_t)), count};
    for (size_t i = 0; i < count; i++)
        numbers.list[i] = extents[i].number;
    qsort(numbers.list, count, sizeof(uint64_t), compare_numbers);
    return numbers;
}

static bool listed(const struct numbers *numbers, uint64_t number)
{
    return bsearch(&number, numbers->list, numbers->count, sizeof number, compare_numbers);
}

static int by_position(const void *a, const void *b)
{
    const struct kp_extent_header *left = &(*(struct kp_extent_set *const *)a)->header;
    const struct kp_extent_header *right = &(*(struct kp_extent_set *const *)b)->header;
    return (left->file_first > right->file_first) - (left->file_first < right->file_first);
}

/* Forgets where in the journal things lie that are sealed. */
static void forget_journal(struct kp_log *log, uint64_t file_next)
{
    uint64_t location = kp_location(file_next, 0);
    size_t marks = 0;
    while (marks < log->mark_count && log->marks[marks].location < location)
        marks++;
    log->mark_count -= marks;
    kp_seal_notes_forget(&log->sealing.notes, file_next);
    if (marks)
        memmove(log->marks, log->marks + marks, log->mark_count * sizeof *log->marks);
    for (uint32_t id = 1; id <= log->topics.id_count; id++) {
        struct kp_topic *topic = kp_topics_get(&log->topics, id);
        for (uint32_t i = 0; topic && i < topic->partition_count; i++)
            kp_partition_forget(&topic->partitions[i], location);
    }
    kp_mutex_lock(&log->hint_mutex);
    for (size_t i = 0; i < KP_LOG_HINTS; i++)
        if (log->hints[i].location < location)
            log->hints[i].location = 0;
    kp_mutex_unlock(&log->hint_mutex);
}

/* Takes up the sets that the new list names, retires those that it does not. */
static void exchange_sets(struct kp_sealing *sealing, const struct kp_sealed_extent *extents, size_t count)
{
    struct kp_extent_set **sets = kp_alloc((sealing->set_count + 1) * sizeof(struct kp_extent_set *));
    struct numbers numbers = numbers_of(extents, count);
    size_t set_count = 0;
    for (size_t i = 0; i < sealing->set_count; i++)
        if (listed(&numbers, sealing->sets[i]->header.number))
            sets[set_count++] = sealing->sets[i];
        else
            kp_buf_append(&sealing->retired_sets, &sealing->sets[i], sizeof(struct kp_extent_set *));
    if (sealing->arriving)
        sets[set_count++] = sealing->arriving;
    sealing->arriving = NULL;
    qsort(sets, set_count, sizeof(struct kp_extent_set *), by_position);
    for (size_t i = 0; i < sealing->head.extents; i++)
        if (!listed(&numbers, sealing->extents[i].number))
            kp_buf_append(kp_extent_adopted(sealing->extents[i].number) ? &sealing->retired_adopted
                                                                        : &sealing->retired_extents,
                          &sealing->extents[i].number, sizeof(uint64_t));
    kp_free(numbers.list);
    kp_free(sealing->sets);
    sealing->sets = sets;
    sealing->set_count = set_count;
}

enum kp_code kp_log_apply_sealed(struct kp_log *log, const struct kp_entry_header *entry, struct kp_error *err)
{
    struct kp_sealing *sealing = &log->sealing;
    struct kp_sealed_head head;
    if (entry->payload_bytes < sizeof head)
        return kp_fail(err, KP_CORRUPT, NULL, "a record of sealed files is malformed");
    memcpy(&head, entry + 1, sizeof head);
    size_t bytes = head.extents * sizeof(struct kp_sealed_extent);
    if (entry->payload_bytes != sizeof head + bytes || head.file_next < kp_sealing_file_next(sealing))
        return kp_fail(err, KP_CORRUPT, NULL, "a record of sealed files is malformed");
    struct kp_sealed_extent *extents = kp_alloc(bytes + 1);
    memcpy(extents, (const uint8_t *)(entry + 1) + sizeof head, bytes);
    if (log->opened) {
        exchange_sets(sealing, extents, head.extents);
        forget_journal(log, head.file_next);
    }
    kp_free(sealing->extents);
    sealing->extents = extents;
    sealing->head = head;
    return KP_OK;
}

/* ---- a new list ---- */

static void remove_made(struct kp_log *log, const struct kp_buf *made)
{
    const struct kp_extent_made *list = (const void *)made->data;
    for (size_t i = 0; i < made->len / sizeof *list; i++) {
        char *path = kp_extent_path(log->journal.dir, list[i].number, KP_EXTENT_SUFFIX);
        kp_files_discard(log->os, path);
        kp_free(path);
    }
}

static enum kp_code rename_made(struct kp_log *log, const struct kp_buf *made, struct kp_error *err)
{
    struct kp_os *os = log->os;
    const struct kp_extent_made *list = (const void *)made->data;
    enum kp_code code = KP_OK;
    for (size_t i = 0; i < made->len / sizeof *list && code == KP_OK; i++) {
        char *from = kp_extent_path(log->journal.dir, list[i].number, KP_EXTENT_NEW_SUFFIX);
        char *to = kp_extent_path(log->journal.dir, list[i].number, KP_EXTENT_SUFFIX);
        code = kp_files_rename(os, from, to, err);
        if (code != KP_OK)
            kp_files_discard(os, from);
        kp_free(to);
        kp_free(from);
    }
    if (code == KP_OK && !log->journal.unsafe_no_sync && kp_log_planted != KP_PLANT_NAMES_UNSYNCED)
        code = kp_files_sync(os, log->journal.dir, err);
    return code;
}

/* Appends the entry and waits for it. Its publishing takes *set. */
static enum kp_code append_sealed(struct kp_log *log, struct kp_log_piece *piece, struct kp_extent_set **set,
                                  struct kp_error *err)
{
    kp_mutex_lock(&log->mutex);
    log->sealing.arriving = *set;
    enum kp_code code = kp_log_check(log, err);
    if (code == KP_OK)
        code = kp_log_enqueue_and_wait(log, piece, 1, NULL, err);
    *set = log->sealing.arriving;
    log->sealing.arriving = NULL;
    kp_mutex_unlock(&log->mutex);
    return code;
}

/* The same on a full disk, too. If it fails the set is freed. */
static enum kp_code record(struct kp_log *log, const struct kp_sealed_head *head, const struct kp_buf *extents,
                           struct kp_extent_set *set, struct kp_error *err)
{
    struct kp_buf payload = {0};
    kp_buf_append(&payload, head, sizeof *head);
    kp_buf_append(&payload, extents->data, extents->len);
    struct kp_log_piece piece = {.header = {.kind = KP_ENTRY_SEALED, .payload_bytes = (uint32_t)payload.len},
                                 .payload = payload.data};
    struct kp_room room = {.log = log};
    bool roll = atomic_load(&log->journal.roll);
    enum kp_code code;
    do {
        atomic_store(&log->journal.roll, roll); /* the block that could not be written took it */
        code = append_sealed(log, &piece, &set, err);
    } while (kp_room_make(&room, code));
    kp_extent_set_free(set);
    kp_buf_finish(&payload);
    return code;
}

static void add_extents(const struct kp_buf *made, struct kp_buf *extents)
{
    const struct kp_extent_made *list = (const void *)made->data;
    for (size_t i = 0; i < made->len / sizeof *list; i++) {
        struct kp_sealed_extent extent = {list[i].number, list[i].bytes, list[i].kind, list[i].header_crc};
        kp_buf_append(extents, &extent, sizeof extent);
    }
}

/* The list as it is, but for those whose numbers are in `without`. */
static void keep_extents(struct kp_log *log, const struct kp_buf *without, struct kp_buf *extents)
{
    const struct kp_sealing *sealing = &log->sealing;
    kp_rwlock_read(&log->lock);
    for (size_t i = 0; i < sealing->head.extents; i++) {
        bool keep = true;
        for (size_t k = 0; without && k < kp_folder_count(without) && keep; k++)
            keep = kp_folder_number(without, k) != sealing->extents[i].number;
        if (keep)
            kp_buf_append(extents, &sealing->extents[i], sizeof sealing->extents[i]);
    }
    kp_rwlock_unlock(&log->lock);
}

static enum kp_code count_made(struct kp_log *log, struct kp_extents_writer *writer, struct kp_sealed_head head,
                               const struct kp_buf *without, struct kp_error *err)
{
    struct kp_buf extents = {0};
    if (writer)
        KP_TRY(rename_made(log, &writer->made, err));
    keep_extents(log, without, &extents);
    if (writer)
        add_extents(&writer->made, &extents);
    if (writer)
        add_extents(&writer->adopted, &extents);
    head.extents = (uint32_t)(extents.len / sizeof(struct kp_sealed_extent));
    enum kp_code code = record(log, &head, &extents, writer ? kp_extents_take(writer) : NULL, err);
    kp_buf_finish(&extents);
    return code;
}

enum kp_code kp_sealing_count(struct kp_log *log, struct kp_extents_writer *writer, const struct kp_sealed_head *head,
                              const struct kp_buf *without, struct kp_error *err)
{
    struct kp_sealing *sealing = &log->sealing;
    struct kp_error failed;
    if (kp_log_planted == KP_PLANT_REMOVED_FIRST && without)
        kp_sealing_unlink(log, without);
    enum kp_code code = count_made(log, writer, *head, without, err);
    if (code != KP_OK && writer && kp_log_health(log, &failed) == KP_OK) /* else it is not known whether it counts */
        remove_made(log, &writer->made);
    KP_TRY(code);
    sealing->retiring = true;
    kp_mutex_lock(&sealing->readers.mutex);
    sealing->readers.side ^= 1; /* who comes from now on finds what is new */
    kp_mutex_unlock(&sealing->readers.mutex);
    return KP_OK;
}

/* ---- opening ---- */

/* Loads the set of a mixed extent. */
static enum kp_code load_set(struct kp_log *log, const struct kp_sealed_extent *extent, struct kp_error *err)
{
    struct kp_sealing *sealing = &log->sealing;
    struct kp_extent_set *set;
    struct kp_extent_file file;
    kp_log_extent_file_init(log, &file, false);
    enum kp_code code = kp_extent_set_load(&file, extent->number, &set, err);
    kp_extent_file_finish(&file);
    KP_TRY(code);
    if (set->header.crc != extent->header_crc || set->header.generation != log->journal.generation) {
        kp_extent_set_free(set);
        return kp_fail(err, KP_CORRUPT, NULL, "extent %llu in \"%s\" is not the one that was sealed",
                       (unsigned long long)extent->number, log->journal.dir);
    }
    sealing->sets[sealing->set_count++] = set;
    for (uint32_t r = 0; r < set->header.runs; r++) /* of extents that are gone, too: no number comes again */
        if (set->runs[r].extent < KP_ADOPTED)
            sealing->next_number = KP_MAX(sealing->next_number, (uint64_t)set->runs[r].extent + 1);
    return KP_OK;
}

/* An extent of one partition is read by the runs of its set; but one of a later version is refused. */
static enum kp_code check_own(struct kp_log *log, uint64_t number, struct kp_error *err)
{
    struct kp_extent_header header;
    enum kp_code code = kp_extent_header_read(log->os, log->journal.dir, number, false, &header, err);
    return code == KP_UNSUPPORTED ? code : KP_OK;
}

/* Those that cannot be read are quarantined; missing ones are an error where the list may be an old one. */
static enum kp_code load_sets(struct kp_log *log, bool may_be_old, struct kp_error *err)
{
    struct kp_sealing *sealing = &log->sealing;
    struct kp_buf rotten = {0};
    enum kp_code code = KP_OK;
    sealing->sets = kp_calloc(sealing->head.extents + 1, sizeof(struct kp_extent_set *));
    for (size_t i = 0; i < sealing->head.extents && code == KP_OK; i++) {
        const struct kp_sealed_extent *extent = &sealing->extents[i];
        if (!kp_extent_adopted(extent->number))
            sealing->next_number = KP_MAX(sealing->next_number, extent->number + 1);
        if (extent->kind == KP_EXTENT_OWN)
            code = check_own(log, extent->number, err);
        if (extent->kind != KP_EXTENT_MIXED)
            continue;
        code = load_set(log, extent, err);
        const struct kp_quarantined lost = {extent->number, kp_quarantine_wrong(code)};
        if (code == KP_CORRUPT || (code == KP_NOT_FOUND && !may_be_old)) {
            kp_buf_append(&rotten, &lost, sizeof lost);
            code = KP_OK;
        }
    }
    qsort(sealing->sets, sealing->set_count, sizeof(struct kp_extent_set *), by_position);
    if (code == KP_OK)
        code = kp_quarantine_sets(log, &rotten, err);
    kp_buf_finish(&rotten);
    return code;
}

static void forget_sets(struct kp_sealing *sealing)
{
    for (size_t i = 0; i < sealing->set_count; i++)
        kp_extent_set_free(sealing->sets[i]);
    kp_free(sealing->sets);
    sealing->sets = NULL;
    sealing->set_count = 0;
    sealing->superfluous.len = 0;
}

static enum kp_code remove_path(struct kp_log *log, char *path, struct kp_error *err)
{
    enum kp_code code = kp_files_remove(log->os, path, err);
    kp_free(path);
    return code;
}

static enum kp_code remove_extents(struct kp_log *log, const struct kp_folder *folder, const struct numbers *numbers,
                                   struct kp_error *err)
{
    for (size_t i = 0; i < kp_folder_count(&folder->extents); i++) {
        uint64_t number = kp_folder_number(&folder->extents, i);
        if (!listed(numbers, number))
            KP_TRY(remove_path(log, kp_extent_path(log->journal.dir, number, KP_EXTENT_SUFFIX), err));
    }
    return KP_OK;
}

static enum kp_code remove_journals(struct kp_log *log, const struct kp_folder *folder, const struct numbers *numbers,
                                    struct kp_error *err)
{
    bool adopted = false;
    for (size_t i = 0; i < kp_folder_count(&folder->journals); i++) {
        uint64_t number = kp_folder_number(&folder->journals, i);
        if (number >= kp_sealing_file_next(&log->sealing))
            continue;
        if (!listed(numbers, number | KP_ADOPTED) || kp_log_planted == KP_PLANT_ADOPTED_UNNAMED) {
            KP_TRY(remove_path(log, kp_journal_path(log->journal.dir, number, KP_JOURNAL_SUFFIX), err));
            continue;
        }
        KP_TRY(kp_journal_adopt(&log->journal, number, err));
        adopted = true;
    }
    return adopted && !log->journal.unsafe_no_sync ? kp_files_sync(log->os, log->journal.dir, err) : KP_OK;
}

/* Removes extents and journal files that do not count; gives those that were adopted their name. */
static enum kp_code remove_rest(struct kp_log *log, const struct kp_recovery *recovery, struct kp_error *err)
{
    const struct kp_sealing *sealing = &log->sealing;
    struct numbers numbers = numbers_of(sealing->extents, sealing->head.extents);
    enum kp_code code = remove_extents(log, &recovery->folder, &numbers, err);
    if (code == KP_OK)
        code = remove_journals(log, &recovery->folder, &numbers, err);
    kp_free(numbers.list);
    return code;
}

/* Extents are removed when all that lies in them was trimmed or dropped: where that is not known any more, because it
 * has rotted, it is trimmed now. */
static void give_up_removed(struct kp_log *log)
{
    const struct kp_sealing *sealing = &log->sealing;
    struct numbers numbers = numbers_of(sealing->extents, sealing->head.extents);
    for (size_t i = 0; i < sealing->set_count; i++)
        for (uint32_t r = 0; r < sealing->sets[i]->header.runs; r++) {
            const struct kp_extent_run *run = &sealing->sets[i]->runs[r];
            struct kp_topic *topic = kp_topics_get(&log->topics, run->topic);
            if (topic && run->partition < topic->partition_count && !kp_extent_run_lost(run) && run->extent &&
                !listed(&numbers, run->extent)) /* 0: the set itself */
                kp_topic_trim(topic, run->partition, run->end_offset);
        }
    kp_free(numbers.list);
}

enum kp_code kp_sealing_open(struct kp_log *log, const struct kp_recovery *recovery, struct kp_error *err)
{
    struct kp_sealing *sealing = &log->sealing;
    uint64_t before = recovery->folder.anchor.file_last;
    bool missing = before && sealing->head.file_next <= before;
    bool may_be_old = log->holes.count > log->holes.unanchored; /* a newer list may have rotted */
    if (missing && !may_be_old && !recovery->folder.anchor.number)
        return kp_folder_missing(log->journal.dir, log->journal.first_number, err);
    if (missing && !may_be_old)
        return kp_fail(
            err, KP_CORRUPT, NULL,
            "journal files are missing in \"%s\": none from file %llu on says that those before it are sealed",
            log->journal.dir, (unsigned long long)log->journal.first_number);
    enum kp_code code = missing ? KP_CORRUPT : load_sets(log, may_be_old, err);
    if (code != KP_OK && may_be_old) {
        forget_sets(sealing);
        KP_TRY(kp_sealing_relist(log, &recovery->folder, err));
        code = load_sets(log, false, err);
    }
    KP_TRY(code);
    for (size_t i = 0; i < kp_folder_count(&recovery->folder.extents); i++) {
        uint64_t number = kp_folder_number(&recovery->folder.extents, i);
        if (!kp_extent_adopted(number))
            sealing->next_number = KP_MAX(sealing->next_number, number + 1);
    }
    forget_journal(log, kp_sealing_file_next(sealing));
    give_up_removed(log);
    /* What a hole held may have been a newer list, if it lies behind the files of this one. */
    return log->read_only || kp_holes_unsealed(log) ? KP_OK : remove_rest(log, recovery, err);
}

void kp_log_sealed(struct kp_log *log, struct kp_log_sealed *ret_sealed)
{
    kp_mutex_lock(&log->mutex);
    uint64_t unsealed_bytes = log->sealing.unsealed_bytes, refusals = log->refusals;
    kp_mutex_unlock(&log->mutex);
    uint64_t compact_bytes = atomic_load(&log->sealing.compact_bytes);
    kp_rwlock_read(&log->lock);
    const struct kp_sealed_head *head = &log->sealing.head;
    *ret_sealed = (struct kp_log_sealed){
        .position = head->position,
        .extents = head->extents,
        .unsealed_bytes = unsealed_bytes,
        .batch_bytes = head->batch_bytes,
        .journal_bytes = head->journal_bytes,
        .extent_bytes = head->extent_bytes,
        .merge_bytes = head->merge_bytes,
        .compact_bytes = compact_bytes,
        .refusals = refusals,
        .full = kp_reserve_given(&log->journal.reserve) || atomic_load(&log->sealing.full),
    };
    kp_rwlock_unlock(&log->lock);
}
