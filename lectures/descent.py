"""Gradient descent: why x ← x − η df/dx goes down, first for one variable, then for several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sympy
from sympy import Expr, Rational, Symbol

from chainrule.derive.differentiate import local_terms
from chainrule.derive.index import Sum, access, index, size, tensor
from chainrule.derive.interpret import function_of
from chainrule.derive.prose import _
from chainrule.formula import FormulaError, formula_names, parse_formula
from chainrule.lectures.model import Erratum, Steps, Topic, TopicError, partial
from chainrule.lectures.plot import Curve, Levels, Plot, Points
from chainrule.lectures.support import givens
from chainrule.lectures.support.layout import chain, exact, in_words, laid, rounded, shown
from chainrule.lectures.support.walk import Place, Walk, walk
from chainrule.present.tree import Applied, Big, Leaf, Limit, Node, Over, Plus, Times

SHOWN: Final = 5  # places of a walk that are written down
FLAT: Final = 1e-6  # where all slopes are smaller, a walk has arrived
i, n = index("i"), size("n")
eta = Symbol("learning_rate", positive=True)
X, DX, DF, F = Leaf("x", "x"), Leaf(r"\Delta x", "Δx"), Leaf(r"\Delta f", "Δf"), Leaf("f", "f")
SLOPE = partial(F, X, True)


def gradient_descent(given: Mapping[str, str]) -> Topic:
    """Derive Δx = −η df/dx from the limit that df/dx is, for one variable and several, and walk along it."""
    task = _task(given)
    steps = Steps()
    steps.heading(_("One variable"))
    _one(steps)
    steps.heading(_("Several variables"))
    _several(steps)
    steps.heading(_("With numbers"))
    _with_numbers(steps, task)
    return steps.topic("gradient-descent", _("gradient descent"), _erratum())


def _one(steps: Steps) -> None:
    moved = Applied("f", "f", (Plus(((False, X), (False, DX))),))
    change = Plus(((False, moved), (True, Applied("f", "f", (X,)))))
    ratio = Over(change, DX)
    limit = Limit(DX, Leaf("0", "0"), ratio)
    first = steps.add(SLOPE, limit, _("definition of the derivative"))
    rule = _("for a small Δx the ratio is close to its limit")
    second = steps.add(ratio, SLOPE, rule, (first,), relation="≈")
    third = steps.add(DF, change, _("what a step Δx changes f by"))
    slope, step = Symbol("slope", real=True), Symbol("step", real=True)
    fixed: dict[Expr, Node] = {slope: SLOPE, step: DX}
    linear = slope * step
    rule = _("times Δx: the linear approximation")
    fourth = steps.add(DF, laid(linear, fixed), rule, (second, third), relation="≈")
    chosen = -eta * slope
    rule = _("chosen: against the slope, with a small learning rate η > 0")
    fifth = steps.add(DX, laid(chosen, fixed), rule, (), "dx", formula=chosen)
    found = linear.xreplace({step: chosen})
    steps.add(
        DF,
        chain(laid(found, fixed), Leaf("0", "0"), relation="≤"),
        _("put in; a square is never below 0, so f falls unless df/dx = 0"),
        (fourth, fifth),
        "df",
        relation="≈",
        formula=found,
    )
    right = Plus(((False, X), (True, laid(eta * slope, fixed))))
    rule = _("x + Δx is the new x: a step of gradient descent")
    steps.add(X, right, rule, (fifth,), "x_new", relation="←", formula=Symbol("x", real=True) + chosen)


def _several(steps: Steps) -> None:
    x, dx, slope = tensor("x", n), tensor("s", n), tensor("g", n)
    step = Leaf(r"\Delta x_i", "Δx_i")
    fixed: dict[Expr, Node] = {slope[i]: partial(F, x[i]), dx[i]: step}
    linear = Sum(slope[i] * dx[i], (i, n))
    written = Big("sum", (("i", ""),), Times((fixed[slope[i]], step)))
    rule = _("each variable adds its slope times its change")
    first = steps.add(DF, written, rule, relation="≈")
    chosen = -eta * slope[i]
    second = steps.add(
        step, laid(chosen, fixed), _("against the slope in each variable"), (), "dx_i", formula=chosen
    )
    body = linear.body.xreplace({dx[i]: chosen})
    found = -eta * Sum(sympy.expand(body / -eta), (i, n))
    steps.add(
        DF,
        chain(laid(found, fixed), Leaf("0", "0"), relation="≤"),
        _("put in; a sum of squares is never below 0"),
        (first, second),
        "df, several variables",
        relation="≈",
        formula=found,
    )
    right = Plus(((False, shown(x[i])), (True, laid(eta * slope[i], fixed))))
    rule = _("a step of gradient descent in every variable at once")
    steps.add(x[i], right, rule, (second,), "x_i_new", relation="←", formula=x[i] + chosen)


@dataclass(frozen=True)
class _Task:
    """A function to walk down on: its variables, where the walk starts, its learning rate, its most steps."""

    function: Expr
    variables: tuple[Symbol, ...]
    start: tuple[Rational, ...]
    rate: Rational
    most: int

    def slopes(self) -> list[Expr]:
        """Return ∂f/∂x for every variable, from the engine."""
        bases = {v: tensor(v.name) for v in self.variables}
        letters = {v: access(base) for v, base in bases.items()}
        back = {letter: v for v, letter in letters.items()}
        inside = self.function.xreplace(letters)
        return [
            sympy.Add(*(t.coefficient for t in local_terms(inside, base))).xreplace(back)
            for base in bases.values()
        ]

    def walk(self, rate: float, most: int) -> Walk:
        value, *found = (function_of(each, *self.variables) for each in (self.function, *self.slopes()))

        def slopes(at: Place) -> list[float]:
            value(*at)  # where f is not defined, a slope that is means nothing: log x below 0
            return [slope(*at) for slope in found]

        return walk(
            slopes,
            tuple(map(float, self.start)),
            rate,
            most,
            lambda _at, down: max(map(abs, down)) < FLAT,
        )


def _task(given: Mapping[str, str]) -> _Task:
    text = given.get("f", "x**2")
    try:
        names = sorted(formula_names(text))
        variables = tuple(Symbol(name, real=True) for name in names)
        function = parse_formula(text, dict(zip(names, variables, strict=True)))
    except FormulaError as error:
        raise TopicError(f"f: {error.message}") from error
    if not names:
        raise TopicError(f"f = {text} has no variable to walk along")
    reserved = sorted({"f", "rate", "steps"} & set(names))
    if reserved:
        raise TopicError(f"call the variable something else than {', '.join(reserved)}")
    givens.allow(given, ("f", "rate", "steps", *names), "gradient-descent with this f")
    start = tuple(givens.number(given, name, "1") for name in names)
    rate = givens.number(given, "rate", "0.1", above=0)
    task = _Task(function, variables, start, rate, givens.whole(given, "steps", "1000", 1, 10_000))
    try:
        for each in (function, *task.slopes()):
            function_of(each, *variables)(*map(float, start))
    except (ValueError, ZeroDivisionError, OverflowError, TypeError, StopIteration) as error:
        at = ", ".join(f"{name} = {value}" for name, value in zip(names, start, strict=True))
        raise TopicError(f"f = {text} has no slope at {at}") from error
    return task


def _with_numbers(steps: Steps, task: _Task) -> None:
    single = len(task.variables) == 1
    first = steps.add(F, task.function, _("an example"))
    slopes = []
    for variable, slope in zip(task.variables, task.slopes(), strict=True):
        left = partial(F, variable, single)
        name = f"df/d{variable.name}"
        slopes.append(steps.add(left, slope, _("derivative"), (first,), name))
    path = task.walk(float(task.rate), task.most)
    one = task.walk(1.0, SHOWN - 1)
    used = steps.add(eta, exact(task.rate), _("learning rate"))
    for k, variable in enumerate(task.variables):
        rule = _("from the start, step after step")
        steps.add(variable, _places(path, k), rule, (*slopes, used), relation=":")
    _first_step(steps, task, path, (*slopes, used))
    last = [rounded(value) for value in path.last]
    for variable, value, number in zip(task.variables, last, path.last, strict=True):
        steps.add(variable, value, _ending(path), (*slopes, used), relation="≈")
        steps.results[variable.name] = f"{number:.12g}"
    steps.results["steps"] = str(path.steps)
    steps.results["end"] = {"done": "converged", "lost": "diverged", "short": "not settled"}[path.end]
    for k, variable in enumerate(task.variables):
        rule = _("without η, as the slide has it: x ← x − df/dx")
        steps.add(variable, _places(one, k), rule, tuple(slopes), relation=":")
    if len(task.variables) < 3:
        steps.plots.append(_picture(task, path, one))


def _places(path: Walk, number: int) -> Node:
    values = [rounded(place[number], 4) for place in path.places[:SHOWN]]
    more = [Leaf(r"\ldots", "…")] if path.steps >= SHOWN else []
    return Applied("", "", tuple([*values, *more]))


def _first_step(steps: Steps, task: _Task, path: Walk, because: tuple[int, ...]) -> None:
    """Compare what the first step changes f by with what the linear approximation says."""
    if path.steps == 0:
        return
    value = function_of(task.function, *task.variables)
    start, then = path.places[:2]
    try:
        change = value(*then) - value(*start)
    except (ValueError, ZeroDivisionError, OverflowError, TypeError):
        return
    down = [function_of(slope, *task.variables)(*start) for slope in task.slopes()]
    linear = -float(task.rate) * sum(s * s for s in down)
    rule = _("the first step; the linear approximation says {value}", value=in_words(linear))
    steps.add(DF, rounded(change), rule, because, relation="≈")


def _ending(path: Walk) -> str:
    if path.end == "done":
        return _("after {steps} steps every slope is under 10⁻⁶: it has arrived", steps=path.steps)
    if path.end == "lost":
        return _(
            "after {steps} steps; the next one leaves all bounds, or where f is defined: it diverges",
            steps=path.steps,
        )
    return _("after {steps} steps; it has not settled", steps=path.steps)


def _picture(task: _Task, path: Walk, one: Walk) -> Plot:
    label = _("with η = {rate}", rate=in_words(task.rate))
    title = _("Gradient descent")
    if len(task.variables) == 2:
        first, second = task.variables
        line = Points(label, path.axis(0), path.axis(1))
        return Plot(title, first.name, second.name, (Levels(task.function, (first, second)), line))
    (x,) = task.variables
    value = function_of(task.function, x)
    places = path.axis(0)
    strip = [*places, *(place[0] for place in one.places)]
    reach = max(places) - min(places) or 1.0
    parts: list[Curve | Points | Levels] = [Curve("f", task.function, x)]
    if max(strip) - min(strip) <= 5 * reach:
        parts.append(_along(_("without η"), [place[0] for place in one.places], value))
    else:
        strip = list(places)
    parts.append(_along(label, places, value))
    margin = 0.15 * ((max(strip) - min(strip)) or 1.0)
    return Plot(title, x.name, f"f({x.name})", tuple(parts), (min(strip) - margin, max(strip) + margin))


def _along(label: str, places: Sequence[float], value: Callable[..., float]) -> Points:
    return Points(label, tuple(places), tuple(value(place) for place in places))


def _erratum() -> Erratum:
    """Show what becomes of x² from x = 1 without η and with η = 0.1."""
    x = Symbol("x", real=True)
    task = _Task(x**2, (x,), (sympy.S.One,), Rational(1, 10), 100)
    without, right = task.walk(1.0, 4), task.walk(0.1, 4)
    far = task.walk(0.1, 50)

    def told(path: Walk) -> str:
        return ", ".join(in_words(place[0]) for place in path.places)

    return Erratum(
        _("a slide has x_new = x_old − df/dx, without η"),
        "x_new = x_old − η df/dx",
        _(
            "For f = x² from x = 1 the walk without η is {without}, …, never nearer to the minimum 0; "
            "with η = 0.1 it is {right}, …, and {value} after {steps} steps.",
            without=told(without),
            right=told(right),
            value=in_words(far.last[0]),
            steps=far.steps,
        ),
    )


TOPICS = {"gradient-descent": gradient_descent}
