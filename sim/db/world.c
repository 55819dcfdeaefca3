/* One history of an instance: started, used by clients, broken by faults, started again, checked. */
#include "sim/db/world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "log/inspect.h"
#include "log/record_batch.h"

/* Allocations are counted while the reference history runs; one of them may fail. */
static struct allocations {
    uint64_t count, fail_at;
    bool counting;
} allocations;

static bool allow(size_t bytes)
{
    return !allocations.counting || ++allocations.count != allocations.fail_at;
}

static void die(const char *what, const char *file, int line)
{
    if (allocations.counting && allocations.count == allocations.fail_at) {
        allocations.counting = false;
        kp_sim_tasks_abandon();
    }
    fprintf(stderr, "fatal: %s (%s:%d)\n", what, file, line);
}

static uint64_t below(struct world *world, uint64_t limit)
{
    return kp_sim_below(world->sim, limit);
}

void world_tell(const struct world *world, const char *format, ...)
{
    if (!world->tells)
        return;
    va_list args;
    va_start(args, format);
    printf("%llu: ", (unsigned long long)kp_sim_calls(world->sim));
    vprintf(format, args);
    printf("\n");
    fflush(stdout);
    va_end(args);
}

/* Most of the time the power goes; else the process is killed, and what it wrote may still be lost later. */
static enum kp_sim_cut some_cut(struct world *world)
{
    return below(world, 3) ? KP_SIM_CUT_RANDOM : KP_SIM_CUT_KEEP;
}

static void no_faults(struct world *world)
{
    kp_sim_plan_cut(world->sim, 0, KP_SIM_CUT_RANDOM);
    kp_sim_plan_failure(world->sim, 0, KP_OK);
    kp_sim_set_capacity(world->sim, 0);
    world->faults = false;
}

static void note_complaint(void *arg, char level, const char *text)
{
    struct world *world = arg;
    world->complaint.len = 0;
    kp_buf_printf(&world->complaint, "%s", text);
    kp_buf_append_byte(&world->complaint, 0);
}

/* The process is gone, or the machine: what is in memory is freed, every call fails. */
static void go_down(struct world *world, bool crash)
{
    if (crash && kp_sim_powered(world->sim))
        kp_sim_cut(world->sim, some_cut(world));
    world_tell(world, "down: %s", crash ? "a crash" : kp_sim_powered(world->sim) ? "closed" : "no power");
    kp_db_close(world->db);
    world->db = NULL;
    world->crashes += crash || !kp_sim_powered(world->sim);
    kp_sim_plan_cut(world->sim, 0, KP_SIM_CUT_RANDOM);
    kp_sim_plan_failure(world->sim, 0, KP_OK);
    if (!kp_sim_powered(world->sim))
        kp_sim_power_on(world->sim, KP_SIM_CUT_RANDOM);
}

/* ---- starting ---- */

enum { ALWAYS, IF_TRIMS, IF_COMPACTS };
static const struct {
    int when;
    const char *sql;
} setup[] = {
    {ALWAYS, "CREATE SOURCE IF NOT EXISTS ev (k int, x bigint, id bigint) WITH (topic = 'ev', partitions = 2)"},
    {ALWAYS, "CREATE TABLE IF NOT EXISTS item (id int PRIMARY KEY, name text, n bigint)"},
    {ALWAYS, "CREATE MATERIALIZED VIEW IF NOT EXISTS agg AS SELECT k, count(*) AS n, sum(x) AS s, max(x) AS m FROM ev "
             "WHERE x >= 0 GROUP BY k"},
    {ALWAYS, "CREATE MATERIALIZED VIEW IF NOT EXISTS dist AS SELECT n, count(*) AS c FROM agg GROUP BY n"},
    {ALWAYS, "CREATE MATERIALIZED VIEW IF NOT EXISTS joined AS SELECT i.name, count(*) AS n, sum(e.x) AS s FROM ev e "
             "JOIN item i ON e.k = i.id GROUP BY i.name"},
    {ALWAYS, "CREATE MATERIALIZED VIEW IF NOT EXISTS top AS SELECT k, x, id FROM ev ORDER BY x DESC, id LIMIT 3"},
    {ALWAYS, "CREATE SINK IF NOT EXISTS out FROM agg WITH (topic = 'out')"},
    {IF_TRIMS, "CREATE MATERIALIZED VIEW IF NOT EXISTS recent AS SELECT k, count(*) AS n, sum(x) AS s FROM ev GROUP BY "
               "k ON EXPIRY RETRACT"},
    {IF_TRIMS, "CREATE SINK IF NOT EXISTS recent_out FROM recent WITH (topic = 'recent_out')"},
    {IF_COMPACTS, "CREATE SINK IF NOT EXISTS joined_out FROM joined WITH (topic = 'joined_out')"},
    {IF_COMPACTS, "ALTER TOPIC item SET (cleanup = 'compact', delete_retention = '0 seconds')"},
};

static bool is_wanted(const struct world *world, int when)
{
    return when == ALWAYS || (when == IF_TRIMS ? world->trims : world->compacts);
}

