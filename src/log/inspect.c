/*
 * Walks all files block by block without trusting what lies before: behind damage the walk goes on at the next sector
 * that begins with a valid header. `verify` and `records` are built on that walk.
 */
#include "log/inspect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "log/inspect_extent.h"
#include "log/recover.h"
#include "log/snapshot.h"
#include "log/state.h"

enum { SCAN_READ_BYTES = 4 << 20, VERIFY_TRIES = 100, VERIFY_PASSES = 4 /* while other places change */ };

/* ---- blocks ---- */

struct walk {
    struct kp_os *os;
    const char *dir;
    bool (*each)(void *arg, const struct kp_inspect_block *block);
    enum kp_code (*moved)(void *arg, const struct kp_inspect_begin *begin, struct kp_error *err);
    void *arg;
    bool stopped;
    uint64_t sequence; /* of the last block */
    uint32_t crc;
    struct kp_folder folder;
    struct kp_block_scan scan;
};

static void give(struct walk *walk, uint64_t offset, uint64_t bytes, const struct kp_block_header *header,
                 enum kp_inspect_state state, const char *wrong)
{
    struct kp_inspect_block block = {walk->scan.file_number, offset, bytes, state, wrong, header};
    walk->stopped |= !walk->each(walk->arg, &block);
}

/* Gives the block that the scan stands before, and moves behind it. wrong: what fails within it, or NULL. */
static void give_block(struct walk *walk, const struct kp_block_header *header, const char *wrong)
{
    enum kp_inspect_state state = wrong ? KP_INSPECT_DAMAGED : KP_INSPECT_OK;
    if (header->sequence <= walk->sequence) {
        state = KP_INSPECT_STALE;
        wrong = "it is a stale block";
    } else if (!wrong && header->sequence != walk->sequence + 1) {
        state = KP_INSPECT_JUMP;
        wrong = "blocks before it are missing";
    } else if (!wrong && header->previous_crc != walk->crc) {
        state = KP_INSPECT_JUMP;
        wrong = "it does not follow the block before it";
    }
    uint64_t bytes = kp_block_bytes(header);
    if (state != KP_INSPECT_STALE) {
        walk->sequence = header->sequence;
        walk->crc = header->header_crc;
    }
    give(walk, walk->scan.offset, bytes, header, state, wrong);
    walk->scan.offset += bytes;
}

static enum kp_code walk_file(struct walk *walk, struct kp_error *err)
{
    struct kp_block_scan *scan = &walk->scan;
    while (!walk->stopped && scan->offset < scan->file_bytes) {
        const struct kp_block_header *header;
        const char *wrong;
        KP_TRY(kp_block_scan_peek(scan, &header, &wrong, err));
        if (header) {
            give_block(walk, header, wrong);
            continue;
        }
        uint64_t gap = scan->offset; /* up to the next valid header, or the unused end */
        while (!header && scan->offset < scan->file_bytes) {
            scan->offset += KP_SECTOR_BYTES;
            KP_TRY(kp_block_scan_peek_header(scan, &header, &wrong, err));
        }
        uint64_t next = scan->offset;
        if (header && header->sequence > walk->sequence) {
            give(walk, gap, next - gap, NULL, KP_INSPECT_GAP, "no block begins here");
            KP_TRY(kp_block_scan_seek(scan, scan->file_number, next, err));
        }
    }
    return KP_OK;
}

/* Looks where the journal begins; tells of it. */
static enum kp_code begin(struct walk *walk, struct kp_error *err)
{
    struct kp_buf state;
    struct kp_inspect_begin begin = {.folder = &walk->folder, .state = &state};
    kp_folder_finish(&walk->folder);
    walk->folder = (struct kp_folder){0};
    KP_TRY(kp_folder_look_state(walk->os, walk->dir, &walk->folder, &state, &begin.position, err));
    walk->sequence = walk->folder.anchor.sequence;
    walk->crc = walk->folder.anchor.previous_crc;
    enum kp_code code = walk->moved ? walk->moved(walk->arg, &begin, err) : KP_OK;
    kp_buf_finish(&state);
    return code;
}

