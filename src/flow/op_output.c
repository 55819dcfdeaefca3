/*
 * Output: the consolidated changes of a node in a step.
 *
 * Rows of a growing node, or of one whose changes are consolidated already, are taken as they come. Others are brought
 * together by a hash of the whole row; in each part identical rows (struct refs into the pieces, nothing is copied)
 * have their weights added, and those that remain are gathered. Rows that are equal but not identical (1.0, 1.00) stay
 * apart.
 */
#include "flow/graph.h"

#include "flow/table.h"

struct taken {
    struct kp_batch *batch;
    struct taken *next;
};

struct op_output {
    struct kp_node node;
    struct kp_output *output;
    bool direct;          /* no consolidation needed */
    struct taken **lanes; /* per lane: batches of the step */
};

static void take(struct op_output *op, struct kp_lane *lane, struct kp_batch *batch)
{
    struct taken *taken = kp_arena_alloc(&lane->arena, sizeof *taken);
    *taken = (struct taken){batch, op->lanes[lane->index]};
    op->lanes[lane->index] = taken;
}

static enum kp_code output_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                struct kp_error *err)
{
    struct op_output *op = (struct op_output *)node;
    const struct kp_batch *batch = in->batch;
    if (op->direct) {
        struct kp_batch *flat = kp_batch_create(&lane->arena, batch->cols, batch->rows);
        flat->weights = batch->weights;
        for (uint32_t c = 0; c < batch->cols; c++)
            flat->vecs[c] = kp_vec_flatten(&batch->vecs[c], &lane->arena, batch->rows);
        take(op, lane, flat);
        return KP_OK;
    }
    uint64_t *hashes = kp_arena_calloc(&lane->arena, batch->rows * sizeof *hashes);
    for (uint32_t c = 0; c < batch->cols; c++)
        kp_vec_hash(&batch->vecs[c], batch->rows, hashes, c == 0);
    kp_inbox_send(&node->inboxes[0], lane, batch, hashes, NULL);
    return KP_OK;
}

struct ref {
    const struct kp_piece *piece;
    uint32_t row;
    int64_t weight;
};

static void refs_hash(const void *arg, const uint32_t *ids, uint32_t n, uint64_t *ret_hashes)
{
    const struct ref *refs = arg;
    for (uint32_t i = 0; i < n; i++)
        ret_hashes[i] = refs[ids[i]].piece->hashes[refs[ids[i]].row];
}

/* The place among refs of a row identical to this one, KP_ROW_NONE if it is the first. */
static uint32_t find_ref(const struct kp_index *index, const struct ref *refs, const struct kp_piece *piece,
                         uint32_t row)
{
    struct kp_index_cursor cursor;
    kp_index_begin(index, piece->hashes[row], &cursor);
    for (uint32_t id; (id = kp_index_next(&cursor)) != KP_ROW_NONE;)
        if (kp_vecs_identical(refs[id].piece->batch->vecs, refs[id].row, piece->batch->vecs, row, piece->batch->cols))
            return id;
    return KP_ROW_NONE;
}

static void emit_refs(struct op_output *op, struct kp_lane *lane, const struct ref *refs, uint32_t count)
{
    for (uint32_t start = 0, end; start < count; start = end) {
        struct kp_batch *batch = refs[start].piece->batch;
        uint32_t n = 0;
        for (end = start; end < count && refs[end].piece->batch == batch; end++)
            n += refs[end].weight != 0;
        if (n == 0)
            continue;
        uint32_t *index = kp_arena_alloc(&lane->arena, n * sizeof *index);
        int64_t *weights = kp_arena_alloc(&lane->arena, n * sizeof *weights);
        bool all_one = true;
        n = 0;
        for (uint32_t i = start; i < end; i++)
            if (refs[i].weight != 0) {
                index[n] = refs[i].row;
                weights[n++] = refs[i].weight;
                all_one = all_one && refs[i].weight == 1;
            }
        struct kp_batch bare = *batch;
        bare.weights = NULL;
        struct kp_batch *out = kp_batch_gather(&bare, index, n, &lane->arena);
        out->weights = all_one ? NULL : weights;
        take(op, lane, out);
    }
}

static enum kp_code output_part(struct kp_node *node, struct kp_lane *lane, uint32_t part, struct kp_error *err)
{
    struct op_output *op = (struct op_output *)node;
    struct kp_piece *pieces = kp_inbox_take(&node->inboxes[0], part);
    uint64_t rows = 0;
    for (const struct kp_piece *piece = pieces; piece; piece = piece->next)
        rows += piece->batch->rows;
    if (rows > UINT32_MAX / 4)
        return kp_fail(err, KP_LIMIT, NULL, "a step changes more than a thousand million rows of a shard");
    struct ref *refs = kp_arena_alloc(&lane->arena, rows * sizeof *refs);
    struct kp_index index = {0};
    uint32_t count = 0;
    kp_index_reserve(&index, (uint32_t)rows, (uint32_t)rows, refs_hash, refs);
    for (const struct kp_piece *piece = pieces; piece; piece = piece->next)
        for (uint32_t row = 0; row < piece->batch->rows; row++) {
            int64_t weight = piece->batch->weights ? piece->batch->weights[row] : 1;
            uint32_t at = find_ref(&index, refs, piece, row);
            if (at != KP_ROW_NONE) {
                refs[at].weight += weight;
                continue;
            }
            refs[count] = (struct ref){piece, row, weight};
            kp_index_insert(&index, piece->hashes[row], count++);
        }
    kp_index_finish(&index);
    emit_refs(op, lane, refs, count);
    return KP_OK;
}

void kp_op_output_collect(struct kp_node *node, struct kp_changes *changes)
{
    struct op_output *op = (struct op_output *)node;
    struct kp_arena *arena = &node->graph->lanes[0].arena;
    size_t count = 0;
    for (uint32_t lane = 0; lane < node->graph->lanes_count; lane++)
        for (const struct taken *at = op->lanes[lane]; at; at = at->next)
            count++;
    *changes = (struct kp_changes){.batch_count = count, .workers = node->graph->workers};
    changes->batches = kp_arena_alloc(arena, count * sizeof(struct kp_batch *));
    for (uint32_t lane = 0; lane < node->graph->lanes_count; lane++)
        for (const struct taken *at = op->lanes[lane]; at; at = at->next) {
            changes->batches[--count] = at->batch;
            changes->rows += at->batch->rows;
        }
}

static void output_lanes(struct kp_node *node, bool start)
{
    struct op_output *op = (struct op_output *)node;
    if (start)
        op->lanes = kp_calloc(node->graph->lanes_count, sizeof(struct taken *));
    else
        kp_free(op->lanes);
}

static void output_release(struct kp_node *node)
{
    struct op_output *op = (struct op_output *)node;
    memset(op->lanes, 0, node->graph->lanes_count * sizeof(struct taken *));
}

const struct kp_node_ops kp_output_ops = {.kind = "output",
                                          .bytes = sizeof(struct op_output),
                                          .push = output_push,
                                          .part = output_part,
                                          .lanes = output_lanes,
                                          .release = output_release};

struct kp_output *kp_op_output_of(const struct kp_node *node)
{
    return ((const struct op_output *)node)->output;
}

struct kp_node *kp_op_output(struct kp_graph *graph, struct kp_node *input, struct kp_output *output)
{
    struct op_output *op = (struct op_output *)kp_node_create(graph, &kp_output_ops, NULL, 0, &input, 1);
    op->direct = input->growing || input->consolidated;
    op->output = output;
    output_lanes(&op->node, true);
    return kp_node_share(&op->node);
}
