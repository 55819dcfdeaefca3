/* Writing and taking up recovery snapshots; bytes and rules are in log/snapshot.h. */
#include "log/snapshot.h"

#include "base/hash.h"
#include "log/files.h"
#include "log/internal.h"
#include "log/plant.h"
#include "log/probe.h"
#include "log/state.h"

enum { RETRY_US = 1000000, BYTES_MAX_SHIFT = 32 };
#define MAGIC "KAPPASNP"

enum {
    SECTION_STATE = 1,
    SECTION_FILES,
    SECTION_INDEXES,
    SECTION_MARKS,
    SECTION_SEALED,
    SECTION_HOLES,
    SECTION_PRODUCERS,
    SECTION_COUNT
};
enum { FLAG_GAPS = 1 };

struct header {
    char magic[8];
    uint32_t version, sections;
    uint64_t generation, bytes, file_first;
    uint64_t file_number, offset, sequence;
    int64_t position, log_time_us;
    uint64_t last_offset;
    uint32_t last_crc, flags;
    uint32_t zero[6];
    uint32_t sections_crc, crc;
};
struct section {
    uint32_t kind, zero;
    uint64_t bytes;
};
struct index_head {
    uint32_t topic, partition;
    uint64_t count;
};

struct hole_head {
    uint64_t location, location_end;
    int64_t position, position_end;
    uint64_t ranges;
};

static_assert(sizeof(struct header) == 128, "snapshot");
static_assert(sizeof(struct hole_head) == 40, "snapshot");
static_assert(sizeof(struct kp_hole_range) == 32, "snapshot");
static_assert(offsetof(struct header, file_first) == 32, "snapshot");
static_assert(offsetof(struct header, last_offset) == 80, "snapshot");
static_assert(offsetof(struct header, sections_crc) == 120, "snapshot");
static_assert(sizeof(struct kp_index_entry) == 32, "snapshot");
static_assert(sizeof(struct kp_log_mark) == 24, "snapshot");

/* ---- writing ---- */

static size_t begin_section(struct kp_buf *out, uint32_t kind)
{
    struct section section = {.kind = kind};
    size_t at = out->len;
    kp_buf_append(out, &section, sizeof section);
    return at;
}

static void end_section(struct kp_buf *out, size_t at)
{
    uint64_t bytes = out->len - at - sizeof(struct section);
    memcpy(out->data + at + offsetof(struct section, bytes), &bytes, sizeof bytes);
    while (out->len % 8)
        kp_buf_append_byte(out, 0);
}

static void put_indexes(const struct kp_topics *topics, struct kp_buf *out)
{
    for (uint32_t id = 1; id <= topics->id_count; id++) {
        const struct kp_topic *topic = kp_topics_get(topics, id);
        for (uint32_t i = 0; topic && i < topic->partition_count; i++) {
            const struct kp_partition *partition = &topic->partitions[i];
            struct index_head head = {id, i, partition->index_count};
            if (!partition->index_count)
                continue;
            kp_buf_append(out, &head, sizeof head);
            kp_buf_append(out, partition->index, partition->index_count * sizeof *partition->index);
        }
    }
}

/* Locked: lock. Journal files from first to the one before last: where they end. */
static void put_files(struct kp_journal *journal, uint64_t first, uint64_t last, struct kp_buf *out)
{
    kp_mutex_lock(&journal->mutex);
    for (uint64_t number = first; number < last; number++)
        kp_buf_append(out, &journal->files[number - journal->first_number].end, sizeof(uint64_t));
    kp_mutex_unlock(&journal->mutex);
}

static void put_holes(const struct kp_holes *holes, struct kp_buf *out)
{
    for (size_t i = 0; i < holes->count; i++) {
        const struct kp_hole *hole = holes->list[i];
        struct hole_head head = {hole->location, hole->location_end, hole->position, hole->position_end,
                                 hole->range_count};
        kp_buf_append(out, &head, sizeof head);
        for (size_t k = 0; k < hole->range_count; k++) {
            struct kp_hole_range range;
            memset(&range, 0, sizeof range); /* its padding, too */
            range.topic = hole->ranges[k].topic;
            range.partition = hole->ranges[k].partition;
            range.offset = hole->ranges[k].offset;
            range.offset_end = hole->ranges[k].offset_end;
            range.maybe = hole->ranges[k].maybe;
            kp_buf_append(out, &range, sizeof range);
        }
    }
}

