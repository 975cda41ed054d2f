"""Long formulas in several rows, broken where a mathematician breaks them: before + and −, then before ⊙."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from chainrule.present import latex as tex
from chainrule.present import text as plain
from chainrule.present import tree as t

SUBSCRIPT = 0.6  # the width of a letter below another


class Piece(NamedTuple):
    """LaTeX that stays in one row, and about how many letters wide it is."""

    latex: str
    width: float


def rows(node: t.Node, limit: float) -> list[str]:
    """Return the LaTeX of a formula in rows of about ``limit`` letters, as far as it can be broken."""
    found: list[Piece] = []
    for piece in pieces(node, limit):
        if found and found[-1].width + piece.width <= limit:
            found[-1] = Piece(f"{found[-1].latex} {piece.latex}", found[-1].width + piece.width)
        else:
            found.append(piece)
    return [found[0].latex, *(rf"\quad {{}} {piece.latex}" for piece in found[1:])]


def measure(node: t.Node) -> float:
    """Return about how many letters wide a formula is: that of its text, of a fraction the wider part."""
    inner = list(t.children(node))
    if isinstance(node, t.Over):
        return max(map(measure, inner))
    text = len(plain.write(node))
    if isinstance(node, t.Ref):
        whole = len(plain.write(t.Ref(node.symbol)))
        return whole + SUBSCRIPT * (text - whole)
    return text + sum(measure(child) - len(plain.write(child)) for child in inner)


def pieces(node: t.Node, limit: float) -> list[Piece]:
    """Return the parts between which a formula may be broken; one part where it is short enough."""
    width = measure(node)
    if width > limit:
        match node:
            case t.Plus(terms):
                return [p for at, term in enumerate(terms) for p in _term(term, limit, first=at == 0)]
            case t.Hadamard(factors):
                inner = [_factor(f) for f in factors]
                return [inner[0], *(Piece(rf"\odot {p.latex}", p.width + 3) for p in inner[1:])]
            case t.Times((*before, last)) if before and isinstance(last, t.Plus):
                return _closed(_before(before), pieces(last, limit))
            case t.Big(_operator, _indices, t.Plus() as body):
                empty = tex.write(replace(node, body=t.Leaf("", "")))
                return _closed(empty, pieces(body, limit))
            case t.Times((*before, t.Big(_operator, _indices, t.Plus()) as last)) if before:
                head = _before(before)
                first, *rest = pieces(last, limit)
                return [Piece(f"{head} {first.latex}", first.width + len(head) / 3), *rest]
    return [Piece(tex.write(node), width)]


def _term(signed: tuple[bool, t.Node], limit: float, first: bool) -> Iterable[Piece]:
    """Return the pieces of a term, its sign before the first of them."""
    negative, node = signed
    sign = "-" if negative else "" if first else "+"
    if isinstance(node, t.Plus):
        return _closed(sign, pieces(node, limit))
    head, *rest = pieces(node, limit)
    return [Piece(f"{sign} {head.latex}".strip(), head.width + 2), *rest]


def _factor(node: t.Node) -> Piece:
    return Piece(tex.at(node, tex.POWER), measure(node) + 2)


def _before(factors: Iterable[t.Node]) -> str:
    """Return factors that others follow, in parentheses where these would not reach all of one."""
    return tex.write(t.Times((*factors, t.Leaf(" ", "")))).strip()


def _closed(head: str, inner: list[Piece]) -> list[Piece]:
    """Return pieces in parentheses that need not close in the row where they open."""
    first, *rest = inner
    opened = [Piece(rf"{head} \Bigl( {first.latex}".strip(), first.width + 2 + len(head) / 3), *rest]
    last = opened.pop()
    return [*opened, Piece(rf"{last.latex} \Bigr)", last.width + 1)]
