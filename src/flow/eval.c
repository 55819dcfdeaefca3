/*
 * Vectorized evaluation.
 *
 * Every node of an expression makes one vector for all rows of the batch. Where PostgreSQL would not evaluate an
 * argument for some rows (AND, OR, CASE, COALESCE) and the argument can fail, its rows are gathered into a smaller
 * batch, evaluated there, and scattered back; an argument that cannot fail is evaluated for all rows, which is cheaper
 * than gathering.
 *
 * Invariants: 1. errors are noted in PostgreSQL's order of evaluation, so the first one of a row is PostgreSQL's;
 * 2. a constant vector stays constant as long as all arguments are constant; 3. an error under a NULL result of a
 * strict function never counts.
 */
#include "flow/eval.h"

#include <stdlib.h>

#include "base/limits.h"

/* ---- errors ---- */

void kp_eval_note(struct kp_eval *eval, const struct kp_row_error *errors, uint32_t count)
{
    if (count == 0)
        return;
    if (eval->error_count + count > eval->error_cap) {
        uint32_t cap = KP_MAX(eval->error_count + count, eval->error_cap * 2);
        struct kp_row_error *grown = kp_arena_alloc(eval->arena, cap * sizeof *grown);
        if (eval->error_count)
            memcpy(grown, eval->errors, eval->error_count * sizeof *grown);
        eval->errors = grown;
        eval->error_cap = cap;
    }
    memcpy(eval->errors + eval->error_count, errors, count * sizeof *errors);
    eval->error_count += count;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void kp_eval_first_errors(struct kp_eval *eval)
{
    uint32_t count = eval->error_count, kept = 0;
    if (count < 2)
        return;
    uint64_t *order = kp_arena_alloc(eval->arena, count * sizeof *order); /* row, then place in the list */
    for (uint32_t i = 0; i < count; i++)
        order[i] = (uint64_t)eval->errors[i].row << 32 | i;
    qsort(order, count, sizeof *order, compare_u64);
    struct kp_row_error *sorted = kp_arena_alloc(eval->arena, count * sizeof *sorted);
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || order[i] >> 32 != order[i - 1] >> 32)
            sorted[kept++] = eval->errors[(uint32_t)order[i]];
    eval->errors = sorted;
    eval->error_count = kept;
    eval->error_cap = count;
}

uint32_t kp_eval_true_rows(const struct kp_eval *eval, const struct kp_vec *vec, uint32_t rows, uint32_t *index)
{
    const uint8_t *values = vec->data;
    uint32_t n = 0;
    if (vec->constant) {
        if (!values[0] || kp_vec_is_null(vec, 0))
            return 0;
        for (; n < rows; n++)
            index[n] = n;
    } else if (vec->valid) {
        for (uint32_t i = 0; i < rows; i++) {
            index[n] = i;
            n += (uint32_t)(values[i] & (vec->valid[i >> 6] >> (i & 63)) & 1);
        }
    } else {
        for (uint32_t i = 0; i < rows; i++) {
            index[n] = i;
            n += values[i] & 1u;
        }
    }
    if (eval->error_count == 0)
        return n;
    uint32_t kept = 0, at = 0; /* errors are in order of rows: kp_eval_first_errors */
    for (uint32_t i = 0; i < n; i++) {
        while (at < eval->error_count && eval->errors[at].row < index[i])
            at++;
        if (at == eval->error_count || eval->errors[at].row != index[i])
            index[kept++] = index[i];
    }
    return kept;
}

uint32_t kp_eval_good_rows(const struct kp_eval *eval, uint32_t rows, uint32_t *index)
{
    uint32_t n = 0, at = 0;
    for (uint32_t i = 0; i < rows; i++) {
        if (at < eval->error_count && eval->errors[at].row == i)
            at++;
        else
            index[n++] = i;
    }
    return n;
}

/* ---- subsets ---- */

