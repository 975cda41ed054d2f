"""The table of notation: every symbol on the page, its meaning, its shapes, its name in the program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from chainrule.cli.handout.markup import formula
from chainrule.cli.handout.meanings import INDICES, constant, meaning_of
from chainrule.derive.derivation import Derivation
from chainrule.derive.index import primal
from chainrule.derive.prose import Prose, say
from chainrule.derive.reader import reader
from chainrule.present.build import number
from chainrule.present.notation import FIXED, differentiated, exchanged, is_delta, name
from chainrule.present.page import Page
from chainrule.present.sides import Line
from chainrule.present.tree import Big, Leaf, Node, Ref, Slope, children

_LAYER = re.compile(r"^([A-Za-z]+?)\d+(_\d+)?$")


@dataclass(frozen=True)
class Member:
    """One symbol of a row."""

    formula: Markup
    shape: str
    identifier: str


@dataclass(frozen=True)
class SymbolRow:
    """Symbols of one kind, and what they mean."""

    meaning: str
    members: tuple[Member, ...]


@dataclass
class Symbols:
    """What stands on a page, each once, in order of appearance: tensors, letters, indices."""

    tensors: dict[Ref, None] = field(default_factory=dict)
    letters: dict[Leaf, None] = field(default_factory=dict)
    indices: dict[Leaf, None] = field(default_factory=dict)


def rows(derivation: Derivation, page: Page, letters: Mapping[str, str]) -> tuple[SymbolRow, ...]:
    """Return the table for a page before its ``letters`` are exchanged for those of the reader's notation."""
    found = on_page(page)
    shapes = shapes_of(derivation)
    network = derivation.network
    kept = {each.name for each in (*network.parameters, *network.statistics)}  # β² is one, Adam's β₂ is not
    kinds: dict[tuple[str, Prose], list[Member]] = {}
    for tensor in found.tensors:
        symbol = tensor.symbol
        written = tensor if primal(symbol) else replace(tensor, symbol=exchanged(symbol, letters))
        identifier = symbol if symbol in kept else name(symbol).identifier
        member = Member(formula(written), _shape(shapes.get(symbol, ()), tensor.matrix), identifier)
        members = kinds.setdefault((_letter(symbol), meaning_of(symbol, network)), [])
        if member not in members:  # a capital letter has no greater one
            members.append(member)
    table = [SymbolRow(say(meaning), tuple(members)) for (_kind, meaning), members in kinds.items()]
    tensors = {tensor.symbol for tensor in found.tensors} - kept
    for letter, symbol in named(found.letters):
        if symbol not in tensors:
            table.append(_constant(letter, symbol, derivation))
    if found.indices:
        indices = sorted(found.indices, key=lambda leaf: leaf.text)
        table.append(SymbolRow(say(INDICES), tuple(Member(formula(leaf), "", "") for leaf in indices)))
    return tuple(table)


def _letter(symbol: str) -> str:
    """Return what symbols of one row share: the letter without its layer, ∂ for ∂E/∂ of anything."""
    if primal(symbol) is not None:
        return "δ" if is_delta(symbol) else "∂"
    return _LAYER.sub(r"\1", symbol)


def on_page(page: Page) -> Symbols:
    """Return the symbols of a page's equations, in the textbook's and in the computed form."""
    found = Symbols()
    for entry in page.entries:
        for shown in filter(None, (entry.line, entry.computed)):
            for side in (shown.left, shown.right):
                _collect(side, found)
    return found


def _collect(node: Node, found: Symbols) -> None:
    match node:
        case Ref(symbol=symbol, subscripts=subscripts, mark=mark):
            of = differentiated(symbol)
            if of is not None:
                found.tensors.setdefault(Ref(of, matrix=node.matrix))
            found.tensors.setdefault(Ref(symbol, matrix=node.matrix, letter=node.letter))
            if mark:
                found.indices.setdefault(Leaf(mark, mark))
            for each in subscripts:
                _collect(each, found)
            return
        case Leaf(index=True):
            found.indices.setdefault(node)
        case Leaf(constant=constant) if constant:
            found.letters.setdefault(node)
        case Big(indices=indices):
            for letter, _size in indices:
                found.indices.setdefault(Leaf(letter, letter))
    for child in below(node):
        _collect(child, found)


def below(node: Node) -> Iterator[Node]:
    """Yield the nodes below a node that are more than text."""
    if not isinstance(node, Slope | Leaf):
        yield from children(node)


def shapes_of(derivation: Derivation) -> dict[str, tuple[str, ...]]:
    """Return the shape of every tensor, the examples of the batch first."""
    shapes: dict[str, tuple[str, ...]] = {}
    for numbered in derivation.equations:
        for equation in (numbered.equation, numbered.computed):
            for symbol, base in {**equation.reads(), equation.name: equation.left.base}.items():
                shapes.setdefault(symbol, tuple(str(size) for size in base.shape))
    return shapes


def _shape(sizes: tuple[str, ...], matrix: bool) -> str:
    """Return a shape as equations show it; "" for a number."""
    if matrix and reader().batch == "columns":
        sizes = sizes[::-1]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})" if sizes else ""


def named(letters: Iterable[Leaf]) -> Iterator[tuple[Leaf, str]]:
    """Yield letters that are no tensors, each with its symbol in the table of names."""
    for letter in letters:
        yield letter, letter.constant


def _constant(letter: Leaf, symbol: str, derivation: Derivation) -> SymbolRow:
    """Return the row of a letter that is no tensor: N, a hyper-parameter with its value."""
    from sympy import Rational

    value = derivation.network.spec.optimizer.options.get(symbol)
    shown = letter if value is None else Line(letter, "=", number(Rational(str(value))))
    identifier = name(symbol).identifier if symbol in FIXED else ""
    return SymbolRow(say(constant(symbol)), (Member(formula(shown), "", identifier),))
