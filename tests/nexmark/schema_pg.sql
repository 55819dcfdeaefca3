-- PostgreSQL's side of the comparison: the events, each a line that the test copies in, taken apart.
CREATE TABLE line (event jsonb);

CREATE TABLE person AS
SELECT (o->>'id')::bigint AS id, o->>'name' AS name, o->>'emailAddress' AS emailaddress, o->>'creditCard' AS creditcard,
       o->>'city' AS city, o->>'state' AS state, (o->>'dateTime')::timestamp AS datetime, o->>'extra' AS extra
FROM (SELECT event->'person' AS o FROM line) AS l
WHERE o <> 'null';

CREATE TABLE auction AS
SELECT (o->>'id')::bigint AS id, o->>'itemName' AS itemname, o->>'description' AS description,
       (o->>'initialBid')::bigint AS initialbid, (o->>'reserve')::bigint AS reserve, (o->>'dateTime')::timestamp AS datetime,
       (o->>'expires')::timestamp AS expires, (o->>'seller')::bigint AS seller, (o->>'category')::bigint AS category,
       o->>'extra' AS extra
FROM (SELECT event->'auction' AS o FROM line) AS l
WHERE o <> 'null';

CREATE TABLE bid AS
SELECT (o->>'auction')::bigint AS auction, (o->>'bidder')::bigint AS bidder, (o->>'price')::bigint AS price,
       o->>'channel' AS channel, o->>'url' AS url, (o->>'dateTime')::timestamp AS datetime, o->>'extra' AS extra
FROM (SELECT event->'bid' AS o FROM line) AS l
WHERE o <> 'null';

CREATE INDEX ON bid (price);
CREATE INDEX ON bid (auction);
ANALYZE;
