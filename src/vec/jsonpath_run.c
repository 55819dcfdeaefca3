/*
 * Running SQL/JSON paths. A step takes one value and appends what it yields to a list; the next step takes each of
 * those in turn, depth first, as PostgreSQL does: so what was found before an error is what PostgreSQL finds before it.
 *
 * An error is noted in the run and stops the chain; a predicate takes it back and is unknown.
 */
#include <math.h>

#include "base/limits.h"
#include "vec/jsonb.h"
#include "vec/jsonpath.h"
#include "vec/jsonpath_item.h"
#include "vec/regex.h"

enum truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_UNKNOWN };

enum { ITEMS_MAX = 1 << 24 };

struct run {
    struct kp_arena *arena;
    struct kp_error *err;
    struct kp_str document, vars, current;
    bool lax, forgiving; /* forgiving: what is not there is no error */
    int64_t last;        /* of the array whose subscripts are being evaluated */
    uint32_t depth;
    bool skim;  /* it only matters whether the chain finds anything: signs pass over what is no number */
    bool zoned; /* the session's time zone may be used */
    const struct kp_zone *zone;
    struct kp_str base; /* the document, object of variables or made object that values are slices of */
    int64_t base_id, made;
    bool refused; /* what no predicate may hide: refusal has it */
    struct kp_error refusal;
};

/* False: an error, noted in run->err. */
static bool step(struct run *run, const struct kp_path_node *node, struct kp_str value, bool unwrap,
                 struct kp_path_items *found);
static enum truth test(struct run *run, const struct kp_path_node *node, struct kp_str value);

static bool fail(struct run *run, const char *sqlstate, const char *message)
{
    (void)kp_fail(run->err, KP_INVALID, sqlstate, "%s", message);
    return false;
}

static enum truth refuse(struct run *run, const char *sqlstate, const char *message)
{
    if (!run->refused)
        (void)kp_fail(&run->refusal, KP_UNSUPPORTED, sqlstate, "%s", message);
    run->refused = true;
    return TRUTH_UNKNOWN;
}

static enum truth refuse_for(struct run *run, const struct kp_error *err)
{
    if (!run->refused)
        run->refusal = *err;
    run->refused = true;
    return TRUTH_UNKNOWN;
}

static bool append(struct run *run, struct kp_path_items *items, struct kp_str value)
{
    if (items->count == ITEMS_MAX) {
        (void)kp_fail(run->err, KP_LIMIT, "54000", "a jsonpath found more than %d values", ITEMS_MAX);
        return false;
    }
    if (items->count == items->cap) {
        uint32_t cap = items->cap ? items->cap * 2 : 8;
        struct kp_str *more = kp_arena_alloc(run->arena, cap * sizeof *more);
        if (items->count)
            memcpy(more, items->items, items->count * sizeof *more);
        items->items = more;
        items->cap = cap;
    }
    items->items[items->count++] = value;
    return true;
}

static bool next(struct run *run, const struct kp_path_node *node, struct kp_str value, struct kp_path_items *found)
{
    return node->next ? step(run, node->next, value, run->lax, found) : append(run, found, value);
}

/* Of a moment KIND_MOMENT, which is none of JSON's. */
enum { KIND_MOMENT = KP_JSONB_OBJECT + 1 };
static unsigned kind_of(struct kp_str value)
{
    return kp_path_is_moment(value) ? (unsigned)KIND_MOMENT : (unsigned)kp_jsonb_kind(value);
}

static bool is_array(struct kp_str value)
{
    return kind_of(value) == KP_JSONB_ARRAY;
}

static bool is_container(struct kp_str value)
{
    return is_array(value) || kind_of(value) == KP_JSONB_OBJECT;
}

