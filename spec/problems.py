"""Problems of a spec file: each with its place, a stable code, the line and a caret.

E0xx the file, E1xx keys and values, E2xx names, E3xx formulas, E4xx the network, E5xx data.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Final

from chainrule.derive.model import LineColumn
from chainrule.formula.messages import caret_lines

MOST_PROBLEMS: Final = 100


@dataclass(frozen=True)
class Problem:
    """One problem: where it is, its code, what is wrong, what was expected, and the remedy."""

    file: str
    line: int
    column: int
    code: str
    message: str
    source_line: str = ""
    caret: str = ""
    expected: str = ""
    hint: str = ""

    def __str__(self) -> str:
        expected = f"expected {self.expected}" if self.expected else ""
        text = "; ".join(part for part in (self.message, expected, self.hint) if part)
        lines = (f"{self.file}:{self.line}:{self.column}: {self.code} {text}", self.source_line, self.caret)
        return "\n".join(line for line in lines if line.strip())


class SpecError(ValueError):
    """A spec file that is refused, with all its problems in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}")
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class SpecText:
    """The text of a spec file and the problems found in it."""

    def __init__(self, text: str, filename: str) -> None:
        self.text = text
        self.filename = filename
        self.problems: list[Problem] = []
        self._starts = [0]
        self._starts.extend(i + 1 for i, character in enumerate(text) if character == "\n")

    def place(self, offset: int) -> LineColumn:
        """Return the line and the column of an offset into the text."""
        line = bisect.bisect_right(self._starts, offset)
        return LineColumn(line, offset - self._starts[line - 1] + 1)

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a line and a column."""
        return min(self._starts[min(line, len(self._starts)) - 1] + column - 1, len(self.text))

    def report(self, code: str, offset: int, message: str, *, expected: str = "", hint: str = "") -> None:
        """Add a problem at an offset; raises SpecError when there are too many to go on."""
        place = self.place(offset)
        line, caret = caret_lines(self.text, offset)
        self.problems.append(
            Problem(self.filename, place.line, place.column, code, message, line, caret, expected, hint)
        )
        if len(self.problems) >= MOST_PROBLEMS:
            more = f"{MOST_PROBLEMS} problems; the rest is not listed"
            self.problems.append(Problem(self.filename, place.line, place.column, "E007", more))
            self.refuse()

    def refuse(self) -> None:
        """Raise SpecError if there are problems."""
        if self.problems:
            unique = dict.fromkeys(self.problems)
            raise SpecError(tuple(sorted(unique, key=lambda p: (p.code == "E007", p.line, p.column))))
