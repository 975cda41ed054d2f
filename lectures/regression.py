"""A line through points: the least squares, from the cost over the normal equations to both closed forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sympy
from sympy import Add, Expr, Integer, Mul, Rational, Symbol

from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, Sum, access, cotangent, tensor
from chainrule.derive.prose import _
from chainrule.lectures.model import Steps, Topic, partial
from chainrule.lectures.plot import Curve, Plot, Points
from chainrule.lectures.support import givens
from chainrule.lectures.support.layout import chain, exact, laid, ordered, row, shown, sign_of, total
from chainrule.lectures.support.points import GivenPoints, i, n, points
from chainrule.lectures.support.spoken import primed
from chainrule.present.tree import Leaf, Node, Over, Raised, Related, Slope, Times

EPSILON: Final = Symbol("epsilon")
x, y, error = tensor("x", n), tensor("y", n), tensor("epsilon", n)
alpha, beta = access(tensor("alpha")), access(tensor("beta"))
alpha_hat, beta_hat = access(tensor("alphahat")), access(tensor("betahat"))
x_mean, y_mean = access(tensor("xbar")), access(tensor("ybar"))
RESIDUAL: Final = y[i] - alpha - beta * x[i]
AS_WRITTEN: Final = {error[i]: ordered(RESIDUAL, y[i], alpha, beta)}
SUMS: Final = {Sum(x[i], (i, n)): n * x_mean, Sum(y[i], (i, n)): n * y_mean}
SHOWN_WHOLE: Final = 6  # points of which every number is put in


@dataclass(frozen=True)
class Cost:
    """The cost of a line as far as steepest descent and least squares go together.

    ``slopes`` are its derivatives by α and β, all in the errors ε_i; ``numbers`` are those of their steps.
    """

    value: Expr
    slopes: tuple[Expr, Expr]
    numbers: tuple[int, int]


def cost(steps: Steps, letter: str) -> Cost:
    """Derive ∂/∂α and ∂/∂β of the squared errors of y = α + βx, summed."""
    model = ordered(alpha + beta * x[i] + error[i], alpha, beta)
    first = steps.add(y[i], model, _("a line and the error ε_i of each point, i = 1, …, n"))
    second = steps.add(error[i], laid(error[i], AS_WRITTEN), _("solved for the error"), (first,))
    squares = Equation(access(tensor(letter)), Sum(error[i] ** 2, (i, n)))
    seed = {access(tensor(cotangent(letter))): sympy.S.One}
    third = steps.add(
        letter_node(letter),
        chain(laid(squares.right), laid(squares.right, AS_WRITTEN)),
        _("definition: the errors squared, so that none cancels another, and summed"),
        (second,),
        letter,
        formula=squares.right.xreplace({error[i]: RESIDUAL}),
    )
    by_error = vjp(squares, "epsilon").right.xreplace(seed)
    slopes, numbers = [], []
    for parameter, name in ((alpha, "alpha"), (beta, "beta")):
        inner = sympy.diff(RESIDUAL, parameter)
        local = steps.add(partial(error[i], parameter), inner, _("derivative of the error"), (second,))
        slope = vjp(Equation(error[i], RESIDUAL), name).right.xreplace(
            {access(tensor(cotangent("epsilon"), n), i): by_error}
        )
        number = steps.add(
            partial(letter_node(letter), parameter),
            laid(slope, AS_WRITTEN),
            _("chain rule: {slope}, times the derivative of ε", slope=primed(EPSILON**2, EPSILON)),
            (third, local),
            f"d{letter}/d{name}",
            formula=slope.xreplace({error[i]: RESIDUAL}),
        )
        slopes.append(slope)
        numbers.append(number)
    return Cost(squares.right, (slopes[0], slopes[1]), (numbers[0], numbers[1]))


def letter_node(letter: str) -> Leaf:
    """Return what is written for the name of a cost."""
    return Leaf(rf"\mathrm{{{letter}}}" if len(letter) > 1 else letter, letter)


def split_sums(expression: Expr) -> Expr:
    """Return Σ (a + c b) as Σ a + c Σ b: what does not depend on the index leaves its sum; Σ 1 = n."""

    def opened(node: Sum) -> Expr:
        found = []
        for term in Add.make_args(sympy.expand(node.body)):
            inside = [f for f in Mul.make_args(term) if f.free_symbols & set(node.bound)]
            outside = [f for f in Mul.make_args(term) if not f.free_symbols & set(node.bound)]
            over = Sum(Mul(*inside), *node.axes) if inside else Mul(*(extent for _, extent in node.axes))
            found.append(Mul(*outside) * over)
        return Add(*found)

    return expression.replace(lambda e: isinstance(e, Sum), opened)


def least_squares(given: Mapping[str, str]) -> Topic:
    """Derive the normal equations and both closed forms of β̂, prove them equal, and put numbers in."""
    givens.allow(given, ("x", "y"), "least-squares")
    data = points(given)
    steps = Steps()
    steps.heading(_("The normal equations"))
    found = cost(steps, "SSE")
    first, second = (_normal(steps, slope, at) for slope, at in zip(found.slopes, found.numbers, strict=True))
    _minimum(steps, found.numbers)
    steps.heading(_("Solved for the parameters"))
    intercept, closed, number = _solve(steps, first, second)
    steps.heading(_("The second closed form"))
    centred = _centre(steps, closed, number)
    steps.heading(_("With numbers"))
    line = with_numbers(steps, data, intercept, centred, closed)
    steps.plots.append(_picture(data, *line))
    return steps.topic("least-squares", _("the line of least squares"))


def closed_forms() -> tuple[Expr, Expr]:
    """Return α̂ (in x̄, ȳ and β) and β̂, derived as in least-squares."""
    steps = Steps()
    found = cost(steps, "SSE")
    first, second = (_normal(steps, slope, at) for slope, at in zip(found.slopes, found.numbers, strict=True))
    intercept, closed, number = _solve(steps, first, second)
    return intercept, _centre(steps, closed, number)


def _normal(steps: Steps, slope: Expr, number: int) -> tuple[Expr, Expr, int]:
    """Set a derivative to 0 and split its sum; return both sides of the normal equation and its number."""
    halved = slope / -2
    rule = _("at the minimum the derivative is 0; divided by −2")
    zero = steps.add(laid(halved, AS_WRITTEN), Integer(0), rule, (number,))
    whole = split_sums(halved.xreplace({error[i]: RESIDUAL}))
    left = Add(*(t for t in Add.make_args(whole) if not t.has(alpha, beta)))
    right = sympy.expand(left - whole)
    rule = _("the sum split, α and β leave it, Σ 1 = n: a normal equation")
    name = "sum of x y" if left.has(x) else "sum of y"
    at = steps.add(left, ordered(right, alpha, beta), rule, (zero,), name, formula=right)
    return left, right, at


def _minimum(steps: Steps, because: tuple[int, ...]) -> None:
    """Show that both derivatives are 0 at a minimum and nowhere else: the second derivative is above 0."""
    u, v, s = (Symbol(letter, real=True) for letter in "uvs")
    moved = (RESIDUAL**2).xreplace({alpha: alpha + u * s, beta: beta + v * s})
    bent = Sum(sympy.factor(sympy.diff(moved, s, 2)), (i, n))
    rule = _("at α + su, β + sv: above 0 unless all x_i are equal, so a minimum")
    left = Slope(letter_node("SSE"), shown(s), True, (shown(s),))
    direction = {u + v * x[i]: ordered(u + v * x[i], u)}
    steps.add(left, chain(laid(bent, direction), Integer(0), relation="≥"), rule, because)


def _solve(
    steps: Steps, first: tuple[Expr, Expr, int], second: tuple[Expr, Expr, int]
) -> tuple[Expr, Expr, int]:
    """Solve the normal equations: α̂ from the first, put into the second; return both and β̂'s number."""
    means = tuple(
        steps.add(mean, Sum(letter[i], (i, n)) / n, _("the mean"))
        for mean, letter in ((x_mean, x), (y_mean, y))
    )
    left, right, number = first
    divided = sympy.expand(right.xreplace(SUMS) / n)
    rule = _("the first normal equation divided by n: the means lie on the line")
    third = steps.add(left.xreplace(SUMS) / n, ordered(divided, alpha, beta), rule, (number, *means))
    rest = sympy.expand(left.xreplace(SUMS) / n - divided)
    solution = sympy.expand(rest.xreplace({alpha: sympy.S.Zero}) / -rest.coeff(alpha))
    hats = {alpha: alpha_hat, beta: beta_hat}
    fourth = steps.add(alpha_hat, solution.xreplace(hats), _("solved for α"), (third,), "alpha-hat")
    left, right, number = second
    known = right.xreplace(SUMS)
    inserted = ordered(known, alpha, beta, fixed={alpha: laid(solution)})
    rule = _("put into the second normal equation; Σ x_i = n x̄")
    fifth = steps.add(left, inserted, rule, (number, fourth))
    rest = sympy.expand(known.xreplace({alpha: solution}))
    free = Add(*(t for t in Add.make_args(rest) if not t.has(beta)))
    above, below = left - free, sympy.collect(sympy.expand(rest - free), beta).coeff(beta)
    rule = _("multiplied out; what has β on one side, the rest on the other")
    sixth = steps.add(above, Times((shown(beta), shown(below))), rule, (fifth,))
    rule = _("divided by the bracket, which is not 0 unless all x_i are equal")
    seventh = steps.add(beta_hat, above / below, rule, (sixth,), "beta-hat, second form")
    return solution, above / below, seventh