/* Opens, waits for the replay, makes what is missing. False: a fault came in between. */
static bool try_start(struct world *world)
{
    struct kp_error err;
    enum kp_code code = kp_db_open(&world->options, &world->db, &err);
    if (code != KP_OK) {
        world->db = NULL;
        world_surprise(world, "open", &err);
        return false;
    }
    (void)kp_db_wait_ready(world->db, -1);
    code = kp_db_health(world->db, &err);
    for (size_t i = 0; code == KP_OK && i < KP_COUNT(setup); i++)
        if (is_wanted(world, setup[i].when))
            code = world_query(world, setup[i].sql, NULL, NULL, &err);
    if (code != KP_OK)
        world_surprise(world, "start", &err);
    return code == KP_OK;
}

static void start(struct world *world, bool may_fault)
{
    for (int attempt = 0; !world->failure[0]; attempt++) {
        if (may_fault && attempt < 3 && below(world, 3) == 0) {
            world->faults = true;
            if (below(world, 3))
                kp_sim_plan_cut(world->sim, 1 + below(world, 60), some_cut(world));
            else
                kp_sim_plan_failure(world->sim, 1 + below(world, 60), below(world, 3) ? KP_IO : KP_FULL);
        }
        bool good = try_start(world);
        if (good && kp_sim_powered(world->sim)) {
            no_faults(world);
            kp_sim_tasks_settle();
            struct kp_error err;
            if (kp_db_health(world->db, &err) == KP_OK) {
                world_tell(world, "up at %lld", (long long)kp_log_position(kp_db_log(world->db)));
                return;
            }
        }
        go_down(world, below(world, 2));
        no_faults(world);
    }
}

/* ---- an episode ---- */

static void plan_faults(struct world *world)
{
    uint64_t kind = below(world, 10);
    world->faults = kind != 0;
    if (below(world, 3) == 0)
        kp_sim_clock_jump(world->sim, (int64_t)below(world, 20000000000) - 10000000000);
    if (kind >= 1 && kind <= 5)
        kp_sim_plan_cut(world->sim, 1 + below(world, below(world, 2) ? 60 : 600), some_cut(world));
    else if (kind <= 7 && kind >= 6)
        kp_sim_plan_failure(world->sim, 1 + below(world, 300), below(world, 3) ? KP_IO : KP_FULL);
    else if (kind == 8)
        kp_sim_set_capacity(world->sim, 1);
}

/* After a full disk everything goes on by itself. */
static void check_room_again(struct world *world)
{
    struct kp_error err;
    char sql[64];
    no_faults(world);
    kp_sim_tasks_settle(); /* what was queued before is refused or in */
    enum kp_code code = kp_db_health(world->db, &err);
    snprintf(sql, sizeof sql, "CREATE TOPIC room%u", world->episode);
    for (int i = 0; i == 0 || (i < 10 && code == KP_FULL && err.retriable); i++) { /* the log looks now and then */
        kp_sim_tasks_sleep(i * 500000);
        code = code == KP_OK || i > 0 ? world_query(world, sql, NULL, NULL, &err) : code;
    }
    CHECK(world, code == KP_OK, "there is room again, but: %s", err.message);
}

static void run_episode(struct world *world, uint32_t operations)
{
    bool full;
    world->operations_left = operations;
    world->stop = false;
    plan_faults(world);
    full = kp_sim_capacity(world->sim) != 0;
    world_clients_run(world);
    if (full && kp_sim_powered(world->sim) && !world->failure[0])
        check_room_again(world);
    go_down(world, below(world, 6) != 0);
    no_faults(world);
    world->episode++;
}

static void keep_problem(void *arg, const char *text)
{
    struct world *world = arg;
    CHECK(world, false, "verify: %s", text);
}

struct running {
    struct world *world;
    const struct world_options *options;
    uint64_t trace;
    bool picked_up;
};

/* With one fault at a given call or allocation, or none: everything from the first start on. */
static void run_reference(struct world *world, const struct world_options *options)
{
    world->faults = options->fault_at || options->no_memory_at;
    if (options->fail == KP_OK)
        kp_sim_plan_cut(world->sim, options->fault_at, options->cut);
    else
        kp_sim_plan_failure(world->sim, options->fault_at, options->fail);
    allocations = (struct allocations){.fail_at = options->no_memory_at, .counting = true};
    for (uint32_t i = 0; i < options->episodes; i++) {
        if (!world->db && !try_start(world))
            break;
        world->operations_left = options->operations / options->episodes;
        world_clients_run(world);
        if (!kp_sim_powered(world->sim))
            break;
        kp_db_close(world->db);
        world->db = NULL;
        world->episode++;
    }
    allocations.counting = false;
    world->reference_calls = kp_sim_calls(world->sim);
    go_down(world, false);
    no_faults(world);
}

/* What was left behind when memory ran out. */
static void pick_up(struct world *world)
{
    world->db = NULL;
    world->item_states = 2;
    world->crashes++;
    for (int i = 0; i < PRODUCERS; i++)
        world->producers[i].in_flight = 0;
    kp_sim_kill(world->sim);
    if (below(world, 2))
        kp_sim_power_on(world->sim, KP_SIM_CUT_RANDOM);
    no_faults(world);
    world->episode++;
}

