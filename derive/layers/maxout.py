"""Maxout: the greatest of several affine maps, y[n,k] = max_q (Σ_j W[q,k,j] x[n,j] + b[q,k])."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.derive.fields import Field
from chainrule.derive.index import Equation, Max, Sum, index, size, tensor
from chainrule.derive.layers.layer import Forward, LayerType, Parameter
from chainrule.derive.prose import _

FIELDS = (
    Field("units", "int", "number of outputs (fan_out)", minimum=1),
    Field("pieces", "int", "affine maps that each output is the greatest of", default=2, minimum=2),
    Field("init", "initializer", "how the weights start", default="glorot_uniform"),
    Field("bias_init", "initializer", "how the biases start", default="zeros"),
)

n, k, j, q = index("n"), index("k"), index("j"), index("q")
N, pieces, fan_in, fan_out = size("N"), size("pieces"), size("fan_in"), size("fan_out")
x, y, h = tensor("x", N, fan_in), tensor("y", N, fan_out), tensor("h", N, pieces, fan_out)
W, b = tensor("W", pieces, fan_out, fan_in), tensor("b", pieces, fan_out)

PIECES = Equation(h[n, q, k], Sum(W[q, k, j] * x[n, j], (j, fan_in)) + b[q, k])
GREATEST = Equation(y[n, k], Max(h[n, q, k], (q, pieces)))


def forward(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """Return the equations of maxout on samples of shape (fan_in,)."""
    (inputs,), units, count = shape, options["units"], options["pieces"]
    parameters = (
        Parameter("W", (count, units, inputs), "weight", inputs, units, options["init"]),
        Parameter("b", (count, units), "bias", inputs, units, options["bias_init"]),
    )
    return Forward((PIECES, GREATEST), {fan_in: inputs, fan_out: units, pieces: count}, parameters)


LAYER = LayerType("maxout", _("greatest of several affine maps"), forward, FIELDS, input_rank=1)