static void gather_columns(const struct kp_expr *expr, const struct kp_batch *from, const uint32_t *index, uint32_t n,
                           struct kp_arena *arena, struct kp_batch *to)
{
    if (expr->kind == KP_EXPR_COLUMN && !to->vecs[expr->column].data)
        kp_vec_gather(&from->vecs[expr->column], index, n, arena, &to->vecs[expr->column]);
    for (uint32_t i = 0; i < expr->arg_count; i++)
        gather_columns(expr->args[i], from, index, n, arena, to);
}

/* Evaluates on the rows index[0..n) only; the result has n rows. */
static void eval_subset(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                        const uint32_t *index, uint32_t n, struct kp_vec *ret_vec)
{
    struct kp_batch part = {.rows = n, .cols = batch->cols};
    part.vecs = kp_arena_calloc(eval->arena, batch->cols * sizeof *part.vecs);
    gather_columns(expr, batch, index, n, eval->arena, &part);
    uint32_t before = eval->error_count;
    kp_eval(eval, expr, &part, ret_vec);
    for (uint32_t i = before; i < eval->error_count; i++)
        eval->errors[i].row = index[eval->errors[i].row];
}

/* The values of expr for rows index[0..n) as n rows, by whichever way is cheaper and safe. */
static void eval_some(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                      const uint32_t *index, uint32_t n, struct kp_vec *ret_vec)
{
    if (n == batch->rows)
        kp_eval(eval, expr, batch, ret_vec);
    else if (expr->can_fail || (expr->arg_count && n < batch->rows / 2))
        eval_subset(eval, expr, batch, index, n, ret_vec);
    else {
        struct kp_vec all;
        kp_eval(eval, expr, batch, &all);
        kp_vec_gather(&all, index, n, eval->arena, ret_vec);
    }
}

static uint32_t *all_rows(struct kp_eval *eval, uint32_t rows)
{
    uint32_t *index = kp_arena_alloc(eval->arena, rows * sizeof *index);
    for (uint32_t i = 0; i < rows; i++)
        index[i] = i;
    return index;
}

/* ---- three-valued logic: a byte a row, ordered so that AND is the least and OR the greatest ---- */

enum { LOGIC_FALSE, LOGIC_NULL, LOGIC_TRUE };

static void to_logic(const struct kp_vec *vec, uint32_t rows, uint8_t *logic)
{
    const uint8_t *values = vec->data;
    if (vec->constant) {
        memset(logic, kp_vec_is_null(vec, 0) ? LOGIC_NULL : values[0] ? LOGIC_TRUE : LOGIC_FALSE, rows);
        return;
    }
    for (uint32_t i = 0; i < rows; i++)
        logic[i] = (uint8_t)(values[i] << 1);
    if (vec->valid)
        for (uint32_t i = 0; i < rows; i++)
            if (!(vec->valid[i >> 6] >> (i & 63) & 1))
                logic[i] = LOGIC_NULL;
}

static void from_logic(struct kp_eval *eval, const uint8_t *logic, uint32_t rows, struct kp_vec *ret_vec)
{
    kp_vec_init(ret_vec, eval->arena, KP_TYPE(KP_BOOL), rows);
    uint8_t *values = ret_vec->data, any_null = 0;
    for (uint32_t i = 0; i < rows; i++) {
        values[i] = logic[i] >> 1;
        any_null |= logic[i] & 1;
    }
    if (any_null) {
        kp_vec_need_valid(ret_vec, eval->arena, rows);
        for (uint32_t i = 0; i < rows; i++)
            if (logic[i] & 1)
                kp_vec_set_null(ret_vec, i);
    }
}

