"""Points at which gradients are checked: parameters, inputs and targets."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.program import Array, Parameters, Program

STEP_SEED = 1  # of dropout masks and the like; the same for the loss and its gradients


@dataclass(frozen=True)
class Point:
    """Parameters, a batch of inputs and its targets; `what` says how the point was drawn."""

    parameters: Parameters
    x: Array
    t: Array
    what: str

    def cast(self, dtype: DTypeLike) -> Point:
        """A copy of the point in another float type; integer labels stay."""
        t = self.t.astype(dtype) if np.issubdtype(self.t.dtype, np.floating) else self.t.copy()
        parameters = {name: value.astype(dtype) for name, value in self.parameters.items()}
        return replace(self, parameters=parameters, x=self.x.astype(dtype), t=t)


def call_loss(program: Program, point: Point) -> Any:
    """The loss at a point, with the masks that `gradients` uses where the loss draws any."""
    with np.errstate(all="ignore"):
        return program.module.loss(point.parameters, point.x, point.t, **_masked(program))


def branches(program: Program, point: Point) -> NDArray[np.bool_]:
    """On which side of each kink every value lies, with the same masks."""
    return np.asarray(program.module.branches(point.parameters, point.x, point.t, **_masked(program)))


def gradients(program: Program, point: Point, dtype: DTypeLike) -> dict[str, Array]:
    """Every gradient at a point, computed in `dtype`, in the order of PARAMETERS; "x" is the input's."""
    here = point.cast(dtype)
    module, masked = program.module, _masked(program)
    with np.errstate(all="ignore"):
        _, found = module.loss_and_gradients(here.parameters, here.x, here.t, **masked)
        inputs = module.input_gradient(here.parameters, here.x, here.t, **masked)
    return {name: np.array(found[name]) for name in module.PARAMETERS} | {"x": np.array(inputs)}


def _masked(program: Program) -> dict[str, int]:
    """The seed of the masks, for a program that draws any."""
    return {"seed": STEP_SEED} if _takes_seed(program.module.loss) else {}


@cache
def _takes_seed(function: Any) -> bool:
    return "seed" in inspect.signature(function).parameters


def points(program: Program, seed: int, batch: int, draws: int) -> Iterator[Point]:
    """Points to try, in order: the program's own initialisation, then others, moved at random.

    Later draws move the parameters a little (biases that start at zero included) and use smaller inputs.
    """
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        parameters = program.module.init_parameters(seed + draw, np.float64)
        scale = (1.0, 1.0, 0.3)[draw % 3]
        what = f"draw {draw + 1} (parameters of seed {seed + draw}"
        if draw:
            for name in program.module.PARAMETERS:
                parameters[name] = parameters[name] + rng.normal(0.0, 0.1, parameters[name].shape)
            what += f", moved by 0.1, inputs {scale:g}"
        x = scale * rng.standard_normal((batch, *program.input_shape))
        yield Point(parameters, x, _targets(program, rng, batch, draw), what + ")")


def advance(program: Program, others: Iterator[Point], first: Point | None, steps: int) -> Iterator[Point]:
    """`first` after some steps of training; then the same with fresh inputs; then `others` after steps."""
    if first is not None:
        moved = _trained(program, first, steps)
        yield moved
        for fresh in range(3):
            rng = np.random.default_rng([steps, fresh])
            x = rng.standard_normal(first.x.shape)
            what = f"{moved.what}, fresh inputs {fresh + 1}"
            t = _targets(program, rng, len(x), fresh)
            yield replace(moved, x=x, t=t, what=what)
    for point in others:
        yield _trained(program, point, steps)


def _trained(program: Program, point: Point, steps: int) -> Point:
    copy = point.cast(np.float64)
    state = program.module.init_optimizer(copy.parameters)
    with np.errstate(all="ignore"):
        for step in range(steps):
            program.module.train_step(copy.parameters, copy.x, copy.t, state, seed=step)
    return replace(copy, what=f"{point.what}, {steps} steps")


def _targets(program: Program, rng: np.random.Generator, batch: int, draw: int) -> Array:
    """Targets that the loss is made for, at random."""
    shape = (batch, *program.output_shape)
    if program.target_kind == "labels":
        return rng.integers(0, program.classes, batch)
    if program.loss_type == "cross_entropy":
        return rng.dirichlet(np.ones(shape[-1]), shape[:-1])
    if program.loss_type == "binary_cross_entropy":
        return rng.integers(0, 2, shape).astype(np.float64)
    return rng.standard_normal(shape) if draw % 2 == 0 else rng.uniform(0.05, 0.95, shape)
