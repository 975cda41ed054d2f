"""What a C program consists of: functions that threads run on their shares, and what these touch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Share(Enum):
    """How threads divide a function's range: samples (each its own), anything else, or one thread alone."""

    SAMPLES = "samples"
    RANGE = "range"
    ALONE = "alone"


@dataclass(frozen=True)
class CFunction:
    """``static void name(struct *w, int id, long from, long to)``, its comment and its lines.

    ``count`` is the length of the range, an expression in C.  ``reads`` and ``writes`` say of each memory
    whether only the own sample's part is touched.  ``by_sample`` is whether samples can be computed one after
    the other, with what follows; ``clears`` is the line that clears what a thread adds up for itself.
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
