"""What stands on the page: a small tree that LaTeX and plain text are both written from.

The order of terms and factors is settled when the tree is built, so that both read alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any


@dataclass(frozen=True)
class Leaf:
    """A number, a letter or a word.

    ``constant`` is the symbol of a constant or a size; ``index`` marks an index.
    """

    latex: str
    text: str
    constant: str = field(default="", compare=False)
    index: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Words:
    """Prose within a formula."""

    text: str


@dataclass(frozen=True)
class Ref:
    """A tensor by its symbol, with subscripts (index form) or marked with the example it belongs to.

    ``matrix``: with a row or a column for every example, a capital letter.  ``letter``, in LaTeX and in text,
    stands for the usual one where that is taken on the page.
    """

    symbol: str
    subscripts: tuple[Node, ...] = ()
    mark: str = ""
    matrix: bool = False
    letter: tuple[str, str] | None = None


@dataclass(frozen=True)
class Plus:
    """A sum of terms, each with whether it is subtracted."""

    terms: tuple[tuple[bool, Node], ...]


@dataclass(frozen=True)
class Times:
    """A product of scalars; the last factor may be anything that a scalar multiplies."""

    factors: tuple[Node, ...]


@dataclass(frozen=True)
class Dot:
    """A product of matrices and vectors."""

    factors: tuple[Node, ...]


@dataclass(frozen=True)
class Hadamard:
    """A product element by element."""

    factors: tuple[Node, ...]


@dataclass(frozen=True)
class Slid:
    """A kernel slid along an input, ⋆ (at i + u), or ∗ with the kernel ``turned`` (at i − u).

    ``note`` says what is not usual: s the stride, d the dilation, p the offset.
    """

    kernel: Node
    input: Node
    turned: bool = False
    note: str = ""


@dataclass(frozen=True)
class Over:
    """A fraction."""

    numerator: Node
    denominator: Node


@dataclass(frozen=True)
class Raised:
    """A power."""

    base: Node
    exponent: Node


@dataclass(frozen=True)
class Exp:
    """The exponential function."""

    exponent: Node


@dataclass(frozen=True)
class Root:
    """A square root."""

    body: Node


@dataclass(frozen=True)
class Bars:
    """An absolute value, or a norm with its mark (‖u‖² has mark 2 above, ‖u‖₁ mark 1 below)."""

    body: Node
    norm: bool = False
    above: str = ""
    below: str = ""


@dataclass(frozen=True)
class Rounded:
    """A whole number beside ``body``: below ⌊ ⌋, above ⌈ ⌉ or the nearest ⌊ ⌉, as the brackets say."""

    body: Node
    brackets: str


@dataclass(frozen=True)
class Transposed:
    """A transpose."""

    body: Node


@dataclass(frozen=True)
class Applied:
    """A function of its arguments; ``bare``: a single letter may stand without parentheses (log a)."""

    latex: str
    text: str
    arguments: tuple[Node, ...]
    bare: bool = False


@dataclass(frozen=True)
class Big:
    """Σ, Π, max or argmax over indices, each with its size ("" where its range is left out).

    ``told`` are the indices whose range every format says, because no tensor of the body has such an axis;
    they count from ``origin``.
    """

    operator: str
    indices: tuple[tuple[str, str], ...]
    body: Node
    told: tuple[str, ...] = ()
    origin: int = 1

    def last(self, size: str) -> str:
        """Return the last value of an index of that size."""
        if self.origin:
            return size
        return str(int(size) - 1) if size.isdecimal() else f"{size} - 1"

    def ranges(self) -> list[tuple[list[str], str]]:
        """Return the indices with their sizes, neighbours of one size together."""
        found: list[tuple[list[str], str]] = []
        for index, size in self.indices:
            if found and found[-1][1] == size:
                found[-1][0].append(index)
            else:
                found.append(([index], size))
        return found


@dataclass(frozen=True)
class Limit:
    """The limit of body as a variable goes to a value."""

    variable: Node
    value: Node
    body: Node


@dataclass(frozen=True)
class Related:
    """A comparison."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Joined:
    """Conditions of which all hold (∧), or at least one (∨)."""

    operator: str
    conditions: tuple[Node, ...]


@dataclass(frozen=True)
class Iverson:
    """1 where the condition holds, else 0."""

    conditions: tuple[Node, ...]


@dataclass(frozen=True)
class ByCase:
    """Values by case; the last one without a condition."""

    branches: tuple[tuple[Node, Node | None], ...]


@dataclass(frozen=True)
class Kronecker:
    """1 where two indices are equal, else 0."""

    left: Leaf
    right: Leaf


@dataclass(frozen=True)
class Matrix:
    """A matrix, written out."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class Slope:
    """A derivative of one thing by another, and by ``further``; ``total``: written with d, not ∂."""

    of: Node
    by: Node
    total: bool = False
    further: tuple[Node, ...] = ()


Node = (
    Leaf | Words | Ref | Plus | Times | Dot | Hadamard | Slid | Over | Raised | Exp | Root | Bars | Rounded
    | Transposed | Applied | Big | Limit | Related | Joined | Iverson | ByCase | Kronecker | Matrix | Slope
)  # fmt: skip

ONE = Leaf("1", "1")
ONES = Leaf(r"\mathbf{1}", "𝟏")
SOFTMAX = "softmax"  # what a page calls exp(z)/𝟏ᵀexp(z)


def children(node: object) -> Iterator[Node]:
    """Yield the nodes directly below a node, or a line."""
    parts: Any = node
    for value in parts if isinstance(node, tuple) else (getattr(node, f.name) for f in fields(parts)):
        if isinstance(value, tuple):
            yield from children(value)
        elif isinstance(value, Node):
            yield value


def contains(node: object, kind: type) -> bool:
    """Whether there is a node of a kind somewhere in a tree, or a line."""
    return isinstance(node, kind) or any(contains(below, kind) for below in children(node))


def mapped(node: Node, change: Callable[[Node], Node]) -> Node:
    """Return a node with every node directly below it changed."""

    def inside(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(map(inside, value))
        return change(value) if isinstance(value, Node) else value

    return replace(node, **{f.name: inside(getattr(node, f.name)) for f in fields(node)})  # type: ignore[arg-type]


def changed(node: Node, change: Callable[[Node], Node]) -> Node:
    """Return a tree with every node changed, from the leaves up."""
    return change(mapped(node, lambda below: changed(below, change)))


def counted(node: Node, origin: int) -> Node:
    """Return a tree whose indices count from ``origin``."""
    return changed(node, lambda each: replace(each, origin=origin) if isinstance(each, Big) else each)


def is_open(node: Node) -> bool:
    """Whether a term ends in an operator that might reach over a + behind it: max_j z_j + b.

    Σ and Π reach to the next + by custom; of a maximum, a place or a limit that is not known.
    """
    match node:
        case Big(operator=operator, body=body):
            return operator in ("max", "argmax") or is_open(body)
        case Limit():
            return True
        case Times(factors) | Dot(factors) | Hadamard(factors):
            return is_open(factors[-1])
        case Plus(terms):
            return is_open(terms[-1][1])
    return False


def negated(node: Node) -> Node:
    """Return −node."""
    if isinstance(node, Plus):
        return Plus(tuple((not negative, term) for negative, term in node.terms))
    return Plus(((True, node),))
