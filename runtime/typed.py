"""Dataclasses whose values come from a file: whether each value has the type that its field says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints


def require_types(record: Any) -> None:
    """Raises TypeError, with the field, for the first value of a dataclass that has another type."""
    hints = get_type_hints(type(record))
    for each in fields(record):
        value = getattr(record, each.name)
        if not fits(value, hints[each.name]):
            raise TypeError(f"{each.name} = {value!r:.60}: {_name(hints[each.name])} is needed")


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, as JSON has it: a whole number is a float too, true is no number."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin is UnionType:
        return any(fits(value, each) for each in arguments)
    if origin is list:
        return isinstance(value, list) and all(fits(each, arguments[0]) for each in value)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            fits(key, arguments[0]) and fits(each, arguments[1]) for key, each in value.items()
        )
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    return isinstance(value, kind)


def _name(kind: Any) -> str:
    if get_origin(kind) is UnionType:
        return " or ".join(map(_name, get_args(kind)))
    return "null" if kind is NoneType else getattr(get_origin(kind) or kind, "__name__", str(kind))
