"""kappa log export and import, kappa backup and restore, that are killed at any moment, on full disks and over damage: nothing
half made looks whole, what a later run makes of it is clear, and nothing is twice."""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
import urllib.request

KAPPA, SCRATCH, DATA, HTTP = (os.environ[name] for name in ("KAPPA", "SCRATCH", "KAPPA_DATA", "HTTP"))
KILLS = 6 * int(os.environ.get("KAPPA_TEST_SCALE", "1"))
RECORDS = 30000


def kappa(*args, stdin=b"", status=0, stdout=subprocess.PIPE):
    done = subprocess.run([KAPPA, *args], input=stdin, stdout=stdout, stderr=subprocess.PIPE)
    assert done.returncode == status, (args, done.returncode, done.stderr)
    return (done.stdout if status == 0 else done.stderr) or b""


def killed(delay, *args, stdin=None):
    """Runs it, and kills it after so long; True when it was done before."""
    with subprocess.Popen([KAPPA, *args], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    return process.returncode == 0


def seconds(*args, stdin=b""):
    begun = time.monotonic()
    kappa(*args, stdin=stdin)
    return time.monotonic() - begun


def folder(name):
    return os.path.join(SCRATCH, name)


def lines_of(first, count):
    return [json.dumps({"partition": 0, "offset": offset, "timestamp_ms": offset, "key": str(offset), "value": "v" * 60})
            for offset in range(first, first + count)]


def offsets(data):
    return [json.loads(line)["offset"] for line in kappa("log", "export", "t", "--data", data).decode().splitlines()]


def check_import():
    """Killed: what is there is a beginning. Run again it says so, and adds nothing; the rest can be imported."""
    lines = lines_of(0, RECORDS)
    path = folder("all.ndjson")
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
    taken = seconds("log", "import", "t", "--data", folder("timed"), stdin=open(path, "rb").read())
    rng = random.Random(1)
    parts = 0
    for i in range(KILLS):
        data = folder("import%d" % i)
        with open(path, "rb") as file:
            done = killed(rng.random() * taken, "log", "import", "t", "--data", data, stdin=file)
        if not os.path.exists(data):
            continue
        verify = subprocess.run([KAPPA, "log", "verify", "--data", data], capture_output=True, check=False)
        topics = subprocess.run([KAPPA, "log", "topics", "--data", data], capture_output=True, check=False).stdout
        got = offsets(data) if verify.returncode == 0 and re.search(rb"\bt\b", topics) else []
        assert got == list(range(len(got))), (i, len(got))
        assert not done or len(got) == RECORDS
        if got:
            parts += len(got) < RECORDS
            said = kappa("log", "import", "t", "--data", data, stdin=open(path, "rb").read(), status=1)
            assert b"goes on at offset %d, the record has 0" % len(got) in said, said
            assert offsets(data) == got
        rest = "".join(line + "\n" for line in lines[len(got):]).encode()
        kappa("log", "import", "t", "--data", data, stdin=rest)
        assert offsets(data) == list(range(RECORDS))
        kappa("log", "verify", "--data", data)
        shutil.rmtree(data)
    return parts


def check_export():
    """An Arrow file that was not written to its end is refused, wherever it was cut; an export that fails says so."""
    data = folder("timed")
    arrow = kappa("log", "export", "t", "--format", "arrow", "--data", data)
    rng = random.Random(2)
    ends = [i for i in range(8, len(arrow), 8) if arrow[i:i + 4] == b"\xff\xff\xff\xff"]  # messages begin there
    for number, end in enumerate(ends[-3:] + [rng.randrange(len(arrow)) for _ in range(8)] + [len(arrow) - 1]):
        said = kappa("log", "import", "t", "--format", "arrow", "--data", folder("cut%d" % number), stdin=arrow[:end], status=1)
        assert b"Arrow" in said, said
        shutil.rmtree(folder("cut%d" % number), ignore_errors=True)
    with open("/dev/full", "wb") as full:
        for form in ("ndjson", "arrow"):
            assert b"could not be written" in kappa("log", "export", "t", "--format", form, "--data", data, stdout=full,
                                                    status=1)


def check_backup():
    """Killed while a server writes on: no folder of its name; the next one of that name is whole."""
    body = "".join('{"k": %d, "pad": "%s"}\n' % (i, "x" * 200) for i in range(1000)).encode()

    def post():
        urllib.request.urlopen(urllib.request.Request("http://%s/topics/live" % HTTP, data=body,
                                                      headers={"Content-Type": "application/x-ndjson"})).read()
    for _ in range(5):
        post()
    taken = seconds("backup", folder("timed_backup"), "--data", DATA)
    rng = random.Random(3)
    halves = 0
    for i in range(KILLS):
        name, again = folder("backup%d" % i), folder("again%d" % i)
        post()
        killed(rng.random() * taken, "backup", name, "--data", DATA)
        halves += os.path.exists(name + ".partial")
        if not os.path.exists(name):  # else it is whole
            kappa("restore", name, "--data", again, status=1)
            kappa("backup", name, "--data", DATA)
        assert not os.path.exists(name + ".partial")
        assert b"sound" in kappa("log", "verify", "--data", name)
        whole = kappa("log", "export", "live", "--data", name)
        assert len(whole.splitlines()) == 1000 * (6 + i)
        position = json.loads(whole.splitlines()[-1])["position"] + 1
        for extra in ((), ("--to-position", str(position))):
            killed(rng.random() * taken, "restore", name, "--data", again, *extra)
            if not os.path.exists(again):  # else it is whole
                kappa("restore", name, "--data", again, *extra)
            assert not os.path.exists(again + ".partial")
            got = kappa("log", "export", "live", "--data", again)
            assert got == whole, (extra, next((number, a[:160], b[:160]) for number, (a, b) in enumerate(
                zip(got.splitlines(), whole.splitlines())) if a != b))
            shutil.rmtree(again)
        shutil.rmtree(name)
    return halves


def check_full_disk():
    """Neither leaves anything behind; an import keeps what it has and says where it stopped."""
    small = folder("small")
    os.makedirs(small)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", small], stderr=subprocess.DEVNULL,
                             check=False).returncode == 0
    if not mounted:
        print("note: a small file system may not be mounted: full disks were left out")
        return
    try:
        lines = "".join(line + "\n" for line in lines_of(0, 14 * RECORDS)).encode()
        data = os.path.join(small, "data")
        said = kappa("log", "import", "t", "--data", data, stdin=lines, status=1)
        assert b"pace" in said, said  # no space left
        got = offsets(data)
        assert 0 < len(got) < 14 * RECORDS and got == list(range(len(got)))
        assert b"goes on at offset" in kappa("log", "import", "t", "--data", data, stdin=lines, status=1)
        shutil.rmtree(data)
        kappa("log", "import", "t", "--data", folder("large"), stdin=lines)
        for verb in (("backup", data, "--data", folder("large")), ("restore", folder("large"), "--data", data)):
            said = kappa(*verb, status=1)
            assert b"pace" in said, said
            assert os.listdir(small) == [], os.listdir(small)
            assert not os.path.exists(os.path.join(folder("large"), "backup.links"))
        shutil.rmtree(folder("large"))
    finally:
        subprocess.run(["umount", "-l", small], check=False)


