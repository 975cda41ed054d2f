"""What a page prints, read back and worked out: helpers of tests/test_formulas_read_back.py."""

from __future__ import annotations

import contextlib
import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import sympy
from formula_values import IndexValues
from latex_reader.names import Names, Triple, triple

from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Reduction, name_of
from chainrule.derive.interpret import value_at
from chainrule.formula.functions import elementary
from chainrule.present import latex as tex
from chainrule.present import tree as t
from chainrule.present.lettering import letters_of
from chainrule.present.order import BATCH
from chainrule.present.page import Page, nodes
from chainrule.spec import SpecError
from chainrule.spec.load import parse_spec

N = 3
LARGEST = 400  # terms of a sum that the reference interpreter is asked to add up


def smaller(text: str) -> str:
    """Return a spec with the same layers, narrower and on smaller pictures."""
    text = re.sub(r"\bfilters = \d+", "filters = 2", text)
    text = re.sub(r"\bunits = (\d+)", lambda m: f"units = {m[1] if int(m[1]) < 4 else 3}", text)
    text = re.sub(r"\n(data|augment\w*) = [^\n{]*(?=\n)", "", text)
    text = re.sub(r"\nshape = \[(\d\d+)\]", "\nshape = [4]", text)
    for side in (6, 8, 10, 12, 16, 20):
        found = re.sub(r"\nshape = \[\d+, \d+, (\d+)\]", rf"\nshape = [{side}, {side}, \1]", text)
        with contextlib.suppress(SpecError):
            parse_spec(found, "net.toml")
            return found
    return text


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
        constants[whole] = int(rng.integers(2, 7))
    if derivation.network.labels:
        arrays["t"] = rng.integers(0, derivation.network.output_shape[-1], N)
    for noise in derivation.network.noise:
        arrays[noise.name] = rng.integers(0, 2, np.shape(arrays[noise.name]))
    constants |= {name: value.item() for name, value in arrays.items() if np.ndim(value) == 0}
    return Printed(derivation, arrays, constants)


def names_of(page: Page, matrix: bool = False) -> tuple[Names, dict[Triple, str]]:
    """Return the names of a page, and the symbols of its constants, by what is printed: each its own.

    Raises AssertionError where two tensors, or a tensor and a constant, are printed alike.
    """
    names, constants = Names(matrix=matrix), dict[Triple, str]()
    for node in nodes(page):
        if isinstance(node, t.Ref):
            names.ranks[node.symbol] = max(len(node.subscripts), names.ranks.get(node.symbol, 0))
            names.add(
                tex.write(replace(node, subscripts=(), mark="")), t.Ref(node.symbol, matrix=node.matrix)
            )
        elif isinstance(node, t.Leaf) and node.constant:
            key = triple(node.latex)
            assert constants.setdefault(key, node.constant) == node.constant, node
        elif isinstance(node, t.Leaf) and re.fullmatch(r"\\?[A-Za-z]+_\w", node.latex):
            names.letters.add(triple(node.latex))
    names.letters |= set(constants)
    for key, ref in names.tensors.items():
        assert constants.get(key, ref.symbol) == ref.symbol, (key, ref)
    return names, constants


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


@dataclass(frozen=True)
class Checked:
    """A page of a derivation, with what its letters mean and what indices count from."""

    found: Printed
    names: Names
    constants: dict[Triple, str]
    indices: Mapping[str, str]
    origin: int

    def differs(self, latex: str, equation: Equation, parsed: tuple[t.Node, str, t.Node]) -> str:
        """Return how a printed line differs from its equation, "" where it does not."""
        left, _relation, right = parsed
        if not isinstance(left, t.Ref) or left.symbol != equation.name:
            return f"{latex}: the left side is read as {left}"
        letters = {key: self.found.constants[symbol] for key, symbol in self.constants.items()}
        letters |= {triple("N"): N, triple(r"\pi"): math.pi}
        for point in points(equation, 2, random.Random(latex)):
            written = {self.indices.get(str(i), str(i)): value + self.origin for i, value in point.items()}
            values = IndexValues(self.found.arrays, letters, written, self.origin)
            at = tuple(values.letter(s.latex) - self.origin for s in left.subscripts if isinstance(s, t.Leaf))
            if at != tuple(point.values()):
                return f"{latex}: the left side has the subscripts {left.subscripts}"
            here, there = float(values.of(right)), reference(equation, self.found, point)
            if not math.isclose(here, there, rel_tol=1e-9, abs_tol=1e-12):
                return f"{latex}: at {point} printed {here}, the equation is {there}"
        return ""


def checked(found: Printed, page: Page) -> Checked:
    """Return what is needed to read a page of a derivation."""
    equations = found.derivation.equations
    origin = 0 if any("from 0" in sentence for sentence in page.preface) else 1
    names, constants = names_of(replace(page, where=()))
    return Checked(found, names, constants, letters_of(equations).indices, origin)
