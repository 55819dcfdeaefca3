#include "flow/join_band.h"

#include <float.h>
#include <math.h>

#include "vec/numeric.h"

/* ---- the condition: terms lesser <= greater + shift ---- */

struct term {
    const struct kp_expr *exprs[2]; /* of the left and the right side, over the join's columns */
    int lesser;                     /* which one */
    enum kp_band_map map;
    bool difference;
    int64_t shift, width;
    double shift_float;
};

struct terms {
    struct term items[2 * KP_BOUNDS_MAX];
    uint32_t count;
};

struct sides {
    uint32_t left_cols;
    bool reads[2];
};

static bool note_side(const struct kp_expr *expr, void *arg)
{
    struct sides *sides = arg;
    if (expr->kind == KP_EXPR_COLUMN)
        sides->reads[expr->column >= sides->left_cols] = true;
    return true;
}

/* 0, 1: of that side alone; -1: of both or none. */
static int side_of(const struct kp_expr *expr, uint32_t left_cols)
{
    struct sides sides = {.left_cols = left_cols};
    kp_expr_walk(expr, note_side, &sides);
    return sides.reads[0] == sides.reads[1] ? -1 : sides.reads[1];
}

static bool is_int(enum kp_type_id type)
{
    return type == KP_INT2 || type == KP_INT4 || type == KP_INT8;
}

static bool is_float(enum kp_type_id type)
{
    return type == KP_FLOAT4 || type == KP_FLOAT8;
}

static bool is_text(enum kp_type_id type)
{
    return type == KP_TEXT || type == KP_VARCHAR;
}

/* False if values of the two types have no images in common. */
static bool map_of(enum kp_type_id a, enum kp_type_id b, enum kp_band_map *ret_map)
{
    *ret_map = KP_BAND_BYTES;
    if (a != b && !(is_int(a) && is_int(b)) && !(is_float(a) && is_float(b)) && !(is_text(a) && is_text(b)))
        return false;
    if (is_int(a) || a == KP_DATE || a == KP_TIME || a == KP_TIMESTAMP || a == KP_TIMESTAMPTZ)
        *ret_map = KP_BAND_INT;
    else if (is_float(a) || a == KP_NUMERIC)
        *ret_map = KP_BAND_FLOAT;
    else if (a == KP_INTERVAL || a == KP_JSON)
        return false; /* of intervals the first bytes hardly differ */
    return true;
}

static void add_term(struct terms *terms, const struct term *term)
{
    if (terms->count < KP_COUNT(terms->items))
        terms->items[terms->count++] = *term;
}

static bool is_operator(const struct kp_expr *expr, const char *name)
{
    return expr->kind == KP_EXPR_CALL && expr->func->kind == KP_FUNC_OPERATOR && expr->arg_count == 2 &&
           strcmp(expr->func->name, name) == 0;
}

/* A constant as what is added to values of the subtracted type. */
static bool shift_of(const struct kp_expr *expr, enum kp_type_id subtracted, enum kp_band_map map, int64_t *ret_shift,
                     double *ret_float)
{
    *ret_shift = 0;
    *ret_float = 0;
    if (expr->kind != KP_EXPR_CONST || expr->datum.null)
        return false;
    const struct kp_datum *datum = &expr->datum;
    if (map == KP_BAND_FLOAT) {
        if (datum->type.id == KP_NUMERIC)
            return kp_numeric_to_f64(&datum->numeric, ret_float, NULL) == KP_OK && isfinite(*ret_float);
        *ret_float = datum->type.id == KP_FLOAT8 ? datum->f64 : datum->type.id == KP_FLOAT4 ? (double)datum->f32 : NAN;
        return isfinite(*ret_float);
    }
    if (subtracted == KP_TIMESTAMP || subtracted == KP_TIMESTAMPTZ) {
        if (datum->type.id != KP_INTERVAL)
            return false;
        __int128 us = datum->interval.us + ((__int128)datum->interval.months * 30 + datum->interval.days) * 86400000000;
        *ret_shift = us > INT64_MAX ? INT64_MAX : us < -INT64_MAX ? -INT64_MAX : (int64_t)us;
        return true;
    }
    if (!is_int(datum->type.id) || !(is_int(subtracted) || subtracted == KP_DATE))
        return false;
    *ret_shift = datum->type.id == KP_INT2 ? datum->i16 : datum->type.id == KP_INT4 ? datum->i32 : datum->i64;
    return *ret_shift != INT64_MIN;
}