/* The same step on each item of an array, looking no deeper. */
static bool step_into(struct run *run, const struct kp_path_node *node, struct kp_str array,
                      struct kp_path_items *found)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    kp_jsonb_items_begin(&items, array);
    while (kp_jsonb_items_next(&items, &key, &item))
        if (!step(run, node, item, false, found))
            return false;
    return true;
}

/* ---- numbers ---- */

static bool number_of(struct run *run, struct kp_str value, struct kp_numeric *ret_n)
{
    struct kp_error ignored;
    return kind_of(value) == KP_JSONB_NUMBER && kp_numeric_parse(value, run->arena, ret_n, &ignored) == KP_OK;
}

static struct kp_str number_text(struct run *run, const struct kp_numeric *n)
{
    struct kp_buf text = {0};
    kp_numeric_print(n, &text);
    struct kp_str copy = {kp_arena_strndup(run->arena, (const char *)text.data, text.len), text.len};
    kp_buf_finish(&text);
    return copy;
}

/* What an operand yields, arrays among it opened in lax mode. */
static bool operand(struct run *run, const struct kp_path_node *node, struct kp_str value, bool open,
                    struct kp_path_items *ret_items)
{
    struct kp_path_items raw = {0};
    bool skim = run->skim;
    run->skim = false;
    bool good = step(run, node, value, run->lax, &raw);
    run->skim = skim;
    if (!good || !open || !run->lax) {
        *ret_items = raw;
        return good;
    }
    for (uint32_t i = 0; i < raw.count; i++) {
        struct kp_jsonb_items items;
        struct kp_str key, item;
        if (!is_array(raw.items[i])) {
            if (!append(run, ret_items, raw.items[i]))
                return false;
            continue;
        }
        kp_jsonb_items_begin(&items, raw.items[i]);
        while (kp_jsonb_items_next(&items, &key, &item))
            if (!append(run, ret_items, item))
                return false;
    }
    return true;
}

static bool one_number(struct run *run, const struct kp_path_node *node, struct kp_str value, const char *side,
                       const char *symbol, struct kp_numeric *ret_n)
{
    struct kp_path_items items = {0};
    if (!operand(run, node, value, true, &items))
        return false;
    if (items.count == 1 && number_of(run, items.items[0], ret_n))
        return true;
    (void)kp_fail(run->err, KP_INVALID, "22038", "%s operand of jsonpath operator %s is not a single numeric value",
                  side, symbol);
    return false;
}

static bool step_arithmetic(struct run *run, const struct kp_path_node *node, struct kp_str value,
                            struct kp_path_items *found)
{
    static const struct {
        const char *symbol;
        kp_numeric_binary function;
    } operators[] = {{"+", kp_numeric_add},
                     {"-", kp_numeric_sub},
                     {"*", kp_numeric_mul},
                     {"/", kp_numeric_div},
                     {"%", kp_numeric_mod}};
    unsigned which = node->kind - KP_PATH_ADD;
    struct kp_numeric left, right, result;
    if (!one_number(run, node->left, value, "left", operators[which].symbol, &left) ||
        !one_number(run, node->right, value, "right", operators[which].symbol, &right) ||
        operators[which].function(&left, &right, run->arena, &result, run->err) != KP_OK)
        return false;
    return next(run, node, number_text(run, &result), found);
}

static bool step_sign(struct run *run, const struct kp_path_node *node, struct kp_str value,
                      struct kp_path_items *found)
{
    struct kp_path_items items = {0};
    if (!operand(run, node->left, value, true, &items))
        return false;
    for (uint32_t i = 0; i < items.count; i++) {
        struct kp_numeric n;
        bool is_number = number_of(run, items.items[i], &n);
        if (!is_number && run->skim && !node->next)
            continue;
        if (!is_number)
            return fail(run, "2203B",
                        node->kind == KP_PATH_PLUS ? "operand of unary jsonpath operator + is not a numeric value"
                                                   : "operand of unary jsonpath operator - is not a numeric value");
        if (node->kind == KP_PATH_MINUS)
            n = kp_numeric_negate(&n, run->arena);
        if (!next(run, node, number_text(run, &n), found))
            return false;
    }
    return true;
}

