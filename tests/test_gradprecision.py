"""How the gradients of one point in float32 and float64 are held against those in wider floats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from chainrule.runtime import gradprecision
from chainrule.runtime.differences import NUMBER
from chainrule.runtime.gradpoint import Point
from chainrule.runtime.gradprecision import CANCELS, EPS32, EPS64, RATIO, Agreement, Compared, agreements

EXACT = np.array([1.0, -0.5, 0.25, 1e-3])
Change = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


def unchanged(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return value


@dataclass
class Program:
    """A program whose gradient W is given: how float32's and float64's differ, and what a move does to it."""

    float32: Change = unchanged
    float64: Change = unchanged
    moved: float = (
        0.0  # by so much the gradient in the widest floats changes as float32 rounds the parameters
    )
    slightly: float | None = None  # as float64 rounds them; None: by as much less as they move less
    kinked: bool = False  # whether float32 is on another side of a kink
    loss: float = 1.0
    exact: np.ndarray[Any, Any] = field(default_factory=lambda: EXACT)
    others: dict[int, Program] = field(default_factory=dict)  # by the point's seed

    def at(self, point: Point) -> Program:
        return self.others.get(point.seed, self)

    def gradients(self, point: Point, dtype: type) -> dict[str, np.ndarray[Any, Any]]:
        own = self.at(point)
        value = own.exact.astype(NUMBER)
        if dtype is np.float32:
            return {"W": own.float32(value).astype(np.float32)}
        if dtype is np.float64:
            return {"W": own.float64(value).astype(np.float64)}
        away = np.abs(point.parameters["W"] - 1).max()
        slightly = own.moved * RATIO if own.slightly is None else own.slightly
        return {"W": value + (0 if away == 0 else slightly if away < EPS32 / 100 else own.moved)}


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradients, the sides of kinks and the loss are what the program above says of them."""
    monkeypatch.setattr(gradprecision, "gradients", lambda p, point, dtype: p.gradients(point, dtype))
    monkeypatch.setattr(gradprecision, "call_loss", lambda p, point: p.at(point).loss)
    monkeypatch.setattr(
        gradprecision,
        "branches",
        lambda p, point: np.array([p.at(point).kinked and point.x.dtype == np.float32]),
    )


def point(seed: int = 0) -> Point:
    return Point({"W": np.ones(4)}, np.ones((2, 3)), np.zeros(2, int), "a point", seed)


def held(program: Program, zero: bool = False) -> Compared:
    return gradprecision._at(
        program,  # type: ignore[arg-type]
        point(),
        program.gradients(point(), NUMBER),
        frozenset({"W"} if zero else ()),
    )["W"]


def add(where: int, amount: float) -> Change:
    return lambda value: value + amount * np.eye(len(value))[where].astype(value.dtype)


def test_what_agrees_is_right_in_both_types() -> None:
    found = held(Program())
    assert found.agreement == Agreement(0.0, pytest.approx(0, abs=1e-7), ())
    assert found.decided
    assert not found.doubtful
    assert not found.wrong.any()
    assert found.visible.tolist() == [True, True, True, False]


@pytest.mark.parametrize("where", range(4))
@pytest.mark.parametrize(("kind", "unseen", "seen"), [("float32", 3e-6, 3e-4), ("float64", 5e-12, 3e-8)])
def test_one_wrong_value_is_found_in_the_type_that_has_it(
    kind: str, unseen: float, seen: float, where: int
) -> None:
    right, wrong = (held(Program(**{kind: add(where, amount)})) for amount in (unseen, seen))  # type: ignore[arg-type]
    assert right.agreement.wrong == ()
    assert wrong.agreement.wrong == (kind,)
    assert wrong.wrong.tolist() == [place == where for place in range(4)]
    assert getattr(wrong.agreement, kind) == pytest.approx(seen, rel=0.02)


def test_rounding_of_what_is_given_excuses_float32_up_to_a_limit() -> None:
    """The gradient moves by 1e-5 with the parameters; sixteen times that is excused, and no more."""
    assert held(Program(float32=add(0, 2e-4), moved=1e-5)).agreement.wrong == ()
    assert held(Program(float32=add(0, 3e-4), moved=1e-5)).agreement.wrong == ("float32",)


def test_rounding_excuses_float64_by_as_much_less_as_it_rounds_less() -> None:
    coarse = 16 * RATIO
    assert held(Program(float64=add(0, 0.9 * coarse + 1e-8), moved=1)).agreement.wrong == ()
    assert held(Program(float64=add(0, 1.1 * coarse + 1e-8), moved=1)).agreement.wrong == ("float64",)


def test_float64_is_excused_where_the_gradient_turns_faster_than_float32_rounds() -> None:
    """A move of float32's rounding goes through many turns, and says little of one of float64's."""
    turning = {"moved": 1e-3, "slightly": 1e-6}
    assert held(Program(float64=add(0, 1.5e-5), **turning)).agreement.wrong == ()
    assert held(Program(float64=add(0, 1.7e-5), **turning)).agreement.wrong == ("float64",)


def test_what_cancels_in_float64_cancels_in_float32() -> None:
    """Float64's error within its limit says how far float32, which rounds by as much more, may be off."""
    error64 = 5e-12  # in float32: 5e-12 · 2^29 · 16 = 0.043 of the largest
    excused = 16 * error64 / RATIO
    assert held(Program(add(0, 0.9 * excused), add(0, error64))).agreement.wrong == ()
    assert held(Program(add(0, 1.1 * excused), add(0, error64))).agreement.wrong == ("float32",)
    assert held(Program(add(0, 0.9 * excused), unchanged)).agreement.wrong == ("float32",)


