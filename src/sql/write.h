/*
 * Inside sql/: what the statements that write share. All plans of one statement, also of those in its WITH, live in one
 * arena and know the same parameters.
 */
#ifndef KP_SQL_WRITE_H
#define KP_SQL_WRITE_H

#include "sql/bind.h"

/* One INSERT, UPDATE, DELETE or MERGE being bound. */
struct write {
    struct binder *binder;
    struct kp_bound_write *bound;
    struct kp_relation *relation;
    const char *alias;        /* of the target in expressions */
    struct kp_plan *plan;     /* its rows, as sql.h says */
    struct scope extras;      /* what RETURNING sees beside the row; indexes among the plan's extra columns */
    struct kp_plan *conflict; /* ON CONFLICT DO UPDATE */
    struct kp_plan *returning;
    uint32_t returning_count;
};

/* Those of a WITH, in order. */
struct write_list {
    struct write *items;
    uint32_t count, cap;
};

/* ---- write.c ---- */
/* The relation that can be written; keyed: only tables. `verb` for the message: "cannot update …". */
KP_MUST enum kp_code kp_write_target(struct write *write, const PgQuery__RangeVar *range, const char *verb, bool keyed);
uint32_t kp_write_width(const struct kp_relation *relation); /* its columns that are not hidden */
KP_MUST enum kp_code kp_write_column(struct binder *binder, const struct kp_relation *relation, const char *name,
                                     int32_t location, uint32_t *ret_column);
/* To a column's type as assignment does; the error names the column. */
KP_MUST enum kp_code kp_write_assign(struct binder *binder, const struct kp_relation *relation, struct kp_expr *expr,
                                     uint32_t column, struct kp_expr **ret_expr);
struct kp_expr *kp_write_default(struct binder *binder, const struct kp_relation *relation, uint32_t column);
/* Names of the relation's columns for a plan's columns from `from` on. */
void kp_write_name_row(struct kp_plan *plan, const struct kp_relation *relation, uint32_t from);
/* A relation of rows that the writer gives: columns of `relation` and others, in the given order. */
struct kp_relation *kp_write_rows(const char *name, const struct kp_column *cols, uint32_t count);
/* A SORT of the plan by one column. */
struct kp_plan *kp_write_sort(struct binder *binder, struct kp_plan *plan, uint32_t column);

/* ---- insert.c, update.c, merge.c ---- */
KP_MUST enum kp_code kp_write_insert(struct write *write, const PgQuery__InsertStmt *insert);
KP_MUST enum kp_code kp_write_update(struct write *write, const PgQuery__UpdateStmt *update);
KP_MUST enum kp_code kp_write_delete(struct write *write, const PgQuery__DeleteStmt *delete);
KP_MUST enum kp_code kp_write_merge(struct write *write, const PgQuery__MergeStmt *merge);
/* SET: cells[column] for each column that is set, NULL for the others (they are cleared first). The place's row has the
 * row that is set from column `first` on. */
KP_MUST enum kp_code kp_write_assignments(struct binder *binder, const struct kp_relation *relation, uint32_t first,
                                          PgQuery__Node *const *targets, size_t count, const struct expr_place *place,
                                          struct kp_expr **cells);
/* assign.c: the whole value with the part that the target names replaced. */
KP_MUST enum kp_code kp_write_assign_part(struct binder *binder, const struct expr_place *place,
                                          const PgQuery__ResTarget *target, struct kp_expr *whole,
                                          struct kp_expr *value, struct kp_expr **ret_expr);
/* For each listed column its index; without a list the first ones in order. Parts of a column may be listed each. */
KP_MUST enum kp_code kp_write_insert_columns(struct binder *binder, const struct kp_relation *relation,
                                             PgQuery__Node *const *cols, size_t col_count, uint32_t **ret_columns,
                                             uint32_t *ret_count);
/* One row of VALUES or of MERGE's INSERT, defaults filled in; list: what kp_write_insert_columns was given, or NULL. */
KP_MUST enum kp_code kp_write_insert_row(struct binder *binder, const struct kp_relation *relation,
                                         const struct expr_place *place, PgQuery__Node *const *items, size_t count,
                                         PgQuery__Node *const *list, PgQuery__OverridingKind overriding,
                                         const uint32_t *columns, struct kp_expr **cells);

/* ---- returning.c ---- */
KP_MUST enum kp_code kp_write_returning(struct write *write, PgQuery__Node *const *list, size_t count);
/* INSERT … ON CONFLICT. */
KP_MUST enum kp_code kp_write_conflict(struct write *write, const PgQuery__OnConflictClause *clause);

#endif
