#!/bin/bash
# PostgreSQL's JDBC driver, fetched by Maven: clients/Jdbc.java. Skipped where Java or Maven is missing or its repository is
# not reached.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$here/../../build/maven
version=42.7.4
jar=$folder/postgresql-$version.jar
command -v java >/dev/null && command -v mvn >/dev/null || { echo "java or mvn is not installed"; exit 77; }
mkdir -p "$folder"
[ -f "$jar" ] || (cd "$folder" && timeout 100 mvn -q dependency:copy -Dartifact=org.postgresql:postgresql:$version \
    -DoutputDirectory="$PWD" >"$SCRATCH/mvn.log" 2>&1) || true
[ -f "$jar" ] || { echo "the JDBC driver is not there and Maven's repository was not reached"; exit 77; }
exec java -XX:TieredStopAtLevel=1 -Xshare:auto -cp "$jar" "$here/clients/Jdbc.java"