/* Where the difference of two such values overflows. */
static int64_t width_of(enum kp_type_id result, enum kp_type_id subtracted)
{
    if (result == KP_INT2)
        return INT16_MAX;
    if (result == KP_INT4 && is_int(subtracted))
        return INT32_MAX;
    return result == KP_INT8 || subtracted == KP_TIMESTAMP || subtracted == KP_TIMESTAMPTZ ? INT64_MAX : 0;
}

/* x - y < c (less) or > c, x and y of different sides. */
static bool add_difference(struct terms *terms, const struct kp_expr *minus, bool less, const struct kp_expr *bound,
                           bool negate, uint32_t left_cols)
{
    struct term term = {.difference = true};
    if (!is_operator(minus, "-"))
        return false;
    const struct kp_expr *x = minus->args[0], *y = minus->args[1];
    int x_side = side_of(x, left_cols), y_side = side_of(y, left_cols);
    if (x_side < 0 || y_side < 0 || x_side == y_side || !map_of(x->type.id, y->type.id, &term.map) ||
        term.map == KP_BAND_BYTES || x->type.id == KP_TIME)
        return false;
    if (!shift_of(bound, x->type.id, term.map, &term.shift, &term.shift_float))
        return false;
    if (negate) {
        term.shift = -term.shift;
        term.shift_float = -term.shift_float;
    }
    term.exprs[x_side] = x;
    term.exprs[y_side] = y;
    term.width = term.map == KP_BAND_INT ? width_of(minus->type.id, x->type.id) : 0;
    term.lesser = x_side;
    if (!less) { /* y <= x - c */
        term.lesser = y_side;
        term.shift = -term.shift;
        term.shift_float = -term.shift_float;
    }
    add_term(terms, &term);
    return true;
}

static bool is_abs(const struct kp_expr *expr)
{
    return expr->kind == KP_EXPR_CALL && expr->arg_count == 1 && strcmp(expr->func->name, "abs") == 0;
}

/* False if the condition bounds nothing. */
static bool add_condition(struct terms *terms, const struct kp_expr *condition, uint32_t left_cols)
{
    bool less = is_operator(condition, "<") || is_operator(condition, "<=");
    if (!less && !is_operator(condition, ">") && !is_operator(condition, ">="))
        return false;
    const struct kp_expr *a = condition->args[0], *b = condition->args[1];
    int a_side = side_of(a, left_cols), b_side = side_of(b, left_cols);
    struct term term = {0};
    if (a_side >= 0 && b_side >= 0 && a_side != b_side) {
        if (!map_of(a->type.id, b->type.id, &term.map))
            return false;
        term.exprs[a_side] = a;
        term.exprs[b_side] = b;
        term.lesser = less ? a_side : b_side;
        add_term(terms, &term);
        return true;
    }
    if (a->kind == KP_EXPR_CONST) {
        const struct kp_expr *swap = a;
        a = b;
        b = swap;
        less = !less;
    }
    if (is_abs(a) && less)
        return add_difference(terms, a->args[0], true, b, false, left_cols) &&
               add_difference(terms, a->args[0], false, b, true, left_cols);
    return add_difference(terms, a, less, b, false, left_cols);
}

