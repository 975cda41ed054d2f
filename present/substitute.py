"""Equations with the numbers put in: element by element (index form), or matrix by matrix (matrix form)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Indexed, Mul, Piecewise, Rational, Symbol

from chainrule.derive.index import Equation, Max, Reduction, name_of
from chainrule.derive.interpret import SELECTORS, is_excluded, position_of, value_at
from chainrule.formula.functions import elementary
from chainrule.present.build import Writer, extremum, number, symbol, textbook
from chainrule.present.numerals import array, numeral, pictured
from chainrule.present.order import BATCH
from chainrule.present.tree import (
    Applied,
    Big,
    Iverson,
    Leaf,
    Node,
    Plus,
    Ref,
    Related,
    Transposed,
    mapped,
)

Array = NDArray[np.float64]
MOST_TERMS: Final = 8  # of a longer sum the first two and the last term are shown
ZERO: Final = Leaf("0", "0")
DOTS: Final = Leaf(r"\cdots", "⋯")


# ---- Index form: one element -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Numbers(Writer):
    """Writes an expression with the values of ``arrays`` in the place of their tensors.

    ``bound`` gives indices, sizes and constants their values.  What a sum adds is written out, without what
    is 0 by its place: outside of a tensor's box, at a delta or a winner that does not hold.
    """

    arrays: Mapping[str, Array] = field(default_factory=dict)
    bound: Mapping[Symbol, Any] = field(default_factory=dict)

    def value(self, node: Expr) -> Any:
        return value_at(elementary(node), self.arrays, dict(self.bound))

    def excluded(self, node: Expr) -> bool:
        """Whether a term is 0 by its place."""
        return any(is_excluded(f, self.arrays, self.value) for f in Mul.make_args(node))

    def at(self, indices: tuple[Symbol, ...], point: tuple[int, ...]) -> Numbers:
        return replace(self, bound={**self.bound, **dict(zip(indices, point, strict=True))})

    def tree(self, node: Any) -> Node:
        if isinstance(node, Symbol) and node in self.bound:
            return numeral(float(self.bound[node]))
        if isinstance(node, Rational):
            return number(node)
        if isinstance(node, SELECTORS):
            return numeral(float(self.value(node)))
        return super().tree(node)

    def access(self, node: Indexed) -> Node:
        place = position_of(node, self.arrays, self.value)
        return ZERO if place is None else numeral(self.arrays[name_of(node.base)][place].item())

    def product(self, node: Expr) -> Node:
        if isinstance(node, Mul) and node.has(*SELECTORS):
            if self.excluded(node):
                return ZERO
            rest = Mul(*(f for f in node.args if not isinstance(f, SELECTORS)))
            return self.tree(rest) if not isinstance(rest, Mul) else super().product(rest)
        return super().product(node)

    def add(self, node: Expr) -> Node:
        return flattened(super().add(node))

    def reduce(self, node: Reduction) -> Node:
        extents = [range(int(self.value(n))) for _, n in node.axes]
        inner = [self.at(node.bound, point) for point in itertools.product(*extents)]
        if isinstance(node, Max):
            return Applied(r"\max", "max", tuple(each.tree(node.body) for each in inner))
        inner = [each for each in inner if not each.excluded(node.body)]
        if not inner:
            return ZERO
        if len(inner) > MOST_TERMS:
            first, second, last = (each.tree(node.body) for each in (*inner[:2], inner[-1]))
            return total((first, second, DOTS, last))
        return total(tuple(each.tree(node.body) for each in inner))

    def choice(self, node: Piecewise) -> Node:
        best = extremum(node)
        if best is not None:
            return Applied(rf"\{best[0]}", best[0], tuple(self.tree(a) for a in best[1]))
        for branch, condition in node.args:
            if self.value(Piecewise((1, condition), (0, True))):
                return self.tree(branch)
        raise ValueError(f"{node}: no case holds")


def flattened(node: Node) -> Node:
    """Return a sum with the sums that it adds taken apart."""
    if not isinstance(node, Plus):
        return node
    terms: list[tuple[bool, Node]] = []
    for negative, term in node.terms:
        inside = isinstance(term, Plus) and len(term.terms) > 1 and not negative
        terms += term.terms if inside and isinstance(term, Plus) else [(negative, term)]
    return Plus(tuple(terms))


def total(terms: tuple[Node, ...]) -> Node:
    """Return the sum of the terms; a negative number is subtracted."""
    if len(terms) == 1:
        return terms[0]
    written: list[tuple[bool, Node]] = []
    for term in terms:
        is_negative = isinstance(term, Plus) and len(term.terms) == 1
        written.append(term.terms[0] if is_negative and isinstance(term, Plus) else (False, term))
    return Plus(tuple(written))


def element(equation: Equation, values: Mapping[str, Array], point: tuple[int, ...], samples: int) -> Node:
    """Return the right side at one element of the left side, with the numbers put in."""
    bound: dict[Symbol, Any] = {BATCH: samples}
    for s in equation.right.free_symbols:
        if type(s) is Symbol and s.name in values and values[s.name].ndim == 0:
            bound[s] = values[s.name].item()
    writer = Numbers(equation.name, arrays=values, bound=bound).at(equation.free, point)
    return writer.tree(textbook(equation.right))


# ---- Matrix form -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Matrices:
    """Puts arrays in the place of tensors; ``per_example`` names those with a row for each example.

    ``example`` is the one that is shown, ``rows`` are those that a sum over examples is at.
    """

    arrays: Mapping[str, Array]
    per_example: frozenset[str]
    letters: Mapping[Node, Node]
    samples: int
    example: int
    rows: Mapping[str, int] = field(default_factory=dict)

    def put(self, node: Node) -> Node:
        """Return the tree with the numbers in it."""
        match node:
            case Ref(symbol=name) if name in self.arrays:
                return self.tensor(node)
            case Transposed(Ref(symbol=name) as ref) if name in self.arrays and self.of(ref).ndim <= 2:
                values = self.of(ref)
                return array(values.T if values.ndim == 2 else values[None, :])
            case Big(operator="sum", indices=((index, _),), body=body):
                places = [replace(self, rows={**self.rows, index: row}) for row in range(self.samples)]
                return total(tuple(place.put(body) for place in places))
            case Iverson((Related(operator, Ref(symbol=name) as ref, Leaf() as limit),)) if (
                name in self.arrays
            ):
                compared = COMPARED[operator](self.of(ref), float(limit.text))
                return pictured(compared.astype(np.float64), name in self.per_example)
            case Leaf() if node in self.letters:
                return self.letters[node]
        return flattened(mapped(node, self.put))

    def of(self, ref: Ref) -> Array:
        values = self.arrays[ref.symbol]
        if ref.symbol not in self.per_example:
            return values
        return np.asarray(values[self.rows.get(ref.mark, self.example)])

    def tensor(self, ref: Ref) -> Node:
        return pictured(self.of(ref), ref.symbol in self.per_example)


COMPARED: Final = {
    ">": np.greater,
    "<": np.less,
    "≥": np.greater_equal,
    "≤": np.less_equal,
    "=": np.equal,
    "≠": np.not_equal,
}


def matrices(
    right: Node, equation: Equation, values: Mapping[str, Array], samples: int, example: int
) -> Node:
    """Return the right side in matrix form with the numbers put in, for one example."""
    tensors = equation.reads()
    letters: dict[Node, Node] = {symbol(BATCH): numeral(samples)}
    for s in equation.right.free_symbols:
        if type(s) is Symbol and s.name in values and s.name not in tensors:
            letters[symbol(s)] = numeral(values[s.name].item())
    arrays = {key: values[key] for key in tensors}
    rows = frozenset(key for key, base in tensors.items() if base.shape and base.shape[0] == BATCH)
    return Matrices(arrays, rows, letters, samples, example).put(right)
