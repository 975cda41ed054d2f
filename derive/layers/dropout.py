"""Inverted dropout: y = x m / (1 − rate) with a random mask m of 0 and 1 in training, y = x in evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sympy import Rational, Symbol

from chainrule.derive.fields import Field
from chainrule.derive.index import Equation, access, index, size, tensor
from chainrule.derive.layers.layer import Forward, LayerType, Noise, features
from chainrule.derive.prose import _

FIELDS = (
    Field("rate", "float", "share of the values that become 0", minimum=0, maximum=1, exclusive=("maximum",)),
)

n, N, kept = index("n"), size("N"), Symbol("kept", positive=True)  # kept: 1 − rate


def forward(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """Return the equations of dropout on samples of any shape; the mask is 1 with probability 1 − rate."""
    indices, sizes = features(len(shape))
    x, y, m = (tensor(name, N, *sizes) for name in ("x", "y", "m"))
    at = (n, *indices)
    return Forward(
        (Equation(access(y, *at), access(x, *at) * access(m, *at) / kept),),
        dict(zip(sizes, shape, strict=True)),
        evaluation=(Equation(access(y, *at), access(x, *at)),),
        noise=(Noise(m, kept),),
        constants={kept: 1 - Rational(str(options["rate"]))},
    )


LAYER = LayerType(
    "dropout", _("zeros at random in training, nothing in evaluation"), forward, FIELDS, known_as=("drop",)
)
