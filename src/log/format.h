/*
 * The journal's bytes: what is on disk, when it is valid, how it is recovered. All integers are little-endian.
 *
 * A log is a folder:
 *
 *     lock                  flock'ed by the process that has the log open for writing; holds its pid in decimal;
 *                           the folder itself is, too, since a file can be removed and made again
 *     00000003.journal      the journal's files, numbered from 1 without gaps; those that were sealed are gone
 *     00000004.journal      …
 *     00000005.journal.new  a file being prepared: removed at the next start
 *     00000001.extent       what was sealed (log/extent.h)
 *     00000002.adopted      a sealed journal file that became an extent as it is
 *     snapshot              a cache: what recovery would make of the journal up to a place (log/snapshot.h)
 *     reserve               never written: room for what frees room (log/reserve.h)
 *
 * A file is made under its .new name, given its full size, its header written, synced, renamed, and the folder synced;
 * only then is it used. It never changes its size. A file that was sealed is RECYCLED as one of the next: renamed to
 * the new number's .new, the folder synced, the new header written, synced, renamed, the folder synced. (One that was
 * ADOPTED, log/extent.h, later, when it does not count as an extent any more.) So a file is
 * always what its name says, and the blocks that it still holds are another file number's: STALE. Its first sector is
 * the file's header (struct kp_file_header), then blocks follow, each beginning at a multiple of 4096 bytes. What lies
 * behind the last block is zeros or unwritten.
 *
 *     file   | header 4096 | block | block        | block | zeros …                      |
 *     block  | header 128 | entry | entry | entry … | zeros up to a multiple of 4096     |
 *     entry  | header 32  | payload (a record batch, or a topic's name) | zeros up to a multiple of 8 |
 *
 *   file header                            block header                              entry header
 *    0  8  magic "KAPPAJNL"                 0  4  magic "KPBK"                        0  4  bytes, header and padding
 *    8  4  format = 1                       4  2  format = 1                          4  1  kind (enum kp_entry_kind)
 *   12  4  4096: bytes of this header       6  2  flags (enum kp_block_flags)         5  1  flags (enum kp_entry_flags)
 *   16  8  generation                       8  8  generation: the log's, random       6  2  zero
 *   24  8  file number                     16  8  sequence: 1 for the log's first     8  4  topic
 *   32  8  bytes of the file               24  8  file number                        12  4  partition
 *   40  8  created: µs since 1970          32  8  offset in the file                 16  8  base offset
 *   48 12  zero                            40  8  position of its first record       24  4  records
 *   60  4  CRC-32C of bytes 0 to 59        48  8  log time: µs since 1970            28  4  payload bytes
 *                                          56  4  payload bytes: all its entries
 *                                          60  4  entries
 *                                          64  4  records
 *                                          68  4  CRC-32C of its entries
 *                                          72  4  previous block's header CRC
 *                                          76  4  zero
 *                                          80  8  durable sequence: synced before this was written
 *                                          88  8  durable position: likewise
 *                                          96 28  zero
 *                                         124  4  CRC-32C of bytes 0 to 123
 *
 * An entry's batch carries its base offset too, big-endian, in its own first 8 bytes (log/record_batch.h).
 * Kinds: a record batch; a topic made (payload: its name, `partition` holds the count of partitions, `base offset`
 * the time in µs; it is written twice, in two blocks one behind the other, so that one that rots takes no topic with
 * it: the second of two that are equal says nothing); a topic dropped (no payload; where that has rotted, the next one
 * of its name says it; of one that is not known it says nothing); a partition trimmed (`base offset`:
 * its records before it are gone for readers, for ever; no payload); files sealed (payload: struct kp_sealed_head, and
 * a struct kp_sealed_extent for every extent that counts from then on); a partition that goes on further (`base
 * offset`: of its next record; what it had is gone for readers, and it never had what lies between; no payload; written
 * twice, as what makes a topic is).
 *
 * GROUPS. One append is one atomic group. The last entry of a group has KP_ENTRY_GROUP_END. A group that does not fit
 * into what is left of a block begins a new one, and when it is larger than a block, every block but its last has
 * KP_BLOCK_CONTINUES. So a group begins at a block's start or lies within one block, and cutting an unfinished group
 * is cutting whole blocks. All blocks of a group lie in one file, which is made as large as it takes: so a full disk is
 * met before a group's first block. A group's entry is never split: a block with a large batch is as large as it.
 *
 *   sealed head                                        sealed extent
 *    0  8  first journal file that still counts         0  8  number (log/extent.h: of an adopted file, too)
 *    8  8  sequence of the last block before it         8  8  bytes of the file
 *   16  4  CRC of that block's header                  16  4  kind (log/extent.h)
 *   20  4  extents                                     20  4  CRC of its header
 *   24  8  position behind what is sealed
 *   32  8  log time of that block
 *   40 32  bytes so far: of the record batches sealed, of journal for them, of extents, of merges
 *
 * VERSIONS. A later version of kappa that writes other bytes gives them another format, in the file's header or in the
 * block's. Neither is read, cut or written over by this one: opening such a log is KP_UNSUPPORTED. An entry of an
 * unknown kind likewise. Files of every format that was released are kept and opened by a test (tests/kept).
 *
 * VALID. A block is the log's next one iff its magic, format and header CRC are right; generation, file number and
 * offset are those of the place it lies in; its sequence is the previous one plus 1 and `previous` is the previous
 * block's header CRC (0 for the first); sizes fit; and its payload's CRC is right. The next block lies right behind
 * it, or, when that one did not fit into the rest of the file, at 4096 in the next file.
 *
 * BEGINNING. The journal files that are there, but for some leftovers, end with a row of numbers without a gap. If it
 * begins with file 1, that is where the log begins. Else the extent whose last sealed file is the one before it (or,
 * when some of its sealed files are still there, the last of them) says what follows: sequence, position, state. The
 * newest KP_ENTRY_SEALED, which is always behind that place, says which extents and files count; others are removed.
 *
 * RECOVERY walks the chain, from the beginning or from a snapshot's place, to the first place where there is no valid
 * next block. What is there is told apart:
 *   - a block beyond it, anywhere in this file or at the start of a later one, is valid by its header and says that the
 *     missing sequence is durable (`durable sequence`): the missing block was acknowledged and is ROTTEN. It stays
 *     as it is, a hole (log/hole.h): recovery goes on behind it, readers of what it held get an error. A snapshot
 *     (log/snapshot.h) that goes further than the chain says the same. Only without a witness, when everything behind
 *     its commit has rotted too, or is not there yet, and there is no snapshot, can it not be told from the next. A
 *     block that lies in its place and is not it goes with the hole.
 *   - otherwise it was being written when the power went: TORN, or never there. Nobody was told that it was durable.
 *   - blocks of the chain that belong to a group without its last block are cut too: their group was not acknowledged.
 * Cutting zeroes the header sectors of all blocks found beyond the end, the last one first and each synced, so that no
 * later recovery takes a STALE block for a sign of damage. Then the file is synced: blocks that were read may not
 * have been durable yet. A closed log ends with an empty block (KP_BLOCK_CLOSED), whose durable sequence vouches for
 * everything before it.
 */
