/*
 * One chunk of one column: made of vectors, read back into vectors. The bytes are drawn in log/column_format.h.
 */
#ifndef KP_LOG_COLUMN_CHUNK_H
#define KP_LOG_COLUMN_CHUNK_H

#include "base/hash.h"
#include "log/column_format.h"
#include "vec/vec.h"

/* How a type's values are kept; NONE: they are not, and are decoded each time. */
enum kp_column_physical kp_column_physical(enum kp_type_id type);
static inline bool kp_physical_is_integer(enum kp_column_physical physical)
{
    return physical >= KP_PHYSICAL_I8 && physical <= KP_PHYSICAL_I64;
}
uint32_t kp_physical_bytes(enum kp_column_physical physical); /* of a value in memory */

/* ---- making one ---- */

/* Values on their way to a chunk. Zero-initialized but for `physical` is valid and empty. */
struct kp_column_builder {
    enum kp_column_physical physical;
    uint32_t rows, nulls;
    struct kp_buf values; /* as in memory; of strings: codes, 4 bytes each */
    uint64_t *valid;      /* bit a row once there is a NULL */
    uint32_t valid_cap;
    bool digits; /* a decimal did not fit: all are strings */
    bool listed; /* hardly a string comes twice: they are no longer looked up */
    /* distinct strings, in order of their coming */
    struct kp_buf heap;
    struct kp_buf offsets; /* uint32: where each begins */
    uint32_t distinct;
    uint32_t *table; /* hash to code + 1, open addressing */
    uint32_t table_mask;
};
void kp_column_builder_finish(struct kp_column_builder *builder);
/* Forgets the rows. */
void kp_column_builder_reset(struct kp_column_builder *builder);
/* Copies the rows of a vector of this physical type. */
void kp_column_builder_add(struct kp_column_builder *builder, const struct kp_vec *vec, uint32_t rows);
uint64_t kp_column_builder_bytes(const struct kp_column_builder *builder);
/* Appends header and payload of the chunk of these rows to out. False if they are too many for one. */
bool kp_column_builder_encode(struct kp_column_builder *builder, int64_t begin, int64_t end, struct kp_buf *out);

/* ---- reading one ---- */

/* A chunk in memory, checked; borrows its bytes. */
struct kp_column_chunk {
    const struct kp_column_chunk_header *header;
    const uint8_t *payload;
    struct kp_text *texts; /* of a dictionary of strings; owned */
};
/* Magic, sizes and CRC of a chunk's header alone; NULL: it is right, else what is wrong. */
const char *kp_column_header_wrong(const struct kp_column_chunk_header *header);
/* Bytes of the whole chunk. */
static inline uint64_t kp_column_chunk_bytes(const struct kp_column_chunk_header *header)
{
    return sizeof *header + header->bloom_bytes + header->payload_bytes;
}
/* Checks the chunk at bytes (aligned to 8), which must be of this physical type. KP_CORRUPT: what is wrong. */
KP_MUST enum kp_code kp_column_chunk_open(const uint8_t *bytes, size_t len, enum kp_column_physical physical,
                                          struct kp_column_chunk *ret_chunk, struct kp_error *err);
void kp_column_chunk_close(struct kp_column_chunk *chunk);
/* Memory beside the bytes. */
size_t kp_column_chunk_extra_bytes(const struct kp_column_chunk *chunk);
/* Rows first … first + rows - 1 as a vector; strings point into the chunk, the rest lies in arena. */
void kp_column_chunk_slice(const struct kp_column_chunk *chunk, struct kp_type type, uint32_t first, uint32_t rows,
                           struct kp_arena *arena, struct kp_vec *ret_vec);

/* ---- Bloom filters (column_bloom.c) ---- */

/* Appends the filter of a builder's values, if it is worth its room; header has their bounds already. */
void kp_column_bloom_make(const struct kp_column_builder *builder, const struct kp_column_chunk_header *header,
                          struct kp_buf *out);
/* False: no value of this hash is there. */
bool kp_column_bloom_may_hold(const uint8_t *bloom, uint32_t bytes, uint64_t hash);
static inline uint64_t kp_column_bloom_hash_integer(int64_t value)
{
    return kp_hash_u64((uint64_t)value);
}
static inline uint64_t kp_column_bloom_hash_text(struct kp_str text)
{
    return kp_hash_bytes(text.ptr, text.len);
}

/* ---- for both ---- */

/* A distinct string of a builder. */
struct kp_str kp_column_builder_distinct(const struct kp_column_builder *builder, uint32_t code);
/* The integers of all rows; whatever lies under a NULL. */
void kp_column_builder_integers(const struct kp_column_builder *builder, int64_t *restrict out);

/* Fills in header's sizes, CRCs and appends header, filter and payload, padded, to out. */
void kp_column_chunk_seal(struct kp_column_chunk_header *header, const struct kp_buf *bloom, struct kp_buf *payload,
                          struct kp_buf *out);

#endif
