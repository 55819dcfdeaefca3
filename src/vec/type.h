/*
 * Types: what a column holds, in PostgreSQL's sense, and how a value lies in memory.
 *
 *   type         bytes  in memory
 *   boolean        1    0 or 1
 *   smallint       2    int16_t
 *   integer        4    int32_t
 *   bigint         8    int64_t
 *   real           4    float
 *   double         8    double
 *   numeric       16    struct kp_numeric (vec/numeric.h)
 *   text …        16    struct kp_text: UTF-8 without NUL
 *   bytea         16    struct kp_text: any bytes
 *   date           4    int32_t days since 2000-01-01; INT32_MIN/MAX are -/+infinity
 *   time           8    int64_t microseconds since midnight
 *   timestamp      8    int64_t microseconds since 2000-01-01; INT64_MIN/MAX are -/+infinity
 *   timestamptz    8    the same, in UTC
 *   timetz        16    struct kp_timetz
 *   interval      16    struct kp_interval
 *   uuid          16    bytes
 *   json, jsonb   16    struct kp_text: the text; jsonb in its canonical form
 *   jsonpath      16    struct kp_text: the path's canonical text
 *   arrays        16    struct kp_text: the bytes of vec/array.h
 *   enums          4    int32_t: the label's number (vec/made.h)
 *   composite     16    struct kp_text: the bytes of vec/composite.h
 *   "char"         1    uint8_t: one byte, 0 for none
 *   int2vector,   16    struct kp_text: the bytes of vec/array.h; arrays in all but their text
 *     oidvector
 *
 * An array's type id is its element's plus KP_ARRAY_BASE, so that the two lead to each other by arithmetic.
 *
 * A type is an id and a modifier (varchar(10), numeric(12,2)) as PostgreSQL encodes it, -1 for none.
 */
#ifndef KP_VEC_TYPE_H
#define KP_VEC_TYPE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"

enum kp_type_id {
    KP_TYPE_NONE = 0,
    KP_BOOL,
    KP_INT2,
    KP_INT4,
    KP_INT8,
    KP_FLOAT4,
    KP_FLOAT8,
    KP_NUMERIC,
    KP_TEXT,
    KP_VARCHAR,
    KP_BPCHAR,
    KP_BYTEA,
    KP_DATE,
    KP_TIME,
    KP_TIMESTAMP,
    KP_TIMESTAMPTZ,
    KP_INTERVAL,
    KP_UUID,
    KP_JSON,
    KP_JSONB,
    KP_NAME,     /* pg_catalog's name: text of at most 63 bytes */
    KP_OID,      /* pg_catalog's oid: uint32 kept as int32_t's width */
    KP_REGCLASS, /* an oid that is written as the name of what it numbers; in expressions only, never a column's */
    KP_REGTYPE,
    KP_REGNAMESPACE,
    KP_REGPROC,
    KP_REGROLE,
    KP_JSONPATH, /* a path's canonical text (vec/jsonpath.h); in expressions and views, never a declared column's */
    KP_TIMETZ,   /* time with time zone: struct kp_timetz */
    KP_REGPROCEDURE,
    KP_CHAR,    /* pg_catalog's "char": one byte */
    KP_UNKNOWN, /* a literal not yet typed: text */
    KP_TYPE_COUNT,
    KP_ANY,                /* in signatures only: any type */
    KP_ANYELEMENT,         /* in signatures only: all of these are one type */
    KP_ANYARRAY,           /* in signatures only: arrays of KP_ANYELEMENT */
    KP_ANYNONARRAY,        /* in signatures only: any type but arrays */
    KP_ANYCOMPATIBLE,      /* in signatures only: all of these become one type */
    KP_ANYENUM,            /* in signatures only: an enum, all of these one type */
    KP_ANYRECORD,          /* in signatures only: any composite type, PostgreSQL's record */
    KP_ANYCOMPATIBLEARRAY, /* in signatures only: arrays that become arrays of KP_ANYCOMPATIBLE */
    KP_ARRAY_BASE = 128,   /* + an element's id */
    KP_INT4_ARRAY = KP_ARRAY_BASE + KP_INT4,
    KP_TEXT_ARRAY = KP_ARRAY_BASE + KP_TEXT,
    KP_ARRAY_END = KP_ARRAY_BASE + KP_TYPE_COUNT,
    KP_VECTOR_BASE = 2 * KP_ARRAY_BASE, /* + an element's id: pg_catalog's arrays whose text is numbers with spaces */
    KP_INT2VECTOR = KP_VECTOR_BASE + KP_INT2,
    KP_OIDVECTOR = KP_VECTOR_BASE + KP_OID,
    KP_MADE_BASE = 4096, /* what comes by CREATE TYPE (vec/made.h): bit 0 of an array, bit 1 of a composite type */
    KP_TYPE_ID_MAX = 1 << 24
};

