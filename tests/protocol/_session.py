"""One session of the script's server, in autocommit: `from _session import connection, cursor, run, expect`."""
import psycopg2

from _wire import expect  # noqa: F401

connection = psycopg2.connect("")
connection.autocommit = True
cursor = connection.cursor()


def run(sql, *args):
    """The rows; None if the statement has none."""
    cursor.execute(sql, args or None)
    return cursor.fetchall() if cursor.description else None
