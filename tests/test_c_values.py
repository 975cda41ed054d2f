"""Expressions as C text: subscripts, conditions, and numbers that are computed in double."""

from __future__ import annotations

import pytest
import sympy
from small_programs import i, j, n, read
from sympy import And, Expr, Integer, KroneckerDelta, Not, Or, Piecewise, Rational, Symbol

from chainrule.codegen.targets.c_family.expressions import CPrinter, ScalarCPrinter
from chainrule.derive.index import Inside

y, z, b = read("y", n, i), read("z", n, i), read("b", i)
rate, decay = Symbol("rate"), Symbol("decay")
VARIABLES = {i: "i", j: "j", n: "n"}
PRINTER = CPrinter(lambda e: str(e.base.label), VARIABLES, {"rate": "RATE"})


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (i, "i"),
        (-i, "-i"),
        (Integer(0), "0"),
        (Integer(-2), "-2"),
        (2 * i + 3 * j + 1, "2 * i + 3 * j + 1"),
        (i - j - 1, "i - j - 1"),
        (i - 2 * j, "i - 2 * j"),
        (-2 * i - j + 4, "-2 * i - j + 4"),
    ],
)
def test_subscripts(expression: Expr, text: str) -> None:
    assert PRINTER.integer(expression) == text


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (y + z, "y + z"),
        (y - z, "y - z"),
        (-y, "-y"),
        (-2 * y, "-2 * y"),
        (y * (z + b), "y * (b + z)"),
        (y / (z + b), "y / (b + z)"),
        (y / z / b, "y / b / z"),
        (1 / y, "1 / y"),
        (y / 2, "real(0.5) * y"),
        (y / 3, "real(1. / 3.) * y"),
        (rate * y, "real(RATE) * y"),
        (y**2, "square(y)"),
        (y**3, "pow(y, real(3.0))"),
        (sympy.sqrt(y), "sqrt(y)"),
        (1 / sympy.sqrt(y), "1 / sqrt(y)"),
        (y + 2, "y + 2"),
        (y - 2, "y - 2"),
        (Piecewise((-1, y >= z), (0, True)), "y >= z ? real(-1) : real(0)"),
        (sympy.exp(-y), "exp(-y)"),
        (KroneckerDelta(i, j), "real(i == j)"),
        (y * KroneckerDelta(i, j), "i == j ? y : 0"),
        (y * KroneckerDelta(i, j) * Inside(i + 1, Integer(3)), "(inside(i + 1, 3)) && (i == j) ? y : 0"),
        (Piecewise((y, y >= z), (z, True)), "maximum(y, z)"),
        (Piecewise((y, y >= 0), (0, True)), "maximum(y, real(0))"),
        (Piecewise((y, b < 2), (0, True)), "b < 2 ? y : real(0)"),
        (Piecewise((y, And(b < 2, z > 1)), (z, True)), "((z > 1) && (b < 2)) ? y : z"),
        (Piecewise((y, Or(b < 2, z > 1)), (z, True)), "((z > 1) || (b < 2)) ? y : z"),
        (Piecewise((y, Not(And(b < 2, z > 1))), (z, True)), "!(((z > 1) && (b < 2))) ? y : z"),
    ],
)
def test_values_as_text(expression: Expr, text: str) -> None:
    assert PRINTER.text(expression) == text


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (rate * decay / 3, "decay * RATE / 3."),
        (1 - rate, "1. - RATE"),
        (rate / (1 - decay), "RATE / (1. - decay)"),
        (rate**-2, "1. / pow(RATE, 2.)"),
        (sympy.sqrt(rate), "sqrt(RATE)"),
        (decay**3, "pow(decay, 3.)"),
        (sympy.Max(rate, decay), "fmax(decay, RATE)"),
        (sympy.Min(rate, decay), "fmin(decay, RATE)"),
        (sympy.Abs(rate), "fabs(RATE)"),
        (Rational(2, 3), "2. / 3."),
        (sympy.pi, "3.141592653589793"),
        (Piecewise((rate, rate < 1), (decay, True)), "RATE < 1. ? RATE : decay"),
    ],
)
def test_numbers_in_double(expression: Expr, text: str) -> None:
    assert ScalarCPrinter(VARIABLES, {"rate": "RATE"}).text(expression) == text
