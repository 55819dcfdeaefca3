/*
 * Extents: what old journal files become. All integers are little-endian; every section begins at a multiple of 4096.
 *
 *     00000001.extent       extents, numbered from 1 in the order of their making; a number is never used again
 *     00000002.extent.new   one being written: removed at the next start
 *     00000003.adopted      a journal file that was adopted as an extent: its bytes are what they were
 *
 * Sealing turns a stretch of whole journal files into a *set*: one mixed extent, which also holds the order of all
 * records of the stretch, and for each large partition an extent of its own. Record batches are copied as they are;
 * or, where a journal file holds little else than large partitions', not at all (ADOPTED).
 *
 *     mixed  | header 4096 | data | runs | order | index | state | copies |
 *     own    | header 4096 | data |
 *     data   | item | item | …        sorted by (topic, partition, offset): a *run* is one partition's, contiguous
 *     item   | header 24 | a record batch | zeros up to a multiple of 8 |
 *     runs   | run 72 | …             sorted by (topic, partition, base offset)
 *     order  | page 16384 | …         header 32, then up to 340 entries of 48: all batches of the set by position
 *     index  | entry 24 | …           per run, sparse: offset and time to byte
 *     state  (log/state.h)            topics and partitions as they were behind the set's last record
 *     copies                          runs, index and state again, one behind the other; the file's last 256 bytes
 *                                     are the header again
 *
 *   extent header                          run                                   order entry
 *    0  8  magic "KAPPAEXT"                 0  4  topic                           0  8  position
 *    8  4  format = 1, 2 (THINNED)          4  4  partition                       8  8  base offset
 *           3 (ADOPTED), 4 (LOST)
 *   12  4  kind (enum kp_extent_kind)       8  8  base offset                    16  8  byte of its item
 *   16  8  generation: the log's           16  8  end offset                     24  8  log time: µs since 1970
 *   24  8  extent number                   24  8  byte of its first item         32  4  bytes of the batch
 *   32  8  bytes of the file               32  8  bytes of its items             36  4  records
 *   40  8  created: µs since 1970          40  8  largest timestamp: ms          40  4  run, counted from 0
 *   48  8  first position of the set       48  4  extent that holds its items,   44  4  flags (enum kp_order_flags)
 *   56  8  behind its last                        0: this one
 *   64  8  log time of its last block      52  4  batches                        order page
 *   72  8  its first journal file          56  4  its first index entry           0  4  magic "KPOR"
 *   80  8  its last journal file           60  4  its count of index entries      4  4  CRC-32C of bytes 8 to 16383
 *   88  8  sequence of the last block      64  4  CRC-32C of them                 8  4  entries
 *   96  4  CRC of that block's header                                            12  4  zero
 *  100  4  runs                           68  4  adopted: sectors of its blocks    16  8  position of the first
 *  104  8  bytes of data                   index entry                           24  8  log time of the first
 *  112  8  byte where the runs begin        0  8  base offset
 *  120  8  byte where the order begins      8  8  byte of its item               item
 *  128  8  byte where the index begins     16  8  largest timestamp up to its     0  4  bytes of the batch
 *  136  8  byte where the state begins            next entry: ms                  4  4  CRC-32C of header and batch
 *  144  4  pages of order                                                               from byte 8 on
 *  148  4  entries of index                                                       8  8  position
 *  152  4  bytes of state                                                        16  8  log time
 *  156  4  CRC-32C of the runs
 *  160  4  CRC-32C of the state
 *  164  4  zero
 *  168  8  byte where the copies begin
 *          (0: it has none)
 *  176 76  zero
 *  252  4  CRC-32C of bytes 0 to 251
 *
 * The index of a run in an extent of its own lies in the set's mixed extent, as its run does. In an own extent's header
 * what only a mixed one has is zero.
 *
 * WHICH EXTENTS COUNT is said by the newest entry KP_ENTRY_SEALED of the journal (log/format.h), and by nothing else.
 * The order: the files under their .new names, synced; renamed; the folder synced; the entry durable; readers that may
 * still be in the sealed journal files gone; those files recycled. So a crash leaves extents that do not count yet, or
 * journal files that do not count any more, and the next start removes either.
 *
 * GONE. Batches that were wholly trimmed, and those of dropped topics, are left out; only their entries in the order
 * stay, with the run 0xffffffff. So positions and groups are always told, and the log time at every position.
 *
 * ADOPTED. A run may lie in a journal file (log/format.h) that counts as an extent: its number is that of the file plus
 * 0x80000000, its kind 3, its bytes up to the end of its last block, its CRC that of the file's header. Nothing is
 * copied, and nothing in the file changes. The place of a run, and those in its index, are of blocks there; those in
 * the order are of the entry, behind whose header the batch lies. The bytes of a run are those of its batches. A
 * partition has one such run, at most, for each file; batches of small partitions in it are copied as ever, and what
 * the file holds of them is dead. The file is found under its old name until nobody can be left who reads it as
 * journal; then it is renamed. So a crash changes nothing: before KP_ENTRY_SEALED is durable it is journal, from then
 * on an extent, whatever its name; and a file that has its new name is no part of the journal any more. When nothing in
 * it is left it is recycled like any journal file that was sealed; when most is dead the rest is copied first
 * (log/merge.c). A batch is checked by its entry's header, which says what the order does, and by its own checksum,
 * which covers all but its first 21 bytes: base offset, length, leader epoch (0 or -1, as a flag in the order says;
 * else it is not adopted), magic and checksum. By offset, blocks are read, with theirs. Sets with such runs have format
 * 3, which earlier versions of kappa do not read.
 *
 * LOST. Records that had rotted in the journal before they were sealed (log/hole.h) are known for ever: for every range
 * of a partition's offsets in a hole there is a run of the extent 0xffffffff, which is no file. Its place is the hole's
 * first position, its `batches` the number of its positions, its sectors 1 when they may have been other partitions'
 * records; its bytes and its index are nothing. In the order the hole is one group of entries with KP_ORDER_LOST: the
 * first (more, if that is too many) has its positions and no run; then there is one for each run, which has no records
 * and the position behind the hole: who begins to read within it meets them, too. A run of which all was trimmed or
 * dropped is left out like any other. Such sets have format 4.
 *
 * THINNED. Compaction (log/compact.c) writes a set anew and takes records out of a topic's batches. A batch of which
 * some are left is rewritten: their offsets, its base offset and its last offset stay, so its count of records is less
 * than what it spans; `records` in the order is the span, as ever. Of a batch without records only the entry in the
 * order stays, as above. Offsets within a run may have gaps then. Such extents, and those merged from them, have
 * format 2: earlier versions of kappa, which take count and span for the same, do not read them.
 *
 * COPIES. What tells where batches lie is there twice in a mixed extent: where header, runs, an index or the state have
 * rotted, or the disk cannot read them, their copy is read. Extents of earlier versions have none.
 *
 * QUARANTINED. A mixed extent whose header or runs have rotted in both places is lost with its set: log/quarantine.h.
 *
 * MENDED. A rotten bit of a header, runs, a page of order, an index or a state would take many records away, so the
 * checksum is used to find it: of sections of up to 64 KiB, where what a single bit does to it is unlike what any other
 * does, and unlike most of what worse damage does. What is mended is checked as ever behind that, and the batches that
 * it leads to have checksums of their own. The file is left as it is: `kappa log verify` tells of it, and the next
 * merge writes the section right.
 */
