"""Formulas of one's own: what they mean at every argument, what they cost, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from kernel_runs import Device, disagreements, programs
from random_specs import build

from derive.deriving import derive_network
from derive.differentiate import CannotDifferentiate
from derive.present import records
from derive.spec import load_spec, parse_spec
from runtime.gradcheck import check_gradients

CASES = Path(__file__).parent
NETWORK = """spec_version = 1
name = "own"
[input]
shape = [3]
{front}
[[layers]]
type = "dense"
units = 4
activation = "own"
[[layers]]
type = "dense"
units = 2
[loss]
type = "mse"
[activations.own]
formula = "{formula}"
"""
HALVES = np.array([-2.5, -1.5, -1.2, -0.5, 0.0, 0.4, 0.5, 1.5, 2.5, 3.7])


def network(formula: str, front: str = "") -> str:
    """Two dense layers with a formula between them."""
    return NETWORK.format(formula=formula, front=front)


def alone(formula: str, width: int = len(HALVES)) -> str:
    """The formula acts on the input, and a dense layer that starts as the identity hands on what it gives."""
    eye = str(np.eye(width, dtype=int).tolist())
    return f"""spec_version = 1
name = "alone"
[input]
shape = [{width}]
[[layers]]
type = "own"
[[layers]]
type = "dense"
units = {width}
weights = {eye}
[loss]
type = "mse"
[activations.own]
formula = "{formula}"
"""


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
    assert r"\lfloor z^{1}_{nk} \rceil" in forward["latex"]


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
