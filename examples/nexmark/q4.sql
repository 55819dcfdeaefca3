-- The average winning price of each category. A bid counts while its auction is open.
CREATE MATERIALIZED VIEW q4 AS
SELECT q.category, avg(q.final) AS avg_price
FROM (
    SELECT max(b.price) AS final, a.category
    FROM auction AS a, bid AS b
    WHERE a.id = b.auction AND b.dateTime BETWEEN a.dateTime AND a.expires
    GROUP BY a.id, a.category
) AS q
GROUP BY q.category;
