/*
 * The fast path of JSON: one pass over the text, guessing that members come in the order of the last record.
 *
 *   {"auction":1007,"bidder":1001,"price":8000, …
 *    ─────┬──── ─┬─
 *         │      └ read in place by the column's own loop, straight into the row's slot
 *         └ compared as 32 bytes, quotes and colon included, with the name that followed the last name last time
 *
 * Each object that holds something wanted has a table of the names met in it. Behind every name stands the index of the
 * name that came next the last time; when the bytes there are another's, the table is asked, and a new name is resolved
 * against the decoder's tree and learned. Whatever nobody wants is skipped, but strictly.
 *
 * Invariants:
 *   1. What it accepts the general path accepts, with the same values: all of the record is checked (grammar, escapes,
 *      UTF-8, control bytes). Anything unexpected – a repeated member, an escape in a name, a value that does not
 * convert, text that does not end where the record ends – gives KP_DECODED_UNSURE, never a verdict.
 *   2. Reading past the record's end into what follows it is harmless (KP_JSON_PADDING) and found at the next name or
 *      at the end, where the position must be exactly the record's end.
 */
#include "base/hash.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "decode/internal.h"

enum {
    NAMES_MAX = 128,     /* names learned per object; more are resolved every time */
    NAME_BYTES_MAX = 64, /* of a learned name, quotes and colon included */
    TABLE_SIZE = 256
};

enum action {
    ACTION_STOP, /* ask the general path: several columns at once, or a name that has no meaning yet */
    ACTION_SKIP,
    ACTION_OBJECT,
    ACTION_SLOW, /* a column, by kp_decode_convert */
    ACTION_INT2,
    ACTION_INT4,
    ACTION_INT8,
    ACTION_FLOAT8,
    ACTION_NUMERIC,
    ACTION_TEXT,
    ACTION_TIMESTAMP
};

struct name {
    uint8_t text[NAME_BYTES_MAX]; /* "name": */
    uint32_t mask;                /* of the first 32 bytes that count */
    uint8_t len, action;
    uint16_t next; /* the name that followed last time; 0: none yet */
    uint32_t column;
    struct object *child;
};

struct object {
    struct name names[NAMES_MAX]; /* [0] stands for none: it never matches */
    struct name spare;            /* for names that are not learned */
    uint32_t count;
    uint16_t first; /* the name that came first last time */
    bool path, row;
    uint64_t seen; /* the record in which it was last met */
    const struct kp_json_node *node;
    uint8_t table[TABLE_SIZE]; /* hash of the name to index in names; open addressing */
};

struct kp_json_fast {
    struct object *objects; /* by node id */
    uint64_t record;
    bool row; /* the object that makes the row was met */
};

struct kp_json_fast *kp_json_fast_create(const struct kp_decoder *decoder)
{
    struct kp_json_fast *fast = kp_calloc(1, sizeof *fast);
    fast->objects = kp_calloc(decoder->node_count, sizeof *fast->objects);
    for (uint32_t i = 0; i < decoder->node_count; i++) {
        struct object *object = &fast->objects[i];
        object->node = decoder->nodes[i];
        object->path = i < decoder->path_nodes;
        object->row = object->node->row;
        object->names[0].mask = UINT32_MAX; /* 32 zero bytes are no name */
        object->count = 1;
    }
    return fast;
}

void kp_json_fast_destroy(struct kp_json_fast *fast)
{
    if (!fast)
        return;
    kp_free(fast->objects);
    kp_free(fast);
}

/* ---- names ---- */

static inline bool name_matches(const struct name *name, const uint8_t *p)
{
#if defined(__AVX2__)
    __m256i equal =
        _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)name->text));
    uint32_t same = (uint32_t)_mm256_movemask_epi8(equal);
    if ((same & name->mask) != name->mask)
        return false;
    return name->len <= 32 || memcmp(p + 32, name->text + 32, (size_t)name->len - 32) == 0;
#else
    return name->len && memcmp(p, name->text, name->len) == 0;
#endif
}

static uint8_t action_of(const struct kp_decoder *decoder, uint32_t column)
{
    switch (decoder->columns[column].conv) {
    case KP_CONV_INT2:
        return ACTION_INT2;
    case KP_CONV_INT4:
        return ACTION_INT4;
    case KP_CONV_INT8:
        return ACTION_INT8;
    case KP_CONV_FLOAT8:
        return ACTION_FLOAT8;
    case KP_CONV_NUMERIC:
        return ACTION_NUMERIC;
    case KP_CONV_TEXT:
        return ACTION_TEXT;
    case KP_CONV_TIMESTAMP:
        return ACTION_TIMESTAMP;
    default:
        return ACTION_SLOW;
    }
}

