/*
 * Decoding: the bytes of records to columns. A decoder is made once per (format, wanted columns) and is immutable;
 * each worker has its own state. Records that cannot be decoded do not stop anything: they come back as dead letters.
 */
#ifndef KP_DECODE_DECODE_H
#define KP_DECODE_DECODE_H

#include "log/record_batch.h"
#include "vec/func.h"
#include "vec/vec.h"

/* Counts up with every change of what a record's bytes mean: history columns of another version are not read. */
enum { KP_DECODER_VERSION = 7 };

enum kp_format {
    KP_FORMAT_JSON,
    KP_FORMAT_CSV,
    KP_FORMAT_TEXT,
    KP_FORMAT_RAW,
    KP_FORMAT_DEBEZIUM,
    KP_FORMAT_AVRO,
    KP_FORMAT_PROTOBUF
};

/* How a connector of Debezium writes times, by its time.precision.mode. */
enum kp_time_precision {
    KP_TIME_PRECISION_ADAPTIVE, /* up to precision 3 in milliseconds, else in microseconds */
    KP_TIME_PRECISION_MICROS,   /* the same, but times of day always in microseconds */
    KP_TIME_PRECISION_CONNECT   /* always in milliseconds */
};

/* What a number in a timestamp's place counts since 1970-01-01 00:00 UTC. */
enum kp_epoch_unit {
    KP_EPOCH_NONE, /* nothing: the record is a dead letter */
    KP_EPOCH_SECONDS,
    KP_EPOCH_MILLISECONDS,
    KP_EPOCH_MICROSECONDS,
    KP_EPOCH_NANOSECONDS
};

/* Where a column's value comes from. */
enum kp_field_origin {
    KP_FIELD_VALUE,     /* a field of the value */
    KP_FIELD_KEY,       /* the record's key, as text */
    KP_FIELD_OFFSET,    /* bigint */
    KP_FIELD_PARTITION, /* integer */
    KP_FIELD_TIMESTAMP, /* timestamptz: the record's own time */
    KP_FIELD_LOG_TIME,  /* timestamptz: of the block */
    KP_FIELD_POSITION,  /* bigint */
    KP_FIELD_HEADERS,   /* json text */
    KP_FIELD_HEADER,    /* text: the last header of the name in `path`; NULL: there is none */
    KP_FIELD_DELETED    /* boolean: a tombstone */
};

/*
 * JSON: a column takes the field of exactly its name, else the only one that matches but for ASCII case (columns that
 * differ only by case match exactly); of a repeated one the last counts; a dotted name reaches into nested objects. A
 * field that is null is NULL, but json's and jsonb's null: of those a field that is not there is NULL.
 */
struct kp_field {
    const char *name; /* the field's name in JSON or CSV's header; may be a dotted path */
    const char *path; /* NULL, or where it is instead: a dotted path from the row's object; a header's name */
    struct kp_type type;
    enum kp_field_origin origin;
    uint32_t csv_index; /* column in CSV, from 0 */
    uint32_t key_part; /* keyed tables: 1 for the first column of the key …; 0: not in the key. A value that lacks such
                          a field takes it from the record's key, a tombstone all of them */
    bool checked; /* must be of its type, but makes no column: what a record is worth may not depend on who reads it.
                     Of fields of the value only; behind all others */
};

/*
 * What rows must be besides of their types: notes the rows of a batch that may not be, ascending, each once, in arena.
 * The columns are the options' fields that are not only checked. Called by many threads.
 */
typedef void (*kp_decode_check)(const void *arg, const struct kp_batch *batch, struct kp_arena *arena,
                                struct kp_row_error **ret_errors, uint32_t *ret_count);

struct kp_decoder_options {
    enum kp_format format;
    const struct kp_field *fields; /* copied */
    uint32_t field_count;
    uint32_t extra_count;  /* the last ones that are not only checked: columns for `check`, not for readers */
    kp_decode_check check; /* NULL: rows need only be of their types; deletions are not checked */
    void *check_arg;       /* the decoder's once it is made: */
    void (*check_destroy)(void *arg);
    const char
        *path; /* JSON: object in each record that makes the row, dotted; NULL: the record. Absent or null: no row */
    /* JSON with a path: other members of the record, by name, of which it is noted whether they are there and not null
     * (struct kp_decode_notes). At most KP_DECODE_RIVALS_MAX; copied. */
    const char *const *rivals;
    uint32_t rival_count;
    const char *pattern; /* TEXT: a regular expression (RE2) that the whole record must match; columns take the groups
                            (?P<name>…) of their name; NULL: every column is the whole record */
    const char *schema;  /* AVRO: the reader's schema, JSON; PROTOBUF: the text of a .proto file */
    const char *writer_schema;  /* AVRO: that of all records; NULL: the reader's */
    const char *writer_schemas; /* AVRO: a JSON object, by the number in a registry's header; NULL: none */
    const char *message;        /* PROTOBUF: the message's name; NULL: the first one of the schema */
    bool confluent; /* AVRO, PROTOBUF: a schema registry's header stands before each record, and is passed over */
    enum kp_time_precision time_precision; /* DEBEZIUM without schemas in the records */
    bool decimals_precise;                 /* likewise: numerics are base64, of the column's scale */
    bool bytes_hex;                        /* DEBEZIUM: bytes are hexadecimal digits, not base64 */
    enum kp_epoch_unit epoch;              /* not of DEBEZIUM, which has ways of its own */
    bool missing_fails; /* JSON, CSV: a record that lacks a declared field is a dead letter, not a row with NULL */
    bool extra_fails;   /* JSON, CSV: a record whose row has a member that no field takes is a dead letter */
    bool keyed;         /* a table: records with a null value are tombstones; else they make no row */
    bool truncates;     /* DEBEZIUM: a truncation makes a tombstone whose columns are all NULL; else a dead letter */
    char csv_delimiter; /* 0: comma */
    char csv_quote, csv_escape; /* 0: the double quote; as the quote */
    bool csv_header;            /* the record at offset 0 of a partition is a header: no row */
    const char *csv_null;       /* NULL: an empty unquoted field is NULL */
    const struct kp_zone *zone; /* for timestamptz without offset */
};

