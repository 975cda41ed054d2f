"""From the Bernoulli likelihood to the cross-entropy, and logistic regression."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
from sympy import Expr, Symbol, exp, log

from chainrule.derive.adjoint import adjoint
from chainrule.derive.differentiate import vjp
from chainrule.derive.index import (
    Equation,
    Sum,
    access,
    accesses,
    cotangent,
    index,
    plain_name,
    primal,
    size,
    tensor,
)
from chainrule.derive.prose import _
from chainrule.derive.simplify import tidy
from chainrule.lectures.model import Erratum, Steps, Topic, TopicError, node, partial
from chainrule.lectures.support.numbers import decimal, put, work
from chainrule.lectures.support.spoken import primed, slope, through, u
from chainrule.lectures.support.tensors import needed, same_shape, taken
from chainrule.present.tree import Applied, Big, Leaf, Node, Plus, Times

i, n = index("i"), size("n")
x, y, S, z, p = (tensor(letter, n) for letter in "xySzp")
w, b = access(tensor("w")), access(tensor("b"))
E, C = access(tensor("E")), access(tensor("C"))
SEED = {access(tensor(cotangent("E"))): sympy.S.One}


def cross_entropy(given: Mapping[str, str]) -> Topic:
    """Derive E = −Σ [y log p + (1 − y) log(1 − p)] from the likelihood of independent yes-or-no outcomes."""
    numbers = taken("cross-entropy", given, p=1, y=1)
    if numbers:
        needed("cross-entropy", numbers, ("p", "y"))
        same_shape(**numbers)
        _require_share("cross-entropy", "p", numbers["p"], strict=True)
        _require_share("cross-entropy", "y", numbers["y"])
    steps = Steps()
    one = p[i] ** y[i] * (1 - p[i]) ** (1 - y[i])
    rule = _("likelihood of independent outcomes: y_i is 1 with probability p_i, else 0")
    first = steps.add("L", Big("prod", (("i", ""),), node(one)), rule)
    logged = Applied(r"\log", "log", (Leaf("L", "L"),), bare=True)
    rule = _("the logarithm of a product is the sum of logarithms")
    second = steps.add(logged, Sum(log(one), (i, n)), rule, (first,))
    free = {a: Symbol(f"s{k}", positive=True) for k, a in enumerate(accesses(one))}
    letters = one.xreplace(free)
    opened = sympy.expand_log(log(letters), force=True).xreplace({s: a for a, s in free.items()})
    third = steps.add(logged, Sum(opened, (i, n)), "log uv = log u + log v; log u^a = a log u", (second,))
    entropy = Equation(E, -Sum(opened, (i, n)))
    fourth = steps.add("E", entropy.right, _("times −1: the most likely p has the least E"), (third,), "E")
    slope = vjp(entropy, "p").right.xreplace(SEED)
    letter = Symbol("p")
    rule = _("derivative: only the term i has p_i in it; {slope}", slope=primed(log(1 - letter), letter))
    fifth = steps.add(partial("E", p[i]), slope, rule, (fourth,))
    short = sympy.factor(sympy.together(slope))
    steps.add(partial("E", p[i]), short, _("over one denominator"), (fifth,), "dE/dp_i")
    if numbers:
        _entropy_numbers(steps, entropy, short, (fourth, fifth + 1), numbers)
    return steps.topic("cross-entropy", _("cross-entropy from the likelihood"), _erratum(opened))


def _require_share(id: str, name: str, values: Any, strict: bool = False) -> None:
    inside = (values > 0) & (values < 1) if strict else (values >= 0) & (values <= 1)
    if not inside.all():
        kind = "between 0 and 1" if strict else "from 0 to 1"
        raise TopicError(f"{id}: every {name} must be {kind} (given: {', '.join(f'{v:g}' for v in values)})")


def _entropy_numbers(
    steps: Steps, entropy: Equation, slope: Expr, because: tuple[int, int], numbers: Mapping[str, Any]
) -> None:
    steps.heading(_("In numbers"))
    arrays: dict[str, Any] = dict(numbers)
    for name in ("p", "y"):
        put(steps, name, numbers[name], _("given"))
    work(steps, entropy, arrays, (because[0],), "E, worked")
    gradient = Equation(tensor(cotangent("p"), n)[i], slope)
    work(steps, gradient, arrays, (because[1],), "dE/dp, worked")


def _erratum(term: Expr) -> Erratum:
    """The slide's term for y = 0 against the logarithm of the likelihood."""
    output = 0.2
    at = {p[i]: sympy.Rational(1, 5), y[i]: sympy.S.Zero}
    right = float(term.subs(at))
    slide = 1 - math.log(output)
    return Erratum(
        _("a line of a slide has (1 − y)(1 − log H)"),
        _("(1 − y) log(1 − H)"),
        _(
            "At y = 0, H = {output}: the likelihood is 1 − H = {likelihood}, its logarithm {right} = "
            "log(1 − H); the slide's line gives {slide}.",
            output=output,
            likelihood=decimal(1 - output),
            right=f"{right:.4f}".replace("-", "−"),
            slide=f"{slide:.4f}",
        ),
    )


# ---- Logistic regression ---------------------------------------------------------------------------------

START = {"w": 0.5, "b": 0.0}


