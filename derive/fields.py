"""The description of one key of a spec file: the source of validation, documentation and the JSON Schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


class _Required:
    """The default of a field that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


@dataclass(frozen=True)
class Field:
    """One key of a spec table.

    ``kind`` is one of ``int``, ``float``, ``extent`` (whole pixels, or a share below 1), ``bool``,
    ``string``, ``choice``, ``initializer``, ``matrix`` (rows of numbers), ``vector`` (numbers), ``shape``
    (positive integers), ``pair`` (an integer or two of them; two are handed on), ``padding`` (one of
    ``choices`` or an integer) or ``data`` (a data-set name or an inline table of ``inputs`` and ``targets``).
    ``minimum`` and ``maximum`` are inclusive unless ``exclusive`` names them.  A default of None means that
    the key may be left out.
    """

    name: str
    kind: str
    description: str
    default: Any = REQUIRED
    minimum: float | None = None
    maximum: float | None = None
    exclusive: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        return self.default is REQUIRED
