"""Softmax: its Jacobian from the engine, what follows from it, and softmax with cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy
from sympy import Expr, Indexed, KroneckerDelta, Symbol, exp

from chainrule.derive.differentiate import contract, local_terms, vjp
from chainrule.derive.index import Equation, Sum, access, cotangent, index, name_of, size, tensor
from chainrule.derive.prose import _
from chainrule.derive.rewrites import ONE_HOT, one_hot_sums
from chainrule.derive.simplify import tidy
from chainrule.lectures.model import Steps, Topic, TopicError, node, partial
from chainrule.lectures.support.numbers import decimal, put, shown_numbers, value_of, work, worked
from chainrule.lectures.support.spoken import primed, quotient_rule, u
from chainrule.lectures.support.tensors import needed, same_shape, taken
from chainrule.present.tree import Big, Node, Over, Plus, Times

i, j, k, K = index("i"), index("j"), index("k"), size("K")
z, t, E = tensor("z", K), tensor("t", K), tensor("E")
ONE = {access(tensor(cotangent("E"))): sympy.S.One}


def softmax_of(letter: str, logits: str = "z") -> Equation:
    """Return y_i = e^{z_i} / Σ_k e^{z_k}, the output called ``letter``, its input ``logits``."""
    z = tensor(logits, K)
    return Equation(tensor(letter, K)[i], exp(z[i]) / Sum(exp(z[k]), (k, K)))


def jacobian(forward: Equation) -> Expr:
    """Return ∂y_i/∂z_j of a vector equation as it comes from the engine: a δ_ij where z_i is read alone."""
    (z,) = forward.reads().values()
    terms = local_terms(forward.right, z)
    wanted = sympy.Dummy("w", integer=True)
    total = sympy.Add(*(contract(t.coefficient, t.subscripts, (wanted,), (K,), t.axes) for t in terms))
    total = total.xreplace({wanted: j})
    return total.xreplace({KroneckerDelta(i - j, 0): KroneckerDelta(i, j)})


def _gradient(forward: Equation, z: sympy.IndexedBase) -> Expr:
    """Return ∂v/∂z_j of a number v as it comes from the engine."""
    found = vjp(forward, name_of(z))
    return found.right.xreplace({access(tensor(cotangent("v"))): sympy.S.One, found.left.indices[0]: j})


def in_output(expression: Expr, forward: Equation) -> Expr:
    """Write e^{z} / Σ e^{z} as the output, and factor."""
    (total,) = expression.atoms(Sum)
    scale, y = sympy.Dummy("S", positive=True), forward.left.base
    closed = expression.xreplace({total: scale})
    closed = closed.replace(lambda e: isinstance(e, exp), lambda e: y[e.args[0].indices[0]] * scale)
    return sympy.factor_terms(sympy.expand(closed))


def jacobian_steps(steps: Steps, forward: Equation, first: int) -> tuple[int, Expr]:
    """Add the Jacobian of a softmax from the quotient rule on; return its number and ∂y_i/∂z_j."""
    (z,) = forward.reads().values()
    (total,) = forward.right.atoms(Sum)
    raw = jacobian(forward)
    above, below = exp(z[i]), total
    rule = _("z_i moves with z_j only where i = j: Kronecker delta")
    one = steps.add(partial(above, z[j]), jacobian(Equation(tensor("u", K)[i], above)), rule)
    rule = _("Kronecker delta picks k = j")
    two = steps.add(partial(below, z[j]), _gradient(Equation(access(tensor("v")), below), z), rule)
    rule = _("quotient rule: {rule}", rule=quotient_rule(apart=True))
    third = steps.add(partial(forward.left, z[j]), raw, rule, (first, one, two))
    found = in_output(raw, forward)
    rule = _("{letter} put in for e^z over the sum", letter=name_of(forward.left.base).partition("@")[0])
    name = f"d{forward.name.partition('@')[0]}_i/dz_j"
    return steps.add(partial(forward.left, z[j]), found, rule, (first, third), name), found


# ---- Softmax ---------------------------------------------------------------------------------------------


def softmax(given: Mapping[str, str]) -> Topic:
    """Derive the Jacobian, the sum of the outputs and of the Jacobian's rows, and shift invariance."""
    numbers = taken("softmax", given, z=1)
    steps = Steps()
    forward = softmax_of("y")
    y = forward.left.base
    first = steps.add(forward.left, forward.right, _("definition"), (), "y")
    steps.heading(_("The Jacobian"))
    number, found = jacobian_steps(steps, forward, first)
    diagonal = found.xreplace({j: i})
    steps.add(partial(y[i], z[i]), diagonal, _("the case i = j"), (number,), "dy_i/dz_i")
    off = found.xreplace({KroneckerDelta(i, j): sympy.S.Zero})
    steps.add(partial(y[i], z[j]), off, _("the case i ≠ j"), (number,), "dy_i/dz_j, i ≠ j")
    _sums(steps, forward, first, number, found)
    _shift(steps, forward, first)
    if numbers:
        _softmax_numbers(steps, forward, found, (first, number), numbers["z"])
    return steps.topic("softmax", _("softmax"))


