"""A private PostgreSQL 15 in a temporary folder: the oracle. It listens on a socket in that folder only."""
import os
import pwd
import shutil
import subprocess
import tempfile

import psycopg2

BIN = os.environ.get("PG_BIN", "/usr/lib/postgresql/15/bin")


def installed():
    return os.access(os.path.join(BIN, "initdb"), os.X_OK)


class Postgres:
    """PostgreSQL refuses to be run by root, and is then run as its own user."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="kappa-pg.")
        self.demote = {}
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.demote = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.run("initdb", "-A", "trust", "-U", "postgres", "--locale=C", "--lc-ctype=C.UTF-8", "--encoding=UTF8", "--no-sync")
        self.run("pg_ctl", "-w", "-l", os.path.join(self.folder, "log"), "-o",
                 f"-k '{self.folder}' -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off "
                 "-c timezone=UTC -c jit=off -c max_parallel_workers_per_gather=0 -c work_mem=64MB", "start")

    def run(self, program, *arguments):
        subprocess.run([os.path.join(BIN, program), "-D", os.path.join(self.folder, "data"), *arguments], check=True, cwd="/",
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, **self.demote)

    def connect(self):
        connection = psycopg2.connect(host=self.folder, user="postgres", dbname="postgres")
        connection.autocommit = True
        return connection

    def close(self):
        try:
            self.run("pg_ctl", "-m", "immediate", "stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
