/*
 * The law in small: random plans over random tables with insertions and deletions. What the outputs add up to after
 * every step, for random cuts, workers and shards, is what kp_flow_query computes from scratch over the rows that are
 * there, and what a naive interpreter of plans, row by row, computes (flow_naive.h). Prints its seed when it fails.
 */
#include "flow/flow_naive.h"
#include "flow/flow_plans.h"

enum { TABLES = 3, ROUNDS = 60, STEPS = 8 };

struct world {
    struct random random;
    struct kp_relation *relations[TABLES];
    struct kp_node *nodes[TABLES];
    struct table tables[TABLES];
    bool growing;
};

static struct kp_node *resolve(void *arg, struct kp_relation *relation)
{
    struct world *world = arg;
    for (int i = 0; i < TABLES; i++)
        if (world->relations[i] == relation)
            return world->nodes[i];
    return NULL;
}

static enum kp_code scan_table(void *arg, const struct kp_plan *scan, struct kp_arena *arena,
                               enum kp_code (*emit)(void *emit_arg, struct kp_batch *batch, struct kp_error *err),
                               void *emit_arg, struct kp_error *err)
{
    struct world *world = arg;
    for (int i = 0; i < TABLES; i++)
        if (world->relations[i] == scan->scan.relation) {
            struct kp_batch *all = table_batch(&world->tables[i], arena),
                            *some = kp_batch_create(arena, scan->col_count, all->rows);
            some->weights = all->weights;
            for (uint32_t c = 0; c < scan->col_count; c++)
                some->vecs[c] = all->vecs[scan->scan.columns[c]];
            return all->rows ? emit(emit_arg, some, err) : KP_OK;
        }
    return KP_OK;
}

/* Random insertions and, unless the tables grow, deletions of rows that are there. */
static struct kp_batch *random_changes(struct world *world, struct table *table, uint32_t n, struct kp_arena *arena)
{
    struct table change = {0};
    for (uint32_t i = 0; i < n; i++) {
        if (!world->growing && table->count && random_below(&world->random, 10) < 4) {
            uint32_t at = random_below(&world->random, table->count);
            table_add(&change, &table->rows[at], -1);
            table_add(table, &table->rows[at], -1);
        } else {
            struct row row = random_row(&world->random);
            table_add(&change, &row, 1);
            table_add(table, &row, 1);
        }
    }
    struct kp_batch *batch = table_batch_raw(&change, world->growing, arena);
    table_finish(&change);
    return batch;
}

static void check_equal(struct multiset *incremental, struct multiset *scratch, const char *what, uint64_t seed,
                        const struct kp_plan *plan)
{
    multiset_sort(incremental);
    multiset_sort(scratch);
    if (multiset_equal(incremental, scratch))
        return;
    print_plan(plan);
    fprintf(stderr, "seed %llu: %s differs\n-- got:\n", (unsigned long long)seed, what);
    multiset_print(incremental);
    fprintf(stderr, "-- wanted:\n");
    multiset_print(scratch);
    fail();
}

/* A second graph of the same plan, filled with what is there, which then joins the first one. */
struct meeting {
    struct world *world;
    struct kp_node *inputs[TABLES];
};

static struct kp_node *resolve_private(void *arg, struct kp_relation *relation)
{
    struct meeting *meeting = arg;
    for (int i = 0; i < TABLES; i++)
        if (meeting->world->relations[i] == relation)
            return meeting->inputs[i];
    return NULL;
}

static struct kp_node *map_to_live(void *arg, struct kp_node *input, struct kp_relation *relation)
{
    struct meeting *meeting = arg;
    for (int i = 0; i < TABLES; i++)
        if (meeting->inputs[i] == input)
            return meeting->world->nodes[i];
    return NULL;
}

