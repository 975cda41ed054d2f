"""What a gradient check concludes from estimates, on both sides of each boundary."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chainrule.runtime.differences import NUMBER, WIDE, Estimate, estimates, loss_noise
from chainrule.runtime.gradjudge import (
    EARLY,
    REFUTED,
    Along,
    Tally,
    along,
    coordinates,
    judge,
    refuted,
    relative_error,
    still,
    unit_of,
)
from chainrule.runtime.gradpoint import INPUT, points, with_batch

TOLERANCE = 1e-7
wide = pytest.mark.skipif(not WIDE, reason="long double is no wider than double here")


class Line:
    """Losses of a function of one tensor W, in place of a program's; counts how each is asked for."""

    def __init__(self, function: Any, values: Any, kink: Any = None) -> None:
        self.function, self.start, self.kink = function, np.asarray(values, float), kink
        self.point = SimpleNamespace(x=np.zeros((2, 1)), parameters={"W": self.start})
        self.asked = {"wide": 0, "quick": 0}

    def values(self, name: str) -> Any:
        return self.point.x if name == INPUT else self.start

    def _at(self, direction: Any, offset: Any) -> Any:
        step = direction if isinstance(direction, np.ndarray) else np.eye(self.start.size)[direction]
        return self.start.astype(type(offset)) + offset * step.reshape(self.start.shape)

    def along(self, name: str, direction: Any) -> Any:
        def at(offset: float) -> Any:
            self.asked["wide"] += 1
            return self.function(self._at(direction, NUMBER(offset)))

        return at

    def quick(self, name: str, direction: Any) -> Any:
        def at(offset: float) -> Any:
            self.asked["quick"] += 1
            return self.function(self._at(direction, np.float64(offset)))

        return at

    def crossed(self, name: str, direction: Any) -> Any:
        return None if self.kink is None else lambda offset: self.kink(self._at(direction, offset))


def looked(losses: Line, gradient: Any, large: bool = False, noise: float = 1e-18) -> Tally:
    gradient = np.asarray(gradient, NUMBER)
    return coordinates(
        losses, "W", gradient, np.arange(gradient.size), lambda: noise, TOLERANCE, 0, large
    )  # fmt: skip


# ---- One coordinate --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("analytic", "estimate", "wanted"),
    [
        (1.0, Estimate(1.0, 1e-5, 0.0), {"certified": 1}),
        (1.0, Estimate(1.0 + 1.9e-7, 1e-5, 0.0), {"certified": 1}),  # |a − n| / (|a| + |n|), not / |a|
        (1.0, Estimate(1.0 + 2.1e-7, 1e-5, 0.0), {"failed": 1}),
        (1.0, Estimate(1.1, 1e-5, 0.0, firm=False), {"excused": 1}),  # one that is not firm cannot refute
        (1.0, Estimate(1.1, 1e-5, 0.0249), {"failed": 1}),  # four times its noise
        (1.0, Estimate(1.1, 1e-5, 0.0251), {"excused": 1}),
        (0.0, Estimate(1e-9, 1e-5, 1e-9), {"zero": 1}),
        (0.0, Estimate(1e-9, 1e-5, 0.9e-9), {"excused": 1}),
        (0.0, Estimate(1e-9, 1e-5, 0.2e-9), {"failed": 1}),
        (1e-9, Estimate(0.0, 1e-5, 1e-9), {"excused": 1}),  # noise never certifies
        (np.nan, Estimate(1.0, 1e-5, 1.0), {"failed": 1}),
        (np.inf, Estimate(1.0, 1e-5, 1.0), {"failed": 1}),
    ],
)
def test_a_coordinate_is_certified_excused_or_failed(
    analytic: float, estimate: Estimate, wanted: dict[str, int]
) -> None:
    found = judge(Tally(), analytic, [estimate], TOLERANCE)
    counts = {name: getattr(found, name) for name in ("certified", "failed", "zero", "excused", "kinks")}
    assert counts == {**dict.fromkeys(counts, 0), **wanted} and found.looked == 1


