"""The PostgreSQL protocol message by message. What is expected is what PostgreSQL 15 answers, but where
it says so: the script was run there too."""
import struct
import time

from _wire import *


def setup():
    wire = Wire()
    wire.rows("CREATE TABLE wire (k int PRIMARY KEY, v text)")
    wire.rows("INSERT INTO wire VALUES " + ", ".join("(%d, 'v%d')" % (i, i) for i in range(10)))
    wire.finish()


setup()


def test_startup():
    wire = Wire(application_name="pg_wire")
    for name in ("server_version", "server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes",
                 "standard_conforming_strings", "IntervalStyle", "application_name"):
        assert name in wire.parameters, name
    assert wire.parameters["server_version"].startswith("15"), wire.parameters
    expect(wire.parameters["client_encoding"], "UTF8")
    expect(wire.parameters["application_name"], "pg_wire")
    assert wire.key


def test_ssl_then_startup():
    wire = Wire(connect=False)
    wire.send(struct.pack("!II", 8, 80877103))
    expect(wire.exactly(1), b"N")
    wire.send(startup(user="kappa", database="kappa"))
    expect(wire.until("Z")[0][0], "R")


def test_gss():
    wire = Wire(connect=False)
    wire.send(struct.pack("!II", 8, 80877104))
    assert wire.exactly(1) in (b"N", b"G")  # PostgreSQL may know Kerberos


def test_later_minor_version():
    wire = Wire(connect=False)
    body = struct.pack("!I", 196610) + text("user") + text("kappa") + text("_pq_.nothing") + text("1") + b"\0"
    wire.send(struct.pack("!I", len(body) + 4) + body)
    got = wire.until("Z")
    expect(got[0][0], "v")
    expect(got[0][1], struct.pack("!II", 0 if got[0][1][:4] == b"\0\0\0\0" else 196608, 1) + text("_pq_.nothing"))


def test_simple():
    wire = Wire()
    expect(kinds(wire.ask(query("SELECT k, v FROM wire WHERE k = 3"))), "TDCZ")
    expect(kinds(wire.ask(query(""))), "IZ")
    expect(kinds(wire.ask(query(" ; -- nothing\n;"))), "IZ")
    expect(wire.rows("SELECT v FROM wire WHERE k = 3"), [["v3"]])
    expect(tags(wire.ask(query("SELECT v FROM wire; SELECT 1"))), ["SELECT 10", "SELECT 1"])


def test_row_description():
    wire = Wire()
    body = dict(wire.ask(query("SELECT k, v FROM wire WHERE k = 1")))["T"]
    expect(struct.unpack("!H", body[:2])[0], 2)
    assert body[2:4] == b"k\0"
    oid, length, mod, code = struct.unpack("!IhiH", body[10:22])
    expect((oid, length, mod, code), (23, 4, -1, 0))


def test_several_are_one_transaction():
    wire = Wire()
    got = wire.ask(query("INSERT INTO wire VALUES (100, 'x'); SELECT 1/0"))
    expect(error(got)["C"], "22012")
    expect(got[-1][1], b"I")
    expect(wire.rows("SELECT v FROM wire WHERE k = 100"), [])
    # a mistake in the last finds nothing done, not even what was committed before it
    got = wire.ask(query("BEGIN; INSERT INTO wire VALUES (100, 'x'); COMMIT; SELEC 1"))
    expect(kinds(got), "EZ")
    expect(error(got)["P"], "52")
    expect(wire.rows("SELECT v FROM wire WHERE k = 100"), [])
    wire.rows("INSERT INTO wire VALUES (100, 'x'); INSERT INTO wire VALUES (101, 'y')")
    expect(wire.rows("SELECT v FROM wire WHERE k >= 100 ORDER BY k"), [["x"], ["y"]])
    wire.rows("DELETE FROM wire WHERE k >= 100")


def test_block():
    wire = Wire()
    expect(wire.ask(query("BEGIN"))[-1][1], b"T")
    got = wire.ask(query("SELECT nonsense"))
    expect(error(got)["C"], "42703")
    expect(got[-1][1], b"E")
    got = wire.ask(query("SELECT 1"))
    expect(error(got)["C"], "25P02")
    got = wire.ask(query("COMMIT"))
    expect(tags(got), ["ROLLBACK"])
    expect(got[-1][1], b"I")


def test_error_fields():
    wire = Wire()
    fields_ = error(wire.ask(query("SELECT k,\n  nosuch FROM wire")))
    expect((fields_["S"], fields_["V"], fields_["C"], fields_["P"]), ("ERROR", "ERROR", "42703", "13"))
    expect(error(wire.ask(query("SELECT 1; SELECT 'ü', nosuch")))["P"], "23")


