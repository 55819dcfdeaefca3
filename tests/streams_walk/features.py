"""
The table: what a user of streams declares, and the same answer in PostgreSQL's SQL over the records as they lie in the log.

In PostgreSQL `orders` and `rates` have the records of these sources (position, part, logged, then the declared columns), and `judged` the
orders with the watermark w that stood before each; mark() is the watermark behind them all.
"""
SECONDS_5 = "INTERVAL '5 seconds'"

SOURCES = f"""
CREATE TOPIC orders WITH (partitions = 3);
CREATE TOPIC rates WITH (partitions = 3);
CREATE SOURCE orders (id int, k text, v numeric, at timestamp(3), WATERMARK FOR at AS at - {SECONDS_5}) WITH (topic = 'orders', epoch = 'milliseconds');
CREATE SOURCE rates (k text, rate numeric, at timestamp, WATERMARK FOR at AS at - {SECONDS_5}) WITH (topic = 'rates');
"""

ORACLE = f"""
CREATE TABLE orders (position bigint, part int, logged timestamptz, id int, k text, v numeric, at timestamp);
CREATE TABLE rates (position bigint, part int, logged timestamptz, k text, rate numeric, at timestamp);
CREATE VIEW marks AS SELECT *, least(max(at) FILTER (WHERE part = 0) OVER o, max(at) FILTER (WHERE part = 1) OVER o,
  max(at) FILTER (WHERE part = 2) OVER o) - {SECONDS_5} AS mark FROM orders WINDOW o AS (ORDER BY position);
CREATE VIEW judged AS SELECT *, coalesce(max(mark) OVER (ORDER BY position ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW), '-infinity') AS w FROM marks;
CREATE FUNCTION mark() RETURNS timestamp LANGUAGE sql AS 'SELECT max(mark) FROM marks';
CREATE VIEW gaps AS SELECT *, count(*) FILTER (WHERE gap) OVER (PARTITION BY k ORDER BY at, position) AS n FROM
  (SELECT *, coalesce(at - lag(at) OVER (PARTITION BY k ORDER BY at, position) >= {SECONDS_5}, true) AS gap FROM orders) x;
CREATE FUNCTION tumbles(t timestamp) RETURNS timestamp LANGUAGE sql AS $$ SELECT date_bin('10 seconds', t, '2000-01-01') $$;
"""