/* Opens the file; when it and those before it were sealed meanwhile, the first one that is journal still. */
static enum kp_code open_file(struct walk *walk, uint64_t *number, struct kp_error *err)
{
    enum kp_code code = kp_block_scan_seek(&walk->scan, *number, KP_SECTOR_BYTES, err);
    while (code == KP_NOT_FOUND && walk->moved) {
        KP_TRY(begin(walk, err));
        if (walk->folder.first <= *number)
            return kp_block_scan_seek(&walk->scan, *number, KP_SECTOR_BYTES, err);
        *number = walk->folder.first;
        code = kp_block_scan_seek(&walk->scan, *number, KP_SECTOR_BYTES, err);
    }
    return code;
}

static enum kp_code walk_files(struct walk *walk, struct kp_error *err)
{
    struct kp_os *os = walk->os;
    for (uint64_t number = walk->folder.first; number <= walk->folder.last && !walk->stopped; number++) {
        enum kp_code code = open_file(walk, &number, err);
        char *path = kp_journal_path(walk->dir, number, KP_JOURNAL_SUFFIX);
        struct kp_file_header header = {0};
        struct kp_error wrong;
        if (code == KP_OK && kp_file_header_read(os, walk->scan.file, path, number, &header, &wrong) == KP_OK)
            walk->scan.generation = header.generation;
        else if (code == KP_OK && wrong.code == KP_UNSUPPORTED)
            code = kp_fail(err, KP_UNSUPPORTED, NULL, "%s", wrong.message);
        else if (code == KP_OK) {
            give(walk, 0, KP_SECTOR_BYTES, NULL, KP_INSPECT_GAP, "the file's header is damaged");
            (void)kp_file_header_rotten(os, walk->scan.file, number, walk->scan.file_bytes, &walk->scan.generation);
        }
        kp_free(path);
        KP_TRY(code);
        if (!walk->stopped)
            KP_TRY(walk_file(walk, err));
        if (!walk->stopped && walk->scan.file_bytes < header.file_bytes)
            give(walk, walk->scan.file_bytes, header.file_bytes - walk->scan.file_bytes, NULL, KP_INSPECT_GAP,
                 "the file ends here: the rest of it is gone");
    }
    return KP_OK;
}

enum kp_code
kp_inspect_journal(struct kp_os *os, const char *dir, bool (*each)(void *arg, const struct kp_inspect_block *block),
                   enum kp_code (*moved)(void *arg, const struct kp_inspect_begin *begin, struct kp_error *err),
                   void *arg, struct kp_error *err)
{
    struct walk walk = {.os = os, .dir = dir, .each = each, .moved = moved, .arg = arg};
    kp_block_scan_init(&walk.scan, os, dir, 0, SCAN_READ_BYTES);
    enum kp_code code = begin(&walk, err);
    if (code == KP_OK && !walk.folder.last)
        code = kp_fail(err, KP_NOT_FOUND, "58P01", "there is no log in \"%s\"", dir);
    if (code == KP_OK)
        code = walk_files(&walk, err);
    kp_block_scan_finish(&walk.scan);
    kp_folder_finish(&walk.folder);
    return code;
}

enum kp_code kp_inspect_blocks(struct kp_os *os, const char *dir,
                               bool (*each)(void *arg, const struct kp_inspect_block *block), void *arg,
                               struct kp_error *err)
{
    return kp_inspect_journal(os, dir, each, NULL, arg, err);
}

enum kp_code kp_inspect_begin_topics(const struct kp_inspect_begin *begin, struct kp_topics *topics,
                                     struct kp_error *err)
{
    kp_topics_finish(topics);
    *topics = (struct kp_topics){0};
    return begin->state->len ? kp_state_read(begin->state->data, begin->state->len, topics, err) : KP_OK;
}

/* ---- verifying ---- */

struct verify {
    struct kp_inspect_report *report;
    void (*problem)(void *arg, const char *text);
    void *arg;
    struct kp_topics topics;
    uint64_t file_next;            /* journal files before it are sealed */
    int64_t position;              /* expected of the next block */
    uint64_t sequence;             /* of the last block */
    uint64_t generation;           /* of the log that the snapshot is of */
    struct kp_journal_end witness; /* where the journal was durable once; sequence 0: not known */
    bool in_group;
    bool behind; /* topics are as they were some time before the journal: what it goes on from is not known */
    bool gap;    /* reported, and nothing valid since */
    struct kp_inspect_block damaged; /* bytes > 0: damage if a later block knows it as durable, else a torn tail */
    uint64_t damaged_sequence;
};

