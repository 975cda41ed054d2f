"""Who was taken for whom, as a table in SVG: a row a class, a column what it was taken for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from unicodedata import east_asian_width

from markupsafe import Markup

from chainrule.cli.handout.markup import element, joined

CELL, LEAST, WHOLE = 26, 6, 320  # the size of a cell, the least one, and of all cells where they are many
READABLE: Final = 20  # the size from which on a cell has room for its count
LONGEST: Final = 15  # characters of a class's name that are shown
STRONG: Final = 0.6  # the opacity from which on a count is written in light ink


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str], labels: tuple[str, str, str]) -> Markup:
    """Return a table of confusions as a drawing: the darker a cell, the more of its row.

    ``labels`` say what the whole is, what a row is, and what a column is.
    """
    title, true, taken = labels
    size = CELL if len(names) <= 12 else max(LEAST, WHOLE // len(names))
    readable = size >= READABLE
    shown = [_short(name) for name in names] if readable else []
    stem = 36 + 6.5 * max(map(_width, shown), default=0)  # from the edge to the cells
    side = size * len(names)
    middle = stem + side / 2
    pieces = [element("title", title), *_cells(counts, size, stem, readable), *_names(shown, size, stem)]
    pieces.append(element("text", taken, class_="label", x=middle, y=12, text_anchor="middle"))
    turned = f"translate(12 {middle:g}) rotate(-90)"
    pieces.append(element("text", true, class_="label", transform=turned, text_anchor="middle"))
    whole = f"{stem + side + 6:g}"
    box = {"viewBox": f"0 0 {whole} {whole}", "width": whole, "role": "img", "aria_label": title}
    return element("svg", joined(pieces), class_="confusion", **box)


def _cells(counts: Sequence[Sequence[int]], size: int, stem: float, readable: bool) -> list[Markup]:
    pieces = []
    for i, row in enumerate(counts):
        whole = sum(row) or 1
        for j, count in enumerate(row):
            left, top = stem + j * size, stem + i * size
            cell = {"x": left, "y": top, "width": size - 1, "height": size - 1}
            pieces.append(element("rect", class_="empty", **cell))
            if not count:
                continue
            opacity = round(0.12 + 0.88 * (count / whole) ** 0.5, 3)
            pieces.append(
                element("rect", class_="right" if i == j else "wrong", fill_opacity=opacity, **cell)
            )
            if readable:
                ink = "count strong" if opacity > STRONG else "count"
                place = {"x": left + size / 2 - 0.5, "y": top + size / 2 + 3.5, "text_anchor": "middle"}
                pieces.append(element("text", f"{count}", class_=ink, **place))
    return pieces


def _names(names: Sequence[str], size: int, stem: float) -> list[Markup]:
    """Return the names of the classes beside their rows and, upright if short, above their columns."""
    upright = max(map(_width, names), default=0) <= 2
    pieces = []
    for k, name in enumerate(names):
        middle = stem + (k + 0.5) * size
        row = {"x": stem - 6, "y": middle + 3.5, "text_anchor": "end"}
        column: dict[str, object] = {"transform": f"translate({middle + 3.5:g} {stem - 6:g}) rotate(-90)"}
        if upright:
            column = {"x": middle, "y": stem - 6, "text_anchor": "middle"}
        pieces += [element("text", name, class_="tick", **at) for at in (row, column)]
    return pieces


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _width(text: str) -> int:
    """Return how many letters wide a text is; Hangul and the like count double."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