def logistic(given: Mapping[str, str]) -> Topic:
    """Derive both derivatives of the cost of logistic regression, and the updates."""
    numbers = taken("logistic", given, x=1, y=1, w=0, b=0, rate=0)
    if numbers:
        needed("logistic", numbers, ("x", "y"))
        same_shape(x=numbers["x"], y=numbers["y"])
        _require_share("logistic", "y", numbers["y"])
    steps = Steps()
    line = Equation(z[i], w * x[i] + b)
    curve = Equation(S[i], 1 / (1 + exp(-z[i])))
    first = steps.add(z[i], line.right, _("a straight line"), (), "z")
    second = steps.add(S[i], curve.right, _("sigmoid: a probability"), (first,), "S")
    halves = (y[i] * log(S[i]), (1 - y[i]) * log(1 - S[i]))
    cost = Equation(C, -Sum(sympy.Add(*halves), (i, n)))
    third = steps.add("C", cost.right, _("cost: the cross-entropy"), (second,), "C")
    local = adjoint(curve, "z").equation.right / access(tensor(cotangent("S"), n), i)
    in_output = through(curve, "z")
    slope = steps.add(partial(S[i], z[i]), local, in_output, (second,))
    total, both = _halves(steps, halves, local, in_output, (third, slope))
    rule = _("both halves added, with the minus of C; y S cancels")
    number = steps.add(partial("C", z[i]), total, rule, both, "dC/dz")
    gradients = [_gradient(steps, line, letter, total, (first, number)) for letter in (b, w)]
    rate = Symbol("learning_rate", positive=True)
    updates = [
        steps.add(letter, _update(letter, rate), _("gradient descent"), (own,), relation="←")
        for letter, (_gradient_of, own) in zip((b, w), gradients, strict=True)
    ]
    if numbers:
        _logistic_numbers(steps, (line, curve, cost), gradients, updates, (first, second, third), numbers)
    return steps.topic("logistic", _("logistic regression"))


def _halves(
    steps: Steps, halves: tuple[Expr, Expr], local: Expr, in_output: str, because: tuple[int, int]
) -> tuple[Expr, tuple[int, ...]]:
    """Both terms of the cost in z, σ′ ``in_output``; returns ∂C/∂z of one example, and their numbers."""
    found, numbers = [], []
    for half in halves:
        outer = sympy.diff(half, S[i])
        left = partial(node(half), z[i])
        chain = Times((node(outer), node(local)))
        rule = _("chain rule: {outer}, {inner}", outer=primed(log(u)), inner=in_output)
        at = steps.add(left, chain, rule, because)
        short = sympy.cancel(outer * local)
        rule = _("S cancels") if outer.has(1 / S[i]) else _("1 − S cancels")
        numbers.append(steps.add(left, tidy(short), rule, (at,)))
        found.append(short)
    return sympy.expand(-sympy.Add(*found)), tuple(numbers)


def _gradient(
    steps: Steps, line: Equation, letter: Expr, total: Expr, because: tuple[int, int]
) -> tuple[Equation, int]:
    """∂C/∂b or ∂C/∂w: the chain rule over the examples, then as the lecture writes it."""
    name = str(letter.base.label)
    left = partial("C", letter)
    each = Times((partial("C", z[i]), partial(z[i], letter)))
    rule = _("chain rule: {letter} is read by every z_i", letter=name)
    chained = steps.add(left, Big("sum", (("i", ""),), each), rule, because)
    factor = sympy.diff(line.right, letter)
    found = Equation(access(tensor(cotangent(name))), Sum(sympy.Mul(total, factor), (i, n)))
    if vjp(line, name).right.body / access(tensor(cotangent("z"), n), i) != factor:
        raise AssertionError(f"∂z/∂{name} is {vjp(line, name)}")
    behind = [node(factor)] if factor != 1 else []
    one = Big("sum", (("i", ""),), Times((node(total), *behind)) if behind else node(total))
    inserted = steps.add(left, one, slope(line, name), (chained,))
    minus = Big("sum", (("i", ""),), Times((node(y[i] - S[i]), *behind)) if behind else node(y[i] - S[i]))
    negative = Plus(((True, minus),))
    rule = _("the minus in front, as the lecture writes it")
    last = steps.add(left, negative, rule, (inserted,), f"dC/d{name}", formula=found.right)
    return found, last


def _update(letter: Expr, rate: Symbol) -> Node:
    return Plus(((False, node(letter)), (True, Times((node(rate), partial("C", letter))))))


def _logistic_numbers(
    steps: Steps,
    equations: tuple[Equation, ...],
    gradients: list[tuple[Equation, int]],
    updates: list[int],
    because: tuple[int, ...],
    numbers: Mapping[str, Any],
) -> None:
    """One step of gradient descent from the numbers given."""
    steps.heading(_("In numbers"))
    rate = numbers.get("rate", np.float64(0.1))
    arrays: dict[str, Any] = {
        **{k: np.float64(v) for k, v in START.items()},
        **numbers,
        "learning_rate": rate,
    }
    chosen = {name: _("given") if name in numbers else _("chosen") for name in ("x", "y", "w", "b", "rate")}
    for name in ("x", "y", "w", "b"):
        put(steps, name, arrays[name], chosen[name])
    put(steps, "learning_rate", rate, chosen["rate"])
    for equation, number in zip(equations, because, strict=True):
        work(steps, equation, arrays, (number,), f"{equation.name}, worked")
    for (gradient, number), update in zip(gradients, updates, strict=True):
        result = f"dC/{plain_name(gradient.name)}, worked"
        work(steps, gradient, arrays, (number,), result, _left(gradient))
        name = str(primal(gradient.name))
        letter = access(tensor(name))
        moved = Equation(access(tensor(f"{name}'")), letter - Symbol("learning_rate") * gradient.left)
        work(steps, moved, arrays, (update,), f"{name}, after one step", node(letter))


def _left(gradient: Equation) -> Node:
    return partial("C", access(tensor(str(primal(gradient.name)))))


TOPICS = {"cross-entropy": cross_entropy, "logistic": logistic}