def test_extended():
    wire = Wire()
    got = wire.ask(parse("SELECT k, v FROM wire WHERE k = $1", oids=[23]) + describe("S") + bind(["4"]) + describe("P") +
                   execute() + SYNC)
    expect(kinds(got), "1tT2TDCZ")
    expect(row(dict(got)["D"]), ["4", "v4"])
    expect(dict(got)["t"], struct.pack("!HI", 1, 23))


def test_inferred_parameter():
    wire = Wire()
    got = wire.ask(parse("SELECT v FROM wire WHERE k = $1") + describe("S") + SYNC)
    expect(dict(got)["t"], struct.pack("!HI", 1, 23))


def test_binary():
    wire = Wire()
    got = wire.ask(parse("SELECT k, v, k = 5, k::bigint * 10000000000, k::float8 / 2, k::numeric FROM wire WHERE k = $1", oids=[23]) +
                   bind([struct.pack("!i", 5)], formats=[1], results=[1]) + execute() + SYNC)
    expect(kinds(got), "12DCZ")
    body = dict(got)["D"]
    expect(body, struct.pack("!H", 6) + struct.pack("!Ii", 4, 5) + struct.pack("!I", 2) + b"v5" + struct.pack("!IB", 1, 1) +
           struct.pack("!Iq", 8, 50000000000) + struct.pack("!Id", 8, 2.5) + struct.pack("!IHHHHH", 10, 1, 0, 0, 0, 5))
    got = wire.ask(bind([struct.pack("!i", 5)], formats=[1], results=[0, 1, 0, 0, 0, 0]) + execute() + SYNC)
    expect(row(dict(got)["D"])[:2], ["5", "v5"])
    got = wire.ask(bind([b"\0"], formats=[1]) + SYNC)
    expect(kinds(got), "EZ")


def test_bind_mistakes():
    wire = Wire()
    wire.ask(parse("SELECT v FROM wire WHERE k = $1", name="one") + SYNC)
    for data, code in ((bind([], name="one"), "08P01"), (bind(["1", "2"], name="one"), "08P01"),
                       (bind(["x"], name="one"), "22P02"), (bind(["1"], name="none"), "26000"),
                       (bind(["1"], name="one", formats=[2]), "22023"), (bind(["1"], name="one", formats=[0, 0]), "08P01"),
                       (bind(["1"], name="one", results=[0, 0]), "08P01"), (bind([b"\xff"], name="one"), "22021"),
                       (message("B", b"\0one\0\0\0\0\1\0\0"), "08P01")):
        got = wire.ask(data + execute() + SYNC)
        expect((kinds(got), error(got)["C"]), ("EZ", code))
    expect(kinds(wire.ask(bind([None], name="one") + execute() + SYNC)), "2CZ")


def test_named():
    wire = Wire()
    wire.ask(parse("SELECT 1", name="p") + SYNC)
    expect(error(wire.ask(parse("SELECT 2", name="p") + SYNC))["C"], "42P05")
    expect(kinds(wire.ask(close("S", "p") + close("S", "p") + close("P", "q") + SYNC)), "333Z")
    expect(error(wire.ask(bind(name="p") + SYNC))["C"], "26000")
    wire.ask(parse("SELECT 1", name="p") + SYNC)
    expect(tags(wire.ask(query("DEALLOCATE p"))), ["DEALLOCATE"])
    expect(error(wire.ask(bind(name="p") + SYNC))["C"], "26000")
    expect(error(wire.ask(execute("q") + SYNC))["C"], "34000")
    expect(error(wire.ask(parse("SELECT 1; SELECT 2") + SYNC))["C"], "42601")
    expect(kinds(wire.ask(parse("") + describe("S") + bind() + describe("P") + execute() + SYNC)), "1tn2nIZ")


def test_suspended():
    wire = Wire()
    wire.ask(query("BEGIN"))
    got = wire.ask(parse("SELECT k FROM wire ORDER BY k") + bind(portal="c") + execute("c", 4) + execute("c", 4) +
                   execute("c", 4) + execute("c", 4) + SYNC)
    expect(kinds(got), "12DDDDsDDDDsDDCCZ")
    expect([row(b)[0] for k, b in got if k == "D"], [str(i) for i in range(10)])
    expect(tags(got), ["SELECT 2", "SELECT 0"])
    expect(error(wire.ask(bind(portal="c") + SYNC))["C"], "42P03")
    wire.ask(query("ROLLBACK"))
    wire.ask(query("BEGIN"))
    expect(error(wire.ask(execute("c") + SYNC))["C"], "34000")
    wire.ask(query("ROLLBACK"))