enum { KP_DECODE_RIVALS_MAX = 32 };

struct kp_decoder;
KP_MUST enum kp_code kp_decoder_create(const struct kp_decoder_options *options, struct kp_decoder **ret_decoder,
                                       struct kp_error *err);
void kp_decoder_destroy(struct kp_decoder *decoder);

/* A record that failed: where, why, and its bytes (borrowed). */
struct kp_dead_letter {
    uint32_t partition;
    int64_t offset, position;
    char sqlstate[6];
    const char *reason; /* in the arena */
    struct kp_str key, value;
};

/* One record batch to decode; the fields of struct kp_log_chunk. */
struct kp_decode_input {
    uint32_t partition;
    int64_t base_offset, position, log_time_us;
    const uint8_t *batch;
    uint32_t bytes;
    uint32_t skip, take; /* its first records and those behind `take` make no rows and no dead letters; take 0: all */
};

/* A worker's scratch: parser, key order guess, buffers. Not thread safe. */
struct kp_decode_state;
struct kp_decode_state *kp_decode_state_create(const struct kp_decoder *decoder); /* the decoder must outlive it */
void kp_decode_state_destroy(struct kp_decode_state *state);

/* What a state has done so far. records = rows + empty + dead; fast + general count JSON records by the path that
 * decided. */
struct kp_decode_counts {
    uint64_t records, rows, empty, dead, fast, general;
};
struct kp_decode_counts kp_decode_state_counts(const struct kp_decode_state *state);
/*
 * What decoders of the same records tell each other, so that a topic of several kinds of events is parsed once: a bit a
 * record, records counted over all inputs of a call. One decoder fills `rivals`, one bitmap for each of its options'
 * rivals: clear where the record is well formed and that member is absent or null. Another reads such a bitmap as
 * `wanted`, of the first name of its path: a record whose bit is clear makes no row and is not looked at. Either may be
 * NULL. Bitmaps have a bit for every record that the batches' headers announce and are clear to begin with.
 */
struct kp_decode_notes {
    uint64_t *const *rivals;
    const uint64_t *wanted;
};
/* For the calls to come; borrowed. NULL: none. */
void kp_decode_state_set_notes(struct kp_decode_state *state, const struct kp_decode_notes *notes);
/* For tests and measurements: leaves everything to the general path. */
void kp_decode_state_set_general_only(struct kp_decode_state *state, bool general_only);

/*
 * Decodes inputs into batches of at most KP_BATCH_ROWS_MAX rows, given to emit in order. Columns are the options'
 * fields that are not only checked, without the extra ones. Strings point into the inputs' bytes where they can, else
 * into arena: inputs must live as long as the arena. Keyed tables: records with a null value give `tombstone` rows: all
 * value fields NULL, key fields from the key (of a truncation NULL too), which is a JSON array of the key's values, a
 * JSON string, or plain text. A record that cannot be decoded goes to dead (may be NULL) and makes no row. Control
 * batches are skipped. Fails only if emit does, or if a batch is malformed.
 */
struct kp_decoded {
    struct kp_batch *batch;
    const int64_t *positions;  /* rows: position of each row's record */
    const uint8_t *tombstones; /* rows, or NULL if there are none */
};
typedef enum kp_code (*kp_decode_emit)(void *arg, const struct kp_decoded *decoded, struct kp_error *err);
KP_MUST enum kp_code kp_decode(struct kp_decode_state *state, const struct kp_decode_input *inputs, size_t input_count,
                               struct kp_arena *arena, kp_decode_emit emit,
                               void (*dead)(void *arg, const struct kp_dead_letter *letter), void *arg,
                               struct kp_error *err);

/* Encodes rows as JSON objects, for INSERT and sinks: appends one object for `row`. What is NULL is null, of json and
 * jsonb left out. */
void kp_encode_json(const struct kp_batch *batch, const char *const *names, uint32_t row, const struct kp_zone *zone,
                    struct kp_buf *out);

#endif
