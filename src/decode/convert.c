/*
 * One value into one column: the conversions that every format and both paths of JSON share, so that a value means the
 * same whichever way it came.
 *
 * JSON to SQL: a string is read by the column type's input function (the common forms of integers and timestamps by
 * hand); a number goes to the number types (to integers only if it is whole) and as its text to text; true and false to
 * boolean and text; where the source says what they count, numbers to timestamps, too; anything to json, jsonb and text
 * as its JSON text; an array to arrays, item by item. Everything else is a wrong type: 22P02.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "decode/internal.h"
#include "vec/array.h"
#include "vec/composite.h"
#include "vec/datetime.h"
#include "vec/made.h"
#include "vec/jsonb.h"

enum { SHOWN_BYTES_MAX = 64 };

struct kp_str kp_decode_shown(struct kp_str text)
{
    size_t len = text.len;
    if (len > SHOWN_BYTES_MAX)
        for (len = SHOWN_BYTES_MAX; len && ((uint8_t)text.ptr[len] & 0xc0) == 0x80;)
            len--;
    return (struct kp_str){text.ptr, len};
}
static const char *shown_more(struct kp_str text)
{
    return text.len > SHOWN_BYTES_MAX ? "…" : "";
}

static enum kp_code fail_type(const struct kp_decode_column *column, const struct kp_json_value *value,
                              struct kp_error *err)
{
    static const char *const kinds[] = {"null", "boolean", "boolean", "number", "string", "object", "array"};
    kp_fail(err, KP_INVALID, "22P02", "a JSON %s cannot be %s: %.*s%s", kinds[value->kind],
            kp_type_info(column->type.id)->name, (int)kp_decode_shown(value->text).len, value->text.ptr,
            shown_more(value->text));
    if (value->kind == KP_JSON_NUMBER && column->conv == KP_CONV_TIMESTAMP)
        return kp_error_hint(err, "Declare the source WITH (epoch = 'milliseconds') if that is what numbers count.");
    return err ? err->code : KP_INVALID;
}

static enum kp_code fail_range(const struct kp_decode_column *column, struct kp_str text, struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22003", "value \"%.*s%s\" is out of range for type %s",
                   (int)kp_decode_shown(text).len, text.ptr, shown_more(text), kp_type_info(column->type.id)->name);
}

/* ---- timestamps ---- */

static bool two_digits(const uint8_t *p, unsigned *ret_value)
{
    unsigned tens = (unsigned)p[0] - '0', ones = (unsigned)p[1] - '0';
    *ret_value = tens * 10 + ones;
    return tens <= 9 && ones <= 9;
}

/* Days from 2000-01-01 of a day of the proleptic Gregorian calendar, years 1 and up. */
static int32_t days_from_civil(int32_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int32_t era = year / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + (int32_t)day_of_era - 730425; /* 2000-01-01 from 0000-03-01 */
}

bool kp_decode_minute_parse(struct kp_decode_minute *minute, const uint8_t *p)
{
    static const uint8_t month_days[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned century, year, month, day, hour, minutes;
    bool ok = two_digits(p, &century) & two_digits(p + 2, &year) & (p[4] == '-') & two_digits(p + 5, &month) &
              (p[7] == '-') & two_digits(p + 8, &day) & ((p[10] == ' ') | (p[10] == 'T')) & two_digits(p + 11, &hour) &
              (p[13] == ':') & two_digits(p + 14, &minutes);
    year += century * 100;
    if (!ok || year == 0 || month < 1 || month > 12 || day < 1 || day > month_days[month - 1] || hour > 23 ||
        minutes > 59)
        return false;
    if (month == 2 && day == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0)))
        return false;
    int64_t days = days_from_civil((int32_t)year, month, day);
    minute->us = ((days * 24 + (int32_t)hour) * 60 + (int32_t)minutes) * 60000000;
    memcpy(minute->text, p, sizeof minute->text);
    return true;
}

/* ---- numbers ---- */

/* The integer that a JSON number is, if it is whole: 12, -3, 1.0, 25e2. False: not whole; *ret_range: too large for 64
 * bits. */
