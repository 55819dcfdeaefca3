#include "flow/match.h"

#include <limits.h>

enum { BLOCK_ROWS = 256, STEPS_MAX = 20000000 };

struct kp_match_block {
    uint32_t rows; /* loaded */
    struct kp_vec *vecs;
};

enum known_state { KNOWN_NOT, KNOWN_FALSE, KNOWN_TRUE, KNOWN_ERROR };
struct kp_match_known {
    uint8_t *states; /* per row */
    uint32_t cap;
};

/* ---- definition ---- */

static bool mark_nav(const struct kp_expr *expr, void *arg)
{
    if (expr->kind == KP_EXPR_COLUMN)
        ((bool *)arg)[expr->column] = true;
    return true;
}

static uint64_t all_variables(const struct kp_plan_match *plan)
{
    return UINT64_MAX >> (KP_MATCH_VARIABLES_MAX - plan->variable_count);
}

/* own: the variable whose condition it is, -1: a measure. */
static void define_expr(struct kp_match *match, struct kp_match_expr *expr, struct kp_expr *own, int32_t variable,
                        struct kp_arena *arena)
{
    const struct kp_plan_match *plan = match->plan;
    expr->expr = own;
    if (!own)
        return;
    bool *used = kp_arena_calloc(arena, plan->nav_count + 1);
    expr->navs = kp_arena_calloc(arena, (plan->nav_count + 1) * sizeof *expr->navs);
    kp_expr_walk(own, mark_nav, used);
    expr->local = variable >= 0;
    for (uint32_t i = 0; i < plan->nav_count; i++) {
        const struct kp_match_nav *nav = &plan->navs[i];
        if (!used[i])
            continue;
        expr->navs[expr->nav_count++] = i;
        bool at_hand = nav->variables == all_variables(plan) || (variable >= 0 && nav->variables >> variable & 1);
        expr->local &= (nav->kind == KP_NAV_COLUMN || nav->kind == KP_NAV_EXISTS) && at_hand && !nav->first &&
                       !nav->offset && !nav->final;
        expr->ahead = (uint32_t)KP_MAX((int32_t)expr->ahead, nav->shift);
    }
}

void kp_match_define(struct kp_match *match, const struct kp_plan *plan, bool bounded, struct kp_arena *arena)
{
    struct kp_plan_match *own = kp_plan_match_copy(plan->match, arena, NULL, NULL);
    own->frees &= !bounded;
    match->plan = own;
    match->col_count = plan->inputs[0]->col_count;
    match->reads = kp_arena_calloc(arena, match->col_count + 1);
    for (uint32_t i = 0; i < own->nav_count; i++) {
        struct kp_match_nav *nav = &own->navs[i];
        match->before = (uint32_t)KP_MAX((int32_t)match->before, -nav->shift);
        match->numbered |= nav->kind == KP_NAV_NUMBER;
        if (nav->kind == KP_NAV_COLUMN)
            match->reads[nav->column] = true;
        for (uint32_t k = 0; k < nav->agg.arg_count; k++)
            nav->agg.args[k] = kp_expr_own(nav->agg.args[k], arena);
        nav->agg.filter = kp_expr_own(nav->agg.filter, arena);
    }
    match->reads[own->keys[0].column] |= own->within > 0;
    match->defines = kp_arena_calloc(arena, (own->variable_count + 1) * sizeof *match->defines);
    for (uint32_t v = 0; v < own->variable_count; v++)
        define_expr(match, &match->defines[v], kp_expr_own(own->defines[v], arena), (int32_t)v, arena);
    match->measures = kp_arena_calloc(arena, (own->measure_count + 1) * sizeof *match->measures);
    for (uint32_t i = 0; i < own->measure_count; i++)
        define_expr(match, &match->measures[i], kp_expr_own(own->measures[i], arena), -1, arena);
}

/* ---- rows ---- */

void kp_match_rows_init(struct kp_match_rows *rows, const struct kp_match *match, const struct kp_table *table,
                        bool (*more)(struct kp_match_rows *rows, void *arg), void *arg)
{
    *rows = (struct kp_match_rows){.match = match, .table = table, .more = more, .arg = arg};
    rows->known = kp_calloc(match->plan->variable_count + 1u, sizeof *rows->known);
}

