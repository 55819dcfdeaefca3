/* Checks and reads of the bytes drawn in log/extent.h. */
#include "log/extent.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "log/plant.h"
#include "log/record_batch.h"

const char kp_extent_lost_wrong[] = "its blocks had rotted before they were sealed";

enum { MEND_BYTES_MAX = 64 << 10 };
#define PLACE_MAX ((uint64_t)1 << 56) /* bytes of a file: sums of some do not overflow */

uint32_t kp_extent_header_crc(const struct kp_extent_header *header)
{
    return kp_crc32c(0, header, offsetof(struct kp_extent_header, crc));
}

uint32_t kp_extent_item_crc(const struct kp_extent_item *item, const void *batch)
{
    uint32_t crc = kp_crc32c(0, &item->position, sizeof *item - offsetof(struct kp_extent_item, position));
    return kp_crc32c(crc, batch, item->bytes);
}

char *kp_extent_path(const char *dir, uint64_t number, const char *suffix)
{
    return kp_extent_adopted(number) ? kp_journal_path(dir, number - KP_ADOPTED, KP_ADOPTED_SUFFIX)
                                     : kp_journal_path(dir, number, suffix);
}

const char *kp_extent_item_wrong(const struct kp_extent_item *item, size_t have)
{
    if (have < sizeof *item || item->bytes > KP_RECORD_BATCH_BYTES_MAX || have < sizeof *item + item->bytes)
        return "a record batch does not fit";
    if (kp_extent_item_crc(item, item + 1) != item->crc && kp_log_planted != KP_PLANT_ITEM_UNCHECKED)
        return "a record batch fails its checksum";
    return NULL;
}

static const char other[] = "another record batch lies there";

bool kp_extent_adoptable(const uint8_t *batch, uint32_t bytes, uint32_t *ret_flags)
{
    if (bytes < KP_RECORD_BATCH_HEADER_BYTES)
        return false;
    uint32_t epoch = kp_load_be32(batch + 12);
    *ret_flags = epoch == 0 ? KP_ORDER_EPOCH_ZERO : 0;
    return epoch == 0 || epoch == UINT32_MAX;
}

/* An adopted file's: a journal entry. */
static const char *journal_entry_wrong(const struct kp_extent_run *run, const struct kp_order_entry *entry,
                                       const struct kp_entry_header *at)
{
    struct kp_entry_header want = {.bytes = kp_entry_bytes(entry->bytes),
                                   .kind = KP_ENTRY_BATCH,
                                   .flags = entry->flags & KP_ORDER_GROUP_END ? KP_ENTRY_GROUP_END : 0,
                                   .topic = run->topic,
                                   .partition = run->partition,
                                   .base_offset = entry->base_offset,
                                   .records = entry->records,
                                   .payload_bytes = entry->bytes};
    const uint8_t *batch = (const uint8_t *)(at + 1);
    struct kp_record_batch_info info;
    uint32_t flags;
    if (memcmp(at, &want, sizeof want) != 0)
        return other;
    if (kp_record_batch_check(batch, entry->bytes, kp_log_planted != KP_PLANT_ITEM_UNCHECKED, &info, NULL) != KP_OK)
        return "a record batch fails its checksum";
    if (info.bytes != entry->bytes || info.base_offset != entry->base_offset ||
        !kp_extent_adoptable(batch, entry->bytes, &flags) || flags != (entry->flags & KP_ORDER_EPOCH_ZERO))
        return other;
    return NULL;
}

const char *kp_extent_entry_wrong(const struct kp_extent_run *run, const struct kp_order_entry *entry,
                                  const void *bytes, size_t have)
{
    if (have < kp_extent_head_bytes(run) + entry->bytes)
        return "a record batch does not fit";
    if (kp_extent_adopted(run->extent))
        return journal_entry_wrong(run, entry, bytes);
    const struct kp_extent_item *item = bytes;
    const char *wrong = kp_extent_item_wrong(item, have);
    return wrong ? wrong : item->position != entry->position || item->bytes != entry->bytes ? other : NULL;
}

