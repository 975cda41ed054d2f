"""Activations: the formula, its derivative, and the derivative written in the output where there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy
from sympy import Expr, Indexed, Symbol

from derive.deriving import adjoint
from derive.differentiate import CannotDifferentiate, cotangent, local_terms
from derive.index import Equation, access, index, size, tensor
from derive.library import ACTIVATIONS
from derive.network import formula_expression
from derive.prose import _
from derive.rewrites import stable
from derive.simplify import tidy
from derive.topics.model import Steps, Topic, TopicError, partial
from derive.topics.plot import Curve, Plot

k, K = index("k"), size("K")
X, Y = tensor("x", K), tensor("y", K)
x, y = Symbol("x", real=True), Symbol("y", real=True)
SCALAR: dict[Expr, Expr] = {X[k]: x, Y[k]: y}
NOTES = {
    "sigmoid": (
        "Erratum: a slide writes the local derivative as f(1 − f) with f the pre-activation; "
        "it is h(1 − h) with h = σ(f), the output.",
    ),
    "relu": ("At x = 0 the derivative does not exist; 0 is chosen there, as the frameworks do.",),
    "leaky-relu": ("At x = 0 the derivative does not exist; the slope below 0 is chosen there.",),
}


def _template(name: str) -> Equation:
    formula = ACTIVATIONS[name.replace("-", "_")]
    return Equation(Y[k], formula_expression(formula, {"x": access(X, k)}, {}))


def _topic(name: str) -> Callable[[Mapping[str, str]], Topic]:
    def derive(given: Mapping[str, str]) -> Topic:
        if given:
            raise TopicError(f"{name} takes no givens")
        steps = Steps()
        template = _template(name)
        first = steps.add("y", template.right.xreplace(SCALAR), "definition", result="y")
        local = sum((term.coefficient for term in local_terms(template.right, X)), sympy.S.Zero)
        raw = _scalar(local)
        second = steps.add(partial("y", "x", True), raw, "derivative", (first,), "dy/dx")
        steps.plots.append(_picture(name, template.right.xreplace(SCALAR), raw))
        try:
            best = _scalar(adjoint(template, "x").equation.right / access(tensor(cotangent("y"), K), k))
        except CannotDifferentiate:
            note = (
                "The derivative is 0 wherever it exists, so that no gradient passes: a step is forward only."
            )
            return steps.topic(name, name, note)
        short, used = stable(tidy(local))
        if best.has(y) and _scalar(short) not in (raw, best):
            rule = ", ".join(("shortened", *used))
            second = steps.add(partial("y", "x", True), _scalar(short), rule, (second,), "dy/dx")
        if best != raw:
            through = best.has(y)
            rule = "derivative through the output" if through else "rewritten"
            named = "dy/dx through y" if through else "dy/dx"
            steps.add(partial("y", "x", True), best, rule, (first, second), named)
        return steps.topic(name, name, *NOTES.get(name, ()))

    return derive


def _picture(name: str, curve: Expr, slope: Expr) -> Plot:
    parts = (Curve("y", curve, x), Curve("dy/dx", slope, x, dashed=True))
    return Plot(_("{name} and its derivative", name=name), "x", "", parts, (-5.0, 5.0))


def _scalar(expression: Expr) -> Expr:
    return expression.replace(lambda e: isinstance(e, Indexed), lambda e: SCALAR.get(e, e))


NAMES = ("sigmoid", "tanh", "relu", "leaky-relu", "elu", "softplus", "gelu", "swish", "step")
TOPICS = {name: _topic(name) for name in NAMES}