static bool same_exprs(const struct term *a, const struct term *b)
{
    return kp_expr_equal(a->exprs[0], b->exprs[0]) && kp_expr_equal(a->exprs[1], b->exprs[1]);
}

/* Behind a condition that fails for pairs which the index might leave out nothing is used: but where a difference may
 * overflow is known, as long as no other order is chosen. */
static void collect(struct terms *terms, const struct kp_expr *condition, uint32_t left_cols)
{
    bool list = condition->kind == KP_EXPR_AND;
    const struct term *difference = NULL;
    for (uint32_t i = 0; i < (list ? condition->arg_count : 1); i++) {
        const struct kp_expr *one = list ? condition->args[i] : condition;
        uint32_t before = terms->count;
        bool used = add_condition(terms, one, left_cols);
        bool other = difference && before < terms->count && !same_exprs(difference, &terms->items[before]);
        if (other)
            terms->count = before;
        if (other || (!used && one->can_fail))
            return;
        if (before < terms->count && terms->items[before].difference)
            difference = &terms->items[before];
    }
}

/* ---- which index ---- */

struct shift_columns {
    uint32_t by;
};

static struct kp_expr *shift_column(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    if (expr->kind != KP_EXPR_COLUMN)
        return NULL;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    copy->column -= ((const struct shift_columns *)arg)->by;
    return copy;
}

static struct kp_expr *own_expr(const struct kp_expr *expr, int side, uint32_t left_cols, struct kp_arena *arena)
{
    struct shift_columns shift = {side ? left_cols : 0};
    return kp_expr_own(kp_expr_copy(expr, arena, shift_column, &shift), arena);
}

/* The bounds that the terms put on an expression of side s, from below or above. */
static uint32_t count_bounds(const struct terms *terms, int s, const struct kp_expr *expr, bool above)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < terms->count; i++)
        count += (terms->items[i].lesser == s) == above && kp_expr_equal(terms->items[i].exprs[s], expr);
    return count;
}

/* Rows of the other side look where its bounds say; the index is side s's. */
static uint32_t take_bounds(const struct terms *terms, int s, const struct kp_expr *expr, bool above,
                            enum kp_band_map map, uint32_t left_cols, struct kp_arena *arena,
                            struct kp_band_bound *bounds)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < terms->count && count < KP_BOUNDS_MAX; i++) {
        const struct term *term = &terms->items[i];
        if ((term->lesser == s) != above || term->map != map || !kp_expr_equal(term->exprs[s], expr))
            continue;
        /* order <= bound + shift; order + shift >= bound */
        bounds[count++] = (struct kp_band_bound){.expr = own_expr(term->exprs[1 - s], 1 - s, left_cols, arena),
                                                 .map = map,
                                                 .difference = term->difference,
                                                 .shift = above ? term->shift : -term->shift,
                                                 .width = term->width,
                                                 .shift_float = above ? term->shift_float : -term->shift_float};
    }
    return count;
}

static bool any_difference(const struct terms *terms, int s, const struct kp_expr *expr)
{
    bool any = false;
    for (uint32_t i = 0; i < terms->count; i++)
        any |= terms->items[i].difference && kp_expr_equal(terms->items[i].exprs[s], expr);
    return any;
}

