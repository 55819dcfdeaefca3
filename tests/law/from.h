/*
 * For law_test.c only: random FROM clauses: relations, windows, joins, LATERAL, VALUES; and subqueries in predicates.
 * Each is written twice: for kappa, and for PostgreSQL, which lacks windows.
 */
#ifndef KP_TESTS_LAW_FROM_H
#define KP_TESTS_LAW_FROM_H

#include "tests/law/exprs.h"

struct query {
    char *kappa, *postgres;
    struct column cols[COLUMNS_MAX];
    unsigned col_count;
    double rows;
    bool risky;      /* it may fail, for a reason of its own */
    bool over_risky; /* a view below may: PostgreSQL leaves out what is not asked for */
};

struct from {
    char *kappa, *postgres;
    char *where; /* of a join with a comma; NULL: none */
    double rows;
    bool risky;
};

static struct query make_query(struct maker *maker, unsigned depth);

/* ---- windows ---- */

static inline void window_columns(struct column *cols, unsigned *count)
{
    cols[(*count)++] = (struct column){"window_start", T_TIMESTAMP, 0};
    cols[(*count)++] = (struct column){"window_end", T_TIMESTAMP, 0};
}

/* Sessions for PostgreSQL: a row begins one if its key had none in the time before it that the gap allows. */
static inline void make_session(struct maker *maker, const struct relation *relation, const char *alias,
                                struct from *from)
{
    const char *gap = ((const char *[]){"10 seconds", "45 seconds", "5 minutes"})[roll(maker->dice, 3)];
    from->kappa = SAY("session(%s, ts, INTERVAL '%s', k) AS %s", relation->name, gap, alias);
    from->postgres = SAY(
        "(SELECT law_z.*, min(ts) OVER law_s AS window_start, max(ts) OVER law_s + INTERVAL '%s' AS window_end FROM "
        "(SELECT *, sum(law_f) OVER (PARTITION BY k ORDER BY ts) AS law_n FROM (SELECT *, CASE WHEN ts - lag(ts) OVER "
        "(PARTITION BY k ORDER BY ts) >= INTERVAL '%s' THEN 1 ELSE 0 END AS law_f FROM %s WHERE ts IS NOT NULL) "
        "law_x) law_z WINDOW law_s AS (PARTITION BY k, law_n)) AS %s",
        gap, gap, relation->name, alias);
}

