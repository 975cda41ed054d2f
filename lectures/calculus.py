"""The chain rule: of two plain functions, of one neuron, of two in a row."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import sympy
from sympy import Expr, Mul, Symbol, exp

from chainrule.derive.adjoint import adjoint
from chainrule.derive.differentiate import local_terms, vjp
from chainrule.derive.index import Equation, access, cotangent, tensor
from chainrule.derive.prose import _
from chainrule.formula import FormulaError, formula_names, parse_formula
from chainrule.lectures.model import Steps, Topic, TopicError, partial
from chainrule.lectures.support import givens
from chainrule.lectures.support.layout import dotted, laid, product, shown, total
from chainrule.present.tree import Applied, Node, Ref

EXAMPLE = {"z": "t**2", "t": "x + y"}
ONE = {access(tensor(cotangent("E"))): sympy.S.One}


def chain_rule(given: Mapping[str, str]) -> Topic:
    """Derive ∂z/∂x of z(t(x, …)), then ∂E/∂W through one sigmoid neuron and through two."""
    outer, inner, names = _functions({**EXAMPLE, **given}, given)
    steps = Steps()
    steps.heading(_("A function of a function"))
    _plain(steps, outer, inner, names)
    steps.heading(_("One neuron"))
    _neurons(steps, 1)
    steps.heading(_("Two neurons in a row"))
    _neurons(steps, 2)
    return steps.topic("chain-rule", _("the chain rule"))


def _functions(texts: Mapping[str, str], given: Mapping[str, str]) -> tuple[Expr, Expr, list[Symbol]]:
    givens.allow(given, ("z", "t"), "chain-rule")
    try:
        outside, inside = formula_names(texts["z"]), formula_names(texts["t"])
        if outside != {"t"}:
            raise TopicError(f"z is a function of t alone (given: z = {texts['z']})")
        if not inside or inside & {"t", "z"}:
            raise TopicError(f"t is a function of other letters, x and y say (given: t = {texts['t']})")
        names = {name: Symbol(name, real=True) for name in sorted(inside)}
        t = Symbol("t", real=True)
        outer, inner = parse_formula(texts["z"], {"t": t}), parse_formula(texts["t"], names)
    except FormulaError as error:
        raise TopicError(f"{error.text}: {error.message}") from error
    if outer.xreplace({t: inner}).has(sympy.zoo, sympy.nan, sympy.oo):
        raise TopicError(f"z = {texts['z']} is not defined at t = {texts['t']}")
    return outer, inner, list(names.values())


def slope(function: Expr, variable: Symbol) -> Expr:
    """Return the derivative by a variable, from the engine.  Raises CannotDifferentiate."""
    base = tensor(variable.name)
    inside = function.xreplace({variable: access(base)})
    found = sympy.Add(*(term.coefficient for term in local_terms(inside, base)))
    return found.xreplace({access(base): variable})


def _plain(steps: Steps, outer: Expr, inner: Expr, names: list[Symbol]) -> None:
    t = Symbol("t", real=True)
    first = steps.add("z", outer, _("the outer function"))
    second = steps.add("t", inner, _("the inner function"), (), "t")
    steps.add("z", outer.xreplace({t: inner}), _("put into one another"), (first, second), "z")
    outside = slope(outer, t)
    third = steps.add(partial("z", "t", True), outside, _("derivative of the outer function"), (first,))
    for x in names:
        inside = slope(inner, x)
        fourth = steps.add(partial("t", x), inside, _("derivative of the inner function"), (second,))
        rule = _("chain rule")
        links = product(partial("z", "t", True), partial("t", x))
        fifth = steps.add(partial("z", x), links, rule)
        rule = _("both derivatives put in")
        sixth = steps.add(partial("z", x), dotted(outside, inside), rule, (third, fourth, fifth))
        whole = (outside * inside).xreplace({t: inner})
        written = product(laid(outside, {t: shown(inner)}), inside)
        rule = _("t written out")
        name = f"dz/d{x.name}"
        seventh = steps.add(partial("z", x), written, rule, (second, sixth), name, formula=whole)
        opened = sympy.expand(outer.xreplace({t: inner}))
        if opened.is_polynomial() and opened.has(x):
            direct = slope(opened, x)
            if sympy.expand(whole - direct) != 0:
                raise AssertionError(f"{direct} is not {whole}")
            eighth = steps.add("z", _multiplied(opened, names), _("to compare: z multiplied out"), (1, 2))
            rule = _("its derivative is the same, without the chain rule")
            steps.add(partial("z", x), _multiplied(direct, names), rule, (seventh, eighth))


def _multiplied(polynomial: Expr, names: list[Symbol]) -> Node:
    """Return a polynomial as it is written: x² + 2xy + y²."""
    terms = [
        coefficient * Mul(*(x**power for x, power in zip(names, powers, strict=True)))
        for powers, coefficient in sympy.Poly(polynomial, *names).terms()
    ]
    return total([shown(term) for term in terms])


def _neurons(steps: Steps, count: int) -> None:
    """Derive ∂E/∂W of the first weight of neurons in a row, in letters first, then with σ and ½(h − t)²."""
    names = ["x", *(_name("h", k, count) for k in range(1, count + 1))]
    nested: Node = Ref(_name("W", 1, count))
    for letter in ["f", "h"] * count + ["E"]:
        nested = Applied(letter, letter, (nested,))
    weight = access(tensor(_name("W", 1, count)))
    letters: list[Expr] = [access(tensor("E"))]
    for k in range(count, 0, -1):
        letters += [access(tensor(_name(letter, k, count))) for letter in "hf"]
    letters.append(weight)
    links = [partial(of, by) for of, by in pairwise(letters)]
    left = partial("E", weight)
    first = steps.add("E", nested, _("E depends on the weight through f and h alone"))
    rule = _("chain rule, from the outside in")
    general = steps.add(left, product(*links), rule, (first,), _result("dE/dW, in letters", count))
    equations: list[Equation] = []
    numbers: list[int] = []
    for k in range(1, count + 1):
        f, h = (access(tensor(_name(letter, k, count))) for letter in "fh")
        w, b = (access(tensor(_name(letter, k, count))) for letter in "Wb")
        line = Equation(f, w * access(tensor(names[k - 1])) + b)
        curve = Equation(h, 1 / (1 + exp(-f)))
        numbers.append(
            steps.add(f, line.right, _("the neuron: weight times input, plus bias"), tuple(numbers[-1:]))
        )
        numbers.append(steps.add(h, curve.right, _("its output: sigmoid"), tuple(numbers[-1:])))
        equations += [line, curve]
    h, t = access(tensor(names[-1])), access(tensor("t"))
    loss = Equation(access(tensor("E")), (h - t) ** 2 / 2)
    numbers.append(steps.add("E", loss.right, _("squared error; t is the target"), tuple(numbers[-1:])))
    equations.append(loss)
    factors, found = [], []
    chain = zip(pairwise(letters), reversed(equations), reversed(numbers), strict=True)
    for (of, by), equation, number in chain:
        local = _local(equation, str(by.base.label))
        rule = _("derivative through the output") if _is_curve(equation) else _("derivative")
        found.append(steps.add(partial(of, by), local, rule, (number,)))
        factors.append(local)
    rule = _("all of them put into the chain")
    name = _result("dE/dW", count)
    steps.add(left, product(*factors), rule, (general, *found), name, formula=Mul(*factors))


def _is_curve(equation: Equation) -> bool:
    return bool(equation.right.has(exp))


def _local(equation: Equation, name: str) -> Expr:
    """Return ∂left/∂name of a scalar equation, written in its output where it can be."""
    seed = {access(tensor(cotangent(equation.name))): sympy.S.One}
    found = adjoint(equation, name).equation if _is_curve(equation) else vjp(equation, name)
    return found.right.xreplace(seed)


def _name(letter: str, k: int, count: int) -> str:
    return letter if count == 1 else f"{letter}{k}"


def _result(name: str, count: int) -> str:
    return name.replace("W", "W1") + ", two neurons" if count > 1 else name


TOPICS = {"chain-rule": chain_rule}
