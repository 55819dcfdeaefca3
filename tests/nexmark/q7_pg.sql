-- A join on price and time, so that bids at a window's very end count for both windows.
WITH highest AS (
    SELECT max(price) AS maxprice, date_bin('10 seconds', datetime, '2000-01-01') AS window_start
    FROM bid
    GROUP BY 2
)
SELECT b.auction, b.bidder, b.price, b.datetime, b.extra
FROM highest AS h
JOIN bid AS b ON b.price = h.maxprice AND b.datetime >= h.window_start AND b.datetime <= h.window_start + INTERVAL '10 seconds'
