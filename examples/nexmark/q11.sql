-- How many bids does each bidder make in a session that ends with ten seconds of silence?
CREATE MATERIALIZED VIEW q11 AS
SELECT bidder, count(*) AS bid_count, window_start AS starttime, window_end AS endtime
FROM session(bid, dateTime, INTERVAL '10 seconds', bidder)
GROUP BY bidder, window_start, window_end;
