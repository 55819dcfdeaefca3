/*
 * SQL text to bound plans: split, parse, bind.
 *
 *   script ─ kp_sql_split ─► statements' texts ─ kp_sql_parse ─► kp_statement ─ kp_sql_bind_… ─► kp_plan_root,
 * kp_relation
 *
 * Errors carry PostgreSQL's SQLSTATE and words, and err->position: the 1-based character in the statement's text.
 * Threads: any; binding reads the catalog, so the caller holds its lock (kp_catalog_read) around kp_sql_bind_*.
 */
#ifndef KP_SQL_SQL_H
#define KP_SQL_SQL_H

#include "sql/statement.h"

/*
 * Finds the first statement of a script: *ret_len bytes of it, without the semicolon; *ret_next where the next one may
 * begin (== script.len: nothing is left). Comments, quotes, dollar quotes and parentheses are respected. A piece that
 * holds only blanks and comments has *ret_len 0.
 */
void kp_sql_split(struct kp_str script, size_t *ret_start, size_t *ret_len, size_t *ret_next);

/*
 * Parses exactly one statement (a trailing semicolon is fine; a second statement is 42601). Text, tree and statement
 * live in the arena. Limits of base/limits.h hold before the grammar sees the text. Runs PostgreSQL's parser on a
 * thread with a stack of known size.
 */
KP_MUST enum kp_code kp_sql_parse(struct kp_str text, struct kp_arena *arena, struct kp_statement **ret_statement,
                                  struct kp_error *err);

/* What a name in a query may mean besides the catalog. Zero-initialized but for catalog and settings is valid. */
struct kp_sql_context {
    const struct kp_catalog *catalog;
    const struct kp_session_settings *settings; /* for literals: the zone */
    const struct kp_type *param_types;          /* declared types of $1…; id NONE or UNKNOWN: to be inferred */
    uint32_t param_count;
    const char *user, *database;                         /* NULL: "kappa" */
    const char *(*setting)(void *arg, const char *name); /* current_setting(): NULL if unknown */
    void *setting_arg;
};

/*
 * QUERY, and SUBSCRIBE to a query. A SUBSCRIBE to a name binds as SELECT * FROM name. Parameter types are in the root.
 * EXPLAIN: bind its inner.
 */
KP_MUST enum kp_code kp_sql_bind_query(const struct kp_sql_context *context, const struct kp_statement *statement,
                                       struct kp_plan_root **ret_root, struct kp_error *err);

/*
 * Writes. The plan yields
 *   INSERT: the full rows, all visible columns of the relation in its order, defaults filled in;
 *   UPDATE: key_count old key columns, then the full new rows;
 *   DELETE: key_count key columns.
 * Values have their column's type and typmod. NOT NULL is the writer's to check (cols[i].not_null, 23502).
 */
enum kp_write_kind { KP_WRITE_INSERT, KP_WRITE_UPDATE, KP_WRITE_DELETE };
struct kp_bound_write {
    enum kp_write_kind kind;
    struct kp_relation *relation; /* referenced */
    struct kp_plan_root *root;    /* owned */
    enum kp_conflict conflict;
};
void kp_bound_write_release(struct kp_bound_write *write); /* NULL is fine; frees write too */
KP_MUST enum kp_code kp_sql_bind_write(const struct kp_sql_context *context, const struct kp_statement *statement,
                                       struct kp_bound_write **ret_write, struct kp_error *err);
/* COPY IN: the relation (referenced) and, for each column of the input, its index in the relation. */
KP_MUST enum kp_code kp_sql_bind_copy(const struct kp_sql_context *context, const struct kp_statement *statement,
                                      struct kp_relation **ret_relation, uint32_t **ret_columns, uint32_t *ret_count,
                                      struct kp_error *err);

/*
 * CREATE (all kinds but topics), ALTER MATERIALIZED VIEW … AS, ALTER SOURCE … (…): the relation as declared, with one
 * reference, not yet in the catalog; id, version and position are the caller's to fill. 42P07 if the name is taken
 * (of CREATE; the caller handles if_not_exists before: kp_catalog_find). Types, keys, watermark and options are
 * checked; option defaults are not filled in. A view's plan is bound as a view: volatile functions, bare now() and
 * LIMIT without ORDER BY are refused.
 */
KP_MUST enum kp_code kp_sql_bind_create(const struct kp_sql_context *context, const struct kp_statement *statement,
                                        struct kp_relation **ret_relation, struct kp_error *err);
/* CREATE TOPIC's and ALTER TOPIC's options are known and well formed. */
KP_MUST enum kp_code kp_sql_check_topic(const struct kp_statement *statement, struct kp_error *err);

/* EXECUTE's arguments as VALUES of one row, cast to the prepared statement's types; bind, run (one row), use as
 * parameters. */
KP_MUST enum kp_code kp_sql_bind_execute(const struct kp_sql_context *context, const struct kp_statement *statement,
                                         const struct kp_type *types, uint32_t type_count,
                                         struct kp_plan_root **ret_root, struct kp_error *err);

/* How options are written: "true", "on", "1" …; numbers; durations ("10s", "5 minutes", PostgreSQL intervals). */
KP_MUST enum kp_code kp_sql_option_bool(const char *name, const char *value, bool *ret_value, struct kp_error *err);
KP_MUST enum kp_code kp_sql_option_int(const char *name, const char *value, int64_t min, int64_t max,
                                       int64_t *ret_value, struct kp_error *err);

/* "10GiB", "512 MB", "1000"; units are of 1024; "unlimited": -1. */
KP_MUST enum kp_code kp_sql_option_bytes(const char *name, const char *value, int64_t *ret_bytes, struct kp_error *err);

/* Levenshtein distance of two names, ASCII case ignored: suggestions. */
size_t kp_sql_distance(struct kp_str a, struct kp_str b);

#endif
