/* What a function that a statement made is, for the catalog's tables (describe.c). */
#ifndef KP_SQL_DESCRIBE_H
#define KP_SQL_DESCRIBE_H

#include "sql/sql.h"

/* Texts as PostgreSQL's pg_get_function_… write them; in the arena they were described in. */
struct kp_function_facts {
    const char *name, *arguments, *identity, *result, *body, *definition;
    const char *arg_oids; /* of the parameters that a call gives, parted by blanks */
    uint32_t arg_count, default_count, result_oid, variadic_oid;
    char volatility; /* 'i', 's', 'v' */
    bool strict, set;
};

/* Under the catalog's lock. */
KP_MUST enum kp_code kp_sql_describe_function(const struct kp_sql_context *context, const struct kp_relation *object,
                                              struct kp_arena *arena, struct kp_function_facts *ret_facts,
                                              struct kp_error *err);
#endif
