-- PostgreSQL's side of the comparison: the same events in tables. The variable `events` is the NDJSON file.
CREATE TABLE line (event jsonb);
-- One column that is the whole line: delimiter and quote are bytes that JSON text cannot have.
\set load 'COPY line FROM ' :'events' ' WITH (FORMAT csv, DELIMITER E''\\x01'', QUOTE E''\\x02'')'
:load;

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
ANALYZE;
