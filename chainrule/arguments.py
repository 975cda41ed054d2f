"""Whole numbers that a function is given, as an option of the command reads them from a text."""

from __future__ import annotations

import operator
from typing import Any


def whole(name: str, value: Any, least: int | None = None) -> int:
    """Return a number, of any type of whole numbers, as an int.

    >>> whole("seed", 3, least=0)
    3

    Raises TypeError for what is no whole number, ValueError for one below ``least``.
    """
    try:
        found = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} = {value!r}: it is a whole number") from None
    if least is not None and found < least:
        raise ValueError(f"{name} = {found}: it is at least {least}")
    return found
