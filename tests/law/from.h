/*
 * For law_test.c only: random FROM clauses: relations, joins, LATERAL, VALUES, rows of functions; and subqueries in
 * predicates. Each is written twice: for kappa, and for PostgreSQL, which lacks windows and ASOF.
 */
#ifndef KP_TESTS_LAW_FROM_H
#define KP_TESTS_LAW_FROM_H

#include "tests/law/windows.h"

enum { SUB_PAIRS_MAX = 20000 }; /* that PostgreSQL's nested loop looks at */

static struct query make_query(struct maker *maker, unsigned depth);
static char *make_sub_predicate(struct maker *maker, const struct scope *scope, double rows, unsigned depth,
                                bool *risky);

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
        cols[i].type = cols[i].type == T_JSON ? T_JSONB : cols[i].type;
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

/* The first rows of each k, as top-N and deduplication are written: a window function's number, compared. */
static inline bool make_ranked(struct maker *maker, const char *alias, struct scope *scope, struct from *ret_from)
{
    static const char *const compares[] = {"= 1", "<= 2", "< 4", "BETWEEN 2 AND 3"};
    const struct relation *relation = &maker->relations[roll(maker->dice, maker->relation_count)];
    struct column cols[COLUMNS_MAX + 1];
    unsigned flags = 0;
    struct scope inner = {0};
    char *list = "", *ties = "";
    scope_add(&inner, "az", relation->cols, relation->col_count);
    char *key = pick_column(maker, &inner, pick_type(maker, &inner), LOOSE, &flags);
    char *by = pick_column(maker, &inner, chance(maker->dice, 70) ? T_INT4 : pick_type(maker, &inner), LOOSE, &flags);
    if (!key || !by || relation->rows > 500 || relation->col_count >= COLUMNS_MAX || !allowed(P_RANKED))
        return false;
    for (unsigned i = 0; i < relation->col_count; i++) {
        if (relation->cols[i].flags & LOOSE)
            return false; /* equal ones that print differently have no order that PostgreSQL knows */
        list = SAY("%saz.%s, ", list, relation->cols[i].name);
        ties = SAY("%s, az.%s", ties, relation->cols[i].name);
    }
    made(P_RANKED);
    bool row = chance(maker->dice, 70), down = chance(maker->dice, 50);
    const char *function = row ? "row_number" : chance(maker->dice, 50) ? "rank" : "dense_rank";
    const char *compare = compares[roll(maker->dice, KP_COUNT(compares))];
    char *partition = chance(maker->dice, 80) ? SAY("PARTITION BY %s ", by) : "";
    char *head =
        SAY("(SELECT * FROM (SELECT %s%s() OVER (%sORDER BY %s%s", list, function, partition, key, down ? " DESC" : "");
    char *tail = SAY(") AS n FROM %s AS az) AS y WHERE y.n %s) AS %s", relation->name, compare, alias);
    memcpy(cols, relation->cols, relation->col_count * sizeof *cols);
    cols[relation->col_count] = (struct column){"n", T_INT8, DERIVED};
    scope_add(scope, alias, cols, relation->col_count + 1);
    *ret_from = (struct from){.kappa = SAY("%s%s", head, tail),
                              .postgres = SAY("%s%s%s", head, row ? ties : "", tail),
                              .rows = relation->rows,
                              .risky = relation->risky};
    return true;
}

/* ---- versions: a table's history, which PostgreSQL's triggers keep ---- */

static inline char *column_names(struct maker *maker, const struct relation *relation)
{
    char *names = "";
    for (unsigned i = 0; i < relation->col_count; i++)
        names = SAY("%s%s%s", names, i ? ", " : "", relation->cols[i].name);
    return names;
}