/* ---- methods ---- */

static struct kp_str type_name(struct run *run, struct kp_str value)
{
    if (kp_path_is_moment(value))
        return kp_path_moment_type(value, run->arena);
    static const char *const names[] = {"\"null\"",    "\"string\"", "\"number\"",
                                        "\"boolean\"", "\"array\"",  "\"object\""};
    return kp_str(names[kind_of(value)]);
}

static bool step_size(struct run *run, const struct kp_path_node *node, struct kp_str value,
                      struct kp_path_items *found)
{
    if (!is_array(value) && !run->lax)
        return run->forgiving || fail(run, "22039", "jsonpath item method .size() can only be applied to an array");
    uint32_t size = is_array(value) ? kp_jsonb_item_count(value) : 1;
    return next(run, node, kp_str(kp_arena_printf(run->arena, "%u", size)), found);
}

static bool step_double(struct run *run, const struct kp_path_node *node, struct kp_str value,
                        struct kp_path_items *found)
{
    struct kp_numeric n;
    struct kp_error ignored;
    double real;
    if (number_of(run, value, &n)) {
        if (kp_numeric_to_f64(&n, &real, &ignored) != KP_OK || !isfinite(real))
            return fail(run, "22036",
                        "numeric argument of jsonpath item method .double() is out of range for type double precision");
        return next(run, node, value, found);
    }
    if (kind_of(value) != KP_JSONB_STRING)
        return fail(run, "22036", "jsonpath item method .double() can only be applied to a string or numeric value");
    struct kp_buf text = {0};
    kp_jsonb_string_text(value, &text);
    bool good = kp_value_parse(KP_TYPE(KP_FLOAT8), (struct kp_str){text.data ? (const char *)text.data : "", text.len},
                               NULL, run->arena, &real, &ignored) == KP_OK &&
                isfinite(real);
    kp_buf_finish(&text);
    if (!good)
        return fail(run, "22036",
                    "string argument of jsonpath item method .double() is not a valid representation of a double "
                    "precision number");
    n = kp_numeric_from_f64(real, run->arena);
    return next(run, node, number_text(run, &n), found);
}

static bool step_round(struct run *run, const struct kp_path_node *node, struct kp_str value,
                       struct kp_path_items *found)
{
    struct kp_numeric n, result;
    const char *name = node->kind == KP_PATH_ABS ? "abs" : node->kind == KP_PATH_FLOOR ? "floor" : "ceiling";
    if (!number_of(run, value, &n)) {
        (void)kp_fail(run->err, KP_INVALID, "22036",
                      "jsonpath item method .%s() can only be applied to a numeric value", name);
        return false;
    }
    if (node->kind == KP_PATH_ABS)
        result = kp_numeric_abs(&n, run->arena);
    else if (kp_numeric_round(&n, 0, node->kind == KP_PATH_FLOOR ? KP_ROUND_FLOOR : KP_ROUND_CEIL, run->arena, &result,
                              run->err) != KP_OK)
        return false;
    return next(run, node, number_text(run, &result), found);
}

static bool step_datetime(struct run *run, const struct kp_path_node *node, struct kp_str value,
                          struct kp_path_items *found)
{
    struct kp_str item;
    if (kind_of(value) != KP_JSONB_STRING)
        return fail(run, "22031", "jsonpath item method .datetime() can only be applied to a string");
    struct kp_buf text = {0};
    kp_jsonb_string_text(value, &text);
    kp_buf_reserve(&text, 1);
    enum kp_code code =
        kp_path_moment_read((struct kp_str){(const char *)text.data, text.len},
                            node->left ? node->text : (struct kp_str){NULL, 0}, run->arena, &item, run->err);
    kp_buf_finish(&text);
    return code == KP_OK && next(run, node, item, found);
}

