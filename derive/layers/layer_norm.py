"""Layer normalization: the features of every sample have mean 0 and variance 1, then γ x̂ + β."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import sympy
from sympy import Rational, Symbol, sqrt

from chainrule.derive.fields import Field
from chainrule.derive.index import Equation, Sum, access, index, size, tensor
from chainrule.derive.layers.layer import Forward, LayerType, Parameter, features
from chainrule.derive.prose import _

FIELDS = (
    Field("epsilon", "float", "added to the variance", default=1e-5, minimum=0, exclusive=("minimum",)),
)

n, N, epsilon = index("n"), size("N"), Symbol("epsilon", positive=True)


def forward(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """Return the equations on samples of any shape: one mean and variance a sample."""
    indices, sizes = features(len(shape))
    at, full, axes = (n, *indices), (N, *sizes), tuple(zip(indices, sizes, strict=True))
    x, y, xhat = (access(tensor(name, *full), *at) for name in ("x", "y", "xhat"))
    gamma, beta = (access(tensor(name, *sizes), *indices) for name in ("gamma", "beta"))
    mu, v = tensor("mu", N)[n], tensor("v", N)[n]
    count, features_ = sympy.Mul(*sizes), prod(shape)
    return Forward(
        (
            Equation(mu, Sum(x, *axes) / count),
            Equation(v, Sum((x - mu) ** 2, *axes) / count),
            Equation(xhat, (x - mu) / sqrt(v + epsilon)),
            Equation(y, gamma * xhat + beta),
        ),
        dict(zip(sizes, shape, strict=True)),
        (
            Parameter("gamma", shape, "scale", features_, features_, "ones"),
            Parameter("beta", shape, "bias", features_, features_, "zeros"),
        ),
        constants={epsilon: Rational(str(options["epsilon"]))},
    )


LAYER = LayerType(
    "layer_norm",
    _("mean 0 and variance 1 over the features of every sample"),
    forward,
    FIELDS,
    known_as=("ln", "layer_normalization"),
)
