"""Least squares, steepest descent, gradient descent: held against NumPy and finite differences."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from chainrule.derive.index import Equation, access, tensor
from chainrule.derive.interpret import evaluate
from chainrule.lectures import topic
from chainrule.lectures.model import Topic
from chainrule.present import present

POINTS = 20


@cache
def usual(id: str) -> Topic:
    return topic(id)


def value(found: Topic, name: str, **at: object) -> float:
    return float(evaluate(Equation(access(tensor("out")), found.formulas[name]), at))


def cloud(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(3, 9))
    return rng.normal(size=count), rng.normal(size=count)


@pytest.mark.parametrize("seed", range(POINTS))
def test_both_closed_forms_are_numpys_line(seed: int) -> None:
    found = usual("least-squares")
    x, y = cloud(seed)
    slope, intercept = np.polyfit(x, y, 1)
    known = {"x": x, "y": y, "xbar": x.mean(), "ybar": y.mean()}
    for form in ("beta-hat", "beta-hat, second form"):
        assert value(found, form, **known) == pytest.approx(slope, rel=1e-9)
    assert value(found, "alpha-hat", **known, betahat=slope) == pytest.approx(intercept, rel=1e-9)


@pytest.mark.parametrize("seed", range(POINTS))
@pytest.mark.parametrize(("id", "letter"), [("least-squares", "SSE"), ("steepest-descent", "Cost")])
def test_slopes_of_the_cost_by_differences(id: str, letter: str, seed: int) -> None:
    found = usual(id)
    x, y = cloud(seed)
    a, b, h = 0.3 - seed / 7, seed / 5 - 1, 1e-5

    def cost(alpha: float, beta: float) -> float:
        return float(((y - alpha - beta * x) ** 2).sum())

    at = {"x": x, "y": y, "alpha": a, "beta": b}
    assert value(found, letter, **at) == pytest.approx(cost(a, b))
    by_alpha = (cost(a + h, b) - cost(a - h, b)) / (2 * h)
    by_beta = (cost(a, b + h) - cost(a, b - h)) / (2 * h)
    assert value(found, f"d{letter}/dalpha", **at) == pytest.approx(by_alpha, abs=1e-6)
    assert value(found, f"d{letter}/dbeta", **at) == pytest.approx(by_beta, abs=1e-6)
    if id == "steepest-descent":
        step = {**at, "lambda": 0.01}
        assert value(found, "alpha_new", **step) == pytest.approx(a - 0.01 * by_alpha, abs=1e-7)
        assert value(found, "beta_new", **step) == pytest.approx(b - 0.01 * by_beta, abs=1e-7)


@pytest.mark.parametrize("seed", range(POINTS))
def test_the_normal_equations_hold_at_the_line_alone(seed: int) -> None:
    found = usual("least-squares")
    x, y = cloud(seed)
    slope, intercept = np.polyfit(x, y, 1)
    at = {"x": x, "y": y, "alpha": intercept, "beta": slope}
    assert value(found, "sum of y", **at) == pytest.approx(y.sum())
    assert value(found, "sum of x y", **at) == pytest.approx((x * y).sum())
    assert value(found, "sum of y", **{**at, "alpha": intercept + 1}) != pytest.approx(y.sum())


def test_the_exercise_of_the_lecture() -> None:
    found = usual("least-squares")
    assert (found.results["alpha"], found.results["beta"], found.results["least SSE"]) == ("0", "1", "0")
    walk = topic("steepest-descent")
    assert walk.results["end"] == "converged"
    assert float(walk.results["alpha after the steps"]) == pytest.approx(0, abs=1e-6)
    assert float(walk.results["beta after the steps"]) == pytest.approx(1, abs=1e-6)


def test_other_points_exactly() -> None:
    x, y = (
        [Fraction(1, 3), Fraction(5, 2), Fraction(-4), Fraction(7)],
        [Fraction(2), Fraction(0), Fraction(1, 7), Fraction(3)],
    )
    given = ["x=1/3, 2.5, -4, 7", "y=[2, 0, 1/7, 3]"]
    found = topic("least-squares", given)
    n = len(x)
    slope = (n * sum(a * b for a, b in zip(x, y, strict=True)) - sum(x) * sum(y)) / (
        n * sum(a * a for a in x) - sum(x) ** 2
    )
    intercept = (sum(y) - slope * sum(x)) / n
    assert found.results["beta"] == str(slope) and found.results["alpha"] == str(intercept)
    left = sum((b - intercept - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    assert found.results["least SSE"] == str(left)


def by_hand(x: list[float], y: list[float], rate: float, most: int) -> tuple[int, np.ndarray]:
    """Steepest descent in NumPy: steps until within 1e-6 of polyfit's line, and where it is then."""
    a, b = np.array(x), np.array(y)
    goal = np.polyfit(a, b, 1)[::-1]
    theta = np.zeros(2)
    for step in range(most):
        if np.abs(theta - goal).max() < 1e-6:
            return step, theta
        error = b - theta[0] - theta[1] * a
        theta = theta + 2 * rate * np.array([error.sum(), (error * a).sum()])
    return most, theta


