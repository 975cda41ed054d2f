"""The plan of a CUDA program: its kernels, what each section launches, and the memory that it takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from sympy import Indexed, Symbol

from chainrule.codegen.frame import Frame
from chainrule.codegen.ir.program import BATCH, GIVEN, Draw, Program, Value
from chainrule.codegen.ir.scalar import element
from chainrule.codegen.ir.section import FORWARDS, IN_STEP, ON_BATCH, Section
from chainrule.codegen.kernels.fusion import Fusion
from chainrule.codegen.kernels.liveness import Access, verify_memory
from chainrule.codegen.kernels.places import size
from chainrule.codegen.kernels.work import Drawing, Elements, Product, Reduction, Samples, Step, Work
from chainrule.codegen.rendering import fill
from chainrule.codegen.targets.cuda.addresses import TABLE, element_of
from chainrule.codegen.targets.cuda.machine import MACHINE
from chainrule.codegen.targets.cuda.persistent import memory, persistent
from chainrule.codegen.targets.cuda.plan import Buffer, Launch, Launches, Plan
from chainrule.codegen.targets.cuda.sources import THREADS, Kernel, KernelSource

LOSS = "E"
RULE = 109


def plan(program: Program, frame: Frame) -> Plan:
    """Return the kernels and launches of a program.  Raises LoweringError."""
    return _Planning(program, frame).plan()


class _Planning:
    def __init__(self, program: Program, frame: Frame) -> None:
        self.frame = frame
        self.program = replace(program, values=dict(program.values))
        fusion = Fusion(self.program, MACHINE)
        self.views = fusion.views
        self.works = {
            section: [part for work in fusion.works(section) for part in self._divided(work)]
            for section in Section
        }
        self.kept = self._kept()
        self.kernels: dict[Kernel, Kernel] = {}  # with their names, by what they are without
        self.order: dict[Section, list[Kernel]] = {section: [] for section in Section}

    def plan(self) -> Plan:
        source = KernelSource(self.program, self.views, self.kept, self.frame.tensor_cores != "none")
        launches = {
            section: tuple(self._launches(section, works, source)) for section, works in self.works.items()
        }
        buffers = self._buffers(launches)
        by_name = {kernel.name: kernel for kernel in self.kernels.values()}
        self._verify(launches, by_name, buffers)
        phases = [by_name[launch.kernel] for section in IN_STEP for launch in launches[section]]
        return Plan(
            self._source(persistent(self.program, phases, buffers, LOSS)),
            launches,
            buffers,
            output=self.views.memory(self.program.output),
            loss=self.views.memory(LOSS),
            input_gradient=self.views.memory(self.program.input_gradient),
            persistent=memory(phases, buffers, LOSS),
            work=sum(_operations(work) for section in IN_STEP for work in self.works[section]),
        )

    def _verify(
        self,
        launches: Launches,
        kernels: dict[str, Kernel],
        buffers: dict[str, Buffer],
    ) -> None:
        """Check the memory between kernels in the orders in which sections run.  Raises VerificationError."""
        slots = {name: buffer.slot for name, buffer in buffers.items()}
        given = {name for name, buffer in buffers.items() if buffer.kind in (*GIVEN, "state", "scalar")}
        orders: list[tuple[tuple[Section, ...], set[str]]] = [(ON_BATCH, self._results())]
        if launches[Section.EVALUATION]:
            orders.append(((Section.EVALUATION,), {self.views.memory(self.program.output)}))
        for order, results in orders:
            accesses = []
            for launch in (launch for section in order for launch in launches[section]):
                writes = frozenset(kernels[launch.kernel].written)
                accesses.append(Access(launch.kernel, frozenset(launch.arguments) - writes - {"N"}, writes))
            verify_memory(accesses, slots, given, results & buffers.keys())

    # ---- Work ------------------------------------------------------------------------------------

    def _divided(self, work: Work) -> list[Work]:
        """Return work whose terms are shared by groups as two: the sums of the groups, then their sum."""
        if not isinstance(work, Product | Reduction) or work.parts == 1:
            return [work]
        value = self.program.values[work.out]
        name = f"{work.out}_parts"
        self.program.values[name] = Value(
            name, (work.parts, *(e for _, e in work.axes)), "local", f"{value.identifier}_parts"
        )
        part = Symbol("part", integer=True)
        partial = _element(name, self.program, (part, *(i for i, _ in work.axes)))
        total = Step(work.out, partial, work.equation, "sum", ((part, work.parts),))
        steps, work.steps = [total, *work.steps], []
        work.out = name
        return [work, Elements(work.axes, steps)]

    def _kept(self) -> frozenset[str]:
        """Return the tensors that must be in memory: what other work reads, and what the driver gives out."""
        kept = {
            self.views.memory(n)
            for n in (self.program.output, LOSS, self.program.input_gradient)
            if n in self.program.values
        }
        for value in self.program.values.values():
            if value.kind != "local":
                kept.add(value.name)
        for works in self.works.values():
            for work in works:
                for part in work.works if isinstance(work, Samples) else [work]:
                    kept |= {name for name in self._reads(part) if name not in _made(part)}
                kept |= {work.out} if isinstance(work, Product | Reduction) and work.parts > 1 else set()
        return frozenset(kept)

    def _results(self) -> set[str]:
        results = (self.program.output, LOSS, self.program.input_gradient)
        return {self.views.memory(name) for name in results if name in self.program.values}

    def _reads(self, work: Work) -> set[str]:
        found: set[str] = set()
        if isinstance(work, Drawing):
            return found
        bodies = [step.body for step in work.steps] + [s.best for s in work.steps if s.best is not None]
        if isinstance(work, Reduction):
            bodies.append(work.body)
        if isinstance(work, Product):
            loads = (work.left, work.right)
            bodies += [self.views.resolved(_element(x.name, self.program, x.indices)) for x in loads]
        for body in bodies:
            found |= {self.views.memory(read.base.label.name) for read in body.atoms(Indexed)}
        return found

    # ---- Launches --------------------------------------------------------------------------------

    def _launches(self, section: Section, works: Iterable[Work], source: KernelSource) -> Iterator[Launch]:
        """Give the launches of work; what writes nothing, as nobody reads it, has none."""
        for work in works:
            kernel = source.kernel(work)
            if kernel.written:
                yield self._launch(section, work, kernel)

    def _launch(self, section: Section, work: Work, form: Kernel) -> Launch:
        wanted = f"{section}_{self.program.values[_made(work)[-1]].identifier}"
        name, count = wanted, 1
        names = {kernel.name for kernel in self.kernels.values()}
        while name in names:
            count += 1
            name = f"{wanted}_{count}"
        if form not in self.kernels:
            self.kernels[form] = replace(form, name=name)
            self.order[section].append(self.kernels[form])
        kernel = self.kernels[form]
        text = "; ".join(self.program.notes[n].text for n in kernel.equations if n in self.program.notes)
        return Launch(
            kernel.name, kernel.arguments, kernel.blocks, THREADS, kernel.shared, kernel.equations, text
        )

    def _source(self, persistent: str) -> str:
        draws = any(isinstance(s, Draw) for s in self.program.statements(Section.FORWARD))
        frame = self.frame
        text = fill(
            "cuda_preamble.cu.j2",
            name=frame.name,
            summary=frame.summary,
            spec_file=_comment(frame.spec_file),
            spec_hash=frame.spec_hash[:8],
            constants=[(identifier, repr(float(value))) for identifier, value, _ in frame.constants],
            draws=draws,
            threads=THREADS,
            tensor_cores=frame.tensor_cores,
        )
        parts = [text.rstrip()]
        for section, kernels in self.order.items():
            if kernels:
                title = f"// ---- {section.replace('_', ' ').capitalize()} "
                parts.append(title + "-" * (RULE - len(title)))
                parts += [kernel.text for kernel in kernels]
        parts.append(persistent)
        return "\n\n".join(parts) + "\n"

    # ---- Memory ----------------------------------------------------------------------------------

    def _buffers(self, launches: Launches) -> dict[str, Buffer]:
        names = dict.fromkeys(a for section in launches.values() for x in section for a in x.arguments)
        slots = self._slots()
        found: dict[str, Buffer] = {}
        for name in names:
            if name == "N":
                continue
            if name in TABLE:
                found[name] = Buffer(
                    name, name, (1,), "scalar", {"uint64": "unsigned long long"}.get(TABLE[name], TABLE[name])
                )
                continue
            value = self.program.values[name]
            found[name] = Buffer(
                name,
                value.identifier,
                value.shape,
                value.kind,
                element_of(self.program, name),
                slots.get(name, ""),
                value.of,
            )
        return found

    def _slots(self) -> dict[str, str]:
        """Return, for values of the way back, the dead buffer whose memory each takes over."""
        order = [work for section in ON_BATCH for work in self.works[section]]
        last: dict[str, int] = {}
        for position, work in enumerate(order):
            for name in (*_made(work), *self._reads(work)):
                last[name] = position
        forever = {
            self.views.memory(n)
            for n in (self.program.output, LOSS, self.program.input_gradient)
            if n in self.program.values
        }
        early = {n for section in (*FORWARDS, Section.LOSS) for w in self.works[section] for n in _made(w)}
        free: dict[tuple[object, ...], list[str]] = {}
        owner: dict[str, str] = {}
        done: set[str] = set()
        for position, work in enumerate(order):
            ended = [n for n, at in last.items() if at < position and n not in done and self._is_local(n)]
            for name in sorted(ended):
                done.add(name)
                if name in self.kept and name not in forever:
                    free.setdefault(self._form(name), []).append(owner.get(name, name))
            for name in _made(work):
                if name in owner or name in early or name not in self.kept or not self._is_local(name):
                    continue
                pool = free.get(self._form(name))
                owner[name] = pool.pop() if pool and name not in forever else name
        return {name: memory for name, memory in owner.items() if memory != name}

    def _is_local(self, name: str) -> bool:
        return self.program.values[name].kind == "local"

    def _form(self, name: str) -> tuple[object, ...]:
        value = self.program.values[name]
        return value.shape, element_of(self.program, name)


def _made(work: Work) -> list[str]:
    own = [] if isinstance(work, Elements | Samples) else [work.out]
    return own if isinstance(work, Drawing) else [*own, *(step.out for step in work.steps)]


def _operations(work: Work) -> int:
    """Return the floating-point operations of a product for one sample."""
    if not isinstance(work, Product):
        return 0
    return 2 * math.prod(1 if e == BATCH else int(e) for e in work.extents.values())


def _element(name: str, program: Program, subscripts: Iterable[object]) -> Indexed:
    return element(name, map(size, program.values[name].shape), subscripts)


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).rstrip("\\")
