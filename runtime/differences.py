"""Derivatives of a loss along a line by central differences, as exact as the arithmetic at hand allows.

With h = 1e-5 a float64 difference carries noise of about eps·|E|/h ≈ 1e-11·|E|, which drowns small gradients.
So the loss is evaluated in `np.longdouble` where that is wider than float64, truncation is removed by
Richardson's extrapolation, and a ladder of other steps h follows where 1e-5 does not settle the matter:
smaller ones where ±h crosses a kink, leaves what floats hold or the difference changes with h, larger ones
where it is all noise.  A loss that turns within a step contradicts the gradient there, however right it is:
only a step at which the difference has settled refutes, and every step shorter than it has its say before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite, sqrt
from typing import Any

import numpy as np

H = 1e-5
BELOW = (1e-7, 1e-9, 1e-11)  # where ±1e-5 crosses a kink
SHORT = (1e-7, 1e-9, 1e-11, 1e-13)  # where the difference changes with h, and before anything is refuted
ABOVE = ((1e-3, 3), (1e-2, 5))  # step and levels, where 1e-5 gives noise
UNRESOLVED = 0.1  # of a difference: where it changes by more as h is halved, longer steps say nothing
SETTLED = (
    1e-4  # of a difference: where truncation is more, and more than noise, the loss turns within the step
)
SHAKEN = (1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12)  # of which fourth differences tell the noise of a loss
STAY = 100  # times less: what falls by more as a step falls to a tenth is curvature
WIDE = bool(np.finfo(np.longdouble).eps < 1e-18)
NUMBER: type[np.floating[Any]] = np.longdouble if WIDE else np.float64

Loss = Callable[[float], Any]  # offset along the line → loss
Moved = Callable[[float], bool]  # offset → whether a kink is crossed on the way


@dataclass(frozen=True)
class Estimate:
    """A derivative, the step it was taken with and a bound of its noise, absolute.

    The bound of a `firm` one includes what truncation is left; it can refute where it is `settled`, too: this
    truncation is small.  Any can certify.
    """

    value: float
    h: float
    noise: float
    firm: bool = True
    settled: bool = True


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
    curved = not apart <= 16 * noise / h
    if curved:
        yield from _short(loss, h, unit, noise)
    resolved = apart <= max(16 * noise / h, UNRESOLVED * abs(second))
    if h == unit * H and resolved:
        for larger, levels in ABOVE:
            if crosses(unit * larger):
                break
            yield _richardson(loss, unit * larger, levels, noise)
    if not curved:
        yield from _short(loss, h, unit, noise)


def _short(loss: Loss, h: float, unit: float, noise: float) -> Iterator[Estimate]:
    """The estimates of steps shorter than h."""
    for small in (unit * smaller for smaller in SHORT if unit * smaller < h):
        yield _estimate(central(loss, small), central(loss, small / 2), small, noise)


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
    return _bounded(better, second, h, 4 * noise / h)


def _richardson(loss: Loss, h: float, levels: int, noise: float) -> Estimate:
    """Richardson's table over h, h/2, h/4 …; its noise includes how far its last two levels differ.

    Where steps so long see no slope, the loss may have one all the same, on a short way.
    """
    row: list[Any] = []
    for level in range(levels):
        new = [central(loss, h / 2**level)]
        for k, old in enumerate(row):
            new.append(new[k] + _less(new[k], old) / (4 ** (k + 1) - 1))
        row = new
    found = _bounded(row[-1], row[-2], h, 2 * noise / (h / 2 ** (levels - 1)))
    return replace(found, settled=found.settled and abs(found.value) > found.noise)


def _bounded(value: Any, rougher: Any, h: float, rounding: float) -> Estimate:
    """An estimate and how far it is from one with more truncation."""
    truncation = float(abs(_less(value, rougher)))
    settled = truncation <= max(rounding, SETTLED * float(abs(value)))
    return Estimate(float(value), h, rounding + truncation, settled=settled)


def loss_noise(
    along: Callable[[float], Any],
    steps: tuple[float, ...] = SHAKEN,
    size: float = 0.0,
    rounded: float = 0.0,
) -> float:
    """The noise of one value of a loss that is smooth along a line, from its fourth differences.

    Fourth differences over so short a way are all rounding: what a program computes to float64 only (erf,
    say) shows here, whatever type it returns.  Those of a curve fall by 1e4 as a step falls to a tenth; where
    they stay, the loss goes by stairs as wide as that (1 − y of a y that is nearly 1), unless they are large:
    then it turns within the step, and nothing is known of it where it does so within the shortest.  Never
    less than four units in the last place of the loss, or of a `size`: numbers so large may cancel to a loss
    that is 0, and always the same, at every step.  Nor than by how much it changes as numbers are `rounded`.
    """
    centre = along(0.0)
    unit = float(np.finfo(centre.dtype if isinstance(centre, np.floating) else np.float64).eps)
    large = max(float(abs(centre)), size)
    found = []
    for step in steps:
        values = np.array([along(k * step) for k in range(-4, 5)])
        with np.errstate(invalid="ignore"):
            fourth = float((np.abs(np.diff(values, 4)) / NUMBER(sqrt(70.0))).max())
        found += [fourth] if isfinite(fourth) else []
    stairs = [max(a, b) for a, b in pairwise(found) if a <= STAY * b]
    least, most = max(min(found, default=np.inf), rounded), unit / SHORT[-1] * large
    if size and least > most:
        return np.inf
    return 4 * max(least, unit * large, *(noise for noise in stairs if noise <= most))
