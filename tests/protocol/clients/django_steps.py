"""Django's ORM and introspection, step by step: prints what each gives. What it prints is compared (pg_django.py)."""
import datetime
import io
import os
import uuid

import django
from django.conf import settings

settings.configure(INSTALLED_APPS=["django.contrib.contenttypes"], USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
                   DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"],
                                          "USER": os.environ["PGUSER"], "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"]}})
django.setup()
from django.core.management.commands.inspectdb import Command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.db.models import Avg, Count, Exists, F, Max, OuterRef, Q, Subquery, Sum, Window  # noqa: E402
from django.db.models.functions import Coalesce, Lower, RowNumber, TruncDay  # noqa: E402


class Author(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.CharField(max_length=50)
    born = models.DateField(null=True)

    class Meta:
        app_label, db_table = "contenttypes", "author"


class Book(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    author = models.ForeignKey(Author, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="books")
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    sold = models.DateTimeField(null=True)
    extra = models.JSONField(null=True)

    class Meta:
        app_label, db_table = "contenttypes", "book"


def nested():
    with transaction.atomic():
        Author.objects.create(id=20, name="t")
        try:
            with transaction.atomic():
                Author.objects.create(id=20, name="again")
        except IntegrityError as error:
            code = type(error.__cause__).__name__
        Author.objects.create(id=21, name="t")
    return code, Author.objects.filter(id__gte=20).count()


def locked():
    with transaction.atomic():
        return list(Author.objects.select_for_update().filter(id=1).values_list("id", flat=True))


def inspected():
    with io.StringIO() as out:
        lines = Command(stdout=out).handle_inspection({"database": "default", "table": ["author", "book"], "table_name_filter": None,
                                                       "include_partitions": True, "include_views": True})
        return [line for line in lines if not line.startswith("#")]


def introspected():
    with connection.cursor() as cursor:
        asks = connection.introspection
        constraints = {name: (found["columns"], found["primary_key"], found["unique"], found["index"])
                       for name, found in asks.get_constraints(cursor, "book").items()}
        return (sorted(table.name for table in asks.get_table_list(cursor)), constraints, asks.get_relations(cursor, "book"),
                asks.get_primary_key_columns(cursor, "book"), [column[:2] for column in asks.get_table_description(cursor, "author")])


def moment(day):
    return datetime.datetime(2024, 1, day, 12, tzinfo=datetime.timezone.utc)


authors, books = Author.objects, Book.objects
with connection.schema_editor(atomic=False) as editor:
    editor.create_model(Author)
    editor.create_model(Book)
STEPS = {
    "create": lambda: [authors.create(id=1, name="Ann", born=datetime.date(2000, 1, 1)).pk, authors.create(id=2, name="Bob").pk],
    "bulk": lambda: len(books.bulk_create([Book(author_id=1, price="1.50", extra={"k": [1, 2]}, sold=moment(1)),
                                           Book(author_id=1, price="2", sold=moment(2)), Book(author_id=2)])),
    "ignored": lambda: len(authors.bulk_create([Author(id=1, name="no"), Author(id=3, name="Cy")], ignore_conflicts=True)),
    "upsert": lambda: len(authors.bulk_create([Author(id=1, name="Anna")], update_conflicts=True, unique_fields=["id"], update_fields=["name"])),
    "filter": lambda: list(authors.filter(Q(name__icontains="NN") | Q(born__year=2000)).values_list("id", "name", "born")),
    "regex": lambda: list(authors.filter(name__regex="^[AB]").exclude(name__startswith="B").values_list("id", flat=True)),
    "annotate": lambda: list(authors.annotate(n=Count("books"), s=Sum("books__price")).order_by("id").values_list("id", "n", "s")),
    "having": lambda: list(authors.annotate(n=Count("books")).filter(n__gt=1).values_list("id", flat=True)),
    "aggregate": lambda: sorted(books.aggregate(Avg("price"), Max("sold"), n=Count("id", filter=Q(price__isnull=True))).items()),
    "join": lambda: sorted(book.author.name for book in books.select_related("author")),
    "prefetch": lambda: [len(author.books.all()) for author in authors.prefetch_related("books").order_by("id")],
    "exists": lambda: authors.filter(Exists(books.filter(author=OuterRef("pk"), price__gt=1))).count(),
    "subquery": lambda: list(authors.annotate(top=Subquery(books.filter(author=OuterRef("pk"), price__isnull=False).order_by("-price").values("price")[:1]))
                             .order_by("id").values_list("top", flat=True)),
    "json": lambda: [books.filter(extra__k__0=1).count(), books.filter(extra__has_key="k").count(), books.filter(extra__contains={"k": [1]}).count()],
    "days": lambda: list(books.annotate(day=TruncDay("sold")).values("day").annotate(n=Count("id")).order_by("day").values_list("day", "n")),
    "window": lambda: list(authors.annotate(r=Window(RowNumber(), order_by="-id")).order_by("id").values_list("r", flat=True)),
    "functions": lambda: list(authors.annotate(low=Lower("name"), day=Coalesce("born", datetime.date(1900, 1, 1))).order_by("id").values_list("low", "day")),
    "update": lambda: books.filter(author_id=1).update(price=F("price") + 1),
    "get_or_create": lambda: [authors.get_or_create(id=9, defaults={"name": "n"})[1], authors.get_or_create(id=9)[1]],
    "update_or_create": lambda: [authors.update_or_create(id=9, defaults={"name": "m"})[1], authors.get(id=9).name],
    "bulk_update": lambda: authors.bulk_update([Author(id=2, name="Bo"), Author(id=9, name="Mo")], ["name"]),
    "nested": nested,
    "locked": locked,
    "union": lambda: sorted(authors.filter(id=1).values_list("id").union(authors.filter(id=2).values_list("id"))),
    "dates": lambda: list(authors.dates("born", "year")),
    "slice": lambda: list(authors.order_by("-name")[1:3].values_list("name", flat=True)),
    "iterator": lambda: sum(1 for _ in authors.iterator(chunk_size=2)),
    "cascade": lambda: sorted(authors.filter(id=1).delete()[1].items()),
    "inspectdb": inspected,
    "introspection": introspected,
}
for name, step in STEPS.items():
    print(name, step())
