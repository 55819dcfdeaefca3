-- Bids with what a keyed table says about their auction; when the table changes, so do they.
CREATE TABLE side_input (key bigint PRIMARY KEY, value text);

CREATE MATERIALIZED VIEW q13 AS
SELECT b.auction, b.bidder, b.price, b.dateTime, s.value
FROM bid AS b
JOIN side_input AS s ON mod(b.auction, 10000) = s.key;
