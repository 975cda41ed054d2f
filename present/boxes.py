"""Plain text of formulas with matrices, which are drawn over several lines, the rest beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from chainrule.present.page import WorkedLines
from chainrule.present.sides import Line
from chainrule.present.text import width, write, write_line
from chainrule.present.tree import Leaf, Matrix, Node, Related, Transposed, contains, mapped

WIDTH: Final = 100
INDENT: Final = 2
FIRST: Final = 0xE000  # private characters stand for matrices while a formula is written
RAISED: Final = "ᵀ²³⁻¹"
BRACKETS: Final = {
    "(": ("(", "⎛", "⎜", "⎝"),
    ")": (")", "⎞", "⎟", "⎠"),
    "[": ("[", "⎡", "⎢", "⎣"),
    "]": ("]", "⎤", "⎥", "⎦"),
    "‖": ("‖", "‖", "‖", "‖"),
    "|": ("|", "│", "│", "│"),
}
CLOSING: Final = {"(": ")", "[": "]", "‖": "‖", "|": "|"}


@dataclass(frozen=True)
class Box:
    """Lines of one width, and which of them is in line with the text beside."""

    lines: tuple[str, ...]
    base: int = 0

    @property
    def above(self) -> int:
        return self.base

    @property
    def below(self) -> int:
        return len(self.lines) - self.base - 1


def beside(boxes: list[Box]) -> Box:
    """Return the boxes in a row, their base lines level."""
    above = max((box.above for box in boxes), default=0)
    below = max((box.below for box in boxes), default=0)
    rows = [""] * (above + below + 1)
    for box in boxes:
        blank = " " * width(box.lines[0])
        padded = [blank] * (above - box.above) + list(box.lines) + [blank] * (below - box.below)
        rows = [row + more for row, more in zip(rows, padded, strict=True)]
    return Box(tuple(rows), above)


def bracket(character: str, height: int) -> tuple[str, ...]:
    """Return a bracket of that many lines."""
    one, top, middle, bottom = BRACKETS[character]
    return (one,) if height == 1 else (top, *[middle] * (height - 2), bottom)


def grid_box(grid: Matrix) -> Box:
    """Return a matrix, its columns aligned to the right."""
    cells = [[write(cell) for cell in row] for row in grid.rows]
    widths = [max(len(row[c]) for row in cells) for c in range(len(cells[0]))]
    rows = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in cells]
    left, right = (bracket(c, len(rows)) for c in "[]")
    if len(rows) == 1:
        return Box((f"[{rows[0]}]",))
    lines = tuple(a + row + b for a, row, b in zip(left, rows, right, strict=True))
    return Box(lines, (len(lines) - 1) // 2)


def box(written: str, grids: list[Box]) -> Box:
    """Return a text in which private characters stand for boxes; brackets grow around what is tall."""
    stack: list[tuple[str, list[Box]]] = [("", [])]
    for character in written:
        inner = stack[-1][1]
        if FIRST <= ord(character) < FIRST + len(grids):
            inner.append(grids[ord(character) - FIRST])
        elif character == CLOSING.get(stack[-1][0]):
            opening, found = stack.pop()
            content = beside(found)
            height, base = len(content.lines), content.base
            row = [Box(bracket(opening, height), base), content, Box(bracket(character, height), base)]
            stack[-1][1].append(beside(row))
        elif character in CLOSING:
            stack.append((character, []))
        elif character in RAISED and inner and len(inner[-1].lines) > 1:
            last = inner.pop()
            inner.append(
                Box(tuple(line + (" " if n else character) for n, line in enumerate(last.lines)), last.base)
            )
        else:
            inner.append(Box((character,)))
    while len(stack) > 1:
        opening, found = stack.pop()
        stack[-1][1].extend([Box((opening,)), *found])
    return beside(stack[0][1])


def worked_text(worked: WorkedLines | None, column: int) -> list[str]:
    """Return the lines of numbers, matrices drawn with room around them.

    Relations stand below each other, in the column given where what is on their left leaves room.
    """
    if worked is None:
        return []
    lefts = [write(shown.left) for shown in worked.lines]
    left = max(column, INDENT + max(map(width, lefts)))
    found: list[str] = []
    for shown in worked.lines:
        broken: tuple[Line, ...] = (shown,)
        if contains(shown.right, Matrix) and len(drawn(shown)[0]) + left > WIDTH:
            broken = unchained(shown)
        for part in broken:
            written = write(part.left)
            lines = drawn(replace(part, left=Leaf("", " " * (left - width(written)) + written)))
            if len(lines) > 1 and found and found[-1]:
                found.append("")
            found += [line.rstrip() for line in lines]
            if len(lines) > 1:
                found.append("")
    return found


def unchained(shown: Line) -> tuple[Line, ...]:
    """Return a = b = c as the lines a = b and = c."""
    match shown.right:
        case Related(operator, middle, last) if operator in ("=", "≈"):
            return replace(shown, right=middle), Line(Leaf("", ""), operator, last)
    return (shown,)


def drawn(shown: Line) -> list[str]:
    """Return a formula as lines of one width, its matrices drawn."""
    grids: list[Box] = []

    def replaced(node: Node) -> Any:
        if isinstance(node, Matrix):
            grids.append(grid_box(node))
            return Leaf("", chr(FIRST + len(grids) - 1))
        if isinstance(node, Transposed) and isinstance(node.body, Matrix):
            return Leaf("", f"{replaced(node.body).text}ᵀ")
        return mapped(node, replaced)

    line = Line(replaced(shown.left), shown.relation, replaced(shown.right))
    return list(box(write_line(line), grids).lines)
