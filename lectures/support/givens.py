"""What --given says, read as exact numbers: "1, 2.5, 1/3" or "[1, 2.5, 1/3]"."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from sympy import Rational

from chainrule.formula import FormulaError, parse_formula
from chainrule.lectures.model import TopicError

MOST: Final = 1000  # numbers in one list


def allow(given: Mapping[str, str], names: Collection[str], id: str) -> None:
    """Raise TopicError for a given that a topic does not take."""
    unknown = sorted(set(given) - set(names))
    if unknown and not names:
        raise TopicError(f"{id} takes no givens")
    if unknown:
        raise TopicError(f"{id} takes {', '.join(names)}, not {', '.join(unknown)}")


def split(text: str) -> list[str]:
    """Return the parts of a list, at the commas outside of parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def numbers(given: Mapping[str, str], name: str, usual: str) -> list[Rational]:
    """Return the numbers of a list, ``usual`` where none is given.  Raises TopicError."""
    text = given.get(name, usual).strip()
    if text[:1] in "[(" and text[-1:] in ")]" and "," in text:
        text = text[1:-1]
    parts = split(text)
    if len(parts) > MOST:
        raise TopicError(f"{name} has {len(parts)} numbers; at most {MOST}")
    return [_rational(name, part) for part in parts]


def number(
    given: Mapping[str, str], name: str, usual: str, least: object = None, above: object = None
) -> Rational:
    """Return one number, not under ``least`` and over ``above``.  Raises TopicError."""
    found = numbers(given, name, usual)
    if len(found) != 1:
        raise TopicError(f"{name} is one number (given: {given[name]})")
    (value,) = found
    if least is not None and value < least:
        raise TopicError(f"{name} is at least {least} (given: {given[name]})")
    if above is not None and value <= above:
        raise TopicError(f"{name} is more than {above} (given: {given[name]})")
    return value


def whole(given: Mapping[str, str], name: str, usual: str, least: int, most: int) -> int:
    """Return a whole number from ``least`` to ``most``.  Raises TopicError."""
    value = number(given, name, usual)
    if not value.is_Integer or not least <= value <= most:
        raise TopicError(f"{name} is a whole number from {least} to {most} (given: {given[name]})")
    return int(value)


def _rational(name: str, text: str) -> Rational:
    try:
        value = parse_formula(text, {})
    except FormulaError as error:
        raise TopicError(f"{name}: {text.strip()!r} is no number: {error.message}") from error
    if not isinstance(value, Rational):
        raise TopicError(f"{name}: {text.strip()!r} is no fraction of whole numbers, as 1/3 or 0.25 is")
    return value
