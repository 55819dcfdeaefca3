-- One look-up an auction instead of a join.
SELECT category, avg(final) AS avg_price
FROM (
    SELECT category, (SELECT max(price) FROM bid WHERE auction = a.id AND datetime >= a.datetime AND datetime <= a.expires) AS final
    FROM auction AS a
) AS won
WHERE final IS NOT NULL
GROUP BY category
