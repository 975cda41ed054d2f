"""What a C program consists of: functions that threads run on their shares, and what these touch in memory."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Share(Enum):
    """How threads divide a function's range: samples (each its own), anything else, or one thread alone."""

    SAMPLES = "samples"
    RANGE = "range"
    ALONE = "alone"


@dataclass(frozen=True)
class Function:
    """``static void name(struct *w, int id, long from, long to)``, its comment and its lines.

    ``count`` is the length of the range, an expression in C.  ``reads`` and ``writes`` say of each memory
    whether only the own sample's part is touched.  ``sums`` names what each thread adds up apart, with its
    length, to be cleared before; ``waits`` whether a sample can be computed after the other (a whole range
    at once is faster otherwise).
    """

    name: str
    comment: tuple[str, ...]
    body: tuple[str, ...]
    share: Share
    count: str
    reads: dict[str, bool]
    writes: dict[str, bool]
    equations: tuple[int, ...]
    by_sample: bool = False
    clears: str = ""
    scratch: tuple[tuple[str, str], ...] = ()  # memory of each thread by name, with its length in C

    def text(self, struct: str) -> str:
        head = f"static void {self.name}({struct} *w, int id, long from, long to)"
        lines = [*self.comment, head, "{", *(f"    {line}" for line in self.body), "}"]
        return "\n".join(line.rstrip() for line in lines)
