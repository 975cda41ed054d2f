"""The bias rule, a chain of four weights, and three layers as one formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
from sympy import Integer, Symbol, exp

from chainrule.derive.adjoint import adjoint
from chainrule.derive.differentiate import vjp
from chainrule.derive.index import (
    Equation,
    Sum,
    access,
    accesses,
    apart,
    canonical_sums,
    cotangent,
    index,
    plain_name,
    tensor,
)
from chainrule.derive.network import N, n
from chainrule.derive.prose import _
from chainrule.lectures.deltas import E, J, K, dense, weight_rule
from chainrule.lectures.model import Erratum, Steps, Topic, TopicError, node, partial
from chainrule.lectures.softmaxes import ONE
from chainrule.lectures.support.numbers import compute, decimal, put, work
from chainrule.lectures.support.spoken import primed, slope, through, u
from chainrule.lectures.support.tensors import Array, taken
from chainrule.present.notation import differentiated
from chainrule.present.tree import Big, Node, Plus, Times

i, j, k = index("i"), index("j"), index("k")


def bias(given: Mapping[str, str]) -> Topic:
    """Derive ∂E/∂b_k = δ_k, as the weight rule with input 1, and its sum over a batch."""
    taken("bias", given)
    steps = Steps()
    steps.heading(_("As a weight whose input is 1"))
    rule_of_weights = weight_rule(steps)
    here = dense("l", "l-1", (K, J), (k, j))
    weights, own = vjp(here, "w@l"), vjp(here, "b@l")
    one = weights.right.xreplace({tensor("a@l-1", J)[j]: sympy.S.One})
    left = partial("E", access(tensor("b@l", K), k))
    rule = _("b_k is a weight whose input a_j is 1")
    first = steps.add(left, one, rule, (rule_of_weights,))
    if one != own.right:
        raise AssertionError("the two derivations of the bias rule differ")
    steps.heading(_("By the chain rule"))
    way = Times((partial("E", here.left), partial(here.left, access(tensor("b@l", K), k))))
    second = steps.add(left, way, _("chain rule: b_k is read by z_k alone"), (1,))
    steps.add(left, own.right, _("{slope}: the same", slope=slope(here, "b@l")), (first, second), "dE/db")
    steps.heading(_("In a batch"))
    batch = Equation(
        tensor("z@l", N, K)[n, k],
        Sum(tensor("w@l", K, J)[k, j] * tensor("a@l-1", N, J)[n, j], (j, J)) + tensor("b@l", K)[k],
    )
    third = steps.add(batch.left, batch.right, _("forward, a batch of N examples"))
    each = Times((partial("E", batch.left), partial(batch.left, access(tensor("b@l", K), k))))
    rule = _("chain rule: b_k is read by every example")
    fourth = steps.add(left, Big("sum", (("n", ""),), each), rule, (third,))
    summed = vjp(batch, "b@l")
    steps.add(left, summed.right, slope(batch, "b@l"), (fourth,), "dE/db, batch")
    return steps.topic("bias", _("the bias rule"))


# ---- A chain of four weights -----------------------------------------------------------------------------

CHAIN = {"x": 1.0, "t": 0.0, "w1": 0.5, "w2": -0.5, "w3": 1.0, "w4": 0.5}
NAMES = ("x", "h1", "h2", "h3", "y")
RATE = 0.1


def backprop_chain(given: Mapping[str, str]) -> Topic:
    """Derive every δ and update of x → h1 → h2 → h3 → y with one weight each and sigmoid throughout."""
    numbers = taken("backprop-chain", given, **dict.fromkeys(CHAIN, 0), rate=0)
    steps = Steps()
    forward, places = _chain_forward(steps)
    slopes = _chain_backward(steps, forward, places)
    steps.heading(_("Update"))
    rate = Symbol("lambda", positive=True)
    for layer in range(4, 0, -1):
        weight = access(tensor(f"w{layer}"))
        own = cotangent(f"w{layer}")
        gradient = node(slopes[own].right)
        step = Plus(((False, node(weight)), (True, Times((node(rate), gradient)))))
        because = (places[own],)
        places[f"w{layer}"] = steps.add(weight, step, _("gradient descent"), because, relation="←")
    if numbers:
        _chain_numbers(steps, forward, slopes, places, numbers)
    return steps.topic(
        "backprop-chain", _("a chain of four sigmoid neurons"), _("δ is ∂E/∂z, λ the learning rate.")
    )


def _chain_forward(steps: Steps) -> tuple[list[Equation], dict[str, int]]:
    """Add z = w h, h = σ(z) four times and the squared error; return them and their numbers."""
    steps.heading(_("Forward"))
    forward: list[Equation] = []
    for layer in range(1, 5):
        z, h = access(tensor(f"z{layer}")), access(tensor(NAMES[layer]))
        forward.append(Equation(z, access(tensor(f"w{layer}")) * access(tensor(NAMES[layer - 1]))))
        forward.append(Equation(h, 1 / (1 + exp(-z))))
    y, t = access(tensor("y")), access(tensor("t"))
    forward.append(Equation(E, (y - t) ** 2 / 2))
    rules = [_("forward"), _("forward: sigmoid")] * 4 + [_("squared error")]
    places: dict[str, int] = {}
    for equation, rule in zip(forward, rules, strict=True):
        because = tuple(places[name] for name in equation.reads() if name in places)
        places[equation.name] = steps.add(equation.left, equation.right, rule, because, equation.name)
    return forward, places


def _chain_backward(steps: Steps, forward: list[Equation], places: dict[str, int]) -> dict[str, Equation]:
    """Add every δ and ∂E/∂w from the last to the first; return them, and add their numbers to ``places``."""
    steps.heading(_("Backward"))
    loss = forward[-1]
    incoming = vjp(loss, "y").right.xreplace(ONE)
    reached = steps.add(partial("E", access(tensor("y"))), incoming, primed(u**2 / 2), (places["E"],))
    slopes: dict[str, Equation] = {}
    for layer in range(4, 0, -1):
        line, curve = forward[2 * layer - 2], forward[2 * layer - 1]
        h, z = curve.left, line.left
        seed = access(tensor(cotangent(NAMES[layer])))
        found = adjoint(curve, f"z{layer}").equation
        rule = through(curve, f"z{layer}")
        local = steps.add(partial(h, z), found.right / seed, rule, (places[NAMES[layer]],))
        own = Equation(access(tensor(cotangent(f"z{layer}"))), found.right.xreplace({seed: incoming}))
        rule = _("chain rule: ∂E/∂h times ∂h/∂z")
        places[own.name] = steps.add(own.left, own.right, rule, (reached, local), f"delta{layer}")
        gradient = vjp(line, f"w{layer}")
        left = partial("E", access(tensor(f"w{layer}")))
        rule = _("chain rule: z is the weight times its input")
        because = (places[f"z{layer}"], places[own.name])
        places[gradient.name] = steps.add(left, gradient.right, rule, because, f"dE/dw{layer}")
        slopes |= {own.name: own, gradient.name: gradient}
        before = vjp(line, NAMES[layer - 1])
        incoming = before.right
        if layer > 1:
            left = partial("E", access(tensor(NAMES[layer - 1])))
            rule = _("chain rule: ∂z/∂h is the weight after it")
            reached = steps.add(left, incoming, rule, because)
    return slopes


def _chain_numbers(
    steps: Steps,
    forward: list[Equation],
    slopes: Mapping[str, Equation],
    places: Mapping[str, int],
    numbers: Mapping[str, Array],
) -> None:
    """One pass forward and back, and the updated weights."""
    steps.heading(_("In numbers"))
    rate = float(numbers.get("rate", RATE))
    arrays: dict[str, Any] = {**{name: np.float64(v) for name, v in CHAIN.items()}, **numbers, "lambda": rate}
    chosen = {name: _("given") if name in numbers else _("chosen") for name in (*CHAIN, "rate")}
    for name in CHAIN:
        put(steps, name, arrays[name], chosen[name])
    put(steps, "lambda", rate, chosen["rate"])
    for equation in (*forward, *slopes.values()):
        weight = differentiated(equation.name)
        left = partial("E", access(tensor(weight))) if weight else None
        result = f"{plain_name(equation.name)}, worked"
        work(steps, equation, arrays, (places[equation.name],), result, left)
    for layer in range(4, 0, -1):
        weight = access(tensor(f"w{layer}"))
        gradient = access(tensor(cotangent(f"w{layer}")))
        moved = Equation(access(tensor(f"w{layer}'")), weight - Symbol("lambda", positive=True) * gradient)
        work(steps, moved, arrays, (places[f"w{layer}"],), f"w{layer}, after one step", node(weight))


# ---- Three layers as one formula -------------------------------------------------------------------------

SHAPES = {"x": (3,), "W1": (2, 3), "b1": (2,), "W2": (3, 2), "b2": (3,), "t": (3,)}
START: dict[str, Any] = {
    "x": (1, 2, 3),
    "W1": ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)),
    "b1": (0, 0),
    "W2": ((0.1, 0.2), (0.3, 0.4), (0.5, 0.6)),
    "b2": (0, 0, 0),
    "t": (0, 1, 0),
}


def forward_3_2_3(given: Mapping[str, str]) -> Topic:
    """Derive the forward pass of 3 inputs, 2 sigmoid and 3 softmax nodes, and E as one formula of x."""
    ranks = {name: len(shape) for name, shape in SHAPES.items()}
    numbers = taken("forward-3-2-3", given, **ranks)
    for name, value in numbers.items():
        if value.shape != SHAPES[name]:
            wanted, found = (" × ".join(map(str, s)) for s in (SHAPES[name], value.shape))
            raise TopicError(f"forward-3-2-3: {name} is {wanted} numbers (given: {found})")
    steps = Steps()
    equations = _three_layers()
    rules = (
        _("forward: 2 nodes of 3 inputs"),
        _("sigmoid"),
        _("forward: 3 nodes of 2 inputs"),
        _("softmax"),
        _("squared error"),
    )
    steps.heading(_("Layer by layer"))
    places: dict[str, int] = {}
    for equation, rule in zip(equations, rules, strict=True):
        because = tuple(places[name] for name in equation.reads() if name in places)
        places[equation.name] = steps.add(equation.left, equation.right, rule, because, equation.name)
    steps.heading(_("Written out: row k of a matrix belongs to node k"))
    for equation in (equations[0], equations[2]):
        for row in range(1, int(equation.left.base.shape[0]) + 1):
            written = _written_out(equation, row)
            left = access(equation.left.base, Integer(row))
            steps.add(left, written, _("the sum written out"), (places[equation.name],))
    steps.heading(_("As one formula"))
    _nested(steps, equations, places)
    if numbers:
        steps.heading(_("In numbers"))
        arrays = {**{name: np.array(v, dtype=float) for name, v in START.items()}, **numbers}
        chosen = {name: _("given") if name in numbers else _("chosen") for name in SHAPES}
        for name in SHAPES:
            put(steps, _letter(name), arrays[name], chosen[name])
        arrays["a0"] = arrays.pop("x")
        for equation in equations:
            work(steps, equation, arrays, (places[equation.name],), f"{equation.name}, worked")
    return steps.topic("forward-3-2-3", _("3 inputs, 2 hidden nodes, 3 outputs"), _repeated_index(equations))


def _letter(name: str) -> str:
    return "a0" if name == "x" else name


def _three_layers() -> list[Equation]:
    a0, W1, b1, W2, b2, t = (tensor(_letter(name), *shape) for name, shape in SHAPES.items())
    z1, a1, z2, a2 = (tensor(name, *b.shape) for name, b in (("z1", b1), ("a1", b1), ("z2", b2), ("a2", b2)))
    return [
        Equation(z1[k], Sum(W1[k, j] * a0[j], (j, Integer(3))) + b1[k]),
        Equation(a1[k], 1 / (1 + exp(-z1[k]))),
        Equation(z2[k], Sum(W2[k, j] * a1[j], (j, Integer(2))) + b2[k]),
        Equation(a2[k], exp(z2[k]) / Sum(exp(z2[j]), (j, Integer(3)))),
        Equation(E, Sum((a2[k] - t[k]) ** 2 / 2, (k, Integer(3)))),
    ]


def _written_out(equation: Equation, row: int) -> Node:
    """Return Σ_j w_kj a_j + b_k for one row, term by term, counted from 1."""
    (total,) = equation.right.atoms(Sum)
    bound, extent = total.axes[0]
    terms = [total.body.xreplace({bound: Integer(v)}) for v in range(1, int(extent) + 1)]
    at = {equation.free[0]: Integer(row)}
    return Plus(tuple((False, node(e.xreplace(at))) for e in (*terms, equation.right - total)))


def _nested(steps: Steps, equations: list[Equation], places: Mapping[str, int]) -> None:
    """Put the equations into one another from the last to the first, a line for each."""
    nested, number = equations[-1].right, places["E"]
    for equation in reversed(equations[:-1]):
        nested = apart(nested)
        reads = {a: equation.at(a.indices) for a in accesses(nested, equation.left.base)}
        nested = canonical_sums(nested.xreplace(reads), ("k", "j", "i", "m", "l", "p", "q"), ())
        letter, layer = equation.name[0], equation.name[1:]
        rule = _("{letter} of layer {layer} put in", letter=letter, layer=layer)
        last = equation is equations[0]
        result = "E, nested" if last else ""
        number = steps.add("E", nested, rule, (number, places[equation.name]), result)


def _repeated_index(equations: list[Equation]) -> Erratum:
    """What a hidden node comes to when one weight stands in all places of its row."""
    arrays: dict[str, Any] = {name: np.array(value, dtype=float) for name, value in START.items()}
    arrays["a0"] = arrays.pop("x")
    right = compute(equations[:1], dict(arrays))["z1"][1]
    repeated = arrays["W1"].copy()
    repeated[1] = repeated[1, 0]
    slide = compute(equations[:1], {**arrays, "W1": repeated})["z1"][1]
    return Erratum(
        _("in the matrices of a slide indices repeat: w_21 stands three times, w_12 in the place of w_22"),
        _("w_kj in row k and column j, every index once"),
        _(
            "With the inputs 1, 2, 3 and the second row 0.4, 0.5, 0.6 of W¹ z_2 is {right}; with w_21 in all "
            "three places it would be {slide}.",
            right=decimal(float(right)),
            slide=decimal(float(slide)),
        ),
    )


TOPICS = {"bias": bias, "backprop-chain": backprop_chain, "forward-3-2-3": forward_3_2_3}
