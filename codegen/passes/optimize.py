"""Passes over a program, one after the other.  No pass does mathematics; after each, ``verify`` holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from chainrule.codegen.ir.program import Program
from chainrule.codegen.ir.verify import verify

Pass = Callable[[Program], Program]


def optimize(program: Program, passes: Iterable[Pass]) -> Program:
    """Return what passes make of a program.  Raises VerificationError."""
    for transform in passes:
        program = transform(program)
        function = transform.func if isinstance(transform, partial) else transform
        verify(program, function.__name__)
    return program
