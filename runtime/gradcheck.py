"""The check of a program's gradients: analytic in float64 against central differences of its loss.

A coordinate is certified when the symmetric relative error |a − n| / (|a| + |n|) is within the tolerance.
Noise may excuse a coordinate, never certify it: at least half of a tensor's sampled coordinates must be
non-zero and certified, or the tensor counts as not exercised, which is a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.differences import NUMBER, WIDE, Estimate, estimates, loss_noise
from runtime.gradpoint import Point, advance, branches, call_loss, gradients, points
from runtime.gradreport import GradientReport, GradientRow
from runtime.program import Array, Program

TOLERANCE = 1e-7
EARLY = 1e-9  # an error this small ends the ladder of steps
LARGE = 200_000  # parameters from which on differences are first taken in float64: the wide loss takes long
FULL_CHECKS = 4  # points that are checked in full before "not exercised" is the verdict
DRAWS = 30
LIVE = 1e-7 if WIDE else 1e-4  # a point where gradients exceed this is preferred: well above noise
ENOUGH = 0.5  # share of sampled coordinates that must be non-zero and certified
INPUT = "x"


@dataclass(frozen=True)
class Tally:
    """What became of the sampled coordinates of one tensor."""

    certified: int = 0  # non-zero and within the tolerance
    failed: int = 0
    zero: int = 0  # exactly zero, and the difference agrees
    excused: int = 0  # below the noise
    kinks: int = 0
    worst: float = 0.0


def check_gradients(
    program: Program,
    *,
    seed: int = 0,
    steps: int = 5,
    samples: int = 24,
    batch: int = 4,
    tolerance: float = TOLERANCE,
    draws: int = DRAWS,
) -> GradientReport:
    """The check at a starting point and after `steps` steps of training, for every parameter and the input.

    Up to `samples` coordinates a tensor are drawn (all of a smaller tensor), at Gaussian inputs of `batch`
    samples.  Starting points are drawn until one exercises every tensor, the program's own initialisation
    first.
    """
    rows: list[GradientRow] = []
    notes = []
    after = f"after {steps} steps"
    start: Point | None = None
    for stage in ("initial", after) if steps > 0 else ("initial",):
        candidates = points(program, seed, batch, draws)
        if stage == after:
            candidates = advance(program, candidates, start, steps)
        point, found = _stage(program, stage, candidates, samples, seed, tolerance)
        start = point if stage == "initial" else start
        rows += found
        notes.append(f"{stage}: {point.what}")
    return GradientReport(program.name, tuple(rows), tuple(notes), seed, batch, WIDE)


def _stage(
    program: Program, stage: str, candidates: Iterator[Point], samples: int, seed: int, tolerance: float
) -> tuple[Point, list[GradientRow]]:
    """The rows of the first candidate that exercises every tensor; of the best one when none does.

    A wrong gradient ends the search: it is no matter of the point.
    """
    best: tuple[float, Point] | None = None
    outcome: tuple[Point, list[GradientRow]] | None = None
    checked = 0
    for point in candidates:
        share = _live_share(program, point, samples, seed)
        if best is None or share > best[0]:
            best = (share, point)
        if share < ENOUGH:
            continue
        rows = _check_point(program, stage, point, samples, seed, tolerance)
        verdicts = {row.verdict for row in rows}
        checked += 1
        if verdicts == {"pass"} or "fail" in verdicts or checked == FULL_CHECKS:
            return point, rows
        outcome = outcome or (point, rows)
    if outcome is not None:
        return outcome
    if best is None:
        raise ValueError("no starting point")
    return best[1], _check_point(program, stage, best[1], samples, seed, tolerance)


def _live_share(program: Program, point: Point, samples: int, seed: int) -> float:
    """The smallest share, over all tensors, of sampled coordinates whose gradient is well above noise."""
    try:
        found = gradients(program, point, np.float64)
    except FloatingPointError:
        return -1.0
    shares = []
    for name, gradient in found.items():
        flat = gradient.ravel()[_coordinates(name, gradient, samples, seed)]
        if not np.isfinite(gradient).all():
            return -1.0
        shares.append(float(np.mean(np.abs(flat) > LIVE)))
    return min(shares)


def _coordinates(name: str, gradient: Array, samples: int, seed: int) -> NDArray[np.int64]:
    """Flat indices to check, seeded: half are drawn from the values well above noise, and half from all.

    A gradient may be zero by its position: max-pooling reads one value of four, a stride leaves pixels out,
    an entry of a wide kernel reads nothing but padding.
    """
    size = gradient.size
    rng = np.random.default_rng([seed, *name.encode()])
    if size <= samples:
        return np.arange(size)
    chosen = rng.choice(size, samples, replace=False)
    live = np.setdiff1d(np.flatnonzero(np.abs(gradient.ravel()) > LIVE), chosen[samples // 2 :])
    if live.size >= samples // 2:
        chosen[: samples // 2] = rng.choice(live, samples // 2, replace=False)
    return np.sort(chosen)


def _check_point(
    program: Program, stage: str, point: Point, samples: int, seed: int, tolerance: float
) -> list[GradientRow]:
    analytic = gradients(program, point, np.float64)
    wide = gradients(program, point, NUMBER) if WIDE else analytic
    exact = point.cast(NUMBER)
    here = branches(program, point)
    large = sum(value.size for value in exact.parameters.values()) > LARGE
    noise = _noise(program, exact, seed)
    rows = []
    for name, gradient in analytic.items():
        where = _coordinates(name, gradient, samples, seed)
        tally = Tally()
        for index in where:
            along = _along(program, exact, name, int(index), call_loss)
            crossed = None
            if here.size:
                crossed = _along(program, point, name, int(index), partial(_crossed, here))
            value = float(gradient.flat[index])
            # float64 rounding of the analytic gradient itself, seen by computing it again, wider
            rounding = 4 * abs(float(wide[name].flat[index] - gradient.flat[index]))
            quick = _along(program, point, name, int(index), call_loss) if large and value else None
            tally = _judge(tally, value, rounding, estimates(along, crossed, noise, quick), tolerance, large)
        rows.append(
            GradientRow(
                stage=stage,
                tensor=name,
                shape=gradient.shape,
                sampled=len(where),
                nonzero=tally.certified,
                zero=tally.zero,
                excused=tally.excused,
                kinks=tally.kinks,
                worst_error=tally.worst,
                tolerance=tolerance,
                verdict=_verdict(tally, len(where)),
            )
        )
    return rows


def _judge(
    tally: Tally,
    analytic: float,
    rounding: float,
    found: Iterable[Estimate],
    tolerance: float,
    large: bool,
) -> Tally:
    """The tally with one more coordinate; for a large network an error well within tolerance is enough."""
    early = tolerance / 4 if large else EARLY
    error, refuted, zero, tried = np.inf, False, False, False
    for estimate in found:
        tried = True
        gap = abs(analytic - estimate.value)
        size = abs(analytic) + abs(estimate.value)
        bound = estimate.noise + rounding
        if not np.isfinite(gap):
            refuted = True
            break
        if analytic == 0 and gap <= bound:
            zero = True
            break
        error = min(error, gap / size if size else 0.0)
        refuted = refuted or (estimate.firm and gap > bound)
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


def _verdict(tally: Tally, sampled: int) -> str:
    if tally.failed:
        return "fail"
    return "pass" if tally.certified >= ENOUGH * sampled else "not exercised"


def _along(
    program: Program, point: Point, name: str, index: int, function: Callable[[Program, Point], Any]
) -> Callable[[float], Any]:
    """`function` at `point` with one coordinate moved by an offset; the point is left as it was."""
    array = point.x if name == INPUT else point.parameters[name]
    centre = array.flat[index]

    def value(offset: float) -> Any:
        array.flat[index] = centre + array.dtype.type(offset)
        try:
            return function(program, point)
        finally:
            array.flat[index] = centre

    return value


def _crossed(here: NDArray[np.bool_], program: Program, point: Point) -> bool:
    return not np.array_equal(branches(program, point), here)


def _noise(program: Program, exact: Point, seed: int) -> float:
    """The noise of one loss value, seen along a random direction through all parameters."""
    rng = np.random.default_rng([seed, 4])
    direction = {name: rng.choice((-1.0, 1.0), shape) for name, shape in program.module.PARAMETERS.items()}

    def along(offset: float) -> Any:
        moved = {
            name: value + NUMBER(offset) * direction[name] if name in direction else value
            for name, value in exact.parameters.items()
        }
        return call_loss(program, replace(exact, parameters=moved))

    return loss_noise(along)
