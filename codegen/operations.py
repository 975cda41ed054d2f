"""How many floating-point operations a program takes for a sample."""

from __future__ import annotations

from chainrule.codegen.ir.program import BATCH, Contract, Grid, Map, Program, Statement, count
from chainrule.codegen.ir.section import Section


def flops(program: Program) -> dict[str, int]:
    """Return the operations of one sample, of the way forward and of a training step but for the update."""
    return {
        "forward": _flops(program, Section.FORWARD),
        "training": _flops(program, Section.FORWARD, Section.LOSS, Section.BACKWARD),
    }


def _flops(program: Program, *sections: Section) -> int:
    """Return the operations of some sections for one sample."""
    return sum(_flops_of(statement, program) for statement in program.statements(*sections))


def _flops_of(statement: Statement, program: Program) -> int:
    """Return the operations of a statement for one sample: 2 for each product that a contraction adds."""
    extents = dict(zip(statement.indices, program.values[statement.out].shape, strict=True))
    match statement:
        case Contract(left=left, right=right):
            for load in (left, right):
                extents |= dict(zip(load.indices, program.values[load.name].shape, strict=True))
            return 2 * count(tuple(extents.values()))
        case Map(expression=body):
            return int(body.count_ops()) * count(tuple(extents.values())) if BATCH in extents.values() else 0
        case Grid():
            return count(tuple(n for _, n in statement.extents))
    return 0
