/* The rules are in log/adopt.h. */
#include "log/adopt.h"

#include "log/state.h"

enum {
    PENDING_MAX = 256 << 10, /* batches of a file that is adopted: they are held in memory */
    LARGE_PARTS = 8          /* of a small file an eighth is large */
};

void kp_adopt_finish(struct kp_adopt *adopt)
{
    kp_buf_finish(&adopt->files);
    kp_buf_finish(&adopt->picks);
    kp_buf_finish(&adopt->pending);
}

static size_t pending_count(const struct kp_adopt *adopt)
{
    return adopt->pending.len / sizeof(struct kp_extents_batch);
}

/* They are to be copied. */
static void pass_on(struct kp_adopt *adopt)
{
    struct kp_extents_batch *list = (void *)adopt->pending.data;
    for (size_t i = 0; i < pending_count(adopt); i++) {
        list[i].more_flags = 0;
        kp_extents_add(adopt->writer, &list[i]);
        adopt->passed += !list[i].gone;
    }
    adopt->pending.len = 0;
}

void kp_adopt_add(struct kp_adopt *adopt, struct kp_extents_batch *batch, const uint8_t *head)
{
    adopt->unfit |= adopt->off || !kp_extent_adoptable(head, batch->bytes, &batch->more_flags) ||
                    pending_count(adopt) >= PENDING_MAX;
    adopt->blocks += !adopt->blocks || batch->block != adopt->last_block;
    adopt->last_block = batch->block;
    kp_buf_append(&adopt->pending, batch, sizeof *batch);
    if (adopt->unfit)
        pass_on(adopt);
}

void kp_adopt_hole(struct kp_adopt *adopt)
{
    adopt->unfit = true; /* readers by offset walk its blocks */
    pass_on(adopt);
}

/* ---- a file's end ---- */

/* Bytes in the file by topic and partition. */
struct tally {
    uint64_t **topics;
    uint32_t count;
};

static uint64_t *tally_at(struct tally *tally, const struct kp_adopt *adopt, const struct kp_extents_batch *batch)
{
    uint64_t **partitions = &tally->topics[batch->topic];
    if (!*partitions)
        *partitions = kp_calloc(kp_topics_get(adopt->current, batch->topic)->partition_count, sizeof(uint64_t));
    return *partitions + batch->partition;
}

static struct tally count_bytes(const struct kp_adopt *adopt)
{
    struct tally tally = {.count = adopt->current->id_count + 1};
    const struct kp_extents_batch *list = (const void *)adopt->pending.data;
    tally.topics = kp_calloc(tally.count, sizeof(uint64_t *));
    for (size_t i = 0; i < pending_count(adopt); i++)
        if (!list[i].gone)
            *tally_at(&tally, adopt, &list[i]) += list[i].bytes;
    return tally;
}

static void tally_finish(struct tally *tally)
{
    for (uint32_t id = 0; id < tally->count; id++)
        kp_free(tally->topics[id]);
    kp_free(tally->topics);
}

/* Leaves out of `tally` what is small; is the rest enough for a file that is used to `end`? */
static bool large_enough(struct kp_adopt *adopt, struct tally *tally, uint64_t end)
{
    const struct kp_sealing *sealing = &adopt->log->sealing;
    uint64_t least = KP_MIN(sealing->own_bytes, end / LARGE_PARTS), sum = 0;
    for (uint32_t id = 1; id < tally->count; id++) {
        const struct kp_topic *topic = kp_topics_get(adopt->current, id);
        for (uint32_t p = 0; tally->topics[id] && p < topic->partition_count; p++) {
            if (tally->topics[id][p] < least)
                tally->topics[id][p] = 0;
            sum += tally->topics[id][p];
        }
    }
    return sum && sum >= end / 100 * sealing->adopt_per_cent;
}

