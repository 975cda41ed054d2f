"""Lines that differ in the numbers of their tensors alone: laid out and written once.

What is written of such lines is written of one of them, its numbers in digits of other scripts (١٢ for the 12
of z12), a digit of its own for each number; in the place of these stand then the numbers of each line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, TypeVar

from chainrule.derive.patterns import Firsts, order
from chainrule.derive.reader import reader
from chainrule.present.sides import Line
from chainrule.present.tree import Node, Ref, changed

Written = TypeVar("Written", str, list[str])

_NUMBER: Final = re.compile(r"[0-9]+")
# Digits from Arabic to Telugu that are as wide as ours, and stand in no text of a page.
_SCRIPTS: Final = (0x660, 0x966, 0x9E6, 0xA66, 0xAE6, 0xC66)
MARKS: Final = "".join(chr(zero + digit) for zero in _SCRIPTS for digit in range(10))
_MARKED: Final = re.compile("|".join(f"{mark}+" for mark in MARKS))


def likeness(names: Sequence[str]) -> Hashable:
    """Return what tensors share whose names differ in numbers of as many digits, which sort alike, too."""
    padded = [_NUMBER.sub(lambda found: found[0].zfill(8), name) for name in names]
    kinds = tuple(_NUMBER.sub(lambda found: "#" * len(found[0]), name) for name in names)
    return kinds, order(padded), tuple(map(names.index, names))


class Likeness:
    """A line, of tensors with these names, for all lines that are like it."""

    def __init__(self, line: Line, names: Sequence[str]) -> None:
        self.line = line
        self.names = tuple(dict.fromkeys(names))
        self.written: dict[Hashable, Any] = {}

    @cached_property
    def marked(self) -> Line:
        """The line with marks for numbers."""
        marks = iter(MARKS)
        instead = {n: _NUMBER.sub(lambda found: next(marks) * len(found[0]), n) for n in self.names}
        return _called(self.line, instead)

    @cached_property
    def fits(self) -> bool:
        """Whether there is a mark for every number."""
        return len(numbers_of(self.names)) <= len(MARKS)


def numbers_of(names: Iterable[str]) -> list[str]:
    """Return the numbers in names, in order."""
    return [number for name in names for number in _NUMBER.findall(name)]


_LINES: Final = Firsts[Likeness]()


def alike(key: Hashable, lay: Callable[[], Line], names: Sequence[str]) -> Line:
    """Return a line of tensors with these names, laid out for the first of all that are alike by a key."""
    return AlikeLine(_LINES.of(lambda: Likeness(lay(), names), key, likeness(names)), names)


class AlikeLine(Line):
    """A line like another, of tensors with other names; its sides are made when they are read."""

    def __init__(self, like: Likeness, names: Sequence[str]) -> None:
        self.__dict__.update(like=like, names=tuple(dict.fromkeys(names)), relation=like.line.relation)

    like: Likeness
    names: tuple[str, ...]

    @cached_property
    def _line(self) -> Line:
        return _called(self.like.line, dict(zip(self.like.names, self.names, strict=True)))

    @cached_property
    def left(self) -> Node:
        return self._line.left

    @cached_property
    def right(self) -> Node:
        return self._line.right


def written(shown: Line, write: Callable[..., Written], *how: str) -> Written:
    """Return what ``write`` gives for a line: for lines that are alike, with other numbers in it."""
    if not isinstance(shown, AlikeLine) or not shown.like.fits:
        return write(shown, *how)
    texts, key = shown.like.written, (write, how, reader())
    if key not in texts:
        texts[key] = write(shown.like.marked, *how)
    numbers = dict(zip(MARKS, numbers_of(shown.names), strict=False))

    def number(found: re.Match[str]) -> str:
        return numbers[found[0][0]]

    found: Any = texts[key]
    filled: Any = [_MARKED.sub(number, text) for text in ([found] if isinstance(found, str) else found)]
    return filled[0] if isinstance(found, str) else filled


def _called(line: Line, symbols: Mapping[str, str]) -> Line:
    """Return a line with other names for its tensors."""

    def change(node: Node) -> Node:
        if isinstance(node, Ref) and node.symbol in symbols:
            return replace(node, symbol=symbols[node.symbol])
        return node

    return Line(changed(line.left, change), line.relation, changed(line.right, change))