static inline bool kp_type_is_enum(enum kp_type_id id)
{
    return id >= KP_MADE_BASE && !(id & 3);
}
static inline bool kp_type_is_composite(enum kp_type_id id)
{
    return id >= KP_MADE_BASE && (id & 3) == 2;
}
static inline bool kp_type_is_vector(enum kp_type_id id)
{
    return id == KP_INT2VECTOR || id == KP_OIDVECTOR;
}
static inline bool kp_type_is_array(enum kp_type_id id)
{
    return (id > KP_ARRAY_BASE && id < KP_ARRAY_END) || (id >= KP_MADE_BASE && id & 1) || kp_type_is_vector(id);
}
static inline enum kp_type_id kp_type_array_of(enum kp_type_id element)
{
    return (enum kp_type_id)(element >= KP_MADE_BASE ? element + 1 : element + KP_ARRAY_BASE);
}
/* Of an array. */
static inline enum kp_type_id kp_type_element(enum kp_type_id array)
{
    if (kp_type_is_vector(array))
        return (enum kp_type_id)(array - KP_VECTOR_BASE);
    return (enum kp_type_id)(array >= KP_MADE_BASE ? array - 1 : array - KP_ARRAY_BASE);
}

struct kp_type {
    enum kp_type_id id;
    int32_t mod;
    uint32_t domain; /* the number of the domain that it is called by, or + KP_DOMAIN_ARRAYS of an array of such; 0: of
                        none. For those who name types; values are the base type's, and types that differ here equal */
};

/* The number that the catalog gives to arrays of a domain, less the domain's. */
enum { KP_DOMAIN_ARRAYS = 0x60000000 };

#define KP_TYPE(id) ((struct kp_type){(id), -1, 0})
/* The array of such elements, which are no arrays; the elements of such an array. */
static inline struct kp_type kp_type_to_array(struct kp_type element)
{
    return (struct kp_type){kp_type_array_of(element.id), element.mod,
                            element.domain ? element.domain + KP_DOMAIN_ARRAYS : 0};
}
static inline struct kp_type kp_type_to_element(struct kp_type array)
{
    return (struct kp_type){kp_type_element(array.id), array.mod,
                            array.domain > KP_DOMAIN_ARRAYS ? array.domain - KP_DOMAIN_ARRAYS : 0};
}
/* A type that is called by a domain without the domain. */
static inline struct kp_type kp_type_base(struct kp_type type)
{
    if (type.domain < KP_DOMAIN_ARRAYS)
        type.domain = 0;
    return type;
}

struct kp_type_info {
    enum kp_type_id id;
    const char *name;       /* as PostgreSQL's format_type prints it: "double precision" */
    const char *short_name; /* pg_type.typname: "float8" */
    uint32_t oid;           /* PostgreSQL's */
    int16_t pg_len;         /* pg_type.typlen: -1 variable */
    uint8_t bytes;          /* width of a value in a vector */
    char category;          /* pg_type.typcategory: 'N', 'S', 'D', 'B', 'T', 'U', 'A', 'X' */
    bool preferred;         /* pg_type.typispreferred */
    bool string;            /* a struct kp_text: texts, but also arrays, whose bytes are no text */
};
const struct kp_type_info *kp_type_info(enum kp_type_id id);
/* By any of its SQL names ("int", "int4", "integer", "timestamp without time zone", …), case folded already; NONE if
 * unknown. */
enum kp_type_id kp_type_by_name(struct kp_str name);
enum kp_type_id kp_type_by_oid(uint32_t oid);  /* NONE if unknown */
const char *kp_type_pseudo_name(uint32_t oid); /* "anyarray": one of those that only signatures have; NULL: none */
/* Appends e.g. "numeric(12,2)". */
void kp_type_print(struct kp_type type, struct kp_buf *out);
/* Whether equal values of it may look different (1.0 and 1.00, -0 and 0, '24h' and '1 day'): a group shows the least.
 */
static inline bool kp_type_has_faces(enum kp_type_id id)
{
    if (kp_type_is_array(id))
        id = kp_type_element(id);
    return id == KP_NUMERIC || id == KP_FLOAT4 || id == KP_FLOAT8 || id == KP_INTERVAL || id == KP_BPCHAR ||
           id == KP_JSONB || kp_type_is_composite(id);
}
#define KP_CASE_OIDS                                                                                                   \
    case KP_OID:                                                                                                       \
    case KP_REGCLASS:                                                                                                  \
    case KP_REGTYPE:                                                                                                   \
    case KP_REGNAMESPACE:                                                                                              \
    case KP_REGPROC:                                                                                                   \
    case KP_REGROLE:                                                                                                   \
    case KP_REGPROCEDURE
