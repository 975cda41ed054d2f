"""What equations of equal layers share: all of an equation but the names of its tensors."""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable
from dataclasses import dataclass

from chainrule.derive.patterns import Order, order

_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Pattern:
    """A ``form`` that equations with other tensors share, and the names of an equation's own in it."""

    form: Hashable
    names: tuple[str, ...]

    @property
    def likeness(self) -> tuple[Order, tuple[object, ...]]:
        """What names must share besides to stand in each other's place wherever expressions are sorted.

        They differ in numbers only.  Where one begins as another (z1 and z1_max, z10), it goes on alike: what
        is named after them is sorted by that.
        """
        kinds: list[object] = list(map(_kind, self.names))
        ordered = sorted(self.names)
        if any(map(str.startswith, ordered[1:], ordered)):
            for place, name in enumerate(self.names):
                begun = [(len(a), at) for at, a in enumerate(self.names) if name.startswith(a) and a != name]
                kinds[place] = (max(begun)[1], name[max(begun)[0] :]) if begun else kinds[place]
        return order(self.names), tuple(kinds)


@functools.lru_cache(maxsize=4096)
def _kind(name: str) -> str:
    return _DIGITS.sub("#", name)
