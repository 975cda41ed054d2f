"""Data made ready for a network: standardized inputs, inputs between 0 and 1, one-hot targets."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from sympy import Expr, Integer, KroneckerDelta, Mul, Rational, Symbol, log, sqrt

from chainrule.derive.differentiate import contract
from chainrule.derive.index import Sum, access, index, size, tensor
from chainrule.derive.prose import _
from chainrule.lectures.model import Steps, Topic, TopicError
from chainrule.lectures.regression import split_sums
from chainrule.lectures.support import givens
from chainrule.lectures.support.layout import (
    LONGEST,
    chain,
    exact,
    grid,
    product,
    rounded,
    row,
    shown,
    sign_of,
    total,
)
from chainrule.present.tree import Applied, Leaf, Node, Over, Plus

i, k, n, K = index("i"), index("k"), size("n"), size("K")
x, z, u, T, p = tensor("x", n), tensor("z", n), tensor("u", n), tensor("T", K), tensor("p", K)
MEAN, SPREAD = access(tensor("mu")), access(tensor("s"))
LOW, HIGH = access(tensor("xmin")), access(tensor("xmax"))


def standardize(given: Mapping[str, str]) -> Topic:
    """Derive that z-scores have mean 0 and variance 1, and that min–max scaling fills [0, 1]."""
    givens.allow(given, ("x",), "standardize")
    values = givens.numbers(given, "x", "2, 4, 4, 4, 5, 5, 7, 9")
    if len(values) < 2:
        raise TopicError("one value cannot be scaled: give at least two")
    if len(set(values)) == 1:
        raise TopicError(f"all x are {values[0]}: they have no spread to divide by")
    steps = Steps()
    steps.heading(_("The z-score"))
    _z_score(steps)
    steps.heading(_("Between 0 and 1"))
    _min_max(steps)
    steps.heading(_("With numbers"))
    _scaled(steps, values)
    note = _(
        "μ and s, x_min and x_max are those of the training data; what comes later is scaled by them too."
    )
    return steps.topic("standardize", _("inputs scaled"), note)


def _z_score(steps: Steps) -> None:
    mean = Sum(x[i], (i, n)) / n
    spread = Sum((x[i] - MEAN) ** 2, (i, n)) / n
    first = steps.add(MEAN, mean, _("the mean"), (), "mu")
    second = steps.add(
        SPREAD**2, spread, _("the variance; s, its root, is the standard deviation"), (first,), "s squared"
    )
    score = (x[i] - MEAN) / SPREAD
    third = steps.add(
        z[i], score, _("the z-score: how many standard deviations above the mean"), (first, second), "z"
    )
    average = Sum(z[i], (i, n)) / n
    written = product(1 / SPREAD, Sum(x[i] - MEAN, (i, n)) / n)
    fourth = steps.add(
        average,
        written,
        _("its mean: s does not depend on i and leaves the sum"),
        (third,),
    )
    opened = split_sums(Sum(x[i] - MEAN, (i, n)))
    fifth = steps.add(Sum(x[i] - MEAN, (i, n)), opened, _("the sum split; Σ μ = n μ"))
    zero = sympy.expand(opened.xreplace({Sum(x[i], (i, n)): n * MEAN}))
    sixth = steps.add(
        Sum(x[i] - MEAN, (i, n)), zero, _("Σ x_i = n μ by the definition of the mean"), (first, fifth)
    )
    steps.add(average, zero, _("so the mean of the z-scores is 0"), (fourth, sixth), "mean of z")
    square = Sum(z[i] ** 2, (i, n)) / n
    rule = _("their variance: the mean is 0, so only z_i² is left")
    seventh = steps.add(square, Sum(sympy.expand_power_base(score**2), (i, n)) / n, rule, (third,))
    outside = product(1 / SPREAD**2, spread)
    eighth = steps.add(square, outside, _("s leaves the sum"), (seventh,))
    rule = _("the rest is s²: the variance is 1")
    steps.add(
        square, spread.xreplace({spread: SPREAD**2}) / SPREAD**2, rule, (second, eighth), "variance of z"
    )


def _min_max(steps: Steps) -> None:
    scaled = (x[i] - LOW) / (HIGH - LOW)
    first = steps.add(u[i], scaled, _("min–max: the least value to 0, the greatest to 1"), (), "u")
    for end, rule in ((LOW, _("the least value")), (HIGH, _("the greatest value"))):
        value = sympy.cancel(scaled.xreplace({x[i]: end}))
        steps.add(Applied("u", "u", (shown(end),)), value, rule, (first,))
    rule = _("the others lie between: u grows with x, for x_max − x_min > 0")
    steps.add(Leaf("0", "0"), chain(u[i], Integer(1), relation="≤"), rule, (first,), relation="≤")


def _scaled(steps: Steps, values: list[Rational]) -> None:
    count = len(values)
    first = steps.add("x", row(values), _("the values"))
    mean = sympy.Add(*values) / count
    whole = count <= LONGEST
    added = Over(total([exact(v) for v in values]), exact(Integer(count)))
    steps.results["mean"] = str(mean)
    right = chain(added, exact(mean), relation=sign_of(mean)) if whole else exact(mean)
    second = steps.add(MEAN, right, _("the mean"), (first,))
    variance = sympy.Add(*((v - mean) ** 2 for v in values)) / count
    steps.results["variance"] = str(variance)
    squares = Over(total([exact((v - mean) ** 2) for v in values]), exact(Integer(count)))
    right = chain(squares, exact(variance), relation=sign_of(variance)) if whole else exact(variance)
    third = steps.add(SPREAD**2, right, _("the variance"), (first, second))
    root = sqrt(variance)
    steps.results["standard deviation"] = str(root)
    is_exact = isinstance(root, Rational)
    written = exact(root) if is_exact else rounded(float(root))
    fourth = steps.add(SPREAD, written, _("its root"), (third,), relation="=" if is_exact else "≈")
    scores = [(v - mean) / root for v in values]
    plain = all(isinstance(score, Rational) for score in scores)
    shown_ = row(scores) if plain else row([sympy.Rational(f"{float(s):.5g}") for s in scores])
    steps.add(
        "z", shown_, _("the z-scores"), (first, second, fourth), "z values", relation="=" if plain else "≈"
    )
    steps.results["z values"] = ", ".join(f"{float(score):.12g}" for score in scores)
    low, high = min(values), max(values)
    scaled = [(v - low) / (high - low) for v in values]
    steps.add("u", row(scaled), _("between 0 and 1"), (first,), "u values")
    steps.results["u values"] = ", ".join(str(v) for v in scaled)


def one_hot(given: Mapping[str, str]) -> Topic:
    """Derive Σ_k T_k = 1 and E = −log p_t for a one-hot target, from the Kronecker delta."""
    givens.allow(given, ("t", "classes", "p"), "one-hot")
    classes, labels, probabilities = _labels(given)
    steps = Steps(origin=0)
    t = Symbol("t", integer=True)
    hot = KroneckerDelta(k, t)
    rule = _("definition: 1 at the class t, 0 at every other of the K classes")
    first = steps.add(T[k], hot, rule, (), "T")
    ones = _picked(sympy.S.One, t)
    second = steps.add(Sum(T[k], (k, K)), Sum(hot, (k, K)), _("the sum over the classes"), (first,))
    steps.add(Sum(T[k], (k, K)), ones, _("δ_kt leaves only the term k = t"), (second,), "sum of T")
    steps.heading(_("Cross-entropy with a one-hot target"))
    loss = -Sum(T[k] * log(p[k]), (k, K))
    third = steps.add("E", loss, _("cross-entropy of the probabilities p_k"), (), "E, any target")
    put = -Sum(Mul(hot, log(p[k]), evaluate=False), (k, K))
    fourth = steps.add("E", put, _("the one-hot target put in"), (first, third))
    steps.add("E", -_picked(log(p[k]), t), _("δ_kt leaves only the term k = t"), (fourth,), "E")
    steps.heading(_("With numbers"))
    _encoded(steps, classes, labels, probabilities)
    note = _("Classes are counted from 0 to K − 1, as the labels of data sets are.")
    return steps.topic("one-hot", _("one-hot targets"), note)


def _picked(body: Expr, t: Symbol) -> Expr:
    """Return Σ_k δ_kt body, the delta contracted by the engine."""
    return contract(body, (k,), (t,), (K,), (sympy.Tuple(k, K),))


def _labels(given: Mapping[str, str]) -> tuple[int, list[int], list[Rational]]:
    classes = givens.whole(given, "classes", "3", 2, 1000)
    if "classes" not in given and "p" in given:
        classes = len(givens.numbers(given, "p", ""))
    labels = givens.numbers(given, "t", "1")
    for label in labels:
        if not label.is_Integer or not 0 <= label < classes:
            raise TopicError(f"t is a class from 0 to {classes - 1}, a whole number (given: {label})")
    usual = "0.2, 0.5, 0.3" if classes == 3 else ", ".join([f"1/{classes}"] * classes)
    probabilities = givens.numbers(given, "p", usual)
    if len(probabilities) != classes:
        raise TopicError(f"p has {len(probabilities)} values; there are {classes} classes")
    if sum(probabilities) != 1 or min(probabilities) < 0:
        raise TopicError(f"p holds probabilities: none below 0, and together 1 (here {sum(probabilities)})")
    return classes, [int(label) for label in labels], probabilities


def _encoded(steps: Steps, classes: int, labels: list[int], probabilities: list[Rational]) -> None:
    size_ = steps.add("K", Integer(classes), _("the number of classes"))
    first = steps.add("p", row(probabilities), _("probabilities from a network"))
    rows = []
    for label in labels:
        hot = [Integer(int(each == label)) for each in range(classes)]
        rows.append(hot)
        second = steps.add("t", Integer(label), _("the class of an example"), (size_,))
        third = steps.add("T", row(hot), _("1 at place t, counted from 0"), (second,))
        chance = probabilities[label]
        value: Node = rounded(-float(log(chance))) if chance else Leaf(r"\infty", "∞")
        written = Plus(((True, Applied(r"\log", "log", (exact(chance),), True)),))
        sign = "≈" if chance not in (0, 1) else "="
        steps.add("E", chain(written, value, relation=sign), _("−log p_t"), (first, third))
        steps.results[f"E, t = {label}"] = f"{-float(log(chance)):.12g}" if chance else "inf"
    steps.results["T values"] = "; ".join(", ".join(map(str, hot)) for hot in rows)
    if len(rows) > 1 and classes <= LONGEST and len(rows) <= LONGEST:
        steps.add("T", grid(rows), _("a batch: one row for each example"))


TOPICS = {"standardize": standardize, "one-hot": one_hot}
