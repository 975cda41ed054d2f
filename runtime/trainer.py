"""The public face of a generated program, and the arrays that go in and out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]
Parameters = dict[str, Array]
State = dict[str, Any]


class Trainer(Protocol):
    """The public face of a generated module; arrays keep the dtype of the parameters."""

    PARAMETERS: dict[str, tuple[int, ...]]
    STATISTICS: dict[str, tuple[int, ...]]
    init_parameters: Callable[..., Parameters]  # (seed, dtype)
    predict: Callable[[Parameters, Array], Array]
    loss: Callable[..., Any]  # (parameters, x, t)
    evaluation_loss: Callable[[Parameters, Array, Array], Any]
    loss_and_gradients: Callable[..., tuple[Any, Parameters]]  # (parameters, x, t, seed=None)
    input_gradient: Callable[..., Array]  # (parameters, x, t, seed=None)
    init_optimizer: Callable[[Parameters], State]
    update: Callable[[Parameters, Parameters, State], None]
    train_step: Callable[..., Any]  # (parameters, x, t, state, seed=None)
    branches: Callable[[Parameters, Array, Array], Array]


FUNCTIONS = (
    "init_parameters",
    "predict",
    "loss",
    "evaluation_loss",
    "loss_and_gradients",
    "input_gradient",
    "init_optimizer",
    "update",
    "train_step",
    "branches",
)
TABLES = ("PARAMETERS", "STATISTICS")
