"""Django's ORM, inspectdb and introspection (clients/django_steps.py): what they give is what they give over PostgreSQL 15."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import postgres
from _pypi import FOLDER, need
from _wire import expect

need(("django",), "django>=4.2,<6")
STEPS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients", "django_steps.py")


def steps(**server):
    done = subprocess.run([sys.executable, STEPS], env=dict(os.environ, PYTHONPATH=FOLDER, **server), stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    return done.stdout.splitlines()


if not postgres.installed():
    print("PostgreSQL 15 is not installed")
    sys.exit(77)
oracle = postgres.Postgres()  # at PGPORT, too, in its folder
try:
    for ours, theirs in zip(steps(), steps(PGHOST=oracle.folder, PGUSER="postgres", PGDATABASE="postgres"), strict=True):
        expect(ours, theirs)
finally:
    oracle.close()
