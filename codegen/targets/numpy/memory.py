"""The memory that a training step takes, from the program alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from sympy import Expr, Function

from chainrule.codegen.ir.formula import Form
from chainrule.codegen.ir.program import (
    Draw,
    Extent,
    First,
    Loop,
    Map,
    Program,
    Reduce,
    Statement,
    Value,
    count,
)
from chainrule.codegen.ir.section import IN_STEP, Section
from chainrule.codegen.targets.numpy.machine import MACHINE, shares_update
from chainrule.codegen.targets.numpy.special import BLOCK, HELD
from chainrule.codegen.targets.numpy.temporaries import temporaries

BYTES = 4  # float32
STEP = IN_STEP[:-1]  # the update takes memory of its own


def training_memory(program: Program, batch: int, parameters: int, threads: int) -> dict[str, int]:
    """Return the bytes that a training step in float32 takes, by what they are for.

    ``workspace`` is what the program allocates once: activations, their cotangents and windows.  ``scratch``
    is what the largest expression that is not computed in place takes on the way, and a vector for the
    update, or a part of it on each thread.  Pieces of the batch are computed on several threads, each in
    memory of its own.
    """

    def largest(sections: tuple[Section, ...]) -> int:
        found = _with_samples(program, batch, threads, sections)
        return max((_scratch(s, samples, program) for s, samples in found), default=0)

    updated = (threads * MACHINE.vector if shares_update(program) else parameters) * BYTES
    held = [v for v in program.values.values() if v.kind in ("state", "statistic")]
    made = {statement.out for statement, _ in _with_samples(program, batch, threads, STEP)}
    own = [program.values[n] for n in sorted({program.memory(n) for n in made})]
    given = [v for v in program.values.values() if v.kind in ("input", "target")]
    return {
        "parameters": parameters * BYTES,
        "gradients": parameters * BYTES,
        "optimizer": sum(count(v.shape) for v in held) * BYTES,
        "workspace": sum(_bytes_of(v, batch, threads) for v in own if v.kind == "local"),
        "batch": sum(_bytes_of(v, batch, threads) for v in given),
        "scratch": largest(STEP) + min(largest((Section.UPDATE,)), updated),
    }


def _bytes_of(value: Value, batch: int, threads: int) -> int:
    samples = _at_once(value.piece, batch, threads) if value.piece else batch
    return count(value.shape, samples) * (1 if value.truth else BYTES)


def _at_once(piece: int, batch: int, threads: int) -> int:
    """Return how many samples of a batch are computed at once in pieces: one piece on each thread."""
    return threads * min(piece, -(-batch // threads))


def _with_samples(
    program: Program, batch: int, threads: int, sections: tuple[Section, ...]
) -> Iterator[tuple[Statement, int]]:
    """Give every statement of some sections with the number of samples that it is computed for at once."""
    for section in sections:
        for entry in program.sections[section]:
            if isinstance(entry, Loop):
                yield from ((s, _at_once(entry.size, batch, threads)) for s in entry.statements)
            else:
                yield entry, batch


def _scratch(statement: Statement, samples: int, program: Program) -> int:
    """Return the bytes of what a statement computes on the way to its result."""
    match statement:
        case Draw():
            return temporaries(statement) * count(program.values[statement.out].shape, samples)
        case First(best=best):
            return 2 * count(program.values[best.name].shape, samples)  # which are reached, before and here
        case Map(formula=formula):
            indices = statement.indices
        case Reduce(formula=formula, over=over):
            indices = (*statement.indices, *over)
        case _:
            return 0
    extents: dict[Expr, Extent] = {}
    for name, subscripts in formula.reads:
        extents |= zip(subscripts, program.values[name].shape, strict=True)
    values = count(tuple(extents.get(i, 1) for i in indices), samples)
    blocks = _in_blocks(formula.form)
    return temporaries(statement) * values + (HELD * min(BLOCK, values) if blocks else 0)


@lru_cache(maxsize=4096)
def _in_blocks(form: Form) -> bool:
    return any(type(call).__name__ in ("erf", "erfc") for call in form.expression.atoms(Function))
