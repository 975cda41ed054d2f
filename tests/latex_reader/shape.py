"""The structure of a formula, so that what was printed and what was read back can be compared.

Products of numbers and of matrices are written alike, and so are their trees here; a number before a product
element by element goes to its first factor.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chainrule.present import latex as tex
from chainrule.present import tree as t
from latex_reader.grammar import Reader
from latex_reader.names import Names, Triple, triple
from latex_reader.tokens import tokens

Shape = Any


def shape(node: t.Node, names: Names) -> Shape:
    """Return the structure of a tree, what the tree of a writer has in one leaf read as a formula too."""
    of = lambda each: shape(each, names)  # noqa: E731
    match node:
        case t.Leaf(latex=latex):
            return _leaf(latex, names)
        case t.Ref(symbol) if (key := _gradient(symbol, names)) is not None:
            return ("slope", ("leaf", "E"), ((key, *map(of, node.subscripts), node.mark),), False)
        case t.Slope(t.Leaf("E"), t.Ref() as by, False, ()) if (key := _key(by)) in names.gradients:
            return ("slope", ("leaf", "E"), ((key, *map(of, by.subscripts), by.mark),), False)
        case t.Ref(symbol, (), ""):
            return ("name", symbol)
        case t.Ref(symbol, subscripts, mark):
            return ("ref", symbol, tuple(map(of, subscripts)), mark)
        case t.Words():
            return "words"
        case t.Plus(((False, term),)):
            return of(term)
        case t.Plus(terms):
            return ("plus", *((negative, of(term)) for negative, term in terms))
        case t.Times((*before, t.Hadamard((first, *rest)))):
            return ("hadamard", of(t.Times((*before, first))), *map(of, rest))
        case t.Times(factors) | t.Dot(factors):
            return _product([of(factor) for factor in factors if factor != t.Leaf(r"\cdot", "·")])
        case t.Applied("", _text, (argument,)):
            return of(argument)
        case t.Hadamard(factors):
            return ("hadamard", *map(of, factors))
        case t.Raised(base, exponent):
            return ("raised", of(base), of(exponent))
        case t.Applied(latex, _text, arguments):
            return ("applied", _roman(latex), *map(of, arguments))
        case t.Big(operator, indices, body):
            over, inner = tuple(index for index, _size in indices), of(body)
            if operator in ("sum", "prod") and inner[:2] == ("big", operator):
                return ("big", operator, (*over, *inner[2]), inner[3])
            return ("big", operator, over, inner)
        case t.Kronecker(left, right):
            return ("kronecker", left.latex, right.latex)
        case t.ByCase(branches):
            return ("choice", *((of(value), of(c) if c else None) for value, c in branches))
        case t.Rounded(body, brackets):
            return ("rounded", of(body), brackets)
        case t.Joined(operator, conditions):
            return ("joined", operator, *map(of, conditions))
        case t.Related(operator, left, right):
            return ("related", operator, of(left), of(right))
        case t.Matrix(rows):
            return ("grid", *(tuple(map(of, row)) for row in rows))
        case t.Slope(of_, by, total, further):
            return ("slope", of(of_), tuple(map(of, (by, *further))), total)
        case t.Bars(body, norm, above, below):
            return ("bars", of(body), norm, above, below)
        case t.Slid(kernel, input_, turned, note):
            return ("slid", of(kernel), of(input_), turned, note.replace(" ", ""))
        case _:
            inside = vars(node).values()
            single = [of(each) for each in inside if isinstance(each, t.Node)]
            several = [tuple(map(of, each)) for each in inside if isinstance(each, tuple)]
            return (type(node).__name__, *single, *several)


def _gradient(symbol: str, names: Names) -> Triple | None:
    """Return the printed name of what the loss is differentiated by, None where a symbol is no gradient."""
    return next((key for key, ref in names.gradients.items() if ref.symbol == symbol), None)


def _key(ref: t.Ref) -> Triple:
    return triple(tex.write(replace(ref, subscripts=(), mark="")))


def _leaf(latex: str, names: Names) -> Shape:
    found = tokens(latex)
    node: t.Node = t.Leaf("".join(found), "")
    if found:
        node = Reader(found, replace(names, functions=set())).relation()
    if isinstance(node, t.Leaf):
        return ("leaf", _roman(node.latex))
    return shape(node, names)


def line_shape(left: t.Node, relation: str, right: t.Node, names: Names) -> Shape:
    """Return the structure of a line: all parts of a chain a = b ≈ c, with the relations between them."""
    return (*_chain(left, names), relation, *_chain(right, names))


def _chain(node: t.Node, names: Names) -> Shape:
    if isinstance(node, t.Related):
        return (*_chain(node.left, names), node.operator, *_chain(node.right, names))
    return (shape(node, names),)


def _roman(latex: str) -> str:
    """Return what is printed, upright letters the same wherever they come from."""
    return "".join(tokens(latex)).replace(r"\operatorname{", r"\mathrm{")


def _product(factors: list[Shape]) -> Shape:
    flat: list[Shape] = []
    for factor in factors:
        flat += factor[1:] if factor[:1] == ("times",) else [factor]
    return ("times", *flat)