/* An object {"id", "key", "value"} for each member; the id tells whose member it is. */
static bool step_keyvalue(struct run *run, const struct kp_path_node *node, struct kp_str value,
                          struct kp_path_items *found)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    if (kind_of(value) != KP_JSONB_OBJECT)
        return fail(run, "2203C", "jsonpath item method .keyvalue() can only be applied to an object");
    struct kp_str base = run->base;
    int64_t base_id = run->base_id, id = base_id * INT64_C(10000000000) + kp_path_binary_offset(base, value);
    bool good = true;
    kp_jsonb_items_begin(&items, value);
    while (good && kp_jsonb_items_next(&items, &key, &item)) {
        run->base = kp_str(kp_arena_printf(run->arena, "{\"id\": %lld, \"key\": %.*s, \"value\": %.*s}", (long long)id,
                                           (int)key.len, key.ptr, (int)item.len, item.ptr));
        run->base_id = run->made++;
        good = next(run, node, run->base, found);
    }
    run->base = base;
    run->base_id = base_id;
    return good;
}

/* ---- members, items ---- */

static bool step_key(struct run *run, const struct kp_path_node *node, struct kp_str value, bool unwrap,
                     struct kp_path_items *found)
{
    struct kp_str member;
    if (kind_of(value) == KP_JSONB_OBJECT) {
        if (kp_jsonb_member(value, node->text, &member))
            return next(run, node, member, found);
        if (run->forgiving)
            return true;
        (void)kp_fail(run->err, KP_INVALID, "2203A", "JSON object does not contain key \"%.*s\"", (int)node->text.len,
                      node->text.ptr);
        return false;
    }
    if (unwrap && is_array(value))
        return step_into(run, node, value, found);
    return run->forgiving || fail(run, "2203A", "jsonpath member accessor can only be applied to an object");
}

static bool each_child(struct run *run, const struct kp_path_node *node, struct kp_str value,
                       struct kp_path_items *found)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    kp_jsonb_items_begin(&items, value);
    while (kp_jsonb_items_next(&items, &key, &item))
        if (!next(run, node, item, found))
            return false;
    return true;
}

static bool step_any_key(struct run *run, const struct kp_path_node *node, struct kp_str value, bool unwrap,
                         struct kp_path_items *found)
{
    if (kind_of(value) == KP_JSONB_OBJECT)
        return each_child(run, node, value, found);
    if (unwrap && is_array(value))
        return step_into(run, node, value, found);
    return run->forgiving || fail(run, "2203C", "jsonpath wildcard member accessor can only be applied to an object");
}

static bool step_any_item(struct run *run, const struct kp_path_node *node, struct kp_str value,
                          struct kp_path_items *found)
{
    if (is_array(value))
        return each_child(run, node, value, found);
    if (run->lax)
        return next(run, node, value, found);
    return run->forgiving || fail(run, "22039", "jsonpath wildcard array accessor can only be applied to an array");
}

static bool subscript(struct run *run, const struct kp_path_node *node, struct kp_str value, int64_t *ret_index)
{
    struct kp_path_items items = {0};
    struct kp_numeric n;
    struct kp_error ignored;
    bool skim = run->skim;
    run->skim = false;
    bool good = step(run, node, value, run->lax, &items);
    run->skim = skim;
    if (!good)
        return false;
    if (items.count != 1 || !number_of(run, items.items[0], &n))
        return fail(run, "22033", "jsonpath array subscript is not a single numeric value");
    if (kp_numeric_round(&n, 0, KP_ROUND_TRUNC, run->arena, &n, &ignored) != KP_OK ||
        kp_numeric_to_int(&n, KP_INT4, ret_index, &ignored) != KP_OK)
        return fail(run, "22033", "jsonpath array subscript is out of integer range");
    return true;
}

