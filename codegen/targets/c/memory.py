"""How much memory the training steps of a C program take."""

from __future__ import annotations

import ast
import contextlib
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chainrule.codegen.frame import Frame
from chainrule.codegen.ir.program import Program, count
from chainrule.codegen.ir.section import IN_STEP
from chainrule.codegen.targets.c.sources import CSource

BYTES: Final = {
    "real": 4,
    "int": 4,
    "double": 8,
    "unsigned char": 1,
}  # of the entries of a tensor, in float32
WIDE: Final = {"avx512f": 16, "avx": 8}  # numbers that a vector has, by the flag of a processor; else 4
OPERATIONS: Final = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
}


def training_memory(program: Program, frame: Frame, batch: int, threads: int) -> dict[str, int]:
    """Return the bytes that a training step in float32 takes, by what they are for.

    ``workspace`` is activations and their cotangents, ``scratch`` what threads add up and copy for
    themselves, and columns in panels; what no step touches is no memory.
    """
    source = CSource(program, frame)
    functions = [function for section in IN_STEP for function in source.runs[section]]
    touched = {
        source.program.values[n].identifier
        for f in functions
        for n in (*f.reads, *f.writes)
        if n in source.program.values
    }
    known = {"N": batch, "threads": threads, "NR": 2 * _vector()}
    local = {
        slot or name: _length(entries, known) * BYTES[kind]
        for where, kind, name, entries, slot in source.buffers()
        if where == "local" and name in touched
    }
    scratch = dict(each for function in functions for each in function.scratch)
    parameters = BYTES["real"] * frame.parameter_count
    held = [v for v in program.values.values() if v.kind in ("state", "statistic")]
    given = [v for v in program.values.values() if v.kind in ("input", "target")]
    return {
        "parameters": parameters,
        "gradients": parameters,
        "optimizer": BYTES["real"] * sum(count(v.shape) for v in held),
        "workspace": sum(local.values()),
        "batch": BYTES["real"] * sum(count(v.shape, batch) for v in given),
        "scratch": BYTES["real"] * sum(_length(each, known) for each in scratch.values()),
    }


def _vector() -> int:
    """Return how many numbers a vector of this machine's processor has."""
    with contextlib.suppress(OSError):
        words = set(Path("/proc/cpuinfo").read_text(errors="replace").split("\n\n")[0].split())
        return next((numbers for flag, numbers in WIDE.items() if flag in words), 4)
    return 4


def _length(text: str, known: Mapping[str, int]) -> int:
    """Return the value of a length in C: whole numbers, names, + − * / and PANELS(columns)."""

    def value(node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.Name(id=name):
                return known[name]
            case ast.BinOp(left=left, op=op, right=right):
                return int(OPERATIONS[type(op)](value(left), value(right)))
            case ast.Call(func=ast.Name(id="PANELS"), args=[columns]):
                return -(-value(columns) // known["NR"])
        raise ValueError(f"{text}: no length")

    return value(ast.parse(text, mode="eval").body)
