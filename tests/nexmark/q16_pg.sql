SELECT channel, datetime::date::text AS day, left(max(datetime)::time::text, 5) AS minute,
       count(*) AS total_bids,
       sum((price < 10000)::int) AS rank1_bids,
       sum((price BETWEEN 10000 AND 999999)::int) AS rank2_bids,
       sum((price > 999999)::int) AS rank3_bids,
       count(DISTINCT bidder) AS total_bidders,
       count(DISTINCT CASE WHEN price < 10000 THEN bidder END) AS rank1_bidders,
       count(DISTINCT CASE WHEN price BETWEEN 10000 AND 999999 THEN bidder END) AS rank2_bidders,
       count(DISTINCT CASE WHEN price > 999999 THEN bidder END) AS rank3_bidders,
       count(DISTINCT auction) AS total_auctions,
       count(DISTINCT CASE WHEN price < 10000 THEN auction END) AS rank1_auctions,
       count(DISTINCT CASE WHEN price BETWEEN 10000 AND 999999 THEN auction END) AS rank2_auctions,
       count(DISTINCT CASE WHEN price > 999999 THEN auction END) AS rank3_auctions
FROM bid
GROUP BY 1, datetime::date
