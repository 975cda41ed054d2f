"""Where the entry of a tensor lies in memory, and which indices a flat position stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sympy import Symbol

from chainrule.codegen.ir.program import Extent, Shape
from chainrule.codegen.kernels.places import N

RESERVED = frozenset(
    ("N", "real", "row", "column", "term", "at", "batch", "part", "sum", "seed", "step", "steps", "shared")
)


class Names:
    """Names of C variables for indices, all different."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = RESERVED | set(taken)
        self.names: dict[Symbol, str] = {N: "N"}
        self.given: set[str] = set()

    def of(self, index: Symbol) -> str:
        """Return the name of an index: its own where that is free."""
        if index not in self.names:
            base = index.name.lstrip("_")
            name, count = base, 1
            while name in self.taken or name in self.names.values():
                count += 1
                name = f"{base}{count}"
            self.names[index] = name
            self.given.add(name)
        return self.names[index]


def horner(subscripts: Sequence[str], shape: Shape) -> str:
    """Return the text of the position of an entry: (n * 30 + i) * 30 + j."""
    text = ""
    for subscript, extent in zip(subscripts, shape, strict=True):
        if extent == 1:
            continue
        if text in ("", "0"):
            text = subscript
            continue
        sum_before = " + " in text or " - " in text
        text = f"{f'({text})' if sum_before else text} * {extent}"
        text += "" if subscript == "0" else f" + {subscript}"
    return text or "0"


def decoded(
    flat: str, indices: Sequence[Symbol], extents: Mapping[Symbol, Extent], names: Mapping[Symbol, str]
) -> list[str]:
    """Return the definitions of the indices that a flat position stands for, the first outermost."""
    texts: list[str] = []
    below: list[str] = []  # extents of the indices that run faster
    for position, index in reversed([*enumerate(indices)]):
        step = _product(below)
        text = flat if step == "1" else f"{flat} / {f'({step})' if ' ' in step else step}"
        if position:
            text += f" % {extents[index]}"
        if extents[index] == 1:
            text = "0"
        texts.insert(0, f"{names[index]} = {text}")
        below.append(str(extents[index]))
    return texts


def _product(factors: Sequence[str]) -> str:
    number = 1
    others = []
    for factor in factors:
        if factor.isdigit():
            number *= int(factor)
        else:
            others.append(factor)
    parts = [*([str(number)] if number != 1 or not others else []), *others]
    return " * ".join(parts)
