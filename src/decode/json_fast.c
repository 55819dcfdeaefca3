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
    TABLE_SIZE = 256,
    SKIPPED_MAX = 16 /* unwanted objects whose names are learned too, to skip them by comparing */
};

enum action {
    ACTION_STOP, /* ask the general path: several columns at once, or a name that has no meaning yet */
    ACTION_SKIP,
    ACTION_OBJECT,
    ACTION_SLOW, /* a column, by kp_decode_convert; what follows are columns too */
    ACTION_INT2,
    ACTION_INT4,
    ACTION_INT8,
    ACTION_FLOAT8,
    ACTION_NUMERIC,
    ACTION_TEXT,
    ACTION_TIMESTAMP
};

struct name {
    uint8_t text[NAME_BYTES_MAX]; /* "name": with the space behind it that followed when it was learned */
    uint32_t mask;                /* of the first 32 bytes that count */
    uint8_t len;                  /* of text; 0: too long to be kept */
    uint8_t quoted_len;           /* of these, quotes and between */
    uint8_t action;
    uint8_t rival; /* 1 + which rival this is, 0: none */
    bool learn;    /* an unwanted member: if it is an object, learn its names */
    uint32_t column;
    uint32_t row_mask; /* 0 if the column is only checked: it has one slot */
    struct name *next; /* the name that followed last time */
    struct object *child;
};

struct object {
    struct name names[NAMES_MAX]; /* [0] stands for none yet: it never matches */
    struct name spare;            /* for names that are not learned */
    uint32_t count;
    struct name *first; /* the name that came first last time */
    bool path, row, skipped;
    uint64_t seen; /* the record in which it was last met */
    const struct kp_json_node *node;
    uint8_t table[TABLE_SIZE]; /* hash of the name to index in names; open addressing */
};

struct kp_json_fast {
    struct object *objects; /* by node id */
    struct object *skipped; /* the unwanted ones */
    uint32_t skipped_count;
    uint64_t record;
    bool row; /* the object that makes the row was met */
};

static void object_init(struct object *object)
{
    object->names[0].mask = UINT32_MAX; /* 32 zero bytes are no name */
    object->names[0].next = object->first = &object->names[0];
    object->count = 1;
}

/* A table for the names of one more unwanted object; NULL: enough of them. */
static struct object *add_skipped(struct kp_json_fast *fast)
{
    static const struct kp_json_node nothing;
    if (fast->skipped_count == SKIPPED_MAX)
        return NULL;
    if (!fast->skipped)
        fast->skipped = kp_calloc(SKIPPED_MAX, sizeof *fast->skipped);
    struct object *object = &fast->skipped[fast->skipped_count++];
    object->node = &nothing;
    object->skipped = true;
    object_init(object);
    return object;
}

struct kp_json_fast *kp_json_fast_create(const struct kp_decoder *decoder)
{
    struct kp_json_fast *fast = kp_calloc(1, sizeof *fast);
    fast->objects = kp_calloc(decoder->node_count, sizeof *fast->objects);
    for (uint32_t i = 0; i < decoder->node_count; i++) {
        struct object *object = &fast->objects[i];
        object->node = decoder->nodes[i];
        object->path = i < decoder->path_nodes;
        object->row = object->node->row;
        object_init(object);
    }
    return fast;
}

void kp_json_fast_destroy(struct kp_json_fast *fast)
{
    if (!fast)
        return;
    kp_free(fast->objects);
    kp_free(fast->skipped);
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
        return decoder->epoch ? ACTION_SLOW : ACTION_TIMESTAMP;
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
    name->next = &object->names[0];
    name->child = NULL;
    name->rival = 0;
    if (!want) {
        name->action = ACTION_SKIP;
        for (uint32_t i = 0; i < state->decoder->rival_count && object == &state->fast->objects[0]; i++)
            if (kp_json_name_folded_equal(state->decoder->rivals[i], (struct kp_str){(const char *)p + 1, len - 2}))
                name->rival = (uint8_t)(i + 1);
        name->learn = !object->skipped && name != &object->spare;
        if (state->decoder->extra_fails && object->row)
            name->action = ACTION_STOP; /* the general path refuses it */
    } else if (want->child && want->column_count == 0) {
        name->action = ACTION_OBJECT;
        name->child = &state->fast->objects[want->child->id];
    } else if (!want->child && want->column_count == 1) {
        name->column = want->columns[0];
        name->action = action_of(state->decoder, name->column);
        name->row_mask = state->decoder->columns[name->column].width ? UINT32_MAX : 0;
    } else {
        name->action = ACTION_STOP;
    }
    /* A name too long to be kept must never match: no text has so many zero bytes. */
    name->len = name->quoted_len = 0;
    name->mask = UINT32_MAX;
    memset(name->text, 0, sizeof name->text);
    if (len <= NAME_BYTES_MAX - 2) {
        memcpy(name->text, p, len);
        name->text[len] = ':';
        name->text[len + 1] = ' ';
        name->quoted_len = (uint8_t)len;
        name->len = (uint8_t)(len + 1 + (p[len] == ':' && p[len + 1] == ' '));
        name->mask = name->len >= 32 ? UINT32_MAX : (1u << name->len) - 1;
    }
}

