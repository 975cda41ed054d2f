"""How good a program's parameters are on a set of samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chainrule.runtime.datasets.dataset import as_floats
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.trainer import Array, Parameters

BATCH = 1000  # samples evaluated at a time


@dataclass(frozen=True)
class Score:
    """Loss over a set of samples, and accuracy in 0 … 1 (None where targets are no classes)."""

    loss: float
    accuracy: float | None


def correct(outputs: Array, t: Array) -> int:
    """How many samples are classified right.

    `outputs` is (N, K), the class its largest entry; or a single output (N, 1), the class 1 from 0.5 on.
    `t` is (N,) labels, or (N, …) values: one-hot rows, or 0 and 1.
    """
    if outputs.size == len(t):
        return int(np.count_nonzero((outputs.ravel() >= 0.5) == (t.ravel() >= 0.5)))
    classes = t.ravel() if t.size == len(t) else t.reshape(len(t), -1).argmax(axis=1)
    return int(np.count_nonzero(outputs.reshape(len(t), -1).argmax(axis=1) == classes))


def evaluate(
    program: LoadedProgram,
    parameters: Parameters,
    x: Array,
    t: Array,
    *,
    batch: int = BATCH,
    accuracy: bool = True,
    prepare: Callable[[Array], Array] = as_floats,
    stop: Callable[[], bool] | None = None,
) -> Score | None:
    """The score on x (N, …), t (N, …); None when there is nothing to score or `stop` says so between batches.

    The loss is that of evaluation mode, weight decay included: the mean over the samples, or, for a loss
    that is summed over the batch, the sum.  The accuracy, where it is asked for, is that of
    `predict`, in evaluation mode.
    `prepare` makes of stored inputs what the network takes.
    """
    if len(x) == 0:
        return None
    summed = program.manifest["loss"].get("reduction") == "sum"
    total, right = 0.0, 0
    with np.errstate(all="ignore"):
        for start in range(0, len(x), batch):
            if stop is not None and stop():
                return None
            part_x, part_t = prepare(x[start : start + batch]), t[start : start + batch]
            value = float(program.module.evaluation_loss(parameters, part_x, part_t))
            total += value if summed else value * len(part_x)
            if accuracy:
                right += correct(program.module.predict(parameters, part_x), part_t)
    return Score(total if summed else total / len(x), right / len(x) if accuracy else None)