static bool one_range(struct run *run, const struct kp_path_node *node, const struct kp_path_subscript *range,
                      struct kp_str value, int64_t size, struct kp_path_items *found)
{
    int64_t from, to;
    if (!subscript(run, range->from, value, &from))
        return false;
    to = from;
    if (range->to && !subscript(run, range->to, value, &to))
        return false;
    if (!run->forgiving && (from < 0 || from > to || to >= size))
        return fail(run, "22033", "jsonpath array subscript is out of bounds");
    from = KP_MAX(from, (int64_t)0);
    to = KP_MIN(to, size - 1);
    for (int64_t i = from; i <= to; i++) {
        struct kp_str item = value;
        if (is_array(value) && !kp_jsonb_item(value, i, &item))
            continue;
        if (!next(run, node, item, found))
            return false;
    }
    return true;
}

static bool step_subscripts(struct run *run, const struct kp_path_node *node, struct kp_str value,
                            struct kp_path_items *found)
{
    if (!is_array(value) && !run->lax)
        return run->forgiving || fail(run, "22039", "jsonpath array accessor can only be applied to an array");
    int64_t around = run->last, size = is_array(value) ? kp_jsonb_item_count(value) : 1;
    bool good = true;
    for (uint32_t i = 0; good && i < node->subscript_count; i++) {
        run->last = size - 1;
        good = one_range(run, node, &node->subscripts[i], value, size, found);
    }
    run->last = around;
    return good;
}

/* What lies below, from level `first` to `last`; UINT32_MAX both: only what has nothing below. */
static bool below(struct run *run, const struct kp_path_node *node, struct kp_str value, uint32_t level,
                  struct kp_path_items *found)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    if (level > node->last)
        return true;
    kp_jsonb_items_begin(&items, value);
    while (kp_jsonb_items_next(&items, &key, &item)) {
        bool leaves = node->first == UINT32_MAX && node->last == UINT32_MAX;
        if (level >= node->first || (leaves && !is_container(item))) {
            bool forgiving = run->forgiving;
            run->forgiving = true;
            bool good = next(run, node, item, found);
            run->forgiving = forgiving;
            if (!good)
                return false;
        }
        if (level < node->last && is_container(item) && !below(run, node, item, level + 1, found))
            return false;
    }
    return true;
}

static bool step_any(struct run *run, const struct kp_path_node *node, struct kp_str value, struct kp_path_items *found)
{
    if (node->first == 0) { /* the value itself */
        bool forgiving = run->forgiving;
        run->forgiving = true;
        bool good = next(run, node, value, found);
        run->forgiving = forgiving;
        if (!good)
            return false;
    }
    return !is_container(value) || below(run, node, value, 1, found);
}

/* The rest of a chain that begins in another document. */
static bool next_in(struct run *run, const struct kp_path_node *node, struct kp_str base, int64_t base_id,
                    struct kp_str value, struct kp_path_items *found)
{
    struct kp_str around = run->base;
    int64_t around_id = run->base_id;
    run->base = base;
    run->base_id = base_id;
    bool good = next(run, node, value, found);
    run->base = around;
    run->base_id = around_id;
    return good;
}

static bool step_variable(struct run *run, const struct kp_path_node *node, struct kp_path_items *found)
{
    struct kp_str value;
    if (run->vars.ptr && kp_jsonb_member(run->vars, node->text, &value))
        return next_in(run, node, run->vars, 1, value, found);
    (void)refuse(
        run, "42704",
        kp_arena_printf(run->arena, "could not find jsonpath variable \"%.*s\"", (int)node->text.len, node->text.ptr));
    return false;
}

static bool step_filter(struct run *run, const struct kp_path_node *node, struct kp_str value, bool unwrap,
                        struct kp_path_items *found)
{
    if (unwrap && is_array(value))
        return step_into(run, node, value, found);
    struct kp_str around = run->current;
    run->current = value;
    enum truth truth = test(run, node->left, value);
    run->current = around;
    return truth != TRUTH_TRUE || next(run, node, value, found);
}

