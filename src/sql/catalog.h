/*
 * The catalog of relations: what names mean. db/ fills it from the log's catalog records; the binder looks names up.
 *
 * A relation is immutable once added but for `attached` (db's own) and is reference counted, so that a plan may outlive
 * a DROP. A materialized view has versions: relations of one name; the catalog's name leads to the promoted one.
 *
 * Threads: kp_catalog_read/unlock around lookups and binding, kp_catalog_write/unlock around changes; reference counts
 * are atomic.
 */
#ifndef KP_SQL_CATALOG_H
#define KP_SQL_CATALOG_H

#include <stdatomic.h>

#include "sql/plan.h"

enum kp_relation_kind {
    KP_RELATION_SOURCE,     /* rows decoded from a topic; grows */
    KP_RELATION_TABLE,      /* the latest row of each key of a topic: upserts and deletes */
    KP_RELATION_VIEW,       /* materialized view */
    KP_RELATION_PLAIN_VIEW, /* CREATE VIEW: expanded where it is used */
    KP_RELATION_SINK,
    KP_RELATION_SYSTEM, /* kappa.*, pg_catalog.*, information_schema.*: rows made when asked */
    KP_RELATION_SEQUENCE,
    KP_RELATION_TYPE, /* CREATE TYPE … AS ENUM; these three are in schemas of their own, not among relations */
    KP_RELATION_DOMAIN,
    KP_RELATION_FUNCTION, /* CREATE FUNCTION, inlined where it is called */
    KP_RELATION_FAILED    /* any of the others, of which the log has a definition that is refused today (db/failed.c) */
};

struct kp_option {
    const char *name, *value;
};

/* What a row of a source or table must be (flow/check.h). */
struct kp_check {
    const char *name;     /* CHECK: of the constraint */
    struct kp_expr *expr; /* over the relation's columns: may not be false; of a domain: fails itself */
    bool domain;          /* a column's; these come first, the others by name */
};

/*
 * Numbers, each of which is given once: what CREATE and ALTER say, and how far they went. A number is of the sequence
 * for good once a record in the log says that it may be drawn. Guarded by sequence.c's mutex but for what says whose it
 * is, which is the catalog's.
 */
struct kp_sequence {
    enum kp_type_id type;
    int64_t start, increment, min, max, cache;
    bool cycle;
    bool called;      /* `last` has been drawn; false: it is next */
    int64_t last;     /* drawn last */
    uint32_t left;    /* how many more may be drawn without a record */
    uint32_t stretch; /* how many the next record takes; 0: the least */

    uint32_t owner, owner_column; /* the table's number (0: none) that it goes with, and its column */
    bool implicit;                /* the column is serial or identity: it came with the table */
    bool identity;                /* GENERATED … AS IDENTITY */
    bool always;                  /* of an identity: only OVERRIDING SYSTEM VALUE gives another */
};

/* What a view does about records of its sources that expire (db/retention.h). */
enum kp_on_expiry {
    KP_ON_EXPIRY_KEEP,    /* not said: their rows stay in its answer, as a logged base */
    KP_ON_EXPIRY_RETRACT, /* their rows leave its answer */
    KP_ON_EXPIRY_HOLD     /* they may not expire */
};

struct kp_relation {
    uint32_t id; /* never reused */
    enum kp_relation_kind kind;
    const char *schema; /* "public", "kappa", "pg_catalog", "information_schema" */
    const char *name;
    uint32_t version; /* of a view or source declaration, from 1 */
    int64_t position; /* of the catalog record that made it */
    uint32_t col_count;
    struct kp_column *cols;
    uint32_t hidden_count; /* the last columns are hidden from SELECT *: record offset, time … */
    uint8_t *origins;      /* sources and tables: col_count times enum kp_field_origin; NULL else */
    const char **paths;    /* the same: where in the record, or which header; an entry NULL: by the column's name */

    /* sources and tables */
    const char *topic;
    uint32_t made_topic; /* tables: number of the topic that CREATE made for it without being told one, which goes with
                            it; 0: none */
    uint32_t option_count;
    struct kp_option *options; /* WITH (…), names lower case, checked */
    struct kp_expr **defaults; /* col_count, NULL: none; evaluated at INSERT */
    struct kp_relation *
        *sequences;     /* tables: the same, of serial and identity columns; NULL: it has none. Referenced */
    uint32_t key_count; /* tables: PRIMARY KEY, or kp_relation_keyless; views: a known unique key, 0 if none; sinks: the
                           records' */
    uint32_t *keys;
    int32_t watermark_column; /* -1: none */
    int64_t watermark_delay_us;

