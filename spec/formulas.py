"""A user's own activations and losses: one formula each, and the constants that it uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import sympy

from chainrule.derive.fields import Field
from chainrule.derive.library import Formula, Loss
from chainrule.formula import FormulaError, exact, formula_names, parse_formula
from chainrule.spec.names import constant_name_problem, formula_name_problem
from chainrule.spec.positions import Path, string_offset
from chainrule.spec.sections import FORMULA
from chainrule.spec.tables import TableReader, label

MOST_FORMULAS: Final = 50
MOST_CONSTANTS: Final = 50


_Kind = TypeVar("_Kind", Formula, Loss)


def read_formulas(
    reader: TableReader,
    tables: object,
    section: str,
    kind: type[_Kind],
    variables: tuple[str, ...],
    taken: list[str],
) -> tuple[dict[str, _Kind], bool]:
    """Return a user's formulas of one section, and whether all were read; ``taken`` gains their names."""
    if not isinstance(tables, dict):
        reader.wrong_table(tables, (section,))
        return {}, False
    if len(tables) > MOST_FORMULAS:
        message = f"{section} has {len(tables)} formulas"
        reader.at_key("E104", (section,), message, expected=f"at most {MOST_FORMULAS}")
        return {}, False
    formulas: dict[str, _Kind] = {}
    for name, table in tables.items():
        path = (section, name)
        name_is_good = _check_name(reader, path, lambda n: formula_name_problem(n, taken))
        taken.append(name)
        formula = _read_formula(reader, table, path, kind, variables)
        if formula is not None and name_is_good:
            formulas[name] = formula
    return formulas, len(formulas) == len(tables)


def _check_name(reader: TableReader, path: Path, problem_of: Callable[[str], tuple[str, str] | None]) -> bool:
    problem = problem_of(str(path[-1]))
    if problem:
        code, reason = problem
        reader.at_key(code, path, f"{label(path)}: this name cannot be used: {reason}")
    return problem is None


def _read_formula(
    reader: TableReader, table: object, path: Path, kind: type[_Kind], variables: tuple[str, ...]
) -> _Kind | None:
    fields = [FORMULA]
    names_are_good = True
    if isinstance(table, dict):
        if len(table) > MOST_CONSTANTS:
            message = f"{label(path)} has {len(table)} keys"
            reader.at_key("E104", path, message, expected=f"at most {MOST_CONSTANTS}")
            return None
        constants: list[str] = []
        for key in table:
            if key == FORMULA.name:
                continue
            names_are_good &= _check_name(
                reader, (*path, key), lambda n: constant_name_problem(n, variables, constants)
            )
            constants.append(key)
            fields.append(Field(key, "float", "a constant of the formula"))
    read = reader.table(table, path, tuple(fields))
    if not read.complete or not names_are_good:
        return None
    values = {key: value for key, value in read.values.items() if key != FORMULA.name}
    formula = kind(read.values[FORMULA.name], values)
    return formula if _check_formula(reader, formula, path, variables) else None


def formula_fault(formula: Formula, variables: tuple[str, ...]) -> FormulaError | None:
    """Return why a formula is refused at the values of its constants, or None."""
    # Symbols get names of our own: no text of a user becomes a symbol's name.
    symbols = {name: sympy.Symbol(f"v{i}", real=True) for i, name in enumerate(variables)}
    numbers = {name: exact(value) for name, value in formula.constants.items()}
    try:
        parse_formula(formula.text, symbols | numbers)
    except FormulaError as error:
        return error
    return None


def _check_formula(reader: TableReader, formula: Formula, path: Path, variables: tuple[str, ...]) -> bool:
    """Report what is wrong with a formula; return whether it can be read."""
    place = (*path, FORMULA.name)
    error = formula_fault(formula, variables)
    if error is not None:
        offset = string_offset(reader.source.text, reader.positions.value(place), error.position)
        reader.source.report("E301", offset, f"{label(place)}: {error.message}")
        return False
    used = formula_names(formula.text)
    for name in formula.constants:
        if name not in used:
            inner = (*path, name)
            reader.at_key("E302", inner, f"{label(inner)}: the formula does not use this constant")
    if variables[0] not in used:
        message = f"{label(place)}: the formula does not use {variables[0]}, so nothing would train"
        reader.at_value("E303", place, message)
    return True