def check_damage():
    """Of a damaged log no backup is made; what lies beside the damage is exported, what is damaged is told."""
    data = folder("damaged")
    for topic, word in (("t", "needle"), ("u", "thread")):
        lines = [json.dumps({"partition": 0, "offset": i, "timestamp_ms": 0, "value": f"{word} {i} " + "z" * 2000})
                 for i in range(400)]
        kappa("log", "import", topic, "--data", data, stdin="".join(line + "\n" for line in lines).encode())
    path = os.path.join(data, "00000001.journal")
    with open(path, "r+b") as file:
        file.seek(file.read().index(b"needle 300 "))
        file.write(b"noodle")
    said = kappa("backup", folder("of_damaged"), "--data", data, status=1)
    assert b"is damaged" in said and b"its entries fail their checksum" in said, said
    said = kappa("restore", data, "--data", folder("of_damaged"), status=1)
    assert b"is damaged" in said, said
    assert not os.path.exists(folder("of_damaged")) and not os.path.exists(folder("of_damaged") + ".partial")
    assert len(kappa("log", "export", "u", "--data", data).splitlines()) == 400
    for form in ("ndjson", "arrow"):
        done = subprocess.run([KAPPA, "log", "export", "t", "--format", form, "--data", data], capture_output=True, check=False)
        assert done.returncode == 1 and b'topic "t", partition 0 is damaged at offsets' in done.stderr, done.stderr
    kappa("log", "import", "t", "--format", "arrow", "--data", folder("half"), stdin=done.stdout, status=1)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 4]))


