"""predict.c and predict.h: the way forward for one sample, with static memory and a few functions of libm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

from chainrule.codegen.frame import Frame
from chainrule.codegen.ir.liveness import places
from chainrule.codegen.ir.program import BATCH, Program, Shape, count
from chainrule.codegen.ir.section import Section
from chainrule.codegen.kernels.plan import WorkPlan, planned
from chainrule.codegen.kernels.work import made
from chainrule.codegen.rendering import fill
from chainrule.codegen.targets.c.arena import Lifetime, arranged, length
from chainrule.codegen.targets.c.loops import LoopFunction, LoopWriter
from chainrule.codegen.targets.c.machine import MACHINE
from chainrule.codegen.targets.c.naming import identifier
from chainrule.codegen.targets.c.scalars import used_scalars
from chainrule.codegen.targets.c_family.addresses import element_of

PREDICT, PREDICT_HEADER = "c/predict.c", "c/predict.h"
BYTES = 4  # of a float
# Functions of the C library that expressions call, with their number of arguments.
LIBRARY = {
    **dict.fromkeys(("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "expm1", "log1p"), 1),
    **dict.fromkeys(("erf", "erfc", "floor", "rint", "ceil", "sqrt", "fabs"), 1),
    "pow": 2,
}
INSIDE = {  # what the scalar functions call
    "softplus": {"log1p", "fabs"},
    "logcosh": {"fabs", "log1p", "sinh", "expm1"},
}


@dataclass(frozen=True)
class Pointer:
    """A tensor of the way forward: its name in C, its shape, and where it lies."""

    name: str
    shape: str
    place: str
    kind: str = "real"


class PredictSource:
    """Writes predict.c and predict.h of a program.  Raises LoweringError."""

    def __init__(self, program: Program, frame: Frame) -> None:
        self.frame = frame
        self.name = identifier(frame.name)
        self.identifiers = {name: value.identifier for name, value in program.values.items()}
        self.plan: WorkPlan = planned(_forward(program), MACHINE)
        self.program = _one_sample(self.plan.program)
        self.result = self.plan.views.memory(program.output)
        self.steps: list[LoopFunction] = []
        self.writers: list[LoopWriter] = []
        for works in self.plan.works.values():
            for work in works:
                named = f"forward_{self.program.values[made(work)[-1]].identifier}"
                writer = LoopWriter(self.program, self.plan.views, self.plan.kept, work, self._free(named))
                step = writer.step()
                if step.writes:
                    self.steps.append(step)
                    self.writers.append(writer)

    def _free(self, name: str) -> str:
        """Return a name that no function has yet."""
        taken, found, number = {step.name for step in self.steps}, name, 1
        while found in taken:
            number += 1
            found = f"{name}_{number}"
        return found

    def files(self) -> dict[str, str]:
        frame = self.frame
        words = used_scalars(line for step in self.steps for line in step.body)
        library = words.union(*(INSIDE.get(word, set()) for word in words)) & LIBRARY.keys()
        outputs = {
            "name": self.name,
            "frame": frame,
            "big": self.name.upper(),
            "used": words,
            "library": [(f, LIBRARY[f]) for f in LIBRARY if f in library],
            "functions": [self._text(*each) for each in zip(self.steps, self.writers, strict=True)],
            "held": self._held(),
            "calls": [self._call(step) for step in self.steps],
            "memory": length(self._lifetimes, self._starts),
            "others": self._others(),
            "weights": [(w.name, _shape(w.shape), w.start) for w in self._weights()],
            "weight_count": sum(p.count for p in (*frame.parameters, *frame.statistics)),
            "input": math.prod(frame.input_shape),
            "output": math.prod(frame.output_shape),
            "bytes": BYTES,
            "table": self._table(),
        }
        return {PREDICT: fill("c/predict.c.j2", **outputs), PREDICT_HEADER: fill("c/predict.h.j2", **outputs)}

    # ---- Memory ----------------------------------------------------------------------------------

    @cached_property
    def _lifetimes(self) -> dict[str, Lifetime]:
        """Return the tensors that share memory, by name."""
        touched = places(step.given for step in self.steps)
        return {
            name: Lifetime(count(self.program.values[name].shape), at[0], at[-1])
            for name, at in touched.items()
            if self._is_local(name) and element_of(self.program, name) == "real"
        }

    @cached_property
    def _starts(self) -> dict[str, int]:
        return arranged(self._lifetimes)

    def _is_local(self, name: str) -> bool:
        return self.program.values[name].kind == "local" and name != self.result

    def _others(self) -> list[tuple[str, str, int]]:
        """Return what is no ``real`` and has memory of its own: type, name, entries."""
        touched = dict.fromkeys(name for step in self.steps for name in step.given)
        return [
            (
                element_of(self.program, n),
                self.program.values[n].identifier,
                count(self.program.values[n].shape),
            )
            for n in touched
            if self._is_local(n) and n not in self._lifetimes
        ]

    def _held(self) -> list[Pointer]:
        """Return the parameters that are read, and the tensors in memory, in the order of their places."""
        touched = {name for step in self.steps for name in step.given}
        found = [
            Pointer(p.identifier, self._shape_of(p.name), f"weights + {p.start}", "const real")
            for p in self._weights()
            if p.name in touched
        ]
        for name, start in sorted(self._starts.items(), key=lambda each: self._lifetimes[each[0]].first):
            value = self.program.values[name]
            found.append(Pointer(value.identifier, self._shape_of(name), f"memory + {start}"))
        return found

    def _shape_of(self, name: str) -> str:
        return _shape(self.plan.program.values[name].shape)

    def _weights(self) -> list[Weight]:
        found, at = [], 0
        for each in (*self.frame.parameters, *self.frame.statistics):
            found.append(Weight(each.name, self.identifiers.get(each.name, each.name), each.shape, at))
            at += each.count
        return found

    # ---- Text ------------------------------------------------------------------------------------

    def _text(self, step: LoopFunction, writer: LoopWriter) -> str:
        given = ", ".join(writer.parameter(name) for name in step.given)
        lines = [*step.remark, f"static void {step.name}({given})", "{"]
        lines += [*(f"    {line}" for line in step.body), "}"]
        return "\n".join(line.rstrip() for line in lines)

    def _call(self, step: LoopFunction) -> str:
        return f"{step.name}({', '.join(map(self._argument, step.given))});"

    def _argument(self, name: str) -> str:
        value = self.program.values[name]
        if value.kind == "input":
            return "x"
        return "y" if name == self.result else value.identifier

    def _table(self) -> list[tuple[str, str, int, int]]:
        """Return a row for each step: its name, what it makes, bytes in memory meanwhile, multiplications."""
        rows = []
        for position, step in enumerate(self.steps):
            alive = sum(t.size for t in self._lifetimes.values() if t.first <= position <= t.last)
            shapes = " ".join(self._shape_of(n) for n in step.writes[-1:])
            rows.append((step.name, shapes, BYTES * alive, step.operations))
        return rows


@dataclass(frozen=True)
class Weight:
    """A parameter or a statistic, and where it begins among all weights."""

    name: str
    identifier: str
    shape: tuple[int, ...]
    start: int


def _forward(program: Program) -> Program:
    """Return what of a program computes its output when not training."""
    evaluation = any(True for _ in program.statements(Section.EVALUATION))
    section = Section.EVALUATION if evaluation else Section.FORWARD
    needed, statements = {program.output}, []
    for statement in reversed(list(program.statements(section))):
        if statement.out in needed:
            needed |= statement.reads
            statements.append(statement)
    return replace(
        program,
        sections={each: tuple(reversed(statements)) if each is section else () for each in Section},
        values={name: value for name, value in program.values.items() if name in needed},
        input_gradient="",
    )


def _one_sample(program: Program) -> Program:
    """Return a program whose tensors have one sample."""
    values = {
        name: replace(value, shape=tuple(1 if e == BATCH else e for e in value.shape))
        for name, value in program.values.items()
    }
    return replace(program, values=values)


def _shape(shape: Shape) -> str:
    """Return the shape of a sample, whose own axis is left out."""
    return f"({', '.join(str(e) for e in shape if e != BATCH)})"


def predict_files(program: Program, frame: Frame) -> dict[str, str]:
    """Return predict.c and predict.h by path.  Raises LoweringError."""
    return PredictSource(program, frame).files()
