/*
 * Expand: set-returning functions over each row, side by side. Linear: each row's results carry its weight.
 *
 *   row (7, {a,b}, {1})   Expand: unnest($1), unnest($2)   (7, {a,b}, {1}, a, 1)
 *                                                          (7, {a,b}, {1}, b, NULL)
 *
 * Each function is a stream of (row of the input, number within it), in that order, which kp_set_expand yields in
 * rounds. The streams are merged by the row; the numbers of one row run in step by themselves, since each begins at 1.
 * What a merge has gathered refers to the rounds at hand, so it is sent before one of them gives way to the next.
 *
 * A row of which one function fails makes no rows at all.
 */
#include "flow/graph.h"

#include <stdio.h>

struct op_expand {
    struct kp_node node;
    struct kp_plan_set *calls;
    uint32_t call_count;
    bool ordinality, outer;
};

/* One function over one batch. */
struct stream {
    const struct kp_plan_set *def;
    struct kp_vec *vecs;
    const struct kp_vec **args;
    const struct kp_type *types;
    struct kp_call call;
    struct kp_set_cursor cursor;
    struct kp_set set;
    uint32_t at; /* in the set */
    bool done;
};

struct expansion {
    struct op_expand *op;
    struct kp_lane *lane;
    const struct kp_flow *in;
    struct stream *streams;
    bool *failed;                  /* of each row of the input */
    uint32_t count, cap, *sources; /* gathered so far */
    int64_t *ordinals;
    uint32_t **picks; /* of each stream: row of its set, NONE: NULL */
};
enum { NONE = UINT32_MAX };

/* The one row of what is no set-returning function. */
static bool expand_value(struct stream *stream, uint32_t rows)
{
    struct kp_arena *arena = stream->call.arena;
    if (rows == 0)
        return false;
    uint32_t *sources = kp_arena_alloc(arena, rows * sizeof *sources);
    int64_t *ordinals = kp_arena_alloc(arena, rows * sizeof *ordinals);
    for (uint32_t i = 0; i < rows; i++) {
        sources[i] = i;
        ordinals[i] = 1;
    }
    stream->set = (struct kp_set){
        .arena = arena, .rows = rows, .sources = sources, .ordinals = ordinals, .col_count = 1, .cols = stream->vecs};
    return true;
}

static void next_round(struct expansion *self, struct stream *stream)
{
    uint32_t errors = stream->call.error_count, rows = self->in->batch->rows;
    bool more;
    if (stream->def->func)
        more = kp_set_expand(stream->def->func, &stream->call, stream->args, stream->types, stream->def->names,
                             stream->def->col_count, &stream->cursor, &stream->set);
    else
        more = stream->def->arg_count && stream->set.rows == 0 && expand_value(stream, rows);
    for (uint32_t i = errors; i < stream->call.error_count; i++)
        self->failed[stream->call.errors[i].row] = true;
    stream->at = 0;
    stream->done = !more;
}

/* ---- sending ---- */

static void pick_column(const struct kp_vec *from, const uint32_t *picks, uint32_t n, struct kp_type type,
                        struct kp_arena *arena, struct kp_vec *ret_vec)
{
    uint32_t *index = kp_arena_alloc(arena, n * sizeof *index);
    bool nulls = false;
    for (uint32_t i = 0; i < n; i++) {
        index[i] = picks[i] == NONE ? 0 : picks[i];
        nulls |= picks[i] == NONE;
    }
    if (from) {
        kp_vec_gather(from, index, n, arena, ret_vec);
    } else {
        kp_vec_init(ret_vec, arena, type, n);
        memset(ret_vec->data, 0, n * kp_vec_width(ret_vec));
    }
    if (!nulls)
        return;
    *ret_vec = kp_vec_flatten(ret_vec, arena, n);
    kp_vec_need_valid(ret_vec, arena, n);
    for (uint32_t i = 0; i < n; i++)
        if (picks[i] == NONE)
            kp_vec_set_null(ret_vec, i);
}

/* sources and the functions' columns, which are ready behind the input's. */
static enum kp_code send(struct expansion *self, const uint32_t *sources, const int64_t *ordinals, uint32_t n,
                         struct kp_batch *batch, struct kp_error *err)
{
    struct op_expand *op = self->op;
    struct kp_arena *arena = &self->lane->arena;
    struct kp_flow rows = kp_flow_gather_any(self->in, sources, n, arena);
    memcpy(batch->vecs, rows.batch->vecs, rows.batch->cols * sizeof *batch->vecs);
    batch->weights = rows.batch->weights;
    if (op->ordinality) {
        struct kp_vec *last = &batch->vecs[op->node.col_count - 1];
        kp_vec_init(last, arena, KP_TYPE(KP_INT8), n);
        memcpy(last->data, ordinals, n * sizeof *ordinals);
        for (uint32_t i = 0; op->outer && i < n; i++) {
            if (ordinals[i])
                continue;
            kp_vec_need_valid(last, arena, n);
            kp_vec_set_null(last, i);
        }
    }
    struct kp_flow out = {.batch = batch, .positions = rows.positions, .watermarks = rows.watermarks};
    return kp_node_send(&op->node, self->lane, &out, err);
}