static bool whole_number(struct kp_str text, int64_t *ret_value, bool *ret_range)
{
    const char *p = text.ptr, *end = p + text.len;
    bool negative = p < end && *p == '-';
    p += negative;
    char digits[40];
    size_t count = 0;
    long point = -1; /* digits before the point */
    bool dropped = false;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            point = (long)count;
        } else if (count > 0 || *p != '0' || point >= 0) {
            if (count < sizeof digits)
                digits[count++] = *p;
            else
                dropped = true;
        }
    }
    if (point < 0)
        point = (long)count;
    while (count > 0 && digits[count - 1] == '0' && (long)count > point)
        count--;
    long exponent = 0;
    if (p < end) {
        exponent = strtol(p + 1, NULL, 10);
        exponent = exponent > 100000 ? 100000 : exponent < -100000 ? -100000 : exponent;
    }
    size_t zeros = 0;
    while (zeros < count && digits[zeros] == '0')
        zeros++;
    *ret_range = false;
    *ret_value = 0;
    if (zeros == count && !dropped)
        return true;
    long whole = point + exponent; /* digits that the integer has */
    for (long i = (long)count; i > 0 && i > whole; i--)
        if (digits[i - 1] != '0')
            return false;
    if (dropped || whole - (long)zeros > 19) {
        *ret_range = true;
        return false;
    }
    uint64_t value = 0;
    for (long i = (long)zeros; i < whole; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(i < (long)count ? digits[i] - '0' : 0), &value)) {
            *ret_range = true;
            return false;
        }
    if (value > (uint64_t)INT64_MAX + negative) {
        *ret_range = true;
        return false;
    }
    *ret_value = (int64_t)(negative ? 0 - value : value);
    return true;
}

static bool store_integer(enum kp_decode_conv conv, int64_t value, void *slot)
{
    switch (conv) {
    case KP_CONV_INT2:
        if (value != (int16_t)value)
            return false;
        *(int16_t *)slot = (int16_t)value;
        return true;
    case KP_CONV_INT4:
        if (value != (int32_t)value)
            return false;
        *(int32_t *)slot = (int32_t)value;
        return true;
    default:
        *(int64_t *)slot = value;
        return true;
    }
}