/* Puts the file, which is used to `end`, on the list of extents; false if it is not what it should be. */
static bool enlist(struct kp_adopt *adopt, uint64_t number, uint64_t end)
{
    const struct kp_journal *journal = &adopt->log->journal;
    struct kp_file_header header;
    struct kp_file *file;
    char *path = kp_journal_path(journal->dir, number, KP_JOURNAL_SUFFIX);
    enum kp_code code = journal->os->open(journal->os->ctx, path, KP_OPEN_READ, &file, NULL);
    if (code == KP_OK) {
        code = kp_file_header_read(journal->os, file, path, number, &header, NULL);
        journal->os->close(journal->os->ctx, file);
    }
    kp_free(path);
    if (code != KP_OK || header.generation != journal->generation)
        return false;
    struct kp_extent_made made = {number + KP_ADOPTED, end, KP_EXTENT_ADOPTED, header.crc};
    kp_buf_append(&adopt->writer->adopted, &made, sizeof made);
    return true;
}

static void stay(struct kp_adopt *adopt, struct tally *tally, struct kp_adopt_file *file)
{
    struct kp_extents_batch *list = (void *)adopt->pending.data;
    file->adopted = true;
    file->pick_first = adopt->picks.len / sizeof *list;
    for (size_t i = 0; i < pending_count(adopt); i++) {
        struct kp_extents_batch *batch = &list[i];
        bool stays = !batch->gone && *tally_at(tally, adopt, batch) > 0;
        if (stays)
            batch->adopted = file->number + KP_ADOPTED;
        else if (!batch->gone)
            kp_buf_append(&adopt->picks, batch, sizeof *batch);
        file->copied += !stays && !batch->gone;
        batch->more_flags = stays ? batch->more_flags : 0;
        kp_extents_add(adopt->writer, batch);
    }
    adopt->pending.len = 0;
}

void kp_adopt_file_done(struct kp_adopt *adopt, uint64_t number, const struct kp_journal_end *start)
{
    const struct kp_sealing *sealing = &adopt->log->sealing;
    struct kp_adopt_file file = {.number = number, .start = *start};
    uint64_t end = kp_journal_file_get(&adopt->log->journal, number).end;
    bool fit = !adopt->unfit && adopt->blocks && number < KP_ADOPTED - 1 &&
               (end - KP_SECTOR_BYTES) / adopt->blocks >= sealing->adopt_block_bytes;
    struct tally tally = fit ? count_bytes(adopt) : (struct tally){0};
    if (fit && large_enough(adopt, &tally, end) && enlist(adopt, number, end))
        stay(adopt, &tally, &file);
    tally_finish(&tally);
    pass_on(adopt);
    file.copied += adopt->passed;
    kp_buf_append(&adopt->files, &file, sizeof file);
    adopt->blocks = adopt->last_block = 0;
    adopt->passed = 0;
    adopt->unfit = false;
}

/* ---- copying ---- */

enum kp_code kp_adopt_put(struct kp_adopt *adopt, const struct kp_adopt_file *file, void *put_arg, uint64_t *ret_block,
                          const char **ret_wrong, struct kp_error *err)
{
    const struct kp_extents_batch *picks = (const void *)adopt->picks.data;
    struct kp_extent_file from;
    struct kp_buf buffer = {0};
    enum kp_code code = KP_OK;
    kp_extent_file_init(&from, adopt->log->os, adopt->log->journal.dir, false);
    *ret_wrong = NULL;
    for (size_t i = file->pick_first; i < file->pick_first + file->copied && code == KP_OK && !*ret_wrong; i++) {
        const struct kp_extents_batch *pick = &picks[i];
        const struct kp_extent_run run = {
            .topic = pick->topic, .partition = pick->partition, .extent = (uint32_t)(file->number + KP_ADOPTED)};
        const struct kp_order_entry entry = {.base_offset = pick->base_offset,
                                             .bytes = pick->bytes,
                                             .records = pick->records,
                                             .flags = pick->more_flags | (pick->group_end ? KP_ORDER_GROUP_END : 0)};
        size_t bytes = kp_extent_head_bytes(&run) + pick->bytes;
        buffer.len = 0;
        uint8_t *at = kp_buf_reserve(&buffer, bytes);
        code = kp_extent_file_read(&from, run.extent, at, pick->place, bytes, err);
        if (code == KP_OK)
            *ret_wrong = kp_extent_entry_wrong(&run, &entry, at, bytes);
        *ret_block = pick->block;
        if (code == KP_OK && !*ret_wrong)
            code = kp_extents_put(adopt->writer, put_arg, pick->position, at + kp_extent_head_bytes(&run), pick->bytes,
                                  err);
    }
    kp_buf_finish(&buffer);
    kp_extent_file_finish(&from);
    return code;
}
