-- The highest bids of every 10 seconds. As in Nexmark, a bid at the very end of a window counts for both.
CREATE MATERIALIZED VIEW q7 AS
SELECT b.auction, b.bidder, b.price, b.dateTime, b.extra
FROM bid AS b
JOIN (
    SELECT max(price) AS maxprice, window_end
    FROM tumble(bid, dateTime, INTERVAL '10 seconds')
    GROUP BY window_end
) AS highest
ON b.price = highest.maxprice
WHERE b.dateTime BETWEEN highest.window_end - INTERVAL '10 seconds' AND highest.window_end;
