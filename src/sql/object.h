/* Inside sql/: types, domains and functions that statements made (object.c). */
#ifndef KP_SQL_OBJECT_H
#define KP_SQL_OBJECT_H

#include <strings.h>

#include "sql/bind.h"
#include "vec/made.h"

/* Objects that what is being bound uses, each once; borrowed. */
struct use_list {
    struct kp_relation **objects;
    uint32_t count, cap;
};
void kp_bind_use(struct binder *binder, struct kp_relation *object);

/* A type by any name, built in or made; of a domain its base type, of an array of a domain the array of that, and
 * *ret_domain is the domain (else NULL). */
KP_MUST enum kp_code kp_bind_type(struct binder *binder, const PgQuery__TypeName *name, struct kp_type *ret_type,
                                  struct kp_relation **ret_domain);
/* The same where a cast names it: the name of a table, source or materialized view is the type of its rows, too, which
 * is a record with the names of its columns. Not in views. */
KP_MUST enum kp_code kp_bind_cast_type(struct binder *binder, const PgQuery__TypeName *name, struct kp_type *ret_type,
                                       struct kp_relation **ret_domain);
/* The domain that an expression says it is a value of, by a cast; else NULL. */
KP_MUST enum kp_code kp_bind_domain_of(struct binder *binder, const PgQuery__Node *node,
                                       struct kp_relation **ret_domain);
/* The value, which is of the base type or an array of it, with the domain's constraints checked, of an array on each
 * element: 23502, 23514. */
KP_MUST enum kp_code kp_bind_domain_check(struct binder *binder, struct kp_relation *domain, struct kp_expr *value,
                                          int32_t location, struct kp_expr **ret_value);
/* The value behind the checks of what its type is called by, and of the domains of its fields. */
KP_MUST enum kp_code kp_bind_type_check(struct binder *binder, struct kp_expr *value, struct kp_expr **ret_value);
/* The same of all columns of a plan. */
KP_MUST enum kp_code kp_bind_check_columns(struct binder *binder, struct kp_plan **plan);
/* The array behind `each`, what checks an element, which is column 0; as it is if that is the element itself. */
KP_MUST enum kp_code kp_bind_check_elements(struct binder *binder, struct kp_expr *array, const struct kp_expr *element,
                                            struct kp_expr *each, int32_t location, struct kp_expr **ret_array);
/* A domain's CHECK's name, as PostgreSQL chooses it if none is given. *unnamed counts those. */
const char *kp_bind_check_name(struct binder *binder, const struct kp_relation *domain,
                               const PgQuery__Constraint *constraint, uint32_t *unnamed);
/* Whether it has a CHECK of this name. */
KP_MUST enum kp_code kp_bind_domain_has(struct binder *binder, const struct kp_relation *domain, const char *name,
                                        bool *ret_has);
/* What rows of a source or table must be: its domains, and CHECK (check.c). Its columns are known. */
KP_MUST enum kp_code kp_bind_checks(struct binder *binder, struct kp_relation *relation,
                                    const PgQuery__CreateStmt *create);
/* The same of a column that was added behind the others, which has room among the checks. */
KP_MUST enum kp_code kp_bind_column_checks(struct binder *binder, struct kp_relation *relation, uint32_t column,
                                           const PgQuery__ColumnDef *def);
/* The same of a CHECK that was added to the table. */
KP_MUST enum kp_code kp_bind_table_check(struct binder *binder, struct kp_relation *relation,
                                         const PgQuery__Constraint *constraint);
/* create.c: the DEFAULT of a column; the next column and what its declaration says of it, but for CHECK. */
KP_MUST enum kp_code kp_bind_default(struct binder *binder, struct kp_relation *relation, uint32_t column,
                                     const PgQuery__Node *value, int32_t location);
KP_MUST enum kp_code kp_bind_declare_column(struct binder *binder, struct kp_relation *relation,
                                            const PgQuery__ColumnDef *def);
/* One of that name; NULL: there is none. */
struct kp_relation *kp_bind_find_function(struct binder *binder, const char *name);
/* named_args.c: a call's arguments by places and names, defaults filled in; of built-in functions. */
KP_MUST enum kp_code kp_bind_call_args(struct binder *binder, const struct expr_place *place,
                                       const PgQuery__FuncCall *call, const char *name, struct kp_expr ***ret_args,
                                       uint32_t *ret_count);
/* A bound expression, its columns replaced by the arguments; 54001 if it grows too large. */
KP_MUST enum kp_code kp_bind_substitute(struct binder *binder, const struct kp_expr *body, struct kp_expr *const *args,
                                        uint32_t arg_count, int32_t location, struct kp_expr **ret_expr);
/* row.c: the row's field of that number. */
struct kp_expr *kp_bind_row_field(struct binder *binder, struct kp_expr *row, uint32_t number, int32_t location);
/* alter.c: the value of DEFAULT, of the domain's base type. */
KP_MUST enum kp_code kp_bind_domain_default(struct binder *binder, const struct kp_relation *domain,
                                            const PgQuery__Node *value, struct kp_expr **ret_value);
/* CREATE TYPE, DOMAIN, FUNCTION. */
KP_MUST enum kp_code kp_bind_create_object(struct binder *binder, struct kp_relation *relation);

/* ---- between the files of ALTER: to->object is known ---- */
struct kp_alteration;
/* alter_domain.c */
KP_MUST enum kp_code kp_bind_alter_constraints(struct binder *binder, const PgQuery__AlterDomainStmt *alter,
                                               bool replaying, struct kp_alteration *to);
KP_MUST enum kp_code kp_bind_rename_constraint(struct binder *binder, const PgQuery__RenameStmt *rename, bool replaying,
                                               struct kp_alteration *to);
/* Its statement with the names of all constraints written. */
KP_MUST enum kp_code kp_bind_domain_text(struct binder *binder, const struct kp_relation *domain,
                                         const char **ret_text);
/* alter_composite.c */
KP_MUST enum kp_code kp_bind_alter_composite(struct binder *binder, const PgQuery__AlterTableStmt *alter,
                                             bool replaying, struct kp_alteration *to);
KP_MUST enum kp_code kp_bind_rename_attribute(struct binder *binder, const PgQuery__RenameStmt *rename, bool replaying,
                                              struct kp_alteration *to);

#endif