#ifndef KP_LOG_EXTENT_H
#define KP_LOG_EXTENT_H

#include "base/buf.h"
#include "log/format.h"
#include "log/scan.h"
#include "log/tail.h"

enum {
    KP_EXTENT_FORMAT = 1,
    KP_EXTENT_FORMAT_THINNED = 2,
    KP_EXTENT_FORMAT_ADOPTED = 3, /* perhaps thinned, too */
    KP_EXTENT_FORMAT_LOST = 4,    /* perhaps both */
    KP_ORDER_MAGIC = 0x524f504b,  /* "KPOR" */
    KP_ORDER_PAGE_BYTES = 16384,
    KP_ORDER_PAGE_ENTRIES = 340,
    KP_EXTENT_INDEX_GAP_BYTES = 128 << 10
};
#define KP_ORDER_NO_RUN      UINT32_MAX
#define KP_EXTENT_MAGIC      "KAPPAEXT"
#define KP_EXTENT_SUFFIX     ".extent"
#define KP_EXTENT_NEW_SUFFIX ".extent.new"
#define KP_ADOPTED           ((uint64_t)1 << 31) /* plus the journal file's number: the adopted extent's */
#define KP_EXTENT_LOST       UINT32_MAX          /* in the place of the extent that a run lies in */

enum kp_extent_kind { KP_EXTENT_MIXED = 1, KP_EXTENT_OWN = 2, KP_EXTENT_ADOPTED = 3 };
enum kp_order_flags {
    KP_ORDER_GROUP_END = 1,
    KP_ORDER_GROUP_FIRST = 2,
    KP_ORDER_EPOCH_ZERO = 4, /* adopted: its leader epoch is 0, not -1 */
    KP_ORDER_LOST = 8
};

