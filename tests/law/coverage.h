/*
 * For law_test.c only: the productions of the grammar that the generator has, which of them the engine takes, and how
 * often each was made.
 *
 * Before the first world every production's sample is tried on an instance: what is refused is not made, and is told.
 * So a production begins to be tested with the day on which the engine takes it. That one which was taken is refused
 * again cannot pass either: PRODUCTIONS_MIN and FORMS_MIN count those that have to be taken.
 */
#ifndef KP_TESTS_LAW_COVERAGE_H
#define KP_TESTS_LAW_COVERAGE_H

#include "tests/law/kappa.h"
#include "tests/law/definitions.h"
#include "tests/law/statements.h"

enum { PRODUCTIONS_MIN = 143, FORMS_MIN = 1055 };

#define PRODUCTIONS(X)                                                                                                 \
    X(P_WHERE, "SELECT i FROM p WHERE i > 1")                                                                          \
    X(P_DISTINCT, "SELECT DISTINCT i FROM p")                                                                          \
    X(P_DISTINCT_ON, "SELECT DISTINCT ON (i) i, t FROM p ORDER BY i, t")                                               \
    X(P_GROUP, "SELECT i, count(*) FROM p GROUP BY 1")                                                                 \
    X(P_GROUP_NONE, "SELECT count(*) FROM p")                                                                          \
    X(P_HAVING, "SELECT i FROM p GROUP BY i HAVING count(*) > 1")                                                      \
    X(P_FILTER, "SELECT count(*) FILTER (WHERE i > 1) FROM p")                                                         \
    X(P_AGGREGATE_DISTINCT, "SELECT count(DISTINCT i) FROM p")                                                         \
    X(P_LISTS, "SELECT array_agg(t) AS t, array_agg(s) AS s FROM p GROUP BY i")                                        \
    X(P_ROLLUP, "SELECT i, s, count(*) FROM p GROUP BY ROLLUP (1, 2)")                                                 \
    X(P_CUBE, "SELECT i, s, count(*) FROM p GROUP BY CUBE (1, 2)")                                                     \
    X(P_GROUPING_SETS, "SELECT i, s, count(*) FROM p GROUP BY GROUPING SETS ((1, 2), (2), ())")                        \
    X(P_LIMIT, "SELECT i FROM p ORDER BY i LIMIT 3")                                                                   \
    X(P_OFFSET, "SELECT i FROM p ORDER BY i LIMIT 3 OFFSET 2")                                                         \
    X(P_WITH_TIES, "SELECT i, t FROM p ORDER BY i FETCH FIRST 3 ROWS WITH TIES")                                       \
    X(P_OVER, "SELECT i, rank() OVER (PARTITION BY s ORDER BY i) FROM p")                                              \
    X(P_JOIN, "SELECT a.i FROM p a JOIN p b ON a.i = b.i")                                                             \
    X(P_JOIN_LEFT, "SELECT a.i FROM p a LEFT JOIN p b ON a.i = b.i AND a.s > 1")                                       \
    X(P_JOIN_RIGHT, "SELECT a.i FROM p a RIGHT JOIN p b ON a.i = b.i")                                                 \
    X(P_JOIN_FULL, "SELECT a.i FROM p a FULL JOIN p b ON a.i = b.i")                                                   \
    X(P_JOIN_CROSS, "SELECT a.i FROM p a CROSS JOIN k b")                                                              \
    X(P_JOIN_COMMA, "SELECT a.i FROM p a, k b WHERE a.i = b.k")                                                        \
    X(P_JOIN_UNEQUAL, "SELECT a.i FROM p a JOIN k b ON a.i < b.k")                                                     \
    X(P_JOIN_LEFT_UNEQUAL, "SELECT a.i FROM p a LEFT JOIN k b ON a.i < b.k")                                           \
    X(P_JOIN_USING, "SELECT a.k FROM k a JOIN k b USING (k)")                                                          \
    X(P_LATERAL, "SELECT a.i, b.n FROM p a, LATERAL (SELECT count(*) AS n FROM k x WHERE x.k = a.i) AS b")             \
    X(P_LATERAL_LEFT, "SELECT a.i FROM p a LEFT JOIN LATERAL (SELECT k FROM k x WHERE x.k = a.i) AS b ON true")        \
    X(P_LATERAL_LIMIT, "SELECT a.i FROM p a, LATERAL (SELECT k FROM k x WHERE x.k < a.i ORDER BY k LIMIT 1) AS b")     \
    X(P_FROM_QUERY, "SELECT i FROM (SELECT i FROM p WHERE i > 1) AS a")                                                \
    X(P_WITH, "WITH w AS (SELECT i, s FROM p) SELECT a.i FROM w AS a JOIN w AS b ON a.i = b.i")                        \
    X(P_WITH_RECURSIVE, "WITH RECURSIVE r AS (SELECT id, k FROM k UNION SELECT k.id, k.k FROM k JOIN r ON k.id = r.k)" \
                        " SELECT id, k FROM r")                                                                        \
    X(P_VALUES, "SELECT a.x FROM (VALUES (1, 'a'), (2, 'b')) AS a (x, y)")                                             \
    X(P_SERIES, "SELECT a.i, gg FROM p a, generate_series(1, a.i % 3) AS gg")                                          \
    X(P_UNNEST, "SELECT a.i, oo FROM p a, unnest(string_to_array(a.t, 'a')) AS oo")                                    \
    X(P_UNION, "SELECT i FROM p UNION SELECT k FROM k")                                                                \
    X(P_UNION_ALL, "SELECT i FROM p UNION ALL SELECT k FROM k")                                                        \
    X(P_EXCEPT, "SELECT i FROM p EXCEPT SELECT k FROM k")                                                              \
    X(P_EXCEPT_ALL, "SELECT i FROM p EXCEPT ALL SELECT k FROM k")                                                      \
    X(P_INTERSECT, "SELECT i FROM p INTERSECT SELECT k FROM k")                                                        \
    X(P_INTERSECT_ALL, "SELECT i FROM p INTERSECT ALL SELECT k FROM k")                                                \
    X(P_IN, "SELECT i FROM p WHERE i IN (SELECT k FROM k)")                                                            \
    X(P_NOT_IN, "SELECT i FROM p WHERE i NOT IN (SELECT k FROM k)")                                                    \
    X(P_IN_CORRELATED, "SELECT i FROM p WHERE i IN (SELECT k FROM k WHERE k.id = p.s)")                                \
    X(P_EXISTS, "SELECT i FROM p WHERE EXISTS (SELECT 1 FROM k WHERE k.k = p.i)")                                      \
    X(P_NOT_EXISTS, "SELECT i FROM p WHERE NOT EXISTS (SELECT 1 FROM k WHERE k.k = p.i)")                              \
    X(P_EXISTS_UNEQUAL, "SELECT i FROM p WHERE EXISTS (SELECT 1 FROM k WHERE k.k = p.i AND k.id < p.s)")               \
    X(P_EXISTS_ALONE, "SELECT i FROM p WHERE EXISTS (SELECT 1 FROM k WHERE k.k = 3)")                                  \
    X(P_OF_ANY, "SELECT i FROM p WHERE i < ANY (SELECT k FROM k)")                                                     \
    X(P_OF_ALL, "SELECT i FROM p WHERE i >= ALL (SELECT k FROM k)")                                                    \
    X(P_SCALAR, "SELECT i FROM p WHERE i > (SELECT min(k) FROM k)")                                                    \
    X(P_SCALAR_CORRELATED, "SELECT i FROM p WHERE i > (SELECT max(k) FROM k WHERE k.id = p.s)")                        \
    X(P_SCALAR_COUNT, "SELECT i FROM p WHERE 0 = (SELECT count(*) FROM k WHERE k.id = p.s)")                           \
    X(P_SCALAR_SELECTED, "SELECT i, (SELECT sum(k) FROM k WHERE k.k = p.i) AS x FROM p")                               \
    X(P_SCALAR_EXPRESSION, "SELECT i FROM p WHERE i > (SELECT 2 * avg(k) FROM k WHERE k.id = p.s)")                    \
    X(P_EXISTS_SELECTED, "SELECT i, EXISTS (SELECT 1 FROM k WHERE k.k = p.i) AS x FROM p")                             \
    X(P_CASE, "SELECT CASE WHEN i > 1 THEN 2 ELSE 3 END FROM p")                                                       \
    X(P_CASE_OF, "SELECT CASE i WHEN 1 THEN 2 WHEN s THEN 4 END FROM p")                                               \
    X(P_COALESCE, "SELECT coalesce(i, 1) FROM p")                                                                      \
    X(P_NULLIF, "SELECT nullif(i, 1) FROM p")                                                                          \
    X(P_GREATEST, "SELECT greatest(i, s), least(1, i) FROM p")                                                         \
    X(P_TUMBLE, "SELECT window_start FROM tumble(p, m, INTERVAL '1 minute')")                                          \
    X(P_HOP, "SELECT window_start FROM hop(p, m, INTERVAL '1 minute', INTERVAL '2 minutes')")                          \
    X(P_CUMULATE, "SELECT window_start FROM cumulate(p, m, INTERVAL '1 minute', INTERVAL '3 minutes')")                \
    X(P_SESSION, "SELECT window_start FROM session(p, m, INTERVAL '1 minute', i)")                                     \
    X(P_CLOSE, "SELECT window_end, count(*) FROM tumble(p, m, INTERVAL '1 minute') GROUP BY 1 EMIT ON WINDOW CLOSE")   \
    X(P_CLOSE_HOP, "SELECT window_end, i FROM hop(p, m, INTERVAL '1 minute', INTERVAL '2 minutes')"                    \
                   " EMIT ON WINDOW CLOSE")                                                                            \
    X(P_CLOSE_CUMULATE, "SELECT window_end, i FROM cumulate(p, m, INTERVAL '1 minute', INTERVAL '3 minutes')"          \
                        " EMIT ON WINDOW CLOSE")                                                                       \
    X(P_CLOSE_SESSION, "SELECT window_end, i FROM session(p, m, INTERVAL '1 minute', i) EMIT ON WINDOW CLOSE")         \
    X(P_LATE, "SELECT count(*) FROM late(q)")                                                                          \
    X(P_ASOF, "SELECT a.i, b.t FROM p a ASOF JOIN p b ON a.i = b.i AND a.m >= b.m")                                    \
    X(P_ASOF_LEFT, "SELECT a.i, b.t FROM p a ASOF LEFT JOIN p b ON a.i = b.i AND a.m < b.m AND b.s > 1")               \
    X(P_SYSTEM_TIME, "SELECT i FROM p FOR SYSTEM_TIME AS OF 1000000000000")                                            \
    X(P_BAND, "SELECT a.i FROM p a JOIN p b ON a.m >= b.m AND a.m <= b.m + INTERVAL '1 minute'")                       \
    X(P_NOW, "SELECT i FROM p WHERE m > now() - INTERVAL '1 hour'")                                                    \
    X(P_NOW_HAVING, "SELECT i FROM p GROUP BY i HAVING max(z) < now() - INTERVAL '1 hour'")                            \
    X(P_LOG_TIME, "SELECT i, _log_time FROM p")                                                                        \
    X(P_ERROR_SKIP, "SELECT i, 12 / i AS x FROM p ON ERROR SKIP")                                                      \
    X(P_GROUPING, "SELECT i, s, grouping(i, s), count(*) FROM p GROUP BY ROLLUP (i, s)")                               \
    X(P_SET_SELECTED, "SELECT i, unnest(a) FROM p")                                                                    \
    X(P_SERIES_SELECTED, "SELECT t, generate_series(1, i % 3) FROM p")                                                 \
    X(P_UNNEST_ARRAY, "SELECT p.i, oo FROM p, unnest(p.a) AS oo")                                                      \
    X(P_ORDINALITY, "SELECT p.i, oo, qq FROM p, unnest(p.x) WITH ORDINALITY AS w (oo, qq)")                            \
    X(P_ARRAY_OF, "SELECT i, ARRAY(SELECT b.k FROM k b WHERE b.id = p.i ORDER BY 1) FROM p")                           \
    X(P_OVER_GROUPED, "SELECT i, rank() OVER (ORDER BY count(*)), sum(count(*)) OVER () FROM p GROUP BY 1")            \
    X(P_JOIN_FULL_USING, "SELECT k, a.id FROM k a FULL JOIN k b USING (k)")                                            \
    X(P_NATURAL,                                                                                                       \
      "SELECT a.i, b.n FROM (SELECT i, s FROM p) a NATURAL JOIN (SELECT i, count(*) AS n FROM p GROUP BY 1) b")        \
    X(P_ON_SUBQUERY, "SELECT a.i FROM p a LEFT JOIN p b ON a.i = b.i AND EXISTS (SELECT 1 FROM k WHERE k.k = b.s)")    \
    X(P_HAVING_SUBQUERY, "SELECT i FROM p GROUP BY i HAVING count(*) > (SELECT count(*) / 9 FROM k)")                  \
    X(P_CASE_SUBQUERY, "SELECT CASE WHEN i > 1 THEN (SELECT max(k) FROM k WHERE k.id = p.s) END FROM p")               \
    X(P_ROW_SUBQUERY, "SELECT i FROM p WHERE (i, s) = (SELECT k, k FROM k WHERE k.id = p.i)")                          \
    X(P_ANY_ARRAY, "SELECT i FROM p WHERE i = ANY (ARRAY(SELECT k FROM k WHERE k.id < p.s))")                          \
    X(P_LATERAL_DEEP,                                                                                                  \
      "SELECT a.i, b.n FROM p a, LATERAL (SELECT count(c.m) AS n FROM k x, LATERAL (SELECT max(y.k) AS m"              \
      " FROM k y WHERE y.id = x.k AND y.k < a.i) AS c WHERE x.k = a.s) AS b")                                          \
    X(P_SET_LEFT, "SELECT a.i, oo FROM p a LEFT JOIN LATERAL unnest(a.x) AS oo ON true")                               \
    X(P_ROWS_FROM, "SELECT a.i, oo, qq FROM p a, ROWS FROM (unnest(a.a), unnest(a.x)) AS w (oo, qq)")                  \
    X(P_SET_OF_SETS, "SELECT i FROM p UNION SELECT k FROM k EXCEPT SELECT id FROM k")                                  \
    X(P_SET_TOP, "SELECT i FROM p UNION SELECT k FROM k ORDER BY 1 LIMIT 3")                                           \
    X(P_RECURSIVE_ALL,                                                                                                 \
      "WITH RECURSIVE r AS (SELECT id, k, 1 AS d FROM k UNION ALL SELECT k.id, k.k, d + 1 FROM k JOIN r"               \
      " ON k.id = r.k WHERE d < 5) SELECT id, k, d FROM r")                                                            \
    X(P_RECURSIVE_GROUPED, "WITH RECURSIVE r AS (SELECT id, k, 1 AS d FROM k UNION ALL SELECT id, k - 1, d + 1 FROM r" \
                           " WHERE d < 4) SELECT k, max(d), count(*) FROM r GROUP BY 1")                               \
    X(P_RECURSIVE_PATH,                                                                                                \
      "WITH RECURSIVE r AS (SELECT id, k, id::text AS p FROM k UNION ALL SELECT k.id, k.k, r.p || '/' ||"              \
      " k.id FROM k JOIN r ON k.id = r.k WHERE length(r.p) < 12) SELECT p FROM r")                                     \
    X(P_RECURSIVE_SEARCH,                                                                                              \
      "WITH RECURSIVE r AS (SELECT id, k FROM k UNION ALL SELECT k.id, k.k FROM k JOIN r ON k.id = r.k"                \
      " AND k.id < 9) SEARCH DEPTH FIRST BY id SET oo SELECT id, k, oo::text FROM r")                                  \
    X(P_RECURSIVE_CYCLE,                                                                                               \
      "WITH RECURSIVE r AS (SELECT id, k FROM k UNION ALL SELECT k.id, k.k FROM k JOIN r ON k.id = r.k)"               \
      " CYCLE id SET c USING oo SELECT id, k, c FROM r")                                                               \
    X(P_RECURSIVE_BREADTH,                                                                                             \
      "WITH RECURSIVE r AS (SELECT id, k FROM k UNION ALL SELECT k.id, k.k FROM k JOIN r ON k.id = r.k"                \
      " AND k.id < 9) SEARCH BREADTH FIRST BY id SET oo SELECT id, k, oo::text FROM r")                                \
    X(P_BAND_LEFT, "SELECT a.i FROM p a LEFT JOIN p b ON a.m > b.m AND a.m <= b.m + INTERVAL '1 minute'")              \
    X(P_GROUPING_MIXED, "SELECT i, s, b, count(*) FROM p GROUP BY 1, ROLLUP (2, 3)")                                   \
    X(P_GROUPING_NESTED, "SELECT i, s, count(*) FROM p GROUP BY GROUPING SETS (ROLLUP (1, 2), CUBE (2), ())")          \
    X(P_LIMIT_NONE, "SELECT i FROM p ORDER BY i LIMIT 0")                                                              \
    X(P_OFFSET_ALONE, "SELECT i FROM p ORDER BY i OFFSET 4")                                                           \
    X(P_STAR, "SELECT a.*, a.i + 1 AS more FROM p AS a")                                                               \
    X(P_FUNCTION_ROWS, "SELECT p.i, oo, qq FROM p, law_steps(p.i % 3) AS w (oo, qq)")                                  \
    X(P_JSON_ROWS, "SELECT p.i, oo, qq FROM p, jsonb_each(CASE WHEN jsonb_typeof(p.j) = 'object' THEN p.j END) AS w"   \
                   " (oo, qq)")                                                                                        \
    X(P_JSON_RECORD,                                                                                                   \
      "SELECT p.i, w.oo FROM p, jsonb_to_record(CASE WHEN jsonb_typeof(p.j) = 'object' THEN p.j END) AS"               \
      " w (oo text, q jsonb)")                                                                                         \
    X(P_PLAIN_VIEW, "SELECT i FROM (SELECT i FROM p) AS a")                                                            \
    X(P_RETURNING, "SELECT i FROM p")                                                                                  \
    X(P_WINDOW_NAMED, "SELECT i, rank() OVER w, count(*) OVER w FROM p WINDOW w AS (PARTITION BY s ORDER BY i)")       \
    X(P_RANKED,                                                                                                        \
      "SELECT a.i FROM (SELECT i, row_number() OVER (PARTITION BY s ORDER BY i) AS n FROM p) AS a WHERE a.n <= 2")     \
    X(P_WHOLE_ROW, "SELECT a::text, to_jsonb(a), a IS NULL FROM k AS a")                                               \
    X(P_WHOLE_ROW_COUNT, "SELECT b.k, count(a) FROM k AS b LEFT JOIN k AS a ON a.id = b.k GROUP BY 1")                 \
    X(P_DEPENDENT, "SELECT a.id, a.k, count(*) FROM k AS a GROUP BY 1")                                                \
    X(P_ORDER_HIDDEN, "SELECT i FROM p ORDER BY length(t), i LIMIT 3")                                                 \
    X(P_JOIN_NESTED, "SELECT a.i FROM p a LEFT JOIN (k b JOIN k c ON b.id = c.k) ON a.i = b.k")                        \
    X(P_WITH_MATERIALIZED, "WITH w AS MATERIALIZED (SELECT i FROM p) SELECT a.i FROM w AS a")                          \
    X(P_SYSTEM_TIME_PAST, "SELECT i FROM p FOR SYSTEM_TIME AS OF TIMESTAMPTZ '2024-01-20 00:00:00+00'")                \
    X(P_VERSIONS, "SELECT a.i, b.k FROM p a LEFT JOIN k FOR SYSTEM_TIME AS OF a._log_time AS b ON b.id = a.i")         \
    X(P_VERSIONS_TIME, "SELECT a.i, b.s FROM p a LEFT JOIN p FOR SYSTEM_TIME AS OF a.m AS b ON b.i = a.i")             \
    X(P_COPY_TEXT, "SELECT i FROM p")                                                                                  \
    X(P_COPY_CSV, "SELECT i FROM p")                                                                                   \
    X(P_COPY_BINARY, "SELECT i FROM p")                                                                                \
    X(P_COPY_OUT, "SELECT i FROM p")                                                                                   \
    X(P_CLOSE_NESTED,                                                                                                  \
      "SELECT a.window_end, sum(n) FROM tumble((SELECT window_end AS ts, count(*) AS n FROM tumble(p, m, INTERVAL '10" \
      " seconds') GROUP BY 1), ts, INTERVAL '1 minute') AS a GROUP BY 1 EMIT ON WINDOW CLOSE")                         \
    X(P_CLOSE_JOIN, "SELECT a.window_end, a.i FROM tumble(p, m, INTERVAL '1 minute') AS a JOIN tumble(p, m, INTERVAL"  \
                    " '1 minute') AS b ON a.window_end = b.window_end EMIT ON WINDOW CLOSE")                           \
    X(P_CLOSE_JOIN_RIGHT,                                                                                              \
      "SELECT a.window_end, b.i FROM hop(p, m, INTERVAL '1 minute', INTERVAL '2 minutes') AS b RIGHT JOIN tumble(p, "  \
      "m, INTERVAL '1 minute') AS a ON a.window_end = b.window_end EMIT ON WINDOW CLOSE")                              \
    X(P_CLOSE_JOIN_TABLE, "SELECT a.window_end, b.k FROM tumble(p, m, INTERVAL '1 minute') AS a LEFT JOIN k AS b ON"   \
                          " b.id = a.i EMIT ON WINDOW CLOSE")                                                          \
    X(P_USING_ALIAS, "SELECT c.k, a.id FROM k a LEFT JOIN k b USING (k) AS c")                                         \
    X(P_GROUP_DISTINCT, "SELECT i, s, count(*) FROM p GROUP BY DISTINCT ROLLUP (1, 2), CUBE (2)")                      \
    X(P_SUBQUERY_DEEP,                                                                                                 \
      "SELECT i FROM p WHERE EXISTS (SELECT 1 FROM k AS a WHERE a.k = p.i AND EXISTS (SELECT 1 FROM k AS b"            \
      " WHERE b.k > p.s AND b.id = a.k AND EXISTS (SELECT 1 FROM k AS c WHERE c.id < a.k AND c.k = b.k)))")            \
    X(P_WITH_CHAIN, "WITH a AS (SELECT i, s FROM p), b AS (SELECT i, count(*) AS n FROM a GROUP BY 1)"                 \
                    " SELECT a.s, b.n FROM a JOIN b ON a.i = b.i")                                                     \
    X(P_RECURSIVE_NOT, "WITH RECURSIVE r AS (SELECT id, k FROM k UNION SELECT a.id, a.k FROM k AS a JOIN r ON a.id ="  \
                       " r.k WHERE NOT EXISTS (SELECT 1 FROM k AS b WHERE b.k = a.id)) SELECT id, k FROM r")           \
    X(P_RECURSIVE_READ, "WITH RECURSIVE r AS (SELECT id, k, 0 AS d FROM k UNION SELECT a.id, a.k, d + 1 FROM k AS a"   \
                        " JOIN r ON a.id = r.k WHERE d < 3), q AS (SELECT id, max(d) AS d FROM r GROUP BY 1) SELECT"   \
                        " r.id, q.d FROM r JOIN q ON q.id = r.id")                                                     \
    X(P_RECURSIVE_LEFT, "WITH RECURSIVE r AS (SELECT i, 0 AS d FROM p UNION SELECT b.k, d + 1 FROM r LEFT JOIN k AS b" \
                        " ON b.id = r.i WHERE d < 3) SELECT i, d FROM r")                                              \
    X(P_DISTINCT_ON_TWO, "SELECT DISTINCT ON (i, 2) i, s, t FROM p ORDER BY 1, 2, t")                                  \
    X(P_FRAME_ROWS_TOLD, "SELECT sum(i) OVER (ORDER BY t, i ROWS 2 PRECEDING EXCLUDE TIES) FROM p")                    \
    X(P_RECORDS_KEYED, "SELECT k FROM k")                                                                              \
    X(P_CLOSE_SETS, "SELECT window_end, i, count(*) FROM tumble(p, m, INTERVAL '1 minute') GROUP BY 1, ROLLUP (2)"     \
                    " EMIT ON WINDOW CLOSE")