def _sums(steps: Steps, forward: Equation, first: int, number: int, found: Expr) -> None:
    """The outputs sum to 1, and so every column of the Jacobian sums to 0."""
    steps.heading(_("Sums"))
    y = forward.left.base
    whole = Sum(y[i], (i, K))
    one = steps.add(whole, Sum(forward.right, (i, K)), _("definition, summed"), (first,))
    (total,) = forward.right.atoms(Sum)
    common = Sum(total.body.xreplace({k: i}), (i, K)) / total
    two = steps.add(whole, common, _("the denominator is the same in every term: it leaves the sum"), (one,))
    sums = steps.add(whole, _same_sums(common), _("both sums are the same"), (two,), "sum")
    column = Sum(found, (i, K))
    opened = sympy.expand(found)
    split = Sum(opened.coeff(KroneckerDelta(i, j)) * KroneckerDelta(i, j), (i, K)) + Sum(
        opened.xreplace({KroneckerDelta(i, j): sympy.S.Zero}), (i, K)
    )
    three = steps.add(column, split, _("the sum split in two"), (number,))
    rows = y[j] + tidy(Sum(opened.xreplace({KroneckerDelta(i, j): sympy.S.Zero}), (i, K)))
    four = steps.add(column, rows, _("Kronecker delta picks i = j; y_j leaves the other sum"), (three,))
    closed = rows.xreplace({whole: sympy.S.One})
    steps.add(column, closed, "Σ y = 1", (sums, four), "row sum")


def _same_sums(expression: Expr) -> Expr:
    """Cancel a sum against the same sum under another index."""
    plain = Sum(exp(z[k]), (k, K))
    return expression.xreplace(
        {s: plain for s in expression.atoms(Sum) if s.xreplace({s.bound[0]: k}) == plain}
    )


def _shift(steps: Steps, forward: Equation, first: int) -> None:
    """A constant added to every logit changes nothing."""
    steps.heading(_("Shift invariance"))
    c = Symbol("c", real=True)
    moved = forward.right.replace(lambda e: isinstance(e, Indexed), lambda e: e + c)
    left = tensor("y'", K)[i]
    one = steps.add(left, moved, _("every z_k replaced by z_k + c"), (first,))
    split = moved.replace(lambda e: isinstance(e, exp), lambda e: sympy.expand(e, power_exp=True))
    two = steps.add(left, split, "e^(a + b) = e^a e^b", (one,))
    (total,) = forward.right.atoms(Sum)
    outside = Over(Times((node(exp(c)), node(exp(z[i])))), Times((node(exp(c)), node(total))))
    three = steps.add(left, outside, _("e^c leaves the sum"), (two,))
    steps.add(left, tidy(split), _("e^c cancels: nothing has changed"), (three,), "shift")


def _softmax_numbers(
    steps: Steps, forward: Equation, found: Expr, because: tuple[int, int], logits: Any
) -> None:
    steps.heading(_("In numbers"))
    first, number = because
    arrays: dict[str, Any] = {"z": logits}
    put(steps, "z", logits, _("the logits given"))
    work(steps, forward, arrays, (first,), "y, worked")
    slope = Equation(tensor("J", K, K)[i, j], found)
    rule = _("the Jacobian: row i, column j")
    own = (number, *shown_numbers(steps, slope))
    worked(steps, partial("y", "z"), value_of(slope, arrays), rule, own, "dy/dz, worked")


# ---- Softmax with cross-entropy --------------------------------------------------------------------------


def softmax_cross_entropy(given: Mapping[str, str]) -> Topic:
    """Derive ∂E/∂z_k = p_k − t_k for a one-hot (or any) target that sums to 1."""
    numbers = taken("softmax-cross-entropy", given, z=1, t=1)
    if numbers:
        needed("softmax-cross-entropy", numbers, ("z", "t"))
        same_shape(**numbers)
        if abs(float(numbers["t"].sum()) - 1) > 1e-9:
            total = decimal(float(numbers["t"].sum()))
            raise TopicError(
                f"softmax-cross-entropy: t must sum to 1, which the last step uses (sum: {total})"
            )
    steps = Steps()
    forward = softmax_of("p")
    first = steps.add(forward.left, forward.right, _("softmax"), (), "p")
    number, found = jacobian_steps(steps, forward, first)
    loss, entropy, last = entropy_steps(steps, forward, found, number, "dE/dz_j", partial("E", z[j]))
    if numbers:
        _entropy_numbers(steps, (forward, loss), (first, entropy, last), numbers)
    return steps.topic("softmax-cross-entropy", _("softmax with cross-entropy"))