/* ---- files ---- */

void kp_extent_file_init(struct kp_extent_file *file, struct kp_os *os, const char *dir, bool direct)
{
    *file = (struct kp_extent_file){.os = os, .dir = dir, .direct = direct};
}

void kp_extent_file_finish(struct kp_extent_file *file)
{
    if (file->file)
        file->os->close(file->os->ctx, file->file);
    file->file = NULL;
    file->number = 0;
}

static enum kp_code open_number(struct kp_extent_file *file, uint64_t number, struct kp_error *err)
{
    if (file->file && file->number == number)
        return KP_OK;
    kp_extent_file_finish(file);
    unsigned flags = KP_OPEN_READ | (file->direct ? KP_OPEN_DIRECT : 0);
    enum kp_code code;
    if (kp_extent_adopted(number)) {
        code = kp_adopted_open(file->os, file->dir, number - KP_ADOPTED, flags, &file->file, err);
    } else {
        char *path = kp_extent_path(file->dir, number, KP_EXTENT_SUFFIX);
        code = file->os->open(file->os->ctx, path, flags, &file->file, err);
        kp_free(path);
    }
    if (code == KP_OK)
        file->number = number;
    if (code == KP_NOT_FOUND)
        kp_error_hint(err, "Put the file back, or restore a backup.");
    return code;
}

static enum kp_code damaged(const struct kp_extent_file *file, uint64_t number, uint64_t place, const char *what,
                            struct kp_error *err)
{
    kp_fail(err, KP_CORRUPT, NULL, "the log in \"%s\" is damaged: extent %llu%s at byte %llu: %s", file->dir,
            (unsigned long long)kp_extent_shown(number), kp_extent_suffix(number), (unsigned long long)place, what);
    (void)kp_error_hint(err, "`kappa log verify` shows what is damaged. Restore it from a backup.");
    return KP_CORRUPT; /* also without err */
}

static void tell_mended(const struct kp_extent_file *file, uint64_t number, uint64_t place, const char *wrong)
{
    if (file->mended)
        file->mended(file->arg, number, place, wrong);
}

enum soundness { ROTTEN, MENDED, SOUND };

/* Has the section that checksum; or had it before one bit rotted, which is turned back? */
static enum soundness check(const struct kp_extent_file *file, void *bytes, size_t len, uint32_t crc)
{
    if (kp_crc32c(0, bytes, len) == crc)
        return SOUND;
    return !file->exact && len <= MEND_BYTES_MAX && kp_crc32c_mend(bytes, len, crc) ? MENDED : ROTTEN;
}

/* The same of one that lies beside its checksum, in which the bit may be. */
static enum soundness check_beside(const struct kp_extent_file *file, void *bytes, size_t len, uint32_t *crc)
{
    uint32_t is = kp_crc32c(0, bytes, len);
    if (is == *crc)
        return SOUND;
    if (file->exact || __builtin_popcount(is ^ *crc) != 1)
        return check(file, bytes, len, *crc);
    *crc = is;
    return MENDED;
}

enum kp_code kp_extent_file_read(struct kp_extent_file *file, uint64_t number, void *bytes, uint64_t place, size_t len,
                                 struct kp_error *err)
{
    size_t got = 0;
    KP_TRY(open_number(file, number, err));
    KP_TRY(file->os->pread(file->os->ctx, file->file, bytes, len, place, &got, err));
    return got == len ? KP_OK : damaged(file, number, place, "the file ends here", err);
}

/* ---- copies ---- */

/* Where the copy of what lies at a place of the runs, the index or the state is; for headers that have copies. */
static uint64_t copy_place(const struct kp_extent_header *header, uint64_t place)
{
    uint64_t index = header->copies_at + (uint64_t)header->runs * sizeof(struct kp_extent_run);
    uint64_t state = index + (uint64_t)header->index_entries * sizeof(struct kp_extent_index);
    return place < header->order_at   ? header->copies_at + (place - header->runs_at)
           : place < header->state_at ? index + (place - header->index_at)
                                      : state + (place - header->state_at);
}

