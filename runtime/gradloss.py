"""The loss around a point, along a coordinate or a direction of one tensor: by equations or by the program.

The program's own loss would certify that the program agrees with itself.  So a `Reference`, where one is
given, evaluates the network's equations, where these take few operations, and the program is held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any, Protocol

import numpy as np

from chainrule.runtime.differences import NUMBER, SHAKEN, WIDE, loss_noise
from chainrule.runtime.gradpoint import INPUT, Point, branches, call_loss
from chainrule.runtime.gradreport import FAIL, INTERPRETER, LOSS, OUTPUT, PASS, PROGRAM, GradientRow
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.trainer import Array, Parameters

EXACT, ROUNDED = 1e-12, 1e-9  # the program's loss and output against the equations', wide and in float64


class Evaluated(Protocol):
    """The equations at a point.  A `doubt` bounds the rounding, of the loss or of the output."""

    loss: Any
    loss_doubt: float
    size: float  # of the largest number that the loss is made of
    output: Array  # in evaluation
    output_doubt: Array

    def after(self, changed: Iterable[str]) -> Any:
        """The loss once these tensors of the point have been changed in place."""
        ...


class Reference(Protocol):
    """A network's own equations, evaluated without its program."""

    zero: frozenset[str]  # tensors of which the gradient is 0, by derivation

    def affords(self, batch: int) -> bool:
        """Whether the loss of a batch takes so few operations that differences can be taken of it."""
        ...

    def compares(self, batch: int) -> bool:
        """Whether the loss of a batch can be evaluated once or twice."""
        ...

    def at(self, parameters: Parameters, x: Array, t: Array, draw: Callable[..., Array]) -> Evaluated:
        """The equations at a point; `draw` gives the masks, by number, probability and shape."""
        ...

    def reached(self, name: str, batch: int) -> Array:
        """Which values of a tensor any equation reads on the way to the loss."""
        ...


class Losses:
    """The loss at a point in the widest floats; moving along a line leaves the point as it was."""

    def __init__(self, program: LoadedProgram, point: Point, reference: Reference | None) -> None:
        self.program, self.point = program, point
        self.exact = here = point.cast(NUMBER)
        batch = len(point.x)
        compares = reference is not None and reference.compares(batch)
        self.equations = (
            reference.at(here.parameters, here.x, here.t, self._draw) if reference and compares else None
        )
        self.by = INTERPRETER if reference and compares and reference.affords(batch) else PROGRAM
        self._here = branches(program, point)

    def _draw(self, number: int, probability: float, shape: tuple[int, ...]) -> Array:
        """A mask as the program draws it: that is data, not mathematics."""
        draw: Callable[..., Array] = self.program.module.draw  # type: ignore[attr-defined]
        return draw(self.point.seed, number, probability, out=np.empty(shape, bool))

    def values(self, name: str) -> Array:
        """The values of a tensor at the point, in float64."""
        return _values(self.point, name)

    def along(self, name: str, direction: Array | int) -> Callable[[float], Any]:
        """The loss as a function of how far one tensor is moved along a direction, or a flat index."""
        if self.by == INTERPRETER and self.equations is not None:
            after = self.equations.after
            return _line(self.exact, name, direction, lambda: after((name,)))
        return _line(self.exact, name, direction, lambda: call_loss(self.program, self.exact))

    def quick(self, name: str, direction: Array | int) -> Callable[[float], Any]:
        """The same by the program in float64."""
        return _line(self.point, name, direction, lambda: call_loss(self.program, self.point))

    def crossed(self, name: str, direction: Array | int) -> Callable[[float], bool] | None:
        """Whether a kink lies on the way, as a function of the offset; None for a smooth network."""
        if not self._here.size:
            return None

        def differ() -> bool:
            return not np.array_equal(branches(self.program, self.point), self._here)

        return _line(self.point, name, direction, differ)

    def compared(self, stage: str) -> list[GradientRow]:
        """The program's loss, and its output in evaluation, against the equations'."""
        if self.equations is None:
            return []
        wide = WIDE and self.program.wide
        module, here = self.program.module, self.exact if wide else self.point
        tolerance = EXACT if wide else ROUNDED
        with np.errstate(all="ignore"):
            output = module.predict(here.parameters, here.x)
        pairs = (
            (LOSS, call_loss(self.program, here), self.equations.loss, self.equations.loss_doubt),
            (OUTPUT, output, self.equations.output, self.equations.output_doubt),
        )
        rows = []
        for name, value, expected, doubt in pairs:
            found, right = np.asarray(value, NUMBER), np.asarray(expected, NUMBER)
            if not np.isfinite(doubt).all():
                continue  # beyond what floats hold
            size = float(np.abs(right).max(initial=0))
            with np.errstate(all="ignore"):
                gap = np.abs(found - right)
                good = found.shape == right.shape and bool((gap <= tolerance * size + doubt).all())
            worst = float(gap.max(initial=0)) / size if size else float(gap.max(initial=0))
            worst = worst if np.isfinite(worst) else np.inf
            verdict = PASS if good else FAIL
            rows.append(
                GradientRow(
                    stage,
                    name,
                    right.shape,
                    tolerance,
                    self.by,
                    right.size,
                    worst_error=worst,
                    verdict=verdict,
                )
            )
        return rows

    def noise(self, seed: int, large: bool) -> float:
        """The noise of one value of the loss, seen along a random direction through all parameters.

        And by every number of the point moved by what the widest floats round it: of values so large that
        they swallow a step, nothing else shows that the loss goes by stairs.
        """
        rng = np.random.default_rng([seed, 4])
        shapes = self.program.module.PARAMETERS
        direction = {name: rng.choice((-1.0, 1.0), shape) for name, shape in shapes.items()}

        def along(offset: float) -> Any:
            return self._moved({name: NUMBER(offset) * values for name, values in direction.items()})

        everything = {name: _values(self.exact, name) for name in (*shapes, INPUT)}
        unit = np.finfo(NUMBER).eps
        rounding = {
            name: values * (unit * rng.choice((-1, 1), values.shape)) for name, values in everything.items()
        }
        with np.errstate(invalid="ignore"):
            rounded = float(abs(self._moved(rounding) - along(0.0)))
        size = self.equations.size if self.equations is not None else 0.0
        steps = (1e-11,) if large else SHAKEN
        return loss_noise(along, steps, size, rounded if isfinite(rounded) else 0.0)

    def _moved(self, changes: dict[str, Array]) -> Any:
        """The loss where tensors are moved by so much, all at once."""
        centre = {name: _values(self.exact, name).copy() for name in changes}
        for name, change in changes.items():
            _values(self.exact, name)[...] = centre[name] + change
        try:
            if self.by == INTERPRETER and self.equations is not None:
                return self.equations.after(changes)
            return call_loss(self.program, self.exact)
        finally:
            for name, values in centre.items():
                _values(self.exact, name)[...] = values


def _values(point: Point, name: str) -> Array:
    return point.x if name == INPUT else point.parameters[name]


def _line(
    point: Point, name: str, direction: Array | int, value: Callable[[], Any]
) -> Callable[[float], Any]:
    array = _values(point, name)
    place: Any = ... if isinstance(direction, np.ndarray) else np.unravel_index(direction, array.shape)
    step = direction if isinstance(direction, np.ndarray) else 1
    centre = np.array(array[place])

    def at(offset: float) -> Any:
        array[place] = centre + array.dtype.type(offset) * step
        try:
            return value()
        finally:
            array[place] = centre

    return at
