/*
 * For law_test.c only: random queries over what exists, each written twice: for kappa, and for PostgreSQL, which lacks
 * windows and to which the order of top-N's ties (the whole row) has to be said.
 *
 * Only what PostgreSQL defines is made: sums that do not overflow by chance, keys that print one way (values.h), at
 * most one expression in a query that may fail, and that one where no predicate could guard it.
 */
#ifndef KP_TESTS_LAW_QUERIES_H
#define KP_TESTS_LAW_QUERIES_H

#include "tests/law/values.h"

enum { COLUMNS_MAX = 24, RELATIONS_MAX = 40 };

struct relation {
    char name[16];
    bool source, view, watermark;
    bool risky; /* reading it may fail */
    unsigned partitions;
    struct column cols[COLUMNS_MAX];
    unsigned col_count;
    double rows; /* estimate */
};

struct query {
    char *kappa, *postgres;
    struct column cols[COLUMNS_MAX];
    unsigned col_count;
    double rows;
    bool risky;      /* it may fail, for a reason of its own */
    bool over_risky; /* a view below may: PostgreSQL leaves out what is not asked for */
};

struct maker {
    struct dice *dice;
    struct kp_arena *arena;
    struct relation *relations;
    unsigned relation_count;
    unsigned aliases;
    double rows_max; /* pairs that a join may look at */
    bool risk;       /* one expression of this query may fail */
};

/* What names an expression can use. */
struct scope {
    struct column cols[2 * COLUMNS_MAX];
    char prefix[2 * COLUMNS_MAX][8]; /* "a3." */
    unsigned count;
};

#define SAY(...) kp_arena_printf(maker->arena, __VA_ARGS__)

static inline char *constant(struct maker *maker, enum type type)
{
    char *sql, *json;
    do
        value_make(maker->dice, maker->arena, &(struct column){.type = type}, &sql, &json);
    while (!json);
    if (type == T_NUMERIC || type == T_INT2 || type == T_INT8 || type == T_FLOAT8)
        return SAY("%s::%s", sql, type_names[type]);
    if (type == T_INT4)
        return SAY("(%s)", sql[0] == '\'' ? SAY("%s::int", sql) : sql);
    return type == T_BOOL ? sql : SAY("%s::%s", sql, type_names[type]);
}

/* A column of the type without the flags in `not`; NULL if there is none. */
static inline char *pick_column(struct maker *maker, const struct scope *scope, enum type type, unsigned not,
                                unsigned *flags)
{
    unsigned found[2 * COLUMNS_MAX], count = 0;
    for (unsigned i = 0; i < scope->count; i++)
        if (scope->cols[i].type == type && !(scope->cols[i].flags & not ))
            found[count++] = i;
    if (!count)
        return NULL;
    unsigned at = found[roll(maker->dice, count)];
    *flags |= scope->cols[at].flags;
    return SAY("%s%s", scope->prefix[at], scope->cols[at].name);
}

static inline enum type pick_type(struct maker *maker, const struct scope *scope)
{
    if (scope->count && chance(maker->dice, 93))
        return scope->cols[roll(maker->dice, scope->count)].type;
    return (enum type)roll(maker->dice, TYPES);
}

static char *make_expr(struct maker *maker, const struct scope *scope, enum type type, unsigned depth, unsigned not,
                       unsigned *flags);
#define EXPR(type, not ) make_expr(maker, scope, type, depth - 1, not, flags)

