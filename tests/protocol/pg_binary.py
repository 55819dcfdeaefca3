"""Binary forms: what kappa sends and takes as binary results, parameters and COPY, byte by byte as PostgreSQL 15 does."""
import os
import sys

from _pypi import need
from _wire import expect

need(("psycopg",), "psycopg[binary]")
import psycopg  # noqa: E402
from psycopg import pq  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import postgres  # noqa: E402

if not postgres.installed():
    print("no PostgreSQL 15 is installed")
    sys.exit(77)
ORACLE = postgres.Postgres()
HERE = psycopg.connect("", autocommit=True)
THERE = psycopg.connect(f"host={ORACLE.folder} user=postgres dbname=postgres", autocommit=True)

VALUES = {
    "boolean": ["t", "f"],
    "smallint": ["0", "-1", "32767", "-32768"],
    "integer": ["0", "-1", "2147483647", "-2147483648"],
    "bigint": ["0", "-1", "9223372036854775807", "-9223372036854775808"],
    "oid": ["0", "4294967295"],
    "real": ["0", "-0", "1.5", "-3.4028235e38", "1e-45", "NaN", "Infinity", "-Infinity"],
    "double precision": ["0", "-0", "0.1", "1.7976931348623157e308", "5e-324", "NaN", "Infinity", "-Infinity"],
    "numeric": ["0", "0.00", "-0.0", "1", "-1", "10000", "9999", "0.0001", "0.00001", "123456789.123456789", "1e50", "1e-50",
                "-12345678901234567890123456789012345678901234567890.12345678901234567890123456789", "1.000", "100000000",
                "NaN", "Infinity", "-Infinity", "9" * 1000, "0." + "0" * 900 + "1", "1e131071", "1e-16383", "5000.0005", "0.1000"],
    "numeric(12,4)": ["0", "1.5", "-99999999.9999", "NaN"],
    "text": ["", "x", "grüße 'x' \\ \n", "😀", "a" * 5000],
    "varchar": ["", "grün"],
    "varchar(3)": ["abc", "grü"],
    "char(4)": ["", "ab", "grün"],
    "name": ["", "pg_class", "x" * 63],
    "bytea": ["", "\\x00ff", "\\x" + "ab" * 3000],
    "date": ["2000-01-01", "1999-12-31", "4713-11-24 BC", "5874897-12-31", "infinity", "-infinity"],
    "time": ["00:00", "24:00", "23:59:59.999999"],
    "time with time zone": ["00:00+00", "24:00-15:59:59", "12:34:56.789+05:30"],
    "timestamp": ["2000-01-01", "1999-12-31 23:59:59.999999", "4713-11-24 BC", "294276-12-31 23:59:59.999999", "infinity", "-infinity"],
    "timestamptz": ["2000-01-01 00:00+00", "1969-12-31 23:59:59.999999-08", "4713-11-24 00:00+00 BC", "infinity", "-infinity"],
    "interval": ["0", "1 year 2 months -3 days 04:05:06.789", "-178000000 years", "2147483647 days", "-2147483648 days", "1 month", "30 days",
                 "-0.000001 seconds"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "json": ["null", '{"b":  1, "a": [1, null, "x"], "b": 2}', '""'],
    "jsonb": ["null", '{"b":  1, "a": [1, null, "x"], "b": 2}', '""', "1e400", "[]", "{}"],
    "jsonpath": ["$", "strict $.a[*] ? (@.b > 1)"],
    "integer[]": ["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={7,8}", "[-2:-1][5:5]={{1},{2}}"],
    "text[]": ["{}", '{"a b",NULL,"NULL",""}'],
    "numeric[]": ["{1.0,NaN,1e30}"],
    "timestamptz[]": ["{2024-01-01 00:00+00,infinity}"],
    "boolean[]": ["{t,f,NULL}"],
    "uuid[]": ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"],
    "jsonb[]": ['{"{\\"a\\": 1}",null}'],
    "interval[]": ["{1 day,-1 month}"],
    "time with time zone[]": ["{01:02:03+04}"],
    "bytea[]": ['{"\\\\x00ff"}'],
}
QUERIES = [
    "SELECT NULL::int, NULL::text[], NULL::numeric", "SELECT 1::smallint + 1::bigint, 1 / 3.0, 2 ^ 0.5, 7 % 4", "SELECT 'x' || 'y', length('x')",
    "SELECT date '2024-02-29' + 1, date '2024-02-29' - date '2024-01-01', now() - now()",
    "SELECT array_agg(x), sum(x), avg(x), count(*), stddev(x) FROM generate_series(1, 5) x",
    "SELECT ARRAY[[1,2],[3,4]], ARRAY['a', NULL], ARRAY[1.5, NULL], '{}'::text[]", "SELECT jsonb_build_object('a', 1, 'b', ARRAY[1,2])",
    "SELECT ROW(1, 'x'::text, NULL::int)", "SELECT ROW(1.5, ARRAY[1,2], ROW(true, now() - now()))",
    "SELECT 'sad'::mood, '(1,\"a b\",2.50)'::triple, '(,,)'::triple",  # arrays of them have the numbers of their types in them
    "SELECT 5::positive, 'abc'::short", "SELECT extract(epoch FROM timestamp '2024-01-01'), date_part('year', date '2024-01-01')",
    "SELECT md5('x'), sha256('x'), encode('x', 'hex'), decode('00ff', 'hex')",
]
MADE = ["CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')", "CREATE TYPE triple AS (a int, b text, c numeric(6,2))",
        "CREATE DOMAIN positive AS int CHECK (VALUE > 0)", "CREATE DOMAIN short AS varchar(3)"]
# What is no value of its type, as (type, bytes).
BAD = [
    ("integer", b"\0\0\0"), ("bigint", b"\0" * 9), ("smallint", b""), ("boolean", b""), ("real", b"\0" * 8), ("double precision", b"\0" * 4),
    ("date", b"\x7f\xff\xff\xf0"), ("date", b"\0"), ("time", b"\xff" * 8), ("time", (86400000001).to_bytes(8, "big")),
    ("time with time zone", b"\0" * 8 + (57600).to_bytes(4, "big")), ("time with time zone", b"\xff" * 12), ("time with time zone", b"\0" * 8),
    ("timestamp", b"\x7f" + b"\xff" * 6 + b"\xf0"), ("timestamptz", b"\x80" + b"\0" * 6 + b"\1"), ("interval", b"\0" * 15), ("uuid", b"\0" * 15),
    ("text", b"\xff"), ("text", b"a\0b"), ("varchar", b"\xc3"), ("json", b"{"), ("jsonb", b"\1{"),
    ("numeric", b"\0\0"), ("numeric", b"\0\1\0\0\0\0\0\0\x27\x10"), ("numeric", b"\0\0\0\0\x12\x34\0\0"), ("numeric", b"\0\1\0\0\0\0\0\0"),
    ("numeric", b"\0\0\0\0\0\0\x40\0"), ("numeric", b"\0\1\0\0\0\0\0\0\0\1\0\1"),
    ("integer[]", b""), ("integer[]", b"\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\1\0\0\0\1\0\0\0\4\0\0\0\1"),
    ("integer[]", b"\0\0\0\7" + b"\0\0\0\0\0\0\0\x17"), ("integer[]", b"\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1\0\0\0\4\0\0\0\1"),
    ("integer[]", b"\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\1\0\0\0\1\0\0\0\3\0\0\1"), ("integer[]", b"\0\0\0\1\0\0\0\2\0\0\0\x17\0\0\0\1\0\0\0\1\0\0\0\4\0\0\0\1"),
    ("integer[]", b"\0\0\0\1\0\0\0\0\0\0\0\x17\xff\xff\xff\xff\0\0\0\1"), ("integer[]", b"\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\1\0\0\0\1\0\0\0\4\0\0\0\1\0"),
    ("jsonpath", b"\1$."), ("name", b"\xff"), ("bytea", b""), ("oid", b"\0"),
]


def run(connection, sql, parameters=None, types=None, formats=None):
    """(oids, modifiers, rows of bytes) of a query answered in binary, or its SQLSTATE."""
    result = connection.pgconn.exec_params(sql.encode(), parameters, types, formats, 1)
    if result.status != pq.ExecStatus.TUPLES_OK:
        return (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    columns = range(result.nfields)
    own = [n for n in columns if result.ftype(n) >= 10000]  # types that statements made have numbers of their own
    return ([0 if n in own else result.ftype(n) for n in columns], [result.fmod(n) for n in columns], [result.fsize(n) for n in columns],
            [result.fformat(n) for n in columns], [[result.get_value(row, n) for n in columns] for row in range(result.ntuples)])


def same(wrong, what, *arguments):
    here, there = run(HERE, *arguments), run(THERE, *arguments)
    if here != there:
        wrong.append(f"{what}\n  PostgreSQL {str(there)[:500]}\n  kappa      {str(here)[:500]}")
    return there


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def test_results(wrong):
    for type_name, texts in VALUES.items():
        for text in texts:
            same(wrong, f"{text[:60]}::{type_name}", f"SELECT {quoted(text)}::{type_name}")
        if not type_name.endswith("[]"):
            every = ", ".join(quoted(text) for text in texts)
            same(wrong, f"array of {type_name}", f"SELECT ARRAY[{every}, NULL]::{type_name}[]")
            same(wrong, f"row of {type_name}", f"SELECT ROW({quoted(texts[-1])}::{type_name}, NULL::{type_name})")
    for query in QUERIES:
        same(wrong, query, query)


def test_parameters(wrong):
    for type_name, texts in VALUES.items():
        oid = run(THERE, f"SELECT NULL::{type_name}")[0][0]
        for text in texts:
            sent = run(THERE, f"SELECT {quoted(text)}::{type_name}")[4][0][0]
            same(wrong, f"parameter {text[:60]}::{type_name} as text", "SELECT $1::text", [sent], [oid], [1])
            same(wrong, f"parameter {text[:60]}::{type_name} back", f"SELECT $1::{type_name}", [sent], [oid], [1])
            same(wrong, f"parameter {text[:60]}::{type_name} given as text", f"SELECT $1::{type_name}", [text.encode()], [oid], [0])
        same(wrong, f"parameter NULL::{type_name}", f"SELECT $1::{type_name}, $1 IS NULL", [None], [oid], [1])


def test_bad(wrong):
    for type_name, sent in BAD:
        oid = run(THERE, f"SELECT NULL::{type_name}")[0][0]
        same(wrong, f"parameter {sent!r}::{type_name}", f"SELECT $1::{type_name}", [sent], [oid], [1])


def test_tables(wrong):
    """The same through a table's rows, written by binary parameters."""
    for table, (type_name, texts) in enumerate(VALUES.items()):
        if type_name in ("json", "jsonpath", "name", "oid"):
            continue
        for connection in (HERE, THERE):
            connection.execute(f"CREATE TABLE holder{table} (k int PRIMARY KEY, v {type_name})")
        oid = run(THERE, f"SELECT NULL::{type_name}")[0][0]
        for n, text in enumerate(texts):
            sent = run(THERE, f"SELECT {quoted(text)}::{type_name}")[4][0][0]
            for connection in (HERE, THERE):
                result = connection.pgconn.exec_params(f"INSERT INTO holder{table} VALUES ($1, $2)".encode(), [n.to_bytes(4, "big"), sent], [23, oid], [1, 1], 1)
                if result.status != pq.ExecStatus.COMMAND_OK:
                    wrong.append(f"insert {text[:60]}::{type_name}: {result.error_message.decode()}")
        same(wrong, f"table of {type_name}", f"SELECT k, v FROM holder{table} ORDER BY k")
        same(wrong, f"min and max of {type_name}", f"SELECT array_agg(k ORDER BY v, k) FROM holder{table}")


def copied_out(connection, statement):
    """The bytes of a COPY TO STDOUT, or its SQLSTATE."""
    try:
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            return b"".join(bytes(piece) for piece in copy)
    except psycopg.Error as error:
        return error.sqlstate


def copied_in(connection, statement, data, piece):
    """How a COPY FROM STDIN of pieces ends: its SQLSTATE, or None."""
    try:
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for at in range(0, len(data), piece):
                copy.write(data[at:at + piece])
    except psycopg.Error as error:
        return error.sqlstate
    return None


def test_copy(wrong):
    """COPY … (FORMAT binary), both ways: of every type, of rows, and of what is no such data."""
    for type_name, texts in VALUES.items():
        rows = ", ".join(f"({n}, {quoted(text)}::{type_name})" for n, text in enumerate(texts))
        statement = f"COPY (SELECT * FROM (VALUES {rows}, ({len(texts)}, NULL)) v (k, v) ORDER BY k) TO STDOUT (FORMAT binary)"
        here, there = copied_out(HERE, statement), copied_out(THERE, statement)
        if here != there:
            wrong.append(f"COPY of {type_name}\n  PostgreSQL {there[:300]!r}\n  kappa      {here[:300]!r}")
    for connection in (HERE, THERE):
        connection.execute("CREATE TABLE copied (k int PRIMARY KEY, t text, n numeric, a int[], z timetz)")
        connection.execute("CREATE TABLE target (k int PRIMARY KEY, t text, n numeric, a int[], z timetz)")
        connection.execute("INSERT INTO copied SELECT g, repeat('x', g), g / 7.0, ARRAY[g, NULL], '10:00+02' FROM generate_series(1, 500) g")
    data = copied_out(THERE, "COPY (SELECT * FROM copied ORDER BY k) TO STDOUT (FORMAT binary)")
    expect(copied_out(HERE, "COPY (SELECT * FROM copied ORDER BY k) TO STDOUT (FORMAT binary)"), data)
    expect(copied_in(HERE, "COPY target FROM STDIN (FORMAT binary)", data, 1000), None)
    same(wrong, "what was copied", "SELECT * FROM target ORDER BY k") if copied_in(THERE, "COPY target FROM STDIN (FORMAT binary)", data, 7) is None else None
    expect(copied_in(HERE, "COPY target (t, k) FROM STDIN (FORMAT binary)", data[:19] + b"\0\2\xff\xff\xff\xff\0\0\0\4\0\0\xff\xff", 1), None)
    expect(HERE.execute("SELECT * FROM target WHERE k = 65535").fetchone(), (65535, None, None, None, None))
    head, row = data[:19], b"\0\2\0\0\0\4\0\1\0\0\0\0\0\1x"
    for broken in (b"", data[:5], data[:15], data[:18], b"x" + data[1:], data[:11] + b"\0\1\0\0" + data[15:19], data[:11] + b"\0\2\0\0" + data[15:19],
                   head, head + b"\0", head + b"\0\3", head + row[:-1], head + b"\0\2\0\0\0\3\0\1\0\0\0\0\1x", head + b"\0\2\xff\xff\xff\xfe",
                   head + row + b"\xff\xff" + b"x", head + row + row, head + b"\0\2\0\0\0\4\0\2\0\0\0\0\0\1\xff", head + row + b"\xff\xff",
                   data[:15] + b"\0\0\0\3abc" + b"\xff\xff", data[:15] + b"\0\0\0\3a"):
        for connection in (HERE, THERE):
            connection.execute("DELETE FROM target")
        for piece in (1, 1000):
            here, there = (copied_in(connection, "COPY target (k, t) FROM STDIN (FORMAT binary)", broken, piece) for connection in (HERE, THERE))
            if here != there:
                wrong.append(f"COPY FROM {broken!r} by {piece}: PostgreSQL {there}, kappa {here}")
    for options in ("FORMAT binary, DELIMITER ','", "FORMAT binary, NULL 'x'", "FORMAT binary, HEADER", "FORMAT binary, QUOTE '\"'"):
        expect(copied_out(HERE, f"COPY copied TO STDOUT ({options})"), copied_out(THERE, f"COPY copied TO STDOUT ({options})"))


try:
    for statement in MADE:
        HERE.execute(statement)
        THERE.execute(statement)
    found = []
    for test in (test_results, test_parameters, test_bad, test_tables, test_copy):
        test(found)
    for difference in found:
        print(difference)
    expect(len(found), 0)
finally:
    HERE.close()
    THERE.close()
    ORACLE.close()
print("ok")
