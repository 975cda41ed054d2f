"""What the table of fields gives besides validation: a JSON Schema, the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from chainrule.derive.fields import Field
from chainrule.derive.layers import LAYERS
from chainrule.derive.library import (
    ACTIVATIONS,
    CLIPPING,
    LOSSES,
    OPTIMIZERS,
    PRACTICE,
    SCHEDULES,
    WARMUP,
    WEIGHT_DECAY,
)
from chainrule.spec.kinds import DATA_SETS, KINDS, range_text
from chainrule.spec.names import PATTERN
from chainrule.spec.sections import (
    AUGMENTATION,
    FORMULA,
    INPUT,
    LOSS,
    OPTIMIZER_TYPE,
    TOP,
    TRAINING,
    layer_fields,
)
from chainrule.spec.tables import literal

_OPTIONAL: Final = ("optimizer", "training", "augmentation", "activations", "losses")
_WIDTH: Final = 100
# What any optimizer may have; the fields of one schedule are refused by the loader beside another.
_PRACTICE: Final = (
    *PRACTICE,
    *(replace(field, default=None) for plan in SCHEDULES.values() for field in plan.fields),
)


# ---- JSON Schema -----------------------------------------------------------------------------


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a spec file, as editors take it for TOML.

    It knows what a single table may hold; what only the whole network shows, shapes above all, it does not.
    """
    tables = {
        "input": _object(INPUT),
        "layers": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/layer"}},
        "loss": _object(LOSS, type={"type": "string", "pattern": PATTERN}),
        "optimizer": _one_of_types(
            {name: (OPTIMIZER_TYPE, *kind.fields, *_PRACTICE) for name, kind in OPTIMIZERS.items()},
            default=OPTIMIZER_TYPE.default,
        ),
        "training": _object(TRAINING),
        "augmentation": _object(AUGMENTATION),
        "activations": {"$ref": "#/$defs/formulas"},
        "losses": {"$ref": "#/$defs/formulas"},
    }
    top = _object(TOP, name={"type": "string", "pattern": PATTERN})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "chainrule network spec",
        **top,
        "properties": {**top["properties"], **tables},
        "required": [*top["required"], *(name for name in tables if name not in _OPTIONAL)],
        "$defs": {"layer": _layer_schema(), "formulas": _formulas_schema()},
    }


def _object(fields: Iterable[Field], **replaced: dict[str, Any]) -> dict[str, Any]:
    fields = tuple(fields)
    properties = {field.name: _described(field, replaced.get(field.name)) for field in fields}
    return {
        "type": "object",
        "properties": properties,
        "required": [field.name for field in fields if field.required],
        "additionalProperties": False,
    }


def _described(field: Field, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    result = {"description": field.description, **(schema or KINDS[field.kind].schema(field))}
    if not field.required and field.default is not None:
        result["default"] = field.default
    return result


def _one_of_types(types: dict[str, tuple[Field, ...]], default: str) -> dict[str, Any]:
    """Return the schema of a table in which ``type`` says which other keys there are."""
    cases: list[dict[str, Any]] = []
    for name, fields in types.items():
        condition: dict[str, Any] = {"properties": {"type": {"const": name}}}
        if name != default:
            condition["required"] = ["type"]
        cases.append({"if": condition, "then": _object(fields)})
    return {
        "type": "object",
        "properties": {"type": {"enum": list(types)}},
        "allOf": cases,
    }


def _layer_schema() -> dict[str, Any]:
    names = {"type": "string", "pattern": PATTERN}
    cases = [
        {
            "if": {"properties": {"type": {"const": name}}},
            "then": _object(fields, type={"const": name}, activation=names),
        }
        for name, fields in _layer_tables().items()
    ]
    own = {  # an activation of [activations], with its constants
        "if": {"properties": {"type": {"not": {"enum": list(_layer_tables())}}}},
        "then": {"properties": {"type": names}, "additionalProperties": {"type": "number"}},
    }
    return {"type": "object", "required": ["type"], "allOf": [*cases, own]}


def _formulas_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": {"pattern": PATTERN},
        "additionalProperties": {
            "type": "object",
            "properties": {FORMULA.name: _described(FORMULA)},
            "required": [FORMULA.name],
            "additionalProperties": {"type": "number"},
        },
    }


def _layer_tables() -> dict[str, tuple[Field, ...]]:
    return {name: layer_fields(name, {}) or () for name in (*LAYERS, *ACTIVATIONS)}


# ---- documentation ---------------------------------------------------------------------------


def field_documentation() -> str:
    """Return the keys of a spec file as Markdown tables."""
    sections = [
        _table("Top level", "", TOP),
        _table("[input]", "", INPUT),
        *(
            _table(f"[[layers]], type = {literal(name)}", kind.description, layer_fields(name, {}) or ())
            for name, kind in LAYERS.items()
        ),
        "### Activations\n\nThey stand as `activation` of a layer, or as the `type` of a layer of their own,"
        " and then with constants.\n\n| name | formula | constants |\n|---|---|---|\n"
        + "\n".join(
            f"| `{name}` | `{formula.text}` | {_constants(formula.constants)} |"
            for name, formula in ACTIVATIONS.items()
        ),
        _table("[loss]", f"Built in: {_code(LOSSES)}.", LOSS),
        *(
            _table(
                f"[optimizer], type = {literal(name)}",
                "; ".join(f"`{left} ← {right}`" for left, right in kind.update),
                kind.fields,
            )
            for name, kind in OPTIMIZERS.items()
        ),
        _table(
            "[optimizer], of any type",
            "η is the learning rate, k the step (from 1) of K in all, r the norm of the gradient g of all "
            "parameters: "
            + "; ".join(f"{name}: `{plan.rate}`" for name, plan in SCHEDULES.items())
            + f"; warmup: times `{WARMUP}`; clip_norm: g times `{CLIPPING}`; weight_decay, before the rest: "
            + "; ".join(f"`{left} ← {right}`" for left, right in WEIGHT_DECAY),
            _PRACTICE,
        ),
        _table(
            "[training]",
            f"Data sets: {_code(DATA_SETS)}, `folder:PATH`, `npz:PATH`, `idx:PATH`, or a table.",
            TRAINING,
        ),
        _table(
            "[augmentation]",
            "Images of training batches, each drawn anew in every epoch.  What comes in from outside is 0.",
            AUGMENTATION,
        ),
        _table(
            "[activations.NAME], [losses.NAME]",
            "A formula of one's own: in `x` for an activation, in `y` (output) and `t` (target) for a loss.",
            (FORMULA,),
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _table(title: str, text: str, fields: Iterable[Field]) -> str:
    rows = [
        f"| `{field.name}` | {_type(field)} | {_default(field)} | {field.description} |" for field in fields
    ]
    table = "\n".join(("| key | value | default | meaning |", "|---|---|---|---|", *rows))
    return "\n\n".join(part for part in (f"### {title}", text, table) if part)


def _type(field: Field) -> str:
    parts = [KINDS[field.kind].name, range_text(field), _code(field.choices)]
    return ", ".join(part for part in parts if part)


def _default(field: Field) -> str:
    if field.required:
        return "required"
    return "" if field.default is None else f"`{literal(field.default)}`"


def _constants(constants: Mapping[str, float]) -> str:
    return ", ".join(f"`{name} = {value:g}`" for name, value in constants.items())


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