/* A relation as it was at a moment: now, or some hours ago. */
static inline struct from make_past(struct maker *maker, const struct relation *relation, const char *alias)
{
    time_t at =
        (time_t)(maker->clock_us / 1000000 - (chance(maker->dice, 30) ? 0 : 3600 * (int)roll(maker->dice, 400)));
    struct tm tm;
    char text[32];
    gmtime_r(&at, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S+00", &tm);
    struct from from = {.rows = relation->rows};
    from.kappa = SAY("%s FOR SYSTEM_TIME AS OF TIMESTAMPTZ '%s' AS %s", relation->name, text, alias);
    from.postgres =
        relation->source
            ? SAY("(SELECT * FROM %s WHERE _log_time <= '%s') AS %s", relation->name, text, alias)
            : SAY("(SELECT %s FROM (SELECT DISTINCT ON (id) * FROM law_h_%s WHERE law_t <= '%s' ORDER BY id, law_o "
                  "DESC) AS law_v WHERE NOT law_gone) AS %s",
                  column_names(maker, relation), relation->name, text, alias);
    return from;
}

/* Each row of a source with the row that a table's key had then. */
static inline bool make_versions(struct maker *maker, struct scope *scope, struct from *ret_from)
{
    const struct relation *source = &maker->relations[roll(maker->dice, maker->relation_count)];
    const struct relation *table = &maker->relations[roll(maker->dice, maker->relation_count)];
    struct scope left = {0}, right = {0};
    struct column cols[COLUMNS_MAX];
    unsigned flags = 0;
    if (!source->source || table->source || table->view || table->keyless || !allowed(P_VERSIONS))
        return false;
    char *a = SAY("a%u", ++maker->aliases % 100), *b = SAY("a%u", ++maker->aliases % 100);
    memcpy(cols, table->cols, sizeof cols);
    for (unsigned i = 0; i < table->col_count; i++)
        cols[i].flags |= DERIVED;
    scope_add(&left, a, source->cols, source->col_count);
    scope_add(&right, b, cols, table->col_count);
    char *key = pick_column(maker, &left, T_INT4, BIG | LOOSE, &flags);
    if (!key)
        return false;
    char *at = table->versioned && allowed(P_VERSIONS_TIME) && chance(maker->dice, 50)
                   ? pick_column(maker, &left, T_TIMESTAMP, LOOSE, &flags)
                   : NULL;
    made(at ? P_VERSIONS_TIME : P_VERSIONS);
    bool by_time = chance(maker->dice, 50), outer = chance(maker->dice, 50);
    char *rest = chance(maker->dice, 30) ? make_predicate(maker, &right, 1) : NULL;
    const char *event = "CASE WHEN law_h.law_gone THEN law_h.law_t AT TIME ZONE 'UTC' ELSE law_h.ts END";
    const char *since = at        ? SAY("%s <= %s", event, at)
                        : by_time ? SAY("law_h.law_t <= %s._log_time", a)
                                  : SAY("law_h.law_o < %s.law_o", a);
    at = at ? at : SAY("%s.%s", a, by_time ? "_log_time" : "_position");
    ret_from->kappa = SAY("%s AS %s %sJOIN %s FOR SYSTEM_TIME AS OF %s AS %s ON %s.id = %s%s%s", source->name, a,
                          outer ? "LEFT " : "", table->name, at, b, b, key, rest ? " AND " : "", rest ? rest : "");
    ret_from->postgres =
        SAY("%s AS %s %sJOIN LATERAL (SELECT %s FROM (SELECT * FROM law_h_%s AS law_h WHERE law_h.id = %s AND %s ORDER "
            "BY %slaw_h.law_o DESC LIMIT 1) AS law_v WHERE NOT law_gone) AS %s ON %s",
            source->name, a, outer ? "LEFT " : "", column_names(maker, table), table->name, key, since,
            strncmp(since, event, 9) ? "" : SAY("%s DESC, ", event), b, rest ? rest : "true");
    ret_from->rows = source->rows;
    scope_add(scope, a, source->cols, source->col_count);
    scope_add(scope, b, cols, table->col_count);
    return true;
}

static inline struct from make_from_one(struct maker *maker, unsigned depth, struct scope *scope)
{
    char *alias = SAY("a%u", ++maker->aliases % 100);
    struct from ranked;
    if (chance(maker->dice, 4) && make_ranked(maker, alias, scope, &ranked))
        return ranked;
    if (depth && chance(maker->dice, 20)) {
        made(P_FROM_QUERY);
        struct query query = make_query(maker, depth - 1);
        scope_add(scope, alias, query.cols, query.col_count);
        return (struct from){.kappa = SAY("(%s) AS %s", query.kappa, alias),
                             .postgres = SAY("(%s) AS %s", query.postgres, alias),
                             .rows = query.rows,
                             .risky = query.risky || query.over_risky};
    }
    if (allowed(P_VALUES) && chance(maker->dice, 3))
        return make_values(maker, alias, scope);
    const struct relation *relation = pick_relation(maker);
    struct column cols[COLUMNS_MAX + 2];
    unsigned count = relation->col_count;
    memcpy(cols, relation->cols, count * sizeof *cols);
    struct from from = {.rows = relation->rows, .risky = relation->risky};
    if (relation->timed && chance(maker->dice, 30)) {
        from = make_window(maker, relation, alias, NULL);
        window_columns(cols, &count);
    } else {
        from.kappa = from.postgres = SAY("%s AS %s", relation->name, alias);
        if (allowed(P_SYSTEM_TIME) && !relation->view && relation != maker->with && chance(maker->dice, 8)) {
            made(P_SYSTEM_TIME); /* all its versions, and so the rows of now */
            from.kappa = SAY("%s FOR SYSTEM_TIME AS OF 1000000000000 AS %s", relation->name, alias);
            for (unsigned i = 0; i < count; i++)
                cols[i].flags |= DERIVED; /* no primary key is known of them */
        }
        if (allowed(P_SYSTEM_TIME_PAST) && !relation->view && !relation->keyless && relation != maker->with &&
            chance(maker->dice, 4)) {
            made(P_SYSTEM_TIME_PAST);
            from = make_past(maker, relation, alias);
            for (unsigned i = 0; i < count; i++)
                cols[i].flags |= DERIVED;
        }
        if (relation->source && allowed(P_LOG_TIME) && chance(maker->dice, 15)) {
            made(P_LOG_TIME);
            cols[count++] = (struct column){"_log_time", T_TIMESTAMPTZ, 0};
        }
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

static inline char *with_subquery(struct maker *maker, const struct scope *scope, struct from *from, char *on)
{
    char *sub = make_sub_predicate(maker, scope, from->rows * 10, 0, &from->risky);
    if (!sub)
        return on;
    made(P_ON_SUBQUERY);
    return SAY("%s AND %s", on, sub);
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
    {P_JOIN_FULL_USING, "FULL JOIN", true},
    {P_JOIN_USING, "LEFT JOIN", true},
    {P_JOIN_USING, "RIGHT JOIN", true},
    {P_JOIN_UNEQUAL, "JOIN", false},
    {P_JOIN_LEFT_UNEQUAL, "LEFT JOIN", false},
    {P_BAND, "JOIN", false},
    {P_BAND_LEFT, "LEFT JOIN", false},
    {P_ASOF, "ASOF JOIN", true},
    {P_ASOF, "ASOF JOIN", true},
    {P_ASOF_LEFT, "ASOF LEFT JOIN", true},
    {P_ASOF_LEFT, "ASOF LEFT JOIN", true},
};

static inline bool names_once(const struct scope *scope, const char *name)
{
    unsigned count = 0;
    for (unsigned i = 0; i < scope->count; i++)
        count += strcmp(scope->cols[i].name, name) == 0 && scope->cols[i].type == T_INT4;
    return count == 1;
}

/* A pair of columns of one type that is not boolean. */
static inline bool pick_pair(struct maker *maker, const struct scope *left, const struct scope *right, enum type type,
                             char **ret_left, char **ret_right)
{
    unsigned flags = 0;
    *ret_left = pick_column(maker, left, type, LOOSE, &flags);
    *ret_right = pick_column(maker, right, type, LOOSE, &flags);
    return *ret_left && *ret_right && type != T_BOOL;
}

/* Columns of both sides not far from one another; NULL if nothing fits. */
static inline char *make_band(struct maker *maker, const struct scope *left, const struct scope *right)
{
    char *a, *b;
    enum type type = ((const enum type[]){T_INT4, T_TIMESTAMP, T_DATE})[roll(maker->dice, 3)];
    if (type == T_INT4) { /* a key's extremes would overflow */
        unsigned flags = 0;
        a = pick_column(maker, left, type, LOOSE | BIG, &flags), b = pick_column(maker, right, type, LOOSE, &flags);
        return a && b ? SAY("%s BETWEEN %s - %u AND %s + %u", b, a, roll(maker->dice, 3), a, roll(maker->dice, 3))
                      : NULL;
    }
    if (!pick_pair(maker, left, right, type, &a, &b))
        return NULL;
    return SAY("%s > %s - INTERVAL '%u minutes' AND %s <= %s + INTERVAL '%u hours'", b, a, 1 + roll(maker->dice, 9), b,
               a, roll(maker->dice, 3));
}

/* The one row of the right side that is nearest in time; of several the least. */
static inline bool join_asof(struct maker *maker, struct from *from, const struct from *with, const struct scope *left,
                             const struct scope *right, bool outer)
{
    static const char *const compares[] = {">=", ">", "<=", "<"};
    enum type type = ((const enum type[]){T_TIMESTAMP, T_INT4, T_DATE})[roll(maker->dice, 3)];
    char *a, *b, *on = make_on(maker, left, right, true), *ties = "";
    if (with->kappa[0] == '(' || !on || !pick_pair(maker, left, right, type, &a, &b) ||
        from->rows * with->rows > SUB_PAIRS_MAX)
        return false;
    for (unsigned i = 0; i < right->count; i++) {
        if (right->cols[i].type == T_JSON)
            return false; /* has no order */
        if (right->cols[i].flags & LOOSE && (right->cols[i].flags & DERIVED || right->cols[i].type != T_FLOAT8))
            return false; /* equal ones that print differently have no order that PostgreSQL knows */
        ties = SAY("%s, %s%s", ties, right->prefix[i], right->cols[i].name);
    }
    unsigned compare = roll(maker->dice, KP_COUNT(compares));
    on = SAY("%s AND %s %s %s", on, a, compares[compare], b);
    if (chance(maker->dice, 25))
        on = SAY("%s AND %s IS NOT NULL", on, b);
    int alias_len = (int)strcspn(right->prefix[0], ".");
    const char *alias = right->prefix[0];
    from->kappa = SAY("%s ASOF %sJOIN %s ON %s", from->kappa, outer ? "LEFT " : "", with->kappa, on);
    from->postgres = SAY("%s %sJOIN LATERAL (SELECT %.*s.* FROM %s WHERE %s ORDER BY %s%s%s LIMIT 1) AS %.*s ON true",
                         from->postgres, outer ? "LEFT " : "", alias_len, alias, with->postgres, on, b,
                         compare < 2 ? " DESC" : "", ties, alias_len, alias);
    from->risky |= with->risky;
    made(outer ? P_ASOF_LEFT : P_ASOF);
    return true;
}

/* Joins `with` to `from`; false if no condition fits. `right` is with's columns alone, `both` what the ON may use. */
static inline bool join(struct maker *maker, struct from *from, const struct from *with, const struct scope *left,
                        const struct scope *right, struct scope *both)
{
    const struct join_kind *kind = &join_kinds[roll(maker->dice, KP_COUNT(join_kinds))];
    if (!allowed(kind->production))
        kind = &join_kinds[0];
    if (kind->production == P_ASOF || kind->production == P_ASOF_LEFT)
        return join_asof(maker, from, with, left, right, kind->production == P_ASOF_LEFT);
    bool band = kind->production == P_BAND || kind->production == P_BAND_LEFT;
    char *on = band ? make_band(maker, left, right) : make_on(maker, left, right, kind->equal);
    if (!on)
        return false;
    bool using = kind->production == P_JOIN_USING || kind->production == P_JOIN_FULL_USING;
    if (using && !(names_once(left, "k") && names_once(right, "k"))) {
        kind = &join_kinds[0];
        using = false;
    }
    made(kind->production);
    from->rows = KP_MAX(from->rows * with->rows / (kind->equal ? 10 : kind->production == P_JOIN_CROSS ? 1 : 2), 5);
    from->risky |= with->risky;
    if (kind->production == P_JOIN_COMMA) {
        from->where = from->where ? SAY("%s AND %s", from->where, on) : on;
        from->kappa = SAY("%s, %s", from->kappa, with->kappa);
        from->postgres = SAY("%s, %s", from->postgres, with->postgres);
        return true;
    }
    if (kind->production == P_JOIN_CROSS || using) {
        const char *tail = using ? " USING (k)" : "";
        if (using && allowed(P_USING_ALIAS) && both->count < KP_COUNT(both->cols) && chance(maker->dice, 60)) {
            made(P_USING_ALIAS); /* the column that both sides are */
            char *alias = SAY("a%u", ++maker->aliases % 100);
            tail = SAY(" USING (k) AS %s", alias);
            scope_add(both, alias, &(struct column){"k", T_INT4, DERIVED}, 1);
        }
        from->kappa = SAY("%s %s %s%s", from->kappa, kind->text, with->kappa, tail);
        from->postgres = SAY("%s %s %s%s", from->postgres, kind->text, with->postgres, tail);
        return true;
    }
    if (kind->production != P_JOIN_FULL && chance(maker->dice, 30)) /* PostgreSQL: FULL only with equalities */
        on = with_predicate(maker, both, on);
    else if (kind->production <= P_JOIN_RIGHT && allowed(P_ON_SUBQUERY) && chance(maker->dice, 6))
        on = with_subquery(maker, both, from, on);
    from->kappa = SAY("%s %s %s ON %s", from->kappa, kind->text, with->kappa, on);
    from->postgres = SAY("%s %s %s ON %s", from->postgres, kind->text, with->postgres, on);
    return true;
}

/* How often each k of a relation is there, found by the only name that both sides have. */
static inline void add_natural(struct maker *maker, struct from *from, struct scope *scope)
{
    const struct relation *relation = &maker->relations[roll(maker->dice, maker->relation_count)];
    struct column cols[] = {{"n", T_INT8, DERIVED}};
    if (relation->view || !allowed(P_NATURAL) || !names_once(scope, "k") || scope->count == KP_COUNT(scope->cols))
        return;
    made(P_NATURAL);
    char *alias = SAY("a%u", ++maker->aliases % 100);
    char *tail = SAY(" NATURAL %sJOIN (SELECT k, count(*) AS n FROM %s GROUP BY k) AS %s",
                     ((const char *[]){"", "LEFT ", "FULL ", "RIGHT "})[roll(maker->dice, 4)], relation->name, alias);
    from->kappa = SAY("%s%s", from->kappa, tail);
    from->postgres = SAY("%s%s", from->postgres, tail);
    scope_add(scope, alias, cols, 1);
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
    static const struct {
        enum production production;
        const char *args, *before, *call, *after, *names, *cols; /* args, cols: types by their codes */
    } kinds[] = {
        {P_SERIES, "i", ", ", "generate_series(1, $1 % 4)", "", "l0", "i"},
        {P_UNNEST, "t", ", ", "unnest(string_to_array($1, 'a'))", "", "l0", "t"},
        {P_UNNEST_ARRAY, "a", ", ", "unnest($1)", "", "l0", "i"},
        {P_UNNEST_ARRAY, "x", ", ", "unnest($1)", "", "l0", "t"},
        {P_UNNEST_ARRAY, "k", ", ", "unnest($1)", "", "l0", "e"},
        {P_UNNEST_ARRAY, "p", ", ", "unnest($1)", "", "l0, l1", "it"},
        {P_ORDINALITY, "x", ", ", "unnest($1) WITH ORDINALITY", "", "l0, l1", "tl"},
        {P_ORDINALITY, "i", ", ", "generate_series($1 % 3, 3) WITH ORDINALITY", "", "l0, l1", "il"},
        {P_ORDINALITY, "t", ", ", "string_to_table($1, 'b') WITH ORDINALITY", "", "l0, l1", "tl"},
        {P_ORDINALITY, "t", " LEFT JOIN LATERAL ", "unnest(string_to_array($1, 'a')) WITH ORDINALITY", " ON true",
         "l0, l1", "tl"},
        {P_ORDINALITY, "j", ", ", "jsonb_path_query($1, '$.b[*]') WITH ORDINALITY", "", "l0, l1", "jl"},
        {P_SERIES, "i", ", ", "generate_series($1 % 3, 4, 2)", "", "l0", "i"},
        {P_SERIES, "d", ", ", "generate_series($1::timestamp, $1 + 2, INTERVAL '1 day')", "", "l0", "m"},
        {P_UNNEST, "t", ", ", "regexp_split_to_table($1, '[ab]')", "", "l0", "t"},
        {P_UNNEST, "j", ", ", "jsonb_path_query($1, '$.b[*]')", "", "l0", "j"},
        {P_UNNEST, "a", ", ", "generate_subscripts($1, 1)", "", "l0", "i"},
        {P_ORDINALITY, "ax", ", ", "unnest($1, $2) WITH ORDINALITY", "", "l0, l1, l2", "itl"},
        {P_SET_LEFT, "x", " LEFT JOIN LATERAL ", "unnest($1)", " ON true", "l0", "t"},
        {P_SET_LEFT, "i", " LEFT JOIN LATERAL ", "generate_series(1, $1 % 3) WITH ORDINALITY", " ON true", "l0, l1",
         "il"},
        {P_ROWS_FROM, "ax", ", ", "ROWS FROM (unnest($1), unnest($2))", "", "l0, l1", "it"},
        {P_FUNCTION_ROWS, "i", ", ", "law_steps($1 % 3)", "", "l0, l1", "it"},
        {P_FUNCTION_ROWS, "i", " LEFT JOIN LATERAL ", "law_steps($1 % 3)", " ON true", "l0, l1", "it"},
        {P_FUNCTION_ROWS, "t", ", ", "string_to_table($1, 'b')", "", "l0", "t"},
        {P_FUNCTION_ROWS, "t", ", ", "regexp_matches($1, '[ab]', 'g')", "", "l0", "x"},
        {P_JSON_ROWS, "j", ", ", "jsonb_each(CASE WHEN jsonb_typeof($1) = 'object' THEN $1 END)", "", "l0, l1", "tj"},
        {P_JSON_ROWS, "j", " LEFT JOIN LATERAL ",
         "jsonb_array_elements_text(CASE WHEN jsonb_typeof($1) = 'array' THEN $1 END)", " ON true", "l0", "t"},
        {P_JSON_RECORD, "j", ", ", "jsonb_to_record(CASE WHEN jsonb_typeof($1) = 'object' THEN $1 END)", "",
         "l0 text, l1 jsonb", "tj"},
        {P_JSON_ROWS, "o", ", ", "json_each(CASE WHEN json_typeof($1) = 'object' THEN $1 END)", "", "l0, l1", "to"},
        {P_JSON_ROWS, "o", ", ", "json_array_elements(CASE WHEN json_typeof($1) = 'array' THEN $1 END)", "", "l0", "o"},
        {P_JSON_ROWS, "j", " LEFT JOIN LATERAL ",
         "jsonb_object_keys(CASE WHEN jsonb_typeof($1) = 'object' THEN $1 END)", " ON true", "l0", "t"},
        {P_JSON_ROWS, "j", ", ", "jsonb_each_text(CASE WHEN jsonb_typeof($1) = 'object' THEN $1 END)", "", "l0, l1",
         "tt"},
        {P_JSON_ROWS, "j", ", ",
         "jsonb_array_elements(CASE WHEN jsonb_typeof($1) = 'array' THEN $1 END)"
         " WITH ORDINALITY",
         "", "l0, l1", "jl"},
        {P_JSON_RECORD, "i", ", ",
         "jsonb_to_recordset(jsonb_build_array(jsonb_build_object('l0', $1), '{\"l1\": 3}'"
         "::jsonb))",
         "", "l0 text, l1 jsonb", "tj"},
        {P_UNNEST_ARRAY, "g", ", ", "unnest($1)", "", "l0", "d"},
        {P_ROWS_FROM, "ia", ", ", "ROWS FROM (generate_series(1, $1 % 3), unnest($2))", "", "l0, l1", "ii"},
    };
    unsigned flags = 0, at = 0, count = 0;
    char *args[2] = {0}, *call = "";
    bool fits = false;
    for (unsigned tries = 0; !fits && tries < 6; tries++) { /* few relations have columns for each kind */
        at = roll(maker->dice, KP_COUNT(kinds));
        fits = true;
        for (unsigned i = 0; fits && kinds[at].args[i]; i++)
            fits = (args[i] = pick_column(maker, scope, type_of_code(kinds[at].args[i]),
                                          kinds[at].args[i] == 'o' ? BIG : BIG | LOOSE, &flags));
    }
    if (!fits)
        return;
    count = (unsigned)strlen(kinds[at].cols);
    if (!allowed(kinds[at].production) || scope->count + count > KP_COUNT(scope->cols) || from->rows > 1000)
        return;
    made(kinds[at].production);
    for (const char *c = kinds[at].call; *c; c++)
        call = *c == '$' && (c[1] == '1' || c[1] == '2') ? SAY("%s%s", call, args[*++c - '1']) : SAY("%s%c", call, *c);
    char *alias = SAY("a%u", ++maker->aliases % 100);
    char *tail = SAY("%s%s AS %s (%s)%s", kinds[at].before, call, alias, kinds[at].names, kinds[at].after);
    from->kappa = SAY("%s%s", from->kappa, tail);
    from->postgres = SAY("%s%s", from->postgres, tail);
    from->rows *= 2;
    struct column cols[3];
    for (unsigned i = 0; i < count; i++) {
        cols[i] =
            (struct column){"", type_of_code(kinds[at].cols[i]), DERIVED | (kinds[at].cols[i] == 'o' ? LOOSE : 0)};
        snprintf(cols[i].name, sizeof cols[i].name, "l%u", i);
    }
    scope_add(scope, alias, cols, count);
}

/* Joins one more to what a join is to have on its right, in parentheses. */
static inline void nest(struct maker *maker, unsigned depth, struct from *from, struct scope *scope)
{
    struct scope right = {0}, both = *scope;
    struct from with = make_from_one(maker, depth, &right), joined = *from;
    if (both.count + right.count > KP_COUNT(both.cols) || with.rows * from->rows > maker->rows_max)
        return;
    for (unsigned i = 0; i < right.count; i++) {
        both.cols[both.count] = right.cols[i];
        memcpy(both.prefix[both.count++], right.prefix[i], sizeof right.prefix[0]);
    }
    if (!join(maker, &joined, &with, scope, &right, &both) || joined.where)
        return;
    made(P_JOIN_NESTED);
    joined.kappa = SAY("( %s)", joined.kappa); /* reads() looks for names behind spaces */
    joined.postgres = SAY("( %s)", joined.postgres);
    *from = joined;
    *scope = both;
}

static inline struct from make_from(struct maker *maker, unsigned depth, struct scope *scope)
{
    struct from from = {0};
    if (!chance(maker->dice, 3) || !make_versions(maker, scope, &from))
        from = make_from_one(maker, depth, scope);
    for (unsigned more = chance(maker->dice, 35) ? 1 + chance(maker->dice, 15) : 0; more; more--) {
        struct scope right = {0}, both = *scope;
        struct from with = make_from_one(maker, depth, &right);
        if (allowed(P_JOIN_NESTED) && chance(maker->dice, 12))
            nest(maker, depth, &with, &right);
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
    else if (chance(maker->dice, 8))
        add_set(maker, &from, scope);
    else if (chance(maker->dice, 3))
        add_natural(maker, &from, scope);
    return from;
}

/* ---- subqueries in predicates ---- */

/* An aggregate of the type over the inner relation; NULL if none fits. */
static inline char *make_scalar_aggregate(struct maker *maker, const struct scope *inner, enum type type)
{
    unsigned ignored = 0;
    if (type == T_INT8 && chance(maker->dice, 50))
        return "count(*)";
    if (!type_has_min(type))
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
