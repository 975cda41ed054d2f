"""What a run is at a moment: its arrays, and where it stands; and which tensor went bad first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import inf
from typing import Any

import numpy as np

from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.result import EpochRecord
from chainrule.runtime.trainer import Array, Parameters, State
from chainrule.runtime.typed import require_types


@dataclass
class Standing:
    """Where a run stands: what, beside the arrays, a later process needs to go on bit for bit.

    Nothing random is here: every random number is a function of the seed, the epoch and the step.
    """

    epoch: int = 1  # the epoch under way, from 1
    step: int = 0  # steps of it that are done
    total: float = 0.0  # their losses, added up
    seen: int = 0  # their samples
    best_epoch: int = 0  # of the lowest validation loss, where early stopping watches it
    best_loss: float = inf
    history: list[EpochRecord] = field(default_factory=list)
    warnings: dict[str, str] = field(default_factory=dict)  # what is wrong with which layer → what was said
    train_seconds: float = 0.0
    seconds: float = 0.0

    def copy(self) -> Standing:
        """Another one that changes by itself."""
        return replace(self, history=list(self.history), warnings=dict(self.warnings))

    def as_dict(self) -> dict[str, Any]:
        """The standing as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Standing:
        """The standing that `as_dict` gave.  Raises TypeError, ValueError, KeyError for other values."""
        standing = cls(**{**values, "history": [EpochRecord(**row) for row in values["history"]]})
        for each in (standing, *standing.history):
            require_types(each)
        if standing.epoch < 1 or min(standing.step, standing.seen, standing.best_epoch) < 0:
            raise ValueError("a count is below 0")
        return standing


class Snapshot:
    """The values of a run's arrays at a moment; taking it again reuses its memory."""

    def __init__(self) -> None:
        self.parameters: Parameters = {}
        self.best: Parameters = {}
        self.state: State = {}
        self.standing = Standing()

    def take(self, parameters: Parameters, best: Parameters, state: State, standing: Standing) -> None:
        """Copies the values."""
        copy_values(parameters, self.parameters)
        copy_values(best, self.best)
        copy_values(state, self.state)
        self.standing = standing.copy()

    def restore(self, parameters: Parameters, best: Parameters, state: State) -> Standing:
        """Writes the values back in place, so that views of the arrays stay views."""
        copy_values(self.parameters, parameters)
        copy_values(self.best, best)
        copy_values(self.state, state)
        return self.standing.copy()


def layout(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """What is where in a tree of arrays, numbers and tables: "state/m" → "float32 (10,)"."""
    found = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, np.ndarray):
            found[name] = f"{value.dtype} {value.shape}"
        elif isinstance(value, Mapping):
            found |= layout(value, f"{name}/")
        else:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            found[name] = "number" if number else type(value).__name__
    return found


def copy_values(source: dict[str, Any], target: dict[str, Any]) -> None:
    """Makes `target` equal to `source`, in place where an array of that shape is there."""
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
            copy_values(value, inner)
        else:
            target[name] = value


def all_finite(parameters: Parameters) -> bool:
    """Whether every value is finite."""
    return all(np.isfinite(value).all() for value in parameters.values())


def first_bad_tensor(
    program: LoadedProgram, parameters: Parameters, x: Array, t: Array, seed: int | None
) -> str:
    """The first tensor with a NaN or infinite value, in the order in which a step computes them.

    Parameters and statistics, outputs, the loss, gradients from the last layer to the first.
    """
    for name, value in parameters.items():
        if bad := not_finite(value):
            return f"parameter {name} before the step ({bad})"
    module = program.module
    with np.errstate(all="ignore"):
        if bad := not_finite(module.predict(parameters, x)):
            return f"the output of the network ({bad})"
        value, gradients = module.loss_and_gradients(parameters, x, t, seed=seed)
        if not np.isfinite(value):
            return f"the loss itself ({value}; parameters and outputs are finite)"
    for name in reversed(list(module.PARAMETERS)):
        if bad := not_finite(gradients[name]):
            return f"the gradient of {name} ({bad})"
    return "a parameter, by the update after the step"


def not_finite(value: Array) -> str:
    """How many values are not finite: "3 NaN, 0 infinite of 10"; "" where all are."""
    nan, infinite = int(np.isnan(value).sum()), int(np.isinf(value).sum())
    if not nan and not infinite:
        return ""
    return f"{nan} NaN, {infinite} infinite of {value.size}"
