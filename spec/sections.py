"""The one table of fields: what may stand in each table of a spec file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chainrule.derive.fields import Field
from chainrule.derive.layers import LAYERS
from chainrule.derive.library import ACTIVATIONS, LOSSES, OPTIMIZERS, PRACTICE, SCHEDULES, Formula

SPEC_VERSION: Final = 1

TOP: Final = (
    Field(
        "spec_version",
        "int",
        "version of this format",
        minimum=SPEC_VERSION,
        maximum=SPEC_VERSION,
    ),
    Field("name", "string", "name of the network; the folder of the generated programs"),
    Field("description", "string", "any text", default=""),
)
INPUT: Final = (Field("shape", "shape", "shape of one sample; images are height, width, channels"),)
TYPE: Final = Field("type", "string", "a layer, or an activation by its name")
ACTIVATION: Final = Field(
    "activation",
    "string",
    "short for an activation layer of its own after this one, with the default constants",
    default=None,
)
LOSS: Final = (
    Field("type", "string", "a built-in loss, or one of [losses]"),
    Field("reduction", "choice", "over the batch", default="mean", choices=("mean", "sum")),
    Field("l2", "float", "adds l2·Σ‖W‖² over the weights, not the biases", default=0.0, minimum=0),
    Field(
        "label_smoothing",
        "float",
        "of the cross-entropy: share s of each target that is spread over all K classes, (1 − s) t + s/K",
        default=0.0,
        minimum=0,
        maximum=1,
        exclusive=("maximum",),
    ),
)
OPTIMIZER_TYPE: Final = Field("type", "choice", "update rule", default="sgd", choices=tuple(OPTIMIZERS))
SCHEDULE: Final = next(field for field in PRACTICE if field.name == "schedule")
TRAINING: Final = (
    Field("data", "data", "where the samples come from", default=None),
    Field("batch_size", "int", "samples of one step", default=32, minimum=1, maximum=2**20),
    Field("epochs", "int", "passes over the data", default=10, minimum=1),
    Field("seed", "int", "of the starting parameters and of the order of the samples", default=0, minimum=0),
    Field(
        "validation_split",
        "float",
        "share of the training samples that is held back",
        default=0.0,
        minimum=0,
        maximum=1,
        exclusive=("maximum",),
    ),
    Field(
        "early_stopping",
        "int",
        "epochs without a lower validation loss until training stops, the best parameters kept; 0: never",
        default=0,
        minimum=0,
    ),
    Field(
        "standardize",
        "choice",
        "by channel to mean 0 and deviation 1, or to 0 … 1",
        default="none",
        choices=("none", "zscore", "minmax"),
    ),
    Field(
        "tensor_cores",
        "choice",
        "on a GPU, matrix products of factors rounded to this precision; none: of floats",
        default="none",
        choices=("none", "tf32", "bf16"),
    ),
)
AUGMENTATION: Final = (
    Field("flip", "bool", "mirror every second image, left to right", default=False),
    Field("shift", "extent", "move by up to so much, in each direction", default=0.0),
    Field("rotation", "float", "turn by up to so many degrees", default=0.0, minimum=0, maximum=180),
    Field(
        "zoom",
        "float",
        "magnify by 1 − zoom … 1 + zoom",
        default=0.0,
        minimum=0,
        maximum=1,
        exclusive=("maximum",),
    ),
    Field("cutout", "extent", "side of a square that is made 0, anywhere", default=0.0),
)
FORMULA: Final = Field("formula", "string", "the formula; every other key is a number that it uses")

TABLES: Final = ("input", "layers", "loss", "optimizer", "training", "augmentation", "activations", "losses")
# Layers that may stand as `activation`, besides the activations.
SHORT_FORMS: Final = tuple(name for name, kind in LAYERS.items() if kind.as_activation)
ACTIVATION_VARIABLES: Final = ("x",)
LOSS_VARIABLES: Final = ("y", "t")


def constant_fields(formula: Formula) -> tuple[Field, ...]:
    """Return the fields of an activation: the constants of its formula."""
    return tuple(Field(name, "float", "constant", value) for name, value in formula.constants.items())


def optimizer_fields(type_name: object, schedule: object) -> tuple[Field, ...]:
    """Return the fields of an optimizer with a learning-rate schedule; what is unknown has none."""
    own = OPTIMIZERS.get(type_name) if isinstance(type_name, str) else None
    plan = SCHEDULES.get(schedule) if isinstance(schedule, str) else None
    return (OPTIMIZER_TYPE, *(own.fields if own else ()), *PRACTICE, *(plan.fields if plan else ()))


def layer_fields(type_name: str, own: dict[str, Formula]) -> tuple[Field, ...] | None:
    """Return the fields of a layer type, built-in or an activation of the user's own; None if unknown."""
    if type_name in LAYERS:
        short = () if type_name in SHORT_FORMS else (ACTIVATION,)
        return (TYPE, *LAYERS[type_name].fields, *short)
    formula = own.get(type_name) or ACTIVATIONS.get(type_name)
    return None if formula is None else (TYPE, *constant_fields(formula))


def loss_names(own: Mapping[str, Formula]) -> tuple[str, ...]:
    """Return the names that may stand as the type of a loss."""
    return (*LOSSES, *own)
