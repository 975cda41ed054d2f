"""Forms of an expression by value: what each rewrite makes of it, and what a quotient is scaled to."""

from __future__ import annotations

import pytest
import sympy
from sympy import Abs, Expr, Rational, cosh, erf, exp, log, sign, sinh, sqrt, tanh

from chainrule.derive.index import Max, Sum, index, same_up_to_names, size, tensor
from chainrule.derive.rewrites import HYPERBOLIC, LOG_SUM, rewrite, stable
from chainrule.derive.scaling import gathered, logarithm, near_one, scaled, scaled_terms
from chainrule.derive.simplify import length, tidy
from chainrule.formula.functions import elementary, erfc, expm1, log1p, logcosh, maximum, sigmoid, softplus

u, v = sympy.symbols("u v", real=True)
j, k, K = index("j"), index("k"), size("K")
z, y, b = tensor("z", K), tensor("y", K), tensor("b", K)
total = Sum(exp(z[j]), (j, K))
NAMES = {
    "σ": "logistic function",
    "absorb": "e^u σ(−u) = σ(u)",
    "complement": "1 − σ(u) = σ(−u)",
    "softplus": "softplus",
    "shift": "shifted exponentials (log-sum-exp)",
    "merge": "e^a e^b = e^(a+b)",
    "quotient": "logarithm of a softmax",
    "expm1": "expm1",
    "log1p": "log1p",
    "erfc": "1 + erf(u) = erfc(−u)",
    "tanh": "sinh(u)/cosh(u) = tanh(u)",
}
POINTS = [{u: Rational(a, 7), v: Rational(c, 3)} for a, c in ((-9, 2), (-2, 5), (3, -1), (12, 4))]


def agree(one: Expr, other: Expr) -> bool:
    """Whether two expressions in u and v have the same values."""
    difference = elementary(one - other).replace(maximum, sympy.Max)
    return all(abs(difference.subs(at).evalf(30, chop=True)) < 1e-25 for at in POINTS)


@pytest.mark.parametrize(
    ("expression", "form", "names"),
    [
        (1 / (1 + exp(-u)), sigmoid(u), "σ"),
        ((1 + exp(u)) ** -2, sigmoid(-u) ** 2, "σ"),
        (exp(u) / (1 + exp(u)), sigmoid(u), "σ absorb"),
        (exp(-u) / (1 + exp(-u)) ** 2, sigmoid(-u) * sigmoid(u), "σ absorb"),
        (exp(-2 * u) / (1 + exp(-u)) ** 3, sigmoid(-u) ** 2 * sigmoid(u), "σ absorb"),
        (1 - 1 / (1 + exp(-u)), sigmoid(-u), "σ complement"),
        (2 - 2 / (1 + exp(-u)), 2 * sigmoid(-u), "σ complement"),
        (3 - 2 / (1 + exp(-u)), 3 - 2 * sigmoid(u), "σ"),
        (u * (1 - 1 / (1 + exp(-u))) / (1 + exp(-u)), u * sigmoid(-u) * sigmoid(u), "σ complement"),
        (log(1 + exp(u)), softplus(u), "softplus"),
        (log(1 / (1 + exp(-u))), -softplus(-u), "σ softplus"),
        (log(cosh(u)), logcosh(u), "softplus"),
        (exp(u) - 1, expm1(u), "expm1"),
        (2 * exp(u) - 2, 2 * expm1(u), "expm1"),
        (1 - exp(u), -expm1(u), "expm1"),
        (exp(u) - 2, exp(u) - 2, ""),
        (log(1 + u**2), log1p(u**2), "log1p"),
        (log(2 + u**2), log(2 + u**2), ""),
        (log(1 + u**2 + v**2), log1p(u**2 + v**2), "log1p"),
        (1 + erf(u), erfc(-u), "erfc"),
        (1 - erf(u), 1 - erf(u), ""),
        (2 + 2 * erf(u) + v, 2 * erfc(-u) + v, "erfc"),
        (v * sinh(u) / cosh(u), v * tanh(u), "tanh"),
        (sinh(u) / cosh(v), sinh(u) / cosh(v), ""),
        (exp(u) * exp(v), exp(u) * exp(v), ""),
    ],
)
def test_the_form_that_is_computed(expression: Expr, form: Expr, names: str) -> None:
    assert stable(expression) == (form, tuple(NAMES[name] for name in names.split()))
    assert agree(expression, form)


