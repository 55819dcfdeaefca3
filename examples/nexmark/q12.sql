-- How many bids does each bidder make in ten seconds of the log's time, when they were appended?
CREATE MATERIALIZED VIEW q12 AS
SELECT bidder, count(*) AS bid_count, window_start AS starttime, window_end AS endtime
FROM tumble(bid, _log_time, INTERVAL '10 seconds')
GROUP BY bidder, window_start, window_end;
