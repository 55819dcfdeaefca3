-- Ties in time fall by the whole row.
SELECT DISTINCT ON (bidder, auction) auction, bidder, price, channel, url, datetime, extra
FROM bid
ORDER BY bidder, auction, datetime DESC, price, channel, url, extra