def test_sums_of_exponentials_are_shifted_by_their_greatest() -> None:
    greatest = Max(z[j], (j, K))
    rest = Sum(exp(z[j] - greatest.renamed()), (j, K))
    both, of_log = (NAMES["shift"], NAMES["merge"]), (NAMES["quotient"], NAMES["shift"])
    for expression, form, names in (
        (total, exp(greatest) * rest, both[:1]),
        (Sum(b[j] * exp(z[j]), (j, K)), exp(greatest) * Sum(b[j] * rest.body, (j, K)), both[:1]),
        (exp(z[k]) / total, exp(z[k] - greatest) / rest, both),
        (log(exp(z[k]) / total), z[k] - greatest - log(rest), of_log),
        (log(exp(2 * z[k]) / total**2), 2 * z[k] - 2 * greatest - 2 * log(rest), of_log),
        (log(b[k] * exp(z[k]) / total), log(b[k] * exp(z[k] - greatest) / rest), both),  # b may be below 0
    ):
        found, used = stable(expression)
        assert (same_up_to_names(found), used) == (same_up_to_names(form), names)


@pytest.mark.parametrize(
    ("expression", "form"),
    [
        (exp(u) - exp(-u), 2 * sinh(u)),
        (exp(u) + exp(-u), 2 * cosh(u)),
        (3 * exp(u) - 3 * exp(-u) + v, 6 * sinh(u) + v),
        (exp(2 * u) + exp(-2 * u) + exp(u), 2 * cosh(2 * u) + exp(u)),
        (exp(u) + exp(-v), exp(u) + exp(-v)),
        (2 * exp(u) - exp(-u), 2 * exp(u) - exp(-u)),
    ],
)
def test_opposite_exponentials(expression: Expr, form: Expr) -> None:
    assert rewrite(expression, (HYPERBOLIC,)) == (form, (HYPERBOLIC.name,) if form != expression else ())
    assert agree(expression, form)


a = Abs(u)


@pytest.mark.parametrize(
    ("expression", "form"),
    [
        (1 / (1 + exp(-u)), exp(u / 2 - a / 2) / (1 + exp(-a))),
        (exp(u) / (1 + exp(u)), exp(u / 2 - a / 2) / (1 + exp(-a))),
        (exp(u / 2) / (1 + exp(u)), exp(-a / 2) / (1 + exp(-a))),
        (u * exp(u) / (1 + exp(u)) ** 2, u * exp(-a) / (1 + exp(-a)) ** 2),
        (1 / (exp(2 * u) + exp(u) + 1), exp(-u - a) / (1 + exp(-a) + exp(-2 * a))),
        (1 / (2 + exp(u)), exp(-u / 2 - a / 2) / (2 * exp(-u / 2 - a / 2) + exp(u / 2 - a / 2))),
        (1 / (exp(u) + exp(v)), exp(-u / 2 - v / 2 - Abs(u - v) / 2) / (1 + exp(-Abs(u - v)))),
        (
            1 / (exp(u) - exp(v)),
            -exp(-u / 2 - v / 2 - Abs(u - v) / 2) * sign(u - v) / expm1(-Abs(u - v)),
        ),
        (tanh(u), -expm1(-2 * a) * sign(u) / (1 + exp(-2 * a))),
        (cosh(u), (Rational(1, 2) + exp(-2 * a) / 2) * exp(a)),
        (cosh(u) ** -2, 4 * exp(-2 * a) / (1 + exp(-2 * a)) ** 2),
        (sqrt(exp(u) + exp(-u)), sqrt(1 + exp(-2 * a)) * exp(a / 2)),
        (exp(u) - 1, -exp(u / 2 + a / 2) * expm1(-a) * sign(u)),
        ((exp(3 * u) + exp(u)) / (exp(2 * u) + 1), exp(u)),
        (exp(exp(u)), exp(exp(u))),
        (u**2 + 1, u**2 + 1),
        (
            exp(u) / (exp(u) + exp(v) + exp(2 * v) + exp(3 * u) + 1),
            exp(u) / (exp(u) + exp(v) + exp(2 * v) + exp(3 * u) + 1),  # five directions are too many
        ),
    ],
)
def test_a_quotient_scaled_by_the_largest_exponential(expression: Expr, form: Expr) -> None:
    found = scaled(expression)
    assert found == form and agree(expression, form)


def test_terms_are_scaled_each_by_itself() -> None:
    down = 1 + exp(-2 * a)
    found = scaled_terms((exp(u) - exp(-u)) / (exp(u) + exp(-u)))
    assert found == exp(u - a) / down - exp(-u - a) / down
    choice = sympy.Piecewise((1 / (1 + exp(-u)), u > 0), (exp(u), True))
    form = exp(u / 2 - a / 2) / (1 + exp(-a))
    assert scaled_terms(choice) == sympy.Piecewise((form, u > 0), (exp(u), True))