/* Locked: lock. */
static void put_sections(struct kp_log *log, const struct header *header, struct kp_buf *out)
{
    const struct kp_sealed_head *head = &log->sealing.head;
    size_t at = begin_section(out, SECTION_STATE);
    kp_state_write(&log->topics, out);
    end_section(out, at);
    at = begin_section(out, SECTION_FILES);
    put_files(&log->journal, header->file_first, header->file_number, out);
    end_section(out, at);
    at = begin_section(out, SECTION_INDEXES);
    put_indexes(&log->topics, out);
    end_section(out, at);
    at = begin_section(out, SECTION_MARKS);
    kp_buf_append(out, log->marks, log->mark_count * sizeof *log->marks);
    end_section(out, at);
    at = begin_section(out, SECTION_SEALED);
    if (head->file_next) {
        kp_buf_append(out, head, sizeof *head);
        kp_buf_append(out, log->sealing.extents, head->extents * sizeof *log->sealing.extents);
    }
    end_section(out, at);
    at = begin_section(out, SECTION_HOLES);
    put_holes(&log->holes, out);
    end_section(out, at);
    at = begin_section(out, SECTION_PRODUCERS);
    kp_buf_append(out, log->producers.list, log->producers.count * sizeof *log->producers.list);
    end_section(out, at);
}

/* *ret_bytes: of journal that it covers and none before did; false: nothing is durable yet. */
static bool take(struct kp_log *log, struct kp_buf *out, uint64_t *ret_bytes)
{
    struct header header = {.version = KP_SNAPSHOT_VERSION, .sections = SECTION_COUNT - 1};
    memcpy(header.magic, MAGIC, sizeof header.magic);
    kp_buf_append(out, &header, sizeof header);
    kp_rwlock_read(&log->lock);
    const struct kp_journal_end *end = &log->durable_end;
    *ret_bytes = atomic_load(&log->snapshots.journal_bytes);
    bool any = end->sequence > 0;
    if (any) {
        header.generation = log->journal.generation;
        header.file_first = KP_MAX(kp_sealing_file_next(&log->sealing), log->journal.first_number);
        header.file_number = end->file_number;
        header.offset = end->offset;
        header.sequence = end->sequence;
        header.position = end->position;
        header.log_time_us = end->log_time_us;
        header.last_offset = log->durable_last;
        header.last_crc = end->previous_crc;
        header.flags = atomic_load(&log->gaps) && kp_log_planted != KP_PLANT_SNAPSHOT_GAPS ? FLAG_GAPS : 0;
        put_sections(log, &header, out);
    }
    kp_rwlock_unlock(&log->lock);
    header.bytes = out->len - sizeof header;
    header.sections_crc = kp_crc32c(0, out->data + sizeof header, header.bytes);
    header.crc = kp_crc32c(0, &header, offsetof(struct header, crc));
    memcpy(out->data, &header, sizeof header);
    return any;
}

enum kp_code kp_snapshot_write(struct kp_log *log, struct kp_error *err)
{
    struct kp_buf out = {0};
    uint64_t bytes;
    enum kp_code code = KP_OK;
    struct kp_room room = {.log = log};
    bool topics = atomic_exchange(&log->snapshots.topics, false), any = take(log, &out, &bytes);
    do
        code = any ? kp_files_put(log->os, log->journal.dir, KP_SNAPSHOT_NAME, out.data, out.len, err) : KP_OK;
    while (bytes >= log->snapshots.least_bytes && kp_room_make(&room, code)); /* the reserve is not for a few topics */
    size_t len = out.len;
    kp_buf_finish(&out);
    kp_mutex_lock(&log->mutex);
    log->snapshots.last_us = log->os->mono_ns(log->os->ctx) / 1000;
    if (code == KP_OK) {
        atomic_fetch_sub(&log->snapshots.journal_bytes, bytes);
        log->snapshots.written++;
        log->snapshots.bytes = len;
    } else if (topics) {
        atomic_store(&log->snapshots.topics, true);
    }
    kp_mutex_unlock(&log->mutex);
    return code;
}

