"""Points at which gradients are checked: parameters, inputs, targets and masks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chainrule.runtime.losses import ONE_HOT, SHARES, targets_of
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.trainer import Array, Parameters

INPUT = "x"
LARGEST_BATCH = 256  # that a search for a point which exercises every tensor comes to
GAINS = (1.0, 3.0, 0.1, 30.0, 1e-3, 100.0, 1e-6, 10.0, 1e-9)  # of parameters drawn at random
SHRUNK, MOVED, NORMAL, OTHER, POSITIVE = MANNERS = range(5)  # of draws
DIVERGED = 1e6  # times the loss at the start


@dataclass(frozen=True)
class Point:
    """Parameters, a batch of inputs and its targets, and the seed of masks; `what` says how it was drawn."""

    parameters: Parameters
    x: Array
    t: Array
    what: str
    seed: int = 1

    def cast(self, dtype: DTypeLike) -> Point:
        """A copy of the point in another float type; integer labels stay."""
        t = self.t.astype(dtype) if np.issubdtype(self.t.dtype, np.floating) else self.t.copy()
        parameters = {name: value.astype(dtype) for name, value in self.parameters.items()}
        return replace(self, parameters=parameters, x=self.x.astype(dtype), t=t)

    def rounded(self) -> Point:
        """The nearest point that float32 holds too, in float64: the same point in every float type."""
        with np.errstate(over="ignore"):
            found = self.cast(np.float32).cast(np.float64)
        values = (*found.parameters.values(), found.x)
        return found if all(np.isfinite(value).all() for value in values) else self


def call_loss(program: LoadedProgram, point: Point) -> Any:
    """The loss at a point, with the masks that `gradients` uses where the loss draws any."""
    with np.errstate(all="ignore"):
        return program.module.loss(point.parameters, point.x, point.t, **masked(program, point))


def branches(program: LoadedProgram, point: Point) -> NDArray[np.bool_]:
    """On which side of each kink every value lies, with the same masks."""
    with np.errstate(all="ignore"):
        found = program.module.branches(point.parameters, point.x, point.t, **masked(program, point))
    return np.asarray(found)


def gradients(program: LoadedProgram, point: Point, dtype: DTypeLike) -> dict[str, Array]:
    """Every gradient at a point, computed in `dtype`, in the order of PARAMETERS; "x" is the input's."""
    here = point.cast(dtype)
    module, seed = program.module, masked(program, point)
    with np.errstate(all="ignore"):
        _, found = module.loss_and_gradients(here.parameters, here.x, here.t, **seed)
        inputs = module.input_gradient(here.parameters, here.x, here.t, **seed)
    return {name: np.array(found[name]) for name in module.PARAMETERS} | {INPUT: np.array(inputs)}


def masked(program: LoadedProgram, point: Point) -> dict[str, int]:
    """The seed of the masks, for a program that draws any."""
    return {"seed": point.seed} if _takes_seed(program.module.loss) else {}


@cache
def _takes_seed(function: Any) -> bool:
    return "seed" in inspect.signature(function).parameters


def points(program: LoadedProgram, seed: int, batch: int, draws: int) -> Iterator[Point]:
    """Points to try, in order: the program's own initialisation first, then others at random.

    Of five draws one moves the starting parameters, one shrinks them, and three draw parameters of their own,
    whatever the spec starts with: two of ever other sizes, somewhere functions are neither saturated nor lost
    in noise, and one of positive numbers alone, by which no unit is cut off at 0 however deep it lies.  Every
    five draws the batch doubles: more samples, and more masks, exercise what few do not reach.
    """
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        parameters = program.module.init_parameters(seed + draw, np.float64)
        turn, manner = divmod(draw, len(MANNERS))
        scale, how = 1.0, ""
        if draw:
            scale, how = _scale(turn, manner)
            for name in program.module.PARAMETERS:
                parameters[name] = _drawn(rng, parameters[name], turn, manner)
        count = max(batch, min(batch * 2**turn, LARGEST_BATCH))
        how += f", batch {count}" if count > batch else ""
        x = scale * rng.standard_normal((count, *program.input_shape))
        x = np.abs(x) if manner == POSITIVE else x
        t = targets(program, rng, count, draw)
        yield Point(
            parameters, x, t, f"draw {draw + 1} (parameters of seed {seed + draw}{how})", seed + draw + 1
        ).rounded()


