/*
 * to_char of numbers, by the templates of vec/number_format.h.
 *
 * The number is written with as many decimals as the template has; its digits then fill the template from the left,
 * blanks standing where it has fewer, hashes where it has more. FM leaves blanks and needless zeros out. The sign is
 * written before the first digit (or blank that is a zero), behind the last one, or where its keyword stands.
 */
#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "vec/fn.h"
#include "vec/number_format.h"

enum { ROMAN_MAX = 3999, ROMAN_WIDTH = 15 };

struct writer {
    struct kp_call *call;
    uint32_t row;
    const struct kp_number_format *f;
    struct kp_buf *out;
    const char *digits, *at, *last; /* last: of FM, the last decimal that is no needless zero */
    int blanks, place, count;       /* blanks before the digits; digit places done and in all */
    bool negative, sign_done, begun, sign_behind, brackets;
};

static bool leading_zero_is_blank(const struct writer *w)
{
    return !w->f->zero_from && w->at == w->digits && w->digits[0] == '0' && w->f->after > 0;
}

static void write_sign(struct writer *w)
{
    const struct kp_number_format *f = w->f;
    bool starts_here = w->place >= w->blanks || (f->zero_from && f->zero_from == w->place + 1);
    if (w->sign_done || !starts_here || (leading_zero_is_blank(w) && !(w->last && *w->last == '.')))
        return;
    if (f->sign != KP_SIGN_NONE) {
        if (w->sign_behind)
            return;
        kp_buf_append_byte(w->out, w->negative ? '-' : '+');
    } else if (w->brackets) {
        kp_buf_append_byte(w->out, w->negative ? '<' : ' ');
    } else if (w->negative) {
        kp_buf_append_byte(w->out, '-');
    } else if (!f->fill) {
        kp_buf_append_byte(w->out, ' ');
    }
    w->sign_done = true;
}

static void write_digit(struct writer *w, bool is_zero_part)
{
    const struct kp_number_format *f = w->f;
    if (*w->at == '.') {
        if (!w->last || *w->last != '.' || f->fill)
            kp_buf_append_byte(w->out, '.');
    } else if (w->last && w->at > w->last && !is_zero_part) {
        ; /* a needless zero */
    } else if (leading_zero_is_blank(w)) {
        if (!f->fill)
            kp_buf_append_byte(w->out, ' ');
        else if (w->last && *w->last == '.')
            kp_buf_append_byte(w->out, '0');
    } else {
        if (*w->at)
            kp_buf_append_byte(w->out, (uint8_t)*w->at);
        w->begun = true;
    }
    if (*w->at)
        w->at++;
}

/* A digit's place or the point's. */
static void write_place(struct writer *w, bool is_zero_part)
{
    const struct kp_number_format *f = w->f;
    w->begun = false;
    write_sign(w);
    if (w->place < w->blanks && (!f->zero_from || f->zero_from > w->place + 1)) {
        if (!f->fill)
            kp_buf_append_byte(w->out, ' ');
    } else if (w->place < w->blanks) {
        kp_buf_append_byte(w->out, '0');
        w->begun = true;
    } else {
        write_digit(w, is_zero_part);
    }
    int end = w->count + (w->blanks ? 1 : 0) + (f->point ? 1 : 0);
    if (w->last && w->last == w->at)
        end = w->place;
    if (w->place + 1 == end) {
        if (w->sign_done && w->brackets)
            kp_buf_append_byte(w->out, w->negative ? '>' : ' ');
        else if (w->sign_behind)
            kp_buf_append_byte(w->out, w->negative ? '-' : '+');
    }
    w->place++;
}

static void write_ordinal(struct writer *w, bool lower)
{
    size_t len = strlen(w->digits);
    char last = len ? w->digits[len - 1] : ' ', before = len > 1 ? w->digits[len - 2] : '0';
    if (w->f->roman || w->digits[0] == '#' || w->negative || w->f->point)
        return;
    if (!isdigit((unsigned char)last)) {
        kp_call_fail(w->call, w->row, "22P02", "\"%s\" is not a number", w->digits);
        return;
    }
    const char *ending = before == '1' ? "TH" : last == '1' ? "ST" : last == '2' ? "ND" : last == '3' ? "RD" : "TH";
    for (; *ending; ending++)
        kp_buf_append_byte(w->out, (uint8_t)(lower ? tolower(*ending) : *ending));
}