static uint32_t name_hash(const uint8_t *p, size_t len)
{
    uint64_t head = kp_load_le64(p + 1);
    if (len < 10)
        head &= ((uint64_t)1 << (8 * (len - 2))) - 1;
    return (uint32_t)((head ^ len) * 0x9e3779b97f4a7c15u >> 56);
}

/* The name at p, in any spelling that JSON allows without escapes, learned if it is new; NULL: no such name there. */
static __attribute__((noinline)) struct name *learn_name(struct kp_decode_state *state, struct object *object,
                                                         const uint8_t *p, const uint8_t *end,
                                                         const uint8_t **ret_value)
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
    *ret_value = kp_json_space_end(colon + 1, end);
    uint32_t at = name_hash(p, len);
    for (; object->table[at]; at = (at + 1) % TABLE_SIZE) {
        struct name *name = &object->names[object->table[at]];
        if (name->quoted_len == len && memcmp(name->text, p, len) == 0)
            return name;
    }
    if (object->count == NAMES_MAX || len > NAME_BYTES_MAX - 2) {
        resolve_name(state, object, &object->spare, p, len);
        return &object->spare;
    }
    struct name *name = &object->names[object->count];
    resolve_name(state, object, name, p, len);
    object->table[at] = (uint8_t)object->count++;
    return name;
}

/* The name at p, when it is not the guessed one; *ret_value is behind its colon. NULL: no plain name there. */
static inline struct name *look_up_name(struct kp_decode_state *state, struct object *object, const uint8_t *p,
                                        const uint8_t *end, const uint8_t **ret_value)
{
    uint32_t stop, wide;
    kp_json_string_masks(p + 1, &stop, &wide);
    if (stop) {
        /* A name that matches the bytes needs no more checks: they were checked when it was learned. */
        size_t len = (size_t)__builtin_ctz(stop) + 2;
        struct name *name = &object->names[object->table[name_hash(p, len)]];
        if (name_matches(name, p)) {
            *ret_value = p + name->len;
            return name;
        }
    }
    return learn_name(state, object, p, end, ret_value);
}

/* ---- values ---- */