/* Gives a name its meaning. len: with quotes, without colon. */
static void resolve_name(struct kp_decode_state *state, struct object *object, struct name *name, const uint8_t *p,
                         size_t len)
{
    bool exact;
    const struct kp_json_want *want =
        kp_json_node_find(object->node, (struct kp_str){(const char *)p + 1, len - 2}, &exact);
    name->next = 0;
    name->child = NULL;
    if (!want) {
        name->action = ACTION_SKIP;
    } else if (want->child && want->column_count == 0) {
        name->action = ACTION_OBJECT;
        name->child = &state->fast->objects[want->child->id];
    } else if (!want->child && want->column_count == 1) {
        name->column = want->columns[0];
        name->action = action_of(state->decoder, name->column);
    } else {
        name->action = ACTION_STOP;
    }
    name->len = 0;
    if (len < NAME_BYTES_MAX) {
        memcpy(name->text, p, len);
        name->text[len] = ':';
        name->len = (uint8_t)(len + 1);
        name->mask = len + 1 >= 32 ? UINT32_MAX : (1u << (len + 1)) - 1;
    }
}

static uint32_t name_hash(const uint8_t *p, size_t len)
{
    uint64_t head = kp_load_le64(p + 1);
    if (len < 10)
        head &= ((uint64_t)1 << (8 * (len - 2))) - 1;
    return (uint32_t)((head ^ len) * 0x9e3779b97f4a7c15u >> 56);
}

/*
 * The name at p, when it is not the guessed one; *ret_value is behind its colon. *link learns it as the next guess.
 * NULL: no plain name there.
 */
static struct name *look_up_name(struct kp_decode_state *state, struct object *object, const uint8_t *p,
                                 const uint8_t *end, uint16_t *link, const uint8_t **ret_value)
{
    unsigned flags;
    if (*p != '"')
        return NULL;
    const uint8_t *quote = kp_json_string_end(p + 1, end, &flags);
    if (!quote || quote >= end || (flags & KP_JSON_ESCAPED))
        return NULL;
    size_t len = (size_t)(quote - p) + 1;
    if ((flags & KP_JSON_WIDE) && !kp_utf8_valid((const char *)p, len))
        return NULL;
    const uint8_t *colon = kp_json_space_end(quote + 1, end);
    if (*colon != ':')
        return NULL;
    *ret_value = colon + 1;
    uint32_t at = name_hash(p, len);
    struct name *name;
    while (object->table[at]) {
        name = &object->names[object->table[at]];
        if (name->len == len + 1 && memcmp(name->text, p, len) == 0) {
            *link = object->table[at];
            return name;
        }
        at = (at + 1) % TABLE_SIZE;
    }
    bool learn = object->count < NAMES_MAX && len < NAME_BYTES_MAX;
    name = learn ? &object->names[object->count] : &object->spare;
    resolve_name(state, object, name, p, len);
    if (learn) {
        object->table[at] = (uint8_t)object->count;
        *link = (uint16_t)object->count++;
    }
    return name;
}

/* ---- values ---- */

/* Behind the value at p, whatever it is, read into the column; NULL: unsure. */
static const uint8_t *read_slow(struct kp_decode_state *state, uint32_t column, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *bad;
    const uint8_t *behind = kp_json_skip(p, end, state->decoder->skip_depth_max, &bad);
    if (!behind || behind > end)
        return NULL;
    struct kp_json_value value = {KP_JSON_NUMBER, 0, {(const char *)p, (size_t)(behind - p)}};
    switch (*p) {
    case 'n':
        return behind;
    case 't':
        value.kind = KP_JSON_TRUE;
        break;
    case 'f':
        value.kind = KP_JSON_FALSE;
        break;
    case '{':
        value.kind = KP_JSON_OBJECT;
        break;
    case '[':
        value.kind = KP_JSON_ARRAY;
        break;
    case '"':
        value.kind = KP_JSON_STRING;
        value.flags = memchr(value.text.ptr, '\\', value.text.len) ? KP_JSON_ESCAPED : 0;
        break;
    default:
        break;
    }
    if (kp_decode_convert(state, column, &value, NULL) != KP_OK)
        return NULL;
    kp_decode_mask_set(state->filled, column);
    return behind;
}

static inline bool ends_value(uint8_t c)
{
    return c == ',' || c == '}';
}