struct kp_extent_header {
    char magic[8];
    uint32_t format;
    uint32_t kind;
    uint64_t generation;
    uint64_t number;
    uint64_t file_bytes;
    int64_t created_us;
    int64_t position, position_end;
    int64_t log_time_us;
    uint64_t file_first, file_last;
    uint64_t sequence;
    uint32_t previous_crc;
    uint32_t runs;
    uint64_t data_bytes;
    uint64_t runs_at, order_at, index_at, state_at;
    uint32_t order_pages;
    uint32_t index_entries;
    uint32_t state_bytes;
    uint32_t runs_crc;
    uint32_t state_crc;
    uint32_t zero;
    uint64_t copies_at;
    uint32_t zeros[19];
    uint32_t crc;
};

struct kp_extent_run {
    uint32_t topic, partition;
    int64_t base_offset, end_offset;
    uint64_t place, bytes;
    int64_t max_timestamp_ms; /* up to its end: of all batches of the partition so far */
    uint32_t extent;
    uint32_t batches;
    uint32_t index_first, index_count, index_crc;
    uint32_t sectors; /* adopted: from its first block to behind its last; else 0 */
};

struct kp_order_entry {
    int64_t position;
    int64_t base_offset;
    uint64_t place;
    int64_t log_time_us;
    uint32_t bytes;
    uint32_t records;
    uint32_t run;
    uint32_t flags;
};

struct kp_order_page {
    uint32_t magic;
    uint32_t crc;
    uint32_t count;
    uint32_t zero;
    int64_t position;
    int64_t log_time_us;
    struct kp_order_entry entries[KP_ORDER_PAGE_ENTRIES];
    uint8_t zeros[KP_ORDER_PAGE_BYTES - 32 - KP_ORDER_PAGE_ENTRIES * 48];
};

struct kp_extent_index {
    int64_t base_offset;
    uint64_t place;
    int64_t max_timestamp_ms;
};

struct kp_extent_item {
    uint32_t bytes;
    uint32_t crc;
    int64_t position;
    int64_t log_time_us;
};