/* ---- when ---- */

void kp_snapshots_init(struct kp_log *log, uint64_t every_bytes)
{
    struct kp_snapshots *snapshots = &log->snapshots;
    snapshots->every_bytes = every_bytes ? every_bytes : KP_SNAPSHOT_EVERY_BYTES;
    snapshots->least_bytes = KP_MIN((uint64_t)KP_SNAPSHOT_BYTES_MIN, snapshots->every_bytes);
    snapshots->every_us = KP_SNAPSHOT_EVERY_US;
    snapshots->last_us = log->os->mono_ns(log->os->ctx) / 1000;
    kp_cond_init(&snapshots->work);
}

void kp_snapshots_recovered(struct kp_log *log)
{
    struct kp_snapshots *snapshots = &log->snapshots;
    atomic_store(&snapshots->journal_bytes, snapshots->recovered_bytes);
    if (!snapshots->resumed && log->topics.live)
        atomic_store(&snapshots->topics, true);
    snapshots->last_us -= snapshots->every_us; /* how old it is nobody knows: due, if it is worth one */
}

void kp_snapshots_finish(struct kp_log *log)
{
    kp_cond_finish(&log->snapshots.work);
}

void kp_snapshots_note(struct kp_log *log, uint64_t bytes)
{
    struct kp_snapshots *snapshots = &log->snapshots;
    uint64_t before = atomic_fetch_add(&snapshots->journal_bytes, bytes), after = before + bytes;
    if ((before < snapshots->least_bytes && after >= snapshots->least_bytes) ||
        (before < snapshots->every_bytes && after >= snapshots->every_bytes))
        kp_cond_signal(&snapshots->work);
}

void kp_snapshots_topics(struct kp_log *log)
{
    atomic_store(&log->snapshots.topics, true);
    kp_cond_signal(&log->snapshots.work);
}

bool kp_snapshot_due(const struct kp_log *log)
{
    return !log->journal.unsafe_no_sync && atomic_load(&log->snapshots.journal_bytes) >= log->snapshots.every_bytes;
}

bool kp_snapshot_worth(const struct kp_log *log)
{
    const struct kp_snapshots *snapshots = &log->snapshots;
    return !log->journal.unsafe_no_sync &&
           (atomic_load(&snapshots->topics) || atomic_load(&snapshots->journal_bytes) > 0);
}

/* How long the next one can wait; negative: none is wanted. *topics_due_us: since topics were seen to have changed; 0:
 * they have not. Locked: mutex. */
static int64_t wait_us(struct kp_log *log, int64_t *topics_due_us)
{
    const struct kp_snapshots *snapshots = &log->snapshots;
    uint64_t bytes = atomic_load(&snapshots->journal_bytes);
    int64_t now_us = log->os->mono_ns(log->os->ctx) / 1000, due_us = INT64_MAX;
    if (!atomic_load(&snapshots->topics))
        *topics_due_us = 0;
    else if (!*topics_due_us)
        *topics_due_us = now_us + KP_SNAPSHOT_TOPICS_US;
    if (bytes >= snapshots->every_bytes)
        return 0;
    if (bytes >= snapshots->least_bytes)
        due_us = snapshots->last_us + snapshots->every_us;
    if (*topics_due_us)
        due_us = KP_MIN(due_us, *topics_due_us);
    return due_us == INT64_MAX ? -1 : KP_MAX(due_us - now_us, (int64_t)0);
}

