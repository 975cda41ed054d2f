"""Index equations: ``lhs[free indices] = right side`` over tensors that are zero outside their box.

A right side is a SymPy expression over ``Indexed`` accesses with affine subscripts, in which ``Sum`` and
``Max`` reduce over indices.  Every index has a size, every tensor a shape; both may be symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy
from sympy import Basic, Expr, Symbol, Tuple

from chainrule.derive.tensors import Indexed, IndexedBase

DIFFERENTIAL = "d "
# What indices bound together are called where their own names are taken: the second of two samples, …
KIN = {
    "n": "m",
    "n i": "m p",
    "n i j": "m p q",
    "i j": "p q",
    "i j k": "p q l",
    "q": "r",
    "u": "r",
    "u v": "r s",
}


def index(name: str) -> Symbol:
    """Return the index of that name."""
    return Symbol(name, integer=True)


def size(name: str) -> Symbol:
    """Return the symbolic size of that name: a positive integer."""
    return Symbol(name, integer=True, positive=True)


def tensor(name: str, *shape: object) -> IndexedBase:
    """Return the real tensor of that name; its shape is a tuple of sizes, () for a scalar."""
    return IndexedBase(Symbol(name, real=True), Tuple(*shape))


def name_of(base: IndexedBase) -> str:
    """Return a tensor's name."""
    return base.label.name


def cotangent(name: str) -> str:
    """Return the name of a tensor's cotangent, ∂E/∂name: with a space, which no tensor's own name has."""
    return f"{DIFFERENTIAL}{name}"


def primal(name: str) -> str | None:
    """Return the name of the tensor that a tensor is the cotangent of, None for what is no cotangent."""
    return name.removeprefix(DIFFERENTIAL) if name.startswith(DIFFERENTIAL) else None


def plain_name(name: str) -> str:
    """Return a tensor's name in letters and digits: dz1 for the cotangent of z1."""
    of = primal(name)
    return name if of is None else f"d{of}"


class Reduction(Expr):
    """A reduction of ``body`` over ``axes``: pairs (index, size), the indices bound."""

    is_commutative = True
    is_extended_real = True

    def __new__(cls, body: object, *axes: Iterable[object]) -> Expr:
        body = sympy.sympify(body, strict=True)
        if not axes:
            return body
        return Expr.__new__(cls, body, *[Tuple(*axis) for axis in axes])

    @property
    def body(self) -> Expr:
        return self.args[0]

    @property
    def axes(self) -> tuple[Tuple, ...]:
        return self.args[1:]

    @property
    def bound(self) -> tuple[Symbol, ...]:
        return tuple(symbol for symbol, _ in self.axes)

    @property
    def free_symbols(self) -> set[Symbol]:
        return super().free_symbols - set(self.bound)

    def _sympystr(self, printer: object) -> str:
        bound = ",".join(str(s) for s in self.bound)
        return f"{type(self).__name__.lower()}_{bound}({self.body})"

    def renamed(self) -> Reduction:
        """Return the same reduction with fresh bound indices."""
        fresh = {symbol: fresh_index(symbol) for symbol in self.bound}
        return self.xreplace(fresh)


class Sum(Reduction):
    """Σ over the axes of body."""


class Max(Reduction):
    """The greatest value of body over the axes."""


class Winner(Expr):
    """1 where the axes' indices, taken at ``at``, are the first that reach the maximum of body; else 0.

    args: body, at (a tuple of index expressions), then the axes, whose indices are bound in body.
    """

    is_commutative = True
    is_extended_real = True

    def __new__(cls, body: object, at: Iterable[object], *axes: Iterable[object]) -> Expr:
        return Expr.__new__(cls, body, Tuple(*at), *[Tuple(*axis) for axis in axes])

    @property
    def body(self) -> Expr:
        return self.args[0]

    @property
    def at(self) -> tuple[Expr, ...]:
        return tuple(self.args[1])

    @property
    def axes(self) -> tuple[Tuple, ...]:
        return self.args[2:]

    @property
    def free_symbols(self) -> set[Symbol]:
        bound = {symbol for symbol, _ in self.axes}
        return (self.body.free_symbols - bound) | self.args[1].free_symbols


