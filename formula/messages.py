"""How a message shows the place of a mistake: the line, a caret under it, and what was probably meant."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from typing import Final

_MOST_SHOWN: Final = 100


def caret_lines(text: str, position: int) -> tuple[str, str]:
    """Return the line of ``text`` that holds ``position`` and a line with a caret under that position.

    A long line is cut around the caret; a character that cannot be printed is shown as a replacement.
    """
    position = min(max(position, 0), len(text))
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : len(text) if end < 0 else end].rstrip("\r")
    column = min(position - start, len(line))
    first = max(0, column - _MOST_SHOWN // 2) if len(line) > _MOST_SHOWN else 0
    shown = line[first : first + _MOST_SHOWN]
    before, after = ("…" if first else ""), ("…" if first + _MOST_SHOWN < len(line) else "")
    shown = "".join(c if c == "\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    indent = before + shown[: column - first]
    return f"    {before}{shown}{after}", "    " + "".join(map(_blank, indent)) + "^"


def _blank(character: str) -> str:
    if character == "\t":
        return character
    if unicodedata.combining(character):
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the name nearest to ``name``, or an empty text when none is near."""
    by_folded = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name[:80].lower(), by_folded, n=1, cutoff=0.6)
    return by_folded[near[0]] if near else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean …?" for the name nearest to ``name``, or an empty text when none is near."""
    near = nearest(name, known)
    return f"did you mean {near}?" if near else ""
