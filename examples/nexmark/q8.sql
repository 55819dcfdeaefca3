-- People who came and opened an auction within the same 10 seconds.
CREATE MATERIALIZED VIEW q8 AS
SELECT p.id, p.name, p.window_start
FROM (
    SELECT id, name, window_start
    FROM tumble(person, dateTime, INTERVAL '10 seconds')
    GROUP BY id, name, window_start
) AS p
JOIN (
    SELECT seller, window_start
    FROM tumble(auction, dateTime, INTERVAL '10 seconds')
    GROUP BY seller, window_start
) AS a
ON p.id = a.seller AND p.window_start = a.window_start;
