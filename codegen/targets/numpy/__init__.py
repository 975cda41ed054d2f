"""The NumPy target: one file, ``numpy_trainer.py``."""

from functools import partial

from chainrule.codegen.ir.machine import Machine
from chainrule.codegen.lower.affine import COPIED
from chainrule.codegen.passes.absorb import absorb_temporaries
from chainrule.codegen.passes.kept import keep_costly_values
from chainrule.codegen.passes.optimize import Pass
from chainrule.codegen.passes.pieces import loop_over_pieces
from chainrule.codegen.passes.sharing import share_windows
from chainrule.codegen.passes.slots import assign_slots
from chainrule.codegen.target import Target
from chainrule.codegen.targets.numpy.machine import MACHINE
from chainrule.codegen.targets.numpy.memory import training_memory
from chainrule.codegen.targets.numpy.threads import THREADS
from chainrule.codegen.targets.numpy.trainer import FILENAME, equation_lines, render


def passes(machine: Machine) -> tuple[Pass, ...]:
    """Return the passes that leave a program as NumPy computes it, statement by statement in a workspace."""
    return (
        absorb_temporaries,
        keep_costly_values,
        partial(loop_over_pieces, machine=machine),
        share_windows,
        assign_slots,
    )


TARGET = Target(
    name="numpy",
    trainer=FILENAME,
    costs=COPIED,
    machine=MACHINE,
    passes=passes,
    render=render,
    equation_lines=equation_lines,
    memory=lambda program, frame, batch, threads: training_memory(
        program, batch, frame.parameter_count, threads
    ),
    threads=lambda: THREADS,
)
