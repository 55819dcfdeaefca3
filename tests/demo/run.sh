#!/usr/bin/env bash
# The demo's story on two months of flights, every answer against a plain recomputation; skipped when the data cannot be had.
cd "$(dirname "$0")/../.."
examples/flights/fetch.sh demo-data/flights || { echo "the data cannot be fetched"; exit 77; }
exec examples/flights/demo --once --until 2013-03-01T14:00
