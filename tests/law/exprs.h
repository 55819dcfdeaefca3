/*
 * For law_test.c only: random expressions over columns in scope, from the tables of forms.h.
 *
 * Only what PostgreSQL defines is made: sums that do not overflow by chance, keys that print one way (values.h), at
 * most one expression in a query that may fail, and that one where no predicate could guard it.
 */
#ifndef KP_TESTS_LAW_EXPRS_H
#define KP_TESTS_LAW_EXPRS_H

#include "tests/law/coverage.h"

enum { COLUMNS_MAX = 24, RELATIONS_MAX = 48 };

struct relation {
    char name[16];
    bool source, view, watermark, timed; /* timed: it has a ts */
    bool keyless, versioned; /* a table without a key; one whose versions have a time of their own, its ts */
    bool risky;              /* reading it may fail */
    unsigned partitions;
    struct column cols[COLUMNS_MAX];
    unsigned col_count;
    double rows; /* estimate */
    char *late;  /* of a view that closes: PostgreSQL's text of its late pairs; NULL: none */
};

struct maker {
    struct dice *dice;
    struct kp_arena *arena;
    struct relation *relations;
    unsigned relation_count;
    const struct relation *with; /* what WITH of this query names; NULL: nothing */
    unsigned aliases;
    double rows_max;                      /* pairs that a join may look at */
    int64_t clock_us;                     /* the log's time at present */
    bool risk;                            /* one expression of this query may fail */
    char *window_kappa, *window_postgres; /* what WINDOW names; NULL: nothing */
    bool ordered_over; /* a window function of this SELECT tells equal rows apart: what a second one says of which is
                          luck */
};

/* What names an expression can use. */
struct scope {
    struct column cols[2 * COLUMNS_MAX];
    char prefix[2 * COLUMNS_MAX][8]; /* "a3." */
    unsigned count;
};

struct query {
    char *kappa, *postgres;
    struct column cols[COLUMNS_MAX];
    unsigned col_count;
    double rows;
    bool risky;      /* it may fail, for a reason of its own */
    bool over_risky; /* a view below may: PostgreSQL leaves out what is not asked for */
    bool view_only;  /* what only a view may say */
    char *late;      /* of one that closes windows: PostgreSQL's text of the late pairs; NULL: not known */
    char *errors;    /* of one that skips errors: PostgreSQL's count of them; NULL: it does not */
};

struct from {
    char *kappa, *postgres;
    char *where; /* of a join with a comma; NULL: none */
    double rows;
    bool risky;
    char *late;  /* as a query's */
    bool ends;   /* of windows of one start several may end at different times */
    bool closes; /* windows that close: of those each set of groups has one */
};

#define SAY(...) kp_arena_printf(maker->arena, __VA_ARGS__)

static inline void scope_add(struct scope *scope, const char *alias, const struct column *cols, unsigned count)
{
    for (unsigned i = 0; i < count && scope->count < KP_COUNT(scope->cols); i++) {
        scope->cols[scope->count] = cols[i];
        snprintf(scope->prefix[scope->count++], sizeof scope->prefix[0], "%s.", alias);
    }
}

static inline char *constant(struct maker *maker, enum type type)
{
    char *sql, *json;
    do
        value_make(maker->dice, maker->arena, &(struct column){.type = type}, &sql, &json);
    while (!json);
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
    enum type type = scope->count && !chance(maker->dice, 7) ? scope->cols[roll(maker->dice, scope->count)].type
                                                             : (enum type)roll(maker->dice, TYPES);
    return type == T_JSON ? T_JSONB : type; /* which can be compared */
}

static char *make_expr(struct maker *maker, const struct scope *scope, enum type type, unsigned depth, unsigned not,
                       unsigned *flags);
#define EXPR(type, not ) make_expr(maker, scope, type, depth - 1, not, flags)

