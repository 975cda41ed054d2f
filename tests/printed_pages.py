"""What a page prints, read back and worked out: helpers of tests/test_formulas_read_back.py."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import sympy
from formula_values import IndexValues
from latex_reader.grammar import read
from latex_reader.names import Names, Triple, triple
from latex_reader.tokens import tokens

from derive.deriving import Derivation, derive_network
from derive.index import Equation, Reduction, name_of
from derive.interpret import value_at
from derive.functions import elementary
from derive.notation import name
from derive.present import latex as tex
from derive.present import tree as t
from derive.present.order import BATCH
from derive.spec.load import parse_spec

N = 3
LARGEST = 4000  # terms of a sum that the reference interpreter is asked to add up


@dataclass(frozen=True)
class Printed:
    """A derivation with random arrays for all of its tensors; letters of constants with their values."""

    derivation: Derivation
    arrays: dict[str, Any]
    constants: dict[str, float]


@cache
def printed(text: str, file: str = "net.toml") -> Printed:
    """Return a spec's derivation, every tensor with values of its own."""
    derivation = derive_network(parse_spec(text, file))
    rng = np.random.default_rng(5)
    arrays: dict[str, Any] = {}
    constants: dict[str, float] = {"N": N}
    for numbered in derivation.equations:
        for equation in (numbered.equation, numbered.computed):
            for base in (equation.left.base, *equation.reads().values()):
                shape = tuple(N if size == BATCH else int(size) for size in base.shape)
                arrays.setdefault(name_of(base), rng.uniform(0.1, 0.9, shape))
            labels = {base.label for base in equation.right.atoms(sympy.IndexedBase)}
            for symbol in sorted(equation.right.free_symbols - labels, key=str):
                if symbol.is_positive and symbol.name not in constants:
                    constants[symbol.name] = float(rng.uniform(0.2, 0.8))
    for whole in ("k", "K", "warmup", "decay_every"):
        constants[whole] = rng.integers(2, 7)
    if derivation.network.labels:
        arrays["t"] = rng.integers(0, derivation.network.output_shape[-1], N)
    for noise in derivation.network.noise:
        arrays[noise.name] = rng.integers(0, 2, np.shape(arrays[noise.name]))
    return Printed(derivation, arrays, constants)


def names_of(symbols: Iterable[str], letters: Iterable[str] = (), matrix: bool = False) -> Names:
    """Return the names under which tensors and constants are printed, each its own."""
    names = Names(matrix=matrix)
    for symbol in symbols:
        names.add(name(symbol).latex, t.Ref(symbol))
        if matrix:
            names.add(name(symbol, True).latex, t.Ref(symbol, matrix=True))
    names.letters |= {triple(name(letter).latex) for letter in letters}
    return names


def reference(equation: Equation, found: Printed, point: Mapping[Any, int]) -> float:
    """Return what the interpreter of index equations says that the right side is."""
    bindings: dict[Any, Any] = {BATCH: N, **point}
    for symbol in equation.right.free_symbols:
        if symbol.is_positive and symbol.name in found.constants and symbol not in bindings:
            bindings[symbol] = found.constants[symbol.name]
    return float(value_at(elementary(equation.right), found.arrays, bindings))


def is_small(equation: Equation) -> bool:
    sizes = [
        math.prod(N if n == BATCH else int(n) for _i, n in r.axes) for r in equation.right.atoms(Reduction)
    ]
    return math.prod(sizes) <= LARGEST


def points(equation: Equation, count: int, chance: random.Random) -> list[dict[Any, int]]:
    """Return places of the left side: its first and last element, and others by chance."""
    sizes = {i: N if n == BATCH else int(n) for i, n in equation.axes if isinstance(i, sympy.Symbol)}
    first, last = dict.fromkeys(sizes, 0), {i: n - 1 for i, n in sizes.items()}
    others = [{i: chance.randrange(n) for i, n in sizes.items()} for _ in range(count)]
    return [first, last, *others][: count + 2 if sizes else 1]


def check_line(shown: t.Node, latex: str, equation: Equation, found: Printed, names: Names, origin: int) -> str:
    """Return how a printed line differs from its equation, "" where it does not."""
    left, _relation, right = read(tokens(latex), names)
    letters = {triple(name(key).latex): value for key, value in found.constants.items()}
    chance = random.Random(latex)
    if not isinstance(left, t.Ref) or left.symbol != equation.name:
        return f"{latex}: the left side is read as {left}"
    for point in points(equation, 2, chance):
        written = {str(i): value + origin for i, value in point.items()}
        values = IndexValues(found.arrays, letters, written, origin)
        at = tuple(values.letter(s.latex) - origin for s in left.subscripts if isinstance(s, t.Leaf))
        if at != tuple(point.values()):
            return f"{latex}: the left side has the subscripts {left.subscripts}"
        printed_, right_ = float(values.of(right)), reference(equation, found, point)
        if not math.isclose(printed_, right_, rel_tol=1e-9, abs_tol=1e-12):
            return f"{latex}: at {point} printed {printed_}, the equation is {right_}"
    return ""
