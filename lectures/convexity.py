"""Convexity: the cross-entropy of a logistic model is convex for every data set, its squared error is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import sympy
from sympy import Expr, Mul, Rational, Symbol, exp, log

from chainrule.derive.adjoint import adjoint
from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, Sum, access, cotangent, index, size, tensor
from chainrule.derive.interpret import function_of
from chainrule.derive.prose import _
from chainrule.lectures.model import Steps, Topic, TopicError, partial
from chainrule.lectures.plot import Curve, Plot, Points
from chainrule.lectures.support import givens
from chainrule.lectures.support.layout import chain, grid, in_words, ordered, product, rounded, row, shown
from chainrule.lectures.support.spoken import spoken
from chainrule.present.tree import (
    Applied,
    Big,
    Dot,
    Leaf,
    Over,
    Plus,
    Raised,
    Related,
    Slope,
    Times,
    Transposed,
)

i, n = index("i"), size("n")
x, y, S, z = (tensor(letter, n) for letter in "xySz")
w, b = access(tensor("w")), access(tensor("b"))
LINE: Final = Equation(z[i], w * x[i] + b)
CURVE: Final = Equation(S[i], 1 / (1 + exp(-z[i])))
ENTROPY: Final = Equation(access(tensor("C")), -Sum(y[i] * log(S[i]) + (1 - y[i]) * log(1 - S[i]), (i, n)))
SQUARES: Final = Equation(access(tensor("E")), Sum((S[i] - y[i]) ** 2 / 2, (i, n)))
GRID: Final = 400  # places along w where the second derivative is looked at
W = Symbol("w", real=True)


def convexity(given: Mapping[str, str]) -> Topic:
    """Prove that the cross-entropy is convex in (w, b) for all data, and that the squared error is not."""
    data = _data(given)
    steps = Steps()
    steps.heading(_("The cross-entropy of a logistic model"))
    curve = _entropy(steps)
    steps.heading(_("Its second derivative in any direction"))
    _definite(steps, curve)
    steps.heading(_("The squared error of the same model"))
    _squares(steps, curve)
    steps.heading(_("A counter-example, with numbers"))
    _counter_example(steps, data)
    return steps.topic("convexity", _("which cost is convex"))


@cache
def _local() -> Expr:
    """Return ∂S/∂z through the output: S (1 − S)."""
    return adjoint(CURVE, "z").equation.right / access(tensor(cotangent("S"), n), i)


def _slope(cost: Equation) -> Expr:
    """Return ∂cost/∂z_i as it comes from the engine."""
    outer = vjp(cost, "S").right.xreplace({access(tensor(cotangent(cost.name))): sympy.S.One})
    return outer * _local()


def _by(parameter: Expr) -> Expr:
    """Return ∂z_i/∂w or ∂z_i/∂b."""
    return sympy.diff(LINE.right, parameter)


def _entropy(steps: Steps) -> tuple[int, int]:
    """Derive both first derivatives; return the numbers of the lines for ∂S/∂z and of the curve."""
    first = steps.add(z[i], ordered(LINE.right, w), _("definition"))
    second = steps.add(S[i], CURVE.right, _("definition: sigmoid, so 0 < S_i < 1"), (first,))
    rule = _("the cross-entropy of n points with targets y_i of 0 or 1")
    third = steps.add("C", ENTROPY.right, rule, (second,), "C")
    fourth = steps.add(partial(S[i], z[i]), _local(), _("derivative through the output"), (second,), "dS/dz")
    outer = vjp(ENTROPY, "S").right.xreplace({access(tensor(cotangent("C"))): sympy.S.One})
    rule = _("chain rule: ∂C/∂S_i times ∂S_i/∂z_i")
    fifth = steps.add(partial("C", z[i]), product(outer, _local()), rule, (third, fourth))
    short = sympy.expand(sympy.cancel(outer * _local()))
    sixth = steps.add(partial("C", z[i]), short, _("multiplied out: S_i and 1 − S_i cancel"), (fifth,))
    for parameter in (w, b):
        name = f"dC/d{parameter.base.label}"
        rule = _("chain rule, summed over the points")
        steps.add(partial("C", parameter), Sum(short * _by(parameter), (i, n)), rule, (first, sixth), name)
    return fourth, sixth


def _definite(steps: Steps, numbers: tuple[int, int]) -> None:
    """Derive the second derivatives and the proof that they are positive semidefinite."""
    first_slope = sympy.expand(sympy.cancel(_slope(ENTROPY)))
    bent: dict[tuple[Expr, Expr], Expr] = {}
    made = []
    for one, two in ((w, w), (w, b), (b, b)):
        inner = sympy.diff(first_slope * _by(one), S[i]) * _local() * _by(two)
        bent[one, two] = inner
        left = Slope(Leaf("C", "C"), shown(one), False, (shown(two),))
        rule = _("y_i has no part in it: only S_i depends on w and b")
        name = f"d2C/d{one.base.label}d{two.base.label}"
        made.append(steps.add(left, Sum(bent[one, two], (i, n)), rule, numbers, name))
    weight = bent[b, b]
    cells = [
        [sympy.cancel(bent[pair] / weight) for pair in line] for line in (((w, w), (w, b)), ((w, b), (b, b)))
    ]
    right = Big("sum", (("i", ""),), Times((shown(weight), grid(cells))))
    matrix, u = Leaf("H", "H"), Leaf("u", "u")
    fourth = steps.add(matrix, right, _("the matrix of the second derivatives"), tuple(made))
    u1, u2 = Symbol("u_1", real=True), Symbol("u_2", real=True)
    letters = {u1: Leaf("u_1", "u₁"), u2: Leaf("u_2", "u₂")}
    form = u1**2 * cells[0][0] + 2 * u1 * u2 * cells[0][1] + u2**2 * cells[1][1]
    along = Dot((Transposed(u), matrix, u))
    pieces = Times((shown(weight), ordered(form, u1**2, u1, fixed=letters)))
    rule = _("the second derivative along any direction u = (u₁, u₂) of (w, b)")
    fifth = steps.add(along, Big("sum", (("i", ""),), pieces), rule, (fourth,))
    square = sympy.factor(form)
    root = u1 * x[i] + u2
    if sympy.expand(square - root**2) != 0:
        raise AssertionError(f"{square} is no square")
    closed = Raised(ordered(root, u1, fixed=letters), Leaf("2", "2"))
    whole = Big("sum", (("i", ""),), Times((shown(weight), closed)))
    rule = _("a square times S_i(1 − S_i) > 0, for all data: C is convex in (w, b)")
    steps.add(
        along,
        chain(whole, sympy.S.Zero, relation="≥"),
        rule,
        (fifth,),
        "u H u",
        formula=Sum(weight * root**2, (i, n)),
    )


def _squares(steps: Steps, numbers: tuple[int, int]) -> None:
    first = steps.add("E", SQUARES.right, _("half the squared error of the same outputs"), (), "E")
    slope = _slope(SQUARES) * x[i]
    written = Big("sum", (("i", ""),), product(S[i] - y[i], _local(), x[i]))
    inner_slope = f"{spoken(partial(S[i], w))} = {spoken(product(_local(), _by(w)))}"
    rule = _("chain rule, with {slope}", slope=inner_slope)
    second = steps.add(
        partial("E", w), written, rule, (first, numbers[0]), "dE/dw", formula=Sum(slope, (i, n))
    )
    inner = sympy.diff(slope, S[i]) * _local() * x[i]
    weight = _local() * x[i] ** 2
    rest = sympy.expand(sympy.cancel(inner / weight))
    spread = _local() + (S[i] - y[i]) * sympy.diff(_local(), S[i])
    if sympy.expand(rest - spread) != 0:
        raise AssertionError(f"{rest} is not {spread}")
    bracket = Plus(
        ((False, shown(_local())), (False, product(S[i] - y[i], sympy.expand(sympy.diff(_local(), S[i])))))
    )
    rule = _("product rule, and chain rule for each S_i: the bracket can be below 0")
    left = Slope(Leaf("E", "E"), shown(w), False, (shown(w),))
    written = Big("sum", (("i", ""),), product(_local(), x[i] ** 2, bracket))
    third = steps.add(left, written, rule, (second,), "d2E/dw2", formula=Sum(inner, (i, n)))
    out = Symbol("S", real=True)
    single = inner.xreplace({S[i]: out, x[i]: sympy.S.One, y[i]: sympy.S.Zero})
    (edge,) = [root for root in sympy.Poly(single, out).real_roots() if 0 < root < 1]
    factors = (out**2, 1 - out, edge.q * (edge - out))
    if sympy.expand(single - Mul(*factors)) != 0:
        raise AssertionError(f"{single} is not {factors}")
    rule = _("for one point with x = 1 and y = 0")
    fourth = steps.add(left, product(*factors), rule, (third,))
    rule = _("above 0 for a smaller S, below 0 for a greater one: E is not convex")
    steps.add("S", edge, rule, (fourth,), "sign change")


@dataclass(frozen=True)
class _Data:
    x: tuple[Rational, ...]
    y: tuple[Rational, ...]

    def of(self, body: Expr) -> Expr:
        """Return Σ of a body in x_i, y_i and S_i = σ(w x_i) over the points, as an expression in w."""
        out = 1 / (1 + exp(-W * x[i]))
        rows = zip(self.x, self.y, strict=True)
        return sympy.Add(*(body.xreplace({S[i]: out}).xreplace({x[i]: one, y[i]: two}) for one, two in rows))

    @property
    def reach(self) -> float:
        """Return how far w is followed: until the steepest output and the flattest are settled, or nearly."""
        sizes = [abs(float(value)) for value in self.x if value]
        return min(8 / min(sizes), 30 / max(sizes))


def _data(given: Mapping[str, str]) -> _Data:
    givens.allow(given, ("x", "y"), "convexity")
    if given and set(given) != {"x", "y"}:
        raise TopicError("give x and y, one value for each point")
    one, two = givens.numbers(given, "x", "1"), givens.numbers(given, "y", "0")
    if len(one) != len(two):
        raise TopicError(f"x has {len(one)} values and y has {len(two)}; they must be as many")
    if not all(0 <= value <= 1 for value in two):
        raise TopicError("y holds targets from 0 to 1")
    if not any(one):
        raise TopicError("all x are 0: no cost depends on w")
    if len(one) > 50:
        raise TopicError(f"{len(one)} points; at most 50")
    return _Data(tuple(one), tuple(two))


def _counter_example(steps: Steps, data: _Data) -> None:
    """Look along w, with b = 0, where the squared error bends down most, and lay a chord there."""
    first = steps.add("x", row(data.x), _("the points; b = 0"))
    because = (first, steps.add("y", row(data.y), _("their targets")))
    bent = sympy.diff(_slope(SQUARES) * x[i], S[i]) * _local() * x[i]
    bends = function_of(data.of(bent), W)
    reach = data.reach
    heights = [(bends(at), at) for at in (reach * (2 * k / GRID - 1) for k in range(GRID + 1))]
    left = Slope(Leaf("E", "E"), shown(w), False, (shown(w),))
    for best in (max, min):
        place = _short(best(heights)[1])
        steps.add(left, rounded(bends(place)), _("at w = {w}", w=in_words(place)), because, relation="≈")
    steps.results["d2E/dw2 least"] = f"{bends(place):.12g}"
    steps.results["at w"] = f"{place:.12g}"
    costs = {"E": data.of(SQUARES.right.body), "C": -data.of((-ENTROPY.right).body)}
    chords: dict[str, Points] = {}
    halves = [_short(reach * share) for share in (0.001, *(k / 20 for k in range(1, 21)))]
    half = max(halves, key=lambda half: _gap(costs["E"], place, half))
    if _gap(costs["E"], place, half) > 0:
        chords = {letter: _chord(steps, letter, cost, place, half, because) for letter, cost in costs.items()}
    titles = {"C": _("Cross-entropy: convex"), "E": _("Squared error: not convex")}
    labels = {"C": _("cross-entropy"), "E": _("half the squared error")}
    for letter in ("C", "E"):
        curve = Curve(f"{letter}(w)", costs[letter], W)
        parts = (curve, chords[letter]) if letter in chords else (curve,)
        steps.plots.append(Plot(titles[letter], "w", labels[letter], parts, (-reach, reach)))


def _short(value: float) -> float:
    """Return a number to three digits, so that what is shown can be checked."""
    return float(f"{value:.3g}")


def _gap(cost: Expr, place: float, half: float) -> float:
    """Return how far the middle of a stretch lies above the mean of its ends."""
    of = function_of(cost, W)
    return of(place) - (of(place - half) + of(place + half)) / 2


def _chord(
    steps: Steps, letter: str, cost: Expr, place: float, half: float, because: tuple[int, ...]
) -> Points:
    """Compare the middle of a stretch with the mean of its ends; return the chord."""
    of = function_of(cost, W)
    ends = (place - half, place + half)
    values = tuple(of(end) for end in ends)
    above = _gap(cost, place, half) > 0
    if above == (letter == "C"):
        raise AssertionError(f"{letter} is not as it must be between {ends}")
    rule = (
        _("the middle is above the mean of the ends: not convex")
        if above
        else _("the middle is not above the mean of the ends: as it is when convex")
    )
    called = [Applied(letter, letter, (rounded(value, 4),)) for value in (place, *ends)]
    mean = Times((Over(Leaf("1", "1"), Leaf("2", "2")), Plus(tuple((False, end) for end in called[1:]))))
    compared = Related(">" if above else "≤", rounded(of(place)), rounded(sum(values) / 2))
    steps.add(called[0], chain(compared, mean), rule, because, relation="≈")
    return Points(_("chord"), ends, values, dashed=True)


TOPICS = {"convexity": convexity}
