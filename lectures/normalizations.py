"""Batch normalization: both modes, the long gradient line by line, the compact one that it collapses to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
from sympy import Expr

from chainrule.derive.adjoint import named
from chainrule.derive.compact import compact_gradient, cotangents, inlined, standardized
from chainrule.derive.differentiate import vjp
from chainrule.derive.index import (
    Equation,
    Sum,
    access,
    accesses,
    cotangent,
    index,
    name_of,
    primal,
    size,
    tensor,
)
from chainrule.derive.layers import LAYERS
from chainrule.derive.layers.batch_norm import epsilon
from chainrule.derive.layers.layer import Forward, features
from chainrule.derive.prose import _, listed
from chainrule.derive.simplify import tidy
from chainrule.lectures.model import Steps, Topic, TopicError, node, partial
from chainrule.lectures.support.numbers import compute, decimal, put, shown_numbers, work, worked
from chainrule.lectures.support.spoken import primed, slope, spoken
from chainrule.lectures.support.templates import without
from chainrule.lectures.support.tensors import same_shape, taken
from chainrule.present.tree import Node, Plus, Times

EXAMPLE = {"x": "1, 2, 4, 5", "dy": "1, 0, -1, 0.5", "gamma": "2", "beta": "1", "epsilon": "0.00001"}
n, N = index("n"), size("N")


def batch_norm(given: Mapping[str, str]) -> Topic:
    """Derive batch normalization of one channel: training, the gradient long and compact, evaluation."""
    found = taken("batch-norm", {**EXAMPLE, **given}, x=1, dy=1, gamma=0, beta=0, epsilon=0)
    if ("x" in given) != ("dy" in given):
        raise TopicError("batch-norm: give both x and dy, the derivative ∂E/∂y of every output")
    same_shape(x=found["x"], dy=found["dy"])
    epsilon = float(found["epsilon"])
    if epsilon < 0 or epsilon + float(np.var(found["x"])) == 0:
        raise TopicError(f"batch-norm: v + ε must be above 0 (ε given: {decimal(epsilon)})")
    steps = Steps()
    layer = LAYERS["batch_norm"].forward((1,), {"epsilon": "0.00001", "momentum": "0.9"})
    equations = tuple(_one(e) for e in layer.equations)
    numbers = _forward(steps, equations)
    slopes = _long(steps, equations, numbers)
    compact = _compact(steps, equations, slopes)
    _evaluation(steps, layer)
    _worked(steps, equations, compact, slopes[cotangent("mu")], found)
    return steps.topic(
        "batch-norm",
        _("batch normalization"),
        _("One channel; every channel is normalized for itself. N is the number of its values in the batch."),
        _(
            "∂E/∂v and ∂E/∂μ say how E changes when the variance or the mean of the batch moves. Both are "
            "sums over the batch, because every x̂_n reads them."
        ),
    )


def _one(equation: Equation) -> Equation:
    _names, sizes = features(1)
    return without(equation, sizes)


def _forward(steps: Steps, equations: tuple[Equation, ...]) -> dict[str, int]:
    steps.heading(_("Training"))
    rules = {
        "mu": _("training: the mean of the batch"),
        "v": _("the variance of the batch"),
        "xhat": _("mean 0 and variance 1; ε keeps the root away from 0"),
        "y": _("scaled and shifted by what is learnt"),
    }
    numbers: dict[str, int] = {}
    for equation in equations:
        because = tuple(numbers[name] for name in equation.reads() if name in numbers)
        numbers[equation.name] = steps.add(
            equation.left, equation.right, rules[equation.name], tuple(sorted(because)), equation.name
        )
    return numbers


# ---- The long form ---------------------------------------------------------------------------------------


def _long(steps: Steps, equations: tuple[Equation, ...], numbers: Mapping[str, int]) -> dict[str, Equation]:
    """Every cotangent by the chain rule, each intermediate explained; returns them by name."""
    steps.heading(_("The gradient, long form"))
    mean, variance, normal, output = equations
    places = dict(numbers)
    rules = {
        "gamma": _("γ is read by every y_n: the sum over the batch"),
        "beta": _("β is read by every y_n: the sum over the batch"),
        "xhat": _("chain rule: x̂_n is read by y_n alone"),
    }
    for name, rule in rules.items():
        found = vjp(output, name)
        because = _because(places, found.right, output)
        places[found.name] = steps.add(_left(found), found.right, rule, because, f"dE/d{name}")
    local = vjp(normal, "v").right.body / access(tensor(cotangent("xhat"), *normal.left.base.shape), n)
    root = 1 / sympy.sqrt(variance.left + epsilon)
    rule = _("power rule: {slope}", slope=primed(root, variance.left))
    because = _because(places, local, normal)
    power = steps.add(partial(normal.left, variance.left), local, rule, because)
    of_v = vjp(normal, "v")
    rule = _("chain rule over the batch: every x̂_n reads v")
    because = (*_because(places, of_v.right, normal), power)
    places[of_v.name] = steps.add(_left(of_v), of_v.right, rule, because, "dE/dv")
    direct, inner = vjp(normal, "mu"), vjp(variance, "mu")
    both = Plus((*_terms(direct.right), *_terms(tidy(inner.right))))
    rule = _("chain rule in two parts: μ is read by every x̂_n, and once more inside of v")
    because = _because(places, direct.right + inner.right, normal, variance)
    second = steps.add(_left(direct), both, rule, because)
    x, mu = _sample(normal), mean.left
    rule = _("deviations from a mean sum to 0: Σ x_n − N μ = 0")
    none = steps.add(Sum(mu - x, (n, N)), sympy.S.Zero, rule, (places["mu"],))
    rule = _("the part through v is 0; what is left: how far all x̂_n move together")
    places[direct.name] = steps.add(_left(direct), direct.right, rule, (second, none), "dE/dmu")
    _three_ways(steps, equations, places)
    return {cotangent("v"): of_v, cotangent("mu"): direct}


def _because(places: Mapping[str, int], right: Expr, *differentiated: Equation) -> tuple[int, ...]:
    """Return the steps of what was differentiated, then those of what stands on the right side."""
    reads = sorted({name_of(read.base) for read in accesses(right)} & places.keys())
    return (*(places[e.name] for e in differentiated), *sorted(places[name] for name in reads))


def _left(slope: Equation) -> Node:
    return partial("E", access(tensor(str(primal(slope.name)), *slope.left.base.shape), *slope.free))


def _terms(expression: Expr) -> tuple[tuple[bool, Node], ...]:
    written = node(expression)
    return written.terms if isinstance(written, Plus) else ((False, written),)


def _sample(equation: Equation) -> Expr:
    return access(equation.reads()["x"], n)


def _three_ways(steps: Steps, equations: tuple[Equation, ...], places: Mapping[str, int]) -> None:
    mean, variance, normal, _output = equations
    x = _sample(normal)
    ways = (normal, variance, mean)
    products = tuple((False, Times((_whole(way), partial(way.left, x)))) for way in ways)
    left = partial("E", x)
    rule = _("chain rule in three parts: x_n is read by its own x̂_n, by v and by μ")
    because = (*(places[way.name] for way in ways), *(places[cotangent(way.name)] for way in ways))
    opened = steps.add(left, Plus(products), rule, because)
    total = _long_form(equations)
    slopes = listed(*(slope(way, "x") for way in ways))
    steps.add(left, total.right, slopes, (opened, *(places[way.name] for way in ways)), "dE/dx, long")


def _whole(equation: Equation) -> Node:
    return node(access(tensor(cotangent(equation.name), *equation.left.base.shape), *equation.free))


def _long_form(equations: tuple[Equation, ...]) -> Equation:
    return cotangents(equations)[cotangent("x")]


# ---- The compact form ------------------------------------------------------------------------------------


def _compact(steps: Steps, equations: tuple[Equation, ...], slopes: Mapping[str, Equation]) -> Equation:
    """Put the long form into itself by x − μ = x̂ √(v + ε) and Σ x̂ = 0."""
    steps.heading(_("The gradient, compact form"))
    base = equations[0].reads()["x"]
    form = standardized(equations, base)
    found = compact_gradient(equations)
    if form is None or found is None:
        raise AssertionError("no compact form")
    x, mu = _sample(form.equation), form.mean
    shift = steps.add(
        x - mu,
        form.equation.left / form.slope,
        _("the definition of x̂, solved for x_n − μ"),
        (_number(steps, "xhat"),),
    )
    of_v = slopes[cotangent("v")]
    short = named(Equation(of_v.left, sympy.factor_terms(tidy(form.identities(tidy(of_v.right))))))
    rule = _("x_n − μ = x̂_n √(v + ε) put in")
    second = steps.add(_left(of_v), short.right, rule, (_number(steps, "dE/dv"), shift))
    long = _long_form(equations)
    whole = named(Equation(long.left, tidy(form.identities(tidy(inlined(long.right, slopes))))))
    rule = _("∂E/∂v, ∂E/∂μ and x_n − μ put in; √(v + ε) is common to all three")
    third = steps.add(
        _left(long),
        whole.right,
        rule,
        (_number(steps, "dE/dx, long"), _number(steps, "dE/dmu"), shift, second),
    )
    normal = vjp(equations[-1], "xhat")
    last = named(Equation(long.left, tidy(inlined(whole.right, {cotangent("xhat"): normal}))))
    if sympy.simplify(sympy.expand(last.right - named(found.equation).right)) != 0:
        raise AssertionError(f"{last} is not {found.equation}")
    put_in = f"{spoken(_left(normal))} = {spoken(normal.right)}"
    rule = _("{slope} put in; less its mean, and less its part along x̂", slope=put_in)
    steps.add(_left(long), found.equation.right, rule, (third, _number(steps, "dE/dxhat")), "dE/dx, compact")
    return found.equation


def _number(steps: Steps, result: str) -> int:
    """Return the number of the step that gave a result."""
    return next(entry.number for entry in steps.entries if entry.symbol == result)


def _evaluation(steps: Steps, layer: Forward) -> None:
    steps.heading(_("Evaluation"))
    rules = (
        _("training keeps a running mean, the share ρ of it in each step"),
        _("and a running variance; N/(N − 1) makes the variance of a sample unbiased"),
    )
    numbers = []
    for equation, rule, kept in zip(map(_one, layer.running), rules, ("mu", "v"), strict=True):
        because = (_number(steps, kept),)
        numbers.append(steps.add(equation.left, equation.right, rule, because, relation="←"))
    (equation,) = map(_one, layer.evaluation or ())
    rule = _("evaluation: the running mean and variance instead of those of the batch")
    first = steps.add(equation.left, equation.right, rule, tuple(numbers), "y, evaluation")
    slope = vjp(equation, "x")
    rule = _("chain rule: μ̄ and v̄ are constants, so that no x_n moves another y_m")
    steps.add(_left(slope), slope.right, rule, (first,), "dE/dx, evaluation")


# ---- Numbers ---------------------------------------------------------------------------------------------


def _worked(
    steps: Steps,
    equations: tuple[Equation, ...],
    compact: Equation,
    direct: Equation,
    found: Mapping[str, Any],
) -> None:
    """Forward, then every cotangent: that of μ as it is in the end, that of x in both forms."""
    steps.heading(_("In numbers"))
    arrays: dict[str, Any] = {cotangent("y") if name == "dy" else name: found[name] for name in EXAMPLE}
    for name, value in arrays.items():
        put(steps, name, value, _("an example"))
    long = cotangents(equations)
    known = {**long, cotangent("x"): compact, cotangent("mu"): direct}
    results = {e.name: e.name for e in equations}
    results |= {cotangent(name): f"dE/d{name}" for name in ("xhat", "v", "mu")}
    for equation in (*equations, *(known[cotangent(name)] for name in ("xhat", "v", "mu"))):
        result = results[equation.name]
        work(steps, equation, arrays, (_number(steps, result),), f"{result}, worked")
    for equation, rule, name in (
        (long[cotangent("x")], _("the long form with the numbers"), "long"),
        (known[cotangent("x")], _("the compact form with the numbers: the same"), "compact"),
    ):
        compute([equation], arrays)
        own = (_number(steps, f"dE/dx, {name}"), *shown_numbers(steps, equation))
        worked(steps, partial("E", "x"), arrays[cotangent("x")], rule, own, f"dE/dx, {name}, worked")


TOPICS = {"batch-norm": batch_norm}
