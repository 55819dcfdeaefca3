"""What a session's statements say beside rows, as PostgreSQL does: warnings, the names in a constraint's error, AND CHAIN,
DISCARD, settings that pools, dumps and planners' users set, which notices are sent."""
import _wire
from _wire import expect

wire = _wire.Wire()


def said(sql):
    """What a statement answers with: tags, codes of errors and notices, rows; and the transaction's state."""
    out = []
    for kind, body in wire.ask(_wire.query(sql)):
        if kind in "EN":
            out.append(kind + _wire.fields(body)["C"])
        elif kind == "C":
            out.append(body[:-1].decode())
        elif kind == "D":
            out.append("|".join("" if v is None else v for v in _wire.row(body)))
        elif kind == "Z":
            out.append(body.decode())
    return out


def names(sql):
    error = _wire.error(wire.ask(_wire.query(sql)))
    return error["C"], {letter: error[letter] for letter in "stcdn" if letter in error}


def test_names():
    said("CREATE DOMAIN positive AS int CONSTRAINT above CHECK (VALUE > 0)")
    said("CREATE TABLE \"Ab\" (k int PRIMARY KEY, b text NOT NULL, c int CHECK (c > 0), d positive, CONSTRAINT small CHECK (k < 1000))")
    table = "Ab"
    said("INSERT INTO \"Ab\" VALUES (1, 'x', 1, 1)")
    expect(names("INSERT INTO \"Ab\" VALUES (1, 'x', 1, 1)"), ("23505", {"s": "public", "t": table, "n": table + "_pkey"}))
    expect(names("INSERT INTO \"Ab\" VALUES (2, NULL, 1, 1)"), ("23502", {"s": "public", "t": table, "c": "b"}))
    expect(names("UPDATE \"Ab\" SET c = -1"), ("23514", {"s": "public", "t": table, "n": table + "_c_check"}))
    expect(names("INSERT INTO \"Ab\" VALUES (2000, 'x', 1, 1)"), ("23514", {"s": "public", "t": table, "n": "small"}))
    expect(names("INSERT INTO \"Ab\" VALUES (2, 'x', 1, -1)"), ("23514", {"s": "public", "d": "positive", "n": "above"}))
    expect(names("SELECT 1/0"), ("22012", {}))


def test_transactions():
    expect(said("ROLLBACK"), ["N25P01", "ROLLBACK", "I"])
    expect(said("COMMIT"), ["N25P01", "COMMIT", "I"])
    expect(said("COMMIT AND CHAIN"), ["E25P01", "I"])
    said("CREATE TABLE chained (k int PRIMARY KEY)")
    expect(said("BEGIN"), ["BEGIN", "T"])
    said("INSERT INTO chained VALUES (1)")
    expect(said("COMMIT AND CHAIN"), ["COMMIT", "T"])
    said("INSERT INTO chained VALUES (2)")
    expect(said("ROLLBACK AND CHAIN"), ["ROLLBACK", "T"])
    said("INSERT INTO chained VALUES (1)")
    expect(said("COMMIT AND CHAIN"), ["ROLLBACK", "T"])
    expect(said("COMMIT AND NO CHAIN"), ["COMMIT", "I"])
    expect(said("BEGIN READ ONLY"), ["BEGIN", "T"])
    said("COMMIT AND CHAIN")
    expect(said("INSERT INTO chained VALUES (3)"), ["E25006", "E"])
    said("ROLLBACK")
    expect(said("SELECT k FROM chained"), ["1", "SELECT 1", "I"])


def test_discard():
    expect(said("DISCARD TEMP"), ["DISCARD TEMP", "I"])
    expect(said("DISCARD PLANS"), ["DISCARD PLANS", "I"])
    expect(said("UNLISTEN *"), ["UNLISTEN", "I"])
    said("BEGIN")
    expect(said("DISCARD ALL"), ["E25001", "E"])
    said("ROLLBACK")
    expect(said("DISCARD ALL"), ["DISCARD ALL", "I"])


def test_settings():
    for setting, good, bad in (("work_mem", "64MB", "64 parsecs"), ("enable_seqscan", "off", "maybe"), ("random_page_cost", "1.1", "much"),
                               ("extra_float_digits", "3", "99"), ("bytea_output", "hex", "escape"), ("synchronize_seqscans", "off", "2"),
                               ("client_min_messages", "error", "loud")):
        expect(said("SET %s = '%s'" % (setting, good)), ["SET", "I"])
        expect(said("SHOW %s" % setting), [good, "SHOW", "I"])
        expect(said("SET %s = '%s'" % (setting, bad))[0][:3] in ("E22", "E0A"), True)
    expect(said("DROP TABLE IF EXISTS nothing"), ["DROP TABLE", "I"])
    expect(said("ROLLBACK"), ["ROLLBACK", "I"])
    said("SET client_min_messages = warning")
    expect(said("DROP TABLE IF EXISTS nothing"), ["DROP TABLE", "I"])
    expect(said("ROLLBACK"), ["N25P01", "ROLLBACK", "I"])
    said("RESET ALL")
    expect(said("DROP TABLE IF EXISTS nothing"), ["N00000", "DROP TABLE", "I"])


_wire.main(globals())
