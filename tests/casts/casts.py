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
    "CREATE DOMAIN given AS text NOT NULL",
    "CREATE DOMAIN smaller AS small CHECK (VALUE > -10)",
    "CREATE DOMAIN glad AS mood CHECK (VALUE > 'sad')",
    "CREATE DOMAIN few AS integer[] CHECK (cardinality(VALUE) < 3)",
    "CREATE DOMAIN even_pair AS pair CHECK ((VALUE).a % 2 = 0)",
    "CREATE TYPE other AS (x bigint, y varchar(2))",
    "CREATE TYPE level AS ENUM ('low', 'ok')",
)

DOMAINS = ("small", "code", "given", "smaller", "glad", "few", "even_pair")

# Types with values: ordinary ones, those at the ends of ranges, those that a cast may refuse.
TYPES = {
    "boolean": ("true", "false"),
    "smallint": ("7", "-1", "32767", "-32768"),
    "integer": ("0", "1", "-1", "99", "70000", "2147483647", "-2147483648"),
    "bigint": ("5", "0", "3000000000", "4294967296", "9223372036854775807", "-9223372036854775808"),
    "real": ("1.5", "-2.5", "0.1", "16777217", "1e30", "3.4028235e38", "1e-45", "-0", "NaN", "Infinity"),
    "double precision": ("0.5", "1.5", "-0.5", "0.1", "32767.5", "2147483647.4999", "9223372036854775807", "-9223372036854775808", "2.5e15", "1e300",
                         "1e39", "5e-324", "1e-46", "-0", "NaN", "-Infinity"),
    "numeric": ("2.5", "3.5", "-0.5", "-0.00", "32767.5", "2147483647.4", "9223372036854775807.4", "9223372036854775807.5", "99999.995", "1e40", "1e39",
                "1e-46", "1e309", "1e-400", "0.1", "NaN", "Infinity", "-Infinity"),
    "numeric(5,2)": ("1.005", "-999.99", "NaN"),
    "numeric(3,-2)": ("12345", "-99949"),
    "text": ("1", "-1", "true", "t", "ok", "2024-02-29", "2023-02-29", "{1,2}", "{}", "(1,a)", " 12:30 ", "null", "", " ", "1e5", "0x1f", "1_000", "99999999999", "NaN",
             "inf", "1.5", "infinity", "1 day", "\\x00", "\\xg", "00000000-0000-4000-8000-00000000000a", '{"a": 1}', "12:30+16", "[0:1]={1,2}", "é"),
    "varchar": ("12", "a b  ", "éé"),
    "varchar(3)": ("abc", " 7 "),
    "char": ("t", "9"),
    "char(5)": ("ok", "12   ", "     "),
    "name": ("happy", "42", "0123456789012345678901234567890123456789012345678901234567890123456789"),
    "bytea": ("\\x31", "\\x00ff", "", "\\x7b7d", "\\xc3"),
    "date": ("2024-02-29", "0044-03-15 BC", "4713-11-24 BC", "5874897-12-31", "294277-01-01", "infinity", "-infinity"),
    "time": ("12:34:56.789", "24:00:00", "00:00:00", "23:59:59.999999"),
    "time(0)": ("12:34:56.789", "23:59:59.9"),
    "timetz": ("12:34:56+05:30", "00:00:00+15:59:59", "24:00:00-15:59:59", "23:59:59.999999-00:00:01"),
    "timetz(0)": ("23:59:59.9+02",),
    "timestamp": ("2024-02-29 12:34:56.789", "2024-03-31 02:30:00", "-infinity", "infinity", "294276-12-31 23:59:59", "4714-11-24 00:00:00 BC", "1999-12-31 23:59:59.999999"),
    "timestamp(0)": ("2024-02-29 12:34:56.789", "1999-12-31 23:59:59.5"),
    "timestamptz": ("2024-02-29 12:34:56.789+02", "294276-12-31 23:59:59+00", "4714-11-24 00:00:00+00 BC", "infinity", "-infinity"),
    "timestamptz(3)": ("2024-02-29 12:34:56.7895+02",),
    "interval": ("1 day 02:03:04.5", "-1 mon", "30:00", "-00:00:00.000001", "178000000 years", "-178000000 years 11 mons", "-1 day 25:00:00", "2147483647 days", "0"),
    "interval(0)": ("02:03:04.5", "-00:00:00.5"),
    "interval day to minute": ("3 days 04:05:06.7",),
    "uuid": ("00000000-0000-4000-8000-00000000000a", "{ffffffffffffffffffffffffffffffff}"),
    "json": ("1", "-1", '{"a": 1}', "[1, 2]", '"x"', "null", "true", "1e400", "  {} ", '{"a":1, "a":2}', '"\\u0041"'),
    "jsonb": ("1", "2.50", "-0.5", "32767.5", "2147483648", "9223372036854775808", "1e400", "1e-400", "true", '{"a": 1}', "[1, 2]", '"x"', "null", '{"a":1, "a":2}', "[]"),
    "oid": ("0", "4294967295", "2147483648"),
    "integer[]": ("{1,2}", "{}", "{NULL}", "{{1,2},{3,NULL}}", "[2:3]={-2147483648,2147483647}", "{1,2,3}"),
    "smallint[]": ("{1,-32768}",),
    "bigint[]": ("{1,3000000000}", "{9223372036854775807}"),
    "double precision[]": ("{NaN,0.5,1e300}",),
    "boolean[]": ("{t,NULL}",),
    "text[]": ("{1,b}", '{"a b",NULL}', "{sad,ok}", '{"(1,a)"}', "{2024-02-29}"),
    "varchar(2)[]": ("{ab,c}",),
    "char(3)[]": ("{ab,c}",),
    "numeric[]": ("{1.5,NULL}", "{NaN,1e40}"),
    "numeric(4,1)[]": ("{1.25,999.94}",),
    "date[]": ("{2024-02-29,infinity}", "{5874897-12-31}"),
    "timestamp[]": ("{2024-02-29 12:34:56}",),
    "timestamptz[]": ("{2024-02-29 12:34:56+02}",),
    "interval[]": ("{1 day,30:00}",),
    "uuid[]": ("{00000000-0000-4000-8000-00000000000a}",),
    "bytea[]": ('{"\\\\x31"}',),
    "jsonb[]": ('{1,"{\\"a\\": 1}",NULL}',),
    "mood": ("sad", "happy", "ok"),
    "mood[]": ("{sad,ok}", "{}"),
    "level": ("ok",),
    "pair": ("(1,a)", "(,)", "(2,\"x y\")"),
    "pair[]": ('{"(1,a)"}', "{}"),
    "other": ("(3,ab)", "(3000000000,)"),
    "small": ("5", "-20"),
    "smaller": ("5",),
    "code": ("ab",),
    "given": ("a", "7"),
    "glad": ("happy",),
    "few": ("{1,2}", "{}"),
    "even_pair": ("(2,a)", "(,)"),
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
