"""From the Bernoulli likelihood to the cross-entropy, and logistic regression."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from sympy import Expr, Symbol, exp, log

from derive.deriving import adjoint
from derive.differentiate import cotangent, vjp
from derive.index import Equation, Sum, access, accesses, index, size, tensor
from derive.present.tree import Big, Leaf, Node, Plus, Times
from derive.simplify import tidy
from derive.topics.model import Steps, Topic, TopicError, node, partial

i, n = index("i"), size("n")
x, y, S, z = (tensor(letter, n) for letter in "xySz")
w, b = access(tensor("w")), access(tensor("b"))


def cross_entropy(given: Mapping[str, str]) -> Topic:
    """Derive E = −Σ [y log p + (1 − y) log(1 − p)] from the likelihood of independent yes-or-no outcomes."""
    _none(given, "cross-entropy")
    steps = Steps()
    p = tensor("p", n)
    one = p[i] ** y[i] * (1 - p[i]) ** (1 - y[i])
    first = steps.add(
        "L", Big("prod", (("i", ""),), node(one)), "likelihood: each y_i is 1 with probability p_i"
    )
    free = {a: Symbol(f"s{k}", positive=True) for k, a in enumerate(accesses(one))}
    letters = one.xreplace(free)
    opened = sympy.expand_log(log(letters), force=True).xreplace({s: a for a, s in free.items()})
    logged = Times((Leaf(r"\log", "log"), Leaf("L", "L")))
    second = steps.add(
        logged, Sum(opened, (i, n)), "the logarithm of a product is the sum of logarithms", (first,)
    )
    entropy = Equation(access(tensor("E")), -Sum(opened, (i, n)))
    third = steps.add("E", entropy.right, "times −1: the most likely p has the least E", (second,), "E")
    seed = access(tensor(cotangent("E")))
    slope = vjp(entropy, "p").right.xreplace({seed: sympy.S.One})
    steps.add(partial("E", p[i]), slope, "derivative", (third,))
    short = sympy.factor(sympy.together(slope))
    steps.add(partial("E", p[i]), short, "over one denominator", (third,), "dE/dp_i")
    note = "Erratum: one line of a slide has (1 − y)(1 − log H) where (1 − y) log(1 − H) is meant."
    return steps.topic("cross-entropy", "cross-entropy from the likelihood", note)


def logistic(given: Mapping[str, str]) -> Topic:
    """Derive both derivatives of the cost of logistic regression, and the updates."""
    _none(given, "logistic")
    steps = Steps()
    line = Equation(z[i], w * x[i] + b)
    curve = Equation(S[i], 1 / (1 + exp(-z[i])))
    cost = access(tensor("C"))
    first = steps.add(z[i], line.right, "definition")
    second = steps.add(S[i], curve.right, "definition", (first,))
    halves = (y[i] * log(S[i]), (1 - y[i]) * log(1 - S[i]))
    whole = Equation(cost, -Sum(sympy.Add(*halves), (i, n)))
    third = steps.add("C", whole.right, "cost: the cross-entropy", (second,))
    local = adjoint(curve, "z").equation.right / access(tensor(cotangent("S"), n), i)
    slope = steps.add(partial(S[i], z[i]), local, "derivative through the output", (second,))
    inner = []
    for half in halves:
        raw = sympy.diff(half, S[i]) * local
        short = sympy.cancel(raw)
        left = partial(node(half), z[i])
        at = steps.add(
            left, sympy.Mul(sympy.diff(half, S[i]), local, evaluate=False), "chain rule", (third, slope)
        )
        inner.append((steps.add(left, tidy(short), "S cancels", (at,)), short))
    total = sympy.expand(-sympy.Add(*(short for _, short in inner)))
    number = steps.add(
        partial("C", z[i]), total, "both halves, with the minus of C", tuple(k for k, _ in inner)
    )
    for letter in (b, w):
        factor = sympy.diff(line.right, letter)
        body = -(y[i] - S[i]) * factor if factor != 1 else -(y[i] - S[i])
        gradient = Sum(sympy.Mul(total, factor), (i, n))
        if sympy.expand(gradient.body - body) != 0:
            raise AssertionError(f"the gradient is {gradient}")
        steps.add(
            partial("C", letter), gradient, "chain rule, summed", (first, number), f"dC/d{_name(letter)}"
        )
    rate = Symbol("learning_rate", positive=True)
    for letter in (b, w):
        step = _update(letter, rate)
        steps.add(letter, step, "gradient descent", (), relation="←")
    note = "The sum of S(z_i) − y_i is −Σ[y_i − S(w x_i + b)], as the slide writes it."
    return steps.topic("logistic", "logistic regression", note)


def _update(letter: Expr, rate: Symbol) -> Node:
    return Plus(((False, node(letter)), (True, Times((node(rate), partial("C", letter))))))


def _name(letter: Expr) -> str:
    return str(letter.base.label)


def _none(given: Mapping[str, str], id: str) -> None:
    if given:
        raise TopicError(f"{id} takes no givens")


TOPICS = {"cross-entropy": cross_entropy, "logistic": logistic}
