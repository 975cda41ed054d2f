"""What estimates of a derivative say of the program's value: one coordinate, or a direction through all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from runtime.differences import Estimate, estimates
from runtime.gradloss import Losses
from runtime.gradpoint import INPUT
from runtime.program import Array

ALONG = 1e-7  # tolerated along a direction, as a share of the gradient's length
EARLY = 1e-9  # an error this small ends the ladder of steps


@dataclass(frozen=True)
class Tally:
    """What became of the sampled coordinates of one tensor."""

    certified: int = 0  # non-zero and within the tolerance
    failed: int = 0
    zero: int = 0  # exactly zero, and the difference agrees
    excused: int = 0  # below the noise
    kinks: int = 0
    worst: float = 0.0


@dataclass(frozen=True)
class Along:
    """What a direction through all coordinates of a tensor says: its error, as a share of the gradient."""

    error: float | None = None  # None: not judged, every step crosses a kink or is noise
    wrong: bool = False

    def joined(self, other: Along) -> Along:
        errors = [e for e in (self.error, other.error) if e is not None]
        return Along(max(errors, default=None), self.wrong or other.wrong)


def unit_of(losses: Losses, name: str) -> float:
    """The size of a tensor's values where they are large: a step must be seen beside them."""
    values = losses.point.x if name == INPUT else losses.point.parameters[name]
    return max(1.0, float(np.sqrt(np.mean(np.square(values)))) / 10) if values.size else 1.0


def along(
    losses: Losses, name: str, gradient: Array, noise: float, seed: int, large: bool, least: float = 0.0
) -> Along:
    """A derivative along a direction that moves all coordinates, by other amounts: no wrong one can hide.

    Its error is a share of the gradient's length, or of `least` where that is greater.
    """
    rng = np.random.default_rng([seed, len(losses.point.x), *name.encode()])
    direction = rng.choice((-1.0, 1.0), gradient.shape) * rng.uniform(0.5, 1.5, gradient.shape)
    length = max(float(np.linalg.norm(gradient.astype(np.float64))), least)
    value = float(np.sum(gradient * direction.astype(gradient.dtype)))
    unit = unit_of(losses, name) / sqrt(max(gradient.size, 1))
    quick = losses.quick(name, direction) if large else None
    best, refuted = np.inf, False
    for estimate in estimates(
        losses.along(name, direction), losses.crossed(name, direction), noise, quick, unit
    ):
        gap = abs(value - estimate.value)
        if not np.isfinite(gap):
            return Along(np.inf, True)
        best = min(best, gap)
        if gap <= (ALONG if large else EARLY) * length:
            break
        refuted = refuted or (estimate.firm and gap > estimate.noise)
    share = best / length if length else best
    if best <= ALONG * length:
        return Along(share)
    return Along(share, True) if refuted else Along()


def judge(tally: Tally, analytic: float, found: Iterable[Estimate], tolerance: float, large: bool) -> Tally:
    """The tally with one more coordinate; for a large network an error well within tolerance is enough."""
    early = tolerance / 4 if large else EARLY
    error, refuted, zero, tried = np.inf, False, False, False
    for estimate in found:
        tried = True
        gap = abs(analytic - estimate.value)
        size = abs(analytic) + abs(estimate.value)
        if not np.isfinite(gap):
            refuted = True
            break
        if analytic == 0 and gap <= estimate.noise:
            zero = True
            break
        error = min(error, gap / size if size else 0.0)
        refuted = refuted or (estimate.firm and gap > estimate.noise)
        if error <= early:
            break
    if not tried:
        return replace(tally, kinks=tally.kinks + 1)
    if zero:
        return replace(tally, zero=tally.zero + 1)
    if error <= tolerance:
        return replace(tally, certified=tally.certified + 1, worst=max(tally.worst, error))
    if not refuted:
        return replace(tally, excused=tally.excused + 1)
    return replace(tally, failed=tally.failed + 1, worst=max(tally.worst, error))
