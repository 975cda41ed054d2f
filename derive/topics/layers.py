"""Backpropagation through layers: δ at the last layer and before it, the weight rule, the bias, a chain."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from sympy import Expr, Integer, KroneckerDelta, Symbol, exp

from derive.deriving import adjoint
from derive.differentiate import cotangent, vjp
from derive.index import Equation, Sum, access, accesses, apart, canonical_sums, index, size, tensor
from derive.network import N, n
from derive.present.tree import Plus, Times
from derive.rewrites import one_hot_sums
from derive.simplify import tidy
from derive.topics.model import Steps, Topic, TopicError, node, partial
from derive.topics.softmaxes import in_output, jacobian, softmax_of

i, j, k = index("i"), index("j"), index("k")
AFTER, J, K = size("I"), size("J"), size("K")
ONE = {access(tensor(cotangent("E"))): sympy.S.One}


def _dense(layer: str, before: str, sizes: tuple[Expr, Expr], free: tuple[Symbol, Symbol]) -> Equation:
    """Return z_k = Σ_j w_kj a_j + b_k between two layers."""
    (rows, columns), (row, column) = sizes, free
    weights = tensor(f"w@{layer}", rows, columns)
    a, b, z = tensor(f"a@{before}", columns), tensor(f"b@{layer}", rows), tensor(f"z@{layer}", rows)
    return Equation(z[row], Sum(weights[row, column] * a[column], (column, columns)) + b[row])


def _sigmoid(layer: str, free: Symbol, extent: Expr) -> Equation:
    z, a = tensor(f"z@{layer}", extent), tensor(f"a@{layer}", extent)
    return Equation(a[free], 1 / (1 + exp(-z[free])))


def delta(given: Mapping[str, str]) -> Topic:
    """Derive δ of a hidden layer (for three nodes after it, then any number), of the last, and ∂E/∂w."""
    _none(given, "delta")
    steps = Steps()
    for extent in (Integer(3), AFTER):
        _hidden(steps, extent)
    _weights(steps)
    _last_sigmoid(steps)
    _last_softmax(steps)
    return steps.topic(
        "delta",
        "the delta rule",
        "Erratum: a slide writes ∂E/∂w on the right side of δ where ∂E/∂x (here ∂E/∂z) is meant.",
        "Erratum: a superscript l + k on a slide is l + 1.",
        "Erratum: the slides use δ_k = (a_k − t_k) σ′(z_k) although their network ends in softmax. With "
        "softmax the outputs depend on each other: the squared error takes the Jacobian, "
        "cross-entropy gives p − t.",
    )


def _hidden(steps: Steps, extent: Expr) -> None:
    after = _dense("l+1", "l", (extent, K), (i, k))
    here = _sigmoid("l", k, K)
    first = steps.add(after.left, after.right, f"forward; layer l + 1 has {extent} nodes")
    second = steps.add(here.left, here.right, "forward: sigmoid")
    outer = vjp(after, "a@l")
    slope = outer.right.xreplace({outer.left.indices[0]: k})
    opened = _written_out(slope)
    rule = "chain rule over the nodes of layer l + 1; δ is ∂E/∂z"
    third = steps.add(partial("E", here.left), opened, rule, (first,))
    found = adjoint(here, "z@l").equation
    seed = access(tensor(cotangent("a@l"), K), k)
    local = found.right / seed
    fourth = steps.add(
        partial(here.left, tensor("z@l", K)[k]), local, "derivative through the output", (second,)
    )
    result = f"delta, {extent} nodes after" if extent == 3 else "delta"
    steps.add(access(tensor("dz@l", K), k), opened * local, "chain rule", (third, fourth), result)


def _written_out(expression: Expr) -> Expr:
    """Write a sum over a known, small number of values term by term, counting from 1."""
    if not isinstance(expression, Sum) or not expression.axes[0][1].is_Integer:
        return expression
    bound, extent = expression.axes[0]
    return sympy.Add(*(expression.body.xreplace({bound: Integer(v)}) for v in range(1, int(extent) + 1)))


def _weights(steps: Steps) -> None:
    here = _dense("l", "l-1", (K, J), (k, j))
    first = steps.add(here.left, here.right, "forward")
    weights = vjp(here, "w@l")
    steps.add(
        partial("E", weights.left.xreplace(_original(weights))),
        weights.right,
        "chain rule",
        (first,),
        "dE/dw",
    )


def _original(gradient: Equation) -> dict[Expr, Expr]:
    base = gradient.left.base
    return {gradient.left: tensor(str(base.label)[1:], *base.shape)[gradient.left.indices]}


def _last_sigmoid(steps: Steps) -> None:
    last = _sigmoid("L", k, K)
    a, t = last.left.base, tensor("t", K)
    loss = Equation(access(tensor("E")), Sum((a[k] - t[k]) ** 2 / 2, (k, K)))
    first = steps.add("E", loss.right, "squared error at the last layer L")
    slope = vjp(loss, "a@L").right.xreplace(ONE)
    second = steps.add(partial("E", a[k]), slope, "derivative", (first,))
    found = adjoint(last, "z@L").equation.right.xreplace({access(tensor("da@L", K), k): slope})
    steps.add(
        access(tensor("dz@L", K), k),
        found,
        "sigmoid outputs: each depends on its own z",
        (second,),
        "delta, sigmoid and MSE",
    )


def _last_softmax(steps: Steps) -> None:
    a, t = tensor("a@L", K), tensor("t", K)
    forward = softmax_of("a@L")
    found = in_output(jacobian(forward), forward)
    z = tensor("z", K)
    slope = {z[index_]: tensor("z@L", K)[index_] for index_ in (i, j, k)}
    letters = forward.right.replace(lambda e: e in slope, lambda e: slope[e])
    first = steps.add(forward.left, letters, "softmax at the last layer instead")
    second = steps.add(partial(a[i], tensor("z@L", K)[j]), found, "its Jacobian", (first,))
    left = access(tensor("dz@L", K), j)
    inner = found.xreplace({i: k})
    loss = Equation(access(tensor("E")), Sum((a[k] - t[k]) ** 2 / 2, (k, K)))
    outer = vjp(loss, "a@L").right.xreplace(ONE)
    rule = "squared error: every output depends on z_j"
    third = steps.add(left, Sum(outer * inner, (k, K)), rule, (second,), "delta, softmax and MSE")
    plain = inner.xreplace({KroneckerDelta(j, k): sympy.S.Zero, KroneckerDelta(k, j): sympy.S.Zero})
    single = outer.xreplace({k: j}) * a[j]
    common = tidy(Sum(tidy(outer * -plain / a[j]), (k, K)))
    steps.add(left, a[j] * (single / a[j] - common), "δ_kj leaves one term", (third,))
    entropy = Equation(access(tensor("E")), Sum(-t[k] * sympy.log(a[k]), (k, K)))
    fourth = steps.add("E", entropy.right, "cross-entropy instead", (first,))
    outer = vjp(entropy, "a@L").right.xreplace(ONE)
    fifth = steps.add(
        left, Sum(sympy.Mul(outer, inner, evaluate=False), (k, K)), "chain rule", (second, fourth)
    )
    rest = sympy.expand(outer * plain)
    final = one_hot_sums(tidy(outer.xreplace({k: j}) * a[j]) + Sum(rest, (k, K)), t)
    steps.add(
        left,
        final,
        "p_k cancels, δ_kj leaves one term, Σ t = 1",
        (fifth,),
        "delta, softmax and cross-entropy",
    )


def bias(given: Mapping[str, str]) -> Topic:
    """Derive ∂E/∂b_k = δ_k, as the weight rule with input 1, and its sum over a batch."""
    _none(given, "bias")
    steps = Steps()
    here = _dense("l", "l-1", (K, J), (k, j))
    first = steps.add(here.left, here.right, "forward")
    weights, biases = vjp(here, "w@l"), vjp(here, "b@l")
    left = partial("E", weights.left.xreplace(_original(weights)))
    second = steps.add(left, weights.right, "chain rule", (first,), "dE/dw")
    one = tensor("a@l-1", J)[j]
    own = partial("E", biases.left.xreplace(_original(biases)))
    third = steps.add(
        own, weights.right.xreplace({one: sympy.S.One}), "b_k is a weight whose input is 1", (second,)
    )
    if weights.right.xreplace({one: sympy.S.One}) != biases.right:
        raise AssertionError("the two derivations of the bias rule differ")
    steps.add(own, biases.right, "chain rule: the same", (first, third), "dE/db")
    batch = Equation(
        tensor("z@l", N, K)[n, k],
        Sum(tensor("w@l", K, J)[k, j] * tensor("a@l-1", N, J)[n, j], (j, J)) + tensor("b@l", K)[k],
    )
    fifth = steps.add(batch.left, batch.right, "forward, a batch of N examples")
    summed = vjp(batch, "b@l")
    steps.add(own, summed.right, "b_k is read by every example", (fifth,), "dE/db, batch")
    return steps.topic("bias", "the bias rule")


def backprop_chain(given: Mapping[str, str]) -> Topic:
    """Derive every δ and update of x → h1 → h2 → h3 → y with one weight each and sigmoid throughout."""
    _none(given, "backprop-chain")
    steps = Steps()
    names = ["x", "h1", "h2", "h3", "y"]
    forward: list[Equation] = []
    numbers: list[int] = []
    for layer in range(1, 5):
        z, h = access(tensor(f"z{layer}")), access(tensor(names[layer]))
        line = Equation(z, access(tensor(f"w{layer}")) * access(tensor(names[layer - 1])))
        curve = Equation(h, 1 / (1 + exp(-z)))
        forward += [line, curve]
        numbers.append(steps.add(z, line.right, "forward", tuple(numbers[-1:])))
        numbers.append(steps.add(h, curve.right, "forward: sigmoid", tuple(numbers[-1:])))
    t, y = access(tensor("t")), access(tensor("y"))
    loss = Equation(access(tensor("E")), (y - t) ** 2 / 2)
    above = steps.add("E", loss.right, "squared error", tuple(numbers[-1:]))
    incoming = vjp(loss, "y").right.xreplace(ONE)
    found = []
    for layer in range(4, 0, -1):
        line, curve = forward[2 * layer - 2], forward[2 * layer - 1]
        seed = access(tensor(cotangent(names[layer])))
        right = adjoint(curve, f"z{layer}").equation.right.xreplace({seed: incoming})
        own = access(tensor(f"dz{layer}"))
        above = steps.add(own, right, "chain rule, derivative through the output", (above,), f"delta{layer}")
        gradient = vjp(line, f"w{layer}").right
        number = steps.add(
            partial("E", access(tensor(f"w{layer}"))), gradient, "chain rule", (above,), f"dE/dw{layer}"
        )
        found.append((layer, gradient, number))
        incoming = vjp(line, names[layer - 1]).right
    rate = Symbol("lambda", positive=True)
    for layer, gradient, number in found:
        weight = access(tensor(f"w{layer}"))
        step = Plus(((False, node(weight)), (True, Times((node(rate), node(gradient))))))
        steps.add(weight, step, "gradient descent", (number,), relation="←")
    return steps.topic("backprop-chain", "a chain of four sigmoid neurons")


def forward_3_2_3(given: Mapping[str, str]) -> Topic:
    """Derive the forward pass of 3 inputs, 2 sigmoid and 3 softmax nodes, and E as one formula of x."""
    _none(given, "forward-3-2-3")
    steps = Steps()
    a0, t = tensor("a0", 3), tensor("t", 3)
    z1, a1, z2, a2 = tensor("z1", 2), tensor("a1", 2), tensor("z2", 3), tensor("a2", 3)
    W1, b1, W2, b2 = tensor("W1", 2, 3), tensor("b1", 2), tensor("W2", 3, 2), tensor("b2", 3)
    equations = [
        Equation(z1[k], Sum(W1[k, j] * a0[j], (j, Integer(3))) + b1[k]),
        Equation(a1[k], 1 / (1 + exp(-z1[k]))),
        Equation(z2[k], Sum(W2[k, j] * a1[j], (j, Integer(2))) + b2[k]),
        Equation(a2[k], exp(z2[k]) / Sum(exp(z2[j]), (j, Integer(3)))),
        Equation(access(tensor("E")), Sum((a2[k] - t[k]) ** 2 / 2, (k, Integer(3)))),
    ]
    rules = (
        "forward, 2 nodes of 3 inputs",
        "sigmoid",
        "forward, 3 nodes of 2 inputs",
        "softmax",
        "squared error",
    )
    previous: tuple[int, ...] = ()
    for equation, rule in zip(equations, rules, strict=True):
        previous = (steps.add(equation.left, equation.right, rule, previous, equation.name),)
    for row in (1, 2):
        bound = _written_out(Sum(W1[row, j] * a0[j], (j, Integer(3)))) + b1[row]
        steps.add(z1[row], bound, "written out", (1,))
    nested = equations[-1].right
    for equation in reversed(equations[:-1]):
        nested = apart(nested)
        reads = {a: equation.at(a.indices) for a in accesses(nested, equation.left.base)}
        nested = canonical_sums(nested.xreplace(reads), ("k", "j", "i", "m", "l", "p", "q"), ())
    steps.add("E", nested, "all of them put into one another", previous, "E, nested")
    note = "Erratum: entries of W¹ and W² on the slide repeat an index (w_21 three times, w_12 for w_22)."
    return steps.topic("forward-3-2-3", "3 inputs, 2 hidden nodes, 3 outputs", note)


def _none(given: Mapping[str, str], id: str) -> None:
    if given:
        raise TopicError(f"{id} takes no givens")


TOPICS = {"delta": delta, "bias": bias, "backprop-chain": backprop_chain, "forward-3-2-3": forward_3_2_3}