@pytest.mark.parametrize(
    ("argument", "form"),
    [
        (exp(u) + 1, softplus(u)),
        (exp(u) + exp(v), maximum(u, v) + softplus(-Abs(u - v))),
        (exp(u) + exp(-u), -u + softplus(2 * u)),
        (2 * exp(u) + 3, softplus(u - log(3) + log(2)) + log(3)),
        (exp(u) * exp(v), u + v),
        (exp(u) + exp(v) + 1, softplus(maximum(u, v) + softplus(-Abs(u - v)))),
        ((1 + exp(u)) * exp(-u), softplus(-u)),
        ((1 + exp(u)) ** 2 * exp(-2 * u), 2 * softplus(-u)),
        (1 / (1 + exp(u)), -softplus(u)),
    ],
)
def test_the_logarithm_of_a_sum_of_exponentials(argument: Expr, form: Expr) -> None:
    assert logarithm(argument) == form and agree(log(argument), form)


def test_logarithms_that_stay() -> None:
    for argument in (u**2 + 1, Sum(exp(z[j]), (j, K)), 1 + sum(map(exp, sympy.symbols("a:g", real=True)))):
        assert logarithm(argument) == log(argument)  # more than six exponentials are too involved
    six = 1 + sum(map(exp, sympy.symbols("a:f", real=True)))
    assert not logarithm(six).has(log)
    for single in (log(2 + exp(u)), log(u * exp(v) + 1), log(2 + u)):
        assert rewrite(single, (LOG_SUM,)) == (single, ())
    assert rewrite(log(exp(u) + exp(v)), (LOG_SUM,))[1] == (LOG_SUM.name,)


@pytest.mark.parametrize(
    ("expression", "form"),
    [
        (log(1 + exp(u)) - u, softplus(-u)),
        (2 * log(1 + exp(u)) - 2 * u, 2 * softplus(-u)),
        (log(1 + exp(u)) - log(1 + exp(-u)), u),
        (log(exp(u) / (1 + exp(u))), -softplus(-u)),
        (softplus(u) - u, softplus(-u)),
    ],
)
def test_logarithms_gathered_into_one(expression: Expr, form: Expr) -> None:
    assert sympy.expand(gathered(expression) - form) == 0 and agree(expression, form)


def test_logarithms_near_one() -> None:
    assert near_one(log(1 + exp(u)) - u) == log1p(exp(u)) - u
    quotient = log(exp(u) / (1 + exp(u)))
    assert near_one(quotient) == log1p(-exp(-u / 2 - a / 2) / (1 + exp(-a))) and agree(
        quotient, near_one(quotient)
    )


@pytest.mark.parametrize(
    ("expression", "form"),
    [
        (z[k] * y[k] + z[k], z[k] * (y[k] + 1)),
        (z[k] ** 2 + 2 * z[k] * y[k] + y[k] ** 2, (z[k] + y[k]) ** 2),
        ((z[k] ** 2 - 1) / (z[k] - 1), z[k] + 1),
        (z[k] * (y[k] + 1) - z[k] * y[k], z[k]),
        (Sum(2 * z[j] * b[k], (j, K)), 2 * b[k] * Sum(z[j], (j, K))),
        (Sum(z[j] * y[j] + z[j] * b[j], (j, K)), Sum(z[j] * (y[j] + b[j]), (j, K))),
        (Sum(b[k], (j, K)), Sum(b[k], (j, K))),
        (Sum(z[j], (j, K)) - Sum(z[j] * 1, (j, K)), sympy.S.Zero),
        (z[k] ** Rational(1234, 1000), z[k] ** Rational(1234, 1000)),
        (exp(u) * (exp(u) + 1) / exp(u), exp(u) + 1),
        (
            sympy.Piecewise((z[k] * y[k] + z[k], z[k] > 0), (0, True)),
            sympy.Piecewise((z[k] * (y[k] + 1), z[k] > 0), (0, True)),
        ),
    ],
)
def test_the_tidiest_form(expression: Expr, form: Expr) -> None:
    assert tidy(expression) == form


def test_how_long_an_expression_is_to_read() -> None:
    assert [length(e) for e in (u, u + v, u * v, u / v, 1 / u, u**2)] == [0, 1, 1, 3, 3, 1]
