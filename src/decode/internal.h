/*
 * What the files of decode/ share: the decoder's columns and tree of wanted members, a worker's state, and the
 * interfaces between the record walk (decode.c), the paths of JSON (json_fast.c, json_general.c) and conversion
 * (convert.c).
 */
#ifndef KP_DECODE_INTERNAL_H
#define KP_DECODE_INTERNAL_H

#include "decode/decode.h"
#include "decode/json_scan.h"
#include "vec/datetime.h"

/* How the fast path writes a column; the rest goes through kp_decode_convert. */
enum { KP_DECODE_FIELDS_MAX = KP_COLUMNS_MAX + 64 }; /* the hidden columns of a relation stand beside its own */

enum kp_decode_conv {
    KP_CONV_PARSE, /* kp_value_parse on the text */
    KP_CONV_BOOL,
    KP_CONV_INT2,
    KP_CONV_INT4,
    KP_CONV_INT8,
    KP_CONV_FLOAT4,
    KP_CONV_FLOAT8,
    KP_CONV_NUMERIC,
    KP_CONV_TEXT,
    KP_CONV_TIMESTAMP, /* timestamptz too */
    KP_CONV_JSON
};

struct kp_decode_column {
    char *name;
    struct kp_type type;
    enum kp_field_origin origin;
    enum kp_decode_conv conv;
    uint32_t csv_index;
    uint32_t key_part;
    int32_t group;  /* of the pattern; -1: none */
    char *header;   /* of KP_FIELD_HEADER */
    uint32_t width; /* 0: only checked, all rows write to one slot */
    bool json_null; /* null in the record is a value: json's */
};

/* ---- the tree of wanted members ---- */

struct kp_json_want;
/* An object of the record of which something is wanted. */
struct kp_json_node {
    struct kp_json_want *wants;
    uint32_t want_count;
    uint32_t id;     /* index in decoder->nodes */
    bool row;        /* its members are the columns */
    uint16_t *table; /* hash of the folded name to index + 1 in wants; open addressing */
    uint32_t table_mask;
};
struct kp_json_want {
    struct kp_str name; /* as declared */
    uint32_t *columns;  /* that take the member's value */
    uint32_t column_count;
    uint32_t literal_count; /* of these the first ones are named so as a whole, dots and all: they beat nested ones */
    struct kp_json_node *child; /* members wanted inside, or NULL */
    bool exact_only;            /* another want differs only by case */
    uint32_t id;                /* dense over all nodes */
};

struct kp_decoder {
    enum kp_format format;
    struct kp_decode_column *columns;
    uint32_t column_count;
    uint32_t batch_columns; /* the first ones: the others are only checked */
    uint32_t given_columns; /* of these the first ones: readers get them */
    kp_decode_check check;  /* NULL: there is none */
    void *check_arg;
    void (*check_destroy)(void *arg);
    uint64_t *value_mask;    /* columns of the batch that come from the value */
    uint64_t *declared_mask; /* the same with those that are only checked */
    bool missing_fails, extra_fails;
    const struct kp_avro *avro; /* of all records; or by the number that stands before each: */
    const struct kp_avro_writer *avro_writers;
    uint32_t avro_writer_count;
    const struct kp_protobuf *protobuf;
    bool confluent;
    bool transcodes;                             /* DEBEZIUM: the envelopes are Avro */
    const struct kp_debezium_schema *row_schema; /* then: what their schema says; NULL: there is none */
    enum kp_time_precision time_precision;
    bool decimals_precise;
    bool bytes_hex;
    enum kp_epoch_unit epoch;
    bool rewrites;            /* DEBEZIUM: a column's values may be written otherwise than PostgreSQL reads them */
    struct kp_regex *pattern; /* TEXT; NULL: none */
    uint32_t mask_words;
    bool keyed, truncates, any_other; /* any_other: a column that does not come from the value */
    struct kp_json_node **nodes;      /* [0] is the record */
    uint32_t node_count, want_count;
    uint32_t path_nodes; /* the first nodes lead from the record to the object that makes the row */
    uint32_t key_parts;
    struct kp_str *rivals;
    uint32_t rival_count;
    uint32_t rivals_always;  /* a bit a rival: it is on our own path, so nothing is known of it */
    unsigned skip_depth_max; /* nesting that the fast path skips, wherever in the tree it is: stays within
                                KP_JSON_DEPTH_MAX */
    uint32_t *csv_order;     /* columns that come from the value, by csv_index */
    uint32_t csv_count;
    char csv_delimiter, csv_quote, csv_escape;
    bool csv_header;
    char *csv_null;
    const struct kp_zone *zone;
    struct kp_arena arena; /* holds all of the above */
};

