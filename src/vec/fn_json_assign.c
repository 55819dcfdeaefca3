/*
 * SET j['a'][0] = value: the jsonb with another value at a path, under a name that SQL cannot call. As PostgreSQL's
 * subscripts do and jsonb_set does not: what is missing on the way is made, an array for a subscript that is an
 * integer, an object else; an array grows to where the item is, nulls between; a scalar on the way, or a place before
 * an array's first item, is an error.
 */
#include <stdlib.h>

#include "vec/array.h"
#include "vec/fn.h"
#include "vec/jsonb.h"

/* An array grown by one assignment is no larger than what a record holds: "null, " each. */
enum { GROWN_ITEMS_MAX = KP_RECORD_BYTES_MAX / 6 };

struct path {
    struct kp_call *call;
    uint32_t row;
    struct kp_array steps;
    struct kp_str value;
    bool failed;
};

static struct kp_str step_at(const struct path *path, uint32_t level)
{
    struct kp_text *step = kp_arena_alloc(path->call->arena, sizeof *step); /* short ones lie in it */
    kp_array_get(&path->steps, level, path->call->arena, step);
    return kp_text_str(step);
}

/* Whether it is an integer, as C reads one. */
static bool is_place(struct kp_str step, int64_t *ret_place)
{
    char digits[24], *end;
    if (step.len == 0 || step.len >= sizeof digits)
        return false;
    memcpy(digits, step.ptr, step.len);
    digits[step.len] = 0;
    *ret_place = strtoll(digits, &end, 10);
    return !*end && *ret_place >= INT32_MIN && *ret_place <= INT32_MAX;
}

static void append_nulls(struct path *path, int64_t count, bool *first, struct kp_buf *out)
{
    if (count > GROWN_ITEMS_MAX) {
        kp_call_fail(path->call, path->row, "54000", "number of jsonb array elements exceeds the maximum allowed (%d)",
                     GROWN_ITEMS_MAX);
        path->failed = true;
        return;
    }
    for (; count > 0; count--, *first = false)
        kp_buf_append_text(out, *first ? "null" : ", null");
}

static struct kp_str kept(struct path *path, struct kp_buf *buf)
{
    struct kp_str copy = {kp_arena_strndup(path->call->arena, (const char *)buf->data, buf->len), buf->len};
    kp_buf_finish(buf);
    return copy;
}

/* What is at the path's end, in all that leads there from this level on. */
static void make_rest(struct path *path, uint32_t level, struct kp_buf *out)
{
    int64_t place;
    bool first = true;
    if (level == path->steps.count) {
        kp_buf_append_str(out, path->value);
        return;
    }
    struct kp_str step = step_at(path, level);
    if (is_place(step, &place)) {
        kp_buf_append_byte(out, '[');
        append_nulls(path, place, &first, out);
        kp_buf_append_text(out, first ? "" : ", ");
        make_rest(path, level + 1, out);
        kp_buf_append_byte(out, ']');
        return;
    }
    struct kp_jsonb_object object = {{0}};
    struct kp_buf rest = {0};
    make_rest(path, level + 1, &rest);
    kp_jsonb_put(&object, step, kept(path, &rest));
    kp_jsonb_object_print(&object, out);
    kp_jsonb_object_finish(&object);
}

static void set_in(struct path *path, struct kp_str value, uint32_t level, struct kp_buf *out);

static void set_member(struct path *path, struct kp_str value, uint32_t level, struct kp_buf *out)
{
    struct kp_jsonb_object object = {{0}};
    struct kp_jsonb_items items;
    struct kp_str key, item, step = step_at(path, level);
    struct kp_buf inner = {0};
    bool found = false;
    for (kp_jsonb_items_begin(&items, value); kp_jsonb_items_next(&items, &key, &item);) {
        struct kp_buf name = {0};
        if (kp_jsonb_key_is(key, step)) {
            found = true;
            set_in(path, item, level + 1, &inner);
            continue;
        }
        kp_jsonb_string_text(key, &name);
        kp_jsonb_put(&object, kept(path, &name), item);
    }
    if (!found)
        make_rest(path, level + 1, &inner);
    kp_jsonb_put(&object, step, kept(path, &inner));
    kp_jsonb_object_print(&object, out);
    kp_jsonb_object_finish(&object);
}

