-- The average selling price of each seller's last ten auctions, as of each of them.
CREATE MATERIALIZED VIEW q6 AS
SELECT q.seller, avg(q.final) OVER (PARTITION BY q.seller ORDER BY q.expires, q.id ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS avg_price
FROM (
    SELECT a.id, a.seller, a.expires, max(b.price) AS final
    FROM auction AS a, bid AS b
    WHERE a.id = b.auction AND b.dateTime BETWEEN a.dateTime AND a.expires
    GROUP BY a.id, a.seller, a.expires
) AS q;
