SELECT DISTINCT ON (a.id) a.id, a.itemname, a.description, a.initialbid, a.reserve, a.datetime, a.expires, a.seller, a.category, a.extra,
       b.auction, b.bidder, b.price, b.datetime AS bid_datetime, b.extra AS bid_extra
FROM auction AS a
JOIN bid AS b ON b.auction = a.id AND b.datetime >= a.datetime AND b.datetime <= a.expires
ORDER BY a.id, b.price DESC, b.datetime, b.bidder, b.extra
