-- Islands: a session begins with a bid that comes ten seconds or more after the bidder's one before.
WITH steps AS (
    SELECT bidder, datetime,
           CASE WHEN datetime - lag(datetime) OVER mine >= INTERVAL '10 seconds' THEN 1 ELSE 0 END AS is_first
    FROM bid
    WINDOW mine AS (PARTITION BY bidder ORDER BY datetime)
), islands AS (
    SELECT bidder, datetime, sum(is_first) OVER (PARTITION BY bidder ORDER BY datetime) AS island FROM steps
)
SELECT bidder, count(*) AS bid_count, min(datetime) AS starttime, max(datetime) + INTERVAL '10 seconds' AS endtime
FROM islands
GROUP BY bidder, island
