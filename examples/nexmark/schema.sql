-- Nexmark's topic: each record has event_type, person, auction and bid, two of the objects null.
-- A source takes the object at its path; records where it is null make no row.

CREATE SOURCE person (
    id bigint,
    name text,
    emailAddress text,
    creditCard text,
    city text,
    state text,
    dateTime timestamp,
    extra text,
    WATERMARK FOR dateTime AS dateTime - INTERVAL '4 seconds'
) WITH (topic = 'nexmark', format = 'json', path = 'person');

CREATE SOURCE auction (
    id bigint,
    itemName text,
    description text,
    initialBid bigint,
    reserve bigint,
    dateTime timestamp,
    expires timestamp,
    seller bigint,
    category bigint,
    extra text,
    WATERMARK FOR dateTime AS dateTime - INTERVAL '4 seconds'
) WITH (topic = 'nexmark', format = 'json', path = 'auction');

CREATE SOURCE bid (
    auction bigint,
    bidder bigint,
    price bigint,
    channel text,
    url text,
    dateTime timestamp,
    extra text,
    WATERMARK FOR dateTime AS dateTime - INTERVAL '4 seconds'
) WITH (topic = 'nexmark', format = 'json', path = 'bid');
