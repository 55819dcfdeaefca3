#!/bin/bash
# Kept sets of files of every released format (a folder for each) open, and give what they gave.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ -z "${KAPPA:-}" ]; then
    KAPPA=$(ls -t "$root"/build/dev/kappa "$root"/build/kappa 2>/dev/null | head -1)
fi
export KAPPA PYTHONDONTWRITEBYTECODE=1
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/kappa-kept.XXXXXX")
export SCRATCH
trap 'rm -rf "$SCRATCH"' EXIT
/usr/bin/python3 "$here/kept.py"
