-- The auctions with the most bids in the last 10 seconds, every 2 seconds; all of them where several have equally many.
CREATE MATERIALIZED VIEW q5 AS
SELECT auction_bids.auction, auction_bids.num
FROM (
    SELECT auction, count(*) AS num, window_start
    FROM hop(bid, dateTime, INTERVAL '2 seconds', INTERVAL '10 seconds')
    GROUP BY auction, window_start
) AS auction_bids
JOIN (
    SELECT max(count_bids.num) AS maxn, count_bids.window_start
    FROM (
        SELECT count(*) AS num, window_start
        FROM hop(bid, dateTime, INTERVAL '2 seconds', INTERVAL '10 seconds')
        GROUP BY auction, window_start
    ) AS count_bids
    GROUP BY count_bids.window_start
) AS max_bids
ON auction_bids.window_start = max_bids.window_start
WHERE auction_bids.num >= max_bids.maxn;