def test_no_estimate_is_a_kink() -> None:
    assert judge(Tally(kinks=1), 1.0, [], TOLERANCE) == Tally(kinks=2)


def test_worst_is_the_largest_error_of_all() -> None:
    tally = judge(Tally(), 1.0, [Estimate(1 + 1e-7, 1e-5, 0.0)], TOLERANCE)
    again = judge(tally, 1.0, [Estimate(1.0, 1e-5, 0.0)], TOLERANCE)
    assert again.certified == 2 and again.worst == tally.worst == pytest.approx(5e-8, rel=1e-6)


@pytest.mark.parametrize(("error", "taken"), [(0.9 * EARLY, 1), (1.1 * EARLY, 2)])
def test_an_early_end_at_a_small_error_alone(error: float, taken: int) -> None:
    ladder = iter([Estimate(1 + 2 * error, 1e-5, 0.0), Estimate(1.0, 1e-7, 0.0)])
    judge(Tally(), 1.0, ladder, TOLERANCE)
    assert len(list(ladder)) == 2 - taken


def test_the_two_sharpest_firm_estimates_refute() -> None:
    blunt, sharp, blurred = Estimate(1.1, 1e-3, 0.1), Estimate(1.0, 1e-9, 0.05), Estimate(1.0, 1e-11, 1.0)
    rough = Estimate(9.0, 1e-9, 0.0, firm=False)
    for found in ([blunt, sharp], [sharp, blunt], [rough, blunt, sharp], [blurred, sharp, blunt]):
        assert refuted(found, 1.51) and not refuted(found, 1.49)
        assert refuted(found, 0.69) and not refuted(found, 0.71)
    assert refuted([sharp], 1.21) and not refuted([sharp], 1.19)
    assert not refuted([], 1.0) and not refuted([rough], 1.0)
    assert judge(Tally(), 1.49, [blunt, sharp], TOLERANCE).excused == 1
    assert judge(Tally(), 1.6, [sharp, blunt], TOLERANCE).failed == 1


def test_of_estimates_that_contradict_each_other_that_of_the_shorter_step_counts() -> None:
    """A loss that turns a thousand times within a step has differences near 0 there, of little noise."""
    long, short = Estimate(9.8, 1e-2, 1.4), Estimate(85_866.0, 1e-8, 5.0)
    for found in ([long, short], [short, long]):
        assert judge(Tally(), 85_860.0, found, TOLERANCE).excused == 1
        assert judge(Tally(), 85_840.0, found, TOLERANCE).failed == 1
        assert judge(Tally(), 9.8, found, TOLERANCE).certified == 1


@pytest.mark.parametrize(("apart", "denied"), [(0.99, False), (1.01, True)])
def test_an_estimate_that_shorter_steps_deny_refutes_nothing(apart: float, denied: bool) -> None:
    """The shorter one need not have settled: apart by more than both their noise is enough."""
    long, short = Estimate(1.0, 1e-5, 0.1), Estimate(1.0 + 0.3 * apart, 1e-7, 0.2, settled=False)
    assert refuted([long, short], 9.0) is not denied
    assert refuted([long, replace(short, h=1e-3)], 9.0)
    assert refuted([long, replace(short, firm=False)], 9.0)
    assert not refuted([short], 9.0)


def test_noise_that_a_short_step_adds_makes_no_zero_of_what_is_refuted() -> None:
    found = [Estimate(1.0, 1e-5, 0.01), Estimate(1.0, 1e-7, 0.1), Estimate(1.0, 1e-13, 2.0)]
    assert judge(Tally(), 0.0, found, TOLERANCE).failed == 1
    assert judge(Tally(), 0.0, found[1:], TOLERANCE).excused == 1
    assert judge(Tally(), 0.0, found[2:], TOLERANCE).zero == 1


