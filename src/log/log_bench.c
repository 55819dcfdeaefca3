/*
 * The log beside the bare disk, in one run on the same file system: ratios, not rates, are the result. Appends are
 * measured in rounds, one with the disk and one with the log by turns; the median is told, of ratios too.
 *
 *     log_bench [DIR] [MiB]      a folder on the disk to measure (default: .), the size of a burst (default: 1024)
 *     log_bench DIR MiB GiB      only this: so much appended, with sealing, and retention that keeps a quarter, at most
 *                                8 GiB; the bare disk before and after: for bursts of MiB, and as much in all, over as
 *                                much of the disk as the log keeps again and again, since a disk that is written for
 *                                long may be slower than one that is written for a second
 *     log_bench DIR MiB GiB N    likewise, batches of 16 KiB to N partitions in turn: what sealing copies, and sorts
 *
 * Bare writes go through the same table (os/os.h), O_DIRECT, one block a call, with and without a sync each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "log/format.h"
#include "log/internal.h"
#include "log/log.h"
#include "log/record_batch.h"
#include "os/pages.h"

enum {
    BLOCK_BYTES = 1 << 20,
    MEMORY_BYTES = 128 << 20, /* written from in turn: about what the log has of its own */
    SMALL_APPENDS = 2000,
    APPENDERS = 64,
    APPENDS_EACH = 500,
    ROUNDS = 3,
    WARM_BYTES = 256 << 20,
    PARTITIONS = 10000
};

static struct kp_os *os;
static char dir[256], file_path[300];
static volatile uint32_t looked_at; /* what was read is used */

static void must(enum kp_code code, const struct kp_error *err)
{
    if (code != KP_OK) {
        fprintf(stderr, "log_bench: %s\n", err->message);
        abort();
    }
}

static double seconds(void)
{
    return (double)os->mono_ns(os->ctx) * 1e-9;
}

static void remove_one(void *arg, const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)!os->unlink(os->ctx, path, NULL);
}

