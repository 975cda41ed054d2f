"""The gradients of one point in every float type: float64 against wider floats, float32 against float64.

Differences certify the widest gradient alone; every value of the others is held against it here.  Rounding
may excuse an error, up to a limit that no error can move: it is measured in the widest floats, on parameters
and inputs moved by as much as the type rounds them.  What terms that cancel leave does not show so, since
they move together; float32 rounds as float64 does, but for the unit, where float64 is right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from itertools import islice

import numpy as np

from chainrule.runtime.differences import NUMBER
from chainrule.runtime.gradpoint import Point, branches, call_loss, gradients
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.trainer import Array

EPS32 = float(np.finfo(np.float32).eps)
EPS64 = float(np.finfo(np.float64).eps)
RATIO = EPS64 / EPS32
SAFETY = 16.0
CANCELS = 100.0  # times the largest gradient: the size of what adds up to a gradient that is 0 by derivation
COARSE = 0.05  # of a tensor's largest gradient: where float32 rounds by more, it is not judged
UNDERFLOW = 1e-30  # below which float32 may lose a factor on the way
OUT_OF_RANGE = 1e30  # from which on float32 may overflow somewhere on the way
LOOSE = 2e-4  # of a tensor's largest gradient: where float32 rounds by more, a better point is looked for
TRIES = 8  # points at which an error is looked for again before it counts
VISIBLE = 1e-3  # of a tensor's largest gradient: where an error of one value would be seen


@dataclass(frozen=True)
class Agreement:
    """How well a tensor's gradients agree: errors as shares of its largest value; None: not judged."""

    float64: float | None
    float32: float | None
    wrong: tuple[str, ...] = ()  # the types whose gradient is wrong


@dataclass(frozen=True)
class Compared:
    """A tensor's gradients held against each other: where one is wrong, and where none is small."""

    agreement: Agreement
    wrong: Array
    visible: Array
    loose: bool  # whether rounding excuses so much here that errors could hide

    @property
    def decided(self) -> bool:
        return self.agreement.float32 is not None and not self.loose

    @property
    def doubtful(self) -> bool:
        return bool(self.agreement.wrong) or not self.decided

    def replaces(self, other: Compared) -> bool:
        """Whether this point says more than another did."""
        return self.acquits(other) if other.agreement.wrong else self.decided

    def acquits(self, other: Compared) -> bool:
        """Whether another point's errors must have been rounding: here they would be seen, and are not."""
        if self.doubtful:
            return False
        common = min(len(self.visible), len(other.wrong))  # inputs may be of another batch
        visible, wrong = self.visible[:common], other.wrong[:common]
        if not wrong.any():
            visible, wrong = np.any(self.visible, axis=0), np.any(other.wrong, axis=0)
        return not wrong.any() or bool(np.mean(visible[wrong]) >= 0.5)


def agreements(
    program: LoadedProgram,
    point: Point,
    exact: dict[str, Array],
    others: Iterable[Point],
    zero: frozenset[str] = frozenset(),
) -> dict[str, Agreement]:
    """The agreement of every tensor, at the point; at others too for one that disagrees or rounds coarsely.

    `exact` are the gradients at the point in the widest floats.
    A wrong gradient is wrong at every point, while rounding spoils some of them, saturated ones above all.
    """
    found = _at(program, point, exact, zero)
    more = islice(others, TRIES)
    while doubtful := [name for name, held in found.items() if held.doubtful]:
        another = next(more, None)
        if another is None:
            break
        again = _at(program, another, gradients(program, another, NUMBER), zero)
        for name in doubtful:
            if again[name].replaces(found[name]):
                found[name] = again[name]
    return {name: held.agreement for name, held in found.items()}


def _at(
    program: LoadedProgram, point: Point, wide: dict[str, Array], zero: frozenset[str]
) -> dict[str, Compared]:
    single = point.cast(np.float32)
    narrow = gradients(program, point, np.float32)
    double = gradients(program, point, np.float64)
    same = np.array_equal(branches(program, single), branches(program, point))
    largest = max(_size(value) for value in wide.values())
    within = max(largest, abs(float(call_loss(program, point)))) < OUT_OF_RANGE
    moved: dict[str, float] = {}
    slightly: dict[str, float] = {}
    found = {}
    for name, exact in wide.items():
        size = CANCELS * largest if name in zero else _size(exact)
        errors = {"float64": _errors(double[name], exact), "float32": _errors(narrow[name], exact)}
        limits = {
            "float64": 1e-8 * np.abs(exact) + 1e-11 * size,
            "float32": 1e-4 * np.abs(exact) + 4e-6 * size + UNDERFLOW,
        }
        if not same or not within:
            del errors["float32"]
        loose = False
        if not all((error <= limits[kind]).all() for kind, error in errors.items()):
            moved = moved or _moved(program, point, wide, EPS32)
            slightly = slightly or _moved(program, point, wide, EPS64)
            coarse = SAFETY * moved[name]
            limits["float64"] = limits["float64"] + max(RATIO * coarse, SAFETY * slightly[name])
            if (errors["float64"] <= limits["float64"]).all():
                coarse = max(coarse, SAFETY * _size(errors["float64"]) / RATIO)
            limits["float32"] = limits["float32"] + coarse
            loose = coarse > LOOSE * size
            if coarse > COARSE * size:
                errors.pop("float32", None)
        beyond = {kind: ~(error <= limits[kind]) for kind, error in errors.items()}
        shares = {
            kind: float(error.max(initial=0.0)) / size if size else 0.0 for kind, error in errors.items()
        }
        wrong = tuple(sorted(kind for kind, where in beyond.items() if where.any()))
        found[name] = Compared(
            Agreement(shares.get("float64"), shares.get("float32"), wrong),
            reduce(np.logical_or, beyond.values()),
            np.abs(exact) > VISIBLE * size,
            loose,
        )
    return found


def _errors(value: Array, exact: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.abs(value.astype(exact.dtype) - exact)


def _size(value: Array) -> float:
    return float(np.abs(value).max(initial=0))


def _moved(program: LoadedProgram, point: Point, wide: dict[str, Array], unit: float) -> dict[str, float]:
    """By how much gradients change when every number of the point moves by as much as a float type rounds."""
    rng = np.random.default_rng(point.seed)
    changes = dict.fromkeys(wide, 0.0)
    for _ in range(2):
        parameters = {
            name: value * (1 + unit * rng.uniform(-1, 1, value.shape).astype(NUMBER))
            for name, value in point.cast(NUMBER).parameters.items()
        }
        x = point.x * (1 + unit * rng.uniform(-1, 1, point.x.shape).astype(NUMBER))
        found = gradients(program, replace(point, parameters=parameters, x=x), NUMBER)
        changes = {name: max(most, _size(found[name] - wide[name])) for name, most in changes.items()}
    return changes
