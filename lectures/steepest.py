"""Steepest descent for a line through points, held against the closed form; how large its steps may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sympy
from sympy import Expr, Integer, Rational, Symbol, sqrt

from chainrule.derive.index import Sum
from chainrule.derive.prose import _
from chainrule.lectures.model import Steps, Topic, TopicError, partial
from chainrule.lectures.plot import Levels, Plot, Points
from chainrule.lectures.regression import (
    AS_WRITTEN,
    RESIDUAL,
    Cost,
    alpha,
    alpha_hat,
    beta,
    beta_hat,
    closed_forms,
    cost,
    error,
    letter_node,
    split_sums,
    with_numbers,
)
from chainrule.lectures.support import givens
from chainrule.lectures.support.layout import chain, column, exact, grid, in_words, laid, rounded, shown
from chainrule.lectures.support.points import GivenPoints, i, n, points
from chainrule.lectures.support.walk import Place, Walk, walk
from chainrule.present.tree import Applied, Dot, Leaf, Node, Plus, Related, Times

NEAR: Final = 1e-6  # how near to the closed form counts as there
FIRST: Final = 3  # steps that are written down
COST: Final = letter_node("Cost")
H, ONE, MU, L = (Leaf(*pair) for pair in (("H", "H"), ("I", "I"), (r"\mu", "μ"), ("L", "L")))
rate = Symbol("lambda", positive=True)


def steepest_descent(given: Mapping[str, str]) -> Topic:
    """Derive the steps for α and β and the bound 2/L of their rate, and walk to the closed form."""
    givens.allow(given, ("x", "y", "rate", "steps", "start"), "steepest-descent")
    data = points(given)
    steps = Steps()
    steps.heading(_("The cost and its slopes"))
    found = cost(steps, "Cost")
    steps.heading(_("The step"))
    _updates(steps, found)
    steps.heading(_("How large the step may be"))
    bent, because = _bound(steps, found)
    steps.heading(_("The closed form, with numbers"))
    intercept, closed = closed_forms()
    goal = with_numbers(steps, data, intercept, closed)
    steps.heading(_("Steepest descent, with numbers"))
    _with_numbers(steps, data, found.slopes, bent, goal, because, given)
    return steps.topic("steepest-descent", _("steepest descent for a line"))


def _updates(steps: Steps, found: Cost) -> None:
    theta = Leaf(r"\theta", "θ")
    right = Plus(((False, theta), (True, Times((shown(rate), partial(COST, theta))))))
    rule = _("against the slope, λ > 0 the rate: the same for every parameter θ")
    first = steps.add(theta, right, rule, relation="←")
    for parameter, slope, number, name in zip(
        (alpha, beta), found.slopes, found.numbers, ("alpha", "beta"), strict=True
    ):
        change = -rate * slope
        written = laid(change, AS_WRITTEN)
        steps.add(
            parameter,
            Plus(((False, shown(parameter)), (False, written))),
            _("the step with this slope"),
            (first, number),
            name + "_new",
            relation="←",
            formula=parameter + change.xreplace({error[i]: RESIDUAL}),
        )
    rule = _("no step where both slopes are 0: the normal equations, so α̂ and β̂")
    slopes = chain(partial(COST, alpha), partial(COST, beta))
    steps.add(slopes, Integer(0), rule, found.numbers)


def _bound(steps: Steps, found: Cost) -> tuple[list[list[Expr]], tuple[int, int]]:
    """Derive what a step does to the distance from (α̂, β̂); return the second derivatives and two numbers."""
    letters = {alpha: Symbol("a"), beta: Symbol("b")}
    back = {symbol: parameter for parameter, symbol in letters.items()}
    split = [split_sums(slope.xreplace({error[i]: RESIDUAL})).xreplace(letters) for slope in found.slopes]
    bent = [[sympy.diff(slope, letter).xreplace(back) for letter in back] for slope in split]
    if any(entry.has(alpha, beta) for row in bent for entry in row):
        raise AssertionError("the slopes are not linear in α and β")
    first = steps.add(H, grid(bent), _("the second derivatives of the cost"), found.numbers)
    distance = column(alpha - alpha_hat, beta - beta_hat)
    slopes = column(partial(COST, alpha), partial(COST, beta))
    rule = _("the slopes are linear in α and β, and 0 at α̂ and β̂")
    second = steps.add(slopes, Dot((H, distance)), rule, (first,))
    factor = Plus(((False, ONE), (True, Times((shown(rate), H)))))
    rule = _("so a step multiplies the distance from the closed form by I − λH")
    third = steps.add(distance, Dot((factor, distance)), rule, (second,), relation="←")
    shrunk = Plus(((False, Leaf("1", "1")), (True, Times((shown(rate), MU)))))
    length = Leaf("d", "d")
    rule = _("d the distance along an eigenvector of H with eigenvalue μ")
    fourth = steps.add(length, Times((shrunk, length)), rule, (third,), relation="←")
    condition = Related("<", Leaf("0", "0"), shown(rate))
    rule = _("|1 − λμ| < 1 for every μ > 0, up to the greatest of them, L")
    fifth = steps.add(condition, laid(2 / Symbol("L", positive=True)), rule, (fourth,), relation="<")
    return bent, (first, fifth)


@dataclass(frozen=True)
class _Task:
    """The numbers of a walk: where it starts, its rate and its most steps."""

    start: Place
    rate: Rational
    most: int


def _task(given: Mapping[str, str], greatest: float) -> _Task:
    start = givens.numbers(given, "start", "0, 0")
    if len(start) != 2:
        raise TopicError(f"start is two numbers, α and β (given: {given['start']})")
    usual = f"{1 / greatest:.0e}"  # 1/L to one digit: well under 2/L
    rate_ = givens.number(given, "rate", usual, above=0)
    return _Task((float(start[0]), float(start[1])), rate_, givens.whole(given, "steps", "20000", 1, 200_000))


def _with_numbers(
    steps: Steps,
    data: GivenPoints,
    slopes: tuple[Expr, Expr],
    bent: list[list[Expr]],
    goal: tuple[Rational, Rational],
    because: tuple[int, int],
    given: Mapping[str, str],
) -> None:
    """Put the points into H and its bound, and walk; ``because`` are the numbers of H and of the bound."""
    matrix = [[data.value(entry) for entry in row] for row in bent]
    (a, b), (_b, d) = matrix
    rows = grid([[exact(entry) for entry in row] for row in matrix])
    first = steps.add(H, rows, _("the points put in"), because[:1])
    root = sqrt(((a - d) / 2) ** 2 + b**2)
    greatest = float(sympy.N((a + d) / 2 + root, 30))
    least = float(sympy.N((a * d - b**2) / ((a + d) / 2 + root), 30))
    rule = _("the greatest eigenvalue of H; the least is {least}", least=in_words(least))
    second = steps.add(L, rounded(greatest), rule, (first,), relation="≈")
    task = _task(given, greatest)
    steps.results |= {"bound": f"{2 / greatest:.12g}", "rate": str(task.rate)}
    good = float(task.rate) < 2 / greatest
    rule = _("under the bound: it converges") if good else _("not under the bound: it cannot converge")
    limit = Related("≈", shown(2 / Symbol("L", positive=True)), rounded(2 / greatest))
    steps.add(rate, Related("<" if good else "≥", exact(task.rate), limit), rule, (because[1], second))
    path = _walked(data, slopes, goal, task)
    _compare(steps, path, goal, (second,))
    steps.plots.append(_picture(data, path, goal, task))


def _walked(
    data: GivenPoints, slopes: tuple[Expr, Expr], goal: tuple[Rational, Rational], task: _Task
) -> Walk:
    """Walk along the slopes with the points put in; done where both parameters are near the closed form."""
    linear = [sympy.expand(data.value(split_sums(slope.xreplace({error[i]: RESIDUAL})))) for slope in slopes]
    zero = {alpha: sympy.S.Zero, beta: sympy.S.Zero}
    rows = [tuple(map(float, (s.coeff(alpha), s.coeff(beta), s.xreplace(zero)))) for s in linear]
    target = (float(goal[0]), float(goal[1]))
    return walk(
        lambda at: [a * at[0] + b * at[1] + c for a, b, c in rows],
        task.start,
        float(task.rate),
        task.most,
        lambda at, _down: max(abs(at[0] - target[0]), abs(at[1] - target[1])) < NEAR,
    )


def _compare(steps: Steps, path: Walk, goal: tuple[Rational, Rational], because: tuple[int, ...]) -> None:
    pair = Applied("", "", (shown(alpha), shown(beta)))
    for k, place in enumerate(path.places[: FIRST + 1]):
        rule = _("step {k}", k=k) if k else _("the start")
        steps.add(pair, _pair(place), rule, because, relation="≈" if k else "=")
    rule = {
        "done": _("after {steps} steps: within 10⁻⁶ of the closed form", steps=path.steps),
        "short": _("after {steps} steps: not yet within 10⁻⁶ of the closed form", steps=path.steps),
        "lost": _("after {steps} steps: it diverges", steps=path.steps),
    }[path.end]
    steps.add(pair, _pair(path.last), rule, because, "end", relation="≈")
    exactly = Applied("", "", (exact(goal[0]), exact(goal[1])))
    hats = Applied("", "", (shown(alpha_hat), shown(beta_hat)))
    steps.add(hats, exactly, _("the closed form, for comparison"), (), "closed form")
    steps.results |= {
        "steps": str(path.steps),
        "end": {"done": "converged", "short": "not settled", "lost": "diverged"}[path.end],
        "alpha after the steps": f"{path.last[0]:.12g}",
        "beta after the steps": f"{path.last[1]:.12g}",
    }


def _pair(place: Place) -> Node:
    return Applied("", "", tuple(rounded(value) for value in place))


def _picture(data: GivenPoints, path: Walk, goal: tuple[Rational, Rational], task: _Task) -> Plot:
    """The level lines of the cost over α and β, and the way to its minimum."""
    a, b = Symbol("alpha", real=True), Symbol("beta", real=True)
    surface = data.value(Sum(RESIDUAL**2, (i, n)), {alpha: a, beta: b})
    if path.end == "lost":
        path = Walk(path.places[:8], "lost")
    way = Points(_("steepest descent, λ = {rate}", rate=in_words(task.rate)), path.axis(0), path.axis(1))
    end = Points(_("least squares"), (float(goal[0]),), (float(goal[1]),), joined=False, marker="*")
    return Plot(
        _("Steepest descent on the cost"), "α", "β", (Levels(sympy.expand(surface), (a, b)), way, end)
    )


TOPICS = {"steepest-descent": steepest_descent}
