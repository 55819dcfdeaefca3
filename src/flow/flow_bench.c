/*
 * The engine alone: Nexmark queries over record batches in memory (JSON, decoded in the run), in steps of a given size.
 *
 *   kappa-nexmark --events 2000000 > /tmp/events.ndjson
 *   flow_bench /tmp/events.ndjson [workers [records a step [query …]]]
 *
 * Prints events per second for each query, and with KAPPA_NODES=1 every operator's time and state.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "flow/flow.h"
#include "os/os.h"
#include "sql/sql.h"

enum { RECORDS_A_BATCH = 2000 };

static const char *const sources[] = {"CREATE SOURCE bid (auction bigint, bidder bigint, price bigint, channel text, "
                                      "url text, \"dateTime\" timestamp, extra text, "
                                      "WATERMARK FOR \"dateTime\" AS \"dateTime\" - INTERVAL '4 seconds') WITH (topic "
                                      "= 'nexmark', format = 'json', path = 'bid')",
                                      "CREATE SOURCE auction (id bigint, \"itemName\" text, description text, "
                                      "\"initialBid\" bigint, reserve bigint, \"dateTime\" timestamp, "
                                      "expires timestamp, seller bigint, category bigint, extra text, WATERMARK FOR "
                                      "\"dateTime\" AS \"dateTime\" - INTERVAL '4 seconds') "
                                      "WITH (topic = 'nexmark', format = 'json', path = 'auction')",
                                      "CREATE SOURCE person (id bigint, name text, \"emailAddress\" text, "
                                      "\"creditCard\" text, city text, state text, \"dateTime\" timestamp, "
                                      "extra text, WATERMARK FOR \"dateTime\" AS \"dateTime\" - INTERVAL '4 seconds') "
                                      "WITH (topic = 'nexmark', format = 'json', path = 'person')"};

static const struct {
    const char *name, *text;
} queries[] = {
    {"q0", "SELECT auction, bidder, price, \"dateTime\", extra FROM bid"},
    {"q1", "SELECT auction, bidder, 0.908 * price AS price, \"dateTime\", extra FROM bid"},
    {"q2", "SELECT auction, price FROM bid WHERE auction % 123 = 0"},
    {"q3", "SELECT p.name, p.city, p.state, a.id FROM auction AS a JOIN person AS p ON a.seller = p.id "
           "WHERE a.category = 10 AND (p.state = 'OR' OR p.state = 'ID' OR p.state = 'CA')"},
    {"q5",
     "SELECT b.auction, b.num FROM (SELECT auction, count(*) AS num, window_start, window_end "
     "FROM hop(bid, \"dateTime\", INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY auction, window_start, "
     "window_end) AS b "
     "JOIN (SELECT max(num) AS maxn, window_start, window_end FROM (SELECT count(*) AS num, window_start, window_end "
     "FROM hop(bid, \"dateTime\", INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY auction, window_start, "
     "window_end) AS c "
     "GROUP BY window_start, window_end) AS m ON b.window_start = m.window_start AND b.window_end = m.window_end AND "
     "b.num >= m.maxn"},
    {"q7", "SELECT b.auction, b.price, b.bidder, b.\"dateTime\", b.extra FROM tumble(bid, \"dateTime\", INTERVAL '10 "
           "seconds') AS b "
           "JOIN (SELECT max(price) AS maxprice, window_start, window_end FROM tumble(bid, \"dateTime\", INTERVAL '10 "
           "seconds') "
           "GROUP BY window_start, window_end) AS m ON b.price = m.maxprice AND b.window_start = m.window_start"},
    {"q8", "SELECT p.id, p.name, p.window_start FROM (SELECT id, name, window_start, window_end "
           "FROM tumble(person, \"dateTime\", INTERVAL '10 seconds') GROUP BY id, name, window_start, window_end) AS p "
           "JOIN (SELECT seller, window_start, window_end FROM tumble(auction, \"dateTime\", INTERVAL '10 seconds') "
           "GROUP BY seller, window_start, window_end) AS a "
           "ON p.id = a.seller AND p.window_start = a.window_start AND p.window_end = a.window_end"},
    {"count", "SELECT auction, count(*) FROM bid GROUP BY auction"},
    {"few", "SELECT channel, count(*), sum(price), max(price) FROM bid GROUP BY channel"},
    {"top", "SELECT auction, price FROM bid ORDER BY price DESC LIMIT 10"},
};

struct input {
    struct kp_decode_input *chunks;
    size_t count, records, bytes;
    struct kp_buf memory;
};

static void die(const char *what, const struct kp_error *err)
{
    fprintf(stderr, "%s: %s %s\n", what, err->sqlstate, err->message);
    exit(1);
}

/* Packs the lines of a file into record batches. */
static void load(const char *path, struct input *input)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    struct kp_record_batch_builder builder = {0};
    struct kp_error err;
    char *line = NULL;
    size_t cap = 0, in_batch = 0, offsets_cap = 0, *offsets = NULL;
    ssize_t len;
    do {
        len = getline(&line, &cap, file);
        if (len > 0) {
            kp_record_batch_add(&builder, 0, (struct kp_str){NULL, 0}, (struct kp_str){line, (size_t)len - 1},
                                (struct kp_str){"\0", 1});
            in_batch++;
            input->records++;
            input->bytes += (size_t)len;
        }
        if (in_batch == RECORDS_A_BATCH || (len < 0 && in_batch)) {
            if (input->count == offsets_cap)
                offsets = kp_realloc(offsets, (offsets_cap = offsets_cap ? offsets_cap * 2 : 64) * sizeof *offsets);
            offsets[input->count++] = input->memory.len;
            if (kp_record_batch_build(&builder, KP_CODEC_NONE, &input->memory, &err) != KP_OK)
                die("building", &err);
            in_batch = 0;
        }
    } while (len > 0);
    fclose(file);
    free(line);
    kp_record_batch_builder_finish(&builder);
    input->chunks = kp_calloc(input->count, sizeof *input->chunks);
    for (size_t i = 0; i < input->count; i++) {
        size_t end = i + 1 < input->count ? offsets[i + 1] : input->memory.len;
        input->chunks[i] = (struct kp_decode_input){.base_offset = (int64_t)(i * RECORDS_A_BATCH),
                                                    .position = (int64_t)(i * RECORDS_A_BATCH),
                                                    .batch = input->memory.data + offsets[i],
                                                    .bytes = (uint32_t)(end - offsets[i])};
    }
    kp_free(offsets);
}

