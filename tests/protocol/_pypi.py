"""Packages of PyPI for a test: `need("sqlalchemy>=2")` makes them importable, or leaves with 77 where PyPI is not reached."""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "build", "pypi")


def need(modules, *packages):
    sys.path.insert(0, FOLDER)
    environment = dict(os.environ, PYTHONPATH=FOLDER)
    have = [sys.executable, "-c", "import " + ", ".join(modules)]
    if subprocess.run(have, env=environment, capture_output=True).returncode != 0:
        try:
            subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", FOLDER, *packages], capture_output=True,
                           timeout=70)
        except (OSError, subprocess.TimeoutExpired):
            pass
    if subprocess.run(have, env=environment, capture_output=True).returncode != 0:
        print(" and ".join(modules) + " are not there and PyPI was not reached")
        sys.exit(77)
