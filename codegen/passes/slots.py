"""The pass that gives every value its memory."""

from __future__ import annotations

import heapq
import sys
from dataclasses import replace

from chainrule.codegen.ir.liveness import places, touched
from chainrule.codegen.ir.program import (
    GIVEN,
    Map,
    Program,
    Statement,
    Value,
    viewed,
)
from chainrule.codegen.ir.section import ON_BATCH
from chainrule.codegen.passes.kinks import kept_for_jumps


def assign_slots(program: Program) -> Program:
    """Choose whose memory each local value takes: that of an operand that ends here, or of a dead value."""
    order = list(program.statements(*ON_BATCH))
    last = _last_uses(program)
    values = dict(program.values)
    owner: dict[str, str] = {}  # value -> the value whose memory it lives in
    users: dict[str, set[str]] = {}  # memory -> values that live in it now
    free: dict[tuple[object, ...], list[str]] = {}
    ends: list[tuple[int, str]] = []  # of the values that live now, the first to end first
    age: dict[str, int] = {}  # of memories

    def release(position: int) -> None:
        left: set[str] = set()
        while ends and ends[0][0] < position:
            _, dead = heapq.heappop(ends)
            users[owner[dead]].discard(dead)
            left.add(owner[dead])
        for memory in sorted(left, key=age.__getitem__):
            if not users[memory] and values[memory].kind == "local" and not values[memory].zeroed:
                free.setdefault(_kind(values[memory]), []).append(memory)

    for position, statement in enumerate(order):
        name = statement.out
        if name in owner or values[name].kind != "local":
            continue
        release(position)
        source = viewed(statement)
        if source is not None and values[owner.get(source, source)].kind in (*GIVEN, "local"):
            slot, memory = source, owner.get(source, source)
        else:
            slot = _overwritten(statement, values, owner, users, last, position)
            pool = [] if values[name].zeroed else free.get(_kind(values[name]))
            slot = memory = slot or (pool.pop() if pool else "")
        owner[name] = memory or name
        age.setdefault(owner[name], len(age))
        users.setdefault(owner[name], set()).add(name)
        heapq.heappush(ends, (last[name], name))
        values[name] = replace(values[name], slot=slot)
    return replace(program, values=values)


def _last_uses(program: Program) -> dict[str, int]:
    """Return where each value is used last; what tells the sides of jumps lives longer than the step."""
    found = {name: at[-1] for name, at in places(touched(program, ON_BATCH)).items()}
    return found | dict.fromkeys(kept_for_jumps(program), sys.maxsize)


def _kind(value: Value) -> tuple[object, ...]:
    """Return what two values must share to share memory."""
    return value.shape, value.truth, value.place, value.piece


def _overwritten(
    statement: Statement,
    values: dict[str, Value],
    owner: dict[str, str],
    users: dict[str, set[str]],
    last: dict[str, int],
    position: int,
) -> str:
    """Return the memory of an operand that ends with this map and may be overwritten by it, or ""."""
    for candidate in _in_place_candidates(statement):
        memory = owner.get(candidate, "")
        if (
            memory
            and values[memory].kind == "local"
            and users[memory] == {candidate}
            and last[candidate] == position
            and _kind(values[memory]) == _kind(values[statement.out])
            and not values[memory].zeroed
        ):
            return memory
    return ""


def _in_place_candidates(statement: Statement) -> list[str]:
    """Return the operands that a map reads only at its own indices, and so may overwrite."""
    if not isinstance(statement, Map):
        return []
    found: dict[str, bool] = {}
    for name, indices in statement.formula.reads:
        found[name] = found.get(name, True) and indices == statement.indices
    return sorted(name for name, plain in found.items() if plain)
