"""Holds lowered equations against the reference interpreter: the NumPy program's, and the kernels'."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import operator
import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import sympy
from cuda_on_cpu.module import CpuModule
from machine_sizes import numpy_with
from random_equations import Array, Case, N, values

import chainrule.codegen.lower.lowering
from chainrule.codegen.ir.program import EquationNote, Grid, Program, Value
from chainrule.codegen.ir.section import ON_BATCH
from chainrule.codegen.kernels.views import Views
from chainrule.codegen.lower.affine import Costs
from chainrule.codegen.lower.lowering import lower
from chainrule.codegen.passes.absorb import absorb_temporaries
from chainrule.codegen.targets.cuda import planning
from chainrule.codegen.targets.cuda.plan import Plan
from chainrule.codegen.targets.numpy.helpers import HELPERS
from chainrule.codegen.targets.numpy.sections import Sections
from chainrule.derive.derivation import Derivation
from chainrule.derive.differentiate import CannotDifferentiate, cotangent, vjp
from chainrule.derive.index import Equation, access, index, tensor
from chainrule.derive.interpret import evaluate
from chainrule.derive.numbering import NumberedEquation

TOLERANCE = 1e-9
MODULES = {
    "np": np, "math": math, "re": re, "os": os, "ctypes": ctypes, "functools": functools,
    "operator": operator, "contextlib": contextlib, "threading": threading,
    "ThreadPoolExecutor": ThreadPoolExecutor,
}  # fmt: skip
FRAME = SimpleNamespace(
    tensor_cores="none", constants=(), name="judged", summary="", spec_file="", spec_hash="0" * 8
)


@dataclass(frozen=True)
class Judged:
    """A case as a derivation, and what the interpreter says of every tensor in it."""

    case: Case
    derivation: Derivation
    given: dict[str, Array]
    wanted: dict[str, Array]


def judged(case: Case) -> Judged:
    """Return a case with the cotangents that are wanted and the values of everything."""
    rng = np.random.default_rng(case.seed)
    given = {name: values(base, case.samples, rng) for name, base in case.given().items()}
    bases = dict(case.given())
    found: dict[str, Array] = {}
    forward, backward = list(case.equations), []
    for equation, names in zip(case.equations, case.wanted, strict=True):
        for name in names:
            with contextlib.suppress(CannotDifferentiate):
                adjoint = vjp(equation, name)
                if adjoint.right != 0:
                    backward.append(adjoint)
                    seed = tensor(cotangent(equation.name), *equation.left.base.shape)
                    bases[cotangent(equation.name)] = seed
                    given[cotangent(equation.name)] = values(seed, case.samples, rng)
    for equation in (*forward, *backward):
        reads = {**given, **found}
        known = {name: reads[name] for name in equation.reads()}
        found[equation.name] = evaluate(equation, {**known, "N": np.asarray(case.samples)})
    return Judged(case, _derivation(bases, forward, backward), given, found)


def _derivation(bases: dict[str, Any], forward: list[Equation], backward: list[Equation]) -> Derivation:
    """Return a derivation of equations."""
    batched = [name for name, base in bases.items() if base.shape[:1] == (N,)]
    shapes = {name: tuple("N" if e == N else int(e) for e in base.shape) for name, base in bases.items()}
    parameters = [SimpleNamespace(name=name, shape=shapes[name]) for name in bases if name not in batched]
    book: list[NumberedEquation] = []

    def add(role: str, equation: Equation) -> None:
        book.append(NumberedEquation(len(book) + 1, role, equation, equation, (), ""))  # type: ignore[arg-type]

    for equation in forward:
        add("forward", equation)
    for equation in backward:
        add("backward", equation)
    network = SimpleNamespace(
        parameters=parameters or [SimpleNamespace(name="none", shape=(1,))],
        statistics=[SimpleNamespace(name=name, shape=shapes[name]) for name in batched],
        noise=(),
        labels=False,
        output_shape=(1,),
        output=forward[-1].name,
        spec=SimpleNamespace(input_shape=(1,), optimizer=SimpleNamespace(options={})),
    )
    return Derivation(network, tuple(book))  # type: ignore[arg-type]


def lowered(one: Judged, costs: Costs) -> Program:
    """Return the program of a case, not yet optimized; its end reads what equations give."""
    with patch.object(
        chainrule.codegen.lower.lowering, "_note", lambda e: EquationNote(e.number, e.role, e.name, str, "")
    ):
        program = lower(one.derivation, costs)
    lefts = (e.computed.left for e in one.derivation.equations)
    firsts = [access(left.base, *(0 for _ in left.indices)) for left in lefts]
    number = len(firsts) + 1
    end = Grid("end", (), number, sympy.Add(*firsts), (), ())
    sections = program.sections | {"input_gradient": (*program.sections["input_gradient"], end)}
    program.values["end"] = Value("end", (), "local", "end")
    program.notes[number] = EquationNote(number, "backward", "end", str, "")
    program.values["theta"] = Value("theta", (1,), "parameter", "theta")  # of an update that there is not
    return replace(program, sections=sections)


# ---- NumPy -------------------------------------------------------------------------------------------------


@functools.cache
def _helpers() -> dict[str, Any]:
    namespace = dict(MODULES)
    for text in HELPERS.values():
        exec(text, namespace)  # noqa: S102  what programs define
    namespace["THREADS"] = 2
    return namespace


def by_numpy(program: Program, one: Judged) -> dict[str, Array]:
    """Run the statements of a program and return what its equations give."""
    small = {"sample": 1, "piece": 16, "rows": 1} if one.case.pieces else {}
    program = numpy_with(**small).optimize(program)
    sections = Sections(program)
    room, gradient = _room(sections, one), {}
    for value in program.values.values():
        if value.kind == "gradient":
            gradient[value.identifier[1:]] = np.full(value.shape, np.nan)
    space = {**_helpers(), "w": room, "g": gradient}
    x, t = np.zeros((one.case.samples, 1)), np.zeros((one.case.samples, 1))
    given = {name: array.copy() for name, array in one.given.items()}
    text: list[str] = []
    for name in ON_BATCH:
        text += [f"def {name}(p, x, t, N):"]
        text += [
            f"    {line}" for line in (*sections.preambles[name], *sections.texts[name], "return locals()")
        ]
    text += [f"shown |= {name}(p, x, t, len(x))" for name in ON_BATCH]
    shown: dict[str, Array] = {}  # what only shows what is given has no memory of its own
    exec("\n".join(text), {**space, "p": given, "x": x, "t": t, "shown": shown})  # noqa: S102  it is what is judged
    found = {}
    for name in one.wanted:
        value = program.values[name]
        if value.kind == "gradient":
            found[name] = gradient[value.identifier[1:]]
        else:
            found[name] = getattr(room, value.identifier, shown.get(value.identifier))
    return found


def _room(sections: Sections, one: Judged) -> SimpleNamespace:
    """Return the memory of a program, full of NaN."""
    own = SimpleNamespace(real=np.float64)

    def room(name: str, *shape: int, fill: Any = None, dtype: Any = np.float64) -> Array:
        if fill is not None:
            return fill(shape, dtype)
        return np.full(shape, np.nan) if dtype is np.float64 else np.full(shape, True)

    scope = {
        **_helpers(), "room": room, "N": one.case.samples, "dtype": np.float64, "self": own,
        "piece": lambda size: min(size, -(-one.case.samples // 2)),
    }  # fmt: skip
    lines = [*sections.ones(), *sections.buffers("forward", "loss", "backward", "statistics")]
    lines += sections.buffers("input_gradient", after=("forward", "loss", "backward", "statistics"))
    for buffer in lines:
        setattr(own, buffer.name, eval(buffer.text, scope))  # noqa: S307  a program's own line
    return own


# ---- Kernels -----------------------------------------------------------------------------------------------


def planned(program: Program) -> Plan:
    """Return the plan of kernels of a program."""
    with patch.object(planning, "persistent", lambda *_: ""):
        return planning.plan(absorb_temporaries(program), FRAME)  # type: ignore[arg-type]


class Kernels:
    """The kernels of many cases in one source."""

    def __init__(self) -> None:
        self.cases: list[tuple[Judged, Program, Plan, dict[str, str]]] = []
        self.texts: dict[str, str] = {}
        self.preamble = ""

    def add(self, one: Judged, program: Program) -> None:
        """Add the kernels of a case; those that only read what is kept are left out."""
        plan = planned(program)
        names: dict[str, str] = {}
        parts = plan.source.split("\n\n")
        for section in ON_BATCH:
            for launch in plan.launches[section]:
                if min(launch.equations) > len(one.wanted):
                    continue
                (text,) = (p for p in parts if f"KERNEL {launch.kernel}(" in p)
                text = text[text.index("KERNEL ") :].split("(", 1)[1]
                names[launch.kernel] = self.texts.setdefault(text, f"kernel_{len(self.texts)}")
        first = [i for i, p in enumerate(parts) if "KERNEL " in p and "#define" not in p][:1]
        if first and not self.preamble:  # what only shows what is given needs no kernel
            preamble = "\n\n".join(parts[: first[0]])
            self.preamble = preamble[: preamble.rindex("// ---- ")]
        self.cases.append((one, program, plan, names))

    def results(self) -> Iterator[tuple[Judged, dict[str, Array]]]:
        """Compile, run every case and give what its equations give."""
        kernels = [f"KERNEL {name}({text}" for text, name in self.texts.items()]
        module = CpuModule(
            "\n\n".join([self.preamble, *kernels]) + "\n", options=("-DREAL=double",), strict=True
        )
        for one, program, plan, names in self.cases:
            yield one, _launched(module, one, program, plan, names)


def _launched(
    module: CpuModule, one: Judged, program: Program, plan: Plan, names: dict[str, str]
) -> dict[str, Array]:
    memory: dict[str, Array] = {}
    kinds = {"double": np.float64, "int": np.int32, "unsigned char": np.uint8}

    def room(name: str) -> Array:
        buffer = plan.buffers[name]
        if name not in memory and buffer.slot:
            memory[name] = room(buffer.slot)
        elif name not in memory and name in one.given:
            memory[name] = one.given[name].copy()
        elif name not in memory:
            shape = tuple(one.case.samples if e == "N" else int(e) for e in buffer.shape) or (1,)
            made = np.zeros(shape, kinds.get(buffer.element, np.float64))
            made.fill(np.nan if made.dtype.kind == "f" else 77)
            memory[name] = made
        return memory[name]

    for section in ON_BATCH:
        for launch in plan.launches[section]:
            if launch.kernel not in names:
                continue
            arguments = [np.int32(one.case.samples) if a == "N" else room(a) for a in launch.arguments]
            kernel = module.get_function(names[launch.kernel])
            kernel((2,), (launch.threads,), tuple(arguments), shared_mem=launch.shared * 2)
    memory = {**one.given, **memory}  # what shows a given tensor needs no kernel
    views = Views(absorb_temporaries(program))
    return {name: _shown(views, name, memory, one.case.samples) for name in one.wanted}


def _shown(views: Views, name: str, memory: dict[str, Array], samples: int) -> Array:
    """Return a value that may only show another's memory, shifted and padded."""
    shape = tuple(samples if e == "N" else int(e) for e in views.program.values[name].shape)
    axes = [index(f"axis{d}") for d in range(len(shape))]
    place = views.place(access(tensor(name, *shape), *axes))
    at = dict(zip(axes, np.indices(shape), strict=True))
    source = memory[place.buffer].reshape([samples if e == "N" else int(e) for e in place.shape])

    def where(subscript: Any) -> Array:
        return sum(
            (int(subscript.coeff(i)) * at[i] for i in axes), np.full(shape, int(subscript.as_coeff_Add()[0]))
        )

    inside = np.ones(shape, bool)
    for guard in place.guards:
        extent = samples if guard.size == N else int(guard.size)
        inside &= (where(guard.expression) >= 0) & (where(guard.expression) < extent)
    found = source[tuple(np.where(inside, where(e), 0) for e in place.subscripts)]
    return np.where(inside, found, 0)


# ---- Comparison --------------------------------------------------------------------------------------------


def mismatches(found: dict[str, Array], one: Judged) -> list[str]:
    """Return the tensors that have other values than the interpreter gives, with the error."""
    wrong = []
    for name, want in one.wanted.items():
        if name not in found:
            wrong.append(f"{name}: missing")
            continue
        got = np.asarray(found[name], float).reshape(want.shape)
        error = np.max(np.abs(got - want) / np.maximum(1, np.abs(want)), initial=0.0)
        if not error <= TOLERANCE:
            wrong.append(f"{name}: {error:.2g}")
    return wrong