FEATURES = [
    ("tumble", """CREATE MATERIALIZED VIEW tumbled AS SELECT window_start, window_end, k, count(*) AS n, sum(v) AS v
        FROM tumble(orders, at, INTERVAL '10 seconds') GROUP BY window_start, window_end, k""",
     [("SELECT * FROM tumbled",
       "SELECT tumbles(at), tumbles(at) + '10 seconds', k, count(*), sum(v) FROM orders GROUP BY 1, 2, 3")]),
    ("hop", """CREATE MATERIALIZED VIEW hopped AS SELECT window_start, k, avg(v) AS v
        FROM hop(orders, at, INTERVAL '5 seconds', INTERVAL '20 seconds') GROUP BY window_start, k""",
     [("SELECT * FROM hopped", """SELECT s, k, avg(v) FROM orders, LATERAL (SELECT date_bin('5 seconds', at, '2000-01-01') - n * INTERVAL '5 seconds' AS s
        FROM generate_series(0, 3) AS n) x GROUP BY 1, 2""")]),
    ("cumulate", """CREATE MATERIALIZED VIEW cumulated AS SELECT window_start, window_end, count(*) AS n
        FROM cumulate(orders, at, INTERVAL '10 seconds', INTERVAL '1 minute') GROUP BY window_start, window_end""",
     [("SELECT * FROM cumulated", """SELECT s, s + n * INTERVAL '10 seconds', count(*) FROM (SELECT date_bin('1 minute', at, '2000-01-01') AS s, at FROM orders) x
        JOIN generate_series(1, 6) AS n ON at < s + n * INTERVAL '10 seconds' GROUP BY 1, 2""")]),
    ("session", f"""CREATE MATERIALIZED VIEW visits AS SELECT k, window_start, window_end, count(*) AS n
        FROM session(orders, at, {SECONDS_5}, k) GROUP BY k, window_start, window_end""",
     [("SELECT * FROM visits", f"SELECT k, min(at), max(at) + {SECONDS_5}, count(*) FROM gaps GROUP BY k, n")]),
    ("EMIT ON WINDOW CLOSE and _late", """CREATE MATERIALIZED VIEW closed AS SELECT window_end, k, count(*) AS n, sum(v) AS v
        FROM tumble(orders, at, INTERVAL '10 seconds') GROUP BY window_end, k EMIT ON WINDOW CLOSE;
        CREATE MATERIALIZED VIEW late_by_key AS SELECT k, count(*) AS n FROM late(closed) GROUP BY k""",
     [("SELECT * FROM closed", """SELECT tumbles(at) + '10 seconds', k, count(*), sum(v) FROM judged
        WHERE tumbles(at) + '10 seconds' > w AND tumbles(at) + '10 seconds' <= mark() GROUP BY 1, 2"""),
      ("SELECT k, v, at, window_start FROM closed_late", "SELECT k, v, at, tumbles(at) FROM judged WHERE tumbles(at) + '10 seconds' <= w"),
      ("SELECT * FROM late_by_key", "SELECT k, count(*) FROM judged WHERE tumbles(at) + '10 seconds' <= w GROUP BY k")]),
    ("lateness", """CREATE MATERIALIZED VIEW prompt WITH (lateness = '3 seconds') AS SELECT k, count(*) AS n FROM orders GROUP BY k""",
     [("SELECT * FROM prompt", "SELECT k, count(*) FROM judged WHERE at + INTERVAL '3 seconds' >= w GROUP BY k"),
      ("SELECT k, at FROM prompt_late", "SELECT k, at FROM judged WHERE at + INTERVAL '3 seconds' < w")]),
    ("deduplication: the first and the latest of a key", """
        CREATE MATERIALIZED VIEW first_of AS SELECT id, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY at, v) AS n FROM orders) AS x WHERE n = 1;
        CREATE MATERIALIZED VIEW last_of AS SELECT DISTINCT ON (id) id, v, at FROM orders ORDER BY id, _position DESC""",
     [("SELECT * FROM first_of", "SELECT DISTINCT ON (id) id, v FROM orders ORDER BY id, at, v"),
      ("SELECT * FROM last_of", "SELECT DISTINCT ON (id) id, v, at FROM orders ORDER BY id, position DESC")]),
    ("windows by append time", """CREATE MATERIALIZED VIEW arrived AS SELECT window_start, count(*) AS n
        FROM tumble(orders, _log_time, INTERVAL '1 second') GROUP BY window_start""",
     [("SELECT * FROM arrived", "SELECT date_trunc('second', logged), count(*) FROM orders GROUP BY 1")]),
    ("top 2 of each closed window", """CREATE MATERIALIZED VIEW best AS SELECT window_end, k, v, n FROM
        (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_end ORDER BY v DESC, k, at) AS n FROM tumble(orders, at, INTERVAL '10 seconds')) AS x
        WHERE n <= 2 EMIT ON WINDOW CLOSE""",
     [("SELECT * FROM best", """SELECT e, k, v, n FROM (SELECT tumbles(at) + '10 seconds' AS e, k, v,
        ROW_NUMBER() OVER (PARTITION BY tumbles(at) ORDER BY v DESC, k, at) AS n FROM judged WHERE tumbles(at) + '10 seconds' > w) x
        WHERE n <= 2 AND e <= mark()""")]),
    ("MATCH_RECOGNIZE", """CREATE MATERIALIZED VIEW jumps AS SELECT * FROM orders MATCH_RECOGNIZE (PARTITION BY k ORDER BY at, id, v
        MEASURES low.at AS since, low.v AS low, high.v AS high AFTER MATCH SKIP TO NEXT ROW
        PATTERN (low high) DEFINE high AS high.v > 2 * low.v) AS m""",
     [("SELECT k, since, low, high FROM jumps", """SELECT k, at, v, high FROM
        (SELECT *, lead(v) OVER (PARTITION BY k ORDER BY at, id, v) AS high FROM orders) x WHERE high > 2 * v""")]),
    ("errors are rows", "CREATE MATERIALIZED VIEW shares AS SELECT id, k, 100 / v AS share FROM orders WHERE v < 3",
     [("SELECT * FROM shares", "22012"),
      ("SELECT position, sqlstate FROM shares_errors", "SELECT position, '22012' FROM orders WHERE v = 0")]),
    ("ON ERROR SKIP", """CREATE MATERIALIZED VIEW skips AS SELECT k, sum(100 / v) AS share FROM orders WHERE v < 3 GROUP BY k ON ERROR SKIP;
        CREATE MATERIALIZED VIEW above AS SELECT count(*) AS n FROM skips""",
     [("SELECT * FROM skips", "SELECT k, sum(100 / v) FROM orders WHERE v < 3 AND v <> 0 GROUP BY k"),
      ("SELECT * FROM above", "SELECT count(DISTINCT k) FROM orders WHERE v < 3 AND v <> 0")]),
    ("interval join", """CREATE MATERIALIZED VIEW near AS SELECT o.id, o.at, r.at AS rated, r.rate FROM orders o LEFT JOIN rates r
        ON r.k = o.k AND r.at BETWEEN o.at - INTERVAL '4 seconds' AND o.at""",
     [("SELECT * FROM near", """SELECT o.id, o.at, r.at, r.rate FROM orders o LEFT JOIN rates r
        ON r.k = o.k AND r.at BETWEEN o.at - INTERVAL '4 seconds' AND o.at""")]),
    ("as-of join", """CREATE MATERIALIZED VIEW priced AS SELECT o.id, o.at, r.rate FROM orders o ASOF LEFT JOIN rates r ON r.k = o.k AND o.at >= r.at""",
     [("SELECT * FROM priced", """SELECT o.id, o.at, (SELECT rate FROM rates r WHERE r.k = o.k AND r.at <= o.at ORDER BY r.at DESC, rate LIMIT 1)
        FROM orders o""")]),
    ("temporal join", """CREATE MATERIALIZED VIEW converted AS SELECT o.id, o.at, o.v * r.rate AS v FROM orders o
        JOIN rates FOR SYSTEM_TIME AS OF o.at AS r ON r.k = o.k""",
     [("SELECT * FROM converted", """SELECT o.id, o.at, o.v * r.rate FROM orders o CROSS JOIN LATERAL
        (SELECT rate FROM rates r WHERE r.k = o.k AND r.at <= o.at ORDER BY r.at DESC, position DESC LIMIT 1) r""")]),
    ("views over views, and a sink", """CREATE MATERIALIZED VIEW busiest AS SELECT window_start, max(n) AS n FROM tumbled GROUP BY window_start;
        CREATE SINK busiest_out FROM busiest WITH (topic = 'busiest_out', format = 'upsert');
        CREATE TABLE busiest_in (window_start timestamp PRIMARY KEY, n bigint) WITH (topic = 'busiest_out')""",
     [("SELECT * FROM busiest_in", "SELECT s, max(n) FROM (SELECT tumbles(at) AS s, k, count(*) AS n FROM orders GROUP BY 1, 2) x GROUP BY s")]),
]