static void eval_and_or(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                        struct kp_vec *ret_vec)
{
    bool is_and = expr->kind == KP_EXPR_AND, conditions = is_and && expr->list.conditions;
    uint32_t rows = batch->rows;
    uint8_t done = is_and ? LOGIC_FALSE : LOGIC_TRUE;
    uint8_t *logic = kp_arena_alloc(eval->arena, rows), *more = kp_arena_alloc(eval->arena, rows);
    struct kp_vec vec;
    kp_eval(eval, expr->args[0], batch, &vec);
    to_logic(&vec, rows, logic);
    for (uint32_t a = 1; a < expr->arg_count; a++) {
        const struct kp_expr *arg = expr->args[a];
        if (!arg->can_fail) {
            kp_eval(eval, arg, batch, &vec);
            to_logic(&vec, rows, more);
            if (is_and)
                for (uint32_t i = 0; i < rows; i++)
                    logic[i] = KP_MIN(logic[i], more[i]);
            else
                for (uint32_t i = 0; i < rows; i++)
                    logic[i] = KP_MAX(logic[i], more[i]);
            continue;
        }
        uint32_t *index = kp_arena_alloc(eval->arena, rows * sizeof *index), n = 0;
        for (uint32_t i = 0; i < rows; i++)
            if (conditions ? logic[i] == LOGIC_TRUE : logic[i] != done)
                index[n++] = i;
        if (n == 0)
            break;
        eval_some(eval, arg, batch, index, n, &vec);
        to_logic(&vec, n, more);
        for (uint32_t i = 0; i < n; i++) {
            uint8_t *at = &logic[index[i]];
            *at = is_and ? KP_MIN(*at, more[i]) : KP_MAX(*at, more[i]);
        }
    }
    from_logic(eval, logic, rows, ret_vec);
}

static void eval_not(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                     struct kp_vec *ret_vec)
{
    struct kp_vec vec;
    kp_eval(eval, expr->args[0], batch, &vec);
    uint32_t rows = vec.constant ? 1 : batch->rows;
    kp_vec_init(ret_vec, eval->arena, expr->type, rows);
    ret_vec->constant = vec.constant;
    ret_vec->valid = vec.valid;
    const uint8_t *from = vec.data;
    uint8_t *to = ret_vec->data;
    for (uint32_t i = 0; i < rows; i++)
        to[i] = !from[i];
}

/* IS [NOT] NULL, TRUE, FALSE: of the three values each test accepts some. */
static void eval_test(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                      struct kp_vec *ret_vec)
{
    struct kp_vec vec;
    kp_eval(eval, expr->args[0], batch, &vec);
    uint32_t rows = vec.constant ? 1 : batch->rows;
    kp_vec_init(ret_vec, eval->arena, expr->type, rows);
    ret_vec->constant = vec.constant;
    uint8_t *to = ret_vec->data;
    if (expr->kind == KP_EXPR_IS_NULL || expr->kind == KP_EXPR_IS_NOT_NULL) {
        for (uint32_t i = 0; i < rows; i++)
            to[i] = kp_vec_is_null(&vec, i) == (expr->kind == KP_EXPR_IS_NULL);
        return;
    }
    bool negated = expr->kind == KP_EXPR_IS_NOT_TRUE || expr->kind == KP_EXPR_IS_NOT_FALSE;
    bool wanted = expr->kind == KP_EXPR_IS_TRUE || expr->kind == KP_EXPR_IS_NOT_TRUE;
    const uint8_t *from = vec.data;
    for (uint32_t i = 0; i < rows; i++)
        to[i] = (!kp_vec_is_null(&vec, i) && from[i] == wanted) != negated;
}

/* ---- choices ---- */

static void eval_case(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                      struct kp_vec *ret_vec)
{
    uint32_t rows = batch->rows, n = rows;
    uint32_t *index = all_rows(eval, rows), *taken = kp_arena_alloc(eval->arena, rows * sizeof *taken);
    kp_vec_init(ret_vec, eval->arena, expr->type, rows);
    memset(ret_vec->data, 0, rows * kp_vec_width(ret_vec));
    struct kp_vec vec;
    for (uint32_t a = 0; n && a + 1 < expr->arg_count; a += 2) {
        eval_some(eval, expr->args[a], batch, index, n, &vec);
        uint32_t left = 0, took = 0;
        const uint8_t *values = vec.data;
        for (uint32_t i = 0; i < n; i++) {
            bool is = values[vec.constant ? 0 : i] && !kp_vec_is_null(&vec, i);
            taken[took] = index[i];
            took += is;
            index[left] = index[i];
            left += !is;
        }
        n = left;
        if (took) {
            eval_some(eval, expr->args[a + 1], batch, taken, took, &vec);
            kp_vec_scatter(ret_vec, rows, &vec, taken, took, eval->arena);
        }
    }
    if (n) {
        eval_some(eval, expr->args[expr->arg_count - 1], batch, index, n, &vec);
        kp_vec_scatter(ret_vec, rows, &vec, index, n, eval->arena);
    }
}