void kp_snapshot_run(void *arg)
{
    struct kp_log *log = arg;
    struct kp_snapshots *snapshots = &log->snapshots;
    int64_t topics_due_us = 0;
    kp_mutex_lock(&log->mutex);
    while (!log->stopping && log->failure.code == KP_OK) {
        int64_t left_us = wait_us(log, &topics_due_us);
        if (left_us < 0) {
            kp_cond_wait(&snapshots->work, &log->mutex);
        } else if (left_us > 0) {
            (void)kp_cond_wait_us(&snapshots->work, &log->mutex, left_us);
        } else {
            kp_mutex_unlock(&log->mutex);
            enum kp_code code = kp_snapshot_write(log, NULL);
            kp_mutex_lock(&log->mutex);
            topics_due_us = 0; /* those that were made meanwhile wait for others, too */
            if (code != KP_OK && !log->stopping)
                (void)kp_cond_wait_us(&snapshots->work, &log->mutex, RETRY_US);
        }
    }
    kp_mutex_unlock(&log->mutex);
}

/* ---- taking up ---- */

/* KP_NOT_FOUND: there is none. */
static enum kp_code read_file(struct kp_os *os, const char *dir, struct kp_buf *out, struct kp_error *err)
{
    char *path = kp_files_path(dir, KP_SNAPSHOT_NAME, "");
    struct kp_file *file = NULL;
    uint64_t bytes = 0;
    enum kp_code code = os->open(os->ctx, path, KP_OPEN_READ, &file, err);
    kp_free(path);
    KP_TRY(code);
    code = os->size(os->ctx, file, &bytes, err);
    if (code == KP_OK && bytes >> BYTES_MAX_SHIFT)
        code = kp_fail(err, KP_CORRUPT, NULL, "it is too long to be one");
    if (code == KP_OK)
        code = os->pread(os->ctx, file, kp_buf_reserve(out, (size_t)bytes), (size_t)bytes, 0, &out->len, err);
    os->close(os->ctx, file);
    return code;
}

/* Why these bytes are not as they were written, or NULL. */
static const char *damage(const struct kp_buf *bytes, struct header *ret_header)
{
    *ret_header = (struct header){0};
    if (bytes->len < sizeof *ret_header)
        return "it is shorter than its header";
    memcpy(ret_header, bytes->data, sizeof *ret_header);
    if (memcmp(ret_header->magic, MAGIC, sizeof ret_header->magic) != 0)
        return "it does not begin with a snapshot's header";
    if (ret_header->crc != kp_crc32c(0, ret_header, offsetof(struct header, crc)))
        return "its header fails its checksum";
    if (ret_header->bytes != bytes->len - sizeof *ret_header)
        return "its length is not what its header says";
    if (ret_header->sections_crc != kp_crc32c(0, bytes->data + sizeof *ret_header, ret_header->bytes) &&
        kp_log_planted != KP_PLANT_SNAPSHOT_UNCHECKED)
        return "its contents fail their checksum";
    return NULL;
}

static struct kp_journal_end end_of(const struct header *header)
{
    return (struct kp_journal_end){.file_number = header->file_number,
                                   .offset = header->offset,
                                   .sequence = header->sequence,
                                   .previous_crc = header->last_crc,
                                   .position = header->position,
                                   .log_time_us = header->log_time_us};
}

const char *kp_snapshot_look(struct kp_os *os, const char *dir, uint64_t *ret_generation,
                             struct kp_journal_end *ret_witness, struct kp_error *err)
{
    struct kp_buf bytes = {0};
    struct header header;
    const char *wrong = NULL;
    *ret_witness = (struct kp_journal_end){0};
    enum kp_code code = read_file(os, dir, &bytes, err);
    if (code == KP_OK)
        wrong = damage(&bytes, &header);
    else if (code != KP_NOT_FOUND)
        wrong = err->message;
    kp_buf_finish(&bytes);
    if (code == KP_OK && !wrong && header.version == KP_SNAPSHOT_VERSION) {
        *ret_generation = header.generation;
        *ret_witness = end_of(&header);
    }
    return wrong;
}