uint64_t kp_extent_copies_bytes(const struct kp_extent_header *header)
{
    return (uint64_t)header->runs * sizeof(struct kp_extent_run) +
           (uint64_t)header->index_entries * sizeof(struct kp_extent_index) + header->state_bytes;
}

/* Reads runs, an index or the state: as they were written, else their copy, else with a rotten bit turned back. */
static enum kp_code read_section(struct kp_extent_file *file, const struct kp_extent_header *header, void *bytes,
                                 uint64_t place, size_t len, uint32_t crc, const char *wrong, struct kp_error *err)
{
    uint64_t number = header->number;
    enum kp_code code = kp_extent_file_read(file, number, bytes, place, len, err);
    if (code == KP_OK && kp_crc32c(0, bytes, len) == crc)
        return KP_OK;
    bool mended = header->copies_at && !file->exact &&
                  kp_extent_file_read(file, number, bytes, copy_place(header, place), len, NULL) == KP_OK &&
                  kp_crc32c(0, bytes, len) == crc;
    if (!mended) {
        KP_TRY(kp_extent_file_read(file, number, bytes, place, len, err));
        if (check(file, bytes, len, crc) == ROTTEN)
            return damaged(file, number, place, wrong, err);
    }
    tell_mended(file, number, place, wrong);
    return KP_OK;
}

static enum kp_code check_copy(struct kp_extent_file *file, const struct kp_extent_header *header, uint64_t place,
                               size_t len, uint32_t crc, const char *wrong, struct kp_error *err)
{
    uint64_t copy = copy_place(header, place);
    void *bytes = kp_alloc(len + 1);
    enum kp_code code = kp_extent_file_read(file, header->number, bytes, copy, len, err);
    if (code == KP_OK && kp_crc32c(0, bytes, len) != crc)
        code = damaged(file, header->number, copy, wrong, err);
    kp_free(bytes);
    return code;
}

enum kp_code kp_extent_copies_check(struct kp_extent_file *file, const struct kp_extent_set *set, struct kp_error *err)
{
    const struct kp_extent_header *header = &set->header;
    struct kp_extent_header again;
    if (!header->copies_at)
        return KP_OK;
    KP_TRY(check_copy(file, header, header->runs_at, header->runs * sizeof *set->runs, header->runs_crc,
                      "the copy of its runs fails its checksum", err));
    for (uint32_t r = 0; r < header->runs; r++)
        KP_TRY(check_copy(file, header, header->index_at + set->runs[r].index_first * sizeof(struct kp_extent_index),
                          set->runs[r].index_count * sizeof(struct kp_extent_index), set->runs[r].index_crc,
                          "the copy of an index fails its checksum", err));
    KP_TRY(check_copy(file, header, header->state_at, header->state_bytes, header->state_crc,
                      "the copy of its state fails its checksum", err));
    uint64_t place = header->file_bytes - sizeof again;
    KP_TRY(kp_extent_file_read(file, header->number, &again, place, sizeof again, err));
    return memcmp(&again, header, sizeof again) == 0
               ? KP_OK
               : damaged(file, header->number, place, "the copy of its header is another one", err);
}

/* ---- headers ---- */

/* Does a section of count things lie within the file as its header has it? */
static bool fits(const struct kp_extent_header *header, uint64_t at, uint64_t count, uint64_t each)
{
    return at <= header->file_bytes && count <= (header->file_bytes - at) / each;
}

static bool copies_fit(const struct kp_extent_header *header)
{
    return !header->copies_at || (header->runs_at <= header->order_at && header->index_at <= header->state_at &&
                                  fits(header, header->copies_at, kp_extent_copies_bytes(header) + sizeof *header, 1));
}

