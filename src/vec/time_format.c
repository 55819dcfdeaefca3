/* Reading of templates of times. */
#include "vec/time_format.h"

#include <ctype.h>

const char *const kp_month_names[12] = {"January", "February", "March",     "April",   "May",      "June",
                                        "July",    "August",   "September", "October", "November", "December"};
const char *const kp_day_names[7] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
const char *const kp_month_romans[12] = {"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"};

#define ANY  KP_CALENDAR_ANY
#define GREG KP_CALENDAR_GREGORIAN
#define ISO  KP_CALENDAR_ISO_WEEK

/* In upper case; longer keywords before their beginnings. */
static const struct keyword {
    const char *text;
    enum kp_time_key key;
    enum kp_time_calendar calendar;
    bool digits, capital; /* capital: there is a third form, "Month" */
} keywords[] = {
    {"A.D.", KP_KEY_AD_DOTS, ANY, false, false}, {"B.C.", KP_KEY_AD_DOTS, ANY, false, false},
    {"A.M.", KP_KEY_AM_DOTS, ANY, false, false}, {"P.M.", KP_KEY_AM_DOTS, ANY, false, false},
    {"AD", KP_KEY_AD, ANY, false, false},        {"BC", KP_KEY_AD, ANY, false, false},
    {"AM", KP_KEY_AM, ANY, false, false},        {"PM", KP_KEY_AM, ANY, false, false},
    {"CC", KP_KEY_CC, ANY, true, false},         {"DAY", KP_KEY_DAY, ANY, false, true},
    {"DDD", KP_KEY_DDD, GREG, true, false},      {"DD", KP_KEY_DD, GREG, true, false},
    {"DY", KP_KEY_DY, ANY, false, true},         {"D", KP_KEY_D, GREG, true, false},
    {"FF1", KP_KEY_FF, ANY, true, false},        {"FF2", KP_KEY_FF, ANY, true, false},
    {"FF3", KP_KEY_FF, ANY, true, false},        {"FF4", KP_KEY_FF, ANY, true, false},
    {"FF5", KP_KEY_FF, ANY, true, false},        {"FF6", KP_KEY_FF, ANY, true, false},
    {"FX", KP_KEY_FX, ANY, false, false},        {"HH24", KP_KEY_HH24, ANY, true, false},
    {"HH12", KP_KEY_HH12, ANY, true, false},     {"HH", KP_KEY_HH12, ANY, true, false},
    {"IDDD", KP_KEY_IDDD, ISO, true, false},     {"ID", KP_KEY_ID, ISO, true, false},
    {"IW", KP_KEY_IW, ISO, true, false},         {"IYYY", KP_KEY_IYYY, ISO, true, false},
    {"IYY", KP_KEY_IYY, ISO, true, false},       {"IY", KP_KEY_IY, ISO, true, false},
    {"I", KP_KEY_I, ISO, true, false},           {"J", KP_KEY_J, ANY, true, false},
    {"MI", KP_KEY_MI, ANY, true, false},         {"MM", KP_KEY_MM, GREG, true, false},
    {"MONTH", KP_KEY_MONTH, GREG, false, true},  {"MON", KP_KEY_MON, GREG, false, true},
    {"MS", KP_KEY_MS, ANY, true, false},         {"OF", KP_KEY_OF, ANY, false, false},
    {"Q", KP_KEY_Q, ANY, true, false},           {"RM", KP_KEY_RM, GREG, false, false},
    {"SSSSS", KP_KEY_SSSS, ANY, true, false},    {"SSSS", KP_KEY_SSSS, ANY, true, false},
    {"SS", KP_KEY_SS, ANY, true, false},         {"TZH", KP_KEY_TZH, ANY, false, false},
    {"TZM", KP_KEY_TZM, ANY, true, false},       {"TZ", KP_KEY_TZ, ANY, false, false},
    {"US", KP_KEY_US, ANY, true, false},         {"WW", KP_KEY_WW, GREG, true, false},
    {"W", KP_KEY_W, GREG, true, false},          {"Y,YYY", KP_KEY_Y_YYY, GREG, true, false},
    {"YYYY", KP_KEY_YYYY, GREG, true, false},    {"YYY", KP_KEY_YYY, GREG, true, false},
    {"YY", KP_KEY_YY, GREG, true, false},        {"Y", KP_KEY_Y, GREG, true, false},
};