/* Best is an expression with bounds on both sides; else one bounded above, and one bounded below as the high end. */
static void choose(struct kp_join_bands *bands, const struct terms *terms, int s, uint32_t left_cols,
                   struct kp_arena *arena)
{
    const struct term *order = NULL, *high = NULL;
    uint32_t best = 0;
    for (uint32_t i = 0; i < terms->count; i++) {
        const struct kp_expr *expr = terms->items[i].exprs[s];
        bool above = count_bounds(terms, s, expr, true), below = count_bounds(terms, s, expr, false);
        uint32_t worth = above && below ? 3 : above ? 2 : 1;
        if (worth > best) {
            best = worth;
            order = &terms->items[i];
        }
    }
    for (uint32_t i = 0; best == 2 && i < terms->count; i++)
        if (terms->items[i].lesser != s && !terms->items[i].difference)
            high = &terms->items[i];
    struct kp_band_side *mine = &bands->sides[s], *other = &bands->sides[1 - s];
    mine->order = own_expr(order->exprs[s], s, left_cols, arena);
    mine->order_map = order->map;
    mine->difference = any_difference(terms, s, order->exprs[s]);
    other->low_count = take_bounds(terms, s, order->exprs[s], false, order->map, left_cols, arena, other->lows);
    other->top_count = take_bounds(terms, s, order->exprs[s], true, order->map, left_cols, arena, other->tops);
    if (!high)
        return;
    mine->high = own_expr(high->exprs[s], s, left_cols, arena);
    mine->high_map = high->map;
    other->least_count = take_bounds(terms, s, high->exprs[s], false, high->map, left_cols, arena, other->leasts);
}

bool kp_join_bands_define(struct kp_join_bands *bands, const struct kp_expr *condition, uint32_t left_cols,
                          struct kp_arena *arena)
{
    struct terms terms = {.count = 0};
    *bands = (struct kp_join_bands){0};
    if (condition)
        collect(&terms, condition, left_cols);
    for (int s = 0; terms.count && s < 2; s++) {
        struct kp_band_side *side = &bands->sides[s];
        choose(bands, &terms, s, left_cols, arena);
        for (uint32_t i = 0; i < terms.count; i++)
            if (terms.items[i].exprs[s]->can_fail)
                side->checks[side->check_count++] = own_expr(terms.items[i].exprs[s], s, left_cols, arena);
    }
    return terms.count > 0;
}

/* ---- images ---- */

static int64_t int_of(enum kp_type_id type, const void *value)
{
    switch (type) {
    case KP_INT2:
        return *(const int16_t *)value;
    case KP_INT4:
    case KP_DATE:
        return *(const int32_t *)value;
    default:
        return *(const int64_t *)value;
    }
}

static double float_of(enum kp_type_id type, const void *value)
{
    static const struct kp_numeric one = {{.coef = 1}, 0, KP_NUMERIC_SMALL, {0}};
    static const struct kp_numeric minus_one = {{.coef = -1}, 0, KP_NUMERIC_SMALL, {0}};
    double is;
    if (type == KP_FLOAT4)
        return (double)*(const float *)value;
    if (type == KP_FLOAT8)
        return *(const double *)value;
    if (kp_numeric_to_f64(value, &is, NULL) == KP_OK)
        return is;
    return kp_numeric_compare(value, &one) > 0 ? HUGE_VAL : kp_numeric_compare(value, &minus_one) < 0 ? -HUGE_VAL : 0;
}

static uint64_t image_of_int(int64_t value)
{
    return (uint64_t)value ^ (uint64_t)1 << 63;
}