def _centre(steps: Steps, closed: Expr, number: int) -> Expr:
    """Prove that Σ(x − x̄)(y − ȳ)/Σ(x − x̄)² is the closed form found; return it.  Raises AssertionError."""
    above, below = sympy.fraction(closed)
    centred = []
    numbers = []
    for first, mean, target in ((y[i], y_mean, above), (x[i], x_mean, below)):
        product = (x[i] - x_mean) * (first - mean)
        total_ = Sum(product, (i, n))
        opened = split_sums(total_)
        rule = _("multiplied out, the sum split; x̄ and ȳ leave the sums")
        one = steps.add(total_, opened, rule)
        rule = _("Σ x_i = n x̄ and Σ y_i = n ȳ")
        terms = [t.xreplace(SUMS) for t in Add.make_args(opened)]
        two = steps.add(total_, ordered(Add(*terms, evaluate=False), *target.atoms(Sum)), rule, (one,))
        if sympy.expand(Add(*terms) - target) != 0:
            raise AssertionError(f"{total_} is not {target}")
        numbers.append(steps.add(total_, target, _("gathered"), (two,)))
        centred.append(total_)
    form = centred[0] / centred[1]
    rule = _("above and below the line of the closed form: both are equal")
    steps.add(beta_hat, form, rule, (number, *numbers), "beta-hat")
    return form