static bool sections_fit(const struct kp_extent_header *header)
{
    return copies_fit(header) && fits(header, KP_SECTOR_BYTES, header->data_bytes, 1) &&
           fits(header, header->runs_at, header->runs, sizeof(struct kp_extent_run)) &&
           fits(header, header->order_at, header->order_pages, KP_ORDER_PAGE_BYTES) &&
           fits(header, header->index_at, header->index_entries, sizeof(struct kp_extent_index)) &&
           fits(header, header->state_at, header->state_bytes, 1) && header->position >= 0 &&
           header->position <= header->position_end && (uint64_t)header->position_end < KP_JOURNAL_COUNT_MAX &&
           header->file_first <= header->file_last;
}

static const char header_wrong[] = "its header fails its checksum";

static enum kp_code check_header(const struct kp_extent_file *file, struct kp_extent_header *header, uint64_t number,
                                 bool *ret_mended, struct kp_error *err)
{
    enum soundness is = check_beside(file, header, offsetof(struct kp_extent_header, crc), &header->crc);
    *ret_mended = is == MENDED;
    if (memcmp(header->magic, KP_EXTENT_MAGIC, sizeof header->magic) != 0)
        return damaged(file, number, 0, "it does not begin with an extent's header", err);
    if (header->format < KP_EXTENT_FORMAT || header->format > KP_EXTENT_FORMAT_LOST) {
        /* whatever the CRC: another format may keep it elsewhere */
        kp_fail(
            err, KP_UNSUPPORTED, NULL, "extent %llu in \"%s\" has the format %u; this version of kappa knows %d to %d",
            (unsigned long long)number, file->dir, header->format, (int)KP_EXTENT_FORMAT, (int)KP_EXTENT_FORMAT_LOST);
        return kp_error_hint(err, "Use the version of kappa that wrote it, or a later one.");
    }
    if (is == ROTTEN)
        return damaged(file, number, 0, header_wrong, err);
    if (header->number != number)
        return damaged(file, number, 0, "it is not what its name says", err);
    if (!sections_fit(header))
        return damaged(file, number, 0, "its header says what cannot be", err);
    return KP_OK;
}

static bool read_header_copy(struct kp_extent_file *file, uint64_t number, struct kp_extent_header *ret_header)
{
    struct kp_extent_header header;
    uint64_t bytes;
    bool mended;
    if (!file->file || file->os->size(file->os->ctx, file->file, &bytes, NULL) != KP_OK || bytes < KP_SECTOR_BYTES ||
        kp_extent_file_read(file, number, &header, bytes - sizeof header, sizeof header, NULL) != KP_OK ||
        check_header(file, &header, number, &mended, NULL) != KP_OK || !header.copies_at || header.file_bytes != bytes)
        return false;
    *ret_header = header;
    return true;
}

static enum kp_code read_header(struct kp_extent_file *file, uint64_t number, struct kp_extent_header *ret_header,
                                struct kp_error *err)
{
    struct kp_extent_header header;
    bool mended = false;
    enum kp_code code = kp_extent_file_read(file, number, &header, 0, sizeof header, err);
    if (code == KP_OK)
        code = check_header(file, &header, number, &mended, err);
    if (code != KP_OK && !file->exact && read_header_copy(file, number, &header)) {
        mended = true;
        code = KP_OK;
    }
    KP_TRY(code);
    if (mended)
        tell_mended(file, number, 0, header_wrong);
    *ret_header = header;
    return KP_OK;
}

enum kp_code kp_extent_header_read(struct kp_os *os, const char *dir, uint64_t number, bool exact,
                                   struct kp_extent_header *ret_header, struct kp_error *err)
{
    struct kp_extent_file file;
    kp_extent_file_init(&file, os, dir, false);
    file.exact = exact;
    enum kp_code code = read_header(&file, number, ret_header, err);
    kp_extent_file_finish(&file);
    return code;
}

