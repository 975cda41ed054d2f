"""The gradient check: right programs pass, planted errors fail, in tiny gradients too (faults 32, 33)."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chainrule.runtime.differences import WIDE, estimates, loss_noise
from chainrule.runtime.gradcheck import check_gradients
from chainrule.runtime.program import LoadedProgram, load_program

PROGRAMS = Path(__file__).parent / "programs"
Gradients = dict[str, np.ndarray]
wide = pytest.mark.skipif(not WIDE, reason="long double is no wider than double here")


def program(name: str) -> LoadedProgram:
    return load_program(PROGRAMS / name)


def changed(original: LoadedProgram, **members: Any) -> LoadedProgram:
    """The program with some members of its module replaced."""
    return dataclasses.replace(original, module=SimpleNamespace(**{**vars(original.module), **members}))


def planted(original: LoadedProgram, wrong: Callable[[Gradients], Gradients]) -> LoadedProgram:
    """The program with its gradients spoilt."""

    def loss_and_gradients(p: Any, x: Any, t: Any, seed: int | None = None) -> tuple[Any, Gradients]:
        value, gradients = original.module.loss_and_gradients(p, x, t, seed=seed)
        return value, gradients | wrong(gradients)

    return changed(original, loss_and_gradients=loss_and_gradients)


def deep(
    widths: list[int], function: Callable[[Any], Any], derivative: Callable[[Any], Any], scale: float = 1.0
) -> LoadedProgram:
    """A multilayer network with a linear end and half squared error, built for a test."""
    last = len(widths) - 1
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(1, last + 1):
        shapes[f"W{layer}"] = (widths[layer], widths[layer - 1])
        shapes[f"b{layer}"] = (widths[layer],)

    def init_parameters(seed: int, dtype: Any) -> Gradients:
        rng = np.random.default_rng(seed)
        return {k: (scale * rng.normal(0, 1 / math.sqrt(s[-1]), s)).astype(dtype) for k, s in shapes.items()}

    def forward(p: Gradients, x: Any) -> tuple[list[Any], list[Any]]:
        z, a = [None], [x]
        for layer in range(1, last + 1):
            z.append(a[-1] @ p[f"W{layer}"].T + p[f"b{layer}"])
            a.append(function(z[-1]) if layer < last else z[-1])
        return z, a

    def loss(p: Gradients, x: Any, t: Any) -> Any:
        return ((forward(p, x)[1][-1] - t) ** 2).sum() / (2 * len(t))

    def backward(p: Gradients, x: Any, t: Any) -> tuple[Gradients, Any]:
        z, a = forward(p, x)
        delta, found = (a[-1] - t) / len(t), {}
        for layer in range(last, 0, -1):
            found[f"W{layer}"], found[f"b{layer}"] = delta.T @ a[layer - 1], delta.sum(0)
            delta = delta @ p[f"W{layer}"] * (derivative(z[layer - 1]) if layer > 1 else 1)
        return found, delta

    def train_step(p: Gradients, x: Any, t: Any, state: Any, seed: int | None = None) -> float:
        for name, gradient in backward(p, x, t)[0].items():
            p[name] -= 0.01 * gradient
        return float(loss(p, x, t))

    module = SimpleNamespace(
        PARAMETERS=shapes,
        STATISTICS={},
        init_parameters=init_parameters,
        loss=loss,
        loss_and_gradients=lambda p, x, t, seed=None: (loss(p, x, t), backward(p, x, t)[0]),
        input_gradient=lambda p, x, t, seed=None: backward(p, x, t)[1],
        init_optimizer=lambda p: {},
        train_step=train_step,
        branches=lambda p, x, t: np.zeros(0, bool),
    )
    manifest = {
        "name": "deep",
        "input": {"shape": widths[:1]},
        "output": {"shape": widths[-1:]},
        "target": {"kind": "values"},
        "classification": False,
        "loss": {"type": "mse"},
    }
    return LoadedProgram(Path("deep"), manifest, module)


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def sigmoid_slope(z: Any) -> Any:
    return sigmoid(z) * (1 - sigmoid(z))


def vanishing() -> LoadedProgram:
    return deep([6, 5, 5, 5, 5, 5, 5, 3], sigmoid, sigmoid_slope)


@pytest.mark.parametrize("name", ["digits_mlp", "xor", "relu_mlp"])
def test_right_programs_pass(name: str) -> None:
    report = check_gradients(program(name))
    assert report.passed, report.to_text()
    stages = {row.stage for row in report.rows}
    assert stages == {"initial", "after 5 steps"}
    assert {row.tensor for row in report.rows} == {*program(name).module.PARAMETERS, "x"}
    assert all(row.nonzero >= row.sampled / 2 for row in report.rows)


def test_same_call_twice_is_the_same_report() -> None:
    assert check_gradients(program("relu_mlp")) == check_gradients(program("relu_mlp"))


WRONG: dict[str, Callable[[Gradients], Gradients]] = {
    "sign of a weight": lambda g: {"W1": -g["W1"]},
    "sign of a bias": lambda g: {"b1": -g["b1"]},
    "factor 1.001": lambda g: {"W2": g["W2"] * 1.001},
    "factor 1 + 1e-6": lambda g: {"W1": g["W1"] * (1 + 1e-6)},
    "missing 1/N": lambda g: {name: 4 * value for name, value in g.items()},
    "bias left out": lambda g: {"b2": 0 * g["b2"]},
    "mean instead of sum in a bias": lambda g: {"b2": g["b2"] / 4},
    "one row wrong": lambda g: {"W2": np.concatenate([g["W2"][:1] * 2, g["W2"][1:]])},
    "weight decay twice": lambda g: {"W1": g["W1"] + 1e-4},
    "rolled": lambda g: {"W1": np.roll(g["W1"], 1, axis=0)},
}


@pytest.mark.parametrize("error", WRONG)
@pytest.mark.parametrize("name", ["digits_mlp", "relu_mlp"])
def test_planted_error_fails(name: str, error: str) -> None:
    report = check_gradients(planted(program(name), WRONG[error]))
    assert not report.passed
    assert "fail" in {row.verdict for row in report.rows}, report.to_text()


def test_transposed_gradient_fails() -> None:
    report = check_gradients(planted(program("relu_mlp"), lambda g: {"W2": g["W2"].T}))
    assert {row.tensor for row in report.rows if row.verdict == "fail"} == {"W2"}


def test_wrong_input_gradient_fails() -> None:
    original = program("xor")
    wrong = changed(
        original, input_gradient=lambda p, x, t, seed=None: -original.module.input_gradient(p, x, t)
    )
    report = check_gradients(wrong)
    assert {row.tensor for row in report.rows if row.verdict == "fail"} == {"x"}


@wide
def test_vanishing_gradients_pass() -> None:
    original = vanishing()
    p = original.module.init_parameters(0, np.float64)
    x = np.random.default_rng(0).standard_normal((4, 6))
    gradients = original.module.loss_and_gradients(p, x, np.ones((4, 3)))[1]
    assert np.abs(gradients["W1"]).max() < 1e-4  # float64 differences at h = 1e-5 resolve 1e-7 of it no more
    report = check_gradients(original)
    assert report.passed, report.to_text()


@wide
@pytest.mark.parametrize("factor", [-1, 1.001, 1 + 3e-6, 4, 0])
@pytest.mark.parametrize("tensor", ["W1", "b1", "W2"])
def test_planted_error_in_a_tiny_gradient_fails(factor: float, tensor: str) -> None:
    report = check_gradients(planted(vanishing(), lambda g: {tensor: g[tensor] * factor}))
    assert {row.tensor for row in report.rows if row.verdict != "pass"} == {tensor}
    assert "fail" in {row.verdict for row in report.rows if row.tensor == tensor}


def test_function_known_to_double_precision_only_passes() -> None:
    erf = np.vectorize(math.erf, otypes=[np.float64])

    def gelu(z: Any) -> Any:
        return z * (1 + erf(z / math.sqrt(2))) / 2

    def slope(z: Any) -> Any:
        return (1 + erf(z / math.sqrt(2))) / 2 + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    good = deep([5, 4, 4, 3], gelu, slope)
    report = check_gradients(good)
    assert report.passed, report.to_text()
    assert not check_gradients(planted(good, lambda g: {"W1": g["W1"] * 1.001})).passed


def test_loss_that_returns_a_double_passes() -> None:
    original = program("digits_mlp")
    rounded = changed(original, loss=lambda p, x, t: float(original.module.loss(p, x, t)))
    report = check_gradients(rounded)
    assert report.passed, report.to_text()


def test_gradient_that_is_all_zero_is_not_exercised() -> None:
    original = program("xor")

    def flat(p: Any, x: Any, t: Any) -> Any:
        return original.module.loss({**p, "W1": 0 * p["W1"]}, x, t)

    def gradients(p: Any, x: Any, t: Any, seed: int | None = None) -> tuple[Any, Gradients]:
        value, found = original.module.loss_and_gradients({**p, "W1": 0 * p["W1"]}, x, t)
        return value, found | {"W1": 0 * found["W1"]}

    blind = changed(original, loss=flat, loss_and_gradients=gradients)
    rows = {row.tensor: row for row in check_gradients(blind, steps=0).rows}
    assert rows["W1"].verdict == "not exercised" and rows["W1"].nonzero == 0 and rows["W1"].zero == 6
    assert rows["W2"].verdict == "pass"


def test_gradient_below_noise_is_excused_but_not_certified() -> None:
    original = program("xor")

    def faint(p: Any, x: Any, t: Any) -> Any:
        return 1 + 1e-18 * original.module.loss(p, x, t)

    def gradients(p: Any, x: Any, t: Any, seed: int | None = None) -> tuple[Any, Gradients]:
        value, found = original.module.loss_and_gradients(p, x, t)
        return 1 + 1e-18 * value, {name: -1e-18 * gradient for name, gradient in found.items()}

    blind = changed(original, loss=faint, loss_and_gradients=gradients)
    report = check_gradients(blind, steps=0)
    assert not report.passed
    assert all(row.nonzero == 0 for row in report.rows if row.tensor != "x")


def test_narrow_relu_networks_are_exercised_at_every_seed() -> None:
    for seed in range(12):
        report = check_gradients(program("relu_mlp"), seed=seed)
        assert report.passed, report.to_text()


def test_dead_start_is_drawn_again_and_told() -> None:
    original = program("relu_mlp")

    def dead_first(seed: int, dtype: Any) -> Gradients:
        parameters = original.module.init_parameters(seed, dtype)
        if seed == 0:
            parameters["b1"] -= 100
        return parameters

    report = check_gradients(changed(original, init_parameters=dead_first))
    assert report.passed and "draw 1 " not in report.notes[0]


def test_coordinates_that_cross_a_kink_are_left_out_and_counted() -> None:
    original = program("relu_mlp")

    def at_the_kink(seed: int, dtype: Any) -> Gradients:
        parameters = original.module.init_parameters(seed, dtype)
        parameters["W1"][0] = 0
        parameters["b1"][0] = 0
        return parameters

    rows = check_gradients(changed(original, init_parameters=at_the_kink), steps=0, draws=1).rows
    counted = {row.tensor: row.kinks for row in rows}
    assert counted["b1"] == 1 and counted["W1"] == 8 and counted["W3"] == 0
    assert all(row.verdict != "fail" for row in rows)


def test_smaller_steps_avoid_a_near_kink() -> None:
    found = list(
        estimates(
            lambda h: max(np.longdouble(h) + np.longdouble(1e-6), 0) * 3,
            lambda h: h + 1e-6 <= 0,
            1e-19 if WIDE else 1e-22,
        )
    )
    assert found[0].h == 1e-7 and found[0].value == pytest.approx(3, rel=1e-7)


def test_noise_of_a_rounded_loss_is_seen() -> None:
    def rounded(h: float) -> Any:
        return np.longdouble(np.float64(np.exp(np.float64(1 + h))))

    assert 1e-17 < loss_noise(rounded) < 1e-14


def test_loss_that_is_not_a_number_fails() -> None:
    original = program("xor")
    assert not check_gradients(changed(original, loss=lambda p, x, t: np.nan)).passed


def test_report_as_json_and_text() -> None:
    report = check_gradients(planted(program("xor"), WRONG["sign of a weight"]))
    values = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert values["passed"] is False and len(values["rows"]) == len(report.rows)
    text = report.to_text()
    assert "FAILED" in text and "fail" in text and len(text.splitlines()) > len(report.rows)


def test_a_small_network_takes_few_losses_a_tensor() -> None:
    original, calls = program("digits_mlp"), []

    def counted(p: Any, x: Any, t: Any) -> Any:
        calls.append(len(x))
        return original.module.loss(p, x, t)

    report = check_gradients(changed(original, loss=counted))
    assert report.passed and len(calls) < 80 * len(report.rows)