/* Are the journal files that it counts on there, with its last block where it says? */
static bool fits(const struct kp_journal *journal, const struct header *header)
{
    if (header->file_number < KP_MAX(journal->first_number, header->file_first) ||
        header->file_number > kp_journal_last_number(journal) || header->last_offset >= header->offset)
        return false;
    struct kp_block_scan scan;
    const struct kp_block_header *block = NULL;
    const char *wrong;
    kp_block_scan_init(&scan, journal->os, journal->dir, journal->generation, KP_SECTOR_BYTES);
    bool good = kp_block_scan_seek(&scan, header->file_number, header->last_offset, NULL) == KP_OK &&
                kp_block_scan_peek(&scan, &block, &wrong, NULL) == KP_OK && !wrong &&
                block->sequence == header->sequence && block->header_crc == header->last_crc &&
                block->position + block->records == header->position &&
                header->last_offset + kp_block_bytes(block) == header->offset;
    kp_block_scan_finish(&scan);
    return good;
}

static bool index_sound(const struct kp_index_entry *index, uint64_t count, const struct header *header,
                        int64_t end_offset)
{
    uint64_t from = kp_location(header->file_first, KP_SECTOR_BYTES),
             until = kp_location(header->file_number, header->offset);
    for (uint64_t i = 0; i < count; i++) {
        struct kp_index_entry entry = index[i];
        if (entry.location < from || entry.location >= until || entry.base_offset >= end_offset ||
            entry.base_offset < 0)
            return false;
        from = entry.location;
    }
    return true;
}

static bool marks_sound(const uint8_t *at, uint64_t bytes, const struct header *header)
{
    uint64_t from = kp_location(header->file_first, KP_SECTOR_BYTES),
             until = kp_location(header->file_number, header->offset);
    for (uint64_t i = 0; i < bytes / sizeof(struct kp_log_mark); i++) {
        struct kp_log_mark mark;
        memcpy(&mark, at + i * sizeof mark, sizeof mark);
        if (mark.location < from || mark.location >= until || mark.position < 0 || mark.position > header->position)
            return false;
        from = mark.location;
    }
    return true;
}

static bool read_indexes(const uint8_t *at, uint64_t bytes, const struct header *header, struct kp_topics *topics)
{
    for (const uint8_t *end = at + bytes; at < end;) {
        struct index_head head;
        if ((size_t)(end - at) < sizeof head)
            return false;
        memcpy(&head, at, sizeof head);
        at += sizeof head;
        struct kp_topic *topic = kp_topics_get(topics, head.topic);
        if (!topic || head.partition >= topic->partition_count || head.count > UINT32_MAX ||
            head.count > (size_t)(end - at) / sizeof(struct kp_index_entry))
            return false;
        struct kp_partition *partition = &topic->partitions[head.partition];
        size_t size = (size_t)head.count * sizeof *partition->index;
        if (partition->index || !index_sound((const void *)at, head.count, header, partition->end_offset))
            return false;
        partition->index = kp_alloc(size);
        memcpy(partition->index, at, size);
        partition->index_count = partition->index_cap = (uint32_t)head.count;
        at += size;
    }
    return true;
}

/* Ends of files that readers can come to. */
static bool files_sound(const uint8_t *at, const struct header *header, const struct kp_journal *journal)
{
    uint64_t first = KP_MAX(journal->first_number, header->file_first);
    for (uint64_t number = first; number < header->file_number; number++) {
        uint64_t end;
        memcpy(&end, at + (number - header->file_first) * sizeof end, sizeof end);
        if (end < KP_SECTOR_BYTES || end > journal->files[number - journal->first_number].bytes)
            return false;
    }
    return true;
}

static bool hole_sound(const struct hole_head *head, const struct header *header)
{
    return head->location < head->location_end &&
           head->location_end <= kp_location(header->file_number + 1, KP_SECTOR_BYTES) && head->position >= 0 &&
           head->position <= head->position_end && head->position_end <= header->position;
}

static bool range_sound(const uint8_t *bytes, const struct kp_topics *topics)
{
    struct kp_hole_range range;
    if (bytes[offsetof(struct kp_hole_range, maybe)] > true)
        return false;
    memcpy(&range, bytes, sizeof range);
    const struct kp_topic *topic = kp_topics_get(topics, range.topic);
    return range.offset >= 0 && range.offset <= range.offset_end &&
           (!topic || range.partition < topic->partition_count);
}

