/*
 * System tables: relations whose rows are made when they are asked for. A table is a row of the list in system.c: its
 * columns and a function that adds rows.
 */
#ifndef KP_DB_SYSTEM_H
#define KP_DB_SYSTEM_H

#include "db/session.h"

enum { KP_SYSTEM_COLUMNS_MAX = 34 };

/* Rows being made: kp_system_row begins one, the puts fill it from left to right. */
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

struct kp_system_column {
    const char *name;
    enum kp_type_id type;
};
struct kp_system_table {
    const char *schema, *name;
    struct kp_system_column cols[KP_SYSTEM_COLUMNS_MAX]; /* up to the first without a name */
    enum kp_code (*fill)(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err);
};

extern const struct kp_system_table kp_system_kappa[], kp_system_pg[];
extern const size_t kp_system_kappa_count, kp_system_pg_count;

#endif
