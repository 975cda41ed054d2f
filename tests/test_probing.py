"""True values and computed ones: comparisons at their edges, the smallest numbers, what is not finite."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import sympy
from sympy import Piecewise, Symbol

from chainrule.formula import parse_formula
from chainrule.formula.floating import computed
from chainrule.formula.functions import expm1, log1p, maximum, rint, sigmoid, softplus
from chainrule.formula.probing import _true as true
from chainrule.formula.probing import flaws

x, y = Symbol("x", real=True), Symbol("y", real=True)
RELATIONS = {
    "<": (1, 0, 0),
    "<=": (1, 1, 0),
    ">": (0, 0, 1),
    ">=": (0, 1, 1),
}


@pytest.mark.parametrize("relation", RELATIONS)
def test_comparisons_below_at_and_above_their_edge(relation: str) -> None:
    """In true values, in computed ones and where a formula's constants are compared."""
    choice = Piecewise((1, sympy.Rel(x, 2, relation)), (0, True))
    points = (1.5, 2.0, 2.5)
    assert tuple(true(choice, {x: at}) for at in points) == RELATIONS[relation]
    assert computed(choice, {x: points}, "float64") == RELATIONS[relation]
    read = (parse_formula(f"where({at} {relation} 2, 1, 0)", {}) for at in points)
    assert tuple(read) == RELATIONS[relation]


def test_conditions_joined() -> None:
    inside, outside = sympy.And(x > 0, x < 1), sympy.Or(x < 0, x > 1)
    for at, within in ((-0.5, False), (0.5, True), (1.5, False)):
        for condition, holds in ((inside, within), (outside, not within)):
            choice = Piecewise((1, condition), (0, True))
            assert true(choice, {x: at}) == holds
            assert computed(choice, {x: (at,)}, "float64") == (holds,)


@pytest.mark.parametrize(
    ("expression", "at", "value"),
    [
        (sympy.exp(x), -10000.0, 0.0),
        (sympy.exp(x), -740.0, math.exp(-740)),
        (sympy.exp(x), 1e7, math.inf),
        (sympy.exp(x) - sympy.exp(x) * (1 - sympy.exp(-100)), 100.0, 1.0),
        (sympy.log(x), -1.0, math.nan),
        (sympy.log(x), 0.0, math.nan),
        (1 / x, 0.0, math.nan),
        (x**x, 0.0, math.nan),
        (sympy.sqrt(x), 0.0, 0.0),
        (sympy.sqrt(x), -1.0, math.nan),
        (x**3, -2.0, -8.0),
        (x**-2, -2.0, 0.25),
        (sympy.sinh(x), 1.0, math.sinh(1)),
        (sympy.cosh(x), 1.0, math.cosh(1)),
        (sympy.tanh(x), -1e7, -1.0),
        (sympy.tanh(x), -1e6, -1.0),
        (sympy.sinh(x) / sympy.exp(x), 1e6, 0.5),
        (sympy.sinh(x) / sympy.exp(x), 1.1e6, math.nan),  # both beyond every float
        (sympy.sin(x), 1e30, float(mpmath.sin(mpmath.mpf(1e30)))),
        (sympy.sin(x), 1.1e30, math.nan),
        (sympy.ceiling(x), 1.25, 2.0),
        (sympy.floor(x), -1.25, -2.0),
        (sympy.Abs(x), -1.25, 1.25),
        (rint(x), 2.5, 2.0),
        (maximum(x, 2), 1.25, 2.0),
        (sympy.gamma(x), 1.0, math.nan),
        (x ** sympy.Rational(1, 2), 2.25, 1.5),
        (x ** sympy.Rational(1, 2), -2.25, math.nan),
        (sympy.pi * x, 2.0, 2 * math.pi),
    ],
)
def test_true_values(expression: sympy.Expr, at: float, value: float) -> None:
    found = true(expression, {x: at})
    assert math.isnan(found) if math.isnan(value) else found == pytest.approx(value, rel=1e-15, abs=0)


def test_a_form_is_broken_where_it_is_not_finite_and_its_value_is() -> None:
    good, steep = sympy.tanh(x), (sympy.exp(x) - sympy.exp(-x)) / (sympy.exp(x) + sympy.exp(-x))
    assert flaws(good, good, (x,)).good
    found = flaws(steep, good, (x,))
    assert found.broken == len(found.where) > 0 and not found.good
    assert min(abs(at) for kind, at in found.where if kind == "float64") == pytest.approx(709, rel=0.02)
    assert not flaws(sympy.exp(x), sympy.exp(x), (x,)).broken  # infinite in truth too


EDGES = (0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.5, -2.5, 3.0, -3.0, 90.0, -90.0, 720.0, -720.0, 1e4, -1e4)
EDGES += (math.inf, -math.inf, math.nan)
NUMPY = {
    **{name: getattr(sympy, name) for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{"sign": sympy.sign, "floor": sympy.floor, "ceil": sympy.ceiling, "abs": sympy.Abs},
    **{"rint": rint, "expm1": expm1, "log1p": log1p},
}


@pytest.mark.parametrize("kind", ["float64", "float32"])
@pytest.mark.parametrize("name", NUMPY)
def test_functions_of_floats_are_those_of_numpy(name: str, kind: str) -> None:
    """With their infinities, poles and NaNs; in float32 to a few units in the last place."""
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(np.array(EDGES, kind))
    found = np.array(computed(NUMPY[name](x), {x: EDGES}, kind))
    np.testing.assert_allclose(found, wanted, rtol=4 * float(np.finfo(kind).eps), atol=0, equal_nan=True)


@pytest.mark.parametrize("kind", ["float64", "float32"])
@pytest.mark.parametrize(
    ("form", "by"),
    [
        (x + y, np.add),
        (x * y, np.multiply),
        (x / y, np.divide),
        (x**y, np.power),
        (maximum(x, y), np.maximum),
        (1 / x, lambda u, _: 1 / u),
        (x**3, lambda u, _: u**3),
        (sympy.sqrt(x), lambda u, _: np.sqrt(u)),
        (softplus(x), lambda u, _: np.logaddexp(u.dtype.type(0), u)),
        (sigmoid(x), lambda u, _: 1 / (1 + np.exp(-u))),
        (x**2 * y / (1 + x), lambda u, v: u**2 * v / (1 + u)),
    ],
    ids=lambda given: str(given) if isinstance(given, sympy.Expr) else "numpy",
)
def test_operations_are_those_of_ieee_754(form: sympy.Expr, by: Callable[..., np.ndarray], kind: str) -> None:
    pairs = np.array([(u, v) for u in EDGES for v in EDGES], kind)
    with np.errstate(all="ignore"):
        wanted = by(pairs[:, 0], pairs[:, 1])
    found = np.array(computed(form, {x: pairs[:, 0].tolist(), y: pairs[:, 1].tolist()}, kind))
    np.testing.assert_allclose(found, wanted, rtol=4 * float(np.finfo(kind).eps), atol=0, equal_nan=True)