/* Checks, and with `log` takes up. */
static bool read_holes(const uint8_t *at, uint64_t bytes, const struct header *header, const struct kp_topics *topics,
                       struct kp_log *log)
{
    for (const uint8_t *end = at + bytes; at < end;) {
        struct hole_head head;
        if ((size_t)(end - at) < sizeof head)
            return false;
        memcpy(&head, at, sizeof head);
        at += sizeof head;
        if (head.ranges > (size_t)(end - at) / sizeof(struct kp_hole_range) || !hole_sound(&head, header))
            return false;
        struct kp_hole *hole = log ? kp_calloc(1, sizeof *hole) : NULL;
        if (hole)
            *hole = (struct kp_hole){.location = head.location,
                                     .location_end = head.location_end,
                                     .position = head.position,
                                     .position_end = head.position_end,
                                     .wrong = "blocks of it have rotted"};
        for (uint64_t i = 0; i < head.ranges; i++, at += sizeof(struct kp_hole_range)) {
            struct kp_hole_range range;
            if (!range_sound(at, topics))
                return false;
            memcpy(&range, at, sizeof range);
            if (hole && kp_topics_get(topics, range.topic))
                kp_hole_range_add(hole, range.topic, range.partition, range.offset, range.offset_end, range.maybe);
        }
        if (hole)
            kp_holes_add(log, hole);
    }
    return true;
}

static bool read_sealed(const uint8_t *at, uint64_t bytes, struct kp_sealed_head *head)
{
    if (!bytes)
        return true;
    if (bytes < sizeof *head)
        return false;
    memcpy(head, at, sizeof *head);
    return head->file_next && bytes == sizeof *head + head->extents * sizeof(struct kp_sealed_extent);
}

/* Where each section's content is, and how long; false unless each is there once. */
static bool find_sections(const struct kp_buf *bytes, const uint8_t **contents, uint64_t *sizes)
{
    const uint8_t *at = bytes->data + sizeof(struct header), *end = bytes->data + bytes->len;
    for (int i = 0; i < SECTION_COUNT - 1; i++) {
        struct section section;
        if ((size_t)(end - at) < sizeof section)
            return false;
        memcpy(&section, at, sizeof section);
        at += sizeof section;
        if (section.kind < 1 || section.kind >= SECTION_COUNT || contents[section.kind] ||
            section.bytes > (uint64_t)(end - at) || ((section.bytes + 7) & ~(uint64_t)7) > (uint64_t)(end - at))
            return false;
        contents[section.kind] = at;
        sizes[section.kind] = section.bytes;
        at += (section.bytes + 7) & ~(uint64_t)7;
    }
    return at == end;
}

