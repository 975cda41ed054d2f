"""A walk down a slope in floats: θ ← θ − λ ∂E/∂θ, again and again, until it is done, lost or at its limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Place = tuple[float, ...]
FAR: Final = 1e100
PICTURED: Final = 300  # places of a walk that a picture takes


@dataclass(frozen=True)
class Walk:
    """The places of a walk, the start first, and how it ended.

    "done": at its goal; "lost": beyond all bounds or where the function is not defined; "short": neither
    after all its steps.
    """

    places: tuple[Place, ...]
    end: Literal["done", "lost", "short"]

    @property
    def steps(self) -> int:
        return len(self.places) - 1

    @property
    def last(self) -> Place:
        return self.places[-1]

    def axis(self, number: int) -> tuple[float, ...]:
        """Return one coordinate of the places in a picture: all of a short walk, ever fewer of a long one."""
        chosen = list(range(len(self.places)))
        if len(chosen) > PICTURED:
            ratio = len(self.places) ** (1 / PICTURED)
            chosen = sorted({0, *(min(int(ratio**k), self.steps) for k in range(PICTURED + 1))})
        return tuple(self.places[k][number] for k in chosen)


def walk(
    slopes: Callable[[Place], Sequence[float]],
    start: Place,
    rate: float,
    most: int,
    done: Callable[[Place, Sequence[float]], bool],
) -> Walk:
    """Return the walk of at most so many steps; ``done`` is told a place and the slopes there."""
    places = [start]
    try:
        for _step in range(most):
            here = places[-1]
            down = slopes(here)
            if done(here, down):
                return Walk(tuple(places), "done")
            there = tuple(a - rate * b for a, b in zip(here, down, strict=True))
            if not all(math.isfinite(a) and abs(a) < FAR for a in there):
                return Walk(tuple(places), "lost")
            places.append(there)
        return Walk(tuple(places), "done" if done(places[-1], slopes(places[-1])) else "short")
    except (ValueError, ZeroDivisionError, OverflowError, TypeError):  # no slope at the last place
        return Walk(tuple(places[:-1] or places), "lost")
