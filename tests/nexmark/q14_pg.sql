SELECT auction, bidder, euros AS price,
       CASE WHEN datetime::time BETWEEN '08:00' AND '18:59:59.999999' THEN 'dayTime'
            WHEN datetime::time < '07:00' OR datetime::time >= '20:00' THEN 'nightTime'
            ELSE 'otherTime' END AS bidtimetype,
       datetime, extra, (SELECT count(*) FROM regexp_matches(extra, 'c', 'g')) AS c_counts
FROM (SELECT *, price * 0.908 AS euros FROM bid) AS b
WHERE euros > 1000000 AND euros < 50000000
