"""One piece of memory for tensors that are not alive at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Lifetime:
    """How many values a tensor has, and the first and the last step that touch it."""

    size: int
    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        return self.first <= other.last and other.first <= self.last


def arranged(lifetimes: Mapping[str, Lifetime]) -> dict[str, int]:
    """Return where each tensor begins: the greatest first, each as low as those that are alive allow."""
    starts: dict[str, int] = {}
    for name, own in sorted(lifetimes.items(), key=lambda each: (-each[1].size, each[1].first, each[0])):
        others = sorted((starts[n], lifetimes[n].size) for n in starts if own.meets(lifetimes[n]))
        at = 0
        for start, size in others:
            if at + own.size <= start:
                break
            at = max(at, start + size)
        starts[name] = at
    return starts


def length(lifetimes: Mapping[str, Lifetime], starts: Mapping[str, int]) -> int:
    """Return how many values the memory holds."""
    return max((starts[name] + lifetimes[name].size for name in starts), default=0)
