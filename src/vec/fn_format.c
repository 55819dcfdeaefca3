/*
 * format(text, …): %s, %I, %L with a position (n$), a minus and a width (a number, *, *n$); %% is a percent sign.
 * And what is kin to it: quote_nullable, num_nulls, num_nonnulls.
 */
#include "base/utf8.h"
#include "vec/facts.h"
#include "vec/fn.h"

struct spec {
    const char *at, *end;
    uint32_t next; /* the argument to come */
    int64_t width;
    bool left;
    uint32_t arg;
    bool too_great; /* a number in it */
    char kind;
};

static bool fail_spec(struct kp_call *call, uint32_t row, const char *message)
{
    kp_call_fail(call, row, "22023", "%s", message);
    return false;
}

static bool fail_kind(struct kp_call *call, uint32_t row, const char *message)
{
    fail_spec(call, row, message);
    kp_call_explain(call, NULL, "For a single \"%\" use \"%%\".");
    return false;
}

static bool take_number(struct spec *spec, int64_t *ret_value)
{
    const char *start = spec->at;
    int64_t value = 0;
    for (; spec->at < spec->end && *spec->at >= '0' && *spec->at <= '9'; spec->at++)
        if (value <= INT32_MAX)
            value = value * 10 + (*spec->at - '0');
    spec->too_great |= value > INT32_MAX;
    *ret_value = value;
    return spec->at > start;
}

/* The value of an argument for a width; NULL is 0. */
static bool width_argument(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, struct spec *spec,
                           uint32_t arg)
{
    if (arg >= call->arg_count)
        return fail_spec(call, row, "too few arguments for format()");
    if (kp_vec_is_null(args[arg], row)) {
        spec->width = 0;
        return true;
    }
    const void *value = kp_vec_at(args[arg], row);
    switch (args[arg]->type.id) {
    case KP_INT4:
        spec->width = *(const int32_t *)value;
        break;
    case KP_INT2:
        spec->width = *(const int16_t *)value;
        break;
    default: {
        struct kp_buf text = {0};
        int64_t number = 0;
        bool good = true;
        kp_value_print(args[arg]->type, value, NULL, &text);
        for (size_t i = text.len && text.data[0] == '-'; i < text.len; i++) {
            good &= text.data[i] >= '0' && text.data[i] <= '9';
            number = KP_MIN(number * 10 + (text.data[i] - '0'), (int64_t)INT32_MAX);
        }
        spec->width = text.len && text.data[0] == '-' ? -number : number;
        kp_buf_finish(&text);
        if (!good) {
            kp_call_fail(call, row, "22P02", "invalid input syntax for type integer");
            return false;
        }
    }
    }
    return true;
}

/* What follows a percent sign. */
static bool take_spec(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, struct spec *spec)
{
    int64_t number;
    bool positioned = false;
    spec->width = 0;
    spec->left = false;
    const char *start = spec->at;
    bool numbered = take_number(spec, &number);
    if (spec->too_great) {
        kp_call_fail(call, row, "22003", "number is out of range");
        return false;
    }
    if (numbered && spec->at < spec->end && *spec->at == '$') {
        if (number == 0)
            return fail_spec(call, row, "format specifies argument 0, but arguments are numbered from 1");
        spec->arg = (uint32_t)KP_MIN(number, (int64_t)UINT32_MAX / 2);
        spec->at++;
        positioned = true;
    } else {
        spec->at = start;
    }
    for (; spec->at < spec->end && *spec->at == '-'; spec->at++)
        spec->left = true;
    if (spec->at < spec->end && *spec->at == '*') {
        spec->at++;
        start = spec->at;
        uint32_t arg = spec->next;
        if (take_number(spec, &number) && spec->at < spec->end && *spec->at == '$') {
            if (number == 0)
                return fail_spec(call, row, "format specifies argument 0, but arguments are numbered from 1");
            spec->at++;
            arg = (uint32_t)KP_MIN(number, (int64_t)UINT32_MAX / 2);
        } else {
            spec->at = start;
        }
        spec->next = arg + 1;
        if (!width_argument(call, args, row, spec, arg))
            return false;
    } else {
        take_number(spec, &spec->width);
    }
    if (spec->width < 0) {
        spec->left = true;
        spec->width = -spec->width;
    }
    if (spec->too_great) {
        kp_call_fail(call, row, "22003", "number is out of range");
        return false;
    }
    if (!positioned)
        spec->arg = spec->next;
    if (spec->at == spec->end)
        return fail_kind(call, row, "unterminated format() type specifier");
    spec->kind = *spec->at++;
    return true;
}

static void append_value(struct kp_call *call, const struct kp_vec *vec, uint32_t row, struct kp_buf *out)
{
    kp_value_print(vec->type, kp_vec_at(vec, row), fn_zone(call), out);
}