void kp_match_rows_finish(struct kp_match_rows *rows)
{
    for (uint32_t v = 0; v < rows->match->plan->variable_count; v++)
        kp_free(rows->known[v].states);
    kp_free(rows->known);
    kp_free(rows->ids);
    kp_free(rows->blocks);
    kp_arena_finish(&rows->arena);
    kp_arena_finish(&rows->scratch);
    kp_arena_finish(&rows->attempt);
}

void kp_match_rows_clear(struct kp_match_rows *rows)
{
    rows->count = 0;
    for (uint32_t b = 0; b < rows->block_cap; b++)
        rows->blocks[b].rows = 0;
    for (uint32_t v = 0; v < rows->match->plan->variable_count; v++)
        if (rows->known[v].cap)
            memset(rows->known[v].states, KNOWN_NOT, rows->known[v].cap);
    kp_arena_reset(&rows->arena);
}

void kp_match_rows_add(struct kp_match_rows *rows, uint32_t id)
{
    if (rows->count == rows->cap) {
        rows->cap = rows->cap ? rows->cap * 2 : BLOCK_ROWS;
        rows->ids = kp_realloc(rows->ids, rows->cap * sizeof *rows->ids);
    }
    rows->ids[rows->count++] = id;
}

/* The columns that are read, of the block that holds the row. */
static const struct kp_match_block *block_of(struct kp_match_rows *rows, uint32_t row)
{
    uint32_t b = row / BLOCK_ROWS, first = b * BLOCK_ROWS;
    if (b >= rows->block_cap) {
        uint32_t cap = KP_MAX(b + 1, rows->block_cap * 2);
        rows->blocks = kp_realloc(rows->blocks, cap * sizeof *rows->blocks);
        memset(rows->blocks + rows->block_cap, 0, (cap - rows->block_cap) * sizeof *rows->blocks);
        rows->block_cap = cap;
    }
    struct kp_match_block *block = &rows->blocks[b];
    if (row - first < block->rows)
        return block;
    block->rows = KP_MIN(rows->count - first, (uint32_t)BLOCK_ROWS);
    block->vecs = kp_arena_calloc(&rows->arena, (rows->match->col_count + 1) * sizeof *block->vecs);
    for (uint32_t c = 0; c < rows->match->col_count; c++)
        if (rows->match->reads[c])
            kp_table_load(rows->table, c, rows->ids + first, block->rows, &rows->arena, &block->vecs[c]);
    return block;
}

/* ---- navigations ---- */

static const uint8_t zeros[64];

static void one_null(struct kp_type type, struct kp_arena *arena, struct kp_vec *ret_vec)
{
    *ret_vec = (struct kp_vec){.type = type, .data = (void *)(uintptr_t)zeros, .valid = kp_arena_calloc(arena, 8)};
    KP_ASSERT(kp_vec_width(ret_vec) <= sizeof zeros);
}

static void one_value(struct kp_match_rows *rows, uint32_t row, uint32_t column, struct kp_type type,
                      struct kp_vec *ret_vec)
{
    const struct kp_vec *vec = &block_of(rows, row)->vecs[column];
    uint32_t at = row % BLOCK_ROWS;
    if (kp_vec_is_null(vec, at))
        one_null(type, &rows->scratch, ret_vec);
    else
        *ret_vec = (struct kp_vec){.type = type, .data = (char *)vec->data + at * kp_vec_width(vec)};
}

/* What is being looked at: rows [attempt->start, pos] are matched so far, the last of them at hand. */
struct view {
    struct kp_match_rows *rows;
    struct kp_match_attempt *attempt;
    uint32_t pos;
};

/* The row that a navigation leads to: false if there is none. */
static bool find_row(const struct view *view, const struct kp_match_nav *nav, uint32_t *ret_row)
{
    struct kp_match_attempt *attempt = view->attempt;
    uint32_t last = nav->final ? attempt->end - 1 : view->pos, left = nav->offset;
    bool all = nav->variables == all_variables(view->rows->match->plan);
    uint64_t count = last - attempt->start + 1, i = 0;
    for (i = all ? left : 0; i < count; i++) {
        uint32_t row = nav->first ? attempt->start + (uint32_t)i : last - (uint32_t)i;
        if (all || (nav->variables >> attempt->variables[row - attempt->start] & 1 && left-- == 0)) {
            int64_t target = (int64_t)row + nav->shift;
            if (target < 0)
                return false;
            if (!kp_match_rows_has(view->rows, (uint32_t)target)) {
                attempt->open = true;
                return false;
            }
            attempt->reach = KP_MAX(attempt->reach, (uint32_t)target);
            *ret_row = (uint32_t)target;
            return true;
        }
    }
    return false;
}