static inline char *make_predicate(struct maker *maker, const struct scope *scope, unsigned depth)
{
    unsigned ignored = 0, *flags = &ignored;
    static const char *const compares[] = {"=", "<>", "<", "<=", ">", ">="};
    const char *compare = compares[roll(maker->dice, KP_COUNT(compares))];
    enum type type = pick_type(maker, scope);
    if (depth > 1 && chance(maker->dice, 25)) {
        char *left = make_predicate(maker, scope, depth - 1);
        char *right = make_predicate(maker, scope, depth - 1);
        return SAY("(%s %s %s)", left, chance(maker->dice, 50) ? "AND" : "OR", right);
    }
    char *a = EXPR(type, LOOSE);
    switch (roll(maker->dice, 9)) {
    case 0:
        return SAY("%s IS %sNULL", a, chance(maker->dice, 50) ? "NOT " : "");
    case 1:
        return SAY("(NOT %s %s %s)", a, compare, constant(maker, type));
    case 2:
        return SAY("%s %sIN (%s, %s, %s)", a, chance(maker->dice, 30) ? "NOT " : "", constant(maker, type),
                   constant(maker, type), chance(maker->dice, 20) ? "NULL" : constant(maker, type));
    case 3:
        return type == T_BOOL ? SAY("%s IS NOT TRUE", a)
                              : SAY("%s BETWEEN %s AND %s", a, constant(maker, type), constant(maker, type));
    case 4:
        return SAY("%s IS %sDISTINCT FROM %s", a, chance(maker->dice, 50) ? "NOT " : "", EXPR(type, LOOSE));
    case 5:
        if (type == T_TEXT)
            return SAY("%s %sLIKE '%s'", a, chance(maker->dice, 30) ? "NOT " : "",
                       ((const char *[]){"a%", "%b%", "_", "%", "a_ c"})[roll(maker->dice, 5)]);
        return SAY("%s %s %s", a, compare, EXPR(type, LOOSE));
    case 6:
        return SAY("%s %s %s", a, compare, EXPR(type, LOOSE));
    default:
        return SAY("%s %s %s", a, compare, constant(maker, type));
    }
}

/* Arithmetic and functions by type; operands that are not big. Numbers: */
static inline char *make_number_call(struct maker *maker, const struct scope *scope, enum type type, unsigned depth,
                                     unsigned not, unsigned *flags)
{
    struct dice *dice = maker->dice;
    const char *name = type_names[type];
    switch (type) {
    case T_INT2:
        return SAY("(%s)::smallint", EXPR(T_INT2, not | BIG));
    case T_INT4:
    case T_INT8: {
        char *a = EXPR(type, not | BIG);
        /* a column, since PostgreSQL folds constants, and then fails without a row */
        char *column =
            maker->risk && chance(dice, 50) ? pick_column(maker, scope, type, not | BIG | DERIVED, flags) : NULL;
        if (column) {
            maker->risk = false;
            return chance(dice, 60) ? SAY("(12 / %s)", column)
                                    : SAY("(%s * %s)", type == T_INT4 ? "400000000" : "900000000000000000", column);
        }
        switch (roll(dice, 9)) {
        case 0:
            return SAY("(%s %% 5)", a);
        case 1:
            return SAY("(%s / %u)", a, 1 + roll(dice, 4));
        case 2:
            return SAY("abs(%s)", a);
        case 3:
            return type == T_INT4 ? SAY("length(%s)", EXPR(T_TEXT, not )) : SAY("%s::bigint", EXPR(T_INT4, not | BIG));
        case 4:
            return SAY("extract(%s FROM %s)::%s", ((const char *[]){"hour", "minute", "dow", "day"})[roll(dice, 4)],
                       EXPR(T_TIMESTAMP, not ), name);
        case 5:
            return type == T_INT4 ? SAY("(%s - %s)", EXPR(T_DATE, not | BIG), EXPR(T_DATE, not | BIG))
                                  : SAY("(-%s)", a);
        case 6:
            return SAY("(%s * %d)", a, (int)roll(dice, 7) - 3);
        default:
            return SAY("(%s %c %s)", a, "+-"[roll(dice, 2)], EXPR(type, not | BIG));
        }
    }
    case T_FLOAT8: {
        char *a = EXPR(type, not | BIG);
        switch (roll(dice, 6)) {
        case 0:
            return SAY("abs(%s)", a);
        case 1:
            return SAY("floor(%s)", a);
        case 2:
            return SAY("%s::float8", EXPR(T_INT4, not | BIG));
        case 3:
            return SAY("(%s * 0.5::float8)", a);
        default:
            return SAY("(%s %c %s)", a, "+-"[roll(dice, 2)], EXPR(type, not | BIG));
        }
    }
    case T_NUMERIC:
        switch (roll(dice, 6)) {
        case 0:
            return SAY("round(%s, 1)", EXPR(type, BIG));
        case 1:
            return SAY("%s::numeric(12,2)", EXPR(T_INT4, BIG));
        case 2:
            return SAY("trunc(%s, 1)", EXPR(type, BIG));
        case 3:
            if (not &LOOSE)
                return SAY("round(%s / 4, 2)", EXPR(type, BIG));
            *flags |= LOOSE;
            return SAY("(%s / %u)", EXPR(type, BIG), 3 + roll(dice, 5));
        default:
            if (not &LOOSE)
                return SAY("round(%s + %s, 2)", EXPR(type, BIG), EXPR(type, BIG));
            *flags |= LOOSE;
            return SAY("(%s %c %s)", EXPR(type, BIG), "+-*"[roll(dice, 3)], EXPR(type, BIG));
        }
    default:
        return SAY("NULL::%s", name);
    }
}

