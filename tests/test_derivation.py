"""Derivations of whole networks: every equation evaluated, its gradients, its numbers and reasons."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from equations import Arrays, spec

from chainrule.derive.deriving import Derivation, NumberedEquation, adjoint, derive_network
from chainrule.derive.differentiate import CannotDifferentiate, cotangent, vjp
from chainrule.derive.interpret import evaluate
from chainrule.derive.library import ACTIVATIONS, LOSSES, OPTIMIZERS, Formula
from chainrule.derive.model import Spec

BATCH = 3
ROLES = ("definition", "forward", "loss", "backward", "update")
OWN = {
    "sharp": Formula("x * sigmoid(beta * x)", {"beta": 1.5}),
    "bent": Formula("where(x > 0.25, sqrt(x), x + 0.25)"),
    "hard": Formula("max(-1, min(1, x))"),
    "bump": Formula("exp(-x**2 / 2)"),
    "soft": Formula("softplus(x) - log(2)"),
    "split": Formula("x / (1 + abs(x))"),
}
OWN_LOSSES = {
    "huberish": Formula("sqrt(1 + (y - t)**2) - 1"),
    "quartic": Formula("(y - t)**4 / 4"),
    "logcosh": Formula("log(cosh(y - t))"),
    "pinball": Formula("max(q * (t - y), (q - 1) * (t - y))", {"q": 0.3}),
}

# ---- evaluating a derivation -------------------------------------------------------------------------------


def given(derivation: Derivation, seed: int) -> Arrays:
    """Return random inputs, targets, parameters, statistics and noise."""
    rng = np.random.default_rng(seed)
    network = derivation.network
    arrays: Arrays = {"N": np.array(BATCH), "x": rng.uniform(-1.5, 1.5, (BATCH, *network.spec.input_shape))}
    for parameter in network.parameters:
        arrays[parameter.name] = rng.uniform(-1.2, 1.2, parameter.shape)
    for statistic in network.statistics:
        arrays[statistic.name] = rng.uniform(0.5, 1.5, statistic.shape)
    for noise in network.noise:
        arrays[noise.name] = (rng.random((BATCH, *noise.shape)) < float(noise.probability)).astype(float)
    if network.labels:
        arrays["t"] = rng.integers(0, network.output_shape[-1], BATCH)
    else:
        arrays["t"] = rng.uniform(0.05, 0.95, (BATCH, *network.output_shape))
    return arrays


def run(
    derivation: Derivation, arrays: Arrays, *roles: str, computed: bool = False, mode: str = "training"
) -> Arrays:
    """Return the arrays with those of every equation of the roles in a mode, evaluated in order."""
    arrays = dict(arrays)
    for numbered in derivation.role(*roles):
        if numbered.mode not in ("both", mode):
            continue
        form = numbered.computed if computed else numbered.equation
        arrays[numbered.symbol] = evaluate(form, arrays)
    return arrays


def loss(derivation: Derivation, arrays: Arrays) -> float:
    return float(run(derivation, arrays, "definition", "forward", "loss")["E"])


def check_forms(derivation: Derivation, arrays: Arrays) -> Arrays:
    """Evaluate every equation in its textbook form and in its computed form; return the values.

    A compact form must give what the long one gave.
    """
    values = dict(arrays)
    for numbered in derivation.role("definition", "forward", "loss", "backward"):
        if numbered.mode == "evaluation":
            continue
        textbook = evaluate(numbered.equation, values)
        computed = evaluate(numbered.computed, values)
        scale = max(1.0, float(np.max(np.abs(textbook))))
        assert np.max(np.abs(textbook - computed)) <= 1e-12 * scale, str(numbered)
        if numbered.symbol in values:
            assert np.max(np.abs(textbook - values[numbered.symbol])) <= 1e-11 * scale, str(numbered)
        values[numbered.symbol] = textbook
    return values


def check_gradients(derivation: Derivation, arrays: Arrays, most: int = 4) -> None:
    """Hold every gradient (of x too) against central differences of the loss."""
    values = check_forms(derivation, arrays)
    rng = random.Random(0)
    for name in ("x", *(p.name for p in derivation.network.parameters)):
        gradient = values[cotangent(name)]
        assert gradient.shape == arrays[name].shape
        positions = list(np.ndindex(*gradient.shape))
        greatest = np.unravel_index(np.argmax(np.abs(gradient)), gradient.shape)
        for position in [greatest, *rng.sample(positions, min(most - 1, len(positions)))]:
            ends = []
            for step in (1e-5, -1e-5):
                moved = arrays[name].copy()
                moved[position] += step
                ends.append(loss(derivation, {**arrays, name: moved}))
            reference = (ends[0] - ends[1]) / 2e-5
            found = float(gradient[position])
            assert abs(found - reference) <= 1e-7 * max(1.0, abs(reference)), f"d{name}{position}"


def check_book(derivation: Derivation) -> None:
    """Numbers run from 1, roles are in order, reasons are earlier numbers, what is read is there already."""
    equations = derivation.equations
    assert [e.number for e in equations] == list(range(1, len(equations) + 1))
    assert [e.role for e in equations] == sorted((e.role for e in equations), key=ROLES.index)
    assert all(derivation.equation(e.number) is e for e in equations)
    network = derivation.network
    known = {"x", "t", *(p.name for p in (*network.parameters, *network.statistics, *network.noise))}
    before: dict[str, NumberedEquation] = {}
    evaluated: dict[str, NumberedEquation] = {}
    for e in equations:
        assert len(set(e.because)) == len(e.because)
        assert all(1 <= number < e.number for number in e.because), str(e)
        assert e.rule
        assert e.computed.left == e.equation.left
        if e.role == "update":
            continue
        there = {**before, **evaluated} if e.mode == "evaluation" else before
        for name in {*e.equation.reads(), *e.computed.reads()}:
            assert name in known or name in there, f"{e} reads {name}"
            if name in there:
                assert there[name].number in e.because or e.role == "backward", f"{e} for {name}"
        if e.mode == "evaluation":
            assert e.symbol in before and e.symbol not in evaluated and e.role == "forward"
            evaluated[e.symbol] = e
            continue
        assert e.symbol not in before or before[e.symbol].shown_only, f"{e.symbol} twice"
        assert not (e.symbol in before and e.shown_only)
        before[e.symbol] = e
        free = {str(s) for s in e.equation.right.free_symbols if not s.is_symbol or s.is_integer}
        allowed = {"N", *map(str, e.equation.free), *map(str, e.equation.left.base.shape)}
        assert not {s for s in free if "[" not in s} - allowed, f"{e}: unbound {free - allowed}"
    for parameter in derivation.network.parameters:
        found = [e for e in equations if e.symbol == cotangent(parameter.name)]
        assert [e.role for e in found] == ["backward"]
        assert tuple(map(int, found[0].equation.left.base.shape)) == parameter.shape


# ---- random networks ---------------------------------------------------------------------------------------

SMOOTH = ("identity", "sigmoid", "tanh", "softplus", "gelu", "swish", "sharp", "bump", "soft")
KINKED = ("relu", "leaky_relu", "elu", "bent", "hard", "split")


def random_spec(seed: int) -> Spec:
    rng = random.Random(seed)
    names = (*SMOOTH, *KINKED)
    layers: list[Any] = []
    for _ in range(rng.randint(1, 4)):
        layers.append(("dense", {"units": rng.randint(1, 5), "bias": rng.random() < 0.7}))
        options = {"slope": rng.choice((0.01, 0.3, -0.2)), "alpha": rng.choice((0.5, 1.0, 2.0))}
        for name in rng.sample(names, rng.choice((0, 1, 1, 1, 2))):
            constants = (ACTIVATIONS | OWN)[name].constants
            layers.append((name, {k: v for k, v in options.items() if k in constants}))
        if rng.random() < 0.1:
            layers.append("softmax")
    end = rng.choice(("softmax", "softmax", "sigmoid", "plain", "plain", "tanh"))
    units = rng.randint(1, 5) if end != "softmax" else rng.randint(2, 5)
    layers += [("dense", {"units": units, "bias": rng.random() < 0.8})]
    layers += [] if end == "plain" else [end]
    losses = ["mse", "mae", *OWN_LOSSES]
    losses += ["cross_entropy"] * 6 if end == "softmax" else []
    losses += ["binary_cross_entropy"] * {"softmax": 1, "sigmoid": 6}.get(end, 0)
    return spec(
        layers,
        rng.choice(losses),
        inputs=rng.choice(((1,), (2,), (4,), (2, 2), (2, 1, 3))),
        reduction=rng.choice(("mean", "sum")),
        l2=rng.choice((0.0, 0.0, 0.01, 0.3)),
        optimizer=rng.choice(tuple(OPTIMIZERS)),
        activations=OWN,
        losses=OWN_LOSSES,
    )


@pytest.mark.parametrize("seed", range(60))
def test_random_networks(seed: int) -> None:
    derivation = derive_network(random_spec(seed))
    check_book(derivation)
    check_gradients(derivation, given(derivation, seed))


def test_the_random_networks_cover_everything() -> None:
    specs = [random_spec(seed) for seed in range(60)]
    assert {layer.type for s in specs for layer in s.layers} >= {"dense", "softmax", *SMOOTH, *KINKED}
    assert {s.loss.type for s in specs} == {*LOSSES, *OWN_LOSSES}
    assert {s.loss.reduction for s in specs} == {"mean", "sum"}
    assert {s.optimizer.type for s in specs} == set(OPTIMIZERS)


@pytest.mark.parametrize("name", sorted({*ACTIVATIONS, *OWN} - {"step"}))
@pytest.mark.parametrize("place", ["hidden", "last"])
def test_every_activation(name: str, place: str) -> None:
    layers = [3, name, 2] if place == "hidden" else [3, "tanh", 2, name]
    derivation = derive_network(spec(layers, "mse", activations=OWN))
    check_book(derivation)
    check_gradients(derivation, given(derivation, 1))


LOSS_AND_END = [(a, end) for a in sorted({*LOSSES, *OWN_LOSSES}) for end in ("softmax", "sigmoid")]
LOSS_AND_END.remove(("cross_entropy", "sigmoid"))  # refused by the check of the spec


@pytest.mark.parametrize(("loss_name", "end"), LOSS_AND_END)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_every_loss(loss_name: str, end: str, reduction: str) -> None:
    declared = spec([3, "tanh", 3, end], loss_name, losses=OWN_LOSSES, reduction=reduction, l2=0.1)
    derivation = derive_network(declared)
    check_book(derivation)
    check_gradients(derivation, given(derivation, 2))


@pytest.mark.parametrize("loss_name", sorted(LOSSES))
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_the_loss_is_what_the_spec_says(loss_name: str, reduction: str, l2: float) -> None:
    """The same network in plain NumPy: Σ over outputs, Σ or mean over samples, l2 Σ W²."""
    declared = spec([3, "tanh", 4, "softmax"], loss_name, reduction=reduction, l2=l2)
    derivation = derive_network(declared)
    arrays = given(derivation, 8)
    hidden = np.tanh(arrays["x"] @ arrays["W1"].T + arrays["b1"])
    logits = hidden @ arrays["W2"].T + arrays["b2"]
    y = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    t = np.eye(4)[arrays["t"]] if loss_name == "cross_entropy" else arrays["t"]
    terms = {
        "mse": (y - t) ** 2 / 2,
        "mae": np.abs(y - t),
        "cross_entropy": -t * np.log(y),
        "binary_cross_entropy": -(t * np.log(y) + (1 - t) * np.log(1 - y)),
    }[loss_name]
    decay = l2 * (np.sum(arrays["W1"] ** 2) + np.sum(arrays["W2"] ** 2))
    expected = terms.sum() / (BATCH if reduction == "mean" else 1) + decay
    values = run(derivation, arrays, "definition", "forward", "loss", computed=True)
    np.testing.assert_allclose(values["a2"], y, rtol=1e-13)
    np.testing.assert_allclose(values["E"], expected, rtol=1e-13)


# ---- known forms -------------------------------------------------------------------------------------------


def lines(derivation: Derivation) -> dict[str, str]:
    return {e.name: str(e.equation.right) for e in derivation.equations}


def test_the_textbook_network() -> None:
    found = lines(derive_network(spec([4, "sigmoid", 3, "softmax"], "cross_entropy")))
    assert found["dz2"] == "(-T[n, k] + a2[n, k])/N"
    assert found["dW2"] == "sum_n(a1[n, j]*d z2[n, k])"
    assert found["db2"] == "sum_n(d z2[n, k])"
    assert found["dz1"] == "(1 - a1[n, j])*a1[n, j]*sum_k(W2[k, j]*d z2[n, k])"
    assert found["dW1"] == "sum_n(a0[n, j]*d z1[n, k])"


def test_sigmoid_with_binary_cross_entropy() -> None:
    found = lines(derive_network(spec([1, "sigmoid"], "binary_cross_entropy", reduction="sum")))
    assert found["dz1"] == "a1[n, k] - t[n, k]"


def test_weight_decay_counts_weights_only() -> None:
    found = lines(derive_network(spec([2, "tanh", 1], l2=0.25)))
    assert "W1[k, j]/2" in found["dW1"] and "W2[k, j]/2" in found["dW2"]
    assert "b1[" not in found["db1"] and "b2[" not in found["db2"]


def test_a_step_in_the_way_is_an_error() -> None:
    with pytest.raises(CannotDifferentiate, match="0 everywhere"):
        derive_network(spec([2, "step", 1]))


@pytest.mark.parametrize("text", ["3 - 1", "0 * x", "x - x"])
def test_an_activation_that_forgets_its_input_is_an_error(text: str) -> None:
    with pytest.raises(CannotDifferentiate):
        derive_network(spec([2, "flat", 1], activations={"flat": Formula(text)}))


# ---- determinism and cost ----------------------------------------------------------------------------------


def test_two_runs_are_equal() -> None:
    for seed in range(8):
        first, second = (derive_network(random_spec(seed)) for _ in range(2))
        assert first.equations == second.equations
        assert [str(e) for e in first.equations] == [str(e) for e in second.equations]


PRINT = """
from test_derivation import random_spec
from chainrule.derive.deriving import derive_network
for seed in range(10, 16):
    for e in derive_network(random_spec(seed)).equations:
        print(e.number, e.role, e.equation, e.computed, e.because, e.rule)
