SELECT *
FROM (
    SELECT auction, bidder, price, channel,
           coalesce((array_position(ARRAY['apple', 'google', 'facebook', 'baidu'], lower(channel)) - 1)::text,
                    (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2]) AS channel_id
    FROM bid
) AS b
WHERE channel_id IS NOT NULL