static enum kp_code flush(struct expansion *self, struct kp_error *err)
{
    struct op_expand *op = self->op;
    struct kp_arena *arena = &self->lane->arena;
    uint32_t n = self->count, col = self->in->batch->cols;
    if (n == 0)
        return KP_OK;
    struct kp_batch *batch = kp_batch_create(arena, op->node.col_count, n);
    for (uint32_t s = 0; s < op->call_count; s++) {
        const struct stream *stream = &self->streams[s];
        for (uint32_t c = 0; c < stream->def->col_count; c++, col++)
            pick_column(stream->set.rows ? &stream->set.cols[c] : NULL, self->picks[s], n, op->node.types[col], arena,
                        &batch->vecs[col]);
    }
    self->count = 0;
    return send(self, self->sources, self->ordinals, n, batch, err);
}

/* ---- one function: its rounds are the batches ---- */

static enum kp_code run_single(struct expansion *self, struct kp_error *err)
{
    struct op_expand *op = self->op;
    struct stream *stream = self->streams;
    for (next_round(self, stream); !stream->done; next_round(self, stream)) {
        const struct kp_set *set = &stream->set;
        struct kp_batch *batch = kp_batch_create(&self->lane->arena, op->node.col_count, set->rows);
        memcpy(batch->vecs + self->in->batch->cols, set->cols, stream->def->col_count * sizeof *batch->vecs);
        KP_TRY(send(self, set->sources, set->ordinals, set->rows, batch, err));
    }
    return KP_OK;
}

/* ---- several, or with rows kept ---- */

static enum kp_code refill(struct expansion *self, struct kp_error *err)
{
    for (uint32_t s = 0; s < self->op->call_count; s++) {
        struct stream *stream = &self->streams[s];
        while (!stream->done && stream->at == stream->set.rows) {
            KP_TRY(flush(self, err));
            next_round(self, stream);
        }
    }
    return KP_OK;
}

/* The rows of one row of the input. */
static enum kp_code merge_row(struct expansion *self, uint32_t row, struct kp_error *err)
{
    for (uint32_t number = 1;; number++) {
        bool any = false;
        KP_TRY(refill(self, err));
        if (self->count == self->cap)
            KP_TRY(flush(self, err));
        for (uint32_t s = 0; s < self->op->call_count; s++) {
            struct stream *stream = &self->streams[s];
            bool has = !stream->done && stream->set.sources[stream->at] == row;
            self->picks[s][self->count] = has ? stream->at++ : NONE;
            any |= has;
        }
        bool keep = self->op->outer && number == 1;
        if (!any && !keep)
            return KP_OK;
        if (!self->failed[row]) {
            self->sources[self->count] = row;
            self->ordinals[self->count++] = any ? number : 0;
        }
        if (!any)
            return KP_OK;
    }
}

static enum kp_code run_merged(struct expansion *self, struct kp_error *err)
{
    struct op_expand *op = self->op;
    struct kp_arena *arena = &self->lane->arena;
    self->cap = KP_MIN(self->in->batch->rows * 8 + 64, (uint32_t)KP_BATCH_ROWS_MAX);
    self->sources = kp_arena_alloc(arena, self->cap * sizeof *self->sources);
    self->ordinals = kp_arena_alloc(arena, self->cap * sizeof *self->ordinals);
    self->picks = kp_arena_alloc(arena, op->call_count * sizeof *self->picks);
    for (uint32_t s = 0; s < op->call_count; s++)
        self->picks[s] = kp_arena_alloc(arena, self->cap * sizeof **self->picks);
    for (uint32_t row = 0; row < self->in->batch->rows; row++)
        KP_TRY(merge_row(self, row, err));
    return flush(self, err);
}

/* ---- the operator ---- */

/* The functions' arguments; rows of which one fails are diverted and left out. */
static void eval_args(struct expansion *self, struct kp_flow *in)
{
    struct op_expand *op = self->op;
    struct kp_arena *arena = &self->lane->arena;
    for (bool again = true; again;) {
        struct kp_eval eval = kp_lane_eval(self->lane, &op->node);
        for (uint32_t s = 0; s < op->call_count; s++) {
            struct stream *stream = &self->streams[s];
            for (uint32_t a = 0; a < stream->def->arg_count; a++) {
                kp_eval(&eval, stream->def->args[a], in->batch, &stream->vecs[a]);
                stream->args[a] = &stream->vecs[a];
            }
        }
        again = eval.error_count > 0;
        if (!again)
            return;
        kp_node_divert(&op->node, self->lane, &eval, in);
        uint32_t *index = kp_arena_alloc(arena, in->batch->rows * sizeof *index);
        *in = kp_flow_gather(in, index, kp_eval_good_rows(&eval, in->batch->rows, index), arena);
    }
}