def test_relative_error_is_symmetric() -> None:
    assert relative_error(1.0, 3.0) == relative_error(3.0, 1.0) == 0.5
    assert relative_error(1.0, -1.0) == 1.0 and relative_error(0.0, 0.0) == 0.0


# ---- The coordinates of a tensor ---------------------------------------------------------------------


@wide
def test_what_is_zero_is_for_the_wide_loss_to_say() -> None:
    """A derivative of 1e-12 that float64 cannot see, with a gradient that says 0."""
    losses = Line(lambda w: 1 + NUMBER(1e-12) * w[0], [1.0, 1.0])
    assert looked(losses, [0.0, 0.0], large=True).failed == 1 and losses.asked["quick"] == 0


@pytest.mark.parametrize("large", [False, True])
def test_float64_is_asked_for_a_large_network_alone(large: bool) -> None:
    losses = Line(lambda w: w[0] + 2 * w[1] + 1, [1.0, 1.0])
    found = looked(losses, [1.0, 2.0], large, 1e-16)
    assert found.certified == 2
    assert (losses.asked["quick"] > 0) is large and (losses.asked["wide"] == 0) is large


def test_zeros_are_looked_at_together() -> None:
    losses = Line(lambda w: w[0] ** 2, np.ones(9))
    found = looked(losses, [2.0, *[0.0] * 8])
    assert (found.zero, found.certified, found.looked) == (8, 1, 9)
    assert losses.asked["wide"] <= 2 + 6


def test_one_wrong_zero_among_others_fails() -> None:
    losses = Line(lambda w: w[0] ** 2 + w[5] / 8, np.ones(9))
    found = looked(losses, [2.0, *[0.0] * 8])
    assert (found.zero, found.certified, found.failed) == (7, 1, 1)


def test_a_kink_says_nothing_of_zeros() -> None:
    flat = Line(lambda w: 1 + 0 * w[0], np.zeros(3))
    places = np.arange(3)
    assert still(flat, "W", places, 1e-18, 0)
    for side in (1, -1):
        kinked = Line(lambda w: 1 + 0 * w[0], np.zeros(3), kink=lambda w, side=side: side * w[0] > 0)
        assert not still(kinked, "W", places, 1e-18, 0)


def test_no_more_are_looked_at_once_some_are_wrong() -> None:
    found = looked(Line(lambda w: w.sum(), np.ones(9)), [2.0] * 9)
    assert found.failed == found.looked == REFUTED


@pytest.mark.parametrize(("size", "unit"), [(1.0, 1.0), (10.0, 1.0), (25.0, 2.5), (1e3, 100.0)])
def test_steps_grow_with_values_that_are_large(size: float, unit: float) -> None:
    assert unit_of(Line(None, [size, -size]), "W") == pytest.approx(unit)


# ---- All coordinates together ------------------------------------------------------------------------


@pytest.mark.parametrize("large", [False, True])
def test_one_wrong_value_of_many_is_seen_along_a_direction(large: bool) -> None:
    losses, right = Line(lambda w: (w**2).sum(), np.ones(50)), np.full(50, 2.0, NUMBER)
    good = along(losses, "W", right, lambda: 1e-16, 0, large)
    assert not good.wrong and good.error is not None and good.error < 1e-7
    right[17] *= 1 + 1e-5
    bad = along(losses, "W", right, lambda: 1e-16, 0, large)
    assert bad.wrong and bad.error is not None and bad.error > 1e-7


def test_directions_join_to_the_worse_of_both() -> None:
    assert Along(1.0).joined(Along(2.0)) == Along(2.0) and Along().joined(Along(None, True)) == Along(
        None, True
    )
    assert Along(None, True).joined(Along(1.0)) == Along(1.0, True) and Along().joined(Along()) == Along()


# ---- Steps -------------------------------------------------------------------------------------------


def steps(third: float, noise: float, h: float = 1e-5) -> list[float]:
    """The steps taken for x + third·x³ where the noise of a loss is known."""
    found = estimates(lambda x: NUMBER(x) + NUMBER(third) * NUMBER(x) ** 3, None, noise)
    return [estimate.h for estimate in found]


