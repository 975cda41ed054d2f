"""The reference interpreter of index equations: loops over every index, slow and obvious.

It shares nothing with the code generator; tests hold derived equations and generated programs against it.
Complex values go through analytic functions, for the complex step.
"""

from __future__ import annotations

import cmath
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import sympy
from sympy import Expr, Indexed, IndexedBase, KroneckerDelta, Symbol

from chainrule.derive.index import Equation, Inside, Max, Sum, Winner, name_of
from chainrule.formula.functions import elementary, maximum, rint

if TYPE_CHECKING:
    from numpy.typing import NDArray

Number = Any  # float or complex
Bindings = dict[Symbol, Any]  # an index or a size to an int, a constant to a number
ELEMENTARY: dict[type, tuple[Callable[[float], float], Callable[[complex], complex] | None]] = {
    sympy.exp: (math.exp, cmath.exp),
    sympy.log: (math.log, cmath.log),
    sympy.sin: (math.sin, cmath.sin),
    sympy.cos: (math.cos, cmath.cos),
    sympy.tan: (math.tan, cmath.tan),
    sympy.sinh: (math.sinh, cmath.sinh),
    sympy.cosh: (math.cosh, cmath.cosh),
    sympy.tanh: (math.tanh, cmath.tanh),
    sympy.erf: (math.erf, None),
    sympy.Abs: (abs, None),
    sympy.floor: (math.floor, None),
    sympy.ceiling: (math.ceil, None),
    rint: (round, None),
    sympy.sign: (lambda v: float(v > 0) - float(v < 0), None),
}
SELECTORS = (Inside, KroneckerDelta, Winner)  # 1 or 0
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def evaluate(equation: Equation, tensors: Mapping[str, Any]) -> NDArray[Any]:
    """Return the left side's values, given an array for every tensor that the right side reads.

    Symbolic sizes are read off the arrays; a size that no array shows must be a key of ``tensors`` too, as
    must every constant that stands as a symbol.  A factor that is outside its tensor's box, or a guard or
    delta that does not hold, makes its product 0 whatever the other factors are, a division by 0 included.
    Raises KeyError for a missing tensor, ValueError for shapes that contradict each other.
    """
    import numpy as np  # not for ``function_of``

    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    right = elementary(equation.right)
    sizes = _sizes([equation.left.base, *equation.reads().values()], arrays)
    constants = _constants(right, arrays)
    shape = [int(n.xreplace(sizes)) for n in equation.left.base.shape]
    complex_in = any(np.iscomplexobj(arrays[name]) for name in equation.reads())
    out = np.zeros(shape, dtype=complex if complex_in else float)
    for position in itertools.product(*map(range, shape)):
        bindings = {**constants, **sizes, **dict(zip(equation.free, position, strict=True))}
        out[position] = value_at(right, arrays, bindings)
    return out


def _constants(right: Expr, arrays: Mapping[str, NDArray[Any]]) -> Bindings:
    """Return the values of symbols that are neither tensors nor indices: hyper-parameters and the like."""
    scalars = {name: value.item() for name, value in arrays.items() if value.ndim == 0}
    return {s: scalars[s.name] for s in right.free_symbols if type(s) is Symbol and s.name in scalars}


def _sizes(bases: Iterable[IndexedBase], arrays: Mapping[str, NDArray[Any]]) -> Bindings:
    known: Bindings = {}
    for base in bases:
        value = arrays.get(name_of(base))
        for symbol, extent in zip(base.shape, () if value is None else value.shape, strict=value is not None):
            if isinstance(symbol, Symbol) and known.setdefault(symbol, extent) != extent:
                raise ValueError(f"{base}: size {symbol} is {known[symbol]} and {extent}")
    for name, value in arrays.items():
        if value.ndim == 0 and not any(name == name_of(b) for b in bases):
            known.setdefault(Symbol(name, integer=True, positive=True), int(value.real))
    return known