/* The other types. */
static inline char *make_call(struct maker *maker, const struct scope *scope, enum type type, unsigned depth,
                              unsigned not, unsigned *flags)
{
    struct dice *dice = maker->dice;
    switch (type) {
    case T_BOOL:
        return SAY("(%s)", make_predicate(maker, scope, depth));
    case T_INT2:
    case T_INT4:
    case T_INT8:
    case T_FLOAT8:
    case T_NUMERIC:
        return make_number_call(maker, scope, type, depth, not, flags);
    case T_TEXT: {
        static const enum type printed[] = {T_INT4, T_INT8, T_DATE, T_TIMESTAMP, T_BOOL};
        char *a = EXPR(type, not );
        switch (roll(dice, 10)) {
        case 0:
            return SAY("upper(%s)", a);
        case 1:
            return SAY("lower(%s)", a);
        case 2:
            return SAY("substr(%s, %u, %u)", a, 1 + roll(dice, 2), roll(dice, 3));
        case 3:
            return SAY("trim(%s)", a);
        case 4:
            return SAY("replace(%s, 'a', 'zz')", a);
        case 5:
            return SAY("%s::text", EXPR(printed[roll(dice, KP_COUNT(printed))], LOOSE));
        case 6:
            return SAY("left(%s, 1)", a);
        case 7:
            return SAY("concat(%s, '-', %s)", a, EXPR(T_INT4, LOOSE));
        default:
            return SAY("(%s || %s)", a, EXPR(T_TEXT, not ));
        }
    }
    case T_DATE:
        return chance(dice, 50) ? SAY("%s::date", EXPR(T_TIMESTAMP, not | BIG))
                                : SAY("(%s + %u)", EXPR(T_DATE, not | BIG), roll(dice, 40));
    case T_TIMESTAMP:
        switch (roll(dice, 3)) {
        case 0:
            return SAY("date_trunc('%s', %s)", ((const char *[]){"minute", "hour", "day", "month"})[roll(dice, 4)],
                       EXPR(type, not | BIG));
        case 1:
            return SAY("%s::timestamp", EXPR(T_DATE, not | BIG));
        default:
            return SAY("(%s + %s)", EXPR(type, not | BIG), EXPR(T_INTERVAL, not | BIG));
        }
    case T_TIMESTAMPTZ:
        return chance(dice, 50) ? SAY("(%s - %s)", EXPR(type, not | BIG), EXPR(T_INTERVAL, not | BIG))
                                : SAY("(%s AT TIME ZONE 'UTC')", EXPR(T_TIMESTAMP, not | BIG));
    case T_INTERVAL:
        return chance(dice, 50) ? SAY("(%s + %s)", EXPR(type, not | BIG), EXPR(type, not | BIG))
                                : SAY("(%s * 2)", EXPR(type, not | BIG));
    case TYPES:
        break;
    }
    return SAY("NULL::%s", type_names[type]);
}

static char *make_expr(struct maker *maker, const struct scope *scope, enum type type, unsigned depth, unsigned not,
                       unsigned *flags)
{
    if (depth > 0 && depth < 100) {
        /* a numeric of two branches prints in the scale of either */
        if (chance(maker->dice, 20) && !(type == T_NUMERIC && (not &LOOSE))) {
            if (type == T_NUMERIC)
                *flags |= LOOSE;
            switch (roll(maker->dice, 4)) {
            case 0:
                return SAY("COALESCE(%s, %s)", EXPR(type, not ), EXPR(type, not ));
            case 1:
                return SAY("NULLIF(%s, %s)", EXPR(type, not ), constant(maker, type));
            case 2:
                return SAY("CASE WHEN %s THEN %s WHEN %s THEN %s END", make_predicate(maker, scope, depth),
                           EXPR(type, not ), make_predicate(maker, scope, depth), EXPR(type, not ));
            default:
                return SAY("CASE WHEN %s THEN %s ELSE %s END", make_predicate(maker, scope, depth), EXPR(type, not ),
                           EXPR(type, not ));
            }
        }
        if (chance(maker->dice, maker->risk ? 70 : 40))
            return make_call(maker, scope, type, depth, not, flags);
    }
    char *column = pick_column(maker, scope, type, not, flags);
    return column && chance(maker->dice, 93) ? column : constant(maker, type);
}

