"""An equation with an axis of its own for each of its indices, and what its values cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import sympy
from numpy.typing import NDArray
from sympy import Add, Expr, Indexed, KroneckerDelta, Mul, Symbol

from chainrule.derive.index import Equation, Reduction, Sum, Winner, apart, name_of

Array = NDArray[Any]


def is_size(symbol: Symbol) -> bool:
    return bool(symbol.is_integer and symbol.is_positive)


class AxisPlan:
    """An equation with an axis for each of its indices, and one for the points of each sum with a delta."""

    def __init__(self, equation: Equation) -> None:
        self.equation, self.name = equation, equation.name
        self.right = apart(equation.right)
        self.tensors = tuple(equation.reads())
        nodes = list(sympy.preorder_traversal(self.right))
        self.axes: dict[Symbol, int] = {symbol: axis for axis, symbol in enumerate(equation.free)}
        self.extents: dict[Symbol, Expr] = dict(zip(equation.free, equation.left.base.shape, strict=True))
        self.points: dict[Expr, int] = {}
        for node in nodes:
            if isinstance(node, Reduction | Winner):
                for symbol, extent in node.axes:
                    self.axes.setdefault(symbol, len(self.axes))
                    self.extents[symbol] = extent
        rank = len(self.axes)
        for node in nodes:
            if isinstance(node, Sum) and node.body.has(KroneckerDelta):
                for term in Add.make_args(node.body):
                    self.points.setdefault(term, rank + len(self.points))
        self.rank = rank + len(self.points)
        free = {s for e in (*self.extents.values(), self.right) for s in e.free_symbols}
        labels = {base.label for base in equation.reads().values()}
        self.symbols = sorted((s for s in free - labels - self.axes.keys() if type(s) is Symbol), key=str)
        self.given_sizes = [s.name for s in self.symbols if is_size(s)]
        self.reads = {*self.tensors, *(s.name for s in self.symbols)}

    def sizes(self, arrays: Mapping[str, Array]) -> dict[Symbol, int]:
        """Return symbolic sizes as the arrays show them.  Raises ValueError where they contradict."""
        known: dict[Symbol, int] = {}
        for base in self.equation.reads().values():
            for symbol, extent in zip(base.shape, arrays[name_of(base)].shape, strict=True):
                if isinstance(symbol, Symbol) and known.setdefault(symbol, extent) != extent:
                    raise ValueError(f"{base}: size {symbol} is {known[symbol]} and {extent}")
        return known | {s: int(arrays[s.name]) for s in self.symbols if s not in known and is_size(s)}


def operations(equation: Equation, sizes: Mapping[Symbol, int]) -> int:
    """Return about how many operations the values of an equation take, at these sizes."""

    def count(axes: Iterable[Any]) -> int:
        return math.prod(int(n.xreplace(dict(sizes))) for _, n in axes)

    def visit(node: Expr, outer: int) -> int:
        if isinstance(node, Reduction | Winner):
            inner = outer * count(node.axes)
            deltas = [d for d in Mul.make_args(node.body) if isinstance(d, KroneckerDelta)]
            extents = {s: count([(s, n)]) for s, n in (*equation.axes, *node.axes)}
            for delta in deltas:
                inner //= max((extents[s] for s in delta.free_symbols if s in extents), default=1)
            return inner + visit(node.body, inner)
        return outer * bool(node.args) + sum(visit(a, outer) for a in node.args if not isinstance(a, Indexed))

    return visit(equation.right, count(equation.axes))
