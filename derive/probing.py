"""What a scalar expression gives in floating point, at arguments from 0 to 10⁴, beside its true value.

``flaws`` tells where a form is not finite although its value is, and how many digits it loses elsewhere.
True values come from mpmath, with as many digits as it takes for two of them to agree; an exponential beyond
what any float holds is 0 or infinite, so that no number grows with its exponent.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import mpmath
import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Expr, Piecewise, Symbol

from chainrule.formula.functions import elementary

SIZES: Final = (
    *(1e-6, 1e-3, 0.1, 0.5, 1.0, 2.0, 3.5, 5.0, 8.0, 13.0, 20.0, 30.0, 45.0, 60.0, 80.0, 89.5, 100.0, 150.0),
    *(200.0, 350.0, 500.0, 709.0, 720.0, 1000.0, 3000.0, 10000.0),
)
LINE: Final = np.array([*(-s for s in reversed(SIZES)), 0.0, *SIZES], np.float32).astype(np.float64)
TARGETS: Final = (0.0, 1.0, -1.0, 0.25)
_DIGITS: Final = (40, 160, 640)
_FARTHEST: Final = 10**6  # beyond exp of this nothing is told apart from 0 and infinity
_TINY: Final = {np.float64: 1e-290, np.float32: 1e-35}
Array = NDArray[Any]


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
    values, wanted = _points(true, variables)
    broken, worst, where = 0, 0.0, []
    for kind in (np.float64, np.float32):
        with np.errstate(all="ignore"):
            arrays = {s: values[:, i].astype(kind) for i, s in enumerate(variables)}
            for symbol, form in given:
                arrays[symbol] = computed(form, arrays, kind)
            found = np.broadcast_to(computed(expression, arrays, kind), len(values)).astype(np.float64)
        small = np.abs(wanted) < _TINY[kind]
        known = np.isfinite(wanted) & (np.abs(wanted) < float(np.finfo(kind).max) / 4)
        bad = known & ~np.isfinite(found)
        broken += int(bad.sum())
        where += [(np.dtype(kind).name, float(v)) for v in values[bad][:, 0]]
        with np.errstate(all="ignore"):
            error = np.abs(found - wanted) / np.abs(wanted)
        scale = 1.0 if kind is np.float64 else 2.0**-29
        worst = max(worst, float(np.max(error[known & ~small & ~bad], initial=0.0)) * scale)
    return Flaws(broken, worst, tuple(where))


@lru_cache(maxsize=64)
def _points(true: Expr, variables: tuple[Symbol, ...]) -> tuple[Array, Array]:
    """Return arguments, one row a point, and the true values there; nan where there is none."""
    pairs = [(v,) for v in LINE] if len(variables) < 2 else [(v, t) for t in TARGETS for v in LINE[1::3]]
    plain, points = elementary(true), [dict(zip(variables, map(float, pair), strict=True)) for pair in pairs]
    return np.array(pairs), np.array([_true(plain, point) for point in points])


# ---- floating point ---------------------------------------------------------------------------


def _vectorized(function: Callable[[float], float]) -> Callable[[Array], Array]:
    return lambda u: np.vectorize(function, otypes=[float])(u).astype(u.dtype)


def _logcosh(u: Array) -> Array:
    far = np.abs(u) + np.log1p(np.expm1(-2 * np.abs(u)) / 2)
    return np.where(np.abs(u) < 1, np.log1p(2 * np.sinh(np.minimum(np.abs(u), 1) / 2) ** 2), far)


def _unknown(u: Array) -> Array:
    return np.full_like(u, np.nan)


_FLOATS: Final[dict[str, Callable[..., Array]]] = {
    **{name: getattr(np, name) for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{name: getattr(np, name) for name in ("sign", "floor", "rint", "expm1", "log1p", "maximum")},
    "Abs": np.abs,
    "ceiling": np.ceil,
    "erf": _vectorized(math.erf),
    "erfc": _vectorized(math.erfc),
    "sigmoid": lambda u: 1 / (1 + np.exp(-u)),
    "softplus": lambda u: np.logaddexp(u.dtype.type(0), u),
    "logcosh": _logcosh,
}


def computed(node: Expr, arrays: Mapping[Symbol, Array], kind: type[Any]) -> Array:
    """Return what a program computes for an expression: products first, then divisions, in one type."""

    def of(child: Expr) -> Array:
        return computed(child, arrays, kind)

    if node in arrays:
        return arrays[node]
    if node.is_number:
        return np.asarray(float(elementary(node)), np.float64).astype(kind)
    match node:
        case sympy.Add():
            return np.asarray(sum(of(a) for a in node.args), kind)
        case sympy.Mul():
            over, under = kind(1), []
            for factor in node.args:
                base, power = factor.as_base_exp()
                if power.is_negative and not isinstance(factor, sympy.exp):
                    under.append(of(base**-power))
                else:
                    over = over * of(factor)
            for divisor in under:
                over = over / divisor
            return np.asarray(over, kind)
        case sympy.exp():
            return np.exp(of(node.args[0]))
        case sympy.Pow():
            if node.exp.is_negative:
                return kind(1) / of(node.base**-node.exp)
            base = of(node.base)
            return np.sqrt(base) if node.exp == sympy.S.Half else np.power(base, of(node.exp))
        case Piecewise():
            result = of(node.args[-1][0])
            for branch, condition in reversed(node.args[:-1]):
                result = np.where(_holds(condition, of), of(branch), result)
            return np.asarray(result, kind)
    function = _FLOATS.get(type(node).__name__, _unknown)
    return np.asarray(function(*(of(a) for a in node.args)), kind)


_COMPARED: Final = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def _holds(condition: Any, of: Callable[[Expr], Any]) -> Any:
    if condition in (sympy.true, sympy.false):
        return bool(condition)
    if isinstance(condition, sympy.And):
        return np.logical_and.reduce([_holds(c, of) for c in condition.args])
    if isinstance(condition, sympy.Or):
        return np.logical_or.reduce([_holds(c, of) for c in condition.args])
    return _COMPARED[condition.rel_op](of(condition.lhs), of(condition.rhs))


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
    return bool(_COMPARED[condition.rel_op](of(condition.lhs), of(condition.rhs)))


__all__ = ["LINE", "Flaws", "computed", "flaws"]
