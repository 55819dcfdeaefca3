-- The last bid of each bidder for each auction; of several at the same time, the least row.
CREATE MATERIALIZED VIEW q18 AS
SELECT auction, bidder, price, channel, url, dateTime, extra
FROM (
    SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY dateTime DESC) AS place
    FROM bid
) AS placed
WHERE place <= 1;