/* ---- FROM ---- */

static struct query make_query(struct maker *maker, unsigned depth);

static inline void scope_add(struct scope *scope, const char *alias, const struct column *cols, unsigned count)
{
    for (unsigned i = 0; i < count && scope->count < KP_COUNT(scope->cols); i++) {
        scope->cols[scope->count] = cols[i];
        snprintf(scope->prefix[scope->count++], sizeof scope->prefix[0], "%s.", alias);
    }
}

struct from {
    char *kappa, *postgres;
    double rows;
    bool risky;
};

static inline void window_columns(struct column *cols, unsigned *count)
{
    cols[(*count)++] = (struct column){"window_start", T_TIMESTAMP, 0};
    cols[(*count)++] = (struct column){"window_end", T_TIMESTAMP, 0};
}

static inline struct from make_window(struct maker *maker, const struct relation *relation, const char *alias)
{
    struct from from = {.rows = relation->rows, .risky = relation->risky};
    static const char *const sizes[] = {"10 seconds", "1 minute", "7 minutes", "1 hour"};
    const char *size = sizes[roll(maker->dice, KP_COUNT(sizes))];
    if (chance(maker->dice, 60)) {
        bool offset = chance(maker->dice, 30);
        from.kappa = SAY("tumble(%s, ts, INTERVAL '%s'%s) AS %s", relation->name, size,
                         offset ? ", INTERVAL '3 seconds'" : "", alias);
        from.postgres =
            SAY("(SELECT law_x.*, law_at AS window_start, law_at + INTERVAL '%s' AS window_end FROM %s law_x, LATERAL "
                "(SELECT date_bin(INTERVAL '%s', law_x.ts, TIMESTAMP '1970-01-01%s') AS law_at) law_y WHERE law_x.ts "
                "IS NOT NULL) AS %s",
                size, relation->name, size, offset ? " 00:00:03" : "", alias);
    } else {
        static const char *const slides[] = {"4 seconds", "30 seconds", "1 minute", "15 minutes"};
        const char *slide = slides[relation->rows > 1000 ? 3 : roll(maker->dice, KP_COUNT(slides))];
        from.rows *= 3;
        size = sizes[1 + roll(maker->dice, 3)];
        from.kappa = SAY("hop(%s, ts, INTERVAL '%s', INTERVAL '%s') AS %s", relation->name, slide, size, alias);
        from.postgres =
            SAY("(SELECT law_x.*, law_at AS window_start, law_at + INTERVAL '%s' AS window_end FROM %s law_x, LATERAL "
                "generate_series(date_bin(INTERVAL '%s', law_x.ts, TIMESTAMP '1970-01-01'), law_x.ts - INTERVAL '%s' "
                "+ INTERVAL '1 microsecond', - INTERVAL '%s') law_at) AS %s",
                size, relation->name, slide, size, slide, alias);
        if (strcmp(slide, "4 seconds") == 0)
            from.rows *= 200;
    }
    return from;
}

static inline struct from make_from_one(struct maker *maker, unsigned depth, struct scope *scope)
{
    char *alias = SAY("a%u", ++maker->aliases % 100);
    if (depth && chance(maker->dice, 20)) {
        struct query query = make_query(maker, depth - 1);
        scope_add(scope, alias, query.cols, query.col_count);
        return (struct from){SAY("(%s) AS %s", query.kappa, alias), SAY("(%s) AS %s", query.postgres, alias),
                             query.rows, query.risky || query.over_risky};
    }
    const struct relation *relation = &maker->relations[roll(maker->dice, maker->relation_count)];
    struct column cols[COLUMNS_MAX + 2];
    unsigned count = relation->col_count;
    memcpy(cols, relation->cols, count * sizeof *cols);
    struct from from;
    if (relation->source && chance(maker->dice, 30)) {
        from = make_window(maker, relation, alias);
        window_columns(cols, &count);
    } else {
        from.kappa = from.postgres = SAY("%s AS %s", relation->name, alias);
        from.rows = relation->rows;
        from.risky = relation->risky;
    }
    scope_add(scope, alias, cols, count);
    return from;
}

