"""The gradients of image networks against central differences, and what the random specs cover.

`check_gradients` certifies a coordinate at a symmetric relative error of at most 1e-7, at the initial
parameters and after steps of training, for every parameter and the inputs.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

import pytest
from random_images import IMAGE_SPECS, KINDS, LOSSES, built
from random_specs import ACTIVATIONS, OPTIMIZERS

from chainrule.derive.layers import LAYERS
from chainrule.derive.model import LayerSpec
from chainrule.runtime.gradcheck import check_gradients
from chainrule.runtime.gradreport import GradientReport

SMOOTH = 1e-7
SAMPLES, BATCH, STEPS = 2, 4, 2
CONVOLUTIONS, POOLS = ("conv1d", "conv2d"), ("max_pool2d", "avg_pool2d")


@cache
def report(seed: int) -> GradientReport:
    return check_gradients(built(seed).program, samples=SAMPLES, batch=BATCH, steps=STEPS)


@pytest.mark.parametrize("seed", range(IMAGE_SPECS))
def test_gradients_of_a_random_image_spec_agree_with_differences(seed: int) -> None:
    found = report(seed)
    assert found.passed, f"{built(seed).spec.source}\n{found.to_text()}"
    assert {row.tensor for row in found.rows} == {*built(seed).program.module.PARAMETERS, "x"}
    assert max(row.worst_error for row in found.rows) <= SMOOTH


def test_differences_certify_thousands_of_coordinates() -> None:
    rows = [row for seed in range(IMAGE_SPECS) for row in report(seed).rows]
    certified = sum(row.nonzero for row in rows)
    assert certified > 5_000
    assert certified > 0.8 * sum(row.sampled for row in rows)
    assert sum(row.kinks for row in rows) < 0.05 * certified


# ---- What the random specs cover -------------------------------------------------------------------


def layers() -> list[LayerSpec]:
    return [layer for seed in range(IMAGE_SPECS) for layer in built(seed).spec.layers]


def each(layer: LayerSpec, key: str) -> tuple[int, ...]:
    value: Any = layer.options[key]
    return value if isinstance(value, tuple) else (value,)


def test_every_layer_type_and_activation_comes_round() -> None:
    counts = Counter(layer.type for layer in layers())
    known = {*LAYERS, *ACTIVATIONS[1:], "bend"}
    assert all(counts[name] >= 10 for name in known), counts
    firsts = {
        (spec.layers[0].type, len(spec.input_shape))
        for spec in (built(seed).spec for seed in range(IMAGE_SPECS))
    }
    assert firsts >= {
        (name, axes) for name in ("batch_norm", "layer_norm", "dropout") for axes in (1, 2, 3)
    }, "of vectors, sequences and images"


def test_convolutions_and_pools_come_in_every_form() -> None:
    found = layers()
    for kind in CONVOLUTIONS:
        convolutions = [layer for layer in found if layer.type == kind]
        for key, wanted in (("kernel", {1, 2, 3, 4, 5}), ("stride", {1, 2, 3}), ("dilation", {1, 2})):
            assert {value for layer in convolutions for value in each(layer, key)} == wanted
        assert {layer.options["padding"] for layer in convolutions} == {"valid", "same", "full", 0, 1, 2}
        assert {layer.options["bias"] for layer in convolutions} == {True, False}
        assert {layer.options["flip"] for layer in convolutions} == {True, False}
        assert {layer.options["groups"] for layer in convolutions} >= {1, 2, 3, 4, 5}
        assert any(
            s > 1 and d > 1 and k > 1
            for layer in convolutions
            for k, s, d in zip(*(each(layer, key) for key in ("kernel", "stride", "dilation")), strict=True)
        )
    for kind in POOLS:
        pools = [layer.options for layer in found if layer.type == kind]
        ways = [
            (s > k) - (s < k) for o in pools for k, s in zip(o["size"], o["stride"] or o["size"], strict=True)
        ]
        assert set(ways) == {-1, 0, 1}  # windows that overlap, touch, leave places out
        assert any(len(set(o["size"])) == 2 for o in pools)


def test_inputs_losses_and_optimizers_come_round() -> None:
    specs = [built(seed).spec for seed in range(IMAGE_SPECS)]
    images = [spec.input_shape for spec in specs if len(spec.input_shape) == 3]
    assert len(images) == IMAGE_SPECS * KINDS.count("image") // len(KINDS)
    assert {channels for *_, channels in images} == {1, 2, 3, 4, 5}
    assert any(height % 2 and height != width for height, width, _ in images)
    assert set(Counter(spec.loss.type for spec in specs)) == set(LOSSES)
    assert set(Counter(spec.optimizer.type for spec in specs)) == set(OPTIMIZERS)
    assert {spec.loss.reduction for spec in specs} == {"mean", "sum"}
    assert {spec.loss.l2 > 0 for spec in specs} == {True, False}
    assert {len(built(seed).program.output_shape) for seed in range(IMAGE_SPECS)} == {1, 2, 3}


def test_half_of_the_programs_run_in_pieces_that_do_not_divide_the_batch() -> None:
    call = r"on_threads\(piece, N, (\d+)"
    sizes = [int(n) for seed in range(IMAGE_SPECS) for n in re.findall(call, built(seed).code)]
    looped = sum("on_threads(piece, N, " in built(seed).code for seed in range(IMAGE_SPECS))
    assert looped > 0.4 * IMAGE_SPECS
    assert {1, 2, 3, 4} <= set(sizes)
