/*
 * JSON to typed columns, one thread: 7 columns of Nexmark bids of about 247 bytes, from record batches in memory.
 * Beside ours: simdjson's On Demand used as its documentation does (decode_bench_peer.cc), and a C kernel that knows
 * the order of keys, their spelling and the types and checks little else. Prints GB/s of JSON text and ratios; best of
 * some rounds each.
 *
 *   decode_bench [records [rounds [steady]]]     steady: only ours in steady order, for a profiler
 */
#include <stdio.h>
#include <stdlib.h>

#include "decode/decode.h"
#include "decode/decode_bench.h"
#include "decode/json_scan.h"
#include "os/os.h"

enum { KEYS = 7, BATCH_BYTES = 1 << 20 };

/* ---- data ---- */

static uint64_t random_state = 42;
static uint64_t random_u64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void random_text(struct kp_buf *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        kp_buf_append_byte(out, (uint8_t)('a' + random_u64() % 26));
}

static void append_member(struct kp_buf *out, int key, uint64_t event)
{
    static const char *const channels[] = {"Google", "Facebook", "Baidu", "Apple"};
    uint64_t ms = event / 100;
    switch (key) {
    case 0:
        kp_buf_printf(out, "\"auction\":%u", 1000 + (unsigned)(random_u64() % 20000));
        break;
    case 1:
        kp_buf_printf(out, "\"bidder\":%u", 1000 + (unsigned)(random_u64() % 10000));
        break;
    case 2:
        kp_buf_printf(out, "\"price\":%u", 100 + (unsigned)(random_u64() % (10u << random_u64() % 22)));
        break;
    case 3:
        if (random_u64() & 1)
            kp_buf_printf(out, "\"channel\":\"%s\"", channels[random_u64() % 4]);
        else
            kp_buf_printf(out, "\"channel\":\"channel-%u\"", (unsigned)(random_u64() % 10000));
        break;
    case 4:
        kp_buf_append_text(out, "\"url\":\"https://www.nexmark.com/");
        for (int i = 0; i < 3; i++) {
            random_text(out, 5);
            kp_buf_append_byte(out, i < 2 ? '_' : '/');
        }
        kp_buf_append_text(out, "item.htm?query=1\"");
        break;
    case 5:
        kp_buf_printf(out, "\"dateTime\":\"2015-07-15 %02u:%02u:%02u.%03u\"", (unsigned)(ms / 3600000 % 24),
                      (unsigned)(ms / 60000 % 60), (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));
        break;
    default:
        kp_buf_append_text(out, "\"extra\":\"");
        random_text(out, 30 + random_u64() % 41);
        kp_buf_append_byte(out, '"');
    }
}

struct data {
    struct kp_buf bytes;
    struct kp_decode_input *inputs;
    size_t count;
    uint64_t json_bytes, records;
};

static void data_make(struct data *data, uint64_t records, bool shuffled)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf text = {0};
    struct kp_error err;
    size_t cap = (size_t)(records * 320 / BATCH_BYTES) + 16, at = 0;
    size_t *ends = kp_calloc(cap, sizeof *ends);
    *data = (struct data){.records = records, .inputs = kp_calloc(cap, sizeof *data->inputs)};
    for (uint64_t i = 0; i < records; i++) {
        int order[KEYS] = {0, 1, 2, 3, 4, 5, 6};
        for (unsigned k = KEYS - 1; shuffled && k > 0; k--) {
            unsigned other = (unsigned)(random_u64() % (k + 1));
            int swap = order[k];
            order[k] = order[other];
            order[other] = swap;
        }
        text.len = 0;
        kp_buf_append_byte(&text, '{');
        for (int k = 0; k < KEYS; k++) {
            if (k)
                kp_buf_append_byte(&text, ',');
            append_member(&text, order[k], i);
        }
        kp_buf_append_byte(&text, '}');
        data->json_bytes += text.len;
        kp_record_batch_add(&builder, (int64_t)i, (struct kp_str){NULL, 0},
                            (struct kp_str){(char *)text.data, text.len}, (struct kp_str){NULL, 0});
        if (kp_record_batch_builder_bytes(&builder) < BATCH_BYTES && i + 1 < records)
            continue;
        if (kp_record_batch_build(&builder, KP_CODEC_NONE, &data->bytes, &err) != KP_OK)
            abort();
        ends[data->count++] = data->bytes.len;
    }
    kp_buf_reserve(&data->bytes, KP_JSON_PADDING); /* the peers read behind the last record */
    for (size_t i = 0; i < data->count; i++) {
        data->inputs[i].batch = data->bytes.data + at;
        data->inputs[i].bytes = (uint32_t)(ends[i] - at);
        at = ends[i];
    }
    kp_free(ends);
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&text);
}

