"""The fields of a spec: the range and the default of each, as the documentation of the format has them."""

from __future__ import annotations

import pytest

from chainrule.derive.fields import Field
from chainrule.derive.layers import LAYERS
from chainrule.derive.library import ACTIVATIONS, OPTIMIZERS, PRACTICE, SCHEDULES
from chainrule.spec.documents import json_schema
from chainrule.spec.kinds import range_text
from chainrule.spec.sections import AUGMENTATION, LOSS, TOP, TRAINING

CONVOLUTION = (
    "filters >= 1; kernel >= 1; stride >= 1, else {one}; padding >= 0, else valid; "
    "dilation >= 1, else {one}; groups >= 1, else 1; bias, else True; flip, else False; "
    "init, else glorot_uniform; bias_init, else zeros"
)
POOLING = "size >= 1; stride >= 1, else None"
STARTS = "init, else glorot_uniform; bias_init, else zeros"
FIELDS = {
    "top": "spec_version >= 1 and <= 1; name; description, else ",
    "loss": "type; reduction, else mean; l2 >= 0, else 0.0; label_smoothing >= 0 and < 1, else 0.0",
    "training": (
        "data, else None; batch_size >= 1 and <= 1,048,576, else 32; epochs >= 1, else 10; "
        "seed >= 0, else 0; validation_split >= 0 and < 1, else 0.0; early_stopping >= 0, else 0; "
        "standardize, else none; tensor_cores, else none"
    ),
    "augmentation": (
        "flip, else False; shift, else 0.0; rotation >= 0 and <= 180, else 0.0; zoom >= 0 and < 1, else 0.0; "
        "cutout, else 0.0"
    ),
    "practice": (
        "schedule, else constant; warmup >= 1, else None; clip_norm > 0, else None; "
        "weight_decay > 0, else None"
    ),
    "sgd": "learning_rate > 0, else 0.1",
    "momentum": "learning_rate > 0, else 0.01; momentum >= 0 and < 1, else 0.9",
    "adagrad": "learning_rate > 0, else 0.01; epsilon > 0, else 1e-10",
    "rmsprop": "learning_rate > 0, else 0.001; rho >= 0 and < 1, else 0.9; epsilon > 0, else 1e-08",
    "adam": (
        "learning_rate > 0, else 0.001; beta1 >= 0 and < 1, else 0.9; beta2 >= 0 and < 1, else 0.999; "
        "epsilon > 0, else 1e-08"
    ),
    "constant": "",
    "step": "decay_factor > 0 and <= 1, else 0.1; decay_every >= 1",
    "cosine": "",
    "avg_pool2d": POOLING,
    "batch_norm": "epsilon > 0, else 1e-05; momentum >= 0 and <= 1, else 0.9",
    "conv1d": CONVOLUTION.format(one="1"),
    "conv2d": CONVOLUTION.format(one="(1, 1)"),
    "dense": f"units >= 1; bias, else True; {STARTS}; weights, else None; biases, else None",
    "dropout": "rate >= 0 and < 1",
    "flatten": "",
    "global_avg_pool": "",
    "layer_norm": "epsilon > 0, else 1e-05",
    "max_pool2d": POOLING,
    "maxout": f"units >= 1; pieces >= 2, else 2; {STARTS}",
    "softmax": "",
}
TABLES: dict[str, tuple[Field, ...]] = {
    "top": TOP,
    "loss": LOSS,
    "training": TRAINING,
    "augmentation": AUGMENTATION,
    "practice": PRACTICE,
    **{name: optimizer.fields for name, optimizer in OPTIMIZERS.items()},
    **{name: plan.fields for name, plan in SCHEDULES.items()},
    **{name: layer.fields for name, layer in LAYERS.items() if name in FIELDS},
}


@pytest.mark.parametrize("table", FIELDS)
def test_ranges_and_defaults(table: str) -> None:
    def told(field: Field) -> str:
        named = " ".join(part for part in (field.name, range_text(field)) if part)
        return named if field.required else f"{named}, else {field.default}"

    assert "; ".join(map(told, TABLES[table])) == FIELDS[table]


def test_constants_of_activations() -> None:
    found = {name: formula.constants for name, formula in ACTIVATIONS.items() if formula.constants}
    assert found == {"leaky_relu": {"slope": 0.1}, "elu": {"alpha": 1.0}}


def test_the_schema_has_ranges_and_defaults() -> None:
    training = json_schema()["properties"]["training"]["properties"]
    described = {key: value for key, value in training["batch_size"].items() if key != "description"}
    assert described == {"type": "integer", "minimum": 1, "maximum": 2**20, "default": 32}
    described = {key: value for key, value in training["validation_split"].items() if key != "description"}
    assert described == {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.0}
    assert "default" not in training["data"]
    sizes = json_schema()["properties"]["input"]["properties"]["shape"]
    assert "default" not in sizes and (sizes["minItems"], sizes["maxItems"]) == (1, 6)
