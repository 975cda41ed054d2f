"""Dropout: two functions, the gradient of each, and what it does to a linear unit in expectation."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
from sympy import Expr, KroneckerDelta, Symbol

from chainrule.derive.differentiate import contract, vjp
from chainrule.derive.index import Equation, Sum, access, cotangent, index, size, tensor
from chainrule.derive.layers import LAYERS
from chainrule.derive.layers.dropout import N, kept
from chainrule.derive.layers.layer import features
from chainrule.derive.prose import _
from chainrule.lectures.model import Steps, Topic, TopicError, node, partial
from chainrule.lectures.support.numbers import compute, decimal, figure, inserted, keep, put, relation, worked
from chainrule.lectures.support.templates import without
from chainrule.lectures.support.tensors import Array, needed, taken
from chainrule.present import latex, text
from chainrule.present.tree import Applied, Leaf, Node, Over, Plus, Related, Times

j, k, J = index("j"), index("k"), size("J")
p, q = Symbol("p", positive=True), Symbol("q", positive=True)
w, x, m = tensor("w", J), tensor("x", J), tensor("m", J)
y, t, E = access(tensor("y")), access(tensor("t")), access(tensor("E"))
EXAMPLE = {"w": "0.5, -1, 2", "x": "1, 2, 0.5", "t": "0.3", "rate": "0.4"}
MOST_MASKS = 12  # inputs, of which 2^12 masks are tried


def dropout(given: Mapping[str, str]) -> Topic:
    """Derive both modes and their gradients, and E over the masks of a linear unit's squared error."""
    found = taken("dropout", given or EXAMPLE, w=1, x=1, t=0, rate=0)
    needed("dropout", found, EXAMPLE)
    rate = float(found["rate"])
    if found["w"].shape != found["x"].shape:
        raise TopicError(
            f"dropout: w has {found['w'].size} numbers, x has {found['x'].size}; they must be as many"
        )
    if not 0 <= rate < 1:
        raise TopicError(f"dropout: rate is at least 0 and less than 1 (given: {decimal(rate)})")
    if found["w"].size > MOST_MASKS:
        raise TopicError(f"dropout: at most {MOST_MASKS} inputs, because every mask is tried")
    steps = Steps()
    _modes(steps)
    expected = _expectation(steps)
    _masks(steps, found, expected)
    return steps.topic(
        "dropout",
        _("dropout"),
        _("p is the rate, the share of the values that become 0, and q = 1 − p the share that is kept."),
        _("⟨u⟩ is the mean of u over all masks."),
        _(
            "In the mean over masks dropout adds (p/q) Σ w_j² x_j² to the squared error: weight decay, whose "
            "λ is larger for a weight whose input is larger."
        ),
    )


# ---- Two functions ---------------------------------------------------------------------------------------


def _layer(mode: str) -> Equation:
    layer = LAYERS["dropout"].forward((1,), {"rate": "0"})
    (equation,) = layer.equations if mode == "training" else layer.evaluation or ()
    (own,), (extent,) = features(1)
    return without(equation, (N,)).replace({kept: q, extent: J, own: j})


def _modes(steps: Steps) -> None:
    steps.heading(_("Two functions"))
    training, evaluation = _layer("training"), _layer("evaluation")
    drawn = Applied(r"\operatorname{Bernoulli}", "Bernoulli", (Leaf("q", "q"),))
    first = steps.add(
        m[j], drawn, _("a mask, drawn anew in each step: 1 with probability q, else 0"), relation="∼"
    )
    second = steps.add(
        training.left,
        training.right,
        _("training: what is kept is divided by q (inverted dropout)"),
        (first,),
        "y, training",
    )
    mean = steps.add(
        _mean(node(m[j])), node(q), _("1 with probability q, 0 with probability 1 − q"), (first,)
    )
    steps.add(
        _mean(node(training.left)),
        training.right.xreplace({m[j]: q}),
        _("the mean over masks, ⟨m_j⟩ = q: what evaluation gives; this is why q divides"),
        (second, mean),
        "mean of y",
    )
    third = steps.add(
        evaluation.left, evaluation.right, _("evaluation: nothing is dropped"), (), "y, evaluation"
    )
    for equation, number, mode in ((training, second, "training"), (evaluation, third, "evaluation")):
        slope = vjp(equation, "x")
        rule = {
            "training": _("chain rule: the gradient goes through the same mask"),
            "evaluation": _("chain rule: the gradient goes through unchanged"),
        }[mode]
        steps.add(partial("E", x[j]), slope.right, rule, (number,), f"dE/dx, {mode}")


def _mean(inner: Node) -> Node:
    return Leaf(rf"\left\langle {latex.write(inner)} \right\rangle", f"⟨{text.write(inner)}⟩")


# ---- In expectation --------------------------------------------------------------------------------------


def expectation(term: Expr) -> Expr:
    """Return the mean over independent masks of a product: ⟨m_j⟩ = q, ⟨m_j m_k⟩ = q² + δ_jk (q − q²).

    Raises ValueError for what is no product of at most two masks.
    """
    masks = [f for f in sympy.Mul.make_args(term) if f.has(m)]
    means = {
        (): sympy.S.One,
        (m[j],): q,
        (m[j], m[k]): q**2 + KroneckerDelta(j, k) * (q - q**2),
    }
    found = means.get(tuple(sorted(masks, key=str)))
    if found is None:
        raise ValueError(f"the mean of {term} over masks")
    return term / sympy.Mul(*masks) * found