static void data_finish(struct data *data)
{
    kp_buf_finish(&data->bytes);
    kp_free(data->inputs);
}

/* ---- ours ---- */

static struct kp_decode_state *state;
static uint64_t rows_seen;

static enum kp_code count_rows(void *arg, const struct kp_decoded *decoded, struct kp_error *err)
{
    rows_seen += decoded->batch->rows;
    return KP_OK;
}

static void run_ours(const struct data *data, size_t input, struct kp_arena *arena)
{
    struct kp_error err;
    if (kp_decode(state, &data->inputs[input], 1, arena, count_rows, NULL, NULL, &err) != KP_OK)
        abort();
}

/* ---- the C kernel that knows the order ---- */

static inline const uint8_t *kernel_integer(const uint8_t *p, int64_t *ret_value)
{
    int64_t value = 0;
    for (; *p >= '0'; p++)
        value = value * 10 + (*p - '0');
    *ret_value = value;
    return p;
}

static inline const uint8_t *kernel_text(const uint8_t *p, struct kp_text *ret_text)
{
    const uint8_t *start = p;
#if defined(__AVX2__)
    uint32_t quotes;
    while ((quotes = (uint32_t)_mm256_movemask_epi8(
                _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)p), _mm256_set1_epi8('"')))) == 0)
        p += 32;
    p += __builtin_ctz(quotes);
#else
    p = memchr(p, '"', 1 << 20);
#endif
    *ret_text = kp_text_make((const char *)start, (size_t)(p - start));
    return p;
}