@wide
@pytest.mark.parametrize(("times", "smaller"), [(15.5, False), (16.5, True)])
def test_smaller_steps_where_the_difference_changes_by_sixteen_times_its_noise(
    times: float, smaller: bool
) -> None:
    """For x + a·x³ differences at h and h/2 are apart by 3a·h²/4."""
    apart = 0.75 * 1e-3 * 1e-10
    found = steps(1e-3, apart * 1e-5 / times)
    assert (found.index(1e-7) < found.index(1e-2)) is smaller and max(found) == 1e-2


@wide
@pytest.mark.parametrize(("third", "settled"), [(0.9, True), (1.1, False)])
def test_a_difference_has_settled_where_a_ten_thousandth_is_truncation(third: float, settled: bool) -> None:
    """For x + a·x³ of the estimate 1 the difference at h/2 is 1 + a·h²/4."""
    a = third * 4e-4 * 1e10
    _, second, *_ = estimates(lambda x: NUMBER(x) + NUMBER(a) * NUMBER(x) ** 3, None, 0.0)
    assert second.settled is settled and second.value == pytest.approx(1)


@wide
@pytest.mark.parametrize(("frequency", "excused"), [(1e3, False), (1e7, False), (1e10, False), (1e16, True)])
def test_what_turns_fast_is_refuted_by_steps_that_are_shorter(frequency: float, excused: bool) -> None:
    """Where it turns within the shortest, nothing is."""
    losses = Line(lambda w: np.sin(NUMBER(frequency) * w[0]), [0.0])
    for share, wanted in ((1.0, "certified"), (1 + 1e-4, "failed"), (0.0, "failed"), (-1.0, "failed")):
        found = looked(losses, [share * frequency])
        assert getattr(found, "excused" if excused else wanted) == 1, share


@wide
def test_a_slope_on_a_way_so_short_that_noise_hides_it_is_not_refuted_by_long_steps() -> None:
    losses = Line(lambda w: 8 + NUMBER(1e-15) * np.tanh(NUMBER(1e6) * w[0]), [0.0])
    assert looked(losses, [1e-9], noise=1e-14).failed == 0


@wide
@pytest.mark.parametrize(("third", "longer"), [(0.9, True), (1.1, False)])
def test_no_longer_steps_of_what_these_do_not_resolve(third: float, longer: bool) -> None:
    """Apart by a tenth of the difference at h/2: a·h²·3/4 of 1 + a·h²/4."""
    a = third * 0.1 / (0.75 - 0.025) * 1e10
    assert (max(steps(a, 1e-25)) > 1e-4) is longer


@wide
@pytest.mark.parametrize("outside", [np.inf, np.nan, -np.inf])
@pytest.mark.parametrize(
    ("gradient", "verdict"), [(3.0, "certified"), (3.0 + 1e-5, "failed"), (0.0, "failed")]
)
def test_steps_to_where_the_loss_is_infinite_say_nothing(
    gradient: float, verdict: str, outside: float
) -> None:
    """A value that saturates, the logarithm of 0: shorter steps judge, and longer ones are not asked."""
    for edges in ((-1, 1), (-1, 4e-6), (-4e-6, 1), (-4e-6, 4e-6), (-4e-8, 7e-6)):

        def loss(w: Any, edges: tuple[float, float] = edges) -> Any:
            return 3 * w[0] + w[0] ** 2 if edges[0] < w[0] < edges[1] else NUMBER(outside)

        assert getattr(looked(Line(loss, [0.0]), [gradient]), verdict) == 1
        said = along(Line(loss, [0.0]), "W", np.array([gradient], NUMBER), lambda: 1e-18, 0, False)
        assert said.wrong is (verdict == "failed")