@pytest.mark.parametrize("rate", ["0.03", "0.05", "0.06"])
def test_the_steps_to_the_line_are_counted(rate: str) -> None:
    found = topic("steepest-descent", [f"rate={rate}"])
    steps, theta = by_hand([1, 2, 3], [1, 2, 3], float(rate), 20_000)
    assert int(found.results["steps"]) == steps
    assert float(found.results["alpha after the steps"]) == pytest.approx(theta[0], abs=1e-12)
    shown = present(found, format="text", steps=True)
    assert f"after {steps} steps: within 10⁻⁶ of the closed form" in shown


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ("1,2,3", "1,2,3"),
        ("0, 1, 4, -2", "1, 0, 2, 5"),
        ("10, 11, 13", "0.5, 1/3, 2"),
        ("0.01, 0.02", "1, 3"),
    ],
)
def test_the_bound_of_the_rate_is_sharp(x: str, y: str) -> None:
    found = topic("steepest-descent", [f"x={x}", f"y={y}"])
    points = np.array([float(Fraction(part)) for part in x.split(",")])
    design = np.stack([np.ones_like(points), points], axis=1)
    bound = 2 / np.linalg.eigvalsh(2 * design.T @ design).max()
    assert float(found.results["bound"]) == pytest.approx(bound, rel=1e-9)
    assert 0 < float(Fraction(found.results["rate"])) < bound
    over = topic("steepest-descent", [f"x={x}", f"y={y}", f"rate={bound * 1.1:.9f}"])
    assert over.results["end"] == "diverged"
    assert "diverges" in present(over, format="text", steps=True)


def test_a_start_and_few_steps() -> None:
    found = topic("steepest-descent", ["start=0, 1", "steps=5"])
    assert found.results["steps"] == "0" and found.results["end"] == "converged"
    short = topic("steepest-descent", ["steps=5"])
    assert short.results["end"] == "not settled"
    assert "not yet" in present(short, format="text", steps=True)


@pytest.mark.parametrize("id", ["least-squares", "steepest-descent"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["x=1,2", "y=1"], "x has 2 values and y has 1"),
        (["x=1", "y=1"], "at least two"),
        (["x=2,2,2", "y=1,2,3"], "all x are 2"),
        (["x=1,2"], "give x and y"),
        (["x=1,b", "y=1,2"], "no number"),
        (["x=1,sqrt(2)", "y=1,2"], "fraction"),
        (["x=1,1/0", "y=1,2"], "x:"),
        (["z=1"], "takes x, y"),
    ],
)
def test_points_that_make_no_line_are_refused(id: str, given: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        topic(id, given)


@pytest.mark.parametrize("given", ["rate=0", "rate=-1", "steps=0", "steps=1.5", "start=1", "rate=1,2"])
def test_walks_that_make_no_sense_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match=given.partition("=")[0]):
        topic("steepest-descent", [given])


@pytest.mark.parametrize("seed", range(POINTS))
def test_the_linear_approximation_of_a_step(seed: int) -> None:
    """−η (df/dx)² is what a small step changes f by, to first order: the rest shrinks with η²."""
    found = usual("gradient-descent")
    x = seed / 3 - 3.1
    slope = np.cos(x) + 2 * x
    for eta in (1e-3, 1e-4):
        step = value(found, "dx", slope=slope, learning_rate=eta)
        change = np.sin(x + step) + (x + step) ** 2 - np.sin(x) - x**2
        assert abs(change - value(found, "df", slope=slope, learning_rate=eta)) < 2 * (eta * slope) ** 2
        assert value(found, "df", slope=slope, learning_rate=eta) <= 0


@pytest.mark.parametrize("seed", range(POINTS))
def test_the_linear_approximation_in_several_variables(seed: int) -> None:
    found = usual("gradient-descent")
    rng = np.random.default_rng(seed)
    x, weights = rng.normal(size=4), rng.uniform(0.5, 2, size=4)
    slope, eta = 2 * weights * x, 1e-5
    change = (weights * (x - eta * slope) ** 2).sum() - (weights * x**2).sum()
    assert value(found, "df, several variables", g=slope, learning_rate=eta) == pytest.approx(
        change, rel=1e-3
    )


def test_gradient_descent_on_a_given_function() -> None:
    found = topic("gradient-descent", ["f=(v - 3)**2 + exp(-v)", "v=0", "rate=0.2", "steps=500"])
    v = 0.0
    steps = 0
    while abs(slope := 2 * (v - 3) - np.exp(-v)) >= 1e-6:
        v -= 0.2 * slope
        steps += 1
    assert found.results["end"] == "converged" and int(found.results["steps"]) == steps
    assert float(found.results["v"]) == pytest.approx(v, rel=1e-9)


def test_gradient_descent_that_diverges_or_leaves_the_domain() -> None:
    assert topic("gradient-descent", ["f=x**4", "x=3", "rate=1"]).results["end"] == "diverged"
    assert topic("gradient-descent", ["f=log(x)", "x=0.5", "rate=1"]).results["end"] == "diverged"
    bounces = topic("gradient-descent", ["rate=1", "steps=9"])
    assert bounces.results["end"] == "not settled" and float(bounces.results["x"]) == -1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["f=3"], "no variable"),
        (["f=x*("], "f:"),
        (["f=log(x)", "x=-1"], "no slope at x = -1"),
        (["f=1/x", "x=0"], "no slope"),
        (["f=x**2", "z=1"], "not z"),
        (["f=x**2", "rate=0"], "rate is more than 0"),
        (["f=rate**2"], "something else"),
    ],
)
def test_functions_that_cannot_be_walked_on_are_refused(given: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        topic("gradient-descent", given)


def test_the_erratum_of_the_missing_rate() -> None:
    (erratum,) = usual("gradient-descent").errata
    x, places = 1.0, []
    for _ in range(5):
        places.append(x)
        x -= 2 * x  # f = x², without η
    assert places == [1, -1, 1, -1, 1]
    assert "1, −1, 1, −1, 1" in erratum.shown
    assert f"{0.8**50:.6g}".replace("-", "−") in erratum.shown and "0.8, 0.64, 0.512" in erratum.shown
