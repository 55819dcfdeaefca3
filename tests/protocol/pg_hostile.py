"""A client that sends garbage, stops in the middle, asks for too much or goes away harms only itself."""
import random
import struct
import time

from _wire import *

good = Wire()
good.rows("CREATE TABLE hostile (k int PRIMARY KEY, v text)")


def still_serves():
    expect(good.rows("SELECT 1"), [["1"]])
    wire = Wire()
    expect(wire.rows("SELECT 2"), [["2"]])
    wire.finish()


def test_not_postgresql():
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0\0\0\0", b"\xff" * 4,
                 struct.pack("!II", 8, 131072), struct.pack("!II", 8, 196608), struct.pack("!II", 9, 196608) + b"x"):
        wire = Wire(connect=False)
        wire.send(data)
        assert wire.closed(), data
    still_serves()


def test_stops_in_the_middle():
    stopped = []
    for data in (b"", b"\0\0", startup(user="x")[:9]):
        wire = Wire(connect=False)
        wire.send(data)
        stopped.append(wire)
    for data in (b"Q", query("SELECT 1")[:7], message("P", b"\0SELECT")[:9], b"Q\0\1\0\0SELECT 1"):
        wire = Wire()
        wire.send(data)
        stopped.append(wire)
    wire = Wire()
    wire.send(query("COPY hostile FROM STDIN") + message("d", b"1\ta\n2"))
    expect(wire.read()[0], "G")
    stopped.append(wire)
    still_serves()
    for wire in stopped:
        wire.finish()
    time.sleep(0.2)
    expect(good.rows("SELECT count(*) FROM hostile"), [["0"]])
    still_serves()


def test_bad_messages():
    for data in (b"\0\0\0\0\4", b"Q\0\0\0\3", b"Q\xff\xff\xff\xff", b"\x80\0\0\0\4", b"k\0\0\0\4"):
        wire = Wire()
        wire.send(data)
        last = wire.until("E")[-1][1]
        expect((fields(last)["S"], fields(last)["C"]), ("FATAL", "08P01"))
        assert wire.closed(), data
    still_serves()


def test_bad_bodies():
    """Well framed but wrong inside: an error, and the connection lives on."""
    wire = Wire()
    for data in (message("Q", b"SELECT 1"), message("Q", b""), message("Q", b"SELECT 1\0more\0"), message("Q", b"SELECT '\xff'\0")):
        expect(kinds(wire.ask(data)), "EZ")
    for data in (message("P"), message("P", b"\0SELECT 1\0\0\1"), message("B", b"\0"), message("B", b"\0\0\0\1"), message("D", b"Q\0"),
                 message("D"), message("E"), message("E", b"\0\0"), message("C", b"X\0"), message("P", b"\0SELECT '\xff'\0\0\0"),
                 message("B", b"\0\0\xff\xff"), message("P", b"\0SELECT 1\0\xff\xff")):
        got = wire.ask(data + SYNC)
        expect(kinds(got), "EZ")
    expect(wire.rows("SELECT 1"), [["1"]])


def test_nested_too_deep():
    wire = Wire()
    for sql in ("SELECT " + "(" * 20000 + "1" + ")" * 20000, "SELECT " + "-" * 1 + "1" + "+1" * 100000, "SELECT " + "NOT " * 20000 + "true",
                "SELECT " + "CASE WHEN true THEN " * 5000 + "1" + " END" * 5000):
        got = wire.ask(query(sql))
        assert kinds(got)[-1] == "Z"
    expect(wire.rows("SELECT 1"), [["1"]])
    still_serves()


def test_too_long():
    wire = Wire()
    expect(len(wire.rows("SELECT '" + "x" * (20 << 20) + "'")[0][0]), 20 << 20)
    got = wire.ask(query("SELECT " + "-" + " -" * (10 << 20)))  # more words than a statement may have
    expect(error(got)["C"], "54000")
    expect(wire.rows("SELECT 1"), [["1"]])
    # longer than what is held: skipped as it comes
    wire.send(b"Q" + struct.pack("!I", (80 << 20) + 4))
    for _ in range(80):
        wire.send(b"x" * (1 << 20))
    got = wire.until("Z")
    expect(error(got)["C"], "54000")
    expect(wire.rows("SELECT 1"), [["1"]])
    # a record of 20 MB, as a parameter
    got = wire.ask(parse("INSERT INTO hostile VALUES ($1, $2)", oids=[23, 25]) + bind(["1", "x" * 20000000]) + execute() + SYNC)
    assert "E" in kinds(got), kinds(got)
    expect(wire.rows("SELECT count(*) FROM hostile"), [["0"]])


def test_random():
    rng = random.Random(1)
    kinds_ = "QPBDECSHFXdcf" + "zZ\0"
    for _ in range(300):
        wire = Wire()
        try:
            for _ in range(rng.randrange(1, 20)):
                kind = rng.choice(kinds_)
                body = bytes(rng.choice(b"\0\0\0\1\2SELECT 1;$\xffx") for _ in range(rng.randrange(40)))
                wire.send(message(kind, body))
        except (ConnectionError, BrokenPipeError):
            pass
        wire.finish()
    still_serves()


def test_goes_away():
    """In the middle of a large result, and while waiting for one."""
    good.rows("DELETE FROM hostile")
    wire = Wire()
    wire.send(query("COPY hostile FROM STDIN"))
    for i in range(20):
        wire.send(message("d", b"".join(b"%d\t%s\n" % (i * 1000 + j, b"y" * 1000) for j in range(1000))))
    wire.send(message("c"))
    expect(tags(wire.until("Z")), ["COPY 20000"])
    for _ in range(3):
        wire = Wire()
        wire.send(query("SELECT * FROM hostile") * 5)
        wire.socket.recv(1000)
        wire.finish()
    wire = Wire()
    wire.send(query("SUBSCRIBE TO hostile"))
    wire.socket.recv(1000)
    wire.finish()
    still_serves()


def test_never_reads():
    """Answers pile up for a client that does not read: it is held back, the others are not."""
    wire = Wire()
    wire.socket.settimeout(1)
    try:
        for _ in range(50):
            wire.send(query("SELECT * FROM hostile"))
    except OSError:
        pass
    still_serves()
    wire.finish()


def test_many_statements():
    wire = Wire()
    wire.send(b"".join(parse("SELECT 1", name="s%d" % i) for i in range(10001)) + SYNC)
    got = wire.until("Z")
    expect(error(got)["C"], "54000")
    wire.finish()
    still_serves()


main(globals())