#ifndef KP_LOG_FORMAT_H
#define KP_LOG_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "os/os.h"

enum {
    KP_JOURNAL_FORMAT = 1,
    KP_BLOCK_MAGIC = 0x4b42504b, /* "KPBK" */
    KP_ENTRY_ALIGN = 8,
    /* the largest block: one entry with the largest batch */
    KP_BLOCK_BYTES_LIMIT = KP_RECORD_BATCH_BYTES_MAX + KP_SECTOR_BYTES,
    /* one sync makes so much durable at most, or one larger block: recovery looks as far behind a gap */
    KP_COMMIT_BYTES_MAX = 8 << 20
};
#define KP_JOURNAL_MAGIC "KAPPAJNL"
/* Of blocks, of records: in centuries nobody has so many, and sums do not overflow. */
#define KP_JOURNAL_COUNT_MAX ((uint64_t)1 << 56)

enum kp_block_flags {
    KP_BLOCK_CONTINUES = 1, /* its last group goes on in the next block */
    KP_BLOCK_CONTINUED = 2, /* it goes on with the previous block's group */
    KP_BLOCK_UNSYNCED = 4,  /* written by a log opened with unsafe_no_sync */
    KP_BLOCK_CLOSED = 8     /* no entries: the log was closed behind it */
};

