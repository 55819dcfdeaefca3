"""Internal consistency under writes, readers and crashes; see README.md."""
import atexit
import collections
import datetime
import http.client
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import psycopg2  # noqa: E402

from server import Server, rows  # noqa: E402

SCALE = int(os.environ.get("KAPPA_TEST_SCALE", "1"))
TRANSFERS, RESTARTS, ACCOUNTS, BATCH = 100000 * SCALE, 4 if SCALE == 1 else min(SCALE, 100), 10, 1000
EPOCH = datetime.datetime(2024, 1, 1)

SCHEMA = """
CREATE TOPIC transfer WITH (partitions = 3);
CREATE SOURCE transfer (id bigint, from_account int, to_account int, dollars bigint, at timestamp,
    WATERMARK FOR at AS at - INTERVAL '10 seconds') WITH (topic = 'transfer', format = 'json');
CREATE MATERIALIZED VIEW credits AS SELECT to_account AS account, sum(dollars)::bigint AS credits FROM transfer GROUP BY to_account;
CREATE MATERIALIZED VIEW debits AS SELECT from_account AS account, sum(dollars)::bigint AS debits FROM transfer GROUP BY from_account;
CREATE MATERIALIZED VIEW balance AS
    SELECT c.account, c.credits - d.debits AS balance FROM credits AS c JOIN debits AS d ON c.account = d.account;
CREATE MATERIALIZED VIEW total AS SELECT sum(balance)::bigint AS total, count(*) AS accounts FROM balance;
CREATE MATERIALIZED VIEW minutes AS
    SELECT c.minute AS credit_minute, d.minute AS debit_minute, c.n AS credits, d.n AS debits
    FROM (SELECT window_start AS minute, count(*) AS n FROM tumble(transfer, at, INTERVAL '1 minute') WHERE to_account >= 0
          GROUP BY window_start) AS c
    FULL JOIN (SELECT window_start AS minute, count(*) AS n FROM tumble(transfer, at, INTERVAL '1 minute') WHERE from_account >= 0
               GROUP BY window_start) AS d ON c.minute = d.minute;
CREATE MATERIALIZED VIEW matched AS
    SELECT a.account AS a, b.account AS b FROM credits AS a LEFT JOIN credits AS b ON a.account = b.account AND a.credits = b.credits;
"""

failures = []
positions = collections.Counter()


def fail(what):
    failures.append(what)
    print("FAIL", what, flush=True)


class Subscriber(threading.Thread):
    """Sums a view's changes and checks them at each position; goes on with a new snapshot when the server is back."""

    def __init__(self, server, view, check):
        super().__init__(daemon=True)
        self.server, self.view, self.check, self.over = server, view, check, False
        self.states = {}  # of the last positions
        self.start()

    def run(self):
        while not self.over:
            try:
                self.follow()
            except psycopg2.Error as error:
                if os.environ.get("KAPPA_VERBOSE"):
                    print(self.view, repr(error))
                time.sleep(0.05)
            except Exception as error:  # a thread's exception must fail the test
                fail(f"{self.view}: {error!r}")
                return

    def follow(self):
        self.sum, self.rest = collections.Counter(), ""
        connection = self.server.connect()
        try:
            with connection.cursor() as cursor:
                cursor.copy_expert(f"COPY (SUBSCRIBE TO {self.view} WITH (progress = true)) TO STDOUT", self)
        finally:
            connection.close()

    def write(self, text):
        """psycopg2's COPY gives the lines; of an exception here it would only tell that the statement was cancelled."""
        try:
            self.take(text)
        except Exception as error:
            fail(f"{self.view}: {error!r}")
            raise

    def take(self, text):
        *lines, self.rest = (self.rest + text.decode()).split("\n")
        for line in lines:
            position, diff, progress, *row = line.split("\t")
            if progress == "t":
                self.at(int(position))
                continue
            self.sum[tuple(row)] += int(diff)
            if self.sum[tuple(row)] == 0:
                del self.sum[tuple(row)]

    def at(self, position):
        positions[self.view] += 1
        if any(count != 1 for count in self.sum.values()):
            fail(f"{self.view} at {position}: rows more or less than once: {dict(self.sum)}")
        wrong = self.check(list(self.sum))
        if wrong:
            fail(f"{self.view} at {position}: {wrong}")
        self.states[position] = list(self.sum)
        if len(self.states) > 20000:
            del self.states[next(iter(self.states))]


def check_total(found):
    """No row before the first record, then one; 0 at all times."""
    return "" if len(found) <= 1 and all(row in (("0", str(ACCOUNTS)), ("\\N", "0")) for row in found) else found


def check_balance(found):
    return "" if sum(int(row[1]) for row in found) == 0 else found


def check_minutes(found):
    return [row for row in found if row[0] != row[1] or row[2] != row[3] or "\\N" in row][:3]


def check_matched(found):
    return [row for row in found if row[0] != row[1]][:3]


def check_nothing(found):
    return ""


def crossed(subscribers):
    """At each position that all three were told of, a balance is credits less debits."""
    states = [subscribers[view].states for view in ("balance", "credits", "debits")]
    common = set(states[0]) & set(states[1]) & set(states[2])
    for position in common:
        balance, credit, debit = (dict(state[position]) for state in states)
        if any(int(balance[account]) != int(credit[account]) - int(debit[account]) for account in balance):
            fail(f"position {position}: balance {balance}, credits {credit}, debits {debit}")
    return len(common)


