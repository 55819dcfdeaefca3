/*
 * Inside sublink*.c: how a subquery is joined to the plan around it, once that is there.
 */
#ifndef KP_SQL_SUBLINK_H
#define KP_SQL_SUBLINK_H

#include "sql/bind.h"

/* An expression of the subquery above the join with the rows around, whose columns are the first `left` ones. */
struct kp_expr *kp_sub_above(struct binder *binder, struct kp_expr *const *tests, uint32_t left,
                             const struct kp_expr *expr);
/* The i-th test as a column around the subquery. */
struct kp_expr *kp_sub_test(struct binder *binder, const struct sub *sub, uint32_t i);
/* x = column, for each test, as conditions of the subquery. */
KP_MUST enum kp_code kp_sub_test_conditions(struct binder *binder, const struct sub *sub, struct conjuncts *conds);
/* The own sides of equalities as columns, which the conditions then read; a mark behind them if asked for. */
struct kp_plan *kp_sub_keys(struct binder *binder, struct kp_plan *plan, struct conjuncts *conds, bool mark);
/* mark IS NOT NULL. */
struct kp_expr *kp_sub_found(struct binder *binder, uint32_t mark);

/* sublink_rows.c: the rows that have a match, or none; whether there is a match as sub->value. */
KP_MUST enum kp_code kp_sub_filter_rows(struct binder *binder, struct sub *sub, bool negated, struct kp_plan **rows);
KP_MUST enum kp_code kp_sub_exists(struct binder *binder, struct sub *sub, struct kp_plan **rows);
/* sublink_scalar.c: sub->value. */
KP_MUST enum kp_code kp_sub_scalar(struct binder *binder, struct sub *sub, struct kp_plan **rows);
/* x op ANY, ALL; x = ANY of a subquery that reads nothing around it. */
KP_MUST enum kp_code kp_sub_compared(struct binder *binder, struct sub *sub, struct kp_plan **rows);
KP_MUST enum kp_code kp_sub_one_of(struct binder *binder, struct sub *sub, struct kp_plan **rows);

/* CASE WHEN condition THEN yes ELSE no END. */
struct kp_expr *kp_bind_choice(struct binder *binder, struct kp_expr *condition, struct kp_expr *yes,
                               struct kp_expr *no);
/* The expression with the values of those subqueries that are joined already. */
struct kp_expr *kp_subs_values(struct binder *binder, const struct sub_list *subs, const struct kp_expr *expr);
/* guard.c: a plan that reads nothing around it and can fail by a value becomes one that computes nothing where there
 * are no rows; it stays what it is if that cannot be. */
void kp_sub_if_any(struct binder *binder, struct sub *sub, const struct kp_plan *rows);
/* guard.c: finds the subquery's guard, over *rows, if it can fail; its tests become NULL where they are not computed.
 */
void kp_sub_guard(struct binder *binder, struct sub_list *subs, uint32_t number, struct kp_expr **const *exprs,
                  uint32_t count, struct kp_plan **rows);

/* ARRAY(SELECT …), as a scalar subquery. */
KP_MUST enum kp_code kp_bind_array_sublink(struct binder *binder, const struct expr_place *place,
                                           const PgQuery__SubLink *link, struct kp_expr **ret_expr);

#endif
