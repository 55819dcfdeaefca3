/*
 * `kappa log export`: a topic's records to the standard output, of a log that is in use or not. What was trimmed is
 * left out; damage is an error that names the place, after what lies before it was written.
 */
#include "cli/transfer.h"
#include "log/log.h"
#include "log/record_batch.h"

enum { FLUSH_BYTES = 1 << 20 };

struct export
{
    const struct kp_transfer_options *options;
    FILE *out;
    struct kp_arrow_writer *arrow; /* NULL: NDJSON */
    struct kp_buf text;
};

static void put(struct export *export, const struct kp_transfer_record *record)
{
    const struct kp_transfer_options *options = export->options;
    if (record->offset < options->from || record->offset >= options->end)
        return;
    if (export->arrow) {
        kp_arrow_write(export->arrow, record);
        return;
    }
    kp_json_record_print(record, options->topic, &export->text);
    if (export->text.len > FLUSH_BYTES) {
        fwrite(export->text.data, 1, export->text.len, export->out);
        export->text.len = 0;
    }
}

static enum kp_code put_chunk(void *context, const struct kp_log_chunk *chunk, struct kp_error *err)
{
    struct export *export = context;
    if (export->options->partition >= 0 && export->options->partition != (int64_t)chunk->partition)
        return KP_OK;
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    struct kp_record record;
    struct kp_error why;
    kp_error_clear(&why);
    enum kp_code code = kp_record_reader_init(&reader, chunk->batch, chunk->bytes, &arena, err);
    while (code == KP_OK && !reader.info.control && kp_record_reader_next(&reader, &record, &why)) {
        struct kp_transfer_record one = {.partition = chunk->partition,
                                         .offset = chunk->base_offset + record.offset_delta,
                                         .timestamp_ms = record.timestamp_ms,
                                         .position = chunk->position + record.offset_delta,
                                         .log_time_us = chunk->log_time_us,
                                         .key = record.key,
                                         .value = record.value,
                                         .headers = record.headers};
        if ((uint32_t)record.offset_delta >= chunk->skip)
            put(export, &one);
    }
    if (code == KP_OK && why.code != KP_OK) {
        code = why.code;
        if (err)
            *err = why;
    }
    kp_arena_finish(&arena);
    return code;
}

static enum kp_code export_all(struct export *export, struct kp_log *log, struct kp_error *err)
{
    struct kp_topic_info info;
    KP_TRY(kp_log_topic_find(log, export->options->topic, &info, err));
    return kp_log_each(log, info.id, put_chunk, export, err);
}

enum kp_code kp_log_export(const struct kp_transfer_options *options, FILE *out, struct kp_error *err)
{
    struct kp_log_options log_options = {.os = kp_os_real(), .dir = options->dir, .read_only = true};
    struct kp_log *log;
    KP_TRY(kp_log_open(&log_options, &log, err));
    struct export export = {.options = options, .out = out};
    if (options->arrow)
        export.arrow = kp_arrow_writer_create(out);
    enum kp_code code = export_all(&export, log, err);
    if (export.arrow)
        kp_arrow_end(export.arrow);
    if (export.text.len)
        fwrite(export.text.data, 1, export.text.len, out);
    if (code == KP_OK && (fflush(out) != 0 || ferror(out)))
        code = kp_fail(err, KP_IO, NULL, "the export could not be written");
    kp_arrow_writer_destroy(export.arrow);
    kp_buf_finish(&export.text);
    kp_log_close(log);
    return code;
}
