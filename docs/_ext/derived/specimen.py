"""A small network around a layer: values for what it requires, and a layer with weights before it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from chainrule.derive.fields import Field
from chainrule.derive.layers import LAYERS, LayerType
from chainrule.derive.network import Layer, build_network
from chainrule.spec import SpecError, parse_spec

SHAPES: Final = {1: (4,), 2: (8, 2), 3: (6, 6, 2)}  # of one sample, by its axes
IMAGE: Final = 3
SIZES: Final = ((4,), (32,), (8, 2), (28, 1), (7, 7, 2), (28, 28, 1), (32, 32, 3))


@dataclass(frozen=True)
class Variant:
    """What a change of a field does: the shapes of one sample in and out, and the parameters."""

    changed: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    parameters: int


def rank(layer: LayerType) -> int:
    """Return how many axes the samples of an example have: an image where any number will do."""
    return layer.input_rank or IMAGE


def required(layer: LayerType, pair: int = 2) -> dict[str, Any]:
    """Return values for the fields without a default."""
    return {field.name: _value(field, pair) for field in layer.fields if field.required}


def _value(field: Field, pair: int) -> Any:
    if field.choices:
        return field.choices[0]
    if field.kind == "float":
        low, high = field.minimum or 0.0, 1.0 if field.maximum is None else field.maximum
        return (low + high) / 2
    return {"pair": pair, "bool": True}.get(field.kind, max(3, int(field.minimum or 0)))


def text(layer: LayerType) -> str:
    """Return the spec of a network in which the layer stands behind one with weights: a gradient passes."""
    axes = rank(layer)
    front = _front(axes)
    tables = [_table(front.name, required(front, 1))] if front else []
    return _spec(layer.name, _shape(axes), [*tables, _table(layer.name, required(layer))])


def alone(layer: LayerType, shape: tuple[int, ...], options: Mapping[str, Any]) -> str:
    """Return the spec of the layer by itself, on samples of a shape."""
    return _spec(layer.name, shape, [_table(layer.name, {**required(layer), **options})])


def _shape(axes: int) -> tuple[int, ...]:
    return SHAPES.get(axes, (3,) * axes)


def _spec(name: str, shape: tuple[int, ...], tables: list[str]) -> str:
    head = f'spec_version = 1\nname = "{name}_example"\n\n[input]\nshape = {list(shape)}\n'
    return "\n".join([head, *tables, '[loss]\ntype = "mse"\n'])


def _table(name: str, options: Mapping[str, Any]) -> str:
    rows = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    return "\n".join(["[[layers]]", f'type = "{name}"', *rows]) + "\n"


@cache
def _front(axes: int) -> LayerType | None:
    """Return the first layer with weights that takes samples of so many axes and gives as many."""
    for layer in LAYERS.values():
        if layer.input_rank == axes:
            made = built(_spec("front", _shape(axes), [_table(layer.name, required(layer, 1))]))
            if made and any(p.role == "weight" for p in made.parameters) and len(made.output_shape) == axes:
                return layer
    return None


def built(spec: str) -> Layer | None:
    """Return the last layer of a network, None where the spec is refused."""
    try:
        return build_network(parse_spec(spec, "example.toml")).layers[-1]
    except SpecError:
        return None


def variants(layer: LayerType) -> Iterator[Variant]:
    """Yield what the layer makes of several shapes, and what its fields change of the first that it takes."""
    first = None
    for shape in (each for each in SIZES if len(each) == rank(layer) or layer.input_rank is None):
        made = built(alone(layer, shape, {}))
        if made:
            yield _variant("", shape, made)
            first = first or shape
    base = first and built(alone(layer, first, {}))
    if not first or not base:
        return
    for field in layer.fields:
        for value in _others(field):
            made = built(alone(layer, first, {field.name: value}))
            if made and (made.output_shape, _count(made)) != (base.output_shape, _count(base)):
                yield _variant(f"{field.name} = {json.dumps(value)}", first, made)


def _others(field: Field) -> tuple[Any, ...]:
    if field.choices:
        return field.choices
    return {"int": (1, 2, 5), "pair": (1, 3, [1, 2]), "bool": (True, False)}.get(field.kind, ())


def _count(layer: Layer) -> int:
    return sum(each.count for each in layer.parameters)


def _variant(changed: str, shape: tuple[int, ...], made: Layer) -> Variant:
    return Variant(changed, shape, made.output_shape, _count(made))