def chained(steps: Steps, left: Node, outer: Expr, inner: Expr, because: tuple[int, ...]) -> int:
    """Add ∂E/∂z_j = Σ_k ∂E/∂p_k ∂p_k/∂z_j: every output depends on every z."""
    each = Times((partial("E", outer), partial(outer, inner)))
    summed = Big("sum", (("k", ""),), each)
    return steps.add(left, summed, _("chain rule: every output depends on z_j"), because)


def entropy_steps(
    steps: Steps, forward: Equation, found: Expr, number: int, result: str, left: Node
) -> tuple[Equation, int, int]:
    """Add the steps from the cross-entropy of a softmax to p − t; return the loss, its number and the last.

    ``found`` is the Jacobian ∂p_i/∂z_j, ``number`` its step.
    """
    p, logits = forward.left.base, next(iter(forward.reads().values()))
    letter = name_of(p).partition("@")[0]
    loss = Equation(access(E), Sum(-t[k] * sympy.log(p[k]), (k, K)))
    entropy = steps.add("E", loss.right, _("cross-entropy"), (), "E")
    slope = vjp(loss, name_of(p)).right.xreplace(ONE)
    rule = _("only the term k has {letter}_k in it; {slope}", letter=letter, slope=primed(sympy.log(u)))
    outer = steps.add(partial("E", p[k]), slope, rule, (entropy,))
    inner = found.xreplace({i: k})
    chain = chained(steps, left, p[k], logits[j], (number, outer))
    put_in = Big("sum", (("k", ""),), Times((node(slope), node(inner))))
    inserted = steps.add(left, put_in, _("both put in: the Jacobian of softmax"), (chain,))
    cancelled = Sum(tidy(slope * inner), (k, K))
    body = -tidy(slope * inner)
    negative = Plus(((True, Big("sum", (("k", ""),), Times((node(t[k]), node(inner / p[k]))))),))
    if sympy.expand(body - t[k] * inner / p[k]) != 0:
        raise AssertionError(f"{cancelled} is not what p_k cancelled leaves")
    short = steps.add(left, negative, _("{letter}_k cancels", letter=letter), (inserted,))
    opened = sympy.expand(slope * inner)
    with_delta = sympy.Add(*(term for term in sympy.Add.make_args(opened) if term.has(KroneckerDelta)))
    rest = opened - with_delta
    split = Plus(((True, node(Sum(-with_delta, (k, K)))), (False, Big("sum", (("k", ""),), node(rest)))))
    apart_ = steps.add(left, split, _("the sum split in two"), (short,))
    axes = (sympy.Tuple(k, K),)
    single = contract(with_delta.xreplace({KroneckerDelta(j, k): 1}), (k,), (j,), (K,), axes)
    pulled = Plus(((True, node(-single)), (False, node(tidy(Sum(rest, (k, K)))))))
    picked = steps.add(
        left,
        pulled,
        _("Kronecker delta picks k = j; {letter}_j leaves the other sum", letter=letter),
        (apart_,),
    )
    final = one_hot_sums(single + Sum(rest, (k, K)), t)
    return loss, entropy, steps.add(left, final, ONE_HOT, (picked,), result)


def _entropy_numbers(
    steps: Steps,
    equations: tuple[Equation, Equation],
    because: tuple[int, int, int],
    numbers: Mapping[str, Any],
) -> None:
    steps.heading(_("In numbers"))
    forward, loss = equations
    first, entropy, last = because
    arrays: dict[str, Any] = dict(numbers)
    for name in ("z", "t"):
        put(steps, name, numbers[name], _("given"))
    work(steps, forward, arrays, (first,), "p, worked")
    work(steps, loss, arrays, (entropy,), "E, worked")
    slope = Equation(tensor(cotangent("z"), K)[j], steps.formulas["dE/dz_j"])
    own = (last, *shown_numbers(steps, slope))
    worked(steps, partial("E", "z"), value_of(slope, arrays), _("with the numbers"), own, "dE/dz, worked")


TOPICS = {"softmax": softmax, "softmax-cross-entropy": softmax_cross_entropy}
