"""Statements as NumPy lines: each writes into the memory that the program chose for its value."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Expr, Indexed, KroneckerDelta, Mul, Piecewise

from chainrule.codegen.ir.program import (
    BATCH,
    Contract,
    Draw,
    First,
    Grid,
    Loop,
    Map,
    Pad,
    Reduce,
    Reshape,
    Scatter,
    Statement,
    Window,
    viewed,
)
from chainrule.codegen.ir.scalar import arrays_first, extremum, quotient
from chainrule.codegen.targets.numpy.alike import printed
from chainrule.codegen.targets.numpy.contractions import Contractions
from chainrule.codegen.targets.numpy.expressions import FUNCTIONS
from chainrule.codegen.targets.numpy.gathering import Gathering
from chainrule.codegen.targets.numpy.grid import GridPrinter
from chainrule.codegen.targets.numpy.reductions import Reductions
from chainrule.codegen.targets.numpy.scalars import ScalarPrinter
from chainrule.codegen.targets.numpy.scratch import steps


@dataclass(frozen=True)
class ProgramLine:
    """A line of the generated program and the number of the equation that it implements.

    ``remark`` stands in its comment for the equation's own text; ``others`` are served by the line, too.
    """

    text: str
    equation: int
    remark: str | None = None
    others: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """The numbers in the line's comment."""
        return f"({', '.join(map(str, (self.equation, *self.others)))})"


class StatementPrinter(Contractions, Gathering, Reductions):
    """Prints every kind of statement of one function, or of a loop in it."""

    def lines(self, statement: Statement) -> list[ProgramLine]:
        """Return the lines of a statement, in order."""
        remark = None
        if isinstance(statement, Draw):
            value = self.program.values[statement.out]
            shape = ", ".join(map(str, value.shape))
            remark = (
                f"{value.identifier} ∼ Bernoulli({float(statement.probability):g})".ljust(30) + f" ({shape})"
            )
        others = self.program.shared.get(statement.out, ())
        texts = printed(self, statement, self._lines)
        return [ProgramLine(text, statement.equation, remark, others) for text in texts]

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
        """Return the lines before a loop's first statement: a function, and what it takes of memory."""
        sums = [f"{self.names[name]}," for name in self.totals]
        lines = ["", *wrapped("def piece(", ["s,", "m,", "thread,", *sums], "):")]
        for samples, part in ((False, "[s]"), (True, "[thread, :m]")):
            values = [v for v in self.bound if bool(v.piece) == samples]
            pairs = [(v.identifier, f"w.{v.identifier}{part}") for v in values]
            lines += [f"    {line}" for line in listed(pairs)]
        return lines

    def loop_end(self, loop: Loop) -> list[str]:
        """Return the lines after a loop's last statement: they run the function and add up its sums."""
        totals = [f"{text}," for text in self.totals.values()]
        return ["", *wrapped("on_threads(", ["piece,", "N,", f"{loop.size},", *totals], ")")]

    def _grid(self, s: Grid) -> str:
        self._register(s.expression)
        printer = GridPrinter(s, self.program, self.names)
        text = printer.text()
        self.helpers |= {"read"} if printer.reads_outside else set()
        self.needs_real |= printer.constant_branch
        return text

    def _reshape(self, s: Reshape) -> str:
        shape = ", ".join(self.batch if e == BATCH else str(e) for e in self.program.values[s.out].shape)
        return f"{self.names[s.out]} = {self.names[s.source]}.reshape({shape})"

    def _map(self, s: Map) -> list[str]:
        e, out, name = s.expression, self.buffer(s.out), self.names[s.out]
        source = viewed(s)
        if source is not None and (out is None or self.program.values[s.out].slot == source):
            return [f"{name} = {self.names[source]}"]
        if self.scratch and not s.indices:  # one number for the whole update
            return [f"{name} = {ScalarPrinter((), self.names, {}, self.program.constants).text(e)}"]
        if s.out in {r.base.label.name for r in e.atoms(Indexed)} and s.indices:
            updated = self._augmented(s, name)
            if updated is not None:
                return updated
        if out is None or not s.indices:
            return [f"{name} = {self._expression(e, s.indices, statement=s)}"]
        call = self._call(s, e, out)
        if call is not None:
            return [f"{self._assigned(s.out)}{call}"]
        return self._store(s.out, self._expression(e, s.indices, statement=s))

    def _augmented(self, s: Map, name: str) -> list[str] | None:
        """Write y = y · rest and y = c·y + rest as updates in place."""
        mine = [r for r in s.expression.atoms(Indexed) if r.base.label.name == s.out]
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


def listed(pairs: list[tuple[str, str]], width: int = 96) -> list[str]:
    """Return assignments of several names at once, as many on a line as its width holds."""
    lines: list[str] = []
    while pairs:
        count = 1
        while count < len(pairs) and sum(len(a) + len(b) + 4 for a, b in pairs[: count + 1]) <= width:
            count += 1
        names, values = zip(*pairs[:count], strict=True)
        lines.append(f"{', '.join(names)} = {', '.join(values)}")
        pairs = pairs[count:]
    return lines


def wrapped(head: str, words: list[str], tail: str, width: int = 96) -> list[str]:
    """Return words between a head and a tail, on as many lines as their width needs."""
    lines = [head]
    for word in words:
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append(" " * 4)
        lines[-1] += word if lines[-1].endswith(("(", " " * 4)) else f" {word}"
    return [*lines[:-1], lines[-1].removesuffix(",") + tail]