"""


def test_two_processes_are_equal() -> None:
    """Python's string hashes differ between processes; the equations must not."""
    tests = Path(__file__).parent
    outputs = set()
    for hash_seed in ("1", "2"):
        path = os.pathsep.join((str(tests), str(tests.parent)))
        done = subprocess.run(
            [sys.executable, "-c", PRINT],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
            capture_output=True, encoding="utf-8", check=True, timeout=300,
        )  # fmt: skip
        outputs.add(done.stdout)
    assert len(outputs) == 1 and len(outputs.pop().splitlines()) > 60


def clear() -> None:
    vjp.cache_clear()
    adjoint.cache_clear()


def misses(layers: list[Any], inputs: tuple[int, ...] = (2,)) -> int:
    clear()
    derive_network(spec(layers, "cross_entropy", inputs=inputs))
    return vjp.cache_info().misses


def test_derivatives_do_not_grow_with_depth_or_width() -> None:
    counts = {depth: misses([*[4, "sigmoid"] * depth, 3, "softmax"]) for depth in (1, 2, 5, 20)}
    assert len(set(counts.values())) == 1, counts
    assert misses([4000, "sigmoid", 1000, "softmax"], (784,)) == counts[1]
    assert misses([4, "sigmoid", 4, "tanh", 3, "softmax"]) == counts[1] + 1


def test_equations_a_layer_do_not_grow_with_width() -> None:
    small = derive_network(spec([4, "relu", 3, "softmax"], "cross_entropy"))
    large = derive_network(spec([4096, "relu", 1000, "softmax"], "cross_entropy", inputs=(3072,)))
    assert [e.equation.right.count_ops() for e in small.equations] == [
        e.equation.right.count_ops() for e in large.equations
    ]