def batch_of(dice, first, count):
    """Lines in an order of their own, with times up to ten seconds apart from it."""
    lines = []
    for key in range(first, first + count):
        at = EPOCH + datetime.timedelta(seconds=key / 200 + dice.random() * 10)
        one = dice.randrange(ACCOUNTS)
        other = (one + dice.randrange(1, ACCOUNTS)) % ACCOUNTS
        lines.append('{"id":%d,"from_account":%d,"to_account":%d,"dollars":1,"at":"%s"}\n' %
                     (key, one, other, at.isoformat(" ", "milliseconds")))
    dice.shuffle(lines)
    return "".join(lines).encode()


def first_batch():
    """One record batch in which every account gives and takes."""
    return "".join('{"id":%d,"from_account":%d,"to_account":%d,"dollars":1,"at":"2024-01-01 00:00:00"}\n' %
                   (-key - 1, key, (key + 1) % ACCOUNTS) for key in range(ACCOUNTS)).encode()


def ask(server, position):
    """Several reads in one query: all of them are of one position, at or behind the one given."""
    connection = server.connect()
    rows(connection, f"SET kappa.read_after = {position}")
    found = rows(connection, "SELECT (SELECT max(total) FROM total), (SELECT sum(credits) FROM credits), (SELECT sum(debits) FROM debits), "
                             "(SELECT count(*) FROM minutes WHERE credits IS DISTINCT FROM debits)")[0]
    connection.close()
    if found[0] not in (0, None) or found[1] != found[2] or found[3]:
        fail(f"a query saw {found}")
    return int(found[1] or 0)


class Soak:
    """What former runs came to: a soak goes on in their log, as long as it is there."""

    def __init__(self):
        self.folder = os.environ.get("KAPPA_SOAK_STATE")
        self.work = os.path.join(self.folder, "transfers") if self.folder else tempfile.mkdtemp(prefix="kappa-transfers.")
        self.path = os.path.join(self.work, "done.json")
        self.done = {"transfers": 0, "restarts": 0, "positions": 0, "queries": 0}
        os.makedirs(self.work, exist_ok=True)
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                self.done = json.load(file)
        self.positions_before, self.queries_before = self.done["positions"], self.done["queries"]

    def save(self, transfers, restarts, queries):
        self.done.update(transfers=transfers, restarts=restarts, positions=self.positions_before + sum(positions.values()),
                         queries=self.queries_before + queries)
        if self.folder:
            with open(self.path + ".new", "w", encoding="utf-8") as file:
                json.dump(self.done, file)
            os.replace(self.path + ".new", self.path)

    def end(self):
        """A soak that has come to its end begins anew next time."""
        if not self.folder or self.done["transfers"] >= TRANSFERS:
            shutil.rmtree(self.work, ignore_errors=True)


def begin(soak):
    """The server, what it holds, and the position behind that."""
    server = Server(os.path.join(soak.work, "data"))
    atexit.register(lambda: server.process.poll() is None and server.process.kill())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if soak.done["transfers"]:
        found = ask(server, 0)
        if found < soak.done["transfers"]:
            fail(f"{found} transfers after a former run, {soak.done['transfers']} were acknowledged")
        return server, found, 0
    connection = server.connect()
    rows(connection, SCHEMA)
    connection.close()
    return server, ACCOUNTS, server.post("transfer", first_batch())


def main():
    began = time.monotonic()
    soak = Soak()
    server, sent, position = begin(soak)
    first, killed = (sent - ACCOUNTS) // BATCH, soak.done["restarts"]
    dice = random.Random(int(os.environ.get("KAPPA_SEED", "1")) + first)
    checks = {"total": check_total, "balance": check_balance, "minutes": check_minutes, "matched": check_matched,
              "credits": check_nothing, "debits": check_nothing}
    subscribers = {view: Subscriber(server, view, check) for view, check in checks.items()}
    last = TRANSFERS // BATCH
    restart_at = sorted(dice.randrange(first + 1, last) for _ in range(RESTARTS - killed)) if first + 1 < last else []
    asked, unsure, number = 0, 0, first - 1
    while sent < TRANSFERS + ACCOUNTS:
        number += 1
        body = batch_of(dice, number * BATCH, BATCH)
        if restart_at and number >= restart_at[0]:
            restart_at.pop(0)
            how = dice.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
            killer = threading.Timer(dice.random() * 0.02, server.process.send_signal, [how])
            killer.start()
            try:
                position = server.post("transfer", body, f"?partition={number % 3}")
                sent += BATCH
            except (OSError, RuntimeError, ValueError, http.client.HTTPException):
                unsure += 1  # it may have been taken
            killer.join()
            server.end(how)
            server.start()
            killed += 1
            found = ask(server, position)
            if found not in (sent, sent + BATCH * unsure):
                fail(f"after restart {killed}: {found} transfers, {sent} were acknowledged, {unsure} unsure")
            sent, unsure = found, 0
            soak.save(sent, killed, asked)
            continue
        position = server.post("transfer", body, f"?partition={number % 3}")
        sent += BATCH
        if number % 10 == 0:
            ask(server, position)
            asked += 1
        if number % 100 == 0:
            soak.save(sent, killed, asked)
    found = ask(server, position)
    if found != sent:
        fail(f"{found} transfers at the end, {sent} acknowledged")
    time.sleep(0.5)
    for subscriber in subscribers.values():
        subscriber.over = True
    common = crossed(subscribers)
    server.end()
    soak.save(sent, killed, asked)
    soak.end()
    few = min(10, (number - first) // 10)  # of the rest of a soak that was stopped
    for view, count in positions.items():
        if count < few:
            fail(f"{view} was seen at {count} positions only")
    if common < few:
        fail(f"only {common} positions in common")
    print(f"{sent} transfers, {killed} restarts, checked at {dict(positions)} positions ({common} across views), {asked} queries: "
          f"{len(failures)} wrong, {time.monotonic() - began:.0f} s; all soaks of this log: {soak.done}")
    sys.exit(len(failures) > 0)


main()
