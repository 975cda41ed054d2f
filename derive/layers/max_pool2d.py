"""Greatest value of every window: y[n,i,j,k] = max_{u,v} x[n, i·s + u, j·s + v, k]."""

from __future__ import annotations

from chainrule.derive.index import Max
from chainrule.derive.layers.pooling import WINDOW, pool
from chainrule.derive.prose import _

LAYER = pool(
    "max_pool2d",
    _("greatest value of every window"),
    lambda x: Max(x, *WINDOW),
    ("maxpool", "max_pool", "maxpooling", "max_pooling2d", "pool", "pooling", "pool2d"),
)
