"""What a program computes of an expression in float64 or float32, at some points, infinities and NaNs too.

Every operation rounds to the type; functions are those of the standard library, in float64, then rounded.
"""

from __future__ import annotations

import math
import operator
from array import array
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any, Final

import sympy
from sympy import Expr, Piecewise, Symbol

from chainrule.formula.functions import elementary

Column = tuple[float, ...]  # a value for each point
Rounded = Callable[[float], float]
COMPARED: Final = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_CELL: Final = array("f", [0.0])


def single(value: float) -> float:
    """Return the float32 nearest to a float64; infinite beyond the largest."""
    _CELL[0] = value
    return _CELL[0]


TYPES: Final[dict[str, Rounded]] = {"float64": float, "float32": single}


def computed(node: Expr, columns: Mapping[Symbol, Iterable[float]], kind: str) -> Column:
    """Return what a program computes for an expression: products first, then divisions, in one type.

    ``columns`` are the values of its symbols at the points, as many for each; a function that is not known
    gives NaN.
    """
    rounded = TYPES[kind]
    known: dict[Expr, Column] = {symbol: tuple(map(rounded, column)) for symbol, column in columns.items()}
    count = len(next(iter(known.values())))
    return _Evaluation(known, rounded, count).of(node)


class _Evaluation:
    def __init__(self, known: dict[Expr, Column], rounded: Rounded, count: int) -> None:
        self.known = known
        self.rounded = rounded
        self.count = count

    def of(self, node: Expr) -> Column:
        if node not in self.known:
            self.known[node] = self._found(node)
        return self.known[node]

    def each(self, function: Callable[..., float], *columns: Column) -> Column:
        rounded = self.rounded
        return tuple([rounded(function(*values)) for values in zip(*columns, strict=True)])

    def all(self, value: float) -> Column:
        return (self.rounded(value),) * self.count

    def _found(self, node: Expr) -> Column:
        if node.is_number:
            return self.all(float(elementary(node)))
        match node:
            case sympy.Add():
                return reduce(lambda a, b: self.each(operator.add, a, b), map(self.of, node.args))
            case sympy.Mul():
                return self._product(node)
            case sympy.exp():
                return self.each(_exp, self.of(node.args[0]))
            case sympy.Pow():
                if node.exp.is_negative:
                    return self.each(divided, self.all(1), self.of(node.base**-node.exp))
                if node.exp == sympy.S.Half:
                    return self.each(_root, self.of(node.base))
                return self.each(_power, self.of(node.base), self.of(node.exp))
            case Piecewise():
                return self._chosen(node)
        if not all(isinstance(argument, Expr) for argument in node.args):
            return self.all(math.nan)
        function = _FLOATS.get(type(node).__name__)
        if function is not None:
            return self.each(function, *map(self.of, node.args))
        form = _FORMS.get(type(node).__name__)
        return self.all(math.nan) if form is None else form(self, self.of(node.args[0]))

    def _product(self, node: Expr) -> Column:
        over, under = None, []
        for factor in node.args:
            base, power = factor.as_base_exp()
            if power.is_negative and not isinstance(factor, sympy.exp):
                under.append(self.of(base**-power))
            else:
                column = self.of(factor)
                over = column if over is None else self.each(operator.mul, over, column)
        return reduce(lambda a, b: self.each(divided, a, b), under, self.all(1) if over is None else over)

    def _chosen(self, node: Piecewise) -> Column:
        branches = [(self.of(branch), self.holds(condition)) for branch, condition in node.args[:-1]]
        result = self.of(node.args[-1][0])
        for branch, holds in reversed(branches):
            result = tuple([a if yes else b for a, b, yes in zip(branch, result, holds, strict=True)])
        return result

    def holds(self, condition: Any) -> tuple[bool, ...]:
        if condition in (sympy.true, sympy.false):
            return (bool(condition),) * self.count
        if isinstance(condition, sympy.And | sympy.Or):
            joined = all if isinstance(condition, sympy.And) else any
            return tuple(map(joined, zip(*(self.holds(c) for c in condition.args), strict=True)))
        return tuple(map(COMPARED[condition.rel_op], self.of(condition.lhs), self.of(condition.rhs)))


# ---- functions of floats, where Python raises and IEEE 754 does not ---------------------------


def divided(a: float, b: float) -> float:
    """Return a / b: infinite or NaN where b is 0."""
    if b:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)


def _never(function: Callable[..., float], beyond: float = math.nan) -> Callable[..., float]:
    """A function that is NaN where it has no value, and ``beyond`` where that is larger than every float."""

    def quiet(*u: float) -> float:
        try:
            return function(*u)
        except OverflowError:
            return beyond
        except ValueError:
            return math.nan

    return quiet


def _odd(function: Callable[[float], float]) -> Callable[[float], float]:
    upper = _never(function, math.inf)
    return lambda u: math.copysign(upper(abs(u)), u)


def _logarithm(function: Callable[[float], float], pole: float) -> Callable[[float], float]:
    quiet = _never(function)
    return lambda u: -math.inf if u == pole else quiet(u)


def _whole(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda u: float(function(u)) if math.isfinite(u) else u


def _power(base: float, power: float) -> float:
    beyond = math.copysign(math.inf, base) if abs(power) % 2 == 1 else math.inf
    return beyond if base == 0 and power < 0 else _never(math.pow, beyond)(base, power)


def _maximum(*u: float) -> float:
    return math.nan if any(map(math.isnan, u)) else max(u)


def _softplus(u: float) -> float:
    return max(u, 0.0) + math.log1p(math.exp(-abs(u)))


_exp: Final = _never(math.exp, math.inf)
_root: Final = _never(math.sqrt)
_FLOATS: Final[dict[str, Callable[..., float]]] = {
    "exp": _exp,
    "log": _logarithm(math.log, 0.0),
    "log1p": _logarithm(math.log1p, -1.0),
    "expm1": _never(math.expm1, math.inf),
    **{name: _never(getattr(math, name)) for name in ("sin", "cos", "tan")},
    "sinh": _odd(math.sinh),
    "cosh": _never(math.cosh, math.inf),
    "tanh": math.tanh,
    "sign": lambda u: math.copysign(1.0, u) if abs(u) > 0 else u,
    "floor": _whole(math.floor),
    "ceiling": _whole(math.ceil),
    "rint": _whole(round),
    "maximum": _maximum,
    "Abs": abs,
    "erf": math.erf,
    "erfc": math.erfc,
    "softplus": _softplus,
}


def _sigmoid(at: _Evaluation, u: Column) -> Column:
    below = at.each(operator.add, at.all(1), at.each(_exp, at.each(operator.neg, u)))
    return at.each(divided, at.all(1), below)


def _logcosh(at: _Evaluation, u: Column) -> Column:
    def near(v: float) -> float:
        return math.log1p(2 * math.sinh(v / 2) ** 2)

    def far(v: float) -> float:
        return v + math.log1p(math.expm1(-2 * v) / 2)

    return at.each(lambda v: near(v) if abs(v) < 1 else far(abs(v)), u)


_FORMS: Final[dict[str, Callable[[_Evaluation, Column], Column]]] = {"sigmoid": _sigmoid, "logcosh": _logcosh}
