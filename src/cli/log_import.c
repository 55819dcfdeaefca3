/*
 * `kappa log import`: records from the standard input into a topic of a log that no server has open. Keys, values,
 * headers, timestamps and offsets become what they were: a topic is made if it is missing, and the offsets of each
 * partition must go on where it ends. Offsets that are missing before a partition's first record are passed over;
 * missing ones in between are an error.
 */
#include "cli/transfer.h"
#include "log/log.h"
#include "log/record_batch.h"

enum { BATCH_BYTES = 512 << 10 };

struct partition {
    struct kp_record_batch_builder builder;
    int64_t next_offset;
    bool begun;
};

struct import {
    const struct kp_transfer_options *options;
    struct kp_log *log;
    uint32_t topic, partition_count;
    struct partition *partitions;
    uint64_t records;
};

static enum kp_code flush(struct import *import, uint32_t number, struct kp_error *err)
{
    struct partition *partition = &import->partitions[number];
    struct kp_buf batch = {0};
    if (partition->builder.count == 0)
        return KP_OK;
    enum kp_code code = kp_record_batch_build(&partition->builder, KP_CODEC_NONE, &batch, err);
    struct kp_log_entry entry = {
        .topic = import->topic, .partition = number, .batch = batch.data, .bytes = batch.len, .trusted = true};
    if (code == KP_OK)
        code = kp_log_append(import->log, &entry, 1, NULL, err);
    kp_buf_finish(&batch);
    return code;
}

static enum kp_code open_topic(struct import *import, uint32_t at_least, struct kp_error *err)
{
    struct kp_topic_info info;
    struct kp_error none;
    if (kp_log_topic_find(import->log, import->options->topic, &info, &none) != KP_OK) {
        uint32_t partitions = (uint32_t)import->options->partitions;
        KP_TRY(kp_log_topic_create(import->log, import->options->topic, partitions ? partitions : at_least,
                                   &import->topic, err));
        KP_TRY(kp_log_topic_get(import->log, import->topic, &info, err));
    }
    if (info.internal)
        return kp_fail(err, KP_FORBIDDEN, NULL, "topic \"%s\" is kappa's own", info.name);
    import->topic = info.id;
    import->partition_count = info.partitions;
    import->partitions = kp_calloc(info.partitions, sizeof *import->partitions);
    for (uint32_t p = 0; p < info.partitions; p++) {
        struct kp_partition_info partition;
        KP_TRY(kp_log_partition(import->log, info.id, p, &partition, err));
        import->partitions[p].next_offset = partition.end_offset;
    }
    return KP_OK;
}

static enum kp_code take(void *arg, const struct kp_transfer_record *record, struct kp_error *err)
{
    struct import *import = arg;
    if (!import->partitions)
        KP_TRY(open_topic(import, record->partition + 1, err));
    if (record->partition >= import->partition_count) {
        (void)kp_fail(err, KP_NOT_FOUND, NULL, "topic \"%s\" has no partition %u: it has %u", import->options->topic,
                      record->partition, import->partition_count);
        return kp_error_hint(err, "Say how many a new topic has: --partitions N.");
    }
    struct partition *partition = &import->partitions[record->partition];
    if (!partition->begun && partition->next_offset == 0 &&
        record->offset > 0) { /* what was gone when it was exported */
        KP_TRY(kp_log_skip(import->log, import->topic, record->partition, record->offset, err));
        partition->next_offset = record->offset;
    }
    partition->begun = true;
    if (record->offset != partition->next_offset) {
        (void)kp_fail(err, KP_INVALID, NULL, "partition %u of topic \"%s\" goes on at offset %lld, the record has %lld",
                      record->partition, import->options->topic, (long long)partition->next_offset,
                      (long long)record->offset);
        return kp_error_hint(err, record->offset > partition->next_offset
                                      ? "Records of a compacted topic have gaps between them and cannot be imported."
                                      : "Import into a topic that is new; or, if an import was stopped there, records "
                                        "from that offset on.");
    }
    struct kp_str headers = record->headers;
    kp_record_batch_add(&partition->builder, record->timestamp_ms, record->key, record->value, headers);
    partition->next_offset++;
    import->records++;
    return kp_record_batch_builder_bytes(&partition->builder) > BATCH_BYTES ? flush(import, record->partition, err)
                                                                            : KP_OK;
}

enum kp_code kp_log_import(const struct kp_transfer_options *options, FILE *in, uint64_t *ret_records,
                           struct kp_error *err)
{
    struct kp_log_options log_options = {.os = kp_os_real(), .dir = options->dir};
    struct import import = {.options = options};
    KP_TRY(kp_log_open(&log_options, &import.log, err));
    enum kp_code code =
        options->arrow ? kp_arrow_read(in, take, &import, err) : kp_json_records_read(in, take, &import, err);
    if (code == KP_OK && !import.partitions)
        code = open_topic(&import, 1, err); /* without records it is made all the same */
    for (uint32_t p = 0; code == KP_OK && p < import.partition_count; p++)
        code = flush(&import, p, err);
    for (uint32_t p = 0; p < import.partition_count; p++)
        kp_record_batch_builder_finish(&import.partitions[p].builder);
    kp_free(import.partitions);
    kp_log_close(import.log);
    KP_TRY(code);
    *ret_records = import.records;
    return KP_OK;
}
