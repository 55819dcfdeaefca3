"""What a table declares of its rows, against PostgreSQL's own: INSERT, UPDATE and COPY give the same SQLSTATE, message and detail,
and leave the same rows behind. COPY goes into columns of domains too."""
import io
import os
import sys

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import postgres

if not postgres.installed():
    print("PostgreSQL 15 is not installed")
    sys.exit(77)

SCHEMA = [
    "CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100)",
    "CREATE DOMAIN code AS varchar(4) NOT NULL CONSTRAINT upper_case CHECK (VALUE = upper(VALUE))",
    "CREATE TABLE item (id int PRIMARY KEY, name varchar(5) NOT NULL, price numeric(5,2) CHECK (price > 0), share percent, tag char(3), "
    "c code DEFAULT 'A', low int, high int, j jsonb, CHECK (low < high), CONSTRAINT named CHECK (name <> 'bad' AND id <> 13), "
    "CHECK (10 / low < 20))",
]
ROWS = [
    "1,one,1.5,10,a,AB,1,2,null", "2,two,,,,B,,7,", "3,,1,1,a,C,1,2,{}", "4,three,0,1,a,D,1,2,[]", "5,three,1,1,a,E,2,2,1",
    "13,three,1,1,a,F,1,2,", "6,three,1,101,a,G,1,2,", "7,threee,1,1,a,H,1,2,", "8,three,1000,1,a,I,1,2,", "9,abc  ,1,1,a,J,1,2,",
    "9,abc   ,1,1,a  ,J,1,2,", "10,x,1,1,abcd,K,1,2,", "11,x,1,1,a,k,1,2,", "12,x,1,1,a,,1,2,", "14,x,1,1,a,LONGER,1,2,", "15,bad,-1,1,a,L,3,2,",
    ",x,1,1,a,M,1,2,", "1,x,1,1,a,M,1,2,", "16,x,1,1,a,M,0,2,", "17,x,1,1,a,M,1,2,{", "18,x,1.005,1,a,M,1,2,\"null\"", "19,bad,1,1,a,M,,,",
]
STATEMENTS = [
    "INSERT INTO item VALUES (20, NULL, -1, 1, 'a', 'A', 2, 1)", "INSERT INTO item VALUES (13, 'bad', -1, 1, 'a', 'A', 2, 1)",
    "INSERT INTO item (id, name, c) VALUES (21, 'x', NULL)", "INSERT INTO item (id, name, share) VALUES (22, 'x', 200)",
    "INSERT INTO item (id, name, low, high) VALUES (22, 'x', 0, 3)", "INSERT INTO item (id, name, c) VALUES (23, 'x', 'abcdef')",
    "UPDATE item SET price = -price WHERE id = 1", "UPDATE item SET low = 8 WHERE id = 2", "UPDATE item SET name = NULL WHERE id = 1",
    "UPDATE item SET share = share * 20 WHERE id = 1", "INSERT INTO item VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET low = 5",
    "MERGE INTO item USING (VALUES (1)) AS x (i) ON id = i WHEN MATCHED THEN UPDATE SET name = 'bad'",
]


def outcome(connection, act):
    cursor = connection.cursor()
    try:
        act(cursor)
        return "ok"
    except psycopg2.Error as error:
        diag = error.diag
        detail = diag.message_detail if diag.sqlstate in ("23502", "23514") else None
        if detail and detail.startswith("COPY item, line"):
            detail = None  # PostgreSQL says that as context
        return diag.sqlstate, diag.message_primary, detail


def main():
    oracle = postgres.Postgres()
    try:
        connections = [psycopg2.connect(""), oracle.connect()]
        connections[0].autocommit = True
        for sql in SCHEMA:
            for connection in connections:
                connection.cursor().execute(sql)
        acts = [("COPY " + row, lambda cursor, row=row: cursor.copy_expert("COPY item FROM STDIN CSV", io.StringIO(row + "\n"))) for row in ROWS]
        acts += [(sql, lambda cursor, sql=sql: cursor.execute(sql)) for sql in STATEMENTS]
        acts += [("COPY of some columns", lambda cursor: cursor.copy_expert("COPY item (share, id, name) FROM STDIN", io.StringIO("5\t30\tx\n6\t31\ty\n"))),
                 ("COPY with a bad line", lambda cursor: cursor.copy_expert("COPY item (share, id, name) FROM STDIN", io.StringIO("5\t40\tx\n500\t41\ty\n")))]
        headed = [("", "id,share,name\n"), ("", "name,share,id\n"), ("", "id,share\n"), ("", "\n"), ("", "id,,name\n"), ("(id, name)", "id,name\n50,x\n"),
                  ("(id, id)", "id,id\n"), ("(id, name)", "\"id\",\"name\"\n51,\"y\"\n"), ("(id, name)", "id,Name\n52,z\n")]
        acts += [(f"COPY MATCH {columns} {text!r}", lambda cursor, columns=columns, text=text: cursor.copy_expert(
            f"COPY item {columns} FROM STDIN (FORMAT csv, HEADER match)", io.StringIO(text))) for columns, text in headed]
        acts += [("text MATCH", lambda cursor: cursor.copy_expert("COPY item (id, name) FROM STDIN (HEADER match)", io.StringIO("id\tname\n53\tx\n"))),
                 ("COPY TO with MATCH", lambda cursor: cursor.copy_expert("COPY item TO STDOUT (FORMAT csv, HEADER match)", io.StringIO()))]
        wrong = 0
        for name, act in acts:
            ours, theirs = (outcome(connection, act) for connection in connections)
            if ours != theirs:
                wrong += 1
                print(f"{name}\n  kappa      {ours}\n  PostgreSQL {theirs}")
        rows = []
        for connection in connections:
            cursor = connection.cursor()
            cursor.execute("SELECT * FROM item ORDER BY id")
            rows.append(cursor.fetchall())
        if rows[0] != rows[1]:
            wrong += 1
            print("rows differ\n ", rows[0], "\n ", rows[1])
        print(f"{len(acts)} statements, {len(rows[1])} rows stay, {wrong} differ")
        sys.exit(1 if wrong else 0)
    finally:
        oracle.close()


main()
