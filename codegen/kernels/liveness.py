"""What must hold of the memory between kernels, whoever chose it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from chainrule.codegen.ir.verify import VerificationError


@dataclass(frozen=True)
class Access:
    """What one launch reads of the memory between kernels, and what it writes to."""

    kernel: str
    reads: frozenset[str]
    writes: frozenset[str]


def verify_memory(
    accesses: Iterable[Access], slots: Mapping[str, str], given: Set[str], results: Set[str]
) -> None:
    """Check that each value is there when it is read, and the results at the end.  Raises VerificationError.

    ``slots`` says whose memory a value takes over, ``given`` which values are there from the start.
    """

    def root(name: str) -> str:
        while slots.get(name):
            name = slots[name]
        return name

    held: dict[str, str] = {}

    def require(name: str, where: str) -> None:
        holder = held.get(root(name))
        if holder is None:
            raise VerificationError(f"{where} reads {name} before it is computed")
        if holder != name:
            raise VerificationError(f"{where} reads {name}, whose memory already holds {holder}")

    for access in accesses:
        for name in sorted(access.reads - given):
            require(name, access.kernel)
        written = {root(name): name for name in sorted(access.writes)}
        for name in sorted(access.reads):
            if root(name) in written and name not in access.writes:
                raise VerificationError(
                    f"{access.kernel} reads {name} while it writes {written[root(name)]} to the same memory"
                )
        held |= written
    for name in sorted(results - given):
        require(name, "the program")


__all__ = ["Access", "verify_memory"]
