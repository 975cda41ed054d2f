"""Another notation: the letters of a page exchanged, where the new ones are not taken by something else.

A letter changes on all of a page or not at all: z^1 becomes x^1 beside an input x, but z stays z there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from chainrule.derive.index import primal
from chainrule.derive.prose import _, listed, say
from chainrule.present import tree as t
from chainrule.present.notation import exchanged, letters_in, profile
from chainrule.present.page import Entry, Page, WorkedLines, nodes
from chainrule.present.sides import Line
from chainrule.present.text import write

_SYMBOL: Final = re.compile(r"([A-Za-z])(?![A-Za-z])(.*)")
MEANING: Final = {
    "x": _("x the pre-activation"),
    "xˡ": _("xˡ the pre-activation of layer l"),
    "y": _("y the target"),
    "Y": _("Y the target as a one-hot vector"),
}


def in_notation(page: Page) -> Page:
    """Return a page in the reader's notation, with what its letters mean; prose in the reader's language."""
    rows = profile()
    if not rows:
        return page
    exchange: dict[str, str] = {}
    used, bound = set(_symbols(page)), set(_indices(page))
    for row in rows:
        changing = {symbol for symbol in used if _letter(symbol) in row}
        taken = {_exchanged(symbol, row) for symbol in changing} & (used - changing)
        if changing and not taken and not bound & {*row, *row.values()}:
            exchange |= {old: new for old, new in row.items() if any(_letter(s) == old for s in changing)}
    if not exchange:
        return page
    found = _with_letters(page, exchange)
    layered = any(_letter(symbol) == "z" != symbol for symbol in used)
    meanings = (MEANING["xˡ" if new == "x" and layered else new] for new in exchange.values())
    sentence = _("Notation of the lectures: {meanings}.", meanings=listed(*meanings))
    return replace(found, preface=(sentence, *found.preface), letters=exchange)


def staying(page: Page) -> dict[str, str]:
    """Return what the reader's notation calls otherwise and a page does not, because that letter is taken."""
    used = {_letter(symbol) for symbol in _symbols(page)}
    rows = (row for row in profile() if not row.keys() & page.letters.keys())
    return {old: new for row in rows for old, new in row.items() if old in used}


def _with_letters(page: Page, exchange: Mapping[str, str]) -> Page:
    def symbol(node: t.Node) -> t.Node:
        if isinstance(node, t.Ref):
            return replace(node, symbol=_exchanged(node.symbol, exchange))
        if isinstance(node, t.Leaf):
            latex, text = (exchanged(each, exchange) for each in (node.latex, node.text))
            return replace(node, latex=latex, text=text)
        return t.Words(prose(node.text)) if isinstance(node, t.Words) else node

    def prose(text: str) -> str:
        return exchanged(say(text), exchange)

    def both(line: Line) -> Line:
        return Line(t.changed(line.left, symbol), line.relation, t.changed(line.right, symbol))

    def numbers(old: WorkedLines) -> WorkedLines:
        return replace(old, lines=tuple(map(both, old.lines)))

    def entry(old: Entry) -> Entry:
        return replace(
            old,
            line=both(old.line),
            matrix=old.matrix and both(old.matrix),
            computed=old.computed and both(old.computed),
            windows=old.windows and both(old.windows),
            worked=old.worked and numbers(old.worked),
            rule=prose(old.rule),
            rewrites=prose(old.rewrites),
        )

    sections = tuple(replace(s, entries=tuple(map(entry, s.entries))) for s in page.sections)
    shown = {
        e.symbol: (e.line, new.line)
        for s, r in zip(page.sections, sections, strict=True)
        for e, new in zip(s.entries, r.entries, strict=True)
    }
    results = {
        name: write(shown[name][1].right) if name in shown and write(shown[name][0].right) == value else value
        for name, value in page.results.items()
    }
    return replace(
        page,
        sections=sections,
        where=tuple(map(both, page.where)),
        given=tuple(map(numbers, page.given)),
        notes=tuple(map(prose, page.notes)),
        results=results,
    )


def _letter(symbol: str) -> str:
    match = _SYMBOL.fullmatch(symbol)
    return match[1] if match else ""


def _exchanged(symbol: str, exchange: Mapping[str, str]) -> str:
    letter = _letter(symbol)
    return exchange[letter] + symbol[1:] if letter in exchange else symbol


def _symbols(page: Page) -> Iterator[str]:
    """Yield the tensors and letters of a page's formulas, and the letters in its prose."""
    prose = [*page.notes, *(text for e in page.entries for text in (e.rule, e.rewrites))]
    for node in nodes(page):
        if isinstance(node, t.Ref):
            yield node.symbol
            yield primal(node.symbol) or node.symbol
        elif isinstance(node, t.Leaf):
            prose.append(node.text)
    for text in prose:
        yield from letters_in(text)


def _indices(page: Page) -> Iterator[str]:
    for node in nodes(page):
        if isinstance(node, t.Big):
            yield from (index for index, _size in node.indices)
