"""Steps, points and tensors of a gradient check: which are taken, in which order, with which values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chainrule.runtime.gradcheck as gradcheck
from chainrule.runtime.differences import (
    NUMBER,
    Estimate,
    _richardson,
    central,
    estimates,
    extrapolated,
    loss_noise,
)
from chainrule.runtime.gradcheck import Check
from chainrule.runtime.gradjudge import Along, Tally
from chainrule.runtime.gradpoint import INPUT, Point, _gain, _scale, advance, masked, points, with_batch
from chainrule.runtime.gradprecision import Agreement
from chainrule.runtime.gradreport import LOSS, GradientRow

# ---- Differences ---------------------------------------------------------------------------------------


def odd(*slopes: float) -> Callable[[float], Any]:
    """slopes[0]·x + slopes[1]·x³ + slopes[2]·x⁵ + …"""
    return lambda x: sum(NUMBER(a) * NUMBER(x) ** (2 * k + 1) for k, a in enumerate(slopes))


def test_central_differences_and_what_is_extrapolated_from_two() -> None:
    first, second = central(odd(2, 8), 0.5), central(odd(2, 8), 0.25)
    assert (first, second, extrapolated(first, second)) == (4, 2.5, 2)


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_every_level_of_a_table_takes_one_power_away(levels: int) -> None:
    """Of x + x³ + x⁵ … the derivative at 0 is 1; the noise is that of the shortest step."""
    found = _richardson(odd(*[1.0] * levels), 0.5, levels, 1e-3)
    assert found.value == pytest.approx(1, abs=1e-15) and found.firm and found.h == 0.5
    beyond = _richardson(odd(*[0.0] * levels, 1.0), 0.5, levels, 0.0)
    assert abs(beyond.value) == pytest.approx(0.5 ** (2 * levels) / 2 ** (levels * (levels - 1)), rel=1e-12)
    constant = _richardson(odd(1.0), 0.5, levels, 1e-3)
    assert constant.noise == pytest.approx(2e-3 / (0.5 / 2 ** (levels - 1)), rel=1e-12)


def test_noise_of_a_table_is_how_far_its_last_two_differ() -> None:
    """Of x + 3x³: 1.75 with steps of 1/2, 1.1875 with 1/4, extrapolated 1."""
    assert _richardson(odd(1, 3), 0.5, 2, 0.0) == Estimate(1.0, 0.5, 0.1875, settled=False)


@pytest.mark.parametrize(
    ("clear", "steps"),
    [
        (1.0, [1e-5, 1e-5, 1e-3, 1e-2, 1e-7, 1e-9, 1e-11, 1e-13]),
        (5e-3, [1e-5, 1e-5, 1e-3, 1e-7, 1e-9, 1e-11, 1e-13]),
        (5e-4, [1e-5, 1e-5, 1e-7, 1e-9, 1e-11, 1e-13]),
        (5e-6, [1e-7, 1e-7, 1e-9, 1e-11, 1e-13]),
        (5e-8, [1e-9, 1e-9, 1e-11, 1e-13]),
        (5e-10, [1e-11, 1e-11, 1e-13]),
        (5e-12, []),
    ],
)
@pytest.mark.parametrize("side", [1, -1])
def test_steps_that_cross_no_kink_on_either_side(clear: float, steps: list[float], side: int) -> None:
    found = list(estimates(odd(1.0), lambda h: side * h > clear, 0.0))
    assert [estimate.h for estimate in found] == steps
    assert [estimate.firm for estimate in found] == [False, *[True] * (len(steps) - 1)][: len(steps)]
    assert all(estimate.value == pytest.approx(1, abs=1e-12) for estimate in found)


def test_steps_grow_with_their_unit_and_shrink_where_the_function_is_curved() -> None:
    grown = [e.h for e in estimates(odd(1.0), None, 1e-15, 100.0)]
    assert grown == pytest.approx([1e-3, 1e-3, 1e-1, 1.0, 1e-5, 1e-7, 1e-9, 1e-11], rel=1e-12)
    curved = list(estimates(odd(0.0, 1.0), None, 0.0))
    assert [e.h for e in curved] == [1e-5, 1e-5, 1e-7, 1e-9, 1e-11, 1e-13]
    kink = list(estimates(odd(0.0, 1.0), lambda h: abs(h) > 5e-8, 0.0))
    assert [e.h for e in kink] == [1e-9, 1e-9, 1e-11, 1e-13]


def test_noise_of_an_estimate() -> None:
    """The first has that of one difference, the second four times as much and what truncation is left."""
    first, second, *_ = estimates(odd(1.0, 4.0), None, 0.5, 5e4)
    assert (first.value, first.noise, first.h) == (2.0, 1.0, 0.5)
    assert (second.value, second.noise, second.h) == (1.0, 4.0 + 0.25, 0.5)


def test_noise_of_a_loss_from_its_fourth_differences() -> None:
    """Values ±e in turn have fourth differences of 16e; a smooth loss has none; the quieter step counts."""

    def rough(step: float, size: float) -> Callable[[float], Any]:
        return lambda x: np.float64(size * (-1) ** round(x / step) if abs(x) >= step / 2 or size else 0)

    assert loss_noise(rough(1e-9, 1.0), (1e-9,)) == pytest.approx(4 * 16 / np.sqrt(70), rel=1e-9)
    assert loss_noise(lambda x: np.float64(3), (1e-9,)) == pytest.approx(12 * np.finfo(float).eps, rel=1e-9)
    both = loss_noise(lambda x: np.float64(round(x * 1e9) % 2), (1e-9, 2e-9))
    assert both == pytest.approx(0, abs=1e-15)


# ---- Points --------------------------------------------------------------------------------------------


class Quadratic:
    """A program whose loss is half the squared length of its parameters, plus the mean of its inputs."""

    PARAMETERS = {"W": (4, 3), "b": (4,)}  # noqa: RUF012

    def __init__(self, rate: float = 0.5) -> None:
        self.rate, self.steps = rate, []  # type: ignore[var-annotated]

    def init_parameters(self, seed: int, dtype: Any) -> dict[str, Any]:
        return {name: np.full(shape, seed + 1.0, dtype) for name, shape in self.PARAMETERS.items()}

    def loss(self, parameters: Any, x: Any, t: Any) -> Any:
        return sum(np.sum(value**2) for value in parameters.values()) / 2 + 0 * np.mean(x)

    def loss_and_gradients(self, parameters: Any, x: Any, t: Any) -> Any:
        return self.loss(parameters, x, t), {name: value.copy() for name, value in parameters.items()}

    def input_gradient(self, parameters: Any, x: Any, t: Any) -> Any:
        return np.full_like(x, 1 / x.size)

    def init_optimizer(self, parameters: Any) -> None:
        return None

    def train_step(self, parameters: Any, x: Any, t: Any, state: Any, seed: int) -> None:
        self.steps.append(seed)
        for value in parameters.values():
            value *= 1 - self.rate


def program(module: Any = None, **said: Any) -> Any:
    values = {"input_shape": (50,), "output_shape": (2,), "target_kind": "values", "loss_type": "mse"}
    training = {"training": {"batch_size": said.pop("batch_size", 1)}}
    return SimpleNamespace(
        module=module or Quadratic(), classes=0, manifest=training, name="some", **values | said
    )


def test_the_seed_of_masks_goes_with_the_draw() -> None:
    found = list(points(program(), 3, 4, 4))
    assert [point.seed for point in found] == [4, 5, 6, 7]
    assert [point.what for point in found] == [
        "draw 1 (parameters of seed 3)",
        "draw 2 (parameters of seed 4, moved by 0.1, inputs 1)",
        "draw 3 (parameters of seed 5, normal times 1)",
        "draw 4 (parameters of seed 6, normal times 3)",
    ]
    assert (found[0].parameters["W"] == 4).all() and found[0].t.shape == (4, 2)
    assert with_batch(program(), found[1], 6).seed == 5 + 1000 + 6
    assert with_batch(program(), found[1], 6).what == f"{found[1].what}, batch 6"
    assert len(with_batch(program(), found[1], 6).x) == 6


@pytest.mark.parametrize(
    ("batch", "sizes"),
    [(4, [4, 8, 16, 32, 64, 128, 256, 256]), (100, [100, 200] + [256] * 6), (300, [300] * 8)],
)
def test_the_batch_doubles_every_five_draws(batch: int, sizes: list[int]) -> None:
    found = list(points(program(input_shape=(1,)), 0, batch, 40))
    assert [len(point.x) for point in found] == [size for size in sizes for _ in range(5)]
    for point in found:
        assert point.what.endswith(f", batch {len(point.x)})") == (len(point.x) > batch)


def test_how_draws_differ() -> None:
    assert [_scale(turn, manner)[0] for turn in (0, 1, 2) for manner in range(5)] == [
        *(0.3, 1.0, 1.0, 1.0, 1.0),
        *(0.3, 0.3, 1.0, 1.0, 1.0),
        *(0.3, 1.0, 1.0, 1.0, 1.0),
    ]
    said = [_scale(1, manner)[1] for manner in range(5)]
    assert said[:2] == [", shrunk, inputs 0.3", ", moved by 0.1, inputs 0.3"]
    assert said[2:] == [", normal times 0.1", ", normal times 30", ", positive"]
    gains = [_gain(turn, manner) for turn in range(5) for manner in (2, 3)]
    assert gains == [1.0, 3.0, 0.1, 30.0, 1e-3, 100.0, 1e-6, 10.0, 1e-9, 1.0]


def test_a_point_that_float32_holds() -> None:
    point = Point({"W": np.array([0.1])}, np.array([[0.2]]), np.array([1, 0]), "")
    rounded = point.rounded()
    assert rounded.x.dtype == np.float64 and rounded.x.tolist() == [[float(np.float32(0.2))]]
    assert rounded.parameters["W"].tolist() == [float(np.float32(0.1))]
    assert rounded.t.dtype == point.t.dtype and rounded.t is not point.t
    assert replace(point, t=np.array([0.3])).cast(np.float32).t.dtype == np.float32
    for large in (replace(point, x=np.array([1e39])), replace(point, parameters={"W": np.array([1e39])})):
        assert large.rounded() is large


def test_masks_have_a_seed_where_a_loss_draws_any() -> None:
    def loss(parameters: Any, x: Any, t: Any, *, seed: int) -> float:
        return 0.0

    point = Point({}, np.zeros(1), np.zeros(1), "", 7)
    assert masked(program(SimpleNamespace(loss=loss)), point) == {"seed": 7}
    assert masked(program(), point) == {}


def test_points_after_some_steps_with_fresh_inputs_and_downhill() -> None:
    some = program()
    first, other = points(some, 0, 4, 2)
    found = list(advance(some, iter([other]), first, 2))
    assert some.module.steps == [0, 1] * 2
    assert [point.what for point in found] == [
        f"{first.what}, 2 steps",
        *(f"{first.what}, 2 steps, fresh inputs {k}" for k in (1, 2, 3)),
        f"{other.what}, 2 steps",
        f"{other.what}, 2 small steps downhill",
    ]
    assert [point.seed for point in found[:4]] == [1, *(1 + 100 * k + 1000 + 4 for k in (1, 2, 3))]
    assert all((point.parameters["W"] == 0.25).all() for point in found[:4])
    assert (found[0].x == first.x).all() and not any((found[k].x == first.x).any() for k in (1, 2, 3))
    assert np.allclose(found[5].parameters["W"], 0.99**2 * other.parameters["W"])
    assert (first.parameters["W"] == 1).all()
    assert len(list(advance(some, iter([]), None, 2))) == 0


@pytest.mark.parametrize(("rate", "diverged"), [(1 - 999.0, False), (1 - 1001.0, True), (float("nan"), True)])
def test_training_that_diverges_gives_way_to_small_steps(rate: float, diverged: bool) -> None:
    """Parameters 1,000 times as long are a loss a million times as large."""
    some = program(Quadratic(rate))
    (start,) = points(some, 0, 4, 1)
    (moved, *_) = advance(some, iter([]), start, 1)
    assert ("training diverged: loss 8 to " in moved.what) == diverged
    assert moved.what.endswith("1 small steps downhill") == diverged
    assert np.allclose(moved.parameters["W"], 0.99 if diverged else 1 - rate)


def test_short_parameters_move_by_a_hundredth_of_a_hundredth() -> None:
    some = program(Quadratic(float("nan")))
    (start,) = points(some, 0, 4, 1)
    tiny = replace(start, parameters={"W": np.zeros((4, 3)), "b": np.array([1e-3, 0, 0, 0])})
    (moved, *_) = advance(some, iter([]), tiny, 1)
    assert (moved.parameters["W"] == 0).all()
    assert moved.parameters["b"][0] == pytest.approx(1e-3 - 1e-4, rel=1e-6)


# ---- Tensors -------------------------------------------------------------------------------------------


class Reached:
    """A reference that knows what reaches the loss, and which batches it affords."""

    def __init__(self, reached: dict[str, Any], most: int = 10**9, zero: tuple[str, ...] = ()) -> None:
        self.of, self.most, self.zero = reached, most, frozenset(zero)

    def reached(self, name: str, batch: int) -> Any:
        return self.of[name]

    def affords(self, batch: int) -> bool:
        return batch <= self.most


def check(reference: Any = None, some: Any = None, samples: int = 4) -> Check:
    return Check(some or program(), reference, 0, samples, 4, 1e-7)


def test_half_of_the_coordinates_are_well_above_noise() -> None:
    gradient = np.zeros(1000)
    gradient[[3, 500, 700]] = 1.0
    everything = Reached({"W": np.ones(1000, bool), INPUT: np.ones(1000, bool)})
    found = gradcheck._coordinates(check(everything), "W", gradient, 0.5)
    assert len(set(found.tolist())) == 4 and list(found) == sorted(found)
    assert len({3, 500, 700} & set(found.tolist())) >= 2
    inputs = gradcheck._coordinates(check(everything, samples=100), INPUT, gradient, 0.5)
    assert len(inputs) == 6 and {3, 500, 700} <= set(inputs.tolist())
    none = gradcheck._coordinates(check(everything, samples=100), INPUT, 0 * gradient, 0.5)
    assert len(set(none.tolist())) == 100


def test_what_no_equation_reads_is_not_asked_for() -> None:
    some = np.zeros(1000, bool)
    some[10:14] = True
    asked = check(Reached({"W": some}))
    assert gradcheck._coordinates(asked, "W", np.ones(1000), 0.5).tolist() == [10, 11, 12, 13]
    assert gradcheck._coordinates(check(), "W", np.ones((4, 3)), 0.5).size == 4
    assert gradcheck._coordinates(check(samples=12), "W", np.ones((4, 3)), 0.5).tolist() == list(range(12))


@pytest.mark.parametrize(
    ("tally", "said", "agreed", "verdict"),
    [
        (Tally(certified=2, zero=2), Along(), (), "pass"),
        (Tally(certified=2, zero=3), Along(), (), "not exercised"),
        (Tally(), Along(), (), "not exercised"),
        (Tally(certified=4, failed=1), Along(), (), "fail"),
        (Tally(certified=4), Along(1.0, True), (), "fail"),
        (Tally(certified=4), Along(), ("float32",), "fail"),
    ],
)
def test_the_verdict_on_a_tensor(tally: Tally, said: Along, agreed: tuple[str, ...], verdict: str) -> None:
    row = GradientRow("initial", "W", (5,), 1e-7, "program")
    found = gradcheck._row(row, tally, said, Agreement(1e-9, 1e-3, agreed))
    assert found.verdict == verdict and found.along == said.error
    assert (found.sampled, found.nonzero, found.zero) == (tally.looked, tally.certified, tally.zero)
    assert (found.float64, found.float32) == (1e-9, 1e-3)


@pytest.mark.parametrize(
    ("size", "largest", "said", "agreed", "verdict", "error"),
    [
        (0.0, 2.0, Along(), (), "0 by derivation", 0.0),
        (gradcheck.NOTHING * 2, 2.0, Along(), (), "0 by derivation", gradcheck.NOTHING),
        (gradcheck.NOTHING * 2.1, 2.0, Along(), (), "fail", gradcheck.NOTHING * 1.05),
        (0.0, 0.0, Along(), (), "0 by derivation", 0.0),
        (1e-30, 0.0, Along(), (), "fail", 1e-30),
        (0.0, 2.0, Along(1.0, True), (), "fail", 0.0),
        (0.0, 2.0, Along(), ("float64",), "fail", 0.0),
    ],
)
def test_the_verdict_on_what_is_0_by_derivation(
    size: float, largest: float, said: Along, agreed: tuple[str, ...], verdict: str, error: float
) -> None:
    row = GradientRow("initial", "W", (2,), 1e-7, "program")
    found = gradcheck._zero_row(row, np.array([0.0, -size]), largest, said, Agreement(None, None, agreed))
    assert (found.verdict, found.sampled, found.zero) == (verdict, 2, 2)
    assert found.worst_error == pytest.approx(error, rel=1e-12)


def test_rows_that_passed_stay_and_of_the_loss_the_worst_does() -> None:
    rows: dict[str, GradientRow] = {}

    def collect(tensor: str, verdict: str, error: float) -> float:
        gradcheck._collect(rows, [GradientRow("", tensor, (), 0, "", verdict=verdict, worst_error=error)])
        return rows[tensor].worst_error

    assert [collect("W", v, e) for v, e in (("fail", 1.0), ("pass", 2.0), ("pass", 3.0))] == [1, 2, 2]
    assert [collect(LOSS, "pass", e) for e in (1.0, 3.0, 2.0)] == [1, 3, 3]


@pytest.mark.parametrize(
    ("batch", "own", "most", "larger"),
    [
        (4, 1, 99, 9),
        (4, 20, 99, 20),
        (4, 33, 99, 33),
        (4, 64, 99, 33),
        (4, 20, 19, 9),
        (4, 20, 20, 20),
        (20, 64, 99, 41),
    ],
)
def test_the_second_batch(batch: int, own: int, most: int, larger: int) -> None:
    asked = check(Reached({}, most), program(batch_size=own))
    assert gradcheck._larger(asked, batch) == larger
    assert gradcheck._larger(check(some=program(batch_size=own)), batch) == max(2 * batch + 1, min(own, 33))


class Some(Quadratic):
    """Its gradient by W is zero but where `shown` says, one set of values more with every gradient."""

    def __init__(self, shown: Iterator[list[int]], size: int = 1000) -> None:
        super().__init__()
        self.PARAMETERS, self.shown = {"W": (size,)}, shown

    def loss_and_gradients(self, parameters: Any, x: Any, t: Any) -> Any:
        found = np.zeros(self.PARAMETERS["W"])
        found[next(self.shown)] = 1e9
        return 1.0, {"W": found}

    def input_gradient(self, parameters: Any, x: Any, t: Any) -> Any:
        return np.full_like(x, 1e9)


@pytest.mark.parametrize(
    ("shown", "used"),
    [
        ([[*range(995)]], []),
        ([[*range(994)], [*range(995)]], []),
        ([[*range(994)], [*range(996)]], [1]),
        ([[*range(900)], [*range(919)], [*range(936)], [*range(937)], [*range(996)]], [2, 4]),
        ([[*range(900)], [*range(920)], [*range(935)], [*range(948)], [*range(996)]], [1, 3, 4]),
        ([[], *([*range(500 + 100 * k)] for k in range(6))], [1, 2, 3, 4]),
    ],
)
def test_other_points_are_looked_at_for_what_had_no_gradient(shown: list[list[int]], used: list[int]) -> None:
    """Four at most, each of which shows a fifth of what is missing; half a per cent may be."""
    module = Some(iter(shown))
    start = Point({"W": np.ones(1000)}, np.zeros((4, 50)), np.zeros((4, 2)), "start")
    larger, *others = gradcheck._further(check(some=program(module)), [start])
    assert larger[0].what == "start, batch 9" and larger[1] == {"W", INPUT}
    numbers = [int(point.what.split()[1]) for point, _ in others]
    assert numbers == used and all(names == {"W"} for _, names in others)
