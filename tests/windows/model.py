"""What views over windows must show, by the definitions of docs/guide.md, over the records in the order of the log."""
import collections

NEVER = float("-inf")


class Row:
    """A record that made a row: where it lies, and its columns. at: microseconds, or None."""

    def __init__(self, position, partition, logged, at, k, v):
        self.position, self.partition, self.logged, self.at, self.k, self.v = position, partition, logged, at, k, v
        self.watermark = None  # that stood before it


class Watermark:
    """The least over the partitions that are not idle of the largest event time, less the delay; it never goes back."""

    def __init__(self, delay, idle):
        self.delay, self.idle, self.largest, self.seen, self.value, self.looked = delay, idle, {}, {}, NEVER, None

    def look(self, now):
        last = max(self.seen.values())
        awake = [self.largest[p] for p in self.largest
                 if self.idle is None or self.seen[p] == last or now - self.seen[p] < self.idle]
        if awake and min(awake) != NEVER:
            self.value = max(self.value, min(awake) - self.delay)
        return self.value

    def take(self, row):
        if self.seen and (self.looked is None or row.logged > self.looked):
            self.look(row.logged)
        self.looked = row.logged
        row.watermark = self.value
        self.largest[row.partition] = max(self.largest.get(row.partition, NEVER), NEVER if row.at is None else row.at)
        self.seen[row.partition] = max(self.seen.get(row.partition, 0), row.logged)
        self.look(row.logged)

    def settle(self):
        """When so much time has passed that every silent partition is idle."""
        return self.look(float("inf")) if self.seen else NEVER


def windows(kind, at, size, step):
    """(start, end) of the windows that hold a time."""
    if kind == "session":
        return [(at, at + size)]
    if kind == "cumulate":
        start = at - at % size
        return [(start, start + n) for n in range(step, size + 1, step) if start + n > at]
    slide = size if kind == "tumble" else step
    first = at - at % slide
    return [(start, start + size) for start in range(first, first - size, -slide) if start + size > at]


def pairs(rows, kind, size, step, late):
    """(row, start, end) of the pairs that are late, or that are not."""
    for row in rows:
        if row.at is None:
            continue
        for start, end in windows(kind, row.at, size, step):
            behind = row.at < row.watermark if kind == "session" else end <= row.watermark
            if behind == late:
                yield row, start, end


def sessions(rows, gap):
    """Sessions of each key: rows that follow one another by less than the gap."""
    by_key = collections.defaultdict(list)
    for row in rows:
        if row.at is not None:
            by_key[row.k].append(row)
    for of_key in by_key.values():
        of_key.sort(key=lambda row: row.at)
        open_rows = []
        for row in of_key:
            if open_rows and row.at - open_rows[-1].at >= gap:
                yield open_rows, open_rows[0].at, open_rows[-1].at + gap
                open_rows = []
            open_rows.append(row)
        yield open_rows, open_rows[0].at, open_rows[-1].at + gap


def grouped(rows, kind, size, step, drops):
    """((start, end, key) → rows) of windows; drops: late pairs are left out."""
    groups = collections.defaultdict(list)
    if kind == "session":
        kept = [row for row in rows if row.at is not None and not (drops and row.at < row.watermark)]
        for members, start, end in sessions(kept, size):
            groups[start, end, members[0].k] += members
        return groups
    for row in rows:
        if row.at is None:
            continue
        for start, end in windows(kind, row.at, size, step):
            if not (drops and end <= row.watermark):
                groups[start, end, row.k].append(row)
    return groups