static struct kp_output *backfill(struct world *world, struct kp_graph *live, const struct kp_graph_options *options,
                                  const struct kp_plan *plan, struct multiset *sum)
{
    static const struct kp_session_settings settings;
    struct meeting meeting = {.world = world};
    struct kp_arena arena = {0};
    struct kp_graph *graph;
    struct kp_node *node;
    struct kp_error err;
    struct kp_batch *batches[TABLES];
    struct kp_step_input inputs[TABLES];
    assert_int_equal(kp_graph_create(options, &graph, &err), KP_OK);
    for (int i = 0; i < TABLES; i++) {
        meeting.inputs[i] = kp_graph_input(graph, test_columns(), COLS, world->growing);
        batches[i] = table_batch_raw(&world->tables[i], world->growing, &arena);
        inputs[i] = (struct kp_step_input){
            .node = meeting.inputs[i], .batches = &batches[i], .batch_count = batches[i]->rows > 0};
    }
    assert_int_equal(kp_graph_add_plan(graph, plan, &settings, resolve_private, &meeting, &node, &err), KP_OK);
    struct kp_output *output = kp_graph_add_output(graph, node);
    struct kp_step step = {.inputs = inputs, .input_count = TABLES};
    assert_int_equal(kp_graph_step(graph, &step, &err), KP_OK);
    multiset_add_changes(sum, kp_output_changes(output));
    assert_int_equal(kp_graph_merge(live, graph, map_to_live, &meeting, &err), KP_OK);
    kp_arena_finish(&arena);
    return output;
}

static void run_round(uint64_t seed, struct kp_workers **workers)
{
    struct world world = {.random = {seed * 0x9e3779b97f4a7c15u + 1}};
    struct kp_arena plan_arena = {0};
    struct kp_column *cols = test_columns();
    world.growing = random_below(&world.random, 3) == 0;
    uint32_t worker_count = 1 + random_below(&world.random, 4);
    struct kp_budget budget;
    kp_budget_init(&budget, "test", 0, NULL);
    struct kp_graph_options options = {.workers = workers[worker_count],
                                       .parts = 1u << random_below(&world.random, 7),
                                       .budget = &budget,
                                       .parallel_rows_min = random_below(&world.random, 2) ? 1 : 0};
    struct kp_graph *graph;
    struct kp_error err;
    assert_int_equal(kp_graph_create(&options, &graph, &err), KP_OK);
    for (int i = 0; i < TABLES; i++) {
        world.relations[i] = kp_relation_create();
        world.relations[i]->name = "t";
        world.relations[i]->col_count = COLS;
        world.relations[i]->cols = cols;
        world.nodes[i] = kp_graph_input(graph, cols, COLS, world.growing);
    }
    struct kp_plan *plan =
        random_plan(&world.random, &plan_arena, world.relations, TABLES, 1 + random_below(&world.random, 3));
    struct kp_session_settings settings = {0};
    struct kp_node *node;
    if (kp_graph_add_plan(graph, plan, &settings, resolve, &world, &node, &err) != KP_OK) {
        fprintf(stderr, "%s\n", err.message);
        fail();
    }
    struct kp_output *output = kp_graph_add_output(graph, node);
    struct kp_output *second = NULL;
    struct multiset sum = {0}, second_sum = {0};
    for (int step = 0; step < STEPS; step++) {
        struct kp_arena arena = {0};
        struct kp_batch *batches[TABLES];
        struct kp_step_input inputs[TABLES];
        uint32_t input_count = 0;
        for (int i = 0; i < TABLES; i++) {
            if (random_below(&world.random, 4) == 0)
                continue;
            uint32_t n = random_below(&world.random, random_below(&world.random, 6) == 0 ? 40 : 10);
            batches[i] = random_changes(&world, &world.tables[i], n, &arena);
            inputs[input_count++] =
                (struct kp_step_input){.node = world.nodes[i], .batches = &batches[i], .batch_count = 1};
        }
        bool partial = step + 1 < STEPS && random_below(&world.random, 4) == 0;
        struct kp_step what = {.inputs = inputs, .input_count = input_count, .partial = partial};
        if (kp_graph_step(graph, &what, &err) != KP_OK) {
            fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, err.message);
            fail();
        }
        const struct kp_changes *changes = kp_output_changes(output);
        assert_int_equal(changes->error_count, 0);
        multiset_add_changes(&sum, changes);
        if (second)
            multiset_add_changes(&second_sum, kp_output_changes(second));
        if (!partial) {
            struct kp_query_options query = {.workers = workers[1 + random_below(&world.random, 2)]};
            struct kp_batch **rows;
            size_t count;
            if (kp_flow_query(plan, &query, scan_table, &world, &arena, &rows, &count, &err) != KP_OK) {
                fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, err.message);
                fail();
            }
            struct multiset scratch = {0}, naive = {0};
            for (size_t b = 0; b < count; b++)
                multiset_add_batch(&scratch, rows[b]);
            check_equal(&sum, &scratch, "the view and a query from scratch", seed, plan);
            oracle_run(plan, world.relations, world.tables, TABLES, &naive);
            check_equal(&sum, &naive, "the view and the naive interpreter", seed, plan);
            if (second)
                check_equal(&second_sum, &scratch, "a view that came later", seed, plan);
            multiset_finish(&scratch);
            multiset_finish(&naive);
        }
        if (!partial && !second && random_below(&world.random, 4) == 0) {
            options.workers = workers[1 + random_below(&world.random, 3)];
            second = backfill(&world, graph, &options, plan, &second_sum);
        }
        kp_arena_finish(&arena);
        if (sum.count > 1500) /* a wide cross join: the comparison would take all day */
            break;
    }
    kp_graph_drop_output(graph, output);
    kp_graph_drop(graph, node);
    kp_graph_destroy(graph);
    assert_int_equal(atomic_load(&budget.used_bytes), 0);
    multiset_finish(&sum);
    multiset_finish(&second_sum);
    for (int i = 0; i < TABLES; i++) {
        table_finish(&world.tables[i]);
        kp_relation_unref(world.relations[i]);
    }
    kp_arena_finish(&plan_arena);
}

