"""Convolution of images: z[n,i,j,k] = Σ_{u,v,c} W[k,u,v,c] x[n, i·s + u·d − p, j·s + v·d − p, c] + b[k]."""

from __future__ import annotations

from chainrule.derive.index import index
from chainrule.derive.layers.convolution import Axis, convolution
from chainrule.derive.prose import _

ROWS, COLUMNS = Axis("height", index("i"), index("u")), Axis("width", index("j"), index("v"))

LAYER = convolution(
    "conv2d",
    _("convolution of images (height, width, channels)"),
    (ROWS, COLUMNS),
    ("conv", "convolution", "convolution2d", "convolutional", "cross_correlation"),
)
