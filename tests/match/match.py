"""Rounds of random patterns over random changes; README.md tells what is compared."""
import collections
import datetime
import os
import random
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import psycopg2.errors
import reference
from pattern import Clause
from server import rows, run_rounds

BEGIN = datetime.datetime(2024, 1, 1)


def at_text(second):
    return str(BEGIN + datetime.timedelta(seconds=second))


class Table:
    """What the table holds, and the statements that change it."""

    def __init__(self, dice, name):
        self.dice, self.name, self.rows, self.next_id, self.now = dice, name, {}, 1, 0

    def value(self):
        return None if self.dice.random() < 0.08 else self.dice.randint(0, 9)

    def change(self):
        dice = self.dice
        kind = dice.random()
        if kind < 0.7 or not self.rows:
            self.now += dice.choice([0, 0, 1, 1, 2])
            at = self.now if dice.random() < 0.8 else dice.randint(0, self.now + 1)
            row = {"id": self.next_id, "k": dice.choice("xy"), "at": at, "v": self.value()}
            self.next_id += 1
            self.rows[row["id"]] = row
            value = "NULL" if row["v"] is None else row["v"]
            return f"INSERT INTO {self.name} VALUES ({row['id']}, '{row['k']}', '{at_text(at)}', {value})"
        row = self.rows[dice.choice(sorted(self.rows))]
        if kind < 0.85:
            del self.rows[row["id"]]
            return f"DELETE FROM {self.name} WHERE id = {row['id']}"
        row["v"] = self.value()
        return f"UPDATE {self.name} SET v = {'NULL' if row['v'] is None else row['v']} WHERE id = {row['id']}"


def text_of(value):
    return None if value is None else str(value)


def expected(table, clause):
    out = collections.Counter()
    copies = [dict(row) for row in table.rows.values()]
    for row in reference.answer(copies, clause):
        shown = (row[0], at_text(row[1])) + row[2:] if clause.all_rows else row
        out[tuple(text_of(v) for v in shown)] += 1
    return out


def found(connection, sql):
    """The rows, or None where memory is short."""
    try:
        return collections.Counter(tuple(text_of(v) for v in row) for row in rows(connection, sql))
    except psycopg2.errors.OutOfMemory:
        return None


def run_round(server, seed, done):
    dice, connection = random.Random(seed), server.connect()
    table = Table(dice, f"t{seed}")
    said = [f"CREATE TABLE {table.name} (id int PRIMARY KEY, k text, at timestamp, v int)",
            f"CREATE MATERIALIZED VIEW d AS SELECT k, at, v FROM {table.name}"]
    clauses = [Clause(dice, has_id) for has_id in (True, True, True, False, False)]
    late = dice.randrange(len(clauses))  # this one's view is made when there are rows already
    for sql in said:
        rows(connection, sql)

    def create(i):
        said.append(f"CREATE MATERIALIZED VIEW m{i} AS {clauses[i].sql(table.name if clauses[i].has_id else 'd')}")
        rows(connection, said[-1])

    for i in range(len(clauses)):
        if i != late:
            create(i)
    for position in range(14):
        if position == 9 and seed % 3 == 0:  # the state is made again from the log, by other workers, in other steps
            connection.close()
            server.flags = ("--workers", str(dice.choice([1, 3, 8])), "--step-bytes", dice.choice(["64KiB", "32MiB"]))
            server.flags += ("--memory", ["40kB", "80kB", "120kB", "200kB"][seed // 3 % 4])
            server.again(dice.choice([signal.SIGTERM, signal.SIGKILL]))
            connection = server.connect()
            for i, clause in enumerate(clauses):  # where memory is short an answer may be refused, never wrong
                got, want = found(connection, f"SELECT * FROM m{i}"), expected(table, clause)
                done["refused"] += got is None
                if got is not None and got != want:
                    print(";\n".join(said), f"\nseed {seed}: with {server.flags} m{i} misses {want - got}, has too much {got - want}", sep="")
                    return False
            connection.close()
            server.flags = server.flags[:4]
            server.again()
            connection = server.connect()
            done["starts"] += 2
        changes = [table.change() for _ in range(dice.choice([1, 1, 2, 5, 12]))]
        said.append("; ".join(["BEGIN"] + changes + ["COMMIT"]))
        rows(connection, said[-1])
        if position == 6:
            create(late)
        for i, clause in enumerate(clauses):
            want = expected(table, clause)
            asked = [clause.sql(table.name if clause.has_id else "d")] if position % 4 == 3 else []
            if i != late or position >= 6:
                asked.append(f"SELECT * FROM m{i}")
            for sql in asked:
                got = found(connection, sql)
                done["answers"] += 1
                done["rows"] += sum(want.values())
                if got != want:
                    print(";\n".join(said) + f";\n{sql};", f"\nseed {seed}: missing {want - got}, too much {got - want}", sep="")
                    return False
    for i in range(len(clauses)):
        rows(connection, f"VERIFY MATERIALIZED VIEW m{i}")
        rows(connection, f"DROP MATERIALIZED VIEW m{i}")
    rows(connection, "DROP MATERIALIZED VIEW d")
    rows(connection, f"DROP TABLE {table.name}")
    connection.close()
    return True


def main():
    rounds, done = run_rounds("match", 12, run_round)
    print(f"match: {rounds} rounds, {done['answers']} answers of {done['rows']} rows equal the reference's, "
          f"{done['starts']} starts with other workers and steps in between; {done['refused']} answers refused for want of memory")


if __name__ == "__main__":
    main()
