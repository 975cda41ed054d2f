"""Derivatives of a loss along a line by central differences, as exact as the arithmetic at hand allows.

With h = 1e-5 a float64 difference carries noise of about eps·|E|/h ≈ 1e-11·|E|, which drowns small gradients.
So the loss is evaluated in `np.longdouble` where that is wider than float64, truncation is removed by
Richardson's extrapolation, and a ladder of other steps h follows where 1e-5 does not settle the matter:
smaller ones where ±h crosses a kink, leaves what floats hold or the difference changes with h, larger ones
where it is all noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

import numpy as np

H = 1e-5
BELOW = (1e-7, 1e-9, 1e-11)  # where ±1e-5 crosses a kink
CURVED = (1e-7, 1e-9, 1e-11, 1e-13)  # where the difference changes with h
ABOVE = ((1e-3, 3), (1e-2, 5))  # step and levels, where 1e-5 gives noise
UNRESOLVED = 0.1  # of a difference: where it changes by more as h is halved, longer steps say nothing
WIDE = bool(np.finfo(np.longdouble).eps < 1e-18)
NUMBER: type[np.floating[Any]] = np.longdouble if WIDE else np.float64

Loss = Callable[[float], Any]  # offset along the line → loss
Moved = Callable[[float], bool]  # offset → whether a kink is crossed on the way


@dataclass(frozen=True)
class Estimate:
    """A derivative, the step it was taken with and a bound of its noise, absolute.

    A `firm` one's bound includes what truncation is left, so that it can refute; any can certify.
    """

    value: float
    h: float
    noise: float
    firm: bool = True


def estimates(loss: Loss, crossed: Moved | None, noise: float, unit: float = 1.0) -> Iterator[Estimate]:
    """Ever more careful estimates of the derivative at 0, none at all where every step crosses a kink.

    `noise` is the noise of one value of the loss, `crossed` is None for smooth networks; every step is
    multiplied by `unit`.  Steps that end where the loss is infinite give no estimate, and longer ones none.
    """
    return (found for found in _ladder(loss, crossed, noise, unit) if isfinite(found.value))


def _ladder(loss: Loss, crossed: Moved | None, noise: float, unit: float) -> Iterator[Estimate]:
    def crosses(h: float) -> bool:
        return crossed is not None and (crossed(h) or crossed(-h))

    h = next((unit * h for h in (H, *BELOW) if not crosses(unit * h)), None)
    if h is None:
        return
    first = central(loss, h)
    yield Estimate(float(first), h, noise / h, firm=False)
    second = central(loss, h / 2)
    yield _estimate(first, second, h, noise)
    apart = abs(_less(first, second))
    if not apart <= 16 * noise / h:
        for small in (unit * smaller for smaller in CURVED if unit * smaller < h):
            yield _estimate(central(loss, small), central(loss, small / 2), small, noise)
    resolved = apart <= max(16 * noise / h, UNRESOLVED * abs(second))
    if h < unit * H or not resolved:
        return
    for larger, levels in ABOVE:
        if crosses(unit * larger):
            return
        yield _richardson(loss, unit * larger, levels, noise)


def central(loss: Loss, h: float) -> Any:
    """The central difference of a loss at 0, with steps of h."""
    return _less(loss(h), loss(-h)) / (2 * NUMBER(h))


@np.errstate(invalid="ignore", over="ignore")
def _less(first: Any, second: Any) -> Any:
    """What is left of the first number less the second, of infinities nothing."""
    return first - second


def extrapolated(first: Any, second: Any) -> Any:
    """The derivative from the central differences at h and h/2."""
    return _less(4 * second, first) / 3


def _estimate(first: Any, second: Any, h: float, noise: float) -> Estimate:
    better = extrapolated(first, second)
    return Estimate(float(better), h, 4 * noise / h + float(abs(_less(better, second))))


def _richardson(loss: Loss, h: float, levels: int, noise: float) -> Estimate:
    """Richardson's table over h, h/2, h/4 …; its noise includes how far its last two levels differ."""
    row: list[Any] = []
    for level in range(levels):
        new = [central(loss, h / 2**level)]
        for k, old in enumerate(row):
            new.append(new[k] + _less(new[k], old) / (4 ** (k + 1) - 1))
        row = new
    smallest = h / 2 ** (levels - 1)
    return Estimate(float(row[-1]), h, 2 * noise / smallest + float(abs(_less(row[-1], row[-2]))))


def loss_noise(
    along: Callable[[float], Any], steps: tuple[float, ...] = (1e-9, 1e-11), size: float = 0.0
) -> float:
    """The noise of one value of a loss that is smooth along a line, from its fourth differences.

    Fourth differences over so short a way are all rounding: what a program computes to float64 only (erf,
    say) shows here, whatever type it returns.  Never less than four units in the last place of the loss, or
    of a `size`: numbers so large may cancel to a loss that is 0, and always the same, at every step.
    """
    centre = along(0.0)
    found = []
    for step in steps:
        values = np.array([along(k * step) for k in range(-4, 5)])
        with np.errstate(invalid="ignore"):
            fourth = np.abs(np.diff(values, 4)) / NUMBER(sqrt(70.0))
        found.append(float(fourth.max()))
    least = min((value for value in found if isfinite(value)), default=np.inf)
    unit = float(np.finfo(centre.dtype if isinstance(centre, np.floating) else np.float64).eps)
    return 4 * max(least, unit * max(float(abs(centre)), size))
