"""Threads take turns: SymPy and mpmath keep state for a whole process, the precision of numbers among it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

Given = ParamSpec("Given")
Made = TypeVar("Made")
_TURN: Final = threading.RLock()


def in_turn(work: Callable[Given, Made]) -> Callable[Given, Made]:
    """Let a function, with what it calls, be run by one thread at a time."""

    @wraps(work)
    def waiting(*arguments: Given.args, **options: Given.kwargs) -> Made:
        with _TURN:
            return work(*arguments, **options)

    return waiting
