"""Windows that slide along an axis: how many fit, and where the first one starts."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.derive.fields import Field
from chainrule.derive.layers.layer import ShapeError

PADDINGS = ("valid", "same", "full")
PADDING = Field(
    "padding",
    "padding",
    "zeros around the input: valid is none, same gives ⌈n/stride⌉ outputs (an odd zero comes after), full is "
    "one less than the dilated kernel on each side",
    default="valid",
    minimum=0,
    choices=PADDINGS,
)


@dataclass(frozen=True)
class AxisWindow:
    """A window on an axis: output i reads i·stride + u·dilation − before, for u = 0 … kernel − 1."""

    kernel: int
    stride: int
    dilation: int
    before: int
    outputs: int

    @property
    def span(self) -> int:
        """The number of places from the first that is read to the last."""
        return span(self.kernel, self.dilation)


def span(kernel: int, dilation: int) -> int:
    """Return how many places a dilated kernel covers."""
    return (kernel - 1) * dilation + 1


def window(
    axis: str,
    extent: int,
    kernel: int,
    stride: int,
    dilation: int = 1,
    padding: str | int = "valid",
    key: str = "kernel",
) -> AxisWindow:
    """Return the window of a layer on an axis of ``extent`` places: ⌊(n + 2p − m)/s⌋ + 1 outputs.

    m is the dilated kernel, p the padding.  Raises ShapeError, naming ``axis`` and ``key``, when m > n + 2p.
    """
    covered = span(kernel, dilation)
    if padding == "same":
        outputs = -(-extent // stride)
        total = max((outputs - 1) * stride + covered - extent, 0)
        return AxisWindow(kernel, stride, dilation, total // 2, outputs)
    each = {"valid": 0, "full": covered - 1}[padding] if isinstance(padding, str) else padding
    padded = extent + 2 * each
    if covered > padded:
        dilated = f" with dilation {dilation} covers {covered} places" if dilation > 1 else ""
        around = f"{axis} {extent} with padding {each} on each side has {padded}"
        have = around if each else f"{axis} has {extent}"
        remedy = f"use {key} = {(padded - 1) // dilation + 1} or less"
        if key == "kernel":
            remedy += ', or padding = "same"'
        raise ShapeError(f"{key} {kernel}{dilated}, but {have}", remedy)
    return AxisWindow(kernel, stride, dilation, each, (padded - covered) // stride + 1)