    /* tables: every record as a row, a source of its own over the same topic (sql/system_time.c). Behind the table's
     * columns its own: kp_version_column. Who holds it holds the table; in no catalog */
    struct kp_relation *versions;    /* owned */
    struct kp_relation *versions_of; /* of such a relation: the table */

    /* tables that were altered: records before the position `since` are read by the declaration of then, and its
     * columns are put in their places (flow/reader.h) */
    struct kp_relation *former; /* referenced; NULL: it stands as it was made */
    _Atomic int64_t since;      /* INT64_MAX: until its record is in the log */
    int32_t *former_columns;    /* col_count: the former's column; -1: it had none, and the value is */
    struct kp_datum *absent;    /* col_count: this one */

    /* views */
    const char *text;          /* the statement that made it, as it was sent */
    struct kp_plan_root *plan; /* owned */
    bool emit_on_close, skip_errors;
    struct kp_relation *errors;  /* what <view>_errors names; owned */
    struct kp_relation *late_of; /* it reads the late rows of this view; referenced */
    enum kp_on_expiry on_expiry;

    /* sinks */
    struct kp_relation *sink_from; /* referenced */

    struct kp_sequence *sequence; /* sequences */

    /* behind the last commits of transactions that had locked it as a whole, or rows of it; db/reads.c */
    int64_t locked_at, rows_locked_at;

    const char *errors_of; /* system table: the error rows of the view of this name; NULL: of no view */
    bool never_rows;       /* system tables of what there is not: never a row */
    uint32_t also_unique;  /* system tables: 1 + a column that is unique too (names, beside oids); 0: none */
    bool *never_values;    /* system tables: columns that are always NULL; NULL: none */
    /* system tables: fills batches; called without locks held (db/system.c) */
    enum kp_code (*system_scan)(void *db, const struct kp_relation *relation, struct kp_arena *arena,
                                struct kp_batch **ret_batch, struct kp_error *err);

    /* types, domains: the type, or the base type; functions: the result's */
    struct kp_type made;
    const char *function; /* functions: the name; `name` has the types of its parameters too */
    /* failed */
    enum kp_relation_kind declared;   /* what it would be */
    struct kp_error *failure;         /* why it is not */
    struct kp_sequence_note *numbers; /* of a table: what its columns have drawn, the newest first */

    const char *time_zone, *user; /* that its statement was run with; NULL: of system tables */

    struct kp_relation *
        *domains;         /* sources, tables: the domain of each column or NULL; borrowed from `uses`; NULL: none */
    uint32_t check_count; /* sources, tables */
    struct kp_check *checks;
    uint32_t use_count; /* types, domains and functions that this uses; referenced */
    struct kp_relation **uses;

    struct kp_arena arena; /* holds all of the above */
    _Atomic uint32_t references;
    void *attached; /* db's: graph node, store, versions */
};

/* The last number that a serial column of a failed table may have drawn. */
struct kp_sequence_note {
    const char *column;
    int64_t last;
    struct kp_sequence_note *next;
};

/* Whether a column that is NOT NULL could be NULL before its table was altered. */
bool kp_relation_was_null(const struct kp_relation *relation, uint32_t column);

/* What it is, or would be if its definition were taken. */
static inline enum kp_relation_kind kp_relation_declared(const struct kp_relation *relation)
{
    return relation->kind == KP_RELATION_FAILED ? relation->declared : relation->kind;
}

/* A table without PRIMARY KEY: its key is a hidden column, the record's key, which INSERT makes up. */
static inline bool kp_relation_keyless(const struct kp_relation *relation)
{
    return relation->kind == KP_RELATION_TABLE && relation->key_count > 0 &&
           relation->keys[0] >= relation->col_count - relation->hidden_count;
}
/* NULL: the column has none. */
static inline struct kp_sequence *kp_relation_sequence(const struct kp_relation *relation, uint32_t column)
{
    return relation->sequences && relation->sequences[column] ? relation->sequences[column]->sequence : NULL;
}
/* The relation goes with the table: a sequence of one of its columns. */
static inline bool kp_relation_is_owned(const struct kp_relation *relation, const struct kp_relation *table)
{
    return relation->sequence && relation->sequence->owner && relation->sequence->owner == table->id;
}
/* Columns of the key that was declared, or of a view is known. */
static inline uint32_t kp_relation_key_count(const struct kp_relation *relation)
{
    return kp_relation_keyless(relation) ? 0 : relation->key_count;
}
/* The domain's base type, or an array of it, called by the domain; NULL: by none. */
static inline struct kp_type kp_relation_domain_type(const struct kp_relation *domain, struct kp_type type)
{
    type.domain = !domain ? 0 : domain->id + (type.id == domain->made.id ? 0 : KP_DOMAIN_ARRAYS);
    return type;
}
/* Where its names are: "public" of relations. */
const char *kp_relation_schema(enum kp_relation_kind kind);
/* Nobody makes anything there. */
bool kp_schema_is_system(const char *schema);
/* "materialized view" and the like, for messages. */
const char *kp_relation_kind_name(enum kp_relation_kind kind);

