"""Layers that nobody shipped, and specs of stacks of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sympy import Rational, exp, sqrt

from chainrule.derive.fields import Field
from chainrule.derive.index import Equation, Max, Sum, index, size, tensor
from chainrule.derive.layers import Forward, LayerType, Parameter

N, n = size("N"), index("n")
L, M, K, C, O, D = map(size, ("L", "M", "K", "C", "O", "D"))  # noqa: E741
i, u, c, o, k, j = map(index, ("i", "u", "c", "o", "k", "j"))


def conv1d(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """z[n,i,o] = Σ_{u,c} W[o,u,c] x[n, i·s + u·d − p, c] + b[o] on samples (L, C)."""
    kernel, stride, padding = options["kernel"], options["stride"], options["padding"]
    dilation, filters = options["dilation"], options["filters"]
    outputs = (shape[0] + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    x, z = tensor("x", N, L, C), tensor("z", N, M, O)
    W, b = tensor("W", O, K, C), tensor("b", O)
    body = W[o, u, c] * x[n, stride * i + dilation * u - padding, c]
    equation = Equation(z[n, i, o], Sum(body, (u, K), (c, C)) + b[o])
    fans = kernel * shape[1], kernel * filters
    return Forward(
        (equation,),
        {L: shape[0], M: outputs, K: kernel, C: shape[1], O: filters},
        (
            Parameter("W", (filters, kernel, shape[1]), "weight", *fans, "glorot_uniform"),
            Parameter("b", (filters,), "bias", *fans, "normal(0, 0.1)"),
        ),
    )


def pool1d(greatest: bool, shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """y[n,i,c] = max_u or mean_u of x[n, i·s + u, c] on samples (L, C); windows may overlap."""
    width, stride = options["width"], options["stride"]
    x, y = tensor("x", N, L, C), tensor("y", N, M, C)
    read = x[n, stride * i + u, c]
    right = Max(read, (u, K)) if greatest else Sum(read, (u, K)) / K
    outputs = (shape[0] - width) // stride + 1
    return Forward((Equation(y[n, i, c], right),), {L: shape[0], M: outputs, C: shape[1], K: width})


def layer_norm(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """y = γ (x − μ) / √(v + ε) + β, μ and v over the features of one sample."""
    x, y, mean, variance = tensor("x", N, D), tensor("y", N, D), tensor("mu", N), tensor("v", N)
    gamma, beta = tensor("gamma", D), tensor("beta", D)
    equations = (
        Equation(mean[n], Sum(x[n, k], (k, D)) / D),
        Equation(variance[n], Sum((x[n, k] - mean[n]) ** 2, (k, D)) / D),
        Equation(
            y[n, k],
            gamma[k] * (x[n, k] - mean[n]) / sqrt(variance[n] + Rational(1, 1000)) + beta[k],
        ),
    )
    one = shape[0]
    return Forward(
        equations,
        {D: one},
        (
            Parameter("gamma", (one,), "weight", one, one, "uniform(0.5, 1.5)"),
            Parameter("beta", (one,), "bias", one, one, "normal(0, 0.2)"),
        ),
    )


def scale_shift(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """y[n,k] = γ[k] x[n,k] + β[k]."""
    x, y, gamma, beta = tensor("x", N, D), tensor("y", N, D), tensor("gamma", D), tensor("beta", D)
    equation = Equation(y[n, k], gamma[k] * x[n, k] + beta[k])
    parameters = [Parameter(name, (shape[0],), "weight", 1, 1, "normal(0, 1)") for name in ("gamma", "beta")]
    return Forward((equation,), {D: shape[0]}, tuple(parameters))


def attention(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """y[n,i,c] = Σ_j softmax_j(Σ_c x[n,i,c] x[n,j,c]) x[n,j,c]: the input is read three times."""
    T, d = size("T"), index("d")
    x, y = tensor("x", N, T, C), tensor("y", N, T, C)
    s, a = tensor("score", N, T, T), tensor("share", N, T, T)
    equations = (
        Equation(s[n, i, j], Sum(x[n, i, d] * x[n, j, d], (d, C))),
        Equation(a[n, i, j], exp(s[n, i, j]) / Sum(exp(s[n, i, k]), (k, T))),
        Equation(y[n, i, c], Sum(a[n, i, j] * x[n, j, c], (j, T))),
    )
    return Forward(equations, {T: shape[0], C: shape[1]})


def integer(name: str, default: int) -> Field:
    return Field(name, "int", "a number of the layer", default, minimum=0)


CONV_FIELDS = (
    integer("filters", 3),
    integer("kernel", 3),
    integer("stride", 1),
    integer("padding", 0),
    integer("dilation", 1),
)
POOL_FIELDS = (integer("width", 3), integer("stride", 1))
NEW_LAYERS = (
    LayerType("conv1d", "convolution along an axis", conv1d, CONV_FIELDS, input_rank=2),
    LayerType("max_pool1d", "greatest of a window", lambda s, v: pool1d(True, s, v), POOL_FIELDS, 2),
    LayerType("avg_pool1d", "mean of a window", lambda s, v: pool1d(False, s, v), POOL_FIELDS, 2),
    LayerType("layer_norm", "standardized features", layer_norm, (), input_rank=1),
    LayerType("scale_shift", "an affine map of each feature", scale_shift, (), input_rank=1),
    LayerType("attention", "self-attention", attention, (), input_rank=2),
)


def stack(shape: list[int], *layers: str, loss: str = "mse", tail: str = "") -> str:
    tables = "\n\n".join(f"[[layers]]\n{layer}" for layer in layers)
    return (
        f'spec_version = 1\nname = "stack"\n\n[input]\nshape = {shape}\n\n{tables}\n\n'
        f'[loss]\ntype = "{loss}"\nl2 = 0.01\n{tail}'
    )


def layer(kind: str, **options: object) -> str:
    return "\n".join([f'type = "{kind}"', *(f"{name} = {value}" for name, value in options.items())])


DENSE = 'type = "dense"\nunits = 3'
TANH, RELU = 'type = "tanh"', 'type = "relu"'
