"""Random lines of CSV, as PostgreSQL's COPY reads them."""
import io

import psycopg2


class Dialect:
    def __init__(self, dice):
        self.delimiter = dice.choice([",", ";", "\t", "|"])
        self.quote = dice.choice(['"', '"', "'", "~"])
        self.escape = dice.choice([self.quote, self.quote, "\\", "^"])
        self.null = dice.choice(["", "", "NULL", "\\N", "-"])

    def options(self, between):
        said = {"delimiter": self.delimiter, "quote": self.quote, "escape": self.escape, "null": self.null}
        return ", ".join(f"{name}{between}'" + value.replace("'", "''") + "'" for name, value in said.items())

    def line(self, dice):
        """A row well written, badly written, or no row at all."""
        marks = [self.delimiter, self.quote, self.escape, self.null, "\n"]
        if dice.random() < 0.4:
            return "".join(dice.choice(marks[:4] + ["a", "1", " ", "é", ""]) for _ in range(dice.randint(1, 9)))
        fields = []
        for _ in range(dice.choice([3, 3, 3, 3, 2, 4])):
            text = "".join(dice.choice(marks + ["word", "x", " ", "ü", ""]) for _ in range(dice.randint(0, 4)))
            if dice.random() < 0.2:
                fields.append(self.null)
            elif dice.random() < 0.4 and not any(mark in text for mark in (self.delimiter, self.quote, "\n")):
                fields.append(text)
            else:
                inside = text.replace(self.escape, self.escape * 2) if self.escape != self.quote else text
                inside = inside.replace(self.quote, self.escape + self.quote)
                cut = dice.choice([0, 0, 0, 1]) if text[:1].isalpha() else 0  # quotes may begin anywhere
                fields.append(inside[:cut] + self.quote + inside[cut:] + self.quote)
        return self.delimiter.join(fields) + dice.choice(["", "", "\n", "\r\n"])


def by_copy(postgres, dialect, line):
    """The fields of the row; None if it is refused, or not one row."""
    with postgres.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE IF NOT EXISTS line (a text, b text, c text); TRUNCATE line")
        try:
            cursor.copy_expert(f"COPY line FROM STDIN WITH (FORMAT csv, {dialect.options(' ')})", io.StringIO(line, newline=""))
        except psycopg2.Error:
            return None
        cursor.execute("SELECT a, b, c FROM line")
        found = cursor.fetchall()
    return dict(zip("abc", found[0])) if len(found) == 1 else None
