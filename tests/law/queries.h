/*
 * For law_test.c only: random queries over what exists, each written twice: for kappa, and for PostgreSQL, which lacks
 * windows and to which the order of top-N's ties (the whole row) has to be said.
 */
#ifndef KP_TESTS_LAW_QUERIES_H
#define KP_TESTS_LAW_QUERIES_H

#include "tests/law/from.h"
#include "tests/law/subqueries.h"

static inline void query_column(struct query *query, enum type type, unsigned flags)
{
    struct column *column = &query->cols[query->col_count];
    snprintf(column->name, sizeof column->name, "c%u", query->col_count++);
    column->type = type;
    column->flags = flags | DERIVED | (type == T_JSON ? LOOSE : 0);
}

static inline char *list_add(struct maker *maker, char *list, const char *what)
{
    return list ? SAY("%s, %s", list, what) : SAY("%s", what);
}

static inline void add_to_both(struct maker *maker, char **list, char **postgres_list, const char *what)
{
    *list = list_add(maker, *list, what);
    *postgres_list = list_add(maker, *postgres_list, what);
}

/* ---- GROUP BY ---- */

static inline char *make_aggregate(struct maker *maker, const struct scope *scope, enum type *ret_type,
                                   unsigned *ret_flags)
{
    struct dice *dice = maker->dice;
    struct form *form = NULL;
    enum type type = pick_type(maker, scope);
    for (unsigned tries = 0; !form || (*form->args && tries++ < 12 && form->args[0] != type_codes[type]);)
        form = pick_form(maker, &aggregates, TYPES, 0);
    bool distinct = !(form->flags & (F_PLAIN | F_ORDER)) && !strchr(form->args, 'o') && chance(dice, 15);
    unsigned flags = 0;
    char *call = fill_form(maker, scope, form, 2, distinct ? LOOSE : 0, &flags), *open = strchr(call, '(');
    if (distinct) {
        made(P_AGGREGATE_DISTINCT);
        call = SAY("%.*s(DISTINCT %s", (int)(open - call), call, open + 1);
    }
    *ret_type = form->type;
    *ret_flags = flags | BIG;
    size_t len = strlen(call);
    bool cast = len > 6 && strcmp(call + len - 6, "::text") == 0; /* FILTER stands before it */
    if (cast || !chance(dice, 20))
        return call;
    bool risk = maker->risk;
    maker->risk = false;
    made(P_FILTER);
    call = SAY("%s FILTER (WHERE %s)", call, make_predicate(maker, scope, 1));
    maker->risk = risk;
    return call;
}

/* The columns of FROM, as PostgreSQL's ORDER BY has them; NULL where some that are equal print differently. */
static inline char *whole_row(struct maker *maker, const struct scope *scope)
{
    char *columns = NULL;
    for (unsigned i = 0; i < scope->count; i++) {
        if (scope->cols[i].flags & LOOSE)
            return NULL;
        columns = list_add(maker, columns, SAY("%s%s", scope->prefix[i], scope->cols[i].name));
    }
    return columns;
}

/* An aggregate that sees the order of rows; NULL: it cannot be told. */
static inline char *make_list(struct maker *maker, const struct scope *scope, enum type *ret_type, unsigned *ret_flags,
                              char **ret_postgres)
{
    char *columns = allowed(P_LISTS) ? whole_row(maker, scope) : NULL;
    struct form *form = columns ? pick_form(maker, &row_lists, TYPES, 0) : NULL;
    if (!form)
        return NULL;
    made(P_LISTS);
    unsigned flags = 0;
    char *call = fill_form(maker, scope, form, 1, LOOSE, &flags), *end = strrchr(call, ')');
    *ret_type = form->type;
    *ret_flags = flags | BIG;
    *ret_postgres = SAY("%.*s%s%s%s", (int)(end - call), call, strstr(form->text, " ORDER BY ") ? ", " : " ORDER BY ",
                        columns, end);
    return call;
}

static inline char *make_having(struct maker *maker, const struct scope *scope, bool timely)
{
    enum type type;
    unsigned flags = 0;
    made(P_HAVING);
    char *time = timely && allowed(P_NOW_HAVING) && chance(maker->dice, 25)
                     ? pick_column(maker, scope, T_TIMESTAMPTZ, LOOSE, &flags)
                     : NULL;
    if (time) {
        made(P_NOW_HAVING);
        return SAY(" HAVING %s(%s) %s now() - INTERVAL '%u days'", chance(maker->dice, 50) ? "max" : "min", time,
                   chance(maker->dice, 50) ? "<" : ">=", roll(maker->dice, 30));
    }
    if (allowed(P_HAVING_SUBQUERY) && chance(maker->dice, 15)) {
        const struct relation *relation = pick_relation(maker);
        if (!relation->risky) {
            made(P_HAVING_SUBQUERY);
            return SAY(" HAVING count(*) %s (SELECT count(*) / %u FROM %s AS a%u)",
                       chance(maker->dice, 50) ? ">" : "<=", 4 + roll(maker->dice, 20), relation->name,
                       ++maker->aliases % 100);
        }
    }
    char *aggregate = make_aggregate(maker, scope, &type, &flags);
    return flags & LOOSE
               ? SAY(" HAVING %s IS NOT NULL", aggregate)
               : SAY(" HAVING %s %s %s", aggregate, chance(maker->dice, 50) ? ">" : "<>", constant(maker, type));
}

/* It names a column: "a3.x". PostgreSQL pulls an output that does not into the query above, folds, and may fail without
 * a row: such a one counts as BIG. */
static inline bool reads_column(const char *expr)
{
    for (const char *at = expr; (at = strchr(at, 'a')); at++) {
        size_t digits = strspn(at + 1, "0123456789");
        if (digits && at[1 + digits] == '.')
            return true;
    }
    return false;
}

/* PostgreSQL may make a constant of it though it names a column: COALESCE(1, x). Version 15 shows those in all sets. */
static inline bool may_fold(const char *expr)
{
    return strstr(expr, "COALESCE(") || strstr(expr, "CASE ") || strstr(expr, " AND ") || strstr(expr, " OR ");
}

