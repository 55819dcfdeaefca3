"""TPC-H's 22 queries as live views under random inserts, updates and deletes; see README.md."""
import datetime
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import live as harness  # noqa: E402

REGIONS = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]
NATIONS = [("ALGERIA", 0), ("ARGENTINA", 1), ("BRAZIL", 1), ("CANADA", 1), ("EGYPT", 4), ("ETHIOPIA", 0), ("FRANCE", 3),
           ("GERMANY", 3), ("INDIA", 2), ("INDONESIA", 2), ("IRAN", 4), ("IRAQ", 4), ("JAPAN", 2), ("JORDAN", 4), ("KENYA", 0),
           ("MOROCCO", 0), ("MOZAMBIQUE", 0), ("PERU", 1), ("CHINA", 2), ("ROMANIA", 3), ("SAUDI ARABIA", 4), ("VIETNAM", 2),
           ("RUSSIA", 3), ("UNITED KINGDOM", 3), ("UNITED STATES", 1)]
# What the queries ask for is frequent here, so that a few hundred orders make answers.
HOT_NATIONS = [2, 3, 6, 7, 8, 12, 18, 20, 24]
BRANDS = ["Brand#12", "Brand#23", "Brand#34", "Brand#45", "Brand#11"]
CONTAINERS = ["SM CASE", "SM BOX", "MED BAG", "MED BOX", "LG CASE", "LG PKG", "JUMBO JAR"]
TYPES = ["ECONOMY ANODIZED STEEL", "LARGE POLISHED BRASS", "PROMO BURNISHED COPPER", "MEDIUM POLISHED TIN", "SMALL PLATED BRASS"]
SIZES = [15, 15, 49, 14, 3, 9, 5, 1, 20]
COLORS = ["green", "forest", "azure", "lemon", "puff"]
SEGMENTS = ["BUILDING", "AUTOMOBILE", "MACHINERY"]
PRIORITIES = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"]
MODES = ["AIR", "AIR REG", "MAIL", "SHIP", "RAIL", "TRUCK"]
INSTRUCTIONS = ["DELIVER IN PERSON", "DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"]
PARTS, SUPPLIERS, CUSTOMERS, ORDERS = 60, 24, 90, 350
EPOCH = datetime.date(1992, 1, 1)
CURRENT = datetime.date(1995, 6, 17)  # what is shipped later is still open


def nation(dice):
    return dice.choice(HOT_NATIONS) if dice.random() < 0.8 else dice.randrange(25)


def cents(dice, low, high):
    return f"{dice.randint(low * 100, high * 100) / 100:.2f}"


def comment(dice):
    return dice.choice(["even deposits", "special packages and requests", "the Customer has Complaints", "quick's \"idle\" ideas", ""])


def phone(dice, key):
    return f"{key + 10}-{dice.randint(100, 999)}-{dice.randint(100, 999)}-{dice.randint(1000, 9999)}"


def supplier(dice, key):
    home = nation(dice)
    return (key, f"Supplier#{key:09d}", f"street {dice.randrange(50)}", home, phone(dice, home), cents(dice, -999, 9999), comment(dice))


def customer(dice, key):
    home = nation(dice)
    return (key, f"Customer#{key:09d}", f"road {dice.randrange(50)}", home, phone(dice, home), cents(dice, -999, 9999),
            dice.choice(SEGMENTS), comment(dice))


def part(dice, key):
    return (key, " ".join(dice.sample(COLORS, 3)), f"Manufacturer#{dice.randint(1, 5)}", dice.choice(BRANDS), dice.choice(TYPES),
            dice.choice(SIZES), dice.choice(CONTAINERS), cents(dice, 900, 2000), "a part")


