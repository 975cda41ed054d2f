"""The sizes of a machine, by which passes and plans divide work; what forms cost there is in ``Costs``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chainrule.codegen.ir.program import Statement


def nothing(statement: Statement) -> int:
    return 0


@dataclass(frozen=True)
class Machine:
    """What fits into a machine: by default, one of processor cores with caches."""

    piece: int = 2**19  # values of the largest tensor that a core has in its cache: 2 MiB in float32
    sample: int = 2**12  # values of a sample from which on pieces of the batch pay
    cached_piece: int = 2**18  # as above, where what expressions take on the way stays in the cache, too
    cached_sample: int = 2**10
    rows: int = 16  # of a sample in a matrix product, from which on pieces pay there
    held: Callable[[Statement], int] = nothing  # bytes on the way to each value of a statement
    vector: int = 2**17  # entries that a core takes at a time of what all parameters are in
    groups: int = 1  # of threads that keep the machine busy
    alone: int = 64  # terms that one thread adds up by itself
    shared: int = 512  # terms for each of the groups that share a sum, at least