/* GROUP BY by position, plain or in sets. */
static inline char *make_group_by(struct maker *maker, unsigned keys, bool may_sets, bool closes, bool *ret_sets)
{
    *ret_sets = false;
    char *list = NULL;
    for (unsigned i = 1; i <= keys; i++)
        list = list_add(maker, list, SAY("%u", i));
    if (!keys) {
        made(P_GROUP_NONE);
        return "";
    }
    enum production kind = chance(maker->dice, 10) ? (enum production)(P_ROLLUP + roll(maker->dice, 3)) : P_GROUP;
    if (!allowed(kind) || !may_sets || (closes && !allowed(P_CLOSE_SETS)))
        kind = P_GROUP;
    made(kind);
    *ret_sets = kind != P_GROUP;
    if (closes && *ret_sets) {
        made(P_CLOSE_SETS);
        return keys == 1 ? " GROUP BY GROUPING SETS ((1), (1))"
                         : SAY(" GROUP BY 1, %s (%s)", kind == P_CUBE ? "CUBE" : "ROLLUP", list + 3);
    }
    bool mixed = keys > 1 && chance(maker->dice, 40);
    if (mixed && kind == P_ROLLUP && allowed(P_GROUPING_MIXED)) {
        made(P_GROUPING_MIXED);
        return SAY(" GROUP BY 1, %s (%s)", chance(maker->dice, 50) ? "ROLLUP" : "CUBE", list + 3);
    }
    if (mixed && kind == P_CUBE && allowed(P_GROUP_DISTINCT)) {
        made(P_GROUP_DISTINCT);
        return SAY(" GROUP BY DISTINCT ROLLUP (%s), CUBE (1, %u)", list, keys);
    }
    if (mixed && kind == P_GROUPING_SETS && allowed(P_GROUPING_NESTED)) {
        made(P_GROUPING_NESTED);
        return SAY(" GROUP BY GROUPING SETS (ROLLUP (%s), CUBE (%u), ())", list, keys);
    }
    switch (kind) {
    case P_ROLLUP:
        return SAY(" GROUP BY ROLLUP (%s)", list);
    case P_CUBE:
        return SAY(" GROUP BY CUBE (%s)", list);
    case P_GROUPING_SETS:
        return SAY(" GROUP BY GROUPING SETS ((%s), (%u), ())", list, keys);
    default:
        return SAY(" GROUP BY %s", list);
    }
}

/* The alias of a row whose columns print one way; NULL for a source, of which PostgreSQL's copy has more columns. */
static inline char *pick_row(struct maker *maker, const struct scope *scope)
{
    unsigned at = scope->count ? roll(maker->dice, scope->count) : 0;
    for (unsigned i = 0, first = 1; i < scope->count; i++) {
        const struct column *column = &scope->cols[i];
        if (strcmp(scope->prefix[i], scope->prefix[at]))
            continue;
        if (column->flags & LOOSE || strstr(column->name, "window_") || column->name[0] == '_' ||
            column->name[0] == 'l' || (first && strcmp(column->name, "ts") == 0))
            return NULL;
        first = 0;
    }
    return scope->count ? SAY("%.*s", (int)strcspn(scope->prefix[at], "."), scope->prefix[at]) : NULL;
}

/* A whole row as a value; NULL if there is none. */
static inline char *make_whole_row(struct maker *maker, const struct scope *scope, enum type *ret_type)
{
    char *row = allowed(P_WHOLE_ROW) ? pick_row(maker, scope) : NULL;
    if (!row)
        return NULL;
    made(P_WHOLE_ROW);
    unsigned kind = roll(maker->dice, 5);
    *ret_type = kind < 2 ? T_TEXT : kind == 2 ? T_JSONB : T_BOOL;
    return kind == 0   ? SAY("%s::text", row)
           : kind == 1 ? SAY("row_to_json(%s)::text", row)
           : kind == 2 ? SAY("to_jsonb(%s)", row)
           : kind == 3 ? SAY("(%s IS %sNULL)", row, chance(maker->dice, 50) ? "NOT " : "")
                       : SAY("(%s IS %sDISTINCT FROM NULL)", row, chance(maker->dice, 50) ? "NOT " : "");
}

/* A column of a table whose primary key is a key of the groups: it needs not be one; NULL: the key is none. */
static inline char *make_dependent(struct maker *maker, const struct scope *scope, const struct from *from,
                                   const char *key, struct column *ret_column)
{
    unsigned found[2 * COLUMNS_MAX], count = 0;
    size_t prefix = strcspn(key, ".") + 1;
    if (!allowed(P_DEPENDENT) || key[0] != 'a' || strcmp(key + strcspn(key, "."), ".id"))
        return NULL;
    for (unsigned i = 0; i < scope->count; i++)
        if (strlen(scope->prefix[i]) == prefix && strncmp(scope->prefix[i], key, prefix) == 0)
            found[count++] = i;
    for (unsigned i = 0; i < count; i++)
        if (strcmp(scope->cols[found[i]].name, "n") == 0 || strcmp(scope->cols[found[i]].name, "window_end") == 0 ||
            scope->cols[found[i]].flags & (DERIVED | KEYLESS))
            return NULL;                                                          /* a query's rows, not the table's */
    if (!count || strstr(from->postgres, SAY("(SELECT %.*s*", (int)prefix, key))) /* ASOF's right side */
        return NULL;
    made(P_DEPENDENT);
    unsigned at = found[roll(maker->dice, count)];
    *ret_column = scope->cols[at];
    return SAY("%s%s", scope->prefix[at], scope->cols[at].name);
}

