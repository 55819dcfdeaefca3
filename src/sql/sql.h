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
    const char *user, *database; /* NULL: "kappa" */
    uint32_t pid;                /* of the session, as its client knows it */
    bool replaying;              /* a statement of the log: what was taken once is, whatever is refused today */
    bool again;                  /* CREATE of what stands in the catalog under its name: it is bound again */
    bool *ret_locks;             /* set where FOR UPDATE or the like stands; NULL: nobody asks */
};

/*
 * QUERY, and SUBSCRIBE to a query. A SUBSCRIBE to a name binds as SELECT * FROM name. Parameter types are in the root.
 * EXPLAIN: bind its inner.
 */
KP_MUST enum kp_code kp_sql_bind_query(const struct kp_sql_context *context, const struct kp_statement *statement,
                                       struct kp_plan_root **ret_root, struct kp_error *err);

/*
 * Writes. The plan yields rows, of which `extra_count` last columns are there for RETURNING only:
 *   INSERT  the full rows, all visible columns of the relation in its order, defaults filled in
 *   UPDATE  key_count old key columns, the full new rows, extras
 *   DELETE  key_count key columns; with RETURNING the full old rows, extras
 *   MERGE   an integer (enum kp_merge_act), key_count old key columns, the full new rows (NULLs where there is none)
 *   QUERY   what the client gets: a SELECT around INSERT, UPDATE or DELETE in its WITH
 * Values have their column's type and typmod and belong to their domains. NOT NULL is the writer's to check
 * (cols[i].not_null, 23502). The same row may come several times (UPDATE … FROM): the first one counts.
 *
 * The other plans read rows that the writer has gathered, by scans of `rows`, a relation made for that:
 *   conflict   ON CONFLICT DO UPDATE: the row that is there, the row proposed, a bigint that numbers them; yields the
 *              number and the full new row of those to be updated, in order of the numbers
 *   returning  the row written (DELETE: the old one), extras, a number; yields result_count columns, in that order
 */
enum kp_write_kind { KP_WRITE_INSERT, KP_WRITE_UPDATE, KP_WRITE_DELETE, KP_WRITE_MERGE, KP_WRITE_QUERY };
enum kp_merge_act { KP_MERGE_NOTHING, KP_MERGE_INSERT, KP_MERGE_UPDATE, KP_MERGE_DELETE };
enum kp_conflict { KP_CONFLICT_ERROR, KP_CONFLICT_NOTHING, KP_CONFLICT_UPDATE };
struct kp_write_step {
    struct kp_relation *rows;  /* referenced; NULL: no such step */
    struct kp_plan_root *root; /* owned; its memory is the write's */
};
struct kp_bound_write {
    enum kp_write_kind kind;
    struct kp_relation *relation; /* referenced; NULL of a QUERY */
    struct kp_plan_root *root;    /* owned */
    uint32_t extra_count;
    enum kp_conflict on_conflict;
    struct kp_write_step conflict, returning;
    /* INSERT, UPDATE and DELETE in WITH: done before it, in order, all from the rows as they were before. */
    struct kp_bound_write **withs; /* owned */
    uint32_t with_count;
    struct kp_relation *result; /* of one of `withs` that returns rows: what the others read them as; referenced */
};
void kp_bound_write_release(struct kp_bound_write *write); /* NULL is fine; frees write too */
/* Whether the statement writes rows: kp_sql_bind_write is for it. */
bool kp_statement_writes(const struct kp_statement *statement);
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
/* The function of a name, and of these parameter types in parentheses; args NULL: the only one. 42883, 42725. */
KP_MUST enum kp_code kp_sql_find_function(const struct kp_sql_context *context, const char *name, const char *args,
                                          struct kp_relation **ret_function, struct kp_error *err);
/* The name that a statement gives its function, with the types of its parameters; KP_NOT_FOUND: one is not known. */
KP_MUST enum kp_code kp_sql_function_name(const struct kp_sql_context *context, struct kp_str text,
                                          struct kp_arena *arena, const char **ret_name);
/* The n-th name of the functions that are no kernels: of the session, and of windows only. False: there are fewer. */
bool kp_sql_session_function(uint32_t n, const char **ret_name);
bool kp_sql_window_function(uint32_t n, const char **ret_name);
/* CREATE TOPIC's and ALTER TOPIC's options are known and well formed. */
KP_MUST enum kp_code kp_sql_check_topic(const struct kp_statement *statement, struct kp_error *err);

/* A source's or table's options go with its format and its watermark: else they would do nothing. */
KP_MUST enum kp_code kp_sql_check_fitting(const struct kp_relation *relation, struct kp_error *err);

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

/*
 * What a statement's first words say that it makes or changes, and the words that may be names in it: of a text that is
 * refused, so nothing but words is understood. Names are folded, in the arena.
 */
enum kp_declares { KP_DECLARES_NOTHING, KP_DECLARES_CREATE, KP_DECLARES_ALTER, KP_DECLARES_DROP, KP_DECLARES_COMMENT };
struct kp_declared {
    enum kp_declares what;
    enum kp_relation_kind kind;
    const char *name, *args; /* args: of a function, between its parentheses */
    bool or_replace;
    bool promotes;   /* ALTER … PROMOTE, ROLLBACK */
    size_t name_end; /* byte behind the name */
};
void kp_sql_declared(struct kp_str text, struct kp_arena *arena, struct kp_declared *ret_declared);
void kp_sql_each_word(struct kp_str text, size_t from, struct kp_arena *arena,
                      void (*each)(void *arg, const char *word), void *arg);

/* Levenshtein distance of two names, ASCII case ignored: suggestions. */
size_t kp_sql_distance(struct kp_str a, struct kp_str b);

/*
 * The index-th option there is, for people: what it is an option of, what its value may be (both appended), what it
 * does. False: no more.
 */
bool kp_sql_option_describe(size_t index, const char **ret_name, struct kp_buf *owners, struct kp_buf *value,
                            const char **ret_doc);

#endif
