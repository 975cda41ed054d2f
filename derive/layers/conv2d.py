"""Convolution of images: z[n,i,j,k] = Σ_{u,v,c} W[k,u,v,c] x[n, i·s + u·d − p, j·s + v·d − p, c] + b[k].

This is the cross-correlation that every framework calls a convolution; ``flip`` turns the kernel by 180
degrees and so gives the true one, Σ_{u,v,c} W[k,u,v,c] x[n, i·s − u·d + …, j·s − v·d + …, c].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sympy import Expr, KroneckerDelta, Symbol

from derive.index import Equation, Sum, index, size, tensor
from derive.layers.layer import Forward, LayerType, Parameter, ShapeError
from derive.layers.windows import PADDING, Window, window
from derive.spec.fields import Field

FIELDS = (
    Field("filters", "int", "number of output channels", minimum=1),
    Field("kernel", "pair", "height and width of the kernel", minimum=1),
    Field("stride", "pair", "places from one output to the next", default=(1, 1), minimum=1),
    PADDING,
    Field("dilation", "pair", "places from one kernel entry to the next", default=(1, 1), minimum=1),
    Field("groups", "int", "parts of the channels that are convolved apart", default=1, minimum=1),
    Field("bias", "bool", "add a bias to every output channel", default=True),
    Field("flip", "bool", "the true convolution: the kernel turned by 180 degrees", default=False),
    Field("init", "initializer", "how the kernels start", default="glorot_uniform"),
    Field("bias_init", "initializer", "how the biases start", default="zeros"),
)

n, i, j, k, u, v, c, g, o = (index(name) for name in ("n", "i", "j", "k", "u", "v", "c", "g", "o"))
N, height, width = size("N"), size("height"), size("width")
out_height, out_width = size("out_height"), size("out_width")
kernel_height, kernel_width = size("kernel_height"), size("kernel_width")
in_channels, out_channels = size("in_channels"), size("out_channels")  # of one group
groups = size("groups")
KERNEL_AXES = ((u, kernel_height), (v, kernel_width), (c, in_channels))


def place(window: Window, output: Symbol, entry: Symbol, flip: bool) -> Expr:
    """Return where an output reads its input for a kernel entry, the kernel turned around if ``flip``."""
    if flip:
        return output * window.stride - entry * window.dilation + window.span - 1 - window.before
    return output * window.stride + entry * window.dilation - window.before


def equations(rows: Window, columns: Window, bias: bool, flip: bool) -> tuple[Equation, ...]:
    """Return the forward equation of a convolution with one group."""
    x = tensor("x", N, height, width, in_channels)
    z = tensor("z", N, out_height, out_width, out_channels)
    W = tensor("W", out_channels, kernel_height, kernel_width, in_channels)
    read = x[n, place(rows, i, u, flip), place(columns, j, v, flip), c]
    right = Sum(W[k, u, v, c] * read, *KERNEL_AXES)
    return (Equation(z[n, i, j, k], right + tensor("b", out_channels)[k] if bias else right),)


def grouped_equations(rows: Window, columns: Window, bias: bool, flip: bool) -> tuple[Equation, ...]:
    """Return the forward equations where group g of the outputs reads group g of the inputs alone."""
    filters = groups * out_channels
    x = tensor("x", N, height, width, groups * in_channels)
    h = tensor("h", N, out_height, out_width, groups, out_channels)
    z = tensor("z", N, out_height, out_width, filters)
    W = tensor("W", filters, kernel_height, kernel_width, in_channels)
    read = x[n, place(rows, i, u, flip), place(columns, j, v, flip), g * in_channels + c]
    right = Sum(W[g * out_channels + o, u, v, c] * read, *KERNEL_AXES)
    if bias:
        right += tensor("b", filters)[g * out_channels + o]
    joined = Sum(KroneckerDelta(k, g * out_channels + o) * h[n, i, j, g, o], (g, groups), (o, out_channels))
    return Equation(h[n, i, j, g, o], right), Equation(z[n, i, j, k], joined)


def forward(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """Return the equations of a convolution on images of shape (height, width, channels)."""
    high, wide, channels = shape
    (kh, kw), filters, parts = options["kernel"], options["filters"], options["groups"]
    steps, spread, padding = options["stride"], options["dilation"], options["padding"]
    rows = window("height", high, kh, steps[0], spread[0], padding)
    columns = window("width", wide, kw, steps[1], spread[1], padding)
    for name, count in (("channels", channels), ("filters", filters)):
        if count % parts:
            raise ShapeError(
                f"groups {parts} does not divide {count} {name}: {count}/{parts} = {count / parts:.4g}",
                f"use a number of groups that divides {channels} channels and {filters} filters",
            )
    build = equations if parts == 1 else grouped_equations
    sizes = {
        height: high, width: wide, in_channels: channels // parts, out_channels: filters // parts,
        out_height: rows.outputs, out_width: columns.outputs, kernel_height: kh, kernel_width: kw,
        groups: parts,
    }  # fmt: skip
    fan_in, fan_out = kh * kw * channels // parts, kh * kw * filters // parts
    parameters = [
        Parameter("W", (filters, kh, kw, channels // parts), "weight", fan_in, fan_out, options["init"])
    ]
    if options["bias"]:
        parameters.append(Parameter("b", (filters,), "bias", fan_in, fan_out, options["bias_init"]))
    return Forward(build(rows, columns, options["bias"], options["flip"]), sizes, tuple(parameters))


LAYER = LayerType("conv2d", "convolution of images (H, W, C)", forward, FIELDS, input_rank=3)