static inline struct query make_grouped(struct maker *maker, const struct scope *scope, const struct from *from,
                                        const char *where)
{
    struct query query = {.over_risky = from->risky};
    char *list = NULL, *postgres_list = NULL, *names = NULL;
    bool sets, may_sets = true;
    double groups = 1;
    unsigned keys = chance(maker->dice, 12) ? 0 : 1 + roll(maker->dice, 3), values = 1 + roll(maker->dice, 3);
    bool window = scope->count > 1 && strcmp(scope->cols[scope->count - 1].name, "window_end") == 0;
    for (unsigned i = 0; i < keys; i++) {
        unsigned flags = 0;
        enum type type = window && i == 0 ? T_TIMESTAMP : pick_type(maker, scope);
        const char *side = from->ends || chance(maker->dice, 30) ? "end" : "start";
        char *key = window && i == 0 ? SAY("%swindow_%s", scope->prefix[scope->count - 1], side)
                                     : make_expr(maker, scope, type, chance(maker->dice, 25) ? 1 : 0, LOOSE, &flags);
        query_column(&query, type, flags);
        groups *= type == T_TIMESTAMP || type == T_TIMESTAMPTZ || type == T_INTERVAL || type == T_TIME ? 10000 : 25;
        list = list_add(maker, list, SAY("%s AS c%u", key, i));
        may_sets &= reads_column(key) && !may_fold(key) && !(names && strstr(names, key));
        names = list_add(maker, names, key);
    }
    char *group = make_group_by(maker, keys, may_sets, from->closes, &sets);
    query.late = sets ? NULL : from->late; /* of several sets nobody is told */
    bool listed = chance(maker->dice, 15);
    postgres_list = list;
    for (unsigned i = 0; i < values; i++) {
        enum type type;
        unsigned flags;
        char *postgres = NULL, *aggregate = listed ? make_list(maker, scope, &type, &flags, &postgres) : NULL;
        if (!aggregate)
            aggregate = postgres = make_aggregate(maker, scope, &type, &flags);
        query_column(&query, type, flags);
        list = list_add(maker, list, SAY("%s AS c%u", aggregate, keys + i));
        postgres_list = list_add(maker, postgres_list, SAY("%s AS c%u", postgres, keys + i));
    }
    struct column dependent;
    char *free = keys && !sets && chance(maker->dice, 60)
                     ? make_dependent(maker, scope, from, SAY("%.*s", (int)strcspn(names, ","), names), &dependent)
                     : NULL;
    if (free) {
        add_to_both(maker, &list, &postgres_list, SAY("%s AS c%u", free, query.col_count));
        query_column(&query, dependent.type, dependent.flags);
    }
    char *row = allowed(P_WHOLE_ROW_COUNT) && chance(maker->dice, 5) ? pick_row(maker, scope) : NULL;
    if (row) {
        made(P_WHOLE_ROW_COUNT);
        add_to_both(maker, &list, &postgres_list, SAY("count(%s) AS c%u", row, query.col_count));
        query_column(&query, T_INT8, BIG);
    }
    if (sets && allowed(P_GROUPING) && chance(maker->dice, 50)) {
        made(P_GROUPING);
        add_to_both(maker, &list, &postgres_list, SAY("grouping(%s) AS c%u", names, query.col_count));
        query_column(&query, T_INT4, 0);
    }
    if (!sets && !from->late && allowed(P_OVER_GROUPED) && from->rows < 500 && chance(maker->dice, 12)) {
        made(P_OVER_GROUPED);
        char *first = keys && reads_column(names) ? SAY("PARTITION BY %.*s", (int)strcspn(names, ","), names) : "";
        if (strpbrk(first, "('")) /* more than a column */
            first = "";
        unsigned kind = roll(maker->dice, 3);
        char *over = kind == 0   ? SAY("rank() OVER (%s ORDER BY count(*) DESC)", first)
                     : kind == 1 ? SAY("sum(count(*)) OVER (%s)", first)
                                 : SAY("max(count(*)) OVER (%s ORDER BY count(*) RANGE 1 PRECEDING)", first);
        add_to_both(maker, &list, &postgres_list, SAY("%s AS c%u", over, query.col_count));
        query_column(&query, kind == 1 ? T_NUMERIC : T_INT8, BIG);
    }
    char *having = chance(maker->dice, 20) ? make_having(maker, scope, !from->late) : "";
    char *tail = SAY("%s%s%s", where, group, having);
    query.kappa = SAY("SELECT %s FROM %s%s", list, from->kappa, tail);
    query.postgres = SAY("SELECT %s FROM %s%s", postgres_list, from->postgres, tail);
    query.rows = KP_MIN(from->rows, from->rows > 1000 ? groups : 40);
    return query;
}

/* ---- OVER ---- */

/* One whose arguments, at least `least`, are columns in scope; NULL if none is found soon. */
static inline struct form *pick_fitting(struct maker *maker, const struct scope *scope, struct form_table *table,
                                        unsigned least)
{
    for (unsigned tries = 0; tries < 16; tries++) {
        unsigned flags = 0, fits = 0;
        struct form *form = pick_form(maker, table, TYPES, 0);
        for (const char *arg = form->args; *arg; arg++)
            fits += pick_column(maker, scope, type_of_code(*arg), BIG | LOOSE, &flags) != NULL;
        if (fits >= least && fits == strlen(form->args))
            return form;
    }
    return NULL;
}

/* A window function; for PostgreSQL the order is told down to the whole row where that decides. NULL where that cannot
 * be told, since columns may print differently. */
static inline char *make_over(struct maker *maker, const struct scope *scope, enum type *ret_type, char **ret_postgres)
{
    struct dice *dice = maker->dice;
    char *ties = "";
    unsigned flags = 0;
    bool loose = false;
    for (unsigned i = 0; i < scope->count; i++) {
        loose |= (scope->cols[i].flags & LOOSE) != 0;
        ties = SAY("%s, %s%s", ties, scope->prefix[i], scope->cols[i].name);
    }
    struct form *frame = chance(dice, 55) ? pick_fitting(maker, scope, &frames, 1) : NULL; /* its type */
    enum type key_type = frame ? type_of_code(*frame->args) : pick_type(maker, scope);
    char *key = pick_column(maker, scope, key_type, LOOSE, &flags);
    char *by = pick_column(maker, scope, pick_type(maker, scope), LOOSE, &flags);
    if (!key || !by || !allowed(P_OVER))
        return NULL;
    struct form *form = pick_fitting(maker, scope, &window_functions, 0);
    if (form && frame && form->flags & (W_RANK | W_ROW | W_VALUE)) /* few orders have a frame of their own */
        form = pick_fitting(maker, scope, &window_functions, 0);
    if (!form) /* of constants PostgreSQL may make something else */
        return NULL;
    bool framed = !(form->flags & (W_RANK | W_ROW));
    if (!framed)
        frame = NULL;
    while (framed && (!frame || (form->flags & W_VALUE && (!(frame->flags & W_VALUE) || *frame->args)) ||
                      (*frame->args && type_of_code(*frame->args) != key_type)))
        frame = pick_form(maker, &frames, TYPES, 0);
    char *call = fill_form(maker, scope, form, 0, BIG | LOOSE, &flags);
    char *partition = chance(dice, 70) ? SAY("PARTITION BY %s ", by) : "";
    char *order = SAY("%sORDER BY %s%s", partition, key,
                      ((const char *[]){"", " DESC", " DESC NULLS LAST", " NULLS FIRST"})[roll(dice, 4)]);
    bool whole = form->flags & (W_ROW | W_VALUE) || (frame && frame->flags & W_VALUE && !*frame->args);
    bool peers = frame && strncmp(frame->text, "ROWS", 4) == 0 &&
                 (strstr(frame->text, "EXCLUDE TIES") || strstr(frame->text, "EXCLUDE GROUP")); /* said by the order */
    if (whole && (maker->ordered_over || loose))
        return NULL;
    if (whole && allowed(P_FRAME_ROWS_TOLD) && (peers || chance(dice, 20))) {
        made(P_FRAME_ROWS_TOLD);
        order = SAY("%s%s", order, ties);
        whole = false;
    }
    maker->ordered_over |= whole;
    char *frame_text = frame && *frame->text ? SAY(" %s", frame->text) : "";
    if (frame)
        frame->made++;
    made(P_OVER);
    *ret_type = form->type;
    if (allowed(P_WINDOW_NAMED) && !maker->window_kappa && chance(dice, 20)) {
        made(P_WINDOW_NAMED);
        maker->window_kappa = SAY(" WINDOW w AS (%s%s)", order, frame_text);
        maker->window_postgres = SAY(" WINDOW w AS (%s%s%s)", order, whole ? ties : "", frame_text);
        return *ret_postgres = SAY("%s OVER w", call);
    }
    *ret_postgres = SAY("%s OVER (%s%s%s)", call, order, whole ? ties : "", frame_text);
    return SAY("%s OVER (%s%s)", call, order, frame_text);
}

/* ---- plain SELECT ---- */