static struct kp_catalog *make_catalog(void)
{
    struct kp_catalog *catalog = kp_catalog_create();
    static const struct kp_session_settings settings;
    struct kp_sql_context context = {.catalog = catalog, .settings = &settings};
    struct kp_error err;
    for (size_t i = 0; i < KP_COUNT(sources); i++) {
        struct kp_arena arena = {0};
        struct kp_statement *statement;
        struct kp_relation *relation;
        if (kp_sql_parse(kp_str(sources[i]), &arena, &statement, &err) != KP_OK ||
            kp_sql_bind_create(&context, statement, &relation, &err) != KP_OK)
            die("a source", &err);
        relation->id = (uint32_t)i + 1;
        relation->version = 1;
        if (kp_catalog_add(catalog, relation, false, &err) != KP_OK)
            die("a source", &err);
        kp_arena_finish(&arena);
    }
    return catalog;
}

static void print_nodes(const struct kp_graph *graph)
{
    struct kp_node_stats *stats;
    size_t count;
    kp_graph_stats(graph, &stats, &count);
    for (size_t i = 0; i < count; i++)
        printf("    %2u %-10s %-32.32s in %10llu out %10llu %8.1f ms state %9llu rows %10llu bytes%s\n", stats[i].id,
               stats[i].kind, stats[i].detail, (unsigned long long)stats[i].rows_in,
               (unsigned long long)stats[i].rows_out, (double)stats[i].ns / 1e6,
               (unsigned long long)stats[i].state_rows, (unsigned long long)stats[i].state_bytes,
               stats[i].growing ? " growing" : "");
    kp_free(stats);
}

