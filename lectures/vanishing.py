"""Why the gradient of a deep sigmoid network vanishes: δ layer by layer, its bound, and ReLU instead."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sympy
from sympy import Expr, Rational, Symbol

from chainrule.derive.adjoint import adjoint
from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, access, cotangent, index, size, tensor
from chainrule.derive.interpret import function_of
from chainrule.derive.library import ACTIVATIONS
from chainrule.derive.network import formula_expression
from chainrule.derive.prose import _
from chainrule.lectures.model import Erratum, Steps, Topic, TopicError, partial
from chainrule.lectures.plot import Plot, Points
from chainrule.lectures.support import givens
from chainrule.lectures.support.layout import chain, few, in_words, ordered, product, rounded, shown
from chainrule.present.tree import Applied, Bars, Big, Leaf, Node, Over, Plus, Raised, Ref, Times

i, k, size_ = index("i"), index("k"), size("L")
Z, H, W, DELTA = tensor("z", size_), tensor("h", size_), tensor("w", size_), tensor(cotangent("z"), size_)
QUARTER: Final = Rational(1, 4)
FAR_OUT: Final = 1e100  # no δ above it is followed
ERRATUM_LAYERS: Final = 4

FAR: Final = Ref(cotangent("z"), (Plus(((False, shown(i)), (False, shown(size_)))),))  # δ, L layers on


@dataclass(frozen=True)
class _Curve:
    """An activation of the lecture: what it is called, and whether its derivative is h(1 − h), at most ¼."""

    called: str
    bounded: bool


CURVES: Final = {"sigmoid": _Curve(_("sigmoid"), True), "relu": _Curve("ReLU", False)}

# One layer of one neuron, and the next: scalars for the engine, Z[i] and the like on the page.
z, h, weight, after = (access(tensor(name)) for name in ("z", "h", "wn", "zn"))
LINE: Final = Equation(after, weight * h)
PAGE: Final = {
    z: Z[i],
    h: H[i],
    weight: W[i + 1],
    access(tensor(cotangent("zn"))): DELTA[i + 1],
    access(tensor(cotangent("z"))): DELTA[i],
}


def vanishing_gradient(given: Mapping[str, str]) -> Topic:
    """Derive δ_i = δ_{i+1} w_{i+1} h_i (1 − h_i), the bound (max|w|/4)^L, and what ReLU changes."""
    task = _task(given)
    steps = Steps()
    steps.heading(_("From layer to layer"))
    number = _recursion(steps, "sigmoid", "delta")
    steps.heading(_("How large the derivative of the sigmoid can be"))
    quarter = _quarter(steps)
    steps.heading(_("Over many layers"))
    _over_layers(steps, number, quarter)
    steps.heading(_("ReLU instead"))
    number = _recursion(steps, "relu", "delta, ReLU")
    found = _product(W[k + 1])
    rule = _("put into one another, k from i to i + L − 1, where every z_k > 0: no factor ¼")
    steps.add(DELTA[i], product(FAR, found), rule, (number,))
    steps.heading(_("With numbers"))
    _with_numbers(steps, task)
    return steps.topic("vanishing-gradient", _("the vanishing gradient"), _erratum())


def _curve(name: str) -> Equation:
    return Equation(h, formula_expression(ACTIVATIONS[name], {"x": z}, {}))


def _local(name: str) -> Expr:
    """Return ∂h/∂z of an activation, through its output where that can be."""
    curve = _curve(name)
    if not CURVES[name].bounded:  # where h > 0 is where z > 0, and z is what the lecture looks at
        return vjp(curve, "z").right.xreplace({access(tensor(cotangent("h"))): sympy.S.One})
    return adjoint(curve, "z").equation.right.xreplace({access(tensor(cotangent("h"))): sympy.S.One})


def _recursion(steps: Steps, name: str, result: str) -> int:
    """Derive δ of a layer from that of the next; return the number of the step."""
    curve = _curve(name)
    line = LINE.right.xreplace({weight: W[i], h: H[i - 1]})
    forward = () if not CURVES[name].bounded else (
        steps.add(Z[i], line, _("forward: one neuron in each layer i, its input the output before it")),
    )  # fmt: skip
    called = _("forward: {name}", name=CURVES[name].called)
    second = steps.add(H[i], curve.right.xreplace(PAGE), called, forward)
    seed = vjp(LINE, "h").right
    rule = _("E depends on h_i through z of layer i + 1 alone; δ is ∂E/∂z")
    if seed.xreplace(PAGE) != DELTA[i + 1] * W[i + 1]:
        raise AssertionError(f"∂E/∂h is {seed}")
    written = product(DELTA[i + 1], W[i + 1])
    third = steps.add(partial("E", H[i]), written, rule, forward)
    local = _local(name)
    rule = _("derivative through the output") if CURVES[name].bounded else _("derivative of each case")
    fourth = steps.add(partial(H[i], Z[i]), local.xreplace(PAGE), rule, (second,))
    found = (seed * local).xreplace(PAGE)
    written = product(DELTA[i + 1], W[i + 1], local.xreplace(PAGE))
    last = steps.add(DELTA[i], written, _("chain rule"), (third, fourth), result, formula=found)
    if CURVES[name].bounded:
        slope = vjp(LINE, "wn").right.xreplace({access(tensor(cotangent("zn"))): DELTA[i], h: H[i - 1]})
        rule = _("chain rule: where δ is small, the slope of the weight is small")
        steps.add(partial("E", W[i]), slope, rule, (last,), "dE/dw")
    return last


def _quarter(steps: Steps) -> int:
    """Prove h(1 − h) ≤ ¼: its derivative is 0 at ½ alone, and ¼ − h(1 − h) is a square."""
    out = Symbol("h", real=True)
    local = _local("sigmoid").xreplace({h: out})
    slope = sympy.expand(sympy.diff(local, out))
    first = steps.add(partial(local, out, True), ordered(slope, sympy.S.One), _("derivative of h(1 − h)"))
    (best,) = sympy.Poly(slope, out).real_roots()
    top, bent = local.subs(out, best), sympy.diff(slope, out)
    rule = _(
        "where the derivative is 0; the second derivative is {value}, so this is the maximum",
        value=in_words(bent),
    )
    second = steps.add(out, best, rule, (first,))
    third = steps.add(shown(local), shown(top), _("its value there"), (second,), "maximum", formula=top)
    square = sympy.factor(top - local)
    root = (out - best) ** 2
    if sympy.expand(square - root) != 0:
        raise AssertionError(f"{square} is not {root}")
    left = Plus(((False, shown(top)), (True, shown(local))))
    rule = _("and it is nowhere more: a square is never below 0")
    fourth = steps.add(left, chain(root, sympy.S.Zero, relation="≥"), rule, (third,))
    here = local.xreplace({out: H[i]})
    return steps.add(here, top, _("so in every layer"), (fourth,), "bound of h(1 - h)", relation="≤")


def _product(body: Expr | Node) -> Node:
    return Big("prod", (("k", ""),), shown(body))


def _over_layers(steps: Steps, recursion: int, quarter: int) -> None:
    size_of = {name: Bars(shown(base)) for name, base in (("here", DELTA[i]), ("next", DELTA[i + 1]))}
    share = Over(Bars(shown(W[i + 1])), Leaf("4", "4"))
    rule = _("absolute values; the factor of the sigmoid is at most ¼")
    first = steps.add(
        size_of["here"], Times((share, size_of["next"])), rule, (recursion, quarter), relation="≤"
    )
    here = _local("sigmoid").xreplace({h: H[k]})
    rule = _("the recursion put into itself, L layers, k from i to i + L − 1")
    body = product(W[k + 1], here)
    second = steps.add(DELTA[i], product(FAR, _product(body)), rule, (recursion,))
    greatest = Big("max", (("k", ""),), Bars(shown(W[k])))
    power = Raised(Over(greatest, Leaf("4", "4")), shown(size_))
    rule = _("each of the L factors is at most max |w|/4; below 1, δ goes to 0")
    weight_ = Symbol("w", nonnegative=True)
    bound = (weight_ * QUARTER) ** size_
    right = Times((power, Bars(FAR)))
    steps.add(size_of["here"], right, rule, (first, second), "bound", relation="≤", formula=bound)


@dataclass(frozen=True)
class _Task:
    """A chain of neurons with the same weight everywhere, its input and its target."""

    depth: int
    weight: float
    input: float
    target: float


def _task(given: Mapping[str, str]) -> _Task:
    givens.allow(given, ("depth", "w", "x", "t"), "vanishing-gradient")
    numbers = [
        float(givens.number(given, name, usual)) for name, usual in (("w", "1"), ("x", "1"), ("t", "0"))
    ]
    return _Task(givens.whole(given, "depth", "10", 2, 200), *numbers)


@dataclass(frozen=True)
class _Pass:
    """A forward and backward pass: outputs from h_0 = x on, δ from layer 1 on, and the error."""

    outputs: tuple[float, ...]
    deltas: tuple[float, ...]
    error: float


def run(name: str, weights: tuple[float, ...], x: float, t: float) -> _Pass:
    """Return the pass through neurons of an activation with these weights, by the derived formulas."""
    out, up, w_next, down = (Symbol(letter, real=True) for letter in ("h", "z", "w", "d"))
    letters = {z: up, h: out, weight: w_next, access(tensor(cotangent("zn"))): down}
    value = function_of(_curve(name).right.xreplace(letters), up)
    local = function_of(_local(name).xreplace(letters), out, up)
    outputs, sums = [x], []
    for each in weights:
        sums.append(each * outputs[-1])
        outputs.append(value(sums[-1]))
    deltas = [(outputs[-1] - t) * local(outputs[-1], sums[-1])]
    for each, here, before in zip(weights[:0:-1], outputs[-2:0:-1], sums[-2::-1], strict=True):
        deltas.append(deltas[-1] * each * local(here, before))
    return _Pass(tuple(outputs), tuple(reversed(deltas)), (outputs[-1] - t) ** 2 / 2)


def _with_numbers(steps: Steps, task: _Task) -> None:
    passes = {}
    for name in ("sigmoid", "relu"):
        try:
            passes[name] = run(name, (task.weight,) * task.depth, task.input, task.target)
            if not max(map(abs, passes[name].deltas)) < FAR_OUT:
                raise OverflowError
        except OverflowError:
            raise TopicError(f"{name}: the numbers get too large; take a smaller w or depth") from None
    rule = _(
        "the weights of all {depth} layers; the error is ½(h − t)² with t = {t}",
        depth=task.depth,
        t=in_words(task.target),
    )
    first = steps.add("w", rounded(task.weight), rule)
    for name, found in passes.items():
        last, deltas, called = task.depth, found.deltas, CURVES[name].called
        rule = _(
            "{name}: the outputs of the layers from x = {x} on",
            name=called,
            x=in_words(task.input),
        )
        second = steps.add("h", _row(found.outputs[1:]), rule, (first,), relation=":")
        rule = _("{name}: from layer {depth} back to layer 1", name=called, depth=last)
        third = steps.add(Leaf(r"\delta", "δ"), _row(deltas[::-1]), rule, (second,), relation=":")
        ratio = abs(deltas[0] / deltas[-1]) if deltas[-1] else math.nan
        if math.isnan(ratio):
            steps.results[f"ratio, {name}"] = "no δ at the last layer"
            continue
        top = Over(Bars(_delta(1)), Bars(_delta(last)))
        rule = _("{name}: what is left of δ after {count} layers", name=called, count=last - 1)
        steps.add(top, rounded(ratio), rule, (third,), relation="≈")
        steps.results[f"ratio, {name}"] = f"{ratio:.12g}"
        if CURVES[name].bounded:
            bound = (abs(task.weight) / 4) ** (last - 1)
            steps.results["bound with these numbers"] = f"{bound:.12g}"
            rule = _("the bound for these weights and {count} layers", count=last - 1)
            power = Raised(
                Over(rounded(abs(task.weight)), Leaf("4", "4")), Leaf(str(last - 1), str(last - 1))
            )
            steps.add(power, rounded(bound), rule, (first,), relation="≈")
    steps.plots.append(_picture(task, passes))


def _delta(layer: int) -> Node:
    return shown(DELTA[sympy.Integer(layer)])


def _row(values: tuple[float, ...]) -> Node:
    return Applied("", "", tuple(few([rounded(value, 4) for value in values])))


def _picture(task: _Task, passes: Mapping[str, _Pass]) -> Plot:
    layers = tuple(float(layer) for layer in range(1, task.depth + 1))
    parts = [
        Points(CURVES[name].called, layers, tuple(abs(d) for d in found.deltas))
        for name, found in passes.items()
    ]
    end = abs(passes["sigmoid"].deltas[-1])
    bound = tuple(end * (abs(task.weight) / 4) ** (task.depth - layer) for layer in layers)
    parts.append(Points(_("bound for sigmoid"), layers, bound, marker="", dashed=True))
    title = _("δ by layer, {depth} layers, all weights {w}", depth=task.depth, w=in_words(task.weight))
    return Plot(title, _("layer"), "|δ|", tuple(parts), log_y=True)


def _erratum() -> Erratum:
    """Take one step both ways on a chain of four sigmoid neurons: E rises, and falls."""
    rate, x, t = 1.0, 1.0, 0.0
    weights = (1.0,) * ERRATUM_LAYERS
    before = run("sigmoid", weights, x, t)
    moved = {}
    for sign in (1, -1):
        slopes = [d * out for d, out in zip(before.deltas, before.outputs[:-1], strict=True)]
        stepped = tuple(w_ + sign * rate * slope for w_, slope in zip(weights, slopes, strict=True))
        moved[sign] = run("sigmoid", stepped, x, t).error
    return Erratum(
        _("a slide updates w_i ← w_i + λ δ_i h, with h the output before it, adding the slope"),
        _("w_i ← w_i − λ δ_i h, for E falls against the slope"),
        _(
            "Four sigmoid neurons with w = 1, x = 1, t = 0 have E = {before}; a step with λ = 1 that adds "
            "gives E = {added}, more, and one that subtracts gives E = {taken}, less.",
            before=in_words(before.error),
            added=in_words(moved[1]),
            taken=in_words(moved[-1]),
        ),
    )


TOPICS = {"vanishing-gradient": vanishing_gradient}
