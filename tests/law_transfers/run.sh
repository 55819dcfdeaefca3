#!/usr/bin/env bash
# Runs transfers.py; see README.md. The release program, if it is built: what is asked for is many positions.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/python.sh"
release=${KAPPA_BUILD:-$root/build}/kappa
[ -x "$release" ] && export KAPPA=$release
exec /usr/bin/python3 "$here/transfers.py" "$@"
