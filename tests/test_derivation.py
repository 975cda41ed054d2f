"""Derivations of whole networks: every equation evaluated, its gradients, its numbers and reasons."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from equations import spec
from evaluated import (
    BATCH,
    KINKED,
    OWN,
    OWN_LOSSES,
    SMOOTH,
    check_book,
    check_gradients,
    given,
    random_spec,
    run,
)

from chainrule.derive.adjoint import adjoint
from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.differentiate import CannotDifferentiate, vjp
from chainrule.derive.library import ACTIVATIONS, LOSSES, OPTIMIZERS, Formula

# ---- random networks ---------------------------------------------------------------------------------------


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


LOSS_AND_END = [
    (loss, end)
    for loss in sorted({*LOSSES, *OWN_LOSSES})
    for end in ("softmax", "sigmoid")
    if (loss, end) != ("cross_entropy", "sigmoid")  # refused by the check of the spec
]


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
from evaluated import random_spec
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
