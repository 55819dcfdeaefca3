/* ALTER TYPE and ALTER DOMAIN (alter.c): looked at first, so that the record in the log has happened when it is there.
 */
#ifndef KP_SQL_ALTER_H
#define KP_SQL_ALTER_H

#include "sql/sql.h"

enum kp_alter_object {
    KP_ALTER_NOTHING, /* `notice` says why, or NULL */
    KP_ALTER_ADD_VALUE,
    KP_ALTER_RENAME_VALUE,
    KP_ALTER_RENAME,
    KP_ALTER_DEFAULT,
    KP_ALTER_TEXT,  /* a domain: `text` is its statement from now on; of constraint `from`, which becomes `to` */
    KP_ALTER_FIELDS /* a composite type: it is `made` from now on; of its field `from`, which becomes `to` */
};

/* Lives in the arena it was bound in; names are the statement's. */
struct kp_alteration {
    enum kp_alter_object what;
    struct kp_relation *object; /* borrowed: the catalog's, as long as nobody else may change it */
    const char *from, *to;      /* values or names */
    const char *neighbor;       /* ADD VALUE BEFORE, AFTER; NULL: the last */
    bool after;
    struct kp_expr *value; /* of DEFAULT; NULL: none */
    const char *text;
    struct kp_type made;
    const char *notice;
};

/* Under the catalog's lock. replaying: it has happened, so what stands in its way is not asked for. */
KP_MUST enum kp_code kp_sql_bind_alter(const struct kp_sql_context *context, const struct kp_statement *statement,
                                       bool replaying, struct kp_arena *arena, struct kp_alteration *ret_alteration,
                                       struct kp_error *err);
/* What ALTER SEQUENCE makes of one. */
struct kp_sequence_change {
    struct kp_relation *relation; /* borrowed, as above */
    struct kp_sequence to;
    const char *name; /* RENAME TO; NULL: not said */
};
/* Under the catalog's lock and the sequences' mutex. */
KP_MUST enum kp_code kp_sql_bind_alter_sequence(const struct kp_sql_context *context,
                                                const struct kp_statement *statement, struct kp_arena *arena,
                                                struct kp_sequence_change *ret_change, struct kp_error *err);
/* Under the catalog's write lock, at the position of its record. */
void kp_sql_alter(struct kp_catalog *catalog, const struct kp_alteration *alteration, int64_t position);
/* Whether a value of this type is one of `made`, or holds one. */
bool kp_type_involves(enum kp_type_id type, enum kp_type_id made);

/* Whether it was made with `object`, directly or not. */
bool kp_sql_uses(const struct kp_relation *relation, const struct kp_relation *object);

#endif