static inline struct from make_from(struct maker *maker, unsigned depth, struct scope *scope)
{
    struct from from = make_from_one(maker, depth, scope);
    for (unsigned more = chance(maker->dice, 35) ? 1 + chance(maker->dice, 15) : 0; more; more--) {
        struct scope right = {0}, both = *scope;
        struct from with = make_from_one(maker, depth, &right);
        if (both.count + right.count > KP_COUNT(both.cols) || with.rows * from.rows > maker->rows_max)
            continue;
        char *on = NULL;
        for (unsigned tries = 0; !on && tries < 20; tries++) {
            unsigned flags = 0;
            enum type type = chance(maker->dice, 70) ? T_INT4 : pick_type(maker, scope);
            char *a = pick_column(maker, scope, type, LOOSE, &flags),
                 *b = pick_column(maker, &right, type, LOOSE, &flags);
            if (a && b && type != T_BOOL)
                on = chance(maker->dice, 50) ? SAY("%s = %s", a, b) : SAY("%s = %s", b, a);
        }
        if (!on)
            continue;
        for (unsigned i = 0; i < right.count; i++) {
            both.cols[both.count] = right.cols[i];
            memcpy(both.prefix[both.count++], right.prefix[i], sizeof right.prefix[0]);
        }
        *scope = both;
        bool full = chance(maker->dice, 12); /* PostgreSQL: only with equalities */
        if (!full && chance(maker->dice, 30)) {
            bool risk = maker->risk;
            maker->risk = false;
            on = SAY("%s AND %s", on, make_predicate(maker, scope, 1));
            maker->risk = risk;
        }
        static const char *const joins[] = {"JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN"};
        const char *join = full ? "FULL JOIN" : joins[roll(maker->dice, KP_COUNT(joins))];
        from.kappa = SAY("%s %s %s ON %s", from.kappa, join, with.kappa, on);
        from.postgres = SAY("%s %s %s ON %s", from.postgres, join, with.postgres, on);
        from.rows = KP_MAX(from.rows * with.rows / 10, 5);
        from.risky |= with.risky;
    }
    return from;
}

#include "tests/law/subqueries.h"

/* ---- SELECT ---- */

static inline void query_column(struct query *query, enum type type, unsigned flags)
{
    struct column *column = &query->cols[query->col_count];
    snprintf(column->name, sizeof column->name, "c%u", query->col_count++);
    column->type = type;
    column->flags = flags | DERIVED;
}

static inline char *make_aggregate(struct maker *maker, const struct scope *scope, enum type *ret_type,
                                   unsigned *ret_flags)
{
    struct dice *dice = maker->dice;
    unsigned depth = 2, ignored = 0, *flags = &ignored;
    char *filter = "", *call = NULL;
    *ret_flags = 0;
    *ret_type = T_INT8;
    const char *distinct = chance(dice, 15) ? "DISTINCT " : "";
    enum type type = pick_type(maker, scope);
    switch (roll(dice, 6)) {
    case 0:
        call = "count(*)";
        break;
    case 1:
        call = SAY("count(%s%s)", distinct, EXPR(type, LOOSE));
        break;
    case 2:
    case 3: {
        static const enum type numbers[] = {T_INT2, T_INT4, T_INT8, T_NUMERIC, T_FLOAT8, T_INTERVAL};
        static const enum type sums[] = {T_INT8, T_INT8, T_NUMERIC, T_NUMERIC, T_FLOAT8, T_INTERVAL};
        unsigned at = roll(dice, 6);
        bool avg = chance(dice, 40);
        char *arg = EXPR(numbers[at], (*distinct ? LOOSE : 0) | (numbers[at] == T_FLOAT8 ? BIG : 0));
        call = SAY("%s(%s%s)", avg ? "avg" : "sum", distinct, arg);
        *ret_type = avg && sums[at] == T_INT8 ? T_NUMERIC : sums[at];
        *ret_flags = ignored | BIG | (avg || sums[at] == T_FLOAT8 ? LOOSE : 0);
        break;
    }
    case 4:
        if (chance(dice, 40)) {
            call = SAY("%s(%s)", chance(dice, 50) ? "bool_and" : "bool_or", EXPR(T_BOOL, 0));
            *ret_type = T_BOOL;
            break;
        }
        /* fall through */
    default:
        while (type == T_BOOL)
            type = (enum type)roll(dice, TYPES);
        call = SAY("%s(%s)", chance(dice, 50) ? "min" : "max", EXPR(type, LOOSE));
        *ret_type = type;
        *ret_flags = ignored;
    }
    if (chance(dice, 20)) {
        bool risk = maker->risk;
        maker->risk = false;
        filter = SAY(" FILTER (WHERE %s)", make_predicate(maker, scope, 1));
        maker->risk = risk;
    }
    return SAY("%s%s", call, filter);
}

