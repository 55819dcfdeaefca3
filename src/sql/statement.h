/*
 * Parsed statements: what kind, which names, which options; expressions and queries are kept as PostgreSQL's parse tree
 * for the binder. Nothing here has looked at the catalog.
 *
 * A statement and all it points to lives in the arena given to kp_sql_parse, its text too. `location` is a byte in
 * `text`, -1 if unknown.
 */
#ifndef KP_SQL_STATEMENT_H
#define KP_SQL_STATEMENT_H

#include "sql/catalog.h"

enum kp_statement_kind {
    KP_STATEMENT_EMPTY, /* only blanks and comments */
    KP_STATEMENT_QUERY, /* SELECT, VALUES, WITH, TABLE */
    KP_STATEMENT_INSERT,
    KP_STATEMENT_UPDATE,
    KP_STATEMENT_DELETE,
    KP_STATEMENT_MERGE,
    KP_STATEMENT_COPY_IN,   /* COPY t (columns) FROM STDIN */
    KP_STATEMENT_COPY_OUT,  /* COPY t | (query) | (SUBSCRIBE …) TO STDOUT: `inner` is what to run */
    KP_STATEMENT_CREATE,    /* source, table, view, materialized view, sink: `relation_kind` */
    KP_STATEMENT_CREATE_AS, /* CREATE TABLE `name` (columns) AS query, SELECT INTO: `inner`, `into`, `no_data` */
    KP_STATEMENT_CREATE_TOPIC,
    KP_STATEMENT_DROP,
    KP_STATEMENT_ALTER_VIEW,   /* of a materialized view: `alter` */
    KP_STATEMENT_ALTER_SOURCE, /* ALTER SOURCE s …: the new declaration, columns and options as in CREATE; or promote,
                                  rollback */
    KP_STATEMENT_ALTER_TOPIC, /* ALTER TOPIC t SET (options); … DELETE BEFORE: `alter`, `before_offset`, `partition` */
    KP_STATEMENT_REFRESH,     /* REFRESH MATERIALIZED VIEW `name` */
    KP_STATEMENT_VERIFY,      /* VERIFY MATERIALIZED VIEW `name` */
    KP_STATEMENT_EXPLAIN,     /* `explain`, `inner` */
    KP_STATEMENT_SUBSCRIBE,   /* to `name`, or to the query (tree) if name.name is NULL */
    KP_STATEMENT_SET,         /* `setting`, `value`; value NULL: to its default (RESET; setting "all": RESET ALL) */
    KP_STATEMENT_SHOW,        /* `setting`; "all": every one */
    KP_STATEMENT_BEGIN,       /* BEGIN, START TRANSACTION: `read_only` */
    KP_STATEMENT_COMMIT,
    KP_STATEMENT_ROLLBACK,
    KP_STATEMENT_SAVEPOINT,      /* `name`; these three */
    KP_STATEMENT_RELEASE,        /* RELEASE [SAVEPOINT] name */
    KP_STATEMENT_ROLLBACK_TO,    /* ROLLBACK TO [SAVEPOINT] name */
    KP_STATEMENT_PREPARE,        /* `name`, `param_types`, `inner` */
    KP_STATEMENT_EXECUTE,        /* `name`, arguments: kp_sql_bind_execute */
    KP_STATEMENT_DEALLOCATE,     /* `name`; name.name NULL: all */
    KP_STATEMENT_DISCARD,        /* `setting`: "all", "plans", "sequences", "temp" */
    KP_STATEMENT_TRUNCATE,       /* `names` */
    KP_STATEMENT_ALTER_OBJECT,   /* ALTER TYPE, ALTER DOMAIN: `relation_kind` as it is said, `name`, tree */
    KP_STATEMENT_ALTER_SEQUENCE, /* `name`, `if_exists`, tree */
    KP_STATEMENT_ALTER_TABLE,    /* `name`, `if_exists`, tree (alter_table.h) */
    KP_STATEMENT_COMMENT         /* COMMENT ON: tree (comment.h), `relation_kind` as it is said of sources and sinks */
};

enum kp_explain_kind { KP_EXPLAIN_PLAN, KP_EXPLAIN_ANALYZE, KP_EXPLAIN_REPLAY, KP_EXPLAIN_ROW };
enum kp_alter_kind {
    KP_ALTER_AS,
    KP_ALTER_PROMOTE,
    KP_ALTER_ROLLBACK,
    KP_ALTER_SET,
    KP_ALTER_DELETE_BEFORE,
    KP_ALTER_COMPACT
};
enum kp_as_of_kind { KP_AS_OF_NONE, KP_AS_OF_POSITION, KP_AS_OF_TIMESTAMP };
enum kp_copy_format { KP_COPY_TEXT, KP_COPY_CSV, KP_COPY_BINARY };

struct kp_name {
    const char *schema; /* NULL: the search path */
    const char *name;
    int32_t location;
};