static bool step_node(struct run *run, const struct kp_path_node *node, struct kp_str value, bool unwrap,
                      struct kp_path_items *found)
{
    switch (node->kind) {
    case KP_PATH_ROOT:
        return next_in(run, node, run->document, 0, run->document, found);
    case KP_PATH_CURRENT:
        return next(run, node, run->current, found);
    case KP_PATH_LAST:
        return next(run, node, kp_str(kp_arena_printf(run->arena, "%lld", (long long)run->last)), found);
    case KP_PATH_NULL:
        return next(run, node, KP_STR("null"), found);
    case KP_PATH_BOOL:
        return next(run, node, node->flag ? KP_STR("true") : KP_STR("false"), found);
    case KP_PATH_NUMBER:
    case KP_PATH_STRING:
        return next(run, node, node->text, found);
    case KP_PATH_VARIABLE:
        return step_variable(run, node, found);
    case KP_PATH_PLUS:
    case KP_PATH_MINUS:
        return step_sign(run, node, value, found);
    case KP_PATH_KEY:
        return step_key(run, node, value, unwrap, found);
    case KP_PATH_ANY_KEY:
        return step_any_key(run, node, value, unwrap, found);
    case KP_PATH_ANY_ITEM:
        return step_any_item(run, node, value, found);
    case KP_PATH_SUBSCRIPTS:
        return step_subscripts(run, node, value, found);
    case KP_PATH_ANY:
        return step_any(run, node, value, found);
    case KP_PATH_FILTER:
        return step_filter(run, node, value, unwrap, found);
    case KP_PATH_TYPE:
        return next(run, node, type_name(run, value), found);
    case KP_PATH_SIZE:
        return step_size(run, node, value, found);
    case KP_PATH_DOUBLE:
        return unwrap && is_array(value) ? step_into(run, node, value, found) : step_double(run, node, value, found);
    case KP_PATH_DATETIME:
        return unwrap && is_array(value) ? step_into(run, node, value, found) : step_datetime(run, node, value, found);
    case KP_PATH_KEYVALUE:
        return unwrap && is_array(value) ? step_into(run, node, value, found) : step_keyvalue(run, node, value, found);
    case KP_PATH_CEILING:
    case KP_PATH_FLOOR:
    case KP_PATH_ABS:
        return unwrap && is_array(value) ? step_into(run, node, value, found) : step_round(run, node, value, found);
    default:
        break;
    }
    if (node->kind >= KP_PATH_ADD && node->kind <= KP_PATH_MOD)
        return step_arithmetic(run, node, value, found);
    enum truth truth = test(run, node, value);
    return next(run, node,
                truth == TRUTH_TRUE    ? KP_STR("true")
                : truth == TRUTH_FALSE ? KP_STR("false")
                                       : KP_STR("null"),
                found);
}

static bool step(struct run *run, const struct kp_path_node *node, struct kp_str value, bool unwrap,
                 struct kp_path_items *found)
{
    if (kp_arena_vain(run->arena)) /* nobody waits for it: filters within filters may take hours */
        return fail(run, "57014", "a jsonpath was stopped");
    if (run->depth == 8 * KP_SQL_DEPTH_MAX) {
        (void)kp_fail(run->err, KP_LIMIT, "54001", "a jsonpath goes too deep");
        return false;
    }
    run->depth++;
    bool good = step_node(run, node, value, unwrap, found);
    run->depth--;
    return good;
}

/* ---- predicates ---- */

static enum truth of_bool(bool value)
{
    return value ? TRUTH_TRUE : TRUTH_FALSE;
}

