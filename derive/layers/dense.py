"""Fully connected layer: z[n,k] = Σ_j W[k,j] x[n,j] + b[k]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.derive.fields import Field
from chainrule.derive.index import Equation, Sum, index, size, tensor
from chainrule.derive.layers.layer import Forward, LayerType, Parameter, ShapeError
from chainrule.derive.prose import _

FIELDS = (
    Field("units", "int", "number of outputs (fan_out)", minimum=1),
    Field("bias", "bool", "add a bias to every output", default=True),
    Field("init", "initializer", "how the weights start", default="glorot_uniform"),
    Field("bias_init", "initializer", "how the biases start", default="zeros"),
    Field("weights", "matrix", "explicit starting weights, (fan_out, fan_in)", default=None),
    Field("biases", "vector", "explicit starting biases, (fan_out,)", default=None),
)


n, k, j = index("n"), index("k"), index("j")
N, fan_in, fan_out = size("N"), size("fan_in"), size("fan_out")
x, z = tensor("x", N, fan_in), tensor("z", N, fan_out)
W, b = tensor("W", fan_out, fan_in), tensor("b", fan_out)

LINEAR = Equation(z[n, k], Sum(W[k, j] * x[n, j], (j, fan_in)))
AFFINE = Equation(z[n, k], Sum(W[k, j] * x[n, j], (j, fan_in)) + b[k])


def forward(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """Return the equations of a dense layer on samples of shape (fan_in,)."""
    inputs, units = shape[0], options["units"]
    weights, biases = options.get("weights"), options.get("biases")
    _require_shape("weights", weights, (units, inputs))
    _require_shape("biases", biases, (units,))
    start = options["init"] if weights is None else weights
    parameters = [
        Parameter(
            "W", (units, inputs), "weight", inputs, units, options["init"] if weights is None else weights
        )
    ]
    if options["bias"]:
        start = options["bias_init"] if biases is None else biases
        parameters.append(Parameter("b", (units,), "bias", inputs, units, start))
    equation = AFFINE if options["bias"] else LINEAR
    return Forward((equation,), {fan_in: inputs, fan_out: units}, tuple(parameters))


def _require_shape(key: str, values: Any, wanted: tuple[int, ...]) -> None:
    if values is None:
        return
    found = _shape(values)
    if found != wanted:
        need = f"{wanted[0]} units" + (f" on {wanted[1]} inputs" if len(wanted) > 1 else "")
        raise ShapeError(
            f"{key} has shape {found}, but {need} need {wanted}",
            f"give {key} as {' x '.join(map(str, wanted))} numbers, one row a unit",
        )


def _shape(values: Any) -> tuple[int, ...]:
    """Return the shape of numbers in rows, all of a length."""
    if not isinstance(values, tuple | list):
        return ()
    return (len(values), *(_shape(values[0]) if values else ()))


LAYER = LayerType(
    "dense",
    _("fully connected: z = W x + b"),
    forward,
    FIELDS,
    input_rank=1,
    known_as=("linear", "fc", "fully_connected", "affine", "inner_product", "perceptron", "mlp"),
)
