"""Where the keys and values of a TOML text stand; ``tomllib`` gives the values but not their places.

The scanner reads what ``tomllib`` accepts, and is no validator: at a syntax error it stops.  A path is a
tuple of keys and of indices into arrays, from 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

Path = tuple[str | int, ...]

MAX_DEPTH: Final = 16
_BLANK: Final = re.compile(r"[ \t]*")
_GAP: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[^\s,\]}#]*|[^\s,\]}#\"'\[{]+")
_STRING: Final = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']++|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]++|\\[^\n])*+"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})|\\[ \t]*\n[ \t\n]*|\\(.)", re.DOTALL)
_ESCAPED: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


class ScanError(ValueError):
    """A text that cannot be scanned further, from ``offset`` on."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True)
class Duplicate:
    """A key or table that is given again: its path, both offsets, and the text to leave out."""

    path: Path
    first: int
    second: int
    start: int
    end: int


@dataclass
class Positions:
    """Offsets of keys (and table headers) and of values by path; ``stop`` is where the scan gave up.

    TOML 1.1 lets an inline table run over several lines, TOML 1.0 does not: they are scanned, and told.
    """

    keys: dict[Path, int] = field(default_factory=dict)
    values: dict[Path, int] = field(default_factory=dict)
    duplicates: list[Duplicate] = field(default_factory=list)
    stop: ScanError | None = None
    broken_tables: list[int] = field(default_factory=list)  # inline tables over several lines

    def key(self, path: Path) -> int:
        """Return the offset of a key, or of the nearest table around it."""
        return self._nearest(path, self.keys, self.values)

    def value(self, path: Path) -> int:
        """Return the offset of a value, or of the nearest key or table around it."""
        return self._nearest(path, self.values, self.keys)

    @staticmethod
    def _nearest(path: Path, *maps: dict[Path, int]) -> int:
        for length in range(len(path), 0, -1):
            for offsets in maps:
                if path[:length] in offsets:
                    return offsets[path[:length]]
        return 0


def scan(text: str) -> Positions:
    """Return the positions of all keys and values in a TOML text with plain line ends."""
    scanner = _Scanner(text)
    try:
        scanner.document()
    except ScanError as error:
        scanner.positions.stop = error
    return scanner.positions


