/*
 * Inside decode/: an Avro schema as it was read (avro.c), and what comes of a writer's and a reader's together
 * (avro_resolve.c), which has the same form: how to read the writer's bytes and what to show of them.
 */
#ifndef KP_DECODE_AVRO_H
#define KP_DECODE_AVRO_H

#include "decode/transcode.h"

enum kp_avro_kind {
    AVRO_NULL,
    AVRO_BOOLEAN,
    AVRO_INT,
    AVRO_LONG,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BYTES,
    AVRO_STRING,
    AVRO_RECORD,
    AVRO_ENUM,
    AVRO_ARRAY,
    AVRO_MAP,
    AVRO_UNION,
    AVRO_FIXED,
    AVRO_MISMATCH /* resolved: a branch or symbol that the reader has no place for; `problem` says why */
};
enum kp_avro_logical {
    LOGICAL_NONE,
    LOGICAL_DATE,
    LOGICAL_TIME,
    LOGICAL_TIMESTAMP,
    LOGICAL_LOCAL,
    LOGICAL_DECIMAL,
    LOGICAL_UUID,
    LOGICAL_DURATION
};

struct kp_avro {
    enum kp_avro_kind kind;
    enum kp_avro_logical logical;
    int64_t unit_us; /* of TIME and TIMESTAMP: microseconds of one; 0: thousandths of one */
    uint32_t scale;  /* of DECIMAL */
    uint32_t size;   /* of FIXED */
    uint32_t count;  /* fields, branches, symbols; of ARRAY and MAP 1 */
    struct kp_str
        *names; /* of fields; of symbols with their quotes. Resolved: of a field that the reader lacks, none */
    const struct kp_avro **types;
    /* as it was read */
    struct kp_str name, aliases;             /* of RECORD, ENUM, FIXED; aliases: a JSON array, or none */
    struct kp_str *defaults, *field_aliases; /* of fields: JSON, or none */
    struct kp_str symbol_default;            /* of ENUM, with its quotes, or none */
    /* resolved */
    enum kp_avro_kind as; /* what a number, bytes or string is shown as; NULL: as what it is */
    struct kp_str added;  /* of RECORD: members that the reader has by default, as JSON without braces */
    const char *problem;
};

/* One value by a type that is no union, record, array or map. */
KP_MUST enum kp_code kp_avro_put_number(const struct kp_avro *avro, int64_t value, struct kp_buf *out,
                                        struct kp_error *err);
KP_MUST enum kp_code kp_avro_put_bytes(const struct kp_avro *avro, struct kp_str bytes, struct kp_buf *out,
                                       struct kp_error *err);
/* The elements of a JSON array, none if it is none; in arena. */
uint32_t kp_avro_elements(struct kp_str array, struct kp_arena *arena, struct kp_str **ret_items);

#endif
