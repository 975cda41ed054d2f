"""The squared error and its minimum: E = ½ Σ (y_k − t_k)²."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from sympy import Expr, Rational, Symbol

from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, Sum, access, cotangent, index, size, tensor
from chainrule.derive.prose import _
from chainrule.formula import formula_names, parse_formula
from chainrule.lectures.model import Steps, Topic, TopicError, node, partial
from chainrule.lectures.support.givens import split
from chainrule.lectures.support.layout import in_words, rounded
from chainrule.present.text import text as written
from chainrule.present.tree import Leaf, Node, Plus, Raised, Times

k, K = index("k"), size("K")
y, t, E = tensor("y", K), tensor("t", K), tensor("E")
LOSS = Equation(access(E), Sum((y[k] - t[k]) ** 2 / 2, (k, K)))
EXAMPLE = {"y": "0.1*w, 0.5*w, 1 - 0.6*w", "t": "0, 1, 0"}


def mse(given: Mapping[str, str]) -> Topic:
    """Derive ∂E/∂y_k, and E(w) and dE/dw where y(w) and t are given."""
    steps = Steps()
    _loss(steps)
    if given:
        _along(steps, *_givens(given), minimum=False)
    return steps.topic("mse", _("the squared error"))


def mse_minimum(given: Mapping[str, str]) -> Topic:
    """Derive the w at which E(w) is least."""
    steps = Steps()
    _loss(steps)
    _along(steps, *_givens({**EXAMPLE, **given}), minimum=True)
    return steps.topic("mse-minimum", _("the minimum of the squared error"))


def _loss(steps: Steps) -> None:
    one = steps.add("E", LOSS.right, _("definition"))
    slope = vjp(LOSS, "y").right.xreplace({access(tensor(cotangent("E"))): sympy.S.One})
    steps.add(partial("E", y[k]), slope, _("derivative of a sum, one term is left"), (one,), "dE/dy_k")


def _givens(given: Mapping[str, str]) -> tuple[list[Expr], list[Expr], Symbol]:
    unknown = set(given) - {"y", "t"}
    if unknown or set(given) != {"y", "t"}:
        raise TopicError(f"give y and t, one value for each output (given: {', '.join(sorted(given))})")
    names = set().union(*(formula_names(text) for text in split(given["y"])))
    if len(names) != 1:
        raise TopicError(f"y must depend on one unknown; it names {', '.join(sorted(names)) or 'none'}")
    w = Symbol(names.pop(), real=True)
    outputs = [parse_formula(text, {w.name: w}) for text in split(given["y"])]
    targets = [parse_formula(text, {}) for text in split(given["t"])]
    if len(outputs) != len(targets):
        raise TopicError(f"y has {len(outputs)} values and t has {len(targets)}; they must be as many")
    return outputs, targets, w


def _along(steps: Steps, outputs: list[Expr], targets: list[Expr], w: Symbol, minimum: bool) -> None:
    errors = [a - b for a, b in zip(outputs, targets, strict=True)]
    squares = Plus(tuple((False, Raised(node(e), Leaf("2", "2"))) for e in errors))
    inserted = steps.add("E", Times((node(Rational(1, 2)), squares)), _("y and t put in"), (1,))
    total = sympy.Add(*(e**2 for e in errors)) / 2
    error = sympy.expand(total)
    expanded = steps.add("E", error, _("multiplied out"), (inserted,), "E")
    steps.results["E"] = str(error)
    slopes = [sympy.diff(output, w) for output in outputs]
    links = tuple(_link(e, slope) for e, slope in zip(errors, slopes, strict=True) if slope != 0)
    chain = Plus(links) if links else node(sympy.S.Zero)
    letter = node(w)
    slope = sympy.expand(sympy.diff(error, w))
    chained = steps.add(partial("E", letter, True), chain, _("chain rule: Σ ∂E/∂y_k dy_k/dw"), (2, inserted))
    name = f"dE/d{w.name}"
    flat = steps.add(partial("E", letter, True), slope, _("derivative"), (expanded, chained), name)
    steps.results[name] = str(slope)
    if minimum:
        _minimum(steps, error, slope, w, flat)


def _link(error: Expr, slope: Expr) -> tuple[bool, Node]:
    """Return the term (y − t) dy/dw of a chain, with its sign; a number stands in front."""
    if slope.is_number:
        share = abs(slope)
        return bool(slope < 0), node(error) if share == 1 else Times((node(share), node(error)))
    return False, Times((node(error), node(slope)))


def _minimum(steps: Steps, error: Expr, slope: Expr, w: Symbol, flat: int) -> None:
    if not slope.is_polynomial(w) or slope.has(sympy.Piecewise):
        raise TopicError("E(w) is not a polynomial: its minimum has no closed form here")
    roots = sympy.Poly(slope, w).real_roots() if slope.has(w) else []
    values = {root: sympy.N(error.subs(w, root), 30) for root in dict.fromkeys(roots)}
    if not values:
        raise TopicError(f"dE/d{w.name} is nowhere 0: E has no minimum")
    least = min(values.values())
    best = [root for root, value in values.items() if abs(value - least) < Rational(1, 10**20)]
    curvature = sympy.diff(slope, w)
    for root in best:
        is_closed = not root.has(sympy.CRootOf)
        closed = root if is_closed else sympy.N(root, 15)
        bent = sympy.simplify(curvature.subs(w, closed))
        rule = _(
            "dE/d{letter} = 0; the second derivative there is {value}, so E is least",
            letter=w.name,
            value=written(bent) if is_closed else in_words(float(bent)),
        )
        value = closed if is_closed else rounded(float(closed), 15)
        number = steps.add(w, value, rule, (flat,), w.name, "=" if is_closed else "≈")
        steps.results[w.name] = str(closed)
        if not closed.is_Integer:
            steps.add(w, rounded(float(closed)), _("as a decimal"), (number,), relation="≈")
    lowest = error.subs(w, best[0])
    steps.results["minimum"] = str(lowest) if lowest.is_Rational else f"{float(least):.15g}"
    if len(best) > 1:
        steps.results[w.name] = ", ".join(str(root) for root in best)


TOPICS = {"mse": mse, "mse-minimum": mse_minimum}
