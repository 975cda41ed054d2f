"""The check of a program's gradients, against central differences of its loss and in every float type.

Of each tensor some coordinates are looked at one by one: one is certified when the symmetric relative error
|a − n| / (|a| + |n|) is within the tolerance.  Noise may excuse a coordinate, never certify it: at least half
of the sampled coordinates must be non-zero and certified, or the tensor counts as not exercised, which is a
failure.  All coordinates are looked at together along random directions, at two batch sizes, and each of them
in float32, float64 and wider.  The loss is that of the network's equations where a reference affords it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from chainrule.runtime.differences import NUMBER, WIDE
from chainrule.runtime.gradjudge import Along, Tally, along, coordinates
from chainrule.runtime.gradloss import Losses, Reference
from chainrule.runtime.gradpoint import INPUT, Point, advance, call_loss, gradients, points, with_batch
from chainrule.runtime.gradprecision import Agreement, agreements
from chainrule.runtime.gradreport import (
    FAIL,
    LOSS,
    OUTPUT,
    PASS,
    UNEXERCISED,
    ZERO,
    GradientReport,
    GradientRow,
)
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.trainer import Array

TOLERANCE = 1e-7
NOTHING = (
    1e-12 if WIDE else 1e-9
)  # of the largest gradient: a gradient that is 0 by derivation may be so much
LARGE = 200_000  # parameters from which on differences are first taken in float64: the wide loss takes long
DOUBTFUL = 3  # points that do not exercise every tensor, after which the best of them will do
MOST_POINTS = 12  # that are looked at before "not exercised" is the verdict
DRAWS = 48
LIVE = 1e-7 if WIDE else 1e-4  # of the loss: a point where gradients exceed this is preferred, above noise
ENOUGH = 0.5  # share of sampled coordinates that must be non-zero and certified
UNSEEN = 0.005  # of a tensor's values may be zero at every point
MOST_FURTHER = 4  # points that are looked at for those that were
MOST_SAMPLES = 33  # of the second, larger batch


@dataclass(frozen=True)
class Check:
    """What is checked, and how."""

    program: LoadedProgram
    reference: Reference | None
    seed: int
    samples: int
    batch: int
    tolerance: float

    @property
    def zero(self) -> frozenset[str]:
        return self.reference.zero if self.reference else frozenset()

    def reached(self, name: str, batch: int | None = None) -> Array:
        """Which values of a tensor may matter to the loss; all of them without a reference to tell."""
        batch = batch if batch and name == INPUT else self.batch
        if self.reference is not None:
            return np.array(self.reference.reached(name, batch))
        inputs = (batch, *self.program.input_shape)
        return np.ones(inputs if name == INPUT else self.program.module.PARAMETERS[name], bool)

    @property
    def large(self) -> bool:
        return sum(int(np.prod(shape)) for shape in self.program.module.PARAMETERS.values()) > LARGE


def check_gradients(
    program: LoadedProgram,
    *,
    seed: int = 0,
    steps: int = 5,
    samples: int = 24,
    batch: int = 4,
    tolerance: float = TOLERANCE,
    draws: int = DRAWS,
    reference: Reference | None = None,
) -> GradientReport:
    """The check at a starting point and after `steps` steps of training, for every parameter and the input.

    Up to `samples` coordinates a tensor are drawn (all of a smaller tensor), others at each stage, at
    Gaussian inputs of `batch` samples.  Starting points are drawn until one exercises every tensor, the
    program's own initialisation first.  The last stage looks at a larger batch, too.
    """
    check = Check(program, reference, seed, samples, batch, tolerance)
    rows: list[GradientRow] = []
    notes = []
    stages = ("initial", f"after {steps} steps") if steps > 0 else ("initial",)
    start: Point | None = None
    for number, stage in enumerate(stages):
        candidates = points(program, seed, batch, draws)
        if number:
            candidates = advance(program, candidates, start, steps)
        looked, found = _stage(replace(check, seed=seed + 1000 * number), stage, candidates)
        start = looked[0] if start is None else start
        notes.append(f"{stage}: {'; '.join(point.what for point in looked)}")
        if stage == stages[-1]:
            for point, names in _further(check, looked):
                if any(row.verdict == FAIL for row in found):
                    break
                found = _with_point(check, point, found, names)
                notes.append(f"along directions: {point.what}")
        rows += found
    return GradientReport(program.name, tuple(rows), tuple(notes), seed, batch, WIDE, program.target)


def _stage(check: Check, stage: str, candidates: Iterable[Point]) -> tuple[list[Point], list[GradientRow]]:
    """The points that were looked at, and a row of every tensor: of the first point that exercises it.

    One that exercises all of them is looked for first.  A wrong gradient ends the search: it is no matter of
    the point.
    """
    pending = [*check.program.module.PARAMETERS, INPUT]
    rows: dict[str, GradientRow] = {}
    looked: list[Point] = []
    best: tuple[list[str], Point] | None = None
    for tried, point in enumerate(candidates, 1):
        live = _live_names(check, point, pending)
        if best is None or len(live) > len(best[0]):
            best = (live, point)
        if live != pending and tried < DOUBTFUL:
            continue
        if live != pending and not looked:
            live, point = pending, best[1]
        if live:
            looked.append(point)
            _collect(rows, _check_point(check, stage, point, live))
            pending = [name for name in pending if name not in rows or not rows[name].passed]
        if not pending or len(looked) == MOST_POINTS or any(row.verdict == FAIL for row in rows.values()):
            break
    missing = [name for name in pending if name not in rows]
    if missing and best is not None:
        looked.append(best[1])
        _collect(rows, _check_point(check, stage, best[1], missing))
    order = [LOSS, OUTPUT, *check.program.module.PARAMETERS, INPUT]
    return looked, sorted(rows.values(), key=lambda row: order.index(row.tensor))


def _collect(rows: dict[str, GradientRow], found: Iterable[GradientRow]) -> None:
    """Take the rows of tensors that have not passed yet; of the program's values the worst."""
    for row in found:
        before = rows.get(row.tensor)
        worse = row.tensor in (LOSS, OUTPUT) and before is not None and before.worst_error > row.worst_error
        if not worse and (before is None or not before.passed or row.tensor in (LOSS, OUTPUT)):
            rows[row.tensor] = row


