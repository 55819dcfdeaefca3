-- Every bid into a topic for archiving, in a partition by its day and minute.
CREATE MATERIALIZED VIEW q10 AS
SELECT auction, bidder, price, dateTime, extra,
       to_char(dateTime, 'YYYY-MM-DD') AS dt, to_char(dateTime, 'HH24:MI') AS hm
FROM bid;

CREATE SINK q10_archive FROM q10 WITH (topic = 'q10_archive', partitions = 8, partition_by = 'dt, hm');
