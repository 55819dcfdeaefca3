#!/usr/bin/python3
"""Runs the console blocks of a document in order in one empty folder: lines "$ command" ("> " goes on), then what they print.
An ellipsis stands for anything, alone on a line for any lines. Usage: log.py KAPPA DOCUMENT"""
import os
import re
import subprocess
import sys
import tempfile

kappa, document = os.path.abspath(sys.argv[1]), sys.argv[2]
text = open(document, encoding="utf-8").read()


def pattern(lines):
    out = ""
    for line in lines:
        out += r"(?:.*\n)*?" if line == "…" else ".*?".join(re.escape(piece) for piece in line.split("…")) + "\n"
    return out


def commands(block):
    command, expected = None, []
    for line in block.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command, expected
            command, expected = line[2:], []
        elif line.startswith("> "):
            command += "\n" + line[2:]
        else:
            expected.append(line)
    if command is not None:
        yield command, expected


wrong = ran = 0
with tempfile.TemporaryDirectory() as scratch:
    environment = dict(os.environ, PATH=os.path.dirname(kappa) + ":" + os.environ["PATH"])
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        for command, expected in commands(block):
            done = subprocess.run(["bash", "-c", command], cwd=scratch, env=environment, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            ran += 1
            if not re.fullmatch(pattern(expected), done.stdout):
                wrong += 1
                print(f"{document}: $ {command}\n--- prints\n{done.stdout}--- should print\n" + "\n".join(expected), file=sys.stderr)
if ran == 0:
    print(f"{document}: no commands", file=sys.stderr)
sys.exit(wrong > 0 or ran == 0)
