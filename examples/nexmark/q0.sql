-- Every bid as it is: what decoding and projecting cost.
CREATE MATERIALIZED VIEW q0 AS
SELECT auction, bidder, price, dateTime, extra
FROM bid;