/* Names equal but for ASCII case. */
bool kp_json_name_folded_equal(struct kp_str a, struct kp_str b);
/* Finds the want of a member by exact name, else by name but for ASCII case. NULL if the member is not wanted. */
struct kp_json_want *kp_json_node_find(const struct kp_json_node *node, struct kp_str name, bool *ret_exact);

/* ---- a worker's state ---- */

/* The minute of the last timestamp in a column, as text, and its value: event times rarely change it. */
struct kp_decode_minute {
    uint8_t text[16];
    int64_t us;
    uint32_t len; /* of the last timestamp as a whole */
};

/* Of a row that is to be checked: should it become a dead letter. */
struct kp_decode_origin {
    struct kp_str key, value;
    int64_t offset;
    uint32_t partition;
};
/* Waits for its place among the rows that a check will refuse. */
struct kp_decode_waiting {
    struct kp_dead_letter letter;
    struct kp_decode_waiting *next;
};

struct kp_decode_state {
    const struct kp_decoder *decoder;
    struct kp_arena *arena; /* of the running call */
    struct kp_batch *batch; /* being filled; NULL before the first row */
    void **data;            /* columns' values in batch */
    uint32_t row, row_limit;
    _Alignas(16) uint8_t checked_slot[16]; /* where values go that are only checked */
    int64_t *positions;
    uint8_t *tombstones;
    struct kp_decode_origin *origins; /* of the batch's rows; NULL: nothing is checked */
    struct kp_decode_waiting *waiting, **waiting_end;
    uint64_t present[KP_DECODE_FIELDS_MAX / 64]; /* per column: has a value or an explicit null in this record */
    uint64_t nulls[KP_DECODE_FIELDS_MAX / 64];   /* per column: of these, null; valid if any_null */
    bool any_null;
    bool deleted;   /* the record says that its row goes (Debezium) */
    bool truncated; /* and all others with it */
    struct kp_decode_minute *minutes;
    struct kp_json_fast *fast;
    struct kp_json_general *general;
    bool general_only;
    uint32_t rivals_seen; /* a bit a rival: in this record it may be there */
    const struct kp_decode_notes *notes;
    struct kp_decode_counts counts;
    struct kp_debezium_schema *row_schema, *key_schema; /* the last ones that were read */
    struct kp_buf scratch;                              /* CSV fields without their quotes; headers */
};

static inline void kp_decode_mask_set(uint64_t *mask, uint32_t column)
{
    mask[column >> 6] |= (uint64_t)1 << (column & 63);
}
static inline bool kp_decode_mask_get(const uint64_t *mask, uint32_t column)
{
    return mask[column >> 6] >> (column & 63) & 1;
}
static inline void kp_decode_set_null(struct kp_decode_state *state, uint32_t column)
{
    kp_decode_mask_set(state->present, column);
    kp_decode_mask_set(state->nulls, column);
    state->any_null = true;
}
/* Forgets the record: nothing has a value. */
static inline void kp_decode_clear(struct kp_decode_state *state)
{
    for (uint32_t i = 0; i < state->decoder->mask_words; i++)
        state->present[i] = 0;
    if (state->any_null)
        memset(state->nulls, 0, state->decoder->mask_words * 8);
    state->any_null = false;
}
/* The columns of a word of the masks that have a value. */
static inline uint64_t kp_decode_filled(const struct kp_decode_state *state, uint32_t word)
{
    return state->present[word] & ~state->nulls[word];
}
static inline void *kp_decode_slot(const struct kp_decode_state *state, uint32_t column)
{
    return (char *)state->data[column] + (size_t)state->row * state->decoder->columns[column].width;
}

/* ---- values ---- */

enum kp_json_kind {
    KP_JSON_NULL,
    KP_JSON_TRUE,
    KP_JSON_FALSE,
    KP_JSON_NUMBER,
    KP_JSON_STRING,
    KP_JSON_OBJECT,
    KP_JSON_ARRAY
};

/* A value where it lies: `text` is the whole of it, quotes and braces included. Grammar and UTF-8 hold but for escapes.
 */
struct kp_json_value {
    enum kp_json_kind kind;
    unsigned flags; /* kp_json_string_flags of a string */
    struct kp_str text;
};

/* Writes a value other than null into the current row. The error says why it cannot; the caller names the field. */
enum kp_decode_conv kp_decode_conv_of(struct kp_type type);
/* A value of valid JSON by its first byte. */
struct kp_json_value kp_json_value_of(struct kp_str token);
KP_MUST enum kp_code kp_decode_convert(struct kp_decode_state *state, uint32_t column,
                                       const struct kp_json_value *value, struct kp_error *err);
