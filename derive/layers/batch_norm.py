"""Batch normalization: every channel has mean 0 and variance 1 over the batch, then γ x̂ + β.

In training μ and v are those of the batch (over the samples, and over the places of an image); in evaluation
the running ones, of which each step keeps the share ``momentum``.  The running variance takes the unbiased
variance of the batch, M/(M − 1)·v for M values; of a single value that is not defined, and v = 0 is taken.
"""

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

EPSILON = Field("epsilon", "float", "added to the variance", default=1e-5, minimum=0, exclusive=("minimum",))
FIELDS = (
    EPSILON,
    Field(
        "momentum",
        "float",
        "share of the running mean and variance that a step keeps (PyTorch counts what it replaces)",
        default=0.9,
        minimum=0,
        maximum=1,
    ),
)

n, N = index("n"), size("N")
epsilon, rho = Symbol("epsilon", positive=True), Symbol("rho", real=True)


def forward(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """Return the equations on samples of shape (…, channels): one mean and variance a channel."""
    indices, sizes = features(len(shape))
    *_, k = indices
    *places, channels = sizes
    at, full = (n, *indices), (N, *sizes)
    x, y, xhat = (access(tensor(name, *full), *at) for name in ("x", "y", "xhat"))
    mu, v, mean, var, gamma, beta = (
        tensor(name, channels)[k] for name in ("mu", "v", "mean", "var", "gamma", "beta")
    )
    axes = ((n, N), *zip(indices[:-1], places, strict=True))
    count = sympy.Mul(N, *places)
    single = prod(shape[:-1]) == 1  # then a batch of one sample is one value, of which M − 1 is 0
    unbiased = v * count / (sympy.Max(count - 1, 1) if single else count - 1)
    width = shape[-1]
    return Forward(
        (
            Equation(mu, Sum(x, *axes) / count),
            Equation(v, Sum((x - mu) ** 2, *axes) / count),
            Equation(xhat, (x - mu) / sqrt(v + epsilon)),
            Equation(y, gamma * xhat + beta),
        ),
        dict(zip(sizes, shape, strict=True)),
        (
            Parameter("gamma", (width,), "scale", width, width, "ones"),
            Parameter("beta", (width,), "bias", width, width, "zeros"),
        ),
        evaluation=(Equation(y, gamma * (x - mean) / sqrt(var + epsilon) + beta),),
        statistics=(
            Parameter("mean", (width,), "statistic", width, width, "zeros"),
            Parameter("var", (width,), "statistic", width, width, "ones"),
        ),
        running=(
            Equation(mean, rho * mean + (1 - rho) * mu),
            Equation(var, rho * var + (1 - rho) * unbiased),
        ),
        constants={epsilon: Rational(str(options["epsilon"])), rho: Rational(str(options["momentum"]))},
    )


LAYER = LayerType(
    "batch_norm",
    _("mean 0 and variance 1 of every channel over the batch"),
    forward,
    FIELDS,
    known_as=("bn", "batch_normalization", "batchnorm2d", "batch_norm2d", "batchnorm1d"),
)
