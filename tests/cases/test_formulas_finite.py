"""Formulas of one's own: what they cost, and that they are finite wherever their value is."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy
from cases.own_formulas import CASES, alone, network, x
from random_specs import build

from bench.fuzz import formulas
from bench.fuzz.harness import Limits, run
from chainrule.checked import table
from chainrule.checking import totals
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Sum
from chainrule.formula import parse_formula
from chainrule.formula.probing import flaws
from chainrule.present import records
from chainrule.spec import SpecError, load_spec, parse_spec

# ---- M13: constants are worked out within bounds -------------------------------------------------------


HANGING = (
    "max(tan(sinh(min(beta, 1e9))), x)",
    "x + tan(sinh(where(x > 0, 1e9, 2)))",
    "min(cos(exp(exp(beta + 3))), x)",
    "abs(sin(beta)**2 + cos(beta)**2 - 1) * x",
    "where(sqrt(2) * sqrt(3) - sqrt(6) >= 0, x, -x)",
    "floor(exp(beta) - exp(1.5)) + x",
    "max(1e60 * 1e60, x)",
    "x * 0**(-1)",
    "log(beta - 1.5) * x",
    "sqrt(-beta) + x",
    "erf(1e60) * x + erf(beta * 1e30)",
    "sigmoid(beta * x)**1.23456789 / (1 + x**2)**0.333333333",
    "x * cosh(cosh(cosh(beta)))",
    "beta**2 - sqrt(sinh(64)) * x",
    "where(x > sqrt(sinh(64)), x, sqrt(sinh(64)))",
    "(1 + x)**(1 / 3) * (1 + x)**(1 / 7) * (1 + exp(x))**(1 / 11) / (2 + x)**(1 / 13)",
)


@pytest.mark.parametrize("formula", HANGING)
def test_m13_constants_are_bounded(formula):
    (outcome,) = run(lambda _: network(formula) + "beta = 1.5\n", formulas.check, [0], limits=Limits(4.0))
    assert not outcome.fault, outcome


def test_m13_the_case_is_answered():
    derive_network(load_spec(CASES / "formula_hang.toml"))


def test_m13_constants_of_a_layer_are_looked_at_where_they_stand():
    text = network("x * sqrt(beta)") + "beta = 1.5\n"
    layer = '[[layers]]\ntype = "own"\nbeta = -2.0\n[[layers]]\ntype = "dense"\nunits = 4\n'
    with pytest.raises(SpecError) as caught:
        parse_spec(text.replace("[[layers]]", layer + "[[layers]]", 1), "s.toml")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("E301", 8) and "square root" in problem.message


@pytest.mark.parametrize("value", ["1e-30", "0.123456789", "7e5"])
def test_m13_a_constant_may_have_many_digits(value):
    derive_network(parse_spec(network("x * sigmoid(beta * x)") + f"beta = {value}\n", "s.toml"))


# ---- M11: finite wherever the value is -----------------------------------------------------------------


STEEP = (
    "(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
    "1 / cosh(x)",
    "x * tanh(exp(x))",
    "1 - exp(-exp(x))",
    "log(1 + exp(x) + exp(2 * x))",
    "log(2 * exp(-x) + exp(3 * x) + 5)",
    "(exp(2 * x) - 1) / (exp(2 * x) + 1)",
    "exp(x) / sqrt(1 + exp(2 * x))",
    "log((1 + exp(x)) / (2 + exp(x)))",
    "x * exp(x) / (1 + exp(x))**2",
    "sinh(x) / (1 + cosh(x))",
    "erf(exp(x)) * x",
    "exp(exp(x)) / (1 + exp(exp(x)))",
    "where(x > 0, log(1 + exp(x)), exp(x) / (1 + exp(x)))",
    "max(x, log(exp(x) + exp(-x)))",
    "sqrt(1 + x**2) - x",
    "(x + sqrt(x**2 + 4)) / 2",
    "sqrt(1 + x**2) - 1",
    "1 + x / sqrt(1 + x**2)",
    "where(x > 0, x, 2 * x) + sqrt(4 + x**2)",
    "sqrt(1 + where(x > 1, x, x**2)**2) + x",
)


@pytest.mark.parametrize("formula", STEEP)
def test_m11_forms_are_finite_and_exact(formula):
    """Forward and derivative, in both types, at arguments to 1e4, beside the true value of the formula."""
    derivation = derive_network(parse_spec(alone(formula, 2), "s.toml"))
    true = parse_formula(formula, {"x": x})
    forward, backward = (next(e for e in derivation.equations if e.name == name) for name in ("a0_2", "dx"))
    for equation, wanted in ((forward, true), (backward, sympy.diff(true, x))):
        right = equation.computed.right
        form = right.xreplace({node: sympy.S.One for node in right.atoms(Sum)})
        (read,) = form.atoms(sympy.Indexed)
        found = flaws(form.xreplace({read: x}), wanted, (x,))
        assert found.broken == 0, (form, found)
        rooted = sympy.Rational(1, 2) in {abs(power.exp) for power in form.atoms(sympy.Pow)}
        smooth = found.error < 1e-12 or not (
            rooted or form.has(sympy.exp)
        )  # 1 − a², as the textbooks have it, is let be
        assert smooth, (form, found)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("formula", [STEEP[0], STEEP[2], STEEP[4], STEEP[-3]])
def test_m11_programs_are_finite_and_exact(formula):
    at = np.array([-1e4, -720.0, -100.0, -3.0, 1e-3, 2.0, 90.0, 350.0, 720.0, 1e4])
    module = build(alone(formula, len(at))).program.module
    true = parse_formula(formula, {"x": x})
    with mpmath.workdps(60):
        value, slope = (
            np.array([float(sympy.lambdify(x, e, "mpmath")(mpmath.mpf(v))) for v in at]) if e.has(x) else None
            for e in (true, sympy.diff(true, x))
        )
    for dtype, tolerance in ((np.float64, 1e-13), (np.float32, 1e-5)):
        parameters, inputs = module.init_parameters(0, dtype), at[None].astype(dtype)
        found = module.predict(parameters, inputs)[0]
        np.testing.assert_allclose(found, value, tolerance, 1e-30)
        size = np.maximum(1, np.abs(found))
        gradient = module.input_gradient(parameters, inputs, (found - size)[None])[0] / size
        np.testing.assert_allclose(gradient, slope, 10 * tolerance, 1e-30)


def test_m11_the_page_keeps_the_users_equation_and_names_the_rewrite():
    derivation = derive_network(parse_spec(network("(exp(x) - exp(-x)) / (exp(x) + exp(-x))"), "s.toml"))
    forward = next(e for e in derivation.equations if e.name == "a1")
    assert "exp(z1[n,k]) − exp(−z1[n,k])" in forward.text()
    assert forward.computed.right.has(sympy.tanh) and "cosh" in str(forward.rule)


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        ("(tanh(x) + 1) / 2", "binary_cross_entropy"),
        ("exp(x) / (1 + exp(x))", "binary_cross_entropy"),
        ("x", "log(exp(y - t) + exp(t - y))"),
        ("x", "log(1 + exp(y)) - t * y"),
        ("x", "exp(y - t) / (1 + exp(y - t))**2"),
    ],
)
def test_m11_losses_are_finite(last, loss):
    own = "" if loss == "binary_cross_entropy" else f'[losses.steep]\nformula = "{loss}"\n'
    text = (
        network(last)
        .replace('activation = "own"\n', "")
        .replace("units = 2", 'units = 2\nactivation = "own"')
    )
    text = text.replace('type = "mse"', f'type = "{"steep" if own else loss}"') + own
    module = build(text).program.module
    for dtype in (np.float64, np.float32):
        parameters = module.init_parameters(0, dtype)
        for size in (1, 100, 3000):
            inputs = size * np.array([[1, -2, 3], [-1, 2, 0.5]], dtype)
            targets = np.array([[1, 0], [0, 1]], dtype)
            loss_, gradients = module.loss_and_gradients(parameters, inputs, targets)
            assert np.isfinite(loss_) and all(np.isfinite(g).all() for g in gradients.values())


def test_m11_what_no_rewrite_mends_is_told_when_the_spec_is_checked():
    steep = totals(parse_spec(network("x**40 / (1 + x**40)"), "s.toml"))["overflows"]
    assert any("(3)" in line and "float32" in line and "and more" in line for line in steep), steep
    assert totals(parse_spec(network("(exp(x) - exp(-x)) / (exp(x) + exp(-x))"), "s.toml"))["overflows"] == []
    assert "although its value is" in table(
        totals(parse_spec(network("x * exp(x**2) * (1 - erf(x))"), "s.toml"))
    )


@pytest.mark.parametrize("power", ["x**(beta - x)", "sqrt(x)**(beta - x)", "x**(x - beta)", "beta**(1 - x)"])
def test_m11_a_power_whose_exponent_has_either_sign_is_shown_in_every_form(power):
    derivation = derive_network(parse_spec(network(f"max(floor(x), {power})") + "beta = 1.5\n", "s.toml"))
    shown = records(derivation)
    assert all(record["latex"] and record["text"] for record in shown) and any(
        "max" in r["text"] for r in shown
    )
