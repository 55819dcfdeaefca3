-- The frame by number: each auction with those of the same seller that are up to nine places before it.
WITH won AS (
    SELECT seller, (SELECT max(price) FROM bid WHERE auction = a.id AND datetime >= a.datetime AND datetime <= a.expires) AS final,
           expires, id
    FROM auction AS a
), numbered AS (
    SELECT seller, final, row_number() OVER (PARTITION BY seller ORDER BY expires, id) AS place FROM won WHERE final IS NOT NULL
)
SELECT n.seller, avg(m.final) AS avg_price
FROM numbered AS n
JOIN numbered AS m ON m.seller = n.seller AND m.place > n.place - 10 AND m.place <= n.place
GROUP BY n.seller, n.place
