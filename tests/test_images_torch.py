"""Generated programs of image networks against PyTorch in float64: losses, gradients, steps, both modes.

The measure of agreement, everywhere: the greatest difference within a tensor over its greatest entry.
"""

from __future__ import annotations

from copy import deepcopy
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from random_images import IMAGE_SPECS, build, built, fewest
from random_specs import Built
from torch_images import AGREEMENT, ImageReference, masks
from torch_reference import relative_error

SINGLE = 1e-3  # float32 against float64
SIZES = (5, 1, 3, 2, 7)  # of batches: they do not divide into pieces, and one has a single sample
STEPS = 10
SEEDS = range(IMAGE_SPECS)

Array = NDArray[Any]


def batch(one: Built, seed: int, step: int, size: int = 0) -> tuple[Array, Array]:
    """Inputs, and targets that the loss is made for; if no size is given, of another one each step."""
    rng = np.random.default_rng([seed, step])
    size = size or max(fewest(seed), SIZES[(seed + step) % len(SIZES)])
    shape = (size, *one.program.output_shape)
    x = rng.standard_normal((size, *one.program.input_shape))
    if one.program.target_kind == "labels":
        return x, rng.integers(0, one.program.classes, size)
    if one.program.loss_type == "binary_cross_entropy":
        return x, rng.uniform(0, 1, shape).round(rng.integers(0, 3))
    return x, rng.standard_normal(shape)


def start(one: Built, seed: int) -> dict[str, Array]:
    """The program's own starting values, moved away from zeros and ones; variances stay positive."""
    rng = np.random.default_rng([seed, 8])
    values = one.program.init_parameters(seed, np.float64)
    for value in values.values():
        value += rng.uniform(-0.2, 0.2, value.shape)
    return values


def reference(torch: ModuleType, one: Built, seed: int) -> ImageReference:
    return ImageReference(torch, one.spec, start(one, seed), tuple(one.program.module.STATISTICS))


def assert_agree(found: dict[str, Array], wanted: dict[str, Array], when: str = "") -> None:
    assert set(found) == set(wanted)
    errors = {name: relative_error(found[name], wanted[name]) for name in wanted}
    assert max(errors.values()) <= AGREEMENT, f"{when}: {errors}"


@pytest.mark.parametrize("seed", SEEDS)
def test_loss_and_gradients_agree(torch: ModuleType, seed: int) -> None:
    one = built(seed)
    x, t = batch(one, seed, 0)
    judge = reference(torch, one, seed)
    judge.draw(masks(one, len(x), seed))
    wanted_loss, wanted = judge.gradients(x, t)
    parameters = start(one, seed)
    before = deepcopy(parameters)
    loss, found = one.program.module.loss_and_gradients(parameters, x, t, seed=seed)
    assert abs(loss - wanted_loss) <= AGREEMENT * abs(wanted_loss)
    inputs = one.program.module.input_gradient(parameters, x, t, seed=seed)
    assert_agree({**found, "x": inputs}, wanted)
    assert all(np.array_equal(before[name], parameters[name]) for name in before)


@pytest.mark.parametrize("seed", SEEDS)
def test_first_ten_steps_and_evaluation_agree(torch: ModuleType, seed: int) -> None:
    """Losses, parameters and running statistics after every step; outputs and loss in evaluation at last."""
    one = built(seed)
    module, judge, parameters = one.program.module, reference(torch, one, seed), start(one, seed)
    state = module.init_optimizer(parameters)
    for step in range(STEPS):
        x, t = batch(one, seed, step)
        judge.draw(masks(one, len(x), step))
        wanted_loss = judge.step(x, t)
        loss = module.train_step(parameters, x, t, state, seed=step)
        assert abs(loss - wanted_loss) <= AGREEMENT * abs(wanted_loss), f"step {step + 1}"
        assert_agree(parameters, judge.values(), f"step {step + 1}")
    x, t = batch(one, seed, STEPS)
    outputs, wanted_loss = judge.evaluate(x, t)
    assert relative_error(module.predict(parameters, x), outputs) <= AGREEMENT
    assert abs(module.evaluation_loss(parameters, x, t) - wanted_loss) <= AGREEMENT * abs(wanted_loss)


@pytest.mark.parametrize("seed", SEEDS[::7])
def test_evaluation_of_more_than_a_batch_agrees(torch: ModuleType, seed: int) -> None:
    one = built(seed)
    module, parameters = one.program.module, start(one, seed)
    x, t = batch(one, seed, 0, 2 * module.BATCH_SIZE + 3)
    outputs, wanted_loss = reference(torch, one, seed).evaluate(x, t)
    assert relative_error(module.predict(parameters, x), outputs) <= AGREEMENT
    assert abs(module.evaluation_loss(parameters, x, t) - wanted_loss) <= AGREEMENT * abs(wanted_loss)


@pytest.mark.parametrize("seed", SEEDS[::5])
def test_float32_agrees_with_float64(seed: int) -> None:
    one = built(seed)
    x, t = batch(one, seed, 0)
    parameters = start(one, seed)
    single = {name: value.astype(np.float32) for name, value in parameters.items()}
    wanted_loss, wanted = one.program.module.loss_and_gradients(parameters, x, t, seed=seed)
    loss, found = one.program.module.loss_and_gradients(single, x, t, seed=seed)
    assert abs(loss - wanted_loss) <= SINGLE * abs(wanted_loss)
    for name, value in found.items():
        assert value.dtype == np.float32
        assert relative_error(value, wanted[name]) <= SINGLE, name


SINGLE_VALUES = """
spec_version = 1
name = "single_values"
input = { shape = [3] }
layers = [
    { type = "dense", units = 4, bias = false },
    { type = "batch_norm", momentum = 0.75 },
    { type = "dense", units = 2 },
]
loss = { type = "mse" }
"""


def test_batch_norm_of_one_sample_gives_its_shift() -> None:
    """PyTorch refuses a variance of one value; here it is zero, and the network goes on from beta."""
    module = build(SINGLE_VALUES).program.module
    parameters = module.init_parameters(0, np.float64)
    parameters["beta2"][...] = [0.5, -1, 2, 3]
    x, t = np.array([[1.0, -2.0, 0.5]]), np.zeros((1, 2))
    out = parameters["W3"] @ parameters["beta2"] + parameters["b3"]
    loss, gradients = module.loss_and_gradients(parameters, x, t)
    assert loss == pytest.approx((out**2).sum() / 2, rel=1e-14)
    assert gradients["beta2"] == pytest.approx(parameters["W3"].T @ out, rel=1e-14)
    assert not gradients["W1"].any() and not gradients["gamma2"].any()
    z = parameters["W1"] @ x[0]
    module.train_step(parameters, x, t, module.init_optimizer(parameters))
    assert parameters["mean2"] == pytest.approx(z / 4, rel=1e-14)
    assert parameters["var2"] == pytest.approx(np.full(4, 0.75))