def _expectation(steps: Steps) -> Equation:
    """From the squared error of a linear unit under a mask to the L2 term."""
    steps.heading(_("A linear unit in expectation"))
    one, other = (w[at] * m[at] * x[at] / q for at in (j, k))
    unit = Sum(one, (j, J))
    first = steps.add("y", unit, _("a linear unit in training: every input is dropped or kept"))
    error = steps.add("E", (unit - t) ** 2, _("its squared error"), (first,), "E")
    pairs = Sum(one * other, (j, J), (k, J))
    rule = _("multiplied out; (Σ_j u_j)² = Σ_j Σ_k u_j u_k")
    opened = steps.add("E", pairs - 2 * t * unit + t**2, rule, (error,))
    independent = _("independent for j ≠ k: q · q; for j = k it is ⟨m_j⟩ = q, because m_j² = m_j")
    law = steps.add(_mean(node(m[j] * m[k])), expectation(m[j] * m[k]), independent)
    share = sympy.expand(expectation(m[j] * m[k]) / q**2)
    ratio = p / q
    closed = 1 + KroneckerDelta(j, k) * ratio
    _require_equal(share, closed.xreplace({p: 1 - q}))
    weight = w[j] * x[j] * w[k] * x[k]
    linear = Sum(expectation(one), (j, J))
    averaged = Sum(weight * closed, (j, J), (k, J)) - 2 * t * linear + t**2
    mean = _mean(Leaf("E", "E"))
    rule = _("the mean of each term; 1/q − 1 = (1 − q)/q = p/q")
    second = steps.add(mean, averaged, rule, (opened, law))
    axes = (sympy.Tuple(j, J), sympy.Tuple(k, J))
    picked = contract(weight * KroneckerDelta(j, k), (), (), (), axes)
    picked = Sum(picked.body.xreplace({picked.bound[0]: j}), (j, J))
    penalty = Times((Over(Leaf("p", "p"), Leaf("q", "q")), node(picked)))
    rest = ((True, node(2 * t * linear)), (False, node(t**2)))
    shown = Plus(((False, node(Sum(weight, (j, J), (k, J)))), (False, penalty), *rest))
    third = steps.add(mean, shown, _("Kronecker delta picks k = j"), (second,))
    square = linear**2 + ratio * picked - 2 * t * linear + t**2
    shown = Plus(((False, node(linear**2)), (False, penalty), *rest))
    fourth = steps.add(mean, shown, _("Σ_j Σ_k u_j u_k = (Σ_j u_j)²"), (third,))
    final = Equation(E, (linear - t) ** 2 + ratio * picked)
    _require_equal(square, final.right)
    rule = _("a square again: the error of evaluation, and a penalty of squared weights (L2)")
    shown = Plus(((False, node((linear - t) ** 2)), (False, penalty)))
    fifth = steps.add(mean, shown, rule, (fourth,), "mean of E", formula=final.right)
    slope = vjp(final, "w").right.xreplace({access(tensor(cotangent("E"))): sympy.S.One})
    two = Leaf("2", "2")
    through = Times((two, node(linear.xreplace({j: k}) - t), node(x[j])))
    shrinks = Times((two, penalty.factors[0], node(w[j] * x[j] ** 2)))
    _require_equal(slope, 2 * (linear.xreplace({j: k}) - t) * x[j] + 2 * ratio * w[j] * x[j] ** 2)
    rule = _("derivative; the second part shrinks w_j, as weight decay does")
    parts = Plus(((False, through), (False, shrinks)))
    steps.add(partial(mean, w[j]), parts, rule, (fifth,), "dE/dw", formula=slope)
    return final


def _require_equal(one: Expr, other: Expr) -> None:
    if sympy.simplify(sympy.expand(one - other)) != 0:
        raise AssertionError(f"{one} is not {other}")


def _masks(steps: Steps, found: Mapping[str, Array], expected: Equation) -> None:
    """Try every mask, and hold the mean against the formula."""
    steps.heading(_("In numbers"))
    rate = float(found["rate"])
    keep_ = 1 - rate
    given = [put(steps, name, found[name], _("an example")) for name in ("w", "x", "t")]
    given.append(steps.add("p", figure(rate), _("the rate")))
    unit = Equation(E, (Sum(w[j] * m[j] * x[j] / q, (j, J)) - t) ** 2)
    arrays: dict[str, Any] = {**found, "p": np.float64(rate), "q": np.float64(keep_)}
    total = 0.0
    count = found["w"].size
    for mask in itertools.product((0.0, 1.0), repeat=count):
        arrays["m"] = np.array(mask)
        chance = keep_ ** sum(mask) * rate ** (count - sum(mask))
        total += chance * float(compute([unit], arrays)["E"])
    mean = _mean(Leaf("E", "E"))
    rule = _("all {masks} masks, each with its probability", masks=2**count)
    every = worked(steps, mean, total, rule, (*given,), "mean of E, every mask")
    formula = float(compute([expected], arrays)["E"])
    if abs(formula - total) > 1e-9 * max(1.0, abs(total)):
        raise AssertionError(f"over all masks {total}, by the formula {formula}")
    put_in = inserted(expected, arrays, ())
    shown = figure(formula) if put_in is None else Related(relation(formula), put_in, figure(formula))
    steps.add(mean, shown, _("by the formula: the same"), (every,), "mean of E, formula")
    keep(steps, "mean of E, formula", formula)


TOPICS = {"dropout": dropout}