static void clear_dir(void)
{
    (void)!os->list(os->ctx, dir, remove_one, NULL, NULL);
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* ---- the bare disk ---- */

static struct kp_file *bare_file(uint64_t bytes, bool zeros)
{
    struct kp_error err;
    struct kp_file *file;
    must(os->open(os->ctx, file_path, KP_OPEN_READ | KP_OPEN_WRITE | KP_OPEN_CREATE | KP_OPEN_TRUNCATE | KP_OPEN_DIRECT,
                  &file, &err),
         &err);
    must(os->allocate(os->ctx, file, 0, bytes, &err), &err);
    uint8_t *block = kp_alloc_aligned(KP_SECTOR_BYTES, BLOCK_BYTES);
    memset(block, 0, BLOCK_BYTES);
    for (uint64_t at = 0; zeros && at < bytes; at += BLOCK_BYTES)
        must(os->pwrite(os->ctx, file, block, BLOCK_BYTES, at, &err), &err);
    kp_free(block);
    must(os->sync(os->ctx, file, &err), &err);
    return file;
}

/*
 * So many bytes, into a file of `span` bytes again and again, from so much memory in turn: a disk behind memory (a
 * virtual one) takes the same megabyte for the hundredth time out of a cache, which no log can offer it.
 */
static double bare_rate_over(uint64_t span, uint64_t bytes, size_t memory_bytes, bool sync)
{
    struct kp_error err;
    struct kp_file *file = bare_file(span, false);
    uint8_t *memory = kp_pages_alloc(memory_bytes);
    memset(memory, 'x', memory_bytes);
    double start = seconds();
    for (uint64_t done = 0; done < bytes; done += BLOCK_BYTES) {
        const uint8_t *block = memory + done % memory_bytes;
        uint64_t at = done % span;
        must(sync ? os->pwrite_sync(os->ctx, file, block, BLOCK_BYTES, at, &err)
                  : os->pwrite(os->ctx, file, block, BLOCK_BYTES, at, &err),
             &err);
    }
    double rate = (double)bytes / (seconds() - start);
    kp_pages_free(memory, memory_bytes);
    os->close(os->ctx, file);
    clear_dir();
    return rate;
}

static double bare_rate(uint64_t bytes, bool sync)
{
    return bare_rate_over(bytes, bytes, MEMORY_BYTES, sync);
}

static double bare_read_rate(uint64_t bytes)
{
    struct kp_error err;
    struct kp_file *file = bare_file(bytes, true);
    size_t piece = 8 << 20, got;
    uint8_t *block = kp_alloc_aligned(KP_SECTOR_BYTES, piece);
    memset(block, 0, piece);
    double start = seconds();
    for (uint64_t at = 0; at < bytes; at += piece)
        must(os->pread(os->ctx, file, block, piece, at, &got, &err), &err);
    double rate = (double)bytes / (seconds() - start);
    kp_free(block);
    os->close(os->ctx, file);
    clear_dir();
    return rate;
}

static void bare_acks(double *ret_p50, double *ret_p99)
{
    struct kp_error err;
    struct kp_file *file = bare_file(SMALL_APPENDS * KP_SECTOR_BYTES / BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES, true);
    uint8_t *block = kp_alloc_aligned(KP_SECTOR_BYTES, KP_SECTOR_BYTES);
    double *times = kp_alloc(SMALL_APPENDS * sizeof *times);
    memset(block, 'x', KP_SECTOR_BYTES);
    for (int i = 0; i < SMALL_APPENDS; i++) {
        double start = seconds();
        must(os->pwrite_sync(os->ctx, file, block, KP_SECTOR_BYTES, (uint64_t)i * KP_SECTOR_BYTES, &err), &err);
        times[i] = seconds() - start;
    }
    qsort(times, SMALL_APPENDS, sizeof *times, by_value);
    *ret_p50 = times[SMALL_APPENDS / 2];
    *ret_p99 = times[SMALL_APPENDS * 99 / 100];
    kp_free(times);
    kp_free(block);
    os->close(os->ctx, file);
    clear_dir();
}

/* ---- the log ---- */

static struct kp_log *open_log_keeping(uint64_t tail_bytes, uint32_t partitions, uint32_t *ret_topic)
{
    struct kp_log_options options = {.os = os, .dir = dir, .tail_bytes = tail_bytes};
    struct kp_log *log;
    struct kp_error err;
    must(kp_log_open(&options, &log, &err), &err);
    struct kp_topic_info info;
    if (kp_log_topic_find(log, "bench", &info, NULL) == KP_OK)
        *ret_topic = info.id;
    else
        must(kp_log_topic_create(log, "bench", partitions, ret_topic, &err), &err);
    return log;
}

static struct kp_log *open_log(uint32_t *ret_topic)
{
    return open_log_keeping(0, 1, ret_topic);
}

static struct kp_buf make_batch(int records, size_t record_bytes)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_error err;
    char *value = kp_alloc(record_bytes);
    memset(value, 'v', record_bytes);
    for (int i = 0; i < records; i++)
        kp_record_batch_add(&builder, i, (struct kp_str){0}, (struct kp_str){value, record_bytes}, (struct kp_str){0});
    must(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), &err);
    kp_record_batch_builder_finish(&builder);
    kp_free(value);
    return batch;
}

static void ignore_done(void *arg, int64_t position_end, const struct kp_error *err)
{
}

/* To so many partitions in turn. */
static double append_rate(struct kp_log *log, uint32_t topic, uint32_t partitions, uint64_t bytes)
{
    int records = partitions > 1 ? 16 : 250;
    struct kp_buf batch = make_batch(records, 1024);
    struct kp_error err;
    int64_t end = kp_log_position(log);
    uint64_t sent = 0;
    double start = seconds();
    for (uint32_t i = 0; sent < bytes; sent += batch.len, i++) {
        struct kp_log_entry entry = {
            .topic = topic, .partition = i % partitions, .batch = batch.data, .bytes = batch.len};
        must(kp_log_append_async(log, &entry, 1, ignore_done, NULL, &err), &err);
        end = entry.position + records;
    }
    while (kp_log_wait(log, end - 1, -1) < end)
        ;
    double rate = (double)sent / (seconds() - start);
    kp_buf_finish(&batch);
    return rate;
}