/* A whole number of up to 18 digits that a comma or brace follows; NULL: something else. */
static inline const uint8_t *read_integer(const uint8_t *p, int64_t *ret_value)
{
    bool negative = *p == '-';
    uint64_t value;
    unsigned count;
    p += negative;
    const uint8_t *behind = kp_digits_read(p, &value, &count);
    if (count == 0 || count > 18 || (*p == '0' && count > 1) || !ends_value(*behind))
        return NULL;
    *ret_value = negative ? -(int64_t)value : (int64_t)value;
    return behind;
}

/* A decimal of up to 18 digits without exponent: value × 10^-scale. NULL: something else. */
static inline const uint8_t *read_decimal(const uint8_t *p, bool *ret_negative, uint64_t *ret_value,
                                          unsigned *ret_scale)
{
    uint64_t value, fraction = 0;
    unsigned count, scale = 0;
    *ret_negative = *p == '-';
    p += *ret_negative;
    const uint8_t *behind = kp_digits_read(p, &value, &count);
    if (count == 0 || (*p == '0' && count > 1))
        return NULL;
    if (*behind == '.') {
        behind = kp_digits_read(behind + 1, &fraction, &scale);
        if (scale == 0)
            return NULL;
    }
    if (count + scale > 18 || !ends_value(*behind))
        return NULL;
    for (unsigned i = 0; i < scale; i++)
        value *= 10;
    *ret_value = value + fraction;
    *ret_scale = scale;
    return behind;
}

static inline const uint8_t *read_double(const uint8_t *p, double *ret_value)
{
    /* Both the digits and the power are exact as doubles, so the one division rounds correctly. */
    static const double pow10[19] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                     1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    bool negative;
    uint64_t value;
    unsigned scale;
    const uint8_t *behind = read_decimal(p, &negative, &value, &scale);
    if (!behind || value > (uint64_t)1 << 53)
        return NULL;
    double result = (double)value / pow10[scale];
    *ret_value = negative ? -result : result;
    return behind;
}

static inline const uint8_t *read_numeric(const uint8_t *p, struct kp_numeric *ret_value)
{
    bool negative;
    uint64_t value;
    unsigned scale;
    const uint8_t *behind = read_decimal(p, &negative, &value, &scale);
    if (!behind)
        return NULL;
    memset(ret_value, 0, sizeof *ret_value);
    ret_value->coef = negative ? -(int64_t)value : (int64_t)value;
    ret_value->scale = (uint16_t)scale;
    ret_value->kind = KP_NUMERIC_SMALL;
    return behind;
}

