"""Formulas of one's own: what they mean at every argument, steps and choices too."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
import sympy
from cases.own_formulas import CASES, HALVES, alone, network, x
from kernel_runs import Device, disagreements, programs
from random_specs import build

from chainrule.derive.deriving import derive_network
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.formula import FormulaError, parse_formula
from chainrule.present import records
from chainrule.runtime.gradcheck import check_gradients
from chainrule.spec import load_spec, parse_spec

# ---- M14: floor, ceil, round; steps at the front -------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        ("x - floor(x)", HALVES - np.floor(HALVES)),
        ("ceil(x) + 0 * x", np.ceil(HALVES)),
        ("round(x) + 0.5 * x", np.array([-2, -2, -1, 0, 0, 0, 0, 2, 2, 4]) + HALVES / 2),  # half to even
        ("round(x + 0.5) * x", np.rint(HALVES + 0.5) * HALVES),
        ("floor(-x) + x", np.floor(-HALVES) + HALVES),
        ("sign(x) * x + x", np.abs(HALVES) + HALVES),
    ],
)
def test_m14_what_is_rounded_is_the_same_number_in_every_target(formula, wanted):
    text = alone(formula)
    module = build(text).program.module
    assert np.array_equal(module.predict(module.init_parameters(0, np.float64), HALVES[None])[0], wanted)
    both = programs(text)
    assert disagreements(both, Device(both, both.compiled(), 3, np.float64), 3, 2, 1e-10) == {}


@pytest.mark.parametrize(
    "formula",
    [
        "x - floor(x)",
        "x * round(3 * x)",
        "ceil(x) * sin(x) + 0.1 * x",
        "x + where(x > 0.1, 1, 0)",
        "x + sign(x - 0.2)",
    ],
)
def test_m14_jumps_are_kinks_of_the_gradient_check(formula):
    one = build(network(formula))
    report = check_gradients(one.program)
    assert report.passed, report.to_text()
    module = one.program.module
    parameters, x, t = module.init_parameters(0, np.float64), np.full((1, 3), 0.3), np.zeros((1, 2))
    here, there = (module.branches(parameters, scale * x, t) for scale in (1, -100))
    assert not np.array_equal(here, there), "the jumps are told"


def test_m14_brackets_on_the_page():
    found = records(derive_network(parse_spec(network("floor(x) + ceil(x) * round(x) * x"), "s.toml")))
    forward = next(r for r in found if "⌊" in r["text"])
    assert all(brackets in forward["text"] for brackets in ("⌊z1[n,k]⌋", "⌈z1[n,k]⌉", "⌊z1[n,k]⌉"))
    assert re.search(r"\\lfloor z\S* \\rceil", forward["latex"])


@pytest.mark.parametrize(
    ("formula", "said"),
    [("x - floor(x)", True), ("sigmoid(ceil(x) + x)", True), ("abs(x) * x", False), ("sigmoid(x)", False)],
)
def test_m14_the_reason_says_that_a_step_has_derivative_0(formula, said):
    back = derive_network(parse_spec(network(formula), "s.toml")).role("backward")
    assert any("a step has derivative 0 wherever it has one" in e.rule for e in back) is said


@pytest.mark.parametrize("case", ["floor", "step_on_input"])
def test_m14_cases_train(case):
    one = build((CASES / f"{case}.toml").read_text(encoding="utf-8"))
    module = one.program.module
    parameters = module.init_parameters(0, np.float64)
    x, t = np.random.default_rng(0).normal(size=(8, 3)), np.ones((8, 2))
    state = module.init_optimizer(parameters)
    losses = [module.train_step(parameters, x, t, state) for _ in range(20)]
    assert losses[-1] < losses[0]
    assert module.input_gradient(parameters, x, t).shape == x.shape


def test_m14_the_input_behind_a_step_has_a_gradient_of_zeros():
    module = build((CASES / "step_on_input.toml").read_text(encoding="utf-8")).program.module
    found = module.input_gradient(module.init_parameters(0), np.ones((2, 3), np.float32), np.ones((2, 2)))
    assert not found.any()


@pytest.mark.parametrize("formula", ["round(x)", "floor(x) + ceil(x)", "where(x > 0, 1, 0)", "sign(x)"])
def test_m14_a_step_behind_parameters_is_refused_in_words(formula):
    spec = parse_spec(network(formula), "s.toml")
    with pytest.raises(CannotDifferentiate) as caught:
        derive_network(spec)
    assert "is 0 everywhere" in str(caught.value) and "nothing before it is trained" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("ceiling", "rint", "Piecewise", "sympy"))
    derive_network(parse_spec(network("tanh(x)", '[[layers]]\ntype = "step"'), "s.toml"))


def test_m14_spec_files_of_the_cases_load():
    assert load_spec(CASES / "floor.toml").activations["saw"].text == "x - floor(x)"


# ---- M12: choices inside conditions ---------------------------------------------------------------------


GRID = [sympy.Rational(n, 2) for n in range(-7, 8)]


class Choosing:
    """A random formula of choices: its text, and its value, which knows nothing of SymPy's Piecewise."""

    def __init__(self, source, depth):
        kind = source.choice(["where", "max", "min", "sum", "leaf"]) if depth else "leaf"
        self.kind = kind
        if kind == "leaf":
            self.text = source.choice(["x", "y", "-x", "2 * x", "x - y", "1", "0", "-2", "0.5"])
            return
        self.parts = [Choosing(source, depth - 1) for _ in range(4 if kind == "where" else 2)]
        self.relation = source.choice(["<", "<=", ">", ">="])
        inner = [part.text for part in self.parts]
        if kind == "where":
            self.text = f"where({inner[0]} {self.relation} {inner[1]}, {inner[2]}, {inner[3]})"
        else:
            self.text = f"({inner[0]} + {inner[1]})" if kind == "sum" else f"{kind}({inner[0]}, {inner[1]})"

    def at(self, x, y):
        if self.kind == "leaf":
            texts = {"-x": -x, "2 * x": 2 * x, "x - y": x - y, "x": x, "y": y, "0.5": sympy.Rational(1, 2)}
            return texts[self.text] if self.text in texts else sympy.Integer(self.text)
        a, b, *rest = (part.at(x, y) for part in self.parts)
        if self.kind == "where":
            holds = {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[self.relation]
            return rest[0] if holds else rest[1]
        return {"max": max, "min": min, "sum": lambda p, q: p + q}[self.kind](a, b)


@pytest.mark.parametrize("seed", range(40))
def test_m12_cases_are_the_same_function(seed):
    source = random.Random(seed)
    formula = Choosing(source, 3 if seed % 2 else 2)
    names = dict(zip("xy", sympy.symbols("x y", real=True), strict=True))
    try:
        found = parse_formula(formula.text, names)
    except FormulaError as error:
        assert "too many choices" in error.message or "nodes" in error.message
        return
    for _ in range(60):
        point = source.choice(GRID), source.choice(GRID)
        assert found.subs(dict(zip(names.values(), point, strict=True))) == formula.at(*point), formula.text


@pytest.mark.parametrize(
    ("formula", "cases"),
    [
        ("where(where(x > 0, x, 1) > where(x < 1, 2, x), x, -x)", 1),
        ("where(where(x > 0, 1, 2) > 1, x, 0)", 2),
        ("where(x > 0, where(x > -1, x, 5), 2)", 2),
        ("where(x > 1, 1, where(x > -1, x, -1))", 3),
        ("min(max(x, 0), 6)", 3),
        ("where(where(x > 0, x, -x) > 1, 1, where(where(x > 2, x, 0) > 1, 7, x))", 2),
        ("max(max(max(x, -x), 1), -2)", 3),
        ("where(max(x, 0) > min(x, 1), 1, 0) * x", 2),
    ],
)
def test_m12_dead_cases_are_dropped_and_conditions_joined(formula, cases):
    found = parse_formula(formula, {"x": x})
    pieces = [len(node.args) for node in found.atoms(sympy.Piecewise)]
    assert max(pieces, default=1) == cases, found
    assert not any(v.has(sympy.Piecewise) for node in found.atoms(sympy.Piecewise) for v, _ in node.args)


def test_m12_joined_conditions_reach_page_and_program():
    formula = "where(where(x > 0, x, -2 * x) > 1, x * x, 0.5 * x)"
    one = build(alone(formula, len(HALVES)))
    found = one.program.module.predict(one.program.module.init_parameters(0, np.float64), HALVES[None])[0]
    steep = np.where(HALVES > 0, HALVES, -2 * HALVES) > 1
    assert np.array_equal(found, np.where(steep, HALVES**2, HALVES / 2))
    assert check_gradients(one.program).passed
    texts = [e.text() for e in derive_network(one.spec).equations]
    assert any("∨" in text or "∧" in text or "≤" in text for text in texts), texts
    both = programs(alone(formula, 3))
    assert disagreements(both, Device(both, both.compiled(), 3, np.float64), 3, 2, 1e-10) == {}