static uint64_t operations(const struct world *world)
{
    return world->did.appends + world->did.transactions + world->did.reads + world->did.ddl;
}

/* Episodes follow until there were enough operations and crashes. */
static bool more(const struct world *world, const struct world_options *options)
{
    return !options->reference && !world->failure[0] &&
           (operations(world) < options->operations || world->crashes < options->crashes_min);
}

static void live(void *arg)
{
    struct running *running = arg;
    struct world *world = running->world;
    const struct world_options *options = running->options;
    if (options->reference && !running->picked_up)
        run_reference(world, options);
    while (more(world, options)) {
        start(world, true);
        if (!world->failure[0])
            world_check(world);
        if (!world->failure[0])
            run_episode(world, options->operations / options->episodes);
    }
    if (!world->failure[0])
        start(world, false);
    if (!world->failure[0])
        world_check(world);
    go_down(world, false);
    struct kp_inspect_report report;
    struct kp_error err;
    enum kp_code code = kp_inspect_verify(kp_sim_os(world->sim), WORLD_DIR, keep_problem, world, &report, &err);
    CHECK(world, code == KP_OK, "verify: %s", err.message);
    if (world->rots && !world->failure[0])
        world_rot(world);
    running->trace = kp_sim_tasks_trace();
}

static void finish(struct world *world)
{
    for (int i = 0; i < PRODUCERS; i++) {
        kp_free(world->producers[i].sent);
        kp_mutex_finish(&world->producers[i].mutex);
        kp_cond_finish(&world->producers[i].moved);
    }
    for (size_t i = 0; i < world->answer_count; i++)
        kp_free(world->answers[i].text);
    kp_free(world->answers);
    kp_free(world->versions);
    world_history_finish(&world->history);
    kp_buf_finish(&world->complaint);
    kp_sim_destroy(world->sim);
}

struct kp_buf world_record(struct kp_str value)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    kp_record_batch_add(&builder, 1700000000000, (struct kp_str){0}, value, (struct kp_str){0});
    enum kp_code code = kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, NULL);
    KP_ASSERT(code == KP_OK);
    kp_record_batch_builder_finish(&builder);
    return batch;
}

void world_run(const struct world_options *options, struct world_result *ret_result)
{
    struct world *world = kp_calloc(1, sizeof *world);
    world->sim = kp_sim_create(options->seed);
    world->tells = getenv("KAPPA_SIM_TRACE");
    world->item_states = 1;
    world->active = 1;
    world->other = NO_DEFINITION;
    for (int i = 0; i < PRODUCERS; i++) {
        struct producer *producer = &world->producers[i];
        producer->world = world;
        producer->id = i + 1;
        kp_mutex_init(&producer->mutex);
        kp_cond_init(&producer->moved);
    }
    bool tiny = !options->reference && below(world, 2); /* sealed often */
    world->trims = !options->reference && below(world, 2);
    world->compacts = !options->reference && below(world, 2);
    world->rots = !options->reference && below(world, 2);
    world->huge = !options->reference && below(world, 3) == 0;
    bool adopts = 1u << options->seed % 8 & (1u << 4 | 1u << 6 | 1u << 7);
    world->options = (struct kp_db_options){
        .os = kp_sim_os(world->sim),
        .dir = WORLD_DIR,
        .workers = 1 + (uint32_t)below(world, 3),
        .step_records_max = below(world, 2) ? 0 : 1 + below(world, 20),
        .journal_file_bytes = tiny ? 16 << 10 : 48 << 10,
        .log_tail_bytes = below(world, 2) ? 0 : 1, /* 1: readers go to the disk */
        .seal_bytes = tiny              ? 20 << 10
                      : below(world, 2) ? 0
                                        : 64 << 10,
        .extent_own_bytes = 16 << 10,
        .adopt_block_bytes = adopts ? 1 : 0, /* journal files are adopted as extents when half of one is worth it */
        .adopt_per_cent = adopts ? 50 : 101,
        .snapshot_bytes = below(world, 2) ? 0 : 24 << 10,
        .columns_chunk_rows = below(world, 2) ? 0 : 10 + (uint32_t)below(world, 100),
        .columns_pool_bytes = below(world, 2) ? 0 : 1,
        .notice = note_complaint,
        .arg = world,
    };
    struct running running = {world, options, 0, false};
    kp_set_fatal_hook(die);
    kp_mem_set_hook(allow);
    if (!kp_sim_tasks_run(world->sim, live, &running)) {
        pick_up(world);
        running.picked_up = true;
        (void)kp_sim_tasks_run(world->sim, live, &running);
    }
    kp_mem_set_hook(NULL);
    kp_set_fatal_hook(NULL);
    *ret_result = (struct world_result){.crashes = world->crashes,
                                        .calls = options->reference ? world->reference_calls : kp_sim_calls(world->sim),
                                        .allocations = allocations.count,
                                        .trace = running.trace,
                                        .operations = operations(world),
                                        .checked = world->did.checked};
    memcpy(ret_result->failure, world->failure, sizeof world->failure);
    finish(world);
    kp_free(world);
}