#define PRODUCTION_NAME(name, sample) name,
enum production { PRODUCTIONS(PRODUCTION_NAME) PRODUCTION_COUNT };
#undef PRODUCTION_NAME

#define PRODUCTION_ROW(name, sample) {#name, sample, 0, false},
static struct {
    const char *name, *sample;
    unsigned made;
    bool refused;
} productions[] = {PRODUCTIONS(PRODUCTION_ROW)};
#undef PRODUCTION_ROW

static inline bool allowed(enum production production)
{
    return !productions[production].refused;
}
static inline void made(enum production production)
{
    productions[production].made++;
}

static bool domains_in_sources; /* the engine takes columns of a domain there */

/* ---- trying them ---- */

static struct form_table *const form_tables[] = {&functions,        &predicates, &aggregates, &row_lists,
                                                 &window_functions, &frames,     &statements, &definitions};

static inline void coverage_told(const char *sql, const struct answer *answer)
{
    if (getenv("KAPPA_LAW_VERBOSE"))
        printf("not taken: %s %s\n  %s\n", answer->sqlstate, answer->message, sql);
}

static inline void probe_form(struct kappa *kappa, struct form *form, const char *around)
{
    char text[512], sql[640];
    size_t len = 0;
    for (const char *at = form->text; *at; at++)
        if (*at == '$' && at[1] >= '1' && at[1] <= '9')
            text[len++] = form->args[*++at - '1'];
        else
            text[len++] = *at;
    text[len] = 0;
    snprintf(sql, sizeof sql, around, text);
    if (strchr(sql, '@') && strchr(around, '@'))
        *strchr(sql, '@') = *form->args ? *form->args : 'i';
    struct answer answer;
    kappa_ask(kappa, sql, &answer, NULL);
    form->refused = answer.sqlstate[0] != 0;
    if (form->refused)
        coverage_told(sql, &answer);
    answer_finish(&answer);
}

