/*
 * System tables: relations whose rows are made when they are asked for. A table is a row of the list in system.c: its
 * columns and a function that adds rows.
 */
#ifndef KP_DB_SYSTEM_H
#define KP_DB_SYSTEM_H

#include "db/session.h"
#include "vec/facts.h"

enum { KP_SYSTEM_COLUMNS_MAX = 34 };

/* Rows being made: the puts fill them from left to right, or kp_system_row begins one and the sets fill it by name. */
struct kp_system_rows {
    struct kp_arena *arena;
    const struct kp_relation *relation;
    struct kp_datum *cells;
    size_t count, cap; /* cells */
    uint32_t col_count;
};
void kp_system_put_text(struct kp_system_rows *rows, const char *text); /* NULL: null; copied */
void kp_system_put_str(struct kp_system_rows *rows, struct kp_str text);
/* By the column's type: boolean, smallint, integer, bigint, oid. */
void kp_system_put_int(struct kp_system_rows *rows, int64_t value);
void kp_system_put_float(struct kp_system_rows *rows, double value);
void kp_system_put_time(struct kp_system_rows *rows, int64_t unix_us); /* timestamptz */
void kp_system_put_null(struct kp_system_rows *rows);

/*
 * A row whose columns have no value yet: NULL if the table has no key (PostgreSQL's views) or never a value there, else
 * zero, false or empty.
 */
void kp_system_row(struct kp_system_rows *rows);
void kp_system_set_text(struct kp_system_rows *rows, const char *column, const char *text); /* NULL: null; copied */
void kp_system_set_buf(struct kp_system_rows *rows, const char *column, const struct kp_buf *text);
void kp_system_set_int(struct kp_system_rows *rows, const char *column, int64_t value);
void kp_system_set_float(struct kp_system_rows *rows, const char *column, float value);    /* float4 */
void kp_system_set_time(struct kp_system_rows *rows, const char *column, int64_t unix_us); /* timestamptz */

struct kp_system_column {
    const char *name;
    enum kp_type_id type;
    const char *doc; /* NULL: its name says it */
};
struct kp_system_table {
    const char *schema, *name;
    struct kp_system_column cols[KP_SYSTEM_COLUMNS_MAX]; /* up to the first without a name */
    /* NULL: it never has rows */
    enum kp_code (*fill)(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err);
    const char *spec;     /* instead of cols: "oid oid, nspname name, nspacl text never", never: always NULL */
    const char *key;      /* columns that are unique together, "adrelid adnum"; NULL: none */
    const char *name_key; /* a column that is unique by itself besides; NULL: none */
    const char *doc;      /* NULL: as PostgreSQL's of this name */
};

extern const struct kp_system_table kp_system_kappa[], kp_system_pg[], kp_system_proc[], kp_system_info[],
    kp_system_never[], kp_system_comments[], kp_system_types[], kp_system_stat[], kp_system_sequences[];
extern const size_t kp_system_kappa_count, kp_system_pg_count, kp_system_proc_count, kp_system_info_count,
    kp_system_never_count, kp_system_comments_count, kp_system_types_count, kp_system_stat_count,
    kp_system_sequences_count;

/* What is said about a system table, or its sub-th column; NULL: nothing. */
const char *kp_system_doc(const struct kp_relation *relation, int32_t sub);

/* What COMMENT ON said of it: facts of descriptions (comment.c); false: nothing. Under the catalog's lock. */
bool kp_system_comment(struct kp_session *session, enum kp_fact fact, uint32_t oid, int32_t sub, struct kp_buf *out);

/* The domain that a type, or the elements of an array, are called by; NULL: none. Under the catalog's lock. */
const struct kp_relation *kp_system_domain(const struct kp_session *session, struct kp_type type);
/* Its limits, as information_schema has them: length, precision, scale. */
void kp_system_set_numbers(struct kp_system_rows *rows, struct kp_type type);
/* information_schema's columns of a type: data_type, <udt>_catalog, _schema, _name; numbers: its limits, too. */
void kp_system_set_type(struct kp_session *session, struct kp_system_rows *rows, struct kp_type of, const char *udt,
                        bool numbers);

