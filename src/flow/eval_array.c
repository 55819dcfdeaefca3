/*
 * Expressions over the elements of arrays: x op ANY (array), x op ALL (array), a cast or a check of every element,
 * f(VARIADIC x).
 *
 * The elements of all rows become one vector, the operator or cast runs over it once, and its results are put together
 * row by row. A row fails by the first element whose result is needed and failed: ANY stops at the first true one.
 */
#include "flow/eval.h"
#include "vec/array.h"

/* The elements of some rows of a vector of arrays, row after row. */
struct elements {
    uint32_t from, end; /* the rows */
    uint32_t count;
    uint32_t *starts; /* of row from + i; one more than rows */
    uint32_t *owners; /* count: rows of the vector */
    struct kp_vec values;
};

/* Of one round: long arrays in many rows are more than there is room for, and take long. */
enum { ELEMENTS_MAX = 1 << 20 };

/* For a part of the batch's elements at a time: within the limits of the step's. */
static struct kp_arena arena_below(const struct kp_eval *eval)
{
    struct kp_arena arena = {0};
    kp_arena_limit(&arena, eval->arena->budget, eval->arena->stop);
    arena.also = eval->arena->also;
    return arena;
}

/* Where the rows' elements begin; the rows end before there are too many of them, but one row is always taken. */
static void count_elements(struct kp_eval *eval, const struct kp_vec *arrays, uint32_t rows, struct elements *ret)
{
    struct kp_array array;
    uint32_t row = ret->from;
    ret->count = 0;
    ret->starts = kp_arena_alloc(eval->arena, ((size_t)rows - row + 1) * sizeof *ret->starts);
    for (; row < rows && (row == ret->from || ret->count < ELEMENTS_MAX); row++) {
        ret->starts[row - ret->from] = ret->count;
        if (!kp_vec_is_null(arrays, row)) {
            kp_array_read(arrays->type.id, kp_vec_at(arrays, row), &array);
            ret->count += array.count;
        }
    }
    ret->starts[row - ret->from] = ret->count;
    ret->end = row;
}

static void take_elements(struct kp_eval *eval, const struct kp_vec *arrays, uint32_t from, uint32_t rows,
                          struct elements *ret)
{
    enum kp_type_id type = arrays->type.id;
    struct kp_array array;
    ret->from = from;
    count_elements(eval, arrays, rows, ret);
    ret->owners = kp_arena_alloc(eval->arena, ((size_t)ret->count + 1) * sizeof *ret->owners);
    kp_vec_init(&ret->values, eval->arena, kp_type_to_element(arrays->type), ret->count + 1);
    size_t width = kp_vec_width(&ret->values), at = 0;
    memset(ret->values.data, 0, width * ((size_t)ret->count + 1));
    for (uint32_t i = from; i < ret->end; i++) {
        if (kp_vec_is_null(arrays, i))
            continue;
        kp_array_read(type, kp_vec_at(arrays, i), &array);
        for (uint32_t e = 0; e < array.count; e++, at++) {
            ret->owners[at] = i;
            if (!kp_array_get(&array, e, eval->arena, (char *)ret->values.data + at * width)) {
                kp_vec_need_valid(&ret->values, eval->arena, ret->count + 1);
                kp_vec_set_null(&ret->values, (uint32_t)at);
            }
        }
    }
}

