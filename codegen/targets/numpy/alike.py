"""Lines of statements that are alike: printed once, then filled with what values are called."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from chainrule.codegen.ir.program import Statement
from chainrule.codegen.targets.numpy.lines import Lines

_SLOT: Final = re.compile("\0([0-9]+)([nm])")  # which value, its name or its memory


@dataclass(frozen=True)
class _Printed:
    """Lines with slots, and what printing them found out."""

    lines: list[str]
    helpers: frozenset[str]
    needs_real: bool
    sums: frozenset[tuple[int, int]]


def printed(printer: Lines, statement: Statement, lines: Callable[[Statement], list[str]]) -> list[str]:
    """Return the lines of a statement, as ``lines`` of the printer gives them."""
    form, names = statement.pattern
    values = printer.program.values
    texts: dict[str, str] = {}
    known: list[Hashable] = []
    for place, name in enumerate(names):
        own, memory, value = printer.names[name], printer.buffer(name), values[name]
        texts |= {f"{place}n": own, f"{place}m": memory or ""}
        shows = names.index(value.slot) if value.slot in names else -1
        what = value.shape, value.kind, name in printer.truths, name in printer.views
        known.append((what, shows, memory is None, memory == own, name in printer.totals))
    around = printer.batch, printer.scratch, printer.loop and printer.loop.size
    key = form, tuple(known), around
    if key not in printer.printed:
        printer.printed[key] = _printed(printer, statement, lines)
    found: _Printed = printer.printed[key]
    printer.helpers |= found.helpers
    printer.needs_real |= found.needs_real
    printer.sums |= found.sums
    return [_SLOT.sub(lambda slot: texts[slot[1] + slot[2]], line) for line in found.lines]


def _printed(printer: Lines, statement: Statement, lines: Callable[[Statement], list[str]]) -> _Printed:
    """Print a statement with slots for what values are called."""
    before = printer.names, printer.buffer, printer.helpers, printer.needs_real, printer.sums
    names: dict[str, str] = {}
    memory: dict[str, str] = {}
    for place, name in enumerate(statement.pattern[1]):
        own, where = printer.names[name], printer.buffer(name)
        names.setdefault(name, f"\0{place}n")
        if where is not None:
            memory.setdefault(name, names[name] if where == own else f"\0{place}m")
    printer.names, printer.buffer = names, memory.get
    printer.helpers, printer.needs_real, printer.sums = set(), False, set()
    try:
        found = lines(statement)
        return _Printed(found, frozenset(printer.helpers), printer.needs_real, frozenset(printer.sums))
    finally:
        printer.names, printer.buffer, printer.helpers, printer.needs_real, printer.sums = before