static void write_blank(struct writer *w)
{
    if (!w->f->fill)
        kp_buf_append_byte(w->out, ' ');
}

static void write_part(struct writer *w, const struct kp_number_part *part)
{
    const struct kp_number_format *f = w->f;
    switch (part->kind) {
    case KP_PART_TEXT:
        kp_buf_append_str(w->out, part->text);
        break;
    case KP_PART_9:
    case KP_PART_0:
    case KP_PART_POINT:
        if (!f->roman)
            write_place(w, part->kind == KP_PART_0);
        break;
    case KP_PART_COMMA:
        if (w->begun)
            kp_buf_append_byte(w->out, ',');
        else
            write_blank(w);
        break;
    case KP_PART_L:
        kp_buf_append_byte(w->out, ' ');
        break;
    case KP_PART_MI:
        if (w->negative)
            kp_buf_append_byte(w->out, '-');
        else
            write_blank(w);
        break;
    case KP_PART_PL:
        if (!w->negative && !f->roman)
            kp_buf_append_byte(w->out, '+');
        else
            write_blank(w);
        break;
    case KP_PART_SG:
        if (!f->roman)
            kp_buf_append_byte(w->out, w->negative ? '-' : '+');
        break;
    case KP_PART_TH:
        write_ordinal(w, part->lower);
        break;
    case KP_PART_RN:
        for (size_t n = strlen(w->digits); !f->fill && n < ROMAN_WIDTH; n++)
            kp_buf_append_byte(w->out, ' ');
        for (const char *c = w->digits; *c; c++)
            kp_buf_append_byte(w->out, (uint8_t)(part->lower ? tolower((unsigned char)*c) : *c));
        break;
    case KP_PART_OTHER:
        break;
    }
}

/* Of FM: the last digit behind the point that is to be shown; NULL without a point. */
static const char *last_shown(const struct writer *w)
{
    const char *point = strchr(w->digits, '.'), *last = point;
    if (!point)
        return NULL;
    for (const char *c = point + 1; *c; c++)
        if (*c != '0')
            last = c;
    if (w->f->zero_to > w->blanks) {
        int place = KP_MIN((int)strlen(w->digits) - 1, w->f->zero_to - w->blanks);
        last = KP_MAX(last, w->digits + place);
    }
    return last;
}

/* digits: "123.450" with the template's decimals, without sign; or Roman numerals, or hashes. */
static void write_number(struct kp_call *call, uint32_t row, const struct kp_number_format *f, const char *digits,
                         bool negative, int blanks, struct kp_buf *out)
{
    struct writer w = {.call = call,
                       .row = row,
                       .f = f,
                       .out = out,
                       .digits = digits,
                       .at = digits,
                       .blanks = blanks,
                       .negative = negative};
    if (f->plus || f->minus) { /* beside PL the sign of a negative number is written too */
        w.sign_done = f->minus;
    } else if (!f->roman) {
        w.sign_done = !negative && f->fill && f->sign == KP_SIGN_NONE;
        w.brackets = f->brackets && (negative || !f->fill);
        w.sign_behind = f->sign == KP_SIGN_BEHIND || (f->sign && f->before == f->digits_before_sign);
    }
    w.count = f->before + f->after - 1;
    if (f->fill && f->point)
        w.last = last_shown(&w);
    w.count += !w.sign_done && w.blanks == 0;
    for (uint32_t i = 0; i < f->count; i++)
        write_part(&w, &f->parts[i]);
}

/* ---- the digits ---- */

static const char *roman_of(struct kp_call *call, int64_t number)
{
    static const struct {
        int value;
        const char *letters;
    } steps[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"},
                 {40, "XL"},  {10, "X"},   {9, "IX"},  {5, "V"},    {4, "IV"},  {1, "I"}};
    if (number < 1 || number > ROMAN_MAX)
        return "###############";
    char *text = kp_arena_calloc(call->arena, ROMAN_WIDTH + 1);
    for (size_t i = 0; i < KP_COUNT(steps); i++)
        for (; number >= steps[i].value; number -= steps[i].value)
            strcat(text, steps[i].letters);
    return text;
}

/* What stands for a number that is none, or too long: hashes around a point. */
static const char *hashes(struct kp_call *call, const struct kp_number_format *f)
{
    size_t len = (size_t)f->before + (size_t)f->after + 1;
    char *text = kp_arena_alloc(call->arena, len + 1);
    memset(text, '#', len);
    text[f->before] = '.';
    text[len] = '\0';
    return text;
}

