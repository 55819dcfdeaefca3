#!/bin/bash
# kill -9 of the real server under load, again and again (kill.py), then real faults of the disk (disk.py), in soaks a
# tenth of KAPPA_TEST_SCALE times. Both go on where the last soak stopped, by the files `kills` and `disks` in
# KAPPA_SOAK_STATE.
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
done=0 most=1
if [ -n "${KAPPA_SOAK_STATE:-}" ]; then
    most=$(((${KAPPA_TEST_SCALE:-1} + 9) / 10))
    read -r done 2>/dev/null <"$KAPPA_SOAK_STATE/disks"
    [ "${done:-0}" -lt "$most" ] || most=$((done + 1)) # a soak that was through goes on by one
fi
for ((round = ${done:-0}; round < most; round++)); do
    rm -rf "$SCRATCH" && mkdir "$SCRATCH"
    /usr/bin/python3 "$here/disk.py" || exit 1
    [ -z "${KAPPA_SOAK_STATE:-}" ] || echo $((round + 1)) >"$KAPPA_SOAK_STATE/disks"
done
[ -z "${KAPPA_SOAK_STATE:-}" ] || echo "disk: $most rounds so far"
