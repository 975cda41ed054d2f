"""What a matrix formula on the page is worth: its tree, as it is printed, worked out on NumPy arrays.

Vectors are columns.  Nothing of the engine is used but the tree: a wrong transpose or a forgotten sum shows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np

from chainrule.present import tree as t

Array = np.ndarray
Shape = tuple[int, int]


class UnknownLength(Exception):
    """A vector of ones whose length nothing around it tells."""


@dataclass(frozen=True)
class Values:
    """Arrays by symbol; ``layout`` is example, rows or columns, ``at`` the example that a letter means."""

    arrays: Mapping[str, Any]
    of_examples: frozenset[str]
    layout: str
    letters: Mapping[str, float] = field(default_factory=dict)
    at: Mapping[str, int] = field(default_factory=dict)

    def of(self, node: t.Node, shape: Shape | None = None) -> Array:
        """Return the value as a matrix; ``shape`` is that of the whole formula, where it is known."""
        same = lambda part: self.of(part, shape)  # noqa: E731
        match node:
            case t.Leaf():
                return self._leaf(node, shape)
            case t.Ref():
                return self._tensor(node)
            case t.Plus(terms):
                signs = [-1.0 if negative else 1.0 for negative, _ in terms]
                found = self._together([term for _, term in terms], shape)
                return sum(s * f for s, f in zip(signs, found, strict=True))
            case t.Times(factors) | t.Hadamard(factors):
                return reduce(np.multiply, self._together(list(factors), shape))
            case t.Dot(factors):
                return self._dot(list(factors), shape)
            case t.Over(above, below):
                return np.divide(*self._together([above, below], shape))
            case t.Raised(base, exponent):
                return same(base) ** self.of(exponent)
            case t.Exp(exponent):
                return np.exp(same(exponent))
            case t.Root(body):
                return np.sqrt(same(body))
            case t.Transposed(body):
                return self.of(body, shape and shape[::-1]).T
            case t.Bars(body, norm, above, _below):
                inside = self.of(body, None if norm else shape)
                return np.abs(inside) if not norm else _one(np.sum(inside**2 if above else np.abs(inside)))
            case t.Applied():
                return self._applied(node, shape)
            case t.Big("sum", ((index, _),), body):
                count = int(self.letters["N"])
                return sum(replace(self, at={**self.at, index: n}).of(body, shape) for n in range(count))
            case t.Iverson(conditions):
                return reduce(np.multiply, map(same, conditions))
            case t.Related(operator, left, right):
                compare: dict[str, Callable[..., Any]] = {
                    ">": np.greater, "≥": np.greater_equal, "<": np.less, "≤": np.less_equal,
                }  # fmt: skip
                return compare[operator](*self._together([left, right], shape)).astype(float)
            case t.ByCase(branches):
                (value, condition), *rest = branches
                if condition is None or not rest:
                    return same(value)
                return np.where(same(condition) > 0, same(value), self.of(t.ByCase(tuple(rest)), shape))
        raise TypeError(f"no value for {type(node).__name__}")

    def _leaf(self, node: t.Leaf, shape: Shape | None) -> Array:
        if node == t.ONES:
            if shape is None:
                raise UnknownLength
            return np.ones(shape)
        number = {"π": np.pi, "e": np.e, **self.letters}.get(node.text)
        return _one(float(node.text) if number is None else number)

    def _tensor(self, node: t.Ref) -> Array:
        found = np.asarray(self.arrays[node.symbol], dtype=float)
        if node.matrix:
            assert node.symbol in self.of_examples and found.ndim == 2
            return found if self.layout == "rows" else found.T
        if node.symbol in self.of_examples and self.layout == "example":
            found = found[self.at[node.mark or ""]]
        assert found.ndim < 3
        return found.reshape(-1, 1) if found.ndim < 2 else found

    def _together(self, nodes: list[t.Node], shape: Shape | None) -> list[Array]:
        """Return values of one shape; what ones do not tell by themselves the others do."""
        found: list[Array | None] = []
        for node in nodes:
            try:
                found.append(self.of(node, shape))
            except UnknownLength:
                found.append(None)
        known = [f.shape for f in found if f is not None and f.shape != (1, 1)]
        if None in [f if f is None else 0 for f in found]:
            if not known:
                raise UnknownLength
            found = [self.of(n, known[0]) if f is None else f for n, f in zip(nodes, found, strict=True)]
        shapes = {f.shape for f in found if f is not None and f.shape != (1, 1)}
        assert len(shapes) <= 1, f"shapes {shapes} are put together element by element"
        return [f for f in found if f is not None]

    def _dot(self, factors: list[t.Node], shape: Shape | None) -> Array:
        values: list[Array | None] = [None if _is_ones(f) else self.of(f) for f in factors]
        for place, node in enumerate(factors):
            if values[place] is not None:
                continue
            turned = isinstance(node, t.Transposed)
            beside = place + 1 if turned else place - 1
            if 0 <= beside < len(values):
                near = values[beside]
                if near is None:
                    raise UnknownLength
                length = near.shape[0] if turned else near.shape[1]
            elif shape is None:
                raise UnknownLength
            else:
                length = shape[1] if turned else shape[0]
            values[place] = np.ones((1, length) if turned else (length, 1))
        for left, right in itertools.pairwise(values):
            assert left is not None and right is not None
            assert left.shape[1] == right.shape[0], f"{left.shape} times {right.shape}"
        return reduce(np.matmul, [v for v in values if v is not None])

    def _applied(self, node: t.Applied, shape: Shape | None) -> Array:
        if node.text == "onehot":
            assert shape is not None
            (labels,) = (self.of(a).ravel().astype(int) for a in node.arguments)
            rows = np.eye(shape[1] if self.layout == "rows" else shape[0])[labels]
            return rows if self.layout == "rows" else rows.T
        if node.text == "softmax":
            (z,) = (self.of(a, shape) for a in node.arguments)
            axis = 1 if self.layout == "rows" else 0
            return np.exp(z) / np.exp(z).sum(axis=axis, keepdims=True)
        if node.text in ("max", "min"):
            if len(node.arguments) == 1:
                return _one(self.of(node.arguments[0]).max())
            return getattr(np, f"{node.text}imum")(*self._together(list(node.arguments), shape))
        (argument,) = (self.of(a, shape) for a in node.arguments)
        functions: dict[str, Callable[[Array], Array]] = {
            "σ": lambda u: 1 / (1 + np.exp(-u)),
            "log": np.log, "exp": np.exp, "tanh": np.tanh, "cosh": np.cosh, "sinh": np.sinh,
            "sin": np.sin, "cos": np.cos, "sign": np.sign, "erf": np.vectorize(math.erf),
            "softplus": lambda u: np.log(1 + np.exp(u)),
        }  # fmt: skip
        return functions[node.text](argument)


def _is_ones(node: t.Node) -> bool:
    return node in (t.ONES, t.Transposed(t.ONES))


def _one(value: Any) -> Array:
    return np.array([[float(value)]])