static bool starts(struct kp_str rest, const char *word, enum kp_time_letters letters)
{
    size_t len = strlen(word);
    if (rest.len < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool lower = letters == KP_LETTERS_LOWER || (letters == KP_LETTERS_CAPITAL && i > 0);
        if (rest.ptr[i] != (lower ? (char)tolower((unsigned char)word[i]) : word[i]))
            return false;
    }
    return true;
}

static bool any_starts(struct kp_str rest, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (starts(rest, words[i], KP_LETTERS_UPPER))
            return true;
    return false;
}

static const struct keyword *find_keyword(struct kp_str rest, enum kp_time_letters *ret_letters)
{
    for (size_t k = 0; k < KP_COUNT(keywords); k++)
        for (unsigned letters = KP_LETTERS_UPPER; letters <= KP_LETTERS_LOWER; letters++)
            if ((letters != KP_LETTERS_CAPITAL || keywords[k].capital) &&
                starts(rest, keywords[k].text, (enum kp_time_letters)letters)) {
                *ret_letters = (enum kp_time_letters)letters;
                return &keywords[k];
            }
    return NULL;
}

static size_t character_len(struct kp_str rest)
{
    size_t len = 1;
    while (len < rest.len && ((unsigned char)rest.ptr[len] & 0xc0) == 0x80)
        len++;
    return len;
}

static struct kp_str behind(struct kp_str text, size_t len)
{
    return (struct kp_str){text.ptr + len, text.len - len};
}

/* The keyword with what stands before and behind it; false: none is there, a prefix is passed all the same. */
static bool read_key(struct kp_str *rest, struct kp_time_piece *ret_piece)
{
    static const char *const prefixes[] = {"FM", "fm", "TM", "tm"}, *const ordinals[] = {"TH", "th"},
                             *const spelled[] = {"SP"};
    struct kp_time_piece piece = {.kind = KP_PIECE_KEY, .fill = true};
    bool translated = false;
    if (any_starts(*rest, prefixes, KP_COUNT(prefixes))) {
        translated = tolower((unsigned char)rest->ptr[0]) == 't'; /* in our locale: names without padding */
        piece.fill = translated;
        *rest = behind(*rest, 2);
    }
    const struct keyword *keyword = find_keyword(*rest, &piece.letters);
    if (!keyword)
        return false;
    piece.text = (struct kp_str){rest->ptr, strlen(keyword->text)};
    piece.key = keyword->key;
    piece.calendar = keyword->calendar;
    piece.digits = keyword->digits;
    piece.fill = piece.fill && !(translated && keyword->capital);
    *rest = behind(*rest, piece.text.len);
    if (any_starts(*rest, ordinals, KP_COUNT(ordinals))) {
        piece.ordinal = true;
        piece.ordinal_caps = rest->ptr[0] == 'T';
        *rest = behind(*rest, 2);
    } else if (any_starts(*rest, spelled, KP_COUNT(spelled))) {
        *rest = behind(*rest, 2);
    }
    *ret_piece = piece;
    return true;
}

static struct kp_time_piece text_piece(struct kp_str *rest, bool quoted)
{
    struct kp_time_piece piece = {.kind = KP_PIECE_TEXT, .text = {rest->ptr, character_len(*rest)}, .quoted = quoted};
    if (!quoted && kp_time_is_separator(rest->ptr[0]))
        piece.kind = KP_PIECE_SEPARATOR;
    else if (!quoted && isspace((unsigned char)rest->ptr[0]))
        piece.kind = KP_PIECE_SPACE;
    *rest = behind(*rest, piece.text.len);
    return piece;
}

void kp_time_format_read(struct kp_str text, struct kp_arena *arena, struct kp_time_format *ret_format)
{
    struct kp_time_format format = {kp_arena_alloc(arena, (text.len + 1) * sizeof *format.pieces), 0};
    while (text.len) {
        if (read_key(&text, &format.pieces[format.count])) {
            format.count++;
        } else if (text.len && text.ptr[0] == '"') {
            text = behind(text, 1);
            while (text.len && text.ptr[0] != '"') {
                if (text.ptr[0] == '\\' && text.len > 1)
                    text = behind(text, 1);
                format.pieces[format.count++] = text_piece(&text, true);
            }
            if (text.len)
                text = behind(text, 1);
        } else if (text.len) {
            if (text.len > 1 && text.ptr[0] == '\\' && text.ptr[1] == '"')
                text = behind(text, 1);
            format.pieces[format.count++] = text_piece(&text, false);
        }
    }
    *ret_format = format;
}
