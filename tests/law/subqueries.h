/*
 * For law_test.c only: subqueries over plain relations, correlated with the query around them in
 * equalities and otherwise; the same text for kappa and for PostgreSQL.
 */
#ifndef KP_TESTS_LAW_SUBQUERIES_H
#define KP_TESTS_LAW_SUBQUERIES_H

#include "tests/law/from.h"

/* What names a subquery can use: its own, then those around it. */
struct inner {
    struct scope own, both;
    const struct relation *relation;
    char *from; /* "t1 AS a7" */
    double pairs;
};

static inline bool sub_from(struct maker *maker, const struct scope *scope, double rows, bool *risky,
                            struct inner *ret_inner)
{
    struct inner inner = {.own.count = 0};
    for (unsigned tries = 0; tries < 5 && !inner.from; tries++) {
        const struct relation *relation = &maker->relations[roll(maker->dice, maker->relation_count)];
        if (asked_again(relation, rows) > SUB_PAIRS_MAX || scope->count + relation->col_count > KP_COUNT(scope->cols))
            continue;
        char *alias = SAY("a%u", ++maker->aliases % 100);
        scope_add(&inner.own, alias, relation->cols, relation->col_count);
        inner.both = *scope;
        scope_add(&inner.both, alias, relation->cols, relation->col_count);
        inner.from = SAY("%s AS %s", relation->name, alias);
        inner.relation = relation;
        inner.pairs = asked_again(relation, rows);
        *risky |= relation->risky;
    }
    *ret_inner = inner;
    return inner.from != NULL;
}

/* A column of each scope of one type, compared. */
static inline char *correlation(struct maker *maker, const struct scope *scope, const struct inner *inner)
{
    static const char *const compares[] = {"=", "=", "=", "<", ">=", "<>"};
    for (unsigned tries = 0; tries < 10; tries++) {
        unsigned flags = 0;
        enum type type = chance(maker->dice, 60) ? T_INT4 : pick_type(maker, scope);
        char *a = pick_column(maker, scope, type, LOOSE, &flags);
        char *b = pick_column(maker, &inner->own, type, LOOSE, &flags);
        if (a && b && type != T_BOOL)
            return SAY("%s %s %s", b, compares[roll(maker->dice, KP_COUNT(compares))], a);
    }
    return NULL;
}

static inline char *sub_where(struct maker *maker, const struct scope *scope, const struct inner *inner, unsigned depth,
                              bool *risky)
{
    char *first = chance(maker->dice, 85) ? correlation(maker, scope, inner) : NULL, *second = NULL;
    if (depth > 1) { /* one within another, each of which may read what is around all of them */
        second = make_sub_predicate(maker, &inner->both, inner->pairs, depth - 1, risky);
        if (second && depth == 2)
            made(P_SUBQUERY_DEEP);
    } else if (chance(maker->dice, 30))
        second = make_predicate(maker, chance(maker->dice, 60) ? &inner->own : &inner->both, 1);
    else if (depth && chance(maker->dice, 25))
        second = make_sub_predicate(maker, &inner->both, inner->pairs, depth - 1, risky);
    else if (chance(maker->dice, 20))
        second = correlation(maker, scope, inner);
    if (first && second)
        return SAY(" WHERE %s AND %s", first, second);
    return first || second ? SAY(" WHERE %s", first ? first : second) : "";
}

/* A pair of columns of one type. */
static inline bool sub_columns(struct maker *maker, const struct scope *scope, const struct inner *inner,
                               char **ret_outer, char **ret_inner, enum type *ret_type)
{
    for (unsigned tries = 0; tries < 10; tries++) {
        unsigned flags = 0;
        *ret_type = chance(maker->dice, 50) ? T_INT4 : pick_type(maker, scope);
        *ret_outer = pick_column(maker, scope, *ret_type, LOOSE, &flags);
        *ret_inner = pick_column(maker, &inner->own, *ret_type, LOOSE, &flags);
        if (*ret_outer && *ret_inner && type_has_min(*ret_type))
            return true;
    }
    return false;
}

