"""Regular expressions on kappa and on PostgreSQL 15; see README.md."""
import os
import random
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
sys.path.insert(0, HERE)

import psycopg2  # noqa: E402

from patterns import CLASSES, Patterns  # noqa: E402
from postgres import Postgres  # noqa: E402
from server import Server  # noqa: E402

PAIRS = 4000
SHOWN = 20

# {s} text, {p} pattern, {f} flags, {g} flags with g, {q} SQL's pattern, {r} replacement, {n} and {m} small numbers
FORMS = (
    "SELECT {s} ~ {p}, {s} !~* {p}",
    "SELECT regexp_match({s}, {p}, {f}), regexp_like({s}, {p}, {f})",
    "SELECT regexp_match({s}, {p}, {f}), regexp_instr({s}, {p}, 1, 1, 0, {f}, 0), regexp_substr({s}, {p}, 1, 1, {f}, 0)",
    "SELECT regexp_matches({s}, {p}, {g})",
    "SELECT regexp_replace({s}, {p}, {r}, {g})",
    "SELECT regexp_replace({s}, {p}, {r}, {n}, {m}, {f})",
    "SELECT regexp_split_to_array({s}, {p}, {f})",
    "SELECT regexp_split_to_table({s}, {p})",
    "SELECT regexp_count({s}, {p}, {n}, {f})",
    "SELECT regexp_instr({s}, {p}, {n}, {n}, 1, {f}, {m})",
    "SELECT regexp_substr({s}, {p}, {n}, {n}, {f}, {m})",
    "SELECT substring({s} FROM {p}), regexp_match({s}, {p})",
    "SELECT {s} SIMILAR TO {q} ESCAPE '#'",
    "SELECT substring({s} SIMILAR {q} ESCAPE '#')",
    "SELECT to_jsonb({s}::text) @? ('$ ? (@ like_regex ' || to_jsonb({p}::text) || ' flag \"' || {j} || '\")')::jsonpath",
)


def literal(value):
    return "'" + value.replace("'", "''") + "'"


class Side:
    """One of the two systems: rows, or SQLSTATE and message."""

    def __init__(self, connection):
        self.connection = connection

    def ask(self, statement):
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(statement)
                return cursor.fetchall()
            except psycopg2.Error as error:
                return error.pgcode, error.diag.message_primary


def statement(dice, patterns, pattern):
    number = str(dice.choice((1, 1, 1, 2, 3)))
    return dice.choice(FORMS).format(
        s=literal(patterns.text()), p=literal(pattern), f=literal(patterns.flags()), g=literal(patterns.flags("ggg")),
        q=literal(patterns.sql_pattern()), r=literal(dice.choice((r"<\1|\2\&>", r"x", r"\\\&", "", r"\9\0"))), n=number,
        m=str(dice.choice((0, 0, 1, 2))), j=literal(dice.choice(("", "i", "s", "m", "sm", "q", "iq"))))


def ask_pairs(seed, pairs, sides):
    """Random patterns, each with some texts; what differs."""
    dice = random.Random(seed)
    patterns, differ, refused = Patterns(dice), [], 0
    for number in range(pairs):
        if number % 4 == 0:
            pattern = patterns.pattern()
        asked = statement(dice, patterns, pattern)
        expected, got = (side.ask(asked) for side in sides)
        refused += isinstance(expected, tuple)
        if expected != got:
            differ.append((asked, expected, got))
    return differ, refused


def ask_characters(sides):
    """Every class and shorthand over all of Unicode; case, where a character has it."""
    tests = [f"x ~ '{pattern}'" for pattern in [f"[[:{name}:]]" for name in CLASSES] +
             [r"\w", r"\D", r"\s", r"[^\W_]", r"\M\Z", "(?n).", "(?n)[^a]"]]
    tests += [f"x ~* '{pattern}'" for pattern in ("[[:upper:]]", "[[:lower:]]", r"\w", "[à-ɏ]", "[^а-я]")]
    has_case = "CASE WHEN lower(x) || upper(x) <> x || x THEN {} END"
    tests += [has_case.format(test) for test in
              ("x ~* x", "lower(x) ~* x", "upper(x) ~* x", "x ~* ('[' || x || '-' || x || ']')", r"lower(x) || upper(x) ~* '^(.)\1$'")]
    sums = ", ".join(f"sum(c::bigint * c) FILTER (WHERE {test})" for test in tests)
    asked = (f"SELECT {sums} FROM (SELECT c, chr(c) AS x FROM generate_series(1, 1114111) AS c "
             "WHERE c NOT BETWEEN 55296 AND 57343) AS characters")
    expected, got = (side.ask(asked) for side in sides)
    if isinstance(got, tuple):
        return [(asked, "sums", got)], len(tests)
    return [item for item in zip(tests, expected[0], got[0]) if item[1] != item[2]], len(tests)


def main():
    scale = float(os.environ.get("KAPPA_TEST_SCALE", "1"))
    seed = int(os.environ.get("KAPPA_SEED", random.SystemRandom().randrange(2**32)))
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else int(PAIRS * scale)
    print(f"regex: seed {seed} (KAPPA_SEED replays it)", flush=True)
    postgres = Postgres()
    with tempfile.TemporaryDirectory(prefix="kappa-regex-") as folder:
        server = Server(os.path.join(folder, "data"))
        try:
            sides = Side(postgres.connect()), Side(server.connect())
            differ, refused = ask_pairs(seed, pairs, sides)
            more, tests = ask_characters(sides)
        finally:
            postgres.close()
            server.end()
    for asked, expected, got in (differ + more)[:SHOWN]:
        print(f"FAIL {asked}\n     PostgreSQL {expected}\n     kappa      {got}")
    print(f"regex: {pairs} pairs of a pattern and a text, {refused} refused alike, {tests} tests of every character; "
          f"{len(differ) + len(more)} differ")
    sys.exit(len(differ + more) > 0)


main()
