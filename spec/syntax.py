"""TOML syntax: the values by ``tomllib``, and going on behind an error to find the next one."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from chainrule.spec.positions import Positions, scan
from chainrule.spec.problems import SpecText
from chainrule.spec.tables import label

MOST_RECOVERIES: Final = 20
_LONG_TEXT: Final = 100_000
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_LONG_NUMBER: Final = re.compile(r"\d[\d_]{999,}")


def read_toml(source: SpecText) -> tuple[dict[str, Any], Positions, bool]:
    """Return the values, their positions, and whether lines were left out behind an error.

    Every duplicate and syntax error is reported.  Raises SpecError when nothing after one can be made out.
    """
    text = source.text
    recovered = False
    for _ in range(MOST_RECOVERIES if len(text) < _LONG_TEXT else 2):
        positions = scan(text)
        if positions.stop is not None and "too deep" in str(positions.stop):
            source.report("E006", positions.stop.offset, str(positions.stop))
            source.refuse()
        text, repeated = _without_duplicates(source, text, positions)
        if not repeated:
            try:
                return tomllib.loads(text), positions, recovered
            except RecursionError:
                source.report("E006", 0, "nested too deep")
                source.refuse()
            except ValueError as error:
                text = _without_error(source, text, error, positions)
                recovered = True
    source.refuse()
    raise AssertionError("a refused text has problems")


def _without_duplicates(source: SpecText, text: str, positions: Positions) -> tuple[str, bool]:
    left_out = False
    for duplicate in positions.duplicates:
        first = source.place(duplicate.first).line
        path = duplicate.path[1:] if duplicate.path[:1] == ("",) else duplicate.path
        what = "table" if text.startswith("[", duplicate.second) else "key"
        message = f"{label(path)}: this {what} is given twice; it stands in line {first} already"
        source.report("E005", duplicate.second, message)
        if duplicate.end > duplicate.start:
            text = _blank(text, duplicate.start, duplicate.end)
            left_out = True
        else:  # inside an inline table
            source.refuse()
    return text, left_out


def _without_error(source: SpecText, text: str, error: ValueError, positions: Positions) -> str:
    """Report a syntax error and return the text without its line; raises SpecError if that cannot help."""
    for broken in positions.broken_tables:
        hint = "write it in one line, or give it a table of its own, [in brackets]"
        source.report("E004", broken, "an inline table stands on one line", hint=hint)
    if positions.broken_tables:
        source.refuse()
    message, offset = _describe(source, text, error)
    if message.startswith("unclosed") and positions.keys:  # show the value, not the line that ends it
        source.report("E004", list(positions.keys.values())[-1], message)
        source.refuse()
    if positions.stop is not None and offset >= len(text.rstrip()):  # a text that was never ended
        source.report("E004", positions.stop.offset, message)
        source.refuse()
    source.report("E004", offset, message, hint=_remedy(text, offset))
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    end = len(text) if end < 0 else end
    if not _is_statement(text[start:end].strip()):
        source.refuse()
    return _blank(text, start, end)


def _is_statement(line: str) -> bool:
    """Return whether a line is one whole ``key = value``, so that the rest has its meaning without it."""
    opened = any(line.count(a) != line.count(b) for a, b in ("[]", "{}"))
    multiline = '"""' in line or "'''" in line
    starts = re.match(r"""[\w."'-]+[ \t]*=|[^\[\]{},]+$""", line)
    return starts is not None and not opened and not multiline


def _describe(source: SpecText, text: str, error: ValueError) -> tuple[str, int]:
    message = str(error)
    place = _PLACE.search(message)
    if place is None:  # a number that int() refuses to read
        number = _LONG_NUMBER.search(text)
        return "a number of too many digits", number.start() if number else 0
    message = message[: place.start()]
    offset = source.offset(int(place[1]), int(place[2])) if place[1] else len(text.rstrip())
    offset = min(offset, len(text))
    if offset and text[offset : offset + 1] in ("\n", ""):
        offset = max(len(text[:offset].rstrip(" \t")), text.rfind("\n", 0, offset) + 1)
    return message[:1].lower() + message[1:], offset


def _remedy(text: str, offset: int) -> str:
    word = re.match(r"[A-Za-z_][\w.:/-]*", text[offset : offset + 60])
    before = text[text.rfind("\n", 0, offset) + 1 : offset]
    if word and word.group().lower() in ("true", "false"):
        return f"write {word.group().lower()}"
    if word and "=" in before:
        return f'text needs quotes: "{word.group()}"'
    return ""


def _blank(text: str, start: int, end: int) -> str:
    """Return the text with a part made blank, so that every other place stays where it is."""
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]