/* Runs a kernel over `rows` rows; ret_failed[i] is the row's error, or NULL. */
static const struct kp_row_error **run(struct kp_eval *eval, const struct kp_func *func, struct kp_type type,
                                       const struct kp_vec *const *args, uint32_t arg_count, uint32_t rows,
                                       struct kp_vec *ret_vec)
{
    const struct kp_row_error **failed = kp_arena_calloc(eval->arena, ((size_t)rows + 1) * sizeof(void *));
    kp_vec_init(ret_vec, eval->arena, type, rows + 1);
    if (rows == 0)
        return failed;
    bool strict = func->flags & KP_STRICT;
    for (uint32_t a = 0; strict && a < arg_count; a++)
        for (uint32_t i = 0; args[a]->valid && i < rows; i++)
            if (kp_vec_is_null(args[a], i)) {
                kp_vec_need_valid(ret_vec, eval->arena, rows + 1);
                kp_vec_set_null(ret_vec, i);
            }
    struct kp_call call = {
        .arena = eval->arena, .settings = eval->settings, .rows = rows, .arg_count = arg_count, .type = type};
    if (func->prepare) {
        const struct kp_datum *none[KP_FUNCTION_ARGS_MAX] = {NULL};
        call.prepared = func->prepare(eval->arena, none, arg_count);
    }
    kp_eval_kernel(func, &call, args, ret_vec);
    for (uint32_t e = call.error_count; e-- > 0;)
        if (!strict || !kp_vec_is_null(ret_vec, call.errors[e].row))
            failed[call.errors[e].row] = &call.errors[e];
    return failed;
}

static void fail_row(struct kp_eval *eval, const struct kp_row_error *error, uint32_t row)
{
    struct kp_row_error copy = *error;
    copy.row = row;
    copy.message = kp_arena_strdup(eval->arena, error->message); /* it may be in a scratch one */
    copy.detail = copy.hint = NULL;
    kp_eval_note(eval, &copy, 1);
}

/* ANY or ALL of the rows whose elements these are; what it needs on its way is in scratch. */
static void decide_rows(struct kp_eval *eval, struct kp_eval *scratch, const struct kp_expr *expr,
                        const struct kp_vec *left, const struct kp_vec *arrays, const struct elements *elements,
                        struct kp_vec *out)
{
    struct kp_vec gathered, results;
    kp_vec_gather(left, elements->owners, elements->count, scratch->arena, &gathered);
    const struct kp_vec *args[2] = {&gathered, &elements->values};
    const struct kp_row_error **failed = run(scratch, expr->func, KP_TYPE(KP_BOOL), args, 2, elements->count, &results);
    uint8_t *to = out->data;
    const uint8_t *from = results.data;
    bool any = expr->kind == KP_EXPR_ANY;
    for (uint32_t i = elements->from; i < elements->end; i++) {
        bool null = kp_vec_is_null(arrays, i), decided = false;
        const uint32_t *starts = &elements->starts[i - elements->from];
        for (uint32_t e = starts[0]; !decided && e < starts[1]; e++) {
            if (failed[e]) {
                fail_row(eval, failed[e], i);
                break;
            }
            if (kp_vec_is_null(&results, e))
                null = true;
            else
                decided = (from[e] != 0) == any;
        }
        to[i] = decided == any;
        if (!decided && null)
            kp_vec_set_null(out, i);
    }
}

void kp_eval_any_all(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                     struct kp_vec *ret_vec)
{
    struct kp_vec left, arrays;
    kp_eval(eval, expr->args[0], batch, &left);
    kp_eval(eval, expr->args[1], batch, &arrays);
    uint32_t rows = batch->rows;
    struct kp_vec flat = kp_vec_flatten(&arrays, eval->arena, rows);
    kp_vec_init(ret_vec, eval->arena, KP_TYPE(KP_BOOL), rows);
    kp_vec_need_valid(ret_vec, eval->arena, rows);
    memset(ret_vec->data, 0, rows);
    struct kp_arena arena = arena_below(eval);
    for (uint32_t from = 0; from < rows && !kp_arena_vain(eval->arena);) {
        struct kp_eval scratch = {.arena = &arena, .settings = eval->settings};
        struct elements elements;
        take_elements(&scratch, &flat, from, rows, &elements);
        decide_rows(eval, &scratch, expr, &left, &flat, &elements, ret_vec);
        from = elements.end;
        eval->arena->overspent |= arena.overspent;
        kp_arena_reset(&arena);
    }
    kp_arena_finish(&arena);
}

