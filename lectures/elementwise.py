"""Activations: the formula, its derivative, and the derivative written in the output where there is one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy
from sympy import Expr, Indexed, Piecewise, Rational, Symbol

from chainrule.derive.adjoint import adjoint
from chainrule.derive.differentiate import CannotDifferentiate, local_terms
from chainrule.derive.index import Equation, access, cotangent, index, size, tensor
from chainrule.derive.library import ACTIVATIONS
from chainrule.derive.prose import Prose, _, listed, parts_of
from chainrule.derive.rewrites import stable
from chainrule.derive.simplify import tidy
from chainrule.formula import parse_formula
from chainrule.lectures.model import Erratum, Steps, Topic, TopicError, node, partial
from chainrule.lectures.plot import Curve, Plot
from chainrule.lectures.support.givens import allow
from chainrule.lectures.support.numbers import decimal, value_of, work
from chainrule.lectures.support.spoken import quotient_rule, spoken
from chainrule.lectures.support.tensors import Array, tensor_of
from chainrule.present.notation import name as name_of_symbol
from chainrule.present.text import write
from chainrule.present.tree import Node, Times

k, K = index("k"), size("K")
X, Y = tensor("x", K), tensor("y", K)
x, y = Symbol("x", real=True), Symbol("y", real=True)
ONE_X, ONE_Y, SLOPE = access(tensor("x")), access(tensor("y")), access(tensor("slope"))
SCALAR: dict[Expr, Expr] = {X[k]: x, Y[k]: y}
_CALLED = re.compile(r"(\w+)\(")  # the functions of a formula
MOST = 6  # points in one example
NOTES = {
    "relu": _(
        "At x = 0 the derivative does not exist; {chosen} is chosen there, as PyTorch, JAX, Keras, MLX, "
        "tinygrad and MyGrad do."
    ),
    "leaky-relu": _("At x = 0 the derivative does not exist; {chosen}, the slope below 0, is chosen there."),
    "elu": _(
        "At x = 0 the derivative from the left is {left}, from the right {right}: they agree for α = 1, the "
        "usual one."
    ),
    "step": _(
        "Where the derivative exists it is {chosen}, so that no gradient passes: a step may stand only where "
        "nothing before it is trained."
    ),
}


def _constants(name: str, given: Mapping[str, str]) -> dict[str, Rational]:
    """Return the values of an activation's constants, given ones instead of the usual."""
    formula = ACTIVATIONS[name.replace("-", "_")]
    values = {c: Rational(str(default)) for c, default in formula.constants.items()}
    for constant in values:
        if constant in given:
            values[constant] = Rational(str(float(tensor_of(constant, given[constant], 0))))
            if values[constant] <= 0:
                raise TopicError(f"{name}: {constant} must be above 0 (given: {given[constant]})")
    return values


def _template(name: str, constants: Mapping[str, Rational]) -> Equation:
    """Return y = f(x); a constant stays a letter where its value would not be seen, as 1 is not in 1·e^x."""
    formula = ACTIVATIONS[name.replace("-", "_")]
    usual = formula.constants
    written = {c: Symbol(c, positive=True) if usual[c] == 1 else v for c, v in constants.items()}
    return Equation(Y[k], parse_formula(formula.text, {"x": access(X, k), **written}))


def _topic(name: str) -> Callable[[Mapping[str, str]], Topic]:
    def derive(given: Mapping[str, str]) -> Topic:
        constants = _constants(name, given)
        allow(given, ("x", *constants), name)
        steps = Steps()
        template = _template(name, constants)
        first = steps.add("y", template.right.xreplace(SCALAR), _("definition"), result="y")
        number = _derivative(steps, template, first)
        steps.plots.append(_picture(name, steps, constants))
        notes: list[str | Erratum] = [_at_kink(NOTES[name], steps)] if name in NOTES else []
        notes += [
            _(
                "{name} is {value}; --given {option}=… takes another.",
                name=name_of_symbol(c).text,
                value=decimal(float(v)),
                option=c,
            )
            for c, v in constants.items()
        ]
        notes = [*(erratum(steps) for erratum in ERRATA.get(name, ())), *notes]
        if "x" in given:
            _worked(steps, tensor_of("x", given["x"], 1), constants, number)
        return steps.topic(name, name, *notes)

    return derive


def _derivative(steps: Steps, template: Equation, first: int) -> int:
    """Add the derivative in x, and what it is in y; return the number of the step that computes it."""
    local = sum((term.coefficient for term in local_terms(template.right, X)), sympy.S.Zero)
    raw, left = _scalar(local), partial("y", "x", True)
    branches = isinstance(template.right, Piecewise)
    if template.right.func is sympy.tanh:
        second = _by_quotient(steps, template.right, raw)
    else:
        rule = _("derivative of each case") if branches else _("chain rule")
        second = steps.add(left, raw, rule, (first,), "dy/dx")
    try:
        found = adjoint(template, "x")
    except CannotDifferentiate:
        return second
    best = _scalar(found.equation.right / access(tensor(cotangent("y"), K), k))
    split = _split(_scalar(template.right), raw)
    last = second
    if split is not None:
        rule = _("e^(−x) = (1 + e^(−x)) − 1, each part over (1 + e^(−x))²")
        last = steps.add(left, split, rule, (second,))
    else:
        short, used = stable(tidy(local))
        if best.has(y) and _scalar(short) not in (raw, best):
            by = listed(_("simplified"), *_seen(used, short, local))
            second = last = steps.add(left, _scalar(short), by, (second,), "dy/dx")
    if best.has(y):
        rule = _("y put in: the derivative through the output")
        steps.add(left, best, rule, (first, last), "dy/dx through y")
    elif best != raw:
        by = listed(_("simplified"), *_seen(parts_of(found.rule)[1:], best, raw))
        second = steps.add(left, best, by, (last,), "dy/dx")
    return second


