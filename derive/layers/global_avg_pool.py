"""Mean of every channel of an image: y[n,k] = Σ_{i,j} x[n,i,j,k] / (H W)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.derive.index import Equation, Sum, index, size, tensor
from chainrule.derive.layers.layer import Forward, LayerType
from chainrule.derive.prose import _

n, i, j, k = (index(name) for name in ("n", "i", "j", "k"))
N, height, width, channels = size("N"), size("height"), size("width"), size("channels")
x, y = tensor("x", N, height, width, channels), tensor("y", N, channels)

MEAN = Equation(y[n, k], Sum(x[n, i, j, k], (i, height), (j, width)) / (height * width))


def forward(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """Return the equation of the mean on images of shape (height, width, channels)."""
    return Forward((MEAN,), dict(zip((height, width, channels), shape, strict=True)))


LAYER = LayerType("global_avg_pool", _("mean of every channel of an image"), forward, input_rank=3)
