"""A right side as a function of arrays: every index is an axis of its own, an access an array of places."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Add, Expr, Indexed, KroneckerDelta, Mul, Symbol

from chainrule.derive.index import Inside, Max, Sum, Winner, name_of
from chainrule.evaluate.array_functions import FUNCTIONS
from chainrule.evaluate.axes import AxisPlan
from chainrule.formula.functions import NAMED

Array = NDArray[Any]
Values = Mapping[str, Array]
Function = Callable[[Values], Array]
SELECTORS = (Inside, KroneckerDelta, Winner)  # 1 or 0
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Compiled:
    """The right side of a plan at given sizes, as a function of arrays; places are looked up beforehand.

    A value has the plan's rank, an axis of extent 1 for each index that it does not depend on.
    """

    def __init__(
        self, plan: AxisPlan, sizes: Mapping[Symbol, int], shapes: Mapping[str, Any], real: Any
    ) -> None:
        self.plan, self.sizes, self.shapes, self.real = plan, sizes, shapes, real
        self.extents = {s: int(n.xreplace(dict(sizes))) for s, n in plan.extents.items()}
        self.indices = {s: self._along(np.arange(n), plan.axes[s]) for s, n in self.extents.items()}
        self.at_points: tuple[Symbol, ...] = ()  # indices that run over the points of a delta
        self.value = self.compile(plan.right)
        self.shape = tuple(self.extents[s] for s in plan.equation.free)
        self.over_axes = (*self.shape, *(1,) * (plan.rank - len(self.shape)))

    def __call__(self, arrays: Values) -> Array:
        value = self.value(arrays)
        if value.shape != self.over_axes:
            value = np.broadcast_to(value, self.over_axes)
        return np.array(value.reshape(self.shape), self.real)

    def compile(self, node: Any) -> Function:
        """Return the value of an expression as a function of arrays."""
        match node:
            case sympy.Integer() if abs(int(node)) < 2**31:
                return self._constant(int(node))
            case sympy.Rational() | sympy.Float() | sympy.NumberSymbol():
                return self._constant(_number(node, self.real))
            case Symbol() if node in self.indices:
                here = self.indices[node]
                return lambda arrays: here
            case Symbol() if node in self.sizes:
                return self._constant(self.sizes[node])
            case Symbol():
                one = (1,) * self.plan.rank
                return lambda arrays: arrays[node.name].reshape(one)
            case Indexed():
                return self._access(node)[0]
            case Sum():
                return _added([self._sum(term, node.bound) for term in Add.make_args(node.body)])
            case Max():
                body, axes = self._over(node.body, node.bound), self._axes(node.bound)
                return lambda arrays: body(arrays).max(axes, keepdims=True)
            case Winner():
                return self._winner(node)
            case Inside():
                place, size = self.compile(node.expression), self.compile(node.size)
                return lambda arrays: (place(arrays) >= 0) & (place(arrays) < size(arrays))
            case KroneckerDelta():
                left, right = map(self.compile, node.args)
                return lambda arrays: np.equal(left(arrays), right(arrays))
            case Add():
                return _added([self._number_of(a) for a in node.args])
            case Mul():
                return self._product(node.args)
            case sympy.Pow():
                return self._power(node)
            case sympy.Max():
                sizes = [self.compile(a) for a in node.args]
                return lambda arrays: np.maximum.reduce([f(arrays) for f in sizes])
            case sympy.Piecewise():
                return self._piecewise(node)
        if type(node) in FUNCTIONS:
            function, inner = FUNCTIONS[type(node)], self._float(node.args[0])
            return lambda arrays: function(inner(arrays))
        if isinstance(node, NAMED):
            return self.compile(node.as_elementary())
        raise ValueError(f"{type(node).__name__} has no value here: {node}")

    def _along(self, values: Array, axis: int) -> Array:
        shape = [1] * self.plan.rank
        shape[axis] = len(values)
        return values.reshape(shape)

    def _constant(self, value: Any) -> Function:
        constant = np.full((1,) * self.plan.rank, value)
        return lambda arrays: constant

    def _axes(self, symbols: Iterable[Symbol]) -> tuple[int, ...]:
        return tuple(self.plan.axes[s] for s in symbols)

    def _number_of(self, node: Any) -> Function:
        """The value as a number, where it is a truth value."""
        found, real = self.compile(node), self.real
        if isinstance(node, SELECTORS):
            return lambda arrays: found(arrays).astype(real)
        return found

    def _float(self, node: Any) -> Function:
        found, real = self.compile(node), self.real
        return lambda arrays: np.asarray(found(arrays), real)

    # ---- Accesses --------------------------------------------------------------------------

    def _access(self, node: Indexed) -> tuple[Function, Function | None]:
        """What an access reads, and where it is outside the tensor's box (None: nowhere)."""
        name, shape = name_of(node.base), self.shapes[name_of(node.base)]
        axes = [self.plan.axes[i] for i in node.indices if i in self.plan.axes.keys() - self.at_points]
        whole = all(self.extents.get(i) == n for i, n in zip(node.indices, shape, strict=True))
        if len(set(axes)) == len(shape) and whole:
            full = [1] * self.plan.rank
            for axis, extent in zip(axes, shape, strict=True):
                full[axis] = extent
            order = tuple(sorted(range(len(axes)), key=axes.__getitem__))
            return (lambda arrays: arrays[name].transpose(order).reshape(full)), None
        places = [self.compile(i) for i in node.indices]

        def locate(arrays: Values) -> tuple[tuple[Array, ...], Array | None]:
            at = [place(arrays).astype(np.intp) for place in places]
            beyond = [(i < 0) | (i >= n) for i, n in zip(at, shape, strict=True)]
            beyond = [some for some in beyond if some.any()]
            at = [np.clip(i, 0, n - 1) for i, n in zip(at, shape, strict=True)]
            return tuple(np.broadcast_arrays(*at)), reduce(np.logical_or, beyond) if beyond else None

        if not any(i.has(Indexed) for i in node.indices):
            at, outside = locate({})
            if outside is None:
                return (lambda arrays: arrays[name][at]), None
            beyond = outside
            return (lambda arrays: np.where(beyond, 0, arrays[name][at])), lambda arrays: beyond

        def read(arrays: Values) -> Array:
            at, outside = locate(arrays)
            return arrays[name][at] if outside is None else np.where(outside, 0, arrays[name][at])

        def is_outside(arrays: Values) -> Array:
            outside = locate(arrays)[1]
            return np.zeros((1,) * self.plan.rank, bool) if outside is None else outside

        return read, is_outside

    def outside(self, node: Indexed) -> Array:
        """Return where an access is outside its tensor's box, for subscripts that are made of indices."""
        beyond = self._access(node)[1]
        return np.zeros((1,) * self.plan.rank, bool) if beyond is None else beyond({})

    # ---- Operations ------------------------------------------------------------------------

    def _product(self, factors: Sequence[Expr]) -> Function:
        """The product, 0 where a factor is 0 by its place, whatever the others are."""
        numbers: list[Function] = []
        outside: list[Function] = []
        for factor in factors:
            if isinstance(factor, SELECTORS):
                outside.append(_negated(self.compile(factor)))
            elif isinstance(factor, Indexed):
                value, beyond = self._access(factor)
                numbers.append(value)
                outside += [] if beyond is None else [beyond]
            else:
                numbers.append(self.compile(factor))
        numbers = numbers or [self._constant(1)]

        def value_of(arrays: Values) -> Array:
            total = numbers[0](arrays)
            for factor in numbers[1:]:
                total = total * factor(arrays)
            for excluded in outside:
                total = np.where(excluded(arrays), 0, total)
            return total

        return value_of

    def _power(self, node: Expr) -> Function:
        base, exponent = self._float(node.base), node.exp
        if exponent.is_Integer:
            power = int(exponent)
            known = {2: np.square, -1: np.reciprocal}.get(power)
            return lambda arrays: known(base(arrays)) if known else base(arrays) ** power
        if exponent == sympy.S.Half:
            return lambda arrays: np.sqrt(base(arrays))
        upper = self._float(exponent)
        return lambda arrays: np.power(base(arrays), upper(arrays))

    def _piecewise(self, node: Expr) -> Function:
        cases = [(self._number_of(branch), self._truth(condition)) for branch, condition in node.args]

        def value_of(arrays: Values) -> Array:
            found = np.full((1,) * self.plan.rank, np.nan, self.real)
            for branch, holds in reversed(cases):
                found = np.where(holds(arrays), branch(arrays), found)
            return found

        return value_of

    def _truth(self, condition: Any) -> Function:
        if condition in (sympy.true, sympy.false):
            return self._constant(bool(condition))
        if isinstance(condition, sympy.Not):
            return _negated(self._truth(condition.args[0]))
        if isinstance(condition, sympy.And | sympy.Or):
            joined = np.logical_and if isinstance(condition, sympy.And) else np.logical_or
            parts = [self._truth(c) for c in condition.args]
            return lambda arrays: reduce(joined, [part(arrays) for part in parts])
        compare = COMPARISONS[condition.rel_op]
        left, right = self.compile(condition.lhs), self.compile(condition.rhs)
        return lambda arrays: compare(left(arrays), right(arrays))

    def _over(self, body: Expr, symbols: Iterable[Symbol]) -> Function:
        """The value of a body at every value of the indices, whether it depends on them or not."""
        value, axes = self._number_of(body), {self.plan.axes[s]: self.extents[s] for s in symbols}

        def value_of(arrays: Values) -> Array:
            found = value(arrays)
            return np.broadcast_to(found, [axes.get(axis, n) for axis, n in enumerate(found.shape)])

        return value_of

    def _winner(self, node: Winner) -> Function:
        bound = [s for s, _ in node.axes]
        body, axes, places = self._over(node.body, bound), self._axes(bound), map(self.compile, node.at)
        extents, at = tuple(self.extents[s] for s in bound), list(places)

        def value_of(arrays: Values) -> Array:
            value = body(arrays)
            last = np.moveaxis(value, axes, range(-len(axes), 0))
            first = last.reshape(*last.shape[: last.ndim - len(axes)], -1).argmax(-1)
            kept = [1 if axis in axes else n for axis, n in enumerate(value.shape)]
            best = (b.reshape(kept) for b in np.unravel_index(first, extents))
            return reduce(np.logical_and, [b == i(arrays) for b, i in zip(best, at, strict=True)])

        return value_of

    # ---- Sums ------------------------------------------------------------------------------

    def _sum(self, term: Expr, bound: Sequence[Symbol]) -> Function:
        factors = Mul.make_args(term)
        deltas = [f for f in factors if isinstance(f, KroneckerDelta) and not f.has(Indexed)]
        here = {s for d in deltas for s in d.free_symbols if s in self.indices}
        if here & set(bound) and here.isdisjoint(self.at_points):
            rest = [f for f in factors if f not in deltas]
            return self._at_points(term, rest, deltas, sorted(here, key=str), bound)
        return self._contracted(factors, [s for s in bound if s not in self.at_points])

    def _contracted(self, factors: Sequence[Expr], bound: Sequence[Symbol]) -> Function:
        """The product of factors summed over indices, without the product in memory where all is finite."""
        operands = [self._number_of(f) for f in factors]
        extents = {self.plan.axes[s]: self.extents[s] for s in bound}
        product, over, real = self._product(factors), tuple(extents), self.real

        def value_of(arrays: Values) -> Array:
            values = [operand(arrays) for operand in operands]
            found = _einsum(values, over, real)
            if np.isfinite(found).all():
                return found * math.prod(
                    n for axis, n in extents.items() if all(v.shape[axis] == 1 for v in values)
                )
            whole = product(arrays)
            shape = [extents.get(axis, n) for axis, n in enumerate(whole.shape)]
            return np.broadcast_to(whole, shape).sum(over, keepdims=True)

        return value_of

    def _at_points(
        self,
        term: Expr,
        factors: Sequence[Expr],
        deltas: Sequence[Expr],
        here: Sequence[Symbol],
        bound: Sequence[Symbol],
    ) -> Function:
        """A sum with deltas: over the points of their indices at which these hold, and no others."""
        axis = self.plan.points[term]
        shape = [1] * self.plan.rank
        for s in here:
            shape[self.plan.axes[s]] = self.extents[s]
        holds = np.logical_and.reduce([np.broadcast_to(self.compile(d)({}), shape) for d in deltas])
        found = np.nonzero(holds)
        points = {s: found[self.plan.axes[s]] for s in here}
        outer = self.indices, self.at_points
        self.indices = {**self.indices, **{s: self._along(points[s], axis) for s in here}}
        self.at_points = (*self.at_points, *here)
        value = self._contracted(factors or [sympy.S.One], [s for s in bound if s not in self.at_points])
        self.indices, self.at_points = outer
        kept = [s for s in here if s not in bound]
        count, places = len(found[0]), self._axes(kept)
        at = tuple(points[s] for s in kept)
        extents = {axis: 1, **{self.plan.axes[s]: self.extents[s] for s in kept}}
        front = range(len(kept) + 1)

        def value_of(arrays: Values) -> Array:
            here = value(arrays)
            here = np.broadcast_to(here, [count if a == axis else n for a, n in enumerate(here.shape)])
            if not kept:
                return here.sum(axis, keepdims=True)
            out = np.zeros([extents.get(a, n) for a, n in enumerate(here.shape)], here.dtype)
            into = np.moveaxis(out, (*places, axis), front)[(slice(None),) * len(kept) + (0,)]
            np.add.at(into, at, np.moveaxis(here, (*places, axis), front)[(0,) * len(kept)])
            return out

        return value_of


