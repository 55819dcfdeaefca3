/*
 * to_char of numbers.
 *
 * A template is digits (9, 0), a point (. or D), separators (, or G), signs (S, MI, PL, SG, PR), L, V, TH and text. The
 * number is written with as many decimals as the template has; its digits then fill the template from the left, blanks
 * standing where it has fewer. FM leaves blanks and needless zeros out. RN and EEEE are refused.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "vec/fn.h"

enum part {
    PART_TEXT,
    PART_9,
    PART_0,
    PART_POINT,
    PART_COMMA,
    PART_S,
    PART_MI,
    PART_PL,
    PART_SG,
    PART_L,
    PART_TH,
    PART_th
};

enum { PARTS_MAX = 256, DIGITS_MAX = 200 };

struct template
{
    uint8_t parts[PARTS_MAX];
    char texts[PARTS_MAX]; /* of PART_TEXT */
    unsigned count;
    int before, after, times; /* digits before and behind the point; V's */
    int zero_from;            /* the first digit that is 0, counted from 1; 0: none */
    bool fill, point, brackets, sign_before, sign_behind;
    const char *refused;
};

static void add_part(struct template *t, enum part part, char text)
{
    if (t->count == PARTS_MAX) {
        t->refused = "a template of so many parts";
        return;
    }
    t->texts[t->count] = text;
    t->parts[t->count++] = (uint8_t)part;
}

static void add_digit(struct template *t, bool zero, bool shifted)
{
    if (shifted)
        t->times++;
    else if (t->point)
        t->after++;
    else
        t->before++;
    if (zero && !t->zero_from && !t->point)
        t->zero_from = t->before + t->times;
    add_part(t, zero ? PART_0 : PART_9, 0);
}

static bool starts(struct kp_str rest, const char *word)
{
    return rest.len >= strlen(word) && strncasecmp(rest.ptr, word, strlen(word)) == 0;
}

static size_t read_quoted(struct kp_str rest, struct template *t)
{
    size_t at = 1;
    for (; at < rest.len && rest.ptr[at] != '"'; at++) {
        at += rest.ptr[at] == '\\' && at + 1 < rest.len;
        add_part(t, PART_TEXT, rest.ptr[at]);
    }
    return at < rest.len ? at + 1 : at;
}

static void read_template(struct kp_str format, struct template *ret)
{
    struct template t = {0};
    bool shifted = false;
    for (size_t i = 0; i < format.len;) {
        struct kp_str rest = {format.ptr + i, format.len - i};
        char c = (char)toupper((unsigned char)rest.ptr[0]);
        size_t len = 1;
        if (c == '"') {
            len = read_quoted(rest, &t);
        } else if (c == '9' || c == '0') {
            add_digit(&t, c == '0', shifted);
        } else if (c == '.' || c == 'D') {
            if (t.point)
                t.refused = "more than one decimal point";
            t.point = true;
            add_part(&t, PART_POINT, 0);
        } else if (c == ',' || c == 'G') {
            add_part(&t, PART_COMMA, 0);
        } else if (starts(rest, "FM")) {
            t.fill = true;
            len = 2;
        } else if (starts(rest, "MI") || starts(rest, "PL") || starts(rest, "SG")) {
            add_part(&t, c == 'M' ? PART_MI : c == 'P' ? PART_PL : PART_SG, 0);
            len = 2;
        } else if (starts(rest, "PR")) {
            t.brackets = true;
            len = 2;
        } else if (c == 'S') {
            if (t.before + t.after + t.times == 0)
                t.sign_before = true;
            else
                t.sign_behind = true;
        } else if (c == 'L') {
            add_part(&t, PART_L, 0);
        } else if (starts(rest, "TH")) {
            add_part(&t, rest.ptr[0] == 'T' ? PART_TH : PART_th, 0);
            len = 2;
        } else if (c == 'V') {
            shifted = true;
        } else if (starts(rest, "RN") || starts(rest, "EEEE")) {
            t.refused = c == 'R' ? "RN" : "EEEE";
        } else {
            add_part(&t, PART_TEXT, rest.ptr[0]);
        }
        i += len;
    }
    t.before += t.times;
    *ret = t;
}

/* ---- writing ---- */

struct writer {
    const struct template *t;
    struct kp_buf *out;
    const char *digits, *at, *last; /* last: of FM, the last decimal that is no needless zero */
    int blanks, place;              /* blanks before the digits; digit places done */
    bool negative, sign_done, begun, overflow;
};

static bool leading_zero_is_blank(const struct writer *w)
{
    return !w->t->zero_from && w->at == w->digits && w->digits[0] == '0' && w->t->after > 0;
}