static void make_streams(struct expansion *self)
{
    struct op_expand *op = self->op;
    struct kp_arena *arena = &self->lane->arena;
    self->streams = kp_arena_calloc(arena, op->call_count * sizeof *self->streams);
    for (uint32_t s = 0, col = self->in->batch->cols; s < op->call_count; s++) {
        struct stream *stream = &self->streams[s];
        stream->def = &op->calls[s];
        stream->vecs = kp_arena_calloc(arena, (stream->def->arg_count + 1) * sizeof *stream->vecs);
        stream->args = kp_arena_calloc(arena, (stream->def->arg_count + 1) * sizeof *stream->args);
        stream->types = op->node.types + col;
        col += stream->def->col_count;
    }
}

static enum kp_code expand_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                struct kp_error *err)
{
    struct op_expand *op = (struct op_expand *)node;
    struct kp_flow good = *in;
    struct expansion self = {.op = op, .lane = lane, .in = &good};
    make_streams(&self);
    eval_args(&self, &good);
    if (good.batch->rows == 0)
        return KP_OK;
    self.failed = kp_arena_calloc(&lane->arena, good.batch->rows * sizeof *self.failed);
    for (uint32_t s = 0; s < op->call_count; s++) {
        struct stream *stream = &self.streams[s];
        stream->call = (struct kp_call){.arena = &lane->arena,
                                        .settings = &node->settings,
                                        .rows = good.batch->rows,
                                        .arg_count = stream->def->arg_count,
                                        .type = stream->def->col_count ? stream->types[0] : KP_TYPE(KP_TYPE_NONE)};
    }
    bool single = op->call_count == 1 && !op->outer && op->calls[0].func;
    KP_TRY(single ? run_single(&self, err) : run_merged(&self, err));
    struct kp_eval eval = kp_lane_eval(lane, node);
    for (uint32_t s = 0; s < op->call_count; s++)
        kp_eval_note(&eval, self.streams[s].call.errors, self.streams[s].call.error_count);
    if (eval.error_count)
        kp_node_divert(node, lane, &eval, &good);
    return KP_OK;
}

static bool expand_same(const struct kp_node *a, const struct kp_node *b)
{
    const struct op_expand *x = (const struct op_expand *)a, *y = (const struct op_expand *)b;
    if (x->call_count != y->call_count || x->ordinality != y->ordinality || x->outer != y->outer)
        return false;
    for (uint32_t i = 0; i < x->call_count; i++)
        if (!kp_plan_set_equal(&x->calls[i], &y->calls[i]))
            return false;
    return true;
}

static const struct kp_node_ops expand_ops = {
    .kind = "expand", .bytes = sizeof(struct op_expand), .push = expand_push, .same = expand_same};

static void own_call(struct kp_plan_set *call, struct kp_arena *arena)
{
    struct kp_expr **args = kp_arena_alloc(arena, (call->arg_count + 1) * sizeof *args);
    for (uint32_t a = 0; a < call->arg_count; a++)
        args[a] = kp_expr_own(call->args[a], arena);
    call->args = args;
    if (!call->names)
        return;
    const char **names = kp_arena_alloc(arena, (call->col_count + 1) * sizeof *names);
    for (uint32_t c = 0; c < call->col_count; c++)
        names[c] = kp_arena_strdup(arena, call->names[c]);
    call->names = names;
}

struct kp_node *kp_op_expand(struct kp_graph *graph, const struct kp_plan *plan,
                             const struct kp_session_settings *settings, struct kp_node *input)
{
    struct op_expand *op =
        (struct op_expand *)kp_node_create(graph, &expand_ops, plan->cols, plan->col_count, &input, 1);
    op->node.settings = *settings;
    op->node.uses_positions = true;
    op->ordinality = plan->expand.ordinality;
    op->outer = plan->expand.outer;
    op->call_count = plan->expand.call_count;
    op->calls = kp_arena_calloc(&op->node.arena, (op->call_count + 1) * sizeof *op->calls);
    for (uint32_t i = 0; i < op->call_count; i++) {
        op->calls[i] = plan->expand.calls[i];
        own_call(&op->calls[i], &op->node.arena);
    }
    if (op->call_count)
        snprintf(op->node.detail, sizeof op->node.detail, "%s%s", op->calls[0].func ? op->calls[0].func->name : "value",
                 op->call_count > 1 ? ", …" : "");
    return kp_node_share(&op->node);
}