static bool take_up(struct kp_log *log, const struct kp_buf *bytes, const struct header *header)
{
    const uint8_t *contents[SECTION_COUNT] = {NULL};
    uint64_t sizes[SECTION_COUNT];
    struct kp_topics topics = {0};
    struct kp_sealed_head head = {0};
    struct kp_journal *journal = &log->journal;
    bool good = header->sections == SECTION_COUNT - 1 && find_sections(bytes, contents, sizes) &&
                sizes[SECTION_FILES] == (header->file_number - header->file_first) * sizeof(uint64_t) &&
                files_sound(contents[SECTION_FILES], header, journal) &&
                sizes[SECTION_MARKS] % sizeof(struct kp_log_mark) == 0 &&
                marks_sound(contents[SECTION_MARKS], sizes[SECTION_MARKS], header) &&
                read_sealed(contents[SECTION_SEALED], sizes[SECTION_SEALED], &head) &&
                (header->file_first <= journal->first_number || header->file_first == head.file_next) &&
                kp_state_read(contents[SECTION_STATE], sizes[SECTION_STATE], &topics, NULL) == KP_OK &&
                read_indexes(contents[SECTION_INDEXES], sizes[SECTION_INDEXES], header, &topics) &&
                read_holes(contents[SECTION_HOLES], sizes[SECTION_HOLES], header, &topics, NULL) &&
                kp_producers_take(&log->producers, contents[SECTION_PRODUCERS], sizes[SECTION_PRODUCERS]);
    if (!good) {
        kp_topics_finish(&topics);
        return false;
    }
    log->topics = topics;
    log->mark_count = log->mark_cap = sizes[SECTION_MARKS] / sizeof *log->marks;
    log->marks = kp_alloc(sizes[SECTION_MARKS] + 1);
    memcpy(log->marks, contents[SECTION_MARKS], sizes[SECTION_MARKS]);
    log->sealing.head = head;
    log->sealing.extents = kp_alloc(head.extents * sizeof *log->sealing.extents + 1);
    if (head.extents)
        memcpy(log->sealing.extents, contents[SECTION_SEALED] + sizeof head,
               head.extents * sizeof *log->sealing.extents);
    for (uint64_t number = KP_MAX(journal->first_number, header->file_first); number < header->file_number; number++)
        memcpy(&journal->files[number - journal->first_number].end,
               contents[SECTION_FILES] + (number - header->file_first) * sizeof(uint64_t), sizeof(uint64_t));
    (void)read_holes(contents[SECTION_HOLES], sizes[SECTION_HOLES], header, &log->topics, log);
    atomic_store(&log->gaps, header->flags & FLAG_GAPS);
    log->log_time_us = header->log_time_us;
    return true;
}

void kp_log_recovered(struct kp_log *log, struct kp_log_recovered *ret_recovered)
{
    const struct kp_snapshots *snapshots = &log->snapshots;
    kp_mutex_lock(&log->mutex);
    *ret_recovered = (struct kp_log_recovered){.snapshot = snapshots->resumed,
                                               .journal_bytes = snapshots->recovered_bytes,
                                               .snapshots = snapshots->written,
                                               .snapshot_bytes = snapshots->bytes,
                                               .ahead_bytes = atomic_load(&snapshots->journal_bytes)};
    kp_mutex_unlock(&log->mutex);
}

/* Does no other block lie in the place of its last one? In a folder that was set back to an earlier time one may. */
static bool witnesses(const struct kp_log *log, const struct header *header)
{
    const struct kp_journal *journal = &log->journal;
    if (header->file_number > kp_journal_last_number(journal))
        return !log->read_only; /* nor does anything; for a reader its owner may have made the file meanwhile */
    if (header->file_number < journal->first_number || header->last_offset >= header->offset ||
        header->offset > journal->files[header->file_number - journal->first_number].bytes)
        return false;
    struct kp_block_scan scan;
    const struct kp_block_header *block = NULL;
    const char *wrong;
    kp_block_scan_init(&scan, journal->os, journal->dir, journal->generation, KP_SECTOR_BYTES);
    bool good = kp_block_scan_seek(&scan, header->file_number, header->last_offset, NULL) == KP_OK &&
                kp_block_scan_peek_header(&scan, &block, &wrong, NULL) == KP_OK;
    good = good && (!block || (block->sequence == header->sequence && block->header_crc == header->last_crc));
    kp_block_scan_finish(&scan);
    return good;
}

bool kp_snapshot_resume(struct kp_log *log, struct kp_journal_end *ret_end, struct kp_journal_end *ret_witness)
{
    struct kp_buf bytes = {0};
    struct header header;
    bool whole = read_file(log->os, log->journal.dir, &bytes, NULL) == KP_OK && !damage(&bytes, &header) &&
                 header.version == KP_SNAPSHOT_VERSION && header.generation == log->journal.generation;
    bool good = whole && fits(&log->journal, &header) && take_up(log, &bytes, &header);
    kp_buf_finish(&bytes);
    if (!good) {
        if (whole && witnesses(log, &header))
            *ret_witness = end_of(&header);
        return false;
    }
    *ret_end = end_of(&header);
    log->durable_end = *ret_end;
    log->durable_last = header.last_offset;
    log->snapshots.resumed = true;
    return true;
}