def sealed_server(data):
    """A server whose journal becomes extents at once, and small files; where it listens."""
    server = subprocess.Popen([KAPPA, "server", "--data", data, "--pg", "off", "--kafka", "off", "--http", "127.0.0.1:0",
                               "--log-file", "256KiB", "--log-seal", "256KiB", "--log-adopt", "64KiB", "--log-extent", "300KiB"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    ready = next(line for line in server.stdout if line.startswith("ready "))
    return server, re.search(r"http=(\S+)", ready).group(1)


def fill_sealed(data, http):
    """Records of t and u, which come to lie in extents of every kind; where each of t's is: file, byte."""
    def post(topic, first, count, size):
        body = "".join(json.dumps("%s %d %s" % (topic, i, os.urandom(size // 2).hex())) + "\n" for i in range(first, first + count))
        urllib.request.urlopen(urllib.request.Request("http://%s/topics/%s" % (http, topic), data=body.encode(),
                                                      headers={"Content-Type": "application/x-ndjson"})).read()
    for i in range(60):
        post("t", 4 * i, 4, 400)
        post("u", 4 * i, 4, 400)
    for i in range(12):
        post("t", 240 + 10 * i, 10, 20000)
    for i in range(60):
        post("u", 240 + 4 * i, 4, 4000)
    places = {}
    for _ in range(600):
        files = [name for name in os.listdir(data) if name.endswith((".extent", ".adopted"))]
        for name in files:
            try:
                with open(os.path.join(data, name), "rb") as file:
                    for match in re.finditer(rb'"t (\d+) ', file.read()):
                        places[int(match.group(1))] = name, match.start()
            except FileNotFoundError:
                pass
        if any(name.endswith(".adopted") for name, _ in places.values()) and any(
                name.endswith(".extent") for name, _ in places.values()):
            time.sleep(0.5)  # until all is sealed that will be
            return {number: place for number, place in places.items() if os.path.exists(os.path.join(data, place[0]))}
        time.sleep(0.05)
    raise AssertionError(sorted(os.listdir(data)))


def damage_told(data, wrong):
    """Neither export of t nor a backup takes it for whole; u, which lies beside, is all there if its bytes are."""
    for form in ("ndjson", "arrow"):
        done = subprocess.run([KAPPA, "log", "export", "t", "--format", form, "--data", data], capture_output=True, check=False)
        assert done.returncode == 1 and wrong in done.stderr, (done.returncode, done.stderr)
    said = kappa("backup", folder("of_rot"), "--data", data, status=1)
    assert b"is damaged" in said, said
    for left in (folder("of_rot"), folder("of_rot.partial"), os.path.join(data, "backup.links")):
        assert not os.path.exists(left), left


def check_extents():
    """Extents that rot, under a server that runs and in a folder at rest."""
    data = folder("sealed")
    server, http = sealed_server(data)
    places = fill_sealed(data, http)
    kinds = {name.split(".")[1]: (number, name, at) for number, (name, at) in places.items()}
    assert len(kinds) == 2, kinds
    whole = kappa("log", "export", "u", "--data", data)
    for running in (True, False):
        for number, name, at in kinds.values():
            path = os.path.join(data, name)
            flip(path, at + 3)
            damage_told(data, b'topic "t", partition 0 is damaged at offset')
            assert kappa("log", "export", "u", "--data", data) == whole
            if not running:
                said = kappa("restore", data, "--data", folder("of_rot"), status=1)
                assert b"is damaged" in said, said
            flip(path, at + 3)
            flip(path, 40)  # its header
            copy = folder("of_rot")
            done = subprocess.run([KAPPA, "backup", copy, "--data", data], capture_output=True, check=False)
            if name.endswith(".adopted"):
                assert done.returncode == 1 and name.encode() in done.stderr, done.stderr
            else:  # readers mend it, in the copy too
                assert done.returncode == 0 and b"nothing is lost" in done.stderr, done
                assert kappa("log", "export", "u", "--data", copy) == whole
                assert len(kappa("log", "export", "t", "--data", copy).splitlines()) == 360
                shutil.rmtree(copy)
            done = subprocess.run([KAPPA, "log", "export", "t", "--data", data], capture_output=True, check=False)
            lines = done.stdout.splitlines()
            assert done.returncode == 1 or len(lines) == 360, (done.returncode, len(lines))
            assert done.returncode == 0 or done.stderr, done
            flip(path, 40)
        if running:
            server.terminate()
            assert server.wait() == 0
    assert len(kappa("log", "export", "t", "--data", data).splitlines()) == 360
    assert b"sound" in kappa("log", "verify", "--data", data)


def check_killed_export():
    """What a killed export has written is a beginning, and nothing in the folder changes."""
    data = folder("timed")
    whole = {form: kappa("log", "export", "t", "--format", form, "--data", data) for form in ("ndjson", "arrow")}
    before = sorted((name, os.stat(os.path.join(data, name)).st_mtime_ns) for name in os.listdir(data))
    taken, rng = seconds("log", "export", "t", "--data", data), random.Random(4)
    for i in range(KILLS):
        form = ("ndjson", "arrow")[i % 2]
        with open(folder("out"), "wb") as out, subprocess.Popen([KAPPA, "log", "export", "t", "--format", form, "--data", data],
                                                                stdout=out) as process:
            time.sleep(rng.random() * taken)
            process.kill()
        with open(folder("out"), "rb") as out:
            got = out.read()
        assert whole[form].startswith(got), (form, len(got))
        if form == "arrow" and len(got) < len(whole[form]):
            kappa("log", "import", "t", "--format", "arrow", "--data", folder("cut"), stdin=got, status=1)
            shutil.rmtree(folder("cut"), ignore_errors=True)
    assert sorted((name, os.stat(os.path.join(data, name)).st_mtime_ns) for name in os.listdir(data)) == before
    assert kappa("log", "export", "t", "--data", data) == whole["ndjson"]


parts = check_import()
check_export()
check_killed_export()
check_extents()
halves = check_backup()
check_full_disk()
check_damage()
print(f"{KILLS} imports killed, {parts} of them half done; {KILLS} backups killed, {halves} of them half done")
