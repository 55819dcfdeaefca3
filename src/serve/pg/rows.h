/*
 * Batches to DataRow messages, straight into the output buffer.
 *
 * The columns' encoders are chosen once a batch; then rows are written one after the other, each field behind a length
 * that is filled in when the field is there. Nothing is allocated but by the buffer's growth.
 */
#ifndef KP_SERVE_PG_ROWS_H
#define KP_SERVE_PG_ROWS_H

#include "serve/pg/proto.h"
#include "vec/vec.h"

/*
 * Appends rows from *row on until `rows_max` messages are written, the buffer holds bytes_max bytes or the batch ends.
 * Weights repeat a row: *done of row *row have been written. Moves both; returns how many were written, or
 * KP_PG_ROW_TOO_LONG when the row at *row has no room in a message.
 */
#define KP_PG_ROW_TOO_LONG UINT64_MAX
KP_MUST enum kp_code kp_pg_fail_long_row(struct kp_error *err); /* 54000, that it is so */
uint64_t kp_pg_put_rows(struct kp_buf *out, const struct kp_batch *batch, const struct kp_pg_formats *formats,
                        const struct kp_zone *zone, uint32_t *row, int64_t *done, uint64_t rows_max, size_t bytes_max);

#endif
