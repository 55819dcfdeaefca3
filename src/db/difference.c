/* Two stores' rows through a graph of one input and one output: what it consolidates to is the difference. */
#include "db/difference.h"

struct gathering {
    struct kp_batch **batches;
    size_t count, cap;
};

static enum kp_code gather(void *arg, struct kp_batch *batch, struct kp_error *err)
{
    struct gathering *gathering = arg;
    if (gathering->count == gathering->cap) {
        gathering->cap = gathering->cap ? 2 * gathering->cap : 16;
        gathering->batches = kp_realloc(gathering->batches, gathering->cap * sizeof(struct kp_batch *));
    }
    gathering->batches[gathering->count++] = batch;
    return KP_OK;
}

enum kp_code kp_reading_rows(const struct kp_reading *reading, uint32_t col_count, int64_t sign, struct kp_arena *arena,
                             struct kp_batch **ret_batch, struct kp_error *err)
{
    struct gathering gathering = {0};
    uint32_t *columns = kp_arena_alloc(arena, (col_count + 1) * sizeof *columns);
    for (uint32_t i = 0; i < col_count; i++)
        columns[i] = i;
    enum kp_code code =
        kp_store_scan(reading->store, reading->snapshot, columns, col_count, arena, gather, &gathering, err);
    struct kp_batch *all = code == KP_OK ? kp_batch_concat_all(gathering.batches, gathering.count, arena) : NULL;
    kp_free(gathering.batches);
    KP_TRY(code);
    if (all) {
        int64_t *weights = kp_arena_alloc(arena, all->rows * sizeof *weights);
        for (uint32_t i = 0; i < all->rows; i++)
            weights[i] = sign * (all->weights ? all->weights[i] : 1);
        all->weights = weights;
    }
    *ret_batch = all;
    return KP_OK;
}

/* The output's batches outlive the graph: values and strings are copied. */
static struct kp_batch *keep(const struct kp_changes *changes, struct kp_arena *arena)
{
    struct kp_batch *all = kp_batch_concat_all(changes->batches, changes->batch_count, arena);
    for (uint32_t c = 0; all && c < all->cols; c++)
        for (uint32_t i = 0; i < all->rows; i++) {
            struct kp_vec *vec = &all->vecs[c];
            char *at = (char *)vec->data + i * kp_vec_width(vec);
            if (!kp_vec_is_null(vec, i))
                kp_value_copy_arena(vec->type.id, at, arena, at);
        }
    return all;
}

static enum kp_code consolidate(struct kp_graph *graph, const struct kp_column *cols, uint32_t col_count,
                                struct kp_batch *const *batches, size_t count, struct kp_arena *arena,
                                struct kp_batch **ret_batch, struct kp_error *err)
{
    struct kp_node *node = kp_graph_input(graph, cols, col_count, false);
    struct kp_output *output = kp_graph_add_output(graph, node);
    struct kp_step_input input = {.node = node, .batches = batches, .batch_count = count};
    struct kp_step step = {.inputs = &input, .input_count = 1};
    KP_TRY(kp_graph_step(graph, &step, err));
    KP_TRY(kp_output_check(output, err));
    *ret_batch = keep(kp_output_changes(output), arena);
    return KP_OK;
}

enum kp_code kp_difference(struct kp_db *db, struct kp_workers *workers, const struct kp_column *cols,
                           uint32_t col_count, const struct kp_reading *from, const struct kp_reading *to,
                           struct kp_arena *arena, struct kp_batch **ret_batch, struct kp_error *err)
{
    struct kp_batch *batches[2] = {NULL, NULL};
    KP_TRY(kp_reading_rows(from, col_count, -1, arena, &batches[0], err));
    KP_TRY(kp_reading_rows(to, col_count, 1, arena, &batches[1], err));
    struct kp_batch *there[2];
    size_t count = 0;
    for (int i = 0; i < 2; i++)
        if (batches[i])
            there[count++] = batches[i];
    struct kp_graph_options options = {.workers = workers, .parts = db->parts, .budget = &db->query_memory};
    struct kp_graph *graph;
    KP_TRY(kp_graph_create(&options, &graph, err));
    enum kp_code code = consolidate(graph, cols, col_count, there, count, arena, ret_batch, err);
    kp_graph_destroy(graph);
    return code;
}
