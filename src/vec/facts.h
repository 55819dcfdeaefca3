/*
 * What the functions about the catalog (fn_catalog.c) ask the instance: pg_get_viewdef, casts to and from regclass and
 * their like. Only ad-hoc queries have somebody to ask; the functions are volatile, so that no view calls them.
 */
#ifndef KP_VEC_FACTS_H
#define KP_VEC_FACTS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "vec/type.h"

struct kp_os;

enum kp_fact {
    /* text; of kp_catalog_facts.find too, the other way round */
    KP_FACT_RELATION, /* schema-qualified where the search path does not lead to it */
    KP_FACT_TYPE,
    KP_FACT_NAMESPACE,
    KP_FACT_FUNCTION,
    KP_FACT_ROLE,
    /* text */
    KP_FACT_VIEW_DEFINITION,
    KP_FACT_INDEX_DEFINITION, /* sub: one column, 0 for the whole */
    KP_FACT_CONSTRAINT_DEFINITION,
    KP_FACT_FUNCTION_RESULT,
    KP_FACT_FUNCTION_ARGUMENTS,
    KP_FACT_FUNCTION_DESCRIPTION,
    KP_FACT_FUNCTION_DEFINITION,
    KP_FACT_FUNCTION_SIGNATURE,   /* name(type,type), as a regprocedure shows it */
    KP_FACT_FUNCTION_IDENTITY,    /* its parameters without defaults */
    KP_FACT_RELATION_DESCRIPTION, /* sub: of that column, 0 for the whole */
    KP_FACT_TYPE_DESCRIPTION,
    KP_FACT_NAMESPACE_DESCRIPTION,
    KP_FACT_CONSTRAINT_DESCRIPTION,
    KP_FACT_DATABASE_DESCRIPTION,
    KP_FACT_ROLE_DESCRIPTION,
    /* numbers */
    KP_FACT_RELATION_VISIBLE, /* 0 or 1 */
    KP_FACT_RELATION_BYTES,
    KP_FACT_SEQUENCE_LAST, /* drawn; not known: none was */
    KP_FACT_DATABASE_BYTES
};

/* An advisory lock: of a bigint's halves, or of two integers (pair). */
struct kp_advisory_key {
    uint32_t high, low;
    bool pair;
};
enum kp_advisory_act { KP_ADVISORY_LOCK, KP_ADVISORY_TRY, KP_ADVISORY_UNLOCK, KP_ADVISORY_UNLOCK_ALL };
struct kp_advisory {
    enum kp_advisory_act act;
    struct kp_advisory_key key; /* not of UNLOCK_ALL */
    bool shared;
    bool transaction; /* until it ends; else the session's */
};

/* Callable on any thread, without locks held. */
struct kp_catalog_facts {
    void *arg;
    struct kp_os *os;              /* the instance's clock and randomness (fn_random.c) */
    const _Atomic bool *cancelled; /* the statement; NULL: never */
    bool (*text)(void *arg, enum kp_fact fact, uint32_t oid, int32_t sub,
                 struct kp_buf *out); /* false: there is none */
    bool (*number)(void *arg, enum kp_fact fact, uint32_t oid, int64_t *ret_number);
    bool (*setting)(void *arg, const char *name, struct kp_buf *out); /* false: unknown */
    /* set_config(): a value NULL is the default; appends what the setting has then. */
    enum kp_code (*set)(void *arg, const char *name, const char *value, bool local, struct kp_buf *out,
                        struct kp_error *err);
    bool (*find)(void *arg, enum kp_fact fact, struct kp_str name, uint32_t *ret_oid);
    /* On the session's thread, LOCK waits. done: not refused by TRY, or it was there to be unlocked. */
    enum kp_code (*advisory)(void *arg, const struct kp_advisory *asked, bool *ret_done, struct kp_error *err);
    /* Of sequences, by their numbers: the next ones, each of which is given once; what the session drew last, of any
     * if the number is 0; setval(). */
    enum kp_code (*draw)(void *arg, uint32_t sequence, uint32_t count, int64_t *ret_numbers, struct kp_error *err);
    enum kp_code (*drawn)(void *arg, uint32_t sequence, int64_t *ret_number, struct kp_error *err);
    enum kp_code (*set_number)(void *arg, uint32_t sequence, int64_t number, bool called, struct kp_error *err);
    /* The sequence of a table's column, schema and name; ret_known false: it has none. */
    enum kp_code (*sequence_of)(void *arg, struct kp_str table, struct kp_str column, struct kp_buf *out,
                                bool *ret_known, struct kp_error *err);
};

/* A moment of the log: a position, or what was logged up to a time of PostgreSQL's epoch. */
struct kp_moment {
    int64_t at;
    bool is_time;
};

/* What log_position() (fn_moment.c) asks of the log. */
struct kp_log_facts {
    void *arg;
    /* The position at which all that counts as of the moment ends; the log's end, or the position itself, if the moment
     * is not reached yet. topic: whose records must still be there since then; NULL: nobody's. On any thread. */
    enum kp_code (*position)(void *arg, struct kp_moment moment, const char *topic, int64_t *ret_position,
                             struct kp_error *err);
};

/* schema.name, parts perhaps in quotes, others folded: *ret_schema empty if there is none. False if it is no name. */
bool kp_name_parse(struct kp_str text, struct kp_arena *arena, struct kp_str *ret_schema, struct kp_str *ret_name);
/* Appends the name, in quotes where SQL needs them. */
void kp_name_quote(struct kp_str name, struct kp_buf *out);
/* A text as an SQL literal, E'…' if it has backslashes. */
void kp_literal_quote(struct kp_str text, struct kp_buf *out);

#endif