def _number(node: Expr, real: Any) -> Any:
    """Return a number to the last digit of a float type."""
    if node.is_Rational:
        return real(str(node.p)) / real(str(node.q))
    return real(str(sympy.N(node, 30)))


def _added(terms: Sequence[Function]) -> Function:
    def value_of(arrays: Values) -> Array:
        total = terms[0](arrays)
        for term in terms[1:]:
            total = total + term(arrays)
        return total

    return value_of


def _negated(truth: Function) -> Function:
    return lambda arrays: ~truth(arrays)


def _einsum(operands: Sequence[Array], over: tuple[int, ...], real: Any) -> Array:
    """Return the product of arrays summed over axes, which stay with extent 1."""
    layout = _layout(tuple(operand.shape for operand in operands), over)
    arguments: list[Any] = []
    for operand, (shape, axes) in zip(operands, layout.operands, strict=True):
        arguments += [operand.reshape(shape).astype(real, copy=False), axes]
    return np.asarray(np.einsum(*arguments, layout.kept)).reshape(layout.shape)


@dataclass(frozen=True)
class _Layout:
    """What a sum of products reads: the extents of each operand above 1 and their axes; what it gives."""

    operands: tuple[tuple[tuple[int, ...], list[int]], ...]
    kept: list[int]
    shape: tuple[int, ...]


@lru_cache(maxsize=1024)
def _layout(shapes: tuple[tuple[int, ...], ...], over: tuple[int, ...]) -> _Layout:
    operands = []
    extents: dict[int, int] = {}
    for shape in shapes:
        found = {axis: n for axis, n in enumerate(shape) if n > 1}
        extents |= found
        operands.append((tuple(found.values()), [*found]))
    kept = sorted(extents.keys() - set(over))
    return _Layout(
        tuple(operands), kept, tuple(extents[a] if a in kept else 1 for a in range(len(shapes[0])))
    )
