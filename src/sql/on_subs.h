/* Outer joins whose ON has subqueries (on_subs.c); what from.c has bound of an outer join. */
#ifndef KP_SQL_ON_SUBS_H
#define KP_SQL_ON_SUBS_H

#include "sql/bind.h"

#define KP_FULL_JOIN_NEEDS "FULL JOIN is only supported with merge-joinable or hash-joinable join conditions"

struct outer_join {
    enum kp_join_kind kind;
    bool swap; /* RIGHT: a LEFT JOIN with its sides exchanged */
    struct kp_plan *left, *right;
    struct conjuncts conditions;
    struct sub_list subs;
};

/* The join, left's columns first. lateral: the right side reads the left. The sides are changed. */
KP_MUST enum kp_code kp_on_subs_join(struct binder *binder, struct outer_join *outer, bool lateral,
                                     struct kp_plan **ret_plan);

#endif