/* Offsets and places that readers can count with. */
static bool run_sound(const struct kp_extent_header *header, const struct kp_extent_run *run)
{
    bool here = run->extent == 0;
    return (run->place % KP_ENTRY_ALIGN == 0 || kp_extent_run_lost(run)) && run->base_offset >= 0 &&
           run->base_offset <= run->end_offset && run->bytes <= (here ? header->file_bytes : PLACE_MAX) &&
           run->place <= (here ? header->file_bytes : PLACE_MAX) - run->bytes &&
           run->index_count <= header->index_entries && run->index_first <= header->index_entries - run->index_count;
}

static enum kp_code load_runs(struct kp_extent_file *file, struct kp_extent_set *set, struct kp_error *err)
{
    const struct kp_extent_header *header = &set->header;
    size_t bytes = (size_t)header->runs * sizeof *set->runs;
    uint64_t file_bytes;
    KP_TRY(file->os->size(file->os->ctx, file->file, &file_bytes, err));
    if (file_bytes < header->file_bytes)
        return damaged(file, header->number, file_bytes, "the file ends here", err);
    set->runs = kp_alloc(bytes + 1);
    KP_TRY(read_section(file, header, set->runs, header->runs_at, bytes, header->runs_crc,
                        "its runs fail their checksum", err));
    for (uint32_t i = 0; i < header->runs; i++)
        if (!run_sound(header, &set->runs[i]))
            return damaged(file, header->number, header->runs_at, "its runs say what cannot be", err);
    return KP_OK;
}

enum kp_code kp_extent_set_load(struct kp_extent_file *file, uint64_t number, struct kp_extent_set **ret_set,
                                struct kp_error *err)
{
    struct kp_extent_set *set = kp_calloc(1, sizeof *set);
    enum kp_code code = read_header(file, number, &set->header, err);
    if (code == KP_OK && set->header.kind != KP_EXTENT_MIXED)
        code = damaged(file, number, 0, "it is not a mixed extent", err);
    if (code == KP_OK)
        code = load_runs(file, set, err);
    if (code != KP_OK) {
        kp_extent_set_free(set);
        return code;
    }
    *ret_set = set;
    return KP_OK;
}

void kp_extent_set_free(struct kp_extent_set *set)
{
    if (set)
        kp_free(set->runs);
    kp_free(set);
}

enum kp_code kp_extent_state_read(struct kp_extent_file *file, const struct kp_extent_header *header,
                                  struct kp_buf *ret_state, struct kp_error *err)
{
    struct kp_buf state = {0};
    uint8_t *at = kp_buf_reserve(&state, header->state_bytes);
    enum kp_code code = read_section(file, header, at, header->state_at, header->state_bytes, header->state_crc,
                                     "its state fails its checksum", err);
    state.len = header->state_bytes;
    if (code == KP_OK)
        *ret_state = state;
    else
        kp_buf_finish(&state);
    return code;
}

const struct kp_extent_run *kp_extent_run_find(const struct kp_extent_set *set, uint32_t topic, uint32_t partition,
                                               int64_t offset)
{
    uint32_t low = 0, high = set->header.runs; /* the first run at or behind (topic, partition, offset) */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct kp_extent_run *run = &set->runs[middle];
        bool before = run->topic != topic           ? run->topic < topic
                      : run->partition != partition ? run->partition < partition
                                                    : run->end_offset <= offset;
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    const struct kp_extent_run *run = low < set->header.runs ? &set->runs[low] : NULL;
    return run && run->topic == topic && run->partition == partition ? run : NULL;
}

/* ---- order and index ---- */

