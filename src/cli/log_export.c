/*
 * `kappa log export`: a topic's records to the standard output, of a log that is in use or not. What was trimmed is
 * left out; damage is an error that names the place, after what lies before it was written.
 */
#include <string.h>

#include "cli/transfer.h"
#include "log/log.h"
#include "log/record_batch.h"

enum { FLUSH_BYTES = 1 << 20, READ_BYTES = 16 << 20, TRIES = 200, ALIKE = 4, WAIT_US = 50000 };

struct export
{
    const struct kp_transfer_options *options;
    FILE *out;
    struct kp_arrow_writer *arrow; /* NULL: NDJSON */
    struct kp_buf text;
    int64_t position, end; /* where it has come to, of how far it goes */
    bool final;            /* opening the log again would not help */
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

/* From where the export has come to, as far as the log goes now: what was compacted since it was opened before may
 * stand behind its end then. */
static enum kp_code export_on(struct export *export, struct kp_log *log, struct kp_error *err)
{
    struct kp_topic_info info;
    export->final = true; /* what is not about files that went */
    KP_TRY(kp_log_topic_find(log, export->options->topic, &info, err));
    export->end = kp_log_position(log);
    while (export->position < export->end) {
        struct kp_log_span span;
        export->final = false;
        KP_TRY(kp_log_read(log, export->position, export->end, READ_BYTES, &info.id, 1, &span, err));
        export->final = true;
        enum kp_code code = KP_OK;
        for (size_t i = 0; i < span.count && code == KP_OK; i++)
            code = put_chunk(export, &span.chunks[i], err);
        bool moved = span.position_end > export->position;
        export->position = span.position_end;
        kp_log_span_release(&span);
        KP_TRY(code);
        if (!moved)
            break;
    }
    return KP_OK;
}

/* A server that has the log open may seal, merge and recycle what is being read: then the log is opened again, and the
 * export goes on where it was. What is really damaged is so the next times, too: the same is said of it. */
static enum kp_code export_all(struct export *export, struct kp_error *err)
{
    struct kp_log_options options = {.os = kp_os_real(), .dir = export->options->dir, .read_only = true};
    enum kp_code code = KP_OK;
    char said[sizeof err->message];
    kp_error_clear(err);
    for (int tries = 0, alike = 0; tries < TRIES && alike < ALIKE; tries++) {
        struct kp_log *log = NULL;
        int64_t before = export->position;
        memcpy(said, err->message, sizeof said);
        kp_error_clear(err);
        export->final = false;
        code = kp_log_open(&options, &log, err);
        if (code == KP_OK)
            code = export_on(export, log, err);
        kp_log_close(log);
        if (code == KP_OK || export->final || (code != KP_CORRUPT && code != KP_IO && code != KP_NOT_FOUND))
            break;
        alike = strcmp(said, err->message) == 0 ? alike + 1 : 0;
        if (export->position > before)
            tries = alike = 0;
        options.os->sleep_us(options.os->ctx, WAIT_US);
    }
    return code;
}

enum kp_code kp_log_export(const struct kp_transfer_options *options, FILE *out, struct kp_error *err)
{
    struct export export = {.options = options, .out = out};
    struct kp_error local;
    err = err ? err : &local;
    if (options->arrow)
        export.arrow = kp_arrow_writer_create(out);
    enum kp_code code = export_all(&export, err);
    if (export.arrow && code == KP_OK) /* without its end nobody takes it for whole */
        kp_arrow_end(export.arrow);
    if (export.text.len)
        fwrite(export.text.data, 1, export.text.len, out);
    if (code == KP_OK && (fflush(out) != 0 || ferror(out)))
        code = kp_fail(err, KP_IO, NULL, "the export could not be written");
    kp_arrow_writer_destroy(export.arrow);
    kp_buf_finish(&export.text);
    return code;
}
