"""The text of a C program: its functions, the order in which threads run them, and its memory."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from chainrule.codegen.frame import Frame
from chainrule.codegen.ir.program import BATCH, Program, Shape
from chainrule.codegen.ir.section import IN_STEP, Section
from chainrule.codegen.kernels.plan import LOSS, WorkPlan, planned
from chainrule.codegen.kernels.work import Drawing, Picking, Product, Work, made, operations
from chainrule.codegen.rendering import fill
from chainrule.codegen.targets.c.functions import CFunction, Share
from chainrule.codegen.targets.c.machine import MACHINE
from chainrule.codegen.targets.c.naming import identifier
from chainrule.codegen.targets.c.products import tiled
from chainrule.codegen.targets.c.scalars import used_scalars
from chainrule.codegen.targets.c.winners import Picks
from chainrule.codegen.targets.c.writer import CWriter
from chainrule.codegen.targets.c_family.addresses import element_of

SOURCE, HEADER = "c/trainer.c", "c/trainer.h"
RULE = 100


class CSource:
    """Writes trainer.c and trainer.h of a program.  Raises LoweringError."""

    def __init__(self, program: Program, frame: Frame) -> None:
        self.frame = frame
        self.plan: WorkPlan = planned(program, MACHINE)
        self.program = self.plan.program
        self.struct = identifier(frame.name)
        self.texts: dict[tuple[str, ...], CFunction] = {}
        self.names: set[str] = set()
        self.order: dict[Section, list[CFunction]] = {}
        self.runs = {section: self._functions(section) for section in Section}

    def files(self) -> dict[str, str]:
        frame = self.frame
        outputs = {
            "name": self.struct,
            "frame": frame,
            "constants": [(name, repr(float(value))) for name, value, _ in frame.constants],
            "draws": any(isinstance(work, Drawing) for work in self.plan.works[Section.FORWARD]),
            "target": "int32_t" if frame.labels else "real",
            "input": math.prod(frame.input_shape),
            "output": math.prod(frame.output_shape),
            "buffers": self.buffers(),
            "scratch": self._scratch(),
            "bodies": {section: self._body(section) for section in Section},
            "result": self._identifier(self.program.output),
            "loss": self._identifier(LOSS),
            "input_gradient": self._identifier(self.program.input_gradient),
            "evaluation": bool(self.runs[Section.EVALUATION]),
            "sections": self._sections(),
            "used": used_scalars(line for each in self.order.values() for f in each for line in f.body),
            "gradients": self._flat("gradient"),
            "parameters": self._flat("parameter"),
            "statistics": self._flat("statistic"),
            "scheduled": frame.scheduled,
            "states": [self._identifier(name) for name in frame.state],
            "work": max(1, sum(operations(w) for part in IN_STEP for w in self.plan.works[part])),
        }
        return {SOURCE: fill("c/trainer.c.j2", **outputs), HEADER: fill("c/trainer.h.j2", **outputs)}

    # ---- Functions -------------------------------------------------------------------------------

    def _functions(self, section: Section) -> list[CFunction]:
        found: list[CFunction] = []
        for work in self.plan.works[section]:
            for function in self._written(section, work):
                if not function.writes:
                    continue
                same = self.texts.setdefault(function.body, function)
                if same is function:
                    self.order.setdefault(section, []).append(function)
                found.append(same)
        return self._ordered(found)

    def _ordered(self, functions: Sequence[CFunction]) -> list[CFunction]:
        """Return functions with those by samples first, as far as they need nothing of the others.

        Sums over samples then follow on what was just computed of a sample, and are joined together.
        """
        order: list[CFunction] = []
        waiting: list[CFunction] = []
        for function in functions:
            if not function.by_sample:
                waiting.append(function)
                continue
            if any(self._needs(function, other) for other in waiting):
                order += waiting
                waiting = []
            order.append(function)
        return order + waiting

    def _needs(self, one: CFunction, other: CFunction) -> bool:
        """Whether a function must come after another one: memory of one of them is written by the other."""
        reads, writes, read, written = (
            set(map(self._root, names)) for names in (one.reads, one.writes, other.reads, other.writes)
        )
        return bool(reads & written or writes & (read | written))

    def _written(self, section: Section, work: Work) -> list[CFunction]:
        wanted = f"{section}_{self.program.values[made(work)[-1]].identifier}"
        name, count = wanted, 1
        while name in self.names:
            count += 1
            name = f"{wanted}_{count}"
        self.names.add(name)
        remark = []
        if isinstance(work, Drawing):
            remark.append(
                f"// {self.program.values[work.out].identifier} ~ Bernoulli({float(work.probability):g})"
            )
        writer = CWriter(self.program, self.plan.views, self.plan.kept, work, name, ())
        for number in writer.equations:
            note = self.program.notes.get(number)
            remark += (
                [f"// {note.text}    {note.shape} ({note.number})"]
                if note and not isinstance(work, Drawing)
                else []
            )
        if isinstance(work, Picking):
            remark.append("// summed over windows alone: each gives to the place of its winner")
        writer.remark = tuple(remark)
        if isinstance(work, Picking):
            return Picks(writer, work).functions()
        tiles = tiled(writer, work) if isinstance(work, Product) else None
        return writer.functions() if tiles is None else tiles

    def _sections(self) -> list[tuple[str, list[str]]]:
        found = []
        for section, functions in self.order.items():
            title = f"/* ---- {section.replace('_', ' ').capitalize()} "
            found.append(
                (
                    title + "-" * (RULE - len(title)) + " */",
                    [f.text(f"struct {self.struct}") for f in functions],
                )
            )
        return found

    # ---- What threads do ---------------------------------------------------------------------------

    def _body(self, section: Section) -> list[str]:
        """Return what each thread runs, with barriers where one needs what others wrote."""
        lines: list[str] = []
        reads: dict[str, bool] = {}
        writes: dict[str, bool] = {}
        chain: list[CFunction] = []

        def run(functions: Sequence[CFunction]) -> None:
            clears = [f.clears for f in functions if f.clears]
            lines.extend(clears)
            if len(functions) > 1:
                lines.append("for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {")
                lines.extend(f"    {f.name}(w, id, n, n + 1);" for f in functions)
                lines.append("}")
                return
            for f in functions:
                if f.share is Share.ALONE:
                    lines.append(f"if (id == 0) {f.name}(w, id, 0, {f.count});")
                else:
                    lines.append(f"{f.name}(w, id, share(w, id, {f.count}), share(w, id + 1, {f.count}));")

        for function in self.runs[section]:
            own_reads = {self._root(name): own for name, own in function.reads.items()}
            own_writes = {self._root(name): own for name, own in function.writes.items()}
            sampled = function.share is Share.SAMPLES
            conflict = self._meets(own_reads, writes, sampled) or self._meets(own_writes, reads, sampled)
            conflict = conflict or self._meets(own_writes, writes, sampled)
            if conflict:
                run(chain)
                chain = []
                lines.append("barrier(w);")
                reads, writes = {}, {}
            if not (function.by_sample and (not chain or chain[-1].by_sample)):
                run(chain)
                chain = []
            chain.append(function)
            for name, own in own_reads.items():
                reads[name] = reads.get(name, True) and own and sampled
            for name, own in own_writes.items():
                writes[name] = writes.get(name, True) and own and sampled
        if chain:
            run(chain)
        if lines:
            lines.append("barrier(w);")
        return lines

    def _meets(self, one: dict[str, bool], other: dict[str, bool], sampled: bool) -> bool:
        return any(name in other and not (own and other[name] and sampled) for name, own in one.items())

    def _root(self, name: str) -> str:
        while self.plan.slots.get(name):
            name = self.plan.slots[name]
        value = self.program.values.get(name)
        flat = {"parameter": "theta", "gradient": "g"}.get(value.kind) if value else None
        return flat or name

    # ---- Memory ----------------------------------------------------------------------------------

    def _touched(self) -> list[str]:
        names: dict[str, None] = {}
        for functions in self.runs.values():
            for function in functions:
                names |= dict.fromkeys(
                    n for n in (*function.reads, *function.writes) if n in self.program.values
                )
        for name in (self.program.output, LOSS, self.program.input_gradient):
            if name in self.program.values:
                names.setdefault(self.plan.views.memory(name))
        return list(names)

    def buffers(self) -> list[tuple[str, str, str, str, str]]:
        """Return what the workspace points to: kind, C type, identifier, entries, whose memory it has."""
        found = []
        for name in self._touched():
            value = self.program.values[name]
            slot = self.plan.slots.get(name, "")
            kind = {"theta": "parameters", "g": "gradients"}.get(name, value.kind)
            found.append(
                (
                    kind,
                    element_of(self.program, name),
                    value.identifier,
                    _entries(value.shape),
                    self.program.values[slot].identifier if slot else "",
                )
            )
        return sorted(found, key=lambda each: bool(each[4]))

    def _scratch(self) -> list[tuple[str, str]]:
        return list(
            dict.fromkeys(s for functions in self.runs.values() for f in functions for s in f.scratch)
        )

    def _flat(self, kind: str) -> list[tuple[str, int]]:
        """Return where the parts of a flat vector begin."""
        order = self.frame.statistics if kind == "statistic" else self.frame.parameters
        starts, at = {}, 0
        for each in order:
            starts[each.name] = at
            at += each.count
        touched = [self.program.values[n] for n in self._touched()]
        return [
            (v.identifier, starts[v.of or v.name])
            for v in touched
            if v.kind == kind and v.name not in ("theta", "g")
        ]

    def _identifier(self, name: str) -> str:
        if name not in self.program.values:
            return ""
        return self.program.values[self.plan.views.memory(name)].identifier


def _entries(shape: Shape) -> str:
    factors = ["N" if e == BATCH else str(e) for e in shape]
    return " * ".join(factors) or "1"


def source(program: Program, frame: Frame) -> dict[str, str]:
    """Return the files of a C program by path, its driver aside.  Raises LoweringError."""
    return CSource(program, frame).files()


def equation_lines(text: str) -> dict[int, list[int]]:
    """Return the lines (from 1) of one of the files by the number of the equation that ends them."""
    lines: dict[int, list[int]] = {}
    for position, line in enumerate(text.splitlines(), 1):
        found = re.search(r"// .*?\((\d+)\)$", line)
        if found is not None:
            lines.setdefault(int(found[1]), []).append(position)
    return lines