/* d.ddde+nn. A numeric that rounds up past its first digit is written as 10, as PostgreSQL does. */
static void append_exponent(struct kp_call *call, const struct kp_number_format *f, const struct kp_numeric *n,
                            struct kp_buf *out)
{
    struct kp_numeric absolute = kp_numeric_abs(n, call->arena);
    struct kp_buf text = {0};
    size_t wanted = (size_t)f->after + 1, have = 0;
    char *digits = kp_arena_alloc(call->arena, wanted + 2);
    int exponent = 0, places = 0; /* places before the point, from the first digit that is not 0 */
    bool point = false, up = false;
    kp_numeric_print(&absolute, &text);
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i];
        point |= c == '.';
        if (c == '.' || (c == '0' && !have)) {
            places -= point && c == '0';
            continue;
        }
        if (have < wanted)
            digits[1 + have] = c;
        else if (have == wanted)
            up = c >= '5';
        places += !point;
        have++;
    }
    kp_buf_finish(&text);
    exponent = have ? places - 1 : 0;
    for (; have < wanted; have++)
        digits[1 + have] = '0';
    digits[0] = '0';
    for (size_t i = wanted; up; i--) {
        up = digits[i] == '9';
        digits[i] = up ? '0' : (char)(digits[i] + 1);
    }
    kp_buf_append_byte(out, kp_numeric_sign(n) < 0 ? '-' : ' ');
    if (digits[0] != '0')
        kp_buf_append_byte(out, (uint8_t)digits[0]);
    kp_buf_append_byte(out, (uint8_t)digits[1]);
    if (f->after) {
        kp_buf_append_byte(out, '.');
        kp_buf_append(out, digits + 2, wanted - 1);
    }
    kp_buf_printf(out, "e%+03d", exponent);
}

static void append_no_exponent(const struct kp_number_format *f, struct kp_buf *out)
{
    for (int i = 0; i < f->before + f->after + 6; i++)
        kp_buf_append_byte(out, i == 0 ? ' ' : i == f->before + 1 ? '.' : '#');
}

/* The digits, hashes if there are too many, into the template. */
static void write_digits(struct kp_call *call, uint32_t row, const struct kp_number_format *f, const char *text,
                         struct kp_buf *out)
{
    bool negative = text[0] == '-';
    text += negative;
    const char *point = strchr(text, '.');
    int before = (int)(point ? (size_t)(point - text) : strlen(text));
    if (before > f->before)
        text = hashes(call, f);
    write_number(call, row, f, text, negative, KP_MAX(f->before - before, 0), out);
}

static void write_numeric(struct kp_call *call, uint32_t row, struct kp_number_format *f,
                          const struct kp_numeric *given, struct kp_buf *out)
{
    struct kp_numeric n = *given, ten = kp_numeric_small(10, 0);
    struct kp_error err;
    if (f->exponent) {
        if (kp_numeric_is_finite(&n))
            append_exponent(call, f, &n, out);
        else
            append_no_exponent(f, out);
        return;
    }
    enum kp_code code = KP_OK;
    for (int i = 0; i < f->times && code == KP_OK; i++)
        code = kp_numeric_mul(&n, &ten, call->arena, &n, &err);
    if (code == KP_OK)
        code = kp_numeric_round(&n, f->after, KP_ROUND_HALF_AWAY, call->arena, &n, &err);
    if (code != KP_OK) {
        kp_call_fail(call, row, err.sqlstate, "%s", err.message);
        return;
    }
    struct kp_buf text = {0};
    f->before += f->times;
    kp_numeric_print(&n, &text);
    kp_buf_append_byte(&text, 0);
    write_digits(call, row, f, (const char *)text.data, out);
    kp_buf_finish(&text);
}

/* Floats are written by their binary value, with no more decimals than the type has digits. single: a float4. */
static void write_float(struct kp_call *call, uint32_t row, struct kp_number_format *f, double value, bool single,
                        struct kp_buf *out)
{
    int precision = single ? FLT_DIG : DBL_DIG;
    if (f->exponent && !isfinite(value)) {
        append_no_exponent(f, out);
        return;
    }
    if (f->exponent) {
        char sign = signbit(value) ? '-' : ' ';
        kp_buf_printf(out, "%c%.*e", sign, f->after, fabs(value));
        return;
    }
    value = single ? (double)((float)value * (float)pow(10, f->times)) : value * pow(10, f->times);
    const char *word = isnan(value) ? "NaN" : isinf(value) ? "Infinity" : NULL;
    int length = word ? (int)strlen(word) : snprintf(NULL, 0, "%.0f", fabs(value));
    if (length >= precision) /* words count as their letters */
        f->after = 0;
    else if (length + f->after > precision)
        f->after = precision - length;
    f->before += f->times;
    const char *text = word ? kp_arena_printf(call->arena, "%s%s", isinf(value) && value < 0 ? "-" : "", word)
                            : kp_arena_printf(call->arena, "%.*f", f->after, value);
    write_digits(call, row, f, text, out);
}

