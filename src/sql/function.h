/* Inside sql/: functions that statements made (function.c reads and chooses them, inline.c puts them in place). */
#ifndef KP_SQL_FUNCTION_H
#define KP_SQL_FUNCTION_H

#include "sql/object.h"

struct sql_param {
    const char *name;           /* "": none */
    struct kp_type type;        /* perhaps polymorphic; of a VARIADIC one the array */
    struct kp_relation *domain; /* NULL: none */
    const PgQuery__Node *value; /* DEFAULT; NULL: must be given */
};

struct sql_function {
    struct kp_relation *object; /* NULL: it is being created */
    const char *name;
    const char *text; /* the statement's, which defaults are in */
    struct sql_param *params;
    uint32_t param_count;
    bool variadic, strict, set;
    struct kp_type ret;
    struct kp_relation *ret_domain;
    struct kp_column
        *outs; /* of TABLE (…), OUT parameters, rows of a type or relation; out_count 0: a value of `ret` */
    uint32_t out_count;
    const PgQuery__Node *value;         /* the body if it is an expression without a subquery, */
    const PgQuery__SelectStmt *query;   /* and else */
    const struct kp_statement *written; /* what the query was parsed as; NULL: it is part of the statement */
    const char *body_text;
};

/* A declaration read; text: the statement's. */
KP_MUST enum kp_code kp_function_read(struct binder *binder, const PgQuery__CreateFunctionStmt *create,
                                      const char *text, struct sql_function *ret_function);
/* name(integer, text) */
const char *kp_function_signature(struct binder *binder, const struct sql_function *function);
/*
 * The function that a call means, its types settled, and an argument for each parameter: given, collected in an array,
 * or by default; of the parameters' types and domains.
 */
KP_MUST enum kp_code kp_function_choose(struct binder *binder, const struct expr_place *place,
                                        const PgQuery__FuncCall *call, const char *name,
                                        struct sql_function *ret_function, struct kp_expr ***ret_args);

/* inline.c: its value in the place of a call; its rows as a plan whose level 1 is what the arguments' level 1 is. */
KP_MUST enum kp_code kp_function_value(struct binder *binder, const struct expr_place *place,
                                       const struct sql_function *function, struct kp_expr **args, int32_t location,
                                       struct kp_expr **ret_expr);
KP_MUST enum kp_code kp_function_rows(struct binder *binder, const struct sql_function *function, struct kp_expr **args,
                                      const char *alias, int32_t location, struct kp_plan **ret_plan);
/* That it may take the place of one of the same parameter types, for whoever calls that: 42P13. */
KP_MUST enum kp_code kp_function_check_replaced(struct binder *binder, const struct kp_relation *old,
                                                const struct sql_function *function);
/* The body is sound: of the declared result. Polymorphic ones are looked at when they are called. */
KP_MUST enum kp_code kp_function_check(struct binder *binder, const struct sql_function *function);
/* The error is at a place in the body: makes it one in the statement, or none where the body is written otherwise. */
void kp_function_place_error(struct binder *binder, const struct sql_function *function);

#endif
