"""Softmax: its Jacobian from the engine, what follows from it, and softmax with cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from sympy import Expr, Indexed, KroneckerDelta, Symbol, exp

from derive.differentiate import contract, cotangent, local_terms, vjp
from derive.index import Equation, Sum, access, index, size, tensor
from derive.rewrites import ONE_HOT, one_hot_sums
from derive.simplify import tidy
from derive.topics.model import Steps, Topic, TopicError, partial

i, j, k, K = index("i"), index("j"), index("k"), size("K")
z, t, E = tensor("z", K), tensor("t", K), tensor("E")


def softmax_of(letter: str) -> Equation:
    """Return y_i = e^{z_i} / Σ_k e^{z_k}, the output called ``letter``."""
    return Equation(tensor(letter, K)[i], exp(z[i]) / Sum(exp(z[k]), (k, K)))


def jacobian(forward: Equation) -> Expr:
    """Return ∂y_i/∂z_j of a vector equation as it comes from the engine: a δ_ij where z_i is read alone."""
    terms = local_terms(forward.right, z)
    wanted = sympy.Dummy("w", integer=True)
    total = sympy.Add(*(contract(t.coefficient, t.subscripts, (wanted,), (K,), t.axes) for t in terms))
    total = total.xreplace({wanted: j})
    return total.xreplace({KroneckerDelta(i - j, 0): KroneckerDelta(i, j)})


def in_output(expression: Expr, forward: Equation) -> Expr:
    """Write e^{z} / Σ e^{z} as the output, and factor."""
    (total,) = expression.atoms(Sum)
    scale, y = sympy.Dummy("S", positive=True), forward.left.base
    closed = expression.xreplace({total: scale})
    closed = closed.replace(lambda e: isinstance(e, exp), lambda e: y[e.args[0].indices[0]] * scale)
    return sympy.factor_terms(sympy.expand(closed))


def _jacobian_steps(steps: Steps, forward: Equation) -> tuple[int, Expr]:
    first = steps.add(forward.left, forward.right, "definition")
    raw = jacobian(forward)
    slope = partial(forward.left, z[j])
    rule = "quotient rule; ∂z_i/∂z_j = δ_ij, which is 1 where i = j, else 0"
    second = steps.add(slope, raw, rule, (first,))
    found = in_output(raw, forward)
    name = f"d{forward.name}_i/dz_j"
    return steps.add(slope, found, "written in the output", (first, second), name), found


def softmax(given: Mapping[str, str]) -> Topic:
    """Derive the Jacobian, the sum of the outputs and of the Jacobian's rows, and shift invariance."""
    _none(given, "softmax")
    steps = Steps()
    forward = softmax_of("y")
    y = forward.left.base
    number, found = _jacobian_steps(steps, forward)
    diagonal = found.xreplace({j: i})
    steps.add(partial(y[i], z[i]), diagonal, "the case i = j", (number,), "dy_i/dz_i")
    off = found.xreplace({KroneckerDelta(i, j): sympy.S.Zero})
    steps.add(partial(y[i], z[j]), off, "the case i ≠ j", (number,), "dy_i/dz_j, i ≠ j")
    total = Sum(forward.right, (i, K))
    one = steps.add(Sum(y[i], (i, K)), total, "definition, summed", (1,))
    sums = steps.add(Sum(y[i], (i, K)), _same_sums(tidy(total)), "the outputs sum to 1", (one,), "sum")
    column = Sum(y[i], (i, K))
    rows = tidy(sympy.expand(Sum(sympy.expand(found.xreplace({KroneckerDelta(i, j): 0})), (i, K)))) + y[j]
    closed = steps.add(Sum(found, (i, K)), rows, "Σ_i y_i δ_ij = y_j; y_j leaves the sum", (number,))
    steps.add(
        Sum(found, (i, K)), rows.xreplace({column: sympy.S.One}), "Σ_i y_i = 1", (sums, closed), "row sum"
    )
    _shift(steps, forward)
    return steps.topic("softmax", "softmax")


def _same_sums(expression: Expr) -> Expr:
    """Cancel a sum against the same sum under another index."""
    plain = Sum(exp(z[k]), (k, K))
    return expression.xreplace(
        {s: plain for s in expression.atoms(Sum) if s.xreplace({s.bound[0]: k}) == plain}
    )


def _shift(steps: Steps, forward: Equation) -> None:
    c = Symbol("c", real=True)
    moved = forward.right.replace(lambda e: isinstance(e, Indexed), lambda e: e + c)
    first = steps.add(tensor("y'", K)[i], moved, "every z_k replaced by z_k + c", (1,))
    split = moved.replace(lambda e: isinstance(e, exp), lambda e: sympy.expand(e, power_exp=True))
    result = tidy(split)
    steps.add(
        tensor("y'", K)[i], result, "e^c leaves the sum and cancels: nothing changes", (first,), "shift"
    )


def softmax_cross_entropy(given: Mapping[str, str]) -> Topic:
    """Derive ∂E/∂z_k = p_k − t_k for a one-hot (or any) target that sums to 1."""
    _none(given, "softmax-cross-entropy")
    steps = Steps()
    forward = softmax_of("p")
    p = forward.left.base
    number, found = _jacobian_steps(steps, forward)
    loss = Equation(access(E), Sum(-t[k] * sympy.log(p[k]), (k, K)))
    entropy = steps.add("E", loss.right, "cross-entropy")
    slope = vjp(loss, "p").right.xreplace({access(tensor(cotangent("E"))): sympy.S.One})
    outer = steps.add(partial("E", p[k]), slope, "derivative", (entropy,))
    inner = found.xreplace({i: k})
    left = partial("E", z[j])
    chain = Sum(sympy.Mul(slope, inner, evaluate=False), (k, K))
    chained = steps.add(left, chain, "chain rule: every output depends on z_j", (number, outer))
    opened = sympy.expand(slope * inner)
    body = steps.add(left, Sum(tidy(slope * inner), (k, K)), "p_k cancels", (chained,))
    delta = [term for term in sympy.Add.make_args(opened) if term.has(KroneckerDelta)]
    rest = [term for term in sympy.Add.make_args(opened) if not term.has(KroneckerDelta)]
    single = contract(
        sympy.Mul(*(f for term in delta for f in term.args if not isinstance(f, KroneckerDelta))),
        (k,), (j,), (K,), (sympy.Tuple(k, K),),
    )  # fmt: skip
    split = single + tidy(Sum(sympy.Add(*rest), (k, K)))
    apart = steps.add(left, split, "δ_kj leaves one term; p_j leaves the sum", (body,))
    final = one_hot_sums(single + Sum(sympy.Add(*rest), (k, K)), t)
    steps.add(left, final, ONE_HOT, (apart,), "dE/dz_j")
    return steps.topic("softmax-cross-entropy", "softmax with cross-entropy")


def _none(given: Mapping[str, str], id: str) -> None:
    if given:
        raise TopicError(f"{id} takes no givens")


TOPICS = {"softmax": softmax, "softmax-cross-entropy": softmax_cross_entropy}