/* A statement is tried on a table without rows, which has a column of each type. */
static inline void probe_statement(struct kappa *kappa, struct form *form)
{
    static const char *const samples[] = {
        ['T'] = "k", ['O'] = "k",     ['R'] = "1, 2", ['C'] = "x",   ['E'] = "k + 1", ['I'] = "1",
        ['N'] = "2", ['P'] = "k > 1", ['X'] = "k",    ['Y'] = "'y'", ['Z'] = "1"};
    char sql[1024], column[] = "x?";
    column[1] = *form->args;
    size_t len = 0;
    for (const char *at = form->text; *at && len < sizeof sql - 16; at++)
        if (*at == '%' && at[1] >= 'A' && at[1] <= 'Z')
            len += (size_t)snprintf(sql + len, sizeof sql - len, "%s",
                                    *++at == 'C' ? column : samples[(unsigned char)*at]);
        else
            sql[len++] = *at;
    sql[len] = 0;
    struct answer answer;
    kappa_ask(kappa, sql, &answer, NULL);
    form->refused = strcmp(answer.sqlstate, "0A000") == 0 || strcmp(answer.sqlstate, "42601") == 0;
    if (form->refused)
        coverage_told(sql, &answer);
    answer_finish(&answer);
    kappa_ask(kappa, "DELETE FROM k", &answer, NULL);
    answer_finish(&answer);
}

