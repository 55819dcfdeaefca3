#include "flow/exchange.h"

#include "flow/graph.h"

void kp_inbox_init(struct kp_inbox *inbox, uint32_t lanes, uint32_t parts, uint32_t part_shift)
{
    *inbox = (struct kp_inbox){.lanes = lanes, .parts = parts, .part_shift = part_shift};
    inbox->heads = kp_calloc((size_t)lanes * parts, sizeof(struct kp_piece *));
    inbox->rows = kp_calloc(lanes, sizeof *inbox->rows);
}

void kp_inbox_finish(struct kp_inbox *inbox)
{
    kp_free(inbox->heads);
    kp_free(inbox->rows);
    *inbox = (struct kp_inbox){0};
}

void kp_inbox_clear(struct kp_inbox *inbox)
{
    memset(inbox->heads, 0, (size_t)inbox->lanes * inbox->parts * sizeof(struct kp_piece *));
    memset(inbox->rows, 0, inbox->lanes * sizeof *inbox->rows);
}

uint64_t kp_inbox_rows(const struct kp_inbox *inbox)
{
    uint64_t rows = 0;
    for (uint32_t lane = 0; lane < inbox->lanes; lane++)
        rows += inbox->rows[lane];
    return rows;
}

bool kp_inbox_any(const struct kp_inbox *inbox, uint32_t part)
{
    for (uint32_t lane = 0; lane < inbox->lanes; lane++)
        if (inbox->heads[(size_t)lane * inbox->parts + part])
            return true;
    return false;
}

static void flatten(struct kp_batch *batch, struct kp_arena *arena)
{
    for (uint32_t c = 0; c < batch->cols; c++)
        batch->vecs[c] = kp_vec_flatten(&batch->vecs[c], arena, batch->rows);
}

static void send_piece(struct kp_inbox *inbox, struct kp_lane *lane, uint32_t part, const struct kp_batch *batch,
                       const uint64_t *hashes, const int64_t *positions)
{
    struct kp_batch *copy = kp_batch_create(&lane->arena, batch->cols, batch->rows);
    memcpy(copy->vecs, batch->vecs, batch->cols * sizeof *copy->vecs);
    copy->weights = batch->weights;
    flatten(copy, &lane->arena);
    struct kp_piece *piece = kp_arena_alloc(&lane->arena, sizeof *piece);
    struct kp_piece **head = &inbox->heads[(size_t)lane->index * inbox->parts + part];
    *piece = (struct kp_piece){*head, copy, hashes, positions};
    *head = piece;
    inbox->rows[lane->index] += batch->rows;
}

/*
 * State copies texts, and one long text may stand in all rows of a batch: a join with it, a constant. State is charged
 * after each piece, so what a piece may bring is bounded.
 */
enum { PIECE_TEXT_BYTES_MAX = 64 << 20 };

static uint64_t text_bytes(const struct kp_batch *batch, uint32_t from, uint32_t end)
{
    uint64_t bytes = 0;
    for (uint32_t c = 0; c < batch->cols; c++) {
        const struct kp_vec *vec = &batch->vecs[c];
        if (!kp_type_info(vec->type.id)->string)
            continue;
        const struct kp_text *texts = vec->data;
        size_t stride = KP_STRIDE(vec);
        for (uint32_t i = from; i < end; i++)
            bytes += texts[i * stride].len;
    }
    return bytes;
}

static void send_light(struct kp_inbox *inbox, struct kp_lane *lane, uint32_t part, const struct kp_batch *batch,
                       const uint64_t *hashes, const int64_t *positions)
{
    uint32_t *index = kp_arena_alloc(&lane->arena, batch->rows * sizeof *index);
    for (uint32_t i = 0; i < batch->rows; i++)
        index[i] = i;
    for (uint32_t from = 0, end; from < batch->rows; from = end) {
        uint64_t bytes = 0;
        for (end = from; end < batch->rows && (end == from || bytes < PIECE_TEXT_BYTES_MAX); end++)
            bytes += text_bytes(batch, end, end + 1);
        struct kp_batch *some = kp_batch_gather(batch, index + from, end - from, &lane->arena);
        send_piece(inbox, lane, part, some, hashes + from, positions ? positions + from : NULL);
    }
}

void kp_inbox_send_part(struct kp_inbox *inbox, struct kp_lane *lane, uint32_t part, const struct kp_batch *batch,
                        const uint64_t *hashes, const int64_t *positions)
{
    if (kp_budget_left(lane->graph->options.budget) < INT64_MAX &&
        text_bytes(batch, 0, batch->rows) > PIECE_TEXT_BYTES_MAX)
        send_light(inbox, lane, part, batch, hashes, positions);
    else
        send_piece(inbox, lane, part, batch, hashes, positions);
}

void kp_inbox_send(struct kp_inbox *inbox, struct kp_lane *lane, const struct kp_batch *batch, const uint64_t *hashes,
                   const int64_t *positions)
{
    uint32_t rows = batch->rows, shift = inbox->part_shift;
    if (rows == 0)
        return;
    if (inbox->parts == 1 || rows == 1) {
        kp_inbox_send_part(inbox, lane, inbox->parts == 1 ? 0 : (uint32_t)(hashes[0] >> shift), batch, hashes,
                           positions);
        return;
    }
    uint32_t starts[KP_PARTS_MAX + 1] = {0}, fill[KP_PARTS_MAX];
    for (uint32_t i = 0; i < rows; i++)
        starts[(hashes[i] >> shift) + 1]++;
    for (uint32_t part = 0; part < inbox->parts; part++) {
        fill[part] = starts[part];
        starts[part + 1] += starts[part];
    }
    uint32_t *index = kp_arena_alloc(&lane->arena, rows * sizeof *index);
    for (uint32_t i = 0; i < rows; i++)
        index[fill[hashes[i] >> shift]++] = i;
    uint64_t *some_hashes = kp_arena_alloc(&lane->arena, rows * sizeof *some_hashes);
    int64_t *some_positions = positions ? kp_arena_alloc(&lane->arena, rows * sizeof *some_positions) : NULL;
    for (uint32_t i = 0; i < rows; i++)
        some_hashes[i] = hashes[index[i]];
    if (positions)
        for (uint32_t i = 0; i < rows; i++)
            some_positions[i] = positions[index[i]];
    for (uint32_t part = 0; part < inbox->parts; part++) {
        uint32_t start = starts[part], n = starts[part + 1] - start;
        if (n == 0)
            continue;
        struct kp_batch *some = kp_batch_gather(batch, index + start, n, &lane->arena);
        kp_inbox_send_part(inbox, lane, part, some, some_hashes + start, positions ? some_positions + start : NULL);
    }
}

struct kp_piece *kp_inbox_take(struct kp_inbox *inbox, uint32_t part)
{
    struct kp_piece *all = NULL, **end = &all;
    for (uint32_t lane = 0; lane < inbox->lanes; lane++) {
        struct kp_piece **head = &inbox->heads[(size_t)lane * inbox->parts + part];
        *end = *head;
        *head = NULL;
        while (*end)
            end = &(*end)->next;
    }
    return all;
}
