"""The door where symbolic tensors stop: numbered index equations become statements.

What an equation is, is read off its index structure alone.  Sums of products whose factors have plain
subscripts are contractions, accesses at plain subscripts are elementwise maps and reductions, a row-major
Kronecker delta is a reshape; whatever fits no pattern becomes a map over its whole index grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import sympy
from sympy import Expr, Indexed, KroneckerDelta, Mul, Symbol

from codegen.program import (
    BATCH,
    Contract,
    EquationNote,
    Extent,
    Grid,
    Load,
    Map,
    Program,
    Reduce,
    Reshape,
    Shape,
    Statement,
    Value,
)
from derive import notation
from derive.derivation import Derivation, NumberedEquation
from derive.index import (
    Equation,
    Inside,
    Max,
    Reduction,
    Sum,
    Winner,
    access,
    name_of,
    reductions,
    same_up_to_names,
    tensor,
)
from derive.library import OPTIMIZERS
from derive.network import N
from derive.present.text import matrix_text, shape_text

SECTION = {
    "definition": "loss",
    "forward": "forward",
    "loss": "loss",
    "backward": "backward",
    "update": "update",
}


class LoweringError(ValueError):
    """An equation that cannot be turned into statements; the message names it."""


def lower(derivation: Derivation) -> Program:
    """Return the training program of a derivation, not yet optimized.  Raises LoweringError."""
    return _Lowering(derivation).program()


def extent(size: Expr) -> Extent:
    """Return a concrete size, or "N" for the batch."""
    if size == N:
        return BATCH
    if not size.is_Integer:
        raise LoweringError(f"size {size} is not a number")
    return int(size)


class _Lowering:
    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation
        self.parameters = {p.name for p in derivation.network.parameters}
        self.values: dict[str, Value] = {}
        self.sections: dict[str, list[Statement]] = {
            name: [] for name in ("forward", "loss", "backward", "input_gradient", "update")
        }
        self.known: dict[Expr, Indexed] = {}  # reductions already computed
        self.needed = self._needed()

    def program(self) -> Program:
        network = self.derivation.network
        if not network.parameters:
            raise LoweringError("no layer has parameters, so there is nothing to train; add a dense layer")
        self._declare("x", (BATCH, *network.spec.input_shape), "input")
        self._declare("t", (BATCH,) if network.labels else (BATCH, *network.output_shape), "target")
        for parameter in network.parameters:
            self._declare(parameter.name, parameter.shape, "parameter")
        trained = {f"d{p.name}" for p in network.parameters}
        for equation in self.derivation.equations:
            self._lower(equation, trained)
        notes = {e.number: _note(e) for e in self.derivation.equations}
        sections = {name: tuple(statements) for name, statements in self.sections.items()}
        hyper = OPTIMIZERS[network.spec.optimizer.type].fields
        constants = {f.name: notation.name(f.name).identifier for f in hyper}
        return Program(sections, self.values, notes, network.output, constants)

    def _declare(self, name: str, shape: Shape, kind: str) -> None:
        integer = kind == "target" and self.derivation.network.labels
        identifier = notation.name(name).identifier
        if name.removeprefix("d") in self.parameters:  # a name that an optimizer may use too
            identifier = name
        self.values.setdefault(name, Value(name, shape, kind, identifier, integer=integer))

    def _lower(self, numbered: NumberedEquation, trained: set[str]) -> None:
        equation = numbered.computed
        section = SECTION[numbered.role]
        if section == "update":
            kinds = {"g": "gradient", "theta": "parameter"}
            for name, base in [(equation.name, equation.left.base), *equation.reads().items()]:
                self._declare(name, tuple(map(extent, base.shape)), kinds.get(name, "state"))
        kind = "gradient" if equation.name in trained else "local"
        self._declare(equation.name, tuple(map(extent, equation.left.base.shape)), kind)
        before = set(self.known)
        statements = _EquationLowering(self, equation, numbered.number).statements()
        if section == "backward" and self._only_for_input(equation.name):
            section = "input_gradient"
            for key in set(self.known) - before:
                del self.known[key]
        self.sections[section].extend(statements)

    def _needed(self) -> set[str]:
        """Return the cotangents on the way to the gradient of a parameter."""
        needed = {f"d{name}" for name in self.parameters}
        for later in reversed(self.derivation.role("backward")):
            if later.name in needed:
                needed |= set(later.computed.reads())
        return needed

    def _only_for_input(self, name: str) -> bool:
        """Whether a cotangent leads to no trained parameter, but only to the gradient of the input."""
        return name not in self.needed

    def temporary(self, name: str, shape: Shape) -> str:
        """Return a fresh name for an intermediate value."""
        candidate, count = name, 1
        while candidate in self.values:
            count += 1
            candidate = f"{name}{count}"
        self._declare(candidate, shape, "local")
        return candidate


def _note(numbered: NumberedEquation) -> EquationNote:
    equation = numbered.equation
    return EquationNote(
        numbered.number, numbered.role, equation.name, matrix_text(equation), shape_text(equation)
    )


class _EquationLowering:
    """One equation, from the inside out: its reductions first, then the map that is left."""

    def __init__(self, whole: _Lowering, equation: Equation, number: int) -> None:
        self.whole = whole
        self.equation = equation
        self.number = number
        self.out: list[Statement] = []
        self.extents: dict[Symbol, Extent] = {i: extent(n) for i, n in equation.axes}

    def statements(self) -> list[Statement]:
        equation = self.equation
        reshape = self._reshape()
        if reshape is not None:
            return [reshape]
        rest = self._shared_bodies(equation.right)
        rest = self._without_reductions(rest, equation.free)
        self._assign(equation.name, equation.free, rest)
        return self.out

    def _assign(self, name: str, free: tuple[Symbol, ...], expression: Expr) -> None:
        if _plain(expression, free):
            self.out.append(Map(name, free, self.number, expression))
        else:
            self.out.append(Grid(name, free, self.number, expression, (), self._ranges(free)))

    def _ranges(self, indices: Iterable[Symbol]) -> tuple[tuple[Symbol, Extent], ...]:
        return tuple((i, self.extents[i]) for i in indices)

    def _reshape(self) -> Reshape | None:
        """Recognise y[n, (i·W + j)·C + c] = x[n, i, j, c], in either direction."""
        equation = self.equation
        right, free = equation.right, equation.free
        flat: Expr
        if isinstance(right, Sum) and isinstance(right.body, Mul) and len(right.body.args) == 2:
            delta = next((f for f in right.body.args if isinstance(f, KroneckerDelta)), None)
            read = next((f for f in right.body.args if isinstance(f, Indexed)), None)
            if delta is None or read is None or read.indices != (free[0], *right.bound) or len(free) != 2:
                return None
            if free[1] not in delta.args:
                return None
            flat = delta.args[0] + delta.args[1] - free[1]
            shape, source = read.base.shape, read
        elif isinstance(right, Indexed) and len(right.indices) == 2 and right.indices[0] == free[0]:
            flat, shape, source = right.indices[1], equation.left.base.shape, right
            read = equation.left
        else:
            return None
        position: Expr = sympy.Integer(0)
        for index, size in zip(read.indices[1:], shape[1:], strict=True):
            position = position * size + index
        if len(read.indices) < 3 or sympy.expand(position - flat) != 0:
            return None
        return Reshape(equation.name, free, self.number, name_of(source.base))

    def _shared_bodies(self, right: Expr) -> Expr:
        """Compute once what a reduction's body and the expression around it share (softmax's exp)."""
        for reduction in reductions(right):
            if isinstance(reduction.body, Indexed) or len(reduction.bound) != 1:
                continue
            outside = right.xreplace({reduction: sympy.Dummy("r")})
            (bound,) = reduction.bound
            for free, size in self.equation.axes:
                if size != reduction.axes[0][1]:
                    continue
                here = _rename_bound(reduction.body, bound, free)
                match = next((e for e in outside.atoms(type(here)) if _same(e, here)), None)
                if match is None:
                    continue
                inner = self._without_reductions(here, self.equation.free)
                suffix = type(here).__name__.lower()
                name = self.whole.temporary(f"{self.equation.name}_{suffix}", self._shape(self.equation.free))
                self._assign(name, self.equation.free, inner)
                shared = tensor(name, *self.equation.left.base.shape)
                read = access(shared, *self.equation.free)
                total = reduction.func(read.xreplace({free: bound}), *reduction.axes)
                self._remember_as(reduction, total)
                return right.xreplace({reduction: total, match: read})
        return right

    def _remember_as(self, original: Reduction, replacement: Reduction) -> None:
        """A reduction met again (in the loss, say) is the one that its shared form computes."""
        value = self._reduce(replacement, self.equation.free)
        self.whole.known[same_up_to_names(original)] = value

    def _shape(self, indices: Iterable[Symbol]) -> Shape:
        return tuple(self.extents[i] for i in indices)

    def _without_reductions(self, expression: Expr, scope: tuple[Symbol, ...]) -> Expr:
        """Replace every reduction by an access to a value that holds it."""
        found = reductions(expression)
        return expression.xreplace({r: self._reduce(r, scope) for r in found}) if found else expression

    def _reduce(self, reduction: Reduction, scope: tuple[Symbol, ...]) -> Indexed:
        key = same_up_to_names(reduction)
        if key in self.whole.known:
            return self.whole.known[key]
        for index, size in reduction.axes:
            self.extents[index] = extent(size)
        inside = (*scope, *reduction.bound)
        body = self._without_reductions(reduction.body, inside)
        free = tuple(i for i in scope if i in body.free_symbols)
        sizes = [N if self.extents[i] == BATCH else sympy.Integer(self.extents[i]) for i in free]
        operation = type(reduction).__name__.lower()
        name = self.whole.temporary(f"{self.equation.name}_{operation}", self._shape(free))
        self._statement(name, free, reduction, body)
        value = access(tensor(name, *sizes), *free)
        self.whole.known[key] = value
        return value

    def _statement(self, name: str, free: tuple[Symbol, ...], reduction: Reduction, body: Expr) -> None:
        over = reduction.bound
        if not _plain(body, (*free, *over)):
            if isinstance(reduction, Max):
                shape = (*free, *over)
                grid = self.whole.temporary(f"{name}_window", self._shape(shape))
                self.out.append(Grid(grid, shape, self.number, body, (), self._ranges(shape)))
                sizes = [N if self.extents[i] == BATCH else sympy.Integer(self.extents[i]) for i in shape]
                body = access(tensor(grid, *sizes), *shape)
            else:
                ranges = self._ranges((*free, *over))
                self.out.append(Grid(name, free, self.number, body, over, ranges))
                return
        pair = self._product(body, free, over) if isinstance(reduction, Sum) else None
        if pair is None:
            operation = "sum" if isinstance(reduction, Sum) else "max"
            self.out.append(Reduce(name, free, self.number, operation, body, over))
            return
        left, right, scale = pair
        self.out.append(Contract(name, free, self.number, left, right))
        if scale != 1:
            sizes = [N if self.extents[i] == BATCH else sympy.Integer(self.extents[i]) for i in free]
            whole = access(tensor(name, *sizes), *free)
            self.out.append(Map(name, free, self.number, scale * whole))

    def _product(
        self, body: Expr, free: tuple[Symbol, ...], over: tuple[Symbol, ...]
    ) -> tuple[Load, Load, Expr] | None:
        """Split a product into a matrix product: two groups of factors that share the summed index.

        Returns None where a broadcast reduction is as good: no group is smaller than the whole.
        """
        groups: dict[frozenset[Symbol], list[Expr]] = {}
        scale: Expr = sympy.S.One
        for factor in Mul.make_args(body):
            indices = frozenset(i for i in (*free, *over) if i in factor.free_symbols)
            if not indices:
                scale *= factor
            else:
                groups.setdefault(indices, []).append(factor)
        whole = frozenset((*free, *over))
        if whole in groups or len(groups) != 2:
            return None
        (first, one), (second, other) = groups.items()
        if not (first & second) >= set(over) or len(over) != 1 or first & second & set(free):
            return None
        if len(first) != 2 or len(second) != 2:
            return None
        loads = [self._materialize(Mul(*factors)) for factors in (one, other)]
        if free and free[0] not in loads[0].indices:
            loads.reverse()
        return loads[0], loads[1], scale

    def _materialize(self, factor: Expr) -> Load:
        """Return the factor as a load, computing it first where it is more than one."""
        if isinstance(factor, Indexed):
            return Load(name_of(factor.base), tuple(factor.indices))
        indices = tuple(i for i in self.extents if i in factor.free_symbols)
        name = self.whole.temporary(f"{self.equation.name}_factor", self._shape(indices))
        self.out.append(Map(name, indices, self.number, factor))
        return Load(name, indices)


def _rename_bound(body: Expr, bound: Symbol, free: Symbol) -> Expr:
    return body.xreplace({bound: free}) if free not in body.free_symbols else body


def _same(one: Expr, other: Expr) -> bool:
    return bool(same_up_to_names(one) == same_up_to_names(other))


def _plain(expression: Expr, indices: tuple[Symbol, ...]) -> bool:
    """Whether every access has distinct plain indices, and no guard or winner is left."""
    if expression.has(Inside, Winner):
        return False
    for read in expression.atoms(Indexed):
        if any(i not in indices for i in read.indices) or len(set(read.indices)) != len(read.indices):
            return False
    deltas = expression.atoms(KroneckerDelta)
    return all(any(isinstance(a, Indexed) for a in delta.args) for delta in deltas)


def count(shape: Shape, batch: int = 1) -> int:
    """Return the number of values of a shape, for a batch of that size."""
    return math.prod(batch if e == BATCH else int(e) for e in shape)
