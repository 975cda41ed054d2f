"""Statements as NumPy lines: each writes into the memory that the program chose for its value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy
from sympy import Expr, Indexed, KroneckerDelta, Mul, Piecewise, Symbol

from codegen.contraction import Blocks, arranged, blocks
from codegen.program import (
    BATCH,
    Contract,
    Draw,
    Extent,
    First,
    Grid,
    Load,
    Loop,
    Map,
    Pad,
    Program,
    Reduce,
    Reshape,
    Scatter,
    Statement,
    Window,
    viewed,
)
from codegen.targets.numpy.expressions import (
    FUNCTIONS,
    ExpressionPrinter,
    arrays_first,
    extremum,
    is_mask,
    quotient,
)
from codegen.targets.numpy.grid import GridPrinter
from codegen.targets.numpy.scalars import ScalarPrinter
from codegen.targets.numpy.scratch import steps
from codegen.targets.numpy.windows import looped, pattern, slices
from codegen.verify import VerificationError


@dataclass(frozen=True)
class Line:
    """A line of the generated program and the number of the equation that it implements."""

    text: str
    equation: int


class StatementPrinter:
    """Prints the statements of one function.

    ``names`` says what each value is called there, ``buffer`` where its memory is found (None: allocate),
    ``scratch`` a vector for what comes between, if there is one.
    """

    def __init__(
        self,
        program: Program,
        names: Mapping[str, str],
        buffer: Callable[[str], str | None],
        scratch: str = "",
        loop: Loop | None = None,
    ) -> None:
        self.scratch = scratch
        self.program = program
        self.truths = frozenset(v.name for v in program.values.values() if v.truth)
        self.views = frozenset(
            s.out for s in program.statements(*program.sections) if isinstance(s, Window) and not s.copy
        )
        self.names = names
        self.buffer = buffer
        self.helpers: set[str] = set()
        self.needs_real = False
        self.loop = loop
        self.batch = "N" if loop is None else "m"
        self.sums: set[tuple[int, int]] = set()  # (samples of a piece, places) of what ones are summed with

    def lines(self, statement: Statement) -> list[Line]:
        """Return the lines of a statement, in order."""
        return [Line(text, statement.equation) for text in self._lines(statement)]

    def _lines(self, statement: Statement) -> list[str]:
        match statement:
            case Contract():
                return [self._contract(statement)]
            case Reshape():
                return [self._reshape(statement)]
            case Pad():
                return [self._pad(statement)]
            case Window():
                return [self._window(statement)]
            case Scatter():
                return self._scatter(statement)
            case First():
                return [self._first(statement)]
            case Draw():
                return [self._draw(statement)]
            case Reduce():
                return [self._reduce(statement)]
            case Grid():
                return self._store(statement.out, self._grid(statement))
            case Map():
                return self._map(statement)
        raise TypeError(f"not a statement: {statement}")

    def loop_head(self, loop: Loop) -> list[str]:
        """Return the lines before a loop's first statement: sums set to zero, and the loop."""
        lines = [
            f"{self._total(s)}[...] = 0" for s in loop.statements if s.out in loop.sums and not self._flat(s)
        ]
        for s in loop.statements:
            if s.out in loop.sums and self._flat(s):
                lines += [f"{self._flat(s)} = {self._total(s)}", f"{self._flat(s)}[...] = 0"]
        return [*lines, f"for s, m in pieces(N, {loop.size}):"]

    def _grid(self, s: Grid) -> str:
        self._register(s.body)
        printer = GridPrinter(s, self.program, self.names)
        text = printer.text()
        self.helpers |= {"read"} if printer.reads_outside else set()
        self.needs_real |= printer.constant_branch
        return text

    def _contract(self, s: Contract) -> str:
        found, extents = self._blocks(s)
        left = self._matrix(s.left, found.left(), extents)
        right = self._matrix(s.right, found.right(), extents)
        out, name = self.buffer(s.out), self.names[s.out]
        product = "np.matmul" if found.batch else "np.dot"
        if self.loop is not None and s.out in self.loop.sums:
            return f"{self._flat(s) or name} += {product}({left}, {right})"
        if out is None:
            return f"{name} = {left} @ {right}"
        into = self._matrix(Load(s.out, s.indices), found.out(), extents, out)
        return f"{self._assigned(s.out)}{product}({left}, {right}, out={into})"

    def _flat(self, s: Statement) -> str:
        """Return the name of a sum's matrix form, "" where the value itself has that form."""
        return (
            ""
            if not isinstance(s, Contract) or len(s.indices) == 2
            else f"{self.program.values[s.out].identifier}_flat"
        )

    def _total(self, s: Statement) -> str:
        """Return the memory of a sum, as a matrix where a product gives it."""
        if not isinstance(s, Contract):
            return self._memory(s.out)
        found, extents = self._blocks(s)
        return self._matrix(Load(s.out, s.indices), found.out(), extents, self._memory(s.out))

    def _blocks(self, s: Contract) -> tuple[Blocks, dict[Symbol, Extent]]:
        extents = self._loaded_extents(s)
        units = {i for i, n in extents.items() if n == 1}
        return blocks(s.indices, s.left.indices, s.right.indices, units), extents

    def _loaded_extents(self, s: Contract) -> dict[Symbol, Extent]:
        extents = self._extents(s)
        for load in (s.left, s.right):
            extents |= dict(zip(load.indices, self.program.values[load.name].shape, strict=True))
        return extents

    def _matrix(
        self,
        load: Load,
        wanted: tuple[tuple[Symbol, ...], ...],
        extents: Mapping[Symbol, Extent],
        text: str | None = None,
    ) -> str:
        """Return a value as a matrix (batch, first, second), each block of indices one axis."""
        text = text or self.names[load.name]
        units = {i for i, n in extents.items() if n == 1}
        starts = arranged(load.indices, wanted, units)
        if starts is None:
            raise VerificationError(f"{load.name}: {load.indices} does not consist of the blocks {wanted}")
        order = [b for start in starts for b in wanted if b and b[0] == start]
        order += [b for b in wanted[1:] if not b]
        if len(load.indices) != len(order) or any(len(b) != 1 for b in order):
            sizes = [math.prod(-1 if extents[i] == BATCH else int(extents[i]) for i in b) for b in order]
            if not any(n < 0 for n in sizes):
                sizes[-1 if len(order) > 1 else 0] = -1
            text += f".reshape({', '.join(str(n if n > 0 else -1) for n in sizes)})"
        used = [b for b in wanted if b in order]
        if order == used:
            return text
        if len(order) == 2:
            return f"{text}.T"
        return f"{text}.transpose({', '.join(str(order.index(b)) for b in used)})"

    def _pad(self, s: Pad) -> str:
        sides = [
            ":" if not (b or a) else f"{b or ''}:{-a or ''}" for b, a in zip(s.before, s.after, strict=True)
        ]
        while sides[-1] == ":":
            sides.pop()
        return f"{self._memory(s.out)}[{', '.join(sides)}] = {self.names[s.source]}"

    def _memory(self, value: str) -> str:
        """Return what holds a value's memory, or raise: only values with memory can be filled."""
        out = self.buffer(value)
        if out is None:
            raise VerificationError(f"{value} has no memory to be filled")
        return out

    def _window(self, s: Window) -> str:
        source, shape = self.names[s.source], self.program.values[s.source].shape
        text = self._windows(source, s.subscripts, shape, s.indices, self._extents(s))
        return f"np.copyto({self._memory(s.out)}, {text})" if s.copy else f"{self.names[s.out]} = {text}"

    def _windows(
        self,
        source: str,
        subscripts: tuple[Expr, ...],
        shape: tuple[Extent, ...],
        order: tuple[Symbol, ...],
        extents: Mapping[Symbol, Extent],
    ) -> str:
        cut = slices(subscripts, shape, order, extents)
        if cut is not None:
            return source + cut
        self.helpers.add("windows")
        return f"windows({source}, {pattern(subscripts, shape, order, extents)})"

    def _scatter(self, s: Scatter) -> list[str]:
        memory, extents = self._memory(s.out), dict(s.extents)
        order = tuple(extents)
        places = self._windows(memory, s.subscripts, self.program.values[s.out].shape, order, extents)
        values = self._spread(s.source, order)
        lines = [f"{memory}[...] = 0"] if s.zero else []
        if not s.add:
            return [
                *lines,
                f"{places}{'' if places.endswith(']') and places != memory else '[...]'} = {values}",
            ]
        self.helpers.add("add_windows")
        return [*lines, f"add_windows({places}, {values}, axes={looped(s.subscripts, order, extents)})"]

    def _draw(self, s: Draw) -> str:
        self.helpers.add("draw")
        probability = self._expression(s.probability, (), statement=s)
        return f"draw(seed, {s.stream}, {probability}, out={self._memory(s.out)})"

    def _spread(self, load: Load, order: tuple[Symbol, ...]) -> str:
        """Return a value with an axis for every index of ``order``, in that order."""
        printer = ExpressionPrinter(order, self.names, {}, self.program.constants)
        return printer.spread(self.names[load.name], load.indices)

    def _first(self, s: First) -> str:
        values = self._spread(s.source, s.indices)
        return f"{self._won(s, values)}, out={self._memory(s.out)})"

    def winners(self, s: First, window: Statement | None) -> str:
        """Return the text of who wins a maximum, over the whole batch and in memory of its own."""
        values = self._spread(s.source, s.indices)
        if isinstance(window, Window):
            shape = self.program.values[window.source].shape
            source = self.names[window.source]
            values = self._windows(source, window.subscripts, shape, s.indices, self._extents(s))
        return f"{self._won(s, values)})"

    def _won(self, s: First, values: str) -> str:
        self.helpers.add("first")
        axes = tuple(n for n, i in enumerate(s.indices) if i in s.over)
        best = self._spread(s.best, tuple(i for i in s.indices if i not in s.over))
        return f"first({values}, {best}, axes={axes}"

    def _assigned(self, value: str) -> str:
        """Return "name = " where the value has a name of its own, "" where it is a buffer's."""
        name, out = self.names[value], self.buffer(value)
        return "" if name == out else f"{name} = "

    def _reshape(self, s: Reshape) -> str:
        shape = ", ".join(self.batch if e == BATCH else str(e) for e in self.program.values[s.out].shape)
        return f"{self.names[s.out]} = {self.names[s.source]}.reshape({shape})"

    def _reduce(self, s: Reduce) -> str:
        indices = self._natural(s)
        axes = tuple(n for n, i in enumerate(indices) if i in s.over)
        out = self.buffer(s.out) if s.indices else None
        adds = self.loop is not None and s.out in self.loop.sums
        call = self._dot(s, indices, None if adds else out) or self._greatest(s, axes, out)
        if call is None:
            body = self._expression(s.body, indices, statement=s)
            arguments = [] if len(axes) == len(indices) else [f"axis={axes[0] if len(axes) == 1 else axes}"]
            arguments += [] if out is None or adds else [f"out={out}"]
            method = isinstance(s.body, Indexed) or type(s.body).__name__ in FUNCTIONS
            given = ", ".join(arguments if method else [body, *arguments])
            call = f"{body}.{s.operation}({given})" if method else f"np.{s.operation}({given})"
        if adds:
            return f"{self._memory(s.out)} += {call}"
        return f"{self.names[s.out]} = {call}" if out is None else f"{self._assigned(s.out)}{call}"

    def _greatest(self, s: Reduce, axes: tuple[int, ...], out: str | None) -> str | None:
        """A maximum of windows: few of many values each, which NumPy's own reduction is slow at."""
        if s.operation != "max" or out is None or not isinstance(s.body, Indexed):
            return None
        name = str(s.body.base.label)
        if name not in self.views:
            return None
        self.helpers.add("greatest")
        return f"greatest({self.names[name]}, axes={axes}, out={out})"

    def _natural(self, s: Reduce) -> tuple[Symbol, ...]:
        """Return the indices of a reduction as a tensor in it has them, if the result then has its order."""
        wanted = {*s.indices, *s.over}
        for read in sorted(s.body.atoms(Indexed), key=str):
            kept = tuple(i for i in read.indices if i in s.indices)
            if set(read.indices) == wanted and kept == s.indices:
                return tuple(read.indices)
        return (*s.indices, *s.over)

    def _dot(self, s: Reduce, indices: tuple[Symbol, ...], out: str | None) -> str | None:
        """A sum over the batch as 1ᵀ a, a sum of all products as an inner product: BLAS does these faster."""
        if s.operation != "sum":
            return None
        whole = [r for r in s.body.atoms(Indexed) if r.indices == indices]
        plain = isinstance(s.body, Indexed)
        if whole and len(indices) > 1 and s.over == indices[:-1] and (plain or len(indices) > 2):
            shape = self.program.values[str(whole[0].base.label)].shape
            if shape[0] == BATCH and not any(self._is_view(str(r.base.label)) for r in whole):
                places = math.prod(int(e) for e in shape[1:-1])
                self.sums.add((self.loop.size if self.loop else 0, places))
                matrix = self._expression(s.body, indices, statement=s)
                matrix = matrix if plain else f"({matrix})"
                matrix += f".reshape(-1, {shape[-1]})" if len(shape) > 2 else ""
                ones = "w.ones"
                if self.loop is not None or places > 1:
                    ones = f"w.places[: {f'{self.batch} * {places}' if places > 1 else self.batch}]"
                return f"np.dot({ones}, {matrix}{f', out={out}' if out else ''})"
        if not s.indices and s.body.is_Pow and s.body.exp == 2 and s.body.base.indices == indices:
            return "np.vdot({0}, {0})".format(self._expression(s.body.base, indices, statement=s))
        factors = arrays_first(Mul.make_args(s.body))
        if s.indices or len(factors) != 2 or len(indices) < 2:
            return None
        whole = [f for f in factors if isinstance(f, Indexed) and f.indices == indices]
        other = [f for f in factors if f not in whole[:1]]
        if not whole or len(other) != 1 or not _covers(other[0], indices):
            return None
        texts = [self._expression(f, indices, statement=s) for f in (whole[0], other[0])]
        return f"np.vdot({', '.join(texts)})"

    def _is_view(self, name: str) -> bool:
        """Whether a value shows windows of another."""
        return name in self.views

    def _map(self, s: Map) -> list[str]:
        e, out, name = s.expression, self.buffer(s.out), self.names[s.out]
        source = viewed(s)
        if source is not None and (out is None or self.program.values[s.out].slot == source):
            return [f"{name} = {self.names[source]}"]
        if self.scratch and not s.indices:  # one number for the whole update
            return [f"{name} = {ScalarPrinter((), self.names, {}, self.program.constants).text(e)}"]
        if s.out in {str(r.base.label) for r in e.atoms(Indexed)} and s.indices:
            updated = self._augmented(s, name)
            if updated is not None:
                return updated
        if out is None or not s.indices:
            return [f"{name} = {self._expression(e, s.indices, statement=s)}"]
        call = self._call(s, e, out)
        if call is not None:
            return [f"{self._assigned(s.out)}{call}"]
        return self._store(s.out, self._expression(e, s.indices, statement=s))

    def _store(self, value: str, text: str) -> list[str]:
        name, out = self.names[value], self.buffer(value)
        if out is None:
            return [f"{name} = {text}"]
        return [f"{out}[...] = {text}"] if name == out else [f"{name} = {out}", f"{name}[...] = {text}"]

    def _augmented(self, s: Map, name: str) -> list[str] | None:
        """Write y = y · rest and y = c·y + rest as updates in place."""
        mine = [r for r in s.expression.atoms(Indexed) if str(r.base.label) == s.out]
        if len(mine) != 1 or mine[0].indices != s.indices:
            return None
        (own,) = mine
        if isinstance(s.expression, Mul):
            line = self._scaled(s, name, own, s.expression)
            return None if line is None else [line]
        if not isinstance(s.expression, sympy.Add):
            return None
        with_own = [t for t in s.expression.args if t.has(own)]
        rest = s.expression - sympy.Add(*with_own)
        if len(with_own) != 1:
            return None
        lines = []
        if with_own[0] != own:
            line = self._scaled(s, name, own, with_own[0])
            if line is None:
                return None
            lines.append(line)
        negative = all(t.could_extract_minus_sign() for t in sympy.Add.make_args(rest))
        rest = -rest if negative else rest
        before = self._steps(s, rest)
        text = before.pop() if before else self._expression(rest, s.indices, statement=s)
        return [*lines, *before, f"{name} {'-' if negative else '+'}= {text}"]

    def _steps(self, s: Map, e: Expr) -> list[str]:
        """Return the lines that compute an expression in scratch memory and, last, the text of its value."""

        def text(part: Expr) -> str:
            return self._expression(part, s.indices, statement=s)

        lines = steps(e, text, self.scratch) if self.scratch and not isinstance(e, Indexed) else None
        if not lines:
            return []
        return lines if len(lines) == 1 else [*lines, self.scratch]

    def _scaled(self, s: Map, name: str, own: Indexed, product: Expr) -> str | None:
        rest = product / own
        if rest.has(own):
            return None
        numerator, denominator = quotient(rest)
        if numerator == 1:
            return f"{name} /= {self._expression(denominator, s.indices, statement=s)}"
        return f"{name} *= {self._expression(rest, s.indices, statement=s, factor=True)}"

    def _call(self, s: Map, e: Expr, out: str) -> str | None:
        """Print the outermost operation as a call that writes to ``out``, None where NumPy has none."""
        operation = self._operation(e)
        if operation is None:
            return None
        function, arguments = operation
        self._helper(function)
        texts = [
            self._expression(a, s.indices, statement=s, factor=position > 0 and function == "np.multiply")
            for position, a in enumerate(arguments)
        ]
        return f"{function}({', '.join([*texts, f'out={out}'])})"

    def _operation(self, e: Expr) -> tuple[str, list[Expr]] | None:
        """Return the outermost operation of an expression as a NumPy function and its arguments."""
        match e:
            case Piecewise():
                extreme = extremum(e)
                return None if extreme is None else (f"np.{extreme[0]}", arrays_first(extreme[1:]))
            case KroneckerDelta():
                return "np.equal", arrays_first(e.args)
            case Mul():
                numerator, denominator = quotient(e)
                if denominator != 1:
                    return ("np.divide", [numerator, denominator]) if numerator.has(Indexed) else None
                first, *others = arrays_first(e.args)
                masks = [f for f in e.args if self._is_mask(f)]
                if masks and not all(self._is_mask(f) for f in e.args if f.has(Indexed)):
                    return "np.multiply", [Mul(*(f for f in e.args if f != masks[0])), masks[0]]
                return "np.multiply", [first, Mul(*others)]
            case sympy.Add():
                negative = [t for t in e.args if t.could_extract_minus_sign()]
                positive = [t for t in e.args if t not in negative]
                if negative and positive:
                    return "np.subtract", [sympy.Add(*positive), -sympy.Add(*negative)]
                first, *others = arrays_first(e.args)
                return "np.add", [first, sympy.Add(*others)]
        function = FUNCTIONS.get(type(e).__name__)
        return None if function is None else (function, [e.args[0]])

    def _is_mask(self, e: Expr) -> bool:
        return is_mask(e, self.truths)

    def _helper(self, function: str) -> None:
        if not function.startswith("np."):
            self.helpers.add(function)

    def _register(self, e: Expr) -> None:
        for node in sympy.preorder_traversal(e):
            self._helper(FUNCTIONS.get(type(node).__name__, "np."))

    def _expression(
        self, e: Expr, indices: tuple[Symbol, ...], statement: Statement, factor: bool = False
    ) -> str:
        """Return the text of an expression; as a ``factor`` beside an array, a mask is its truth values."""
        self._register(e)
        extents = self._extents(statement)
        printer = ExpressionPrinter(indices, self.names, extents, self.program.constants, self.truths)
        text = printer.truth(e) if factor and self._is_mask(e) else printer.text(e)
        self.needs_real |= printer.constant_branch
        return text

    def _extents(self, statement: Statement) -> dict[Symbol, Extent]:
        shape = self.program.values[statement.out].shape
        return dict(zip(statement.indices, shape, strict=True))


def _covers(e: Expr, indices: tuple[Symbol, ...]) -> bool:
    """Whether an elementwise expression has the full shape by itself, without being broadcast."""
    return any(read.indices == indices for read in e.atoms(Indexed))
