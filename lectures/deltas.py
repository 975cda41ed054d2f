"""The delta rule: δ of a hidden layer, the weight rule, and δ of the last layer in its three forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
from sympy import Expr, Integer, KroneckerDelta, Symbol, exp

from chainrule.derive.adjoint import adjoint
from chainrule.derive.differentiate import contract, vjp
from chainrule.derive.index import Equation, Sum, access, cotangent, index, size, tensor
from chainrule.derive.prose import _
from chainrule.lectures.model import Erratum, Steps, Topic, node, partial
from chainrule.lectures.softmaxes import ONE, chained, entropy_steps, jacobian_steps, softmax_of
from chainrule.lectures.support.numbers import compute
from chainrule.lectures.support.spoken import primed, through, u
from chainrule.lectures.support.tensors import taken
from chainrule.present.tree import Big, Node, Plus, Times

i, j, k = index("i"), index("j"), index("k")
AFTER, J, K = size("I"), size("J"), size("K")
E = access(tensor("E"))
SQUARED = Equation(E, Sum((tensor("a@L", K)[k] - tensor("t", K)[k]) ** 2 / 2, (k, K)))


def dense(layer: str, before: str, sizes: tuple[Expr, Expr], free: tuple[Symbol, Symbol]) -> Equation:
    """Return z_k = Σ_j w_kj a_j + b_k between two layers."""
    (rows, columns), (row, column) = sizes, free
    weights = tensor(f"w@{layer}", rows, columns)
    a, b, z = tensor(f"a@{before}", columns), tensor(f"b@{layer}", rows), tensor(f"z@{layer}", rows)
    return Equation(z[row], Sum(weights[row, column] * a[column], (column, columns)) + b[row])


def sigmoid(layer: str, free: Symbol, extent: Expr) -> Equation:
    """Return a_k = 1/(1 + e^(−z_k)) of a layer."""
    z, a = tensor(f"z@{layer}", extent), tensor(f"a@{layer}", extent)
    return Equation(a[free], 1 / (1 + exp(-z[free])))


def delta(given: Mapping[str, str]) -> Topic:
    """Derive δ of a hidden layer (for three nodes after it, then any number), ∂E/∂w, and δ of the last."""
    taken("delta", given)
    steps = Steps()
    steps.heading(_("A hidden layer l, three nodes in the layer l + 1"))
    _hidden(steps, Integer(3))
    steps.heading(_("A hidden layer l, any number of nodes in the layer l + 1"))
    _hidden(steps, AFTER)
    steps.heading(_("The weights"))
    weight_rule(steps)
    steps.heading(_("The last layer L: sigmoid with squared error"))
    _last_sigmoid(steps)
    steps.heading(_("The last layer L: softmax with squared error"))
    forward, found, number = _softmax(steps)
    _softmax_squared(steps, forward, found, number)
    steps.heading(_("The last layer L: softmax with cross-entropy"))
    entropy_steps(steps, forward, found, number, "delta, softmax and cross-entropy", node(_delta("L", j)))
    return steps.topic("delta", _("the delta rule"), *_errata(steps))


def _delta(layer: str, at: Symbol, extent: Expr = K) -> Expr:
    return access(tensor(cotangent(f"z@{layer}"), extent), at)


# ---- Before the last layer -------------------------------------------------------------------------------


def _hidden(steps: Steps, extent: Expr) -> None:
    """δ of layer l from that of the layer after it, which has ``extent`` nodes."""
    three = extent.is_Integer
    after, here = dense("l+1", "l", (extent, K), (i, k)), sigmoid("l", k, K)
    a, z, z_after = here.left, tensor("z@l", K)[k], after.left
    first = steps.add(z_after, after.right, _("forward; i counts the nodes of the layer l + 1"))
    second = steps.add(a, here.right, _("forward: sigmoid"))
    left = partial("E", a)

    def way(at: Expr) -> Node:
        return Times((partial("E", z_after.xreplace({i: at})), partial(z_after.xreplace({i: at}), a)))

    if three:
        places = [Integer(v) for v in range(1, int(extent) + 1)]
        ways: Node = Plus(tuple((False, way(at)) for at in places))
        rule = _("chain rule: a_k is read by each of the three nodes")
    else:
        ways = Big("sum", (("i", ""),), way(i))
        rule = _("chain rule: a_k is read by every node i of the layer l + 1")
    third = steps.add(left, ways, rule, (first,))
    outer = vjp(after, "a@l")
    slope = outer.right.xreplace({outer.left.indices[0]: k})
    local = slope.body.xreplace({slope.bound[0]: i}) / _delta("l+1", i, extent)
    fourth = steps.add(partial(z_after, a), local, _("only the term k of the sum has a_k in it"), (first,))
    opened = slope if not three else sympy.Add(*(slope.body.xreplace({slope.bound[0]: at}) for at in places))
    rule = _("put in, with δ_i for ∂E/∂z_i")
    fifth = steps.add(left, opened, rule, (third, fourth))
    slope_here = adjoint(here, "z@l").equation.right / access(tensor(cotangent("a@l"), K), k)
    sixth = steps.add(partial(a, z), slope_here, through(here, "z@l"), (second,))
    chain = Times((left, partial(a, z)))
    rule = _("chain rule: z_k acts on E through a_k alone; δ_k is ∂E/∂z_k")
    seventh = steps.add(_delta("l", k), chain, rule, (second,))
    result = "delta, 3 nodes after" if three else "delta"
    steps.add(_delta("l", k), opened * slope_here, _("put in"), (fifth, sixth, seventh), result)


def weight_rule(steps: Steps) -> int:
    """Add ∂E/∂w_kj = δ_k a_j of a layer l; return the number of its last step."""
    here = dense("l", "l-1", (K, J), (k, j))
    first = steps.add(here.left, here.right, _("forward"))
    found = vjp(here, "w@l")
    weight = access(tensor("w@l", K, J), k, j)
    rule = _("chain rule: w_kj is read by z_k alone")
    way = Times((partial("E", here.left), partial(here.left, weight)))
    second = steps.add(partial("E", weight), way, rule, (first,))
    local = found.right / _delta("l", k)
    rule = _("only the term j of the sum has w_kj in it")
    third = steps.add(partial(here.left, weight), local, rule, (first,))
    rule = _("put in, with δ_k for ∂E/∂z_k")
    return steps.add(partial("E", weight), found.right, rule, (second, third), "dE/dw")


# ---- The last layer --------------------------------------------------------------------------------------


def _squared(steps: Steps) -> tuple[int, Expr]:
    """Add the squared error and ∂E/∂a_k; return the number and the derivative."""
    a = tensor("a@L", K)
    first = steps.add("E", SQUARED.right, _("squared error"), ())
    slope = vjp(SQUARED, "a@L").right.xreplace(ONE)
    rule = _("only the term k has {letter}_k in it; {slope}", letter="a", slope=primed(u**2 / 2))
    return steps.add(partial("E", a[k]), slope, rule, (first,)), slope


def _last_sigmoid(steps: Steps) -> None:
    last = sigmoid("L", k, K)
    a, z = last.left, tensor("z@L", K)[k]
    forward = steps.add(a, last.right, _("sigmoid outputs"))
    first, slope = _squared(steps)
    local = adjoint(last, "z@L").equation.right / access(tensor(cotangent("a@L"), K), k)
    second = steps.add(partial(a, z), local, through(last, "z@L"), (forward,))
    rule = _("chain rule: z_k acts on E through a_k alone")
    third = steps.add(_delta("L", k), Times((partial("E", a), partial(a, z))), rule, (forward,))
    steps.add(_delta("L", k), slope * local, _("put in"), (first, second, third), "delta, sigmoid and MSE")


def _softmax(steps: Steps) -> tuple[Equation, Expr, int]:
    """Add a softmax at the last layer and its Jacobian ∂a_i/∂z_j."""
    forward = softmax_of("a@L", "z@L")
    first = steps.add(forward.left, forward.right, _("softmax outputs"))
    number, found = jacobian_steps(steps, forward, first)
    return forward, found, number


def _softmax_squared(steps: Steps, forward: Equation, found: Expr, number: int) -> None:
    """The squared error takes the whole Jacobian: its δ_jk picks a term, the rest stays a sum."""
    a, left = forward.left.base, node(_delta("L", j))
    first, slope = _squared(steps)
    inner = found.xreplace({i: k})
    chain = chained(steps, left, a[k], tensor("z@L", K)[j], (number, first))
    whole = Sum(slope * inner, (k, K))
    rule = _("both put in: the Jacobian of softmax")
    second = steps.add(left, whole, rule, (chain,), "delta, softmax and MSE")
    opened = sympy.Mul(inner.coeff(a[k]) if inner.is_Mul else inner, 1)
    outer = slope * a[k]
    split = Plus(
        (
            (False, Big("sum", (("k", ""),), Times((node(outer), node(KroneckerDelta(j, k)))))),
            (True, Big("sum", (("k", ""),), Times((node(outer), node(a[j]))))),
        )
    )
    if sympy.expand(slope * inner - outer * (KroneckerDelta(j, k) - a[j])) != 0 or opened == 0:
        raise AssertionError(f"{whole} does not split at k = j")
    third = steps.add(left, split, _("the sum split in two"), (second,))
    single = contract(outer, (k,), (j,), (K,), (sympy.Tuple(k, K),))
    common = Sum(outer, (k, K))
    picked = Plus(((False, node(single)), (True, Times((node(common), node(a[j]))))))
    rule = _("Kronecker delta picks k = j; a_j leaves the other sum")
    fourth = steps.add(left, picked, rule, (third,))
    final = a[j] * (slope.xreplace({k: j}) - common)
    if sympy.expand(final - single + common * a[j]) != 0:
        raise AssertionError(f"{final} is not what a_j is common to")
    steps.add(left, final, _("a_j is common to both"), (fourth,), "delta, softmax and MSE, collapsed")


# ---- Errata ----------------------------------------------------------------------------------------------


def _errata(steps: Steps) -> tuple[Erratum, ...]:
    """Hold the slide's lines and the right ones against difference quotients of small networks."""
    hidden, quotient, slide, depth = _small_network(steps)
    elementwise, jacobian, slope = _small_softmax(steps)
    return (
        Erratum(
            _("a slide has ∂E/∂w on the right side of δ"),
            _("∂E/∂x (here ∂E/∂z), the δ of the layer l + 1"),
            _(
                "In a network 2-2-3 δ_1 by ∂E/∂z is {right}, as the difference quotient ({quotient}); with "
                "∂E/∂w it would be {slide}.",
                right=_five(hidden[0]),
                quotient=_five(quotient[0]),
                slide=_five(slide[0]),
            ),
        ),
        Erratum(
            _("a superscript is l + k"),
            _("l + 1, for every node k"),
            _(
                "For l = 1, k = 2 the slide's layer l + k is {wrong}, of a network of {depth}; with l + 1 "
                "δ_2 is {right}, as the difference quotient ({quotient}).",
                wrong=1 + 2,
                depth=depth,
                right=_five(hidden[1]),
                quotient=_five(quotient[1]),
            ),
        ),
        Erratum(
            _("the slides use δ_k = (a_k − t_k) σ′(z_k) although their network ends in softmax"),
            _("δ_j = Σ_k (a_k − t_k) a_k (δ_kj − a_j), and a_j − t_j with cross-entropy"),
            _(
                "For z = (1, 2, 0.5), t = (0, 1, 0) the squared error gives δ_1 = {right}, as the difference "
                "quotient ({quotient}); the slide's formula gives {slide}.",
                right=_five(jacobian[0]),
                quotient=_five(slope[0]),
                slide=_five(elementwise[0]),
            ),
        ),
    )


