"""SQLAlchemy 2: reflection, Core and ORM writes, RETURNING, transactions and begin_nested, autocommit, streaming."""
import datetime
import decimal
import os

from _pypi import need
from _wire import expect

need(("sqlalchemy",), "sqlalchemy>=2")
import sqlalchemy as sa  # noqa: E402
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column  # noqa: E402

URL = f"postgresql+psycopg2://kappa@{os.environ['PGHOST']}:{os.environ['PGPORT']}/kappa"
engine = sa.create_engine(URL)
auto = engine.execution_options(isolation_level="AUTOCOMMIT")


def test_create_and_reflect():
    metadata = sa.MetaData()
    sa.Table("author", metadata, sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
             sa.Column("name", sa.String(40), nullable=False), sa.Column("born", sa.Date))
    sa.Table("book", metadata, sa.Column("author_id", sa.Integer, primary_key=True, autoincrement=False),
             sa.Column("nr", sa.BigInteger, primary_key=True, autoincrement=False), sa.Column("title", sa.Text),
             sa.Column("price", sa.Numeric(10, 2)), sa.Column("tags", sa.ARRAY(sa.Text)), sa.Column("extra", sa.JSON),
             sa.Column("sold", sa.DateTime(timezone=True)), sa.Column("ok", sa.Boolean), sa.Column("rate", sa.Double))
    metadata.create_all(auto)
    metadata.create_all(auto)  # asks what there is
    with auto.connect() as connection:
        connection.execute(sa.text("CREATE MATERIALIZED VIEW by_author AS SELECT author_id, count(*) AS n FROM book GROUP BY author_id"))
        connection.execute(sa.text("CREATE VIEW cheap AS SELECT title FROM book WHERE price < 10"))
    inspector = sa.inspect(engine)
    expect(sorted(inspector.get_table_names()), ["author", "book"])
    expect(inspector.get_view_names(), ["cheap"])
    expect(inspector.get_materialized_view_names(), ["by_author"])
    expect("public" in inspector.get_schema_names(), True)
    expect(inspector.has_table("author"), True)
    expect(inspector.has_table("nobody"), False)
    expect([(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns("author")],
           [("id", "INTEGER", False), ("name", "VARCHAR(40)", False), ("born", "DATE", True)])
    expect([str(c["type"]) for c in inspector.get_columns("book")],
           ["INTEGER", "BIGINT", "TEXT", "NUMERIC(10, 2)", "ARRAY", "JSON", "TIMESTAMP", "BOOLEAN", "DOUBLE PRECISION"])
    expect(inspector.get_pk_constraint("book")["constrained_columns"], ["author_id", "nr"])
    expect(inspector.get_foreign_keys("book"), [])
    expect(inspector.get_check_constraints("book"), [])
    expect(inspector.get_unique_constraints("book"), [])
    expect([i for i in inspector.get_indexes("book") if not i.get("unique")], [])
    expect([c["name"] for c in inspector.get_columns("by_author")], ["author_id", "n"])
    expect("count" in inspector.get_view_definition("by_author"), True)
    inspector.get_table_comment("book")
    inspector.get_sequence_names()
    inspector.get_enums()
    inspector.get_domains()
    reflected = sa.MetaData()
    reflected.reflect(engine, views=True)
    expect(sorted(reflected.tables), ["author", "book", "by_author", "cheap"])
    expect([c.name for c in reflected.tables["book"].primary_key], ["author_id", "nr"])


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(sa.String(40))
    born: Mapped[datetime.date | None]


class Book(Base):
    __tablename__ = "book"
    author_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    nr: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    title: Mapped[str | None]
    price: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(10, 2))
    tags: Mapped[list | None] = mapped_column(sa.ARRAY(sa.Text))
    extra: Mapped[dict | None] = mapped_column(sa.JSON)
    sold: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime(timezone=True))
    ok: Mapped[bool | None]
    rate: Mapped[float | None] = mapped_column(sa.Double)


NOW = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.timezone.utc)


