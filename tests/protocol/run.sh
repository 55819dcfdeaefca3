#!/bin/bash
# Runs the protocol tests with real clients: for each script of this folder a server of its own, on free ports and a
# fresh data folder, which must end cleanly on SIGTERM afterwards.
#
#   tests/protocol/run.sh [NAME…]        only scripts whose name begins with one of NAME: pg, kafka_kcat …
#
# A script (name.sh, name.py) succeeds with exit status 0; 77 skips it. It gets
#   KAPPA (the program), KAPPA_DATA (the folder), KAPPA_PID, PGHOST, PGPORT, PGUSER, PGDATABASE, HTTP (host:port),
#   KAFKA (host:port), SCRATCH (a folder of its own)
# Environment: KAPPA names the program (else the newest of build/dev/kappa, build/kappa); TEST_SECONDS bounds a script.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ -z "${KAPPA:-}" ]; then
    KAPPA=$(ls -t "$root"/build/dev/kappa "$root"/build/kappa 2>/dev/null | head -1)
fi
if [ ! -x "${KAPPA:-}" ]; then
    echo "no kappa program: build it, or name it with KAPPA=" >&2
    exit 2
fi
export KAPPA
work=$(mktemp -d "${TMPDIR:-/tmp}/kappa-protocol.XXXXXX")
server=
cleanup() {
    [ -n "$server" ] && kill -9 "$server" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

passed=0 failed=0 skipped=0
failures=

start_server() {
    "$KAPPA" server --data "$1/data" --pg 127.0.0.1:0 --http 127.0.0.1:0 --kafka "${KAFKA_BIND:-127.0.0.1:0}" \
        >"$1/server.out" 2>"$1/server.err" &
    server=$!
    for _ in $(seq 300); do
        ready=$(grep -m1 '^ready ' "$1/server.out") && break
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.05
    done
    [ -n "$ready" ] || return 1
    local pg
    pg=$(sed -n 's/.*pg=\([^ ]*\).*/\1/p' <<<"$ready")
    HTTP=$(sed -n 's/.*http=\([^ ]*\).*/\1/p' <<<"$ready")
    KAFKA=$(sed -n 's/.*kafka=\([^ ]*\).*/\1/p' <<<"$ready")
    PGHOST=${pg%:*} PGPORT=${pg##*:} PGUSER=kappa PGDATABASE=kappa PGCONNECT_TIMEOUT=10
    KAPPA_DATA=$1/data KAPPA_PID=$server SCRATCH=$1/scratch
    export HTTP KAFKA PGHOST PGPORT PGUSER PGDATABASE PGCONNECT_TIMEOUT KAPPA_DATA KAPPA_PID SCRATCH
}

# Ends the server; its exit status must be 0 and it must say nothing of sanitizers.
stop_server() {
    kill -TERM "$server" 2>/dev/null
    for _ in $(seq 300); do
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    if kill -0 "$server" 2>/dev/null; then
        echo "the server did not end within 15 s of SIGTERM"
        kill -9 "$server"
        wait "$server" 2>/dev/null
        server=
        return 1
    fi
    wait "$server"
    local status=$?
    server=
    if [ $status -ne 0 ] || grep -q 'Sanitizer\|runtime error' "$1/server.err"; then
        echo "the server ended with status $status"
        return 1
    fi
}

run_script() {
    local script=$1 name dir status
    name=$(basename "$script")
    name=${name%.*}
    dir=$work/$name
    mkdir -p "$dir/scratch"
    if ! start_server "$dir"; then
        status=1
        echo "the server did not start" >"$dir/output"
    else
        case $script in
        *.py) runner=/usr/bin/python3 ;; # Debian's: it has Debian's packages
        *) runner=bash ;;
        esac
        (cd "$here" && exec timeout "${TEST_SECONDS:-240}" "$runner" "$script") >"$dir/output" 2>&1
        status=$?
        [ $status -eq 124 ] && echo "timed out" >>"$dir/output"
        if ! stop_server "$dir" >>"$dir/output" && { [ $status -eq 0 ] || [ $status -eq 77 ]; }; then
            status=1
        fi
    fi
    case $status in
    0)
        passed=$((passed + 1))
        echo "ok   $name"
        sed -n "s/^$name: skipped: /protocol: skipped: $name: /p" "$dir/output" # within it; tests/run counts these lines
        ;;
    77)
        skipped=$((skipped + 1))
        echo "skip $name: $(tail -1 "$dir/output")"
        echo "protocol: skipped: $name: $(tail -1 "$dir/output")"
        ;;
    *)
        failed=$((failed + 1))
        failures="$failures $name"
        echo "FAIL $name (status $status)"
        tail -40 "$dir/output" | sed 's/^/     | /'
        tail -30 "$dir/server.err" | sed 's/^/     server | /'
        ;;
    esac
}

wanted() {
    [ $# -eq 1 ] && return 0
    local name=$1 prefix
    shift
    for prefix in "$@"; do
        case $name in "$prefix"*) return 0 ;; esac
    done
    return 1
}

for script in "$here"/*.sh "$here"/*.py; do
    name=$(basename "$script")
    case $name in run.sh | _*) continue ;; esac
    [ -f "$script" ] && wanted "$name" "$@" && run_script "$script"
done
echo "protocol tests: $passed passed, $failed failed, $skipped skipped${failures:+:$failures}"
[ $failed -eq 0 ]