/* COPY's header line; MATCH: its names must be the columns'. */
enum kp_copy_header { KP_COPY_NO_HEADER, KP_COPY_HEADER, KP_COPY_HEADER_MATCH };

/* COPY's options with PostgreSQL's defaults of the format. */
struct kp_copy_options {
    enum kp_copy_format format;
    char delimiter, quote, escape;
    enum kp_copy_header header;
    const char *null; /* text that means NULL */
};

/* Words that PostgreSQL's grammar does not know, and where they stood. */
struct kp_sql_marks {
    uint32_t asof_count;
    int32_t *asofs; /* of the items to the right of ASOF JOIN: their first bytes */
    uint32_t temporal_count;
    struct sql_temporal {
        int32_t relation; /* first byte of the name that FOR SYSTEM_TIME AS OF stands behind */
        int32_t location;
        bool joined; /* JOIN stands before the name */
        const struct PgQuery__Node *time;
    } * temporals;
    uint32_t match_count;
    struct sql_match **matches; /* MATCH_RECOGNIZE behind relations (match.h) */
};

struct kp_statement {
    enum kp_statement_kind kind;
    struct kp_arena *arena; /* borrowed */
    const char *text;       /* the whole text as given to kp_sql_parse, terminated */
    const char *tag; /* CommandComplete's tag without counts: "SELECT", "CREATE MATERIALIZED VIEW", "INSERT" … */

    struct kp_name name;                 /* CREATE, ALTER, COPY IN, SUBSCRIBE, PREPARE … : the object */
    enum kp_relation_kind relation_kind; /* CREATE; DROP (DROP TOPIC: drop_topic instead) */
    bool if_not_exists, or_replace;
    bool no_data;          /* CREATE TABLE … AS … WITH NO DATA */
    uint32_t option_count; /* WITH (…): names lower case; values as written, unquoted */
    struct kp_option *options;
    int32_t *option_locations;

    bool emit_on_close, skip_errors; /* CREATE / ALTER … MATERIALIZED VIEW */
    int32_t emit_location;           /* of EMIT ON WINDOW CLOSE in the text */
    enum kp_on_expiry on_expiry;     /* likewise */
    struct kp_name sink_from;        /* CREATE SINK s FROM v */

    uint32_t name_count; /* DROP, TRUNCATE */
    struct kp_name *names;
    const char **name_args; /* DROP FUNCTION f (types): with the parentheses; NULL: not said */
    bool drop_topic, if_exists, cascade;
    bool restart_identity; /* TRUNCATE */

    enum kp_alter_kind alter;
    int64_t before_offset; /* ALTER TOPIC … DELETE BEFORE OFFSET n [PARTITION p]; -1: all there are */
    int64_t partition;     /* -1: every partition */
    enum kp_explain_kind explain;
    bool explain_json;
    struct kp_statement *inner; /* EXPLAIN, PREPARE, COPY OUT, CREATE AS; NULL: EXPLAIN MATERIALIZED VIEW `name` */

    enum kp_as_of_kind as_of; /* QUERY, SUBSCRIBE */
    int64_t as_of_position;
    const char *as_of_timestamp; /* its text, for kp_value_parse(timestamptz) with the session's zone */

    struct kp_copy_options copy;
    uint32_t column_name_count; /* COPY t (a, b) */
    const char **column_names;

    uint32_t notice_count; /* EMPTY: what it says */
    struct kp_sql_notice {
        const char *sqlstate, *text;
    } * notices;

    const char *setting, *value;
    const char *isolation; /* BEGIN, SET: ISOLATION LEVEL, "read committed"; NULL: not said */
    bool chain;            /* COMMIT, ROLLBACK AND CHAIN */
    bool local;            /* SET LOCAL */
    bool read_only;        /* BEGIN READ ONLY */

    uint32_t param_type_count; /* PREPARE p (int, text) */
    struct kp_type *param_types;
    uint32_t param_max; /* highest $n in the text */

    uint32_t path_count; /* CREATE SOURCE, TABLE: columns that say where in the record they come from */
    struct kp_sql_path {
        const char *column, *path;
        int32_t location;
    } * paths;
    uint32_t include_count; /* INCLUDE what ['header'] [AS name] */
    struct kp_sql_include {
        const char *what, *header, *name; /* name NULL: what */
        int32_t location;
    } * includes;

    const struct kp_sql_marks *marks;

    /* the binder's: PostgreSQL's parse tree of the statement, and what it does not know */
    const struct PgQuery__Node *tree;
    const struct PgQuery__IntoClause *into; /* SELECT INTO: where it may stand */
    struct kp_sql_watermark {
        const char *column; /* NULL: none declared */
        const struct PgQuery__Node *expr;
        int32_t location;
    } watermark;
};

/* Sets err->position to where the option stands in the text (options.c). */
void kp_sql_point_at_option(const struct kp_statement *statement, uint32_t option, struct kp_error *err);

#endif
