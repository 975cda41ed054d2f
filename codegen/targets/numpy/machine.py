"""The machine that NumPy programs run on, and which of them share a vector among its threads."""

from __future__ import annotations

from chainrule.codegen.ir.machine import Machine
from chainrule.codegen.ir.program import Program, count
from chainrule.codegen.targets.numpy.temporaries import temporaries

MACHINE = Machine(held=temporaries)


def shares_update(program: Program) -> bool:
    """Whether threads share the update: the program has threads, and many parameters."""
    return program.has_loops and count(program.values["theta"].shape) >= MACHINE.vector
