#!/usr/bin/env bash
# What is made from the code is what is in docs/.
set -u
cd "$(dirname "$0")/../.."
kappa=${KAPPA_BUILD:-build}/kappa
diff -u docs/CONFIG.md <("$kappa" help config --markdown) || { echo "docs/CONFIG.md is old: run make docs"; exit 1; }
diff -u docs/sql.md <(/usr/bin/python3 tools/sql-doc "$kappa") || { echo "docs/sql.md is old: run make docs"; exit 1; }
/usr/bin/python3 tests/docs/examples.py "$kappa" docs/guide.md || exit 1
/usr/bin/python3 tests/docs/log.py "$kappa" docs/log.md || exit 1
for verb in server run sql log backup restore; do
    "$kappa" help $verb | grep -q "usage: kappa $verb" || { echo "kappa help $verb says nothing"; exit 1; }
done
"$kappa" --version | grep -qE '^kappa [0-9]+\.[0-9]+' || { echo "no version"; exit 1; }