static struct kp_agg_call agg_call(const struct view *view, const struct kp_match_nav *nav, struct kp_budget *budget,
                                   uint32_t rows)
{
    static const struct kp_agg_order ascending;
    struct kp_agg_call call = {.budget = budget, .arg_count = nav->agg.arg_count};
    for (uint32_t k = 0; k < nav->agg.arg_count; k++)
        call.arg_types[k] = nav->agg.args[k]->type;
    if (nav->agg.agg->flags & KP_AGG_ORDERED) { /* by place in the match */
        call.arg_types[call.arg_count++] = KP_TYPE(KP_INT8);
        call.order_count = 1;
        call.orders = &ascending;
    }
    call.call = (struct kp_call){.arena = &view->rows->scratch,
                                 .settings = view->rows->match->settings,
                                 .rows = rows,
                                 .arg_count = call.arg_count,
                                 .type = nav->type};
    return call;
}

/* The rows of the variables, their numbers. */
static uint32_t rows_of(const struct view *view, const struct kp_match_nav *nav, uint32_t *ret_ids)
{
    const struct kp_match_attempt *attempt = view->attempt;
    uint32_t last = nav->final ? attempt->end - 1 : view->pos, n = 0;
    for (uint32_t row = attempt->start; row <= last; row++)
        if (nav->variables >> attempt->variables[row - attempt->start] & 1)
            ret_ids[n++] = view->rows->ids[row];
    return n;
}

static void aggregate(const struct view *view, const struct kp_match_nav *nav, struct kp_eval *eval,
                      struct kp_vec *ret_vec)
{
    struct kp_match_rows *rows = view->rows;
    struct kp_arena *arena = &rows->scratch;
    const struct kp_plan_agg *agg = &nav->agg;
    const struct kp_agg_impl *impl = agg->agg->growing ? agg->agg->growing : agg->agg->retractable;
    uint32_t most = (nav->final ? view->attempt->end : view->pos + 1) - view->attempt->start;
    uint32_t *ids = kp_arena_alloc(arena, (most + 1) * sizeof *ids), *index = kp_arena_alloc(arena, (most + 1) * 4);
    uint32_t n = rows_of(view, nav, ids), kept = 0;
    bool *used = kp_arena_calloc(arena, rows->match->col_count + 1);
    struct kp_batch *batch = kp_batch_create(arena, rows->match->col_count, n);
    for (uint32_t k = 0; k < agg->arg_count; k++)
        kp_expr_walk(agg->args[k], mark_nav, used);
    if (agg->filter)
        kp_expr_walk(agg->filter, mark_nav, used);
    for (uint32_t c = 0; c < rows->match->col_count; c++)
        if (used[c])
            kp_table_load(rows->table, c, ids, n, arena, &batch->vecs[c]);
    struct kp_vec filter = {0}, values[KP_AGG_ARGS_MAX], some[KP_AGG_ARGS_MAX];
    if (agg->filter && n)
        kp_eval(eval, agg->filter, batch, &filter);
    for (uint32_t k = 0; n && k < agg->arg_count; k++)
        kp_eval(eval, agg->args[k], batch, &values[k]);
    for (uint32_t i = 0; i < n; i++) {
        bool take = !agg->filter || (!kp_vec_is_null(&filter, i) && *(const uint8_t *)kp_vec_at(&filter, i));
        for (uint32_t k = 0; take && agg->agg->flags & KP_AGG_SKIP_NULLS && k < agg->arg_count; k++)
            take = !kp_vec_is_null(&values[k], i);
        index[kept] = i;
        kept += take;
    }
    struct kp_budget owned;
    kp_budget_init(&owned, "match", 0, NULL);
    struct kp_agg_call call = agg_call(view, nav, &owned, kept);
    const struct kp_vec *args[KP_AGG_ARGS_MAX];
    for (uint32_t k = 0; k < call.arg_count; k++) {
        if (k < agg->arg_count && kept) {
            struct kp_vec flat = kp_vec_flatten(&values[k], arena, n);
            kp_vec_gather(&flat, index, kept, arena, &some[k]);
        } else {
            kp_vec_init(&some[k], arena, call.arg_types[k], kept + 1);
            for (uint32_t i = 0; k >= agg->arg_count && i < kept; i++)
                ((int64_t *)some[k].data)[i] = i;
        }
        args[k] = &some[k];
    }
    void *state = kp_arena_calloc(arena, impl->state_bytes + 8u), **states = kp_arena_alloc(arena, (kept + 1) * 8u);
    for (uint32_t i = 0; i < kept; i++)
        states[i] = state;
    if (kept)
        impl->update(&call, states, args, NULL, kept);
    kp_eval_note(eval, call.call.errors, call.call.error_count);
    struct kp_agg_call final = agg_call(view, nav, &owned, 1);
    kp_vec_init(ret_vec, arena, nav->type, 1);
    impl->finalize(&final, &state, 1, ret_vec);
    kp_eval_note(eval, final.call.errors, final.call.error_count);
    if (impl->destroy)
        impl->destroy(&final, state);
}

