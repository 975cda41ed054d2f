"""The kinds of field: how a TOML value of each is checked, and its JSON Schema."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from chainrule.derive.fields import Field
from chainrule.derive.model import InlineData
from chainrule.formula.messages import did_you_mean
from chainrule.spec.initializers import PATTERN, parse_initializer
from chainrule.spec.positions import Path

MOST_AXES: Final = 6
_MOST_EXTENT: Final = 2**20
_MOST_INT: Final = 2**63 - 1
DATA_SETS: Final[dict[str, tuple[int, ...]]] = {  # name: shape of one image
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
    "cifar100": (32, 32, 3),
}
CLASSES: Final = {"cifar100": 100}  # of a data set; else ten
DATA_SCHEMES: Final = ("folder", "npz", "idx")  # of data in files of one's own
_DATA_PATTERN: Final = rf"^(?:{'|'.join(DATA_SCHEMES)}):[^\x00-\x1f]+$"


class FieldError(ValueError):
    """A value that a field refuses: a code, what was expected, and where inside the value it went wrong."""

    def __init__(self, code: str, expected: str, value: object, path: Path = (), hint: str = "") -> None:
        super().__init__(expected)
        self.code = code
        self.expected = expected
        self.value = value
        self.path = path
        self.hint = hint


@dataclass(frozen=True)
class Kind:
    """A kind of field: ``read`` gives the checked value or raises FieldError, ``schema`` its JSON Schema."""

    read: Callable[[Field, Any], Any]
    schema: Callable[[Field], dict[str, Any]]
    name: str


def range_text(field: Field) -> str:
    """Return the range of a number, as in "> 0 and < 1"; empty when there is none."""
    bounds = []
    if field.minimum is not None:
        bounds.append(f"{'>' if 'minimum' in field.exclusive else '>='} {_plain(field.minimum)}")
    if field.maximum is not None:
        bounds.append(f"{'<' if 'maximum' in field.exclusive else '<='} {_plain(field.maximum)}")
    return " and ".join(bounds)


def _plain(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else f"{value:g}"


def _expected(field: Field, noun: str) -> str:
    return " ".join(part for part in (noun, range_text(field)) if part)


def _check_range(field: Field, value: float, noun: str, path: Path = ()) -> None:
    low, high = field.minimum, field.maximum
    below = low is not None and (value < low or (value == low and "minimum" in field.exclusive))
    above = high is not None and (value > high or (value == high and "maximum" in field.exclusive))
    if below or above:
        raise FieldError("E104", _expected(field, noun), value, path)


def _int(field: Field, value: Any, path: Path = ()) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        hint = f"write {int(value)}" if isinstance(value, float) and value.is_integer() else ""
        raise FieldError("E103", _expected(field, "an integer"), value, path, hint)
    _check_range(field, value, "an integer", path)
    if abs(value) > _MOST_INT:
        raise FieldError("E104", "an integer below 2^63", value, path)
    return value


def _float(field: Field, value: Any, path: Path = ()) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError("E103", _expected(field, "a number"), value, path)
    if isinstance(value, int) and abs(value) > _MOST_INT:
        raise FieldError("E104", "a number within the range of a float", value, path)
    if not math.isfinite(value):
        raise FieldError("E106", _expected(field, "a finite number"), value, path)
    _check_range(field, value, "a number", path)
    return float(value)


def _extent(field: Field, value: Any) -> float:
    expected = "whole pixels, or below 1 a share of the image's side"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError("E103", expected, value)
    if not math.isfinite(value) or value < 0 or value > _MOST_EXTENT or (value >= 1 and value != int(value)):
        raise FieldError("E104", expected, value)
    return float(value)


def _bool(field: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise FieldError("E103", "true or false", value)
    return value


def _string(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise FieldError("E103", "text in quotes", value)
    return value


def _choice(field: Field, value: Any) -> str:
    expected = f"one of {', '.join(field.choices)}"
    if not isinstance(value, str):
        raise FieldError("E103", expected, value)
    if value not in field.choices:
        raise FieldError("E105", expected, value, hint=did_you_mean(value, field.choices))
    return value


def _initializer(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise FieldError("E103", 'the name of an initializer in quotes, such as "he_normal"', value)
    try:
        parse_initializer(value)
    except ValueError as error:
        expected, _, hint = str(error).removeprefix("expected ").partition("; ")
        raise FieldError("E105", expected, value, hint=hint) from None
    return value.strip()


def _vector(field: Field, value: Any, path: Path = ()) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise FieldError("E103", "a list of numbers", value, path)
    if not value:
        raise FieldError("E104", "at least one number", value, path)
    return tuple(_float(field, number, (*path, i)) for i, number in enumerate(value))


def _matrix(field: Field, value: Any, path: Path = ()) -> tuple[tuple[float, ...], ...]:
    if not isinstance(value, list):
        raise FieldError("E103", "rows of numbers, as in [[1, 2], [3, 4]]", value, path)
    if not value:
        raise FieldError("E104", "at least one row", value, path)
    rows = tuple(_vector(field, row, (*path, i)) for i, row in enumerate(value))
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            expected = f"a row of {len(rows[0])} numbers like the first, not of {len(row)}"
            raise FieldError("E501", expected, value[i], (*path, i))
    return rows


def _shape(field: Field, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        hint = f"write [{value}]" if isinstance(value, int) and not isinstance(value, bool) else ""
        raise FieldError("E103", "a list of sizes, as in [28, 28, 1]", value, hint=hint)
    if not 1 <= len(value) <= MOST_AXES:
        raise FieldError("E104", f"1 to {MOST_AXES} sizes", value)
    axis = Field(field.name, "int", field.description, minimum=1)
    return tuple(_int(axis, size, (i,)) for i, size in enumerate(value))


def _pair(field: Field, value: Any) -> tuple[int, int]:
    if not isinstance(value, list):
        number = _int(field, value)
        return number, number
    if len(value) != 2:
        raise FieldError("E104", "an integer or two of them", value)
    return _int(field, value[0], (0,)), _int(field, value[1], (1,))


def _padding(field: Field, value: Any) -> str | int:
    return _choice(field, value) if isinstance(value, str) else _int(field, value)


def _targets(field: Field, value: Any) -> tuple[tuple[tuple[float, ...], ...], bool]:
    """Rows of targets, and whether they are a list of numbers: a row of one for each sample."""
    if isinstance(value, list) and value and not isinstance(value[0], list):
        return tuple((number,) for number in _vector(field, value, ("targets",))), True
    return _matrix(field, value, ("targets",)), False


def _data(field: Field, value: Any) -> str | InlineData:
    names = (
        f"{', '.join(DATA_SETS)}, folder:PATH, npz:PATH, idx:PATH or {{ inputs = [[…]], targets = [[…]] }}"
    )
    if isinstance(value, dict):
        for key in value:
            if key not in ("inputs", "targets"):
                raise FieldError("E101", "inputs and targets", key, (key,), "unknown key")
        for key in ("inputs", "targets"):
            if key not in value:
                raise FieldError("E102", f"inputs and targets; there are no {key}", value)
        inputs = _matrix(field, value["inputs"], ("inputs",))
        targets, numbered = _targets(field, value["targets"])
        if len(inputs) != len(targets):
            expected = f"as many targets as inputs ({len(inputs)}), not {len(targets)}"
            raise FieldError("E502", expected, value["targets"], ("targets",))
        return InlineData(inputs, targets, numbered)
    if not isinstance(value, str):
        raise FieldError("E103", names, value)
    scheme, colon, path = value.partition(":")
    if value in DATA_SETS or (colon and scheme in DATA_SCHEMES and path.strip() and path.isprintable()):
        return value
    raise FieldError("E504", names, value, hint=did_you_mean(value, DATA_SETS))


def _number_schema(json_type: str) -> Callable[[Field], dict[str, Any]]:
    def schema(field: Field) -> dict[str, Any]:
        result: dict[str, Any] = {"type": json_type}
        if field.minimum is not None:
            result["exclusiveMinimum" if "minimum" in field.exclusive else "minimum"] = field.minimum
        if field.maximum is not None:
            result["exclusiveMaximum" if "maximum" in field.exclusive else "maximum"] = field.maximum
        return result

    return schema


_NUMBERS: Final = {"type": "array", "minItems": 1, "items": {"type": "number"}}
_ROWS: Final = {"type": "array", "minItems": 1, "items": _NUMBERS}
_EXTENT_SCHEMA: Final = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": _MOST_EXTENT},
        {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
    ]
}
_integer_schema = _number_schema("integer")


def _pair_schema(field: Field) -> dict[str, Any]:
    one = _integer_schema(field)
    return {"anyOf": [one, {"type": "array", "minItems": 2, "maxItems": 2, "items": one}]}


def _padding_schema(field: Field) -> dict[str, Any]:
    return {"anyOf": [{"enum": list(field.choices)}, _integer_schema(field)]}


def _shape_schema(field: Field) -> dict[str, Any]:
    items = {"type": "integer", "minimum": 1}
    return {"type": "array", "minItems": 1, "maxItems": MOST_AXES, "items": items}


def _data_schema(field: Field) -> dict[str, Any]:
    table = {
        "type": "object",
        "properties": {"inputs": _ROWS, "targets": {"anyOf": [_ROWS, _NUMBERS]}},
        "required": ["inputs", "targets"],
        "additionalProperties": False,
    }
    return {"anyOf": [{"enum": list(DATA_SETS)}, {"type": "string", "pattern": _DATA_PATTERN}, table]}


KINDS: Final[dict[str, Kind]] = {
    "int": Kind(_int, _integer_schema, "integer"),
    "float": Kind(_float, _number_schema("number"), "number"),
    "extent": Kind(_extent, lambda field: _EXTENT_SCHEMA, "pixels, or a share below 1"),
    "bool": Kind(_bool, lambda field: {"type": "boolean"}, "true or false"),
    "string": Kind(_string, lambda field: {"type": "string"}, "text"),
    "choice": Kind(_choice, lambda field: {"enum": list(field.choices)}, "choice"),
    "initializer": Kind(_initializer, lambda field: {"type": "string", "pattern": PATTERN}, "initializer"),
    "matrix": Kind(_matrix, lambda field: _ROWS, "rows of numbers"),
    "vector": Kind(_vector, lambda field: _NUMBERS, "list of numbers"),
    "shape": Kind(_shape, _shape_schema, "list of sizes"),
    "pair": Kind(_pair, _pair_schema, "integer or two"),
    "padding": Kind(_padding, _padding_schema, "choice or integer"),
    "data": Kind(_data, _data_schema, "data set"),
}