static void log_acks(struct kp_log *log, uint32_t topic, double *ret_p50, double *ret_p99, double *ret_rate)
{
    struct kp_buf batch = make_batch(1, 100);
    double *times = kp_alloc(SMALL_APPENDS * sizeof *times), all = seconds();
    for (int i = 0; i < SMALL_APPENDS; i++) {
        struct kp_log_entry entry = {.topic = topic, .batch = batch.data, .bytes = batch.len};
        struct kp_error err;
        int64_t end;
        double start = seconds();
        must(kp_log_append(log, &entry, 1, &end, &err), &err);
        times[i] = seconds() - start;
    }
    *ret_rate = SMALL_APPENDS / (seconds() - all);
    qsort(times, SMALL_APPENDS, sizeof *times, by_value);
    *ret_p50 = times[SMALL_APPENDS / 2];
    *ret_p99 = times[SMALL_APPENDS * 99 / 100];
    kp_free(times);
    kp_buf_finish(&batch);
}

struct appender {
    struct kp_log *log;
    uint32_t topic;
};

static void run_appender(void *arg)
{
    struct appender *appender = arg;
    struct kp_buf batch = make_batch(1, 100);
    for (int i = 0; i < APPENDS_EACH; i++) {
        struct kp_log_entry entry = {.topic = appender->topic, .batch = batch.data, .bytes = batch.len};
        struct kp_error err;
        int64_t end;
        must(kp_log_append(appender->log, &entry, 1, &end, &err), &err);
    }
    kp_buf_finish(&batch);
}

static double concurrent_rate(struct kp_log *log, uint32_t topic)
{
    struct appender appender = {log, topic};
    struct kp_thread threads[APPENDERS];
    double start = seconds();
    for (int i = 0; i < APPENDERS; i++)
        kp_thread_start(&threads[i], "appender", 0, run_appender, &appender);
    for (int i = 0; i < APPENDERS; i++)
        kp_thread_join(&threads[i]);
    return APPENDERS * APPENDS_EACH / (seconds() - start);
}

/* Bytes a second; with look, each byte is looked at (what comes from the disk was, by its checksum). */
static double read_rate(struct kp_log *log, bool look)
{
    uint64_t bytes = 0;
    uint32_t crc = 0;
    struct kp_error err;
    double start = seconds();
    for (int64_t position = 0;;) {
        struct kp_log_span span;
        must(kp_log_read(log, position, INT64_MAX, 8 << 20, NULL, 0, &span, &err), &err);
        for (size_t i = 0; i < span.count; i++) {
            bytes += span.chunks[i].bytes;
            crc = look ? kp_crc32c(crc, span.chunks[i].batch, span.chunks[i].bytes) : 0;
        }
        bool end = span.position_end == position;
        position = span.position_end;
        kp_log_span_release(&span);
        if (end)
            break;
    }
    looked_at = crc;
    return (double)bytes / (seconds() - start);
}

/* ---- many partitions that stand still beside one that does not ---- */

static uint64_t resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return (uint64_t)resident * 4096;
}

static void count_name(void *arg, const char *name)
{
    ++*(int *)arg;
}

static void touch_partitions(struct kp_log *log)
{
    struct kp_buf batch = make_batch(1, 100);
    struct kp_error err;
    uint32_t topic;
    int64_t end = kp_log_position(log);
    must(kp_log_topic_create(log, "cold", PARTITIONS, &topic, &err), &err);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        struct kp_log_entry entry = {.topic = topic, .partition = p, .batch = batch.data, .bytes = batch.len};
        must(kp_log_append_async(log, &entry, 1, ignore_done, NULL, &err), &err);
        end = entry.position + 1;
    }
    while (kp_log_wait(log, end - 1, -1) < end)
        ;
    kp_buf_finish(&batch);
}

static void bench_partitions(uint64_t bytes)
{
    uint32_t topic;
    struct kp_log *log = open_log(&topic);
    double alone = append_rate(log, topic, 1, bytes);
    kp_log_close(log);
    clear_dir();
    uint64_t before = resident_bytes();
    log = open_log(&topic);
    touch_partitions(log);
    uint64_t state = resident_bytes() - KP_MIN(before, resident_bytes());
    double hot = append_rate(log, topic, 1, bytes);
    kp_log_close(log);
    int files = 0;
    (void)!os->list(os->ctx, dir, count_name, &files, NULL);
    double start = seconds();
    log = open_log(&topic);
    double restart = seconds() - start;
    kp_log_close(log);
    clear_dir();
    printf("10000 cold partitions    %8.0f MB/s, alone %8.0f MB/s: %5.2f x   %.1f MiB, %d files, restart %.0f ms\n",
           hot / 1e6, alone / 1e6, hot / alone, (double)state / 0x1p20, files, restart * 1e3);
}