def _live_names(check: Check, point: Point, names: list[str]) -> list[str]:
    """The tensors with enough sampled gradients well above noise; none where any is infinite."""
    found = gradients(check.program, point, np.float64)
    if not all(np.isfinite(gradient).all() for gradient in found.values()):
        return []
    live = _live(check, point)

    def share(name: str) -> float:
        where = _coordinates(check, name, found[name], live)
        return float(np.mean(np.abs(found[name].flat[where]) > live)) if where.size else 1.0

    return [name for name in names if name in check.zero or share(name) >= ENOUGH]


def _live(check: Check, point: Point) -> float:
    """What a gradient must exceed to be well above noise."""
    size = abs(float(call_loss(check.program, point)))
    return LIVE * size if np.isfinite(size) else LIVE


def _coordinates(check: Check, name: str, gradient: Array, live: float) -> NDArray[np.int64]:
    """Flat indices to check, seeded: half are drawn from the values well above noise, and half from all.

    A gradient may be zero by its position: max-pooling reads one value of four, a stride leaves pixels out,
    an entry of a wide kernel reads nothing but padding.  What no equation reads is not asked for.
    """
    rng = np.random.default_rng([check.seed, *name.encode()])
    values, samples = np.abs(gradient.ravel()), check.samples
    every = np.flatnonzero(check.reached(name, len(gradient)))
    above = every[values[every] > live]
    if name == INPUT and above.size:
        samples = min(samples, 2 * above.size)
    if every.size <= samples:
        return every
    chosen = rng.choice(every, samples, replace=False)
    others = np.setdiff1d(above, chosen[samples // 2 :])
    if others.size >= samples // 2:
        chosen[: samples // 2] = rng.choice(others, samples // 2, replace=False)
    return np.sort(chosen)


def _check_point(check: Check, stage: str, point: Point, names: Iterable[str]) -> list[GradientRow]:
    """The rows of some tensors at a point, and of the program's loss and output there."""
    program, large = check.program, check.large
    exact = gradients(program, point, NUMBER)
    losses = Losses(program, point, check.reference)
    noise = cache(partial(losses.noise, check.seed, large))
    live = _live(check, point)
    others = points(program, check.seed + 1, check.batch, 8)
    agreed = agreements(program, point, exact, others, check.zero)
    largest = max(float(np.abs(gradient).max(initial=0)) for gradient in exact.values())
    rows = losses.compared(stage)
    for name, gradient in ((name, exact[name]) for name in names):
        row = GradientRow(stage, name, gradient.shape, check.tolerance, losses.by)
        if name in check.zero:
            least = largest * float(np.sqrt(gradient.size))
            direction = along(losses, name, gradient, noise, check.seed, large, least)
            rows.append(_zero_row(row, gradient, largest, direction, agreed[name]))
            continue
        direction = along(losses, name, gradient, noise, check.seed, large)
        where = _coordinates(check, name, gradient, live)
        tally = coordinates(losses, name, gradient, where, noise, check.tolerance, check.seed, large)
        rows.append(_row(row, tally, direction, agreed[name]))
    return rows


def _row(row: GradientRow, tally: Tally, said: Along, agreed: Agreement) -> GradientRow:
    wrong = tally.failed or said.wrong or agreed.wrong
    exercised = tally.certified >= ENOUGH * tally.looked and tally.certified > 0
    return replace(
        row,
        sampled=tally.looked,
        nonzero=tally.certified,
        zero=tally.zero,
        excused=tally.excused,
        kinks=tally.kinks,
        worst_error=tally.worst,
        along=said.error,
        float64=agreed.float64,
        float32=agreed.float32,
        verdict=FAIL if wrong else PASS if exercised else UNEXERCISED,
    )


def _zero_row(
    row: GradientRow, gradient: Array, largest: float, said: Along, agreed: Agreement
) -> GradientRow:
    """The row of a tensor whose gradient is 0 by derivation: so must be the program's, and differences."""
    size = float(np.abs(gradient).max(initial=0))
    wrong = not size <= NOTHING * largest or said.wrong or agreed.wrong
    return replace(
        row,
        sampled=gradient.size,
        zero=gradient.size,
        worst_error=size / largest if largest else size,
        along=said.error,
        float64=agreed.float64,
        float32=agreed.float32,
        verdict=FAIL if wrong else ZERO,
    )


def _larger(check: Check, batch: int) -> int:
    """The size of the second batch: more than twice the first, the spec's own where that is afforded."""
    least = 2 * batch + 1
    wanted = max(
        least, min(int(check.program.manifest.get("training", {}).get("batch_size", 1)), MOST_SAMPLES)
    )
    affordable = check.reference.affords(wanted) if check.reference else not check.large
    return wanted if affordable else least


def _further(check: Check, looked: list[Point]) -> Iterator[tuple[Point, frozenset[str]]]:
    """The points with a larger batch, then others where gradients are not zero that were so at all of these.

    With each the tensors that it is of use for.
    """
    size = _larger(check, len(looked[0].x))
    shapes = check.program.module.PARAMETERS
    larger = [with_batch(check.program, point, size) for point in looked[:MOST_FURTHER]]
    for point in larger:
        yield point, frozenset((*shapes, INPUT))
    if check.large or (check.reference and not check.reference.affords(4 * size)):
        return
    missing = {name: check.reached(name) for name in (*shapes, INPUT) if name not in check.zero}
    for seen in larger:
        _cover(check, missing, seen)
    found = 0
    for other in points(check.program, check.seed + 3, size, DRAWS // 2):
        wanted = {name: int(mask.sum()) for name, mask in missing.items() if mask.sum() > UNSEEN * mask.size}
        if not wanted or found == MOST_FURTHER:
            return
        _cover(check, missing, other)
        use = frozenset(name for name, count in wanted.items() if missing[name].sum() <= 0.8 * count)
        if use:
            found += 1
            yield other, use


def _cover(check: Check, missing: dict[str, Array], point: Point) -> None:
    """Strike out what has a gradient at a point."""
    found, live = gradients(check.program, point, np.float64), _live(check, point)
    for name, mask in missing.items():
        mask &= ~(np.abs(found[name][: len(mask)]) > live)


def _with_point(
    check: Check, point: Point, rows: list[GradientRow], names: frozenset[str]
) -> list[GradientRow]:
    """The rows with what another point says: in every float type, and of some tensors along a direction."""
    exact = gradients(check.program, point, NUMBER)
    losses = Losses(check.program, point, check.reference)
    noise = cache(partial(losses.noise, check.seed, check.large))
    drawn = points(check.program, check.seed + 2, check.batch, 8)
    others = (with_batch(check.program, other, len(point.x)) for other in drawn)
    agreed = agreements(check.program, point, exact, others, check.zero)
    compared = {row.tensor: row for row in losses.compared(point.what)}
    found = []
    for row in rows:
        name = row.tensor
        if name in compared:
            worst = max(row.worst_error, compared[name].worst_error)
            row = replace(row, worst_error=worst, verdict=row.verdict if compared[name].passed else FAIL)
        elif name in agreed:
            wrong = bool(agreed[name].wrong)
            if name in names and name not in check.zero:
                said = Along(row.along).joined(
                    along(losses, name, exact[name], noise, check.seed, check.large)
                )
                row, wrong = replace(row, along=said.error), wrong or said.wrong
            row = replace(row, verdict=FAIL if wrong else row.verdict)
        found.append(row)
    return found