static bool append_spec(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, const struct spec *spec,
                        struct kp_buf *out)
{
    struct kp_buf value = {0}, shown = {0};
    bool null = kp_vec_is_null(args[spec->arg], row);
    if (!null)
        append_value(call, args[spec->arg], row, &value);
    struct kp_str text = {value.data ? (const char *)value.data : "", value.len};
    if (spec->kind == 's') {
        kp_buf_append_str(&shown, text);
    } else if (spec->kind == 'L') {
        if (null)
            kp_buf_append_text(&shown, "NULL");
        else
            kp_literal_quote(text, &shown);
    } else if (null) {
        kp_buf_finish(&value);
        kp_call_fail(call, row, "22004", "null values cannot be formatted as an SQL identifier");
        return false;
    } else {
        kp_name_quote(text, &shown);
    }
    size_t length = shown.len ? kp_utf8_length((const char *)shown.data, shown.len) : 0;
    int64_t padding = spec->width - (int64_t)length;
    for (int64_t p = 0; !spec->left && p < padding; p++)
        kp_buf_append_byte(out, ' ');
    kp_buf_append(out, shown.data, shown.len);
    for (int64_t p = 0; spec->left && p < padding; p++)
        kp_buf_append_byte(out, ' ');
    kp_buf_finish(&value);
    kp_buf_finish(&shown);
    return true;
}

static bool format_row(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, struct kp_buf *out)
{
    struct kp_str format = kp_text_str(&FN_AT(struct kp_text, 0, row));
    struct spec spec = {.at = format.ptr, .end = format.ptr + format.len, .next = 1};
    while (spec.at < spec.end) {
        if (*spec.at != '%') {
            kp_buf_append_byte(out, (uint8_t)*spec.at++);
            continue;
        }
        spec.at++;
        if (spec.at < spec.end && *spec.at == '%') {
            kp_buf_append_byte(out, '%');
            spec.at++;
            continue;
        }
        if (spec.at == spec.end)
            return fail_kind(call, row, "unterminated format() type specifier");
        if (!take_spec(call, args, row, &spec))
            return false;
        if (!strchr("sIL", spec.kind)) {
            const char *kind = spec.at - 1;
            while (spec.at < spec.end && ((unsigned char)*spec.at & 0xc0) == 0x80)
                spec.at++;
            return fail_kind(call, row,
                             kp_arena_printf(call->arena, "unrecognized format() type specifier \"%.*s\"",
                                             (int)(spec.at - kind), kind));
        }
        if (spec.arg >= call->arg_count)
            return fail_spec(call, row, "too few arguments for format()");
        spec.next = spec.arg + 1;
        if (spec.width > KP_RECORD_BYTES_MAX || out->len > KP_RECORD_BYTES_MAX)
            return fail_spec(call, row, "format() result is too long");
        if (!append_spec(call, args, row, &spec, out))
            return false;
    }
    return true;
}

static void format(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_text *to = (struct kp_text *)out->data + i;
        *to = kp_text_make("", 0);
        buf.len = 0;
        if (kp_vec_is_null(args[0], i)) {
            kp_vec_need_valid(out, call->arena, call->rows);
            kp_vec_set_null(out, i);
        } else if (format_row(call, args, i, &buf)) {
            *to = fn_text(call, buf.data, buf.len);
        }
    }
    kp_buf_finish(&buf);
}

static void quote_nullable(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        buf.len = 0;
        if (kp_vec_is_null(args[0], i))
            kp_buf_append_text(&buf, "NULL");
        else
            kp_literal_quote(kp_text_str(&FN_AT(struct kp_text, 0, i)), &buf);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

static void count_nulls(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool wanted)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t count = 0;
        for (uint32_t a = 0; a < call->arg_count; a++)
            count += kp_vec_is_null(args[a], i) == wanted;
        ((int32_t *)out->data)[i] = count;
    }
}
static void num_nulls(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    count_nulls(call, args, out, true);
}
static void num_nonnulls(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    count_nulls(call, args, out, false);
}

static const struct kp_func funcs[] = {
    FN_UNARY("format", KP_FUNC_FUNCTION, KP_CAN_FAIL, KP_TEXT, KP_TEXT, format, "a text with %% for a percent sign"),
    FN_BINARY("format", KP_FUNC_FUNCTION, KP_VARIADIC | KP_CAN_FAIL | KP_STABLE, KP_TEXT, KP_ANY, KP_TEXT, format,
              "values by %s, as names by %I, as literals by %L"),
    FN_UNARY("quote_nullable", KP_FUNC_FUNCTION, 0, KP_TEXT, KP_TEXT, quote_nullable, "as an SQL literal, or NULL"),
    FN_UNARY("num_nulls", KP_FUNC_FUNCTION, KP_VARIADIC, KP_ANY, KP_INT4, num_nulls, "how many are NULL"),
    FN_UNARY("num_nonnulls", KP_FUNC_FUNCTION, KP_VARIADIC, KP_ANY, KP_INT4, num_nonnulls, "how many are not NULL"),
};
KP_FUNCTIONS(format, funcs);