static void nav_value(const struct view *view, const struct kp_match_nav *nav, struct kp_eval *eval,
                      struct kp_vec *ret_vec)
{
    struct kp_match_rows *rows = view->rows;
    struct kp_arena *arena = &rows->scratch;
    uint32_t row = 0;
    if (nav->kind == KP_NAV_AGGREGATE) {
        aggregate(view, nav, eval, ret_vec);
        return;
    }
    if (nav->kind == KP_NAV_NUMBER) {
        kp_vec_init(ret_vec, arena, nav->type, 1);
        *(int64_t *)ret_vec->data = view->attempt->number;
        return;
    }
    bool found = find_row(view, nav, &row);
    if (nav->kind == KP_NAV_EXISTS) {
        kp_vec_init(ret_vec, arena, nav->type, 1);
        *(uint8_t *)ret_vec->data = found;
    } else if (!found) {
        one_null(nav->type, arena, ret_vec);
    } else if (nav->kind == KP_NAV_COLUMN) {
        one_value(rows, row, nav->column, nav->type, ret_vec);
    } else {
        uint32_t last = nav->final ? view->attempt->end - 1 : view->pos;
        if (row < view->attempt->start || row > last) { /* not (yet) of the match */
            one_null(nav->type, arena, ret_vec);
            return;
        }
        const char *name = rows->match->plan->variables[view->attempt->variables[row - view->attempt->start]];
        kp_vec_init(ret_vec, arena, nav->type, 1);
        *(struct kp_text *)ret_vec->data = kp_text_make(name, strlen(name));
    }
}

/* Evaluates over the navigations as seen from view->pos. The first error, in the attempt's memory. */
static void eval_view(const struct view *view, const struct kp_match_expr *expr, struct kp_arena *arena,
                      struct kp_vec *ret_vec, const struct kp_row_error **ret_error)
{
    struct kp_match_rows *rows = view->rows;
    struct kp_eval eval = {.arena = arena, .settings = rows->match->settings};
    struct kp_batch *batch = kp_batch_create(&rows->scratch, rows->match->plan->nav_count, 1);
    for (uint32_t i = 0; i < expr->nav_count; i++)
        nav_value(view, &rows->match->plan->navs[expr->navs[i]], &eval, &batch->vecs[expr->navs[i]]);
    kp_eval(&eval, expr->expr, batch, ret_vec);
    *ret_error = NULL;
    if (!eval.error_count)
        return;
    struct kp_row_error *error = kp_arena_alloc(&rows->attempt, sizeof *error);
    *error = eval.errors[0];
    error->message = kp_arena_strdup(&rows->attempt, error->message);
    error->detail = error->hint = NULL;
    *ret_error = error;
}

/* ---- conditions ---- */

