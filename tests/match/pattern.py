"""Random MATCH_RECOGNIZE clauses: as SQL, and as functions for the reference."""

VARIABLES = ["a", "b", "c"]


def compare(op, x, y):
    if x is None or y is None:
        return None
    return {"<": x < y, "<=": x <= y, ">": x > y, "=": x == y, "<>": x != y}[op]


def total(values):
    values = [v for v in values if v is not None]
    return sum(values) if values else None


def most(values):
    values = [v for v in values if v is not None]
    return max(values) if values else None


class Clause:
    """One clause: sql(relation) and what the reference needs."""

    def __init__(self, random, has_id):
        self.random = random
        self.has_id = has_id
        self.pattern = self.make_pattern(2)
        while self.may_be_empty(self.pattern):
            self.pattern = self.make_pattern(2)
        self.names = [v for v in VARIABLES if self.uses(self.pattern, v)]
        self.skip = random.choice(["past", "past", "next"])
        self.within = random.choice([None, None, 3, 6])
        self.all_rows = random.random() < 0.3
        self.defines, self.define_sql = {}, []
        for name in self.names:
            if random.random() < 0.8 or (name == self.names[-1] and not self.define_sql):
                text, function = self.make_condition(name)
                self.defines[name] = function
                self.define_sql.append(f"{name} AS {text}")
        made = [self.make_measure() for _ in range(random.randint(1, 4))]
        self.measure_sql = [text for text, _ in made]
        self.measures = [function for _, function in made]

    def order(self, row):
        """Ties follow the whole row: by id where there is one, else by v with NULLs last."""
        return (row["at"], row["id"]) if self.has_id else (row["at"], row["v"] is None, row["v"] or 0)

    # ---- patterns ----

    def make_pattern(self, depth):
        random = self.random
        kind = random.random()
        if depth == 0 or kind < 0.2:
            part = random.choice(VARIABLES)
        elif kind < 0.75:
            part = ("seq",) + tuple(self.make_pattern(depth - 1) for _ in range(random.randint(2, 3)))
        else:
            part = ("alt",) + tuple(self.make_pattern(depth - 1) for _ in range(2))
        if random.random() < 0.45 and not self.may_be_empty(part):
            least, most_times = random.choice([(0, None), (1, None), (0, 1), (2, 2), (1, 3), (0, 2), (2, None)])
            part = ("rep", part, least, most_times, random.random() < 0.4)
        return part

    def may_be_empty(self, part):
        if isinstance(part, str):
            return False
        if part[0] == "rep":
            return part[2] == 0 or self.may_be_empty(part[1])
        return (all if part[0] == "seq" else any)(self.may_be_empty(p) for p in part[1:])

    def uses(self, part, name):
        if isinstance(part, str):
            return part == name
        return any(self.uses(p, name) for p in (part[1:2] if part[0] == "rep" else part[1:]))

    def pattern_sql(self, part):
        if isinstance(part, str):
            return part
        if part[0] == "seq":
            return " ".join(self.pattern_sql(p) if isinstance(p, str) or p[0] == "rep" else f"({self.pattern_sql(p)})"
                            for p in part[1:])
        if part[0] == "alt":
            return " | ".join(f"({self.pattern_sql(p)})" for p in part[1:])
        _, inner, least, most_times, reluctant = part
        times = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((least, most_times))
        if not times:
            times = "{%d}" % least if least == most_times else "{%s,%s}" % (least or "", "" if most_times is None else most_times)
        text = self.pattern_sql(inner)
        return (text if isinstance(inner, str) else f"({text})") + times + ("?" if reluctant else "")

    # ---- expressions ----

    def make_condition(self, own):
        random = self.random
        other = random.choice(self.names)
        n, op = random.randint(0, 9), random.choice(["<", "<=", ">", "<>", "="])
        choices = [
            (f"v {op} {n}", lambda s: compare(op, s.value("v"), n)),
            (f"{own}.v {op} {n}", lambda s: compare(op, s.value("v", own), n)),
            (f"v > PREV(v)", lambda s: compare(">", s.value("v"), s.value("v", shift=-1))),
            (f"{own}.v {op} PREV({own}.v, 2)", lambda s: compare(op, s.value("v", own), s.value("v", own, shift=-2))),
            (f"v {op} NEXT(v)", lambda s: compare(op, s.value("v"), s.value("v", shift=1))),
            (f"v {op} LAST({other}.v)", lambda s: compare(op, s.value("v"), s.value("v", other))),
            (f"v {op} FIRST({other}.v)", lambda s: compare(op, s.value("v"), s.value("v", other, first=True))),
            (f"v {op} LAST({other}.v, 1)", lambda s: compare(op, s.value("v"), s.value("v", other, offset=1))),
            (f"v {op} PREV(FIRST({other}.v), 1)",
             lambda s: compare(op, s.value("v"), s.value("v", other, first=True, shift=-1))),
            (f"SUM({other}.v) {op} {n + 8}", lambda s: compare(op, total(s.values("v", other)), n + 8)),
            (f"COUNT(*) <= {n % 4 + 1}", lambda s: compare("<=", len(s.values("v")), n % 4 + 1)),
            (f"COUNT({other}.v) < 3", lambda s: compare("<", len([v for v in s.values("v", other) if v is not None]), 3)),
            (f"(v IS NULL OR v + COALESCE(LAST({other}.v), 0) {op} {n})",
             lambda s: True if s.value("v") is None else compare(op, s.value("v") + (s.value("v", other) or 0), n)),
            (f"PREV(CLASSIFIER()) IS DISTINCT FROM '{other}'",
             lambda s: s.pos == s.start or s.names[s.pos - 1 - s.start] != other),
        ]
        return random.choice(choices)

    def make_measure(self):
        random = self.random
        name = random.choice(self.names)
        final = "FINAL " if random.random() < 0.3 else ""
        of = {"final": bool(final)}
        choices = [
            (f"{final}LAST({name}.v)", lambda s: s.value("v", name, **of)),
            (f"{final}FIRST({name}.v, 1)", lambda s: s.value("v", name, first=True, offset=1, **of)),
            (f"{final}COUNT({name}.*)", lambda s: len(s.values("v", name, **of))),
            (f"{final}SUM(v)", lambda s: total(s.values("v", **of))),
            (f"{final}MAX({name}.v)", lambda s: most(s.values("v", name, **of))),
            ("MATCH_NUMBER()", lambda s: s.number),
            ("CLASSIFIER()", lambda s: s.names[s.pos - s.start]),
            (f"PREV(FIRST(v))", lambda s: s.value("v", first=True, shift=-1)),
            (f"NEXT(FINAL LAST(v), 2)", lambda s: s.value("v", shift=2, final=True)),
            (f"{final}LAST({name}.v + 1)", lambda s: None if s.value("v", name, **of) is None else s.value("v", name, **of) + 1),
            (f"{final}STRING_AGG(v::text, ',')",
             lambda s: ",".join(str(v) for v in s.values("v", **of) if v is not None) or None),
        ]
        return random.choice(choices)

    def sql(self, relation):
        measures = ", ".join(f"{text} AS m{i}" for i, text in enumerate(self.measure_sql))
        shown = ", ".join(["k"] + (["at"] if self.all_rows else []) + [f"m{i}" for i in range(len(self.measure_sql))])
        within = "" if self.within is None else f" WITHIN INTERVAL '{self.within} seconds'"
        return (f"SELECT {shown} FROM {relation} MATCH_RECOGNIZE (PARTITION BY k ORDER BY at MEASURES {measures} "
                f"{'ALL ROWS' if self.all_rows else 'ONE ROW'} PER MATCH AFTER MATCH SKIP "
                f"{'PAST LAST ROW' if self.skip == 'past' else 'TO NEXT ROW'} "
                f"PATTERN ({self.pattern_sql(self.pattern)}){within} DEFINE {', '.join(self.define_sql)})")