static inline char *list_add(struct maker *maker, char *list, const char *what)
{
    return list ? SAY("%s, %s", list, what) : SAY("%s", what);
}

static inline struct query make_grouped(struct maker *maker, const struct scope *scope, const struct from *from,
                                        const char *where)
{
    struct query query = {.over_risky = from->risky};
    char *list = NULL, *groups = NULL;
    unsigned keys = chance(maker->dice, 12) ? 0 : 1 + roll(maker->dice, 3), values = 1 + roll(maker->dice, 3);
    bool window = scope->count > 1 && strcmp(scope->cols[scope->count - 1].name, "window_end") == 0;
    for (unsigned i = 0; i < keys; i++) {
        unsigned flags = 0;
        enum type type = window && i == 0 ? T_TIMESTAMP : pick_type(maker, scope);
        char *key = window && i == 0 ? SAY("%swindow_start", scope->prefix[scope->count - 1])
                                     : make_expr(maker, scope, type, chance(maker->dice, 25) ? 1 : 0, LOOSE, &flags);
        query_column(&query, type, flags);
        list = list_add(maker, list, SAY("%s AS c%u", key, i));
        groups = list_add(maker, groups, SAY("%u", i + 1));
    }
    for (unsigned i = 0; i < values; i++) {
        enum type type;
        unsigned flags;
        char *aggregate = make_aggregate(maker, scope, &type, &flags);
        query_column(&query, type, flags);
        list = list_add(maker, list, SAY("%s AS c%u", aggregate, keys + i));
    }
    char *having = "";
    if (chance(maker->dice, 20)) {
        enum type type;
        unsigned flags;
        char *aggregate = make_aggregate(maker, scope, &type, &flags);
        having = flags & LOOSE
                     ? SAY(" HAVING %s IS NOT NULL", aggregate)
                     : SAY(" HAVING %s %s %s", aggregate, chance(maker->dice, 50) ? ">" : "<>", constant(maker, type));
    }
    if (groups && !window && chance(maker->dice, 10))
        groups = SAY("%s(%s)", chance(maker->dice, 60) ? "ROLLUP" : "CUBE", groups);
    char *tail = SAY("%s%s%s%s", where, groups ? " GROUP BY " : "", groups ? groups : "", having);
    query.kappa = SAY("SELECT %s FROM %s%s", list, from->kappa, tail);
    query.postgres = SAY("SELECT %s FROM %s%s", list, from->postgres, tail);
    query.rows = keys ? KP_MIN(from->rows, 40) : 1;
    return query;
}

/* A window function; for PostgreSQL the order is told down to the whole row. NULL where columns may print differently.
 */
