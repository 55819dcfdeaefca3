"""Random regular expressions, SQL patterns, texts and flags, in a small alphabet so that they often match."""

ALPHABET = "aabbcABxäÄ_1 \n"
CLASSES = ("alpha", "digit", "upper", "lower", "space", "punct", "word", "alnum", "graph", "print", "cntrl", "blank", "xdigit", "ascii")
QUANTIFIERS = ("*", "+", "?", "{0}", "{1}", "{2}", "{1,2}", "{0,1}", "{2,}", "{0,}", "{1,}", "{0,0}", "{2,3}", "{1,1}", "{0,2}", "{3}")
CONDITIONS = ("^", "$", r"\A", r"\Z", r"\m", r"\M", r"\y", r"\Y")
SHORTHANDS = (r"\w", r"\d", r"\s", r"\W", r"\D", r"\S")
PREFIXES = ("(?i)", "(?n)", "(?p)", "(?w)", "(?x)", "(?q)", "(?e)", "(?b)", "(?s)", "(?in)", "(?c)", "(?z)", "***:", "***=")
SCRAPS = tuple("ab()[]{}*+?|^$.\\-,12:=!<#xw ") + ("(?", "[[:", "\\u00e4", "***", "(?i)", "\\12", "\\x41", "{1,", "[.a.]", "\\")


class Patterns:
    def __init__(self, dice):
        self.dice, self.groups = dice, 0

    def character(self):
        return self.dice.choice(ALPHABET)

    def text(self):
        return "".join(self.character() for _ in range(self.dice.randint(0, self.dice.choice((3, 8, 14)))))

    def brackets(self):
        dice = self.dice
        made = "[" + ("^" if dice.random() < 0.3 else "") + ("]" if dice.random() < 0.05 else "")
        for _ in range(dice.randint(1, 3)):
            made += dice.choice((
                self.character(), self.character(), dice.choice(("a-b", "a-z", "A-C", "0-9", "b-a", "à-ÿ")),
                "[:" + (dice.choice(CLASSES) if dice.random() < 0.97 else "foo") + ":]", dice.choice(SHORTHANDS + (r"\n", r"\\", r"\m")),
                dice.choice(("[.a.]", "[=a=]", "[.hyphen.]", "[.space.]-b", "a-[.c.]", "-", "[.foo.]"))))
        return made + "]"

    def quantifier(self):
        return self.dice.choice(QUANTIFIERS[:3] * 4 + QUANTIFIERS) + ("?" if self.dice.random() < 0.35 else "")

    def atom(self, depth):
        kind = self.dice.random()
        if depth > 0 and 0.45 < kind < 0.65:
            self.groups += 1
            return "(" + self.branches(depth - 1) + ")"
        if depth > 0 and 0.65 < kind < 0.75:
            return "(?:" + self.branches(depth - 1) + ")"
        if self.groups and 0.75 < kind < 0.82:
            return "\\" + str(self.dice.randint(1, self.groups))
        if kind > 0.95:
            return "."
        if kind > 0.89:
            return self.brackets()
        return self.dice.choice(SHORTHANDS) if kind > 0.85 else self.character()

    def item(self, depth):
        if self.dice.random() < 0.06:
            return self.dice.choice(CONDITIONS)
        if self.dice.random() < 0.04:
            return self.dice.choice(("(?=", "(?!", "(?<=", "(?<!")) + self.branches(max(depth - 1, 0)) + ")"
        return self.atom(depth) + (self.quantifier() if self.dice.random() < 0.4 else "")

    def branches(self, depth):
        count = 1 if self.dice.random() < 0.7 else self.dice.randint(2, 3)
        return "|".join("".join(self.item(depth) for _ in range(self.dice.choice((0, 1, 1, 2, 2, 3, 4)))) for _ in range(count))

    def pattern(self):
        self.groups = 0
        if self.dice.random() < 0.1:
            return "".join(self.dice.choice(SCRAPS) for _ in range(self.dice.randint(1, 8)))
        made = self.branches(self.dice.randint(1, 3))
        return self.dice.choice(PREFIXES) + made if self.dice.random() < 0.06 else made

    def sql_pattern(self):
        """SIMILAR TO's, with separators of substring now and then."""
        parts = ("%", "_", "%", "|", "(a|b)", "[ab]", "[^a]", "a*", "b+", "c?", "(ab){1,2}", ".", "^", "$", '#"', "##", "[[:alpha:]]", "(")
        return "".join(self.dice.choice(parts) if self.dice.random() < 0.6 else self.character() for _ in range(self.dice.randint(0, 6)))

    def flags(self, more=""):
        if self.dice.random() < 0.6:
            return ""
        return "".join(self.dice.choice("iiinpwmxcsteqb" + more + ("z" if self.dice.random() < 0.05 else "")) for _ in range(self.dice.randint(1, 2)))
