/*
 * Rows for people and programs: an aligned table as psql prints it, CSV, or JSON lines. Rows are cells of text; types
 * decide on alignment and on JSON's quoting.
 */
#ifndef KP_CLI_OUTPUT_H
#define KP_CLI_OUTPUT_H

#include <stdio.h>

#include "db/db.h"
#include "sql/plan.h"

enum kp_output_format { KP_OUTPUT_TABLE, KP_OUTPUT_CSV, KP_OUTPUT_NDJSON };

struct kp_output {
    enum kp_output_format format;
    FILE *file;
    const struct kp_zone *zone; /* of timestamptz text; NULL: UTC */
    struct kp_column *cols;
    uint32_t col_count;
    struct kp_arena arena; /* cells of a table, until its end */
    struct kp_str *cells;  /* rows × col_count */
    size_t count, cap;
    uint64_t rows;
};

/* By name ("table", "csv", "ndjson" or "json"); false if there is none. */
bool kp_output_format_parse(const char *name, enum kp_output_format *ret_format);
void kp_output_begin(struct kp_output *output, enum kp_output_format format, FILE *file, const struct kp_column *cols,
                     uint32_t col_count, const struct kp_zone *zone);
/* One row of text cells in PostgreSQL's output form; ptr NULL: null. Copied. */
void kp_output_row(struct kp_output *output, const struct kp_str *cells);
/* All rows of a batch; a row of weight n is printed n times, of none or less not at all. */
void kp_output_batch(struct kp_output *output, const struct kp_batch *batch);
void kp_output_end(struct kp_output *output); /* prints what waits, "(n rows)" under a table; frees */

/* All that a cursor has, to standard output; a subscription's changes as they come. Nothing if it has no columns. */
KP_MUST enum kp_code kp_output_cursor(struct kp_session *session, const struct kp_prepared *prepared,
                                      struct kp_cursor *cursor, enum kp_output_format format, struct kp_error *err);

#endif