/* ---- more than the journal may hold: sealed and trimmed on the way ---- */

static void keep_newest(struct kp_log *log, uint32_t topic, uint32_t partitions, uint64_t bytes)
{
    struct kp_error err;
    int64_t position, *offsets = kp_alloc(partitions * sizeof *offsets);
    must(kp_log_position_keeping(log, topic, bytes, &position, &err), &err);
    for (uint32_t p = 0; p < partitions; p++)
        must(kp_log_offset_behind(log, topic, p, position, &offsets[p], &err), &err);
    must(kp_log_trim_partitions(log, topic, offsets, partitions, &err), &err);
    kp_free(offsets);
}

static void bench_sustained(uint64_t burst_bytes, uint64_t bytes, uint32_t partitions)
{
    uint64_t keep = KP_MIN(bytes / 4, (uint64_t)8 << 30), piece = (uint64_t)256 << 20;
    double burst = bare_rate(burst_bytes, false), bare = bare_rate_over(keep, bytes / 2, MEMORY_BYTES, false);
    uint32_t topic;
    struct kp_log *log = open_log_keeping(0, partitions, &topic);
    struct kp_log_sealed sealed;
    double start = seconds(), slowest = 0;
    for (uint64_t sent = 0; sent < bytes; sent += piece) {
        double at = seconds();
        (void)append_rate(log, topic, partitions, piece);
        keep_newest(log, topic, partitions, keep);
        slowest = KP_MAX(slowest, seconds() - at);
    }
    double rate = (double)bytes / (seconds() - start);
    kp_log_sealed(log, &sealed);
    kp_log_close(log);
    clear_dir();
    burst = (burst + bare_rate(burst_bytes, false)) / 2;
    bare = 2 / (1 / bare + 1 / bare_rate_over(keep, bytes / 2, MEMORY_BYTES, false));
    double batch_bytes = (double)KP_MAX(sealed.batch_bytes, (uint64_t)1);
    double written = (double)(sealed.journal_bytes + sealed.extent_bytes + sealed.merge_bytes);
    printf(
        "sustained, %llu GiB %8.0f MB/s, bare write of as much %8.0f MB/s: %5.2f x   of bursts %8.0f MB/s: %5.2f x   "
        "slowest quarter GiB %.1f s   written %.2f times: journal %.2f, extents %.2f, merges %.2f\n",
        (unsigned long long)(bytes >> 30), rate / 1e6, bare / 1e6, rate / bare, burst / 1e6, rate / burst, slowest,
        written / batch_bytes, (double)sealed.journal_bytes / batch_bytes, (double)sealed.extent_bytes / batch_bytes,
        (double)sealed.merge_bytes / batch_bytes);
}

/* ---- small appends ---- */

