"""A target's program in the float types that it has, and NumPy's in wider ones, as one to be checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, Final, cast

import numpy as np

from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.trainer import FUNCTIONS, TABLES, Trainer

BOTH: Final = (np.float32, np.float64)  # what every target computes in


class Widened:
    """The functions of a target's module where it computes in the dtype of their parameters, else NumPy's."""

    def __init__(self, target: Trainer, numpy: Trainer) -> None:
        for name in TABLES:
            setattr(self, name, getattr(target, name))
        for name in FUNCTIONS:
            setattr(self, name, _by_dtype(getattr(target, name), getattr(numpy, name)))
        self.draw = getattr(numpy, "draw", None)  # masks are data, the same for all
        self.branches = numpy.branches


def _by_dtype(own: Callable[..., Any], wide: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(wide)
    def called(first: Any, *rest: Any, **options: Any) -> Any:
        table = first if isinstance(first, dict) else {}
        dtype = next((value.dtype for value in table.values()), np.dtype(np.float64))
        return (own if dtype in BOTH else wide)(first, *rest, **options)

    return called


def widened(program: LoadedProgram, numpy: LoadedProgram) -> LoadedProgram:
    """A program that computes in every float type: its target's, and NumPy's where that has none so wide."""
    return replace(program, module=cast("Trainer", Widened(program.module, numpy.module)), wide=False)