static void eval_coalesce(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                          struct kp_vec *ret_vec)
{
    uint32_t rows = batch->rows;
    struct kp_vec vec;
    kp_eval(eval, expr->args[0], batch, &vec);
    if (!vec.valid) {
        *ret_vec = vec;
        return;
    }
    uint32_t n = rows, *index = all_rows(eval, rows);
    kp_vec_init(ret_vec, eval->arena, expr->type, rows);
    kp_vec_scatter(ret_vec, rows, &vec, index, n, eval->arena);
    for (uint32_t a = 1; a < expr->arg_count; a++) {
        uint32_t left = 0;
        for (uint32_t i = 0; i < n; i++)
            if (kp_vec_is_null(&vec, i))
                index[left++] = index[i];
        n = left;
        if (n == 0)
            return;
        eval_some(eval, expr->args[a], batch, index, n, &vec);
        if (ret_vec->valid)
            for (uint32_t i = 0; i < n; i++)
                ret_vec->valid[index[i] >> 6] |= (uint64_t)1 << (index[i] & 63);
        kp_vec_scatter(ret_vec, rows, &vec, index, n, eval->arena);
    }
}

static void eval_extreme(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                         struct kp_vec *ret_vec)
{
    uint32_t rows = batch->rows;
    struct kp_vec vec;
    kp_eval(eval, expr->args[0], batch, &vec);
    struct kp_vec best = kp_vec_flatten(&vec, eval->arena, rows);
    kp_vec_init(ret_vec, eval->arena, expr->type, rows);
    size_t width = kp_vec_width(ret_vec);
    char *to = ret_vec->data;
    memcpy(to, best.data, rows * width);
    kp_vec_need_valid(ret_vec, eval->arena, rows);
    if (best.valid)
        memcpy(ret_vec->valid, best.valid, (rows + 63) / 64 * sizeof *best.valid);
    for (uint32_t a = 1; a < expr->arg_count; a++) {
        kp_eval(eval, expr->args[a], batch, &vec);
        for (uint32_t i = 0; i < rows; i++) {
            if (kp_vec_is_null(&vec, i))
                continue;
            const void *value = kp_vec_at(&vec, i);
            bool take = kp_vec_is_null(ret_vec, i);
            if (!take) {
                int order = kp_value_compare(expr->type.id, value, to + i * width);
                take = expr->kind == KP_EXPR_GREATEST ? order > 0 : order < 0;
            }
            if (take) {
                memcpy(to + i * width, value, width);
                ret_vec->valid[i >> 6] |= (uint64_t)1 << (i & 63);
            }
        }
    }
}

/* ---- calls ---- */

static void intersect_valid(struct kp_eval *eval, const struct kp_vec *arg, uint32_t rows, struct kp_vec *out)
{
    if (!arg->valid)
        return;
    size_t words = ((size_t)rows + 63) / 64;
    if (!out->valid) {
        kp_vec_need_valid(out, eval->arena, rows);
        memcpy(out->valid, arg->valid, words * sizeof *out->valid);
        return;
    }
    for (size_t w = 0; w < words; w++)
        out->valid[w] &= arg->valid[w];
}

static void make_null(struct kp_eval *eval, struct kp_type type, struct kp_vec *ret_vec)
{
    struct kp_datum datum;
    memset(&datum, 0, sizeof datum);
    datum.type = type;
    datum.null = true;
    kp_vec_init_constant(ret_vec, eval->arena, &datum);
}