static bool reads(const struct kp_plan *plan, uint32_t id)
{
    if (plan->kind == KP_PLAN_SCAN)
        return plan->scan.relation->id == id;
    for (uint32_t i = 0; i < plan->input_count; i++)
        if (reads(plan->inputs[i], id))
            return true;
    return false;
}

static void run(const char *name, const char *text, struct kp_catalog *catalog, const struct input *input,
                struct kp_workers *workers, size_t step_records)
{
    static const struct kp_session_settings settings;
    struct kp_sql_context context = {.catalog = catalog, .settings = &settings};
    struct kp_graph_options options = {.workers = workers};
    struct kp_arena arena = {0};
    struct kp_statement *statement;
    struct kp_plan_root *root;
    struct kp_graph *graph;
    struct kp_node *node;
    struct kp_error err;
    kp_error_clear(&err);
    if (kp_sql_parse(kp_str(text), &arena, &statement, &err) != KP_OK ||
        kp_sql_bind_query(&context, statement, &root, &err) != KP_OK ||
        kp_graph_create(&options, &graph, &err) != KP_OK ||
        kp_graph_add_plan(graph, root->plan, &settings, NULL, NULL, &node, &err) != KP_OK)
        die(name, &err);
    struct kp_output *output = kp_graph_add_output(graph, node);
    struct kp_os *os = kp_os_real();
    int64_t start_ns = os->mono_ns(os->ctx);
    clock_t start_cpu = clock();
    uint64_t rows = 0;
    size_t step_chunks = KP_MAX(step_records / RECORDS_A_BATCH, 1);
    for (size_t at = 0; at < input->count; at += step_chunks) {
        struct kp_step_input inputs[3];
        struct kp_step step = {.inputs = inputs};
        for (uint32_t id = 1; id <= 3; id++)
            if (reads(root->plan, id) && kp_graph_relation(graph, kp_catalog_find_id(catalog, id),
                                                           &inputs[step.input_count].node, &err) == KP_OK) {
                inputs[step.input_count].chunks = input->chunks + at;
                inputs[step.input_count].chunk_count = KP_MIN(step_chunks, input->count - at);
                inputs[step.input_count].batch_count = 0;
                step.input_count++;
            }
        if (kp_graph_step(graph, &step, &err) != KP_OK)
            die(name, &err);
        rows += kp_output_changes(output)->rows;
    }
    double seconds = (double)(os->mono_ns(os->ctx) - start_ns) / 1e9;
    printf("%-6s %6.2f M events/s   %7.3f s   %7.0f ns of processor an event   %10llu changes\n", name,
           (double)input->records / seconds / 1e6, seconds,
           (double)(clock() - start_cpu) / CLOCKS_PER_SEC * 1e9 / (double)input->records, (unsigned long long)rows);
    if (getenv("KAPPA_NODES"))
        print_nodes(graph);
    kp_graph_destroy(graph);
    kp_plan_release(root);
    kp_arena_finish(&arena);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: flow_bench FILE [WORKERS [RECORDS [QUERY …]]]\n");
        return 2;
    }
    struct input input = {0};
    load(argv[1], &input);
    uint32_t worker_count = argc > 2 ? (uint32_t)atoi(argv[2]) : 2;
    size_t step_records = argc > 3 ? (size_t)atoll(argv[3]) : 200000;
    struct kp_workers *workers = kp_workers_create(worker_count);
    printf("%zu records, %.0f bytes each, %u workers, steps of %zu\n", input.records,
           (double)input.bytes / (double)input.records, worker_count, step_records);
    for (size_t q = 0; q < KP_COUNT(queries); q++) {
        bool wanted = argc <= 4;
        for (int i = 4; i < argc; i++)
            wanted |= strcmp(argv[i], queries[q].name) == 0;
        if (!wanted)
            continue;
        struct kp_catalog *catalog = make_catalog();
        run(queries[q].name, queries[q].text, catalog, &input, workers, step_records);
        kp_catalog_destroy(catalog);
    }
    kp_workers_destroy(workers);
    kp_buf_finish(&input.memory);
    kp_free(input.chunks);
    return 0;
}
