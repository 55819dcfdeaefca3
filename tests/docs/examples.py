#!/usr/bin/python3
"""Runs the examples of docs/guide.md in order on one empty folder.

A block ```sql must succeed; in a block ```sql fails each line is a statement whose comment is its SQLSTATE.
Usage: examples.py KAPPA DOCUMENT"""
import re
import subprocess
import sys
import tempfile

kappa, document = sys.argv[1:]
text = open(document, encoding="utf-8").read()
wrong = 0


def run(sql, *flags):
    return subprocess.run([kappa, "sql", "--data", folder, *flags, "-f", "-"], input=sql, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)


def complain(what):
    global wrong
    wrong += 1
    print(f"{document}: {what}", file=sys.stderr)


def expect_failures(block):
    for line in block.strip().splitlines():
        statement, sqlstate = line.rsplit("--", 1)
        errors = run(statement).stderr
        if f"ERROR {sqlstate.strip()}:" not in errors:
            complain(f"{statement}\n  should fail with {sqlstate.strip()}, not: {errors}")


with tempfile.TemporaryDirectory() as scratch:
    folder = scratch + "/data"
    for kind, block in re.findall(r"^```sql( fails)?\n(.*?)^```", text, re.M | re.S):
        if kind:
            expect_failures(block)
            continue
        done = run(block)
        if done.returncode != 0:
            complain(f"{block}\n{done.stderr}")
sys.exit(wrong > 0)
