"""Reading one table of a spec file against its fields; every problem is reported, none stops the reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.derive.fields import Field
from chainrule.derive.model import LineColumn
from chainrule.formula.messages import did_you_mean, nearest
from chainrule.spec.kinds import KINDS, FieldError
from chainrule.spec.positions import Path, Positions
from chainrule.spec.problems import SpecText


@dataclass(frozen=True)
class Table:
    """The checked values of a table; ``complete`` is false when one of them was refused or is missing."""

    values: Mapping[str, Any]
    complete: bool
    path: Path


@dataclass(frozen=True)
class TableReader:
    """The text, where its keys stand, and whether missing keys are to be reported.

    They are not when a syntax error made lines be left out.
    """

    source: SpecText
    positions: Positions
    report_missing: bool = True

    def place(self, path: Path) -> LineColumn:
        """Return where the key or the table of a path begins."""
        return self.source.place(self.positions.key(path))

    def at_key(self, code: str, path: Path, message: str, *, expected: str = "", hint: str = "") -> None:
        """Report a problem at a key."""
        self.source.report(code, self.positions.key(path), message, expected=expected, hint=hint)

    def at_value(self, code: str, path: Path, message: str, *, expected: str = "", hint: str = "") -> None:
        """Report a problem at a value."""
        self.source.report(code, self.positions.value(path), message, expected=expected, hint=hint)

    def missing(self, path: Path, name: str, *, expected: str = "", hint: str = "") -> None:
        """Report that a table has no key of that name."""
        if self.report_missing:
            where = f"{label(path)} has no {name}" if path else f"there is no {name}"
            self.at_key("E102", path, where, expected=expected, hint=hint)

    def table(self, value: object, path: Path, fields: tuple[Field, ...], also: Iterable[str] = ()) -> Table:
        """Return the values of the fields, defaults filled in; the keys ``also`` are somebody else's."""
        if not isinstance(value, dict):
            self.wrong_table(value, path)
            return Table({}, False, path)
        meant = self.unknown_keys(value, path, [field.name for field in fields], also)
        values = {}
        complete = True
        for field in fields:
            try:
                values[field.name] = self.field(value, path, field, misspelt=field.name in meant)
            except _RefusedError:
                complete = False
        return Table(values, complete, path)

    def field(self, table: Mapping[str, Any], path: Path, field: Field, *, misspelt: bool = False) -> Any:
        """Return one value of a table; raises _RefusedError after reporting."""
        if field.name not in table:
            if field.required:
                if not misspelt:
                    self.missing(path, field.name, expected=f"{field.name}, {field.description}")
                raise _RefusedError
            return default_value(field)
        place = (*path, field.name)
        try:
            return KINDS[field.kind].read(field, table[field.name])
        except FieldError as error:
            inner = (*place, *error.path)
            report = self.at_key if error.code == "E101" else self.at_value
            message = f"{label(inner)} = {literal(error.value)}" if error.code != "E101" else label(inner)
            report(error.code, inner, message, expected=error.expected, hint=error.hint)
            raise _RefusedError from None

    def unknown_keys(
        self, value: dict[str, Any], path: Path, known: list[str], also: Iterable[str]
    ) -> set[str]:
        """Report the keys of a table that nobody knows; return the keys that they were meant to be."""
        allowed = [*known, *also]
        meant = set()
        for key in value:
            if key not in allowed:
                inner = (*path, key)
                hint = did_you_mean(key, allowed)
                meant.add(nearest(key, allowed))
                if path[:1] == ("layers",) and "activation" in value:
                    hint = hint or "give the activation a [[layers]] of its own to set its constants"
                self.at_key(
                    "E101", inner, f"{label(inner)}: unknown key", expected=", ".join(allowed), hint=hint
                )
        return meant

    def wrong_table(self, value: object, path: Path) -> None:
        """Report that something other than a table stands where a table should."""
        header = f"[{label(path)}]"
        if path and isinstance(path[-1], int):
            header = f"[[{label(path[:-1])}]]"
        message = f"{label(path)} = {literal(value)}"
        self.at_key("E103", path, message, expected=f"a table, {header}")


class _RefusedError(Exception):
    """A value that was reported."""


def default_value(field: Field) -> Any:
    """Return the default of a field in the form in which a value of it is handed on."""
    if field.default is None:
        return None
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return KINDS[field.kind].read(field, default)


def label(path: Path) -> str:
    """Return a path as a reader counts, from 1: layers[2].units."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            shown = part if part.isprintable() and len(part) <= 60 else ascii(part[:60])[1:-1]
            text += f".{shown}" if text else shown
    return text


def literal(value: object) -> str:
    """Return a value as TOML writes it, cut short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        shown = value if value.isprintable() else ascii(value)[1:-1]
        return f'"{shown[:40]}…"' if len(shown) > 40 else f'"{shown}"'
    if isinstance(value, dict):
        return "{…}" if value else "{}"
    if isinstance(value, list):
        parts = [literal(item) if not isinstance(item, list | dict) else "[…]" for item in value[:4]]
        return f"[{', '.join(parts)}{', …' if len(value) > 4 else ''}]"
    if isinstance(value, int) and value.bit_length() > 100:
        return f"an integer of {value.bit_length()} bits"
    return str(value)