static_assert(sizeof(struct kp_extent_header) == 256, "extent header");
static_assert(offsetof(struct kp_extent_header, kind) == 12, "extent header");
static_assert(offsetof(struct kp_extent_header, number) == 24, "extent header");
static_assert(offsetof(struct kp_extent_header, position) == 48, "extent header");
static_assert(offsetof(struct kp_extent_header, log_time_us) == 64, "extent header");
static_assert(offsetof(struct kp_extent_header, file_first) == 72, "extent header");
static_assert(offsetof(struct kp_extent_header, sequence) == 88, "extent header");
static_assert(offsetof(struct kp_extent_header, runs) == 100, "extent header");
static_assert(offsetof(struct kp_extent_header, data_bytes) == 104, "extent header");
static_assert(offsetof(struct kp_extent_header, state_at) == 136, "extent header");
static_assert(offsetof(struct kp_extent_header, order_pages) == 144, "extent header");
static_assert(offsetof(struct kp_extent_header, runs_crc) == 156, "extent header");
static_assert(offsetof(struct kp_extent_header, copies_at) == 168, "extent header");
static_assert(offsetof(struct kp_extent_header, crc) == 252, "extent header");
static_assert(sizeof(struct kp_extent_run) == 72, "run");
static_assert(offsetof(struct kp_extent_run, base_offset) == 8, "run");
static_assert(offsetof(struct kp_extent_run, place) == 24, "run");
static_assert(offsetof(struct kp_extent_run, max_timestamp_ms) == 40, "run");
static_assert(offsetof(struct kp_extent_run, index_first) == 56, "run");
static_assert(offsetof(struct kp_extent_run, index_crc) == 64, "run");
static_assert(offsetof(struct kp_extent_run, sectors) == 68, "run");
static_assert(sizeof(struct kp_order_entry) == 48, "order entry");
static_assert(offsetof(struct kp_order_entry, log_time_us) == 24, "order entry");
static_assert(offsetof(struct kp_order_entry, run) == 40, "order entry");
static_assert(sizeof(struct kp_order_page) == KP_ORDER_PAGE_BYTES, "order page");
static_assert(offsetof(struct kp_order_page, entries) == 32, "order page");
static_assert(sizeof(struct kp_extent_index) == 24, "index entry");
static_assert(sizeof(struct kp_extent_item) == 24, "item");

/* Bytes of an item on disk. */
static inline uint64_t kp_extent_item_bytes(uint32_t batch_bytes)
{
    return (sizeof(struct kp_extent_item) + (uint64_t)batch_bytes + 7) & ~(uint64_t)7;
}
uint32_t kp_extent_header_crc(const struct kp_extent_header *header);
/* An item's CRC, over its header from `position` on and the batch behind it. */
uint32_t kp_extent_item_crc(const struct kp_extent_item *item, const void *batch);
char *kp_extent_path(const char *dir, uint64_t number, const char *suffix);
static inline bool kp_extent_adopted(uint64_t number)
{
    return number >= KP_ADOPTED && number != KP_EXTENT_LOST;
}
/* Is the run one of records that had rotted before they were sealed? */
static inline bool kp_extent_run_lost(const struct kp_extent_run *run)
{
    return run->extent == KP_EXTENT_LOST;
}
extern const char kp_extent_lost_wrong[]; /* what is wrong with them */
/* How an extent's number is shown: "extent 3", "extent 3 (adopted)". */
static inline uint64_t kp_extent_shown(uint64_t number)
{
    return kp_extent_adopted(number) ? number - KP_ADOPTED : number;
}
static inline const char *kp_extent_suffix(uint64_t number)
{
    return kp_extent_adopted(number) ? " (adopted)" : "";
}
/* Bytes before a run's batches where the order says that they lie. */
static inline size_t kp_extent_head_bytes(const struct kp_extent_run *run)
{
    return kp_extent_adopted(run->extent) ? sizeof(struct kp_entry_header) : sizeof(struct kp_extent_item);
}
/* Behind the last byte of the run in its file. */
static inline uint64_t kp_extent_run_end(const struct kp_extent_run *run)
{
    return run->place + (kp_extent_adopted(run->extent) ? (uint64_t)run->sectors * KP_SECTOR_BYTES : run->bytes);
}

/* A set as it is known in memory: its mixed extent's header and runs. Immutable but for its links. */
struct kp_extent_set {
    struct kp_extent_header header;
    struct kp_extent_run *runs;
    const char *rotten; /* not NULL: what is wrong with its mixed extent, of which nothing is read (log/quarantine.c) */
};

/* Reads and checks a mixed or own extent's header. KP_UNSUPPORTED for an unknown format, KP_CORRUPT for damage. exact,
 * here and below: a rotten bit is damage; else a single one is turned back (MENDED). */
