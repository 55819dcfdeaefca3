-- Three fraud rules over card payments.

CREATE SOURCE payment (
  id bigint, card text, at timestamp, amount numeric, country text,
  WATERMARK FOR at AS at - INTERVAL '5 minutes'
) WITH (topic = 'payments', format = 'json');

-- A thief tries whether a stolen card works with small amounts, then goes shopping.
CREATE MATERIALIZED VIEW card_testing AS
  SELECT * FROM payment MATCH_RECOGNIZE (
    PARTITION BY card
    ORDER BY at
    MEASURES FIRST(probe.at) AS since,
             hit.at          AS at,
             COUNT(probe.*)  AS probes,
             hit.amount      AS amount
    ONE ROW PER MATCH
    AFTER MATCH SKIP PAST LAST ROW
    PATTERN (probe{2,} other*? hit)
    WITHIN INTERVAL '10 minutes'
    DEFINE probe AS probe.amount < 2,
           other AS other.amount <= 500,
           hit   AS hit.amount > 500
  );

-- Nobody pays in two countries within an hour.
CREATE MATERIALIZED VIEW far_apart AS
  SELECT * FROM payment MATCH_RECOGNIZE (
    PARTITION BY card
    ORDER BY at
    MEASURES here.at AS since, there.at AS at, here.country AS here, there.country AS there, there.amount AS amount
    AFTER MATCH SKIP TO NEXT ROW
    PATTERN (here there)
    WITHIN INTERVAL '1 hour'
    DEFINE there AS there.country <> here.country
  );

-- Nor that often.
CREATE MATERIALIZED VIEW bursts AS
  SELECT card, window_start AS since, max(at) AS at, count(*) AS payments, sum(amount) AS amount
  FROM tumble(payment, at, INTERVAL '1 minute')
  GROUP BY card, window_start, window_end
  HAVING count(*) >= 5;

CREATE MATERIALIZED VIEW alerts AS
  SELECT card, 'card testing' AS rule, since, at, amount FROM card_testing
  UNION ALL SELECT card, 'far apart', since, at, amount FROM far_apart
  UNION ALL SELECT card, 'burst', since, at, amount FROM bursts;