def test_pipeline_is_one_transaction():
    wire = Wire()
    insert = parse("INSERT INTO wire VALUES ($1, $2)", oids=[23, 25])
    got = wire.ask(insert + bind(["200", "a"]) + execute() + bind(["201", "b"]) + execute() + bind(["200", "c"]) + execute() +
                   bind(["202", "d"]) + execute() + SYNC)
    expect(error(got)["C"], "23505")
    expect(wire.rows("SELECT k FROM wire WHERE k >= 200"), [])
    got = wire.ask(insert + bind(["200", "a"]) + execute() + SYNC + bind(["201", "b"]) + execute() + SYNC)
    expect(kinds(got + wire.until("Z")), "12CZ2CZ")
    expect(wire.rows("SELECT k FROM wire WHERE k >= 200 ORDER BY k"), [["200"], ["201"]])
    wire.rows("DELETE FROM wire WHERE k >= 200")


def test_skips_to_sync():
    wire = Wire()
    wire.send(parse("SELECT nosuch") + query("SELECT 1") + bind() + execute() + SYNC + query("SELECT 2"))
    expect(kinds(wire.until("Z")), "EZ")
    expect(kinds(wire.until("Z")), "TDCZ")


def test_flush():
    wire = Wire()
    wire.send(parse("SELECT 1") + describe("S") + FLUSH)
    expect(kinds(wire.until("T", "n")), "1tT")
    wire.send(SYNC)
    expect(kinds(wire.until("Z")), "Z")


def test_many_small_messages():
    wire = Wire()
    wire.ask(parse("SELECT v FROM wire WHERE k = $1", name="q", oids=[23]) + SYNC)
    wire.send(b"".join(bind([str(i % 10)], name="q") + execute() + SYNC for i in range(1000)))
    for i in range(1000):
        got = wire.until("Z")
        expect(row(dict(got)["D"]), ["v%d" % (i % 10)])


def test_same_parse_again():
    """Clients that keep no statements send the same Parse each time; it must not outlive what it was bound to."""
    wire, other = Wire(), Wire()
    other.rows("CREATE TABLE again (k int PRIMARY KEY, v text)")
    other.rows("INSERT INTO again VALUES (1, 'a')")
    read = parse("SELECT v FROM again WHERE k = $1") + describe("S") + bind(["1"]) + execute() + SYNC
    wire.rows("SELECT 1")
    for _ in range(500):  # until the other session's row is seen
        got = wire.ask(read)
        if "D" in kinds(got):
            break
    for _ in range(3):
        got = wire.ask(read)
        expect((kinds(got), row(dict(got)["D"])), ("1tT2DCZ", ["a"]))
    other.rows("DROP TABLE again")
    expect(error(wire.ask(read))["C"], "42P01")
    other.rows("CREATE TABLE again (k int PRIMARY KEY, v bigint)")
    wire.rows("INSERT INTO again VALUES (1, 7)")
    got = wire.ask(read)
    expect(row(dict(got)["D"]), ["7"])
    expect(struct.unpack("!I", dict(got)["T"][2 + 2 + 6 : 2 + 2 + 10])[0], 20)


def test_byte_by_byte():
    wire = Wire(connect=False)
    data = startup(user="kappa", database="kappa") + query("SELECT v FROM wire WHERE k = 7")
    for i in range(len(data)):
        wire.send(data[i : i + 1])
        if i % 16 == 0:
            time.sleep(0.002)
    wire.until("Z")
    expect(row(dict(wire.until("Z"))["D"]), ["v7"])


def test_copy_in():
    wire = Wire()
    wire.send(query("COPY wire FROM STDIN"))
    expect(wire.read()[0], "G")
    wire.send(message("d", b"300\ta\n30") + message("d", b"1\t\\N\n") + message("H") + message("S") + message("c"))
    got = wire.until("Z")
    expect((kinds(got), tags(got)), ("CZ", ["COPY 2"]))
    expect(wire.rows("SELECT v FROM wire WHERE k >= 300 ORDER BY k"), [["a"], [None]])
    for data, code in ((message("d", b"x\ty\n"), "22P02"), (message("f", text("changed my mind")), "57014"),
                       (message("d", b"302\n") + message("c"), "22P04")):
        wire.send(query("COPY wire FROM STDIN"))
        expect(wire.read()[0], "G")
        wire.send(data + message("c"))
        expect(error(wire.until("Z"))["C"], code)
    # several statements around it
    wire.send(query("COPY wire FROM STDIN; SELECT count(*) FROM wire; COPY wire FROM STDIN"))
    expect(wire.read()[0], "G")
    wire.send(message("d", b"302\tb\n") + message("c"))
    expect(kinds(wire.until("G")), "CTDCG")
    wire.send(message("d", b"303\tc\n") + message("c"))
    expect(kinds(wire.until("Z")), "CZ")
    expect(wire.rows("SELECT count(*) FROM wire WHERE k >= 300"), [["4"]])
    wire.rows("DELETE FROM wire WHERE k >= 300")


