"""Worked examples: an equation with numbers put into it, and what comes out.

``work`` adds a step that shows an equation with its numbers.  The values are those of the reference
interpreter, on the very equations that the topic derived.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import sympy
from sympy import Expr, Indexed, Piecewise, Symbol

from chainrule.derive.index import (
    Equation,
    Max,
    Reduction,
    Sum,
    Winner,
    access,
    accesses,
    apart,
    name_of,
    tensor,
)
from chainrule.derive.interpret import evaluate
from chainrule.derive.prose import _
from chainrule.lectures.model import Steps, TopicError
from chainrule.present import text
from chainrule.present.build import Writer, extremum, textbook
from chainrule.present.tree import Applied, Leaf, Matrix, Node, Over, Plus, Ref, Related, Times

DIGITS: Final = 6
FULLY: Final = 6  # rows of a result that are each shown with all their numbers
ZERO: Final = Leaf("0", "0")
DOT: Final = Leaf(r"\cdot", "·")


def compute(equations: Iterable[Equation], arrays: dict[str, Any]) -> dict[str, Any]:
    """Add to the arrays what the equations define, in order."""
    for equation in equations:
        arrays[equation.name] = value_of(equation, arrays)
    return arrays


def value_of(equation: Equation, arrays: Mapping[str, Any]) -> Any:
    """Return what an equation defines.  Raises TopicError where the given numbers give no number."""
    try:
        value = evaluate(equation, arrays)
    except (OverflowError, ZeroDivisionError, ValueError) as error:
        left = text.write(Writer().tree(equation.left))
        raise TopicError(f"{left} has no value for the numbers given: {error}") from None
    if not np.isfinite(value).all():
        raise TopicError(f"{text.write(Writer().tree(equation.left))} is too large for the numbers given")
    return value


def work(
    steps: Steps,
    equation: Equation,
    arrays: dict[str, Any],
    because: tuple[int, ...],
    result: str = "",
    left: Node | None = None,
) -> tuple[int, ...]:
    """Add the steps that show an equation with its numbers, and keep what it defines among the arrays.

    ``because`` numbers the steps that gave the equation; those with the numbers that it reads are found.
    A short vector is shown row by row with the numbers put in; of what is longer, the values.  ``left`` is
    written instead of the letter of what the equation defines.
    """
    arrays[equation.name] = value = value_of(equation, arrays)
    rule = _("with the numbers")
    if value.size > FULLY or value.ndim > 1 or (left is not None and value.ndim):
        because = (*because, *shown_numbers(steps, equation))
        number = worked(steps, left or Ref(equation.name), value, rule, because, result)
        steps.shown[equation.name] = {(): number}
        return (number,)
    added = {}
    for at in itertools.product(*map(range, value.shape)):
        own = float(value[at])
        put_in, shown = inserted(equation, arrays, at), figure(own)
        bare = put_in is None or put_in == shown
        right = shown if bare else Related(relation(own), put_in, shown)  # type: ignore[arg-type]
        sign = relation(own) if bare else "="
        own_left = left or element(equation, at, steps.origin)
        own_because = (*because, *shown_numbers(steps, equation, at))
        added[at] = steps.add(own_left, right, rule, own_because, result, sign)
    steps.shown[equation.name] = added
    if result:
        keep(steps, result, value)
    return tuple(added.values())


def shown_numbers(steps: Steps, equation: Equation, at: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the steps that show the numbers of what an equation reads, at a place of its left side."""
    right = apart(equation.right).xreplace(dict(zip(equation.free, map(sympy.Integer, at), strict=False)))
    found: set[int] = set()
    for read in accesses(right):
        places = steps.shown.get(name_of(read.base), {})
        place = tuple(int(i) for i in read.indices) if all(i.is_Integer for i in read.indices) else None
        found |= {places[place]} if place in places else set(places.values())
    letters = {str(symbol) for symbol in right.free_symbols} - equation.reads().keys()
    for letter in letters:
        found |= set(steps.shown.get(letter, {}).values())
    return tuple(sorted(found))


def worked(
    steps: Steps, left: Node, values: Any, rule: str, because: tuple[int, ...] = (), result: str = ""
) -> int:
    """Add the step that says what a number, a vector or a matrix has come to; return its number."""
    array = np.asarray(values, dtype=float)
    right = figure(float(array)) if array.ndim == 0 else grid(array)
    sign = "≈" if any(relation(float(v)) == "≈" for v in array.flat) else "="
    if result:
        keep(steps, result, array)
    return steps.add(left, right, rule, because, result, sign)


def keep(steps: Steps, name: str, value: Any) -> None:
    """Put numbers among the results of a topic: 12 digits, a tensor as lists."""
    rounded = np.vectorize(lambda v: float(f"{v:.12g}"))(np.asarray(value, dtype=float))
    steps.results[name] = json.dumps(rounded.tolist())


def figure(value: float) -> Node:
    """Return what is written for a number, to six digits."""
    mantissa, _e, power = decimal(abs(value)).partition("e")
    ten = f"10^{{{int(power)}}}" if power else ""
    latex = rf"{mantissa} \cdot {ten}" if ten and mantissa != "1" else ten or mantissa
    leaf = Leaf(latex, f"{mantissa}e{int(power)}" if power else mantissa)
    return Plus(((True, leaf),)) if value < 0 and leaf.text != "0" else leaf


def decimal(value: float) -> str:
    """Return a number to six digits."""
    return f"{value + 0.0:.{DIGITS}g}"


