/*
 * COPY's forms, both ways, as PostgreSQL writes and reads them.
 *
 *   text  fields by a delimiter (tab), rows by \n; \b \f \n \r \t \v \\ and \ before the delimiter are escapes;
 *         NULL is \N; a line of \. ends the data
 *   csv   RFC 4180: fields in quotes where needed, the quote escaped by `escape`; NULL is the empty field
 *         without quotes
 *   binary  db/copy_binary.h
 *
 * Reading is a push parser: bytes come in pieces cut anywhere, whole rows go out. Line ends \n, \r\n and \r are taken,
 * but one kind in one input.
 *
 * Threads: none of its own; a reader is used by one thread at a time.
 */
#ifndef KP_DB_COPY_H
#define KP_DB_COPY_H

#include "sql/statement.h"
#include "vec/vec.h"

/* What the parser has checked already but for the relations between options: 0A000, 22023 with PostgreSQL's words. */
KP_MUST enum kp_code kp_copy_check(const struct kp_copy_options *options, struct kp_error *err);

/* ---- out ---- */

/* Appends what comes before the rows: the header line (column names) if it is asked for, binary's signature. */
void kp_copy_write_begin(const struct kp_copy_options *options, const struct kp_column *cols, uint32_t col_count,
                         struct kp_buf *out);
/* Appends what comes behind them: binary's marker. */
void kp_copy_write_end(const struct kp_copy_options *options, struct kp_buf *out);
/* Appends the header line (column names). */
void kp_copy_write_header(const struct kp_copy_options *options, const struct kp_column *cols, uint32_t col_count,
                          struct kp_buf *out);
/* Appends one row with its line end. */
void kp_copy_write_row(const struct kp_copy_options *options, const struct kp_batch *batch, uint32_t row,
                       const struct kp_zone *zone, struct kp_buf *out);

/* ---- in ---- */

/* A row of fields, as text or in binary; ptr NULL: NULL. Borrowed until the call returns. line: 1-based, where the row
 * began; of binary the row's number. */
typedef enum kp_code (*kp_copy_row)(void *arg, const struct kp_str *fields, uint32_t count, uint64_t line,
                                    struct kp_error *err);

struct kp_copy_reader;
/* Every row has a field for each of cols, else 22P04. options are copied, cols and relation (its name, for errors)
 * borrowed. */
struct kp_copy_reader *kp_copy_reader_create(const struct kp_copy_options *options, const char *relation,
                                             const struct kp_column *cols, uint32_t col_count, kp_copy_row each,
                                             void *arg);
void kp_copy_reader_destroy(struct kp_copy_reader *reader); /* NULL is fine */
/* After an error nothing more may be fed. Rows are valid UTF-8 (22021). */
KP_MUST enum kp_code kp_copy_reader_feed(struct kp_copy_reader *reader, struct kp_str bytes, struct kp_error *err);
/* The last line may lack its end. */
KP_MUST enum kp_code kp_copy_reader_end(struct kp_copy_reader *reader, struct kp_error *err);

#endif
