/*
 * MATCH_RECOGNIZE as it was written: PostgreSQL's grammar has the expressions, match.c the rest.
 */
#ifndef KP_SQL_MATCH_H
#define KP_SQL_MATCH_H

#include "sql/match_plan.h"
#include "sql/parse.h"

struct sql_match_term {
    enum { MATCH_VARIABLE, MATCH_SEQUENCE, MATCH_CHOICE, MATCH_REPEAT } kind;
    const char *name; /* of a variable */
    int32_t location;
    struct sql_match_term **parts;
    uint32_t part_count;
    uint32_t min, max; /* of a repetition; UINT32_MAX: any number */
    bool reluctant;
};

struct sql_match_define {
    const char *name;
    int32_t location;
    const PgQuery__Node *expr;
};

struct sql_match_subset {
    const char *name, **members;
    int32_t location;
    uint32_t member_count;
};

struct sql_match {
    int32_t relation;                                          /* first byte of the relation's name */
    int32_t location;                                          /* of MATCH_RECOGNIZE */
    const PgQuery__SelectStmt *partitions, *orders, *measures; /* target list, sort clause, target list; NULL: none */
    uint32_t final_count;
    int32_t *finals; /* FINAL before the function at this byte */
    bool all_rows;
    enum kp_match_skip skip;
    const char *skip_to;
    int32_t skip_location;
    struct sql_match_term *pattern;
    const PgQuery__Node *within;
    uint32_t define_count, subset_count;
    struct sql_match_define *defines;
    struct sql_match_subset *subsets;
};

/* Where expressions of DEFINE and MEASURES are bound. */
struct match_scope {
    struct kp_plan_match *match; /* gains navigations */
    uint32_t nav_cap;
    const struct sql_match *written;
    const struct scope *input;
    uint32_t name_count; /* variables, then subsets */
    const char **names;
    uint64_t *variables;
    bool measures;
    /* the navigation that is being bound */
    enum { MATCH_OUTSIDE, MATCH_SHIFT, MATCH_WALK, MATCH_AGGREGATE } within;
    struct kp_match_nav nav; /* first, final, offset, shift of it */
    bool named;              /* a column was found: of nav.variables */
};

#endif
