#!/usr/bin/env bash
# Each feature of streams as its user meets it, through Kafka and HTTP, with kill -9, against PostgreSQL. See README.md.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/python.sh"
pypi=$root/build/pypi
command -v kcat protoc >/dev/null && /usr/bin/python3 -c 'import google.protobuf' 2>/dev/null || { echo "kcat, protoc or python3-protobuf is missing"; exit 77; }
PYTHONPATH=$pypi /usr/bin/python3 -c 'import fastavro' 2>/dev/null ||
    timeout 70 /usr/bin/python3 -m pip install -q --target "$pypi" fastavro >/dev/null 2>&1
PYTHONPATH=$pypi /usr/bin/python3 -c 'import fastavro' 2>/dev/null || { echo "fastavro is not there and PyPI was not reached"; exit 77; }
PYTHONPATH=$pypi exec /usr/bin/python3 "$here/walk.py" "$@"