class Inside(Expr):
    """The guard 0 ≤ expression < size: 1 where it holds, else 0."""

    is_commutative = True
    is_extended_real = True

    def __new__(cls, expression: Expr | int, size: Expr | int) -> Inside:
        return super().__new__(cls, sympy.sympify(expression, strict=True), sympy.sympify(size, strict=True))

    @property
    def expression(self) -> Expr:
        return self.args[0]

    @property
    def size(self) -> Expr:
        return self.args[1]


def fresh_index(like: Symbol) -> Symbol:
    """Return a new index that differs from every other."""
    return sympy.Dummy(like.name, integer=True)


@dataclass(frozen=True, eq=False)
class Equation:
    """``left`` = ``right``.  The left side's subscripts are the free indices, its shape their sizes.

    ``pattern`` is the equation of the same form under names of its own: this one itself, if there is no
    other.  ``tensors`` are the names here, in the order of the pattern's own: that of the left side, then
    those on the right in alphabetical order.  What is equal for all names (shapes, indices, how it is
    computed) is found once by the pattern: the names of its equations sort alike, so that their terms do.
    """

    left: Indexed
    right: Expr

    @cached_property
    def pattern(self) -> Equation:
        return self

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        return (self.name, *(name for name in self.read if name != self.name))

    @property
    def name(self) -> str:
        return name_of(self.left.base)

    @property
    def free(self) -> tuple[Symbol, ...]:
        return tuple(self.left.indices)

    @property
    def axes(self) -> tuple[Tuple, ...]:
        """The free indices with their sizes."""
        return tuple(Tuple(i, n) for i, n in zip(self.free, self.left.base.shape, strict=True))

    @property
    def read(self) -> tuple[str, ...]:
        """The names of the tensors on the right side, in alphabetical order."""
        return tuple(self._reads)

    def reads(self) -> dict[str, IndexedBase]:
        """Return the tensors on the right side by name, in order of their names."""
        return dict(self._reads)

    @cached_property
    def _reads(self) -> dict[str, IndexedBase]:
        return {name_of(base): base for base in sorted(self.right.atoms(IndexedBase), key=name_of)}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Equation):
            return NotImplemented
        if self.pattern is other.pattern:
            return self.tensors == other.tensors
        return bool(self.left == other.left and self.right == other.right)

    def __hash__(self) -> int:
        return hash((self.left, self.right))

    def replace(self, mapping: Mapping[Expr, Expr]) -> Equation:
        """Return the equation with symbols, sizes or tensors exchanged on both sides."""
        return Equation(self.left.xreplace(mapping), self.right.xreplace(mapping))

    def at(self, subscripts: Iterable[Expr]) -> Expr:
        """Return the right side at other subscripts; bound indices are renamed, so that none is captured."""
        return apart(self.right).xreplace(dict(zip(self.free, subscripts, strict=True)))

    def __str__(self) -> str:
        return f"{self.left} = {self.right}"


class Scalar(Indexed):
    """The access of a tensor without axes, which SymPy's Indexed does not allow."""

    is_commutative = True
    is_extended_real = True

    def __new__(cls, base: IndexedBase) -> Expr:
        return Expr.__new__(cls, base)


def access(base: IndexedBase, *subscripts: object) -> Indexed:
    """Return base[subscripts]; a scalar is accessed with none."""
    return Indexed(base, *subscripts) if subscripts else Scalar(base)


def accesses(expression: Expr, base: IndexedBase | None = None) -> list[Indexed]:
    """Return the distinct accesses in an expression (to one tensor), by their text, then by place."""
    found = (a for a in sympy.preorder_traversal(expression) if isinstance(a, Indexed))
    return sorted(dict.fromkeys(a for a in found if base is None or a.base == base), key=str)


