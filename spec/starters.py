"""Specs to start from: what ``derive new`` writes, each key with what the table of fields says of it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chainrule.derive.fields import Field
from chainrule.derive.layers import LAYERS
from chainrule.derive.library import ACTIVATIONS, LOSSES, OPTIMIZERS
from chainrule.spec.kinds import DATA_SETS
from chainrule.spec.names import name_problem
from chainrule.spec.sections import (
    AUGMENTATION,
    INPUT,
    LOSS,
    SHORT_FORMS,
    SPEC_VERSION,
    TOP,
    TRAINING,
    layer_fields,
    optimizer_fields,
)

_WIDTH: Final = 100
_COLUMN: Final = 32  # where the comment of a key begins
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Start:
    """A network to start from: what its tables hold."""

    about: str
    shape: list[int]
    layers: tuple[Values, ...]
    loss: Values
    optimizer: Values
    training: Values
    table: str = ""  # [training.data], where the samples stand in the spec
    images: bool = False


_DIGITS: Final = {"data": "mnist", "batch_size": 32, "epochs": 5, "seed": 0, "validation_split": 0.1}
_CLASSES: Final = {"type": "dense", "units": 10, "activation": "softmax"}

STARTS: Final = {
    "mlp": Start(
        "dense layers that read digits of 28 × 28 pixels",
        [28, 28, 1],
        ({"type": "dense", "units": 32, "activation": "relu"}, _CLASSES),
        {"type": "cross_entropy", "l2": 0.0},
        {"type": "adam", "learning_rate": 0.001},
        _DIGITS,
        images=True,
    ),
    "cnn": Start(
        "two convolutions that read digits of 28 × 28 pixels",
        [28, 28, 1],
        (
            {"type": "conv2d", "filters": 8, "kernel": 3, "padding": "same", "activation": "relu"},
            {"type": "max_pool2d", "size": 2},
            {"type": "conv2d", "filters": 16, "kernel": 3, "padding": "same", "activation": "relu"},
            {"type": "max_pool2d", "size": 2},
            {"type": "dropout", "rate": 0.2},
            _CLASSES,
        ),
        {"type": "cross_entropy", "l2": 0.0},
        {"type": "adam", "learning_rate": 0.002},
        _DIGITS,
        images=True,
    ),
    "xor": Start(
        "the exclusive or, small enough to follow in numbers",
        [2],
        (
            {"type": "dense", "units": 4, "activation": "tanh"},
            {"type": "dense", "units": 1, "activation": "sigmoid"},
        ),
        {"type": "binary_cross_entropy"},
        {"type": "adam", "learning_rate": 0.1},
        {"batch_size": 4, "epochs": 200, "seed": 0},
        "inputs = [[0, 0], [0, 1], [1, 0], [1, 1]]\ntargets = [[0], [1], [1], [0]]\n",
    ),
}
LIKE: Final = "mlp"


def starter(name: str, like: str = LIKE) -> str:
    """Return a commented spec of that name, like one of STARTS.

    Raises ValueError if it cannot be a name.
    """
    problem = name_problem(name)
    if problem:
        longer = f"{name}_net"
        remedy = "" if name_problem(longer) else f"; {longer} can"
        raise ValueError(f"{name[:60]!r} cannot be the name of a network: {problem[1]}{remedy}")
    start, file = STARTS[like], f"{name}.toml"
    about = f"{name}: {start.about}. `derive {file}` prints its equations, `derive train {file}` trains it."
    types = ", ".join(layer for layer in LAYERS if layer not in SHORT_FORMS)
    parts = [
        _comment(about)
        + _keys(TOP, {"spec_version": SPEC_VERSION, "name": name, "description": start.about}),
        "[input]\n" + _keys(INPUT, {"shape": start.shape}),
        _comment(f"A [[layers]] a layer, in order. type: {types}.")
        + _comment(f"activation: {', '.join((*ACTIVATIONS, *SHORT_FORMS))}, or one of [activations].")
        + _layer(start.layers[0], ()),
        *(_layer(layer, start.layers[:i]) for i, layer in enumerate(start.layers) if i),
        _comment(f"type: {', '.join(LOSSES)}, or one of [losses].") + "[loss]\n" + _keys(LOSS, start.loss),
        _comment(f"type: {', '.join(OPTIMIZERS)}; each has hyper-parameters of its own.")
        + "[optimizer]\n"
        + _keys(optimizer_fields(start.optimizer["type"], None), start.optimizer),
        _comment(
            f"data: {', '.join(DATA_SETS)}, folder:PATH, npz:PATH, idx:PATH, or a table. "
            "Without the full set, mnist is the digits in the package."
        )
        + "[training]\n"
        + _keys(TRAINING, start.training),
    ]
    if start.table:
        parts.append(_comment("The samples, one a row.") + "[training.data]\n" + start.table)
    if start.images:
        parts.append(
            _comment("Images of training batches may be changed at random, anew in every epoch.")
            + _off("[augmentation]\n" + _keys(AUGMENTATION, {"shift": 2, "rotation": 10}))
        )
    parts.append(
        _comment(
            "An activation of one's own is one formula in x; its derivative is found. Use it by its name."
        )
        + _off('[activations.sharp]\nformula = "x * sigmoid(beta * x)"\nbeta = 1.5\n')
    )
    return "\n".join(parts)


def _layer(values: Values, before: tuple[Values, ...]) -> str:
    """Return a layer's table; what was said of a key before is not said again."""
    kind = values["type"]
    said = {key for earlier in before if earlier["type"] == kind for key in earlier} | {"activation"}
    head = _noted(f'type = "{kind}"', "" if "type" in said else LAYERS[kind].description)
    others = {key: value for key, value in values.items() if key != "type"}
    return f"[[layers]]\n{head}" + _keys(layer_fields(kind, {}) or (), others, said)


def _keys(fields: Iterable[Field], values: Values, plain: Container[str] = ("type", "description")) -> str:
    """Return a table's keys in their order here, each with its description but for the plain ones."""
    described = {field.name: field.description for field in fields}
    return "".join(
        _noted(f"{key} = {json.dumps(value, ensure_ascii=False)}", "" if key in plain else described[key])
        for key, value in values.items()
    )


def _noted(text: str, note: str) -> str:
    """Return a line with a comment after it, or above it where it is long."""
    if not note:
        return f"{text}\n"
    line = f"{text:<{_COLUMN - 1}} # {note}\n"
    return line if len(line) <= _WIDTH else f"{_comment(note)}{text}\n"


def _comment(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="# ", subsequent_indent="# ") + "\n"


def _off(text: str) -> str:
    """Return lines made comments, to be switched on by taking the # away."""
    return textwrap.indent(text, "# ")