static char *make_sub_predicate(struct maker *maker, const struct scope *scope, double rows, unsigned depth,
                                bool *risky)
{
    static const char *const compares[] = {"=", "<>", "<", "<=", ">", ">="};
    struct inner inner;
    char *outer, *own, *outer2, *own2;
    enum type type;
    if (!sub_from(maker, scope, rows, risky, &inner))
        return NULL;
    char *where = sub_where(maker, scope, &inner, depth, risky);
    const char *not = chance(maker->dice, 35) ? "NOT " : "", *compare = compares[roll(maker->dice, KP_COUNT(compares))];
    if (chance(maker->dice, 35) || !sub_columns(maker, scope, &inner, &outer, &own, &type))
        return SAY("%sEXISTS (SELECT 1 FROM %s%s)", not, inner.from, where);
    unsigned flags = 0;
    char *key = pick_column(maker, scope, T_INT4, BIG, &flags);
    bool keyed = key && strcmp(inner.own.cols[0].name, "id") == 0;
    switch (roll(maker->dice, 8)) {
    case 0:
    case 1:
        return SAY("%s %sIN (SELECT %s FROM %s%s)", outer, not, own, inner.from, where);
    case 2:
        if (sub_columns(maker, scope, &inner, &outer2, &own2, &type))
            return SAY("(%s, %s) %sIN (SELECT %s, %s FROM %s%s)", outer, outer2, not, own, own2, inner.from, where);
        return SAY("%s IN (SELECT max(%s) FROM %s%s)", outer, own, inner.from, where);
    case 3:
        return SAY("%s %s %s (SELECT %s FROM %s%s)", outer, compare, chance(maker->dice, 50) ? "ANY" : "ALL", own,
                   inner.from, where);
    case 6:
        if (!keyed || !allowed(P_ROW_SUBQUERY) || !sub_columns(maker, scope, &inner, &outer2, &own2, &type))
            return SAY("%s = (SELECT max(%s) FROM %s%s)", outer, own, inner.from, where);
        made(P_ROW_SUBQUERY);
        *risky |= (inner.own.cols[0].flags & KEYLESS) != 0; /* as make_sub_value's */
        return SAY("(%s, %s) %s (SELECT %s, %s FROM %s WHERE %sid = %s)", outer, outer2,
                   chance(maker->dice, 70) ? "=" : "<>", own, own2, inner.from, inner.own.prefix[0], key);
    case 7:
        if (!allowed(P_ANY_ARRAY) || (type != T_INT4 && type != T_TEXT))
            return SAY("%sEXISTS (SELECT 1 FROM %s%s)", not, inner.from, where);
        made(P_ANY_ARRAY);
        return SAY("%s = ANY (ARRAY(SELECT %s FROM %s%s))", outer, own, inner.from, where);
    case 4:
        return SAY("(%s %s (SELECT %s(%s) FROM %s%s)) IS %sTRUE", outer, compare,
                   chance(maker->dice, 50) ? "min" : "max", own, inner.from, where, not );
    default:
        return SAY("(SELECT count(%s) FROM %s%s) %s %u", own, inner.from, where, compare, roll(maker->dice, 3));
    }
}

