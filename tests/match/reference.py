"""Row pattern matching by the book: every way through a pattern in order of preference, the first one that fits wins."""


class View:
    """What an expression sees: rows of a partition, the variables of rows start … pos, the match's last row if known."""

    def __init__(self, rows, start, names, pos, number, end=None):
        self.rows, self.start, self.names, self.pos, self.number, self.end = rows, start, names, pos, number, end

    def find(self, names, first=False, offset=0, shift=0, final=False):
        """The number of the row a navigation leads to; None if there is none. names None: any variable."""
        last = self.end if final else self.pos
        fitting = [r for r in range(self.start, last + 1) if names is None or self.names[r - self.start] in names]
        if not first:
            fitting.reverse()
        if offset >= len(fitting):
            return None
        row = fitting[offset] + shift
        return row if 0 <= row < len(self.rows) else None

    def value(self, column, names=None, **where):
        row = self.find(names, **where)
        return None if row is None else self.rows[row][column]

    def values(self, column, names=None, final=False):
        last = self.end if final else self.pos
        return [self.rows[r][column] for r in range(self.start, last + 1)
                if names is None or self.names[r - self.start] in names]


def ways(pattern, names, fits):
    """Yields the extensions of names (variables of the rows so far) that match the pattern, the preferred ones first.

    pattern: a name, ("seq", …), ("alt", …) or ("rep", part, least, most, reluctant); fits(names) judges the last row.
    """
    if isinstance(pattern, str):
        longer = names + [pattern]
        if fits(longer):
            yield longer
    elif pattern[0] == "seq":
        if len(pattern) == 1:
            yield names
        else:
            for head in ways(pattern[1], names, fits):
                yield from ways(("seq",) + pattern[2:], head, fits)
    elif pattern[0] == "alt":
        for part in pattern[1:]:
            yield from ways(part, names, fits)
    else:
        _, part, least, most, reluctant = pattern
        if least:
            for head in ways(part, names, fits):
                yield from ways(("rep", part, least - 1, None if most is None else most - 1, reluctant), head, fits)
            return
        if reluctant:
            yield names
        if most is None or most > 0:
            for head in ways(part, names, fits):
                yield from ways(("rep", part, 0, None if most is None else most - 1, reluctant), head, fits)
        if not reluctant:
            yield names


def matches(rows, clause):
    """(start, variables, number) of each match in a partition's rows, which are in order."""
    start, number = 0, 0
    while start < len(rows):
        def fits(names):
            pos = start + len(names) - 1
            if pos >= len(rows):
                return False
            if clause.within is not None and rows[pos]["at"] - rows[start]["at"] >= clause.within:
                return False
            define = clause.defines.get(names[-1])
            return define is None or define(View(rows, start, names, pos, number + 1)) is True

        names = next(ways(clause.pattern, [], fits), None)
        if names is None:
            start += 1
            continue
        number += 1
        yield start, names, number
        if clause.skip == "past":
            start += len(names)
        else:
            start += 1


def answer(table, clause):
    """The rows of ONE ROW or ALL ROWS PER MATCH: the partition's key and the measures."""
    partitions = {}
    for row in table:
        partitions.setdefault(row["k"], []).append(row)
    out = []
    for key, rows in partitions.items():
        rows.sort(key=clause.order)
        for start, names, number in matches(rows, clause):
            last = start + len(names) - 1
            for pos in range(start if clause.all_rows else last, last + 1):
                view = View(rows, start, names, pos, number, last)
                shown = (rows[pos]["at"],) if clause.all_rows else ()
                out.append((key,) + shown + tuple(measure(view) for measure in clause.measures))
    return out
