"""Copies of parameters and optimizer state, restored in place; and which tensor went bad first."""

from __future__ import annotations

from typing import Any

import numpy as np

from runtime.program import Array, Parameters, Program, State


class Snapshot:
    """The values of parameters and state at a moment; taking it again reuses its memory."""

    def __init__(self) -> None:
        self.parameters: Parameters = {}
        self.state: State = {}

    def take(self, parameters: Parameters, state: State) -> None:
        """Copies the values."""
        _copy(parameters, self.parameters)
        _copy(state, self.state)

    def restore(self, parameters: Parameters, state: State) -> None:
        """Writes the values back in place, so that views of the arrays stay views."""
        _copy(self.parameters, parameters)
        _copy(self.state, state)


def _copy(source: dict[str, Any], target: dict[str, Any]) -> None:
    for name in [name for name in target if name not in source]:
        del target[name]
    for name, value in source.items():
        if isinstance(value, np.ndarray):
            there = target.get(name)
            if isinstance(there, np.ndarray) and there.shape == value.shape and there.dtype == value.dtype:
                np.copyto(there, value)
            else:
                target[name] = value.copy()
        elif isinstance(value, dict):
            inner = target.setdefault(name, {})
            _copy(value, inner)
        else:
            target[name] = value


def all_finite(parameters: Parameters) -> bool:
    """Whether every value is finite."""
    return all(np.isfinite(value).all() for value in parameters.values())


def first_bad_tensor(program: Program, parameters: Parameters, x: Array, t: Array, seed: int | None) -> str:
    """The first tensor with a NaN or infinite value, in the order in which a step computes them.

    Parameters and statistics, outputs, the loss, gradients from the last layer to the first.
    """
    for name, value in parameters.items():
        if bad := _bad(value):
            return f"parameter {name} before the step ({bad})"
    module = program.module
    with np.errstate(all="ignore"):
        if bad := _bad(module.predict(parameters, x)):
            return f"the output of the network ({bad})"
        value, gradients = module.loss_and_gradients(parameters, x, t, seed=seed)
        if not np.isfinite(value):
            return f"the loss itself ({value}; parameters and outputs are finite)"
    for name in reversed(list(module.PARAMETERS)):
        if bad := _bad(gradients[name]):
            return f"the gradient of {name} ({bad})"
    return "a parameter, by the update after the step"


def _bad(value: Array) -> str:
    nan, infinite = int(np.isnan(value).sum()), int(np.isinf(value).sum())
    if not nan and not infinite:
        return ""
    return f"{nan} NaN, {infinite} infinite of {value.size}"
