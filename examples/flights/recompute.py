"""The answers of flights.sql computed plainly, from the events as they were sent: what the demo holds the views against.

Exact where SQL is exact: averages and quotients are fractions, rounded half away from zero as numeric is.
"""
import json
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from fractions import Fraction

UTC = timezone.utc
HOUR, QUARTER, DAY = 3600, 900, 86400


def seconds(text):
    """A timestamp's text to seconds since 1970, UTC."""
    text = text.replace(" ", "T").replace("Z", "+00:00")
    if len(text) > 3 and text[-3] in "+-" and ":" not in text[-3:]:
        text += ":00"
    return int(datetime.fromisoformat(text).timestamp())


def instant(s):
    """Seconds as every timestamp is written here: UTC, ISO."""
    return datetime.fromtimestamp(s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rounded(value, digits):
    """Half away from zero, as text with that many digits."""
    scaled = abs(value) * 10 ** digits
    whole = int(scaled + Fraction(1, 2))
    sign = "-" if value < 0 and whole else ""
    return f"{sign}{whole // 10 ** digits}.{whole % 10 ** digits:0{digits}d}" if digits else f"{sign}{whole}"


def mean(values, digits=1):
    return rounded(Fraction(sum(values), len(values)), digits) if values else None


class Events:
    """The events of DIR, in the order of sending, topic by topic; tables as they are at the end."""

    def __init__(self, folder, tables):
        def read(topic):
            with open(f"{folder}/{topic}.ndjson", encoding="utf-8") as lines:
                return [json.loads(line) for line in lines]
        self.departures, self.arrivals, self.weather = read("departures"), read("arrivals"), read("weather")
        for event in self.departures + self.arrivals + self.weather:
            event["at"] = seconds(event["event_time"])
        self.tables = tables  # topic -> {key: row}


def departures_hourly(events, minimum_delay=None):
    groups = defaultdict(list)
    for e in events.departures:
        if minimum_delay is None or (e["dep_delay"] is not None and e["dep_delay"] > minimum_delay):
            groups[(e["at"] // HOUR * HOUR, e["origin"])].append(e["dep_delay"])
    rows = []
    for (start, origin), delays in groups.items():
        known = [d for d in delays if d is not None]
        rows.append((instant(start), origin, len(delays), sum(known) if known else None, mean(known), max(known, default=None)))
    return rows


def departures_rolling(events):
    groups = defaultdict(list)
    for e in events.departures:
        first = e["at"] // QUARTER * QUARTER
        for start in range(first - HOUR + QUARTER, first + 1, QUARTER):
            groups[(start, e["origin"])].append(e["dep_delay"])
    return [(instant(start), instant(start + HOUR), origin, len(d), mean([x for x in d if x is not None]))
            for (start, origin), d in groups.items()]


def airline_ranking(events):
    groups = defaultdict(list)
    for e in events.arrivals:
        if e["arr_delay"] is not None:
            groups[e["carrier"]].append(e["arr_delay"])
    rows = []
    for carrier, delays in groups.items():
        airline = events.tables["airlines"].get(carrier)
        if airline:
            on_time = Fraction(1000 * sum(d <= 15 for d in delays), 10 * len(delays))
            rows.append((carrier, airline["name"], len(delays), mean(delays), rounded(on_time, 1)))
    rows.sort(key=lambda r: (-Fraction(r[4]), r[0]))
    return rows[:20]


def routes_daily(events):
    groups = defaultdict(list)
    offset = 5 * HOUR
    for e in events.departures:
        groups[((e["at"] - offset) // DAY * DAY + offset, e["origin"], e["dest"])].append(e["dep_delay"])
    return {key: d for key, d in groups.items()}


def worst_routes_today(events):
    groups = routes_daily(events)
    today = max(day for day, _, _ in groups)
    rows = [(instant(day), o, d, len(v), mean([x for x in v if x is not None]))
            for (day, o, d), v in groups.items() if day == today and len(v) >= 3]
    rows.sort(key=lambda r: (r[4] is not None, -Fraction(r[4] or 0), r[1], r[2]))
    return rows[:10]


def in_the_air(events):
    flights = defaultdict(lambda: [0, None])
    clock = 0
    for e in events.departures:
        flight = flights[(e["flight_id"], e["carrier"], e["origin"], e["dest"])]
        flight[0] += 1
        flight[1] = e["at"] if flight[1] is None else max(flight[1], e["at"])
        clock = max(clock, e["at"] // HOUR * HOUR)
    for e in events.arrivals:
        flights[(e["flight_id"], e["carrier"], e["origin"], e["dest"])][0] -= 1
        clock = max(clock, e["at"] // HOUR * HOUR)
    return [key + (instant(at),) for key, (n, at) in flights.items() if n > 0 and at is not None and at > clock - DAY]


def delay_by_weather(events):
    hours = defaultdict(lambda: [0, 0])
    for e in events.departures:
        hour = hours[(e["at"] // HOUR * HOUR, e["origin"])]
        hour[0] += 1
        hour[1] += e["dep_delay"] or 0
    groups = defaultdict(lambda: [0, 0])
    for w in events.weather:
        if (w["at"], w["origin"]) not in hours:
            continue
        n, delay = hours[(w["at"], w["origin"])]
        kind = ("low visibility" if w["visib"] is not None and w["visib"] < 2 else
                "rain or snow" if w["precip"] is not None and w["precip"] > 0 else
                "wind" if w["wind_speed"] is not None and w["wind_speed"] >= 20 else "fair")
        groups[kind][0] += n
        groups[kind][1] += delay
    return [(kind, n, rounded(Fraction(delay, n), 1)) for kind, (n, delay) in groups.items()]


def plane_makers(events):
    groups = defaultdict(list)
    for e in events.departures:
        plane = events.tables["planes"].get(e["tailnum"])
        if plane:
            groups[plane["manufacturer"]].append(e["dep_delay"])
    return [(maker, len(d), mean([x for x in d if x is not None])) for maker, d in groups.items()]


def alerts(events):
    """Half hours whose end the watermark has passed; what came after that is late and left out."""
    size, delay = 1800, 600
    watermark, groups = None, defaultdict(list)
    for e in events.departures:
        start = e["at"] // size * size
        if watermark is None or start + size > watermark:
            groups[(start, e["origin"])].append(e["dep_delay"])
        watermark = e["at"] - delay if watermark is None else max(watermark, e["at"] - delay)
    rows = []
    for (start, origin), d in groups.items():
        known = [x for x in d if x is not None]
        if start + size <= watermark and len(d) >= 5 and known and Fraction(sum(known), len(known)) > 60:
            rows.append((instant(start), instant(start + size), origin, len(d), mean(known)))
    return rows


VIEWS = {  # view: (its columns in order, the function)
    "departures_hourly": ("window_start, origin, departures, delay_sum, mean_delay, worst_delay", departures_hourly),
    "departures_rolling": ("window_start, window_end, origin, departures, mean_delay", departures_rolling),
    "airline_ranking": ("carrier, name, arrivals, mean_delay, on_time_percent", airline_ranking),
    "worst_routes_today": ("day, origin, dest, departures, mean_delay", worst_routes_today),
    "in_the_air": ("flight_id, carrier, origin, dest, departed", in_the_air),
    "delay_by_weather": ("weather, departures::bigint, mean_delay", delay_by_weather),
    "plane_makers": ("manufacturer, departures, mean_delay", plane_makers),
    "alerts": ("window_start, window_end, origin, departures, mean_delay", alerts),
}
