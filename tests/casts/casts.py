"""Every type cast to every type, by every context, on kappa and on PostgreSQL 15; see README.md."""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import psycopg2  # noqa: E402
import psycopg2.extensions  # noqa: E402

from postgres import Postgres  # noqa: E402
from server import Server  # noqa: E402

SETUP = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
    "CREATE TYPE pair AS (a integer, b text)",
    "CREATE DOMAIN small AS integer CHECK (VALUE < 100)",
    "CREATE DOMAIN code AS varchar(3)",
)

DOMAINS = ("small", "code")

# Types with values: ordinary ones, those at the ends of ranges, those that a cast may refuse.
TYPES = {
    "boolean": ("true", "false"),
    "smallint": ("7", "-32768"),
    "integer": ("0", "1", "70000", "-2147483648"),
    "bigint": ("5", "3000000000", "-9223372036854775808"),
    "real": ("1.5", "-2.5", "1e30", "NaN", "Infinity"),
    "double precision": ("0.5", "1.5", "2.5e15", "1e300", "-0", "-Infinity"),
    "numeric": ("2.5", "-0.00", "99999.995", "1e40", "NaN", "Infinity"),
    "numeric(5,2)": ("1.005", "-999.99"),
    "text": ("1", "true", "ok", "2024-02-29", "{1,2}", "(1,a)", " 12:30 ", "null", ""),
    "varchar": ("12", "a b  "),
    "varchar(3)": ("abc", " 7 "),
    "char": ("t", "9"),
    "char(5)": ("ok", "12   "),
    "name": ("happy", "42"),
    "bytea": ("\\x31", "\\x00ff"),
    "date": ("2024-02-29", "0044-03-15 BC", "infinity"),
    "time": ("12:34:56.789", "24:00:00"),
    "time(0)": ("12:34:56.789",),
    "timetz": ("12:34:56+05:30",),
    "timestamp": ("2024-02-29 12:34:56.789", "-infinity", "294276-12-31 23:59:59"),
    "timestamp(0)": ("2024-02-29 12:34:56.789",),
    "timestamptz": ("2024-02-29 12:34:56.789+02", "infinity"),
    "interval": ("1 day 02:03:04.5", "-1 mon", "30:00"),
    "interval(0)": ("02:03:04.5",),
    "uuid": ("00000000-0000-4000-8000-00000000000a",),
    "json": ("1", '{"a": 1}', "[1, 2]", '"x"', "null"),
    "jsonb": ("1", "2.50", "true", '{"a": 1}', "[1, 2]", '"x"', "null"),
    "oid": ("0", "4294967295"),
    "integer[]": ("{1,2}", "{}", "{{1,2},{3,NULL}}"),
    "bigint[]": ("{1,3000000000}",),
    "text[]": ("{1,b}", '{"a b",NULL}'),
    "varchar(2)[]": ("{ab,c}",),
    "numeric[]": ("{1.5,NULL}",),
    "timestamp[]": ("{2024-02-29 12:34:56}",),
    "mood": ("sad", "happy"),
    "mood[]": ("{sad,ok}",),
    "pair": ("(1,a)", "(,)"),
    "pair[]": ('{"(1,a)"}',),
    "small": ("5",),
    "code": ("ab",),
}


def literal(value):
    return "'" + value.replace("'", "''") + "'"


class Side:
    """One of the two systems; answers are texts as its output functions write them, or SQLSTATEs."""

    def __init__(self, connection):
        self.connection, self.id = connection, 0
        psycopg2.extensions.register_type(psycopg2.extensions.new_type(tuple(range(1, 20000)), "RAW", lambda text, _: text), connection)
        for statement in SETUP:
            self.ask(statement, must=True)
        for number, name in enumerate(TYPES):
            self.ask(f"CREATE TABLE into_{number} (id integer PRIMARY KEY, x {name})", must=True)
            self.ask(f"CREATE FUNCTION takes_{number}(x {name}) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1::text'", must=True)

    def ask(self, statement, must=False):
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else None
            except psycopg2.Error as error:
                if must:
                    raise RuntimeError(f"{statement}: {error}") from error
                return error.pgcode

    def explicit(self, value, number, name):
        kind = f", pg_typeof(CAST({value} AS {name}))" if name not in DOMAINS else ""  # kappa's values are of the domain's base type
        return self.ask(f"SELECT CAST({value} AS {name}){kind}")

    def assignment(self, value, number, name):
        self.id += 1
        return self.ask(f"INSERT INTO into_{number} VALUES ({self.id}, {value}) RETURNING x")

    def implicit(self, value, number, name):
        return self.ask(f"SELECT takes_{number}({value})")


def main():
    wanted = sys.argv[1:]
    postgres = Postgres()
    with tempfile.TemporaryDirectory(prefix="kappa-casts-") as folder:
        server = Server(os.path.join(folder, "data"))
        try:
            differences, counts = compare(Side(postgres.connect()), Side(server.connect()), wanted)
        finally:
            postgres.close()
            server.end()
    for where, examples in differences.items():
        print("FAIL {} to {}, {}".format(*where))
        for example in examples:
            print("     {}: PostgreSQL {}, kappa {}".format(*example))
    print(f"casts: {len(TYPES)} types, {counts['asked']} casts asked of both, {counts['given']} with a value, "
          f"{counts['refused']} refused alike; {len(differences)} pairs of types differ")
    sys.exit(len(differences) > 0)


def compare(postgres, kappa, wanted):
    differences, counts = {}, {"asked": 0, "given": 0, "refused": 0}
    for source, values in TYPES.items():
        for number, target in enumerate(TYPES):
            if wanted and source not in wanted and target not in wanted:
                continue
            for context in ("explicit", "assignment", "implicit"):
                for value in (*(literal(value) for value in values), "NULL"):
                    value = f"CAST({value} AS {source})"
                    expected, got = (getattr(side, context)(value, number, target) for side in (postgres, kappa))
                    counts["asked"] += 1
                    if expected != got:
                        differences.setdefault((source, target, context), []).append((value, expected, got))
                    else:
                        counts["refused" if isinstance(got, str) else "given"] += 1
    return differences, counts


main()
