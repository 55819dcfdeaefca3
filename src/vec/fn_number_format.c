/*
 * to_char of numbers, and to_number.
 *
 * A template is digits (9, 0), a point (. or D), separators (, or G), signs (S, MI, PL, SG, PR), L, V, TH and text. The
 * number is written with as many decimals as the template has; its digits then fill the template from the left, blanks
 * standing where it has fewer. FM leaves blanks and needless zeros out. RN and EEEE are refused.
 */
#include <ctype.h>
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

static void add_digit(struct template *t, bool zero, bool *shifted)
{
    if (*shifted)
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
            add_digit(&t, c == '0', &shifted);
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
    case KP_FLOAT4:
        *ret_n = kp_numeric_from_f32(*(const float *)value, call->arena);
        break;
    case KP_FLOAT8:
        *ret_n = kp_numeric_from_f64(*(const double *)value, call->arena);
        break;
    default:
        *ret_n = *(const struct kp_numeric *)value;
    }
    return kp_numeric_is_finite(ret_n);
}

static void to_char(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct template t;
        struct kp_numeric n;
        char digits[DIGITS_MAX + PARTS_MAX];
        bool negative = false;
        buf.len = 0;
        ((struct kp_text *)out->data)[i] = kp_text_make("", 0);
        if (kp_vec_is_null(out, i))
            continue;
        read_template(kp_text_str(&FN_AT(struct kp_text, 1, i)), &t);
        if (t.refused)
            kp_call_fail(call, i, "0A000", "to_char: %s is not supported", t.refused);
        else if (!to_numeric(call, args[0], i, &n))
            kp_call_fail(call, i, "0A000", "to_char of NaN and infinities is not supported");
        else if (!digits_of_numeric(call, &t, &n, digits, sizeof digits, &negative))
            kp_call_fail(call, i, "0A000", "to_char of so long a number is not supported");
        else
            write_number(&t, digits, negative, &buf);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* ---- to_number ---- */

/* What the template passes over is no part of the number: separators, currency, text. */
static void gather_number(const struct template *t, struct kp_str text, struct kp_buf *out)
{
    bool negative = false, point = false;
    size_t at = 0;
    while (at < text.len && text.ptr[at] == ' ')
        at++;
    if (at < text.len && text.ptr[at] == '<')
        negative = true, at++;
    int digits = 0, most = t->before + t->after;
    kp_buf_append_byte(out, ' ');
    for (; at < text.len && digits <= most; at++) {
        char c = text.ptr[at];
        if (c == '-')
            negative = true;
        else if (c >= '0' && c <= '9' && digits < most) {
            kp_buf_append_byte(out, (uint8_t)c);
            digits++;
        } else if (c == '.' && !point && t->point) {
            point = true;
            kp_buf_append_byte(out, '.');
            most = digits + t->after;
        }
    }
    out->data[0] = negative ? '-' : '+';
}

static void to_number(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    struct kp_numeric *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct template t;
        struct kp_error err;
        buf.len = 0;
        to[i] = kp_numeric_small(0, 0);
        if (kp_vec_is_null(out, i))
            continue;
        read_template(kp_text_str(&FN_AT(struct kp_text, 1, i)), &t);
        gather_number(&t, kp_text_str(&FN_AT(struct kp_text, 0, i)), &buf);
        struct kp_numeric n;
        if (t.refused || t.times)
            kp_call_fail(call, i, "0A000", "to_number: %s is not supported", t.refused ? t.refused : "V");
        else if (kp_numeric_parse((struct kp_str){(const char *)buf.data, buf.len}, call->arena, &n, &err) != KP_OK ||
                 kp_numeric_round(&n, t.after, KP_ROUND_HALF_AWAY, call->arena, &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
    kp_buf_finish(&buf);
}

#define TO_CHAR(type)                                                                                                  \
    FN_BINARY("to_char", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, type, KP_TEXT, KP_TEXT, to_char, "formatted")

static const struct kp_func funcs[] = {
    TO_CHAR(KP_INT4),
    TO_CHAR(KP_INT8),
    TO_CHAR(KP_FLOAT4),
    TO_CHAR(KP_FLOAT8),
    TO_CHAR(KP_NUMERIC),
    FN_BINARY("to_number", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_NUMERIC, to_number,
              "the number that a text in a format says"),
};
KP_FUNCTIONS(number_format, funcs);