/*
 * No value is longer than VALUE_BYTES_MAX, whatever function made it. Only in an arena of so much memory can there be
 * one, so rows are looked at hardly ever. It keeps values within the length that a struct kp_text has, as kernels
 * that multiply (array_to_string, regexp_replace) stop soon behind the limit.
 */
enum { VALUE_BYTES_MAX = 4 * KP_RECORD_BYTES_MAX };

static void refuse_long(struct kp_call *call, struct kp_vec *vec)
{
    struct kp_text *values = vec->data;
    for (uint32_t i = 0; i < call->rows; i++)
        if (!kp_vec_is_null(vec, i) && values[i].len > VALUE_BYTES_MAX) {
            kp_call_fail(call, i, "54000", "requested length too large: a value has at most %d bytes", VALUE_BYTES_MAX);
            values[i] = kp_text_make(NULL, 0);
        }
}

static void run_kernel(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_func *func, void *prepared,
                       const struct kp_vec *const *args, uint32_t arg_count, uint32_t batch_rows,
                       struct kp_vec *ret_vec)
{
    bool strict = func->flags & KP_STRICT, constant = !(func->flags & KP_VOLATILE);
    if (kp_arena_vain(eval->arena)) { /* nobody waits for it: NULL is valid anywhere */
        make_null(eval, expr->type, ret_vec);
        return;
    }
    for (uint32_t i = 0; i < arg_count; i++) {
        constant = constant && args[i]->constant;
        if (strict && args[i]->constant && kp_vec_is_null(args[i], 0)) {
            make_null(eval, expr->type, ret_vec);
            return;
        }
    }
    uint32_t rows = constant ? 1 : batch_rows;
    kp_vec_init(ret_vec, eval->arena, expr->type, rows);
    if (strict)
        for (uint32_t i = 0; i < arg_count; i++)
            if (!args[i]->constant)
                intersect_valid(eval, args[i], rows, ret_vec);
    struct kp_call call = {.arena = eval->arena,
                           .settings = eval->settings,
                           .rows = rows,
                           .arg_count = arg_count,
                           .prepared = prepared,
                           .type = expr->type};
    kp_eval_kernel(func, &call, args, ret_vec);
    if (eval->arena->bytes > VALUE_BYTES_MAX && kp_type_info(expr->type.id)->string)
        refuse_long(&call, ret_vec);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < call.error_count; i++)
        if (!strict || !ret_vec->valid || (ret_vec->valid[call.errors[i].row >> 6] >> (call.errors[i].row & 63) & 1))
            call.errors[kept++] = call.errors[i];
    ret_vec->constant = constant;
    if (constant && kept) { /* the failure of a constant is every row's */
        struct kp_row_error error = call.errors[0];
        for (uint32_t i = 0; i < batch_rows; i++) {
            error.row = i;
            kp_eval_note(eval, &error, 1);
        }
    } else
        kp_eval_note(eval, call.errors, kept);
}

static void eval_call(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                      struct kp_vec *ret_vec)
{
    struct kp_vec *vecs = kp_arena_alloc(eval->arena, expr->arg_count * sizeof *vecs);
    const struct kp_vec **args = kp_arena_alloc(eval->arena, expr->arg_count * sizeof *args);
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        kp_eval(eval, expr->args[i], batch, &vecs[i]);
        args[i] = &vecs[i];
    }
    run_kernel(eval, expr, expr->func, expr->prepared, args, expr->arg_count, batch->rows, ret_vec);
}

