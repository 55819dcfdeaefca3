SELECT auction, bidder, price, datetime, (SELECT value FROM side_input WHERE key = auction % 10000) AS value
FROM bid
WHERE auction % 10000 IN (SELECT key FROM side_input)
