"""What a target is: how equations become a program for a machine, and the program its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chainrule.codegen.frame import Frame
from chainrule.codegen.ir.machine import Machine
from chainrule.codegen.ir.program import Program
from chainrule.codegen.lower.affine import Costs
from chainrule.codegen.lower.lowering import lower
from chainrule.codegen.passes.optimize import Pass, optimize
from chainrule.derive.derivation import Derivation


@dataclass(frozen=True)
class Target:
    """A language that programs are written in, and the machine that runs them.

    ``trainer`` is the file that is imported, by its path in the folder of a spec; ``render`` gives all files
    by their paths, ``equation_lines`` the lines (from 1) of one of them that implement each equation, by its
    number.  ``memory`` is what a training step in float32 takes, in bytes by what they are for, of a batch on
    some threads, of which it takes ``threads()`` unless it is told; both None where nobody knows.
    """

    name: str
    trainer: str
    costs: Costs
    machine: Machine
    passes: Callable[[Machine], tuple[Pass, ...]]
    render: Callable[[Program, Frame], dict[str, str]]
    equation_lines: Callable[[str], dict[int, list[int]]]
    memory: Callable[[Program, Frame, int, int], dict[str, int]] | None = None
    threads: Callable[[], int] | None = None

    def program(self, derivation: Derivation) -> Program:
        """Return the program that ``render`` takes.  Raises LoweringError, VerificationError."""
        return self.optimize(lower(derivation, self.costs))

    def optimize(self, program: Program) -> Program:
        """Return what the target's passes make of a lowered program, each verified."""
        return optimize(program, self.passes(self.machine))