/* The arrays of the rows whose elements these are, of coerced elements. */
static void coerce_rows(struct kp_eval *eval, struct kp_eval *scratch, const struct kp_expr *expr, uint32_t batch_rows,
                        const struct kp_vec *arrays, const struct elements *elements, struct kp_vec *out)
{
    struct kp_vec results;
    struct kp_type type = kp_type_to_element(expr->type);
    const struct kp_vec *args[1] = {&elements->values};
    const struct kp_row_error **failed = run(scratch, expr->func, type, args, 1, elements->count, &results);
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = type.id};
    for (uint32_t i = elements->from; i < elements->end; i++) {
        if (kp_vec_is_null(arrays, i))
            continue;
        bool good = true;
        const uint32_t *starts = &elements->starts[i - elements->from];
        for (uint32_t e = starts[0]; good && e < starts[1]; e++) {
            if (failed[e]) {
                good = false;
                for (uint32_t r = 0; r < (arrays->constant ? batch_rows : 1); r++)
                    fail_row(eval, failed[e], arrays->constant ? r : i);
            }
            kp_array_add(&builder, kp_vec_is_null(&results, e) ? NULL : kp_vec_at(&results, e));
        }
        struct kp_array shape;
        kp_array_read(arrays->type.id, kp_vec_at(arrays, i), &shape);
        if (good) {
            to[i] = kp_array_make_shaped(&builder, shape.dimensions, shape.lengths, shape.lows, eval->arena);
        } else {
            kp_array_builder_finish(&builder);
            to[i] = kp_array_make(&builder, eval->arena);
        }
    }
    kp_array_builder_finish(&builder);
}

void kp_eval_array_coerce(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                          struct kp_vec *ret_vec)
{
    struct kp_vec arrays;
    kp_eval(eval, expr->args[0], batch, &arrays);
    uint32_t rows = arrays.constant ? 1 : batch->rows;
    kp_vec_init(ret_vec, eval->arena, expr->type, rows);
    ret_vec->constant = arrays.constant;
    ret_vec->valid = arrays.valid;
    struct kp_arena arena = arena_below(eval);
    for (uint32_t from = 0; from < rows && !kp_arena_vain(eval->arena);) {
        struct kp_eval scratch = {.arena = &arena, .settings = eval->settings};
        struct elements elements;
        take_elements(&scratch, &arrays, from, rows, &elements);
        coerce_rows(eval, &scratch, expr, batch->rows, &arrays, &elements, ret_vec);
        from = elements.end;
        eval->arena->overspent |= arena.overspent;
        kp_arena_reset(&arena);
    }
    kp_arena_finish(&arena);
}

/* The array itself; a row fails by its first element that does. */
void kp_eval_array_check(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                         struct kp_vec *ret_vec)
{
    kp_eval(eval, expr->args[0], batch, ret_vec);
    uint32_t rows = ret_vec->constant ? 1 : batch->rows;
    struct kp_arena arena = arena_below(eval);
    for (uint32_t from = 0; from < rows && !kp_arena_vain(eval->arena);) {
        struct kp_eval scratch = {.arena = &arena, .settings = eval->settings};
        struct elements elements;
        struct kp_vec ignored;
        take_elements(&scratch, ret_vec, from, rows, &elements);
        struct kp_batch each = {.rows = elements.count, .cols = 1, .vecs = &elements.values};
        if (elements.count)
            kp_eval(&scratch, expr->each, &each, &ignored);
        kp_eval_first_errors(&scratch);
        for (uint32_t e = 0; e < scratch.error_count; e++) {
            uint32_t owner = elements.owners[scratch.errors[e].row];
            for (uint32_t row = 0; row < (ret_vec->constant ? batch->rows : 1); row++)
                fail_row(eval, &scratch.errors[e], ret_vec->constant ? row : owner);
        }
        from = elements.end;
        eval->arena->overspent |= arena.overspent;
        kp_arena_reset(&arena);
    }
    kp_arena_finish(&arena);
}

/* ---- VARIADIC ---- */