static int64_t kernel_time(const uint8_t *p)
{
    static uint8_t last_day[10];
    static int64_t last_us;
    if (memcmp(p, last_day, 10) != 0) {
        int year = (p[0] - '0') * 1000 + (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
        int month = (p[5] - '0') * 10 + (p[6] - '0'), day = (p[8] - '0') * 10 + (p[9] - '0');
        int y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
        last_us = (int64_t)(y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 730425) * 86400000000;
        memcpy(last_day, p, 10);
    }
    int64_t seconds = ((p[11] - '0') * 10 + (p[12] - '0')) * 3600 + ((p[14] - '0') * 10 + (p[15] - '0')) * 60 +
                      (p[17] - '0') * 10 + (p[18] - '0');
    return last_us + seconds * 1000000 + ((p[20] - '0') * 100 + (p[21] - '0') * 10 + (p[22] - '0')) * 1000;
}

#define EXPECT_KEY(p, literal)                                                                                         \
    do {                                                                                                               \
        if (memcmp(p, literal, sizeof literal - 1) != 0)                                                               \
            abort();                                                                                                   \
        p += sizeof literal - 1;                                                                                       \
    } while (0)

static void run_kernel(const struct data *data, size_t input, struct kp_arena *arena)
{
    struct kp_record_reader reader;
    struct kp_record record;
    struct kp_error err;
    if (kp_record_reader_init(&reader, data->inputs[input].batch, data->inputs[input].bytes, arena, &err) != KP_OK)
        abort();
    size_t rows = (size_t)reader.left;
    int64_t *integers[4];
    struct kp_text *texts[3];
    for (int i = 0; i < 4; i++)
        integers[i] = kp_arena_alloc(arena, rows * sizeof(int64_t));
    for (int i = 0; i < 3; i++)
        texts[i] = kp_arena_alloc(arena, rows * sizeof(struct kp_text));
    size_t row = 0;
    for (; kp_record_reader_step(&reader, &record, &err); row++) {
        const uint8_t *p = (const uint8_t *)record.value.ptr;
        EXPECT_KEY(p, "{\"auction\":");
        p = kernel_integer(p, &integers[0][row]);
        EXPECT_KEY(p, ",\"bidder\":");
        p = kernel_integer(p, &integers[1][row]);
        EXPECT_KEY(p, ",\"price\":");
        p = kernel_integer(p, &integers[2][row]);
        EXPECT_KEY(p, ",\"channel\":\"");
        p = kernel_text(p, &texts[0][row]);
        EXPECT_KEY(p, "\",\"url\":\"");
        p = kernel_text(p, &texts[1][row]);
        EXPECT_KEY(p, "\",\"dateTime\":\"");
        integers[3][row] = kernel_time(p);
        p += 23;
        EXPECT_KEY(p, "\",\"extra\":\"");
        p = kernel_text(p, &texts[2][row]);
        EXPECT_KEY(p, "\"}");
    }
    rows_seen += row;
}

/* ---- simdjson ---- */

static void run_simdjson(const struct data *data, size_t input, struct kp_arena *arena)
{
    struct kp_record_reader reader;
    struct kp_record record;
    struct kp_error err;
    if (kp_record_reader_init(&reader, data->inputs[input].batch, data->inputs[input].bytes, arena, &err) != KP_OK)
        abort();
    size_t rows = (size_t)reader.left;
    int64_t *integers = kp_arena_alloc(arena, 4 * rows * sizeof(int64_t));
    struct kp_bench_text *texts = kp_arena_alloc(arena, 3 * rows * sizeof(struct kp_bench_text));
    const struct kp_bench_columns columns = {integers, integers + rows, integers + 2 * rows, integers + 3 * rows,
                                             texts,    texts + rows,    texts + 2 * rows};
    size_t row = 0;
    for (; kp_record_reader_step(&reader, &record, &err); row++)
        kp_bench_simdjson_bid(record.value.ptr, record.value.len, &columns, row);
    rows_seen += row;
}

/* ---- measuring ---- */

struct contender {
    const struct data *data;
    void (*run)(const struct data *, size_t, struct kp_arena *);
    bool general_only;
    int64_t best_ns;
};

/* Best time of each; in turns, so that a slow moment of the machine hits all alike. */
static void measure(struct contender *contenders, size_t count, int rounds)
{
    struct kp_os *os = kp_os_real();
    struct kp_arena arena = {0};
    for (int round = 0; round <= rounds; round++) {
        for (struct contender *c = contenders; c < contenders + count; c++) {
            rows_seen = 0;
            kp_decode_state_set_general_only(state, c->general_only);
            int64_t start = os->mono_ns(os->ctx);
            for (size_t i = 0; i < c->data->count; i++) {
                c->run(c->data, i, &arena);
                kp_arena_reset(&arena);
            }
            int64_t ns = os->mono_ns(os->ctx) - start;
            if (rows_seen != c->data->records)
                abort();
            if (round == 0 || ns < c->best_ns)
                c->best_ns = ns;
        }
    }
    kp_arena_finish(&arena);
}

static double gb_per_second(const struct contender *contender)
{
    return (double)contender->data->json_bytes / (double)contender->best_ns;
}

int main(int argc, char **argv)
{
    static const struct kp_field fields[KEYS] = {
        {.name = "auction", .type = {KP_INT8, -1, 0}}, {.name = "bidder", .type = {KP_INT8, -1, 0}},
        {.name = "price", .type = {KP_INT8, -1, 0}},   {.name = "channel", .type = {KP_TEXT, -1, 0}},
        {.name = "url", .type = {KP_TEXT, -1, 0}},     {.name = "dateTime", .type = {KP_TIMESTAMP, -1, 0}},
        {.name = "extra", .type = {KP_TEXT, -1, 0}}};
    const struct kp_decoder_options options = {.format = KP_FORMAT_JSON, .fields = fields, .field_count = KEYS};
    uint64_t records = argc > 1 ? strtoull(argv[1], NULL, 10) : 400000;
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    struct kp_error err;
    struct kp_decoder *decoder;
    struct data steady, shuffled;
    if (records == 0 || kp_decoder_create(&options, &decoder, &err) != KP_OK)
        return 1;
    state = kp_decode_state_create(decoder);
    data_make(&steady, records, false);
    data_make(&shuffled, records, true);
    struct contender contenders[] = {{&steady, run_ours, false, 0},       {&steady, run_kernel, false, 0},
                                     {&steady, run_simdjson, false, 0},   {&shuffled, run_ours, false, 0},
                                     {&shuffled, run_simdjson, false, 0}, {&steady, run_ours, true, 0}};
    measure(contenders, argc > 3 ? 1 : KP_COUNT(contenders), rounds);
    double speeds[KP_COUNT(contenders)] = {0};
    for (size_t i = 0; i < (argc > 3 ? 1 : KP_COUNT(contenders)); i++)
        speeds[i] = gb_per_second(&contenders[i]);
    printf("%llu bids of %.0f bytes, 7 columns, one thread\n", (unsigned long long)records,
           (double)steady.json_bytes / (double)records);
    printf(
        "steady keys:   kappa %.2f GB/s, fixed-order C %.2f (ratio %.2f, at least 0.80), simdjson %.2f (ratio %.2f)\n",
        speeds[0], speeds[1], speeds[0] / speeds[1], speeds[2], speeds[0] / speeds[2]);
    printf("shuffled keys: kappa %.2f GB/s, simdjson %.2f (ratio %.2f, at least 0.80)\n", speeds[3], speeds[4],
           speeds[3] / speeds[4]);
    printf("general path alone: %.2f GB/s\n", speeds[5]);
    data_finish(&steady);
    data_finish(&shuffled);
    kp_decode_state_destroy(state);
    kp_decoder_destroy(decoder);
    return 0;
}
