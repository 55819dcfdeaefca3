/*
 * Records on their way out of a log and into one: `kappa log export` and `kappa log import`.
 *
 * What is kept of a record: partition, offset, timestamp, key, value, headers; all bytes, null apart from empty. NDJSON
 * (transfer_json.c) and Arrow's IPC file (arrow_write.c, arrow_read.c) are two forms of the same.
 */
#ifndef KP_CLI_TRANSFER_H
#define KP_CLI_TRANSFER_H

#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"

struct kp_transfer_record {
    uint32_t partition;
    int64_t offset, timestamp_ms;
    int64_t position, log_time_us; /* where it lies and when it came: not taken over by an import; -1: not known */
    struct kp_str key, value;      /* ptr NULL: null */
    struct kp_str headers;         /* as a record batch has them, count included; empty: none */
};

/* ---- writing ---- */

struct kp_arrow_writer;
/* Writes to `out` in order; nothing is sought. */
struct kp_arrow_writer *kp_arrow_writer_create(FILE *out);
void kp_arrow_writer_destroy(struct kp_arrow_writer *writer); /* NULL is fine */
void kp_arrow_write(struct kp_arrow_writer *writer, const struct kp_transfer_record *record);
void kp_arrow_end(struct kp_arrow_writer *writer); /* the last batch, and the footer */

/* One line with its end. */
void kp_json_record_print(const struct kp_transfer_record *record, const char *topic, struct kp_buf *out);

/* ---- reading: each(arg, record) for all records in order ---- */

typedef enum kp_code (*kp_transfer_each)(void *arg, const struct kp_transfer_record *record, struct kp_error *err);
KP_MUST enum kp_code kp_arrow_read(FILE *in, kp_transfer_each each, void *arg, struct kp_error *err);
KP_MUST enum kp_code kp_json_records_read(FILE *in, kp_transfer_each each, void *arg, struct kp_error *err);

/* ---- the actions of `kappa log` ---- */

struct kp_transfer_options {
    const char *dir, *topic;
    bool arrow;
    int64_t partition, from, end; /* export: -1: each; offsets */
    int64_t partitions;           /* import: of a topic that is made; 0: as many as the records say */
};
KP_MUST enum kp_code kp_log_export(const struct kp_transfer_options *options, FILE *out, struct kp_error *err);
KP_MUST enum kp_code kp_log_import(const struct kp_transfer_options *options, FILE *in, uint64_t *ret_records,
                                   struct kp_error *err);

#endif
