"""Convolution along one axis: z[n,i,k] = Σ_{u,c} W[k,u,c] x[n, i·s + u·d − p, c] + b[k]."""

from __future__ import annotations

from chainrule.derive.index import index
from chainrule.derive.layers.convolution import Axis, convolution
from chainrule.derive.prose import _

LAYER = convolution(
    "conv1d",
    _("convolution of sequences (length, channels)"),
    (Axis("length", index("i"), index("u")),),
    ("convolution1d",),
)