/* Behind the value at p, whatever it is, read into the column; NULL: unsure. */
static __attribute__((noinline)) const uint8_t *read_slow(struct kp_decode_state *state, uint32_t column,
                                                          const uint8_t *p, const uint8_t *end)
{
    const uint8_t *bad;
    const uint8_t *behind = kp_json_skip(p, end, state->decoder->skip_depth_max, &bad);
    if (!behind || behind > end)
        return NULL;
    struct kp_json_value value = {KP_JSON_NUMBER, 0, {(const char *)p, (size_t)(behind - p)}};
    switch (*p) {
    case 'n':
        value.kind = KP_JSON_NULL;
        if (state->decoder->columns[column].json_null)
            break;
        kp_decode_set_null(state, column);
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
    return kp_decode_convert(state, column, &value, NULL) == KP_OK ? behind : NULL;
}

static inline bool ends_value(uint8_t c)
{
    return c == ',' || c == '}';
}

/* A whole number of up to 18 digits that a comma or brace follows; NULL: something else. */
static KP_ALWAYS_INLINE const uint8_t *read_integer(const uint8_t *p, int64_t *ret_value)
{
    bool negative = false;
    uint64_t value;
    unsigned count;
    if (__builtin_expect(*p == '-', 0)) { /* a branch, not an addition: p waits for nothing */
        negative = true;
        p++;
    }
    const uint8_t *behind = kp_digits_read(p, &value, &count);
    if (count == 0 || count > 18 || (*p == '0' && count > 1) || !ends_value(*behind))
        return NULL;
    *ret_value = negative ? -(int64_t)value : (int64_t)value;
    return behind;
}

/* A decimal of up to 18 digits without exponent: value × 10^-scale. NULL: something else. */
static KP_ALWAYS_INLINE const uint8_t *read_decimal(const uint8_t *p, bool *ret_negative, uint64_t *ret_value,
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

static KP_ALWAYS_INLINE const uint8_t *read_double(const uint8_t *p, double *ret_value)
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

static KP_ALWAYS_INLINE const uint8_t *read_numeric(const uint8_t *p, struct kp_numeric *ret_value)
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

/* kp_text_make without a branch on the length, which nothing predicts: 12 bytes are readable whatever it is. */
static KP_ALWAYS_INLINE void store_text(const uint8_t *p, size_t len, struct kp_text *ret_text)
{
    /* By length, 13 standing for more: which of bytes 0-3 and 4-11 are kept, and whether the pointer is. */
    static const uint32_t prefix_masks[14] = {0,          0xff,       0xffff,     0xffffff,   UINT32_MAX,
                                              UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
                                              UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    static const uint64_t rest_masks[14] = {
        0,          0, 0, 0, 0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff,
        UINT64_MAX, 0};
    static const uint64_t pointer_masks[14] = {[13] = UINT64_MAX};
    size_t at = len < 13 ? len : 13;
    uint32_t prefix;
    memcpy(&prefix, p, 4);
    uint64_t head = (uint32_t)len | (uint64_t)(prefix & prefix_masks[at]) << 32;
    uint64_t tail = (kp_load_le64(p + 4) & rest_masks[at]) | ((uint64_t)(uintptr_t)p & pointer_masks[at]);
    memcpy(ret_text, &head, 8);
    memcpy((char *)ret_text + 8, &tail, 8);
}

/* A string of more than ASCII, but without escapes; p behind its quote. NULL: something else. */
static __attribute__((noinline)) const uint8_t *read_wide_text(const uint8_t *p, const uint8_t *end,
                                                               struct kp_text *ret_text)
{
    unsigned flags;
    const uint8_t *quote = kp_json_string_end(p, end, &flags);
    if (!quote || (flags & KP_JSON_ESCAPED) || !kp_utf8_valid((const char *)p, (size_t)(quote - p)))
        return NULL;
    store_text(p, (size_t)(quote - p), ret_text);
    return quote + 1;
}

/* A string without escapes. NULL: something else. */
static KP_ALWAYS_INLINE const uint8_t *read_text(const uint8_t *p, const uint8_t *end, struct kp_text *ret_text)
{
    if (*p != '"')
        return NULL;
    const uint8_t *at = ++p;
    uint32_t stop;
    while ((stop = kp_json_plain_mask(at)) == 0)
        if ((at += 32) >= end)
            return NULL;
    at += __builtin_ctz(stop);
    if (__builtin_expect(*at != '"', 0))
        return read_wide_text(p, end, ret_text);
    store_text(p, (size_t)(at - p), ret_text);
    return at + 1;
}

/* Guesses that it is as long as the last one: then its bytes are all looked at, and no scan for the quote is needed. */
static KP_ALWAYS_INLINE const uint8_t *read_timestamp(struct kp_decode_state *state, uint32_t column, const uint8_t *p,
                                                      const uint8_t *end, int64_t *ret_us)
{
    struct kp_decode_minute *minute = &state->minutes[column];
    struct kp_type type = state->decoder->columns[column].type;
    if (*p != '"')
        return NULL;
    p++;
    if (p[minute->len] == '"' && kp_decode_timestamp(minute, type, p, minute->len, ret_us))
        return p + minute->len + 1;
    unsigned flags;
    const uint8_t *quote = kp_json_string_end(p, end, &flags);
    if (!quote || flags || quote - p > 32 || !kp_decode_timestamp(minute, type, p, (size_t)(quote - p), ret_us))
        return NULL;
    minute->len = (uint32_t)(quote - p);
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

/* Behind a value that nobody wants. */
static const uint8_t *skip_value(struct kp_decode_state *state, struct name *name, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *bad;
    if (*p == '"') {
        const uint8_t *at = p + 1;
        uint32_t stop;
        while ((stop = kp_json_plain_mask(at)) == 0 && at < end)
            at += 32;
        at += stop ? __builtin_ctz(stop) : 0;
        if (*at == '"')
            return at + 1;
    } else if (*p == '{' && name->learn) {
        if (!name->child)
            name->child = add_skipped(state->fast);
        if (name->child)
            return read_object(state, name->child, p + 1, end);
    }
    return kp_json_skip(p, end, state->decoder->skip_depth_max, &bad);
}

/* The value of a name that no column takes. */
static __attribute__((noinline)) const uint8_t *read_other(struct kp_decode_state *state, struct name *name,
                                                           const uint8_t *p, const uint8_t *end)
{
    p = kp_json_space_end(p, end);
    switch (name->action) {
    case ACTION_SKIP:
        if (name->rival && *p != 'n') /* what begins so is null, or this is no JSON */
            state->rivals_seen |= 1u << (name->rival - 1);
        return skip_value(state, name, p, end);
    case ACTION_OBJECT:
        return read_child(state, name->child, p, end);
    default:
        return NULL;
    }
}

/* The value of a name, p at its first byte; behind it, or NULL: unsure. */
static KP_ALWAYS_INLINE const uint8_t *read_value(struct kp_decode_state *state, struct name *name, const uint8_t *p,
                                                  const uint8_t *end)
{
    uint32_t column = name->column, row = state->row & name->row_mask;
    const uint8_t *behind = NULL;
    int64_t integer;
    if (name->action < ACTION_SLOW)
        return read_other(state, name, p, end);
    uint64_t *present = &state->present[column >> 6], bit = (uint64_t)1 << (column & 63);
    if (*present & bit)
        return NULL; /* a repeated member */
    *present |= bit;
    void *data = state->data[column];
    switch (name->action) {
    case ACTION_INT8:
        behind = read_integer(p, (int64_t *)data + row);
        break;
    case ACTION_TEXT:
        behind = read_text(p, end, (struct kp_text *)data + row);
        break;
    case ACTION_TIMESTAMP:
        behind = read_timestamp(state, column, p, end, (int64_t *)data + row);
        break;
    case ACTION_INT4:
        behind = read_integer(p, &integer);
        if (behind && integer == (int32_t)integer)
            ((int32_t *)data)[row] = (int32_t)integer;
        else
            behind = NULL;
        break;
    case ACTION_INT2:
        behind = read_integer(p, &integer);
        if (behind && integer == (int16_t)integer)
            ((int16_t *)data)[row] = (int16_t)integer;
        else
            behind = NULL;
        break;
    case ACTION_FLOAT8:
        behind = read_double(p, (double *)data + row);
        break;
    case ACTION_NUMERIC:
        behind = read_numeric(p, (struct kp_numeric *)data + row);
        break;
    default:
        break;
    }
    return behind ? behind : read_slow(state, column, kp_json_space_end(p, end), end);
}

/*
 * Reads an object, p behind its brace; behind its closing brace, or NULL: unsure. One comparison with `end` per member
 * is enough: a name and a scalar lead at most KP_JSON_PADDING out of the record.
 */
static const uint8_t *read_object(struct kp_decode_state *state, struct object *object, const uint8_t *p,
                                  const uint8_t *end)
{
    struct name **link = &object->first;
    if (*p <= ' ')
        p = kp_json_space_end(p, end);
    if (*p == '}')
        return p + 1;
    while (p < end) {
        struct name *name = *link;
        if (name_matches(name, p)) {
            p += name->len;
        } else {
            if (*p <= ' ')
                p = kp_json_space_end(p, end);
            name = look_up_name(state, object, p, end, &p);
            if (!name)
                return NULL;
            *link = name;
        }
        link = &name->next;
        p = read_value(state, name, p, end);
        if (!p)
            return NULL;
        if (*p != ',') {
            p = kp_json_space_end(p, end);
            if (*p != ',')
                return *p == '}' ? p + 1 : NULL;
        }
        p++;
    }
    return NULL;
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
