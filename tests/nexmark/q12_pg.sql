-- log_time: the time of the log at each bid, as kappa tells it.
SELECT bidder, count(*) AS bid_count, date_bin('10 seconds', log_time, '2000-01-01 00:00:00+00') AS starttime,
       date_bin('10 seconds', log_time, '2000-01-01 00:00:00+00') + INTERVAL '10 seconds' AS endtime
FROM bid_log_time
GROUP BY 1, 3
