"""The update that threads share: each does its part of the vectors, and the parts are the whole."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from random_specs import build

SPEC = """spec_version = 1
name = "large"
[input]
shape = [12, 12, 4]
[[layers]]
type = "conv2d"
filters = 8
kernel = 3
padding = "same"
activation = "relu"
[[layers]]
type = "dense"
units = {units}
activation = "relu"
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
[optimizer]
{optimizer}
"""
OPTIMIZERS = (
    'type = "sgd"',
    'type = "momentum"\nclip_norm = 0.5',
    'type = "adagrad"\nweight_decay = 0.1',
    'type = "rmsprop"\nschedule = "cosine"\nwarmup = 3',
    'type = "adam"\nclip_norm = 1.0\nweight_decay = 0.01',
)


def shares_update(module: Any) -> bool:
    return "on_threads(part, COUNT, 131072)" in inspect.getsource(module)


def three_steps(module: Any, threads: int) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    module.THREADS = threads
    parameters = module.init_parameters(0, np.float64)
    state = module.init_optimizer(parameters)
    rng = np.random.default_rng(1)
    for _ in range(3):
        gradients = module.views(rng.standard_normal(module.COUNT))
        module.update(parameters, gradients, state)
    return np.concatenate([p.ravel() for p in parameters.values()]), state


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_threads_update_what_one_would(optimizer: str) -> None:
    module = build(SPEC.format(units=128, optimizer=optimizer)).program.module
    assert module.COUNT >= 2**17 and shares_update(module)
    whole, state = three_steps(module, 1)
    for threads in (2, 3):
        theta, other = three_steps(module, threads)
        assert theta.tobytes() == whole.tobytes()
        assert {key: np.asarray(v).tobytes() for key, v in other.items()} == {
            key: np.asarray(v).tobytes() for key, v in state.items()
        }


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_small_update_is_left_to_one_thread(optimizer: str) -> None:
    small = build(SPEC.format(units=16, optimizer=optimizer)).program.module
    assert small.COUNT < 2**17 and hasattr(small, "on_threads") and not shares_update(small)
    assert np.isfinite(three_steps(small, 2)[0]).all()