/* kappa.history: system_history.c */
KP_MUST enum kp_code kp_system_fill_history(struct kp_session *session, struct kp_system_rows *rows,
                                            struct kp_error *err);

/* kappa.log, kappa.damage: system_log.c */
KP_MUST enum kp_code kp_system_fill_log(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err);
KP_MUST enum kp_code kp_system_fill_damage(struct kp_session *session, struct kp_system_rows *rows,
                                           struct kp_error *err);

/* ---- numbers of things, as pg_catalog shows them ---- */
enum {
    KP_OID_PG_CATALOG = 11,
    KP_OID_PUBLIC = 2200,
    KP_OID_INFORMATION = 13000,
    KP_OID_KAPPA = 16000,
    KP_OID_OWNER = 10,
    KP_OID_DATABASE = 5,
    KP_OID_COLLATION = 100,     /* of all text: "default", which is C */
    KP_OID_LANGUAGE = 12,       /* internal */
    KP_OID_SQL = 14,            /* the language of functions that statements made */
    KP_OID_ARRAY_IN = 750,      /* what reads arrays, as in PostgreSQL */
    KP_OID_ROWS = 0x10000000,   /* + a relation's: the type of its rows, which pg_type does not have */
    KP_OID_KEYS = 0x20000000,   /* + a table's: the index and constraint of its primary key */
    KP_OID_CHECKS = 0x30000000, /* + KP_OID_CHECKS_EACH times a relation's or domain's, + which of its CHECKs */
    KP_OID_CHECKS_EACH = 2048,
    KP_OID_FUNCTIONS = 0x50000000
};
uint32_t kp_system_namespace(const char *schema);
static inline bool kp_system_has_key(const struct kp_relation *relation)
{
    return relation->kind == KP_RELATION_TABLE && kp_relation_key_count(relation) > 0;
}
static inline uint32_t kp_system_columns(const struct kp_relation *relation)
{
    return relation->col_count - relation->hidden_count;
}
/* Appends a column's DEFAULT as PostgreSQL shows it, a serial one's too; false: it has none. */
bool kp_system_default(const struct kp_catalog *catalog, const struct kp_relation *relation, uint32_t column,
                       struct kp_buf *out);
/* Calls fn for every relation that a name leads to. */
void kp_system_each_relation(struct kp_session *session, struct kp_system_rows *rows,
                             void (*fn)(struct kp_session *session, struct kp_system_rows *rows,
                                        const struct kp_relation *relation));
/* The n-th function or aggregate that SQL can call; false behind the last. */
struct kp_system_function {
    const char *name, *doc;
    const enum kp_type_id *args;
    uint32_t arg_count;
    enum kp_type_id ret;
    unsigned flags;
    bool aggregate;
};
bool kp_system_function(uint32_t n, struct kp_system_function *ret_function);
/* Appends "1 3" or "a, b": positions or names of the key's columns. */
void kp_system_key_print(const struct kp_relation *relation, bool names, const char *between, struct kp_buf *out);
/* What a domain's declaration says: ret_not_null, and the n-th CHECK, its name and "CHECK (…)" appended; false behind
 * the last. */
bool kp_system_domain_check(const struct kp_relation *domain, uint32_t n, bool *ret_not_null, struct kp_buf *ret_name,
                            struct kp_buf *ret_text);
/* Appends CREATE UNIQUE INDEX … of a table's key. */
void kp_system_index_print(const struct kp_relation *relation, struct kp_buf *out);
/* The query of a view, without the CREATE before it. */
struct kp_str kp_system_query_of(const struct kp_relation *relation);
/* What the catalog's functions ask (vec/facts.h); facts.arg is the session. */
void kp_system_facts(struct kp_session *session, struct kp_catalog_facts *ret_facts);

#endif
