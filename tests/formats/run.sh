#!/usr/bin/env bash
# Avro and Protobuf against their libraries, over random schemas and records. See README.md.
#
#   tests/formats/run.sh [--rounds N] [--seed S]
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/python.sh"
pypi=$root/build/pypi
/usr/bin/python3 -c 'import google.protobuf' 2>/dev/null && command -v protoc >/dev/null || { echo "python3-protobuf or protoc is missing"; exit 77; }
PYTHONPATH=$pypi /usr/bin/python3 -c 'import fastavro' 2>/dev/null ||
    timeout 70 /usr/bin/python3 -m pip install -q --target "$pypi" fastavro >/dev/null 2>&1
PYTHONPATH=$pypi /usr/bin/python3 -c 'import fastavro' 2>/dev/null || { echo "fastavro is not there and PyPI was not reached"; exit 77; }
exec /usr/bin/python3 "$here/formats.py" --rounds $((40 * ${KAPPA_TEST_SCALE:-1})) "$@"
