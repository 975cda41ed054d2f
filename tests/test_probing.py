"""True values and computed ones: comparisons at their edges, the smallest numbers, what is not finite."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import sympy
from sympy import Piecewise, Symbol

from chainrule.derive.probing import _true as true
from chainrule.derive.probing import computed, flaws
from chainrule.formula import parse_formula
from chainrule.formula.functions import maximum, rint

x = Symbol("x", real=True)
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
    assert tuple(computed(choice, {x: np.array(points)}, np.float64)) == RELATIONS[relation]
    read = (parse_formula(f"where({at} {relation} 2, 1, 0)", {}) for at in points)
    assert tuple(read) == RELATIONS[relation]


def test_conditions_joined() -> None:
    inside, outside = sympy.And(x > 0, x < 1), sympy.Or(x < 0, x > 1)
    for at, within in ((-0.5, False), (0.5, True), (1.5, False)):
        for condition, holds in ((inside, within), (outside, not within)):
            choice = Piecewise((1, condition), (0, True))
            assert true(choice, {x: at}) == holds
            assert computed(choice, {x: np.array(at)}, np.float64) == holds


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