static inline struct kp_text short_text(const uint8_t *p, size_t len)
{
    /* 12 bytes are readable whatever len is: two loads and masks instead of a copy of unknown length. */
    static const uint64_t low_masks[13] = {
        0,          0xff,       0xffff,     0xffffff,   0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff,
        UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    static const uint32_t high_masks[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xffff, 0xffffff, UINT32_MAX};
    struct kp_text text;
    uint64_t low = kp_load_le64(p) & low_masks[len];
    uint32_t high, len_word = (uint32_t)len;
    memcpy(&high, p + 8, 4);
    high &= high_masks[len];
    memcpy(&text, &len_word, 4);
    memcpy((char *)&text + 4, &low, 8);
    memcpy((char *)&text + 12, &high, 4);
    return text;
}

/* A string without escapes. NULL: something else. */
static inline const uint8_t *read_text(const uint8_t *p, const uint8_t *end, struct kp_text *ret_text)
{
    unsigned flags;
    if (*p != '"')
        return NULL;
    p++;
    const uint8_t *quote = kp_json_string_end(p, end, &flags);
    if (!quote || (flags & KP_JSON_ESCAPED))
        return NULL;
    size_t len = (size_t)(quote - p);
    if ((flags & KP_JSON_WIDE) && !kp_utf8_valid((const char *)p, len))
        return NULL;
    if (len <= KP_TEXT_INLINE_BYTES) {
        *ret_text = short_text(p, len);
    } else {
        ret_text->len = (uint32_t)len;
        memcpy(ret_text->prefix, p, 4);
        ret_text->ptr = (const char *)p;
    }
    return quote + 1;
}

static inline const uint8_t *read_timestamp(struct kp_decode_state *state, uint32_t column, const uint8_t *p,
                                            const uint8_t *end, int64_t *ret_us)
{
    unsigned flags;
    if (*p != '"')
        return NULL;
    p++;
    const uint8_t *quote = kp_json_string_end(p, end, &flags);
    if (!quote || flags || !kp_decode_timestamp(state, column, p, (size_t)(quote - p), ret_us))
        return NULL;
    return quote + 1;
}

/* ---- objects ---- */

static const uint8_t *read_object(struct kp_decode_state *state, struct object *object, const uint8_t *p,
                                  const uint8_t *end);

/* A member in which something is wanted if it is an object. */
static const uint8_t *read_child(struct kp_decode_state *state, struct object *child, const uint8_t *p,
                                 const uint8_t *end)
{
    const uint8_t *bad;
    if (child->seen == state->fast->record)
        return NULL; /* repeated */
    child->seen = state->fast->record;
    if (*p == '{') {
        state->fast->row |= child->row;
        return read_object(state, child, p + 1, end);
    }
    if (child->path && *p != 'n')
        return NULL;
    return kp_json_skip(p, end, state->decoder->skip_depth_max, &bad);
}

/* The value of a name, p at its first byte; behind it, or NULL: unsure. */
static inline const uint8_t *read_value(struct kp_decode_state *state, const struct name *name, const uint8_t *p,
                                        const uint8_t *end)
{
    uint32_t column = name->column;
    const uint8_t *behind = NULL, *bad;
    int64_t integer;
    if (name->action == ACTION_SKIP)
        return kp_json_skip(p, end, state->decoder->skip_depth_max, &bad);
    if (name->action == ACTION_OBJECT)
        return read_child(state, name->child, p, end);
    if (name->action == ACTION_STOP || kp_decode_mask_get(state->present, column))
        return NULL; /* a repeated member */
    kp_decode_mask_set(state->present, column);
    void *slot = kp_decode_slot(state, column);
    switch (name->action) {
    case ACTION_INT8:
        behind = read_integer(p, slot);
        break;
    case ACTION_TEXT:
        behind = read_text(p, end, slot);
        break;
    case ACTION_TIMESTAMP:
        behind = read_timestamp(state, column, p, end, slot);
        break;
    case ACTION_INT4:
        behind = read_integer(p, &integer);
        if (behind && integer == (int32_t)integer)
            *(int32_t *)slot = (int32_t)integer;
        else
            behind = NULL;
        break;
    case ACTION_INT2:
        behind = read_integer(p, &integer);
        if (behind && integer == (int16_t)integer)
            *(int16_t *)slot = (int16_t)integer;
        else
            behind = NULL;
        break;
    case ACTION_FLOAT8:
        behind = read_double(p, slot);
        break;
    case ACTION_NUMERIC:
        behind = read_numeric(p, slot);
        break;
    default:
        break;
    }
    if (!behind)
        return read_slow(state, column, p, end);
    kp_decode_mask_set(state->filled, column);
    return behind;
}

/* Reads an object, p behind its brace; behind its closing brace, or NULL: unsure. */
static const uint8_t *read_object(struct kp_decode_state *state, struct object *object, const uint8_t *p,
                                  const uint8_t *end)
{
    uint16_t *link = &object->first;
    if (*p <= ' ')
        p = kp_json_space_end(p, end);
    if (*p == '}')
        return p + 1;
    for (;;) {
        struct name *name = &object->names[*link];
        if (p >= end)
            return NULL;
        if (name_matches(name, p)) {
            p += name->len;
        } else {
            name = look_up_name(state, object, p, end, link, &p);
            if (!name)
                return NULL;
        }
        link = &name->next;
        if (*p <= ' ')
            p = kp_json_space_end(p, end);
        if (p >= end)
            return NULL; /* the name itself may have led out of the record */
        p = read_value(state, name, p, end);
        if (!p || p > end)
            return NULL;
        if (*p <= ' ')
            p = kp_json_space_end(p, end);
        if (*p == ',') {
            p++;
            if (*p <= ' ')
                p = kp_json_space_end(p, end);
        } else if (*p == '}') {
            return p + 1;
        } else {
            return NULL;
        }
    }
}

enum kp_decode_outcome kp_json_fast_decode(struct kp_decode_state *state, struct kp_str text)
{
    struct kp_json_fast *fast = state->fast;
    const uint8_t *p = (const uint8_t *)text.ptr, *end = p + text.len;
    fast->record++;
    fast->row = fast->objects[0].row;
    p = kp_json_space_end(p, end);
    if (p == end || *p != '{')
        return KP_DECODED_UNSURE;
    p = read_object(state, &fast->objects[0], p + 1, end);
    if (!p || p > end || kp_json_space_end(p, end) != end)
        return KP_DECODED_UNSURE;
    return fast->row ? KP_DECODED_ROW : KP_DECODED_NONE;
}