def order_and_lines(dice, key):
    customer_key = dice.randint(1, CUSTOMERS * 2 // 3)  # a third of the customers never order
    day = EPOCH + datetime.timedelta(days=dice.randrange(2405))
    lines, total, states = [], 0, set()
    for number in range(1, dice.randint(1, 7) + 1):
        part_key = dice.randint(1, PARTS)
        quantity = dice.randint(38, 50) if key % 5 == 0 else dice.randint(1, 50)
        price = quantity * dice.randint(90000, 200000) / 100
        ship = day + datetime.timedelta(days=dice.randint(1, 121))
        commit = day + datetime.timedelta(days=dice.randint(30, 90))
        receipt = ship + datetime.timedelta(days=dice.randint(1, 30))
        status = "F" if ship <= CURRENT else "O"
        returned = dice.choice("RA") if receipt <= CURRENT else "N"
        states.add(status)
        total += price
        lines.append((key, part_key, supplier_of(part_key, dice.randrange(4)), number, quantity, f"{price:.2f}",
                      f"0.{dice.randint(0, 10):02d}", f"0.{dice.randint(0, 8):02d}", returned, status, ship, commit, receipt,
                      dice.choice(INSTRUCTIONS), dice.choice(MODES), comment(dice)))
    state = states.pop() if len(states) == 1 else "P"
    return (key, customer_key, state, f"{total:.2f}", day, dice.choice(PRIORITIES), f"Clerk#{dice.randrange(9):09d}", 0,
            comment(dice)), lines


def supplier_of(part_key, number):
    """Four suppliers sell each part."""
    return (part_key + number * (SUPPLIERS // 4 + 1)) % SUPPLIERS + 1


def add_orders(live, count):
    made = [order_and_lines(live.random, live.next_order + i) for i in range(count)]
    live.open_orders += range(live.next_order, live.next_order + count)
    live.next_order += count
    live.insert("orders", [order for order, _ in made])
    live.insert("lineitem", [line for _, lines in made for line in lines])


def fill(live):
    dice = live.random
    live.insert("region", [(i, name, "") for i, name in enumerate(REGIONS)])
    live.insert("nation", [(i, name, region, None) for i, (name, region) in enumerate(NATIONS)])
    live.insert("supplier", [supplier(dice, key) for key in range(1, SUPPLIERS + 1)])
    live.insert("customer", [customer(dice, key) for key in range(1, CUSTOMERS + 1)])
    live.insert("part", [part(dice, key) for key in range(1, PARTS + 1)])
    live.insert("partsupp", [(key, supplier_of(key, i), dice.randint(1, 100), cents(dice, 1, 1000), "")
                             for key in range(1, PARTS + 1) for i in range(4)])
    live.next_order, live.open_orders = 1, []
    add_orders(live, ORDERS)


def change(live):
    """The refresh functions of TPC-H (orders come, orders go), and updates and deletes in the other tables."""
    dice = live.random
    gone = dice.sample(live.open_orders, 30)
    live.open_orders = [key for key in live.open_orders if key not in gone]
    keys = ", ".join(map(str, gone))
    live.both(f"BEGIN; DELETE FROM orders WHERE o_orderkey IN ({keys}); DELETE FROM lineitem WHERE l_orderkey IN ({keys}); COMMIT")
    add_orders(live, 30)
    line = dice.choice(live.open_orders)
    live.both(f"UPDATE lineitem SET l_quantity = l_quantity + 1, l_discount = 0.06 WHERE l_orderkey IN ({line}, {line + 1})")
    key = dice.randint(1, PARTS)
    live.both(f"UPDATE part SET p_type = '{dice.choice(TYPES)}', p_brand = '{dice.choice(BRANDS)}' WHERE p_partkey = {key}")
    live.both(f"UPDATE partsupp SET ps_supplycost = {cents(dice, 1, 1000)}, ps_availqty = {dice.randint(1, 100)} "
              f"WHERE ps_partkey = {dice.randint(1, PARTS)}")
    key = dice.randint(1, SUPPLIERS)
    live.both(f"DELETE FROM supplier WHERE s_suppkey = {key}")
    if dice.random() < 0.7:
        live.insert("supplier", [supplier(dice, key)])
    key = dice.randint(1, CUSTOMERS)
    live.both(f"DELETE FROM customer WHERE c_custkey = {key}")
    live.insert("customer", [customer(dice, key)])
    live.both(f"UPDATE customer SET c_acctbal = c_acctbal + 1000, c_mktsegment = 'BUILDING' WHERE c_nationkey = {nation(dice)}")
    live.both(f"UPDATE nation SET n_regionkey = {dice.randrange(5)} WHERE n_nationkey = {dice.randrange(25)}")


harness.main(HERE, fill, change)
