"""Which values of each tensor the last of some equations depends on at all, by their places alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
from sympy import Expr, Indexed, Mul

from chainrule.derive.index import Equation, Reduction, Winner, name_of
from chainrule.evaluate.axes import AxisPlan
from chainrule.evaluate.broadcasting import SELECTORS, Array, Compiled


def reached(equations: Sequence[Equation], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return, for every tensor, where a value may matter to the last equation: an array of truth values.

    A value does not matter that no equation reads: a stride leaves it out, or all that it is multiplied with
    is padding.  ``shapes`` gives every tensor's shape, in numbers.
    """
    found = {name: np.zeros(shape, bool) for name, shape in shapes.items()}
    found[equations[-1].name] = np.ones(shapes[equations[-1].name], bool)
    for equation in reversed(equations):
        plan = AxisPlan(equation)
        arrays = {name: found[name] for name in (*plan.tensors, equation.name)}
        sizes = {
            symbol: extent
            for base in (equation.left.base, *equation.reads().values())
            for symbol, extent in zip(base.shape, shapes[name_of(base)], strict=True)
            if symbol.is_Symbol
        }
        compiled = Compiled(plan, sizes, {name: a.shape for name, a in arrays.items()}, np.float64)
        needed = found[equation.name]
        _mark(compiled, plan.right, needed.reshape(*needed.shape, *(1,) * (plan.rank - needed.ndim)), found)
    return found


def _mark(compiled: Compiled, node: Expr, active: Array, found: Mapping[str, Array]) -> None:
    """Mark what an expression reads wherever it is active."""
    if isinstance(node, Indexed):
        mask = found[name_of(node.base)]
        if any(i.has(Indexed) for i in node.indices):
            mask[...] = True
            return
        at = [compiled.compile(i)({}) for i in node.indices]
        inside = [(i >= 0) & (i < n) for i, n in zip(at, mask.shape, strict=True)]
        used = {axis for i in at for axis, n in enumerate(i.shape) if n > 1}
        rest = tuple(axis for axis in range(active.ndim) if axis not in used)
        here = reduce(np.logical_and, inside, active.any(rest, keepdims=True))
        *places, here = np.broadcast_arrays(*at, here)
        mask[tuple(place[here] for place in places)] = True
        return
    if isinstance(node, Mul):
        for factor in node.args:
            if isinstance(factor, SELECTORS) and not isinstance(factor, Winner) and not factor.has(Indexed):
                active = active & compiled.compile(factor)({})
            elif isinstance(factor, Indexed):
                active = active & ~compiled.outside(factor)
    arguments = (node.body,) if isinstance(node, Reduction) else node.args
    for argument in arguments:
        if argument.has(Indexed):
            _mark(compiled, argument, active, found)