static inline struct from make_window(struct maker *maker, const struct relation *relation, const char *alias,
                                      bool panes)
{
    struct from from = {.rows = relation->rows, .risky = relation->risky};
    static const char *const sizes[] = {"10 seconds", "1 minute", "7 minutes", "1 hour"};
    const char *size = sizes[roll(maker->dice, KP_COUNT(sizes))];
    unsigned kind = roll(maker->dice, 10);
    if (kind >= 9 && allowed(P_SESSION) && !panes) {
        made(P_SESSION);
        make_session(maker, relation, alias, &from);
    } else if (kind >= 8 && allowed(P_CUMULATE) && !panes) {
        made(P_CUMULATE);
        from.rows *= 2;
        from.kappa = SAY("cumulate(%s, ts, INTERVAL '1 minute', INTERVAL '4 minutes') AS %s", relation->name, alias);
        from.postgres = SAY(
            "(SELECT law_x.*, law_at AS window_start, law_e AS window_end FROM %s law_x, LATERAL (SELECT "
            "date_bin(INTERVAL '4 minutes', law_x.ts, TIMESTAMP '1970-01-01') AS law_at) law_y, LATERAL "
            "generate_series(law_at + INTERVAL '1 minute', law_at + INTERVAL '4 minutes', INTERVAL '1 minute') law_e "
            "WHERE law_e > law_x.ts) AS %s",
            relation->name, alias);
    } else if (kind < 5) {
        made(P_TUMBLE);
        bool offset = chance(maker->dice, 30);
        from.kappa = SAY("tumble(%s, ts, INTERVAL '%s'%s) AS %s", relation->name, size,
                         offset ? ", INTERVAL '3 seconds'" : "", alias);
        from.postgres =
            SAY("(SELECT law_x.*, law_at AS window_start, law_at + INTERVAL '%s' AS window_end FROM %s law_x, LATERAL "
                "(SELECT date_bin(INTERVAL '%s', law_x.ts, TIMESTAMP '1970-01-01%s') AS law_at) law_y WHERE law_x.ts "
                "IS NOT NULL) AS %s",
                size, relation->name, size, offset ? " 00:00:03" : "", alias);
    } else {
        made(P_HOP);
        static const char *const slides[] = {"15 minutes", "1 minute", "30 seconds", "4 seconds"};
        const char *slide = slides[relation->rows > 1000 ? 0 : roll(maker->dice, KP_COUNT(slides))];
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

/* ---- one relation ---- */

static inline const struct relation *pick_relation(struct maker *maker)
{
    if (maker->with && chance(maker->dice, 60))
        return maker->with;
    return &maker->relations[roll(maker->dice, maker->relation_count)];
}

static inline struct from make_values(struct maker *maker, const char *alias, struct scope *scope)
{
    struct column cols[3] = {0};
    unsigned count = 1 + roll(maker->dice, 3), rows = 1 + roll(maker->dice, 3);
    char *list = "", *names = "";
    for (unsigned i = 0; i < count; i++) {
        cols[i].type = i == 0 ? T_INT4 : (enum type)roll(maker->dice, TYPES);
        cols[i].flags = LOOSE | BIG | DERIVED; /* PostgreSQL may know them */
        snprintf(cols[i].name, sizeof cols[i].name, "x%u", i);
        names = SAY("%s%sx%u", names, i ? ", " : "", i);
    }
    for (unsigned row = 0; row < rows; row++) {
        list = SAY("%s%s(", list, row ? ", " : "");
        for (unsigned i = 0; i < count; i++)
            list = SAY("%s%s%s", list, i ? ", " : "", constant(maker, cols[i].type));
        list = SAY("%s)", list);
    }
    made(P_VALUES);
    scope_add(scope, alias, cols, count);
    char *text = SAY("(VALUES %s) AS %s (%s)", list, alias, names);
    return (struct from){.kappa = text, .postgres = text, .rows = rows};
}

static inline struct from make_from_one(struct maker *maker, unsigned depth, struct scope *scope)
{
    char *alias = SAY("a%u", ++maker->aliases % 100);
    if (depth && chance(maker->dice, 20)) {
        made(P_FROM_QUERY);
        struct query query = make_query(maker, depth - 1);
        scope_add(scope, alias, query.cols, query.col_count);
        return (struct from){SAY("(%s) AS %s", query.kappa, alias), SAY("(%s) AS %s", query.postgres, alias), NULL,
                             query.rows, query.risky || query.over_risky};
    }
    if (allowed(P_VALUES) && chance(maker->dice, 3))
        return make_values(maker, alias, scope);
    const struct relation *relation = pick_relation(maker);
    struct column cols[COLUMNS_MAX + 2];
    unsigned count = relation->col_count;
    memcpy(cols, relation->cols, count * sizeof *cols);
    struct from from = {.rows = relation->rows, .risky = relation->risky};
    if (relation->source && chance(maker->dice, 30)) {
        from = make_window(maker, relation, alias, false);
        window_columns(cols, &count);
    } else {
        from.kappa = from.postgres = SAY("%s AS %s", relation->name, alias);
    }
    scope_add(scope, alias, cols, count);
    return from;
}

/* What PostgreSQL looks at when it asks a relation again for each of some rows: a view is computed each time. */
static inline double asked_again(const struct relation *relation, double rows)
{
    return rows * relation->rows * (relation->view ? 100 : 1);
}

/* ---- joins ---- */

/* A comparison of a column of each side; NULL if nothing fits. */
static inline char *make_on(struct maker *maker, const struct scope *left, const struct scope *right, bool equal)
{
    static const char *const compares[] = {"<", "<=", ">", ">=", "<>"};
    for (unsigned tries = 0; tries < 20; tries++) {
        unsigned flags = 0;
        enum type type = !chance(maker->dice, 30) ? T_INT4 : pick_type(maker, left);
        char *a = pick_column(maker, left, type, LOOSE, &flags), *b = pick_column(maker, right, type, LOOSE, &flags);
        if (!a || !b || type == T_BOOL)
            continue;
        if (!equal)
            return SAY("%s %s %s", a, compares[roll(maker->dice, KP_COUNT(compares))], b);
        return chance(maker->dice, 50) ? SAY("%s = %s", b, a) : SAY("%s = %s", a, b);
    }
    return NULL;
}

static inline char *with_predicate(struct maker *maker, const struct scope *scope, char *on)
{
    bool risk = maker->risk;
    maker->risk = false;
    on = SAY("%s AND %s", on, make_predicate(maker, scope, 1));
    maker->risk = risk;
    return on;
}

static const struct join_kind {
    enum production production;
    const char *text;
    bool equal;
} join_kinds[] = {
    {P_JOIN, "JOIN", true},
    {P_JOIN, "JOIN", true},
    {P_JOIN_LEFT, "LEFT JOIN", true},
    {P_JOIN_LEFT, "LEFT JOIN", true},
    {P_JOIN_RIGHT, "RIGHT JOIN", true},
    {P_JOIN_FULL, "FULL JOIN", true},
    {P_JOIN_COMMA, ",", true},
    {P_JOIN_CROSS, "CROSS JOIN", false},
    {P_JOIN_USING, "JOIN", true},
    {P_JOIN_UNEQUAL, "JOIN", false},
    {P_JOIN_LEFT_UNEQUAL, "LEFT JOIN", false},
};

static inline bool names_once(const struct scope *scope, const char *name)
{
    unsigned count = 0;
    for (unsigned i = 0; i < scope->count; i++)
        count += strcmp(scope->cols[i].name, name) == 0 && scope->cols[i].type == T_INT4;
    return count == 1;
}

/* Joins `with` to `from`; false if no condition fits. `right` is with's columns alone, `both` what the ON may use. */
static inline bool join(struct maker *maker, struct from *from, const struct from *with, const struct scope *left,
                        const struct scope *right, const struct scope *both)
{
    const struct join_kind *kind = &join_kinds[roll(maker->dice, KP_COUNT(join_kinds))];
    if (!allowed(kind->production))
        kind = &join_kinds[0];
    char *on = make_on(maker, left, right, kind->equal);
    if (!on)
        return false;
    if (kind->production == P_JOIN_USING && !(names_once(left, "k") && names_once(right, "k")))
        kind = &join_kinds[0];
    made(kind->production);
    from->rows = KP_MAX(from->rows * with->rows / (kind->equal ? 10 : kind->production == P_JOIN_CROSS ? 1 : 2), 5);
    from->risky |= with->risky;
    if (kind->production == P_JOIN_COMMA) {
        from->where = from->where ? SAY("%s AND %s", from->where, on) : on;
        from->kappa = SAY("%s, %s", from->kappa, with->kappa);
        from->postgres = SAY("%s, %s", from->postgres, with->postgres);
        return true;
    }
    if (kind->production == P_JOIN_CROSS || kind->production == P_JOIN_USING) {
        const char *tail = kind->production == P_JOIN_USING ? " USING (k)" : "";
        from->kappa = SAY("%s %s %s%s", from->kappa, kind->text, with->kappa, tail);
        from->postgres = SAY("%s %s %s%s", from->postgres, kind->text, with->postgres, tail);
        return true;
    }
    if (kind->production != P_JOIN_FULL && chance(maker->dice, 30)) /* PostgreSQL: FULL only with equalities */
        on = with_predicate(maker, both, on);
    from->kappa = SAY("%s %s %s ON %s", from->kappa, kind->text, with->kappa, on);
    from->postgres = SAY("%s %s %s ON %s", from->postgres, kind->text, with->postgres, on);
    return true;
}

/* LATERAL over a relation: an aggregate, or the first rows, of what belongs to each row. */
static inline void add_lateral(struct maker *maker, struct from *from, struct scope *scope)
{
    const struct relation *relation = pick_relation(maker);
    char *inner_alias = SAY("a%u", ++maker->aliases % 100), *alias = SAY("a%u", ++maker->aliases % 100);
    struct scope inner = {0};
    scope_add(&inner, inner_alias, relation->cols, relation->col_count);
    char *on = make_on(maker, scope, &inner, true);
    unsigned flags = 0;
    char *column = pick_column(maker, &inner, T_INT4, LOOSE, &flags);
    if (!on || !column || asked_again(relation, from->rows) > maker->rows_max ||
        scope->count + 2 > KP_COUNT(scope->cols))
        return;
    enum production kind = (enum production)(P_LATERAL + roll(maker->dice, 3));
    if (!allowed(kind))
        kind = P_LATERAL;
    if (!allowed(kind))
        return;
    made(kind);
    struct column cols[2] = {{"l0", T_INT4, flags | DERIVED}, {"l1", T_INT8, DERIVED}};
    char *query =
        kind == P_LATERAL ? SAY("SELECT max(%s) AS l0, count(*) AS l1 FROM %s AS %s WHERE %s", column, relation->name,
                                inner_alias, on)
        : kind == P_LATERAL_LEFT
            ? SAY("SELECT %s AS l0, 1::bigint AS l1 FROM %s AS %s WHERE %s", column, relation->name, inner_alias, on)
            : SAY("SELECT %s AS l0, 1::bigint AS l1 FROM %s AS %s WHERE %s ORDER BY 1 DESC LIMIT 2", column,
                  relation->name, inner_alias, on);
    char *tail = kind == P_LATERAL_LEFT ? SAY(" LEFT JOIN LATERAL (%s) AS %s ON true", query, alias)
                                        : SAY(" CROSS JOIN LATERAL (%s) AS %s", query, alias);
    from->kappa = SAY("%s%s", from->kappa, tail);
    from->postgres = SAY("%s%s", from->postgres, tail);
    from->rows *= kind == P_LATERAL ? 1 : 3;
    from->risky |= relation->risky;
    scope_add(scope, alias, cols, 2);
}

/* Rows of a function for each row. */
static inline void add_set(struct maker *maker, struct from *from, struct scope *scope)
{
    enum production kind = (enum production)(P_SERIES + roll(maker->dice, 2));
    enum type type = kind == P_SERIES ? T_INT4 : T_TEXT;
    unsigned flags = 0;
    char *column = pick_column(maker, scope, type, BIG | LOOSE, &flags), *alias = SAY("a%u", ++maker->aliases % 100);
    if (!allowed(kind) || !column || scope->count + 1 > KP_COUNT(scope->cols) || from->rows > 1000)
        return;
    made(kind);
    char *call =
        kind == P_SERIES ? SAY("generate_series(1, %s %% 4)", column) : SAY("unnest(string_to_array(%s, 'a'))", column);
    from->kappa = SAY("%s, %s AS %s (l0)", from->kappa, call, alias);
    from->postgres = SAY("%s, %s AS %s (l0)", from->postgres, call, alias);
    from->rows *= 2;
    struct column column_of = {"l0", type, DERIVED};
    scope_add(scope, alias, &column_of, 1);
}

static inline struct from make_from(struct maker *maker, unsigned depth, struct scope *scope)
{
    struct from from = make_from_one(maker, depth, scope);
    for (unsigned more = chance(maker->dice, 35) ? 1 + chance(maker->dice, 15) : 0; more; more--) {
        struct scope right = {0}, both = *scope;
        struct from with = make_from_one(maker, depth, &right);
        if (from.where || both.count + right.count > KP_COUNT(both.cols) || with.rows * from.rows > maker->rows_max)
            continue;
        for (unsigned i = 0; i < right.count; i++) {
            both.cols[both.count] = right.cols[i];
            memcpy(both.prefix[both.count++], right.prefix[i], sizeof right.prefix[0]);
        }
        if (join(maker, &from, &with, scope, &right, &both))
            *scope = both;
    }
    if (from.where) /* what is joined by a comma binds less than JOIN */
        return from;
    if (chance(maker->dice, 5))
        add_lateral(maker, &from, scope);
    else if (chance(maker->dice, 4))
        add_set(maker, &from, scope);
    return from;
}

/* ---- subqueries in predicates ---- */

/* An aggregate of the type over the inner relation; NULL if none fits. */
static inline char *make_scalar_aggregate(struct maker *maker, const struct scope *inner, enum type type)
{
    unsigned ignored = 0;
    if (type == T_INT8 && chance(maker->dice, 50))
        return "count(*)";
    if (type == T_BOOL || type == T_BYTEA || type == T_UUID || type == T_JSONB)
        return NULL;
    char *column = pick_column(maker, inner, type, LOOSE, &ignored);
    return column ? SAY("%s(%s)", chance(maker->dice, 50) ? "max" : "min", column) : NULL;
}

static inline char *make_in(struct maker *maker, enum production kind, const struct scope *scope,
                            const struct scope *inner, const char *from, char *on)
{
    static const char *const compares[] = {"=", "<>", "<", "<=", ">", ">="};
    unsigned flags = 0;
    enum type type = pick_type(maker, scope);
    char *a = pick_column(maker, scope, type, LOOSE, &flags), *b = pick_column(maker, inner, type, LOOSE, &flags);
    if (!a || !b)
        return NULL;
    char *where = kind == P_IN_CORRELATED   ? SAY(" WHERE %s", on)
                  : chance(maker->dice, 50) ? SAY(" WHERE %s", make_predicate(maker, inner, 1))
                                            : "";
    const char *word = kind == P_NOT_IN ? "NOT IN" : "IN";
    if (kind == P_OF_ANY || kind == P_OF_ALL)
        word = SAY("%s %s", compares[roll(maker->dice, KP_COUNT(compares))], kind == P_OF_ANY ? "ANY" : "ALL");
    return SAY("%s %s (SELECT %s FROM %s%s)", a, word, b, from, where);
}

static inline char *make_exists(struct maker *maker, enum production kind, const struct scope *scope,
                                const struct scope *inner, const char *from, char *on)
{
    if (kind == P_EXISTS_ALONE)
        on = make_predicate(maker, inner, 1);
    else if (kind == P_EXISTS_UNEQUAL)
        on = SAY("%s AND %s", on, make_on(maker, scope, inner, false));
    else if (chance(maker->dice, 30))
        on = with_predicate(maker, inner, on);
    bool not = kind == P_NOT_EXISTS || (kind > P_NOT_EXISTS && chance(maker->dice, 40));
    return SAY("%sEXISTS (SELECT 1 FROM %s WHERE %s)", not ? "NOT " : "", from, on);
}

static inline char *make_scalar(struct maker *maker, enum production kind, const struct scope *scope,
                                const struct scope *inner, const char *from, char *on)
{
    static const char *const compares[] = {"=", "<>", "<", "<=", ">", ">="};
    unsigned flags = 0;
    enum type type = kind == P_SCALAR_COUNT ? T_INT8 : kind == P_SCALAR_EXPRESSION ? T_INT4 : pick_type(maker, scope);
    char *a = pick_column(maker, scope, type, LOOSE, &flags), *b = make_scalar_aggregate(maker, inner, type);
    if (kind == P_SCALAR_COUNT)
        b = "count(*)", a = a ? a : constant(maker, T_INT8);
    if (!a || !b)
        return NULL;
    if (kind == P_SCALAR_EXPRESSION)
        b = SAY("%s / 2.0 + 1", b);
    char *where = kind == P_SCALAR ? "" : SAY(" WHERE %s", on);
    return SAY("%s %s (SELECT %s FROM %s%s)", a, compares[roll(maker->dice, KP_COUNT(compares))], b, from, where);
}

/* A predicate with a subquery over one relation; NULL if nothing fits. */
static inline char *make_subquery(struct maker *maker, const struct scope *scope, double rows, bool *ret_risky)
{
    const struct relation *relation = pick_relation(maker);
    enum production kind = (enum production)(P_IN + roll(maker->dice, P_SCALAR_EXPRESSION - P_IN + 1));
    if (kind == P_SCALAR_SELECTED)
        kind = P_SCALAR_CORRELATED;
    char *alias = SAY("a%u", ++maker->aliases % 100);
    struct scope inner = {0};
    scope_add(&inner, alias, relation->cols, relation->col_count);
    char *on = make_on(maker, scope, &inner, true), *from = SAY("%s AS %s", relation->name, alias), *out;
    if (!allowed(kind) || !on || asked_again(relation, rows) > maker->rows_max)
        return NULL;
    if (kind <= P_IN_CORRELATED || kind == P_OF_ANY || kind == P_OF_ALL)
        out = make_in(maker, kind, scope, &inner, from, on);
    else if (kind <= P_EXISTS_ALONE)
        out = make_exists(maker, kind, scope, &inner, from, on);
    else
        out = make_scalar(maker, kind, scope, &inner, from, on);
    if (out) {
        made(kind);
        *ret_risky |= relation->risky;
    }
    return out;
}

/* A subquery as a column: an aggregate of what belongs to the row. */
static inline char *make_subquery_column(struct maker *maker, const struct scope *scope, double rows,
                                         enum type *ret_type, unsigned *ret_flags, bool *ret_risky)
{
    const struct relation *relation = pick_relation(maker);
    char *alias = SAY("a%u", ++maker->aliases % 100);
    struct scope inner = {0};
    scope_add(&inner, alias, relation->cols, relation->col_count);
    char *on = make_on(maker, scope, &inner, true);
    enum production kind = chance(maker->dice, 25) ? P_EXISTS_SELECTED : P_SCALAR_SELECTED;
    if (!allowed(kind) || !on || asked_again(relation, rows) > maker->rows_max)
        return NULL;
    *ret_type = kind == P_EXISTS_SELECTED ? T_BOOL : pick_type(maker, &inner);
    char *aggregate = kind == P_EXISTS_SELECTED ? "" : make_scalar_aggregate(maker, &inner, *ret_type);
    if (!aggregate)
        return NULL;
    made(kind);
    *ret_flags = BIG;
    *ret_risky |= relation->risky;
    if (kind == P_EXISTS_SELECTED)
        return SAY("EXISTS (SELECT 1 FROM %s AS %s WHERE %s)", relation->name, alias, on);
    return SAY("(SELECT %s FROM %s AS %s WHERE %s)", aggregate, relation->name, alias, on);
}

#endif
