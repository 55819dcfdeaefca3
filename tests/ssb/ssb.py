"""The Star Schema Benchmark's 13 queries as live views under random inserts, updates and deletes; see README.md."""
import datetime
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import live as harness  # noqa: E402

# What the queries ask for is frequent here, so that some hundred lines make answers.
PLACES = [("UNITED STATES", "AMERICA"), ("UNITED STATES", "AMERICA"), ("BRAZIL", "AMERICA"), ("CHINA", "ASIA"), ("JAPAN", "ASIA"),
          ("UNITED KINGDOM", "EUROPE"), ("UNITED KINGDOM", "EUROPE"), ("FRANCE", "EUROPE"), ("KENYA", "AFRICA")]
BRANDS = ["MFGR#1201", "MFGR#1202", "MFGR#2221", "MFGR#2224", "MFGR#2228", "MFGR#2239", "MFGR#1403", "MFGR#1404", "MFGR#5101"]
PARTS, SUPPLIERS, CUSTOMERS, LINES = 40, 30, 60, 700


def place(dice):
    nation, region = dice.choice(PLACES)
    return f"{nation[:9]:9s}{dice.choice('159')}", nation, region


def customer(dice, key):
    return (key, f"Customer#{key}", f"road {dice.randrange(9)}", *place(dice), f"{dice.randrange(99)}-555", dice.choice(["BUILDING", "MACHINERY"]))


def supplier(dice, key):
    return (key, f"Supplier#{key}", f"street {dice.randrange(9)}", *place(dice), f"{dice.randrange(99)}-555")


def part(dice, key):
    brand = dice.choice(BRANDS)
    return (key, "a part", brand[:6], brand[:7], brand, dice.choice(["green", "red"]), "STEEL", dice.randint(1, 50), "SM BOX")


def days():
    """All days of December 1997, a few of each other month."""
    day, last = datetime.date(1992, 1, 1), datetime.date(1998, 12, 31)
    while day <= last:
        if day.day in (1, 8, 9) or (day.year, day.month) == (1997, 12):
            yield day
        day += datetime.timedelta(days=1)


def day_row(day):
    return (day.strftime("%Y%m%d"), day.strftime("%B %d, %Y"), day.strftime("%A"), day.strftime("%B"), day.year, day.year * 100 + day.month,
            day.strftime("%b%Y"), (day.timetuple().tm_yday - 1) // 7 + 1)


def line(live, key):
    dice = live.random
    price, discount = dice.randint(100, 99999), dice.randint(0, 10)
    date = dice.choice(live.hot_days if dice.random() < 0.4 else live.days)
    return (key // 4, key % 4, dice.randint(1, CUSTOMERS), dice.randint(1, PARTS), dice.randint(1, SUPPLIERS), date, "1-URGENT", "0",
            dice.randint(1, 50), price, price * 3, discount, price * (100 - discount) // 100, price * 6 // 10, dice.randint(0, 8), date,
            dice.choice(["AIR", "RAIL"]))


def add_lines(live, count):
    live.insert("lineorder", [line(live, live.next_line + i) for i in range(count)])
    live.next_line += count


def fill(live):
    dice = live.random
    live.days = [day.strftime("%Y%m%d") for day in days()]
    live.hot_days = [day for day in live.days if day[:6] in ("199712", "199401", "199402") or day[:4] == "1993"]
    live.insert("date", [day_row(day) for day in days()])
    live.insert("customer", [customer(dice, key) for key in range(1, CUSTOMERS + 1)])
    live.insert("supplier", [supplier(dice, key) for key in range(1, SUPPLIERS + 1)])
    live.insert("part", [part(dice, key) for key in range(1, PARTS + 1)])
    live.next_line = 4
    add_lines(live, LINES)


def change(live):
    dice = live.random
    add_lines(live, 60)
    live.both(f"DELETE FROM lineorder WHERE lo_orderkey % 12 = {dice.randrange(12)}")
    live.both(f"UPDATE lineorder SET lo_discount = 5, lo_quantity = 30 WHERE lo_orderkey % 20 = {dice.randrange(20)}")
    live.both(f"UPDATE part SET p_category = 'MFGR#14', p_brand1 = 'MFGR#1403', p_mfgr = 'MFGR#1' WHERE p_partkey = {dice.randint(1, PARTS)}")
    for table, make, count in (("supplier", supplier, SUPPLIERS), ("customer", customer, CUSTOMERS), ("part", part, PARTS)):
        key = dice.randint(1, count)
        live.both(f"DELETE FROM {table} WHERE {table[0]}_{table[:4]}key = {key}")
        if dice.random() < 0.8:
            live.insert(table, [make(dice, key)])
    day = dice.choice(live.days)
    live.both(f"DELETE FROM date WHERE d_datekey = {day}")
    if dice.random() < 0.8:
        live.insert("date", [day_row(datetime.datetime.strptime(day, "%Y%m%d").date())])


harness.main(HERE, fill, change)
