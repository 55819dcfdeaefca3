/*
 * Comments: what COMMENT ON says about objects. They are kept in the catalog by name, so that the versions of a view
 * have one, and go with the object (comment.c).
 */
#ifndef KP_SQL_COMMENT_H
#define KP_SQL_COMMENT_H

#include "sql/sql.h"

/* Of what, and what `object` and `part` are. Families go together with their object. */
enum kp_comment_class {
    KP_COMMENT_RELATION,        /* its name */
    KP_COMMENT_COLUMN,          /* its relation, its name */
    KP_COMMENT_KEY,             /* of the index of a table's primary key: the table */
    KP_COMMENT_CONSTRAINT,      /* its table, its name */
    KP_COMMENT_TYPE,            /* types and domains: the name */
    KP_COMMENT_TYPE_COLUMN,     /* its composite type, its name */
    KP_COMMENT_TYPE_CONSTRAINT, /* its domain, its name */
    KP_COMMENT_FUNCTION,        /* its name with the types of its parameters */
    KP_COMMENT_SCHEMA,          /* its name */
    KP_COMMENT_DATABASE,        /* "" */
    KP_COMMENT_ROLE             /* its name */
};

struct kp_comment {
    enum kp_comment_class class;
    const char *object, *part; /* part "": the object itself */
    const char *text;          /* NULL: none any more */
};

/* The statement's names looked up, under the catalog's lock; in the statement's arena. *ret_warning not NULL: there is
 * nothing to do, and why. replaying: it has happened. */
KP_MUST enum kp_code kp_sql_bind_comment(const struct kp_sql_context *context, const struct kp_statement *statement,
                                         bool replaying, struct kp_comment *ret_comment, const char **ret_warning,
                                         struct kp_error *err);

/* ---- of a catalog; under its lock, those that change under its write lock ---- */

void kp_comment_put(struct kp_catalog *catalog, const struct kp_comment *comment);
/* NULL: nothing is said. */
const char *kp_comment_find(const struct kp_catalog *catalog, enum kp_comment_class class, const char *object,
                            const char *part);
/* In order of class, object, part. */
size_t kp_comment_count(const struct kp_catalog *catalog);
const struct kp_comment *kp_comment_at(const struct kp_catalog *catalog, size_t index);
/* What is said of that part is of part `to`; NULL: of none. */
void kp_comment_part(struct kp_catalog *catalog, enum kp_comment_class class, const char *object, const char *part,
                     const char *to);
/* What is said about it and its parts. */
void kp_comments_forget(struct kp_catalog *catalog, const struct kp_relation *relation);

/* ---- between catalog.c and comment.c ---- */

struct kp_comments {
    struct kp_comment *items; /* their texts are owned */
    size_t count, cap;
};
struct kp_comments *kp_catalog_comments(const struct kp_catalog *catalog);
void kp_comments_finish(struct kp_comments *comments);
/* The relation is to have another name. */
void kp_comments_rename(struct kp_comments *comments, const struct kp_relation *relation, const char *name);

#endif
