/*
 * to_number(text, template), by the templates of vec/number_format.h.
 *
 * The text is walked along the template: a 9 or 0 takes a digit, the point, and the sign before the first or behind the
 * last of them; separators and signs are passed where they are; any other character of the template takes one of the
 * text, whatever it is. What has been gathered is read as a number; V divides it.
 */
#include <ctype.h>

#include "vec/fn.h"
#include "vec/number_format.h"

struct reader {
    const struct kp_number_format *f;
    const char *at, *end;
    struct kp_buf digits;
    char sign; /* ' ': none yet */
    int before, after;
    bool point;
};

static void skip_character(struct reader *r)
{
    r->at++;
    while (r->at < r->end && ((unsigned char)*r->at & 0xc0) == 0x80)
        r->at++;
}

/* Passes up to n characters that are no part of a number. */
static void skip_other(struct reader *r, int n)
{
    while (n-- > 0 && r->at < r->end && !strchr("0123456789.,+-", *r->at))
        skip_character(r);
}

static bool is_sign(char c)
{
    return c == '-' || c == '+';
}

static void sign_before(struct reader *r)
{
    bool bracket = r->f->sign != KP_SIGN_BEFORE && r->f->brackets && *r->at == '<';
    if (is_sign(*r->at) || bracket)
        r->sign = *r->at++ == '+' ? '+' : '-';
}

/* The sign that an S, MI, PL or SG behind the digits means, where the text has fewer digits than the template. */
static void sign_behind(struct reader *r, bool taken)
{
    const struct kp_number_format *f = r->f;
    if (f->sign != KP_SIGN_NONE) {
        if (taken && r->at + 1 < r->end && is_sign(r->at[1]))
            r->sign = *++r->at;
    } else if (!taken && (f->plus || f->minus) && is_sign(*r->at)) {
        r->sign = *r->at;
    }
}

/* A digit's place or the point's. The caller passes the character that was taken. */
static void take_place(struct reader *r, bool digit_part)
{
    bool taken = false;
    if (r->at < r->end && *r->at == ' ')
        r->at++;
    if (r->at < r->end && r->sign == ' ' && digit_part && r->before + r->after == 0)
        sign_before(r);
    if (r->at >= r->end)
        return;
    if (isdigit((unsigned char)*r->at)) {
        if (r->point && r->after == r->f->after)
            return;
        kp_buf_append_byte(&r->digits, (uint8_t)*r->at);
        r->before += !r->point;
        r->after += r->point;
        taken = true;
    } else if (r->f->point && !r->point && *r->at == '.') {
        kp_buf_append_byte(&r->digits, '.');
        r->point = taken = true;
    }
    if (r->sign == ' ' && r->before + r->after > 0)
        sign_behind(r, taken);
}

static void take_part(struct reader *r, const struct kp_number_part *part)
{

    switch (part->kind) {
    case KP_PART_TEXT:
        skip_character(r);
        return;
    case KP_PART_9:
    case KP_PART_0:
    case KP_PART_POINT:
        take_place(r, part->kind != KP_PART_POINT);
        break;
    case KP_PART_COMMA:
        if (r->f->fill || *r->at != ',')
            return;
        break;
    case KP_PART_L:
        skip_other(r, 1);
        return;
    case KP_PART_TH:
        skip_other(r, 2);
        return;
    case KP_PART_MI:
    case KP_PART_PL:
    case KP_PART_SG: {
        bool minus = *r->at == '-' && part->kind != KP_PART_PL, plus = *r->at == '+' && part->kind != KP_PART_MI;
        if (!minus && !plus) {
            skip_other(r, 1);
            return;
        }
        r->sign = *r->at;
        break;
    }
    default:
        return;
    }
    r->at++;
}

static enum kp_code read_number(struct kp_call *call, const struct kp_number_format *f, struct kp_str text,
                                struct kp_numeric *ret_n, struct kp_error *err)
{
    struct reader r = {.f = f, .at = text.ptr, .end = text.ptr + text.len, .sign = ' '};
    kp_buf_append_byte(&r.digits, ' ');
    for (uint32_t i = 0; i < f->count && r.at < r.end; i++)
        take_part(&r, &f->parts[i]);
    if (r.digits.data[r.digits.len - 1] == '.')
        r.digits.len--;
    r.digits.data[0] = (uint8_t)r.sign;
    enum kp_code code =
        kp_numeric_parse((struct kp_str){(const char *)r.digits.data, r.digits.len}, call->arena, ret_n, err);
    kp_buf_finish(&r.digits);
    if (code != KP_OK)
        return code;
    int32_t mod = (int32_t)((uint32_t)(f->before + f->times + r.after) << 16 | (uint32_t)r.after) + 4;
    KP_TRY(kp_numeric_apply_mod(ret_n, mod, call->arena, ret_n, err));
    if (!f->multiplies)
        return KP_OK;
    /* 10^-times has sixteen decimals, or as many as it takes */
    struct kp_numeric tenth = kp_numeric_small(1, 1), power = kp_numeric_small(1, 0);
    for (int i = 0; i < f->times; i++)
        KP_TRY(kp_numeric_mul(&power, &tenth, call->arena, &power, err));
    KP_TRY(kp_numeric_round(&power, KP_MAX(16, f->times), KP_ROUND_TRUNC, call->arena, &power, err));
    return kp_numeric_mul(ret_n, &power, call->arena, ret_n, err);
}

static void to_number(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool owned = false, read = false, good = false;
    struct kp_number_format format = {0};
    struct kp_numeric *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_error err;
        to[i] = kp_numeric_small(0, 0);
        if (kp_vec_is_null(out, i))
            continue;
        struct kp_str text = kp_text_str(&FN_AT(struct kp_text, 1, i));
        if (text.len == 0) {
            fn_set_null(call, out, i, &owned);
            continue;
        }
        if (!args[1]->constant || !read || !good)
            good = kp_number_format_read(call, i, text, &format);
        read = true;
        if (!good)
            continue;
        if (format.exponent || format.roman)
            kp_call_fail(call, i, "0A000", "\"%s\" not supported for input", format.exponent ? "EEEE" : "RN");
        else if (read_number(call, &format, kp_text_str(&FN_AT(struct kp_text, 0, i)), &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}

static const struct kp_func funcs[] = {
    FN_BINARY("to_number", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_NUMERIC, to_number,
              "read by a template"),
};
KP_FUNCTIONS(to_number, funcs);