def string_offset(text: str, start: int, index: int) -> int:
    """Return the offset of character ``index`` of the string whose literal begins at ``start``."""
    quote = text[start : start + 1]
    multiline = text[start : start + 3] == quote * 3
    offset = start + (3 if multiline else 1)
    if multiline and text[offset : offset + 1] == "\n":
        offset += 1
    if quote == "'":
        return offset + index
    while True:
        match = _ESCAPE.match(text, offset)
        produced = 1 if match is None or match.lastindex else 0
        if index == 0 and produced:
            return offset
        offset = match.end() if match else offset + 1
        index -= produced
        if offset >= len(text):
            return len(text)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.positions = Positions()
        self.arrays: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        repeated: Duplicate | None = None
        while True:
            self.gap()
            if self.at < len(self.text) and self.text[self.at] != "[":
                self.pair(table)
                continue
            if repeated is not None:
                self.positions.duplicates.append(
                    Duplicate(repeated.path, repeated.first, repeated.second, repeated.start, self.at)
                )
            if self.at >= len(self.text):
                return
            table, repeated = self.header()
            if repeated is not None:  # its keys are another table's; the whole of it is left out
                table = ("", *table)

    def header(self) -> tuple[Path, Duplicate | None]:
        start = self.at
        brackets = "[[" if self.text.startswith("[[", self.at) else "["
        self.at += len(brackets)
        parts = self.key()
        self.expect("]" * len(brackets))
        path: Path = ()
        for part, offset in parts[:-1]:
            path = self.element((*path, part))
            self.positions.keys.setdefault(path, offset)
        path = (*path, parts[-1][0])
        if brackets == "[[":
            number = self.arrays.get(path, 0)
            self.arrays[path] = number + 1
            self.positions.keys.setdefault(path, start)
            path = (*path, number)
            self.positions.keys[path] = start
            return path, None
        first = self.tables.get(path)
        if first is not None:
            return path, Duplicate(path, first, start, start, start)
        self.tables[path] = start
        self.positions.keys.setdefault(path, start)
        return path, None

    def element(self, path: Path) -> Path:
        """Return the path of the last element if ``path`` is an array of tables."""
        return (*path, self.arrays[path] - 1) if path in self.arrays else path

    def pair(self, table: Path, depth: int = 0) -> None:
        """Scan ``key = value``.  A statement's duplicate can be left out, one in an inline table cannot."""
        start = self.at
        path = table
        parts = self.key()
        for part, offset in parts[:-1]:
            path = (*path, part)
            self.positions.keys.setdefault(path, offset)
        path = (*path, parts[-1][0])
        first = self.positions.keys.get(path)
        self.expect("=")
        self.blank()
        if first is None:
            self.positions.keys[path] = parts[-1][1]
            self.value(path, depth)
        else:
            self.value(("", *path), depth)
            end = start if depth else self.at
            self.positions.duplicates.append(Duplicate(path, first, parts[-1][1], start, end))

    def key(self) -> list[tuple[str, int]]:
        parts = []
        while True:
            self.blank()
            start = self.at
            if match := _BARE_KEY.match(self.text, start):
                parts.append((match.group(), start))
            elif match := _STRING.match(self.text, start):
                parts.append((_decode(match.group()), start))
            else:
                raise ScanError("expected a key", start)
            if len(parts) > MAX_DEPTH:
                raise ScanError(f"nested too deep: more than {MAX_DEPTH} levels", start)
            self.at = match.end()
            self.blank()
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def value(self, path: Path, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ScanError(f"nested too deep: more than {MAX_DEPTH} levels", self.at)
        self.positions.values[path] = self.at
        character = self.text[self.at : self.at + 1]
        if character == "[":
            self.array(path, depth)
        elif character == "{":
            self.inline_table(path, depth)
        elif match := (_STRING if character in ("'", '"') else _SCALAR).match(self.text, self.at):
            self.at = match.end()
        else:
            raise ScanError("expected a value", self.at)

    def array(self, path: Path, depth: int) -> None:
        self.at += 1
        number = 0
        while True:
            self.gap()
            if self.text.startswith("]", self.at):
                break
            self.value((*path, number), depth + 1)
            number += 1
            self.gap()
            if not self.text.startswith(",", self.at):
                break
            self.at += 1
        self.expect("]")

    def inline_table(self, path: Path, depth: int) -> None:
        start, lines = self.at, 0
        self.at += 1
        while True:
            lines += self.lines()
            if self.text.startswith("}", self.at):
                break
            self.pair(path, depth + 1)
            lines += self.lines()
            if not self.text.startswith(",", self.at):
                break
            self.at += 1
        self.expect("}")
        if lines:
            self.positions.broken_tables.append(start)

    def lines(self) -> int:
        """Pass over blanks and line ends; return how many lines end there."""
        start = self.at
        self.gap()
        return self.text.count("\n", start, self.at)

    def expect(self, token: str) -> None:
        if not self.text.startswith(token, self.at):
            raise ScanError(f"expected {token!r}", self.at)
        self.at += len(token)

    def blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def gap(self) -> None:
        match = _GAP.match(self.text, self.at)
        self.at = match.end() if match else self.at


def _decode(literal: str) -> str:
    if literal.startswith("'"):
        return literal[1:-1]

    def replace(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        if code:
            return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else "\N{REPLACEMENT CHARACTER}"
        return _ESCAPED.get(match[3], "") if match[3] else ""

    return _ESCAPE.sub(replace, literal[1:-1])