def _five(value: float) -> str:
    return f"{value:.5f}".replace("-", "−")


def _difference(error: Any, at: Any, h: float = 1e-5) -> list[float]:
    """Return the central difference quotient of a function of a vector along every axis."""
    steps = np.eye(len(at)) * h
    return [(error(at + step) - error(at - step)) / (2 * h) for step in steps]


def _small_network(steps: Steps) -> tuple[list[float], list[float], list[float], int]:
    """Return δ of the hidden layer by the formula, by differences and by the slide; and how many layers."""
    names = {"w@l": (2, 2), "b@l": (2,), "w@l+1": (3, 2), "b@l+1": (3,)}
    arrays: dict[str, Any] = {"a@l-1": np.array([0.5, -1.0]), "t": np.array([1.0, 0.0, 0.0])}
    for name, shape in names.items():
        arrays[name] = np.linspace(-0.8, 1.0, int(np.prod(shape))).reshape(shape)
    layers = [
        dense("l", "l-1", (K, J), (k, j)), sigmoid("l", k, K),
        dense("l+1", "l", (AFTER, K), (i, k)), sigmoid("l+1", i, AFTER),
    ]  # fmt: skip
    loss = SQUARED.replace({tensor("a@L", K): tensor("a@l+1", K)})
    compute([*layers, loss], arrays)

    def error(z: Any) -> float:
        return float(compute([*layers[1:], loss], {**arrays, "z@l": z})["E"])

    last = Equation(_delta("l+1", k), steps.formulas["delta, sigmoid and MSE"])
    last = last.replace({tensor("a@L", K): tensor("a@l+1", K)})
    here = Equation(_delta("l", k), steps.formulas["delta"])
    compute([last, here], arrays)
    outer = tensor(cotangent("z@l+1"), AFTER)
    by_weights = here.replace({outer[i]: outer[i] * tensor("a@l", K)[k]})  # ∂E/∂w_ik = δ_i a_k for δ_i
    slide = compute([by_weights], dict(arrays))[cotangent("z@l")]
    return list(arrays[cotangent("z@l")]), _difference(error, arrays["z@l"]), list(slide), 2


def _small_softmax(steps: Steps) -> tuple[list[float], list[float], list[float]]:
    """Return δ of a softmax with squared error element by element, by the Jacobian, and by differences."""
    forward = softmax_of("a@L", "z@L")
    arrays: dict[str, Any] = {"z@L": np.array([1.0, 2.0, 0.5]), "t": np.array([0.0, 1.0, 0.0])}
    compute([forward, SQUARED], arrays)

    def error(z: Any) -> float:
        return float(compute([forward, SQUARED], {**arrays, "z@L": z})["E"])

    found = []
    for name, at in (("delta, sigmoid and MSE", k), ("delta, softmax and MSE", j)):
        equation = Equation(_delta("L", at), steps.formulas[name])
        found.append(list(compute([equation], dict(arrays))[cotangent("z@L")]))
    return found[0], found[1], _difference(error, arrays["z@L"])


TOPICS = {"delta": delta}