static enum truth compare(const struct kp_path_node *node, struct run *run, struct kp_str a, struct kp_str b)
{
    unsigned left = kind_of(a), right = kind_of(b);
    int order;
    if (left != right) /* a null is unequal to all else, and nothing more; other kinds cannot be compared */
        return left == KP_JSONB_NULL || right == KP_JSONB_NULL ? of_bool(node->kind == KP_PATH_NE) : TRUTH_UNKNOWN;
    if (left == KP_JSONB_ARRAY || left == KP_JSONB_OBJECT)
        return TRUTH_UNKNOWN;
    if (left == KP_JSONB_NULL) {
        order = 0;
    } else if (left == KP_JSONB_STRING) {
        struct kp_buf x = {0}, y = {0};
        kp_jsonb_string_text(a, &x);
        kp_jsonb_string_text(b, &y);
        order =
            kp_str_compare((struct kp_str){(const char *)x.data, x.len}, (struct kp_str){(const char *)y.data, y.len});
        kp_buf_finish(&x);
        kp_buf_finish(&y);
    } else if (left == KIND_MOMENT) {
        bool comparable;
        struct kp_error err;
        if (kp_path_moment_compare(a, b, run->zoned, run->zone, &order, &comparable, &err) != KP_OK)
            return refuse_for(run, &err);
        if (!comparable)
            return TRUTH_UNKNOWN;
    } else if (left == KP_JSONB_BOOL) {
        order = (a.ptr[0] == 't') - (b.ptr[0] == 't');
    } else {
        struct kp_numeric x, y;
        if (!number_of(run, a, &x) || !number_of(run, b, &y))
            return TRUTH_UNKNOWN;
        order = kp_numeric_compare(&x, &y);
    }
    switch (node->kind) {
    case KP_PATH_EQ:
        return of_bool(order == 0);
    case KP_PATH_NE:
        return of_bool(order != 0);
    case KP_PATH_LT:
        return of_bool(order < 0);
    case KP_PATH_LE:
        return of_bool(order <= 0);
    case KP_PATH_GT:
        return of_bool(order > 0);
    default:
        return of_bool(order >= 0);
    }
}

static enum truth starts_with(struct kp_str whole, struct kp_str initial)
{
    struct kp_buf x = {0}, y = {0};
    if (kind_of(whole) != KP_JSONB_STRING || kind_of(initial) != KP_JSONB_STRING)
        return TRUTH_UNKNOWN;
    kp_jsonb_string_text(whole, &x);
    kp_jsonb_string_text(initial, &y);
    bool starts = x.len >= y.len && (y.len == 0 || memcmp(x.data, y.data, y.len) == 0);
    kp_buf_finish(&x);
    kp_buf_finish(&y);
    return of_bool(starts);
}

static enum truth like_regex(struct run *run, const struct kp_path_node *node, struct kp_str value)
{
    if (kind_of(value) != KP_JSONB_STRING)
        return TRUTH_UNKNOWN;
    struct kp_buf text = {0};
    struct kp_pattern pattern = {0};
    struct kp_call call = {.arena = run->arena, .rows = 1};
    enum truth truth = TRUTH_UNKNOWN;
    kp_jsonb_string_text(value, &text);
    kp_buf_reserve(&text, 1);
    if (kp_path_pattern_compile(&call, node, &pattern))
        truth = of_bool(kp_pattern_matches(&pattern, (struct kp_str){(const char *)text.data, text.len}));
    if (call.error_count)
        truth = refuse(run, call.errors[0].sqlstate, call.errors[0].message);
    kp_pattern_finish(&pattern);
    kp_buf_finish(&text);
    return truth;
}