/* The last clauses, for both; ties fall by the whole row, which PostgreSQL has to be told. */
struct tail {
    char *distinct, *kappa, *postgres;
};

static inline struct tail make_top(struct maker *maker, const struct scope *scope, bool distinct, unsigned count,
                                   double *rows)
{
    char *keys = NULL, *rest = NULL;
    unsigned flags = 0;
    if (!distinct && allowed(P_ORDER_HIDDEN) && chance(maker->dice, 15)) { /* by what is not among the columns */
        char *hidden = make_expr(maker, scope, pick_type(maker, scope), 1, LOOSE, &flags);
        if (reads_column(hidden)) {
            made(P_ORDER_HIDDEN);
            keys = SAY("%s%s", hidden, chance(maker->dice, 50) ? " DESC" : "");
        }
    }
    for (unsigned i = 1 + roll(maker->dice, 2); i; i--)
        keys = list_add(maker, keys,
                        SAY("%u%s", 1 + roll(maker->dice, count),
                            ((const char *[]){"", " DESC", " DESC NULLS LAST", " NULLS FIRST"})[roll(maker->dice, 4)]));
    for (unsigned i = 0; i < count; i++)
        rest = list_add(maker, rest, SAY("%u", i + 1));
    unsigned most = 1 + roll(maker->dice, 12);
    if (allowed(P_WITH_TIES) && chance(maker->dice, 15)) { /* all rows may be tied */
        made(P_WITH_TIES);
        char *text = SAY(" ORDER BY %s FETCH FIRST %u ROWS WITH TIES", keys, most);
        return (struct tail){"", text, text};
    }
    *rows = KP_MIN(*rows, most);
    bool offset = chance(maker->dice, 20);
    char *limit = SAY(" LIMIT %u", most);
    if (offset) /* now and then behind all rows */
        limit = SAY("%s OFFSET %u", limit, chance(maker->dice, 80) ? 1 + roll(maker->dice, 6) : 1000);
    made(offset ? P_OFFSET : P_LIMIT);
    if (allowed(P_LIMIT_NONE) && chance(maker->dice, 3)) {
        made(P_LIMIT_NONE);
        limit = " LIMIT 0";
    } else if (allowed(P_OFFSET_ALONE) && chance(maker->dice, 6)) {
        made(P_OFFSET_ALONE);
        limit = SAY(" OFFSET %u", roll(maker->dice, 30));
    }
    return (struct tail){"", SAY(" ORDER BY %s%s", keys, limit), SAY(" ORDER BY %s, %s%s", keys, rest, limit)};
}

/* The first row of each value of the first column. A function that makes rows, as column `set` (0: there is none), is
 * called for the rows that are left, unless ORDER BY names it: then those are ordered by FROM's whole row first. False
 * if that cannot be told. */
static inline bool make_distinct_on(struct maker *maker, const struct scope *scope, const char *first, unsigned count,
                                    unsigned set, struct tail *ret_tail)
{
    char *rest = NULL;
    unsigned second = 1 + roll(maker->dice, count);
    bool late = set && second != set;
    for (unsigned i = 0; late && i < scope->count; i++) {
        if (scope->cols[i].flags & LOOSE)
            return false;
        if (scope->cols[i].name[0] != '_') /* no column of the row */
            rest = list_add(maker, rest, SAY("%s%s", scope->prefix[i], scope->cols[i].name));
    }
    for (unsigned i = 1; i <= count; i++)
        if (!late || i != set)
            rest = list_add(maker, rest, SAY("%u", i));
    made(P_DISTINCT_ON);
    bool two = count > 1 && set != 2 && allowed(P_DISTINCT_ON_TWO) && chance(maker->dice, 40);
    if (two)
        made(P_DISTINCT_ON_TWO);
    const char *more = two ? ", 2" : "";
    *ret_tail = (struct tail){SAY("DISTINCT ON (%s%s) ", first, more), SAY(" ORDER BY 1%s, %u", more, second),
                              SAY(" ORDER BY 1%s, %u, %s", more, second, rest)};
    return true;
}

/* Rows of a function among the columns. */
static inline void add_set_column(struct maker *maker, const struct scope *scope, struct query *query, char **list,
                                  char **postgres_list)
{
    enum production kind = chance(maker->dice, 50) ? P_SET_SELECTED : P_SERIES_SELECTED;
    unsigned flags = 0;
    char *column = pick_column(maker, scope, kind == P_SET_SELECTED ? T_INTS : T_INT4, BIG | LOOSE, &flags);
    bool made_here = !column && kind == P_SET_SELECTED; /* few relations have arrays */
    if (made_here)
        column = pick_column(maker, scope, T_INT4, BIG | LOOSE, &flags);
    if (!column || !allowed(kind) || query->rows > 1000)
        return;
    made(kind);
    char *call = made_here ? SAY("unnest(ARRAY[%s, 1 - %s %% 7, NULL]) AS c%u", column, column, query->col_count)
                 : kind == P_SET_SELECTED ? SAY("unnest(%s) AS c%u", column, query->col_count)
                                          : SAY("generate_series(1, %s %% 3) AS c%u", column, query->col_count);
    add_to_both(maker, list, postgres_list, call);
    query_column(query, T_INT4, 0);
    query->rows *= 2;
}

/* "a3.*": all columns of the one relation that is read; NULL if there are more, or a source, of which PostgreSQL's copy
 * has more columns. */
static inline char *make_star(struct maker *maker, const struct scope *scope, struct query *query)
{
    if (!allowed(P_STAR) || !chance(maker->dice, 5) || scope->count + 6 > COLUMNS_MAX)
        return NULL;
    for (unsigned i = 0; i < scope->count; i++) {
        const struct column *column = &scope->cols[i];
        if (strcmp(scope->prefix[i], scope->prefix[0]) || column->flags & LOOSE || strstr(column->name, "window_") ||
            column->name[0] == '_' || (i == 0 && strcmp(column->name, "ts") == 0))
            return NULL;
        query->cols[i] = *column;
        query->cols[i].flags |= DERIVED;
    }
    if (!scope->count)
        return NULL;
    made(P_STAR);
    query->col_count = scope->count;
    return SAY("%s*", scope->prefix[0]);
}