/* Asks an instance of its own for everything. */
static inline void coverage_probe(void)
{
    struct kappa kappa = {.options = {.workers = 1}};
    char dir[64], text[1024] = "CREATE SOURCE p (";
    char keyed[1024] = "CREATE TABLE k (id int PRIMARY KEY, k int, x int";
    folder_make(dir, sizeof dir, "law");
    kappa.options.dir = dir;
    kappa_open(&kappa);
    for (unsigned i = 0; i < TYPES; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%c %s, ", type_codes[i], type_names[i]);
        snprintf(keyed + strlen(keyed), sizeof keyed - strlen(keyed), ", x%c %s", type_codes[i], type_names[i]);
    }
    snprintf(keyed + strlen(keyed), sizeof keyed - strlen(keyed), ")");
    snprintf(text + strlen(text), sizeof text - strlen(text), "WATERMARK FOR m AS m - INTERVAL '1 second')");
    struct answer answer;
    const char *const setup[] = {text, keyed,
                                 "CREATE MATERIALIZED VIEW q AS SELECT window_end, i FROM tumble(p, m, INTERVAL '1 "
                                 "minute') EMIT ON WINDOW CLOSE"};
    for (unsigned i = 0; i < KP_COUNT(law_setup) + KP_COUNT(setup); i++) {
        const char *sql = i < KP_COUNT(law_setup) ? law_setup[i] : setup[i - KP_COUNT(law_setup)];
        kappa_ask(&kappa, sql, &answer, NULL);
        if (answer.sqlstate[0])
            fprintf(stderr, "%s: %s\n", sql, answer.message), abort();
    }
    kappa_ask(&kappa, "CREATE SOURCE d (x small)", &answer, NULL);
    domains_in_sources = !answer.sqlstate[0];
    for (unsigned i = 0; i < PRODUCTION_COUNT; i++) {
        snprintf(text, sizeof text, "CREATE MATERIALIZED VIEW v AS %s", productions[i].sample);
        kappa_ask(&kappa, text, &answer, NULL);
        productions[i].refused = answer.sqlstate[0] != 0;
        if (productions[i].refused)
            coverage_told(text, &answer);
        else
            kappa_ask(&kappa, "DROP MATERIALIZED VIEW v", &answer, NULL);
    }
    for (unsigned t = 0; t < KP_COUNT(form_tables); t++) {
        struct form_table *table = form_tables[t];
        forms_read(table);
        for (unsigned i = 0; i < table->count; i++)
            if (table->around)
                probe_form(&kappa, &table->forms[i], table->around);
            else if (table == &statements) /* definitions depend on one another: what is not taken, the worlds tell */
                probe_statement(&kappa, &table->forms[i]);
    }
    kappa_close(&kappa);
    snprintf(text, sizeof text, "rm -rf '%s'", dir);
    if (system(text))
        abort();
}

