"""The gradients of image networks against central differences, and what the random specs cover.

`check_gradients` certifies a coordinate at a symmetric relative error of at most 1e-7, at the initial
parameters and after five steps of training, for every parameter and the inputs.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from random_images import IMAGE_SPECS, LOSSES, built, in_pieces
from random_specs import ACTIVATIONS, OPTIMIZERS

from derive.layers import LAYERS
from runtime.gradcheck import check_gradients
from runtime.gradreport import GradientReport

SMOOTH = 1e-7
SAMPLES, BATCH = 3, 4
SEEDS = range(0, IMAGE_SPECS)


@cache
def report(seed: int) -> GradientReport:
    return check_gradients(built(seed).program, samples=SAMPLES, batch=BATCH, steps=5)


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_of_a_random_image_spec_agree_with_differences(seed: int) -> None:
    found = report(seed)
    assert found.passed, f"{built(seed).spec.source}\n{found.to_text()}"
    assert {row.tensor for row in found.rows} == {*built(seed).program.module.PARAMETERS, "x"}
    assert max(row.worst_error for row in found.rows) <= SMOOTH