/* A local condition for rows from `row` on, as many as are loaded, up to a block. */
static void eval_local(struct kp_match_rows *rows, uint32_t variable, uint32_t row)
{
    const struct kp_match_expr *define = &rows->match->defines[variable];
    struct kp_match_known *known = &rows->known[variable];
    struct kp_arena *arena = &rows->scratch;
    kp_arena_reset(arena);
    uint32_t n = KP_MIN(rows->count - row, (uint32_t)BLOCK_ROWS);
    (void)kp_match_rows_has(rows, row + n - 1 + define->ahead);
    if (row + n > known->cap) {
        uint32_t cap = KP_MAX(row + n, known->cap * 2);
        known->states = kp_realloc(known->states, cap);
        memset(known->states + known->cap, KNOWN_NOT, cap - known->cap);
        known->cap = cap;
    }
    struct kp_eval eval = {.arena = arena, .settings = rows->match->settings};
    struct kp_batch *batch = kp_batch_create(arena, rows->match->plan->nav_count, n);
    const void **at = kp_arena_alloc(arena, n * sizeof *at);
    for (uint32_t i = 0; i < define->nav_count; i++) {
        const struct kp_match_nav *nav = &rows->match->plan->navs[define->navs[i]];
        struct kp_vec *vec = &batch->vecs[define->navs[i]];
        for (uint32_t k = 0; k < n; k++) {
            int64_t target = (int64_t)row + k + nav->shift;
            bool there = target >= 0 && target < rows->count;
            at[k] = there ? kp_table_row(rows->table, rows->ids[target]) : NULL;
        }
        if (nav->kind == KP_NAV_COLUMN) {
            kp_rows_load(rows->table->layout, nav->column, at, n, arena, vec);
            continue;
        }
        kp_vec_init(vec, arena, nav->type, n);
        for (uint32_t k = 0; k < n; k++)
            ((uint8_t *)vec->data)[k] = at[k] != NULL;
    }
    struct kp_vec result;
    kp_eval(&eval, define->expr, batch, &result);
    for (uint32_t k = 0; k < n; k++)
        known->states[row + k] =
            !kp_vec_is_null(&result, k) && *(const uint8_t *)kp_vec_at(&result, k) ? KNOWN_TRUE : KNOWN_FALSE;
    for (uint32_t i = 0; i < eval.error_count; i++)
        known->states[row + eval.errors[i].row] = KNOWN_ERROR;
}

static bool holds_within(const struct view *view)
{
    const struct kp_plan_match *plan = view->rows->match->plan;
    uint32_t column = plan->keys[0].column, at[2] = {view->attempt->start, view->pos};
    int64_t times[2], passed;
    for (uint32_t i = 0; i < 2; i++) {
        const struct kp_vec *vec = &block_of(view->rows, at[i])->vecs[column];
        uint32_t k = at[i] % BLOCK_ROWS;
        if (kp_vec_is_null(vec, k))
            return false;
        times[i] = vec->type.id == KP_DATE ? *(const int32_t *)kp_vec_at(vec, k) * (int64_t)86400000000
                                           : *(const int64_t *)kp_vec_at(vec, k);
    }
    return !__builtin_sub_overflow(times[1], times[0], &passed) && passed < plan->within;
}

/* Whether the row at hand, tried as the variable, satisfies it. */
static bool holds(const struct view *view, uint32_t variable)
{
    struct kp_match_rows *rows = view->rows;
    const struct kp_match_expr *define = &rows->match->defines[variable];
    struct kp_match_attempt *attempt = view->attempt;
    if (rows->match->plan->within && !holds_within(view))
        return false;
    if (!define->expr)
        return true;
    if (define->local) {
        struct kp_match_known *known = &rows->known[variable];
        if (view->pos >= known->cap || known->states[view->pos] == KNOWN_NOT)
            eval_local(rows, variable, view->pos);
        if (define->ahead) {
            bool there = kp_match_rows_has(rows, view->pos + define->ahead);
            attempt->open |= !there;
            attempt->reach = KP_MAX(attempt->reach, there ? view->pos + define->ahead : rows->count - 1);
        }
        if (known->states[view->pos] != KNOWN_ERROR)
            return known->states[view->pos] == KNOWN_TRUE;
    }
    struct kp_vec result;
    const struct kp_row_error *error;
    kp_arena_reset(&rows->scratch);
    eval_view(view, define, &rows->scratch, &result, &error);
    if (error && !attempt->error)
        attempt->error = error;
    return !error && !kp_vec_is_null(&result, 0) && *(const uint8_t *)kp_vec_at(&result, 0);
}