/* Of ROUNDS rows of `columns` numbers: the median of column a, or of a / b when those are two. */
static double median(const double *rows, int columns, int a, int b)
{
    double values[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        values[i] = a == b ? rows[i * columns + a] : rows[i * columns + a] / rows[i * columns + b];
    qsort(values, ROUNDS, sizeof *values, by_value);
    return values[ROUNDS / 2];
}

static void bench_small(void)
{
    enum { BARE_P50, BARE_P99, P50, P99, ONE, MANY, COLUMNS };
    double rows[ROUNDS][COLUMNS];
    for (int i = 0; i < ROUNDS; i++) {
        double *row = rows[i];
        uint32_t topic;
        bare_acks(&row[BARE_P50], &row[BARE_P99]);
        struct kp_log *log = open_log(&topic);
        log_acks(log, topic, &row[P50], &row[P99], &row[ONE]);
        row[MANY] = concurrent_rate(log, topic);
        kp_log_close(log);
        clear_dir();
    }
    double values[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        values[i] = median(rows[0], COLUMNS, i, i);
    printf("ack of a small append    p50 %6.0f us, bare %6.0f us: %5.2f x   p99 %6.0f us, bare %6.0f us: %+.2f ms\n",
           values[P50] * 1e6, values[BARE_P50] * 1e6, median(rows[0], COLUMNS, P50, BARE_P50), values[P99] * 1e6,
           values[BARE_P99] * 1e6, (values[P99] - values[BARE_P99]) * 1e3);
    printf("64 appenders             %8.0f /s, one %8.0f /s: %5.1f x\n", values[MANY], values[ONE],
           median(rows[0], COLUMNS, MANY, ONE));
}

/* ---- what is still in memory ---- */

static double memory_rate(uint64_t bytes)
{
    uint32_t topic;
    struct kp_log *log = open_log_keeping(bytes * 2, 1, &topic);
    (void)append_rate(log, topic, 1, bytes);
    double rates[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        rates[i] = read_rate(log, true);
    kp_log_close(log);
    clear_dir();
    return median(rates, 1, 0, 0);
}

int main(int argc, char **argv)
{
    os = kp_os_real();
    uint64_t bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 1024) << 20;
    struct kp_error err;
    snprintf(dir, sizeof dir, "%.200s/kappa-log-bench.tmp", argc > 1 ? argv[1] : ".");
    snprintf(file_path, sizeof file_path, "%s/bare", dir);
    must(os->mkdir(os->ctx, dir, &err), &err);
    clear_dir();
    if (argc > 3) {
        bench_sustained(bytes, strtoull(argv[3], NULL, 10) << 30, argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 1);
        return 0;
    }

    bench_small();
    enum { BARE, SYNCED, HOT, APPEND, COLUMNS };
    double burst[ROUNDS][COLUMNS];
    uint32_t topic;
    struct kp_log *log = NULL;
    for (int i = 0; i < ROUNDS; i++) {
        burst[i][BARE] = bare_rate(bytes, false);
        burst[i][SYNCED] = bare_rate(bytes, true);
        burst[i][HOT] = bare_rate_over(bytes, bytes, BLOCK_BYTES, false);
        log = open_log(&topic);
        (void)append_rate(log, topic, 1, WARM_BYTES); /* memory of the log's own, as a server has that runs */
        burst[i][APPEND] = append_rate(log, topic, 1, bytes);
        if (i + 1 == ROUNDS)
            break; /* this one is read below */
        kp_log_close(log);
        clear_dir();
    }
    double values[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        values[i] = median(burst[0], COLUMNS, i, i);
    printf(
        "append, validated        %8.0f MB/s, bare write %8.0f MB/s: %5.2f x   bare write+sync %8.0f MB/s: %5.2f x   "
        "of one block again and again %8.0f MB/s: %5.2f x\n",
        values[APPEND] / 1e6, values[BARE] / 1e6, median(burst[0], COLUMNS, APPEND, BARE), values[SYNCED] / 1e6,
        median(burst[0], COLUMNS, APPEND, SYNCED), values[HOT] / 1e6, median(burst[0], COLUMNS, APPEND, HOT));
    (void)read_rate(log, false); /* the memory is the machine's own by now, which it is not at first */
    double tail = read_rate(log, false), warm = read_rate(log, false);
    kp_log_close(log);
    double start = seconds();
    log = open_log(&topic);
    double resumed = seconds() - start;
    kp_log_close(log);
    char snapshot[300];
    snprintf(snapshot, sizeof snapshot, "%s/" KP_SNAPSHOT_NAME, dir);
    (void)!os->unlink(os->ctx, snapshot, NULL);
    start = seconds();
    log = open_log(&topic);
    double recovery = seconds() - start, again = read_rate(log, false);
    double disk = bare_read_rate(bytes);
    printf(
        "read by position         %8.0f MB/s, bare read %8.0f MB/s: %5.2f x   again %8.0f MB/s, reopened %8.0f MB/s\n",
        tail / 1e6, disk / 1e6, tail / disk, warm / 1e6, again / 1e6);
    printf("recovery                 %8.0f ms for %llu MiB of journal, %.0f ms from its snapshot\n", recovery * 1e3,
           (unsigned long long)(bytes >> 20), resumed * 1e3);
    kp_log_close(log);
    clear_dir();
    printf("read from memory         %8.0f MB/s\n", memory_rate(KP_MIN(bytes / 4, (uint64_t)512 << 20)) / 1e6);
    bench_partitions(bytes / 4);
    return 0;
}
