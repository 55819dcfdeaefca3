#!/bin/bash
# PostgreSQL's own regression tests of types and functions, statement by statement, on kappa and on PostgreSQL 15: prints
# the share that agrees and why the rest does not. See README.md.
#
#   tests/regress/run.sh [FILE…]     e.g. numeric arrays; default: some of them, at KAPPA_TEST_SCALE above 1 all
#
# The statements are read from Debian's postgresql-15 source package, fetched by apt into $KAPPA_REGRESS_CACHE (default
# /var/tmp/kappa-regress) once; where no mirror answers the test is skipped.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/python.sh"
cache=${KAPPA_REGRESS_CACHE:-/var/tmp/kappa-regress}
if [ ! -d "$cache/sql" ]; then
    mkdir -p "$cache/lists/partial" "$cache/parts" || exit 77
    cd "$cache" || exit 77
    grep -h '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed 's/^deb /deb-src /' > src.list
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] && sed 's/^Types:.*/Types: deb-src/' "$file" > "parts/$(basename "$file")"
    done
    options=(-o "Dir::Etc::sourcelist=$cache/src.list" -o "Dir::Etc::sourceparts=$cache/parts" -o "Dir::State::Lists=$cache/lists" -qq)
    timeout 60 apt-get "${options[@]}" update >/dev/null 2>&1
    for version in $(apt-cache "${options[@]}" showsrc postgresql-15 2>/dev/null | sed -n 's/^Version: //p'); do
        ls ./*.orig.tar.* >/dev/null 2>&1 || timeout 120 apt-get "${options[@]}" source --download-only --tar-only "postgresql-15=$version" >/dev/null 2>&1
    done
    tarball=$(ls ./postgresql-15_*.orig.tar.* 2>/dev/null | head -1)
    [ -n "$tarball" ] || { echo "no Debian mirror has the postgresql-15 source package"; exit 77; }
    mkdir -p unpacked && tar xf "$tarball" -C unpacked --strip-components=4 --wildcards '*/src/test/regress/sql/*.sql' '*/src/test/regress/data/*.data' &&
        mv unpacked/sql sql || { echo "the source package has no regression tests"; exit 77; }
    cd "$here" || exit 1
fi
exec /usr/bin/python3 "$here/run.py" "$cache/sql" "$@"