/* As Roman numerals; false: no integer. */
static bool write_roman(struct kp_call *call, uint32_t row, const struct kp_number_format *f, enum kp_type_id type,
                        const void *value, struct kp_buf *out)
{
    int64_t number;
    struct kp_error err;
    switch (type) {
    case KP_INT4:
        number = *(const int32_t *)value;
        break;
    case KP_INT8:
        number = *(const int64_t *)value;
        if (number != (int32_t)number) {
            kp_call_fail(call, row, "22003", "integer out of range");
            return false;
        }
        break;
    case KP_FLOAT4:
    case KP_FLOAT8: {
        double real = rint(type == KP_FLOAT4 ? (double)*(const float *)value : *(const double *)value);
        number = real >= 1 && real <= ROMAN_MAX ? (int64_t)real : 0;
        break;
    }
    default: {
        const struct kp_numeric *n = value;
        if (kp_numeric_to_int(n, KP_INT4, &number, &err) != KP_OK) {
            kp_call_fail(call, row, err.sqlstate, "%s", err.message);
            return false;
        }
    }
    }
    struct kp_number_format bare = {.parts = f->parts, .count = f->count, .fill = f->fill, .roman = true};
    write_number(call, row, &bare, roman_of(call, number), false, 0, out);
    return true;
}

static void write_int(struct kp_call *call, uint32_t row, struct kp_number_format *f, int64_t value, bool small,
                      struct kp_buf *out)
{
    struct kp_numeric n = kp_numeric_from_i64(value, call->arena);
    __int128 product = value;
    for (int i = 0; i < f->times && product <= INT64_MAX && product >= INT64_MIN; i++)
        product *= 10;
    if (small ? product != (int32_t)product : product != (int64_t)product)
        kp_call_fail(call, row, "22003", small ? "integer out of range" : "bigint out of range");
    else if (f->exponent && small)
        write_float(call, row, f, (double)value, false, out);
    else
        write_numeric(call, row, f, &n, out);
}

static void write_value(struct kp_call *call, uint32_t row, struct kp_number_format f, enum kp_type_id type,
                        const void *value, struct kp_buf *out)
{
    if (f.roman) {
        write_roman(call, row, &f, type, value, out);
        return;
    }
    switch (type) {
    case KP_INT4:
        write_int(call, row, &f, *(const int32_t *)value, true, out);
        break;
    case KP_INT8:
        write_int(call, row, &f, *(const int64_t *)value, false, out);
        break;
    case KP_FLOAT4:
        write_float(call, row, &f, (double)*(const float *)value, true, out);
        break;
    case KP_FLOAT8:
        write_float(call, row, &f, *(const double *)value, false, out);
        break;
    default:
        write_numeric(call, row, &f, value, out);
    }
}

static void to_char(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    bool read = false, good = false;
    struct kp_number_format format = {0};
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        to[i] = kp_text_make("", 0);
        if (kp_vec_is_null(out, i))
            continue;
        struct kp_str text = kp_text_str(&FN_AT(struct kp_text, 1, i));
        if (!args[1]->constant || !read || !good)
            good = kp_number_format_read(call, i, text, &format);
        read = true;
        buf.len = 0;
        if (good)
            write_value(call, i, format, args[0]->type.id, kp_vec_at(args[0], i), &buf);
        to[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

#define TO_CHAR(type)                                                                                                  \
    FN_BINARY("to_char", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, type, KP_TEXT, KP_TEXT, to_char, "formatted")

static const struct kp_func funcs[] = {
    TO_CHAR(KP_INT4), TO_CHAR(KP_INT8), TO_CHAR(KP_FLOAT4), TO_CHAR(KP_FLOAT8), TO_CHAR(KP_NUMERIC),
};
KP_FUNCTIONS(number_format, funcs);
