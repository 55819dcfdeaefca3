#!/usr/bin/env bash
# Builds of their own for long searches: ThreadSanitizer and libFuzzer. Only in soaks.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${KAPPA_SOAK_STATE:-}" ]; then
    echo "only in make soak"
    exit 77
fi
status=0
"$here/threads" || status=1
"$here/fuzz" || status=1
exit $status