static void test_law(void **state)
{
    struct kp_workers *workers[5] = {NULL};
    for (uint32_t i = 1; i < 5; i++)
        workers[i] = kp_workers_create(i);
    const char *text = getenv("KAPPA_SEED"), *rounds = getenv("KAPPA_ROUNDS");
    uint64_t first = text ? strtoull(text, NULL, 10) : 1, count = rounds ? strtoull(rounds, NULL, 10) : ROUNDS;
    for (uint64_t seed = first; seed < first + count; seed++)
        run_round(seed, workers);
    for (uint32_t i = 1; i < 5; i++)
        kp_workers_destroy(workers[i]);
}

/* Every row with every row, under a budget: the join fails with the budget's name, what is beside it goes on, and
 * everything is given back. */
static void test_budget(void **state)
{
    struct kp_arena arena = {0};
    struct world world = {.random = {5}, .growing = true};
    struct kp_budget budget;
    struct kp_graph *graph;
    struct kp_node *node;
    struct kp_error err;
    kp_budget_init(&budget, "narrow", 20 << 20, NULL);
    struct kp_graph_options options = {.budget = &budget};
    assert_int_equal(kp_graph_create(&options, &graph, &err), KP_OK);
    world.relations[0] = kp_relation_create();
    world.relations[0]->name = "t";
    world.nodes[0] = kp_graph_input(graph, test_columns(), COLS, true);
    struct planner planner = {&world.random, &arena, world.relations, 1};
    struct kp_plan *left = plan_scan(&planner), *right = plan_scan(&planner);
    struct kp_plan *join = make_plan(&planner, KP_PLAN_JOIN, left->col_count + right->col_count, left, right);
    for (uint32_t c = 0; c < join->col_count; c++)
        join->cols[c].type = c < left->col_count ? left->cols[c].type : right->cols[c - left->col_count].type;
    static const struct kp_session_settings settings;
    assert_int_equal(kp_graph_add_plan(graph, join, &settings, resolve, &world, &node, &err), KP_OK);
    struct kp_output *joined = kp_graph_add_output(graph, node), *beside = kp_graph_add_output(graph, world.nodes[0]);
    struct kp_batch *batch = random_changes(&world, &world.tables[0], 3000, &arena);
    struct kp_step_input input = {.node = world.nodes[0], .batches = &batch, .batch_count = 1};
    struct kp_step step = {.inputs = &input, .input_count = 1};
    for (int round = 0; round < 2; round++) {
        assert_int_equal(kp_graph_step(graph, &step, &err), KP_OK);
        assert_int_equal(kp_output_check(joined, &err), KP_BUDGET);
        assert_non_null(strstr(err.message, "narrow"));
        assert_non_null(strstr(err.message, "join"));
        assert_int_equal(kp_output_changes(joined)->rows, 0);
        assert_int_equal(kp_output_check(beside, &err), KP_OK);
        assert_true(kp_output_changes(beside)->rows > 0);
    }
    kp_graph_destroy(graph);
    assert_int_equal(atomic_load(&budget.used_bytes), 0);
    table_finish(&world.tables[0]);
    kp_relation_unref(world.relations[0]);
    kp_arena_finish(&arena);
}