static inline bool kp_type_is_reg(enum kp_type_id id)
{
    return (id >= KP_REGCLASS && id <= KP_REGROLE) || id == KP_REGPROCEDURE;
}
static inline bool kp_type_equal(struct kp_type a, struct kp_type b)
{
    return a.id == b.id && a.mod == b.mod;
}

/*
 * Text of any length in 16 bytes: up to 12 bytes inline, else a prefix of 4 and a pointer. Unused bytes are zero, so
 * two inline texts are equal exactly when their 16 bytes are.
 */
struct kp_text {
    uint32_t len;
    char prefix[4]; /* first bytes, of inline ones too */
    union {
        char rest[8];
        const char *ptr; /* all bytes, len > 12 */
    };
};
enum { KP_TEXT_INLINE_BYTES = 12 };
_Static_assert(sizeof(struct kp_text) == 16, "a text is 16 bytes");

static inline const char *kp_text_bytes(const struct kp_text *text)
{
    return text->len <= KP_TEXT_INLINE_BYTES ? text->prefix : text->ptr;
}
static inline struct kp_str kp_text_str(const struct kp_text *text)
{
    return (struct kp_str){kp_text_bytes(text), text->len};
}
/* Borrows ptr when len > 12: it must live as long as the text. */
static inline struct kp_text kp_text_make(const char *ptr, size_t len)
{
    struct kp_text text;
    memset(&text, 0, sizeof text);
    text.len = (uint32_t)len;
    if (len <= KP_TEXT_INLINE_BYTES) {
        if (len)
            memcpy(text.prefix, ptr, len);
    } else {
        memcpy(text.prefix, ptr, 4);
        text.ptr = ptr;
    }
    return text;
}
static inline bool kp_text_equal(const struct kp_text *a, const struct kp_text *b)
{
    uint64_t a_head, b_head;
    memcpy(&a_head, a, 8);
    memcpy(&b_head, b, 8);
    if (a_head != b_head)
        return false;
    if (a->len <= KP_TEXT_INLINE_BYTES)
        return memcmp(a->rest, b->rest, 8) == 0;
    return memcmp(a->ptr, b->ptr, a->len) == 0;
}
/* By bytes: collation C. */
static inline int kp_text_compare(const struct kp_text *a, const struct kp_text *b)
{
    return kp_str_compare(kp_text_str(a), kp_text_str(b));
}

struct kp_interval {
    int64_t us;
    int32_t days;
    int32_t months;
};
_Static_assert(sizeof(struct kp_interval) == 16, "an interval is 16 bytes");

/* A time of day and the zone it is told in: seconds west of UTC, as PostgreSQL keeps them. */
struct kp_timetz {
    int64_t us; /* since midnight there */
    int32_t west_s;
    int32_t zero; /* always zero: equal values have equal bytes */
};
_Static_assert(sizeof(struct kp_timetz) == 16, "a time with its zone is 16 bytes");
enum { KP_ZONE_SECONDS_END = 16 * 3600 }; /* a zone's distance from UTC is less: what PostgreSQL reads, too */
static inline bool kp_zone_seconds_fit(int64_t seconds)
{
    return seconds > -KP_ZONE_SECONDS_END && seconds < KP_ZONE_SECONDS_END;
}

/* In PostgreSQL's order, by the instant and then by the zone: one number for each value. Of any bytes, under NULLs. */
static inline int64_t kp_timetz_key(const struct kp_timetz *value)
{
    uint64_t instant_us = (uint64_t)value->us + (uint64_t)value->west_s * 1000000;
    return (int64_t)(instant_us * 131072 + (uint64_t)value->west_s + KP_ZONE_SECONDS_END);
}

/*
 * Exact decimals in 16 bytes. `kind` SMALL: the value is coef × 10^-scale, scale being PostgreSQL's display scale
 * (0 to 18 for SMALL). BIG: digits behind `big`, immutable, living as long as the vector's strings (vec/numeric.h).
 */
enum kp_numeric_kind { KP_NUMERIC_SMALL, KP_NUMERIC_BIG, KP_NUMERIC_NAN, KP_NUMERIC_POS_INF, KP_NUMERIC_NEG_INF };
struct kp_numeric {
    union {
        int64_t coef;
        const struct kp_numeric_big *big;
    };
    uint16_t scale;
    uint8_t kind;
    uint8_t zero[5]; /* always zero: equal SMALL values of one scale have equal bytes */
};
_Static_assert(sizeof(struct kp_numeric) == 16, "a numeric is 16 bytes");

/* One value: constants, parameters, keys. Big and long ones point outside (arena). */
struct kp_datum {
    struct kp_type type;
    bool null;
    union {
        bool b;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
        struct kp_numeric numeric;
        struct kp_text text;
        struct kp_interval interval;
        struct kp_timetz timetz;
        uint8_t raw[16];
    };
};

#endif
