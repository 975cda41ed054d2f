"""The gradients of generated programs against central differences, on 200 random specs.

`check_gradients` certifies a coordinate at a symmetric relative error of at most 1e-7, at the initial
parameters and after five steps of training, for every parameter and the inputs.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from random_specs import ACTIVATIONS, LOSSES, OPTIMIZERS, SPECS, built

from chainrule.runtime.gradcheck import check_gradients
from chainrule.runtime.gradreport import GradientReport

SMOOTH = 1e-7
SAMPLES, BATCH = 6, 3  # six coordinates of every tensor, on three samples: thousands over all specs


@cache
def report(seed: int) -> GradientReport:
    return check_gradients(built(seed).program, samples=SAMPLES, batch=BATCH)


@pytest.mark.parametrize("seed", range(SPECS))
def test_gradients_of_a_random_spec_agree_with_differences(seed: int) -> None:
    found = report(seed)
    assert found.passed, f"{built(seed).spec.source}\n{found.to_text()}"
    assert {row.tensor for row in found.rows} == {*built(seed).program.module.PARAMETERS, "x"}
    assert max(row.worst_error for row in found.rows) <= SMOOTH


def test_differences_certify_thousands_of_coordinates() -> None:
    rows = [row for seed in range(SPECS) for row in report(seed).rows]
    certified = sum(row.nonzero for row in rows)
    assert certified > 10_000
    assert certified > 0.8 * sum(row.sampled for row in rows)
    assert sum(row.kinks for row in rows) < 0.05 * certified


def test_random_specs_cover_what_dense_networks_can_be() -> None:
    specs = [built(seed).spec for seed in range(SPECS)]
    layers = Counter(layer.type for spec in specs for layer in spec.layers)
    assert {"dense", "softmax", *ACTIVATIONS} <= set(layers)
    assert all(layers[name] >= 20 for name in ACTIVATIONS)
    assert Counter(spec.loss.type for spec in specs) == {name: SPECS // len(LOSSES) for name in LOSSES}
    assert set(Counter(spec.optimizer.type for spec in specs)) == set(OPTIMIZERS)
    assert {len(spec.input_shape) for spec in specs} == {1, 2, 3}
    assert {spec.loss.reduction for spec in specs} == {"mean", "sum"}
    depths = Counter(sum(layer.type == "dense" for layer in spec.layers) for spec in specs)
    assert set(depths) == {1, 2, 3, 4, 5, 6}
    dense = [layer for spec in specs for layer in spec.layers if layer.type == "dense"]
    widths = {layer.options["units"] for layer in dense}
    assert min(widths) == 1 and max(widths) == 40
    assert {layer.options["bias"] for layer in dense} == {True, False}
    assert any(spec.loss.l2 > 0 for spec in specs) and any(spec.loss.l2 == 0 for spec in specs)
    assert any(spec.layers[0].type != "dense" for spec in specs)
    pairs = [(a.type, b.type) for spec in specs for a, b in zip(spec.layers, spec.layers[1:], strict=False)]
    assert ("dense", "dense") in pairs
    assert any(a in ACTIVATIONS and b in ACTIVATIONS for a, b in pairs)
    ends = {(spec.loss.type, spec.layers[-1].type) for spec in specs}
    assert {("mse", "softmax"), ("mae", "softmax"), ("mse", "dense"), ("mae", "dense")} <= ends