def _scale(turn: int, manner: int) -> tuple[float, str]:
    """How large the inputs of a draw are, and what is said of it."""
    if manner == SHRUNK:
        return 0.3, ", shrunk, inputs 0.3"
    if manner == MOVED:
        scale = (1.0, 0.3)[turn % 2]
        return scale, f", moved by 0.1, inputs {scale:g}"
    return 1.0, ", positive" if manner == POSITIVE else f", normal times {_gain(turn, manner):g}"


def _gain(turn: int, manner: int) -> float:
    return GAINS[(2 * turn + manner - NORMAL) % len(GAINS)]


def _drawn(rng: np.random.Generator, start: Array, turn: int, manner: int) -> Array:
    """A parameter of a draw, from the one that training would start with."""
    shape = start.shape
    if manner == SHRUNK:
        return 0.1 * start + rng.normal(0.0, 0.1, shape)
    if manner == MOVED:
        return start + rng.normal(0.0, 0.1, shape)
    fan_in = prod(shape[1:]) if len(shape) > 1 else 10
    if manner == POSITIVE:
        return np.abs(rng.normal(0.0, 1 / fan_in, shape))
    gain = _gain(turn, manner)
    return rng.normal(0.0, gain if len(shape) > 1 else min(gain, 1.0), shape) / sqrt(fan_in)


def with_batch(program: LoadedProgram, point: Point, batch: int) -> Point:
    """The same parameters with fresh inputs, targets and masks."""
    rng = np.random.default_rng([point.seed, batch])
    x = rng.standard_normal((batch, *program.input_shape))
    what = f"{point.what}, batch {batch}"
    t = targets(program, rng, batch, 0)
    return replace(point, x=x, t=t, what=what, seed=point.seed + 1000 + batch).rounded()


def advance(
    program: LoadedProgram, others: Iterator[Point], first: Point | None, steps: int
) -> Iterator[Point]:
    """`first` after some steps of training, then with fresh inputs; then `others`, trained and downhill."""
    if first is not None:
        moved = _trained(program, first, steps)
        yield moved
        for fresh in range(3):
            again = replace(moved, seed=moved.seed + 100 * (fresh + 1))
            found = with_batch(program, again, len(moved.x))
            yield replace(found, what=f"{moved.what}, fresh inputs {fresh + 1}")
    for point in others:
        yield _trained(program, point, steps)
        yield _downhill(program, point, steps)


def _trained(program: LoadedProgram, point: Point, steps: int) -> Point:
    """The point after some steps of training; of small steps downhill where training diverges."""
    copy = point.cast(np.float64)
    state = program.module.init_optimizer(copy.parameters)
    before = abs(float(call_loss(program, point)))
    with np.errstate(all="ignore"):
        for step in range(steps):
            program.module.train_step(copy.parameters, copy.x, copy.t, state, seed=step)
    after = abs(float(call_loss(program, copy)))
    finite = all(np.isfinite(value).all() for value in copy.parameters.values())
    if finite and after <= DIVERGED * max(before, np.finfo(np.float64).tiny):
        return replace(copy, what=f"{point.what}, {steps} steps").rounded()
    what = f"{point.what}, training diverged: loss {before:.3g} to {after:.3g} in {steps} steps"
    return _downhill(program, replace(point, what=what), steps)


def _downhill(program: LoadedProgram, point: Point, steps: int) -> Point:
    """The point after steps against the gradient, each a hundredth as long as the parameters are."""
    moved = point.cast(np.float64)
    for _ in range(steps):
        found = gradients(program, moved, np.float64)
        for name in program.module.PARAMETERS:
            values, gradient = moved.parameters[name], found[name]
            slope = float(np.linalg.norm(gradient))
            if np.isfinite(slope) and slope > 0:
                values -= 0.01 * max(float(np.linalg.norm(values)), 0.01) / slope * gradient
    return replace(moved, what=f"{point.what}, {steps} small steps downhill").rounded()


def targets(program: LoadedProgram, rng: np.random.Generator, batch: int, draw: int) -> Array:
    """Targets that the loss is made for, at random."""
    shape = (batch, *program.output_shape)
    if program.target_kind == "labels":
        return rng.integers(0, program.classes, batch)
    wanted = targets_of(program.loss_type)
    if wanted == ONE_HOT:
        return rng.dirichlet(np.ones(shape[-1]), shape[:-1])
    if wanted == SHARES:
        return rng.integers(0, 2, shape).astype(np.float64)
    return rng.standard_normal(shape) if draw % 2 == 0 else rng.uniform(0.05, 0.95, shape)
