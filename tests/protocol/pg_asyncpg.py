"""asyncpg: connecting, parameters and rows in binary, COPY, cursors, nested transactions, errors' names, prepared statements
kept over a change of tables, a pool that resets its connections. And the catalog queries of Sequelize and TypeORM."""
import asyncio
import datetime
import decimal
import os

from _pypi import need
from _wire import Wire, expect

need(("asyncpg",), "asyncpg")
import asyncpg  # noqa: E402

WHERE = {"host": os.environ["PGHOST"], "port": int(os.environ["PGPORT"]), "user": "kappa", "database": "kappa"}


async def values(one):
    await one.execute("CREATE TABLE item (k int PRIMARY KEY, name varchar(40) NOT NULL, price numeric, tags text[], at timestamptz, extra jsonb)")
    at = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.timezone.utc)
    row = (1, "grüße", decimal.Decimal("12.50"), ["a", None], at, '{"a": 1}')
    await one.execute("INSERT INTO item VALUES ($1, $2, $3, $4, $5, $6)", *row)
    expect(tuple(await one.fetchrow("SELECT * FROM item WHERE k = $1", 1)), row)
    await one.executemany("INSERT INTO item (k, name) VALUES ($1, $2)", [(k, "n") for k in range(2, 10)])
    expect(await one.fetchval("SELECT array_agg(k ORDER BY k) FROM item"), list(range(1, 10)))
    expect(await one.fetchrow("SELECT '1 day'::interval, '10:00'::time, true, 1.5::float8"),
           (datetime.timedelta(1), datetime.time(10), True, 1.5))


async def copies(one):
    await one.execute("CREATE TABLE copied (k int PRIMARY KEY, t text)")
    expect(await one.copy_records_to_table("copied", records=[(k, f"t{k}") for k in range(1000)]), "COPY 1000")
    async with one.transaction(isolation="serializable"):
        expect([row["k"] async for row in one.cursor("SELECT k FROM copied ORDER BY k", prefetch=100)], list(range(1000)))


async def transactions(one):
    async with one.transaction():
        await one.execute("INSERT INTO copied VALUES (1000, 'kept')")
        try:
            async with one.transaction():
                await one.execute("INSERT INTO copied VALUES (1, 'twice')")
        except asyncpg.UniqueViolationError as error:
            expect((error.schema_name, error.table_name, error.constraint_name), ("public", "copied", "copied_pkey"))
    expect(await one.fetchval("SELECT t FROM copied WHERE k = 1000"), "kept")
    try:
        await one.execute("INSERT INTO item VALUES (100)")
    except asyncpg.NotNullViolationError as error:
        expect((error.table_name, error.column_name), ("item", "name"))


async def made(one):
    """Types of statements: asyncpg asks pg_type, pg_class and pg_attribute what they are, by kinds of type "char"."""
    for statement in ["CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')", "CREATE TYPE place AS (street text, no int, m mood)",
                      "CREATE DOMAIN positive AS int CHECK (value > 0)",
                      "CREATE TABLE made (k int PRIMARY KEY, m mood, a place, ms mood[], p positive, places place[])"]:
        await one.execute(statement)
    row = (1, "ok", ("x", 5, "sad"), ["sad", "happy"], 7, [("y", 1, None)])
    await one.execute("INSERT INTO made VALUES ($1, $2, $3, $4, $5, $6)", *row)
    read = await one.fetchrow("SELECT * FROM made")
    expect(tuple(read), row)
    expect((read["a"]["street"], read["a"]["m"]), ("x", "sad"))
    statement = await one.prepare("SELECT m, a, ms, p FROM made WHERE m = $1 AND a = $2")
    expect([(a.name, a.type.name, a.type.kind) for a in statement.get_attributes()],
           [("m", "mood", "scalar"), ("a", "place", "composite"), ("ms", "mood[]", "array"), ("p", "int4", "scalar")])
    expect(len(await statement.fetch("ok", ("x", 5, "sad"))), 1)
    expect(await one.copy_records_to_table("made", records=[(2, "ok", None, None, 3, None)]), "COPY 1")
    expect(tuple(await one.fetchrow("SELECT relkind, indkey, '1 2'::oidvector FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid "
                                    "WHERE relname = 'made'")), (b"r", [1], [1, 2]))


async def main():
    one = await asyncpg.connect(**WHERE)
    await values(one)
    await copies(one)
    await transactions(one)
    await made(one)
    await one.execute("CREATE VIEW seen AS SELECT k FROM item")
    statement = await one.prepare("SELECT * FROM seen")
    expect([a.name for a in statement.get_attributes()], ["k"])
    await one.execute("SET application_name = 'x'")
    await one.reset()
    expect(await one.fetchval("SHOW application_name"), "")
    await one.close()
    pool = await asyncpg.create_pool(min_size=2, max_size=4, **WHERE)
    expect(await asyncio.gather(*[pool.fetchval("SELECT $1::int", n) for n in range(20)]), list(range(20)))
    await pool.close()


asyncio.run(main())
wire = Wire()
expect(wire.rows("SHOW client_encoding"), [["UTF8"]])
wire.rows("COMMENT ON COLUMN item.name IS 'its name'")
expect(wire.rows("SELECT column_name, pg_catalog.col_description((quote_ident(table_catalog) || '.' || quote_ident(table_schema) || '.' || "
                 "quote_ident(table_name))::regclass::oid, ordinal_position) FROM information_schema.columns WHERE table_name = 'item' "
                 "ORDER BY ordinal_position LIMIT 2"), [["k", None], ["name", "its name"]])
expect(wire.rows("SELECT count(*) FROM pg_catalog.pg_statio_all_tables AS st JOIN pg_catalog.pg_description d ON d.objoid = st.relid"), [["1"]])
print("asyncpg: ok")
