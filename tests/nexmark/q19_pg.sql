-- Ties in price fall by the whole row.
SELECT b.*
FROM (SELECT DISTINCT auction FROM bid) AS a
CROSS JOIN LATERAL (
    SELECT *, row_number() OVER (ORDER BY price DESC, bidder, channel, url, datetime, extra) AS place
    FROM bid WHERE bid.auction = a.auction
    ORDER BY price DESC, bidder, channel, url, datetime, extra LIMIT 10
) AS b
