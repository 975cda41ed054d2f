"""The plan of a program of kernels, in no language: what work there is, and the memory between its pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Indexed, Symbol

from chainrule.codegen.ir.box import element
from chainrule.codegen.ir.liveness import Access, places, verify_accesses
from chainrule.codegen.ir.machine import Machine
from chainrule.codegen.ir.program import GIVEN, Program, Value
from chainrule.codegen.ir.section import EVALUATION, FORWARDS, ON_BATCH, Section
from chainrule.codegen.kernels.fusion import Fusion
from chainrule.codegen.kernels.views import Views
from chainrule.codegen.kernels.work import (
    Assignment,
    Elements,
    GroupReduction,
    Product,
    Work,
    expressions,
    made,
    parts,
)

LOSS = "E"


@dataclass(frozen=True)
class WorkPlan:
    """The work of each section, in order, on the values of a program, which a plan adds to."""

    program: Program
    views: Views
    works: Mapping[Section, Sequence[Work]]

    @cached_property
    def results(self) -> frozenset[str]:
        """What programs give out: the output, the loss and the gradient of the input."""
        names = (self.program.output, LOSS, self.program.input_gradient)
        return frozenset(self.views.memory(name) for name in names if name in self.program.values)

    @cached_property
    def kept(self) -> frozenset[str]:
        """The tensors that must be in memory: what other work reads, and what is given out."""
        found = {*self.results, *(v.name for v in self.program.values.values() if v.kind != "local")}
        for work in (work for works in self.works.values() for work in works):
            for part in parts(work):
                found |= self._reads(part) - {*made(part)}
            found |= {work.out} if isinstance(work, Product | GroupReduction) and work.parts > 1 else set()
        return frozenset(found)

    @cached_property
    def slots(self) -> dict[str, str]:
        """For values of the way back, whose memory, free by then, each takes over."""
        order = [work for section in ON_BATCH for work in self.works[section]]
        last = {name: at[-1] for name, at in places({*made(w), *self._reads(w)} for w in order).items()}
        early = {n for section in (*FORWARDS, Section.LOSS) for w in self.works[section] for n in made(w)}
        stored = {n for n in last if n in self.kept and self.program.values[n].kind == "local"}
        ended: dict[int, list[str]] = {}
        for name in sorted(stored):
            ended.setdefault(last[name], []).append(name)
        free: dict[tuple[object, ...], list[str]] = {}
        owner: dict[str, str] = {}
        for position, work in enumerate(order):
            for name in ended.get(position - 1, ()):
                if name not in self.results:
                    free.setdefault(self._form(name), []).append(owner.get(name, name))
            for name in made(work):
                if name in owner or name in early or name not in stored:
                    continue
                pool = free.get(self._form(name))
                owner[name] = pool.pop() if pool and name not in self.results else name
        return {name: memory for name, memory in owner.items() if memory != name}

    def verify(self, accesses: Mapping[Section, Sequence[Access]]) -> None:
        """Check what lies in memory as launches of sections run in order.  Raises VerificationError."""
        values = self.program.values
        touched = {name for each in accesses.values() for a in each for name in a.reads | a.writes}
        given = {n for n in touched if n not in values or values[n].kind in (*GIVEN, "state")}
        orders: list[tuple[tuple[Section, ...], frozenset[str]]] = [(ON_BATCH, self.results)]
        if accesses[Section.EVALUATION]:
            orders.append((EVALUATION, frozenset(map(self.views.memory, (self.program.output, LOSS)))))
        for order, results in orders:
            run = (access for section in order for access in accesses[section])
            verify_accesses(run, self.slots, given, results & touched)

    def _reads(self, work: Work) -> set[str]:
        bodies = expressions(work)
        if isinstance(work, Product):
            for load in (work.left, work.right):
                shape = self.program.values[load.name].shape
                bodies.append(self.views.resolved(element(load.name, shape, load.indices)))
        return {self.views.memory(read.base.label.name) for body in bodies for read in body.atoms(Indexed)}

    def _form(self, name: str) -> tuple[object, ...]:
        """Return what two values must share to share memory."""
        value = self.program.values[name]
        return value.shape, value.truth, value.place


def planned(program: Program, machine: Machine) -> WorkPlan:
    """Return the work of a program.  Raises LoweringError."""
    program = replace(program, values=dict(program.values))
    fusion = Fusion(program, machine)
    works = {
        section: [part for work in fusion.works(section) for part in _divided(program, work)]
        for section in Section
    }
    return WorkPlan(program, fusion.views, works)


def _divided(program: Program, work: Work) -> list[Work]:
    """Return work whose terms are shared by groups as two: the sums of the groups, then their sum."""
    if not isinstance(work, Product | GroupReduction) or work.parts == 1:
        return [work]
    identifier = program.values[work.out].identifier
    shape = (work.parts, *(e for _, e in work.axes))
    name = f"{work.out}_parts"
    program.values[name] = Value(name, shape, "local", f"{identifier}_parts")
    part = Symbol("part", integer=True)
    partial = element(name, shape, (part, *(i for i, _ in work.axes)))
    total = Assignment(work.out, partial, work.equation, "sum", ((part, work.parts),))
    steps, work.steps = [total, *work.steps], []
    work.out = name
    return [work, Elements(work.axes, steps)]