static inline struct query make_plain(struct maker *maker, const struct scope *scope, const struct from *from,
                                      const char *where)
{
    struct query query = {.over_risky = from->risky, .rows = from->rows};
    const char *where_kappa = where, *where_postgres = where;
    bool risk = maker->risk;
    bool distinct = chance(maker->dice, 15), top = chance(maker->dice, 20);
    unsigned count = 1 + roll(maker->dice, 5);
    char *list = NULL, *postgres_list = NULL, *first = NULL, *window[2] = {maker->window_kappa, maker->window_postgres};
    bool ordered_over = maker->ordered_over;
    maker->window_kappa = maker->window_postgres = NULL;
    maker->ordered_over = false;
    if (!from->late && (list = postgres_list = make_star(maker, scope, &query)))
        first = SAY("%s%s", scope->prefix[0], scope->cols[0].name);
    for (unsigned i = query.col_count, end = i + count; i < end; i++) {
        unsigned flags = 0;
        enum type type = i == 0 ? T_INT4 : pick_type(maker, scope);
        char *postgres = NULL, *expr = NULL;
        if (i > 0 && from->rows < 500 && chance(maker->dice, 28)) {
            for (unsigned tries = 0; !expr && tries < 4; tries++)
                expr = make_over(maker, scope, &type, &postgres);
            flags = BIG;
        } else if (i > 0 && chance(maker->dice, 9)) {
            bool risky = false;
            flags = BIG;
            expr = postgres = chance(maker->dice, 60)
                                  ? make_sub_value(maker, scope, from->rows, &type, &risky)
                                  : make_subquery_column(maker, scope, from->rows, &type, &flags, &risky);
            query.over_risky |= risky;
        }
        if (!expr && i > 0 && !distinct && !top && chance(maker->dice, 4))
            flags = BIG, expr = postgres = make_whole_row(maker, scope, &type);
        if (expr && allowed(P_CASE_SUBQUERY) && strncmp(expr, "(SELECT", 7) == 0 && chance(maker->dice, 15)) {
            made(P_CASE_SUBQUERY);
            expr = postgres = SAY("CASE WHEN %s THEN %s END", make_predicate(maker, scope, 1), expr);
        }
        if (!expr && i > 0 && chance(maker->dice, 20)) { /* each function as often, whatever the columns' types */
            struct form *form = pick_form(maker, &functions, TYPES, distinct || top ? F_LOOSE : 0);
            type = form->type;
            flags = 0;
            expr = postgres = fill_form(maker, scope, form, 2, distinct || top ? LOOSE : 0, &flags);
        }
        if (!expr) {
            flags = 0;
            if (i > 0)
                type = pick_type(maker, scope);
            if (i > 0 && !distinct && !top && chance(maker->dice, 4))
                type = T_JSON;
            expr = postgres = make_expr(maker, scope, type, roll(maker->dice, 4), distinct || top ? LOOSE : 0, &flags);
        }
        first = first ? first : expr;
        query_column(&query, type, flags | (reads_column(expr) ? 0 : BIG));
        list = list_add(maker, list, SAY("%s AS c%u", expr, i));
        postgres_list = list_add(maker, postgres_list, SAY("%s AS c%u", postgres, i));
    }
    unsigned columns = query.col_count;
    if (!from->late && risk == maker->risk && chance(maker->dice, 4)) /* PostgreSQL computes the others first */
        add_set_column(maker, scope, &query, &list, &postgres_list);
    unsigned set = query.col_count > columns ? query.col_count : 0;
    if (maker->window_kappa) {
        where_kappa = SAY("%s%s", where, maker->window_kappa);
        where_postgres = SAY("%s%s", where, maker->window_postgres);
    }
    maker->window_kappa = window[0], maker->window_postgres = window[1];
    maker->ordered_over = ordered_over;
    struct tail tail = {"", "", ""};
    bool on = distinct && top && allowed(P_DISTINCT_ON) && reads_column(first) &&
              make_distinct_on(maker, scope, first, query.col_count, set, &tail);
    if (top && !on)
        tail = make_top(maker, scope, distinct, query.col_count, &query.rows);
    if (distinct && !*tail.distinct) {
        made(P_DISTINCT);
        tail.distinct = "DISTINCT ";
    }
    query.kappa = SAY("SELECT %s%s FROM %s%s%s", tail.distinct, list, from->kappa, where_kappa, tail.kappa);
    query.postgres =
        SAY("SELECT %s%s FROM %s%s%s", tail.distinct, postgres_list, from->postgres, where_postgres, tail.postgres);
    return query;
}

static inline char *make_where(struct maker *maker, const struct scope *scope, struct from *from)
{
    char *where = from->where;
    if (chance(maker->dice, 40)) {
        char *predicate = make_predicate(maker, scope, 2);
        where = where ? SAY("%s AND %s", where, predicate) : predicate;
        made(P_WHERE);
    }
    char *now = chance(maker->dice, 8) ? make_now(maker, scope) : NULL;
    if (now)
        where = where ? SAY("%s AND %s", where, now) : now;
    char *subquery = NULL;
    if (chance(maker->dice, 12))
        subquery = make_subquery(maker, scope, from->rows, &from->risky);
    else if (chance(maker->dice, 14)) {
        bool deep = allowed(P_SUBQUERY_DEEP) && chance(maker->dice, 25);
        subquery = make_sub_predicate(maker, scope, from->rows, deep ? 3 : 1, &from->risky);
    }
    if (subquery)
        where = !where
                    ? subquery
                    : SAY("(%s) %s %s", where, from->where || now || chance(maker->dice, 70) ? "AND" : "OR", subquery);
    return where ? SAY(" WHERE %s", where) : "";
}

static struct query make_select(struct maker *maker, unsigned depth)
{
    bool risk = maker->risk;
    maker->risk = false; /* for what is below, where this query's predicates might guard it */
    struct scope scope = {0};
    struct from from = make_from(maker, depth, &scope);
    if (!from.where && allowed(P_LATERAL_LIMIT) && chance(maker->dice, 8))
        add_sub_lateral(maker, &scope, &from);
    char *where = make_where(maker, &scope, &from);
    maker->risk = risk;
    struct query query = from.rows > 3000 || chance(maker->dice, 45) ? make_grouped(maker, &scope, &from, where)
                                                                     : make_plain(maker, &scope, &from, where);
    query.risky |= risk && !maker->risk;
    maker->risk = false;
    return query;
}

/* ---- around SELECT ---- */

/* How many late pairs a view has left out. */
static inline bool make_late(struct maker *maker, struct query *ret_query)
{
    for (unsigned at = roll(maker->dice, maker->relation_count), i = 0; i < maker->relation_count; i++) {
        const struct relation *relation = &maker->relations[(at + i) % maker->relation_count];
        if (!relation->late || !allowed(P_LATE))
            continue;
        made(P_LATE);
        *ret_query = (struct query){.view_only = true, .rows = 20};
        query_column(ret_query, T_TIMESTAMP, 0);
        query_column(ret_query, T_INT8, 0);
        ret_query->kappa =
            SAY("SELECT window_end AS c0, count(*) AS c1 FROM late(%s) AS a1 GROUP BY 1", relation->name);
        ret_query->postgres = SAY("SELECT window_end AS c0, count(*) AS c1 FROM %s GROUP BY 1", relation->late);
        return true;
    }
    return false;
}

/* A source whose watermark closes windows. */
static inline const struct relation *pick_marked(struct maker *maker)
{
    for (unsigned at = roll(maker->dice, maker->relation_count), i = 0; i < maker->relation_count; i++)
        if (maker->relations[(at + i) % maker->relation_count].watermark)
            return &maker->relations[(at + i) % maker->relation_count];
    return maker->relations;
}

