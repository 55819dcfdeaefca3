-- PostgreSQL has no hopping windows: a bid at t is in the windows that start at t rounded down to 2 seconds and up to 8 earlier.
WITH counts AS (
    SELECT auction, date_bin('2 seconds', datetime, '2000-01-01') - n * INTERVAL '2 seconds' AS window_start, count(*) AS num
    FROM bid CROSS JOIN generate_series(0, 4) AS n
    GROUP BY 1, 2
)
SELECT auction, num
FROM (SELECT auction, num, rank() OVER (PARTITION BY window_start ORDER BY num DESC) AS place FROM counts) AS ranked
WHERE place = 1
