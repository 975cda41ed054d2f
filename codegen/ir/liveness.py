"""When the values of a program are alive, and what memory holds meanwhile, whoever chose it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from chainrule.codegen.ir.program import BATCH, Loop, Program, statements_of
from chainrule.codegen.ir.section import Section


class VerificationError(AssertionError):
    """A program that a pass left wrong; the message names the pass, the statement and what is missing."""


def places(touched: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    """Return where each value is touched, in order: it is alive from the first place to the last.

    ``touched`` has the values that are read and made at each place.
    """
    found: dict[str, list[int]] = {}
    for place, names in enumerate(touched):
        for name in {*names}:
            found.setdefault(name, []).append(place)
    return found


def touched(program: Program, sections: Iterable[Section]) -> Iterator[set[str]]:
    """Give the values that each statement of some sections touches.

    The last statement of a loop touches all that is no piece of the batch: every piece reads it anew.
    """
    for section in sections:
        for entry in program.sections[section]:
            names = [{*s.reads, s.out} for s in statements_of(entry)]
            if isinstance(entry, Loop):
                names[-1] |= {n for n in set().union(*names) if program.values[n].shape[:1] != (BATCH,)}
            yield from names


@dataclass
class Contents:
    """What each memory holds: the value that was written to it last, or those that ``views`` show in it.

    ``slots`` says whose memory a value takes over; others have their own.
    """

    slots: Mapping[str, str]
    held: dict[str, str] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)

    def memory(self, name: str) -> str:
        while self.slots.get(name):
            name = self.slots[name]
        return name

    def write(self, name: str) -> None:
        self.held[self.memory(name)] = name

    def show(self, name: str, source: str) -> None:
        """Let a value show another, in whose memory it lies."""
        self.views[name] = source

    def require(self, name: str, where: object) -> None:
        """Check that a value is still there, if its memory was written to.  Raises VerificationError."""
        holder, shown = self.held.get(self.memory(name)), name
        while shown in self.views:
            shown = self.views[shown]
        if holder not in (None, shown):
            raise VerificationError(
                f"{where}: reads {name}, whose memory already holds {holder}: it must be kept alive"
            )


@dataclass(frozen=True)
class Access:
    """What one launch reads of the memory between kernels, and what it writes to."""

    kernel: str
    reads: frozenset[str]
    writes: frozenset[str]


def verify_accesses(
    accesses: Iterable[Access], slots: Mapping[str, str], given: Set[str], results: Set[str]
) -> None:
    """Check that each value is there when it is read, and the results at the end.  Raises VerificationError.

    ``given`` says which values are there from the start.
    """
    contents = Contents(slots)

    def require(names: Set[str], where: str) -> None:
        for name in sorted(names - given):
            if contents.memory(name) not in contents.held:
                raise VerificationError(f"{where}: reads {name} before it is computed")
            contents.require(name, where)

    for access in accesses:
        require(access.reads, access.kernel)
        written = {contents.memory(name): name for name in sorted(access.writes)}
        for name in sorted(access.reads - access.writes):
            if contents.memory(name) in written:
                other = written[contents.memory(name)]
                raise VerificationError(
                    f"{access.kernel}: reads {name} while it writes {other} to the same memory"
                )
        contents.held |= written
    require(results, "the program")