def value_at(node: Expr, arrays: Mapping[str, NDArray[Any]], bindings: Bindings) -> Number:
    """Return the value of an expression where its indices, sizes and constants are bound to numbers."""

    def of(child: Expr) -> Number:
        return value_at(child, arrays, bindings)

    match node:
        case sympy.Integer() | sympy.Rational() | sympy.Float() | sympy.NumberSymbol():
            return int(node) if node.is_Integer else float(node)
        case Symbol():
            return bindings[node]
        case Indexed():
            at = position_of(node, arrays, of)
            return 0.0 if at is None else arrays[name_of(node.base)][at].item()
        case Sum() | Max() | Winner():
            ranges = [range(int(of(n))) for _, n in node.axes]
            bound = [s for s, _ in node.axes]
            points = list(itertools.product(*ranges))
            values = [
                value_at(node.body, arrays, {**bindings, **dict(zip(bound, p, strict=True))}) for p in points
            ]
            if isinstance(node, Sum):
                return sum(values)
            best = max(range(len(values)), key=lambda i: (_real(values[i]), -i))
            if isinstance(node, Max):
                return values[best]
            return float(points[best] == tuple(int(of(i)) for i in node.at))
        case Inside():
            return float(0 <= of(node.expression) < of(node.size))
        case KroneckerDelta():
            return float(_real(of(node.args[0])) == _real(of(node.args[1])))
        case sympy.Add():
            return sum(of(a) for a in node.args)
        case sympy.Mul():
            if any(is_excluded(a, arrays, of) for a in node.args):
                return 0.0
            return math.prod(of(a) for a in node.args if not isinstance(a, SELECTORS))
        case sympy.Pow():
            base, exponent = of(node.base), of(node.exp)
            power = base**exponent
            if isinstance(power, complex) and not isinstance(base + exponent, complex):
                raise ValueError(f"{node}: {base} to the power {exponent} is not real")
            return power
        case maximum():
            return max((of(a) for a in node.args), key=_real)
        case sympy.Max():  # of sizes
            return max(of(a) for a in node.args)
        case sympy.Piecewise():
            return next(of(branch) for branch, condition in node.args if _holds(condition, of))
    real, analytic = ELEMENTARY[type(node)]
    argument = of(node.args[0])
    if isinstance(argument, complex):
        if analytic is None:
            raise ValueError(f"{type(node).__name__} is not analytic: no complex step")
        return analytic(argument)
    return real(argument)


def position_of(
    node: Indexed, arrays: Mapping[str, NDArray[Any]], of: Callable[[Expr], Number]
) -> tuple[int, ...] | None:
    """Return where an access reads, or None outside the tensor's box."""
    at = tuple(int(_real(of(i))) for i in node.indices)
    shape = arrays[name_of(node.base)].shape
    return at if all(0 <= i < n for i, n in zip(at, shape, strict=True)) else None


def is_excluded(factor: Expr, arrays: Mapping[str, NDArray[Any]], of: Callable[[Expr], Number]) -> bool:
    """Whether a factor is 0 by its place: outside its box, or a guard, delta or winner that does not hold."""
    if isinstance(factor, Indexed):
        return position_of(factor, arrays, of) is None
    return isinstance(factor, SELECTORS) and of(factor) == 0


def _real(value: Number) -> float:
    return value.real if isinstance(value, complex) else value


def _holds(condition: Any, of: Callable[[Expr], Number]) -> bool:
    if condition in (sympy.true, sympy.false):
        return bool(condition)
    if isinstance(condition, sympy.And):
        return all(_holds(c, of) for c in condition.args)
    if isinstance(condition, sympy.Or):
        return any(_holds(c, of) for c in condition.args)
    if isinstance(condition, sympy.Not):
        return not _holds(condition.args[0], of)
    return COMPARISONS[condition.rel_op](_real(of(condition.lhs)), _real(of(condition.rhs)))


def function_of(expression: Expr, *variables: Symbol) -> Callable[..., float]:
    """Return an expression in these symbols, and no others, as a function of floats.

    The function raises what floats raise: ValueError outside the domain, ZeroDivisionError, OverflowError.
    """
    body = elementary(expression)

    def at(*values: float) -> float:
        return value_at(body, {}, dict(zip(variables, values, strict=True)))

    return at