/* ---- attempts ---- */

struct choice {
    uint32_t op, pos;
};

struct machine {
    struct choice *choices;
    uint32_t count, cap, variable_cap;
};

static void push(struct machine *machine, uint32_t op, uint32_t pos)
{
    if (machine->count == machine->cap) {
        machine->cap = machine->cap ? machine->cap * 2 : 64;
        machine->choices = kp_realloc(machine->choices, machine->cap * sizeof *machine->choices);
    }
    machine->choices[machine->count++] = (struct choice){op, pos};
}

static void set_variable(struct kp_match_rows *rows, struct machine *machine, struct kp_match_attempt *attempt,
                         uint32_t at, uint32_t variable)
{
    if (at >= machine->variable_cap) {
        uint32_t cap = KP_MAX(machine->variable_cap * 2, 64u);
        uint8_t *more = kp_arena_alloc(&rows->attempt, cap);
        if (machine->variable_cap)
            memcpy(more, attempt->variables, machine->variable_cap);
        attempt->variables = more;
        machine->variable_cap = cap;
    }
    attempt->variables[at] = (uint8_t)variable;
}

/* Goes on from a choice until the pattern's end, true, or a row that does not match. */
static bool run(struct kp_match_rows *rows, struct machine *machine, struct choice choice,
                struct kp_match_attempt *attempt, uint64_t *steps)
{
    const struct kp_match_op *ops = rows->match->plan->ops;
    for (; *steps < STEPS_MAX; ++*steps) {
        const struct kp_match_op *op = &ops[choice.op];
        switch (op->code) {
        case KP_MATCH_END:
            attempt->end = choice.pos;
            return true;
        case KP_MATCH_JUMP:
            choice.op = op->a;
            continue;
        case KP_MATCH_SPLIT:
            push(machine, op->b, choice.pos);
            choice.op = op->a;
            continue;
        default:
            break;
        }
        if (!kp_match_rows_has(rows, choice.pos)) {
            attempt->open = true;
            return false;
        }
        attempt->reach = KP_MAX(attempt->reach, choice.pos);
        set_variable(rows, machine, attempt, choice.pos - attempt->start, op->a);
        struct view view = {rows, attempt, choice.pos};
        if (!holds(&view, op->a))
            return false;
        choice.op++;
        choice.pos++;
    }
    return false;
}

enum kp_code kp_match_try(struct kp_match_rows *rows, uint32_t start, int64_t number,
                          struct kp_match_attempt *ret_attempt, struct kp_error *err)
{
    struct machine machine = {0};
    struct kp_match_attempt *attempt = ret_attempt;
    uint64_t steps = 0;
    KP_TRY(kp_arena_check(&rows->attempt, err));
    kp_arena_reset(&rows->attempt);
    *attempt = (struct kp_match_attempt){.start = start, .end = start, .reach = start, .number = number};
    push(&machine, 0, start);
    while (machine.count && !attempt->matched && steps < STEPS_MAX && !kp_arena_vain(&rows->attempt))
        attempt->matched = run(rows, &machine, machine.choices[--machine.count], attempt, &steps);
    kp_free(machine.choices);
    if (steps < STEPS_MAX)
        return KP_OK;
    kp_fail(err, KP_LIMIT, "54000", "matching a pattern from one row took more than %d steps", STEPS_MAX);
    return kp_error_hint(err, "Let its variables exclude one another, or bound the match with WITHIN.");
}

void kp_match_measure(struct kp_match_rows *rows, struct kp_match_attempt *attempt, uint32_t row,
                      struct kp_vec *ret_vecs, const struct kp_row_error **ret_error)
{
    const struct kp_match *match = rows->match;
    struct view view = {rows, attempt, row};
    *ret_error = NULL;
    kp_arena_reset(&rows->scratch);
    for (uint32_t i = 0; i < match->plan->measure_count && !*ret_error; i++) {
        struct kp_vec vec;
        eval_view(&view, &match->measures[i], &rows->scratch, &vec, ret_error);
        ret_vecs[i] = kp_vec_flatten(&vec, &rows->scratch, 1);
    }
}