def test_orm():
    with Session(engine) as session:
        session.add_all([Author(id=1, name="Ann", born=datetime.date(1980, 2, 29)), Author(id=2, name="Bob")])
        session.add_all([Book(author_id=1, nr=n, title=f"t{n}", price=decimal.Decimal("9.99") + n, tags=["x", f"y{n}"],
                              extra={"n": n, "deep": [1, None]}, sold=NOW, ok=n % 2 == 0, rate=n / 3) for n in range(20)])
        session.commit()
    with Session(engine) as session:
        book = session.get(Book, (1, 3))
        expect((book.title, book.price, book.tags, book.extra, book.sold, book.ok, book.rate),
               ("t3", decimal.Decimal("12.99"), ["x", "y3"], {"n": 3, "deep": [1, None]}, NOW, False, 1.0))
        book.title = "changed"
        book.tags = None
        session.delete(session.get(Author, 2))
        session.flush()
        expect(session.scalar(sa.select(sa.func.count()).select_from(Author)), 1)
        session.commit()
        expect(session.scalar(sa.select(Book.title).where(Book.nr == 3)), "changed")
        expect(session.execute(sa.update(Book).where(Book.nr > 17).values(price=Book.price + 1)).rowcount, 2)
        expect(sorted(session.scalars(sa.delete(Book).where(Book.nr > 15).returning(Book.nr))), [16, 17, 18, 19])
        session.rollback()
        expect(session.scalar(sa.select(sa.func.max(Book.nr))), 19)
        joined = session.execute(sa.select(Author.name, sa.func.count(Book.nr)).join(Book, Book.author_id == Author.id)
                                 .group_by(Author.name)).all()
        expect([tuple(row) for row in joined], [("Ann", 20)])


def test_nested():
    with Session(engine) as session:
        session.add(Author(id=10, name="kept"))
        session.flush()
        try:
            with session.begin_nested():
                session.add(Author(id=11, name="gone"))
                session.flush()
                session.execute(sa.text("SELECT 1/0"))
        except sa.exc.DataError as error:
            expect(error.orig.pgcode, "22012")
        try:
            with session.begin_nested():
                session.execute(sa.insert(Author).values(id=10, name="twice"))
        except sa.exc.IntegrityError as error:
            expect(error.orig.pgcode, "23505")
        with session.begin_nested():
            session.add(Author(id=12, name="inner"))
        session.commit()
    with engine.connect() as connection:
        expect(connection.execute(sa.text("SELECT id, name FROM author WHERE id >= 10 ORDER BY id")).all(),
               [(10, "kept"), (12, "inner")])
        transaction = connection.begin_nested()
        connection.execute(sa.text("DELETE FROM author WHERE id >= 10"))
        transaction.rollback()
        expect(connection.scalar(sa.text("SELECT count(*) FROM author WHERE id >= 10")), 2)


def test_core():
    author = Author.__table__
    with engine.begin() as connection:
        expect(connection.execute(sa.insert(author).returning(author.c.id, author.c.name),
                                  [{"id": n, "name": f"n{n}"} for n in range(100, 1100)]).rowcount in (1000, -1), True)
    with auto.connect() as connection:
        expect(connection.scalar(sa.select(sa.func.count()).where(author.c.id >= 100)), 1000)
        connection.execute(sa.delete(author).where(author.c.id == 100))
    from sqlalchemy.dialects.postgresql import insert
    with engine.begin() as connection:
        statement = insert(author).values([{"id": 101, "name": "up"}, {"id": 5000, "name": "new"}])
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"name": statement.excluded.name}))
        connection.execute(insert(author).values(id=101, name="not").on_conflict_do_nothing())
        expect(connection.execute(sa.select(author.c.name).where(author.c.id.in_([101, 5000])).order_by(author.c.id)).all(),
               [("up",), ("new",)])
    with engine.connect().execution_options(stream_results=True, yield_per=100) as connection:
        rows = connection.execute(sa.select(author.c.id).where(author.c.id >= 100).order_by(author.c.id))
        expect(sum(1 for _ in rows), 1000)


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
engine.dispose()
