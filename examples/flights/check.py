#!/usr/bin/env python3
"""Compares the views of flights.sql with a plain recomputation.

usage: check.py NDJSON_DIR [HTTP_ADDR]        default 127.0.0.1:4680

NDJSON_DIR is what `kappa-flights --out NDJSON_DIR` wrote with the same --seed and --until as what was sent to the server.
Everything is computed anew from those files in the most direct way: no windows that move, no state, exact fractions.
Prints a line for each view; exit status 1 if one differs.
"""
import collections
import datetime
import decimal
import fractions
import json
import os
import sys
import urllib.request

MINUTE = datetime.timedelta(minutes=1)
EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)


def read(directory, topic):
    with open(os.path.join(directory, topic + ".ndjson"), encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    for row in rows:
        if "event_time" in row:
            row["time"] = datetime.datetime.fromisoformat(row["event_time"]).astimezone(datetime.timezone.utc)
    return rows


def floor(time, size, offset=datetime.timedelta(0)):
    return EPOCH + (time - EPOCH - offset) // size * size + offset


def text(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def rounded(numerator, denominator):
    """round(numerator::numeric / denominator, 1): half away from zero."""
    if not denominator:
        return None
    value = fractions.Fraction(numerator) / denominator * 10
    whole = int(abs(value) + fractions.Fraction(1, 2))
    return str(decimal.Decimal(whole if value >= 0 else -whole).scaleb(-1))


def delays(departures, key):
    groups = collections.defaultdict(list)
    for row in departures:
        for group in key(row):
            groups[group].append(row["dep_delay"])
    return groups


def windows(time, size, slide):
    start = floor(time, slide)
    while start > time - size:
        yield start
        start -= slide


def fetch(address, view):
    with urllib.request.urlopen(f"http://{address}/views/{view}") as reply:
        return json.load(reply)


class Expected:
    """The rows that each view should have, in the shape of the server's JSON."""

    def __init__(self, directory, address):
        self.address = address
        self.departures = read(directory, "departures")
        self.arrivals = read(directory, "arrivals")
        self.weather = read(directory, "weather")
        self.airlines = {row["carrier"]: row["name"] for row in read(directory, "airlines")}

    def departures_hourly(self):
        groups = delays(self.departures, lambda r: [(floor(r["time"], 60 * MINUTE), r["origin"])])
        return [dict(window_start=text(w), origin=o, departures=len(d), delay_sum=sum(d), mean_delay=rounded(sum(d), len(d)), worst_delay=max(d))
                for (w, o), d in groups.items()]

    def departures_rolling(self):
        groups = delays(self.departures, lambda r: [(w, r["origin"]) for w in windows(r["time"], 60 * MINUTE, 15 * MINUTE)])
        return [dict(window_start=text(w), window_end=text(w + 60 * MINUTE), origin=o, departures=len(d), mean_delay=rounded(sum(d), len(d)))
                for (w, o), d in groups.items()]

    def airline_ranking(self):
        groups = collections.defaultdict(list)
        for row in self.arrivals:
            if row["arr_delay"] is not None:
                groups[row["carrier"]].append(row["arr_delay"])
        rows = [dict(carrier=c, name=self.airlines[c], arrivals=len(d), mean_delay=rounded(sum(d), len(d)),
                     on_time_percent=rounded(100 * sum(x <= 15 for x in d), len(d))) for c, d in groups.items()]
        rows.sort(key=lambda r: (-decimal.Decimal(r["on_time_percent"]), r["carrier"]))
        return rows[:20]

    def routes_daily(self):
        day = datetime.timedelta(days=1)
        groups = delays(self.departures, lambda r: [(floor(r["time"], day, 300 * MINUTE), r["origin"], r["dest"])])
        return [dict(day=text(w), origin=o, dest=d, departures=len(x), mean_delay=rounded(sum(x), len(x))) for (w, o, d), x in groups.items()]

    def today(self):
        return [dict(day=max((r["day"] for r in self.routes_daily()), default=None))]

    def worst_routes_today(self):
        today = self.today()[0]["day"]
        rows = [r for r in self.routes_daily() if r["day"] == today and r["departures"] >= 3]
        rows.sort(key=lambda r: (-decimal.Decimal(r["mean_delay"]), r["origin"], r["dest"]))
        return rows[:10]

    def latest_hour(self):
        return max(floor(r["time"], 60 * MINUTE) for r in self.departures + self.arrivals)

    def departed(self):
        arrived = {r["flight_id"] for r in self.arrivals}
        return [r for r in self.departures if r["flight_id"] not in arrived]

    def in_the_air(self):
        since = self.latest_hour() - datetime.timedelta(days=1)
        return [dict(flight_id=r["flight_id"], carrier=r["carrier"], origin=r["origin"], dest=r["dest"], departed=text(r["time"]))
                for r in self.departed() if r["time"] > since]

    def delay_by_weather(self):
        kinds = {}
        for row in self.weather:
            wind, rain, sight = row["wind_speed"] or 0, row["precip"] or 0, row["visib"]
            kind = "low visibility" if sight is not None and sight < 2 else "rain or snow" if rain > 0 else "wind" if wind >= 20 else "fair"
            kinds[(text(row["time"]), row["origin"])] = kind
        groups = collections.defaultdict(lambda: [0, 0])
        for row in self.departures_hourly():
            kind = kinds.get((row["window_start"], row["origin"]))
            if kind:
                groups[kind][0] += row["departures"]
                groups[kind][1] += row["delay_sum"]
        return [dict(weather=k, departures=str(n), mean_delay=rounded(s, n)) for k, (n, s) in groups.items()]

    def plane_makers(self):
        """With the planes as the server has them: the files cannot say deletions."""
        makers = {row["tailnum"]: row["manufacturer"] for row in fetch(self.address, "planes")}
        groups = delays(self.departures, lambda r: [makers[r["tailnum"]]] if r["tailnum"] in makers else [])
        return [dict(manufacturer=m, departures=len(d), mean_delay=rounded(sum(d), len(d))) for m, d in groups.items()]

    def alerts(self):
        """Closed windows only, without what came too late for its window, judged at each record's own place."""
        half, groups, watermark, latest = 30 * MINUTE, collections.defaultdict(list), None, None
        for row in self.departures:
            start = floor(row["time"], half)
            if watermark is None or start + half > watermark:
                groups[(start, row["origin"])].append(row["dep_delay"])
            latest = row["time"] if latest is None else max(latest, row["time"])
            watermark = latest - 10 * MINUTE
        return [dict(window_start=text(w), window_end=text(w + half), origin=o, departures=len(d), mean_delay=rounded(sum(d), len(d)))
                for (w, o), d in groups.items() if w + half <= watermark and len(d) >= 5 and sum(d) > 60 * len(d)]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    address = sys.argv[2] if len(sys.argv) == 3 else "127.0.0.1:4680"
    expected = Expected(sys.argv[1], address)
    bad = False
    for view in ("departures_hourly", "departures_rolling", "airline_ranking", "routes_daily", "today", "worst_routes_today", "in_the_air",
                 "delay_by_weather", "plane_makers", "alerts"):
        want = collections.Counter(json.dumps(row, sort_keys=True) for row in getattr(expected, view)())
        got = collections.Counter(json.dumps(row, sort_keys=True) for row in fetch(address, view))
        missing, extra = want - got, got - want
        print(f"{view}: {sum(want.values())} rows, " + ("as recomputed" if want == got else f"{sum(missing.values())} missing, {sum(extra.values())} wrong"))
        for row in sorted(missing)[:3]:
            print("  missing", row)
        for row in sorted(extra)[:3]:
            print("  wrong  ", row)
        bad = bad or want != got
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
