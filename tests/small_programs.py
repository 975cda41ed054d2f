"""Programs of a few statements, written down by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sympy import Indexed, Integer, Symbol, sympify

from chainrule.codegen.ir.program import (
    BATCH,
    EquationNote,
    Extent,
    Load,
    Loop,
    Program,
    Shape,
    Statement,
    Value,
)
from chainrule.codegen.ir.section import Section
from chainrule.derive.index import access, index, size, tensor

N = size("N")
i, j, k, n, u, v = (index(name) for name in "ijknuv")
SHAPES: dict[str, tuple[Shape, str]] = {
    "x": ((BATCH, 4), "input"),
    "img": ((BATCH, 6, 2), "input"),
    "t": ((BATCH,), "target"),
    "W": ((3, 4), "parameter"),
    "b": ((3,), "parameter"),
    "one": ((1, 4), "parameter"),
    "theta": ((19,), "parameter"),
    "mean": ((4,), "statistic"),
    "m": ((5,), "state"),
    "dW": ((3, 4), "local"),
    "y": ((BATCH, 3), "local"),
    "z": ((BATCH, 3), "local"),
    "w": ((BATCH, 5, 2, 2), "local"),
    "flat": ((BATCH, 12), "local"),
    "large": ((BATCH, 8, 2), "local"),
    "s": ((), "local"),
    "rows": ((BATCH,), "local"),
    "pairs": ((BATCH, BATCH), "local"),
}


def program(forward: Iterable[Statement | Loop] = (), notes: Iterable[int] = (), **said: Any) -> Program:
    """A program of the values above and `shapes`; ``said`` has other sections, `NAME_` what one is like."""
    sections = {name: tuple(said.get(name, ())) for name in Section} | {Section.FORWARD: tuple(forward)}
    values = {
        name: Value(name, shape, kind, name, integer=name == "t", **said.get(f"{name}_", {}))
        for name, (shape, kind) in (SHAPES | said.get("shapes", {})).items()
    }
    told = {number: EquationNote(number, "", "", "", "") for number in notes}
    return Program(sections, values, told, said.get("output", "y"), {}, {}, "")


def read(name: str, *subscripts: Any) -> Indexed:
    shape: tuple[Extent, ...] = SHAPES[name][0]
    return access(tensor(name, *(N if e == BATCH else Integer(e) for e in shape)), *map(sympify, subscripts))


def load(name: str, *indices: Symbol) -> Load:
    return Load(name, indices)
