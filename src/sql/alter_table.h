/*
 * ALTER TABLE (alter_table.c): the table as it is declared from the statement's position on. What reads it goes on with
 * the columns that it had.
 */
#ifndef KP_SQL_ALTER_TABLE_H
#define KP_SQL_ALTER_TABLE_H

#include "sql/sql.h"

struct kp_table_notice {
    const char *sqlstate, *text;
};
/* Lives in the arena it was bound in, but for the declaration. */
struct kp_table_change {
    struct kp_relation *old;   /* borrowed, as long as nobody else may change the catalog */
    struct kp_relation *fresh; /* one reference; the old one is its former declaration. NULL: nothing is to be done */
    const struct kp_check **added; /* the fresh one's that rows were not held against */
    uint32_t added_count;
    struct kp_table_notice *notices;
    uint32_t notice_count;
};

/* Under the catalog's lock. replaying: it has happened, so what stands in its way is not asked for. */
KP_MUST enum kp_code kp_sql_bind_alter_table(const struct kp_sql_context *context, const struct kp_statement *statement,
                                             bool replaying, struct kp_arena *arena, struct kp_table_change *ret_change,
                                             struct kp_error *err);
/* Puts the fresh declaration in the old one's place, also in what was bound to that; takes over the reference. Under
 * the catalog's write lock. */
void kp_sql_alter_table(struct kp_catalog *catalog, struct kp_relation *old, struct kp_relation *fresh);

#endif