/* ---- telling ---- */

static inline void coverage_line(const char *what, unsigned total, unsigned taken, unsigned hit)
{
    printf("coverage: %-16s %3u, taken by the engine %3u, made by this run %3u\n", what, total, taken, hit);
}

/* Prints what was made; how many productions and forms the engine takes. */
static inline void coverage_print(unsigned *ret_productions, unsigned *ret_forms)
{
    unsigned taken = 0, hit = 0;
    for (unsigned i = 0; i < PRODUCTION_COUNT; i++) {
        taken += !productions[i].refused;
        hit += productions[i].made > 0;
    }
    coverage_line("productions", PRODUCTION_COUNT, taken, hit);
    *ret_productions = taken;
    *ret_forms = 0;
    for (unsigned t = 0; t < KP_COUNT(form_tables); t++) {
        const struct form_table *table = form_tables[t];
        for (unsigned i = taken = hit = 0; i < table->count; i++) {
            taken += !table->forms[i].refused;
            hit += table->forms[i].made > 0;
        }
        coverage_line(table->name, table->count, taken, hit);
        *ret_forms += taken;
    }
    printf("refused:");
    for (unsigned i = 0; i < PRODUCTION_COUNT; i++)
        if (productions[i].refused)
            printf(" %s", productions[i].name);
    printf("\nnot made:");
    for (unsigned i = 0; i < PRODUCTION_COUNT; i++)
        if (!productions[i].refused && !productions[i].made)
            printf(" %s", productions[i].name);
    for (unsigned t = 0; t < KP_COUNT(form_tables); t++)
        for (unsigned i = 0; i < form_tables[t]->count; i++)
            if (!form_tables[t]->forms[i].refused && !form_tables[t]->forms[i].made)
                printf(" [%s]", form_tables[t]->forms[i].text);
    printf("\n");
}

#endif