/* From 0 on; false: the row fails. */
static bool find_place(struct path *path, uint32_t level, int64_t count, int64_t *ret_place)
{
    struct kp_str step = step_at(path, level);
    if (!is_place(step, ret_place))
        kp_call_fail(path->call, path->row, "22P02", "path element at position %u is not an integer: \"%.*s\"",
                     level + 1, (int)KP_MIN(step.len, (size_t)256), step.ptr);
    else if (*ret_place < -count)
        kp_call_fail(path->call, path->row, "22023", "path element at position %u is out of range: %lld", level + 1,
                     (long long)*ret_place);
    else {
        *ret_place += *ret_place < 0 ? count : 0;
        return true;
    }
    path->failed = true;
    return false;
}

static void set_item(struct path *path, struct kp_str value, uint32_t level, struct kp_buf *out)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    int64_t place, at = 0;
    bool first = true;
    if (!find_place(path, level, kp_jsonb_item_count(value), &place))
        return;
    kp_buf_append_byte(out, '[');
    for (kp_jsonb_items_begin(&items, value); kp_jsonb_items_next(&items, &key, &item); at++, first = false) {
        kp_buf_append_text(out, first ? "" : ", ");
        if (at == place)
            set_in(path, item, level + 1, out);
        else
            kp_buf_append_str(out, item);
    }
    if (place >= at) {
        append_nulls(path, place - at, &first, out);
        kp_buf_append_text(out, first ? "" : ", ");
        make_rest(path, level + 1, out);
    }
    kp_buf_append_byte(out, ']');
}

static void set_in(struct path *path, struct kp_str value, uint32_t level, struct kp_buf *out)
{
    enum kp_jsonb_kind kind = kp_jsonb_kind(value);
    if (path->failed)
        return;
    if (level == path->steps.count) {
        kp_buf_append_str(out, path->value);
    } else if (kind == KP_JSONB_OBJECT) {
        set_member(path, value, level, out);
    } else if (kind == KP_JSONB_ARRAY) {
        set_item(path, value, level, out);
    } else {
        kp_call_fail(path->call, path->row, "22023", "cannot replace existing key");
        path->failed = true;
    }
}

static bool has_null(const struct kp_array *steps)
{
    for (uint32_t i = 0; i < steps->count; i++)
        if (kp_array_is_null(steps, i))
            return true;
    return false;
}

/* kp_jsonb_assign(target, path, value, whether the first subscript is a number): not strict. */
static void assign(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct path path = {.call = call, .row = i, .value = KP_STR("null")};
        struct kp_str target = FN_AT(uint8_t, 3, i) ? KP_STR("[]") : KP_STR("{}");
        if (!kp_vec_is_null(args[0], i))
            target = kp_text_str(&FN_AT(struct kp_text, 0, i));
        if (!kp_vec_is_null(args[2], i))
            path.value = kp_text_str(&FN_AT(struct kp_text, 2, i));
        kp_array_read(KP_TEXT_ARRAY, &FN_AT(struct kp_text, 1, i), &path.steps);
        buf.len = 0;
        if (has_null(&path.steps)) {
            kp_call_fail(call, i, "22004", "jsonb subscript in assignment must not be null");
            path.failed = true;
        }
        set_in(&path, target, 0, &buf);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, path.failed ? 0 : buf.len);
    }
    kp_buf_finish(&buf);
}

static const struct kp_func funcs[] = {
    {.name = "kp_jsonb_assign",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_CAN_FAIL,
     .arg_count = 4,
     .args = {KP_JSONB, KP_TEXT_ARRAY, KP_JSONB, KP_BOOL},
     .ret = KP_JSONB,
     .kernel = assign,
     .doc = "SET j['a'] = value"},
};
KP_FUNCTIONS(json_assign, funcs);