def test_a_gradient_that_is_infinite_is_wrong_along_a_direction() -> None:
    for value in (np.inf, np.nan):
        assert along(Line(lambda w: w[0], [0.0]), "W", np.array([value]), lambda: 1e-18, 0, False).wrong


def test_the_noise_of_a_loss_with_infinities_near_is_that_of_shorter_steps() -> None:
    unit = float(np.finfo(np.longdouble).eps)
    assert loss_noise(lambda h: np.longdouble(1 if abs(h) < 1e-10 else np.inf)) == 4 * unit
    assert loss_noise(lambda h: np.longdouble(1 if h == 0 else np.nan)) == np.inf


@wide
def test_stairs_are_noise_and_a_loss_that_turns_within_every_step_is_nothing_but_noise() -> None:
    unit = float(np.finfo(np.longdouble).eps)
    stairs = loss_noise(lambda h: 5 + NUMBER(1e-9) * np.round(NUMBER(h) * NUMBER(3.7e9)))
    assert 1e-9 < stairs < 1e-7
    assert loss_noise(lambda h: 5 + np.sin(NUMBER(1e6) * NUMBER(h))) < 100 * unit  # turns within some
    assert loss_noise(lambda h: np.sin(NUMBER(1e15) * NUMBER(h)), size=1.0) == np.inf


def test_a_loss_that_comes_out_0_rounds_as_what_it_is_made_of() -> None:
    unit = float(np.finfo(np.longdouble).eps)
    assert loss_noise(lambda h: np.longdouble(0), size=50.0) == pytest.approx(200 * unit, abs=0)
    assert loss_noise(lambda h: np.longdouble(100), size=50.0) == pytest.approx(400 * unit, abs=0)
    assert loss_noise(lambda h: np.longdouble(0)) == 0


# ---- Points ------------------------------------------------------------------------------------------


def drawn(count: int) -> list[Any]:
    start = {"W": np.full((200, 50), 7.0), "b": np.full(200, 7.0)}
    module = SimpleNamespace(
        PARAMETERS={name: value.shape for name, value in start.items()},
        init_parameters=lambda seed, dtype: {name: value.copy() for name, value in start.items()},
    )
    program: Any = SimpleNamespace(
        module=module, input_shape=(400,), output_shape=(2,), target_kind="values", loss_type="mse", classes=0
    )
    return [(p, with_batch(program, p, 3)) for p in points(program, 0, 4, count)]


def test_draws_take_turns() -> None:
    """The start; moved; of their own; other; positive; shrunk, with twice the samples; moved."""
    found = [point for point, _ in drawn(8)]
    means = [float(point.parameters["W"].mean()) for point in found]
    spreads = [float(point.parameters["W"].std()) for point in found]
    sizes = [float(point.x.std()) for point in found]
    assert means == pytest.approx([7, 7, 0, 0, 0.8 / 50, 0.7, 7, 0], abs=0.02)
    root = 1 / np.sqrt(50)
    wanted = [0, 0.1, root, 3 * root, 0.6 / 50, 0.1, 0.1, 0.1 * root]
    assert spreads == pytest.approx(wanted, rel=0.1, abs=1e-6)
    assert [len(point.x) for point in found] == [4] * 5 + [8] * 3
    assert sizes == pytest.approx([1, 1, 1, 1, 0.6, 0.3, 0.3, 1], rel=0.1)
    positive = found[4]
    assert min(float(v.min()) for v in (positive.x, *positive.parameters.values())) >= 0
    biases = [float(point.parameters["b"].std()) for point in found]
    assert biases[2:4] == pytest.approx(
        [1 / np.sqrt(10)] * 2, rel=0.2
    )  # no larger than weights, however large


def test_another_batch_keeps_the_parameters_and_draws_the_rest() -> None:
    for point, other in drawn(2):
        assert other.parameters is not point.parameters and len(other.x) == 3 and other.seed != point.seed
        assert all(np.array_equal(other.parameters[name], v) for name, v in point.parameters.items())
        assert not np.array_equal(other.x, point.x[:3])