def _seen(used: tuple[str, ...], found: Expr, before: Expr) -> tuple[str, ...]:
    """Return the rewrites that show on the page: they change which functions stand there."""
    after, first = (set(_CALLED.findall(write(node(e)))) for e in (found, before))
    return used if after != first else ()


def _at_kink(note: Prose, steps: Steps) -> Prose:
    """Return a note with the derivative at 0: what is chosen there, and what it is on both sides."""
    slope = steps.formulas["dy/dx"]
    step = Symbol("h", positive=True)
    left, right = (sympy.limit(slope.subs(x, side * step), step, 0) for side in (-1, 1))
    values = {"chosen": slope.subs(x, 0), "left": left, "right": right}
    return Prose(note.template, {key: spoken(value) for key, value in values.items()})


def _split(right: Expr, raw: Expr) -> Node | None:
    """Return (1/D) (1 − 1/D) for a formula 1/D whose derivative is (D − 1)/D², None for any other."""
    whole = 1 / right
    if not isinstance(whole, sympy.Add) or sympy.simplify(raw - (whole - 1) / whole**2) != 0:
        return None
    return Times((node(right), node(1 - right)))


def _by_quotient(steps: Steps, right: Expr, raw: Expr) -> int:
    """tanh as a quotient of exponentials, and the quotient rule."""
    above, below = (_scalar(sympy.expand(e)) for e in sympy.fraction(_scalar(right).rewrite(sympy.exp)))
    first = steps.add("y", above / below, _("tanh x in exponentials"), (1,))
    slopes = sympy.diff(above, x), sympy.diff(below, x)
    numerator = sympy.Add(
        sympy.Mul(slopes[0], below, evaluate=False),
        -sympy.Mul(above, slopes[1], evaluate=False),
        evaluate=False,
    )
    opened = sympy.Mul(numerator, below**-2, evaluate=False)
    if sympy.cancel((opened - raw).rewrite(sympy.exp).doit()) != 0:  # a quotient of powers of e^x
        raise AssertionError(f"the derivative of {right} is {raw}")
    left = partial("y", "x", True)
    second = steps.add(left, opened, _("quotient rule: {rule}", rule=quotient_rule()), (first,))
    return steps.add(left, raw, _("the second part over the first: 1 − (u/v)²"), (second,), "dy/dx")


# ---- Numbers ---------------------------------------------------------------------------------------------


def _worked(steps: Steps, points: Array, constants: Mapping[str, Rational], number: int) -> None:
    """The value and the derivative at each of the points."""
    if points.size > MOST:
        raise TopicError(f"at most {MOST} values of x can be read on a page")
    steps.heading(_("In numbers"))
    letters = _letters(constants)
    value, slope = (
        Equation(left, steps.formulas[name].xreplace({x: ONE_X, **letters}))
        for left, name in ((ONE_Y, "y"), (SLOPE, "dy/dx"))
    )
    for point in points:
        arrays: dict[str, Any] = {"x": np.float64(point)}
        at = decimal(float(point))
        work(steps, value, arrays, (1,), f"y at {at}", node("y"))
        work(steps, slope, arrays, (number,), f"dy/dx at {at}", partial("y", "x", True))


def _letters(constants: Mapping[str, Rational]) -> dict[Expr, Expr]:
    return {Symbol(c, positive=True): v for c, v in constants.items()}


def _picture(name: str, steps: Steps, constants: Mapping[str, Rational]) -> Plot:
    """Return the curve of an activation and that of its derivative."""
    curve, slope = (steps.formulas[key].xreplace(_letters(constants)) for key in ("y", "dy/dx"))
    parts = (Curve("y", curve, x), Curve("dy/dx", slope, x, dashed=True))
    return Plot(_("{name} and its derivative", name=name), "x", "", parts, (-5.0, 5.0))


def _erratum(steps: Steps) -> Erratum:
    """A slide's local derivative, f(1 − f), against a difference quotient."""
    at, h = 1.0, 1e-4
    curve = Equation(ONE_Y, steps.formulas["y"].xreplace({x: ONE_X}))
    below, here, above = (float(value_of(curve, {"x": np.float64(at + d)})) for d in (-h, 0.0, h))
    return Erratum(
        _("a slide writes the local derivative as f(1 − f) with f the pre-activation"),
        _("h(1 − h) with h = σ(f), the output"),
        _(
            "At f = {at}: f(1 − f) is {slide}, h(1 − h) is {right}, and the difference quotient of σ is "
            "{quotient}.",
            at=decimal(at),
            slide=decimal(at * (1 - at)),
            right=f"{here * (1 - here):.4f}",
            quotient=f"{(above - below) / (2 * h):.4f}",
        ),
    )


def _scalar(expression: Expr) -> Expr:
    return expression.replace(lambda e: isinstance(e, Indexed), lambda e: SCALAR.get(e, e))


ERRATA = {"sigmoid": (_erratum,)}
NAMES = ("sigmoid", "tanh", "relu", "leaky-relu", "elu", "softplus", "gelu", "swish", "step")
TOPICS = {name: _topic(name) for name in NAMES}