KP_MUST enum kp_code kp_extent_header_read(struct kp_os *os, const char *dir, uint64_t number, bool exact,
                                           struct kp_extent_header *ret_header, struct kp_error *err);
void kp_extent_set_free(struct kp_extent_set *set); /* NULL is fine */
/* What the copies of runs, index and state take. */
uint64_t kp_extent_copies_bytes(const struct kp_extent_header *header);
/* The first run of the partition that ends behind offset; NULL if there is none. */
const struct kp_extent_run *kp_extent_run_find(const struct kp_extent_set *set, uint32_t topic, uint32_t partition,
                                               int64_t offset);

/* ---- reading ---- */

/* An open extent, one thread. */
struct kp_extent_file {
    struct kp_os *os;
    const char *dir; /* borrowed */
    uint64_t number; /* 0: none is open */
    bool direct;
    bool exact; /* what is checked is not mended */
    struct kp_file *file;
    /* Told of each section that had rotted and was mended, or read elsewhere, whenever it is read; wrong is static.
     * NULL: nobody. */
    void (*mended)(void *arg, uint64_t number, uint64_t place, const char *wrong);
    void *arg;
};

void kp_extent_file_init(struct kp_extent_file *file, struct kp_os *os, const char *dir, bool direct);
void kp_extent_file_finish(struct kp_extent_file *file);
/* Reads len bytes at place of extent `number`; all of them, or KP_CORRUPT. With direct: all three in whole sectors. */
KP_MUST enum kp_code kp_extent_file_read(struct kp_extent_file *file, uint64_t number, void *bytes, uint64_t place,
                                         size_t len, struct kp_error *err);
/* Loads the set of a mixed extent: header and runs. */
KP_MUST enum kp_code kp_extent_set_load(struct kp_extent_file *file, uint64_t number, struct kp_extent_set **ret_set,
                                        struct kp_error *err);
/* The state section of a mixed extent, checked; to finish. */
KP_MUST enum kp_code kp_extent_state_read(struct kp_extent_file *file, const struct kp_extent_header *header,
                                          struct kp_buf *ret_state, struct kp_error *err);
/* Reads and checks page `page` of the set's order. */
KP_MUST enum kp_code kp_order_page_read(struct kp_extent_file *file, const struct kp_extent_set *set, uint32_t page,
                                        struct kp_order_page *ret_page, struct kp_error *err);
/* The last page that begins at or before position (or, by_time, the last that begins before log time `at`); page 0 if
 * all are behind. The set must have pages. It may be one before those that have rotted. */
KP_MUST enum kp_code kp_order_page_find(struct kp_extent_file *file, const struct kp_extent_set *set, int64_t at,
                                        bool by_time, uint32_t *ret_page, struct kp_error *err);
/* Are the copies what they should be? KP_CORRUPT says which is not. */
KP_MUST enum kp_code kp_extent_copies_check(struct kp_extent_file *file, const struct kp_extent_set *set,
                                            struct kp_error *err);
/* The run's index, checked; `count` entries, to kp_free. */
KP_MUST enum kp_code kp_extent_index_read(struct kp_extent_file *file, const struct kp_extent_set *set,
                                          const struct kp_extent_run *run, struct kp_extent_index **ret_index,
                                          struct kp_error *err);
/* Why the bytes are not a whole item with a batch of that size, or NULL. */
const char *kp_extent_item_wrong(const struct kp_extent_item *item, size_t have);
/* Why the bytes at the place of the run's entry are not what lies before its batch, and the batch, as the order has it;
 * or NULL. have: kp_extent_head_bytes and the batch's. */
const char *kp_extent_entry_wrong(const struct kp_extent_run *run, const struct kp_order_entry *entry,
                                  const void *bytes, size_t have);
/* Can the batch be checked where an adopted file has it? Its first bytes; *ret_flags: for the order. */
bool kp_extent_adoptable(const uint8_t *batch, uint32_t bytes, uint32_t *ret_flags);

#endif