static uint64_t image_of_float(double value)
{
    uint64_t bits;
    if (value == 0)
        value = 0; /* without its sign */
    if (isnan(value))
        return UINT64_MAX;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static uint64_t image_of_bytes(enum kp_type_id type, const void *value, struct kp_buf *key)
{
    uint8_t first[8] = {0};
    key->len = 0;
    kp_sort_key_append(key, type, value, false, false, false);
    memcpy(first, key->data + 1, KP_MIN(key->len - 1, sizeof first)); /* behind the mark of NULLs */
    return kp_load_be64(first);
}

static bool is_infinite(enum kp_type_id type, int64_t value)
{
    if (type == KP_DATE)
        return value == INT32_MAX || value == INT32_MIN;
    return !is_int(type) && (value == INT64_MAX || value == INT64_MIN);
}

/* One expression's values of a batch, with the rows that failed noted in states. */
struct column {
    struct kp_vec vec;
    enum kp_type_id type;
    enum kp_band_map map;
};

static struct column column_of(struct kp_eval *eval, const struct kp_expr *expr, enum kp_band_map map,
                               const struct kp_batch *batch, uint8_t *states)
{
    struct column column = {.type = expr->type.id, .map = map};
    eval->error_count = 0;
    kp_eval(eval, expr, batch, &column.vec);
    for (uint32_t i = 0; i < batch->rows; i++)
        if (kp_vec_is_null(&column.vec, i) && states[i] == KP_BAND_RANGE)
            states[i] = KP_BAND_NONE;
    for (uint32_t i = 0; i < eval->error_count; i++)
        states[eval->errors[i].row] = KP_BAND_ODD;
    eval->error_count = 0;
    return column;
}

/* What the index has no use for fails all the same. */
static void check_rows(const struct kp_band_side *side, struct kp_eval *eval, const struct kp_batch *batch,
                       uint8_t *states)
{
    for (uint32_t c = 0; c < side->check_count; c++) {
        struct kp_vec vec;
        eval->error_count = 0;
        kp_eval(eval, side->checks[c], batch, &vec);
        for (uint32_t i = 0; i < eval->error_count; i++)
            states[eval->errors[i].row] = KP_BAND_ODD;
    }
    eval->error_count = 0;
}

static void fill_images(const struct column *column, bool difference, uint32_t rows, uint8_t *states, uint64_t *images)
{
    struct kp_buf key = {0};
    for (uint32_t i = 0; i < rows; i++) {
        images[i] = 0;
        if (states[i] != KP_BAND_RANGE)
            continue;
        const void *value = kp_vec_at(&column->vec, i);
        if (column->map == KP_BAND_INT) {
            int64_t is = int_of(column->type, value);
            images[i] = image_of_int(is);
            if (difference && is_infinite(column->type, is))
                states[i] = KP_BAND_ODD;
        } else if (column->map == KP_BAND_FLOAT) {
            double is = float_of(column->type, value);
            images[i] = image_of_float(is);
            if (difference && !isfinite(is))
                states[i] = KP_BAND_ODD;
        } else {
            images[i] = image_of_bytes(column->type, value, &key);
        }
    }
    kp_buf_finish(&key);
}

struct kp_band_images kp_band_images(const struct kp_band_side *side, struct kp_eval *eval,
                                     const struct kp_batch *batch)
{
    struct kp_band_images images = {.states = kp_arena_calloc(eval->arena, batch->rows + 1u)};
    images.orders = kp_arena_alloc(eval->arena, (batch->rows + 1) * sizeof *images.orders);
    images.highs = kp_arena_calloc(eval->arena, (batch->rows + 1) * sizeof *images.highs);
    struct column order = column_of(eval, side->order, side->order_map, batch, images.states), high;
    if (side->high)
        high = column_of(eval, side->high, side->high_map, batch, images.states);
    check_rows(side, eval, batch, images.states);
    fill_images(&order, side->difference, batch->rows, images.states, images.orders);
    if (side->high)
        fill_images(&high, false, batch->rows, images.states, images.highs);
    return images;
}

/* ---- searches ---- */

/* The image of the value shifted, rounded outwards. */
static uint64_t bound_image(const struct kp_band_bound *bound, enum kp_type_id type, const void *value, bool up,
                            struct kp_buf *key, bool *ret_odd)
{
    if (bound->map == KP_BAND_BYTES)
        return image_of_bytes(type, value, key);
    if (bound->map == KP_BAND_INT) {
        int64_t is = int_of(type, value), shifted;
        *ret_odd = bound->difference && is_infinite(type, is);
        if (__builtin_add_overflow(is, bound->shift, &shifted))
            shifted = bound->shift > 0 ? INT64_MAX : INT64_MIN;
        return image_of_int(shifted);
    }
    double is = float_of(type, value);
    if (!bound->difference)
        return image_of_float(is);
    *ret_odd = !isfinite(is);
    double margin = (fabs(is) + fabs(bound->shift_float)) * 1e-12 + DBL_MIN;
    return image_of_float(is + bound->shift_float + (up ? margin : -margin));
}

struct probing {
    struct kp_eval *eval;
    const struct kp_batch *batch;
    struct kp_band_probes probes;
    struct kp_buf key;
};

enum range_end { LOW, TOP, LEAST };

static void apply_bound(struct probing *self, const struct kp_band_bound *bound, enum range_end end, int64_t **ret_ints)
{
    uint8_t *states = self->probes.states;
    uint32_t rows = self->batch->rows;
    struct column column = column_of(self->eval, bound->expr, bound->map, self->batch, states);
    int64_t *ints = NULL;
    if (bound->width && ret_ints)
        *ret_ints = ints = kp_arena_calloc(self->eval->arena, (rows + 1) * sizeof *ints);
    for (uint32_t i = 0; i < rows; i++) {
        if (states[i] != KP_BAND_RANGE)
            continue;
        const void *value = kp_vec_at(&column.vec, i);
        struct kp_band_range *range = &self->probes.ranges[i];
        bool odd = false;
        uint64_t image = bound_image(bound, column.type, value, end == TOP, &self->key, &odd);
        if (odd)
            states[i] = KP_BAND_ODD;
        if (ints)
            ints[i] = int_of(column.type, value);
        if (end == LOW)
            range->low = KP_MAX(range->low, image);
        else if (end == TOP)
            range->top = KP_MIN(range->top, image);
        else
            range->least = KP_MAX(range->least, image);
    }
}

struct kp_band_probes kp_band_probes(const struct kp_band_side *side, struct kp_eval *eval,
                                     const struct kp_batch *batch)
{
    struct probing self = {.eval = eval, .batch = batch};
    struct kp_band_probes *probes = &self.probes;
    probes->ranges = kp_arena_alloc(eval->arena, (batch->rows + 1) * sizeof *probes->ranges);
    probes->states = kp_arena_calloc(eval->arena, batch->rows + 1u);
    for (uint32_t i = 0; i < batch->rows; i++)
        probes->ranges[i] = (struct kp_band_range){0, 0, UINT64_MAX, 0};
    for (uint32_t b = 0; b < side->low_count; b++)
        apply_bound(&self, &side->lows[b], LOW, &probes->ints[b]);
    for (uint32_t b = 0; b < side->top_count; b++)
        apply_bound(&self, &side->tops[b], TOP, &probes->ints[KP_BOUNDS_MAX + b]);
    for (uint32_t b = 0; b < side->least_count; b++)
        apply_bound(&self, &side->leasts[b], LEAST, NULL);
    check_rows(side, eval, batch, probes->states);
    kp_buf_finish(&self.key);
    return self.probes;
}

bool kp_band_side_overflows(const struct kp_band_side *side)
{
    bool any = false;
    for (uint32_t b = 0; b < side->low_count; b++)
        any |= side->lows[b].width != 0;
    for (uint32_t b = 0; b < side->top_count; b++)
        any |= side->tops[b].width != 0;
    return any;
}

bool kp_band_probe_overflows(const struct kp_band_side *side, const struct kp_band_probes *probes, uint32_t i,
                             uint64_t first, uint64_t last)
{
    __int128 ends[2] = {(int64_t)(first ^ (uint64_t)1 << 63), (int64_t)(last ^ (uint64_t)1 << 63)};
    for (uint32_t b = 0; b < 2 * KP_BOUNDS_MAX; b++) {
        if (!probes->ints[b])
            continue;
        int64_t width = b < KP_BOUNDS_MAX ? side->lows[b].width : side->tops[b - KP_BOUNDS_MAX].width;
        for (uint32_t e = 0; e < 2; e++) {
            __int128 apart = ends[e] - probes->ints[b][i];
            if (apart > width || -apart > width)
                return true;
        }
    }
    return false;
}
