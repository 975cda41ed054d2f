"""Generated programs against PyTorch in float64: the same weights, batches, losses and steps.

The measure of agreement, everywhere: the greatest difference within a tensor over its greatest entry.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from random_specs import SPECS, Built, built
from torch_reference import Reference, relative_error

AGREEMENT = 1e-10
SINGLE = 1e-4  # float32 against float64
BATCH, STEPS = 4, 10
SEEDS = range(SPECS)

Array = NDArray[Any]


def batch(one: Built, seed: int, size: int = BATCH) -> tuple[Array, Array]:
    """Inputs, and targets that the loss is made for."""
    rng = np.random.default_rng([seed, 7])
    shape = (size, *one.program.output_shape)
    x = rng.standard_normal((size, *one.program.input_shape))
    if one.program.target_kind == "labels":
        return x, rng.integers(0, one.program.classes, size)
    if one.program.loss_type == "binary_cross_entropy":
        return x, rng.uniform(0, 1, shape).round(rng.integers(0, 3))
    return x, rng.standard_normal(shape)


def start(one: Built, seed: int, dtype: Any = np.float64) -> dict[str, Array]:
    """The program's own starting parameters, as arrays of their own, biases moved away from zero."""
    rng = np.random.default_rng([seed, 8])
    drawn = one.program.init_parameters(seed, np.float64)
    return {k: (v + rng.normal(0, 0.05, v.shape)).astype(dtype) for k, v in drawn.items()}


def flat_copy(one: Built, values: dict[str, Array]) -> dict[str, Array]:
    """The same parameters as the program lays them out: views into one vector."""
    parameters = one.program.init_parameters(0, next(iter(values.values())).dtype)
    for name, value in values.items():
        parameters[name][...] = value
    return parameters


@cache
def gradients(seed: int) -> tuple[float, dict[str, Array]]:
    """Loss and gradients of the program in float64, the input's included."""
    one = built(seed)
    x, t = batch(one, seed)
    parameters = flat_copy(one, start(one, seed))
    loss, found = one.program.module.loss_and_gradients(parameters, x, t)
    inputs = one.program.module.input_gradient(parameters, x, t)
    return loss, {**{name: value.copy() for name, value in found.items()}, "x": inputs}


@pytest.mark.parametrize("seed", SEEDS)
def test_loss_and_gradients_agree(torch: ModuleType, seed: int) -> None:
    one = built(seed)
    reference = Reference(torch, one.spec, start(one, seed))
    wanted_loss, wanted = reference.gradients(*batch(one, seed))
    loss, found = gradients(seed)
    assert abs(loss - wanted_loss) <= AGREEMENT * abs(wanted_loss)
    assert set(found) == set(wanted)
    errors = {name: relative_error(found[name], wanted[name]) for name in wanted}
    assert max(errors.values()) <= AGREEMENT, errors


@pytest.mark.parametrize("seed", SEEDS)
def test_first_ten_steps_agree(torch: ModuleType, seed: int) -> None:
    one = built(seed)
    reference = Reference(torch, one.spec, start(one, seed))
    parameters = flat_copy(one, start(one, seed))
    state = one.program.module.init_optimizer(parameters)
    for step in range(STEPS):
        x, t = batch(one, 1000 * seed + step)
        wanted_loss = reference.step(x, t)
        loss = one.program.module.train_step(parameters, x, t, state)
        assert abs(loss - wanted_loss) <= AGREEMENT * abs(wanted_loss), f"step {step + 1}"
        wanted = reference.values()
        errors = {name: relative_error(parameters[name], wanted[name]) for name in wanted}
        assert max(errors.values()) <= AGREEMENT, f"step {step + 1}: {errors}"


@pytest.mark.parametrize("seed", SEEDS)
def test_float32_agrees_with_float64(seed: int) -> None:
    one = built(seed)
    x, t = batch(one, seed)
    t = t if one.program.target_kind == "labels" else t.astype(np.float32)
    parameters = flat_copy(one, start(one, seed, np.float32))
    loss, found = one.program.module.loss_and_gradients(parameters, x.astype(np.float32), t)
    inputs = one.program.module.input_gradient(parameters, x.astype(np.float32), t)
    wanted_loss, wanted = gradients(seed)
    assert abs(loss - wanted_loss) <= SINGLE * abs(wanted_loss)
    for name, value in {**found, "x": inputs}.items():
        assert value.dtype == np.float32
        assert relative_error(value, wanted[name]) <= SINGLE, name


@pytest.mark.parametrize("seed", SEEDS)
def test_parameters_that_are_no_views_give_the_same_steps(seed: int) -> None:
    """Arrays of their own, views of one vector, and a whole step or its parts: bit by bit the same."""
    one = built(seed)
    module = one.program.module
    whole, loose = flat_copy(one, start(one, seed)), start(one, seed)
    parts, mixed = flat_copy(one, start(one, seed)), start(one, seed)
    states = [module.init_optimizer(p) for p in (whole, loose, parts, mixed)]
    for step in range(3):
        x, t = batch(one, 1000 * seed + step)
        losses = [module.train_step(p, x, t, s) for p, s in zip((whole, loose), states[:2], strict=True)]
        for p, s in zip((parts, mixed), states[2:], strict=True):
            loss, found = module.loss_and_gradients(p, x, t)
            losses.append(loss)
            module.update(p, {name: g.copy() for name, g in found.items()} if p is mixed else found, s)
        assert len(set(losses)) == 1
        for other in (loose, parts, mixed):
            assert all(np.array_equal(whole[name], other[name]) for name in whole)
