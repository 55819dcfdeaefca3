-- The flights out of New York in 2013: what comes in, and what someone at an airport looks at.
-- kappa-flights sends the topics. Times are instants; windows are by event time.

CREATE SOURCE schedule (
  flight_id text, event_time timestamptz, carrier text, flight integer, tailnum text, origin text, dest text,
  sched_dep timestamptz, sched_arr timestamptz, distance integer,
  WATERMARK FOR event_time AS event_time - INTERVAL '10 minutes'
) WITH (topic = 'schedule', format = 'json');

CREATE SOURCE departures (
  flight_id text, event_time timestamptz, carrier text, flight integer, tailnum text, origin text, dest text,
  sched_dep timestamptz, dep_delay integer,
  WATERMARK FOR event_time AS event_time - INTERVAL '10 minutes'
) WITH (topic = 'departures', format = 'json');

CREATE SOURCE cancellations (
  flight_id text, event_time timestamptz, carrier text, flight integer, tailnum text, origin text, dest text,
  sched_dep timestamptz,
  WATERMARK FOR event_time AS event_time - INTERVAL '10 minutes'
) WITH (topic = 'cancellations', format = 'json');

CREATE SOURCE arrivals (
  flight_id text, event_time timestamptz, carrier text, flight integer, tailnum text, origin text, dest text,
  sched_arr timestamptz, arr_delay integer, air_time integer,
  WATERMARK FOR event_time AS event_time - INTERVAL '10 minutes'
) WITH (topic = 'arrivals', format = 'json');

CREATE SOURCE weather (
  origin text, event_time timestamptz, temp double precision, dewp double precision, humid double precision,
  wind_dir integer, wind_speed double precision, wind_gust double precision, precip double precision,
  pressure double precision, visib double precision,
  WATERMARK FOR event_time AS event_time - INTERVAL '30 minutes'
) WITH (topic = 'weather', format = 'json');

CREATE TABLE airports (
  faa text PRIMARY KEY, name text, lat double precision, lon double precision, alt integer, tz integer, dst text, tzone text
) WITH (topic = 'airports', format = 'json');

CREATE TABLE airlines (carrier text PRIMARY KEY, name text) WITH (topic = 'airlines', format = 'json');

CREATE TABLE planes (
  tailnum text PRIMARY KEY, year integer, type text, manufacturer text, model text, engines integer, seats integer,
  speed integer, engine text
) WITH (topic = 'planes', format = 'json');

-- Departures and their delay by airport and hour; late departures correct the hour they belong to.
CREATE MATERIALIZED VIEW departures_hourly AS
  SELECT window_start, origin, count(*) AS departures, sum(dep_delay) AS delay_sum, round(avg(dep_delay), 1) AS mean_delay,
         max(dep_delay) AS worst_delay
  FROM tumble(departures, event_time, INTERVAL '1 hour')
  GROUP BY window_start, origin;

-- The same over the last hour, every quarter of an hour.
CREATE MATERIALIZED VIEW departures_rolling AS
  SELECT window_start, window_end, origin, count(*) AS departures, round(avg(dep_delay), 1) AS mean_delay
  FROM hop(departures, event_time, INTERVAL '15 minutes', INTERVAL '1 hour')
  GROUP BY window_start, window_end, origin;

-- Airlines, the most punctual first. A flight is on time if it arrives at most a quarter of an hour late.
CREATE MATERIALIZED VIEW airline_ranking AS
  SELECT a.carrier, a.name, r.arrivals, r.mean_delay, r.on_time_percent
  FROM (SELECT carrier, count(*) AS arrivals, round(avg(arr_delay), 1) AS mean_delay,
               round(100.0 * sum(CASE WHEN arr_delay <= 15 THEN 1 ELSE 0 END) / count(arr_delay), 1) AS on_time_percent
        FROM arrivals WHERE arr_delay IS NOT NULL GROUP BY carrier) r
  JOIN airlines a ON a.carrier = r.carrier
  ORDER BY r.on_time_percent DESC, a.carrier LIMIT 20;