def test_copy_in_interrupted():
    """PostgreSQL gives up the connection here; kappa has read the message whole and can go on."""
    wire = Wire()
    wire.send(query("COPY wire FROM STDIN"))
    expect(wire.read()[0], "G")
    wire.send(query("SELECT 1"))
    expect(error(wire.until("Z"))["C"], "08P01")
    expect(wire.rows("SELECT 1"), [["1"]])


def test_copy_in_extended():
    wire = Wire()
    wire.send(parse("COPY wire FROM STDIN (FORMAT csv)") + bind() + describe("P") + execute() + FLUSH)
    expect(kinds(wire.until("G")), "12nG")
    wire.send(message("d", b'400,"a ""b"""\n') + message("c") + SYNC)
    expect(kinds(wire.until("Z")), "CZ")
    expect(wire.rows("SELECT v FROM wire WHERE k = 400"), [['a "b"']])
    wire.rows("DELETE FROM wire WHERE k = 400")


def test_copy_out():
    wire = Wire()
    got = wire.ask(query("COPY (SELECT k, v FROM wire WHERE k < 2 ORDER BY k) TO STDOUT (FORMAT csv, HEADER)"))
    expect(kinds(got), "HdddcCZ")
    expect(b"".join(b for k, b in got if k == "d"), b"k,v\n0,v0\n1,v1\n")
    expect(tags(got), ["COPY 2"])


def test_cancel():
    wire, other = Wire(), Wire(connect=False)
    other.send(struct.pack("!IIII", 16, 80877102, wire.key[0], wire.key[1] ^ 1))  # a wrong secret does nothing
    assert other.closed()
    other = Wire(connect=False)
    other.send(struct.pack("!IIII", 16, 80877102, *wire.key))  # nor does one that comes while nothing runs
    assert other.closed()
    expect(wire.rows("SELECT v FROM wire WHERE k = 1"), [["v1"]])


def test_function_call():
    wire = Wire()
    got = wire.ask(message("F", struct.pack("!IHHH", 0, 0, 0, 0)))
    expect(kinds(got), "EZ")
    expect(kinds(wire.ask(query("SELECT 1"))), "TDCZ")


def test_setting_is_reported():
    wire = Wire()
    got = wire.ask(query("SET TimeZone = 'Europe/Berlin'"))
    assert ("S", text("TimeZone") + text("Europe/Berlin")) in got, got
    got = wire.ask(query("SET application_name = 'x'"))
    assert ("S", text("application_name") + text("x")) in got, got


def test_cursors():
    wire = Wire()
    expect(error(wire.ask(query("DECLARE c CURSOR FOR SELECT k FROM wire ORDER BY k")))["C"], "25P01")
    wire.ask(query("BEGIN"))
    expect(tags(wire.ask(query("DECLARE c CURSOR FOR SELECT k FROM wire ORDER BY k"))), ["DECLARE CURSOR"])
    got = wire.ask(query("FETCH 3 FROM c; MOVE 2 IN c; FETCH NEXT FROM c"))
    expect(tags(got), ["FETCH 3", "MOVE 2", "FETCH 1"])
    expect([row(b)[0] for k, b in got if k == "D"], ["0", "1", "2", "5"])
    got = wire.ask(parse("FETCH ALL c") + bind(results=[1]) + describe("P") + execute() + SYNC)
    expect(kinds(got), "12TDDDDCZ")
    expect(tags(got), ["FETCH 4"])
    expect(tags(wire.ask(query("CLOSE c"))), ["CLOSE CURSOR"])
    expect(error(wire.ask(query("FETCH c")))["C"], "34000")
    wire.ask(query("ROLLBACK"))
    wire.ask(query("DECLARE h CURSOR WITH HOLD FOR SELECT k FROM wire ORDER BY k"))
    expect(wire.rows("FETCH 2 h"), [["0"], ["1"]])
    wire.ask(query("CLOSE ALL"))


def test_discard_all():
    wire = Wire()
    wire.ask(parse("SELECT 1", name="p") + SYNC)
    expect(tags(wire.ask(query("DISCARD ALL"))), ["DISCARD ALL"])
    expect(error(wire.ask(bind(name="p") + SYNC))["C"], "26000")


main(globals())