/* NULL: none fits. */
static inline char *make_sub_value(struct maker *maker, const struct scope *scope, double rows, enum type *ret_type,
                                   bool *risky)
{
    struct inner inner;
    char *outer, *own;
    enum type type;
    if (!sub_from(maker, scope, rows, risky, &inner))
        return NULL;
    if (chance(maker->dice, 40)) {
        *ret_type = T_BOOL;
        char *predicate = make_sub_predicate(maker, scope, rows, 0, risky);
        return predicate ? SAY("(%s)", predicate) : NULL;
    }
    if (!sub_columns(maker, scope, &inner, &outer, &own, &type))
        return NULL;
    unsigned flags = 0;
    char *key = pick_column(maker, scope, T_INT4, BIG, &flags);
    *ret_type = type;
    if (key && strcmp(inner.own.cols[0].name, "id") == 0 && chance(maker->dice, 40)) {
        *risky |= (inner.own.cols[0].flags & KEYLESS) != 0; /* several rows, asked for where it may be left out */
        return SAY("(SELECT %s FROM %s WHERE %sid = %s)", own, inner.from, inner.own.prefix[0], key);
    }
    char *where = sub_where(maker, scope, &inner, 1, risky);
    switch (roll(maker->dice, 4)) {
    case 0:
        *ret_type = T_INT8;
        return SAY("(SELECT count(*) FROM %s%s)", inner.from, where);
    case 1:
        if (allowed(P_ARRAY_OF) && (type == T_INT4 || type == T_TEXT) && chance(maker->dice, 60)) {
            *ret_type = type == T_INT4 ? T_INTS : T_TEXTS;
            made(P_ARRAY_OF);
            return SAY("ARRAY(SELECT %s::%s FROM %s%s ORDER BY 1)", own, type_names[type], inner.from, where);
        }
        return SAY("(SELECT %s FROM %s%s ORDER BY 1 DESC NULLS LAST LIMIT 1)", own, inner.from, where);
    default:
        return SAY("(SELECT %s(%s) FROM %s%s)", chance(maker->dice, 50) ? "min" : "max", own, inner.from, where);
    }
}

/* Another LATERAL item within the one around, which reads both the query's rows and its own. */
static inline void deepen(struct maker *maker, struct inner *inner, bool *risky)
{
    struct inner deep;
    char *outer, *own;
    enum type type;
    if (!allowed(P_LATERAL_DEEP) || !sub_from(maker, &inner->both, inner->pairs, risky, &deep) ||
        !sub_columns(maker, &inner->both, &deep, &outer, &own, &type) ||
        inner->both.count == KP_COUNT(inner->both.cols))
        return;
    made(P_LATERAL_DEEP);
    struct column cols[] = {{"m", type, DERIVED | BIG}};
    char *alias = SAY("a%u", ++maker->aliases % 100), *where = sub_where(maker, &inner->both, &deep, 0, risky);
    inner->from =
        SAY("%s CROSS JOIN LATERAL (SELECT max(%s) AS m FROM %s%s) AS %s", inner->from, own, deep.from, where, alias);
    scope_add(&inner->own, alias, cols, 1);
    scope_add(&inner->both, alias, cols, 1);
}

/* A LATERAL item behind FROM's. */
static inline void add_sub_lateral(struct maker *maker, struct scope *scope, struct from *from)
{
    struct inner inner;
    char *outer, *own, *body, *alias;
    struct column cols[2] = {{"c0", T_INT8, DERIVED | BIG}, {"c1", T_INT4, DERIVED | BIG}};
    enum type type;
    if (scope->count + 2 > KP_COUNT(scope->cols) || !sub_from(maker, scope, from->rows, &from->risky, &inner) ||
        !sub_columns(maker, scope, &inner, &outer, &own, &type))
        return;
    if (chance(maker->dice, 25))
        deepen(maker, &inner, &from->risky);
    char *where = sub_where(maker, scope, &inner, 0, &from->risky);
    cols[1].type = type;
    alias = SAY("a%u", ++maker->aliases % 100);
    const char *join = "CROSS JOIN", *on = "";
    if (chance(maker->dice, 50)) {
        body = SAY("SELECT count(*) AS c0, max(%s) AS c1 FROM %s%s", own, inner.from, where);
    } else {
        body = SAY("SELECT 7::bigint AS c0, %s AS c1 FROM %s%s ORDER BY 2 LIMIT 2", own, inner.from, where);
        from->rows *= 2;
        if (chance(maker->dice, 60)) {
            join = "LEFT JOIN";
            on = " ON true";
        }
    }
    from->kappa = SAY("%s %s LATERAL (%s) AS %s%s", from->kappa, join, body, alias, on);
    from->postgres = SAY("%s %s LATERAL (%s) AS %s%s", from->postgres, join, body, alias, on);
    scope_add(scope, alias, cols, 2);
}

#endif