/* The rows whose arrays have as many elements as the first one that is left; returns how many, *left becomes fewer. */
static uint32_t take_equal(const struct elements *elements, uint32_t *index, uint32_t *left, uint32_t *taken)
{
    uint32_t count = 0, kept = 0, length = 0;
    for (uint32_t i = 0; i < *left; i++) {
        uint32_t row = index[i], at = row - elements->from, is = elements->starts[at + 1] - elements->starts[at];
        if (i == 0)
            length = is;
        if (is == length)
            taken[count++] = row;
        else
            index[kept++] = row;
    }
    *left = kept;
    return count;
}

/* The function over these rows, whose arrays have `length` elements each. */
static void spread_rows(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_vec *fixed,
                        const struct elements *elements, const uint32_t *index, uint32_t rows, uint32_t length,
                        struct kp_vec *out, uint32_t out_rows)
{
    uint32_t own = expr->arg_count - 1;
    struct kp_vec *vecs = kp_arena_calloc(eval->arena, ((size_t)own + length + 1) * sizeof *vecs), result;
    const struct kp_vec **args = kp_arena_calloc(eval->arena, ((size_t)own + length + 1) * sizeof *args);
    uint32_t *at = kp_arena_alloc(eval->arena, ((size_t)rows + 1) * sizeof *at);
    for (uint32_t a = 0; a < own + length; a++) {
        for (uint32_t i = 0; i < rows && a >= own; i++)
            at[i] = elements->starts[index[i] - elements->from] + (a - own);
        kp_vec_gather(a < own ? &fixed[a] : &elements->values, a < own ? index : at, rows, eval->arena, &vecs[a]);
        args[a] = &vecs[a];
    }
    const struct kp_row_error **failed = run(eval, expr->func, expr->type, args, own + length, rows, &result);
    kp_vec_scatter(out, out_rows, &result, index, rows, eval->arena);
    for (uint32_t i = 0; i < rows; i++)
        if (failed[i])
            fail_row(eval, failed[i], index[i]);
}

/*
 * f(a, VARIADIC array): rows whose arrays are of one length run together, an element an argument. A NULL array makes
 * the result NULL; format() takes it for no arguments, as in PostgreSQL.
 */
void kp_eval_spread(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                    struct kp_vec *ret_vec)
{
    uint32_t rows = batch->rows, own = expr->arg_count - 1, left;
    struct kp_vec *fixed = kp_arena_calloc(eval->arena, (own + 1) * sizeof *fixed), arrays;
    for (uint32_t a = 0; a < own; a++)
        kp_eval(eval, expr->args[a], batch, &fixed[a]);
    kp_eval(eval, expr->args[own], batch, &arrays);
    struct kp_vec flat = kp_vec_flatten(&arrays, eval->arena, rows);
    kp_vec_init(ret_vec, eval->arena, expr->type, rows);
    memset(ret_vec->data, 0, rows * kp_vec_width(ret_vec));
    uint32_t *index = kp_arena_alloc(eval->arena, ((size_t)rows + 1) * sizeof *index);
    uint32_t *taken = kp_arena_alloc(eval->arena, ((size_t)rows + 1) * sizeof *taken);
    bool null_is_none = strcmp(expr->func->name, "format") == 0;
    struct elements elements = {0};
    for (uint32_t from = 0; from < rows && !kp_arena_vain(eval->arena); from = elements.end) {
        take_elements(eval, &flat, from, rows, &elements);
        left = 0;
        for (uint32_t i = from; i < elements.end; i++) {
            if (null_is_none || !kp_vec_is_null(&flat, i)) {
                index[left++] = i;
                continue;
            }
            kp_vec_need_valid(ret_vec, eval->arena, rows);
            kp_vec_set_null(ret_vec, i);
        }
        while (left) {
            uint32_t count = take_equal(&elements, index, &left, taken), first = taken[0] - from;
            uint32_t length = elements.starts[first + 1] - elements.starts[first];
            spread_rows(eval, expr, fixed, &elements, taken, count, length, ret_vec, rows);
        }
    }
}
