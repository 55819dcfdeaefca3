/* `kappa log`: looks into a log's files, in use or damaged; takes records out of a log and into one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/config.h"
#include "cli/transfer.h"
#include "cli/verbs.h"
#include "log/inspect.h"
#include "os/os.h"

struct options {
    const char *action, *topic, *format;
    int64_t partition, from, end, limit, partitions;
};

static int other(void *arg, int argc, char **argv)
{
    struct options *options = arg;
    if (argv[0][0] != '-' && !options->action) {
        options->action = argv[0];
        return 1;
    }
    bool takes_topic = options->action && strcmp(options->action, "topics") && strcmp(options->action, "blocks") &&
                       strcmp(options->action, "verify");
    if (argv[0][0] != '-' && takes_topic && !options->topic) {
        options->topic = argv[0];
        return 1;
    }
    if (strcmp(argv[0], "--format") == 0 && argc > 1) {
        options->format = argv[1];
        return strcmp(argv[1], "ndjson") == 0 || strcmp(argv[1], "arrow") == 0 ? 2 : KP_CONFIG_BAD_VALUE;
    }
    struct {
        const char *name;
        int64_t *value;
    } numbers[] = {{"--partition", &options->partition},
                   {"--from", &options->from},
                   {"--to", &options->end},
                   {"--limit", &options->limit},
                   {"--partitions", &options->partitions}};
    for (size_t i = 0; i < KP_COUNT(numbers); i++)
        if (strcmp(argv[0], numbers[i].name) == 0 && argc > 1)
            return kp_config_number(argv[1], numbers[i].value) ? 2 : KP_CONFIG_BAD_VALUE;
    return 0;
}

/* ---- topics ---- */

struct topic_line {
    char name[250];
    uint64_t records, bytes;
    uint32_t partitions;
};

struct topic_list {
    struct topic_line *lines;
    size_t count;
};

static bool count_record(void *arg, const struct kp_inspect_record *record)
{
    struct topic_list *list = arg;
    struct topic_line *line = NULL;
    for (size_t i = 0; i < list->count && !line; i++)
        if (strcmp(list->lines[i].name, record->topic) == 0)
            line = &list->lines[i];
    if (!line) {
        list->lines = kp_realloc(list->lines, (list->count + 1) * sizeof *list->lines);
        line = &list->lines[list->count++];
        memset(line, 0, sizeof *line);
        snprintf(line->name, sizeof line->name, "%s", record->topic);
    }
    line->records++;
    line->bytes += record->record.key.len + record->record.value.len;
    line->partitions = KP_MAX(line->partitions, record->partition + 1);
    return true;
}

static enum kp_code topics(const char *dir, struct kp_error *err)
{
    struct topic_list list = {0};
    struct kp_inspect_filter filter = {.partition = -1, .offset_end = INT64_MAX};
    enum kp_code code = kp_inspect_records(kp_os_real(), dir, &filter, count_record, &list, err);
    if (code == KP_OK) {
        printf("%-32s %12s %16s %s\n", "topic", "records", "key+value bytes", "partitions written");
        for (size_t i = 0; i < list.count; i++)
            printf("%-32s %12llu %16llu %u\n", list.lines[i].name, (unsigned long long)list.lines[i].records,
                   (unsigned long long)list.lines[i].bytes, list.lines[i].partitions);
    }
    kp_free(list.lines);
    return code;
}

/* ---- blocks ---- */

struct counted {
    int64_t left;
    bool any;
};

static bool print_block(void *arg, const struct kp_inspect_block *block)
{
    static const char *const states[] = {"ok", "damaged", "gap", "jump", "stale"};
    struct counted *counted = arg;
    printf("%6llu %12llu %9llu %-8s", (unsigned long long)block->file_number, (unsigned long long)block->offset,
           (unsigned long long)block->bytes, states[block->state]);
    if (block->header)
        printf(" position %llu records %u%s", (unsigned long long)block->header->position, block->header->records,
               block->header->flags & KP_BLOCK_UNSYNCED ? " not synced" : "");
    printf("%s%s\n", block->wrong ? "  " : "", block->wrong ? block->wrong : "");
    return counted->left < 0 || --counted->left > 0;
}

static enum kp_code blocks(const char *dir, const struct options *options, struct kp_error *err)
{
    struct counted counted = {.left = options->limit};
    printf("%6s %12s %9s state\n", "file", "byte", "bytes");
    return options->limit == 0 ? KP_OK : kp_inspect_blocks(kp_os_real(), dir, print_block, &counted, err);
}

/* ---- records ---- */

static void print_json(struct kp_buf *buf, const char *name, struct kp_str text)
{
    kp_buf_printf(buf, ",\"%s\":", name);
    if (!text.ptr)
        kp_buf_append_text(buf, "null");
    else
        kp_buf_append_json_string(buf, text);
}

static bool print_record(void *arg, const struct kp_inspect_record *record)
{
    struct counted *counted = arg;
    struct kp_buf buf = {0};
    kp_buf_printf(&buf,
                  "{\"position\":%lld,\"topic\":\"%s\",\"partition\":%u,\"offset\":%lld,\"timestamp_ms\":%lld,\"log_"
                  "time_us\":%lld",
                  (long long)record->position, record->topic, record->partition, (long long)record->offset,
                  (long long)record->record.timestamp_ms, (long long)record->log_time_us);
    print_json(&buf, "key", record->record.key);
    print_json(&buf, "value", record->record.value);
    kp_buf_append_text(&buf, "}\n");
    fwrite(buf.data, 1, buf.len, stdout);
    kp_buf_finish(&buf);
    counted->any = true;
    return counted->left < 0 || --counted->left > 0;
}