/* The same for plain text: CSV fields, TEXT, keys. The text is checked to be UTF-8 without NUL here. */
/* epoch.c: the timestamp that a decimal number is, rounded to microseconds; false: the text is no number.
 * *ret_range: no timestamp is so far away. */
bool kp_decode_epoch(enum kp_epoch_unit unit, struct kp_str number, int64_t *ret_us, bool *ret_range);
KP_MUST enum kp_code kp_decode_convert_text(struct kp_decode_state *state, uint32_t column, struct kp_str text,
                                            struct kp_error *err);
bool kp_decode_minute_parse(struct kp_decode_minute *minute, const uint8_t *text);
/* +02:00 */
static inline bool kp_decode_offset(const uint8_t *text, int64_t *ret_us)
{
    unsigned digits[4] = {(unsigned)text[1] - '0', (unsigned)text[2] - '0', (unsigned)text[4] - '0',
                          (unsigned)text[5] - '0'};
    unsigned hours = digits[0] * 10 + digits[1];
    *ret_us = (int64_t)(hours * 60 + digits[2] * 10 + digits[3]) * (text[0] == '-' ? -60000000 : 60000000);
    return text[3] == ':' && digits[0] <= 1 && digits[1] <= 9 && hours <= 15 && digits[2] <= 5 && digits[3] <= 9;
}
/*
 * "YYYY-MM-DD HH:MM:SS[.ffffff]", also with T for the space and a Z or an offset such as +02:00 behind, into a
 * timestamp or timestamptz, rounded to the type's precision. False: not so plain. Reads up to KP_JSON_PADDING bytes
 * from text.
 */
static KP_ALWAYS_INLINE bool kp_decode_timestamp(struct kp_decode_minute *minute, struct kp_type type,
                                                 const uint8_t *text, size_t len, int64_t *ret_us)
{
    static const uint32_t scale[7] = {0, 100000, 10000, 1000, 100, 10, 1};
    int64_t ahead_us = 0; /* of UTC; a timestamp takes the time as it is written */
    bool zoned = len && text[len - 1] == 'Z';
    len -= zoned;
    if (!zoned && len >= 25 && (text[len - 6] == '+' || text[len - 6] == '-')) {
        if (!kp_decode_offset(text + len - 6, &ahead_us))
            return false;
        zoned = true;
        len -= 6;
    }
    if (len < 19 || len == 20 || len > 26 || (!zoned && type.id == KP_TIMESTAMPTZ))
        return false;
    if ((kp_load_le64(text) != kp_load_le64(minute->text) ||
         kp_load_le64(text + 8) != kp_load_le64(minute->text + 8)) &&
        !kp_decode_minute_parse(minute, text))
        return false;
    unsigned tens = (unsigned)text[17] - '0', ones = (unsigned)text[18] - '0';
    if (text[16] != ':' || tens > 5 || ones > 9)
        return false;
    uint32_t us = (tens * 10 + ones) * 1000000;
    if (len > 19) {
        uint64_t digits;
        unsigned count = (unsigned)len - 20;
        if (text[19] != '.' || kp_digits_8(text + 20, &digits) < count)
            return false;
        us += kp_digits_8_value(digits << (64 - 8 * count)) * scale[count];
    }
    int64_t sum_us = minute->us + us - (type.id == KP_TIMESTAMPTZ ? ahead_us : 0);
    *ret_us = (uint32_t)type.mod < 6 ? kp_us_round(sum_us, type.mod) : sum_us;
    return true;
}

/* A value's beginning, for messages: at most 64 bytes, whole characters. */
struct kp_str kp_decode_shown(struct kp_str text);

/* ---- JSON ---- */

enum kp_decode_outcome {
    KP_DECODED_ROW,
    KP_DECODED_NONE,  /* well formed, but makes no row */
    KP_DECODED_UNSURE /* fast path only: ask the general one */
};

/* text has KP_JSON_PADDING readable bytes behind it. Fills the row's slots and state's masks, no more. */
struct kp_json_fast *kp_json_fast_create(const struct kp_decoder *decoder);
void kp_json_fast_destroy(struct kp_json_fast *fast);
enum kp_decode_outcome kp_json_fast_decode(struct kp_decode_state *state, struct kp_str text);

struct kp_json_general *kp_json_general_create(const struct kp_decoder *decoder);
void kp_json_general_destroy(struct kp_json_general *general);
KP_MUST enum kp_code kp_json_general_decode(struct kp_decode_state *state, struct kp_str text,
                                            enum kp_decode_outcome *ret_outcome, struct kp_error *err);

/*
 * Behind the valid JSON value at p, or NULL with *ret_bad where it is not valid JSON (or nested deeper than depth_max,
 * at most KP_JSON_DEPTH_MAX, or ends too soon). Strict: escapes and UTF-8 too. May return an end behind `end`.
 */
