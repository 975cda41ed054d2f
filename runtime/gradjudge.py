"""What estimates of a derivative say of the program's value: one coordinate, or a direction through all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from chainrule.runtime.differences import Estimate, H, central, estimates, extrapolated
from chainrule.runtime.gradloss import Losses
from chainrule.runtime.trainer import Array

ALONG = 1e-7  # tolerated along a direction, as a share of the gradient's length
SURE = 4  # times the noise of the sharpest estimate: a value so far from it is wrong
LONG = 64  # times as long as others are the steps of a second glance
REFUTED = 4  # wrong coordinates after which no more are looked at
EARLY = 1e-9  # an error this small ends the ladder of steps, of a large network one well within tolerance


@dataclass(frozen=True)
class Tally:
    """What became of the sampled coordinates of one tensor."""

    certified: int = 0  # non-zero and within the tolerance
    failed: int = 0
    zero: int = 0  # exactly zero, and the difference agrees
    excused: int = 0  # below the noise
    kinks: int = 0
    worst: float = 0.0

    @property
    def looked(self) -> int:
        return self.certified + self.failed + self.zero + self.excused + self.kinks

    def certify(self, error: float) -> Tally:
        return replace(self, certified=self.certified + 1, worst=max(self.worst, error))


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
    values = losses.values(name)
    return max(1.0, float(np.sqrt(np.mean(np.square(values)))) / 10) if values.size else 1.0


def glances(losses: Losses, name: str, direction: Array | int, unit: float) -> Iterator[float]:
    """A derivative by the program in float64, whatever kinks are on the way: it can certify, never refute.

    The second takes steps so much longer that it shows gradients which the first leaves in noise.
    """
    loss, long = losses.quick(name, direction), LONG * unit * H
    yield float(central(loss, unit * H))
    yield float(extrapolated(central(loss, long), central(loss, long / 2)))


def still(losses: Losses, name: str, places: Array, noise: float, seed: int) -> bool:
    """Whether the loss stays as it is, but for noise, when some values of a tensor move, by other amounts.

    Then the derivative in each of them is 0; where a kink is on the way, this says nothing of them.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    direction = np.zeros(losses.values(name).shape)
    direction.flat[places] = rng.choice((-1.0, 1.0), places.size) * rng.uniform(1, 2, places.size)
    h = unit_of(losses, name) * H
    crossed = losses.crossed(name, direction)
    if crossed is not None and (crossed(h) or crossed(-h)):
        return False
    return bool(abs(central(losses.along(name, direction), h)) <= noise / h)


def along(
    losses: Losses,
    name: str,
    gradient: Array,
    noise: Callable[[], float],
    seed: int,
    large: bool,
    least: float = 0.0,
) -> Along:
    """A derivative along a direction that moves all coordinates, by other amounts: no wrong one can hide.

    Its error is a share of the gradient's length, or of `least` where that is greater.
    """
    rng = np.random.default_rng([seed, len(losses.point.x), *name.encode()])
    direction = rng.choice((-1.0, 1.0), gradient.shape) * rng.uniform(0.5, 1.5, gradient.shape)
    length = max(float(np.linalg.norm(gradient.astype(np.float64))), least)
    value = float(np.sum(gradient * direction.astype(gradient.dtype)))
    unit = unit_of(losses, name) / sqrt(max(gradient.size, 1))
    if not np.isfinite(value):
        return Along(np.inf, True)
    best, found = np.inf, list[Estimate]()
    for quick in glances(losses, name, direction, unit) if large else ():
        gap = abs(value - quick)
        if gap <= ALONG * length:
            return Along(gap / length if length else gap)
    for estimate in estimates(losses.along(name, direction), losses.crossed(name, direction), noise(), unit):
        gap = abs(value - estimate.value)
        found.append(estimate)
        if value == 0 and any(refuted([e], value) for e in found):
            continue  # a step may be too short to see anything
        best = min(best, gap)
        if gap <= (ALONG if large else EARLY) * length:
            break
    share = best / length if length else best
    if best <= ALONG * length:
        return Along(share)
    return Along(share, True) if refuted(found, value) else Along()


def coordinates(
    losses: Losses,
    name: str,
    gradient: Array,
    where: NDArray[np.int64],
    noise: Callable[[], float],
    tolerance: float,
    seed: int,
    large: bool,
) -> Tally:
    """What becomes of some coordinates: those where the gradient is 0 together, the others one by one."""
    tally, unit = Tally(), unit_of(losses, name)
    early = tolerance / 4 if large else EARLY
    zero = where[gradient.flat[where] == 0]
    if zero.size and still(losses, name, zero, noise(), seed):
        tally, where = replace(tally, zero=zero.size), np.setdiff1d(where, zero)
    for index in map(int, where):
        value = float(gradient.flat[index])
        quick = glances(losses, name, index, unit) if large and value else ()
        error = next((e for e in (relative_error(value, g) for g in quick) if e <= early), None)
        if error is not None:
            tally = tally.certify(error)
            continue
        found = estimates(losses.along(name, index), losses.crossed(name, index), noise(), unit)
        tally = judge(tally, value, found, tolerance, early)
        if tally.failed == REFUTED:
            break
    return tally


def judge(
    tally: Tally, analytic: float, found: Iterable[Estimate], tolerance: float, early: float = EARLY
) -> Tally:
    """The tally with one more coordinate; an error of at most `early` is enough."""
    if not np.isfinite(analytic):
        return replace(tally, failed=tally.failed + 1, worst=np.inf)
    error, looked = np.inf, list[Estimate]()
    for estimate in found:
        looked.append(estimate)
        if analytic == 0:
            if abs(estimate.value) <= estimate.noise and not any(refuted([e], 0.0) for e in looked):
                return replace(tally, zero=tally.zero + 1)
            continue
        error = min(error, relative_error(analytic, estimate.value))
        if error <= early:
            break
    if not looked:
        return replace(tally, kinks=tally.kinks + 1)
    if error <= tolerance:
        return tally.certify(error)
    if not refuted(looked, analytic):
        return replace(tally, excused=tally.excused + 1)
    return replace(tally, failed=tally.failed + 1, worst=max(tally.worst, error))


def refuted(found: Iterable[Estimate], value: float) -> bool:
    """Whether estimates of a derivative refute a value: the two sharpest that no shorter step's denies do.

    Where a loss turns within a step, differences know nothing of the derivative, and nothing of their error:
    shorter ones tell, be they settled or not.
    """
    firm = [estimate for estimate in found if estimate.firm]

    def denied(estimate: Estimate) -> bool:
        return any(
            short.h < estimate.h and abs(short.value - estimate.value) > short.noise + estimate.noise
            for short in firm
        )

    trusted = [estimate for estimate in firm if estimate.settled and not denied(estimate)]
    sharpest = sorted(trusted, key=lambda estimate: estimate.noise)[:2]
    return bool(sharpest) and all(abs(value - e.value) > SURE * e.noise for e in sharpest)


def relative_error(analytic: float, difference: float) -> float:
    """The symmetric relative error |a − n| / (|a| + |n|); 0 where both are 0."""
    size = abs(analytic) + abs(difference)
    return abs(analytic - difference) / size if size else 0.0