static enum kp_code dump(const char *dir, const struct options *options, struct kp_error *err)
{
    struct counted counted = {.left = options->limit};
    struct kp_inspect_filter filter = {.topic = options->topic,
                                       .partition = options->partition,
                                       .offset_from = options->from,
                                       .offset_end = options->end};
    if (options->limit == 0)
        return KP_OK;
    KP_TRY(kp_inspect_records(kp_os_real(), dir, &filter, print_record, &counted, err));
    if (!counted.any && options->topic)
        fprintf(stderr, "kappa: topic \"%s\" has no such records; `kappa log topics` lists topics with records\n",
                options->topic);
    return KP_OK;
}

/* ---- verify ---- */

static void print_problem(void *arg, const char *text)
{
    printf("problem: %s\n", text);
}

static enum kp_code verify(const char *dir, bool *ret_sound, struct kp_error *err)
{
    struct kp_inspect_report report;
    KP_TRY(kp_inspect_verify(kp_os_real(), dir, print_problem, NULL, &report, err));
    printf("%llu files, %llu blocks, %llu record batches, %llu records, %llu bytes; position %lld\n",
           (unsigned long long)report.files, (unsigned long long)report.blocks, (unsigned long long)report.batches,
           (unsigned long long)report.records, (unsigned long long)report.bytes, (long long)report.position_end);
    if (report.extents)
        printf("%llu extents, %llu bytes of record batches; written for what is sealed: %.2f times its bytes\n",
               (unsigned long long)report.extents, (unsigned long long)report.extent_bytes,
               (double)report.sealed_written_bytes / (double)KP_MAX(report.sealed_batch_bytes, (uint64_t)1));
    if (report.cut_tail)
        puts("an unfinished write at the end, never acknowledged: the next start removes it");
    if (report.changed)
        printf("%llu places changed while they were looked at: the log is in use, and they are not judged\n",
               (unsigned long long)report.changed);
    printf(report.problems ? "%llu problems\n" : "sound\n", (unsigned long long)report.problems);
    *ret_sound = report.problems == 0;
    return KP_OK;
}

/* ---- export, import ---- */

static enum kp_code transfer(const char *dir, const struct options *options, bool export, struct kp_error *err)
{
    struct kp_transfer_options transfer = {.dir = dir,
                                           .topic = options->topic,
                                           .arrow = options->format && strcmp(options->format, "arrow") == 0,
                                           .partition = options->partition,
                                           .from = options->from,
                                           .end = options->end,
                                           .partitions = options->partitions};
    if (!options->topic)
        return kp_fail(err, KP_INVALID, NULL, "a topic is needed: kappa log %s TOPIC", export ? "export" : "import");
    if (export)
        return kp_log_export(&transfer, stdout, err);
    uint64_t records;
    KP_TRY(kp_log_import(&transfer, stdin, &records, err));
    printf("%llu records into topic \"%s\"\n", (unsigned long long)records, options->topic);
    return KP_OK;
}

static int run(int argc, char **argv)
{
    struct kp_config config;
    struct kp_error err;
    struct options options = {.partition = -1, .end = INT64_MAX, .limit = -1};
    if (kp_config_load(&config, argc, argv, other, &options, &err) != KP_OK)
        return kp_cli_usage(&kp_verb_log, &err);
    const char *dir = kp_config_text(&config, KP_CONFIG_DATA);
    bool sound = true;
    enum kp_code code;
    if (!options.action || strcmp(options.action, "topics") == 0)
        code = topics(dir, &err);
    else if (strcmp(options.action, "blocks") == 0)
        code = blocks(dir, &options, &err);
    else if (strcmp(options.action, "records") == 0)
        code = dump(dir, &options, &err);
    else if (strcmp(options.action, "verify") == 0)
        code = verify(dir, &sound, &err);
    else if (strcmp(options.action, "export") == 0 || strcmp(options.action, "import") == 0)
        code = transfer(dir, &options, *options.action == 'e', &err);
    else {
        (void)kp_fail(&err, KP_INVALID, NULL, "there is no `kappa log %s`", options.action);
        kp_config_finish(&config);
        return kp_cli_usage(&kp_verb_log, &err);
    }
    kp_config_finish(&config);
    return code != KP_OK ? kp_cli_fail(&err) : sound ? kp_cli_printed() : KP_EXIT_FAILED;
}

const struct kp_verb kp_verb_log = {
    .name = "log",
    .usage = "[topics | blocks | records [TOPIC] | verify | export TOPIC | import TOPIC] [--data DIR] …",
    .summary = "Looks into the files of a log, in use or damaged; exports and imports records",
    .help =
        "  topics              topics with their records\n"
        "  blocks              the commit blocks as they lie in the files\n"
        "  records [TOPIC]     records as JSON lines; --partition N, --from OFFSET, --to OFFSET, --limit N\n"
        "  verify              all checksums and chains; exit status 1 if something is wrong\n"
        "  export TOPIC        records to the standard output; --format ndjson (default) or arrow, --partition N,\n"
        "                      --from OFFSET, --to OFFSET\n"
        "  import TOPIC        such records from the standard input into a log that no server has open, offsets and\n"
        "                      times as they were; --format, --partitions N of a topic that is made\n",
    .settings = 1u << KP_CONFIG_CONFIG | 1u << KP_CONFIG_DATA,
    .run = run,
};