/* The form with its arguments in place. */
static inline char *fill_form(struct maker *maker, const struct scope *scope, struct form *form, unsigned depth,
                              unsigned not, unsigned *flags)
{
    char *args[9] = {0}, *out = "";
    if (!(form->flags & F_BIG))
        not |= BIG;
    if (form->flags & F_TIGHT)
        not |= LOOSE;
    for (unsigned i = 0; form->args[i]; i++)
        args[i] = EXPR(type_of_code(form->args[i]), not );
    for (const char *at = form->text, *next; *at; at = next) {
        bool arg = at[0] == '$' && at[1] >= '1' && at[1] <= '9';
        next = at + (arg ? 2 : 1);
        next += strcspn(next, "$");
        const char *plain = at + (arg ? 2 : 0);
        out = SAY("%s%s%.*s", out, arg ? args[at[1] - '1'] : "", (int)(next - plain), plain);
    }
    if (form->flags & F_LOOSE)
        *flags |= LOOSE;
    form->made++;
    return out;
}

/* One of a table that the engine takes, of the type (TYPES: any) and without the flags; NULL if there is none. */
static inline struct form *pick_form(struct maker *maker, struct form_table *table, enum type type, unsigned not_flags)
{
    struct form *found[FORMS_IN_TABLE_MAX];
    unsigned n = 0;
    for (struct form *form = table->forms; form < table->forms + table->count; form++)
        if (!form->refused && !(form->flags & not_flags) && (type == TYPES || form->type == type))
            found[n++] = form;
    return n ? found[roll(maker->dice, n)] : NULL;
}

/* ---- predicates ---- */

static inline char *make_comparison(struct maker *maker, const struct scope *scope, unsigned depth)
{
    static const char *const compares[] = {"=", "<>", "<", "<=", ">", ">="};
    unsigned ignored = 0, *flags = &ignored;
    const char *compare = compares[roll(maker->dice, KP_COUNT(compares))];
    enum type type = pick_type(maker, scope);
    char *a = EXPR(type, LOOSE);
    switch (roll(maker->dice, 8)) {
    default:
        return SAY("%s %s %s", a, compare, constant(maker, type));
    case 2:
        return SAY("%s %s %s", a, compare, EXPR(type, LOOSE));
    case 3:
        return SAY("%s IS %sNULL", a, chance(maker->dice, 50) ? "NOT " : "");
    case 4:
        return SAY("(NOT %s %s %s)", a, compare, constant(maker, type));
    case 5:
        return SAY("%s %sIN (%s, %s, %s)", a, chance(maker->dice, 30) ? "NOT " : "", constant(maker, type),
                   constant(maker, type), chance(maker->dice, 20) ? "NULL" : constant(maker, type));
    case 6:
        return type == T_BOOL ? SAY("%s IS NOT TRUE", a)
                              : SAY("%s BETWEEN %s AND %s", a, constant(maker, type), constant(maker, type));
    case 7:
        return SAY("%s IS %sDISTINCT FROM %s", a, chance(maker->dice, 50) ? "NOT " : "", EXPR(type, LOOSE));
    }
}

static inline char *make_sure_predicate(struct maker *maker, const struct scope *scope, unsigned depth)
{
    if (depth > 1 && chance(maker->dice, 25)) {
        char *left = make_sure_predicate(maker, scope, depth - 1);
        char *right = make_sure_predicate(maker, scope, depth - 1);
        return SAY("(%s %s %s)", left, chance(maker->dice, 50) ? "AND" : "OR", right);
    }
    if (!chance(maker->dice, 25))
        return make_comparison(maker, scope, depth);
    unsigned flags = 0;
    struct form *form = pick_form(maker, &predicates, TYPES, 0);
    return fill_form(maker, scope, form, depth, LOOSE, &flags);
}

/* Nothing in it may fail: PostgreSQL knows what x > NULL is without asking for x. */
static inline char *make_predicate(struct maker *maker, const struct scope *scope, unsigned depth)
{
    bool risk = maker->risk;
    maker->risk = false;
    char *predicate = make_sure_predicate(maker, scope, depth);
    maker->risk = risk;
    return predicate;
}

