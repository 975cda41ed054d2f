"""The plan of a CUDA program: its kernels, what each section launches, and the memory that it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from chainrule.codegen.frame import Frame
from chainrule.codegen.ir.liveness import Access
from chainrule.codegen.ir.program import Draw, Program
from chainrule.codegen.ir.section import IN_STEP, Section
from chainrule.codegen.kernels.plan import LOSS, planned
from chainrule.codegen.kernels.work import Work, made, operations
from chainrule.codegen.rendering import fill
from chainrule.codegen.targets.c_family.addresses import TABLE, element_of
from chainrule.codegen.targets.cuda.alike import AlikeKernels
from chainrule.codegen.targets.cuda.machine import MACHINE
from chainrule.codegen.targets.cuda.persistent import memory, persistent
from chainrule.codegen.targets.cuda.plan import Buffer, Launch, Launches, Plan
from chainrule.codegen.targets.cuda.sources import THREADS, Kernel, KernelSource

RULE = 109


def plan(program: Program, frame: Frame) -> Plan:
    """Return the kernels and launches of a program.  Raises LoweringError."""
    return _Planning(program, frame).plan()


class _Planning:
    def __init__(self, program: Program, frame: Frame) -> None:
        self.frame = frame
        self.work = planned(program, MACHINE)
        self.program = self.work.program
        self.kernels: dict[Kernel, Kernel] = {}  # with their names, by what they are without
        self.names: set[str] = set()
        self.order: dict[Section, list[Kernel]] = {section: [] for section in Section}

    def plan(self) -> Plan:
        work = self.work
        source = AlikeKernels(
            KernelSource(self.program, work.views, work.kept, self.frame.tensor_cores != "none")
        )
        launches = {
            section: tuple(self._launches(section, works, source)) for section, works in work.works.items()
        }
        buffers = self._buffers(launches)
        by_name = {kernel.name: kernel for kernel in self.kernels.values()}
        self._verify(launches, by_name)
        phases = [by_name[launch.kernel] for section in IN_STEP for launch in launches[section]]
        return Plan(
            self._source(persistent(self.program, phases, buffers, LOSS)),
            launches,
            buffers,
            output=work.views.memory(self.program.output),
            loss=work.views.memory(LOSS),
            input_gradient=work.views.memory(self.program.input_gradient),
            persistent=memory(phases, buffers, LOSS),
            work=sum(operations(each) for section in IN_STEP for each in work.works[section]),
        )

    def _verify(self, launches: Launches, kernels: dict[str, Kernel]) -> None:
        """Check the memory between kernels.  Raises VerificationError."""
        accesses: dict[Section, list[Access]] = {section: [] for section in Section}
        for section, each in launches.items():
            for launch in each:
                writes = frozenset(kernels[launch.kernel].written)
                reads = frozenset(launch.arguments) - writes - {"N"}
                accesses[section].append(Access(launch.kernel, reads, writes))
        self.work.verify(accesses)

    # ---- Launches --------------------------------------------------------------------------------

    def _launches(self, section: Section, works: Iterable[Work], source: AlikeKernels) -> Iterator[Launch]:
        """Give the launches of work; what writes nothing, as nobody reads it, has none."""
        for work in works:
            kernel = source.kernel(work)
            if kernel.written:
                yield self._launch(section, work, kernel)

    def _launch(self, section: Section, work: Work, form: Kernel) -> Launch:
        wanted = f"{section}_{self.program.values[made(work)[-1]].identifier}"
        name, count = wanted, 1
        while name in self.names:
            count += 1
            name = f"{wanted}_{count}"
        if form not in self.kernels:
            self.kernels[form] = replace(form, name=name)
            self.names.add(name)
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
                self.work.slots.get(name, ""),
                value.of,
            )
        return found


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).rstrip("\\")