static inline struct from make_closed_window(struct maker *maker, const char *alias, struct scope *scope)
{
    const struct relation *relation = pick_marked(maker);
    struct column cols[COLUMNS_MAX + 2];
    unsigned count = relation->col_count;
    memcpy(cols, relation->cols, count * sizeof *cols);
    window_columns(cols, &count);
    scope_add(scope, alias, cols, count);
    return make_window(maker, relation, alias, SAY("'%s'", relation->name));
}

/* What there was of each k in each window of a source; one without late rows, closed or not. */
static inline struct from make_counted(struct maker *maker, const struct relation *relation, const char *alias,
                                       const char *closed)
{
    char *inner = SAY("a%u", ++maker->aliases % 100);
    struct from from = make_window(maker, relation, inner, "");
    const char *head = SAY("SELECT %s.k, count(*) AS n, %s.window_end", inner, inner);
    from.kappa = SAY("(%s FROM %s GROUP BY 1, 3) AS %s", head, from.kappa, alias);
    from.postgres = SAY("(%s FROM %s GROUP BY 1, 3) AS %s", head, from.postgres, alias);
    if (*closed)
        from.postgres = only_closed(maker, from.postgres, closed, alias);
    return from;
}

/* Windows joined one by one with those of a source, maybe the same, or with a table's rows, which may change when they
 * are closed. The side whose windows close stands on the right. */
static inline struct from make_closed_join(struct maker *maker, const char *alias, struct scope *scope)
{
    const struct relation *relation = pick_marked(maker), *other = pick_marked(maker);
    char *left = SAY("a%u", ++maker->aliases % 100), *on;
    struct column counted[] = {{"k", T_INT4, DERIVED}, {"n", T_INT8, DERIVED}, {"window_end", T_TIMESTAMP, 0}};
    bool outer = chance(maker->dice, 50), with_table = chance(maker->dice, 30);
    for (unsigned at = roll(maker->dice, maker->relation_count), i = 0; with_table && i < maker->relation_count; i++)
        if (!maker->relations[(at + i) % maker->relation_count].source)
            other = &maker->relations[(at + i) % maker->relation_count];
    with_table &= !other->source;
    char *sources = with_table ? SAY("'%s'", relation->name) : SAY("'%s', '%s'", relation->name, other->name);
    struct from from = make_counted(maker, relation, alias, sources), with = {.rows = other->rows};
    if (with_table) {
        unsigned flags = 0;
        scope_add(scope, left, other->cols, other->col_count);
        char *key = pick_column(maker, scope, T_INT4, LOOSE, &flags);
        on = key ? SAY("%s = %s.k", key, alias) : "true";
        with.kappa = with.postgres = SAY("%s AS %s", other->name, left);
        from.risky |= other->risky;
    } else {
        scope_add(scope, left, counted, KP_COUNT(counted));
        with = make_counted(maker, other, left, "");
        on = SAY("%s.window_end = %s.window_end%s", left, alias,
                 chance(maker->dice, 70) ? SAY(" AND %s.k = %s.k", alias, left) : "");
    }
    made(with_table ? P_CLOSE_JOIN_TABLE : outer ? P_CLOSE_JOIN_RIGHT : P_CLOSE_JOIN);
    from.kappa = SAY("%s %sJOIN %s ON %s", with.kappa, outer ? "RIGHT " : "", from.kappa, on);
    from.postgres = SAY("%s %sJOIN %s ON %s", with.postgres, outer ? "RIGHT " : "", from.postgres, on);
    from.late = NULL;
    from.ends = true;
    from.rows *= 3;
    scope_add(scope, alias, counted, KP_COUNT(counted));
    return from;
}

/* Windows over windows, by the end of those below, or by their start where each is held whole. */
static inline struct from make_closed_nested(struct maker *maker, const char *alias, struct scope *scope)
{
    static const char *const outer_sizes[] = {"1 minute", "7 minutes", "1 hour"};
    const struct relation *relation = pick_marked(maker);
    char *inner = SAY("a%u", ++maker->aliases % 100);
    bool starts = chance(maker->dice, 50), offset = starts && chance(maker->dice, 30);
    struct from below = {.rows = relation->rows}, from;
    if (starts) {
        const char *size = chance(maker->dice, 50) ? "10 seconds" : "1 minute";
        make_tumble(maker, (struct windowed){relation->name, relation->name}, inner, size, offset, &below);
        below.postgres =
            SAY("(SELECT * FROM %s WHERE law_w IS NULL OR window_end > law_w) AS %s", below.postgres, inner);
    } else {
        below = make_window(maker, relation, inner, "");
    }
    const char *head = SAY("SELECT %s.window_%s AS ts, %s.k, count(*) AS n", inner, starts ? "start" : "end", inner);
    const char *tail = SAY("GROUP BY %s.window_start, %s.window_end, %s.k", inner, inner, inner);
    const struct windowed over = {SAY("(%s FROM %s %s)", head, below.kappa, tail),
                                  SAY("(%s FROM %s %s)", head, below.postgres, tail)};
    from = (struct from){.rows = below.rows, .risky = below.risky};
    unsigned kind = offset ? 0 : roll(maker->dice, 3);
    if (kind == 0)
        make_tumble(maker, over, alias, outer_sizes[roll(maker->dice, 3)], offset, &from);
    else if (kind == 1)
        make_hop(maker, over, alias, "1 minute", outer_sizes[roll(maker->dice, 2)], &from);
    else
        make_cumulate(maker, over, alias, &from);
    from.ends = kind == 2;
    from.postgres = only_closed(maker, from.postgres, SAY("'%s'", relation->name), alias);
    struct column cols[5] = {{"ts", T_TIMESTAMP, DERIVED}, {"k", T_INT4, DERIVED}, {"n", T_INT8, DERIVED}};
    unsigned count = 3;
    window_columns(cols, &count);
    scope_add(scope, alias, cols, count);
    made(P_CLOSE_NESTED);
    return from;
}