/* Some pair of what the sides yield; in strict mode none may be unknown. */
static enum truth any_pair(struct run *run, const struct kp_path_node *node, struct kp_str value)
{
    struct kp_path_items left = {0}, right = {0};
    bool regex = node->kind == KP_PATH_LIKE_REGEX, found = false, unknown = false;
    if (!operand(run, node->left, value, true, &left) ||
        (!regex && !operand(run, node->right, value, node->kind != KP_PATH_STARTS_WITH, &right)))
        return TRUTH_UNKNOWN;
    for (uint32_t i = 0; i < left.count && !kp_arena_vain(run->arena); i++)
        for (uint32_t k = 0; k < (regex ? 1 : right.count); k++) {
            enum truth truth = regex                               ? like_regex(run, node, left.items[i])
                               : node->kind == KP_PATH_STARTS_WITH ? starts_with(left.items[i], right.items[k])
                                                                   : compare(node, run, left.items[i], right.items[k]);
            if (truth == TRUTH_UNKNOWN && !run->lax)
                return TRUTH_UNKNOWN;
            if (truth == TRUTH_TRUE && run->lax)
                return TRUTH_TRUE;
            found |= truth == TRUTH_TRUE;
            unknown |= truth == TRUTH_UNKNOWN;
        }
    return found ? TRUTH_TRUE : unknown ? TRUTH_UNKNOWN : TRUTH_FALSE;
}

/* In lax mode what was found before an error is enough. */
static enum truth exists(struct run *run, const struct kp_path_node *node, struct kp_str value)
{
    struct kp_path_items items = {0};
    run->skim = run->lax;
    bool good = step(run, node->left, value, run->lax, &items);
    if (!good && !(run->lax && items.count))
        return TRUTH_UNKNOWN;
    return of_bool(items.count > 0);
}

static enum truth test_node(struct run *run, const struct kp_path_node *node, struct kp_str value)
{
    enum truth left, right;
    switch (node->kind) {
    case KP_PATH_AND:
        left = test(run, node->left, value);
        if (left == TRUTH_FALSE)
            return left;
        right = test(run, node->right, value);
        return right == TRUTH_TRUE ? left : right;
    case KP_PATH_OR:
        left = test(run, node->left, value);
        if (left == TRUTH_TRUE)
            return left;
        right = test(run, node->right, value);
        return right == TRUTH_FALSE ? left : right;
    case KP_PATH_NOT:
        left = test(run, node->left, value);
        return left == TRUTH_UNKNOWN ? left : of_bool(left == TRUTH_FALSE);
    case KP_PATH_IS_UNKNOWN:
        return of_bool(test(run, node->left, value) == TRUTH_UNKNOWN);
    case KP_PATH_EXISTS:
        return exists(run, node, value);
    default:
        return any_pair(run, node, value);
    }
}

/* Errors inside are taken back: they make it unknown. */
static enum truth test(struct run *run, const struct kp_path_node *node, struct kp_str value)
{
    struct kp_error inside, *around = run->err;
    bool skim = run->skim;
    run->err = &inside;
    run->skim = false;
    enum truth truth = test_node(run, node, value);
    run->err = around;
    run->skim = skim;
    return truth;
}

enum kp_code kp_path_run(const struct kp_path *path, const struct kp_path_input *input, struct kp_arena *arena,
                         struct kp_path_items *ret_items, struct kp_error *err)
{
    struct kp_str document = input->document;
    struct run run = {.arena = arena,
                      .err = err,
                      .document = document,
                      .current = document,
                      .base = document,
                      .made = 2, /* 1: the variables, of which there are always some in PostgreSQL's functions */
                      .vars = input->vars,
                      .zoned = input->zoned,
                      .zone = input->zone,
                      .lax = !path->strict,
                      .forgiving = !path->strict,
                      .skim = input->exists_only && !path->strict};
    *ret_items = (struct kp_path_items){0};
    bool good = step(&run, path->root, document, run.lax, ret_items);
    for (uint32_t i = 0; i < ret_items->count; i++)
        if (kp_path_is_moment(ret_items->items[i]))
            ret_items->items[i] = kp_path_moment_print(ret_items->items[i], arena);
    if (!run.refused)
        return good ? KP_OK : KP_INVALID;
    ret_items->count = 0;
    *err = run.refusal;
    return KP_UNSUPPORTED;
}