def relation(value: float) -> str:
    """Return = for a number that its six digits give exactly, else ≈."""
    return "=" if abs(float(decimal(value)) - value) <= 1e-12 * max(1.0, abs(value)) else "≈"


def grid(values: Any) -> Matrix:
    """Return what is written for a matrix; a vector is one row."""
    rows = np.atleast_2d(np.asarray(values, dtype=float))
    return Matrix(tuple(tuple(figure(float(v)) for v in row) for row in rows))


def put(steps: Steps, name: str, values: Any, rule: str) -> int:
    """Add the step that states the numbers of a tensor."""
    number = worked(steps, Ref(name), values, rule)
    steps.shown[name] = {(): number}
    return number


def element(equation: Equation, at: Sequence[int], origin: int = 1) -> Node:
    """Return the left side at a place, counted from ``origin``."""
    return Ref(equation.name, tuple(Leaf(str(i + origin), str(i + origin)) for i in at))


def inserted(equation: Equation, arrays: Mapping[str, Any], at: Sequence[int]) -> Node | None:
    """Return the right side at a place with numbers for its tensors, None for what is not a plain formula."""
    sizes = _sizes(equation, arrays)
    right = equation.right.xreplace(
        {**dict(zip(equation.free, map(sympy.Integer, at), strict=True)), **sizes}
    )
    opened = _opened(right, arrays)
    if opened is None:
        return None
    if isinstance(opened, Max):
        values = [_numbers(_page(term), arrays) for term in _cases(opened)]
        return Applied(r"\max", "max", tuple(values))
    return _numbers(_page(opened), arrays)


def _page(expression: Expr) -> Node:
    return Writer().tree(textbook(expression))


def _sizes(equation: Equation, arrays: Mapping[str, Any]) -> dict[Expr, Expr]:
    found: dict[Expr, Expr] = {}
    for name, base in equation.reads().items():
        for extent, length in zip(base.shape, np.shape(arrays[name]), strict=True):
            if isinstance(extent, Symbol):
                found[extent] = sympy.Integer(length)
    for symbol in equation.right.free_symbols:
        if symbol.name in arrays and np.ndim(arrays[symbol.name]) == 0 and type(symbol) is Symbol:
            if symbol in found or symbol in [b.label for b in equation.right.atoms(sympy.IndexedBase)]:
                continue
            found[symbol] = sympy.nsimplify(float(arrays[symbol.name]), rational=True)
    return found


def _opened(expression: Expr, arrays: Mapping[str, Any]) -> Expr | None:
    """Write sums out, leave what lies outside of a tensor; a maximum may stand alone."""
    if isinstance(expression, Max):
        return expression if not expression.body.has(Reduction, Winner) else None
    if expression.has(Max, Winner):
        return None
    opened = expression.replace(lambda e: isinstance(e, Sum), lambda e: sympy.Add(*_cases(e)))
    opened = opened.replace(lambda e: isinstance(e, Piecewise), lambda e: _case(e, arrays))
    return opened.replace(
        lambda e: isinstance(e, Indexed), lambda e: e if _lies_in(e, arrays) else sympy.S.Zero
    )


def _case(choice: Piecewise, arrays: Mapping[str, Any]) -> Expr:
    """Return the case that holds for the numbers; max(0, x) stays as it is."""
    if extremum(choice) is not None:
        return choice
    for value, condition in choice.args:
        holds = Equation(access(tensor("holds")), Piecewise((1, condition), (0, True)))
        if evaluate(holds, arrays):
            return value
    raise AssertionError(f"no case of {choice} holds")


def _cases(reduction: Reduction) -> list[Expr]:
    ranges = [range(int(extent)) for _, extent in reduction.axes]
    return [
        reduction.body.xreplace(dict(zip(reduction.bound, map(sympy.Integer, point), strict=True)))
        for point in itertools.product(*ranges)
    ]


def _lies_in(read: Indexed, arrays: Mapping[str, Any]) -> bool:
    shape = np.shape(arrays[name_of(read.base)])
    return all(0 <= int(i) < extent for i, extent in zip(read.indices, shape, strict=True))


def _numbers(tree: Any, arrays: Mapping[str, Any]) -> Any:
    """Return a tree with numbers for its tensors; factors are kept apart by dots."""
    match tree:
        case Ref(symbol, subscripts):
            at = tuple(int(s.text) for s in subscripts)  # type: ignore[union-attr]
            return figure(float(np.asarray(arrays[symbol])[at]))
        case Times(factors):
            found = [_numbers(f, arrays) for f in factors]
            fraction = [found.pop(0)] if isinstance(found[0], Over) else []  # it needs no dot after it
            dotted = [part for factor in found for part in (DOT, factor)][1:]
            return Times((*fraction, *dotted))
        case Plus(terms):
            signed = [(negative, _numbers(term, arrays)) for negative, term in terms]
            outside = tuple(_sign_outside(negative, term) for negative, term in signed)
            return ZERO if len(outside) == 1 and outside[0][1] == ZERO else Plus(outside)
        case tuple():
            return tuple(_numbers(part, arrays) for part in tree)
        case str() | bool() | None:
            return tree
        case _:
            return type(tree)(*(_numbers(part, arrays) for part in vars(tree).values()))


def _sign_outside(negative: bool, term: Node) -> tuple[bool, Node]:
    """A term −(−2) is + 2."""
    if isinstance(term, Plus) and len(term.terms) == 1:
        ((inner, body),) = term.terms
        return negative != inner, body
    return negative, term