def test_an_error_of_float64_excuses_none_of_float32() -> None:
    """The same wrong factor in both types: each is told."""
    both = held(Program(add(0, 1e-3), add(0, 1e-3)))
    assert both.agreement.wrong == ("float32", "float64")


def test_float32_is_not_judged_where_it_rounds_by_all_there_is() -> None:
    found = held(Program(float32=add(0, 0.5), moved=0.01))
    assert found.agreement.float32 is None
    assert found.agreement.wrong == ()
    assert found.doubtful


@pytest.mark.parametrize("away", [{"kinked": True}, {"loss": 1e31}, {"exact": EXACT * 1e31}])
def test_float32_is_not_judged_beyond_a_kink_or_its_range(away: dict[str, Any]) -> None:
    found = held(Program(**away))
    assert found.agreement.float32 is None
    assert found.agreement.wrong == ()
    assert not found.decided


def test_a_gradient_that_is_zero_by_derivation_is_measured_by_the_largest() -> None:
    program = Program(exact=np.full(4, 1e-9), float32=add(0, 1e-13))
    assert held(program).agreement.float32 == pytest.approx(1e-4, rel=0.01)
    assert held(program, zero=True).agreement.float32 == pytest.approx(1e-4 / CANCELS, rel=0.01)


def test_no_gradient_at_all_has_no_share_of_error() -> None:
    assert held(Program(exact=np.zeros(4))).agreement == Agreement(0.0, 0.0, ())


def test_a_point_that_rounds_coarsely_is_left_for_a_better_one() -> None:
    """2e-4 of the largest is where rounding may hide an error."""
    finer, coarser = (held(Program(add(0, 2e-4), moved=moved)) for moved in (1.2e-5, 1.3e-5))
    assert (finer.loose, coarser.loose) == (False, True)
    assert (finer.decided, coarser.decided) == (True, False)


def agreed(first: Program, **others: Program) -> Agreement:
    """The agreement at one point and, where that leaves doubt, at points 1, 2 …"""
    first.others = {int(name[1:]): other for name, other in others.items()}
    wide = first.gradients(point(), NUMBER)
    points = (point(seed) for seed in first.others)
    return agreements(first, point(), wide, points)["W"]  # type: ignore[arg-type]


def test_an_error_counts_unless_another_point_acquits() -> None:
    wrong = {"float32": add(0, 1e-3)}
    assert agreed(Program(**wrong)).wrong == ("float32",)
    assert agreed(Program(**wrong), p1=Program(**wrong)).wrong == ("float32",)
    assert agreed(Program(**wrong), p1=Program(**wrong), p2=Program()).wrong == ()


def test_no_point_acquits_where_the_error_would_not_be_seen() -> None:
    small = EXACT.copy()
    small[0] = 1e-5
    wrong = Program(float32=add(0, 1e-3))
    assert agreed(wrong, p1=Program(exact=small)).wrong == ("float32",)
    assert agreed(wrong, p1=Program(kinked=True)).wrong == ("float32",)


def test_half_of_what_is_wrong_must_be_visible() -> None:
    def both(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return value + np.array([1e-3, 1e-3, 1e-3, 0])

    one, two = EXACT.copy(), EXACT.copy()
    one[1:3] = 1e-5
    two[1] = 1e-5
    assert agreed(Program(float32=both), p1=Program(exact=one)).wrong == ("float32",)
    assert agreed(Program(float32=both), p1=Program(exact=two)).wrong == ()


def test_a_coarse_point_gives_way_to_one_that_decides() -> None:
    coarse = Program(float32=add(0, 0.5), moved=0.01)
    assert agreed(coarse).float32 is None
    assert agreed(coarse, p1=coarse, p2=Program()) == Agreement(0.0, pytest.approx(0, abs=1e-7), ())


def test_a_sound_point_asks_for_no_other() -> None:
    program = Program()
    wide = program.gradients(point(), NUMBER)

    def none() -> Any:
        raise AssertionError("another point was asked for")
        yield

    agreements(program, point(), wide, none())  # type: ignore[arg-type]


def test_eight_more_points_at_most() -> None:
    asked = []

    def endless() -> Any:
        while True:
            asked.append(1)
            yield point(1)

    program = Program(float32=add(0, 1e-3))
    assert agreements(program, point(), program.gradients(point(), NUMBER), endless())["W"].wrong  # type: ignore[arg-type]
    assert len(asked) == 8


@pytest.mark.parametrize("unit", [EPS32, EPS64])
def test_points_move_by_as_much_as_a_type_rounds(unit: float) -> None:
    moves = []

    class Watched(Program):
        def gradients(self, point: Point, dtype: type) -> dict[str, np.ndarray[Any, Any]]:
            moves.append((point.parameters["W"] - 1, point.x - 1))
            return super().gradients(point, dtype)

    program = Watched()
    gradprecision._moved(program, point(), {"W": EXACT.astype(NUMBER)}, unit)  # type: ignore[arg-type]
    assert len(moves) == 2
    for move in moves:
        for part in move:
            assert unit / 4 < np.abs(part).max() <= unit
            assert 0 < np.ptp(part) <= 2 * unit