const uint8_t *kp_json_skip(const uint8_t *p, const uint8_t *end, unsigned depth_max, const uint8_t **ret_bad);
/* True if all escapes in a string's inside are JSON's. */
bool kp_json_escapes_valid(struct kp_str inside);
/*
 * Unescapes a string's inside (escapes valid) into out, which has room for inside.len bytes; false with *ret_why for
 * \u0000 and lone surrogates, which text cannot hold.
 */
bool kp_json_unescape(struct kp_str inside, char *out, size_t *ret_len, const char **ret_why);

/* ---- Debezium ---- */
enum kp_debezium_change {
    KP_DEBEZIUM_PUT,
    KP_DEBEZIUM_DELETE,
    KP_DEBEZIUM_TRUNCATE, /* all rows go */
    KP_DEBEZIUM_NOTICE    /* no change: it makes no row */
};
/*
 * The object that holds the row of a change event: "after", of a delete "before". An envelope under "payload" is looked
 * through; *ret_schema is its "schema", ptr NULL: it has none. *ret_row.ptr NULL: the event has neither, and of a
 * delete the key must say which row goes.
 */
KP_MUST enum kp_code kp_debezium_row(struct kp_str text, struct kp_str *ret_row, struct kp_str *ret_schema,
                                     enum kp_debezium_change *ret_change, struct kp_error *err);
/* A column of the type may need its values rewritten (debezium_values.c). */
bool kp_debezium_needs(struct kp_type type);
/* The row with values as PostgreSQL writes them, padded, in the state's arena. */
KP_MUST enum kp_code kp_debezium_values(struct kp_decode_state *state, struct kp_str schema, struct kp_str *row,
                                        struct kp_error *err);
/* The same for the value that a record's key has for a column. */
KP_MUST enum kp_code kp_debezium_key_value(struct kp_decode_state *state, struct kp_str schema, uint32_t column,
                                           struct kp_str *value, struct kp_error *err);
struct kp_debezium_schema;
/* What an Avro schema of the envelope says of the row's fields; in the arena. */
KP_MUST enum kp_code kp_debezium_avro(const char *text, struct kp_arena *arena,
                                      const struct kp_debezium_schema **ret_schema, struct kp_error *err);
void kp_debezium_schema_destroy(struct kp_debezium_schema *schema);
/* The value of a member of a valid object (the last of that name); false if there is none. */
bool kp_json_member(struct kp_str object, struct kp_str name, struct kp_str *ret_value);

/* ---- binary formats with a schema (transcode.h) ---- */
struct kp_avro;
struct kp_avro_writer {
    uint32_t id;
    const struct kp_avro *avro;
};
KP_MUST enum kp_code kp_avro_create(const char *text, struct kp_arena *arena, const struct kp_avro **ret_avro,
                                    struct kp_error *err);
KP_MUST enum kp_code kp_avro_to_json(const struct kp_avro *avro, struct kp_str bytes, struct kp_buf *out,
                                     struct kp_error *err);
/* What reads the writer's records and shows them as the reader has declared them. Both must stay. */
KP_MUST enum kp_code kp_avro_resolve(const struct kp_avro *writer, const struct kp_avro *reader, struct kp_arena *arena,
                                     const struct kp_avro **ret_avro, struct kp_error *err);
/* The decoder's Avro types by its options (avro_resolve.c). */
KP_MUST enum kp_code kp_avro_prepare(struct kp_decoder *decoder, const struct kp_decoder_options *options,
                                     struct kp_error *err);
struct kp_protobuf;
KP_MUST enum kp_code kp_protobuf_create(const char *text, const char *message, struct kp_arena *arena,
                                        const struct kp_protobuf **ret_protobuf, struct kp_error *err);
KP_MUST enum kp_code kp_protobuf_to_json(const struct kp_protobuf *protobuf, struct kp_str bytes, struct kp_buf *out,
                                         struct kp_error *err);
/* The record's bytes behind a schema registry's header, and its row as JSON, padded, in the state's arena. */
KP_MUST enum kp_code kp_transcode(struct kp_decode_state *state, struct kp_str bytes, struct kp_str *ret_json,
                                  struct kp_error *err);

/* ---- text with a pattern ---- */
KP_MUST enum kp_code kp_pattern_prepare(struct kp_decoder *decoder, const char *pattern, struct kp_error *err);
KP_MUST enum kp_code kp_pattern_decode(struct kp_decode_state *state, struct kp_str text, struct kp_error *err);

/* ---- CSV ---- */
KP_MUST enum kp_code kp_csv_decode(struct kp_decode_state *state, struct kp_str text, struct kp_error *err);

#endif
