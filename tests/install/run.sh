#!/usr/bin/env bash
# `make install PREFIX=…` puts a kappa there that runs by itself: its version, a query, a server.
set -eu
cd "$(dirname "$0")/../.."
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
make --no-print-directory install PREFIX="$prefix/usr" >"$prefix/log" 2>&1 || { cat "$prefix/log"; exit 1; }
cd /
kappa=$prefix/usr/bin/kappa
version=$("$kappa" --version)
grep -qE '^kappa [0-9]+\.[0-9]+' <<<"$version" || { echo "it says of itself: $version"; exit 1; }
! ldd "$kappa" | grep 'not found' || exit 1
cat >"$prefix/app.sql" <<'SQL'
CREATE SOURCE n (x bigint) WITH (topic = 'n', format = 'json');
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n, sum(x) AS x FROM n;
SQL
printf '{"x": 1}\n{"x": 41}\n' | "$kappa" run "$prefix/app.sql" --format csv >"$prefix/out"
grep -qx '2,42' "$prefix/out" || { echo "kappa run answers:"; cat "$prefix/out"; exit 1; }
coproc server { exec "$kappa" server --data "$prefix/data" --pg 127.0.0.1:0 --http 127.0.0.1:0 --kafka 127.0.0.1:0; }
pid=$server_PID
read -r -t 30 ready <&"${server[0]}"
[[ $ready == ready\ pg=* ]] || { echo "the server says: $ready"; exit 1; }
kill -TERM "$pid"
wait "$pid"
