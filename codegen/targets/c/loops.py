"""One piece of work as plain loops in C, for one sample: a function that reads like its equations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy
from sympy import Expr, Mul, Rational

from chainrule.codegen.ir.box import element
from chainrule.codegen.ir.program import BATCH, Program, count
from chainrule.codegen.kernels.places import N
from chainrule.codegen.kernels.views import Views
from chainrule.codegen.kernels.work import (
    Axes,
    Drawing,
    Elements,
    GroupReduction,
    Guarded,
    Product,
    Samples,
    Work,
)
from chainrule.codegen.lower.emitter import LoweringError
from chainrule.codegen.targets.c_family.addresses import element_of
from chainrule.codegen.targets.c_family.assignments import Assignments
from chainrule.codegen.targets.c_family.expressions import CONDITION


@dataclass(frozen=True)
class LoopFunction:
    """A function of the way forward: what it is given, the tensors that it writes first, and its lines."""

    name: str
    remark: tuple[str, ...]
    body: tuple[str, ...]
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    operations: int

    @property
    def given(self) -> tuple[str, ...]:
        return (*self.writes, *self.reads)


class LoopWriter(Assignments):
    """Prints a piece of work of a program whose batch is one sample."""

    def __init__(self, program: Program, views: Views, kept: frozenset[str], work: Work, name: str) -> None:
        super().__init__(program, views, kept, work, {v.identifier for v in program.values.values()})
        self.work, self.name = work, name
        self.names.names[N] = "1"

    def step(self) -> LoopFunction:
        """Return the function of the work.  Raises LoweringError."""
        match self.work:
            case Elements():
                body = self._elements(self.work)
            case Samples():
                body = self._samples(self.work)
            case GroupReduction():
                work = self.work
                body = self._reduction(work, work.operation, work.over, work.body)
            case Product():
                body = self._product(self.work)
            case Drawing():
                raise LoweringError(f"{self.work.out}: random outside of training")
        reads = tuple(name for name in self.read if name not in self.written)
        remark = tuple(
            f"// {note.text}    {note.shape} ({note.number})"
            for number in self._equations()
            if (note := self.program.notes.get(number))
        )
        return LoopFunction(self.name, remark, tuple(body), tuple(self.written), reads, self._operations())

    def parameter(self, name: str) -> str:
        """Return how the function declares a tensor that it is given."""
        const = "" if name in self.written else "const "
        return f"{const}{element_of(self.program, name)} *restrict {self.program.values[name].identifier}"

    # ---- Loops -----------------------------------------------------------------------------------

    def _elements(self, work: Elements) -> list[str]:
        heads, indent = self._loops(work.axes)
        return [*heads, *(indent + line for line in self._steps(work.steps)), *_ends(indent)]

    def _samples(self, work: Samples) -> list[str]:
        body: list[str] = []
        for part in work.works:
            self.local.clear()
            self.axes = part.axes
            body += self._elements(part)
        return body

    def _product(self, work: Product) -> list[str]:
        summed = tuple((i, work.extents[i]) for i in work.blocks.summed)
        factors = [
            self.views.resolved(element(load.name, self.program.values[load.name].shape, load.indices))
            for load in (work.left, work.right)
        ]
        units = {i: sympy.S.Zero for i, e in work.extents.items() if e in (1, BATCH)}
        body = Mul(*(f.xreplace(units) for f in factors), evaluate=False)
        return self._reduction(work, "sum", summed, body)

    def _reduction(self, work: GroupReduction | Product, operation: str, over: Axes, body: Expr) -> list[str]:
        """Return loops over elements, each with loops that add up its terms, or find the greatest."""
        heads, indent = self._loops(work.axes)
        value = self._variable("total" if operation == "sum" else "greatest")
        start = "0" if operation == "sum" else "real(-1) / real(0)"
        lines = [f"real {value} = {start};"]
        guards: Sequence[Expr] = ()
        if operation == "sum" and any(e not in (1, BATCH) for _, e in over):
            body, guards = _unguarded(body)
        inner, deeper = self._loops(over, guards)
        text = self._text(body)
        joined = f"{value} += {text};" if operation == "sum" else f"{value} = maximum({value}, {text});"
        lines += [*inner, f"{deeper}{joined}", *_ends(deeper)]
        if not work.steps or work.out in self._reads(work.steps):
            self.local[work.out] = value
        if self._is_kept(work.out) and not any(s.out == work.out for s in work.steps):
            self.written[work.out] = None
            place = self._place(work.out, tuple(i for i, _ in work.axes))
            target = self.program.values[work.out].identifier
            lines.append(f"{target}[{place}] = {value};  // ({work.equation})")
        lines += self._steps(work.steps)
        return [*heads, *(indent + line for line in lines), *_ends(indent)]

    def _loops(self, axes: Axes, guards: Sequence[Expr] = ()) -> tuple[list[str], str]:
        """Return the heads of loops, with guards as soon as what they ask is known, and the depth inside."""
        lines, indent = [], ""
        waiting = list(guards)
        for index, extent in axes:
            self.extents[index] = 1 if extent == BATCH else extent
            if extent in (1, BATCH):
                self.names.names[index] = "0"
                continue
            name = self.names.of(index)
            lines.append(f"{indent}for (int {name} = 0; {name} < {extent}; ++{name}) {{")
            indent += "    "
            for guard in [g for g in waiting if self._known(g)]:
                waiting.remove(guard)
                place, size = guard.args
                lines.append(f"{indent}if (!inside({self._integer(place)}, {size})) continue;")
        return lines, indent

    def _known(self, guard: Expr) -> bool:
        return all(index in self.extents for index in guard.args[0].free_symbols)

    # ---- Expressions -----------------------------------------------------------------------------

    def _text(self, e: Expr, above: int = CONDITION) -> str:
        return super()._text(_folded(e), above)

    def _equations(self) -> tuple[int, ...]:
        work = self.work
        numbers = [] if isinstance(work, Elements | Samples | Drawing) else [work.equation]
        numbers += [] if isinstance(work, Drawing) else [s.equation for s in work.steps]
        return tuple(dict.fromkeys(numbers))

    def _operations(self) -> int:
        """Return how many products are added up."""
        return count(tuple(self.work.extents.values())) if isinstance(self.work, Product) else 0


def _unguarded(body: Expr) -> tuple[Expr, Sequence[Expr]]:
    """Return a product without the guards of its factors, outside of which it is zero, and these guards."""
    factors = Mul.make_args(body)
    guards = [g for f in factors if isinstance(f, Guarded) for g in f.guards]
    plain = (f.read if isinstance(f, Guarded) else f for f in factors)
    return (Mul(*plain, evaluate=False) if len(factors) > 1 else next(plain)), list(dict.fromkeys(guards))


def _folded(e: Expr) -> Expr:
    """Return an expression whose irrational numbers are the doubles next to them."""
    if not any(map(_irrational, e.atoms())):
        return e
    if _irrational(e):
        return _decimal(e)
    if not isinstance(e, sympy.Mul | sympy.Add):
        return e.func(*map(_folded, e.args))
    numbers = [a for a in e.args if a.is_number]
    others = [_folded(a) for a in e.args if not a.is_number]
    if all(a.is_Rational for a in numbers):
        return e.func(*numbers, *others, evaluate=False)
    return e.func(_decimal(e.func(*numbers)), *others, evaluate=False)


def _irrational(e: Expr) -> bool:
    return bool(e.is_number and e.is_finite and not e.is_Rational)


def _decimal(e: Expr) -> Expr:
    return Rational(repr(float(e)))


def _ends(indent: str) -> list[str]:
    return [" " * depth + "}" for depth in range(len(indent) - 4, -1, -4)]
