"""Which of the scalar functions that stand in templates/c/scalars.c.j2 a program calls."""

from __future__ import annotations

import re
from collections.abc import Iterable

NEEDED = {"softplus": {"maximum", "exp"}, "logcosh": {"square"}, "sigmoid": {"exp"}}


def used_scalars(lines: Iterable[str]) -> set[str]:
    """Return the words of lines, and what the scalar functions among them need."""
    words = {word for line in lines for word in re.findall(r"\w+", line)}
    return words.union(*(needed for name, needed in NEEDED.items() if name in words))