/* Positions ascend within the set, and batches lie where there can be some. */
static bool entries_sound(const struct kp_extent_set *set, const struct kp_order_page *page)
{
    int64_t position = set->header.position, end = set->header.position_end;
    for (uint32_t i = 0; i < page->count; i++) {
        const struct kp_order_entry *entry = &page->entries[i];
        if (entry->position < position || entry->position > end || entry->records > end - entry->position ||
            entry->base_offset < 0 || entry->base_offset > INT64_MAX - entry->records ||
            entry->bytes > KP_RECORD_BATCH_BYTES_MAX || entry->place > PLACE_MAX || entry->place % KP_ENTRY_ALIGN)
            return false;
        position = entry->position + entry->records;
    }
    return true;
}

enum kp_code kp_order_page_read(struct kp_extent_file *file, const struct kp_extent_set *set, uint32_t page,
                                struct kp_order_page *ret_page, struct kp_error *err)
{
    uint64_t place = set->header.order_at + (uint64_t)page * KP_ORDER_PAGE_BYTES;
    KP_TRY(kp_extent_file_read(file, set->header.number, ret_page, place, sizeof *ret_page, err));
    static const char wrong[] = "a page of its order fails its checksum";
    int rotten = __builtin_popcount(ret_page->magic ^ KP_ORDER_MAGIC);
    size_t bytes = KP_ORDER_PAGE_BYTES - offsetof(struct kp_order_page, count);
    enum soundness is = rotten > !file->exact ? ROTTEN : check_beside(file, &ret_page->count, bytes, &ret_page->crc);
    if (is == ROTTEN || ret_page->count == 0 || ret_page->count > KP_ORDER_PAGE_ENTRIES)
        return damaged(file, set->header.number, place, wrong, err);
    if (!entries_sound(set, ret_page))
        return damaged(file, set->header.number, place, "a page of its order says what cannot be", err);
    if (is == MENDED || rotten)
        tell_mended(file, set->header.number, place, wrong);
    return KP_OK;
}

enum kp_code kp_order_page_find(struct kp_extent_file *file, const struct kp_extent_set *set, int64_t at, bool by_time,
                                uint32_t *ret_page, struct kp_error *err)
{
    struct kp_order_page *page = kp_alloc(sizeof *page);
    uint32_t low = 0, high = set->header.order_pages; /* the first page behind */
    enum kp_code code = KP_OK;
    while (low < high && code == KP_OK) {
        uint32_t middle = low + (high - low) / 2,
                 told = middle; /* in the place of one that has rotted the next tells */
        code = kp_order_page_read(file, set, told, page, err);
        while (code == KP_CORRUPT && ++told < high)
            code = kp_order_page_read(file, set, told, page, err);
        if (code == KP_OK && (by_time ? page->log_time_us < at : page->position <= at))
            low = told + 1;
        else
            high = middle;
        if (code == KP_CORRUPT)
            code = KP_OK;
    }
    kp_free(page);
    KP_TRY(code);
    *ret_page = low ? low - 1 : 0;
    return KP_OK;
}

/* Its places are those of items, or blocks. */
static bool index_sound(const struct kp_extent_run *run, const struct kp_extent_index *index)
{
    for (uint32_t i = 0; i < run->index_count; i++)
        if (index[i].place < run->place || index[i].place > PLACE_MAX || index[i].place % KP_ENTRY_ALIGN)
            return false;
    return true;
}

enum kp_code kp_extent_index_read(struct kp_extent_file *file, const struct kp_extent_set *set,
                                  const struct kp_extent_run *run, struct kp_extent_index **ret_index,
                                  struct kp_error *err)
{
    size_t bytes = run->index_count * sizeof(struct kp_extent_index);
    uint64_t place = set->header.index_at + run->index_first * sizeof(struct kp_extent_index);
    struct kp_extent_index *index = kp_alloc(bytes + 1);
    enum kp_code code =
        read_section(file, &set->header, index, place, bytes, run->index_crc, "an index fails its checksum", err);
    if (code == KP_OK && !index_sound(run, index))
        code = damaged(file, set->header.number, place, "an index says what cannot be", err);
    if (code != KP_OK) {
        kp_free(index);
        return code;
    }
    *ret_index = index;
    return KP_OK;
}