def anonymous(expression: Expr) -> tuple[Expr, dict[IndexedBase, IndexedBase]]:
    """Return an expression with its tensors numbered by first appearance, and what each number stands for."""
    bases = dict.fromkeys(e for e in sympy.preorder_traversal(expression) if isinstance(e, IndexedBase))
    numbers = {base: tensor(f"tensor{i}", *base.shape) for i, base in enumerate(bases)}
    return expression.xreplace(numbers), {number: base for base, number in numbers.items()}


def reductions(expression: Expr) -> list[Reduction]:
    """Return the outermost reductions in an expression, in a fixed order; a Winner's body is its own."""
    found: dict[Reduction, None] = {}

    def visit(node: Expr) -> None:
        if isinstance(node, Reduction):
            found[node] = None
            return
        if isinstance(node, Winner):
            return
        for argument in node.args:
            visit(argument)

    visit(expression)
    return list(found)


def canonical_sums(
    expression: Expr, names: Iterable[str], taken: Iterable[Symbol], keep: bool = True
) -> Expr:
    """Return the expression with every bound index renamed, to a name that is not taken around it.

    An index keeps its own name where it can, else one of kin, else (or if not ``keep``) it gets the
    first of ``names``.
    """
    pool = list(names)

    def named(node: Expr, used: frozenset[str]) -> dict[Symbol, Symbol]:
        inner, mapping = set(used), {}
        names = [symbol.name for symbol, _ in node.axes]
        kin = dict(zip(names, KIN.get(" ".join(names), "").split(), strict=False))
        for symbol, _ in node.axes:
            own = [symbol.name, *([kin[symbol.name]] if symbol.name in kin else [])]
            wanted = [*own, *pool] if keep else pool
            mapping[symbol] = index(next(n for n in _endless(wanted) if n not in inner))
            inner.add(mapping[symbol].name)
        return mapping

    return _bound_anew(expression, named, frozenset(s.name for s in taken))


def same_up_to_names(expression: Expr) -> Expr:
    """Return a form that is equal for expressions that differ only in the names of bound indices."""
    return canonical_sums(expression, ("#",), (), keep=False)


def apart(expression: Expr) -> Expr:
    """Return the expression with every bound index fresh, so that no renaming can capture one."""
    if not expression.has(Reduction, Winner):
        return expression
    return _bound_anew(expression, lambda node, _used: {s: fresh_index(s) for s, _n in node.axes})


def _bound_anew(
    expression: Expr,
    choose: Callable[[Expr, frozenset[str]], Mapping[Symbol, Symbol]],
    taken: frozenset[str] = frozenset(),
) -> Expr:
    """Return the expression with the indices of every reduction as ``choose`` says.

    It is given the reduction and the names that are taken around it.
    """

    def visit(node: Basic, bound: Mapping[Symbol, Symbol], used: frozenset[str]) -> tuple[Basic, bool]:
        """Return the node, and whether it is made anew: where something in it is bound."""
        if not node.args or isinstance(node, IndexedBase):
            return bound.get(node, node), node in bound
        inside = bound, used
        if isinstance(node, Reduction | Winner):
            own = choose(node, used)
            inside = {**bound, **own}, used | {symbol.name for symbol in own.values()}
        parts = [visit(a, *inside) for a in node.args]
        if isinstance(node, Winner):  # `at` stands outside the binding
            parts[1] = visit(node.args[1], bound, used)
        if not any(anew for _, anew in parts):
            return node, False
        return node.func(*(part for part, _ in parts)), True

    return visit(expression, {}, taken)[0]


def _endless(names: list[str]) -> Iterator[str]:
    yield from names
    step = 2
    while True:
        yield from (f"{n}{step}" for n in names)
        step += 1
