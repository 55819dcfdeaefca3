/* Statements that change the catalog (db/ddl.c, db/versions.c). */
#ifndef KP_DB_DDL_H
#define KP_DB_DDL_H

#include "db/instance.h"
#include "sql/sql.h"

struct kp_session;

/* How a statement is run: for a session (jobs are started and waited for) or while opening (the catalog only). */
struct kp_ddl {
    struct kp_db *db;
    struct kp_session *session; /* NULL: replaying */
    struct kp_session_settings settings;
    struct kp_catalog_record record;
    bool replaying;
    int64_t position;           /* of the record */
    int64_t end;                /* behind what was written with it */
    const _Atomic bool *cancel; /* of the session; NULL: never */
    /* NOTICE for the client, or NULL. */
    void (*notice)(void *arg, const char *severity, const struct kp_error *notice);
    void *notice_arg;
    const struct kp_sql_context *context;
    bool mends; /* set by CREATE OR REPLACE of what had failed */
    /* CREATE TABLE AS: the rows, written with the record; their topic is the one that is made, which must be empty */
    bool fills;
    struct kp_log_entry *rows;
    size_t row_count; /* batches of them */
};

/* For a statement of this session. */
void kp_ddl_init(struct kp_ddl *ddl, struct kp_session *session, const struct kp_sql_context *context);

/* CREATE …, DROP …, CREATE TOPIC, ALTER …, REFRESH. Returns when the effect is there (a view is READY). */
KP_MUST enum kp_code kp_ddl_run(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err);
/* True for the kinds that kp_ddl_run takes. */
bool kp_ddl_is(const struct kp_statement *statement);

/* The statement with the schemas that it names by file in its text (schema_files.c); itself if there are none. */
KP_MUST enum kp_code kp_ddl_inline_schemas(struct kp_db *db, const struct kp_statement *statement,
                                           struct kp_arena *arena, const struct kp_statement **ret_statement,
                                           struct kp_error *err);

/* ---- between ddl.c and versions.c; ddl_mutex is held ---- */

/* Writes the catalog record unless replaying; afterwards the effect must not fail for reasons of its own. */
KP_MUST enum kp_code kp_ddl_log(struct kp_ddl *ddl, struct kp_error *err);
/* The same of a statement that makes relations, the first of them this one, and takes so many new numbers for them. */
KP_MUST enum kp_code kp_ddl_log_made(struct kp_ddl *ddl, const struct kp_relation *first, uint32_t numbers,
                                     struct kp_error *err);
KP_MUST enum kp_code kp_ddl_alter(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_job **ret_job,
                                  struct kp_error *err);
/* DROP (drop.c). */
KP_MUST enum kp_code kp_ddl_drop(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err);
/* ALTER TYPE, ALTER DOMAIN (alter.c). */
KP_MUST enum kp_code kp_ddl_alter_object(struct kp_ddl *ddl, const struct kp_statement *statement,
                                         struct kp_error *err);
/* ALTER TABLE (alter_table.c). */
KP_MUST enum kp_code kp_ddl_alter_table(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err);
/* Waits until no backfill runs; none begins while ddl_mutex is held (alter.c). */
KP_MUST enum kp_code kp_ddl_wait_jobs(struct kp_ddl *ddl, struct kp_error *err);
/* ALTER SEQUENCE (sequence.c). */
KP_MUST enum kp_code kp_ddl_alter_sequence(struct kp_ddl *ddl, const struct kp_statement *statement,
                                           struct kp_error *err);
/* COMMENT ON (comment.c). */
KP_MUST enum kp_code kp_ddl_comment(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err);
/* Whether the engine can run a view's plan: refused here, before anything is written. */
KP_MUST enum kp_code kp_ddl_try_plan(struct kp_ddl *ddl, const struct kp_relation *relation, struct kp_error *err);
/* Whether a decoder can be made of a source's or table's declaration. */
KP_MUST enum kp_code kp_ddl_check_format(const struct kp_statement *statement, const struct kp_relation *relation,
                                         struct kp_error *err);
/* Appends a name, and `more` behind it, as a statement writes it. */
void kp_ddl_put_name(struct kp_buf *text, const char *name, const char *more);
/* What the statement's record says about how it was run, on the relation. */
void kp_ddl_keep_settings(const struct kp_ddl *ddl, struct kp_relation *relation);
/* While opening: the version that ALTER makes of a view or source failed, and those of what reads it. */
KP_MUST enum kp_code kp_ddl_fail_versions(struct kp_ddl *ddl, struct kp_relation *view, const struct kp_error *reason,
                                          struct kp_error *err);
/* Takes a relation out of the catalog, the graph and memory. */
void kp_ddl_remove(struct kp_ddl *ddl, struct kp_relation *relation);
void kp_ddl_notice(struct kp_ddl *ddl, const char *sqlstate, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Whether both are versions of one view or source, or the same. */
bool kp_ddl_is_version_of(const struct kp_relation *relation, const struct kp_relation *of);
/* The other version of that name; NULL: there is none. */
struct kp_relation *kp_ddl_other_version(struct kp_catalog *catalog, const struct kp_relation *relation);

#endif
