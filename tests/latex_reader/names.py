"""Which letters of a page stand for which tensor, constant or function."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from chainrule.present import tree as t
from latex_reader.tokens import tokens

Triple = tuple[str, str, str]  # a letter, what stands above it, what stands below it


@dataclass
class Names:
    """The letters of a page: ``tensors`` by what is printed, those of a gradient by what ∂E is divided by.

    ``letters`` are constants with a subscript of their own; ``functions`` are letters before parentheses.
    ``matrix``: a subscript is the example that a vector belongs to; ``ranks`` counts the subscripts.
    """

    tensors: dict[Triple, t.Ref] = field(default_factory=dict)
    gradients: dict[Triple, t.Ref] = field(default_factory=dict)
    letters: set[Triple] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    matrix: bool = False
    ranks: dict[str, int] = field(default_factory=dict)

    def rank(self, ref: t.Ref) -> int:
        """Return how many subscripts a tensor has, 0 where that is not known."""
        return self.ranks.get(ref.symbol, 0)

    def add(self, latex: str, ref: t.Ref) -> None:
        """Say that a tensor is printed so; ∂E/∂W is that of W."""
        of_gradient = latex.startswith(r"\frac{\partial E}{\partial ")
        name = latex.removeprefix(r"\frac{\partial E}{\partial ")[:-1] if of_gradient else latex
        table = self.gradients if of_gradient else self.tensors
        key = triple(name)
        first = table.setdefault(key, ref).symbol
        assert first == ref.symbol, f"{latex} is {first} and {ref.symbol}"


def triple(latex: str) -> Triple:
    """Return letter, upper and lower part of a name that stands alone."""
    found = tokens(latex)
    letter, place = taken_letter(found, 0)
    upper = lower = ""
    while place < len(found):
        which, (inside, place) = found[place], taken_group(found, place + 1)
        if which == "^":
            upper = "".join(inside)
        else:
            lower = "".join(inside)
    return letter, upper, lower


def taken_letter(found: list[str], place: int) -> tuple[str, int]:
    """Return the letter at a place, an accent or a font with what it is put on, and the place after it."""
    letter = found[place]
    if letter in (r"\hat", r"\bar", r"\tilde", r"\mathrm", r"\mathbf", r"\operatorname", r"\operatorname*"):
        inside, after = taken_group(found, place + 1)
        return f"{letter}{{{''.join(inside)}}}", after
    while found[place + 1 : place + 2] == ["'"]:
        letter, place = f"{letter}'", place + 1
    return letter, place + 1


def taken_group(found: list[str], place: int) -> tuple[list[str], int]:
    """Return what stands in braces at a place, or the one token there, and the place after it."""
    if found[place] != "{":
        return [found[place]], place + 1
    depth, start = 0, place + 1
    while True:
        depth += {"{": 1, "}": -1}.get(found[place], 0)
        place += 1
        if not depth:
            return found[start : place - 1], place


def refs_of(nodes: Iterable[t.Node]) -> set[t.Ref]:
    """Return the tensors among nodes, without subscripts."""
    return {t.Ref(n.symbol, matrix=n.matrix) for n in nodes if isinstance(n, t.Ref)}
