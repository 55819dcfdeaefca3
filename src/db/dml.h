/*
 * Inside db/: a relation being written by one statement (target.c), for dml.c and copy_in.c.
 *
 *   table    key: JSON array of the key columns; value: the row as a JSON object, or null for a delete
 *            without PRIMARY KEY: the key is a text that INSERT makes up
 *   source   no key; value: the row as a JSON object, inside the objects of the source's `path`
 */
#ifndef KP_DB_DML_H
#define KP_DB_DML_H

#include "db/session.h"

struct kp_write_target {
    struct kp_session *session;
    struct kp_relation *relation;
    struct kp_live *live; /* tables: pinned; NULL of one that is being made */
    struct kp_snapshot snapshot;
    bool own_snapshot;
    uint32_t topic, partitions;
    const char **names;
    bool whole;               /* its records must have all fields */
    struct kp_checks *checks; /* NULL: any row may be there */
    size_t first;             /* of the statement's own writes */
};

/* Fails if the relation cannot be written; finish in any case. */
KP_MUST enum kp_code kp_target_init(struct kp_write_target *target, struct kp_session *session,
                                    struct kp_relation *relation, struct kp_error *err);
/* Of a table that is being made, and has no row and no topic yet. */
void kp_target_init_new(struct kp_write_target *target, struct kp_session *session, struct kp_relation *relation);
void kp_target_finish(struct kp_write_target *target);

/* What is known of a key: its last write in this transaction, or the row at the snapshot. */
struct kp_write_key {
    struct kp_datum *values;            /* in writes_arena, as deep as they go */
    struct kp_str text;                 /* likewise */
    bool taken;                         /* a row of it is there now */
    bool existed;                       /* and was before the transaction */
    bool touched;                       /* by this statement */
    const struct kp_pending_write *own; /* until the next write */
};
/* cols[i] the column of the i-th key column in `batch`. */
KP_MUST enum kp_code kp_target_key(struct kp_write_target *target, const struct kp_batch *batch, const uint32_t *cols,
                                   uint32_t row, struct kp_write_key *ret_key, struct kp_error *err);
/* The same of the key's values, which are in writes_arena. */
KP_MUST enum kp_code kp_target_key_of(struct kp_write_target *target, struct kp_datum *values,
                                      struct kp_write_key *ret_key, struct kp_error *err);
/* The row that is there of a taken key: all visible columns, in arena. */
KP_MUST enum kp_code kp_target_existing(struct kp_write_target *target, const struct kp_write_key *key,
                                        struct kp_arena *arena, struct kp_batch **ret_row, struct kp_error *err);
/* The row may be there: 23502, 23514, or what a condition fails with. rows' columns are the relation's, here and below.
 * Before its key is read. */
KP_MUST enum kp_code kp_target_check(struct kp_write_target *target, const struct kp_batch *rows, uint32_t row,
                                     struct kp_error *err);
/* Puts a row that was checked at its key (NULL: of a source). */
KP_MUST enum kp_code kp_target_put(struct kp_write_target *target, const struct kp_write_key *key,
                                   const struct kp_batch *rows, uint32_t row, struct kp_error *err);
KP_MUST enum kp_code kp_target_remove(struct kp_write_target *target, const struct kp_write_key *key,
                                      struct kp_error *err);
/* A row that must be new, checked here: 23505 if its key is taken. */
KP_MUST enum kp_code kp_target_insert(struct kp_write_target *target, const struct kp_batch *rows, uint32_t row,
                                      struct kp_error *err);

#endif
