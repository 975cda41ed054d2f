"""Worked examples: the numbers that are given, an equation with them put in, and what comes out.

``taken`` reads what --given says, ``work`` adds a step that shows an equation with its numbers.  The values
are those of the reference interpreter, on the very equations that the topic derived.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Expr, Indexed, Symbol

from derive.formula import FormulaError, parse_formula
from derive.index import Equation, Max, Reduction, Sum, Winner, name_of
from derive.interpret import evaluate
from derive.present import text
from derive.present.build import Writer, textbook
from derive.present.tree import Applied, Grid, Leaf, Node, Over, Plus, Ref, Related, Times
from derive.prose import _
from derive.topics.model import Steps, TopicError

Array = NDArray[np.float64]
DIGITS: Final = 6
MOST: Final = 64  # numbers in one given tensor
FULLY: Final = 6  # rows of a result that are each shown with all their numbers
DOT: Final = Leaf(r"\cdot", "·")


# ---- Reading ---------------------------------------------------------------------------------------------


def taken(id: str, given: Mapping[str, str], **ranks: int) -> dict[str, Array]:
    """Return the given tensors by name; ``ranks`` says which a topic takes, and how many axes each has.

    A number is a constant formula (0.5, 1/3, -2), a vector 1,2,3 or [1,2,3], a matrix [[1,2],[3,4]].
    Raises TopicError.
    """
    unknown = sorted(set(given) - set(ranks))
    if unknown:
        if not ranks:
            raise TopicError(f"{id} takes no givens")
        raise TopicError(f"{id} takes {_listed(ranks)}, not {_listed(unknown)}")
    return {name: tensor_of(name, text, ranks[name]) for name, text in given.items()}


def needed(id: str, found: Mapping[str, Array], names: Iterable[str]) -> None:
    """Raise TopicError if some, but not all, of the numbers that belong together are given."""
    missing = [name for name in names if name not in found]
    if missing:
        raise TopicError(f"{id}: give {_listed(missing)} too")


def tensor_of(name: str, written: str, rank: int) -> Array:
    """Return the numbers of a text as an array of ``rank`` axes.  Raises TopicError."""
    nested = _nested(name, written if written.lstrip().startswith("[") or rank == 0 else f"[{written}]")
    try:
        found = np.array(nested, dtype=np.float64)
    except ValueError:
        raise TopicError(f"{name}: the rows have different lengths") from None
    if found.ndim != rank:
        kinds = ("one number", "a row of numbers, 1,2,3", "rows of numbers, [[1,2],[3,4]]")
        raise TopicError(f"{name} is {kinds[rank]} (given: {written})")
    if found.size > MOST:
        raise TopicError(f"{name} has {found.size} numbers; at most {MOST} can be read on a page")
    if not found.size:
        raise TopicError(f"{name} is empty")
    return found


def _nested(name: str, written: str) -> Any:
    written = written.strip()
    if written.startswith("["):
        if not written.endswith("]"):
            raise TopicError(f"{name}: a bracket is not closed in {written}")
        return [_nested(name, part) for part in _parts(name, written[1:-1])]
    try:
        return float(parse_formula(written, {}))
    except (FormulaError, OverflowError) as error:
        raise TopicError(f"{name}: {written!r} is no number: {str(error).splitlines()[0]}") from None


def _parts(name: str, written: str) -> list[str]:
    found, depth = [""], 0
    for character in written:
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            raise TopicError(f"{name}: a bracket too many in {written}")
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return found


def whole(name: str, value: Array, least: int) -> int:
    """Return a given number as an integer.  Raises TopicError."""
    if value != int(value) or value < least:
        raise TopicError(f"{name} is a whole number of at least {least} (given: {decimal(float(value))})")
    return int(value)


def same_shape(**arrays: Array) -> None:
    """Raise TopicError unless all have as many numbers along every axis."""
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        sizes = ", ".join(f"{name} has {' × '.join(map(str, shape))}" for name, shape in shapes.items())
        raise TopicError(f"{sizes}; they must be as many")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


# ---- Working out -----------------------------------------------------------------------------------------


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
    steps: Steps, equation: Equation, arrays: dict[str, Any], because: tuple[int, ...], result: str = ""
) -> tuple[int, ...]:
    """Add the steps that show an equation with its numbers, and keep what it defines among the arrays.

    A short vector is shown row by row with the numbers put in; of what is longer, the values.
    """
    value = value_of(equation, arrays)
    arrays[equation.name] = value
    added = []
    if value.size <= FULLY and value.ndim < 2:
        for at in itertools.product(*map(range, value.shape)):
            left = counted(equation, at)
            put_in = inserted(equation, arrays, at)
            shown = figure(float(value[at]))
            right = shown if put_in in (None, shown) else Related(relation(float(value[at])), put_in, shown)
            sign = "=" if isinstance(right, Related) else relation(float(value[at]))
            added.append(steps.add(left, right, _("with the numbers"), because, relation=sign))
    else:
        added.append(
            steps.add(Ref(equation.name), grid(value), _("with the numbers"), because, relation=_sign(value))
        )
    if result:
        keep(steps, result, value)
    return tuple(added)


def keep(steps: Steps, name: str, value: Any) -> None:
    """Put numbers among the results of a topic: 12 digits, a tensor as lists."""
    rounded = np.vectorize(lambda v: float(f"{v:.12g}"))(np.asarray(value, dtype=float))
    steps.results[name] = json.dumps(rounded.tolist())


def figure(value: float) -> Node:
    """Return what is written for a number, to six digits."""
    shown = decimal(abs(value))
    mantissa, _e, power = shown.partition("e")
    latex = rf"{mantissa} \cdot 10^{{{int(power)}}}" if power else mantissa
    leaf = Leaf(latex, shown)
    return Plus(((True, leaf),)) if value < 0 and float(shown) else leaf


def decimal(value: float) -> str:
    """Return a number to six digits."""
    return f"{value + 0.0:.{DIGITS}g}"


def relation(value: float) -> str:
    """Return = for a number that its six digits give exactly, else ≈."""
    return "=" if abs(float(decimal(value)) - value) <= 1e-12 * max(1.0, abs(value)) else "≈"


def _sign(values: Array) -> str:
    return "≈" if any(relation(float(v)) == "≈" for v in values.flat) else "="


def grid(values: Any) -> Grid:
    """Return what is written for a matrix; a vector is one row."""
    rows = np.atleast_2d(np.asarray(values, dtype=float))
    return Grid(tuple(tuple(figure(float(v)) for v in row) for row in rows))


def put(steps: Steps, name: str, values: Any, rule: str) -> int:
    """Add a step that states the numbers of a tensor."""
    array = np.asarray(values, dtype=float)
    right = figure(float(array)) if array.ndim == 0 else grid(array)
    return steps.add(Ref(name), right, rule)


def counted(equation: Equation, at: Sequence[int]) -> Node:
    """Return the left side at a place, counted from 1."""
    return Ref(equation.name, tuple(Leaf(str(i + 1), str(i + 1)) for i in at))


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
    return opened.replace(
        lambda e: isinstance(e, Indexed), lambda e: e if _lies_in(e, arrays) else sympy.S.Zero
    )


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
            return Plus(tuple(_sign_outside(negative, term) for negative, term in signed))
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
