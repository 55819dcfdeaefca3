#!/bin/bash
# knex, fetched by npm: clients/knex.js. Skipped where node is missing or npm's registry is not reached.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$here/../../build/npm
command -v node >/dev/null && command -v npm >/dev/null || { echo "node or npm is not installed"; exit 77; }
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
[ -d "$folder/node_modules/knex" ] ||
    timeout 70 npm install --prefix "$folder" --no-audit --no-fund --silent pg knex >"$SCRATCH/npm.log" 2>&1 || true
[ -d "$folder/node_modules/knex" ] || { echo "knex is not there and npm's registry was not reached"; exit 77; }
NODE_PATH=$folder/node_modules exec node "$here/clients/knex.js"
