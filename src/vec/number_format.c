/* Reading of templates of numbers. */
#include "vec/number_format.h"

#include <ctype.h>

struct state {
    struct kp_call *call;
    uint32_t row;
    struct kp_number_format f;
};

static bool fail(struct state *s, const char *message)
{
    kp_call_fail(s->call, s->row, "42601", "%s", message);
    return false;
}

static bool add_digit(struct state *s, bool zero)
{
    struct kp_number_format *f = &s->f;
    if (f->brackets)
        return fail(s, zero ? "\"0\" must be ahead of \"PR\"" : "\"9\" must be ahead of \"PR\"");
    if (f->multiplies && !zero) {
        f->times++;
        return true;
    }
    if (zero && !f->zero_from && !f->point)
        f->zero_from = f->before + 1;
    if (f->point)
        f->after++;
    else
        f->before++;
    if (zero)
        f->zero_to = f->before + f->after;
    return true;
}

static bool add_point(struct state *s)
{
    if (s->f.point)
        return fail(s, "multiple decimal points");
    if (s->f.multiplies)
        return fail(s, "cannot use \"V\" and decimal point together");
    s->f.point = true;
    return true;
}

static bool add_s(struct state *s)
{
    struct kp_number_format *f = &s->f;
    if (f->sign != KP_SIGN_NONE)
        return fail(s, "cannot use \"S\" twice");
    if (f->plus || f->minus || f->brackets)
        return fail(s, "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
    f->sign = f->point ? KP_SIGN_BEHIND : KP_SIGN_BEFORE;
    f->digits_before_sign = f->before;
    return true;
}

static bool add_sign(struct state *s, const char *name, bool minus, bool plus)
{
    if (s->f.sign != KP_SIGN_NONE) {
        kp_call_fail(s->call, s->row, "42601", "cannot use \"S\" and \"%s\" together", name);
        return false;
    }
    s->f.minus |= minus;
    s->f.plus |= plus;
    return true;
}

static bool add_brackets(struct state *s)
{
    if (s->f.sign != KP_SIGN_NONE || s->f.plus || s->f.minus)
        return fail(s, "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
    s->f.brackets = true;
    return true;
}

static bool add_exponent(struct state *s)
{
    const struct kp_number_format *f = &s->f;
    if (f->fill || f->sign != KP_SIGN_NONE || f->brackets || f->minus || f->plus || f->roman || f->multiplies)
        return fail(s, "\"EEEE\" is incompatible with other formats");
    s->f.exponent = true;
    return true;
}

static bool add_v(struct state *s)
{
    if (s->f.point)
        return fail(s, "cannot use \"V\" and decimal point together");
    s->f.multiplies = true;
    return true;
}

enum word { WORD_EEEE, WORD_FM, WORD_MI, WORD_PL, WORD_PR, WORD_RN, WORD_SG, WORD_SP, WORD_TH, WORDS };

static const char *const words[WORDS] = {"EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH"};

static bool starts(struct kp_str rest, const char *word)
{
    size_t len = strlen(word);
    bool upper = true, lower = true;
    if (rest.len < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        upper &= rest.ptr[i] == word[i];
        lower &= rest.ptr[i] == (char)tolower((unsigned char)word[i]);
    }
    return upper || lower;
}

static bool add_word(struct state *s, enum word word, struct kp_number_part *part)
{
    switch (word) {
    case WORD_EEEE:
        return add_exponent(s);
    case WORD_FM:
        s->f.fill = true;
        return true;
    case WORD_MI:
        part->kind = KP_PART_MI;
        return add_sign(s, "MI", true, false);
    case WORD_PL:
        part->kind = KP_PART_PL;
        return add_sign(s, "PL", false, true);
    case WORD_SG:
        part->kind = KP_PART_SG;
        return add_sign(s, "SG", true, true);
    case WORD_PR:
        return add_brackets(s);
    case WORD_RN:
        part->kind = KP_PART_RN;
        s->f.roman = true;
        return true;
    case WORD_TH:
        part->kind = KP_PART_TH;
        return true;
    default:
        return true;
    }
}

static bool add_letter(struct state *s, char letter, struct kp_number_part *part)
{
    switch (letter) {
    case '9':
    case '0':
        part->kind = letter == '9' ? KP_PART_9 : KP_PART_0;
        return add_digit(s, letter == '0');
    case '.':
    case 'D':
        part->kind = KP_PART_POINT;
        return add_point(s);
    case ',':
    case 'G':
        part->kind = KP_PART_COMMA;
        return true;
    case 'S':
        return add_s(s);
    case 'L':
        part->kind = KP_PART_L;
        return true;
    case 'V':
        return add_v(s);
    default: /* B, C */
        return true;
    }
}

static size_t character_len(struct kp_str rest)
{
    size_t len = 1;
    while (len < rest.len && ((unsigned char)rest.ptr[len] & 0xc0) == 0x80)
        len++;
    return len;
}

static void add_text(struct state *s, struct kp_str *rest)
{
    size_t len = character_len(*rest);
    s->f.parts[s->f.count++] = (struct kp_number_part){.kind = KP_PART_TEXT, .text = {rest->ptr, len}};
    *rest = (struct kp_str){rest->ptr + len, rest->len - len};
}

/* The keyword at the beginning of the rest: its length, 0 if there is none. */
static size_t find_keyword(struct kp_str rest, enum word *ret_word)
{
    *ret_word = WORDS;
    for (size_t w = 0; w < WORDS; w++)
        if (starts(rest, words[w])) {
            *ret_word = (enum word)w;
            return strlen(words[w]);
        }
    return strchr("90.,DGSLVBC", toupper((unsigned char)rest.ptr[0])) ? 1 : 0;
}

static bool add_keyword(struct state *s, struct kp_str *rest, bool *ret_found)
{
    struct kp_number_part part = {.kind = KP_PART_OTHER, .lower = rest->ptr[0] >= 'a'};
    enum word word;
    size_t len = find_keyword(*rest, &word);
    *ret_found = len > 0;
    if (!len)
        return true;
    if (s->f.exponent)
        return fail(s, word == WORD_EEEE ? "cannot use \"EEEE\" twice" : "\"EEEE\" must be the last pattern used");
    bool good =
        word < WORDS ? add_word(s, word, &part) : add_letter(s, (char)toupper((unsigned char)rest->ptr[0]), &part);
    s->f.parts[s->f.count++] = part;
    *rest = (struct kp_str){rest->ptr + len, rest->len - len};
    return good;
}

bool kp_number_format_read(struct kp_call *call, uint32_t row, struct kp_str text, struct kp_number_format *ret_format)
{
    struct state s = {.call = call, .row = row};
    s.f.parts = kp_arena_alloc(call->arena, (text.len + 1) * sizeof *s.f.parts);
    while (text.len) {
        bool found;
        if (!add_keyword(&s, &text, &found))
            return false;
        if (found)
            continue;
        if (text.ptr[0] == '"') {
            text = (struct kp_str){text.ptr + 1, text.len - 1};
            while (text.len && text.ptr[0] != '"') {
                if (text.ptr[0] == '\\' && text.len > 1)
                    text = (struct kp_str){text.ptr + 1, text.len - 1};
                add_text(&s, &text);
            }
            if (text.len)
                text = (struct kp_str){text.ptr + 1, text.len - 1};
        } else {
            if (text.len > 1 && text.ptr[0] == '\\' && text.ptr[1] == '"')
                text = (struct kp_str){text.ptr + 1, text.len - 1};
            add_text(&s, &text);
        }
    }
    *ret_format = s.f;
    return true;
}