static void write_sign(struct writer *w)
{
    const struct template *t = w->t;
    bool starts_here = w->place >= w->blanks || (t->zero_from && t->zero_from == w->place + 1);
    if (w->sign_done || !starts_here || (leading_zero_is_blank(w) && !(w->last && *w->last == '.')))
        return;
    bool other = false;
    for (unsigned i = 0; i < t->count; i++)
        other |= t->parts[i] == PART_MI || t->parts[i] == PART_SG; /* beside PL the sign is written too */
    if (t->sign_before)
        kp_buf_append_byte(w->out, w->negative ? '-' : '+');
    else if (t->brackets)
        kp_buf_append_text(w->out, w->negative ? "<" : t->fill ? "" : " ");
    else if (!t->sign_behind && !other)
        kp_buf_append_text(w->out, w->negative ? "-" : t->fill ? "" : " ");
    w->sign_done = true;
}

static void write_digit(struct writer *w, bool is_zero_part)
{
    const struct template *t = w->t;
    write_sign(w);
    if (w->place < w->blanks && (!t->zero_from || t->zero_from > w->place + 1)) {
        kp_buf_append_text(w->out, t->fill ? "" : " ");
    } else if (w->place < w->blanks) {
        kp_buf_append_byte(w->out, '0');
        w->begun = true;
    } else {
        if (w->last && w->at > w->last && !is_zero_part)
            ; /* a needless zero */
        else if (leading_zero_is_blank(w))
            kp_buf_append_text(w->out, !t->fill ? " " : w->last && *w->last == '.' ? "0" : "");
        else {
            if (*w->at)
                kp_buf_append_byte(w->out, (uint8_t)*w->at);
            w->begun = true;
        }
        if (*w->at)
            w->at++;
    }
    w->place++;
}

static void write_part(struct writer *w, enum part part, char text)
{
    const struct template *t = w->t;
    switch (part) {
    case PART_TEXT:
        kp_buf_append_byte(w->out, (uint8_t)text);
        break;
    case PART_9:
    case PART_0:
        write_digit(w, part == PART_0);
        break;
    case PART_POINT:
        write_sign(w);
        if (*w->at == '.')
            w->at++;
        kp_buf_append_byte(w->out, '.');
        w->begun = true;
        break;
    case PART_COMMA:
        kp_buf_append_text(w->out, w->begun ? "," : t->fill ? "" : " ");
        break;
    case PART_L:
        kp_buf_append_byte(w->out, ' ');
        break;
    case PART_MI:
        kp_buf_append_text(w->out, w->negative ? "-" : t->fill ? "" : " ");
        break;
    case PART_PL:
        kp_buf_append_text(w->out, !w->negative ? "+" : t->fill ? "" : " ");
        break;
    case PART_SG:
        kp_buf_append_byte(w->out, w->negative ? '-' : '+');
        break;
    case PART_TH:
    case PART_th:
        if (!w->negative && !t->point && !w->overflow) {
            size_t len = strlen(w->digits);
            char last = w->digits[len - 1], before = len > 1 ? w->digits[len - 2] : '0';
            const char *ending = before == '1' ? "TH"
                                 : last == '1' ? "ST"
                                 : last == '2' ? "ND"
                                 : last == '3' ? "RD"
                                               : "TH";
            for (; *ending; ending++)
                kp_buf_append_byte(w->out, (uint8_t)(part == PART_TH ? *ending : tolower(*ending)));
        }
        break;
    case PART_S:
        break;
    }
}

/* digits: "123.450" with the template's decimals, without sign. */
static void write_number(const struct template *t, const char *digits, bool negative, struct kp_buf *out)
{
    char hashes[2 * PARTS_MAX];
    struct writer w = {.t = t, .out = out, .digits = digits, .at = digits, .negative = negative};
    const char *point = strchr(digits, '.');
    int length = (int)(point ? point - digits : (ptrdiff_t)strlen(digits));
    if (length > t->before && !(length == 1 && digits[0] == '0' && t->after)) {
        int len = 0;
        for (int i = 0; i < t->before; i++)
            hashes[len++] = '#';
        if (t->point)
            hashes[len++] = '.';
        for (int i = 0; i < t->after; i++)
            hashes[len++] = '#';
        hashes[len] = '\0';
        w.digits = w.at = hashes;
        w.overflow = true;
        length = t->before;
    }
    if (length > t->before)
        w.at = point, length = 0; /* a template without digits before the point */
    w.blanks = t->before - length;
    if (t->fill && t->point && !w.overflow) {
        w.last = digits + strlen(digits) - 1;
        while (w.last > digits && *w.last == '0' && point && w.last > point)
            w.last--;
    }
    for (unsigned i = 0; i < t->count; i++)
        write_part(&w, t->parts[i], t->texts[i]);
    if (t->brackets)
        kp_buf_append_text(out, negative ? ">" : t->fill ? "" : " ");
    if (t->sign_behind && !t->sign_before)
        kp_buf_append_byte(out, negative ? '-' : '+');
}

