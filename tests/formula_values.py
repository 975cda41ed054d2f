"""What a formula in index form is worth at a point: its tree worked out on arrays, over the printed ranges.

Indices count from ``origin``; a tensor is 0 outside its box, and what it multiplies is 0 then.  Where a sum
prints no range, its index runs over the axis that a tensor inside has it for.  Nothing of the engine is used.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
from latex_reader.names import Triple, triple

from chainrule.present import tree as t

Array = Any
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, ">": operator.gt, "≤": operator.le, "≥": operator.ge,
    "=": operator.eq, "≠": operator.ne,
}  # fmt: skip


def _sigmoid(u: Array) -> Array:
    return 1 / (1 + np.exp(-u))


_ERF = np.vectorize(math.erf, otypes=[float])
FUNCTIONS: dict[str, Callable[..., Array]] = {
    r"\log": np.log, r"\sin": np.sin, r"\cos": np.cos, r"\tan": np.tan, r"\sinh": np.sinh, r"\cosh": np.cosh,
    r"\tanh": np.tanh, r"\operatorname{sign}": np.sign, r"\operatorname{erf}": _ERF, r"\sigma": _sigmoid,
    r"\operatorname{erfc}": lambda u: 1 - _ERF(u), r"\operatorname{softplus}": lambda u: np.log1p(np.exp(u)),
    r"\operatorname{expm1}": np.expm1, r"\operatorname{log1p}": np.log1p, r"\operatorname{floor}": np.floor,
    r"\operatorname{ceil}": np.ceil, r"\operatorname{round}": np.round,
    r"\log\cosh": lambda u: np.log(np.cosh(u)), r"\lfloor": np.floor,
    r"\max": lambda *of: reduce(np.maximum, of), r"\min": lambda *of: reduce(np.minimum, of),
}  # fmt: skip


class NoRange(ValueError):
    """A sum or maximum over an index whose range is printed nowhere."""


@dataclass(frozen=True)
class IndexValues:
    """Arrays by symbol, letters by what is printed, indices and where they stand now."""

    arrays: Mapping[str, Array]
    letters: Mapping[Triple, float] = field(default_factory=dict)
    bound: Mapping[str, Array] = field(default_factory=dict)
    origin: int = 1
    depth: int = 0

    def of(self, node: t.Node) -> Array:
        """Return the value of a formula, an axis for every index that is summed over outside of it."""
        match node:
            case t.Leaf(latex=latex):
                return self.letter(latex)
            case t.Ref():
                return self.access(node)
            case t.Plus(terms):
                return sum(-self.of(term) if negative else self.of(term) for negative, term in terms)
            case t.Times(factors) | t.Hadamard(factors) | t.Dot(factors):
                return self.product(factors)
            case t.Over(above, below):
                with np.errstate(all="ignore"):
                    value = self.of(above) / self.of(below)
                return np.where(self.excluded((above,)), 0.0, value)
            case t.Raised(base, exponent):
                return np.asarray(self.of(base), dtype=float) ** self.of(exponent)
            case t.Exp(exponent):
                return np.exp(self.of(exponent))
            case t.Root(body):
                return np.sqrt(self.of(body))
            case t.Bars(body, norm) if not norm:
                return np.abs(self.of(body))
            case t.Rounded(body, brackets):
                return {"⌊⌋": np.floor, "⌈⌉": np.ceil, "⌊⌉": np.round}[brackets](self.of(body))
            case t.Big():
                return self.big(node)
            case t.Iverson(conditions):
                return reduce(np.multiply, [np.asarray(self.holds(c), dtype=float) for c in conditions])
            case t.ByCase(branches):
                return self.choice(branches)
            case t.Applied(latex=called, arguments=arguments) if called in FUNCTIONS:
                with np.errstate(all="ignore"):
                    return FUNCTIONS[called](*map(self.of, arguments))
        raise TypeError(f"no value for {node}")

    def letter(self, latex: str) -> Array:
        if latex[:1].isdigit():
            return float(latex)
        if latex in self.bound:
            return self.bound[latex]
        if (latex, "", "") in self.letters:
            return self.letters[latex, "", ""]
        key = triple(latex)
        if key[0] == r"\delta" and len(key[2]) == 2:  # Kronecker
            left, right = (self.letter(each) for each in key[2])
            return np.asarray(left == right, dtype=float)
        return self.letters[key]

    def place(self, node: t.Ref) -> tuple[list[Array], Array]:
        """Return where a tensor is read, inside of its box, and whether it is read there."""
        shape = np.shape(self.arrays[node.symbol])
        if len(shape) != len(node.subscripts):
            raise TypeError(f"{node} has not the subscripts of {shape}")
        at = [np.asarray(self.of(s)).astype(int) - self.origin for s in node.subscripts]
        inside = np.asarray(True)
        for where, size in zip(at, shape, strict=True):
            inside = inside & (where >= 0) & (where < size)
        return [np.clip(w, 0, n - 1) for w, n in zip(at, shape, strict=True)], inside

    def access(self, node: t.Ref) -> Array:
        at, inside = self.place(node)
        found = np.asarray(self.arrays[node.symbol], dtype=float)
        return np.where(inside, found[tuple(np.broadcast_arrays(*at))] if at else found, 0.0)

    def product(self, factors: tuple[t.Node, ...]) -> Array:
        with np.errstate(all="ignore"):
            value = reduce(np.multiply, map(self.of, factors))
        return np.where(self.excluded(factors), 0.0, value)

    def excluded(self, factors: tuple[t.Node, ...]) -> Array:
        """Whether a factor is 0 by its place."""
        out = np.asarray(False)
        for factor in factors:
            if isinstance(factor, t.Times | t.Dot):
                out = out | self.excluded(factor.factors)
            elif isinstance(factor, t.Ref):
                out = out | ~self.place(factor)[1]
            elif isinstance(factor, t.Iverson) or (
                isinstance(factor, t.Leaf) and factor.latex.startswith(r"\delta_{")
            ):
                out = out | (np.asarray(self.of(factor)) == 0)
        return out

    # ---- sums and maxima -----------------------------------------------------------------------------------

    def big(self, node: t.Big) -> Array:
        inner, body = self.inside(node)
        over = tuple(range(inner.depth - self.depth))
        return {"sum": np.sum, "prod": np.prod, "max": np.max}[node.operator](body, axis=over)

    def inside(self, node: t.Big) -> tuple[IndexValues, Array]:
        """Return the values of a body, with a leading axis for every index that is bound here."""
        inner = self
        sizes: list[int] = []
        for index, size in node.indices:
            first, last = self.range_of(index, size, node)
            places = np.arange(first, last + 1).reshape(-1, *(1,) * inner.depth)
            inner = replace(inner, bound={**inner.bound, index: places}, depth=inner.depth + 1)
            sizes.insert(0, places.shape[0])
        body = np.asarray(inner.of(node.body), dtype=float)
        body = body.reshape((1,) * (inner.depth - body.ndim) + body.shape)
        return inner, np.broadcast_to(body, (*sizes, *body.shape[len(sizes) :]))

    def range_of(self, index: str, size: str, node: t.Big) -> tuple[int, int]:
        """Return the first and the last value of an index: what is printed, else the axis that it reads."""
        if ".." in size:
            first, last = size.split("..")
            return int(self.number(first)), int(self.number(last))
        if size[:1] in ("<", "≤"):
            return self.origin, int(self.number(size[1:])) - (size[0] == "<")
        if size:  # a tree that was not printed
            return self.origin, self.origin + int(self.number(size)) - 1
        extents = set()
        for ref in _refs(node.body):
            for place, subscript in enumerate(ref.subscripts):
                if isinstance(subscript, t.Leaf) and subscript.latex == index:
                    extents.add(np.shape(self.arrays[ref.symbol])[place])
        if len(extents) != 1:
            raise NoRange(f"from where to where does {index} run? {extents or 'nothing shows it'}")
        return self.origin, self.origin + extents.pop() - 1

    def number(self, text: str) -> float:
        total, sign = 0.0, 1.0
        for part in text.replace("−", "-").replace("-", " - ").replace("+", " + ").split():
            if part in "+-":
                sign = 1.0 if part == "+" else -1.0
                continue
            total += sign * float(self.letter(part))
        return total

    # ---- conditions ----------------------------------------------------------------------------------------

    def holds(self, node: t.Node) -> Array:
        if isinstance(node, t.Joined):
            join = operator.and_ if node.operator == "∧" else operator.or_
            return reduce(join, map(self.holds, node.conditions))
        assert isinstance(node, t.Related), node
        left = node.left
        if isinstance(left, t.Related):
            return self.holds(left) & COMPARE[node.operator](self.of(left.right), self.of(node.right))
        if isinstance(node.right, t.Big) and node.right.operator == "argmax":
            places = left.arguments if isinstance(left, t.Applied) and not left.latex else (left,)
            best = self.winner(node.right)
            return reduce(operator.and_, (self.of(p) == b for p, b in zip(places, best, strict=True)))
        return COMPARE[node.operator](self.of(left), self.of(node.right))

    def winner(self, node: t.Big) -> list[Array]:
        """Return where the maximum is, the first place of several: the last index runs fastest."""
        inner, body = self.inside(node)
        count = len(node.indices)
        ordered = np.moveaxis(body, range(count), range(count)[::-1])
        flat = np.argmax(ordered.reshape(-1, *body.shape[count:]), axis=0)
        found = np.unravel_index(flat, ordered.shape[:count])
        firsts = [np.min(inner.bound[index]) for index, _size in node.indices]
        return [place + first for place, first in zip(found, firsts, strict=True)]

    def choice(self, branches: Any) -> Array:
        (value, condition), *rest = branches
        with np.errstate(all="ignore"):
            here = self.of(value)
            if condition is None or not rest:
                return here
            return np.where(self.holds(condition), here, self.choice(rest))


def _refs(node: object) -> Iterator[t.Ref]:
    if isinstance(node, t.Ref):
        yield node
    elif isinstance(node, tuple):
        for each in node:
            yield from _refs(each)
    elif hasattr(node, "__dataclass_fields__"):
        for each in vars(node).values():
            yield from _refs(each)