enum kp_entry_kind {
    KP_ENTRY_BATCH = 1,
    KP_ENTRY_TOPIC_CREATE = 2,
    KP_ENTRY_TOPIC_DROP = 3,
    KP_ENTRY_TRIM = 4,
    KP_ENTRY_SEALED = 5,
    KP_ENTRY_SKIP = 6
};

enum kp_entry_flags { KP_ENTRY_GROUP_END = 1 };

struct kp_file_header {
    char magic[8];
    uint32_t format;
    uint32_t header_bytes;
    uint64_t generation;
    uint64_t file_number;
    uint64_t file_bytes;
    int64_t created_us;
    uint32_t zero[3];
    uint32_t crc;
};

struct kp_block_header {
    uint32_t magic;
    uint16_t format;
    uint16_t flags;
    uint64_t generation;
    uint64_t sequence;
    uint64_t file_number;
    uint64_t file_offset;
    int64_t position;
    int64_t log_time_us;
    uint32_t payload_bytes;
    uint32_t entries;
    uint32_t records;
    uint32_t payload_crc;
    uint32_t previous_crc;
    uint32_t zero;
    uint64_t durable_sequence;
    int64_t durable_position;
    uint32_t zeros[7];
    uint32_t header_crc;
};

/* The payload of KP_ENTRY_SEALED: a head, then its extents. */
struct kp_sealed_head {
    uint64_t file_next;    /* the first journal file that still counts */
    uint64_t sequence;     /* of the last block before it */
    uint32_t previous_crc; /* of that block's header */
    uint32_t extents;
    int64_t position; /* behind its last record */
    int64_t log_time_us;
    uint64_t batch_bytes, journal_bytes, extent_bytes, merge_bytes; /* sealed and written so far: the amplification */
};
struct kp_sealed_extent {
    uint64_t number;
    uint64_t bytes;
    uint32_t kind;
    uint32_t header_crc;
};