def with_numbers(
    steps: Steps, data: GivenPoints, intercept: Expr, centred: Expr, closed: Expr | None = None
) -> tuple[Rational, Rational]:
    """Put points into α̂ and β̂ (in both forms where ``closed`` is given); return their values."""
    whole = data.count <= SHOWN_WHOLE
    first = steps.add("x", row(data.x), _("the points: {count} values of x", count=data.count))
    second = steps.add("y", row(data.y), _("the points: {count} values of y", count=data.count))
    known = dict(data.means())
    means = []
    for (mean, value), values, at in zip(known.items(), (data.x, data.y), (first, second), strict=True):
        added = Over(total([exact(v) for v in values]), exact(Integer(data.count)))
        means.append(_state(steps, mean, added if whole else None, value, _("the mean"), (at,)))
    fractions = []
    for sums in sympy.fraction(centred):
        terms = [_product(sums.body, known, a, b) for a, b in zip(data.x, data.y, strict=True)]
        rule = _("the points put in")
        value = data.value(sums, known)
        fractions.append(
            _state(steps, sums, total(terms) if whole else None, value, rule, (first, second, *means))
        )
    above, below = (data.value(part, known) for part in sympy.fraction(centred))
    quotient = Over(exact(above), exact(below))
    slope = above / below
    rule = _("the closed form with these sums")
    at = _state(steps, beta_hat, quotient, slope, rule, tuple(fractions), "beta")
    if closed is not None:
        parts = [_inserted(part, data, known) for part in sympy.fraction(closed)]
        same = data.value(closed, known)
        if same != slope:
            raise AssertionError(f"the closed forms give {slope} and {same}")
        _state(
            steps, beta_hat, Over(*parts), same, _("the second closed form gives the same"), (first, second)
        )
    known[beta] = slope
    value = data.value(intercept, known)
    written = _inserted(intercept, data, known)
    last = _state(steps, alpha_hat, written, value, _("x̄, ȳ and β̂ put in"), (*means, at), "alpha")
    least = data.value(Sum(RESIDUAL**2, (i, n)), {alpha: value, beta: slope})
    _state(steps, letter_node("SSE"), None, least, _("what is left of the errors"), (at, last), "least SSE")
    return value, slope


def _state(
    steps: Steps,
    left: Expr | Node,
    way: Node | None,
    value: Rational,
    rule: str,
    because: tuple[int, ...],
    name: str = "",
) -> int:
    """Add left = way = value, the way left out where there is none or it is the value itself."""
    result = exact(value)
    if name:
        steps.results[name] = str(value)
    if way is None or way == result:
        return steps.add(left, result, rule, because, name, sign_of(value))
    return steps.add(left, Related(sign_of(value), way, result), rule, because, name)


def _product(body: Expr, known: Mapping[Expr, Expr], a: Rational, b: Rational) -> Node:
    """Return (−1) · 2 for one term of a sum of products of differences."""
    values = {x[i]: a, y[i]: b, **known}
    if isinstance(body, sympy.Pow):
        base = exact(body.base.xreplace(values))
        return Raised(base, shown(body.exp))
    return Times(tuple(exact(factor.xreplace(values)) for factor in Mul.make_args(body)))


def _inserted(formula: Expr, data: GivenPoints, known: Mapping[Expr, Expr]) -> Node:
    """Return a formula with numbers for its sums and letters, not yet worked out."""
    fixed = {part: exact(data.value(part, known)) for part in formula.atoms(Sum)}
    fixed |= {letter: exact(value) for letter, value in known.items()} | {n: exact(Integer(data.count))}
    return laid(formula, fixed)


def _picture(data: GivenPoints, intercept: Rational, slope: Rational) -> Plot:
    at = Symbol("x", real=True)
    low, high = float(min(data.x)), float(max(data.x))
    margin = (high - low) / 10
    dots = Points(_("points"), tuple(map(float, data.x)), tuple(map(float, data.y)), joined=False)
    line = Curve("ŷ = α̂ + β̂ x", intercept + slope * at, at)
    return Plot(_("The line of least squares"), "x", "y", (line, dots), (low - margin, high + margin))


TOPICS = {"least-squares": least_squares}
