/*
 * COPY's binary form, big-endian:
 *
 *   "PGCOPY\n\xff\r\n\0" (11) | flags int32 | length of an extension int32 | extension
 *   each row   fields int16 | each: length int32 (-1: NULL), the value's binary form
 *   the end    -1 int16
 *
 * Flags from bit 16 on must be known to who reads, and none is.
 */
#ifndef KP_DB_COPY_BINARY_H
#define KP_DB_COPY_BINARY_H

#include "db/copy.h"

/* The part of a reader that knows the form; zero-initialize. */
struct kp_copy_binary {
    struct kp_buf pending; /* what began and has not ended */
    size_t skip_bytes;     /* of the header's extension, still to come */
    bool header_passed, ended;
    uint64_t rows;
};

/* 54000: a row of COPY, in any form, is too long. */
KP_MUST enum kp_code kp_copy_row_too_long(struct kp_error *err);
void kp_copy_binary_finish(struct kp_copy_binary *binary);
/* Whole rows go to each (line: the row's number); fields has room for col_count. 22P04 with PostgreSQL's words. */
KP_MUST enum kp_code kp_copy_binary_feed(struct kp_copy_binary *binary, struct kp_str bytes, uint32_t col_count,
                                         struct kp_str *fields, kp_copy_row each, void *arg, struct kp_error *err);
/* The end marker may be missing, but nothing may be cut. */
KP_MUST enum kp_code kp_copy_binary_end(const struct kp_copy_binary *binary, struct kp_error *err);

void kp_copy_binary_write_header(struct kp_buf *out);
void kp_copy_binary_write_row(const struct kp_batch *batch, uint32_t row, struct kp_buf *out);
void kp_copy_binary_write_end(struct kp_buf *out);

#endif