/* EMIT ON WINDOW CLOSE. */
static inline struct query make_closed(struct maker *maker)
{
    struct query query;
    if (chance(maker->dice, 15) && make_late(maker, &query))
        return query;
    struct scope scope = {0};
    char *alias = SAY("a%u", ++maker->aliases % 100);
    unsigned kind = roll(maker->dice, 8);
    struct from from = kind == 6 && allowed(P_CLOSE_NESTED) ? make_closed_nested(maker, alias, &scope)
                       : kind == 7 && allowed(P_CLOSE_JOIN) ? make_closed_join(maker, alias, &scope)
                                                            : make_closed_window(maker, alias, &scope);
    from.closes = true;
    bool risk = maker->risk;
    maker->risk = false;
    char *where = chance(maker->dice, 30) ? SAY(" WHERE %s", make_predicate(maker, &scope, 1)) : "";
    const char *window = NULL;
    for (unsigned tries = 0; tries < 100; tries++) { /* a window's end or start has to be among the columns */
        maker->risk = risk;
        bool grouped = !chance(maker->dice, 25);
        query = grouped ? make_grouped(maker, &scope, &from, where) : make_plain(maker, &scope, &from, where);
        query.late = grouped ? query.late : from.late;
        window = strstr(query.kappa, from.ends ? SAY("%s.window_end AS c", alias) : SAY("%s.window_", alias));
        if (window && window < strstr(query.kappa, " FROM "))
            break;
    }
    query.risky |= risk && !maker->risk;
    maker->risk = false;
    query.view_only = true;
    query.late = *where ? NULL : query.late;
    query.kappa = SAY("%s EMIT ON WINDOW CLOSE", query.kappa);
    return query;
}

/* ON ERROR SKIP: the rows whose division fails are left out, and counted. */
static inline bool make_skip(struct maker *maker, struct query *ret_query)
{
    const struct relation *relation = &maker->relations[roll(maker->dice, maker->relation_count)];
    struct scope scope = {0};
    scope_add(&scope, "a1", relation->cols, relation->col_count);
    unsigned flags = 0, group_flags = 0;
    char *column = pick_column(maker, &scope, T_INT4, BIG | LOOSE | DERIVED, &flags);
    enum type type = pick_type(maker, &scope);
    char *group = pick_column(maker, &scope, type, LOOSE, &group_flags);
    if (!column || !group || !allowed(P_ERROR_SKIP) || relation->risky)
        return false;
    made(P_ERROR_SKIP);
    struct query query = {.view_only = true, .rows = relation->rows};
    query_column(&query, type, group_flags);
    query_column(&query, T_INT8, 0);
    bool grouped = chance(maker->dice, 50);
    char *list = grouped ? SAY("%s AS c0, sum(12 / %s) AS c1", group, column)
                         : SAY("%s AS c0, 12::bigint / %s AS c1", group, column);
    const char *tail = grouped ? " GROUP BY 1" : "";
    query.kappa = SAY("SELECT %s FROM %s AS a1%s ON ERROR SKIP", list, relation->name, tail);
    query.postgres = SAY("SELECT %s FROM %s AS a1 WHERE %s IS DISTINCT FROM 0%s", list, relation->name, column, tail);
    query.errors = SAY("SELECT count(*) FROM %s AS a1 WHERE %s = 0", relation->name, column);
    *ret_query = query;
    return true;
}

/* A set operation of two with the same types: the second is the first's columns from another FROM. Only UNION ALL where
 * equal values may print differently. */
static inline struct query make_set_operation(struct maker *maker, struct query query)
{
    static const char *const names[] = {"UNION", "UNION ALL", "EXCEPT", "EXCEPT ALL", "INTERSECT", "INTERSECT ALL"};
    struct scope scope = {0};
    struct from from = make_from(maker, 0, &scope);
    char *list = NULL;
    bool loose = false;
    if (from.rows > 3000 || from.where || query.view_only)
        return query;
    for (unsigned i = 0; i < query.col_count; i++) {
        unsigned flags = 0;
        loose |= query.cols[i].type == T_NUMERIC || query.cols[i].type == T_FLOAT8 || query.cols[i].flags & LOOSE;
        char *expr = make_expr(maker, &scope, query.cols[i].type, 1, query.cols[i].flags & LOOSE ? 0 : LOOSE, &flags);
        loose |= (flags & LOOSE) != 0;
        list = list_add(maker, list, expr);
        query.cols[i].flags |= flags | (query.cols[i].type == T_NUMERIC ? LOOSE : 0);
    }
    enum production kind = loose ? P_UNION_ALL : (enum production)(P_UNION + roll(maker->dice, 6));
    made(kind);
    const char *name = names[kind - P_UNION];
    bool ordered = strstr(query.kappa, " ORDER BY ") || strstr(query.kappa, "WITH ") == query.kappa;
    const char *open = ordered ? "(" : "", *close = ordered ? ")" : "";
    query.kappa = SAY("%s%s%s %s SELECT %s FROM %s", open, query.kappa, close, name, list, from.kappa);
    query.postgres = SAY("%s%s%s %s SELECT %s FROM %s", open, query.postgres, close, name, list, from.postgres);
    query.rows += from.rows;
    query.over_risky |= from.risky;
    return query;
}

/* A third operand, or an order and a limit. */
static inline struct query make_set_tail(struct maker *maker, struct query query)
{
    char *order = NULL;
    for (unsigned i = 0; i < query.col_count; i++) {
        if (query.cols[i].type == T_NUMERIC || query.cols[i].type == T_FLOAT8 || query.cols[i].flags & LOOSE)
            return query;
        order = list_add(maker, order, SAY("%u", i + 1));
    }
    if (!allowed(P_SET_TOP))
        return query;
    made(P_SET_TOP);
    unsigned most = 1 + roll(maker->dice, 8);
    query.kappa = SAY("%s ORDER BY %s LIMIT %u", query.kappa, order, most);
    query.postgres = SAY("%s ORDER BY %s LIMIT %u", query.postgres, order, most);
    query.rows = most;
    return query;
}

/* WITH: a query that another one reads, often twice. */
static inline struct query make_with(struct maker *maker, unsigned depth)
{
    struct query inner = make_select(maker, 0);
    struct relation with = {
        .view = true, .risky = inner.risky || inner.over_risky, .rows = inner.rows, .col_count = inner.col_count};
    snprintf(with.name, sizeof with.name, "w%u", ++maker->aliases % 100);
    memcpy(with.cols, inner.cols, sizeof with.cols);
    const struct relation *outer = maker->with;
    maker->with = &with;
    char *more_kappa = "", *more_postgres = "";
    struct relation next;
    if (allowed(P_WITH_CHAIN) && chance(maker->dice, 30)) { /* a second one, which may read the first */
        made(P_WITH_CHAIN);
        struct query second = make_select(maker, 0);
        next = (struct relation){.view = true,
                                 .risky = second.risky || second.over_risky,
                                 .rows = second.rows,
                                 .col_count = second.col_count};
        snprintf(next.name, sizeof next.name, "w%u", ++maker->aliases % 100);
        memcpy(next.cols, second.cols, sizeof next.cols);
        more_kappa = SAY(", %s AS (%s)", next.name, second.kappa);
        more_postgres = SAY(", %s AS (%s)", next.name, second.postgres);
        maker->with = &next;
        with.risky |= next.risky;
    }
    struct query query = make_select(maker, depth);
    maker->with = outer;
    made(P_WITH);
    const char *how = "";
    if (allowed(P_WITH_MATERIALIZED) && chance(maker->dice, 30)) {
        made(P_WITH_MATERIALIZED);
        how = chance(maker->dice, 50) ? "MATERIALIZED " : "NOT MATERIALIZED ";
    }
    query.kappa = SAY("WITH %s AS %s(%s)%s %s", with.name, how, inner.kappa, more_kappa, query.kappa);
    query.postgres = SAY("WITH %s AS %s(%s)%s %s", with.name, how, inner.postgres, more_postgres, query.postgres);
    query.over_risky |= with.risky;
    return query;
}