static void problem(struct verify *verify, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void problem(struct verify *verify, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    verify->report->problems++;
    if (verify->problem)
        verify->problem(verify->arg, text);
}

static void verify_batch(struct verify *verify, const struct kp_entry_header *entry, int64_t position)
{
    (void)kp_topics_meet(&verify->topics, entry);
    const struct kp_topic *topic = kp_topics_get(&verify->topics, entry->topic);
    if (!topic || entry->partition >= topic->partition_count) {
        problem(verify, "position %lld: records of topic %u, partition %u, which was never made", (long long)position,
                entry->topic, entry->partition);
        return;
    }
    struct kp_partition *partition = &kp_topics_get(&verify->topics, entry->topic)->partitions[entry->partition];
    struct kp_record_batch_info info;
    struct kp_error err;
    if (kp_record_batch_validate((const uint8_t *)(entry + 1), entry->payload_bytes, &info, &err) != KP_OK)
        problem(verify, "topic \"%s\", partition %u, offset %lld, position %lld: %s", topic->name, entry->partition,
                (long long)entry->base_offset, (long long)position, err.message);
    if (entry->base_offset != partition->end_offset && !(verify->behind && entry->base_offset > partition->end_offset))
        problem(verify, "topic \"%s\", partition %u, position %lld: offset %lld instead of %lld", topic->name,
                entry->partition, (long long)position, (long long)entry->base_offset, (long long)partition->end_offset);
    partition->end_offset = entry->base_offset + entry->records;
}

static void verify_entry(struct verify *verify, const struct kp_entry_header *entry, int64_t position)
{
    struct kp_error err;
    if (kp_topics_apply(&verify->topics, entry, 0, &err) != KP_OK)
        problem(verify, "position %lld: %s", (long long)position, err.message);
}

static void verify_entries(struct verify *verify, const struct kp_block_header *header)
{
    struct kp_entry_walk walk = kp_entry_walk_start(header);
    const struct kp_entry_header *entry;
    const char *wrong;
    int64_t position = header->position;
    while (kp_entry_walk_next(&walk, &entry, &wrong)) {
        if (entry->kind == KP_ENTRY_BATCH) {
            verify_batch(verify, entry, position);
            verify->report->batches += header->file_number >= verify->file_next;
            position += entry->records;
        } else if (entry->kind != KP_ENTRY_SEALED) {
            verify_entry(verify, entry, position);
        }
        verify->report->groups += entry->flags & KP_ENTRY_GROUP_END ? 1 : 0;
    }
    if (wrong || position != header->position + header->records)
        problem(verify, "block %llu, position %lld: %s", (unsigned long long)header->sequence,
                (long long)header->position, wrong ? wrong : "its count of records is wrong");
}

static void bad_block(struct verify *verify, const struct kp_inspect_block *block, uint64_t sequence)
{
    problem(verify, "file %llu, byte %llu, %llu bytes, block %llu, position %lld: %s",
            (unsigned long long)block->file_number, (unsigned long long)block->offset, (unsigned long long)block->bytes,
            (unsigned long long)sequence, (long long)verify->position, block->wrong);
}

/* What is wrong with the block itself, or with what lies before it. */
static void verify_state(struct verify *verify, const struct kp_inspect_block *block)
{
    uint64_t sequence = block->header ? block->header->sequence : 0;
    if (verify->damaged.bytes && block->header && block->header->durable_sequence >= verify->damaged_sequence) {
        bad_block(verify, &verify->damaged, verify->damaged_sequence);
        verify->damaged.bytes = 0;
    }
    if (block->state == KP_INSPECT_GAP) {
        bad_block(verify, block, sequence);
        verify->gap = true;
    } else if (block->state == KP_INSPECT_JUMP && !verify->gap) {
        bad_block(verify, block, sequence);
    } else if (block->state == KP_INSPECT_DAMAGED) {
        verify->damaged = *block;
        verify->damaged.header = NULL; /* its bytes do not stay */
        verify->damaged_sequence = sequence;
    }
}

/* In a folder that was set back to an earlier time other blocks may lie where the snapshot's last one did. */
static void note_sequence(struct verify *verify, const struct kp_inspect_block *block)
{
    if (!block->header)
        return;
    verify->sequence = block->header->sequence;
    const struct kp_journal_end *witness = &verify->witness;
    bool there = block->file_number == witness->file_number && block->offset < witness->offset &&
                 block->offset + block->bytes >= witness->offset;
    if (block->header->generation != verify->generation || (there && verify->sequence != witness->sequence))
        verify->witness.sequence = 0;
}

static bool verify_block(void *arg, const struct kp_inspect_block *block)
{
    struct verify *verify = arg;
    struct kp_inspect_report *report = verify->report;
    const struct kp_block_header *header = block->header;
    if (block->state == KP_INSPECT_STALE)
        return true;
    verify_state(verify, block);
    note_sequence(verify, block);
    if (block->state != KP_INSPECT_OK && block->state != KP_INSPECT_JUMP)
        return true;
    verify->gap = false;
    report->log_time_first_us = report->blocks ? report->log_time_first_us : header->log_time_us;
    report->log_time_last_us = header->log_time_us;
    report->blocks++;
    if (block->file_number >= verify->file_next) /* else they are counted as sealed */
        report->records += header->records;
    report->bytes += block->bytes;
    if (block->state == KP_INSPECT_OK && header->position != verify->position && !verify->damaged.bytes)
        problem(verify, "block %llu: position %lld instead of %lld", (unsigned long long)header->sequence,
                (long long)header->position, (long long)verify->position);
    verify_entries(verify, header);
    verify->position = header->position + header->records;
    verify->in_group = header->flags & KP_BLOCK_CONTINUES;
    report->closed = header->flags & KP_BLOCK_CLOSED;
    if (!verify->in_group)
        report->position_end = verify->position;
    return true;
}

static enum kp_code add_bytes(struct kp_os *os, const char *dir, uint64_t number, const char *suffix, uint64_t *bytes,
                              struct kp_error *err)
{
    char *path = kp_journal_path(dir, number, suffix);
    struct kp_file *file;
    uint64_t file_bytes = 0;
    enum kp_code code = os->open(os->ctx, path, KP_OPEN_READ, &file, err);
    kp_free(path);
    KP_TRY(code);
    code = os->size(os->ctx, file, &file_bytes, err);
    os->close(os->ctx, file);
    *bytes += file_bytes;
    return code;
}

/* Counts the files. */
static enum kp_code look_around(struct kp_inspect_report *report, struct kp_os *os, const char *dir,
                                struct kp_error *err)
{
    struct kp_folder folder;
    enum kp_code code = kp_folder_look(os, dir, &folder, err);
    KP_TRY(code);
    report->files = kp_folder_count(&folder.journals);
    for (size_t i = 0; i < kp_folder_count(&folder.journals) && code == KP_OK; i++) {
        code = add_bytes(os, dir, kp_folder_number(&folder.journals, i), KP_JOURNAL_SUFFIX, &report->file_bytes, err);
        if (code == KP_NOT_FOUND) /* it was sealed meanwhile */
            code = KP_OK;
    }
    kp_folder_finish(&folder);
    return code;
}

/* Takes up what was known where the journal begins. */
static enum kp_code verify_begin(void *arg, const struct kp_inspect_begin *begin, struct kp_error *err)
{
    struct verify *verify = arg;
    const struct kp_extent_header *anchor = &begin->folder->anchor;
    verify->position = anchor->position_end;
    verify->sequence = anchor->sequence;
    verify->behind = begin->position < anchor->position_end;
    verify->in_group = verify->gap = false;
    verify->damaged.bytes = 0;
    return kp_inspect_begin_topics(begin, &verify->topics, err);
}

static void extent_problem(void *arg, const char *text)
{
    problem(arg, "%s", text);
}

static bool verify_item(void *arg, const struct kp_inspect_item *item)
{
    struct verify *verify = arg;
    const struct kp_order_entry *entry = item->entry;
    const struct kp_topic *topic = kp_topics_get(&verify->topics, item->topic);
    const char *wrong = item->wrong;
    struct kp_record_batch_info info;
    struct kp_error err;
    verify->report->batches++;
    verify->report->extent_bytes += kp_extent_item_bytes(entry->bytes);
    if (!wrong && kp_record_batch_validate_thinned(item->batch, entry->bytes, &info, &err) != KP_OK)
        wrong = err.message;
    verify->report->records += wrong ? entry->records : (uint64_t)info.records;
    if (!wrong && (info.base_offset != entry->base_offset || kp_record_batch_span(&info) != entry->records))
        wrong = "another record batch lies there";
    if (wrong && item->lost)
        problem(verify, "topic \"%s\", partition %u, offsets %lld to %lld, from position %lld on: extent %llu: %s",
                topic ? topic->name : "", item->partition, (long long)entry->base_offset,
                (long long)entry->base_offset + entry->records - 1, (long long)entry->position,
                (unsigned long long)item->extent, wrong);
    else if (wrong)
        problem(verify,
                "topic \"%s\", partition %u, offset %lld, position %lld: extent %llu%s, byte %llu, %u bytes: %s",
                topic ? topic->name : "", item->partition, (long long)entry->base_offset, (long long)entry->position,
                (unsigned long long)kp_extent_shown(item->extent), kp_extent_suffix(item->extent),
                (unsigned long long)entry->place, entry->bytes, wrong);
    return true;
}

/* The journal must come as far as the snapshot says: nothing else vouches for its last blocks. */
static void check_witness(struct verify *verify)
{
    const struct kp_journal_end *witness = &verify->witness;
    if (verify->damaged.bytes && verify->damaged_sequence <= witness->sequence) {
        bad_block(verify, &verify->damaged, verify->damaged_sequence);
        verify->damaged.bytes = 0;
    } else if (verify->sequence < witness->sequence) {
        problem(
            verify,
            "the journal ends behind block %llu, position %lld, and the snapshot knows it up to block %llu, position "
            "%lld, in file %llu, byte %llu: what was there has rotted, or files are missing",
            (unsigned long long)verify->sequence, (long long)verify->position, (unsigned long long)witness->sequence,
            (long long)witness->position, (unsigned long long)witness->file_number,
            (unsigned long long)witness->offset);
    }
}

static enum kp_code verify_all(struct verify *verify, struct kp_os *os, const char *dir, struct kp_error *err)
{
    struct kp_inspect_sealed sealed;
    struct kp_inspect_report *report = verify->report;
    KP_TRY(kp_inspect_sealed_look(os, dir, &sealed, err));
    verify->file_next = sealed.head.file_next;
    report->extents = sealed.head.extents;
    report->sealed_batch_bytes = sealed.head.batch_bytes;
    report->sealed_written_bytes = sealed.head.journal_bytes + sealed.head.extent_bytes + sealed.head.merge_bytes;
    enum kp_code code = kp_inspect_journal(os, dir, verify_block, verify_begin, verify, err);
    if (code == KP_OK)
        code = kp_inspect_items(os, dir, &sealed, verify_item, extent_problem, verify, err);
    kp_inspect_sealed_finish(&sealed);
    if (code == KP_OK)
        check_witness(verify);
    for (uint32_t id = 1; code == KP_OK && id <= verify->topics.id_count; id++) {
        const struct kp_topic *topic = kp_topics_get(&verify->topics, id);
        if (topic && kp_topic_nameless(topic))
            problem(verify, "topic %u: what made it is lost, and its name with it; its records are in \"%s\"", id,
                    topic->name);
    }
    return code;
}

static void keep_problem(void *arg, const char *text)
{
    struct kp_buf *problems = arg;
    kp_buf_append(problems, text, strlen(text) + 1);
}

/* One pass over the files; problems: texts, each with its NUL. */
static enum kp_code verify_once(struct kp_os *os, const char *dir, struct kp_buf *problems,
                                struct kp_inspect_report *ret_report, struct kp_error *err)
{
    struct kp_inspect_report report = {0};
    struct verify verify = {.report = &report, .problem = keep_problem, .arg = problems};
    struct kp_error why; /* first: of what a log in use writes meanwhile it knows nothing yet */
    const char *damage = kp_snapshot_look(os, dir, &verify.generation, &verify.witness, &why);
    if (damage)
        problem(&verify,
                "snapshot: %s; no record is lost: a start reads more of the journal instead, and writes a new one",
                damage);
    enum kp_code code = look_around(&report, os, dir, err);
    if (code == KP_OK)
        code = verify_all(&verify, os, dir, err);
    kp_topics_finish(&verify.topics);
    KP_TRY(code);
    report.cut_tail = verify.in_group || verify.damaged.bytes;
    *ret_report = report;
    return KP_OK;
}

static const char *next_text(const char *text)
{
    return text + strlen(text) + 1;
}

static bool has_text(const struct kp_buf *texts, const char *text)
{
    const char *end = (const char *)texts->data + texts->len;
    for (const char *at = (const char *)texts->data; at < end; at = next_text(at))
        if (strcmp(at, text) == 0)
            return true;
    return false;
}

/* Keeps of *texts those that are in `others`, too; returns how many were left out. */
static uint64_t keep_common(struct kp_buf *texts, const struct kp_buf *others)
{
    struct kp_buf kept = {0};
    uint64_t left_out = 0;
    for (size_t at = 0; at < texts->len; at += strlen((const char *)texts->data + at) + 1) {
        const char *text = (const char *)texts->data + at;
        if (has_text(others, text))
            kp_buf_append(&kept, text, strlen(text) + 1);
        else
            left_out++;
    }
    kp_buf_finish(texts);
    *texts = kept;
    return left_out;
}

/* Files of a log in use are sealed, used again and removed while they are read: what is wrong then is not so when they
 * are looked at once more. What rotted is, each time. */
enum kp_code kp_inspect_verify(struct kp_os *os, const char *dir, void (*on_problem)(void *arg, const char *text),
                               void *arg, struct kp_inspect_report *ret_report, struct kp_error *err)
{
    struct kp_buf always = {0}; /* what every pass has met */
    enum kp_code code = KP_OK;
    uint64_t come = 0;
    int passes = 0;
    bool done = false;
    struct kp_error why = {.message = ""}, before;
    for (int tries = 0; tries < VERIFY_TRIES && !done; tries++) {
        struct kp_buf problems = {0};
        before = why;
        why = (struct kp_error){.message = ""};
        code = verify_once(os, dir, &problems, ret_report, &why);
        if (code != KP_OK) { /* a file that went is not the one that went before */
            done = strcmp(why.message, before.message) == 0;
        } else if (passes++) {
            uint64_t gone = keep_common(&always, &problems);
            come = keep_common(&problems, &always);
            done = !always.len || (!gone && (!come || passes >= VERIFY_PASSES));
        } else {
            kp_buf_append(&always, problems.data, problems.len);
            done = !problems.len;
        }
        kp_buf_finish(&problems);
    }
    if (code != KP_OK && err)
        *err = why;
    ret_report->changed = come;
    ret_report->problems = ret_report->mended = 0;
    const char *text = (const char *)always.data, *end = text + always.len;
    for (; code == KP_OK && text < end; text = next_text(text)) {
        ret_report->problems++;
        ret_report->mended += strstr(text, KP_LOG_MENDED) != NULL;
        if (on_problem)
            on_problem(arg, text);
    }
    kp_buf_finish(&always);
    return code;
}

/* ---- records ---- */

struct dump {
    const struct kp_inspect_filter *filter;
    bool (*each)(void *arg, const struct kp_inspect_record *record);
    void *arg;
    struct kp_topics topics;
    uint64_t file_next; /* journal files before it are sealed */
    bool begun;         /* the walk of the journal has */
    struct kp_arena arena;
};

/* Where a batch lies, and which it is. */
struct place {
    uint32_t topic, partition, records, bytes;
    int64_t base_offset, position, log_time_us;
    uint64_t file_number, offset;
    const uint8_t *batch;
};

static bool dump_batch(struct dump *dump, const struct place *place)
{
    const struct kp_inspect_filter *filter = dump->filter;
    const struct kp_topic *topic = kp_topics_get(&dump->topics, place->topic);
    const char *name = topic ? topic->name : "";
    if ((filter->topic && strcmp(filter->topic, name) != 0) ||
        (filter->partition >= 0 && filter->partition != place->partition) || place->base_offset >= filter->offset_end ||
        place->base_offset + place->records <= filter->offset_from)
        return true;
    struct kp_inspect_record record = {
        .topic = name,
        .topic_id = place->topic,
        .partition = place->partition,
        .log_time_us = place->log_time_us,
        .file_number = place->file_number,
        .block_offset = place->offset,
    };
    struct kp_record_reader reader;
    struct kp_error err;
    bool more = true;
    kp_arena_reset(&dump->arena);
    if (kp_record_reader_init(&reader, place->batch, place->bytes, &dump->arena, &err) != KP_OK)
        return true;
    record.codec = reader.info.codec;
    while (more && kp_record_reader_next(&reader, &record.record, &err)) {
        record.offset = place->base_offset + record.record.offset_delta;
        record.position = place->position + record.record.offset_delta;
        if (record.offset >= filter->offset_from && record.offset < filter->offset_end)
            more = dump->each(dump->arg, &record);
    }
    return more;
}

static bool dump_block(void *arg, const struct kp_inspect_block *block)
{
    struct dump *dump = arg;
    if (block->state != KP_INSPECT_OK && block->state != KP_INSPECT_JUMP)
        return true;
    struct kp_entry_walk walk = kp_entry_walk_start(block->header);
    const struct kp_entry_header *entry;
    const char *wrong;
    int64_t position = block->header->position;
    while (kp_entry_walk_next(&walk, &entry, &wrong)) {
        struct place place = {.topic = entry->topic,
                              .partition = entry->partition,
                              .records = entry->records,
                              .bytes = entry->payload_bytes,
                              .base_offset = entry->base_offset,
                              .position = position,
                              .log_time_us = block->header->log_time_us,
                              .file_number = block->file_number,
                              .offset = block->offset,
                              .batch = (const uint8_t *)(entry + 1)};
        (void)kp_topics_meet(&dump->topics, entry);
        if (entry->kind == KP_ENTRY_BATCH && block->file_number >= dump->file_next && !dump_batch(dump, &place))
            return false;
        position += entry->kind == KP_ENTRY_BATCH ? entry->records : 0;
        if (entry->kind != KP_ENTRY_SEALED)
            (void)!kp_topics_apply(&dump->topics, entry, 0, NULL); /* of what is damaged as much as fits */
    }
    return true;
}

struct stop {
    struct dump *dump;
    bool stopped;
};

static bool dump_item(void *arg, const struct kp_inspect_item *item)
{
    struct place place = {.topic = item->topic,
                          .partition = item->partition,
                          .records = item->entry->records,
                          .bytes = item->entry->bytes,
                          .base_offset = item->entry->base_offset,
                          .position = item->entry->position,
                          .log_time_us = item->entry->log_time_us,
                          .file_number = kp_extent_shown(item->extent),
                          .offset = item->entry->place,
                          .batch = item->batch};
    struct stop *stop = arg;
    stop->stopped = !item->wrong && !dump_batch(stop->dump, &place);
    return !stop->stopped;
}

static void ignore_problem(void *arg, const char *text)
{
}

/* Sealed records, with the topics as they are in the end: those of dropped ones are gone. */
static enum kp_code dump_sealed(struct dump *dump, struct kp_os *os, const char *dir, bool *ret_stopped,
                                struct kp_error *err)
{
    struct kp_inspect_sealed sealed;
    struct stop stop = {dump, false};
    KP_TRY(kp_inspect_sealed_look(os, dir, &sealed, err));
    dump->file_next = sealed.head.file_next;
    dump->topics = sealed.topics;
    sealed.topics = (struct kp_topics){0};
    enum kp_code code = kp_inspect_items(os, dir, &sealed, dump_item, ignore_problem, &stop, err);
    kp_topics_finish(&dump->topics);
    kp_inspect_sealed_finish(&sealed);
    *ret_stopped = stop.stopped;
    return code;
}

static enum kp_code dump_begin(void *arg, const struct kp_inspect_begin *begin, struct kp_error *err)
{
    struct dump *dump = arg;
    if (dump->begun) {
        kp_fail(err, KP_BUSY, NULL, "the log is in use, and journal was sealed before it was read");
        return kp_error_hint(err, "Try again; or `kappa log export`, which goes on where it was.");
    }
    dump->begun = true;
    return kp_inspect_begin_topics(begin, &dump->topics, err);
}

enum kp_code kp_inspect_records(struct kp_os *os, const char *dir, const struct kp_inspect_filter *filter,
                                bool (*each)(void *arg, const struct kp_inspect_record *record), void *arg,
                                struct kp_error *err)
{
    struct dump dump = {.filter = filter, .each = each, .arg = arg};
    bool stopped = false;
    enum kp_code code = dump_sealed(&dump, os, dir, &stopped, err);
    if (code == KP_OK && !stopped)
        code = kp_inspect_journal(os, dir, dump_block, dump_begin, &dump, err);
    kp_topics_finish(&dump.topics);
    kp_arena_finish(&dump.arena);
    return code;
}