/* IS DISTINCT FROM: NULLs are equal to each other and to nothing else. */
static void eval_distinct(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                          struct kp_vec *ret_vec)
{
    struct kp_vec a, b, equal;
    kp_eval(eval, expr->args[0], batch, &a);
    kp_eval(eval, expr->args[1], batch, &b);
    const struct kp_vec *args[2] = {&a, &b};
    run_kernel(eval, expr, expr->func, NULL, args, 2, batch->rows, &equal);
    bool constant = a.constant && b.constant;
    uint32_t rows = constant ? 1 : batch->rows;
    kp_vec_init(ret_vec, eval->arena, expr->type, rows);
    ret_vec->constant = constant;
    uint8_t *to = ret_vec->data;
    const uint8_t *from = equal.data;
    for (uint32_t i = 0; i < rows; i++) {
        bool a_null = kp_vec_is_null(&a, i), b_null = kp_vec_is_null(&b, i);
        to[i] = a_null || b_null ? a_null != b_null : !from[equal.constant ? 0 : i];
    }
}

/* ---- IN: few constants one by one, many through a hash set of their places ---- */

enum { IN_LINEAR_MAX = 8 };

/* Of an expression that an operator owns (kp_expr_own) it is made once. */
struct in_set {
    uint32_t *places; /* number of the argument, 0: empty */
    uint32_t mask;
    bool null; /* there is one in the list */
};

static struct in_set *in_set_build(struct kp_arena *arena, const struct kp_expr *expr)
{
    uint32_t cap = 16;
    while (cap < expr->arg_count * 2)
        cap *= 2;
    uint32_t *set = kp_arena_calloc(arena, cap * sizeof *set);
    struct in_set *made = kp_arena_calloc(arena, sizeof *made);
    for (uint32_t a = 1; a < expr->arg_count; a++) {
        const struct kp_datum *datum = &expr->args[a]->datum;
        made->null |= datum->null;
        if (datum->null)
            continue;
        uint32_t at = (uint32_t)kp_value_hash(datum->type.id, datum->raw) & (cap - 1);
        while (set[at])
            at = (at + 1) & (cap - 1);
        set[at] = a;
    }
    made->places = set;
    made->mask = cap - 1;
    return made;
}

static bool in_contains(const struct kp_expr *expr, const struct in_set *set, enum kp_type_id type, const void *value)
{
    if (!set) {
        for (uint32_t a = 1; a < expr->arg_count; a++)
            if (!expr->args[a]->datum.null && kp_value_equal(type, value, expr->args[a]->datum.raw))
                return true;
        return false;
    }
    const uint32_t *places = set->places, mask = set->mask;
    for (uint32_t at = (uint32_t)kp_value_hash(type, value) & mask; places[at]; at = (at + 1) & mask)
        if (kp_value_equal(type, value, expr->args[places[at]]->datum.raw))
            return true;
    return false;
}

static void eval_in(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                    struct kp_vec *ret_vec)
{
    struct kp_vec vec;
    kp_eval(eval, expr->args[0], batch, &vec);
    uint32_t rows = vec.constant ? 1 : batch->rows;
    enum kp_type_id type = expr->args[0]->type.id;
    const struct in_set *set = expr->prepared;
    if (!set && expr->arg_count - 1 > IN_LINEAR_MAX && rows > 1)
        set = in_set_build(eval->arena, expr);
    bool null_in_list = set && set->null;
    for (uint32_t a = 1; !set && a < expr->arg_count; a++)
        null_in_list |= expr->args[a]->datum.null;
    uint8_t *logic = kp_arena_alloc(eval->arena, rows);
    for (uint32_t i = 0; i < rows; i++) {
        if (kp_vec_is_null(&vec, i))
            logic[i] = LOGIC_NULL;
        else if (in_contains(expr, set, type, kp_vec_at(&vec, i)))
            logic[i] = LOGIC_TRUE;
        else
            logic[i] = null_in_list ? LOGIC_NULL : LOGIC_FALSE;
    }
    from_logic(eval, logic, rows, ret_vec);
    ret_vec->constant = vec.constant;
}