struct kp_entry_header {
    uint32_t bytes;
    uint8_t kind;
    uint8_t flags;
    uint16_t zero;
    uint32_t topic;
    uint32_t partition;
    int64_t base_offset;
    uint32_t records;
    uint32_t payload_bytes;
};

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the journal is little-endian");
static_assert(sizeof(struct kp_file_header) == 64, "file header");
static_assert(offsetof(struct kp_file_header, format) == 8, "file header");
static_assert(offsetof(struct kp_file_header, header_bytes) == 12, "file header");
static_assert(offsetof(struct kp_file_header, generation) == 16, "file header");
static_assert(offsetof(struct kp_file_header, file_number) == 24, "file header");
static_assert(offsetof(struct kp_file_header, file_bytes) == 32, "file header");
static_assert(offsetof(struct kp_file_header, created_us) == 40, "file header");
static_assert(offsetof(struct kp_file_header, crc) == 60, "file header");
static_assert(sizeof(struct kp_block_header) == 128, "block header");
static_assert(offsetof(struct kp_block_header, format) == 4, "block header");
static_assert(offsetof(struct kp_block_header, flags) == 6, "block header");
static_assert(offsetof(struct kp_block_header, generation) == 8, "block header");
static_assert(offsetof(struct kp_block_header, sequence) == 16, "block header");
static_assert(offsetof(struct kp_block_header, file_number) == 24, "block header");
static_assert(offsetof(struct kp_block_header, file_offset) == 32, "block header");
static_assert(offsetof(struct kp_block_header, position) == 40, "block header");
static_assert(offsetof(struct kp_block_header, log_time_us) == 48, "block header");
static_assert(offsetof(struct kp_block_header, payload_bytes) == 56, "block header");
static_assert(offsetof(struct kp_block_header, entries) == 60, "block header");
static_assert(offsetof(struct kp_block_header, records) == 64, "block header");
static_assert(offsetof(struct kp_block_header, payload_crc) == 68, "block header");
static_assert(offsetof(struct kp_block_header, previous_crc) == 72, "block header");
static_assert(offsetof(struct kp_block_header, durable_sequence) == 80, "block header");
static_assert(offsetof(struct kp_block_header, durable_position) == 88, "block header");
static_assert(offsetof(struct kp_block_header, header_crc) == 124, "block header");
static_assert(sizeof(struct kp_sealed_head) == 72, "sealed");
static_assert(offsetof(struct kp_sealed_head, position) == 24, "sealed");
static_assert(offsetof(struct kp_sealed_head, batch_bytes) == 40, "sealed");
static_assert(sizeof(struct kp_sealed_extent) == 24, "sealed");
static_assert(sizeof(struct kp_entry_header) == 32, "entry header");
static_assert(offsetof(struct kp_entry_header, kind) == 4, "entry header");
static_assert(offsetof(struct kp_entry_header, flags) == 5, "entry header");
static_assert(offsetof(struct kp_entry_header, topic) == 8, "entry header");
static_assert(offsetof(struct kp_entry_header, partition) == 12, "entry header");
static_assert(offsetof(struct kp_entry_header, base_offset) == 16, "entry header");
static_assert(offsetof(struct kp_entry_header, records) == 24, "entry header");
static_assert(offsetof(struct kp_entry_header, payload_bytes) == 28, "entry header");
static_assert(KP_BLOCK_BYTES_LIMIT % KP_SECTOR_BYTES == 0, "blocks are whole sectors");

static inline uint64_t kp_sector_ceil(uint64_t bytes)
{
    return (bytes + KP_SECTOR_BYTES - 1) & ~(uint64_t)(KP_SECTOR_BYTES - 1);
}
/* Bytes of a block on disk. */
static inline uint64_t kp_block_bytes(const struct kp_block_header *header)
{
    return kp_sector_ceil(sizeof *header + (uint64_t)header->payload_bytes);
}
static inline uint32_t kp_entry_bytes(uint32_t payload_bytes)
{
    return ((uint32_t)sizeof(struct kp_entry_header) + payload_bytes + KP_ENTRY_ALIGN - 1) &
           ~(uint32_t)(KP_ENTRY_ALIGN - 1);
}

/* Seals and checks headers: the CRCs are last in both. */
uint32_t kp_file_header_crc(const struct kp_file_header *header);
uint32_t kp_block_header_crc(const struct kp_block_header *header);

/* Why the bytes at a place are not a usable block header there, or NULL. Of a later version's block, whose checksum,
 * log and place are right: kp_block_format_unknown. */
extern const char kp_block_format_unknown[];
const char *kp_block_header_wrong(const struct kp_block_header *header, uint64_t generation, uint64_t file_number,
                                  uint64_t file_offset, uint64_t file_bytes);

/* Walks the entries of a block whose payload CRC was right. False at the end, or with *ret_wrong set when malformed. */
struct kp_entry_walk {
    const uint8_t *at, *end;
    uint32_t left;
};
struct kp_entry_walk kp_entry_walk_start(const struct kp_block_header *header);
bool kp_entry_walk_next(struct kp_entry_walk *walk, const struct kp_entry_header **ret_entry, const char **ret_wrong);

#endif
