#!/bin/bash
# kill -9 of the real server under load, again and again (kill.py), then real faults of the disk (disk.py). In soaks the
# kills go on where the last one stopped, by the file `kills` in KAPPA_SOAK_STATE.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ -z "${KAPPA:-}" ]; then
    KAPPA=$(ls -t "$root"/build/dev/kappa "$root"/build/kappa 2>/dev/null | head -1)
fi
export KAPPA
export PYTHONPATH="$root/tests/protocol" PYTHONDONTWRITEBYTECODE=1
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/kappa-kill.XXXXXX")
export SCRATCH
trap 'rm -rf "$SCRATCH"' EXIT
/usr/bin/python3 "$here/kill.py" || exit 1
[ -n "${KAPPA_SOAK_STATE:-}" ] || /usr/bin/python3 "$here/disk.py"
