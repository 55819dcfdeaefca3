/*
 * For law_test.c only: windows over sources, and what PostgreSQL, which has none, is asked instead.
 */
#ifndef KP_TESTS_LAW_WINDOWS_H
#define KP_TESTS_LAW_WINDOWS_H

#include "tests/law/exprs.h"

static inline void window_columns(struct column *cols, unsigned *count)
{
    cols[(*count)++] = (struct column){"window_start", T_TIMESTAMP, 0};
    cols[(*count)++] = (struct column){"window_end", T_TIMESTAMP, 0};
}

/* Sessions for PostgreSQL: a row begins one if its key had none in the time before it that the gap allows. Closed ones
 * have no row that came behind the watermark. */
static inline void make_session(struct maker *maker, const struct relation *relation, const char *alias, bool closed,
                                struct from *from)
{
    const char *gap = ((const char *[]){"10 seconds", "45 seconds", "5 minutes"})[roll(maker->dice, 3)];
    const char *late = closed ? " AND (law_w IS NULL OR ts >= law_w)" : "";
    from->kappa = SAY("session(%s, ts, INTERVAL '%s', k) AS %s", relation->name, gap, alias);
    from->postgres = SAY(
        "(SELECT law_z.*, min(ts) OVER law_s AS window_start, max(ts) OVER law_s + INTERVAL '%s' AS window_end FROM "
        "(SELECT *, sum(law_f) OVER (PARTITION BY k ORDER BY ts) AS law_n FROM (SELECT *, CASE WHEN ts - lag(ts) OVER "
        "(PARTITION BY k ORDER BY ts) >= INTERVAL '%s' THEN 1 ELSE 0 END AS law_f FROM %s WHERE ts IS NOT NULL%s) "
        "law_x) law_z WINDOW law_s AS (PARTITION BY k, law_n)) AS %s",
        gap, gap, relation->name, late, alias);
    if (closed)
        from->late =
            SAY("(SELECT ts + INTERVAL '%s' AS window_end FROM %s WHERE ts < law_w) AS law_l", gap, relation->name);
}

/* What windows are made over: a relation's name, or a query in parentheses; its time is the column ts. */
struct windowed {
    const char *kappa, *postgres;
};

static inline void make_tumble(struct maker *maker, struct windowed over, const char *alias, const char *size,
                               bool offset, struct from *from)
{
    from->kappa =
        SAY("tumble(%s, ts, INTERVAL '%s'%s) AS %s", over.kappa, size, offset ? ", INTERVAL '3 seconds'" : "", alias);
    from->postgres =
        SAY("(SELECT law_x.*, law_at AS window_start, law_at + INTERVAL '%s' AS window_end FROM %s law_x, LATERAL "
            "(SELECT date_bin(INTERVAL '%s', law_x.ts, TIMESTAMP '1970-01-01%s') AS law_at) law_y WHERE law_x.ts "
            "IS NOT NULL) AS %s",
            size, over.postgres, size, offset ? " 00:00:03" : "", alias);
}

static inline void make_hop(struct maker *maker, struct windowed over, const char *alias, const char *slide,
                            const char *size, struct from *from)
{
    from->rows *= strcmp(slide, "4 seconds") == 0 ? 600 : 3;
    from->kappa = SAY("hop(%s, ts, INTERVAL '%s', INTERVAL '%s') AS %s", over.kappa, slide, size, alias);
    from->postgres =
        SAY("(SELECT law_x.*, law_at AS window_start, law_at + INTERVAL '%s' AS window_end FROM %s law_x, LATERAL "
            "generate_series(date_bin(INTERVAL '%s', law_x.ts, TIMESTAMP '1970-01-01'), law_x.ts - INTERVAL '%s' "
            "+ INTERVAL '1 microsecond', - INTERVAL '%s') law_at) AS %s",
            size, over.postgres, slide, size, slide, alias);
}

static inline void make_cumulate(struct maker *maker, struct windowed over, const char *alias, struct from *from)
{
    from->rows *= 2;
    from->kappa = SAY("cumulate(%s, ts, INTERVAL '1 minute', INTERVAL '4 minutes') AS %s", over.kappa, alias);
    from->postgres =
        SAY("(SELECT law_x.*, law_at AS window_start, law_e AS window_end FROM %s law_x, LATERAL (SELECT "
            "date_bin(INTERVAL '4 minutes', law_x.ts, TIMESTAMP '1970-01-01') AS law_at) law_y, LATERAL "
            "generate_series(law_at + INTERVAL '1 minute', law_at + INTERVAL '4 minutes', INTERVAL '1 minute') law_e "
            "WHERE law_e > law_x.ts) AS %s",
            over.postgres, alias);
}

/* Of windows those that are closed, for PostgreSQL: the watermarks of all these sources have passed their end. */
static inline char *only_closed(struct maker *maker, const char *windows, const char *sources, const char *alias)
{
    return SAY("(SELECT * FROM %s WHERE window_end <= (SELECT CASE WHEN count(w) = count(*) THEN min(w) END FROM "
               "law_mark WHERE source IN (%s))) AS %s",
               windows, sources, alias);
}

/*
 * closed: for EMIT ON WINDOW CLOSE: PostgreSQL is asked for the pairs that were not late, of windows that are closed by
 * these sources ("'s0', 's1'"; "": of all windows). Its copy of a source has the watermark at each row, law_w, and
 * law_mark the one now.
 */
static inline struct from make_window(struct maker *maker, const struct relation *relation, const char *alias,
                                      const char *closed)
{
    static const char *const slides[] = {"15 minutes", "1 minute", "30 seconds", "4 seconds"};
    const struct windowed over = {relation->name, relation->name};
    struct from from = {.rows = relation->rows, .risky = relation->risky};
    static const char *const sizes[] = {"10 seconds", "1 minute", "7 minutes", "1 hour"};
    static const enum production kinds[2][4] = {{P_TUMBLE, P_HOP, P_CUMULATE, P_SESSION},
                                                {P_CLOSE, P_CLOSE_HOP, P_CLOSE_CUMULATE, P_CLOSE_SESSION}};
    const char *size = sizes[roll(maker->dice, KP_COUNT(sizes))];
    unsigned kind = (const unsigned[]){0, 0, 0, 0, 1, 1, 2, 3}[roll(maker->dice, 8)];
    if (!allowed(kinds[closed != NULL][kind]))
        kind = 0;
    made(kinds[closed != NULL][kind]);
    if (kind == 0)
        make_tumble(maker, over, alias, size, chance(maker->dice, 30), &from);
    else if (kind == 1)
        make_hop(maker, over, alias, slides[relation->rows > 1000 ? 0 : roll(maker->dice, KP_COUNT(slides))],
                 sizes[1 + roll(maker->dice, 3)], &from);
    else if (kind == 2)
        make_cumulate(maker, over, alias, &from);
    else
        make_session(maker, relation, alias, closed, &from);
    from.ends = kind >= 2;
    if (!closed)
        return from;
    if (!from.late)
        from.late = SAY("(SELECT window_end FROM %s WHERE window_end <= law_w) AS law_l", from.postgres);
    from.postgres = SAY("(SELECT * FROM %s WHERE law_w IS NULL OR window_end > law_w) AS %s", from.postgres, alias);
    if (*closed)
        from.postgres = only_closed(maker, from.postgres, closed, alias);
    return from;
}

#endif
