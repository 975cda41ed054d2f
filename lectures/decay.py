"""Weight decay: the penalty λ‖θ‖², the shrunken step, a linear model's closed form, decoupled decay."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from sympy import Expr, Integer, Rational, Symbol

from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, Sum, access, accesses, cotangent, index, name_of, size, tensor
from chainrule.derive.library import OPTIMIZERS
from chainrule.derive.prose import _
from chainrule.derive.updates import update_equations
from chainrule.lectures.model import Steps, Topic, TopicError, partial
from chainrule.lectures.support import givens
from chainrule.lectures.support.layout import chain, exact, laid, ordered, product, row, shown, sign_of
from chainrule.present.tree import Applied, Bars, Dot, Leaf, Node, Over, Plus, Raised, Times, Transposed

i, j, k, N, D = index("i"), index("j"), index("k"), size("N"), size("D")
theta, g = tensor("theta", D), tensor("g", D)
Y, X, r = tensor("Y", N), tensor("X", N, D), tensor("r", N)
E, J, PENALTY = (access(tensor(letter)) for letter in ("E", "J", "R"))
rate, decay = Symbol("learning_rate", positive=True), Symbol("lambda", positive=True)
THETA, BIG_X, BIG_Y = Leaf(r"\theta", "θ"), Leaf("X", "X"), Leaf("Y", "Y")


def weight_decay(given: Mapping[str, str]) -> Topic:
    """Derive the gradient and the shrunken step of ‖Y − X(θ)‖² + λ‖θ‖², and its minimum for a linear X(θ)."""
    givens.allow(given, ("x", "y", "lambda"), "weight-decay")
    data = _numbers(given)
    steps = Steps()
    steps.heading(_("The penalty and the step"))
    shrunk = _penalty(steps)
    steps.heading(_("A linear model"))
    closed = _linear(steps)
    steps.heading(_("Decoupled weight decay, as the optimizers of the library have it"))
    _decoupled(steps, shrunk)
    steps.heading(_("With numbers, a model of one parameter"))
    _worked(steps, data, closed)
    return steps.topic("weight-decay", _("weight decay"))


def _norm(body: Node) -> Node:
    return Bars(body, norm=True, above="2")


def _penalty(steps: Steps) -> int:
    """Derive ∂J/∂θ_j and the step; return the number of the shrunken step."""
    model = Applied("X", "X", (THETA,))
    error = _norm(Plus(((False, BIG_Y), (True, model))))
    first = steps.add("E", error, _("the squared error of a model X(θ) whose parameters are θ"))
    whole = Plus(((False, Leaf("E", "E")), (False, Times((shown(decay), _norm(THETA))))))
    rule = _("what is made least: the error plus a penalty on large parameters, λ > 0")
    second = steps.add("J", whole, rule, (first,))
    penalty = decay * Sum(theta[j] ** 2, (j, D))
    third = steps.add(Times((shown(decay), _norm(THETA))), penalty, _("the norm written out"))
    bent = _penalty_slope()
    left = partial(Times((shown(decay), _norm(THETA))), theta[j])
    fourth = steps.add(left, bent, _("derivative of a sum, one term is left"), (third,), "dR/dtheta")
    slope = Symbol("slope", real=True)
    fixed: dict[Expr, Node] = {slope: partial("E", theta[j])}
    whole_slope = slope + bent
    written = ordered(whole_slope, slope, fixed=fixed)
    fifth = steps.add(
        partial("J", theta[j]), written, _("the derivative of both"), (second, fourth), "dJ/dtheta"
    )
    stepped = theta[j] - rate * whole_slope
    inner = Plus(((False, shown(theta[j])), (True, product(rate, written))))
    sixth = steps.add(theta[j], inner, _("gradient descent on J"), (fifth,), relation="←")
    gathered = sympy.collect(sympy.expand(stepped), theta[j])
    shrink = gathered.coeff(theta[j])
    rest = sympy.expand(gathered - shrink * theta[j])
    right = Plus(((False, product(ordered(shrink, sympy.S.One), theta[j])), (True, laid(-rest, fixed))))
    rule = _("multiplied out: first every parameter shrinks, then the step goes down E")
    formula = gathered.xreplace({slope: g[j]})
    return steps.add(theta[j], right, rule, (sixth,), "theta_new", relation="←", formula=formula)


def _linear(steps: Steps) -> int:
    """Derive the minimum for X(θ) = Xθ; return the number of the closed form."""
    inner = Equation(r[i], Y[i] - Sum(X[i, k] * theta[k], (k, D)))
    error = Equation(E, Sum(r[i] ** 2, (i, N)))
    fixed = {r[i]: shown(inner.right)}
    rule = _("a linear model: its i-th output is Σ X_ik θ_k")
    first = steps.add("E", laid(error.right, fixed), rule, formula=error.right.xreplace({r[i]: inner.right}))
    outer = vjp(error, "r").right.xreplace({access(tensor(cotangent("E"))): sympy.S.One})
    chained = vjp(inner, "theta")
    slope = chained.right.xreplace({access(tensor(cotangent("r"), N), i): outer, chained.left.indices[0]: j})
    rule = _("chain rule: θ_j stands in every output, with X_ij before it")
    whole = slope.xreplace({r[i]: inner.right})
    name = "dE/dtheta, linear"
    second = steps.add(partial("E", theta[j]), laid(slope, fixed), rule, (first,), name, formula=whole)
    residual = Plus(((False, BIG_Y), (True, Dot((BIG_X, THETA)))))
    gradient = Plus(
        (
            (True, Times((Leaf("2", "2"), Dot((Transposed(BIG_X), residual))))),
            (False, product(Integer(2), decay, THETA)),
        )
    )
    _check_vectors(whole + _penalty_slope())
    rule = _("as vectors, with the penalty; it is 0 at the minimum")
    third = steps.add(gradient, Integer(0), rule, (second,))
    matrix = Plus(((False, Dot((Transposed(BIG_X), BIG_X))), (False, product(decay, Leaf("I", "I")))))
    right = Dot((Transposed(BIG_X), BIG_Y))
    rule = _("divided by 2, what has θ on one side")
    fourth = steps.add(Dot((matrix, THETA)), right, rule, (third,))
    u = Leaf("u", "u")
    squares = Plus(((False, _norm(Dot((BIG_X, u)))), (False, product(decay, _norm(u)))))
    left = Dot((Transposed(u), matrix, u))
    rule = _("above 0 for every u ≠ 0, so the matrix has an inverse for all data")
    fifth = steps.add(left, chain(squares, Integer(0), relation=">"), rule, (fourth,))
    inverse = Raised(matrix, Leaf("-1", "-1"))
    hat = access(tensor("thetahat"))
    return steps.add(hat, Dot((inverse, right)), _("solved: the closed form"), (fourth, fifth), "theta-hat")


def _penalty_slope() -> Expr:
    """Return ∂(λ‖θ‖²)/∂θ_j as it comes from the engine."""
    penalty = Equation(PENALTY, decay * Sum(theta[j] ** 2, (j, D)))
    return vjp(penalty, "theta").right.xreplace({access(tensor(cotangent("R"))): sympy.S.One})


def _check_vectors(slope: Expr) -> None:
    """Raise AssertionError unless ∂J/∂θ_j is −2 Xᵀ(Y − Xθ) + 2λθ, for 3 points and 2 parameters."""
    points, parameters = 3, 2
    inputs = sympy.Matrix(points, parameters, lambda a, b: X[a, b])
    targets, values = (
        sympy.Matrix([base[a] for a in range(m)]) for base, m in ((Y, points), (theta, parameters))
    )
    vectors = -2 * inputs.T * (targets - inputs * values) + 2 * decay * values
    extents = {N: points, D: parameters}

    def opened(node: Sum) -> Expr:
        bound, extent = node.axes[0]
        return sympy.Add(*(node.body.xreplace({bound: Integer(v)}) for v in range(extents[extent])))

    for row_, vector in enumerate(vectors):
        entry = slope.replace(lambda e: isinstance(e, Sum), opened).xreplace({j: Integer(row_)})
        if sympy.expand(entry - vector) != 0:
            raise AssertionError(f"{slope} is not {vectors}")


def _decoupled(steps: Steps, shrunk: int) -> None:
    """Put the library's two lines into one another for plain gradient descent; look at Adam's first step."""
    lines = [u.equation for u in update_equations("sgd", 2, given=("weight_decay",))]
    share, step = lines
    letters = {share.left: theta[j], tensor("g", Integer(2))[share.left.indices[0]]: g[j]}
    numbers = []
    for line, rule in (
        (share, _("first every parameter shrinks")),
        (step, _("then the step of the optimizer")),
    ):
        right = line.right.xreplace(letters)
        numbers.append(steps.add(theta[j], right, rule, relation="←"))
    whole = step.right.xreplace(letters).xreplace({theta[j]: share.right.xreplace(letters)})
    rule = _("both in one: the shrunken step above, with λ_w = 2λ")
    own = Symbol("weight_decay", positive=True)
    steps.add(theta[j], whole, rule, (*numbers, shrunk), "theta_new, decoupled", relation="←")
    penalised = theta[j] - rate * (g[j] + 2 * decay * theta[j])
    if sympy.expand(whole.xreplace({own: 2 * decay}) - penalised) != 0:
        raise AssertionError("decoupled decay is not the penalty of plain gradient descent")
    fifth = Rational(1, 5)
    plain, penalty, apart = (_adam(*way) for way in ((0, 0), (fifth, 0), (0, fifth)))
    rule = _("Adam's first step from θ = 1 with g = 1 and η = 0.1, without any decay")
    fourth = steps.add(theta[j], exact(plain), rule, relation="←")
    rule = _("0.2 θ of the penalty added to g: Adam divides by its size, no change")
    steps.add(theta[j], exact(penalty), rule, (fourth, shrunk), "Adam with the penalty", relation="←")
    rule = _("with decoupled decay, λ_w = 0.2: it shrinks by 1 − ηλ_w as it should")
    steps.add(theta[j], exact(apart), rule, (fourth, numbers[0]), "Adam, decoupled", relation="←")
    steps.results |= {"Adam with the penalty": str(penalty), "Adam, decoupled": str(apart)}


def _adam(penalty: Expr | int, share: Expr | int) -> Rational:
    """Return θ after Adam's first step from θ = 1 with g = 1, by the library's equations with ε = 0."""
    known: dict[str, Expr] = {f.name: Rational(str(f.default)) for f in OPTIMIZERS["adam"].fields}
    known |= {"learning_rate": Rational(1, 10), "epsilon": sympy.S.Zero, "k": sympy.S.One}
    known |= {"weight_decay": sympy.S.One * share}
    values: dict[str, Expr] = {"theta": sympy.S.One, "m": sympy.S.Zero, "v": sympy.S.Zero}
    values["g"] = 1 + penalty * values["theta"]
    for update in update_equations("adam", 2, given=("weight_decay",)):
        right = update.equation.right
        letters = {read: values[name_of(read.base)] for read in accesses(right)}
        right = right.xreplace(letters)
        values[update.equation.name] = right.xreplace({s: known[s.name] for s in right.free_symbols})
    return values["theta"]


def _numbers(given: Mapping[str, str]) -> tuple[list[Rational], list[Rational], Rational]:
    if ("x" in given) != ("y" in given):
        raise TopicError("give x and y, one value for each point")
    x, y = givens.numbers(given, "x", "1, 2, 3"), givens.numbers(given, "y", "1, 2, 3")
    if len(x) != len(y):
        raise TopicError(f"x has {len(x)} values and y has {len(y)}; they must be as many")
    if not any(x):
        raise TopicError("all x are 0: the error does not depend on θ")
    return x, y, givens.number(given, "lambda", "1", least=0)


def _worked(steps: Steps, data: tuple[list[Rational], list[Rational], Rational], closed: int) -> None:
    x, y, strength = data
    first = steps.add("x", row(x), _("the points; the model is y = θx"))
    second = steps.add("y", row(y), _("the points"))
    third = steps.add(decay, exact(strength), _("the strength of the penalty"))
    above = sympy.Add(*(a * b for a, b in zip(x, y, strict=True)))
    below = sympy.Add(*(a**2 for a in x))
    hat = shown(access(tensor("thetahat")))
    for extra, name, rule in (
        (sympy.S.Zero, "theta without decay", _("without decay: Σ x_i y_i over Σ x_i²")),
        (strength, "theta", _("with decay: Σ x_i y_i over Σ x_i² + λ, nearer to 0")),
    ):
        value = above / (below + extra)
        bottom = Plus(((False, exact(below)), (False, exact(extra)))) if extra else exact(below)
        steps.results[name] = str(value)
        right = chain(Over(exact(above), bottom), exact(value), relation=sign_of(value))
        steps.add(hat, right, rule, (first, second, third, closed), name)


TOPICS = {"weight-decay": weight_decay}
