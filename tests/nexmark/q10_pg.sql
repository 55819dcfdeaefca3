SELECT auction, bidder, price, datetime, extra, left(datetime::text, 10) AS dt, substr(datetime::text, 12, 5) AS hm FROM bid
