"""What a scalar expression gives in floating point, at arguments from 0 to 10⁴, beside its true value.

``flaws`` tells where a form is not finite although its value is, and how many digits it loses elsewhere.
True values come from mpmath, with as many digits as it takes for two of them to agree; an exponential beyond
what any float holds is 0 or infinite, so that no number grows with its exponent.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import mpmath
import sympy
from sympy import Expr, Piecewise, Symbol

from chainrule.formula.floating import COMPARED, Column, computed, single
from chainrule.formula.functions import elementary

SIZES: Final = (
    *(1e-6, 1e-3, 0.1, 0.5, 1.0, 2.0, 3.5, 5.0, 8.0, 13.0, 20.0, 30.0, 45.0, 60.0, 80.0, 89.5, 100.0, 150.0),
    *(200.0, 350.0, 500.0, 709.0, 720.0, 1000.0, 3000.0, 10000.0),
)
LINE: Final = tuple(map(single, (*(-s for s in reversed(SIZES)), 0.0, *SIZES)))
TARGETS: Final = (0.0, 1.0, -1.0, 0.25)
_DIGITS: Final = (40, 160, 640)
_FARTHEST: Final = 10**6  # beyond exp of this nothing is told apart from 0 and infinity
# By type: what is too small to be compared, the largest number, and what its relative errors count for.
_TYPES: Final = {
    "float64": (1e-290, sys.float_info.max, 1.0),
    "float32": (1e-35, (2 - 2.0**-23) * 2.0**127, 2.0**-29),
}


@dataclass(frozen=True, order=True)
class Flaws:
    """At how many points a form is not finite (in float64 and float32), and the worst relative error else."""

    broken: int
    error: float
    where: tuple[tuple[str, float], ...] = ()  # (type, argument) of what is broken

    @property
    def good(self) -> bool:
        return not self.broken and self.error <= 1e-12


@lru_cache(maxsize=256)
def flaws(
    expression: Expr, true: Expr, variables: tuple[Symbol, ...], given: tuple[tuple[Symbol, Expr], ...] = ()
) -> Flaws:
    """Return how an expression fares where its true value is that of ``true``.

    The second variable is a target.  ``given`` are values that were computed before, by their own forms.
    """
    points, wanted = _points(true, variables)
    broken, worst, where = 0, 0.0, []
    for kind, (tiny, largest, scale) in _TYPES.items():
        columns: dict[Symbol, Iterable[float]] = dict(zip(variables, zip(*points, strict=True), strict=True))
        for symbol, form in given:
            columns[symbol] = computed(form, columns, kind)
        found = computed(expression, columns, kind)
        for point, value, true_value in zip(points, found, wanted, strict=True):
            if not abs(true_value) < largest / 4:  # NaN, too
                continue
            if not math.isfinite(value):
                broken += 1
                where.append((kind, point[0]))
            elif abs(true_value) >= tiny:
                worst = max(worst, abs(value - true_value) / abs(true_value) * scale)
    return Flaws(broken, worst, tuple(where))


@lru_cache(maxsize=64)
def _points(true: Expr, variables: tuple[Symbol, ...]) -> tuple[list[Column], list[float]]:
    """Return arguments, one row a point, and the true values there; nan where there is none."""
    targets = TARGETS if len(variables) > 1 else ()
    points: list[Column] = [(v, t) for t in targets for v in LINE[1::3]] or [(v,) for v in LINE]
    plain = elementary(true)
    return points, [_true(plain, dict(zip(variables, point, strict=True))) for point in points]


# ---- true values ------------------------------------------------------------------------------


class _Unknown(ValueError):
    """No real value, or one that cannot be told."""


def _true(node: Expr, values: Mapping[Symbol, float]) -> float:
    """Return the value of an expression, nan where it has none; infinite beyond every float."""
    before = None
    for digits in _DIGITS:
        with mpmath.workdps(digits):
            try:
                value = _exact(node, values, {})
            except (_Unknown, ZeroDivisionError, ValueError, OverflowError):
                return math.nan
            if mpmath.isinf(value) or mpmath.isnan(value):
                return float(value)
            small = float(value) == 0
            if before is not None and (small or abs(value - before) <= abs(value) * mpmath.mpf(10) ** -20):
                return 0.0 if small else float(value)
            before = value
    return math.nan


def _exact(node: Expr, values: Mapping[Symbol, float], known: dict[Expr, Any]) -> Any:
    if node not in known:
        known[node] = _exactly(node, values, known)
    return known[node]


def _exactly(node: Expr, values: Mapping[Symbol, float], known: dict[Expr, Any]) -> Any:
    def of(child: Expr) -> Any:
        return _exact(child, values, known)

    match node:
        case Symbol():
            return mpmath.mpf(values[node])
        case sympy.Rational():
            return mpmath.mpf(int(node.p)) / int(node.q)
        case sympy.NumberSymbol():
            return mpmath.mpf(node._to_mpmath(mpmath.mp.prec))
        case sympy.Add():
            return mpmath.fsum(of(a) for a in node.args)
        case sympy.Mul():
            return mpmath.fprod(of(a) for a in node.args)
        case sympy.exp():
            return _exp(of(node.args[0]))
        case sympy.Pow():
            return _power(of(node.base), of(node.exp), node)
        case Piecewise():
            return next(of(branch) for branch, condition in node.args if _holds_exactly(condition, of))
    name = type(node).__name__
    arguments = [of(a) for a in node.args]
    u = arguments[0]
    if name in ("sinh", "cosh", "tanh"):
        up, down = _exp(u), _exp(-u)
        if name == "tanh":
            return mpmath.tanh(u) if abs(u) < _FARTHEST else mpmath.sign(u)
        return (up - down) / 2 if name == "sinh" else (up + down) / 2
    if name == "log" and u <= 0:
        raise _Unknown
    if name in ("sin", "cos", "tan") and abs(u) > 10.0**30:
        raise _Unknown
    if name == "maximum":
        return max(arguments)
    if name not in _EXACT:
        raise _Unknown
    return _EXACT[name](u)


_EXACT: Final[dict[str, Callable[[Any], Any]]] = {
    **{name: getattr(mpmath, name) for name in ("log", "sin", "cos", "tan", "erf", "sign", "floor")},
    "Abs": abs,
    "ceiling": mpmath.ceil,
    "rint": mpmath.nint,
}


def _exp(u: Any) -> Any:
    if u > _FARTHEST:
        return mpmath.inf
    return mpmath.mpf(0) if u < -_FARTHEST else mpmath.exp(u)


def _power(base: Any, power: Any, node: Expr) -> Any:
    whole = node.exp.is_Integer and not mpmath.isinf(base)
    if whole and (base == 0 or abs(power * mpmath.log(abs(base))) < _FARTHEST):
        return base ** int(node.exp)
    if base < 0:
        raise _Unknown
    if base == 0:
        if power <= 0:
            raise _Unknown
        return mpmath.mpf(0)
    return _exp(power * mpmath.log(base))


def _holds_exactly(condition: Any, of: Callable[[Expr], Any]) -> bool:
    if condition in (sympy.true, sympy.false):
        return bool(condition)
    if isinstance(condition, sympy.And | sympy.Or):
        found = [_holds_exactly(c, of) for c in condition.args]
        return all(found) if isinstance(condition, sympy.And) else any(found)
    return bool(COMPARED[condition.rel_op](of(condition.lhs), of(condition.rhs)))


__all__ = ["LINE", "Flaws", "flaws"]
