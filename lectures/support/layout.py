"""Laying out what the writer's own order would not give: y − α − βx, numbers in a row, rounded numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final

from sympy import Add, Expr, Rational

from chainrule.present.build import Writer, decimal, number, textbook
from chainrule.present.order import factors
from chainrule.present.tree import ONE, Applied, Leaf, Matrix, Node, Plus, Raised, Related, Times

LONGEST: Final = 8  # of more numbers in a row, the first few and the last are shown
DOT: Final = Leaf(r"\cdot", "·")
DOTS: Final = Leaf(r"\ldots", "…")
NOTHING: Final[Mapping[Expr, Node]] = {}


@dataclass(frozen=True)
class _Layout(Writer):
    fixed: Mapping[Expr, Node] = field(default_factory=dict)

    def tree(self, node: Any) -> Node:
        return self.fixed[node] if node in self.fixed else super().tree(node)


def laid(expression: Expr, fixed: Mapping[Expr, Node] = NOTHING) -> Node:
    """Return what is written for an expression, some parts of it as they are ``fixed``."""
    return _Layout(fixed=fixed).tree(textbook(expression))


def ordered(expression: Expr, *leading: Expr, fixed: Mapping[Expr, Node] = NOTHING) -> Node:
    """Return a sum with the terms that have the first of ``leading`` in front, then those with the next, …"""

    def place(term: Expr) -> int:
        return next((k for k, letter in enumerate(leading) if term.has(letter)), len(leading))

    terms = sorted(Add.make_args(expression), key=place)
    signed = [(factors(term).negative, term) for term in terms]
    written = tuple((negative, laid(-term if negative else term, fixed)) for negative, term in signed)
    return Plus(written) if len(written) > 1 or written[0][0] else written[0][1]


def product(*factors_: Node | Expr) -> Node:
    """Return a product in the order given, numbers in front; a 1 is left out."""
    flat: list[Node] = []
    for node in map(shown, factors_):
        flat += node.factors if isinstance(node, Times) else (node,)
    kept = sorted((node for node in flat if node != ONE), key=lambda node: not _is_number(node))
    return Times(tuple(kept)) if len(kept) > 1 else (kept or [ONE])[0]


def _is_number(node: Node) -> bool:
    return isinstance(node, Leaf) and node.text[:1].isdigit()


def dotted(*factors_: Node | Expr) -> Node:
    """Return a product with a dot between what is multiplied: 2t · 1."""
    return Times(tuple(part for factor in factors_ for part in (DOT, shown(factor)))[1:])


def chain(*sides: Node | Expr, relation: str = "=") -> Node:
    """Return a = b = c."""
    return reduce(lambda left, right: Related(relation, left, right), map(shown, sides))


def shown(side: Node | Expr) -> Node:
    """Return the tree of what is an expression still."""
    return laid(side) if isinstance(side, Expr) else side


def exact(value: Expr) -> Node:
    """Return what is written for a number: an exact one where that is short, else a rounded one."""
    if isinstance(value, Rational):
        return number(value) if is_short(value) else rounded(float(value))
    return laid(value)


def is_short(value: Rational) -> bool:
    """Whether a number is written exactly."""
    return len(str(value.p)) + len(str(value.q)) <= 12


def sign_of(value: Expr) -> str:
    """Return = for what ``exact`` writes exactly, else ≈."""
    return "=" if not isinstance(value, Rational) or is_short(value) else "≈"


def rounded(value: float, digits: int = 6) -> Node:
    """Return a number to so many digits: 0.0123, 1.2 · 10⁻⁷."""
    if not math.isfinite(value):
        infinite = Leaf(r"\infty", "∞")
        return infinite if value > 0 else Plus(((True, infinite),))
    mantissa, _, power = f"{abs(value):.{digits}g}".partition("e")
    found: Node = Leaf(mantissa, mantissa)
    if power:
        ten = Raised(Leaf("10", "10"), Leaf(str(int(power)), str(int(power))))
        found = ten if mantissa == "1" else Times((found, ten))
    return Plus(((True, found),)) if value < 0 and float(mantissa) else found


def in_words(value: float | Rational, digits: int = 6) -> str:
    """Return a number for a sentence: 0.31, −2, 1.2e−07."""
    if isinstance(value, Rational) and is_short(value):
        plain = decimal(value) if _ends(value) else f"{value.p}/{value.q}"
    else:
        plain = f"{float(value):.{digits}g}"
    return plain.replace("-", "−")


def _ends(value: Rational) -> bool:
    rest = int(value.q)
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _finite(value: Expr) -> Node:
    """Return a number that has a finite decimal expansion as that, never as a fraction."""
    written = decimal(abs(value))
    leaf = Leaf(written, written)
    return Plus(((True, leaf),)) if value < 0 else leaf


def row(values: Sequence[Expr]) -> Node:
    """Return (1, 2, 3); of many numbers only the first ones and the last.

    Where all of them are decimals, none stands as a fraction: (0.2, 0.5, 0.3).
    """
    decimals = all(isinstance(v, Rational) and is_short(v) and _ends(v) for v in values)
    nodes = [_finite(v) for v in values] if decimals else [exact(v) for v in values]
    return Applied("", "", tuple(few(nodes)))


def few(nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes, with … for those in the middle where they are many."""
    return list(nodes) if len(nodes) <= LONGEST else [*nodes[:4], DOTS, nodes[-1]]


def total(nodes: Iterable[Node]) -> Node:
    """Return a + b + c; a number below 0 is subtracted."""
    terms = [
        node.terms[0] if isinstance(node, Plus) and len(node.terms) == 1 else (False, node)
        for node in few(list(nodes))
    ]
    return Plus(tuple(terms)) if len(terms) > 1 or terms[0][0] else terms[0][1]


def grid(rows: Sequence[Sequence[Node | Expr]]) -> Matrix:
    """Return a matrix of numbers or expressions."""
    return Matrix(tuple(tuple(shown(cell) for cell in each) for each in rows))


def column(*cells: Node | Expr) -> Matrix:
    """Return a vector as a column."""
    return grid([[cell] for cell in cells])
