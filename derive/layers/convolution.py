"""Convolution along any number of axes: z[n,i,k] = Σ_{u,c} W[k,u,c] x[n, i·s + u·d − p, c] + b[k].

This is the cross-correlation that every framework calls a convolution.  ``flip`` turns the kernel around and
so gives the true one, Σ_{u,c} W[k,u,c] x[n, i·s − u·d + …, c].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from sympy import Expr, KroneckerDelta, Symbol

from chainrule.derive.fields import Field
from chainrule.derive.index import Equation, Sum, access, index, size, tensor
from chainrule.derive.layers.layer import Forward, LayerType, Parameter, ShapeError
from chainrule.derive.layers.windows import PADDING, AxisWindow, window

n, k, c, g, o = (index(name) for name in ("n", "k", "c", "g", "o"))
N, groups = size("N"), size("groups")
in_channels, out_channels = size("in_channels"), size("out_channels")  # of one group


@dataclass(frozen=True)
class Axis:
    """An axis that a kernel slides along: its name, and the indices of outputs and of kernel entries."""

    name: str
    output: Symbol
    entry: Symbol

    @property
    def extent(self) -> Symbol:
        return size(self.name)

    @property
    def outputs(self) -> Symbol:
        return size(f"out_{self.name}")

    @property
    def kernel(self) -> Symbol:
        return size(f"kernel_{self.name}")

    def place(self, window: AxisWindow, flip: bool) -> Expr:
        """Return where an output reads its input for a kernel entry, the kernel turned around if ``flip``."""
        if flip:
            turned = window.span - 1 - self.entry * window.dilation
            return self.output * window.stride + turned - window.before
        return self.output * window.stride + self.entry * window.dilation - window.before


@dataclass(frozen=True)
class Convolution:
    """The equations of a convolution along these axes, with a window for each."""

    axes: tuple[Axis, ...]
    windows: tuple[AxisWindow, ...]
    bias: bool
    flip: bool

    def plain(self) -> tuple[Equation, ...]:
        """Return the forward equation where every output channel reads all input channels."""
        z = tensor("z", N, *(a.outputs for a in self.axes), out_channels)
        right = self._sum(k, out_channels, c, in_channels)
        return (Equation(access(z, n, *self._outputs, k), right),)

    def grouped(self) -> tuple[Equation, ...]:
        """Return the forward equations where group g of the outputs reads group g of the inputs alone."""
        extents = [a.outputs for a in self.axes]
        h = tensor("h", N, *extents, groups, out_channels)
        z = tensor("z", N, *extents, groups * out_channels)
        channel = g * out_channels + o
        right = self._sum(channel, groups * out_channels, g * in_channels + c, groups * in_channels)
        part = access(h, n, *self._outputs, g, o)
        joined = Sum(KroneckerDelta(k, channel) * part, (g, groups), (o, out_channels))
        return Equation(part, right), Equation(access(z, n, *self._outputs, k), joined)

    @property
    def _outputs(self) -> tuple[Symbol, ...]:
        return tuple(a.output for a in self.axes)

    def _sum(self, channel: Expr, filters: Expr, source: Expr, channels: Expr) -> Expr:
        """Return the weighted sum (and bias) of an output channel that reads the input channels at source."""
        x = tensor("x", N, *(a.extent for a in self.axes), channels)
        W = tensor("W", filters, *(a.kernel for a in self.axes), in_channels)
        places = (a.place(w, self.flip) for a, w in zip(self.axes, self.windows, strict=True))
        weight = access(W, channel, *(a.entry for a in self.axes), c)
        entries = ((a.entry, a.kernel) for a in self.axes)
        total = Sum(weight * access(x, n, *places, source), *entries, (c, in_channels))
        return total + tensor("b", filters)[channel] if self.bias else total


def convolution(name: str, description: str, axes: tuple[Axis, ...], known_as: tuple[str, ...]) -> LayerType:
    """Return the layer that convolves samples of these axes and channels."""
    number = "pair" if len(axes) == 2 else "int"
    one = (1, 1) if len(axes) == 2 else 1
    extents = " and ".join(axis.name for axis in axes)
    fields = (
        Field("filters", "int", "number of output channels", minimum=1),
        Field("kernel", number, f"{extents} of the kernel", minimum=1),
        Field("stride", number, "places from one output to the next", default=one, minimum=1),
        PADDING,
        Field("dilation", number, "places from one kernel entry to the next", default=one, minimum=1),
        Field("groups", "int", "parts of the channels that are convolved apart", default=1, minimum=1),
        Field("bias", "bool", "add a bias to every output channel", default=True),
        Field("flip", "bool", "the true convolution: the kernel turned around", default=False),
        Field("init", "initializer", "how the kernels start", default="glorot_uniform"),
        Field("bias_init", "initializer", "how the biases start", default="zeros"),
    )

    def forward(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
        """Return the equations on samples of shape (extents of the axes …, channels)."""
        *places, channels = shape
        filters, parts = options["filters"], options["groups"]
        for what, count in (("channels", channels), ("filters", filters)):
            if count % parts:
                raise ShapeError(
                    f"groups {parts} do not divide {count} {what}: {count}/{parts} = {count / parts:.4g}",
                    f"use a number of groups that divides {channels} channels and {filters} filters",
                )
        kernel, stride, dilation = (_each(options[key]) for key in ("kernel", "stride", "dilation"))
        windows = tuple(
            window(axis.name, extent, kernel[d], stride[d], dilation[d], options["padding"])
            for d, (axis, extent) in enumerate(zip(axes, places, strict=True))
        )
        layer = Convolution(axes, windows, options["bias"], options["flip"])
        sizes = {in_channels: channels // parts, out_channels: filters // parts, groups: parts}
        for axis, extent, here in zip(axes, places, windows, strict=True):
            sizes |= {axis.extent: extent, axis.outputs: here.outputs, axis.kernel: here.kernel}
        fans = prod(kernel) * channels // parts, prod(kernel) * filters // parts
        shape_of_kernel = (filters, *kernel, channels // parts)
        parameters = [Parameter("W", shape_of_kernel, "weight", *fans, options["init"])]
        if options["bias"]:
            parameters.append(Parameter("b", (filters,), "bias", *fans, options["bias_init"]))
        return Forward(layer.plain() if parts == 1 else layer.grouped(), sizes, tuple(parameters))

    return LayerType(name, description, forward, fields, input_rank=len(axes) + 1, known_as=known_as)


def _each(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)