static bool digits_of_numeric(struct kp_call *call, const struct template *t, const struct kp_numeric *given,
                              char *digits, size_t size, bool *ret_negative)
{
    struct kp_numeric n = *given, power = kp_numeric_small(1, 0), ten = kp_numeric_small(10, 0);
    struct kp_buf text = {0};
    for (int i = 0; i < t->times; i++)
        if (kp_numeric_mul(&power, &ten, call->arena, &power, NULL) != KP_OK)
            return false;
    if (!kp_numeric_is_finite(&n) || kp_numeric_mul(&n, &power, call->arena, &n, NULL) != KP_OK ||
        kp_numeric_round(&n, t->after, KP_ROUND_HALF_AWAY, call->arena, &n, NULL) != KP_OK)
        return false;
    *ret_negative = kp_numeric_sign(&n) < 0;
    n = kp_numeric_abs(&n, call->arena);
    kp_numeric_print(&n, &text);
    bool fits = text.len < size;
    if (fits) {
        memcpy(digits, text.data, text.len);
        digits[text.len] = '\0';
    }
    kp_buf_finish(&text);
    return fits;
}

static bool to_numeric(struct kp_call *call, const struct kp_vec *vec, uint32_t row, struct kp_numeric *ret_n)
{
    const void *value = kp_vec_at(vec, row);
    switch (vec->type.id) {
    case KP_INT4:
        *ret_n = kp_numeric_from_i64(*(const int32_t *)value, call->arena);
        break;
    case KP_INT8:
        *ret_n = kp_numeric_from_i64(*(const int64_t *)value, call->arena);
        break;
    default:
        *ret_n = *(const struct kp_numeric *)value;
    }
    return kp_numeric_is_finite(ret_n);
}

/* Floats are written by their binary value, with no more decimals than the type has digits. */
static bool digits_of_float(struct template *t, double value, int precision, char *digits, size_t size,
                            bool *ret_negative)
{
    for (int i = 0; i < t->times; i++)
        value *= 10;
    int length = snprintf(digits, size, "%.0f", fabs(value));
    if (length >= precision)
        t->after = 0;
    else if (length + t->after > precision)
        t->after = precision - length;
    *ret_negative = value < 0;
    return snprintf(digits, size, "%.*f", t->after, fabs(value)) < (int)size;
}

/* The number's digits; false: too long, or no number. */
static bool digits_of(struct kp_call *call, struct template *t, const struct kp_vec *vec, uint32_t row, char *digits,
                      size_t size, bool *ret_negative)
{
    struct kp_numeric n;
    double value;
    switch (vec->type.id) {
    case KP_FLOAT4:
        value = (double)*(const float *)kp_vec_at(vec, row);
        return isfinite(value) && digits_of_float(t, value, 6, digits, size, ret_negative);
    case KP_FLOAT8:
        value = *(const double *)kp_vec_at(vec, row);
        return isfinite(value) && digits_of_float(t, value, 15, digits, size, ret_negative);
    default:
        return to_numeric(call, vec, row, &n) && digits_of_numeric(call, t, &n, digits, size, ret_negative);
    }
}

static void to_char(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct template t;
        char digits[DIGITS_MAX + PARTS_MAX];
        bool negative = false;
        buf.len = 0;
        ((struct kp_text *)out->data)[i] = kp_text_make("", 0);
        if (kp_vec_is_null(out, i))
            continue;
        read_template(kp_text_str(&FN_AT(struct kp_text, 1, i)), &t);
        if (t.refused)
            kp_call_fail(call, i, "0A000", "to_char: %s is not supported", t.refused);
        else if (!digits_of(call, &t, args[0], i, digits, sizeof digits, &negative))
            kp_call_fail(call, i, "0A000", "to_char of NaN, infinities and very long numbers is not supported");
        else
            write_number(&t, digits, negative, &buf);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

#define TO_CHAR(type)                                                                                                  \
    FN_BINARY("to_char", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, type, KP_TEXT, KP_TEXT, to_char, "formatted")

static const struct kp_func funcs[] = {
    TO_CHAR(KP_INT4), TO_CHAR(KP_INT8), TO_CHAR(KP_FLOAT4), TO_CHAR(KP_FLOAT8), TO_CHAR(KP_NUMERIC),
};
KP_FUNCTIONS(number_format, funcs);
