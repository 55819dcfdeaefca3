/*
 * The rows of a range of positions as one declaration sees them: which records made rows, from which record batches,
 * which deleted, and which could not be decoded. The bytes are drawn in log/column_format.h.
 */
#ifndef KP_LOG_COLUMN_ROWS_H
#define KP_LOG_COLUMN_ROWS_H

#include "log/column_chunk.h"

enum {
    KP_COLUMN_SAMPLE_BYTES = 4096,     /* of a dead letter's key and value that are kept */
    KP_COLUMN_DEAD_BYTES_MAX = 4 << 20 /* of all dead letters of a chunk; a worse range is decoded each time */
};

/* A record batch of the topic. */
struct kp_column_batch {
    uint32_t partition, records;
    int64_t base_offset, position, log_time_us;
};

/* A record that could not be decoded; strings borrowed, ptr NULL: null. */
struct kp_column_dead {
    int64_t position, offset;
    uint32_t partition;
    char sqlstate[6];
    struct kp_str reason, key, value;
};

/* Zero-initialized is valid and empty. */
struct kp_rows_builder {
    uint32_t rows, records, dead;
    bool any_tombstone, too_much; /* too_much: cannot be kept */
    struct kp_buf positions, tombstones, batches, letters;
};
void kp_rows_builder_finish(struct kp_rows_builder *builder);
void kp_rows_builder_reset(struct kp_rows_builder *builder);
void kp_rows_builder_add_batch(struct kp_rows_builder *builder, const struct kp_column_batch *batch);
/* tombstones NULL: none. */
void kp_rows_builder_add(struct kp_rows_builder *builder, const int64_t *positions, const uint8_t *tombstones,
                         uint32_t rows);
void kp_rows_builder_add_dead(struct kp_rows_builder *builder, const struct kp_column_dead *dead);
/* As kp_column_builder_encode. */
bool kp_rows_builder_encode(struct kp_rows_builder *builder, int64_t begin, int64_t end, struct kp_buf *out);

/* In memory, checked; borrows its bytes. */
struct kp_rows_chunk {
    const struct kp_column_chunk_header *header;
    const uint8_t *payload;
    const struct kp_column_batch *batches; /* header->entries, in order */
    struct kp_column_dead *dead;           /* header->dead, in order; owned */
};
KP_MUST enum kp_code kp_rows_chunk_open(const uint8_t *bytes, size_t len, struct kp_rows_chunk *ret_chunk,
                                        struct kp_error *err);
void kp_rows_chunk_close(struct kp_rows_chunk *chunk);
size_t kp_rows_chunk_extra_bytes(const struct kp_rows_chunk *chunk);
/* The first row at or behind a position; header->rows if there is none. */
uint32_t kp_rows_chunk_find(const struct kp_rows_chunk *chunk, int64_t position);
/* Positions of rows first …; in arena. */
int64_t *kp_rows_chunk_positions(const struct kp_rows_chunk *chunk, uint32_t first, uint32_t rows,
                                 struct kp_arena *arena);
/* A byte a row, 1: deletes; NULL: none of the chunk does. */
uint8_t *kp_rows_chunk_tombstones(const struct kp_rows_chunk *chunk, uint32_t first, uint32_t rows,
                                  struct kp_arena *arena);

#endif