static inline char *make_over(struct maker *maker, const struct scope *scope, enum type *ret_type, char **ret_postgres)
{
    struct dice *dice = maker->dice;
    char *ties = "";
    unsigned flags = 0;
    for (unsigned i = 0; i < scope->count; i++) {
        if (scope->cols[i].flags & LOOSE)
            return NULL;
        ties = SAY("%s, %s%s", ties, scope->prefix[i], scope->cols[i].name);
    }
    char *number = pick_column(maker, scope, T_INT4, BIG, &flags);
    char *key = pick_column(maker, scope, pick_type(maker, scope), LOOSE, &flags);
    if (!number || !key)
        return NULL;
    char *partition = chance(dice, 70) ? SAY("PARTITION BY %s ", chance(dice, 50) ? number : key) : "";
    char *order = SAY("%sORDER BY %s%s", partition, key,
                      ((const char *[]){"", " DESC", " DESC NULLS LAST", " NULLS FIRST"})[roll(dice, 4)]);
    char *whole = SAY("%s%s", order, ties), *call, *frame = "";
    *ret_type = T_INT8;
    switch (roll(dice, 8)) {
    case 0:
        call = ((char *[]){"rank()", "dense_rank()", "count(*)", "ntile(3)"})[roll(dice, 3)];
        whole = order;
        break;
    case 1:
        call = SAY("sum(%s)", number);
        whole = order = chance(dice, 50) ? order : partition;
        break;
    case 2:
        call = "row_number()";
        break;
    case 3:
        call = SAY("%s(%s, %u, -7)", chance(dice, 50) ? "lag" : "lead", number, 1 + roll(dice, 3));
        *ret_type = T_INT4;
        break;
    case 4:
        call = SAY("%s(%s)", chance(dice, 50) ? "first_value" : "last_value", number);
        frame = " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING";
        *ret_type = T_INT4;
        break;
    case 5:
        call = SAY("%s(%s)", chance(dice, 50) ? "min" : "max", number);
        frame = " ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING";
        *ret_type = T_INT4;
        break;
    case 6:
        call = SAY("count(*) FILTER (WHERE %s > 2)", number);
        whole = order;
        frame = " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW";
        break;
    default:
        call = SAY("sum(%s)", number);
        frame = " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW";
        break;
    }
    *ret_postgres = SAY("%s OVER (%s%s)", call, whole, frame);
    return SAY("%s OVER (%s%s)", call, order, frame);
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

static inline struct query make_plain(struct maker *maker, const struct scope *scope, const struct from *from,
                                      const char *where)
{
    struct query query = {.over_risky = from->risky, .rows = from->rows};
    bool distinct = chance(maker->dice, 15), top = chance(maker->dice, 20);
    unsigned count = 1 + roll(maker->dice, 5);
    char *list = NULL, *postgres_list = NULL;
    for (unsigned i = 0; i < count; i++) {
        unsigned flags = 0;
        enum type type = i == 0 ? T_INT4 : pick_type(maker, scope);
        char *postgres = NULL;
        char *expr =
            i > 0 && from->rows < 500 && chance(maker->dice, 12) ? make_over(maker, scope, &type, &postgres) : NULL;
        if (expr)
            flags = BIG;
        else if (i > 0 && chance(maker->dice, 8) &&
                 (expr = make_sub_value(maker, scope, from->rows, &type, &query.over_risky)))
            postgres = expr;
        else
            postgres = expr = make_expr(maker, scope, type, roll(maker->dice, 4), distinct || top ? LOOSE : 0, &flags);
        query_column(&query, type, flags | (reads_column(expr) ? 0 : BIG));
        list = list_add(maker, list, SAY("%s AS c%u", expr, i));
        postgres_list = list_add(maker, postgres_list, SAY("%s AS c%u", postgres, i));
    }
    char *order = "", *ties = "", *limit = "";
    if (top) {
        char *keys = NULL, *rest = NULL;
        for (unsigned i = 1 + roll(maker->dice, 2); i; i--)
            keys = list_add(
                maker, keys,
                SAY("%u%s", 1 + roll(maker->dice, count),
                    ((const char *[]){"", " DESC", " DESC NULLS LAST", " NULLS FIRST"})[roll(maker->dice, 4)]));
        for (unsigned i = 0; i < count; i++)
            rest = list_add(maker, rest, SAY("%u", i + 1));
        order = SAY(" ORDER BY %s", keys);
        ties = SAY(", %s", rest);
        unsigned most = 1 + roll(maker->dice, 12);
        limit = SAY(" LIMIT %u%s", most, chance(maker->dice, 20) ? " OFFSET 2" : "");
        query.rows = KP_MIN(query.rows, most);
    }
    const char *all = distinct ? "DISTINCT " : "";
    query.kappa = SAY("SELECT %s%s FROM %s%s%s%s", all, list, from->kappa, where, order, limit);
    query.postgres = SAY("SELECT %s%s FROM %s%s%s%s%s", all, postgres_list, from->postgres, where, order, ties, limit);
    return query;
}

static struct query make_select(struct maker *maker, unsigned depth)
{
    bool risk = maker->risk;
    maker->risk = false; /* for what is below, where this query's predicates might guard it */
    struct scope scope = {0};
    struct from from = make_from(maker, depth, &scope);
    if (chance(maker->dice, 12))
        add_lateral(maker, &scope, &from);
    char *where = "";
    if (chance(maker->dice, 40))
        where = SAY(" WHERE %s", make_predicate(maker, &scope, 2));
    if (chance(maker->dice, 20)) {
        char *sub = make_sub_predicate(maker, &scope, from.rows, 1, &from.risky);
        where = !sub     ? where
                : *where ? SAY("%s %s %s", where, chance(maker->dice, 70) ? "AND" : "OR", sub)
                         : SAY(" WHERE %s", sub);
    }
    maker->risk = risk;
    struct query query = from.rows > 3000 || chance(maker->dice, 45) ? make_grouped(maker, &scope, &from, where)
                                                                     : make_plain(maker, &scope, &from, where);
    query.risky |= risk && !maker->risk;
    maker->risk = false;
    return query;
}

/*
 * EMIT ON WINDOW CLOSE over one source: PostgreSQL is asked for the pairs that were not late, of windows that are
 * closed. Its copy of a source has the watermark at each row, law_w, and law_mark the one now.
 */
static inline struct query make_closed(struct maker *maker)
{
    const struct relation *relation;
    do
        relation = &maker->relations[roll(maker->dice, maker->relation_count)];
    while (!relation->watermark);
    struct column cols[COLUMNS_MAX + 2];
    struct scope scope = {0};
    unsigned count = relation->col_count;
    memcpy(cols, relation->cols, count * sizeof *cols);
    window_columns(cols, &count);
    char *alias = SAY("a%u", ++maker->aliases % 100);
    scope_add(&scope, alias, cols, count);
    struct from from = make_window(maker, relation, alias);
    from.postgres =
        SAY("(SELECT * FROM %s WHERE (law_w IS NULL OR window_end > law_w) AND window_end <= (SELECT w FROM law_mark "
            "WHERE source = '%s')) AS %s",
            from.postgres, relation->name, alias);
    char *where = chance(maker->dice, 30) ? SAY(" WHERE %s", make_predicate(maker, &scope, 1)) : "";
    struct query query;
    const char *window;
    do { /* a window's end or start has to be among the columns */
        query = chance(maker->dice, 75) ? make_grouped(maker, &scope, &from, where)
                                        : make_plain(maker, &scope, &from, where);
        window = strstr(query.kappa, SAY("%s.window_", alias));
    } while (!window || window > strstr(query.kappa, " FROM "));
    query.kappa = SAY("%s EMIT ON WINDOW CLOSE", query.kappa);
    return query;
}

static struct query make_query(struct maker *maker, unsigned depth)
{
    struct query query = make_select(maker, depth);
    if (!chance(maker->dice, 14))
        return query;
    /* A set operation of two with the same types: the second is the first's columns from another FROM. Only UNION ALL
     * where equal values may print differently. */
    struct scope scope = {0};
    struct from from = make_from(maker, 0, &scope);
    char *list = NULL;
    bool loose = false;
    if (from.rows > 3000)
        return query;
    for (unsigned i = 0; i < query.col_count; i++) {
        unsigned flags = 0;
        loose |= query.cols[i].type == T_NUMERIC || query.cols[i].type == T_FLOAT8 || query.cols[i].flags & LOOSE;
        char *expr = make_expr(maker, &scope, query.cols[i].type, 1, query.cols[i].flags & LOOSE ? 0 : LOOSE, &flags);
        loose |= (flags & LOOSE) != 0;
        list = list_add(maker, list, expr);
        query.cols[i].flags |= flags | (query.cols[i].type == T_NUMERIC ? LOOSE : 0);
    }
    const char *open = strstr(query.kappa, " LIMIT ") ? "(" : "", *close = *open ? ")" : "";
    static const char *const names[] = {"UNION", "EXCEPT", "EXCEPT ALL", "INTERSECT", "INTERSECT ALL", "UNION ALL"};
    const char *name = names[loose ? 5 : roll(maker->dice, KP_COUNT(names))];
    query.kappa = SAY("%s%s%s %s SELECT %s FROM %s", open, query.kappa, close, name, list, from.kappa);
    query.postgres = SAY("%s%s%s %s SELECT %s FROM %s", open, query.postgres, close, name, list, from.postgres);
    query.rows += from.rows;
    query.over_risky |= from.risky;
    return query;
}

#endif