void kp_eval(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch, struct kp_vec *ret_vec)
{
    switch (expr->kind) {
    case KP_EXPR_COLUMN:
        *ret_vec = batch->vecs[expr->column];
        return;
    case KP_EXPR_CONST:
        kp_vec_init_constant(ret_vec, eval->arena, &expr->datum);
        return;
    case KP_EXPR_NOW: {
        struct kp_datum datum = {.type = expr->type, .i64 = eval->settings->now_us};
        kp_vec_init_constant(ret_vec, eval->arena, &datum);
        return;
    }
    case KP_EXPR_CALL:
        eval_call(eval, expr, batch, ret_vec);
        return;
    case KP_EXPR_AND:
    case KP_EXPR_OR:
        eval_and_or(eval, expr, batch, ret_vec);
        return;
    case KP_EXPR_NOT:
        eval_not(eval, expr, batch, ret_vec);
        return;
    case KP_EXPR_IS_NULL:
    case KP_EXPR_IS_NOT_NULL:
    case KP_EXPR_IS_TRUE:
    case KP_EXPR_IS_NOT_TRUE:
    case KP_EXPR_IS_FALSE:
    case KP_EXPR_IS_NOT_FALSE:
        eval_test(eval, expr, batch, ret_vec);
        return;
    case KP_EXPR_DISTINCT:
        eval_distinct(eval, expr, batch, ret_vec);
        return;
    case KP_EXPR_CASE:
        eval_case(eval, expr, batch, ret_vec);
        return;
    case KP_EXPR_COALESCE:
        eval_coalesce(eval, expr, batch, ret_vec);
        return;
    case KP_EXPR_GREATEST:
    case KP_EXPR_LEAST:
        eval_extreme(eval, expr, batch, ret_vec);
        return;
    case KP_EXPR_IN:
        eval_in(eval, expr, batch, ret_vec);
        return;
    case KP_EXPR_ANY:
    case KP_EXPR_ALL:
        kp_eval_any_all(eval, expr, batch, ret_vec);
        break;
    case KP_EXPR_SPREAD:
        kp_eval_spread(eval, expr, batch, ret_vec);
        break;
    case KP_EXPR_ARRAY_COERCE:
        kp_eval_array_coerce(eval, expr, batch, ret_vec);
        break;
    case KP_EXPR_ARRAY_CHECK:
        kp_eval_array_check(eval, expr, batch, ret_vec);
        break;
    case KP_EXPR_PARAM:
        kp_fatal("an expression that is not ready to run", __FILE__, __LINE__);
    }
    if (kp_arena_vain(eval->arena)) /* those that go round by round may have left rows out */
        make_null(eval, expr->type, ret_vec);
}

bool kp_expr_has(const struct kp_expr *expr, enum kp_expr_kind kind)
{
    if (!expr)
        return false;
    if (expr->kind == kind)
        return true;
    for (uint32_t i = 0; i < expr->arg_count; i++)
        if (kp_expr_has(expr->args[i], kind))
            return true;
    return false;
}

static void prepare(struct kp_expr *expr, struct kp_arena *arena)
{
    const struct kp_datum *constants[KP_FUNCTION_ARGS_MAX] = {NULL};
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        prepare(expr->args[i], arena);
        if (i < KP_FUNCTION_ARGS_MAX && expr->args[i]->kind == KP_EXPR_CONST)
            constants[i] = &expr->args[i]->datum;
    }
    if (expr->kind == KP_EXPR_ARRAY_CHECK)
        prepare(expr->each, arena);
    if (expr->kind == KP_EXPR_IN)
        expr->prepared = expr->arg_count - 1 > IN_LINEAR_MAX ? in_set_build(arena, expr) : NULL;
    if (expr->kind == KP_EXPR_CALL && expr->func->prepare)
        expr->prepared = expr->func->prepare(arena, constants, KP_MIN(expr->arg_count, (uint32_t)KP_FUNCTION_ARGS_MAX));
}

struct kp_expr *kp_expr_own(const struct kp_expr *expr, struct kp_arena *arena)
{
    struct kp_expr *copy = kp_expr_copy(expr, arena, NULL, NULL);
    if (copy)
        prepare(copy, arena);
    return copy;
}