struct kp_catalog;
struct kp_catalog *kp_catalog_create(void);
void kp_catalog_destroy(struct kp_catalog *catalog);
void kp_catalog_read(struct kp_catalog *catalog);
void kp_catalog_write(struct kp_catalog *catalog);
void kp_catalog_unlock(struct kp_catalog *catalog);

/* A new relation with one reference, everything zero, watermark_column -1; fill it with memory from its arena. */
struct kp_relation *kp_relation_create(void);
struct kp_relation *kp_relation_ref(struct kp_relation *relation);
void kp_relation_unref(struct kp_relation *relation);                                 /* NULL is fine */
const char *kp_relation_option(const struct kp_relation *relation, const char *name); /* NULL if absent */

/* Takes over the reference. A table brings the sequences of its columns, which get names and numbers that are free.
 * They leave by themselves when another relation takes its place. KP_EXISTS (42P07) names the kind of what is there. A
 * view of a higher version may be added with `hidden`: found by kp_catalog_find_version only, until kp_catalog_promote.
 */
KP_MUST enum kp_code kp_catalog_add(struct kp_catalog *catalog, struct kp_relation *relation, bool hidden,
                                    struct kp_error *err);
void kp_catalog_remove(struct kp_catalog *catalog, struct kp_relation *relation);
/* Another relation in the place of one: under its number, name and version. Takes over the reference. */
void kp_catalog_replace(struct kp_catalog *catalog, struct kp_relation *old, struct kp_relation *fresh);
/* What the sequence of a column is called that comes with its table: a free name. */
const char *kp_catalog_sequence_name(const struct kp_catalog *catalog, struct kp_arena *arena, const char *table,
                                     const char *column);
/* The name must be free. */
void kp_catalog_rename(struct kp_catalog *catalog, struct kp_relation *relation, const char *name);
/* Makes this version the one that the name leads to. */
void kp_catalog_promote(struct kp_catalog *catalog, struct kp_relation *relation);
/* schema NULL or "": the search path (pg_catalog, public, kappa). NULL if not found. Borrowed: under the lock, or ref
 * it. */
struct kp_relation *kp_catalog_find(const struct kp_catalog *catalog, struct kp_str schema, struct kp_str name);
struct kp_relation *kp_catalog_find_version(const struct kp_catalog *catalog, struct kp_str name, uint32_t version);
struct kp_relation *kp_catalog_find_id(const struct kp_catalog *catalog, uint32_t id);
/* All relations, hidden versions too, in order of id. */
size_t kp_catalog_count(const struct kp_catalog *catalog);
struct kp_relation *kp_catalog_at(const struct kp_catalog *catalog, size_t index);
/* The names most like `name` (edit distance), for hints: fills at most max, returns how many. */
size_t kp_catalog_suggest(const struct kp_catalog *catalog, struct kp_str name, const char **ret_names, size_t max);
/* What a table's relation of versions has behind the table's columns. */
enum kp_version_column { KP_VERSION_POSITION, KP_VERSION_LOG_TIME, KP_VERSION_TIMESTAMP, KP_VERSION_DELETED };

/* Fails with the reason if it is a failed one. */
KP_MUST enum kp_code kp_relation_check_failed(const struct kp_relation *relation, struct kp_error *err);

/* True for `on` itself and, of a table, its versions. */
static inline bool kp_relation_is_of(const struct kp_relation *relation, const struct kp_relation *on)
{
    return relation == on || (relation->versions_of && relation->versions_of == on);
}

/* True if `relation`'s plan reads `on`, directly or through other views. */
bool kp_relation_depends_on(const struct kp_relation *relation, const struct kp_relation *on);

#endif