-- Routes by day of New York's winter time.
CREATE MATERIALIZED VIEW routes_daily AS
  SELECT window_start AS day, origin, dest, count(*) AS departures, round(avg(dep_delay), 1) AS mean_delay
  FROM tumble(departures, event_time, INTERVAL '1 day', INTERVAL '5 hours')
  GROUP BY window_start, origin, dest;

CREATE MATERIALIZED VIEW today AS
  SELECT max(day) AS day FROM routes_daily;

-- The ten worst routes of the latest day.
CREATE MATERIALIZED VIEW worst_routes_today AS
  SELECT r.day, r.origin, r.dest, r.departures, r.mean_delay
  FROM routes_daily r JOIN today t ON r.day = t.day
  WHERE r.departures >= 3
  ORDER BY r.mean_delay DESC, r.origin, r.dest LIMIT 10;

-- The latest hour that anything tells of: what an overdue flight is measured by.
CREATE MATERIALIZED VIEW clock AS
  SELECT 1 AS one, max(hour) AS hour
  FROM (SELECT date_trunc('hour', event_time) AS hour FROM departures
        UNION ALL
        SELECT date_trunc('hour', event_time) AS hour FROM arrivals) e;

-- Flights that have departed and not arrived.
CREATE MATERIALIZED VIEW departed AS
  SELECT 1 AS one, flight_id, carrier, origin, dest, max(departed) AS departed
  FROM (SELECT flight_id, carrier, origin, dest, event_time AS departed, 1 AS n FROM departures
        UNION ALL
        SELECT flight_id, carrier, origin, dest, NULL::timestamptz AS departed, -1 AS n FROM arrivals) e
  GROUP BY flight_id, carrier, origin, dest
  HAVING sum(n) > 0;

-- Those that are in the air now: not overdue by a day either (458 flights never report their arrival).
CREATE MATERIALIZED VIEW in_the_air AS
  SELECT d.flight_id, d.carrier, d.origin, d.dest, d.departed
  FROM departed d JOIN clock c ON c.one = d.one
  WHERE d.departed > c.hour - INTERVAL '1 day';

-- Delay against the weather at that airport in that hour.
CREATE MATERIALIZED VIEW delay_by_weather AS
  SELECT weather, sum(departures) AS departures, round(sum(delay_sum)::numeric / sum(departures), 1) AS mean_delay
  FROM (SELECT CASE WHEN w.visib < 2 THEN 'low visibility' WHEN w.precip > 0 THEN 'rain or snow'
                    WHEN w.wind_speed >= 20 THEN 'wind' ELSE 'fair' END AS weather,
               d.departures, d.delay_sum
        FROM departures_hourly d JOIN weather w ON w.origin = d.origin AND w.event_time = d.window_start) e
  GROUP BY weather;

-- Departures by maker of the plane: 52,606 flights have an unknown plane and are missing here; the table changes.
CREATE MATERIALIZED VIEW plane_makers AS
  SELECT p.manufacturer, count(*) AS departures, round(avg(d.dep_delay), 1) AS mean_delay
  FROM departures d JOIN planes p ON p.tailnum = d.tailnum
  GROUP BY p.manufacturer;

-- Alerts: half an hour at an airport with five departures or more that were an hour late on average. Each is said once,
-- when its half hour is over; they go into the topic alerts, for whoever must be woken.
CREATE MATERIALIZED VIEW alerts AS
  SELECT window_start, window_end, origin, count(*) AS departures, round(avg(dep_delay), 1) AS mean_delay
  FROM tumble(departures, event_time, INTERVAL '30 minutes')
  GROUP BY window_start, window_end, origin
  HAVING count(*) >= 5 AND avg(dep_delay) > 60
  EMIT ON WINDOW CLOSE;

CREATE SINK alert_stream FROM alerts WITH (topic = 'alerts');
