"""What pools of images share: windows that lie inside the image, each channel for itself.

There is no padding: a window that does not fit is left out, so that no zero from outside can win a maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sympy import Expr

from chainrule.derive.fields import Field
from chainrule.derive.index import Equation, index, size, tensor
from chainrule.derive.layers.layer import Forward, LayerType
from chainrule.derive.layers.windows import window

FIELDS = (
    Field("size", "pair", "height and width of the window", minimum=1),
    Field("stride", "pair", "from one window to the next; the size if left out", default=None, minimum=1),
)

n, i, j, k, u, v = (index(name) for name in ("n", "i", "j", "k", "u", "v"))
N, height, width, channels = size("N"), size("height"), size("width"), size("channels")
out_height, out_width = size("out_height"), size("out_width")
window_height, window_width = size("window_height"), size("window_width")
x, y = tensor("x", N, height, width, channels), tensor("y", N, out_height, out_width, channels)
WINDOW = ((u, window_height), (v, window_width))


def pool(name: str, description: str, reduce: Callable[[Expr], Expr], known_as: tuple[str, ...]) -> LayerType:
    """Return the layer y[n,i,j,k] = reduce over the WINDOW of x[n, i·s + u, j·s + v, k]."""

    def forward(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
        """Return the equation of the pool on images of shape (height, width, channels)."""
        high, wide, count = shape
        kh, kw = options["size"]
        sh, sw = options["stride"] or (kh, kw)
        rows = window("height", high, kh, sh, key="size")
        columns = window("width", wide, kw, sw, key="size")
        sizes = {
            height: high, width: wide, channels: count, out_height: rows.outputs, out_width: columns.outputs,
            window_height: kh, window_width: kw,
        }  # fmt: skip
        return Forward((Equation(y[n, i, j, k], reduce(x[n, i * sh + u, j * sw + v, k])),), sizes)

    return LayerType(name, description, forward, FIELDS, input_rank=3, known_as=known_as)