/* Of a thousand outputs a step visits those that something comes to, and of those that held something back it tells in
 * the next final step. */
static void test_awake(void **state)
{
    enum { OUTPUTS = 1000 };
    struct kp_arena arena = {0};
    struct world world = {.random = {7}, .growing = false};
    struct kp_graph *graph;
    struct kp_error err;
    const struct kp_graph_options options = {0};
    assert_int_equal(kp_graph_create(&options, &graph, &err), KP_OK);
    struct kp_node *inputs[OUTPUTS];
    struct kp_output *outputs[OUTPUTS], *const *changed;
    for (int i = 0; i < OUTPUTS; i++) {
        inputs[i] = kp_graph_input(graph, test_columns(), COLS, false);
        outputs[i] = kp_graph_add_output(graph, inputs[i]);
        kp_output_set_owner(outputs[i], &inputs[i]);
    }
    struct kp_step empty = {.partial = false};
    assert_int_equal(kp_graph_step(graph, &empty, &err), KP_OK); /* all are new */
    struct kp_batch *batch = random_changes(&world, &world.tables[0], 50, &arena);
    struct kp_step_input input = {.batches = &batch, .batch_count = 1};
    struct kp_step step = {.inputs = &input, .input_count = 1, .partial = true};
    for (int i = 0; i < OUTPUTS; i += 99) {
        uint64_t before = kp_graph_visits(graph);
        uint32_t count;
        input.node = inputs[i];
        step.partial = !step.partial;
        assert_int_equal(kp_graph_step(graph, &step, &err), KP_OK);
        changed = kp_graph_changed(graph, &count);
        assert_true(kp_graph_visits(graph) - before <= 3); /* the input, its output, what the last step held back */
        assert_true(count >= 1 && count <= 2);
        bool told = false;
        for (uint32_t k = 0; k < count; k++)
            told |= changed[k] == outputs[i] && kp_output_owner(changed[k]) == &inputs[i];
        assert_true(told && kp_output_changes(outputs[i])->rows > 0);
        assert_int_equal(kp_output_changes(outputs[(i + 1) % OUTPUTS])->rows, 0);
    }
    for (int i = 0; i < OUTPUTS; i += 2) /* the others move up, and stay who they are */
        kp_graph_drop_output(graph, outputs[i]);
    input.node = inputs[501];
    uint32_t count;
    assert_int_equal(kp_graph_step(graph, &step, &err), KP_OK);
    changed = kp_graph_changed(graph, &count);
    assert_true(count >= 1 && kp_output_changes(outputs[501])->rows > 0);
    kp_graph_destroy(graph);
    table_finish(&world.tables[0]);
    kp_arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_law), cmocka_unit_test(test_budget),
                                       cmocka_unit_test(test_awake)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