/* -?digits of up to 18; the common string and number form of integers. */
static bool plain_integer(struct kp_str text, int64_t *ret_value)
{
    size_t at = text.len && text.ptr[0] == '-';
    if (text.len - at < 1 || text.len - at > 18)
        return false;
    int64_t value = 0;
    for (size_t i = at; i < text.len; i++) {
        unsigned digit = (unsigned)(uint8_t)text.ptr[i] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = at ? -value : value;
    return true;
}

/* Where a value goes: a column, or for a while an element of an array. */
struct target {
    const struct kp_decode_column *column;
    struct kp_decode_minute *minute;
    void *slot;
};

static struct target target_of(struct kp_decode_state *state, uint32_t index)
{
    return (struct target){&state->decoder->columns[index], &state->minutes[index], kp_decode_slot(state, index)};
}

static bool is_timestamp(const struct kp_decode_column *column)
{
    return column->type.id == KP_TIMESTAMP || column->type.id == KP_TIMESTAMPTZ;
}

/* False: the text is no number, so it is not meant as one. */
static bool convert_epoch(struct kp_decode_state *state, const struct target *target, struct kp_str number,
                          enum kp_code *ret_code, struct kp_error *err)
{
    int64_t *slot = target->slot;
    bool range;
    if (!kp_decode_epoch(state->decoder->epoch, number, slot, &range))
        return false;
    if (range)
        *ret_code = kp_fail(err, KP_INVALID, "22008", "timestamp out of range: %.*s%s",
                            (int)kp_decode_shown(number).len, number.ptr, shown_more(number));
    else
        *ret_code = kp_timestamp_apply_mod(*slot, target->column->type.mod, slot, err);
    return true;
}

static enum kp_code convert_number(struct kp_decode_state *state, const struct target *target,
                                   const struct kp_json_value *value, struct kp_error *err)
{
    const struct kp_decode_column *column = target->column;
    void *slot = target->slot;
    int64_t integer;
    bool range;
    switch (column->conv) {
    case KP_CONV_INT2:
    case KP_CONV_INT4:
    case KP_CONV_INT8:
        if (plain_integer(value->text, &integer))
            return store_integer(column->conv, integer, slot) ? KP_OK : fail_range(column, value->text, err);
        if (!whole_number(value->text, &integer, &range))
            return range ? fail_range(column, value->text, err) : fail_type(column, value, err);
        return store_integer(column->conv, integer, slot) ? KP_OK : fail_range(column, value->text, err);
    case KP_CONV_FLOAT4:
    case KP_CONV_FLOAT8:
    case KP_CONV_NUMERIC:
        return kp_value_parse(column->type, value->text, state->decoder->zone, state->arena, slot, err);
    default:
        if (state->decoder->epoch && is_timestamp(column)) {
            enum kp_code code;
            if (convert_epoch(state, target, value->text, &code, err))
                return code;
        }
        if (column->type.id == KP_NUMERIC || column->type.id == KP_OID)
            return kp_value_parse(column->type, value->text, state->decoder->zone, state->arena, slot, err);
        return fail_type(column, value, err);
    }
}

/* ---- strings and text ---- */

/* Text of valid UTF-8 without NUL, living as long as the arena. */
static enum kp_code convert_string(struct kp_decode_state *state, const struct target *target, struct kp_str text,
                                   struct kp_error *err)
{
    const struct kp_decode_column *column = target->column;
    void *slot = target->slot;
    int64_t integer;
    enum kp_code code;
    if (state->decoder->epoch && is_timestamp(column) && convert_epoch(state, target, text, &code, err))
        return code;
    switch (column->conv) {
    case KP_CONV_TEXT:
        *(struct kp_text *)slot = kp_text_make(text.ptr, text.len);
        return KP_OK;
    case KP_CONV_INT2:
    case KP_CONV_INT4:
    case KP_CONV_INT8:
        if (plain_integer(text, &integer))
            return store_integer(column->conv, integer, slot) ? KP_OK : fail_range(column, text, err);
        break;
    case KP_CONV_TIMESTAMP:
        if (text.len >= 19 && text.len <= 32) {
            uint8_t padded[KP_JSON_PADDING] = {0}; /* what follows the text may not be readable */
            memcpy(padded, text.ptr, text.len);
            if (kp_decode_timestamp(target->minute, column->type, padded, text.len, slot))
                return KP_OK;
        }
        break;
    default:
        break;
    }
    if (kp_type_is_enum(column->type.id) &&
        (kp_enum_find(column->type.id, text, slot) || kp_enum_find_former(column->type.id, text, -1, slot)))
        return KP_OK; /* records keep the label that was written before ALTER TYPE renamed it */
    return kp_value_parse(column->type, text, state->decoder->zone, state->arena, slot, err);
}

enum kp_code kp_decode_convert_text(struct kp_decode_state *state, uint32_t column, struct kp_str text,
                                    struct kp_error *err)
{
    if (state->decoder->format == KP_FORMAT_RAW && state->decoder->columns[column].type.id == KP_BYTEA) {
        *(struct kp_text *)kp_decode_slot(state, column) = kp_text_make(text.ptr, text.len);
        return KP_OK;
    }
    size_t valid = kp_utf8_valid_prefix(text.ptr, text.len);
    if (valid < text.len)
        return kp_fail(err, KP_INVALID, "22021", "invalid byte sequence for encoding \"UTF8\": 0x%02x at byte %zu",
                       (unsigned)(uint8_t)text.ptr[valid], valid + 1);
    const char *nul = text.len ? memchr(text.ptr, 0, text.len) : NULL;
    if (nul)
        return kp_fail(err, KP_INVALID, "22021", "invalid byte sequence for encoding \"UTF8\": 0x00 at byte %zu",
                       (size_t)(nul - text.ptr) + 1);
    struct target target = target_of(state, column);
    return convert_string(state, &target, text, err);
}

static enum kp_code convert_json_string(struct kp_decode_state *state, const struct target *target,
                                        const struct kp_json_value *value, struct kp_error *err)
{
    struct kp_str inside = {value->text.ptr + 1, value->text.len - 2};
    if (value->flags & KP_JSON_ESCAPED) {
        char *out = kp_arena_alloc(state->arena, inside.len);
        const char *why;
        if (!kp_json_unescape(inside, out, &inside.len, &why)) {
            kp_fail(err, KP_INVALID, "22P05", "unsupported Unicode escape sequence");
            return kp_error_detail(err, "%s.", why);
        }
        inside.ptr = out;
    }
    return convert_string(state, target, inside, err);
}

static enum kp_code convert(struct kp_decode_state *state, const struct target *target,
                            const struct kp_json_value *value, struct kp_error *err);

/* ---- arrays ---- */

struct nest {
    struct kp_decode_column element;
    struct kp_decode_minute minute;
    struct kp_array_builder builder;
    uint32_t dimensions;
    bool settled; /* an element was seen: there are no more levels */
    int32_t lengths[KP_ARRAY_DIMENSIONS_MAX];
};

static enum kp_code convert_element(struct kp_decode_state *state, struct nest *nest, struct kp_str item,
                                    struct kp_error *err)
{
    struct kp_json_value value = kp_json_value_of(item);
    uint64_t slot[2] = {0};
    bool json_null = state->decoder->format == KP_FORMAT_JSON && kp_type_is_json(nest->element.type.id);
    if (value.kind == KP_JSON_NULL && !json_null) {
        kp_array_add(&nest->builder, NULL);
        return KP_OK;
    }
    struct target target = {&nest->element, &nest->minute, slot};
    KP_TRY(convert(state, &target, &value, err));
    kp_array_add(&nest->builder, slot);
    return KP_OK;
}

/* The items of a JSON array at `level`: all of them arrays of one length, or all of them elements. */
static enum kp_code convert_level(struct kp_decode_state *state, const struct target *target, struct nest *nest,
                                  struct kp_str text, uint32_t level, struct kp_error *err)
{
    enum kp_type_id element = nest->element.type.id;
    bool json = kp_type_is_json(element); /* whose elements may be arrays themselves */
    if (level == KP_ARRAY_DIMENSIONS_MAX)
        return kp_fail(err, KP_INVALID, "54000", "number of array dimensions (%u) exceeds the maximum allowed (%d)",
                       level + 1, KP_ARRAY_DIMENSIONS_MAX);
    bool first = level == nest->dimensions && !nest->settled, ragged = level == nest->dimensions && nest->settled;
    if (first)
        nest->dimensions++;
    struct kp_jsonb_items items;
    struct kp_str key, item;
    int32_t length = 0;
    for (kp_jsonb_items_begin(&items, text); !ragged && kp_jsonb_items_next(&items, &key, &item); length++) {
        if (item.ptr[0] == '[' && !json) {
            KP_TRY(convert_level(state, target, nest, item, level + 1, err));
        } else {
            ragged = level + 1 != nest->dimensions;
            nest->settled = true;
            if (!ragged)
                KP_TRY(convert_element(state, nest, item, err));
        }
    }
    nest->settled |= length == 0;
    if (!first)
        ragged |= nest->lengths[level] != length;
    nest->lengths[level] = length;
    if (ragged)
        return kp_fail(err, KP_INVALID, "22P02", "a JSON array whose parts differ in length or depth cannot be %s",
                       kp_type_info(target->column->type.id)->name);
    return KP_OK;
}

static enum kp_code convert_array(struct kp_decode_state *state, const struct target *target, struct kp_str text,
                                  struct kp_error *err)
{
    static const int32_t ones[KP_ARRAY_DIMENSIONS_MAX] = {1, 1, 1, 1, 1, 1};
    struct kp_type type = kp_type_to_element(target->column->type);
    struct nest nest = {.element = {.name = target->column->name, .type = type, .conv = kp_decode_conv_of(type)},
                        .builder = {.element = type.id}};
    enum kp_code code = convert_level(state, target, &nest, text, 0, err);
    if (code == KP_OK)
        *(struct kp_text *)target->slot =
            kp_array_make_shaped(&nest.builder, nest.dimensions, nest.lengths, ones, state->arena);
    kp_array_builder_finish(&nest.builder);
    return code;
}

static enum kp_code convert(struct kp_decode_state *state, const struct target *target,
                            const struct kp_json_value *value, struct kp_error *err)
{
    const struct kp_decode_column *column = target->column;
    if (column->conv == KP_CONV_JSON) {
        *(struct kp_text *)target->slot = kp_text_make(value->text.ptr, value->text.len);
        return KP_OK;
    }
    if (column->type.id == KP_JSONB)
        return kp_value_parse(column->type, value->text, state->decoder->zone, state->arena, target->slot, err);
    if (value->kind == KP_JSON_STRING)
        return convert_json_string(state, target, value, err);
    enum kp_type_id id = column->type.id;
    if (id == KP_TEXT || id == KP_VARCHAR || id == KP_BPCHAR)
        return convert_string(state, target, value->text, err);
    if (value->kind == KP_JSON_NUMBER)
        return convert_number(state, target, value, err);
    if (value->kind == KP_JSON_ARRAY && kp_type_is_array(id))
        return convert_array(state, target, value->text, err);
    if (value->kind == KP_JSON_OBJECT && kp_type_is_composite(id)) {
        bool null;
        return kp_json_to_value(column->type, value->text, NULL, state->decoder->zone, state->arena, &null,
                                target->slot, err);
    }
    if (column->conv == KP_CONV_BOOL && (value->kind == KP_JSON_TRUE || value->kind == KP_JSON_FALSE)) {
        *(uint8_t *)target->slot = value->kind == KP_JSON_TRUE;
        return KP_OK;
    }
    return fail_type(column, value, err);
}

enum kp_code kp_decode_convert(struct kp_decode_state *state, uint32_t index, const struct kp_json_value *value,
                               struct kp_error *err)
{
    struct target target = target_of(state, index);
    return convert(state, &target, value, err);
}
