"""How many threads NumPy's OpenBLAS computes on: it decides in which order sums are added up."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from chainrule.runtime.errors import RunError

PREFIXES = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads")


@cache
def _function(verb: str) -> Callable[..., Any] | None:
    """OpenBLAS' function that gets or sets the number; None where NumPy has another BLAS."""
    library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    names = (prefix.format(verb) for prefix in PREFIXES)
    return next((getattr(library, name) for name in names if hasattr(library, name)), None)


def threads() -> int | None:
    """The number; None where it cannot be known."""
    get = _function("get")
    return int(get()) if get is not None else None


@contextlib.contextmanager
def computing_on(count: int | None) -> Iterator[None]:
    """Computes on `count` threads, on as many as before with None; programs are to be loaded within.

    Raises RunError where the number cannot be had.
    """
    before = threads()
    if count is None or count == before:
        yield
        return
    change = _function("set")
    if before is None or change is None:
        raise RunError(
            f"{count} threads: this NumPy has another BLAS than OpenBLAS, which cannot be told; the NumPy "
            "that pip installs can"
        )
    try:
        change(count)
        if (found := threads()) != count:
            raise RunError(
                f"{count} threads: the OpenBLAS of this NumPy computes on {found} at most; use --threads "
                f"{found} (a run that began on {count} then ends in other last bits)"
            )
        yield
    finally:
        change(before)
