# For scripts with kcat and psql: `. "${0%/*}/_kcat.sh"`.
set -eu
kc() { timeout 30 kcat -q -b "$KAFKA" "$@"; }
sql() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }
same() { # what, expected, found
    [ "$2" = "$3" ] || { printf '%s: expected\n%s\nfound\n%s\n' "$1" "$2" "$3" >&2; exit 1; }
}
command -v kcat >/dev/null || exit 77