/* What can be reached from some rows of a table by its k: a graph, with cycles. */
static inline struct query make_recursive(struct maker *maker, const struct relation *table)
{
    static const struct {
        enum production production;
        const char *text, *cols; /* %T: the table, %O: another relation, %N: a number */
    } kinds[] = {
        {P_WITH_RECURSIVE,
         "WITH RECURSIVE r AS (SELECT a1.id, a1.k FROM %T AS a1 WHERE a1.k < %N UNION SELECT a2.id, a2.k "
         "FROM %T AS a2 JOIN r ON a2.id = r.k) SELECT id AS c0, k AS c1 FROM r",
         "ii"},
        {P_RECURSIVE_ALL,
         "WITH RECURSIVE r AS (SELECT id, k, 1 AS d FROM %T AS a1 WHERE k < %N UNION ALL SELECT a2.id, a2.k, "
         "d + 1 FROM %T AS a2 JOIN r ON a2.id = r.k WHERE d < 5) SELECT id AS c0, k AS c1, d AS c2 FROM r",
         "iii"},
        {P_RECURSIVE_GROUPED,
         "WITH RECURSIVE r AS (SELECT id, k::int AS k, 1 AS d FROM %T AS a1 UNION ALL SELECT id, k - 1, d + 1 FROM "
         "r WHERE d < %N) SELECT k AS c0, max(d) AS c1, count(*) AS c2 FROM r GROUP BY 1",
         "iil"},
        {P_RECURSIVE_PATH,
         "WITH RECURSIVE r AS (SELECT id, k, id::text AS p FROM %T AS a1 UNION ALL SELECT a2.id, a2.k, r.p "
         "|| '/' || a2.id FROM %T AS a2 JOIN r ON a2.id = r.k WHERE length(r.p) < 12) SELECT p AS c0, "
         "count(*) AS c1 FROM r GROUP BY 1",
         "tl"},
        {P_RECURSIVE_SEARCH,
         "WITH RECURSIVE r AS (SELECT id, k FROM %T AS a1 UNION ALL SELECT a2.id, a2.k FROM %T AS a2 JOIN "
         "r ON a2.id = r.k AND a2.id < r.id) SEARCH DEPTH FIRST BY id SET o SELECT id AS c0, k AS c1, "
         "o::text AS c2 FROM r",
         "iit"},
        {P_RECURSIVE_BREADTH,
         "WITH RECURSIVE r AS (SELECT id, k FROM %T AS a1 UNION ALL SELECT a2.id, a2.k FROM %T AS a2 JOIN "
         "r ON a2.id = r.k AND a2.id < r.id) SEARCH BREADTH FIRST BY id, k SET o SELECT id AS c0, k AS c1, "
         "o::text AS c2 FROM r",
         "iit"},
        {P_RECURSIVE_CYCLE,
         "WITH RECURSIVE r AS (SELECT id, k FROM %T AS a1 WHERE k < %N UNION ALL SELECT a2.id, a2.k FROM %T "
         "AS a2 JOIN r ON a2.id = r.k) CYCLE id SET c USING o SELECT id AS c0, k AS c1, c AS c2 FROM r",
         "iib"},
        {P_RECURSIVE_NOT,
         "WITH RECURSIVE r AS (SELECT id, k FROM %T AS a1 WHERE k < %N UNION SELECT a2.id, a2.k FROM %T AS a2 JOIN r "
         "ON "
         "a2.id = r.k WHERE NOT EXISTS (SELECT 1 FROM %O AS a3 WHERE a3.k = a2.id)) SELECT id AS c0, k AS c1 FROM r",
         "ii"},
        {P_RECURSIVE_READ,
         "WITH RECURSIVE r AS (SELECT a1.k, 0 AS d FROM %O AS a1 WHERE a1.k < %N UNION SELECT a2.k, d + 1 FROM %T AS "
         "a2 "
         "JOIN r ON a2.id = r.k WHERE d < 4), q AS (SELECT k, max(d) AS d, count(*) AS n FROM r GROUP BY 1) SELECT r.k "
         "AS c0, q.d AS c1, n AS c2 FROM r LEFT JOIN q ON q.k = r.k AND r.d < q.d",
         "iil"},
        {P_RECURSIVE_LEFT,
         "WITH RECURSIVE r AS (SELECT a1.k, 0 AS d FROM %O AS a1 UNION SELECT a2.k, d + 1 FROM r LEFT JOIN %T AS a2 ON "
         "a2.id = r.k WHERE d < 3) SELECT k AS c0, max(d) AS c1 FROM r GROUP BY 1",
         "ii"},
    };
    unsigned at = roll(maker->dice, KP_COUNT(kinds)), number = 1 + roll(maker->dice, 5);
    if (!allowed(kinds[at].production))
        at = 0;
    struct query query = {.rows = table->rows * 3};
    const struct relation *other = &maker->relations[roll(maker->dice, maker->relation_count)];
    other = strcmp(other->cols[1].name, "k") || other->rows > 1000 ? table : other;
    for (const char *col = kinds[at].cols; *col; col++)
        query_column(&query, type_of_code(*col), BIG);
    made(kinds[at].production);
    query.kappa = "";
    for (const char *c = kinds[at].text; *c; c++)
        query.kappa = *c != '%'     ? SAY("%s%c", query.kappa, *c)
                      : *++c == 'T' ? SAY("%s%s", query.kappa, table->name)
                      : *c == 'O'   ? SAY("%s%s", query.kappa, other->name)
                                    : SAY("%s%u", query.kappa, number);
    query.postgres = query.kappa;
    return query;
}

static struct query make_query(struct maker *maker, unsigned depth)
{
    if (allowed(P_WITH_RECURSIVE) && chance(maker->dice, 5))
        for (unsigned at = roll(maker->dice, maker->relation_count), i = 0; i < maker->relation_count; i++) {
            const struct relation *relation = &maker->relations[(at + i) % maker->relation_count];
            if (strcmp(relation->cols[0].name, "id") == 0)
                return make_recursive(maker, relation);
        }
    struct query query = chance(maker->dice, 6) ? make_with(maker, depth) : make_select(maker, depth);
    if (!chance(maker->dice, 14))
        return query;
    query = make_set_operation(maker, query);
    if (allowed(P_SET_OF_SETS) && chance(maker->dice, 20)) {
        made(P_SET_OF_SETS);
        query = make_set_operation(maker, query);
    }
    return chance(maker->dice, 15) && !strstr(query.kappa, " ORDER BY ") ? make_set_tail(maker, query) : query;
}

#endif
