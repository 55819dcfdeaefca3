/*
 * History columns on disk: values decoded once from a topic's records, so that replay need not decode them again. They
 * are caches: what is missing, damaged or of another version is decoded again from the log, which alone is truth. So
 * nothing here is synced; what a crash tears fails its checksum. All integers are little-endian.
 *
 *     columns/                                          a folder beside the journal
 *         12-0123456789abcdef-rows.1.columns            topic 12, a set, its rows, the first file
 *         12-0123456789abcdef-3.1.columns               the same set's column 3 of the declaration
 *
 * A *set* is what one declaration of a source or table makes of a topic: its name is a hash of all that decides which
 * records make rows and what their values are, and of the decoder's version. A *chunk* holds the rows of a range of
 * positions [begin, end), cut between groups of records, about 65,536 rows. Ranges of a set do not overlap; they may
 * leave gaps. The rows file says which records of a range made rows; a column's chunk has their values, and belongs to
 * the rows' chunk of the same range and count. A file is appended to until it is large, then the next one is begun; a
 * later chunk of the same range replaces an earlier one.
 *
 *     file   | header 256 | chunk | chunk | …
 *     chunk  | header 256 | Bloom filter | payload, padded to a multiple of 64 |
 *
 *   file header                                    chunk header
 *    0  8  magic "KAPPACOL"                         0  4  magic "KPCH"
 *    8  4  format = 1                               4  2  format = 1
 *   12  4  256: bytes of this header                6  1  encoding (enum kp_column_encoding)
 *   16  8  generation of the log                    7  1  physical (enum kp_column_physical)
 *   24  4  topic                                    8  8  begin: position
 *   28  4  column, 0xffffffff: the rows            16  8  end: position
 *   32 16  set                                     24  4  rows
 *   48  4  file number, from 1                     28  4  of these NULL
 *   52  4  version of the decoder                  32  8  payload bytes, padding included
 *   56  8  zero                                    40  4  CRC-32C of the payload
 *   64 64  the field's name, zeros behind          44  4  Bloom filter's bytes: 0 or a power of two, 64 at least
 *  128 64  its type's name, zeros behind           48  4  CRC-32C of the Bloom filter
 *  192 60  zero                                    52  4  width: bits of a code
 *  252  4  CRC-32C of bytes 0 to 251               56  8  base
 *                                                  64  8  factor
 *                                                  72  4  entries of the dictionary; of a rows' chunk: batches
 *                                                  76  4  of a rows' chunk: dead letters
 *                                                  80  4  where in the payload NULLs are, 0xffffffff: none
 *                                                  84  4  where codes are
 *                                                  88  4  where the dictionary, or offsets, are
 *                                                  92  4  where the heap is
 *                                                  96  4  bytes of the heap
 *                                                 100  4  width of the dictionary's offsets
 *                                                 104  2  scale of all values (numeric)
 *                                                 106  1  flags: 1 least is known, 2 largest is known
 *                                                 107  1  bytes of least; 108  1  of largest; 109  3  zero
 *                                                 112 32  least value
 *                                                 144 32  largest value
 *                                                 176  4  records, of a rows' chunk
 *                                                 180 72  zero
 *                                                 252  4  CRC-32C of bytes 0 to 251
 *
 * CODES are packed, width bits each (0 to 64), the first in the lowest bits of the first byte; sixteen readable bytes
 * follow them, and the heap. So code i is read without those before it. NULLs are a bitmap, bit set = not NULL; a
 * NULL's code is 0.
 *
 *   PLAIN     codes are absent; the values' bytes lie there as they are in memory (floats, intervals, uuids, decimals
 *             of mixed scales)
 *   FRAME     value = base + code × factor (integers, times, decimals of one scale)
 *   DICTIONARY  code i is a place among the distinct values: fixed ones lie there one behind the other, strings as
 *             entries + 1 packed offsets into the heap
 *   STRINGS   rows + 1 packed offsets into the heap; no codes
 *   DIGITS    like STRINGS; the heap has decimals as text: for those that do not fit 64 bits
 *   ROW_MAP   of the rows file: row i is the record at position begin + i + code i. NULLs are tombstones there, bit
 *             set = deletes. The dictionary is the record batches of the range in order; the heap has the dead letters
 *   CUT       of the rows file, without rows: every chunk before it in the file that begins before `end` is forgotten;
 *             the records were taken away
 *
 *   record batch, in a ROW_MAP's dictionary        dead letter, in its heap
 *    0  4  partition                                0  8  position
 *    4  4  records                                  8  8  offset
 *    8  8  base offset                             16  4  partition
 *   16  8  position                                20  5  SQLSTATE
 *   24  8  log time: µs since 1970                 25  3  zero
 *                                                  28  4  bytes of the reason
 *                                                  32  4  bytes of the key, 0xffffffff: NULL
 *                                                  36  4  bytes of the value, likewise
 *                                                  40  8  zero
 *                                                  48     reason, key, value
 *
 * Least and largest are of the values that are not NULL: integers in 8 bytes; strings as their first 32 bytes, largest
 * only if it is no longer than that. The Bloom filter answers whether a value may be there: log/column_bloom.c.
 *
 * VALID: magic, format and CRC of the header, sizes within the file, CRC of the payload when it is loaded, and every
 * offset and code within its bounds, so that no reader needs to check again. A file is walked by its chunks' headers;
 * what lies behind the last valid one is written over. Deleting any file at any time while nobody has the log open is
 * harmless.
 */
