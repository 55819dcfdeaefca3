"""Advisory locks of sessions beside each other: who has to wait, who goes on when, what is refused, what pg_locks says.
Where PostgreSQL 15 is installed the same steps are run there, too."""
import os
import sys
import threading
import time

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import postgres

WAITS = object()  # the statement does not end; None instead of a statement: it does now
HELD = ("SELECT coalesce(string_agg(concat_ws(':', classid, objid, objsubid, mode, granted), ' ' "
        "ORDER BY classid, objid, objsubid, mode, granted), '') FROM pg_locks WHERE locktype = 'advisory'")
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
PIDS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"

# Each: (session, statement, its answer: the only value, a code for an error, a list of warnings with the answer last).
CASES = {
    "one at a time": [(0, "SELECT pg_advisory_lock(1)", ""), (1, "SELECT pg_try_advisory_lock(1)", False),
                      (1, "SELECT pg_advisory_lock(1)", WAITS),
                      (0, "SELECT waitstart BETWEEN clock_timestamp() - interval '1 hour' AND clock_timestamp() FROM pg_locks WHERE NOT granted", True),
                      (0, "SELECT pg_advisory_unlock(1)", True), (1, None, ""), (0, "SELECT pg_try_advisory_lock(1)", False), (1, "SELECT pg_advisory_unlock(1)", True),
                      (0, "SELECT pg_try_advisory_lock(1)", True)],
    "counted": [(0, "SELECT pg_advisory_lock(1)", ""), (0, "SELECT pg_advisory_lock(1)", ""),
                (0, "SELECT pg_advisory_unlock(1)", True), (1, "SELECT pg_try_advisory_lock(1)", False),
                (0, "SELECT pg_advisory_unlock(1)", True), (1, "SELECT pg_try_advisory_lock(1)", True)],
    "keys": [(0, "SELECT pg_advisory_lock(1, 2)", ""), (1, "SELECT pg_try_advisory_lock((1::int8 << 32) + 2)", True),
             (1, "SELECT pg_try_advisory_lock(2, 1)", True), (1, "SELECT pg_try_advisory_lock(1, 2)", False),
             (0, "SELECT pg_advisory_lock(-1)", ""), (0, "SELECT pg_advisory_lock(-1, -2)", ""),
             (0, HELD, "1:2:1:ExclusiveLock:t 1:2:2:ExclusiveLock:t 2:1:2:ExclusiveLock:t 4294967295:4294967294:2:ExclusiveLock:t "
                       "4294967295:4294967295:1:ExclusiveLock:t"), (0, PIDS, 3), (1, PIDS, 2)],
    "NULL": [(0, "SELECT pg_advisory_lock(NULL)", None), (0, "SELECT pg_try_advisory_lock(1, NULL)", None),
             (0, "SELECT pg_advisory_unlock(NULL::bigint)", None), (0, HELD, "")],
    "shared": [(0, "SELECT pg_advisory_lock_shared(1)", ""), (1, "SELECT pg_try_advisory_lock_shared(1)", True),
               (2, "SELECT pg_try_advisory_lock(1)", False), (2, "SELECT pg_advisory_lock(1)", WAITS),
               (3, "SELECT pg_try_advisory_lock_shared(1)", False), (3, "SELECT pg_advisory_lock_shared(1)", WAITS),
               (0, HELD, "0:1:1:ExclusiveLock:f 0:1:1:ShareLock:f 0:1:1:ShareLock:t 0:1:1:ShareLock:t"),
               (0, "SELECT pg_try_advisory_lock_shared(1)", True), (0, "SELECT pg_try_advisory_lock(1)", False),
               (0, "SELECT pg_advisory_unlock_shared(1)", True), (0, "SELECT pg_advisory_unlock_shared(1)", True),
               (1, "SELECT pg_advisory_unlock_shared(1)", True), (2, None, ""),
               (2, "SELECT pg_advisory_unlock(1)", True), (3, None, "")],
    "both ways": [(0, "SELECT pg_advisory_lock_shared(1)", ""), (0, "SELECT pg_advisory_lock(1)", ""),
                  (1, "SELECT pg_try_advisory_lock_shared(1)", False), (0, "SELECT pg_advisory_unlock(1)", True),
                  (1, "SELECT pg_try_advisory_lock_shared(1)", True), (0, "SELECT pg_try_advisory_lock(1)", False)],
    "before who waits": [(0, "SELECT pg_advisory_lock_shared(1)", ""), (1, "SELECT pg_advisory_lock(1)", WAITS),
                         (0, "SELECT pg_advisory_lock(1)", ""), (0, "SELECT pg_advisory_unlock_all()", ""), (1, None, "")],
    "not held": [(0, "SELECT pg_advisory_unlock(1)", ["WARNING:  you don't own a lock of type ExclusiveLock", False]),
                 (0, "SELECT pg_advisory_lock(1)", ""),
                 (0, "SELECT pg_advisory_unlock_shared(1)", ["WARNING:  you don't own a lock of type ShareLock", False]),
                 (1, "SELECT pg_advisory_unlock(1)", ["WARNING:  you don't own a lock of type ExclusiveLock", False]),
                 (0, "BEGIN", None), (0, "SELECT pg_advisory_xact_lock(2)", ""),
                 (0, "SELECT pg_advisory_unlock(2)", ["WARNING:  you don't own a lock of type ExclusiveLock", False])],
    "a transaction's": [(0, "BEGIN", None), (0, "SELECT pg_advisory_xact_lock(1)", ""), (1, "SELECT pg_advisory_xact_lock(1)", WAITS),
                        (0, "COMMIT", None), (1, None, ""), (1, HELD, ""), (0, "BEGIN", None),
                        (0, "SELECT pg_try_advisory_xact_lock(1)", True), (1, "SELECT pg_try_advisory_xact_lock_shared(1)", False),
                        (0, "ROLLBACK", None), (1, "SELECT pg_try_advisory_xact_lock_shared(1)", True), (0, HELD, "")],
    "a transaction's and the session's": [(0, "BEGIN", None), (0, "SELECT pg_advisory_xact_lock(1)", ""),
                                          (0, "SELECT pg_advisory_lock(1)", ""), (0, HELD, "0:1:1:ExclusiveLock:t"), (0, "ROLLBACK", None),
                                          (1, "SELECT pg_try_advisory_lock(1)", False), (0, "SELECT pg_advisory_unlock(1)", True),
                                          (1, "SELECT pg_try_advisory_lock(1)", True)],
    "unlock_all keeps the transaction's": [(0, "BEGIN", None), (0, "SELECT pg_advisory_xact_lock(1)", ""),
                                           (0, "SELECT pg_advisory_lock(2)", ""), (0, "SELECT pg_advisory_unlock_all()", ""),
                                           (0, HELD, "0:1:1:ExclusiveLock:t"), (0, "COMMIT", None), (0, HELD, "")],
    "an error ends a transaction's": [(0, "BEGIN", None), (0, "SELECT pg_advisory_xact_lock(1)", ""), (0, "SELECT pg_advisory_lock(2)", ""),
                                      (0, "SELECT 1/0", "22012"), (1, "SELECT pg_try_advisory_xact_lock(1)", True),
                                      (1, "SELECT pg_try_advisory_xact_lock(2)", False), (0, "ROLLBACK", None)],
    "savepoints": [(0, "BEGIN", None), (0, "SELECT pg_advisory_xact_lock(1)", ""), (0, "SAVEPOINT a", None),
                   (0, "SELECT pg_advisory_xact_lock(2)", ""), (0, "SELECT pg_advisory_xact_lock(1)", ""), (0, "SAVEPOINT b", None),
                   (0, "SELECT pg_advisory_xact_lock(3)", ""), (0, "RELEASE b", None), (0, "SELECT pg_advisory_lock(4)", ""),
                   (0, "ROLLBACK TO a", None), (0, HELD, "0:1:1:ExclusiveLock:t 0:4:1:ExclusiveLock:t"),
                   (0, "SELECT pg_advisory_xact_lock(5)", ""), (0, "SELECT 1/0", "22012"),
                   (1, HELD, "0:1:1:ExclusiveLock:t 0:4:1:ExclusiveLock:t"), (0, "ROLLBACK", None), (1, HELD, "0:4:1:ExclusiveLock:t")],
    "DISCARD ALL": [(0, "SELECT pg_advisory_lock(1)", ""), (0, "DISCARD ALL", None), (0, HELD, "")],
    "each row": [(0, "SELECT count(pg_try_advisory_lock(n)) FROM generate_series(1, 3) n", 3), (1, "SELECT pg_try_advisory_lock(3)", False),
                 (0, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", 3)],
    "statement_timeout": [(0, "SELECT pg_advisory_lock(1)", ""), (1, "SET statement_timeout = 50", None),
                          (1, "SELECT pg_advisory_lock(1)", "57014"), (1, "SET statement_timeout = 0", None), (1, WAITING, 0)],
    "lock_timeout": [(0, "SELECT pg_advisory_lock(1)", ""), (1, "SET lock_timeout = 50", None), (1, "SELECT pg_advisory_lock(1)", "55P03"),
                     (1, "SET lock_timeout = 0", None), (1, "SELECT pg_try_advisory_lock(1)", False)],
    "cancel": [(0, "SELECT pg_advisory_lock(1)", ""), (1, "SELECT pg_advisory_lock(1)", WAITS), (1, "cancel", "57014"), (0, WAITING, 0)],
    "deadlock": [(0, "SELECT pg_advisory_lock(1)", ""), (1, "SELECT pg_advisory_lock(2)", ""), (2, "SELECT pg_advisory_lock(3)", ""),
                 (0, "SELECT pg_advisory_lock(2)", WAITS), (1, "SELECT pg_advisory_lock(3)", WAITS), (2, "late", None),
                 (2, "SELECT pg_advisory_lock(1)", "40P01"), (2, "SELECT pg_advisory_unlock(3)", True), (1, None, ""),
                 (1, "SELECT pg_advisory_unlock_all()", ""), (0, None, "")],
    "deadlock of two who share": [(0, "SELECT pg_advisory_lock_shared(1)", ""), (1, "SELECT pg_advisory_lock_shared(1)", ""),
                                  (0, "SELECT pg_advisory_lock(1)", WAITS), (2, "late", None), (1, "SELECT pg_advisory_lock(1)", "40P01"),
                                  (1, "SELECT pg_advisory_unlock_shared(1)", True), (0, None, "")],
    "read behind it": [(0, "BEGIN", None), (0, "SELECT pg_advisory_xact_lock(1)", ""), (0, "UPDATE counted SET n = 1", None),
                       (1, "BEGIN", None), (1, "SELECT pg_advisory_xact_lock(1)", WAITS), (0, "COMMIT", None), (1, None, ""),
                       (1, "SELECT n FROM counted", 1), (1, "UPDATE counted SET n = n + 1", None), (1, "COMMIT", None),
                       (1, "SELECT n FROM counted", 2)],
    "the end of a session": [(0, "SELECT pg_advisory_lock(1)", ""), (1, "SELECT pg_advisory_lock(1)", WAITS), (0, "close", None), (1, None, "")],
}


class Session:
    def __init__(self, connect):
        self.connect = connect
        self.connection = connect()
        self.connection.autocommit = True
        self.thread = None
        self.got = None

    def run(self, sql):
        self.connection.notices.clear()
        try:
            cursor = self.connection.cursor()
            cursor.execute(sql)
            self.got = cursor.fetchone()[0] if cursor.description else None
        except psycopg2.Error as error:
            self.got = error.pgcode
        if self.connection.notices:
            self.got = [notice.strip() for notice in self.connection.notices] + [self.got]

    def start(self, sql):
        self.thread = threading.Thread(target=self.run, args=(sql,), daemon=True)
        self.thread.start()

    def end(self):
        self.thread.join(30)
        assert not self.thread.is_alive(), "it still waits"
        self.thread = None
        return self.got

    def step(self, sql):
        if sql == "cancel":
            self.connection.cancel()
        elif sql == "close":
            self.connection.close()
            return None
        elif sql:
            self.start(sql)
        return self.end()


def settle(watcher, sql, wanted):
    until = time.monotonic() + 30
    got = watcher.step(sql)
    while got != wanted and time.monotonic() < until:
        time.sleep(0.01)
        got = watcher.step(sql)
    assert got == wanted, "%s: got %r, wanted %r" % (sql, got, wanted)


def walk(connect, late):
    """late: PostgreSQL looks for deadlocks after a second of waiting; who comes later then is the one who loses."""
    watcher = Session(connect)
    watcher.step("CREATE TABLE counted (id int PRIMARY KEY, n int)")
    for name, steps in CASES.items():
        watcher.step("DELETE FROM counted")
        watcher.step("INSERT INTO counted VALUES (1, 0)")
        sessions = [Session(connect) for _ in range(4)]
        waiting = 0
        for at, sql, expected in steps:
            what = "%s: %d: %s" % (name, at, sql)
            if sql == "late":
                time.sleep(late)
            elif expected is WAITS:
                sessions[at].start(sql)
                waiting += 1
                settle(watcher, WAITING, waiting)
            else:
                got = sessions[at].step(sql)
                assert got == expected and type(got) is type(expected), "%s: got %r, wanted %r" % (what, got, expected)
                waiting -= sql is None or sql == "cancel"
        for session in sessions:
            session.connection.close()
        settle(watcher, HELD, "")


walk(lambda: psycopg2.connect(""), 0)
if postgres.installed():
    server = postgres.Postgres()
    try:
        walk(server.connect, 1.5)
    finally:
        server.close()
