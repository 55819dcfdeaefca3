SELECT auction, datetime::date::text AS day, count(*) AS total_bids,
       sum((price < 10000)::int) AS rank1_bids,
       sum((price BETWEEN 10000 AND 999999)::int) AS rank2_bids,
       sum((price > 999999)::int) AS rank3_bids,
       min(price) AS min_price, max(price) AS max_price, sum(price) / count(*) AS avg_price, sum(price) AS sum_price
FROM bid
GROUP BY 1, 2