#ifndef KP_LOG_COLUMN_FORMAT_H
#define KP_LOG_COLUMN_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KP_COLUMN_FORMAT = 1,
    KP_COLUMN_CHUNK_MAGIC = 0x4843504b, /* "KPCH" */
    KP_COLUMN_ALIGN = 64,
    KP_COLUMN_BOUND_BYTES = 32,
    KP_COLUMN_ROWS_MAX = 1 << 24, /* of a chunk: about 65,536 but for a group of many more records */
    KP_COLUMN_PAD_BYTES = 16      /* readable behind codes and heaps */
};
#define KP_COLUMN_MAGIC "KAPPACOL"
#define KP_COLUMN_ROWS  UINT32_MAX /* in the place of a column's number: the set's rows */
#define KP_COLUMN_NONE  UINT32_MAX /* in the place of an offset */

enum kp_column_encoding {
    KP_COLUMN_PLAIN = 1,
    KP_COLUMN_FRAME,
    KP_COLUMN_DICTIONARY,
    KP_COLUMN_STRINGS,
    KP_COLUMN_DIGITS,
    KP_COLUMN_ROW_MAP,
    KP_COLUMN_CUT
};

/* How a value lies in memory; the type's number may change from release to release, this does not. */
enum kp_column_physical {
    KP_PHYSICAL_NONE, /* cannot be kept */
    KP_PHYSICAL_I8,
    KP_PHYSICAL_I16,
    KP_PHYSICAL_I32,
    KP_PHYSICAL_I64,
    KP_PHYSICAL_F32,
    KP_PHYSICAL_F64,
    KP_PHYSICAL_FIXED16,
    KP_PHYSICAL_NUMERIC,
    KP_PHYSICAL_STRING
};

enum kp_column_flags { KP_COLUMN_HAS_LEAST = 1, KP_COLUMN_HAS_LARGEST = 2 };

struct kp_column_file_header {
    char magic[8];
    uint32_t format;
    uint32_t header_bytes;
    uint64_t generation;
    uint32_t topic;
    uint32_t column;
    uint64_t set[2];
    uint32_t file_number;
    uint32_t decoder_version;
    uint32_t zero[2];
    char field[64];
    char type[64];
    uint8_t zeros[60];
    uint32_t crc;
};

struct kp_column_chunk_header {
    uint32_t magic;
    uint16_t format;
    uint8_t encoding;
    uint8_t physical;
    int64_t begin;
    int64_t end;
    uint32_t rows;
    uint32_t nulls;
    uint64_t payload_bytes;
    uint32_t payload_crc;
    uint32_t bloom_bytes;
    uint32_t bloom_crc;
    uint32_t width;
    int64_t base;
    uint64_t factor;
    uint32_t entries;
    uint32_t dead;
    uint32_t valid_at;
    uint32_t codes_at;
    uint32_t offsets_at;
    uint32_t heap_at;
    uint32_t heap_bytes;
    uint32_t offset_width;
    uint16_t scale;
    uint8_t flags;
    uint8_t least_bytes;
    uint8_t largest_bytes;
    uint8_t zero[3];
    uint8_t least[KP_COLUMN_BOUND_BYTES];
    uint8_t largest[KP_COLUMN_BOUND_BYTES];
    uint32_t records;
    uint8_t zeros[72];
    uint32_t crc;
};

static_assert(sizeof(struct kp_column_file_header) == 256, "drawn above");
static_assert(offsetof(struct kp_column_file_header, generation) == 16, "drawn above");
static_assert(offsetof(struct kp_column_file_header, topic) == 24, "drawn above");
static_assert(offsetof(struct kp_column_file_header, column) == 28, "drawn above");
static_assert(offsetof(struct kp_column_file_header, set) == 32, "drawn above");
static_assert(offsetof(struct kp_column_file_header, file_number) == 48, "drawn above");
static_assert(offsetof(struct kp_column_file_header, field) == 64, "drawn above");
static_assert(offsetof(struct kp_column_file_header, type) == 128, "drawn above");
static_assert(offsetof(struct kp_column_file_header, crc) == 252, "drawn above");
static_assert(sizeof(struct kp_column_chunk_header) == 256, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, encoding) == 6, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, begin) == 8, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, rows) == 24, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, payload_bytes) == 32, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, payload_crc) == 40, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, bloom_bytes) == 44, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, bloom_crc) == 48, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, width) == 52, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, base) == 56, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, factor) == 64, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, entries) == 72, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, dead) == 76, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, valid_at) == 80, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, offset_width) == 100, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, scale) == 104, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, flags) == 106, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, least) == 112, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, largest) == 144, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, records) == 176, "drawn above");
static_assert(offsetof(struct kp_column_chunk_header, crc) == 252, "drawn above");

#endif