/* What changes once as the log's time passes; NULL if no column is a time. */
static inline char *make_now(struct maker *maker, const struct scope *scope)
{
    unsigned flags = 0;
    enum type type = ((const enum type[]){T_TIMESTAMPTZ, T_TIMESTAMP, T_DATE})[roll(maker->dice, 3)];
    char *column = pick_column(maker, scope, type, LOOSE, &flags);
    if (!column || !allowed(P_NOW))
        return NULL;
    made(P_NOW);
    const char *compare = chance(maker->dice, 60) ? ">" : chance(maker->dice, 50) ? "<=" : "<";
    switch (roll(maker->dice, 6)) {
    case 1:
        return SAY("%s %s now()", column, compare);
    case 2:
        return SAY("now() BETWEEN %s AND %s + INTERVAL '%u days'", column, column, 1 + roll(maker->dice, 30));
    case 3:
        return SAY("%s %s date_trunc('day', now())", column, compare);
    case 4:
        return SAY("%s + INTERVAL '%u hours' %s now()", column, roll(maker->dice, 500), compare);
    case 5:
        return SAY("%s %s (now() + INTERVAL '%u days')::date", column, compare, roll(maker->dice, 20));
    default:
        return SAY("%s %s now() - INTERVAL '%u days'", column, compare, roll(maker->dice, 30));
    }
}

/* ---- expressions ---- */

/* Divides by a column or multiplies until it overflows: a column, since PostgreSQL folds constants, and then fails
 * without a row. NULL where that cannot be. */
static inline char *make_risk(struct maker *maker, const struct scope *scope, enum type type, unsigned not,
                              unsigned *flags)
{
    char *column = maker->risk && chance(maker->dice, 50) && (type == T_INT4 || type == T_INT8)
                       ? pick_column(maker, scope, type, not | BIG | DERIVED, flags)
                       : NULL;
    if (!column)
        return NULL;
    maker->risk = false;
    *flags |= BIG;
    return chance(maker->dice, 60) ? SAY("(12 / %s)", column)
                                   : SAY("(%s * %s)", type == T_INT4 ? "400000000" : "900000000000000000", column);
}

static inline char *make_call(struct maker *maker, const struct scope *scope, enum type type, unsigned depth,
                              unsigned not, unsigned *flags)
{
    char *risk = make_risk(maker, scope, type, not, flags);
    if (risk)
        return risk;
    if (type == T_BOOL)
        return SAY("(%s)", make_predicate(maker, scope, depth));
    struct form *form = pick_form(maker, &functions, type, not &LOOSE ? F_LOOSE : 0);
    return form ? fill_form(maker, scope, form, depth, not, flags) : NULL;
}

/* CASE and its like. A numeric of two branches prints in the scale of either. */
static inline char *make_choice(struct maker *maker, const struct scope *scope, enum type type, unsigned depth,
                                unsigned not, unsigned *flags)
{
    if (type == T_NUMERIC)
        *flags |= LOOSE;
    enum production kind = (enum production)(P_CASE + roll(maker->dice, P_GREATEST - P_CASE + 1));
    if (!allowed(kind) || type == T_JSONB || type == T_JSON)
        kind = P_CASE;
    made(kind);
    char *a = EXPR(type, kind == P_GREATEST ? not | LOOSE : not );
    switch (kind) {
    case P_COALESCE:
        return SAY("COALESCE(%s, %s)", a, EXPR(type, not ));
    case P_NULLIF:
        return SAY("NULLIF(%s, %s)", a, constant(maker, type));
    case P_GREATEST:
        return SAY("%s(%s, %s)", chance(maker->dice, 50) ? "LEAST" : "GREATEST", a, EXPR(type, not | LOOSE));
    case P_CASE_OF: {
        unsigned ignored = 0;
        char *of = make_expr(maker, scope, T_INT4, depth - 1, LOOSE, &ignored);
        return SAY("CASE %s WHEN 1 THEN %s WHEN %s THEN %s END", of, a, constant(maker, T_INT4), EXPR(type, not ));
    }
    default:
        return SAY("CASE WHEN %s THEN %s%s END", make_predicate(maker, scope, depth), a,
                   chance(maker->dice, 60) ? SAY(" ELSE %s", EXPR(type, not )) : "");
    }
}

static char *make_expr(struct maker *maker, const struct scope *scope, enum type type, unsigned depth, unsigned not,
                       unsigned *flags)
{
    if (depth > 0 && depth < 100) {
        if (chance(maker->dice, 20) && !(type == T_NUMERIC && (not &LOOSE)))
            return make_choice(maker, scope, type, depth, not, flags);
        char *call =
            chance(maker->dice, maker->risk ? 70 : 45) ? make_call(maker, scope, type, depth, not, flags) : NULL;
        if (call)
            return call;
    }
    char *column = pick_column(maker, scope, type, not, flags);
    return column && !chance(maker->dice, 7) ? column : constant(maker, type);
}

#endif
